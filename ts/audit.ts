/** Proofs that need no authority: what was signed, and that nothing of it was changed since. */

import type { Block, BlockProof, BlocksOptions, ChainHalt, ChainReport } from "./blocks.js";
import { argumentError, checkInteger, checkOptions, checkSignal, checkString, copyList } from "./check.js";
import type { SpaceCore } from "./core.js";
import { StemmaError } from "./errors.js";
import type { Evidence, Reputation } from "./evidence.js";
import { Journal, type LogChain, type LogEntry, type LogOptions, type LogQuery } from "./journal.js";
import type { Engine } from "./replica.js";
import { freeze } from "./value.js";
import { hex } from "./signed.js";
import { abortable } from "./waiters.js";
import type { Write } from "./write.js";

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
  /** Where a validator was asked for: what it signed about the tree, and the certificates that show who it is. */
  readonly attested?: { readonly actor: string; readonly signature: string; readonly genesis: string; readonly chain: string };
  /** Where a block was asked for: that it is certified. The tree is the one of that block. */
  readonly block?: BlockProof;
  /** Where one op was asked for: what it says, as an encoded value, with what leads from it to the root that the header has of all ops. */
  readonly event?: { readonly index: number; readonly count: number; readonly salt: string; readonly statement: string; readonly path: readonly string[] };
}

/** That a tree begins with an earlier one. Plain JSON; `verifyConsistency` of `stemma/verify` checks it. */
export interface ConsistencyProof extends AuditHead {
  readonly version: 1;
  readonly earlier: AuditHead;
  readonly path: readonly string[];
}

/** Who is asked to attest. Their weight is 1 unless stated. */
export interface Validator {
  /** The id of a member. */
  readonly member: string;
  readonly weight: number;
}

/** A redaction, and who has deleted what it names. */
export interface RedactionStanding {
  /** The changesets whose content is gone. */
  readonly targets: readonly string[];
  /** Why; `""` while it is not here. */
  readonly reason: string;
  /** The member who says so. */
  readonly by: string;
  /** When, by its clock, in ms since 1970. */
  readonly at: number;
  /** Devices that say they have deleted it, and from which kinds of stores; from none where it was in memory alone. */
  readonly confirmed: readonly { readonly device: string; readonly member: string; readonly at: number; readonly stores: readonly ("browser" | "folder" | "other")[] }[];
  /** Devices that may have had it and have not said so. */
  readonly missing: readonly { readonly device: string; readonly member: string }[];
}

/** Options of {@link Audit.configure}. */
export interface AuditOptions {
  /** Members, or members with weights; an empty list asks nobody any more. 256 at most, with a weight of 1 to 2^32 - 1 each. */
  validators: readonly (string | { member: string; weight?: number })[];
  /**
   * How long there is at least from one block to the next, in ms, a day at most. 0, or nothing: there are no blocks, what a quorum has attested is
   * final; and a validator waits from one attestation to the next not at all, or 1,000 ms.
   */
  blockTimeMs?: number;
  /** How many changesets a block takes at most, besides what validators said: 1,000 unless stated, up to 2^32 - 1. The first block takes whatever there was. */
  maxOpsPerBlock?: number;
  /** Which part of the weight may lie. A third is what a quorum of two thirds and something more is for; there is no other. */
  tolerance?: number;
  /** Begins a new chain behind the last block: where so many validators are lost, or have lied, that they certify no change any more. */
  anew?: boolean;
}

/** What a validator has signed of all that it had seen. */
export interface Attestation extends AuditHead {
  readonly member: string;
  /** The changeset that carries it: everything in its past is attested, and is what {@link AuditHead} is of. */
  readonly changeset: string;
}

/**
 * Proofs over everything that is here, made on this device and checked anywhere; and validators, members who are asked to sign what they have
 * seen, and, if one likes, to put that into a chain of blocks. What a quorum of them has seen, or a block holds, is *final*: nobody can pretend any more that it was not there, or was something else, unless more than a third
 * of them sign two stories, which their signatures then show. That is all it means. Nothing waits for them: without a quorum nothing new becomes
 * final, and everything else goes on.
 */
