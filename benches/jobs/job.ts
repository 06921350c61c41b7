// What every measurement is given and what it answers with.

import type { ConcurrentTrace, Trace } from "../../tests/traces.ts";

export interface Context {
  library: string;
  trace: Trace;
  /** Of the jobs that replay several authors. */
  concurrent: ConcurrentTrace;
  /** Milliseconds since the last call, without those in which the thread waited for a core where that is known. */
  lap(): number;
  /** Where what was prepared lies; a fresh copy for each run. Node only. */
  folder: string;
  quick: boolean;
}

/** Numbers by measure; `undefined` where Stemma has no such method yet. */
export type Figures = Record<string, number | undefined>;

export interface Job {
  /** Run once in a process of its own: leaves what all runs need in the folder. */
  prepare?(context: Context): Promise<void>;
  /** Run several times, each in a process of its own. */
  measure(context: Context): Promise<Figures>;
}

/** A run that did not do the work it was to do has no time. */
export function expect(what: string, found: unknown, expected: unknown): void {
  if (found === expected) return;
  const show = (value: unknown) => JSON.stringify(value)?.slice(0, 80);
  throw new Error(`${what}: ${show(found)}, not ${show(expected)}`);
}

/** The trace in groups of 100 edits. */
export function* groups<T>(edits: readonly T[], size = 100): Generator<readonly T[]> {
  for (let from = 0; from < edits.length; from += size) yield edits.slice(from, from + size);
}

/** Calls that a version of Stemma may not have. */
export function later(object: object): any {
  return object;
}
