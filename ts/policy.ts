/**
 * Policy: whom and what a member believes. `state = reduce(all - inert - hidden)`; this is where *hidden* is said.
 *
 * A word is a signed op like any other: stored, synced, listed, and taken back by another word. It crosses to the engine as
 * a phrase, see `src/trust/phrase.rs`.
 */

import type { Change } from "./change.js";
import { argumentError, checkInteger, checkOptions, checkString, checkTime, checkWord } from "./check.js";
import type { SpaceCore } from "./core.js";
import { StemmaError } from "./errors.js";
import type { Handle } from "./handle.js";
import type { ChangesetInfo } from "./history.js";
import { freeze } from "./value.js";
import { changesTo, type View, viewOf } from "./view.js";
import type { Write } from "./write.js";

/**
 * What a word is about: the id of a changeset, or of one op in it, `"changeset:index"`; or whatever is here by a member, by an actor or by
 * the properties of a selection, compiled to ids when the word is signed. What is written later is not among them: for that there is `ban`.
 */
export type Target = string | TargetSelection;

export interface TargetSelection {
  member?: string;
  /** What edits this object, or is below it. */
  object?: Handle;
  /** By claimed time, from `since` to before `until`: a `Date` or ms since 1970. */
  since?: Date | number;
  until?: Date | number;
}

/** Options of every word. */
export interface WordOptions {
  /** Why, for those who read it; up to 8,192 bytes as the format writes it. */
  reason?: string;
  /** Whether other members read it, as they do unless stated. What a reader says is always for that reader's own devices. */
  publish?: boolean;
}

export interface ExcludeOptions extends WordOptions {
  /** Whether what makes sense only with it is excluded too, as it is now: see {@link Preview.dependents}. */
  dependents?: boolean;
}

export interface BanOptions extends WordOptions {
  /**
   * From when on. Absent: everything, back to the beginning. A time, a `Date` or ms since 1970: what claims to be of then or
   * later, and all that the ban does not know of. The id of a changeset: all that this one does not build on, and itself.
   */
  since?: Date | number | string;
  /** `"now"`: all that the ban does not know of. */
  from?: "now";
}

/** What a preview tries; each as the method of its name takes it. */
export interface PreviewOptions {
  exclude?: Target | readonly Target[];
  include?: Target | readonly Target[];
  withdraw?: Target | readonly Target[];
  accept?: string | readonly string[];
  ban?: string | { who: string; since?: Date | number | string; from?: "now" };
  unban?: string;
  trust?: string | { member: string; weight?: number };
  distrust?: string;
  /** As in {@link ExcludeOptions}. */
  dependents?: boolean;
}

/** What words would do. */
export interface Preview {
  /** Of how many changesets an op would stand otherwise. */
  readonly changesets: number;
  readonly ops: number;
  /** Whose ops these are. */
  readonly members: readonly string[];
  /**
   * How many ops, not among them, make sense only with what would go: what was typed inside of its text or between its list
   * elements, and what is in an object that nobody else put under its key. `dependents: true` takes them along.
   */
  readonly dependents: number;
  /** Whose ops those are. */
  readonly others: readonly string[];
  /** What turns the space as it is into {@link view}, as listeners would be told. */
  readonly patches: readonly Change[];
  /** The space as it would be. */
  readonly view: View;
  /** How long it took. */
  readonly ms: number;
}

/** A word, as it is listed. */
export interface PolicyEntry {
  /** The id of its changeset and its place in it. */
  readonly id: string;
  readonly verb: "exclude" | "include" | "unsay" | "ban" | "unban" | "trust" | "threshold" | "review" | "accept" | "unaccept";
  /** The target, member or actor; `""` for a threshold and for the mode. */
  readonly subject: string;
  /** From when on a ban is: a time in ms, the id of a changeset, `"now"`; absent for all of history. */
  readonly since?: number | string;
  /** What somebody's words weigh, or what weight hides something. */
  readonly weight?: number;
  /** Whether review was switched on. */
  readonly on?: boolean;
  readonly reason?: string;
  /** Who says it. */
  readonly member: string;
  /** When, by that member's clock, ms since 1970. */
  readonly time: number;
  readonly published: boolean;
  /** Whether nothing was said on the subject since by the same member. */
  readonly counts: boolean;
  /** How much it weighs for me, 0 if I do not trust its author; absent for my own, which decide. */
  readonly trust?: number;
  /** Whether what it names has not arrived. */
  readonly pending: boolean;
}

