/**
 * The drawer "what can be proven": blocks that the three certify, a changeset that is proven to somebody outside, before and after its
 * words are erased, and somebody who signs two stories.
 *
 * Invariant: what is green was checked by a worker that has the proof alone: see `checker.ts`.
 */
import type { Block, Proof, Space } from "stemma";
import { Aside } from "./aside.ts";
import type { Answer, Question } from "./checker.ts";
import { element, say } from "./dom.ts";
import { messageOf } from "./pane.ts";
import { signTwice } from "./twins.ts";

/** What it is told of the page. */
export interface AuditPage {
  /** The replicas of this page: the owner's first. */
  spaces(): readonly Space[];
  /** Whoever acts. */
  acting(): Space | undefined;
  nameOf(member: string): string;
}

/** The drawer in `element`, opened and closed by `opener`. */
export class AuditDrawer {
  readonly #element: HTMLElement;
  readonly #page: AuditPage;
  readonly #worker = new Worker(new URL("./checker.ts", import.meta.url), { type: "module" });
  #asked = Promise.resolve();
  #blocks: readonly Block[] = [];
  #chosen: string | undefined;
  /** The proof that was shown last. */
  #proof: Proof | undefined;
  #timer = 0;
  #isBusy = false;

  constructor(element: HTMLElement, opener: HTMLElement, page: AuditPage) {
    this.#element = element;
    this.#page = page;
    element.innerHTML = MARKUP;
    new Aside(element, opener, (open) => {
      clearInterval(this.#timer);
      if (!open) return;
      this.#timer = window.setInterval(() => void this.#refresh(), REFRESH_MS);
      void this.#refresh();
    });
    this.#on("#blocks-begin", () => this.#begin());
    this.#on("#blocks-check", () => this.#check());
    this.#on("#proof-make", () => this.#prove());
    this.#on("#proof-redact", () => this.#redact());
    this.#on("#fork-make", () => this.#fork());
  }

  /** Draws the blocks that are there now. */
  async #refresh(): Promise<void> {
    const [space] = this.#page.spaces();
    if (!space) return;
    this.#part("#blocks-begin").hidden = space.audit.validators.length > 0;
    this.#part("#blocks-check").hidden = space.audit.validators.length === 0;
    const blocks = await space.audit.blocks();
    const latest = blocks.at(-1)?.id;
    if (latest === this.#blocks.at(-1)?.id && this.#part("#blocks").childElementCount > 0) return;
    this.#blocks = blocks;
    this.#chosen ??= blocks.at(-1)?.operations.at(-1)?.id;
    this.#draw();
  }

  #draw(): void {
    const shown = this.#blocks.slice(-LISTED_MAX).reverse();
    this.#part("#blocks").replaceChildren(...shown.map((block) => this.#line(block)));
    this.#part("#blocks-none").hidden = shown.length > 0;
    (this.#part("#proof-make") as HTMLButtonElement).disabled = this.#chosen === undefined;
    say(this.#part("#proof-of"), this.#chosen ? `Changeset ${this.#chosen.slice(0, 8)}` : "Choose a changeset of a block");
  }

  #line(block: Block): HTMLElement {
    const item = element("li", "block");
    const head = element("p", "block-head");
    head.append(
      element("b", "", `Block ${block.height}`),
      element("span", "", `${block.id.slice(0, 8)} after ${block.previous.slice(0, 8)}`),
      element("span", "", `${this.#page.nameOf(block.proposer)} proposed, ${block.certificate.length} signed`),
      element("span", "", new Date(block.time).toLocaleTimeString("en-GB")),
    );
    item.append(head);
    for (const { id, member, message, ops, time } of block.operations) {
      const button = element("button", "entry");
      button.setAttribute("type", "button");
      button.setAttribute("aria-pressed", String(id === this.#chosen));
      const what = message ?? `${ops} ${ops === 1 ? "op" : "ops"}`;
      button.append(element("b", "", this.#page.nameOf(member)), element("span", "", what), element("span", "", id.slice(0, 8)), element("span", "", new Date(time).toLocaleTimeString("en-GB")));
      button.addEventListener("click", () => {
        this.#chosen = id;
        this.#proof = undefined;
        this.#part("#proof-result").replaceChildren();
        this.#part("#proof-redact").hidden = true;
        this.#draw();
      });
      item.append(button);
    }
    return item;
  }

  /** The owner asks everybody on the page to certify, and they do. */
  async #begin(): Promise<void> {
    const spaces = this.#page.spaces();
    const [owner] = spaces;
    if (!owner) return;
    owner.audit.configure({ validators: spaces.map(({ me }) => me), blockTimeMs: 1_000 });
    for (const space of spaces) space.audit.validate();
    await this.#refresh();
  }

  async #check(): Promise<void> {
    const [space] = this.#page.spaces();
    if (!space) return;
    const { blocks, fault } = await space.audit.verify();
    say(this.#part("#blocks-verdict"), fault ? `Block ${fault.height}: ${fault.reason}` : `${blocks} ${blocks === 1 ? "block" : "blocks"}, worked out once more: all right`);
  }

  async #prove(): Promise<void> {
    const [space] = this.#page.spaces();
    if (!space || !this.#chosen) return;
    const [by] = space.audit.attestedBy(this.#chosen);
    this.#proof = await space.audit.proof(this.#chosen, by ? { attestedBy: by } : {});
    await this.#judge("Checked from outside");
    this.#part("#proof-redact").hidden = false;
  }

  /** Erases its words, and has the proof from before looked at again. */
  async #redact(): Promise<void> {
    const space = this.#page.acting();
    if (!space || !this.#proof) return;
    const { also } = space.redact(this.#proof.changeset, { reason: "shown on this page" });
    const more = also.length > 0 ? ` With it went ${also.length} more of the same changeset.` : "";
    await this.#judge("Its words are gone, in every copy and at the relay", more);
    this.#part("#proof-redact").hidden = true;
  }

  async #judge(title: string, more = ""): Promise<void> {
    const proof = JSON.stringify(this.#proof);
    const { proven, failed, loaded } = await this.#ask({ proof });
    const result = this.#part("#proof-result");
    if (!proven) return result.replaceChildren(verdict(false, `${title}. The proof does not hold`, failed ?? ""));
    const engines = loaded.filter((address) => address.includes(".wasm")).length;
    const vouched = proven.attestedBy ? `, as ${this.#page.nameOf(proven.attestedBy)} signed` : "";
    result.append(
      verdict(
        true,
        `${title}. The proof holds.${more}`,
        `Changeset ${proven.changeset.slice(0, 8)} is number ${proven.seq} in the chain of ${proven.actor.slice(0, 8)}, and one of ${proven.size} under the root ${proven.root.slice(0, 8)}${vouched}.`,
        `${proof.length.toLocaleString("en")} bytes of JSON, looked at by a worker with ${engines === 0 ? "no engine" : "an engine"}, no key and no copy: ${loaded.length} ${loaded.length === 1 ? "file" : "files"} of script.`,
      ),
    );
  }

  async #fork(): Promise<void> {
    const { evidence, reads, state } = await signTwice();
    const { contradiction, failed } = await this.#ask({ evidence: JSON.stringify(evidence.proof) });
    const [actor = ""] = evidence.actors;
    const ids = evidence.changesets.map((id) => id.slice(0, 8)).join(" and ");
    this.#part("#fork-result").replaceChildren(
      verdict(
        contradiction !== undefined,
        contradiction ? `Caught: ${evidence.kind}` : `The evidence does not hold: ${failed ?? ""}`,
        `Actor ${actor.slice(0, 8)} signed ${ids} for one place of its chain. Evidence ${evidence.id.slice(0, 8)}, the same for whoever finds it, checked without engine or key.`,
        `State: ${state}. The others read: ${reads}. Whoever administers the space settles it with audit.resolve, if it was a restored disk and no lie.`,
      ),
    );
  }

  /** One question at a time. */
  #ask(question: Question): Promise<Answer> {
    const answer = this.#asked.then(
      () =>
        new Promise<Answer>((resolve, reject) => {
          this.#worker.onmessage = ({ data }: MessageEvent<Answer>) => resolve(data);
          this.#worker.onerror = () => reject(new Error("the worker that checks proofs does not start"));
          this.#worker.postMessage(question);
        }),
    );
    this.#asked = answer.then(
      () => undefined,
      () => undefined,
    );
    return answer;
  }

  #on(selector: string, act: () => Promise<void>): void {
    this.#part(selector).addEventListener("click", async () => {
      if (this.#isBusy) return;
      this.#isBusy = true; // a button that is disabled would lose the focus
      say(this.#part("#audit-trouble"), "");
      await act().catch((error: unknown) => say(this.#part("#audit-trouble"), messageOf(error)));
      this.#isBusy = false;
    });
  }

  #part(selector: string): HTMLElement {
    return this.#element.querySelector(selector) as HTMLElement;
  }
}

function verdict(holds: boolean, title: string, ...lines: string[]): HTMLElement {
  const box = element("div", holds ? "verdict holds" : "verdict fails");
  box.append(element("p", "verdict-title", `${holds ? "✓" : "✗"} ${title}`), ...lines.map((line) => element("p", "", line)));
  return box;
}

const MARKUP = `
  <header class="drawer-head">
    <h2 id="audit-title">What can be proven</h2>
    <button type="button" class="icon drawer-close" aria-label="Close">×</button>
  </header>
  <p class="drawer-note audit-note">Nothing waits for any of this, and none of it decides what is true: it shows who signed what, and that it was not changed since. <span id="audit-trouble" role="status"></span></p>
  <div class="audit-body">
    <section class="audit-part" aria-labelledby="blocks-title">
      <h3 id="blocks-title">Blocks</h3>
      <p>What two thirds of the validators, and one more, have signed is final: nobody can say later that it was something else.</p>
      <p class="audit-buttons"><button type="button" class="button small" id="blocks-begin">Let everybody here certify</button><button type="button" class="button small" id="blocks-check" hidden>Check the whole chain</button></p>
      <p id="blocks-verdict" role="status"></p>
      <p id="blocks-none">No block yet.</p>
      <ul id="blocks" aria-label="Blocks, newest first"></ul>
    </section>
    <section class="audit-part" aria-labelledby="proof-title">
      <h3 id="proof-title">A proof</h3>
      <p>For somebody who has nothing of this space. <span id="proof-of">Choose a changeset of a block</span>.</p>
      <p class="audit-buttons"><button type="button" class="button small" id="proof-make" disabled>Prove it</button><button type="button" class="button small quiet" id="proof-redact" hidden>Erase its words</button></p>
      <div id="proof-result" role="status"></div>
    </section>
    <section class="audit-part" aria-labelledby="fork-title">
      <h3 id="fork-title">Two stories</h3>
      <p>In a little space of its own somebody writes, goes back to a backup of the disk, and writes something else in the same place.</p>
      <p class="audit-buttons"><button type="button" class="button small" id="fork-make">Sign two stories</button></p>
      <div id="fork-result" role="status"></div>
    </section>
  </div>`;
const LISTED_MAX = 50;
const REFRESH_MS = 1_000;
