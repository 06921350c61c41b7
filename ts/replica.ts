/**
 * The engine as this package drives it: the classes that `wasm-bindgen` makes of `src/web/`, with the shapes that its
 * generated types leave open. Everything here is synchronous except storage; nothing here is public.
 *
 * Invariant: no function of ours is ever called while the engine is on the stack, and whoever calls a method that can
 * change anything drains {@link Engine.poll} afterwards.
 */

import type { Block, BlockProof, ChainHalt } from "./blocks.js";
import type { ChangesetInfo } from "./history.js";
import type { ConsentEntry } from "./consent.js";
import type { Splices } from "./delta.js";
import type { EventFigures } from "./figures.js";
import type { Evidence, Reputation } from "./evidence.js";
import type { LogChain, LogEntry } from "./journal.js";
import type { EngineEntryRow, EngineSigned } from "./ledger.js";
import type { EngineEntry } from "./policy.js";
import type { StorageBatch } from "./storage.js";
import type { SyncStatus } from "./sync.js";
import type { Value } from "./value.js";

/** Kinds of objects by their number in the format. */
export const KINDS = { map: 1, text: 2, counter: 3, set: 4, list: 5, cart: 6, ledger: 7 } as const;
export type Kind = keyof typeof KINDS;
/** What can be under a key of a map. */
export type ChildKind = Exclude<Kind, "ledger">;

/** The kind of a number, `undefined` for one that this version has no handle for. */
export function kindOf(number: number): Kind | undefined {
  return (Object.keys(KINDS) as Kind[]).find((kind) => KINDS[kind] === number);
}

/** What words would do, the changes of objects, and the number of a view that shows it. */
export interface EnginePreview {
  changesets: number;
  hidden: number;
  shown: number;
  members: string[];
  dependents: number;
  others: string[];
  patches: EnginePatch[];
  view: number;
}

/** One replica of one space. A handle is a small integer that is good for as long as the replica. */
export interface Engine {
  rejoin(token: string): void;
  loadTail(records: [number, Uint8Array][]): void;
  /** Integrates a slice of what was loaded; whether there is more. */
  finishLoad(): boolean;
  quarantine(changeset: string): void;
  /** Opens the chunks of a snapshot with the machine's cipher, where there is one; rejects if one does not open. */
  openChunks(snapshots: Records): Promise<ArrayBuffer[]> | undefined;
  /** Takes up a snapshot, of chunks that are open already or not: up to which row it stands for all, 0 without one that can be used. */
  takeUp(snapshots: Records, opened?: ArrayBuffer[]): number;
  /** Gives the rows that a snapshot stands for; {@link supplied} follows after the last, and says whether none is missing. */
  supply(records: [number, Uint8Array][]): void;
  supplied(): boolean;
  /** An engine of its own for what a snapshot of others shows before the log was read, once. It is only read. */
  takeLook(): Engine | undefined;
  /** No part in snapshots that are shared: after a crash. */
  declineSnapshots(): void;
  isWhole(): boolean;
  snapshotDue(): boolean;
  /** Changesets in rows: known, unknown, damaged. */
  examine(records: [number, Uint8Array][]): Uint32Array;
  /** Targets, one a line: what says so, what is gone, and the ops that were not asked for. */
  redact(targets: string, reason: string): { redactions: string[]; changesets: string[]; also: string[] };
  /** What `finishErasing` is told, once `erased` was asked of every row and each is in the store as it says. */
  beginErasing(): number;
  /** Those of some rows that hold what was redacted, without it. */
  erased(records: [number, Uint8Array][]): [number, Uint8Array][];
  /** Whether the store, of a kind (1 browser, 2 folder, 4 another, 0 memory), has to be gone through once more. */
  finishErasing(begun: number, stores: number): boolean;
  redactions(): string[];
  redaction(id: string): {
    targets: string[];
    reason: string;
    member: string;
    time: number;
    confirmed: { device: string; member: string; time: number; stores: number }[];
    missing: { device: string; member: string }[];
  };
  /** Whether the head of a snapshot counts on a record. */
  snapshotReaches(head: Uint8Array | undefined, key: string): boolean;
  /** A snapshot of everything, if nothing is on its way; `rows` is a number up to which every row is here. */
  snapshot(rows: number): { next(): [string, Uint8Array] | undefined; free(): void } | undefined;
  actorCandidates(): string[];
  /**
   * What became of an actor's draft, before the actor signs anything else: what is to be stored strictly and then read, and why
   * the draft was not sealed. It stays, and the actor signs nothing, if nothing is to be stored.
   */
  takeUpDraft(actor: string, record: Uint8Array): { batch?: StorageBatch; code?: string; message?: string };
  useActor(actor: string): void;
  newActor(durable: boolean): string;
  setComposing(on: boolean): void;

