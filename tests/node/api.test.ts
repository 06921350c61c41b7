// The public API in Node: a space in memory and one in a folder, alone.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Change, destroy, list, open, type Space, type Write } from "stemma";
import { newFolder, openSpace } from "./ends.ts";

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const code = (expected: string, argument?: string) => (error: unknown) => {
  assert.ok(error instanceof Error);
  const { name, code, argument: named } = error as Error & { code?: string; argument?: string };
  assert.deepEqual({ name, code, ...(argument ? { argument: named } : {}) }, { name: "StemmaError", code: expected, ...(argument ? { argument } : {}) });
  return true;
};

/** One turn of the event loop after all microtasks. */
const turn = () => new Promise((resolve) => setTimeout(resolve));

test("a new space has ids, a writer, and nothing in it", async (t) => {
  const s = await openSpace(t);
  for (const id of [s.id, s.me, s.actor]) assert.match(id, /^[0-9a-f]{64}$/);
  assert.equal(s.role, "owner");
  assert.deepEqual(s.names(), []);
  assert.deepEqual(s.getMap("m").toJSON(), {});
  assert.equal(s.getText("t").toString(), "");
});

test("init runs on creation only, as one transaction, and its throw makes nothing", async (t) => {
  const dir = await newFolder(t);
  const failing = open({ name: "init", storage: { dir }, init: () => { throw new RangeError("no"); } });
  await assert.rejects(failing, RangeError);
  let runs = 0;
  const init = (s: Space) => {
    runs++;
    s.getMap("m").set("a", 1);
    s.getText("t").append("x");
  };
  const first = await open({ name: "init", storage: { dir }, init });
  assert.equal((await collect(first.history())).filter(({ ops }) => ops === 2).length, 1);
  await first.close();
  const again = await openSpace(t, { name: "init", storage: { dir }, init });
  assert.equal(again.getMap("m").get("a"), 1);
  assert.equal(again.getText("t").toString(), "x");
  assert.equal(runs, 1);
});

test("an asynchronous init is refused", async () => {
  await assert.rejects(open({ name: "async-init", init: async () => {} }), code("E_ARGUMENT", "init"));
});

test("a name that is open gives the same space, closing gives a fresh one", async (t) => {
  const [one, two] = await Promise.all([open({ name: "same" }), open({ name: "same" })]);
  assert.equal(one, two);
  const closing = one.close();
  const three = await openSpace(t, { name: "same" });
  await closing;
  assert.notEqual(three, one);
});

test("an aborted opening rejects with the reason and leaves the name free", async (t) => {
  await assert.rejects(open({ name: "abort", signal: AbortSignal.abort() }), { name: "AbortError" });
  const controller = new AbortController();
  const opening = open({ name: "abort", signal: controller.signal });
  controller.abort();
  await assert.rejects(opening, { name: "AbortError" });
  const s = await openSpace(t, { name: "abort" });
  assert.equal(s.getMap("m").size, 0);
});

test("a map reads what was written, in key order, frozen and reference-stable", async (t) => {
  const m = (await openSpace(t)).getMap("m");
  const value = { list: [1, { deep: true }], bytes: new Uint8Array([1, 2]), big: 12345678901234567890n, none: null, minus: -0.5 };
  assert.equal(m.set("b", value), m);
  m.set("a", "first");
  const read = m.get("b") as typeof value;
  assert.notEqual(read, value);
  assert.deepEqual(read, value);
  assert.equal(m.get("b"), read);
  assert.ok(Object.isFrozen(read) && Object.isFrozen(read.list) && Object.isFrozen(read.list[1]));
  assert.deepEqual([...m.keys()], ["a", "b"]);
  assert.deepEqual([...m.values()], ["first", value]);
  assert.deepEqual([...m], [["a", "first"], ["b", value]]);
  const seen: unknown[] = [];
  m.forEach((v, k, map) => seen.push([k, v, map === m]));
  assert.deepEqual(seen, [["a", "first", true], ["b", value, true]]);
  const json = m.toJSON();
  assert.equal(m.toJSON(), json);
  assert.equal(m.size, 2);
  assert.equal(m.has("a"), true);
  m.set("a", "second");
  assert.equal(m.get("b"), read, "another key keeps its value");
  assert.notEqual(m.toJSON(), json);
  assert.equal(m.delete("a"), true);
  assert.equal(m.delete("a"), false);
  assert.equal(m.get("a"), undefined);
  assert.equal(m.size, 1);
  assert.deepEqual(m.conflicts("b"), [value]);
  assert.deepEqual(m.conflicts("a"), []);
});

