/** Undo and redo, through the public API. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Change, open, StemmaError } from "stemma";
import { atEnd, newFolder, openSpace } from "./ends.ts";

test("undo takes back a transaction, redo brings it back", async (t) => {
  const space = await openSpace(t);
  const [text, map, counter, set, cart] = [space.getText("t"), space.getMap("m"), space.getCounter("c"), space.getSet("s"), space.getCart("k")];
  const shown = () => JSON.stringify([text.toString(), map.toJSON(), counter.value, set.toJSON(), cart.toJSON()]);
  assert.ok(!space.canUndo() && !space.undo() && !space.canRedo() && !space.redo());
  const states = [shown()];
  const steps = [
    () => (text.insert(0, "hello"), text.append(" world")),
    () => map.set("a", 1).set("b", 2),
    () => counter.add(5).add(-2),
    () => set.add("x", { y: 1 }).add("z"),
    () => cart.add("apple", 3),
    () => (text.delete(0, 6), map.delete("a"), set.delete("z"), cart.remove("apple"), counter.add(1)),
  ];
  for (const step of steps) {
    space.transact(step);
    states.push(shown());
  }
  for (let at = steps.length - 1; at >= 0; at--) {
    assert.ok(space.canUndo() && space.undo());
    assert.equal(shown(), states[at]);
  }
  assert.ok(!space.canUndo() && !space.undo());
  for (let at = 1; at <= steps.length; at++) {
    assert.ok(space.canRedo() && space.redo());
    assert.equal(shown(), states[at]);
  }
  assert.ok(!space.canRedo());
  assert.ok(space.undo() && space.undo());
  assert.equal(shown(), states[steps.length - 2]);
  space.transact(() => map.set("new", true));
  assert.ok(!space.canRedo() && !space.redo());
  assert.ok(space.undo());
  assert.equal(shown(), states[steps.length - 2]);
});

test("what is typed in one go is undone in one go, and so is a group", async (t) => {
  const space = await openSpace(t, { batchMs: 0 });
  const text = space.getText("t");
  for (const letter of "hello") {
    text.append(letter);
    await new Promise((resolve) => setTimeout(resolve, 3));
  }
  assert.ok(space.stats().changesets > 1, "the batches were sealed one by one");
  assert.ok(space.undo());
  assert.equal(text.toString(), "");
  assert.ok(!space.canUndo());
  assert.ok(space.redo());
  space.undoGroup(() => {
    space.transact(() => text.append("!"));
    text.append("?");
    space.transact(() => space.getMap("m").set("k", 1));
  });
  space.transact(() => text.append("."));
  assert.ok(space.undo() && space.undo());
  assert.deepEqual([text.toString(), space.getMap("m").size], ["hello", 0]);
  assert.ok(space.redo());
  assert.deepEqual([text.toString(), space.getMap("m").size], ["hello!?", 1]);
});

test("a scope undoes the edits of some objects only", async (t) => {
  const space = await openSpace(t);
  const [a, b] = [space.getMap("a"), space.getMap("b")];
  space.transact(() => (a.set("k", 1), b.set("k", 1)));
  space.transact(() => b.set("k", 2));
  assert.ok(space.undo({ scope: [a] }));
  assert.deepEqual([a.get("k"), b.get("k")], [undefined, 2]);
  assert.ok(!space.canUndo({ scope: [a] }) && space.canUndo({ scope: [b] }) && !space.canRedo({ scope: [b] }));
  assert.ok(space.undo() && space.undo());
  assert.deepEqual([a.get("k"), b.get("k")], [undefined, undefined]);
  assert.ok(space.redo({ scope: [a] }));
  assert.deepEqual([a.get("k"), b.get("k")], [1, undefined]);
  for (const scope of [a, [{}], ["a"]]) {
    assert.throws(() => space.undo({ scope } as never), (error) => error instanceof StemmaError && error.argument === "scope");
  }
  assert.throws(() => space.transact(() => space.undo()), (error) => error instanceof StemmaError && error.code === "E_ARGUMENT");
});

test("undo leaves what others did, and says where changes come from", async (t) => {
  const a = await openSpace(t);
  const b = await openSpace(t, { invite: await a.invite() });
  const { port1, port2 } = new MessageChannel();
  const ends = [a.sync.attach(port1 as never), b.sync.attach(port2 as never)];
  atEnd(t, () => ends.forEach((end) => end()));
  const same = async () => {
    for (let i = 0; i < 400 && a.viewDigest() !== b.viewDigest(); i++) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(a.stateHash(), b.stateHash());
  };
  const [here, there] = [a.getText("t"), b.getText("t")];
  a.transact(() => here.insert(0, "one two three"));
  await same();
  b.transact(() => there.insert(4, "[b] "));
  b.transact(() => there.delete(0, 4));
  await same();
  const heard: Change[] = [];
  a.subscribe((changes) => heard.push(...changes));
  assert.ok(a.undo());
  assert.equal(here.toString(), "[b] ");
  assert.deepEqual([...new Set(heard.map((change) => change.source))], ["undo"]);
  await same();
  assert.equal(there.toString(), "[b] ");
  assert.ok(b.undo());
  await same();
  assert.equal(here.toString(), "[b] ", "what was deleted stays away while its insertion is undone");
  assert.ok(a.redo());
  await same();
  assert.equal(here.toString(), "one [b] two three");
});

test("undo goes on after a restart", async (t) => {
  const dir = await newFolder(t);
  const first = await open({ name: "u", storage: { dir } });
  first.transact(() => first.getMap("m").set("k", 1));
  first.transact(() => first.getMap("m").set("k", 2));
  assert.ok(first.undo());
  const { actor } = first;
  await first.close();
  const again = await openSpace(t, { name: "u", storage: { dir } });
  assert.equal(again.actor, actor);
  assert.equal(again.getMap("m").get("k"), 1);
  assert.ok(again.redo());
  assert.equal(again.getMap("m").get("k"), 2);
  assert.ok(again.undo() && again.undo());
  assert.equal(again.getMap("m").get("k"), undefined);
});

test("a group in a group belongs to it", async (t) => {
  const s = await openSpace(t);
  const map = s.getMap("m");
  s.undoGroup(() => {
    map.set("one", 1);
    s.undoGroup(() => map.set("two", 2));
    map.set("three", 3);
  });
  assert.ok(s.undo());
  assert.deepEqual(map.toJSON(), {});
  assert.ok(s.redo());
  assert.equal(map.size, 3);
});

test("a scope of no object has nothing to take back", async (t) => {
  const s = await openSpace(t);
  s.transact(() => s.getMap("m").set("a", 1));
  assert.deepEqual([s.canUndo({ scope: [] }), s.undo({ scope: [] })], [false, false]);
  assert.ok(s.undo());
  assert.deepEqual([s.canRedo({ scope: [] }), s.redo({ scope: [] })], [false, false]);
  assert.ok(s.canRedo());
});
