/** Objects that events define, through the public API: the photo story, and what can go wrong. */

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type EventDefinition, type ObjectState, REMOVE, type Space, StemmaError } from "stemma";
import { newFolder, openSpace } from "./ends.ts";

const code = (expected: string, argument?: string) => (error: unknown) =>
  error instanceof StemmaError && error.code === expected && (argument === undefined || error.argument === argument);

/** Two people who meet when they are told to. */
async function pair(t: TestContext): Promise<[Space, Space, meet: () => Promise<void>]> {
  const ada = await openSpace(t);
  const bob = await openSpace(t, { invite: await ada.invite() });
  return [ada, bob, () => meet(ada, bob)];
}

async function meet(a: Space, b: Space): Promise<void> {
  a.flush();
  b.flush();
  await a.import(await b.export());
  await b.import(await a.export());
  assert.deepEqual(a.heads, b.heads);
}

/** A sum, which counts how often it is applied. */
function counted(): { calls: number; definition: EventDefinition } {
  const counter: { calls: number; definition: EventDefinition } = {
    calls: 0,
    definition: {
      fields: { n: { required: true, kind: "integer" } },
      apply: ({ sum = 0 }, { data }) => (counter.calls++, { sum: (sum as number) + data.n }),
    },
  };
  return counter;
}

test("the photo story: create, rename, former names, the object as of last Tuesday, list all, two access levels", async (t) => {
  const now = t.mock.method(Date, "now");
  const day = (date: string) => now.mock.mockImplementation(() => Date.parse(`${date}T12:00:00Z`));
  day("2026-06-29");
  const space = await openSpace(t);
  space.define("PhotoCreate", {
    fields: { name: { required: true, kind: "string" }, image_url: { required: true, kind: "string" }, place: { kind: "string", level: 1 } },
    apply: (_photo, { data }) => data,
  });
  space.define("PhotoModify", { fields: { name: { required: true, kind: "string" } }, apply: (_photo, { data }) => ({ name: data.name }) });
  space.define("PhotoHide", { apply: (_photo, { member }, access) => (access > 0 ? { hiddenBy: member } : { name: null, image_url: REMOVE }) });

  // POST /photos, then POST /events
  assert.equal(space.create("Photo", { id: "123" }), "123");
  assert.deepEqual(space.read("123"), { id: "123", type: "Photo" });
  space.emit("PhotoCreate", { concerns: ["123"], data: { name: "My Original Name", image_url: "", place: "at home" } });
  assert.deepEqual(space.read("123"), { id: "123", type: "Photo", name: "My Original Name", image_url: "" });

  day("2026-07-01");
  space.emit("PhotoModify", { concerns: ["123"], data: { name: "My New Image Name" } });
  assert.deepEqual(space.read("123"), { id: "123", type: "Photo", name: "My New Image Name", image_url: "" });

  // The edit log: all former names, with who and when.
  const log = space.events("123");
  assert.deepEqual(log.map(({ type }) => type), ["Photo", "PhotoCreate", "PhotoModify"]);
  const named = log.filter(({ type }) => type !== "Photo").map(({ data }) => (data as { name: string }).name);
  assert.deepEqual(named, ["My Original Name", "My New Image Name"]);
  assert.deepEqual(log[2], {
    id: log[2]?.id,
    type: "PhotoModify",
    data: { name: "My New Image Name" },
    time: Date.parse("2026-07-01T12:00:00Z"),
    member: space.me,
    actor: space.actor,
    changeset: space.heads[0],
    status: "applied",
  });
  assert.equal(log[2]?.id, `${space.heads[0]}:0`);
  const changesets = [];
  for await (const { id } of space.history({ object: "123" })) changesets.push(id);
  assert.deepEqual(changesets, log.map(({ changeset }) => changeset));

  // As of last Tuesday.
  const tuesday = space.at(new Date("2026-06-30T18:00:00Z"));
  assert.deepEqual(tuesday.read("123"), { id: "123", type: "Photo", name: "My Original Name", image_url: "" });
  assert.equal(tuesday.read("123"), tuesday.read("123"), "the same object every time");
  assert.equal(tuesday.events("123").length, 2);
  assert.equal(space.at(new Date("2026-06-01")).read("123"), undefined);

  // List all.
  space.transact(() => space.emit("PhotoCreate", { concerns: space.create("Photo", { id: "124" }), data: { name: "Boats", image_url: "b" } }));
  const names = (photos: readonly ObjectState[]) => photos.map(({ name }) => name);
  assert.deepEqual(names(space.query("Photo")), ["My New Image Name", "Boats"]);
  assert.deepEqual(names(space.query("Photo", { orderBy: "name" })), ["Boats", "My New Image Name"]);
  assert.deepEqual(names(space.query("Photo", { where: { image_url: "" } })), ["My New Image Name"]);
  assert.deepEqual(names(space.query("Photo", { where: ({ name }) => name !== "Boats", limit: 5 })), ["My New Image Name"]);
  assert.deepEqual(names(space.query("Photo", { orderBy: ["name", "desc"], limit: 1 })), ["My New Image Name"]);
  assert.deepEqual(space.query("Album"), []);
  assert.deepEqual(names(tuesday.query("Photo")), ["My Original Name"]);

  // Two access levels: of fields, and of what a reducer shows.
  assert.equal(space.read("123", { access: 1 })?.["place"], "at home");
  space.emit("PhotoHide", { concerns: ["123", "124"] });
  assert.deepEqual(space.read("123"), { id: "123", type: "Photo", name: null });
  assert.deepEqual(space.read("123", { access: 1 }), {
    id: "123", type: "Photo", name: "My New Image Name", image_url: "", place: "at home", hiddenBy: space.me,
  });
  assert.deepEqual(names(space.query("Photo", { access: 1 })), ["My New Image Name", "Boats"]);
  assert.deepEqual(names(space.query("Photo")), [null, null]);

  const { events } = space.stats();
  assert.deepEqual(events.types, { Photo: 2, PhotoCreate: 2, PhotoHide: 1, PhotoModify: 1 });
  assert.deepEqual(events.members, { [space.me]: 6 });
  assert.deepEqual(events.days, { "2026-06-29": 2, "2026-07-01": 4 });
  assert.deepEqual(events.next[0], { type: "Photo", next: "PhotoCreate", count: 2 });
  assert.deepEqual([events.total, events.waiting, events.unknownTypes, events.unknownVersions], [6, 0, 0, 0]);
});

