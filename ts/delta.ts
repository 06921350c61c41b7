/**
 * Deltas: how a text or a list changed, as steps from its start to its end. All lengths are UTF-16 code units of a text,
 * elements of a list.
 */

import { argumentError } from "./check.js";
import { freeze, type Value } from "./value.js";

/** One step: skip units, remove units, or put text in. */
export type DeltaStep = { readonly retain: number } | { readonly delete: number } | { readonly insert: string };

/** The steps from the start of a text; what comes after the last one stays. */
export type Delta = readonly DeltaStep[];

/** One step: skip elements, remove elements, or put elements in. */
export type ListDeltaStep = { readonly retain: number } | { readonly delete: number } | { readonly insert: readonly Value[] };

/** The steps from the start of a list; what comes after the last one stays. */
export type ListDelta = readonly ListDeltaStep[];

/**
 * The deltas of one engine change, each to be applied to the result of the one before. There is one as long as the
 * edits run from left to right.
 *
 * O(edits).
 */
export function deltasOf(change: { ops: Int32Array; inserted: string }): Delta[];
export function deltasOf(change: { ops: Int32Array; inserted: Value[] }): ListDelta[];
export function deltasOf({ ops, inserted }: { ops: Int32Array; inserted: string | Value[] }): unknown[] {
  const deltas: object[][] = [];
  let delta: object[] | undefined;
  let end = 0; // of the last edit, in the text as it is after that edit
  let used = 0;
  for (let i = 0; i + 2 < ops.length; i += 3) {
    const position = ops[i] as number;
    const removed = ops[i + 1] as number;
    const length = ops[i + 2] as number;
    if (!delta || position < end) {
      delta = [];
      deltas.push(delta);
      end = 0;
    }
    if (position > end) delta.push(Object.freeze({ retain: position - end }));
    if (removed > 0) delta.push(Object.freeze({ delete: removed }));
    if (length > 0) delta.push(freeze({ insert: inserted.slice(used, used + length) }));
    used += length;
    end = position + length;
  }
  for (const one of deltas) Object.freeze(one);
  return deltas;
}

/** Refuses anything but steps that fit a text of `length` units. */
export function checkDelta(delta: unknown, length: number): asserts delta is Delta {
  if (!Array.isArray(delta)) throw argumentError("delta", "delta is not an array of steps");
  let rest = length;
  delta.forEach((step: unknown, i) => {
    const place = `delta[${i}]`;
    const entries = typeof step === "object" && step !== null ? Object.entries(step) : [];
    const [entry, ...others] = entries;
    if (!entry || others.length > 0) throw argumentError("delta", `${place} is not one of { insert }, { delete }, { retain }`);
    const [name, value] = entry;
    if (name === "insert") {
      if (typeof value !== "string") throw argumentError("delta", `${place}.insert is not a string`);
    } else if (name === "delete" || name === "retain") {
      if (!Number.isInteger(value) || value < 0) throw argumentError("delta", `${place}.${name} is not a length`);
      rest -= value;
      if (rest < 0) throw argumentError("delta", `${place} goes beyond the end of the text`);
    } else {
      throw argumentError("delta", `${place} has the unknown step ${JSON.stringify(name)}`);
    }
  });
}
