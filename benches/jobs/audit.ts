// Merkle trees in WebAssembly: made, grown, proofs and their check. Through the bench-only entry: benches/engine.rs.

import { benchEngine } from "../engine.ts";
import { type Context, expect, type Figures } from "./job.ts";

export async function measure({ lap }: Context): Promise<Figures> {
  const { Merkle } = await benchEngine();
  const times = 200;
  for (let i = 0; i < times; i++) new Merkle(1_000).free(); // compiles it
  lap();
  for (let i = 0; i < times; i++) new Merkle(1_000).free();
  const made = lap() / times;
  const small = new Merkle(1_000);
  small.prove(1_000);
  lap();
  expect("hashes", small.prove(1_000), 9_984);
  const proof = lap() / 1_000;
  small.verify(1_000);
  lap();
  expect("held", small.verify(1_000), 1_000);
  const checked = lap() / 1_000;
  const large = new Merkle(1_000_000);
  lap();
  large.grow(10_000);
  return {
    "tree of 1,000": made,
    "proof of 1,000": proof,
    "proof of 1,000 checked": checked,
    "append to 1,000,000": (lap() / 10_000) * 1_000,
  };
}
