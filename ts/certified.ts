/**
 * Checks that a block is certified, without the engine: `docs/format.md`, section 14. Whether the set that certified it is the one that the owner of the space chose is not
 * shown by any signature: it is for the caller to know, from somebody who was there, or from a block before with which that set came.
 */

import type { BlockProof } from "./blocks.js";
import { memberOf, rootOf } from "./certificate.js";
import { StemmaError } from "./errors.js";
import { bytesOf, checkTrusted, countOf, type Fields, fieldsOf, hex, listOf, refused, same, sha256, tag } from "./signed.js";
import { blockHeaderOf, isPrecommit, ROUND_MAX } from "./vote.js";

export type { BlockProof };

/** What a {@link BlockProof} proves. All ids and hashes are 64 hex digits. */
export interface ProvenBlock {
  readonly space: string;
  /** The hash of its header, and its number. */
  readonly id: string;
  readonly height: number;
  /** What the clock of its proposer said, ms since 1970. */
  readonly time: number;
  /** The block before; the id of the space for the first one. */
  readonly previous: string;
  /** The tree over everything that this block and those before it hold. */
  readonly size: number;
  readonly root: string;
  /** The set of validators that certified it, and the one that votes on the next block. */
  readonly validators: string;
  readonly nextValidators: string;
  /** Who signed, with their weight in that set. */
  readonly signers: readonly { readonly member: string; readonly weight: number }[];
  /** The weight of who signed, what it takes, and of all in the set. */
  readonly weight: number;
  readonly quorum: number;
  readonly total: number;
}

/** Options of {@link verifyBlock}. */
export interface VerifyBlockOptions {
  /**
   * The set that is trusted: its hash, as `nextValidators` of a block that was proven before has it, or the members with their weights, 1 unless stated.
   * Without it any set will do, and has to be compared by you.
   */
  validators?: string | readonly (string | { readonly member: string; readonly weight?: number })[];
}

/**
 * What a block proof proves: that members with more than two thirds of the weight of a set signed that this block is the one of its height. Takes anything. A few hashes,
 * and up to five signatures for each who signed.
 *
 * Rejects with `E_PROOF` for what proves nothing, or is of another set than the one that is trusted: `argument` names the field that does not fit; with `E_ARGUMENT` for options that
 * are none. Rejects with `E_UNSUPPORTED` as
 * {@link verifyProof} does.
 */
export async function verifyBlock(proof: unknown, o: VerifyBlockOptions = {}): Promise<ProvenBlock> {
  checkTrusted(o, ["validators"]);
  const fields = fieldsOf(proof, "proof");
  const [space, round] = [bytesOf(fields, "space", 32), countOf(fields, "round")];
  const header = await blockHeaderOf(bytesOf(fields, "header"), "header");
  const weights = weightsOf(fields);
  if (!same(await setOf(bytesOf(fields, "era", 32), weights), header.set)) throw refused("validators", "the block is of another set");
  if (o.validators !== undefined && !isTrusted(o.validators, header.set, weights)) throw refused("validators", "the set is not the one that is trusted");
  const root = await rootOf(bytesOf(fields, "genesis"), space);
  const signers: { member: string; weight: number }[] = [];
  for (const vote of listOf(fields, "certificate", VALIDATORS_MAX)) {
    const one = fieldsOf(vote, "certificate");
    const [actor, signature] = [bytesOf(one, "actor", 32), bytesOf(one, "signature", 64)];
    const member = hex(await memberOf(actor, bytesOf(one, "chain"), root, space));
    const weight = weights.get(member);
    if (weight === undefined) throw refused("certificate", "who signed is not in the set");
    if (signers.some((signer) => signer.member === member)) throw refused("certificate", "a member is there twice");
    if (round > ROUND_MAX || !(await isPrecommit(header, round, signature, actor, space))) throw refused("signature", "a precommit is not signed by its actor");
    signers.push({ member, weight });
  }
  const [weight, total] = [sum(signers.map(({ weight }) => weight)), sum([...weights.values()])];
  const quorum = Math.floor((2 * total) / 3) + 1;
  if (weight < quorum) throw refused("certificate", "who signed is no quorum");
  const { height, time, size } = header;
  const [id, previous, validators, nextValidators] = [header.id, header.previous, header.set, header.nextSet].map(hex) as [string, string, string, string];
  return { space: hex(space), id, height, time, previous, size, root: hex(header.root), validators, nextValidators, signers, weight, quorum, total };
}

/** The weights of the members, who ascend. */
function weightsOf(fields: Fields): Map<string, number> {
  const weights = new Map<string, number>();
  let last = "";
  for (const one of listOf(fields, "validators", VALIDATORS_MAX)) {
    const of = fieldsOf(one, "validators");
    const [member, weight] = [hex(bytesOf(of, "member", 32)), countOf(of, "weight")];
    if (member <= last || weight < 1 || weight > WEIGHT_MAX) throw refused("validators", "the members of a set ascend, and weigh something");
    weights.set(member, weight);
    last = member;
  }
  return weights;
}

async function setOf(era: Uint8Array, weights: Map<string, number>): Promise<Uint8Array> {
  const members = [...weights].flatMap(([member, weight]) => [bytesOf({ member }, "member", 32), varint(weight)]);
  return sha256(tag("valset"), era, varint(weights.size), ...members);
}

function isTrusted(trusted: NonNullable<VerifyBlockOptions["validators"]>, set: Uint8Array, weights: Map<string, number>): boolean {
  const wrong = (what: string) => new StemmaError("E_ARGUMENT", `validators ${what}`, { argument: "validators" });
  const isId = (id: unknown): id is string => typeof id === "string" && /^[0-9a-f]{64}$/i.test(id);
  if (isId(trusted)) return trusted.toLowerCase() === hex(set);
  if (!Array.isArray(trusted)) throw wrong("is neither a hash, 64 hex digits, nor a list of members");
  const members = new Map<string, number>();
  for (const one of trusted as unknown[]) {
    const { member, weight = 1 } = (isId(one) ? { member: one } : (one ?? {})) as { member?: unknown; weight?: unknown };
    if (!isId(member) || !Number.isSafeInteger(weight) || (weight as number) < 1) throw wrong("has somebody who is no member, or weighs nothing");
    if (members.has(member.toLowerCase())) throw wrong("has a member twice");
    members.set(member.toLowerCase(), weight as number);
  }
  return members.size === weights.size && [...members].every(([member, weight]) => weights.get(member) === weight);
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Uint8Array.from([...bytes, rest]);
}

function sum(numbers: number[]): number {
  return numbers.reduce((sum, one) => sum + one, 0);
}

const VALIDATORS_MAX = 256;
const WEIGHT_MAX = 2 ** 32 - 1;
