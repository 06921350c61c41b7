// Tabs that die in the middle: what was typed is there when the page comes back, sealed once, and nothing of it was in clear.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { BrowserContext, Page } from "playwright-core";
import { launchBrowser, type Owner, servePages } from "./harness.ts";

declare const space: import("stemma").Space;

const browser = await launchBrowser({ after });
const origin = await servePages({ after });
/** By which what was typed would be known. */
const CANARY = "kanarie7";

async function profile(t: Owner): Promise<BrowserContext> {
  const context = await browser.newContext();
  t.after(() => context.close());
  return context;
}

interface Options {
  batchMs?: number;
}

/** A tab in which `space` is open, and `told` gathers what its store has to say. */
async function load(context: BrowserContext, o: Options = {}): Promise<Page> {
  const page = await empty(context);
  await page.evaluate(async (o) => {
    const { open } = await import("stemma");
    const told: string[] = [];
    Object.assign(globalThis, { space: await open({ name: "crash", ...o }), told });
    space.on("storage", ({ code, message }) => void told.push(`${code}: ${message}`));
  }, o);
  return page;
}

async function empty(context: BrowserContext): Promise<Page> {
  const page = await context.newPage();
  page.on("pageerror", (error) => assert.fail(error));
  await page.goto(origin);
  return page;
}

/** The process of the page ends: no handler runs. */
async function kill(page: Page): Promise<void> {
  const session = await page.context().newCDPSession(page);
  const crashed = page.waitForEvent("crash");
  session.send("Page.crash").catch(() => {}); // nobody is left to answer
  await crashed;
  await page.close();
}

async function until<T>(what: string, read: () => Promise<T>, expected: T): Promise<void> {
  for (const deadline = Date.now() + 30_000; ; await new Promise((resolve) => setTimeout(resolve, 20))) {
    const found = await read();
    if (JSON.stringify(found) === JSON.stringify(expected)) return;
    assert.ok(Date.now() < deadline, `${what}: ${JSON.stringify(found)}`);
  }
}

/** The drafts in the database, by actor, as another page of the origin reads them. */
async function drafts(page: Page): Promise<Record<string, number[]>> {
  return page.evaluate(async () => {
    const asked = <T>(request: IDBRequest<T>) =>
      new Promise<T>((resolve, reject) => Object.assign(request, { onsuccess: () => resolve(request.result), onerror: () => reject(request.error) }));
    const database = await asked(indexedDB.open("stemma/crash"));
    const store = database.transaction("drafts").objectStore("drafts");
    const [keys, values] = await Promise.all([asked(store.getAllKeys()), asked(store.getAll())]);
    database.close();
    return Object.fromEntries(keys.map((key, at) => [String(key), [...(values[at] as Uint8Array)]]));
  });
}

/** Puts a record there. */
async function putDraft(page: Page, actor: string, record: number[]): Promise<void> {
  await page.evaluate(
    async ({ actor, record }) => {
      const opening = indexedDB.open("stemma/crash");
      await new Promise((resolve) => (opening.onsuccess = resolve));
      const tx = opening.result.transaction("drafts", "readwrite");
      tx.objectStore("drafts").put(Uint8Array.from(record), actor);
      await new Promise((resolve) => (tx.oncomplete = resolve));
      opening.result.close();
    },
    { actor, record },
  );
}

/** Whether a word is anywhere in the database, in bytes or strings. */
async function holds(page: Page, word: string): Promise<boolean> {
  return page.evaluate(async (word) => {
    const opening = indexedDB.open("stemma/crash");
    await new Promise((resolve) => (opening.onsuccess = resolve));
    const database = opening.result;
    const found: string[] = [];
    const look = (value: unknown): void => {
      if (value instanceof Uint8Array) found.push(Array.from(value, (byte) => String.fromCharCode(byte)).join(""));
      else found.push(String(value));
    };
    for (const name of database.objectStoreNames) {
      const store = database.transaction(name).objectStore(name);
      for (const request of [store.getAll(), store.getAllKeys()] as IDBRequest<unknown[]>[]) {
        await new Promise((resolve) => (request.onsuccess = resolve));
        request.result.forEach(look);
      }
    }
    database.close();
    return found.length > 0 && found.some((text) => text.includes(word));
  }, word);
}

const text = (page: Page) => page.evaluate(() => space.getText("notes").toString());
const told = (page: Page) => page.evaluate(() => (globalThis as unknown as { told: string[] }).told);
const append = (page: Page, string: string) => page.evaluate((string) => space.getText("notes").append(string), string);
const saved = (page: Page) => page.evaluate(() => space.flush().saved("local"));

