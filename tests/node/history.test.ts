// The history of a space while it goes on: everything once and nothing left out, for as long as somebody reads.

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type ChangesetInfo, type HistoryOptions, open, type Space, type StemmaError } from "stemma";
import { WebSocket as Ws } from "ws";
import { Relay } from "../web/harness.ts";
import { atEnd, openSpace } from "./ends.ts";
import { exhaust, Scripted } from "./faults.ts";

const coded = (code: string) => ({ name: "StemmaError", code });

/** Reads on and on. */
class Reader {
  readonly found: ChangesetInfo[] = [];
  readonly done: Promise<unknown>;
  readonly #end = new AbortController();
  #onFound = () => {};

  constructor(t: TestContext, space: Space, o: HistoryOptions = {}) {
    this.done = this.#read(space.history({ live: true, signal: this.#end.signal, ...o }));
    atEnd(t, () => this.stop().catch(() => {}));
  }

  get ids(): string[] {
    return this.found.map(({ id }) => id);
  }

  /** Waits until it has so many. */
  async until(count: number): Promise<void> {
    while (this.found.length < count) await new Promise<void>((resolve) => (this.#onFound = resolve));
  }

  async stop(): Promise<void> {
    this.#end.abort();
    await assert.rejects(this.done as Promise<void>, { name: "AbortError" });
  }

  async #read(changesets: AsyncIterable<ChangesetInfo>): Promise<void> {
    try {
      for await (const one of changesets) {
        this.found.push(one);
        this.#onFound();
      }
    } finally {
      this.#onFound();
    }
  }
}

async function collect(space: Space, o?: HistoryOptions): Promise<string[]> {
  const ids: string[] = [];
  for await (const { id } of space.history(o)) ids.push(id);
  return ids;
}

const write = (space: Space, value: unknown) => space.transact(() => space.getMap("m").set("k", value as string));

function connect(one: Space, two: Space): void {
  const { port1, port2 } = new MessageChannel();
  one.sync.attach(port1);
  two.sync.attach(port2);
}

test("own writes and those of others are told as they come, once", async (t) => {
  const one = await openSpace(t);
  const two = await openSpace(t, { invite: await one.invite() });
  write(one, "before");
  const reader = new Reader(t, one);
  await reader.until(1);
  write(one, "mine");
  one.getText("t").append("an edit without a transaction");
  await reader.until(3);
  connect(one, two);
  for (let n = 0; n < 600; n++) write(two, n);
  await reader.until(603);
  assert.deepEqual(reader.ids, await collect(one));
  assert.equal(new Set(reader.ids).size, 603);
  assert.deepEqual(new Set(reader.found.map(({ member }) => member)), new Set([one.me, two.me]));
  assert.ok(reader.found.every(Object.isFrozen));
});

test("through a relay", async (t) => {
  const relay = await Relay.start({ after: (end) => atEnd(t, end) });
  const webSocket = Ws as unknown as typeof WebSocket;
  const one = await openSpace(t, { relay: relay.url, webSocket });
  const two = await openSpace(t, { relay: relay.url, webSocket, invite: await one.invite() });
  const reader = new Reader(t, two);
  const { id } = write(one, "over there");
  const mine = write(two, "here");
  await reader.until(2);
  assert.deepEqual(new Set(reader.ids), new Set([id, mine.id]));
});

test("what counts for nothing is told as well: hidden, inert for this view, and policy itself", async (t) => {
  const one = await openSpace(t);
  const two = await openSpace(t, { invite: await one.invite() });
  const ban = one.policy.ban(two.me);
  const reader = new Reader(t, one);
  await reader.until(1);
  connect(one, two);
  const hidden = write(two, "nobody sees this");
  await reader.until(2);
  const kept = one.policy.exclude(hidden.id, { publish: false });
  await reader.until(3);
  assert.deepEqual(reader.ids, [ban.id, hidden.id, kept.id]);
  assert.deepEqual(reader.found.map((info) => [info.hidden, info.ops]), [[0, 1], [1, 1], [0, 1]]);
  assert.equal(one.getMap("m").get("k"), undefined);
});

test("filters hold for what comes, also for an object that nobody spoke of yet", async (t) => {
  const one = await openSpace(t);
  const two = await openSpace(t, { invite: await one.invite() });
  const [map, text] = [one.getMap("m"), one.getText("t")];
  const ofMap = new Reader(t, one, { object: map, key: "k" });
  const ofTwo = new Reader(t, one, { member: two.me });
  const ofEvents = new Reader(t, one, { object: "photo" });
  connect(one, two);
  const mine = write(one, 1);
  one.transact(() => text.append("x"));
  one.transact(() => map.set("other", 1));
  const theirs = write(two, 2);
  two.define("Photo", { version: 1 });
  two.create("Photo", { id: "photo" });
  const { id: made } = two.flush();
  await Promise.all([ofMap.until(2), ofTwo.until(2), ofEvents.until(1)]);
  assert.deepEqual(new Set(ofMap.ids), new Set([mine.id, theirs.id]));
  assert.deepEqual([ofTwo.ids, ofEvents.ids], [[theirs.id, made], [made]]);
});

test("it ends at the limit, with the loop, and when the signal aborts", async (t) => {
  const space = await openSpace(t);
  const ids = [write(space, 1).id];
  const three = collect(space, { live: true, limit: 3 });
  ids.push(write(space, 2).id, write(space, 3).id, write(space, 4).id);
  assert.deepEqual(await three, ids.slice(0, 3));
  assert.deepEqual(await collect(space, { live: true, limit: 0 }), []);
  for await (const { id } of space.history({ live: true })) if (id === ids[3]) break;
  const iterator = space.history({ live: true })[Symbol.asyncIterator]();
  await iterator.next();
  assert.deepEqual(await iterator.return?.(), { done: true, value: undefined });
  assert.deepEqual(await iterator.next(), { done: true, value: undefined });
  await assert.rejects(collect(space, { live: true, signal: AbortSignal.abort() }), { name: "AbortError" });
  const reader = new Reader(t, space);
  await reader.until(4);
  await reader.stop();
  write(space, 5);
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(reader.found.length, 4);
  assert.throws(() => space.history({ live: 1 as unknown as boolean }), { ...coded("E_ARGUMENT"), argument: "live" });
});

test("a reader that waits leaves nothing behind at its signal", async (t) => {
  const space = await openSpace(t);
  const end = new AbortController();
  const listening = { added: 0, removed: 0 };
  const { signal } = end;
  const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
  signal.addEventListener = (...given: Parameters<typeof add>) => (listening.added++, add(...given));
  signal.removeEventListener = (...given: Parameters<typeof remove>) => (listening.removed++, remove(...given));
  const reading = (async () => {
    for await (const { seq } of space.history({ live: true, signal })) if (seq === 5) break;
  })();
  for (let n = 0; n < 6; n++) {
    await write(space, n).saved("local");
    await new Promise((resolve) => setTimeout(resolve));
  }
  await reading;
  assert.ok(listening.added > 0);
  assert.equal(listening.removed, listening.added);
});

test("a space that closes tells whoever waits", async () => {
  const space = await open({ name: "history-closing" });
  write(space, 1);
  const found: string[] = [];
  const reading = (async () => {
    for await (const { id } of space.history({ live: true })) found.push(id);
  })();
  while (found.length === 0) await new Promise((resolve) => setTimeout(resolve));
  const told = assert.rejects(reading, coded("E_CLOSED"));
  await space.close();
  await told;
});

test("nothing is told before it is stored, and what never is comes as it was signed anew", async (t) => {
  const storage = new Scripted();
  const space = await open({ name: "history-unstored", storage });
  atEnd(t, () => space.close().catch(() => {}));
  await write(space, "stored").saved("local");
  const reader = new Reader(t, space);
  await reader.until(1);
  storage.held = [];
  const held = write(space, "held");
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(held.id.length, 64);
  assert.equal(reader.found.length, 1);
  storage.failing = "E_STORAGE_QUOTA";
  const { held: commits } = storage;
  storage.held = undefined;
  commits.forEach((go) => go());
  await reader.until(2);
  assert.deepEqual(reader.ids, await collect(space));
  assert.notEqual(reader.found[0]?.actor, reader.found[1]?.actor);
  write(space, "and one more");
  await reader.until(3);
  assert.deepEqual(reader.ids, await collect(space));
});

test("after a crash it goes on where it was, though everything has another number", async (t) => {
  const storage = new Scripted();
  const one = await openSpace(t, { storage, batchMs: 60_000 });
  const two = await openSpace(t, { invite: await one.invite() });
  connect(one, two);
  await write(one, "first").saved("local");
  // Stored before what is open here, and numbered after it.
  one.getText("t").append("open");
  const rows = (await storage.read(0)).length;
  for (let n = 0; n < 300; n++) write(two, n);
  while ((await storage.read(rows)).length === 0) await new Promise((resolve) => setTimeout(resolve));
  one.flush();
  const reader = new Reader(t, one);
  const slow = one.history({ live: true })[Symbol.asyncIterator]();
  atEnd(t, () => slow.return?.());
  const slowly: string[] = [];
  const step = async () => slowly.push(((await slow.next()).value as ChangesetInfo).id);
  for (let n = 0; n < 10; n++) await step();
  await reader.until(302);
  write(one, "last");
  while (two.getMap("m").get("k") !== "last") await new Promise((resolve) => setTimeout(resolve));
  await reader.until(303);
  const before = [...reader.ids];
  const crashed = new Promise<StemmaError>((resolve) => one.on("error", resolve));
  const back = [one, two].map((space) => new Promise<void>((resolve) => space.subscribe(([change]) => change?.source === "reload" && resolve())));
  exhaust(one);
  assert.equal((await crashed).code, "E_ENGINE_CRASHED");
  await Promise.all(back);
  const more = Array.from({ length: 3 }, (_, n) => write(one, `after ${n}`).id);
  await reader.until(306);
  const after = await collect(one);
  const held = one.stats().pending.map(({ id }) => id);
  assert.deepEqual(held, before.filter((id) => !after.includes(id)), "an engine was at that one last");
  assert.notEqual(after.filter((id) => before.includes(id)).join(), before.filter((id) => after.includes(id)).join(), "they have other numbers");
  assert.deepEqual(reader.ids, [...before, ...more]);
  while (slowly.length < after.length) await step();
  assert.deepEqual([...slowly].sort(), [...after].sort());
});
