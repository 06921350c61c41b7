// Recorded editing traces, for tests and benches: from the folder that STEMMA_TRACES names or that lies beside the
// repository, else generated ones of the same shape. Positions are UTF-16 code units, whatever the file counts in.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";

export type Patch = [position: number, deleted: number, inserted: string];

/** One author's edits, one after the other. */
export interface Trace {
  name: string;
  recorded: boolean;
  patches: Patch[];
  end: string;
}

/** Edits of several authors, each made on what its parents (numbers of earlier edits) and their past say. */
export interface ConcurrentTrace {
  name: string;
  recorded: boolean;
  authors: number;
  edits: { author: number; parents: number[]; patches: Patch[] }[];
  end: string;
}

const FOLDER = process.env.STEMMA_TRACES ?? fileURLToPath(new URL("../../shared/traces", import.meta.url));

/** By default the writing of a paper: single characters, 30 % of the edits are deletions. */
export async function sequentialTrace(name = "automerge-paper"): Promise<Trace> {
  const file = await readTrace(name);
  if (!file) return generate(name);
  const patches: Patch[] = file.txns.flatMap((txn: { patches: Patch[] }) => txn.patches);
  const start = file.startContent ?? "";
  if (start !== "") patches.unshift([0, 0, start]);
  return { name, recorded: true, patches: inUnits(patches), end: file.endContent };
}

/** What one author edited when, in ms from the beginning. */
export interface TimedTrace {
  name: string;
  recorded: boolean;
  edits: { ms: number; patches: Patch[] }[];
}

/** By default one person's edits of a source file, timed to the second. A generated one has bursts of typing. */
export async function timedTrace(name = "sveltecomponent"): Promise<TimedTrace> {
  const file = await readTrace(name);
  if (!file) {
    const { name: of, patches } = generate(name);
    // Five characters a second, and every two hundred a pause to think.
    const ms = (at: number) => at * 200 + Math.floor(at / 200) * 30_000;
    return { name: of, recorded: false, edits: patches.map((patch, at) => ({ ms: ms(at), patches: [patch] })) };
  }
  const times: number[] = file.txns.map(({ time }: { time: string }) => Date.parse(time));
  const counts: number[] = file.txns.map(({ patches }: { patches: Patch[] }) => patches.length);
  const patches = inUnits(file.txns.flatMap(({ patches }: { patches: Patch[] }) => patches));
  const edits: TimedTrace["edits"] = file.startContent ? [{ ms: 0, patches: [[0, 0, file.startContent]] }] : [];
  let from = 0;
  for (const [at, count] of counts.entries()) {
    edits.push({ ms: (times[at] as number) - (times[0] as number), patches: patches.slice(from, from + count) });
    from += count;
  }
  return { name, recorded: true, edits };
}

/** A generated one with that many edits, of the shape of the recorded one. */
export function shortConcurrentTrace(edits: number): ConcurrentTrace {
  return generateConcurrent(`${edits.toLocaleString("en")} edits`, edits);
}

/** By default two people who type at the same time, never at one place, so that the end is the same for everybody. */
export async function concurrentTrace(name = "friendsforever"): Promise<ConcurrentTrace> {
  const file = await readTrace(name);
  if (!file) return generateConcurrent(name);
  const edits = file.txns.map(({ agent, parents, patches }: { agent: number; parents: number[]; patches: Patch[] }) => {
    // Where a character of two units stands depends on the merged text, which only a merge can tell.
    if (patches.some(([, , inserted]) => ASTRAL.test(inserted))) throw new Error(`${name}: characters beyond U+FFFF are only read in sequential traces`);
    return { author: agent, parents, patches };
  });
  return { name, recorded: true, authors: file.numAgents, edits, end: file.endContent };
}

/** The same writing `times` times, each behind the one before. */
export function repeated(trace: Trace, times: number): Trace {
  const { end, name } = trace;
  const patches: Patch[] = [];
  for (let round = 0; round < times; round++) {
    for (const [position, deleted, inserted] of trace.patches) patches.push([position + round * end.length, deleted, inserted]);
  }
  return { ...trace, name: `${name} x${times}`, patches, end: end.repeat(times) };
}

const ASTRAL = /[\u{10000}-\u{10ffff}]/u;

async function readTrace(name: string): Promise<any> {
  const packed = await readFile(join(FOLDER, `${name}.json.gz`)).catch(() => undefined);
  return packed && JSON.parse(gunzipSync(packed).toString());
}

/** Files count in code points. */
function inUnits(patches: Patch[]): Patch[] {
  if (!patches.some(([, , inserted]) => ASTRAL.test(inserted))) return patches;
  const text: string[] = []; // one code point each
  const units = (from: number, to: number) => text.slice(from, to).reduce((sum, char) => sum + char.length, 0);
  return patches.map(([position, deleted, inserted]) => {
    const patch: Patch = [units(0, position), units(position, position + deleted), inserted];
    text.splice(position, deleted, ...inserted);
    return patch;
  });
}

function generate(name: string): Trace {
  const random = seeded();
  const patches: Patch[] = [];
  let [text, at] = ["", 0];
  while (patches.length < 260_000) {
    if (random(20) === 0) at = random(text.length + 1);
    const deletes = random(10) < 3 && at > 0;
    const patch: Patch = deletes ? [at - 1, 1, ""] : [at, 0, letter(random)];
    text = text.slice(0, patch[0]) + patch[2] + text.slice(patch[0] + patch[1]);
    at = patch[0] + patch[2].length;
    patches.push(patch);
  }
  return { name: `${name} (generated)`, recorded: false, patches, end: text };
}

/** Each of two authors writes one half; now and then one of them has seen what the other has. */
function generateConcurrent(name: string, count = 26_000): ConcurrentTrace {
  const random = seeded();
  const halves = ["", "\n"];
  const edits: ConcurrentTrace["edits"] = [{ author: 1, parents: [], patches: [[0, 0, "\n"]] }];
  const last = [0, 0]; // the last edit of each author, or the first of all
  let seen = 0; // the length of the first half as the second author knows it
  while (edits.length < count) {
    const author = random(2);
    const parents = [last[author] as number];
    if (random(12) === 0 && last[0] !== last[1]) {
      parents.push(last[1 - author] as number);
      if (author === 1) seen = (halves[0] as string).length;
    }
    const half = halves[author] as string;
    const deletes = random(10) === 0 && half.length > 1;
    const at = author + random(half.length + (deletes ? -1 : 1) - author);
    halves[author] = half.slice(0, at) + (deletes ? half.slice(at + 1) : "");
    const inserted = deletes ? "" : letter(random);
    if (!deletes) halves[author] = half.slice(0, at) + inserted + half.slice(at);
    last[author] = edits.length;
    edits.push({ author, parents, patches: [[(author === 1 ? seen : 0) + at, deletes ? 1 : 0, inserted]] });
  }
  return { name: `${name} (generated)`, recorded: false, authors: 2, edits, end: halves.join("") };
}

function seeded(): (below: number) => number {
  let state = 42;
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * below);
  };
}

function letter(random: (below: number) => number): string {
  return String.fromCharCode(97 + random(26));
}
