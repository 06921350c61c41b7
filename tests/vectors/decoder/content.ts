// The part of a changeset that may go: clear names, text and values. It is read beside its skeleton.

import { hex, unhex } from "./bytes.ts";
import { check } from "./fault.ts";
import { childId, nameId, objectId } from "./names.ts";
import { textOf, valuesOf } from "./op.ts";
import { checkEntries, decodeUtf8, ENTRIES_BYTES, type Entry, Reader, U32 } from "./reader.ts";
import type { Skeleton } from "./skeleton.ts";
import { decodeValue, readValue, type Value, writeValue } from "./value.ts";
import { Writer } from "./writer.ts";

export type Name =
  | { object: string; kind: number; options: string }
  | { parent: string; key: string; kind: number; options: string }
  | { sort: number; clear: string };

export interface Content {
  names: Name[];
  by_op: { text: string; values: Value[] }[];
  message: string | null;
  headers: Value | undefined;
  command: string | null;
  others: Entry[];
}

const NAME_BYTES = 4_096;
const CHILD = 255;
const SORTS_OF_TEXT = [1, 3, 4, 6, 7, 8, 9];
const SORTS_OF_VALUES = [2, 5];
const [MESSAGE, HEADERS, COMMAND] = [2n, 4n, 6n];

export function decodeContent(bytes: Uint8Array, { ops }: Skeleton): Content {
  return Reader.whole(bytes, (r) => {
    const names = r.list(U32, 2, () => readName(r));
    const texts = cut(r.string(), ops.map(textOf));
    const by_op = ops.map((op, at) => {
      const values: Value[] = [];
      for (let n = valuesOf(op); n > 0; n--) values.push(readValue(r));
      return { text: texts[at] as string, values };
    });
    return { names, by_op, ...readMeta(r.tlv(U32)) };
  });
}

export function encodeContent(content: Content): Uint8Array {
  const meta: Entry[] = [...content.others];
  if (content.message !== null) meta.push([MESSAGE, new TextEncoder().encode(content.message)]);
  if (content.command !== null) meta.push([COMMAND, new TextEncoder().encode(content.command)]);
  const { headers } = content;
  if (headers !== undefined) meta.push([HEADERS, Writer.of((w) => writeValue(w, headers))]);
  meta.sort(([a], [b]) => (a < b ? -1 : 1));
  return Writer.of((w) => {
    w.list(content.names, (name) => writeName(w, name));
    w.string(content.by_op.map(({ text }) => text).join(""));
    for (const { values } of content.by_op) for (const value of values) writeValue(w, value);
    w.tlv(meta);
  });
}

/** The ids of the names that stand in the tables of the skeleton. */
export function confirmed(content: Content, skeleton: Skeleton, key: Uint8Array): string[] {
  const names = new Set(skeleton.command === null ? skeleton.names : [...skeleton.names, skeleton.command]);
  const objects = new Set(skeleton.objects.map(([id]) => id));
  return content.names.flatMap((name) => {
    const id = hex(idOf(name, key));
    return ("sort" in name ? names : objects).has(id) ? [id] : [];
  });
}

function idOf(name: Name, key: Uint8Array): Uint8Array {
  if ("object" in name) return objectId(key, name.kind, unhex(name.options), name.object);
  if ("sort" in name) return nameId(key, name.sort, unhex(name.clear));
  return childId(key, unhex(name.parent), unhex(name.key), name.kind, unhex(name.options));
}

function readName(r: Reader): Name {
  const sort = r.u8();
  if (sort === 0) {
    const kind = r.u8();
    const options = hex(r.bytes(ENTRIES_BYTES));
    return { object: r.string(NAME_BYTES), kind, options };
  }
  if (sort === CHILD) {
    const [parent, key, kind] = [r.hex(16), r.hex(16), r.u8()];
    return { parent, key, kind, options: hex(r.bytes(ENTRIES_BYTES)) };
  }
  const clear = r.bytes(NAME_BYTES);
  if (SORTS_OF_TEXT.includes(sort)) decodeUtf8(clear);
  if (SORTS_OF_VALUES.includes(sort)) decodeValue(clear);
  return { sort, clear: hex(clear) };
}

function writeName(w: Writer, name: Name): void {
  if ("sort" in name) w.u8(name.sort).bytes(unhex(name.clear));
  else if ("object" in name) w.u8(0).u8(name.kind).bytes(unhex(name.options)).string(name.object);
  else w.u8(CHILD).hex(name.parent).hex(name.key).u8(name.kind).bytes(unhex(name.options));
}

/** The text of each op, none of which ends inside a character. */
function cut(text: string, lengths: number[]): string[] {
  const total = lengths.reduce((sum, length) => sum + length, 0);
  check(total === text.length, "invalid", `${text.length} units of text for ${total}`);
  let at = 0;
  return lengths.map((length) => {
    at += length;
    check(at === 0 || !isInside(text, at), "invalid", `a cut inside the character at ${at}`);
    return text.slice(at - length, at);
  });
}

function isInside(text: string, at: number): boolean {
  return /^[\ud800-\udbff][\udc00-\udfff]$/.test(text.slice(at - 1, at + 1));
}

function readMeta(entries: Entry[]): Omit<Content, "names" | "by_op"> {
  const others = entries.filter(([tag]) => tag > COMMAND + 1n || tag < MESSAGE);
  checkEntries(entries);
  const value = (tag: bigint) => entries.find((entry) => entry[0] === tag)?.[1];
  const [message, headers, command] = [value(MESSAGE), value(HEADERS), value(COMMAND)];
  return {
    message: message === undefined ? null : decodeUtf8(message),
    headers: headers === undefined ? undefined : decodeValue(headers),
    command: command === undefined ? null : decodeUtf8(command),
    others,
  };
}
