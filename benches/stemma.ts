// Stemma as every job uses it: the built package, by its public API.

import { open, type OpenOptions, type SharedText, type Space } from "stemma";
import type { Patch } from "../tests/traces.ts";

export type { SharedText, Space };

/** A space that nothing seals but the bench. */
export function openSpace(o: Partial<OpenOptions> = {}): Promise<Space> {
  return open({ name: `bench ${++spaces}`, storage: "memory", batchMs: 60_000, ...o });
}

let spaces = 0;

export function apply(text: SharedText, patches: readonly Patch[]): void {
  for (const [position, deleted, inserted] of patches) {
    if (deleted) text.delete(position, deleted);
    if (inserted) text.insert(position, inserted);
  }
}
