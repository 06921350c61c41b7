// A page with two replicas of a text, over a MessageChannel, and an editor or a field on each that wants one.

import assert from "node:assert/strict";
import type { Browser, CDPSession, Page } from "playwright-core";
import { launchBrowser, type Owner, servePages } from "./harness.ts";

/** What stands on a replica: its kind, what it opens with, and the options of the binding. */
export interface Side {
  kind: "codemirror" | "textarea" | "input";
  doc?: string;
  o?: object;
}

export class Editors {
  readonly browser: Browser;
  readonly origin: string;

  private constructor(browser: Browser, origin: string) {
    this.browser = browser;
    this.origin = origin;
  }

  static async start(owner: Owner): Promise<Editors> {
    const browser = await launchBrowser(owner);
    return new Editors(browser, await servePages(owner, { "/pkg/": "pkg", "/modules/": "node_modules", "/": "tests/web/pages" }));
  }

  /** An error that nobody catches in it fails the test, unless there is a list for it. */
  async open(complaints?: string[]): Promise<Page> {
    const page = await (await this.browser.newContext()).newPage();
    page.on("pageerror", (error) => (complaints ? complaints.push(`${error.stack}`) : assert.fail(error)));
    await page.goto(`${this.origin}/editors.html`);
    return page;
  }

  /** A page with `one` and `two`, replicas of a space whose text "t" holds `start`. */
  async page(start: string, sides: { one: Side; two?: Side }): Promise<Page> {
    const page = await this.open();
    await page.evaluate(setUp, { start, sides });
    return page;
  }

  /** The same in a page that has them already, anew. */
  async again(page: Page, start: string, sides: { one: Side; two?: Side }): Promise<void> {
    await page.evaluate(async () => {
      if (!("settle" in globalThis)) return;
      for (const end of [() => view?.destroy(), () => view2?.destroy(), unbind, unbind2]) end?.();
      await Promise.all([one.close(), two.close()]);
      for (const id of ["one", "two"]) document.getElementById(id)?.replaceChildren();
    });
    await page.evaluate(setUp, { start, sides });
  }
}

async function setUp({ start, sides }: { start: string; sides: { one: Side; two?: Side } }): Promise<void> {
  const { open } = await import("stemma");
  const { stemma } = await import("stemma/codemirror");
  const { bindTextarea } = await import("stemma/textarea");
  const { EditorView } = await import("@codemirror/view");
  const { Transaction } = await import("@codemirror/state");
  const name = crypto.randomUUID();
  const one = await open({ name, storage: "memory", init: (space) => space.getText("t").append(start) });
  const two = await open({ name: `${name}-2`, storage: "memory", invite: await one.invite() });
  const { port1, port2 } = new MessageChannel();
  one.sync.attach(port1);
  two.sync.attach(port2);
  const settle = async () => {
    one.flush();
    two.flush();
    while (one.heads.join() !== two.heads.join()) await new Promise((resolve) => setTimeout(resolve, 1));
    await new Promise((resolve) => setTimeout(resolve));
  };
  await settle();
  const inHistory: boolean[] = [];
  const attach = (side: Side, id: string, space: import("stemma").Space) => {
    const parent = document.getElementById(id) as HTMLElement;
    const text = space.getText("t");
    if (side.kind !== "codemirror") {
      const element = parent.appendChild(document.createElement(side.kind));
      element.value = side.doc ?? "";
      return { element, unbind: bindTextarea(element, text, side.o) };
    }
    const heard = EditorView.updateListener.of(({ transactions }) => {
      for (const transaction of transactions) {
        if (transaction.docChanged) inHistory.push(transaction.annotation(Transaction.addToHistory) !== false);
      }
    });
    return { view: new EditorView({ doc: side.doc ?? text.toString(), parent, extensions: [stemma(text, side.o), heard, EditorView.lineWrapping] }) };
  };
  const first = attach(sides.one, "one", one);
  const second = sides.two && attach(sides.two, "two", two);
  await settle();
  Object.assign(globalThis, { one, two, settle, inHistory, view: first.view, view2: second?.view });
  Object.assign(globalThis, { field: first.element, field2: second?.element, unbind: first.unbind, unbind2: second?.unbind, stemma, bindTextarea, EditorView });
}

/** The same text in both replicas and in all that shows it; that. */
export async function agreed(page: Page): Promise<string> {
  const [text, ...others] = await page.evaluate(async () => {
    await settle();
    const shown = [view?.state.doc.toString(), view2?.state.doc.toString(), field?.value, field2?.value];
    return [one.getText("t").toString(), two.getText("t").toString(), ...shown.filter((each) => each !== undefined)];
  });
  for (const other of others) assert.equal(other, text);
  return text as string;
}

/** Whoever composes characters. */
export async function composer(page: Page): Promise<{ compose(text: string): Promise<void>; commit(text: string): Promise<void> }> {
  const input: CDPSession = await page.context().newCDPSession(page);
  return {
    compose: async (text) => void (await input.send("Input.imeSetComposition", { text, selectionStart: text.length, selectionEnd: text.length })),
    commit: async (text) => void (await input.send("Input.insertText", { text })),
  };
}

/** What a page has: replicas, editors (`view` on `one`, `view2` on `two`), fields, and what binds them. */
declare global {
  const one: import("stemma").Space;
  const two: import("stemma").Space;
  const view: import("@codemirror/view").EditorView;
  const view2: import("@codemirror/view").EditorView;
  const field: HTMLTextAreaElement;
  const field2: HTMLTextAreaElement;
  const unbind: () => void;
  const unbind2: () => void;
  const settle: () => Promise<void>;
  const inHistory: boolean[];
  const stemma: typeof import("stemma/codemirror").stemma;
  const bindTextarea: typeof import("stemma/textarea").bindTextarea;
  const EditorView: typeof import("@codemirror/view").EditorView;
}
