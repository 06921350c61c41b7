// Cursors, selections and authors of others in Chromium.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Page } from "playwright-core";
import { agreed, composer, Editors } from "./editors.ts";
import { Relay } from "./harness.ts";

const editors = await Editors.start({ after });

const both = (o: object, p: object = o) => ({ one: { kind: "codemirror", o }, two: { kind: "codemirror", o: p } }) as const;

/** What is drawn in the editor of a replica: names and, by reading backwards from the pixels, the places of cursors. */
async function drawn(page: Page, side: "one" | "two"): Promise<{ name: string; at: number }[]> {
  return page.evaluate((side) => {
    const editor = side === "one" ? view : view2;
    return [...editor.dom.querySelectorAll(".cm-stemma-cursor")].map((cursor) => {
      const { left, top, height } = cursor.getBoundingClientRect();
      return { name: cursor.textContent ?? "", at: editor.posAtCoords({ x: left + 1, y: top + height / 2 }, false) };
    });
  }, side);
}

async function draws(page: Page, side: "one" | "two", expected: { name: string; at: number }[]): Promise<void> {
  let last: unknown;
  for (let tries = 0; tries < 200; tries++) {
    last = await drawn(page, side);
    if (JSON.stringify(last) === JSON.stringify(expected)) return;
    await page.waitForTimeout(20);
  }
  assert.deepEqual(last, expected);
}

test("a cursor shows where another one is, moves with edits before it, and goes with focus and with its editor", async () => {
  const page = await editors.page("0123456789", both({ cursors: { name: "Ann" } }, { cursors: { name: "Bob" } }));
  await page.evaluate(() => (view2.focus(), view2.dispatch({ selection: { anchor: 4 } })));
  await draws(page, "one", [{ name: "Bob", at: 4 }]);
  await draws(page, "two", []);
  await page.evaluate(() => view.dispatch({ changes: { from: 0, to: 1, insert: "abc" } }));
  await draws(page, "one", [{ name: "Bob", at: 6 }]);
  await agreed(page);
  // What Bob types goes in front of his cursor, before presence says anything.
  await page.evaluate(() => view2.dispatch({ changes: { from: 6, insert: "Bob" }, selection: { anchor: 9 } }));
  await agreed(page);
  await draws(page, "one", [{ name: "Bob", at: 9 }]);
  // The focus goes over: now Ann is seen, and Bob is not.
  await page.evaluate(() => (view.focus(), view.dispatch({ selection: { anchor: 2 } })));
  await draws(page, "two", [{ name: "Ann", at: 2 }]);
  await draws(page, "one", []);
  await page.evaluate(() => view.destroy());
  await draws(page, "two", []);
  assert.deepEqual(await page.evaluate(() => one.presence.state), {});
  await page.close();
});

test("a selection shows from its beginning to the cursor, and takes in nothing that is typed at its ends", async () => {
  const page = await editors.page("one two three", both({ cursors: true }));
  const selected = () =>
    page.evaluate(() =>
      [...view.dom.querySelectorAll(".cm-stemma-selection")].map((piece) => {
        const { left, right, top, height } = piece.getBoundingClientRect();
        const at = (x: number) => view.posAtCoords({ x, y: top + height / 2 }, false);
        return [at(left + 0.5), at(right - 0.5)];
      }),
    );
  await page.evaluate(() => (view2.focus(), view2.dispatch({ selection: { anchor: 7, head: 4 } })));
  await draws(page, "one", [{ name: (await page.evaluate(() => two.me)).slice(0, 4), at: 4 }]);
  assert.deepEqual(await selected(), [[4, 7]]);
  await page.evaluate(() => view.dispatch({ changes: [{ from: 4, insert: ">" }, { from: 7, insert: "<" }] }));
  await page.waitForFunction(() => document.querySelectorAll("#one .cm-stemma-selection").length === 1);
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  assert.deepEqual(await selected(), [[5, 8]]);
  assert.equal(await agreed(page), "one >two< three");
  await page.evaluate(() => view2.dispatch({ selection: { anchor: 0 } }));
  await page.waitForFunction(() => document.querySelectorAll("#one .cm-stemma-selection").length === 0);
  await page.close();
});

