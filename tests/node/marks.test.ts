/** Rich text, through the public API: marks, what listeners are told of them, anchors and authors beside them. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Attributes, type Delta, type SharedText, type Space, StemmaError, type TextChange } from "stemma";
import { atEnd, openSpace } from "./ends.ts";

/** One character and what it shows. */
type Letter = [string, { [key: string]: unknown }];

const wrong = (argument: string) => (error: unknown) =>
  error instanceof StemmaError && error.code === "E_ARGUMENT" && error.argument === argument;

function letters(delta: Delta): Letter[] {
  return delta.flatMap((step) => ("insert" in step ? step.insert.split("").map((unit): Letter => [unit, { ...step.attributes }]) : []));
}

/** Applies a delta to a copy. */
function follow(copy: Letter[], delta: Delta): void {
  let at = 0;
  for (const step of delta) {
    if ("insert" in step) {
      copy.splice(at, 0, ...letters([step]));
      at += step.insert.length;
    } else if ("delete" in step) copy.splice(at, step.delete);
    else {
      for (const letter of copy.slice(at, at + step.retain)) {
        const shown = Object.entries({ ...letter[1], ...step.attributes }).filter(([, value]) => value !== null);
        letter[1] = Object.fromEntries(shown);
      }
      at += step.retain;
    }
  }
}

/** A copy that only hears of changes. */
function shadow(text: SharedText): () => void {
  const copy = letters(text.toDelta());
  text.subscribe((changes) => {
    for (const { delta } of changes) follow(copy, delta ?? []);
  });
  return () => assert.deepEqual(copy, letters(text.toDelta()));
}

const turn = () => new Promise((resolve) => setTimeout(resolve));

async function pair(t: Parameters<typeof openSpace>[0]): Promise<{ a: Space; b: Space; apart: (edit: () => void) => Promise<void> }> {
  const a = await openSpace(t);
  const b = await openSpace(t, { invite: await a.invite() });
  let detach: (() => void)[] = [];
  atEnd(t, () => detach.forEach((end) => end()));
  return {
    a,
    b,
    async apart(edit) {
      detach.forEach((end) => end());
      edit();
      a.flush();
      b.flush();
      const { port1, port2 } = new MessageChannel();
      detach = [a.sync.attach(port1 as never), b.sync.attach(port2 as never)];
      for (let i = 0; i < 400 && a.viewDigest() !== b.viewDigest(); i++) await new Promise((resolve) => setTimeout(resolve, 5));
      assert.equal(a.viewDigest(), b.viewDigest());
      assert.equal(a.stateHash(), b.stateHash());
      assert.deepEqual(a.getText("t").toDelta(), b.getText("t").toDelta());
    },
  };
}

test("what is marked reads as runs", async (t) => {
  const text = (await openSpace(t)).getText("t");
  text.append("one two three");
  assert.deepEqual(text.toDelta(), [{ insert: "one two three" }]);
  text.mark(0, 7, "bold", true);
  text.mark(4, 13, "link", { href: "https://example.org" }, { expand: "none" });
  const delta = text.toDelta();
  assert.deepEqual(delta, [
    { insert: "one ", attributes: { bold: true } },
    { insert: "two", attributes: { bold: true, link: { href: "https://example.org" } } },
    { insert: " three", attributes: { link: { href: "https://example.org" } } },
  ]);
  assert.equal(text.toDelta(), delta);
  assert.ok(Object.isFrozen((delta[1] as { attributes: Attributes }).attributes["link"]));
  text.mark(0, 13, "bold", null);
  assert.deepEqual(text.toDelta()[0], { insert: "one " });
  assert.deepEqual([text.toString(), text.toJSON(), text.slice(0, 3)], ["one two three", "one two three", "one"]);
});

