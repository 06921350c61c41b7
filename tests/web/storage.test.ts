// The store of the browser: the acceptance suite in Chromium, and what only IndexedDB can do to a page.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import type { BrowserContext, Page } from "playwright-core";
import { rolldown } from "rolldown";
import type * as Engine from "../../target/engine/engine.js";
import type { IndexedDbStorage } from "../../ts/indexeddb.ts";
import { cases } from "../storage/suite.ts";
import { launchBrowser, root, servePages } from "./harness.ts";
import { engineTab } from "./page.ts";

declare const engine: typeof Engine;
declare const storageTests: {
  IndexedDbStorage: typeof IndexedDbStorage;
  runCase(engine: typeof Engine, index: number): Promise<void>;
};

const owner = { after };
const browser = await launchBrowser(owner);
const origin = await servePages(owner, { "/engine/": "target/engine", "/": "tests/web/pages" });
const bundle = await rolldown({
  input: join(root, "tests/storage/page.ts"),
  resolve: { extensionAlias: { ".js": [".ts", ".js"] } },
});
const { output } = await bundle.generate({ format: "iife" });
const script = output[0].code;

/** A tab with the engine and the storage class as globals. */
async function tab(context: BrowserContext): Promise<Page> {
  const page = await engineTab(context, origin);
  await page.addScriptTag({ content: script });
  return page;
}

async function freshTab(t: { after(end: () => Promise<void>): void }): Promise<Page> {
  const context = await browser.newContext();
  t.after(() => context.close());
  return tab(context);
}

describe("IndexedDB, acceptance", () => {
  for (const [index, [name]] of cases.entries()) {
    test(name, async (t) => {
      const page = await freshTab(t);
      await page.evaluate((index) => storageTests.runCase(engine, index), index);
    });
  }
});

test("keys rest wrapped, and the wrapping key cannot be read out", async (t) => {
  const page = await freshTab(t);
  const found = await page.evaluate(async () => {
    const storage = new storageTests.IndexedDbStorage(engine);
    await storage.open("wrapped");
    await storage.commit({ put: [["keys", "member", new TextEncoder().encode("the member's secret")]] }, { strict: false });
    const { secrets } = storage;
    await storage.close();
    const request = indexedDB.open("stemma/wrapped");
    await new Promise((done) => (request.onsuccess = done));
    const keys = request.result.transaction("keys").objectStore("keys");
    const [member, wrap] = [keys.get("member"), keys.get("wrap")];
    await new Promise((done) => (keys.transaction.oncomplete = done));
    const key: CryptoKey = wrap.result;
    const exported = await crypto.subtle.exportKey("raw", key).then(() => "exported", (error) => error.name);
    return { secrets, member: [...(member.result as Uint8Array)], type: key.constructor.name, extractable: key.extractable, exported };
  });
  assert.equal(found.secrets, "wrapped");
  assert.equal(found.member[0], 1);
  assert.equal(found.member.length, 1 + 12 + "the member's secret".length + 16);
  assert.ok(!Buffer.from(found.member).includes("secret"));
  assert.deepEqual([found.type, found.extractable, found.exported], ["CryptoKey", false, "InvalidAccessError"]);
});

test("a wrapped record of another key, or moved to another name, is E_KEY_MISSING", async (t) => {
  const page = await freshTab(t);
  const codes = await page.evaluate(async () => {
    const storage = new storageTests.IndexedDbStorage(engine);
    await storage.open("moved");
    await storage.commit({ put: [["keys", "a", new Uint8Array(32)]] }, { strict: true });
    const write = async (name: string, change: (value: Uint8Array) => Uint8Array): Promise<string> => {
      const request = indexedDB.open("stemma/moved");
      await new Promise((done) => (request.onsuccess = done));
      const keys = request.result.transaction("keys", "readwrite").objectStore("keys");
      const stored = keys.get("a");
      stored.onsuccess = () => keys.put(change(stored.result), name);
      await new Promise((done) => (keys.transaction.oncomplete = done));
      request.result.close();
      const outcome = await storage.entries("keys").then(() => "read", (error) => error.code);
      await storage.commit({ delete: [["keys", name]] }, { strict: true });
      return outcome;
    };
    return [
      await write("b", (value) => value),
      await write("c", () => new Uint8Array()),
      await write("c", () => new Uint8Array([1, 2, 3])),
      await write("c", () => new Uint8Array([7, 7])),
      await storage.entries("keys").then((entries) => entries.length),
    ];
  });
  assert.deepEqual(codes, ["E_KEY_MISSING", "E_KEY_MISSING", "E_KEY_MISSING", "E_KEY_MISSING", 1]);
});

