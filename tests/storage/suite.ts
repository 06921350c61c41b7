// What every store has to do, as cases that run anywhere: in Node against memory and folders, in a page against
// IndexedDB. No framework is imported, so that a browser can load it.

import type { StorageAdapter, StorageBatch } from "../../ts/storage.ts";

/** One database: `storage()` answers with an object over it that is not open. */
export interface Place {
  storage(): StorageAdapter;
}

export type Case = [name: string, run: (place: Place) => Promise<void>];

export const cases: Case[] = [
  [
    "starts empty",
    async (place) => {
      const storage = await opened(place);
      equal(await storage.entries("meta"), []);
      equal(await storage.read(0, 1000), []);
      await storage.close();
    },
  ],
  [
    "numbers appended records upwards, in order, over several commits",
    async (place) => {
      const storage = await opened(place);
      const first = await storage.commit({ append: [bytes("a"), bytes("b")] }, STRICT);
      const second = await storage.commit({ append: [bytes("c")] }, RELAXED);
      const numbers = [...first, ...second];
      equal(numbers.length, 3);
      check(numbers.every((number, index) => index === 0 || number > (numbers[index - 1] as number)), `${numbers}`);
      equal(texts(await storage.read(0, 1000)), ["a", "b", "c"]);
      equal((await storage.read(0, 1000)).map(([number]) => number), numbers);
      equal(texts(await storage.read(numbers[0] as number, 1000)), ["b", "c"]);
      equal(await storage.read(numbers[2] as number, 1000), []);
      await storage.close();
    },
  ],
  [
    "reads up to a number of bytes, but one record at least",
    async (place) => {
      const storage = await opened(place);
      await storage.commit({ append: ["aaaa", "bbbb", "cccc", "d"].map(bytes) }, RELAXED);
      equal(texts(await storage.read(0, 8)), ["aaaa", "bbbb"]);
      equal(texts(await storage.read(0, 11)), ["aaaa", "bbbb"]);
      equal(texts(await storage.read(0, 12)), ["aaaa", "bbbb", "cccc"]);
      equal(texts(await storage.read(0, 1)), ["aaaa"]);
      equal(texts(await storage.read(0, 0)), ["aaaa"]);
      equal(texts(await storage.read(0, Number.POSITIVE_INFINITY)), ["aaaa", "bbbb", "cccc", "d"]);
      await storage.close();
    },
  ],
  [
    "reads the same after packing, and numbers on",
    async (place) => {
      const storage = await opened(place);
      const other = await opened(place).catch(() => undefined); // a folder has one reader
      const all = Array.from({ length: 300 }, (_, index) => `${index}:`.padEnd(20 + (index % 97), "."));
      let numbers: number[] = [];
      for (let at = 0; at < all.length; at += 50) numbers = await storage.commit({ append: all.slice(at, at + 50).map(bytes) }, RELAXED);
      const large = new Uint8Array(600_000).fill(7);
      for (const key of ["a", "b", "a"]) await storage.commit({ put: [["snapshots", key, large], ["meta", key, bytes(key)]] }, RELAXED);
      await storage.commit({ delete: [["snapshots", "b"]] }, RELAXED);
      const before = await storage.read(0, Number.POSITIVE_INFINITY);
      for (const through of [numbers.at(-1) as number, 0]) {
        await storage.pack?.(through);
        for (const reader of [storage, ...(other ? [other] : [])]) {
          equal(await pages(reader, 1000), before.map(([number, record]) => [number, record.length]));
          const some = texts(await reader.read(numbers[0] as number, 1000));
          check(some.length > 0, "nothing is read");
          equal(some, all.slice(251, 251 + some.length));
        }
      }
      const [next] = await storage.commit({ append: [bytes("next")] }, STRICT);
      check((next as number) > (numbers.at(-1) as number), `${next}`);
      await storage.pack?.(numbers.at(-1) as number);
      await other?.close();
      await storage.close();
      const again = await opened(place);
      equal((await pages(again, 100_000)).at(-1), [next, 4]);
      equal((await pages(again, 100_000)).length, 301);
      equal((await again.entries("snapshots")).map(([key, value]) => [key, value.length]), [["a", 600_000]]);
      equal((await again.entries("meta")).map(([key]) => key), ["a", "b"]);
      await again.close();
    },
  ],
  [
    "writes records anew where they are, packed or not, and numbers on",
    async (place) => {
      const storage = await opened(place);
      const all = Array.from({ length: 200 }, (_, index) => `${index}:`.padEnd(3_000, "."));
      let numbers: number[] = [];
      for (let at = 0; at < all.length; at += 50) numbers = numbers.concat(await storage.commit({ append: all.slice(at, at + 50).map(bytes) }, RELAXED));
      await storage.pack?.(numbers[149] as number);
      await storage.replace?.([]);
      const chosen = [0, 3, 4, 99, 149, 150, 199];
      const anew = (index: number) => `anew ${index}`.repeat(index % 3 === 0 ? 1 : 900);
      await storage.replace?.(chosen.map((index) => [numbers[index] as number, bytes(anew(index))]));
      for (const index of chosen) all[index] = anew(index);
      equal(texts(await whole(storage)), all);
      const [next] = await storage.commit({ append: [bytes("next")] }, STRICT);
      equal(next, (numbers.at(-1) as number) + 1);
      await storage.pack?.(next as number);
      await storage.close();
      const again = await opened(place);
      equal(texts(await whole(again)), [...all, "next"]);
      equal(texts(await again.read(numbers[98] as number, 1)).slice(0, 1), [anew(99)]);
      await again.close();
    },
  ],
  [
    "reads many records page by page, none twice, none missed",
    async (place) => {
      const storage = await opened(place);
      const all = Array.from({ length: 500 }, (_, index) => `${index}:`.padEnd(index % 97, "."));
      for (let at = 0; at < all.length; at += 50) await storage.commit({ append: all.slice(at, at + 50).map(bytes) }, RELAXED);
      const found: string[] = [];
      for (let after = 0; ; ) {
        const page = await storage.read(after, 1000);
        const last = page[page.length - 1];
        if (!last) break;
        found.push(...texts(page));
        after = last[0];
      }
      equal(found, all);
      equal(texts(await storage.read(0, 1e9)), all);
      await storage.close();
    },
  ],
  [
    "keeps records by store and key, sorted",
    async (place) => {
      const storage = await opened(place);
      await storage.commit(
        { put: [["meta", "b", bytes("1")], ["meta", "a", bytes("2")], ["blobs", "b", bytes("3")], ["meta", "ä\u{1f600}", bytes("")]] },
        RELAXED,
      );
      equal(records(await storage.entries("meta")), ["a=2", "b=1", "ä\u{1f600}="]);
      equal(records(await storage.entries("blobs")), ["b=3"]);
      await storage.commit({ put: [["meta", "b", bytes("new")]], delete: [["meta", "a"], ["meta", "never"]] }, STRICT);
      equal(records(await storage.entries("meta")), ["b=new", "ä\u{1f600}="]);
      await storage.close();
    },
  ],
  [
    "has every store",
    async (place) => {
      const storage = await opened(place);
      const names = ["meta", "segments", "snapshots", "keys", "actors", "drafts", "pending", "blobs", "audit"] as const;
      await storage.commit({ put: names.map((name) => [name, "key", bytes(name)]) }, RELAXED);
      for (const name of names) equal(records(await storage.entries(name)), [`key=${name}`]);
      await storage.close();
    },
  ],
  [
    "lets the put win over the delete of the same record, and the last put",
    async (place) => {
      const storage = await opened(place);
      const put: StorageBatch["put"] = [["drafts", "x", bytes("old")], ["drafts", "x", bytes("new")]];
      for (const o of [RELAXED, STRICT]) {
        await storage.commit({ put, delete: [["drafts", "x"]] }, o);
        equal(records(await storage.entries("drafts")), ["x=new"]);
      }
      await storage.close();
    },
  ],
  [
    "keeps everything over closing and opening",
    async (place) => {
      const before = await opened(place);
      const [number] = await before.commit({ append: [bytes("row")], put: [["meta", "space", bytes("genesis")]] }, STRICT);
      await before.commit({ append: [bytes("relaxed")], put: [["keys", "member", bytes("secret")]] }, RELAXED);
      await before.close();
      const after = await opened(place);
      equal(texts(await after.read(0, 1000)), ["row", "relaxed"]);
      equal((await after.read(0, 1000))[0]?.[0], number);
      equal(records(await after.entries("meta")), ["space=genesis"]);
      equal(records(await after.entries("keys")), ["member=secret"]);
      const [next] = await after.commit({ append: [bytes("third")] }, STRICT);
      check((next as number) > (number as number) + 1, `${next} follows ${number}`);
      await after.close();
    },
  ],
  [
    "finishes commits that were begun before closing",
    async (place) => {
      const storage = await opened(place);
      const commits = [1, 2, 3].map((n) => storage.commit({ append: [bytes(`${n}`)], put: [["keys", `${n}`, bytes("k")]] }, RELAXED));
      await storage.close();
      equal((await Promise.all(commits)).length, 3);
      const again = await opened(place);
      equal(texts(await again.read(0, 1000)), ["1", "2", "3"]);
      await again.close();
    },
  ],
  [
    "fails the whole commit when an absent record exists",
    async (place) => {
      const storage = await opened(place);
      const create: StorageBatch = { absent: ["meta", "space"], put: [["meta", "space", bytes("1")]], append: [bytes("row")] };
      equal((await storage.commit(create, STRICT)).length, 1);
      await rejects(storage.commit({ ...create, put: [["meta", "space", bytes("2")], ["meta", "more", bytes("2")]] }, STRICT), "E_STORAGE_EXISTS");
      await rejects(storage.commit({ ...create, delete: [["meta", "space"]] }, RELAXED), "E_STORAGE_EXISTS");
      equal(records(await storage.entries("meta")), ["space=1"]);
      equal(texts(await storage.read(0, 1000)), ["row"]);
      await storage.commit({ absent: ["meta", "other"], append: [bytes("second")] }, RELAXED);
      equal(records(await storage.entries("meta")), ["space=1"]);
      equal(texts(await storage.read(0, 1000)), ["row", "second"]);
      await storage.close();
    },
  ],
  [
    "stores what a view shows, not the buffer behind it, and keeps it when the caller writes on",
    async (place) => {
      const storage = await opened(place);
      const buffer = bytes("....view....");
      await storage.commit({ append: [buffer.subarray(4, 8)], put: [["blobs", "x", buffer.subarray(4, 8)]] }, STRICT);
      buffer.fill(0);
      const [[, record] = []] = await storage.read(0, 1000);
      equal(record?.buffer.byteLength, 4);
      equal(texts(await storage.read(0, 1000)), ["view"]);
      equal(records(await storage.entries("blobs")), ["x=view"]);
      await storage.close();
    },
  ],
  [
    "stores empty values and a megabyte",
    async (place) => {
      const storage = await opened(place);
      const large = Uint8Array.from({ length: 1 << 20 }, (_, index) => index % 251);
      await storage.commit({ append: [bytes(""), large], put: [["snapshots", "s", large], ["snapshots", "none", bytes("")]] }, STRICT);
      const read = await storage.read(0, 1 << 24);
      equal(read.map(([, record]) => record.length), [0, 1 << 20]);
      check(read[1]?.[1].every((byte, index) => byte === index % 251) ?? false, "the megabyte is intact");
      equal((await storage.entries("snapshots")).map(([key, value]) => [key, value.length]), [["none", 0], ["s", 1 << 20]]);
      await storage.close();
    },
  ],
  [
    "answers an empty commit with no numbers",
    async (place) => {
      const storage = await opened(place);
      equal(await storage.commit({}, STRICT), []);
      equal(await storage.commit({ append: [], put: [], delete: [] }, RELAXED), []);
      await storage.close();
    },
  ],
  [
    "keeps concurrent commits apart and whole",
    async (place) => {
      const storage = await opened(place);
      const commits = Array.from({ length: 20 }, (_, index) =>
        storage.commit({ append: [bytes(`${index}a`), bytes(`${index}b`)], put: [["actors", `${index}`, bytes("tip")]] }, { strict: index % 2 === 0 }),
      );
      const numbers = (await Promise.all(commits)).flat();
      equal(new Set(numbers).size, 40);
      const rows = new Map((await storage.read(0, 10_000)).map(([number, row]) => [number, text(row)]));
      for (const [index, commit] of commits.entries()) {
        equal((await commit).map((number) => rows.get(number)), [`${index}a`, `${index}b`]);
      }
      equal((await storage.entries("actors")).length, 20);
      await storage.close();
    },
  ],
  [
    "refuses what is not a batch and writes none of it",
    async (place) => {
      const storage = await opened(place);
      const wrong: [unknown, string][] = [
        [null, "batch"],
        [{ append: "text" }, "append"],
        [{ append: [bytes("a"), "text"] }, "append"],
        [{ append: [bytes("a")], put: [["meta", 1, bytes("b")]] }, "put"],
        [{ append: [bytes("a")], put: [["meta", "k", [1, 2]]] }, "put"],
        [{ append: [bytes("a")], put: [["tail", "k", bytes("b")]] }, "put"],
        [{ append: [bytes("a")], delete: [["nowhere", "k"]] }, "delete"],
        [{ append: [bytes("a")], delete: ["meta"] }, "delete"],
        [{ append: [bytes("a")], absent: ["meta"] }, "absent"],
      ];
      for (const [batch, argument] of wrong) {
        const error = await rejects(storage.commit(batch as StorageBatch, STRICT), "E_ARGUMENT");
        equal(error["argument"], argument);
      }
      await rejects(storage.entries("tail" as "meta"), "E_ARGUMENT");
      equal(await storage.read(0, 1000), []);
      equal(await storage.entries("meta"), []);
      await storage.close();
    },
  ],
  [
    "says that it is closed",
    async (place) => {
      const storage = place.storage();
      await rejects(storage.entries("meta"), "E_CLOSED");
      await storage.open("suite");
      await rejects(storage.open("suite"), "E_ARGUMENT");
      await storage.close();
      await storage.close();
      await rejects(storage.read(0, 1000), "E_CLOSED");
      await rejects(storage.commit({ append: [bytes("a")] }, STRICT), "E_CLOSED");
      await storage.open("suite");
      equal(await storage.read(0, 1000), []);
      await storage.close();
    },
  ],
  [
    "opens nothing under a signal that has fired",
    async (place) => {
      const storage = place.storage();
      const error = await rejects(storage.open("suite", { signal: AbortSignal.abort() }));
      equal(error["name"], "AbortError");
      await rejects(storage.entries("meta"), "E_CLOSED");
    },
  ],
  [
    "destroys everything",
    async (place) => {
      const storage = await opened(place);
      await storage.commit({ append: [bytes("row")], put: [["meta", "space", bytes("1")], ["keys", "k", bytes("2")]] }, STRICT);
      await storage.destroy();
      await rejects(storage.entries("meta"), "E_CLOSED");
      const again = await opened(place);
      equal(await again.entries("meta"), []);
      equal(await again.entries("keys"), []);
      equal(await again.read(0, 1000), []);
      await again.close();
    },
  ],
];

