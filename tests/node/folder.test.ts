// What can happen to a folder: a crash at any byte, a kill, damage, a second process, a full disk.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type FileHandle, cp, mkdtemp, open, readdir, readFile, rename, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { StemmaError } from "../../ts/errors.ts";
import { FileStorage } from "../../ts/node/file.ts";
import { RELAXED, STRICT, bytes, records, rejects, texts } from "../storage/suite.ts";

async function folder(t: TestContext): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), "stemma-"));
  t.after(() => rm(parent, { recursive: true, force: true }));
  return join(parent, "space");
}

async function opened(dir: string): Promise<FileStorage> {
  const storage = new FileStorage({ dir });
  await storage.open("test");
  return storage;
}

/** The folder as a crash would leave it: copied while it is in use, without the lock of the living. */
async function crashed(dir: string, name: string): Promise<string> {
  const copy = `${dir}-${name}`;
  await cp(dir, copy, { recursive: true });
  await rm(join(copy, "LOCK"));
  return copy;
}

async function state(dir: string): Promise<{ rows: string[]; meta: string[]; torn: number | undefined }> {
  const storage = await opened(dir);
  const found = { rows: texts(await storage.read(0, 1e9)), meta: records(await storage.entries("meta")), torn: storage.torn?.bytes };
  await storage.close();
  return found;
}

test("cut at every byte of its last commits, a log holds the whole ones before and nothing of the cut one", async (t) => {
  const dir = await folder(t);
  const storage = await opened(dir);
  const segment = join(dir, "log/1.seg");
  const ends = [0];
  for (const n of [1, 2, 3]) {
    await storage.commit({ append: [bytes(`row ${n}`)], put: [["meta", "n", bytes(`${n}`)]], delete: [["meta", `${n - 1}`]] }, STRICT);
    ends.push((await stat(segment)).size);
  }
  const length = ends[3] as number;
  for (let cut = 0; cut <= length; cut += 1) {
    const copy = await crashed(dir, `${cut}`);
    await truncate(join(copy, "log/1.seg"), cut);
    const whole = ends.filter((end) => end <= cut).length - 1;
    const expected = { rows: ["row 1", "row 2", "row 3"].slice(0, whole), meta: whole > 0 ? [`n=${whole}`] : [] };
    const torn = cut - (ends[whole] as number);
    assert.deepEqual(await state(copy), { ...expected, torn: torn || undefined }, `cut at ${cut}`);
    if (torn) assert.equal((await readFile(join(copy, "log/1.torn"))).length, torn);
    // It goes on from there.
    const again = await opened(copy);
    assert.deepEqual(await again.commit({ append: [bytes("next")] }, STRICT), [whole + 1]);
    await again.close();
    assert.deepEqual((await state(copy)).rows, [...expected.rows, "next"]);
    await rm(copy, { recursive: true });
  }
  await storage.close();
});

test("a wrong byte in the last frame, or zeros where a frame was to come, are a torn end", async (t) => {
  const dir = await folder(t);
  const storage = await opened(dir);
  const segment = join(dir, "log/1.seg");
  await storage.commit({ append: [bytes("kept")] }, STRICT);
  const end = (await stat(segment)).size;
  await storage.commit({ append: [bytes("torn")] }, RELAXED);
  const length = (await stat(segment)).size;
  for (let at = end; at < length; at += 1) {
    const copy = await crashed(dir, `flip-${at}`);
    await change(join(copy, "log/1.seg"), at);
    assert.deepEqual((await state(copy)).rows, ["kept"], `byte ${at}`);
    await rm(copy, { recursive: true });
  }
  const zeros = await crashed(dir, "zeros");
  await truncate(join(zeros, "log/1.seg"), length + 100);
  assert.deepEqual(await state(zeros), { rows: ["kept", "torn"], meta: [], torn: 100 });
  await storage.close();
});

