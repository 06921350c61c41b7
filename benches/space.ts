// A space that holds a whole trace, in transactions of 100 edits, in a browser's database.

import type { Trace } from "../tests/traces.ts";
import { expect, type Figures, groups, later } from "./jobs/job.ts";
import { apply, openSpace } from "./stemma.ts";

const place = { name: "paper", storage: "indexeddb" } as const;

export async function fill(trace: Trace): Promise<void> {
  const space = await openSpace(place);
  const text = space.getText("text");
  for (const group of groups(trace.patches)) await space.transact(() => apply(text, group)).saved("local");
  const { compact } = later(space);
  if (compact) await compact.call(space);
  await space.close();
}

export async function reopen(trace: Trace, lap: () => number): Promise<Figures> {
  const space = await openSpace(place);
  const shown = space.getText("text").toString();
  const time = lap();
  expect("text", shown, trace.end);
  const isCompacted = Boolean(later(space).compact);
  return { space: isCompacted ? undefined : time, "space with a snapshot": isCompacted ? time : undefined };
}
