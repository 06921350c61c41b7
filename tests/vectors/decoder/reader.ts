// The primitives of the format, read. Every read has a maximum, and what is not the one encoding of a thing is refused.

import { compare, hex } from "./bytes.ts";
import { check, Fault } from "./fault.ts";

export const U32 = 2 ** 32 - 1;
export const SAFE = Number.MAX_SAFE_INTEGER;
export const ENTRIES_BYTES = 16_384;
export const BIGINT_BYTES = 1_024;

/** Tag and value; bit 0 of the tag = critical. */
export type Entry = [bigint, Uint8Array];

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Reads the whole of `bytes` as one thing. */
  static whole<T>(bytes: Uint8Array, read: (reader: Reader) => T): T {
    const reader = new Reader(bytes);
    const thing = read(reader);
    check(reader.left === 0, "trailing", `${reader.left} bytes left`);
    return thing;
  }

  get at(): number {
    return this.#at;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  raw(length: number): Uint8Array {
    check(length <= this.left, "truncated", `${length} bytes at ${this.#at}, ${this.left} left`);
    const part = this.#bytes.slice(this.#at, this.#at + length);
    this.#at += length;
    return part;
  }

  hex(length: number): string {
    return hex(this.raw(length));
  }

  u8(): number {
    return this.raw(1)[0] as number;
  }

  /** One of 0 to `max`. */
  choice(max: number): number {
    const n = this.u8();
    check(n <= max, "unknown", `${n} is above ${max}`);
    return n;
  }

  varint(max = 2n ** 64n - 1n): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.u8();
      check(shift < 63n || byte <= 1, "over-limit", "2^64 or more");
      value |= BigInt(byte & 0x7f) << shift;
      if (byte >= 0x80) continue;
      check(byte !== 0 || shift === 0n, "non-minimal", "a varint that ends in zeros");
      check(value <= max, "over-limit", `${value} is above ${max}`);
      return value;
    }
  }

  /** A varint that is exact as a number. */
  number(max: number): number {
    return Number(this.varint(BigInt(max)));
  }

  zigzag(): number {
    const n = this.varint(2n ** 54n - 2n);
    return Number(n % 2n === 0n ? n / 2n : -(n + 1n) / 2n);
  }

  bytes(max = U32): Uint8Array {
    return this.raw(this.number(max));
  }

  string(max = U32): string {
    return decodeUtf8(this.bytes(max));
  }

  /** `bytesMin` is the least an item takes: a count that cannot be true is refused before anything is made of it. */
  list<T>(max: number, bytesMin: number, item: () => T): T[] {
    const count = this.number(max);
    check(count * bytesMin <= this.left, "truncated", `${count} items in ${this.left} bytes`);
    const items: T[] = [];
    while (items.length < count) items.push(item());
    return items;
  }

  /** Digits of the magnitude behind `0x`, a minus in front. */
  bigint(): string {
    const header = this.number(2 * BIGINT_BYTES + 1);
    if (header === 0) return "0x00";
    check(header !== 1, "non-minimal", "zero with a sign");
    const magnitude = this.raw(header >> 1);
    check(magnitude[0] !== 0, "non-minimal", "a bigint with leading zeros");
    return `${header % 2 === 1 ? "-" : ""}0x${hex(magnitude)}`;
  }

  tlv(max = ENTRIES_BYTES): Entry[] {
    return Reader.whole(this.bytes(max), (inner) => {
      const entries: Entry[] = [];
      while (inner.left > 0) {
        const tag = inner.varint();
        const before = entries.at(-1);
        check(before === undefined || before[0] < tag, "unsorted", `entry ${tag}`);
        entries.push([tag, inner.bytes()]);
      }
      return entries;
    });
  }

  /** Ids that stand in ascending order, each once. */
  ascending(max: number): string[] {
    const ids = this.list(max, 32, () => this.raw(32));
    ids.reduce((before, id) => {
      check(compare(before, id) < 0, "unsorted", hex(id));
      return id;
    }, new Uint8Array());
    return ids.map(hex);
  }
}

export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new Fault("utf-8", hex(bytes.subarray(0, 32)));
  }
}

export function isCritical([tag]: Entry): boolean {
  return tag % 2n === 1n;
}

/** Refuses entries that only a later version understands; `known` are types. */
export function checkEntries(entries: Entry[], ...known: bigint[]): void {
  for (const entry of entries) {
    const later = isCritical(entry) && !known.includes(entry[0] >> 1n);
    check(!later, "unsupported", `critical entry ${entry[0]}`);
  }
}
