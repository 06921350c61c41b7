/**
 * What somebody looks at in the log, thought through: a mark, a ban, a moment. A trial says what it would do and how to do it.
 *
 * Invariant: a trial writes nothing. What `act` says is exactly what was tried.
 */
import type { Change, PolicyEntry, Preview, PreviewOptions, Space, View, Write } from "stemma";
import { accept, ban, exclude, expenses, preview, takeBack, then, trust } from "./demo.ts";
import type { Mark } from "./marks.ts";
import { money } from "./money.ts";
import { banOf, mine, trustIn } from "./words.ts";

export type Scope = "all" | "since" | "now";

export type Choice =
  | { readonly kind: "mark"; readonly id: string; readonly dependents: boolean }
  | { readonly kind: "entry"; readonly id: string }
  | { readonly kind: "ban"; readonly member: string; readonly scope: Scope; readonly point: string | undefined }
  | { readonly kind: "trust"; readonly member: string; readonly weight: number }
  | { readonly kind: "time"; readonly time: number; readonly policy: "now" | "then" };

export interface Trial {
  readonly title: string;
  readonly words: string;
  /** The space as it would be, and what turns the present one into it; absent if that cannot be tried. */
  readonly view?: View;
  readonly changes: readonly Change[];
  /** What else can go along, in words: edits of others that make sense only with it, or all that somebody will write. */
  readonly dependents?: string;
  /** `undo`: of what is no word on a change, and not a ban. */
  readonly act?: { readonly label: string; readonly done: string; readonly say: () => Write; readonly undo?: () => Write };
}

/** Whose eyes, and what they see. */
export interface Seen {
  readonly space: Space;
  readonly name: string;
  readonly marks: readonly Mark[];
  nameOf(member: string): string;
}

/** `undefined` if what was chosen is not there any more. */
export function trialOf(choice: Choice, seen: Seen): Trial | undefined {
  if (choice.kind === "time") return moment(choice.time, choice.policy, seen);
  if (choice.kind === "ban") return banning(choice, seen);
  if (choice.kind === "entry") return paying(choice.id, seen);
  if (choice.kind === "trust") return trusting(choice.member, choice.weight, seen);
  const mark = seen.marks.find(({ id }) => id === choice.id);
  if (!mark) return undefined;
  if (mark.words.length > 0) return word(mark, seen);
  if (mark.status === "inert") return { title: whose(mark, seen), words: "The rules of the space rule it out, for everybody alike.", changes: [] };
  if (mark.status === "waits") return accepting(mark, choice.dependents, seen);
  return mark.status === "counts" ? excluding(mark, choice.dependents, seen) : including(mark, seen);
}

/** Whose mark it is, and of when. */
export function whose(mark: Mark, { nameOf }: Seen): string {
  return `${nameOf(mark.member)}, ${clock(mark.from)}`;
}

/** Who signed a mark, what it is and how it stands, in words. */
export function described(mark: Mark, seen: Seen): string {
  const by = `signature checked, key ${mark.actors.map((actor) => actor.slice(0, 8)).join(", ")}`;
  const said = mark.words.map((entry) => sentence(entry, seen)).join(" ");
  if (said) return `${said} ${upper(by)}.`;
  return `${edits(mark.ops)}, ${by}. ${standing(mark, seen)}`;
}

function standing(mark: Mark, seen: Seen): string {
  if (mark.status === "inert") return "Ruled out for everybody.";
  if (mark.status === "counts") return `Counts for ${seen.name}.`;
  if (mark.status === "waits") return `Waits for ${seen.name} to accept it.`;
  const reason = seen.space.policy.standing(mark.id).considered.at(-1);
  const why = reason ? `: ${sentence(reason, seen)}` : ".";
  return mark.status === "partly" ? `Counts in part for ${seen.name}${why}` : `Does not count for ${seen.name}${why}`;
}

function excluding(mark: Mark, dependents: boolean, seen: Seen): Trial {
  const { space, name, nameOf } = seen;
  const alone = preview(space, { exclude: mark.changesets });
  const along = alongWith(alone, nameOf);
  const found = dependents ? preview(space, { exclude: mark.changesets, dependents }) : alone;
  if (found !== alone) alone.view[Symbol.dispose]();
  return {
    title: `Without this change by ${nameOf(mark.member)}`,
    words: `${would(found, nameOf, "go")} Nothing is written yet.`,
    ...shown(found),
    ...(along && { dependents: along }),
    act: {
      label: "Exclude it",
      done: `It does not count for ${name} any more. The others decide for themselves.`,
      say: () => exclude(space, mark.changesets, { dependents }),
    },
  };
}

