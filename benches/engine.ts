// The bench-only entry into the engine: see engine.rs.

import { readFile } from "node:fs/promises";

interface Costs {
  sign(times: number): void;
  verify(times: number): void;
  aes(times: number): void;
  seal(times: number): void;
  open(times: number): void;
  sha256(times: number): void;
}

interface Merkle {
  grow(by: number): void;
  /** The hashes in so many proofs. */
  prove(times: number): number;
  /** How often a proof held. */
  verify(times: number): number;
  free(): void;
}

interface Blocks {
  /** How many changesets there are in all with the next block. */
  create(times: number): number;
  propose(): object;
  validate(proposed: object): void;
  /** How many blocks there are. */
  verify(): number;
  free(): void;
}

export interface BenchEngine {
  Blocks: new (blocks: number, waiting: number) => Blocks;
  Costs: new (bytes: number) => Costs;
  Arrivals: new (invite: string, rows: Uint8Array[]) => { apply(): number; text(): string };
  savedText(edits: Uint32Array, inserted: string, size: number): Uint8Array<ArrayBuffer>;
  Merkle: new (size: number) => Merkle;
  OpenedText: new (saved: Uint8Array) => { text(): string; insert(position: number, string: string): boolean };
}

export async function benchEngine(): Promise<BenchEngine> {
  const folder = new URL("../target/bench/engine/", import.meta.url);
  const glue = await import(String(new URL("engine.js", folder)));
  await glue.default({ module_or_path: await readFile(new URL("engine.wasm", folder)) });
  return glue;
}
