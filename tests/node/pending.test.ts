// Edits that are gathered before they go to the engine: whoever looks, whenever, must see what would be there if each had gone
// at once, and errors must come where they are made. Random edits run in two spaces, one of which is made to hand over each.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Change, Delta, SharedCounter, SharedList, SharedMap, SharedSet, SharedText, Space, Value } from "stemma";
import { newFolder, openSpace } from "./ends.ts";
import { type Random, random } from "./random.ts";

const pick = <T>(below: Random, from: readonly T[]): T => from[below(from.length)] as T;

/** One space with what it told. */
interface World {
  space: Space;
  told: unknown[];
  /** Its texts, as whoever only hears of changes knows them. */
  copies: Map<SharedText, Letter[]>;
  /** Makes the engine know of every edit. */
  settle(): void;
}

async function world(t: TestContext, gathers: boolean): Promise<World> {
  const space = await openSpace(t, { batchMs: 60_000 });
  const told: unknown[] = [];
  const copies = new Map<SharedText, Letter[]>();
  space.subscribe((changes) => {
    // Of a text what it reads as afterwards: how often it is told of may differ, and whether before other objects.
    const together = new Map<string, unknown[]>();
    for (const { kind, source, object, delta, keys, origin } of changes as readonly Change[]) {
      if (kind === "text") copies.set(object, applied(copies.get(object) ?? [], delta as Delta));
      const shows = kind === "text" ? copies.get(object) : delta;
      const which = `${kind} ${object.name}`;
      const before = kind === "text" ? [] : (together.get(which) ?? []);
      // Keys come in the order of their secret names.
      together.set(which, [...before, { kind, source, name: object.name, shows, keys: keys && [...keys].sort(), origin }]);
    }
    told.push([...together].sort(([a], [b]) => (a < b ? -1 : 1)));
  });
  return { space, told, copies, settle: gathers ? () => {} : () => void space.role };
}

/** A unit of a text, and its marks. */
type Letter = readonly [unit: string, marks: string];

/** What a copy of a text is after a delta. */
function applied(letters: readonly Letter[], delta: Delta): Letter[] {
  const made: Letter[] = [];
  let at = 0;
  for (const step of delta) {
    if ("insert" in step) made.push(...step.insert.split("").map((unit): Letter => [unit, marksOf({ ...step.attributes })]));
    else if ("delete" in step) at += step.delete;
    else {
      for (const [unit, marks] of letters.slice(at, at + step.retain)) made.push([unit, marksOf({ ...JSON.parse(marks), ...step.attributes })]);
      at += step.retain;
    }
  }
  return [...made, ...letters.slice(at)];
}

function marksOf(attributes: Record<string, unknown>): string {
  const shown = Object.entries(attributes).filter(([, value]) => value !== null);
  return JSON.stringify(Object.fromEntries(shown.sort(([a], [b]) => (a < b ? -1 : 1))));
}

type Step = (world: World) => unknown;

const STRINGS = ["a", "b", "c", "d", " ", "word", "ä", "\u{1f600}", "x\u{1f600}", "\ud83d", "\ude00", "", "a\nlonger line\n"];
const VALUES: readonly Value[] = [0, -0, 1.5, -7, true, false, null, "", "é", "\ud83d", "\u{1f600}", 3n, { a: [1] }, [], new Uint8Array([1])];
const WRONG = [-1, 0.5, Number.NaN, 1e9, 2 ** 31, 2 ** 33, "1", null, undefined];

/** The objects of a space by number: texts (the last one marked), lists, counters, and some under keys. */
const texts: ((space: Space) => SharedText)[] = [
  (space) => space.getText("plain"),
  (space) => space.getText("wide"),
  (space) => space.getText("marked"),
  (space) => space.getMap("map").child("key", "text"),
  (space) => space.getMap("map").child("other", "text"),
];
const lists: ((space: Space) => SharedList)[] = [(space) => space.getList("list"), (space) => space.getMap("map").child("key", "list")];
const counters: ((space: Space) => SharedCounter)[] = [
  (space) => space.getCounter("pn"),
  (space) => space.getCounter("g", { kind: "g" }),
  (space) => space.getMap("map").child("key", "counter"),
];