test("typed text takes on what grows there, or what it is given", async (t) => {
  const text = (await openSpace(t)).getText("t");
  text.append("ab");
  text.mark(0, 2, "bold", true);
  text.mark(0, 2, "link", "x", { expand: "none" });
  text.insert(2, "c");
  assert.deepEqual(text.toDelta(), [{ insert: "ab", attributes: { bold: true, link: "x" } }, { insert: "c", attributes: { bold: true } }]);
  text.insert(3, "d", {});
  text.insert(4, "e", { link: "y", bold: null });
  text.insert(5, "f"); // a link grows as the last one: not at all
  assert.deepEqual(text.toDelta().slice(1), [{ insert: "c", attributes: { bold: true } }, { insert: "d" }, { insert: "e", attributes: { link: "y" } }, { insert: "f" }]);
  const other = (await openSpace(t)).getText("t");
  other.append("abc");
  other.mark(1, 2, "k", 1, { expand: "both" });
  other.insert(1, "<");
  other.insert(3, ">");
  other.mark(4, 5, "k", 2, { expand: "before" });
  other.insert(4, "(");
  other.append(")");
  assert.deepEqual(other.toDelta(), [
    { insert: "a" },
    { insert: "<b>", attributes: { k: 1 } },
    { insert: "(c", attributes: { k: 2 } },
    { insert: ")" },
  ]);
});

test("a delta is what it says, whatever is around it", async (t) => {
  const space = await openSpace(t);
  const [text, copy] = [space.getText("t"), space.getText("copy")];
  const delta: Delta = [{ insert: "bold", attributes: { bold: true } }, { insert: " plain " }, { insert: "both", attributes: { bold: true, size: 2 } }];
  text.applyDelta(delta);
  assert.deepEqual(text.toDelta(), delta);
  text.applyDelta([{ retain: 2, attributes: { bold: null, mark: "x" } }, { delete: 1 }, { insert: "!" }, { retain: 1 }, { retain: 2, attributes: { bold: false } }]);
  assert.deepEqual(text.toDelta().slice(0, 4), [
    { insert: "bo", attributes: { mark: "x" } },
    { insert: "!" },
    { insert: "d", attributes: { bold: true } },
    { insert: " p", attributes: { bold: false } },
  ]);
  copy.applyDelta(text.toDelta());
  assert.deepEqual(copy.toDelta(), text.toDelta());
  const before = text.toDelta();
  for (const steps of [
    [{ delete: 1, attributes: {} }],
    [{ retain: 1, attributes: 5 }],
    [{ retain: 1, attributes: { a: undefined } }],
    [{ insert: "x", attributes: { a: () => 1 } }],
    [{ insert: "x", attributes: { ["k".repeat(5000)]: 1 } }],
    [{ retain: 1, attributes: new Map() }],
  ]) {
    assert.throws(() => text.applyDelta(steps as never), wrong("delta"), JSON.stringify(steps));
  }
  assert.equal(text.toDelta(), before);
});

test("misuse of marks names what was wrong", async (t) => {
  const text = (await openSpace(t)).getText("t");
  text.append("abc");
  const before = text.toDelta();
  const mark = text.mark.bind(text) as (...args: unknown[]) => void;
  for (const [argument, args] of [
    ["end", [1, 1, "k", 1]],
    ["end", [2, 1, "k", 1]],
    ["end", [0, 4, "k", 1]],
    ["start", [-1, 2, "k", 1]],
    ["start", [0.5, 2, "k", 1]],
    ["start", ["0", 2, "k", 1]],
    ["key", [0, 1, 5, 1]],
    ["key", [0, 1, "k".repeat(5000), 1]],
    ["value", [0, 1, "k"]],
    ["value", [0, 1, "k", Number.NaN]],
    ["value", [0, 1, "k", new Date()]],
    ["expand", [0, 1, "k", 1, { expand: "left" }]],
    ["grow", [0, 1, "k", 1, { grow: true }]],
    ["o", [0, 1, "k", 1, 5]],
  ] as const) {
    assert.throws(() => mark(...args), wrong(argument), argument);
  }
  assert.throws(() => mark(0, 1, "k", "x".repeat(300_000)), { code: "E_EVENT_TOO_LARGE" });
  const insert = text.insert.bind(text) as (...args: unknown[]) => void;
  for (const attrs of [null, 5, "bold", [], new Map(), { a: undefined }, { a: Number.NaN }]) {
    assert.throws(() => insert(0, "x", attrs), wrong("attrs"), String(attrs));
  }
  assert.throws(() => insert(9, "x", {}), wrong("index"));
  assert.equal(text.toDelta(), before);
  mark(0, 1, "__proto__", 1);
  assert.deepEqual(Object.keys((text.toDelta()[0] as { attributes: Attributes }).attributes), ["__proto__"]);
});

