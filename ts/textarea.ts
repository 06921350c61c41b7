/**
 * `stemma/textarea`: a `<textarea>` or a text `<input>` on a {@link SharedText}.
 *
 * ```ts
 * const unbind = bindTextarea(document.querySelector("textarea"), space.getText("note"));
 * ```
 *
 * Invariant: what the field shows, with what is held back, equals the text. The text decides: what stands in the field before is
 * never written into it. Positions are UTF-16 code units on both sides.
 */

import { Carets, type CursorOptions, checkCursorOptions } from "./carets.js";
import type { TextChange } from "./change.js";
import { argumentError, checkOptions, checkSignal } from "./check.js";
import { diff, type Edit, splitsPair } from "./diff.js";
import { reportUncaught } from "./listeners.js";
import type { ObjectCore } from "./object.js";
import { coreOf, SharedText } from "./text.js";
import { placeIn, shownOf } from "./textarea/lines.js";
import { deltaOf, Pieces } from "./textarea/pieces.js";
import { step } from "./undo.js";
import { wellFormed } from "./value.js";

export type { CursorOptions } from "./carets.js";

/** Options of {@link bindTextarea}. */
export interface TextareaOptions {
  /** Only shows the text. Always so for a member who may only read, and for the text of a view. */
  readOnly?: boolean;
  /** Whether the keys and menus of undo and redo are those of the space, on this text. So unless `false`. */
  undo?: boolean;
  /**
   * Shows the cursor and the selection of this field to the other sessions, by {@link Space.presence}, while it has the focus. A field
   * cannot show theirs.
   */
  cursors?: boolean | Omit<CursorOptions, "label">;
  /** Ends the binding when it aborts. */
  signal?: AbortSignal;
}

/**
 * Shows a text in a field, a `<textarea>` or an `<input>` of type `text` or `search`, and writes what is typed there into it, with the
 * binding as `origin`. What comes from elsewhere keeps selection and scrolling, and waits while somebody composes a character.
 *
 * Line ends of other systems stay in the text as they are. `maxlength` binds whoever types here; what others wrote is never cut. Returns
 * what ends the binding; the field then keeps what it shows.
 *
 * Throws `E_ARGUMENT` for another element, and for one that is bound already; `E_CLOSED` after {@link Space.close}.
 */
export function bindTextarea(element: HTMLTextAreaElement | HTMLInputElement, text: SharedText, o: TextareaOptions = {}): () => void {
  if (!isField(element)) throw argumentError("element", "element is neither a textarea nor an input of type text or search");
  if (!(text instanceof SharedText)) throw argumentError("text", "text is not a SharedText");
  checkOptions(o, "o", ["readOnly", "undo", "cursors", "signal"]);
  checkSignal(o.signal);
  if (typeof o.cursors === "object") checkCursorOptions(o.cursors);
  if (BOUND.has(element)) throw argumentError("element", "element is bound already");
  if (o.signal?.aborted) return () => {};
  const field = new Field(element, text, o);
  return () => field.end();
}

const BOUND = new WeakSet<Element>();

/** How long after its end a browser may still be writing a composition. */
const COMPOSITION_END_MS = 60;

class Field {
  readonly #element: HTMLTextAreaElement | HTMLInputElement;
  readonly #text: SharedText;
  readonly #core: ObjectCore;
  readonly #readOnly: boolean;
  readonly #wasReadOnly: boolean;
  /** Whether it can show line ends. */
  readonly #hasLines: boolean;
  readonly #carets: Carets | undefined;
  readonly #unsubscribe: () => void;
  readonly #ending = new AbortController();
  /** What the field shows, as far as it is accounted for. */
  #shown: string;
  /** What it would show of the text. */
  #face: string;
  /** That is all of it. */
  #isWhole = true;
  #pieces: Pieces;
  #isComposing = false;
  #compositionEnd: ReturnType<typeof setTimeout> | undefined;
  #flushScheduled = false;

