// Single changesets of a space: caught on their way into storage, and written as exports of one changeset each, which
// `space.import` takes. The formats are those of docs/format.md: tail records, and exports.

import type { OpenOptions } from "stemma";

type Storage = Exclude<OpenOptions["storage"], string | { dir: string } | undefined>;

/** A store in memory that keeps what was appended for whoever wants to take it. */
export function catchingStorage(): Storage & { take(): Uint8Array[] } {
  const stores = new Map<string, Map<string, Uint8Array>>();
  const store = (name: string) => {
    let records = stores.get(name);
    if (!records) stores.set(name, (records = new Map()));
    return records;
  };
  let [count, caught] = [0, [] as Uint8Array[]];
  return {
    secrets: "plain",
    async open() {},
    entries: async (name) => [...store(name)],
    read: async () => [],
    async commit({ append = [], put = [], delete: gone = [] }) {
      for (const [name, key] of gone) store(name).delete(key);
      for (const [name, key, value] of put) store(name).set(key, value);
      caught.push(...append);
      return append.map(() => ++count);
    },
    async close() {},
    async destroy() {},
    take() {
      const records = caught;
      caught = [];
      return records.flatMap(rows);
    },
  };
}

/** `received_ms varint | list of row bytes` */
function rows(record: Uint8Array): Uint8Array[] {
  const reader = new Reader(record);
  reader.varint();
  return Array.from({ length: reader.varint() }, () => reader.bytes());
}

/** What stands in front of the number of rows in every export of a space: `empty` is one of it without a changeset. */
export function exportOf(empty: Uint8Array, rows: readonly Uint8Array[]): Uint8Array {
  const parts = [empty.subarray(0, empty.length - 1), varint(rows.length), ...rows.flatMap((row) => [varint(row.length), row])];
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** The row in an export of one changeset. */
export function rowOf(exported: Uint8Array): Uint8Array {
  const reader = new Reader(exported, MAGIC_AND_VERSION_BYTES);
  reader.bytes(); // genesis
  reader.varint();
  return reader.bytes();
}

const MAGIC_AND_VERSION_BYTES = 9;

class Reader {
  #at: number;
  readonly #of: Uint8Array;

  constructor(of: Uint8Array, at = 0) {
    this.#of = of;
    this.#at = at;
  }

  varint(): number {
    for (let [value, scale] = [0, 1]; ; scale *= 128) {
      const byte = this.#of[this.#at++] as number;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  bytes(): Uint8Array {
    const length = this.varint();
    return this.#of.subarray(this.#at, (this.#at += length));
  }
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return new Uint8Array([...bytes, value]);
}
