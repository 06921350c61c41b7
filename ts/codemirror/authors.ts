/**
 * Who wrote what: a tint for each author, and for a letter that is clicked why it stands there.
 *
 * Invariant: a tint is of the text as it is, but for a moment after an edit; while somebody composes nothing is drawn anew.
 */

import { type Extension, RangeSetBuilder, StateEffect, StateField } from "@codemirror/state";
import { type Command, Decoration, type DecorationSet, EditorView, keymap, type PluginValue, showTooltip, type Tooltip, ViewPlugin, type ViewUpdate } from "@codemirror/view";
import { hueOf } from "../carets.js";
import { checkFunction, checkOptions } from "../check.js";
import { type AuthorRun, coreOf, type SharedText } from "../text.js";
import { type Provenance, why } from "../why.js";
import type { Bound } from "./binding.js";
import { moved } from "./cursors.js";
import { hueClass } from "./palette.js";

/** How authors are shown. */
export interface AuthorOptions {
  /** What a member is called; the beginning of the id unless stated. */
  label?: (member: string) => string;
  /**
   * The member's colour, an angle from 0 to 359; `undefined` for the one that follows from the id, `null` for no tint and nothing
   * to click. Asked again after edits, and with `cursors` when somebody comes or shows something else.
   */
  hue?: (member: string) => number | null | undefined;
  /** Takes the place of the card that opens at a letter which was clicked: what {@link Space.why} says of it. */
  onClick?: (why: Provenance, event: MouseEvent) => void;
}

export function checkAuthorOptions(o: AuthorOptions): void {
  checkOptions(o, "authors", ["label", "hue", "onClick"]);
  for (const [name, value] of Object.entries(o)) if (value !== undefined) checkFunction(value, name);
}

/** Tints a text by its authors. */
export function authors(text: SharedText, bound: Bound, o: AuthorOptions): Extension {
  const plugin = ViewPlugin.define((view) => new Tints(view, text, bound, o), { decorations: ({ tints }) => tints });
  const ask = (view: EditorView, position: number): Provenance | undefined => {
    const { space } = coreOf(text);
    const binding = view.plugin(bound);
    // A view has its authors, and nothing more to say of them.
    if (!binding?.isEven || !space.pump.isOpen || !space.coreOf(text) || position >= text.length) return undefined;
    return why(space, text, position);
  };
  const labelOf = o.label ?? ((member) => member.slice(0, 4));
  const open = (view: EditorView, pos: number, told: Provenance) => {
    const dom = cardOf(told, labelOf);
    view.dispatch({ effects: [show.of({ pos, above: true, create: () => ({ dom }) }), EditorView.announce.of(dom.innerText)] });
  };
  const explain: Command = (view) => {
    const { head } = view.state.selection.main;
    const told = ask(view, head);
    if (told) open(view, head, told);
    return told !== undefined;
  };
  return [
    plugin,
    card,
    theme,
    keymap.of([
      { key: "Shift-F1", run: explain },
      { key: "Escape", run: (view) => view.state.field(card) !== null && (view.dispatch({ effects: show.of(null) }), true) },
    ]),
    EditorView.domEventHandlers({
      click: (event, view) => {
        const { main } = view.state.selection;
        const position = main.empty && event.button === 0 ? letterAt(view, event) : undefined;
        const told = position === undefined ? undefined : ask(view, position);
        if (position === undefined || !told || o.hue?.(told.member) === null) return;
        if (o.onClick) o.onClick(told, event);
        else open(view, position, told);
      },
    }),
  ];
}

