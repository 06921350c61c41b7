// What the targets of fuzz/ begin with: the vectors, cut and put together as each target reads them.

import { readFileSync } from "node:fs";

const vectors = (name) => JSON.parse(readFileSync(`tests/vectors/${name}.json`, "utf8"));
const hex = (text) => Buffer.from(text, "hex");
const input = (name) => vectors(name).map((one) => one.input);

/** Bytes behind their length in two bytes, as `Input::part` reads them. */
const part = (bytes) => Buffer.concat([Buffer.from([bytes.length & 255, bytes.length >> 8]), bytes]);

const SEEDS = {
  bigint: () => ["00", "01", "0201ff", "0102", "0300"].map(hex),
  block: () => input("blocks").map(({ proof }) => blockOf(proof)),
  certificate: () => input("certificates").map((one) => hex(one.bytes)),
  chain: () => input("chains").map((one) => hex(one.chain)),
  changeset: () => rows(),
  content: () => input("contents").map((one) => Buffer.concat([frontOf(one.skeleton), part(hex(one.skeleton.bytes)), hex(one.bytes)])),
  device: () => [[16, 0, 4, 0, 1, 1, 9], [0, 3], [8, 1, 1, 0, 120], [200, 0, 9, 0, 1, 0]].map((bytes) => Buffer.from(bytes)),
  evidence: () => input("evidence").map((one) => hex(one.proof.evidence)),
  frame: () => frames(),
  genesis: () => input("genesis").map((one) => hex(one.bytes)),
  header: () => rows().flatMap(headerOf),
  import: () => [[9, 0, 1, 1, 2], [60, 0, 0, 4, 1, 2, 3, 4], [0, 1, 30, 0]].map((bytes) => Buffer.from(bytes)),
  invite: () => input("invites").flatMap((one) => [Buffer.from(one.text), Buffer.from(one.text.split("stemma1.").at(-1), "base64url").subarray(0, -4)]),
  login: () => input("logins").map(loginOf),
  receive: () => bodies(),
  saved: () => Array.from({ length: 13 }, (_, which) => which).map((which) => Buffer.concat([Buffer.from([which]), Buffer.alloc(24)])),
  session: () => [Buffer.concat(frames().flatMap((frame) => [Buffer.from([9]), part(frame), Buffer.from([3])]))],
  skeleton: () => input("skeletons").map((one) => Buffer.concat([frontOf(one), hex(one.bytes)])),
  statement: () => [...[`01e80701${"07".repeat(32)}01`, `010500`, `0105${"07".repeat(96)}`].map(hex), ...input("statements").map((one) => hex(one.payload))],
  stored: () => [rows().slice(0, 1), rows().slice(0, 8)].map(tailOf),
  text: () => [1, 2, 3, 4].map((seed) => Buffer.from(Array.from({ length: 160 }, (_, at) => (at * at * seed * 31 + at * 7) & 255))),
  tlv: () => ["00", "0500020161", "0a0202026162050000"].map(hex),
  value: () => input("values").map((one) => hex(one.bytes)),
};

/** The seeds of a target, without those that are too long to be altered well. */
export function seeds(target) {
  return SEEDS[target]().filter((bytes) => bytes.length <= 8_192);
}

/** What `decode::block` reads of a proof; its weights take a byte. */
function blockOf({ era, round, validators, header, certificate }) {
  const members = validators.flatMap(({ member, weight }) => [hex(member), Buffer.from([weight & 255])]);
  const votes = certificate.flatMap(({ actor, signature, chain }) => [hex(actor), hex(signature), part(hex(chain))]);
  return Buffer.concat([hex(era), Buffer.from([round & 255, validators.length]), ...members, part(hex(header)), ...votes]);
}

const rows = () => input("changesets").map((one) => hex(one.row));
const frontOf = (skeleton) => Buffer.from([skeleton.class, skeleton.deps]);

/** A varint, and where it ends. */
function varint(bytes, at) {
  let value = 0;
  for (let shift = 0; at < bytes.length; shift += 7) {
    const byte = bytes[at++];
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return [value, at];
  }
  return [0, at];
}

function varintOf(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value & 127) | 128);
  return Buffer.from([...bytes, value]);
}

function headerOf(row) {
  const [length, at] = varint(row, 1);
  return at + length <= row.length ? [row.subarray(at, at + length)] : [];
}

function tailOf(list) {
  const encoded = list.flatMap((row) => [varintOf(row.length), row]);
  return Buffer.concat([varintOf(1_790_000_000_000), varintOf(list.length), ...encoded]);
}

