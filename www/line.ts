/**
 * A line between the two replicas of this page that needs no relay: the two ends of a MessageChannel.
 *
 * Invariant: once wanted, it is up exactly while both panes are switched on. Replicas find out by themselves what the
 * other one lacks, so it may go up and down at any time, beside a relay as well.
 */
import type { Pane } from "./pane.ts";

export class DirectLine {
  readonly #panes: readonly Pane[];
  #wanted = false;
  #ends: (() => void)[] = [];

  constructor(panes: readonly Pane[]) {
    this.#panes = panes;
  }

  get up(): boolean {
    return this.#ends.length > 0;
  }

  want(): void {
    this.#wanted = true;
    this.update();
  }

  update(): void {
    const [first, second] = this.#panes;
    if (!this.#wanted || !first || !second) return;
    const mayBeUp = first.online && second.online;
    if (mayBeUp === this.up) return;
    if (mayBeUp) {
      const { port1, port2 } = new MessageChannel();
      this.#ends = [first.space.sync.attach(port1), second.space.sync.attach(port2)];
    } else {
      for (const hangUp of this.#ends.splice(0)) hangUp();
    }
  }
}
