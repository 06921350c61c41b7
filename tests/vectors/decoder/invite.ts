// The token that lets a newcomer in: in a text, with a check sum, a chain to an invite and the secret behind it.

import { concat, hex, same } from "./bytes.ts";
import type { Certificate } from "./certificate.ts";
import { type Author, encodeChain, type Invite, readChain, verifyChain } from "./chain.ts";
import { ed25519Public, hash } from "./crypto.ts";
import { check } from "./fault.ts";
import { decodeGenesis, encodeGenesis, type Genesis } from "./genesis.ts";
import { Reader } from "./reader.ts";
import { Writer } from "./writer.ts";

export interface Token {
  genesis: Genesis;
  chain: Certificate[];
  terms: Invite;
  secret: Uint8Array;
  epochs: Uint8Array[];
  name_key: Uint8Array;
  relays: string[];
}

const PREFIX = "stemma1.";
const TOKEN_BYTES = 16_384;
const EPOCHS = 64;
const RELAYS = 16;
const RELAY_BYTES = 2_048;
const CHECK_BYTES = 4;

export function decodeToken(text: string): Token {
  const bytes = fromBase64(findToken(text));
  check(bytes.length >= CHECK_BYTES, "damaged", "shorter than its check sum");
  const body = bytes.subarray(0, -CHECK_BYTES);
  check(same(checkSum(body), bytes.subarray(-CHECK_BYTES)), "damaged", "the check sum does not fit");
  return Reader.whole(body, (r) => {
    const genesis = decodeGenesis(r.bytes());
    const chain = readChain(r);
    const secret = r.raw(32);
    const epochs = r.list(EPOCHS, 32, () => r.raw(32));
    check(epochs.length > 0, "invalid", "no epoch");
    check(new Set(epochs.map(hex)).size === epochs.length, "invalid", "an epoch twice");
    const name_key = r.raw(32);
    const relays = r.list(RELAYS, 1, () => r.string(RELAY_BYTES));
    check(r.left === 0, "trailing", `${r.left} bytes left`);
    const terms = termsOf(verifyChain(genesis, chain));
    check(same(ed25519Public(secret), terms.key), "secret", "belongs to another invite");
    return { genesis, chain, terms, secret, epochs, name_key, relays };
  });
}

export function encodeToken({ genesis, chain, secret, epochs, name_key, relays }: Token): string {
  const body = Writer.of((w) => {
    w.bytes(encodeGenesis(genesis)).raw(encodeChain(chain)).raw(secret);
    w.list(epochs, (epoch) => w.raw(epoch)).raw(name_key);
    w.list(relays, (relay) => w.string(relay));
  });
  return PREFIX + Buffer.from(concat(body, checkSum(body))).toString("base64url");
}

/** In the fragment of an address, or in a text that has none. */
function findToken(text: string): string {
  const fragment = text.slice(text.indexOf("#") + 1).trim();
  const start = fragment.indexOf(PREFIX);
  check(start >= 0, "no-token", text.slice(0, 64));
  const [token] = fragment.slice(start + PREFIX.length).split("&");
  return token as string;
}

function fromBase64(text: string): Uint8Array {
  check(text.length <= Math.ceil((TOKEN_BYTES * 4) / 3), "too-long", `${text.length} characters`);
  const bytes = Buffer.from(text, "base64url");
  check(bytes.toString("base64url") === text, "damaged", "not base64url");
  return bytes;
}

function checkSum(body: Uint8Array): Uint8Array {
  return hash("invite", body).subarray(0, CHECK_BYTES);
}

function termsOf({ invite, member }: Author): Invite {
  check(invite !== null && member === null, "no-invite", "the chain does not end at an invite");
  return invite;
}