  id(): string;
  member(): string;
  actor(): string;
  role(): string;
  heads(): string[];
  names(): { name: string; kind: number }[];
  stateHash(): string;
  viewDigest(): string;
  auditHead(): { size: number; root: string };
  /** Hashes beside the way one behind the other. Of a log whose rows are all here. */
  auditProof(changeset: string): { size: number; root: string; index: number; path: Uint8Array; header: Uint8Array; signature: Uint8Array };
  /** The same for the tree that a member attested; `vouched` is that signature. */
  auditAttested(changeset: string, member: string): ReturnType<Engine["auditProof"]> & { actor: string; vouched: Uint8Array; genesis: Uint8Array; chain: Uint8Array };
  auditInBlock(changeset: string): ReturnType<Engine["auditProof"]> & { block: BlockProof };
  auditDisclose(changeset: string, index: number): { count: number; salt: Uint8Array; statement: Uint8Array; path: Uint8Array };
  auditConsistency(size: number, root: string): Uint8Array | undefined;
  /** With a `max` of 0 they make no blocks. */
  chooseValidators(members: string[], weights: Uint32Array, pauseMs: number, max: number, anew: boolean): string;
  blockCount(): number;
  /** By its place in the chain. Of a log whose rows are all here. */
  block(at: number): Omit<Block, "operations"> | undefined;
  blockProof(height: number): BlockProof;
  blockOperations(at: number): ChangesetInfo[];
  blocksHalt(): ChainHalt | undefined;
  verifyBlocks(): { blocks: number; height?: number; reason?: string };
  /** A member, its weight, and so on. */
  validators(): (string | number)[];
  quorum(): number;
  validate(on: boolean): void;
  isFinal(changeset: string): boolean | undefined;
  /** 64 hex digits are a member, nothing is this one, anything else somebody outside. */
  consent(subject: string | undefined, purpose: string, terms: string | undefined, given: boolean): string;
  consentTo(subject: string | undefined, purpose: string): ConsentEntry | undefined;
  consents(): ConsentEntry[];
  attestedBy(changeset: string): string[];
  /** 64 hex digits are a member, anything else somebody outside; so in all of these. */
  registerSubject(subject: string): string;
  sealPersonal(subject: string, value: Value): Uint8Array;
  openPersonal(sealed: Uint8Array): Value | undefined;
  subjects(): EngineSubject[];
  /** 1 an erasure, 2 an export. */
  requestFor(subject: string, kind: number, reason: string | undefined): string;
  /** 1 approved, 2 refused, 3 done; other targets one a line. */
  processRequest(request: string, verdict: number, reason: string | undefined, also: string): { id: string; redacted: ReturnType<Engine["redact"]> | undefined };
  requests(): EngineRequest[];
  subjectId(subject: string): string;
  /** Among so many changesets. Of a log whose rows are all here. */
  dossier(subject: string, from: number, count: number): { entries: EngineDossierEntry[]; next: number | undefined };
  /** All evidence, or what is against an actor or a member; `bytes` is the payload of its op. */
  evidence(against: string | undefined): EngineEvidence[];
  /** What the space began with. */
  genesis(): Uint8Array;
  isByzantine(actor: string): boolean;
  reputation(actor: string): { score: number; state: Reputation["state"]; validator: number | undefined };
  relayScore(url: string): number;
  resolveEvidence(evidence: string): string;
  /** Entries of the audit log from `places` on (an actor, a number, and so on); `records` as `journal.ts` gathers them. */
  journal(records: Records, places: (string | number)[], filter: JournalQuery, limit: number): { entries: LogEntry[]; places: (string | number)[]; damaged: number };
  journalCheck(records: Records): LogChain[];
  forgetNoted(records: Records, filter: JournalQuery): { batch: StorageBatch; count: number };
  trimNoted(records: Records): void;
  keepNoted(entries: number): void;
  /** Says `"noted"`, once, when there is another entry. */
  watchNoted(): void;
  settleNoted(): void;
  attestations(): { changeset: string; member: string; size: number; root: string }[];
  stream(actor: string): { head: string; length: number } | undefined;
  stats(): Omit<Stats, "events">;
  /** `next`: the number of the first that was not looked at; `lanes`: how far that is in each chain. */
  history(query: HistoryQuery): { entries: Record<string, unknown>[]; next: number; lanes: LaneEnd[] };
  /** The numbers of what was not read by whoever read up to these ends: the first, the one after the last, the first and so on. */
  unread(lanes: LaneEnd[]): Uint32Array;
  /** How many changesets have a number, how many from the first on are stored, and what changes where they get other numbers. */
  historyNeedsRows(): boolean;
  logLength(): Float64Array;
  /** Says `"grown"`, once, as soon as more than so many are stored. */
  tellGrowth(beyond: number): void;

