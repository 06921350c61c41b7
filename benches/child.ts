// One phase of one job for one library, in a process of its own: reads what to do from its arguments, prints the figures.

import "./memory.ts"; // before any library
import { mkdir } from "node:fs/promises";
import { stopwatch } from "./clock.ts";
import type { Context, Job } from "./jobs/job.ts";
import { type Order, traces } from "./order.ts";

const order = JSON.parse(process.argv[2] as string) as Order;
await mkdir(order.folder, { recursive: true });
const context = { ...order, ...(await traces(order)), lap: stopwatch() } as Context;
const job = (await import(`./jobs/${order.job}.ts`)) as Job;
const figures = order.phase === "prepare" ? await job.prepare?.(context) : await job.measure(context);
const names = Object.fromEntries(Object.entries(figures ?? {}).map(([measure, value]) => [measure, value ?? null]));
process.stdout.write(`${JSON.stringify({ trace: context.trace.name, figures: names })}\n`, () => process.exit(0));
