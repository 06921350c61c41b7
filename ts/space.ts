/** Spaces: what `open` gives. */

import type { Audit } from "./audit.js";
import type { BlobOptions, BlobRef } from "./blob.js";
import type { Change } from "./change.js";
import { argumentError, checkFunction, checkInteger, checkOptions, checkSignal, checkString, checkTime, checkWord } from "./check.js";
import type { DefinitionInfo, EventDefinition } from "./definition.js";
import { type Dossier, dossier } from "./dossier.js";
import { type CreateOptions, create, type EmitOptions, emit } from "./emit.js";
import type { StemmaError } from "./errors.js";
import { figuresOf } from "./figures.js";
import { type ChangesetInfo, type HistoryOptions, history } from "./history.js";
import type { ListenOptions } from "./listeners.js";
import type { Consent, ConsentOptions } from "./consent.js";
import type { SpaceCore } from "./core.js";
import type { SharedList } from "./list.js";
import type { SharedMap } from "./map.js";
import type { SharedSet } from "./set.js";
import type { SharedText } from "./text.js";
import { type RedactOptions, type Redaction, redact } from "./erasure.js";
import type { Policy, Target } from "./policy.js";
import type { Presence } from "./presence.js";
import { Readable } from "./readable.js";
import type { Stats } from "./replica.js";
import { type RestoreOptions, restore } from "./restore.js";
import type { Subjects } from "./subjects.js";
import { Sync, type SyncState } from "./sync.js";
import type { TransactOptions } from "./transaction.js";
import { canStep, step, type UndoOptions } from "./undo.js";
import { compact, examine, type Report } from "./upkeep.js";
import { freeze, isBytes, type Value } from "./value.js";
import { type AtOptions, diffViews, makeView, momentOf, policyOf, type View, type ViewOptions, viewQuery } from "./view.js";
import { type Provenance, why } from "./why.js";
import type { Write } from "./write.js";

/** What `on` tells, by type. */
export interface SpaceEvents {
  /** The synchronisation stands otherwise. */
  sync: SyncState;
  /** Something could not be stored, or is stored less safely than it should be: `E_STORAGE_*` or `E_UNSUPPORTED`. */
  storage: StemmaError;
  /** Somebody said something about what counts, or something more waits for review. */
  policy: Policy;
  /** Somebody gave or withdrew consent. */
  consent: Consent;
  /** There is more evidence that somebody contradicts itself, or some is settled: {@link Audit.evidence}. */
  evidence: Audit;
  /** Somebody got a key or lost it, or asked for something or was answered. */
  subjects: Subjects;
  /** Anything else that went wrong without a caller to hear of it. */
  error: StemmaError;
}

/** What {@link Space.invite} takes. */
export interface InviteOptions {
  /** What the newcomer may do; `"writer"` unless stated. */
  role?: "writer" | "reader";
  /** Until when a relay lets a newcomer in with it; in 7 days unless stated, `null` for ever. */
  expires?: Date | null;
  /** How many newcomers a relay lets in with it; 1 unless stated, `Infinity` without limit. */
  uses?: number;
}

/** What {@link Space.import} did with the changesets it was given. */
export interface ImportReport {
  readonly added: number;
  readonly known: number;
  /** Malformed, forged, or of another space. */
  readonly refused: number;
  /** Kept until what they need arrives. */
  readonly pending: number;
}

/** What {@link Space.doctor} and {@link Space.compact} take. */
export interface UpkeepOptions {
  signal?: AbortSignal;
}

/** The head and the length of one actor's chain. */
export interface Stream {
  readonly head: string;
  readonly length: number;
}

/**
 * One replica of a space: named objects, their whole history, and whoever they are shared with.
 *
 * Reads and writes are synchronous and work offline; what others do comes in between your turns of the event loop.
 * After {@link close} every method throws `E_CLOSED`. After a crash of the engine, which `on("error")` tells, methods
 * throw `E_ENGINE_CRASHED` until the space has been read again from storage; handles then go on working.
 */
export class Space extends Readable implements AsyncDisposable {
  /** The id of the space, 64 hex digits: the same for everybody. */
  readonly id: string;
  /** The id of this person in this space. */
  readonly me: string;
  readonly sync: Sync;
  /** What I believe, and what others say. */
  readonly policy: Policy;
  /** Who is here. */
  readonly presence: Presence;
  /** What people let be done with what is about them. */
  readonly consent: Consent;
  /** People that data is about: what is sealed for them, and what they ask for. */
  readonly subjects: Subjects;
  /** What can be proven to others, and what is final. */
  readonly audit: Audit;
  #isGrouping = false;
  readonly #core: SpaceCore;

