/**
 * Marks: what the log strip draws. A mark is a burst of one member's work, for a sentence that somebody types is a dozen changesets.
 *
 * Invariant: the changesets of a mark stand alike, all of them count or none does, and they have one author. A changeset of
 * which some operations count and others do not is a mark for itself.
 */
import type { ChangesetInfo, PolicyEntry } from "stemma";

export interface Mark {
  /** The id of its first changeset. */
  readonly id: string;
  readonly member: string;
  readonly changesets: readonly string[];
  /** The keys that signed them: one a tab. */
  readonly actors: readonly string[];
  /** By its author's clock, ms since 1970. */
  readonly from: number;
  readonly to: number;
  readonly ops: number;
  readonly hidden: number;
  readonly status: "counts" | "hidden" | "partly" | "waits" | "inert";
  /** What it says of others' work; empty if it is work itself. */
  readonly words: readonly PolicyEntry[];
}

/**
 * The marks of a history, oldest first by their authors' clocks. Changesets without operations only tie others together; some
 * wait for review.
 */
export function marksOf(history: readonly ChangesetInfo[], entries: readonly PolicyEntry[], waiting: ReadonlySet<string> = new Set()): readonly Mark[] {
  const words = new Map<string, PolicyEntry[]>();
  for (const entry of entries) words.set(changesetOf(entry), [...(words.get(changesetOf(entry)) ?? []), entry]);
  const marks: Mark[] = [];
  /** Where the last mark of each member is. */
  const last = new Map<string, number>();
  // A changeset is stamped later than those it builds on, so this order is a causal one too.
  for (const info of [...history].sort((a, b) => a.time - b.time)) {
    if (info.ops === 0) continue;
    const next = markOf(info, words.get(info.id) ?? [], waiting.has(info.id));
    const place = last.get(info.member) ?? -1;
    const before = marks[place];
    if (before && belongsTo(before, next)) {
      marks[place] = joined(before, next);
    } else {
      last.set(info.member, marks.length);
      marks.push(next);
    }
  }
  return marks.sort((a, b) => a.to - b.to);
}

/** The id of the changeset that a word was said in. */
export function changesetOf(entry: PolicyEntry): string {
  return entry.id.slice(0, entry.id.indexOf(":"));
}

function markOf({ id, member, actor, time, ops, hidden, status }: ChangesetInfo, words: readonly PolicyEntry[], waits: boolean): Mark {
  const stands = status === "inert" ? "inert" : waits ? "waits" : hidden === 0 ? "counts" : hidden === ops ? "hidden" : "partly";
  return { id, member, changesets: [id], actors: [actor], from: time, to: time, ops, hidden, status: stands, words };
}

function belongsTo(mark: Mark, next: Mark): boolean {
  const isWork = mark.words.length === 0 && next.words.length === 0;
  const isSoon = next.from - mark.to <= PAUSE_MS && next.to - mark.from <= BURST_MS_MAX;
  return isWork && isSoon && mark.status === next.status && mark.status !== "partly";
}

function joined(a: Mark, b: Mark): Mark {
  return {
    ...a,
    changesets: [...a.changesets, ...b.changesets],
    actors: [...new Set([...a.actors, ...b.actors])],
    to: b.to,
    ops: a.ops + b.ops,
    hidden: a.hidden + b.hidden,
  };
}

/** A longer pause ends a burst. */
export const PAUSE_MS = 1200;
const BURST_MS_MAX = 8000;
