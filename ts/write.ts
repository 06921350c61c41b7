/**
 * Writes: the receipts of changesets, and those who wait for them to be safe.
 *
 * Invariant: a wait ends when the tier is reached, when it cannot be reached any more, on abort, or when the space is
 * closed; never silently.
 */

import { argumentError, checkOptions, checkSignal, checkWord } from "./check.js";
import { StemmaError } from "./errors.js";
import type { Pump } from "./pump.js";
import type { Tier } from "./replica.js";
import { Waiters } from "./waiters.js";

/** The receipt of a transaction or of a flush. */
export interface Write {
  /**
   * The id of the changeset, 64 hex digits; the last one where a large transaction was cut into several; `""` if this
   * actor has not written anything yet. Inside the outermost `transact` it is not known and throws `E_ARGUMENT`. A
   * transaction is signed when there is time; asking for the id does it at once.
   */
  readonly id: string;

  /**
   * Resolves when the write, and with it everything this actor wrote before, is durable on this device (`"local"`) or
   * acknowledged by a relay (`"relay"`); or when a quorum of validators has attested it (`"final"`): {@link Audit.configure}.
   *
   * Rejects with `E_STORAGE_*` if it could not be stored, `E_RELAY_REFUSED` if no relay takes it (the message says why:
   * it is full, denies this member, or refuses the write; a full one is asked again), `E_ENGINE_CRASHED` if it went with
   * an engine that crashed, `E_VALIDATORS` if nobody is asked to attest, `E_CLOSED` if the space is closed first, or the reason of the signal. Without a relay,
   * `"relay"` waits for one.
   */
  saved(tier: Tier, o?: { signal?: AbortSignal }): Promise<void>;

  /**
   * How many other members are known to have the write: those of whom something arrived that builds on it, and those that show, as
   * {@link Presence} says, that they have all that is here. It is no promise of more: a member that has it and says nothing is not counted.
   * Several devices of a member are one. 0 before anything was written; `E_ARGUMENT` inside the outermost `transact`. O(tabs that ever wrote).
   */
  seenBy(): number;
}

/** Everybody who waits for a tier. */
export class Saves {
  readonly #pump: Pump;
  readonly #waiters = new Waiters<{ id: string; tier: Tier }>();

  /** Writes that are not known to be sealed, in the order in which they were closed. */
  #closed: OpenWrite[] = [];

  constructor(pump: Pump) {
    this.#pump = pump;
  }

  /** A write was closed. */
  follow(closed: OpenWrite): void {
    this.#closed.push(closed);
  }

  /** Seals all that is closed. */
  sealAll(): void {
    this.#name(this.#pump.read((engine) => engine.takeSealed(true)));
  }

  /** Tells closed writes of their ids, if they were sealed meanwhile. */
  nameSealed(): void {
    if (this.#closed.length > 0) this.#name(this.#pump.peek((engine) => engine.takeSealed(false)));
  }

  /** The engine is gone, and what was not sealed went with it. */
  lose(error: StemmaError): void {
    const lost = this.#closed;
    this.#closed = [];
    for (const write of lost) OpenWrite.discard(write, error);
  }

  #name(ids: Uint8Array = new Uint8Array()): void {
    const sealed = this.#closed.splice(0, ids.length / ID_BYTES);
    sealed.forEach((write, i) => OpenWrite.seal(write, ids.subarray(i * ID_BYTES, (i + 1) * ID_BYTES)));
  }

  async wait(id: string, tier: Tier, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    this.#pump.check();
    if (this.#isSaved(id, tier)) return;
    const obstacle = this.#obstacle(id, tier);
    if (obstacle) throw obstacle;
    return this.#waiters.add({ id, tier }, signal);
  }

  seenBy(id: string): number {
    return id === "" ? 0 : this.#pump.read((engine) => engine.seenBy(id));
  }

  /** Those of a tier have been saved; one that had to be signed anew is saved under another id. */
  settle(tier: Tier, ids: readonly string[]): void {
    const saved = new Set(ids);
    const isSaved = (id: string) => saved.has(id) || this.#isSaved(id, tier);
    this.#waiters.settle((wait) => wait.tier === tier && isSaved(wait.id));
  }

  /** Why the last write of this actor is not stored, if it cannot be. */
  unstored(): StemmaError | undefined {
    return this.#obstacle(this.#pump.peek((engine) => engine.lastWrite()) ?? "", "local");
  }

  #obstacle(id: string, tier: Tier): StemmaError | undefined {
    const obstacle = id === "" ? undefined : this.#pump.peek((engine) => engine.obstacle(id, tier));
    return obstacle && (StemmaError.from(obstacle, "E_STORAGE_LOST") as StemmaError);
  }

  /** Nothing is saved any more: whoever still waits is told. */
  fail(error: StemmaError): void {
    this.#waiters.fail(error);
  }

  /** Something went wrong: each wait ends that was in vain, and no other. */
  review(): void {
    this.#waiters.settle(({ id, tier }) => this.#isSaved(id, tier));
    this.#waiters.failEach(({ id, tier }) => this.#obstacle(id, tier));
  }

  #isSaved(id: string, tier: Tier): boolean {
    return id === "" || this.#pump.peek((engine) => engine.isSaved(id, tier)) === true;
  }
}

/** A write. What becomes of its transaction is told to the class: callers get this very object, and see no methods for that. */
export class OpenWrite implements Write {
  readonly #saves: Saves;
  #id: string | Uint8Array | undefined;
  #discarded: { error: unknown; isLost: boolean } | undefined;
  #isClosed = false;
  #ended: Promise<void> | undefined;
  #tell: (() => void) | undefined;

  constructor(saves: Saves) {
    this.#saves = saves;
    Object.freeze(this);
  }

  get id(): string {
    if (this.#isClosed && this.#id === undefined) this.#saves.sealAll();
    if (this.#discarded?.isLost) throw this.#discarded.error;
    if (this.#id === undefined) {
      throw argumentError("id", this.#discarded ? "the transaction was rolled back" : "the id is known when the outermost transact returns");
    }
    return (this.#id = hexOf(this.#id));
  }

  async saved(tier: Tier, o?: { signal?: AbortSignal }): Promise<void> {
    checkWord(tier, "tier", ["local", "relay", "final"]);
    checkOptions(o, "o", ["signal"]);
    const signal = o?.signal; // once: what is checked is what is used, after the wait too
    checkSignal(signal);
    if (!this.#isClosed) await (this.#ended ??= new Promise((resolve) => (this.#tell = resolve)));
    if (this.#discarded) throw this.#discarded.error;
    return this.#saves.wait(this.id, tier, signal);
  }

  seenBy(): number {
    return this.#saves.seenBy(this.id);
  }

  /** It is complete, and sealed as soon as there is time. */
  static close(write: OpenWrite): void {
    write.#end();
    write.#saves.follow(write);
  }

  static seal(write: OpenWrite, id: string | Uint8Array): void {
    write.#id = id;
    write.#end();
  }

  /** Its edits were removed, or went with an engine that crashed. */
  static discard(write: OpenWrite, error: unknown): void {
    write.#discarded = { error, isLost: write.#isClosed };
    write.#end();
  }

  #end(): void {
    this.#isClosed = true;
    this.#tell?.();
  }
}

/** The write of a changeset that is sealed. */
export function sealedWrite(saves: Saves, id: string): Write {
  const sealed = new OpenWrite(saves);
  OpenWrite.seal(sealed, id);
  return sealed;
}

function hexOf(id: string | Uint8Array): string {
  return typeof id === "string" ? id : Array.from(id, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const ID_BYTES = 32;
