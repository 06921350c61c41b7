/**
 * `stemma/inline`: the same with the engine inside the JavaScript, for bundlers and pages that cannot carry a second
 * file. A third larger.
 */

import { engineBytes } from "./engine-inline.js";
import { type Api, createApi } from "./open.js";

const api: Api = createApi({ wasm: (given) => given ?? engineBytes() });

export const open: Api["open"] = api.open;
export const list: Api["list"] = api.list;
export const destroy: Api["destroy"] = api.destroy;

export { REMOVE } from "./definition.js";
export { StemmaError } from "./errors.js";
export type * from "./index.js";
