// What a store has to do for a space: keep bytes, in batches that are written whole or not at all.
// tests/storage/suite.ts says it in full; every store here passes it.

import type { StemmaError } from "./errors.js";

/** Stores of records under string keys. Beside them is the tail: records that are only appended, and numbered. */
export type StoreName =
  | "meta"
  | "segments"
  | "snapshots"
  | "keys"
  | "actors"
  | "drafts"
  | "pending"
  | "blobs"
  | "audit";

export const STORE_NAMES: readonly StoreName[] = [
  "meta",
  "segments",
  "snapshots",
  "keys",
  "actors",
  "drafts",
  "pending",
  "blobs",
  "audit",
];

/** One commit. Of several parts that name the same record the put wins over the delete, and the last put. */
export interface StorageBatch {
  /** Records for the tail. */
  append?: Uint8Array[];
  put?: [StoreName, string, Uint8Array][];
  delete?: [StoreName, string][];
  /** If this record exists the whole commit fails with `E_STORAGE_EXISTS`. */
  absent?: [StoreName, string];
}

/**
 * A database for one space. Verbs reject with a `StemmaError`, mostly `E_STORAGE_*`; they never hang. Bytes that are
 * handed over are not changed by either side afterwards.
 */
export interface StorageAdapter {
  /** Creates the database if there is none. */
  open(name: string, o?: { signal?: AbortSignal }): Promise<void>;
  /** Every record of a store, by key. */
  entries(store: StoreName): Promise<[string, Uint8Array][]>;
  /**
   * Tail records with numbers above `after`, in order, up to `maxBytes` but at least one if there is any. Fewer than would
   * fit, where they were packed: only an empty answer is the end.
   */
  read(after: number, maxBytes: number): Promise<[number, Uint8Array][]>;
  /**
   * Writes all of it or nothing, and answers with the numbers of the appended records, which only ever grow.
   * With `strict` it resolves when the bytes are on the medium; batches with keys or `absent` always do.
   */
  commit(batch: StorageBatch, o: { strict: boolean }): Promise<number[]>;
  /**
   * Joins tail records numbered up to `through` so that they take less to read; what {@link read} answers stays the same,
   * for everybody who has the database open. Never called by two at once. A store that gains nothing by it has none.
   */
  pack?(through: number): Promise<void>;
  /**
   * Writes tail records anew under the numbers that they have, which ascend, and resolves when that is on the medium: then nothing in the
   * database holds what they were, nor snapshots and drafts that were written over or deleted. Never called beside {@link pack}, nor by two
   * at once. A store that has none keeps what was redacted: a space says so.
   */
  replace?(records: [number, Uint8Array][]): Promise<void>;
  /** How many places were found so far where records are lost: {@link Space.doctor} counts them. A store that finds none has none. */
  damage?(): number;
  /** Lets go of the database. Commits that were begun are finished first. */
  close(): Promise<void>;
  /** Closes and deletes everything. */
  destroy(): Promise<void>;
  /** Whether the `keys` store rests under a key that cannot be read out. */
  readonly secrets: "wrapped" | "plain";
  /**
   * Called when the store can no longer be used, or only read: it was deleted or upgraded by somebody else, is damaged,
   * or died and could not be opened again. Verbs that fail for the same reason reject as well.
   */
  onLost?: ((error: StemmaError) => void) | undefined;
}
