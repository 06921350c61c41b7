/**
 * The objects that events define, as they are read: now, or in a view.
 *
 * Invariant: what is kept of an object is what the engine would give. Before anything is answered the engine is asked what
 * changed, and the reductions of an object go back to the last event that is as it was. A view does not change.
 */

import { checkInteger, checkOptions, checkShortString } from "./check.js";
import type { SpaceCore } from "./core.js";
import { checkType, type ObjectState } from "./definition.js";
import { purely } from "./purity.js";
import { live, type Live, liveOptions, type QueryOptions, type ReadOptions, select } from "./query.js";
import { fit, type LeftOut, type Reducing, Reduction } from "./reduce.js";
import { Events, Numbers, type RawEvent } from "./unpacked.js";
import { freeze, type Value, wellFormed } from "./value.js";

/** One event of an object, as it was written. */
export interface EventInfo {
  /** `"changeset:index"`, which {@link Policy.exclude} takes; `""` while its transaction runs. */
  readonly id: string;
  /** Absent where no content that is here says it. */
  readonly type?: string;
  /** What was said, made into the version that is defined here where it can be. */
  readonly data: Value;
  /** When its author says it happened, ms since 1970. */
  readonly time: number;
  readonly member: string;
  readonly actor: string;
  readonly changeset: string;
  /** Whether it is applied, or why not. `"failed"`: its `upcast` threw. `"misfit"`: {@link fields} are missing or hold something else. */
  readonly status: "applied" | "failed" | LeftOut;
  readonly fields?: readonly string[];
}

/** What is known of an object. */
interface Known {
  readonly subject: number;
  readonly id: string;
  /** Nothing where nothing made it. */
  type: string | undefined;
  /** Whether its type is known to be what it was. */
  isTyped: boolean;
  /** By access; those that lack events are not in {@link current}. */
  readonly reductions: Map<number, Reduction>;
  readonly current: Set<Reduction>;
}

export class Reducers {
  /** Grows whenever something may read differently. */
  version = 0;
  readonly #space: SpaceCore;
  readonly #view: (() => number) | undefined;
  #names = new Numbers();
  readonly #known = new Map<number, Known>();
  readonly #ids = new Map<string, number>();
  readonly #lists = new Map<string, readonly Known[]>();
  #generation = -1;
  #refolds = 0;
  #definitions = 0;

  /** `view`: its number, if it is open. */
  constructor(space: SpaceCore, view?: () => number) {
    this.#space = space;
    this.#view = view;
  }

