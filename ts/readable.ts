/** What can be read of a space, now or as it was. */

import type { SharedCart } from "./cart.js";
import { argumentError, checkShortString } from "./check.js";
import type { CounterOptions, SharedCounter } from "./counter.js";
import { StemmaError } from "./errors.js";
import type { Handle } from "./handle.js";
import type { Ledger, LedgerOptions } from "./ledger.js";
import type { SharedList } from "./list.js";
import type { MapOptions, SharedMap } from "./map.js";
import { optionsOf } from "./options.js";
import { type Kind, kindOf, type ObjectOptions } from "./replica.js";
import type { SetOptions, SharedSet } from "./set.js";
import type { SharedText } from "./text.js";
import { freeze } from "./value.js";

/** Where it is read from. */
export interface Source {
  object(name: string, kind: Kind, options?: ObjectOptions): Handle;
  heads(): string[];
  names(): { name: string; kind: number }[];
  stateHash(): string;
  viewDigest(): string;
}

/** What a {@link Space} and a {@link View} have in common. */
export abstract class Readable {
  readonly #source: Source;

  /** @internal */
  constructor(source: Source) {
    this.#source = source;
  }

  /** The changesets that no other one here builds on, ascending. */
  get heads(): readonly string[] {
    return freeze(this.#source.heads());
  }

  /**
   * The map of this name; here and below, it need not have been written to, and it is the same handle every time. A name
   * with other options is another object: asking for both in one session throws `E_ARGUMENT`.
   */
  getMap(name: string, o?: MapOptions): SharedMap {
    return this.#source.object(checkName(name), "map", optionsOf("map", o)) as SharedMap;
  }

  getText(name: string, ...options: []): SharedText {
    return this.#source.object(checkName(name, options), "text") as SharedText;
  }

  getCounter(name: string, o?: CounterOptions): SharedCounter {
    return this.#source.object(checkName(name), "counter", optionsOf("counter", o)) as SharedCounter;
  }

  getSet(name: string, o?: SetOptions): SharedSet {
    return this.#source.object(checkName(name), "set", optionsOf("set", o)) as SharedSet;
  }

  getList(name: string, ...options: []): SharedList {
    return this.#source.object(checkName(name, options), "list") as SharedList;
  }

  getCart(name: string, ...options: []): SharedCart {
    return this.#source.object(checkName(name, options), "cart") as SharedCart;
  }

  getLedger(name: string, o?: LedgerOptions): Ledger {
    return this.#source.object(checkName(name), "ledger", optionsOf("ledger", o)) as Ledger;
  }

  /** The names of objects with visible content; what is under keys of maps has none. O(size). */
  names(): readonly { readonly name: string; readonly kind: Kind }[] {
    const known = this.#source.names().map(({ name, kind }) => ({ name, kind: kindOf(kind) }));
    return freeze(known.filter((one): one is { name: string; kind: Kind } => one.kind !== undefined));
  }

  /** A hash of everything visible: equal at two replicas that show the same. O(size). */
  stateHash(): string {
    return this.#source.stateHash();
  }

  /** A hash of what is known and which of it counts: where it is equal, {@link stateHash} is. */
  viewDigest(): string {
    return this.#source.viewDigest();
  }
}

function checkName(name: unknown, options: readonly unknown[] = []): string {
  checkShortString(name, "name");
  if (name === "") throw argumentError("name", "name is empty");
  // Types allow none, plain JavaScript is told.
  if (options.some((option) => option !== undefined)) throw new StemmaError("E_UNSUPPORTED", "this version knows no options here", { argument: "o" });
  return name;
}
