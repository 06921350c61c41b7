// A real relay behind a bad network, stopped, killed, put back to an old copy: what was saved stays, everybody ends the same.

import assert from "node:assert/strict";
import { cp, rm } from "node:fs/promises";
import { type TestContext, test } from "node:test";
import type { OpenOptions, Space, Write } from "stemma";
import { WebSocket as Ws } from "ws";
import { Relay } from "../web/harness.ts";
import { atEnd, newFolder, openSpace } from "./ends.ts";
import { Proxy } from "./proxy.ts";
import { type Random, random } from "./random.ts";

const webSocket = Ws as unknown as typeof WebSocket;

const opened = (t: TestContext, o: Partial<OpenOptions>): Promise<Space> => openSpace(t, { webSocket, ...o });
const startRelay = (t: TestContext): Promise<Relay> => Relay.start({ after: (end) => atEnd(t, end) });
/** Also where the clock is not the real one. */
const realTimeout = setTimeout;
const pause = (ms: number) => new Promise((resolve) => realTimeout(resolve, ms));

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!condition()) {
    assert.ok(performance.now() < deadline, what);
    await pause(10);
  }
}

function edit(space: Space, below: Random): Write {
  const text = space.getText("text");
  return space.transact(() => {
    const at = below(text.length + 1);
    if (text.length > 20 && below(3) === 0) text.delete(Math.min(at, text.length - 2), 2);
    else text.insert(at, String.fromCharCode(97 + below(26)).repeat(1 + below(5)));
    space.getMap("map").set(`key ${below(8)}`, below(1_000));
    space.getCounter("count").add(1);
    space.getSet("set").add(below(20));
  });
}

for (const seed of [1, 2, 3]) {
  test(`three write through a network that delays and cuts, at a relay that is killed; seed ${seed}`, async (t) => {
    const below = random(seed);
    const relay = await startRelay(t);
    const proxy = await Proxy.before(t, relay.url);
    proxy.delayMs = () => below(30);
    const ann = await opened(t, { relay: proxy.url });
    const invite = await ann.invite({ uses: 10 });
    const everybody = [ann, await opened(t, { relay: proxy.url, invite }), await opened(t, { relay: relay.url, invite })];
    const writes: Write[] = [];
    for (let step = 0; step < 150; step++) {
      writes.push(edit(everybody[below(3)] as Space, below));
      if (below(8) === 0) proxy.cut();
      if (below(10) === 0) proxy.refuses = !proxy.refuses;
      if (below(50) === 0) await relay.restart();
      await pause(below(20));
    }
    proxy.refuses = false;
    // Each of them, also those that were on their way when something broke.
    for (const write of writes) await write.saved("relay");
    for (const space of everybody) await space.sync.settled();
    await until(() => new Set(everybody.map((space) => space.heads.join())).size === 1, `seed ${seed}: all have the same`);
    assert.equal(new Set(everybody.map((space) => space.stateHash())).size, 1);
    assert.equal(ann.getCounter("count").value, writes.length, "each write counts once");
    const newcomer = await opened(t, { relay: relay.url, invite });
    await newcomer.sync.settled();
    assert.equal(newcomer.stateHash(), ann.stateHash());
  });
}

test("a connection through which nothing comes any more is given up, and another is made", async (t) => {
  const relay = await startRelay(t);
  const proxy = await Proxy.before(t, relay.url);
  t.mock.timers.enable({ apis: ["Date", "setTimeout"], now: 1_800_000_000_000 });
  const ann = await opened(t, { relay: proxy.url });
  const opening = ann.transact(() => ann.getText("text").append("before ")).saved("relay");
  await opening;
  assert.equal(proxy.accepted, 1);
  proxy.swallowsUp = proxy.swallowsDown = true;
  const write = ann.transact(() => ann.getText("text").append("into nothing"));
  await write.saved("local");
  t.mock.timers.tick(50_000);
  await pause(50);
  assert.equal(proxy.accepted, 1, "it may still be alive");
  proxy.swallowsUp = proxy.swallowsDown = false; // for whoever comes next
  t.mock.timers.tick(11_000);
  await until(() => ann.sync.status !== "live", "the silence is noticed");
  let saved = false;
  void write.saved("relay").then(() => (saved = true));
  await until(() => (t.mock.timers.tick(50), saved), "and what was said into it is said again");
  assert.equal(proxy.accepted, 2);
});

test("a relay that is stopped and goes on loses nothing, and holds nobody up", async (t) => {
  const relay = await startRelay(t);
  const ann = await opened(t, { relay: relay.url });
  const bob = await opened(t, { relay: relay.url, invite: await ann.invite() });
  await ann.sync.settled();
  await bob.sync.settled();
  relay.pause();
  atEnd(t, () => relay.goOn());
  const writes = Array.from({ length: 20 }, (_, i) => [ann, bob][i % 2] as Space).map((space, i) =>
    space.transact(() => space.getText("text").append(`${i} `)),
  );
  for (const write of writes) await write.saved("local");
  await assert.rejects((writes[0] as Write).saved("relay", { signal: AbortSignal.timeout(200) }), { name: "TimeoutError" });
  assert.ok(ann.sync.pending > 0);
  relay.goOn();
  for (const write of writes) await write.saved("relay");
  await until(() => ann.heads.join() === bob.heads.join(), "both have everything");
  assert.equal(ann.stateHash(), bob.stateHash());
});

test("a relay that is put back to an old copy gets what it lost from its clients, also what others wrote", async (t) => {
  const relay = await startRelay(t);
  const proxy = await Proxy.before(t, relay.url);
  const ann = await opened(t, { relay: proxy.url });
  const invite = await ann.invite({ uses: 10 });
  const bob = await opened(t, { relay: relay.url, invite });
  await ann.transact(() => ann.getText("text").append("old ")).saved("relay");
  await bob.sync.settled();
  await relay.kill();
  const copy = await newFolder(t);
  await cp(relay.folder, copy, { recursive: true });
  await relay.restart();
  await ann.transact(() => ann.getText("text").append("ann ")).saved("relay");
  await until(() => bob.getText("text").toString() === "old ann ", "bob has it");
  await bob.transact(() => bob.getText("text").append("bob ")).saved("relay");
  await until(() => ann.getText("text").toString() === "old ann bob ", "ann has it");
  await bob.close(); // ann alone knows what he wrote
  proxy.refuses = true;
  await relay.kill();
  await rm(relay.folder, { recursive: true });
  await cp(copy, relay.folder, { recursive: true });
  await relay.restart();
  // The log has the id it had, and grows past where ann was before she looks: another history up to her place.
  const carol = await opened(t, { relay: relay.url, invite });
  for (let i = 0; i < 5; i++) await carol.transact(() => carol.getText("carol").append("c")).saved("relay");
  proxy.refuses = false;
  await until(() => ann.getText("carol").length === 5 && carol.getText("text").length === 12, "both know everything");
  await ann.sync.settled();
  assert.equal(carol.getText("text").toString(), "old ann bob ");
  const newcomer = await opened(t, { relay: relay.url, invite });
  await newcomer.sync.settled();
  assert.equal(newcomer.stateHash(), ann.stateHash());
});