  object(name: string, kind: number, options: ObjectOptions | undefined, asked: boolean): number;
  textInsert(object: number, index: number, text: string): void;
  textDelete(object: number, index: number, length: number): void;
  textInsertMarked(object: number, index: number, text: string, marks: [string, Value][]): void;
  textMark(object: number, start: number, end: number, key: string, value: Value, expand: number | undefined): void;
  textRuns(object: number): [number, Record<string, Value>][];
  /**
   * What edits of an object can be checked against: the length of a text or a list, the value of a counter. For a text
   * whose edits are not to be joined -1 less its length; NaN for an object whose edits have to come one by one.
   */
  editBase(object: number): number;
  /** Applies edits that were gathered, packed as `pending.ts` says. */
  applyEdits(edits: Int32Array, units: Uint16Array, strings: string, numbers: number[], begunMs: number): void;
  /** The same for edits of texts that are in no map, of which the engine will say nothing. The number of their author. */
  applySplices(splices: Int32Array, units: Uint16Array, begunMs: number): number;
  textLength(object: number): number;
  textString(object: number): string;
  textSlice(object: number, start: number, end: number): string;
  textAnchor(object: number, index: number, bias: number): Uint8Array;
  textPosition(object: number, anchor: Uint8Array): number;
  textAuthors(object: number): { member: string; actor: string; length: number }[];
  /** The number of the object of a kind under a key of a map, made empty if it is new. */
  mapChild(map: number, key: string, kind: number, options: ObjectOptions | undefined): number;
  /** What an object is: its name, or the map and the key that it is under, or neither where no content that is here says so. */
  origin(object: number): { kind: number; options?: ObjectOptions; name?: string; map?: number; key?: string };
  mapSet(object: number, key: string, value: Value): void;
  mapDelete(object: number, key: string): boolean;
  mapGet(object: number, key: string): Shown | undefined;
  mapHas(object: number, key: string): boolean;
  mapKeys(object: number): string[];
  mapSize(object: number): number;
  mapConflicts(object: number, key: string): Shown[];
  mapHistory(object: number, key: string): Record<string, unknown>[];