/** How a changeset or an op stands, and why. */
export interface Standing {
  /** `"waits"`: for {@link Policy.accept}. */
  readonly status: "counts" | "hidden" | "waits";
  /** The words that were looked at, the one that decided last unless many did together. */
  readonly considered: readonly PolicyEntry[];
}

/** In what a member believes otherwise than I do. */
export interface Comparison {
  /** How many operations are hidden for me alone, */
  readonly here: number;
  /** how many of these because they wait for my review, which no word says, */
  readonly waiting: number;
  /** and how many for the other alone. */
  readonly there: number;
  /** The words that decide about these. */
  readonly entries: readonly PolicyEntry[];
  /** Whether the member shows just what I see; absent if it shows nothing: see {@link Policy.agreement}. */
  readonly agrees?: boolean;
}

/** Members that are here and see one and the same. */
export interface Agreement {
  /** The {@link Readable.viewDigest} that they show. */
  readonly digest: string;
  /** The hash of what they have: where it is another one, they lack something that is here, or have what is not. */
  readonly frontier: string;
  readonly members: readonly string[];
  /** What the words of these members weigh for me: those that I trust by what I trust them with, all others 0. */
  readonly weight: number;
  /** Whether it is what I see. */
  readonly mine: boolean;
}

/**
 * What I believe of this space.
 *
 * A word on an op goes before one on its changeset, and that before a ban, be it of its actor or of its member. My own words go
 * before those of members whom I {@link trust}; whom they trust means nothing to me. Words of the latter are weighed: something is
 * hidden once those against it outweigh those for it by the {@link threshold}. What I wrote myself is hidden by my own `exclude` alone. A ban
 * hides what somebody wrote, never keys, membership or words.
 *
 * Every method that says something signs at once, in a changeset of its own, and throws `E_ARGUMENT` inside `transact`.
 * Listeners are told of what changed with source `"policy"`.
 */
export class Policy {
  readonly #core: SpaceCore;

  /** @internal */
  constructor(core: SpaceCore) {
    this.#core = core;
  }

  /** `"review"`: what others write counts once I accept it or them. It is remembered, for this member's devices alone. */
  get mode(): "open" | "review" {
    return this.#core.pump.read((engine) => engine.reviews()) ? "review" : "open";
  }

  set mode(mode: "open" | "review") {
    checkWord(mode, "mode", ["open", "review"]);
    if (mode !== this.mode) this.#say([`review ${mode === "review" ? "on" : "off"}`], { publish: false }, "mode");
  }

  /** The weight that hides something; 1 unless set. */
  get threshold(): number {
    return this.#core.pump.read((engine) => engine.threshold());
  }

  setThreshold(weight: number): Write {
    checkInteger(weight, "weight", 1, Number.MAX_SAFE_INTEGER);
    return this.#say([`threshold ${weight}`], { publish: false }, "setThreshold");
  }

  /**
   * It should not count. A target that has not arrived is hidden when it does. What `dependents` takes along is a word on each of
   * those: {@link entries} lists them, for {@link withdraw}.
   */
  exclude(target: Target | readonly Target[], o: ExcludeOptions = {}): Write {
    checkOptions(o, "o", ["dependents", "reason", "publish"]);
    const { dependents = false, ...rest } = o;
    checkBoolean(dependents, "dependents");
    return this.#say(this.#targets(target, "exclude"), rest, "exclude", dependents);
  }

  /** It should count, whoever says otherwise and whoever wrote it. */
  include(target: Target | readonly Target[], o?: WordOptions): Write {
    return this.#say(this.#targets(target, "include"), o, "include");
  }

  /** Takes back what I said of targets, of a member or of an actor, acceptance and ban included. The last write if I said nothing. */
  withdraw(target: Target | readonly Target[], o?: WordOptions): Write {
    return this.#say(this.#withdrawn(target), o, "withdraw");
  }

  /** Nothing that a member, or one of its actors, wrote should count: all of it, or from some point on. Oneself cannot be banned. */
  ban(who: string, o: BanOptions = {}): Write {
    const { since, from, ...rest } = checkBan(o, ["reason", "publish"]);
    return this.#say([this.#ban(who, since, from)], rest, "ban");
  }

  unban(who: string, o?: WordOptions): Write {
    return this.#say([`ban ${this.#who(who)} lifted`], o, "unban");
  }

  /** Lets something pass the review: a member with all that it wrote and will write, a changeset or an op. */
  accept(target: string | readonly string[], o?: WordOptions): Write {
    return this.#say(this.#accepted(target), o, "accept");
  }

