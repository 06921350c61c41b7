/**
 * A pane: one replica with its switch, badges, editor and table, and the glass that is laid over these two.
 *
 * Invariant: a badge says only what was confirmed: "saved here" after the disk, "saved at relay" after the relay's
 * answer, "2 of 3 agree" after as many equal state hashes. Anything in between shows as in between.
 */
import type { Space } from "stemma";
import type { Sight } from "./agreement.ts";
import { editor, saved } from "./demo.ts";
import { say } from "./dom.ts";
import { Glass } from "./glass.ts";
import { Money, type MoneyListener } from "./money.ts";
import { type Fingerprint, Parity } from "./parity.ts";
import { FactsTable } from "./table.ts";

type Tone = "good" | "wait" | "bad";

/** Told when anything about a pane is otherwise; `moved` if what it knows or shows is. */
export type PaneListener = (pane: Pane, moved: boolean) => void;

/** Shows `space` in `element` until the page goes. */
export class Pane {
  readonly space: Space;
  readonly name: string;
  readonly glass: Glass;
  readonly #element: HTMLElement;
  readonly #money: Money;
  readonly #relay: string;
  readonly #parity: Parity;
  #online = true;
  #local: "saving" | "saved" | "failed" = "saving";
  #atRelay = false;
  #wrote = false;
  #settling = 0;
  #settleTimer = 0;
  #sayTimer = 0;
  #measureTimer = 0;
  #hash = "";
  #heads = "";
  #closed = false;
  readonly #changed: PaneListener;

