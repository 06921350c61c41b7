// `npm run simulate [-- --seeds N] [--from S] [--faults A,B] [--keep 1,4] [--trace]`: seeds of the simulation of sync, optimised;
// 10,000 from 1 unless told. Only faults of the kinds named come, or of a seed only those with the numbers that a failure printed.

import { prepareRust } from "./setup.mjs";
import { failure, run } from "./shell.mjs";

const USAGE = "usage: npm run simulate [-- --seeds N] [--from S] [--faults A,B] [--keep 1,4|none] [--trace]";

export async function main(args) {
  const env = parse(args);
  prepareRust();
  run("cargo", ["test", "--profile", "relay", "--test", "simulation", "--", "--nocapture", "a_thousand_seeds_hold_every_rule"], env);
}

function parse(args) {
  const env = { SEEDS: "10000" };
  for (let at = 0; at < args.length; at += 1) {
    const [flag, value] = [args[at], args[at + 1]];
    if (flag === "--trace") {
      env.TRACE = "1";
      continue;
    }
    const fits = { "--seeds": /^\d+$/, "--from": /^\d+$/, "--faults": /^[a-z,-]+$/, "--keep": /^(none|[\d,]+)$/ }[flag];
    if (!fits?.test(value ?? "")) throw failure(USAGE);
    env[flag.slice(2).toUpperCase()] = value;
    at += 1;
  }
  return env;
}
