/**
 * A line between the replicas of this page that needs no relay: a MessageChannel between every two of them.
 *
 * Invariant: once wanted, it is up between two panes exactly while both are switched on. Replicas find out by themselves what
 * the other one lacks, so it may go up and down at any time, beside a relay as well.
 */
import type { Pane } from "./pane.ts";

export class DirectLine {
  readonly #panes: readonly Pane[];
  #wanted = false;
  /** What hangs up, for every two panes that are connected. */
  readonly #ends = new Map<string, () => void>();

  constructor(panes: readonly Pane[]) {
    this.#panes = panes;
  }

  get up(): boolean {
    return this.#ends.size > 0;
  }

  want(): void {
    this.#wanted = true;
    this.update();
  }

  update(): void {
    if (!this.#wanted) return;
    for (const [index, first] of this.#panes.entries()) {
      for (const second of this.#panes.slice(index + 1)) this.#connect(first, second);
    }
  }

  #connect(first: Pane, second: Pane): void {
    const pair = `${first.space.me} ${second.space.me}`;
    const hangUp = this.#ends.get(pair);
    const mayBeUp = first.online && second.online;
    if (mayBeUp === (hangUp !== undefined)) return;
    if (hangUp) {
      hangUp();
      this.#ends.delete(pair);
      return;
    }
    const { port1, port2 } = new MessageChannel();
    const ends = [first.space.sync.attach(port1), second.space.sync.attach(port2)];
    this.#ends.set(pair, () => ends.forEach((end) => end()));
  }
}
