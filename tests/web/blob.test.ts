// Blobs in a browser: 20 MB in IndexedDB, read in another tab, after a reload, and by another member through a relay.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Page } from "playwright-core";
import type { BlobRef } from "stemma";
import { launchBrowser, Relay, servePages } from "./harness.ts";

declare const space: import("stemma").Space;

const browser = await launchBrowser({ after });
const origin = await servePages({ after });

async function load(page: Page, options: { name: string; relay: string; invite?: string }): Promise<void> {
  await page.goto(origin);
  await page.evaluate(async (options) => {
    const { open } = await import("stemma");
    Object.assign(globalThis, { space: await open(options) });
  }, options);
}

/** Reads what is under a key, and hashes it with the browser's own. */
const read = (page: Page) =>
  page.evaluate(async () => {
    const bytes = await space.readBlob(space.getMap("album").get("film") as BlobRef);
    const hash = await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
    return [bytes.length, new Uint8Array(hash).join()];
  });

test("20 MB are stored, sent, and read everywhere", async (t) => {
  const relay = await Relay.start(t);
  const profile = async () => {
    const context = await browser.newContext();
    t.after(() => context.close());
    return context;
  };
  const own = await profile();
  const page = async (context = own) => {
    const page = await context.newPage();
    page.on("pageerror", (error) => assert.fail(error));
    return page;
  };
  const first = await page();
  await load(first, { name: "own", relay: relay.url });
  const expected = await first.evaluate(async () => {
    const bytes = new Uint8Array(20_000_000);
    for (let at = 0; at < bytes.length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
    const ref = await space.blob(bytes);
    await space.transact(() => space.getMap("album").set("film", ref)).saved("relay");
    const hash = await crypto.subtle.digest("SHA-256", bytes);
    return [bytes.length, new Uint8Array(hash).join()];
  });
  const invite = await first.evaluate(() => space.invite());
  const second = await page();
  await load(second, { name: "own", relay: relay.url });
  assert.deepEqual(await read(second), expected);
  await load(first, { name: "own", relay: relay.url });
  assert.deepEqual(await read(first), expected);
  const other = await page(await profile());
  await load(other, { name: "other", relay: relay.url, invite });
  await other.evaluate(() => space.sync.settled());
  assert.deepEqual(await read(other), expected);
});
