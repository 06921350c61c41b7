/**
 * Whose turn it is to speak with a relay: of the tabs that share a database the one that holds a Web Lock.
 *
 * A tab that dies loses the lock with its life; one that is frozen, or goes into the cache of a window, lets go of it before; from one that
 * stops without a word it is taken when it answers nobody. Invariant: nothing is wrong when two think that it is theirs.
 */

export interface TurnObserver {
  /** It is this tab's turn from now on. */
  begin(): void;
  /** It is not any more. */
  end(): void;
  /** Asks whose turn it is: whoever answers calls {@link Turn.heard}. */
  ask(): void;
  /** Whether anybody here would miss an answer. */
  isWaiting(): boolean;
}

export class Turn {
  readonly #lock: string;
  readonly #observer: TurnObserver;
  #letGo: (() => void) | undefined;
  #queued: AbortController | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #unanswered = 0;

  constructor(lock: string, observer: TurnObserver) {
    this.#lock = lock;
    this.#observer = observer;
  }

  get isMine(): boolean {
    return this.#letGo !== undefined;
  }

  /** Lines up, unless it has. */
  wait(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setInterval(() => this.#beat(), BEAT_MS);
    this.#lineUp();
    this.#observer.ask();
  }

  /** Whoever has it is alive. */
  heard(): void {
    this.#unanswered = 0;
  }

  /** Takes it, whoever has it. */
  take(): void {
    if (this.isMine) return;
    this.#queued?.abort();
    void this.#request({ steal: true });
  }

  /** Lets go of it and of the place in the line. */
  leave(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#queued?.abort();
    this.#end();
  }

  #beat(): void {
    if (this.isMine || !this.#observer.isWaiting()) return;
    if (this.#unanswered < UNANSWERED_MAX) {
      this.#unanswered++;
      this.#observer.ask();
    } else {
      this.take();
    }
  }

  #lineUp(): void {
    this.#queued = new AbortController();
    void this.#request({ signal: this.#queued.signal });
  }

  async #request(options: LockOptions): Promise<void> {
    let letGo: (() => void) | undefined;
    try {
      await navigator.locks.request(this.#lock, options, () => {
        if (this.#timer === undefined || this.isMine) return undefined;
        const held = new Promise<void>((resolve) => (letGo = resolve));
        this.#letGo = letGo;
        this.heard();
        this.#observer.begin();
        return held;
      });
    } catch {
      // Taken away, or out of the line because this tab takes or leaves it.
      if (letGo === undefined || letGo !== this.#letGo) return;
      this.#end();
      this.#lineUp();
    }
  }

  #end(): void {
    const letGo = this.#letGo;
    this.#letGo = undefined;
    this.heard();
    if (!letGo) return;
    this.#observer.end();
    letGo();
  }
}

/** How often it is asked whose turn it is. */
const BEAT_MS = 2_000;
/** So many questions without an answer, and it is taken. */
const UNANSWERED_MAX = 2;
