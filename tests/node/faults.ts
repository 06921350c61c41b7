// What a test breaks: storage that fails or takes its time, and the engine.

import assert from "node:assert/strict";
import type { Space, StorageAdapter, StorageBatch, StoreName } from "stemma";

/** A store in memory whose commits can be held up or made to fail. */
export class Scripted implements StorageAdapter {
  readonly secrets = "plain";
  onLost?: StorageAdapter["onLost"];
  failing: string | undefined;
  held: (() => void)[] | undefined;
  commits = 0;
  readonly #stores = new Map<string, Uint8Array>();
  readonly #tail: Uint8Array[] = [];

  async open(): Promise<void> {}
  async entries(store: StoreName): Promise<[string, Uint8Array][]> {
    const prefix = `${store}/`;
    return [...this.#stores].filter(([key]) => key.startsWith(prefix)).map(([key, value]) => [key.slice(prefix.length), value]);
  }
  async read(after: number): Promise<[number, Uint8Array][]> {
    return this.#tail.slice(after, after + 2).map((row, i) => [after + i + 1, row]);
  }
  async commit(batch: StorageBatch): Promise<number[]> {
    this.commits++;
    if (this.held) await new Promise<void>((resolve) => this.held?.push(resolve));
    if (this.failing) throw Object.assign(new Error("scripted"), { code: this.failing });
    if (batch.absent && this.#stores.has(batch.absent.join("/"))) throw Object.assign(new Error("exists"), { code: "E_STORAGE_EXISTS" });
    for (const [store, key] of batch.delete ?? []) this.#stores.delete(`${store}/${key}`);
    for (const [store, key, value] of batch.put ?? []) this.#stores.set(`${store}/${key}`, value.slice());
    return (batch.append ?? []).map((row) => this.#tail.push(row.slice()));
  }
  async close(): Promise<void> {}
  async destroy(): Promise<void> {}
}

/** Calls the engine when hardly any stack is left, so that it runs out inside. */
export function exhaust(s: Space): void {
  const dive = (): number => s.stateHash().length + dive();
  assert.throws(dive);
}
