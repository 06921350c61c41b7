/**
 * The changesets of a space, as a list for people, and as they come.
 *
 * Invariant: whoever reads gets each once and none is left out, also where the engine gave all of them other numbers
 * meanwhile. What is held of what was read is one place in each chain.
 */

import { argumentError, checkInteger, checkOptions, checkSignal, checkString, checkTime } from "./check.js";
import type { SpaceCore } from "./core.js";
import type { Handle } from "./handle.js";
import type { HistoryQuery, LaneEnd } from "./replica.js";
import { freeze, type Json } from "./value.js";
import { abortable } from "./waiters.js";

/** Which changesets to list. */
export interface HistoryOptions {
  /** Those that edit this object; or those with an event about the object of this id. */
  object?: Handle | string;
  /** Those that write this key of `object`, a map. */
  key?: string;
  actor?: string;
  member?: string;
  /** By claimed time, from `since` to before `until`: a `Date` or ms since 1970. */
  since?: Date | number;
  until?: Date | number;
  /** At most so many. */
  limit?: number;
  /**
   * Whether to go on with what is written and arrives later, once it is stored: until `signal` aborts, `limit` is reached or
   * the loop is left. Also what counts for nothing is told. Throws `E_CLOSED` once the space is closed.
   */
  live?: boolean;
  signal?: AbortSignal;
}

/** One changeset. */
export interface ChangesetInfo {
  readonly id: string;
  readonly actor: string;
  readonly member: string;
  /** Its place in the actor's chain, from 0. */
  readonly seq: number;
  /** The one before it in that chain; absent for the first. */
  readonly prev?: string;
  /** The other heads its author saw. */
  readonly deps: readonly string[];
  /** When its author says it was made, ms since 1970. */
  readonly time: number;
  /** When it came in here, ms since 1970. */
  readonly received: number;
  readonly message?: string;
  readonly headers?: Json;
  /** That of {@link Space.transact} and {@link Space.emit}, if it is known in clear. */
  readonly command?: string;
  /**
   * The changeset with which its member began what this repeats: the first with the same command, of two that did not know of each other the one
   * with the smaller id. Absent for that one.
   */
  readonly repeats?: string;
  readonly ops: number;
  /** How many of them do not count here: excluded, banned or waiting for review. An op that was undone counts. */
  readonly hidden: number;
  /** As it is stored and sent. */
  readonly bytes: number;
  /** `"inert"`: ruled out by the rules of the space, without effect for anybody. */
  readonly status: "integrated" | "inert";
}

/** Checks the options at once; the changesets are read in pages. */
export function history(core: SpaceCore, o: HistoryOptions = {}): AsyncIterable<ChangesetInfo> {
  checkOptions(o, "o", ["object", "key", "actor", "member", "since", "until", "limit", "live", "signal"]);
  const { object, key, actor, member, since, until, limit = Number.MAX_SAFE_INTEGER, live = false, signal } = o;
  const fixed: Filter = {};
  if (typeof object !== "string" && object !== undefined) core.numberOf(object);
  if (key !== undefined) {
    checkString(key, "key");
    if (typeof object !== "object" || object.kind !== "map") throw argumentError("key", "key needs an object that is a map");
    fixed.key = key;
  }
  for (const [name, value] of Object.entries({ actor, member })) {
    if (value === undefined) continue;
    checkString(value, name);
    fixed[name as "actor" | "member"] = value;
  }
  if (since !== undefined) fixed.since = checkTime(since, "since");
  if (until !== undefined) fixed.until = checkTime(until, "until");
  checkInteger(limit, "limit", 0, Number.MAX_SAFE_INTEGER);
  if (typeof live !== "boolean") throw argumentError("live", "live is not a boolean");
  checkSignal(signal);
  core.pump.check();
  // The numbers of objects are those of one engine, and one that nobody spoke of yet has none.
  const filter = (): Filter => {
    if (object === undefined) return fixed;
    if (typeof object === "string") return { ...fixed, subject: core.reducers.numberOf(object) ?? NOBODY };
    return { ...fixed, object: core.numberOf(object) };
  };
  return pages(core, filter, limit, live, signal);
}

type Filter = Omit<HistoryQuery, "limit" | "from" | "to">;

async function* pages(
  core: SpaceCore,
  filter: () => Filter,
  limit: number,
  live: boolean,
  signal: AbortSignal | undefined,
): AsyncGenerator<ChangesetInfo, void, void> {
  // Long headers and messages are in the rows alone.
  if (core.pump.read((engine) => engine.historyNeedsRows())) await abortable(core.snapshots.whole(), signal);
  const place = new Place(core);
  for (let left = limit; left > 0; ) {
    signal?.throwIfAborted();
    const entries = await through(core, signal, async () => {
      const found = place.read(filter(), Math.min(left, PAGE), live);
      if (!found && live) await core.grown(place.next, signal);
      return found;
    });
    if (!entries && !live) return;
    for (const entry of entries ?? []) {
      signal?.throwIfAborted();
      yield freeze(entry) as unknown as ChangesetInfo;
      left--;
    }
  }
}

/** What `work` gives: of the next engine where one crashes meanwhile. */
async function through<T>(core: SpaceCore, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const recovered = core.recovered(signal);
      if (!recovered) throw error;
      await recovered;
    }
  }
}

/** How far somebody has read. */
class Place {
  readonly #core: SpaceCore;
  readonly #ends = new Map<string, LaneEnd[]>();
  #numbering = "";
  /** What is to be read yet: a first number, the one after the last, and so on. */
  #ranges: number[] = [];

  constructor(core: SpaceCore) {
    this.#core = core;
  }

  /** The number of the next one. */
  get next(): number {
    return this.#ranges[0] ?? 0;
  }

  /** Some of what comes next, none of it where nothing of it passes; nothing at the end. Of what is stored, if it has to be. */
  read(filter: Filter, limit: number, isStored: boolean): Record<string, unknown>[] | undefined {
    const { pump } = this.#core;
    return pump.call((engine) => {
      const [length = 0, stored = 0, numbering] = engine.logLength();
      const numbered = `${pump.generation} ${numbering}`;
      if (this.#numbering !== numbered) {
        this.#ranges = [...engine.unread([...this.#ends.values()].flat()), length, Infinity];
        this.#numbering = numbered;
      }
      const [from, end] = this.#ranges as [number, number];
      const to = Math.min(end, isStored ? stored : length);
      if (from >= to) return undefined;
      const page = engine.history({ ...filter, limit, from, to });
      page.lanes.forEach((lane) => this.#pass(lane));
      this.#ranges[0] = page.next;
      if (page.next >= end) this.#ranges.splice(0, 2);
      return page.entries;
    });
  }

  #pass(end: LaneEnd): void {
    const ends = this.#ends.get(end.actor);
    if (!ends) return void this.#ends.set(end.actor, [end]);
    const at = ends.findIndex(({ id }) => id === end.before);
    // A fork has several ends.
    ends[at < 0 ? ends.length : at] = end;
  }
}

/** Changesets per call into the engine: a few ms. */
const PAGE = 256;

/** The number of an object that nothing is said of. */
const NOBODY = 0xffff_ffff;
