/** The upkeep of a space's store: what is in it, and making it quick to open. */

import type { SpaceCore } from "./core.js";
import { throwIfAborted } from "./errors.js";
import { PAGE_BYTES } from "./rows.js";
import type { Unreached } from "./snapshots.js";
import { freeze } from "./value.js";
import { abortable } from "./waiters.js";

/** What is in the store of a space. */
export interface Report {
  /** Changesets stored, as rows, some of them perhaps twice; and the bytes they take. */
  readonly rows: { readonly changesets: number; readonly bytes: number };
  /** The snapshot that the next opening begins with, if there is one. */
  readonly snapshot?: { readonly records: number; readonly bytes: number };
  /** Stored changesets that no signature vouches for, or that only a newer version can read. They are kept. */
  readonly unknown: number;
  /**
   * Stored rows that do not decode, or lost a part, and places of the store where records are lost. They are kept; what is shown of
   * them all the same, for a snapshot has it, is stored again by {@link Space.import} of a backup.
   */
  readonly damaged: number;
  /** Records that nothing counts on: {@link Space.compact} removes them. */
  readonly unreached: readonly Unreached[];
}

/** Reads the whole store. */
export async function examine(core: SpaceCore, signal?: AbortSignal): Promise<Report> {
  throwIfAborted(signal);
  const { storage } = core;
  const [rows, faults] = [{ changesets: 0, bytes: 0 }, { unknown: 0, damaged: 0 }];
  for (let after = 0; ; ) {
    const page = await abortable(storage.read(after, PAGE_BYTES), signal);
    const last = page.at(-1);
    if (!last) break;
    after = last[0];
    const [known = 0, unknown = 0, damaged = 0] = core.pump.read((engine) => engine.examine(page));
    for (const [, record] of page) rows.bytes += record.length;
    rows.changesets += known + unknown + damaged;
    faults.unknown += unknown;
    faults.damaged += damaged;
  }
  faults.damaged += storage.damage?.() ?? 0;
  const unreached = await abortable(core.snapshots.unreached(), signal);
  const lost = new Set(unreached.map(({ key }) => key));
  const kept = (await abortable(storage.entries("snapshots"), signal)).filter(([key]) => !lost.has(key));
  const bytes = kept.reduce((sum, [, value]) => sum + value.length, 0);
  const snapshot = kept.length > 0 ? { snapshot: { records: kept.length, bytes } } : {};
  return freeze({ rows, ...snapshot, ...faults, unreached });
}

/** Makes a snapshot, joins rows, removes what nothing counts on. */
export async function compact(core: SpaceCore, signal?: AbortSignal): Promise<Report> {
  throwIfAborted(signal);
  await abortable(core.snapshots.whole(), signal);
  await abortable(core.commits.idle(), signal);
  const before = await abortable(core.snapshots.unreached(), signal);
  await abortable(core.snapshots.make(), signal);
  await abortable(core.snapshots.clear(before), signal);
  return examine(core, signal);
}
