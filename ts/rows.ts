/**
 * The rows that other tabs store in the same database.
 *
 * Invariant: `#last` is a number up to which every row is known to the engine; rows above it may be read twice, which
 * the engine does not mind, but none is left out.
 */

import { StemmaError } from "./errors.js";
import type { Residence } from "./home.js";
import type { Pump } from "./pump.js";

export class Rows {
  readonly #pump: Pump;
  readonly #onFault: (fault: StemmaError) => void;
  readonly #onRead: () => void;
  #residence: Residence;
  #last: number;
  #reading: Promise<void> | undefined;
  #again = false;

  constructor(pump: Pump, residence: Residence, onFault: (fault: StemmaError) => void, onRead: () => void) {
    this.#pump = pump;
    this.#residence = residence;
    this.#last = residence.lastRow;
    this.#onFault = onFault;
    this.#onRead = onRead;
  }

  /** A number up to which the engine knows every row. */
  get last(): number {
    return this.#last;
  }

  /** After a crash. */
  move(residence: Residence): void {
    this.#residence = residence;
    this.#last = residence.lastRow;
  }

  /** This tab has stored some itself. */
  own(numbers: readonly number[]): void {
    for (const number of numbers) if (number === this.#last + 1) this.#last = number;
  }

  /** Reads whatever is new. Only a shared database can have any. */
  catchUp(): void {
    if (!this.#residence.tabs) return;
    if (this.#reading) this.#again = true;
    else this.#reading = this.#readAll();
  }

  /** Resolves when whatever was stored by now is known, or could not be read. */
  async caughtUp(): Promise<void> {
    this.catchUp();
    await this.#reading;
  }

  async #readAll(): Promise<void> {
    try {
      await this.#read();
    } catch (error) {
      this.#onFault(StemmaError.from(error, "E_STORAGE_LOST") as StemmaError);
    } finally {
      this.#reading = undefined;
    }
    this.#onRead();
  }

  async #read(): Promise<void> {
    do {
      this.#again = false;
      const residence = this.#residence;
      for (;;) {
        const page = await residence.storage.read(this.#last, PAGE_BYTES);
        const last = page.at(-1);
        if (!last || residence !== this.#residence || !this.#pump.isOpen) break;
        this.#last = Math.max(this.#last, last[0]);
        this.#pump.post((engine) => engine.loadTail(page));
      }
      await this.#integrate(residence);
    } while (this.#again);
  }

  /** In slices, between which the page can breathe. While a batch is open nothing comes in: the engine's timer goes on when it is sealed. */
  async #integrate(residence: Residence): Promise<void> {
    for (let more = true; more && residence === this.#residence; ) {
      more = false;
      this.#pump.post((engine) => (more = engine.finishLoad() && !engine.pendingEdits()));
      if (more) await new Promise((resolve) => setTimeout(resolve));
    }
  }
}

/** What is read and handed to the engine at once: a few ms of work. */
export const PAGE_BYTES = 256 * 1024;
