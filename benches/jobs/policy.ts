// What it costs to change one's mind about somebody who wrote a tenth of a large space.

import { openSpace } from "../stemma.ts";
import { type Context, expect, type Figures, later } from "./job.ts";

const CHANGESETS = 100_000;
const EXCLUDED = 1_000;
const ASKED = 100;

export async function measure({ lap, quick }: Context): Promise<Figures> {
  const count = quick ? CHANGESETS / 10 : CHANGESETS;
  const owner = await openSpace();
  const { policy, why } = later(owner);
  if (!policy || !why) return {};
  const guest = await openSpace({ invite: await owner.invite() });
  const written = (space: typeof owner, changesets: number) => {
    const [map, counter] = [space.getMap("map"), space.getCounter("counter")];
    for (let i = 0; i < changesets; i++) space.transact(() => void (i % 2 ? counter.add(1) : map.set(`key ${i % 5_000}`, i)));
    return space.flush().saved("local");
  };
  await Promise.all([written(owner, count - count / 10), written(guest, count / 10)]);
  await owner.import(await guest.export());
  const { value } = owner.getCounter("counter");
  lap();
  const preview = policy.preview({ ban: guest.me });
  const previewed = lap();
  expect("previewed", preview.changesets, count / 10);
  preview.view[Symbol.dispose]();
  lap();
  policy.ban(guest.me);
  const shown = owner.getCounter("counter").value;
  const applied = lap();
  expect("without", shown, value - count / 20);
  lap();
  policy.unban(guest.me);
  const again = owner.getCounter("counter").value;
  const lifted = lap();
  expect("again", again, value);
  const targets: string[] = [];
  for await (const { id } of owner.history({ member: guest.me, limit: EXCLUDED })) targets.push(id);
  lap();
  policy.exclude(targets);
  const excluded = lap();
  lap();
  const claim = owner.why(owner.getMap("map"), "key 0");
  const asked = lap();
  expect("claim", claim?.status, "shows");
  lap();
  for (let key = 2; key < 2 * ASKED; key += 2) owner.why(owner.getMap("map"), `key ${key}`);
  const askedAgain = lap() / (ASKED - 1);
  return { "preview of a ban": previewed, ban: applied, unban: lifted, "1,000 exclusions": excluded, why: asked, "why again": askedAgain };
}
