// Two browsers without a relay between them: WebRTC, arranged in presence, goes on when the relay is stopped.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import type { BlobRef } from "stemma";
import { launchBrowser, type Owner, Relay, servePages } from "./harness.ts";

declare const space: import("stemma").Space;

/** A page in a browser of its own. Without a name service on the local network an address has to be a number. */
async function page(t: Owner, origin: string, options: { name: string; relay: string; invite?: string }): Promise<Page> {
  const browser = await launchBrowser(t, ["--disable-features=WebRtcHideLocalIpsWithMdns"]);
  const page = await browser.newPage();
  page.on("pageerror", (error) => assert.fail(error));
  await page.goto(origin);
  await page.evaluate(async (options) => {
    const { open } = await import("stemma");
    Object.assign(globalThis, { space: await open(options) });
  }, options);
  return page;
}

async function until<T>(what: string, read: () => Promise<T>, expected: T): Promise<void> {
  for (const deadline = Date.now() + 60_000; ; await new Promise((resolve) => setTimeout(resolve, 20))) {
    const found = await read();
    if (JSON.stringify(found) === JSON.stringify(expected)) return;
    assert.ok(Date.now() < deadline, `${what}: ${JSON.stringify(found)}`);
  }
}

const peers = (page: Page) => page.evaluate(() => space.sync.peers.length);
const text = (page: Page) => page.evaluate(() => space.getText("t").toString());

test("two browsers that met at a relay go on without it", async (t) => {
  const relay = await Relay.start(t);
  const origin = await servePages(t);
  const one = await page(t, origin, { name: "one", relay: relay.url });
  await one.evaluate(() => space.transact(() => space.getText("t").append("met. ")).saved("relay"));
  const two = await page(t, origin, { name: "two", relay: relay.url, invite: await one.evaluate(() => space.invite()) });
  for (const each of [one, two]) {
    await each.evaluate(() => {
      space.presence.set({ here: true });
      Object.assign(globalThis, { end: space.sync.direct() });
    });
  }
  for (const each of [one, two]) await until("connected", () => peers(each), 1);
  const session = await one.evaluate(() => space.presence.session);
  assert.deepEqual(await two.evaluate(() => space.sync.peers), [session]);
  // What is arranged is not shown.
  for (const each of [one, two]) {
    assert.deepEqual(await each.evaluate(() => [space.presence.state, ...[...space.presence.others.values()].map(({ state }) => state)]), [{ here: true }, { here: true }]);
  }

  await relay.kill();
  for (const each of [one, two]) await until("without the relay", () => each.evaluate(() => space.sync.status !== "live"), true);
  await one.evaluate(() => space.transact(() => space.getText("t").append("one. ")).id);
  await until("one to two", () => text(two), "met. one. ");
  await two.evaluate(() => space.transact(() => space.getText("t").append("two. ")).id);
  await until("two to one", () => text(one), "met. one. two. ");
  // Frames of a megabyte, in pieces.
  const expected = await one.evaluate(async () => {
    const bytes = new Uint8Array(5_000_000);
    for (let at = 0; at < bytes.length; at += 50_000) crypto.getRandomValues(bytes.subarray(at, at + 50_000));
    const ref = await space.blob(bytes);
    space.transact(() => space.getMap("m").set("photo", ref));
    return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).join();
  });
  await until("the reference", () => two.evaluate(() => space.getMap("m").has("photo")), true);
  const found = await two.evaluate(async () => {
    const bytes = await space.readBlob(space.getMap("m").get("photo") as BlobRef);
    return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>)).join();
  });
  assert.equal(found, expected);
  await two.evaluate(() => space.presence.update({ word: "hello" }));
  await until("presence", () => one.evaluate(() => [...space.presence.others.values()].map(({ state }) => state["word"] ?? null)), ["hello"]);
  await Promise.all([one, two].map((each) => each.evaluate(() => space.sync.settled())));
  assert.equal(await one.evaluate(() => space.stateHash()), await two.evaluate(() => space.stateHash()));

  await two.evaluate(() => (globalThis as unknown as { end: () => void }).end());
  for (const each of [one, two]) await until("over", () => peers(each), 0);
  await relay.restart();
  for (const each of [one, two]) await each.evaluate(() => space.flush().saved("relay"));
});
