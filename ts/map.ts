/** Maps. */

import type { MapChange } from "./change.js";
import { checkFunction, checkShortString } from "./check.js";
import type { ListenOptions } from "./listeners.js";
import type { ObjectCore } from "./object.js";
import { assign, checkValue, freeze, type Value, wellFormed } from "./value.js";

/** Options of {@link Space.getMap}. */
export interface MapOptions {
  /**
   * Groups of keys that only make sense together, like the start and the end of an appointment: of writes that did not know
   * each other one wins for the whole group. A key stands in one group at most.
   */
  couple?: readonly (readonly string[])[];
}

/** One write of a key, as {@link SharedMap.history} lists it. */
export interface KeyWrite {
  readonly changeset: string;
  readonly member: string;
  readonly actor: string;
  /** When its author says it was written, ms since 1970. */
  readonly time: number;
  /** Absent for a deletion, and where the content is not available. */
  readonly value?: Value;
  readonly deleted?: boolean;
  /** Whether it is the present value or one of its conflicts. */
  readonly live: boolean;
}

/**
 * A map from strings to values. Each key is a register: of writes that did not know each other the latest wins, the
 * others stay readable as {@link conflicts}.
 *
 * Reads and writes are synchronous. Values come back frozen, and as the same object until the key changes; bytes
 * cannot be frozen, changing them changes nothing here. Keys are up to 4,096 bytes of UTF-8; `__proto__` is a key
 * like any other. A lone surrogate in a key or a value becomes U+FFFD.
 *
 * Every method throws `E_CLOSED` after {@link Space.close}; writers throw `E_ACCESS` for a reader.
 */
export class SharedMap implements Iterable<[string, Value]> {
  readonly kind = "map";
  readonly #core: ObjectCore;

  /** @internal */
  constructor(core: ObjectCore) {
    this.#core = core;
  }

  get name(): string {
    return this.#core.name;
  }

  /** How many keys have a value. */
  get size(): number {
    return this.#core.read((engine, object) => engine.mapSize(object));
  }

  /** The value, `undefined` if there is none. */
  get(key: string): Value | undefined {
    return this.#core.cachedKey(checkKey(key), "value", (engine, object) => freeze(engine.mapGet(object, key)));
  }

  has(key: string): boolean {
    checkKey(key);
    return this.#core.read((engine, object) => engine.mapHas(object, key));
  }

  /**
   * Writes a copy of `value`.
   *
   * Throws `E_ARGUMENT` for what is not a {@link Value}, `E_EVENT_TOO_LARGE` above what a changeset can carry.
   */
  set(key: string, value: Value): this {
    const sound = checkKey(key);
    checkValue(value, "value");
    this.#core.edit((engine, object) => engine.mapSet(object, key, value));
    this.#core.forget([sound]);
    return this;
  }

  /** Whether there was a value. */
  delete(key: string): boolean {
    const sound = checkKey(key);
    const existed = this.#core.edit((engine, object) => engine.mapDelete(object, key));
    this.#core.forget([sound]);
    return existed;
  }

  /** The keys in the order of their UTF-8 bytes. Here and below, iterating sees the map as it is at the call. */
  keys(): IterableIterator<string> {
    return this.#keys().values();
  }

  values(): IterableIterator<Value> {
    return this.#entries().map(([, value]) => value).values();
  }

  entries(): IterableIterator<[string, Value]> {
    return this.#entries().values();
  }

  [Symbol.iterator](): IterableIterator<[string, Value]> {
    return this.entries();
  }

  forEach(cb: (value: Value, key: string, map: this) => void): void {
    checkFunction(cb, "cb");
    for (const [key, value] of this.entries()) cb(value, key, this);
  }

  /** The values of all writes of a key that did not know each other, the present value first; none after a deletion. */
  conflicts(key: string): readonly Value[] {
    return this.#core.cachedKey(checkKey(key), "conflicts", (engine, object) => freeze(engine.mapConflicts(object, key)));
  }

  /** Every write of a key, the oldest first. O(writes of the key). */
  history(key: string): readonly KeyWrite[] {
    checkKey(key);
    return this.#core.read((engine, object) => freeze(engine.mapHistory(object, key) as unknown as KeyWrite[]));
  }

  /** Told after each transaction, and once per microtask for edits outside of one. Returns what ends it. */
  subscribe(cb: (changes: readonly MapChange[]) => void, o?: ListenOptions): () => void {
    return this.#core.listeners.add(cb as (changes: readonly unknown[]) => void, o);
  }

  /** All keys and values as a plain object, the same one until something changes. */
  toJSON(): { readonly [key: string]: Value } {
    return this.#core.cached("json", () => {
      const json: Record<string, Value> = {};
      for (const [key, value] of this.#entries()) assign(json, key, value);
      return Object.freeze(json);
    });
  }

  #keys(): readonly string[] {
    return this.#core.cached("keys", (engine, object) => freeze(engine.mapKeys(object)));
  }

  #entries(): [string, Value][] {
    return this.#keys().map((key) => [key, this.get(key) as Value]);
  }
}

/** The key as the engine will know it. */
function checkKey(key: unknown): string {
  checkShortString(key, "key");
  return wellFormed(key);
}