function including(mark: Mark, seen: Seen): Trial {
  const { space, name, nameOf } = seen;
  const own = [...mine(space).values()].filter(({ verb, subject }) => verb === "exclude" && mark.changesets.includes(subject.split(":")[0] ?? ""));
  const isOwnDoing = own.length > 0 && !banOf(space, mark.member);
  const targets = isOwnDoing ? own.map(({ subject }) => subject) : mark.changesets;
  const found = preview(space, { include: targets });
  return {
    title: `With this change by ${nameOf(mark.member)} again`,
    words: `${would(found, nameOf, "come back")} Nothing is written yet.`,
    ...shown(found),
    act: {
      label: "Let it count",
      done: `It counts for ${name}.`,
      say: () => (isOwnDoing ? takeBack(space, targets) : space.policy.include(targets)),
    },
  };
}

/** What waits for review: it is let in, or its author is. */
function accepting(mark: Mark, withAuthor: boolean, seen: Seen): Trial {
  const { space, name, nameOf } = seen;
  const who = nameOf(mark.member);
  const what = withAuthor ? mark.member : mark.changesets;
  const found = preview(space, { accept: what });
  return {
    title: `With this change by ${who}`,
    words: `${would(found, nameOf, "come in")} Nothing is written yet.`,
    ...shown(found),
    dependents: `and whatever else ${who} writes`,
    act: {
      label: withAuthor ? `Accept ${who}` : "Accept it",
      done: withAuthor ? `${name} accepts ${who}: what ${who} wrote and will write counts.` : `It counts for ${name}.`,
      say: () => accept(space, what),
      undo: () => takeBack(space, what),
    },
  };
}

/** Whose words are followed, and how much they weigh. */
function trusting(member: string, weight: number, { space, name, nameOf }: Seen): Trial {
  const [who, before] = [nameOf(member), trustIn(space, member)];
  const found = preview(space, weight > 0 ? { trust: { member, weight } } : { distrust: member });
  const now = before === 0 ? `The words of ${who} mean nothing to ${name}.` : `The words of ${who} count ${times(before)} for ${name}.`;
  const effect = found.ops > 0 ? `${edits(found.ops)} by ${names(found.members, nameOf)} would stand otherwise.` : "Nothing would change now.";
  const act = {
    label: weight > 0 ? `Trust ${who}` : `Trust ${who} no more`,
    done: weight > 0 ? `What ${who} excludes, and whom ${who} bans, is hidden for ${name} too, unless ${name} says otherwise.` : `${name} decides without ${who}.`,
    say: () => trust(space, member, weight),
    undo: () => trust(space, member, before),
  };
  return { title: `What ${who} says of others`, words: `${now} ${effect}`, ...shown(found), ...(weight === before ? {} : { act }) };
}

function times(weight: number): string {
  return weight === 1 ? "once" : weight === 2 ? "twice" : `${weight} times`;
}

/** A payment, without or with it: a word on it is one on its dispute, for all to read. */
function paying(id: string, { space, name, nameOf }: Seen): Trial | undefined {
  const ledger = expenses(space);
  const entry = ledger.entries().find((one) => one.id === id);
  if (!entry) return undefined;
  const counts = entry.status === "counts";
  const found = preview(space, counts ? { exclude: id } : { include: id });
  const what = `${money(entry.amount)} from ${nameOf(entry.from)} to ${nameOf(entry.to)}`;
  const isOwnDoing = mine(space).get(id)?.verb === "exclude" && !banOf(space, entry.member);
  return {
    title: counts ? `Without ${what}` : `With ${what} again`,
    words: `The ledger is computed anew, found in ${found.ms < 1 ? "less than 1" : Math.round(found.ms)} ms. Nothing is written yet.`,
    ...shown(found),
    act: {
      label: counts ? "Exclude it" : "Let it count",
      done: counts ? `The payment does not count for ${name}; the others read that, and decide for themselves.` : `The payment counts for ${name}.`,
      say: () => (counts ? ledger.support(id) : isOwnDoing ? takeBack(space, id) : ledger.oppose(id)),
    },
  };
}

/** A mark that is a word: one's own can be taken back. */
function word(mark: Mark, seen: Seen): Trial {
  const { space, name, nameOf } = seen;
  const words = mark.words.map((entry) => sentence(entry, seen)).join(" ");
  const title = whose(mark, seen);
  const standing = mark.words.filter(({ counts, verb }) => counts && ["exclude", "include", "ban"].includes(verb));
  if (mark.member !== space.me) return { title, words: `${words} That is ${nameOf(mark.member)}’s own choice; ${name} decides alone.`, changes: [] };
  if (standing.length === 0) return { title, words: `${words} A later choice replaced it.`, changes: [] };
  const subjects = standing.map(({ subject }) => subject);
  const of = (verb: PolicyEntry["verb"]) => standing.filter((entry) => entry.verb === verb).map(({ subject }) => subject);
  const [banned] = of("ban");
  const found = preview(space, banned ? { unban: banned } : { include: of("exclude"), exclude: of("include") });
  return {
    title,
    words: `${words} ${would(found, nameOf, "come back")}`,
    ...shown(found),
    act: { label: "Take it back", done: `${name} took it back.`, say: () => takeBack(space, subjects) },
  };
}

