/**
 * Presence: who is here, and what they show of themselves. Signed and encrypted as everything, kept by nobody.
 *
 * Invariant: what this session shows is remembered here, so that another engine goes on with it.
 */

import { argumentError, checkFunction, checkShortString } from "./check.js";
import { Listeners, type ListenOptions } from "./listeners.js";
import type { Pump } from "./pump.js";
import { assign, copyOf, freeze, isBytes, isPlain, textOf, type Value, wellFormed } from "./value.js";

/** What a session shows, by field. */
export type PresenceState = { readonly [field: string]: Value };

/** What a session says to others about connecting with it, by the session that it says it to. */
export type Signals = { readonly [session: string]: Value };

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
  /** Told when somebody says something about direct connections. @internal */
  onSignals: (() => void) | undefined;
  /** What sessions of other members say about direct connections, of those that make any. @internal */
  signals: ReadonlyMap<string, Signals> = new Map();
  #signals: Signals | undefined;
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

  /** Says this about direct connections; nothing if it does not fit beside what is shown. @internal */
  signal(signals: Signals | undefined): void {
    if (!this.#pump.isOpen || textOf(signals ?? null) === textOf(this.#signals ?? null)) return;
    const before = this.#signals;
    this.#signals = signals;
    if (!signals && !this.#state) return;
    try {
      this.#show(this.#state ?? {});
    } catch {
      this.#signals = before;
    }
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
    const signals = new Map<string, Signals>();
    const me = this.#pump.read((engine) => engine.member());
    for (const [session, member, actor, lastSeen, revision] of rows) {
      const isKnown = this.#revisions.get(session) === revision;
      const known = isKnown ? this.#others.get(session) : undefined;
      const shown = known ? {} : this.#shownBy(session);
      others.set(session, known ?? Object.freeze({ member, actor, state: shown.state ?? {}, lastSeen }));
      revisions.set(session, revision);
      const said = known ? this.signals.get(session) : shown.signals;
      if (said && member !== me) signals.set(session, said);
    }
    this.#others = new Others(others);
    this.#revisions = revisions;
    this.signals = signals;
    this.#listeners.emit(this.#others);
    this.onSignals?.();
  }

  /** What another session shows, and what it says about direct connections. */
  #shownBy(session: string): { state?: PresenceState; signals?: Signals } {
    const all = this.#pump.read((engine) => engine.presenceState(session)) as PresenceState | undefined;
    if (!all) return {};
    const { [SIGNALS]: signals, ...state } = all;
    return { state: freeze(state), ...(isObject(signals) ? { signals: signals as Signals } : {}) };
  }

  /** Goes on with another engine, or after the page was out of sight. @internal */
  restore(): void {
    const state = this.#state;
    this.#forget();
    if (state) this.#pump.post((engine) => engine.presenceSet(this.#whole(state)));
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
      this.#pump.call((engine) => engine.presenceSet(this.#whole(state)));
    } catch (error) {
      if (this.#state === state) this.#state = before;
      throw error;
    }
  }

  #whole(state: PresenceState): PresenceState {
    return this.#signals ? { ...state, [SIGNALS]: this.#signals as Value } : state;
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
    this.signals = new Map();
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
  if (!isObject(state)) throw argumentError(argument, `${argument} is not an object of fields`);
  if (Object.hasOwn(state, SIGNALS)) throw argumentError(argument, `the field ${SIGNALS} is this package's own`);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !isBytes(value) && isPlain(value);
}

/** The field for what is said about direct connections. */
const SIGNALS = "stemma/direct";
