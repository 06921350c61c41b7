/**
 * The audit log of this device: what happened here, in chains of hashes. Each tab has a chain of its own, of its actor, and adds to it without
 * asking the others; all of them lie in the same store, and are read as one.
 *
 * Invariant: whoever reads gets each entry once. Nobody waits for an entry to be stored.
 */

import { argumentError, checkInteger, checkOptions, checkSignal, checkString, checkTime, checkWord } from "./check.js";
import type { SpaceCore } from "./core.js";
import { StemmaError } from "./errors.js";
import type { Handle } from "./handle.js";
import type { JournalQuery, Records } from "./replica.js";
import { freeze } from "./value.js";
import { Waiters } from "./waiters.js";

/** What an entry of the audit log tells of. `"unknown"`: a later version wrote it. */
export type LogType =
  /** Changesets came that are forged or malformed. Whoever delivered them is to blame; whoever they name is not. */
  | "refused"
  /** A changeset is kept until what it needs is here. */
  | "pending"
  /** A changeset has no effect: it is against the rules of the space. */
  | "inert"
  /** A session with a relay or a peer began, or ended. */
  | "session"
  /** Somebody said what should count. */
  | "policy"
  /** An actor was made or came, or an invite was made or taken. */
  | "key"
  /** Somebody showed that an actor contradicts itself, or settled that. */
  | "evidence"
  /** A block is certified, or there are two at one height. */
  | "block"
  /** Somebody erased something, or it is gone from the stores of this device. */
  | "redaction"
  | "export"
  /** Personal data was read. */
  | "read"
  /** The space was ordered: validators were chosen, for one. */
  | "control"
  /** A consent was given or withdrawn here, for this member or somebody outside. */
  | "consent"
  | "unknown";

/** What happened, once or several times. */
export interface LogEntry {
  /** The actor whose chain it is in. */
  readonly chain: string;
  /** Its place in that chain, from 0. */
  readonly index: number;
  readonly type: LogType;
  /** When, by the clock of this device, ms since 1970. */
  readonly time: number;
  /** Until when, where it tells of several times. */
  readonly until?: number;
  /** How often. */
  readonly count: number;
  readonly block?: string;
  readonly changeset?: string;
  /** Whom it is about, or who did it. Nobody is named on the word of somebody else. */
  readonly actor?: string;
  readonly member?: string;
  /** The id of an object, 32 hex digits. */
  readonly object?: string;
  /** With whom: the address of a relay, or a session with a peer. */
  readonly peer?: string;
  /** What or why, in English. */
  readonly detail?: string;
  /** What it is about was dropped: {@link Audit.redactLog}. */
  readonly redacted?: true;
  /** Of the entry, and of the one before it. */
  readonly hash: string;
  readonly previous: string;
}

/** Which entries: those that fit everything that is stated. Of a redacted one only type and time are known. */
export interface LogQuery {
  type?: Exclude<LogType, "unknown">;
  block?: string;
  changeset?: string;
  actor?: string;
  member?: string;
  object?: Handle;
  /** From `since` to before `until`: a `Date` or ms since 1970. */
  since?: Date | number;
  until?: Date | number;
}

/** Options of {@link Audit.log}. */
export interface LogOptions extends LogQuery {
  /** At most so many. */
  limit?: number;
  /** Whether to go on with what happens later: until `signal` aborts, `limit` is reached or the loop is left. Throws `E_CLOSED` once the space is closed. */
  live?: boolean;
  signal?: AbortSignal;
}

/** One chain of the audit log. */
export interface LogChain {
  readonly actor: string;
  /** How many entries it ever had, and the hash of the last one. */
  readonly size: number;
  readonly head: string;
  /** How many of the first were dropped to make room; a signed checkpoint stands for them. */
  readonly dropped: number;
  /** The index of the first entry that is missing or was changed; absent where the chain is whole. */
  readonly fault?: number;
}

export class Journal {
  /** How many entries of all tabs are kept. */
  limit: number | undefined;
  readonly #core: SpaceCore;
  readonly #waiting = new Waiters<null>();
  /** Numbers of commits with entries. */
  readonly #commits = new Set<number>();

  constructor(core: SpaceCore) {
    this.#core = core;
  }

  /** An engine knows nothing of what the last one was told. */
  restore(): void {
    const { limit } = this;
    if (limit !== undefined) this.#core.pump.post((engine) => engine.keepNoted(limit));
    this.more();
  }

  /** There is another entry, here or in the store. */
  more(): void {
    this.#waiting.settle(() => true);
  }

  fail(error: unknown): void {
    this.#waiting.fail(error);
  }

