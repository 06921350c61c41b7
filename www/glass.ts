/**
 * A pane under glass: over its editor and its table lies what a view shows, with what would go struck through and what would come
 * back beside it. It has the size of what it covers, so nothing moves.
 *
 * Invariant: it only shows. What is below stays as it is, and cannot be reached while it is covered.
 */
import type { Change, Space, Value, View } from "stemma";
import { facts } from "./demo.ts";
import { element } from "./dom.ts";
import { piecesOf } from "./pieces.ts";

export class Glass {
  readonly #element: HTMLElement;
  readonly #covered: readonly HTMLElement[];

  constructor(pane: HTMLElement) {
    this.#element = pane.querySelector(".glass") as HTMLElement;
    this.#covered = [...pane.querySelectorAll<HTMLElement>(".editor, .facts, .facts-add")];
  }

  /** Shows how `view` differs from `space`; `changes` turn one into the other. */
  show(title: string, space: Space, view: View, changes: readonly Change[]): void {
    const text = element("div", "glass-text");
    const pieces = piecesOf(space.getText("note").toString(), changes, "note");
    text.append(...pieces.map(({ how, text }) => (how === "kept" ? text : element(how === "gone" ? "del" : "ins", "", text))));
    if (pieces.every(({ how }) => how === "gone")) text.append(element("p", "glass-none", "The note is empty."));
    const table = element("dl", "glass-facts");
    table.append(...rows(space, view));
    const differs = pieces.some(({ how }) => how !== "kept") || table.querySelector("del, ins") !== null;
    const head = element("p", "glass-head");
    head.append(element("b", "", title), element("span", "", differs ? "" : "Reads as it does now."));
    const scroll = this.#element.scrollTop;
    this.#element.replaceChildren(head, text, table);
    this.#element.hidden = false;
    this.#element.scrollTop = scroll;
    for (const covered of this.#covered) covered.inert = true;
  }

  hide(): void {
    if (this.#element.hidden) return;
    this.#element.hidden = true;
    this.#element.replaceChildren();
    for (const covered of this.#covered) covered.inert = false;
  }
}

function rows(space: Space, view: View): HTMLElement[] {
  const [now, then] = [shown(space), shown(view)];
  return [...new Set([...now.keys(), ...then.keys()])].sort().map((key) => {
    const row = element("div");
    const value = element("dd");
    const [before, after] = [now.get(key), then.get(key)];
    if (before === after) value.append(after ?? "");
    if (before !== after && before !== undefined) value.append(element("del", "", before), " ");
    if (before !== after && after !== undefined) value.append(element("ins", "", after));
    row.append(element("dt", "", key), value);
    return row;
  });
}

function shown(from: Space | View): Map<string, string> {
  return new Map([...facts(from)].map(([key, [value]]) => [key, words(value)]));
}

function words(value: Value | undefined): string {
  return typeof value === "string" ? value : JSON.stringify(value ?? null);
}
