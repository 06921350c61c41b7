/** The audit log of a device and evidence, through the public API. */

import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { test } from "node:test";
import { open, StemmaError } from "stemma";
import { verifyEvidence } from "stemma/verify";
import { MemoryStorage } from "../../ts/memory.ts";
import { newFolder, openSpace } from "./ends.ts";

const code = (expected: string, argument?: string) => (error: unknown) =>
  error instanceof StemmaError && error.code === expected && (argument === undefined || error.argument === argument);

async function all<T>(entries: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const entry of entries) list.push(entry);
  return list;
}

test("what happens is in the log, by type, member, object and time, and still is after a restart", async (t) => {
  const storage = new MemoryStorage();
  const owner = await open({ name: "log", storage });
  const other = await openSpace(t, { invite: await owner.invite() });
  other.getMap("m").set("key", 1);
  await owner.import(await other.export());
  owner.policy.ban(other.me, { from: "now" });
  const map = owner.getMap("m");
  await map.export();
  const before = await all(owner.audit.log());
  assert.deepEqual(before.map(({ type }) => type).sort(), ["export", "key", "key", "key", "policy"]);
  const [exported] = await all(owner.audit.log({ object: map }));
  assert.equal(exported?.type, "export");
  assert.deepEqual((await all(owner.audit.log({ member: other.me }))).map(({ type }) => type), ["key"]);
  assert.deepEqual(await all(owner.audit.log({ until: before[0]!.time })), []);
  assert.equal((await all(owner.audit.log({ limit: 2 }))).length, 2);
  assert.ok(before.every((entry, i) => entry.index === i && (i === 0 || entry.previous === before[i - 1]!.hash)));
  await owner.close();
  const again = await open({ name: "log", storage });
  t.after(() => again.close());
  const after = await all(again.audit.log());
  assert.deepEqual(after.slice(0, before.length), before);
  const chains = await again.audit.checkLog();
  assert.deepEqual(new Set(chains.map(({ actor }) => actor)), new Set([before[0]!.chain, again.actor]), "one for each actor");
  assert.ok(chains.every(({ fault, dropped }) => fault === undefined && dropped === 0));
});

