// The browser's store: the engine's IndexedDB edge with the errors of this package.

import type * as Engine from "./engine.js";
import { StemmaError, throwIfAborted } from "./errors.js";
import type { StorageAdapter, StorageBatch, StoreName } from "./storage.js";

/** What is used of the engine, loaded by whoever opens a space. */
export type StorageEngine = Pick<typeof Engine, "IdbStorage" | "deleteDatabase">;

/** The database `stemma/<name>` of this origin. */
export class IndexedDbStorage implements StorageAdapter {
  onLost?: StorageAdapter["onLost"];
  readonly #edge: Engine.IdbStorage;
  readonly #blockedMs: number | undefined;
  readonly #commits = new Set<Promise<unknown>>();

  /** `blockedMs` is how long to wait for another tab to let go of the database. */
  constructor(engine: StorageEngine, o: { blockedMs?: number } = {}) {
    this.#edge = new engine.IdbStorage();
    this.#edge.onLost = (thrown: unknown) => this.onLost?.(named(thrown) as StemmaError);
    this.#blockedMs = o.blockedMs;
  }

  get secrets(): "wrapped" | "plain" {
    return this.#edge.secrets as "wrapped" | "plain";
  }

  async open(name: string, o: { signal?: AbortSignal } = {}): Promise<void> {
    throwIfAborted(o.signal);
    await this.#run(() => this.#edge.open(name, o.signal, this.#blockedMs));
  }

  async entries(store: StoreName): Promise<[string, Uint8Array][]> {
    return this.#run(() => this.#edge.entries(store));
  }

  async read(after: number, maxBytes: number): Promise<[number, Uint8Array][]> {
    return this.#run(() => this.#edge.read(after, maxBytes));
  }

  async commit(batch: StorageBatch, o: { strict: boolean }): Promise<number[]> {
    const commit = this.#run(() => this.#edge.commit(batch, o.strict));
    this.#commits.add(commit);
    return commit.finally(() => this.#commits.delete(commit));
  }

  async pack(through: number): Promise<void> {
    await this.#run(() => this.#edge.pack(through));
  }

  async replace(records: [number, Uint8Array][]): Promise<void> {
    await this.#run(() => this.#edge.replace(records));
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#commits);
    this.#edge.close();
  }

  async destroy(): Promise<void> {
    await this.close();
    await this.#run(() => this.#edge.destroy(this.#blockedMs));
  }

  /** The engine's promises are untyped; storage.ts says what its verbs answer. */
  async #run(verb: () => Promise<any>): Promise<any> {
    try {
      return await verb();
    } catch (thrown) {
      throw named(thrown);
    }
  }
}

function named(thrown: unknown): StemmaError | DOMException {
  return StemmaError.from(thrown, "E_STORAGE_LOST");
}
