// Through a real relay from Node, with the WebSocket class of `ws`: tiers, invites that are refused, relays that are away.

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { open, type OpenOptions, type Space, type StemmaError, type SyncState } from "stemma";
import { WebSocket as Ws } from "ws";
import { Relay } from "../web/harness.ts";
import { atEnd, newFolder, openSpace } from "./ends.ts";

const webSocket = Ws as unknown as typeof WebSocket;
let names = 0;

const opened = (t: TestContext, o: Partial<OpenOptions>): Promise<Space> => openSpace(t, { webSocket, ...o });

const startRelay = (t: TestContext): Promise<Relay> => Relay.start({ after: (end) => atEnd(t, end) });

async function until(space: Space, condition: () => boolean, ms = 20_000): Promise<void> {
  const deadline = Date.now() + ms;
  while (!condition()) {
    assert.ok(Date.now() < deadline, `in time; sync is ${space.sync.status}, ${space.sync.pending} pending`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const codeIs = (code: string) => (error: StemmaError) => error.code === code;

test("a write is saved here, then at the relay, then seen", async (t) => {
  const relay = await startRelay(t);
  const one = await opened(t, { relay: relay.url });
  const two = await opened(t, { relay: relay.url, invite: await one.invite() });
  const write = one.transact(() => one.getText("t").append("hello"));
  await write.saved("local");
  await write.saved("relay");
  await until(two, () => two.getText("t").toString() === "hello");
  await two.transact(() => two.getMap("m").set("read", true)).saved("relay");
  await until(one, () => write.seenBy() === 1);
  assert.equal(one.stateHash(), two.stateHash());
  assert.equal(one.sync.pending, 0);
});

test("a used-up invite leaves the work here under `denied`, and a fresh link lets it in", async (t) => {
  const relay = await startRelay(t);
  const owner = await opened(t, { relay: relay.url });
  await owner.sync.settled();
  const invite = await owner.invite({ uses: 1 });
  const first = await opened(t, { relay: relay.url, invite });
  await until(first, () => first.sync.status === "live");
  const name = `relay-${names++}`;
  const late = await open({ name, webSocket, relay: relay.url, invite });
  atEnd(t, () => late.close());
  const write = late.transact(() => late.getText("t").append("kept"));
  await until(late, () => late.sync.status === "denied");
  await assert.rejects(write.saved("relay"), codeIs("E_RELAY_REFUSED"));
  assert.equal(late.getText("t").toString(), "kept");
  assert.equal(owner.getText("t").toString(), "");
  const same = await open({ name, webSocket, relay: relay.url, invite: await owner.invite() });
  assert.equal(same, late);
  await until(late, () => late.sync.status === "live");
  await write.saved("relay");
  await until(owner, () => owner.getText("t").toString() === "kept");
});

test("a relay that denies is seen beside one that does not", async (t) => {
  const [kind, strict] = [await startRelay(t), await startRelay(t)];
  const owner = await opened(t, { relay: [kind.url, strict.url] });
  await owner.sync.settled();
  assert.deepEqual(owner.sync.relays.map(({ url, status, pending, error }) => [url, status, pending, error]), [
    [kind.url, "live", 0, undefined],
    [strict.url, "live", 0, undefined],
  ]);
  const invite = await owner.invite({ uses: 1 });
  const first = await opened(t, { relay: strict.url, invite });
  await until(first, () => first.sync.status === "live");

  const name = `relay-${names++}`;
  const late = await open({ name, webSocket, relay: kind.url, invite });
  atEnd(t, () => late.close());
  await late.sync.settled();
  const told: SyncState[] = [];
  late.on("sync", (state) => void told.push(state));
  late.sync.connect(strict.url);
  assert.deepEqual(told.map(({ relays }) => relays.length), [2], "it is told at once that there are two");
  const ofStrict = () => late.sync.relays.find(({ url }) => url === strict.url);
  await until(late, () => ofStrict()?.status === "denied");
  assert.equal(late.sync.status, "live", "the better of the two");
  assert.equal(told.at(-1)?.relays, late.sync.relays, "a listener is told of it");
  assert.equal(ofStrict()?.error?.code, "E_RELAY_REFUSED");
  assert.match(ofStrict()?.error?.message ?? "", /^INVITE_USED: /);
  assert.equal(ofStrict()?.pending, undefined);
  assert.ok(Object.isFrozen(late.sync.relays) && late.sync.relays.every(Object.isFrozen));
  const before = late.sync.relays;
  assert.equal(late.sync.relays, before);
  await late.transact(() => late.getCounter("c").add(1)).saved("relay");
  await late.sync.settled();
  assert.notEqual(late.sync.relays, before);
  assert.equal(ofStrict(), before[1], "of the other nothing changed");

  await open({ name, webSocket, relay: kind.url, invite: await owner.invite() });
  await until(late, () => ofStrict()?.status === "live");
  assert.deepEqual(late.sync.relays.map(({ error }) => error), [undefined, undefined]);
  await until(first, () => first.getCounter("c").value === 1);
  late.sync.disconnect(strict.url);
  assert.deepEqual(told.at(-1)?.relays.map(({ url }) => url), [kind.url]);
});

test("an expired invite is refused at the relay, also after it was restarted", async (t) => {
  const relay = await startRelay(t);
  const owner = await opened(t, { relay: relay.url });
  await owner.sync.settled();
  const invite = await owner.invite({ expires: new Date(Date.now() + 400), uses: 9 });
  const early = await opened(t, { relay: relay.url, invite });
  await until(early, () => early.sync.status === "live");
  await new Promise((resolve) => setTimeout(resolve, 600));
  await relay.restart();
  const late = await opened(t, { relay: relay.url, invite });
  await until(late, () => late.sync.status === "denied");
  await until(early, () => early.sync.status === "live");
});

test("an invite says where the space is, unless the caller does", async (t) => {
  const relay = await startRelay(t);
  const owner = await opened(t, { relay: relay.url });
  await owner.transact(() => owner.getText("t").append("here")).saved("relay");
  const guest = await opened(t, { invite: await owner.invite() });
  await until(guest, () => guest.getText("t").toString() === "here");
  const local = await opened(t, { invite: await owner.invite(), relay: [] });
  assert.equal(local.sync.status, "offline");
  local.sync.disconnect();
  await assert.rejects(local.sync.settled({ signal: AbortSignal.timeout(50) }));
});

test("a full relay is told to whoever waits, and gets everything once there is room", async (t) => {
  const relay = await Relay.start({ after: (end) => atEnd(t, end) }, ["--quota-bytes", "3000"]);
  const space = await opened(t, { relay: relay.url });
  const faults: string[] = [];
  space.on("error", ({ code, message }) => faults.push(`${code} ${message}`));
  const writes = Array.from({ length: 10 }, (_, n) => space.transact(() => space.getText("t").append("x".repeat(500 + n))));
  await assert.rejects(writes[9]!.saved("relay"), (error: StemmaError) => error.code === "E_RELAY_REFUSED" && /QUOTA/.test(error.message));
  await assert.rejects(space.sync.settled(), codeIs("E_RELAY_REFUSED"));
  assert.equal(faults.filter((fault) => fault.startsWith("E_RELAY_REFUSED QUOTA")).length, 1);
  assert.equal(space.sync.status, "live");
  assert.ok(space.sync.pending > 0);
  await writes[9]!.saved("local");
  relay.arguments = [];
  await relay.restart();
  await until(space, () => space.sync.pending === 0, 120_000);
  await Promise.all(writes.map((write) => write.saved("relay")));
  await space.sync.settled();
});

test("whoever catches up is told how far it is", async (t) => {
  const relay = await startRelay(t);
  const one = await opened(t, { relay: relay.url });
  const block = "x".repeat(60_000);
  for (let i = 0; i < 20; i++) one.transact(() => one.getText(`t${i}`).append(block));
  await one.sync.settled();
  const two = await opened(t, { invite: await one.invite() });
  assert.equal(two.sync.progress, undefined);
  const told: SyncState[] = [];
  two.on("sync", (state) => void told.push(state));
  two.sync.connect(relay.url);
  await two.sync.settled();
  const seen = told.flatMap(({ progress }) => progress ?? []);
  assert.ok(seen.length > 2, "in steps");
  assert.ok(seen.every(({ total }) => total === 20), JSON.stringify(seen));
  assert.deepEqual(seen, [...seen].sort((a, b) => a.received - b.received));
  assert.ok(seen.some(({ received }) => received > 0 && received < 20));
  assert.ok(told.every(({ status, progress }) => (progress !== undefined) === (status === "catching-up")));
  assert.equal(two.sync.progress, undefined);
  assert.equal(two.getText("t19").length, 60_000);
});

test("garbled and foreign invites are E_INVITE", async (t) => {
  const owner = await opened(t, {});
  const invite = await owner.invite();
  for (const wrong of ["", "hello", "stemma1.", `${invite.slice(0, -4)}AAAA`, invite.slice(0, -30)]) {
    await assert.rejects(open({ name: `relay-${names++}`, invite: wrong }), codeIs("E_INVITE"), wrong);
  }
});

test("without a relay work goes on, and goes out when it is there", async (t) => {
  const relay = await startRelay(t);
  await relay.kill();
  const space = await opened(t, { relay: relay.url });
  const write = space.transact(() => space.getText("t").append("offline"));
  await write.saved("local");
  await assert.rejects(write.saved("relay", { signal: AbortSignal.timeout(200) }));
  assert.equal(space.sync.pending, 1);
  await relay.restart();
  await write.saved("relay");
  assert.equal(space.sync.pending, 0);
});

test("a folder opened again pushes what the relay lacks and nothing twice", async (t) => {
  const relay = await startRelay(t);
  const dir = await newFolder(t);
  const first = await open({ name: "kept", storage: { dir }, webSocket });
  const invite = await first.invite();
  await first.transact(() => first.getText("t").append("one ")).saved("local");
  await first.close();
  const again = await open({ name: "kept", storage: { dir }, webSocket, relay: relay.url });
  atEnd(t, () => again.close());
  await again.transact(() => again.getText("t").append("two")).saved("relay");
  await again.sync.settled();
  const other = await opened(t, { relay: relay.url, invite });
  await until(other, () => other.getText("t").toString() === "one two");
  assert.equal(other.stats().changesets, again.stats().changesets);
});

test("a relay that lost its log is filled again by its clients", async (t) => {
  const relay = await startRelay(t);
  const one = await opened(t, { relay: relay.url });
  const invite = await one.invite();
  const two = await opened(t, { relay: relay.url, invite });
  await one.transact(() => one.getText("t").append("from one ")).saved("relay");
  await until(two, () => two.getText("t").length > 0);
  await two.transact(() => two.getText("t").append("from two")).saved("relay");
  await until(one, () => one.getText("t").toString() === "from one from two");
  await relay.lose();
  await until(one, () => one.sync.status === "live");
  await one.sync.settled();
  await two.sync.settled();
  const three = await opened(t, { relay: relay.url, invite: await one.invite() });
  await until(three, () => three.getText("t").toString() === "from one from two");
});
