// Every misuse throws a StemmaError that names the argument, and changes nothing.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { destroy, open, type Space } from "stemma";

let s: Space;
before(async () => (s = await open({ name: "misuse" })));
after(() => s.close());

const wrong = (argument: string) => (error: unknown) => {
  const { name, code, argument: named } = error as { name: string; code: string; argument: string };
  assert.deepEqual({ name, code, named }, { name: "StemmaError", code: "E_ARGUMENT", named: argument });
  return true;
};

/** Types that plain JavaScript does not have. */
const any = <T>(value: unknown) => value as T;

test("open", async () => {
  for (const [argument, o] of [
    ["o", undefined],
    ["o", 5],
    ["name", {}],
    ["name", { name: "" }],
    ["name", { name: 5 }],
    ["nmae", { name: "x", nmae: "x" }],
    ["storage", { name: "x", storage: "disk" }],
    ["storage", { name: "x", storage: { dir: 5 } }],
    ["folder", { name: "x", storage: { dir: "x", folder: "y" } }],
    ["storage", { name: "x", storage: { open() {} } }],
    ["relay", { name: "x", relay: "http://relay" }],
    ["relay", { name: "x", relay: ["not an address"] }],
    ["relay", { name: "x", relay: 5 }],
    ["invite", { name: "x", invite: 5 }],
    ["init", { name: "x", init: "no" }],
    ["batchMs", { name: "x", batchMs: -1 }],
    ["batchMs", { name: "x", batchMs: 1.5 }],
    ["webSocket", { name: "x", webSocket: {} }],
    ["signal", { name: "x", signal: {} }],
  ] as const) {
    await assert.rejects(open(any(o)), wrong(argument), JSON.stringify(o));
  }
  await assert.rejects(destroy(any(5)), wrong("name"));
});

test("an invite that is none", async () => {
  for (const invite of ["", "hello", "stemma1.", "stemma1.AAAA", `stemma1.${"A".repeat(400)}`]) {
    await assert.rejects(open({ name: "no-invite", invite }), { name: "StemmaError", code: "E_INVITE" }, invite);
  }
});

test("names and options of objects", () => {
  assert.throws(() => s.getMap(any(5)), wrong("name"));
  assert.throws(() => s.getText(""), wrong("name"));
  assert.throws(() => s.getText("x".repeat(5000)), wrong("name"));
  assert.throws(() => s.getMap("m", any({ size: 1 })), wrong("size"));
  assert.throws(() => any<(name: string, o: object) => void>(s.getText.bind(s))("t", {}), { code: "E_UNSUPPORTED" });
  s.getMap("as-map");
  assert.throws(() => s.getText("as-map"), { code: "E_ARGUMENT" });
});

test("keys and values of maps", () => {
  const m = s.getMap("m");
  const cycle: unknown[] = [];
  cycle.push(cycle);
  let deep: unknown = 1;
  for (let i = 0; i < 101; i++) deep = [deep];
  for (const value of [undefined, NaN, Infinity, () => {}, Symbol("s"), new Date(), new Map(), new (class Point {})(), cycle, deep, [undefined], new Array(1), { a: undefined }, { [Symbol("s")]: 1 }, new Uint16Array(1), new ArrayBuffer(1), 2n ** 8192n, { a: { b: [NaN] } }]) {
    assert.throws(() => m.set("k", any(value)), wrong("value"));
  }
  assert.throws(() => m.set("k", any({ a: { b: [1, NaN] } })), /value\.a\.b\[1\]/);
  for (const call of [() => m.set(any(5), 1), () => m.get(any(undefined)), () => m.has(any({})), () => m.delete(any(null)), () => m.conflicts(any(1)), () => m.history(any(1)), () => m.set("k".repeat(5000), 1)]) {
    assert.throws(call, wrong("key"));
  }
  assert.throws(() => m.forEach(any(1)), wrong("cb"));
  assert.deepEqual(m.toJSON(), {});
  let sound: unknown = 1;
  for (let i = 0; i < 99; i++) sound = [sound];
  m.set("k", any(sound));
  assert.deepEqual(m.get("k"), sound);
});

test("indices and lengths of texts", () => {
  const text = s.getText("t");
  text.append("abc");
  for (const index of [-1, 4, 1.5, NaN, Infinity, "1", undefined]) {
    assert.throws(() => text.insert(any(index), "x"), wrong("index"));
    assert.throws(() => text.anchor(any(index)), wrong("index"));
    assert.throws(() => text.delete(any(index), 0), wrong("index"));
  }
  assert.throws(() => text.delete(1, 3), wrong("length"));
  assert.throws(() => text.delete(1, -1), wrong("length"));
  assert.throws(() => text.insert(0, any(5)), wrong("text"));
  assert.throws(() => text.append(any(undefined)), wrong("text"));
  assert.throws(() => text.update(any(null)), wrong("text"));
  assert.throws(() => text.slice(2, 1), wrong("start"));
  assert.throws(() => text.slice(-1), wrong("start"));
  assert.throws(() => text.slice(0, 9), wrong("end"));
  assert.throws(() => text.anchor(0, any(0)), wrong("bias"));
  assert.throws(() => text.position(any("x")), wrong("anchor"));
  assert.equal(text.toString(), "abc");
});

