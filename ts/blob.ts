/**
 * Bytes that are larger than a changeset: cut into chunks, each a value of a map that is named by a hash of all of them
 * (`docs/format.md` §11).
 *
 * Invariant: what is given out has the hash that was asked for. A chunk that somebody wrote over is looked for among the earlier writes.
 */

import { argumentError, checkFunction, checkInteger, checkOptions, checkSignal } from "./check.js";
import type { SpaceCore } from "./core.js";
import { StemmaError } from "./errors.js";
import type { SharedMap } from "./map.js";
import type { ObjectCore } from "./object.js";
import type { Engine } from "./replica.js";
import { isBytes, type Value } from "./value.js";
import { Waiters } from "./waiters.js";
import type { Write } from "./write.js";

/** Names bytes that {@link Space.blob} stored: a value like any other, to be put under a key, into a list, an event. */
export interface BlobRef {
  /** What they are known by: 64 hex digits, the same for the same bytes in every space. */
  readonly blob: string;
  /** How many there are. */
  readonly size: number;
  readonly [field: string]: Value;
}

/** Options of {@link Space.blob} and {@link Space.readBlob}. */
export interface BlobOptions {
  signal?: AbortSignal;
  /** Told how many of the bytes are stored, or here. */
  progress?: (bytes: number, size: number) => void;
}

export class Blobs {
  readonly #core: SpaceCore;
  /** Those who wait for chunks, by the name of the map. */
  readonly #waiters = new Waiters<string>();

  constructor(core: SpaceCore) {
    this.#core = core;
  }

  async store(bytes: Uint8Array, o: BlobOptions = {}): Promise<BlobRef> {
    const { signal, tell } = checkBlobOptions(o);
    if (!isBytes(bytes)) throw argumentError("bytes", "bytes is not a Uint8Array");
    if (bytes.length > BLOB_BYTES_MAX) throw new StemmaError("E_EVENT_TOO_LARGE", `a blob has at most ${BLOB_BYTES_MAX} bytes`, { argument: "bytes" });
    const own = bytes.slice(); // the caller's may change meanwhile
    const { length: size } = own;
    const count = Math.ceil(size / CHUNK_BYTES);
    const chunk = (n: number) => own.subarray(n * CHUNK_BYTES, (n + 1) * CHUNK_BYTES);
    const hashes = new Uint8Array(count * HASH_BYTES);
    for (let n = 0; n < count; n++) {
      hashes.set(await this.#with(signal, (engine) => engine.blobHash(LEAF, chunk(n))), n * HASH_BYTES);
      if (n % SLICE === SLICE - 1) await breathe(signal);
    }
    const blob = await this.#with(signal, (engine) => hexOf(engine.blobHash(ROOT, root(size, hashes))));
    await this.#put(blob, HASHES, hashes, signal);
    tell(0, size);
    for (let n = 0; n < count; n++) {
      await this.#put(blob, `${n}`, chunk(n), signal);
      tell(Math.min((n + 1) * CHUNK_BYTES, size), size);
    }
    return Object.freeze({ blob, size });
  }

  async read(ref: BlobRef, o: BlobOptions = {}): Promise<Uint8Array> {
    const { signal, tell } = checkBlobOptions(o);
    const { blob, size } = checkRef(ref);
    const count = Math.ceil(size / CHUNK_BYTES);
    const isRoot = (hashes: Uint8Array, engine: Engine) =>
      hashes.length === count * HASH_BYTES && hexOf(engine.blobHash(ROOT, root(size, hashes))) === blob;
    const hashes = await this.#get(blob, HASHES, isRoot, signal);
    const bytes = new Uint8Array(size);
    for (let n = 0; n < count; n++) {
      const hash = hexOf(hashes.subarray(n * HASH_BYTES, (n + 1) * HASH_BYTES));
      const isChunk = (chunk: Uint8Array, engine: Engine) => hexOf(engine.blobHash(LEAF, chunk)) === hash;
      const chunk = await this.#get(blob, `${n}`, isChunk, signal);
      bytes.set(chunk, n * CHUNK_BYTES);
      tell(n * CHUNK_BYTES + chunk.length, size);
      if (n % SLICE === SLICE - 1) await breathe(signal);
    }
    return bytes;
  }

  /** Nobody gets anything any more. */
  fail(error: StemmaError): void {
    this.#waiters.fail(error);
  }

  /** Stores a value under a key, unless it is there. */
  async #put(blob: string, key: string, value: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    const core = await this.#map(blob, signal);
    const held = core.read((engine, object) => engine.mapGet(object, key));
    if (isBytes(held) && held.length === value.length && held.every((byte, i) => byte === value[i])) return breathe(signal);
    const { pump, transactions } = this.#core;
    let write: Write;
    // Undoing what a reference was put for takes back the reference alone.
    pump.call((engine) => engine.undoGroup(true, true));
    try {
      write = transactions.transact(() => this.#handle(blob).set(key, value));
    } finally {
      pump.call((engine) => engine.undoGroup(false, true));
    }
    // One after the other: what a slow disk has not stored is not in memory twice.
    await write.saved("local", signal ? { signal } : {});
  }

  /** What is under a key, once it is there. */
  async #get(blob: string, key: string, isRight: (bytes: Uint8Array, engine: Engine) => boolean, signal: AbortSignal | undefined): Promise<Uint8Array> {
    for (;;) {
      const core = await this.#map(blob, signal);
      const isSound = (value: unknown): value is Uint8Array => isBytes(value) && this.#core.pump.read((engine) => isRight(value, engine));
      const held = core.read((engine, object) => engine.mapGet(object, key));
      if (isSound(held)) return held;
      if (held !== undefined) {
        const writes = core.read((engine, object) => engine.mapHistory(object, key));
        const sound = writes.map((write) => write["value"]).find(isSound);
        if (sound) return sound;
        throw new StemmaError("E_BLOB_DAMAGED", `${key === HASHES ? "the list of chunks" : `chunk ${key}`} of blob ${blob} was written over`);
      }
      await this.#grown(core, signal);
    }
  }

