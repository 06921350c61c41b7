/**
 * The relays of a space, and which tab speaks with each: of those that share a database one has the connection, and tells the others what
 * comes of it. Their rows go through the database.
 *
 * Invariant: nothing told here is the only copy of anything, nor does any of it have to arrive: whoever speaks next asks the relay.
 */

import { StemmaError } from "./errors.js";
import type { Residence, TabMessage } from "./home.js";
import type { Pump } from "./pump.js";
import type { EngineRelay } from "./replica.js";
import type { Rows } from "./rows.js";
import type { RelayState, SyncStatus } from "./sync.js";
import { Turn } from "./turn.js";

/** How it stands with a relay, as the tab that speaks with it says. */
export interface Word extends Standing {
  /** Why it takes nothing. */
  readonly shut?: string | undefined;
  /** Which rows it refused for good, and why: a line each. */
  readonly rejected: string;
  /** Whether nothing is on its way, of the rows up to `row` and of what that relay has. */
  readonly settled: boolean;
  readonly row: number;
}

interface Standing {
  readonly status: SyncStatus;
  readonly pending?: number | undefined;
  readonly lastHeard?: number | undefined;
  /** While its log is read: how many rows came in, and how many it has. */
  readonly received?: number | undefined;
  readonly total?: number | undefined;
  /** Why it does not take all that is here. */
  readonly refusal?: string | undefined;
}

interface Known {
  /** None: this tab speaks with the relay whatever others do. */
  readonly turn?: Turn;
  isConnected: boolean;
  word?: Word | undefined;
  /** What was told last, and when. */
  told?: Word | undefined;
  toldMs?: number;
}

export class Relays {
  readonly #pump: Pump;
  readonly #rows: Rows;
  readonly #residence: () => Residence;
  readonly #review: () => void;
  readonly #onFault: (fault: StemmaError) => void;
  readonly #known = new Map<string, Known>();
  /** The last row that this tab stored. */
  #lastOwn = 0;
  #isAlone = false;
  #insists = false;
  #states: readonly RelayState[] = Object.freeze([]);

  constructor(pump: Pump, rows: Rows, residence: () => Residence, review: () => void, onFault: (fault: StemmaError) => void) {
    this.#pump = pump;
    this.#rows = rows;
    this.#residence = residence;
    this.#review = review;
    this.#onFault = onFault;
  }