test("where there is no WebCrypto keys rest plain, and it says so", async (t) => {
  const page = await freshTab(t);
  const found = await page.evaluate(async () => {
    Object.defineProperty(crypto, "subtle", { value: undefined });
    const storage = new storageTests.IndexedDbStorage(engine);
    await storage.open("plain");
    await storage.commit({ put: [["keys", "member", new Uint8Array([9, 8])]] }, { strict: true });
    return { secrets: storage.secrets, entries: (await storage.entries("keys")).map(([key, value]) => [key, ...value]) };
  });
  assert.deepEqual(found, { secrets: "plain", entries: [["member", 9, 8]] });
});

test("where a CryptoKey cannot be stored keys rest plain", async (t) => {
  const page = await freshTab(t);
  const secrets = await page.evaluate(async () => {
    const add = IDBObjectStore.prototype.add;
    IDBObjectStore.prototype.add = function (value, key) {
      if (value instanceof CryptoKey) throw new DOMException("cannot be cloned", "DataCloneError");
      return add.call(this, value, key);
    };
    const storage = new storageTests.IndexedDbStorage(engine);
    await storage.open("uncloneable");
    await storage.commit({ put: [["keys", "member", new Uint8Array([9, 8])]] }, { strict: true });
    return `${storage.secrets} ${(await storage.entries("keys"))[0]?.[1]}`;
  });
  assert.equal(secrets, "plain 9,8");
});

test("two tabs that create the wrapping key at once end with one", async (t) => {
  const context = await browser.newContext();
  t.after(() => context.close());
  const tabs = [await tab(context), await tab(context)];
  const write = (page: Page, name: string): Promise<void> =>
    page.evaluate(async (name) => {
      const { IndexedDbStorage } = storageTests;
      for (let round = 0; round < 10; round += 1) {
        const storage = new IndexedDbStorage(engine);
        await storage.open(`race-${round}`);
        await storage.commit({ put: [["keys", name, new TextEncoder().encode(name)]] }, { strict: true });
        await storage.close();
      }
    }, name);
  await Promise.all(tabs.map((page, index) => write(page, `tab${index}`)));
  for (const page of tabs) {
    const read = await page.evaluate(async () => {
      const all: string[] = [];
      for (let round = 0; round < 10; round += 1) {
        const storage = new storageTests.IndexedDbStorage(engine);
        await storage.open(`race-${round}`);
        all.push((await storage.entries("keys")).map(([, value]) => new TextDecoder().decode(value)).join());
        await storage.close();
      }
      return all;
    });
    assert.deepEqual(read, Array(10).fill("tab0,tab1"));
  }
});

test("tabs append to one tail, with numbers of one order, and see each other's rows", async (t) => {
  const context = await browser.newContext();
  t.after(() => context.close());
  const tabs = [await tab(context), await tab(context)];
  const append = (page: Page): Promise<number[]> =>
    page.evaluate(async () => {
      const storage = new storageTests.IndexedDbStorage(engine);
      await storage.open("shared");
      const commits = Array.from({ length: 25 }, (_, n) => storage.commit({ append: [new Uint8Array([n])] }, { strict: n % 2 === 0 }));
      return (await Promise.all(commits)).flat();
    });
  const numbers = (await Promise.all(tabs.map(append))).flat();
  assert.equal(new Set(numbers).size, 50);
  const seen = await tabs[0]?.evaluate(async () => {
    const storage = new storageTests.IndexedDbStorage(engine);
    await storage.open("shared");
    return (await storage.read(0, 1e6)).map(([number]) => number);
  });
  assert.deepEqual(seen, numbers.sort((a, b) => a - b));
});

