/** Views, their differences and restoring, through the public API. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Change, type Handle, open, type Readable, type Space, StemmaError, type Value, type View } from "stemma";
import { newFolder, openSpace } from "./ends.ts";

const code = (expected: string, argument?: string) => (error: unknown) =>
  error instanceof StemmaError && error.code === expected && (argument === undefined || error.argument === argument);

/** One object of each kind, by the same names in a space and in a view. */
const objects = (of: Readable) => ({
  text: of.getText("text"),
  map: of.getMap("map", { couple: [["start", "end"]] }),
  counter: of.getCounter("counter"),
  likes: of.getCounter("likes", { kind: "g" }),
  set: of.getSet("set"),
  latest: of.getSet("latest", { kind: "lww" }),
  cart: of.getCart("cart"),
});

function shown(of: Readable): unknown {
  const { text, map, counter, likes, set, latest, cart } = objects(of);
  const conflicts = [...map.keys()].map((key) => map.conflicts(key));
  return [text.toString(), map.toJSON(), conflicts, counter.value, likes.value, [...set.entries()], [...latest.entries()], [...cart]];
}

/** A space with a few transactions, and what it showed after each. */
function history(space: Space): { ids: string[]; states: unknown[] } {
  const { text, map, counter, likes, set, latest, cart } = objects(space);
  const [ids, states]: [string[], unknown[]] = [[], []];
  const steps: (() => unknown)[] = [
    () => (text.insert(0, "hello world"), map.set("a", 1).set("b", [1]), counter.add(5), likes.add(2), set.add("x", { y: 1 }).add("z"), latest.add(1), cart.add("apple", 3)),
    () => (text.delete(0, 6), map.delete("a"), map.set("start", 9).set("end", 10), counter.add(-7), set.delete("z"), cart.remove("apple")),
    () => (text.insert(0, "brave 😀 "), map.set("b", 2).delete("end"), likes.add(), set.add("x"), latest.delete(1), cart.add("apple", 1).add("bread")),
    () => (text.update("new"), map.set("c", null), counter.add(1), latest.add(2, true)),
  ];
  for (const step of steps) {
    ids.push(space.transact(step).id);
    states.push(shown(space));
  }
  return { ids, states };
}

const pause = (ms = 5) => new Promise((resolve) => setTimeout(resolve, ms));

test("a space as it was when a changeset was made", async (t) => {
  const space = await openSpace(t);
  const { ids, states } = history(space);
  const views = ids.map((id) => space.at(id));
  for (const [at, view] of views.entries()) {
    assert.deepEqual(shown(view), states[at]);
    assert.deepEqual(view.heads, [ids[at]]);
    assert.equal(objects(view).map, objects(view).map, "the same handle every time");
    assert.notEqual(objects(view).map, objects(space).map);
  }
  assert.deepEqual(views[0]?.getMap("never").toJSON(), {});
  assert.deepEqual(views[0]?.names(), space.names().filter(({ name }) => name !== "never"));
  assert.equal(views[3]?.stateHash(), space.stateHash());
  assert.equal(views[3]?.viewDigest(), space.viewDigest());
  assert.notEqual(views[2]?.stateHash(), space.stateHash());
  // A view stays as it is.
  space.transact(() => (objects(space).text.append("!"), objects(space).map.set("b", 3)));
  assert.deepEqual(shown(views[3] as View), states[3]);
});