  /** From now on the words of a member weigh something here: what it excludes and whom it bans. */
  trust(member: string, o: WordOptions & { weight?: number } = {}): Write {
    checkOptions(o, "o", ["weight", "reason", "publish"]);
    const { weight = 1, ...rest } = o;
    checkInteger(weight, "weight", 1, Number.MAX_SAFE_INTEGER);
    return this.#say([`trust ${this.#other(member)} ${weight}`], rest, "trust");
  }

  distrust(member: string, o?: WordOptions): Write {
    return this.#say([`trust ${this.#other(member)} 0`], o, "distrust");
  }

  /** What words would do. Nothing is written. */
  preview(o: PreviewOptions): Preview {
    if (o === undefined) throw argumentError("o", "o is not an object of options");
    checkOptions(o, "o", ["exclude", "include", "withdraw", "accept", "ban", "unban", "trust", "distrust", "dependents"]);
    const { dependents = false } = o;
    checkBoolean(dependents, "dependents");
    this.#core.transactions.refuse("preview");
    const begun = performance.now();
    const phrases = linesOf(this.tried(o));
    const found = this.#core.pump.call((engine) => engine.preview(phrases, dependents));
    // The handles of the patches are of this view: it lasts as long as they do.
    const then = viewOf(this.#core, found.view);
    const patches = Object.freeze(changesTo(this.#core, then, found.patches, "policy"));
    const { changesets, hidden, shown, members, others } = found;
    const ms = performance.now() - begun;
    const counted = { changesets, ops: hidden + shown, members: freeze(members), dependents: found.dependents, others: freeze(others) };
    return Object.freeze({ ...counted, patches, view: then, ms });
  }

  /** All words that can be read here, in the order in which they came in, those that were replaced too. */
  entries(): readonly PolicyEntry[] {
    return freeze(this.#core.pump.read((engine) => engine.policyEntries()).map(entryOf));
  }

  /** Who says what of a changeset, an op, a member or an actor: one word a member, mine first. */
  votes(target: string): readonly PolicyEntry[] {
    checkString(target, "target");
    const isPerson = this.#isMember(target) || this.#isActor(target);
    const phrase = isPerson ? `ban ${this.#who(target)} lifted` : `unsay ${targetId(target)}`;
    return freeze(this.#core.pump.read((engine) => engine.policyVotes(phrase)).map(entryOf));
  }

  /** How a changeset or an op stands in this space as I see it, and every word that was looked at to say so. */
  standing(target: string): Standing {
    checkString(target, "target");
    const of = targetId(target);
    const [status, ...considered] = this.#core.pump.read((engine) => engine.policyStanding(of));
    return freeze({ status: status as Standing["status"], considered: (considered as EngineEntry[]).map(entryOf) });
  }

  /** What waits for review, in the order in which it came in. O(changesets). */
  inbox(): readonly Pick<ChangesetInfo, "id" | "member" | "actor" | "time">[] {
    return freeze(this.#core.pump.read((engine) => engine.inbox()));
  }

  /**
   * Who of those that are here sees what; the largest group first. Seeing one digest is having one state. Members show theirs as
   * {@link Presence} says, and asking shows mine; {@link Presence.subscribe} tells when to ask again. O(sessions).
   */
  agreement(): readonly Agreement[] {
    void this.#core.presence.session; // is seen from now on, at the latest
    const groups = this.#core.pump.read((engine) => engine.agreement());
    return freeze(groups.map(([frontier, digest, weight, mine, members]) => ({ digest, frontier, members, weight, mine })));
  }

  /**
   * In what a member believes otherwise, by the words that it has published and all of mine. What it keeps to itself cannot be told: with
   * that it may agree where the counts say otherwise, or differ where they are 0; or one of us lacks what the other has. O(changesets).
   */
  compare(member: string): Comparison {
    const of = id(member, "member");
    if (this.#isActor(of)) throw argumentError("member", "member is the id of an actor");
    const found = this.#core.pump.read((engine) => engine.policyCompare(of));
    const [here, there, agrees, entries, waiting] = found as [number, number, boolean | undefined, EngineEntry[], number];
    const counted = { here, waiting, there, entries: entries.map(entryOf) };
    return freeze(agrees === undefined ? counted : { ...counted, agrees });
  }

  get #me(): string {
    return this.#core.pump.read((engine) => engine.member());
  }

  #say(phrases: string[], o: WordOptions | undefined, method: string, dependents = false): Write {
    checkOptions(o, "o", ["reason", "publish"]);
    const { reason, publish } = o ?? {};
    if (reason !== undefined) checkString(reason, "reason");
    if (publish !== undefined) checkBoolean(publish, "publish");
    const { transactions, pump } = this.#core;
    transactions.refuse(`policy.${method}`);
    if (publish && pump.read((engine) => engine.role()) === "reader") throw new StemmaError("E_ACCESS", "a reader's policy is for the reader alone");
    const lines = linesOf(phrases);
    return transactions.sealed(pump.call((engine) => engine.say(lines, dependents, reason, publish ?? true) || engine.lastWrite()));
  }

  /** The phrases of what is only tried. @internal */
  tried({ exclude, include, withdraw, accept, ban, unban, trust, distrust }: PreviewOptions): string[] {
    const phrases: string[] = [];
    if (exclude !== undefined) phrases.push(...this.#targets(exclude, "exclude"));
    if (include !== undefined) phrases.push(...this.#targets(include, "include"));
    if (withdraw !== undefined) phrases.push(...this.#withdrawn(withdraw));
    if (accept !== undefined) phrases.push(...this.#accepted(accept));
    if (ban !== undefined) {
      if (ban === null || Array.isArray(ban)) throw argumentError("ban", "ban is not an id, nor { who }");
      const { who, ...scope } = typeof ban === "string" ? { who: ban } : ban;
      const { since, from } = checkBan(scope, []);
      phrases.push(this.#ban(who, since, from));
    }
    if (unban !== undefined) phrases.push(`ban ${this.#who(unban)} lifted`);
    if (trust !== undefined) {
      if (typeof trust !== "string") checkOptions(trust, "trust", ["member", "weight"]);
      const { member, weight = 1 } = typeof trust === "string" ? { member: trust } : trust;
      checkInteger(weight, "weight", 1, Number.MAX_SAFE_INTEGER);
      phrases.push(`trust ${this.#other(member)} ${weight}`);
    }
    if (distrust !== undefined) phrases.push(`trust ${this.#other(distrust)} 0`);
    return phrases;
  }

  /** The ids that targets stand for. @internal */
  chosen(target: Target | readonly Target[]): string[] {
    return this.#targets(target, "").map((phrase) => phrase.slice(1));
  }

  #targets(target: Target | readonly Target[], verb: string): string[] {
    return list(target).flatMap((one) => {
      if (typeof one !== "string") return this.#selected(one).map((found) => `${verb} ${found}`);
      return [`${verb} ${targetId(one)}`];
    });
  }

  #selected(selection: TargetSelection): string[] {
    if (typeof selection !== "object" || selection === null) throw argumentError("target", "target is not an id, nor a selection");
    checkOptions(selection, "target", ["member", "object", "since", "until"]);
    const { member, object, since, until } = selection;
    if (member === undefined && object === undefined && since === undefined && until === undefined) {
      throw argumentError("target", "target selects everything: name a member, an object or a time");
    }
    const number = object === undefined ? undefined : this.#core.numberOf(object);
    const times = [since, until].map((time, at) => (time === undefined ? undefined : checkTime(time, at ? "until" : "since")));
    this.#core.transactions.flush();
    return this.#core.pump.read((engine) =>
      engine.policyTargets(member === undefined ? undefined : id(member, "member"), undefined, number, times[0], times[1]),
    );
  }

  #accepted(target: string | readonly string[]): string[] {
    return list(target).map((one) => {
      checkString(one, "target");
      const id = targetId(one);
      if (id === this.#me) throw argumentError("target", "nobody waits for one's own review");
      if (this.#isMember(id)) return `accept member ${id}`;
      if (this.#isActor(id)) throw argumentError("target", "target is the id of an actor: accept its member");
      return `accept ${id}`;
    });
  }

  #withdrawn(given: Target | readonly Target[]): string[] {
    const withdrawn = this.#targets(given, "unsay").flatMap((phrase) => {
      const target = phrase.slice("unsay ".length);
      if (this.#isMember(target)) return [`ban member ${target} lifted`, `unaccept member ${target}`];
      return this.#isActor(target) ? [`ban actor ${target} lifted`] : [phrase, `unaccept ${target}`];
    });
    return withdrawn.filter((phrase) => this.#contradicts(phrase));
  }

  /** Whether I said something else on the subject of a phrase. */
  #contradicts(phrase: string): boolean {
    const mine = this.#core.pump.read((engine) => engine.policyVotes(phrase)).find(({ member }) => member === this.#me);
    return mine !== undefined && mine.said !== phrase;
  }

  #ban(who: string, since: BanOptions["since"], from: BanOptions["from"]): string {
    const whom = `ban ${this.#who(who)}`;
    if (from !== undefined) return `${whom} here`;
    if (since === undefined) return `${whom} all`;
    if (typeof since === "string") return `${whom} changeset ${id(since, "since")}`;
    const ms = Math.floor(checkTime(since, "since"));
    checkInteger(ms, "since", 0, TIME_MAX);
    return `${whom} time ${ms}`;
  }

  #who(who: string): string {
    const known = id(who, "who");
    return `${this.#isActor(known) ? "actor" : "member"} ${known}`;
  }

  /** A member who is not I. */
  #other(member: string): string {
    const known = id(member, "member");
    if (known === this.#me) throw argumentError("member", "nobody trusts oneself: one's own words decide");
    if (!this.#isMember(known) && this.#isActor(known)) throw argumentError("member", "member is the id of an actor");
    return known;
  }

  #isActor(id: string): boolean {
    return ID.test(id) && this.#core.pump.read((engine) => engine.isActor(id));
  }

  #isMember(id: string): boolean {
    return ID.test(id) && this.#core.pump.read((engine) => engine.isMember(id));
  }
}

function checkBan(o: BanOptions, more: readonly string[]): BanOptions {
  checkOptions(o, "o", ["since", "from", ...more]);
  if (o.from !== undefined) {
    checkWord(o.from, "from", ["now"]);
    if (o.since !== undefined) throw argumentError("since", "a ban is from now, or since a point: not both");
  }
  return o;
}

function checkBoolean(value: unknown, argument: string): asserts value is boolean {
  if (typeof value !== "boolean") throw argumentError(argument, `${argument} is not a boolean`);
}

/** The latest time that the format has, ms since 1970. */
const TIME_MAX = 2 ** 48 - 1;

const ID = /^[0-9a-f]{64}$/i;

function id(value: string, argument: string): string {
  checkString(value, argument);
  if (!ID.test(value)) throw argumentError(argument, `${argument} is not 64 hexadecimal digits`);
  return value.toLowerCase();
}

/** The id of a changeset, of an op, or of a person. */
function targetId(target: string): string {
  if (!TARGET.test(target)) throw argumentError("target", `${JSON.stringify(target)} names no changeset, op, member or actor`);
  return target.toLowerCase();
}

const TARGET = /^[0-9a-f]{64}(:(0|[1-9]\d{0,4}))?$/i;

function list<T>(one: T | readonly T[]): readonly T[] {
  return Array.isArray(one) ? one : [one as T];
}

/** A word of the engine, its phrase taken apart. */
export interface EngineEntry {
  changeset: string;
  index: number;
  member: string;
  time: number;
  said: string;
  reason?: unknown;
  private: boolean;
  counts: boolean;
  weight?: number;
  pending: boolean;
}

/** Phrases as the engine takes them: a string that crosses the border for each of a thousand would cost more than to sign them. */
function linesOf(phrases: readonly string[]): string {
  return phrases.map((phrase) => `${phrase}\n`).join("");
}

/** A word of the engine as it is listed. */
export function entryOf({ changeset, index, member, time, said, reason, private: isPrivate, counts, weight, pending }: EngineEntry): PolicyEntry {
  return {
    id: `${changeset}:${index}`,
    ...read(said.split(" ")),
    ...(typeof reason === "string" ? { reason } : {}),
    member,
    time,
    published: !isPrivate,
    counts,
    ...(weight === undefined ? {} : { trust: weight }),
    pending,
  };
}

function read([verb, ...rest]: string[]): Pick<PolicyEntry, "verb" | "subject" | "since" | "weight" | "on"> {
  const [first = "", second = "", third, fourth] = rest;
  switch (verb) {
    case "ban":
      if (third === "lifted") return { verb: "unban", subject: second };
      if (third === "here") return { verb: "ban", subject: second, since: "now" };
      if (third === "time") return { verb: "ban", subject: second, since: Number(fourth) };
      return { verb: "ban", subject: second, ...(fourth === undefined ? {} : { since: fourth }) };
    case "trust":
      return { verb: "trust", subject: first, weight: Number(second) };
    case "threshold":
      return { verb: "threshold", subject: "", weight: Number(first) };
    case "review":
      return { verb: "review", subject: "", on: first === "on" };
    default:
      return { verb: verb as "exclude" | "include" | "unsay" | "accept" | "unaccept", subject: first === "member" ? second : first };
  }
}
