/**
 * Are all replicas of this space in the same state? Each announces heads and state hash to all windows of this
 * browser over a BroadcastChannel, and compares what it hears with its own.
 *
 * Invariant: a verdict compares fingerprints only, so it says what two replicas could tell each other without content.
 * It does not reach other machines: their state hash would have to be read aloud.
 */

/** What two replicas compare: equal heads and equal hash mean the same history and the same visible state. */
export interface Fingerprint {
  readonly heads: string;
  readonly hash: string;
}

/** How many other replicas are known, and how many of them differ. */
export interface Verdict {
  readonly others: number;
  readonly different: number;
}

type Message =
  | { kind: "here"; space: string; from: string; fingerprint: Fingerprint }
  | { kind: "ask" | "gone"; space: string; from: string };

/** One replica's seat at the table. */
export class Parity {
  readonly #channel = new BroadcastChannel("stemma-site");
  readonly #from = crypto.getRandomValues(new Uint32Array(2)).join("-");
  readonly #others = new Map<string, Fingerprint>();
  readonly #space: string;
  readonly #changed: () => void;
  #own: Fingerprint | undefined;

  constructor(space: string, changed: () => void) {
    this.#space = space;
    this.#changed = changed;
    this.#channel.addEventListener("message", (event: MessageEvent<Message>) => this.#hear(event.data));
    addEventListener("pagehide", () => this.#say("gone"));
    addEventListener("pageshow", (event) => {
      if (event.persisted) this.#enter();
    });
    this.#enter();
  }

  announce(own: Fingerprint): void {
    if (own.hash === this.#own?.hash && own.heads === this.#own.heads) return;
    this.#own = own;
    this.#tell();
  }

  get verdict(): Verdict {
    const all = [...this.#others.values()];
    const different = all.filter((other) => other.hash !== this.#own?.hash || other.heads !== this.#own.heads);
    return { others: all.length, different: different.length };
  }

  #enter(): void {
    this.#say("ask");
    this.#tell();
  }

  #hear(message: Message): void {
    if (message.space !== this.#space) return;
    if (message.kind === "ask") return this.#tell();
    if (message.kind === "here") this.#others.set(message.from, message.fingerprint);
    else this.#others.delete(message.from);
    this.#changed();
  }

  #tell(): void {
    if (!this.#own) return;
    this.#post({ kind: "here", space: this.#space, from: this.#from, fingerprint: this.#own });
  }

  #say(kind: "ask" | "gone"): void {
    this.#post({ kind, space: this.#space, from: this.#from });
  }

  #post(message: Message): void {
    this.#channel.postMessage(message);
  }
}
