// What of the public API needs a browser: IndexedDB over reloads and tabs, the relay, and pages that lack something.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { BrowserContext, Page } from "playwright-core";
import { launchBrowser, Relay, servePages } from "./harness.ts";

const browser = await launchBrowser({ after });
const origin = await servePages({ after });

async function profile(): Promise<BrowserContext> {
  const context = await browser.newContext();
  after(() => context.close());
  return context;
}

/** A tab in which `space` is open. */
async function tab(context: BrowserContext, o: object = {}): Promise<Page> {
  const page = await blank(context);
  await reopen(page, o);
  return page;
}

async function blank(context: BrowserContext): Promise<Page> {
  const page = await context.newPage();
  page.on("pageerror", (error) => assert.fail(error));
  await page.goto(origin);
  return page;
}

async function reopen(page: Page, o: object = {}): Promise<void> {
  await page.evaluate(async (o) => {
    const { open } = await import("stemma");
    Object.assign(globalThis, { space: await open({ name: "web", ...o }) });
  }, o);
}

/** What `reopen` leaves in the page. */
declare const space: import("stemma").Space;

test("a space is there after a reload, and the same actor goes on", async () => {
  const page = await tab(await profile());
  const before = await page.evaluate(async () => {
    space.getText("t").append("hello");
    await space.transact(() => space.getMap("m").set("k", [1n, new Uint8Array([7])])).saved("local");
    return [space.id, space.me, space.actor, space.stateHash()];
  });
  await page.reload();
  await reopen(page);
  const after = await page.evaluate(() => [space.id, space.me, space.actor, space.stateHash()]);
  assert.deepEqual(after, before);
  assert.deepEqual(await page.evaluate(async () => (await import("stemma")).list()), [
    { name: "web", space: before[0], created: await page.evaluate(async () => (await (await import("stemma")).list())[0]?.created) },
  ]);
});

test("two tabs are linked live, each with an actor of its own, and one goes on with a closed one's", async () => {
  const context = await profile();
  const one = await tab(context);
  const two = await tab(context);
  const actors = [await one.evaluate(() => space.actor), await two.evaluate(() => space.actor)];
  assert.notEqual(actors[0], actors[1]);
  assert.equal(await one.evaluate(() => space.me), await two.evaluate(() => space.me));
  await one.evaluate(() => void space.transact(() => space.getText("t").append("from one. ")));
  await two.waitForFunction(() => space.getText("t").toString() === "from one. ");
  await two.evaluate(() => void space.transact(() => space.getText("t").append("from two.")));
  await one.waitForFunction(() => space.getText("t").toString() === "from one. from two.");
  assert.equal(await one.evaluate(() => space.stateHash()), await two.evaluate(() => space.stateHash()));
  await two.evaluate(() => space.close());
  const three = await tab(context);
  assert.equal(await three.evaluate(() => space.actor), actors[1]);
  assert.equal(await three.evaluate(() => space.getText("t").toString()), "from one. from two.");
});

test("two tabs that make the space at once end with one", async () => {
  const context = await profile();
  const pages = await Promise.all([blank(context), blank(context)]);
  await Promise.all(pages.map((page) => reopen(page)));
  const ids = await Promise.all(pages.map((page) => page.evaluate(() => space.id)));
  assert.equal(ids[0], ids[1]);
});

test("what is open is sealed when the page goes out of sight", async () => {
  const page = await tab(await profile(), { batchMs: 60_000 });
  for (const type of ["pagehide", "blur"]) {
    const sealed = await page.evaluate((type) => {
      const before = space.heads.join();
      space.getText("t").append("x");
      const open = space.heads.join() === before;
      window.dispatchEvent(new Event(type));
      return open && space.heads.join() !== before;
    }, type);
    assert.ok(sealed, type);
  }
});

test("destroy leaves nothing, also of a space that is open in another tab", async () => {
  const context = await profile();
  const page = await tab(context);
  const other = await tab(context);
  const id = await page.evaluate(() => space.id);
  const codes = other.evaluate(() => new Promise<string>((resolve) => space.on("storage", ({ code }) => resolve(code))));
  const left = await page.evaluate(async () => {
    const { destroy, list } = await import("stemma");
    await destroy("web");
    return [await list(), (await indexedDB.databases()).map(({ name }) => name).filter((name) => name !== "stemma")];
  });
  assert.deepEqual(left, [[], []]);
  assert.equal(await codes, "E_STORAGE_LOST");
  await reopen(page);
  assert.notEqual(await page.evaluate(() => space.id), id);
});

