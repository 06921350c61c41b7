/**
 * Transactions of one space.
 *
 * Invariant: what `fn` edits is sealed as a whole or not at all, in the order of transactions, and soon: as soon as there is
 * time or anybody asks for what only sealed ones have. While one runs, no output is handled and no listener
 * is called, so nothing from outside can come between its edits.
 */

import { argumentError, checkFunction, checkOptions, checkString } from "./check.js";
import type { ObjectCore } from "./object.js";
import type { Touched } from "./pending.js";
import type { Pump } from "./pump.js";
import { refuseInReducer } from "./purity.js";
import type { Engine, EngineChange } from "./replica.js";
import { checkValue, type Json, type Value } from "./value.js";
import { OpenWrite, type Saves, sealedWrite, type Write } from "./write.js";

/** Options of {@link Space.transact}. */
export interface TransactOptions {
  /** What was done, for the history. Encrypted. */
  message?: string;
  /** More for the history, a JSON value. Encrypted. */
  headers?: Json;
  /** Comes back as `origin` of the changes that this transaction causes in this tab; never stored or sent. */
  origin?: unknown;
  /**
   * Id of what the user did, for whoever cannot tell whether it was done and does it again. Of the transactions of one member with the same id
   * the payments ({@link Ledger.transfer}) and events ({@link Space.emit}) of one count. What else they write is written twice, and
   * {@link ChangesetInfo.repeats} says so.
   */
  command?: string;
  /**
   * Whether what this writes can be shown later, one op at a time, to somebody who has nothing of the space: {@link Audit.proof}. Takes 50 bytes and
   * some hashes for each op. Where the content is redacted nothing can be shown any more, and what was shown remains proven.
   */
  disclosable?: boolean;
}

const NO_OPTIONS: TransactOptions = {};

/** The origin of edits that were taken back before anybody was told of them. */
export const DISCARDED = Symbol("discarded");

export class Transactions {
  readonly #pump: Pump;
  readonly #saves: Saves;
  readonly #forget: () => void;
  #outer: OpenWrite | undefined;
  /** Who writes here, as of an epoch of what is gathered. */
  #author: { readonly member: string; readonly actor: string; readonly epoch: number } | undefined;

  /** `forget` drops what is cached of the objects, after edits were removed. */
  constructor(pump: Pump, saves: Saves, forget: () => void) {
    this.#pump = pump;
    this.#saves = saves;
    this.#forget = forget;
  }

  transact(fn: () => unknown, o: TransactOptions = NO_OPTIONS): Write {
    checkFunction(fn, "fn");
    if (o !== NO_OPTIONS) checkTransactOptions(o);
    return this.#outer ? this.#join(this.#outer, fn, o) : this.#begin(fn, o);
  }

