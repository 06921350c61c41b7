/**
 * Checks proofs without the engine, the space, or a key: SHA-256 and Ed25519 of the platform are enough. What is proven is
 * that a changeset with exactly this header, signed by this actor, is in a tree with this root; whom to believe that the
 * root is right is for the caller to know: somebody who was there says it.
 *
 * The tree is that of RFC 9162, section 2.1, over the ids of changesets.
 */

import type { AuditHead, ConsistencyProof, Proof } from "./audit.js";
import { decodeValue } from "./encoded.js";
import { StemmaError } from "./errors.js";
import type { EvidenceKind, EvidenceProof } from "./evidence.js";
import { freeze, type Value } from "./value.js";

export type { AuditHead, ConsistencyProof, EvidenceKind, EvidenceProof, Proof };

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
  /** What one op of the changeset says, where the proof shows one: `op` is its kind, the other fields are as `docs/format.md`, section 12, lists them. Its author signed it. */
  readonly event?: { readonly [field: string]: Value };
}

/** Options of {@link verifyProof} and {@link verifyConsistency}. */
export interface VerifyOptions {
  /** The root that somebody else vouches for; without it that of the proof is checked, and has to be compared by you. */
  root?: string;
  /** The size that they vouch for. A root does not say how large its tree is: a proof may claim any size that the way up fits. */
  size?: number;
}

/**
 * What a proof proves. O(log n) hashes and one signature. Takes anything, as it came over the wire or out of `JSON.parse`.
 *
 * Rejects with `E_PROOF` for what proves nothing: `argument` names the field that does not fit. Rejects with `E_UNSUPPORTED` where the
 * platform has no `crypto.subtle` (an insecure origin) or no Ed25519.
 */
export async function verifyProof(proof: unknown, o: VerifyOptions = {}): Promise<Proven> {
  const fields = fieldsOf(proof, "proof");
  const root = rootOf(fields, o);
  const [size, index] = [countOf(fields, "size"), countOf(fields, "index")];
  const [id, header, signature] = [bytesOf(fields, "changeset", 32), bytesOf(fields, "header"), bytesOf(fields, "signature", 64)];
  if (!same(id, await sha256(tag("cs-id"), header))) throw refused("header", "the header is not that of the changeset");
  const { space, actor, seq } = signedBy(header);
  if (!same(space, bytesOf(fields, "space", 32))) throw refused("space", "the changeset is of another space");
  if (!(await isSigned(actor, [tag("cs-sig"), id], signature))) throw refused("signature", "the signature is not that of the actor");
  if (index >= size) throw refused("index", "the tree has no such leaf");
  if (!same(await climb(id, index, size, pathOf(fields)), root)) throw refused("root", "the path leads to another root");
  const attested = fields["attested"] === undefined ? undefined : (await attesting(fieldsOf(fields["attested"], "attested"), space, size, root));
  return {
    ...{ space: hex(space), changeset: hex(id), actor: hex(actor), seq, size, root: hex(root) },
    ...(attested ? { attestedBy: hex(attested) } : {}),
    ...(fields["event"] === undefined ? {} : { event: await shown(fieldsOf(fields["event"], "event"), header) }),
  };
}

/** Where the path from a leaf leads, in a tree that has it. */
async function climb(leaf: Uint8Array, index: number, size: number, path: Uint8Array[]): Promise<Uint8Array> {
  let [at, last, hash] = [index, size - 1, await sha256(LEAF, leaf)];
  for (const beside of path) {
    if (last === 0) throw refused("path", "the path is too long");
    const isRight = at % 2 === 1 || at === last;
    hash = isRight ? await sha256(NODE, beside, hash) : await sha256(NODE, hash, beside);
    [at, last] = up(at, last, isRight);
  }
  if (last !== 0) throw refused("path", "the path is too short");
  return hash;
}