test("only sessions that show this text are shown, under any field and name, and what is no cursor is none", async () => {
  const page = await editors.page("shown", both({ cursors: { field: "at", label: undefined } }, { cursors: false }));
  const session = await page.evaluate(() => {
    view.focus();
    const elsewhere = two.getText("other");
    elsewhere.append("elsewhere");
    const anchor = two.getText("t").anchor(2);
    const wrong = [
      { text: ["other"], anchor: elsewhere.anchor(2), head: elsewhere.anchor(2) },
      { text: ["other"], anchor: elsewhere.anchor(0, -1), head: elsewhere.anchor(9) }, // start and end of any text
      { text: ["t"], anchor: elsewhere.anchor(2), head: elsewhere.anchor(2) },
      { text: ["t"], anchor: new Uint8Array([9]), head: new Uint8Array() },
      { text: ["t", "t"], anchor, head: anchor },
      { text: "t", anchor, head: anchor },
      { text: ["t"], anchor: "x", head: 3 },
      { text: ["t"], anchor },
      [["t"], anchor, anchor],
      null,
      7n,
    ];
    Object.assign(globalThis, { wrong });
    return two.presence.session;
  });
  for (let i = 0; i < 11; i++) {
    await page.evaluate((i) => two.presence.set({ at: (globalThis as unknown as { wrong: string[] }).wrong[i] as string, i }), i);
    await page.waitForFunction(([session, i]) => one.presence.others.get(session as string)?.state["i"] === i, [session, i] as const);
    assert.deepEqual(await drawn(page, "one"), []);
  }
  const show = (said: object, state: object = {}) =>
    page.evaluate(
      ([said, state]) => {
        const anchor = two.getText("t").anchor(2);
        two.presence.set({ at: { text: ["t"], anchor, head: anchor, ...(said as object) }, ...(state as object) });
      },
      [said, state],
    );
  const id = (await page.evaluate(() => two.me)).slice(0, 4);
  await show({});
  await draws(page, "one", [{ name: id, at: 2 }]);
  await show({ name: 5, hue: "red; background: url(//evil)" }, { name: "By the app" });
  await draws(page, "one", [{ name: "By the app", at: 2 }]);
  await show({ name: `<img src=x onerror=alert(1)>${"x".repeat(5000)}` }, { name: "By the app" });
  await draws(page, "one", [{ name: `<img src=x onerror=alert(1)>${"x".repeat(5000)}`.slice(0, 64), at: 2 }]);
  // Beside a letter that has not arrived: it stays where it was.
  await page.evaluate(() => {
    const anchor = new Uint8Array([2, ...new Uint8Array(32).fill(7), 0]);
    two.presence.set({ at: { text: ["t"], anchor, head: anchor, name: "Ahead" } });
  });
  await draws(page, "one", [{ name: "Ahead", at: 2 }]);
  await page.evaluate(() => two.presence.leave());
  await draws(page, "one", []);
  await page.close();
});

test("a label says who is read there, and hides whom it says nothing of", async () => {
  const page = await editors.page("text", { one: { kind: "codemirror" }, two: { kind: "codemirror", o: { cursors: { name: "Pretender", hue: 140 } } } });
  await page.evaluate(() => {
    let isHidden = false;
    const label = ({ member, state }: import("stemma").Present) => (isHidden ? undefined : `${member === two.me} ${(state["cursor"] as { name: string } | undefined)?.name}`);
    const shown = new EditorView({ doc: "text", extensions: stemma(one.getText("t"), { cursors: { label } }), parent: document.body });
    view.destroy();
    Object.assign(globalThis, { view: shown, hide: () => (isHidden = true) });
    view2.focus();
  });
  await draws(page, "one", [{ name: "true Pretender", at: 0 }]);
  assert.ok(await page.evaluate(() => view.dom.querySelector(".cm-stemma-cursor")?.matches(".cm-stemma-hue-9")));
  await page.evaluate(() => {
    (globalThis as unknown as { hide: () => void }).hide();
    view2.dispatch({ selection: { anchor: 3 } });
  });
  await draws(page, "one", []);
  await page.close();
});

