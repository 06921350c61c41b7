/**
 * The card below the strip: what is pointed at, what was chosen and would happen, and the buttons for it. Of fixed height.
 *
 * Invariant: what is only pointed at is not read aloud, for its own label is; what was chosen or done is.
 */
import type { Scope } from "./choice.ts";
import { byId, say } from "./dom.ts";

export interface CardState {
  readonly title: string;
  readonly words: string;
  /** Only pointed at. */
  readonly isHint?: boolean;
  /** What the button that signs something says. */
  readonly act?: string;
  readonly canUndo?: boolean;
  /** What the button that ends looking says. */
  readonly back?: string;
  readonly dependents?: { readonly words: string; readonly on: boolean };
  /** How much somebody's words weigh. */
  readonly trust?: number;
  readonly scope?: { readonly value: Scope; readonly since: string | undefined };
  readonly policy?: "now" | "then";
}

export interface CardListener {
  act(): void;
  undo(): void;
  back(): void;
  dependents(on: boolean): void;
  scope(scope: Scope): void;
  trust(weight: number): void;
  policy(policy: "now" | "then"): void;
}

export class Card {
  readonly #root = byId("card");
  readonly #act = byId<HTMLButtonElement>("card-act");
  readonly #undo = byId<HTMLButtonElement>("card-undo");
  readonly #back = byId<HTMLButtonElement>("card-back");
  readonly #along = byId<HTMLInputElement>("card-along");
  /** Where the focus goes when the button that had it goes. */
  readonly #leave: () => void;

  constructor(listener: CardListener, leave: () => void) {
    this.#leave = leave;
    this.#act.addEventListener("click", () => listener.act());
    this.#undo.addEventListener("click", () => listener.undo());
    this.#back.addEventListener("click", () => listener.back());
    this.#along.addEventListener("change", () => listener.dependents(this.#along.checked));
    const choice = (event: Event) => (event.target as HTMLInputElement).value;
    byId("card-scope").addEventListener("change", (event) => listener.scope(choice(event) as Scope));
    byId("card-trust").addEventListener("change", (event) => listener.trust(Number(choice(event))));
    byId("card-policy").addEventListener("change", (event) => listener.policy(choice(event) as "now" | "then"));
  }

  show({ title, words, isHint = false, act, canUndo = false, back, dependents, trust, scope, policy }: CardState): void {
    const focused = this.#root.contains(document.activeElement) ? (document.activeElement as HTMLElement) : undefined;
    this.#root.dataset.busy = String(act !== undefined || back !== undefined || canUndo);
    say(byId("card-title"), title);
    byId("card-hint").hidden = !isHint;
    byId("card-said").hidden = isHint;
    say(byId(isHint ? "card-hint" : "card-said"), words);
    this.#act.hidden = act === undefined;
    if (act !== undefined) say(this.#act, act);
    this.#undo.hidden = !canUndo;
    this.#back.hidden = back === undefined;
    if (back !== undefined) say(this.#back, back);
    byId("card-along-line").hidden = dependents === undefined;
    say(byId("card-along-words"), dependents?.words ?? "");
    this.#along.checked = dependents?.on ?? false;
    byId("card-scope").hidden = scope === undefined;
    if (scope) this.#showScope(scope.value, scope.since);
    byId("card-trust").hidden = trust === undefined;
    if (trust !== undefined) byId<HTMLInputElement>(`trust-${Math.min(trust, 2)}`).checked = true;
    byId("card-policy").hidden = policy === undefined;
    if (policy) byId<HTMLInputElement>(`policy-${policy}`).checked = true;
    if (!focused || focused.checkVisibility()) return;
    const next = [this.#undo, this.#act, this.#back].find((control) => !control.hidden);
    if (next) next.focus();
    else this.#leave();
  }

  #showScope(value: Scope, since: string | undefined): void {
    byId<HTMLInputElement>(`scope-${value}`).checked = true;
    byId<HTMLInputElement>("scope-since").disabled = since === undefined;
    say(byId("scope-since-words"), since === undefined ? "since a mark of theirs" : `since ${since}`);
  }
}