test("every way of reading works on a view", async (t) => {
  const space = await openSpace(t);
  const { text, map, set, cart } = objects(space);
  const first = space.transact(() => (text.insert(0, "ab😀cd"), map.set("k", 1), set.add("e", 1), cart.add("i", 2))).id;
  const anchor = text.anchor(4);
  space.transact(() => (text.insert(0, "more "), text.delete(6, 3), map.set("k", 2), set.delete("e"), cart.remove("i")));
  const view = space.at(first);
  const past = objects(view);
  assert.deepEqual([past.text.length, past.text.slice(1, 5), past.text.toDelta()], [6, "b😀c", [{ insert: "ab😀cd" }]]);
  assert.equal(past.text.position(anchor), 4);
  assert.equal(past.text.position(past.text.anchor(2, -1)), 2);
  assert.deepEqual(past.text.authors(), [{ member: space.me, actor: space.actor, length: 6 }]);
  assert.deepEqual([past.map.size, past.map.has("k"), [...past.map], past.map.conflicts("k")], [1, true, [["k", 1]], [1]]);
  assert.deepEqual(past.map.history("k").map(({ value, live }) => [value, live]), [[1, true]]);
  assert.deepEqual([past.set.has("e"), past.set.get("e"), past.set.size], [true, 1, 1]);
  assert.deepEqual([past.cart.quantity("i"), past.cart.size], [2, 1]);
  assert.deepEqual([past.counter.value, past.counter.toJSON(), past.counter.name, past.counter.kind], [0, 0, "counter", "counter"]);
  assert.equal(past.map.subscribe(() => assert.fail("nothing ever changes"))(), undefined);
  assert.equal(past.map.toJSON(), past.map.toJSON(), "the same object");
  assert.ok(Object.isFrozen(past.map.toJSON()));
});

test("by the clock of the authors, or of this device", async (t) => {
  const a = await openSpace(t);
  const map = a.getMap("m");
  const times: number[] = [];
  for (const value of [1, 2, 3]) {
    a.transact(() => map.set("k", value));
    times.push(Date.now());
    await pause();
  }
  const get = (view: View) => view.getMap("m").get("k");
  assert.deepEqual(times.map((time) => get(a.at(time))), [1, 2, 3]);
  assert.deepEqual(times.map((time) => get(a.at(new Date(time), { by: "received" }))), [1, 2, 3]);
  assert.deepEqual([get(a.at(0)), get(a.at(-1.5)), get(a.at(times[1] as number + 0.5)), get(a.at(1e15))], [undefined, undefined, 2, 3]);
  let last;
  for await (const changeset of a.history()) last = changeset;
  assert.equal(get(a.at(last?.time as number)), 3, "the moment itself is in");
  assert.equal(get(a.at((last?.time as number) - 1)), 2);
  // Somebody who joined later received it later.
  const b = await openSpace(t, { invite: await a.invite() });
  await b.import(await a.export());
  assert.deepEqual(times.map((time) => get(b.at(time))), [1, 2, 3]);
  assert.deepEqual(times.map((time) => get(b.at(time, { by: "received" }))), [undefined, undefined, undefined]);
  assert.equal(get(b.at(Date.now(), { by: "received" })), 3);
  // The open batch is sealed first, so that it can be in it. (It is of the moment of that, which may be the next one.)
  map.set("k", 4);
  assert.equal(get(a.at(Date.now() + 60_000)), 4);
  assert.equal(get(a.view()), 4);
  assert.equal(a.view().stateHash(), a.stateHash());
});

test("a view shows what a replica shows that never had more", async (t) => {
  const a = await openSpace(t);
  const { ids } = history(a);
  a.undo();
  const invite = await a.invite();
  const [early, view] = [await a.export(), a.view()];
  objects(a).text.append(" and more");
  const b = await openSpace(t, { invite });
  await b.import(early);
  assert.deepEqual(shown(view), shown(b));
  assert.deepEqual([view.stateHash(), view.viewDigest(), view.heads, view.names()], [b.stateHash(), b.viewDigest(), b.heads, b.names()]);
  assert.equal(b.at(ids[2] as string).stateHash(), a.at(ids[2] as string).stateHash());
});

test("an undo counts only if it is in the view itself", async (t) => {
  const space = await openSpace(t);
  const text = space.getText("t");
  const made = space.transact(() => text.insert(0, "made")).id;
  space.undo();
  const undone = space.heads[0] as string;
  space.redo();
  const redone = space.heads[0] as string;
  const read = (id: string) => space.at(id).getText("t").toString();
  assert.deepEqual([made, undone, redone].map(read), ["made", "", "made"]);
  assert.equal(space.view({ exclude: [redone] }).getText("t").toString(), "");
  assert.equal(space.view({ exclude: [redone, undone] }).getText("t").toString(), "made");
});

