// Merkle trees and proofs over them (RFC 9162, section 2.1), from the root down, as the RFC defines them.

import { sha256 } from "@noble/hashes/sha2.js";
import { concat, same } from "./bytes.ts";
import { check } from "./fault.ts";

const leafHash = (data: Uint8Array) => sha256(concat(Uint8Array.of(0), data));
const nodeHash = (left: Uint8Array, right: Uint8Array) => sha256(concat(Uint8Array.of(1), left, right));

/** The greatest power of two below n. */
function cut(n: number): number {
  let k = 1;
  while (2 * k < n) k *= 2;
  return k;
}

export function rootOf(data: Uint8Array[]): Uint8Array {
  if (data.length === 0) return sha256(new Uint8Array());
  if (data.length === 1) return leafHash(data[0]!);
  const k = cut(data.length);
  return nodeHash(rootOf(data.slice(0, k)), rootOf(data.slice(k)));
}

export function checkInclusion(data: Uint8Array, index: number, size: number, path: Uint8Array[], root: Uint8Array): void {
  check(index < size, "proof", "no such leaf");
  const climb = (index: number, size: number, path: Uint8Array[]): Uint8Array => {
    if (size === 1) {
      check(path.length === 0, "proof", "the path is too long");
      return leafHash(data);
    }
    const [beside, below, k] = [path.at(-1), path.slice(0, -1), cut(size)];
    check(beside !== undefined, "proof", "the path is too short");
    return index < k ? nodeHash(climb(index, k, below), beside) : nodeHash(beside, climb(index - k, size - k, below));
  };
  check(same(climb(index, size, path), root), "proof", "another root");
}

interface Tree {
  size: number;
  root: Uint8Array;
}

export function checkConsistency(earlier: Tree, later: Tree, path: Uint8Array[]): void {
  check(earlier.size <= later.size, "proof", "it shrinks");
  if (earlier.size === 0) {
    check(path.length === 0 && same(earlier.root, rootOf([])), "proof", "not the empty tree");
    return;
  }
  /** The roots of the earlier and of the later tree over the same beginning. */
  const climb = (first: number, size: number, isKnown: boolean, path: Uint8Array[]): [Uint8Array, Uint8Array] => {
    const beside = path.at(-1);
    if (first === size) {
      check(path.length === (isKnown ? 0 : 1), "proof", "the path has another length");
      const root = isKnown ? earlier.root : (beside as Uint8Array);
      return [root, root];
    }
    check(beside !== undefined, "proof", "the path is too short");
    const [below, k] = [path.slice(0, -1), cut(size)];
    if (first <= k) {
      const [old, now] = climb(first, k, isKnown, below);
      return [old, nodeHash(now, beside)];
    }
    const [old, now] = climb(first - k, size - k, false, below);
    return [nodeHash(beside, old), nodeHash(beside, now)];
  };
  const [old, now] = climb(earlier.size, later.size, true, path);
  check(same(old, earlier.root) && same(now, later.root), "proof", "other roots");
}
