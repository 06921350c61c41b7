/**
 * Opening, listing and deleting spaces.
 *
 * Invariant: a name is open at most once in a page: whoever opens it again gets the same {@link Space}.
 */

import { argumentError, checkFunction, checkOptions, checkInteger, checkSignal, checkString, copyList } from "./check.js";
import { LOADED, SpaceCore } from "./core.js";
import { dialer } from "./dial.js";
import { isStemmaError, StemmaError } from "./errors.js";
import { Home, type StorageOption } from "./home.js";
import { Space } from "./space.js";
import type { StorageAdapter } from "./storage.js";
import { checkRelay } from "./sync.js";
import { refuseThenable } from "./transaction.js";
import { abortable } from "./waiters.js";
import { type Glue, loadEngine, type WasmSource } from "./wasm.js";

/** What {@link open} takes. */
export interface OpenOptions {
  /** The name of the local database. */
  name: string;
  /**
   * Where it is kept: `"indexeddb"` unless there is none, then `"memory"`; in Node a folder of its own, `{ dir }`, or
   * `"memory"`, which is the default there. An adapter of your own belongs to one space.
   */
  storage?: StorageOption;
  /**
   * Relays to keep a connection to, `ws://` or `wss://`. Unless stated those that the `invite` names, where there is a
   * WebSocket. Without one nothing leaves the device: `[]` for none.
   */
  relay?: string | readonly string[];
  /** Joins the space of this link instead of making one; does no harm if that has been done before. */
  invite?: string;
  /** Fills a space that is being made, as one transaction. Not run on any later opening, and not on joining. */
  init?: (space: Space) => void;
  /**
   * How long edits outside of transactions are gathered before they are sealed: 0 to 60,000 ms. Unless stated 200 ms
   * with others online and 1,000 ms alone. Whether there are others {@link Space.presence} says where it is in use; else they are
   * taken to be online where a relay is.
   */
  batchMs?: number;
  /** How many entries of {@link Audit.log} are kept on this device, for all its tabs: 64 to 1,000,000, unless stated 10,000. The oldest go first. */
  auditEntries?: number;
  /** Runs every reducer twice, so that one that is not pure is found out: its object then shows an error. */
  development?: boolean;
  /** For where there is no global one, as in Node 20. */
  webSocket?: typeof WebSocket;
  /** The engine, for where it cannot be fetched from beside this module. Only the first opening in a page looks at it. */
  wasm?: WasmSource;
  /** Gives up opening. */
  signal?: AbortSignal;
}

/** A space with a database on this device. */
export interface SpaceInfo {
  readonly name: string;
  /** The id of the space. */
  readonly space: string;
  /** When this device first had it, ms since 1970. */
  readonly created: number;
}

/** What differs between browsers and Node. */
export interface Platform {
  wasm(given: WasmSource | undefined): WasmSource | Promise<WasmSource>;
  fileStorage?: (dir: string) => StorageAdapter;
}

/** Where to look: as for {@link open}. */
export interface PlaceOptions {
  storage?: "indexeddb" | { dir: string };
  wasm?: WasmSource;
}

/** The three verbs of a platform. */
export interface Api {
  open(o: OpenOptions): Promise<Space>;
  list(o?: Pick<PlaceOptions, "wasm">): Promise<SpaceInfo[]>;
  destroy(name: string, o?: PlaceOptions): Promise<void>;
}

interface Opened {
  space: Space;
  core: SpaceCore;
}

/** A name that is open or on its way. */
interface Entry {
  opened: Promise<Opened>;
  core?: SpaceCore;
  /** Aborts the opening when nobody waits for it any more. */
  controller: AbortController;
  waiting: number;
}

const entries = new Map<string, Entry>();

export function createApi(platform: Platform): Api {
  const load = (wasm: WasmSource | undefined) => loadEngine(() => platform.wasm(wasm));
  return {
    async open(o) {
      const relays = checkOpenOptions(o);
      o.signal?.throwIfAborted();
      const { name, signal } = o;
      await vacated(name, signal);
      let entry = entries.get(name);
      const isFirst = !entry;
      entry ??= enter(name, (controller) => start(platform, load, o, controller.signal));
      const { space, core } = await joinEntry(entry, signal);
      if (!isFirst && o.invite !== undefined) core.rejoin(o.invite);
      for (const url of relays) core.sync.connect(url, "relay");
      if (o.relay === undefined && o.invite !== undefined) core.sync.follow(core.pump.read((engine) => engine.relayHints()));
      return space;
    },

    async list(o = {}) {
      checkOptions(o, "o", ["wasm"]);
      if (typeof indexedDB === "undefined") return [];
      const glue = await load(o.wasm);
      return glue.registryList().catch((thrown: unknown) => {
        throw StemmaError.from(thrown, "E_STORAGE_UNAVAILABLE");
      });
    },

    async destroy(name, o = {}) {
      checkString(name, "name");
      checkOptions(o, "o", ["storage", "wasm"]);
      const entry = entries.get(name);
      if (entry) await entry.opened.then(({ space }) => space.close(), () => {});
      await remove(platform, load, name, o);
    },
  };
}

/** Waits for a space of this name that is being closed, or whose opening was given up. */
async function vacated(name: string, signal: AbortSignal | undefined): Promise<void> {
  for (let entry; (entry = entries.get(name)); ) {
    const ending = entry.core?.closing ?? (entry.controller.signal.aborted ? entry.opened : undefined);
    if (!ending) return;
    const ended = Promise.resolve(ending).then(
      () => {},
      () => {},
    );
    await abortable(ended, signal);
  }
}

