/** What slides up from the bottom of the page: opened and closed by its button, closed by Escape, one at a time. */

/** `element` with a `.drawer-close` in it. `shown` is called whenever it opens and closes. */
export class Aside {
  static #open: Aside | undefined;
  readonly #element: HTMLElement;
  readonly #opener: HTMLElement;
  readonly #shown: (open: boolean) => void;

  constructor(element: HTMLElement, opener: HTMLElement, shown: (open: boolean) => void) {
    this.#element = element;
    this.#opener = opener;
    this.#shown = shown;
    for (const button of [opener, element.querySelector(".drawer-close")]) button?.addEventListener("click", () => this.toggle());
    element.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.toggle();
    });
  }

  get isOpen(): boolean {
    return Aside.#open === this;
  }

  toggle(): void {
    const open = !this.isOpen;
    if (open) Aside.#open?.toggle();
    Aside.#open = open ? this : undefined;
    this.#element.hidden = !open;
    document.body.classList.toggle("with-drawer", open);
    this.#opener.setAttribute("aria-expanded", String(open));
    this.#shown(open);
    (open ? (this.#element.querySelector(".drawer-close") as HTMLElement) : this.#opener).focus();
  }
}
