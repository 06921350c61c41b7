// The jobs that run in a page, bundled; "stemma" is the built package, fetched as an app does.

import type { ConcurrentTrace, Trace } from "../tests/traces.ts";
import type { Context, Figures } from "./jobs/job.ts";
import * as map from "./jobs/map.ts";
import * as types from "./jobs/types.ts";
import * as typing from "./jobs/typing.ts";
import { fill, readOne } from "./objects.ts";
import * as paper from "./space.ts";

const JOBS: Record<string, { measure(context: Context): Promise<Figures> }> = { map, types, typing };

export async function measure(job: string, library: string, trace: Trace, quick: boolean): Promise<Figures> {
  const known = JOBS[job];
  if (!known) throw new Error(`${job} does not run in a page`);
  return known.measure({ library, trace, quick, lap: stopwatch(), folder: "", concurrent: {} as ConcurrentTrace });
}

/** Fills the database of the job; to be called in one page, and {@link reopen} in the next one. */
export async function prepare(job: string, trace: Trace, quick: boolean): Promise<void> {
  if (job === "objects") await fill("indexeddb", quick ? 1_000 : 10_000);
  else await paper.fill(trace);
}

export async function reopen(job: string, trace: Trace): Promise<Figures> {
  const lap = stopwatch();
  if (job !== "objects") return paper.reopen(trace, lap);
  await readOne("indexeddb");
  return { objects: lap() };
}

function stopwatch(): () => number {
  let last = performance.now();
  return () => {
    const time = performance.now() - last;
    last = performance.now();
    return time;
  };
}