  /** What stands behind {@link Readable.read}. */
  read(id: unknown, o: ReadOptions & { live?: boolean } = {}): ObjectState | undefined | Live<ObjectState | undefined> {
    checkShortString(id, "id");
    checkOptions(o, "o", ["access", "live", "signal"]);
    const access = checkAccess(o.access);
    const read = () => this.#read(id, access);
    return liveOptions(o) ? live(this.#space, this, read, o.signal) : read();
  }

  /** What stands behind {@link Readable.query}. */
  query(type: unknown, o: QueryOptions & { live?: boolean } = {}): readonly ObjectState[] | Live<readonly ObjectState[]> {
    checkType(type);
    checkOptions(o, "o", ["access", "where", "orderBy", "limit", "live", "signal"]);
    const access = checkAccess(o.access);
    const choose = select(o);
    const query = () => Object.freeze(choose(this.#all(type, access)));
    return liveOptions(o) ? live(this.#space, this, query, o.signal) : query();
  }

  /** What stands behind {@link Readable.events}. */
  events(id: unknown): readonly EventInfo[] {
    checkShortString(id, "id");
    this.refresh();
    const known = this.#meet(id);
    if (!known) return Object.freeze([]);
    const events = this.#ask([known], [0]);
    events.begin();
    const type = events.objectType;
    const infos: EventInfo[] = [];
    purely(() => {
      while (type !== undefined && events.left > 0) {
        events.next();
        infos.push(infoOf(events.raw(), type, this.#space.definitions));
      }
    });
    return freeze(infos);
  }

  /** Whether there is an object, whatever it shows. */
  has(id: string): boolean {
    this.refresh();
    const known = this.#meet(id);
    return known !== undefined && this.#typeOf(known) !== undefined;
  }

  /** The engine's number of an object, nothing if nobody ever spoke of it. */
  numberOf(id: string): number | undefined {
    this.refresh();
    return this.#meet(id)?.subject;
  }

  /** How many events of the objects that were read do not fit their definitions. */
  get misfits(): number {
    let misfits = 0;
    for (const { reductions } of this.#known.values()) misfits += reductions.values().next().value?.misfits ?? 0;
    return misfits;
  }

  /** Asks the engine what changed, and forgets that. */
  refresh(): void {
    const { pump, definitions } = this.#space;
    const view = this.#view?.();
    if (this.#generation !== pump.generation) this.#forget();
    this.#generation = pump.generation;
    if (this.#definitions !== definitions.version) {
      this.#definitions = definitions.version;
      this.version++;
      for (const known of this.#known.values()) drop(known);
    }
    if (view !== undefined) return;
    const changes = pump.read((engine) => engine.eventChanges());
    const refolds = changes[0] as number;
    if (refolds !== this.#refolds) {
      this.#refolds = refolds;
      return this.#forget();
    }
    if (changes[1] === 1) this.#lists.clear();
    if (changes.length > 2) this.version++;
    for (let i = 2; i < changes.length; i += 2) {
      const known = this.#known.get(changes[i] as number);
      if (!known) continue;
      known.isTyped = false;
      known.current.clear();
      for (const reduction of known.reductions.values()) reduction.rewind(changes[i + 1] as number);
    }
  }

  #forget(): void {
    this.version++;
    this.#names = new Numbers();
    this.#known.clear();
    this.#ids.clear();
    this.#lists.clear();
  }

  #read(id: string, access: number): ObjectState | undefined {
    this.refresh();
    const known = this.#meet(id);
    if (!known) return undefined;
    this.#advance([known], access);
    return known.reductions.get(access)?.shown;
  }

  #all(type: string, access: number): ObjectState[] {
    this.refresh();
    const list = this.#listOf(type);
    this.#advance(list, access);
    // Whatever made them may be of another type by now only if it changed, and then the list was asked for anew.
    return list.map((known) => known.reductions.get(access)?.shown as ObjectState);
  }

  /** Applies what the reductions of some objects lack, asked for in one call. */
  #advance(objects: readonly Known[], access: number): void {
    let behind = objects.filter((known) => !isCurrent(known, access));
    while (behind.length > 0) {
      const froms = behind.map(({ reductions }) => reductions.get(access)?.position ?? 0);
      const events = this.#ask(behind, froms);
      behind = behind.filter((known, i) => !this.#take(known, access, froms[i] as number, events));
    }
  }

  /** Whether the events were those that one lacks. */
  #take(known: Known, access: number, from: number, events: Events): boolean {
    events.begin();
    const type = events.objectType;
    if (known.type !== type) drop(known);
    known.type = type;
    known.isTyped = true;
    if (type === undefined) return true;
    let reduction = known.reductions.get(access);
    if (!reduction) known.reductions.set(access, (reduction = new Reduction(known.id, type, access)));
    if (reduction.position !== from) return false;
    reduction.advance(events, this.#space.definitions);
    known.current.add(reduction);
    return true;
  }

  /** Events of objects, of each from the one of a number on, and their types. */
  #ask(objects: readonly Known[], froms: readonly number[]): Events {
    const subjects = objects.map(({ subject }) => subject);
    return this.#space.pump.read((engine) => new Events(engine, this.#names, subjects, froms, this.#view?.()));
  }

  #typeOf(known: Known): string | undefined {
    if (!known.isTyped) {
      const events = this.#ask([known], [NO_EVENTS]);
      events.begin();
      const type = events.objectType;
      if (known.type !== type) drop(known);
      known.type = type;
      known.isTyped = true;
    }
    return known.type;
  }

  #listOf(type: string): readonly Known[] {
    const sound = wellFormed(type);
    let list = this.#lists.get(sound);
    if (!list) {
      const answer = this.#space.pump.read((engine) => engine.eventObjects(sound, this.#view?.()));
      const [subjects, ids] = answer as [Uint32Array, string[]];
      list = ids.map((id, i) => this.#know(subjects[i] as number, id));
      this.#lists.set(sound, list);
    }
    return list;
  }

  #meet(id: string): Known | undefined {
    const sound = wellFormed(id);
    let subject = this.#ids.get(sound);
    if (subject === undefined) {
      subject = this.#space.pump.read((engine) => engine.eventSubject(sound));
      if (subject < 0) return undefined;
      this.#ids.set(sound, subject);
    }
    return this.#know(subject, sound);
  }

  #know(subject: number, id: string): Known {
    let known = this.#known.get(subject);
    if (known) return known;
    known = { subject, id, type: undefined, isTyped: false, reductions: new Map(), current: new Set() };
    this.#known.set(subject, known);
    return known;
  }
}

function isCurrent({ type, isTyped, reductions, current }: Known, access: number): boolean {
  const reduction = reductions.get(access);
  return isTyped && (type === undefined || (reduction !== undefined && current.has(reduction)));
}

function drop({ reductions, current }: Known): void {
  reductions.clear();
  current.clear();
}

function infoOf(event: RawEvent, type: string, by: Reducing): EventInfo {
  const { id, time, member, actor, changeset } = event;
  const common = { id, ...(event.type === undefined ? {} : { type: event.type }), data: event.data, time, member, actor, changeset };
  try {
    const fits = fit(event, type, by);
    if (!fits) return { ...common, status: "applied" };
    if ("left" in fits) return { ...common, status: fits.left, ...(fits.fields ? { fields: fits.fields } : {}) };
    return { ...common, data: fits.data, status: "applied" };
  } catch {
    return { ...common, status: "failed" };
  }
}

function checkAccess(access: unknown): number {
  if (access === undefined) return 0;
  checkInteger(access, "access", 0, Number.MAX_SAFE_INTEGER);
  return access;
}

/** More than any object has. */
const NO_EVENTS = 0xffff_ffff;
