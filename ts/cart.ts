/** Carts. */

import type { CartChange } from "./change.js";
import { argumentError } from "./check.js";
import type { ListenOptions } from "./listeners.js";
import type { ObjectCore } from "./object.js";
import { checkShortValue, freeze, type Value } from "./value.js";

/**
 * Items with quantities. Adds sum up. Removing an item cancels what the remover knew of: what somebody adds meanwhile stays.
 *
 * Items are values of up to 4,096 bytes. Every method throws `E_CLOSED` after {@link Space.close}, `E_ARGUMENT` for what is
 * not a {@link Value}; writers throw `E_ACCESS` for a reader.
 */
export class SharedCart implements Iterable<[Value, number]> {
  readonly kind = "cart";
  readonly #core: ObjectCore;

  /** @internal */
  constructor(core: ObjectCore) {
    this.#core = core;
  }

  get name(): string {
    return this.#core.name;
  }

  /** How many different items there are. */
  get size(): number {
    return this.#entries()[0].length;
  }

  /**
   * Adds `n` of an item, below zero to take away.
   *
   * Throws `E_ARGUMENT` unless `n` is a safe integer other than 0, and if the quantity would leave the safe integers.
   */
  add(item: Value, n = 1): this {
    checkShortValue(item, "item");
    if (!Number.isSafeInteger(n) || n === 0) throw argumentError("n", "n is not a safe integer other than 0");
    this.#core.edit((engine, object) => engine.cartAdd(object, item, n));
    this.#core.forget([]);
    return this;
  }

  /** Removes an item whatever its quantity; whether it was there. */
  remove(item: Value): boolean {
    checkShortValue(item, "item");
    const existed = this.#core.edit((engine, object) => engine.cartRemove(object, item));
    this.#core.forget([]);
    return existed;
  }

  /** How many of an item there are, 0 if none. Where more was taken than there was it is 0 too. */
  quantity(item: Value): number {
    checkShortValue(item, "item");
    return this.#core.read((engine, object) => engine.cartQuantity(object, item));
  }

  /** The items with their quantities, in an order that is the same for everybody. */
  entries(): IterableIterator<[Value, number]> {
    const [items, quantities] = this.#entries();
    return items.map((item, at): [Value, number] => [item, quantities[at] as number]).values();
  }

  [Symbol.iterator](): IterableIterator<[Value, number]> {
    return this.entries();
  }

  /** Told after each transaction, and once per microtask for edits outside of one. Returns what ends it. */
  subscribe(cb: (changes: readonly CartChange[]) => void, o?: ListenOptions): () => void {
    return this.#core.listeners.add(cb as (changes: readonly unknown[]) => void, o);
  }

  /**
   * This object as encrypted, signed bytes, to be merged by {@link Space.import} with what is known of it at any replica of the
   * space: in any order, any grouping, any number of times. Of other objects they show nothing. Seals the open batch first. O(changesets).
   */
  async export(): Promise<Uint8Array> {
    return this.#core.export();
  }

  /** The entries as an array, the same one until something changes. */
  toJSON(): readonly (readonly [Value, number])[] {
    return this.#core.cached("json", () => freeze([...this.entries()]));
  }

  #entries(): readonly [readonly Value[], readonly number[]] {
    return this.#core.cached("entries", (engine, object) => freeze(engine.cartEntries(object) as [Value[], number[]]));
  }
}
