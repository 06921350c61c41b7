/** Maps whose keys hold objects: fields and children, through the public API. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Change, open, type SharedMap, type Space, StemmaError, type Value } from "stemma";
import { newFolder, openSpace } from "./ends.ts";

/** Two spaces that meet when they are told to. */
async function pair(t: Parameters<typeof openSpace>[0]): Promise<{ a: Space; b: Space; meet: () => Promise<void> }> {
  const a = await openSpace(t);
  const b = await openSpace(t, { invite: await a.invite() });
  const meet = async () => {
    a.flush();
    b.flush();
    const { port1, port2 } = new MessageChannel();
    const ends = [a.sync.attach(port1 as never), b.sync.attach(port2 as never)];
    for (let i = 0; i < 400 && a.viewDigest() !== b.viewDigest(); i++) await new Promise((resolve) => setTimeout(resolve, 5));
    ends.forEach((end) => end());
    assert.equal(a.stateHash(), b.stateHash());
  };
  await meet();
  return { a, b, meet };
}

const FIELDS = { title: "text", votes: "counter", tags: "set", basket: "cart", more: "map", steps: "list" } as const;
const record = (space: Space) => space.getMap("record", { fields: FIELDS });

const wrong = (argument: string) => (error: unknown) => {
  assert.ok(error instanceof StemmaError);
  assert.deepEqual([error.code, error.argument], ["E_ARGUMENT", argument]);
  return true;
};

test("fields merge by themselves and read as one plain object", async (t) => {
  const { a, b, meet } = await pair(t);
  const [here, there] = [record(a), record(b)];
  const empty = { basket: [], more: {}, steps: [], tags: [], title: "", votes: 0 };
  assert.deepEqual(here.toJSON(), empty);
  assert.deepEqual([here.size, here.has("votes"), a.names()], [6, true, []]);
  here.child("title", "text").append("one ");
  there.child("title", "text").append("two ");
  here.child("votes", "counter").add(2);
  there.child("votes", "counter").add(3);
  there.child("more", "map").set("x", 1);
  here.child("more", "map").child("list", "set").add("y");
  here.child("basket", "cart").add("rope", 2);
  here.child("steps", "list").push("pack");
  there.child("steps", "list").push("go");
  here.set("plain", true);
  await meet();
  for (const map of [here, there]) {
    const { title, steps, ...rest } = map.toJSON();
    assert.ok(["one two ", "two one "].includes(title as string));
    assert.deepEqual([...(steps as Value[])].sort(), ["go", "pack"]);
    assert.deepEqual(rest, { basket: [["rope", 2]], more: { list: ["y"], x: 1 }, plain: true, tags: [], votes: 5 });
    assert.deepEqual([...map.keys()], ["basket", "more", "plain", "steps", "tags", "title", "votes"]);
    assert.deepEqual(map.conflicts("votes"), [5]);
    assert.deepEqual(map.history("votes"), []);
  }
  assert.deepEqual(b.names(), [{ kind: "map", name: "record" }]);
  assert.ok(there.delete("more") && !there.delete("tags"));
  assert.deepEqual(there.get("more"), {});
  await meet();
  assert.deepEqual(here.get("more"), {});
  for (const map of [here, there]) assert.equal(map.child("more", "map").child("list", "set").size, 0);
});

test("a child is there once it is edited, and is the same for whoever makes it", async (t) => {
  const { a, b, meet } = await pair(t);
  const [here, there] = [a.getMap("m"), b.getMap("m")];
  const text = here.child("t", "text");
  assert.equal(here.child("t", "text"), text);
  assert.deepEqual([here.has("t"), here.size, text.name, text.kind], [false, 0, "t", "text"]);
  text.append("a");
  there.child("t", "text").append("b");
  here.child("deep", "map").child("er", "map").child("n", "counter", { kind: "g" }).add(1);
  there.child("deep", "map").child("er", "map").child("n", "counter", { kind: "g" }).add(1);
  await meet();
  assert.deepEqual(here.toJSON(), there.toJSON());
  assert.deepEqual(here.get("deep"), { er: { n: 2 } });
  assert.ok(["ab", "ba"].includes(here.get("t") as string));
  assert.deepEqual(here.history("t").map(({ child, value, deleted }) => [child, value, deleted]), [["text", undefined, false], ["text", undefined, false]]);
  // Another kind takes its place, and what was there is gone.
  there.child("t", "counter").add(7);
  await meet();
  assert.deepEqual([here.get("t"), text.toString()], [7, ""]);
  text.append("again");
  assert.deepEqual([here.get("t"), here.child("t", "counter").value], ["again", 0]);
  here.set("t", "a value");
  assert.deepEqual([here.get("t"), text.length], ["a value", 0]);
});

