// `npm run bench:relay -- [--quick] [--only ingest|fanout|idle|storm|postgres]`: load on the relay; writes benches/relay.json.

import { resolve } from "node:path";
import { preparePostgres, prepareRust } from "./setup.mjs";
import { run } from "./shell.mjs";

export function main(args) {
  prepareRust();
  preparePostgres();
  const out = resolve("benches/relay.json");
  // As the relay itself is built.
  run("cargo", ["bench", "--profile", "relay", "--package", "stemma-relay", "--bench", "load", "--", "--out", out, ...args]);
}
