// `npm run bench`: builds the package and installs the peers, then measures; what and how is in benches/README.md.

import { resolve } from "node:path";
import { buildBenchEngine, buildPackage } from "./build.mjs";
import { buildRelay } from "./relay.mjs";
import { findBrowser } from "./setup.mjs";
import { failure, once, run } from "./shell.mjs";

export async function main(args) {
  const at = args.indexOf("--traces");
  const env = at < 0 ? {} : { STEMMA_TRACES: resolve(args.splice(at, 2)[1] ?? "") };
  const only = args.filter((_, i) => args[i - 1] === "--only");
  const isWanted = (...groups) => only.length === 0 || groups.some((group) => only.includes(group));
  await buildPackage();
  await installPeers();
  await bundlePage();
  if (isWanted("crypto", "remote", "open", "audit")) await buildBenchEngine();
  if (isWanted("relay", "month", "audit")) env.STEMMA_RELAY = buildRelay();
  env.STEMMA_CHROMIUM = findBrowser().chromium;
  run(process.execPath, ["--import", "./scripts/typescript.mjs", "benches/run.ts", ...args], env);
}

export async function installPeers() {
  await once("peers", ["benches/package-lock.json"], "benches/node_modules/.package-lock.json", () =>
    run("npm", ["ci", "--prefix", "benches", "--no-audit", "--no-fund"]),
  );
}

/** The jobs that run in Chromium; of the peers those that a page can load. */
async function bundlePage() {
  const { build } = await import("rolldown");
  await build({
    input: "benches/page.ts",
    external: ["stemma", "@automerge/automerge", "loro-crdt", "ywasm"],
    resolve: { alias: { "diamond-types-node": resolve("benches/libraries/diamond-types-page.ts") } },
    output: { dir: "target/bench/page", format: "esm" },
    logLevel: "warn",
  }).catch((error) => {
    throw failure(`the page of the benches does not bundle: ${error.message}`);
  });
}