/** What an op says that the author signed in the ops root: `docs/format.md`, section 12. */
async function shown(fields: Fields, header: Uint8Array<ArrayBuffer>): Promise<{ readonly [field: string]: Value }> {
  const [index, count] = [countOf(fields, "index"), countOf(fields, "count")];
  const [salt, statement] = [bytesOf(fields, "salt", 16), bytesOf(fields, "statement")];
  if (index >= count) throw refused("index", "the changeset has no such op");
  const root = opsRootOf(header);
  if (!root) throw refused("header", "the changeset was not made so that its ops can be shown");
  const leaf = await sha256(tag("op-leaf"), salt, statement);
  if (!same(await climb(leaf, index, count, pathOf(fields)), root)) throw refused("event", "the path leads to another root");
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

/** What the extension of a header says of its ops, if it does: section 4. */
function opsRootOf(header: Uint8Array<ArrayBuffer>): Uint8Array | undefined {
  let at = varint(header, 68)[1] + 32;
  const number = () => {
    const [value, end] = varint(header, at);
    at = end;
    return value;
  };
  const deps = number();
  at += 32 * deps + 16;
  for (let segments = 2; segments > 0; segments--) {
    number();
    at += 32;
  }
  const length = number();
  for (const end = at + length; at < end && at < header.length; ) {
    const [kind, size] = [number(), number()];
    if (kind === OPS_ROOT) return header.slice(at, at + size);
    at += size;
  }
  return undefined;
}

const OPS_ROOT = 3 << 1;

/** The member who attested a tree: `docs/format.md`, sections 3 and 13. */
async function attesting(fields: Fields, space: Uint8Array, size: number, root: Uint8Array): Promise<Uint8Array> {
  const [actor, signature, genesis] = [bytesOf(fields, "actor", 32), bytesOf(fields, "signature", 64), bytesOf(fields, "genesis")];
  const count = new DataView(new ArrayBuffer(8));
  count.setBigUint64(0, BigInt(size), true);
  const statement = [tag("attest"), space, new Uint8Array(count.buffer), root];
  if (!(await isSigned(actor, statement, signature))) throw refused("attested", "the attestation is not signed by its actor");
  if (genesis.length < 53 || !same(await sha256(tag("genesis"), genesis), space)) throw refused("genesis", "the space did not begin with this");
  const certificates = certificatesOf(bytesOf(fields, "chain"));
  let issuer: Uint8Array = genesis.slice(4, 36);
  for (const certificate of certificates) {
    const [signed, by, subject] = [certificate.slice(0, -64), certificate.slice(36, 68), certificate.slice(68, 100)];
    const isLinked = same(by, issuer) && same(certificate.slice(4, 36), space) && certificate[0] === 1 && certificate[1] === 1;
    const id = await sha256(tag("cert-id"), signed);
    if (!isLinked || !(await isSigned(by, [tag("cert-sig"), id], certificate.slice(-64)))) throw refused("chain", "a certificate is not of who stands before it");
    issuer = subject;
  }
  // Granted by the root; or invited, by the root or by an admin; then a device and an actor of it.
  const kinds = certificates.map((certificate) => certificate[2]).join("");
  const invitesWithoutRight = kinds.startsWith("12") && (certificates[0]?.[100] ?? 0) < 3;
  if (!/^(1|1?23)45$/.test(kinds) || invitesWithoutRight || !same(issuer, actor)) throw refused("chain", "the certificates do not lead to the actor");
  return (certificates.at(-3) as Uint8Array).slice(68, 100);
}

/** What evidence shows. */
export interface Contradiction {
  readonly kind: EvidenceKind;
  readonly space: string;
  /** Who signed what contradicts itself. */
  readonly actor: string;
  /** From which number in its chain on; absent where it is about votes or blocks. */
  readonly seq?: number;
}

/**
 * What evidence shows, by signatures alone: a fork, a gap, two votes, a broken lock or two blocks of one actor. Takes anything. A few hashes, and two signatures.
 *
 * Rejects with `E_PROOF` for what contradicts nothing: `argument` names what does not fit. Rejects with `E_UNSUPPORTED` for what only members can see (a changeset that nobody
 * can read, a snapshot, two actors of one member), and as {@link verifyProof} does.
 */
export async function verifyEvidence(proof: unknown): Promise<Contradiction> {
  const fields = fieldsOf(proof, "proof");
  const [space, bytes] = [bytesOf(fields, "space", 32), bytesOf(fields, "evidence")];
  const from = new Bytes(bytes);
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
  if (code !== 5 && code !== 6) throw new StemmaError("E_UNSUPPORTED", "only members can see what this shows", { argument: "evidence" });
  const said = [];
  for (let i = 0; i < 2; i++) {
    const [actor, statement] = [from.take(32), new Bytes(from.bytes())];
    from.bytes(); // certificates
    said.push({ actor, ...(code === 5 ? await voteOf(statement, actor, space) : await proposalOf(statement, actor, space)) });
  }
  from.end();
  const [a, b] = said as [Statement & { actor: Uint8Array }, Statement & { actor: Uint8Array }];
  if (!same(a.actor, b.actor)) throw new StemmaError("E_UNSUPPORTED", "only members can see that two actors are one member", { argument: "evidence" });
  const kind = code === 5 ? votesContradict(a, b) : a.round === b.round && a.block !== b.block && a.height === b.height && a.set === b.set ? "double-block" : undefined;
  if (!kind) throw refused("evidence", "what it shows does not contradict itself");
  return { kind, space: hex(space), actor: hex(a.actor) };
}

interface Statement {
  readonly set: string;
  readonly height: number;
  readonly round: number;
  readonly phase: number;
  /** 0 for none, else the round after it. */
  readonly valid: number;
  readonly block: string;
}

function votesContradict(a: Statement, b: Statement): EvidenceKind | undefined {
  if (a.set !== b.set || a.height !== b.height || a.block === b.block) return undefined;
  if (a.round === b.round) return a.phase === b.phase ? "double-vote" : undefined;
  const [first, later] = a.round < b.round ? [a, b] : [b, a];
  const isLocked = first.phase === 1 && first.block !== "" && later.phase === 0 && later.block !== "";
  return isLocked && later.valid <= first.round ? "broken-lock" : undefined;
}

/** `docs/format.md`, section 14. */
async function voteOf(from: Bytes, actor: Uint8Array<ArrayBuffer>, space: Uint8Array): Promise<Statement> {
  if (from.byte() !== 1) throw refused("version", "a vote is of a version that is not known here");
  const [height, round, phase, valid] = [from.number(), from.number(), from.byte(), from.number()];
  const set = from.take(32);
  const block = from.number() === 1 ? from.take(32) : new Uint8Array();
  const signature = from.take(64);
  from.end();
  const numbers = [little(height, 8), little(round, 4), Uint8Array.of(phase), little(valid, 4), Uint8Array.of(block.length / 32)];
  const message = [tag("vote"), space, set, ...numbers, block.length > 0 ? block : new Uint8Array(32)];
  if (!(await isSigned(actor, message, signature))) throw refused("signature", "a vote is not signed by its actor");
  return { set: hex(set), height, round, phase, valid, block: hex(block) };
}

async function proposalOf(from: Bytes, actor: Uint8Array<ArrayBuffer>, space: Uint8Array): Promise<Statement> {
  if (from.byte() !== 1) throw refused("version", "a block is of a version that is not known here");
  const [round, valid] = [from.number(), from.number()];
  const [header, signature] = [from.bytes(), from.take(64)];
  from.end();
  const block = await sha256(tag("block-id"), header);
  const fields = new Bytes(header);
  const [height] = [fields.number(), fields.number(), fields.number()];
  fields.take(32);
  fields.number();
  fields.take(64);
  const set = fields.take(32);
  const message = [tag("block"), space, set, little(height, 8), little(round, 4), little(valid, 4), block];
  if (!(await isSigned(actor, message, signature))) throw refused("signature", "a block is not signed by its actor");
  return { set: hex(set), height, round, phase: 0, valid, block: hex(block) };
}

/** Headers linked by `prev`, of which the last is signed: the first. */
async function runOf(from: Bytes, space: Uint8Array): Promise<Signed> {
  const headers: Signed[] = [];
  const count = from.number();
  if (count < 1 || count > RUN_MAX) throw refused("evidence", "a run has 1 to 16 headers");
  for (let i = 0; i < count; i++) headers.push(await headerOf(from.bytes()));
  const [first, last] = [headers[0] as Signed, headers.at(-1) as Signed];
  const isLinked = headers.every((header, i) => i === 0 || (header.seq > 0 && same(header.prev, (headers[i - 1] as Signed).id)));
  const isOne = headers.every((header) => same(header.actor, first.actor) && same(header.space, space));
  const isGood = isLinked && isOne && (await isSigned(first.actor, [tag("cs-sig"), last.id], from.take(64)));
  if (!isGood) throw refused("signature", "a changeset is not signed by its actor");
  return first;
}

async function headerOf(header: Uint8Array<ArrayBuffer>): Promise<Signed> {
  const { space, actor, seq, end } = signedBy(header);
  if (end + 32 > header.length) throw refused("header", "the header is cut off");
  return { id: await sha256(tag("cs-id"), header), space, actor, seq, prev: header.slice(end, end + 32) };
}

interface Signed {
  readonly id: Uint8Array;
  readonly space: Uint8Array;
  readonly actor: Uint8Array<ArrayBuffer>;
  readonly seq: number;
  readonly prev: Uint8Array;
}

const RUN_MAX = 16;

/** Bytes that are read from front to back. */
class Bytes {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  #at = 0;

  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.#bytes = bytes;
  }

  take(length: number): Uint8Array<ArrayBuffer> {
    if (length > this.#bytes.length - this.#at) throw refused("evidence", "the evidence is cut off");
    return this.#bytes.slice(this.#at, (this.#at += length));
  }

  byte(): number {
    return this.take(1)[0] as number;
  }

  /** Minimal, and safe. */
  number(): number {
    let value = 0;
    for (let i = 0; i < 8; i++) {
      const byte = this.byte();
      value += (byte & 127) * 128 ** i;
      if (byte < 128 && (byte > 0 || i === 0) && value <= Number.MAX_SAFE_INTEGER) return value;
      if (byte < 128) break;
    }
    throw refused("evidence", "a number is not written as it should be");
  }

  bytes(): Uint8Array<ArrayBuffer> {
    return this.take(this.number());
  }

  end(): void {
    if (this.#at < this.#bytes.length) throw refused("evidence", "the evidence is longer than it says");
  }
}

function little(value: number, bytes: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(value), true);
  return new Uint8Array(view.buffer, 0, bytes);
}

/** The certificates of a chain: how many, then each behind its length. */
function certificatesOf(chain: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] {
  const certificates: Uint8Array<ArrayBuffer>[] = [];
  const [count, start] = varint(chain, 0);
  let at = start;
  for (let i = 0; i < Math.min(count, CERTIFICATES_MAX); i++) {
    const [length, begin] = varint(chain, at);
    at = begin + length;
    if (length < 164 || at > chain.length) throw refused("chain", "the chain is cut off");
    certificates.push(chain.slice(begin, at));
  }
  if (at !== chain.length || certificates.length < count) throw refused("chain", "the chain is longer than it says");
  return certificates;
}

const CERTIFICATES_MAX = 8;

/** A number of up to five bytes, and where it ends; too large to be a length where it has more. */
function varint(bytes: Uint8Array, at: number): [number, number] {
  let value = 0;
  for (let i = 0; i < 5; i++) {
    const byte = bytes[at + i] ?? 0;
    value += (byte & 127) * 128 ** i;
    if (byte < 128) return [value, at + i + 1];
  }
  return [Number.MAX_SAFE_INTEGER, at];
}

/**
 * Checks that a tree begins with an earlier one: nothing that was in it was changed, moved or taken out. O(log n) hashes.
 * Rejects as {@link verifyProof} does.
 */
export async function verifyConsistency(proof: unknown, o: VerifyOptions = {}): Promise<void> {
  const fields = fieldsOf(proof, "proof");
  const root = rootOf(fields, o);
  const earlier = fieldsOf(fields["earlier"], "earlier");
  const [size, first] = [countOf(fields, "size"), countOf(earlier, "size")];
  const [firstRoot, path] = [bytesOf(earlier, "root", 32), pathOf(fields)];
  if (first > size) throw refused("size", "the tree has become smaller");
  if (first === 0 || first === size) {
    if (path.length > 0) throw refused("path", "the path is too long");
    if (!same(firstRoot, first === 0 ? await sha256() : root)) throw refused("root", "the roots do not belong together");
    return;
  }
  let [at, last] = [first - 1, size - 1];
  while (at % 2 === 1) [at, last] = [half(at), half(last)];
  // An earlier tree that is complete is a part of the other one: its root is not in the path.
  const rest = isPowerOfTwo(first) ? [firstRoot, ...path] : path;
  let [old, now] = [rest[0], rest[0]];
  if (!old || !now) throw refused("path", "the path is too short");
  for (const beside of rest.slice(1)) {
    if (last === 0) throw refused("path", "the path is too long");
    const isRight = at % 2 === 1 || at === last;
    if (isRight) [old, now] = [await sha256(NODE, beside, old), await sha256(NODE, beside, now)];
    else now = await sha256(NODE, now, beside);
    [at, last] = up(at, last, isRight);
  }
  if (last !== 0) throw refused("path", "the path is too short");
  if (!same(old, firstRoot)) throw refused("earlier", "the earlier tree is not the beginning of this one");
  if (!same(now, root)) throw refused("root", "the path leads to another root");
}

/** One step towards the root, of a node and of the last one in its row; a last one without a partner rises until it has one. */
function up(at: number, last: number, isRight: boolean): [number, number] {
  if (isRight) while (at % 2 === 0 && at !== 0) [at, last] = [half(at), half(last)];
  return [half(at), half(last)];
}

/** Not by shifting, which cuts to 32 bits. */
function half(n: number): number {
  return Math.floor(n / 2);
}

function isPowerOfTwo(n: number): boolean {
  return Number.isInteger(Math.log2(n)) && 2 ** Math.log2(n) === n;
}

/** Who signed a header, whose hash is known to be right: `docs/format.md`, section 4. */
function signedBy(header: Uint8Array<ArrayBuffer>): { space: Uint8Array; actor: Uint8Array<ArrayBuffer>; seq: number; end: number } {
  if (header[0] !== 1 || header[1] !== 1) throw refused("header", "the header is of a version that is not known here");
  const [seq, end] = varint(header, 68);
  if (end > header.length) throw refused("header", "the header is cut off");
  return { space: header.slice(4, 36), actor: header.slice(36, 68), seq, end };
}

async function isSigned(actor: Uint8Array<ArrayBuffer>, message: Uint8Array[], signature: Uint8Array<ArrayBuffer>): Promise<boolean> {
  const cipher = subtle();
  let key: CryptoKey;
  try {
    key = await cipher.importKey("raw", actor, "Ed25519", false, ["verify"]);
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "NotSupportedError") {
      throw new StemmaError("E_UNSUPPORTED", "this platform does not check Ed25519 signatures", { cause });
    }
    return false;
  }
  return cipher.verify("Ed25519", key, signature, joined(message));
}

