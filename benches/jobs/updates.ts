// The same typing, with what others need of each 100 edits: encoded by the peers, signed, sealed and stored by Stemma.

import { load } from "../libraries/index.ts";
import { edit } from "../libraries/library.ts";
import { apply, openSpace } from "../stemma.ts";
import { type Context, expect, type Figures, groups } from "./job.ts";

export async function measure(context: Context): Promise<Figures> {
  return context.library === "stemma" ? stemma(context) : peer(context);
}

async function stemma({ trace, lap }: Context): Promise<Figures> {
  const space = await openSpace();
  const text = space.getText("text");
  text.subscribe(() => {});
  lap();
  for (const group of groups(trace.patches)) space.transact(() => apply(text, group));
  await space.flush().saved("local");
  const updates = lap();
  expect("text", text.toString(), trace.end);
  const { bytes, changesets } = space.stats();
  await space.close();
  return { updates, "update bytes": bytes / changesets };
}

async function peer({ library, trace, lap }: Context): Promise<Figures> {
  const document = (await load(library)).text({ author: 0, told: () => {}, updates: true });
  let [bytes, count] = [0, 0];
  lap();
  for (const group of groups(trace.patches)) {
    await edit(document, group);
    bytes += document.update().length;
    count++;
  }
  const updates = lap();
  expect("text", document.text(), trace.end);
  return { updates, "update bytes": bytes / count };
}
