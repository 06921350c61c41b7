// A tab with the engine as a global, for tests of the browser edges.

import assert from "node:assert/strict";
import type { BrowserContext, Page } from "playwright-core";

/** Opens a page in which `engine` is the engine's module. An error that nobody catches there fails the test. */
export async function engineTab(context: BrowserContext, origin: string): Promise<Page> {
  const page = await context.newPage();
  page.on("pageerror", (error) => assert.fail(error));
  await page.goto(origin);
  await page.evaluate(async () => {
    const module = await import(String("/engine/engine.js"));
    await module.default({ module_or_path: "/engine/engine.wasm" });
    Object.assign(window, { engine: module });
  });
  return page;
}
