// What it costs to erase one changeset of a large space: signed, handed to the store, gone from what is read.

import { openSpace } from "../stemma.ts";
import { type Context, expect, type Figures, later } from "./job.ts";

const CHANGESETS = 100_000;
const TIMES = 11;

export async function measure({ lap, quick }: Context): Promise<Figures> {
  const count = quick ? CHANGESETS / 10 : CHANGESETS;
  const space = await openSpace();
  const { redact } = later(space);
  if (!redact) return {};
  const [map, text] = [space.getMap("map"), space.getText("text")];
  const ids: string[] = [];
  for (let i = 0; i < count; i++) {
    const write = space.transact(() => void (i % 2 ? text.append("some words ") : map.set(`key ${i}`, i)));
    if (i % (count >> 4) < 2) ids.push(write.id);
  }
  await space.flush().saved("local");
  const length = text.length;
  const times: number[] = [];
  for (const id of ids.slice(0, 2 * TIMES)) {
    lap();
    redact.call(space, id, { reason: "asked to" });
    const seen = [text.length, map.get("key 0")];
    times.push(lap());
    expect("read", seen[1], undefined);
  }
  expect("gone", length - text.length, 11 * TIMES);
  return { "a redaction of 100,000": times.sort((a, b) => a - b)[times.length >> 1] as number };
}
