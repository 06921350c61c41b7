// What a relay stores of a trace that is typed in transactions of 100 edits. Needs the relay's program.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { WebSocket } from "ws";
import { apply, openSpace } from "../stemma.ts";
import { type Context, expect, type Figures, groups } from "./job.ts";

export async function measure({ folder, trace }: Context): Promise<Figures> {
  const data = join(folder, "relay");
  await rm(data, { recursive: true, force: true });
  const relay = spawn(process.env.STEMMA_RELAY as string, ["--listen", "127.0.0.1:0", "--data", data], { stdio: ["ignore", "pipe", "inherit"] });
  process.on("exit", () => relay.kill());
  const exited = once(relay, "exit");
  const address = await listening(relay.stdout as NodeJS.ReadableStream);

  const space = await openSpace({ webSocket: WebSocket as unknown as typeof globalThis.WebSocket });
  const text = space.getText("text");
  for (const group of groups(trace.patches)) space.transact(() => apply(text, group));
  space.sync.connect(`ws://${address}/v1`);
  await space.flush().saved("relay");
  expect("text", text.toString(), trace.end);
  const { changesets, bytes } = space.stats();
  await space.close();
  relay.kill("SIGTERM");
  await exited;
  let stored = 0;
  for (const file of await readdir(data)) stored += (await stat(join(data, file))).size;
  return { "relay bytes": stored, "relay bytes per changeset": stored / changesets, "sent bytes per changeset": bytes / changesets };
}

async function listening(output: NodeJS.ReadableStream): Promise<string> {
  for await (const line of createInterface({ input: output })) {
    const address = /^listening on (\S+)$/.exec(line)?.[1];
    if (address) return address;
  }
  throw new Error("the relay ended before it listened");
}
