// One object with many events: what its reducer costs besides itself, and what is applied again when something changes. What the
// reducer itself costs is measured over the same data by another copy of it, which is as cold as it is at the first read.

import type { EventDefinition, ObjectEvent, ObjectState } from "stemma";
import { openSpace } from "../stemma.ts";
import { type Context, expect, type Figures, later } from "./job.ts";

const EVENTS = 10_000;
const AGAIN = 1_000;

export async function measure({ lap, quick }: Context): Promise<Figures> {
  const count = quick ? EVENTS / 10 : EVENTS;
  const space = await openSpace();
  const { define, policy } = later(space);
  if (!define) return {};
  const calls = { applied: 0 };
  space.define("Add", { fields: { n: { required: true, kind: "integer" }, note: { kind: "string" } }, apply: reducer(calls) });
  const add = (n: number) => space.emit("Add", { concerns: "sum", data: { n, note: `the ${n}th` } });
  const sum = () => space.read("sum")?.["sum"];
  space.create("Sum", { id: "sum" });
  // As 100 events at a time: a changeset for each has to be signed, and costs the reading nothing.
  for (let n = 1; n <= count; n += 100) space.transact(() => Array.from({ length: 100 }, (_, i) => add(n + i)));
  await space.flush().saved("local");
  let expected = (count * (count + 1)) / 2;
  lap();
  const first = sum();
  const firstRead = lap();
  expect("sum", first, expected);
  expect("applied", calls.applied, count);
  const events = Array.from({ length: count }, (_, i) => ({ data: { n: i + 1, note: `the ${i + 1}th` } }));
  const alone = reducer({ applied: 0 });
  let state = {} as ObjectState;
  lap();
  for (const event of events) state = alone(state, event as ObjectEvent, 0) as ObjectState;
  const itself = lap();
  expect("sum of the reducer alone", state["sum"], expected);
  lap();
  for (let i = 0; i < AGAIN; i++) sum();
  const cached = lap() / AGAIN;
  expect("applied again", calls.applied, count);
  add(1);
  space.flush();
  lap();
  const next = sum();
  const appended = lap();
  expect("sum and one", next, (expected += 1));
  expect("applied for it", calls.applied, count + 1);
  const { id, data } = space.events("sum")[count / 2] as unknown as { id: string; data: { n: number } };
  policy.exclude(id);
  lap();
  const without = sum();
  const middle = lap();
  expect("sum without one", without, expected - data.n);
  const kept = Math.floor(count / 2 / 256) * 256;
  expect("applied from the checkpoint on", calls.applied, count + 1 + (count + 2 - kept - 1));
  await space.close();
  return { "first read": firstRead - itself, "its reducer": itself, "read again": cached, "a new last event": appended, "one in the middle": middle };
}

/** A copy of the reducer that no other one is compiled with. */
function reducer(calls: { applied: number }): NonNullable<EventDefinition["apply"]> {
  const source = "return ({ sum = 0 }, { data }) => (calls.applied++, { sum: sum + data.n, note: data.note })";
  return new Function("calls", source)(calls) as NonNullable<EventDefinition["apply"]>;
}
