// Rows of other tabs: they are asked for as long as some can come in, and no longer.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Residence } from "../../ts/home.ts";
import type { Pump } from "../../ts/pump.ts";
import type { Engine } from "../../ts/replica.ts";
import { Rows } from "../../ts/rows.ts";

/** An engine that has so many slices to integrate, and none of them while a batch is open. */
function world(slices: number) {
  const asked = { times: 0, isOpen: false };
  const engine = {
    loadTail: () => {},
    finishLoad: () => (asked.times++, asked.isOpen ? slices > 0 : --slices > 0),
    pendingEdits: () => asked.isOpen,
  } as unknown as Engine;
  const pump = { isOpen: true, post: (work: (engine: Engine) => void) => work(engine) } as unknown as Pump;
  const storage = { read: async () => [] };
  const residence = { engine, storage, lastRow: 0, tabs: {} } as unknown as Residence;
  return { asked, rows: new Rows(pump, residence, assert.fail, () => {}) };
}

test("what can come in is integrated slice by slice", async () => {
  const { asked, rows } = world(3);
  await rows.caughtUp();
  assert.equal(asked.times, 3);
});

test("while a batch is open the engine is not asked again and again", async () => {
  const { asked, rows } = world(3);
  asked.isOpen = true;
  await rows.caughtUp();
  assert.equal(asked.times, 1);
});
