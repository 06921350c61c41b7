// The ids that are derived under the name key.

import { concat } from "./bytes.ts";
import { mac } from "./crypto.ts";
import { Writer } from "./writer.ts";

export function nameId(key: Uint8Array, sort: number, clear: Uint8Array): Uint8Array {
  return mac(key, "name", Uint8Array.of(sort), clear);
}

export function objectId(key: Uint8Array, kind: number, options: Uint8Array, name: string): Uint8Array {
  return mac(key, "object", kindAndOptions(kind, options), new TextEncoder().encode(name));
}

export function childId(
  key: Uint8Array,
  parent: Uint8Array,
  name: Uint8Array,
  kind: number,
  options: Uint8Array,
): Uint8Array {
  return mac(key, "child", parent, name, kindAndOptions(kind, options));
}

function kindAndOptions(kind: number, options: Uint8Array): Uint8Array {
  return concat(
    Uint8Array.of(kind),
    Writer.of((w) => w.bytes(options)),
  );
}