export const STRICT = { strict: true };
export const RELAXED = { strict: false };

export async function opened(place: Place): Promise<StorageAdapter> {
  const storage = place.storage();
  await storage.open("suite");
  return storage;
}

/** All records page by page: number and length. */
/** Everything, as much at a time as the store likes. */
async function whole(storage: StorageAdapter): Promise<[number, Uint8Array][]> {
  const all: [number, Uint8Array][] = [];
  for (let page = await storage.read(0, 1e9); page.length > 0; page = await storage.read((all.at(-1) as [number, Uint8Array])[0], 1e9)) all.push(...page);
  return all;
}

async function pages(storage: StorageAdapter, maxBytes: number): Promise<[number, number][]> {
  const found: [number, number][] = [];
  for (let page; (page = await storage.read(found.at(-1)?.[0] ?? 0, maxBytes)).length > 0; ) {
    found.push(...page.map(([number, record]): [number, number] => [number, record.length]));
  }
  return found;
}

export function bytes(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

export function text(value: Uint8Array): string {
  return new TextDecoder().decode(value);
}

export function texts(read: [number, Uint8Array][]): string[] {
  return read.map(([, record]) => text(record));
}

export function records(entries: [string, Uint8Array][]): string[] {
  return entries.map(([key, value]) => `${key}=${text(value)}`);
}

export function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

export function equal(actual: unknown, expected: unknown): void {
  const [a, b] = [actual, expected].map((value) => JSON.stringify(value));
  check(a === b, `${a} is not ${b}`);
}

/** What the promise was rejected with, which must carry the code. */
export async function rejects(promise: Promise<unknown>, code?: string): Promise<Record<string, unknown>> {
  const thrown = await promise.then(
    () => undefined,
    (thrown: Record<string, unknown>) => thrown,
  );
  if (!thrown) throw new Error(`nothing was thrown, not even ${code}`);
  if (code !== undefined) check(thrown["code"] === code, `${thrown["code"]} (${thrown["message"]}) is not ${code}`);
  return thrown;
}
