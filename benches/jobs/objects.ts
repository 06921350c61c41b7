// A space with 10,000 small maps is opened, and one of them is read.

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { fill, readOne } from "../objects.ts";
import type { Context, Figures } from "./job.ts";

const place = (folder: string) => ({ dir: join(folder, "objects") });

export async function prepare({ folder, quick }: Context): Promise<void> {
  await rm(place(folder).dir, { recursive: true, force: true });
  await fill(place(folder), quick ? 1_000 : 10_000);
}

export async function measure({ folder, lap }: Context): Promise<Figures> {
  lap();
  const space = await readOne(place(folder));
  const objects = lap();
  await space.close();
  return { objects };
}
