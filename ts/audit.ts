/** Proofs that need no authority: what was signed, and that nothing of it was changed since. */

import { argumentError, checkInteger, checkOptions, checkSignal, checkString } from "./check.js";
import type { SpaceCore } from "./core.js";
import { freeze } from "./value.js";
import { hex } from "./verify.js";
import { abortable } from "./waiters.js";

/** A tree over changesets: two people with the same {@link Space.heads} have the same one. */
export interface AuditHead {
  /** How many changesets are in it. */
  readonly size: number;
  /** Their Merkle root (RFC 9162), 64 hex digits. */
  readonly root: string;
}

/** That a changeset is in a tree. Plain JSON; `verifyProof` of `stemma/verify` checks it. All bytes are hex digits. */
export interface Proof extends AuditHead {
  readonly version: 1;
  readonly space: string;
  readonly changeset: string;
  /** Where in the tree the changeset stands. */
  readonly index: number;
  /** The hashes beside the way to the root, the lowest first: O(log size). */
  readonly path: readonly string[];
  /** What was signed: who, when in their chain, after what; and hashes of what is encrypted. */
  readonly header: string;
  readonly signature: string;
}

/** That a tree begins with an earlier one. Plain JSON; `verifyConsistency` of `stemma/verify` checks it. */
export interface ConsistencyProof extends AuditHead {
  readonly version: 1;
  readonly earlier: AuditHead;
  readonly path: readonly string[];
}

/** Proofs over everything that is here, made on this device and checked anywhere. */
export class Audit {
  readonly #core: SpaceCore;

  /** @internal */
  constructor(core: SpaceCore) {
    this.#core = core;
  }

  /**
   * The tree over all changesets that are here and not pending: each behind those it builds on, and else by how many are behind
   * each other before it, then by id. Seals the open batch first. O(n log n) the first time, then O(log n) for each new changeset, and more if
   * something old comes late. Throws `E_ARGUMENT` inside `transact`.
   */
  head(): AuditHead {
    this.#core.transactions.refuse("head");
    return freeze(this.#core.pump.call((engine) => engine.auditHead()));
  }

  /**
   * That a changeset is in the tree that {@link head} tells of now. Show it to whoever has nothing of the space: it says who signed
   * what when in their chain, and nothing of what is encrypted. O(log n).
   *
   * Rejects with `E_ARGUMENT` for a changeset that is not known here or is pending, `E_SIGNATURE` for one whose own signature was spoilt on the way
   * (a later one of its author vouches for it), `E_STORAGE_LOST` if its bytes are gone.
   */
  async proof(changeset: string, o: { signal?: AbortSignal } = {}): Promise<Proof> {
    checkString(changeset, "changeset");
    checkOptions(o, "o", ["signal"]);
    const { signal } = o;
    checkSignal(signal);
    const { pump, snapshots, transactions } = this.#core;
    transactions.refuse("proof");
    if (!pump.call((engine) => engine.isWhole())) await abortable(snapshots.whole(), signal);
    signal?.throwIfAborted();
    const [space, proof] = pump.call((engine) => [engine.id(), engine.auditProof(changeset)] as const);
    const { size, root, index, path, header, signature } = proof;
    return freeze({ version: 1, space, changeset, index, size, root, path: hashesOf(path), header: hex(header), signature: hex(signature) });
  }

  /**
   * That the tree of now begins with an earlier {@link head}: nothing that was in it was changed or taken out. `undefined` if it
   * does not: somebody wrote away from the others, and what came of it late belongs before what was the end. O(log n).
   *
   * Throws `E_ARGUMENT` for what is no head.
   */
  consistency(earlier: AuditHead): ConsistencyProof | undefined {
    if (typeof earlier !== "object" || earlier === null) throw argumentError("earlier", "earlier is not a head");
    const { size, root } = earlier;
    checkInteger(size, "earlier", 0, Number.MAX_SAFE_INTEGER);
    checkString(root, "earlier");
    this.#core.transactions.refuse("consistency");
    const [head, path] = this.#core.pump.call((engine) => [engine.auditHead(), engine.auditConsistency(size, root)] as const);
    return path && freeze({ version: 1, ...head, earlier: { size, root }, path: hashesOf(path) });
  }
}

function hashesOf(path: Uint8Array): string[] {
  return Array.from({ length: path.length / 32 }, (_, i) => hex(path.subarray(32 * i, 32 * (i + 1))));
}
