// Storage that fails, an engine that traps, sockets that do not come about: nothing hangs, nothing is said to be saved
// that is not.

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { open, type Space, type StemmaError, type StorageAdapter } from "stemma";
import { exhaust, Scripted } from "./faults.ts";

let names = 0;

async function space(t: TestContext, storage: StorageAdapter, o: object = {}): Promise<Space> {
  const opened = await open({ name: `faults-${names++}`, storage, ...o });
  t.after(() => opened.close().catch(() => {}));
  return opened;
}

const coded = (code: string) => ({ name: "StemmaError", code });

test("saved follows the commit, never the edit", async (t) => {
  const storage = new Scripted();
  const s = await space(t, storage);
  storage.held = [];
  const write = s.transact(() => s.getMap("m").set("a", 1));
  let saved = false;
  const waiting = write.saved("local").then(() => (saved = true));
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(storage.held.length, 1);
  assert.equal(saved, false);
  const [go] = storage.held;
  storage.held = undefined;
  go?.();
  await waiting;
});

test("commits are stored one after the other", async (t) => {
  const storage = new Scripted();
  const s = await space(t, storage);
  storage.held = [];
  const before = storage.commits;
  const writes = [1, 2, 3].map((n) => (s.transact(() => s.getMap("m").set("n", n)), s.flush()));
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(storage.commits, before + 1);
  const { held } = storage;
  storage.held = undefined;
  held[0]?.();
  await Promise.all(writes.map((write) => write.saved("local")));
  assert.equal(storage.commits, before + 3);
});

test("a commit that fails is told, rejects those who wait, and takes nothing away", async (t) => {
  const storage = new Scripted();
  const s = await space(t, storage);
  const heard: string[] = [];
  s.on("storage", ({ code }) => heard.push(code));
  storage.failing = "E_STORAGE_QUOTA";
  const write = s.transact(() => s.getText("t").append("kept in memory"));
  await assert.rejects(write.saved("local"), coded("E_STORAGE_QUOTA"));
  assert.ok(heard.includes("E_STORAGE_QUOTA"));
  assert.equal(s.getText("t").toString(), "kept in memory");
  const later = s.transact(() => s.getText("t").append("!"));
  await assert.rejects(later.saved("local"), coded("E_STORAGE_QUOTA"));
  assert.equal(s.getText("t").toString(), "kept in memory!");
  await assert.rejects(s.close(), coded("E_STORAGE_QUOTA"));
  assert.throws(() => s.heads, coded("E_CLOSED"));
});

