/**
 * One object at one access level: its events in order, folded into a state by their definitions.
 *
 * Invariant: the state is what all events so far make, from nothing. Every {@link CHECKPOINT} events it is kept, so that
 * an event that comes or goes in between costs those behind the last checkpoint before it, and a new last one costs itself.
 */

import type { Definition, ObjectEvent, ObjectState, StateDelta } from "./definition.js";
import { REMOVE } from "./definition.js";
import { type ErrorCode, isStemmaError, messageOf } from "./errors.js";
import { purely } from "./purity.js";
import { type Events, NOTHING, type RawEvent } from "./unpacked.js";
import { assign, copyOf, freeze, isBytes, isPlain, lend, quieten, seal, textOf, type Value } from "./value.js";

/** Why an event is left out. */
export type LeftOut = "unknown type" | "unknown version" | "misfit" | "other type";

/** What reducers are run by. */
export interface Reducing {
  readonly definitions: ReadonlyMap<string, Definition>;
  /** Whether each is run twice. */
  readonly isDevelopment: boolean;
  /** Something is to be told of an event. */
  report(what: LeftOut | "failed" | "slow", event: { readonly id: string; readonly type: string | undefined }, message: string, code: ErrorCode): void;
}

/** The definition of an event and its data as that wants it, or why it is left out; nothing for one that only makes the object. */
export type Fit = { readonly definition: Definition; readonly data: Value } | Unfit;

interface Unfit {
  readonly left: LeftOut;
  readonly fields?: readonly string[];
}

/** Looks into an event of an object of a type. Throws what `upcast` throws, which runs {@link purely}. */
export function fit(event: Pick<RawEvent, "type" | "creates" | "version" | "data">, type: string, by: Pick<Reducing, "definitions" | "isDevelopment">): Fit | undefined {
  if (event.creates && (event.type ?? "") !== type) return { left: "other type" };
  const { version } = event;
  if (event.creates && version === NOTHING) return undefined;
  const definition = by.definitions.get(event.type ?? "");
  if (!definition) return { left: "unknown type" };
  let { data } = event;
  if (version !== definition.version) {
    if (!definition.upcast || version < 1 || version > definition.version) return { left: "unknown version" };
    // Each run may write into what it is given.
    const again = by.isDevelopment ? structuredClone(data) : undefined;
    data = upcasted(definition, data, version);
    if (again !== undefined && textOf(data) !== textOf(upcasted(definition, again, version))) throw notPure("upcast");
  }
  const fields = definition.misfit(data);
  return fields ? { left: "misfit", fields } : { definition, data };
}

function upcasted({ upcast }: Definition, data: Value, version: number): Value {
  const made: unknown = upcast?.(data, version);
  refusePromise(made, "upcast");
  return copyOf(made, "what upcast gave");
}

/** What an object shows whose events cannot be applied. */
interface Failure {
  readonly at: number;
  readonly error: { readonly code: string; readonly event: string; readonly message: string };
}

interface Checkpoint {
  readonly position: number;
  readonly state: Record<string, Value>;
  readonly misfits: number;
}

export class Reduction {
  readonly id: string;
  readonly type: string;
  readonly access: number;
  /** How many events are in it. */
  position = 0;
  /** How many of them do not fit their definition. */
  misfits = 0;
  #state: Record<string, Value> = {};
  #seen: ObjectState | undefined;
  #checkpoints: Checkpoint[] = [];
  #failure: Failure | undefined;
  #shown: ObjectState | undefined;
  /** Whether that may be another one now. */
  #isOld = false;

  constructor(id: string, type: string, access: number) {
    this.id = id;
    this.type = type;
    this.access = access;
    this.#begin(undefined);
  }

