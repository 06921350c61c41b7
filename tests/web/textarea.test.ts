// Fields on shared texts in Chromium.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { agreed, composer, Editors } from "./editors.ts";

const editors = await Editors.start({ after });
const area = (o?: object, doc?: string) => ({ kind: "textarea", ...(o && { o }), ...(doc !== undefined && { doc }) }) as const;

test("what is typed goes out as small edits with the binding as their origin, what comes in keeps selection and scrolling", async () => {
  const page = await editors.page("one\ntwo\nthree\n".repeat(20), { one: area() });
  await page.evaluate(() => {
    const told: unknown[] = [];
    one.getText("t").subscribe((changes) => told.push(...changes.map(({ origin, delta }) => [typeof origin, delta])));
    Object.assign(globalThis, { told });
    field.focus();
    field.setSelectionRange(5, 5);
  });
  await page.keyboard.type("w");
  await page.keyboard.press("Delete");
  await page.keyboard.press("Backspace");
  assert.deepEqual(await page.evaluate(() => (globalThis as unknown as { told: unknown[] }).told), [
    ["object", [{ retain: 5 }, { insert: "w" }]],
    ["object", [{ retain: 6 }, { delete: 1 }]],
    ["object", [{ retain: 5 }, { delete: 1 }]],
  ]);
  await page.evaluate(() => {
    field.setSelectionRange(4, 8, "backward");
    field.scrollTop = 120;
    two.getText("t").insert(0, "before ");
    two.getText("t").append("after");
  });
  await agreed(page);
  const kept = () => page.evaluate(() => [field.selectionStart, field.selectionEnd, field.selectionDirection, field.scrollTop]);
  assert.deepEqual(await kept(), [11, 15, "backward", 120]);
  await page.evaluate(() => one.transact(() => one.getText("t").delete(0, 7)));
  await agreed(page);
  assert.deepEqual(await kept(), [4, 8, "backward", 120]);
  await page.close();
});

test("of equal letters in a row the one is written that was typed", async () => {
  const page = await editors.page("aaaa", { one: area() });
  await page.evaluate(() => {
    const told: unknown[] = [];
    one.getText("t").subscribe((changes) => told.push(...changes.map(({ delta }) => delta)));
    Object.assign(globalThis, { told });
    field.focus();
    field.setSelectionRange(1, 1);
  });
  await page.keyboard.type("a");
  await page.keyboard.press("Delete");
  assert.deepEqual(await page.evaluate(() => (globalThis as unknown as { told: unknown[] }).told), [
    [{ retain: 1 }, { insert: "a" }],
    [{ retain: 2 }, { delete: 1 }],
  ]);
  await page.close();
});

test("changes from elsewhere wait while somebody composes", async () => {
  const page = await editors.page("abc", { one: area() });
  await page.click("textarea");
  await page.keyboard.press("Control+Home");
  await page.keyboard.press("ArrowRight");
  const { compose, commit } = await composer(page);
  await compose("に");
  const during = await page.evaluate(async () => {
    two.getText("t").insert(0, "remote ");
    two.getText("t").delete(8, 1);
    two.getText("t").append("!");
    two.flush();
    one.flush();
    while (!one.getText("t").toString().includes("remote")) await new Promise((resolve) => setTimeout(resolve, 1));
    await new Promise((resolve) => setTimeout(resolve));
    return field.value;
  });
  assert.equal(during, "aにbc");
  await compose("にほ");
  assert.equal(await page.evaluate(() => one.getText("t").toString()), "remote aにほc!");
  await commit("日本");
  await page.waitForFunction(() => field.value.includes("remote"));
  assert.equal(await agreed(page), "remote a日本c!");
  assert.equal(await page.evaluate(() => field.selectionStart), 10);
  await page.close();
});