test("a rename that somebody does not believe, and one that is undone", async (t) => {
  const [ada, bob, meet] = await pair(t);
  for (const space of [ada, bob]) space.define("Name", { apply: (_, { data }) => ({ name: data }) });
  ada.create("Photo", { id: "1" });
  ada.emit("Name", { concerns: "1", data: "hut" });
  await meet();
  const write = bob.emit("Name", { concerns: "1", data: "HAHA" });
  await meet();
  assert.equal(ada.read("1")?.["name"], "HAHA");
  const before = ada.stateHash();
  const preview = ada.policy.preview({ exclude: `${write.id}:0` });
  assert.equal(preview.view.read("1")?.["name"], "hut");
  ada.policy.exclude(`${write.id}:0`);
  assert.equal(ada.read("1")?.["name"], "hut");
  assert.notEqual(ada.stateHash(), before);
  ada.policy.withdraw(`${write.id}:0`);
  assert.deepEqual([ada.read("1")?.["name"], ada.stateHash()], ["HAHA", before]);
  ada.policy.ban(bob.me);
  assert.equal(ada.read("1")?.["name"], "hut");
  ada.policy.unban(bob.me);
  assert.equal(bob.undo(), true);
  assert.equal(bob.read("1")?.["name"], "hut");
  assert.equal(bob.redo(), true);
  assert.equal(bob.read("1")?.["name"], "HAHA");
  bob.undo();
  await meet();
  assert.deepEqual(ada.read("1"), bob.read("1"));
  assert.equal(ada.stateHash(), bob.stateHash());
  // What makes an object can be taken back as well; what was said of it waits.
  const made = ada.events("1")[0]?.changeset as string;
  ada.policy.exclude(made);
  assert.deepEqual([ada.read("1"), ada.query("Photo").length, ada.stats().events.waiting], [undefined, 0, 1]);
  ada.policy.withdraw(made);
  assert.deepEqual(ada.read("1"), bob.read("1"));
  assert.equal(ada.policy.preview({ exclude: made }).dependents, 1, "a name of what is not there makes no sense");
});

