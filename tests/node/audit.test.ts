/** Proofs through the public API: made by a space, checked by `stemma/verify`, which loads no engine. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { open, type Proof, type Space, StemmaError } from "stemma";
import { verifyConsistency, verifyProof } from "stemma/verify";
import { MemoryStorage } from "../../ts/memory.ts";
import { newFolder, openSpace } from "./ends.ts";

const code = (expected: string, argument?: string) => (error: unknown) =>
  error instanceof StemmaError && error.code === expected && (argument === undefined || error.argument === argument);

/** A space with so many changesets that each set a key, and their ids. */
async function written(t: TestContext, count: number): Promise<[Space, string[]]> {
  const space = await openSpace(t);
  const map = space.getMap("m");
  return [space, Array.from({ length: count }, (_, n) => space.transact(() => map.set("key", n)).id)];
}

/** A copy with something altered, through JSON as it would come over the wire. */
function altered<T extends object>(proof: T, change: (copy: any) => void): unknown {
  const copy = JSON.parse(JSON.stringify(proof));
  change(copy);
  return copy;
}

const flipped = (hex: string, at = 0) => hex.slice(0, at) + (hex[at] === "0" ? "1" : "0") + hex.slice(at + 1);

test("a proof of every changeset holds, and says who signed what", async (t) => {
  const [space, ids] = await written(t, 11);
  const { size, root } = space.audit.head();
  assert.equal(size, 11);
  for (const [seq, changeset] of ids.entries()) {
    const proof = await space.audit.proof(changeset);
    assert.deepEqual(await verifyProof(JSON.parse(JSON.stringify(proof)), { size, root }), { space: space.id, changeset, actor: space.actor, seq, size, root });
  }
});

test("the head counts what is not sealed yet, and is the same for all who have the same changesets", async (t) => {
  const [first] = await written(t, 3);
  const second = await openSpace(t, { invite: await first.invite() });
  await second.import(await first.export());
  assert.deepEqual(second.audit.head(), first.audit.head());
  second.getMap("m").set("other", 1);
  assert.equal(second.audit.head().size, 4);
  first.getMap("m").set("own", 1);
  first.audit.head();
  await first.import(await second.export());
  await second.import(await first.export());
  assert.deepEqual(second.audit.head(), first.audit.head());
  assert.equal(first.audit.head().size, 5);
});

test("an altered proof names the part that does not fit", async (t) => {
  const [space, ids] = await written(t, 6);
  const proof = await space.audit.proof(ids[3]!);
  const other = await space.audit.proof(ids[4]!);
  const wrong: [string, (copy: any) => void][] = [
    ["version", (copy) => (copy.version = 2)],
    ["changeset", (copy) => (copy.changeset = "xy")],
    ["changeset", (copy) => (copy.changeset = copy.changeset.slice(2))],
    ["header", (copy) => (copy.changeset = other.changeset)],
    ["header", (copy) => (copy.header = flipped(copy.header, 140))],
    ["header", (copy) => (copy.header = copy.header.slice(0, 60))],
    ["header", (copy) => delete copy.header],
    ["space", (copy) => (copy.space = flipped(copy.space))],
    ["signature", (copy) => (copy.signature = flipped(copy.signature, 9))],
    ["signature", (copy) => (copy.signature = other.signature)],
    ["signature", (copy) => (copy.signature = null)],
    ["index", (copy) => (copy.index = 6)],
    ["index", (copy) => (copy.index = -1)],
    ["index", (copy) => (copy.index = 0.5)],
    ["root", (copy) => (copy.index = 2)],
    ["size", (copy) => (copy.size = 2 ** 60)],
    ["path", (copy) => (copy.size = 64)],
    ["path", (copy) => copy.path.pop()],
    ["path", (copy) => copy.path.push(copy.root)],
    ["path", (copy) => (copy.path = Array(65).fill(copy.root))],
    ["path", (copy) => (copy.path = "0".repeat(64))],
    ["path", (copy) => (copy.path[1] = 7)],
    ["root", (copy) => (copy.path[1] = flipped(copy.path[1]))],
    ["root", (copy) => copy.path.reverse()],
    ["root", (copy) => (copy.root = flipped(copy.root))],
  ];
  for (const [argument, change] of wrong) {
    await assert.rejects(verifyProof(altered(proof, change)), code("E_PROOF", argument), `${argument}: ${change}`);
  }
  for (const nothing of [undefined, null, 1, "proof", [], {}]) await assert.rejects(verifyProof(nothing), code("E_PROOF"));
  await assert.rejects(verifyProof(proof, { root: flipped(proof.root) }), code("E_PROOF", "root"));
  await assert.rejects(verifyProof(proof, { root: "root" }), code("E_PROOF", "root"));
  await assert.rejects(verifyProof(proof, { root: proof.root, size: 7 }), code("E_PROOF", "size"));
});

