/** Blocks, as an app sees them. */

import type { ChangesetInfo } from "./history.js";

/** A vote that makes a block one of the chain. */
export interface BlockVote {
  readonly member: string;
  /** The key that signed, and the signature over the space, the set of validators, height, round and block: 64 and 128 hex digits. */
  readonly actor: string;
  readonly signature: string;
}

/**
 * A block: what a quorum of validators has attested and no earlier block holds, in an order that is the same for everybody. Ids and hashes are
 * 64 hex digits; what is hashed and signed is in `docs/format.md` §14.
 */
export interface Block {
  /** The hash of the header. */
  readonly id: string;
  /** Its number, from 1. */
  readonly height: number;
  /** How many attempts failed before its certificate. */
  readonly round: number;
  /** What the clock of its proposer said, ms since 1970: later than of the block before, and within ten minutes of the voters' clocks. */
  readonly time: number;
  /** The block before; the id of the space for the first one. */
  readonly previous: string;
  /** How many changesets this one and those before it hold, and the Merkle root over them. */
  readonly size: number;
  readonly root: string;
  /** The ends of all chains of changesets in them, as a running hash. */
  readonly frontier: string;
  /** The set of validators that voted, and the one that votes on the next block. */
  readonly validators: string;
  readonly nextValidators: string;
  /** The member who proposed it, the key that signed that, and the signature. */
  readonly proposer: string;
  readonly actor: string;
  readonly signature: string;
  /** The bytes that are hashed, as hex digits. */
  readonly header: string;
  /** Precommits of a quorum. */
  readonly certificate: readonly BlockVote[];
  /** What it holds, in its order, with what validators said of earlier blocks. */
  readonly changesets: readonly string[];
  /** What of it people wrote, as far as it can be opened here. */
  readonly operations: readonly ChangesetInfo[];
}

/**
 * That a block is certified, for whoever has nothing of the space. Plain JSON; `verifyBlock` of `stemma/verify` checks it. All bytes are hex digits. It shows who certified the block
 * and what they weigh in the set that the block names; that the set is the one which the owner chose, only members can see.
 */
export interface BlockProof {
  readonly version: 1;
  readonly space: string;
  /** The bytes that are hashed. */
  readonly header: string;
  /** The attempt whose precommits these are. */
  readonly round: number;
  /** The changeset that began the chain, and the set of validators: their hash is in the header. */
  readonly era: string;
  readonly validators: readonly { readonly member: string; readonly weight: number }[];
  /** What the space began with, and of each precommit what leads from there to who signed. */
  readonly genesis: string;
  readonly certificate: readonly { readonly actor: string; readonly signature: string; readonly chain: string }[];
}

/** Options of {@link Audit.blocks}. */
export interface BlocksOptions {
  /** The height of the first one; 1 unless stated. */
  since?: number;
  /** At most so many; all unless stated. */
  limit?: number;
  signal?: AbortSignal;
}

/** What {@link Audit.verify} found. */
export interface ChainReport {
  readonly blocks: number;
  /** Where the first fault is, and what it is; absent if there is none. */
  readonly fault?: { readonly height: number; readonly reason: string };
}

/** Two blocks that are certified at one height. */
export interface ChainHalt {
  readonly height: number;
  /** Their ids. */
  readonly blocks: readonly string[];
  /** The members whose signed votes at this height contradict each other: more than a third of the weight. */
  readonly signers: readonly string[];
}
