// Snapshots as an app meets them: openings that need no history, upkeep, and a store whose snapshot is of no use.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { open, type Space, type StemmaError } from "stemma";
import { MemoryStorage } from "../../ts/memory.ts";
import { FileStorage } from "../../ts/node/file.ts";
import { newFolder, openSpace } from "./ends.ts";

/** A store that outlives the spaces opened on it, and counts what is read. */
class CountingStorage extends MemoryStorage {
  rowsRead = 0;
  isBroken = false;

  override async read(after: number, maxBytes: number): Promise<[number, Uint8Array][]> {
    const page = await super.read(after, maxBytes);
    this.rowsRead += page.length;
    return page;
  }

  override async commit(batch: Parameters<MemoryStorage["commit"]>[0]): Promise<number[]> {
    if (this.isBroken) throw Object.assign(new Error("full"), { code: "E_STORAGE_QUOTA" });
    return super.commit(batch);
  }
}

async function fill(space: Space): Promise<void> {
  const [map, text, set, cart] = [space.getMap("m"), space.getText("t"), space.getSet("s", { kind: "lww" }), space.getCart("c")];
  for (let n = 0; n < 40; n += 1) {
    space.transact(() => {
      map.set(`key ${n % 7}`, { n, list: [n, "ü"] });
      text.insert(Math.floor(text.length / 2), `word ${n} 😀 `);
      if (n % 3 === 0) text.delete(0, 2);
      space.getCounter("n").add(n);
      set.add([n % 5], n);
      cart.add("apple", 1);
    });
  }
  space.undo();
  await space.flush().saved("local");
}

async function closed(space: Space): Promise<{ hash: string; digest: string; heads: readonly string[] }> {
  const result = { hash: space.stateHash(), digest: space.viewDigest(), heads: space.heads };
  await space.close();
  return result;
}

test("an opening begins with the snapshot, and reads the history only for who asks", async (t) => {
  const storage = new CountingStorage();
  const first = await openSpace(t, { storage });
  await fill(first);
  const report = await first.compact();
  assert.equal(report.rows.changesets, first.stats().changesets);
  assert.equal(report.snapshot?.records, 2);
  assert.deepEqual([report.unknown, report.damaged, report.unreached], [0, 0, []]);
  const before = await closed(first);

  storage.rowsRead = 0;
  const again = await openSpace(t, { storage });
  assert.equal(storage.rowsRead, 0, "no row was read before the space was there");
  assert.deepEqual({ hash: again.stateHash(), digest: again.viewDigest(), heads: again.heads }, before);
  assert.deepEqual(again.getMap("m").get("key 4"), { n: 32, list: [32, "ü"] }, "the last one is undone");
  const messages: string[] = [];
  for await (const { id } of again.history()) messages.push(id);
  assert.equal(messages.length, again.stats().changesets);
  const copy = await openSpace(t, { invite: await again.invite() });
  assert.equal((await copy.import(await again.export())).added, messages.length);
  assert.equal(copy.stateHash(), again.stateHash());
});

test("rows that came after the snapshot are folded onto it", async (t) => {
  const storage = new CountingStorage();
  const first = await openSpace(t, { storage });
  await fill(first);
  await first.compact();
  first.getText("t").append("later");
  await first.flush().saved("local");
  const before = await closed(first);
  const again = await openSpace(t, { storage });
  assert.equal(again.stateHash(), before.hash);
  assert.match(again.getText("t").toString(), /later$/);
});

test("a snapshot is made without being asked for, once enough is new", async (t) => {
  const storage = new CountingStorage();
  const space = await openSpace(t, { storage });
  space.getText("t").append("x".repeat(100_000));
  space.getMap("m").set("y", "y".repeat(100_000));
  await space.flush().saved("local");
  while ((await storage.entries("snapshots")).length === 0) await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal((await space.doctor()).snapshot?.records, 2);
});

test("a damaged snapshot is told, and the history is read instead", async (t) => {
  const storage = new CountingStorage();
  const first = await openSpace(t, { storage });
  await fill(first);
  await first.compact();
  const before = await closed(first);
  await storage.open("");
  const [chunk] = (await storage.entries("snapshots")).filter(([key]) => key !== "head");
  assert.ok(chunk);
  await storage.commit({ put: [["snapshots", chunk[0], chunk[1].map((byte, at) => (at === 9 ? byte ^ 1 : byte))]] });
  await storage.close();

  const again = await openSpace(t, { storage });
  const faults: StemmaError[] = [];
  again.on("storage", (fault) => faults.push(fault));
  await null;
  assert.deepEqual(faults.map(({ code }) => code), ["E_STORAGE_DAMAGED"]);
  assert.equal(again.stateHash(), before.hash);
  await again.compact();
  await again.close();
  storage.rowsRead = 0;
  const third = await openSpace(t, { storage });
  assert.equal(storage.rowsRead, 0);
  assert.equal(third.stateHash(), before.hash);
});

