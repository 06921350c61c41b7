/**
 * What every handle of a named object stands on: its place in the engine, what is cached of it, who listens to it.
 *
 * Invariant: a cached value is the one the engine would give; every edit and every change forgets what it touches
 * before anybody can ask.
 */

import type { Change } from "./change.js";
import type { SpaceCore } from "./core.js";
import { Listeners } from "./listeners.js";
import { type Engine, type Kind, KINDS, type ObjectOptions } from "./replica.js";

export class ObjectCore {
  readonly name: string;
  readonly kind: Kind;
  readonly options: ObjectOptions | undefined;
  readonly space: SpaceCore;
  readonly listeners = new Listeners<readonly Change[]>();

  /** Values by a number that the engine gives them and never gives to another one, but for a rollback. */
  readonly kept = new Map<number, unknown>();

  readonly #byKey = new Map<string, Map<string, unknown>>();
  #whole = new Map<string, unknown>();
  #number = 0;
  #generation: number;

  constructor(space: SpaceCore, name: string, kind: Kind, options: ObjectOptions | undefined, number: number) {
    this.space = space;
    this.name = name;
    this.kind = kind;
    this.options = options;
    this.#number = number;
    this.#generation = space.pump.generation;
  }

  /** Its number in today's engine. */
  get number(): number {
    const { pump } = this.space;
    if (this.#generation !== pump.generation) {
      this.#number = pump.read((engine) => engine.object(this.name, KINDS[this.kind], this.options, false));
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

  /** A value of the whole object, made once until something changes. */
  cached<T>(what: string, make: (engine: Engine, object: number) => T): T {
    this.space.pump.check();
    return remember(this.#whole, what, () => this.read(make));
  }

  /** A value of one key, made once until that key changes. */
  cachedKey<T>(key: string, what: string, make: (engine: Engine, object: number) => T): T {
    this.space.pump.check();
    let values = this.#byKey.get(key);
    if (!values) this.#byKey.set(key, (values = new Map()));
    return remember(values, what, () => this.read(make));
  }

  /** Forgets the keys, none of them too, or everything. */
  forget(keys?: readonly string[]): void {
    if (this.#whole.size > 0) this.#whole = new Map();
    if (keys) {
      for (const key of keys) this.#byKey.delete(key);
      return;
    }
    if (this.#byKey.size > 0) this.#byKey.clear();
    if (this.kept.size > 0) this.kept.clear();
  }
}

function remember<T>(values: Map<string, unknown>, what: string, make: () => T): T {
  if (values.has(what)) return values.get(what) as T;
  const value = make();
  values.set(what, value);
  return value;
}
