/** Elements made by hand: for what a page draws again and again, where markup in HTML would not do. */

/** An element with a class and words. */
export function element(tag: string, className = "", words = ""): HTMLElement {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (words) made.textContent = words;
  return made;
}

/** A button that does something. */
export function button(className: string, words: string, press: () => void): HTMLButtonElement {
  const made = document.createElement("button");
  made.type = "button";
  made.className = className;
  made.textContent = words;
  made.addEventListener("click", press);
  return made;
}

/** Changes the words only if they are others: a live region is read aloud again otherwise. */
export function say(element: Element, words: string): void {
  if (element.textContent !== words) element.textContent = words;
}

export function byId<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}
