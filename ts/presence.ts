/**
 * Presence: who is here, and what they show of themselves. Signed and encrypted as everything, kept by nobody.
 *
 * Invariant: what this session shows is remembered here, so that another engine goes on with it.
 */

import { argumentError, checkFunction, checkShortString } from "./check.js";
import { Listeners, type ListenOptions } from "./listeners.js";
import type { Pump } from "./pump.js";
import { assign, copyOf, freeze, isBytes, isPlain, type Value, wellFormed } from "./value.js";

/** What a session shows, by field. */
export type PresenceState = { readonly [field: string]: Value };

/** Another session that is here: one opening of the space, a tab perhaps. Frozen; the same object until it shows something else. */
export interface Present {
  /** Whose session it is, as its signature says. */
  readonly member: string;
  readonly actor: string;
  readonly state: PresenceState;
  /** When it was heard last as this object was made, ms since 1970 by the clock here. */
  readonly lastSeen: number;
}

/**
 * Who is here. Whoever looks is seen: the first call of any method here shows this session to all members that are connected,
 * through a relay or a port, until {@link leave} or {@link Space.close}.
 *
 * What it shows goes out by the field, at most twenty times a second, and is gone at the others 30 s after it was last heard. It
 * is signed by the actor of this tab and sealed for the members: a relay can read none of it, and no member can speak for
 * another. What was recorded before somebody came is not shown to them; but whoever carries the messages can hold some back, and pass
 * them on later. A peer on a port passes on nothing that it heard from others.
 */
export class Presence {
  readonly #pump: Pump;
  readonly #listeners = new Listeners<ReadonlyMap<string, Present>>();
  #state: PresenceState | undefined;
  #others = NOBODY;
  #revisions = new Map<string, number>();

  /** @internal */
  constructor(pump: Pump) {
    this.#pump = pump;
  }

  /** The id of this session, 32 hex digits: the others find it under that. Another one after {@link leave}, and with another actor. */
  get session(): string {
    this.#begin();
    return this.#pump.read((engine) => engine.presenceSession()) ?? this.#shown();
  }

  /** What this session shows. */
  get state(): PresenceState {
    this.#begin();
    return this.#state as PresenceState;
  }

  /** The same without showing this session, if it is not seen. @internal */
  get shown(): PresenceState | undefined {
    return this.#state;
  }

  /** The others, by session: the same map, which nobody can write into, until somebody comes, goes, or shows something else. */
  get others(): ReadonlyMap<string, Present> {
    this.#begin();
    this.review();
    return this.#others;
  }

  /** Shows this, and nothing else. Together the fields take up to 8,192 bytes as the format writes them, the name of one up to 4,096. */
  set(state: PresenceState): void {
    checkFields(state, "state");
    const shown = copyOf(state, "state") as PresenceState;
    for (const field of Object.keys(shown)) checkShortString(field, "state");
    this.#show(shown);
  }

  /** Shows some fields otherwise; `undefined` takes one away. The others are told of these alone. */
  update(partial: { readonly [field: string]: Value | undefined }): void {
    checkFields(partial, "partial");
    const state: Record<string, Value> = { ...this.#state };
    for (const [field, value] of Object.entries(partial)) {
      checkShortString(field, "partial");
      if (value === undefined) delete state[wellFormed(field)];
      else assign(state, wellFormed(field), copyOf(value, `partial.${field}`));
    }
    this.#show(state);
  }

  /** Told when somebody comes, goes, or shows something else. Returns what ends it. */
  subscribe(cb: (others: ReadonlyMap<string, Present>) => void, o?: ListenOptions): () => void {
    checkFunction(cb, "cb");
    this.#begin();
    return this.#listeners.add(cb, o);
  }

  /** This session is not seen any more, and sees nobody, until it is used again. Its own listeners are not told. */
  leave(): void {
    this.#state = undefined;
    this.#forget();
    this.#pump.call((engine) => engine.presenceLeave());
  }

  /** Somebody gave a sign of life, or is gone. @internal */
  review(): void {
    const rows = this.#pump.read((engine) => engine.presenceOthers());
    const same = rows.length === this.#others.size && rows.every(([session, , , , revision]) => this.#revisions.get(session) === revision);
    if (same) return;
    const others = new Map<string, Present>();
    const revisions = new Map<string, number>();
    for (const [session, member, actor, lastSeen, revision] of rows) {
      const known = this.#revisions.get(session) === revision ? this.#others.get(session) : undefined;
      const state = () => freeze(this.#pump.read((engine) => engine.presenceState(session)) ?? {}) as PresenceState;
      others.set(session, known ?? Object.freeze({ member, actor, state: state(), lastSeen }));
      revisions.set(session, revision);
    }
    this.#others = new Others(others);
    this.#revisions = revisions;
    this.#listeners.emit(this.#others);
  }

  /** Goes on with another engine, or after the page was out of sight. @internal */
  restore(): void {
    const state = this.#state;
    this.#forget();
    if (state) this.#pump.post((engine) => engine.presenceSet(state));
  }

  /** The page goes out of sight for good, or may. @internal */
  hide(): void {
    this.#forget();
    this.#pump.post((engine) => engine.presenceLeave());
  }

  #begin(): void {
    if (this.#state) this.#pump.check();
    else this.#show({});
  }

  /** The engine tells listeners before it returns: what they then show goes on from this. */
  #show(state: PresenceState): void {
    const before = this.#state;
    this.#state = freeze(state);
    try {
      this.#pump.call((engine) => engine.presenceSet(state));
    } catch (error) {
      if (this.#state === state) this.#state = before;
      throw error;
    }
  }

  /** Where the page was out of sight for a moment the session begins again. */
  #shown(): string {
    this.restore();
    return this.#pump.read((engine) => engine.presenceSession()) ?? "";
  }

  /** The engine counts what the others show from the start again. */
  #forget(): void {
    this.#others = NOBODY;
    this.#revisions = new Map();
  }
}

/** A map that nobody can write into: the same one is handed to all who ask. */
class Others implements ReadonlyMap<string, Present> {
  readonly #bySession: ReadonlyMap<string, Present>;

  constructor(bySession: ReadonlyMap<string, Present>) {
    this.#bySession = bySession;
    Object.freeze(this);
  }

  get size(): number {
    return this.#bySession.size;
  }

  get(session: string): Present | undefined {
    return this.#bySession.get(session);
  }

  has(session: string): boolean {
    return this.#bySession.has(session);
  }

  keys(): MapIterator<string> {
    return this.#bySession.keys();
  }

  values(): MapIterator<Present> {
    return this.#bySession.values();
  }

  entries(): MapIterator<[string, Present]> {
    return this.#bySession.entries();
  }

  [Symbol.iterator](): MapIterator<[string, Present]> {
    return this.#bySession.entries();
  }

  forEach(cb: (present: Present, session: string, others: ReadonlyMap<string, Present>) => void, self?: unknown): void {
    this.#bySession.forEach((present, session) => cb.call(self, present, session, this));
  }
}

const NOBODY = new Others(new Map());

function checkFields(state: unknown, argument: string): asserts state is object {
  const isObject = typeof state === "object" && state !== null && !Array.isArray(state) && !isBytes(state) && isPlain(state);
  if (!isObject) throw argumentError(argument, `${argument} is not an object of fields`);
}