test("two pages over a relay see each other type, and one that is closed goes", async (t) => {
  const relay = await Relay.start(t);
  const [a, b] = [await editors.open(), await editors.open()];
  const attach = async ([name, relay, invite]: [string, string, string | undefined]) => {
    const { open } = await import("stemma");
    const { stemma } = await import("stemma/codemirror");
    const { EditorView } = await import("@codemirror/view");
    const space = await open({ name, storage: "memory", relay, ...(invite ? { invite } : { init: (s) => s.getText("t").append("start ") }) });
    await space.sync.settled();
    const text = space.getText("t");
    const view = new EditorView({ doc: text.toString(), extensions: stemma(text, { cursors: { name } }), parent: document.body });
    Object.assign(globalThis, { one: space, view });
    return invite ? "" : space.invite();
  };
  const invite = await a.evaluate(attach, ["Ann", relay.url, undefined] as [string, string, undefined]);
  await b.evaluate(attach, ["Bob", relay.url, invite] as [string, string, string]);
  for (const page of [a, b]) {
    await page.click(".cm-content");
    await page.keyboard.press("Control+End");
  }
  await a.keyboard.type("from Ann");
  await b.waitForFunction(() => view.state.doc.toString() === "start from Ann");
  await draws(b, "one", [{ name: "Ann", at: 14 }]);
  await b.keyboard.press("Control+Home");
  await draws(a, "one", [{ name: "Bob", at: 0 }]);
  await b.evaluate(() => one.close());
  await draws(a, "one", []);
  for (const page of [a, b]) await page.context().close();
});

test("what a screen reader gets is the text, and composing goes on while cursors move", async () => {
  const page = await editors.page("abc", both({ cursors: { name: "Somebody" }, authors: true }));
  await page.evaluate(() => (view2.focus(), view2.dispatch({ selection: { anchor: 1, head: 3 } })));
  await draws(page, "one", [{ name: "Somebody", at: 3 }]);
  const heard = await page.evaluate(() => [...document.querySelectorAll("#one .cm-stemma-cursor, #one .cm-stemma-selection")].every((drawn) => drawn.closest("[aria-hidden=true]")));
  assert.ok(heard);
  assert.equal(await page.evaluate(() => view.contentDOM.innerText), "abc");

  await page.click("#one .cm-content");
  await page.keyboard.press("Control+End");
  const { compose, commit } = await composer(page);
  await compose("に");
  await page.evaluate(async () => {
    two.getText("t").insert(0, "remote ");
    const anchor = two.getText("t").anchor(8);
    two.presence.update({ cursor: { text: ["t"], anchor, head: anchor, name: "Somebody" } });
    two.flush();
    one.flush();
    while (!one.getText("t").toString().includes("remote")) await new Promise((resolve) => setTimeout(resolve, 1));
  });
  // Eight units into a text of which seven are held back.
  await draws(page, "one", [{ name: "Somebody", at: 1 }]);
  assert.equal(await page.evaluate(() => view.state.doc.toString()), "abcに");
  await page.waitForTimeout(300); // longer than authors wait
  await compose("にほ");
  await commit("日本");
  await page.waitForFunction(() => view.state.doc.toString().includes("remote"));
  assert.equal(await agreed(page), "remote abc日本");
  await draws(page, "one", [{ name: "Somebody", at: 8 }]);
  await page.close();
});

test("every colour can be told from paper by day and by night, and black reads on each", async () => {
  const page = await editors.page("text", both({ cursors: true }));
  const colors = await page.evaluate(() => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true }) as OffscreenCanvasRenderingContext2D;
    return Array.from({ length: 24 }, (_, step) => {
      const sample = view.dom.appendChild(document.createElement("div"));
      sample.className = `cm-stemma-cursor cm-stemma-hue-${step}`;
      canvas.fillStyle = getComputedStyle(sample).backgroundColor;
      canvas.fillRect(0, 0, 1, 1);
      sample.remove();
      return [...canvas.getImageData(0, 0, 1, 1).data.slice(0, 3)];
    });
  });
  const luminance = (color: number[]) => {
    const [r, g, b] = color.map((byte) => (byte / 255 <= 0.04045 ? byte / 255 / 12.92 : ((byte / 255 + 0.055) / 1.055) ** 2.4)) as [number, number, number];
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a: number[], b: number[]) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number];
    return (high + 0.05) / (low + 0.05);
  };
  assert.equal(new Set(colors.map(String)).size, 24);
  for (const color of colors) {
    assert.ok(contrast(color, [255, 255, 255]) >= 3, `${color} on white`);
    assert.ok(contrast(color, [32, 32, 32]) >= 3, `${color} on black paper`);
    assert.ok(contrast(color, [0, 0, 0]) >= 4.5, `black on ${color}`);
  }
  await page.close();
});