test("an event is applied once: the next one costs itself, one in between what comes after the last checkpoint", async (t) => {
  const [ada, bob, meet] = await pair(t);
  const [at, away] = [counted(), counted()];
  ada.define("Add", at.definition);
  bob.define("Add", away.definition);
  ada.create("Sum", { id: "s" });
  await meet();
  // Bob was away since the 100th event.
  for (let n = 0; n < 100; n++) ada.emit("Add", { concerns: "s", data: { n: 1 } });
  await meet();
  const late = bob.emit("Add", { concerns: "s", data: { n: 1_000 } });
  await new Promise((resolve) => setTimeout(resolve, 5));
  for (let n = 100; n < 1_000; n++) ada.emit("Add", { concerns: "s", data: { n: 1 } });
  assert.equal(at.calls, 0, "nothing is computed before somebody asks");
  assert.equal(ada.read("s")?.["sum"], 1_000);
  assert.equal(at.calls, 1_000);
  assert.equal(ada.read("s"), ada.read("s"));
  assert.equal(at.calls, 1_000, "read again, applied no more");
  ada.emit("Add", { concerns: "s", data: { n: 1 } });
  assert.equal(ada.read("s")?.["sum"], 1_001);
  assert.equal(at.calls, 1_001, "a new last event is applied alone");
  await meet();
  assert.equal(ada.read("s")?.["sum"], 2_001);
  // The create is an event as well: what Bob said is the 102nd, before the first checkpoint.
  assert.equal(at.calls, 1_001 + 1_002);
  // One behind a checkpoint costs what comes after that.
  const target = ada.events("s")[900] as { id: string };
  at.calls = 0;
  ada.policy.exclude(target.id);
  assert.equal(ada.read("s")?.["sum"], 2_000);
  assert.equal(at.calls, 1_003 - 768 - 1);
  assert.equal(ada.read("s", { access: 3 })?.["sum"], 2_000);
  assert.equal(at.calls, 1_003 - 768 - 1 + 1_001, "each access level is a state of its own");
  assert.equal(bob.read("s")?.["sum"], 2_001);
  assert.equal(away.calls, 1_002);
  assert.equal(ada.at(late.id).read("s")?.["sum"], 1_100);
});

test("an order for everybody, and an object that was spoken of before it was made", async (t) => {
  const [ada, bob, meet] = await pair(t);
  for (const space of [ada, bob]) space.define("Say", { apply: ({ said = [] }, { data }) => ({ said: [...(said as string[]), data] }) });
  bob.emit("Say", { concerns: ["x", "y", "x"], data: "early" });
  assert.deepEqual([bob.read("x"), bob.events("x"), bob.stats().events.waiting], [undefined, [], 1]);
  await meet();
  ada.create("Talk", { id: "x" });
  for (let n = 0; n < 20; n++) (n % 3 ? ada : bob).emit("Say", { concerns: "x", data: `${n}` });
  await meet();
  const said = ada.read("x")?.["said"] as string[];
  assert.deepEqual([said.length, said[0]], [21, "early"]);
  assert.deepEqual(bob.read("x"), ada.read("x"));
  assert.equal(ada.stateHash(), bob.stateHash());
  // Two who make one apart make one; the first says of which type it is.
  ada.create("Talk", { id: "same" });
  bob.create("Other", { id: "same" });
  await meet();
  assert.deepEqual(ada.read("same"), bob.read("same"));
  assert.deepEqual([ada.read("same")?.type, ada.query("Other").length], [ada.events("same")[0]?.type, ada.events("same")[0]?.type === "Other" ? 1 : 0]);
  assert.deepEqual(ada.events("same").map(({ status }) => status), ["applied", "other type"]);
  assert.throws(() => ada.create("Talk", { id: "same" }), code("E_ARGUMENT", "id"));
});