test("changes of marks are deltas", async (t) => {
  const space = await openSpace(t);
  const text = space.getText("t");
  text.append("hello world");
  await turn();
  const heard: Delta[] = [];
  text.subscribe((changes) => heard.push(...changes.map((change) => change.delta as Delta)));
  const said = async (edit: () => void) => {
    heard.length = 0;
    edit();
    await turn();
    return heard.slice();
  };
  assert.deepEqual(await said(() => text.mark(6, 11, "bold", true)), [[{ retain: 6 }, { retain: 5, attributes: { bold: true } }]]);
  assert.deepEqual(await said(() => text.append("!")), [[{ retain: 11 }, { insert: "!", attributes: { bold: true } }]]);
  assert.deepEqual(await said(() => text.mark(8, 12, "bold", true)), []);
  assert.deepEqual(await said(() => text.mark(8, 12, "bold", null)), [[{ retain: 8 }, { retain: 4, attributes: { bold: null } }]]);
  assert.deepEqual(await said(() => text.insert(0, "x", { a: 1, b: 2 })), [[{ insert: "x", attributes: { a: 1, b: 2 } }]]);
  assert.deepEqual(await said(() => text.insert(1, "yz")), [[{ retain: 1 }, { insert: "yz", attributes: { a: 1, b: 2 } }]]);
  assert.deepEqual(await said(() => ["u", "v"].forEach((letter) => text.insert(3, letter))).then((deltas) => deltas.length), 2);
  const undone = await said(() => void space.undo());
  assert.ok(undone.length > 0);
});

test("a copy that hears of changes shows the same: local, remote, undo, given up", async (t) => {
  const { a, b, apart } = await pair(t);
  const [here, there] = [a.getText("t"), b.getText("t")];
  await apart(() => here.append("The quick brown fox jumps over the lazy dog."));
  const check = [shadow(here), shadow(there)];
  const same = async () => {
    await turn();
    check.forEach((one) => one());
  };
  let seed = 7;
  const below = (end: number) => (seed = (seed * 48_271) % 2_147_483_647) % end;
  const edit = (text: SharedText) => {
    const at = below(text.length + 1);
    const end = Math.min(text.length, at + 1 + below(9));
    if (below(3) === 0) text.insert(at, "abc".slice(below(3)), below(2) ? { k: below(3), bold: true } : undefined);
    else if (end === at) text.append("z");
    else if (below(3) === 0) text.delete(at, end - at);
    else text.mark(at, end, below(2) ? "bold" : "k", [null, true, 1, 2][below(4)] ?? null, { expand: below(2) ? "after" : "none" });
  };
  for (let round = 0; round < 12; round++) {
    await apart(() => {
      for (let i = 0; i < 4; i++) {
        a.transact(() => (edit(here), edit(here)));
        edit(there);
      }
      assert.throws(() => b.transact(() => (edit(there), edit(there), assert.fail("given up"))));
      if (round % 3 === 2) a.undo();
      if (round % 4 === 3) a.redo();
    });
    await same();
  }
});

