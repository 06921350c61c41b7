// The relay alone: `npm run relay -- --listen 127.0.0.1:PORT --data DIR`.

import { spawn } from "node:child_process";
import { join } from "node:path";
import { prepareRust } from "./setup.mjs";
import { cargoTarget, run } from "./shell.mjs";

export async function main(args) {
  const child = spawn(buildRelay(), args, { stdio: "inherit" });
  passOnSignals(child);
  process.exitCode = await new Promise((done) => child.on("exit", (code) => done(code ?? 1)));
}

/** The path of the program. Its own profile: the package's `lto` and `panic = "abort"` suit a browser, not a server. */
export function buildRelay() {
  return built("relay", "relay");
}

/** The same as `cargo test` has it: most of that is compiled when tests ask for it. */
export function buildTestedRelay() {
  return built("test", "debug");
}

function built(profile, folder) {
  prepareRust();
  run("cargo", ["build", "--profile", profile, "--package", "stemma-relay"]);
  return join(cargoTarget, folder, "stemma-relay");
}

/** The relay drains and ends; we end after it. */
export function passOnSignals(child) {
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill("SIGTERM"));
}