  counterAdd(object: number, amount: number): void;
  counterValue(object: number): number;
  setAdd(object: number, element: Value, value: Value | undefined): void;
  setDelete(object: number, element: Value): boolean;
  setHas(object: number, element: Value): boolean;
  setGet(object: number, element: Value): Value | undefined;
  /** The elements, and beside them their values. */
  setSize(object: number): number;
  setElements(object: number): (Value | undefined)[][];
  listLength(object: number): number;
  /** A number that stands for one element until {@link Engine.rollback}; below 0 if there is none. */
  listId(object: number, index: number): number;
  listIds(object: number): Float64Array;
  listSlice(object: number, start: number, end: number): Value[];
  /** At the end without an index. */
  listInsert(object: number, index: number | undefined, values: Value[]): void;
  listDelete(object: number, index: number, n: number): void;
  listMove(object: number, from: number, to: number): void;
  cartAdd(object: number, item: Value, quantity: number): void;
  cartRemove(object: number, item: Value): boolean;
  cartQuantity(object: number, item: Value): number;
  /** The items, and beside them their quantities. */
  cartEntries(object: number): Value[][];

  /** Whether it was not open yet. */
  ledgerOpen(object: number, account: string): boolean;
  ledgerTransfer(object: number, from: string, to: string, amount: bigint, memo: Value | undefined): void;
  /** The changeset of a payment that was made for a command already, empty if there is none. */
  ledgerMade(object: number, command: string, from: string, to: string, amount: bigint): string;
  ledgerReverse(object: number, entry: string, memo: Value | undefined): void;
  ledgerDispute(object: number, entry: string, reason: string): void;
  ledgerAssign(object: number, asset: string, to: string): void;
  ledgerBalance(object: number, account: string): bigint;
  ledgerAccounts(object: number): [account: string, owner: string, balance: bigint, rivals: string[]][];
  ledgerEntries(object: number, account: string | undefined, limit: number): EngineEntryRow[];
  /** The id of an entry that may be named by its changeset. */
  ledgerEntry(object: number, entry: string): string;
  ledgerDebts(object: number): [account: string, owner: string, amount: bigint, over: bigint, causes: string[], left: bigint[]][];
  ledgerAssets(object: number): [asset: string, account: string][];
  ledgerHolder(object: number, asset: string): string | undefined;
  ledgerAssignments(object: number, asset: string): [...EngineSigned, to: string, isLink: boolean][];

  eventCreate(type: string, id: string, data: Value): void;
  eventEmit(type: string, concerns: string[], data: Value): void;
  /** The changeset in which this member said the same for a command already; `""` if it said nothing for it. */
  eventMade(type: string, concerns: string[], data: Value, command: string): string;
  /** The number of an object, below 0 if nothing was ever said of it. */
  eventSubject(id: string): number;
  /**
   * What changed since the last time: how often all numbers became others, 1 if other objects may be there, then for each
   * object its number and how many of its events, of those that were asked for, are as they were.
   */
  eventChanges(): Uint32Array;
  /** The objects of a type in the order in which they were made, and beside them their ids. */
  eventObjects(type: string, view: number | undefined): unknown[];
  eventTypes(): (string | undefined)[];
  /** Events of objects, of each from the one of a number on, packed as `unpacked.ts` says. */
  events(subjects: Uint32Array, froms: Uint32Array, view: number | undefined): unknown[];
  /** Of each event its type, its version, its author, its day, and 1 if nothing that it concerns was made. */
  eventFigures(): Uint32Array;
  /** Types of events that follow each other. */
  eventPairs(): Uint32Array;
  definitionDigest(text: string): string;

