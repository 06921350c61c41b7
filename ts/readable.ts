/** What can be read of a space, now or as it was. */

import { BLOB_PREFIX } from "./blob.js";
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
import type { ObjectState } from "./definition.js";
import type { Live, QueryOptions, ReadOptions } from "./query.js";
import type { EventInfo, Reducers } from "./reducers.js";
import { freeze } from "./value.js";

/** Where it is read from. */
export interface Source {
  object(name: string, kind: Kind, options?: ObjectOptions): Handle;
  heads(): string[];
  names(): { name: string; kind: number }[];
  stateHash(): string;
  viewDigest(): string;
  readonly reducers: Reducers;
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

  /**
   * An object that events define, as {@link Space.define | definitions} say that its events make it: its id, its type, and
   * what their deltas left. Frozen, and the same object until it changes. `undefined` if nobody made it. An object with an
   * event that cannot be applied shows `error` in place of everything else: a code, a message and the event.
   *
   * What is kept of an object goes on from its last event that is as it was: reading it again costs nothing, a new last
   * event is applied alone, one that comes or goes in between costs those after it, and at most 255 before.
   *
   * `access` decides what reducers show, and which fields they are given. That is display and no secrecy: whoever is a member
   * has the events. `{ live: true }` gives an answer that follows what happens.
   */
  read(id: string, o?: ReadOptions & { live?: false }): ObjectState | undefined;
  read(id: string, o: ReadOptions & { live: true }): Live<ObjectState | undefined>;
  read(id: string, o?: ReadOptions & { live?: boolean }): ObjectState | undefined | Live<ObjectState | undefined> {
    return this.#source.reducers.read(id, o);
  }

  /** The objects of a type that events define, each as by {@link read}. O(objects of the type). */
  query(type: string, o?: QueryOptions & { live?: false }): readonly ObjectState[];
  query(type: string, o: QueryOptions & { live: true }): Live<readonly ObjectState[]>;
  query(type: string, o?: QueryOptions & { live?: boolean }): readonly ObjectState[] | Live<readonly ObjectState[]> {
    return this.#source.reducers.query(type, o);
  }

  /** What happened to an object that events define, in the order in which it is applied: what knew of an event comes after it, clocks decide the rest. O(events). */
  events(id: string): readonly EventInfo[] {
    return this.#source.reducers.events(id);
  }

  /** The names of objects with visible content, without blobs; what is under keys of maps has none. O(size). */
  names(): readonly { readonly name: string; readonly kind: Kind }[] {
    const known = this.#source.names().map(({ name, kind }) => ({ name, kind: kindOf(kind) }));
    return freeze(known.filter((one): one is { name: string; kind: Kind } => one.kind !== undefined && !one.name.startsWith(BLOB_PREFIX)));
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
