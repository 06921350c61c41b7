// Bytes of the file store: frames that show whether they were written whole, and the records inside them.
//
//   frame       length u32 LE | crc32 of the record u32 LE | record, never empty
//   commit      first varint | append: list of bytes | put: list of (store u8, key string, value bytes)
//               | delete: list of (store u8, key string)
//   checkpoint  version u8 = 2 | segment varint | offset varint | next varint | stale varint | firsts: list of varint
//               | list of (store u8, key string, value bytes)
//
// `first` is the number of the first appended record, or of the next one if the commit appends none. Lists, strings and
// varints are those of docs/format.md §1. Decoders take any bytes and answer `undefined` to what is malformed.

import { crc32 } from "node:zlib";
import { STORE_NAMES, type StoreName } from "../storage.js";

export type Put = [StoreName, string, Uint8Array];

export interface Commit {
  first: number;
  append: Uint8Array[];
  put: Put[];
  delete: [StoreName, string][];
}

/** All records of the keyed stores as they were at one place of the log. */
export interface Checkpoint {
  segment: number;
  offset: number;
  next: number;
  /** Bytes of snapshots in the log. */
  stale: number;
  /** By segment, the number of the first record that is in it, or of the next one if none is. */
  firsts: number[];
  records: Put[];
}

export const FRAME_HEAD_BYTES = 8;

export function encodeFrame(record: Uint8Array): Uint8Array {
  const frame = new Uint8Array(FRAME_HEAD_BYTES + record.length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, record.length, true);
  view.setUint32(4, crc32(record), true);
  frame.set(record, FRAME_HEAD_BYTES);
  return frame;
}

/** The record of the frame at `offset`; `end` is where the frame ends by its own word, right or wrong. */
export function decodeFrame(bytes: Uint8Array, offset: number): { record?: Uint8Array; end: number } {
  if (bytes.length - offset < FRAME_HEAD_BYTES) return { end: bytes.length };
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset);
  const start = offset + FRAME_HEAD_BYTES;
  const end = start + view.getUint32(0, true);
  // A file system may leave zeros where bytes were to come, and nothing has the checksum 0.
  if (end === start || end > bytes.length) return { end };
  const record = bytes.subarray(start, end);
  return crc32(record) === view.getUint32(4, true) ? { record, end } : { end };
}

export function encodeCommit(commit: Commit): Uint8Array {
  const writer = new Writer();
  writer.varint(commit.first);
  writer.list(commit.append, (record) => writer.bytes(record));
  writer.list(commit.put, (put) => writer.put(put));
  writer.list(commit.delete, ([store, key]) => writer.key(store, key));
  return writer.finish();
}

/** The values are views of `record`. */
export function decodeCommit(record: Uint8Array): Commit | undefined {
  return decode(record, (reader) => ({
    first: reader.varint(),
    append: reader.list(() => reader.bytes()),
    put: reader.list(() => reader.put()),
    delete: reader.list(() => reader.key()),
  }));
}

export function encodeCheckpoint(checkpoint: Checkpoint): Uint8Array {
  const writer = new Writer();
  writer.varint(CHECKPOINT_VERSION);
  writer.varint(checkpoint.segment);
  writer.varint(checkpoint.offset);
  writer.varint(checkpoint.next);
  writer.varint(checkpoint.stale);
  writer.list(checkpoint.firsts, (first) => writer.varint(first));
  writer.list(checkpoint.records, (put) => writer.put(put));
  return writer.finish();
}

export function decodeCheckpoint(record: Uint8Array): Checkpoint | undefined {
  return decode(record, (reader) => {
    if (reader.varint() !== CHECKPOINT_VERSION) throw new Malformed();
    return {
      segment: reader.varint(),
      offset: reader.varint(),
      next: reader.varint(),
      stale: reader.varint(),
      firsts: reader.list(() => reader.varint()),
      records: reader.list(() => reader.put()),
    };
  });
}

class Writer {
  #bytes = new Uint8Array(256);
  #length = 0;

  varint(value: number): void {
    const room = this.#grow(8);
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) room[this.#length++] = (rest % 0x80) | 0x80;
    room[this.#length++] = rest;
  }

  bytes(value: Uint8Array): void {
    this.varint(value.length);
    this.#grow(value.length).set(value, this.#length);
    this.#length += value.length;
  }

  key(store: StoreName, key: string): void {
    this.varint(STORE_NAMES.indexOf(store));
    this.bytes(new TextEncoder().encode(key));
  }

  put([store, key, value]: Put): void {
    this.key(store, key);
    this.bytes(value);
  }

  list<T>(items: T[], write: (item: T) => void): void {
    this.varint(items.length);
    items.forEach(write);
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #grow(more: number): Uint8Array {
    if (this.#length + more > this.#bytes.length) {
      const grown = new Uint8Array(2 * (this.#length + more));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    return this.#bytes;
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.#bytes[this.#offset++];
      if (byte === undefined) throw new Malformed();
      value += (byte & 0x7f) * scale;
      if (!Number.isSafeInteger(value)) throw new Malformed();
      if (byte < 0x80) return value;
    }
  }

  bytes(): Uint8Array {
    const length = this.varint();
    if (length > this.#bytes.length - this.#offset) throw new Malformed();
    this.#offset += length;
    return this.#bytes.subarray(this.#offset - length, this.#offset);
  }

  key(): [StoreName, string] {
    const store = STORE_NAMES[this.varint()];
    if (store === undefined) throw new Malformed();
    return [store, new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.bytes())];
  }

  put(): Put {
    return [...this.key(), this.bytes()];
  }

  list<T>(read: () => T): T[] {
    const items: T[] = [];
    for (let count = this.varint(); count > 0; count -= 1) items.push(read());
    return items;
  }

  isAtEnd(): boolean {
    return this.#offset === this.#bytes.length;
  }
}

class Malformed extends Error {}

function decode<T>(record: Uint8Array, read: (reader: Reader) => T): T | undefined {
  try {
    const reader = new Reader(record);
    const value = read(reader);
    return reader.isAtEnd() ? value : undefined;
  } catch {
    return undefined;
  }
}

const CHECKPOINT_VERSION = 2;
