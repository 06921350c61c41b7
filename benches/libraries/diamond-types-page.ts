// diamond-types-node in a page: its glue is written for Node, so it gets the three things of Node that it asks for.

const base = "/peers/diamond-types-node/";
const [glue, wasm] = await Promise.all([fetch(`${base}dt.js`).then((response) => response.text()), fetch(`${base}dt_bg.wasm`).then((response) => response.arrayBuffer())]);
const module = { exports: {} as unknown };
const modules: Record<string, unknown> = {
  util: { TextEncoder, TextDecoder },
  path: { join: () => "" },
  fs: { readFileSync: () => new Uint8Array(wasm) },
};
new Function("module", "exports", "require", "__dirname", glue)(module, module.exports, (name: string) => modules[name], "");

export default module.exports;