function loginOf({ actor, relay, nonce, client_nonce: own, signature, proofs }) {
  const shown = proofs.flatMap(({ genesis, chain }) => [part(hex(genesis)), part(hex(chain))]);
  return Buffer.concat([...[actor, relay, nonce, own, signature].map(hex), ...shown]);
}

/** Skeletons of data changesets with the one dep that a first changeset of the target has, and the contents beside them. */
function bodies() {
  const beside = new Map(vectors("contents").map((one) => [one.input.skeleton.bytes, hex(one.input.bytes)]));
  const all = input("skeletons").filter((one) => one.class === 1 && one.deps <= 1);
  const one = ({ bytes }, how) => [Buffer.from([how]), part(hex(bytes)), part(beside.get(bytes) ?? Buffer.alloc(0))];
  const pairs = all.map((body, at) => Buffer.concat([...one(body, 0), ...one(all[(at + 1) % all.length], 1 + (at % 4))]));
  return [...all.map((body) => Buffer.concat(one(body, 0))), ...pairs, listBodies()];
}

/** A list of three, a move in another lane, and a move and a delete in the first one that do not know of it. */
function listBodies() {
  const skeleton = (ms, refs, ...ops) => Buffer.from([ms, 0, 0, 0, refs.length, ...refs.flat(), 1, ...Buffer.alloc(16, 7), 5, 0, ops.length, ...ops.flat(), 0]);
  const bodies = [
    [0, skeleton(5, [], [0x20, 0, 0, 0, 3]), Buffer.from([0, 0, 0, 1, 2, 0])],
    [3, skeleton(7, [[1, 0]], [0x22, 0, 1, 0, 2, 1, 2, 2]), Buffer.from([0, 0, 0])],
    [0, skeleton(6, [[0, 0]], [0x22, 0, 1, 0, 2, 2, 0], [0x21, 0, 1, 1, 1, 1]), Buffer.from([0, 0, 0])],
  ];
  return Buffer.concat(bodies.flatMap(([how, body, content]) => [Buffer.from([how]), part(body), part(content)]));
}

/** One of each frame, with fields of the right sizes. */
function frames() {
  const number = (tag, value) => Buffer.concat([varintOf(tag * 8), varintOf(value)]);
  const bytes = (tag, value) => Buffer.concat([varintOf(tag * 8 + 2), varintOf(value.length), value]);
  const id = (fill, size = 32) => Buffer.alloc(size, fill);
  const frame = (kind, ...fields) => Buffer.concat([Buffer.from([kind, 0]), ...fields]);
  const limits = Buffer.concat([1, 2, 3, 4, 5].map((tag) => number(tag, 1000 * tag)));
  const position = Buffer.concat([bytes(1, id(1, 16)), number(2, 5), bytes(3, id(2))]);
  const tip = Buffer.concat([bytes(1, id(3)), number(2, 4), bytes(3, id(5))]);
  const proof = Buffer.concat([bytes(1, id(1)), bytes(2, id(2)), bytes(3, id(3, 64))]);
  const row = (one) => Buffer.concat([bytes(1, headerOf(one)[0] ?? one), bytes(2, id(8, 64)), bytes(3, id(9, 80)), bytes(4, id(9, 80))]);
  const space = bytes(1, id(7));
  return [
    frame(1, number(1, 1), number(2, 1), bytes(3, id(4)), bytes(4, id(5)), bytes(5, limits)),
    frame(2, number(1, 1), bytes(2, id(6, 16)), bytes(3, proof), bytes(4, Buffer.from("token"))),
    frame(3, number(1, 1), bytes(2, Buffer.concat([space, number(2, 0)]))),
    frame(4, space, bytes(2, position), bytes(3, id(3)), number(4, 1 << 20)),
    frame(5, space, number(2, 0), bytes(3, id(1, 16)), number(4, 9), bytes(5, tip)),
    ...rows().slice(0, 3).map((one) => frame(6, space, number(2, 1), bytes(3, row(one)), bytes(4, id(2)))),
    frame(6, space, number(2, 2), bytes(3, bytes(5, id(4))), bytes(4, id(2))),
    frame(7, space, number(2, 3)),
    frame(8, space, number(2, 4096)),
    frame(9, number(1, 1), bytes(2, id(7)), bytes(3, row(rows()[0]))),
    frame(10, number(1, 1), bytes(2, Buffer.concat([number(1, 1), number(2, 4), number(3, 4), bytes(4, id(6))]))),
    frame(11, number(1, 1_790_000_000)),
    frame(12, number(1, 1), number(2, 100), number(3, 1000)),
    frame(13, number(1, 2), space, number(3, 1), number(4, 1), number(5, 100), bytes(6, Buffer.from("later"))),
    frame(16, number(1, 1), bytes(2, id(7)), bytes(3, tip), number(4, 0), number(5, 4096)),
  ];
}
