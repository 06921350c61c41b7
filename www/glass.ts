/**
 * A pane under glass: over its pages lies what a view shows, with what would go struck through and what would come
 * back beside it. It has the size of what it covers, so nothing moves.
 *
 * Invariant: it only shows. What is below stays as it is, and cannot be reached while it is covered.
 */
import type { Change, Space, Value, View } from "stemma";
import { facts } from "./demo.ts";
import { element } from "./dom.ts";
import { moneyDifference } from "./money.ts";
import { piecesOf } from "./pieces.ts";

export class Glass {
  readonly #element: HTMLElement;
  readonly #covered: readonly HTMLElement[];

  constructor(pane: HTMLElement) {
    this.#element = pane.querySelector(".glass") as HTMLElement;
    this.#covered = [...pane.querySelectorAll<HTMLElement>(".page")];
  }

  /** Shows how `view` differs from `space`; `changes` turn one into the other. `people` are those whose money shows. */
  show(title: string, space: Space, view: View, changes: readonly Change[], people: readonly string[], nameOf: (member: string) => string): void {
    const head = element("p", "glass-head");
    head.append(element("b", "", title));
    const note = element("div", "of-note");
    note.append(noteDifference(space, changes), factsDifference(space, view));
    const money = element("div", "of-money");
    money.append(...moneyDifference(space, view, people, nameOf));
    for (const page of [note, money]) {
      if (!page.querySelector("del, ins")) head.append(element("span", page.className, "Reads as it does now."));
    }
    const scroll = this.#element.scrollTop;
    this.#element.replaceChildren(head, note, money);
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

function noteDifference(space: Space, changes: readonly Change[]): HTMLElement {
  const text = element("div", "glass-text");
  const pieces = piecesOf(space.getText("note").toString(), changes, "note");
  text.append(...pieces.map(({ how, text }) => (how === "kept" ? text : element(how === "gone" ? "del" : "ins", "", text))));
  if (pieces.every(({ how }) => how === "gone")) text.append(element("p", "glass-none", "The note is empty."));
  return text;
}

function factsDifference(space: Space, view: View): HTMLElement {
  const table = element("dl", "glass-facts");
  const [now, then] = [shown(space), shown(view)];
  for (const key of [...new Set([...now.keys(), ...then.keys()])].sort()) {
    const row = element("div");
    const value = element("dd");
    const [before, after] = [now.get(key), then.get(key)];
    if (before === after) value.append(after ?? "");
    if (before !== after && before !== undefined) value.append(element("del", "", before), " ");
    if (before !== after && after !== undefined) value.append(element("ins", "", after));
    row.append(element("dt", "", key), value);
    table.append(row);
  }
  return table;
}

function shown(from: Space | View): Map<string, string> {
  return new Map([...facts(from)].map(([key, [value]]) => [key, words(value)]));
}

function words(value: Value | undefined): string {
  return typeof value === "string" ? value : JSON.stringify(value ?? null);
}
