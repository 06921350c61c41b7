/** A worker that checks proofs and has nothing else: no engine, no key, no copy. */
import { type Contradiction, type Proven, verifyEvidence, verifyProof } from "stemma/verify";

/** What it is asked. */
export type Question = { readonly proof: string } | { readonly evidence: string };

/** What it answers. */
export interface Answer {
  readonly proven?: Proven;
  readonly contradiction?: Contradiction;
  readonly failed?: string;
  /** What it has loaded, by address. */
  readonly loaded: readonly string[];
}

addEventListener("message", async ({ data }: MessageEvent<Question>) => {
  const loaded = [location.href, ...performance.getEntriesByType("resource").map(({ name }) => name)];
  const answer = (rest: Omit<Answer, "loaded">) => postMessage({ ...rest, loaded } satisfies Answer);
  try {
    if ("proof" in data) answer({ proven: await verifyProof(JSON.parse(data.proof)) });
    else answer({ contradiction: await verifyEvidence(JSON.parse(data.evidence)) });
  } catch (error) {
    answer({ failed: error instanceof Error ? error.message : "it proves nothing" });
  }
});