function enter(name: string, begin: (controller: AbortController) => Promise<Opened>): Entry {
  const controller = new AbortController();
  const entry: Entry = { controller, waiting: 0, opened: begin(controller) };
  entries.set(name, entry);
  const forget = () => {
    if (entries.get(name) === entry) entries.delete(name);
  };
  entry.opened.then(({ core }) => {
    entry.core = core;
    core.onClosed = forget;
  }, forget);
  return entry;
}

async function joinEntry(entry: Entry, signal: AbortSignal | undefined): Promise<Opened> {
  entry.waiting++;
  try {
    return await abortable(entry.opened, signal);
  } finally {
    entry.waiting--;
    if (entry.waiting === 0 && signal?.aborted) entry.controller.abort(signal.reason);
  }
}

async function start(
  platform: Platform,
  load: (wasm: WasmSource | undefined) => Promise<Glue>,
  o: OpenOptions,
  signal: AbortSignal,
): Promise<Opened> {
  const glue = await load(o.wasm);
  signal.throwIfAborted();
  const { name, invite, init, batchMs, storage = defaultStorage() } = o;
  const home = new Home({ glue, name, storage, batchMs, ...pick(invite, "invite"), ...pick(platform.fileStorage, "fileStorage") });
  const { residence, isNew } = await home.enter(signal);
  const core = new SpaceCore(home, residence, dialer(glue, o.webSocket));
  core.definitions.isDevelopment = o.development ?? false;
  core.audit.journal.limit = o.auditEntries;
  core.audit.journal.restore();
  try {
    const space = new Space(core);
    core.pump.drain(LOADED);
    if (!isNew) core.commits.release();
    else if (init && invite === undefined) {
      core.transactions.transact(() => refuseThenable(init(space), "init"));
      core.transactions.flush();
    }
    if (isNew) await core.commits.releaseFirst();
    else if (invite !== undefined) core.rejoin(invite);
    if (isNew && storage === "indexeddb") await register(glue, core, name, space.id);
    signal.throwIfAborted();
    for (const warning of home.warnings.splice(0)) core.report("storage", warning);
    core.settleIn();
    return { space, core };
  } catch (error) {
    await core.abandon();
    // Another tab was faster: what it made is opened instead.
    if (isNew && isStemmaError(error) && error.code === "E_STORAGE_EXISTS") return start(platform, load, o, signal);
    throw error;
  }
}

/** The list of spaces is a convenience: without it the space works all the same. */
async function register(glue: Glue, core: SpaceCore, name: string, space: string): Promise<void> {
  try {
    await glue.registryAdd(name, space, Date.now());
  } catch (error) {
    core.report("storage", StemmaError.from(error, "E_STORAGE_LOST") as StemmaError);
  }
}

async function remove(
  platform: Platform,
  load: (wasm: WasmSource | undefined) => Promise<Glue>,
  name: string,
  o: PlaceOptions,
): Promise<void> {
  const storage = o.storage ?? defaultStorage();
  if (typeof storage === "object") {
    if (!platform.fileStorage) throw new StemmaError("E_UNSUPPORTED", "there are no folders here", { argument: "storage" });
    const folder = platform.fileStorage(storage.dir);
    await folder.open(name);
    await folder.destroy();
  } else if (storage === "indexeddb") {
    const glue = await load(o.wasm);
    try {
      await glue.deleteDatabase(name);
      await glue.registryRemove(name);
    } catch (error) {
      throw StemmaError.from(error, "E_STORAGE_LOST");
    }
  }
}

function defaultStorage(): "indexeddb" | "memory" {
  return typeof indexedDB === "undefined" ? "memory" : "indexeddb";
}

/** Gives the addresses of the relays. */
function checkOpenOptions(o: OpenOptions): string[] {
  if (o === undefined) throw argumentError("o", "open needs an object of options");
  checkOptions(o, "o", ["name", "storage", "relay", "invite", "init", "batchMs", "auditEntries", "development", "webSocket", "wasm", "signal"]);
  checkString(o.name, "name");
  if (o.name === "") throw argumentError("name", "name is empty");
  checkSignal(o.signal);
  checkStorage(o.storage);
  const { relay = [] } = o;
  const relays = typeof relay === "string" ? [relay] : copyList(relay, "relay", "relay is neither an address nor a list of them");
  for (const url of relays) checkRelay(url, "relay");
  if (o.invite !== undefined) checkString(o.invite, "invite");
  if (o.init !== undefined) checkFunction(o.init, "init");
  if (o.batchMs !== undefined) checkInteger(o.batchMs, "batchMs", 0, 60_000);
  if (o.auditEntries !== undefined) checkInteger(o.auditEntries, "auditEntries", 64, 1_000_000);
  if (o.development !== undefined && typeof o.development !== "boolean") throw argumentError("development", "development is not a boolean");
  if (o.webSocket !== undefined) checkFunction(o.webSocket, "webSocket");
  if (relays.length > 0 && (o.webSocket ?? globalThis.WebSocket) === undefined) {
    throw new StemmaError("E_UNSUPPORTED", "there is no WebSocket here: pass one", { argument: "webSocket" });
  }
  return relays as string[];
}

function checkStorage(storage: unknown): void {
  if (storage === undefined || storage === "indexeddb" || storage === "memory") return;
  if (typeof storage !== "object" || storage === null) throw argumentError("storage", 'storage is not "indexeddb", "memory", { dir } or an adapter');
  if ("dir" in storage) {
    checkOptions(storage, "storage", ["dir"]);
    checkString(storage.dir, "storage");
    return;
  }
  const lacking = ADAPTER_VERBS.find((verb) => typeof (storage as Record<string, unknown>)[verb] !== "function");
  if (lacking) throw argumentError("storage", `storage is an adapter without ${lacking}()`);
}

const ADAPTER_VERBS = ["open", "entries", "read", "commit", "close", "destroy"];

function pick<K extends string, V>(value: V | undefined, key: K): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]: V });
}
