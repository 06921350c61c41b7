// A changeset as it is delivered, with the fate that it has by itself: what its past decides is for a log.

import { hex, same } from "./bytes.ts";
import { type Author, verifyChain } from "./chain.ts";
import { type Content, decodeContent } from "./content.ts";
import { checkSignature, kidOf } from "./crypto.ts";
import { check, Fault, within } from "./fault.ts";
import { decodeGenesis } from "./genesis.ts";
import { decodeHeader, encodeHeader, type Header } from "./header.ts";
import { Reader } from "./reader.ts";
import { CONTENT, decodePlaintext, openSegment, SKELETON, segmentHash } from "./segment.ts";
import { decodeSkeleton, type Skeleton } from "./skeleton.ts";
import { Writer } from "./writer.ts";

export interface Row {
  header: Header;
  signature: Uint8Array;
  skeleton: Uint8Array | null;
  content: Uint8Array | null;
}

export interface Changeset {
  row: Row;
  /** A segment does not match its hash. */
  damaged: boolean;
  author: Author | null;
  skeleton: Skeleton;
  skeletonPlain: Uint8Array;
  content: Content | { absent: string } | null;
  contentPlain: Uint8Array | null;
}

const PRIVATE = 5;

export function decodeRow(bytes: Uint8Array): Row {
  return Reader.whole(bytes, (r) => {
    const present = r.choice(3);
    const header = decodeHeader(r.bytes());
    const signature = r.raw(64);
    const skeleton = present & 2 ? r.raw(header.skeleton.len) : null;
    check(!(present & 1) || header.content.len > 0, "unknown", "a content where there is none");
    const content = present & 1 ? r.raw(header.content.len) : null;
    return { header, signature, skeleton, content };
  });
}

export function encodeRow({ header, signature, skeleton, content }: Row): Uint8Array {
  return Writer.of((w) => {
    w.u8((content ? 1 : 0) + (skeleton ? 2 : 0)).bytes(encodeHeader(header)).raw(signature);
    for (const segment of [skeleton, content]) if (segment) w.raw(segment);
  });
}

/** Null for what is private to others: it is in the graph, without ops. */
export async function judge(
  bytes: Uint8Array,
  genesisBytes: Uint8Array,
  epochs: Uint8Array[],
): Promise<Changeset | null> {
  const row = within(
    (kind) => `decode: ${kind}`,
    () => decodeRow(bytes),
  );
  const { header } = row;
  check(header.unsupported === null, "pending: unsupported", String(header.unsupported));
  const author = verify(row, genesisBytes);

  const sound = (kind: number, segment: Uint8Array | null, expected: string) =>
    segment !== null && segmentHash(kind, segment) === expected ? segment : null;
  const skeletonSegment = sound(SKELETON, row.skeleton, header.skeleton.hash);
  const contentSegment = sound(CONTENT, row.content, header.content.hash);
  const damaged = (row.skeleton !== null && !skeletonSegment) || (row.content !== null && !contentSegment);
  check(skeletonSegment !== null, "pending: missing", "the skeleton");
  const secret = epochs.find((epoch) => same(kidOf(header.space, epoch), header.kid));
  if (secret === undefined && header.class === PRIVATE) return null;
  check(secret !== undefined, "pending: no-key", hex(header.kid));
  check(author?.role !== "reader", "inert: right", "written by a reader");

  const opened = await inert(() => openSegment(SKELETON, skeletonSegment, header, secret));
  const skeleton = await inert(async () => {
    return decodeSkeleton(decodePlaintext(opened), header.class, header.deps.length);
  });
  const rest = await readContent(row, contentSegment, skeleton, secret);
  return { row, damaged, author, skeleton, skeletonPlain: opened, ...rest };
}

function verify({ header, signature }: Row, genesisBytes: Uint8Array): Author | null {
  within(
    (kind) => `verify: ${kind}`,
    () => checkSignature(header.actor, signature, "cs-sig", header.id),
  );
  const genesis = decodeGenesis(genesisBytes);
  check(same(genesis.id, header.space), "space", "of another space");
  const { chain } = header;
  if (chain === null) return null;
  return within(
    (kind) => `chain: ${kind}`,
    () => {
      const author = verifyChain(genesis, chain);
      check(author.actor !== null, "order", "the chain does not end at an actor");
      return author;
    },
  );
}

async function inert<T>(decide: () => Promise<T>): Promise<T> {
  try {
    return await decide();
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    throw new Fault(`${error.kind === "unsupported" ? "pending" : "inert"}: ${error.kind}`, error.message);
  }
}

async function readContent(row: Row, segment: Uint8Array | null, skeleton: Skeleton, secret: Uint8Array) {
  if (row.header.content.len === 0) return { content: null, contentPlain: null };
  let contentPlain: Uint8Array | null = null;
  try {
    check(segment !== null, "missing", "the content");
    contentPlain = await openSegment(CONTENT, segment, row.header, secret);
    return { content: decodeContent(decodePlaintext(contentPlain), skeleton), contentPlain };
  } catch (error) {
    if (error instanceof Fault) return { content: { absent: error.kind }, contentPlain };
    throw error;
  }
}
