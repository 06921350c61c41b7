/** Undo and redo: one's own edits taken back and brought back, for the space and for the bindings. */

import { argumentError, checkOptions } from "./check.js";
import type { SpaceCore } from "./core.js";
import type { Handle } from "./handle.js";

/** Options of {@link Space.undo} and its like. */
export interface UndoOptions {
  /** Only edits of these objects; all unless stated. */
  scope?: readonly Handle[];
}

/** Whether there was something to take back, or to bring back. */
export function step(core: SpaceCore, what: "undo" | "redo", o?: UndoOptions): boolean {
  const scope = scopeOf(core, o);
  core.transactions.refuse(what);
  return core.pump.call((engine) => scope !== undefined && engine[what](scope));
}

/** Whether there is something. */
export function canStep(core: SpaceCore, what: "canUndo" | "canRedo", o?: UndoOptions): boolean {
  const scope = scopeOf(core, o);
  return core.pump.read((engine) => scope !== undefined && engine[what](scope));
}

/** For the engine, to which none are all; `undefined` for a scope of no object. */
function scopeOf(core: SpaceCore, o: UndoOptions | undefined): Uint32Array | undefined {
  checkOptions(o, "o", ["scope"]);
  if (o?.scope === undefined) return new Uint32Array();
  const { scope } = o;
  if (!Array.isArray(scope)) throw argumentError("scope", "scope is not a list of handles");
  return scope.length === 0 ? undefined : Uint32Array.from(scope as unknown[], (handle) => core.numberOf(handle, "scope"));
}