  /** Makes a view; its number. */
  view(query: ViewQuery): number;
  closeView(view: number): void;
  /** The number of an object as the view shows it: good for every method that reads, until the view is closed. */
  objectIn(view: number, object: number): number;
  viewHeads(view: number): string[];
  viewNames(view: number): { name: string; kind: number }[];
  viewStateHash(view: number): string;
  digestOfView(view: number): string;
  viewDiff(from: number, to: number): EnginePatch[];
  restore(view: number, object?: number, key?: string): void;

  /** Signs words, each a phrase and a line; the id of the last changeset that says them, empty without any. */
  say(phrases: string, dependents: boolean, reason: string | undefined, publish: boolean): string;
  preview(phrases: string, dependents: boolean): EnginePreview;
  policyTargets(member?: string, actor?: string, object?: number, since?: number, until?: number): string[];
  policyEntries(): EngineEntry[];
  policyVotes(phrase: string): EngineEntry[];
  /** First how it stands, then the words that were looked at. */
  policyStanding(target: string): unknown[];
  /** Ops hidden here alone, ops hidden there alone, whether the member shows this view, and the words that decide. */
  policyCompare(member: string): unknown[];
  /** The writes that bear on a place, the one that shows first. */
  why(object: number, place: Value): unknown[];
  isActor(id: string): boolean;
  isMember(id: string): boolean;
  reviews(): boolean;
  threshold(): number;
  inbox(): { id: string; member: string; actor: string; time: number }[];

  presenceSet(state: Value): void;
  presenceSession(): string | undefined;
  presenceLeave(): void;
  /** Of each session its id, member and actor, when it was heard, and a number that rises when it shows something else. */
  presenceOthers(): [session: string, member: string, actor: string, heardMs: number, revision: number][];
  presenceState(session: string): Value | undefined;
  /** Of each group its frontier, its view digest, its weight, whether it is this replica's, and its members. */
  agreement(): [frontier: string, digest: string, weight: number, isOwn: boolean, members: string[]][];

  undo(scope: Uint32Array): boolean;
  redo(scope: Uint32Array): boolean;
  canUndo(scope: Uint32Array): boolean;
  canRedo(scope: Uint32Array): boolean;
  /** What is edited until the end is one group, or, if `isNone`, in none. */
  undoGroup(begins: boolean, isNone: boolean): void;
  /** The hash of a chunk (0), or of what a blob is known by (1). */
  blobHash(level: number, bytes: Uint8Array): Uint8Array;

  mark(): number;
  rollback(mark: number): void;
  beginTransact(message: string | undefined, headers: Value | undefined, command: string | undefined, disclosable: boolean): void;
  /** Whether anything was edited. It is sealed by {@link tick}, or by whatever asks for what only sealed ones have. */
  closeTransact(): boolean;
  /** The ids of closed transactions that were sealed since the last time, 32 bytes each; `all` seals the others first. */
  takeSealed(all: boolean): Uint8Array;
  abortTransact(): void;
  flush(): string;
  pendingEdits(): boolean;
  lastWrite(): string;
  isSaved(changeset: string, tier: Tier): boolean;
  obstacle(changeset: string, tier: Tier): { code: string; message: string } | undefined;
  refusal(): string | undefined;
  relayHints(): string[];
  seenBy(changeset: string): number;

  invite(role: string, notAfterMs: number, uses: number, relays: string[]): string;
  exportSpace(): Uint8Array;
  exportObject(object: number): Uint8Array;
  /** Integrates a slice of what is ready; whether there is more, or a batch is open. */
  integrate(): boolean;
  /** How many changesets wait for something. */
  waiting(): number;
  /** How many changesets were new, known and refused, and 1 if there is more to {@link integrate}. */
  importSpace(bytes: Uint8Array): Uint32Array;

