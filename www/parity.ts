/**
 * How many copies of this space in this browser show the same? Each announces its name, heads and state hash to all windows
 * over a BroadcastChannel, and compares what it hears with its own.
 *
 * Invariant: a verdict compares fingerprints only, so it says what two replicas could tell each other without content.
 * It does not reach other machines: their state hash would have to be read aloud.
 */

/** What two replicas compare: equal heads and equal hash mean the same history and the same visible state. */
export interface Fingerprint {
  readonly heads: string;
  readonly hash: string;
  /** Whose replica it is, and what that person is called in its window. */
  readonly member: string;
  readonly name: string;
}

/** How many replicas there are, this one included, and how many of them show what this one shows. */
export interface Verdict {
  readonly all: number;
  readonly same: number;
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
    const others = [...this.#others.values()];
    return { all: others.length + 1, same: others.filter(({ hash }) => hash === this.#own?.hash).length + 1 };
  }

  /** What a member is called in a window of this browser. Nobody signed that. */
  nameOf(member: string): string | undefined {
    return [...this.#others.values()].find((other) => other.member === member)?.name;
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