test("a bad frame in an older segment is E_STORAGE_LOST: the rest can be read, nothing is written or cut", async (t) => {
  const dir = await folder(t);
  const storage = await opened(dir);
  const large = new Uint8Array(1 << 20).fill(1);
  for (let n = 1; n <= 6; n += 1) await storage.commit({ append: [large, bytes(`row ${n}`)], put: [["meta", "n", bytes(`${n}`)]] }, RELAXED);
  await storage.close();
  assert.deepEqual((await readdir(join(dir, "log"))).sort(), ["1.seg", "2.seg"]);
  await change(join(dir, "log/1.seg"), 3_000_000); // inside the third commit

  const damaged = new FileStorage({ dir });
  const told: StemmaError[] = [];
  damaged.onLost = (error) => told.push(error);
  await damaged.open("test");
  // What a checkpoint stands for is looked at when it is read.
  assert.deepEqual([await damaged.read(12, 1e9), told], [[], []]);
  const small = (await damaged.read(0, 1e9)).filter(([, row]) => row.length < 100);
  assert.deepEqual(told.map((error) => error.code), ["E_STORAGE_LOST"]);
  assert.match(told[0]?.message ?? "", /segment 1 is damaged at byte \d+/);
  assert.deepEqual(texts(small), ["row 1", "row 2", "row 4", "row 5", "row 6"]);
  assert.deepEqual(small.map(([number]) => number), [2, 4, 8, 10, 12]);
  assert.deepEqual(records(await damaged.entries("meta")), ["n=6"]);
  await rejects(damaged.commit({ append: [bytes("more")] }, STRICT), "E_STORAGE_LOST");
  assert.equal(told.length, 1);
  const before = await readFile(join(dir, "log/1.seg"));
  await damaged.close();
  assert.ok(before.equals(await readFile(join(dir, "log/1.seg"))));
});

test("a log that lost what was confirmed is E_STORAGE_LOST, whole segments included", async (t) => {
  const dir = await folder(t);
  const storage = await opened(dir);
  await storage.commit({ append: [bytes("row 1")] }, STRICT);
  await storage.commit({ append: [bytes("row 2")] }, STRICT);
  await storage.close(); // the checkpoint says how far the log is confirmed
  const segment = join(dir, "log/1.seg");
  const whole = await readFile(segment);
  const codes: string[] = [];
  for (const damage of [() => truncate(segment, whole.length - 1), () => truncate(segment, 0), () => change(segment, whole.length - 1), () => rm(segment)]) {
    await writeFile(segment, whole);
    await damage();
    const damaged = await opened(dir);
    await damaged.read(0, 1e9).catch(() => {});
    codes.push(String((await rejects(damaged.commit({ append: [bytes("x")] }, STRICT)))["code"]));
    await damaged.close();
  }
  assert.deepEqual(codes, Array(4).fill("E_STORAGE_LOST"));
});

test("a checkpoint that is missing, old or malformed costs nothing", async (t) => {
  const dir = await folder(t);
  let storage = await opened(dir);
  await storage.commit({ append: [bytes("a")], put: [["meta", "x", bytes("1")], ["meta", "gone", bytes("1")]] }, STRICT);
  await storage.close();
  const old = await readFile(join(dir, "small.bin"));
  storage = await opened(dir);
  await storage.commit({ append: [bytes("b")], put: [["meta", "x", bytes("2")]], delete: [["meta", "gone"]] }, STRICT);
  await storage.close();
  const expected = { rows: ["a", "b"], meta: ["x=2"], torn: undefined };
  for (const content of [old, bytes(""), bytes("not a checkpoint at all"), undefined]) {
    await (content ? writeFile(join(dir, "small.bin"), content) : rm(join(dir, "small.bin")));
    assert.deepEqual(await state(dir), expected);
  }
});

test("after kill -9 every confirmed commit is there, none is half there", async (t) => {
  const dir = await folder(t);
  let confirmed = 0;
  for (let round = 0; round < 5; round += 1) {
    const child = writer(t, dir);
    const lines = createInterface({ input: child.stdout ?? process.stdin })[Symbol.asyncIterator]();
    assert.equal((await lines.next()).value, "open");
    let last = 0;
    while (last < 20 + round * 7) last = Number((await lines.next()).value);
    child.kill("SIGKILL");
    await once(child, "exit");
    for (let line = await lines.next(); !line.done; line = await lines.next()) last = Number(line.value);
    const storage = await opened(dir);
    const rows = texts(await storage.read(0, 1e9));
    const mine = rows.slice(confirmed);
    assert.ok(mine.length >= last, `${mine.length} rows, ${last} were confirmed`);
    assert.deepEqual(mine.map((row) => row.split(".")[0]), mine.map((_, index) => `row ${index + 1}`));
    assert.deepEqual(records(await storage.entries("actors")), [`tip=${mine.length}`]);
    confirmed = rows.length;
    await storage.close();
  }
});