test("old versions are made into new ones when they are read; what nobody knows is kept, counted and reported", async (t) => {
  const [ada, bob, meet] = await pair(t);
  const faults: string[] = [];
  bob.on("error", (error) => faults.push(error.code));
  ada.define("Height", { fields: { feet: { required: true, kind: "number" } } });
  const id = ada.create("Hill");
  assert.match(id, /^[0-9a-f]{32}$/);
  ada.emit("Height", { concerns: id, data: { feet: 100.5 } });
  ada.define("Height", {
    version: 3,
    fields: { metres: { required: true, kind: "number" } },
    upcast: (data, version) => (version === 1 ? { metres: data.feet * 0.3048 } : data),
  });
  assert.equal(ada.read(id)?.["metres"], 100.5 * 0.3048);
  ada.emit("Height", { concerns: id, data: { metres: 31 } });
  ada.define("Strange", {});
  ada.emit("Strange", { concerns: id, data: { any: "thing" } });
  assert.deepEqual(ada.read(id), { id, type: "Hill", metres: 31, any: "thing" });
  await meet();
  // Bob has an older app.
  bob.define("Height", { version: 2, fields: { yards: { required: true } } });
  assert.deepEqual(bob.read(id), { id, type: "Hill" });
  assert.deepEqual(bob.events(id).map(({ status }) => status), ["applied", "unknown version", "unknown version", "unknown type"]);
  const { unknownTypes, unknownVersions } = bob.stats().events;
  assert.deepEqual([unknownTypes, unknownVersions], [1, 2]);
  bob.define("Height", { version: 3, upcast: (data) => data, fields: { metres: { required: true, kind: "string" } } });
  assert.deepEqual(bob.read(id), { id, type: "Hill" });
  assert.deepEqual(bob.events(id).map(({ status, fields }) => [status, fields]).slice(1, 3), [["misfit", ["metres"]], ["misfit", ["metres"]]]);
  assert.equal(bob.stats().events.misfits, 2);
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(faults.sort(), ["E_SCHEMA", "E_SCHEMA", "E_UNKNOWN_EVENT"]);
  bob.define("Height", { version: 3, upcast: (data) => data });
  assert.deepEqual(bob.read(id), { id, type: "Hill", feet: 100.5, metres: 31 });
  const digests = (space: Space) => space.definitions.map(({ digest }) => digest);
  assert.match(digests(ada)[0] as string, /^[0-9a-f]{64}$/);
  assert.notEqual(digests(ada)[0], digests(bob)[0]);
  ada.define("Height", { version: 3, upcast: (data) => data });
  assert.equal(digests(ada)[0], digests(bob)[0], "equal where the definition is");
});

test("values of all kinds come as they were sent", async (t) => {
  const folder = await newFolder(t);
  const name = "events";
  const values = [null, true, -0, 1.5, 2 ** 53, -12, 'a "b" \\ \n \u2028 é 😀', 10n ** 30n, new Uint8Array([1, 2]), [1, [2]], { a: { b: -1 }, ["__proto__"]: 1 }];
  let space = await openSpace(t, { name, storage: { dir: folder } });
  const define = () => space.define("Put", { fields: { value: {} }, apply: ({ all = [] }, { data }) => ({ all: [...(all as []), data.value] }) });
  define();
  space.create("Box", { id: "b", data: undefined });
  for (const value of values) space.emit("Put", { concerns: "b", data: { value } });
  const found = () => space.read("b")?.["all"] as unknown[];
  assert.deepEqual(found(), values);
  assert.ok(Object.is(found()[2], -0));
  assert.equal(Object.getPrototypeOf(found()[10]), Object.prototype);
  const hash = space.stateHash();
  // After a restart, and after one with a snapshot.
  for (const compacts of [false, true]) {
    if (compacts) await space.compact();
    await space.close();
    space = await openSpace(t, { name, storage: { dir: folder } });
    define();
    assert.deepEqual(found(), values);
    assert.equal(space.stateHash(), hash);
  }
});

