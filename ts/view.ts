/**
 * Views: a space as it was, or as it would be, to be read beside the present.
 *
 * Invariant: what a view is made of is fixed when it is made, and nothing that is done to one is ever written. Its
 * handles are of the same classes as those of the space, with another number of the engine behind each.
 */

import { type Change, changesOf } from "./change.js";
import { argumentError, checkOptions, checkString, checkTime, checkWord, copyList } from "./check.js";
import type { SpaceCore } from "./core.js";
import { isStemmaError, StemmaError } from "./errors.js";
import { type Handle, handleOf } from "./handle.js";
import { ObjectCore } from "./object.js";
import { Readable, type Source } from "./readable.js";
import { Reducers } from "./reducers.js";
import { type Engine, type EnginePatch, type Kind, KINDS, kindOf, type ObjectOptions, type ViewQuery } from "./replica.js";

/** Options of {@link Space.at}. */
export interface AtOptions {
  /**
   * Whose clock a time is by. `"claimed"`: that of each author, as {@link ChangesetInfo.time}. `"received"`: that of this
   * device when the changeset came in here, as {@link ChangesetInfo.received}.
   */
  by?: "claimed" | "received";
  /** Whose words about what counts are heeded: those of `"now"`, as they are unless stated, or those in the view itself. */
  policy?: "now" | "then";
}

/** Options of {@link Space.view}. */
export interface ViewOptions extends AtOptions {
  /** Up to when, as in {@link Space.at}; all that is here unless stated. */
  at?: Date | number | string;
  /** What does not count: ids of changesets, or of one op in it, `"changeset:index"`. An undo can be named too. */
  exclude?: readonly string[];
  /** What counts all the same, though it was excluded or is not in {@link at}; in the same form. What an undo in the view takes back stays out. */
  include?: readonly string[];
  /** Who is banned besides, as if I said so now. */
  ban?: string | { who: string; since?: Date | number | string; from?: "now" };
  /** Whether only what is final is in: {@link Audit.isFinal}. Nothing is without validators. */
  finalOnly?: boolean;
}

/** What stands behind a view, for {@link Space.diff}. */
let coreOf: (view: View) => ViewCore;

/**
 * A space as some of its changesets make it; {@link Space.at} and {@link Space.view} make one. It reads as the space does,
 * through handles of the same classes. Those are read-only: what would write throws `E_READONLY`, and nobody who
 * subscribes is ever called.
 *
 * It does not change when the space does. An object is put together when it is first asked for, in the time that it takes
 * to pass over its ops. What a view holds is given back by `using`, or by a call of `view[Symbol.dispose]()`; everything
 * of it then throws `E_CLOSED`. That is also the end of a view when the space is closed, or its engine had to be started
 * again, or edits were signed anew because the disk failed.
 */
export class View extends Readable implements Disposable {
  readonly #core: ViewCore;

  static {
    coreOf = (view) => view.#core;
  }

  /** @internal */
  constructor(core: ViewCore) {
    super(core);
    this.#core = core;
  }

  [Symbol.dispose](): void {
    this.#core.close();
  }
}

/** Makes a view for one of the two methods of a space. */
export function makeView(space: SpaceCore, query: ViewQuery, method: "at" | "view"): View {
  space.transactions.refuse(method);
  return new View(new ViewCore(space, openView(space, query, method === "at" ? "when" : "at")));
}

/** A view that the engine has opened already. */
export function viewOf(space: SpaceCore, view: number): View {
  return new View(new ViewCore(space, view));
}

/** The query of a moment: a time by a clock, or a changeset. */
export function momentOf(when: unknown, by: unknown, argument: string): ViewQuery {
  if (by !== undefined) checkWord(by, "by", ["claimed", "received"]);
  if (typeof when === "string") {
    if (by !== undefined) throw argumentError("by", `by is for times, and ${argument} is a changeset`);
    return { past: when };
  }
  const ms = Math.floor(checkTime(when, argument));
  return by === "received" ? { received: ms } : { claimed: ms };
}

