// Merkle trees in WebAssembly, made, grown, proofs and their check; blocks, made, looked at, and a chain of them worked out anew. Through the bench-only entry: benches/engine.rs.

import { benchEngine } from "../engine.ts";
import { type Context, expect, type Figures } from "./job.ts";

export async function measure({ lap, quick }: Context): Promise<Figures> {
  const { Blocks, Merkle } = await benchEngine();
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
  const grown = lap();
  const waiting = new Blocks(1, 1_000);
  waiting.create(20);
  lap();
  expect("held", waiting.create(20) > 1_000, true);
  const created = lap() / 20;
  let validated = 0;
  for (let i = 0; i < 20; i++) {
    const blocks = new Blocks(1, 1_000);
    const proposed = blocks.propose();
    lap();
    blocks.validate(proposed);
    if (i >= 10) validated += lap() / 10; // the first ones compile it
    blocks.free();
  }
  const length = quick ? 1_000 : 10_000;
  const chain = new Blocks(length, 1);
  lap();
  expect("blocks", chain.verify(), length);
  const verified = (lap() * 10_000) / length;
  return {
    "tree of 1,000": made,
    "proof of 1,000": proof,
    "proof of 1,000 checked": checked,
    "append to 1,000,000": (grown / 10_000) * 1_000,
    "block of 1,000": created,
    "block of 1,000 checked": validated,
    "chain of 10,000": verified,
  };
}
