/**
 * The two-way street between a text and an editor.
 *
 * Invariant: the document of the editor, with the changes that are held back, equals the text. The text decides: the
 * binding never writes a document of its own into it, and what an editor opens with beyond the text is taken out.
 * Positions are UTF-16 code units on both sides, a line break is `\n`.
 */

import { Annotation, ChangeSet, Text, Transaction, type TransactionSpec } from "@codemirror/state";
import { EditorView, type PluginValue, ViewPlugin, type ViewUpdate } from "@codemirror/view";
import type { TextChange } from "../change.js";
import type { Delta } from "../delta.js";
import { diff, splitsPair } from "../diff.js";
import { reportUncaught } from "../listeners.js";
import type { ObjectCore } from "../object.js";
import { coreOf, type SharedText } from "../text.js";
import { step } from "../undo.js";
import { wellFormed } from "../value.js";

/** The binding of an editor, as its other parts find it. */
export type Bound = ViewPlugin<Binding>;

export function bind(text: SharedText): Bound {
  return ViewPlugin.define((view) => new Binding(view, text), {
    eventObservers: {
      compositionstart() {
        this.compose(true);
      },
      compositionend() {
        this.compose(false);
      },
    },
  });
}

/** Marks the transactions that bring the text into the editor. */
export const fromText = Annotation.define<boolean>();

/** How long after its end an editor may still be reading a composition. */
const COMPOSITION_END_MS = 60;

export class Binding implements PluginValue {
  readonly #view: EditorView;
  readonly #text: SharedText;
  readonly #core: ObjectCore;
  readonly #unsubscribe: () => void;
  /** The editor's document, as far as it is accounted for: while an edit is written, the one before it. */
  #doc: Text;
  /** From that document to the text. */
  #held: ChangeSet | undefined;
  #flushScheduled = false;
  #isDestroyed = false;

  constructor(view: EditorView, text: SharedText) {
    this.#view = view;
    this.#text = text;
    this.#core = coreOf(text);
    this.#doc = view.state.doc;
    this.#unsubscribe = text.subscribe((changes) => this.#receive(changes));
    this.#held = this.#difference();
    this.#schedule();
  }

  update(update: ViewUpdate): void {
    const own = update.transactions.filter((transaction) => transaction.docChanged && !transaction.annotation(fromText));
    if (own.length === 0) {
      this.#doc = update.state.doc;
      return;
    }
    const [first, ...others] = own.map(({ changes }) => changes) as [ChangeSet, ...ChangeSet[]];
    const changes = others.reduce((all, next) => all.compose(next), first);
    try {
      let isTorn = false;
      this.#core.space.transactions.gather(() => (isTorn = this.#write(changes)), this);
      this.#doc = update.state.doc;
      // The text lets no character be torn.
      if (isTorn || (this.#held?.newLength ?? this.#doc.length) !== this.#text.length) this.#held = this.#difference();
    } catch (error) {
      // What the text did not take, the editor does not keep.
      reportUncaught(error);
      this.#doc = update.state.doc;
      this.#held = this.#difference();
    }
    this.#schedule();
  }

  compose(on: boolean): void {
    this.#core.space.pump.post((engine) => engine.setComposing(on));
    if (!on) setTimeout(() => this.#flush(), COMPOSITION_END_MS);
  }

  destroy(): void {
    this.#isDestroyed = true;
    this.#unsubscribe();
  }

  /** Whether the editor shows what the text holds. */
  get isEven(): boolean {
    return !this.#held;
  }

  /** Where a place of the document is in the text. */
  toText(position: number, assoc: -1 | 1 = 1): number {
    return this.#held?.mapPos(position, assoc) ?? position;
  }

  /** Where a place of the text is in the document. */
  toDocument(position: number): number {
    return Math.min(this.#held?.invertedDesc.mapPos(position, 1) ?? position, this.#view.state.doc.length);
  }

  /** Takes back, or brings back, what was typed here, and goes there. */
  step(what: "undo" | "redo"): void {
    const { space } = this.#core;
    if (this.#view.composing || !space.pump.isOpen) return;
    space.pump.quietly(() => step(space, what, { scope: [this.#text] }));
    this.#flush((changes) => {
      let end = 0;
      changes.iterChangedRanges((_fromA, _toA, _fromB, toB) => (end = toB));
      return { selection: { anchor: end }, scrollIntoView: true, userEvent: what };
    });
  }

  /** Writes what was typed, as it would have been typed into the text. Whether a character was torn, or half of one typed. */
  #write(typed: ChangeSet): boolean {
    let isTorn = false;
    let changes = typed;
    if (this.#held) {
      changes = typed.map(this.#held);
      this.#held = this.#held.map(typed, true);
    }
    typed.iterChanges((fromA, toA, _fromB, _toB, inserted) => {
      const isApart = (at: number) => splitsPair(this.#doc.sliceString(at - 1, at + 1), 1);
      isTorn ||= isApart(fromA) || isApart(toA) || wellFormed(inserted.toString()) !== inserted.toString();
    });
    let drift = 0; // of the places behind a character that was spared, or went as a whole
    changes.iterChanges((fromA, toA, fromB, _toB, inserted) => {
      const [from, length] = [fromB + drift, this.#text.length];
      this.#text.delete(from, toA - fromA);
      this.#text.insert(Math.min(from, this.#text.length), inserted.toString());
      drift += this.#text.length - length - inserted.length + toA - fromA;
    });
    return isTorn;
  }

  #receive(changes: readonly TextChange[]): void {
    for (const change of changes) {
      if (change.origin === this) continue;
      if (change.delta) {
        const before = this.#held?.newLength ?? this.#doc.length;
        const delta = changeSet(change.delta, before);
        this.#held = this.#held ? this.#held.compose(delta) : delta;
      } else {
        this.#held = this.#difference();
      }
      this.#schedule();
    }
  }

  /** Later: an editor takes no transaction while it handles another. */
  #schedule(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    queueMicrotask(() => {
      this.#flushScheduled = false;
      this.#flush();
    });
  }

  /** `place` says what else the transaction does. */
  #flush(place?: (changes: ChangeSet) => TransactionSpec): void {
    const view = this.#view;
    const { pump } = this.#core.space;
    if (this.#isDestroyed || view.composing || view.compositionStarted || !pump.isOpen) return;
    pump.drain();
    const changes = this.#held;
    this.#held = undefined;
    if (!changes || changes.empty) return;
    view.dispatch({
      ...place?.(changes),
      changes,
      annotations: [fromText.of(true), Transaction.addToHistory.of(false), Transaction.remote.of(true)],
    });
  }

  /** What the document lacks and has too much. */
  #difference(): ChangeSet {
    const edits = diff(this.#doc.toString(), this.#text.toString());
    return ChangeSet.of(
      edits.map(({ position, length, insert }) => ({ from: position, to: position + length, insert: lines(insert) })),
      this.#doc.length,
    );
  }
}

function changeSet(delta: Delta, length: number): ChangeSet {
  const changes: { from: number; to?: number; insert?: Text }[] = [];
  let position = 0; // in the document before
  for (const step of delta) {
    if ("retain" in step) position += step.retain;
    else if ("insert" in step) changes.push({ from: position, insert: lines(step.insert) });
    else changes.push({ from: position, to: (position += step.delete) });
  }
  return ChangeSet.of(changes, length);
}

function lines(text: string): Text {
  return Text.of(text.split("\n"));
}
