/** A disk in memory that can be copied: what somebody restores who goes back to a backup. */
import type { StorageAdapter, StorageBatch, StoreName } from "stemma";

export class Disk implements StorageAdapter {
  readonly secrets = "plain";
  readonly #stores: Map<string, Map<string, Uint8Array>>;
  readonly #tail: Uint8Array[];

  private constructor(stores: Map<string, Map<string, Uint8Array>>, tail: Uint8Array[]) {
    this.#stores = stores;
    this.#tail = tail;
  }

  static empty(): Disk {
    return new Disk(new Map(), []);
  }

  /** As it is now. */
  copy(): Disk {
    return new Disk(new Map([...this.#stores].map(([name, records]) => [name, new Map(records)])), [...this.#tail]);
  }

  async open(): Promise<void> {}

  async entries(store: StoreName): Promise<[string, Uint8Array][]> {
    return [...this.#store(store)].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  /** All that is left: a demonstration is short. */
  async read(after: number): Promise<[number, Uint8Array][]> {
    return this.#tail.slice(after).map((record, at) => [after + at + 1, record]);
  }

  async commit({ append = [], put = [], delete: gone = [], absent }: StorageBatch): Promise<number[]> {
    if (absent && this.#store(absent[0]).has(absent[1])) throw new Error(`the record ${absent.join("/")} exists`);
    for (const [store, key] of gone) this.#store(store).delete(key);
    for (const [store, key, value] of put) this.#store(store).set(key, value.slice());
    return append.map((record) => this.#tail.push(record.slice()));
  }

  async close(): Promise<void> {}

  async destroy(): Promise<void> {
    this.#stores.clear();
    this.#tail.length = 0;
  }

  #store(name: StoreName): Map<string, Uint8Array> {
    const store = this.#stores.get(name) ?? new Map<string, Uint8Array>();
    this.#stores.set(name, store);
    return store;
  }
}