/** Types letter by letter, and waits until the last one is in the draft. */
async function typeInto(page: Page, witness: Page, string: string): Promise<void> {
  const actor = await page.evaluate(() => space.actor);
  await append(page, string.slice(0, -1));
  await until("a draft", async () => Object.keys(await drafts(witness)).includes(actor), true);
  const before = (await drafts(witness))[actor];
  await append(page, string.slice(-1));
  await until("another one", async () => JSON.stringify((await drafts(witness))[actor]) !== JSON.stringify(before), true);
}

test("what was typed before a tab was killed is there afterwards, is one step of undo, and was never in clear", async (t) => {
  const context = await profile(t);
  const witness = await empty(context);
  const page = await load(context, { batchMs: 60_000 });
  await append(page, "sealed, ");
  await saved(page);
  await page.evaluate((key) => space.getMap(`${key} facts`).set(`${key} key`, `${key} value`), CANARY);
  await typeInto(page, witness, CANARY);
  assert.equal(await holds(witness, CANARY), false);
  const actor = await page.evaluate(() => space.actor);
  await kill(page);

  const again = await load(context);
  assert.equal(await text(again), `sealed, ${CANARY}`);
  assert.deepEqual(await drafts(witness), {});
  assert.equal(await again.evaluate(() => space.actor), actor);
  assert.equal(await again.evaluate((key) => space.getMap(`${key} facts`).get(`${key} key`), CANARY), `${CANARY} value`);
  assert.equal(await again.evaluate(() => space.undo()), true);
  assert.equal(await text(again), "sealed, ");
  assert.deepEqual(await told(again), []);
  assert.equal(await holds(witness, CANARY), false);
});

test("of two tabs that were killed both come back with the next one; that of a living tab is left alone", async (t) => {
  const context = await profile(t);
  const witness = await empty(context);
  const pages = [await load(context, { batchMs: 60_000 })];
  await append(pages[0] as Page, "-");
  await saved(pages[0] as Page);
  pages.push(await load(context, { batchMs: 60_000 }), await load(context, { batchMs: 60_000 }));
  for (const [at, page] of pages.entries()) await typeInto(page, witness, `tab ${at}`);
  const [one, two, three] = pages as [Page, Page, Page];
  await kill(one);
  await kill(two);
  const again = await load(context);
  assert.equal((await text(again)).replaceAll(/-|tab 0|tab 1/g, ""), "");
  assert.equal((await text(again)).length, 11);
  assert.deepEqual(Object.keys(await drafts(witness)), [await three.evaluate(() => space.actor)]);
  await saved(three);
  await until("the living tab's", async () => (await text(again)).length, 16);
  assert.deepEqual(await drafts(witness), {});
});

test("a draft that is damaged is told and dropped, one of a newer version is told and kept, and neither keeps the space from opening", async (t) => {
  const context = await profile(t);
  const witness = await empty(context);
  const page = await load(context, { batchMs: 60_000 });
  await append(page, "sealed");
  await saved(page);
  await typeInto(page, witness, "lost");
  const actor = await page.evaluate(() => space.actor);
  await kill(page);
  const record = (await drafts(witness))[actor] as number[];
  const altered = (at: number, by: number) => record.map((byte, place) => (place === at ? byte ^ by : byte));
  const newer = altered(0, 3);
  await putDraft(witness, actor, newer);
  const second = await load(context);
  await until("it says so", async () => (await told(second)).map((line) => line.split(":")[0]), ["E_STORAGE_NEWER"]);
  assert.equal(await text(second), "sealed");
  assert.notEqual(await second.evaluate(() => space.actor), actor, "whoever can read it finds it where it began");
  await append(second, ", later");
  await saved(second);
  assert.deepEqual(await drafts(witness), { [actor]: newer });
  await second.close();

  await putDraft(witness, actor, altered(40, 1));
  const third = await load(context);
  await until("it says so", async () => (await told(third)).map((line) => line.split(":")[0]), ["E_STORAGE_LOST"]);
  assert.equal(await text(third), "sealed, later");
  assert.deepEqual(await drafts(witness), {});
});

test("after a trap what was drafted is sealed by the next engine", async (t) => {
  const context = await profile(t);
  const witness = await empty(context);
  const page = await load(context, { batchMs: 60_000 });
  await append(page, "sealed, ");
  await saved(page);
  await typeInto(page, witness, "drafted");
  await page.evaluate(() => {
    const dive = (): number => space.stateHash().length + dive();
    try {
      dive();
    } catch {
      // The stack was to end.
    }
  });
  await until("the space is there again", () => text(page).catch(() => ""), "sealed, drafted");
  await until("the draft is gone", () => drafts(witness), {});
  await append(page, ", goes on");
  await saved(page);
  assert.equal(await text(await load(context)), "sealed, drafted, goes on");
});
