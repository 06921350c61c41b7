// The package: src/ -> target/engine (one wasm, its glue, an inline twin of it) -> ts/ compiled beside it into pkg/.

import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { manifest } from "./manifest.mjs";
import { findLibrary, installPackages, prepareRust } from "./setup.mjs";
import { cargoTarget, once, output, run } from "./shell.mjs";

const ENGINE = "target/engine";
const TOOLS = join(cargoTarget, "tools");

export async function main() {
  await buildPackage();
  console.log("built pkg/");
}

export async function buildPackage() {
  await buildEngine();
  const sources = [ENGINE, "ts", "tsconfig.json", "Cargo.toml", "package-lock.json", "scripts", "LICENSE-MIT", "LICENSE-APACHE"];
  await once("package", sources, "pkg/package.json", compilePackage);
  linkPackage();
}

/** Also what type checking needs: `ts/` imports `./engine.js`, which tsconfig.json's `rootDirs` find in target/engine. */
export async function buildEngine() {
  await installPackages();
  prepareRust();
  compile("--lib");
  const wasm = join(cargoTarget, "wasm32-unknown-unknown/release/stemma.wasm");
  const sources = [wasm, "scripts/bindgen", "scripts/build.mjs", "package-lock.json"];
  await once("engine", sources, join(ENGINE, "engine.wasm"), async () => {
    await bind(wasm, ENGINE);
    writeInlineTwin();
  });
}

/** The bench-only entry into the engine, made exactly as the engine is; the folder that it is in. */
export async function buildBenchEngine() {
  compile("--example", "bench-engine");
  const wasm = join(cargoTarget, "wasm32-unknown-unknown/release/examples/bench_engine.wasm");
  const folder = "target/bench/engine";
  await once("bench-engine", [wasm, "scripts/bindgen", "scripts/build.mjs"], join(folder, "engine.wasm"), () => bind(wasm, folder));
  return folder;
}

function compile(...what) {
  const { flags, env } = isLean() ? LEAN : { flags: [], env: {} };
  const rustflags = UNUSED.map((feature) => `-Ctarget-feature=-${feature}`).join(" ");
  // Cargo goes by the first of these that there is.
  const all = { ...env, CARGO_ENCODED_RUSTFLAGS: undefined, RUSTFLAGS: undefined, CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS: rustflags };
  run("cargo", ["build", "--release", ...what, "--package", "stemma", "--target", "wasm32-unknown-unknown", ...flags], all);
}

/**
 * What the engine does without. V8 11.3, of Node 20 and Chrome 113, ends its process where optimized code has to be given up
 * while it is in a call that gives a reference; and calls that give several values are never optimized there.
 */
const UNUSED = ["reference-types", "multivalue"];

/** Whether this toolchain can do that. If not, the engine is built as usual: it is larger, and does the same. */
export function isLean() {
  return Boolean(output("cargo", ["-Z", "help"], LEAN.env)?.includes("panic-immediate-abort")) && findLibrary();
}

/**
 * With the standard library compiled here, for size, and panics that trap where they are: nobody hears what they would say, and it
 * is 45 KB of what a page would download. It is not stable yet, so cargo has to be told that it may.
 */
const LEAN = {
  flags: ["-Zpanic-immediate-abort", "-Zbuild-std=std", "-Zbuild-std-features=optimize_for_size"],
  env: { RUSTC_BOOTSTRAP: "1", CARGO_PROFILE_RELEASE_PANIC: "immediate-abort" },
};

/** A program of scripts/bindgen, compiled unless it is up to date. */
export function buildTool(name) {
  const features = name === "test-runner" ? ["--features", "test-runner"] : [];
  run("cargo", ["build", "--locked", "--manifest-path", "scripts/bindgen/Cargo.toml", "--target-dir", TOOLS, "--bin", name, ...features]);
  return join(TOOLS, "debug", name);
}

/**
 * What makes the module small after brotli, not before. Inlining, and sharing of values and code within a function, save bytes but
 * make code that looks alike look different. Engines do not look at alignments, and nothing is as short as the same.
 */
