/** Reads values as they are signed and stored: `docs/format.md`, section 6. Pure JavaScript, for whoever has no engine. */

import { assign, type Value } from "./value.js";

/** The value that fills the bytes. Throws a `RangeError` for what is none: cut off, too deep, longer than it says. */
export function decodeValue(bytes: Uint8Array): Value {
  const reader = new EncodedReader(bytes);
  const value = reader.value(0);
  if (reader.at !== bytes.length) throw new RangeError("something stands behind the value");
  return value;
}

/** Values are nested up to 100 levels, and a statement is some more around one. */
const DEPTH_MAX = 110;

class EncodedReader {
  at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  value(depth: number): Value {
    if (depth > DEPTH_MAX) throw new RangeError("the value is nested too deep");
    const tag = this.#take(1)[0];
    switch (tag) {
      case 0:
        return null;
      case 1:
      case 2:
        return tag === 2;
      case 3: {
        const coded = this.#varint();
        return Number(coded & 1n ? -(coded >> 1n) - 1n : coded >> 1n);
      }
      case 4: {
        const raw = this.#take(8);
        return new DataView(raw.buffer, raw.byteOffset).getFloat64(0, true);
      }
      case 5:
        return this.#string();
      case 6:
        return this.#take(this.#count()).slice();
      case 7:
        return Array.from({ length: this.#count() }, () => this.value(depth + 1));
      case 8: {
        const object: Record<string, Value> = {};
        for (let left = this.#count(); left > 0; left--) assign(object, this.#string(), this.value(depth + 1));
        return object;
      }
      case 9: {
        const header = this.#varint();
        const size = this.#take(Number(header >> 1n)).reduce((size, byte) => (size << 8n) | BigInt(byte), 0n);
        return header & 1n ? -size : size;
      }
      default:
        throw new RangeError(`no value begins with ${tag}`);
    }
  }

  #string(): string {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.#take(this.#count()));
  }

  /** How many bytes, items or entries: each takes a byte at least. */
  #count(): number {
    const count = Number(this.#varint());
    if (count > this.#bytes.length - this.at) throw new RangeError("the value is cut off");
    return count;
  }

  #varint(): bigint {
    for (let value = 0n, shift = 0n; shift < 64n; shift += 7n) {
      const byte = BigInt(this.#take(1)[0] as number);
      value |= (byte & 127n) << shift;
      if (byte < 128n) return value;
    }
    throw new RangeError("a number is too long");
  }

  #take(count: number): Uint8Array {
    const end = this.at + count;
    if (end > this.#bytes.length) throw new RangeError("the value is cut off");
    const bytes = this.#bytes.subarray(this.at, end);
    this.at = end;
    return bytes;
  }
}