  /** @internal */
  constructor(core: SpaceCore) {
    super({
      object: (name, kind, options) => core.object(name, kind, options),
      heads: () => core.pump.read((engine) => engine.heads()),
      names: () => core.pump.read((engine) => engine.names()),
      stateHash: () => core.pump.read((engine) => engine.stateHash()),
      viewDigest: () => core.pump.read((engine) => engine.viewDigest()),
      reducers: core.reducers,
    });
    this.#core = core;
    this.id = core.pump.read((engine) => engine.id());
    this.me = core.pump.read((engine) => engine.member());
    this.sync = new Sync(core.sync);
    this.policy = core.policy;
    this.presence = core.presence;
    this.audit = core.audit;
    this.consent = core.consent;
    this.subjects = core.subjects;
  }

  /** The id this tab signs with. It changes when what it signed cannot be stored, or was signed twice. */
  get actor(): string {
    return this.#core.pump.read((engine) => engine.actor());
  }

  /** What this member may do. A reader's writes throw `E_ACCESS`. */
  get role(): "owner" | "writer" | "reader" {
    return this.#core.pump.read((engine) => engine.role()) as "owner" | "writer" | "reader";
  }

  /**
   * Makes what `fn` edits one unit: signed, stored, sent and told as a whole. What was edited before is a unit for itself.
   *
   * Listeners are called before it returns. Signing and storing follow as soon as the thread is free, or somebody asks for
   * what only signed changes have: {@link Write.id}, {@link Write.saved}, {@link heads}, {@link history} and the like.
   *
   * A throw removes the edits of `fn` and is passed on; a thenable throws `E_ARGUMENT`, for a transaction ends when `fn`
   * returns. If nothing was edited the result is the last {@link Write}. Nested calls join: each returns the outermost
   * one's `Write`, whose id throws until that is sealed; a throw in an inner one rolls back to its own start; an inner
   * `message`, `headers` and `origin` are ignored, an inner `command` throws.
   */
  transact<T>(fn: () => T, o?: TransactOptions): Write {
    return this.#core.transactions.transact(fn, o);
  }