test("answers that follow what happens", async (t) => {
  const [ada, bob, meet] = await pair(t);
  for (const space of [ada, bob]) space.define("Name", { apply: (_, { data }) => ({ name: data }) });
  const controller = new AbortController();
  const all = ada.query("Photo", { orderBy: "name", where: ({ name }) => name !== "none", live: true, signal: controller.signal });
  const one = ada.read("2", { live: true });
  const [told, seen]: [string[], unknown[]] = [[], []];
  all.subscribe((photos) => told.push(photos.map(({ name }) => `${name}`).join()));
  const end = one.subscribe((photo) => seen.push(photo?.["name"]));
  assert.deepEqual([all.current, one.current], [[], undefined]);
  bob.transact(() => ["1", "2"].forEach((id) => bob.emit("Name", { concerns: bob.create("Photo", { id }), data: `n${id}` })));
  await meet();
  assert.deepEqual(all.current.map(({ id }) => id), ["1", "2"]);
  assert.equal(all.current, all.current);
  const before = all.current;
  ada.transact(() => {
    ada.emit("Name", { concerns: "2", data: "a" });
    assert.equal(ada.read("2")?.["name"], "a", "what it says is read at once");
    assert.equal(ada.events("2")[2]?.id, "");
  });
  assert.deepEqual(told, ["n1,n2", "a,n1"]);
  assert.equal(all.current[1], before[0], "what did not change is the same object");
  ada.getMap("other").set("a", 1);
  assert.throws(() => ada.transact(() => {
    ada.emit("Name", { concerns: "2", data: "b" });
    assert.equal(one.current?.["name"], "b");
    throw new RangeError("no");
  }), RangeError);
  assert.equal(one.current?.["name"], "a");
  ada.define("Name", { apply: (_, { data }) => ({ name: `${data}!` }) });
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(told, ["n1,n2", "a,n1", "a!,n1!"]);
  end();
  controller.abort();
  ada.emit("Name", { concerns: "2", data: "none" });
  assert.deepEqual([told.length, all.current.length, one.current?.["name"]], [3, 2, "none!"]);
  assert.deepEqual(seen, ["n2", "a", "a!"]);
  const view = ada.at(Date.now() + 60_000);
  assert.equal(view.read("2", { live: true }).current?.["name"], "none!");
});

/** The events of an object applied one after the other, from nothing. */
function naive(space: Pick<Space, "events">, id: string): ObjectState | undefined {
  const events = space.events(id);
  const type = events.find(({ type, data, status }) => status === "applied" && type?.startsWith("Thing") && data === null)?.type;
  if (type === undefined) return undefined;
  let state: Record<string, unknown> = { id, type };
  for (const { type: of, data, status } of events) {
    if (status !== "applied" || data === null) continue;
    const { key, n } = data as { key: string; n: number };
    if (of === "Put") state = { ...state, [key]: n };
    else if (of === "Log") state = { ...state, log: [...((state["log"] as unknown[]) ?? []), n] };
    else state = Object.fromEntries(Object.entries(state).filter(([name]) => name !== key));
  }
  return state as ObjectState;
}

