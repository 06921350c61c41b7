// The whole path: two browsers type offline and online through a relay that is killed in the middle; a third joins by
// invite; all end with the recorded text; nothing readable is in the relay's files.

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import type { BrowserContext, Page } from "playwright-core";
import { type Patch, sequentialTrace } from "../traces.ts";
import { launchBrowser, Relay, servePages } from "./harness.ts";

const { patches, end } = await sequentialTrace();
const browser = await launchBrowser({ after });
const origin = await servePages({ after });

async function profile(): Promise<[BrowserContext, Page]> {
  const context = await browser.newContext();
  after(() => context.close());
  return [context, await tab(context)];
}

async function tab(context: BrowserContext): Promise<Page> {
  const page = await context.newPage();
  page.on("pageerror", (error) => assert.fail(error));
  await page.goto(origin);
  return page;
}

/** Opens a space in a page, as the global `space`. */
async function open(page: Page, o: { name: string; relay: string; invite?: string }): Promise<void> {
  await page.evaluate(async (o) => {
    const { open } = await import("stemma");
    Object.assign(globalThis, { space: await open(o) });
  }, o);
}

declare const space: import("stemma").Space;

function type(page: Page, name: string, patches: Patch[]): Promise<void> {
  return page.evaluate(
    async ({ name, patches }) => {
      const text = space.getText(name);
      for (let from = 0; from < patches.length; from += 500) {
        for (const [position, deleted, inserted] of patches.slice(from, from + 500)) {
          if (deleted) text.delete(position, deleted);
          if (inserted) text.insert(position, inserted);
        }
        space.flush();
        await new Promise((resolve) => setTimeout(resolve));
      }
    },
    { name, patches },
  );
}

const settled = (page: Page) => page.evaluate(() => space.sync.settled());
const shown = (page: Page) =>
  page.evaluate(() => ({
    paper: space.getText("paper").toString(),
    aside: space.getText("aside of two").toString(),
    facts: space.getMap("facts kept apart").toJSON(),
    hash: space.stateHash(),
    heads: space.heads.join(),
  }));

/** Waits until all pages show the same frontier. */
async function together(pages: Page[]): Promise<void> {
  const deadline = Date.now() + 120_000;
  while (true) {
    await Promise.all(pages.map(settled));
    const heads = await Promise.all(pages.map((page) => page.evaluate(() => space.heads.join())));
    if (new Set(heads).size === 1) return;
    assert.ok(Date.now() < deadline, "the replicas come together");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test("two browsers, offline and back, a relay killed in the middle, a third that joins", async (t) => {
  const relay = await Relay.start(t);
  const [first, one] = await profile();
  const [, two] = await profile();
  await open(one, { name: "e2e", relay: relay.url });
  const invite = await one.evaluate(() => space.invite({ uses: 5 }));
  await open(two, { name: "e2e", relay: relay.url, invite });
  await together([one, two]);

  await two.evaluate(() => space.sync.disconnect());
  const half = patches.length >> 1;
  await Promise.all([
    type(one, "paper", patches.slice(0, half)),
    two.evaluate(() => {
      const facts = space.getMap("facts kept apart");
      space.transact(() => facts.set("the colour of the sky", { is: "blue", since: [1, 2n, null] }), {
        message: "written while nobody could see it",
      });
      space.getText("aside of two").append("what two wrote while offline");
    }),
  ]);
  await relay.kill();
  await type(one, "paper", patches.slice(half, half + 2_000));
  await relay.restart();
  await type(one, "paper", patches.slice(half + 2_000));
  await two.evaluate((url) => space.sync.connect(url), relay.url);
  await together([one, two]);

  const [a, b] = await Promise.all([shown(one), shown(two)]);
  assert.equal(a.paper, end);
  assert.deepEqual(b, a);
  assert.equal(b.aside, "what two wrote while offline");

  await one.close();
  const again = await tab(first);
  await open(again, { name: "e2e", relay: relay.url });
  assert.deepEqual(await shown(again), a);

  const [, three] = await profile();
  await open(three, { name: "e2e", relay: relay.url, invite });
  await together([again, three]);
  assert.deepEqual(await shown(three), a);

  await relay.stop();
  const words = ["colour of the sky", "facts kept apart", "aside of two", "written while nobody", "what two wrote", end.slice(2_000, 2_040), "paper"];
  for (const file of await readdir(relay.folder)) {
    const bytes = await readFile(join(relay.folder, file));
    for (const word of words) {
      for (const form of [Buffer.from(word), Buffer.from(word, "utf16le")]) {
        assert.equal(bytes.indexOf(form), -1, `${file} holds ${JSON.stringify(word)}`);
      }
    }
  }
});