test("no flipped bit of a proof passes", async (t) => {
  const [space, ids] = await written(t, 5);
  const proof: Proof = await space.audit.proof(ids[2]!);
  for (const field of ["space", "changeset", "header", "signature", "root"] as const) {
    for (let at = 0; at < proof[field].length; at += field === "header" ? 17 : 5) {
      await assert.rejects(verifyProof({ ...proof, [field]: flipped(proof[field], at) }), code("E_PROOF"), `${field} ${at}`);
    }
  }
});

test("a tree begins with an earlier one, until something belongs before its end", async (t) => {
  const [space] = await written(t, 5);
  const earlier = space.audit.head();
  for (const _ of Array(6)) space.transact(() => space.getMap("m").set("key", "later"));
  const proof = space.audit.consistency(earlier);
  assert.ok(proof);
  await verifyConsistency(JSON.parse(JSON.stringify(proof)), space.audit.head());
  await verifyConsistency(space.audit.consistency(space.audit.head()));
  const wrong: [string, (copy: any) => void][] = [
    ["size", (copy) => (copy.earlier.size = 12)],
    ["earlier", (copy) => (copy.earlier.root = flipped(copy.earlier.root))],
    ["earlier", (copy) => delete copy.earlier],
    ["root", (copy) => (copy.root = flipped(copy.root))],
    ["path", (copy) => copy.path.pop()],
    ["path", (copy) => (copy.path = [])],
    ["root", (copy) => ((copy.earlier.size = copy.size), (copy.path = []))],
    ["root", (copy) => ((copy.earlier.size = 0), (copy.path = []))],
  ];
  for (const [argument, change] of wrong) {
    await assert.rejects(verifyConsistency(altered(proof, change)), code("E_PROOF", argument), `${argument}: ${change}`);
  }
  assert.equal(space.audit.consistency({ size: 4, root: earlier.root }), undefined);
  assert.equal(space.audit.consistency({ size: 400, root: earlier.root }), undefined);

  const away = await openSpace(t, { invite: await space.invite() });
  away.getMap("m").set("away", 1);
  await space.import(await away.export());
  assert.equal(space.audit.consistency(earlier), undefined, "what was written away from the others is not deep");
  await verifyConsistency(space.audit.consistency(space.audit.head()));
});

test("a space that was opened from a snapshot proves what it did not read", async (t) => {
  const dir = await newFolder(t);
  const first = await openSpace(t, { storage: { dir: join(dir, "space") } });
  const ids = Array.from({ length: 40 }, (_, n) => first.transact(() => first.getMap("m").set("key", n)).id);
  await first.compact();
  const head = first.audit.head();
  await first.close();
  const again = await openSpace(t, { storage: { dir: join(dir, "space") } });
  assert.deepEqual(again.audit.head(), head);
  const { changeset, root } = await verifyProof(await again.audit.proof(ids[7]!));
  assert.deepEqual([changeset, root], [ids[7], head.root]);
});

test("what could not be stored, and was signed anew, is proven as it is then", async () => {
  class FailingStorage extends MemoryStorage {
    isBroken = false;
    override async commit(batch: Parameters<MemoryStorage["commit"]>[0]): Promise<number[]> {
      if (this.isBroken) throw Object.assign(new Error("full"), { code: "E_STORAGE_QUOTA" });
      return super.commit(batch);
    }
  }
  const storage = new FailingStorage();
  const space = await open({ name: "failing", storage });
  await space.transact(() => space.getMap("m").set("stored", 1)).saved("local");
  storage.isBroken = true;
  const lost = space.transact(() => space.getMap("m").set("lost", 1));
  const before = space.audit.head();
  await assert.rejects(lost.saved("local"), code("E_STORAGE_QUOTA"));
  const after = space.audit.head();
  assert.equal(after.size, before.size);
  assert.notEqual(after.root, before.root);
  const proven = await verifyProof(await space.audit.proof(space.heads[0]!), after);
  assert.equal(proven.actor, space.actor);
  await assert.rejects(space.close(), code("E_STORAGE_QUOTA"));
});