test("whatever comes, goes and comes again, an object is what its events make of it from the first to the last", async (t) => {
  const seeds = process.env["SEED"] ? [Number(process.env["SEED"])] : [1, 2, 3];
  for (const seed of seeds) {
    let random = (seed * 0x9e3779b9) | 1;
    const below = (n: number) => {
      for (const by of [13, -17, 5]) random ^= by > 0 ? random << by : random >>> -by;
      return (random >>> 0) % n;
    };
    const folders = [await newFolder(t), await newFolder(t)];
    const first = await openSpace(t, { name: `fuzz ${seed} 0`, storage: { dir: folders[0] as string } });
    const second = await openSpace(t, { name: `fuzz ${seed} 1`, storage: { dir: folders[1] as string }, invite: await first.invite() });
    const spaces = [first, second];
    const define = (space: Space) => {
      space.define("Put", { apply: (_, { data }) => ({ [data.key]: data.n }) });
      space.define("Take", { apply: (_, { data }) => ({ [data.key]: REMOVE }) });
      space.define("Log", { apply: ({ log = [] }, { data }) => ({ log: [...(log as number[]), data.n] }) });
    };
    spaces.forEach(define);
    const [ids, types] = [["a", "b", "c"], ["Put", "Take", "Log"]];
    const check = (space: Pick<Space, "events" | "read" | "query">) => {
      for (const id of ids) assert.deepEqual(space.read(id, { access: below(2) }), naive(space, id), `SEED=${seed}`);
      const all = space.query("Thing");
      assert.deepEqual(all.map(({ id }) => id).sort(), ids.filter((id) => space.read(id)?.type === "Thing"));
    };
    for (let step = 0; step < 50; step++) {
      const at = below(2);
      const [space, other] = [spaces[at] as Space, spaces[1 - at] as Space];
      const id = ids[below(3)] as string;
      const emit = (count: number) => {
        for (let i = 0; i < count; i++) space.emit(types[below(3)] as string, { concerns: below(4) ? id : ids, data: { key: `k${below(5)}`, n: below(100) } });
      };
      switch (below(9)) {
        case 0:
          if (!space.read(id)) space.create(below(5) ? "Thing" : "Thing too", { id });
          break;
        case 1:
          space.transact(() => (emit(300), check(space)));
          break;
        case 2:
          assert.throws(() => space.transact(() => {
            emit(3);
            check(space);
            throw new RangeError("no");
          }), RangeError);
          break;
        case 3:
          below(2) ? space.undo() : space.redo();
          break;
        case 4: {
          const events = space.events(id);
          const event = events[below(events.length || 1)]?.id;
          if (event) below(3) ? space.policy.exclude(event) : space.policy.withdraw(event);
          break;
        }
        case 5:
          await meet(space, other);
          break;
        case 6: {
          const [head] = space.heads;
          if (head) check(space.at(head));
          break;
        }
        case 7: {
          if (below(2)) await space.compact();
          await space.close();
          const again = await openSpace(t, { name: `fuzz ${seed} ${at}`, storage: { dir: folders[at] as string } });
          define(again);
          spaces[at] = again;
          break;
        }
        default:
          emit(1 + below(3));
      }
      check(spaces[at] as Space);
    }
  }
});

test("an event for a command counts once, and its retry comes back with the first receipt", async (t) => {
  const [ada, bob, meet] = await pair(t);
  for (const space of [ada, bob]) {
    space.define("Seen", { fields: { by: { kind: "string" } }, apply: ({ count = 0 }) => ({ count: (count as number) + 1 }) });
    space.define("Other", {});
  }
  const count = (space: Pick<Space, "read">) => space.read("p")?.["count"] ?? 0;
  ada.create("Photo", { id: "p" });
  const once = { concerns: ["p", "q"], data: { by: "ada" }, command: "click 1" };
  const first = ada.emit("Seen", once);
  const hash = ada.stateHash();
  assert.equal(ada.emit("Seen", once).id, first.id);
  assert.equal(ada.emit("Seen", { ...once, concerns: ["q", "p", "q"] }).id, first.id, "the same objects");
  assert.deepEqual([count(ada), ada.stateHash()], [1, hash]);
  // What stands for something is not used for something else.
  for (const other of [{ concerns: "p" }, { data: { by: "bob" } }]) {
    assert.throws(() => ada.emit("Seen", { ...once, ...other }), code("E_ARGUMENT", "command"));
  }
  assert.throws(() => ada.emit("Other", once), code("E_ARGUMENT", "command"));
  assert.throws(() => ada.emit("Seen", { ...once, command: 7 as never }), code("E_ARGUMENT", "command"));
  assert.throws(() => ada.emit("Seen", { ...once, command: "x".repeat(5_000) }), code("E_ARGUMENT", "command"));
  // What an older app said is the same in other words.
  for (const space of [ada, bob]) space.define("Seen", { version: 2, fields: { who: { kind: "string" } }, upcast: ({ by }) => ({ who: by }), apply: ({ count = 0 }) => ({ count: (count as number) + 1 }) });
  assert.equal(ada.emit("Seen", { ...once, data: { who: "ada" } }).id, first.id);
  // Somebody else's command of the same name is another one.
  await meet();
  bob.emit("Seen", { ...once, data: { who: "bob" } });
  await meet();
  assert.deepEqual([count(ada), count(bob)], [2, 2]);
  // One that is not known here is written, and its events do not count; what is no event or payment does.
  const again = ada.transact(() => {
    ada.emit("Seen", { concerns: "p", data: { who: "ada" } });
    ada.getCounter("clicks").add(1);
    assert.equal(count(ada), 2, "not in the transaction either");
  }, { command: "click 1" });
  await meet();
  for (const space of [ada, bob]) {
    assert.deepEqual([count(space), space.getCounter("clicks").value, space.events("p").length], [2, 1, 3]);
    const told: [string, string | undefined, string | undefined][] = [];
    for await (const { id, command, repeats } of space.history()) if (command) told.push([id, command, repeats]);
    assert.deepEqual(told.filter(([, , repeats]) => repeats), [[again.id, "click 1", first.id]]);
    assert.equal(told.length, 3);
  }
  // Whoever does not believe the first has the second.
  bob.policy.exclude(first.id);
  assert.deepEqual(bob.events("p").map(({ changeset }) => changeset).includes(again.id), true);
  assert.equal(count(bob), 2);
  bob.policy.exclude(again.id);
  assert.equal(count(bob), 1);
  bob.policy.withdraw(first.id);
  assert.equal(count(bob), 2);
  assert.equal(count(bob.view({ exclude: [first.id], include: [again.id] })), 2);
  assert.equal(count(bob.at(first.id)), 1);
  bob.policy.withdraw(again.id);
  assert.equal(bob.stateHash(), ada.stateHash());
  ada.undo();
  assert.equal(ada.emit("Seen", { ...once, data: { who: "ada" } }).id, first.id, "the one that counts");
  await ada.compact();
  assert.equal(count(ada), 2);
});