  /**
   * Takes back this tab's last edits, with what belongs to them: a transaction, an {@link undoGroup}, or edits outside of
   * transactions without a pause between them. What others did meanwhile stays. It is an edit like any
   * other: signed, stored, sent. Survives a reload if the tab goes on with the same {@link actor}.
   *
   * `scope`: only edits of these objects. Whether there was anything to take back; edits without effect, for somebody else
   * undid or excluded them, are passed over.
   */
  undo(o?: UndoOptions): boolean {
    return step(this.#core, "undo", o);
  }

  /** Brings back what {@link undo} took back last, until the next edit here. Whether there was something. */
  redo(o?: UndoOptions): boolean {
    return step(this.#core, "redo", o);
  }

  canUndo(o?: UndoOptions): boolean {
    return canStep(this.#core, "canUndo", o);
  }

  canRedo(o?: UndoOptions): boolean {
    return canStep(this.#core, "canRedo", o);
  }

  /**
   * All that `fn` edits, in transactions and outside of them, is undone at once. Seals the open batch before and after. One
   * inside another belongs to it.
   */
  undoGroup(fn: () => void): void {
    checkFunction(fn, "fn");
    this.#core.transactions.refuse("undoGroup");
    if (this.#isGrouping) return fn();
    this.#isGrouping = true;
    this.#core.pump.call((engine) => engine.undoGroup(true, false));
    try {
      fn();
    } finally {
      this.#isGrouping = false;
      this.#core.pump.call((engine) => engine.undoGroup(false, false));
    }
  }

  /**
   * The space as it was. `when` is a time, a `Date` or ms since 1970, and then all changesets up to it are in, by the clock
   * that `by` names, their authors' unless stated; or the id of a changeset, and then that and what it builds on is in.
   *
   * What was undone since is there again: an undo counts only if it is in itself. What is excluded today stays out. Seals the
   * open batch first, so that it can be in. O(changesets), then O(ops) for each object that is read.
   *
   * Throws `E_ARGUMENT` for what is not a time, for a changeset that is not known here, or is pending, and inside `transact`.
   */
  at(when: Date | number | string, o: AtOptions = {}): View {
    checkOptions(o, "o", ["by", "policy"]);
    return makeView(this.#core, { ...momentOf(when, o.by, "when"), ...policyOf(o.policy) }, "at");
  }

  /**
   * The space as it would be, if some changesets or ops did not count, or others did. Nothing is written. Without options it
   * is the space as it is now. Otherwise as {@link at}.
   */
  view(o: ViewOptions = {}): View {
    return makeView(this.#core, viewQuery(o, (ban) => this.policy.tried({ ban })), "view");
  }

  /**
   * What turns `a` into `b`, two views of this space, as its listeners would be told: applied to a copy of what `a` shows,
   * reading new values from `change.object`, which is the handle of `b`, it shows what `b` shows. Their `source` is
   * `"diff"`: nobody made them. O(objects that differ).
   */
  diff(a: View, b: View): readonly Change[] {
    return diffViews(this.#core, a, b);
  }

  /**
   * Makes the space, or one object, or one key of a map read as {@link at} that time, by new edits in a transaction of
   * their own: maps by setting and deleting keys, texts by edits where they differ, counters by adding the difference, and so
   * on. What reads so already is not touched; rivals of a value do not come back. Nor do objects that events define, which no edit
   * writes: their events are excluded or undone. One {@link undo} brings the present back.
   *
   * Throws as {@link at} does, `E_ARGUMENT` too if a counter that only grows would have to shrink; then nothing was changed.
   */
  restore(when: Date | number | string, o?: RestoreOptions): Write {
    return restore(this.#core, when, o);
  }

  /**
   * Says what the events of a type look like and what they make of the objects that they concern, in this session. An event
   * of a type, or of a version, that is not defined is kept and left out; nothing is ever fatal. Defining a type again
   * changes what is read, never what was written.
   *
   * Throws `E_ARGUMENT` for a definition that is none, naming the part that is wrong.
   */
  define<Data = any>(type: string, def: EventDefinition<Data>): void {
    this.#core.definitions.define(type, def);
  }

  /** What is defined here. */
  get definitions(): readonly DefinitionInfo[] {
    return this.#core.definitions.list();
  }

  /**
   * Makes an object of a type that events define; its id. With `data` the making is an event of that type as well.
   *
   * Throws `E_ARGUMENT` if there is an object of that id. Two who make it while they are apart make one: its type is that of
   * the first, and both events are its. With data it throws as {@link emit} does.
   */
  create(type: string, o?: CreateOptions): string {
    return create(this.#core, type, o);
  }

  /**
   * Says what happened to some objects: an event, which is signed, stored and sent as any other edit, undone, excluded and
   * banned like one, and never changed. A transaction of its own where none is running.
   *
   * Throws `E_UNKNOWN_EVENT` for a type that is not defined, `E_SCHEMA` for data without a required field or with another
   * kind of value in one, `E_EVENT_TOO_LARGE` above what a changeset can carry.
   *
   * With a `command` that this device knows the same event of mine for, nothing is written and that one's receipt comes back: the one that counts
   * if there is one, else one that was undone or excluded. Where two devices said it apart, the first one counts, for everybody; if that is
   * excluded or undone, the other one does. Throws `E_ARGUMENT` for a `command` that stands for another event, and for one inside `transact`,
   * which has its own.
   */
  emit(type: string, event: EmitOptions): Write {
    return emit(this.#core, type, event);
  }

  /**
   * Stores bytes that may be more than a value can hold, up to 64 MiB, as encrypted chunks, and gives a value that names them: put it
   * where the others find it. What is written after that is saved after the chunks. The same bytes are stored once. Undo passes over them.
   * They are held in memory as everything is: for photos and recordings, not for a library of films.
   *
   * An abort leaves the chunks that are stored; storing the same bytes again goes on from there. Rejects with `E_EVENT_TOO_LARGE` above
   * 64 MiB, `E_ACCESS` for a reader, `E_STORAGE_*` if a chunk cannot be stored on this device.
   */
  async blob(bytes: Uint8Array, o?: BlobOptions): Promise<BlobRef> {
    return this.#core.blobs.store(bytes, o);
  }

  /**
   * The bytes that a reference names, checked against its hash. Chunks that are not here yet are waited for: pass a `signal`.
   *
   * Rejects with `E_BLOB_DAMAGED` if a chunk is not what it was, `E_ARGUMENT` for what is no reference, `E_CLOSED` if the space is closed first.
   */
  async readBlob(ref: BlobRef, o?: BlobOptions): Promise<Uint8Array> {
    return this.#core.blobs.read(ref, o);
  }

  /** Seals the edits made outside of transactions, which otherwise happens by itself. The last write if there are none. */
  flush(): Write {
    return this.#core.transactions.flush();
  }

  /**
   * The changesets in the order they came in here, each after those it builds on. They are read in
   * pages as the loop goes on, so what arrives meanwhile is among them.
   */
  history(o?: HistoryOptions): AsyncIterable<ChangesetInfo> {
    return history(this.#core, o);
  }

  /**
   * Why a key of a map, an element of a set, or a place in a text or a list reads as it does: who wrote it, what lost against it, what of
   * it does not count, and which words of {@link policy} were looked at. `undefined` if nothing was written there; if nothing that was
   * written counts, the latest of that. Seals the open batch first. O(writes of the key), or O(log n + ops of the changeset).
   *
   * Throws `E_ARGUMENT` for a key of another type, an index out of range, and for counters and carts, which are sums.
   */
  why(object: SharedMap | SharedSet | SharedText | SharedList, key: Value): Provenance | undefined {
    return why(this.#core, object, key);
  }

  /** One actor's chain, `undefined` if nothing of it is known. */
  stream(actor: string): Stream | undefined {
    checkString(actor, "actor");
    return freeze(this.#core.pump.read((engine) => engine.stream(actor)));
  }

  /**
   * A link that lets somebody join with `open({ invite })`. Whoever holds it can read the whole history, also after it
   * has expired; expiry and uses only bind the relay. It names the relays that are connected now.
   *
   * Rejects with `E_ACCESS` for whoever may not invite.
   */
  async invite(o: InviteOptions = {}): Promise<string> {
    checkOptions(o, "o", ["role", "expires", "uses"]);
    const { role = "writer", expires = new Date(Date.now() + WEEK_MS), uses = 1 } = o;
    checkWord(role, "role", ["writer", "reader"]);
    if (uses !== Number.POSITIVE_INFINITY) checkInteger(uses, "uses", 1, 0xffff_ffff);
    const notAfterMs = expires === null ? 0 : checkTime(expires, "expires");
    if (expires !== null && notAfterMs <= Date.now()) throw argumentError("expires", "expires is in the past");
    const { pump, sync } = this.#core;
    return pump.call((engine) => engine.invite(role, notAfterMs, Number.isFinite(uses) ? uses : 0, sync.urls));
  }

  /**
   * Erases what was written: a changeset, an op as `changeset:index`, all that a member or an actor wrote, by its id, or what a
   * selection finds here now. Everybody who has it deletes the content of these changesets, relays too, and whoever comes later never gets it. What
   * they decided stays: a key whose last value is gone reads as not there, whatever it was before; text has no width, and what others typed into it
   * stays where it is; sums and balances are as they were, memos and messages empty; an event is not applied. Signatures, hashes and proofs hold as before.
   * Nothing brings it back, {@link undo}, {@link at} and {@link import} included.
   *
   * A changeset has one content, so everything in it goes: {@link Redaction.also} tells what was not asked for. Its author may erase it, owners and
   * admins, and each member its own key ({@link Subjects}); from others it means nothing to anybody. What a hostile member kept, or a backup, no program can take away: docs/threat-model.md.
   *
   * Seals the open batch first. Throws `E_ACCESS` for what somebody else wrote, unless this member is an owner or an admin; `E_ARGUMENT` for what is
   * not here or pending, for control and policy and what audit says about nobody, for nothing at all, for a reason of another size and inside `transact`; nothing is
   * signed then. O(what a selection passes over + targets).
   */
  redact(target: Target | readonly Target[], o: RedactOptions): Redaction {
    return redact(this.#core, target, o);
  }

  /** Figures about the space. O(changesets + events). */
  stats(): Stats {
    const stats = this.#core.pump.read((engine) => engine.stats());
    return freeze({ ...stats, events: figuresOf(this.#core) });
  }

  /** The whole space as encrypted, signed bytes: a backup that needs no relay. Seals the open batch first. O(size). */
  async export(): Promise<Uint8Array>;
  /**
   * All that a person wrote or that is about it, to be handed to it: a member by its id, or somebody outside by the name that you give them. Readable
   * JSON, with what was signed, and a proof of each changeset for `verifyProof`. What is sealed for the person is in clear, what is sealed for others is not; of what others
   * wrote it has the ops that hold something sealed for the person, and nothing else. What only mentions it is not found. That it was handed out is written down in the
   * audit log. Seals the open batch first. O(size of the space), between which others have their turn.
   *
   * Rejects with `E_ARGUMENT` for an empty subject and inside `transact`, `E_STORAGE_LOST` if bytes are gone, the reason of the signal.
   */
  async export(o: { subject: string; signal?: AbortSignal }): Promise<Dossier>;
  async export(o?: { subject: string; signal?: AbortSignal }): Promise<Uint8Array | Dossier> {
    if (o !== undefined) return dossier(this.#core, o);
    await this.#core.stored("export");
    return this.#core.pump.call((engine) => engine.exportSpace());
  }

  /** Takes in what {@link export}, or `export` of a handle, gave, at this replica or another; doing it twice changes nothing. */
  async import(bytes: Uint8Array): Promise<ImportReport> {
    if (!isBytes(bytes)) throw argumentError("bytes", "bytes is not a Uint8Array");
    this.#core.transactions.refuse("import");
    const own = bytes.slice(); // the caller's may change meanwhile
    await this.#core.snapshots.whole();
    this.#core.transactions.refuse("import");
    const { pump } = this.#core;
    const [added = 0, known = 0, refused = 0, more = 0] = pump.call((engine) => engine.importSpace(own));
    // What is edited meanwhile is sealed for itself: nothing comes in while a batch is open.
    const goOn = () => pump.call((engine) => (engine.pendingEdits() && engine.flush(), engine.integrate()));
    if (more > 0) while (goOn()) await new Promise((resolve) => setTimeout(resolve));
    return Object.freeze({ added, known, refused, pending: pump.read((engine) => engine.waiting()) });
  }

  /** What is in the store of this space on this device. Changes nothing. Reads all of it. */
  async doctor(o?: UpkeepOptions): Promise<Report> {
    checkOptions(o, "o", ["signal"]);
    checkSignal(o?.signal);
    this.#core.pump.check();
    return examine(this.#core, o?.signal);
  }

  /**
   * Makes the next opening quick: a snapshot of the state now, rows joined to fewer records, and what nothing counts on
   * removed. It happens by itself from time to time, in one tab at a time. No changeset is ever removed.
   * Seals the open batch first; resolves with what is there then.
   */
  async compact(o?: UpkeepOptions): Promise<Report> {
    checkOptions(o, "o", ["signal"]);
    checkSignal(o?.signal);
    this.#core.transactions.refuse("compact");
    this.flush();
    return compact(this.#core, o?.signal);
  }

  /**
   * Told of all changes, but for those of objects that events define, which live answers of {@link read} and {@link query}
   * follow: after each transaction, once per microtask for edits outside of one, and once per arrival of
   * others' changesets. Returns what ends it.
   */
  subscribe(cb: (changes: readonly Change[]) => void, o?: ListenOptions): () => void {
    this.#core.pump.check();
    return this.#core.changes.add(cb, o);
  }

  /**
   * Throws `E_CONSENT` unless somebody, this member if no `subject` is named, consented to a purpose and has not withdrawn it: call it before what needs
   * it. Throws `E_ARGUMENT` for no purpose. O(log n).
   */
  requireConsent(purpose: string, o?: ConsentOptions): void {
    this.consent.require(purpose, o);
  }

  /** Tells of what happens apart from changes. Faults from before anybody listened are told to the first who does. */
  on<Type extends keyof SpaceEvents>(type: Type, cb: (event: SpaceEvents[Type]) => void, o?: ListenOptions): () => void {
    checkWord(type, "type", ["sync", "storage", "policy", "consent", "evidence", "subjects", "error"]);
    this.#core.pump.check();
    return this.#core.on(type, cb, o);
  }

  /**
   * Seals and stores what is open, ends all connections and lets go of the database. Everybody who still waits is
   * rejected with `E_CLOSED`. Closing twice does nothing.
   *
   * Rejects with `E_STORAGE_*` if the last edits could not be stored; the space is closed all the same.
   */
  async close(): Promise<void> {
    await this.#core.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

const WEEK_MS = 7 * 24 * 3600 * 1000;
