// The log of the file store: segment files of frames, each frame one whole commit.
//
// Invariant: only the last segment is ever written, at its end; all before it are on the medium. So an unfinished frame
// at the end of the last segment is a commit that was never confirmed, and is cut off; a bad frame anywhere else is
// damage, which is reported and left as it is. What lies before a checkpoint is looked at when it is read.

import { mkdirSync } from "node:fs";
import { type FileHandle, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { StoreName } from "../storage.js";
import { type Commit, FRAME_HEAD_BYTES, decodeCommit, decodeFrame, encodeCommit, encodeFrame } from "./frame.js";

export interface Place {
  segment: number;
  offset: number;
}

/** Where the bytes of one tail record lie. */
export interface Span extends Place {
  length: number;
}

/** Visits a commit; `spanOf` tells where one of its records lies. */
export type Visit = (commit: Commit, spanOf: (record: Uint8Array) => Span, segment: number) => void;

/** What opening found: whether bytes were cut off the end, and what is unreadable. */
export interface Findings {
  torn?: Place & { bytes: number };
  damage: string[];
}

export class SegmentLog {
  readonly #folder: string;
  readonly #readers = new Map<number, FileHandle>();
  #segment = 0;
  #file: FileHandle | undefined;
  #end = 0;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Reads what lies behind `durable` and gives each commit to `visit`. Before that place is what was once confirmed, so
   * nothing of it may be missing.
   */
  static async open(folder: string, durable: Place, visit: Visit): Promise<[SegmentLog, Findings]> {
    const log = new SegmentLog(folder);
    const findings: Findings = { damage: [] };
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const segments = (await readdir(folder)).map((name) => Number(/^(\d+)\.seg$/.exec(name)?.[1] ?? 0));
    const last = Math.max(0, ...segments);
    for (let segment = 1; segment < durable.segment; segment += 1) {
      if (!segments.includes(segment)) findings.damage.push(`segment ${segment} is missing`);
    }
    for (let segment = Math.max(1, durable.segment); segment <= last; segment += 1) {
      let from: number | undefined = segment === durable.segment ? durable.offset : 0;
      while (from !== undefined) {
        const { bad, end, next }: Scanned = await log.#scan(segment, from, Infinity, visit, findings);
        const isTorn = bad !== undefined && segment === last;
        if (isTorn) findings.torn = { segment, offset: bad, bytes: end - bad };
        else if (bad !== undefined) findings.damage.push(`segment ${segment} is damaged at byte ${bad}`);
        from = isTorn ? undefined : next;
      }
    }
    if (last < durable.segment) findings.damage.push(`segment ${durable.segment} is missing`);
    if (findings.damage.length === 0) {
      if (last === 0) await log.rotate();
      else await log.#resume(last, findings.torn?.offset);
    }
    const isShort = last === durable.segment && log.#file && log.#end < durable.offset;
    if (isShort) findings.damage.push(`segment ${last} lost its end`);
    return [log, findings];
  }

  get end(): Place {
    return { segment: this.#segment, offset: this.#end };
  }

  /** Gives the commits of a segment up to an offset to `visit`; what is damaged there is added to `findings`. */
  async scan(segment: number, until: number, visit: Visit, findings: Findings): Promise<void> {
    for (let from: number | undefined = 0; from !== undefined; ) {
      const { bad, next }: Scanned = await this.#scan(segment, from, until, visit, findings);
      if (bad !== undefined) findings.damage.push(`segment ${segment} is damaged at byte ${bad}`);
      from = next;
    }
  }

  /** Writes one commit at the end, or nothing: a failed write is taken back. Gives what was written to `visit`. */
  async append(commit: Commit, visit: Visit): Promise<void> {
    const file = this.#writable();
    const frame = encodeFrame(encodeCommit(commit));
    try {
      for (let done = 0; done < frame.length; ) {
        const { bytesWritten } = await file.write(frame, done, frame.length - done, this.#end + done);
        done += bytesWritten;
      }
    } catch (thrown) {
      await file.truncate(this.#end);
      throw thrown;
    }
    const written = decodeCommit(frame.subarray(FRAME_HEAD_BYTES)) as Commit;
    visit(written, spansIn(frame, { segment: this.#segment, offset: this.#end }), this.#segment);
    this.#end += frame.length;
  }

  /**
   * Rewrites a segment that is written to no more without the records of some keyed stores; those that are still of use lie
   * elsewhere then. Rows in `replaced`, by number, are written as they are there. The new file takes the place of the old one as a whole.
   */
  async strip(segment: number, stores: readonly StoreName[], replaced: ReadonlyMap<number, Uint8Array> = new Map()): Promise<void> {
    const path = this.#path(segment);
    const bytes = await readFile(path);
    const frames: Uint8Array[] = [];
    for (let offset = 0; offset < bytes.length; ) {
      const { record, end } = decodeFrame(bytes, offset);
      const commit = record && decodeCommit(record);
      if (!commit) throw new Error(`segment ${segment} is damaged at byte ${offset}`);
      offset = end;
      const put = commit.put.filter(([of]) => !stores.includes(of));
      const append = commit.append.map((row, at) => replaced.get(commit.first + at) ?? row);
      if (commit.append.length + put.length + commit.delete.length === 0) continue;
      frames.push(encodeFrame(encodeCommit({ ...commit, append, put })));
    }
    const file = await open(`${path}.new`, "w", 0o600);
    try {
      for (const frame of frames) await file.writeFile(frame);
      await file.sync();
    } finally {
      await file.close();
    }
    await this.#readers.get(segment)?.close();
    this.#readers.delete(segment);
    await rename(`${path}.new`, path);
    await syncFolder(this.#folder);
  }

  /** Removes what was cut off the ends of segments: it may hold what was erased. */
  async forgetTorn(): Promise<void> {
    const torn = (await readdir(this.#folder)).filter((name) => /^\d+\.torn$/.test(name));
    for (const name of torn) await rm(join(this.#folder, name));
    await syncFolder(this.#folder);
  }

  async sync(): Promise<void> {
    await this.#writable().datasync();
  }

  /** Begins the next segment, after the last one is on the medium. */
  async rotate(): Promise<void> {
    await this.#file?.sync();
    const next = await open(this.#path(this.#segment + 1), "wx", 0o600);
    await this.#file?.close();
    this.#file = next;
    this.#segment += 1;
    this.#end = 0;
    await syncFolder(this.#folder);
  }

  /** The bytes of spans that lie one after the other in one segment. */
  async read(spans: Span[]): Promise<Uint8Array[]> {
    const first = spans[0];
    const last = spans[spans.length - 1];
    if (!first || !last) return [];
    const bytes = new Uint8Array(last.offset + last.length - first.offset);
    const file = await this.#reader(first.segment);
    for (let done = 0; done < bytes.length; ) {
      const { bytesRead } = await file.read(bytes, done, bytes.length - done, first.offset + done);
      if (bytesRead === 0) throw new Error(`segment ${first.segment} became shorter`);
      done += bytesRead;
    }
    return spans.map(({ offset, length }) => bytes.slice(offset - first.offset, offset - first.offset + length));
  }

  async close(): Promise<void> {
    for (const file of [this.#file, ...this.#readers.values()]) await file?.close();
    this.#file = undefined;
    this.#readers.clear();
  }

  /** Gives the commits between two offsets of a segment to `visit`. */
  async #scan(
    segment: number,
    from: number,
    until: number,
    visit: Visit,
    findings: Findings,
  ): Promise<Scanned> {
    const bytes = await readFrom(this.#path(segment), from, until);
    if (!bytes) {
      findings.damage.push(`segment ${segment} is missing`);
      return { end: 0 };
    }
    for (let offset = 0; offset < bytes.length; ) {
      const frame = decodeFrame(bytes, offset);
      const commit = frame.record && decodeCommit(frame.record);
      if (!commit) {
        const isMore = frame.end < bytes.length && decodeFrame(bytes, frame.end).record !== undefined;
        return { bad: from + offset, end: from + bytes.length, ...(isMore ? { next: from + frame.end } : {}) };
      }
      visit(commit, spansIn(bytes, { segment, offset: from }), segment);
      offset = frame.end;
    }
    return { end: from + bytes.length };
  }

  /** Goes on at the end of the last segment, without its torn frame; the bytes cut off are kept beside it. */
  async #resume(segment: number, torn: number | undefined): Promise<void> {
    const path = this.#path(segment);
    this.#file = await open(path, "r+");
    this.#segment = segment;
    this.#end = (await this.#file.stat()).size;
    if (torn === undefined) return;
    const bytes = await readFile(path);
    await writeFile(join(this.#folder, `${segment}.torn`), bytes.subarray(torn), { mode: 0o600 });
    await this.#file.truncate(torn);
    await this.#file.sync();
    this.#end = torn;
  }

  async #reader(segment: number): Promise<FileHandle> {
    let file = this.#readers.get(segment);
    if (!file) {
      file = await open(this.#path(segment), "r");
      this.#readers.set(segment, file);
    }
    return file;
  }

  #writable(): FileHandle {
    if (!this.#file) throw new Error("a damaged log is not written to");
    return this.#file;
  }

  #path(segment: number): string {
    return join(this.#folder, `${segment}.seg`);
  }
}

interface Scanned {
  /** Where a frame is bad. */
  bad?: number;
  /** Where the bytes end. */
  end: number;
  /** Where it goes on behind the bad frame, if its length was right and only its content wrong. */
  next?: number;
}

/** The bytes between two offsets of a file, if it is there. */
export async function readFrom(path: string, from: number, until: number): Promise<Uint8Array | undefined> {
  const file = await open(path, "r").catch((thrown) => {
    if (thrown.code !== "ENOENT") throw thrown;
  });
  if (!file) return undefined;
  try {
    const { size } = await file.stat();
    const bytes = new Uint8Array(Math.max(0, Math.min(size, until) - from));
    let done = 0;
    for (let more = 1; more > 0 && done < bytes.length; done += more) {
      more = (await file.read(bytes, done, bytes.length - done, from + done)).bytesRead;
    }
    return bytes.subarray(0, done);
  } finally {
    await file.close();
  }
}

/** Makes names in a folder durable, where the system can. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r").catch(() => undefined); // Windows opens no folders
  await handle?.sync();
  await handle?.close();
}

/** Where records lie that are views of `bytes`. */
function spansIn(bytes: Uint8Array, at: Place): (record: Uint8Array) => Span {
  return (record) => ({ segment: at.segment, offset: at.offset + record.byteOffset - bytes.byteOffset, length: record.length });
}
