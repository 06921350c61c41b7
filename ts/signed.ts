/**
 * What proofs are checked with: SHA-256 and Ed25519 of the platform, and readers that take anything and refuse with `E_PROOF` what is not as it should be.
 *
 * Invariant: one rule for signatures, that of the engine: encodings are canonical and no point is of small order. Platforms differ in that.
 */

import { StemmaError } from "./errors.js";

/** Whether a key signed a message that begins with a tag. */
export async function isSigned(key: Uint8Array<ArrayBuffer>, message: Uint8Array[], signature: Uint8Array<ArrayBuffer>): Promise<boolean> {
  if (!isStrict(key) || !isStrict(signature.slice(0, 32))) return false;
  const cipher = subtle();
  let imported: CryptoKey;
  try {
    imported = await cipher.importKey("raw", key, "Ed25519", false, ["verify"]);
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "NotSupportedError") {
      throw new StemmaError("E_UNSUPPORTED", "this platform does not check Ed25519 signatures", { cause });
    }
    return false;
  }
  return cipher.verify("Ed25519", imported, signature, joined(message));
}

export async function sha256(...parts: Uint8Array[]): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await subtle().digest("SHA-256", joined(parts)));
}

/** What stands in front of everything that is hashed or signed: `docs/format.md`, section 1. */
export function tag(name: string): Uint8Array {
  return new TextEncoder().encode(`stemma/1${name.padEnd(8, "\0")}`);
}

/** A number as so many bytes, little-endian. */
export function little(value: number, bytes: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(value), true);
  return new Uint8Array(view.buffer, 0, bytes);
}

/** Bytes as hex digits. */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

export function refused(argument: string, message: string): StemmaError {
  return new StemmaError("E_PROOF", message, { argument });
}

/** What a check goes by has to be what it looks like: a slip in it would let everything pass. */
export function checkTrusted(o: unknown, known: readonly string[]): void {
  if (typeof o !== "object" || o === null || Array.isArray(o)) throw new StemmaError("E_ARGUMENT", "o is not an object of options", { argument: "o" });
  for (const [name, value] of Object.entries(o)) {
    if (!known.includes(name)) throw new StemmaError("E_ARGUMENT", `unknown option ${JSON.stringify(name)}; known are ${known.join(", ")}`, { argument: name });
    if (value === undefined) throw new StemmaError("E_ARGUMENT", `${name} is undefined: leave it out if it is not to be compared`, { argument: name });
  }
}

/** Of a proof whatever it has, by name: nothing of it is believed. */
export type Fields = Record<string, unknown>;

export function fieldsOf(value: unknown, name: string): Fields {
  if (typeof value !== "object" || value === null) throw refused(name, `${name} is not an object`);
  const fields = value as Fields;
  if (name === "proof" && fields["version"] !== 1) throw refused("version", "the proof is of a version that is not known here");
  return fields;
}

export function countOf(fields: Fields, name: string): number {
  const value = fields[name];
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw refused(name, `${name} is not a count`);
  return value as number;
}

export function bytesOf(fields: Fields, name: string, length?: number): Uint8Array<ArrayBuffer> {
  const value = fields[name];
  if (typeof value !== "string" || value.length % 2 === 1 || value.length > 2 * BYTES_MAX || !/^[0-9a-f]*$/.test(value)) {
    throw refused(name, `${name} is not bytes as hex digits`);
  }
  if (length !== undefined && value.length !== 2 * length) throw refused(name, `${name} is not ${length} bytes`);
  return Uint8Array.from({ length: value.length / 2 }, (_, i) => Number.parseInt(value.slice(2 * i, 2 * i + 2), 16));
}

export function listOf(fields: Fields, name: string, most: number): readonly unknown[] {
  const list = fields[name];
  if (!Array.isArray(list) || list.length > most) throw refused(name, `${name} is not a list of ${most} at most`);
  return Array.from(list);
}

/** The longest header: what a changeset takes at most. */
const BYTES_MAX = 262_144;

/** Bytes that are read from front to back; what does not fit is refused by the name of what they are. */
export class Bytes {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #name: string;
  #at = 0;

  constructor(bytes: Uint8Array<ArrayBuffer>, name: string) {
    this.#bytes = bytes;
    this.#name = name;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  take(length: number): Uint8Array<ArrayBuffer> {
    if (length > this.left) throw refused(this.#name, `${this.#name} is cut off`);
    return this.#bytes.slice(this.#at, (this.#at += length));
  }

  byte(): number {
    return this.take(1)[0] as number;
  }

  /** Minimal, and `most` at most. */
  number(most = Number.MAX_SAFE_INTEGER): number {
    let value = 0;
    for (let i = 0; i < 8; i++) {
      const byte = this.byte();
      value += (byte & 127) * 128 ** i;
      if (byte < 128 && (byte > 0 || i === 0) && value <= most) return value;
      if (byte < 128) break;
    }
    throw refused(this.#name, `a number of ${this.#name} is not written as it should be`);
  }

  bytes(): Uint8Array<ArrayBuffer> {
    return this.take(this.number());
  }

  end(): void {
    if (this.left > 0) throw refused(this.#name, `${this.#name} is longer than it says`);
  }
}

/** Whether secrets can be shared by a key: no device has another one. */
export function canShare(key: Uint8Array): boolean {
  return (key[31] as number) < 128 && isLarge(hex(key), MONTGOMERY);
}

/** Whether an encoding of a point is its only one, and the point not of small order, for which a signature may fit every message. */
function isStrict(point: Uint8Array): boolean {
  const y = point.slice();
  y[31] = (y[31] as number) & 127;
  return isLarge(hex(y), EDWARDS);
}

/** Of a coordinate below the prime of the field, whether it is that of none of the points of order 8. */
function isLarge(digits: string, order8: readonly string[]): boolean {
  const isCanonical = !/^(e[d-f]|f.)f{60}7f$/.test(digits);
  return isCanonical && !/^(0[01]0{62}|ecf{60}7f)$/.test(digits) && !order8.includes(digits);
}

const EDWARDS = ["26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"];
const MONTGOMERY = ["e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800", "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"];

function subtle(): SubtleCrypto {
  const found = globalThis.crypto?.subtle;
  if (!found) throw new StemmaError("E_UNSUPPORTED", "this page has no crypto.subtle: its origin is not secure");
  return found;
}

function joined(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
