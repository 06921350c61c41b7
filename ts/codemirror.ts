/**
 * `stemma/codemirror`: a CodeMirror 6 editor on a {@link SharedText}.
 *
 * ```ts
 * new EditorView({ doc: text.toString(), extensions: [stemma(text, { cursors: { name: "Ada" } })], parent: document.body });
 * ```
 *
 * It asks nothing of the editor's setup, and needs no history of it.
 */

import { EditorState, type Extension } from "@codemirror/state";
import { type CursorOptions, checkCursorOptions } from "./carets.js";
import { argumentError, checkOptions } from "./check.js";
import { type AuthorOptions, authors, checkAuthorOptions } from "./codemirror/authors.js";
import { bind, fromText } from "./codemirror/binding.js";
import { cursors } from "./codemirror/cursors.js";
import { palette } from "./codemirror/palette.js";
import { undoKeys } from "./codemirror/undo.js";
import { coreOf, SharedText } from "./text.js";

export type { CursorOptions } from "./carets.js";
export type { AuthorOptions } from "./codemirror/authors.js";

/** Options of {@link stemma}. */
export interface StemmaOptions {
  /** Only shows the text. Always so for a member who may only read, and for the text of a view. */
  readOnly?: boolean;
  /**
   * Whether the keys and menus of undo and redo are those of the space, on this text: {@link Space.undo}. So unless `false`, which
   * leaves them to the editor.
   */
  undo?: boolean;
  /**
   * Shows the cursors and selections of the sessions that have this text open, and this one to them while the editor has the focus. They
   * travel by {@link Space.presence}: whoever looks is seen. Not in a view.
   */
  cursors?: boolean | CursorOptions;
  /** Tints the text by who wrote it; a click on a letter, or Shift-F1 for the one behind the cursor, shows who, when, and by which words of policy. */
  authors?: boolean | AuthorOptions;
}

/**
 * Shows a text in an editor and writes what is typed there into it, gathered as all edits outside of transactions are,
 * with the editor's binding as their `origin`. What comes from elsewhere is not in the editor's undo history, and waits
 * while somebody composes a character.
 *
 * The editor takes no changes while the space is closed. Throws `E_ARGUMENT` for what is not a text of a space or a view.
 */
export function stemma(text: SharedText, o: StemmaOptions = {}): Extension {
  if (!(text instanceof SharedText)) throw argumentError("text", "text is not a SharedText");
  checkOptions(o, "o", ["readOnly", "undo", "cursors", "authors"]);
  const shown = optionsOf(o.cursors, "cursors");
  const tinted = optionsOf(o.authors, "authors");
  if (shown) checkCursorOptions(shown);
  if (tinted) checkAuthorOptions(tinted);
  const core = coreOf(text);
  const { space } = core;
  const readOnly = o.readOnly === true || !core.isWritable;
  const isLive = space.coreOf(text) !== undefined;
  const bound = bind(text);
  return [
    EditorState.lineSeparator.of("\n"),
    EditorState.readOnly.of(readOnly),
    EditorState.changeFilter.of((transaction) => transaction.annotation(fromText) === true || (!readOnly && space.pump.isOpen)),
    bound,
    o.undo === false || readOnly ? [] : undoKeys(bound),
    shown || tinted ? palette : [],
    tinted ? authors(text, bound, tinted) : [],
    shown && isLive ? cursors(text, bound, shown) : [],
  ];
}

function optionsOf<T extends object>(given: boolean | T | undefined, argument: string): T | undefined {
  if (given === undefined || given === false) return undefined;
  if (given === true) return {} as T;
  if (typeof given !== "object" || given === null) throw argumentError(argument, `${argument} is neither a boolean nor options`);
  return given;
}
