/**
 * The commits of one space on their way into storage, and the draft of its open batch.
 *
 * Invariant: they are stored in the order the engine made them, one at a time, and the engine hears of each exactly
 * once. After one has failed, those behind it may build on it, so they fail with it and are not tried. A draft is written
 * when no commit waits: behind what it builds on, and never behind the commit that takes it away.
 */

import { StemmaError } from "./errors.js";
import type { StorageAdapter, StorageBatch } from "./storage.js";

export interface Commit {
  id: number;
  batch: StorageBatch;
  strict: boolean;
}

/** Who hears how a commit ended. */
export interface CommitObserver {
  committed(id: number, numbers: number[]): void;
  commitFailed(id: number, error: StemmaError): void;
  /** Told of the first of several in a row. */
  draftFailed(error: StemmaError): void;
}

/** What is kept of an actor's open batch; nothing if nothing is to be kept. */
interface Draft {
  readonly actor: string;
  readonly record: Uint8Array | undefined;
}

export class CommitQueue {
  /** Why the last commit was not stored; gone as soon as one is stored again. */
  failure: StemmaError | undefined;

  #storage: StorageAdapter;
  readonly #observer: CommitObserver;
  #queue: Commit[] = [];
  #draft: Draft | undefined;
  #draftFailed = false;
  #busy: Promise<void> | undefined;
  #held = true;

  constructor(storage: StorageAdapter, observer: CommitObserver) {
    this.#storage = storage;
    this.#observer = observer;
  }

  /** Nothing is stored before {@link release}. A free queue hands the batch to storage before this returns. */
  add(commit: Commit): void {
    if (commit.batch.delete?.some(([store, key]) => store === "drafts" && key === this.#draft?.actor)) this.#draft = undefined;
    this.#queue.push(commit);
    this.#start();
  }

  /** Takes the place of one that is not written yet. */
  draft(draft: Draft): void {
    this.#draft = draft;
    this.#start();
  }

  release(): void {
    this.#held = false;
    this.#start();
  }

  /** Stores what waits there before anything else, or throws why it cannot be: the creation of a space. */
  async releaseFirst(): Promise<void> {
    const first = this.#queue[0];
    if (first) {
      const numbers = await this.#storage.commit(first.batch, first).catch((thrown: unknown) => {
        throw storageError(thrown);
      });
      this.#queue.shift();
      this.#observer.committed(first.id, numbers);
    }
    this.release();
  }

  /** Resolves when nothing is left to store. */
  async idle(): Promise<void> {
    while (this.#busy) await this.#busy;
  }

  /** After a crash: what the dead engine had already handed over still goes in, and nobody hears of it. */
  async finish(storage: StorageAdapter, abandoned: boolean): Promise<void> {
    this.#held = true;
    if (!abandoned) await this.idle();
    const rest = this.#queue;
    const draft = this.#draft;
    this.#queue = [];
    this.#draft = undefined;
    this.#busy = undefined;
    this.#storage = storage;
    for (const { batch, strict } of rest) {
      try {
        // A batch that may already be in is added again without its guard; the engine knows duplicates.
        delete batch.absent;
        await storage.commit(batch, { strict });
      } catch (error) {
        this.failure = storageError(error);
        return;
      }
    }
    if (draft) await this.#keep(draft);
  }

  #start(): void {
    if (!this.#held && (this.#queue.length > 0 || this.#draft)) this.#busy ??= this.#work();
  }

  async #work(): Promise<void> {
    while (!this.#held) {
      if (this.#queue.length > 0) await this.#next();
      else if (this.#draft) await this.#keep(this.#draft);
      else break;
    }
    this.#busy = undefined;
  }

  async #keep(draft: Draft): Promise<void> {
    const { actor, record } = draft;
    if (this.#draft === draft) this.#draft = undefined;
    try {
      await this.#storage.commit(record ? { put: [["drafts", actor, record]] } : { delete: [["drafts", actor]] }, { strict: false });
      this.#draftFailed = false;
    } catch (error) {
      if (!this.#draftFailed) this.#observer.draftFailed(storageError(error));
      this.#draftFailed = true;
    }
  }

  async #next(): Promise<void> {
    const queue = this.#queue;
    const joined = join(queue);
    let numbers: number[];
    try {
      numbers = await this.#storage.commit(joined.batch, joined);
    } catch (error) {
      if (queue !== this.#queue) return;
      this.failure = storageError(error);
      this.#draft = undefined; // it may build on what failed
      const failed = queue.splice(0);
      for (const { id } of failed) this.#observer.commitFailed(id, this.failure);
      return;
    }
    if (queue !== this.#queue) return;
    const stored = queue.splice(0, joined.count);
    this.failure = undefined;
    let at = 0;
    for (const { id, batch } of stored) this.#observer.committed(id, numbers.slice(at, (at += batch.append?.length ?? 0)));
  }
}

/** The first commits that wait, as one: those that only append and put, and need not be strict. A transaction costs more than what is in it. */
function join(queue: readonly Commit[]): Pick<Commit, "batch" | "strict"> & { count: number } {
  const [first] = queue as [Commit];
  const plain = queue.findIndex(({ batch, strict }) => strict || batch.delete || batch.absent);
  const joined = queue.slice(0, plain < 0 ? JOINED_MAX : Math.min(plain, JOINED_MAX));
  if (joined.length < 2) return { ...first, count: 1 };
  const put = new Map(joined.flatMap(({ batch }) => (batch.put ?? []).map((record) => [`${record[0]} ${record[1]}`, record] as const)));
  const batch = { append: joined.flatMap(({ batch }) => batch.append ?? []), put: [...put.values()] };
  return { batch, strict: false, count: joined.length };
}

/** Some megabytes at most. */
const JOINED_MAX = 16;

function storageError(thrown: unknown): StemmaError {
  return StemmaError.from(thrown, "E_STORAGE_LOST") as StemmaError; // a commit takes no signal, so nothing aborts it
}
