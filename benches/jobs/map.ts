// 100,000 sets over 10,000 keys, each as a transaction of its own, or all as one. Stemma signs and stores when the thread is
// free: that is asked for after the sets, and is a figure of its own.

import { load } from "../libraries/index.ts";
import { openSpace } from "../stemma.ts";
import { type Context, expect, type Figures } from "./job.ts";

export async function measure(context: Context): Promise<Figures> {
  const { library, quick, lap } = context;
  const sets = quick ? 10_000 : 100_000;
  const map = library === "stemma" ? await stemma() : await peer(library);
  if (!map) return {};
  const one = context.trace.name === "transacts of one";
  const key = (i: number) => `key ${(i * 7_919) % (sets / 10)}`;
  lap();
  if (one) {
    for (let i = 0; i < sets; i++) {
      const told = map.group(() => map.set(key(i), i));
      if (told) await told;
    }
  } else {
    await map.group(() => {
      for (let i = 0; i < sets; i++) map.set(key(i), i);
    });
  }
  map.look?.();
  const time = lap();
  const read = map.read();
  expect("keys", Object.keys(read).length, sets / 10);
  for (let i = sets - sets / 10; i < sets; i++) expect("value", read[key(i)], i);
  expect("callbacks", map.told() >= (one ? sets : 1), true);
  if (!map.seal) return { "map sets": time };
  lap();
  await map.seal();
  return { "map sets": time, "map sealing": lap() };
}

async function stemma() {
  let told = 0;
  const space = await openSpace();
  const map = space.getMap("map");
  map.subscribe(() => told++);
  return {
    set: (key: string, value: number) => void map.set(key, value),
    group: (edits: () => void): void => void space.transact(edits),
    read: (): Record<string, unknown> => map.toJSON(),
    // Has the engine apply what was gathered: it is part of the work.
    look: () => void map.get("key 0"),
    told: () => told,
    seal: () => space.flush().saved("local"),
  };
}

async function peer(library: string) {
  let told = 0;
  const map = (await load(library)).map?.(() => told++);
  return map && { ...map, told: () => told, look: undefined, seal: undefined };
}