test("misuse names its argument", async (t) => {
  const space = await openSpace(t);
  const reader = await openSpace(t, { invite: await space.invite({ role: "reader" }) });
  const throws = (argument: string, work: () => unknown, expected = "E_ARGUMENT") => assert.throws(work, code(expected, argument), `${argument}: ${work}`);
  const any = (value: unknown) => value as never;
  throws("type", () => space.define("", {}));
  throws("type", () => space.define(any(1), {}));
  throws("def", () => space.define("T", any(null)));
  throws("reducer", () => space.define("T", any({ reducer() {} })));
  throws("version", () => space.define("T", { version: 0 }));
  throws("version", () => space.define("T", { version: 1.5 }));
  throws("apply", () => space.define("T", { apply: any("x") }));
  throws("upcast", () => space.define("T", { upcast: any({}) }));
  throws("fields", () => space.define("T", { fields: any([]) }));
  throws("fields", () => space.define("T", { fields: { a: any("string") } }));
  throws("fields", () => space.define("T", { fields: { a: { kind: any("date") } } }));
  throws("fields", () => space.define("T", { fields: { a: { level: -1 } } }));
  throws("fields", () => space.define("T", { fields: { a: { required: any(1) } } }));
  throws("fields", () => space.define("T", { fields: { id: {} } }));
  throws("needed", () => space.define("T", { fields: { a: any({ needed: true }) } }));
  space.define("T", { fields: { a: { required: true, kind: "string" }, b: { kind: "bytes" } } });
  throws("type", () => space.emit("Unknown", { concerns: "x" }), "E_UNKNOWN_EVENT");
  throws("type", () => space.create("Unknown", { data: 1 }), "E_UNKNOWN_EVENT");
  for (const data of [undefined, null, 1, {}, { a: null }, { a: 1 }, { a: "x", b: "x" }]) throws("data", () => space.emit("T", { concerns: "x", data: any(data) }), "E_SCHEMA");
  throws("data", () => space.create("T", { data: {} }), "E_SCHEMA");
  throws("data", () => space.emit("T", { concerns: "x", data: { a: "x", c: Number.NaN } }));
  throws("data", () => space.emit("T", { concerns: "x", data: { a: "x".repeat(300_000) } }), "E_EVENT_TOO_LARGE");
  throws("event", () => space.emit("T", any(undefined)));
  throws("concerns", () => space.emit("T", any({ data: { a: "" } })));
  throws("concerns", () => space.emit("T", { concerns: [], data: { a: "" } }));
  throws("concerns", () => space.emit("T", { concerns: [""], data: { a: "" } }));
  throws("concerns", () => space.emit("T", { concerns: any([1]), data: { a: "" } }));
  throws("concerns", () => space.emit("T", { concerns: Array(257).fill("x"), data: { a: "" } }));
  throws("command", () => space.transact(() => space.emit("T", { concerns: "x", data: { a: "" }, command: "c" })));
  throws("id", () => space.create("T", { id: "" }));
  throws("id", () => space.create("T", { id: "x".repeat(4_097) }));
  throws("id", () => space.read(any(1)));
  throws("access", () => space.read("x", { access: -1 }));
  throws("access", () => space.read("x", { access: any("admin") }));
  throws("acces", () => space.read("x", any({ acces: 1 })));
  throws("where", () => space.query("T", { where: any("a") }));
  const cyclic: unknown[] = [];
  cyclic.push(cyclic);
  for (const where of [new Map(), new Date(), [], null, { n: undefined }, { n: () => 1 }, { n: Number.NaN }, { n: /x/ }, { n: cyclic }]) {
    throws("where", () => space.query("T", { where: any(where) }));
  }
  throws("concerns", () => space.emit("T", { concerns: changing({}, "x"), data: { a: "" } }));
  throws("concerns", () => space.emit("T", { concerns: any({ length: 1, 0: "x" }), data: { a: "" } }));
  throws("orderBy", () => space.query("T", { orderBy: any(["a", "up"]) }));
  throws("limit", () => space.query("T", { limit: -1 }));
  throws("live", () => space.query("T", any({ live: "yes" })));
  throws("signal", () => space.query("T", { signal: AbortSignal.abort() }));
  assert.equal(space.stats().events.total, 0, "nothing was written");
  space.create("Some", { id: "some" });
  throws("where", () => space.query("Some", { where: any(async () => true) }));
  throws("where", () => space.query("Some", { where: any(() => Promise.reject(new Error("later"))) }));
  throws("where", () => space.query("Some", { where: any(() => ({ then() {} })) }));
  assert.equal(space.undo(), true);
  space.emit("T", { concerns: Array.from({ length: 256 }, (_, n) => `object ${n}`), data: { a: "" }, command: "c" });
  assert.equal(space.stats().events.waiting, 1);
  reader.define("T", {});
  assert.throws(() => reader.emit("T", { concerns: "x" }), code("E_ACCESS"));
  assert.throws(() => reader.create("T"), code("E_ACCESS"));
  const view = space.at(Date.now());
  view[Symbol.dispose]();
  assert.throws(() => view.read("x"), code("E_CLOSED"));
  const live = space.query("T", { live: true });
  live.subscribe(() => {});
  await space.close();
  assert.throws(() => space.read("x"), code("E_CLOSED"));
  assert.throws(() => live.subscribe(() => {}), code("E_CLOSED"));
});

