// What a browser can do to a tab, each with the outcome that is promised: nothing is lost that was said to be saved, nothing is
// shown as saved that is not, and nothing is there twice.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { BrowserContext, Page } from "playwright-core";
import { launchBrowser, type Owner, Relay, servePages } from "./harness.ts";

declare const space: import("stemma").Space;

const browser = await launchBrowser({ after });
const origin = await servePages({ after });

async function profile(t: Owner): Promise<BrowserContext> {
  const context = await browser.newContext();
  t.after(() => context.close());
  return context;
}

async function blank(context: BrowserContext): Promise<Page> {
  const page = await context.newPage();
  page.on("pageerror", (error) => assert.fail(error));
  await page.goto(origin);
  return page;
}

interface Options {
  relay?: string;
  invite?: string;
  batchMs?: number;
}

/** Opens the space in a page as `space`; `told` gathers the codes of what its store has to say. */
async function open(page: Page, o: Options = {}): Promise<void> {
  await page.evaluate(async (o) => {
    const { open } = await import("stemma");
    const told: string[] = [];
    Object.assign(globalThis, { space: await open({ name: "faulty", ...o }), told });
    space.on("storage", ({ code }) => void told.push(code));
  }, o);
}

async function load(context: BrowserContext, o: Options = {}): Promise<Page> {
  const page = await blank(context);
  await open(page, o);
  return page;
}

async function guest(t: Owner, host: Page, relay: Relay): Promise<Page> {
  return load(await profile(t), { relay: relay.url, invite: await host.evaluate(() => space.invite()) });
}

async function until<T>(what: string, read: () => T | Promise<T>, expected: T): Promise<void> {
  for (const deadline = Date.now() + 60_000; ; await new Promise((resolve) => setTimeout(resolve, 20))) {
    const found = await read();
    if (JSON.stringify(found) === JSON.stringify(expected)) return;
    assert.ok(Date.now() < deadline, `${what}: ${JSON.stringify(found)}`);
  }
}

const text = (page: Page) => page.evaluate(() => space.getText("notes").toString());
const told = (page: Page) => page.evaluate(() => (globalThis as unknown as { told: string[] }).told);
const hash = (page: Page) => page.evaluate(() => space.stateHash());
const status = (page: Page) => page.evaluate(() => space.sync.status);
const append = (page: Page, string: string) => page.evaluate((string) => space.getText("notes").append(string), string);
const saved = (page: Page, tier: "local" | "relay") => page.evaluate((tier) => space.flush().saved(tier), tier);

/** What became of a write: that it was saved, or why not. */
const outcome = (page: Page, string: string, tier: "local" | "relay") =>
  page.evaluate(
    async ({ string, tier }) => {
      space.getText("notes").append(string);
      return space
        .flush()
        .saved(tier, { signal: AbortSignal.timeout(20_000) })
        .then(() => "saved", (error: { code?: string; name: string }) => error.code ?? error.name);
    },
    { string, tier },
  );

/** How many drafts are in the database, as any page of the profile finds it. */
const drafts = (page: Page) =>
  page.evaluate(async () => {
    const opening = indexedDB.open("stemma/faulty");
    await new Promise((resolve) => (opening.onsuccess = resolve));
    const counting = opening.result.transaction("drafts").objectStore("drafts").count();
    await new Promise((resolve) => (counting.onsuccess = resolve));
    opening.result.close();
    return counting.result;
  });

test("a tab killed in a flush: all that was typed is there, once", async (t) => {
  const context = await profile(t);
  const witness = await blank(context);
  const drafted = () => drafts(witness);
  let expected = "";
  for (let round = 0; round < 6; round++) {
    const page = await load(context, { batchMs: 60_000 });
    assert.equal(await text(page), expected, `round ${round}`);
    await append(page, `${round}`);
    expected += `${round}`;
    await until("a draft", drafted, 1);
    const session = await context.newCDPSession(page);
    const crashed = page.waitForEvent("crash");
    // The commit is begun in the one message and the process ends in the next, sooner or later behind it.
    session.send("Runtime.evaluate", { expression: `space.flush(); for (const end = performance.now() + ${round * 0.5}; performance.now() < end; );` }).catch(() => {});
    session.send("Page.crash").catch(() => {});
    await crashed;
    await page.close();
  }
  const last = await load(context);
  assert.equal(await text(last), expected);
  const counts = await last.evaluate(async () => {
    const ops: number[] = [];
    for await (const { ops: count } of space.history()) ops.push(count);
    return ops;
  });
  assert.deepEqual(counts, Array(6).fill(1), "each was sealed once");
  assert.deepEqual([await drafted(), await told(last)], [0, []]);
});

test("a duplicated tab: it has the storage of its session, and an actor of its own", async (t) => {
  const context = await profile(t);
  const one = await load(context);
  await one.evaluate(() => sessionStorage.setItem("mine", "1"));
  const [two] = await Promise.all([context.waitForEvent("page"), one.evaluate(() => void window.open(location.href))]);
  two.on("pageerror", (error) => assert.fail(error));
  await two.waitForLoadState();
  assert.equal(await two.evaluate(() => sessionStorage.getItem("mine")), "1");
  await open(two);
  const actors = () => Promise.all([one, two].map((page) => page.evaluate(() => space.actor)));
  const [a, b] = await actors();
  assert.notEqual(a, b);
  await Promise.all([one, two].map((page, at) => page.evaluate((at) => space.transact(() => space.getMap("m").set(`${at}`, at)).saved("local"), at)));
  const shown = (page: Page) => page.evaluate(() => [...space.getMap("m").keys()].sort());
  for (const page of [one, two]) await until("both", () => shown(page), ["0", "1"]);
  // Both reload at once, and claim what is free.
  await Promise.all([one.reload(), two.reload()]);
  await Promise.all([open(one), open(two)]);
  const again = await actors();
  assert.notEqual(again[0], again[1]);
  const faults = await Promise.all([one, two].map((page) => page.evaluate(() => space.stats().forks)));
  assert.deepEqual([faults, await shown(one), await shown(two)], [[0, 0], ["0", "1"], ["0", "1"]]);
});