test("undo takes back what was typed here, and nothing of others, and goes there", async () => {
  const page = await editors.page("one two", { one: area(), two: area() });
  await page.click("textarea");
  await page.keyboard.press("Control+End");
  await page.keyboard.type(" mine");
  await page.evaluate(async () => {
    await settle();
    two.getText("t").insert(0, "theirs ");
    await settle();
    field.setSelectionRange(0, 0);
  });
  assert.equal(await agreed(page), "theirs one two mine");
  await page.keyboard.press("Control+z");
  assert.equal(await agreed(page), "theirs one two");
  assert.equal(await page.evaluate(() => field.selectionEnd), 14);
  await page.keyboard.press("Control+Shift+Z");
  assert.equal(await agreed(page), "theirs one two mine");
  assert.equal(await page.evaluate(() => field.selectionEnd), 19);
  const menu = (inputType: string) =>
    page.evaluate((inputType) => field.dispatchEvent(new InputEvent("beforeinput", { inputType, cancelable: true, bubbles: true })), inputType);
  assert.equal(await menu("historyUndo"), false, "the browser's own is not done");
  assert.equal(await agreed(page), "theirs one two");
  await menu("historyRedo");
  assert.equal(await agreed(page), "theirs one two mine");
  await page.keyboard.press("Control+z");
  await page.keyboard.press("Control+y");
  assert.equal(await agreed(page), "theirs one two mine");
  await page.close();
});

test("what stands in a field is never written, nor what a form puts back or a script sets", async () => {
  const page = await editors.page("the text", { one: area({}, "a default") });
  assert.equal(await agreed(page), "the text");
  await page.evaluate(() => {
    const form = document.createElement("form");
    field.before(form);
    field.defaultValue = "a default";
    form.append(field);
    form.reset();
  });
  await page.waitForFunction(() => field.value === "the text");
  assert.equal(await agreed(page), "the text");
  await page.evaluate(() => {
    field.value = "set by a script";
    two.getText("t").append(" goes on");
  });
  assert.equal(await agreed(page), "the text goes on");
  await page.close();
  const empty = await editors.page("", { one: area({}, "a default") });
  assert.equal(await agreed(empty), "");
  await empty.close();
});

test("line ends of other systems stay as they are", async () => {
  const page = await editors.page("one\r\ntwo\rthree\n\r\n", { one: area() });
  const text = () => page.evaluate(async () => (await settle(), [one.getText("t").toString(), two.getText("t").toString(), field.value]));
  const shows = async (expected: string) => assert.deepEqual(await text(), [expected, expected, expected.replace(/\r\n?/g, "\n")]);
  await shows("one\r\ntwo\rthree\n\r\n");
  await page.click("textarea");
  await page.keyboard.press("Control+Home");
  await page.keyboard.press("ArrowDown"); // before the t of two
  await page.keyboard.type("2");
  await shows("one\r\n2two\rthree\n\r\n");
  await page.keyboard.press("Backspace");
  await page.keyboard.press("Backspace"); // a line end that is two units
  await shows("onetwo\rthree\n\r\n");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Control+End");
  await page.keyboard.type("end");
  await shows("one\ntwo\rthree\n\r\nend");
  await page.evaluate(() => (two.getText("t").insert(0, "0\r\n"), two.getText("t").delete(10, 1)));
  await shows("0\r\none\ntwothree\n\r\nend");
  await page.evaluate(() => (two.getText("t").delete(1, 2), two.flush()));
  await page.evaluate(() => two.getText("t").insert(3, "\r"));
  await shows("0on\re\ntwothree\n\r\nend");
  await page.evaluate(() => two.getText("t").insert(4, "\n"));
  await shows("0on\r\ne\ntwothree\n\r\nend");
  await page.close();
});

test("an input shows no line ends, and leaves those of the text where they are", async () => {
  const page = await editors.page("one\ntwo\r\nthree", { one: { kind: "input" } });
  const text = () => page.evaluate(async () => (await settle(), [one.getText("t").toString(), field.value]));
  await page.click("input");
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.type("N");
  assert.deepEqual(await text(), ["oNne\ntwo\r\nthree", "oNnetwothree"]);
  await page.keyboard.press("End");
  for (let i = 0; i < 5; i++) await page.keyboard.press("Backspace");
  assert.deepEqual(await text(), ["oNne\ntwo\r\n", "oNnetwo"]);
  await page.keyboard.press("Backspace");
  await page.keyboard.type("O!");
  assert.deepEqual(await text(), ["oNne\ntwO!\r\n", "oNnetwO!"]);
  await page.evaluate(() => (two.getText("t").insert(6, "\n+\n"), two.getText("t").append("\nlast")));
  assert.deepEqual(await text(), ["oNne\nt\n+\nwO!\r\n\nlast", "oNnet+wO!last"]);
  await page.keyboard.press("Control+a");
  await page.keyboard.type("x");
  assert.deepEqual(await text(), ["x", "x"]);
  await page.close();
});

