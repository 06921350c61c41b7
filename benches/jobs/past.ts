// The text as it was after half of its edits.

import { load } from "../libraries/index.ts";
import { edit } from "../libraries/library.ts";
import { apply, openSpace } from "../stemma.ts";
import { type Context, expect, type Figures, groups, later } from "./job.ts";

const READS = 21;

export async function measure(context: Context): Promise<Figures> {
  return context.library === "stemma" ? stemma(context) : peer(context);
}

async function stemma({ trace, lap }: Context): Promise<Figures> {
  const space = await openSpace();
  const { at } = later(space);
  if (!at) return { past: undefined };
  const text = space.getText("text");
  const ids: string[] = [];
  for (const group of groups(trace.patches)) ids.push(space.transact(() => apply(text, group)).id);
  const middle = ids.length >> 1;
  const read = (id: string | undefined): string => {
    const view = at.call(space, id);
    const string = view.getText("text").toString();
    view[Symbol.dispose]();
    return string;
  };
  const times: number[] = [];
  // Another version each time: nothing is remembered.
  for (let i = 0; i < READS; i++) {
    lap();
    read(ids[middle + i]);
    times.push(lap());
  }
  expect("text", read(ids.at(-1)), trace.end);
  return { past: median(times) };
}

async function peer({ library, trace, lap }: Context): Promise<Figures> {
  const { text, past } = await load(library);
  if (!past) return {};
  const document = text({ author: 0, told: () => {}, updates: false });
  const version = past(document);
  let [count, half] = [0, ""];
  for (const group of groups(trace.patches)) {
    await edit(document, group);
    if (++count === (trace.patches.length / 200) >> 0) {
      half = document.text();
      version.mark();
    }
  }
  const times: number[] = [];
  for (let i = 0; i < READS; i++) {
    lap();
    const read = version.read();
    times.push(lap());
    expect("text", read, half);
  }
  return { past: median(times) };
}

function median(times: number[]): number {
  return times.sort((a, b) => a - b)[times.length >> 1] as number;
}
