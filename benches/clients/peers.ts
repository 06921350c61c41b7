// Servers of two other libraries beside the relay, each with its own client, in the same run: how soon what one writes is with
// all others, what a silent client costs the server, and how long a newcomer takes to have a recorded text.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { next as automerge } from "@automerge/automerge";
import { Repo } from "@automerge/automerge-repo";
import { WebSocketClientAdapter } from "@automerge/automerge-repo-network-websocket";
import { WebSocket } from "ws";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";
import { type Patch, sequentialTrace } from "../../tests/traces.ts";
import { Relay, root, temporaryFolder } from "../../tests/web/harness.ts";
import { expect, groups } from "../jobs/job.ts";
import { apply, openSpace } from "../stemma.ts";
import { add, pause, quantiles, resident } from "./figures.ts";

type Owner = Parameters<typeof Relay.start>[0];

/** A server, and how somebody comes to a text on it. */
interface Server {
  name: string;
  pid: number;
  /** Somebody who begins a text. */
  first(): Promise<Client>;
}

interface Client {
  edit(patches: readonly Patch[]): void;
  text(): string;
  /** Calls this after each change that came from elsewhere. */
  listen(told: () => void): void;
  /** Somebody else who comes to the same text, once the server has what was edited so far. */
  other(): Promise<Client>;
  close(): Promise<void>;
}

export async function peers(_: Owner, quick: boolean): Promise<void> {
  const full = await sequentialTrace("sveltecomponent");
  const patches = quick ? full.patches.slice(0, 1_000) : full.patches;
  for (const start of [stemma, yjs, automergeRepo]) {
    await on(start, (server) => fanout(server, quick));
    await on(start, (server) => silent(server, quick ? 20 : 200));
    await on(start, (server) => newcomer(server, patches));
  }
}

/** Each measurement has a server of its own, and nothing else runs meanwhile. */
async function on(start: (owner: Owner) => Promise<Server>, measure: (server: Server) => Promise<void>): Promise<void> {
  const ends: (() => Promise<void>)[] = [];
  try {
    await measure(await start({ after: (end) => void ends.unshift(end) }));
  } finally {
    for (const end of ends) await end();
  }
}

/** Twenty listeners; every 50 ms a character. */
async function fanout(server: Server, quick: boolean): Promise<void> {
  const [listeners, edits, every] = [20, quick ? 20 : 200, 50];
  const writer = await server.first();
  writer.edit([[0, 0, "."]]);
  const others: Client[] = [];
  for (let at = 0; at < listeners; at++) others.push(await writer.other());
  // Newcomers greet each other: that is over then.
  await pause(3_000);
  const due: number[] = [];
  const times: number[] = [];
  const known = others.map(() => 1);
  for (const [number, other] of others.entries()) {
    other.listen(() => {
      const now = performance.now();
      for (const { length } = other.text(); (known[number] as number) < length; (known[number] as number)++) {
        times.push(now - (due[(known[number] as number) - 1] as number));
      }
    });
  }
  for (let at = 0; at < edits; at++) {
    due.push(performance.now());
    writer.edit([[at + 1, 0, "x"]]);
    await pause(every);
  }
  while (times.length < listeners * edits) await pause(10);
  quantiles(`peers, ${server.name}`, "from an edit to each of 20 listeners", times);
  for (const client of [writer, ...others]) await client.close();
}

async function silent(server: Server, count: number): Promise<void> {
  const writer = await server.first();
  writer.edit([[0, 0, "."]]);
  const others = [await writer.other()];
  await pause(1_000);
  const before = resident(server.pid);
  while (others.length <= count) others.push(await writer.other());
  await pause(1_000);
  add(`peers, ${server.name}`, "memory of the server for each client", (resident(server.pid) - before) / count, "B");
  for (const client of [writer, ...others]) await client.close();
}

async function newcomer(server: Server, patches: readonly Patch[]): Promise<void> {
  const writer = await server.first();
  for (const group of groups(patches)) writer.edit(group);
  await (await writer.other()).close();
  const times: number[] = [];
  for (let round = 0; round < 5; round++) {
    const begun = performance.now();
    const other = await writer.other();
    expect("text", other.text(), writer.text());
    times.push(performance.now() - begun);
    await other.close();
  }
  quantiles(`peers, ${server.name}`, "catch-up of sveltecomponent in Node", times);
  await writer.close();
}