test("misuse is told by name", async (t) => {
  const [space, [id]] = await written(t, 1);
  await assert.rejects(space.audit.proof("no id"), code("E_ARGUMENT", "changeset"));
  await assert.rejects(space.audit.proof("0".repeat(64)), code("E_ARGUMENT", "changeset"));
  await assert.rejects(space.audit.proof(7 as never), code("E_ARGUMENT", "changeset"));
  await assert.rejects(space.audit.proof(id!, { sign: 1 } as never), code("E_ARGUMENT", "sign"));
  await assert.rejects(space.audit.proof(id!, { signal: AbortSignal.abort() }), { name: "AbortError" });
  assert.throws(() => space.audit.consistency(null as never), code("E_ARGUMENT", "earlier"));
  assert.throws(() => space.audit.consistency({ size: -1, root: "0".repeat(64) }), code("E_ARGUMENT", "earlier"));
  assert.throws(() => space.audit.consistency({ size: 1, root: "root" }), code("E_ARGUMENT", "earlier"));
  assert.throws(() => space.transact(() => space.audit.head()), code("E_ARGUMENT", "fn"));
});

test("proofs of the vectors hold and fail as everywhere", async () => {
  const cases = JSON.parse(readFileSync(new URL("../vectors/merkle.json", import.meta.url), "utf8"));
  const proofs = cases.filter(({ input }: any) => input.earlier);
  assert.ok(proofs.length > 15);
  for (const { name, input, expect } of proofs) {
    const checked = verifyConsistency({ version: 1, ...input });
    if (expect === "ok") await checked;
    else await assert.rejects(checked, code("E_PROOF"), name);
  }
});

/** Ports between the first and all others. */
async function group(t: TestContext, count: number): Promise<Space[]> {
  const first = await openSpace(t);
  const spaces = [first];
  for (let n = 1; n < count; n++) {
    const space = await openSpace(t, { invite: await first.invite(), batchMs: 20 });
    const { port1, port2 } = new MessageChannel();
    t.after(() => (port1.close(), port2.close()));
    first.sync.attach(port1);
    space.sync.attach(port2);
    spaces.push(space);
  }
  return spaces;
}

const soon = () => ({ signal: AbortSignal.timeout(20_000) });

test("a write is final when a quorum of validators has attested it, wherever one asks", async (t) => {
  const spaces = await group(t, 4);
  const [owner, ...others] = spaces as [Space, ...Space[]];
  const write = owner.transact(() => owner.getMap("m").set("key", 1));
  await assert.rejects(write.saved("final"), code("E_VALIDATORS"));
  owner.audit.configure({ validators: spaces.map(({ me }) => me), blockTimeMs: 20 });
  assert.equal(owner.audit.quorum, 3);
  assert.deepEqual(owner.audit.validators.map(({ weight }) => weight), [1, 1, 1, 1]);
  const stops = others.slice(0, 2).map((space) => space.audit.validate());
  await assert.rejects(write.saved("final", { signal: AbortSignal.timeout(300) }), { name: "TimeoutError" });
  assert.equal(owner.audit.attestedBy(write.id).length, 2);
  assert.equal(owner.audit.isFinal(write.id), false);
  stops.push(others[2]!.audit.validate());
  await write.saved("final", soon());
  assert.equal(owner.audit.isFinal(write.id), true);
  const own = others[0]!.transact(() => others[0]!.getMap("m").set("own", 2));
  await own.saved("final", soon());
  stops.forEach((stop) => stop());
  const last = owner.transact(() => owner.getMap("m").set("key", "not attested"));
  const view = owner.view({ finalOnly: true });
  assert.equal(view.getMap("m").get("key"), 1);
  assert.equal(view.getMap("m").get("own"), 2);
  assert.equal(owner.getMap("m").get("key"), "not attested");
  await assert.rejects(last.saved("final", { signal: AbortSignal.timeout(100) }), { name: "TimeoutError" });
  owner.audit.configure({ validators: [] });
  assert.deepEqual([owner.audit.quorum, owner.audit.validators], [0, []]);
  assert.equal(owner.audit.isFinal(write.id), false);
});