  /** Something is about to be stored: whether entries are among it is told to the other tabs. */
  storing(id: number, put: readonly (readonly [string, string, Uint8Array])[] | undefined): void {
    if (put?.some(([store]) => store === "audit")) this.#commits.add(id);
  }

  stored(id: number): boolean {
    return this.#commits.delete(id);
  }

  /** Makes room, in one tab at a time. */
  async trim(alone: <T>(work: string, run: () => Promise<T>) => Promise<T | undefined>): Promise<void> {
    await alone("audit", async () => {
      const records = await this.#records();
      this.#core.pump.post((engine) => engine.trimNoted(records));
      await this.#core.commits.idle();
    });
  }

  read(o: LogOptions): AsyncIterable<LogEntry> {
    checkOptions(o, "o", ["type", "block", "changeset", "actor", "member", "object", "since", "until", "limit", "live", "signal"]);
    const { limit = Number.MAX_SAFE_INTEGER, live = false, signal, ...query } = o;
    const filter = this.#filter(query);
    checkInteger(limit, "limit", 0, Number.MAX_SAFE_INTEGER);
    if (typeof live !== "boolean") throw argumentError("live", "live is not a boolean");
    checkSignal(signal);
    this.#core.pump.check();
    return this.#pages(filter, limit, live, signal);
  }

  async check(): Promise<readonly LogChain[]> {
    this.#core.pump.check();
    const records = await this.#records();
    return freeze(this.#core.pump.read((engine) => engine.journalCheck(records)));
  }

  async redact(query: LogQuery): Promise<number> {
    checkOptions(query, "query", ["type", "block", "changeset", "actor", "member", "object", "since", "until"]);
    const filter = this.#filter(query);
    if (Object.keys(filter()).length === 0) throw argumentError("query", "query names nothing: all of the log would be redacted");
    this.#core.pump.check();
    await this.#settle();
    const records = await this.#records();
    const { batch, count } = this.#core.pump.call((engine) => engine.forgetNoted(records, filter()));
    if ((batch.put ?? []).length > 0) await this.#core.storage.commit(batch, { strict: true });
    return count;
  }

  async *#pages(filter: () => JournalQuery, limit: number, live: boolean, signal: AbortSignal | undefined): AsyncGenerator<LogEntry, void, void> {
    let places: (string | number)[] = [];
    for (let left = limit; left > 0; ) {
      signal?.throwIfAborted();
      this.#core.pump.check();
      // Before anything is read: what comes meanwhile is not missed.
      const more = live ? this.#more(signal) : undefined;
      more?.catch(() => {});
      const records = await this.#records();
      const page = this.#core.pump.read((engine) => engine.journal(records, places, filter(), Math.min(left, PAGE)));
      places = page.places;
      for (const entry of page.entries) {
        signal?.throwIfAborted();
        yield freeze(entry);
        left--;
      }
      if (page.entries.length > 0) continue;
      if (page.damaged > 0 && !live) throw new StemmaError("E_STORAGE_LOST", `${page.damaged} records of the audit log do not open`);
      if (!more) return;
      await more;
    }
  }

  #more(signal: AbortSignal | undefined): Promise<void> {
    const more = this.#waiting.add(null, signal);
    this.#core.pump.post((engine) => engine.watchNoted());
    return more;
  }

  /** What was noted so far is in the store. */
  async #settle(): Promise<void> {
    this.#core.pump.call((engine) => engine.settleNoted());
    await this.#core.commits.idle();
  }

  async #records(): Promise<Records> {
    const { storage } = this.#core;
    const [entries, meta] = [await storage.entries("audit"), await storage.entries("meta")];
    return [...entries, ...meta.filter(([key]) => key.startsWith("audit/"))];
  }

  /** Checked at once; the numbers of objects are those of one engine. */
  #filter(query: LogQuery): () => JournalQuery {
    const { type, object, since, until } = query;
    const fixed: JournalQuery = {};
    if (type !== undefined) {
      checkWord(type, "type", TYPES);
      fixed.type = type;
    }
    for (const name of ["block", "changeset", "actor", "member"] as const) {
      const id = query[name];
      if (id === undefined) continue;
      checkString(id, name);
      if (!/^[0-9a-f]{64}$/i.test(id)) throw argumentError(name, `${name} is not 64 hexadecimal digits`);
      fixed[name] = id;
    }
    if (since !== undefined) fixed.since = checkTime(since, "since");
    if (until !== undefined) fixed.until = checkTime(until, "until");
    if (object === undefined) return () => fixed;
    this.#core.numberOf(object);
    return () => ({ ...fixed, object: this.#core.numberOf(object) });
  }
}

const TYPES = ["refused", "pending", "inert", "session", "policy", "key", "evidence", "block", "redaction", "export", "read", "control", "consent"] as const;

/** Entries per call into the engine. */
const PAGE = 256;
