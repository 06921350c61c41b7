/** What listeners are told. */

import { type Delta, deltasOf, type ListDelta } from "./delta.js";
import type { SharedCart } from "./cart.js";
import type { SharedCounter } from "./counter.js";
import type { Handle } from "./handle.js";
import type { Ledger } from "./ledger.js";
import type { SharedList } from "./list.js";
import type { SharedMap } from "./map.js";
import type { EngineChange } from "./replica.js";
import type { SharedSet } from "./set.js";
import type { SharedText } from "./text.js";
import { freeze, type Value } from "./value.js";

interface ChangeOf<Shared extends Handle> {
  /** What kind of object changed. */
  readonly kind: Shared["kind"];
  /**
   * `"local"`: written in this tab. `"undo"`: by undo or redo in this tab. `"policy"`: what counts was decided otherwise, by this member or one
   * whom it trusts, who is named below; or anybody said of an entry of a ledger whether it should count. `"remote"`: by anybody else, another tab of the
   * same person included. `"reload"`: the engine crashed and was started again from storage; read the object anew. `"diff"`:
   * nobody, it is what {@link Space.diff} found.
   */
  readonly source: "local" | "undo" | "remote" | "policy" | "reload" | "diff";
  /** The `origin` of the transaction, in the tab that made it. */
  readonly origin?: unknown;
  /** Who wrote it: a person's id; `""` here and below where nobody did. */
  readonly member: string;
  /** Who wrote it: the id of that person's tab. */
  readonly actor: string;
  /** Id of the changeset, `""` while its batch is open. */
  readonly changeset: string;
  /** What changed: the same handle that `getMap` and its like give. */
  readonly object: Shared;
}

/** Some keys of a map have other values, or other conflicts, than before. */
export interface MapChange extends ChangeOf<SharedMap> {
  readonly keys: readonly string[];
  readonly delta?: undefined;
}

/** A text changed; deltas of one list apply one after the other. */
export interface TextChange extends ChangeOf<SharedText> {
  /** In UTF-16 units. Absent after a reload. */
  readonly delta?: Delta;
  readonly keys?: undefined;
}

/** A list changed; deltas of one list apply one after the other. An element that was moved goes and comes. */
export interface ListChange extends ChangeOf<SharedList> {
  /** In elements. Absent after a reload. */
  readonly delta?: ListDelta;
  readonly keys?: undefined;
}

/** A counter has another value than before. */
export interface CounterChange extends ChangeOf<SharedCounter> {
  /** By how much. Absent after a reload. */
  readonly delta?: number;
  readonly keys?: undefined;
}

/** Some elements of a set are there or not, or carry another value, than before. */
export interface SetChange extends ChangeOf<SharedSet> {
  /** The elements. */
  readonly keys: readonly Value[];
  readonly delta?: undefined;
}

/** Some items of a cart have another quantity than before. */
export interface CartChange extends ChangeOf<SharedCart> {
  /** The items. */
  readonly keys: readonly Value[];
  readonly delta?: undefined;
}

/** Some accounts or assets of a ledger read otherwise than before, or something of their entries does. */
export interface LedgerChange extends ChangeOf<Ledger> {
  /** The accounts. */
  readonly keys: readonly string[];
  readonly assets: readonly string[];
  readonly delta?: undefined;
}

export type Change = MapChange | TextChange | ListChange | CounterChange | SetChange | CartChange | LedgerChange;

/** Translates one change of the engine. A text or a list edited back and forth becomes several. */
export function changesOf(change: EngineChange, object: Handle, origin: unknown): Change[] {
  const { source, member, actor, changeset } = change;
  const by = source === "local" ? origin : undefined;
  const { kind } = object;
  if (kind === "text" || kind === "list") {
    const deltas: readonly (Delta | ListDelta)[] = change.text ? deltasOf(change.text) : change.list ? deltasOf(change.list) : [];
    const changes: Change[] = []; // not mapped: what a closure holds would be set aside at each call, of other kinds too
    for (const delta of deltas) changes.push(told({ kind, source, member, actor, changeset, object, delta } as TextChange | ListChange, by));
    return changes;
  }
  if (kind === "counter") return [told<CounterChange>({ kind, source, member, actor, changeset, object, delta: change.amount ?? 0 }, by)];
  const keys = freeze(change.keys ?? []);
  if (kind === "ledger") {
    return [told<LedgerChange>({ kind, source, member, actor, changeset, object, keys: keys as string[], assets: freeze(change.assets ?? []) }, by)];
  }
  return [told({ kind, source, member, actor, changeset, object, keys } as MapChange | SetChange | CartChange, by)];
}

/** A copy takes as long as all the rest, and most have no origin. */
function told<C extends Change>(change: C, origin: unknown): C {
  return Object.freeze(origin === undefined ? change : { ...change, origin });
}

/** What is said of an object after the engine was started again, with what it has now. */
export function reloadOf(object: Handle): Change {
  const common = { kind: object.kind, source: "reload", member: "", actor: "", changeset: "" } as const;
  switch (object.kind) {
    case "text":
    case "list":
    case "counter":
      return Object.freeze({ ...common, object } as TextChange | ListChange | CounterChange);
    case "map":
    case "set":
      return Object.freeze({ ...common, object, keys: [...object.keys()] } as MapChange | SetChange);
    case "cart":
      return Object.freeze({ ...common, object, keys: [...object].map(([item]) => item) } as CartChange);
    case "ledger": {
      const [keys, assets] = [object.accounts().map(({ account }) => account), object.assets().map(({ asset }) => asset)];
      return Object.freeze({ ...common, object, keys, assets } as LedgerChange);
    }
  }
}