test("a live reader gets each entry once, and ends with its signal", async (t) => {
  const space = await openSpace(t);
  const controller = new AbortController();
  const seen: string[] = [];
  const reading = (async () => {
    for await (const { type } of space.audit.log({ live: true, signal: controller.signal })) seen.push(type);
  })();
  for (let n = 1; n <= 3; n++) {
    await space.invite();
    while (seen.length < 1 + n) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.deepEqual(seen, ["key", "key", "key", "key"]);
  controller.abort();
  await assert.rejects(reading, { name: "AbortError" });
  await space.close();
  assert.throws(() => space.audit.log(), code("E_CLOSED"));
});

test("what entries are about can be dropped, and the log stays whole", async (t) => {
  const storage = new MemoryStorage();
  const space = await open({ name: "redacted", storage });
  await space.invite();
  assert.equal(await space.audit.redactLog({ type: "key" }), 2);
  assert.equal(await space.audit.redactLog({ type: "key" }), 0);
  await space.close();
  const again = await open({ name: "redacted", storage });
  t.after(() => again.close());
  const keys = (await all(again.audit.log({ type: "key" }))).filter(({ chain }) => chain !== again.actor);
  assert.equal(keys.length, 2);
  assert.ok(keys.every(({ redacted, detail }) => redacted === true && detail === undefined));
  assert.ok((await again.audit.checkLog()).every(({ fault }) => fault === undefined));
});

test("only so many entries are kept, and what was dropped is vouched for", async (t) => {
  const space = await openSpace(t, { auditEntries: 64 });
  for (let n = 0; n < 140; n++) await space.invite();
  let kept = await all(space.audit.log());
  for (let n = 0; n < 200 && kept.length > 64; n++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    kept = await all(space.audit.log());
  }
  assert.ok(kept.length <= 64, `${kept.length}`);
  const [chain] = await space.audit.checkLog();
  assert.equal(chain?.fault, undefined);
  assert.ok(chain!.dropped > 0 && chain!.dropped + kept.length === chain!.size);
});

test("misuse is told with what is wrong", async (t) => {
  const space = await openSpace(t);
  const wrong = { log: (o: unknown) => space.audit.log(o as object), evidence: (o: unknown) => space.audit.evidence(o as string) };
  assert.throws(() => wrong.log({ type: "nothing" }), code("E_ARGUMENT", "type"));
  assert.throws(() => wrong.log({ actor: "ab" }), code("E_ARGUMENT", "actor"));
  assert.throws(() => wrong.log({ object: {} }), code("E_ARGUMENT", "object"));
  assert.throws(() => wrong.log({ limit: -1 }), code("E_ARGUMENT", "limit"));
  assert.throws(() => wrong.log({ live: 1 }), code("E_ARGUMENT", "live"));
  assert.throws(() => wrong.log({ nothing: 1 }), code("E_ARGUMENT", "nothing"));
  await assert.rejects(space.audit.redactLog({}), code("E_ARGUMENT", "query"));
  assert.throws(() => wrong.evidence("ab"), code("E_ARGUMENT", "actor"));
  assert.throws(() => space.audit.isByzantine("ab"), code("E_ARGUMENT", "actor"));
  assert.throws(() => space.audit.reputation("ab"), code("E_ARGUMENT", "actor"));
  assert.throws(() => space.audit.resolve("00".repeat(32)), code("E_ARGUMENT", "evidence"));
  await assert.rejects(open({ name: "few", storage: "memory", auditEntries: 3 }), code("E_ARGUMENT", "auditEntries"));
});

test("a copied device is evidence that anybody can check, and is settled by the device itself", async (t) => {
  const owner = await openSpace(t);
  const dir = await newFolder(t);
  const first = await open({ name: "writer", storage: { dir }, invite: await owner.invite() });
  first.getMap("m").set("before", 1);
  await first.close();
  const second = await newFolder(t);
  cpSync(dir, second, { recursive: true });
  const writer = await openSpace(t, { storage: { dir } });
  const copy = await openSpace(t, { storage: { dir: second } });
  const actor = writer.actor;
  assert.equal(copy.actor, actor);
  const told: boolean[][] = [];
  const stop = owner.on("evidence", (audit) => told.push(audit.evidence().map(({ settled }) => settled !== undefined)));
  writer.getMap("m").set("here", 1);
  copy.getMap("m").set("there", 1);
  await owner.import(await writer.export());
  await owner.import(await copy.export());
  assert.equal(owner.stats().forks, 1);
  // Nobody who is accused hears of it: the others tell.
  for (let n = 0; n < 200 && owner.audit.evidence().length === 0; n++) await new Promise((resolve) => setTimeout(resolve, 50));
  const [found] = owner.audit.evidence(actor);
  assert.ok(found);
  assert.deepEqual([found.kind, found.actors, found.member, found.since, found.proven, found.settled], ["fork", [actor], writer.me, 1, true, undefined]);
  assert.equal(owner.audit.isByzantine(actor), true);
  assert.deepEqual(owner.audit.reputation(actor), { score: 0, state: "quarantined" });
  assert.deepEqual(owner.getMap("m").toJSON(), { before: 1 });
  const proof = JSON.parse(JSON.stringify(found.proof));
  assert.deepEqual(await verifyEvidence(proof), { kind: "fork", space: owner.id, actor, seq: 1 });
  for (const at of [0, 2, 9, 200, proof.evidence.length - 1]) {
    const evidence = proof.evidence.slice(0, at) + (proof.evidence[at] === "0" ? "1" : "0") + proof.evidence.slice(at + 1);
    await assert.rejects(verifyEvidence({ ...proof, evidence }), (error) => code("E_PROOF")(error) || code("E_UNSUPPORTED")(error));
  }
  await assert.rejects(verifyEvidence({ ...proof, evidence: proof.evidence.slice(0, -2) }), code("E_PROOF"));
  await assert.rejects(verifyEvidence({ ...proof, space: "00".repeat(32) }), code("E_PROOF"));
  const [noted] = await all(owner.audit.log({ type: "evidence" }));
  assert.equal(noted?.actor, actor);
  assert.throws(() => copy.audit.resolve(found.id), code("E_ARGUMENT", "evidence"));
  await writer.import(await owner.export());
  for (let n = 0; n < 200 && writer.audit.isByzantine(actor); n++) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.notEqual(writer.actor, actor);
  await owner.import(await writer.export());
  assert.equal(owner.audit.isByzantine(actor), false);
  assert.deepEqual(owner.getMap("m").toJSON(), { before: 1, here: 1, there: 1 });
  assert.deepEqual(told, [[false], [true]], "that there is some, and that it is settled");
  stop();
});