async function sha256(...parts: Uint8Array[]): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await subtle().digest("SHA-256", joined(parts)));
}

function subtle(): SubtleCrypto {
  const found = globalThis.crypto?.subtle;
  if (!found) throw new StemmaError("E_UNSUPPORTED", "this page has no crypto.subtle: its origin is not secure");
  return found;
}

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

function tag(name: string): Uint8Array {
  return new TextEncoder().encode(`stemma/1${name.padEnd(8, "\0")}`);
}

function joined(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

type Fields = Record<string, unknown>;

function fieldsOf(value: unknown, name: string): Fields {
  if (typeof value !== "object" || value === null) throw refused(name, `${name} is not an object`);
  const fields = value as Fields;
  if (name === "proof" && fields["version"] !== 1) throw refused("version", "the proof is of a version that is not known here");
  return fields;
}

function rootOf(fields: Fields, { root, size }: VerifyOptions): Uint8Array<ArrayBuffer> {
  if (size !== undefined && fields["size"] !== size) throw refused("size", "the proof is for another size");
  const claimed = bytesOf(fields, "root", 32);
  if (root !== undefined && !same(claimed, bytesOf({ root }, "root", 32))) throw refused("root", "the proof is for another root");
  return claimed;
}

function countOf(fields: Fields, name: string): number {
  const value = fields[name];
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw refused(name, `${name} is not a count`);
  return value as number;
}

function pathOf(fields: Fields): Uint8Array<ArrayBuffer>[] {
  const path = fields["path"];
  if (!Array.isArray(path) || path.length > PATH_MAX) throw refused("path", "path is not a list of hashes");
  return Array.from(path, (hash) => bytesOf({ path: hash }, "path", 32));
}

/** More than any tree needs whose size is a safe integer. */
const PATH_MAX = 64;

/** The longest header: what a changeset takes at most. */
const BYTES_MAX = 262_144;

function bytesOf(fields: Fields, name: string, length?: number): Uint8Array<ArrayBuffer> {
  const value = fields[name];
  if (typeof value !== "string" || value.length % 2 === 1 || value.length > 2 * BYTES_MAX || !/^[0-9a-f]*$/.test(value)) {
    throw refused(name, `${name} is not bytes as hex digits`);
  }
  if (length !== undefined && value.length !== 2 * length) throw refused(name, `${name} is not ${length} bytes`);
  return Uint8Array.from({ length: value.length / 2 }, (_, i) => Number.parseInt(value.slice(2 * i, 2 * i + 2), 16));
}

/** Bytes as hex digits. */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function refused(argument: string, message: string): StemmaError {
  return new StemmaError("E_PROOF", message, { argument });
}
