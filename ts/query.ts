/** Queries over the objects of a type, and answers that follow what happens. */

import { argumentError, checkInteger, checkSignal } from "./check.js";
import type { SpaceCore } from "./core.js";
import type { ObjectState } from "./definition.js";
import { type ListenOptions, Listeners, reportUncaught } from "./listeners.js";
import type { Reducers } from "./reducers.js";
import { copyOf, isBytes, isPlain, quieten, textOf, type Value } from "./value.js";

/** What {@link Readable.read} takes. */
export interface ReadOptions {
  /** What reducers and the levels of fields are told, an integer from 0; 0 unless stated. */
  access?: number;
  /** Ends a live answer: it stays as it is then. */
  signal?: AbortSignal;
}

/** What {@link Readable.query} takes. */
export interface QueryOptions extends ReadOptions {
  /** Which objects: those whose keys hold these values, or for which this is true. */
  where?: { readonly [key: string]: Value } | ((state: ObjectState) => boolean);
  /** In which order: by a key, by a key and a direction (what lacks the key comes last), or as `Array.sort` is told; in the order in which they were made unless stated. */
  orderBy?: string | readonly [key: string, direction: "asc" | "desc"] | ((a: ObjectState, b: ObjectState) => number);
  /** At most so many. */
  limit?: number;
}

/** An answer that follows what happens. */
export interface Live<T> {
  /** What it is now: the same object until it changes. */
  readonly current: T;
  /** Told of what it is after each change of it. Returns what ends it. */
  subscribe(cb: (current: T) => void, o?: ListenOptions): () => void;
}

/** Checks the options of a query; gives what chooses. */
export function select({ where, orderBy, limit }: QueryOptions): (states: ObjectState[]) => ObjectState[] {
  const isFit = filterOf(where);
  const order = orderOf(orderBy);
  if (limit !== undefined) checkInteger(limit, "limit", 0, Number.MAX_SAFE_INTEGER);
  return (states) => {
    const chosen = isFit ? states.filter((state) => isFit(state)) : states;
    if (order) chosen.sort(order);
    return limit === undefined ? chosen : chosen.slice(0, limit);
  };
}

function filterOf(where: QueryOptions["where"]): ((state: ObjectState) => boolean) | undefined {
  if (where === undefined) return undefined;
  if (typeof where === "function") {
    return (state) => {
      const isWanted: unknown = where(state);
      // A promise is always true.
      if (quieten(isWanted) || typeof (isWanted as { then?: unknown } | undefined | null)?.then === "function") {
        throw argumentError("where", "where is asynchronous: it says at once whether an object is wanted");
      }
      return Boolean(isWanted);
    };
  }
  if (typeof where !== "object" || where === null || !isPlain(where)) throw argumentError("where", "where is neither a function nor an object of values");
  const wanted = Object.entries(copyOf(where, "where") as { [key: string]: Value }).map(([key, value]) => [key, textOf(value)] as const);
  return (state) => wanted.every(([key, text]) => Object.hasOwn(state, key) && textOf(state[key] as Value) === text);
}

function orderOf(orderBy: QueryOptions["orderBy"]): ((a: ObjectState, b: ObjectState) => number) | undefined {
  if (orderBy === undefined || typeof orderBy === "function") return orderBy;
  const [key, direction = "asc"] = typeof orderBy === "string" ? [orderBy] : Array.isArray(orderBy) ? (orderBy as readonly [string, "asc" | "desc"]) : [];
  if (typeof key !== "string" || (direction !== "asc" && direction !== "desc")) {
    throw argumentError("orderBy", 'orderBy is neither a key, nor [key, "asc" or "desc"], nor a function');
  }
  const sign = direction === "asc" ? 1 : -1;
  const valueOf = (state: ObjectState) => (Object.hasOwn(state, key) ? state[key] : undefined);
  return (a, b) => {
    const [of, to] = [valueOf(a) ?? null, valueOf(b) ?? null];
    // What is not there comes last in both directions.
    return of === null || to === null ? Number(of === null) - Number(to === null) : sign * compare(of, to);
  };
}

/** Kinds of values do not mix. */
function compare(a: NonNullable<Value>, b: NonNullable<Value>): number {
  const [kindA, kindB] = [rank(a), rank(b)];
  if (kindA !== kindB) return kindA - kindB;
  if (typeof a === "object" || typeof a === "boolean") return order(textOf(a), textOf(b));
  return order(a as string | number | bigint, b as string | number | bigint);
}

function order<T extends string | number | bigint>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function rank(value: NonNullable<Value>): number {
  return isBytes(value) ? RANKS.length - 1 : RANKS.indexOf(typeof value === "bigint" ? "number" : typeof value);
}

const RANKS = ["boolean", "number", "string", "object", "bytes"];

/** Whether an answer is to be live. */
export function liveOptions({ live, signal }: { live?: boolean; signal?: AbortSignal }): boolean {
  if (live !== undefined && typeof live !== "boolean") throw argumentError("live", "live is not a boolean");
  checkSignal(signal);
  if (signal && !live) throw argumentError("signal", "signal is for live answers");
  return live === true;
}

/** An answer that is found again whenever something may read differently. */
export function live<T>(space: SpaceCore, of: Reducers, find: () => T, signal: AbortSignal | undefined): Live<T> {
  return new LiveAnswer(space, of, find, signal);
}

class LiveAnswer<T> implements Live<T> {
  readonly #space: SpaceCore;
  readonly #of: Reducers;
  readonly #find: () => T;
  readonly #signal: AbortSignal | undefined;
  readonly #listeners = new Listeners<T>();
  #current: T;
  /** What was told last. */
  #told: T;
  #version: number;
  #end: (() => void) | undefined;

  constructor(space: SpaceCore, of: Reducers, find: () => T, signal: AbortSignal | undefined) {
    this.#space = space;
    this.#of = of;
    this.#find = find;
    this.#signal = signal;
    this.#current = this.#told = find();
    this.#version = of.version;
    signal?.addEventListener("abort", () => {
      this.#listeners.clear();
      this.#rest();
    });
  }

  get current(): T {
    if (this.#signal?.aborted) return this.#current;
    this.#of.refresh();
    if (this.#version !== this.#of.version) {
      const found = this.#find();
      this.#version = this.#of.version;
      if (!isSame(found, this.#current)) this.#current = found;
    }
    return this.#current;
  }

  subscribe(cb: (current: T) => void, o?: ListenOptions): () => void {
    // A closed space tells nobody anything.
    this.#of.refresh();
    // What it is told of is what changes from here on.
    if (this.#listeners.size === 0) this.#told = this.current;
    const remove = this.#listeners.add(cb, o);
    if (this.#signal?.aborted) {
      remove();
      return remove;
    }
    this.#end ??= this.#space.eventful.add(this.#tell);
    return () => {
      remove();
      this.#rest();
    };
  }

  readonly #tell = () => {
    if (this.#rest()) return;
    try {
      const now = this.current;
      if (isSame(now, this.#told)) return;
      this.#told = now;
      this.#listeners.emit(now);
    } catch (error) {
      reportUncaught(error);
    }
  };

  /** Without listeners it need not hear of anything. */
  #rest(): boolean {
    if (this.#listeners.size > 0) return false;
    this.#end?.();
    this.#end = undefined;
    return true;
  }
}

/** A state that was another one meanwhile is another object. */
function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((one, i) => isSame(one, b[i]));
  return a !== undefined && b !== undefined && textOf(a as Value) === textOf(b as Value);
}
