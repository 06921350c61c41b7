// `npm start`: builds what changed, then runs the relay and the built site until one of them ends or Ctrl-C. With `--dev` the site
// is served from its sources, which are followed as they change; then it has no service worker.

import { spawn } from "node:child_process";
import { createServer as createTcpServer } from "node:net";
import { createInterface } from "node:readline";
import { buildPackage } from "./build.mjs";
import { buildRelay, passOnSignals } from "./relay.mjs";
import { failure } from "./shell.mjs";

const RELAY_PORT = 4848;
const SITE_PORT = 5173;
const DATA = "target/relay-data";

export async function main(args) {
  await buildPackage();
  const program = buildRelay();

  const port = (await isFree(RELAY_PORT)) ? RELAY_PORT : 0;
  const relay = spawn(program, ["--listen", `127.0.0.1:${port}`, "--data", DATA], { stdio: ["ignore", "pipe", "inherit"] });
  passOnSignals(relay);
  const ended = new Promise((done) => relay.on("exit", (code) => done(code ?? 1)));
  let site;
  try {
    const address = await listening(relay);
    process.env.VITE_RELAY = `ws://${address}`; // the site reads import.meta.env.VITE_RELAY
    site = args.includes("--dev") ? await serveSources() : await serveBuilt();
    console.log(`\n  relay  ws://${address}\n  site   ${site.resolvedUrls.local[0]}\n`);
    process.exitCode = await ended;
  } finally {
    relay.kill();
    await site?.close();
  }
}

async function serveBuilt() {
  const { build, preview } = await import("vite");
  await build({ root: "www", logLevel: "warn" });
  // The port of the other way: a browser keeps what was written here by address.
  return preview({ root: "www", preview: { host: "127.0.0.1", port: SITE_PORT }, clearScreen: false });
}

async function serveSources() {
  const { createServer } = await import("vite");
  const site = await createServer({ root: "www", server: { host: "127.0.0.1", port: SITE_PORT }, clearScreen: false });
  return site.listen();
}

function isFree(port) {
  return new Promise((done) => {
    const server = createTcpServer();
    server.on("error", () => done(false));
    server.listen(port, "127.0.0.1", () => server.close(() => done(true)));
  });
}

/** The address that the relay says it listens on; the rest of what it says is passed on. */
function listening(relay) {
  return new Promise((resolve, reject) => {
    createInterface({ input: relay.stdout }).on("line", (line) => {
      const address = line.match(/^listening on (\S+)$/)?.[1];
      if (address) resolve(address);
      else console.log(line);
    });
    relay.on("exit", () => reject(failure("the relay ended before it listened")));
  });
}
