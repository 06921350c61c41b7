/** Counters, sets, carts and coupled keys, through the public API. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { type Change, type Space, StemmaError } from "stemma";
import { atEnd, openSpace } from "./ends.ts";

/** A space and one that joined it, joined by a port; `apart` edits both while they do not hear of each other. */
async function pair(t: Parameters<typeof openSpace>[0]): Promise<{ a: Space; b: Space; apart: (edit: () => void) => Promise<void> }> {
  const a = await openSpace(t);
  const b = await openSpace(t, { invite: await a.invite() });
  let detach: (() => void)[] = [];
  const join = () => {
    const { port1, port2 } = new MessageChannel();
    detach = [a.sync.attach(port1 as never), b.sync.attach(port2 as never)];
  };
  const settle = async () => {
    for (let i = 0; i < 400 && a.viewDigest() !== b.viewDigest(); i++) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(a.viewDigest(), b.viewDigest());
    assert.equal(a.stateHash(), b.stateHash());
  };
  join();
  atEnd(t, () => detach.forEach((end) => end()));
  await settle();
  return {
    a,
    b,
    async apart(edit) {
      detach.forEach((end) => end());
      edit();
      a.flush();
      b.flush();
      join();
      await settle();
    },
  };
}

test("a counter adds up what everybody added", async (t) => {
  const { a, b, apart } = await pair(t);
  const [here, there] = [a.getCounter("stock"), b.getCounter("stock")];
  await apart(() => {
    here.add(5).add(-2);
    there.add(10);
  });
  assert.deepEqual([here.value, there.value], [13, 13]);
  const heard: (number | undefined)[] = [];
  here.subscribe((changes) => heard.push(...changes.map((change) => change.delta)));
  a.transact(() => here.add().add().add(4));
  assert.deepEqual(heard, [6]);
  assert.equal(here.toJSON(), 19);
});

test("a counter refuses what it cannot count, and is unchanged", async (t) => {
  const space = await openSpace(t);
  const counter = space.getCounter("c");
  const grows = space.getCounter("likes", { kind: "g" });
  const wrong = (argument: string) => (error: unknown) =>
    error instanceof StemmaError && error.code === "E_ARGUMENT" && error.argument === argument;
  for (const n of [1.5, Number.NaN, Infinity, 2 ** 53, "1" as never, null as never]) {
    assert.throws(() => counter.add(n), wrong("n"));
  }
  assert.throws(() => grows.add(-1), wrong("n"));
  counter.add(Number.MAX_SAFE_INTEGER);
  assert.throws(() => counter.add(1), wrong("n"));
  assert.equal(counter.value, Number.MAX_SAFE_INTEGER);
  counter.add(-Number.MAX_SAFE_INTEGER).add(-Number.MAX_SAFE_INTEGER);
  assert.throws(() => counter.add(-1), wrong("n"));
  assert.equal(grows.add(0).value, 0);
});

test("one name is one kind with its options in a session", async (t) => {
  const space = await openSpace(t);
  const likes = space.getCounter("likes", { kind: "g" });
  assert.equal(space.getCounter("likes", { kind: "g" }), likes);
  const wrong = (argument: string) => (error: unknown) => error instanceof StemmaError && error.argument === argument;
  assert.throws(() => space.getCounter("likes"), wrong("o"));
  assert.throws(() => space.getMap("likes"), wrong("kind"));
  assert.throws(() => space.getSet("s", { kind: "g" as never }), wrong("kind"));
  assert.throws(() => space.getCounter("c", { size: 1 } as never), wrong("size"));
  assert.equal(space.getCounter("plain", { kind: "pn" }), space.getCounter("plain"));
});

test("of a concurrent add and remove an or-set keeps the add, a lww-set the later one", async (t) => {
  const { a, b, apart } = await pair(t);
  const sets = [a, b].map((space) => ({ or: space.getSet("or"), lww: space.getSet("lww", { kind: "lww" }) }));
  const [here, there] = sets as [(typeof sets)[0], (typeof sets)[0]];
  await apart(() => {
    here.or.add("x", 1);
    here.lww.add("x", 1);
  });
  assert.equal(there.or.get("x"), 1);
  await apart(() => {
    here.or.add("x", 2);
    here.lww.add("x", 2);
    // One transaction follows the other, so its time is the later one.
    there.or.add("later");
    assert.ok(there.or.delete("x"));
    there.lww.add("later");
    assert.ok(there.lww.delete("x"));
  });
  assert.deepEqual([here.or.get("x"), there.or.get("x")], [2, 2]);
  assert.equal(here.lww.has("x"), there.lww.has("x"));
  assert.ok(!here.or.delete("never"));
});