  /** Edits that stay in the open batch and are told in a microtask, as one and with their origin. */
  gather(fn: () => void, origin: unknown): void {
    if (this.#outer) return fn();
    this.#pump.drain();
    this.#pump.hold();
    try {
      fn();
    } finally {
      this.#pump.unhold();
      this.#pump.quietly(() => this.#pump.collect(origin));
    }
  }

  /** Seals the open batch; inside a transaction there is nothing to seal before its end. */
  flush(): Write {
    if (this.#outer) return this.#outer;
    return sealedWrite(this.#saves, this.#pump.call((engine) => engine.flush()));
  }

  /** The write of a changeset that was sealed by itself. */
  sealed(id: string): Write {
    return sealedWrite(this.#saves, id);
  }

  get isRunning(): boolean {
    return this.#outer !== undefined;
  }

  /** Throws for what cannot be done while a transaction runs. */
  refuse(what: string): void {
    refuseInReducer();
    if (this.#outer) throw argumentError("fn", `${what} cannot be called inside transact`);
  }

  #begin(fn: () => unknown, o: TransactOptions): Write {
    // Loose edits are told with their own origin, that is none.
    this.#pump.settle();
    const { pending } = this.#pump;
    if (isBare(o)) pending.begin();
    else this.#open(o);
    const outer = new OpenWrite(this.#saves);
    this.#outer = outer;
    this.#pump.hold();
    let touched: Touched | undefined;
    let edited: boolean;
    try {
      refuseThenable(fn(), "fn");
      touched = pending.close();
      edited = touched ? touched.cores.length > 0 : this.#pump.read(closeTransact);
    } catch (error) {
      this.#end();
      OpenWrite.discard(outer, error);
      this.#abort();
      throw error;
    }
    this.#end();
    if (edited) OpenWrite.close(outer);
    else OpenWrite.seal(outer, this.#pump.read(lastWrite));
    if (!touched || !edited) {
      this.#pump.drain(o.origin);
      return outer;
    }
    const changes = this.#changesOf(touched);
    pending.forgetTouched();
    this.#pump.tell(changes, o.origin);
    return outer;
  }

  // Apart, and functions without a closure: with one in it `#begin` would make room for what it holds at each call.

  #open({ message, headers, command, disclosable = false }: TransactOptions): void {
    this.#pump.read((engine) => engine.beginTransact(message, headers, command, disclosable));
  }

  #abort(): void {
    this.#remove(() => {
      if (!this.#pump.pending.abort()) this.#pump.read((engine) => engine.abortTransact());
      this.#pump.drain(DISCARDED);
    });
  }

  /** What is told of what was written, if anybody listens. */
  #changesOf({ cores, keys }: Touched): EngineChange[] {
    const [core] = cores as [ObjectCore];
    // Most write one key.
    if (cores.length === 1) return core.isHeard ? [this.#changeOf(core, [...keys])] : [];
    const written = new Map<ObjectCore, Set<Value>>();
    for (let i = 0; i < cores.length; i++) {
      const [core, key] = [cores[i] as ObjectCore, keys[i] as Value];
      if (!core.isHeard) continue;
      const known = written.get(core);
      if (known) known.add(key);
      else written.set(core, new Set([key]));
    }
    // By the numbers of objects, as the engine tells.
    const inOrder = [...written].sort(([a], [b]) => a.number - b.number);
    return inOrder.map(([core, keys]) => this.#changeOf(core, [...keys]));
  }

  #changeOf({ number: object }: ObjectCore, keys: Value[]): EngineChange {
    if (this.#author?.epoch !== this.#pump.pending.epoch) {
      const [member, actor] = this.#pump.ask((engine) => [engine.member(), engine.actor()] as const, 0);
      this.#author = { member, actor, epoch: this.#pump.pending.epoch };
    }
    const { member, actor } = this.#author;
    return { source: "local", member, actor, changeset: "", object, keys };
  }

  #join(outer: OpenWrite, fn: () => unknown, o: TransactOptions): Write {
    if (o.command !== undefined) throw argumentError("command", "a transact inside another one cannot have a command of its own");
    if (o.disclosable) throw argumentError("disclosable", "the outermost transact says whether it can be shown");
    const mark = this.#pump.read((engine) => engine.mark());
    try {
      refuseThenable(fn(), "fn");
    } catch (error) {
      this.#remove(() => this.#pump.read((engine) => engine.rollback(mark)));
      throw error;
    }
    return outer;
  }

  #end(): void {
    this.#outer = undefined;
    this.#pump.unhold();
  }

  /** The error that is on its way says more than one about an engine that is gone. */
  #remove(work: () => void): void {
    this.#forget();
    this.#pump.quietly(work);
  }
}

const closeTransact = (engine: Engine) => engine.closeTransact();
const lastWrite = (engine: Engine) => engine.lastWrite();

/** Whether the engine needs to hear nothing of a transaction but where it begins and ends. */
function isBare({ message, headers, command, disclosable }: TransactOptions): boolean {
  return message === undefined && headers === undefined && command === undefined && !disclosable;
}

/** Throws if the function of `argument` was an asynchronous one. */
export function refuseThenable(result: unknown, argument: string): void {
  if (typeof result === "object" && result !== null && typeof (result as { then?: unknown }).then === "function") {
    throw argumentError(argument, `${argument} is asynchronous: a transaction ends when it returns`);
  }
}

function checkTransactOptions(o: TransactOptions): void {
  checkOptions(o, "o", ["message", "headers", "origin", "command", "disclosable"]);
  if (o.message !== undefined) checkString(o.message, "message");
  if (o.command !== undefined) checkString(o.command, "command");
  if (o.headers !== undefined) checkValue(o.headers, "headers");
  if (o.disclosable !== undefined && typeof o.disclosable !== "boolean") throw argumentError("disclosable", "disclosable is not a boolean");
}
