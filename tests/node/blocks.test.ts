// Blocks by the documented API: four people on ports, who make them, look at them, and check the whole chain.

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { BlockProof, Space, StemmaError } from "stemma";
import { verifyBlock, verifyProof } from "stemma/verify";
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
  for await (const { block, detail } of other.audit.log({ type: "block", limit: 1 })) assert.deepEqual([block, detail], [first.id, "block 1 is certified"]);
});

test("an outsider sees who certified a block, that a changeset is in it, and believes a set from the one before", async (t) => {
  const spaces = await group(t, 4);
  const [owner, ...others] = spaces;
  owner.audit.configure({ validators: spaces.map(({ me }, at) => ({ member: me, weight: at + 1 })), blockTimeMs: 20 });
  const stops = spaces.map((space) => space.audit.validate());
  const write = owner.transact(() => owner.getMap("m").set("key", 1), { disclosable: true });
  await write.saved("final", soon());
  const trusted = owner.audit.validators;
  owner.audit.configure({ validators: others.map(({ me }) => me), blockTimeMs: 20 });
  await owner.transact(() => owner.getMap("m").set("key", 2)).saved("final", soon());
  stops.forEach((stop) => stop());
  const blocks = await owner.audit.blocks();
  // From the set that is known each block says who is to be believed about the next one.
  let set: string | typeof trusted = trusted;
  for (const block of blocks) {
    const proof: BlockProof = JSON.parse(JSON.stringify(await owner.audit.blockProof(block.height)));
    const { id, height, previous, root, validators, nextValidators, signers, weight, quorum } = await verifyBlock(proof, { validators: set });
    assert.deepEqual([id, height, previous, root, validators], [block.id, block.height, block.previous, block.root, block.validators]);
    assert.deepEqual(signers.map(({ member }) => member), block.certificate.map(({ member }) => member));
    assert.ok(weight >= quorum && weight === signers.reduce((sum, { weight }) => sum + weight, 0));
    set = nextValidators;
  }
  assert.equal(set, blocks.at(-1)?.nextValidators);
  assert.notEqual(blocks[0]?.validators, set, "the set has changed meanwhile");
  const shown = JSON.parse(JSON.stringify(await owner.audit.proof(`${write.id}:0`, { block: true })));
  const { changeset, actor, block, event } = await verifyProof(shown, { validators: trusted });
  const held = blocks.find(({ changesets }) => changesets.includes(write.id));
  assert.deepEqual([changeset, actor, block?.id, block?.total, event?.["value"]], [write.id, owner.actor, held?.id, 10, 1]);
  // Another one, who has the same, shows it as well.
  const another = others[1] as Space;
  await until("it came", () => another.audit.isFinal(write.id));
  assert.equal((await verifyProof(await another.audit.proof(write.id, { block: true }))).block?.id, held?.id);

  const [other, plain] = [await owner.audit.blockProof(blocks.at(-1)?.height as number), await owner.audit.proof(write.id)];
  const wrong: [string, (copy: any) => void][] = [
    ["block", (copy) => (copy.block = null)],
    ["block", (copy) => delete copy.block],
    ["version", (copy) => (copy.block.version = 2)],
    ["size", (copy) => (copy.size = "many")],
    ["root", (copy) => (copy.root = other.header.slice(0, 64))],
    ["certificate", (copy) => copy.block.certificate.splice(1)],
    ["signature", (copy) => (copy.block.certificate[0].signature = copy.block.certificate[1].signature)],
    ["validators", (copy) => (copy.block.validators[0].weight += 1)],
  ];
  for (const [argument, change] of wrong) {
    const copy = structuredClone(shown);
    change(copy);
    await assert.rejects(verifyProof(copy, { validators: trusted }), code("E_PROOF", argument), `${argument}: ${change}`);
  }
  await assert.rejects(verifyProof({ ...shown, block: other }), code("E_PROOF", "block"), "the last block has another tree");
  await assert.rejects(verifyProof(plain, { validators: trusted }), code("E_PROOF", "block"));
  await assert.rejects(verifyProof(shown, { validators: others.map(({ me }) => me) }), code("E_PROOF", "validators"));
  const late = owner.transact(() => owner.getMap("m").set("key", 3)).id;
  await assert.rejects(owner.audit.proof(late, { block: true }), code("E_ARGUMENT", "block"));
  await assert.rejects(owner.audit.proof(write.id, { block: true, attestedBy: owner.me }), code("E_ARGUMENT", "block"));
  await assert.rejects(owner.audit.blockProof(blocks.length + 1), code("E_ARGUMENT", "height"));
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
  await assert.rejects(audit.blockProof(1), code("E_ARGUMENT", "height"));
  await assert.rejects(audit.blockProof("1" as never), code("E_ARGUMENT", "height"));
  await assert.rejects(audit.blockProof(1, { since: 1 } as never), code("E_ARGUMENT", "since"));
  await assert.rejects(audit.proof("0".repeat(64), { block: 1 as never }), code("E_ARGUMENT", "block"));
  await assert.rejects(audit.verify({ signal: 1 as never }), code("E_ARGUMENT", "signal"));
  await assert.rejects(audit.verify({ signal: AbortSignal.abort() }), { name: "AbortError" });
  assert.deepEqual([await audit.blocks(), await audit.verify(), audit.halt], [[], { blocks: 0 }, undefined]);
});