  /** What it shows: the same object until something changes. */
  get shown(): ObjectState {
    if (this.#shown && !this.#isOld) return this.#shown;
    this.#isOld = false;
    const { id, type } = this;
    const shown: ObjectState = this.#failure ? { id, type, error: this.#failure.error } : { ...this.#state, id, type };
    for (const [key, value] of Object.entries(shown)) if (isBytes(value)) lend(shown, key, value);
    if (this.#shown && isSame(shown, this.#shown)) return this.#shown;
    return (this.#shown = Object.freeze(shown));
  }

  /** Goes back to a place where nothing but the first `stable` events is known to be as it was. */
  rewind(stable: number): void {
    if (stable >= this.position) return;
    if (this.#failure && this.#failure.at < stable) {
      this.position = stable;
      return;
    }
    this.#isOld = true;
    while ((this.#checkpoints.at(-1)?.position ?? 0) > stable) this.#checkpoints.pop();
    this.#begin(this.#checkpoints.at(-1));
  }

  /** Applies the events from {@link position} on. No user code is called but the functions of definitions. */
  advance(events: Events, by: Reducing): void {
    if (events.left === 0) return;
    if (!this.#failure) this.#isOld = true;
    purely(() => {
      // `performance.now` costs what a short reducer does. A clock that is set meanwhile makes one event look slow, or not so.
      let before = Date.now();
      while (events.left > 0) {
        events.next();
        if (!this.#failure) this.#apply(events, by);
        this.position++;
        const now = Date.now();
        if (now - before > SLOW_MS) by.report("slow", events, `took ${now - before} ms`, "E_REDUCER");
        before = now;
        if (this.position % CHECKPOINT > 0 || this.#failure) continue;
        this.#checkpoints.push({ position: this.position, state: { ...this.#state }, misfits: this.misfits });
      }
    });
  }

  #begin(checkpoint: Checkpoint | undefined): void {
    this.position = checkpoint?.position ?? 0;
    this.misfits = checkpoint?.misfits ?? 0;
    this.#state = checkpoint ? { ...checkpoint.state } : { id: this.id, type: this.type };
    this.#seen = undefined;
    this.#failure = undefined;
  }

  #apply(event: Events, by: Reducing): void {
    try {
      let definition = by.definitions.get(event.type ?? "");
      let { data } = event;
      // Most events are what is defined today.
      if (event.creates || definition?.version !== event.version || definition.misfit(data)) {
        const fits = fit(event, this.type, by);
        if (!fits) return;
        if ("left" in fits) return this.#leaveOut(fits, event, by);
        ({ definition, data } = fits);
      }
      data = definition.seen(data, this.access);
      if (!definition.apply) return this.#merge(definition.plain(data), true);
      this.#seen ??= readOnly(this.#state);
      const given: ObjectEvent = event.given(data);
      if (by.isDevelopment) freeze(given);
      const delta = definition.apply(this.#seen, given, this.access);
      if (!by.isDevelopment) return this.#merge(delta, false);
      const copied = deltaOf(delta);
      if (written(copied) !== written(deltaOf(definition.apply(this.#seen, given, this.access)))) throw notPure("the reducer");
      this.#merge(copied, true);
    } catch (thrown) {
      const code = isReadOnly(thrown) ? "E_READONLY" : "E_REDUCER";
      const message = messageOf(thrown);
      this.#failure = Object.freeze({ at: this.position, error: Object.freeze({ code, event: event.id, message }) });
      by.report("failed", event, message, code);
    }
  }

  #leaveOut({ left, fields }: Unfit, event: Events, by: Reducing): void {
    switch (left) {
      case "misfit":
        this.misfits++;
        return by.report(left, event, `has no fitting ${fields?.join(", ")}`, "E_SCHEMA");
      case "unknown version":
        return by.report(left, event, "is of a version that is not known here", "E_SCHEMA");
      case "unknown type":
        return by.report(left, event, "is of a type that is not defined here", "E_UNKNOWN_EVENT");
      case "other type":
        return by.report(left, event, `makes an object whose type is ${JSON.stringify(this.type)}`, "E_SCHEMA");
    }
  }

  /**
   * Takes over a delta, or a copy of one that somebody holds: each value is read once. Where one cannot be stored, what was taken
   * over before it goes with the failure.
   */
  #merge(given: unknown, isOurs: boolean): void {
    if (!isDelta(given)) return;
    const state = this.#state;
    const keys = Object.keys(given);
    // A loop by index, and the common kinds first: most of this runs before it is compiled.
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i] as string;
      const value = given[key];
      if (value === undefined || key === "id" || key === "type") continue;
      if ((typeof value === "string" || Number.isFinite(value)) && key !== "__proto__") state[key] = value as string | number;
      else if (value === REMOVE) delete state[key];
      else assign(state, key, seal(isOurs ? value : copyOf(value, key, KEPT), KEPT));
    }
  }
}

/** What is in states: it never changes, so that what a reducer takes over from one is not copied again. */
const KEPT = new WeakSet<object>();

/** Whether a reducer gave something, which is then a plain object. */
function isDelta(given: unknown): given is StateDelta {
  if (given === undefined || given === null) return false;
  if (typeof given === "object" && isPlain(given)) return true;
  refusePromise(given, "a reducer");
  throw new TypeError("a reducer gives a plain object, or nothing");
}

/** What a reducer gave, read once. */
function deltaOf(given: unknown): StateDelta | undefined {
  if (!isDelta(given)) return undefined;
  const delta: { [key: string]: Value | typeof REMOVE } = {};
  for (const key of Object.keys(given)) {
    const value = given[key];
    if (value !== undefined) assign(delta, key, value === REMOVE ? value : copyOf(value, key, KEPT));
  }
  return delta;
}

function refusePromise(given: unknown, what: string): void {
  if (quieten(given)) throw new TypeError(`${what} is synchronous: it gave a promise`);
}

function notPure(what: string): TypeError {
  return new TypeError(`${what} is not pure: a second run with the same arguments gave something else`);
}

/** Whether something that was thrown, which can be anything, says that a space was used. */
function isReadOnly(thrown: unknown): boolean {
  try {
    return isStemmaError(thrown) && thrown.code === "E_READONLY";
  } catch {
    return false;
  }
}

/** What cannot be stored, as the state itself inside a delta, is refused by its prototype. */
class State {}

function refuse(): never {
  throw new TypeError("the state is read-only: a reducer gives what changes");
}

/** The state for a reducer: not a copy for each event, for that would cost the square of what events add to it. */
function readOnly(state: Record<string, Value>): ObjectState {
  const traps = { set: refuse, defineProperty: refuse, deleteProperty: refuse, setPrototypeOf: refuse, preventExtensions: refuse };
  const get = (of: Record<string, Value>, key: string) => lent(of[key]);
  const getOwnPropertyDescriptor = (of: Record<string, Value>, key: string) => {
    const found = Object.getOwnPropertyDescriptor(of, key);
    return found && { ...found, value: lent(found.value) };
  };
  return new Proxy(state, { ...traps, get, getOwnPropertyDescriptor, getPrototypeOf: () => State.prototype } as ProxyHandler<object>) as ObjectState;
}

function lent<T>(value: T): T {
  return typeof value === "object" && isBytes(value) ? (value.slice() as T) : value;
}

function isSame(a: ObjectState, b: ObjectState): boolean {
  const keys = Object.keys(a);
  const isEqual = (x: Value, y: Value) => Object.is(x, y) || (typeof x === "object" && typeof y === "object" && textOf(x) === textOf(y));
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && isEqual(a[key] as Value, b[key] as Value));
}

/** A text that is the same for equal deltas only. */
function written(delta: StateDelta | undefined): string {
  if (!delta) return "nothing";
  const fields = Object.entries(delta).map(([key, value]) => `${JSON.stringify(key)}${value === REMOVE ? "-" : `:${textOf(value as Value)}`}`);
  return fields.sort().join();
}

/** Events between two states that are kept. */
const CHECKPOINT = 256;

/** A function that takes longer is reported. */
const SLOW_MS = 100;
