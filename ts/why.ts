/** Why something reads as it does. */

import { argumentError, checkInteger, checkShortString } from "./check.js";
import type { SpaceCore } from "./core.js";
import type { Handle } from "./handle.js";
import { type EngineEntry, entryOf, type PolicyEntry } from "./policy.js";
import { checkValue, freeze, type Value, wellFormed } from "./value.js";

/** A write, and what it came to. */
export interface Claim {
  /** Of the changeset and of the op in it, as {@link Policy.exclude} takes it. */
  readonly id: string;
  readonly changeset: string;
  readonly member: string;
  readonly actor: string;
  /** When its author says it was made, ms since 1970. */
  readonly time: number;
  /** What it wrote; absent for a deletion, in a text, and where it is missing or an object of its own. */
  readonly value?: Value;
  /**
   * `"shows"`; `"lost"`: concurrent, and as good as the one that shows; `"hidden"` and `"waits"`: by the policy of this space;
   * `"undone"`: by its author.
   */
  readonly status: "shows" | "lost" | "hidden" | "waits" | "undone";
  /** Every word of policy that was looked at, by rank. */
  readonly considered: readonly PolicyEntry[];
}

/** Why a place reads as it does. */
export interface Provenance extends Claim {
  /** Concurrent writes that count and lost: the conflicts. */
  readonly losers: readonly Claim[];
  /** Writes that do not count, the latest first. */
  readonly off: readonly Claim[];
}

type EngineClaim = Omit<Claim, "id" | "considered"> & { index: number; considered: EngineEntry[] };

/** The place that is asked for, as the engine takes it. */
function placeOf(object: Handle, key: unknown): Value {
  switch (object.kind) {
    case "map":
      checkShortString(key, "key");
      return wellFormed(key);
    case "set":
      checkValue(key, "key");
      return key as Value;
    case "text":
    case "list":
      checkInteger(key, "key", 0, Math.max(0, object.length - 1));
      return key;
    case "ledger":
      throw argumentError("object", "entries of a ledger say themselves how they stand, and policy.standing(entry.id) says why");
    default:
      throw argumentError("object", `a ${object.kind} is a sum of what many wrote: ask history({ object })`);
  }
}

export function why(core: SpaceCore, object: Handle, key: unknown): Provenance | undefined {
  const number = core.numberOf(object);
  const place = placeOf(object, key);
  core.transactions.refuse("why");
  const claims = core.pump.call((engine) => engine.why(number, place) as EngineClaim[]).map(claimOf);
  const [first] = claims;
  if (first === undefined) return undefined;
  const losers = claims.filter(({ status }) => status === "lost");
  const off = claims.filter(({ status }, at) => at > 0 && status !== "lost");
  return freeze({ ...first, losers, off });
}

function claimOf({ changeset, index, member, actor, time, value, status, considered }: EngineClaim): Claim {
  const shown = value === undefined ? {} : { value };
  return { id: `${changeset}:${index}`, changeset, member, actor, time, ...shown, status, considered: considered.map(entryOf) };
}
