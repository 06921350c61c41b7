// Suite 1. Signatures are checked by the strict rule: canonical A and R, neither of small order, S < L, and the
// equation itself, not the one times the cofactor that the curve library checks.

import { ed25519, x25519 } from "@noble/curves/ed25519.js";
import { expand, extract } from "@noble/hashes/hkdf.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256, sha512 } from "@noble/hashes/sha2.js";
import { bigOfLittle, concat, same } from "./bytes.ts";
import { check, Fault } from "./fault.ts";

const { Point } = ed25519;
const L = Point.Fn.ORDER;
const X25519_PRIME = 2n ** 255n - 19n;
/** Any scalar does: clamping makes it a multiple of 8. */
const PROBE = new Uint8Array(32).fill(9);

export function tag(name: string): Uint8Array {
  if (name.length > 8) throw new TypeError(`not a tag: ${name}`);
  return new TextEncoder().encode(`stemma/1${name.padEnd(8, "\0")}`);
}

export function hash(name: string, ...parts: Uint8Array[]): Uint8Array {
  return sha256(concat(tag(name), ...parts));
}

/** HMAC, of which every use takes 16 bytes. */
export function mac(key: Uint8Array, name: string, ...parts: Uint8Array[]): Uint8Array {
  return hmac(sha256, key, concat(tag(name), ...parts)).slice(0, 16);
}

export function epochKey(space: Uint8Array, secret: Uint8Array): Uint8Array {
  return extract(sha256, secret, space);
}

export function derive(epoch: Uint8Array, length: number, name: string, ...parts: Uint8Array[]): Uint8Array {
  return expand(sha256, epoch, concat(tag(name), ...parts), length);
}

export function kidOf(space: Uint8Array, secret: Uint8Array): Uint8Array {
  return derive(epochKey(space, secret), 16, "kid");
}

export function ed25519Public(seed: Uint8Array): Uint8Array {
  return ed25519.getPublicKey(seed);
}

export function x25519Public(seed: Uint8Array): Uint8Array {
  return x25519.getPublicKey(seed);
}

export function checkVerifyingKey(bytes: Uint8Array, kind = "key"): void {
  pointOf(bytes, kind);
}

export function checkAgreementKey(bytes: Uint8Array): void {
  check(bytes.length === 32 && bigOfLittle(bytes) < X25519_PRIME, "key", "not canonical");
  try {
    x25519.getSharedSecret(PROBE, bytes);
  } catch {
    throw new Fault("key", "of small order");
  }
}

/** Ed25519 over `tag(name) | parts`. */
export function checkSignature(key: Uint8Array, signature: Uint8Array, name: string, ...parts: Uint8Array[]): void {
  check(signature.length === 64, "signature", `${signature.length} bytes`);
  const point = pointOf(key, "signature");
  const r = signature.subarray(0, 32);
  pointOf(r, "signature");
  const s = bigOfLittle(signature.subarray(32));
  check(s < L, "signature", "S is not below the group order");
  const k = bigOfLittle(sha512(concat(r, key, tag(name), ...parts))) % L;
  const expected = Point.BASE.multiplyUnsafe(s).subtract(point.multiplyUnsafe(k));
  check(same(expected.toBytes(), r), "signature", "does not fit");
}

/** Null where it does not open. */
export async function open(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array, additional: Uint8Array) {
  const { subtle } = globalThis.crypto;
  const imported = await subtle.importKey("raw", concat(key), "AES-GCM", false, ["decrypt"]);
  const how = { name: "AES-GCM", iv: concat(nonce), additionalData: concat(additional), tagLength: 128 };
  return subtle.decrypt(how, imported, concat(sealed)).then(
    (plain) => new Uint8Array(plain),
    () => null,
  );
}

function pointOf(bytes: Uint8Array, kind: string) {
  let point: InstanceType<typeof Point>;
  try {
    point = Point.fromBytes(bytes, false);
  } catch {
    throw new Fault(kind, "not the encoding of a point");
  }
  check(same(point.toBytes(), bytes), kind, "not canonical");
  check(!point.isSmallOrder(), kind, "of small order");
  return point;
}
