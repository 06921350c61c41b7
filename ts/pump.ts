/**
 * The only place that calls the engine and the only one that drains it.
 *
 * Invariant: outputs are handled in the order the engine made them, after the call has returned, never inside a
 * transaction and never inside one another. A trap ends this engine; {@link Pump.adopt} gives the next one.
 */

import { StemmaError } from "./errors.js";
import { reportUncaught } from "./listeners.js";
import { type Authors, unpack } from "./packed.js";
import { type Caller, Pending, type SpliceChange } from "./pending.js";
import { refuseInReducer } from "./purity.js";
import type { Engine, EngineChange, Output } from "./replica.js";
import { isTrap, onReset, resetEngine } from "./wasm.js";

/** Whoever carries out what the engine wants. */
export interface Outlet {
  /** The engine said so: what is cached must not be told any more. It is handled later. */
  heard(output: Output): void;
  /** Once per output. `origin` is that of the transaction the output comes from. */
  handle(output: Output, origin: unknown): void;
  /** After the outputs of one drain: tell those who listen. */
  notify(): void;
  /** The engine is gone; `quarantine` is the changeset it stumbled over, `""` if none or if another space's. */
  crashed(cause: StemmaError, quarantine: string): void;
}

export class Pump implements Caller {
  /** Grows with each engine: handles of an older one mean nothing. */
  generation = 0;
  /** What the engine gets before anything else is asked of it. */
  readonly pending = new Pending(this);

  readonly #outlet: Outlet;
  #engine: Engine | undefined;
  #absence: StemmaError | undefined;
  #queue: { output: Output; origin: unknown }[] = [];
  #authors: Authors = [];
  #held = 0;
  #handling = false;
  #drainScheduled = false;
  /** Something was edited outside of a transaction since the last drain. */
  #isUntold = false;
  /** The engine may have something to tell. */
  #mayTell = false;
  #timer: { readonly id: ReturnType<typeof setTimeout>; readonly due: number } | undefined;
  /** A trap of this engine that is not dealt with yet. */
  #trapped: { thrown: unknown } | undefined;
  readonly #endReset: () => void;