test("halves of characters are shown as the text holds them", async () => {
  const page = await editors.page("a🙂b", { one: area() });
  await page.evaluate(() => {
    field.value = "a🙂\ud83db";
    field.dispatchEvent(new InputEvent("input", { bubbles: true }));
  });
  assert.equal(await agreed(page), "a🙂\ufffdb");
  await page.evaluate(() => {
    field.value = "a\ude42\ufffdb"; // half of it is gone
    field.dispatchEvent(new InputEvent("input", { bubbles: true }));
  });
  assert.equal(await agreed(page), "a\ufffd\ufffdb");
  await page.click("textarea");
  await page.keyboard.press("Control+Home");
  await page.keyboard.type("👩‍👩‍👧😁");
  await page.keyboard.press("Backspace");
  await page.keyboard.type("😂");
  assert.equal(await agreed(page), "👩‍👩‍👧😂a\ufffd\ufffdb");
  await page.close();
});

test("maxlength binds whoever types here, and cuts nothing that others wrote", async () => {
  const page = await editors.page("abc", { one: area() });
  await page.evaluate(() => (field.maxLength = 5));
  await page.click("textarea");
  await page.keyboard.press("Control+End");
  await page.keyboard.type("defgh");
  assert.equal(await agreed(page), "abcde");
  await page.evaluate(() => two.getText("t").append(" and much more"));
  assert.equal(await agreed(page), "abcde and much more");
  await page.keyboard.type("x");
  await page.keyboard.press("Control+End");
  await page.keyboard.press("Backspace");
  assert.equal(await agreed(page), "abcde and much mor");
  const { compose, commit } = await composer(page);
  await compose("に");
  await commit("日本");
  await page.waitForTimeout(150);
  assert.equal(await agreed(page), "abcde and much mor");
  await page.close();
});

test("a field of a reader, of a view, or of an app that says so, only shows", async () => {
  const page = await editors.page("fixed", { one: area({ readOnly: true }) });
  await page.click("textarea");
  await page.keyboard.type("typed");
  await page.keyboard.press("Control+z");
  await page.evaluate(() => {
    field.value = "forced";
    field.dispatchEvent(new InputEvent("input", { bubbles: true }));
  });
  assert.equal(await agreed(page), "fixed");
  await page.evaluate(() => two.getText("t").append(" but alive"));
  assert.equal(await agreed(page), "fixed but alive");
  const later = await editors.page("by one", { one: area() });
  await later.click("textarea");
  await later.evaluate(() => (field.readOnly = true));
  await later.keyboard.press("Control+z");
  assert.equal(await agreed(later), "by one");
  await later.evaluate(() => (field.readOnly = false));
  await later.keyboard.press("Control+z");
  assert.equal(await agreed(later), "");
  await later.close();
  const states = await page.evaluate(async () => {
    const { open } = await import("stemma");
    const reader = await open({ name: crypto.randomUUID(), storage: "memory", invite: await one.invite({ role: "reader" }) });
    const past = one.at(two.flush().id);
    const shown = [reader.getText("t"), past.getText("t")].map((text) => {
      const element = document.body.appendChild(document.createElement("textarea"));
      const end = bindTextarea(element, text, { cursors: true });
      const during = element.readOnly;
      end();
      return [during, element.readOnly, element.value];
    });
    unbind();
    await reader.close();
    return [...shown, field.readOnly];
  });
  assert.deepEqual(states, [[true, false, ""], [true, false, "fixed but alive"], false]);
  await page.close();
});

