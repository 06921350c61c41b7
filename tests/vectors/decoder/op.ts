// The table of ops: what an op consists of, which classes hold it, what it takes from the content.

import { check, Fault } from "./fault.ts";
import * as f from "./field.ts";
import type { Field, Json, Rule, Tables } from "./field.ts";
import { ENTRIES_BYTES, Reader, U32 } from "./reader.ts";
import type { Writer } from "./writer.ts";

export interface Op {
  kind: number;
  fields: Json[];
}

interface Shape {
  fields: readonly Field[];
  values: (fields: readonly Json[]) => number;
  /** Text units, list elements and moves of those. */
  units: (fields: readonly Json[]) => number;
  isText: boolean;
}

const MAP = f.object(1);
const TEXT = f.object(2);
const COUNTER = f.object(3);
const SET = f.object(4);
const LIST = f.object(5);
const CART = f.object(6);
const LEDGER = f.object(7);
const OBJECT_KINDS = 7;
const SKIPPABLE = 0x80;

const objectKind: Field = {
  read: (r) => checkObjectKind(r.u8()),
  write: (w, kind) => w.u8(kind as number),
};
const count = f.varint(1, f.UNITS);
const index = f.varint(0, f.OPS - 1);
const edge = f.unitOrEdge;
const counted = (fields: readonly Json[]) => fields[3] as number;
const onBits = (fields: readonly Json[]) => BigInt(fields[3] as string).toString(2).replaceAll("0", "").length;

const SHAPES: Record<number, Shape> = {
  0x01: shape([MAP, f.name], 1),
  0x02: shape([MAP, f.name], 0),
  0x03: shape([MAP, f.name, objectKind, f.bytes(ENTRIES_BYTES)], 0),
  0x04: shape([MAP, f.varint(0, U32), f.varint(1, 64), f.bitmap], onBits),
  0x08: shape([COUNTER, f.zigzag], 0),
  0x09: shape([COUNTER], 0),
  0x10: shape([SET, f.name, f.choice(0, 1)], (fields) => fields[2] as number),
  0x11: shape([SET, f.name], 0),
  0x18: shape([CART, f.name, f.zigzag], 0),
  0x19: shape([CART, f.name], 0),
  0x20: { ...shape([LIST, edge, edge, count], counted), units: counted },
  0x21: shape([LIST, f.list(f.span)], 0),
  0x22: { ...shape([LIST, f.unit, edge, edge], 0), units: () => 1 },
  0x28: { ...shape([TEXT, edge, edge, count], 0), units: counted, isText: true },
  0x29: shape([TEXT, f.list(f.span)], 0),
  0x2a: shape([TEXT, f.anchor, f.anchor, f.name, f.choice(0, 1, 2, 3)], 1),
  0x30: shape([LEDGER, f.name], 0),
  0x31: shape([LEDGER, f.account, f.account, f.amount], 1),
  0x32: shape([LEDGER, f.changeset, index], 1),
  0x33: shape([LEDGER, f.name, f.account], 0),
  0x34: shape([LEDGER, f.changeset, index], 1),
  0x38: shape([f.name, f.name], 1),
  0x39: shape([f.name, f.list(f.name, 256)], 1),
  0x40: shape([f.choice(0, 1, 2), f.list(f.target)], 1),
  0x41: shape([f.choice(0, 1), f.id, f.scope], 1),
  0x42: shape([f.id, f.zigzag], 0),
  0x43: shape([f.safe], 0),
  0x44: shape([f.choice(0, 1)], 0),
  0x45: shape([f.choice(0, 1), f.choice(0, 2), f.byChoice(1, { 0: f.id, 2: f.target })], 0),
  0x48: shape([f.list(f.opTarget)], 0),
};
for (const kind of [0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67]) SHAPES[kind] = shape([f.bytes(U32)], 1);

export function readOp(r: Reader, tables: Omit<Tables, "rules">, changesetClass: number): Op {
  const kind = r.u8();
  if (kind >= SKIPPABLE) return { kind, fields: [r.hex(r.number(U32))] };
  const known = SHAPES[kind];
  if (known === undefined) throw new Fault("unsupported", `op ${kind}`);
  const rules: Rule[] = [() => check(fits(kind, changesetClass), "invalid", `op ${kind} in class ${changesetClass}`)];
  const op = { kind, fields: f.readFields(known.fields, r, { ...tables, rules }) };
  for (const rule of rules) rule();
  return op;
}

export function writeOp(w: Writer, { kind, fields }: Op): void {
  f.writeFields(shapeOf(kind).fields, w.u8(kind), fields);
}

/** How many values it takes from the content. */
export function valuesOf({ kind, fields }: Op): number {
  return shapeOf(kind).values(fields);
}

/** How many UTF-16 units of text it takes from the content. */
export function textOf({ kind, fields }: Op): number {
  const { isText, units } = shapeOf(kind);
  return isText ? units(fields) : 0;
}

/** How many units it makes, of a text or of a list. */
export function unitsOf({ kind, fields }: Op): number {
  return shapeOf(kind).units(fields);
}

export function checkObjectKind(kind: number): number {
  check(kind >= 1 && kind <= OBJECT_KINDS, "unsupported", `object kind ${kind}`);
  return kind;
}

function shape(fields: readonly Field[], values: number | ((fields: readonly Json[]) => number)): Shape {
  return { fields, values: typeof values === "number" ? () => values : values, units: () => 0, isText: false };
}

const SKIPPED = shape([f.bytes(U32)], 0);

function shapeOf(kind: number): Shape {
  return SHAPES[kind] ?? SKIPPED;
}

/** Classes: 0 control, 1 data, 2 policy, 3 audit, 4 snapshot, 5 private. */
function fits(kind: number, changesetClass: number): boolean {
  const between = (first: number, last: number) => kind >= first && kind <= last;
  switch (changesetClass) {
    case 0:
      return between(0x50, 0x5f);
    case 1:
      return between(0x01, 0x3f) || kind === 0x48;
    case 2:
    case 5:
      return between(0x40, 0x47);
    case 3:
      return between(0x60, 0x6f);
    default:
      return false;
  }
}