  constructor(engine: Engine, outlet: Outlet) {
    this.#engine = engine;
    this.#outlet = outlet;
    this.#endReset = onReset((cause) => {
      if (!this.#trapped) this.#lose(cause, "");
    });
  }

  get isOpen(): boolean {
    return !this.#trapped && this.#engine !== undefined && this.#absence === undefined;
  }

  /** Throws if there is no engine for callers: a closed space answers nothing from memory either. */
  check(): void {
    refuseInReducer();
    if (this.#trapped) throw this.#settleTrap();
    if (this.#absence) throw this.#absence;
  }

  /** For what changes nothing. `object` is passed on: a closure a call is what typing can do without. */
  read<T>(work: (engine: Engine, object: number) => T, object = 0): T {
    this.check();
    return this.#run(work, object);
  }

  /** The same also while the space is closing; `undefined` if there is no engine. */
  peek<T>(work: (engine: Engine) => T): T | undefined {
    return this.#trapped || !this.#engine ? undefined : this.#run(work);
  }

  /** For {@link Pending}, which alone may leave the engine without what was gathered. */
  ask<T>(work: (engine: Engine, object: number) => T, object: number): T {
    this.check();
    return this.#run(work, object, "leaves");
  }

  release(): void {
    this.#run(() => {});
  }

  /** Not in the middle of what is told as one, nor behind edits that the engine will tell of. */
  get tells(): boolean {
    return this.#held === 0 && !this.#mayTell;
  }

  told(changes: SpliceChange[], author: number): void {
    const [member = "", actor = ""] = (this.#authors[author] ??= (this.#engine as Engine).author(author));
    const whole = changes.map((change): EngineChange => ({ source: "local", member, actor, changeset: "", ...change }));
    this.#queue.push({ output: { type: "change", changes: whole }, origin: undefined });
  }

  gathering(): void {
    if (this.#held > 0) return;
    this.#isUntold = true;
    this.#scheduleDrain();
  }

  /** `leaves` leaves the engine without what was gathered; after `edits` it may have something to tell. */
  #run<T>(work: (engine: Engine, object: number) => T, object = 0, how: "reads" | "leaves" | "edits" = "reads"): T {
    const engine = this.#engine;
    if (!engine) throw this.#absence;
    try {
      if ((how !== "leaves" && this.pending.release(engine)) || how === "edits") this.#mayTell = true;
      return work(engine, object);
    } catch (thrown) {
      // Noted before any function is called: there may be no stack left for one. A promise's own `then` needs none.
      this.#trapped = { thrown };
      SOON.then(this.#settleLater);
      if (thrown instanceof RangeError) throw thrown;
      if (isTrap(thrown)) throw this.#settleTrap();
      this.#trapped = undefined;
      throw StemmaError.from(thrown, "E_ENGINE_CRASHED");
    }
  }

  /** For a loose edit: its change is told once per microtask. */
  edit<T>(work: (engine: Engine, object: number) => T, object: number): T {
    this.check();
    const result = this.#run(work, object, "edits");
    this.gathering();
    return result;
  }

  /** For everything else. */
  call<T>(work: (engine: Engine) => T): T {
    this.check();
    const result = this.#run(work, 0, "edits");
    this.drain();
    return result;
  }

  /** The same for events, which still count while the space is closing; what goes wrong has no caller to throw to. */
  post(work: (engine: Engine) => void): void {
    this.quietly(() => {
      if (this.#trapped) this.#settleTrap();
      if (!this.#engine) return;
      this.#run(work, 0, "edits");
      this.drain();
    });
  }

  /** Runs `work` for whoever is not there to catch: an engine that is gone is no news. */
  quietly(work: () => void): void {
    try {
      work();
    } catch (error) {
      // The end of an engine has been told already.
      if (error !== this.#absence) reportUncaught(error);
    }
  }

  /** Keeps outputs back until the same number of {@link unhold}. */
  hold(): void {
    this.#held++;
    this.#mayTell = true;
  }

  unhold(): void {
    this.#held--;
  }

  /** Takes the outputs under their origin, to be handled in a microtask. */
  collect(origin: unknown): void {
    if (this.#held > 0) return;
    this.#take(origin);
    this.#scheduleDrain();
  }

  /** What loose edits changed is told now, if it is not yet. */
  settle(): void {
    if (this.#isUntold) this.drain();
  }

  /** Tells of what was gathered, and of which the engine, which gets it in a microtask, will say nothing. */
  tell(changes: EngineChange[], origin: unknown): void {
    this.#scheduleDrain();
    if (changes.length === 0) return;
    this.#queue.push({ output: { type: "change", changes }, origin });
    this.#handle();
  }

  /** Handles every output, then tells those who listen, then sets the timer. */
  drain(origin?: unknown): void {
    if (this.#held > 0) return;
    this.#isUntold = false;
    this.#take(origin);
    if (this.#handling) return;
    this.#handle();
    this.#setTimer();
  }

  #handle(): void {
    if (this.#handling) return;
    this.#handling = true;
    try {
      for (let next; (next = this.#queue.shift()); ) {
        this.#outlet.handle(next.output, next.origin);
        if (this.#queue.length === 0) this.#outlet.notify();
      }
    } finally {
      this.#handling = false;
    }
  }

  #take(origin: unknown): void {
    for (let more = true; more; ) {
      let output = this.#run(poll);
      if (!output) break;
      if (output instanceof Int32Array) {
        const packed = output;
        more = packed[0] === 1;
        output = { type: "change", changes: this.#run((engine) => unpack(packed, engine, this.#authors)) };
      }
      this.#outlet.heard(output);
      this.#queue.push({ output, origin });
    }
    this.#mayTell = false;
  }

  /** Goes on with another engine, which has the same space. */
  adopt(engine: Engine): void {
    this.#engine = engine;
    this.#absence = undefined;
    this.#authors = [];
    this.generation++;
  }

  /** Callers get `reason` from here on; the engine goes on for what is under way. */
  shut(reason: StemmaError): void {
    this.pending.clear();
    this.#absence = reason;
  }

  /** No call works from here on; each throws `reason`. */
  end(reason: StemmaError): void {
    const engine = this.#engine;
    this.#endReset();
    this.#leave(reason);
    engine?.free();
  }

  #scheduleDrain(): void {
    if (this.#drainScheduled) return;
    this.#drainScheduled = true;
    SOON.then(this.#drainSoon); // `queueMicrotask` costs several times as much in Node
  }

  readonly #drainSoon = () => {
    this.#drainScheduled = false;
    this.quietly(this.#drainNow);
  };

  readonly #drainNow = () => this.drain();

  /** One that is due too early does as well: it comes here again. Setting another costs more than many an edit. */
  #setTimer(): void {
    const due = this.#engine && this.#run((engine) => engine.nextTimer());
    const timer = this.#timer;
    if (timer && (due === undefined || timer.due <= due)) return keepAlive(timer.id, due !== undefined);
    clearTimeout(timer?.id);
    this.#timer = undefined;
    if (due === undefined) return;
    const delayMs = Math.min(Math.max(due - Date.now(), 0), TIMER_MAX_MS);
    const wake = () => {
      this.#timer = undefined;
      this.post((engine) => engine.tick());
    };
    const set = (this.#timer = { id: setTimeout(wake, delayMs), due });
    if (delayMs > 0) return;
    soon(() => {
      if (this.#timer !== set) return;
      clearTimeout(set.id);
      wake();
    });
  }

  readonly #settleLater = () => {
    if (this.#trapped) this.#settleTrap();
  };

  /** At once, or where there was no stack for it in a microtask or on the next call. */
  #settleTrap(): StemmaError {
    const { cause, quarantine } = resetEngine(this.#trapped?.thrown);
    this.#lose(cause, quarantine);
    this.#trapped = undefined;
    return cause;
  }

  #lose(cause: StemmaError, quarantine: string): void {
    if (!this.#engine) return;
    // What was signed and handed over is stored all the same.
    for (const { output } of this.#queue) if (output.type === "commit" || output.type === "draft") this.#outlet.handle(output, undefined);
    this.#outlet.crashed(cause, quarantine);
    this.#leave(cause);
  }

  #leave(reason: StemmaError): void {
    clearTimeout(this.#timer?.id);
    this.pending.clear();
    this.#engine = undefined;
    this.#absence = reason;
    this.#queue = [];
  }
}

const poll = (engine: Engine) => engine.poll();

/**
 * Once the page had its turn. For a timer of 0 ms behind others it waits 4 ms, and 1 s while it is hidden; for a message it does not.
 * Where there is no page timers are exact.
 */
function soon(turn: () => void): void {
  if (typeof document === "undefined") return;
  if (!channel) {
    channel = new MessageChannel();
    channel.port1.onmessage = () => turns.shift()?.();
  }
  turns.push(turn);
  channel.port2.postMessage(0);
}

const turns: (() => void)[] = [];
let channel: MessageChannel | undefined;

const SOON = Promise.resolve();

/** Whether a process waits for a timer, where there are processes. */
function keepAlive(id: unknown, isNeeded: boolean): void {
  const timer = id as { ref?(): void; unref?(): void };
  if (isNeeded) timer.ref?.();
  else timer.unref?.();
}

/** What `setTimeout` can count to. */
const TIMER_MAX_MS = 0x7fff_ffff;
