// The writing of a paper, a hundred times over: what an edit costs at the end of it, its bytes, and opening it.

import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { load } from "../libraries/index.ts";
import { edit } from "../libraries/library.ts";
import { apply, openSpace } from "../stemma.ts";
import { type Context, expect, type Figures, groups, later } from "./job.ts";

const LAST = 26_000;

/** Also measures: typing it once is enough work. */
export async function prepare(context: Context): Promise<void> {
  const { trace, folder, lap } = context;
  const { document, finish } = context.library === "stemma" ? await stemmaAuthor(context) : await peerAuthor(context);
  const early = await type(document, trace.patches.slice(0, LAST), lap);
  await type(document, trace.patches.slice(LAST, -LAST), lap);
  const late = await type(document, trace.patches.slice(-LAST), lap);
  expect("length", document.length(), trace.end.length);
  const figures = { "early edit": (early / LAST) * 1_000, "late edit": (late / LAST) * 1_000, ...(await finish()) };
  await writeFile(join(folder, "figures"), JSON.stringify(figures));
}

export async function measure(context: Context): Promise<Figures> {
  const { folder, library, lap, trace } = context;
  const figures: Figures = JSON.parse(await readFile(join(folder, "figures"), "utf8"));
  const dir = join(folder, `run ${process.pid}`);
  if (library === "stemma") await cp(join(folder, "space"), dir, { recursive: true });
  const saved = library === "stemma" ? undefined : new Uint8Array(await readFile(join(folder, "saved")));
  const peer = saved && (await load(library));
  lap();
  let shown: string;
  if (peer && saved) {
    const document = peer.load(saved, { author: 1, told: () => {}, updates: false });
    shown = document.text();
    await document.group(() => document.insert(trace.end.length >> 1, "x"));
  } else {
    const space = await openSpace({ storage: { dir } });
    shown = space.getText("text").toString();
    space.getText("text").insert(trace.end.length >> 1, "x");
  }
  figures["large opening"] = lap();
  expect("text", shown, trace.end);
  await rm(dir, { recursive: true, force: true });
  return figures;
}

interface Typed {
  type(patches: Context["trace"]["patches"]): Promise<void>;
  length(): number;
}

async function type(document: Typed, patches: Context["trace"]["patches"], lap: () => number): Promise<number> {
  lap();
  await document.type(patches);
  return lap();
}

async function stemmaAuthor({ folder }: Context) {
  const space = await openSpace({ storage: { dir: join(folder, "space") } });
  const text = space.getText("text");
  return {
    document: {
      async type(patches: Context["trace"]["patches"]) {
        for (const group of groups(patches)) await space.transact(() => apply(text, group)).saved("local");
      },
      length: () => text.length,
    },
    async finish(): Promise<Figures> {
      const { compact } = later(space);
      if (compact) await compact.call(space);
      const saved = later(text).export?.() as Uint8Array | undefined;
      const { bytes } = space.stats();
      await space.close();
      return { "large saved": saved?.length, "large exported": bytes };
    },
  };
}

async function peerAuthor({ library, folder }: Context) {
  const document = (await load(library)).text({ author: 0, told: () => {}, updates: false });
  return {
    document: {
      async type(patches: Context["trace"]["patches"]) {
        for (const group of groups(patches)) await edit(document, group);
      },
      length: () => document.text().length,
    },
    async finish(): Promise<Figures> {
      const saved = document.save();
      await writeFile(join(folder, "saved"), saved);
      return { "large saved": saved.length };
    },
  };
}
