/** Lists. */

import type { ListChange } from "./change.js";
import { checkFunction, checkInteger } from "./check.js";
import { StemmaError } from "./errors.js";
import type { ListenOptions } from "./listeners.js";
import type { ObjectCore } from "./object.js";
import type { Engine } from "./replica.js";
import { checkValue, freeze, type Value } from "./value.js";

/**
 * A list of values that many can edit at once. What people insert at one place while they are apart stays together,
 * person by person. An element that several move is in one place, where the latest of those moves put it that none of the
 * others knew; one that anybody deletes is gone, also if somebody moved it meanwhile.
 *
 * Elements are not changed, they are replaced; what is to be edited inside is better kept in maps or texts, with the list
 * holding their names. Values come back frozen, and as the same object for as long as the element is there, wherever it
 * is moved; bytes cannot be frozen: take a copy to change them, for whoever reads here gets the same.
 *
 * Reads and writes are synchronous and O(log n) unless stated otherwise. Every method throws `E_CLOSED` after
 * {@link Space.close}, `E_ARGUMENT` for an index out of range or what is not a {@link Value}; writers throw `E_ACCESS`
 * for a reader.
 */
export class SharedList implements Iterable<Value> {
  readonly kind = "list";
  readonly #core: ObjectCore;

  /** @internal */
  constructor(core: ObjectCore) {
    this.#core = core;
  }

  get name(): string {
    return this.#core.name;
  }

  /** How many elements there are. */
  get length(): number {
    const core = this.#core;
    return core.epoch === core.pending.epoch ? core.base : core.read((engine, object) => engine.listLength(object));
  }

  /** The element at `index`, `undefined` from {@link length} on. */
  get(index: number): Value | undefined {
    checkInteger(index, "index", 0, INDEX_MAX);
    return this.#core.read((engine, object) => {
      const id = engine.listId(object, index);
      if (id < 0) return undefined;
      return this.#core.kept.has(id) ? (this.#core.kept.get(id) as Value) : this.#keep(engine, object, [id], index)[0];
    });
  }

  /**
   * Puts copies of `values` before the element at `index`, from 0 to {@link length}. All of them are one operation.
   *
   * Throws `E_EVENT_TOO_LARGE` for a value above what a changeset can carry.
   */
  insert(index: number, ...values: Value[]): void {
    // `undefined` is no index, and to be said so.
    if (index !== undefined && this.#core.pending.insertValues(this.#core, index, values)) return;
    for (const value of values) checkValue(value, "values");
    this.#edit(
      [index],
      (engine, object) => engine.listInsert(object, index, values),
      () => checkInteger(index, "index", 0, this.length),
    );
  }

  /** The same at the end. O(1), and as one operation with the pushes before it. */
  push(...values: Value[]): void {
    if (this.#core.pending.insertValues(this.#core, undefined, values)) return;
    for (const value of values) checkValue(value, "values");
    this.#edit([], (engine, object) => engine.listInsert(object, undefined, values));
  }

  /** Removes `n` elements, 1 unless stated, from `index` on. */
  delete(index: number, n = 1): void {
    if (this.#core.pending.deleteValues(this.#core, index, n)) return;
    this.#edit(
      [index, n],
      (engine, object) => engine.listDelete(object, index, n),
      () => {
        checkInteger(index, "index", 0, this.length);
        checkInteger(n, "n", 0, this.length - index);
      },
    );
  }

  /**
   * Moves the element at `from` so that it is the one at `to`: as if it were taken out and put in again there, but it stays
   * the same element for everybody. To where it is already does nothing.
   */
  move(from: number, to: number): void {
    this.#edit(
      [from, to],
      (engine, object) => engine.listMove(object, from, to),
      () => {
        checkInteger(from, "from", 0, this.length - 1);
        checkInteger(to, "to", 0, this.length - 1);
      },
    );
  }

  /** The elements. Here and below, iterating sees the list as it is at the call. O(n) after a change. */
  values(): IterableIterator<Value> {
    return this.#elements().values();
  }

  [Symbol.iterator](): IterableIterator<Value> {
    return this.values();
  }

  /** Each index with its element. */
  entries(): IterableIterator<[number, Value]> {
    return this.#elements().entries();
  }

  forEach(cb: (value: Value, index: number, list: this) => void): void {
    checkFunction(cb, "cb");
    for (const [index, value] of this.entries()) cb(value, index, this);
  }

  /** Told after each transaction, and once per microtask for edits outside of one. Returns what ends it. */
  subscribe(cb: (changes: readonly ListChange[]) => void, o?: ListenOptions): () => void {
    return this.#core.listeners.add(cb as (changes: readonly unknown[]) => void, o);
  }

  /**
   * This object as encrypted, signed bytes, to be merged by {@link Space.import} with what is known of it at any replica of the
   * space: in any order, any grouping, any number of times. Of other objects they show nothing. Seals the open batch first. O(changesets).
   */
  async export(): Promise<Uint8Array> {
    return this.#core.export();
  }

  /** The elements, as the same array until something changes. */
  toJSON(): readonly Value[] {
    return this.#elements();
  }

  /** `explain` says what is wrong with the numbers; asked beforehand it would be a second call for each edit. */
  #edit(numbers: readonly unknown[], work: (engine: Engine, object: number) => void, explain?: () => void): void {
    if (!numbers.every(isIndex)) explain?.();
    try {
      this.#core.edit(work);
    } catch (error) {
      if (error instanceof StemmaError && error.code === "E_ARGUMENT") explain?.();
      throw error;
    }
    this.#core.forget([]);
  }

  #elements(): readonly Value[] {
    return this.#core.cached("elements", (engine, object) => {
      const { kept } = this.#core;
      const ids = engine.listIds(object);
      const elements: Value[] = [];
      while (elements.length < ids.length) {
        const start = elements.length;
        let end = start;
        while (end < ids.length && !kept.has(ids[end] as number)) end++;
        if (end === start) elements.push(kept.get(ids[start] as number) as Value);
        else for (const value of this.#keep(engine, object, ids.subarray(start, end), start)) elements.push(value);
      }
      if (kept.size > 2 * ids.length + KEPT_MIN) {
        kept.clear();
        ids.forEach((id, at) => kept.set(id, elements[at]));
      }
      return Object.freeze(elements);
    });
  }

  /** Asks for the elements from an index on, whose numbers are these. */
  #keep(engine: Engine, object: number, ids: ArrayLike<number>, from: number): Value[] {
    const values = engine.listSlice(object, from, from + ids.length);
    values.forEach((value, at) => this.#core.kept.set(ids[at] as number, freeze(value)));
    return values;
  }
}

/** What can be an index or a length, whatever the list. */
function isIndex(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= INDEX_MAX;
}

const INDEX_MAX = 0xffff_ffff;
/** Elements that are gone are forgotten once they are many. */
const KEPT_MIN = 1_000;