test("strict commits ask for strict durability; keys and absent always do; relaxed ones do not", async (t) => {
  const page = await freshTab(t);
  const seen = await page.evaluate(async () => {
    const transaction = IDBDatabase.prototype.transaction;
    let asked: string[] = [];
    IDBDatabase.prototype.transaction = function (stores, mode, options) {
      const tx = transaction.call(this, stores, mode, options);
      if (mode === "readwrite") asked.push(`${[stores].flat().join("+")} ${options?.durability} ${tx.durability}`);
      return tx;
    };
    const storage = new storageTests.IndexedDbStorage(engine);
    await storage.open("durable");
    const value = new Uint8Array(3);
    asked = [];
    await storage.commit({ append: [value], put: [["actors", "a", value]] }, { strict: true });
    await storage.commit({ append: [value], put: [["drafts", "a", value]] }, { strict: false });
    await storage.commit({ put: [["keys", "a", value]] }, { strict: false });
    await storage.commit({ absent: ["meta", "a"], put: [["meta", "a", value]] }, { strict: false });
    return asked;
  });
  assert.deepEqual(seen, [
    "actors+tail strict strict",
    "drafts+tail undefined default",
    "keys strict strict",
    "meta strict strict",
  ]);
});

test("a handle that the browser closed is replaced, and the verb goes through", async (t) => {
  const page = await freshTab(t);
  const outcome = await page.evaluate(async () => {
    const open = IDBFactory.prototype.open;
    const handles: IDBDatabase[] = [];
    IDBFactory.prototype.open = function (...args) {
      const request = open.apply(this, args);
      request.addEventListener("success", () => handles.push(request.result));
      return request;
    };
    const storage = new storageTests.IndexedDbStorage(engine);
    const told: string[] = [];
    storage.onLost = (error) => told.push(error.code);
    await storage.open("mortal");
    const row = (n: number): { append: Uint8Array[] } => ({ append: [new Uint8Array([n])] });
    await storage.commit(row(1), { strict: true });
    const kill = (): void => handles.splice(0).forEach((handle) => handle.close());
    kill();
    await storage.commit(row(2), { strict: true });
    kill();
    await storage.commit(row(3), { strict: false });
    kill();
    const read = async (): Promise<number[]> => (await storage.read(0, 1000)).map(([, [n]]) => n as number);
    const first = await read();
    kill();
    const many = await Promise.all([storage.entries("meta"), storage.commit(row(4), { strict: true }), storage.commit(row(5), { strict: false }), read()]);
    // The close event alone, as after "clear site data" with the database still there.
    for (const handle of handles) handle.dispatchEvent(new Event("close"));
    const opened = handles.length;
    await storage.commit(row(6), { strict: true });
    return { first, many: many.length, last: (await read()).sort(), told, reopened: handles.length > opened };
  });
  assert.deepEqual(outcome, { first: [1, 2, 3], many: 4, last: [1, 2, 3, 4, 5, 6], told: [], reopened: true });
});

test("a handle that dies in the middle of a commit writes it once", async (t) => {
  const page = await freshTab(t);
  const rows = await page.evaluate(async () => {
    const storage = new storageTests.IndexedDbStorage(engine);
    await storage.open("middle");
    const commit = IDBTransaction.prototype.commit;
    let deaths = 0;
    IDBTransaction.prototype.commit = function () {
      if (deaths++ === 0) this.abort(); // a forced close aborts without a reason
      else commit.call(this);
    };
    await storage.commit({ append: [new Uint8Array([1])] }, { strict: true });
    deaths = 0;
    await storage.commit({ append: [new Uint8Array([2])] }, { strict: false });
    return (await storage.read(0, 1000)).map(([, [n]]) => n);
  });
  assert.deepEqual(rows, [1, 2]);
});

test("a handle that stays dead is E_STORAGE_LOST, told and thrown", async (t) => {
  const page = await freshTab(t);
  const outcome = await page.evaluate(async () => {
    const storage = new storageTests.IndexedDbStorage(engine);
    const told: string[] = [];
    storage.onLost = (error) => told.push(error.code);
    await storage.open("dead");
    const dead = (): never => {
      throw new DOMException("connection to Indexed Database server lost", "UnknownError");
    };
    const transaction = IDBDatabase.prototype.transaction;
    IDBDatabase.prototype.transaction = dead;
    const verbs = () => [storage.entries("meta"), storage.read(0, 1), storage.commit({ append: [new Uint8Array(1)] }, { strict: true })];
    const codes = await Promise.all(verbs().map((verb) => verb.then(() => "done", (error) => error.code)));
    IDBDatabase.prototype.transaction = transaction;
    const back = await Promise.all(verbs());
    return { codes, told, back: back.length };
  });
  assert.deepEqual(outcome.codes, Array(3).fill("E_STORAGE_LOST"));
  assert.ok(outcome.told.length > 0 && outcome.told.every((code) => code === "E_STORAGE_LOST"));
  assert.equal(outcome.back, 3);
});

