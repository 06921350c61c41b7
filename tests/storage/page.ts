// What the browser tests of storage run inside the page: bundled, it puts itself on `window`.

import { IndexedDbStorage, type StorageEngine } from "../../ts/indexeddb.ts";
import { cases } from "./suite.ts";

/** Runs one case of the suite on a database of its own. */
async function runCase(engine: StorageEngine, index: number): Promise<void> {
  const [, run] = cases[index] ?? [];
  if (!run) throw new Error(`there is no case ${index}`);
  await run({ storage: () => new Prefixed(engine, `case-${index}-`) });
}

/** The suite names its database itself; in a page each case needs another. */
class Prefixed extends IndexedDbStorage {
  readonly #prefix: string;

  constructor(engine: StorageEngine, prefix: string) {
    super(engine);
    this.#prefix = prefix;
  }

  override open(name: string, o?: { signal?: AbortSignal }): Promise<void> {
    return super.open(this.#prefix + name, o);
  }
}

Object.assign(window, { storageTests: { IndexedDbStorage, runCase } });
