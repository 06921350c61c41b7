/**
 * Checks proofs without the engine, the space, or a key: SHA-256 and Ed25519 of the platform are enough. What is proven is
 * that a changeset with exactly this header, signed by this actor, is in a tree with this root; whom to believe that the
 * root is right is for the caller to know: somebody who was there says it, or validators who certified a block.
 *
 * The tree is that of RFC 9162, section 2.1, over the ids of changesets.
 */

import type { AuditHead, ConsistencyProof, Proof } from "./audit.js";
import { memberOf, rootOf } from "./certificate.js";
import { type BlockProof, type ProvenBlock, type VerifyBlockOptions, verifyBlock } from "./certified.js";
import { type Contradiction, verifyEvidence } from "./contradiction.js";
import { decodeValue } from "./encoded.js";
import type { EvidenceKind, EvidenceProof } from "./evidence.js";
import { type Header, headerOf } from "./header.js";
import { bytesOf, checkTrusted, countOf, type Fields, fieldsOf, hex, isSigned, little, refused, same, sha256, tag } from "./signed.js";
import { checkGrowth, climb, pathOf } from "./tree.js";
import { freeze, type Value } from "./value.js";

export { type AuditHead, type BlockProof, type ConsistencyProof, type Contradiction, type EvidenceKind, type EvidenceProof, type Proof, type ProvenBlock, type VerifyBlockOptions };
export { verifyBlock, verifyEvidence };

/** What a {@link Proof} proves. All ids are 64 hex digits. */
export interface Proven {
  readonly space: string;
  readonly changeset: string;
  /** Whose signature it bears. */
  readonly actor: string;
  /** Its place in that actor's chain. */
  readonly seq: number;
  /** The tree that it is in. */
  readonly size: number;
  readonly root: string;
  /** The member who signed that this is the tree over everything it had seen, as the certificates of the space show. Whether it is one to be believed is for you to know. */
  readonly attestedBy?: string;
  /** The block of which it is the tree, where the proof shows one: that block, or one before it, holds the changeset. */
  readonly block?: ProvenBlock;
  /** What one op of the changeset says, where the proof shows one: `op` is its kind, the other fields are as `docs/format.md`, section 12, lists them. Its author signed it. */
  readonly event?: { readonly [field: string]: Value };
}

/** Options of {@link verifyConsistency}. */
export interface VerifyOptions {
  /** The root that somebody else vouches for; without it that of the proof is checked, and has to be compared by you. */
  root?: string;
  /** The size that they vouch for. A root does not say how large its tree is: a proof may claim any size that the way up fits. */
  size?: number;
}

/** Options of {@link verifyProof}. With `validators` nothing is proven without a block that these have certified. */
export interface VerifyProofOptions extends VerifyOptions, VerifyBlockOptions {}

/**
 * What a proof proves. O(log n) hashes and one signature, and with a block what {@link verifyBlock} takes. Takes anything, as it came over the wire or out of `JSON.parse`.
 *
 * Rejects with `E_PROOF` for what proves nothing: `argument` names the field that does not fit. Rejects with `E_UNSUPPORTED` where the
 * platform has no `crypto.subtle` (an insecure origin) or no Ed25519.
 */
export async function verifyProof(proof: unknown, o: VerifyProofOptions = {}): Promise<Proven> {
  checkTrusted(o, ["root", "size", "validators"]);
  const fields = fieldsOf(proof, "proof");
  const root = claimedRoot(fields, o);
  const [size, index] = [countOf(fields, "size"), countOf(fields, "index")];
  const [id, bytes, signature] = [bytesOf(fields, "changeset", 32), bytesOf(fields, "header"), bytesOf(fields, "signature", 64)];
  const header = await headerOf(bytes);
  const { space, actor, seq } = header;
  if (!same(id, header.id)) throw refused("header", "the header is not that of the changeset");
  if (!same(space, bytesOf(fields, "space", 32))) throw refused("space", "the changeset is of another space");
  if (!(await isSigned(actor, [tag("cs-sig"), id], signature))) throw refused("signature", "the signature is not that of the actor");
  if (index >= size) throw refused("index", "the tree has no such leaf");
  if (!same(await climb(id, index, size, pathOf(fields)), root)) throw refused("root", "the path leads to another root");
  const attested = fields["attested"] === undefined ? undefined : await attesting(fieldsOf(fields["attested"], "attested"), space, size, root);
  const block = fields["block"] === undefined ? undefined : await certifying(fieldsOf(fields["block"], "block"), space, size, root, o);
  if (!block && o.validators !== undefined) throw refused("block", "the proof shows no block");
  return {
    ...{ space: hex(space), changeset: hex(id), actor: hex(actor), seq, size, root: hex(root) },
    ...(attested ? { attestedBy: hex(attested) } : {}),
    ...(block ? { block } : {}),
    ...(fields["event"] === undefined ? {} : { event: await shown(fieldsOf(fields["event"], "event"), header) }),
  };
}

