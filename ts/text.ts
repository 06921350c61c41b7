/** Texts. */

import type { TextChange } from "./change.js";
import { argumentError, checkInteger, checkOptions, checkShortString, checkString, checkWord } from "./check.js";
import { type Attributes, checkAttributes, checkDelta, type Delta } from "./delta.js";
import { diff } from "./diff.js";
import type { ListenOptions } from "./listeners.js";
import type { ObjectCore } from "./object.js";
import { checkValue, freeze, isBytes, type Value, wellFormed } from "./value.js";

/** A place in a text that moves with it: opaque bytes that can be stored and sent to others. */
export type Anchor = Uint8Array;

/** A run of visible text and who wrote it. */
export interface AuthorRun {
  readonly member: string;
  readonly actor: string;
  /** UTF-16 code units. */
  readonly length: number;
}

/** At which of its ends text that is typed there takes a mark on. */
export type Expand = "after" | "before" | "both" | "none";

/** What stands behind a handle, for the bindings of this package. */
export let coreOf: (text: SharedText) => ObjectCore;

/**
 * A text that many can edit at once.
 *
 * Indices and lengths are UTF-16 code units, as in strings. Characters are never torn: an index between the halves of a
 * surrogate pair counts as before the pair for an insertion, and a deletion takes the whole pair. A lone surrogate
 * becomes U+FFFD.
 *
 * Reads and writes are synchronous and O(log n) unless stated otherwise. Every method throws `E_CLOSED` after
 * {@link Space.close}, `E_ARGUMENT` for an index out of range; writers throw `E_ACCESS` for a reader.
 */
export class SharedText {
  readonly kind = "text";
  readonly #core: ObjectCore;

  static {
    coreOf = (text) => text.#core;
  }

  /** @internal */
  constructor(core: ObjectCore) {
    this.#core = core;
  }

  get name(): string {
    return this.#core.name;
  }

  /** UTF-16 code units. */
  get length(): number {
    const core = this.#core;
    return core.epoch === core.pending.epoch ? core.base : core.read((engine, object) => engine.textLength(object));
  }

  /**
   * Puts `text` before the unit at `index`, from 0 to {@link length}. It takes on the marks around it that grow there; with
   * `attrs` it shows these alone, as if everything else had been cleared.
   */
  insert(index: number, text: string, attrs?: Attributes): void {
    if (attrs !== undefined) {
      this.#checkInsert(index, text);
      checkAttributes(attrs, "attrs");
      return this.#insertMarked(index, text, attrs);
    }
    if (typeof text === "string" && this.#core.pending.insert(this.#core, index, text)) return;
    if (text === "" || typeof text !== "string" || !isUnit(index)) return this.#checkInsert(index, text);
    try {
      this.#insert(index, text);
    } catch (error) {
      this.#checkInsert(index, text); // says what is wrong; asked beforehand it would be a second call for each letter
      throw error;
    }
  }

  /** Removes `length` units from `index` on. */
  delete(index: number, length: number): void {
    if (this.#core.pending.delete(this.#core, index, length)) return;
    if (length === 0 || !isUnit(index) || !isUnit(length)) return this.#checkDelete(index, length);
    try {
      this.#delete(index, length);
    } catch (error) {
      this.#checkDelete(index, length);
      throw error;
    }
  }

  /** Puts `text` at the end. */
  append(text: string): void {
    checkString(text, "text");
    this.#insert(this.length, text);
  }

  /**
   * Makes the text equal to `text` by a small difference, so that concurrent edits elsewhere in it survive.
   *
   * O(n + d²) with d bounded: the middle is replaced where more than a few hundred lines or characters differ.
   */
  update(text: string): void {
    checkString(text, "text");
    const edits = diff(this.toString(), wellFormed(text));
    for (const { position, length, insert } of edits.reverse()) {
      this.#delete(position, length);
      this.#insert(position, insert);
    }
  }

  /**
   * Marks the units from `start` to before `end`, with what is typed or arrives between them later; `null` clears. Of rival
   * marks with one key the latest shows, and where it is undone the one below shows again.
   *
   * `expand` says at which end text that is typed there is marked too: `"after"` (the default) as bold text does, `"none"` as
   * links do. Text that `insert` and `applyDelta` mark grows as the last mark with the key in this text.
   *
   * Throws `E_ARGUMENT` for an empty range, a key of more than 4,096 bytes, and what is not a {@link Value}.
   */
  mark(start: number, end: number, key: string, value: Value, o?: { expand?: Expand }): void {
    const { length } = this;
    checkInteger(start, "start", 0, length);
    checkInteger(end, "end", 0, length);
    if (end <= start) throw argumentError("end", `end is ${end}, which is not behind start, ${start}`);
    checkShortString(key, "key");
    checkValue(value, "value");
    checkOptions(o, "o", ["expand"]);
    const expand = o?.expand === undefined ? "after" : o.expand;
    checkWord(expand, "expand", ["after", "before", "both", "none"]);
    this.#mark(start, end, key, value, EXPAND[expand]);
  }

  /** O(n) after a change, then O(1). */
  toString(): string {
    return this.#core.cached("string", (engine, object) => engine.textString(object));
  }

  /**
   * This object as encrypted, signed bytes, to be merged by {@link Space.import} with what is known of it at any replica of the
   * space: in any order, any grouping, any number of times. Of other objects they show nothing. Seals the open batch first. O(changesets).
   */
  async export(): Promise<Uint8Array> {
    return this.#core.export();
  }

  /** The same as {@link toString}. */
  toJSON(): string {
    return this.toString();
  }

  /** As `String.prototype.slice`, without negative indices: units from `start` to before `end`. */
  slice(start: number, end: number = this.length): string {
    const { length } = this;
    checkInteger(end, "end", 0, length);
    checkInteger(start, "start", 0, end);
    return this.#core.read((engine, object) => engine.textSlice(object, start, end));
  }

  /** The whole text in insertions, one for each run that shows the same marks; nothing for an empty text. */
  toDelta(): Delta {
    return this.#core.cached("delta", (engine, object) => {
      const text = this.toString();
      let end = 0;
      const steps = engine.textRuns(object).map(([length, attributes]) => {
        const insert = text.slice(end, (end += length));
        return Object.keys(attributes).length > 0 ? { insert, attributes } : { insert };
      });
      return freeze(steps);
    });
  }