test("what if something did not count, or something else did", async (t) => {
  const space = await openSpace(t);
  const map = space.getMap("m");
  const one = space.transact(() => map.set("a", 1).set("b", 1)).id;
  const two = space.transact(() => map.set("a", 2).set("b", 2)).id;
  const read = (o: Parameters<Space["view"]>[0]) => ({ ...space.view(o).getMap("m").toJSON() });
  assert.deepEqual(read({ exclude: [two] }), { a: 1, b: 1 });
  assert.deepEqual(read({ exclude: [`${two}:0`] }), { a: 1, b: 2 });
  assert.deepEqual(read({ exclude: [two], include: [`${two}:1`] }), { a: 1, b: 2 });
  assert.deepEqual(read({ at: one }), { a: 1, b: 1 });
  assert.deepEqual(read({ at: one, include: [`${two}:0`] }), { a: 2, b: 1 });
  assert.deepEqual(read({ at: 0, include: [one] }), { a: 1, b: 1 });
  assert.deepEqual(read({ exclude: [one, two] }), {});
  assert.deepEqual({ ...map.toJSON() }, { a: 2, b: 2 });
  assert.equal(space.stats().changesets, 2, "nothing was written");
});

test("whatever would write to a view is refused by name", async (t) => {
  const space = await openSpace(t);
  history(space);
  const view = space.view();
  const before = shown(view);
  const READERS = new Set(
    "constructor name kind length size value toString toJSON slice toDelta anchor position authors subscribe get has keys values entries forEach conflicts history quantity child export".split(" "),
  );
  let writers = 0;
  for (const handle of Object.values(objects(view)) as Handle[]) {
    for (const method of Object.getOwnPropertyNames(Object.getPrototypeOf(handle)).filter((name) => !READERS.has(name))) {
      writers++;
      for (const args of [[], [0, "x"], ["a", 1], [undefined, Symbol()]]) {
        const call = () => (handle as unknown as { [method: string]: (...args: unknown[]) => unknown })[method]?.(...args);
        assert.throws(call, (error) => code("E_READONLY")(error) && (error as Error).message.includes(`${handle.kind}.${method}`));
      }
    }
  }
  assert.ok(writers >= 15);
  await assert.rejects(view.getMap("never").export(), code("E_UNSUPPORTED"));
  assert.deepEqual(shown(view), before);
});

test("nothing is read of a view that was disposed of", async (t) => {
  const space = await openSpace(t);
  const { ids } = history(space);
  const view = space.at(ids[0] as string);
  const { text, map } = objects(view);
  assert.equal(text.toString(), "hello world");
  assert.equal(map.get("a"), 1);
  view[Symbol.dispose]();
  view[Symbol.dispose]();
  for (const read of [() => text.toString(), () => map.get("a"), () => text.length, () => view.getText("text"), () => view.heads, () => view.stateHash(), () => view.viewDigest(), () => view.names(), () => space.diff(view, view), () => text.insert(0, "x"), () => map.set("a", 2)]) {
    assert.throws(read, code("E_CLOSED"));
  }
  const other = await open({ name: "closed with views" });
  const last = other.view();
  const kept = last.getMap("m");
  await other.close();
  for (const read of [() => kept.get("a"), () => last.heads]) assert.throws(read, code("E_CLOSED"));
  last[Symbol.dispose]();
});

/** A copy of what is shown, kept up by changes alone. */
function apply(copy: Map<string, unknown>, changes: readonly Change[]): void {
  for (const change of changes) {
    const { name } = change.object;
    if (change.kind === "text") {
      let [index, text] = [0, (copy.get(name) ?? "") as string];
      for (const step of change.delta ?? []) {
        if ("retain" in step) index += step.retain;
        else if ("delete" in step) text = text.slice(0, index) + text.slice(index + step.delete);
        else [text, index] = [text.slice(0, index) + step.insert + text.slice(index), index + step.insert.length];
      }
      copy.set(name, text);
    } else if (change.kind === "list") {
      const elements = [...((copy.get(name) ?? []) as Value[])];
      let index = 0;
      for (const step of change.delta ?? []) {
        if ("retain" in step) index += step.retain;
        else if ("delete" in step) elements.splice(index, step.delete);
        else index += elements.splice(index, 0, ...step.insert).length + step.insert.length;
      }
      copy.set(name, elements);
    } else if (change.kind === "counter") {
      copy.set(name, ((copy.get(name) ?? 0) as number) + (change.delta as number));
    } else if (change.kind !== "ledger") {
      const entries = new Map((copy.get(name) ?? []) as [string, unknown][]);
      for (const key of change.keys as readonly Value[]) {
        const read = change.kind === "map" ? change.object.get(key as string) : change.kind === "set" ? change.object.get(key) : change.object.quantity(key);
        const isThere = change.kind === "cart" ? read !== 0 : change.object.has(key as string);
        if (isThere) entries.set(JSON.stringify(key), read);
        else entries.delete(JSON.stringify(key));
      }
      copy.set(name, [...entries].sort());
    }
  }
  for (const [name, value] of copy) if (value === "" || value === 0 || (Array.isArray(value) && value.length === 0)) copy.delete(name);
}