test("on an insecure origin the space works, says so, and signs anew on each visit", async () => {
  const context = await profile();
  await context.addInitScript(() => {
    Object.defineProperty(Navigator.prototype, "locks", { get: () => undefined });
    Object.defineProperty(Crypto.prototype, "subtle", { get: () => undefined });
  });
  const page = await tab(context);
  const said = await page.evaluate(async () => {
    const fault = await new Promise<import("stemma").StemmaError>((resolve) => space.on("storage", resolve));
    await space.transact(() => space.getText("t").append("kept")).saved("local");
    return [fault.code, space.actor];
  });
  assert.equal(said[0], "E_UNSUPPORTED");
  await page.reload();
  await reopen(page);
  assert.equal(await page.evaluate(() => space.getText("t").toString()), "kept");
  assert.notEqual(await page.evaluate(() => space.actor), said[1]);
});

test("after a trap the space is read again from IndexedDB", async () => {
  const page = await tab(await profile());
  const end = await page.evaluate(async () => {
    const text = space.getText("t");
    await space.transact(() => text.append("kept")).saved("local");
    const reloaded = new Promise<void>((resolve) => space.subscribe((changes) => changes.some(({ source }) => source === "reload") && resolve()));
    const dive = (): number => space.stateHash().length + dive();
    try {
      dive();
    } catch {
      // It ran out of stack in the engine.
    }
    await reloaded;
    await space.transact(() => text.append(" and more")).saved("local");
    return text.toString();
  });
  assert.equal(end, "kept and more");
  await page.reload();
  await reopen(page);
  assert.equal(await page.evaluate(() => space.getText("t").toString()), "kept and more");
});

test("a policy against WebAssembly is E_CSP", async () => {
  const context = await profile();
  await context.route(`${origin}/`, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, headers: { ...response.headers(), "content-security-policy": "script-src 'self' 'unsafe-inline'" } });
  });
  const page = await context.newPage();
  await page.goto(origin);
  const code = await page.evaluate(async () => {
    const { open } = await import("stemma");
    return open({ name: "csp" }).then(() => "opened", (error: import("stemma").StemmaError) => error.code);
  });
  assert.equal(code, "E_CSP");
});

test("a write is saved at the relay, over its death and return", async (t) => {
  const relay = await Relay.start(t);
  const page = await tab(await profile(), { relay: relay.url });
  await page.evaluate(() => space.transact(() => space.getText("t").append("one")).saved("relay"));
  await page.evaluate(() => space.sync.settled());
  assert.deepEqual(await page.evaluate(() => [space.sync.status, space.sync.pending]), ["live", 0]);
  await relay.kill();
  await page.waitForFunction(() => space.sync.status !== "live");
  assert.equal(await page.evaluate(() => (space.transact(() => space.getText("t").append(" two")), space.sync.pending)), 1);
  await relay.restart();
  await page.evaluate(() => space.flush().saved("relay"));
  assert.equal(await page.evaluate(() => space.sync.pending), 0);
});

test("a link that is used up leaves its newcomer denied and at work, and a fresh one lets it in", async (t) => {
  const relay = await Relay.start(t);
  const owner = await tab(await profile(), { relay: relay.url });
  await owner.evaluate(() => space.transact(() => space.getText("t").append("owner. ")).saved("relay"));
  const invite = await owner.evaluate(() => space.invite({ uses: 1 }));
  const first = await tab(await profile(), { relay: relay.url, invite });
  await first.evaluate(() => space.sync.settled());
  const second = await tab(await profile(), { relay: relay.url, invite });
  await second.waitForFunction(() => space.sync.status === "denied");
  const refused = await second.evaluate(() =>
    space.transact(() => space.getText("t").append("second. ")).saved("relay").then(() => "saved", (error: import("stemma").StemmaError) => error.code),
  );
  assert.equal(refused, "E_RELAY_REFUSED");
  const fresh = await owner.evaluate(() => space.invite());
  await reopen(second, { relay: relay.url, invite: fresh });
  await second.evaluate(() => space.flush().saved("relay"));
  await owner.waitForFunction(() => space.getText("t").toString().includes("second. "));
  await second.waitForFunction(() => space.getText("t").toString().includes("owner. "));
});

test("what this device could not store is saved at the relay, under the receipt it was given", async (t) => {
  const relay = await Relay.start(t);
  const page = await blank(await profile());
  const codes = await page.evaluate(async (relay) => {
    const { open } = await import("stemma");
    let isFull = false;
    const storage: import("stemma").StorageAdapter = {
      secrets: "plain",
      open: async () => {},
      entries: async () => [],
      read: async () => [],
      async commit({ append = [] }) {
        if (isFull) throw Object.assign(new Error("full"), { code: "E_STORAGE_QUOTA" });
        return append.map((_, i) => i + 1);
      },
      close: async () => {},
      destroy: async () => {},
    };
    const space = await open({ name: "full", storage, relay });
    await space.sync.settled();
    isFull = true;
    const write = space.transact(() => space.getText("t").append("only there"));
    const local = write.saved("local").then(() => "saved", (error: import("stemma").StemmaError) => error.code);
    const atRelay = write.saved("relay").then(() => "saved");
    return [await local, await atRelay, space.getText("t").toString()];
  }, relay.url);
  assert.deepEqual(codes, ["E_STORAGE_QUOTA", "saved", "only there"]);
});
