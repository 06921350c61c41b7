// The CodeMirror binding in Chromium: two replicas of a text, each with its editor, over a MessageChannel.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Page } from "playwright-core";
import { launchBrowser, servePages } from "./harness.ts";

const browser = await launchBrowser({ after });
const origin = await servePages({ after }, { "/pkg/": "pkg", "/modules/": "node_modules", "/": "tests/web/pages" });

/** A page with `one` and `two`, replicas of a space whose text "t" holds `start`, an editor `view` on that of `one`, and `settle`. */
async function editorPage(start: string, o: { readOnly?: boolean; doc?: string } = {}): Promise<Page> {
  const page = await browser.newPage();
  page.on("pageerror", (error) => assert.fail(error));
  await page.goto(`${origin}/codemirror.html`);
  await page.evaluate(setUp, { start, o });
  return page;
}

async function setUp({ start, o }: { start: string; o: { readOnly?: boolean; doc?: string } }): Promise<void> {
  const { open } = await import("stemma");
  const { stemma } = await import("stemma/codemirror");
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
  const text = one.getText("t");
  const inHistory: boolean[] = [];
  const view = new EditorView({
    doc: o.doc ?? text.toString(),
    parent: document.querySelector("#editor") as HTMLElement,
    extensions: [
      stemma(text, o.readOnly === undefined ? {} : { readOnly: o.readOnly }),
      EditorView.updateListener.of(({ transactions }) => {
        for (const transaction of transactions) {
          if (transaction.docChanged) inHistory.push(transaction.annotation(Transaction.addToHistory) !== false);
        }
      }),
    ],
  });
  await settle();
  Object.assign(globalThis, { one, two, view, settle, inHistory });
}

/** What `setUp` leaves in the page. */
declare const one: import("stemma").Space;
declare const two: import("stemma").Space;
declare const view: import("@codemirror/view").EditorView;
declare const settle: () => Promise<void>;
declare const inHistory: boolean[];

/** The same text in both replicas and in the editor. */
async function agreed(page: Page): Promise<string> {
  const [a, b, c] = await page.evaluate(async () => {
    await settle();
    return [one.getText("t").toString(), two.getText("t").toString(), view.state.doc.toString()];
  });
  assert.equal(a, b);
  assert.equal(c, a);
  return a as string;
}

test("what is typed reaches the other replica, with the binding as its origin", async () => {
  const page = await editorPage("hello");
  await page.evaluate(() => {
    Object.assign(globalThis, { origins: [] as boolean[] });
    one.subscribe((changes) => {
      for (const { origin } of changes) (globalThis as unknown as { origins: boolean[] }).origins.push(origin !== undefined);
    });
  });
  await page.click(".cm-content");
  await page.keyboard.press("Control+End");
  await page.keyboard.type(", wörld 🙂");
  await page.keyboard.press("Enter");
  await page.keyboard.type("!");
  assert.equal(await agreed(page), "hello, wörld 🙂\n!");
  assert.ok(await page.evaluate(() => (globalThis as unknown as { origins: boolean[] }).origins.every(Boolean)));
  assert.ok(await page.evaluate(() => inHistory.every(Boolean)));
  await page.close();
});

test("what comes from elsewhere is shown, and is not in the editor's history", async () => {
  const page = await editorPage("hello");
  await page.evaluate(async () => {
    two.getText("t").insert(0, ">> ");
    await settle();
    one.transact(() => one.getText("t").append(" <<"));
    await settle();
  });
  assert.equal(await agreed(page), ">> hello <<");
  assert.deepEqual(await page.evaluate(() => inHistory), [false, false]);
  await page.close();
});

test("both sides at once end the same, cursor kept", async () => {
  const page = await editorPage("0123456789");
  await page.evaluate(async () => {
    view.dispatch({ selection: { anchor: 5 } });
    for (let i = 0; i < 50; i++) {
      view.dispatch({ changes: { from: view.state.selection.main.head, insert: "a" }, selection: { anchor: view.state.selection.main.head + 1 } });
      two.getText("t").insert(0, "b");
      if (i % 10 === 0) two.flush();
      if (i % 7 === 0) two.getText("t").delete(two.getText("t").length - 1, 1);
      if (i % 5 === 0) await new Promise((resolve) => setTimeout(resolve));
    }
  });
  const text = await agreed(page);
  assert.equal(text.replaceAll(/[^a]/g, "").length, 50);
  assert.equal(await page.evaluate(() => view.state.doc.sliceString(view.state.selection.main.head - 50, view.state.selection.main.head)), "a".repeat(50));
  await page.close();
});

test("edits of the app and of the editor in the same turn", async () => {
  const page = await editorPage("abc");
  await page.evaluate(() => {
    one.getText("t").insert(0, "X");
    view.dispatch({ changes: [{ from: 0, to: 1, insert: "A" }, { from: 3, insert: "D" }] });
    one.getText("t").append("Y");
  });
  assert.equal(await agreed(page), "XAbcDY");
  await page.close();
});

test("changes from elsewhere wait while somebody composes", async () => {
  const page = await editorPage("");
  await page.click(".cm-content");
  const input = await page.context().newCDPSession(page);
  await input.send("Input.imeSetComposition", { text: "に", selectionStart: 1, selectionEnd: 1 });
  const during = await page.evaluate(async () => {
    two.getText("t").insert(0, "remote ");
    two.flush();
    one.flush();
    while (!one.getText("t").toString().includes("remote")) await new Promise((resolve) => setTimeout(resolve, 1));
    await new Promise((resolve) => setTimeout(resolve));
    return view.state.doc.toString();
  });
  assert.equal(during, "に");
  await input.send("Input.imeSetComposition", { text: "にほ", selectionStart: 2, selectionEnd: 2 });
  await input.send("Input.insertText", { text: "日本" });
  await page.waitForFunction(() => view.state.doc.toString().includes("remote"));
  assert.match(await agreed(page), /^(remote 日本|日本remote )$/);
  await page.close();
});

test("a read-only editor shows, and takes nothing", async () => {
  const page = await editorPage("fixed", { readOnly: true });
  await page.click(".cm-content");
  await page.keyboard.type("typed");
  await page.evaluate(() => view.dispatch({ changes: { from: 0, insert: "forced" } }));
  assert.equal(await agreed(page), "fixed");
  await page.evaluate(() => two.getText("t").append(" but alive"));
  assert.equal(await agreed(page), "fixed but alive");
  await page.close();
});

test("a default document is never written", async () => {
  const page = await editorPage("the text", { doc: "a default document" });
  assert.equal(await agreed(page), "the text");
  const empty = await editorPage("", { doc: "a default document" });
  assert.equal(await agreed(empty), "");
  await page.close();
  await empty.close();
});

test("line ends of other systems stay as they are", async () => {
  const page = await editorPage("one\r\ntwo\rthree\n");
  await page.evaluate(() => view.dispatch({ changes: { from: view.state.doc.length, insert: "four\r\n" } }));
  assert.equal(await agreed(page), "one\r\ntwo\rthree\nfour\r\n");
  await page.close();
});

test("an editor of a closed space takes nothing, and one that is gone hears nothing", async () => {
  const page = await editorPage("kept");
  await page.evaluate(async () => {
    view.dispatch({ changes: { from: 4, insert: "!" } });
    await settle();
    await one.close();
    view.dispatch({ changes: { from: 0, insert: "lost" } });
  });
  assert.equal(await page.evaluate(() => view.state.doc.toString()), "kept!");
  await page.evaluate(() => view.destroy());
  await page.close();
});
