/**
 * The drawer "what the relay sees": every changeset that passed the wire, byte by byte, and on request every frame.
 *
 * Invariant: it shows recorded bytes only. Nothing in here asks a replica for anything, so it cannot know more than
 * the relay does, except which pane a frame belongs to.
 */
import { Aside } from "./aside.ts";
import { element } from "./dom.ts";
import { type Part, type Row, frameName, hex, rowsOf } from "./row.ts";
import type { Frame, Wire } from "./wire.ts";

/** A line of the list: a changeset with where it was seen, or a frame that carries none. */
interface Entry {
  readonly title: string;
  readonly time: number;
  readonly bytes: Uint8Array;
  readonly row?: Row;
  readonly seen: string[];
}

/** The drawer in `element`, opened and closed by `opener`. */
export class Drawer {
  readonly #changesets = new Map<string, Entry>();
  readonly #frames: Entry[] = [];
  #every = false;
  #chosen: Entry | undefined;
  #drawTimer = 0;
  readonly #element: HTMLElement;
  readonly #aside: Aside;
  readonly #wire: Wire;

  constructor(element: HTMLElement, opener: HTMLElement, wire: Wire) {
    this.#element = element;
    this.#wire = wire;
    element.innerHTML = MARKUP;
    for (const frame of wire.frames) this.#take(frame);
    wire.subscribe((frame) => {
      this.#take(frame);
      clearTimeout(this.#drawTimer);
      this.#drawTimer = window.setTimeout(() => this.#draw(), DRAW_AFTER_MS);
    });
    this.#aside = new Aside(element, opener, () => this.#draw());
    this.#part("#drawer-every").addEventListener("change", (event) => {
      this.#every = (event.target as HTMLInputElement).checked;
      this.#draw();
    });
    this.#part("#drawer-find").addEventListener("input", () => this.#find());
  }

  get changesets(): number {
    return this.#changesets.size;
  }

  #take(frame: Frame): void {
    const rows = rowsOf(frame.bytes);
    const way = frame.direction === "sent" ? `${frame.replica} → relay` : `relay → ${frame.replica}`;
    for (const row of rows) {
      const known = this.#changesets.get(row.key);
      if (known && !known.seen.includes(way)) known.seen.push(way);
      if (known) continue;
      this.#changesets.set(row.key, { title: `changeset ${row.seq}`, time: frame.time, bytes: row.bytes, row, seen: [way] });
    }
    this.#frames.push({ title: frameName(frame.bytes), time: frame.time, bytes: frame.bytes, seen: [way] });
    if (this.#frames.length > LISTED_MAX) this.#frames.shift();
  }

  #draw(): void {
    if (!this.#aside.isOpen) return;
    const entries = (this.#every ? this.#frames : [...this.#changesets.values()]).slice(-LISTED_MAX).reverse();
    if (!this.#chosen || !entries.includes(this.#chosen)) this.#chosen = entries[0];
    this.#part(".drawer-body").hidden = entries.length === 0;
    this.#part(".drawer-none").hidden = entries.length > 0;
    const list = this.#part(".drawer-list");
    const focused = list.contains(document.activeElement);
    list.replaceChildren(...entries.map((entry) => this.#line(entry)));
    if (focused) list.querySelector<HTMLElement>("[aria-pressed=true]")?.focus();
    this.#find();
    this.#show();
  }

  #line(entry: Entry): HTMLElement {
    const item = element("li");
    const button = element("button", "entry");
    button.setAttribute("type", "button");
    button.setAttribute("aria-pressed", String(entry === this.#chosen));
    button.append(
      element("b", "", entry.title),
      element("span", "entry-bytes", `${entry.bytes.length.toLocaleString("en")} B`),
      element("span", "entry-way", entry.seen.join(", ")),
      element("span", "entry-time", new Date(entry.time).toLocaleTimeString("en-GB")),
    );
    button.addEventListener("click", () => {
      this.#chosen = entry;
      this.#draw();
    });
    item.append(button);
    return item;
  }

  #show(): void {
    const shown = this.#part(".drawer-bytes");
    const entry = this.#chosen;
    if (!entry || shown.dataset.shown === keyOf(entry)) return;
    shown.dataset.shown = keyOf(entry);
    const parts: readonly Part[] = entry.row?.parts ?? [{ name: "frame", start: 0, end: entry.bytes.length, sealed: false }];
    shown.replaceChildren(...(entry.row ? [weights(entry.row)] : []), ...parts.map((part) => block(part, entry.bytes)));
    shown.scrollTop = 0;
  }

  /** Looks for what the reader types, in the encodings text travels in. */
  #find(): void {
    const wanted = (this.#part("#drawer-find") as HTMLInputElement).value;
    const answer = this.#part("#drawer-found");
    const { frames } = this.#wire;
    const all = `${frames.reduce((sum, frame) => sum + frame.bytes.length, 0).toLocaleString("en")} bytes`;
    if (wanted.length < FIND_CHARS_MIN) {
      answer.textContent = `in ${all}, both ways`;
      return;
    }
    const needles = [new TextEncoder().encode(wanted), utf16(wanted)];
    const hits = frames.filter((frame) => needles.some((needle) => contains(frame.bytes, needle))).length;
    answer.textContent = hits === 0 ? `nowhere in ${all}` : `in ${hits} of ${frames.length} frames`;
  }

  #part(selector: string): HTMLElement {
    return this.#element.querySelector(selector) as HTMLElement;
  }
}

/** How much of a changeset is clear and how much is sealed. */
function weights(row: Row): HTMLElement {
  const sealed = row.parts.filter((part) => part.sealed).reduce((sum, part) => sum + part.end - part.start, 0);
  const line = element("p", "weights");
  line.append(
    element("span", "key clear", `${row.bytes.length - sealed} B in clear: who, after what, how long`),
    element("span", "key sealed", `${sealed} B sealed: what was done, where, and the words`),
  );
  return line;
}

function block(part: Part, bytes: Uint8Array): HTMLElement {
  const box = element("div", part.sealed ? "part sealed" : "part clear");
  const head = element("p", "part-head");
  const size = part.end - part.start;
  head.append(element("b", "", part.name), element("span", "", part.sealed ? `${size} B, AES-256-GCM` : (part.reading ?? `${size} B`)));
  const dump = element("code", "hex");
  const shown = bytes.subarray(part.start, Math.min(part.end, part.start + HEX_BYTES_MAX));
  dump.textContent = hex(shown).replace(/(.{8})/g, "$1 ");
  box.append(head, dump);
  const left = size - shown.length;
  if (left === 0) return box;
  const more = element("button", "button small", `Show ${left.toLocaleString("en")} more bytes`);
  more.setAttribute("type", "button");
  more.addEventListener("click", () => {
    dump.textContent = hex(bytes.subarray(part.start, part.end)).replace(/(.{8})/g, "$1 ");
    more.remove();
  });
  box.append(more);
  return box;
}

function utf16(text: string): Uint8Array {
  return Uint8Array.from([...Array(text.length).keys()].flatMap((i) => [text.charCodeAt(i) & 255, text.charCodeAt(i) >> 8]));
}

function contains(hay: Uint8Array, needle: Uint8Array): boolean {
  const [first = 0] = needle;
  for (let at = hay.indexOf(first); at >= 0; at = hay.indexOf(first, at + 1)) {
    if (needle.every((byte, i) => hay[at + i] === byte)) return true;
  }
  return false;
}

function keyOf(entry: Entry): string {
  return entry.row?.key ?? `${entry.time} ${entry.seen.join()} ${entry.bytes.length}`;
}

const MARKUP = `
  <header class="drawer-head">
    <h2 id="drawer-title">What the relay sees</h2>
    <label class="drawer-every"><input type="checkbox" id="drawer-every" /> every frame</label>
    <button type="button" class="icon drawer-close" aria-label="Close">×</button>
  </header>
  <p class="drawer-note">
    The bytes below crossed the sockets of this page, recorded as they were sent; “every frame” adds logins and answers. With your network address and the time, <b>this is everything</b> it gets.
  </p>
  <p class="drawer-search">
    <label for="drawer-find">Look for your words</label>
    <input id="drawer-find" autocomplete="off" spellcheck="false" />
    <span id="drawer-found" role="status"></span>
  </p>
  <p class="drawer-none">Nothing was sent since this page was opened. Type something.</p>
  <div class="drawer-body" hidden>
    <ul class="drawer-list" aria-label="Newest first"></ul>
    <div class="drawer-bytes" tabindex="0" role="region" aria-label="Bytes"></div>
  </div>`;
const DRAW_AFTER_MS = 80;
const FIND_CHARS_MIN = 3;
const HEX_BYTES_MAX = 1024;
const LISTED_MAX = 200;