const maps: ((space: Space) => SharedMap)[] = [
  (space) => space.getMap("keyed"),
  (space) => space.getMap("mixed"),
  (space) => space.getMap("coupled", { couple: [["a", "b"]] }),
  (space) => space.getMap("map").child("key", "map"),
];
const sets: ((space: Space) => SharedSet)[] = [
  (space) => space.getSet("or"),
  (space) => space.getSet("lww", { kind: "lww" }),
  (space) => space.getMap("map").child("key", "set"),
];
const KEYS = ["a", "b", "c", "", "é", "\u{1f600}", "\ud83d", "long".repeat(300), "too long".repeat(600)];

/** A place in a text or a list, mostly where it was edited last, now and then none. */
function place(below: Random, last: { at: number }): (length: number) => number {
  const [kind, share, wrong] = [below(20), below(1_000), pick(below, WRONG)];
  const near = last.at;
  return (length) => {
    if (kind === 0) return wrong as number;
    if (kind < 14) return Math.min(Math.max(near, 0), length);
    return Math.floor(((length + 1) * share) / 1_000);
  };
}

/** Where the last edit of each object ended, for the next one to go on there. */
const ends = new WeakMap<Random, Map<string, { at: number }>>();

function endOf(below: Random, name: string): { at: number } {
  if (!ends.has(below)) ends.set(below, new Map());
  const of = ends.get(below) as Map<string, { at: number }>;
  if (!of.has(name)) of.set(name, { at: 0 });
  return of.get(name) as { at: number };
}

function textStep(below: Random): Step {
  const number = below(texts.length);
  const text = texts[number] as (space: Space) => SharedText;
  const last = endOf(below, `text ${number}`);
  const at = place(below, last);
  switch (below(10)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4: {
      const string = number === 0 ? pick(below, STRINGS.slice(0, 6)) : pick(below, STRINGS);
      const before = last.at;
      last.at += string.length;
      return ({ space }) => text(space).insert(before <= text(space).length ? before : at(text(space).length), string);
    }
    case 5: {
      const string = pick(below, number === 0 ? STRINGS.slice(0, 7) : STRINGS);
      last.at = below(20);
      return ({ space }) => text(space).insert(at(text(space).length), string);
    }
    case 6:
    case 7: {
      const backwards = below(2) === 0;
      if (backwards) last.at = Math.max(0, last.at - 1);
      const from = last.at;
      return ({ space }) => text(space).delete(from, 1);
    }
    case 8: {
      const length = below(8) === 0 ? pick(below, WRONG) : below(4);
      return ({ space }) => text(space).delete(at(text(space).length), length as number);
    }
    default: {
      if (number === 0) return ({ space }) => text(space).append("end");
      const [key, value, attrs] = [pick(below, ["bold", "link"]), pick(below, [true, null, "x"]), below(2) === 0];
      const expand = pick(below, ["after", "before", "both", "none"] as const);
      const cut = below(2);
      if (number !== 2) return ({ space }) => text(space).update(`${text(space)}!`.slice(cut));
      if (attrs) return ({ space }) => text(space).insert(at(text(space).length), "m", { [key]: value });
      return ({ space }) => text(space).mark(0, Math.min(3, text(space).length), key, value, { expand });
    }
  }
}

function listStep(below: Random): Step {
  const number = below(lists.length);
  const list = lists[number] as (space: Space) => SharedList;
  const at = place(below, endOf(below, `list ${number}`));
  const other = place(below, { at: below(10) });
  const values = Array.from({ length: below(4) }, () => (below(3) === 0 ? pick(below, VALUES) : below(100)));
  const n = below(8) === 0 ? pick(below, WRONG) : below(3);
  const wrong = pick(below, WRONG) as number;
  endOf(below, `list ${number}`).at += values.length - 1;
  switch (below(6)) {
    case 0:
      return ({ space }) => list(space).push(...values);
    case 1:
      return ({ space }) => list(space).delete(at(list(space).length), n as number);
    case 2:
      return ({ space }) => list(space).move(at(list(space).length), other(list(space).length));
    case 3:
      return ({ space }) => list(space).insert(wrong, undefined as never);
    default:
      return ({ space }) => list(space).insert(at(list(space).length), ...values);
  }
}

function counterStep(below: Random): Step {
  const counter = pick(below, counters);
  const amount = pick(below, [1, 1, 1, 1, 2, -1, -1, 0, 40, -0, 0.5, 2 ** 40, Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER, "1", undefined]);
  return ({ space }) => void counter(space).add(amount as number);
}