class Tints implements PluginValue {
  tints: DecorationSet = Decoration.none;
  readonly #view: EditorView;
  readonly #text: SharedText;
  readonly #bound: Bound;
  readonly #hueOf: (member: string) => number | null | undefined;
  #runs: readonly AuthorRun[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(view: EditorView, text: SharedText, bound: Bound, o: AuthorOptions) {
    this.#view = view;
    this.#text = text;
    this.#bound = bound;
    this.#hueOf = o.hue ?? (() => undefined);
    this.#schedule(0);
  }

  update(update: ViewUpdate): void {
    if (update.docChanged) {
      this.tints = this.tints.map(update.changes);
      this.#schedule(REFRESH_MS);
    }
    const has = (type: typeof refreshed) => update.transactions.some(({ effects }) => effects.some((effect) => effect.is(type)));
    // With an edit that is not looked at yet the runs are of another text. Who comes may be called and coloured otherwise from then on.
    const mayDiffer = this.#timer === undefined && (update.viewportChanged || (has(moved) && !this.#view.composing));
    if (has(refreshed) || mayDiffer) this.tints = this.#draw();
  }

  destroy(): void {
    clearTimeout(this.#timer);
  }

  /** Asking is O(n), so not with every letter. */
  #schedule(delayMs: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const view = this.#view;
      if (!coreOf(this.#text).space.pump.isOpen) return;
      if (view.composing || !view.plugin(this.#bound)?.isEven) return this.#schedule(REFRESH_MS);
      this.#runs = this.#text.authors();
      view.dispatch({ effects: refreshed.of(null) });
    }, delayMs);
  }

  /** The tints of what is in sight. */
  #draw(): DecorationSet {
    const { from, to } = this.#view.viewport;
    const builder = new RangeSetBuilder<Decoration>();
    const me = coreOf(this.#text).space.pump.peek((engine) => engine.member());
    let start = 0;
    for (const { member, length } of this.#runs) {
      const end = start + length;
      if (start >= to) break;
      const hue = this.#hueOf(member);
      if (end > from && length > 0 && hue !== null) builder.add(Math.max(start, from), Math.min(end, to), tintOf(hue ?? hueOf(member), member === me));
      start = end;
    }
    return builder.finish();
  }
}

/** What is typed at the end of own text is own text. */
function tintOf(hue: number, isOwn: boolean): Decoration {
  return Decoration.mark({ class: `cm-stemma-author ${hueClass(hue)}`, inclusiveEnd: isOwn });
}

/** How long after an edit the authors are asked for. */
const REFRESH_MS = 120;

/** The authors are known anew. */
const refreshed = StateEffect.define<null>();

const show = StateEffect.define<Tooltip | null>();

/** The card that is open. It goes with any edit and any other selection. */
const card = StateField.define<Tooltip | null>({
  create: () => null,
  update(open, { docChanged, selection, effects }) {
    const shown = effects.find((effect) => effect.is(show));
    if (shown) return shown.value as Tooltip | null;
    return docChanged || selection ? null : open;
  },
  provide: (field) => showTooltip.from(field),
});

/** The letter below the pointer, and not the one whose edge is nearest. */
function letterAt(view: EditorView, { clientX: x, clientY: y }: MouseEvent): number | undefined {
  const near = view.posAtCoords({ x, y });
  if (near === null) return undefined;
  const edge = view.coordsAtPos(near, 1);
  const position = edge && x < edge.left ? near - 1 : near;
  return position < 0 || view.state.sliceDoc(position, position + 1) === "\n" ? undefined : position;
}

function cardOf({ member, time, considered }: Provenance, labelOf: (member: string) => string): HTMLElement {
  const dom = document.createElement("div");
  dom.className = "cm-stemma-card";
  dom.setAttribute("role", "tooltip");
  const head = dom.appendChild(document.createElement("div"));
  head.appendChild(document.createElement("b")).textContent = labelOf(member);
  head.append(` ${new Date(time).toLocaleString()}`);
  for (const { verb, member: by, reason } of considered.slice(0, WORDS_MAX)) {
    dom.appendChild(document.createElement("div")).textContent = `${labelOf(by)}: ${verb}${reason ? `, ${JSON.stringify(reason)}` : ""}`;
  }
  return dom;
}

/** Words of policy on a card. */
const WORDS_MAX = 4;

const theme = EditorView.baseTheme({
  ".cm-stemma-author": { background: "color-mix(in srgb, var(--stemma-color) 20%, transparent)" },
  // By the page's own scheme: an editor may not say that it is dark.
  ".cm-tooltip.cm-stemma-card": {
    padding: "4px 9px",
    maxWidth: "30em",
    font: "13px/1.5 system-ui, sans-serif",
    color: "CanvasText",
    background: "Canvas",
    border: "1px solid GrayText",
    borderRadius: "6px",
  },
});
