// What the fields of ops are made of: each reads itself into the notation of the vectors and writes itself from there.

import { check } from "./fault.ts";
import { type Reader, SAFE, U32 } from "./reader.ts";
import type { Writer } from "./writer.ts";

export type Json = null | number | string | Json[];

/** Throws a fault where the op breaks it. */
export type Rule = () => void;

/** What the fields of an op point into, and where they leave the rules it is held against once it is read. */
export interface Tables {
  rules: Rule[];
  objects: [string, number][];
  names: string[];
  refs: unknown[];
}

/** `before` are the fields of the same op that were read already. */
export interface Field {
  read(r: Reader, tables: Tables, before: readonly Json[]): Json;
  write(w: Writer, field: Json, before: readonly Json[]): void;
}

export const OPS = 65_536;
export const UNITS = 262_144;

export function object(kind: number): Field {
  return {
    read: (r, { objects, rules }) => {
      const index = r.number(U32);
      const found = objects[index];
      check(found !== undefined, "invalid", `object ${index} of ${objects.length}`);
      rules.push(() => check(found[1] === kind, "invalid", `object ${index} is of kind ${found[1]}, not ${kind}`));
      return index;
    },
    write: (w, index) => w.varint(index as number),
  };
}

export const name: Field = {
  read: (r, { names }) => {
    const index = r.number(U32);
    check(index < names.length, "invalid", `name ${index} of ${names.length}`);
    return index;
  },
  write: (w, index) => w.varint(index as number),
};

export function varint(min: number, max: number): Field {
  return {
    read: (r) => {
      const n = r.number(max);
      check(n >= min, "invalid", `${n} is below ${min}`);
      return n;
    },
    write: (w, n) => w.varint(n as number),
  };
}

/** An enumerated byte. */
export function choice(...of: number[]): Field {
  return {
    read: (r) => {
      const n = r.u8();
      check(of.includes(n), "unknown", `${n} is none of ${of}`);
      return n;
    },
    write: (w, n) => w.u8(n as number),
  };
}

export const zigzag: Field = {
  read: (r) => r.zigzag(),
  write: (w, n) => w.zigzag(n as number),
};

export const amount: Field = {
  read: (r) => {
    const n = r.bigint();
    check(n !== "0x00" && !n.startsWith("-"), "invalid", `an amount of ${n}`);
    return n;
  },
  write: (w, n) => w.bigint(n as string),
};

export const id: Field = {
  read: (r) => r.hex(32),
  write: (w, hex) => w.hex(hex as string),
};

export function bytes(max: number): Field {
  return {
    read: (r) => r.hex(r.number(max)),
    write: (w, hex) => w.varint((hex as string).length / 2).hex(hex as string),
  };
}

export function list(field: Field, max = U32): Field {
  return {
    read: (r, tables) => {
      const items = r.list(max, 1, () => field.read(r, tables, []));
      check(items.length > 0, "invalid", "an empty list");
      return items;
    },
    write: (w, items) => w.list(items as Json[], (item) => field.write(w, item, [])),
  };
}

export function tuple(...fields: Field[]): Field {
  return {
    read: (r, tables) => readFields(fields, r, tables),
    write: (w, values) => writeFields(fields, w, values as Json[]),
  };
}

export function readFields(fields: readonly Field[], r: Reader, tables: Tables): Json[] {
  const values: Json[] = [];
  for (const field of fields) values.push(field.read(r, tables, values));
  return values;
}

export function writeFields(fields: readonly Field[], w: Writer, values: readonly Json[]): void {
  fields.forEach((field, at) => {
    field.write(w, values[at] as Json, values.slice(0, at));
  });
}

/** An enumerated byte and the fields that it alone has. */
export function variant(cases: Record<number, readonly Field[]>): Field {
  return {
    read: (r, tables) => {
      const which = r.u8();
      const fields = cases[which];
      check(fields !== undefined, "unknown", `${which} is none of ${Object.keys(cases)}`);
      return [which, ...readFields(fields, r, tables)];
    },
    write: (w, value) => {
      const [which, ...rest] = value as [number, ...Json[]];
      writeFields(cases[which] as Field[], w.u8(which), rest);
    },
  };
}

/** The field that an enumerated byte before it calls for. */
export function byChoice(at: number, cases: Record<number, Field>): Field {
  const chosen = (before: readonly Json[]) => cases[before[at] as number] as Field;
  return {
    read: (r, tables, before) => chosen(before).read(r, tables, []),
    write: (w, value, before) => chosen(before).write(w, value, []),
  };
}

/** 0 = this changeset, k = refs[k-1]. */
export const changeset: Field = {
  read: (r, { refs }) => {
    const index = r.number(U32);
    check(index <= refs.length, "invalid", `ref ${index} of ${refs.length}`);
    return index;
  },
  write: (w, index) => w.varint(index as number),
};

const offset = varint(0, UNITS - 1);

export const unit = tuple(changeset, offset);

export const unitOrEdge: Field = {
  read: (r, tables) => {
    const index = r.number(U32);
    if (index === 0) return null;
    check(index - 1 <= tables.refs.length, "invalid", `ref ${index - 1} of ${tables.refs.length}`);
    return [index - 1, offset.read(r, tables, [])];
  },
  write: (w, value) => {
    if (value === null) return void w.varint(0);
    const [index, at] = value as number[];
    w.varint((index as number) + 1).varint(at as number);
  },
};

/** `first, count`, where the last one has its own limit. */
function range(limit: number): Field {
  const fields = [changeset, varint(0, limit - 1), varint(1, limit)];
  return {
    read: (r, tables) => {
      const [index, first, count] = readFields(fields, r, tables) as [number, number, number];
      check(first + count <= limit, "over-limit", `${first} + ${count} is above ${limit}`);
      return [index, first, count];
    },
    write: (w, value) => writeFields(fields, w, value as Json[]),
  };
}

export const span = range(UNITS);
export const opTarget = range(OPS);
export const account = variant({ 0: [id], 1: [name] });
export const anchor = variant({ 0: [], 1: [], 2: [unit], 3: [unit] });
export const target = variant({ 0: [id], 1: [id, varint(0, OPS - 1)] });
export const scope = variant({ 0: [], 1: [], 2: [], 3: [varint(0, 2 ** 48 - 1)], 4: [id] });

/** Of the keys counted in the field before; JSON numbers are too short for it. */
export const bitmap: Field = {
  read: (r, _tables, before) => String(r.varint(2n ** BigInt(before.at(-1) as number) - 1n)),
  write: (w, text) => w.varint(BigInt(text as string)),
};

export const safe = varint(0, SAFE);