test("a closed space takes nothing, and what has ended hears and writes nothing", async () => {
  const page = await editors.page("kept", { one: area() });
  await page.click("textarea");
  await page.keyboard.press("Control+End");
  await page.keyboard.type("!");
  await page.evaluate(async () => {
    await settle();
    await one.close();
  });
  await page.keyboard.type("lost");
  assert.equal(await page.evaluate(() => field.value), "kept!");
  const written = await page.evaluate(async () => {
    unbind();
    const text = two.getText("t");
    const ending = new AbortController();
    const element = document.querySelector("textarea") as HTMLTextAreaElement;
    bindTextarea(element, text, { signal: ending.signal });
    let code = "";
    try {
      bindTextarea(element, text);
    } catch (error) {
      code = `${(error as import("stemma").StemmaError).code} ${(error as import("stemma").StemmaError).argument}`;
    }
    ending.abort();
    element.value = "not bound";
    element.dispatchEvent(new InputEvent("input", { bubbles: true }));
    text.append(" on");
    await new Promise((resolve) => setTimeout(resolve, 10));
    const alone = [element.value, text.toString(), code];
    bindTextarea(element, text, { signal: AbortSignal.abort() });
    bindTextarea(element, text)();
    return [...alone, element.value];
  });
  assert.deepEqual(written, ["not bound", "kept! on", "E_ARGUMENT element", "kept! on"]);
  await page.close();
});

test("what cannot be bound is refused", async () => {
  const page = await editors.page("", { one: area() });
  const refused = await page.evaluate(() => {
    const text = one.getText("t");
    const make = (tag: string, type = "") => Object.assign(document.createElement(tag), type ? { type } : {}) as HTMLInputElement;
    const wrong: [string, () => unknown][] = [
      ["element", () => bindTextarea(make("div"), text)],
      ["element", () => bindTextarea(make("input", "email"), text)],
      ["element", () => bindTextarea(null as never, text)],
      ["text", () => bindTextarea(make("textarea"), {} as never)],
      ["readonly", () => bindTextarea(make("textarea"), text, { readonly: true } as never)],
      ["signal", () => bindTextarea(make("textarea"), text, { signal: {} } as never)],
      ["hue", () => bindTextarea(make("input", "search"), text, { cursors: { hue: -1 } })],
    ];
    return wrong.map(([argument, call]) => {
      try {
        return call();
      } catch (error) {
        const { code, argument: named } = error as import("stemma").StemmaError;
        return code === "E_ARGUMENT" && named === argument;
      }
    });
  });
  assert.deepEqual(refused, refused.map(() => true));
  await page.close();
});

test("the selection of a field shows in the editors of others, and goes with the focus", async () => {
  const page = await editors.page("one\r\ntwo three", { one: area({ cursors: { name: "Fay" } }), two: { kind: "codemirror", o: { cursors: true } } });
  await page.evaluate(() => (field.focus(), field.setSelectionRange(4, 7)));
  await page.waitForSelector("#two .cm-stemma-selection");
  const shown = () =>
    page.evaluate(() => {
      const at = (anchor: unknown) => two.getText("t").position(anchor as Uint8Array);
      return [...two.presence.others.values()].map(({ state }) => {
        const { anchor, head, name } = (state["cursor"] ?? {}) as Record<string, unknown>;
        return anchor ? [at(anchor), at(head), name] : [];
      });
    });
  assert.deepEqual(await shown(), [[5, 8, "Fay"]]);
  // Places of a field in which something is held back.
  await page.evaluate(() => field.setSelectionRange(3, 3));
  const { compose, commit } = await composer(page);
  await compose("に");
  await page.evaluate(() => {
    two.getText("t").insert(0, "remote ");
    two.flush();
    one.flush();
  });
  await page.waitForFunction(() => one.getText("t").length === two.getText("t").length && one.getText("t").toString().startsWith("remote oneに"));
  await compose("にほ");
  await page.evaluate(() => settle());
  await page.waitForFunction(() => {
    const [other] = two.presence.others.values();
    const { head } = other?.state["cursor"] as { head: Uint8Array };
    return two.getText("t").position(head) === "remote oneにほ".length;
  });
  assert.equal(await page.evaluate(() => field.value), "oneにほ\ntwo three");
  await commit("日本");
  await page.waitForFunction(() => field.value === "remote one日本\ntwo three");
  await page.evaluate(() => field.blur());
  await page.waitForFunction(() => !document.querySelector("#two .cm-stemma-cursor"));
  assert.deepEqual(await shown(), [[]]);
  await page.evaluate(() => field.focus());
  await page.waitForSelector("#two .cm-stemma-cursor");
  await page.evaluate(() => unbind());
  await page.waitForFunction(() => !document.querySelector("#two .cm-stemma-cursor"));
  await page.close();
});
