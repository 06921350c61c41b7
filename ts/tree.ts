/** Follows paths in Merkle trees, for whoever has no engine: those of RFC 9162, section 2.1. */

import { bytesOf, type Fields, listOf, refused, same, sha256 } from "./signed.js";

/** Where the path from a leaf leads, in a tree that has it. */
export async function climb(leaf: Uint8Array, index: number, size: number, path: Uint8Array[]): Promise<Uint8Array> {
  let [at, last, hash] = [index, size - 1, await sha256(LEAF, leaf)];
  for (const beside of path) {
    if (last === 0) throw refused("path", "the path is too long");
    const isRight = at % 2 === 1 || at === last;
    hash = isRight ? await sha256(NODE, beside, hash) : await sha256(NODE, hash, beside);
    [at, last] = up(at, last, isRight);
  }
  if (last !== 0) throw refused("path", "the path is too short");
  return hash;
}

/** Rejects unless a tree begins with an earlier one. */
export async function checkGrowth([first, firstRoot]: [number, Uint8Array], [size, root]: [number, Uint8Array], path: Uint8Array[]): Promise<void> {
  if (first > size) throw refused("size", "the tree has become smaller");
  if (first === 0 || first === size) {
    if (path.length > 0) throw refused("path", "the path is too long");
    if (!same(firstRoot, first === 0 ? await sha256() : root)) throw refused("root", "the roots do not belong together");
    return;
  }
  let [at, last] = [first - 1, size - 1];
  while (at % 2 === 1) [at, last] = [half(at), half(last)];
  // An earlier tree that is complete is a part of the other one: its root is not in the path.
  const rest = isPowerOfTwo(first) ? [firstRoot, ...path] : path;
  let [old, now] = [rest[0], rest[0]];
  if (!old || !now) throw refused("path", "the path is too short");
  for (const beside of rest.slice(1)) {
    if (last === 0) throw refused("path", "the path is too long");
    const isRight = at % 2 === 1 || at === last;
    if (isRight) [old, now] = [await sha256(NODE, beside, old), await sha256(NODE, beside, now)];
    else now = await sha256(NODE, now, beside);
    [at, last] = up(at, last, isRight);
  }
  if (last !== 0) throw refused("path", "the path is too short");
  if (!same(old, firstRoot)) throw refused("earlier", "the earlier tree is not the beginning of this one");
  if (!same(now, root)) throw refused("root", "the path leads to another root");
}

export function pathOf(fields: Fields): Uint8Array<ArrayBuffer>[] {
  return listOf(fields, "path", PATH_MAX).map((hash) => bytesOf({ path: hash }, "path", 32));
}

/** One step towards the root, of a node and of the last one in its row; a last one without a partner rises until it has one. */
function up(at: number, last: number, isRight: boolean): [number, number] {
  if (isRight) while (at % 2 === 0 && at !== 0) [at, last] = [half(at), half(last)];
  return [half(at), half(last)];
}

/** Not by shifting, which cuts to 32 bits. */
function half(n: number): number {
  return Math.floor(n / 2);
}

function isPowerOfTwo(n: number): boolean {
  return Number.isInteger(Math.log2(n)) && 2 ** Math.log2(n) === n;
}

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** More than any tree needs whose size is a safe integer. */
const PATH_MAX = 64;
