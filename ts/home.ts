/**
 * Where a space lives on this device: its database, the lock on its actor, and its channel to other tabs.
 *
 * Invariant: an actor is used only while nobody else can use it: under its lock in a shared database, alone where
 * the store belongs to this process, or made anew and never stored.
 */

import { StemmaError } from "./errors.js";
import { IndexedDbStorage } from "./indexeddb.js";
import { MemoryStorage } from "./memory.js";
import type { Engine, Records } from "./replica.js";
import type { Word } from "./relays.js";
import { PAGE_BYTES } from "./rows.js";
import type { StorageAdapter } from "./storage.js";
import { beforeReset, type Glue, isTrap, resetCount, resetEngine } from "./wasm.js";

/** A store by name, or one that the app brings. */
export type StorageOption = "indexeddb" | "memory" | { dir: string } | StorageAdapter;

/** An engine over a database. */
export interface Residence {
  engine: Engine;
  storage: StorageAdapter;
  /** Up to which row the engine has been given everything. */
  lastRow: number;
  /** Tells other tabs about new rows; absent where there can be none. */
  tabs?: TabChannel;
}

/** What the tabs that share a database tell each other. Nothing of it is the only copy of anything. */
export type TabMessage =
  /** There are new rows. */
  | 0
  /** Who speaks with this relay? */
  | { ask: string }
  /** How it stands with a relay. */
  | { url: string; word: Word }
  /** These, and what their chains have before them, are at a relay. */
  | { acked: string[] }
  /** There is more in the audit log. */
  | { noted: true }
  /** What sessions show of themselves: said in a tab, or heard from a relay. */
  | { said: boolean; bytes: Uint8Array };

/** Between the tabs that share a database. */
export interface TabChannel {
  /** How the names of locks begin that are for all of them; absent where there are no locks. */
  readonly locks?: string;
  post(message: TabMessage): void;
  listen(onMessage: (message: TabMessage) => void): void;
  close(): void;
}

interface Lock {
  release(): void;
}

export interface HomeOptions {
  glue: Glue;
  name: string;
  storage: StorageOption;
  batchMs: number | undefined;
  invite?: string;
  /** The store of Node for `{ dir }`. */
  fileStorage?: (dir: string) => StorageAdapter;
}

export class Home {
  readonly #o: HomeOptions;
  /** What makes the space less safe than it could be, and what tabs that died left and could not be taken up. */
  readonly warnings: StemmaError[] = [];
  #endFarewell = () => {};
  #held: { actor: string; lock?: Lock } | undefined;
  /** Whose drafts the engine stumbled over. */
  readonly #badDrafts = new Set<string>();

  constructor(o: HomeOptions) {
    this.#o = o;
  }

