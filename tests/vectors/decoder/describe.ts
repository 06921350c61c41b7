// What comes out of the decoder, in the notation of the vectors.

import { hex } from "./bytes.ts";
import type { Certificate } from "./certificate.ts";
import { type Author, encodeChain, type Invite } from "./chain.ts";
import type { Changeset } from "./changeset.ts";
import type { Content } from "./content.ts";
import { encodeGenesis, type Genesis } from "./genesis.ts";
import type { Header, Part } from "./header.ts";
import type { Token } from "./invite.ts";
import type { Entry } from "./reader.ts";
import { decodePlaintext } from "./segment.ts";
import type { Skeleton } from "./skeleton.ts";

export function describeGenesis({ id, root, nonce }: Genesis) {
  return { id: hex(id), root: hex(root), nonce: hex(nonce) };
}

export function describeCertificate({ id, space, issuer, subject, statement }: Certificate) {
  const plain = Object.entries(statement).map(([key, value]) => [key, describeScalar(value)]);
  const ids = { id: hex(id), space: hex(space), issuer: hex(issuer), subject: hex(subject) };
  return { ...ids, statement: Object.fromEntries(plain) };
}

export function describeAuthor({ role, not_after, invite, member, device, actor }: Author) {
  return {
    role,
    not_after: String(not_after),
    invite: invite && describeInvite(invite),
    member: member && hex(member),
    device: device && { key: hex(device.key), x25519: hex(device.x25519) },
    actor: actor && hex(actor),
  };
}

export function describeToken({ genesis, chain, terms, secret, epochs, name_key, relays }: Token) {
  return {
    genesis: hex(encodeGenesis(genesis)),
    chain: hex(encodeChain(chain)),
    terms: describeInvite(terms),
    secret: hex(secret),
    epochs: epochs.map(hex),
    name_key: hex(name_key),
    relays,
  };
}

export function describeSkeleton(skeleton: Skeleton) {
  return { ...skeleton, ext: skeleton.ext.map(describeEntry) };
}

export function describeContent({ names, by_op, message, headers, command, others }: Content) {
  return { names, by_op, message, headers: headers ?? null, command, others: others.map(describeEntry) };
}

export function describeChangeset(changeset: Changeset) {
  const { row, damaged, author, skeleton, skeletonPlain, content, contentPlain } = changeset;
  return {
    header: describeHeader(row.header),
    signature: hex(row.signature),
    damaged,
    author: author && describeAuthor(author),
    skeleton: describeSkeleton(skeleton),
    skeleton_body: hex(decodePlaintext(skeletonPlain)),
    content: content && ("absent" in content ? content : describeContent(content)),
    content_body: contentPlain && bodyOf(contentPlain),
  };
}

function bodyOf(plain: Uint8Array): string | null {
  try {
    return hex(decodePlaintext(plain));
  } catch {
    return null;
  }
}

function describeHeader(header: Header) {
  const { deps, seq, redacts, ops_root } = header;
  return {
    id: hex(header.id),
    class: header.class,
    space: hex(header.space),
    actor: hex(header.actor),
    seq,
    prev: seq === 0 ? null : hex(header.prev),
    deps,
    kid: hex(header.kid),
    skeleton: header.skeleton,
    content: describePart(header.content),
    redacts,
    ops_root,
  };
}

function describePart(part: Part): Part | null {
  return part.len === 0 ? null : part;
}

function describeInvite({ key, role, not_after, uses }: Invite) {
  return { key: hex(key), role, not_after: String(not_after), uses: String(uses) };
}

function describeEntry([tag, value]: Entry): [number, string] {
  return [Number(tag), hex(value)];
}

function describeScalar(value: string | bigint | Uint8Array): string {
  return value instanceof Uint8Array ? hex(value) : String(value);
}
