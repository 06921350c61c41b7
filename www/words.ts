/**
 * Words of policy, and what was said before them: undo in this page says the former word again, or takes the new one back.
 *
 * Invariant: after the undo the member believes exactly what it believed before.
 */
import type { BanOptions, PolicyEntry, Space, Write } from "stemma";
import { takeBack } from "./demo.ts";
import { changesetOf } from "./marks.ts";

/** Says something, and gives what undoes it. */
export function said(space: Space, say: () => Write): { write: Write; undo: () => Write } {
  const before = mine(space);
  const write = say();
  const subjects = [...mine(space).values()].filter((entry) => changesetOf(entry) === write.id).map(({ subject }) => subject);
  return { write, undo: () => restored(space, subjects, before) };
}

/** What I say today of changes and of people, by what it is about. */
export function mine(space: Space): ReadonlyMap<string, PolicyEntry> {
  const own = space.policy.entries().filter(({ member, counts, verb }) => member === space.me && counts && VERBS.has(verb));
  return new Map(own.map((entry) => [entry.subject, entry]));
}

/** My ban of a member, if there is one in force. */
export function banOf(space: Space, member: string): PolicyEntry | undefined {
  const word = mine(space).get(member);
  return word?.verb === "ban" ? word : undefined;
}

/** How much the words of a member weigh for me; 0 for one whom I do not trust. */
export function trustIn(space: Space, member: string): number {
  const mine = space.policy.entries().find((entry) => entry.member === space.me && entry.verb === "trust" && entry.subject === member && entry.counts);
  return mine?.weight ?? 0;
}

function restored(space: Space, subjects: readonly string[], before: ReadonlyMap<string, PolicyEntry>): Write {
  const saying = (verb: PolicyEntry["verb"]) => subjects.filter((subject) => before.get(subject)?.verb === verb);
  const [excluded, included, banned] = [saying("exclude"), saying("include"), saying("ban")];
  const silent = subjects.filter((subject) => ![...excluded, ...included, ...banned].includes(subject));
  let write = space.flush();
  if (silent.length > 0) write = takeBack(space, silent);
  if (excluded.length > 0) write = space.policy.exclude(excluded);
  if (included.length > 0) write = space.policy.include(included);
  for (const who of banned) write = space.policy.ban(who, scopeOf(before.get(who) as PolicyEntry));
  return write;
}

/** "From now" meant the moment of that word: all that its changeset does not build on. */
function scopeOf(entry: PolicyEntry): BanOptions {
  if (entry.since === undefined) return {};
  return { since: entry.since === "now" ? changesetOf(entry) : entry.since };
}

const VERBS: ReadonlySet<PolicyEntry["verb"]> = new Set(["exclude", "include", "unsay", "ban", "unban"]);
