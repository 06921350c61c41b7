/** Lists through the public API. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Change, type ListChange, type ListDelta, type Space, StemmaError, type Value } from "stemma";
import { openSpace } from "./ends.ts";

/** Two spaces that meet when they are told to. */
async function pair(t: Parameters<typeof openSpace>[0]): Promise<{ a: Space; b: Space; meet: () => Promise<void> }> {
  const a = await openSpace(t);
  const b = await openSpace(t, { invite: await a.invite() });
  const meet = async () => {
    a.flush();
    b.flush();
    const { port1, port2 } = new MessageChannel();
    const ends = [a.sync.attach(port1 as never), b.sync.attach(port2 as never)];
    for (let i = 0; i < 2_000 && a.viewDigest() !== b.viewDigest(); i++) await new Promise((resolve) => setTimeout(resolve, 5));
    ends.forEach((end) => end());
    assert.equal(a.stateHash(), b.stateHash());
  };
  return { a, b, meet };
}

function apply(shadow: Value[], delta: ListDelta): void {
  let at = 0;
  for (const step of delta) {
    if ("retain" in step) at += step.retain;
    else if ("delete" in step) shadow.splice(at, step.delete);
    else {
      shadow.splice(at, 0, ...step.insert);
      at += step.insert.length;
    }
  }
}

test("a list reads and writes like an array", async (t) => {
  const space = await openSpace(t);
  const list = space.getList("l");
  assert.equal(list, space.getList("l"));
  assert.deepEqual([list.kind, list.name, list.length, list.get(0), [...list]], ["list", "l", 0, undefined, []]);
  list.push("a", { b: [1n] }, null);
  list.insert(1, new Uint8Array([7]), -0.5);
  assert.deepEqual(list.toJSON(), ["a", new Uint8Array([7]), -0.5, { b: [1n] }, null]);
  list.delete(1);
  list.delete(1, 2);
  assert.deepEqual([...list.entries()], [[0, "a"], [1, null]]);
  list.push();
  list.insert(2);
  list.delete(2, 0);
  assert.equal(list.length, 2);
  const seen: unknown[] = [];
  list.forEach((value, index, of) => seen.push(value, index, of === list));
  assert.deepEqual(seen, ["a", 0, true, null, 1, true]);
  assert.deepEqual(space.names(), [{ name: "l", kind: "list" }]);
});

test("a move ends at the index it names, as if the element were taken out and put in", async (t) => {
  const space = await openSpace(t);
  const list = space.getList("l");
  list.push(..."abcdef");
  const expected = [..."abcdef"];
  for (const [from, to] of [[0, 5], [5, 0], [1, 3], [3, 1], [2, 2], [4, 5], [5, 4], [0, 1]] as const) {
    list.move(from, to);
    expected.splice(to, 0, ...expected.splice(from, 1));
    assert.equal([...list].join(""), expected.join(""));
  }
});

test("values are frozen, and the same object for as long as they are in the list", async (t) => {
  const space = await openSpace(t);
  const list = space.getList("l");
  list.push({ n: 1 }, { n: 2 }, { n: 3 });
  const [one, two, three] = list.toJSON() as [Value, Value, Value];
  assert.ok(Object.isFrozen(one) && Object.isFrozen(list.toJSON()));
  assert.equal(list.toJSON(), list.toJSON());
  list.insert(0, { n: 0 });
  list.move(1, 3);
  assert.equal(list.get(3), one);
  space.flush();
  list.delete(1);
  assert.deepEqual([list.get(1) === three, list.get(2) === one, [...list].includes(two)], [true, true, false]);
  // What a transaction that throws has put in is not taken for what comes after it.
  assert.throws(() =>
    space.transact(() => {
      list.push({ n: 4 });
      assert.deepEqual(list.get(3), { n: 4 });
      throw new Error("given up");
    }),
  );
  list.push({ n: 5 });
  assert.deepEqual([...list], [{ n: 0 }, { n: 3 }, { n: 1 }, { n: 5 }]);
});

test("many elements that come and go are told apart", async (t) => {
  const space = await openSpace(t);
  const list = space.getList("l");
  for (let round = 0; round < 40; round++) {
    list.push(...Array.from({ length: 100 }, (_, i) => ({ round, i })));
    if (round > 0) list.delete(0, 100);
    assert.deepEqual([list.length, list.get(0), list.toJSON()[99]], [100, { round, i: 0 }, { round, i: 99 }]);
  }
});

test("the deltas that listeners are told keep a shadow copy equal, whoever edits", async (t) => {
  const { a, b, meet } = await pair(t);
  const shadows = [a, b].map((space) => {
    const shadow: Value[] = [];
    space.getList("l").subscribe((changes: readonly ListChange[]) => {
      for (const change of changes) {
        assert.ok(change.kind === "list" && change.object === space.getList("l") && Object.isFrozen(change));
        apply(shadow, change.delta ?? assert.fail("no delta"));
      }
    });
    return shadow;
  });
  const told: Change[] = [];
  a.subscribe((changes) => told.push(...changes));
  const [la, lb] = [a.getList("l"), b.getList("l")];
  a.transact(() => la.push(1, 2, 3, 4), { origin: "me" });
  assert.deepEqual(told.map(({ kind, source, origin, delta }) => ({ kind, source, origin, delta })), [
    { kind: "list", source: "local", origin: "me", delta: [{ insert: [1, 2, 3, 4] }] },
  ]);
  await meet();
  a.transact(() => (la.move(0, 3), la.delete(0), la.insert(1, "x")));
  b.transact(() => (lb.move(0, 2), lb.push({ y: [1] })));
  await meet();
  for (const undo of [() => a.undo(), () => b.undo(), () => a.redo(), () => a.undo(), () => b.redo()]) {
    assert.ok(undo());
    await meet();
    await null;
    assert.deepEqual(shadows, [la.toJSON(), lb.toJSON()]);
    assert.deepEqual(shadows[0], shadows[1]);
  }
});

