/**
 * Cursors and selections of others, drawn in layers of their own: what is read, typed and composed is not touched by them, and
 * nobody is read their names.
 */

import { EditorSelection, type Extension, StateEffect } from "@codemirror/state";
import { EditorView, layer, type LayerMarker, type PluginValue, RectangleMarker, ViewPlugin, type ViewUpdate } from "@codemirror/view";
import { type Caret, Carets, type CursorOptions } from "../carets.js";
import type { SharedText } from "../text.js";
import type { Bound } from "./binding.js";
import { hueClass } from "./palette.js";

/** Shows the cursors of others on the text, and this one to them. */
export function cursors(text: SharedText, bound: Bound, o: CursorOptions): Extension {
  const plugin = ViewPlugin.define((view) => new Cursors(view, text, bound, o));
  const isMoved = ({ docChanged, transactions }: ViewUpdate) =>
    docChanged || transactions.some(({ effects }) => effects.some((effect) => effect.is(moved)));
  return [
    plugin,
    layer({ above: true, class: "cm-stemma-cursors", update: isMoved, markers: (view) => view.plugin(plugin)?.cursors() ?? [] }),
    layer({ above: false, class: "cm-stemma-selections", update: isMoved, markers: (view) => view.plugin(plugin)?.selections() ?? [] }),
    theme,
  ];
}

/** Others' cursors may be elsewhere. */
export const moved = StateEffect.define<null>();

class Cursors implements PluginValue {
  readonly #view: EditorView;
  readonly #bound: Bound;
  readonly #carets: Carets;
  #isScheduled = false;
  #isDestroyed = false;

  constructor(view: EditorView, text: SharedText, bound: Bound, o: CursorOptions) {
    this.#view = view;
    this.#bound = bound;
    this.#carets = new Carets(text, o, () => this.#selected(), () => this.#redraw());
    this.#carets.moved();
  }

  update({ docChanged, selectionSet, focusChanged }: ViewUpdate): void {
    if (docChanged || selectionSet || focusChanged) this.#carets.moved();
  }

  destroy(): void {
    this.#isDestroyed = true;
    this.#carets.end();
  }

  cursors(): readonly LayerMarker[] {
    return this.#placed().flatMap(({ caret, head }) => {
      const [at] = RectangleMarker.forRange(this.#view, "", EditorSelection.cursor(head));
      return at ? [new CursorMarker(caret, at, this.#view.scrollDOM.clientWidth)] : [];
    });
  }

  selections(): readonly LayerMarker[] {
    return this.#placed().flatMap(({ caret, anchor, head }) => {
      if (anchor === head) return [];
      return RectangleMarker.forRange(this.#view, `cm-stemma-selection ${hueClass(caret.hue)}`, EditorSelection.range(anchor, head));
    });
  }

  #placed(): { caret: Caret; anchor: number; head: number }[] {
    const binding = this.#view.plugin(this.#bound);
    if (!binding) return [];
    const placed = (caret: Caret) => ({ caret, anchor: binding.toDocument(caret.anchor), head: binding.toDocument(caret.head) });
    return this.#carets.others.map(placed);
  }

  #selected(): { anchor: number; head: number } | undefined {
    const binding = this.#view.plugin(this.#bound);
    if (!binding || this.#isDestroyed || !this.#view.hasFocus) return undefined;
    const { anchor, head } = this.#view.state.selection.main;
    return { anchor: binding.toText(anchor), head: binding.toText(head) };
  }

  /** Later: presence may be told of in the middle of an update. */
  #redraw(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      if (!this.#isDestroyed) this.#view.dispatch({ effects: moved.of(null) });
    });
  }
}

class CursorMarker implements LayerMarker {
  readonly #caret: Caret;
  readonly #left: number;
  readonly #top: number;
  readonly #height: number;
  /** Which way there is room for the name. */
  readonly #sides: string;

  constructor(caret: Caret, { left, top, height }: RectangleMarker, width: number) {
    this.#caret = caret;
    this.#left = left;
    this.#top = top;
    this.#height = height;
    this.#sides = `${top < height ? " cm-stemma-below" : ""}${left > width / 2 ? " cm-stemma-left" : ""}`;
  }

  eq(other: LayerMarker): boolean {
    return other instanceof CursorMarker && this.#isSameCaret(other) && this.#sides === other.#sides && this.#isAt(other);
  }

  draw(): HTMLElement {
    const element = document.createElement("div");
    const name = element.appendChild(document.createElement("span"));
    name.textContent = this.#caret.label;
    this.#adjust(element, 0);
    return element;
  }

  /** The name shows anew for a while, for the cursor moved. */
  update(element: HTMLElement, before: LayerMarker): boolean {
    if (!(before instanceof CursorMarker) || !this.#isSameCaret(before)) return false;
    const turn = element.firstElementChild?.classList.contains("cm-stemma-name-0") ? 1 : 0;
    this.#adjust(element, this.#isAt(before) ? 1 - turn : turn);
    return true;
  }

  #isSameCaret(other: CursorMarker): boolean {
    const { session, label, hue } = this.#caret;
    return other.#caret.session === session && other.#caret.label === label && other.#caret.hue === hue;
  }

  #isAt(other: CursorMarker): boolean {
    return this.#left === other.#left && this.#top === other.#top && this.#height === other.#height;
  }

  #adjust(element: HTMLElement, turn: number): void {
    element.className = `cm-stemma-cursor ${hueClass(this.#caret.hue)}${this.#sides}`;
    Object.assign(element.style, { left: `${this.#left - 1}px`, top: `${this.#top}px`, height: `${this.#height}px` });
    if (element.firstElementChild) element.firstElementChild.className = `cm-stemma-name cm-stemma-name-${turn}`;
  }
}

const FADE = { "0%": { opacity: 1 }, "85%": { opacity: 1 }, "100%": { opacity: 0 } };

const theme = EditorView.baseTheme({
  ".cm-stemma-cursors, .cm-stemma-selections": { pointerEvents: "none" },
  ".cm-stemma-cursor": { position: "absolute", width: "2px", background: "var(--stemma-color)" },
  // What the name comes back over.
  ".cm-stemma-cursor::before": {
    content: '""',
    position: "absolute",
    top: "-3px",
    left: "-2px",
    width: "6px",
    height: "6px",
    borderRadius: "3px",
    background: "var(--stemma-color)",
    pointerEvents: "auto",
  },
  ".cm-stemma-name": {
    position: "absolute",
    bottom: "100%",
    left: "0",
    maxWidth: "14em",
    padding: "0 5px",
    overflow: "hidden",
    textOverflow: "ellipsis",
    whiteSpace: "nowrap",
    unicodeBidi: "isolate",
    font: "600 11px/1.45 system-ui, sans-serif",
    borderRadius: "3px",
    background: "var(--stemma-color)",
    color: "#000",
  },
  ".cm-stemma-below > .cm-stemma-name": { bottom: "auto", top: "100%" },
  ".cm-stemma-left > .cm-stemma-name": { left: "auto", right: "0" },
  // Two that are alike: to change from one to the other begins anew.
  ".cm-stemma-name-0": { animation: "cm-stemma-fade-0 4s forwards" },
  ".cm-stemma-name-1": { animation: "cm-stemma-fade-1 4s forwards" },
  "@keyframes cm-stemma-fade-0": FADE,
  "@keyframes cm-stemma-fade-1": FADE,
  ".cm-stemma-cursor:hover > .cm-stemma-name": { animation: "none" },
  ".cm-stemma-selection": { position: "absolute", background: "color-mix(in srgb, var(--stemma-color) 30%, transparent)" },
});
