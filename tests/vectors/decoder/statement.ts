// What validators say about blocks (docs/format.md §14), and choices of validators that ask for blocks.

import { concat, hex, u64, unhex } from "./bytes.ts";
import { checkSignature, hash } from "./crypto.ts";
import { check, within } from "./fault.ts";
import { Reader, SAFE, U32 } from "./reader.ts";
import { Writer } from "./writer.ts";

const ROUND_MAX = U32 - 2;
const TIME_MAX = 2 ** 48 - 1;

interface Input {
  kind: "vote" | "block" | "validators";
  space: string;
  era: string;
  actor: string;
  payload: string;
}

/** Every fault but that of a signature is one class: the payload is inert. */
export function decodeStatement({ kind, space, era, actor, payload }: Input): unknown {
  const signed = within(() => "malformed", () => Reader.whole(unhex(payload), DECODE[kind]));
  if ("set" in signed) return signed.set(unhex(era));
  checkSignature(unhex(actor), signed.signature, signed.tag, unhex(space), ...signed.parts);
  return signed.result;
}

type Decoded = { result: unknown; tag: string; parts: Uint8Array[]; signature: Uint8Array } | { set(era: Uint8Array): unknown };

const u32 = (n: number) => u64(n).slice(0, 4);

function readVersion(r: Reader, version: number): void {
  check(r.u8() === version, "unknown", "another version");
}

/** A round before this one, or none. */
function readValid(r: Reader, round: number): [number | null, Uint8Array] {
  const valid = r.number(round);
  return [valid === 0 ? null : valid - 1, u32(valid)];
}

const DECODE: Record<Input["kind"], (r: Reader) => Decoded> = {
  vote: (r) => {
    readVersion(r, 1);
    const height = r.number(SAFE);
    const round = r.number(ROUND_MAX);
    const phase = r.choice(1);
    const [valid, appeal] = readValid(r, round);
    const set = r.raw(32);
    const [block] = r.list(1, 32, () => r.raw(32));
    check(valid === null || (block !== undefined && phase === 0), "rule", "only a prevote for a block appeals");
    const signature = r.raw(64);
    const parts = [set, u64(height), u32(round), Uint8Array.of(phase), appeal, Uint8Array.of(block ? 1 : 0), block ?? new Uint8Array(32)];
    return { tag: "vote", parts, signature, result: { height, round, phase, valid, set: hex(set), block: block ? hex(block) : null } };
  },
  block: (r) => {
    readVersion(r, 1);
    const round = r.number(ROUND_MAX);
    const [valid, appeal] = readValid(r, round);
    const bytes = r.bytes();
    const header = Reader.whole(bytes, readHeader);
    check((header.numbers[1] as number) <= round, "rule", "it was made before");
    const signature = r.raw(64);
    const id = hash("block-id", bytes);
    const parts = [unhex(header.hashes[3] as string), u64(header.numbers[0] as number), u32(round), appeal, id];
    return { tag: "block", parts, signature, result: { round, valid, id: hex(id), ...header } };
  },
  validators: (r) => {
    readVersion(r, 2);
    const pause = r.number(TIME_MAX);
    const max = r.number(U32);
    check(max > 0, "rule", "a block may hold something");
    const begins = r.choice(1) === 1 ? { height: r.number(SAFE), previous: r.hex(32) } : null;
    const members = r.list(256, 33, (): [string, number] => [r.hex(32), r.number(U32)]);
    const ascend = members.every(([member], at) => at === 0 || (members[at - 1] as [string, number])[0] < member);
    check(ascend && members.every(([, weight]) => weight > 0), "rule", "members ascend and weigh something");
    const list = Writer.of((w) => {
      w.varint(members.length);
      for (const [member, weight] of members) w.raw(unhex(member)).varint(weight);
    });
    return { set: (era) => ({ pause, max, begins, members, digest: hex(hash("valset", concat(era, list))) }) };
  },
};

function readHeader(r: Reader) {
  const [height, round, time] = [r.number(SAFE), r.number(ROUND_MAX), r.number(TIME_MAX)];
  const previous = r.hex(32);
  const size = r.number(U32);
  const hashes = [previous, r.hex(32), r.hex(32), r.hex(32), r.hex(32)];
  const attestations = r.ascending(1_024);
  check(attestations.length > 0, "rule", "it follows from something");
  return { numbers: [height, round, time, size], hashes, attestations };
}
