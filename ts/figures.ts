/** Figures about events. */

import type { SpaceCore } from "./core.js";
import { NOTHING, Numbers } from "./unpacked.js";
import { assign, freeze } from "./value.js";

/** What happens in a space, by its events that count; creates are among them. */
export interface EventFigures {
  readonly total: number;
  /** By type. */
  readonly types: { readonly [type: string]: number };
  /** By the id of the member who says so. */
  readonly members: { readonly [member: string]: number };
  /** By day, as their authors claim, in UTC: `"2026-07-01"`. */
  readonly days: { readonly [day: string]: number };
  /** Which event follows which on one object, the most frequent first; at most 100. */
  readonly next: readonly { readonly type: string; readonly next: string; readonly count: number }[];
  /** Of objects that nobody made, or whose making does not count. */
  readonly waiting: number;
  /** Of types that are not defined here. */
  readonly unknownTypes: number;
  /** Of versions that are not known here. */
  readonly unknownVersions: number;
  /** Without a required field, or with another kind of value in one: of the objects that were read so far. */
  readonly misfits: number;
}

/** Counts all events. O(events). */
export function figuresOf(space: SpaceCore): EventFigures {
  const [types, members, days] = [new Map<string, number>(), new Map<string, number>(), new Map<string, number>()];
  const authors = new Numbers();
  let [total, waiting, unknownTypes, unknownVersions] = [0, 0, 0, 0];
  const pairs = space.pump.read((engine) => {
    const rows = engine.eventFigures();
    const names = engine.eventTypes();
    const typeOf = (number: number): string => names[number] ?? "";
    for (let i = 0; i < rows.length; i += 5) {
      const [number = 0, version = 0, author = 0, day = 0, isWaiting = 0] = rows.subarray(i, i + 5);
      const type = typeOf(number);
      total++;
      waiting += isWaiting;
      count(types, type);
      count(members, authors.author(engine, author)[0] ?? "");
      count(days, new Date(day * DAY_MS).toISOString().slice(0, 10));
      const definition = space.definitions.definitions.get(type);
      // One that makes an object and says nothing needs none.
      if (version === NOTHING) continue;
      if (!definition) unknownTypes++;
      else if (version < 1 || version > definition.version || (version < definition.version && !definition.upcast)) unknownVersions++;
    }
    return [...engine.eventPairs()].map(typeOf);
  });
  const following = new Map<string, { type: string; next: string; count: number }>();
  for (let i = 0; i + 1 < pairs.length; i += 2) {
    const [type, next] = [pairs[i] as string, pairs[i + 1] as string];
    const key = JSON.stringify([type, next]);
    const known = following.get(key);
    if (known) known.count++;
    else following.set(key, { type, next, count: 1 });
  }
  const next = [...following.values()].sort((a, b) => b.count - a.count).slice(0, PAIRS_MAX);
  const figures = { total, types: plain(types), members: plain(members), days: plain(days), next };
  return freeze({ ...figures, waiting, unknownTypes, unknownVersions, misfits: space.reducers.misfits });
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function plain(counts: Map<string, number>): { [key: string]: number } {
  const sorted: { [key: string]: number } = {};
  for (const [key, value] of [...counts].sort(([a], [b]) => (a < b ? -1 : 1))) assign(sorted, key, value);
  return sorted;
}

const DAY_MS = 86_400_000;
const PAIRS_MAX = 100;
