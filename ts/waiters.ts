/**
 * Promises that end: settled by key, aborted by their signal, or failed all at once.
 *
 * Invariant: whoever ends a wait removes its listener, so a long-lived signal holds on to nothing.
 */

interface Waiter<K> {
  key: K;
  resolve: () => void;
  reject: (reason: unknown) => void;
}

export class Waiters<K> {
  readonly #waiters = new Set<Waiter<K>>();

  get size(): number {
    return this.#waiters.size;
  }

  add(key: K, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const end = (finish: () => void) => {
        this.#waiters.delete(waiter);
        signal?.removeEventListener("abort", abort);
        finish();
      };
      const waiter: Waiter<K> = { key, resolve: () => end(resolve), reject: (reason) => end(() => reject(reason)) };
      const abort = () => waiter.reject(signal?.reason);
      signal?.addEventListener("abort", abort);
      this.#waiters.add(waiter);
    });
  }

  /** Resolves the waits whose key passes. */
  settle(done: (key: K) => boolean): void {
    for (const waiter of [...this.#waiters]) if (done(waiter.key)) waiter.resolve();
  }

  /** Rejects all waits. */
  fail(error: unknown): void {
    this.failEach(() => error);
  }

  /** Rejects the waits for whose key there is a reason. */
  failEach(reason: (key: K) => unknown): void {
    for (const waiter of [...this.#waiters]) {
      const error = reason(waiter.key);
      if (error !== undefined) waiter.reject(error);
    }
  }
}

/** What `work` gives, or the reason of `signal` as soon as that aborts. */
export async function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  const waiters = new Waiters<null>();
  const aborted = waiters.add(null, signal);
  try {
    return await Promise.race([work, aborted.then(() => work)]);
  } finally {
    waiters.settle(() => true);
  }
}