/** A write of a key or an element. */
function keyStep(below: Random): Step {
  const [map, set] = [pick(below, maps), pick(below, sets)];
  const key = pick(below, below(3) === 0 ? KEYS : KEYS.slice(0, 3));
  const value = below(4) === 0 ? pick(below, VALUES) : below(100);
  const element = below(3) === 0 ? pick(below, VALUES) : below(5);
  switch (below(8)) {
    case 0:
      return ({ space }) => void set(space).add(element, value);
    case 1:
    case 2:
      return ({ space }) => void set(space).add(element);
    case 3:
      return ({ space }) => void map(space).set(key, pick(random(5), WRONG) as Value);
    default:
      return ({ space }) => void map(space).set(key, value);
  }
}

/** What else there is to do with keys and elements. */
function keyedStep(below: Random): Step {
  const [map, set] = [pick(below, maps), pick(below, sets)];
  const [key, element] = [pick(below, KEYS.slice(0, 3)), below(5)];
  switch (below(7)) {
    case 0:
      return ({ space }) => map(space).delete(key);
    case 1:
      return ({ space }) => [map(space).get(key), map(space).has(key), map(space).conflicts(key), map(space).size];
    case 2:
      return ({ space }) => [...map(space)];
    case 3:
      return ({ space }) => set(space).delete(element);
    case 4:
      return ({ space }) => [set(space).has(element), set(space).get(element), set(space).size];
    case 5:
      return ({ space }) => [...set(space).entries()];
    default:
      return ({ space }) => void space.getMap("mixed").child(key, "counter").add(1);
  }
}

function readStep(below: Random): Step {
  const [text, list, counter] = [pick(below, texts), pick(below, lists), pick(below, counters)];
  const at = below(8);
  switch (below(9)) {
    case 0:
      return ({ space }) => text(space).toString();
    case 1:
      return ({ space }) => text(space).length;
    case 2:
      return ({ space }) => text(space).toDelta();
    case 3:
      return ({ space }) => list(space).get(at);
    case 4:
      return ({ space }) => list(space).length;
    case 5:
      return ({ space }) => list(space).toJSON();
    case 6:
      return ({ space }) => counter(space).value;
    case 7:
      return ({ space }) => [space.canUndo(), space.canRedo(), space.getMap("map").size];
    default:
      return ({ space }) => everything(space);
  }
}

/** Edits of the map above, which empty what is under its keys, and things that seal. */
function otherStep(below: Random): Step {
  const [key, value] = [pick(below, ["key", "other", "more"]), below(10)];
  switch (below(7)) {
    case 0:
      return ({ space }) => void space.getMap("map").set(key, value);
    case 1:
      return ({ space }) => space.getMap("map").delete(key);
    case 2:
      return ({ space }) => space.undo();
    case 3:
      return ({ space }) => space.redo();
    case 4:
      return ({ space }) => void space.flush();
    case 5:
      return ({ space }) => space.undo({ scope: [pick(random(value), texts)(space)] });
    default:
      return ({ space }) => space.getMap("map").toJSON();
  }
}

function transaction(below: Random, depth: number): Step {
  const next = below(3) === 0 ? () => keyStep(below) : () => step(below, depth + 1);
  const inner = Array.from({ length: below(8) }, next);
  const fails = below(4) === 0;
  const caught = below(2) === 0;
  return (world) => {
    const results: unknown[] = [];
    const run = () =>
      world.space.transact(
        () => {
          for (const one of inner) results.push(outcome(world, one));
          if (fails) throw new Error("thrown inside");
        },
        depth === 0 ? { origin: "o" } : {},
      );
    if (caught) results.push(outcome(world, () => void run()));
    else run();
    return results;
  };
}

function step(below: Random, depth = 0): Step {
  const kind = below(34);
  if (kind < 10) return textStep(below);
  if (kind < 13) return listStep(below);
  if (kind < 16) return counterStep(below);
  if (kind < 20) return readStep(below);
  if (kind < 22 && depth < 3) return transaction(below, depth);
  if (kind < 28) return keyStep(below);
  if (kind < 30) return keyedStep(below);
  if (kind < 32 && depth === 0) return transaction(below, depth);
  return otherStep(below);
}

/** What a step gave, or how it failed. */
function outcome(world: World, step: Step): unknown {
  try {
    return { gave: step(world) };
  } catch (error) {
    const { code, argument, message } = error as { code?: string; argument?: string; message: string };
    return { code, argument, message };
  } finally {
    world.settle();
  }
}

