// A relay of its own for a job, in a folder of that.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";

export interface Relay {
  url: string;
  /** Where it stores. */
  data: string;
  end(): Promise<void>;
}

export async function startRelay(folder: string): Promise<Relay> {
  const data = join(folder, "relay");
  await rm(data, { recursive: true, force: true });
  const relay = spawn(process.env["STEMMA_RELAY"] as string, ["--listen", "127.0.0.1:0", "--data", data], { stdio: ["ignore", "pipe", "inherit"] });
  process.on("exit", () => relay.kill());
  const exited = once(relay, "exit");
  const address = await listening(relay.stdout as NodeJS.ReadableStream);
  const end = async () => {
    relay.kill("SIGTERM");
    await exited;
  };
  return { url: `ws://${address}/v1`, data, end };
}

async function listening(output: NodeJS.ReadableStream): Promise<string> {
  for await (const line of createInterface({ input: output })) {
    const address = /^listening on (\S+)$/.exec(line)?.[1];
    if (address) return address;
  }
  throw new Error("the relay ended before it listened");
}
