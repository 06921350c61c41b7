/**
 * `stemma/codemirror`: a CodeMirror 6 editor on a {@link SharedText}.
 *
 * ```ts
 * new EditorView({ doc: text.toString(), extensions: [stemma(text)], parent: document.body });
 * ```
 *
 * Invariant: the document of the editor, with the changes that are held back, equals the text. The text decides: the
 * binding never writes a document of its own into it, and what an editor opens with beyond the text is taken out.
 * Positions are UTF-16 code units on both sides, a line break is `\n`.
 */

import { Annotation, ChangeSet, EditorState, type Extension, Text, Transaction } from "@codemirror/state";
import { EditorView, type PluginValue, ViewPlugin, type ViewUpdate } from "@codemirror/view";
import type { TextChange } from "./change.js";
import { argumentError, checkOptions } from "./check.js";
import type { Delta } from "./delta.js";
import { diff } from "./diff.js";
import { reportUncaught } from "./listeners.js";
import type { ObjectCore } from "./object.js";
import { coreOf, SharedText } from "./text.js";

/** Options of {@link stemma}. */
export interface StemmaOptions {
  /** Only shows the text. Always so for a member who may only read, and for the text of a view. */
  readOnly?: boolean;
}

/**
 * Shows a text in an editor and writes what is typed there into it, gathered as all edits outside of transactions are,
 * with the editor's binding as their `origin`. What comes from elsewhere is not in the editor's undo history, and waits
 * while somebody composes a character.
 *
 * The editor takes no changes while the space is closed.
 */
export function stemma(text: SharedText, o: StemmaOptions = {}): Extension {
  if (!(text instanceof SharedText)) throw argumentError("text", "text is not a SharedText");
  checkOptions(o, "o", ["readOnly"]);
  const core = coreOf(text);
  const { space } = core;
  const readOnly = o.readOnly === true || !core.isWritable;
  return [
    EditorState.lineSeparator.of("\n"),
    EditorState.readOnly.of(readOnly),
    EditorState.changeFilter.of((transaction) => transaction.annotation(fromText) === true || (!readOnly && space.pump.isOpen)),
    ViewPlugin.define((view) => new Binding(view, text), {
      eventObservers: {
        compositionstart() {
          this.compose(true);
        },
        compositionend() {
          this.compose(false);
        },
      },
    }),
  ];
}

/** Marks the transactions that bring the text into the editor. */
const fromText = Annotation.define<boolean>();

/** How long after its end an editor may still be reading a composition. */
const COMPOSITION_END_MS = 60;

class Binding implements PluginValue {
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
      this.#core.space.transactions.gather(() => this.#write(changes), this);
      this.#doc = update.state.doc;
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

  /** Writes what was typed, as it would have been typed into the text. */
  #write(typed: ChangeSet): void {
    let changes = typed;
    if (this.#held) {
      changes = typed.map(this.#held);
      this.#held = this.#held.map(typed, true);
    }
    changes.iterChanges((fromA, toA, fromB, _toB, inserted) => {
      this.#text.delete(fromB, toA - fromA);
      this.#text.insert(fromB, inserted.toString());
    });
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

  #flush(): void {
    const view = this.#view;
    const { pump } = this.#core.space;
    if (this.#isDestroyed || view.composing || view.compositionStarted || !pump.isOpen) return;
    pump.drain();
    // A character that the text did not let be torn.
    if ((this.#held?.newLength ?? this.#doc.length) !== this.#text.length) this.#held = this.#difference();
    const changes = this.#held;
    this.#held = undefined;
    if (!changes || changes.empty) return;
    view.dispatch({
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