/**
 * Checks that a tree begins with an earlier one: nothing that was in it was changed, moved or taken out. O(log n) hashes.
 * Rejects as {@link verifyProof} does.
 */
export async function verifyConsistency(proof: unknown, o: VerifyOptions = {}): Promise<void> {
  checkTrusted(o, ["root", "size"]);
  const fields = fieldsOf(proof, "proof");
  const root = claimedRoot(fields, o);
  const earlier = fieldsOf(fields["earlier"], "earlier");
  const [size, first] = [countOf(fields, "size"), countOf(earlier, "size")];
  await checkGrowth([first, bytesOf(earlier, "root", 32)], [size, root], pathOf(fields));
}

function claimedRoot(fields: Fields, { root, size }: VerifyOptions): Uint8Array<ArrayBuffer> {
  if (size !== undefined && fields["size"] !== size) throw refused("size", "the proof is for another size");
  const claimed = bytesOf(fields, "root", 32);
  if (root !== undefined && !same(claimed, bytesOf({ root }, "root", 32))) throw refused("root", "the proof is for another root");
  return claimed;
}

/** The member who attested a tree: `docs/format.md`, sections 3 and 13. */
async function attesting(fields: Fields, space: Uint8Array, size: number, root: Uint8Array): Promise<Uint8Array> {
  const [actor, signature] = [bytesOf(fields, "actor", 32), bytesOf(fields, "signature", 64)];
  const statement = [tag("attest"), space, little(size, 8), root];
  if (!(await isSigned(actor, statement, signature))) throw refused("attested", "the attestation is not signed by its actor");
  return memberOf(actor, bytesOf(fields, "chain"), await rootOf(bytesOf(fields, "genesis"), space), space);
}

/** The block with such a tree: `docs/format.md`, section 14. */
async function certifying(fields: Fields, space: Uint8Array, size: number, root: Uint8Array, o: VerifyBlockOptions): Promise<ProvenBlock> {
  const block = await verifyBlock(fields, o.validators === undefined ? {} : { validators: o.validators });
  if (block.space !== hex(space) || block.size !== size || block.root !== hex(root)) throw refused("block", "the block has another tree");
  return block;
}

/** What an op says that the author signed in the ops root: `docs/format.md`, section 12. */
async function shown(fields: Fields, header: Header): Promise<{ readonly [field: string]: Value }> {
  const [index, count] = [countOf(fields, "index"), countOf(fields, "count")];
  const [salt, statement] = [bytesOf(fields, "salt", 16), bytesOf(fields, "statement")];
  if (index >= count) throw refused("index", "the changeset has no such op");
  if (!header.opsRoot) throw refused("header", "the changeset was not made so that its ops can be shown");
  const leaf = await sha256(tag("op-leaf"), salt, statement);
  if (!same(await climb(leaf, index, count, pathOf(fields)), header.opsRoot)) throw refused("event", "the path leads to another root");
  let says: Value;
  try {
    says = decodeValue(statement);
  } catch {
    throw refused("statement", "the statement is not a value");
  }
  const { index: stated } = fieldsOf(says, "statement");
  if (stated !== index) throw refused("statement", "the statement is about another op");
  return freeze(says as { [field: string]: Value });
}
