/**
 * What stands behind a {@link Space}: wires the engine to storage, connections, tabs and listeners.
 *
 * Invariant: every output of the engine is handled here, once; caches forget before listeners are told; after a crash
 * the same handles, listeners and waits go on with the next engine.
 */

import { Audit } from "./audit.js";
import { Blobs } from "./blob.js";
import { type Change, changesOf, reloadOf } from "./change.js";
import { argumentError } from "./check.js";
import { type CommitObserver, CommitQueue } from "./commits.js";
import { StemmaError } from "./errors.js";
import type { Home, Residence } from "./home.js";
import { Consent } from "./consent.js";
import { Definitions } from "./emit.js";
import { type Dial, Links } from "./links.js";
import { Listeners, type ListenOptions } from "./listeners.js";
import { MemoryStorage } from "./memory.js";
import { type Handle, handleOf } from "./handle.js";
import { ObjectCore } from "./object.js";
import { Policy } from "./policy.js";
import { Presence } from "./presence.js";
import { type Outlet, Pump } from "./pump.js";
import { type EngineChange, type Kind, KINDS, kindOf, type ObjectOptions, type Output } from "./replica.js";
import { Reducers } from "./reducers.js";
import { Relays } from "./relays.js";
import { Rows } from "./rows.js";
import { Snapshots } from "./snapshots.js";
import type { SpaceEvents } from "./space.js";
import type { StorageAdapter } from "./storage.js";
import { Subjects } from "./subjects.js";
import { SyncCore } from "./sync.js";
import { DISCARDED, Transactions } from "./transaction.js";
import { watchPage } from "./page.js";
import { textOf, type Value, wellFormed } from "./value.js";
import { makeView } from "./view.js";
import { abortable, Waiters } from "./waiters.js";
import { Saves } from "./write.js";

/** The origin of what an engine says while it is given the rows of its own database. */
export const LOADED = Symbol("loaded");

export class SpaceCore implements Outlet, CommitObserver {
  readonly pump: Pump;
  readonly commits: CommitQueue;
  readonly links: Links;
  readonly sync: SyncCore;
  readonly policy = new Policy(this);
  readonly consent = new Consent(this);
  readonly subjects = new Subjects(this);
  readonly audit = new Audit(this);
  readonly blobs = new Blobs(this);
  readonly presence: Presence;
  readonly definitions = new Definitions(this);
  readonly reducers = new Reducers(this);
  /** Objects that events define may read otherwise. */
  readonly eventful = new Listeners<void>();
  readonly transactions: Transactions;
  readonly snapshots: Snapshots;
  readonly changes = new Listeners<readonly Change[]>();
  closing: Promise<void> | undefined;
  /** How often something was erased: views forget what they kept. */
  erasures = 0;
  /** Called when it is closed for good. */
  onClosed = () => {};

