/**
 * Stemma: local-first data for web apps, in browsers.
 *
 * Nothing happens at import. {@link open} gives a {@link Space}; everything else hangs on that.
 */

import { type Api, createApi } from "./open.js";

const api: Api = createApi({ wasm: (given) => given ?? new URL("./engine.wasm", import.meta.url) });

/**
 * Opens the space of a local database, makes one if there is none, or joins one by a link. Works offline. A name that
 * is open gives the same space.
 *
 * Rejects with `E_ARGUMENT`, `E_INVITE`, `E_WASM_LOAD`, `E_CSP`, `E_STORAGE_*`, or with the reason of the signal; what
 * `init` throws is passed on, and then nothing has been made.
 */
export const open: Api["open"] = api.open;

/** The spaces that have a database in this browser. There is no list of folders. */
export const list: Api["list"] = api.list;

/** Deletes the local copy of a space, closing it first. Other devices and relays keep theirs. */
export const destroy: Api["destroy"] = api.destroy;

export type { Block, BlockProof, BlocksOptions, BlockVote, ChainHalt, ChainReport } from "./blocks.js";
export type { Attestation, Audit, AuditHead, AuditOptions, ConsistencyProof, Proof, RedactionStanding, Validator } from "./audit.js";
export type { Evidence, EvidenceKind, EvidenceProof, Reputation } from "./evidence.js";
export type { LogChain, LogEntry, LogOptions, LogQuery, LogType } from "./journal.js";
export type { BlobOptions, BlobRef } from "./blob.js";
export type { SharedCart } from "./cart.js";
export type { CartChange, Change, CounterChange, LedgerChange, ListChange, MapChange, SetChange, TextChange } from "./change.js";
export type { CounterOptions, SharedCounter } from "./counter.js";
export type { Attributes, Delta, DeltaStep, ListDelta, ListDeltaStep } from "./delta.js";
export { type DefinitionInfo, type EventDefinition, type EventField, type FieldKind, type ObjectEvent, type ObjectState, REMOVE, type StateDelta } from "./definition.js";
export type { DirectOptions } from "./direct.js";
export type { CreateOptions, EmitOptions } from "./emit.js";
export { type ErrorCode, StemmaError } from "./errors.js";
export type { EventFigures } from "./figures.js";
export type { ChangesetInfo, HistoryOptions } from "./history.js";
export type { Handle, HandleOf } from "./handle.js";
export type { StorageOption } from "./home.js";
export type { Assignment, Debt, Dispute, EntryStatus, Ledger, LedgerAccount, LedgerEntry, LedgerOptions, StatementLine, TransferOptions } from "./ledger.js";
export type { SharedList } from "./list.js";
export type { ListenOptions } from "./listeners.js";
export type { KeyWrite, MapOptions, SharedMap } from "./map.js";
export type { OptionsOf } from "./options.js";
export type { OpenOptions, PlaceOptions, SpaceInfo } from "./open.js";
export type { Presence, PresenceState, Present } from "./presence.js";
export type { Consent, ConsentEntry, ConsentOptions } from "./consent.js";
export type { Dossier, DossierEntry } from "./dossier.js";
export type { Personal, Processed, ProcessOptions, RequestOptions, RequestState, RequestStep, SubjectEntry, SubjectRequest, Subjects } from "./subjects.js";
export type { RedactOptions, Redaction } from "./erasure.js";
export type { Agreement, BanOptions, Comparison, ExcludeOptions, Policy, PolicyEntry, Preview, PreviewOptions, Standing, Target, TargetSelection, WordOptions } from "./policy.js";
export type { Live, QueryOptions, ReadOptions } from "./query.js";
export type { Readable } from "./readable.js";
export type { EventInfo } from "./reducers.js";
export type { Kind, Stats, Tier } from "./replica.js";
export type { RestoreOptions } from "./restore.js";
export type { SetOptions, SharedSet } from "./set.js";
export type { ImportReport, InviteOptions, Space, SpaceEvents, Stream, UpkeepOptions } from "./space.js";
export type { Unreached } from "./snapshots.js";
export type { StorageAdapter, StorageBatch, StoreName } from "./storage.js";
export type { RelayState, Sync, SyncProgress, SyncState, SyncStatus } from "./sync.js";
export type { Anchor, AuthorRun, Expand, SharedText } from "./text.js";
export type { TransactOptions } from "./transaction.js";
export type { UndoOptions } from "./undo.js";
export type { Report } from "./upkeep.js";
export type { Json, Value } from "./value.js";
export type { AtOptions, View, ViewOptions } from "./view.js";
export type { WasmSource } from "./wasm.js";
export type { Claim, Provenance } from "./why.js";
export type { Write } from "./write.js";