function everything(space: Space): unknown {
  const units = (text: SharedText) => ({ text: text.toString(), length: text.length, delta: text.toDelta() });
  return {
    texts: texts.map((text) => units(text(space))),
    lists: lists.map((list) => [list(space).toJSON(), list(space).length]),
    counters: counters.map((counter) => counter(space).value),
    map: space.getMap("map").toJSON(),
    maps: maps.map((map) => map(space).toJSON()),
    sets: sets.map((set) => [...set(space).entries()]),
  };
}

for (let seed = 1; seed <= 40; seed++) {
  test(`gathered edits are as those that go to the engine one by one, seed ${seed}`, async (t) => {
    t.mock.timers.enable({ apis: ["Date"], now: 1_800_000_000_000 });
    const below = random(seed);
    const worlds = [await world(t, true), await world(t, false)] as const;
    for (let i = 0; i < 250; i++) {
      // A step makes its choices once, and is then taken in both.
      const one = step(below);
      const [gathered, single] = worlds.map((each) => outcome(each, one));
      assert.deepEqual(gathered, single, `step ${i}`);
      if (below(5) === 0) await null;
      if (below(15) === 0) t.mock.timers.tick(below(900));
      if (below(40) === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await new Promise((resolve) => setImmediate(resolve));
    const [gathered, single] = worlds;
    assert.deepEqual(gathered.told, single.told);
    assert.deepEqual(everything(gathered.space), everything(single.space));
    for (const { copies } of worlds) {
      for (const [text, letters] of copies) {
        const shown = text.toDelta().flatMap((step) => ("insert" in step ? applied([], [step]) : []));
        assert.deepEqual(letters, shown, text.name);
      }
    }
    gathered.space.flush();
    single.space.flush();
    const [fewer, all] = [gathered.space.stats(), single.space.stats()];
    assert.equal(fewer.changesets, all.changesets);
    // One fewer where the first addition to a counter also makes a key show it: what is added next goes with the first.
    assert.ok(fewer.ops <= all.ops && fewer.ops > all.ops - 10, `${fewer.ops} of ${all.ops} ops`);
    const copy = await openSpace(t, { invite: await gathered.space.invite() });
    await copy.import(await gathered.space.export());
    assert.deepEqual(everything(copy), everything(gathered.space));
  });
}

test("much that is written in one turn, in one text and in several, is told whole", async (t) => {
  const space = await openSpace(t, { batchMs: 60_000 });
  const [one, other] = [space.getText("one"), space.getText("other")];
  const told = new Map([one, other].map((text) => [text, ""]));
  space.subscribe((changes) => {
    for (const { object, delta } of changes as readonly Change[]) {
      for (const step of delta as Delta) if ("insert" in step) told.set(object as SharedText, told.get(object as SharedText) + step.insert);
    }
  });
  const piece = "0123456789".repeat(100);
  for (const texts of [[one], [one, other]]) {
    for (const text of texts) for (let i = 0; i < 240; i++) text.append(piece);
    await null;
    for (const text of texts) assert.equal(told.get(text), text.toString());
  }
  assert.equal(one.length, 480_000);
});

test("much that is typed in one turn goes over as it is", async (t) => {
  const space = await openSpace(t, { batchMs: 60_000 });
  const [one, other] = [space.getText("one"), space.getText("other")];
  const told: number[] = [];
  other.subscribe((changes) => void told.push(...changes.map(({ delta }) => JSON.stringify(delta).length)));
  one.insert(0, "a");
  for (let i = 0; i < 200_000; i++) other.insert(i, "b");
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([one.length, other.length], [1, 200_000]);
  assert.ok(told.reduce((sum, length) => sum + length, 0) > 200_000);
});

test("closing, flushing and a page that hides lose nothing that was gathered", async (t) => {
  const dir = await newFolder(t);
  const space = await openSpace(t, { name: "kept", storage: { dir } });
  space.getText("text").append("flushed");
  await space.flush().saved("local");
  const { changesets } = space.stats();
  assert.equal(changesets, 1);
  space.getText("text").append(", closed");
  space.getCounter("counter").add(2);
  space.getList("list").push("last");
  space.transact(() => space.getMap("kept").set("k", 1));
  space.getSet("kept too").add("e");
  await space.close();
  for (const edit of [() => space.getText("text"), () => space.flush()]) assert.throws(edit, { code: "E_CLOSED" });
  const again = await openSpace(t, { name: "kept", storage: { dir } });
  assert.deepEqual([`${again.getText("text")}`, again.getCounter("counter").value, again.getList("list").toJSON()], ["flushed, closed", 2, ["last"]]);
  assert.deepEqual([again.getMap("kept").toJSON(), again.getSet("kept too").toJSON()], [{ k: 1 }, ["e"]]);
});

test("whoever may not write, or cannot any more, is told by the edit itself", async (t) => {
  const owner = await openSpace(t);
  const reader = await openSpace(t, { invite: await owner.invite({ role: "reader" }) });
  for (const [space, code] of [[reader, "E_ACCESS"], [owner, "E_CLOSED"]] as const) {
    const [text, list, counter] = [space.getText("text"), space.getList("list"), space.getCounter("counter")];
    const [map, set] = [space.getMap("map"), space.getSet("set")];
    if (space === owner) {
      text.append("a");
      await space.close();
    }
    const edits = [() => text.insert(0, "a"), () => list.push(1), () => counter.add(1), () => map.set("k", 1), () => set.add(1)];
    for (const edit of edits) assert.throws(edit, { code });
    assert.throws(() => space.transact(() => map.set("k", 1)), { code });
  }
});

test("a batch is as old as its first gathered edit", async (t) => {
  const space = await openSpace(t, { batchMs: 500 });
  const text = space.getText("text");
  text.append("a");
  // The thread is busy: nothing is handed over meanwhile.
  const begun = Date.now();
  t.mock.timers.enable({ apis: ["Date", "setTimeout"], now: begun + 400 });
  text.append("b");
  await null;
  t.mock.timers.tick(101);
  assert.equal(space.stats().changesets, 1);
});

/** A text and a list of ten each, with an open batch in one replica; `arrive` deletes most of both in another, and returns once that waits. */
async function waiting(t: TestContext) {
  const ann = await openSpace(t, { batchMs: 60_000 });
  const [text, list] = [ann.getText("t"), ann.getList("l")];
  text.append("0123456789");
  list.push(..."0123456789");
  const bob = await openSpace(t, { invite: await ann.invite() });
  const { port1, port2 } = new MessageChannel();
  t.after(() => (port1.close(), port2.close()));
  ann.sync.attach(port1);
  bob.sync.attach(port2);
  ann.flush();
  const turn = () => new Promise((resolve) => setTimeout(resolve, 1));
  while (bob.getText("t").length < 10 || bob.getList("l").length < 10) await turn();
  const arrive = async () => {
    const stored = async () => (await ann.doctor()).rows.changesets;
    const before = await stored();
    bob.transact(() => (bob.getText("t").delete(0, 8), bob.getList("l").delete(0, 8)));
    while ((await stored()) === before) await turn();
    assert.equal(text.toString(), "0123456789A");
  };
  return { ann, text, list, arrive, turn };
}

test("what arrives in the middle of a batch moves no place of the transaction that follows", async (t) => {
  const { ann, text, list, arrive, turn } = await waiting(t);
  text.append("A"); // the batch is open
  await arrive();
  ann.transact(() => (text.insert(11, "B"), text.delete(9, 1), text.insert(1, "C"), list.delete(9, 1), list.insert(1, "C")));
  assert.equal(text.toString(), "0C12345678AB");
  text.insert(12, "D"); // still in the same turn
  await turn();
  ann.flush();
  while (text.length > 5) await turn();
  assert.equal(text.toString(), "C8ABD");
  assert.deepEqual(list.toJSON(), ["C", "8"]);
});

test("nor one that an anchor or a question is about", async (t) => {
  const { ann, text, arrive, turn } = await waiting(t);
  text.append("A");
  await arrive();
  const anchor = text.anchor(11, -1); // beside what is open, which is sealed for it
  assert.deepEqual([text.position(anchor), text.length], [11, 11]);
  assert.equal(ann.why(text, 10)?.member, ann.me);
  while (text.length > 3) await turn(); // it waits no longer
  assert.deepEqual([text.toString(), text.position(anchor)], ["89A", 3]);
});

test("a question about a letter seals what is open, and lets nothing in", async (t) => {
  const { ann, text, arrive, turn } = await waiting(t);
  text.append("A");
  await arrive();
  assert.equal(ann.why(text, 10)?.status, "shows");
  assert.equal(text.length, 11);
  while (text.length > 3) await turn();
});
