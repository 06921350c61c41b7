// The tarball in other people's projects: a bundler, a plain page, Node, a type checker.

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { build } from "vite";
import { launchBrowser, root, servePages } from "../web/harness.ts";
import { emptyProject, pack, runNode, typeCheck } from "./project.ts";

const { tarball, files } = await pack({ after });
const browser = await launchBrowser({ after });

const roundTrip = (entry: string) => `
  import { open } from "${entry}";
  const space = await open({ name: "parcel", storage: "memory" });
  space.getMap("settings").set("greeting", "hello");
  const said = space.getMap("settings").get("greeting");
  await space.close();
`;
const page = (script: string) => `<!doctype html><title>waiting</title><script type="module" ${script}</script>`;
const showTitle = "document.title = said;";

async function titleOf(origin: string): Promise<string> {
  const context = await browser.newContext();
  const tab = await context.newPage();
  await tab.goto(origin);
  await tab.waitForFunction(() => document.title !== "waiting");
  const title = await tab.title();
  await context.close();
  return title;
}

test("the tarball holds the engine, every entry, the licences and the readme", async () => {
  const manifest = JSON.parse(await readFile(join(root, "pkg/package.json"), "utf8"));
  const entries = [".", "./inline", "./codemirror", "./textarea", "./verify", "./engine.wasm", "./package.json"];
  assert.deepEqual(Object.keys(manifest.exports), entries);
  const targets = Object.values<string | Record<string, string>>(manifest.exports).flatMap((target) =>
    typeof target === "string" ? [target] : Object.values(target),
  );
  for (const target of [...targets, "LICENSE-MIT", "LICENSE-APACHE", "README.md"]) {
    assert.ok(files.includes(target.replace("./", "")), `${target} is not in the tarball`);
  }
  for (const target of Object.values<object | string>(manifest.exports)) {
    if (typeof target === "object") assert.equal(Object.keys(target)[0], "types");
  }
});

test("one file names the wasm, in the form that bundlers recognise", async () => {
  const scripts = files.filter((file) => file.endsWith(".js") && file !== "node.js");
  const texts = await Promise.all(scripts.map((file) => readFile(join(root, "pkg", file), "utf8")));
  const literals = texts.flatMap((text) => text.match(/new URL\([^)]*\)/g) ?? []).filter((url) => url.includes("wasm"));
  assert.deepEqual(literals, ['new URL("./engine.wasm", import.meta.url)']);
});

for (const entry of ["stemma", "stemma/inline"]) {
  test(`a Vite build of ${entry} runs in Chromium`, async (t) => {
    const folder = await emptyProject(t, tarball, {
      "index.html": page('src="./main.js">'),
      "main.js": `${roundTrip(entry)} ${showTitle}`,
    });
    await build({ root: folder, logLevel: "warn", build: { target: "es2022" } });
    const origin = await servePages(t, { "/": join(folder, "dist") });
    assert.equal(await titleOf(origin), "hello");
  });

  test(`a plain page imports ${entry} from a static server`, async (t) => {
    const file = entry === "stemma" ? "index.js" : "inline.js";
    const path = `/node_modules/stemma/${file}`;
    const folder = await emptyProject(t, tarball, { "index.html": page(`>${roundTrip(path)} ${showTitle}`) });
    const origin = await servePages(t, { "/": folder });
    assert.equal(await titleOf(origin), "hello");
  });

  test(`Node runs ${entry}`, async (t) => {
    const folder = await emptyProject(t, tarball, { "main.js": `${roundTrip(entry)} console.log(said);` });
    assert.equal(await runNode(folder, "main.js"), "hello");
  });
}

test("importing does nothing", async (t) => {
  const guard = `
    for (const name of ["fetch", "crypto", "indexedDB", "WebSocket", "WebAssembly", "navigator"]) {
      Object.defineProperty(globalThis, name, { get() { throw new Error(name + " was touched"); }, configurable: true });
    }
    await import("stemma");
    await import("stemma/inline");
    console.log("quiet");
  `;
  const folder = await emptyProject(t, tarball, { "main.js": guard });
  assert.equal(await runNode(folder, "main.js"), "quiet");
});

test("the types hold without Node's and without skipLibCheck", async (t) => {
  const source = 'import { open } from "stemma"; import * as inline from "stemma/inline"; export const both = [open, inline.open];';
  const folder = await emptyProject(t, tarball, { "main.ts": source });
  const lib = ["--lib", "ES2022,ESNext.Disposable,DOM,DOM.Iterable,DOM.AsyncIterable", "--target", "ES2022"];
  await typeCheck(folder, "--module", "NodeNext", "--types", "", ...lib, "main.ts");
  await typeCheck(folder, "--module", "ESNext", "--moduleResolution", "bundler", "--types", "", ...lib, "main.ts");
});

test("a page that only checks proofs loads a few KB and no engine", async (t) => {
  const { open } = await import("stemma");
  const space = await open({ name: "proven", storage: "memory" });
  const proof = await space.audit.proof(space.transact(() => space.getMap("m").set("k", 1)).id);
  await space.close();
  const folder = await emptyProject(t, tarball, {
    "index.html": page('src="./main.js">'),
    "main.js": `import { verifyProof } from "stemma/verify";
      verifyProof(${JSON.stringify(proof)}).then(({ actor }) => (document.title = actor), (error) => (document.title = String(error)));`,
  });
  await build({ root: folder, logLevel: "warn", build: { target: "es2022" } });
  const built = await readdir(join(folder, "dist/assets"));
  assert.deepEqual(built.map((name) => name.split(".").at(-1)), ["js"]);
  const script = await readFile(join(folder, "dist/assets", built[0]!));
  assert.ok(script.length < 20_000, `${script.length} bytes`);
  const origin = await servePages(t, { "/": join(folder, "dist") });
  assert.equal(await titleOf(origin), proof.header.slice(72, 136));
});