test("a database that another tab destroys is let go of at once, and lost for good", async (t) => {
  const context = await browser.newContext();
  t.after(() => context.close());
  const [first, second] = [await tab(context), await tab(context)];
  await first.evaluate(async () => {
    const storage = new storageTests.IndexedDbStorage(engine);
    await storage.open("doomed");
    const lost = new Promise((resolve) => (storage.onLost = (error) => resolve(`${error.code}: ${error.message}`)));
    Object.assign(window, { storage, lost });
  });
  await second.evaluate(() => engine.deleteDatabase("doomed"));
  const outcome = await first.evaluate(async () => {
    const { storage, lost } = window as unknown as { storage: IndexedDbStorage; lost: Promise<string> };
    const codes = [await lost];
    codes.push(await storage.commit({ append: [new Uint8Array(1)] }, { strict: true }).then(() => "done", (error) => error.code));
    codes.push(await storage.entries("meta").then(() => "done", (error) => error.code));
    return [...codes, (await indexedDB.databases()).length];
  });
  assert.deepEqual(outcome, ["E_STORAGE_LOST: another tab deleted the database", "E_STORAGE_LOST", "E_STORAGE_LOST", 0]);
});

test("a database that vanished while the handle was dead is not made anew", async (t) => {
  const page = await freshTab(t);
  const outcome = await page.evaluate(async () => {
    const open = IDBFactory.prototype.open;
    const handles: IDBDatabase[] = [];
    IDBFactory.prototype.open = function (...args) {
      const request = open.apply(this, args);
      request.addEventListener("success", () => handles.push(request.result));
      return request;
    };
    const storage = new storageTests.IndexedDbStorage(engine);
    await storage.open("vanished");
    for (const handle of handles) handle.close();
    await new Promise((resolve) => (indexedDB.deleteDatabase("stemma/vanished").onsuccess = resolve));
    const told = new Promise((resolve) => (storage.onLost = (error) => resolve(error.code)));
    const thrown = await storage.commit({ append: [new Uint8Array(1)] }, { strict: true }).then(() => "done", (error) => error.code);
    return [thrown, await told, (await indexedDB.databases()).length];
  });
  assert.deepEqual(outcome, ["E_STORAGE_LOST", "E_STORAGE_LOST", 0]);
});

test("a newer version: refused when opening, told when it comes while open", async (t) => {
  const page = await freshTab(t);
  const outcome = await page.evaluate(async () => {
    const storage = new storageTests.IndexedDbStorage(engine);
    await storage.open("upgraded");
    const told = new Promise((resolve) => (storage.onLost = (error) => resolve(error.code)));
    const request = indexedDB.open("stemma/upgraded", 2);
    await new Promise((resolve) => (request.onsuccess = resolve));
    request.result.close();
    const later = new storageTests.IndexedDbStorage(engine);
    const codeOf = (verb: Promise<unknown>): Promise<string> => verb.then(() => "done", (error) => error.code);
    return [await told, await codeOf(storage.entries("meta")), await codeOf(later.open("upgraded"))];
  });
  assert.deepEqual(outcome, ["E_STORAGE_NEWER", "E_STORAGE_NEWER", "E_STORAGE_NEWER"]);
});

