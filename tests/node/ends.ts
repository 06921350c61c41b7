// What a test opened is closed with it, the last thing first.

import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { open, type OpenOptions, type Space } from "stemma";

let names = 0;
const ends = new WeakMap<TestContext, (() => unknown)[]>();

/** Runs `end` with the end of the test, the last one first and all of them, also if one throws. */
export function atEnd(t: TestContext, end: () => unknown): void {
  const stack = ends.get(t);
  if (stack) return void stack.push(end);
  const fresh = [end];
  ends.set(t, fresh);
  t.after(async () => {
    const errors: unknown[] = [];
    for (const one of fresh.reverse()) await Promise.resolve().then(one).catch((error) => errors.push(error));
    if (errors.length > 0) throw errors[0];
  });
}

/** A space, under a name of its own unless one is given. */
export async function openSpace(t: TestContext, o: Partial<OpenOptions> = {}): Promise<Space> {
  const opened = await open({ name: `space-${names++}`, ...o });
  atEnd(t, () => opened.close());
  return opened;
}

/** An empty folder. */
export async function newFolder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "stemma-"));
  atEnd(t, () => rm(path, { recursive: true, force: true }));
  return path;
}

/** How often bytes stand in the files below a folder. */
export async function count(dir: string, bytes: Uint8Array): Promise<number> {
  let found = 0;
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    // One that takes the place of another has that one's name by now.
    const file = await readFile(join(entry.parentPath, entry.name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
      return Buffer.of();
    });
    for (let at = file.indexOf(bytes); at >= 0; at = file.indexOf(bytes, at + 1)) found++;
  }
  return found;
}