test("what is wrong is said, and nothing is changed", async (t) => {
  const space = await openSpace(t);
  const list = space.getList("l");
  list.push(1, 2, 3);
  const hash = space.stateHash();
  const refused = (argument: string, ...calls: (() => unknown)[]) => {
    for (const call of calls) {
      assert.throws(call, (error: unknown) => error instanceof StemmaError && error.code === "E_ARGUMENT" && error.argument === argument, String(call));
    }
  };
  const any = (value: unknown) => value as number;
  const odd = [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 1e300, any("1"), any(1n), any(null), any({})];
  for (const number of odd) {
    refused("index", () => list.get(number), () => list.insert(number, 1), () => list.delete(number));
    refused("n", () => list.delete(0, number));
    refused("from", () => list.move(number, 0));
    refused("to", () => list.move(0, number));
  }
  refused("index", () => list.insert(4, 1), () => list.delete(4), () => list.insert(any(undefined), 1));
  refused("n", () => list.delete(3), () => list.delete(1, 3));
  refused("from", () => list.move(3, 0), () => space.getList("empty").move(0, 0));
  refused("to", () => list.move(0, 3));
  const cyclic: unknown[] = [];
  cyclic.push(cyclic);
  for (const value of [undefined, Number.NaN, () => 1, Symbol("s"), new Date(), cyclic, 1n << 9000n] as unknown as Value[]) {
    refused("values", () => list.push(1, value), () => list.insert(0, value));
  }
  assert.throws(() => list.push("x".repeat(300_000)), { code: "E_EVENT_TOO_LARGE", argument: "values" });
  assert.throws(() => space.getText("l"), { code: "E_ARGUMENT", argument: "kind" });
  assert.throws(() => (space.getList as (name: string, o: object) => unknown)("o", {}), { code: "E_UNSUPPORTED" });
  list.move(1, 1);
  assert.equal(space.stateHash(), hash);
  const reader = await openSpace(t, { invite: await space.invite({ role: "reader" }) });
  for (const write of [() => reader.getList("l").push(1), () => reader.getList("l").delete(0, 0), () => reader.getList("l").move(0, 0)]) {
    assert.throws(write, { code: "E_ACCESS" });
  }
  await space.close();
  assert.throws(() => list.get(0), { code: "E_CLOSED" });
  assert.throws(() => list.push(1), { code: "E_CLOSED" });
});

test("a transaction above the size of a changeset arrives whole, and is one step of undo", async (t) => {
  const { a, b, meet } = await pair(t);
  const list = a.getList("l");
  a.transact(() => {
    for (let i = 0; i < 20; i++) list.push({ i, bytes: new Uint8Array(60_000) });
    list.move(19, 0);
  });
  await meet();
  assert.deepEqual([...b.getList("l")].map((value) => (value as { i: number }).i), [19, ...Array(19).keys()]);
  assert.ok(a.undo());
  assert.equal(list.length, 0);
});

test("a list can be under a key of a map", async (t) => {
  const space = await openSpace(t);
  const trip = space.getMap("trip", { fields: { stops: "list" } });
  trip.child("stops", "list").push("hut", "lake");
  space.getMap("plain").child("any", "list").push({ deep: true });
  assert.deepEqual([trip.toJSON(), space.getMap("plain").toJSON()], [{ stops: ["hut", "lake"] }, { any: [{ deep: true }] }]);
  trip.child("stops", "list").move(0, 1);
  assert.deepEqual(trip.get("stops"), ["lake", "hut"]);
});

test("a list as it was can be read and restored, and not written", async (t) => {
  const space = await openSpace(t);
  const list = space.getList("l");
  const before = space.transact(() => list.push({ n: 1 }, { n: 2 }, { n: 3 })).id;
  space.transact(() => list.move(0, 2));
  space.transact(() => (list.delete(0), list.push({ n: 4 })));
  const view = space.at(before);
  const then = view.getList("l");
  assert.deepEqual([then.toJSON(), then.get(2), then.length], [[{ n: 1 }, { n: 2 }, { n: 3 }], { n: 3 }, 3]);
  assert.equal(then.get(0), then.toJSON()[0]);
  for (const write of [() => then.push(1), () => then.insert(0, 1), () => then.delete(0), () => then.move(0, 1)]) {
    assert.throws(write, { code: "E_READONLY" });
  }
  const shadow = [...then];
  for (const change of space.diff(view, space.view())) apply(shadow, (change as ListChange).delta as ListDelta);
  assert.deepEqual(shadow, list.toJSON());
  space.restore(before);
  assert.deepEqual(list.toJSON(), then.toJSON());
  assert.ok(space.undo());
  assert.deepEqual(list.toJSON(), [{ n: 3 }, { n: 1 }, { n: 4 }]);
});