test("what a validator attested is the tree of everything before its attestation", async (t) => {
  const [owner, other] = (await group(t, 2)) as [Space, Space];
  owner.audit.configure({ validators: [other.me], blockTimeMs: 0 });
  const write = owner.transact(() => owner.getMap("m").set("key", 1));
  const stop = other.audit.validate();
  await write.saved("final", soon());
  stop();
  const [attestation] = owner.audit.attestations();
  assert.ok(attestation);
  assert.equal(attestation.member, other.me);
  const then = await openSpace(t, { invite: await owner.invite() });
  await then.import(await owner.export());
  assert.deepEqual(then.audit.attestations(), owner.audit.attestations());
  assert.ok(then.audit.isFinal(write.id));
});

test("a proof by a validator shows who vouches for the root, and no altered one does", async (t) => {
  const [owner, other] = (await group(t, 2)) as [Space, Space];
  owner.audit.configure({ validators: [owner.me, other.me], blockTimeMs: 0 });
  const write = owner.transact(() => owner.getMap("m").set("key", 1));
  const stops = [owner, other].map((space) => space.audit.validate());
  await write.saved("final", soon());
  stops.forEach((stop) => stop());
  owner.transact(() => owner.getMap("m").set("key", "later"));
  for (const { me } of [owner, other]) {
    const proof = await owner.audit.proof(write.id, { attestedBy: me });
    const { attestedBy, changeset, size } = await verifyProof(JSON.parse(JSON.stringify(proof)));
    assert.deepEqual([attestedBy, changeset], [me, write.id]);
    assert.ok(owner.audit.attestations().some((one) => one.member === me && one.size === size));
  }
  const proof = await owner.audit.proof(write.id, { attestedBy: other.me });
  const own = (await owner.audit.proof(write.id, { attestedBy: owner.me })).attested!;
  const chain = proof.attested!.chain;
  const wrong: [string, (copy: any) => void][] = [
    ["attested", (copy) => (copy.attested = null)],
    ["attested", (copy) => (copy.attested.signature = own.signature)],
    ["attested", (copy) => (copy.attested.actor = own.actor)],
    ["actor", (copy) => (copy.attested.actor = "")],
    ["chain", (copy) => (copy.attested.chain = own.chain)],
    ["chain", (copy) => (copy.attested.chain = chain.slice(0, -2))],
    ["chain", (copy) => (copy.attested.chain = `${chain}00`)],
    ["chain", (copy) => (copy.attested.chain = "00")],
    ["chain", (copy) => (copy.attested.chain = "ffffffff0f")],
    ["chain", (copy) => (copy.attested.chain = "")],
    ["genesis", (copy) => (copy.attested.genesis = flipped(copy.attested.genesis, 20))],
    ["genesis", (copy) => (copy.attested.genesis = "00")],
    ["genesis", (copy) => delete copy.attested.genesis],
  ];
  for (let at = 4; at < chain.length; at += 23) wrong.push(["chain", (copy) => (copy.attested.chain = flipped(chain, at))]);
  for (const [argument, change] of wrong) {
    await assert.rejects(verifyProof(altered(proof, change)), code("E_PROOF", argument), `${argument}: ${change}`);
  }
  const later = owner.heads[0] as string;
  await assert.rejects(owner.audit.proof(later, { attestedBy: other.me }), code("E_ARGUMENT", "attestedBy"));
  await assert.rejects(owner.audit.proof(write.id, { attestedBy: "0".repeat(64) }), code("E_ARGUMENT", "attestedBy"));
  await assert.rejects(owner.audit.proof(write.id, { attestedBy: 1 as never }), code("E_ARGUMENT", "attestedBy"));
});

test("a signal ends validating, and a second call of its own goes on", async (t) => {
  const owner = await openSpace(t);
  owner.audit.configure({ validators: [owner.me], blockTimeMs: 0 });
  const controller = new AbortController();
  owner.audit.validate({ signal: controller.signal });
  const stop = owner.audit.validate();
  controller.abort();
  await owner.transact(() => owner.getMap("m").set("key", 1)).saved("final", soon());
  stop();
  stop();
  await new Promise((resolve) => setTimeout(resolve, 20));
  const { id } = owner.transact(() => owner.getMap("m").set("key", 2));
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(owner.audit.isFinal(id), false);
});

