// How the engine is loaded: what goes wrong is named, and what went wrong once can be tried again.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { open, type WasmSource } from "stemma";

const bytes = await readFile(new URL("../../pkg/engine.wasm", import.meta.url));
const response = (body: BodyInit, type: string, status = 200) => new Response(body, { status, headers: { "content-type": type } });

const failing: [string, WasmSource, string, RegExp][] = [
  ["a page instead of the file", response("<!DOCTYPE html><title>App</title>", "text/html"), "E_WASM_LOAD", /server returned HTML/],
  ["a page with another start", response("\n  <html lang=en>", "application/octet-stream"), "E_WASM_LOAD", /server returned HTML/],
  ["not found", response("no", "text/plain", 404), "E_WASM_LOAD", /status 404/],
  ["something else", new Uint8Array([1, 2, 3, 4]), "E_WASM_LOAD", /not WebAssembly/],
  ["nothing", new Uint8Array(), "E_WASM_LOAD", /not WebAssembly/],
  ["half of it", bytes.subarray(0, 1000), "E_WASM_LOAD", /does not compile/],
  ["half of it, streamed", response(bytes.subarray(0, 1000), "application/wasm"), "E_WASM_LOAD", /does not compile/],
  ["an address without a server", "http://127.0.0.1:1/engine.wasm", "E_WASM_LOAD", /cannot be fetched/],
  ["a module of somebody else", new WebAssembly.Module(new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0])), "E_WASM_LOAD", /not the engine/],
];

for (const [what, wasm, code, message] of failing) {
  test(`${what} is ${code}`, async () => {
    await assert.rejects(open({ name: "loading", wasm }), { name: "StemmaError", code, message });
  });
}

test("a file that no server called wasm loads all the same, and from then on nothing else is asked", async () => {
  const space = await open({ name: "loading", wasm: response(bytes, "application/octet-stream") });
  space.getText("t").append("loaded");
  await space.close();
  const again = await open({ name: "loading", wasm: new Uint8Array([1]) });
  await again.close();
});
