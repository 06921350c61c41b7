/**
 * Edits that the engine does not know yet: gathered in their order, joined where one goes on with the one before, and
 * handed over in one call before the engine is asked for anything else, in a microtask at the latest.
 *
 * Invariants: only what the engine cannot refuse is gathered, so whatever is wrong with an edit throws at its own call;
 * whoever looks sees what would be there if each had gone to the engine at once. What an object's edits are checked
 * against, its base, is asked for with the first of them and good until the engine is called: then an epoch ends.
 *
 * How edits are packed: for each the number of its object, then by kind
 *
 *     text      position, units removed, units inserted        those stand next in `units`
 *     list      index, elements removed, elements inserted     a tag for each of those follows
 *     counter                                                  the amount stands next in `numbers`
 *     map       tag of the key, tag of the value
 *     set       tag of the element, tag of its value
 *
 * A tag is one of {@link TAGS}, a number stands next in `numbers`; or the length of a string, which stands next in `units`,
 * those of maps and sets in `strings`.
 *
 * Edits that are all of texts which are in no map, where nothing needs the engine to tell it, go over alone, and it says nothing
 * of them: whoever calls it is given what they changed.
 *
 * A transaction stands between two of {@link MARKS}. If the engine was not called in the middle of it, and it edits maps and
 * sets alone, whose changes need no engine to tell, then the engine hears of it later, and says nothing of it.
 */

import type { ObjectCore } from "./object.js";
import type { Engine, EngineChange } from "./replica.js";
import type { Value } from "./value.js";

/** Whoever calls the engine. */
export interface Caller {
  /** Throws if there is no engine. */
  check(): void;
  /** Asks the engine for something that no gathered edit changes; throws if there is none to ask. */
  ask<T>(work: (engine: Engine, object: number) => T, object: number): T;
  /** Hands over what was gathered. */
  release(): void;
  /** An edit is about to be gathered. */
  gathering(): void;
  /** Whether it takes what is told of edits before whatever the engine has to tell. */
  readonly tells: boolean;
  /** Takes what edits changed, which the engine has now; their author by the engine's number. */
  told(changes: SpliceChange[], author: number): void;
}

/** What edits of a text changed. */
export type SpliceChange = Required<Pick<EngineChange, "object" | "text">>;

/** What a transaction wrote: a map or a set, and beside it a key or an element, as often as it was written. */
export interface Touched {
  readonly cores: ObjectCore[];
  readonly keys: Value[];
}

export class Pending {
  /** Another one after each call of the engine. What an object knows of an older one is void. */
  epoch = 1;