  constructor(element: HTMLElement, name: string, space: Space, relay: string, changed: PaneListener, around: Omit<MoneyListener, "sign">) {
    this.#changed = changed;
    this.#element = element;
    this.name = name;
    this.space = space;
    this.#relay = relay;
    const template = document.getElementById("pane-template") as HTMLTemplateElement;
    element.replaceChildren(template.content.cloneNode(true));
    element.removeAttribute("aria-busy");
    element.setAttribute("aria-label", `Replica of ${name}`);
    this.#part(".pane-name").textContent = name;
    this.#part(".switch").addEventListener("click", () => this.#toggle());
    this.#edit(around.nameOf);
    new FactsTable(element, space, (change) => this.#write(change));
    this.#money = new Money(element, space, { ...around, sign: (work) => void this.sign(work) });
    this.glass = new Glass(element);
    this.#parity = new Parity(space.id, () => {
      this.#money.render(); // somebody may have a name now
      this.#render();
      this.#changed(this, false);
    });
    this.#listen();
    this.#settle();
    this.#measure();
  }

  get status(): Space["sync"]["status"] {
    return this.space.sync.status;
  }

  get online(): boolean {
    return this.#online;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** What it shows, to be compared. */
  get sight(): Sight {
    return { name: this.name, heads: this.#heads, hash: this.#hash };
  }

  /** What another member is called in this browser. */
  nameOf(member: string): string | undefined {
    return this.#parity.nameOf(member);
  }

  /** Looks soon whether anything is otherwise: what arrives and does not count is not told by any event. */
  look(): void {
    if (this.#closed) return;
    clearTimeout(this.#measureTimer);
    this.#measureTimer = window.setTimeout(() => this.#measure(), MEASURE_AFTER_MS);
  }

  /** Draws the money anew: somebody has another name, or came in. */
  showMoney(): void {
    if (!this.#closed) this.#money.render();
  }

  focusPayment(entry: string): void {
    this.#money.focus(entry);
  }

  setActing(isActing: boolean): void {
    this.#element.toggleAttribute("data-acting", isActing);
  }

  /** Runs what signs something, says so, and follows it to the disk and the relay. `undefined` if it failed. */
  sign<T>(work: () => T): T | undefined {
    try {
      const done = work();
      this.notice("");
      this.#edited();
      return done;
    } catch (error) {
      this.notice(messageOf(error));
      return undefined;
    }
  }

  /** Says what went wrong; nothing, if that is over. */
  notice(message: string): void {
    const notice = this.#part(".pane-notice");
    notice.textContent = message;
    notice.hidden = message === "";
    this.#render();
  }

  /** Closes the space; what the pane shows stays as it is. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of [this.#settleTimer, this.#sayTimer, this.#measureTimer]) clearTimeout(timer);
    await this.space.close();
  }

  /** What the others wrote is in their colours, what this one wrote is not. */
  #edit(nameOf: (member: string) => string): void {
    const own = HUES[this.name];
    const hue = (member: string) => (member === this.space.me ? null : HUES[nameOf(member)]);
    editor(this.space, this.#part(".editor"), { name: this.name, ...(own !== undefined && { hue: own }) }, { label: nameOf, hue });
  }

  #listen(): void {
    this.space.subscribe((changes) => {
      if (changes.some((change) => change.source === "local")) this.#edited();
      this.look();
    });
    // A word of policy may change nothing that shows.
    this.space.on("policy", () => this.look());
    this.space.on("sync", () => {
      this.#measure();
    });
    this.space.on("storage", (problem) => this.notice(`This browser does not store reliably: ${problem.message}`));
    this.space.on("error", (problem) => this.notice(problem.message));
  }

  #edited(): void {
    if (this.#closed) return;
    this.#local = "saving";
    this.#atRelay = false;
    this.#settling++;
    clearTimeout(this.#settleTimer);
    this.#settleTimer = window.setTimeout(() => this.#settle(), SETTLE_AFTER_MS);
    this.#render();
  }

  /** Seals what is open and follows it to the disk and to the relay. A newer edit makes the answers of this round void. */
  #settle(): void {
    const round = ++this.#settling;
    this.#wrote = this.space.flush().id !== "";
    const follow = async (tier: "local" | "relay", reached: () => void) => {
      await saved(this.space, tier);
      if (round !== this.#settling || this.#closed) return;
      reached();
      this.#render();
      this.#changed(this, false);
    };
    follow("local", () => (this.#local = "saved")).catch((error: unknown) => {
      this.#local = "failed";
      this.notice(`Not saved in this browser: ${messageOf(error)}`);
    });
    follow("relay", () => (this.#atRelay = true)).catch(() => this.#render());
  }

  #toggle(): void {
    this.#online = !this.#online;
    if (this.#online) this.space.sync.connect(this.#relay);
    else this.space.sync.disconnect();
    this.#render();
    this.#changed(this, false);
  }

  #write(change: () => void): void {
    this.sign(() => this.space.transact(change));
  }

  #measure(): void {
    if (this.#closed) return;
    const fingerprint: Fingerprint = { heads: this.space.heads.join(" "), hash: this.space.stateHash(), member: this.space.me, name: this.name };
    const moved = fingerprint.heads !== this.#heads || fingerprint.hash !== this.#hash;
    [this.#heads, this.#hash] = [fingerprint.heads, fingerprint.hash];
    this.#parity.announce(fingerprint);
    this.#money.render();
    this.#render();
    this.#changed(this, moved);
  }

  #render(): void {
    if (this.#closed) return;
    const control = this.#part(".switch");
    control.setAttribute("aria-checked", String(this.#online));
    control.setAttribute("aria-label", `${this.name}: online`);
    this.#part(".switch-word").textContent = this.#online ? "Online" : "Offline";
    this.#element.dataset.online = String(this.#online);
    this.#badge("local", ...this.#localBadge());
    this.#badge("relay", ...this.#relayBadge());
    this.#badge("parity", ...this.#parityBadge());
    clearTimeout(this.#sayTimer);
    this.#sayTimer = window.setTimeout(() => this.#say(), SAY_AFTER_MS);
  }

  #localBadge(): [Tone, string, string] {
    if (this.#local === "failed") return ["bad", "not saved", "see below"];
    return this.#local === "saved" ? ["good", "saved here", "on this disk"] : ["wait", "saving", "to this disk"];
  }

  #relayBadge(): [Tone, string, string] {
    if (this.status === "denied") return ["bad", "not let in", "by the relay"];
    const line = this.#online ? LINE[this.status] : "offline";
    if (!this.#wrote) return ["good", "nothing yet", line];
    if (this.#atRelay) return ["good", "saved at relay", line];
    const pending = this.space.sync.pending;
    return ["wait", pending > 0 ? `${pending} not sent` : "not sent", line];
  }

  #parityBadge(): [Tone, string, string] {
    const { all, same } = this.#parity.verdict;
    const hash = this.#hash.slice(0, 8);
    return all === 1 ? ["wait", "alone", hash] : [same === all ? "good" : "wait", `${same} of ${all} agree`, hash];
  }

  #badge(kind: string, tone: Tone, title: string, detail: string): void {
    const badge = this.#part(`[data-badge=${kind}]`);
    badge.dataset.tone = tone;
    for (const [index, words] of [title, detail].entries()) {
      const child = badge.children[index];
      if (child) say(child, words);
    }
  }

  /** One quiet sentence when things have come to rest, instead of three flickering badges. */
  #say(): void {
    const words = [...this.#element.querySelectorAll(".badge b")].map((badge) => badge.textContent);
    const sentence = `${this.name}: ${words.join(", ")}`;
    say(this.#part(".pane-said"), sentence);
  }

  #part(selector: string): HTMLElement {
    return this.#element.querySelector(selector) as HTMLElement;
  }
}

/** Fills a pane that could not be opened. */
export function showFailure(element: HTMLElement, message: string, advice: string): void {
  element.removeAttribute("aria-busy");
  const box = document.createElement("div");
  box.className = "pane-failed";
  box.setAttribute("role", "alert");
  const [head, text] = [document.createElement("h2"), document.createElement("p")];
  head.textContent = message;
  text.textContent = advice;
  box.append(head, text);
  element.replaceChildren(box);
}

/** What an error says to a person. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Colours of those who are here from the start, told apart at a glance. Guests have what follows from their ids. */
const HUES: { readonly [name: string]: number } = { Ada: 265, Ben: 150, Mallory: 30 };

const LINE: Record<Space["sync"]["status"], string> = {
  offline: "offline",
  connecting: "connecting",
  "catching-up": "catching up",
  live: "connected",
  denied: "refused",
  reset: "starting over",
};
const MEASURE_AFTER_MS = 60;
const SAY_AFTER_MS = 1500;
/** After the last keystroke, so that a burst of typing is one changeset. */
const SETTLE_AFTER_MS = 350;
