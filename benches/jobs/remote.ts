// What several authors wrote at the same time, taken in by one more: each update as it arrives, or all as one batch.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { benchEngine } from "../engine.ts";
import { load } from "../libraries/index.ts";
import { edit } from "../libraries/library.ts";
import { catchingStorage, exportOf, rowOf } from "../rows.ts";
import { apply, openSpace } from "../stemma.ts";
import { readUpdates, writeUpdates } from "../updates.ts";
import { type Context, expect, type Figures } from "./job.ts";
import type { Patch } from "../../tests/traces.ts";

/** One author's replica, while the trace is replayed. */
interface Author {
  edit(patches: readonly Patch[]): Promise<Uint8Array>;
  apply(update: Uint8Array): Promise<void>;
  text(): string;
}

/** Every author's edits on a replica of theirs, which gets what the parents of each edit know before it. */
export async function prepare(context: Context): Promise<void> {
  const { concurrent, folder, library } = context;
  const authors = library === "stemma" ? await stemmaAuthors(context) : await peerAuthors(context);
  const updates: Uint8Array[] = [];
  const known = authors.map(() => new Set<number>());
  for (const { author, parents, patches } of concurrent.edits) {
    const mine = known[author] as Set<number>;
    const replica = authors[author] as Author;
    for (const edit of missing(concurrent.edits, parents, mine)) await replica.apply(updates[edit] as Uint8Array);
    mine.add(updates.length);
    updates.push(await replica.edit(patches));
  }
  await writeUpdates(join(folder, "updates"), updates);
  if (library === "stemma") await writeUpdates(join(folder, "rows"), updates.map(rowOf));
}

/** What of the past of `heads` is not in `known` yet, parents first; it is added. */
function missing(edits: readonly { parents: number[] }[], heads: readonly number[], known: Set<number>): number[] {
  const found: number[] = [];
  const open = [...heads];
  for (let edit; (edit = open.pop()) !== undefined; ) {
    if (known.has(edit)) continue;
    known.add(edit);
    found.push(edit);
    open.push(...(edits[edit]?.parents ?? []));
  }
  return found.sort((a, b) => a - b);
}

async function peerAuthors({ library, concurrent }: Context): Promise<Author[]> {
  const { text } = await load(library);
  return Array.from({ length: concurrent.authors }, (_, author) => {
    const document = text({ author, told: () => {}, updates: true });
    return {
      async edit(patches) {
        await edit(document, patches);
        return document.update().slice();
      },
      apply: async (update) => document.apply(update),
      text: () => document.text(),
    };
  });
}

async function stemmaAuthors({ concurrent, folder }: Context): Promise<Author[]> {
  const first = catchingStorage();
  const owner = await openSpace({ storage: first });
  const invite = await owner.invite({ uses: 1_000 });
  const empty = await owner.export();
  await writeFile(join(folder, "invite"), invite);
  const spaces = [{ space: owner, storage: first }];
  while (spaces.length < concurrent.authors) {
    const storage = catchingStorage();
    spaces.push({ storage, space: await openSpace({ storage, invite }) });
  }
  return spaces.map(({ space, storage }) => {
    const text = space.getText("text");
    return {
      async edit(patches) {
        await space.transact(() => apply(text, patches)).saved("local");
        return exportOf(empty, storage.take());
      },
      async apply(update) {
        await space.import(update);
        storage.take();
      },
      text: () => text.toString(),
    };
  });
}

export async function measure(context: Context): Promise<Figures> {
  const { lap, folder, concurrent, library } = context;
  const updates = await readUpdates(join(folder, "updates"));
  let told = 0;
  const replica = library === "stemma" ? await stemmaReader(folder, () => told++) : await peerReader(context, () => told++);
  lap();
  for (const update of updates) await replica.apply(update);
  const time = lap();
  expect("text", replica.text(), concurrent.end);
  expect("callbacks", told >= updates.length, true);
  const bytes = updates.reduce((sum, { length }) => sum + length, 0) / updates.length;
  if (library !== "stemma") return { remote: time, "remote bytes": bytes };
  return { "remote, verified": time, ...(await opened(context)), "remote bytes": bytes };
}

/** The same rows through the bench-only entry: read, verified and opened at first, then folded, each in a call of its own. */
async function opened({ lap, folder, concurrent }: Context): Promise<Figures> {
  const { Arrivals } = await benchEngine();
  const rows = await readUpdates(join(folder, "rows"));
  const invite = await readFile(join(folder, "invite"), "utf8");
  let told = 0;
  const tell = (splices: number) => (told += splices);
  lap();
  const arrivals = new Arrivals(invite, rows);
  const before = lap();
  for (let row = 0; row < rows.length; row++) tell(arrivals.apply());
  const remote = lap();
  expect("text", arrivals.text(), concurrent.end);
  expect("callbacks", told >= rows.length, true);
  return { "verified and opened": before, remote };
}

async function stemmaReader(folder: string, told: () => void) {
  const space = await openSpace({ invite: await readFile(join(folder, "invite"), "utf8") });
  const text = space.getText("text");
  text.subscribe(told);
  return {
    apply: (update: Uint8Array) => space.import(update) as Promise<unknown>,
    text: () => text.toString(),
  };
}

async function peerReader({ library, concurrent }: Context, told: () => void) {
  const document = (await load(library)).text({ author: concurrent.authors, told, updates: false });
  return { apply: async (update: Uint8Array) => document.apply(update), text: () => document.text() };
}
