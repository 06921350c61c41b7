// `npm run fuzz [-- --minutes N] [--target T …]`: every target of fuzz/, seeded from tests/vectors, N minutes each (2 unless
// told); then the seeded fuzzers of tests/ at 20 times their usual rounds. With targets named, only those.

import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { seeds } from "./fuzz-seeds.mjs";
import { prepareRust } from "./setup.mjs";
import { cargoTarget, failure, output, run, watch } from "./shell.mjs";

const WORK = join(cargoTarget, "fuzz");
/** Percent of the rounds that `npm test` runs. */
const ROUNDS = "2000";
const SEEDED_TESTS = ["child_fuzz", "codec_fuzz", "event_fuzz", "fold_fuzz", "list_fuzz", "map_fuzz", "marks_fuzz", "policy_fuzz", "replica_fuzz", "text_conformance", "text_crowd", "text_fuzz", "text_hostile", "view_fuzz"];

export async function main(args) {
  const { minutes, named } = parse(args);
  prepareRust();
  const host = output("rustc", ["-vV"]).match(/^host: (.+)$/m)[1];
  const targets = readdirSync("fuzz/targets").map((file) => file.replace(".rs", ""));
  const unknown = named.find((name) => !targets.includes(name));
  if (unknown) throw failure(`no target ${unknown}: there are ${targets.join(", ")}`);

  // Without a sanitizer, so that a stable toolchain will do: the library has no unsafe code.
  run("cargo", ["fuzz", "build", "-s", "none", "--target-dir", WORK], withTools());
  const failed = [];
  const rows = [];
  for (const target of named.length > 0 ? named : targets) {
    console.log(`\n== ${target}`);
    const { passed, executions, covered } = await fuzz(join(WORK, host, "release", target), target, minutes);
    rows.push(`${target.padEnd(12)}${String(executions).padStart(12)} executions, ${covered} edges, ${minutes} min`);
    if (!passed) failed.push(target);
  }
  if (named.length === 0) {
    console.log("\n== seeded tests");
    const { passed } = await watch("cargo", ["test", "--no-fail-fast", ...SEEDED_TESTS.flatMap((test) => ["--test", test])], {
      FUZZ_ROUNDS: ROUNDS,
    });
    if (!passed) failed.push("seeded tests");
  }
  console.log(`\n${rows.join("\n")}`);
  if (failed.length > 0) throw failure(`failed: ${failed.join(", ")}; what failed is in ${join(WORK, "artifacts")}`);
}

function parse(args) {
  let minutes = 2;
  const named = [];
  for (let at = 0; at < args.length; at += 2) {
    if (args[at] === "--minutes" && Number(args[at + 1]) > 0) minutes = Number(args[at + 1]);
    else if (args[at] === "--target" && args[at + 1]) named.push(args[at + 1]);
    else throw failure("usage: npm run fuzz [-- --minutes N] [--target T]…");
  }
  return { minutes, named };
}

/** cargo-fuzz from PATH, else from a folder of ours, where it is installed once. */
function withTools() {
  if (output("cargo", ["fuzz", "--version"]) !== undefined) return {};
  const root = resolve(cargoTarget, "cargo-fuzz");
  if (!existsSync(join(root, "bin"))) {
    run("cargo", ["install", "cargo-fuzz", "--locked", "--root", root, "--target-dir", join(root, "build")]);
  }
  return { PATH: `${join(root, "bin")}:${process.env.PATH}` };
}

async function fuzz(program, target, minutes) {
  const [corpus, seeded, artifacts] = ["corpus", "seeds", "artifacts"].map((name) => join(WORK, name, target));
  for (const folder of [corpus, seeded, artifacts]) mkdirSync(folder, { recursive: true });
  seeds(target).forEach((bytes, at) => writeFileSync(join(seeded, `seed-${at}`), bytes));
  const flags = [`-max_total_time=${Math.ceil(minutes * 60)}`, `-artifact_prefix=${artifacts}/`, "-timeout=20"];
  const log = join(WORK, `${target}.log`);
  const command = 'exec "$0" "$@" 2>"$LOG"';
  const { passed } = await watch("sh", ["-c", command, program, corpus, seeded, "-print_final_stats=1", ...flags], {
    LOG: log,
  });
  const text = readFileSync(log, "utf8");
  if (!passed) console.log(text.slice(-4000));
  return {
    passed,
    executions: text.match(/number_of_executed_units: (\d+)/)?.[1] ?? "?",
    covered: [...text.matchAll(/cov: (\d+)/g)].at(-1)?.[1] ?? "?",
  };
}
