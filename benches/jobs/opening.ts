// Saved bytes become a text again, and take a first edit. Also how large they are, and what stays in memory.

import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { benchEngine } from "../engine.ts";
import { load } from "../libraries/index.ts";
import { edit } from "../libraries/library.ts";
import { memory } from "../memory.ts";
import { apply, openSpace } from "../stemma.ts";
import { type Context, expect, type Figures, groups, later } from "./job.ts";

export async function prepare({ library, trace, folder }: Context): Promise<void> {
  if (library === "stemma") {
    await rm(join(folder, "space"), { recursive: true, force: true });
    const space = await openSpace({ storage: { dir: join(folder, "space") } });
    const text = space.getText("text");
    for (const group of groups(trace.patches)) space.transact(() => apply(text, group));
    await space.flush().saved("local");
    await writeFile(join(folder, "export"), await space.export());
    const { compact } = later(space);
    if (compact) await compact.call(space);
    // Without headers and signatures: what a snapshot keeps of the text, before it is sealed.
    const edits = Uint32Array.from(trace.patches.flatMap(([position, deleted, { length }]) => [position, deleted, length]));
    const inserted = trace.patches.map(([, , inserted]) => inserted).join("");
    const saved = (await benchEngine()).savedText(edits, inserted, 100);
    await writeFile(join(folder, "saved"), saved);
    await writeFile(join(folder, "sealed"), new Uint8Array(await crypto.subtle.encrypt(SEALING, await sealingKey("encrypt"), saved)));
    await writeFile(join(folder, "facts"), JSON.stringify({ compacted: Boolean(compact) }));
    return space.close();
  }
  const document = (await load(library)).text({ author: 0, told: () => {}, updates: false });
  for (const group of groups(trace.patches)) await edit(document, group);
  await writeFile(join(folder, "saved"), document.save());
}

export async function measure(context: Context): Promise<Figures> {
  return context.library === "stemma" ? stemma(context) : peer(context);
}

async function stemma({ trace, lap, folder }: Context): Promise<Figures> {
  const dir = join(folder, `run ${process.pid}`);
  await cp(join(folder, "space"), dir, { recursive: true });
  const { compacted } = JSON.parse(await readFile(join(folder, "facts"), "utf8"));
  const empty = await openSpace();
  empty.getText("text").insert(0, "x");
  await empty.flush().saved("local");
  const before = memory();
  lap();
  const space = await openSpace({ storage: { dir } });
  const text = space.getText("text");
  const shown = text.toString();
  text.insert(trace.end.length >> 1, "x");
  await null;
  const opening = lap();
  expect("text", shown, trace.end);
  const grown = memory() - before;
  await Promise.all([space.close(), empty.close()]);
  await rm(dir, { recursive: true });
  const saved = await readFile(join(folder, "saved"));
  return {
    opening: compacted ? opening : undefined,
    ...(await fromBytes({ trace, lap, folder })),
    "opening the log": compacted ? undefined : opening,
    memory: grown,
    "saved, gzip": gzipSync(saved, { level: 9 }).length,
    saved: saved.length,
    exported: (await readFile(join(folder, "export"))).length,
  };
}

/** Beside that: from the bytes that a snapshot keeps of the text, and from the same sealed as a chunk is. */
async function fromBytes({ trace, lap, folder }: Pick<Context, "trace" | "lap" | "folder">): Promise<Figures> {
  const sealed = await readFile(join(folder, "sealed"));
  const engine = await benchEngine();
  engine.savedText(Uint32Array.of(0, 0, 1), "x", 100);
  lap();
  const bytes = new Uint8Array(await crypto.subtle.decrypt(SEALING, await sealingKey("decrypt"), sealed));
  const unsealing = lap();
  const text = new engine.OpenedText(bytes);
  const shown = text.text();
  const isTold = text.insert(trace.end.length >> 1, "x");
  const opening = lap();
  expect("text", shown, trace.end);
  expect("told", isTold, true);
  return { "opening unsealed": opening, "opening sealed": unsealing + opening };
}

const SEALING = { name: "AES-GCM", iv: new Uint8Array(12), additionalData: new Uint8Array(16) };

function sealingKey(usage: "encrypt" | "decrypt"): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", new Uint8Array(32), "AES-GCM", false, [usage]);
}

async function peer({ library, trace, lap, folder }: Context): Promise<Figures> {
  const saved = new Uint8Array(await readFile(join(folder, "saved")));
  const { text: create, load: open } = await load(library);
  const options = { author: 1, told: () => {}, updates: false };
  const empty = create(options);
  await empty.group(() => empty.insert(0, "x"));
  const before = memory();
  lap();
  const document = open(saved, options);
  const shown = document.text();
  await document.group(() => document.insert(trace.end.length >> 1, "x"));
  const opening = lap();
  expect("text", shown, trace.end);
  const grown = memory() - before;
  expect("edited", document.text().length, trace.end.length + 1);
  expect("kept", empty.text(), "x");
  return { opening, memory: grown, "saved, gzip": gzipSync(saved, { level: 9 }).length, saved: saved.length };
}
