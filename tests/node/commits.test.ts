// What waits to be stored while the store is busy: what need not be strict goes in as one, in its order, and is answered one by one.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Commit, CommitQueue } from "../../ts/commits.ts";
import type { StorageBatch } from "../../ts/storage.ts";
import { Scripted } from "./faults.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytes = (of: string) => new TextEncoder().encode(of);
/** Some rows and the place behind them. */
const slice = (id: number, rows: number, rest: Partial<Commit> = {}): Commit => ({
  id,
  strict: false,
  batch: { append: Array.from({ length: rows }, (_, n) => bytes(`${id}.${n}`)), put: [["meta", "relay/one", bytes(`place ${id}`)]] },
  ...rest,
});

class Watched extends Scripted {
  readonly written: string[] = [];

  override commit(batch: StorageBatch, o?: { strict: boolean }): Promise<number[]> {
    const [append, put] = [batch.append ?? [], batch.put ?? []];
    this.written.push(`${append.map(text)} ${put.map(([, , value]) => text(value))} ${o?.strict}`);
    return super.commit(batch);
  }
}

function queue(): { storage: Watched; commits: CommitQueue; heard: string[] } {
  const storage = new Watched();
  const heard: string[] = [];
  const commits = new CommitQueue(storage, {
    committed: (id, numbers) => heard.push(`${id}: ${numbers}`),
    commitFailed: (id) => heard.push(`failed ${id}`),
    draftFailed: () => {},
  });
  commits.release();
  return { storage, commits, heard };
}

test("slices that wait for the store go in as one", async () => {
  const { storage, commits, heard } = queue();
  storage.held = [];
  for (const commit of [slice(1, 2), slice(2, 1), slice(3, 0), slice(4, 2)]) commits.add(commit);
  for (const release of storage.held.splice(0)) release();
  storage.held = undefined;
  await commits.idle();
  assert.deepEqual(storage.written, ["1.0,1.1 place 1 false", "2.0,4.0,4.1 place 4 false"]);
  assert.deepEqual(heard, ["1: 1,2", "2: 3", "3: ", "4: 4,5"]);
});

test("what is strict, deletes or may not be there yet stands alone, and in its place", async () => {
  const { storage, commits, heard } = queue();
  storage.held = [];
  const gone: StorageBatch = { append: [bytes("gone")], delete: [["drafts", "actor"]] };
  for (const commit of [slice(1, 1), slice(2, 1), slice(3, 1), slice(4, 1, { strict: true }), slice(5, 1), slice(6, 0, { batch: gone }), slice(7, 1)]) commits.add(commit);
  for (const release of storage.held.splice(0)) release();
  storage.held = undefined;
  await commits.idle();
  assert.deepEqual(storage.written, ["1.0 place 1 false", "2.0,3.0 place 3 false", "4.0 place 4 true", "5.0 place 5 false", "gone  false", "7.0 place 7 false"]);
  assert.deepEqual(heard.map((line) => line.split(":")[0]), ["1", "2", "3", "4", "5", "6", "7"]);
});

test("if one that was joined fails, so do all, and what is behind them", async () => {
  const { storage, commits, heard } = queue();
  storage.held = [];
  for (const commit of [slice(1, 1), slice(2, 1), slice(3, 1), slice(4, 1, { strict: true })]) commits.add(commit);
  for (const release of storage.held.splice(0)) release();
  await new Promise((resolve) => setImmediate(resolve));
  storage.failing = "E_STORAGE_QUOTA";
  for (const release of storage.held.splice(0)) release();
  await commits.idle();
  assert.deepEqual(storage.written.slice(1), ["2.0,3.0 place 3 false"], "nothing behind it is tried");
  assert.deepEqual(heard, ["1: 1", "failed 2", "failed 3", "failed 4"]);
});
