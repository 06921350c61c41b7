/** Checks evidence without the engine: `docs/format.md`, section 16. Nothing but signatures of the accused shows anything. */

import { memberOf, rootOf } from "./certificate.js";
import { StemmaError } from "./errors.js";
import type { EvidenceKind } from "./evidence.js";
import { type Header, headerOf } from "./header.js";
import { Bytes, bytesOf, fieldsOf, hex, isSigned, refused, same, tag } from "./signed.js";
import { proposalOf, type Statement, voteOf } from "./vote.js";

/** What evidence shows. */
export interface Contradiction {
  readonly kind: EvidenceKind;
  readonly space: string;
  /** Who signed what contradicts itself: an actor, or the first of two of one member. */
  readonly actor: string;
  /** That member, where it takes both. */
  readonly member?: string;
  /** From which number in its chain on; absent where it is about votes or blocks. */
  readonly seq?: number;
}

/**
 * What evidence shows, by signatures alone: a fork, a gap, two votes, a broken lock or two blocks of one member. Takes anything. A few hashes, two signatures, and the
 * certificates where they are of two actors.
 *
 * Rejects with `E_PROOF` for what contradicts nothing: `argument` names what does not fit. Rejects with `E_UNSUPPORTED` for what only members can see (a changeset that nobody
 * can read, a snapshot), for two actors without what their space began with, and as {@link verifyProof} does.
 */
export async function verifyEvidence(proof: unknown): Promise<Contradiction> {
  const fields = fieldsOf(proof, "proof");
  const [space, bytes] = [bytesOf(fields, "space", 32), bytesOf(fields, "evidence")];
  const root = fields["genesis"] === undefined ? undefined : await rootOf(bytesOf(fields, "genesis"), space);
  const from = new Bytes(bytes, "evidence");
  if (from.byte() !== 1) throw refused("version", "the evidence is of a version that is not known here");
  const code = from.byte();
  if (code === 1 || code === 2) {
    const first = await runOf(from, space);
    const second = code === 1 ? await runOf(from, space) : await headerOf(from.bytes());
    from.end();
    const isSame = same(first.actor, second.actor) && same(second.space, space);
    const isFork = isSame && first.seq === second.seq && same(first.prev, second.prev) && hex(first.id) < hex(second.id);
    const isGap = first.seq > 0 && same(first.prev, second.id) && !(isSame && second.seq === first.seq - 1);
    if (!(code === 1 ? isFork : isGap)) throw refused("evidence", "what it shows does not contradict itself");
    return { kind: code === 1 ? "fork" : "gap", space: hex(space), actor: hex(first.actor), seq: first.seq };
  }
  if (code !== 5 && code !== 6) {
    const why = code === 3 || code === 4 ? "only members can see what this shows" : "the evidence is of a kind that is not known here";
    throw new StemmaError("E_UNSUPPORTED", why, { argument: "evidence" });
  }
  const said = [];
  for (let i = 0; i < 2; i++) {
    const [actor, payload, chain] = [from.take(32), from.bytes(), from.bytes()];
    const statement = new Bytes(payload, "evidence");
    said.push({ actor, chain, place: hex(actor) + hex(payload), ...(code === 5 ? await voteOf(statement, actor, space) : await proposalOf(statement, actor, space)) });
  }
  from.end();
  const [a, b] = said as [Said, Said];
  const kind = code === 5 ? votesContradict(a, b) : a.round === b.round && a.block !== b.block && a.height === b.height && a.set === b.set ? "double-block" : undefined;
  if (!kind || a.place >= b.place) throw refused("evidence", "what it shows does not contradict itself");
  const one = { kind, space: hex(space), actor: hex(a.actor) };
  if (same(a.actor, b.actor)) {
    if (a.chain.length + b.chain.length > 0) throw refused("chain", "one actor needs no certificates");
    return one;
  }
  if (!root) throw new StemmaError("E_UNSUPPORTED", "without what the space began with only members can see that two actors are one member", { argument: "genesis" });
  const [member, other] = [await memberOf(a.actor, a.chain, root, space), await memberOf(b.actor, b.chain, root, space)];
  if (!same(member, other)) throw refused("chain", "the two actors are of two members");
  return { ...one, member: hex(member) };
}

/** With who said it, and the bytes by which the lesser comes first. */
interface Said extends Statement {
  readonly actor: Uint8Array;
  readonly chain: Uint8Array<ArrayBuffer>;
  readonly place: string;
}

function votesContradict(a: Statement, b: Statement): EvidenceKind | undefined {
  if (a.set !== b.set || a.height !== b.height || a.block === b.block) return undefined;
  if (a.round === b.round) return a.phase === b.phase ? "double-vote" : undefined;
  const [first, later] = a.round < b.round ? [a, b] : [b, a];
  const isLocked = first.phase === 1 && first.block !== "" && later.phase === 0 && later.block !== "";
  return isLocked && later.valid <= first.round ? "broken-lock" : undefined;
}

/** Headers linked by `prev`, of which the last is signed: the first. */
async function runOf(from: Bytes, space: Uint8Array): Promise<Header> {
  const headers: Header[] = [];
  const count = from.number(RUN_MAX);
  for (let i = 0; i < count; i++) headers.push(await headerOf(from.bytes()));
  const [first, last] = [headers[0], headers.at(-1)];
  if (!first || !last) throw refused("evidence", "a run has a header");
  const isLinked = headers.every((header, i) => i === 0 || (header.seq > 0 && same(header.prev, (headers[i - 1] as Header).id)));
  const isOne = headers.every((header) => same(header.actor, first.actor) && same(header.space, space));
  const isGood = isLinked && isOne && (await isSigned(first.actor, [tag("cs-sig"), last.id], from.take(64)));
  if (!isGood) throw refused("signature", "a changeset is not signed by its actor");
  return first;
}

const RUN_MAX = 16;
