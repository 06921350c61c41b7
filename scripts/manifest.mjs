// pkg/package.json, made from Cargo.toml and from the entries that ts/ has.

import { existsSync, readFileSync } from "node:fs";

/** Path, source in ts/, and the source that Node gets instead. */
const ENTRIES = [
  [".", "index", "node"],
  ["./inline", "inline"],
  ["./codemirror", "codemirror"],
  ["./textarea", "textarea"],
  ["./verify", "verify"],
];
const OPTIONAL_PEERS = ["@codemirror/state", "@codemirror/view"];

export function manifest() {
  const { devDependencies } = JSON.parse(readFileSync("package.json", "utf8"));
  return {
    name: "stemma",
    version: cargoField("version"),
    description: cargoField("description"),
    keywords: ["local-first", "crdt", "end-to-end-encryption", "offline", "sync"],
    license: "MIT OR Apache-2.0",
    type: "module",
    sideEffects: false,
    engines: { node: ">=20.19" },
    exports: {
      ...Object.fromEntries(ENTRIES.filter(([, source]) => hasSource(source)).map(entry)),
      "./engine.wasm": "./engine.wasm",
      "./package.json": "./package.json",
    },
    bin: { stemma: "./cli.js" },
    files: ["**/*.js", "**/*.d.ts", "engine.wasm", "LICENSE-MIT", "LICENSE-APACHE"],
    peerDependencies: Object.fromEntries(OPTIONAL_PEERS.map((name) => [name, caretMajor(devDependencies[name])])),
    peerDependenciesMeta: Object.fromEntries(OPTIONAL_PEERS.map((name) => [name, { optional: true }])),
  };
}

function entry([path, source, nodeSource]) {
  const conditions = { types: `./${source}.d.ts` }; // first: a resolver takes the first condition that holds
  if (nodeSource && hasSource(nodeSource)) conditions.node = `./${nodeSource}.js`;
  return [path, { ...conditions, default: `./${source}.js` }];
}

function hasSource(name) {
  return existsSync(`ts/${name}.ts`);
}

function cargoField(name) {
  return readFileSync("Cargo.toml", "utf8").match(new RegExp(`^${name} = "(.*)"$`, "m"))[1];
}

/** "^6.7.6" -> "^6.0.0": the peer's major version is the promise. */
function caretMajor(range) {
  return `^${range.match(/\d+/)[0]}.0.0`;
}