test("elements are values, told by what they are", async (t) => {
  const space = await openSpace(t);
  const set = space.getSet("s");
  const all = ["1", 1, 1n, true, null, -0, 0, new Uint8Array([1, 2]), [1, "a"], { b: 1, a: [null] }, "é", "\u{1f600}"];
  for (const value of all) set.add(value);
  set.add({ a: [null], b: 1 });
  assert.equal(set.size, all.length);
  for (const value of all) assert.ok(set.has(value), String(value));
  const read = [...set];
  assert.deepEqual(new Set(read.map(written)), new Set(all.map(written)));
  assert.equal(set.toJSON(), set.toJSON());
  assert.ok(Object.isFrozen(set.toJSON()));
  const heard: Change[] = [];
  await null; // what was added is told before
  space.subscribe((changes) => heard.push(...changes));
  space.transact(() => set.delete(1n));
  assert.deepEqual(heard.map((change) => change.kind === "set" && change.keys), [[1n]]);
  set.add("key", { a: 1 });
  assert.equal(set.get("key"), set.get("key"));
  for (const element of [undefined, Number.NaN, () => {}, "x".repeat(5_000)]) {
    assert.throws(() => set.add(element as never), (error) => error instanceof StemmaError && error.argument === "element");
  }
});

test("an item added while somebody removes it stays, with what was added", async (t) => {
  const { a, b, apart } = await pair(t);
  const [here, there] = [a.getCart("cart"), b.getCart("cart")];
  await apart(() => here.add("apple", 3).add("pear"));
  await apart(() => {
    assert.ok(there.remove("apple"));
    here.add("apple", 2);
  });
  for (const cart of [here, there]) {
    assert.equal(cart.quantity("apple"), 2);
    assert.deepEqual(new Map(cart), new Map<unknown, number>([["apple", 2], ["pear", 1]]));
    assert.equal(cart.size, 2);
  }
  here.add("pear", -1);
  assert.equal(here.quantity("pear"), 0);
  assert.ok(!here.remove("pear"));
  for (const n of [0, 0.5, Number.NaN]) {
    assert.throws(() => here.add("apple", n), (error) => error instanceof StemmaError && error.argument === "n");
  }
});

test("of coupled keys one writer's win together", async (t) => {
  const { a, b, apart } = await pair(t);
  const options = { couple: [["start", "end"]] };
  const [here, there] = [a.getMap("trip", options), b.getMap("trip", options)];
  await apart(() => a.transact(() => here.set("start", 1).set("end", 2).set("title", "trip")));
  assert.deepEqual(there.toJSON(), { end: 2, start: 1, title: "trip" });
  await apart(() => {
    a.transact(() => here.set("start", 10));
    b.transact(() => there.set("end", 20));
  });
  const both = JSON.stringify(here.toJSON());
  assert.ok([{ end: 2, start: 10, title: "trip" }, { end: 20, start: 1, title: "trip" }].some((one) => JSON.stringify(one) === both), both);
  assert.deepEqual(there.toJSON(), here.toJSON());
  assert.equal(here.conflicts("start").length, 2);
  assert.ok(here.delete("start"));
  assert.equal(here.get("start"), undefined);
  assert.equal(here.has("end"), true);
  assert.deepEqual([...here.keys()], ["end", "title"]);
  for (const couple of [[["a", "a"]], [["a"], ["a"]], [[]], "a", [["a", 1]]]) {
    assert.throws(() => a.getMap("other", { couple } as never), (error) => error instanceof StemmaError && error.argument === "couple");
  }
});

test("what a failed transaction did to counters, sets and carts is taken back", async (t) => {
  const space = await openSpace(t);
  const [counter, set, cart] = [space.getCounter("c"), space.getSet("s"), space.getCart("k")];
  space.transact(() => {
    counter.add(5);
    set.add("kept", 1);
    cart.add("kept", 2);
  });
  const before = space.stateHash();
  space.transact(() => {
    counter.add(1);
    set.add("inner");
    assert.throws(() =>
      space.transact(() => {
        counter.add(2).add(-3);
        set.delete("kept");
        cart.remove("kept");
        cart.add("new");
        throw new Error("no");
      }),
    );
    assert.deepEqual([counter.value, set.has("kept"), cart.quantity("kept"), cart.size], [6, true, 2, 1]);
    counter.add(-1);
    set.delete("inner");
  });
  assert.equal(space.stateHash(), before);
});

function written(value: unknown): string {
  return inspect(value, { sorted: true });
}
