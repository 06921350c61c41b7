// The sealed half of a changeset: opened with the key of its epoch, freed of its padding.

import { concat, hex, u64 } from "./bytes.ts";
import { derive, epochKey, hash, open } from "./crypto.ts";
import { check } from "./fault.ts";
import type { Header } from "./header.ts";
import { Reader, U32 } from "./reader.ts";
import { Writer } from "./writer.ts";

export const SKELETON = 0;
export const CONTENT = 1;

const SALT_BYTES = 16;

export function segmentHash(kind: number, segment: Uint8Array): string {
  return hex(hash("seg-hash", Uint8Array.of(kind), segment));
}

/** The plaintext; `secret` is the epoch's. */
export async function openSegment(
  kind: number,
  segment: Uint8Array,
  header: Header,
  secret: Uint8Array,
): Promise<Uint8Array> {
  const salt = segment.subarray(0, SALT_BYTES);
  const place = [header.space, header.actor, u64(header.seq), Uint8Array.of(kind), salt];
  const okm = derive(epochKey(header.space, secret), 44, "seg-key", ...place);
  const bound = hash("seg-aad", header.bytes.subarray(0, header.boundAt), Uint8Array.of(kind));
  const plain = await open(okm.subarray(0, 32), okm.subarray(32), segment.subarray(SALT_BYTES), bound);
  check(plain !== null, "sealed", "does not open");
  return plain;
}

export function decodePlaintext(plain: Uint8Array): Uint8Array {
  const r = new Reader(plain);
  const codec = r.u8();
  check(codec === 0, "unsupported", `codec ${codec}`);
  const body = r.bytes(U32);
  check(r.raw(r.left).every((byte) => byte === 0), "invalid", "padding that is not zero");
  return body;
}

/** With zeros up to `length`. */
export function encodePlaintext(body: Uint8Array, length: number): Uint8Array {
  const plain = Writer.of((w) => w.u8(0).bytes(body));
  return concat(plain, new Uint8Array(Math.max(0, length - plain.length)));
}

/** Where this library pads a plaintext to: PADME, 64 bytes at least. */
export function padded(length: number): number {
  const exponent = Math.floor(Math.log2(length));
  const unit = 2 ** (exponent - Math.floor(Math.log2(exponent)) - 1);
  return Math.max(64, Math.ceil(length / unit) * unit);
}
