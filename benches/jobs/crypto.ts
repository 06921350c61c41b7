// What the cryptography of a changeset costs in WebAssembly. Through the bench-only entry: benches/engine.rs.

import { benchEngine } from "../engine.ts";
import type { Context, Figures } from "./job.ts";

export async function measure({ lap }: Context): Promise<Figures> {
  const { Costs } = await benchEngine();
  const figures: Figures = {};
  /** Milliseconds each, after a warm-up. */
  const time = (measure: string, times: number, work: (times: number) => void) => {
    work(times);
    lap();
    work(times);
    figures[measure] = lap() / times;
  };
  const small = new Costs(100);
  time("sign", 500, (times) => small.sign(times));
  time("verify", 500, (times) => small.verify(times));
  for (const [kilobytes, times] of [[1, 5_000], [10, 1_000], [100, 100]] as const) {
    const costs = new Costs(kilobytes * 1_000);
    time(`AES-256-GCM of ${kilobytes} KB`, times, (times) => costs.aes(times));
    time(`seal ${kilobytes} KB`, times, (times) => costs.seal(times));
    time(`open ${kilobytes} KB`, times, (times) => costs.open(times));
    time(`SHA-256 of ${kilobytes} KB`, times, (times) => costs.sha256(times));
  }
  return figures;
}