  /**
   * Applies steps from the start of the text. What they insert shows their attributes alone, and without any shows nothing;
   * attributes of what they retain are marked, `null` clears.
   *
   * Throws `E_ARGUMENT`, and then changes nothing, unless they fit the text.
   */
  applyDelta(delta: Delta): void {
    checkDelta(delta, this.length);
    let rest = this.length;
    let index = 0;
    for (const step of delta) {
      if ("retain" in step) {
        const end = index + step.retain;
        if (end > index) for (const [key, value] of Object.entries(step.attributes ?? {})) this.#mark(index, end, key, value);
        index = end;
        rest -= step.retain;
      } else if ("delete" in step) {
        this.#delete(index, step.delete);
        rest -= step.delete;
      } else {
        this.#insertMarked(index, step.insert, step.attributes ?? {});
      }
      // An edit that had to spare a surrogate pair moved the place: what follows is counted from the end.
      if (!("retain" in step)) index = Math.max(0, this.length - rest);
    }
  }

  /**
   * A place that stays where it is while the text changes around it. `bias` says which neighbour it keeps to when
   * somebody types exactly there: -1 the unit before it, 1 (the default) the unit after it.
   *
   * Seals the open batch if that neighbour is in it; inside a transaction that typed it throws `E_ARGUMENT`.
   */
  anchor(index: number, bias: -1 | 1 = 1): Anchor {
    checkInteger(index, "index", 0, this.length);
    if (bias !== -1 && bias !== 1) throw argumentError("bias", "bias is neither -1 nor 1");
    return this.#core.readSealed((engine, object) => engine.textAnchor(object, index, bias));
  }

  /** Where an anchor is now; where its neighbour was, if that has been deleted. */
  position(anchor: Anchor): number {
    if (!isBytes(anchor)) throw argumentError("anchor", "anchor is not a Uint8Array");
    return this.#core.read((engine, object) => engine.textPosition(object, anchor));
  }

  /** Who wrote what, in the order of the text. O(n). */
  authors(): readonly AuthorRun[] {
    return this.#core.cached("authors", (engine, object) => freeze(engine.textAuthors(object)));
  }

  /** Told after each transaction, and once per microtask for edits outside of one. Returns what ends it. */
  subscribe(cb: (changes: readonly TextChange[]) => void, o?: ListenOptions): () => void {
    return this.#core.listeners.add(cb as (changes: readonly unknown[]) => void, o);
  }

  #checkInsert(index: number, text: string): void {
    checkInteger(index, "index", 0, this.length);
    checkString(text, "text");
  }

  #checkDelete(index: number, length: number): void {
    checkInteger(index, "index", 0, this.length);
    checkInteger(length, "length", 0, this.length - index);
  }

  #insert(index: number, text: string): void {
    if (text === "" || this.#core.pending.insert(this.#core, index, text)) return;
    this.#core.edit((engine, object) => engine.textInsert(object, index, text));
    this.#core.forget();
  }

  #insertMarked(index: number, text: string, attributes: Attributes): void {
    if (text === "") return;
    this.#core.edit((engine, object) => engine.textInsertMarked(object, index, text, Object.entries(attributes)));
    this.#core.forget();
  }

  #mark(start: number, end: number, key: string, value: Value, expand?: number): void {
    this.#core.edit((engine, object) => engine.textMark(object, start, end, key, value, expand));
    this.#core.forget();
  }

  #delete(index: number, length: number): void {
    if (length === 0 || this.#core.pending.delete(this.#core, index, length)) return;
    this.#core.edit((engine, object) => engine.textDelete(object, index, length));
    this.#core.forget();
  }
}

/** As the engine numbers them. */
const EXPAND = { none: 0, before: 1, after: 2, both: 3 } as const;

/** What can be an index or a length, whatever the text. */
function isUnit(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 0xffff_ffff;
}
