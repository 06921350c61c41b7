// `npm run check`: formatting, lints and types, without running anything.

import { existsSync } from "node:fs";
import { buildEngine } from "./build.mjs";
import { prepareLints, prepareRust } from "./setup.mjs";
import { failure, run } from "./shell.mjs";

export async function main() {
  const { failed } = await check();
  if (failed > 0) throw failure(`${failed} of the checks failed`);
}

/** Runs every check, whatever the others say: `{ passed, failed }`. */
export async function check() {
  prepareRust();
  prepareLints();
  const clippy = (...args) => run("cargo", ["clippy", ...args, "--", "-D", "warnings"]);
  const wasmTargets = ["--lib", "--example", "bench-engine", ...(existsSync("tests/web/main.rs") ? ["--test", "web"] : [])];
  const checks = [
    () => run("cargo", ["fmt", "--all", "--check"]),
    () => run("cargo", ["fmt", "--manifest-path", "scripts/bindgen/Cargo.toml", "--check"]),
    () => run("cargo", ["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]),
    () => clippy("--workspace", "--all-targets"),
    () => clippy("--package", "stemma", "--target", "wasm32-unknown-unknown", ...wasmTargets),
    checkTypes,
  ];

  let failed = 0;
  for (const one of checks) {
    try {
      await one();
    } catch (error) {
      console.error(error.message);
      failed += 1;
    }
  }
  return { passed: checks.length - failed, failed };
}

async function checkTypes() {
  await buildEngine();
  run(process.execPath, ["node_modules/typescript/bin/tsc", "--project", "tsconfig.json"]);
}
