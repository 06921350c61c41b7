/** Counters. */

import type { CounterChange } from "./change.js";
import { argumentError } from "./check.js";
import type { ListenOptions } from "./listeners.js";
import type { ObjectCore } from "./object.js";

/** Options of {@link Space.getCounter}. */
export interface CounterOptions {
  /** `"pn"`: goes up and down. `"g"`: only grows. */
  kind?: "pn" | "g";
}

/**
 * A number that many add to at once; nothing is lost when they meet.
 *
 * Every method throws `E_CLOSED` after {@link Space.close}; {@link add} throws `E_ACCESS` for a reader.
 */
export class SharedCounter {
  readonly kind = "counter";
  readonly #core: ObjectCore;

  /** @internal */
  constructor(core: ObjectCore) {
    this.#core = core;
  }

  get name(): string {
    return this.#core.name;
  }

  /**
   * The sum of all that was added. Exact up to 2^53; where many added much while they were apart it can come to lie beyond,
   * and is then the nearest number.
   */
  get value(): number {
    const core = this.#core;
    return core.epoch === core.pending.epoch ? core.base : core.read((engine, object) => engine.counterValue(object));
  }

  /**
   * Adds `n`, below zero to take away. O(1).
   *
   * Throws `E_ARGUMENT` unless `n` is a safe integer, for `n` below zero on a counter that only grows, and if the sum
   * would leave the safe integers; nothing is changed then.
   */
  add(n = 1): this {
    if (this.#core.pending.add(this.#core, n)) return this;
    if (!Number.isSafeInteger(n)) throw argumentError("n", "n is not a safe integer");
    this.#core.edit((engine, object) => engine.counterAdd(object, n));
    this.#core.forget();
    return this;
  }

  /** Told after each transaction, and once per microtask for edits outside of one. Returns what ends it. */
  subscribe(cb: (changes: readonly CounterChange[]) => void, o?: ListenOptions): () => void {
    return this.#core.listeners.add(cb as (changes: readonly unknown[]) => void, o);
  }

  /**
   * This object as encrypted, signed bytes, to be merged by {@link Space.import} with what is known of it at any replica of the
   * space: in any order, any grouping, any number of times. Of other objects they show nothing. Seals the open batch first. O(changesets).
   */
  async export(): Promise<Uint8Array> {
    return this.#core.export();
  }

  toJSON(): number {
    return this.value;
  }
}
