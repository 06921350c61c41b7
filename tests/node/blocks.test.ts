// Blocks by the documented API: four people on ports, who make them, look at them, and check the whole chain.

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Space, StemmaError } from "stemma";
import { atEnd, newFolder, openSpace } from "./ends.ts";

const code = (code: string, argument?: string) => (error: StemmaError) => error.code === code && (argument === undefined || error.argument === argument);
const soon = () => ({ signal: AbortSignal.timeout(30_000) });

/** An owner and others, each with a port to the owner. */
async function group(t: TestContext, count: number): Promise<[Space, ...Space[]]> {
  const owner = await openSpace(t, { batchMs: 0 });
  const spaces: [Space, ...Space[]] = [owner];
  for (let n = 1; n < count; n++) {
    const space = await openSpace(t, { batchMs: 0, invite: await owner.invite() });
    const { port1, port2 } = new MessageChannel();
    atEnd(t, () => port1.close());
    owner.sync.attach(port1);
    space.sync.attach(port2);
    spaces.push(space);
  }
  return spaces;
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, what);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test("what is written is in a block that everybody has, with what can be read of it", async (t) => {
  const spaces = await group(t, 4);
  const [owner, ...others] = spaces;
  owner.audit.configure({ validators: spaces.map(({ me }) => me), blockTimeMs: 20, maxOpsPerBlock: 100, tolerance: 1 / 3 });
  spaces.forEach((space) => space.audit.validate());
  const write = owner.transact(() => owner.getMap("m").set("key", 1), { message: "the first" });
  await write.saved("final", soon());
  assert.equal(owner.audit.isFinal(write.id), true);
  const other = others[2] as Space;
  await until("the other one has it in a block", async () => (await other.audit.blocks()).some(({ changesets }) => changesets.includes(write.id)));
  const [blocks, same] = [await owner.audit.blocks(), await other.audit.blocks({ limit: 1 })];
  const [first] = blocks;
  assert.ok(first && same[0]);
  assert.deepEqual([first.height, first.previous, first.id], [1, owner.id, same[0].id]);
  assert.ok(first.certificate.length >= 3);
  assert.equal(new Set(first.certificate.map(({ member }) => member)).size, first.certificate.length);
  assert.ok(spaces.some(({ me }) => me === first.proposer));
  const held = blocks.find(({ changesets }) => changesets.includes(write.id));
  assert.deepEqual(held?.operations.filter(({ id }) => id === write.id).map(({ message, member }) => [message, member]), [["the first", owner.me]]);
  assert.ok(Object.isFrozen(first) && Object.isFrozen(first.certificate) && Object.isFrozen(held?.operations));
  blocks.forEach((block, at) => assert.deepEqual([block.height, block.previous], [at + 1, blocks[at - 1]?.id ?? owner.id]));
  const report = await other.audit.verify();
  assert.ok(report.blocks >= 1 && report.fault === undefined);
  assert.deepEqual(await owner.audit.blocks({ since: blocks.length + 100 }), []);
  assert.equal(owner.audit.halt, undefined);
});

test("a view of what is final, and a space that was closed meanwhile", async (t) => {
  const dir = await newFolder(t);
  const name = "blocks";
  const owner = await openSpace(t, { name, storage: { dir }, batchMs: 0 });
  owner.audit.configure({ validators: [owner.me], blockTimeMs: 10 });
  const stop = owner.audit.validate();
  await owner.transact(() => owner.getMap("m").set("old", 1)).saved("final", soon());
  stop();
  owner.transact(() => owner.getMap("m").set("new", 1));
  const view = owner.view({ finalOnly: true });
  assert.deepEqual([...view.getMap("m").keys()], ["old"]);
  const blocks = await owner.audit.blocks();
  await owner.close();
  const again = await openSpace(t, { name, storage: { dir }, batchMs: 0 });
  assert.deepEqual((await again.audit.blocks()).map(({ id }) => id), blocks.map(({ id }) => id));
  again.audit.validate();
  await again.transact(() => again.getMap("m").set("later", 1)).saved("final", soon());
  assert.ok((await again.audit.verify()).blocks > blocks.length);
});

test("validators who are lost are replaced by beginning anew", async (t) => {
  const [owner, lost] = (await group(t, 2)) as [Space, Space];
  owner.audit.configure({ validators: [owner.me, lost.me], blockTimeMs: 10 });
  owner.audit.validate();
  const write = owner.transact(() => owner.getMap("m").set("key", 1));
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(owner.audit.isFinal(write.id), false);
  owner.audit.configure({ validators: [owner.me], blockTimeMs: 10, anew: true });
  await write.saved("final", soon());
  assert.equal((await owner.audit.blocks())[0]?.height, 1);
});

test("misuse of blocks is told by name", async (t) => {
  const { audit, me } = await openSpace(t);
  const wrong: [object, string][] = [
    [{ tolerance: 0.25 }, "tolerance"],
    [{ tolerance: "1/3" }, "tolerance"],
    [{ tolerance: Number.NaN }, "tolerance"],
    [{ maxOpsPerBlock: 0 }, "maxOpsPerBlock"],
    [{ maxOpsPerBlock: 2 ** 32 }, "maxOpsPerBlock"],
    [{ blockTimeMs: 86_400_001 }, "blockTimeMs"],
    [{ anew: 1 }, "anew"],
  ];
  for (const [options, argument] of wrong) {
    assert.throws(() => audit.configure({ validators: [me], ...options } as never), code("E_ARGUMENT", argument), JSON.stringify(options));
  }
  await assert.rejects(audit.blocks({ since: -1 }), code("E_ARGUMENT", "since"));
  await assert.rejects(audit.blocks({ limit: 0.5 }), code("E_ARGUMENT", "limit"));
  await assert.rejects(audit.blocks({ from: 1 } as never), code("E_ARGUMENT", "from"));
  await assert.rejects(audit.verify({ signal: 1 as never }), code("E_ARGUMENT", "signal"));
  await assert.rejects(audit.verify({ signal: AbortSignal.abort() }), { name: "AbortError" });
  assert.deepEqual([await audit.blocks(), await audit.verify(), audit.halt], [[], { blocks: 0 }, undefined]);
});
