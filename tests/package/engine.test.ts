// What the engine may be made of, so that no platform that is supported fails over it.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { root } from "../web/harness.ts";

/** The results of each type of function in a module (WebAssembly Core 1.0, 5.5.4), as codes of value types. */
function resultsOf(module: Uint8Array): number[][] {
  let at = 8; // behind the magic number and the version
  const byte = () => module[at++] as number;
  const leb = () => {
    let [value, shift] = [0, 0];
    for (let next = 0x80; next >= 0x80; shift += 7) value += ((next = byte()) & 0x7f) * 2 ** shift;
    return value;
  };
  const values = () => Array.from({ length: leb() }, byte);
  while (at < module.length && byte() !== 1) {
    const bytes = leb();
    at += bytes;
  }
  leb();
  return Array.from({ length: leb() }, () => {
    assert.equal(byte(), 0x60, "a type of a function");
    values();
    return values();
  });
}

const NUMBERS = [0x7f, 0x7e, 0x7d, 0x7c]; // i32, i64, f32, f64

test("no function of the engine gives a reference or several values", async () => {
  // V8 11.3, of Node 20, ends the process where it gives up optimized code that is in a call which gives a reference.
  const types = resultsOf(await readFile(join(root, "pkg/engine.wasm")));
  assert.ok(types.length > 50);
  for (const results of types) assert.ok(results.length <= 1 && results.every((value) => NUMBERS.includes(value)), `gives ${results}`);
});
