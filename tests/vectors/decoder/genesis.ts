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
  const { suite, rules, flags, root, nonce, ext } = Reader.whole(bytes, (r) => {
    check(r.u8() === 1, "unknown", "version");
    const head = { suite: r.u8(), rules: r.u8(), flags: r.u8() };
    return { ...head, root: r.raw(32), nonce: r.raw(16), ext: r.tlv() };
  });
  check(suite === 1 && rules === 1 && flags === 0, "unsupported", `suite ${suite}, rules ${rules}, flags ${flags}`);
  checkEntries(ext);
  checkVerifyingKey(root, "invalid");
  return { id: hash("genesis", bytes), root, nonce, ext };
}

export function encodeGenesis({ root, nonce, ext }: Genesis): Uint8Array {
  return Writer.of((w) => w.u8(1).u8(1).u8(1).u8(0).raw(root).raw(nonce).tlv(ext));
}
