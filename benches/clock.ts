// The time of this thread: wall time less the time in which it was ready and no core was free, which Linux counts.
// On a machine with other work that is the difference between a number and noise; elsewhere it is wall time.

import { openSync, readSync } from "node:fs";

const buffer = Buffer.alloc(64);
const file = (() => {
  try {
    return openSync("/proc/thread-self/schedstat", "r");
  } catch {
    return undefined;
  }
})();

export const clock = file === undefined ? "wall" : "wall less run-queue wait";

/** Milliseconds waited for a core since the thread began. */
function waited(): number {
  if (file === undefined) return 0;
  const length = readSync(file, buffer, 0, buffer.length, 0);
  return Number(buffer.toString("latin1", 0, length).split(" ")[1]) / 1e6;
}

/** A function that tells the milliseconds since its last call. */
export function stopwatch(): () => number {
  let [start, wait] = [performance.now(), waited()];
  return () => {
    const [now, all] = [performance.now(), waited()];
    const time = now - start - (all - wait);
    [start, wait] = [performance.now(), waited()];
    return time;
  };
}
