// The signed part of a changeset, in clear. Its bytes are its id.

import { compare, hex, unhex } from "./bytes.ts";
import type { Certificate } from "./certificate.ts";
import { decodeChain, encodeChain } from "./chain.ts";
import { hash } from "./crypto.ts";
import { check, Fault } from "./fault.ts";
import { type Entry, isCritical, Reader, U32 } from "./reader.ts";
import { Writer } from "./writer.ts";

export interface Part {
  len: number;
  hash: string;
}

export interface Header {
  bytes: Uint8Array;
  id: Uint8Array;
  suite: number;
  class: number;
  flags: number;
  space: Uint8Array;
  actor: Uint8Array;
  seq: number;
  prev: Uint8Array;
  deps: string[];
  kid: Uint8Array;
  skeleton: Part;
  content: Part;
  ext: Entry[];
  /** Null behind the first changeset of an actor, and where only a later version can read it. */
  chain: Certificate[] | null;
  redacts: string[];
  ops_root: string | null;
  /** Why only a later version understands it. */
  unsupported: string | null;
  /** Where the part ends that the segments are bound to. */
  boundAt: number;
}

const CHANGESET_BYTES = 262_144;
const DEPS = 32;
const SEGMENT_BYTES_MIN = 32;
const CLASSES = 6;
const [CHAIN, REDACTION, OPS_ROOT, PLACES] = [1n, 2n, 3n, 4n];

export function decodeHeader(bytes: Uint8Array): Header {
  return Reader.whole(bytes, (r) => {
    check(r.u8() === 1, "unknown", "version");
    const [suite, cls, flags] = [r.u8(), r.u8(), r.u8()] as [number, number, number];
    const [space, actor] = [r.raw(32), r.raw(32)] as [Uint8Array, Uint8Array];
    const seq = r.number(U32);
    const prev = r.raw(32);
    check(seq > 0 || compare(prev, space) === 0, "invalid", "prev at seq 0 is not the space");
    const deps = r.ascending(DEPS);
    const kid = r.raw(16);
    const boundAt = r.at;
    const [skeleton, content] = [readPart(r), readPart(r)];
    check(skeleton.len > 0, "invalid", "no skeleton");
    const size = bytes.length + 64 + skeleton.len + content.len;
    check(size <= CHANGESET_BYTES, "over-limit", `${size} bytes`);
    const ext = r.tlv();
    const layout = { bytes, id: hash("cs-id", bytes), suite, class: cls, flags, space, actor, seq, prev, deps, kid };
    const known = readExt(ext, { seq, class: cls, actor }, later(suite, cls, flags, ext));
    return { ...layout, boundAt, skeleton, content, ext, ...known };
  });
}

export function encodeHeader(header: Header): Uint8Array {
  const ext = header.ext.map(([tag, value]): Entry => {
    if (tag === 2n * CHAIN + 1n && header.chain !== null) return [tag, encodeChain(header.chain)];
    if (tag !== 2n * REDACTION + 1n || header.redacts.length === 0) return [tag, value];
    return [tag, Writer.of((w) => w.list(header.redacts, (id) => w.hex(id)))];
  });
  return Writer.of((w) => {
    w.u8(1).u8(header.suite).u8(header.class).u8(header.flags).raw(header.space).raw(header.actor);
    w.varint(header.seq).raw(header.prev);
    w.list(header.deps, (id) => w.hex(id)).raw(header.kid);
    for (const part of [header.skeleton, header.content]) w.varint(part.len).raw(unhex(part.hash));
    w.tlv(ext);
  });
}

function readPart(r: Reader): Part {
  const part = { len: r.number(U32), hash: r.hex(32) };
  if (part.len === 0) check(/^0*$/.test(part.hash), "invalid", "a hash of nothing");
  else check(part.len >= SEGMENT_BYTES_MIN, "invalid", `a segment of ${part.len} bytes`);
  return part;
}

function later(suite: number, cls: number, flags: number, ext: Entry[]): string | null {
  if (suite !== 1) return `suite ${suite}`;
  if (cls >= CLASSES) return `class ${cls}`;
  if (flags !== 0) return `flags ${flags}`;
  const critical = ext.find((entry) => isCritical(entry) && entry[0] >> 1n > PLACES);
  return critical === undefined ? null : `critical entry ${critical[0]}`;
}

type Known = Pick<Header, "chain" | "redacts" | "ops_root" | "unsupported">;

/** A later version may have changed what the entries mean: then none of them is read. */
function readExt(ext: Entry[], header: Pick<Header, "seq" | "class" | "actor">, unsupported: string | null): Known {
  const known: Known = { chain: null, redacts: [], ops_root: null, unsupported };
  if (unsupported !== null) return known;
  for (const entry of ext) {
    const type = entry[0] >> 1n;
    if (type === CHAIN || type === REDACTION) check(isCritical(entry), "invalid", `entry ${type} is critical`);
    if (type === OPS_ROOT || type === PLACES) check(!isCritical(entry), "invalid", `entry ${type} is not critical`);
  }
  const value = (type: bigint) => ext.find(([tag]) => tag >> 1n === type)?.[1];
  const [chain, redaction, root] = [value(CHAIN), value(REDACTION), value(OPS_ROOT)];
  check((chain !== undefined) === (header.seq === 0), "invalid", "a chain stands exactly at seq 0");
  if (chain !== undefined) {
    try {
      known.chain = readChain(chain, header.actor);
    } catch (error) {
      if (!(error instanceof Fault) || error.kind !== "unsupported") throw error;
      known.unsupported = error.message;
    }
  }
  if (redaction !== undefined) {
    check(header.class === 0, "invalid", "a redaction outside control");
    known.redacts = Reader.whole(redaction, (r) => r.ascending(U32));
    check(known.redacts.length > 0, "invalid", "a redaction of nothing");
  }
  const places = value(PLACES);
  if (places !== undefined) {
    const read = Reader.whole(places, (r) => r.list(U32, 33, () => (r.raw(32), r.number(U32))));
    check(read.length === known.redacts.length, "invalid", "a place for each target");
  }
  if (root !== undefined) {
    check(root.length === 32, "invalid", "an ops root of another size");
    known.ops_root = hex(root);
  }
  return known;
}

function readChain(bytes: Uint8Array, actor: Uint8Array): Certificate[] {
  const chain = decodeChain(bytes);
  const last = chain.at(-1);
  check(last !== undefined && compare(last.subject, actor) === 0, "invalid", "the chain is not the actor's");
  return chain;
}