test("numbers keep their sign, their fraction and their size", async (t) => {
  const m = (await openSpace(t)).getMap("m");
  for (const number of [0, -0, 1.5, -1, 2 ** 53, Number.MAX_SAFE_INTEGER, 5e-324, Number.MAX_VALUE]) {
    m.set("n", number);
    assert.ok(Object.is(m.get("n"), number), String(number));
  }
  for (const big of [0n, -1n, 2n ** 64n, -(2n ** 8191n)]) {
    m.set("n", big);
    assert.equal(m.get("n"), big);
  }
});

test("__proto__ is an ordinary key, of a map and inside a value", async (t) => {
  const m = (await openSpace(t)).getMap("m");
  m.set("__proto__", 1);
  m.set("v", JSON.parse('{"__proto__": {"polluted": 1}}'));
  assert.equal(m.get("__proto__"), 1);
  assert.deepEqual(Object.keys(m.toJSON()), ["__proto__", "v"]);
  const value = m.get("v") as object;
  assert.deepEqual(Object.entries(value), [["__proto__", { polluted: 1 }]]);
  assert.equal("polluted" in value, false);
});

test("what a caller does to its objects later does not matter", async (t) => {
  const m = (await openSpace(t)).getMap("m");
  const value = { list: [1] };
  m.set("k", value);
  value.list.push(2);
  assert.deepEqual(m.get("k"), { list: [1] });
});

test("a text takes insertions, deletions and appends in UTF-16 units", async (t) => {
  const text = (await openSpace(t)).getText("t");
  text.insert(0, "héllo");
  text.append(" 🙂 end");
  assert.equal(text.length, "héllo 🙂 end".length);
  text.delete(1, 4);
  assert.equal(text.toString(), "h 🙂 end");
  assert.equal(text.toJSON(), "h 🙂 end");
  assert.equal(text.slice(2, 4), "🙂");
  assert.equal(text.slice(4), " end");
  assert.deepEqual(text.toDelta(), [{ insert: "h 🙂 end" }]);
  assert.equal(text.toDelta(), text.toDelta());
});

test("a lone surrogate becomes U+FFFD", async (t) => {
  const s = await openSpace(t);
  s.getText("t").append("a\ud83db");
  assert.equal(s.getText("t").toString(), "a\ufffdb");
  s.getMap("m").set("k\udc00", "\ud800");
  assert.equal(s.getMap("m").get("k\ufffd"), "\ufffd");
  assert.equal(s.getMap("m").get("k\udc00"), "\ufffd");
  s.getMap("m").set("k\ufffd", 2);
  assert.equal(s.getMap("m").get("k\udc00"), 2);
});

test("applyDelta applies steps, or nothing", async (t) => {
  const text = (await openSpace(t)).getText("t");
  text.applyDelta([{ insert: "hello world" }]);
  text.applyDelta([{ retain: 5 }, { insert: "," }, { retain: 1 }, { delete: 5 }, { insert: "there" }]);
  assert.equal(text.toString(), "hello, there");
  for (const delta of [[{ retain: 13 }], [{ delete: 1 }, { retain: 12 }], [{ insert: 1 }], [{ bold: 1 }], [{}], [{ retain: -1 }], [{ insert: "a", delete: 1 }], [null], "x"]) {
    assert.throws(() => text.applyDelta(delta as never), code("E_ARGUMENT", "delta"));
  }
  assert.equal(text.toString(), "hello, there");
});

