// Transactions that are told and read, and wait for their signatures.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open, type Space, type Write } from "stemma";
import { newFolder, openSpace } from "./ends.ts";

/** Transactions of one edit each, and what each was made with. */
function edit(space: Space, count: number): Write[] {
  const [map, set, counter] = [space.getMap("m"), space.getSet("s"), space.getCounter("c")];
  return Array.from({ length: count }, (_, i) =>
    space.transact(() => (i % 3 === 0 ? map.set("k", i) : i % 3 === 1 ? set.add(i) : counter.add(i)), { message: `${i}` }),
  );
}

async function messages(space: Space): Promise<(string | undefined)[]> {
  const found: (string | undefined)[] = [];
  for await (const { message } of space.history()) found.push(message);
  return found;
}

test("each has an id of its own, in their order, whichever is asked for first", async (t) => {
  const space = await openSpace(t);
  const writes = edit(space, 100);
  const last = writes.at(-1)?.id;
  assert.match(String(last), /^[0-9a-f]{64}$/);
  assert.equal(new Set(writes.map(({ id }) => id)).size, 100);
  assert.deepEqual(space.heads, [last]);
  const listed: string[] = [];
  for await (const { id } of space.history()) listed.push(id);
  assert.deepEqual(writes.map(({ id }) => id), listed);
});

test("they are signed and stored by themselves, and a write is named meanwhile", async (t) => {
  const dir = await newFolder(t);
  const space = await open({ name: "waiting", storage: { dir } });
  const writes = edit(space, 70);
  await writes[69]?.saved("local");
  assert.equal(space.transact(() => {}).id, writes[69]?.id);
  edit(space, 70);
  await new Promise<void>((resolve) => {
    const look = () => (space.sync.pending < 140 ? setTimeout(look, 1) : resolve());
    look();
  });
  assert.equal(space.stats().changesets, 140);
  await space.close();
  const again = await openSpace(t, { name: "waiting", storage: { dir } });
  assert.equal((await messages(again)).length, 140);
});

test("closing and exporting leave nothing behind, and ids stay", async (t) => {
  const dir = await newFolder(t);
  const space = await open({ name: "left", storage: { dir } });
  const [first] = edit(space, 50);
  const copy = await openSpace(t, { invite: await space.invite() });
  await copy.import(await space.export());
  assert.equal((await messages(copy)).length, 50);
  const late = edit(space, 3);
  await space.close();
  assert.match(String(late[2]?.id), /^[0-9a-f]{64}$/);
  const again = await openSpace(t, { name: "left", storage: { dir } });
  assert.deepEqual((await messages(again)).slice(-3), ["0", "1", "2"]);
  assert.equal(again.getMap("m").history("k")[0]?.changeset, first?.id);
});

test("whatever asks about changesets sees them all", async (t) => {
  const answers: ((space: Space) => unknown)[] = [
    (space) => space.heads.length,
    (space) => space.stats().changesets,
    (space) => space.stream(space.actor)?.length,
    (space) => space.stateHash().length + space.viewDigest().length,
    (space) => space.getMap("m").history("k").map(({ changeset, value }) => [changeset.length, value]),
    (space) => [space.canUndo(), space.canRedo(), space.undo(), space.getCounter("c").value, space.redo(), space.getCounter("c").value],
    (space) => space.view().getSet("s").toJSON(),
    (space) => (space.restore(Date.now() - 60_000), space.getMap("m").toJSON()),
    (space) => (space.undoGroup(() => void edit(space, 4)), space.undo(), space.getMap("m").toJSON()),
  ];
  for (const answer of answers) {
    const [waiting, sealed] = [await openSpace(t), await openSpace(t)];
    for (const space of [waiting, sealed]) edit(space, 9);
    sealed.flush();
    assert.deepEqual(answer(waiting), answer(sealed), String(answer));
  }
});

test("loose edits, texts and what is given up keep their places between them", async (t) => {
  const space = await openSpace(t);
  const [map, text] = [space.getMap("m"), space.getText("t")];
  const told: string[] = [];
  map.subscribe((changes) => told.push(changes.flatMap(({ keys, origin }) => [...keys, String(origin)]).join()));
  space.transact(() => map.set("a", 1), { message: "a", origin: 1 });
  map.set("b", 1);
  space.transact(() => map.set("c", 1), { message: "c", origin: 2 });
  assert.throws(() => space.transact(() => (map.set("d", 1), assert.fail("given up"))));
  space.transact(() => text.append("x"), { message: "text" });
  map.set("e", 1);
  assert.throws(() => space.transact(() => (map.delete("a"), text.append("y"), assert.fail("given up"))));
  const last = space.transact(() => space.transact(() => map.set("f", 1)), { message: "f" });
  assert.deepEqual(told, ["a,1", "b,undefined", "c,2", "e,undefined", "f,undefined"]);
  assert.deepEqual([map.toJSON(), text.toString()], [{ a: 1, b: 1, c: 1, e: 1, f: 1 }, "x"]);
  assert.deepEqual(await messages(space), ["a", undefined, "c", "text", undefined, "f"]);
  assert.deepEqual(space.heads, [last.id]);
});

test("an id can be asked for inside the next one, and what others did comes in once nothing waits", async (t) => {
  const one = await openSpace(t);
  const copy = await openSpace(t, { invite: await one.invite() });
  const write = one.transact(() => one.getMap("m").set("k", 1));
  one.transact(() => {
    one.getMap("m").set("k", 2);
    assert.equal(write.id.length, 64);
    assert.deepEqual(one.heads, [write.id]);
  });
  await copy.import(await one.export());
  copy.transact(() => copy.getMap("m").set("theirs", 1));
  const bytes = await copy.export();
  edit(one, 10);
  await one.import(bytes);
  assert.deepEqual(one.getMap("m").toJSON(), { k: 9, theirs: 1 });
});