export function viewQuery(o: ViewOptions, bans: (ban: NonNullable<ViewOptions["ban"]>) => string[]): ViewQuery {
  checkOptions(o, "o", ["at", "by", "policy", "exclude", "include", "ban", "finalOnly"]);
  const { at, by, policy, ban, finalOnly = false } = o;
  if (typeof finalOnly !== "boolean") throw argumentError("finalOnly", "finalOnly is not a boolean");
  const [exclude, include] = [targetsOf(o.exclude, "exclude"), targetsOf(o.include, "include")];
  if (at === undefined && by !== undefined) throw argumentError("by", "by needs at, a time");
  if (ban !== undefined && (ban === null || Array.isArray(ban))) throw argumentError("ban", "ban is not an id, nor { who }");
  const said = ban === undefined ? {} : { ban: bans(ban) };
  return { ...(at === undefined ? {} : momentOf(at, by, "at")), ...policyOf(policy), ...said, exclude, include, finalOnly };
}

function targetsOf(targets: unknown = [], argument: string): string[] {
  return copyList(targets, argument, `${argument} is not a list of ids`).map((target) => {
    checkString(target, argument);
    return target;
  });
}

/** Whose words a view heeds. */
export function policyOf(policy: unknown): ViewQuery {
  if (policy !== undefined) checkWord(policy, "policy", ["now", "then"]);
  return policy === "then" ? { then: true } : {};
}

/** The engine's number of a new view; `argument` is what the caller calls the time. */
export function openView(space: SpaceCore, query: ViewQuery, argument: string): number {
  try {
    return space.pump.call((engine) => engine.view(query));
  } catch (error) {
    if (isStemmaError(error) && error.argument === "when") throw argumentError(argument, error.message);
    throw error;
  }
}

/** What turns `a` into `b`. */
export function diffViews(space: SpaceCore, a: View, b: View): Change[] {
  const [from, to] = [checkView(space, a, "a"), checkView(space, b, "b")];
  return changesTo(space, b, space.pump.read((engine) => engine.viewDiff(from.number, to.number)), "diff");
}

/** Patches of the engine that lead to a view, with handles of that. */
export function changesTo(space: SpaceCore, view: View, patches: readonly EnginePatch[], source: "diff" | "policy"): Change[] {
  return patches.flatMap((patch) => {
    const live = space.coreAt(patch.object);
    const said = { source, member: "", actor: "", changeset: "", ...patch } as const;
    return live ? changesOf(said, coreOf(view).handle(live), undefined) : [];
  });
}

function checkView(space: SpaceCore, view: unknown, argument: string): ViewCore {
  if (!(view instanceof View)) throw argumentError(argument, `${argument} is not a view`);
  const core = coreOf(view);
  if (core.space !== space) throw argumentError(argument, `${argument} is a view of another space`);
  core.check();
  return core;
}

class ViewCore implements Source {
  readonly space: SpaceCore;
  readonly #number: number;
  readonly #generation: number;
  /** Of objects that are in no map. */
  readonly #roots = new Map<ObjectCore, Handle>();
  /** Of the others, by the number that the engine gave the object in this view. */
  readonly #handles = new Map<number, Handle>();
  #isClosed = false;
  readonly reducers: Reducers;

