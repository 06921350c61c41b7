#!/usr/bin/env node
/**
 * `stemma validate`: a validator that is always on. Keeps a space in a folder, and says what it sees as lines of JSON. What it says holds no secret: neither the
 * link of the invite nor an address is repeated.
 */

import { readdir } from "node:fs/promises";
import { parseArgs } from "node:util";
import { open, type Space, type StemmaError } from "./node.js";

const USAGE = `usage: stemma validate --dir FOLDER --relay ws://… [--relay …] [--invite LINK]

  --dir FOLDER    where the space is kept; its keys too, so keep it to yourself
  --relay URL     a relay to keep a connection to; several for several
  --invite LINK   joins that space, the first time; STEMMA_INVITE in the environment does the same

Signs what is here, and proposes and votes on blocks, while this member is among the validators that the owner of the space chose.
Ends on SIGINT and SIGTERM. Before Node 22 the package ws has to be there, for WebSocket.`;

/** A line about something. */
function say(event: string, more: object = {}): void {
  console.log(JSON.stringify({ time: new Date().toISOString(), event, ...more }));
}

function refuse(why: string): never {
  console.error(`${why}\n\n${USAGE}`);
  process.exit(2);
}

function readOptions(): { dir: string; relay: string[]; invite: string | undefined } {
  const options = { dir: { type: "string" }, relay: { type: "string", multiple: true }, invite: { type: "string" }, help: { type: "boolean" } } as const;
  const parsed = (() => {
    try {
      return parseArgs({ options, allowPositionals: true });
    } catch (error) {
      // What follows the first colon or quote may be part of a link.
      return refuse(String((error as Error).message).split(/[:'"]/)[0] as string);
    }
  })();
  const { values, positionals } = parsed;
  if (values.help) {
    console.log(USAGE);
    process.exit(0);
  }
  if (positionals.length !== 1 || positionals[0] !== "validate") refuse("the one command is validate");
  if (!values.dir) refuse("--dir is missing");
  if (!values.relay?.length) refuse("--relay is missing");
  return { dir: values.dir, relay: values.relay, invite: values.invite ?? process.env["STEMMA_INVITE"] };
}

/** That of this Node, or of the package `ws`. */
async function findWebSocket(): Promise<typeof WebSocket> {
  if (typeof WebSocket !== "undefined") return WebSocket;
  const name = "ws";
  const found = (await import(name).catch(() => refuse("this Node has no WebSocket, and the package ws is not there"))) as { WebSocket: typeof WebSocket };
  return found.WebSocket;
}

/** Says what comes of it from time to time: statuses, blocks, two stories. */
class Watch {
  readonly #space: Space;
  #height = 0;
  #isHalted = false;
  #isAsked: boolean | undefined;

  constructor(space: Space) {
    this.#space = space;
  }

  async look(): Promise<void> {
    const { audit, me } = this.#space;
    const isAsked = audit.validators.some(({ member }) => member === me);
    if (isAsked !== this.#isAsked) say("asked", { validator: isAsked });
    this.#isAsked = isAsked;
    for (const { height, id, size, operations } of await audit.blocks({ since: this.#height + 1 })) {
      say("block", { height, id, size, operations: operations.length });
      this.#height = height;
    }
    const { halt } = audit;
    if (halt && !this.#isHalted) say("halt", halt);
    this.#isHalted = halt !== undefined;
  }
}

async function main(): Promise<void> {
  const { dir, relay, invite } = readOptions();
  const ended = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => ended.abort());
  const { signal } = ended;
  const isNew = (await readdir(dir).catch(() => [])).length === 0;
  if (isNew && !invite) refuse("there is no space in this folder, and no invite");
  const webSocket = await findWebSocket();
  const space = await open({ name: "validator", storage: { dir }, relay, webSocket, signal, ...(invite ? { invite } : {}) });
  try {
    await watch(space, signal);
  } finally {
    await space.close();
  }
  say("close");
}

/** Makes blocks and says what it sees, until it is to end. */
async function watch(space: Space, signal: AbortSignal): Promise<void> {
  space.on("sync", ({ status, pending }) => say("sync", { status, pending }));
  space.on("storage", ({ code }: StemmaError) => say("storage", { code }));
  space.on("error", ({ code }: StemmaError) => say("error", { code }));
  say("open", { space: space.id, member: space.me });
  space.audit.validate({ signal });
  const seen = new Watch(space);
  while (!signal.aborted) {
    await seen.look();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, LOOK_MS);
      signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
    });
  }
}

const LOOK_MS = 500;

main().catch((error: Error & { code?: string }) => {
  if (error.name === "AbortError") return;
  say("error", { code: error.code ?? "E_UNKNOWN" });
  process.exitCode = 1;
});
