/** The keys and menus of undo and redo, handed to the space: they take back what this tab wrote in this text, and nothing of others. */

import { type Extension, Prec } from "@codemirror/state";
import { EditorView, keymap } from "@codemirror/view";
import type { Bound } from "./binding.js";

/** Before the editor's own history, if it has one. */
export function undoKeys(bound: Bound): Extension {
  const command = (what: "undo" | "redo") => (view: EditorView) => {
    view.plugin(bound)?.step(what);
    return true;
  };
  const [undo, redo] = [command("undo"), command("redo")];
  return Prec.high([
    keymap.of([
      { key: "Mod-z", run: undo, shift: redo, preventDefault: true },
      { key: "Mod-y", run: redo, preventDefault: true },
    ]),
    EditorView.domEventHandlers({
      beforeinput: (event, view) => {
        if (event.inputType !== "historyUndo" && event.inputType !== "historyRedo") return false;
        return event.inputType === "historyUndo" ? undo(view) : redo(view);
      },
    }),
  ]);
}