test("nothing hangs when another tab does not let go: opening and destroying are E_STORAGE_BLOCKED, or aborted", async (t) => {
  const page = await freshTab(t);
  const outcome = await page.evaluate(async () => {
    const make = indexedDB.open("stemma/held", 1);
    await new Promise((resolve) => (make.onsuccess = resolve)); // this handle ignores `versionchange`
    const codeOf = (verb: Promise<unknown>): Promise<string> => verb.then(() => "done", (error) => (error.name === "AbortError" ? error.name : error.code));
    const storage = new storageTests.IndexedDbStorage(engine, { blockedMs: 50 });
    const destroyed = await codeOf(engine.deleteDatabase("held", undefined, 50));
    const opened = await codeOf(storage.open("held"));
    const control = new AbortController();
    const waiting = codeOf(new storageTests.IndexedDbStorage(engine).open("held", { signal: control.signal }));
    control.abort();
    const aborted = await waiting;
    // What was asked for goes on when the other lets go, and what was opened too late is closed again.
    make.result.close();
    const last = new storageTests.IndexedDbStorage(engine);
    await last.open("held");
    await last.commit({ append: [new Uint8Array(1)] }, { strict: true });
    await last.destroy();
    return { destroyed, opened, aborted };
  });
  assert.deepEqual(outcome, { destroyed: "E_STORAGE_BLOCKED", opened: "E_STORAGE_BLOCKED", aborted: "AbortError" });
});

test("a full disk is E_STORAGE_QUOTA, leaves nothing behind, and is over when there is room", async (t) => {
  const page = await freshTab(t);
  const devtools = await page.context().newCDPSession(page);
  // Chromium remembers for a while how much it granted, so the limit comes first.
  await devtools.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 1_000_000 });
  await page.evaluate(async () => {
    const storage = new storageTests.IndexedDbStorage(engine);
    await storage.open("full");
    await storage.commit({ append: [new Uint8Array([1])] }, { strict: true });
    Object.assign(window, { storage });
  });
  const full = await page.evaluate(async () => {
    const { storage } = window as unknown as { storage: IndexedDbStorage };
    const large = crypto.getRandomValues(new Uint8Array(65_536));
    const batch = { append: Array(64).fill(large), put: [["meta", "half", large] as ["meta", string, Uint8Array]] };
    const outcome: (string | boolean | number)[] = [];
    for (const strict of [true, false]) {
      await storage.commit(batch, { strict }).then(
        () => outcome.push("done"),
        (error) => outcome.push(error.code, error.retryable),
      );
    }
    return [...outcome, (await storage.read(0, 1e9)).length, (await storage.entries("meta")).length];
  });
  assert.deepEqual(full, ["E_STORAGE_QUOTA", true, "E_STORAGE_QUOTA", true, 1, 0]);
  await devtools.send("Storage.overrideQuotaForOrigin", { origin });
  const after = await page.evaluate(async () => {
    const { storage } = window as unknown as { storage: IndexedDbStorage };
    await storage.commit({ append: [new Uint8Array([2])] }, { strict: true });
    return (await storage.read(0, 1e9)).length;
  });
  assert.equal(after, 2);
});

test("without IndexedDB opening is E_STORAGE_UNAVAILABLE", async (t) => {
  const page = await freshTab(t);
  const codes = await page.evaluate(async () => {
    const codeOf = (verb: Promise<unknown>): Promise<string> => verb.then(() => "done", (error) => error.code);
    const open = IDBFactory.prototype.open;
    IDBFactory.prototype.open = () => {
      throw new DOMException("denied in this context", "SecurityError");
    };
    const denied = await codeOf(new storageTests.IndexedDbStorage(engine).open("none"));
    IDBFactory.prototype.open = open;
    Object.defineProperty(window, "indexedDB", { value: undefined });
    return [denied, await codeOf(new storageTests.IndexedDbStorage(engine).open("none"))];
  });
  assert.deepEqual(codes, ["E_STORAGE_UNAVAILABLE", "E_STORAGE_UNAVAILABLE"]);
});

test("the registry lists what was added, replaces and forgets", async (t) => {
  const page = await freshTab(t);
  const lists = await page.evaluate(async () => {
    const before = await engine.registryList();
    await engine.registryAdd("notes", "aa", 1);
    await engine.registryAdd("bills", "bb", 2);
    await engine.registryAdd("notes", "cc", 3);
    const full = await engine.registryList();
    await engine.registryRemove("notes");
    await engine.registryRemove("never");
    return [before, full, await engine.registryList()];
  });
  const bills = { name: "bills", space: "bb", created: 2 };
  assert.deepEqual(lists, [[], [bills, { name: "notes", space: "cc", created: 3 }], [bills]]);
});

