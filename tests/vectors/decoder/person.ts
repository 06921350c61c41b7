// What is about a person: its key, and what is sealed under that.

import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { concat, same } from "./bytes.ts";
import { derive, epochKey, hash, kidOf, open, tag } from "./crypto.ts";
import { check } from "./fault.ts";
import { Reader, U32 } from "./reader.ts";

export function personSecret(key: Uint8Array, member: Uint8Array, payload: Uint8Array): Uint8Array {
  return hmac(sha256, key, concat(tag("personal"), member, payload));
}

/** The bytes of the value. */
export async function openPersonal(space: Uint8Array, secret: Uint8Array, sealed: Uint8Array): Promise<Uint8Array> {
  const [kid, salt, rest] = [sealed.subarray(0, 16), sealed.subarray(16, 32), sealed.subarray(32)];
  check(same(kid, kidOf(space, secret)), "sealed", "under another key");
  const okm = derive(epochKey(space, secret), 44, "personal", space, salt);
  const plain = await open(okm.subarray(0, 32), okm.subarray(32), rest, hash("personal", space, kid));
  check(plain !== null, "sealed", "does not open");
  const r = new Reader(plain);
  const body = r.bytes(U32);
  check(r.raw(r.left).every((byte) => byte === 0), "invalid", "padding that is not zero");
  return body;
}
