/** Erasing: what was written is taken away, from here and from everybody who keeps to it. */

import { argumentError, checkOptions, checkString } from "./check.js";
import type { SpaceCore } from "./core.js";
import type { Target } from "./policy.js";
import { freeze } from "./value.js";
import type { Write } from "./write.js";

/** Options of {@link Space.redact}. */
export interface RedactOptions {
  /** Why, for everybody to read: 1 to 8,192 bytes of UTF-8. It stays. */
  reason: string;
}

/** The receipt of {@link Space.redact}. Its `id` is that of the last changeset that says so. */
export interface Redaction extends Write {
  /** The changesets that say so: one for each 200 that are redacted. */
  readonly redactions: readonly string[];
  /** The changesets whose content is gone. */
  readonly changesets: readonly string[];
  /** What went along although it was not asked for: other ops of these changesets, as `changeset:index`. */
  readonly also: readonly string[];
}

/** Redacts for a space. */
export function redact(core: SpaceCore, target: Target | readonly Target[], o: RedactOptions): Redaction {
  checkOptions(o, "o", ["reason"]);
  const { reason } = o;
  checkString(reason, "reason");
  const { pump, transactions, policy } = core;
  transactions.refuse("redact");
  const targets = policy.chosen(target);
  if (targets.length === 0) throw argumentError("target", "this is nothing that was written here");
  const { redactions, changesets, also } = pump.call((engine) => engine.redact(targets.join("\n"), reason));
  const write = transactions.sealed(redactions.at(-1) as string);
  return freeze({
    id: write.id,
    saved: write.saved.bind(write),
    seenBy: write.seenBy.bind(write),
    redactions,
    changesets,
    also,
  });
}