test("what was lost with a commit reaches others all the same", async (t) => {
  const storage = new Scripted();
  const s = await space(t, storage);
  const other = await space(t, new Scripted(), { invite: await s.invite() });
  const { port1, port2 } = new MessageChannel();
  s.sync.attach(port1);
  other.sync.attach(port2);
  storage.failing = "E_STORAGE_QUOTA";
  s.transact(() => s.getText("t").append("only here"));
  while (other.getText("t").length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.equal(other.getText("t").toString(), "only here");
});

test("in memory only, every wait for the disk rejects, also when the disk takes other things again", async (t) => {
  const storage = new Scripted();
  const s = await space(t, storage);
  const other = await space(t, new Scripted(), { invite: await s.invite() });
  storage.failing = "E_STORAGE_QUOTA";
  const lost = s.transact(() => s.getText("t").append("one "));
  await assert.rejects(lost.saved("local"), coded("E_STORAGE_QUOTA"));
  storage.failing = undefined;
  await s.import(await other.export());
  const later = s.transact(() => s.getText("t").append("two"));
  await assert.rejects(later.saved("local"), coded("E_STORAGE_QUOTA"));
  await assert.rejects(lost.saved("local"), coded("E_STORAGE_QUOTA"));
  await s.export();
  await assert.rejects(s.close(), coded("E_STORAGE_QUOTA"));
});

test("a write is not rejected for a commit that was another's", async (t) => {
  const storage = new Scripted();
  const s = await space(t, storage);
  const other = await space(t, new Scripted(), { invite: await s.invite() });
  await other.transact(() => other.getText("t").append("theirs")).saved("local");
  storage.failing = "E_STORAGE_QUOTA";
  const failed = new Promise<StemmaError>((resolve) => s.on("storage", resolve));
  await s.import(await other.export());
  assert.equal((await failed).code, "E_STORAGE_QUOTA");
  storage.failing = undefined;
  await s.transact(() => s.getText("t").append("mine")).saved("local");
  await s.close();
});

test("a space that cannot be stored at all is not opened", async () => {
  const storage = new Scripted();
  storage.failing = "E_STORAGE_UNAVAILABLE";
  await assert.rejects(open({ name: "faults-never", storage }), coded("E_STORAGE_UNAVAILABLE"));
  storage.failing = undefined;
  const s = await open({ name: "faults-never", storage });
  await s.close();
});

test("an adapter's own space is read back, page by page", async (t) => {
  const storage = new Scripted();
  const first = await open({ name: "faults-pages", storage });
  for (let i = 0; i < 20; i++) first.transact(() => first.getText("t").append(`${i} `));
  const hash = first.stateHash();
  await first.close();
  const second = await space(t, storage, { name: "faults-pages" });
  assert.equal(second.stateHash(), hash);
});

test("faults from before anybody listened are told to the first who does", async (t) => {
  const storage = new Scripted();
  const s = await space(t, storage);
  storage.onLost?.(Object.assign(new Error("gone"), { code: "E_STORAGE_LOST" }) as StemmaError);
  const fault = await new Promise<StemmaError>((resolve) => s.on("storage", resolve));
  assert.equal(fault.code, "E_STORAGE_LOST");
});

test("after a trap the space comes back from storage, and its handles go on", async (t) => {
  const s = await space(t, new Scripted());
  const map = s.getMap("m");
  const child = map.child("child", "map");
  const deep = child.child("text", "text");
  const write = s.transact(() => (map.set("k", "kept"), deep.append("kept")));
  await write.saved("local");
  const crashed = new Promise<StemmaError>((resolve) => s.on("error", resolve));
  const reloaded = new Promise<void>((resolve) => s.subscribe((changes) => changes.some(({ source }) => source === "reload") && resolve()));
  exhaust(s);
  assert.throws(() => map.get("k"), coded("E_ENGINE_CRASHED"));
  assert.throws(() => map.set("k", 2), coded("E_ENGINE_CRASHED"));
  assert.equal((await crashed).code, "E_ENGINE_CRASHED");
  await reloaded;
  assert.equal(map.get("k"), "kept");
  assert.equal(s.getMap("m"), map);
  assert.deepEqual([map.get("child"), deep.toString()], [{ text: "kept" }, "kept"]);
  assert.equal(map.child("child", "map"), child);
  deep.append("!");
  assert.deepEqual(map.get("child"), { text: "kept!" });
  await write.saved("local");
  const after = s.transact(() => map.set("k", "after"));
  await after.saved("local");
  assert.equal(map.get("k"), "after");
});

test("a trap inside a transaction ends it, and every other space of the page comes back too", async (t) => {
  const [one, two] = [await space(t, new Scripted()), await space(t, new Scripted())];
  await two.transact(() => two.getMap("m").set("k", 1)).saved("local");
  const back = [one, two].map((s) => {
    s.getText("t");
    return new Promise<void>((resolve) => s.subscribe((changes) => changes.some(({ source }) => source === "reload") && resolve()));
  });
  assert.throws(() => one.transact(() => {
    one.getMap("m").set("half", 1);
    exhaust(one);
    one.getMap("m").set("other half", 1);
  }), coded("E_ENGINE_CRASHED"));
  await Promise.all(back);
  assert.deepEqual(one.getMap("m").toJSON(), {});
  assert.equal(two.getMap("m").get("k"), 1);
  await one.transact(() => one.getMap("m").set("again", 1)).saved("local");
});

test("a write that went with the engine rejects, whoever asks and whenever", async (t) => {
  const storage = new Scripted();
  const s = await space(t, storage);
  const reloaded = new Promise<void>((resolve) => s.subscribe((changes) => changes.some(({ source }) => source === "reload") && resolve()));
  const map = s.getMap("m");
  await s.transact(() => map.set("k", "kept")).saved("local");
  storage.held = [];
  const lost = s.transact(() => map.set("k", "lost"));
  const waits = (["local", "relay"] as const).map((tier) => assert.rejects(lost.saved(tier), coded("E_ENGINE_CRASHED")));
  await new Promise((resolve) => setTimeout(resolve));
  storage.failing = "E_STORAGE_LOST";
  exhaust(s);
  const { held } = storage;
  storage.held = undefined;
  held[0]?.();
  await Promise.all(waits);
  storage.failing = undefined;
  await reloaded;
  assert.equal(map.get("k"), "kept");
  for (const tier of ["local", "relay"] as const) await assert.rejects(lost.saved(tier), coded("E_ENGINE_CRASHED"));
  await s.transact(() => map.set("k", "after")).saved("local");
});

/** A WebSocket that never gets anywhere. */
class Unreachable extends EventTarget {
  static made: string[] = [];
  binaryType = "blob";
  readyState = 0;
  onclose: ((event: object) => void) | null = null;
  constructor(url: string) {
    super();
    Unreachable.made.push(url);
    setTimeout(() => {
      this.readyState = 3;
      this.onclose?.({ code: 1006, reason: "" });
    });
  }
  send(): void {}
  close(): void {}
}

test("without random bytes nothing is signed, and nothing that was saved is touched", async (t) => {
  const storage = new Scripted();
  const s = await space(t, storage);
  await s.transact(() => s.getMap("m").set("a", 1)).saved("local");
  const heard: string[] = [];
  s.on("error", ({ code }) => heard.push(code));
  const real = crypto.getRandomValues;
  const map = s.getMap("m");
  crypto.getRandomValues = () => {
    throw new Error("no entropy");
  };
  let [saved, commits] = [1, storage.commits];
  const writeOn = async () => {
    // Some of the bytes are there before they are needed.
    for (;;) {
      await s.transact(() => map.set("a", saved + 1)).saved("local");
      [saved, commits] = [saved + 1, storage.commits];
    }
  };
  try {
    await assert.rejects(writeOn(), coded("E_ENGINE_CRASHED"));
    await assert.rejects(open({ name: "no entropy", storage: "memory" }), coded("E_ENGINE_CRASHED"));
  } finally {
    crypto.getRandomValues = real;
  }
  assert.equal(storage.commits, commits, "nothing was stored");
  const shown = () => {
    try {
      return map.get("a");
    } catch {
      return undefined; // not read again from storage yet
    }
  };
  while (heard.length === 0 || shown() === undefined) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.equal(map.get("a"), saved);
  await s.transact(() => map.set("a", "on")).saved("local");
  assert.deepEqual([map.get("a"), heard], ["on", ["E_ENGINE_CRASHED"]]);
});

test("an unreachable relay leaves the space offline and at work", async (t) => {
  const webSocket = Unreachable as unknown as typeof WebSocket;
  const s = await space(t, new Scripted(), { relay: "ws://127.0.0.1:9", webSocket });
  const write = s.transact(() => s.getMap("m").set("a", 1));
  await write.saved("local");
  assert.deepEqual(Unreachable.made, ["ws://127.0.0.1:9"]);
  assert.ok(["offline", "connecting"].includes(s.sync.status));
  const atRelay = write.saved("relay");
  await s.close();
  await assert.rejects(atRelay, coded("E_CLOSED"));
});

test("without a WebSocket a relay is refused at once, naming what to pass", async (t) => {
  if (globalThis.WebSocket) return t.skip("there is one here");
  await assert.rejects(open({ name: "faults-socket", relay: "ws://127.0.0.1:9" }), { ...coded("E_UNSUPPORTED"), argument: "webSocket" });
});
