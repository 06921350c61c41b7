// The table: a block a measure, Stemma first, then the peers by their medians, with what is to be reached beside it.

import { type Goal, MEASURES } from "./plan.ts";

export interface Row {
  trace: string;
  measure: string;
  library: string;
  version: string;
  /** `null`: Stemma has no such method yet. */
  median: number | null;
  min: number | null;
  max: number | null;
  unit: string;
}

export function printTable(rows: readonly Row[]): void {
  const blocks = new Map<string, Row[]>();
  for (const row of rows) {
    const key = `${row.trace}: ${row.measure}`;
    blocks.set(key, [...(blocks.get(key) ?? []), row]);
  }
  for (const block of blocks.values()) printBlock(block, blocks);
}

function printBlock(block: Row[], blocks: ReadonlyMap<string, Row[]>): void {
  const { trace, measure, unit } = block[0] as Row;
  const { title, goal } = MEASURES[bare(measure)] ?? { title: measure };
  const own = block.find(({ library }) => library === "stemma");
  const peers = peersOf(block);
  const rivals = goal?.beside === undefined ? peers : peersOf(blocks.get(`${trace}: ${goal.beside}`) ?? []);
  const where = measure === bare(measure) ? "" : `, ${measure.slice(bare(measure).length + 1)}`;
  console.log(`\n${trace}${where}: ${title}, ${unit}`);
  for (const row of own ? [own, ...peers] : peers) {
    const { library, version, median, min, max } = row;
    const range = median === null || min === max ? "" : `${show(min)} to ${show(max)}`;
    const cells = [`  ${library} ${version}`.padEnd(32), (median === null ? "not built yet" : show(median)).padStart(13), range.padStart(22)];
    const ratio = row !== own && own?.median && median ? `x${(own.median / median).toFixed(2)} of it` : "";
    console.log(cells.join("") + (row === own ? verdict(own, rivals, goal) : ratio && `   Stemma ${ratio}`));
  }
}

function peersOf(block: readonly Row[]): Row[] {
  return block.filter(({ library }) => library !== "stemma").sort((a, b) => (a.median ?? 0) - (b.median ?? 0));
}

function verdict({ median, unit }: Row, peers: readonly Row[], goal: Goal | undefined): string {
  if (!goal) return "";
  const { of, must, aim } = goal;
  const rival = of === "best" ? peers[0] : peers.find(({ library }) => library === of);
  const what = of ? ` x ${of === "best" ? "the best peer" : of}` : ` ${unit}`;
  const wanted = `must ${show(must)}${what}, aim ${show(aim)}`;
  if (median === null || (of && !rival?.median)) return `   ${wanted}`;
  const found = of ? median / (rival?.median as number) : median;
  return `   ${wanted}: ${found <= aim ? "aim reached" : found <= must ? "must reached" : "MISSED"}${of ? ` (x${found.toFixed(2)})` : ""}`;
}

/** Without "(Chromium)". */
function bare(measure: string): string {
  return measure.replace(/ \(Chromium\)$/, "");
}

function show(value: number | null): string {
  if (value === null) return "";
  if (value >= 1_000) return Math.round(value).toLocaleString("en");
  return value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
