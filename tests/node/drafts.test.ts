// Drafts of the open batch: in a folder whose process was killed, and in stores that are slow or refuse them.

import assert from "node:assert/strict";
import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { Space } from "stemma";
import { type Commit, CommitQueue } from "../../ts/commits.ts";
import { FileStorage } from "../../ts/node/file.ts";
import { newFolder, openSpace } from "./ends.ts";
import { Scripted } from "./faults.ts";

async function until(what: string, is: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 30_000; !(await is()); await new Promise((resolve) => setTimeout(resolve, 5))) {
    assert.ok(Date.now() < deadline, what);
  }
}

const notes = (space: Space) => space.getText("notes");

test("a folder whose process was killed has what was not sealed", async (t) => {
  const dir = await newFolder(t);
  const space = await openSpace(t, { storage: { dir }, batchMs: 60_000 });
  notes(space).append("sealed, ");
  await space.flush().saved("local");
  notes(space).append("drafted");
  const copy = join(await newFolder(t), "copy");
  const drafted = async () => {
    // As a kill would leave it: without the lock of the living.
    await rm(copy, { recursive: true, force: true });
    await cp(dir, copy, { recursive: true, filter: (path) => !path.includes("LOCK") });
    const storage = new FileStorage({ dir: copy });
    await storage.open("");
    const found = await storage.entries("drafts");
    await storage.close();
    return found.length > 0;
  };
  await until("a draft", drafted);
  const again = await openSpace(t, { storage: { dir: copy } });
  assert.equal(notes(again).toString(), "sealed, drafted");
  assert.equal(again.actor, space.actor);
  assert.equal(again.undo(), true);
  assert.equal(notes(again).toString(), "sealed, ");
});

/** What a queue of commits does with a store that can be held up or made to fail. */
function queue(): { storage: Scripted; commits: CommitQueue; heard: string[] } {
  const storage = new Scripted();
  const heard: string[] = [];
  const commits = new CommitQueue(storage, {
    committed: (id) => heard.push(`stored ${id}`),
    commitFailed: (id) => heard.push(`failed ${id}`),
    draftFailed: ({ code }) => heard.push(`draft: ${code}`),
  });
  commits.release();
  return { storage, commits, heard };
}

const record = (text: string) => new TextEncoder().encode(text);
const row = (id: number): Commit => ({ id, strict: true, batch: { append: [record(`row ${id}`)] } });
const seals = (id: number): Commit => ({ ...row(id), batch: { ...row(id).batch, delete: [["drafts", "actor"]] } });
const kept = async (storage: Scripted) => (await storage.entries("drafts")).map(([, bytes]) => new TextDecoder().decode(bytes));

test("the latest draft is written when no commit waits, and not at all behind the one that takes it away", async () => {
  const { storage, commits, heard } = queue();
  storage.held = [];
  const goOn = async () => {
    for (const release of storage.held?.splice(0) ?? []) release();
    await new Promise((resolve) => setImmediate(resolve));
  };
  commits.add(row(1));
  for (const text of ["a", "ab", "abc"]) commits.draft({ actor: "actor", record: record(text) });
  commits.add(row(2));
  await goOn();
  await goOn();
  assert.deepEqual([heard, await kept(storage)], [["stored 1", "stored 2"], []]);
  await goOn();
  assert.deepEqual(await kept(storage), ["abc"]);
  assert.equal(storage.commits, 3);

  commits.add(row(3));
  commits.draft({ actor: "actor", record: record("abcd") });
  commits.add(seals(4));
  await goOn();
  await goOn();
  await commits.idle();
  assert.deepEqual([heard.slice(2), await kept(storage), storage.commits], [["stored 3", "stored 4"], [], 5]);
});

test("a draft that the store refuses is told once, and nothing else fails with it", async () => {
  const { storage, commits, heard } = queue();
  storage.failing = "E_STORAGE_QUOTA";
  for (const text of ["a", "ab"]) {
    commits.draft({ actor: "actor", record: record(text) });
    await commits.idle();
  }
  storage.failing = undefined;
  commits.add(seals(1));
  await commits.idle();
  assert.deepEqual(heard, ["draft: E_STORAGE_QUOTA", "stored 1"]);
  assert.equal(commits.failure, undefined);
  commits.draft({ actor: "actor", record: record("b") });
  await commits.idle();
  storage.failing = "E_STORAGE_QUOTA";
  commits.draft({ actor: "actor", record: record("bc") });
  await commits.idle();
  assert.deepEqual(heard.slice(2), ["draft: E_STORAGE_QUOTA"], "told again once it had gone well");
});

test("a draft goes with the commits that it builds on", async () => {
  const { storage, commits, heard } = queue();
  storage.failing = "E_STORAGE_QUOTA";
  commits.add(row(1));
  commits.draft({ actor: "actor", record: record("a") });
  await commits.idle();
  assert.deepEqual([heard, storage.commits], [["failed 1"], 1]);
  storage.failing = undefined;
  commits.draft({ actor: "actor", record: undefined });
  await commits.idle();
  assert.deepEqual(await kept(storage), []);
});
