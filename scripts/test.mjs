// `npm test`: every area that has tests, then the count of each. `npm test -- web` runs one area, a path one file of it.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { buildPackage, buildTool } from "./build.mjs";
import { check } from "./check.mjs";
import { buildTestedRelay } from "./relay.mjs";
import { findBrowser, preparePostgres, prepareRust } from "./setup.mjs";
import { filesBelow, watch } from "./shell.mjs";

const isTypeScriptTest = (file) => file.endsWith(".test.ts");

/** `files` says whether there is anything to run; an area with files that runs no test has failed. */
const AREAS = [
  { name: "check", files: () => ["Cargo.toml"], run: check },
  { name: "rust", files: () => ["Cargo.toml"], run: testRust },
  { name: "wasm", files: () => filesBelow("tests/web/main.rs"), run: testWasm },
  { name: "vectors", files: () => filesBelow("tests/vectors").filter(isTypeScriptTest), run: testNode },
  { name: "types", files: () => filesBelow("tests/types").filter(isTypeScriptTest), run: testNode },
  { name: "node", files: () => filesBelow("tests/node").filter(isTypeScriptTest), run: testNode },
  { name: "web", files: () => filesBelow("tests/web").filter(isTypeScriptTest), run: testBrowser },
  { name: "package", files: () => filesBelow("tests/package").filter(isTypeScriptTest), run: testBrowser },
];

export async function main(args) {
  const results = [];
  for (const area of AREAS) {
    const all = area.files();
    const named = all.filter((file) => args.includes(file));
    if (all.length === 0 || (args.length > 0 && named.length === 0 && !args.includes(area.name))) continue;
    console.log(`\n== ${area.name}`);
    results.push({ name: area.name, ...(await count(area, named.length > 0 ? named : all)) });
  }
  const total = (key) => results.reduce((sum, result) => sum + result[key], 0);
  const failed = results.length === 0 ? 1 : total("failed");

  console.log("\n== tests per area");
  for (const { name, passed, failed } of results) console.log(`${name.padEnd(10)}${passed} passed, ${failed} failed`);
  console.log(`\n${total("passed")} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

/** An area that cannot be set up, or that ends badly without naming a test, counts as one failure. */
async function count(area, files) {
  try {
    const { passed, failed } = await area.run(files);
    if (passed + failed > 0) return { passed, failed };
    console.error(`${area.name}: no test ran`);
  } catch (error) {
    console.error(`${area.name}: ${error.expected ? error.message : error.stack}`);
  }
  return { passed: 0, failed: 1 };
}

async function testRust() {
  prepareRust();
  preparePostgres();
  return countCargo(await watch("cargo", ["test", "--workspace", "--no-fail-fast"]));
}

async function testWasm() {
  prepareRust();
  const { chromium, chromedriver } = findBrowser();
  const capabilities = JSON.parse(readFileSync("webdriver.json", "utf8"));
  capabilities["goog:chromeOptions"].binary = chromium;
  const natively = await watch("cargo", ["test", "--test", "simulation", "one_seed_is_one_trace", "--", "--nocapture"]);
  const traces = [...natively.text.matchAll(/^trace (\d+ [0-9a-f]+)$/gm)].map(([, trace]) => trace).join(",");
  mkdirSync("target", { recursive: true });
  writeFileSync("target/webdriver.json", JSON.stringify(capabilities));
  return countCargo(
    await watch("cargo", ["test", "--package", "stemma", "--target", "wasm32-unknown-unknown", "--test", "web"], {
      CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER: buildTool("test-runner"),
      CHROMEDRIVER: chromedriver,
      STEMMA_TRACES_NATIVE: traces,
      WASM_BINDGEN_TEST_WEBDRIVER_JSON: "target/webdriver.json",
      WASM_BINDGEN_TEST_TIMEOUT: "300",
      WASM_BINDGEN_TEST_DRIVER_TIMEOUT: "60",
    }),
  );
}

async function testNode(files) {
  await buildPackage();
  return runNode(files, { STEMMA_RELAY: buildTestedRelay() });
}

async function testBrowser(files) {
  await buildPackage();
  return runNode(files, { STEMMA_RELAY: buildTestedRelay(), STEMMA_CHROMIUM: findBrowser().chromium });
}

/** One file at a time: a browser and a relay are enough for two cores. */
async function runNode(files, env) {
  const flags = ["--import", "./scripts/typescript.mjs", "--enable-source-maps"];
  const { passed, text } = await watch(
    process.execPath,
    [...flags, "--test", "--test-reporter=spec", "--test-concurrency=1", "--test-timeout=600000", ...files],
    env,
  );
  const line = (name) => Number(text.match(new RegExp(`^\\S+ ${name} (\\d+)$`, "m"))?.[1] ?? 0);
  return { passed: line("pass"), failed: atLeastOne(line("fail") + line("cancelled"), passed) };
}

/** Sums the `test result:` lines, which cargo's harness and wasm-bindgen's both print. */
function countCargo({ passed, text }) {
  const results = [...text.matchAll(/^test result: .*?(\d+) passed; (\d+) failed/gm)];
  const sum = (group) => results.reduce((total, match) => total + Number(match[group]), 0);
  return { passed: sum(1), failed: atLeastOne(sum(2), passed) };
}

function atLeastOne(failed, passed) {
  return passed ? failed : Math.max(failed, 1);
}
