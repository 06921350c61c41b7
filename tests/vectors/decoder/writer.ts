// The primitives of the format, written. It trusts its arguments: what it writes is compared with what was read.

import { concat, unhex } from "./bytes.ts";
import type { Entry } from "./reader.ts";

export class Writer {
  readonly #parts: Uint8Array[] = [];

  /** What `write` writes. */
  static of(write: (writer: Writer) => unknown): Uint8Array<ArrayBuffer> {
    const writer = new Writer();
    write(writer);
    return concat(...writer.#parts);
  }

  raw(bytes: Uint8Array): this {
    this.#parts.push(bytes);
    return this;
  }

  hex(text: string): this {
    return this.raw(unhex(text));
  }

  u8(n: number): this {
    return this.raw(Uint8Array.of(n));
  }

  varint(n: number | bigint): this {
    let rest = BigInt(n);
    for (; rest > 0x7fn; rest >>= 7n) this.u8(Number(rest & 0x7fn) | 0x80);
    return this.u8(Number(rest));
  }

  zigzag(n: number): this {
    return this.varint(n >= 0 ? 2n * BigInt(n) : -2n * BigInt(n) - 1n);
  }

  bytes(bytes: Uint8Array): this {
    return this.varint(bytes.length).raw(bytes);
  }

  string(text: string): this {
    return this.bytes(new TextEncoder().encode(text));
  }

  list<T>(items: readonly T[], item: (item: T) => unknown): this {
    this.varint(items.length);
    for (const one of items) item(one);
    return this;
  }

  bigint(text: string): this {
    const magnitude = text.replace(/^-?0x/, "");
    if (/^0*$/.test(magnitude)) return this.varint(0);
    return this.varint(magnitude.length + (text.startsWith("-") ? 1 : 0)).hex(magnitude);
  }

  tlv(entries: readonly Entry[]): this {
    return this.bytes(
      Writer.of((w) => {
        for (const [tag, value] of entries) w.varint(tag).bytes(value);
      }),
    );
  }
}