test("misuse of validators is told by name", async (t) => {
  const owner = await openSpace(t);
  const guest = await openSpace(t, { invite: await owner.invite() });
  const { audit, me } = owner;
  const wrong: [unknown, string][] = [
    [{}, "validators"],
    [{ validators: me }, "validators"],
    [{ validators: [1] }, "validators"],
    [{ validators: [null] }, "validators"],
    [{ validators: ["id"] }, "validators"],
    [{ validators: [me, me.toUpperCase()] }, "validators"],
    [{ validators: [{ member: me, weight: 0 }] }, "validators"],
    [{ validators: [{ member: me, weight: 2 ** 32 }] }, "validators"],
    [{ validators: Array(257).fill(me) }, "validators"],
    [{ validators: [me], blockTimeMs: -1 }, "blockTimeMs"],
    [{ validators: [me], blockTimeMs: Number.NaN }, "blockTimeMs"],
    [{ validators: [me], quorum: 1 }, "quorum"],
  ];
  for (const [options, argument] of wrong) {
    assert.throws(() => audit.configure(options as never), code("E_ARGUMENT", argument), JSON.stringify(options));
  }
  assert.deepEqual(audit.validators, []);
  assert.throws(() => guest.audit.configure({ validators: [guest.me] }), code("E_ACCESS"));
  assert.throws(() => owner.transact(() => audit.configure({ validators: [me] })), code("E_ARGUMENT", "fn"));
  assert.throws(() => audit.isFinal("0".repeat(64)), code("E_ARGUMENT", "changeset"));
  assert.throws(() => audit.attestedBy("id"), code("E_ARGUMENT", "changeset"));
  assert.throws(() => audit.validate({ signal: 1 as never }), code("E_ARGUMENT", "signal"));
  assert.throws(() => owner.view({ finalOnly: 1 as never }), code("E_ARGUMENT", "finalOnly"));
});

