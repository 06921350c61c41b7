// A replica that was away for a month: what it wrote goes to the relay when it comes back, and to whoever joins then. Needs the
// relay's program.

import { WebSocket } from "ws";
import { startRelay } from "../relay.ts";
import { openSpace, type Space } from "../stemma.ts";
import { type Context, expect, type Figures } from "./job.ts";

export async function measure({ folder, quick, lap }: Context): Promise<Figures> {
  const count = quick ? 2_000 : 20_000;
  const relay = await startRelay(folder);
  const webSocket = WebSocket as unknown as typeof globalThis.WebSocket;
  const away = await openSpace({ webSocket });
  const map = away.getMap("m");
  for (let n = 0; n < count; n++) away.transact(() => map.set(`key ${n}`, `value ${n}`));
  await away.flush().saved("local");
  expect("what waits", away.sync.pending, count);

  const pushed = await watched(lap, async () => {
    away.sync.connect(relay.url);
    await away.flush().saved("relay");
    await away.sync.settled();
  });
  expect("what waits", away.sync.pending, 0);
  const newcomer = await openSpace({ webSocket, invite: await away.invite() });
  const received = await watched(lap, async () => {
    newcomer.sync.connect(relay.url);
    await newcomer.sync.settled();
  });
  expect("keys", newcomer.getMap("m").size, count);
  expect("state", newcomer.stateHash(), away.stateHash());
  await ended([away, newcomer]);
  await relay.end();
  return {
    "month pushed": pushed.ms,
    "month pushed, longest": pushed.longestMs,
    "month pushed, memory": pushed.bytes,
    "month received": received.ms,
    "month received, longest": received.longestMs,
    "month received, memory": received.bytes,
  };
}

interface Watched {
  ms: number;
  /** For which nothing else had a turn. */
  longestMs: number;
  /** More than before, at the most. */
  bytes: number;
}

async function watched(lap: () => number, work: () => Promise<void>): Promise<Watched> {
  globalThis.gc?.();
  const before = process.memoryUsage().rss;
  let most = before;
  const looks = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 20);
  let [isOver, busyMs, longestMs] = [false, 0, 0];
  const turn = () => {
    const ms = lap();
    // Turns in which nothing is to be done only look.
    if (ms > IDLE_MS) busyMs += ms;
    longestMs = Math.max(longestMs, ms);
    if (!isOver) setImmediate(turn);
  };
  lap();
  setImmediate(turn);
  await work();
  isOver = true;
  clearInterval(looks);
  return { ms: busyMs, longestMs, bytes: most - before };
}

const IDLE_MS = 0.1;

async function ended(spaces: readonly Space[]): Promise<void> {
  for (const space of spaces) await space.close();
}
