// The whole history of a large space is read, right after it was opened from a folder.

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { openSpace } from "../stemma.ts";
import { type Context, expect, type Figures } from "./job.ts";

const CHANGESETS = 100_000;

const place = (folder: string) => ({ storage: { dir: join(folder, "history") } });

export async function prepare({ folder, quick }: Context): Promise<void> {
  await rm(place(folder).storage.dir, { recursive: true, force: true });
  const space = await openSpace(place(folder));
  const map = space.getMap("map");
  for (let i = 0; i < (quick ? CHANGESETS / 10 : CHANGESETS); i++) space.transact(() => map.set(`key ${i % 5_000}`, i), { message: `change ${i}` });
  await space.flush().saved("local");
  await space.compact();
  await space.close();
}

export async function measure({ folder, quick, lap }: Context): Promise<Figures> {
  const space = await openSpace(place(folder));
  lap();
  let [count, message] = [0, ""];
  for await (const info of space.history()) [count, message] = [count + 1, info.message ?? ""];
  const history = lap();
  expect("changesets", count, quick ? CHANGESETS / 10 : CHANGESETS);
  expect("the last message", message, `change ${count - 1}`);
  await space.close();
  return { history };
}
