// The WebAssembly build comes to the same states as the native one: tests/vectors/states.json, written by tests/states.rs.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { openSpace } from "./ends.ts";

interface Case {
  name: string;
  what: string;
  input: { invite: string; export: string };
  result: { heads: string[]; state_hash: string; view_digest: string };
}

const cases: Case[] = JSON.parse(await readFile(new URL("../vectors/states.json", import.meta.url), "utf8"));

for (const { name, what, input, result } of cases) {
  test(`${name}: ${what}`, async (t) => {
    const space = await openSpace(t, { invite: input.invite });
    const report = await space.import(Buffer.from(input.export, "hex"));
    assert.deepEqual([report.refused, report.pending], [0, 0]);
    assert.deepEqual(space.heads, result.heads);
    assert.equal(space.stateHash(), result.state_hash);
    assert.equal(space.viewDigest(), result.view_digest);
  });
}