test("what differs between two views turns the one into the other", async (t) => {
  const space = await openSpace(t);
  const { ids } = history(space);
  space.undo();
  const empty = space.at(0);
  const views = [empty, ...ids.map((id) => space.at(id)), space.view({ exclude: [ids[1] as string] }), space.view()];
  const whole = (view: View) => {
    const copy = new Map<string, unknown>();
    apply(copy, space.diff(empty, view));
    return copy;
  };
  assert.equal((whole(views[1] as View).get("text") as string), "hello world");
  for (const a of views) {
    assert.deepEqual(space.diff(a, a), []);
    for (const b of views) {
      const copy = whole(a);
      const changes = space.diff(a, b);
      apply(copy, changes);
      assert.deepEqual(copy, whole(b));
      for (const change of changes) {
        assert.deepEqual([change.source, change.member, change.actor, change.changeset], ["diff", "", "", ""]);
        assert.ok(Object.isFrozen(change));
      }
    }
  }
  const [change] = space.diff(views[0] as View, views[1] as View);
  assert.equal(change?.object, (views[1] as View).getText("text"));
});

test("objects under keys are there as they were", async (t) => {
  const space = await openSpace(t);
  const hut = space.getMap("hut", { fields: { notes: "text", visits: "counter" } });
  const day = hut.child("friday", "map");
  const first = space.transact(() => (hut.child("notes", "text").append("Key"), day.set("guide", "Ada").child("route", "text").append("north"))).id;
  const second = space.transact(() => (hut.child("notes", "text").append(" lost"), hut.child("visits", "counter").add(2), day.child("route", "text").append(" face"))).id;
  space.transact(() => void hut.delete("friday"));
  const options = { fields: { notes: "text", visits: "counter" } } as const;
  const [one, two, now] = [space.at(first), space.at(second), space.view()];
  const past = one.getMap("hut", options);
  assert.deepEqual(past.toJSON(), { notes: "Key", visits: 0, friday: { guide: "Ada", route: "north" } });
  assert.deepEqual(past.get("friday"), { guide: "Ada", route: "north" });
  assert.equal(past.child("friday", "map"), past.child("friday", "map"), "the same handle every time");
  assert.equal(past.child("friday", "map").child("route", "text").toString(), "north");
  assert.equal(past.child("friday", "map").child("never", "text").toString(), "");
  assert.deepEqual(two.getMap("hut", options).toJSON(), { notes: "Key lost", visits: 2, friday: { guide: "Ada", route: "north face" } });
  assert.deepEqual([now.stateHash(), now.names()], [space.stateHash(), space.names()]);
  assert.deepEqual(one.names(), [{ name: "hut", kind: "map" }]);
  for (const write of [() => past.child("friday", "map").set("guide", "Bob"), () => past.child("notes", "text").append("!"), () => past.child("friday", "map").child("new", "counter").add()]) {
    assert.throws(write, code("E_READONLY"));
  }
  const changes = space.diff(one, two);
  const about = (change: Change) => [change.object.name, change.keys ? [...change.keys].sort() : change.delta];
  assert.deepEqual(new Map(changes.map(about) as [string, unknown][]), new Map<string, unknown>([
    ["notes", [{ retain: 3 }, { insert: " lost" }]],
    ["visits", 2],
    ["route", [{ retain: 5 }, { insert: " face" }]],
    ["friday", ["route"]],
    ["hut", ["friday", "notes", "visits"]],
  ].map(([name, what]) => [name as string, what])));
  const route = changes.find((change) => change.object.name === "route");
  assert.equal(route?.object, two.getMap("hut", options).child("friday", "map").child("route", "text"));
  space.restore(second, { object: hut, key: "friday" });
  assert.deepEqual(hut.get("friday"), { guide: "Ada", route: "north face" });
  assert.equal(day.child("route", "text").toString(), "north face");
  space.restore(first, { object: day.child("route", "text") });
  assert.deepEqual(hut.get("friday"), { guide: "Ada", route: "north" });
  assert.equal(hut.child("notes", "text").toString(), "Key lost");
  assert.ok(space.undo() && space.undo());
  assert.equal(hut.get("friday"), undefined);
  one[Symbol.dispose]();
  assert.throws(() => past.child("friday", "map"), code("E_CLOSED"));
});