test("a second process is refused while the first lives, and let in when it is dead", async (t) => {
  const dir = await folder(t);
  const child = writer(t, dir, "hold");
  assert.equal(await firstLine(child), "open");
  const blocked = await rejects(new FileStorage({ dir }).open("test"), "E_STORAGE_BLOCKED");
  assert.match(String(blocked["message"]), new RegExp(`process ${child.pid} `));
  await rejects(new FileStorage({ dir }).destroy(), "E_STORAGE_BLOCKED");
  child.kill("SIGKILL");
  await once(child, "exit");
  const storage = await opened(dir);
  await rejects(opened(dir), "E_STORAGE_BLOCKED"); // in the same process as well
  assert.equal(await firstLine(writer(t, dir, "hold")), "E_STORAGE_BLOCKED");
  await storage.close();
  assert.deepEqual((await readdir(dir)).filter((name) => name.startsWith("LOCK")), []);
});

test("of several processes that find a stale lock one gets the folder", async (t) => {
  const dir = await folder(t);
  await (await opened(dir)).close();
  await writeFile(join(dir, "LOCK"), "4194305\n1\n"); // above every process number
  const children = Array.from({ length: 4 }, () => writer(t, dir, "hold"));
  const lines = await Promise.all(children.map(firstLine));
  assert.deepEqual(lines.sort(), ["E_STORAGE_BLOCKED", "E_STORAGE_BLOCKED", "E_STORAGE_BLOCKED", "open"]);
});

test("the lock of a process whose number came round again is stale", async (t) => {
  const dir = await folder(t);
  await (await opened(dir)).close();
  await writeFile(join(dir, "LOCK"), `${process.pid}\n1\n`);
  await (await opened(dir)).close();
});

test("a folder that was taken away under the store is not written to", async (t) => {
  const dir = await folder(t);
  const storage = await opened(dir);
  await storage.commit({ append: [bytes("a")] }, STRICT);
  await rename(join(dir, "LOCK"), join(dir, "LOCK.away"));
  await rejects(storage.commit({ append: [bytes("b")] }, STRICT), "E_STORAGE_LOST");
  await storage.close();
});

test("a full disk is E_STORAGE_QUOTA: the half written commit is taken back, and the next one fits", async (t) => {
  const dir = await folder(t);
  const storage = await opened(dir);
  await storage.commit({ append: [bytes("a")] }, STRICT);
  const { size: length } = await stat(join(dir, "log/1.seg"));
  const handles = await handlePrototype(dir);
  const whole = handles.write;
  const write = t.mock.method(handles, "write", async function (this: FileHandle, frame: Uint8Array) {
    await Reflect.apply(whole, this, [frame, 0, 5, (await this.stat()).size]);
    throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
  });
  const error = await rejects(storage.commit({ append: [bytes("b")], put: [["meta", "x", bytes("1")]] }, STRICT), "E_STORAGE_QUOTA");
  assert.equal(error["retryable"], true);
  assert.equal(write.mock.callCount(), 1);
  assert.equal((await stat(join(dir, "log/1.seg"))).size, length);
  write.mock.restore();
  assert.deepEqual(records(await storage.entries("meta")), []);
  assert.deepEqual(await storage.commit({ append: [bytes("c")] }, STRICT), [2]);
  await storage.close();
  assert.deepEqual(await state(dir), { rows: ["a", "c"], meta: [], torn: undefined });
});

test("a disk that does not confirm is E_STORAGE_LOST, once and for all", async (t) => {
  const dir = await folder(t);
  const storage = await opened(dir);
  const told: string[] = [];
  storage.onLost = (error) => told.push(error.code);
  const sync = t.mock.method(await handlePrototype(dir), "datasync", async () => {
    throw Object.assign(new Error("i/o error"), { code: "EIO" });
  });
  await rejects(storage.commit({ append: [bytes("a")] }, STRICT), "E_STORAGE_LOST");
  sync.mock.restore();
  await rejects(storage.commit({ append: [bytes("b")] }, STRICT), "E_STORAGE_LOST");
  assert.deepEqual(told, ["E_STORAGE_LOST"]);
  await storage.close();
});

test("only the owner can read it", async (t) => {
  const dir = await folder(t);
  const storage = await opened(dir);
  await storage.commit({ append: [bytes("a")] }, STRICT);
  const modes = async (): Promise<string[]> =>
    Promise.all(["", "log", "LOCK", "log/1.seg"].map(async (name) => ((await stat(join(dir, name))).mode & 0o777).toString(8)));
  assert.deepEqual(await modes(), ["700", "700", "600", "600"]);
  await storage.close();
  assert.equal((await stat(join(dir, "small.bin"))).mode & 0o777, 0o600);
});