function banning({ member, scope, point }: Choice & { kind: "ban" }, seen: Seen): Trial {
  const { space, name, nameOf } = seen;
  const who = nameOf(member);
  const since = banOf(space, member);
  if (since) {
    const found = preview(space, { unban: member });
    return {
      title: `${who} is banned`,
      words: `${sentence(since, seen)} ${would(found, nameOf, "come back")}`,
      ...shown(found),
      act: { label: `Unban ${who}`, done: `Everything by ${who} counts for ${name} again, as if nothing had been said.`, say: () => takeBack(space, member) },
    };
  }
  const from = scope === "all" ? {} : scope === "now" ? ({ from: "now" } as const) : { since: point as string };
  const what: PreviewOptions = { ban: { who: member, ...from } };
  const found = preview(space, what);
  const effect = found.ops === 0 ? `Nothing changes now. What ${who} writes later will not count for ${name}.` : `${would(found, nameOf, "go")} Later work by ${who} will not count either.`;
  return {
    title: `If ${name} did not believe ${who}`,
    words: effect,
    ...shown(found),
    act: { label: `Ban ${who}`, done: `${name} does not believe ${who} any more. ${who} keeps the note, and the others decide for themselves.`, say: () => ban(space, member, from) },
  };
}

function moment(time: number, policy: "now" | "then", { space, name }: Seen): Trial {
  const now = space.view();
  const view = then(space, time, policy);
  const changes = space.diff(now, view);
  now[Symbol.dispose]();
  const belief = policy === "now" ? `what ${name} believes today` : `what ${name} believed then`;
  return { title: `As it was at ${clock(time)}`, words: `All that was written by then, by its authors’ clocks, and ${belief}.`, view, changes };
}

/** A word, as a sentence. */
export function sentence({ verb, subject, since, weight, on, member }: PolicyEntry, { marks, nameOf }: Seen): string {
  const who = nameOf(member);
  const about = marks.find(({ changesets }) => changesets.includes(subject.split(":")[0] ?? ""));
  const target = about ? `a change by ${nameOf(about.member)}` : "a change";
  switch (verb) {
    case "exclude":
      return `${who} excluded ${target}.`;
    case "include":
      return `${who} lets ${target} count.`;
    case "ban":
      return `${who} banned ${nameOf(subject)}${scopeWords(since, marks)}.`;
    case "unban":
      return `${who} lifted the ban of ${nameOf(subject)}.`;
    case "unsay":
      return `${who} took back a choice about ${target}.`;
    case "accept":
      return `${who} accepted ${about ? target : nameOf(subject)}.`;
    case "unaccept":
      return `${who} took back that ${about ? target : nameOf(subject)} is accepted.`;
    case "trust":
      return weight === 0 ? `${who} trusts ${nameOf(subject)} no more.` : `${who} trusts ${nameOf(subject)}.`;
    case "review":
      return on ? `${who} reviews what others write before it counts.` : `${who} lets everything count without a review.`;
    default:
      return `${who} said: ${verb}.`;
  }
}

function scopeWords(since: PolicyEntry["since"], marks: readonly Mark[]): string {
  if (since === undefined) return " for all of history";
  if (since === "now") return " from then on";
  const time = typeof since === "number" ? since : marks.find(({ changesets }) => changesets.includes(since))?.from;
  return time === undefined ? " since a change" : ` since ${clock(time)}`;
}

function shown({ view, patches }: Preview): Pick<Trial, "view" | "changes"> {
  return { view, changes: patches };
}

function would({ ops, members, ms }: Preview, nameOf: Seen["nameOf"], verb: string): string {
  if (ops === 0) return "It would change nothing.";
  return `${edits(ops)} by ${names(members, nameOf)} would ${verb}, found in ${ms < 1 ? "less than 1" : Math.round(ms)} ms.`;
}

function alongWith({ dependents, others }: Preview, nameOf: Seen["nameOf"]): string | undefined {
  return dependents === 0 ? undefined : `and ${edits(dependents)} by ${names(others, nameOf)} inside of it`;
}

/** Names, joined as in speech. */
export function names(members: readonly string[], nameOf: Seen["nameOf"]): string {
  return new Intl.ListFormat("en").format(members.map(nameOf));
}

function edits(count: number): string {
  return count === 1 ? "1 edit" : `${count.toLocaleString("en")} edits`;
}

export function clock(time: number): string {
  return new Date(time).toLocaleTimeString("en-GB");
}

function upper(words: string): string {
  return words.slice(0, 1).toUpperCase() + words.slice(1);
}
