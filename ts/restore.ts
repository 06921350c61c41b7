/** Restoring: new edits that make a space, an object or a key read as at another time. */

import { argumentError, checkOptions, checkShortString } from "./check.js";
import type { SpaceCore } from "./core.js";
import type { Handle } from "./handle.js";
import { type AtOptions, momentOf, openView } from "./view.js";
import { wellFormed } from "./value.js";
import type { Write } from "./write.js";

/** Options of {@link Space.restore}. */
export interface RestoreOptions extends AtOptions {
  /** Only this object; all of them unless stated. */
  object?: Handle;
  /** Only this key of `object`, a map. */
  key?: string;
}

export function restore(space: SpaceCore, when: Date | number | string, o: RestoreOptions = {}): Write {
  checkOptions(o, "o", ["by", "object", "key"]);
  const { by, object, key } = o;
  const query = momentOf(when, by, "when");
  const number = object === undefined ? undefined : space.numberOf(object);
  if (key !== undefined) {
    checkShortString(key, "key");
    if (object?.kind !== "map") throw argumentError("key", "key needs an object that is a map");
  }
  if (object?.kind === "ledger") throw argumentError("object", "a ledger is not restored: reverse entries of it, or exclude them");
  space.transactions.refuse("restore");
  const view = openView(space, query, "when");
  const sound = key === undefined ? undefined : wellFormed(key);
  try {
    return space.transactions.transact(() => space.pump.read((engine) => engine.restore(view, number, sound)));
  } finally {
    space.pump.peek((engine) => engine.closeView(view));
  }
}
