/**
 * What to delete and insert to turn one text into another.
 *
 * Invariant: applying the edits from the last to the first gives the new text, no edit starts or ends inside a
 * surrogate pair, and the work is bounded: past {@link EDITS_MAX} differing lines or units the middle is replaced.
 */

/** Replace `length` units at `position` of the old text. */
export interface Edit {
  position: number;
  length: number;
  insert: string;
}

/**
 * Edits in ascending order. Common ends are cut off, the middle is compared by lines where it has several, and each
 * differing part once more by units.
 *
 * O(n + d²) with d at most {@link EDITS_MAX}, at both levels.
 */
export function diff(before: string, after: string): Edit[] {
  return refine(before, after, 0, splitLines);
}

/** Steps of the search for a shortest edit script before it gives up. */
const EDITS_MAX = 256;

type Split = (text: string) => string[];

function refine(before: string, after: string, offset: number, split: Split): Edit[] {
  const start = commonStart(before, after);
  const end = commonEnd(before, after, start);
  const old = before.slice(start, before.length - end);
  const fresh = after.slice(start, after.length - end);
  const position = offset + start;
  if (old === "" && fresh === "") return [];
  if (old === "" || fresh === "") return [{ position, length: old.length, insert: fresh }];
  const parts = compare(split(old), split(fresh));
  if (!parts) return [{ position, length: old.length, insert: fresh }];
  const edits: Edit[] = [];
  for (const part of parts) {
    const at = position + part.position;
    const removed = old.slice(part.position, part.position + part.length);
    if (split === splitLines) edits.push(...refine(removed, part.insert, at, splitUnits));
    else edits.push({ position: at, length: part.length, insert: part.insert });
  }
  return edits;
}

/** Units that both start with, never half a pair of either. */
function commonStart(a: string, b: string): number {
  const max = Math.min(a.length, b.length);
  let n = 0;
  while (n < max && a.charCodeAt(n) === b.charCodeAt(n)) n++;
  return n > 0 && (splitsPair(a, n) || splitsPair(b, n)) ? n - 1 : n;
}

/** Units that both end with, apart from the first `start`. */
function commonEnd(a: string, b: string, start: number): number {
  const max = Math.min(a.length, b.length) - start;
  let n = 0;
  while (n < max && a.charCodeAt(a.length - 1 - n) === b.charCodeAt(b.length - 1 - n)) n++;
  return n > 0 && (splitsPair(a, a.length - n) || splitsPair(b, b.length - n)) ? n - 1 : n;
}

/** Whether `index` is between the halves of a surrogate pair. */
export function splitsPair(text: string, index: number): boolean {
  return (text.charCodeAt(index - 1) & 0xfc00) === 0xd800 && (text.charCodeAt(index) & 0xfc00) === 0xdc00;
}

const splitLines: Split = (text) => text.match(/[^\n]*\n|[^\n]+/g) ?? [];
const splitUnits: Split = (text) => [...text];

/** Myers' greedy search over parts; `undefined` if it takes more than {@link EDITS_MAX} steps. */
function compare(a: readonly string[], b: readonly string[]): Edit[] | undefined {
  const reach = Math.min(EDITS_MAX, a.length + b.length);
  const furthest = new Int32Array(2 * reach + 3);
  const trace: Int32Array[] = [];
  for (let d = 0; d <= reach; d++) {
    trace.push(furthest.slice(reach + 1 - d - 1, reach + 1 + d + 2));
    for (let k = -d; k <= d; k += 2) {
      const i = reach + 1 + k;
      const down = k === -d || (k !== d && at(furthest, i - 1) < at(furthest, i + 1));
      let x = down ? at(furthest, i + 1) : at(furthest, i - 1) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      furthest[i] = x;
      if (x >= a.length && x - k >= b.length) return walkBack(a, b, trace);
    }
  }
  return undefined;
}

/** Follows the trace from the end, joining neighbouring steps into edits in units. */
function walkBack(a: readonly string[], b: readonly string[], trace: readonly Int32Array[]): Edit[] {
  const removed = new Uint8Array(a.length);
  const added = new Uint8Array(b.length);
  let x = a.length;
  let y = b.length;
  for (let d = trace.length - 1; d > 0; d--) {
    const furthest = trace[d] as Int32Array; // of step d - 1, for the diagonals from -d - 1 to d + 1
    const k = x - y;
    const i = k + d + 1;
    const down = k === -d || (k !== d && at(furthest, i - 1) < at(furthest, i + 1));
    const fromX = down ? at(furthest, i + 1) : at(furthest, i - 1);
    const fromY = fromX - (down ? k + 1 : k - 1);
    if (down) added[fromY] = 1;
    else removed[fromX] = 1;
    x = fromX;
    y = fromY;
  }
  const edits: Edit[] = [];
  let position = 0;
  for (let i = 0, j = 0; i < a.length || j < b.length; ) {
    if (!removed[i] && !added[j]) {
      position += (a[i] as string).length;
      i++;
      j++;
      continue;
    }
    const edit: Edit = { position, length: 0, insert: "" };
    while (i < a.length && removed[i]) edit.length += (a[i++] as string).length;
    while (j < b.length && added[j]) edit.insert += b[j++];
    position += edit.length;
    edits.push(edit);
  }
  return edits;
}

function at(array: Int32Array, index: number): number {
  return array[index] as number;
}
