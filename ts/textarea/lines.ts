/**
 * What fields show of a text: a `<textarea>` knows one line end, `\n`, an `<input>` none.
 *
 * Invariant: what does not show is not touched, unless the text around it is deleted.
 */

/** What shows of a text. */
export function shownOf(text: string, hasLines: boolean): string {
  return hasLines ? text.replace(/\r\n?/g, "\n") : text.replace(/[\r\n]/g, "");
}

/**
 * Where a place of what shows is in the text: behind the unit before it, or before the unit that follows it, between which
 * may be what does not show. O(n), O(1) where everything shows.
 */
export function placeIn(text: string, shown: number, hasLines: boolean, place: number, side: "behind" | "before"): number {
  if (shown === text.length) return place;
  let seen = 0;
  for (let at = 0; at < text.length; at++) {
    const isHidden = hasLines ? text.startsWith("\r\n", at) : text[at] === "\n" || text[at] === "\r";
    // Of two units that show as one the first is hidden, and belongs to the second.
    if (seen === place && (side === "behind" || hasLines || !isHidden)) return at;
    if (!isHidden) seen++;
  }
  return text.length;
}
