// Every case of the vector files, decided by a decoder that shares no code with the library: docs/format.md is its source.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { unhex } from "./decoder/bytes.ts";
import { type Case, casesOf, decide, KINDS } from "./decoder/case.ts";
import { encodePlaintext, padded } from "./decoder/segment.ts";

for (const kind of Object.keys(KINDS)) {
  test(`${kind}: what is valid decodes to its result and encodes to its bytes`, async () => {
    const valid = casesOf(kind).filter(({ expect }) => expect === "ok");
    assert.ok(valid.length > 0);
    for (const one of valid) {
      const { expect, result, encoded } = await decide(kind, one.input);
      assert.equal(expect, "ok", one.name);
      assert.deepEqual(result, one.result, one.name);
      if (encoded !== null) assert.ok(isInInput(encoded, one), `${one.name}: encodes to ${encoded}`);
    }
  });

  test(`${kind}: what is invalid is refused for the reason that is stated`, async () => {
    const invalid = casesOf(kind).filter(({ expect }) => expect !== "ok");
    assert.ok(invalid.length > 0);
    for (const one of invalid) {
      const { expect } = await decide(kind, one.input);
      assert.equal(expect, one.expect, `${one.name}: ${one.reason}`);
    }
  });
}

test("every vector file is decided here", () => {
  // What a space comes to takes a whole engine: tests/states.rs and tests/node/states.test.ts. Of what is handed to outsiders stemma/verify is a second reader: tests/node/verify.test.ts.
  const elsewhere = ["states.json", "blocks.json", "evidence.json"];
  const files = readdirSync(new URL(".", import.meta.url)).filter((file) => file.endsWith(".json") && !elsewhere.includes(file));
  assert.deepEqual(files.sort(), Object.keys(KINDS).map((kind) => `${kind}.json`).sort());
});

test("the library pads as the format says", async () => {
  const own = casesOf("changesets").filter(({ name }) => name.endsWith("by the library"));
  assert.equal(own.length, 2);
  for (const { name, result } of own) {
    const { header, skeleton_body, content_body } = result as Padded;
    for (const [segment, body] of [[header.skeleton, skeleton_body], [header.content, content_body]] as const) {
      const plain = encodePlaintext(unhex(body), 0);
      assert.equal(segment.len - 32, padded(plain.length), name);
    }
  }
});

interface Padded {
  header: { skeleton: { len: number }; content: { len: number } };
  skeleton_body: string;
  content_body: string;
}

/** Tokens stand somewhere in a text, all else is the whole of a field. */
function isInInput(encoded: string, { input }: Case): boolean {
  return "text" in input ? input.text.includes(encoded) : Object.values(input).includes(encoded);
}