test("update writes a small difference", async (t) => {
  const s = await openSpace(t);
  const text = s.getText("t");
  text.append("one\ntwo\nthree\n");
  const seen: Change[] = [];
  await turn();
  s.subscribe((changes) => seen.push(...changes));
  s.transact(() => text.update("one\n2\nthree!\n"));
  assert.equal(text.toString(), "one\n2\nthree!\n");
  const removed = seen.flatMap((change) => (change.kind === "text" ? (change.delta ?? []) : [])).reduce((sum, step) => sum + ("delete" in step ? step.delete : 0), 0);
  assert.equal(removed, 3);
});

test("an anchor moves with its text", async (t) => {
  const text = (await openSpace(t)).getText("t");
  text.append("abcd");
  const left = text.anchor(2, -1);
  const right = text.anchor(2, 1);
  text.insert(2, "XY");
  assert.equal(text.position(left), 2);
  assert.equal(text.position(right), 4);
  text.insert(0, "__");
  assert.equal(text.position(right), 6);
  assert.throws(() => text.position(new Uint8Array([255, 1, 2])), code("E_ARGUMENT", "anchor"));
});

test("an anchor seals the open batch only if it stands beside what was typed in it", async (t) => {
  const s = await openSpace(t);
  const text = s.getText("t");
  text.append("abcd");
  s.flush();
  const before = s.stats().changesets;
  text.insert(2, "new");
  for (const [index, bias] of [[1, 1], [2, -1], [5, 1], [9, 1], [0, -1]] as const) text.anchor(Math.min(index, text.length), bias);
  assert.equal(s.stats().changesets, before);
  const anchor = text.anchor(5, -1); // behind the w
  assert.equal(s.stats().changesets, before + 1);
  text.insert(0, "_");
  assert.equal(text.position(anchor), 6);
});

test("authors lists who wrote what", async (t) => {
  const s = await openSpace(t);
  s.getText("t").append("abc");
  assert.deepEqual(s.getText("t").authors(), [{ member: s.me, actor: s.actor, length: 3 }]);
});

test("a transaction is one changeset with its message and headers", async (t) => {
  const s = await openSpace(t);
  const write = s.transact(
    () => {
      s.getMap("m").set("a", 1).set("b", 2);
      s.getText("t").append("hi");
    },
    { message: "greet", headers: { by: "test" }, command: "cmd-1" },
  );
  const newest = (await collect(s.history())).at(-1);
  assert.equal(newest?.id, write.id);
  assert.equal(newest?.message, "greet");
  assert.deepEqual(newest?.headers, { by: "test" });
  assert.equal(newest?.ops, 3);
  assert.equal(newest?.status, "integrated");
  assert.deepEqual(s.heads, [write.id]);
  assert.equal(s.stream(s.actor)?.head, write.id);
  assert.equal(s.stream("0".repeat(64)), undefined);
});

test("a throw removes the edits of its transaction only", async (t) => {
  const s = await openSpace(t);
  const m = s.getMap("m");
  m.set("before", 1);
  const boom = new Error("boom");
  assert.throws(() => s.transact(() => {
    m.set("before", 2).set("inside", 1);
    assert.equal(m.get("inside"), 1);
    s.getText("t").append("gone");
    throw boom;
  }), (error) => error === boom);
  assert.deepEqual(m.toJSON(), { before: 1 });
  assert.equal(s.getText("t").toString(), "");
});

test("a thenable is refused and its edits removed", async (t) => {
  const s = await openSpace(t);
  assert.throws(() => s.transact(async () => { s.getMap("m").set("a", 1); }), code("E_ARGUMENT", "fn"));
  assert.deepEqual(s.getMap("m").toJSON(), {});
});

test("a transaction without edits gives the last write", async (t) => {
  const s = await openSpace(t);
  const first = s.transact(() => s.getMap("m").set("a", 1));
  assert.equal(s.transact(() => {}).id, first.id);
  assert.equal(s.flush().id, first.id);
});

