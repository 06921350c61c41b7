// `npm run bench:relay -- [--quick] [--only LOAD]`: load on the relay, and what its clients do; writes benches/relay.json.

import { resolve } from "node:path";
import { installPeers } from "./bench.mjs";
import { buildPackage } from "./build.mjs";
import { buildRelay } from "./relay.mjs";
import { findBrowser, preparePostgres, prepareRust } from "./setup.mjs";
import { failure, once, run } from "./shell.mjs";

const LOADS = ["ingest", "stored", "fanout", "idle", "storm", "postgres"];
const CLIENTS = ["session", "keystrokes", "catchup", "peers"];

export async function main(args) {
  const only = args.includes("--only") ? args[args.indexOf("--only") + 1] : undefined;
  if (args.includes("--only") && ![...LOADS, ...CLIENTS].includes(only)) throw failure(`--only: there is ${[...LOADS, ...CLIENTS].join(", ")}`);
  const out = resolve("benches/relay.json");
  if (!CLIENTS.includes(only)) {
    prepareRust();
    preparePostgres();
    // As the relay itself is built.
    run("cargo", ["bench", "--profile", "relay", "--package", "stemma-relay", "--bench", "load", "--", "--out", out, ...args]);
  }
  if (!LOADS.includes(only)) {
    await buildPackage();
    await installPeers();
    await installServers();
    const env = { STEMMA_RELAY: buildRelay(), STEMMA_CHROMIUM: findBrowser().chromium };
    run(process.execPath, ["--import", "./scripts/typescript.mjs", "benches/clients/run.ts", out, ...args], env);
  }
}

/** The peers' servers. Exact versions and no lock file: of what they may do without, some is not there for every machine. */
async function installServers() {
  const flags = ["--no-package-lock", "--omit=optional", "--no-audit", "--no-fund"];
  await once("servers", ["benches/clients/package.json"], "benches/clients/node_modules/y-websocket/package.json", () =>
    run("npm", ["install", "--prefix", "benches/clients", ...flags]),
  );
}
