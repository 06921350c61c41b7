/**
 * A shared map as a table: one row a key, its value editable in place, concurrent values offered beside it.
 *
 * Invariant: a field that somebody is typing in is never overwritten; what arrives meanwhile shows when they leave it.
 */
import type { SharedMap, Space, Value } from "stemma";
import { facts } from "./demo.ts";
import { button } from "./dom.ts";

/** Runs a change and reports what goes wrong. */
export type Write = (change: () => void) => void;

/** The table and the form of `pane`, bound to the facts of `space`. */
export class FactsTable {
  readonly #body: HTMLTableSectionElement;
  readonly #none: HTMLElement;
  readonly #rows = new Map<string, FactRow>();
  readonly #space: Space;
  readonly #map: SharedMap;
  readonly #write: Write;

  constructor(pane: ParentNode, space: Space, write: Write) {
    this.#body = pane.querySelector("tbody") as HTMLTableSectionElement;
    this.#none = pane.querySelector(".facts-none") as HTMLElement;
    this.#space = space;
    this.#map = space.getMap("facts");
    this.#write = write;
    const form = pane.querySelector("form") as HTMLFormElement;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#add(form);
    });
    this.#map.subscribe(() => this.render());
    this.render();
  }

  render(): void {
    const now = facts(this.#space);
    for (const [key, row] of this.#rows) {
      if (now.has(key)) continue;
      row.element.remove();
      this.#rows.delete(key);
    }
    for (const [index, [key, values]] of [...now].entries()) {
      const row = this.#rows.get(key) ?? new FactRow(key, this.#map, this.#write);
      this.#rows.set(key, row);
      const place = this.#body.children[index] ?? null;
      if (place !== row.element) this.#body.insertBefore(row.element, place);
      row.show(values.map(text));
    }
    this.#none.hidden = now.size > 0;
  }

  #add(form: HTMLFormElement): void {
    const [key, value] = ["key", "value"].map((name) => form.elements.namedItem(name) as HTMLInputElement);
    const name = key?.value.trim();
    if (!name || !value) return;
    const words = value.value;
    this.#write(() => void this.#map.set(name, words));
    form.reset();
    key?.focus();
  }
}

class FactRow {
  readonly element = document.createElement("tr");
  readonly #field = document.createElement("input");
  readonly #others = document.createElement("div");
  readonly #key: string;
  readonly #map: SharedMap;
  readonly #write: Write;
  /** The winner first. */
  #values: readonly string[] = [];

  constructor(key: string, map: SharedMap, write: Write) {
    this.#key = key;
    this.#map = map;
    this.#write = write;
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = key;
    head.title = key;
    const value = document.createElement("td");
    this.#prepareField();
    this.#others.className = "conflicts";
    value.append(this.#field, this.#others);
    const remove = button("icon", "×", () => write(() => void map.delete(key)));
    remove.setAttribute("aria-label", `Delete ${key}`);
    const last = document.createElement("td");
    last.append(remove);
    this.element.append(head, value, last);
  }

  show(values: readonly string[]): void {
    const losers = values.slice(1);
    if (losers.join("\n") !== this.#values.slice(1).join("\n")) {
      const choices = losers.map((loser) => this.#choice(loser));
      this.#others.replaceChildren(...(losers.length > 0 ? ["also written:", ...choices] : []));
    }
    this.#values = values;
    if (document.activeElement !== this.#field) this.#field.value = this.#shown;
  }

  get #shown(): string {
    return this.#values[0] ?? "";
  }

  #prepareField(): void {
    this.#field.setAttribute("aria-label", `Value of ${this.#key}`);
    this.#field.autocomplete = "off";
    this.#field.maxLength = 400;
    this.#field.addEventListener("change", () => this.#set(this.#field.value));
    this.#field.addEventListener("blur", () => (this.#field.value = this.#shown));
    this.#field.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#field.value = this.#shown;
      if (event.key === "Escape" || event.key === "Enter") this.#field.blur();
    });
  }

  /** A loser of a concurrent write: choosing it writes it anew, which settles the matter. */
  #choice(value: string): HTMLElement {
    const choice = button("choice", value || "(empty)", () => this.#set(value));
    choice.title = `Use “${value}” instead`;
    return choice;
  }

  #set(value: string): void {
    if (value !== this.#shown) this.#write(() => void this.#map.set(this.#key, value));
  }
}

function text(value: Value): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
