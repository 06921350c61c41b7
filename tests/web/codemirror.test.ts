// The CodeMirror binding in Chromium: what is typed, what arrives, what is taken back.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Page } from "playwright-core";
import { agreed, composer, Editors } from "./editors.ts";

const editors = await Editors.start({ after });

async function editorPage(start: string, { doc, ...o }: { readOnly?: boolean; undo?: boolean; doc?: string } = {}): Promise<Page> {
  return editors.page(start, { one: { kind: "codemirror", o, ...(doc === undefined ? {} : { doc }) } });
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
  const page = await editorPage("01234 ------------");
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
  const { compose, commit } = await composer(page);
  await compose("に");
  const during = await page.evaluate(async () => {
    two.getText("t").insert(0, "remote ");
    two.flush();
    one.flush();
    while (!one.getText("t").toString().includes("remote")) await new Promise((resolve) => setTimeout(resolve, 1));
    await new Promise((resolve) => setTimeout(resolve));
    return view.state.doc.toString();
  });
  assert.equal(during, "に");
  await compose("にほ");
  await commit("日本");
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

test("half a character is shown as the text holds it", async () => {
  const page = await editorPage("ab");
  await page.evaluate(() => view.dispatch({ changes: { from: 1, insert: "\ud83d" } }));
  assert.equal(await agreed(page), "a\ufffdb");
  await page.close();
});

test("undo takes back what was typed here, and nothing of others, and goes there", async () => {
  const page = await editorPage("one two");
  await page.click(".cm-content");
  await page.keyboard.press("Control+End");
  await page.keyboard.type(" mine");
  await page.evaluate(async () => {
    await settle();
    two.getText("t").insert(0, "theirs ");
    await settle();
  });
  assert.equal(await agreed(page), "theirs one two mine");
  await page.evaluate(() => view.dispatch({ selection: { anchor: 0 } }));
  await page.keyboard.press("Control+z");
  assert.equal(await agreed(page), "theirs one two");
  assert.equal(await page.evaluate(() => view.state.selection.main.head), 14);
  await page.keyboard.press("Control+z"); // nothing more of this tab in this text but its beginning
  await page.keyboard.press("Control+z");
  assert.equal(await agreed(page), "theirs ");
  await page.keyboard.press("Control+Shift+Z");
  await page.keyboard.press("Control+y");
  assert.equal(await agreed(page), "theirs one two mine");
  assert.equal(await page.evaluate(() => view.state.selection.main.head), 19);
  await page.evaluate(() => view.contentDOM.dispatchEvent(new InputEvent("beforeinput", { inputType: "historyUndo", cancelable: true, bubbles: true })));
  assert.equal(await agreed(page), "theirs one two");
  await page.close();
});

test("undo is of this text alone, and can be left to the editor", async () => {
  const page = await editorPage("");
  await page.click(".cm-content");
  await page.keyboard.type("typed");
  await page.evaluate(() => one.transact(() => one.getMap("m").set("k", 1)));
  await page.keyboard.press("Control+z");
  assert.equal(await agreed(page), "");
  assert.equal(await page.evaluate(() => one.getMap("m").get("k")), 1);
  await page.close();
  const plain = await editorPage("", { undo: false });
  await plain.click(".cm-content");
  await plain.evaluate(() => two.getText("t").append("x"));
  await agreed(plain);
  await plain.evaluate(() => one.getText("t").append("y"));
  await plain.keyboard.press("Control+z");
  assert.equal(await agreed(plain), "xy");
  await plain.close();
});

test("typing seals no batch, cursors shown or not", async () => {
  for (const cursors of [false, true]) {
    const page = await editors.page("some text", { one: { kind: "codemirror", o: { cursors } } });
    await page.click(".cm-content");
    await page.evaluate(() => view.dispatch({ selection: { anchor: 4 } }));
    const before = await page.evaluate(() => (one.flush(), one.stats().changesets));
    // In one turn, for a batch is sealed by time too.
    const after = await page.evaluate(async () => {
      for (const letter of " and more") {
        view.dispatch({ changes: { from: view.state.selection.main.head, insert: letter }, selection: { anchor: view.state.selection.main.head + 1 } });
        await null;
        await null;
      }
      return one.stats().changesets;
    });
    assert.equal(after, before);
    assert.equal(await agreed(page), "some and more text");
    await page.close();
  }
});

test("options that are none are refused", async () => {
  const page = await editorPage("");
  const refused = await page.evaluate(() => {
    const text = one.getText("t");
    const wrong: [string, () => unknown][] = [
      ["text", () => stemma({} as never)],
      ["cursor", () => stemma(text, { cursor: true } as never)],
      ["cursors", () => stemma(text, { cursors: 1 } as never)],
      ["hue", () => stemma(text, { cursors: { hue: 360 } })],
      ["name", () => stemma(text, { cursors: { name: "x".repeat(65) } })],
      ["label", () => stemma(text, { cursors: { label: "x" } as never })],
      ["colour", () => stemma(text, { authors: { colour: 1 } as never })],
      ["onClick", () => stemma(text, { authors: { onClick: 1 } as never })],
    ];
    return wrong.filter(([argument, call]) => {
      try {
        call();
      } catch (error) {
        const { code, argument: named } = error as import("stemma").StemmaError;
        return code !== "E_ARGUMENT" || named !== argument;
      }
      return true;
    }).map(([argument]) => argument);
  });
  assert.deepEqual(refused, []);
  await page.close();
});
