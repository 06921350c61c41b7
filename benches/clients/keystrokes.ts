// From a key in one browser to the text in another one, through a relay on the same machine.

import { launchBrowser, Relay, servePages } from "../../tests/web/harness.ts";
import { add, pause, quantiles } from "./figures.ts";
import type { Page } from "playwright-core";

const LOAD = "keystroke to keystroke";

/** The age at which the product seals what was typed, with others online. */
const AGE_MS = 200;

export async function keystrokes(owner: Owner, quick: boolean): Promise<void> {
  const count = quick ? 20 : 200;
  const relay = await Relay.start(owner);
  const origin = await servePages(owner);
  // Two browsers, not two tabs of one: each has its own processes and its own disk.
  const [writes, reads] = await Promise.all([0, 1].map(async () => {
    const page = await (await (await launchBrowser(owner)).newContext()).newPage();
    await page.goto(origin);
    await page.setContent(`<script type="importmap">{ "imports": { "stemma": "/pkg/index.js", "stemma/textarea": "/pkg/textarea.js" } }</script><textarea></textarea>`);
    return page;
  })) as [Page, Page];
  const invite = await writes.evaluate(enter, { relay: relay.url });
  await reads.evaluate(enter, { relay: relay.url, invite: invite as string });
  await writes.evaluate(async () => {
    while (space.presence.others.size === 0) await new Promise((done) => setTimeout(done, 50));
  });
  await reads.evaluate(listen);
  await writes.focus("textarea");
  for (let at = 0; at < count; at++) {
    // Each key begins a batch of its own, at no fixed time after the last.
    await pause(AGE_MS * 2 + ((at * 37) % 97));
    await writes.keyboard.press("x");
  }
  await reads.evaluate(async (count) => {
    while (seen.length < count) await new Promise((done) => setTimeout(done, 50));
  }, count);
  const [pressed, arrived] = [await writes.evaluate(() => pressedAt), await reads.evaluate(() => seen)];
  const latencies = arrived.map((at, key) => at - (pressed[key] as number));
  quantiles(LOAD, "latency", latencies);
  add(LOAD, "of it batching age", AGE_MS, "ms");
  const strict = [...(await writes.evaluate(commits)), ...(await reads.evaluate(commits))];
  quantiles(LOAD, "one strict commit of a browser", strict);
}

type Owner = Parameters<typeof Relay.start>[0];

declare const space: import("stemma").Space;
declare const seen: number[];
declare const pressedAt: number[];

/** In a page. */
async function enter(o: { relay: string; invite?: string }): Promise<string> {
  const [{ open }, { bindTextarea }] = await Promise.all([import("stemma"), import("stemma/textarea")]);
  const space = await open({ name: "keys", ...o });
  const area = document.querySelector("textarea") as HTMLTextAreaElement;
  const pressedAt: number[] = [];
  area.addEventListener("keydown", () => pressedAt.push(performance.timeOrigin + performance.now()));
  bindTextarea(area, space.getText("text"));
  space.presence.set({});
  await space.sync.settled();
  Object.assign(globalThis, { space, pressedAt });
  return o.invite === undefined ? space.invite() : "";
}

function listen(): void {
  const seen: number[] = [];
  Object.assign(globalThis, { seen });
  space.getText("text").subscribe(() => seen.push(performance.timeOrigin + performance.now()));
}

/** How long this browser takes to have a little on disk. */
async function commits(): Promise<number[]> {
  const opened = indexedDB.open("measure");
  opened.onupgradeneeded = () => opened.result.createObjectStore("rows", { autoIncrement: true });
  await new Promise((done) => (opened.onsuccess = done));
  const times: number[] = [];
  for (let at = 0; at < 50; at++) {
    const begun = performance.now();
    const transaction = opened.result.transaction("rows", "readwrite", { durability: "strict" });
    transaction.objectStore("rows").add(new Uint8Array(600));
    await new Promise((done) => (transaction.oncomplete = done));
    times.push(performance.now() - begun);
  }
  return times;
}
