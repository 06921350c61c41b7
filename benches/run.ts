// `npm run bench`: every measurement in a process of its own, one after the other, round by round over the libraries so
// that a busy minute of the machine meets all of them; then the table, and results.json beside this file.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { cpus, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { clock } from "./clock.ts";
import { PACKAGES } from "./libraries/index.ts";
import type { Order } from "./order.ts";
import { MEASURES, type Plan, PLANS } from "./plan.ts";
import { printTable, type Row } from "./table.ts";

const { values: flags } = parseArgs({
  options: {
    only: { type: "string", multiple: true },
    quick: { type: "boolean", default: false },
    large: { type: "boolean", default: false },
    runs: { type: "string", default: "5" },
  },
});

/** A library that takes longer for one run is measured once. */
const SLOW_MS = 10_000;
/** A run that takes longer is ended: the library has no row. */
const LONGEST_MS = flags.quick ? 60_000 : flags.large ? 1_800_000 : 180_000;

const root = fileURLToPath(new URL("..", import.meta.url));
const groups = [...new Set(PLANS.map(({ group }) => group))];
for (const only of flags.only ?? []) {
  if (!groups.includes(only)) throw new Error(`--only ${only}: there is ${groups.join(", ")}`);
}
const wanted = PLANS.filter(({ group, isLarge }) => (flags.only ? flags.only.includes(group) : flags.large || !isLarge));

const rows: Row[] = [];
for (const plan of wanted) {
  for (const trace of plan.traces) {
    rows.push(...(await measured(plan, trace, plan.libraries, "node")));
    if (plan.chromium) rows.push(...(await measured(plan, trace, plan.chromium, "chromium")));
  }
}
const machine = {
  cpu: `${cpus().length} x ${cpus()[0]?.model.trim()}`,
  memoryMb: Math.round(totalmem() / 2 ** 20),
  node: process.version,
  clock,
  runs: runs(),
};
console.log(`\nNode ${machine.node}, ${machine.cpu}; medians of ${machine.runs}; time is ${clock} in Node, wall time in Chromium`);
printTable(rows);
await writeFile(new URL("results.json", import.meta.url), `${JSON.stringify({ machine, rows }, null, 1)}\n`);
console.log("\nwritten to benches/results.json");

function runs(): number {
  return flags.quick ? 1 : Number(flags.runs);
}

/** All rows of one trace: what every library answered in every run. */
async function measured(plan: Plan, trace: string, libraries: string[], where: "node" | "chromium"): Promise<Row[]> {
  const found = new Map<string, { trace: string; values: Map<string, (number | null)[]> }>();
  const out = new Set<string>();
  for (const library of plan.isPrepared && where === "node" ? libraries : []) {
    if (!(await child(order(plan, trace, library, where, "prepare")))) out.add(library);
  }
  for (let round = 0; round < runs(); round++) {
    for (const library of libraries) {
      if (out.has(library)) continue;
      const begun = Date.now();
      const answer = await child(order(plan, trace, library, where, "measure"));
      if (!answer || Date.now() - begun > SLOW_MS) out.add(library);
      if (!answer) continue;
      const known = found.get(library) ?? { trace: answer.trace, values: new Map() };
      found.set(library, known);
      for (const [measure, value] of Object.entries(answer.figures)) known.values.set(measure, [...(known.values.get(measure) ?? []), value]);
    }
  }
  await rm(folder(plan, trace, ""), { recursive: true, force: true });
  return [...found].flatMap(([library, { trace, values }]) =>
    [...values].map(([measure, all]) => row(trace, where === "node" ? measure : `${measure} (Chromium)`, library, all, measure)),
  );
}

function row(trace: string, measure: string, library: string, all: (number | null)[], name: string): Row {
  const values = all.filter((value) => value !== null).sort((a, b) => a - b);
  const middle = values.length >> 1;
  const median = values.length % 2 ? values[middle] : ((values[middle - 1] ?? 0) + (values[middle] ?? 0)) / 2;
  const numbers = values.length === 0 ? [null, null, null] : [median, values[0], values.at(-1)];
  const [shown, min, max] = numbers as (number | null)[];
  return { trace, measure, library, version: version(library), median: shown ?? null, min: min ?? null, max: max ?? null, unit: MEASURES[name]?.unit ?? "" };
}

function version(library: string): string {
  const file = library === "stemma" ? "pkg/package.json" : `benches/node_modules/${PACKAGES[library]}/package.json`;
  return JSON.parse(readFileSync(`${root}${file}`, "utf8")).version;
}

function folder({ job }: Plan, trace: string, library: string): string {
  return `${root}target/bench/${`${job} ${trace}`.replaceAll(/\W+/g, "-")}/${library.replaceAll(/\W+/g, "-")}`;
}

function order(plan: Plan, trace: string, library: string, where: "node" | "chromium", phase: Order["phase"]): Order & { where: string } {
  const { job, isConcurrent = false } = plan;
  return { job, phase, library, trace, isConcurrent, folder: folder(plan, trace, library), quick: flags.quick, where };
}

interface Answer {
  trace: string;
  figures: Record<string, number | null>;
}

/** One process. What it says besides its answer is passed on; one that fails or takes too long answers nothing. */
async function child(order: Order & { where: string }): Promise<Answer | undefined> {
  const label = `${order.job} · ${order.trace} · ${order.library}${order.where === "node" ? "" : " · Chromium"}${order.phase === "prepare" ? " · made ready" : ""}`;
  const script = order.where === "node" ? "child.ts" : "chromium.ts";
  const begun = Date.now();
  const process_ = spawn(process.execPath, ["--import", "./scripts/typescript.mjs", "--expose-gc", `benches/${script}`, JSON.stringify(order)], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const timer = setTimeout(() => process_.kill("SIGTERM"), LONGEST_MS);
  let output = "";
  process_.stdout.on("data", (chunk) => (output += chunk));
  const code = await new Promise((done) => process_.on("close", done));
  clearTimeout(timer);
  const seconds = ((Date.now() - begun) / 1_000).toFixed(1);
  if (code !== 0) {
    console.error(`${label}: ended after ${seconds} s without an answer`);
    return undefined;
  }
  const answer = JSON.parse(output.trim().split("\n").at(-1) as string) as Answer;
  const figures = Object.entries(answer.figures).map(([name, value]) => `${name} ${value === null ? "not built yet" : Number(value.toPrecision(4))}`);
  console.log(`${label}: ${figures.join(", ")}${figures.length ? " " : ""}(${seconds} s)`);
  return answer;
}
