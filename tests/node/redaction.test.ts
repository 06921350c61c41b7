/** Erasing through the public API: what is told, what is left in a folder, what others show, and what cannot be erased. */

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type OpenOptions, type Space, StemmaError } from "stemma";
import { verifyProof } from "stemma/verify";
import { WebSocket as Ws } from "ws";
import { MemoryStorage } from "../../ts/memory.ts";
import { Relay } from "../web/harness.ts";
import { atEnd, count, newFolder, openSpace } from "./ends.ts";

const code = (expected: string, argument?: string) => (error: unknown) =>
  error instanceof StemmaError && error.code === expected && (argument === undefined || error.argument === argument);

const opened = (t: TestContext, o: Partial<OpenOptions> = {}): Promise<Space> => openSpace(t, { webSocket: Ws as unknown as typeof WebSocket, ...o });

async function until(condition: () => boolean | Promise<boolean>, ms = 20_000): Promise<void> {
  for (const deadline = Date.now() + ms; !(await condition()); ) {
    assert.ok(Date.now() < deadline, "in time");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** The sealed content of the last changeset in an export, which ends with it. */
async function lastContent(space: Space): Promise<Uint8Array> {
  return (await space.export()).slice(-64);
}

const secrets = (space: Space, n: number) => space.transact(() => space.getMap("people").set("name", `Grace Hopper ${n}`), { message: `about ${n}` });

test("what is erased is gone for everybody, and what was decided stays", async (t) => {
  const relay = await Relay.start({ after: (end) => atEnd(t, end) });
  const owner = await opened(t, { relay: relay.url });
  const other = await opened(t, { relay: relay.url, invite: await owner.invite() });
  const text = owner.getText("notes");
  const told: unknown[] = [];
  const written = owner.transact(() => (text.append("secret"), owner.getMap("m").set("key", "secret"), owner.getCounter("c").add(7)), { message: "secret" });
  await written.saved("relay");
  await until(() => other.getText("notes").toString() === "secret");
  other.getText("notes").insert(3, "[mine]");
  await other.flush().saved("relay");
  await until(() => text.toString() === "sec[mine]ret");
  const proof = await owner.audit.proof(written.id);
  other.getMap("m").subscribe((changes) => told.push(...changes));
  const view = other.at(written.id);
  assert.equal(view.getMap("m").get("key"), "secret");

  const redaction = owner.redact(`${written.id}:0`, { reason: "asked to" });
  assert.deepEqual(redaction.changesets, [written.id]);
  assert.deepEqual(redaction.redactions, [redaction.id]);
  assert.deepEqual(redaction.also, [`${written.id}:1`, `${written.id}:2`]);
  assert.equal(owner.getMap("m").get("key"), undefined);
  await redaction.saved("relay");
  await until(() => other.getText("notes").toString() === "[mine]");
  const late = await opened(t, { relay: relay.url, invite: await owner.invite() });
  await until(() => late.heads.join() === other.heads.join());
  await until(() => late.heads.join() === other.heads.join() && late.heads.join() === owner.heads.join());
  for (const space of [owner, other, late]) {
    assert.equal(space.getText("notes").toString(), "[mine]");
    assert.equal(space.getMap("m").get("key"), undefined);
    assert.deepEqual([...space.getMap("m").keys()], []);
    assert.equal(space.getCounter("c").value, 7);
    for await (const one of space.history()) assert.notEqual(one.message, "secret");
    assert.equal(space.stateHash(), owner.stateHash());
    assert.equal(space.viewDigest(), owner.viewDigest());
  }
  assert.equal(view.getMap("m").get("key"), undefined, "also where it was read before");
  assert.equal(told.length, 1);
  // The devices say that they deleted it; whoever came later has nothing to say.
  await until(() => owner.audit.redaction(redaction.id).confirmed.length === 2);
  const { targets, reason, by, confirmed, missing } = owner.audit.redaction(redaction.id);
  assert.deepEqual([targets, reason, by, missing], [[written.id], "asked to", owner.me, []]);
  assert.deepEqual(confirmed.map(({ member, stores }) => [member, stores]).sort(), [[owner.me, []], [other.me, []]].sort());
  assert.deepEqual(owner.audit.redactions(), [redaction.id]);
  assert.throws(() => owner.audit.redaction(written.id), code("E_ARGUMENT", "id"));
  // What was proven before holds, and is proven again in the same words.
  assert.equal((await verifyProof(proof)).changeset, written.id);
  const again = await late.audit.proof(written.id);
  assert.deepEqual([again.header, again.signature], [proof.header, proof.signature]);
  // Nothing brings it back.
  owner.restore(written.id);
  assert.equal(owner.getMap("m").get("key"), undefined);
  assert.equal(text.toString(), "");
});

test("no file of a folder has anything of it, open or closed, with snapshots, drafts and packed rows", async (t) => {
  const dir = await newFolder(t);
  const space = await opened(t, { storage: { dir } });
  const erased: [string, Uint8Array][] = [];
  for (let n = 0; n < 4; n++) {
    const { id } = secrets(space, n);
    erased.push([id, await lastContent(space)]);
    for (let more = 0; more < 400; more++) space.transact(() => space.getMap("m").set(`k${more % 7}`, "x".repeat(200)));
    await space.compact();
  }
  // A draft has it too, under another key.
  space.getText("notes").append("kept");
  const kept = space.flush();
  await kept.saved("local");
  const keptBytes = await lastContent(space);
  for (const [, bytes] of erased) assert.ok((await count(dir, bytes)) >= 1);
  const before = await space.doctor();
  assert.ok(before.snapshot);
  space.redact(
    erased.map(([id]) => id),
    { reason: "asked to" },
  );
  await until(async () => (await Promise.all(erased.map(([, bytes]) => count(dir, bytes)))).every((found) => found === 0));
  assert.equal(await count(dir, keptBytes), 1);
  assert.equal((await space.doctor()).snapshot, undefined, "one that is older than a redaction is not kept");
  await space.compact();
  await space.close();
  for (const [, bytes] of erased) assert.equal(await count(dir, bytes), 0);
  const again = await opened(t, { storage: { dir } });
  assert.equal(again.getMap("people").get("name"), undefined);
  assert.equal(again.getText("notes").toString(), "kept");
  assert.equal(again.getMap("m").get("k1"), "x".repeat(200));
  const { rows, damaged, unknown } = await again.doctor();
  assert.deepEqual([rows.changesets, damaged, unknown], [4 * 401 + 3, 0, 0]);
  assert.deepEqual(again.audit.redaction(again.audit.redactions()[0]!).confirmed.map(({ stores }) => stores), [["folder"]]);
});

test("a space that is closed at once was erased before it closed", async (t) => {
  const dir = await newFolder(t);
  const space = await opened(t, { storage: { dir } });
  const { id } = secrets(space, 1);
  const bytes = await lastContent(space);
  space.redact(id, { reason: "asked to" });
  await space.close();
  assert.equal(await count(dir, bytes), 0);
});

test("a body that is offered again is not taken, and a store without a way to erase is told of", async (t) => {
  const storage = new MemoryStorage();
  Object.defineProperty(storage, "replace", { value: undefined });
  const space = await opened(t, { storage });
  const { id } = secrets(space, 1);
  const body = await lastContent(space);
  const whole = await space.export();
  const faults: StemmaError[] = [];
  space.on("storage", (fault) => faults.push(fault));
  space.redact(id, { reason: "asked to" });
  const holds = (bytes: Uint8Array) => Buffer.from(bytes).includes(Buffer.from(body));
  assert.deepEqual([holds(whole), holds(await space.export())], [true, false]);
  assert.deepEqual(await space.import(whole), { added: 0, known: 1, refused: 0, pending: 0 });
  assert.equal(space.getMap("people").get("name"), undefined);
  assert.equal(holds(await space.export()), false);
  await until(() => faults.length > 0);
  assert.equal(faults[0]?.code, "E_UNSUPPORTED");
  assert.equal(holds(await space.getMap("people").export()), false, "the export of a handle has none of it");
});

test("a member's work, an object and a time are selections", async (t) => {
  const owner = await opened(t);
  const other = await opened(t, { invite: await owner.invite() });
  other.getMap("a").set("k", "theirs");
  other.getMap("b").set("k", "theirs");
  other.flush();
  await owner.import(await other.export());
  owner.getMap("a").set("own", 1);
  const { changesets, also } = owner.redact({ member: other.me, object: owner.getMap("a") }, { reason: "left" });
  assert.equal(changesets.length, 1);
  assert.equal(also.length, 1, "the other map was written in the same batch");
  assert.equal(owner.getMap("b").get("k"), undefined);
  assert.equal(owner.getMap("a").get("own"), 1);
  assert.equal(owner.redact(owner.me, { reason: "all mine" }).changesets.length, 1);
  assert.equal(owner.getMap("a").get("own"), undefined);
});

test("what cannot be erased says why", async (t) => {
  const owner = await opened(t);
  const { id } = secrets(owner, 1);
  const word = owner.policy.setThreshold(2);
  const other = await opened(t, { invite: await owner.invite() });
  await other.import(await owner.export());
  const why = { reason: "why" };
  assert.throws(() => other.redact(id, why), code("E_ACCESS"));
  assert.throws(() => owner.redact("0".repeat(64), why), code("E_ARGUMENT", "target"));
  assert.throws(() => owner.redact("nonsense", why), code("E_ARGUMENT", "target"));
  assert.throws(() => owner.redact([], why), code("E_ARGUMENT", "target"));
  assert.throws(() => owner.redact({ since: Date.now() + 1e9 }, why), code("E_ARGUMENT", "target"));
  assert.throws(() => owner.redact(`${id}:9`, why), code("E_ARGUMENT", "target"));
  assert.throws(() => owner.redact(word.id, why), code("E_ARGUMENT", "target"));
  assert.throws(() => owner.redact(id, { reason: "" }), code("E_ARGUMENT", "reason"));
  assert.throws(() => owner.redact(id, { reason: "x".repeat(8_193) }), code("E_ARGUMENT", "reason"));
  assert.throws(() => owner.redact(id, {} as never), code("E_ARGUMENT", "reason"));
  assert.throws(() => owner.redact(id, { ...why, more: 1 } as never), code("E_ARGUMENT", "more"));
  assert.throws(() => owner.transact(() => owner.redact(id, why)), code("E_ARGUMENT"));
  assert.equal(owner.getMap("people").get("name"), "Grace Hopper 1");
  const redaction = owner.redact(id, why);
  assert.throws(() => owner.redact(redaction.id, why), code("E_ARGUMENT", "target"), "control");
});