test("nested transactions join the outermost", async (t) => {
  const s = await openSpace(t);
  const m = s.getMap("m");
  let inner: Write | undefined;
  const before = (await collect(s.history())).length;
  const outer = s.transact(
    () => {
      m.set("a", 1);
      inner = s.transact(() => m.set("b", 2), { message: "inner" });
      assert.equal(s.flush(), inner);
      assert.throws(() => inner?.id, code("E_ARGUMENT"));
      assert.throws(() => s.transact(() => { m.set("a", 9).set("c", 3); throw new Error("inner"); }), /inner/);
      assert.deepEqual(m.toJSON(), { a: 1, b: 2 }, "an inner throw rolls back to the inner start");
      assert.throws(() => s.transact(() => {}, { command: "x" }), code("E_ARGUMENT", "command"));
      assert.throws(() => s.transact(async () => { m.set("d", 4); }), code("E_ARGUMENT", "fn"));
    },
    { message: "outer" },
  );
  assert.equal(inner, outer);
  assert.deepEqual(m.toJSON(), { a: 1, b: 2 });
  const after = await collect(s.history());
  assert.equal(after.length, before + 1);
  assert.equal(after.at(-1)?.message, "outer");
});

test("a write of a transaction that was rolled back has no id and is never saved", async (t) => {
  const s = await openSpace(t);
  let inner: Write | undefined;
  assert.throws(() => s.transact(() => {
    inner = s.transact(() => s.getMap("m").set("a", 1));
    throw new Error("outer");
  }), /outer/);
  assert.throws(() => inner?.id, code("E_ARGUMENT"));
  await assert.rejects(inner!.saved("local"), /outer/);
});

test("listeners hear a transaction once, before it returns, with its origin", async (t) => {
  const s = await openSpace(t);
  const m = s.getMap("m");
  const calls: (readonly Change[])[] = [];
  const ofMap: unknown[] = [];
  const origin = Symbol("origin");
  s.subscribe((changes) => calls.push(changes));
  m.subscribe((changes) => ofMap.push(...changes.flatMap(({ keys }) => keys)));
  s.transact(() => {
    m.set("a", 1).set("b", 2);
    s.getText("t").append("xy");
    assert.equal(calls.length, 0);
  }, { origin });
  assert.equal(calls.length, 1);
  const changes = calls[0] ?? [];
  assert.ok(changes.every((change) => change.source === "local" && change.origin === origin && change.member === s.me && change.actor === s.actor));
  assert.deepEqual(changes.find(({ object }) => object.kind === "text")?.delta, [{ insert: "xy" }]);
  assert.deepEqual(new Set(ofMap), new Set(["a", "b"]));
});

test("loose edits are told once per microtask", async (t) => {
  const s = await openSpace(t);
  const text = s.getText("t");
  let calls = 0;
  text.subscribe(() => calls++);
  for (const char of "hello") text.append(char);
  assert.equal(calls, 0);
  await null;
  assert.equal(calls, 1);
});

test("a loose edit made before a transaction does not get its origin", async (t) => {
  const s = await openSpace(t);
  const seen: unknown[] = [];
  s.subscribe((changes) => seen.push(...changes.map(({ keys, origin }) => [keys, origin])));
  s.getMap("m").set("loose", 1);
  s.transact(() => s.getMap("m").set("tx", 1), { origin: "o" });
  assert.deepEqual(seen, [[["loose"], undefined], [["tx"], "o"]]);
});

test("a listener that undoes sees at once what is left", async (t) => {
  const s = await openSpace(t);
  const text = s.getText("t");
  s.transact(() => text.append("abc"));
  const seen: string[] = [];
  text.subscribe(({ length }) => {
    if (length === 0 || seen.length > 0) return;
    seen.push(text.toString());
    s.undo();
    seen.push(text.toString());
  });
  text.append("x");
  await null;
  assert.deepEqual(seen, ["abcx", "abc"]);
});

test("a listener may write, and its writes are told after", async (t) => {
  const s = await openSpace(t);
  const m = s.getMap("m");
  const order: string[] = [];
  s.subscribe((changes) => {
    for (const { keys } of changes) order.push(...((keys ?? []) as string[]));
    if (!m.has("answer")) s.transact(() => m.set("answer", 42));
  });
  s.transact(() => m.set("question", 1));
  assert.deepEqual(order, ["question", "answer"]);
});