  /** The place in a relay's log, as the store has it now. All rows before it have to be read. */
  readPlace(url: string, record: Uint8Array): void;
  connect(url: string): number;
  disconnect(url: string): void;
  /**
   * How it stands with relays that other tabs speak with; without a status this tab is on its own. `shut` is why they take
   * nothing; `rejected` what they refused for good, as {@link rejectedAt} of those tabs has it.
   */
  shareRelays(status: SyncStatus | undefined, shut: string | undefined, rejected: readonly string[]): void;
  /** How it stands with the relays that this tab speaks with. */
  relayStates(): EngineRelay[];
  /** What one of them refused for good: a line each, the id of a changeset, a space, and why. */
  rejectedAt(url: string): string[];
  /** The ends of this member's chains at the relays. */
  relayTips(): string[];
  /** These, and what their chains have before them, are at a relay. */
  atRelay(ids: string[]): void;
  /** What a session shows, said by another tab or heard by it from a relay. */
  heardFromTab(bytes: Uint8Array, said: boolean): void;
  attach(): number;
  detach(session: number): void;
  opened(session: number): void;
  received(session: number, bytes: Uint8Array): void;
  closed(session: number): void;
  /** `connected`: a relay showed all it has, or there is a peer. `settled`: nothing is on its way. */
  syncState(): { pending: number; lastHeard?: number; connected: boolean; settled: boolean };

  committed(commit: number, numbers: number[]): void;
  commitFailed(commit: number, code: string): void;
  tick(): void;
  nextTimer(): number | undefined;
  /** The next output. Changes of texts alone are packed as `packed.ts` says, with the text and the authors that go with them. */
  poll(): Output | Int32Array | undefined;
  packedText(): string;
  author(number: number): string[];
  free(): void;
}

/** What a key reads as: a value, or the number of an object. */
export type Shown = Value | Uint32Array;

/** What belongs to the identity of an object beside its name and kind; absent where there is nothing. */
export interface ObjectOptions {
  /** A counter that only grows, a set where the last writer wins. */
  variant?: boolean;
  /** Keys of a map that are written together. */
  groups?: readonly (readonly string[])[];
  /** Keys of a map that are objects of their own, with their kinds. */
  fields?: readonly (readonly [string, number])[];
  /** Members whose accounts in a ledger have no limit. */
  issuers?: readonly string[];
  /** How far below zero the others may go. */
  credit?: bigint;
}

/** The constructors of {@link Engine}, and what else the module exports for this package. */
export interface EngineModule {
  Replica: {
    create(batchMs: number | undefined): Engine;
    join(token: string, batchMs: number | undefined): Engine;
    open(meta: Records, keys: Records, actors: Records, batchMs: number | undefined): Engine;
  };
  working(): string;
}

export type Records = [string, Uint8Array][];

/** Figures about a space. */
export interface Stats {
  readonly changesets: number;
  /** Of them ruled out by the rules of the space. */
  readonly inert: number;
  readonly ops: number;
  /** Of all changesets, as they are stored and sent. */
  readonly bytes: number;
  readonly objects: number;
  readonly actors: number;
  /** Changesets that are kept until what they need is here. */
  readonly pending: readonly { readonly id: string; readonly reason: string }[];
  /** Places where one actor signed two changesets with one number. */
  readonly forks: number;
  /** Changesets that were forged or malformed, since the opening. */
  readonly refused: number;
  /** What happens in it, by its events. */
  readonly events: EventFigures;
}

/** How it stands with a relay that this tab speaks with. */
export interface EngineRelay {
  url: string;
  status: SyncStatus;
  /** None while it has not said what it has. */
  pending?: number;
  lastHeard?: number;
  progress?: [received: number, total: number];
  /** Why it takes nothing, or not all that is here. */
  refusal?: string;
  /** Whether it takes nothing. */
  isShut: boolean;
}

/** How safe a write is: stored on this device, stored by a relay, or attested by a quorum of validators. */
export type Tier = "local" | "relay" | "final";

/** How far somebody read in a branch of an actor's chain, and from where. */
export interface LaneEnd {
  actor: string;
  seq: number;
  id: string;
  before?: string;
}

