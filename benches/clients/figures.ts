// What was measured: the lines that people read, and the rows of relay.json.

import { readFileSync } from "node:fs";

export interface Figure {
  load: string;
  measure: string;
  value: number;
  unit: string;
}

export const figures: Figure[] = [];

export function add(load: string, measure: string, value: number, unit: string): void {
  figures.push({ load, measure, value, unit });
  console.log(`${load.padEnd(34)}${measure.padEnd(52)}${value.toFixed(2).padStart(12)} ${unit}`);
}

/** The middle, what all but one in a hundred are below, and the worst. */
export function quantiles(load: string, what: string, all: readonly number[], unit = "ms"): void {
  const sorted = [...all].sort((a, b) => a - b);
  for (const [name, part] of [["p50", 50], ["p99", 99], ["max", 100]] as const) {
    const at = Math.min(Math.floor((sorted.length * part) / 100), sorted.length - 1);
    add(load, `${what}, ${name}`, sorted[at] as number, unit);
  }
}

/** Memory of a process, in bytes. */
export function resident(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(line?.[1]) * 1024;
}

/** Seconds of processor time of a process so far. */
export function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

export const pause = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));