test("authors tint the text, and a click says why", async () => {
  const page = await editors.page("", both({ authors: true, cursors: true }));
  await page.click("#one .cm-content");
  await page.keyboard.type("Ann ");
  await agreed(page);
  await page.evaluate(() => view2.dispatch({ changes: { from: 4, insert: "Bob" } }));
  assert.equal(await agreed(page), "Ann Bob");
  const tints = () => page.evaluate(() => [...view.dom.querySelectorAll(".cm-stemma-author")].map((run) => [run.textContent, getComputedStyle(run).getPropertyValue("--stemma-color")]));
  await page.waitForFunction(() => document.querySelectorAll("#one .cm-stemma-author").length === 2);
  const [[first, a], [second, b]] = (await tints()) as [string[], string[]];
  assert.deepEqual([first, second], ["Ann ", "Bob"]);
  const colorOf = (member: string) => `oklch(0.64 0.13 ${(Math.round((Number.parseInt(member.slice(0, 8), 16) % 360) / 15) % 24) * 15})`;
  assert.deepEqual([a, b], (await page.evaluate(() => [one.me, two.me])).map(colorOf), "the colour of a member is the same everywhere");

  const clickOn = async (position: number) => {
    const point = await page.evaluate((position) => {
      const [from, to] = [view.coordsAtPos(position, 1), view.coordsAtPos(position + 1, -1)];
      return from && to ? { x: (from.left + to.left) / 2, y: (from.top + from.bottom) / 2 } : undefined;
    }, position);
    assert.ok(point);
    await page.mouse.click(point.x, point.y);
  };
  const members = await page.evaluate(() => [one.me, two.me]);
  for (const [position, member] of [[0, members[0]], [6, members[1]]] as const) {
    await clickOn(position);
    assert.match(await page.innerText("#one .cm-stemma-card"), new RegExp(`^${member?.slice(0, 4)} .*\\d`));
  }
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => !document.querySelector(".cm-stemma-card"));
  await page.keyboard.press("Home");
  await page.keyboard.press("Shift+F1");
  assert.match(await page.innerText("#one .cm-stemma-card"), new RegExp(`^${members[0]?.slice(0, 4)}`));
  await page.waitForFunction((id) => document.querySelector("#one .cm-announced")?.textContent?.startsWith(id), members[0]?.slice(0, 4) ?? "");
  await page.keyboard.type("x"); // an edit closes it
  await page.waitForFunction(() => !document.querySelector(".cm-stemma-card"));

  // What is banned is gone, and so is its tint.
  await page.evaluate(() => one.policy.ban(two.me, {}));
  await page.waitForFunction(() => view.state.doc.toString() === "xAnn " && document.querySelectorAll("#one .cm-stemma-author").length === 1);
  await page.close();
});

test("whoever takes the click is told why", async () => {
  const page = await editors.page("by Ann", { one: { kind: "codemirror" } });
  await page.evaluate(() => {
    view.destroy();
    const told: unknown[] = [];
    const onClick = (why: import("stemma").Provenance, event: MouseEvent) => told.push([why.member === one.me, why.status, event.type]);
    const authors = { onClick, hue: () => 140, label: () => "Ann" };
    const shown = new EditorView({ doc: "by Ann", extensions: stemma(one.getText("t"), { authors }), parent: document.body });
    Object.assign(globalThis, { view: shown, told });
  });
  await page.waitForSelector(".cm-stemma-author.cm-stemma-hue-9");
  await page.click(".cm-stemma-author");
  assert.deepEqual(await page.evaluate(() => (globalThis as unknown as { told: unknown[] }).told), [[true, "shows", "click"]]);
  assert.equal(await page.locator(".cm-stemma-card").count(), 0);
  await page.close();
});

