// Blobs: bytes larger than a changeset, cut into chunks, checked by their hash.

import assert from "node:assert/strict";
import { createHash, randomFillSync } from "node:crypto";
import { type TestContext, test } from "node:test";
import type { BlobRef, Space, StemmaError } from "stemma";
import { WebSocket as Ws } from "ws";
import { Relay } from "../web/harness.ts";
import { atEnd, newFolder, openSpace } from "./ends.ts";

const webSocket = Ws as unknown as typeof WebSocket;
const CHUNK_BYTES = 192 << 10;

const code = (code: string) => (error: StemmaError) => error.code === code;
const random = (length: number) => new Uint8Array(randomFillSync(Buffer.alloc(length)));

/** What docs/format.md §11 says the id of a blob is. */
function idOf(bytes: Uint8Array): string {
  const tag = Buffer.alloc(16);
  tag.write("stemma/1blob");
  const hash = (level: number, ...parts: Uint8Array[]) => createHash("sha256").update(Buffer.concat([tag, Buffer.from([level]), ...parts])).digest();
  const leaves = Array.from({ length: Math.ceil(bytes.length / CHUNK_BYTES) }, (_, n) => hash(0, bytes.subarray(n * CHUNK_BYTES, (n + 1) * CHUNK_BYTES)));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(bytes.length));
  return hash(1, size, ...leaves).toString("hex");
}

async function pair(t: TestContext): Promise<[Space, Space]> {
  const one = await openSpace(t);
  return [one, await openSpace(t, { invite: await one.invite() })];
}

async function connect(one: Space, two: Space): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  one.sync.attach(port1);
  two.sync.attach(port2);
  while (one.heads.join() !== two.heads.join()) {
    await Promise.all([one.sync.settled(), two.sync.settled()]);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Ends a wait. That of AbortSignal.timeout would not keep the process. */
function soon(): AbortSignal {
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error("too late")), 20);
  return controller.signal;
}

/** Writes over a chunk, as a member can who knows how. */
const spoil = (space: Space, { blob }: BlobRef, key: string) => space.transact(() => space.getMap(`stemma/blob/${blob}`).set(key, new Uint8Array([6])));

test("20 MB reach another member through a relay, byte for byte", async (t) => {
  const relay = await Relay.start({ after: (end) => atEnd(t, end) });
  const one = await openSpace(t, { relay: relay.url, webSocket });
  const bytes = random(20_000_000);
  const progress: number[] = [];
  const ref = await one.blob(bytes, { progress: (done, size) => assert.equal(size, bytes.length) ?? progress.push(done) });
  assert.deepEqual(ref, { blob: idOf(bytes), size: bytes.length });
  assert.deepEqual(progress, Array.from({ length: 103 }, (_, n) => Math.min(n * CHUNK_BYTES, bytes.length)));
  await one.transact(() => one.getMap("album").set("film", ref)).saved("relay");
  const two = await openSpace(t, { relay: relay.url, webSocket, invite: await one.invite() });
  await two.sync.settled();
  const shown = two.getMap("album").get("film") as BlobRef;
  const heard: number[] = [];
  const copy = await two.readBlob(shown, { progress: (done) => heard.push(done) });
  assert.ok(Buffer.from(copy).equals(Buffer.from(bytes)));
  assert.deepEqual(heard, progress.slice(1));
  assert.equal(one.stateHash(), two.stateHash());
});

test("every size comes back, and so does it from a folder", async (t) => {
  const dir = await newFolder(t);
  const space = await openSpace(t, { name: "blobs", storage: { dir } });
  const all = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES].map(random);
  const refs: BlobRef[] = [];
  for (const bytes of all) refs.push(await space.blob(bytes));
  for (const ref of refs) space.getList("refs").push(ref);
  const check = async (space: Space) => {
    const listed = space.getList("refs").toJSON() as unknown as BlobRef[];
    for (const [n, bytes] of all.entries()) assert.deepEqual([...(await space.readBlob(listed[n] as BlobRef))], [...bytes]);
    assert.deepEqual(space.names(), [{ name: "refs", kind: "list" }]);
  };
  await check(space);
  await space.compact();
  await space.close();
  await check(await openSpace(t, { name: "blobs", storage: { dir } }));
});

