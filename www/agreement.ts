/**
 * Who of this page sees the same: the panes compare their own state hashes, one by one.
 *
 * Invariant: it speaks of the panes of this page alone. Two that know the same changesets and have unlike hashes can only
 * believe differently; where they know unlike changesets nothing is said about belief.
 */
export interface Sight {
  readonly name: string;
  /** The heads of what it knows. */
  readonly heads: string;
  readonly hash: string;
}

export function agreement(mine: Sight, all: readonly Sight[]): string {
  if (all.length < 2) return "";
  const same = all.filter(({ hash }) => hash === mine.hash);
  if (same.length === all.length) return `All ${all.length} panes see the same state.`;
  const others = all.filter(({ hash }) => hash !== mine.hash);
  const unlike = others.filter(({ heads }) => heads === mine.heads).map(({ name }) => name);
  const apart = others.filter(({ heads }) => heads !== mine.heads).map(({ name }) => name);
  const reasons = [unlike.length > 0 && `${list(unlike)} ${unlike.length > 1 ? "believe" : "believes"} otherwise`, apart.length > 0 && `${list(apart)} ${apart.length > 1 ? "know" : "knows"} other changes`];
  return `${same.length} of ${all.length} panes ${same.length > 1 ? "see" : "sees"} what ${mine.name} sees: ${reasons.filter(Boolean).join(", ")}.`;
}

function list(names: readonly string[]): string {
  return new Intl.ListFormat("en").format(names);
}