test("who is left without a tint has none, and no hue has one of the id", async () => {
  const page = await editors.page("Ann ", { one: { kind: "codemirror" } });
  await page.evaluate(() => {
    two.getText("t").append("Bob");
    return settle();
  });
  const colors = await page.evaluate(async () => {
    const tinted = async (hue: (member: string) => number | null | undefined) => {
      const shown = new EditorView({ doc: "Ann Bob", extensions: stemma(one.getText("t"), { authors: { hue } }), parent: document.body });
      while (!shown.dom.querySelector(".cm-stemma-author")) await new Promise((resolve) => setTimeout(resolve, 5));
      const runs = [...shown.dom.querySelectorAll(".cm-stemma-author")].map((run) => `${run.textContent} ${run.className}`);
      shown.destroy();
      return runs;
    };
    return [await tinted((member) => (member === one.me ? null : 140)), await tinted((member) => (member === one.me ? undefined : null))];
  });
  await page.evaluate(() => {
    const hue = (member: string) => (member === one.me ? null : 140);
    new EditorView({ doc: "Ann Bob", extensions: stemma(one.getText("t"), { authors: { hue } }), parent: document.body });
  });
  await page.locator(".cm-line", { hasText: "Ann Bob" }).last().click({ position: { x: 10, y: 8 } });
  assert.equal(await page.locator(".cm-stemma-card").count(), 0, "an own letter, without a tint");
  await page.click(".cm-stemma-author");
  await page.locator(".cm-stemma-card").waitFor();
  const step = Math.round((Number.parseInt((await page.evaluate(() => one.me)).slice(0, 8), 16) % 360) / 15) % 24;
  assert.deepEqual(colors, [["Bob cm-stemma-author cm-stemma-hue-9"], [`Ann  cm-stemma-author cm-stemma-hue-${step}`]]);
  await page.close();
});

test("a reader is seen, sees, and writes nothing", async () => {
  const page = await editors.page("read me", { one: { kind: "codemirror", o: { cursors: { name: "Ann" } } } });
  await page.evaluate(async () => {
    const { open } = await import("stemma");
    const reader = await open({ name: crypto.randomUUID(), storage: "memory", invite: await one.invite({ role: "reader" }) });
    const { port1, port2 } = new MessageChannel();
    one.sync.attach(port1);
    reader.sync.attach(port2);
    const shown = new EditorView({ extensions: stemma(reader.getText("t"), { cursors: { name: "Rea" }, authors: true }), parent: document.getElementById("two") as HTMLElement });
    Object.assign(globalThis, { two: reader, view2: shown });
    while (shown.state.doc.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  });
  await page.click("#two .cm-content");
  await page.keyboard.press("Control+Home");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.type("typed");
  await draws(page, "one", [{ name: "Rea", at: 1 }]);
  await page.evaluate(() => (view.focus(), view.dispatch({ changes: { from: 0, insert: "Please " }, selection: { anchor: 7 } })));
  await draws(page, "two", [{ name: "Ann", at: 7 }]);
  assert.deepEqual(await page.evaluate(() => [view.state.doc.toString(), view2.state.doc.toString()]), ["Please read me", "Please read me"]);
  await page.close();
});

test("a view is tinted and read-only, shows no cursors and says nothing", async () => {
  const page = await editors.page("then", { one: { kind: "codemirror" }, two: { kind: "codemirror", o: { cursors: true } } });
  await page.evaluate(() => {
    view.destroy();
    const past = one.at(one.flush().id);
    one.getText("t").append(" and now");
    const shown = new EditorView({ doc: "", extensions: stemma(past.getText("t"), { authors: true, cursors: true }), parent: document.body });
    Object.assign(globalThis, { view: shown });
    view2.focus();
  });
  await page.waitForSelector(".cm-stemma-author");
  await page.click(".cm-stemma-author");
  await page.keyboard.type("x");
  await page.keyboard.press("Control+z");
  await page.waitForFunction(() => two.getText("t").toString() === "then and now" || (two.flush(), one.flush(), false));
  assert.deepEqual(await page.evaluate(() => [view.state.doc.toString(), one.getText("t").toString()]), ["then", "then and now"]);
  assert.deepEqual(await drawn(page, "one"), []);
  assert.equal(await page.locator(".cm-stemma-card").count(), 0);
  await page.close();
});
