/**
 * The shared expenses of a pane: what everybody stands at, every payment with what is said about it, and a form for one's own.
 *
 * Invariant: all of it is read from the ledger of this replica, so three panes that believe differently show unlike balances, each with its cause.
 */
import { type Ledger, type LedgerEntry, type Readable, type Space, StemmaError } from "stemma";
import { expenses } from "./demo.ts";
import { button, element } from "./dom.ts";

/** What the page around it does. */
export interface MoneyListener {
  nameOf(member: string): string;
  /** Everybody who can be paid, oneself included. */
  people(): readonly string[];
  sign(work: () => unknown): void;
  /** Shows what it would be like if a payment did not count, or did again. */
  consider(entry: string): void;
}

export class Money {
  readonly #space: Space;
  readonly #ledger: Ledger;
  readonly #listener: MoneyListener;
  readonly #balances: HTMLElement;
  readonly #entries: HTMLElement;
  readonly #to: HTMLSelectElement;
  #shown = "";
  /** The payment that is being disputed, while its reason is typed. */
  #disputed: string | undefined;

  constructor(pane: HTMLElement, space: Space, listener: MoneyListener) {
    this.#space = space;
    this.#ledger = expenses(space);
    this.#listener = listener;
    const part = <T extends HTMLElement>(selector: string) => pane.querySelector(selector) as T;
    this.#balances = part(".balances");
    this.#entries = part(".payments");
    const form = part<HTMLFormElement>(".pay");
    this.#to = form.elements.namedItem("to") as HTMLSelectElement;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#pay(form);
    });
    // A field that was found wrong keeps its form from being sent until that is taken back.
    const amount = form.elements.namedItem("amount") as HTMLInputElement;
    amount.addEventListener("input", () => amount.setCustomValidity(""));
    this.render();
  }

  /** Puts the focus on a payment. */
  focus(entry: string): void {
    this.#entries.querySelector<HTMLElement>(`[data-key="look ${entry}"]`)?.focus({ preventScroll: true });
  }

  /** Draws what is otherwise than before. */
  render(): void {
    const people = this.#listener.people();
    const others = people.filter((member) => member !== this.#space.me);
    const entries = [...this.#ledger.entries({ limit: LISTED_MAX })].reverse();
    const shown = [people.map((member) => [this.#listener.nameOf(member), `${this.#ledger.balance(member)}`]), entries.map(fingerprint), this.#disputed].join();
    if (shown === this.#shown) return;
    this.#shown = shown;
    const chosen = this.#to.value;
    this.#to.replaceChildren(...others.map((member) => new Option(this.#listener.nameOf(member), member, false, member === chosen)));
    this.#balances.replaceChildren(...balances(people, this.#listener.nameOf, this.#ledger));
    const focused = document.activeElement instanceof HTMLElement && this.#entries.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
    this.#entries.replaceChildren(...entries.map((entry) => this.#row(entry)));
    if (entries.length === 0) this.#entries.append(element("li", "payments-none", "Nobody paid anything yet."));
    if (focused) this.#entries.querySelector<HTMLElement>(`[data-key="${focused}"]`)?.focus();
  }

  #row(entry: LedgerEntry): HTMLElement {
    const row = payment(entry, this.#listener.nameOf);
    const buttons = element("p", "payment-buttons");
    const add = (what: string, words: string, press: () => void) => {
      const made = button("link", words, press);
      made.dataset.key = `${what} ${entry.id}`;
      made.setAttribute("aria-label", `${words}: ${described(entry, this.#listener.nameOf)}`);
      buttons.append(made);
    };
    if (entry.status === "counts") add("look", "Look without it", () => this.#listener.consider(entry.id));
    if (entry.status === "hidden") add("look", "Look with it", () => this.#listener.consider(entry.id));
    const isOpen = entry.disputes.every(({ member }) => member !== this.#space.me);
    if (isOpen && entry.status === "counts" && this.#disputed !== entry.id) add("dispute", "Dispute", () => this.#ask(entry.id));
    const isMine = entry.to === this.#space.me && entry.status === "counts" && entry.reverses === undefined && entry.reversed === undefined;
    if (isMine) add("back", "Give it back", () => this.#listener.sign(() => this.#ledger.reverse(entry.id, { memo: "given back" })));
    row.append(this.#disputed === entry.id ? this.#reason(entry) : buttons);
    return row;
  }

  #ask(entry: string | undefined): void {
    this.#disputed = entry;
    this.render();
    this.#entries.querySelector<HTMLElement>(".dispute input")?.focus();
  }

  #reason(entry: LedgerEntry): HTMLElement {
    const form = element("form", "dispute") as HTMLFormElement;
    const field = element("input") as HTMLInputElement;
    [field.required, field.maxLength, field.autocomplete, field.placeholder] = [true, 200, "off", "What is wrong with it?"];
    field.setAttribute("aria-label", `What is wrong with ${described(entry, this.#listener.nameOf)}`);
    const say = element("button", "button small", "Say so");
    form.append(field, say);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#listener.sign(() => this.#ledger.dispute(entry.id, { reason: field.value }));
      this.#ask(undefined);
    });
    form.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#ask(undefined);
    });
    return form;
  }

  #pay(form: HTMLFormElement): void {
    const value = (name: string) => (form.elements.namedItem(name) as HTMLInputElement).value.trim();
    const field = form.elements.namedItem("amount") as HTMLInputElement;
    const amount = cents(value("amount"));
    if (amount === undefined) {
      field.setCustomValidity("An amount above zero, like 12.50");
      field.reportValidity();
      return;
    }
    const to = value("to");
    this.#listener.sign(() => {
      try {
        this.#ledger.transfer({ to, amount, memo: value("memo") });
      } catch (error) {
        const isUnknown = error instanceof StemmaError && error.argument === "to";
        throw isUnknown ? new Error(`${this.#listener.nameOf(to)} is not known here: who wrote nothing yet has no account`) : error;
      }
    });
    for (const name of ["amount", "memo"]) (form.elements.namedItem(name) as HTMLInputElement).value = "";
    field.focus();
  }
}

/** How a view differs from the space in what everybody stands at, and in which payments count. */
export function moneyDifference(space: Space, view: Readable, people: readonly string[], nameOf: MoneyListener["nameOf"]): HTMLElement[] {
  const [now, then] = [expenses(space), expenses(view)];
  const list = element("ul", "balances");
  list.append(...balances(people, nameOf, now, then));
  const payments = element("ul", "payments");
  const before = new Map(now.entries({ limit: LISTED_MAX }).map((entry) => [entry.id, entry]));
  const after = new Map(then.entries({ limit: LISTED_MAX }).map((entry) => [entry.id, entry]));
  for (const [id, entry] of [...new Map([...before, ...after])].reverse()) {
    const [was, is] = [before, after].map((entries) => entries.get(id)?.status === "counts");
    const row = payment({ ...entry, status: after.get(id)?.status ?? "counts" }, nameOf);
    const head = row.firstElementChild as HTMLElement;
    if (was !== is) head.replaceChildren(wrapped(is ? "ins" : "del", head));
    payments.append(row);
  }
  if (payments.childElementCount === 0) payments.append(element("li", "payments-none", "Nobody paid anything yet."));
  return [list, payments];
}

function wrapped(tag: "ins" | "del", head: HTMLElement): HTMLElement {
  const made = element(tag);
  made.append(...head.childNodes);
  return made;
}

function balances(people: readonly string[], nameOf: MoneyListener["nameOf"], now: Ledger, then = now): HTMLElement[] {
  return people.map((member) => {
    const row = element("li");
    const [before, after] = [now.balance(member), then.balance(member)];
    const amount = element("span", after < 0n ? "amount owes" : "amount");
    if (before === after) amount.append(signed(after));
    else amount.append(element("del", "", signed(before)), " ", element("ins", "", signed(after)));
    row.append(element("span", "", nameOf(member)), amount);
    return row;
  });
}

/** A payment with its state, and with what is said against it. */
function payment(entry: LedgerEntry, nameOf: MoneyListener["nameOf"]): HTMLElement {
  const row = element("li", "payment");
  row.dataset.status = entry.status;
  const head = element("p", "payment-head");
  head.append(element("span", "", described(entry, nameOf)), element("span", "amount", money(entry.amount)));
  row.append(head);
  const state = entry.status !== "counts" ? (STATES[entry.status] ?? "does not count") : entry.reversed !== undefined ? "given back" : "";
  if (state) row.append(element("p", "payment-state", state));
  for (const { member, reason } of entry.disputes) row.append(element("p", "payment-dispute", `Disputed by ${nameOf(member)}: ${reason}`));
  return row;
}

function described({ from, to, memo }: LedgerEntry, nameOf: MoneyListener["nameOf"]): string {
  return `${nameOf(from)} to ${nameOf(to)}${typeof memo === "string" && memo ? `, ${memo}` : ""}`;
}

function fingerprint({ id, status, reversed, disputes, memo }: LedgerEntry): string {
  return `${id} ${status} ${reversed ?? ""} ${disputes.map(({ id }) => id).join(" ")} ${JSON.stringify(memo ?? null)}`;
}

/** Whole cents of what somebody types; `undefined` for anything else. */
export function cents(typed: string): bigint | undefined {
  const [, whole, part = ""] = /^(\d{1,9})(?:[.,](\d{1,2}))?$/.exec(typed) ?? [];
  const amount = whole === undefined ? 0n : BigInt(whole) * 100n + BigInt(part.padEnd(2, "0"));
  return amount > 0n ? amount : undefined;
}

export function money(amount: bigint): string {
  const digits = `${amount < 0n ? -amount : amount}`.padStart(3, "0");
  return `${amount < 0n ? "−" : ""}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

function signed(amount: bigint): string {
  return amount > 0n ? `+${money(amount)}` : money(amount);
}

const LISTED_MAX = 60;
const STATES: Partial<Record<LedgerEntry["status"], string>> = {
  hidden: "does not count here",
  undone: "taken back by who paid",
  void: "gives back what does not count",
  duplicate: "counted once already",
  unsigned: "not signed by who pays",
};