export class Audit {
  /** @internal */
  readonly journal: Journal;
  readonly #core: SpaceCore;
  readonly #validating = new Set<object>();

  /** @internal */
  constructor(core: SpaceCore) {
    this.#core = core;
    this.journal = new Journal(core);
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
   * With `attestedBy` it is the tree of that member's latest attestation with the changeset in it, and the proof shows that it signed it: nobody has to be
   * believed about the root. O(n log n).
   *
   * Of one op, `"changeset:index"`, it also shows what that op says, and nothing of the others: the changeset has to be one of a {@link Space.transact} with
   * `disclosable`. Whoever has the key can make it, the author or not.
   *
   * Rejects with `E_ARGUMENT` for a changeset that is not known here or is pending, and for an op that cannot be shown or is not there; `E_SIGNATURE` for one whose own signature was spoilt on the way
   * (a later one of its author vouches for it), and where the author or the member signed another root than that over the ops, or over what it had seen; `E_STORAGE_LOST` if its bytes are
   * gone; `E_ARGUMENT` for a member who has not attested the changeset, and for one that is in no block.
   */
  async proof(target: string, o: { attestedBy?: string; block?: boolean; signal?: AbortSignal } = {}): Promise<Proof> {
    checkString(target, "changeset");
    const [changeset = "", op] = target.split(":", 2);
    if (op !== undefined && !/^\d{1,5}$/.test(op)) throw argumentError("changeset", `no op has the id ${target}`);
    checkOptions(o, "o", ["attestedBy", "block", "signal"]);
    const { attestedBy, block = false, signal } = o;
    if (attestedBy !== undefined) checkString(attestedBy, "attestedBy");
    if (typeof block !== "boolean") throw argumentError("block", "block is not a boolean");
    if (block && attestedBy !== undefined) throw argumentError("block", "a proof is of the tree of a block or of what a member attested, not of both");
    checkSignal(signal);
    const { pump, snapshots, transactions } = this.#core;
    transactions.refuse("proof");
    if (!pump.call((engine) => engine.isWhole())) await abortable(snapshots.whole(), signal);
    signal?.throwIfAborted();
    return pump.call((engine) => {
      const vouched = attestedBy === undefined ? undefined : engine.auditAttested(changeset, attestedBy);
      const held = block ? engine.auditInBlock(changeset) : undefined;
      const { size, root, index, path, header, signature } = vouched ?? held ?? engine.auditProof(changeset);
      const event = op === undefined ? {} : { event: eventOf(engine, changeset, Number(op)) };
      const attested = vouched && { actor: vouched.actor, signature: hex(vouched.vouched), genesis: hex(vouched.genesis), chain: hex(vouched.chain) };
      const shown = { ...(attested ? { attested } : {}), ...(held ? { block: held.block } : {}), ...event };
      return freeze({ version: 1, space: engine.id(), changeset, index, size, root, path: hashesOf(path), header: hex(header), signature: hex(signature), ...shown } as const);
    });
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

  /**
   * Asks members to attest, and with `blockTimeMs` to make blocks, in place of those asked before, who certify the block with the change. A quorum has two thirds of all the weight and something more: 3 of 4, 5 of 7, all of 3. Of
   * choices made apart the later one holds, as of writes of a key. What is final follows from who is asked now.
   *
   * Throws `E_ACCESS` for whoever is not the owner, `E_ARGUMENT` for what is no list of members and inside `transact`.
   */
  configure(o: AuditOptions): Write {
    checkOptions(o, "o", ["validators", "blockTimeMs", "maxOpsPerBlock", "tolerance", "anew"]);
    const { validators, blockTimeMs = 1_000, maxOpsPerBlock = 1_000, tolerance = 1 / 3, anew = false } = o;
    checkInteger(blockTimeMs, "blockTimeMs", 0, 86_400_000);
    checkInteger(maxOpsPerBlock, "maxOpsPerBlock", 1, 0xffff_ffff);
    if (typeof tolerance !== "number" || !(Math.abs(tolerance - 1 / 3) < 1e-9)) throw argumentError("tolerance", "tolerance is not a third: with any other, blocks could contradict each other or stop for nothing");
    if (typeof anew !== "boolean") throw argumentError("anew", "anew is not a boolean");
    const max = (o.blockTimeMs ?? 0) > 0 ? maxOpsPerBlock : 0;
    const asked = copyList(validators, "validators", `validators is not a list of ${VALIDATORS_MAX} members at most`, VALIDATORS_MAX).map((one) => {
      const { member, weight = 1 } = typeof one === "string" ? { member: one } : ((one ?? {}) as Partial<Validator>);
      checkString(member, "validators");
      checkInteger(weight, "validators", 1, 0xffff_ffff);
      return { member, weight };
    });
    const members = asked.map(({ member }) => member.toLowerCase());
    if (new Set(members).size < members.length) throw argumentError("validators", "validators has a member twice");
    const { pump, transactions } = this.#core;
    transactions.refuse("configure");
    const weights = Uint32Array.from(asked, ({ weight }) => weight);
    return transactions.sealed(pump.call((engine) => engine.chooseValidators(members, weights, blockTimeMs, max, anew)));
  }

  /** Who is asked to attest, by their ids. */
  get validators(): readonly Validator[] {
    const asked = this.#core.pump.read((engine) => engine.validators());
    return freeze(Array.from({ length: asked.length / 2 }, (_, i) => ({ member: asked[2 * i] as string, weight: asked[2 * i + 1] as number })));
  }

  /** The weight that makes something final; 0 without validators. */
  get quorum(): number {
    return this.#core.pump.read((engine) => engine.quorum());
  }

  /**
   * Attests what is here from now on, while this member is among the validators, when something is new, and proposes blocks and votes on them if there are to be any. Each
   * such word is a changeset. On one device of a member at a time: two that vote at once may contradict each other. For a device that is always on; a tab may as well. What it gives ends that, as does the signal; nobody attests who was
   * not told to.
   */
  validate(o: { signal?: AbortSignal } = {}): () => void {
    checkOptions(o, "o", ["signal"]);
    const { signal } = o;
    checkSignal(signal);
    signal?.throwIfAborted();
    this.#core.pump.check();
    const one = {};
    const end = () => {
      signal?.removeEventListener("abort", end);
      if (this.#validating.delete(one)) this.#tell();
    };
    signal?.addEventListener("abort", end);
    this.#validating.add(one);
    this.#tell();
    return end;
  }

  /** An engine knows nothing of what the last one was told. @internal */
  restore(): void {
    this.#tell();
    this.journal.restore();
  }

  /**
   * What happened on this device, in all tabs: what came and was refused, waits or has no effect; sessions with relays and peers; words of policy, keys,
   * evidence, blocks, redactions, consent that was given here, exports. Of what others can make happen often the first is told, and how often it came in the minute after. Each chain in its
   * order, and else by time. Nothing of it is sent; an attestation tells the hash of its end. O(entries).
   *
   * The newest {@link OpenOptions.auditEntries} are kept. Entries are stored within a second, and those of a tab that dies before are lost.
   * Throws `E_ARGUMENT` for what cannot be asked for; the loop throws `E_STORAGE_LOST` at its end where records do not open.
   */
  log(o: LogOptions = {}): AsyncIterable<LogEntry> {
    return this.journal.read(o);
  }

  /** Whether the audit log is whole: nothing in it was changed, left out or cut off. One chain for each actor that this device had. O(entries). */
  checkLog(): Promise<readonly LogChain[]> {
    return this.journal.check();
  }

  /**
   * Drops what entries are about, and keeps when something of their type happened: the chains stay whole. Resolves, once that is stored, with how
   * many it were. What another tab noted within the last second may be left; it is found by asking again.
   *
   * Rejects with `E_ARGUMENT` for a query that names nothing, `E_STORAGE_*` if it could not be stored.
   */
  redactLog(query: LogQuery): Promise<number> {
    return this.journal.redact(query);
  }

  /**
   * What shows that somebody contradicts itself, all of it or what is against an actor or a member, settled or not. Members tell each other by signed
   * changesets, so everybody has the same. O(evidence). Throws `E_ARGUMENT` for what is no id.
   */
  evidence(against?: string): readonly Evidence[] {
    if (against !== undefined) checkString(against, "actor");
    const found = this.#core.pump.read((engine) => engine.evidence(against));
    const [space, genesis] = this.#core.pump.read((engine) => [engine.id(), hex(engine.genesis())]);
    return freeze(found.map(({ bytes, ...one }) => ({ ...one, proof: { version: 1 as const, space, genesis, evidence: hex(bytes) } })));
  }

  /** Whether it is proven that an actor contradicts itself, and nobody who may has settled that. O(evidence). */
  isByzantine(actor: string): boolean {
    checkString(actor, "actor");
    return this.#core.pump.read((engine) => engine.isByzantine(actor));
  }

  /**
   * What is held of an actor, by this device and by all; of a relay, by its address, by this device alone. O(evidence).
   * Throws `E_ARGUMENT` for what is neither the id of an actor nor the address of a relay.
   */
  reputation(actor: string): Reputation {
    checkString(actor, "actor");
    if (/^wss?:/.test(actor)) {
      const score = this.#core.pump.read((engine) => engine.relayScore(actor));
      return freeze({ score, state: score < THROTTLED ? "throttled" : "ok" });
    }
    const { score, state, validator } = this.#core.pump.read((engine) => engine.reputation(actor));
    return freeze({ score, state, ...(validator === undefined ? {} : { validator }) });
  }

  /**
   * Says that evidence is settled, by its id: what was hidden because of it shows again, for everybody. For whoever administers the space, and for the
   * member whose actor it is against, with another one: a device does so by itself when its own actor forked. Seals the open batch first.
   *
   * Throws `E_ACCESS` for others, `E_ARGUMENT` for evidence that is not known here and inside `transact`.
   */
  resolve(evidence: string): Write {
    checkString(evidence, "evidence");
    const { pump, transactions } = this.#core;
    transactions.refuse("resolve");
    return transactions.sealed(pump.call((engine) => engine.resolveEvidence(evidence)));
  }

  /**
   * The blocks, the first one first, each with what of it can be read here. O(what they hold). Rejects with `E_ARGUMENT` for a height or a limit that is
   * none, `E_STORAGE_LOST` if bytes of one are gone.
   */
  async blocks(o: BlocksOptions = {}): Promise<readonly Block[]> {
    checkOptions(o, "o", ["since", "limit", "signal"]);
    const { since = 1, limit = Number.MAX_SAFE_INTEGER, signal } = o;
    checkInteger(since, "since", 0, Number.MAX_SAFE_INTEGER);
    checkInteger(limit, "limit", 0, Number.MAX_SAFE_INTEGER);
    checkSignal(signal);
    await this.#whole(signal);
    const found: Block[] = [];
    const { pump } = this.#core;
    // From the last one back, so that none before the first one that is asked for is made.
    for (let at = pump.read((engine) => engine.blockCount()) - 1; at >= 0; at--) {
      const block = pump.read((engine) => engine.block(at));
      if (!block) throw new StemmaError("E_STORAGE_LOST", "bytes of a block are not loaded");
      if (block.height < since) break;
      found.push(freeze({ ...block, operations: pump.read((engine) => engine.blockOperations(at)) }));
    }
    return freeze(found.reverse().slice(0, limit));
  }

  /**
   * That a block is certified, by its height: for whoever has nothing of the space. `verifyBlock` of `stemma/verify` says who certified it, with which weight of which set, and
   * the root over everything up to it. Rejects with `E_ARGUMENT` for a height without a block, `E_STORAGE_LOST` if bytes of it are gone.
   */
  async blockProof(height: number, o: { signal?: AbortSignal } = {}): Promise<BlockProof> {
    checkInteger(height, "height", 0, Number.MAX_SAFE_INTEGER);
    checkOptions(o, "o", ["signal"]);
    checkSignal(o.signal);
    await this.#whole(o.signal);
    return freeze(this.#core.pump.read((engine) => engine.blockProof(height)));
  }

  /**
   * Works the whole chain out once more, from what validators said: what each block holds, all hashes, whose turn it was, the times, the sets, the votes. Signatures
   * were checked when they came in; here those on the last block, and on each with which the set changes, are checked again. O(n log n): 10,000 blocks take about a second.
   */
  async verify(o: { signal?: AbortSignal } = {}): Promise<ChainReport> {
    checkOptions(o, "o", ["signal"]);
    const { signal } = o;
    checkSignal(signal);
    await this.#whole(signal);
    const { blocks, height, reason } = this.#core.pump.read((engine) => engine.verifyBlocks());
    return freeze(height === undefined || reason === undefined ? { blocks } : { blocks, fault: { height, reason } });
  }

  /**
   * Why nothing more becomes final: two blocks are certified at one height, which takes more than a third of the weight that signs two stories. What was in
   * blocks before stays final. Who administers the space chooses other validators, and the chain goes on behind the last block before. `undefined` while it goes on.
   */
  get halt(): ChainHalt | undefined {
    const halt = this.#core.pump.read((engine) => engine.blocksHalt());
    return halt && freeze(halt);
  }

  /** Whether a changeset, and so all that it builds on, is in a block; or, where no blocks are asked for, a quorum has attested it. Throws `E_ARGUMENT` for one that is not known here or is pending. */
  isFinal(changeset: string): boolean {
    return this.#known(changeset, (engine) => engine.isFinal(changeset));
  }

  /** The members who have attested a changeset, validators or not. Throws as {@link isFinal} does. */
  attestedBy(changeset: string): readonly string[] {
    return freeze(this.#known(changeset, (engine) => (engine.isFinal(changeset) === undefined ? undefined : engine.attestedBy(changeset))));
  }

  /** The redactions that are known here, by their ids, in the order in which they came: {@link redaction} says more of each. */
  redactions(): readonly string[] {
    return freeze(this.#core.pump.read((engine) => engine.redactions()));
  }

  /**
   * What a redaction names, who says so, and who has deleted it. Devices say so by themselves, once it is gone from their stores; `missing` are those that may have had
   * it, for they wrote something before they knew of the redaction. A device that only reads is not known, one that lies is believed, and what a relay has deleted only
   * its answer to the push says: {@link Write.saved} of `"relay"`. Throws `E_ARGUMENT` for an id that is no redaction known here. O(changesets).
   */
  redaction(id: string): RedactionStanding {
    checkString(id, "id");
    const { targets, reason, member, time, confirmed, missing } = this.#core.pump.read((engine) => engine.redaction(id));
    const erasures = confirmed.map(({ device, member, time, stores }) => ({ device, member, at: time, stores: STORES.filter((_, bit) => stores & (1 << bit)) }));
    return freeze({ targets, reason, by: member, at: time, confirmed: erasures, missing });
  }

  /** The latest attestation of each member; several where it has signed with several keys and none knows the other. */
  attestations(): readonly Attestation[] {
    return freeze(this.#core.pump.read((engine) => engine.attestations()));
  }

  async #whole(signal: AbortSignal | undefined): Promise<void> {
    const { pump, snapshots } = this.#core;
    if (!pump.call((engine) => engine.isWhole())) await abortable(snapshots.whole(), signal);
    signal?.throwIfAborted();
  }

  #tell(): void {
    this.#core.pump.post((engine) => engine.validate(this.#validating.size > 0));
  }

  #known<T>(changeset: string, ask: (engine: Engine) => T | undefined): T {
    checkString(changeset, "changeset");
    const answer = this.#core.pump.read(ask);
    if (answer === undefined) throw argumentError("changeset", "this changeset is not known here");
    return answer;
  }
}

const VALIDATORS_MAX = 256;
/** A relay below it is asked later, and for less at once. */
const THROTTLED = 25;

const STORES = ["browser", "folder", "other"] as const;

function eventOf(engine: Engine, changeset: string, index: number): Proof["event"] & object {
  const { count, salt, statement, path } = engine.auditDisclose(changeset, index);
  return { index, count, salt: hex(salt), statement: hex(statement), path: hashesOf(path) };
}

function hashesOf(path: Uint8Array): string[] {
  return Array.from({ length: path.length / 32 }, (_, i) => hex(path.subarray(32 * i, 32 * (i + 1))));
}
