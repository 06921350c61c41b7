/** What Node gets instead of index.ts: the engine read from beside this module, and folders as stores. */

import { readFile } from "node:fs/promises";
import { FileStorage } from "./node/file.js";
import { type Api, createApi } from "./open.js";
import type { WasmSource } from "./wasm.js";

const api: Api = createApi({ wasm: readEngine, fileStorage: (dir) => new FileStorage({ dir }) });

/** A file is read, everything else left to the loader. */
async function readEngine(given: WasmSource | undefined): Promise<WasmSource> {
  const source = given ?? new URL("./engine.wasm", import.meta.url);
  const isFile = source instanceof URL && source.protocol === "file:";
  return isFile ? readFile(source) : source;
}

export const open: Api["open"] = api.open;
export const list: Api["list"] = api.list;
export const destroy: Api["destroy"] = api.destroy;

export { REMOVE } from "./definition.js";
export { StemmaError } from "./errors.js";
export type * from "./index.js";
