/**
 * Callbacks of one kind of event.
 *
 * Invariant: a listener that throws stops neither the others nor the caller; its error is reported as an uncaught one.
 */

import { checkFunction, checkOptions, checkSignal } from "./check.js";

/** Options of everything that subscribes. */
export interface ListenOptions {
  /** Ends the subscription when it aborts. */
  signal?: AbortSignal;
}

export class Listeners<T> {
  readonly #listeners = new Set<{ call: (event: T) => void }>();
  /** The same, as long as they are the same. */
  #list: readonly { call: (event: T) => void }[] | undefined;

  get size(): number {
    return this.#listeners.size;
  }

  /** Returns what ends the subscription; ending it twice does nothing. */
  add(call: (event: T) => void, o?: ListenOptions): () => void {
    checkFunction(call, "cb");
    checkOptions(o, "o", ["signal"]);
    const signal = o?.signal;
    checkSignal(signal);
    const listener = { call };
    const remove = () => {
      this.#listeners.delete(listener);
      this.#list = undefined;
      signal?.removeEventListener("abort", remove);
    };
    if (signal?.aborted) return remove;
    this.#listeners.add(listener);
    this.#list = undefined;
    signal?.addEventListener("abort", remove);
    return remove;
  }

  /** Calls those that are still there when their turn comes. */
  emit(event: T): void {
    if (this.#listeners.size === 0) return;
    for (const listener of (this.#list ??= [...this.#listeners])) {
      if (!this.#listeners.has(listener)) continue;
      try {
        listener.call(event);
      } catch (error) {
        reportUncaught(error);
      }
    }
  }

  clear(): void {
    this.#listeners.clear();
    this.#list = undefined;
  }
}

/** Gives an error to whoever watches for uncaught ones, after the caller has finished. */
export function reportUncaught(error: unknown): void {
  if (typeof reportError === "function") reportError(error);
  else
    setTimeout(() => {
      throw error;
    });
}
