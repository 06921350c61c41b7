/** `stemma/verify` against the vectors: a second reader of what is handed to whoever has nothing of a space. Nothing altered passes for what it was. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { StemmaError } from "stemma";
import { verifyBlock, type VerifyBlockOptions, verifyConsistency, verifyEvidence, verifyProof } from "stemma/verify";
import { memberOf, rootOf } from "../../ts/certificate.ts";
import { canShare, isSigned, tag } from "../../ts/signed.ts";
import { random as randomness } from "./random.ts";

const SEED = Number(process.env["SEED"] ?? 20_261_127);

interface Case {
  readonly name: string;
  readonly input: any;
  readonly expect: string;
  readonly result?: any;
}

const casesOf = (name: string): Case[] => JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), "utf8"));
const bytes = (hex: string): Uint8Array<ArrayBuffer> => Uint8Array.from(Buffer.from(hex, "hex"));
const code = (expected: string, argument?: string) => (error: StemmaError) => error.code === expected && (argument === undefined || error.argument === argument);
const proof = (argument?: string) => (error: StemmaError) => error.code === "E_PROOF" && (argument === undefined || error.argument === argument);

test("blocks of the vectors are certified as everywhere, or name what does not fit", async () => {
  const cases = casesOf("blocks");
  for (const { name, input, expect, result } of cases) {
    const checked = verifyBlock(input.proof);
    if (expect === "ok") assert.deepEqual(await checked, result, name);
    else await assert.rejects(checked, proof(expect), `${name}: ${expect}`);
  }
  assert.ok(cases.filter(({ expect }) => expect === "ok").length >= 5 && cases.length > 35);
});

test("a set that is trusted is the one that is shown, and no other", async () => {
  const [{ input, result }] = casesOf("blocks").filter(({ name }) => name === "by weight") as [Case];
  const { validators } = input.proof;
  const [first, ...others] = validators;
  const list = validators.map(({ member, weight }: any) => (weight === 1 ? member : { member, weight }));
  for (const trusted of [validators, list, list.toReversed(), result.validators]) assert.deepEqual(await verifyBlock(input.proof, { validators: trusted }), result);
  const wrong = [[], others, [...validators, { member: "0".repeat(64) }], [{ ...first, weight: 9 }, ...others], result.nextValidators];
  for (const trusted of wrong) await assert.rejects(verifyBlock(input.proof, { validators: trusted as never }), proof("validators"), JSON.stringify(trusted));
});

test("whatever is not shaped as a proof of a block is refused by name", async () => {
  const [{ input }] = casesOf("blocks") as [Case];
  const wrong: [string, (copy: any) => void][] = [
    ["space", (copy) => (copy.space = copy.space.slice(2))],
    ["header", (copy) => (copy.header = 7)],
    ["header", (copy) => delete copy.header],
    ["round", (copy) => (copy.round = -1)],
    ["round", (copy) => (copy.round = 0.5)],
    ["signature", (copy) => (copy.round = 2 ** 40)],
    ["era", (copy) => (copy.era = "xy")],
    ["validators", (copy) => (copy.validators = {})],
    ["validators", (copy) => (copy.validators[0] = null)],
    ["validators", (copy) => (copy.validators = Array(257).fill(copy.validators[0]))],
    ["validators", (copy) => (copy.validators[0].weight = 0)],
    ["validators", (copy) => (copy.validators[0].weight = 2 ** 32)],
    ["weight", (copy) => (copy.validators[0].weight = "1")],
    ["member", (copy) => (copy.validators[0].member = 1)],
    ["genesis", (copy) => (copy.genesis = "")],
    ["genesis", (copy) => delete copy.genesis],
    ["certificate", (copy) => (copy.certificate = "all")],
    ["certificate", (copy) => (copy.certificate[0] = null)],
    ["certificate", (copy) => (copy.certificate = Array(257).fill(copy.certificate[0]))],
    ["actor", (copy) => (copy.certificate[0].actor += "00")],
    ["signature", (copy) => (copy.certificate[0].signature = "")],
    ["chain", (copy) => (copy.certificate[0].chain = null)],
  ];
  for (const [argument, change] of wrong) {
    const copy = structuredClone(input.proof);
    change(copy);
    await assert.rejects(verifyBlock(copy), proof(argument), `${argument}: ${change}`);
  }
  for (const nothing of [undefined, null, 1, "proof", [], {}]) await assert.rejects(verifyBlock(nothing), proof());
});

test("no flipped digit of a proof of a block passes", async () => {
  const random = randomness(SEED);
  for (const { name, input } of casesOf("blocks").filter(({ expect }) => expect === "ok")) {
    for (let round = 0; round < 150; round++) {
      const copy = structuredClone(input.proof);
      const [holder, field] = pick(texts(copy), random);
      const at = random(holder[field].length);
      const digit = ((Number.parseInt(holder[field][at], 16) + 1 + random(15)) % 16).toString(16);
      holder[field] = holder[field].slice(0, at) + digit + holder[field].slice(at + 1);
      await assert.rejects(verifyBlock(copy), proof(), `${name}: ${field}[${at}], SEED=${SEED}`);
    }
  }
});

test("evidence of the vectors shows what it shows everywhere, or names why it shows nothing", async () => {
  const cases = casesOf("evidence");
  const shown = new Set<string>();
  for (const { name, input, expect, result } of cases) {
    const checked = verifyEvidence(input.proof);
    // Whether a body can be read, and what a snapshot should say, only members see.
    const isForMembers = /^(a|what a|another) (body|snapshot|skeleton)/.test(name);
    if (isForMembers) {
      await assert.rejects(checked, code("E_UNSUPPORTED"), name);
    } else if (expect === "ok") {
      const { kind, actors, member, since, relay } = result;
      const seq = since === null ? {} : { seq: since };
      assert.deepEqual(await checked, { kind, space: input.proof.space, ...(relay ? { relay } : { actor: actors[0] }), ...seq, ...(member ? { member } : {}) }, name);
      shown.add(kind);
    } else {
      await assert.rejects(checked, expect === "unknown" ? code(name === "a later version" ? "E_PROOF" : "E_UNSUPPORTED") : proof(), `${name}: ${expect}`);
    }
  }
  assert.deepEqual([...shown].sort(), ["broken-lock", "double-block", "double-vote", "fork", "gap", "withheld"]);
  const twoActors = cases.find(({ name }) => name === "two votes of two actors")?.input.proof;
  const { genesis, ...without } = twoActors;
  await assert.rejects(verifyEvidence(without), code("E_UNSUPPORTED"), "nothing says where certificates begin");
  await assert.rejects(verifyEvidence({ ...twoActors, genesis: genesis.replace(/.$/, "1") }), proof("genesis"));
});

test("no flipped digit of evidence shows the same contradiction", async () => {
  const random = randomness(SEED);
  for (const { name, input, result } of casesOf("evidence").filter(({ expect, result }) => expect === "ok" && !result.kind.startsWith("bad"))) {
    const { evidence } = input.proof;
    for (let round = 0; round < 100; round++) {
      const at = random(evidence.length);
      const digit = ((Number.parseInt(evidence[at], 16) + 1 + random(15)) % 16).toString(16);
      const altered = { ...input.proof, evidence: evidence.slice(0, at) + digit + evidence.slice(at + 1) };
      // Every byte is signed, or is a signature; only the code of the kind may become one that is not known.
      await assert.rejects(verifyEvidence(altered), (error: StemmaError) => ["E_PROOF", "E_UNSUPPORTED"].includes(error.code), `${name}: ${at}, SEED=${SEED}, ${result.kind}`);
    }
  }
});

test("one rule for signatures, on every platform", async () => {
  for (const { name, input, expect } of casesOf("signatures")) {
    const holds = await isSigned(bytes(input.public), [tag(input.tag), bytes(input.message)], bytes(input.signature));
    assert.equal(holds, expect === "ok", name);
  }
  const weak = casesOf("keys").filter(({ input, expect }) => input.derive === "verify" && expect !== "ok");
  assert.ok(weak.length > 0);
  // The identity as R and 0 as S fit every message of a key of order 1.
  const identity = bytes(`01${"00".repeat(63)}`);
  for (const { name, input } of weak) assert.equal(await isSigned(bytes(input.public), [tag("vote")], identity), false, name);
  const shared = casesOf("keys").filter(({ input }) => input.derive === "agree");
  assert.ok(shared.length > 0);
  for (const { name, input, expect } of shared) assert.equal(canShare(bytes(input.public)), expect === "ok", name);
});

test("certificates lead to the members that they lead to everywhere", async () => {
  let actors = 0;
  const cases = casesOf("chains");
  const guest: string = cases.find(({ name }) => name === "a guest")?.result.actor;
  for (const { name, input, expect, result } of cases) {
    const genesis = bytes(input.genesis);
    const space = new Uint8Array(await crypto.subtle.digest("SHA-256", Uint8Array.from([...tag("genesis"), ...genesis])));
    // Most of those that are refused would lead to that one.
    const actor = bytes(result?.actor ?? guest);
    const found = rootOf(genesis, space).then((root) => memberOf(actor, bytes(input.chain), root, space));
    if (expect === "ok" && result.actor) {
      assert.equal(Buffer.from(await found).toString("hex"), result.member, name);
      actors++;
    } else {
      await assert.rejects(found, proof(), name);
    }
  }
  assert.ok(actors >= 3);
});

/** All texts in a proof, each with what it is in. */
function texts(of: any): [any, string][] {
  return Object.entries(of).flatMap(([key, value]): [any, string][] => (typeof value === "string" ? [[of, key]] : typeof value === "object" ? texts(value) : []));
}