/** A list whose only element is another one each time it is read. */
function changing(...elements: unknown[]): string[] {
  let at = 0;
  return Object.defineProperty([""], 0, { get: () => elements[Math.min(at++, elements.length - 1)] });
}

test("a list that changes while it is read is read once", async (t) => {
  const space = await openSpace(t);
  space.define("T", {});
  space.create("Thing", { id: "x" });
  space.emit("T", { concerns: changing("x", {}), data: { a: 1 } });
  assert.equal(space.read("x")?.["a"], 1);
  const once = changing("f".repeat(64), {});
  assert.throws(() => space.getLedger("l").reverse(once), code("E_ARGUMENT", "entry"));
  assert.throws(() => space.getLedger("l").reverse(changing({}, "x")), code("E_ARGUMENT", "entry"));
  assert.deepEqual(space.view({ exclude: changing(space.heads[0], {}) }).read("x"), { id: "x", type: "Thing" });
  space.getLedger("m", { issuers: changing(space.me, {}) }).accounts();
  space.getMap("c", { couple: [changing("a", {})] }).set("a", 1);
  assert.equal(space.read("x")?.["a"], 1, "the engine goes on");
});

test("what lacks the key comes last in both directions", async (t) => {
  const space = await openSpace(t);
  space.define("Put", {});
  const values = { a: 2, b: undefined, c: 1, d: null, e: "x", f: 3 };
  for (const [id, n] of Object.entries(values)) {
    space.create("Thing", { id });
    if (n !== undefined) space.emit("Put", { concerns: id, data: { n } });
  }
  const ids = (direction: "asc" | "desc") => space.query("Thing", { orderBy: ["n", direction] }).map(({ id }) => id).join("");
  assert.deepEqual([ids("asc"), ids("desc")], ["cafebd", "efacbd"]);
});
