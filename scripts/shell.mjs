// Running other programs, and knowing whether a step's inputs changed since it last succeeded.

import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));
process.chdir(root);

/** What cargo builds. `target/` proper also holds our own intermediate files: their place is fixed, tsconfig.json names it. */
export const cargoTarget = resolve(process.env.CARGO_TARGET_DIR ?? "target");

/** An error whose message is all the user needs: no stack is printed. */
export function failure(message) {
  return Object.assign(new Error(message), { expected: true });
}

/** Runs a program with our own output; throws when it fails. */
export function run(program, args, env = {}) {
  const { error, status } = spawnSync(program, args, {
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, ...env },
  });
  if (error?.code === "ENOENT") throw failure(`${program} is not installed`);
  if (status !== 0) throw failure(`\`${[program, ...args].join(" ")}\` failed`);
}

/** Runs a program silently: its output, or undefined when it fails. */
export function output(program, args, env = {}) {
  const { status, stdout } = spawnSync(program, args, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
    env: { ...process.env, ...env },
  });
  return status === 0 ? stdout.trim() : undefined;
}

/** Runs a program, passing its output on line by line as it comes: `{ passed, text }`. */
export async function watch(program, args, env = {}) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, ...env } });
  let text = "";
  child.stdout.on("data", (chunk) => {
    text += chunk;
    process.stdout.write(chunk);
  });
  const passed = await new Promise((done) => {
    child.on("error", () => done(false));
    child.on("close", (code) => done(code === 0));
  });
  return { passed, text };
}

/** The full path of a program in PATH. */
export function which(program) {
  const places = (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, program));
  return places.find((place) => existsSync(place));
}

/** All files below `path`, or `path` itself if it is one; sorted, so that a digest of them is stable. */
export function filesBelow(path) {
  if (!existsSync(path)) return [];
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path).sort().flatMap((name) => filesBelow(join(path, name)));
}

/**
 * Does `work` unless it last succeeded with the same contents of `inputs` (files or folders) and `result` still exists.
 * Contents, not times: a fresh checkout or a branch switch changes every time.
 */
export async function once(name, inputs, result, work) {
  const hash = createHash("sha256");
  for (const file of inputs.flatMap(filesBelow)) {
    const bytes = readFileSync(file);
    hash.update(`${file}\0${bytes.length}\0`).update(bytes);
  }
  const digest = hash.digest("hex");
  const stamp = join("target/stamps", name);
  if (existsSync(result) && existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return;
  rmSync(stamp, { force: true });
  await work();
  mkdirSync("target/stamps", { recursive: true });
  writeFileSync(stamp, digest);
}
