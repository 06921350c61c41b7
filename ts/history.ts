/** The changesets of a space, as a list for people. */

import { argumentError, checkInteger, checkOptions, checkSignal, checkString, checkTime } from "./check.js";
import type { SpaceCore } from "./core.js";
import type { Handle } from "./handle.js";
import type { HistoryQuery } from "./replica.js";
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
  checkOptions(o, "o", ["object", "key", "actor", "member", "since", "until", "limit", "signal"]);
  const { object, key, actor, member, since, until, limit = Number.MAX_SAFE_INTEGER, signal } = o;
  const query: Omit<HistoryQuery, "limit"> = {};
  if (typeof object === "string") query.subject = core.reducers.numberOf(object) ?? NOBODY;
  else if (object !== undefined) query.object = core.numberOf(object);
  if (key !== undefined) {
    checkString(key, "key");
    if (typeof object !== "object" || object.kind !== "map") throw argumentError("key", "key needs an object that is a map");
    query.key = key;
  }
  for (const [name, value] of Object.entries({ actor, member })) {
    if (value === undefined) continue;
    checkString(value, name);
    query[name as "actor" | "member"] = value;
  }
  if (since !== undefined) query.since = checkTime(since, "since");
  if (until !== undefined) query.until = checkTime(until, "until");
  checkInteger(limit, "limit", 0, Number.MAX_SAFE_INTEGER);
  checkSignal(signal);
  core.pump.check();
  return pages(core, query, limit, signal);
}

async function* pages(
  core: SpaceCore,
  query: Omit<HistoryQuery, "limit">,
  limit: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<ChangesetInfo, void, void> {
  // Messages and headers are in the rows.
  await abortable(core.snapshots.whole(), signal);
  let after: number | undefined;
  for (let left = limit; left > 0; ) {
    signal?.throwIfAborted();
    const page = core.pump.read((engine) =>
      engine.history({ ...query, limit: Math.min(left, PAGE), ...(after === undefined ? {} : { after }) }),
    );
    for (const entry of page.entries) {
      signal?.throwIfAborted();
      yield freeze(entry) as unknown as ChangesetInfo;
    }
    left -= page.entries.length;
    if (page.next === undefined) return;
    after = page.next;
  }
}

/** Changesets per call into the engine: a few ms. */
const PAGE = 256;

/** The number of an object that nothing is said of. */
const NOBODY = 0xffff_ffff;
