/** The handles of named objects: which class stands for which kind. */

import { SharedCart } from "./cart.js";
import { SharedCounter } from "./counter.js";
import { Ledger } from "./ledger.js";
import { SharedList } from "./list.js";
import { SharedMap } from "./map.js";
import type { ObjectCore } from "./object.js";
import type { Kind } from "./replica.js";
import { SharedSet } from "./set.js";
import { SharedText } from "./text.js";

/** What `getMap`, `getText` and their like give. */
export type Handle = SharedMap | SharedText | SharedCounter | SharedSet | SharedCart | SharedList | Ledger;

/** The handle of an object of a kind. */
export type HandleOf<K extends Kind> = Extract<Handle, { kind: K }>;

/** Makes the handle of an object. */
export function handleOf(core: ObjectCore): Handle {
  switch (core.kind) {
    case "map":
      return new SharedMap(core);
    case "text":
      return new SharedText(core);
    case "counter":
      return new SharedCounter(core);
    case "set":
      return new SharedSet(core);
    case "cart":
      return new SharedCart(core);
    case "list":
      return new SharedList(core);
    case "ledger":
      return new Ledger(core);
  }
}
