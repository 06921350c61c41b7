// Ledgers, objects that events define and the history that goes on, in a browser with IndexedDB: in two tabs, and after a reload.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Page } from "playwright-core";
import { launchBrowser, servePages } from "./harness.ts";

declare const space: import("stemma").Space;

const browser = await launchBrowser({ after });
const origin = await servePages({ after });

/** Tabs with one space as the global `space`; those that a test begins with go with it. */
async function tabs(t: { after(end: () => Promise<void>): void }, name: string): Promise<() => Promise<Page>> {
  const context = await browser.newContext();
  t.after(() => context.close());
  return async () => {
    const page = await context.newPage();
    page.on("pageerror", (error) => assert.fail(error));
    await load(page, name);
    return page;
  };
}

async function load(page: Page, name: string): Promise<void> {
  await page.goto(origin);
  await page.evaluate(async (name) => {
    const { open } = await import("stemma");
    Object.assign(globalThis, { space: await open({ name }) });
  }, name);
}

async function until<T>(what: string, read: () => Promise<T>, expected: T): Promise<void> {
  for (const deadline = Date.now() + 30_000; ; await new Promise((resolve) => setTimeout(resolve, 20))) {
    const found = await read();
    if (JSON.stringify(found) === JSON.stringify(expected)) return;
    assert.ok(Date.now() < deadline, `${what}: ${JSON.stringify(found)}`);
  }
}

const hash = (page: Page) => page.evaluate(() => space.stateHash());

test("a ledger is paid from in two tabs, a retried command counts once, and a reload finds it to the cent", async (t) => {
  const tab = await tabs(t, "ledger");
  const one = await tab();
  await one.evaluate(() => {
    const house = space.getLedger("house");
    house.open("pot");
    house.open("rent");
    return house.transfer({ to: "pot", amount: 12_34n, memo: "first", command: "order 1" }).saved("local");
  });
  const two = await tab();
  const balances = (page: Page) =>
    page.evaluate(() => ["pot", "rent", undefined].map((account) => space.getLedger("house").balance(account).toString()));
  assert.deepEqual(await balances(two), ["1234", "0", "-1234"]);
  await two.evaluate(() => {
    const house = space.getLedger("house");
    house.transfer({ to: "pot", amount: 12_34n, command: "order 1" });
    return house.transfer({ from: "pot", to: "rent", amount: 10_00n }).saved("local");
  });
  await until("the other tab reads it", () => balances(one), ["234", "1000", "-1234"]);
  await one.evaluate(() => {
    const house = space.getLedger("house");
    const rent = house.entries().find(({ to }) => to === "rent");
    house.dispute(rent?.id ?? "", { reason: "too much" });
    return house.support(rent?.id ?? "").saved("local");
  });
  await until("what is excluded is given back", () => balances(two), ["1234", "0", "-1234"]);
  const before = await hash(one);
  await two.close();
  await load(one, "ledger");
  assert.deepEqual(await balances(one), ["1234", "0", "-1234"]);
  assert.equal(await hash(one), before);
  const entries = () => one.evaluate(() => space.getLedger("house").entries().map(({ status, memo, disputes }) => [status, memo ?? null, disputes.length]));
  assert.deepEqual(await entries(), [["counts", "first", 0], ["hidden", null, 1]]);
});

test("objects that events define read the same in another tab and after a reload", async (t) => {
  const tab = await tabs(t, "events");
  const pages = [await tab(), await tab()] as const;
  const define = (page: Page) =>
    page.evaluate(() => {
      space.define("Photo", { version: 1, apply: (_, { data }) => data as { [key: string]: string } });
      space.define("Renamed", { version: 1, apply: (state, { data }) => ({ name: data as string, former: [...((state["former"] ?? []) as string[]), state["name"] as string] }) });
    });
  const read = (page: Page) => page.evaluate(() => space.read("photo 1") ?? null);
  const [one, two] = pages;
  await Promise.all(pages.map(define));
  await one.evaluate(() => {
    space.create("Photo", { id: "photo 1", data: { name: "DSC_1" } });
    return space.flush().saved("local");
  });
  const name = async (page: Page) => ((await read(page)) as { name?: string } | null)?.name;
  await until("the other tab has it", () => name(two), "DSC_1");
  const { id } = await two.evaluate(async () => {
    space.emit("Renamed", { concerns: "photo 1", data: "Sunset" });
    const write = space.emit("Renamed", { concerns: "photo 1", data: "spam" });
    await write.saved("local");
    return { id: write.id };
  });
  await until("and the first what the other said", () => name(one), "spam");
  await one.evaluate((id) => space.policy.exclude(id).saved("local"), id);
  const expected = { name: "Sunset", id: "photo 1", type: "Photo", former: ["DSC_1"] };
  assert.deepEqual(await read(one), expected);
  const before = await hash(one);
  await two.close();
  await load(one, "events");
  await define(one);
  assert.deepEqual(await read(one), expected);
  assert.equal(await hash(one), before);
  assert.deepEqual(await one.evaluate(() => space.query("Photo").length), 1);
});

test("a live history is told what another tab stores, once", async (t) => {
  const tab = await tabs(t, "history");
  const [one, two] = [await tab(), await tab()];
  await one.evaluate(() => {
    const told: string[] = [];
    Object.assign(globalThis, { told });
    void (async () => {
      for await (const { id } of space.history({ live: true })) told.push(id);
    })().catch(() => {});
  });
  const write = (page: Page, who: string) =>
    page.evaluate((who) => Array.from({ length: 20 }, (_, n) => space.transact(() => space.getMap("m").set(`${who} ${n}`, n)).id), who);
  const ids = [...(await write(two, "two")), ...(await write(one, "one"))].sort();
  const told = () => one.evaluate(() => [...(globalThis as unknown as { told: string[] }).told].sort());
  await until("all of them", told, ids);
});