test("a space, an object or a key is made to read as it did", async (t) => {
  const space = await openSpace(t);
  const { ids, states } = history(space);
  const { map, text, likes } = objects(space);
  const [, second] = ids as [string, string, string, string];
  const before = shown(space);
  // One key.
  space.restore(second, { object: map, key: "b" });
  assert.deepEqual({ ...map.toJSON() }, { b: [1], c: null, start: 9 });
  space.restore(second, { object: map, key: "end" });
  assert.deepEqual({ ...map.toJSON() }, { b: [1], c: null, start: 9, end: 10 });
  space.restore(second, { object: map, key: "c" });
  assert.equal(map.has("c"), false);
  // One object, once.
  const restored = space.restore(second, { object: text });
  assert.equal(text.toString(), "world");
  assert.equal(space.restore(second, { object: text }).id, restored.id, "nothing was left to do");
  for (let i = 0; i < 4; i++) assert.ok(space.undo());
  assert.deepEqual(shown(space), before, "undo brings the present back");
  // A counter that only grows cannot shrink, and then nothing is restored.
  assert.throws(() => space.restore(second), code("E_ARGUMENT", "when"));
  assert.throws(() => space.restore(second, { object: likes }), code("E_ARGUMENT", "when"));
  assert.deepEqual(shown(space), before);
  // Everything, in one step.
  const heard: Change[] = [];
  space.subscribe((changes) => heard.push(...changes));
  const third = space.restore(ids[2] as string);
  assert.deepEqual(shown(space), states[2]);
  assert.deepEqual(new Set(heard.map((one) => one.object.name)), new Set(["text", "map", "counter", "latest"]));
  assert.equal(space.restore(ids[2] as string).id, third.id);
  assert.ok(space.undo());
  assert.deepEqual(shown(space), before);
  assert.ok(space.redo());
  assert.deepEqual(shown(space), states[2]);
});

test("what was written since and restored away is kept in the history", async (t) => {
  const folder = await newFolder(t);
  const storage = { dir: folder };
  const space = await open({ name: "restored", storage });
  const map = space.getMap("m");
  map.set("k", "old");
  const old = space.flush().id;
  map.set("k", "new").set("l", 1);
  const recent = space.flush().id;
  await space.restore(old).saved("local");
  await space.close();
  const again = await openSpace(t, { name: "restored", storage });
  assert.deepEqual({ ...again.getMap("m").toJSON() }, { k: "old" });
  assert.deepEqual({ ...again.at(recent).getMap("m").toJSON() }, { k: "new", l: 1 });
  assert.deepEqual(again.getMap("m").history("k").map(({ value }) => value), ["old", "new", "old"]);
});

test("what is behind a snapshot can be travelled to", async (t) => {
  const storage = { dir: await newFolder(t) };
  const space = await open({ name: "compacted", storage });
  const { ids, states } = history(space);
  await space.compact();
  await space.close();
  const again = await openSpace(t, { name: "compacted", storage });
  assert.deepEqual(ids.map((id) => shown(again.at(id))), states);
  assert.deepEqual(shown(again.at(Date.now(), { by: "received" })), states[3]);
  again.restore(ids[2] as string);
  assert.deepEqual(shown(again), states[2]);
  assert.ok(again.undo());
  assert.deepEqual(shown(again), states[3]);
});