test("what is below is deleted with its key, and undone with it", async (t) => {
  const { a, b, meet } = await pair(t);
  const [here, there] = [a.getMap("m"), b.getMap("m")];
  a.transact(() => {
    here.child("k", "map").set("v", 1).child("t", "text").append("text");
    here.child("k", "map").child("n", "counter").add(4);
  });
  await meet();
  const before = a.stateHash();
  const full = { n: 4, t: "text", v: 1 };
  a.transact(() => assert.ok(here.delete("k")));
  assert.deepEqual([here.toJSON(), here.child("k", "map").toJSON(), here.child("k", "map").child("t", "text").toString()], [{}, {}, ""]);
  there.child("k", "map").child("t", "text").append("!");
  await meet();
  assert.deepEqual([here.toJSON(), there.toJSON()], [{}, {}]);
  assert.ok(a.undo());
  await meet();
  assert.deepEqual([here.get("k"), there.get("k")], [{ ...full, t: "text!" }, { ...full, t: "text!" }]);
  assert.ok(b.undo({ scope: [there.child("k", "map")] }));
  await meet();
  assert.deepEqual(here.get("k"), full);
  assert.equal(a.stateHash(), before);
  assert.ok(a.redo({ scope: [here.child("k", "map").child("n", "counter")] }));
  assert.deepEqual(here.toJSON(), {});
});

test("values are frozen, and the same until something below changes", async (t) => {
  const { a, b, meet } = await pair(t);
  const [here, there] = [a.getMap("m"), b.getMap("m")];
  const [x, y] = [here.child("x", "map"), here.child("y", "map")];
  x.child("in", "map").set("v", 1);
  y.set("w", 1);
  const seen = (map: SharedMap) => {
    const json = map.toJSON() as { x: { in: Value }; y: Value };
    return [json, json.x, json.x.in, json.y, map.get("x")];
  };
  const same = (then: unknown[], now: unknown[]) => then.map((value, i) => value === now[i]);
  let then = seen(here);
  assert.deepEqual(same(then, seen(here)), [true, true, true, true, true]);
  assert.ok(then.every(Object.isFrozen));
  y.set("w", 2);
  assert.deepEqual(same(then, seen(here)), [false, true, true, false, true]);
  then = seen(here);
  x.child("n", "counter").add(1);
  assert.deepEqual(same(then, seen(here)), [false, false, true, true, false]);
  assert.deepEqual(here.get("x"), { in: { v: 1 }, n: 1 });
  await meet();
  const far = seen(there);
  x.child("in", "map").set("v", 2);
  await meet();
  assert.deepEqual(same(far, seen(there)), [false, false, false, true, false]);
  assert.deepEqual(there.get("x"), { in: { v: 2 }, n: 1 });
  // What a failed transaction did below is forgotten.
  assert.throws(() => a.transact(() => { x.child("in", "map").set("v", 3); assert.deepEqual(here.get("x"), { in: { v: 3 }, n: 1 }); here.delete("x"); throw new Error("no"); }));
  assert.deepEqual(here.get("x"), { in: { v: 2 }, n: 1 });
});

test("maps above hear of what changes below, also before anybody asked for it", async (t) => {
  const { a, b, meet } = await pair(t);
  const [here, there] = [a.getMap("m"), b.getMap("m")];
  const told: string[] = [];
  const note = (of: string) => (changes: readonly Change[]) => {
    for (const { object, keys = [], source } of changes) told.push(`${of}: ${object.kind} ${object.name} ${keys.join()} ${source}`);
  };
  here.subscribe(note("map"));
  there.subscribe(note("map"));
  b.subscribe(note("space"));
  here.child("k", "map").child("t", "text").append("x");
  await null;
  assert.deepEqual(told.splice(0), ["map: map m k local"]);
  await meet();
  assert.deepEqual(told.splice(0).sort(), ["map: map m k remote", "space: map k t remote", "space: map m k remote", "space: text t  remote"]);
  there.child("k", "map").subscribe(note("child"));
  there.child("k", "map").child("t", "text").subscribe((changes) => told.push(JSON.stringify(changes.map(({ delta }) => delta))));
  here.child("k", "map").child("t", "text").append("y");
  await meet();
  told.splice(0, 1);
  assert.deepEqual(told.splice(0).filter((line) => !line.startsWith("space")).sort(), ['[[{"retain":1},{"insert":"y"}]]', "child: map k t remote", "map: map m k remote"]);
  // A value in a child that does not show any more is no news above.
  here.delete("k");
  await meet();
  told.splice(0);
  assert.deepEqual([there.toJSON(), here.toJSON()], [{}, {}]);
});

test("history finds what was written below", async (t) => {
  const space = await openSpace(t);
  const map = record(space);
  space.transact(() => map.child("title", "text").append("x"), { message: "title" });
  space.transact(() => map.child("more", "map").child("deep", "map").set("k", 1), { message: "deep" });
  space.transact(() => map.set("plain", 1), { message: "plain" });
  const found = async (o: Parameters<Space["history"]>[0]) => {
    const messages = [];
    for await (const { message } of space.history(o)) messages.push(message);
    return messages;
  };
  assert.deepEqual(await found({ object: map }), ["title", "deep", "plain"]);
  assert.deepEqual(await found({ object: map, key: "more" }), ["deep"]);
  assert.deepEqual(await found({ object: map, key: "title" }), ["title"]);
  assert.deepEqual(await found({ object: map.child("more", "map") }), ["deep"]);
});

