// The store on disk, for Node: one folder a space.
//
//   LOCK         which process has the folder open
//   log/<n>.seg  every commit, one frame each, appended records and keyed ones together
//   small.bin    one frame: the keyed stores up to a place in the log, and where rows lie before it, replaced as a whole
//
// Invariant: the log is the truth and a commit is its one frame, so it is there or not; small.bin only saves reading.
// Of snapshots, which are a cache, and drafts the log keeps none for long: packing takes them out. Other keyed records live in memory.
// Secrets are plain: mode 0600 is all that guards them.

import { mkdirSync } from "node:fs";
import { open, readdir, rename, rm, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { checkBatch } from "../batch.js";
import { type ErrorCode, StemmaError, isAbort, isStemmaError, throwIfAborted } from "../errors.js";
import { MemoryStorage } from "../memory.js";
import { STORE_NAMES, type StorageAdapter, type StorageBatch, type StoreName } from "../storage.js";
import { type Checkpoint, type Commit, FRAME_HEAD_BYTES, type Put, decodeCheckpoint, decodeFrame, encodeCheckpoint, encodeFrame } from "./frame.js";
import { FolderLock } from "./lock.js";
import { type Findings, type Place, readFrom, SegmentLog, type Span, syncFolder, type Visit } from "./log.js";

export class FileStorage implements StorageAdapter {
  readonly secrets = "plain";
  onLost?: StorageAdapter["onLost"];
  readonly #folder: string;
  #open: OpenFolder | undefined;
  #isLossTold = false;
  /** Verbs that use the log run one after the other: packing moves what is being read. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(o: { dir: string }) {
    this.#folder = o.dir;
  }

  /** What the last open cut off the end of the log: a commit that was never confirmed as strict. */
  get torn(): Findings["torn"] {
    return this.#open?.findings.torn;
  }

  /** The folder is the database; `name` is not part of its path. */
  async open(_name: string, o: { signal?: AbortSignal } = {}): Promise<void> {
    throwIfAborted(o.signal);
    await this.#inTurn(async () => {
      if (this.#open) throw new StemmaError("E_ARGUMENT", "this storage is open already", { argument: "name" });
      const opened = await OpenFolder.at(this.#folder).catch(rethrow("E_STORAGE_UNAVAILABLE"));
      if (o.signal?.aborted) await opened.close();
      throwIfAborted(o.signal);
      this.#open = opened;
      this.#isLossTold = false;
      this.#tellLoss(opened);
    });
  }

  async entries(store: StoreName): Promise<[string, Uint8Array][]> {
    if (store !== "snapshots") return this.#opened().keyed.entries(store);
    return this.#inTurn(() => this.#opened().snapshots().catch(rethrow("E_STORAGE_LOST")));
  }

  async read(after: number, maxBytes: number): Promise<[number, Uint8Array][]> {
    return this.#inTurn(async () => {
      const opened = this.#opened();
      try {
        return await opened.read(after, maxBytes).catch(rethrow("E_STORAGE_LOST"));
      } finally {
        this.#tellLoss(opened);
      }
    });
  }

  async commit(batch: StorageBatch, o: { strict: boolean }): Promise<number[]> {
    checkBatch(batch);
    return this.#inTurn(async () => {
      const opened = this.#opened();
      try {
        return await opened.commit(batch, o.strict || isStrict(batch));
      } finally {
        this.#tellLoss(opened);
      }
    });
  }

  async pack(): Promise<void> {
    await this.#inTurn(async () => {
      await this.#opened().pack().catch(rethrow("E_STORAGE_LOST"));
    });
  }

  async replace(records: [number, Uint8Array][]): Promise<void> {
    await this.#inTurn(async () => {
      await this.#opened().replace(new Map(records)).catch(rethrow("E_STORAGE_LOST"));
    });
  }

  async close(): Promise<void> {
    await this.#inTurn(async () => {
      const opened = this.#open;
      this.#open = undefined;
      await opened?.close().catch(rethrow("E_STORAGE_LOST"));
    });
  }

  async destroy(): Promise<void> {
    await this.close();
    await this.#inTurn(() => destroyFolder(this.#folder).catch(rethrow("E_STORAGE_UNAVAILABLE")));
  }

  damage(): number {
    return new Set(this.#opened().findings.damage).size;
  }

  #tellLoss(opened: OpenFolder): void {
    if (!opened.lost || this.#isLossTold) return;
    this.#isLossTold = true;
    this.onLost?.(opened.lost);
  }

  #opened(): OpenFolder {
    if (!this.#open) throw new StemmaError("E_CLOSED", "this storage is not open");
    return this.#open;
  }

  #inTurn<T>(verb: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(verb);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}

class OpenFolder {
  readonly keyed = new MemoryStorage();
  findings: Findings = { damage: [] };
  /** Set when nothing more is written here. */
  lost: StemmaError | undefined;
  readonly #folder: string;
  readonly #lock: FolderLock;
  #log!: SegmentLog;
  #next = 1;
  /** From the first one on. */
  readonly #segments: Segment[] = [];
  #checkpointed: Place = NOWHERE;
  /** Where the records of snapshots lie, which are large and read once. */
  readonly #snapshots = new Map<string, Span>();
  /** What was read of small.bin, until the snapshots are asked for. */
  #small: Uint8Array | undefined;
  /** Bytes of snapshots and drafts in the log, and the last segment that has none. */
  #stale = 0;
  #packed = 0;

  private constructor(folder: string, lock: FolderLock) {
    this.#folder = folder;
    this.#lock = lock;
  }

  static async at(folder: string): Promise<OpenFolder> {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const opened = new OpenFolder(folder, FolderLock.acquire(folder));
    try {
      await opened.#load();
      return opened;
    } catch (thrown) {
      await opened.#lock.release();
      throw thrown;
    }
  }

  async #load(): Promise<void> {
    await this.keyed.open("");
    this.#small = await readFrom(this.#smallPath, 0, Infinity);
    const { record } = this.#small ? decodeFrame(this.#small, 0) : {};
    // One that is missing or malformed costs only the reading of the whole log.
    const checkpoint = record && decodeCheckpoint(record);
    // Whoever wrote a checkpoint had done so.
    if (!checkpoint) for (const folder of [this.#folder, dirname(this.#folder)]) await syncFolder(folder);
    const { segment, offset } = checkpoint ?? NOWHERE;
    this.#checkpointed = { segment, offset };
    this.#next = checkpoint?.next ?? 1;
    this.#stale = checkpoint?.stale ?? 0;
    for (const first of checkpoint?.firsts ?? []) {
      const unread = this.#segments.length + 1 === segment ? offset : Infinity;
      this.#segments.push({ first, unread, rows: [] });
    }
    const later: Commit[] = [];
    if (checkpoint && this.#small) this.#noteSnapshots(checkpoint, this.#small);
    const visit: Visit = (commit, spanOf, segment) => {
      while (this.#segments.length < segment) this.#segments.push({ first: commit.first, unread: 0, rows: [] });
      this.#index(commit, spanOf);
      later.push(commit);
    };
    [this.#log, this.findings] = await SegmentLog.open(join(this.#folder, "log"), this.#checkpointed, visit);
    while (this.#segments.length < this.#log.end.segment) this.#segments.push({ first: this.#next, unread: 0, rows: [] });
    await this.keyed.commit({ put: (checkpoint?.records ?? []).filter(isSmall) });
    for (const commit of later) await this.keyed.commit({ put: commit.put.filter(isSmall), delete: commit.delete });
    this.#noteDamage();
  }

  /** The records of snapshots. */
  async snapshots(): Promise<[string, Uint8Array][]> {
    const records: [string, Uint8Array][] = [];
    for (const key of [...this.#snapshots.keys()].sort()) {
      const { segment, offset, length } = this.#snapshots.get(key) as Span;
      const inMemory = segment === IN_SMALL ? this.#small?.subarray(offset, offset + length) : undefined;
      const read = async () => {
        if (segment !== IN_SMALL) return (await this.#log.read([{ segment, offset, length }]))[0];
        return readFrom(this.#smallPath, offset, offset + length);
      };
      const bytes = inMemory ?? (await read());
      if (bytes) records.push([key, bytes]);
    }
    this.#small = undefined;
    return records;
  }

  /** All that a checkpoint holds of them lie in small.bin. */
  #noteSnapshots({ records }: Checkpoint, small: Uint8Array): void {
    for (const [store, key, value] of records) {
      if (store !== "snapshots") continue;
      this.#snapshots.set(key, { segment: IN_SMALL, offset: value.byteOffset - small.byteOffset, length: value.length });
    }
  }

  get #smallPath(): string {
    return join(this.#folder, "small.bin");
  }

  #noteDamage(): void {
    const [damage] = this.findings.damage;
    if (damage) this.lost ??= new StemmaError("E_STORAGE_LOST", `${this.#folder}: ${damage}; it can be read, not written`);
  }

  async read(after: number, maxBytes: number): Promise<[number, Uint8Array][]> {
    const records: [number, Uint8Array][] = [];
    if (after >= this.#next - 1) return records;
    let bytes = 0;
    for (let at = Math.max(0, lastAtMost(this.#segments, ({ first }) => first, after + 1)); at < this.#segments.length; at += 1) {
      const rows = await this.#rows(at);
      const begin = lastAtMost(rows, ({ number }) => number, after) + 1;
      const run: Row[] = [];
      for (const row of rows.slice(begin)) {
        if (bytes + row.span.length > maxBytes && records.length + run.length > 0) break;
        bytes += row.span.length;
        run.push(row);
      }
      const read = await this.#log.read(run.map(({ span }) => span));
      for (const [index, record] of read.entries()) records.push([(run[index] as Row).number, record]);
      if (begin + run.length < rows.length) break;
    }
    return records;
  }

  /** The rows of a segment; what lies before the checkpoint is read only when it is asked for. */
  async #rows(at: number): Promise<readonly Row[]> {
    const segment = this.#segments[at] as Segment;
    const { unread } = segment;
    if (unread > 0) {
      const earlier: Row[] = [];
      await this.#log.scan(at + 1, unread, (commit, spanOf) => void earlier.push(...rowsOf(commit, spanOf)), this.findings);
      segment.rows = [...earlier, ...segment.rows];
      segment.unread = 0;
      this.#noteDamage();
    }
    return segment.rows;
  }

  async commit(batch: StorageBatch, strict: boolean): Promise<number[]> {
    const { absent, append = [], put = [] } = batch;
    if (this.lost) throw this.lost;
    if (absent && (await this.#has(...absent))) {
      throw new StemmaError("E_STORAGE_EXISTS", `the record ${absent.join("/")} exists`);
    }
    const commit: Commit = { first: this.#next, append, put, delete: batch.delete ?? [] };
    if (append.length + put.length + commit.delete.length === 0) return [];
    if (!(await this.#lock.isHeld())) throw this.#give("another process took this folder");
    let index = (): void => {};
    try {
      await this.#log.append(commit, (written, spanOf) => (index = () => this.#index(written, spanOf)));
    } catch (thrown) {
      // The write was taken back, unless that failed too.
      const error = ioError(thrown, "E_STORAGE_LOST");
      if (error.code !== "E_STORAGE_QUOTA") this.lost = error;
      throw error;
    }
    if (strict) {
      // After a failed sync nobody knows what is on the medium, and a second one would say all is well.
      await this.#log.sync().catch((thrown) => {
        throw this.#give(`the disk refused to confirm a commit (${thrown.code})`);
      });
    }
    index();
    await this.keyed.commit({ put: put.filter(isSmall), delete: commit.delete });
    if (this.#log.end.offset > SEGMENT_BYTES) await this.#rotate();
    return append.map((_, index) => commit.first + index);
  }

  /** Takes the snapshots and drafts that small.bin has out of the log, where each one ever made would stay. */
  async pack(): Promise<void> {
    if (this.lost || this.#stale < PACK_BYTES_MIN) return;
    await this.#rotate();
    if (this.lost || this.#checkpointed.segment !== this.#log.end.segment) return;
    for (let segment = this.#packed + 1; segment < this.#checkpointed.segment; segment += 1) {
      await this.#log.strip(segment, STALE);
      Object.assign(this.#segments[segment - 1] as Segment, { unread: Infinity, rows: [] });
      this.#packed = segment;
    }
    this.#stale = 0;
  }

  /** Writes rows anew in their segments. Snapshots, drafts and what was cut off may hold what they were, so these go too. */
  async replace(records: ReadonlyMap<number, Uint8Array>): Promise<void> {
    if (this.lost) throw this.lost;
    await this.#rotate();
    if (this.lost) throw this.lost;
    if (this.#checkpointed.segment !== this.#log.end.segment) throw new StemmaError("E_STORAGE_QUOTA", "there is no room to erase");
    const held = new Set([...records.keys()].map((number) => lastAtMost(this.#segments, ({ first }) => first, number) + 1));
    for (let segment = 1; segment < this.#checkpointed.segment; segment += 1) {
      if (segment <= this.#packed && !held.has(segment)) continue;
      await this.#log.strip(segment, STALE, records);
      Object.assign(this.#segments[segment - 1] as Segment, { unread: Infinity, rows: [] });
    }
    this.#packed = this.#checkpointed.segment - 1;
    this.#stale = 0;
    await this.#log.forgetTorn();
  }

  async close(): Promise<void> {
    try {
      if (!this.lost && isAfter(this.#log.end, this.#checkpointed)) {
        await this.#log.sync();
        await this.#checkpoint();
      }
    } finally {
      await this.#log.close();
      await this.#lock.release();
    }
  }

  async #has(store: StoreName, key: string): Promise<boolean> {
    if (store === "snapshots") return this.#snapshots.has(key);
    return (await this.keyed.entries(store)).some(([found]) => found === key);
  }

  #index(commit: Commit, spanOf: (record: Uint8Array) => Span): void {
    this.#segments.at(-1)?.rows.push(...rowsOf(commit, spanOf));
    for (const [store, key] of commit.delete) if (store === "snapshots") this.#snapshots.delete(key);
    for (const [store, key, value] of commit.put) if (store === "snapshots") this.#snapshots.set(key, spanOf(value));
    this.#next = Math.max(this.#next, commit.first + commit.append.length);
    for (const [store, , value] of commit.put) if (STALE.includes(store)) this.#stale += value.length;
  }

  /** The commit that made it necessary is written, so what fails here is not its failure. */
  async #rotate(): Promise<void> {
    try {
      await this.#log.rotate();
      this.#segments.push({ first: this.#next, unread: 0, rows: [] });
      await this.#checkpoint();
    } catch (thrown) {
      const { code, message } = ioError(thrown, "E_STORAGE_LOST");
      // With a full disk the old segment goes on growing until there is room again.
      if (code !== "E_STORAGE_QUOTA") this.#give(`a new segment could not be begun (${message})`);
    }
  }

  async #checkpoint(): Promise<void> {
    const records: Put[] = [];
    for (const store of STORE_NAMES) {
      const entries = store === "snapshots" ? await this.snapshots() : await this.keyed.entries(store);
      for (const [key, value] of entries) records.push([store, key, value]);
    }
    const firsts = this.#segments.map(({ first }) => first);
    const checkpoint: Checkpoint = { ...this.#log.end, next: this.#next, stale: this.#stale, firsts, records };
    const frame = encodeFrame(encodeCheckpoint(checkpoint));
    await replaceFile(this.#folder, "small.bin", frame);
    this.#noteSnapshots(decodeCheckpoint(frame.subarray(FRAME_HEAD_BYTES)) as Checkpoint, frame);
    this.#checkpointed = this.#log.end;
  }

  #give(message: string): StemmaError {
    this.lost = new StemmaError("E_STORAGE_LOST", `${this.#folder}: ${message}`);
    return this.lost;
  }
}

/** Batches with keys, or that create something, decide what can ever be read or written again. */
function isStrict(batch: StorageBatch): boolean {
  return batch.absent !== undefined || (batch.put ?? []).some(([store]) => store === "keys");
}

/** What is kept in memory. */
function isSmall([store]: Put): boolean {
  return store !== "snapshots";
}

async function replaceFile(folder: string, name: string, bytes: Uint8Array): Promise<void> {
  const path = join(folder, name);
  const file = await open(`${path}.new`, "w", 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  await syncFolder(folder);
}

async function destroyFolder(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => undefined);
  if (!names) return;
  const lock = FolderLock.acquire(folder);
  // What is in there besides is not ours.
  const ours = names.filter((name) => name === "log" || name.startsWith("small.bin") || name.startsWith("LOCK."));
  for (const name of ours) await rm(join(folder, name), { recursive: true, force: true });
  await lock.release();
  await rmdir(folder).catch(() => undefined);
}

/** A record of the tail, and where it lies. */
interface Row {
  number: number;
  span: Span;
}

function rowsOf(commit: Commit, spanOf: (record: Uint8Array) => Span): Row[] {
  return commit.append.map((record, index) => ({ number: commit.first + index, span: spanOf(record) }));
}

/** A segment of the log. */
interface Segment {
  /** The number of the first row that is in it, or of the next one if none is. */
  first: number;
  /** Up to which offset it was not read yet. */
  unread: number;
  /** Those behind that. */
  rows: Row[];
}

/** The index of the last item whose number is at most `limit`, or -1; numbers rise. */
function lastAtMost<T>(items: readonly T[], number: (item: T) => number, limit: number): number {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (number(items[middle] as T) > limit) high = middle;
    else low = middle + 1;
  }
  return low - 1;
}

function isAfter(a: Place, b: Place): boolean {
  return a.segment > b.segment || (a.segment === b.segment && a.offset > b.offset);
}

function rethrow(fallback: ErrorCode): (thrown: unknown) => never {
  return (thrown) => {
    throw isAbort(thrown) ? thrown : ioError(thrown, fallback);
  };
}

function ioError(thrown: unknown, fallback: ErrorCode): StemmaError {
  if (isStemmaError(thrown)) return thrown;
  const { code, message } = thrown as NodeJS.ErrnoException;
  const full = code === "ENOSPC" || code === "EDQUOT";
  return new StemmaError(full ? "E_STORAGE_QUOTA" : fallback, message, { cause: thrown });
}

/** A checkpoint does not lie in a segment. */
const IN_SMALL = 0;
const NOWHERE: Place = { segment: 0, offset: 0 };
const SEGMENT_BYTES = 4 * 1024 * 1024;
/** What is written again and again, and of use only as it was written last. */
const STALE: readonly StoreName[] = ["snapshots", "drafts"];
/** Less is not worth rewriting a segment for. */
const PACK_BYTES_MIN = 1024 * 1024;
