// Snapshots and packed rows in IndexedDB, with several tabs on one database: whoever is behind reads on, nothing is lost,
// and a new tab begins with the state.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Page } from "playwright-core";
import { launchBrowser, servePages } from "./harness.ts";

declare const space: import("stemma").Space;

const browser = await launchBrowser({ after });
const origin = await servePages({ after });

async function tabs(t: { after(end: () => Promise<void>): void }): Promise<() => Promise<Page>> {
  const context = await browser.newContext();
  t.after(() => context.close());
  return async () => {
    const page = await context.newPage();
    page.on("pageerror", (error) => assert.fail(error));
    await page.goto(origin);
    await page.evaluate(async () => {
      const { open } = await import("stemma");
      Object.assign(globalThis, { space: await open({ name: "snapshots" }) });
    });
    return page;
  };
}

/** Writes in changesets of their own. */
function write(page: Page, who: string, count: number): Promise<void> {
  return page.evaluate(
    async ({ who, count }) => {
      const [map, text] = [space.getMap("m"), space.getText("t")];
      for (let n = 0; n < count; n += 1) {
        space.transact(() => {
          map.set(`${who} ${n}`, n);
          text.append(`${who} ${n}\n`);
        });
        if (n % 20 === 0) await new Promise((resolve) => setTimeout(resolve));
      }
      await space.flush().saved("local");
    },
    { who, count },
  );
}

const shown = (page: Page) => page.evaluate(() => ({ hash: space.stateHash(), digest: space.viewDigest(), heads: space.heads }));
const compact = (page: Page) => page.evaluate(() => space.compact());

async function together(pages: Page[]): Promise<void> {
  for (const deadline = Date.now() + 60_000; ; ) {
    const heads = await Promise.all(pages.map((page) => page.evaluate(() => space.heads.join())));
    if (new Set(heads).size === 1) return;
    assert.ok(Date.now() < deadline, "the tabs come together");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** How many records each store has. */
const counts = (page: Page): Promise<Record<string, number>> =>
  page.evaluate(async () => {
    const database = await new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open("stemma/snapshots");
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    const count = (store: string) =>
      new Promise<number>((resolve, reject) => {
        const request = database.transaction(store).objectStore(store).count();
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    const found = { tail: await count("tail"), segments: await count("segments"), snapshots: await count("snapshots") };
    database.close();
    return found;
  });

test("tabs that write while others pack and snapshot lose nothing", async (t) => {
  const tab = await tabs(t);
  const [one, two] = [await tab(), await tab()];
  await Promise.all([write(one, "one", 100), write(two, "two", 100)]);
  const [report] = await Promise.all([compact(one), write(two, "more", 60), compact(two)]);
  assert.equal(report.damaged, 0);
  await Promise.all([write(one, "late", 40), compact(two)]);
  await together([one, two]);
  const before = await shown(one);
  assert.deepEqual(await shown(two), before);
  await compact(one);
  const found = await counts(one);
  assert.ok((found["tail"] as number) < 64, `the tail has ${found["tail"]} records`);
  assert.ok((found["segments"] as number) >= 1 && (found["snapshots"] as number) >= 2);

  const three = await tab();
  assert.deepEqual(await shown(three), before);
  const listed = await three.evaluate(async () => {
    const ids = new Set<string>();
    for await (const { id } of space.history()) ids.add(id);
    return [ids.size, space.stats().changesets];
  });
  assert.equal(listed[0], listed[1]);
  await write(three, "three", 5);
  await together([one, two, three]);

  // Without any snapshot the rows, wherever they lie, make the same.
  const last = await shown(three);
  await three.evaluate(async () => {
    await space.close();
    const database = await new Promise<IDBDatabase>((resolve) => {
      const request = indexedDB.open("stemma/snapshots");
      request.onsuccess = () => resolve(request.result);
    });
    const transaction = database.transaction("snapshots", "readwrite");
    transaction.objectStore("snapshots").clear();
    await new Promise((resolve) => (transaction.oncomplete = resolve));
    database.close();
  });
  assert.deepEqual(await shown(await tab()), last);
});
