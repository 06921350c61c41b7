// Data channels as ports: frames in pieces, in both directions; and how sessions arrange them in their presence.

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Space, StemmaError } from "stemma";
import { asChannel, Channel, channels, Connection, peerConnection } from "./channels.ts";
import { openSpace } from "./ends.ts";

const argument = (name: string) => (error: StemmaError) => error.code === "E_ARGUMENT" && error.argument === name;
const turn = (ms = 0) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(condition: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 20_000; !condition(); await turn(5)) assert.ok(Date.now() < deadline, "in time");
}

/** Replicas of one space, of different members. */
async function members(t: TestContext, count: number): Promise<Space[]> {
  const first = await openSpace(t);
  const spaces = [first];
  while (spaces.length < count) spaces.push(await openSpace(t, { invite: await first.invite() }));
  return spaces;
}

const same = (spaces: Space[]) => new Set(spaces.map((space) => space.heads.join())).size === 1;

test("frames go in pieces of 16 KiB, and no faster than the channel takes them", async (t) => {
  const [one, two] = (await members(t, 2)) as [Space, Space];
  for (let n = 0; n < 20; n++) one.transact(() => one.getMap("m").set(`${n}`, new Uint8Array(200_000).fill(n)));
  const [near, far] = channels();
  one.sync.attach(asChannel(near));
  two.sync.attach(asChannel(far));
  await until(() => same([one, two]));
  assert.equal(one.stateHash(), two.stateHash());
  assert.equal(near.longest, 16_384);
  assert.ok(near.most >= 1 << 20 && near.most < (1 << 20) + 16_384, `${near.most} bytes held back`);
  two.getText("t").append("back");
  await until(() => one.getText("t").toString() === "back");
});

test("a channel that opens later carries what waited, and its end is the end of the session", async (t) => {
  const [one, two] = (await members(t, 2)) as [Space, Space];
  const [near, far] = [new Channel(), new Channel()];
  [near.other, far.other] = [far, near];
  one.getMap("m").set("a", 1);
  one.sync.attach(asChannel(near));
  two.sync.attach(asChannel(far));
  await turn(20);
  assert.equal(two.getMap("m").has("a"), false);
  far.open();
  near.open();
  await until(() => two.getMap("m").get("a") === 1);
  near.close();
  await until(() => far.readyState === "closed");
  one.getMap("m").set("a", 2);
  one.flush();
  await turn(20);
  assert.equal(two.getMap("m").get("a"), 1);
});

test("whoever sends what is no piece is hung up on", async (t) => {
  const [one] = (await members(t, 1)) as [Space];
  const piece = (head: number, length: number) => new Uint8Array(length).fill(head, 0, 1);
  const junk: [string, (Uint8Array<ArrayBuffer> | string)[]][] = [
    ["another head", [piece(2, 10)]],
    ["nothing behind the head", [piece(1, 1)]],
    ["nothing", [piece(0, 0)]],
    ["too long", [piece(0, 16_385)]],
    ["words", ["hello"]],
    ["a frame without an end", Array.from({ length: 66 }, () => piece(1, 16_384))],
  ];
  for (const [what, pieces] of junk) {
    const [near, far] = channels();
    one.sync.attach(asChannel(near));
    await turn();
    for (const each of pieces) if (far.readyState === "open") far.send(each);
    await until(() => far.readyState === "closed");
    assert.equal(near.readyState, "closed", what);
  }
  one.getMap("m").set("a", 1);
  assert.equal(one.getMap("m").get("a"), 1);
});

test("a channel that loses or reorders messages is refused", async (t) => {
  const [one] = (await members(t, 1)) as [Space];
  for (const field of [{ ordered: false }, { maxRetransmits: 3 }, { maxPacketLifeTime: 100 }]) {
    assert.throws(() => one.sync.attach(asChannel(Object.assign(channels()[0], field))), argument("port"));
  }
});

