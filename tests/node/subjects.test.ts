/** Personal data through the public API: sealed, read, asked for, handed out, and erased in one act. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Dossier, type Space, StemmaError, type Subjects, type Value } from "stemma";
import { verifyProof } from "stemma/verify";
import { WebSocket as Ws } from "ws";
import { Relay } from "../web/harness.ts";
import { atEnd, count, newFolder, openSpace } from "./ends.ts";

const code = (expected: string, argument?: string) => (error: unknown) =>
  error instanceof StemmaError && error.code === expected && (argument === undefined || error.argument === argument);

const GUEST = "guest 7";

async function exchange(...spaces: Space[]): Promise<void> {
  for (const from of spaces) for (const to of spaces) if (from !== to) await to.import(await from.export());
}

test("what is sealed for somebody is a value like any other until it is erased, everywhere at once", async (t) => {
  const space = await openSpace(t);
  const other = await openSpace(t, { invite: await space.invite() });
  const told: Subjects[] = [];
  space.on("subjects", (subjects) => told.push(subjects));
  assert.equal(space.subjects.has(GUEST), false);
  const registered = space.subjects.register(GUEST);
  assert.equal(space.subjects.register(GUEST).id, registered.id);
  assert.ok(space.subjects.has(GUEST));
  const phone = space.subjects.personal(GUEST, "+49 731 1");
  const map = space.getMap("contacts");
  space.transact(() => {
    map.set("guest", { name: space.subjects.personal(GUEST, { first: "Albert" }), vip: true, seen: [phone, 7] });
    map.set("copy", map.get("guest") as Value);
    space.getList("calls").push(phone);
    space.getSet("tags", { kind: "lww" }).add("tall", space.subjects.personal(GUEST, 1.76));
  });
  const edited = { ...(map.get("guest") as { [key: string]: Value }), vip: false };
  map.set("guest", edited);
  await exchange(space, other);
  const at = other.at(other.heads[0] as string);
  for (const from of [space, other, at]) {
    const read = (value: Value | undefined) => other.subjects.read(value as Value);
    assert.deepEqual(read(from.getMap("contacts").get("guest")), { name: { first: "Albert" }, vip: false, seen: ["+49 731 1", 7] });
    assert.deepEqual(read(from.getMap("contacts").get("copy")), { name: { first: "Albert" }, vip: true, seen: ["+49 731 1", 7] });
    assert.deepEqual(from.getList("calls").toJSON().map((value) => read(value)), ["+49 731 1"]);
    assert.equal(read(from.getSet("tags", { kind: "lww" }).get("tall")), 1.76);
  }
  assert.ok(!JSON.stringify(map.toJSON(), (_, value) => (value instanceof Uint8Array ? [...value] : value)).includes("Albert"));
  assert.deepEqual(other.subjects.entries().map(({ time, ...rest }) => rest), [
    { id: other.subjects.entries()[0]?.id, subject: GUEST, state: "registered", by: space.me, changeset: registered.id },
  ]);

  const asked = other.subjects.request(GUEST, { kind: "erasure", reason: "by letter" });
  await exchange(space, other);
  assert.deepEqual(space.subjects.requests({ state: "asked" }).map(({ request, kind, subject }) => ({ request, kind, subject })), [{ request: asked.id, kind: "erasure", subject: GUEST }]);
  await assert.rejects(other.subjects.process(asked.id, { state: "done" }), code("E_ACCESS"));
  await space.subjects.process(asked.id, { state: "approved" });
  const done = await space.subjects.process(asked.id, { state: "done", reason: "as asked" });
  assert.deepEqual(done.redaction?.changesets, [registered.id]);
  await done.saved("local");
  await exchange(space, other);
  const late = await openSpace(t, { invite: await space.invite() });
  await late.import(await other.export());
  for (const from of [space, other, at, late]) {
    const read = (value: Value | undefined) => late.subjects.read(value as Value);
    assert.deepEqual(read(from.getMap("contacts").get("guest")), { vip: false, seen: [null, 7] });
    assert.deepEqual(from.getList("calls").toJSON().map((value) => read(value)), [undefined]);
  }
  for (const each of [space, other, late]) {
    assert.equal(each.subjects.has(GUEST), false);
    assert.equal(each.subjects.read(phone), undefined);
    assert.throws(() => each.subjects.personal(GUEST, 1), code("E_SUBJECT"));
    const [entry] = each.subjects.entries();
    assert.deepEqual([entry?.state, entry?.subject], ["erased", undefined]);
    const [request] = each.subjects.requests({ subject: GUEST });
    assert.deepEqual(request?.steps.map(({ state, reason, by }) => [state, reason, by]), [
      ["asked", "by letter", other.me],
      ["approved", undefined, space.me],
      ["done", "as asked", space.me],
    ]);
    assert.deepEqual(request?.steps[2]?.redactions, done.redaction?.redactions);
    assert.equal(request?.state, "done");
  }
  assert.deepEqual([...new Set([space, other, late].map((each) => each.viewDigest()))].length, 1);
  await assert.rejects(space.subjects.process(asked.id, { state: "refused", reason: "late" }), code("E_ARGUMENT", "request"));
  // Who comes back is somebody new.
  late.subjects.register(GUEST);
  assert.equal(late.subjects.read(late.subjects.personal(GUEST, "new")), "new");
  assert.equal(late.subjects.read(phone), undefined);
  assert.ok(told.length >= 3 && told.every((subjects) => subjects === space.subjects));
});

test("what events make of a person holds no clear word of it, so nothing has to be made anew", async (t) => {
  const space = await openSpace(t);
  space.subjects.register(GUEST);
  space.define("Guest", { apply: (_, { data }) => ({ name: (data as { name: Value }).name, nights: 0 }) });
  space.define("Stay", { apply: (guest) => ({ nights: Number(guest["nights"]) + 1 }) });
  const guest = space.create("Guest", { data: { name: space.subjects.personal(GUEST, "Grace") } });
  space.emit("Stay", { concerns: [guest] });
  const read = () => space.subjects.read(space.read(guest) as Value);
  assert.deepEqual(read(), { id: guest, type: "Guest", name: "Grace", nights: 1 });
  await space.subjects.process(space.subjects.request(GUEST, { kind: "erasure" }).id, { state: "done" });
  assert.deepEqual(read(), { id: guest, type: "Guest", nights: 1 });
});

test("nothing of a key is left in a folder, and nothing was ever there in clear", async (t) => {
  const dir = await newFolder(t);
  const space = await openSpace(t, { storage: { dir } });
  await space.subjects.register(GUEST).saved("local");
  const key = (await space.export()).slice(-64);
  space.getMap("m").set("name", space.subjects.personal(GUEST, "Grace Hopper, rear admiral"));
  await space.flush().saved("local");
  await space.compact();
  assert.deepEqual([(await count(dir, key)) > 0, await count(dir, Buffer.from("Grace Hopper"))], [true, 0]);
  const asked = space.subjects.request(GUEST, { kind: "erasure" });
  await (await space.subjects.process(asked.id, { state: "done" })).saved("local");
  for (const deadline = Date.now() + 20_000; (await count(dir, key)) > 0; ) {
    assert.ok(Date.now() < deadline, "it goes");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await space.close();
  const again = await openSpace(t, { storage: { dir } });
  assert.equal(again.subjects.read(again.getMap("m").get("name") as Value), undefined);
  assert.equal(again.subjects.has(GUEST), false);
  assert.equal(await count(dir, key), 0);
});

test("nothing of a key is left at a relay, not even of one that a member erased and somebody else made", async (t) => {
  const relay = await Relay.start({ after: (end) => atEnd(t, end) });
  const o = { relay: relay.url, webSocket: Ws as unknown as typeof WebSocket };
  const owner = await openSpace(t, o);
  const member = await openSpace(t, { ...o, invite: await owner.invite() });
  await owner.subjects.register(member.me).saved("relay");
  const key = (await owner.export()).slice(-50, -20);
  owner.getMap("m").set("salary", owner.subjects.personal(member.me, 1_200));
  await owner.flush().saved("relay");
  const until = async (condition: () => boolean | Promise<boolean>) => {
    for (const deadline = Date.now() + 20_000; !(await condition()); ) {
      assert.ok(Date.now() < deadline, "in time");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  await until(() => member.subjects.has(member.me));
  assert.ok((await count(relay.folder, key)) > 0, "it was there");
  const { id } = member.subjects.request(member.me, { kind: "erasure" });
  await (await member.subjects.process(id, { state: "done" })).saved("relay");
  await until(async () => (await count(relay.folder, key)) === 0);
  await until(() => !owner.subjects.has(member.me));
  const late = await openSpace(t, { ...o, invite: await owner.invite() });
  await until(() => late.subjects.entries().length > 0);
  assert.deepEqual(late.subjects.entries().map(({ state }) => state), ["erased"]);
});

test("a dossier is all of a person, as JSON, with proofs, and nothing of others", async (t) => {
  const owner = await openSpace(t);
  const other = await openSpace(t, { invite: await owner.invite() });
  owner.subjects.register(other.me);
  owner.subjects.register(GUEST);
  const staff = owner.getMap("staff");
  staff.set("salary", owner.subjects.personal(other.me, 1_200));
  staff.set("guest", owner.subjects.personal(GUEST, "+49 731 1"));
  staff.set("plan", "of the owner alone");
  await exchange(owner, other);
  other.getMap("m").set("color", "blue");
  other.getMap("m").set("size", 2n ** 70n);
  other.getMap("m").set("guest", other.subjects.personal(GUEST, "of the guest"));
  other.consent.give("photos");
  other.consent.give("scan", { subject: "somebody outside" });
  other.transact(() => other.getMap("m").set("n", 1), { message: "of mine", command: "c-1", headers: { of: other.subjects.personal(GUEST, "in a header") } as never });
  const asked = other.subjects.request(other.me, { kind: "export", reason: "article 15" });
  await exchange(owner, other);
  const { dossier } = await owner.subjects.process(asked.id, { state: "done" });
  assert.ok(dossier);
  const handed = JSON.parse(JSON.stringify(dossier)) as Dossier;
  assert.deepEqual(handed, dossier);
  const text = JSON.stringify(handed.changesets.map(({ ops }) => ops));
  for (const word of ["1200", "blue", `${2n ** 70n}`, "photos", "article 15"]) assert.ok(text.includes(word), word);
  for (const word of ["of the owner", "+49 731 1", "of the guest", "somebody outside"]) assert.ok(!text.includes(word), word);
  const said = handed.changesets.find(({ message }) => message === "of mine");
  assert.deepEqual([said?.command, Object.keys(said?.headers as object)], ["c-1", ["of"]]);
  assert.deepEqual([handed.version, handed.space, handed.subject, handed.by], [1, owner.id, other.me, owner.me]);
  assert.deepEqual(handed.consents.map(({ purpose, given }) => [purpose, given]), [["photos", true]]);
  assert.deepEqual(handed.requests.map(({ request }) => request), [asked.id]);
  assert.deepEqual(handed.keys.map(({ state }) => state), ["registered"]);
  for (const { changeset, proof, row, actor } of handed.changesets) {
    const proven = await verifyProof(proof);
    assert.deepEqual([proven.changeset, proven.actor], [changeset, actor]);
    assert.ok(row.includes((proof as { header: string }).header), "the row has the signed header");
  }
  assert.equal(owner.subjects.requests({ state: "done" }).length, 1);
  const about = await owner.export({ subject: GUEST });
  assert.ok(JSON.stringify(about.changesets).includes("of the guest"));
  assert.deepEqual(about.changesets.flatMap(({ headers, message }) => (headers ? [[headers, message]] : [])), [[{ of: "in a header" }, undefined]]);
  assert.ok(!JSON.stringify(about.changesets.map(({ ops }) => ops)).includes("blue"));
  const nobody = await owner.export({ subject: "somebody else" });
  assert.deepEqual([nobody.changesets, nobody.consents, nobody.requests, nobody.keys], [[], [], [], []]);
  const log: (string | undefined)[] = [];
  for await (const { detail, type } of owner.audit.log({ type: "export" })) if (type === "export") log.push(detail);
  assert.equal(log.filter((detail) => detail?.startsWith("what is about")).length, 3);
});

test("that personal data was read is written down, once a minute and without a name", async (t) => {
  const space = await openSpace(t);
  space.subjects.register(GUEST);
  const phone = space.subjects.personal(GUEST, "+49 731 1");
  for (let n = 0; n < 5; n++) space.subjects.read([phone, phone]);
  const entries = [];
  for await (const entry of space.audit.log({ type: "read" })) entries.push(entry);
  assert.equal(entries.length, 1);
  assert.equal(entries[0]?.object, space.subjects.entries()[0]?.id);
  assert.ok(entries[0]?.detail && !entries[0].detail.includes(GUEST));
});

test("misuse is told by name, and changes nothing", async (t) => {
  const space = await openSpace(t);
  const other = await openSpace(t, { invite: await space.invite() });
  const reader = await openSpace(t, { invite: await space.invite({ role: "reader" }) });
  await exchange(space, other);
  const { subjects } = space;
  const { heads } = space;
  for (const subject of ["", 7, undefined, null, "x".repeat(4_097)]) {
    assert.throws(() => subjects.register(subject as string), code("E_ARGUMENT", "subject"));
    assert.throws(() => subjects.has(subject as string), code("E_ARGUMENT", "subject"));
    assert.throws(() => subjects.personal(subject as string, 1), code("E_ARGUMENT", "subject"));
    assert.throws(() => subjects.request(subject as string, { kind: "export" }), code("E_ARGUMENT", "subject"));
    await assert.rejects(space.export({ subject: subject as string }), code("E_ARGUMENT", "subject"));
  }
  assert.throws(() => subjects.personal(GUEST, "x"), code("E_SUBJECT"));
  assert.throws(() => subjects.request(GUEST, { kind: "export" }), code("E_SUBJECT"));
  assert.throws(() => subjects.request("9".repeat(64), { kind: "export" }), code("E_SUBJECT"));
  assert.throws(() => subjects.request(space.me, { kind: "forget" as "erasure" }), code("E_ARGUMENT", "kind"));
  assert.throws(() => subjects.request(space.me, { kind: "erasure", reason: "" }), code("E_ARGUMENT", "reason"));
  assert.throws(() => subjects.request(space.me, { kind: "erasure", why: "" } as never), code("E_ARGUMENT"));
  assert.throws(() => other.subjects.request(space.me, { kind: "export" }), code("E_ACCESS"));
  assert.throws(() => reader.subjects.register(GUEST), code("E_ACCESS"));
  assert.throws(() => reader.subjects.request(reader.me, { kind: "export" }), code("E_ACCESS"));
  assert.throws(() => subjects.requests({ state: "open" as "asked" }), code("E_ARGUMENT", "state"));
  await assert.rejects(subjects.process("9".repeat(64), { state: "done" }), code("E_ARGUMENT", "request"));
  await assert.rejects(subjects.process(heads[0] as string, { state: "done" }), code("E_ARGUMENT", "request"));
  assert.deepEqual(space.heads, heads);
  const asked = subjects.request(space.me, { kind: "export" }).id;
  await assert.rejects(subjects.process(asked, { state: "asked" as "done" }), code("E_ARGUMENT", "state"));
  await assert.rejects(subjects.process(asked, { state: "refused" }), code("E_ARGUMENT", "reason"));
  await assert.rejects(subjects.process(asked, { state: "done", also: asked }), code("E_ARGUMENT", "also"));
  await assert.rejects(subjects.process(asked, { state: "done", signal: AbortSignal.abort() }), { name: "AbortError" });
  assert.deepEqual(subjects.requests().map(({ state }) => state), ["asked"]);
  subjects.register(GUEST);
  for (const value of [() => 1, Number.NaN, new Date()]) {
    assert.throws(() => subjects.personal(GUEST, value as unknown as Value), code("E_ARGUMENT", "value"));
    assert.throws(() => subjects.read(value as unknown as Value), code("E_ARGUMENT", "value"));
  }
  assert.equal(subjects.read(space.getMap("m").get("nothing")), undefined);
  assert.throws(() => subjects.personal(GUEST, undefined as unknown as Value), code("E_ARGUMENT", "value"));
  assert.throws(() => subjects.personal(GUEST, { in: [subjects.personal(GUEST, 1)] }), code("E_ARGUMENT", "value"));
  assert.throws(() => (subjects.request as (subject: string) => unknown)(space.me), code("E_ARGUMENT", "kind"));
  await assert.rejects((subjects.process as (id: string) => Promise<unknown>)(asked), code("E_ARGUMENT", "state"));
  for (const value of [null, 1, "personal", { personal: "text" }, { personal: 1, more: 2 }] as Value[]) assert.deepEqual(subjects.read(value), value);
  assert.equal(subjects.read({ personal: new Uint8Array(80) }), undefined);
  space.transact(() => {
    assert.throws(() => subjects.register("guest 8"), code("E_ARGUMENT"));
    assert.throws(() => subjects.request(GUEST, { kind: "export" }), code("E_ARGUMENT"));
    space.getMap("m").set("ok", subjects.personal(GUEST, 1));
  });
  assert.equal(subjects.read(space.getMap("m").get("ok") as Value), 1);
});
