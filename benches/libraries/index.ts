// The libraries by the names that the table shows. Each is loaded only in the process that measures it.

import type { Library } from "./library.ts";

const LOADERS: Record<string, () => Promise<Library>> = {
  "diamond-types": async () => (await import("./diamond-types.ts")).diamondTypes,
  yjs: async () => (await import("./yjs.ts")).yjs,
  "yjs (keeping)": async () => (await import("./yjs.ts")).yjsKeeping,
  ywasm: async () => (await import("./ywasm.ts")).ywasm,
  "json-joy": async () => (await import("./json-joy.ts")).jsonJoy,
  loro: async () => (await import("./loro.ts")).loro,
  automerge: async () => (await import("./automerge.ts")).automerge,
};

export const PACKAGES: Record<string, string> = {
  "diamond-types": "diamond-types-node",
  yjs: "yjs",
  "yjs (keeping)": "yjs",
  ywasm: "ywasm",
  "json-joy": "json-joy",
  loro: "loro-crdt",
  automerge: "@automerge/automerge",
};

export function load(name: string): Promise<Library> {
  const loader = LOADERS[name];
  if (!loader) throw new Error(`no library ${name}`);
  return loader();
}
