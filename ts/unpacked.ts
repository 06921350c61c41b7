/**
 * Events as the engine packs them: numbers, ids, the data of all as one JSON array, and in `others` what JSON cannot hold,
 * each behind its place in that array. For each object that was asked for the numbers are the number of its type and one
 * more, 0 if nothing made it, and how many events follow; then for each event the number of its type, {@link FLAGS}, the
 * number of its author, its place in its changeset, and its time. The ids of changesets stand in a row, one where the flags say so.
 */

import type { Engine } from "./replica.js";
import { freeze, type Value } from "./value.js";

/** An event that nobody looked into yet. */
export interface RawEvent {
  readonly type: string | undefined;
  readonly creates: boolean;
  readonly id: string;
  readonly changeset: string;
  readonly member: string;
  readonly actor: string;
  readonly time: number;
  /** What was written: a version and data, unless it was made otherwise. */
  readonly written: Value;
}

/** What is asked for of one object. */
export interface Unpacked {
  /** Its type; nothing if nothing made it. */
  readonly type: string | undefined;
  readonly events: RawEvent[];
}

const FLAGS = { creates: 1, isNew: 2, isOpen: 4 } as const;

/** Names of one engine by number. */
export class Numbers {
  #types: (string | undefined)[] = [];
  readonly #authors: string[][] = [];

  /** The name of a type, nothing for one that no content says. */
  type(engine: Engine, number: number): string | undefined {
    if (this.#types[number] === undefined) this.#types = engine.eventTypes();
    return this.#types[number];
  }

  author(engine: Engine, number: number): string[] {
    return (this.#authors[number] ??= engine.author(number));
  }
}

/** The events of objects, of each from the one of a number on. */
export function unpackEvents(engine: Engine, names: Numbers, subjects: readonly number[], froms: readonly number[], view: number | undefined): Unpacked[] {
  const packed = engine.events(new Uint32Array(subjects), new Uint32Array(froms), view);
  const [numbers, ids, json, others] = packed as [Float64Array, string, string, unknown[]];
  const data = JSON.parse(json) as Value[];
  for (let i = 0; i < others.length; i += 2) data[others[i] as number] = others[i + 1] as Value;
  let [at, used, count, changeset] = [0, 0, 0, ""];
  const next = () => numbers[at++] as number;
  return subjects.map(() => {
    const made = next();
    const events = new Array<RawEvent>(next());
    for (let i = 0; i < events.length; i++) {
      const type = names.type(engine, next());
      const flags = next();
      const [member = "", actor = ""] = names.author(engine, next());
      const index = next();
      const time = next();
      if (flags & FLAGS.isNew) changeset = ids.slice(used, (used += ID_DIGITS));
      const isOpen = (flags & FLAGS.isOpen) !== 0;
      const of = isOpen ? "" : changeset;
      const id = isOpen ? "" : `${changeset}:${index}`;
      events[i] = { type, creates: (flags & FLAGS.creates) !== 0, id, changeset: of, member, actor, time, written: freeze(data[count++] as Value) };
    }
    // One that nobody told the name of has none.
    return { type: made > 0 ? (names.type(engine, made - 1) ?? "") : undefined, events };
  });
}

const ID_DIGITS = 64;
