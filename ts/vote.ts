/** Reads what validators say of blocks, for whoever has no engine: `docs/format.md`, section 14. */

import { Bytes, hex, isSigned, little, refused, sha256, tag } from "./signed.js";

/** What was said, by whoever signed it. */
export interface Statement {
  readonly set: string;
  readonly height: number;
  readonly round: number;
  /** 0 a prevote, or a proposal; 1 a precommit. */
  readonly phase: number;
  /** 0 for none, else the round after it. */
  readonly valid: number;
  readonly block: string;
}

/** The header of a block, with its hash. */
export interface BlockHeader {
  readonly id: Uint8Array<ArrayBuffer>;
  readonly height: number;
  /** In which it was made; it may be certified in a later one. */
  readonly round: number;
  readonly time: number;
  readonly previous: Uint8Array;
  readonly size: number;
  readonly root: Uint8Array;
  readonly set: Uint8Array;
  readonly nextSet: Uint8Array;
}

export async function voteOf(from: Bytes, actor: Uint8Array<ArrayBuffer>, space: Uint8Array): Promise<Statement> {
  if (from.byte() !== 1) throw refused("version", "a vote is of a version that is not known here");
  const [height, round, phase, valid] = [from.number(), from.number(ROUND_MAX), from.byte(), from.number(ROUND_MAX)];
  const set = from.take(32);
  const block = from.number(1) === 1 ? from.take(32) : new Uint8Array();
  const signature = from.take(64);
  from.end();
  // Only a prevote for a block appeals, to an earlier round.
  if (phase > 1 || valid > round || (valid > 0 && (phase > 0 || block.length === 0))) throw refused("evidence", "nobody can vote so");
  const said = { set, height, round, phase, valid, block };
  if (!(await isVote(said, signature, actor, space))) throw refused("signature", "a vote is not signed by its actor");
  return { set: hex(set), height, round, phase, valid, block: hex(block) };
}

export async function isPrecommit({ id, set, height }: BlockHeader, round: number, signature: Uint8Array<ArrayBuffer>, actor: Uint8Array<ArrayBuffer>, space: Uint8Array): Promise<boolean> {
  return isVote({ set, height, round, phase: 1, valid: 0, block: id }, signature, actor, space);
}

async function isVote(
  { set, height, round, phase, valid, block }: { set: Uint8Array; height: number; round: number; phase: number; valid: number; block: Uint8Array },
  signature: Uint8Array<ArrayBuffer>,
  actor: Uint8Array<ArrayBuffer>,
  space: Uint8Array,
): Promise<boolean> {
  const numbers = [little(height, 8), little(round, 4), Uint8Array.of(phase), little(valid, 4), Uint8Array.of(block.length / 32)];
  return isSigned(actor, [tag("vote"), space, set, ...numbers, block.length > 0 ? block : new Uint8Array(32)], signature);
}

export async function proposalOf(from: Bytes, actor: Uint8Array<ArrayBuffer>, space: Uint8Array): Promise<Statement> {
  if (from.byte() !== 1) throw refused("version", "a block is of a version that is not known here");
  const [round, valid] = [from.number(ROUND_MAX), from.number(ROUND_MAX)];
  const [bytes, signature] = [from.bytes(), from.take(64)];
  from.end();
  const { id, height, set, round: made } = await blockHeaderOf(bytes, "evidence");
  if (valid > round || made > round) throw refused("evidence", "nobody can propose so");
  const message = [tag("block"), space, set, little(height, 8), little(round, 4), little(valid, 4), id];
  if (!(await isSigned(actor, message, signature))) throw refused("signature", "a block is not signed by its actor");
  return { set: hex(set), height, round, phase: 0, valid, block: hex(id) };
}

export async function blockHeaderOf(bytes: Uint8Array<ArrayBuffer>, name: string): Promise<BlockHeader> {
  const from = new Bytes(bytes, name);
  const [height, round, time] = [from.number(), from.number(ROUND_MAX), from.number(TIME_MAX)];
  const [previous, size, root] = [from.take(32), from.number(SIZE_MAX), from.take(32)];
  from.take(32); // the frontier
  const [set, nextSet] = [from.take(32), from.take(32)];
  const named = Array.from({ length: from.number(NAMED_MAX) }, () => hex(from.take(32)));
  from.end();
  if (named.length === 0 || named.some((id, at) => at > 0 && id <= (named[at - 1] as string))) throw refused(name, "a block names attestations, in their order");
  return { id: await sha256(tag("block-id"), bytes), height, round, time, previous, size, root, set, nextSet };
}

export const ROUND_MAX = 2 ** 32 - 3;
const TIME_MAX = 2 ** 48 - 1;
const SIZE_MAX = 2 ** 32 - 1;
const NAMED_MAX = 1_024;
