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
import { freeze, type Value } from "./value.js";

export type { AuditHead, ConsistencyProof, Proof };

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
  at += 32 * number() + 16;
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
function signedBy(header: Uint8Array<ArrayBuffer>): { space: Uint8Array; actor: Uint8Array<ArrayBuffer>; seq: number } {
  if (header[0] !== 1 || header[1] !== 1) throw refused("header", "the header is of a version that is not known here");
  const [seq, end] = varint(header, 68);
  if (end > header.length) throw refused("header", "the header is cut off");
  return { space: header.slice(4, 36), actor: header.slice(36, 68), seq };
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