  /** Opens the database and makes what is in it run; if there is nothing, a space or a member of one that is yet to be stored. */
  async enter(signal: AbortSignal): Promise<{ residence: Residence; isNew: boolean }> {
    const storage = await this.#openStorage(signal);
    try {
      const residence = await this.#load(storage, new Set(), true, signal);
      return residence ? { residence, isNew: false } : { residence: await this.#found(storage), isNew: true };
    } catch (error) {
      this.#release();
      await storage.close().catch(() => {}); // the error that ended it is the one to be told
      throw error;
    }
  }

  /**
   * The same again after a trap. `flush` gets the store, and whether what the old one was doing is lost from sight, to
   * put in what was on its way.
   */
  async rebuild(
    old: Residence,
    quarantined: Set<string>,
    flush: (storage: StorageAdapter, abandoned: boolean) => Promise<void>,
  ): Promise<Residence> {
    const abandoned = this.#isInEngine;
    const storage = abandoned ? await this.#openStorage() : old.storage;
    await flush(storage, abandoned);
    // The snapshot may be what it stumbled over.
    const residence = await this.#load(storage, quarantined, false);
    if (!residence) throw new StemmaError("E_STORAGE_LOST", "the space is no longer in its database");
    return residence;
  }

  /** Where an engine lives that is only read, and that nothing is stored of. */
  beside(): Home {
    return new Home({ glue: this.#o.glue, name: "", storage: "memory", batchMs: undefined });
  }

  /** Lets go of everything. */
  async leave({ storage, tabs }: Residence): Promise<void> {
    this.#endFarewell();
    tabs?.close();
    this.#release();
    await storage.close();
  }

  async #load(first: StorageAdapter, quarantined: Set<string>, bySnapshot: boolean, signal?: AbortSignal): Promise<Residence | undefined> {
    let [storage, usesSnapshot] = [first, bySnapshot];
    for (;;) {
      const resets = resetCount();
      const bad = this.#badDrafts.size;
      try {
        return await this.#loadOnce(storage, quarantined, usesSnapshot, signal);
      } catch (thrown) {
        if (isTrap(thrown)) {
          const { cause, quarantine } = resetEngine(thrown);
          if (this.#badDrafts.size === bad) {
            if (!usesSnapshot && (quarantine === "" || quarantined.has(quarantine))) throw cause;
            usesSnapshot = false;
            if (quarantine !== "") quarantined.add(quarantine);
          }
        } else if (resets === resetCount()) {
          throw engineError(thrown);
        }
      }
      // The engine under the store is another one now.
      if (this.#isInEngine) storage = await this.#openStorage(signal);
    }
  }

  async #loadOnce(
    storage: StorageAdapter,
    quarantined: Set<string>,
    bySnapshot: boolean,
    signal?: AbortSignal,
  ): Promise<Residence | undefined> {
    const { glue, batchMs } = this.#o;
    const [meta, keys, actors] = [await storage.entries("meta"), await storage.entries("keys"), await storage.entries("actors")];
    if (!meta.some(([key]) => key === "space")) return undefined;
    signal?.throwIfAborted();
    const engine = glue.Replica.open(meta, keys, actors, batchMs);
    for (const changeset of quarantined) engine.quarantine(changeset);
    const rows = bySnapshot ? await takeUp(engine, await storage.entries("snapshots")) : 0;
    const residence = this.#residence(engine, storage, rows);
    await loadRows(residence, signal);
    await this.#chooseActor(residence, signal);
    return residence;
  }

  /** Runs `work` if no other tab runs work of that name; `undefined` if one does. */
  async alone<T>(work: string, run: () => Promise<T>): Promise<T | undefined> {
    const { glue, name } = this.#o;
    if (this.#isExclusive || !glue.locksAvailable()) return run();
    const lock = await glue.tryLock(`stemma/${name}/${work}`);
    if (!lock) return undefined;
    try {
      return await run();
    } finally {
      lock.release();
    }
  }

  async #found(storage: StorageAdapter): Promise<Residence> {
    const { glue, batchMs, invite } = this.#o;
    try {
      const engine = invite === undefined ? glue.Replica.create(batchMs) : glue.Replica.join(invite, batchMs);
      const residence = this.#residence(engine, storage, 0);
      await this.#chooseActor(residence);
      return residence;
    } catch (thrown) {
      throw engineError(thrown);
    }
  }

  async #chooseActor(residence: Residence, signal?: AbortSignal): Promise<void> {
    const { engine } = residence;
    const kept: string[] = [];
    for (const actor of engine.actorCandidates()) {
      if (!(await this.#hold(actor))) continue;
      // Whoever had it before may have gone on while we were loading.
      await loadRows(residence, signal);
      if (await this.#takeUpDraft(residence, actor, signal)) {
        engine.useActor(actor);
        return this.#takeUpOthers(residence, kept, signal);
      }
      kept.push(actor);
    }
    const actor = engine.newActor(this.#isExclusive || this.#o.glue.locksAvailable());
    await this.#hold(actor);
    await this.#takeUpOthers(residence, kept, signal);
  }

  /** What other tabs that died left: they may never come back. */
  async #takeUpOthers(residence: Residence, kept: readonly string[], signal?: AbortSignal): Promise<void> {
    for (const [actor] of await residence.storage.entries("drafts")) {
      if (actor === this.#held?.actor || kept.includes(actor)) continue;
      const lock = await this.#tryLock(actor);
      if (!lock) continue;
      try {
        await loadRows(residence, signal);
        await this.#takeUpDraft(residence, actor, signal);
      } finally {
        lock.release();
      }
    }
  }

  /**
   * Seals and stores what an actor, whose lock is held, had not sealed when its tab died. Whether the actor may sign something
   * else: not while its draft stays.
   */
  async #takeUpDraft(residence: Residence, actor: string, signal?: AbortSignal): Promise<boolean> {
    const { engine, storage } = residence;
    const record = (await storage.entries("drafts")).find(([key]) => key === actor)?.[1];
    if (!record) return true;
    const { batch, code = "", message = "" } = this.#sealDraft(engine, actor, record);
    try {
      if (batch) {
        await storage.commit(batch, { strict: true });
        // Whoever speaks with the relays sends it.
        residence.tabs?.post(0);
      }
      if (code !== "") this.#warn(code, `${batch ? "the last edits of a tab that died are lost" : "the last edits of a tab that died wait"}: ${message}`);
      await loadRows(residence, signal);
    } catch (error) {
      if (isTrap(error) || signal?.aborted) throw error;
      const { code, message } = StemmaError.from(error, "E_STORAGE_LOST") as StemmaError;
      this.#warn(code, `the last edits of a tab that died wait: they could not be stored (${message})`);
      return false;
    }
    return batch !== undefined;
  }

  #sealDraft(engine: Engine, actor: string, record: Uint8Array): ReturnType<Engine["takeUpDraft"]> {
    if (this.#badDrafts.has(actor)) {
      return { batch: { delete: [["drafts", actor]] }, code: "E_ENGINE_CRASHED", message: "the engine stumbles over them" };
    }
    try {
      return engine.takeUpDraft(actor, record);
    } catch (thrown) {
      if (isTrap(thrown)) this.#badDrafts.add(actor);
      throw thrown;
    }
  }

  #warn(code: string, message: string): void {
    this.warnings.push(StemmaError.from({ code, message }, "E_STORAGE_LOST") as StemmaError);
  }

  /** Whether this process may use the actor from now on. */
  async #hold(actor: string): Promise<boolean> {
    if (this.#held?.actor === actor) return true;
    const lock = await this.#tryLock(actor);
    if (!lock) return false;
    this.#release();
    this.#held = { actor, lock };
    return true;
  }

  async #tryLock(actor: string): Promise<Lock | undefined> {
    const { glue, name } = this.#o;
    if (this.#isExclusive) return { release: () => {} };
    return glue.locksAvailable() ? glue.tryLock(`stemma/${name}/${actor}`) : undefined;
  }

  #release(): void {
    try {
      this.#held?.lock?.release();
    } catch {
      // It belongs to an engine that trapped: the browser ends it with the page.
    }
    this.#held = undefined;
  }

