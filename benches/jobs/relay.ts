// What a relay stores of a trace that is typed in transactions of 100 edits. Needs the relay's program.

import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { WebSocket } from "ws";
import { startRelay } from "../relay.ts";
import { apply, openSpace } from "../stemma.ts";
import { type Context, expect, type Figures, groups } from "./job.ts";

export async function measure({ folder, trace }: Context): Promise<Figures> {
  const relay = await startRelay(folder);
  const space = await openSpace({ webSocket: WebSocket as unknown as typeof globalThis.WebSocket });
  const text = space.getText("text");
  for (const group of groups(trace.patches)) space.transact(() => apply(text, group));
  space.sync.connect(relay.url);
  await space.flush().saved("relay");
  expect("text", text.toString(), trace.end);
  const { changesets, bytes } = space.stats();
  await space.close();
  await relay.end();
  let stored = 0;
  for (const file of await readdir(relay.data)) stored += (await stat(join(relay.data, file))).size;
  return { "relay bytes": stored, "relay bytes per changeset": stored / changesets, "sent bytes per changeset": bytes / changesets };
}
