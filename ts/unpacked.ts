/**
 * Events as the engine packs them: numbers, ids, the data of all as one JSON array, in `others` what JSON cannot hold, each
 * behind its place in that array, and the numbers of the authors. The first number says how many types there are. For each
 * object that was asked for follow the number of its type and one more, 0 if nothing made it, and how many events there are.
 * Each of them has eight times the number of its type with {@link FLAGS}, its version, and its place in its changeset; if
 * that is another one than before, then also the number of its author and the two halves of its time, and the id of the
 * changeset stands next in `ids`.
 */

import type { Engine } from "./replica.js";
import type { Value } from "./value.js";

/** An event that nobody looked into yet. */
export interface RawEvent {
  /** Nothing where no content that is here says it. */
  readonly type: string | undefined;
  readonly creates: boolean;
  readonly id: string;
  readonly changeset: string;
  readonly member: string;
  readonly actor: string;
  readonly time: number;
  /** Of the definition that it was written by; 0 if it says none, {@link NOTHING} if it says nothing at all. */
  readonly version: number;
  readonly data: Value;
}

/** The version of an event that only makes an object. */
export const NOTHING = 0xffff_ffff;

const FLAGS = { creates: 1, isNew: 2, isOpen: 4 } as const;

/** Names of one engine by number. */
export class Numbers {
  #types: (string | undefined)[] = [];
  readonly #authors: string[][] = [];

  /** The names of all types by number, nothing for one that no content says. */
  types(engine: Engine, count: number): readonly (string | undefined)[] {
    if (this.#types.length < count || this.#types.includes(undefined)) this.#types = engine.eventTypes();
    return this.#types;
  }

  author(engine: Engine, number: number): string[] {
    return (this.#authors[number] ??= engine.author(number));
  }
}

/**
 * The events of some objects, one after the other. They are not made into objects before anybody wants one: an object of
 * many events is read in the time that this would take.
 */
export class Events {
  /** How many of the object are left. */
  left = 0;
  /** Of the object; nothing if nothing made it. */
  objectType: string | undefined;
  type: string | undefined;
  creates = false;
  version = 0;
  data: Value = null;

  readonly #numbers: Uint32Array;
  readonly #ids: string;
  readonly #data: Value[];
  readonly #types: readonly (string | undefined)[];
  readonly #authors: string[][] = [];
  #at = 1;
  #used = 0;
  #count = 0;
  #changeset = "";
  #index = 0;
  #author = 0;
  #time = 0;

  /** Asks for the events of objects, of each from the one of a number on. */
  constructor(engine: Engine, names: Numbers, subjects: readonly number[], froms: readonly number[], view: number | undefined) {
    const packed = engine.events(new Uint32Array(subjects), new Uint32Array(froms), view);
    const [numbers, ids, json, others, authors] = packed as [Uint32Array, string, string, unknown[], Uint32Array];
    this.#numbers = numbers;
    this.#ids = ids;
    this.#data = JSON.parse(json) as Value[];
    for (let i = 0; i < others.length; i += 2) this.#data[others[i] as number] = others[i + 1] as Value;
    // No engine is called any more once reducers run.
    this.#types = names.types(engine, numbers[0] as number);
    for (const author of authors) this.#authors[author] = names.author(engine, author);
  }

  /** Goes on to the next object, whatever is left of this one. */
  begin(): void {
    while (this.left > 0) this.next();
    const made = this.#numbers[this.#at++] as number;
    // One that nobody told the name of has none.
    this.objectType = made > 0 ? (this.#types[made - 1] ?? "") : undefined;
    this.left = this.#numbers[this.#at++] as number;
  }

  /** Goes on to the next event. */
  next(): void {
    const numbers = this.#numbers;
    const flags = numbers[this.#at] as number;
    this.version = numbers[this.#at + 1] as number;
    this.#index = numbers[this.#at + 2] as number;
    this.#at += 3;
    this.type = this.#types[flags >>> 3];
    this.creates = (flags & FLAGS.creates) !== 0;
    if ((flags & FLAGS.isNew) !== 0) {
      this.#author = numbers[this.#at] as number;
      this.#time = (numbers[this.#at + 1] as number) + (numbers[this.#at + 2] as number) * 2 ** 32;
      this.#at += 3;
      this.#changeset = (flags & FLAGS.isOpen) !== 0 ? "" : this.#ids.slice(this.#used, (this.#used += ID_DIGITS));
    }
    this.data = this.#data[this.#count++] as Value;
    this.left--;
  }

  get id(): string {
    return this.#changeset === "" ? "" : `${this.#changeset}:${this.#index}`;
  }

  /** The event as a reducer is given it. */
  given(data: Value) {
    const [member, actor] = this.#authors[this.#author] as [string, string];
    return { id: this.id, type: this.type ?? "", data, time: this.#time, member, actor, changeset: this.#changeset };
  }

  raw(): RawEvent {
    const { type, creates, version, data, id } = this;
    const [member, actor] = this.#authors[this.#author] as [string, string];
    return { type, creates, id, changeset: this.#changeset, member, actor, time: this.#time, version, data };
  }
}

const ID_DIGITS = 64;