test("sessions connect with those they meet, once, and go on without the way they met on", async (t) => {
  const spaces = await members(t, 4);
  const [hub, ...others] = spaces as [Space, ...Space[]];
  // The hub passes on rows and no presence: the others meet it alone.
  const ends = others.map((space) => {
    const { port1, port2 } = new MessageChannel();
    space.sync.attach(port2);
    return hub.sync.attach(port1);
  });
  for (const space of spaces) space.sync.direct({ peerConnection });
  for (const space of others) await until(() => space.sync.peers.length === 1);
  await until(() => hub.sync.peers.length === 3);
  assert.deepEqual([...hub.sync.peers].sort(), others.map((space) => space.presence.session).sort());
  for (const end of ends) end();
  others[0]?.getText("t").append("around");
  for (const space of spaces) await until(() => space.getText("t").toString() === "around");
  for (const space of spaces) assert.deepEqual([...space.presence.others.values()].map(({ state }) => state).filter((state) => Object.keys(state).length > 0), []);
  const told: number[] = [];
  hub.on("sync", () => told.push(hub.sync.peers.length));
  await others[1]?.close();
  await until(() => hub.sync.peers.length === 2);
  assert.ok(told.includes(2));
});

test("what is arranged ends with its signal, and is nobody's field", async (t) => {
  const [one, two] = (await members(t, 2)) as [Space, Space];
  const { port1, port2 } = new MessageChannel();
  one.sync.attach(port1);
  two.sync.attach(port2);
  const controller = new AbortController();
  one.presence.set({ word: "hello" });
  one.sync.direct({ peerConnection, signal: controller.signal });
  assert.throws(() => one.sync.direct({ peerConnection }), argument("o"));
  const end = two.sync.direct({ peerConnection });
  await until(() => one.sync.peers.length === 1 && two.sync.peers.length === 1);
  assert.deepEqual(one.presence.state, { word: "hello" });
  assert.throws(() => one.presence.set({ "stemma/direct": {} }), argument("state"));
  assert.throws(() => one.presence.update({ "stemma/direct": 1 }), argument("partial"));
  controller.abort();
  assert.deepEqual(one.sync.peers, []);
  await until(() => two.sync.peers.length === 0);
  end();
  assert.deepEqual([...two.presence.others.values()].map(({ state }) => state), [{ word: "hello" }]);
  one.sync.direct({ peerConnection })();
});

test("a description that is none comes to nothing, and is not tried without end", async (t) => {
  const [one, two] = (await members(t, 2)) as [Space, Space];
  const { port1, port2 } = new MessageChannel();
  one.sync.attach(port1);
  two.sync.attach(port2);
  let tried = 0;
  class Liar extends Connection {
    override async setLocalDescription(): Promise<void> {
      tried++;
      this.localDescription = { sdp: "junk" };
    }
  }
  for (const space of [one, two]) space.sync.direct({ peerConnection: Liar as unknown as typeof RTCPeerConnection });
  await until(() => tried > 0);
  await turn(500);
  assert.deepEqual([one.sync.peers.length, two.sync.peers.length, tried], [0, 0, 1]);
  one.getText("t").append("still here");
  await until(() => two.getText("t").toString() === "still here");
});

test("misuse of direct is told", async (t) => {
  const [one] = (await members(t, 1)) as [Space];
  if (globalThis.RTCPeerConnection === undefined) assert.throws(() => one.sync.direct(), { code: "E_UNSUPPORTED" });
  assert.throws(() => one.sync.direct({ peerConnection: 1 as never }), argument("peerConnection"));
  assert.throws(() => one.sync.direct({ peerConnection, iceServers: [{ urls: "nowhere" }] }), argument("iceServers"));
  assert.throws(() => one.sync.direct({ servers: [] } as never), argument("servers"));
  assert.throws(() => one.sync.direct({ peerConnection, signal: AbortSignal.abort(new Error("no")) }), /no/);
  assert.deepEqual(one.sync.peers, []);
  await one.close();
  assert.throws(() => one.sync.direct({ peerConnection }), { code: "E_CLOSED" });
});
