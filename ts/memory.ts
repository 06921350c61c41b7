// A store that lasts as long as the object: for tests, and where nothing else is to be had.

import { StemmaError, throwIfAborted } from "./errors.js";
import { STORE_NAMES, type StorageAdapter, type StorageBatch, type StoreName } from "./storage.js";
import { checkBatch } from "./batch.js";

/** Closing keeps the records, so that opening the same object again finds them. */
export class MemoryStorage implements StorageAdapter {
  readonly secrets = "plain";
  onLost?: StorageAdapter["onLost"];
  #isOpen = false;
  #stores = emptyStores();
  #tail: Uint8Array[] = [];

  async open(_name: string, o: { signal?: AbortSignal } = {}): Promise<void> {
    throwIfAborted(o.signal);
    if (this.#isOpen) throw new StemmaError("E_ARGUMENT", "this storage is open already", { argument: "name" });
    this.#isOpen = true;
  }

  async entries(store: StoreName): Promise<[string, Uint8Array][]> {
    return [...this.#store(store)].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  async read(after: number, maxBytes: number): Promise<[number, Uint8Array][]> {
    this.#check();
    const records: [number, Uint8Array][] = [];
    let bytes = 0;
    for (let number = after + 1; number <= this.#tail.length; number += 1) {
      const record = this.#tail[number - 1] as Uint8Array;
      bytes += record.length;
      if (records.length > 0 && bytes > maxBytes) break;
      records.push([number, record]);
    }
    return records;
  }

  async commit(batch: StorageBatch): Promise<number[]> {
    this.#check();
    checkBatch(batch);
    const { append = [], put = [], absent } = batch;
    if (absent && this.#store(absent[0]).has(absent[1])) {
      throw new StemmaError("E_STORAGE_EXISTS", `the record ${absent.join("/")} exists`);
    }
    for (const [store, key] of batch.delete ?? []) this.#store(store).delete(key);
    for (const [store, key, value] of put) this.#store(store).set(key, value.slice());
    return append.map((record) => this.#tail.push(record.slice()));
  }

  async replace(records: [number, Uint8Array][]): Promise<void> {
    this.#check();
    for (const [number, record] of records) this.#tail[number - 1] = record.slice();
  }

  async close(): Promise<void> {
    this.#isOpen = false;
  }

  async destroy(): Promise<void> {
    this.#isOpen = false;
    this.#stores = emptyStores();
    this.#tail = [];
  }

  #store(name: StoreName): Map<string, Uint8Array> {
    this.#check();
    const store = this.#stores.get(name);
    if (!store) throw new StemmaError("E_ARGUMENT", `there is no store ${JSON.stringify(name)}`, { argument: "store" });
    return store;
  }

  #check(): void {
    if (!this.#isOpen) throw new StemmaError("E_CLOSED", "this storage is not open");
  }
}

function emptyStores(): Map<StoreName, Map<string, Uint8Array>> {
  return new Map(STORE_NAMES.map((name) => [name, new Map()]));
}
