// Two replicas of one space in one process, over a MessageChannel.

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type Change, open, type Space, type SyncState } from "stemma";
import { openSpace } from "./ends.ts";

let names = 0;

async function pair(t: TestContext): Promise<[Space, Space]> {
  const one = await open({ name: `ports-${names++}` });
  t.after(() => one.close());
  const two = await open({ name: `ports-${names++}`, invite: await one.invite() });
  t.after(() => two.close());
  return [one, two];
}

/** Connects two replicas; returns what ends it. */
function connect(one: Space, two: Space): () => void {
  const { port1, port2 } = new MessageChannel();
  const ends = [one.sync.attach(port1), two.sync.attach(port2)];
  return () => ends[0]?.();
}

/** Once nothing of either is on its way, the other has it. */
async function settle(...spaces: Space[]): Promise<void> {
  for (let equal = false; !equal; ) {
    await Promise.all(spaces.map((space) => space.sync.settled()));
    equal = new Set(spaces.map((space) => space.heads.join())).size === 1;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

test("what was written apart is merged, text and map", async (t) => {
  const [one, two] = await pair(t);
  assert.equal(two.id, one.id);
  assert.notEqual(two.me, one.me);
  assert.equal(two.role, "writer");
  one.getText("t").append("hello");
  one.getMap("m").set("a", 1).set("both", "one");
  two.getText("t").append(" world");
  two.getMap("m").set("b", 2).set("both", "two");
  connect(one, two);
  await settle(one, two);
  assert.equal(one.stateHash(), two.stateHash());
  assert.equal(one.viewDigest(), two.viewDigest());
  assert.match(one.getText("t").toString(), /^(hello world| worldhello)$/);
  assert.deepEqual(one.getMap("m").toJSON(), two.getMap("m").toJSON());
  assert.deepEqual(new Set(one.getMap("m").conflicts("both")), new Set(["one", "two"]));
  assert.equal(one.getMap("m").conflicts("both")[0], one.getMap("m").get("both"));
  assert.deepEqual(new Set(one.getText("t").authors().map(({ member }) => member)), new Set([one.me, two.me]));
});

test("an edit over there is told here, as a remote change with its delta", async (t) => {
  const [one, two] = await pair(t);
  one.getText("t").append("abcdef");
  connect(one, two);
  await settle(one, two);
  const heard: Change[] = [];
  two.subscribe((changes) => heard.push(...changes));
  const before = two.getMap("m").toJSON();
  const write = one.transact(() => {
    one.getText("t").delete(1, 2);
    one.getText("t").insert(3, "X");
    one.getMap("m").set("k", { deep: [1] });
  }, { origin: "mine" });
  await settle(one, two);
  assert.ok(heard.length >= 2);
  for (const change of heard) {
    assert.equal(change.source, "remote");
    assert.equal(change.origin, undefined);
    assert.equal(change.changeset, write.id);
    assert.equal(change.member, one.me);
    assert.equal(change.actor, one.actor);
  }
  let text = "abcdef";
  for (const change of heard) {
    let at = 0;
    for (const step of (change.kind === "text" && change.delta) || []) {
      if ("retain" in step) at += step.retain;
      else if ("delete" in step) text = text.slice(0, at) + text.slice(at + step.delete);
      else {
        text = text.slice(0, at) + step.insert + text.slice(at);
        at += step.insert.length;
      }
    }
  }
  assert.equal(text, "adeXf");
  assert.equal(two.getText("t").toString(), "adeXf");
  assert.notEqual(two.getMap("m").toJSON(), before, "the cache was forgotten");
  assert.deepEqual(two.getMap("m").get("k"), { deep: [1] });
});

test("remote changes wait while a transaction runs and while a batch is open", async (t) => {
  const [one, two] = await pair(t);
  connect(one, two);
  await settle(one, two);
  two.getText("t").append("open batch");
  one.transact(() => one.getMap("m").set("k", 1));
  await one.sync.settled();
  two.flush();
  await settle(one, two);
  assert.equal(two.getMap("m").get("k"), 1);
  assert.equal(one.getText("t").toString(), "open batch");
});

test("ended connections can be made again", async (t) => {
  const [one, two] = await pair(t);
  const end = connect(one, two);
  await settle(one, two);
  end();
  end();
  one.getText("t").append("while apart");
  two.getMap("m").set("also", true);
  assert.equal(two.getText("t").toString(), "");
  connect(one, two);
  await settle(one, two);
  assert.equal(two.getText("t").toString(), "while apart");
  assert.equal(one.stateHash(), two.stateHash());
});

test("three replicas in a row pass on what they get", async (t) => {
  const [one, two] = await pair(t);
  const three = await open({ name: `ports-${names++}`, invite: await one.invite({ uses: Infinity, expires: null }) });
  t.after(() => three.close());
  connect(one, two);
  connect(two, three);
  one.getText("t").append("from one");
  three.getMap("m").set("from", "three");
  await settle(one, two, three);
  assert.equal(three.getText("t").toString(), "from one");
  assert.equal(one.getMap("m").get("from"), "three");
});

test("a reader reads, and its own writes throw E_ACCESS", async (t) => {
  const [one] = await pair(t);
  const reader = await open({ name: `ports-${names++}`, invite: await one.invite({ role: "reader" }) });
  t.after(() => reader.close());
  assert.equal(reader.role, "reader");
  one.transact(() => one.getText("t").append("read me"));
  connect(one, reader);
  await settle(one, reader);
  assert.equal(reader.getText("t").toString(), "read me");
  const access = { name: "StemmaError", code: "E_ACCESS" };
  assert.throws(() => reader.getText("t").append("x"), access);
  assert.throws(() => reader.getText("t").delete(0, 1), access);
  assert.throws(() => reader.getMap("m").set("k", 1), access);
  assert.throws(() => reader.getMap("m").delete("k"), access);
  assert.throws(() => reader.transact(() => reader.getMap("m").set("k", 1)), access);
  await assert.rejects(reader.invite(), access);
  assert.equal(reader.getText("t").toString(), "read me");
});

test("a port that speaks something else is left, and nothing is lost", async (t) => {
  const [one, two] = await pair(t);
  for (const nonsense of ["text", { object: 1 }, new Uint8Array(0), new Uint8Array(100_000)]) {
    const { port1, port2 } = new MessageChannel();
    one.sync.attach(port1);
    const closed = new Promise((resolve) => port2.addEventListener("close", resolve));
    port2.onmessage = () => {}; // starts it and keeps the process waiting for it
    port2.postMessage(nonsense);
    await closed;
  }
  connect(one, two);
  one.getText("t").append("still here");
  await settle(one, two);
  assert.equal(two.getText("t").toString(), "still here");
});

test("the state of sync is told, frozen, and the same until it changes", async (t) => {
  const [one, two] = await pair(t);
  const states: SyncState[] = [];
  one.on("sync", (state) => states.push(state));
  const settled = one.sync.settled();
  connect(one, two);
  await settled;
  one.transact(() => one.getMap("m").set("k", 1));
  await settle(one, two);
  assert.ok(states.length > 0);
  assert.ok(states.every(Object.isFrozen));
  assert.equal(typeof one.sync.lastHeard, "number");
  assert.ok(one.sync.pending > 0, "no relay has anything");
});

test("an invite of another space is refused for a database that has one", async (t) => {
  const [one, two] = await pair(t);
  const stranger = await open({ name: `ports-${names++}` });
  t.after(() => stranger.close());
  const name = `ports-${names}`;
  const own = await open({ name: `ports-${names++}` });
  t.after(() => own.close());
  await assert.rejects(open({ name, invite: await stranger.invite() }), { code: "E_INVITE" });
  assert.equal(own.getMap("m").size, 0, "it is open still");
  assert.equal(two.id, one.id);
});

test("a port carries one session", async (t) => {
  const space = await openSpace(t);
  const { port1 } = new MessageChannel();
  const detach = space.sync.attach(port1);
  assert.throws(() => space.sync.attach(port1), { code: "E_ARGUMENT", argument: "port" });
  detach();
  assert.throws(() => space.sync.attach(port1), { code: "E_ARGUMENT", argument: "port" });
});