test("a snapshot of a newer version is kept, not applied, and told", async (t) => {
  const storage = new CountingStorage();
  const first = await openSpace(t, { storage });
  await fill(first);
  await first.compact();
  const before = await closed(first);
  await storage.open("");
  const records = await storage.entries("snapshots");
  const newer = records.map(([key, value]): [string, Uint8Array] => [key, key === "head" ? Uint8Array.of(200, ...value.subarray(1)) : value]);
  await storage.commit({ put: newer.map(([key, value]) => ["snapshots", key, value]) });
  await storage.close();

  const again = await openSpace(t, { storage });
  const faults: StemmaError[] = [];
  again.on("storage", (fault) => faults.push(fault));
  await null;
  assert.deepEqual(faults.map(({ code }) => code), ["E_STORAGE_NEWER"]);
  assert.equal(again.stateHash(), before.hash);
  const report = await again.compact();
  assert.deepEqual(report.unreached, []);
  assert.deepEqual(await storage.entries("snapshots"), newer);
});

test("doctor finds what nothing counts on, and compact removes it and nothing else", async (t) => {
  const storage = new CountingStorage();
  const space = await openSpace(t, { storage });
  await fill(space);
  const orphan = new Uint8Array(10);
  await storage.commit({ put: [["snapshots", "0123/00000", orphan], ["meta", "relay/ws://x", new Uint8Array(40)]], append: [new Uint8Array([1, 2, 3])] });
  const found = await space.doctor();
  assert.deepEqual(found.unreached, [{ store: "snapshots", key: "0123/00000", bytes: 10 }]);
  assert.equal(found.damaged, 1);
  assert.equal(found.snapshot, undefined);
  assert.ok(Object.isFrozen(found) && Object.isFrozen(found.unreached));
  const left = await space.compact();
  assert.deepEqual(left.unreached, []);
  assert.deepEqual(left.rows, found.rows);
  assert.ok((await storage.entries("meta")).some(([key]) => key === "relay/ws://x"));
});

test("a store that takes no snapshot loses nothing by it", async (t) => {
  const storage = new CountingStorage();
  const space = await openSpace(t, { storage });
  await fill(space);
  storage.isBroken = true;
  const report = await space.compact();
  assert.equal(report.snapshot, undefined);
  storage.isBroken = false;
  assert.ok((await space.compact()).snapshot);
});

test("upkeep takes a signal, and nothing else", async (t) => {
  const space = await openSpace(t);
  await assert.rejects(space.doctor({ signal: AbortSignal.abort() }), { name: "AbortError" });
  await assert.rejects(space.compact({ signal: AbortSignal.abort() }), { name: "AbortError" });
  await assert.rejects(space.compact({ fast: true } as never), { code: "E_ARGUMENT", argument: "fast" });
  await assert.rejects(space.doctor({ signal: 1 } as never), { code: "E_ARGUMENT", argument: "signal" });
  space.transact(() => {
    void assert.rejects(space.compact(), { code: "E_ARGUMENT" });
  });
  await space.close();
  await assert.rejects(space.doctor(), { code: "E_CLOSED" });
  await assert.rejects(space.compact(), { code: "E_CLOSED" });
});

test("a folder keeps one snapshot, however many were made", async (t: TestContext) => {
  const dir = await newFolder(t);
  const first = await openSpace(t, { storage: { dir } });
  await fill(first);
  for (let n = 0; n < 12; n += 1) {
    first.getText("t").append("0123456789".repeat(10_000));
    await first.flush().saved("local");
    await first.compact();
  }
  const before = await closed(first);
  const storage = new FileStorage({ dir });
  await storage.open("");
  const bytes = (await storage.entries("snapshots")).reduce((sum, [, { length }]) => sum + length, 0);
  await storage.close();
  const { readdir, stat } = await import("node:fs/promises");
  let log = 0;
  for (const name of await readdir(`${dir}/log`)) log += (await stat(`${dir}/log/${name}`)).size;
  const rows = 12 * 131_072;
  assert.ok(log < rows + 3 * bytes + 1_500_000, `the log has ${log} bytes`);
  const again = await openSpace(t, { storage: { dir } });
  assert.equal(again.stateHash(), before.hash);
});

test("a log that lost a part under its snapshot: nothing hangs, no half backup is made, and a whole one mends it", async (t) => {
  const dir = await newFolder(t);
  const first = await open({ name: "before the damage", storage: { dir } });
  for (let i = 0; i < 20; i++) await first.transact(() => first.getMap("m").set(`k${i}`, i)).saved("local");
  const backup = await first.export();
  const invite = await first.invite();
  await first.compact();
  await first.close();
  const log = join(dir, "log", "1.seg");
  const bytes = await readFile(log);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
  await writeFile(log, bytes);
  const space = await open({ name: "after the damage", storage: { dir } });
  t.after(() => space.close().catch(() => {}));
  const told: string[] = [];
  space.on("storage", ({ code }) => told.push(code));
  assert.equal(space.getMap("m").size, 20);
  await assert.rejects(space.export(), { code: "E_STORAGE_LOST" });
  await assert.rejects(space.getMap("m").export(), { code: "E_STORAGE_LOST" });
  assert.ok((await space.doctor()).damaged > 0);
  assert.ok(told.includes("E_STORAGE_LOST"));
  await space.compact();
  await assert.rejects(space.transact(() => space.getMap("m").set("new", 1)).saved("local"), { code: "E_STORAGE_LOST" });
  await space.import(backup);
  const other = await open({ name: "from the mended one", storage: "memory", invite });
  t.after(() => other.close());
  await other.import(await space.export());
  assert.deepEqual(other.getMap("m").toJSON(), space.getMap("m").toJSON());
  assert.equal(other.getMap("m").size, 21);
});
