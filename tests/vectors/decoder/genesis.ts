// The root of a space. Its bytes are its id.

import { hash, checkVerifyingKey } from "./crypto.ts";
import { check } from "./fault.ts";
import { checkEntries, type Entry, Reader } from "./reader.ts";
import { Writer } from "./writer.ts";

export interface Genesis {
  id: Uint8Array;
  root: Uint8Array;
  nonce: Uint8Array;
  ext: Entry[];
}

export function decodeGenesis(bytes: Uint8Array): Genesis {
  return Reader.whole(bytes, (r) => {
    check(r.u8() === 1, "unknown", "version");
    for (const field of ["suite", "rules"]) check(r.u8() === 1, "unsupported", field);
    check(r.u8() === 0, "unsupported", "flags");
    const root = r.raw(32);
    checkVerifyingKey(root, "invalid");
    const nonce = r.raw(16);
    const ext = r.tlv();
    checkEntries(ext);
    return { id: hash("genesis", bytes), root, nonce, ext };
  });
}

export function encodeGenesis({ root, nonce, ext }: Genesis): Uint8Array {
  return Writer.of((w) => w.u8(1).u8(1).u8(1).u8(0).raw(root).raw(nonce).tlv(ext));
}