test("the same bytes are stored once, and an aborted store goes on where it was", async (t) => {
  const space = await openSpace(t);
  const bytes = random(4 * CHUNK_BYTES);
  const controller = new AbortController();
  const progress = (done: number) => done === 2 * CHUNK_BYTES && controller.abort(new Error("enough"));
  await assert.rejects(space.blob(bytes, { signal: controller.signal, progress }), /enough/);
  const before = space.stats().changesets;
  const ref = await space.blob(bytes);
  assert.equal(space.stats().changesets, before + 2);
  assert.deepEqual(await space.blob(bytes.slice()), ref);
  assert.equal(space.stats().changesets, before + 2);
});

test("the caller's bytes may change meanwhile, and what is read is the reader's own", async (t) => {
  const space = await openSpace(t);
  const bytes = random(2 * CHUNK_BYTES);
  const [copy, stored] = [bytes.slice(), space.blob(bytes)];
  bytes.fill(0);
  const ref = await stored;
  (await space.readBlob(ref)).fill(1);
  assert.deepEqual(await space.readBlob(ref), copy);
});

test("undo takes back the reference and not the chunks, and redo is not lost", async (t) => {
  const space = await openSpace(t);
  const map = space.getMap("m");
  space.transact(() => map.set("a", 1));
  space.undo();
  const bytes = random(2 * CHUNK_BYTES);
  const ref = await space.blob(bytes);
  assert.ok(space.canRedo());
  assert.ok(!space.canUndo());
  space.redo();
  space.transact(() => map.set("photo", ref));
  space.undo();
  assert.deepEqual(map.toJSON(), { a: 1 });
  space.undo();
  assert.ok(!space.canUndo());
  assert.deepEqual(await space.readBlob(ref), bytes);
});

test("chunks that are not here are waited for, to the end of the signal or of the space", async (t) => {
  const [one, two] = await pair(t);
  const bytes = random(3 * CHUNK_BYTES);
  const ref = await one.blob(bytes);
  await assert.rejects(two.readBlob(ref, { signal: soon() }), /too late/);
  const read = two.readBlob(ref);
  await connect(one, two);
  assert.deepEqual(await read, bytes);
  const lost = two.readBlob({ blob: "0".repeat(64), size: 5 });
  const rejected = assert.rejects(lost, code("E_CLOSED"));
  await new Promise((resolve) => setTimeout(resolve, 20));
  await two.close();
  await rejected;
});

test("a chunk that was written over is found among the earlier writes; without one it is damaged until it is stored again", async (t) => {
  const [one, two] = await pair(t);
  const bytes = random(2 * CHUNK_BYTES);
  const ref = await one.blob(bytes);
  await connect(one, two);
  for (const key of ["hashes", "1"]) spoil(two, ref, key);
  assert.deepEqual(await two.readBlob(ref), bytes);
  const other = random(10);
  const early = { blob: idOf(other), size: 10 };
  spoil(two, early, "hashes");
  await assert.rejects(two.readBlob(early), code("E_BLOB_DAMAGED"));
  await two.blob(other);
  assert.deepEqual(await two.readBlob(early), other);
});

test("what somebody stored who is banned is not there", async (t) => {
  const [one, two] = await pair(t);
  const ref = await two.blob(random(100));
  await connect(one, two);
  one.policy.ban(two.me);
  await assert.rejects(one.readBlob(ref, { signal: soon() }), /too late/);
  one.policy.unban(two.me);
  assert.equal((await one.readBlob(ref)).length, 100);
});

test("misuse is told, and a reader stores nothing", async (t) => {
  const one = await openSpace(t);
  const reader = await openSpace(t, { invite: await one.invite({ role: "reader" }) });
  await assert.rejects(reader.blob(random(5)), code("E_ACCESS"));
  await assert.rejects(one.blob(new Uint8Array((64 << 20) + 1)), code("E_EVENT_TOO_LARGE"));
  const argument = (name: string) => (error: StemmaError) => error.code === "E_ARGUMENT" && error.argument === name;
  await assert.rejects(one.blob("text" as unknown as Uint8Array), argument("bytes"));
  for (const ref of [undefined, {}, { blob: "x", size: 1 }, { blob: "0".repeat(64) }, { blob: "0".repeat(64), size: -1 }]) {
    await assert.rejects(one.readBlob(ref as unknown as BlobRef), argument("ref"));
  }
  await assert.rejects(one.blob(random(5), { progress: 1 as never }), argument("progress"));
  await assert.rejects(one.blob(random(5), { abort: 1 } as never), argument("abort"));
  await assert.rejects(one.blob(random(5), { signal: AbortSignal.abort(new Error("no")) }), /no/);
  await one.close();
  await assert.rejects(one.blob(random(5)), code("E_CLOSED"));
});