  constructor(element: HTMLTextAreaElement | HTMLInputElement, text: SharedText, o: TextareaOptions) {
    this.#element = element;
    this.#text = text;
    this.#core = coreOf(text);
    this.#hasLines = element.localName === "textarea";
    this.#shown = element.value;
    this.#face = this.#faceNow();
    this.#pieces = this.#difference();
    this.#readOnly = o.readOnly === true || !this.#core.isWritable;
    this.#wasReadOnly = element.readOnly;
    const isLive = this.#core.space.coreOf(text) !== undefined;
    const cursors = o.cursors === true ? {} : o.cursors;
    this.#carets = cursors && isLive ? new Carets(text, cursors, () => this.#selected(), () => {}) : undefined;
    this.#unsubscribe = text.subscribe((changes) => this.#receive(changes));
    element.readOnly ||= this.#readOnly;
    BOUND.add(element);
    o.signal?.addEventListener("abort", () => this.end(), { signal: this.#ending.signal });
    this.#listen(o.undo !== false && !this.#readOnly);
    this.#flush();
    this.#carets?.moved();
  }

  end(): void {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort();
    clearTimeout(this.#compositionEnd);
    if (this.#isComposing) this.#core.space.pump.post((engine) => engine.setComposing(false));
    this.#unsubscribe();
    this.#carets?.end();
    this.#element.readOnly = this.#wasReadOnly;
    BOUND.delete(this.#element);
  }

  #listen(handlesUndo: boolean): void {
    const { signal } = this.#ending;
    const on = (type: string, heard: (event: Event) => void) => this.#element.addEventListener(type, heard, { signal });
    on("input", () => this.#read());
    on("compositionstart", () => this.#compose(true));
    on("compositionend", () => this.#compose(false));
    if (handlesUndo) {
      on("keydown", (event) => this.#command(event, stepOfKey(event as KeyboardEvent)));
      on("beforeinput", (event) => this.#command(event, STEPS[(event as InputEvent).inputType]));
    }
    const page = this.#element.ownerDocument;
    // A form puts the default back after it has said so.
    page.addEventListener("reset", ({ target }) => target === this.#element.form && setTimeout(() => this.#flush()), { signal });
    if (!this.#carets) return;
    for (const type of ["focus", "blur"]) on(type, () => this.#carets?.moved());
    page.addEventListener("selectionchange", () => this.#carets?.moved(), { signal });
  }

  /** What was typed goes into the text. */
  #read(): void {
    const { value } = this.#element;
    if (value === this.#shown) return;
    const { pump, transactions } = this.#core.space;
    if (this.#readOnly || !pump.isOpen) {
      this.#element.value = this.#shown;
      return;
    }
    const edits = editsBetween(this.#shown, value, this.#element.selectionEnd ?? value.length);
    this.#shown = value;
    let isTaken = wellFormed(value) === value; // the text holds no halves of characters
    try {
      transactions.gather(() => {
        for (const edit of edits.reverse()) this.#write(edit);
      }, this);
    } catch (error) {
      // What the text did not take, the field does not keep.
      reportUncaught(error);
      isTaken = false;
    }
    this.#face = this.#faceNow();
    if (!isTaken || this.#pieces.held !== this.#face.length) this.#pieces = this.#difference();
    this.#carets?.moved();
    this.#schedule();
  }

  #write(edit: Edit): void {
    for (const { position, length, insert } of this.#pieces.type({ ...edit, insert: wellFormed(edit.insert) })) {
      const text = this.#isWhole ? "" : this.#text.toString();
      const shown = shownOf(text, this.#hasLines).length;
      const place = (at: number, side: "behind" | "before") => (this.#isWhole ? at : placeIn(text, shown, this.#hasLines, at, side));
      if (length > 0) {
        const start = place(position, "before");
        this.#text.delete(start, place(position + length, "behind") - start);
      }
      if (insert !== "") this.#text.insert(place(position, "behind"), insert);
    }
  }

  #receive(changes: readonly TextChange[]): void {
    const others = changes.filter(({ origin }) => origin !== this);
    if (others.length === 0) return;
    const [before, wasWhole] = [this.#face, this.#isWhole];
    this.#face = this.#faceNow();
    // Places in the text are places in what shows of it.
    const isExact = wasWhole && this.#isWhole && others.every(({ delta }) => delta);
    for (const delta of isExact ? others.map(({ delta }) => delta ?? []) : [deltaOf(diff(before, this.#face))]) this.#pieces.receive(delta);
    if (this.#pieces.held !== this.#face.length) this.#pieces = this.#difference();
    this.#schedule();
  }

  #schedule(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    queueMicrotask(() => {
      this.#flushScheduled = false;
      this.#flush();
    });
  }

  /** Shows what the text holds; where the last of it changed, if anybody asks. */
  #flush(): number | undefined {
    const element = this.#element;
    const { pump } = this.#core.space;
    if (this.#ending.signal.aborted || this.#isComposing || !pump.isOpen) return undefined;
    pump.drain();
    // Set by a script that said nothing, or by a form.
    if (element.value !== this.#shown) {
      this.#shown = element.value;
      this.#pieces = this.#difference();
    }
    const edits = this.#pieces.settle(this.#face);
    if (edits.length === 0) return undefined;
    const { scrollTop, scrollLeft, selectionDirection } = element;
    for (const { position, length, insert } of edits) element.setRangeText(insert, position, position + length, "preserve");
    if (element.value !== this.#face) element.value = this.#face;
    const { selectionStart: start, selectionEnd: end } = element;
    if (selectionDirection === "backward" && this.#hasFocus) element.setSelectionRange(start, end, selectionDirection);
    Object.assign(element, { scrollTop, scrollLeft });
    this.#shown = element.value;
    const last = edits.at(-1) as Edit;
    return last.position + last.insert.length;
  }

  #compose(on: boolean): void {
    clearTimeout(this.#compositionEnd);
    if (on) this.#isComposing = true;
    this.#core.space.pump.post((engine) => engine.setComposing(on));
    if (on) return;
    this.#compositionEnd = setTimeout(() => {
      this.#isComposing = false;
      this.#read();
      this.#flush();
    }, COMPOSITION_END_MS);
  }

  #command(event: Event, what: "undo" | "redo" | undefined): void {
    if (!what || event.defaultPrevented || this.#element.readOnly) return;
    event.preventDefault();
    const { space } = this.#core;
    if (this.#isComposing || !space.pump.isOpen) return;
    space.pump.quietly(() => step(space, what, { scope: [this.#text] }));
    const place = this.#flush();
    if (place !== undefined) this.#element.setSelectionRange(place, place);
  }

  get #hasFocus(): boolean {
    return this.#element.matches(":focus") && this.#element.ownerDocument.hasFocus();
  }

  #selected(): { anchor: number; head: number } | undefined {
    if (!this.#hasFocus) return undefined;
    const { selectionStart, selectionEnd, selectionDirection } = this.#element;
    const text = this.#text.toString();
    const place = (at: number | null) => placeIn(text, this.#face.length, this.#hasLines, this.#pieces.toText(at ?? 0), "behind");
    const [start, end] = [place(selectionStart), place(selectionEnd)];
    return selectionDirection === "backward" ? { anchor: end, head: start } : { anchor: start, head: end };
  }

  #faceNow(): string {
    const text = this.#text.toString();
    this.#isWhole = !(this.#hasLines ? /\r/ : /[\r\n]/).test(text);
    return this.#isWhole ? text : shownOf(text, this.#hasLines);
  }

  #difference(): Pieces {
    return Pieces.between(this.#shown.length, diff(this.#shown, this.#face));
  }
}

const STEPS: { readonly [inputType: string]: "undo" | "redo" } = { historyUndo: "undo", historyRedo: "redo" };

function stepOfKey({ key, code, ctrlKey, metaKey, altKey, shiftKey, isComposing }: KeyboardEvent): "undo" | "redo" | undefined {
  const isMac = /Mac|iP/.test(navigator.platform);
  if (altKey || isComposing || (isMac ? !metaKey || ctrlKey : !ctrlKey || metaKey)) return undefined;
  // A keyboard of another script has its letters elsewhere.
  const letter = /^[a-z]$/i.test(key) ? key.toLowerCase() : code === "KeyZ" ? "z" : code === "KeyY" ? "y" : "";
  if (letter === "z") return shiftKey ? "redo" : "undo";
  return letter === "y" && !isMac ? "redo" : undefined;
}

/** What was typed, which ends where the cursor is now: of equal letters in a row that says which is the new one. */
function editsBetween(before: string, after: string, cursor: number): Edit[] {
  const tail = after.slice(cursor);
  if (!before.endsWith(tail) || splitsPair(after, cursor) || splitsPair(before, before.length - tail.length)) return diff(before, after);
  return diff(before.slice(0, before.length - tail.length), after.slice(0, cursor));
}

function isField(element: unknown): element is HTMLTextAreaElement | HTMLInputElement {
  if (typeof element !== "object" || element === null) return false;
  const { localName, type } = element as Partial<HTMLInputElement>;
  return localName === "textarea" || (localName === "input" && (type === "text" || type === "search"));
}
