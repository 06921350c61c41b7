/** Reads certificates for whoever has no engine: which member an actor is of, from what the space began with. `docs/format.md`, section 3. */

import { Bytes, canShare, isSigned, refused, same, sha256, tag } from "./signed.js";

/** The member whose actor it is, if the certificates lead there from the root of the space. */
export async function memberOf(actor: Uint8Array, chain: Uint8Array<ArrayBuffer>, root: Uint8Array<ArrayBuffer>, space: Uint8Array): Promise<Uint8Array> {
  const certificates = certificatesOf(chain);
  let issuer = root;
  for (const { bytes, space: of, by, subject } of certificates) {
    const id = await sha256(tag("cert-id"), bytes.slice(0, -64));
    const isLinked = same(by, issuer) && same(of, space);
    if (!isLinked || !(await isSigned(by, [tag("cert-sig"), id], bytes.slice(-64)))) throw refused("chain", "a certificate is not of who stands before it");
    issuer = subject;
  }
  // Granted by the root; or invited, by the root or by an admin; then a device and an actor of it.
  const kinds = certificates.map(({ kind }) => kind).join("");
  const invitesWithoutRight = kinds.startsWith("12") && (certificates[0] as Certificate).role < ADMIN;
  if (!/^(1|1?23)45$/.test(kinds) || invitesWithoutRight || !same(issuer, actor)) throw refused("chain", "the certificates do not lead to the actor");
  return (certificates.at(-3) as Certificate).subject;
}

/** The key that founded a space, if this is what it began with. */
export async function rootOf(genesis: Uint8Array<ArrayBuffer>, space: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  if (genesis.length < 53 || !same(await sha256(tag("genesis"), genesis), space)) throw refused("genesis", "the space did not begin with this");
  return genesis.slice(4, 36);
}

interface Certificate {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly kind: number;
  readonly space: Uint8Array;
  /** Who signed it, and for whom. */
  readonly by: Uint8Array<ArrayBuffer>;
  readonly subject: Uint8Array<ArrayBuffer>;
  /** The right that it gives; 0 of those that give none. */
  readonly role: number;
}

function certificatesOf(chain: Uint8Array<ArrayBuffer>): Certificate[] {
  const from = new Bytes(chain, "chain");
  const certificates = Array.from({ length: from.number(CERTIFICATES_MAX) }, () => certificateOf(from.bytes()));
  from.end();
  return certificates;
}

function certificateOf(bytes: Uint8Array<ArrayBuffer>): Certificate {
  const from = new Bytes(bytes, "chain");
  const [version, suite, kind, flags] = [from.byte(), from.byte(), from.byte(), from.byte()];
  if (version !== 1 || suite !== 1 || flags !== 0) throw refused("chain", "a certificate is of a version that is not known here");
  const [space, by, subject] = [from.take(32), from.take(32), from.take(32)];
  let role = 0;
  if (kind === 1 || kind === 2) {
    role = from.byte();
    if (role < 1 || role > (kind === 1 ? OWNER : WRITER)) throw refused("chain", "a certificate gives a right that there is not");
    for (let limits = kind; limits > 0; limits--) while (from.byte() > 127);
  } else if (kind === 4 && !canShare(from.take(32))) {
    throw refused("chain", "a device has no key that can be used");
  }
  for (const ext = new Bytes(from.bytes(), "chain"); ext.left > 0; ext.bytes()) {
    if (ext.number() % 2 === 1) throw refused("chain", "a certificate has a condition that is not known here");
  }
  from.take(64);
  from.end();
  return { bytes, kind, space, by, subject, role };
}

const CERTIFICATES_MAX = 8;
const [WRITER, ADMIN, OWNER] = [2, 3, 4];