test("a listener that throws stops nobody and is reported", async (t) => {
  const s = await openSpace(t);
  const caught: unknown[] = [];
  const onUncaught = (error: unknown) => caught.push(error);
  process.setUncaughtExceptionCaptureCallback(onUncaught);
  t.after(() => process.setUncaughtExceptionCaptureCallback(null));
  const boom = new Error("from a listener");
  let heard = 0;
  s.subscribe(() => { throw boom; });
  s.subscribe(() => heard++);
  s.transact(() => s.getMap("m").set("a", 1));
  assert.equal(heard, 1);
  await turn();
  assert.deepEqual(caught, [boom]);
});

test("who is told is who listens when their turn comes, but for those who begin meanwhile", async (t) => {
  const s = await openSpace(t);
  const m = s.getMap("m");
  const calls: string[] = [];
  const ends: (() => void)[] = [];
  m.subscribe(() => {
    calls.push("first");
    ends[0]?.();
    if (calls.length === 1) m.subscribe(() => calls.push("late"));
  });
  ends.push(m.subscribe(() => calls.push("second")));
  m.subscribe(() => calls.push("third"));
  s.transact(() => m.set("a", 1));
  assert.deepEqual(calls, ["first", "third"]);
  s.transact(() => m.set("a", 2));
  assert.deepEqual(calls.slice(2), ["first", "third", "late"]);
});

test("transactions in the middle of telling leave what is told of others alone", async (t) => {
  const s = await openSpace(t);
  const [m, other] = [s.getMap("m"), s.getMap("other")];
  const told: (readonly [string, readonly string[]])[] = [];
  s.subscribe((changes) => {
    if (!other.has("a")) s.transact(() => other.set("a", 1).set("b", 2).set("a", 3));
    told.push(...changes.map(({ object, keys }) => [object.name, keys as readonly string[]] as const));
  });
  const writes = ["k", "l"].map((key) => s.transact(() => m.set(key, 1)));
  assert.deepEqual(told, [["m", ["k"]], ["other", ["a", "b"]], ["m", ["l"]]]);
  assert.throws(() => s.transact(() => { m.set("k", 2).set("l", 2); throw new RangeError("no"); }), RangeError);
  assert.deepEqual([told.length, m.get("k"), m.get("l")], [3, 1, 1]);
  writes.push(s.transact(() => m.set("n", 1)));
  assert.deepEqual(told.at(-1), ["m", ["n"]]);
  assert.equal(new Set(writes.map(({ id }) => id)).size, 3);
  assert.ok(writes.every((write) => Object.isFrozen(write)));
});

test("a subscription ends by its function or its signal", async (t) => {
  const s = await openSpace(t);
  const m = s.getMap("m");
  let calls = 0;
  const end = m.subscribe(() => calls++);
  const controller = new AbortController();
  m.subscribe(() => calls++, { signal: controller.signal });
  m.subscribe(() => calls++, { signal: AbortSignal.abort() });
  s.transact(() => m.set("a", 1));
  assert.equal(calls, 2);
  end();
  end();
  controller.abort();
  s.transact(() => m.set("a", 2));
  assert.equal(calls, 2);
});

test("a write is saved, and seen by nobody yet", async (t) => {
  const s = await openSpace(t);
  const write = s.transact(() => s.getMap("m").set("a", 1));
  await write.saved("local");
  await write.saved("local");
  assert.equal(write.seenBy(), 0);
});

test("a folder keeps everything over a reload", async (t) => {
  const dir = await newFolder(t);
  const before = await open({ name: "reload", storage: { dir } });
  before.getText("t").append("hello ");
  before.transact(() => before.getMap("m").set("k", { deep: [1, 2n] }));
  before.getText("t").append("world");
  const [id, me, hash] = [before.id, before.me, before.stateHash()];
  await before.close();
  const after = await openSpace(t, { name: "reload", storage: { dir } });
  assert.deepEqual([after.id, after.me, after.stateHash()], [id, me, hash]);
  assert.equal(after.getText("t").toString(), "hello world");
  assert.deepEqual(after.getMap("m").get("k"), { deep: [1, 2n] });
  assert.deepEqual(after.names().map(({ name }) => name).sort(), ["m", "t"]);
});