  constructor(space: SpaceCore, number: number) {
    this.space = space;
    this.reducers = new Reducers(space, () => this.number);
    this.#number = number;
    const generation = (this.#generation = space.pump.generation);
    FORGOTTEN.register(this, () => closeView(space, number, generation), this);
  }

  get number(): number {
    this.check();
    return this.#number;
  }

  /** Throws if nothing can be read of it any more. */
  check(): void {
    this.space.pump.check();
    if (this.#isClosed) throw new StemmaError("E_CLOSED", "the view is closed");
    if (this.#generation !== this.space.pump.generation) throw new StemmaError("E_CLOSED", "the view went with an engine that crashed");
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#roots.clear();
    this.#handles.clear();
    FORGOTTEN.unregister(this);
    closeView(this.space, this.#number, this.#generation);
  }

  object(name: string, kind: Kind, options?: ObjectOptions): Handle {
    this.check();
    return this.handle(this.space.coreOf(this.space.object(name, kind, options)) as ObjectCore);
  }

  /** The handle of an object of the space as this view shows it. */
  handle(live: ObjectCore): Handle {
    const { name, kind, options } = live;
    const numbered = () => this.#read((engine, view) => engine.objectIn(view, live.number));
    if (live.map) return this.at(numbered(), name, kind, options);
    this.check();
    const known = this.#roots.get(live);
    if (known) return known;
    const handle = this.#handle(name, kind, options, numbered);
    this.#roots.set(live, handle);
    return handle;
  }

  /** The handle of an object in a map of this view, the same every time. */
  at(number: number, name: string, kind: Kind, options: ObjectOptions | undefined): Handle {
    const known = this.#handles.get(number);
    if (known) return known;
    const handle = this.#handle(name, kind, options, () => number);
    this.#handles.set(number, handle);
    return handle;
  }

  #handle(name: string, kind: Kind, options: ObjectOptions | undefined, numbered: () => number): Handle {
    const handle = handleOf(new PastObject(this, name, kind, options, numbered));
    refuseWriters(handle, () => this.check());
    return handle;
  }

  heads(): string[] {
    return this.#read((engine, view) => engine.viewHeads(view));
  }

  names(): { name: string; kind: number }[] {
    return this.#read((engine, view) => engine.viewNames(view));
  }

  stateHash(): string {
    return this.#read((engine, view) => engine.viewStateHash(view));
  }

  viewDigest(): string {
    return this.#read((engine, view) => engine.digestOfView(view));
  }

  #read<T>(work: (engine: Engine, view: number) => T): T {
    return this.space.pump.read(work, this.number);
  }
}

/** An object as a view shows it. Nothing is forgotten of it, for it does not change, unless something was erased. */
class PastObject extends ObjectCore {
  readonly #view: ViewCore;
  readonly #numbered: () => number;
  #number: number | undefined;
  #erasures: number;

  /** `numbered` is asked when it is first read: the engine puts it together then. */
  constructor(view: ViewCore, name: string, kind: Kind, options: ObjectOptions | undefined, numbered: () => number) {
    super(view.space, name, kind, options, 0);
    this.#view = view;
    this.#numbered = numbered;
    this.#erasures = view.space.erasures;
  }

  override check(): void {
    this.#view.check();
    const { erasures } = this.space;
    if (this.#erasures === erasures) return;
    this.#erasures = erasures;
    this.forgetOwn();
  }

  override get number(): number {
    this.check();
    return (this.#number ??= this.#numbered());
  }

  override edit<T>(): T {
    throw readOnly(`the ${this.kind} ${JSON.stringify(this.name)}`);
  }

  override get isWritable(): boolean {
    return false;
  }

  override readSealed<T>(work: (engine: Engine, object: number) => T): T {
    return this.read(work);
  }

  override async export(): Promise<never> {
    this.check();
    throw new StemmaError("E_UNSUPPORTED", "a view has no changesets of its own to export: export the object of the space");
  }

  override child(key: string, kind: Kind, options: ObjectOptions | undefined): Handle {
    const number = this.read((engine, map) => engine.mapChild(map, key, KINDS[kind], options));
    return this.#view.at(number, key, kind, options);
  }

  override childAt(key: string, number: number): Handle | undefined {
    const { kind: code, options } = this.read((engine) => engine.origin(number));
    const kind = kindOf(code);
    return kind && this.#view.at(number, key, kind, options);
  }
}

/** The methods of each class that write. */
export const WRITERS: { readonly [K in Kind]: readonly (keyof Extract<Handle, { kind: K }>)[] } = {
  map: ["set", "delete"],
  text: ["insert", "delete", "append", "update", "applyDelta", "mark"],
  counter: ["add"],
  set: ["add", "delete"],
  cart: ["add", "remove"],
  list: ["insert", "push", "delete", "move"],
  ledger: ["open", "transfer", "reverse", "dispute", "support", "oppose", "assign"],
};

/** They say what was called, whatever it was called with, unless the view is closed. */
function refuseWriters(handle: Handle, check: () => void): void {
  for (const method of WRITERS[handle.kind]) {
    const value = () => {
      check();
      throw readOnly(`${handle.kind}.${String(method)}`);
    };
    Object.defineProperty(handle, method, { value });
  }
}

function readOnly(what: string): StemmaError {
  return new StemmaError("E_READONLY", `${what} writes, and belongs to a view`);
}

function closeView(space: SpaceCore, number: number, generation: number): void {
  if (space.pump.generation === generation) space.pump.peek((engine) => engine.closeView(number));
}

/** Views that nobody disposed of and nobody can reach. */
const FORGOTTEN = new FinalizationRegistry<() => void>((close) => close());
