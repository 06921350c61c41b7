// Two authors whose writing alternates, 10,000 runs; one of them is switched off, and on again.

import { catchingStorage, exportOf } from "../rows.ts";
import { openSpace } from "../stemma.ts";
import { type Context, expect, type Figures, later } from "./job.ts";

const RUNS = 10_000;

export async function measure({ lap, quick }: Context): Promise<Figures> {
  const runs = quick ? RUNS / 10 : RUNS;
  const owner = await openSpace();
  const { policy } = later(owner);
  if (!policy?.ban) return { "switch off": undefined, "switch on": undefined };
  const empty = await owner.export();
  const storage = catchingStorage();
  const guest = await openSpace({ storage, invite: await owner.invite() });
  owner.transact(() => owner.getText("text").insert(0, "a".repeat(runs / 2)));
  await guest.import(await owner.export());
  storage.take();
  await guest
    .transact(() => {
      for (let i = 0; i < runs / 2; i++) guest.getText("text").insert(2 * i + 1, "b");
    })
    .saved("local");
  await owner.import(exportOf(empty, storage.take()));
  const text = owner.getText("text");
  expect("both", text.toString(), "ab".repeat(runs / 2));
  lap();
  policy.ban(guest.me);
  const off = text.toString();
  const switchOff = lap();
  policy.unban(guest.me);
  const on = text.toString();
  const switchOn = lap();
  expect("one", off, "a".repeat(runs / 2));
  expect("both again", on, "ab".repeat(runs / 2));
  return { "switch off": switchOff, "switch on": switchOn };
}