  async #openStorage(signal?: AbortSignal): Promise<StorageAdapter> {
    const storage = this.#makeStorage();
    await storage.open(this.#o.name, signal ? { signal } : {});
    if (this.#o.storage === "indexeddb" && (storage.secrets === "plain" || !this.#o.glue.locksAvailable())) {
      this.warnings.push(new StemmaError("E_UNSUPPORTED", "this origin is not secure: keys are stored unwrapped, and each visit signs anew"));
    }
    return storage;
  }

  #makeStorage(): StorageAdapter {
    const { storage, fileStorage, glue } = this.#o;
    if (storage === "indexeddb") return new IndexedDbStorage(glue);
    if (storage === "memory") return new MemoryStorage();
    if (!("dir" in storage)) return storage;
    if (!fileStorage) throw new StemmaError("E_UNSUPPORTED", "there are no folders here", { argument: "storage" });
    return fileStorage(storage.dir);
  }

  #residence(engine: Engine, storage: StorageAdapter, lastRow: number): Residence {
    if (!this.#isInEngine) return { engine, storage, lastRow };
    const tabs = tabChannel(this.#o.glue, this.#o.name);
    this.#endFarewell();
    this.#endFarewell = beforeReset(() => {
      tabs.close();
      storage.close().catch(() => {}); // it has let go, or never will
    });
    return { engine, storage, lastRow, tabs };
  }

  /** Whether the store is a part of the engine, and ends with it. */
  get #isInEngine(): boolean {
    return this.#o.storage === "indexeddb";
  }

  /** 1 a database of a browser, 2 a folder, 4 another store; 0 memory. */
  get kindOfStore(): number {
    const { storage } = this.#o;
    if (storage === "memory") return 0;
    if (storage === "indexeddb") return 1;
    return "dir" in storage ? 2 : 4;
  }

  /** Whether no other tab or process can have the store open. */
  get #isExclusive(): boolean {
    const { storage } = this.#o;
    return storage === "memory" || (typeof storage === "object" && "dir" in storage);
  }
}

/** Gives the engine the snapshot, if there is one; up to which row that stands for all. */
async function takeUp(engine: Engine, records: Records): Promise<number> {
  // What does not open there does not open in the engine either, which tells why.
  const opened = await engine.openChunks(records)?.catch(() => undefined);
  return engine.takeUp(records, opened);
}

/** Gives the engine the rows it lacks, in slices between which the page can breathe. */
async function loadRows(residence: Residence, signal?: AbortSignal): Promise<void> {
  const { engine, storage } = residence;
  for (let last; ; residence.lastRow = last[0]) {
    const page = await storage.read(residence.lastRow, PAGE_BYTES);
    last = page.at(-1);
    if (!last) break;
    engine.loadTail(page);
    await breathe(signal);
  }
  while (engine.finishLoad()) await breathe(signal);
}

async function breathe(signal: AbortSignal | undefined): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve));
  signal?.throwIfAborted();
}

function tabChannel(glue: Glue, name: string): TabChannel {
  let onMessage = (_: TabMessage) => {};
  // Deferred: the engine is on the stack while its channel calls.
  const tabs = new glue.Tabs(`stemma/${name}`, (message: TabMessage) => queueMicrotask(() => onMessage(message)));
  return {
    ...(tabs.available && glue.locksAvailable() ? { locks: `stemma/${name}/` } : {}),
    post: (message) => void tabs.post(message),
    listen: (listener) => (onMessage = listener),
    close: () => {
      onMessage = () => {};
      try {
        tabs.close();
      } catch {
        // Of an engine that trapped.
      }
    },
  };
}

function engineError(thrown: unknown): unknown {
  return isTrap(thrown) ? resetEngine(thrown).cause : StemmaError.from(thrown, "E_ENGINE_CRASHED");
}