const PASSES = [
  "-Oz",
  ...["--partial-inlining-ifs", "--flexible-inline-max-function-size", "--always-inline-max-function-size", "--one-caller-inline-max-function-size"].flatMap((limit) => [limit, "0"]),
  "--skip-pass=local-cse",
  "--skip-pass=code-folding",
  "--low-memory-unused", // the stack lies there, and its end is a trap either way
  "--optimize-added-constants",
  "--dealign",
];

/** `engine.js`, its types and `engine.wasm` in `folder`. */
async function bind(wasm, folder) {
  rmSync(folder, { recursive: true, force: true });
  run(buildTool("bindgen"), [wasm, folder, ...UNUSED]);
  const bound = join(folder, "engine_bg.wasm");
  // rustc's own list of features for wasm32-unknown-unknown without these; bindgen drops the section that states it.
  const features = ["bulk-memory", "mutable-globals", "nontrapping-float-to-int", "sign-ext"];
  const flags = features.map((feature) => `--enable-${feature}`);
  run(process.execPath, ["node_modules/binaryen/bin/wasm-opt", bound, ...PASSES, ...flags, "--strip-target-features", "-o", join(folder, "engine.wasm")]);
  rmSync(bound);
  rmSync(join(folder, "engine_bg.wasm.d.ts"));
  mendResets(join(folder, "engine.js"));
  await minifyGlue(join(folder, "engine.js"));
}

/**
 * What the platform still has to say to an engine that is gone, after a trap, is nothing an app should hear of as an error. And
 * the next one has nothing to be started, for it has no table of references, but bindgen does so unasked.
 */
function mendResets(glue) {
  let text = readFileSync(glue, "utf8");
  for (const [said, meant] of [
    ["throw new Error('Cannot invoke closure from previous WASM instance');", "return;"],
    ["wasm.__wbindgen_start();", "wasm.__wbindgen_start?.();"],
  ]) {
    if (!text.includes(said)) throw new Error(`the glue has changed: it does not say ${said}`);
    text = text.replaceAll(said, meant);
  }
  writeFileSync(glue, text);
}

/** Comments and long names are a third of what a page would download of it, and nobody reads it: the manual is in `ts/`. */
async function minifyGlue(glue) {
  const { minifySync } = await import("rolldown/utils"); // not installed yet when this file is loaded
  const { code, errors } = minifySync("engine.js", readFileSync(glue, "utf8"), { module: true, mangle: { toplevel: true } });
  if (errors.length > 0) throw new Error(errors[0].message);
  writeFileSync(glue, code);
}

function writeInlineTwin() {
  const base64 = gzipSync(readFileSync(join(ENGINE, "engine.wasm")), { level: 9 }).toString("base64");
  writeFileSync(
    join(ENGINE, "engine-inline.js"),
    `const gzip = "${base64}";

export async function engineBytes() {
  const bytes = Uint8Array.from(atob(gzip), (char) => char.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}
`,
  );
  writeFileSync(
    join(ENGINE, "engine-inline.d.ts"),
    "/** The bytes of `engine.wasm`, for pages that cannot fetch a second file. */\nexport declare function engineBytes(): Promise<ArrayBuffer>;\n",
  );
}

function compilePackage() {
  mkdirSync("pkg", { recursive: true });
  for (const name of readdirSync("pkg")) {
    if (name !== "README.md") rmSync(join("pkg", name), { recursive: true });
  }
  for (const name of readdirSync(ENGINE)) copyFileSync(join(ENGINE, name), join("pkg", name));
  for (const name of ["LICENSE-MIT", "LICENSE-APACHE"]) copyFileSync(name, join("pkg", name));
  run(process.execPath, ["node_modules/typescript/bin/tsc", "--project", "ts/tsconfig.json"]);
  writeFileSync("pkg/package.json", `${JSON.stringify(manifest(), null, 2)}\n`);
}

/** Lets everything in the repository import "stemma" by name. No workspace: `npm ci` must work before pkg/ is built. */
function linkPackage() {
  const link = "node_modules/stemma";
  if (existsSync(join(link, "package.json"))) return;
  rmSync(link, { force: true });
  mkdirSync(dirname(link), { recursive: true });
  symlinkSync("../pkg", link, "junction");
}