test("what can be wrong with a moment", async (t) => {
  const space = await openSpace(t);
  const other = await openSpace(t);
  const { ids } = history(space);
  const unknown = "00".repeat(32);
  const bad = (call: () => unknown, argument: string, fault = "E_ARGUMENT") => assert.throws(call, code(fault, argument));
  for (const when of [Number.NaN, Infinity, new Date(Number.NaN), "", "abc", unknown, `${ids[0]}0`, `zz${ids[0]?.slice(2)}`, null, undefined, {}, 1n] as never[]) {
    bad(() => space.at(when), "when");
    bad(() => space.restore(when), "when");
    if (when !== undefined) bad(() => space.view({ at: when }), "at");
  }
  bad(() => space.at(0, { by: "heard" as never }), "by");
  bad(() => space.at(ids[0] as string, { by: "received" }), "by");
  bad(() => space.view({ by: "received" }), "by");
  bad(() => space.at(0, { policy: "sometimes" } as never), "policy");
  bad(() => space.view({ ban: space.me }), "who");
  for (const name of ["policy", "ban", "finalOnly"]) bad(() => space.view({ [name]: [] } as never), name);
  bad(() => space.at(0, 1 as never), "o");
  for (const targets of ["x", [1], [unknown], [`${ids[0]}:`], [`${ids[0]}:x`], [`${ids[0]}:-1`], [`${ids[0]}:99`], [`${ids[0]}:99999999999`], [ids[0], "y"], {}] as never[]) {
    bad(() => space.view({ exclude: targets }), "exclude");
    bad(() => space.view({ include: targets }), "include");
  }
  bad(() => space.restore(0, { key: "k" }), "key");
  bad(() => space.restore(0, { object: space.getText("text"), key: "k" }), "key");
  bad(() => space.restore(0, { object: other.getMap("m") }), "object");
  bad(() => space.restore(0, { object: space.view().getMap("m") }), "object");
  bad(() => space.restore(0, { keys: [] } as never), "keys");
  bad(() => space.diff(space.view(), other.view()), "b");
  bad(() => space.diff(other.view(), space.view()), "a");
  bad(() => space.diff(space as never, space.view()), "a");
  for (const call of [() => space.at(0), () => space.view(), () => space.restore(0)]) {
    bad(() => space.transact(() => void call()), "fn");
  }
});

test("a changeset that waits for others is no moment yet", async (t) => {
  const a = await openSpace(t);
  const invite = await a.invite();
  const b = await openSpace(t, { invite });
  const c = await openSpace(t, { invite });
  const first = a.transact(() => a.getMap("m").set("k", 1)).id;
  const one = await a.export();
  const second = a.transact(() => a.getMap("m").set("k", 2)).id;
  const both = await a.export();
  // The rows are at the end, in order, behind how many there are.
  const count = one.findIndex((byte, at) => byte !== both[at]);
  await b.import(Uint8Array.from([...one.subarray(0, count + 1), ...both.subarray(one.length)]));
  assert.equal(b.stats().pending.length, 1);
  const pending = (error: unknown) => code("E_ARGUMENT", "when")(error) && /pending: parents are missing/.test((error as Error).message);
  assert.throws(() => b.at(second), pending);
  assert.throws(() => b.at(first), code("E_ARGUMENT", "when"));
  await b.import(await a.export());
  assert.equal(b.at(second).getMap("m").get("k"), 2);
  assert.throws(() => c.at(second), code("E_ARGUMENT", "when"));
});

test("a reader travels but does not restore", async (t) => {
  const a = await openSpace(t);
  const { ids, states } = history(a);
  const reader = await openSpace(t, { invite: await a.invite({ role: "reader" }) });
  await reader.import(await a.export());
  assert.deepEqual(shown(reader.at(ids[1] as string)), states[1]);
  assert.throws(() => reader.restore(ids[2] as string), code("E_ACCESS"));
  assert.equal(reader.stateHash(), a.stateHash());
});
