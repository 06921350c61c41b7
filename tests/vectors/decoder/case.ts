// The cases of the vector files, and what the decoder makes of each: a result, or a fault.

import { readFileSync } from "node:fs";
import { concat, hex, unhex } from "./bytes.ts";
import { checkCertificate, decodeCertificate, encodeCertificate } from "./certificate.ts";
import { decodeChain, encodeChain, verifyChain } from "./chain.ts";
import { encodeRow, judge } from "./changeset.ts";
import { confirmed, decodeContent, encodeContent } from "./content.ts";
import * as crypto from "./crypto.ts";
import * as describe from "./describe.ts";
import { check, Fault } from "./fault.ts";
import { decodeGenesis, encodeGenesis } from "./genesis.ts";
import { decodeToken, encodeToken } from "./invite.ts";
import { checkConsistency, checkInclusion, rootOf } from "./merkle.ts";
import { childId, nameId, objectId } from "./names.ts";
import { openPersonal, personSecret } from "./person.ts";
import { decodePlaintext, encodePlaintext } from "./segment.ts";
import { decodeSkeleton, encodeSkeleton } from "./skeleton.ts";
import { decodeStatement } from "./statement.ts";
import { decodeValue, writeValue } from "./value.ts";
import { Writer } from "./writer.ts";

/** The files are data; each kind below knows its own. */
type Input = any;

export interface Case {
  name: string;
  what?: string;
  reason?: string;
  input: Input;
  expect: string;
  result?: unknown;
}

export interface Outcome {
  expect: string;
  result?: unknown;
  /** The bytes of the input, made from what was decoded; null where there are none. */
  encoded: string | null;
}

type Decode = (input: Input) => Promise<Omit<Outcome, "expect">> | Omit<Outcome, "expect">;

export const KINDS: Record<string, Decode> = {
  keys: async (input) => ({ result: await deriveKey(input), encoded: null }),
  signatures: ({ public: key, tag, message, signature }) => {
    crypto.checkSignature(unhex(key), unhex(signature), tag, unhex(message));
    return { result: "valid", encoded: null };
  },
  genesis: ({ bytes }) => {
    const genesis = decodeGenesis(unhex(bytes));
    return { result: describe.describeGenesis(genesis), encoded: hex(encodeGenesis(genesis)) };
  },
  certificates: ({ bytes }) => {
    const certificate = decodeCertificate(unhex(bytes));
    checkCertificate(certificate);
    return { result: describe.describeCertificate(certificate), encoded: hex(encodeCertificate(certificate)) };
  },
  chains: ({ genesis, chain }) => {
    const decoded = decodeChain(unhex(chain));
    const author = verifyChain(decodeGenesis(unhex(genesis)), decoded);
    return { result: describe.describeAuthor(author), encoded: hex(encodeChain(decoded)) };
  },
  invites: ({ text }) => {
    const token = decodeToken(text);
    return { result: describe.describeToken(token), encoded: encodeToken(token) };
  },
  logins: ({ actor, relay, nonce, client_nonce, proofs, signature }) => {
    const proof = Writer.of((w) => {
      for (const { genesis, chain } of proofs) w.bytes(unhex(genesis)).bytes(unhex(chain));
    });
    const message = concat(unhex(relay), unhex(nonce), unhex(client_nonce), crypto.hash("login", proof));
    crypto.checkSignature(unhex(actor), unhex(signature), "login", message);
    return { result: "valid", encoded: null };
  },
  merkle: ({ leaves, leaf, index, earlier, size, path, root }) => {
    if (leaves) return { result: hex(rootOf(leaves.map(unhex))), encoded: null };
    const [later, beside] = [{ size, root: unhex(root) }, path.map(unhex)];
    if (earlier) checkConsistency({ size: earlier.size, root: unhex(earlier.root) }, later, beside);
    else checkInclusion(unhex(leaf), index, size, beside, later.root);
    return { result: "valid", encoded: null };
  },
  statements: (input) => ({ result: decodeStatement(input), encoded: null }),
  values: ({ bytes }) => {
    const value = decodeValue(unhex(bytes));
    return { result: value, encoded: hex(Writer.of((w) => writeValue(w, value))) };
  },
  skeletons: ({ bytes, class: cls, deps }) => {
    const skeleton = decodeSkeleton(unhex(bytes), cls, deps);
    return { result: describe.describeSkeleton(skeleton), encoded: hex(encodeSkeleton(skeleton, deps)) };
  },
  contents: ({ bytes, skeleton: beside, name_key }) => {
    const skeleton = decodeSkeleton(unhex(beside.bytes), beside.class, beside.deps);
    const content = decodeContent(unhex(bytes), skeleton);
    const result = {
      content: describe.describeContent(content),
      confirmed: confirmed(content, skeleton, unhex(name_key)),
    };
    return { result, encoded: hex(encodeContent(content)) };
  },
  changesets: async ({ row, genesis, epochs }) => {
    const changeset = await judge(unhex(row), unhex(genesis), epochs.map(unhex));
    if (changeset === null) return { result: null, encoded: null };
    const { skeleton, content, skeletonPlain, contentPlain } = changeset;
    checkPlain(skeletonPlain, encodeSkeleton(skeleton, changeset.row.header.deps.length));
    const isRead = content !== null && contentPlain !== null && !("absent" in content);
    if (isRead) checkPlain(contentPlain, encodeContent(content));
    return { result: describe.describeChangeset(changeset), encoded: hex(encodeRow(changeset.row)) };
  },
};

