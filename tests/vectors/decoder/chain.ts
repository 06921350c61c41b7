// Certificates from the root downwards. Each prefix of a chain is one; what it does not reach is null.

import { same } from "./bytes.ts";
import { type Certificate, checkCertificate, decodeCertificate, encodeCertificate, type Role } from "./certificate.ts";
import { checkAgreementKey, checkVerifyingKey } from "./crypto.ts";
import { check } from "./fault.ts";
import type { Genesis } from "./genesis.ts";
import { Reader } from "./reader.ts";
import { Writer } from "./writer.ts";

export interface Invite {
  key: Uint8Array;
  role: Role;
  not_after: bigint;
  uses: bigint;
}

export interface Author {
  role: Role;
  not_after: bigint;
  invite: Invite | null;
  member: Uint8Array | null;
  device: { key: Uint8Array; x25519: Uint8Array } | null;
  actor: Uint8Array | null;
}

/** What may follow what. */
const FOLLOWS: Record<string, readonly string[]> = {
  root: ["grant", "invite"],
  grant: ["invite", "device"],
  invite: ["member"],
  member: ["device"],
  device: ["actor"],
  actor: [],
};

const CERTIFICATES = 8;

export function decodeChain(bytes: Uint8Array): Certificate[] {
  return Reader.whole(bytes, readChain);
}

export function readChain(r: Reader): Certificate[] {
  return r.list(CERTIFICATES, 1, () => r.bytes()).map(decodeCertificate);
}

export function encodeChain(chain: Certificate[]): Uint8Array {
  return Writer.of((w) => w.list(chain, (one) => w.bytes(encodeCertificate(one))));
}

export function verifyChain(genesis: Genesis, chain: Certificate[]): Author {
  check(chain.length > 0, "order", "no certificate");
  const author: Author = { role: "reader", not_after: 0n, invite: null, member: null, device: null, actor: null };
  let last = "root";
  let holder = genesis.root;
  for (const one of chain) {
    const { statement, subject } = one;
    check(same(one.space, genesis.id), "space", "for another space");
    check(same(one.issuer, holder), "link", "issued by another");
    check(FOLLOWS[last]?.includes(statement.kind) === true, "order", `${statement.kind} after ${last}`);
    const invitedBy = last === "grant" && statement.kind === "invite" ? author.role : "owner";
    check(invitedBy === "admin" || invitedBy === "owner", "right", `invited by a ${invitedBy}`);
    checkVerifyingKey(subject);
    reach(author, one);
    checkCertificate(one);
    last = statement.kind;
    holder = subject;
  }
  return author;
}

function reach(author: Author, { statement, subject }: Certificate): void {
  switch (statement.kind) {
    case "grant":
      author.role = statement.role;
      author.not_after = statement.not_after;
      author.member = subject;
      break;
    case "invite": {
      const { role, not_after, uses } = statement;
      Object.assign(author, { role, not_after, member: null, invite: { key: subject, role, not_after, uses } });
      break;
    }
    case "member":
      author.member = subject;
      break;
    case "device":
      checkAgreementKey(statement.x25519);
      author.device = { key: subject, x25519: statement.x25519 };
      break;
    case "actor":
      author.actor = subject;
      break;
  }
}
