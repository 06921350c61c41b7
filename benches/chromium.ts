// One job for one library in a Chromium of its own: the same as child.ts does in Node.

import { launchBrowser, servePages } from "../tests/web/harness.ts";
import { traces, type Order } from "./order.ts";

const ends: (() => Promise<void>)[] = [];
const owner = { after: (end: () => Promise<void>) => void ends.unshift(end) };
const order = JSON.parse(process.argv[2] as string) as Order;
try {
  const { trace } = await traces(order);
  const origin = await servePages(owner, { "/pkg/": "pkg", "/bench/": "target/bench/page", "/peers/": "benches/node_modules", "/": "tests/web/pages" });
  const browser = await launchBrowser(owner);
  const context = await browser.newContext();
  const figures = await (["objects", "space"].includes(order.job) ? stored() : measured());
  const names = Object.fromEntries(Object.entries(figures).map(([measure, value]) => [measure, value ?? null]));
  console.log(JSON.stringify({ trace: trace.name, figures: names }));

  async function page() {
    const page = await context.newPage();
    await page.goto(origin);
    return page;
  }

  async function measured(): Promise<Record<string, number | undefined>> {
    const { job, library, quick } = order;
    return (await page()).evaluate(async (o) => (await import(o.bundle)).measure(o.job, o.library, o.trace, o.quick), { bundle: "/bench/page.js", job, library, trace, quick });
  }

  /** Written in one page, read in the next. */
  async function stored(): Promise<Record<string, number | undefined>> {
    const o = { bundle: "/bench/page.js", job: order.job, trace, quick: order.quick };
    const first = await page();
    await first.evaluate(async (o) => (await import(o.bundle)).prepare(o.job, o.trace, o.quick), o);
    await first.close();
    return (await page()).evaluate(async (o) => (await import(o.bundle)).reopen(o.job, o.trace), o);
  }
} finally {
  for (const end of ends) await end();
}
