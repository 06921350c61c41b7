// What a fresh machine lacks: JS packages, the wasm32 target, sources of the standard library, a browser with its driver, PostgreSQL.

import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { failure, once, output, run, which } from "./shell.mjs";

export async function installPackages() {
  await once("npm", ["package-lock.json", ".npmrc"], "node_modules/.package-lock.json", () => {
    rmSync("node_modules/stemma", { force: true }); // the link that build.mjs makes; npm does not know it
    run("npm", ["ci", "--no-audit", "--no-fund"]);
  });
}

/** Needs only rustup with a stable toolchain; a toolchain from elsewhere is fine when it has the target. */
export function prepareRust() {
  if (output("cargo", ["--version"]) === undefined) throw failure("no Rust found: install it from https://rustup.rs");
  const wasm = output("rustc", ["--print", "target-libdir", "--target", "wasm32-unknown-unknown"]);
  if (!wasm || !existsSync(wasm)) run("rustup", ["target", "add", "wasm32-unknown-unknown"]);
}

/** Whether the standard library can be compiled here: its sources are fetched if they are not there, and what it depends on. */
export function findLibrary() {
  const manifest = join(output("rustc", ["--print", "sysroot"]), "lib/rustlib/src/rust/library/Cargo.toml");
  if (!existsSync(manifest)) output("rustup", ["component", "add", "rust-src"]);
  const fetch = ["fetch", "--locked", "--manifest-path", manifest, "--target", "wasm32-unknown-unknown"];
  return existsSync(manifest) && output("cargo", fetch, { RUSTC_BOOTSTRAP: "1" }) !== undefined;
}

export function prepareLints() {
  for (const component of ["clippy", "fmt"]) {
    if (output("cargo", [component, "--version"]) !== undefined) continue;
    run("rustup", ["component", "add", component === "fmt" ? "rustfmt" : component]);
  }
}

/** `{ chromium, chromedriver }`: what the two variables say, else what is in PATH, else what apt installs. */
export function findBrowser() {
  let found = lookForBrowser();
  if (!found.chromium || !found.chromedriver) {
    installWithApt("chromium", "chromium-driver");
    found = lookForBrowser();
  }
  const missing = [];
  if (!found.chromium) missing.push("no Chromium or Chrome found: set STEMMA_CHROMIUM to its path");
  if (!found.chromedriver) missing.push("no chromedriver found: set CHROMEDRIVER to its path");
  if (missing.length > 0) throw failure(missing.join("\n"));
  return found;
}

function lookForBrowser() {
  const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
  return {
    chromium: process.env.STEMMA_CHROMIUM || names.map(which).find(Boolean),
    chromedriver: process.env.CHROMEDRIVER || which("chromedriver"),
  };
}

/** Programs of PostgreSQL, for tests of the relay's other store. Where there are none, those tests say what is missing. */
export function preparePostgres() {
  const isThere = () => process.env.STEMMA_POSTGRES || which("initdb") || existsSync("/usr/lib/postgresql");
  if (!isThere()) installWithApt("postgresql");
}

function installWithApt(...packages) {
  if (!existsSync("/etc/debian_version") || !which("apt-get")) return;
  const isRoot = process.getuid() === 0;
  if (!isRoot && output("sudo", ["-n", "true"]) === undefined) return;
  const asRoot = (...command) => {
    const [program, ...args] = isRoot ? command : ["sudo", "-n", ...command];
    run(program, args, { DEBIAN_FRONTEND: "noninteractive" });
  };
  asRoot("apt-get", "update");
  asRoot("apt-get", "install", "-y", "--no-install-recommends", ...packages);
}