  /** Resolves when something is written to a map. */
  async #grown(core: ObjectCore, signal: AbortSignal | undefined): Promise<void> {
    const grown = this.#waiters.add(core.name, signal);
    const end = core.listeners.add(() => this.#waiters.settle((name) => name === core.name));
    try {
      await grown;
    } finally {
      end();
    }
  }

  async #map(blob: string, signal: AbortSignal | undefined): Promise<ObjectCore> {
    await this.#with(signal, () => {});
    return this.#core.coreOf(this.#handle(blob)) as ObjectCore;
  }

  #handle(blob: string): SharedMap {
    return this.#core.object(BLOB_PREFIX + blob, "map") as SharedMap;
  }

  /** Asks the engine, or the next one. */
  async #with<T>(signal: AbortSignal | undefined, work: (engine: Engine) => T): Promise<T> {
    signal?.throwIfAborted();
    await this.#core.recovered(signal);
    return this.#core.pump.read(work);
  }
}

/** How the names of maps begin that hold blobs: `names()` leaves them out. */
export const BLOB_PREFIX = "stemma/blob/";

function checkBlobOptions(o: BlobOptions): { signal: AbortSignal | undefined; tell: (bytes: number, size: number) => void } {
  checkOptions(o, "o", ["signal", "progress"]);
  checkSignal(o.signal);
  if (o.progress !== undefined) checkFunction(o.progress, "progress");
  return { signal: o.signal, tell: o.progress ?? (() => {}) };
}

function checkRef(ref: unknown): { blob: string; size: number } {
  const { blob, size } = (typeof ref === "object" && ref ? ref : {}) as Record<string, unknown>;
  if (typeof blob !== "string" || !/^[0-9a-f]{64}$/.test(blob)) throw argumentError("ref", "ref is not what space.blob gave");
  checkInteger(size, "ref", 0, BLOB_BYTES_MAX);
  return { blob, size };
}

/** What the id of a blob is a hash of. */
function root(size: number, hashes: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + hashes.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(size), true);
  bytes.set(hashes, 8);
  return bytes;
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function breathe(signal: AbortSignal | undefined): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve));
  signal?.throwIfAborted();
}

const BLOB_BYTES_MAX = 64 << 20;
const CHUNK_BYTES = 192 << 10;
const HASH_BYTES = 32;
/** The key of the hashes of the chunks. */
const HASHES = "hashes";
const LEAF = 0;
const ROOT = 1;
/** Chunks between two breaths. */
const SLICE = 8;
