// Values, in the notation of the vectors.

import { compare, hex, unhex } from "./bytes.ts";
import { check, Fault } from "./fault.ts";
import { Reader, SAFE, U32 } from "./reader.ts";
import type { Writer } from "./writer.ts";

export type Value =
  | null
  | boolean
  | string
  | Value[]
  | { int: string }
  | { double: string }
  | { bytes: string }
  | { object: [string, Value][] }
  | { bigint: string };

const DEPTH = 100;

export function decodeValue(bytes: Uint8Array): Value {
  return Reader.whole(bytes, readValue);
}

export function readValue(r: Reader, depth = 0): Value {
  const tag = r.u8();
  switch (tag) {
    case 0:
      return null;
    case 1:
      return false;
    case 2:
      return true;
    case 3:
      return { int: String(r.zigzag()) };
    case 4:
      return { double: readDouble(r) };
    case 5:
      return r.string();
    case 6:
      return { bytes: hex(r.bytes()) };
    case 7:
      check(depth < DEPTH, "over-limit", "too deep");
      return r.list(U32, 1, () => readValue(r, depth + 1));
    case 8:
      check(depth < DEPTH, "over-limit", "too deep");
      return { object: readObject(r, depth + 1) };
    case 9:
      return { bigint: r.bigint() };
    default:
      throw new Fault("unknown", `a value of tag ${tag}`);
  }
}

export function writeValue(w: Writer, value: Value): void {
  if (value === null) w.u8(0);
  else if (typeof value === "boolean") w.u8(value ? 2 : 1);
  else if (typeof value === "string") w.u8(5).string(value);
  else if (Array.isArray(value)) w.u8(7).list(value, (item) => writeValue(w, item));
  else if ("int" in value) w.u8(3).zigzag(Number(value.int));
  else if ("double" in value) w.u8(4).hex(value.double);
  else if ("bytes" in value) w.u8(6).bytes(unhex(value.bytes));
  else if ("bigint" in value) w.u8(9).bigint(value.bigint);
  else w.u8(8).list(value.object, ([key, item]) => writeValue(w.string(key), item));
}

function readDouble(r: Reader): string {
  const bytes = r.raw(8);
  const n = new DataView(bytes.buffer).getFloat64(0, true);
  check(Number.isFinite(n), "invalid", "not finite");
  const isInteger = Number.isInteger(n) && Math.abs(n) <= SAFE && !Object.is(n, -0);
  check(!isInteger, "invalid", `${n} is an integer`);
  return hex(bytes);
}

function readObject(r: Reader, depth: number): [string, Value][] {
  let before: Uint8Array | undefined;
  return r.list(U32, 2, () => {
    const key = r.string();
    const bytes = new TextEncoder().encode(key);
    check(before === undefined || compare(before, bytes) < 0, "unsorted", `key ${key}`);
    before = bytes;
    return [key, readValue(r, depth)];
  });
}