test("a path that cannot be a folder is E_STORAGE_UNAVAILABLE", async (t) => {
  const dir = await folder(t);
  await writeFile(dir, "a file");
  await rejects(new FileStorage({ dir }).open("test"), "E_STORAGE_UNAVAILABLE");
  await rejects(new FileStorage({ dir: join(dir, "below") }).open("test"), "E_STORAGE_UNAVAILABLE");
});

test("destroying leaves what is not ours, and works unopened and twice", async (t) => {
  const dir = await folder(t);
  const storage = await opened(dir);
  await storage.commit({ append: [bytes("a")] }, STRICT);
  await storage.close();
  await writeFile(join(dir, "notes.txt"), "mine");
  await new FileStorage({ dir }).destroy();
  assert.deepEqual(await readdir(dir), ["notes.txt"]);
  await rm(join(dir, "notes.txt"));
  await new FileStorage({ dir }).destroy();
  await assert.rejects(stat(dir), { code: "ENOENT" });
  await new FileStorage({ dir }).destroy();
});

/** What every open file of this process inherits from. */
async function handlePrototype(dir: string): Promise<FileHandle> {
  const file = await open(dir, "r");
  await file.close();
  return Object.getPrototypeOf(file);
}

function writer(t: TestContext, dir: string, mode = ""): ChildProcess {
  const [hooks, script] = ["../../scripts/typescript.mjs", "../storage/writer.ts"].map((path) => fileURLToPath(new URL(path, import.meta.url)));
  const child = spawn(process.execPath, ["--import", hooks ?? "", script ?? "", dir, mode], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  return child;
}

async function firstLine(child: ChildProcess): Promise<string> {
  const [line] = await once(createInterface({ input: child.stdout ?? process.stdin }), "line");
  return line;
}

async function change(path: string, at: number): Promise<void> {
  const file = await open(path, "r+");
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  byte[0] = (byte[0] as number) ^ 0x40;
  await file.write(byte, 0, 1, at);
  await file.close();
}

test("what is read while the log is packed is what was written", async (t) => {
  const storage = await opened(await folder(t));
  const rows = Array.from({ length: 60 }, (_, n) => `row ${n}`);
  for (const [n, row] of rows.entries()) {
    await storage.commit({ append: [bytes(row)], put: [["snapshots", `${n % 3}`, new Uint8Array(50_000).fill(n)]] }, RELAXED);
  }
  let isPacked = false;
  const packing = storage.pack().then(() => (isPacked = true));
  const reads: ReturnType<FileStorage["read"]>[] = [];
  while (!isPacked) {
    reads.push(storage.read(0, 1e9));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await packing;
  for (const read of reads) assert.deepEqual(texts(await read), rows);
  await storage.close();
});

test("packing leaves no draft in the folder that was sealed or written over, and every row", async (t) => {
  const dir = await folder(t);
  const storage = await opened(dir);
  const draft = (actor: string, n: number) => bytes(`draft ${actor}${n}. `.padEnd(60_000, "."));
  for (let n = 0; n < 12; n += 1) {
    for (const actor of ["a", "b"]) await storage.commit({ put: [["drafts", actor, draft(actor, n)]] }, RELAXED);
    // That of one is sealed each time, that of the other goes on.
    await storage.commit({ append: [bytes(`row ${n}`)], delete: [["drafts", "a"]] }, STRICT);
  }
  const found = async () => {
    const names = await readdir(dir, { recursive: true, withFileTypes: true });
    const files = names.filter((entry) => entry.isFile()).map((entry) => readFile(join(entry.parentPath, entry.name), "latin1"));
    const all = (await Promise.all(files)).join("\n");
    return [...new Set([...all.matchAll(/draft ([ab]\d+)\./g)].map(([, which]) => which as string))].sort();
  };
  assert.equal((await found()).length, 24, "each was written into the log");
  await storage.pack();
  assert.deepEqual(await found(), ["b11"]);
  assert.deepEqual(texts(await storage.read(0, 1e9)), Array.from({ length: 12 }, (_, n) => `row ${n}`));
  await storage.close();
  const again = await opened(dir);
  assert.deepEqual((await again.entries("drafts")).map(([actor, value]) => [actor, value.length]), [["b", 60_000]]);
  assert.deepEqual(texts(await again.read(0, 1e9)).length, 12);
  await again.close();
  assert.deepEqual(await found(), ["b11"]);
});