  get urls(): string[] {
    return [...this.#known.keys()];
  }

  /** What is known of those that other tabs speak with; some may not have said anything yet. */
  get words(): (Word | undefined)[] {
    return [...this.#known.values()].filter(({ isConnected }) => !isConnected).map(({ word }) => word);
  }

  /** How it stands with each, in the order in which they were connected; the same array until anything of it changes. */
  get states(): readonly RelayState[] {
    const own = this.#pump.read((engine) => engine.relayStates());
    const states = [...this.#known].map(([url, { isConnected, word }], at) => {
      const known = this.#states[at];
      const here = own.find((relay) => relay.url === url);
      return stateOf(url, (isConnected ? here && standingOf(here) : word) ?? CONNECTING, known?.url === url ? known : undefined);
    });
    const isSame = states.length === this.#states.length && states.every((state, at) => state === this.#states[at]);
    if (!isSame) this.#states = Object.freeze(states);
    return this.#states;
  }

  connect(url: string): void {
    if (this.#known.has(url)) return;
    const { tabs } = this.#residence();
    if (this.#isAlone || tabs?.locks === undefined) {
      this.#known.set(url, { isConnected: true });
      this.#pump.call((engine) => engine.connect(url));
      return this.#review();
    }
    const turn = new Turn(`${tabs.locks}relay ${url}`, {
      begin: () => void this.#begin(url, known),
      end: () => this.#end(url, known),
      ask: () => this.#post({ ask: url }),
      isWaiting: () => isSeen() || (this.#pump.peek((engine) => engine.syncState().pending) ?? 0) > 0,
    });
    const known: Known = { turn, isConnected: false };
    this.#known.set(url, known);
    this.#share();
    turn.wait();
    if (this.#insists) turn.take();
    this.#review();
  }

  disconnect(url: string): void {
    const known = this.#known.get(url);
    if (!this.#known.delete(url)) return;
    known?.turn?.leave();
    if (!known?.turn) this.#pump.call((engine) => engine.disconnect(url));
    this.#share();
    this.#review();
  }

  /** The page may stop for a while, or for good. */
  leave(): void {
    for (const { turn } of this.#known.values()) turn?.leave();
  }

  /** It goes on. */
  enter(): void {
    if (!this.#isAlone) for (const { turn } of this.#known.values()) turn?.wait();
  }

  /** This tab knows something that the one that speaks does not: another invite. */
  take(): void {
    this.#insists = true;
    for (const { turn } of this.#known.values()) turn?.take();
  }

  /** What this tab has cannot go through the database. */
  goAlone(): void {
    if (this.#isAlone) return;
    this.#isAlone = true;
    for (const [url, { turn }] of [...this.#known]) {
      turn?.leave();
      this.#known.set(url, { isConnected: true });
      this.#pump.post((engine) => engine.connect(url));
    }
    this.#share();
  }

  /** After a crash: another engine knows nothing of any of this. */
  restore(): void {
    this.#share();
    for (const [url, { isConnected }] of this.#known) if (isConnected) this.#pump.read((engine) => engine.connect(url));
  }

  /** This tab stored rows under these numbers. */
  stored(numbers: readonly number[]): void {
    for (const number of numbers) this.#lastOwn = Math.max(this.#lastOwn, number);
  }

  /** Another tab says something. */
  heard(message: TabMessage): void {
    if (message === 0) return this.#rows.catchUp();
    if ("said" in message) this.#pump.post((engine) => this.#isAlone || engine.heardFromTab(message.bytes, message.said));
    else if ("acked" in message) this.#pump.post((engine) => engine.atRelay(message.acked));
    else if ("ask" in message) this.#answer(message.ask);
    else if ("word" in message) this.#listen(message.url, message.word);
  }

  /** These reached a relay. */
  acked(ids: string[]): void {
    if (!this.#speaks) return;
    // On the first connection that is all of the history: the ends of its chains say the same.
    if (ids.length > TOLD_MAX) this.#tellTips();
    else this.#post({ acked: ids });
  }

  /** Tells the other tabs how it stands, if it stands otherwise than before. */
  tell(): void {
    if (!this.#speaks) return;
    const relays = this.#pump.peek((engine) => engine.relayStates()) ?? [];
    for (const [url, known] of this.#known) {
      if (!known.turn?.isMine) continue;
      const word = this.#word(known, relays.find((relay) => relay.url === url));
      const { told } = known;
      const isSame = told && WORDS.every((field) => told[field] === word[field]);
      if (isSame) continue;
      const now = performance.now();
      const goesOn = READING.includes(word.status) && told && STANDING.every((field) => told[field] === word[field]);
      // The last of it is told with the next state.
      if (goesOn && now - (known.toldMs ?? 0) < PROGRESS_MS) continue;
      known.toldMs = now;
      if (word.status === "live" && told?.status !== "live") this.#tellTips();
      known.told = word;
      this.#post({ url, word });
    }
  }

  /** Whether nothing is on its way between here and the relays that other tabs speak with. */
  get isSettled(): boolean {
    return this.words.every((word) => word?.settled && word.row >= Math.max(this.#lastOwn, this.#rows.last) && this.#rows.last >= word.row);
  }

  get #speaks(): boolean {
    for (const { turn } of this.#known.values()) if (turn?.isMine) return true;
    return false;
  }

  async #begin(url: string, known: Known): Promise<void> {
    const residence = this.#residence();
    let place: Uint8Array | undefined;
    try {
      // The place first: the rows before it were stored no later than it.
      place = (await residence.storage.entries("meta")).find(([key]) => key === `relay/${url}`)?.[1];
      await this.#rows.caughtUp();
    } catch (error) {
      this.#onFault(StemmaError.from(error, "E_STORAGE_LOST") as StemmaError);
    }
    if (!known.turn?.isMine || known.isConnected) return;
    known.isConnected = true;
    known.word = undefined;
    this.#pump.post((engine) => {
      if (place) engine.readPlace(url, place);
      engine.connect(url);
    });
    this.#share();
    this.tell();
  }

  #end(url: string, known: Known): void {
    known.told = undefined;
    if (!known.isConnected) return;
    known.isConnected = false;
    this.#pump.post((engine) => engine.disconnect(url));
    this.#share();
  }

  #answer(url: string): void {
    const known = this.#known.get(url);
    if (!known?.turn?.isMine) return;
    known.told = undefined;
    this.tell();
  }

  #listen(url: string, word: Word): void {
    const known = this.#known.get(url);
    if (!known?.turn || known.turn.isMine) return;
    known.turn.heard();
    known.word = word;
    // Whoever stored them may have died before it could tell.
    if (word.row > this.#rows.last) this.#rows.catchUp();
    this.#share();
    this.#review();
  }

  #word({ isConnected }: Known, relay: EngineRelay | undefined): Word {
    const row = this.#rows.last;
    if (!isConnected || !relay) return { ...CONNECTING, rejected: "", settled: false, row };
    const standing = standingOf(relay);
    const lines = this.#pump.peek((engine) => engine.rejectedAt(relay.url)) ?? [];
    // Of so many nobody can be told one by one.
    const shut = relay.isShut || lines.length > TOLD_MAX ? standing.refusal : undefined;
    const settled = this.#pump.peek((engine) => engine.syncState().settled) ?? false;
    return { ...standing, shut, rejected: lines.slice(0, TOLD_MAX).join("\n"), settled, row };
  }

  #tellTips(): void {
    const tips = this.#pump.peek((engine) => engine.relayTips());
    if (tips) this.#post({ acked: tips });
  }

  /** Tells the engine how it stands elsewhere. */
  #share(): void {
    const isShared = !this.#isAlone && [...this.#known.values()].some(({ turn }) => turn);
    const words = this.words;
    const best = words.map((word) => word?.status ?? "connecting").reduce(betterOf, "offline");
    const shut = words.map((word) => word?.shut);
    const refused = words.map((word) => (word?.rejected ? word.rejected.split("\n") : []));
    const isRefused = (line: string, at: number) => shut[at] !== undefined || refused[at]?.includes(line);
    const rejected = [...new Set(refused.flat())].filter((line) => words.every((_, at) => isRefused(line, at)));
    this.#pump.post((engine) => engine.shareRelays(isShared ? best : undefined, shut.includes(undefined) ? undefined : shut[0], rejected));
  }

  #post(message: TabMessage): void {
    this.#residence().tabs?.post(message);
  }
}

function standingOf({ status, pending, lastHeard, progress, refusal }: EngineRelay): Standing {
  return { status, pending, lastHeard, received: progress?.[0], total: progress?.[1], refusal };
}

/** What is shown of it: the same object as before if nothing of it changed. */
function stateOf(url: string, { status, pending, lastHeard, received, total, refusal }: Standing, known: RelayState | undefined): RelayState {
  const isSame = known?.status === status && known.pending === pending && known.lastHeard === lastHeard && known.error?.message === refusal;
  if (isSame && known.progress?.received === received && known.progress?.total === total) return known;
  return Object.freeze({
    url,
    status,
    ...(pending === undefined ? {} : { pending }),
    ...(lastHeard === undefined ? {} : { lastHeard }),
    ...(received === undefined || total === undefined ? {} : { progress: Object.freeze({ received, total }) }),
    ...(refusal === undefined ? {} : { error: new StemmaError("E_RELAY_REFUSED", refusal) }),
  });
}

/** The better of two states of connections. */
export function betterOf(one: SyncStatus, other: SyncStatus): SyncStatus {
  return RANKS.indexOf(one) > RANKS.indexOf(other) ? one : other;
}

const RANKS: readonly SyncStatus[] = ["offline", "denied", "connecting", "reset", "catching-up", "live"];

/** Changesets that are named one by one. */
const TOLD_MAX = 256;

/** Nobody said anything yet. */
const CONNECTING: Standing = { status: "connecting" };

/** What the others are told when it changes. */
const STANDING = ["status", "pending", "settled", "refusal", "shut", "rejected"] as const;
const WORDS = [...STANDING, "row", "received", "total"] as const;

/** While a log is read the numbers change with every slice: a message costs as much as verifying some of it. */
const READING: readonly SyncStatus[] = ["catching-up", "reset"];
const PROGRESS_MS = 100;

/** Whether somebody may be looking. */
function isSeen(): boolean {
  return typeof document === "undefined" || document.visibilityState === "visible";
}
