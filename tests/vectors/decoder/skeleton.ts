// The part of a changeset that decides: when, on what, and the ops without their values.

import { check } from "./fault.ts";
import { OPS, UNITS } from "./field.ts";
import { type Op, checkObjectKind, readOp, unitsOf, writeOp } from "./op.ts";
import { checkEntries, type Entry, Reader, SAFE, U32 } from "./reader.ts";
import { Writer } from "./writer.ts";

export type Ref = { before_prev: number } | { dep: number; steps: number } | { id: string };

export interface Skeleton {
  hlc_ms: number;
  hlc_counter: number;
  undo_group: number;
  command: string | null;
  refs: Ref[];
  objects: [string, number][];
  names: string[];
  ops: Op[];
  ext: Entry[];
}

export function decodeSkeleton(bytes: Uint8Array, changesetClass: number, deps: number): Skeleton {
  const skeleton = Reader.whole(bytes, (r) => {
    const head = { hlc_ms: r.number(2 ** 48 - 1), hlc_counter: r.number(65_535), undo_group: r.number(SAFE) };
    const [command = null] = r.list(1, 16, () => r.hex(16));
    const refs = r.list(U32, 2, () => readRef(r, deps));
    const [objectIds, nameIds] = [new Set<string>(), new Set<string>()];
    const objects = r.list(U32, 17, (): [string, number] => {
      const [id, kind] = [r.hex(16), r.u8()];
      checkOnce(objectIds, id);
      checkObjectKind(kind);
      return [id, kind];
    });
    const names = r.list(U32, 16, () => checkOnce(nameIds, r.hex(16)));
    const ops = r.list(OPS, 2, () => readOp(r, { objects, names, refs }, changesetClass));
    const inserted = ops.reduce((sum, op) => sum + unitsOf(op), 0);
    check(inserted <= UNITS, "over-limit", `${inserted} units inserted`);
    return { ...head, command, refs, objects, names, ops, ext: r.tlv() };
  });
  checkEntries(skeleton.ext);
  return skeleton;
}

export function encodeSkeleton(skeleton: Skeleton, deps: number): Uint8Array {
  return Writer.of((w) => {
    w.varint(skeleton.hlc_ms).varint(skeleton.hlc_counter).varint(skeleton.undo_group);
    w.list(skeleton.command === null ? [] : [skeleton.command], (id) => w.hex(id));
    w.list(skeleton.refs, (ref) => writeRef(w, ref, deps));
    w.list(skeleton.objects, ([id, kind]) => w.hex(id).u8(kind));
    w.list(skeleton.names, (id) => w.hex(id));
    w.list(skeleton.ops, (op) => writeOp(w, op)).tlv(skeleton.ext);
  });
}

function readRef(r: Reader, deps: number): Ref {
  const which = r.number(deps + 1);
  if (which === deps + 1) return { id: r.hex(32) };
  const steps = r.number(U32);
  return which === 0 ? { before_prev: steps } : { dep: which - 1, steps };
}

function writeRef(w: Writer, ref: Ref, deps: number): void {
  if ("id" in ref) w.varint(deps + 1).hex(ref.id);
  else if ("dep" in ref) w.varint(ref.dep + 1).varint(ref.steps);
  else w.varint(0).varint(ref.before_prev);
}

function checkOnce(ids: Set<string>, id: string): string {
  check(!ids.has(id), "invalid", `${id} twice`);
  ids.add(id);
  return id;
}
