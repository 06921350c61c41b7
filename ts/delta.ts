/**
 * Deltas: how a text or a list changed, as steps from its start to its end. All lengths are UTF-16 code units of a text,
 * elements of a list.
 */

import { argumentError, checkShortString } from "./check.js";
import type { EngineMark } from "./replica.js";
import { checkValue, freeze, isPlain, type Value } from "./value.js";

/** What marks show, by key. In a step that retains text, `null` says that a key shows nothing any more. */
export type Attributes = { readonly [key: string]: Value };

/** One step: skip units, perhaps with other marks than before, remove units, or put text in that shows these marks alone. */
export type DeltaStep =
  | { readonly retain: number; readonly attributes?: Attributes }
  | { readonly delete: number }
  | { readonly insert: string; readonly attributes?: Attributes };

/** The steps from the start of a text; what comes after the last one stays. */
export type Delta = readonly DeltaStep[];

/** One step: skip elements, remove elements, or put elements in. */
export type ListDeltaStep = { readonly retain: number } | { readonly delete: number } | { readonly insert: readonly Value[] };

/** The steps from the start of a list; what comes after the last one stays. */
export type ListDelta = readonly ListDeltaStep[];

/** Splices, each three numbers, and what they insert. */
export interface Splices<Inserted> {
  ops: Int32Array;
  inserted: Inserted;
  /** How many other numbers stand before each; none if it is not said. */
  lead?: number;
}

/**
 * The deltas of one engine change, each to be applied to the result of the one before. There is one as long as the
 * edits run from left to right.
 *
 * O(edits).
 */
export function deltasOf(change: Splices<string> & { marks?: EngineMark[] }): Delta[];
export function deltasOf(change: Splices<Value[]>): ListDelta[];
export function deltasOf({ ops, inserted, lead = 0, marks }: Splices<string | Value[]> & { marks?: EngineMark[] }): unknown[] {
  if (!marks) return plainDeltas(ops, inserted, lead);
  const deltas: object[][] = [];
  let delta: object[] | undefined;
  let end = 0; // of the last edit, in the text as it is after that edit
  let used = 0;
  let next = 0; // of the marks
  const begin = (position: number): object[] => {
    if (!delta || position < end) {
      delta = [];
      deltas.push(delta);
      end = 0;
    }
    if (position > end) delta.push(Object.freeze({ retain: position - end }));
    return delta;
  };
  /** What stands next among the marks about one stretch, after so many edits. */
  const take = (after: number, position: number, length: number): EngineMark[] => {
    const first = next;
    while (next < marks.length && isAbout(marks[next] as EngineMark, after, position, length)) next++;
    return marks.slice(first, next);
  };
  const retain = (after: number): void => {
    for (let mark = marks[next]; mark?.[0] === after; mark = marks[next]) {
      const [, position, length] = mark;
      begin(position).push(Object.freeze({ retain: length, attributes: attributesOf(take(after, position, length), true) }));
      end = position + length;
    }
  };
  for (let i = 0; i + 2 < ops.length; i += 3) {
    const position = ops[i] as number;
    const removed = ops[i + 1] as number;
    const length = ops[i + 2] as number;
    retain(i / 3);
    const steps = begin(position);
    if (removed > 0) steps.push(Object.freeze({ delete: removed }));
    if (length > 0) {
      const insert = inserted.slice(used, used + length);
      const attributes = attributesOf(take(i / 3 + 1, position, length), false);
      steps.push(Object.freeze(Object.keys(attributes).length > 0 ? { insert, attributes } : { insert }));
    }
    used += length;
    end = position + length;
  }
  retain(ops.length / 3);
  for (const one of deltas) Object.freeze(one);
  return deltas;
}

/** The same where nothing is marked: after most keystrokes, so it makes nothing that it does not give. */
function plainDeltas(ops: Int32Array, inserted: string | Value[], lead: number): object[][] {
  const deltas: object[][] = [];
  let delta: object[] = [];
  let [end, used] = [0, 0];
  for (let i = lead; i + 2 < ops.length; i += 3 + lead) {
    const position = ops[i] as number;
    const removed = ops[i + 1] as number;
    const length = ops[i + 2] as number;
    if (i === lead || position < end) {
      delta = [];
      deltas.push(delta);
      end = 0;
    }
    if (position > end) delta.push(Object.freeze({ retain: position - end }));
    if (removed > 0) delta.push(Object.freeze({ delete: removed }));
    if (length > 0) {
      const insert = inserted.slice(used, (used += length));
      // A string needs no freezing within.
      delta.push(typeof insert === "string" ? Object.freeze({ insert }) : freeze({ insert }));
    }
    end = position + length;
  }
  for (const one of deltas) Object.freeze(one);
  return deltas;
}

function isAbout([of, start, units]: EngineMark, after: number, position: number, length: number): boolean {
  return of === after && start === position && units === length;
}

/** The last value of each key; `null` for what shows nothing, if that says something. */
function attributesOf(marks: readonly EngineMark[], withNull: boolean): Attributes {
  const last = new Map(marks.map(([, , , key, value]) => [key, value]));
  return freeze(Object.fromEntries([...last].filter(([, value]) => withNull || value !== null)));
}

/** Refuses anything but steps that fit a text of `length` units. */
export function checkDelta(delta: unknown, length: number): asserts delta is Delta {
  if (!Array.isArray(delta)) throw argumentError("delta", "delta is not an array of steps");
  let rest = length;
  delta.forEach((step: unknown, i) => {
    const place = `delta[${i}]`;
    const { attributes, ...named } = typeof step === "object" && step !== null ? (step as Record<string, unknown>) : {};
    const [entry, ...others] = Object.entries(named);
    if (!entry || others.length > 0) throw argumentError("delta", `${place} is not one of { insert }, { delete }, { retain }`);
    const [name, value] = entry;
    if (name === "insert") {
      if (typeof value !== "string") throw argumentError("delta", `${place}.insert is not a string`);
    } else if (name === "delete" || name === "retain") {
      if (!Number.isInteger(value) || (value as number) < 0) throw argumentError("delta", `${place}.${name} is not a length`);
      rest -= value as number;
      if (rest < 0) throw argumentError("delta", `${place} goes beyond the end of the text`);
    } else {
      throw argumentError("delta", `${place} has the unknown step ${JSON.stringify(name)}`);
    }
    if (attributes === undefined) return;
    if (name === "delete") throw argumentError("delta", `${place} deletes, so it has no attributes`);
    checkAttributes(attributes, "delta", `${place}.attributes`);
  });
}

/** Refuses anything but values under keys of marks. */
export function checkAttributes(attributes: unknown, argument: string, place = argument): asserts attributes is Attributes {
  if (typeof attributes !== "object" || attributes === null || !isPlain(attributes)) {
    throw argumentError(argument, `${place} is not an object of values by key`);
  }
  checkValue(attributes, argument);
  for (const key of Object.keys(attributes)) checkShortString(key, argument);
}
