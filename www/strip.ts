/**
 * The strip: a lane for each member, a mark for each burst of work, and below them the slider of time, column under column.
 *
 * Invariant: it only draws what it is given and tells what was pressed. Marks keep their elements while they are there, and
 * with them the focus.
 */
import { button, element, say } from "./dom.ts";
import type { Mark } from "./marks.ts";

export interface Lane {
  readonly member: string;
  readonly name: string;
  /** Whether the reader can ban this member; nobody bans oneself. */
  readonly bannable: boolean;
  readonly isBanned: boolean;
  readonly isTrusted: boolean;
}

export interface Scene {
  readonly lanes: readonly Lane[];
  readonly marks: readonly Mark[];
  /** The id of the mark, and the members, that are looked at. */
  readonly chosen: string | undefined;
  readonly banning: string | undefined;
  readonly trusting: string | undefined;
  /** Up to when; `undefined` is now. */
  readonly time: number | undefined;
  label(mark: Mark): string;
  clock(time: number): string;
}

export interface StripListener {
  choose(mark: Mark): void;
  point(mark: Mark | undefined): void;
  ban(member: string): void;
  trust(member: string): void;
  travel(time: number | undefined): void;
}

interface Row {
  readonly label: HTMLElement;
  readonly name: HTMLButtonElement;
  readonly ban: HTMLButtonElement;
  readonly lane: HTMLElement;
}

export class Strip {
  readonly #scroll: HTMLElement;
  readonly #lanes: HTMLElement;
  readonly #labels: HTMLElement;
  readonly #ticks: HTMLElement;
  readonly #slider: HTMLInputElement;
  readonly #time: HTMLElement;
  readonly #rows = new Map<string, Row>();
  readonly #buttons = new Map<string, HTMLButtonElement>();
  readonly #listener: StripListener;
  #marks: readonly Mark[] = [];

