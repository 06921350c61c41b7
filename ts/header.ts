/** Reads headers of changesets for whoever has no engine: `docs/format.md`, section 4. Nothing is said about whether somebody signed them. */

import { Bytes, refused, sha256, tag } from "./signed.js";

export interface Header {
  readonly id: Uint8Array;
  readonly space: Uint8Array;
  readonly actor: Uint8Array<ArrayBuffer>;
  /** Its number in the chain of the actor, and the changeset before it there. */
  readonly seq: number;
  readonly prev: Uint8Array;
  /** Of its ops, if its author wanted them to be shown one by one. */
  readonly opsRoot?: Uint8Array;
}

export async function headerOf(bytes: Uint8Array<ArrayBuffer>): Promise<Header> {
  const from = new Bytes(bytes, "header");
  if (from.byte() !== 1 || from.byte() !== 1) throw refused("header", "the header is of a version that is not known here");
  from.take(2); // class, flags
  const [space, actor, seq, prev] = [from.take(32), from.take(32), from.number(), from.take(32)];
  from.take(32 * from.number(DEPS_MAX) + 16);
  for (let segments = 2; segments > 0; segments--) {
    from.number();
    from.take(32);
  }
  const ext = new Bytes(from.bytes(), "header");
  from.end();
  let opsRoot: Uint8Array | undefined;
  while (ext.left > 0) {
    const [kind, value] = [ext.number(), ext.bytes()];
    if (kind === OPS_ROOT) opsRoot = value;
  }
  return { id: await sha256(tag("cs-id"), bytes), space, actor, seq, prev, ...(opsRoot ? { opsRoot } : {}) };
}

const DEPS_MAX = 32;
const OPS_ROOT = 3 << 1;