test("children survive a restart, an export and late names", async (t) => {
  const dir = await newFolder(t);
  const first = await open({ name: "children", storage: { dir } });
  record(first).child("title", "text").append("kept");
  first.getMap("m").child("k", "map").child("n", "counter").add(3);
  const [hash, json] = [first.stateHash(), first.getMap("m").toJSON()];
  const [invite, bytes] = [await first.invite(), await first.export()];
  await first.close();
  const again = await open({ name: "children", storage: { dir } });
  assert.deepEqual([again.stateHash(), again.getMap("m").toJSON(), record(again).get("title")], [hash, json, "kept"]);
  again.getMap("m").child("k", "map").child("n", "counter").add(1);
  assert.deepEqual(again.getMap("m").get("k"), { n: 4 });
  await again.close();
  const other = await openSpace(t, { invite });
  const counter = other.getMap("m").child("k", "map").child("n", "counter");
  assert.equal(counter.value, 0);
  await other.import(bytes);
  assert.deepEqual([counter.value, other.getMap("m").toJSON(), other.stateHash()], [3, json, hash]);
});

test("keys are any strings, also in what is below", async (t) => {
  const { a, b, meet } = await pair(t);
  const fields = { ["__proto__"]: "map", constructor: "text" } as const;
  const [here, there] = [a.getMap("m", { fields }), b.getMap("m", { fields })];
  here.child("__proto__", "map").child("__proto__", "map").set("__proto__", { ["__proto__"]: 1 });
  here.child("constructor", "text").append("x");
  here.child("toString", "counter").add(1);
  await meet();
  const json = there.toJSON();
  assert.equal(Object.getPrototypeOf(json), Object.prototype);
  assert.deepEqual(Object.keys(json).sort(), ["__proto__", "constructor", "toString"]);
  assert.equal(JSON.stringify(json), '{"__proto__":{"__proto__":{"__proto__":{"__proto__":1}}},"constructor":"x","toString":1}');
  assert.equal(({} as { polluted?: unknown }).polluted, undefined);
  const odd = here.child("\ud800", "text");
  assert.equal(odd, here.child("\ufffd", "text"), "a lone surrogate is U+FFFD");
});

test("up to a hundred keys lead to an object", async (t) => {
  const space = await openSpace(t);
  const root = space.getMap("m");
  let deep: SharedMap = root;
  for (let i = 0; i < 100; i++) deep = deep.child("k", "map");
  deep.set("v", 1);
  assert.throws(() => deep.child("k", "text"), wrong("key"));
  let depth = 0;
  for (let value: Value | undefined = root.toJSON(); typeof value === "object"; value = (value as { k?: Value }).k) depth++;
  assert.equal(depth, 101);
  assert.ok(root.delete("k"));
  assert.deepEqual([root.toJSON(), deep.toJSON()], [{}, {}]);
});

test("misuse throws and changes nothing", async (t) => {
  const space = await openSpace(t);
  const map = record(space);
  assert.throws(() => map.set("title", "x"), (error) => wrong("key")(error) && /child\("title", "text"\)/.test((error as Error).message));
  assert.throws(() => map.child("title", "map"), wrong("kind"));
  assert.throws(() => map.child("votes", "counter", { kind: "g" }), wrong("o"));
  for (const kind of ["nothing", "", "Text", undefined, 1, "__proto__"]) assert.throws(() => map.child("x", kind as never), wrong("kind"));
  for (const key of [1, undefined, "k".repeat(5_000)]) assert.throws(() => map.child(key as never, "text"), wrong("key"));
  assert.throws(() => map.child("x", "map", { size: 1 } as never), wrong("size"));
  assert.throws(() => map.child("x", "map", { fields: { y: "nothing" } } as never), wrong("fields"));
  assert.throws(() => (map.child as (...all: unknown[]) => unknown)("x", "text", {}), { code: "E_UNSUPPORTED" });
  assert.throws(() => space.getMap("c", { couple: [["a"]] }).child("a", "text"), wrong("key"));
  for (const fields of ["text", ["text"], { a: "nothing" }, { a: null }, null, Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, "text"]))]) {
    assert.throws(() => space.getMap("other", { fields } as never), wrong("fields"), JSON.stringify(fields));
  }
  assert.throws(() => space.getMap("other", { fields: { a: "text" }, couple: [["a", "b"]] }), wrong("fields"));
  assert.throws(() => space.getMap("record"), wrong("o"), "one name, other fields");
  assert.equal(space.getMap("record", { fields: { ...FIELDS } }), map);
  assert.equal(space.getMap("none", { fields: {} }), space.getMap("none"));
  assert.equal(space.stats().changesets, 0);
  assert.deepEqual(map.toJSON(), { basket: [], more: {}, steps: [], tags: [], title: "", votes: 0 });
});
