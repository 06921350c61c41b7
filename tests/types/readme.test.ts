// Every ```ts example of README.md and pkg/README.md compiles against the package. One that imports nothing from "stemma"
// goes on from `const space = await open(…)`.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const root = new URL("../../", import.meta.url);
const folder = new URL("target/readme/", root);
const READMES = ["README.md", "pkg/README.md"];
const PRELUDE = 'import type { Space } from "stemma";\ndeclare const space: Space;\n';

test("the examples of the READMEs compile", async () => {
  const examples: string[] = [];
  for (const file of READMES) {
    const readme = await readFile(new URL(file, root), "utf8");
    const found = [...readme.matchAll(/^```(?:ts|tsx|typescript)\n(.*?)^```$/gms)].map(([, code]) => code as string);
    assert.ok(found.length > 0, `${file} has no ts example`);
    examples.push(...found);
  }
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const [i, code] of examples.entries()) {
    const importsStemma = /from "stemma"/.test(code);
    await writeFile(new URL(`example-${i + 1}.ts`, folder), `${importsStemma ? "" : PRELUDE}${code}\nexport {};\n`);
  }
  // An example shows one thing: what it leaves unused, or makes for the reader to go on with, is no error.
  await writeFile(
    new URL("tsconfig.json", folder),
    JSON.stringify({
      extends: "../../tsconfig.json",
      compilerOptions: { noUnusedLocals: false, rootDirs: ["../../ts", "../engine"] },
      include: ["*.ts"],
    }),
  );
  const tsc = fileURLToPath(new URL("node_modules/typescript/bin/tsc", root));
  const { status, stdout } = spawnSync(process.execPath, [tsc, "--project", fileURLToPath(folder)], { encoding: "utf8" });
  assert.equal(status, 0, stdout);
});
