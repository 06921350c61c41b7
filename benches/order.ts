// What a process is told to do, and the trace that it does it with.

import { type ConcurrentTrace, concurrentTrace, repeated, sequentialTrace, shortConcurrentTrace, type Trace } from "../tests/traces.ts";

export interface Order {
  job: string;
  phase: "prepare" | "measure";
  library: string;
  /** A file of the folder of traces, `… x100`, or a name that only the job knows. */
  trace: string;
  isConcurrent: boolean;
  folder: string;
  quick: boolean;
}

export async function traces({ trace: name, isConcurrent, quick }: Order): Promise<{ trace: Trace; concurrent?: ConcurrentTrace }> {
  if (isConcurrent) {
    const concurrent = quick ? shortConcurrentTrace(1_000) : await concurrentTrace(name);
    return { concurrent, trace: { name: concurrent.name, recorded: concurrent.recorded, patches: [], end: concurrent.end } };
  }
  const [file, times] = name.split(" x");
  if (file?.includes(" ")) return { trace: { name, recorded: false, patches: [], end: "" } };
  const trace = quick ? beginning(await sequentialTrace(file), 10_000) : await sequentialTrace(file);
  return { trace: times ? repeated(trace, Number(times)) : trace };
}

/** The first edits of a trace. */
function beginning(trace: Trace, edits: number): Trace {
  const patches = trace.patches.slice(0, edits);
  let end = "";
  for (const [position, deleted, inserted] of patches) end = end.slice(0, position) + inserted + end.slice(position + deleted);
  return { ...trace, name: `${trace.name}, first ${patches.length.toLocaleString("en")}`, patches, end };
}
