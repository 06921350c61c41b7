/** What shows that somebody contradicts itself, and what is held of whom. */

/**
 * What contradicts what: two changesets in one place of a chain; a changeset whose number does not follow; one that no member can read; a snapshot that
 * shows something else than the log; two votes, a vote against one's own precommit, two blocks.
 */
export type EvidenceKind = "fork" | "gap" | "bad-body" | "bad-snapshot" | "double-vote" | "broken-lock" | "double-block";

/** What was signed, for whoever has nothing of the space. Plain JSON; `verifyEvidence` of `stemma/verify` checks it. */
export interface EvidenceProof {
  readonly version: 1;
  readonly space: string;
  /** What the space began with: certificates lead from there to the actors, where it takes two of one member. */
  readonly genesis?: string;
  /** Hex digits. */
  readonly evidence: string;
}

/** A contradiction. The same one has the same id, whoever found it. */
export interface Evidence {
  readonly id: string;
  readonly kind: EvidenceKind;
  /** Whose signatures it shows: one actor, or two of one member. */
  readonly actors: readonly string[];
  /** Whose they are; absent where that is not known here yet. */
  readonly member?: string;
  /** The changesets that it shows. */
  readonly changesets: readonly string[];
  /** From which number in the chain of its actor on what that wrote is hidden, as long as it is not settled. */
  readonly since?: number;
  /** Whether signatures alone show it, or this device worked it out; a snapshot that only somebody else found wrong is neither. */
  readonly proven: boolean;
  /** The changeset that tells of it, and who wrote that. */
  readonly changeset: string;
  readonly reporter: string;
  /** The changeset that settled it: {@link Audit.resolve}. */
  readonly settled?: string;
  readonly proof: EvidenceProof;
}

/** What is held of an actor or a relay. */
export interface Reputation {
  /** From 0 to 100, 50 where nothing is known: what this device has seen. It fades to 50 in a week, and is told to nobody. */
  readonly score: number;
  /**
   * How far up the ladder it is. `"throttled"`: asked later and for less at once, by this device. `"quarantined"`: it is proven that it contradicts itself, and
   * what it wrote from there on is hidden for everybody who did not say otherwise (`policy.include`, `policy.accept`, `policy.unban`). `"banned"`: by this member.
   */
  readonly state: "ok" | "throttled" | "quarantined" | "banned";
  /**
   * Of a validator, the same for everybody: 0 for one that contradicted itself; else how many of the last hundred blocks, in percent, came while it
   * was heard, that is within eight blocks of one that names an attestation of it. Absent of others, and where there are no blocks.
   */
  readonly validator?: number;
}
