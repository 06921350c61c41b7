/** Sets. */

import type { SetChange } from "./change.js";
import { checkFunction } from "./check.js";
import type { ListenOptions } from "./listeners.js";
import type { ObjectCore } from "./object.js";
import { checkShortValue, checkValue, freeze, textOf, type Value } from "./value.js";

/** Options of {@link Space.getSet}. */
export interface SetOptions {
  /**
   * What becomes of an element that one person adds and another removes while they are apart: `"or"`: it stays. `"lww"`: the
   * later one wins.
   */
  kind?: "or" | "lww";
}

/**
 * A set of values; an element can carry a value. Elements are equal if they are written alike: `1` and `1.0` are one element,
 * `1` and `"1"` are two, objects are equal whatever the order of their keys.
 *
 * Elements take up to 4,096 bytes. Values come back frozen, and as the same object until the element changes. Every method
 * throws `E_CLOSED` after {@link Space.close}, `E_ARGUMENT` for what is not a {@link Value}; writers throw `E_ACCESS`
 * for a reader.
 */
export class SharedSet implements Iterable<Value> {
  readonly kind = "set";
  readonly #core: ObjectCore;

  /** @internal */
  constructor(core: ObjectCore) {
    this.#core = core;
  }

  get name(): string {
    return this.#core.name;
  }

  /** How many elements there are. */
  get size(): number {
    return this.#core.read((engine, object) => engine.setSize(object));
  }

  /** Puts an element in; `value`, if it is given, is what {@link get} then reads, else none. */
  add(element: Value, value?: Value): this {
    checkShortValue(element, "element");
    if (value !== undefined) checkValue(value, "value");
    const core = this.#core;
    if (core.pending.write(core, element, value)) {
      core.forgetKey(element);
    } else {
      core.edit((engine, object) => engine.setAdd(object, element, value));
      core.forget([textOf(element)]);
    }
    return this;
  }

  /** Takes an element out; whether it was there. */
  delete(element: Value): boolean {
    checkShortValue(element, "element");
    const existed = this.#core.edit((engine, object) => engine.setDelete(object, element));
    this.#core.forget([textOf(element)]);
    return existed;
  }

  has(element: Value): boolean {
    checkShortValue(element, "element");
    return this.#core.read((engine, object) => engine.setHas(object, element));
  }

  /** The value that an element carries; `undefined` if it carries none, or is not there. */
  get(element: Value): Value | undefined {
    checkShortValue(element, "element");
    return this.#core.cachedKey(textOf(element), "value", (engine, object) => freeze(engine.setGet(object, element)));
  }

  /** The elements, in an order that is the same for everybody. Iterating sees the set as it is at the call. */
  keys(): IterableIterator<Value> {
    return this.#elements()[0].values();
  }

  /** The same as {@link keys}, as in a `Set`. */
  values(): IterableIterator<Value> {
    return this.keys();
  }

  /** Each element with the value that it carries. */
  entries(): IterableIterator<[Value, Value | undefined]> {
    const [elements, values] = this.#elements();
    return elements.map((element, at): [Value, Value | undefined] => [element, values[at]]).values();
  }

  [Symbol.iterator](): IterableIterator<Value> {
    return this.keys();
  }

  forEach(cb: (element: Value, again: Value, set: this) => void): void {
    checkFunction(cb, "cb");
    for (const element of this.keys()) cb(element, element, this);
  }

  /** Told after each transaction, and once per microtask for edits outside of one. Returns what ends it. */
  subscribe(cb: (changes: readonly SetChange[]) => void, o?: ListenOptions): () => void {
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
    return this.#elements()[0];
  }

  #elements(): readonly [readonly Value[], readonly (Value | undefined)[]] {
    return this.#core.cached("elements", (engine, object) => freeze(engine.setElements(object) as [Value[], (Value | undefined)[]]));
  }
}
