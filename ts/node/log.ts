// The log of the file store: segment files of frames, each frame one whole commit.
//
// Invariant: only the last segment is ever written, at its end; all before it are on the medium. So an unfinished frame
// at the end of the last segment is a commit that was never confirmed, and is cut off; a bad frame anywhere else is
// damage, which is reported and left as it is.

import { type FileHandle, mkdir, open, readdir, readFile, rename, writeFile } from "node:fs/promises";
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
   * Reads every segment and gives each commit to `visit`, with the spans of its appended records and the place where its
   * frame ends. What lies before `durable` was once confirmed, so a bad frame there is damage even in the last segment.
   */
  static async open(
    folder: string,
    durable: Place,
    visit: (commit: Commit, spans: Span[], end: Place) => void,
  ): Promise<[SegmentLog, Findings]> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const log = new SegmentLog(folder);
    const findings: Findings = { damage: [] };
    const segments = (await readdir(folder)).map((name) => Number(/^(\d+)\.seg$/.exec(name)?.[1] ?? 0));
    const last = Math.max(0, ...segments);
    for (let segment = 1; segment <= last; segment += 1) await log.#scan(segment, last, durable, visit, findings);
    if (last < durable.segment) findings.damage.push(`segment ${durable.segment} is missing`);
    if (findings.damage.length === 0) {
      if (last === 0) await log.rotate();
      else await log.#resume(last, findings.torn?.offset);
    }
    return [log, findings];
  }

  get end(): Place {
    return { segment: this.#segment, offset: this.#end };
  }

  /** Writes one commit at the end, or nothing: a failed write is taken back. Answers where its appended records lie. */
  async append(commit: Commit): Promise<Span[]> {
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
    const spans = spansOf(written, frame, { segment: this.#segment, offset: this.#end });
    this.#end += frame.length;
    return spans;
  }

  /**
   * Rewrites a segment that is written to no more without the records of one keyed store, and answers where its appended
   * records lie then. The new file takes the place of the old one as a whole.
   */
  async strip(segment: number, store: StoreName): Promise<Span[]> {
    const path = this.#path(segment);
    const bytes = await readFile(path);
    const [frames, spans]: [Uint8Array[], Span[]] = [[], []];
    for (let [offset, at] = [0, 0]; offset < bytes.length; ) {
      const { record, end } = decodeFrame(bytes, offset);
      const commit = record && decodeCommit(record);
      if (!commit) throw new Error(`segment ${segment} is damaged at byte ${offset}`);
      offset = end;
      const put = commit.put.filter(([of]) => of !== store);
      if (commit.append.length + put.length + commit.delete.length === 0) continue;
      const frame = encodeFrame(encodeCommit({ ...commit, put }));
      const written = decodeCommit(frame.subarray(FRAME_HEAD_BYTES)) as Commit;
      spans.push(...spansOf(written, frame, { segment, offset: at }));
      frames.push(frame);
      at += frame.length;
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
    return spans;
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

  async #scan(
    segment: number,
    last: number,
    durable: Place,
    visit: (commit: Commit, spans: Span[], end: Place) => void,
    findings: Findings,
  ): Promise<void> {
    const bytes = await readFile(this.#path(segment)).catch((thrown) => {
      if (thrown.code !== "ENOENT") throw thrown;
    });
    if (!bytes) {
      findings.damage.push(`segment ${segment} is missing`);
      return;
    }
    for (let offset = 0; offset < bytes.length; ) {
      const { record, end } = decodeFrame(bytes, offset);
      const commit = record && decodeCommit(record);
      if (commit) {
        visit(commit, spansOf(commit, bytes, { segment, offset: 0 }), { segment, offset: end });
      } else if (segment === last && !(segment === durable.segment && offset < durable.offset)) {
        findings.torn = { segment, offset, bytes: bytes.length - offset };
        return;
      } else {
        findings.damage.push(`segment ${segment} is damaged at byte ${offset}`);
        // Its length may be right and only its content wrong: what follows is then readable.
        if (end >= bytes.length || !decodeFrame(bytes, end).record) return;
      }
      offset = end;
    }
    const shortest = segment === durable.segment ? durable.offset : 0;
    if (bytes.length < shortest) findings.damage.push(`segment ${segment} lost its end`);
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

/** Makes names in a folder durable, where the system can. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r").catch(() => undefined); // Windows opens no folders
  await handle?.sync();
  await handle?.close();
}

function spansOf(commit: Commit, bytes: Uint8Array, at: Place): Span[] {
  return commit.append.map((record) => ({
    segment: at.segment,
    offset: at.offset + record.byteOffset - bytes.byteOffset,
    length: record.length,
  }));
}
