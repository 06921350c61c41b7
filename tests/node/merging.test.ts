// One object as bytes, merged by importing: whatever the order, grouping and number of times, the result is the same.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Space } from "stemma";
import { openSpace } from "./ends.ts";

function edit(space: Space, who: string): void {
  space.transact(() => {
    space.getText("text").insert(0, `${who} `);
    space.getMap("map").set(who, who).set("both", who);
    space.getMap("map").child("child", "text").append(who);
    space.getCounter("counter").add(3);
    space.getSet("set").add(who);
    space.getCart("cart").add("apple", 2);
    space.getLedger("ledger").open(who);
    space.getLedger("ledger").transfer({ to: who, amount: 5n, memo: who });
    space.getList("list").push(who, "last");
    space.getList("list").move(space.getList("list").length - 1, 0);
  });
}

const handles = (space: Space) => [space.getText("text"), space.getMap("map"), space.getCounter("counter"), space.getSet("set"), space.getCart("cart"), space.getLedger("ledger"), space.getList("list")];

async function apart(t: TestContext): Promise<{ spaces: Space[]; fresh: () => Promise<Space> }> {
  const first = await openSpace(t);
  edit(first, "start");
  const invite = await first.invite({ uses: Number.POSITIVE_INFINITY });
  const fresh = () => openSpace(t, { invite });
  const spaces = [first, await fresh(), await fresh()];
  const start = await first.export();
  for (const [at, space] of spaces.entries()) {
    await space.import(start);
    edit(space, `member ${at}`);
  }
  return { spaces, fresh };
}

test("exports of an object merge in any order and grouping", async (t) => {
  const { spaces, fresh } = await apart(t);
  for (const at of handles(spaces[0] as Space).keys()) {
    const exports = await Promise.all(spaces.map((space) => handles(space)[at]?.export() as Promise<Uint8Array>));
    const merged = async (order: readonly number[]) => {
      const space = await fresh();
      for (const from of order) await space.import(exports[from] as Uint8Array);
      return space;
    };
    const one = await merged([0, 1, 2]);
    const json = handles(one)[at]?.toJSON();
    const pair = await merged([2, 1]);
    await pair.import(exports[2] as Uint8Array);
    const grouped = await fresh();
    await grouped.import((await handles(pair)[at]?.export()) as Uint8Array);
    await grouped.import(exports[0] as Uint8Array);
    for (const other of [await merged([2, 0, 1, 0, 2]), grouped]) {
      assert.deepEqual(handles(other)[at]?.toJSON(), json);
      assert.equal(other.stateHash(), one.stateHash());
    }
    // Nothing of the others can be read.
    for (const [other, handle] of handles(one).entries()) {
      if (other !== at) assert.notDeepEqual(handle.toJSON(), handles(spaces[0] as Space)[other]?.toJSON());
    }
  }
});

test("an export brings no other space anything", async (t) => {
  const { spaces } = await apart(t);
  const stranger = await openSpace(t);
  const bytes = await (spaces[0] as Space).getText("text").export();
  await assert.rejects(stranger.import(bytes), { code: "E_ARGUMENT", argument: "bytes" });
  await assert.rejects(stranger.import(bytes.subarray(0, 100)), { code: "E_ARGUMENT", argument: "bytes" });
  assert.equal(stranger.stats().changesets, 0);
  stranger.transact(() => void assert.rejects(stranger.getText("text").export(), { code: "E_ARGUMENT" }));
});

test("an export of an object has what was taken back in it, and brought back", async (t) => {
  const a = await openSpace(t);
  const map = a.getMap("m");
  a.transact(() => map.set("a", 1));
  const b = await openSpace(t, { invite: await a.invite() });
  await b.import(await map.export());
  assert.deepEqual(b.getMap("m").toJSON(), { a: 1 });
  for (const shown of [{}, { a: 1 }]) {
    assert.ok("a" in shown ? a.redo() : a.undo());
    await b.import(await map.export());
    assert.deepEqual(b.getMap("m").toJSON(), shown);
  }
  const listed: string[] = [];
  for await (const { id } of a.history({ object: map })) listed.push(id);
  assert.equal(listed.length, 3);
});

test("an import is there when it is told, however much it is", async (t) => {
  const a = await openSpace(t);
  for (let n = 0; n < 700; n += 1) a.transact(() => a.getCounter("n").add(1));
  const b = await openSpace(t, { invite: await a.invite() });
  const bytes = await a.export();
  const importing = b.import(bytes);
  bytes.fill(0); // the caller's again
  b.getCounter("own").add(1); // what is edited meanwhile holds nothing up
  const report = await importing;
  assert.deepEqual([report.added, report.pending], [700, 0]);
  assert.equal(b.getCounter("n").value, 700);
  assert.equal(b.stats().changesets, 701);
});
