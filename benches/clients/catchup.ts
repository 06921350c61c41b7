// A browser that was away: 20,000 changesets of a relay are verified, decrypted, applied and stored in Chromium.

import { WebSocket } from "ws";
import { launchBrowser, Relay, servePages } from "../../tests/web/harness.ts";
import { openSpace } from "../stemma.ts";
import { expect } from "../jobs/job.ts";
import { add, quantiles } from "./figures.ts";

const LOAD = "catch-up in Chromium";

export async function catchup(owner: Owner, quick: boolean): Promise<void> {
  const count = quick ? 1_000 : 20_000;
  const relay = await Relay.start(owner, ["--rows-per-second", "1000000", "--rows-burst", "1000000"]);
  const space = await openSpace({ relay: relay.url, webSocket: WebSocket as unknown as typeof globalThis.WebSocket });
  const text = space.getText("text");
  for (let at = 0; at < count; at++) {
    space.transact(() => text.append(`${at} `));
    if (at % 1_000 === 0) await space.flush().saved("local");
  }
  await space.flush().saved("relay");
  const invite = await space.invite();
  const [hash, shown] = [space.stateHash(), text.toString()];
  await space.close();

  const browser = await launchBrowser(owner);
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(await servePages(owner));
  await page.evaluate(async () => void (await import("stemma")));
  await browser.startTracing(page, { categories: ["toplevel", "devtools.timeline", "blink.user_timing"] });
  const found = await page.evaluate(run, { invite, relay: relay.url, count });
  const events = JSON.parse((await browser.stopTracing()).toString()).traceEvents as Event[];
  expect("state hash", found.hash, hash);
  expect("text", found.text, shown);
  add(LOAD, "changesets", count, "");
  add(LOAD, "verified, decrypted and applied", found.applied, "ms");
  add(LOAD, "and stored", found.stored, "ms");
  const marks = events.filter(({ name }) => name.startsWith("catch-up "));
  const thread = marks[0] as Event;
  const [from, to] = ["catch-up begins", "catch-up ends"].map((name) => marks.find((mark) => mark.name === name)?.ts ?? 0) as [number, number];
  const isTask = (event: Event) => event.name === "RunTask" || event.name === "ThreadControllerImpl::RunTask";
  const here = events.filter((event) => isTask(event) && event.pid === thread.pid && event.tid === thread.tid && event.ts >= from && event.ts <= to);
  // As long as the thread ran: what other programs took of its core is not in it.
  const tasks = here.map(({ tdur = 0 }) => tdur / 1_000);
  add(LOAD, "processor time of the main thread", tasks.reduce((sum, ms) => sum + ms, 0), "ms");
  quantiles(LOAD, "tasks of the main thread", tasks);
  quantiles(LOAD, "its tasks above 1 ms", tasks.filter((ms) => ms > 1));
  add(LOAD, "tasks above 50 ms", tasks.filter((ms) => ms > 50).length, "");
  await browser.close();
}

type Owner = Parameters<typeof Relay.start>[0];

interface Event {
  name: string;
  pid: number;
  tid: number;
  ts: number;
  tdur?: number;
}

/** In the page. */
async function run({ invite, relay, count }: { invite: string; relay: string; count: number }) {
  const { open } = await import("stemma");
  const begun = performance.now();
  performance.mark("catch-up begins");
  const space = await open({ name: "catch-up", invite, relay });
  const text = space.getText("text");
  const last = `${count - 1} `;
  const isThere = () => text.toString().endsWith(last);
  await new Promise<void>((done) => {
    const look = () => isThere() && done();
    space.subscribe(look);
    look();
  });
  const applied = performance.now() - begun;
  await space.sync.settled();
  const stored = performance.now() - begun;
  performance.mark("catch-up ends");
  return { applied, stored, hash: space.stateHash(), text: text.toString() };
}