test("one event is shown to an outsider, and nothing of the others", async (t) => {
  const space = await openSpace(t);
  const other = await openSpace(t, { invite: await space.invite() });
  const [orders, page] = [space.getMap("orders"), space.getText("page")];
  other.getText("page").append("!");
  await space.import(await other.export());
  page.append("before");
  const earlier = space.flush().id;
  const write = space.transact(
    () => {
      orders.set("A", { price: 1_200, "sécret": [1.5, null, true, -7, 2n ** 70n, new Uint8Array([1, 2])] });
      orders.set("B", "of somebody else");
      page.insert(4, "XY");
      space.getCounter("stock").add(-3);
      space.getSet("tags").add({ deep: ["x"] });
      space.getList("steps").push("one", 2);
      space.getCart("cart").add("pears", 2);
      space.getLedger("money").transfer({ to: other.me, amount: 5n, memo: "rent" });
      orders.delete("B");
    },
    { disclosable: true, message: "for both" },
  );
  const events: Record<string, unknown>[] = [];
  for (let index = 0; ; index++) {
    const proof = await space.audit.proof(`${write.id}:${index}`);
    const json = JSON.stringify(proof);
    assert.ok(!json.includes(Buffer.from("of somebody else").toString("hex")) || index === 1, "only the second shows it");
    const proven = await verifyProof(JSON.parse(json));
    assert.deepEqual([proven.changeset, proven.actor], [write.id, space.actor]);
    const { index: at, time, ...event } = proven.event as { index: number; time: number };
    assert.ok(at === index && Math.abs(time - Date.now()) < 600_000);
    events.push(event);
    if (index + 1 === proof.event?.count) break;
  }
  const object = (kind: string, name: string) => ({ kind, name });
  const find = (op: string) => events.filter((event) => event["op"] === op);
  const changeset = Uint8Array.from(Buffer.from(earlier, "hex"));
  assert.deepEqual(find("map set")[0], { op: "map set", object: object("map", "orders"), key: "A", value: { price: 1_200, "sécret": [1.5, null, true, -7, 2n ** 70n, new Uint8Array([1, 2])] } });
  assert.deepEqual(find("text insert"), [{ op: "text insert", object: object("text", "page"), left: { changeset, offset: 2 }, right: { changeset, offset: 3 }, text: "XY" }]);
  assert.deepEqual(find("counter add"), [{ op: "counter add", object: object("counter", "stock"), amount: -3 }]);
  assert.deepEqual(find("set add"), [{ op: "set add", object: object("set", "tags"), element: { deep: ["x"] } }]);
  assert.deepEqual(find("list insert"), [{ op: "list insert", object: object("list", "steps"), left: null, right: null, values: ["one", 2] }]);
  assert.deepEqual(find("cart add"), [{ op: "cart add", object: object("cart", "cart"), item: "pears", quantity: 2 }]);
  const member = (id: string) => ({ member: Uint8Array.from(Buffer.from(id, "hex")) });
  const [transfer] = find("ledger transfer");
  assert.deepEqual([transfer?.["from"], transfer?.["to"], transfer?.["amount"], transfer?.["value"]], [member(space.me), member(other.me), 5n, "rent"]);
  assert.deepEqual(find("map delete"), [{ op: "map delete", object: object("map", "orders"), key: "B" }]);
  assert.ok(Object.isFrozen(events[0]?.["value"] ?? events[0]?.["object"]));

  // Whoever has the key shows the same, and a validator may vouch for it.
  await other.import(await space.export());
  const mine = await space.audit.proof(`${write.id}:0`);
  assert.deepEqual((await other.audit.proof(`${write.id}:0`)).event, mine.event);
  space.audit.configure({ validators: [space.me], blockTimeMs: 0 });
  const end = space.audit.validate();
  while (space.audit.attestedBy(write.id).length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  end();
  const vouched = await verifyProof(await space.audit.proof(`${write.id}:0`, { attestedBy: space.me }));
  assert.deepEqual([vouched.attestedBy, vouched.event?.["op"]], [space.me, (await verifyProof(mine)).event?.["op"]]);

  const next = await space.audit.proof(`${write.id}:1`);
  const wrong: [string, (copy: any) => void][] = [
    ["event", (copy) => (copy.event.statement = next.event?.statement)],
    ["event", (copy) => (copy.event.salt = flipped(copy.event.salt))],
    ["event", (copy) => (copy.event.path[0] = flipped(copy.event.path[0]))],
    ["event", (copy) => (copy.event.index = 1)],
    ["event", (copy) => Object.assign(copy, { event: 7 })],
    ["index", (copy) => (copy.event.index = copy.event.count)],
    ["path", (copy) => copy.event.path.pop()],
    ["path", (copy) => copy.event.path.push("00".repeat(32))],
    ["salt", (copy) => (copy.event.salt += "00")],
    ["statement", (copy) => (copy.event.statement += "0")],
    ["header", (copy) => (copy.header = flipped(copy.header, 20))],
  ];
  for (const [argument, change] of wrong) await assert.rejects(verifyProof(altered(mine, change)), code("E_PROOF", argument), argument);
  for (let at = 0; at < mine.event!.statement.length; at++) await assert.rejects(verifyProof(altered(mine, (copy) => (copy.event.statement = flipped(copy.event.statement, at)))), code("E_PROOF", "event"));
});

test("what was erased is not shown any more, and what was shown before still proves what was said", async (t) => {
  const space = await openSpace(t);
  const write = space.transact(() => space.getMap("m").set("key", "secret"), { disclosable: true });
  const before = await space.audit.proof(`${write.id}:0`);
  space.redact(write.id, { reason: "asked to" });
  await assert.rejects(space.audit.proof(`${write.id}:0`), (error: StemmaError) => code("E_ARGUMENT", "changeset")(error) && /erased/.test(error.message));
  assert.equal((await verifyProof(before, { root: before.root })).event?.["value"], "secret");
  const { changeset, event } = await verifyProof(await space.audit.proof(write.id));
  assert.deepEqual([changeset, event], [write.id, undefined], "that it was written stays");
});

test("what was not made to be shown is not, and says so", async (t) => {
  const space = await openSpace(t);
  const map = space.getMap("m");
  const plain = space.transact(() => map.set("a", 1)).id;
  const shown = space.transact(() => map.set("a", 2), { disclosable: true }).id;
  const empty = space.transact(() => undefined, { disclosable: true }).id;
  assert.equal(empty, shown, "nothing was written");
  for (const target of [`${plain}:0`, `${shown}:1`, `${shown}:-1`, `${shown}:x`, `${shown}:`, `${"0".repeat(64)}:0`, ":0"]) {
    await assert.rejects(space.audit.proof(target), code("E_ARGUMENT", "changeset"), target);
  }
  assert.equal((await space.audit.proof(shown)).event, undefined);
  assert.throws(() => space.transact(() => {}, { disclosable: 1 as never }), code("E_ARGUMENT", "disclosable"));
  assert.throws(() => space.transact(() => void space.transact(() => {}, { disclosable: true })), code("E_ARGUMENT", "disclosable"));
});
