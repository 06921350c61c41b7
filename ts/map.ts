/** Maps. */

import type { MapChange } from "./change.js";
import { argumentError, checkFunction, checkShortString } from "./check.js";
import type { HandleOf } from "./handle.js";
import type { ListenOptions } from "./listeners.js";
import type { ObjectCore } from "./object.js";
import { checkKind, type OptionsOf, optionsOf } from "./options.js";
import { type ChildKind, type Kind, kindOf, type Shown } from "./replica.js";
import { assign, checkValue, freeze, type Value, wellFormed } from "./value.js";

/** Options of {@link Space.getMap}. */
export interface MapOptions {
  /**
   * Groups of keys that only make sense together, like the start and the end of an appointment: of writes that did not know
   * each other one wins for the whole group. A key stands in one group at most.
   */
  couple?: readonly (readonly string[])[];
  /**
   * Keys that are objects of their own, with their kinds: `{ title: "text", votes: "counter" }`. Each merges as its kind does,
   * and all read as one plain object. {@link SharedMap.child} gives their handles. They are always there: one that nobody has
   * edited reads as an empty one. At most 64, and none of them coupled.
   */
  fields?: { readonly [key: string]: ChildKind };
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
  /** The kind of the object that it put there, in place of a value. */
  readonly child?: Kind;
  readonly deleted?: boolean;
  /** Whether it is the present value or one of its conflicts. */
  readonly live: boolean;
}

/**
 * A map from strings to values. Each key is a register: of writes that did not know each other the latest wins, the
 * others stay readable as {@link conflicts}. In place of a value a key can hold an object that merges by itself, a
 * {@link child}: it reads as what its `toJSON` gives, and whoever subscribes to the map hears of its key when it changes.
 *
 * Reads and writes are synchronous. Values come back frozen, and as the same object until the key changes; bytes
 * cannot be frozen: take a copy to change them, for whoever reads here gets the same. Keys are up to 4,096 bytes of UTF-8; `__proto__` is a key
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

  /** Here and in the other classes: for an object under a key of a map, that key. */
  get name(): string {
    return this.#core.name;
  }

  /** How many keys have a value; fields always do. */
  get size(): number {
    return this.#core.read((engine, object) => engine.mapSize(object));
  }

  /** The value, `undefined` if there is none. */
  get(key: string): Value | undefined {
    const sound = checkKey(key);
    return this.#core.cachedKey(sound, "value", (engine, object) => this.#plain(sound, engine.mapGet(object, sound)));
  }

  has(key: string): boolean {
    checkKey(key);
    return this.#core.read((engine, object) => engine.mapHas(object, key));
  }

  /**
   * Writes a copy of `value`. A {@link child} that the key shows is emptied, as by {@link delete}.
   *
   * Throws `E_ARGUMENT` for what is not a {@link Value} and for a field, which holds no value; `E_EVENT_TOO_LARGE` above what
   * a changeset can carry.
   */
  set(key: string, value: Value): this {
    const sound = checkKey(key);
    checkValue(value, "value");
    this.#checkNoField(sound);
    const core = this.#core;
    if (core.pending.write(core, sound, value)) {
      core.forgetKey(sound);
    } else {
      core.edit((engine, object) => engine.mapSet(object, key, value));
      this.#written(sound);
    }
    return this;
  }

  /**
   * Whether there was a value. A {@link child} goes with all it contains, so one that is made again is empty; what others
   * write into it meanwhile is kept, and is there then. A field stays and is emptied; whether there was something in it.
   */
  delete(key: string): boolean {
    const sound = checkKey(key);
    const existed = this.#core.edit((engine, object) => engine.mapDelete(object, key));
    this.#written(sound);
    return existed;
  }

  /**
   * The object of a kind under a key: the same handle every time, and the same object for whoever asks for that kind with
   * these options. Asking writes nothing. Its first edit makes the key show it, in place of what was there; so does any later
   * edit if the key shows something else by then. Up to 100 keys can lead to an object.
   *
   * Throws `E_ARGUMENT` for an unknown kind, for a field of another kind, for a coupled key, and below 100 keys.
   */
  child<K extends ChildKind>(key: string, kind: K, o?: OptionsOf<K>): HandleOf<K> {
    const sound = checkKey(key);
    checkKind(kind, "kind");
    const field = this.#field(sound);
    if (field !== undefined && field !== kind) throw argumentError("kind", `${JSON.stringify(key)} is a field of kind ${field}`);
    return this.#core.child(sound, kind, optionsOf(kind, o)) as HandleOf<K>;
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

  /**
   * The values of all writes of a key that did not know each other, the present value first; none after a deletion. A child is
   * there with what it reads as, once for each write that put it there.
   */
  conflicts(key: string): readonly Value[] {
    const sound = checkKey(key);
    return this.#core.cachedKey(sound, "conflicts", (engine, object) => {
      const rivals = engine.mapConflicts(object, sound).map((one) => this.#plain(sound, one));
      return Object.freeze(rivals.filter((one) => one !== undefined));
    });
  }

  /**
   * Every write of a key, the oldest first; edits of a child are none, see {@link Space.history} for those.
   * O(writes of the key).
   */
  history(key: string): readonly KeyWrite[] {
    checkKey(key);
    const writes = this.#core.read((engine, object) => engine.mapHistory(object, key));
    const named = writes.map((write) => ("child" in write ? { ...write, child: kindOf(write["child"] as number) } : write));
    return freeze(named as unknown as KeyWrite[]);
  }

  /** Told after each transaction, and once per microtask for edits outside of one. Returns what ends it. */
  subscribe(cb: (changes: readonly MapChange[]) => void, o?: ListenOptions): () => void {
    return this.#core.listeners.add(cb as (changes: readonly unknown[]) => void, o);
  }

  /**
   * This object and what is below it as encrypted, signed bytes, to be merged by {@link Space.import} with what is known of it at any replica of the
   * space: in any order, any grouping, any number of times. Of other objects they show nothing. Seals the open batch first. O(changesets).
   */
  async export(): Promise<Uint8Array> {
    return this.#core.export();
  }

  /** All keys and values as a plain object, with what is below; the same one until something changes, and so is each part. */
  toJSON(): { readonly [key: string]: Value } {
    return this.#core.cached("json", () => {
      const json: Record<string, Value> = {};
      for (const [key, value] of this.#entries()) assign(json, key, value);
      return Object.freeze(json);
    });
  }

  /** What the engine says of a key, as a value. */
  #plain(key: string, shown: Shown | undefined): Value | undefined {
    if (!(shown instanceof Uint32Array)) return freeze(shown);
    return this.#core.childAt(key, shown[0] as number)?.toJSON() as Value | undefined;
  }

  /** After an edit of a key. */
  #written(key: string): void {
    this.#core.forget([key]);
    this.#core.forgetBelow(key);
  }

  #field(key: string): Kind | undefined {
    const field = this.#core.options?.fields?.find(([name]) => name === key);
    return field && kindOf(field[1]);
  }

  #checkNoField(key: string): void {
    const field = this.#field(key);
    if (field) throw argumentError("key", `${JSON.stringify(key)} is a field and holds no value: edit child(${JSON.stringify(key)}, "${field}")`);
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
