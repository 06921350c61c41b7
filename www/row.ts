/**
 * Reads frames the way the relay can: their names, and of changesets header and signature in clear, segments by their
 * lengths. The layouts are `docs/protocol.md`, section 1, and `docs/format.md`, section 4. It holds no key.
 *
 * Invariant: `parts` cover the bytes of a row without gap or overlap, so what the drawer paints is all there is.
 * It does not verify: signatures and hashes are the business of relay and replicas.
 */

/** A run of bytes with the name the format gives it. */
export interface Part {
  readonly name: string;
  readonly start: number;
  readonly end: number;
  readonly sealed: boolean;
  /** What can be read from it, if that says more than its hex. */
  readonly reading?: string | undefined;
}

/** One changeset: header, signature and segments as the relay stores them, and what each byte is. */
export interface Row {
  /** The signature tells changesets apart: two with the same one are the same. */
  readonly key: string;
  readonly actor: string;
  readonly seq: number;
  readonly bytes: Uint8Array;
  readonly parts: readonly Part[];
}

/** What the first byte of a frame says it is. */
export function frameName(frame: Uint8Array): string {
  return FRAME_NAMES[frame[0] ?? 0] ?? "unknown";
}

/** The changesets that a frame carries. */
export function rowsOf(frame: Uint8Array): Row[] {
  const name = frameName(frame);
  if (name !== "PUSH" && name !== "BATCH") return [];
  try {
    const rows = fieldsOf(frame.subarray(FRAME_HEAD_BYTES)).filter(([field]) => field === ROWS_FIELD);
    return rows.flatMap(([, message]) => rowOf(message) ?? []);
  } catch (error) {
    if (error instanceof RangeError) return [];
    throw error;
  }
}

/** Lower-case hex, as ids are written everywhere. */
export function hex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

/** A row that a connection pushed may come back as its id alone: then there is nothing to show. */
function rowOf(message: Uint8Array): Row | undefined {
  const fields = new Map(fieldsOf(message));
  const [header, signature, skeleton, content] = [1, 2, 3, 4].map((field) => fields.get(field));
  if (!header || !signature || !skeleton) return undefined;
  const { parts, actor, seq } = new HeaderReader(header).read();
  const bytes = new Uint8Array(header.length + signature.length + skeleton.length + (content?.length ?? 0));
  bytes.set(header);
  let at = header.length;
  const append = (name: string, segment: Uint8Array, sealed: boolean) => {
    bytes.set(segment, at);
    parts.push({ name, start: at, end: at + segment.length, sealed });
    at += segment.length;
  };
  append("signature", signature, false);
  append("skeleton", skeleton, true);
  if (content) append("content", content, true);
  return { key: hex(signature), actor, seq, bytes, parts };
}

/** The length-delimited fields of a protobuf message, in order. */
function fieldsOf(message: Uint8Array): [number, Uint8Array][] {
  const reader = new Reader(message);
  const fields: [number, Uint8Array][] = [];
  while (!reader.done) {
    const tag = reader.varint();
    const wireType = tag % 8;
    if (wireType === 2) fields.push([(tag - 2) / 8, reader.take(reader.varint())]);
    else if (wireType === 0) reader.varint();
    else throw new RangeError("a wire type that the protocol does not use");
  }
  return fields;
}

/** Bytes that are read from the front. */
class Reader {
  protected readonly bytes: Uint8Array;
  protected at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get done(): boolean {
    return this.at === this.bytes.length;
  }

  take(length: number): Uint8Array {
    const end = this.at + length;
    if (end > this.bytes.length) throw new RangeError("the bytes end too early");
    const taken = this.bytes.subarray(this.at, end);
    this.at = end;
    return taken;
  }

  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 49; shift += 7) {
      const byte = this.take(1)[0] ?? 0;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new RangeError("a number that no frame has");
  }
}

/** Walks a header once and notes each field it passes. */
class HeaderReader extends Reader {
  readonly #parts: Part[] = [];

  read(): { parts: Part[]; actor: string; seq: number } {
    this.#note("version, suite, class, flags", () => {
      const [version = 0, suite = 0, kind = 0] = this.take(4);
      return `version ${version}, suite ${suite}, ${CLASSES[kind] ?? "unknown class"}`;
    });
    this.#fixed("space", 32);
    const actor = hex(this.#fixed("actor", 32));
    const seq = this.#number("seq", (n) => `changeset ${n} of this actor`);
    this.#fixed("prev", 32);
    const deps = this.#number("number of deps", String);
    for (let i = 0; i < deps; i++) this.#fixed("dep", 32);
    this.#fixed("key id", 16);
    this.#number("length of skeleton", inBytes);
    this.#fixed("hash of skeleton", 32);
    this.#number("length of content", inBytes);
    this.#fixed("hash of content", 32);
    this.#note("extensions", () => {
      const length = this.varint();
      this.take(length);
      return length === 0 ? "none" : seq === 0 ? "certificates: who let this actor in" : inBytes(length);
    });
    if (!this.done) throw new RangeError("bytes after the header");
    return { parts: this.#parts, actor, seq };
  }

  #fixed(name: string, length: number): Uint8Array {
    const start = this.at;
    const taken = this.take(length);
    this.#parts.push({ name, start, end: this.at, sealed: false });
    return taken;
  }

  #number(name: string, reading: (value: number) => string): number {
    let value = 0;
    this.#note(name, () => reading((value = this.varint())));
    return value;
  }

  #note(name: string, read: () => string): void {
    const start = this.at;
    const reading = read();
    this.#parts.push({ name, start, end: this.at, sealed: false, reading });
  }
}

const inBytes = (count: number) => `${count} bytes`;

const CLASSES = ["control", "data", "policy", "audit", "snapshot", "private"];
const FRAME_HEAD_BYTES = 2;
const FRAME_NAMES: Record<number, string> = {
  1: "HELLO", 2: "AUTH", 3: "AUTH_OK", 4: "SUBSCRIBE", 5: "SUBSCRIBED", 6: "BATCH", 7: "CAUGHT_UP",
  8: "CREDIT", 9: "PUSH", 10: "ACK", 11: "TICK", 12: "GOAWAY", 13: "ERROR", 16: "HEADS",
};
/** The number of `rows` in both PUSH and BATCH. */
const ROWS_FIELD = 3;