test("without the latest of two marks the other shows again", async (t) => {
  const { a, b, apart } = await pair(t);
  await apart(() => a.getText("t").append("abcdef"));
  await apart(() => {
    a.transact(() => a.getText("t").mark(0, 4, "size", 1));
  });
  await apart(() => {
    b.transact(() => b.getText("t").mark(2, 6, "size", 2));
  });
  assert.deepEqual(a.getText("t").toDelta(), [{ insert: "ab", attributes: { size: 1 } }, { insert: "cdef", attributes: { size: 2 } }]);
  await apart(() => void b.undo());
  assert.deepEqual(a.getText("t").toDelta(), [{ insert: "abcd", attributes: { size: 1 } }, { insert: "ef" }]);
  await apart(() => void b.redo());
  assert.deepEqual(a.getText("t").toDelta(), [{ insert: "ab", attributes: { size: 1 } }, { insert: "cdef", attributes: { size: 2 } }]);
});

test("equal formatting has an equal hash, whatever led to it", async (t) => {
  const a = await openSpace(t);
  const text = a.getText("t");
  text.append("abcd");
  const plain = a.stateHash();
  a.transact(() => text.mark(0, 4, "bold", true));
  const bold = a.stateHash();
  assert.notEqual(bold, plain);
  a.transact(() => text.mark(0, 4, "bold", null));
  assert.equal(a.stateHash(), plain);
  a.transact(() => text.mark(0, 2, "bold", true));
  a.transact(() => text.mark(2, 4, "bold", true, { expand: "none" }));
  assert.equal(a.stateHash(), bold);
});

test("anchors and authors hold through undo and marks", async (t) => {
  const { a, b, apart } = await pair(t);
  const [here, there] = [a.getText("t"), b.getText("t")];
  await apart(() => here.append("abcd"));
  await apart(() => {
    b.transact(() => there.insert(2, "xyz"));
  });
  const [left, right] = [here.anchor(3, -1), here.anchor(4)]; // behind the x, before the z
  const where = () => [here.position(left), here.position(right)];
  const who = () => here.authors().map(({ member, length }) => [member === a.me ? "a" : "b", length]);
  assert.deepEqual(who(), [["a", 2], ["b", 3], ["a", 2]]);
  await apart(() => void b.undo());
  assert.deepEqual([where(), who()], [[2, 2], [["a", 4]]]);
  here.mark(0, 4, "bold", true);
  here.insert(0, "__");
  assert.deepEqual([where(), who()], [[4, 4], [["a", 6]]]);
  await apart(() => void b.redo());
  assert.deepEqual([where(), who()], [[5, 6], [["a", 4], ["b", 3], ["a", 2]]]);
});

test("history and changes name the text that was marked", async (t) => {
  const space = await openSpace(t);
  const text = space.getText("t");
  text.append("abc");
  space.flush();
  const changes: TextChange[] = [];
  text.subscribe((more) => changes.push(...more));
  await turn();
  changes.length = 0;
  space.transact(() => text.mark(0, 3, "k", 1), { message: "marked" });
  assert.deepEqual(changes.map(({ source, delta }) => [source, delta]), [["local", [{ retain: 3, attributes: { k: 1 } }]]]);
  const messages: (string | undefined)[] = [];
  for await (const { message } of space.history({ object: text })) messages.push(message);
  assert.deepEqual(messages, [undefined, "marked"]);
});

test("a view shows the marks of its time, diff tells of them, restore brings them back", async (t) => {
  const space = await openSpace(t);
  const text = space.getText("t");
  space.transact(() => text.append("hello world"));
  const { id: first } = space.transact(() => text.mark(0, 5, "bold", true));
  const marked = text.toDelta();
  const { id: second } = space.transact(() => (text.mark(3, 8, "bold", null), text.insert(11, "!", { size: 2 })));
  const now = text.toDelta();
  const [then, later] = [space.at(first), space.at(second)];
  assert.deepEqual([then.getText("t").toDelta(), later.getText("t").toDelta()], [marked, now]);
  const copy = letters(marked);
  for (const change of space.diff(then, later)) {
    assert.equal(change.object.name, "t");
    if (change.kind === "text") follow(copy, change.delta ?? []);
  }
  assert.deepEqual(copy, letters(now));
  space.restore(first);
  assert.deepEqual(text.toDelta(), marked);
  space.undo();
  assert.deepEqual(text.toDelta(), now);
});
