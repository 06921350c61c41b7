/**
 * What every handle of an object stands on: its place in the engine, what is cached of it, who listens to it.
 *
 * Invariant: a cached value is the one the engine would give; every edit and every change forgets what it touches
 * before anybody can ask, in the maps above and in what is below as well.
 */

import type { Change } from "./change.js";
import type { SpaceCore } from "./core.js";
import type { Handle } from "./handle.js";
import { Listeners } from "./listeners.js";
import type { Pending } from "./pending.js";
import { type Engine, type Kind, KINDS, type ObjectOptions } from "./replica.js";
import { textOf, type Value } from "./value.js";

export class ObjectCore {
  /** For an object under a key of a map that key. */
  readonly name: string;
  /** The map that it is under a key of. */
  readonly map: ObjectCore | undefined;
  readonly kind: Kind;
  readonly options: ObjectOptions | undefined;
  readonly space: SpaceCore;
  readonly listeners = new Listeners<readonly Change[]>();

  /** Values by a number that the engine gives them and never gives to another one, but for a rollback. */
  readonly kept = new Map<number, unknown>();

  /** Where its edits are gathered, and what they are checked against there: good for that epoch. */
  readonly pending: Pending;
  epoch = 0;
  base = 0;
  /** Whether edits that go on with one another are one. */
  joins = false;

  readonly #byKey = new Map<string, Map<string, unknown>>();
  #children: Map<string, Set<ObjectCore>> | undefined;
  #whole = new Map<string, unknown>();
  #number = 0;
  #generation: number;

  constructor(space: SpaceCore, name: string, kind: Kind, options: ObjectOptions | undefined, number: number, map?: ObjectCore) {
    this.space = space;
    this.name = name;
    this.kind = kind;
    this.options = options;
    this.#number = number;
    this.#generation = space.pump.generation;
    this.pending = space.pump.pending;
    this.map = map;
    if (map) map.#adopt(this);
  }

  /** Its number in today's engine. */
  get number(): number {
    const { pump } = this.space;
    if (this.#generation !== pump.generation) {
      this.#number = this.map
        ? pump.read((engine, map) => engine.mapChild(map, this.name, KINDS[this.kind], this.options), this.map.number)
        : pump.read((engine) => engine.object(this.name, KINDS[this.kind], this.options, false));
      this.#generation = pump.generation;
    }
    return this.#number;
  }

  read<T>(work: (engine: Engine, object: number) => T): T {
    return this.space.pump.read(work, this.number);
  }

  edit<T>(work: (engine: Engine, object: number) => T): T {
    return this.space.pump.edit(work, this.number);
  }

  /** Whether anybody is told what changes in it. */
  get isHeard(): boolean {
    return this.listeners.size > 0 || this.space.changes.size > 0;
  }

  /** Whether an edit can succeed. */
  get isWritable(): boolean {
    return this.read((engine) => engine.role()) !== "reader";
  }

  /** For what changes nothing but may have to seal the open batch. */
  readSealed<T>(work: (engine: Engine, object: number) => T): T {
    return this.edit(work);
  }

  /** Throws if nothing can be read any more: what is cached is not given then either. */
  check(): void {
    this.space.pump.check();
  }

  /** A value of the whole object, made once until something changes. */
  cached<T>(what: string, make: (engine: Engine, object: number) => T): T {
    this.check();
    return remember(this.#whole, what, () => this.read(make));
  }

  /** A value of one key, made once until that key changes. */
  cachedKey<T>(key: string, what: string, make: (engine: Engine, object: number) => T): T {
    this.check();
    let values = this.#byKey.get(key);
    if (!values) this.#byKey.set(key, (values = new Map()));
    return remember(values, what, () => this.read(make));
  }

  /** What every handle's `export` gives. */
  async export(): Promise<Uint8Array> {
    await this.space.stored("export");
    const { number } = this;
    return this.space.pump.call((engine) => engine.exportObject(number));
  }

  /** The object of a kind under a key. */
  child(key: string, kind: Kind, options: ObjectOptions | undefined): Handle {
    return this.space.child(this, key, kind, options);
  }

  /** A child without options that was asked for before. */
  knownChild(key: string, kind: Kind): ObjectCore | undefined {
    for (const child of this.#children?.get(key) ?? []) if (child.kind === kind && child.options === undefined) return child;
    return undefined;
  }

  /** The object that a key shows, by its number. */
  childAt(key: string, number: number): Handle | undefined {
    return this.space.childAt(this, key, number);
  }

  /** After an edit: forgets the keys, or everything, and what the maps above show of it. */
  forget(keys?: readonly string[]): void {
    this.forgetOwn(keys);
    for (let at: ObjectCore = this; at.map; at = at.map) at.map.#forgetAround(at);
  }

  /** After a write of a key, or of an element, of an object that is in no map, and contains none. */
  forgetKey(key: Value): void {
    if (this.#whole.size > 0) this.#whole = new Map();
    if (this.#byKey.size > 0) this.#byKey.delete(this.kind === "map" ? (key as string) : textOf(key));
  }

  /** After a key was written: whatever object it showed is empty. */
  forgetBelow(key: string): void {
    for (const child of this.#children?.get(key) ?? []) child.#forgetAll();
  }

  /** Forgets the keys, or everything, of this object alone. */
  forgetOwn(keys?: readonly string[]): void {
    if (this.#whole.size > 0) this.#whole = new Map();
    if (keys) {
      for (const key of keys) this.#byKey.delete(key);
      return;
    }
    if (this.#byKey.size > 0) this.#byKey.clear();
    if (this.kept.size > 0) this.kept.clear();
  }

  #adopt(child: ObjectCore): void {
    this.#children ??= new Map();
    const known = this.#children.get(child.name);
    if (known) known.add(child);
    else this.#children.set(child.name, new Set([child]));
  }

  /** The edited child may have taken the place of another one. */
  #forgetAround(edited: ObjectCore): void {
    this.forgetOwn([edited.name]);
    for (const child of this.#children?.get(edited.name) ?? []) if (child !== edited) child.#forgetAll();
  }

  #forgetAll(): void {
    this.forgetOwn();
    for (const key of this.#children?.keys() ?? []) this.forgetBelow(key);
  }
}

function remember<T>(values: Map<string, unknown>, what: string, make: () => T): T {
  if (values.has(what)) return values.get(what) as T;
  const value = make();
  values.set(what, value);
  return value;
}