  readonly #caller: Caller;
  #edits = new Int32Array(8_192);
  #used = 0;
  #units = new Uint16Array(2 * UNITS_SLACK);
  #length = 0;
  #numbers: number[] = [];
  #strings: string[] = [];
  /** Units of them. */
  #kept = 0;
  #begunMs = 0;
  /** Whose edit was gathered last, if one may be joined with it, and where that stands. */
  #last: ObjectCore | undefined;
  #at = 0;
  /** The only object under a key whose base is known: an edit of one may empty another. */
  #child: ObjectCore | undefined;
  /** Whether there is a transaction that the engine knows nothing of; and where it begins. */
  #isInTransaction = false;
  readonly #start = { used: 0, length: 0, numbers: 0, strings: 0 };
  /** What it wrote. One for all of them: arrays of its own are much for one that writes a key. */
  readonly #touched: Touched = { cores: [], keys: [] };
  /** Whether the engine has to tell of it. */
  #engineTells = false;
  /** All that was gathered are edits of texts that can be told here; and of one text. */
  #isSpliced = true;
  #isOne = true;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** Gives the engine what was gathered, for it is called next. Whether it has something to tell of that. */
  release(engine: Engine): boolean {
    const used = this.#used;
    if (used === 0) {
      this.clear();
      return false;
    }
    const edits = this.#edits.subarray(0, used);
    const units = this.#units.subarray(0, this.#length);
    if (this.#isSpliced && this.#caller.tells) {
      const changes = this.#isOne ? [spliceOf(edits.slice(), stringOf(units))] : splicesOf(edits, units);
      this.clear();
      this.#caller.told(changes, engine.applySplices(edits, units, this.#begunMs));
      return false;
    }
    const numbers = this.#numbers;
    const strings = this.#strings.join("");
    this.clear();
    engine.applyEdits(edits, units, strings, numbers, this.#begunMs);
    return true;
  }

  /** Forgets everything. */
  clear(): void {
    this.epoch++;
    this.#last = undefined;
    this.#child = undefined;
    if (this.#isInTransaction) this.forgetTouched();
    this.#isInTransaction = false;
    if (this.#used === 0) return;
    this.#used = 0;
    this.#length = 0;
    this.#isSpliced = true;
    this.#isOne = true;
    if (this.#numbers.length > 0) this.#numbers = [];
    if (this.#strings.length > 0) this.#strings = [];
    this.#kept = 0;
  }

  /** A transaction begins. */
  begin(): void {
    this.#caller.check();
    if (this.#used === 0) this.#begunMs = Date.now();
    this.#edits[this.#used++] = MARKS.begin;
    this.#isSpliced = false;
    this.#isInTransaction = true;
    const start = this.#start;
    start.used = this.#used;
    start.length = this.#length;
    start.numbers = this.#numbers.length;
    start.strings = this.#strings.length;
    this.forgetTouched();
    this.#engineTells = false;
    this.#last = undefined;
  }

  /**
   * It is complete: what is to be told of it, until that is forgotten. Nothing if that is for the engine, which then has to close
   * it.
   */
  close(): Touched | undefined {
    if (!this.#isInTransaction || this.#engineTells) return undefined;
    this.#edits[this.#used++] = MARKS.close;
    this.#isInTransaction = false;
    this.#relieve();
    return this.#touched;
  }

  forgetTouched(): void {
    const { cores, keys } = this.#touched;
    if (cores.length > 1) cores.length = keys.length = 0;
    else if (cores.length > 0) cores.pop(), keys.pop(); // a tenth of the time
  }

  /** It is given up. Whether it is gone with that: if not the engine has to forget it. */
  abort(): boolean {
    if (!this.#isInTransaction) return false;
    const start = this.#start;
    this.#used = start.used;
    this.#length = start.length;
    this.#numbers.length = start.numbers;
    this.#strings.length = start.strings;
    this.#edits[this.#used++] = MARKS.close; // what was edited before it is a unit for itself all the same
    this.#caller.release(); // what is known of objects is void
    return true;
  }

  /** Gathers a write of a key of a map, or of an element of a set; whether it did. Without a value the element has none. */
  write(core: ObjectCore, key: Value, value: Value | undefined): boolean {
    if (core.epoch !== this.epoch && !this.#begin(core)) return false;
    if (!isSimple(key) || (value !== undefined && !isSimple(value))) return false;
    this.#open(core);
    this.#edits[this.#used++] = this.#keep(key);
    this.#edits[this.#used++] = value === undefined ? TAGS.none : this.#keep(value);
    if (this.#isInTransaction && !this.#engineTells) {
      this.#touched.cores.push(core);
      this.#touched.keys.push(key);
    }
    this.#relieve();
    return true;
  }

  /** Gathers an insertion into a text; whether it did. If not nothing has happened, and the engine is to be called. */
  insert(core: ObjectCore, index: number, text: string): boolean {
    if (this.#last === core && text.length === 1) {
      // A letter behind the last one, in few steps: the first thousands are interpreted.
      const edits = this.#edits;
      const at = this.#at;
      const last = edits[at + 3] as number;
      const unit = text.charCodeAt(0);
      if (index === (edits[at + 1] as number) + last && (unit & 0xf800) !== 0xd800 && this.#length < UNITS_SLACK) {
        this.#units[this.#length++] = unit;
        edits[at + 3] = last + 1;
        core.base++;
        return true;
      }
    }
    if (core.epoch !== this.epoch && !this.#begin(core)) return false;
    const units = text.length;
    if (!isIndex(index, core.base) || units === 0 || units > STRING_MAX || !this.#write(text)) return false;
    this.#put(core, index, units);
    this.#relieve();
    return true;
  }

  /** The same for a deletion from a text. */
  delete(core: ObjectCore, index: number, length: number): boolean {
    if (this.#last === core && length === 1) {
      // The same where one letter after the other goes.
      const edits = this.#edits;
      const at = this.#at;
      const last = edits[at + 1] as number;
      if (edits[at + 3] === 0 && (index === last - 1 || index === last) && index >= 0 && index < core.base) {
        edits[at + 1] = index;
        edits[at + 2] = (edits[at + 2] as number) + 1;
        core.base--;
        return true;
      }
    }
    if (core.epoch !== this.epoch && !this.#begin(core)) return false;
    // Where characters of two units are, more may go than was said.
    return core.joins && this.#remove(core, index, length);
  }

  /** The same for an insertion into a list, at its end without an index. Values that are none are left to the caller too. */
  insertValues(core: ObjectCore, index: number | undefined, values: readonly Value[]): boolean {
    if (core.epoch !== this.epoch && !this.#begin(core)) return false;
    const at = index === undefined ? core.base : index;
    const count = values.length;
    if (!isIndex(at, core.base) || count === 0 || count > VALUES_MAX || !values.every(isSimple)) return false;
    this.#put(core, at, count);
    for (let i = 0; i < count; i++) this.#edits[this.#used++] = this.#tag(values[i] as Value);
    this.#relieve();
    return true;
  }

  /** The same for a deletion from a list. */
  deleteValues(core: ObjectCore, index: number, n: number): boolean {
    if (core.epoch !== this.epoch && !this.#begin(core)) return false;
    return this.#remove(core, index, n);
  }

  /** The same for an addition to a counter. */
  add(core: ObjectCore, amount: number): boolean {
    if (core.epoch !== this.epoch && !this.#begin(core)) return false;
    if (typeof amount !== "number" || (amount | 0) !== amount || amount === 0 || (amount < 0 && core.options?.variant === true)) return false;
    const value = core.base + amount;
    if (!isSafe(value)) return false;
    core.base = value;
    const numbers = this.#numbers;
    const before = this.#last === core ? (numbers[numbers.length - 1] as number) : 0;
    // What is added is told apart from what is taken.
    if (before !== 0 && before > 0 === amount > 0 && isSafe(before + amount)) {
      numbers[numbers.length - 1] = before + amount;
      return true;
    }
    this.#open(core);
    numbers.push(amount);
    this.#relieve();
    return true;
  }

  /** Asks for the base of an object's edits, if they can be gathered. */
  #begin(core: ObjectCore): boolean {
    if (core.map && this.#child) return false;
    const base = this.#caller.ask(baseOf, core.number);
    if (Number.isNaN(base)) return false;
    core.joins = core.kind !== "text" || base >= 0;
    core.base = core.joins ? base : -1 - base;
    core.epoch = this.epoch;
    if (core.map) this.#child = core;
    core.forget(core.kind === "list" || writesKeys(core) ? [] : undefined);
    return true;
  }

  #open(core: ObjectCore): void {
    this.#caller.gathering();
    if (this.#used === 0) this.#begunMs = Date.now();
    if (!writesKeys(core)) {
      this.#engineTells = true;
      if (this.#isInTransaction) this.forgetTouched();
    }
    const { number } = core;
    if (core.kind !== "text" || core.map || !core.joins) this.#isSpliced = false;
    else if (this.#used > 0 && this.#edits[0] !== number) this.#isOne = false;
    this.#last = core.joins ? core : undefined;
    this.#at = this.#used;
    this.#edits[this.#used++] = number;
  }

  #splice(core: ObjectCore, index: number, removed: number, inserted: number): void {
    this.#open(core);
    const edits = this.#edits;
    edits[this.#used++] = index;
    edits[this.#used++] = removed;
    edits[this.#used++] = inserted;
  }

  /** Behind what the last edit inserted, or in the place of what it removed, it is one with that. */
  #put(core: ObjectCore, index: number, inserted: number): void {
    const edits = this.#edits;
    const at = this.#at;
    const last = edits[at + 3] as number;
    if (this.#last === core && index === (edits[at + 1] as number) + last) edits[at + 3] = last + inserted;
    else this.#splice(core, index, 0, inserted);
    core.base += inserted;
  }

  /** Where the last edit only removed, around that place, it is one with that. */
  #remove(core: ObjectCore, index: number, removed: number): boolean {
    if (!isIndex(index, core.base) || !isIndex(removed, core.base - index) || removed === 0) return false;
    const edits = this.#edits;
    const at = this.#at;
    const last = edits[at + 1] as number;
    if (this.#last === core && edits[at + 3] === 0 && index <= last && last <= index + removed) {
      edits[at + 1] = index;
      edits[at + 2] = (edits[at + 2] as number) + removed;
    } else {
      this.#splice(core, index, removed, 0);
    }
    core.base -= removed;
    this.#relieve();
    return true;
  }

  #tag(value: Value): number {
    if (typeof value === "string") {
      this.#write(value);
      return value.length;
    }
    return this.#keep(value);
  }

  /** The same for a key, an element or the value of one: strings are kept as they are. */
  #keep(value: Value): number {
    if (typeof value === "number") {
      this.#numbers.push(value);
      return TAGS.number;
    }
    if (typeof value === "string") {
      this.#strings.push(value);
      this.#kept += value.length;
      return value.length;
    }
    return value === null ? TAGS.null : value ? TAGS.true : TAGS.false;
  }

  /** Unless it has halves of pairs, which must not meet where two strings do. */
  #write(text: string): boolean {
    const units = this.#units;
    let at = this.#length;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if ((unit & 0xf800) === 0xd800) return false;
      units[at++] = unit;
    }
    this.#length = at;
    return true;
  }

  /** Makes room for the next edit. Memory has an end. */
  #relieve(): void {
    if (this.#used > EDITS_MAX || this.#length > UNITS_MAX || this.#kept > UNITS_MAX) this.#caller.release();
    if (this.#used > this.#edits.length - EDITS_SLACK) {
      const edits = this.#edits;
      this.#edits = new Int32Array(2 * edits.length);
      this.#edits.set(edits);
    }
    if (this.#length > this.#units.length - UNITS_SLACK) {
      const units = this.#units;
      this.#units = new Uint16Array(2 * units.length);
      this.#units.set(units);
    }
  }
}

/** As the engine numbers them. */
const TAGS = { null: -1, false: -2, true: -3, number: -4, none: -5 } as const;

/** Where an edit would begin with the number of an object. */
const MARKS = { begin: -1, close: -2 } as const;

/** When what was gathered is handed over: so many integers, so many units. */
const EDITS_MAX = 65_536;
const UNITS_MAX = 262_144;
/** Longer strings are not gathered, nor more values at once. */
const STRING_MAX = 1_024;
const VALUES_MAX = 16;

/** What one edit and a mark may take. */
const EDITS_SLACK = VALUES_MAX + 8;
/** How many numbers an edit of a text takes. */
const SPLICE = 4;
const UNITS_SLACK = VALUES_MAX * STRING_MAX;

const baseOf = (engine: Engine, object: number) => engine.editBase(object);

/** What edits of several texts changed, in the order of their numbers, as the engine tells. */
function splicesOf(edits: Int32Array, units: Uint16Array): SpliceChange[] {
  const objects = new Set<number>();
  for (let at = 0; at < edits.length; at += SPLICE) objects.add(edits[at] as number);
  const inOrder = [...objects].sort((a, b) => a - b);
  return inOrder.map((object) => {
    const own: number[] = [];
    let inserted = "";
    let used = 0;
    for (let at = 0; at < edits.length; at += SPLICE) {
      const length = edits[at + 3] as number;
      if (edits[at] === object) {
        own.push(...edits.subarray(at, at + SPLICE));
        inserted += stringOf(units.subarray(used, used + length));
      }
      used += length;
    }
    return spliceOf(Int32Array.from(own), inserted);
  });
}

/** The same for edits of one. */
function spliceOf(ops: Int32Array, inserted: string): SpliceChange {
  return { object: ops[0] as number, text: { ops, inserted, lead: SPLICE - 3 } };
}

/** In pieces, since a call takes only so many arguments; not spread, which would iterate. */
function stringOf(units: Uint16Array): string {
  let string = "";
  for (let at = 0; at < units.length; at += STRING_MAX) {
    string += String.fromCharCode.apply(null, units.subarray(at, at + STRING_MAX) as unknown as number[]);
  }
  return string;
}

/** Whether edits of an object are writes of keys, of which nothing more is to be told. */
function writesKeys(core: ObjectCore): boolean {
  return core.kind === "map" || core.kind === "set";
}

/** Also false for what is no number, whatever the types say. */
function isIndex(value: number, max: number): boolean {
  return typeof value === "number" && (value | 0) === value && value >= 0 && value <= max;
}

function isSafe(value: number): boolean {
  return value <= Number.MAX_SAFE_INTEGER && value >= -Number.MAX_SAFE_INTEGER;
}

/** A value without doubt, copied as it is passed, and small. */
function isSimple(value: Value): boolean {
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value === "string") return value.length <= STRING_MAX && !SURROGATE.test(value);
  return typeof value === "boolean" || value === null;
}

const SURROGATE = /[\ud800-\udfff]/;
