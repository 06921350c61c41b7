// A trace typed by one author: one API call an edit, a listener told once per 100 edits.

import { load } from "../libraries/index.ts";
import { edit } from "../libraries/library.ts";
import { apply, openSpace } from "../stemma.ts";
import { type Context, expect, type Figures, groups } from "./job.ts";

export async function measure(context: Context): Promise<Figures> {
  return context.library === "stemma" ? stemma(context) : peer(context);
}

async function stemma({ trace, lap }: Context): Promise<Figures> {
  let told = 0;
  const space = await openSpace();
  const text = space.getText("text");
  text.subscribe(() => told++);
  // The edits are told in a microtask and sealed after that, so that the two can be told apart.
  let [editing, sealing] = [0, 0];
  lap();
  for (const group of groups(trace.patches)) {
    const start = performance.now();
    apply(text, group);
    await null;
    const edited = performance.now();
    await space.flush().saved("local");
    editing += edited - start;
    sealing += performance.now() - edited;
  }
  const own = lap() / (editing + sealing);
  expect("text", text.toString(), trace.end);
  expect("callbacks", told, Math.ceil(trace.patches.length / 100));
  await space.close();
  return { typing: editing * own, sealing: sealing * own };
}

async function peer({ library, trace, lap }: Context): Promise<Figures> {
  let told = 0;
  const document = (await load(library)).text({ author: 0, told: () => told++, updates: false });
  lap();
  for (const group of groups(trace.patches)) await edit(document, group);
  const typing = lap();
  expect("text", document.text(), trace.end);
  expect("callbacks", told >= Math.ceil(trace.patches.length / 100), true);
  return { typing };
}
