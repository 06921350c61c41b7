// A clock that stands still while somebody works: timers ring in their order, at once, and say what time it is. Replicas that are
// joined by its ports, with stores in memory, live a minute in a second, the same each time.

interface Timer {
  at: number;
  number: number;
  ring: () => void;
}

export class SimulatedClock {
  now = 1_700_000_000_000;
  readonly #timers = new Map<number, Timer>();
  #last = 0;

  /** Takes the place of the timers and the time of this process. */
  static install(): SimulatedClock {
    const clock = new SimulatedClock();
    Date.now = () => Math.floor(clock.now);
    const set = (ring: (...values: unknown[]) => void, ms = 0, ...values: unknown[]) => clock.#set(() => ring(...values), ms);
    Object.assign(globalThis, { setTimeout: set, clearTimeout: (number: number) => void clock.#timers.delete(number) });
    return clock;
  }

  /** Lets time go by. */
  async run(until: number): Promise<void> {
    for (;;) {
      await settled();
      const next = this.#next();
      if (!next || next.at > until) break;
      this.#ring(next);
    }
    this.now = until;
  }

  /** Lets it go by until a promise is settled. */
  async awaits<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const end = () => void (isSettled = true);
    promise.then(end, end);
    for (await settled(); !isSettled; await settled()) {
      const next = this.#next();
      if (next) this.#ring(next);
    }
    return promise;
  }

  /** Two ends of a port: what goes in at one comes out at the other so much later. */
  ports(latencyMs: number): [MessagePort, MessagePort] {
    const [near, far] = [new EventTarget(), new EventTarget()];
    const end = (own: EventTarget, other: EventTarget) =>
      Object.assign(own, {
        start() {},
        close() {},
        postMessage: (bytes: Uint8Array) => {
          const data = bytes.slice();
          this.#set(() => other.dispatchEvent(new MessageEvent("message", { data })), latencyMs);
        },
      }) as unknown as MessagePort;
    return [end(near, far), end(far, near)];
  }

  #set(ring: () => void, ms: number): number {
    const number = ++this.#last;
    this.#timers.set(number, { at: this.now + Math.max(ms, 1), number, ring });
    return number;
  }

  #next(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers.values()) if (!first || timer.at < first.at) first = timer;
    return first;
  }

  #ring(timer: Timer): void {
    this.#timers.delete(timer.number);
    this.now = Math.max(this.now, timer.at);
    timer.ring();
  }
}

/** Promises that are kept by now have told so. */
const settled = () => new Promise((resolve) => setImmediate(resolve));
