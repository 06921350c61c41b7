// One certificate: who says what of whom. It carries its own signature and says nothing of who may issue it.

import { concat } from "./bytes.ts";
import { checkSignature, hash } from "./crypto.ts";
import { check } from "./fault.ts";
import { checkEntries, type Entry, Reader } from "./reader.ts";
import { Writer } from "./writer.ts";

export type Role = "reader" | "writer" | "admin" | "owner";

export type Statement =
  | { kind: "grant"; role: Role; not_after: bigint }
  | { kind: "invite"; role: Role; not_after: bigint; uses: bigint }
  | { kind: "member" }
  | { kind: "device"; x25519: Uint8Array }
  | { kind: "actor" };

export interface Certificate {
  id: Uint8Array;
  space: Uint8Array;
  issuer: Uint8Array;
  subject: Uint8Array;
  statement: Statement;
  ext: Entry[];
  signature: Uint8Array;
}

const KINDS = ["grant", "invite", "member", "device", "actor"] as const;
const ROLES: readonly Role[] = ["reader", "writer", "admin", "owner"];

export function decodeCertificate(bytes: Uint8Array): Certificate {
  const certificate = Reader.whole(bytes, (r) => {
    check(r.u8() === 1, "unknown", "version");
    const suite = r.u8();
    const kind = KINDS[r.u8() - 1];
    const flags = r.u8();
    const [space, issuer, subject] = [r.raw(32), r.raw(32), r.raw(32)];
    check(suite === 1 && kind !== undefined && flags === 0, "unsupported", `suite ${suite}, flags ${flags}, or kind`);
    const statement = readStatement(r, kind);
    const ext = r.tlv();
    const id = hash("cert-id", bytes.subarray(0, r.at));
    return { id, space, issuer, subject, statement, ext, signature: r.raw(64) };
  });
  checkEntries(certificate.ext);
  return certificate;
}

export function encodeCertificate({ space, issuer, subject, statement, ext, signature }: Certificate): Uint8Array {
  return Writer.of((w) => {
    w.u8(1)
      .u8(1)
      .u8(KINDS.indexOf(statement.kind) + 1)
      .u8(0)
      .raw(concat(space, issuer, subject));
    if ("role" in statement) w.u8(ROLES.indexOf(statement.role) + 1).varint(statement.not_after);
    if ("uses" in statement) w.varint(statement.uses);
    if ("x25519" in statement) w.raw(statement.x25519);
    w.tlv(ext).raw(signature);
  });
}

export function checkCertificate({ id, issuer, signature }: Certificate): void {
  checkSignature(issuer, signature, "cert-sig", id);
}

function readStatement(r: Reader, kind: Statement["kind"]): Statement {
  switch (kind) {
    case "grant":
      return { kind, role: readRole(r), not_after: r.varint() };
    case "invite": {
      const role = readRole(r);
      check(role === "reader" || role === "writer", "invalid", `an invite of an ${role}`);
      return { kind, role, not_after: r.varint(), uses: r.varint() };
    }
    case "device":
      return { kind, x25519: r.raw(32) };
    default:
      return { kind };
  }
}

function readRole(r: Reader): Role {
  const role = ROLES[r.u8() - 1];
  check(role !== undefined, "unsupported", "role");
  return role;
}
