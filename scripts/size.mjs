// `npm run size`: what a page downloads for the engine and its glue.

import { readFileSync } from "node:fs";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { buildPackage } from "./build.mjs";

export async function main() {
  await buildPackage();
  const header = { name: "bytes", raw: "raw", gzip: "gzip -9", brotli: "brotli 11" };
  for (const { name, raw, gzip, brotli } of [header, ...packageSize()]) {
    console.log(name.padEnd(12) + [raw, gzip, brotli].map((cell) => String(cell).padStart(11)).join(""));
  }
}

/** Of the package that is built: a row a file, and the total as the last one. */
export function packageSize() {
  const rows = ["engine.wasm", "engine.js"].map((name) => ({ name, ...sizes(readFileSync(`pkg/${name}`)) }));
  const total = rows.reduce((sum, row) => ({ name: "total", raw: sum.raw + row.raw, gzip: sum.gzip + row.gzip, brotli: sum.brotli + row.brotli }));
  return [...rows, total];
}

function sizes(bytes) {
  const brotli = brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  });
  return { raw: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length, brotli: brotli.length };
}
