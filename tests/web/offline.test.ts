// The service worker of the site: the second visit needs no server and no relay, and a new version takes the place of the old one.

import { strict as assert } from "node:assert";
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import type { Page } from "playwright-core";
import { type Owner, Relay, root, servePages, temporaryFolder } from "./harness.ts";
import { READY, Site, shows, textOf, type } from "./site.ts";

const site = await Site.start({ after });

test("after the first visit the site opens without server and relay, and works", async (t) => {
  const server = ending();
  const relay = await Relay.start(t);
  const origin = await servePages(server.owner, { "/": "www/dist" });
  const { page, context } = await site.visit(t, { origin, path: `/?relay=${relay.url}` });
  await type(page, "ada", "kept ");
  await shows(page, "mallory", "kept ");
  await activated(page);

  await server.end();
  await relay.kill();
  await assert.rejects(fetch(origin));
  await page.reload();
  await page.locator(READY).waitFor();
  for (const pane of ["ada", "ben", "mallory"]) await shows(page, pane, "kept A week in the mountains");
  await type(page, "ben", "offline ");
  await page.click("#direct");
  await shows(page, "ada", "offline kept ");
  await shows(page, "mallory", "offline kept ");

  // The code for the join link is a file of its own, which the first visit did not load.
  await page.click("#join-open");
  await page.locator("#join-code svg").waitFor();

  // Another window, under another address of the page.
  await page.locator("#ben [data-badge=local] b", { hasText: "saved here" }).waitFor();
  const text = await textOf(page, "ben");
  await page.close();
  const again = await context.newPage();
  await again.goto(`${origin}/index.html?relay=${relay.url}`);
  await again.locator(READY).waitFor();
  await shows(again, "ben", "offline kept ");
  assert.equal(await textOf(again, "ben"), text);
});

test("nothing of an address is kept but its path", async (t) => {
  const { page, context } = await site.visit(t);
  await activated(page);
  await page.click("#join-open");
  await page.locator("#join[open]").waitFor();
  const guest = await site.openPage(context, await page.inputValue("#join-link"), []);
  await shows(guest, "ada", "A week in the mountains");
  const kept = await guest.evaluate(async () => {
    const all = [];
    for (const name of await caches.keys()) for (const request of await (await caches.open(name)).keys()) all.push(request.url);
    return all;
  });
  assert.ok(kept.length >= 5);
  for (const url of kept) assert.match(url, /^http:\/\/127\.0\.0\.1:\d+\/(assets\/[\w.-]+)?$/);
});

test("a new version shows at once, and takes over when the old one's windows are gone", async (t) => {
  const folder = await temporaryFolder(t);
  await cp(join(root, "www/dist"), folder, { recursive: true });
  const server = ending();
  t.after(server.end);
  const origin = await servePages(server.owner, { "/": folder });
  const { page, context } = await site.visit(t, { origin });
  await activated(page);
  const [old] = await cacheNames(page);

  const html = join(folder, "index.html");
  await writeFile(html, (await readFile(html, "utf8")).replace(/<title>.*<\/title>/, "<title>Another version</title>"));
  const worker = join(folder, "worker.js");
  const version = old?.split(" ").at(-1) ?? "";
  await writeFile(worker, (await readFile(worker, "utf8")).replace(version, "0123456789abcdef"));
  await page.reload();
  assert.equal(await page.title(), "Another version");
  await until(async () => (await cacheNames(page)).length === 2);
  const url = page.url();
  await page.close();
  // The browser lets the old one go some time after its last window.
  const again = await context.newPage();
  await until(async () => {
    await again.goto("about:blank");
    await new Promise((resolve) => setTimeout(resolve, 100));
    await again.goto(url);
    return (await cacheNames(again)).every((name) => name.endsWith(" 0123456789abcdef"));
  });
  await server.end();
  await again.reload();
  await again.locator(READY).waitFor();
  assert.equal(await again.title(), "Another version");
});

/** Something that ends within a test. */
function ending(): { owner: Owner; end: () => Promise<void> } {
  const ends: (() => Promise<void>)[] = [];
  return { owner: { after: (end) => void ends.push(end) }, end: async () => void (await Promise.all(ends.splice(0).map((end) => end()))) };
}

/** The worker has all files and answers for this page. */
async function activated(page: Page): Promise<void> {
  await page.evaluate(async () => {
    await navigator.serviceWorker.ready;
    if (!navigator.serviceWorker.controller) await new Promise((controlled) => navigator.serviceWorker.addEventListener("controllerchange", controlled));
  });
}

async function cacheNames(page: Page): Promise<string[]> {
  return page.evaluate(() => caches.keys());
}

/** Asks until it is so; the runner's own limit ends what never is. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 50));
}