function pick<T>(list: T[], random: (below: number) => number): T {
  return list[random(list.length)] as T;
}

test("a slip in what a check goes by is told, and lets nothing pass", async () => {
  const { input } = casesOf("blocks").find(({ expect }) => expect === "ok") as Case;
  const proven = await verifyBlock(input.proof);
  const members = proven.signers.map(({ member }) => member);
  await verifyBlock(input.proof, { validators: proven.validators.toUpperCase() });
  const slips: [unknown, string][] = [
    [members, "o"],
    [null, "o"],
    ["00".repeat(32), "o"],
    [{ validator: members }, "validator"],
    [{ validators: undefined }, "validators"],
    [{ validators: "" }, "validators"],
    [{ validators: [5, null] }, "validators"],
    [{ validators: [members[0], members[0]] }, "validators"],
    [{ validators: [{ member: members[0], weight: "1" }] }, "validators"],
  ];
  for (const [o, argument] of slips) {
    await assert.rejects(verifyBlock(input.proof, o as VerifyBlockOptions), code("E_ARGUMENT", argument), JSON.stringify(o));
  }
  for (const [o, argument] of [[members, "o"], [{ head: {} }, "head"], [{ root: undefined }, "root"]] as [unknown, string][]) {
    await assert.rejects(verifyProof({}, o as object), code("E_ARGUMENT", argument));
    await assert.rejects(verifyConsistency({}, o as object), code("E_ARGUMENT", argument));
  }
});
