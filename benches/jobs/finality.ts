// How long it takes until a write is in a block: four validators in one process, over a relay on loopback, with a block time of 200 ms.

import { WebSocket } from "ws";
import type { Space } from "stemma";
import { startRelay } from "../relay.ts";
import { openSpace } from "../stemma.ts";
import type { Context, Figures } from "./job.ts";

export async function measure({ folder, quick }: Context): Promise<Figures> {
  const relay = await startRelay(folder);
  const webSocket = WebSocket as unknown as typeof globalThis.WebSocket;
  const owner = await openSpace({ webSocket, relay: relay.url });
  const spaces: Space[] = [owner];
  for (let n = 1; n < 4; n++) spaces.push(await openSpace({ webSocket, relay: relay.url, invite: await owner.invite() }));
  for (const space of spaces) await space.transact(() => space.getMap("m").set(space.me, 0)).saved("relay");
  await owner.audit.configure({ validators: spaces.map(({ me }) => me), blockTimeMs: 200 }).saved("relay");
  for (const space of spaces) space.audit.validate();
  await owner.transact(() => owner.getMap("m").set("first", 0)).saved("final");
  const times: number[] = [];
  for (let n = 0; n < (quick ? 15 : 60); n++) {
    // Anywhere between two blocks.
    await new Promise((resolve) => setTimeout(resolve, (n * 67) % 400));
    const begun = performance.now();
    await owner.transact(() => owner.getMap("m").set("key", n)).saved("final");
    times.push(performance.now() - begun);
  }
  for (const space of spaces) await space.close();
  await relay.end();
  times.sort((a, b) => a - b);
  return { finality: times[times.length >> 1] };
}