test("the database deleted while it is open: the tab says so, goes on in memory, and what it writes is saved at the relay alone", async (t) => {
  const relay = await Relay.start(t);
  const context = await profile(t);
  const page = await load(context, { relay: relay.url });
  await append(page, "stored, ");
  await saved(page, "relay");
  const other = await guest(t, page, relay);
  const session = await context.newCDPSession(page);
  await session.send("Storage.clearDataForOrigin", { origin, storageTypes: "indexeddb" });
  assert.equal(await outcome(page, "unstored, ", "local"), "E_STORAGE_LOST");
  assert.ok((await told(page)).includes("E_STORAGE_LOST"));
  assert.equal(await outcome(page, "too", "local"), "E_STORAGE_LOST", "nor is anything later");
  assert.equal(await outcome(page, ".", "relay"), "saved");
  assert.equal(await text(page), "stored, unstored, too.");
  await until("others have all of it", () => text(other), "stored, unstored, too.");
  assert.equal(await hash(other), await hash(page));
  // What the relay has comes back with a link; nothing is made up in its place.
  const link = await page.evaluate(() => space.invite());
  await page.reload();
  await open(page, { relay: relay.url, invite: link });
  await until("it is there again", () => text(page), "stored, unstored, too.");
  assert.deepEqual(await told(page), []);
});

test("no space left: the tab says so and goes on in memory; with room again the next visit has all of it, once", async (t) => {
  const relay = await Relay.start(t);
  const context = await profile(t);
  const page = await blank(context);
  const session = await context.newCDPSession(page);
  // Chromium remembers for a while how much it granted, so the limit comes first.
  await session.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 2_000_000 });
  await open(page, { relay: relay.url, batchMs: 60_000 });
  await append(page, "stored, ");
  await saved(page, "relay");
  const other = await guest(t, page, relay);
  await append(page, "drafted, ");
  await until("a draft", () => drafts(page), 1);
  await page.evaluate(async () => {
    const opening = indexedDB.open("ballast");
    opening.onupgradeneeded = () => opening.result.createObjectStore("b", { autoIncrement: true });
    await new Promise((resolve) => (opening.onsuccess = resolve));
    for (let bytes = 65_536; bytes >= 64; ) {
      const tx = opening.result.transaction("b", "readwrite");
      tx.objectStore("b").add(crypto.getRandomValues(new Uint8Array(bytes)));
      const isIn = await new Promise((resolve) => ((tx.oncomplete = () => resolve(true)), (tx.onabort = () => resolve(false))));
      if (!isIn) bytes /= 2;
    }
    opening.result.close();
  });
  assert.equal(await outcome(page, "unstored", "local"), "E_STORAGE_QUOTA");
  assert.ok((await told(page)).includes("E_STORAGE_QUOTA"));
  assert.equal(await outcome(page, ".", "relay"), "saved");
  await until("others have all of it", () => text(other), "stored, drafted, unstored.");
  await until("the draft is let go of: what was in it is elsewhere", () => drafts(page), 0);
  await session.send("Storage.overrideQuotaForOrigin", { origin });
  await page.reload();
  await open(page, { relay: relay.url });
  await until("the next visit has it", () => text(page), "stored, drafted, unstored.");
  assert.equal(await outcome(page, "!", "local"), "saved");
  assert.deepEqual(await told(page), []);
});

test("a tab that comes back with all it wrote meanwhile: everything is pushed in pieces, and the other side has it all", async (t) => {
  const COUNT = 2_000;
  const relay = await Relay.start(t);
  const page = await load(await profile(t), { relay: relay.url });
  await append(page, "before");
  await saved(page, "relay");
  const other = await guest(t, page, relay);
  await until("live", () => status(other), "live");
  await page.evaluate(() => space.sync.disconnect());
  await page.evaluate(async (count) => {
    const map = space.getMap("m");
    for (let n = 0; n < count; n++) {
      space.transact(() => map.set(`key ${n}`, n));
      if (n % 250 === 0) await space.flush().saved("local");
    }
    await space.flush().saved("local");
  }, COUNT);
  assert.equal(await page.evaluate(() => space.sync.pending), COUNT);
  await page.reload();
  const buffered = await page.evaluate(async (url) => {
    let most = 0;
    const send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (data) {
      send.call(this, data);
      most = Math.max(most, this.bufferedAmount);
    };
    const { open } = await import("stemma");
    Object.assign(globalThis, { space: await open({ name: "faulty", relay: url }), told: [] });
    await space.sync.settled();
    return most;
  }, relay.url);
  assert.ok(buffered > 0 && buffered < 4_000_000, `${buffered} bytes wait in the socket`);
  assert.equal(await page.evaluate(() => space.sync.pending), 0);
  await until("the other side has all", () => other.evaluate(() => space.getMap("m").size), COUNT);
  assert.equal(await hash(other), await hash(page));
});