/** The fields of {@link Engine.history}, which looks at the numbers from `from` to before `to`. */
export interface HistoryQuery {
  object?: number;
  key?: string;
  /** The number of an object that events define. */
  subject?: number;
  actor?: string;
  member?: string;
  since?: number;
  until?: number;
  limit: number;
  from: number;
  to: number;
}

/** Evidence before its bytes are hex digits. */
export type EngineEvidence = Omit<Evidence, "proof"> & { bytes: Uint8Array };

/** Which entries of the audit log. */
export interface JournalQuery {
  type?: string;
  block?: string;
  changeset?: string;
  actor?: string;
  member?: string;
  object?: number;
  since?: number;
  until?: number;
}

/** What a view is made of: what was claimed or received by then, or is in a past; everything if none of them is there. */
export interface ViewQuery {
  claimed?: number;
  received?: number;
  past?: string;
  exclude?: string[];
  include?: string[];
  /** Bans, as phrases. */
  ban?: string[];
  /** Whether the policy is that of the view, and not that of today. */
  then?: boolean;
  finalOnly?: boolean;
}

/** What the engine wants done, in order. */
export type Output =
  | { type: "commit"; id: number; batch: StorageBatch; strict: boolean }
  /** Keep this of the open batch, behind all commits so far; nothing without a record. */
  | { type: "draft"; actor: string; record: Uint8Array | undefined }
  | { type: "dial"; session: number; url: string }
  | { type: "send"; session: number; bytes: Uint8Array }
  | { type: "close"; session: number }
  | { type: "tabs"; said: boolean; bytes: Uint8Array }
  | { type: "saved"; tier: Tier; ids: string[] }
  | { type: "sync" }
  | { type: "storage" | "error"; code: string; message: string; changeset?: string }
  | { type: "change"; changes: EngineChange[] }
  | { type: "rows" }
  | { type: "grown" }
  /** There is more in the audit log. */
  | { type: "noted" }
  /** It is too long: {@link Engine.trimNoted}. */
  | { type: "trim" }
  /** There is a first look, for {@link Engine.takeLook}, or it is over. */
  | { type: "look" }
  | { type: "policy" }
  | { type: "consent" }
  | { type: "evidence" }
  | { type: "subjects" }
  | { type: "presence" }
  | { type: "events" }
  | { type: "supply" }
  | { type: "erase" };

/** A key that somebody has or had. */
export interface EngineSubject {
  id: string;
  subject?: string;
  changeset: string;
  by: string;
  time: number;
  hasKey: boolean;
  isErased: boolean;
}

/** What somebody asked for, and what was answered: the first step asks. */
export interface EngineRequest {
  kind: number;
  id: string;
  subject?: string;
  verdict: number;
  steps: { verdict: number; changeset: string; by: string; time: number; reason?: string; redactions: string[] }[];
}

/** A changeset that is by somebody or about them. */
export interface EngineDossierEntry {
  changeset: string;
  member: string;
  actor: string;
  seq: number;
  time: number;
  class: number;
  inert: boolean;
  redacted: boolean;
  ops: Value[];
  beside: { [name: string]: Value } | undefined;
  row: Uint8Array;
}

/** After so many edits: position, length, key, and what it shows there, `null` for nothing. Inserted text shows nothing of itself. */
export type EngineMark = [after: number, position: number, length: number, key: string, value: Value];

/** A change of one object, and who made it. */
export interface EngineChange extends EnginePatch {
  source: "local" | "remote" | "undo" | "policy" | "diff";
  member: string;
  actor: string;
  changeset: string;
}

/** What changed in one object; `ops` holds triples (position, units or elements removed, those inserted). */
export interface EnginePatch {
  object: number;
  text?: Splices<string> & { marks?: EngineMark[] };
  list?: Splices<Value[]>;
  /** Keys of a map, elements of a set, items of a cart, accounts of a ledger. */
  keys?: Value[];
  assets?: string[];
  /** By how much a counter changed. */
  amount?: number;
}