test("a folder in use is refused, not shared", async (t) => {
  const dir = await newFolder(t);
  await openSpace(t, { name: "one", storage: { dir } });
  await assert.rejects(open({ name: "two", storage: { dir } }), code("E_STORAGE_BLOCKED"));
});

test("destroy removes the local copy", async (t) => {
  const dir = await newFolder(t);
  const before = await open({ name: "gone", storage: { dir } });
  before.transact(() => before.getMap("m").set("a", 1));
  const { id } = before;
  await destroy("gone", { storage: { dir } });
  assert.throws(() => before.getMap("m"), code("E_CLOSED"));
  const after = await openSpace(t, { name: "gone", storage: { dir } });
  assert.notEqual(after.id, id);
  assert.deepEqual(await list(), []);
});

test("export and import carry a whole space, more than once", async (t) => {
  const source = await openSpace(t);
  source.transact(() => source.getMap("m").set("a", 1));
  source.getText("t").append("loose");
  const bytes = await source.export();
  const target = await openSpace(t, { invite: await source.invite() });
  assert.equal(target.id, source.id);
  const first = await target.import(bytes);
  assert.equal(first.refused + first.pending, 0);
  assert.ok(first.added > 0);
  assert.equal(target.stateHash(), source.stateHash());
  const second = await target.import(bytes);
  assert.equal(second.added, 0);
  assert.equal(second.known, first.added + first.known);
  await assert.rejects(target.import(new Uint8Array([1, 2, 3])), (error: Error & { code: string }) => /^E_/.test(error.code));
});

test("the history tells the command of a transaction, of every changeset that it became", async (t) => {
  const s = await openSpace(t);
  const large = "x".repeat(200_000);
  s.transact(() => s.getMap("m").set("a", large).set("b", large), { command: "order 17", message: "An order" });
  s.transact(() => s.getMap("m").set("a", 1));
  s.define("Paid", { version: 1 });
  s.emit("Paid", { concerns: "invoice", command: "pay 3" });
  const told = [];
  for await (const { command, message } of s.history()) told.push([command, message]);
  assert.deepEqual(told, [["order 17", "An order"], ["order 17", undefined], [undefined, undefined], ["pay 3", undefined]]);
});

test("history is paged, filtered and limited", async (t) => {
  const s = await openSpace(t);
  const text = s.getText("t");
  for (let i = 0; i < 600; i++) s.transact(() => (i % 100 === 0 ? s.getMap("m").set("k", i) : text.append("x")));
  assert.ok((await collect(s.history())).length >= 600);
  assert.equal((await collect(s.history({ limit: 5 }))).length, 5);
  assert.equal((await collect(s.history({ object: s.getMap("m"), key: "k" }))).length, 6);
  assert.equal((await collect(s.history({ actor: "0".repeat(64) }))).length, 0);
  assert.equal((await collect(s.history({ member: s.me, until: 0 }))).length, 0);
  const writes = s.getMap("m").history("k");
  assert.deepEqual(writes.map(({ value }) => value), [0, 100, 200, 300, 400, 500]);
  assert.deepEqual(writes.map(({ live }) => live), [false, false, false, false, false, true]);
});

test("a closed space answers nothing, and whoever waits is told", async () => {
  const s = await open({ name: "closing" });
  const m = s.getMap("m");
  m.set("a", 1);
  assert.equal(m.get("a"), 1);
  const waiting = s.flush().saved("relay");
  const settled = s.sync.settled();
  const closing = s.close();
  for (const call of [() => m.get("a"), () => m.set("a", 2), () => s.getText("t"), () => s.heads, () => s.transact(() => {}), () => s.flush(), () => s.stateHash(), () => s.subscribe(() => {}), () => s.sync.status]) {
    assert.throws(call, code("E_CLOSED"));
  }
  await closing;
  await s.close();
  await assert.rejects(waiting, code("E_CLOSED"));
  await assert.rejects(settled, code("E_CLOSED"));
  await assert.rejects(s.invite(), code("E_CLOSED"));
});

test("a space is disposed of by close", async () => {
  const s = await open({ name: "dispose" });
  await s[Symbol.asyncDispose]();
  assert.throws(() => s.heads, code("E_CLOSED"));
});