test("transactions", () => {
  assert.throws(() => s.transact(any(5)), wrong("fn"));
  assert.throws(() => s.transact(() => {}, any({ mesage: "x" })), wrong("mesage"));
  assert.throws(() => s.transact(() => {}, any({ message: 5 })), wrong("message"));
  assert.throws(() => s.transact(() => {}, any({ headers: new Date() })), wrong("headers"));
  assert.throws(() => s.transact(() => {}, any({ command: 5 })), wrong("command"));
  for (const [argument, o] of [
    ["message", { message: "x".repeat(9_000) }],
    ["message", { message: "x".repeat(8_000), headers: ["y".repeat(1_000)] }],
    ["headers", { message: "x", headers: ["y".repeat(9_000)] }],
    ["command", { command: "x".repeat(5_000) }],
  ] as const) {
    assert.throws(() => s.transact(() => {}, any(o)), { name: "StemmaError", code: "E_EVENT_TOO_LARGE", argument });
  }
  let ran = false;
  assert.throws(() => s.transact(() => { ran = true; }, any({ unknown: 1 })));
  assert.equal(ran, false);
});

test("what cannot happen inside a transaction", async () => {
  const refused: Promise<unknown>[] = [];
  s.transact(() => {
    refused.push(s.export(), s.import(new Uint8Array(1)));
    for (const promise of refused) promise.catch(() => {});
  });
  await assert.rejects(refused[0]!, wrong("fn"));
  await assert.rejects(refused[1]!, wrong("fn"));
  let closing: Promise<void> | undefined;
  s.transact(() => {
    closing = s.close();
    closing.catch(() => {});
  });
  await assert.rejects(closing!, wrong("fn"));
});

test("waits and listeners", async () => {
  const write = s.flush();
  await assert.rejects(write.saved(any("disk")), wrong("tier"));
  await assert.rejects(write.saved("local", any({ sginal: 1 })), wrong("sginal"));
  await assert.rejects(write.saved("local", any({ signal: {} })), wrong("signal"));
  await assert.rejects(write.saved("relay", { signal: AbortSignal.abort() }), { name: "AbortError" });
  const controller = new AbortController();
  s.getMap("m").set("w", 1);
  const waiting = s.flush().saved("relay", { signal: controller.signal });
  const settled = s.sync.settled({ signal: controller.signal });
  controller.abort();
  await assert.rejects(waiting, { name: "AbortError" });
  await assert.rejects(settled, { name: "AbortError" });
  assert.throws(() => s.subscribe(any(5)), wrong("cb"));
  assert.throws(() => s.subscribe(() => {}, any({ once: true })), wrong("once"));
  assert.throws(() => s.getMap("m").subscribe(any({})), wrong("cb"));
  assert.throws(() => s.on(any<"sync">("audit"), () => {}), wrong("type"));
  assert.throws(() => s.on("sync", any<() => void>(5)), wrong("cb"));
});

test("history, streams, invites, imports and connections", async () => {
  assert.throws(() => s.history(any({ objekt: 1 })), wrong("objekt"));
  assert.throws(() => s.history({ object: any({ kind: "map" }) }), wrong("object"));
  assert.throws(() => s.history({ key: "k" }), wrong("key"));
  assert.throws(() => s.history({ object: s.getText("t"), key: "k" }), wrong("key"));
  assert.throws(() => s.history({ limit: -1 }), wrong("limit"));
  assert.throws(() => s.history({ since: new Date(NaN) }), wrong("since"));
  assert.throws(() => s.history({ actor: any(5) }), wrong("actor"));
  assert.throws(() => s.stream(any(5)), wrong("actor"));
  await assert.rejects(s.invite(any({ role: "owner" })), wrong("role"));
  await assert.rejects(s.invite({ uses: 0 }), wrong("uses"));
  await assert.rejects(s.invite({ expires: new Date(0) }), wrong("expires"));
  await assert.rejects(s.invite({ expires: new Date(NaN) }), wrong("expires"));
  await assert.rejects(s.import(any("x")), wrong("bytes"));
  assert.throws(() => s.sync.connect("relay.example"), wrong("url"));
  assert.throws(() => s.sync.disconnect(any(5)), wrong("url"));
  assert.throws(() => s.sync.attach(any({})), wrong("port"));
});

test("another space's handle", async () => {
  const other = await open({ name: "misuse-other" });
  assert.throws(() => s.history({ object: other.getMap("m") }), wrong("object"));
  await other.close();
});