  constructor(root: HTMLElement, listener: StripListener) {
    this.#listener = listener;
    const part = <T extends HTMLElement>(selector: string) => root.querySelector(selector) as T;
    [this.#scroll, this.#lanes, this.#labels] = [part(".strip-scroll"), part(".lanes"), part(".strip-labels")];
    [this.#ticks, this.#slider, this.#time] = [part(".ticks"), part<HTMLInputElement>("#time"), part("#time-now")];
    this.#slider.addEventListener("input", () => {
      const at = Number(this.#slider.value);
      listener.travel(at >= this.#marks.length - 1 ? undefined : this.#marks[at]?.to);
    });
    this.#lanes.addEventListener("pointerover", (event) => listener.point(this.#markOf(event.target)));
    this.#lanes.addEventListener("pointerleave", () => listener.point(undefined));
    this.#lanes.addEventListener("focusin", (event) => listener.point(this.#markOf(event.target)));
    this.#lanes.addEventListener("focusout", () => listener.point(undefined));
    this.#lanes.addEventListener("keydown", (event) => this.#move(event));
  }

  /** Puts the focus on a mark, else on the newest. */
  focus(id: string | undefined): void {
    (this.#buttons.get(id ?? "") ?? this.#buttons.get(this.#marks.at(-1)?.id ?? ""))?.focus();
  }

  show(scene: Scene): void {
    const wasAtEnd = this.#scroll.scrollLeft + this.#scroll.clientWidth >= this.#scroll.scrollWidth - NEAR_PX;
    const isLonger = scene.marks.length > this.#marks.length;
    this.#marks = scene.marks;
    this.#scroll.style.setProperty("--columns", String(Math.max(1, scene.marks.length)));
    for (const [index, lane] of scene.lanes.entries()) this.#showLane(lane, index, scene);
    for (const [id, made] of this.#buttons) {
      if (scene.marks.some((mark) => mark.id === id)) continue;
      made.parentElement?.remove();
      this.#buttons.delete(id);
    }
    const stop = scene.chosen ?? this.#focused ?? scene.marks.at(-1)?.id;
    for (const [column, mark] of scene.marks.entries()) this.#showMark(mark, column, stop, scene);
    this.#showTime(scene);
    if (isLonger && wasAtEnd) this.#scroll.scrollLeft = this.#scroll.scrollWidth;
  }

  get #focused(): string | undefined {
    return this.#markOf(document.activeElement)?.id;
  }

  #showLane({ member, name, bannable, isBanned, isTrusted }: Lane, index: number, scene: Scene): void {
    const row = this.#rows.get(member) ?? this.#makeLane(member);
    if (this.#lanes.children[index] !== row.lane) this.#lanes.insertBefore(row.lane, this.#lanes.children[index] ?? null);
    if (this.#labels.children[index] !== row.label) this.#labels.insertBefore(row.label, this.#labels.children[index] ?? null);
    say(row.name, name);
    row.name.disabled = !bannable;
    row.name.setAttribute("aria-label", !bannable ? name : isTrusted ? `${name} is trusted: look at it` : `Trust ${name}`);
    row.name.setAttribute("aria-pressed", String(scene.trusting === member));
    row.label.dataset.banned = String(isBanned);
    row.label.dataset.trusted = String(isTrusted);
    row.lane.setAttribute("aria-label", `Changes by ${name}`);
    row.ban.hidden = !bannable;
    say(row.ban, isBanned ? "Banned" : "Ban");
    row.ban.setAttribute("aria-label", isBanned ? `${name} is banned: look at it` : `Ban ${name}`);
    row.ban.setAttribute("aria-pressed", String(scene.banning === member));
  }

  #makeLane(member: string): Row {
    const [label, lane] = [element("div", "strip-label"), element("ol", "lane")];
    const name = button("strip-name", "", () => this.#listener.trust(member));
    const ban = button("strip-ban", "", () => this.#listener.ban(member));
    label.append(name, ban);
    const made = { label, name, ban, lane };
    this.#rows.set(member, made);
    return made;
  }

  #showMark(mark: Mark, column: number, stop: string | undefined, scene: Scene): void {
    const lane = this.#rows.get(mark.member)?.lane;
    if (!lane) return;
    let made = this.#buttons.get(mark.id);
    if (!made) {
      made = button("mark", "", () => {
        const now = this.#marks.find(({ id }) => id === mark.id);
        if (now) this.#listener.choose(now);
      });
      made.dataset.id = mark.id;
      this.#buttons.set(mark.id, made);
      const item = element("li");
      item.append(made);
      lane.append(item);
    }
    const item = made.parentElement as HTMLElement;
    item.style.gridColumn = String(column + 1);
    made.dataset.status = mark.status;
    made.dataset.kind = mark.words.length > 0 ? "word" : "work";
    made.dataset.later = String(scene.time !== undefined && mark.to > scene.time);
    made.tabIndex = mark.id === stop ? 0 : -1;
    made.setAttribute("aria-pressed", String(mark.id === scene.chosen));
    made.setAttribute("aria-label", scene.label(mark));
  }

  #showTime({ marks, time, clock }: Scene): void {
    const last = Math.max(0, marks.length - 1);
    const at = time === undefined ? last : Math.max(0, marks.filter(({ to }) => to <= time).length - 1);
    this.#scroll.toggleAttribute("data-past", time !== undefined);
    this.#scroll.style.setProperty("--at", String(at));
    this.#slider.max = String(last);
    this.#slider.value = String(at);
    this.#slider.disabled = marks.length < 2;
    const words = time === undefined ? "now" : clock(time);
    this.#slider.setAttribute("aria-valuetext", words);
    say(this.#time, words);
    const ticks = marks.flatMap(({ words }, column) => (words.length > 0 ? [column + 1] : []));
    if (this.#ticks.dataset.at === ticks.join()) return;
    this.#ticks.dataset.at = ticks.join();
    this.#ticks.replaceChildren(
      ...ticks.map((column) => {
        const tick = element("i");
        tick.style.gridColumn = String(column);
        return tick;
      }),
    );
  }

  /** Left and right go from mark to mark in the order of time, up and down to the nearest one of the next lane. */
  #move(event: KeyboardEvent): void {
    const at = this.#marks.findIndex(({ id }) => id === this.#focused);
    const mark = this.#marks[at];
    if (!mark) return;
    const last = this.#marks.length - 1;
    const steps: Record<string, () => number> = {
      ArrowLeft: () => Math.max(0, at - 1),
      ArrowRight: () => Math.min(last, at + 1),
      ArrowUp: () => this.#across(mark, at, -1),
      ArrowDown: () => this.#across(mark, at, 1),
      Home: () => 0,
      End: () => last,
    };
    const to = this.#marks[steps[event.key]?.() ?? -1];
    if (!to) return;
    event.preventDefault();
    this.focus(to.id);
  }

  #across(mark: Mark, at: number, step: number): number {
    const members = [...this.#lanes.children].map((lane) => [...this.#rows].find(([, row]) => row.lane === lane)?.[0]);
    for (let lane = members.indexOf(mark.member) + step; lane >= 0 && lane < members.length; lane += step) {
      const there = this.#marks.flatMap(({ member }, index) => (member === members[lane] ? [index] : []));
      if (there.length > 0) return there.reduce((a, b) => (Math.abs(b - at) < Math.abs(a - at) ? b : a));
    }
    return at;
  }

  #markOf(target: EventTarget | null): Mark | undefined {
    const id = target instanceof Element ? target.closest<HTMLElement>(".mark")?.dataset.id : undefined;
    return this.#marks.find((mark) => mark.id === id);
  }
}

/** Closer to the end than this, the strip follows what is new. */
const NEAR_PX = 60;