export function casesOf(kind: string): Case[] {
  return JSON.parse(readFileSync(new URL(`../${kind}.json`, import.meta.url), "utf8"));
}

/** Only a fault of the decoder's own is an outcome; anything else it throws is a defect of it. */
export async function decide(kind: string, input: Input): Promise<Outcome> {
  const decode = KINDS[kind];
  if (decode === undefined) throw new TypeError(`no such file: ${kind}`);
  try {
    return { expect: "ok", ...(await decode(input)) };
  } catch (error) {
    if (error instanceof Fault) return { expect: error.kind, encoded: null };
    throw error;
  }
}

async function deriveKey(input: Input): Promise<string | undefined> {
  const key = () => unhex(input.name_key);
  switch (input.derive) {
    case "kid":
      return hex(crypto.kidOf(unhex(input.space), unhex(input.epoch)));
    case "name":
      return hex(nameId(key(), input.sort, unhex(input.clear)));
    case "object":
      return hex(objectId(key(), input.kind, unhex(input.options), input.name));
    case "child":
      return hex(childId(key(), unhex(input.parent), unhex(input.key), input.kind, unhex(input.options)));
    case "ed25519":
      return hex(crypto.ed25519Public(unhex(input.seed)));
    case "x25519":
      return hex(crypto.x25519Public(unhex(input.seed)));
    case "person":
      return hex(crypto.kidOf(unhex(input.space), personSecret(unhex(input.key), unhex(input.member), unhex(input.payload))));
    case "personal":
      return hex(await openPersonal(unhex(input.space), personSecret(unhex(input.key), unhex(input.member), unhex(input.payload)), unhex(input.sealed)));
    case "verify":
      return void crypto.checkVerifyingKey(unhex(input.public));
    case "agree":
      return void crypto.checkAgreementKey(unhex(input.public));
    default:
      throw new TypeError(`no such derivation: ${input.derive}`);
  }
}

/** A plaintext is its body and zeros, and the body is what encoding gives. */
function checkPlain(plain: Uint8Array, body: Uint8Array): void {
  check(hex(decodePlaintext(plain)) === hex(body), "differs", "a body");
  check(hex(encodePlaintext(body, plain.length)) === hex(plain), "differs", "a padding");
}
