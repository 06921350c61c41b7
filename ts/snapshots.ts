/**
 * The snapshots of one space: what one stands for is given to the engine once something needs it, and new ones are made
 * while nothing else is going on.
 *
 * Invariant: a snapshot holds only what is stored; whoever makes one has the lock for it, so of several tabs one does.
 * It is a cache: what goes wrong with it costs time alone.
 */

import { StemmaError } from "./errors.js";
import type { Home, Residence } from "./home.js";
import type { Pump } from "./pump.js";
import { PAGE_BYTES } from "./rows.js";
import type { StorageBatch, StoreName } from "./storage.js";

export class Snapshots {
  readonly #pump: Pump;
  readonly #home: Home;
  /** Up to which row everything is known to the engine. */
  readonly #lastRow: () => number;
  readonly #onFault: (fault: StemmaError) => void;
  #residence: Residence;
  #whole: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #making: Promise<boolean> | undefined;
  #erasing: Promise<void> | undefined;
  #isOver = false;

  constructor(pump: Pump, home: Home, residence: Residence, lastRow: () => number, onFault: (fault: StemmaError) => void) {
    this.#pump = pump;
    this.#home = home;
    this.#lastRow = lastRow;
    this.#onFault = onFault;
    this.#residence = residence;
  }

  /** After a crash: the next engine has every row from the start. */
  move(residence: Residence): void {
    this.#residence = residence;
    this.#whole = undefined;
  }

  /** Gives the engine the rows that its snapshot stands for; resolves when it has them, or never will. */
  async whole(): Promise<void> {
    if (this.#pump.peek((engine) => engine.isWhole()) ?? true) return;
    this.#whole ??= this.#supply(this.#residence).catch((error: unknown) => {
      this.#onFault(StemmaError.from(error, "E_STORAGE_LOST") as StemmaError);
    });
    await this.#whole;
  }

  /** Something was stored: soon it is time to look whether a snapshot is due. */
  consider(): void {
    if (this.#isOver || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#pump.peek((engine) => engine.snapshotDue())) void this.make();
    }, PAUSE_MS);
    // Nobody waits for a cache.
    if (typeof this.#timer === "object") this.#timer.unref();
  }

  /** Makes a snapshot, unless another tab is at it or something is on its way; whether there is a new one. */
  make(): Promise<boolean> {
    this.#making ??= this.#home
      .alone("snapshots", () => this.#make())
      .catch(() => false) // a store that takes no snapshot has said so to a commit that matters, or will
      .then((made) => made ?? false)
      .finally(() => (this.#making = undefined));
    return this.#making;
  }

  /** Removes records that nothing counted on, as far as nothing counts on them now; nothing while another tab is at it. */
  async clear(records: readonly Unreached[]): Promise<void> {
    await this.#home.alone("snapshots", async () => {
      const still = new Set((await this.unreached()).map(({ key }) => key));
      await this.#remove(
        this.#residence,
        records.filter(({ key }) => still.has(key)),
      );
    });
  }

  /** Takes what was redacted out of the store: once no commit is on its way and no other tab is at it. */
  erase(idle: () => Promise<void>): void {
    this.#erasing ??= this.#erase(idle)
      .catch((error: unknown) => this.#onFault(StemmaError.from(error, "E_STORAGE_LOST") as StemmaError))
      .finally(() => (this.#erasing = undefined));
  }

  /** No more from here on. */
  async end(): Promise<void> {
    await this.#erasing;
    this.#isOver = true;
    clearTimeout(this.#timer);
    await this.#making;
  }

  async #erase(idle: () => Promise<void>): Promise<void> {
    for (let isDue = true; isDue; ) {
      await this.whole();
      await idle();
      await this.#making;
      const residence = this.#residence;
      const begun = this.#pump.peek((engine) => engine.beginErasing());
      if (begun === undefined) return;
      const done = await this.#home.alone("snapshots", () => this.#rewrite(residence));
      if (residence !== this.#residence) return; // the next engine finds it anew
      if (done) isDue = this.#pump.peek((engine) => engine.finishErasing(begun, this.#home.kindOfStore)) ?? false;
      else if (this.#isOver) return;
      else await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  /** Goes through the store once. */
  async #rewrite({ storage }: Residence): Promise<true> {
    if (!storage.replace) throw new StemmaError("E_UNSUPPORTED", "this store has no way to erase: what was redacted stays in it");
    const old = await storage.entries("snapshots");
    await storage.commit({ delete: old.map(([key]) => ["snapshots", key]) }, { strict: true });
    const records: [number, Uint8Array][] = [];
    for (let after = 0; ; ) {
      const page = await storage.read(after, PAGE_BYTES);
      const last = page.at(-1);
      if (!last) break;
      after = last[0];
      records.push(...(this.#pump.peek((engine) => engine.erased(page)) ?? []));
      await new Promise((resolve) => setTimeout(resolve));
    }
    await storage.replace(records);
    return true;
  }

  async #supply(residence: Residence): Promise<void> {
    const last = this.#lastRow();
    for (let after = 0; after < last; ) {
      const page = await residence.storage.read(after, PAGE_BYTES);
      const end = page.at(-1);
      if (!end || this.#isOver || residence !== this.#residence) break;
      after = end[0];
      this.#pump.post((engine) => engine.supply(page));
      await new Promise((resolve) => setTimeout(resolve));
    }
    if (this.#isOver || residence !== this.#residence) return;
    let isWhole = true;
    this.#pump.post((engine) => (isWhole = engine.supplied()));
    if (!isWhole) await residence.storage.commit({ delete: [["snapshots", "head"]] }, { strict: false });
  }

  async #make(): Promise<boolean> {
    const residence = this.#residence;
    const isHere = () => !this.#isOver && residence === this.#residence;
    const taken = this.#pump.peek((engine) => engine.snapshot(this.#lastRow()));
    if (!taken) return false;
    const put: NonNullable<StorageBatch["put"]> = [];
    try {
      for (let record; isHere() && (record = this.#pump.peek(() => taken.next())); ) {
        put.push(["snapshots", ...record]);
        await new Promise((resolve) => setTimeout(resolve));
      }
    } finally {
      if (residence === this.#residence) taken.free();
    }
    if (!isHere()) return false;
    await residence.storage.commit({ put }, { strict: false });
    await this.#remove(residence, await this.unreached());
    await residence.storage.pack?.(this.#lastRow());
    return true;
  }

  /** Records that no snapshot counts on. */
  async unreached(): Promise<Unreached[]> {
    const { storage } = this.#residence;
    const records = await storage.entries("snapshots");
    const head = records.find(([key]) => key === "head")?.[1];
    const lost = records.filter(([key]) => this.#pump.peek((engine) => engine.snapshotReaches(head, key)) === false);
    return lost.map(([key, value]) => ({ store: "snapshots", key, bytes: value.length }));
  }

  async #remove({ storage }: Residence, records: readonly Unreached[]): Promise<void> {
    if (records.length > 0) await storage.commit({ delete: records.map(({ store, key }) => [store, key]) }, { strict: false });
  }
}

/** A record of the store that nothing counts on. */
export interface Unreached {
  readonly store: StoreName;
  readonly key: string;
  readonly bytes: number;
}

/** After the last edit of a burst, mostly. */
const PAUSE_MS = 2_000;