async function stemma(owner: Owner): Promise<Server> {
  const relay = await Relay.start(owner, ["--rows-per-second", "1000000", "--rows-burst", "1000000"]);
  const webSocket = WebSocket as unknown as typeof globalThis.WebSocket;
  async function client(o: { invite?: string }): Promise<Client> {
    const space = await openSpace({ relay: relay.url, webSocket, ...o });
    await space.sync.settled();
    const text = space.getText("text");
    let invite: Promise<string> | undefined;
    return {
      edit: (patches) => void space.transact(() => apply(text, patches)),
      text: () => text.toString(),
      listen: (told) => void text.subscribe(told),
      async other() {
        await space.flush().saved("relay");
        invite ??= space.invite({ uses: 1_000 });
        const other = await client({ invite: await invite });
        await until(() => other.text() === text.toString());
        return other;
      },
      close: () => space.close(),
    };
  }
  return { name: "stemma", pid: relay.pid, first: () => client({}) };
}

async function yjs(owner: Owner): Promise<Server> {
  const port = await freePort();
  const child = start(owner, "benches/clients/node_modules/y-websocket/bin/server.cjs", { PORT: `${port}`, HOST: "127.0.0.1" });
  await answers(port);
  let rooms = 0;
  async function client(room: string): Promise<Client> {
    const document = new Y.Doc();
    const provider = new WebsocketProvider(`ws://127.0.0.1:${port}`, room, document, { WebSocketPolyfill: WebSocket as any, disableBc: true });
    await new Promise<void>((done) => provider.once("sync", () => done()));
    const text = document.getText("text");
    return {
      edit(patches) {
        document.transact(() => {
          for (const [position, deleted, inserted] of patches) {
            if (deleted) text.delete(position, deleted);
            if (inserted) text.insert(position, inserted);
          }
        });
      },
      text: () => text.toString(),
      listen: (told) => text.observe(told),
      async other() {
        const other = await client(room);
        await until(() => other.text() === text.toString());
        return other;
      },
      async close() {
        provider.destroy();
        document.destroy();
      },
    };
  }
  return { name: "y-websocket", pid: child.pid as number, first: () => client(`room${rooms++}`) };
}

async function automergeRepo(owner: Owner): Promise<Server> {
  const port = await freePort();
  const folder = await temporaryFolder(owner);
  const child = start(owner, "benches/clients/node_modules/@automerge/automerge-repo-sync-server/src/index.js", { PORT: `${port}`, DATA_DIR: folder });
  await answers(port);
  async function client(url?: string): Promise<Client> {
    const repo = new Repo({ network: [new WebSocketClientAdapter(`ws://127.0.0.1:${port}`)] });
    const handle: any = url ? await repo.find(url as any) : repo.create({ text: "" });
    const read = () => handle.doc().text as string;
    return {
      edit(patches) {
        handle.change((doc: any) => {
          for (const [position, deleted, inserted] of patches) automerge.splice(doc, ["text"], position, deleted, inserted);
        });
      },
      text: read,
      listen: (told) => handle.on("change", told),
      async other() {
        const other = await client(handle.url);
        await until(() => other.text() === read());
        return other;
      },
      close: () => repo.shutdown(),
    };
  }
  return { name: "automerge-repo-sync-server", pid: child.pid as number, first: () => client() };
}

function start(owner: Owner, script: string, env: Record<string, string>): ChildProcess {
  const child = spawn(process.execPath, [`${root}${script}`], { env: { ...process.env, ...env }, stdio: ["ignore", "ignore", "inherit"] });
  const kill = () => void child.kill("SIGKILL");
  process.on("exit", kill);
  owner.after(async () => {
    process.off("exit", kill);
    kill();
  });
  return child;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

async function answers(port: number): Promise<void> {
  while (!(await fetch(`http://127.0.0.1:${port}`).then(() => true, () => false))) await pause(50);
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await pause(1);
}