  readonly #home: Home;
  readonly #saves: Saves;
  readonly #rows: Rows;
  readonly #relays: Relays;
  readonly #events = {
    sync: new Listeners<SpaceEvents["sync"]>(),
    storage: new Listeners<StemmaError>(),
    policy: new Listeners<Policy>(),
    consent: new Listeners<Consent>(),
    evidence: new Listeners<Audit>(),
    subjects: new Listeners<Subjects>(),
    error: new Listeners<StemmaError>(),
  };
  readonly #unheard: Fault[] = [];
  /** By the engine's number. */
  readonly #objects = new Map<number, Known>();
  /** Those that were asked for by name. */
  readonly #asked = new Set<ObjectCore>();
  /** By name, of those that were asked for without options. */
  readonly #plain = new Map<string, Known>();
  readonly #cores = new WeakMap<Handle, ObjectCore>();
  /** Those who wait for more changesets. */
  readonly #growth = new Waiters<null>();
  readonly #quarantined = new Set<string>();
  readonly #endWatch: () => void;
  #residence: Residence;
  #recovery: Promise<void> | undefined;
  #blindCrashes = 0;
  #changed: Change[] = [];
  #faults: Fault[] = [];
  /** Something was handed over to be stored. */
  #mayBeSealed = false;
  #news = new Set<News>();
  #looksAt: SpaceCore | undefined;
  /** Other tabs are about to be told of rows. */
  #tellsRows = false;

  constructor(home: Home, residence: Residence, dial: { dial: Dial; canDial: () => boolean }) {
    this.#home = home;
    this.#residence = residence;
    this.pump = new Pump(residence.engine, this);
    this.commits = new CommitQueue(residence.storage, this);
    this.links = new Links(this.pump, dial.dial, (fault) => this.report("error", fault));
    const onStorage = (fault: StemmaError) => this.report("storage", fault);
    this.#rows = new Rows(this.pump, residence, onStorage, () => this.#relays.tell());
    this.#relays = new Relays(this.pump, this.#rows, () => this.#residence, () => this.#retell(), onStorage);
    this.presence = new Presence(this.pump);
    this.sync = new SyncCore(this.pump, this.links, this.#relays, this.presence, dial.canDial, () => this.#retell());
    this.#saves = new Saves(this.pump);
    this.transactions = new Transactions(this.pump, this.#saves, () => this.#forget());
    const lastRow = () => this.#rows.last;
    this.snapshots = new Snapshots(this.pump, home, residence, lastRow, onStorage);
    this.#endWatch = watchPage({
      hide: () => this.pump.post((engine) => engine.flush()),
      show: () => this.#rows.catchUp(),
      leave: () => (this.presence.hide(), this.#relays.leave()),
      enter: () => (this.presence.restore(), this.#relays.enter()),
    });
    this.#watch();
  }

  /** Seals and stores what is open, and waits for the bytes of all that is known: before something is exported. */
  async stored(what: string): Promise<void> {
    this.transactions.refuse(what);
    // An own changeset is left out until it is stored. One that cannot be is signed anew, and is in.
    await this.transactions
      .flush()
      .saved("local")
      .catch(() => {});
    await this.snapshots.whole();
    if (this.pump.peek((engine) => engine.isWhole()) === false) {
      throw new StemmaError("E_STORAGE_LOST", `${what}: changesets that are shown here were lost from the store`);
    }
  }

  /** Where the space is stored now. */
  get storage(): StorageAdapter {
    return this.#residence.storage;
  }

  /** Resolves when the log has more than so many changesets that are stored, or when all have other numbers. */
  async grown(beyond: number, signal: AbortSignal | undefined): Promise<void> {
    if (!this.#recovery) this.pump.check();
    const grown = this.#growth.add(null, signal);
    this.pump.post((engine) => engine.tellGrowth(beyond));
    await grown;
  }

  /** Whether another engine is on its way; if so, resolves when it is here, or never will be. */
  recovered(signal: AbortSignal | undefined): Promise<void> | undefined {
    return this.#recovery && abortable(this.#recovery, signal);
  }

  /** Goes on with what an opening leaves for later. */
  settleIn(): void {
    this.snapshots.consider();
  }

  /** The handle of a name, the same every time. Throws `E_ARGUMENT` if the name was asked for as something else. */
  object(name: string, kind: Kind, options?: ObjectOptions): Handle {
    this.pump.check();
    const sound = wellFormed(name);
    const plain = options === undefined ? this.#plain.get(sound) : undefined;
    if (plain?.core.kind === kind) return plain.handle;
    const number = this.pump.read((engine) => engine.object(sound, KINDS[kind], options, true));
    const known = this.#object(sound, kind, options, number);
    this.#asked.add(known.core);
    if (options === undefined) this.#plain.set(sound, known);
    return known.handle;
  }

  /** The handle of an object under a key of a map, the same every time. */
  child(map: ObjectCore, key: string, kind: Kind, options: ObjectOptions | undefined): Handle {
    this.pump.check();
    const asked = options === undefined ? map.knownChild(key, kind) : undefined;
    const known = asked && this.#objects.get(asked.number);
    if (known) return known.handle;
    const number = this.pump.read((engine, of) => engine.mapChild(of, key, KINDS[kind], options), map.number);
    return this.#object(key, kind, options, number, map).handle;
  }

  /** The same for one that the engine gave the number of. */
  childAt(map: ObjectCore, key: string, number: number): Handle | undefined {
    const known = this.#objects.get(number);
    if (known) return known.handle;
    const { kind: code, options } = this.pump.read((engine) => engine.origin(number));
    const kind = kindOf(code);
    return kind && this.#object(key, kind, options, number, map).handle;
  }

  /** Takes a fresh link for the member who is here. Throws `E_INVITE` for another space's. */
  rejoin(invite: string): void {
    this.pump.call((engine) => engine.rejoin(invite));
    this.#relays.take();
  }

  /** The engine's number of a handle, which must be of this space. */
  numberOf(handle: unknown, argument = "object"): number {
    const core = typeof handle === "object" && handle !== null ? this.coreOf(handle as Handle) : undefined;
    if (!core) throw argumentError(argument, `${argument} is not a handle of this space`);
    return core.number;
  }

  /** What stands behind a handle; nothing behind one of another space, or of a view. */
  coreOf(handle: Handle): ObjectCore | undefined {
    return this.#cores.get(handle);
  }

  /** What stands behind the object of a number; nothing if nobody can ask for it. */
  coreAt(number: number): ObjectCore | undefined {
    return this.#meet(number)?.core;
  }

  on<Type extends keyof SpaceEvents>(type: Type, cb: (event: SpaceEvents[Type]) => void, o?: ListenOptions): () => void {
    const listeners = this.#events[type] as unknown as Listeners<SpaceEvents[Type]>;
    const remove = listeners.add(cb, o);
    const heard = this.#unheard.filter((kept) => kept.type === type);
    if (heard.length > 0) {
      queueMicrotask(() => {
        for (const kept of heard) {
          const index = this.#unheard.indexOf(kept);
          if (index >= 0 && listeners.size > 0) this.#unheard.splice(index, 1) && listeners.emit(kept.fault as SpaceEvents[Type]);
        }
      });
    }
    return remove;
  }

  /** Tells of a fault; the last few are kept for whoever listens later, if nobody does yet. */
  report(type: "storage" | "error", fault: StemmaError): void {
    if (this.#events[type].size > 0) return this.#events[type].emit(fault);
    this.#unheard.push({ type, fault });
    if (this.#unheard.length > UNHEARD_MAX) this.#unheard.shift();
  }

  // What the engine wants.

  heard(output: Output): void {
    // Entries of ledgers say who speaks for them and against them.
    if (output.type === "policy") for (const { core } of this.#objects.values()) if (core.kind === "ledger") core.forgetOwn([]);
    if (output.type === "erase") {
      // Names that were forgotten tell nobody of which keys.
      this.#forget();
      this.erasures++;
    }
    if (output.type !== "change") return;
    for (const { object, keys } of output.changes) {
      const known = this.#objects.get(object);
      if (!known) continue;
      const { core, handle } = known;
      core.forgetOwn(handle.kind === "list" || handle.kind === "ledger" ? [] : keys?.map((key) => (handle.kind === "map" ? (key as string) : textOf(key as Value))));
    }
  }

  handle(output: Output, origin: unknown): void {
    switch (output.type) {
      case "change":
        for (const change of output.changes) this.#noteChange(change, origin);
        return;
      case "commit":
        this.#mayBeSealed = true;
        this.audit.journal.storing(output.id, output.batch.put);
        return this.commits.add(output);
      case "draft":
        return this.commits.draft(output);
      case "dial":
        return this.links.dial(output.session, output.url);
      case "send":
        return this.links.send(output.session, output.bytes);
      case "close":
        return this.links.close(output.session);
      case "saved":
        if (output.tier === "relay") this.#relays.acked(output.ids);
        return this.#saves.settle(output.tier, output.ids);
      case "rows":
        return this.#tellRows();
      case "tabs":
        return this.#residence.tabs?.post({ said: output.said, bytes: output.bytes });
      case "supply":
        return void this.snapshots.whole();
      case "erase":
        return this.snapshots.erase(() => this.commits.idle());
      case "sync":
      case "presence":
      case "events":
      case "policy":
      case "consent":
      case "evidence":
      case "subjects":
        return void this.#news.add(output.type);
      case "look":
        return this.#look();
      case "noted":
        return this.audit.journal.more();
      case "trim":
        return void this.audit.journal.trim((work, run) => this.#home.alone(work, run)).catch((error) => this.report("storage", StemmaError.from(error, "E_STORAGE_LOST") as StemmaError));
      case "grown":
        return this.#growth.settle(() => true);
      case "storage":
      case "error":
        this.#faults.push({ type: output.type, fault: faultOf(output) });
    }
  }

  notify(): void {
    if (this.#mayBeSealed) this.#saves.nameSealed();
    this.#mayBeSealed = false;
    const changes = this.#changed;
    if (changes.length > 0) this.#changed = [];
    const news = this.#news;
    const faults = this.#faults;
    const isNews = news.size + faults.length > 0; // not after a keystroke
    if (isNews) [this.#news, this.#faults] = [new Set(), []];
    if (!this.pump.isOpen) return;
    if (changes.length > 0) this.#tell(Object.freeze(changes));
    if (isNews) this.#tellNews(news, faults);
    if (this.pump.isOpen) this.sync.review();
    this.#relays.tell();
  }

  #tellNews(news: ReadonlySet<News>, faults: readonly Fault[]): void {
    const has = (what: News) => news.has(what) && this.pump.isOpen;
    if (has("events")) this.eventful.emit();
    for (const { type, fault } of faults) this.report(type, fault);
    if (faults.length > 0 || (news.has("sync") && this.sync.refusal !== undefined)) this.#saves.review();
    if (has("sync")) this.#events.sync.emit(this.sync.state);
    if (has("policy")) this.#events.policy.emit(this.policy);
    if (has("consent")) this.#events.consent.emit(this.consent);
    if (has("evidence")) this.#events.evidence.emit(this.audit);
    if (has("subjects")) this.#events.subjects.emit(this.subjects);
    if (has("presence")) this.presence.review();
  }

  /** A first look is an engine of its own, beside this one, or it is over. */
  #look(): void {
    this.#endLook();
    const engine = this.pump.peek((engine) => engine.takeLook());
    if (engine) {
      const residence = { engine, storage: new MemoryStorage(), lastRow: 0 };
      const look = new SpaceCore(this.#home.beside(), residence, { dial: nobody, canDial: () => false });
      this.definitions.definitions.forEach((definition, type) => look.definitions.definitions.set(type, definition));
      this.#looksAt = look;
      this.sync.firstLook = makeView(look, {}, "view");
    }
    this.#news.add("sync");
  }

  #endLook(): void {
    this.#looksAt?.abandon().catch(() => {}); // of an engine that trapped
    this.#looksAt = this.sync.firstLook = undefined;
  }

  /** Once for what was stored together. */
  #tellRows(): void {
    if (this.#tellsRows || !this.#residence.tabs) return;
    this.#tellsRows = true;
    queueMicrotask(() => {
      this.#tellsRows = false;
      this.#residence.tabs?.post(0);
    });
  }

  /** A tab that speaks with a relay says how it stands. */
  #retell(): void {
    this.#news.add("sync");
    this.notify();
  }

  #noteChange(change: EngineChange, origin: unknown): void {
    const known = origin === LOADED ? undefined : this.#meet(change.object);
    if (!known) return; // nobody can have a handle of it
    if (origin === DISCARDED && change.source === "local") return;
    if (known.core.isHeard) for (const one of changesOf(change, known.handle, origin)) this.#changed.push(one);
  }

  #tell(changes: readonly Change[]): void {
    this.changes.emit(changes);
    const first = (changes[0] as Change).object;
    if (changes.every(({ object }) => object === first)) return this.#cores.get(first)?.listeners.emit(changes);
    const byObject = new Map<Handle, Change[]>();
    for (const change of changes) {
      const list = byObject.get(change.object);
      if (list) list.push(change);
      else byObject.set(change.object, [change]);
    }
    for (const [handle, list] of byObject) this.#cores.get(handle)?.listeners.emit(Object.freeze(list));
  }

  /** An object by its number; nothing if no content that is here says what it is. At most so many maps are above it as may be. */
  #meet(number: number): Known | undefined {
    const known = this.#objects.get(number);
    if (known) return known;
    const origin = this.pump.peek((engine) => engine.origin(number));
    const kind = kindOf(origin?.kind ?? 0);
    if (!origin || !kind) return undefined;
    if (origin.name !== undefined) return this.#object(origin.name, kind, origin.options, number);
    if (origin.map === undefined || origin.key === undefined) return undefined;
    const map = this.#meet(origin.map);
    return map && this.#object(origin.key, kind, origin.options, number, map.core);
  }

  #object(name: string, kind: Kind, options: ObjectOptions | undefined, number: number, map?: ObjectCore): Known {
    const known = this.#objects.get(number);
    if (known) return known;
    const core = new ObjectCore(this, name, kind, options, number, map);
    const handle = handleOf(core);
    const made = { core, handle };
    this.#objects.set(number, made);
    this.#cores.set(handle, core);
    return made;
  }

  /** Another engine numbers the objects anew, and knows nothing of what names were asked for as. */
  #bindAgain(): void {
    const all = [...this.#objects.values()];
    this.#objects.clear();
    for (const known of all) this.#objects.set(known.core.number, known);
    for (const { name, kind, options } of this.#asked) this.pump.read((engine) => engine.object(name, KINDS[kind], options, true));
  }

  #forget(): void {
    for (const { core } of this.#objects.values()) core.forgetOwn();
  }

  // How commits ended.

  committed(id: number, numbers: number[]): void {
    this.#rows.own(numbers);
    this.#relays.stored(numbers);
    this.pump.post((engine) => engine.committed(id, numbers));
    if (this.audit.journal.stored(id)) this.#residence.tabs?.post({ noted: true });
    if (this.pump.isOpen) this.sync.review(); // what was waited for may have been this alone
    this.snapshots.consider();
  }

  commitFailed(id: number, error: StemmaError): void {
    this.audit.journal.stored(id);
    this.pump.post((engine) => engine.commitFailed(id, error.code));
    this.#relays.goAlone();
  }

  draftFailed(error: StemmaError): void {
    const { code, message } = error;
    this.report("storage", new StemmaError(code, `what is edited is not kept until it is saved (${message})`, { cause: error }));
  }

  // After a trap.

  crashed(cause: StemmaError, quarantine: string): void {
    this.#saves.lose(cause);
    const recovery = this.#recover(cause, quarantine).finally(() => {
      if (this.#recovery === recovery) this.#recovery = undefined;
    });
    this.#recovery = recovery;
  }

  async #recover(cause: StemmaError, quarantine: string): Promise<void> {
    await null; // whoever ran into it is told first
    this.#endLook();
    this.#forget();
    this.links.closeAll();
    if (quarantine === "" || this.#quarantined.has(quarantine)) this.#blindCrashes++;
    if (quarantine !== "") this.#quarantined.add(quarantine);
    this.report("error", cause);
    try {
      if (this.#blindCrashes > BLIND_CRASHES_MAX) throw cause;
      this.#residence = await this.#home.rebuild(this.#residence, this.#quarantined, (storage, abandoned) =>
        this.commits.finish(storage, abandoned),
      );
      // One of those may be what it stumbled over.
      this.#residence.engine.declineSnapshots();
      this.pump.adopt(this.#residence.engine);
      this.#bindAgain();
      this.pump.drain(LOADED);
      this.#watch();
      this.#rows.move(this.#residence);
      this.snapshots.move(this.#residence);
      this.sync.restore();
      // What builds on something that this engine leaves out it would not send for the other tabs.
      if (this.#quarantined.size > 0) this.#relays.goAlone();
      this.presence.restore();
      this.audit.restore();
      this.#saves.review();
      this.commits.release();
      for (const { handle } of this.#objects.values()) this.#changed.push(reloadOf(handle));
      this.#news.add("events");
      this.pump.drain();
      this.notify();
      this.#growth.settle(() => true);
    } catch (error) {
      const fault = StemmaError.from(error, "E_ENGINE_CRASHED") as StemmaError;
      if (error !== cause) this.report("error", fault);
      this.#saves.fail(fault);
      this.#growth.fail(fault);
      this.blobs.fail(fault);
      this.audit.journal.fail(fault);
      this.sync.fail(fault);
      this.#relays.leave();
    }
  }

  #watch(): void {
    const { storage, tabs } = this.#residence;
    storage.onLost = (fault) => this.report("storage", fault);
    tabs?.listen((message) => (typeof message === "object" && "noted" in message ? this.audit.journal.more() : this.#relays.heard(message)));
  }

  // The end.

  async close(): Promise<void> {
    this.transactions.refuse("close");
    this.closing ??= this.#close();
    await this.closing;
  }

  async #close(): Promise<void> {
    const closed = new StemmaError("E_CLOSED", "the space is closed");
    if (this.#recovery) await this.#recovery;
    this.pump.post((engine) => engine.flush());
    this.#saves.nameSealed();
    this.sync.end();
    this.pump.post((engine) => engine.settleNoted());
    this.#endLook();
    this.presence.hide();
    this.pump.shut(closed);
    this.#growth.fail(closed);
    this.blobs.fail(closed);
    this.audit.journal.fail(closed);
    this.#endWatch();
    await this.commits.idle();
    await this.snapshots.end();
    this.#saves.review();
    const failure = this.#saves.unstored() ?? this.commits.failure;
    this.links.closeAll();
    this.#relays.leave();
    this.pump.end(closed);
    this.#saves.fail(closed);
    this.sync.fail(closed);
    await this.#home.leave(this.#residence).finally(() => this.onClosed());
    if (failure) throw failure;
  }

  /** Forgets a space that was never stored. */
  async abandon(): Promise<void> {
    const closed = new StemmaError("E_CLOSED", "the space was never stored");
    this.#endWatch();
    this.pump.end(closed);
    this.#saves.fail(closed);
    this.sync.fail(closed);
    await this.#home.leave(this.#residence);
  }
}

function faultOf({ code, message, changeset }: { code: string; message: string; changeset?: string }): StemmaError {
  const text = changeset ? `${message} (changeset ${changeset})` : message;
  return StemmaError.from({ code, message: text }, "E_PROTOCOL") as StemmaError;
}

interface Fault {
  readonly type: "storage" | "error";
  readonly fault: StemmaError;
}

/** What something was said about. */
type News = "sync" | "policy" | "consent" | "evidence" | "subjects" | "presence" | "events";

interface Known {
  readonly core: ObjectCore;
  readonly handle: Handle;
}

const nobody: Dial = () => {
  throw new StemmaError("E_UNSUPPORTED", "a first look speaks with nobody");
};

const UNHEARD_MAX = 16;
const BLIND_CRASHES_MAX = 3;
