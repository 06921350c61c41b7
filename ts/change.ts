/** What listeners are told. */

import { type Delta, deltasOf } from "./delta.js";
import type { SharedMap } from "./map.js";
import type { EngineChange } from "./replica.js";
import type { SharedText } from "./text.js";
import { freeze } from "./value.js";

interface ChangeOf<Handle> {
  /**
   * `"local"`: written in this tab. `"remote"`: by anybody else, another tab of the same person included.
   * `"reload"`: the engine crashed and was started again from storage; read the object anew.
   */
  readonly source: "local" | "remote" | "reload";
  /** The `origin` of the transaction, in the tab that made it. */
  readonly origin?: unknown;
  /** Who wrote it: a person's id. */
  readonly member: string;
  /** Who wrote it: the id of that person's tab. */
  readonly actor: string;
  /** Id of the changeset, `""` while its batch is open. */
  readonly changeset: string;
  /** What changed: the same handle that `getMap` or `getText` gives. */
  readonly object: Handle;
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

export type Change = MapChange | TextChange;

/** Translates one change of the engine. A text edited back and forth becomes several. */
export function changesOf(change: EngineChange, object: SharedMap | SharedText, origin: unknown): Change[] {
  const { source, member, actor, changeset } = change;
  const common = { source, member, actor, changeset, ...(origin !== undefined && source === "local" ? { origin } : {}) };
  if (object.kind === "map") return [Object.freeze({ ...common, object, keys: freeze(change.keys ?? []) })];
  const deltas = change.text ? deltasOf(change.text) : [];
  // A transaction has one for each place that was edited: without a spread each costs half.
  const write = (delta: Delta): Change => ({ source, member, actor, changeset, object, delta });
  return deltas.map((delta) => Object.freeze("origin" in common ? { ...common, object, delta } : write(delta)));
}

/** What is said of an object after the engine was started again; `keys` are those it has now. */
export function reloadOf(object: SharedMap | SharedText, keys: readonly string[]): Change {
  const common = { source: "reload", member: "", actor: "", changeset: "" } as const;
  return Object.freeze(object.kind === "map" ? { ...common, object, keys } : { ...common, object });
}
