// An empty project that has installed the packed package, as a stranger would.

import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { type Owner, root, temporaryFolder } from "../web/harness.ts";

const exec = promisify(execFile);

/** The files that `npm publish` would upload, and the tarball. */
export async function pack(owner: Owner): Promise<{ tarball: string; files: string[] }> {
  const folder = await temporaryFolder(owner);
  const { stdout } = await exec("npm", ["pack", "--json", "--pack-destination", folder], { cwd: join(root, "pkg") });
  const [packed] = JSON.parse(stdout);
  const files: string[] = packed.files.map((file: { path: string }) => file.path);
  return { tarball: join(folder, packed.filename), files };
}

/** A new folder with these files, in which nothing but the tarball is installed. */
export async function emptyProject(owner: Owner, tarball: string, files: Record<string, string>): Promise<string> {
  const folder = await temporaryFolder(owner);
  const manifest = { name: "project", private: true, type: "module" };
  for (const [path, text] of Object.entries({ "package.json": JSON.stringify(manifest), ...files })) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  await exec("npm", ["install", "--offline", "--no-audit", "--no-fund", "--omit=optional", "--legacy-peer-deps", tarball], { cwd: folder });
  return folder;
}

/** Runs a script of the project in Node: what it prints. */
export async function runNode(folder: string, script: string): Promise<string> {
  const { stdout } = await exec(process.execPath, [script], { cwd: folder });
  return stdout.trim();
}

/** Runs the repository's own tsc over the project; throws with tsc's output when a type does not fit. */
export async function typeCheck(folder: string, ...args: string[]): Promise<void> {
  await exec(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "--noEmit", "--strict", ...args], { cwd: folder }).catch(
    (error: { stdout: string }) => {
      throw new Error(error.stdout);
    },
  );
}
