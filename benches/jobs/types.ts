// Many small edits of one object in one transaction, of the kinds that are not maps or texts, in a fresh process and when
// that has done it before. Signing and storing, for which Stemma waits until the thread is free, is asked for after each and
// has a figure of its own.

import { openSpace } from "../stemma.ts";
import { type Context, expect, type Figures, later } from "./job.ts";

interface Work {
  measure: string;
  isBuilt: boolean;
  begin(): { edit(): void; check(): void };
}

/** So many spaces, one after the other: the code of the first is not compiled yet, the last one's is. */
const ROUNDS = 8;

export async function measure({ lap }: Context): Promise<Figures> {
  const first = await round(lap);
  let last = first;
  for (let i = 1; i < ROUNDS; i++) last = await round(lap);
  const cold = Object.entries(first).map(([measure, ms]) => [`${measure}, cold`, ms]);
  return { ...last, ...Object.fromEntries(cold) };
}

async function round(lap: () => number): Promise<Figures> {
  const space = await openSpace();
  const figures: Figures = {};
  let sealing = 0;
  for (const { measure, isBuilt, begin } of works(later(space))) {
    figures[measure] = undefined;
    if (!isBuilt) continue;
    const { edit, check } = begin();
    lap();
    space.transact(edit);
    check(); // reading has the engine apply what was gathered
    figures[measure] = lap();
    await space.flush().saved("local");
    sealing += lap();
  }
  await space.close();
  return { ...figures, "types sealing": sealing };
}

function works(space: any): Work[] {
  const counter = (kind: string): Work => ({
    measure: `10,000 increments, ${kind}`,
    isBuilt: Boolean(space.getCounter),
    begin() {
      const counter = space.getCounter(`counter ${kind}`, { kind });
      return {
        edit: () => times(10_000, () => counter.add(1)),
        check: () => expect("value", Number(counter.value), 10_000),
      };
    },
  });
  const set = (kind: string): Work => ({
    measure: `5,000 adds, ${kind} set`,
    isBuilt: Boolean(space.getSet),
    begin() {
      const set = space.getSet(`set ${kind}`, { kind });
      return {
        edit: () => times(5_000, (i) => set.add(`element ${i}`)),
        check: () => expect("size", set.size, 5_000),
      };
    },
  });
  const list: Work = {
    measure: "1,000 list inserts",
    isBuilt: Boolean(space.getList),
    begin() {
      const list = space.getList("list");
      return {
        edit: () => times(1_000, (i) => list.insert((i * 7) % (i + 1), i)),
        check: () => expect("length", list.length, 1_000),
      };
    },
  };
  return [counter("g"), counter("pn"), set("lww"), set("or"), list];
}

function times(count: number, edit: (i: number) => void): void {
  for (let i = 0; i < count; i++) edit(i);
}
