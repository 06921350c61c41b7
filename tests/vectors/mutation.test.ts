// The decoder checks itself: valid bytes with something altered are refused, or are another thing that encodes to
// exactly the altered bytes. Whatever it is given, it throws nothing but its own faults.

import assert from "node:assert/strict";
import { test } from "node:test";
import { concat, hex, unhex } from "./decoder/bytes.ts";
import { type Case, casesOf, decide } from "./decoder/case.ts";
import { decodeCertificate, encodeCertificate } from "./decoder/certificate.ts";
import { decodeRow, encodeRow } from "./decoder/changeset.ts";
import { decodeContent, encodeContent } from "./decoder/content.ts";
import { Fault } from "./decoder/fault.ts";
import { decodeGenesis, encodeGenesis } from "./decoder/genesis.ts";
import { decodeSkeleton, encodeSkeleton } from "./decoder/skeleton.ts";
import { decodeValue, writeValue } from "./decoder/value.ts";
import { Writer } from "./decoder/writer.ts";

const SEED = Number(process.env.SEED ?? 20_261_121);
const ALTERED_PER_CASE = 400;
const FLIPPED_PER_SIGNATURE = 12;

type Recode = (bytes: Uint8Array, input: Case["input"]) => Uint8Array;

/** Decoding and encoding without any signature: it would refuse every alteration before the decoder sees it. */
const RECODE: Record<string, { field: string; recode: Recode }> = {
  genesis: { field: "bytes", recode: (bytes) => encodeGenesis(decodeGenesis(bytes)) },
  certificates: { field: "bytes", recode: (bytes) => encodeCertificate(decodeCertificate(bytes)) },
  values: {
    field: "bytes",
    recode: (bytes) => {
      const value = decodeValue(bytes);
      return Writer.of((w) => writeValue(w, value));
    },
  },
  skeletons: {
    field: "bytes",
    recode: (bytes, { class: cls, deps }) => encodeSkeleton(decodeSkeleton(bytes, cls, deps), deps),
  },
  contents: {
    field: "bytes",
    recode: (bytes, { skeleton: { bytes: beside, class: cls, deps } }) =>
      encodeContent(decodeContent(bytes, decodeSkeleton(unhex(beside), cls, deps))),
  },
  changesets: { field: "row", recode: (bytes) => encodeRow(decodeRow(bytes)) },
};

for (const [kind, { field, recode }] of Object.entries(RECODE)) {
  test(`${kind}: altered bytes are refused or are another thing`, () => {
    const random = randomness(SEED);
    const counts = { accepted: 0, refused: 0 };
    for (const { name, input } of casesOf(kind).filter(({ expect }) => expect === "ok")) {
      const bytes = unhex(input[field]);
      const altered = [...flips(bytes), ...Array.from({ length: ALTERED_PER_CASE }, () => alter(bytes, random))];
      for (const one of altered) {
        try {
          const encoded = recode(one, input);
          assert.equal(hex(encoded), hex(one), `${name}, SEED=${SEED}`);
          counts.accepted += 1;
        } catch (error) {
          if (!(error instanceof Fault)) throw new Error(`${name}: ${hex(one)}, SEED=${SEED}`, { cause: error });
          counts.refused += 1;
        }
      }
    }
    assert.ok(counts.accepted > 0 && counts.refused > 0, JSON.stringify(counts));
  });
}

const SIGNED = { certificates: "bytes", chains: "chain", signatures: "message", logins: "signature" };

for (const [kind, field] of Object.entries(SIGNED)) {
  test(`${kind}: no flipped bit is signed`, async () => {
    const random = randomness(SEED);
    for (const { name, input } of casesOf(kind).filter(({ expect }) => expect === "ok")) {
      for (const flipped of someFlips(unhex(input[field]), random)) {
        const outcome = await decide(kind, { ...input, [field]: hex(flipped) });
        assert.notEqual(outcome.expect, "ok", `${name}: ${hex(flipped)}, SEED=${SEED}`);
      }
    }
  });
}

test("invites: no altered character is overlooked", async () => {
  const random = randomness(SEED);
  for (const { name, input } of casesOf("invites").filter(({ expect }) => expect === "ok")) {
    const start = input.text.indexOf("stemma1.");
    const end = input.text.includes("&") ? input.text.indexOf("&") : input.text.length;
    for (let n = 0; n < ALTERED_PER_CASE; n++) {
      const at = start + random(end - start);
      const code = input.text.charCodeAt(at) ^ (1 << random(7));
      // An "&" ends the token earlier, and the check sum says so.
      const text = input.text.slice(0, at) + String.fromCharCode(code) + input.text.slice(at + 1);
      const outcome = await decide("invites", { text });
      assert.ok(["no-token", "damaged"].includes(outcome.expect), `${name}: ${text}, SEED=${SEED}`);
    }
  }
});

test("changesets: a flipped bit is refused, or a segment counts as missing", async () => {
  const random = randomness(SEED);
  for (const { name, input, result } of casesOf("changesets").filter(({ expect }) => expect === "ok")) {
    for (const flipped of someFlips(unhex(input.row), random)) {
      const outcome = await decide("changesets", { ...input, row: hex(flipped) });
      const where = `${name}: ${hex(flipped)}, SEED=${SEED}`;
      if (outcome.expect !== "ok") {
        assert.match(outcome.expect, /^(decode: |verify: signature|pending: (missing|unsupported))/, where);
        continue;
      }
      const [before, after] = [result, outcome.result] as { header: unknown; damaged: boolean; content: unknown }[];
      assert.deepEqual(after?.header, before?.header, where);
      assert.deepEqual(after?.content, { absent: "missing" }, where);
    }
  }
});

/** Every bit, one at a time. */
function* flips(bytes: Uint8Array): Generator<Uint8Array> {
  for (let bit = 0; bit < bytes.length * 8; bit++) yield flip(bytes, bit);
}

function someFlips(bytes: Uint8Array, random: (below: number) => number): Uint8Array[] {
  return Array.from({ length: FLIPPED_PER_SIGNATURE }, () => flip(bytes, random(bytes.length * 8)));
}

function flip(bytes: Uint8Array, bit: number): Uint8Array {
  const flipped = bytes.slice();
  flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
  return flipped;
}

/** One to three bytes set, left out or put in. */
function alter(bytes: Uint8Array, random: (below: number) => number): Uint8Array {
  let altered = bytes;
  for (let n = 1 + random(3); n > 0; n--) {
    const at = random(altered.length + 1);
    const [before, after] = [altered.subarray(0, at), altered.subarray(at)];
    const how = random(3);
    const fresh = how === 0 ? [] : [random(2) === 0 ? random(256) : random(8)];
    altered = concat(before, Uint8Array.from(fresh), after.subarray(how === 2 ? 0 : 1));
  }
  return altered;
}

/** Numbers below what is asked for; a linear congruence is random enough to choose bits. */
function randomness(seed: number): (below: number) => number {
  let state = BigInt(seed);
  return (below) => {
    state = (state * 6_364_136_223_846_793_005n + 1_442_695_040_888_963_407n) % 2n ** 64n;
    return Number((state >> 33n) % BigInt(below));
  };
}
