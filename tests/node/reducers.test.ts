/** What a function of a definition can do wrong, and what becomes of it: of its object alone. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type EventDefinition, type ObjectState, REMOVE, type StemmaError } from "stemma";
import { openSpace } from "./ends.ts";

test("a reducer that throws, gives what cannot be stored, or changes what it is given: that object says so, all others work", async (t) => {
  const space = await openSpace(t);
  const faults: StemmaError[] = [];
  space.on("error", (error) => faults.push(error));
  const leaks: unknown[] = [];
  const bad: { [type: string]: EventDefinition["apply"] } = {
    Throws: () => {
      throw new Error("what is this?");
    },
    Function: () => ({ x: (() => 1) as never }),
    Number: () => 1 as never,
    Array: () => [] as never,
    NaN: () => ({ x: [Number.NaN] }),
    Async: (async () => ({})) as never,
    Mutates: (state) => (((state as unknown as { x: number }).x = 1), undefined),
    Deletes: (state) => (delete (state as { ok?: boolean }).ok, undefined),
    Leaks: (state) => ({ before: state }),
    Class: () => new (class {})() as never,
    Writes: () => (space.getMap("m").set("a", 1), undefined),
    Emits: () => (space.emit("Ok", { concerns: "ok" }), undefined),
    Transacts: () => (space.transact(() => {}), undefined),
    Undoes: () => (space.undo(), undefined),
    Reads: () => ({ x: space.getText("t").toString() }),
    "Reads another": () => ({ x: space.read("ok") as ObjectState }),
    Keeps: (state) => (leaks.push(state), { kept: true }),
  };
  space.define("Ok", { apply: () => ({ ok: true }) });
  for (const [type, apply] of Object.entries(bad)) space.define(type, { apply } as EventDefinition);
  space.create("Thing", { id: "ok" });
  space.emit("Ok", { concerns: "ok" });
  for (const type of Object.keys(bad)) {
    space.create("Thing", { id: type });
    space.emit("Ok", { concerns: type });
    const write = space.emit(type, { concerns: type, data: [] });
    space.emit("Ok", { concerns: type });
    if (type === "Keeps") continue;
    const state = space.read(type) as ObjectState;
    const error = state["error"] as { code: string; event: string; message: string };
    assert.deepEqual(Object.keys(state), ["id", "type", "error"], type);
    assert.equal(error.event, `${write.id}:0`);
    const writes = ["Writes", "Emits", "Transacts", "Undoes", "Reads", "Reads another"].includes(type);
    assert.equal(error.code, writes ? "E_READONLY" : "E_REDUCER", `${type}: ${error.message}`);
    // Whoever does not believe that event sees the object again.
    space.policy.exclude(error.event);
    assert.deepEqual(space.read(type), { id: type, type: "Thing", ok: true });
    space.policy.withdraw(error.event);
    assert.deepEqual(space.read(type), state);
  }
  assert.equal(space.query("Thing").filter(({ ok }) => ok).length, 2);
  assert.equal(space.query("Thing", { where: { id: "ok" } })[0]?.["ok"], true);
  assert.equal(space.getMap("m").size, 0, "nothing was written");
  assert.equal((space.read("Keeps") as { kept?: boolean }).kept, true);
  assert.throws(() => ((leaks[0] as { x: number }).x = 1), TypeError);
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(new Set(faults.map((fault) => fault.code)), new Set(["E_REDUCER", "E_READONLY"]));
  assert.match(faults[0]?.message as string, /what is this\?/);
});

test("no reducer writes, whatever it tries: its object says E_READONLY, and nothing is there", async (t) => {
  const [space, other] = [await openSpace(t), await openSpace(t)];
  const map = space.getMap("m");
  const text = space.getText("t");
  const list = space.getList("l");
  const books = space.getLedger("books");
  space.transact(() => (map.set("a", 1), text.append("text"), list.push("x", "y"), books.open("pot")));
  const paid = books.transfer({ to: "pot", amount: 5n });
  const { policy, presence } = space;
  const stranger = "7".repeat(64);
  const writers: { [name: string]: () => unknown } = {
    "map.set": () => map.set("b", 1),
    "map.delete": () => map.delete("a"),
    "map.child": () => map.child("c", "map").set("d", 1),
    "text.insert": () => text.insert(0, "x"),
    "text.delete": () => text.delete(0, 1),
    "text.append": () => text.append("x"),
    "text.update": () => text.update("other"),
    "text.mark": () => text.mark(0, 2, "bold", true),
    "text.applyDelta": () => text.applyDelta([{ insert: "x" }]),
    "text.anchor": () => text.anchor(1),
    "list.push": () => list.push("z"),
    "list.insert": () => list.insert(0, "z"),
    "list.delete": () => list.delete(0),
    "list.move": () => list.move(0, 1),
    "set.add": () => space.getSet("s").add("x"),
    "set.delete": () => space.getSet("s").delete("x"),
    "counter.add": () => space.getCounter("n").add(1),
    "cart.add": () => space.getCart("c").add("tea", 1),
    "cart.remove": () => space.getCart("c").remove("tea"),
    "ledger.open": () => books.open("jar"),
    "ledger.transfer": () => books.transfer({ to: "pot", amount: 1n }),
    "ledger.transfer for a command": () => books.transfer({ to: "pot", amount: 1n, command: "c" }),
    "ledger.reverse": () => books.reverse(paid.id),
    "ledger.dispute": () => books.dispute(paid.id, { reason: "no" }),
    "ledger.support": () => books.support(paid.id),
    "ledger.oppose": () => books.oppose(paid.id),
    "ledger.assign": () => books.assign({ asset: "boat", to: "pot" }),
    transact: () => space.transact(() => {}),
    flush: () => space.flush(),
    undo: () => space.undo(),
    redo: () => space.redo(),
    undoGroup: () => space.undoGroup(() => {}),
    restore: () => space.restore(paid.id),
    create: () => space.create("Thing", { id: "new" }),
    emit: () => space.emit("Ok", { concerns: "ok" }),
    "emit for a command": () => space.emit("Ok", { concerns: "ok", command: "c" }),
    "policy.exclude": () => policy.exclude(paid.id),
    "policy.include": () => policy.include(paid.id),
    "policy.withdraw": () => policy.withdraw(paid.id),
    "policy.ban": () => policy.ban(stranger),
    "policy.unban": () => policy.unban(stranger),
    "policy.accept": () => policy.accept(paid.id),
    "policy.trust": () => policy.trust(stranger),
    "policy.distrust": () => policy.distrust(stranger),
    "policy.mode": () => (policy.mode = "review"),
    "policy.setThreshold": () => policy.setThreshold(2),
    "policy.preview": () => policy.preview({ exclude: paid.id }),
    "presence.set": () => presence.set({ here: true }),
    "of another space": () => other.getMap("m").set("a", 1),
    "space.at": () => space.at(paid.id),
  };
  space.define("Ok", { apply: () => ({ ok: true }) });
  for (const [type, work] of Object.entries(writers)) {
    space.define(type, { apply: () => (work(), { ok: true }) });
    space.transact(() => space.emit(type, { concerns: space.create("Thing", { id: type }) }));
  }
  const before = [space.stateHash(), space.viewDigest(), space.heads.join(), space.names().length];
  for (const type of Object.keys(writers)) {
    const { error } = space.read(type) as unknown as { error?: { code: string; message: string } };
    assert.equal(error?.code, "E_READONLY", `${type}: ${error?.message}`);
  }
  assert.deepEqual([space.stateHash(), space.viewDigest(), space.heads.join(), space.names().length], before);
  assert.deepEqual([space.read("new"), policy.entries(), policy.mode, other.getMap("m").size], [undefined, [], "open", 0]);
});

/** Values that throw again when somebody asks what they are. */
function hostile(): { [name: string]: unknown } {
  const fail = () => {
    throw new RangeError("again");
  };
  const error = (descriptor: PropertyDescriptor) => Object.defineProperty(new Error("x"), "message", descriptor);
  const traps = Object.fromEntries(["get", "getPrototypeOf", "ownKeys", "has", "getOwnPropertyDescriptor"].map((trap) => [trap, fail]));
  return {
    "toString of another kind": { toString: "x" },
    "no prototype": Object.create(null),
    "toString that throws": { toString: fail },
    "message that throws": error({ get: fail }),
    "message that is an object": error({ value: Object.create(null) }),
    proxy: new Proxy({}, traps),
    "proxy of an error": new Proxy(new Error("x"), traps),
    symbol: Symbol("s"),
    nothing: undefined,
    "an error of ours with a code that throws": Object.defineProperties(new Error("x"), { name: { value: "StemmaError" }, code: { get: fail } }),
  };
}

test("whatever a reducer or an upcast throws or gives, its object alone says so", async (t) => {
  const space = await openSpace(t);
  const faults: StemmaError[] = [];
  space.on("error", (error) => faults.push(error));
  space.define("Ok", { apply: () => ({ ok: true }) });
  space.create("Thing", { id: "ok" });
  const all = space.query("Thing", { live: true });
  const told: number[] = [];
  all.subscribe((now) => told.push(now.length));
  space.emit("Ok", { concerns: "ok" });
  const names: string[] = [];
  for (const [name, value] of Object.entries(hostile())) {
    const fail = () => {
      throw value;
    };
    for (const [type, mended] of Object.entries({
      [`throws ${name}`]: { version: 2, apply: fail, upcast: (data: unknown) => data },
      [`gives ${name}`]: { version: 2, apply: () => ({ x: { deep: [value, Number.NaN] } }), upcast: (data: unknown) => data },
      [`upcast throws ${name}`]: { version: 2, upcast: fail },
    })) {
      space.define(type, {});
      space.create("Thing", { id: type });
      space.emit(type, { concerns: type, data: { a: 1 } });
      space.define(type, mended as EventDefinition);
      names.push(type);
    }
  }
  for (const name of names) {
    const { code, message } = space.read(name)?.["error"] as { code: string; message: unknown };
    assert.deepEqual([code, typeof message], ["E_REDUCER", "string"], name);
    assert.equal(space.events(name)[1]?.status, name.startsWith("upcast") ? "failed" : "applied");
  }
  assert.equal(space.query("Thing").length, names.length + 1);
  assert.equal(all.current[0]?.["ok"], true);
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(told.at(-1), names.length + 1);
  assert.ok(faults.length >= names.length && faults.every(({ code }) => code === "E_REDUCER"));
});

test("an upcast is as pure as a reducer, whoever asks, and neither is asynchronous", async (t) => {
  const space = await openSpace(t, { development: true });
  const rejected: unknown[] = [];
  const listen = (reason: unknown) => rejected.push(reason);
  process.on("unhandledRejection", listen);
  t.after(() => process.off("unhandledRejection", listen));
  let n = 0;
  const upcasts: { [type: string]: (data: any) => unknown } = {
    Writes: () => (space.getMap("m").set("a", 1), 1),
    Impure: () => ({ n: n++ }),
    Async: async () => {
      throw new Error("later");
    },
    Appends: (data) => (data.list.push(1), data),
  };
  const message = (id: string) => (space.read(id)?.["error"] as { message: string } | undefined)?.message ?? "";
  for (const [type, upcast] of Object.entries(upcasts)) {
    space.define(type, {});
    space.create("Thing", { id: type });
    space.emit(type, { concerns: type, data: { list: [] } });
    space.define(type, { version: 2, upcast } as EventDefinition);
    assert.equal(space.events(type)[1]?.status, type === "Appends" ? "applied" : "failed", type);
  }
  assert.equal((space.read("Writes")?.["error"] as { code: string }).code, "E_READONLY");
  assert.equal(space.getMap("m").size, 0, "nothing was written");
  space.getMap("m").set("a", 1);
  assert.match(message("Impure"), /upcast is not pure/);
  assert.match(message("Async"), /upcast is synchronous/);
  assert.deepEqual(space.read("Appends")?.["list"], [1], "it may write into what it is given");
  const fail = () => Promise.reject(new Error("later"));
  for (const [type, apply] of Object.entries({ Promises: fail, Nested: () => ({ x: [{ y: fail() }] }), Later: async () => ({ x: 1 }) })) {
    space.define(type, { apply: apply as never });
    space.create("Thing", { id: type });
    space.emit(type, { concerns: type });
    assert.match(message(type), type === "Nested" ? /x\[0\]\.y is a Promise/ : /a reducer is synchronous/);
  }
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(rejected, []);
});

test("nobody who reads a state, is given one or gives a delta can write into it afterwards", async (t) => {
  const space = await openSpace(t);
  const mine = new Uint8Array([1, 2, 3]);
  const open = { list: [1] };
  let reads = 0;
  const changing = Object.defineProperty({}, "x", { enumerable: true, get: () => (reads++ ? () => reads : "once") });
  const delta = { b: mine, deep: { of: [mine] }, open, changing };
  space.define("Put", { apply: () => delta as never });
  space.define("Raw", {});
  space.define("Scribble", {
    apply: (state) => {
      (state["b"] as Uint8Array)[0] = 99;
      (Object.getOwnPropertyDescriptor(state, "b")?.value as Uint8Array)[0] = 99;
      (({ ...state })["b"] as Uint8Array)[0] = 99;
      ((state["deep"] as { of: Uint8Array[] }).of[0] as Uint8Array)[0] = 99;
      return { seen: [...(state["b"] as Uint8Array)], again: state["deep"] as never, raw: state["raw"] as never };
    },
  });
  space.create("Box", { id: "z" });
  space.emit("Put", { concerns: "z" });
  space.emit("Raw", { concerns: "z", data: { raw: mine } });
  space.emit("Scribble", { concerns: "z" });
  const bytes = new Uint8Array([1, 2, 3]);
  const expected = { id: "z", type: "Box", b: bytes, deep: { of: [bytes] }, open: { list: [1] }, changing: { x: "once" }, raw: bytes, seen: [1, 2, 3], again: { of: [bytes] } };
  const state = space.read("z") as { [key: string]: any };
  assert.deepEqual(state, expected);
  mine[0] = 77;
  open.list.push(2);
  for (const bytes of [state["b"], state["raw"], state["deep"].of[0], state["again"].of[0]] as Uint8Array[]) bytes[0] = 77;
  assert.equal(space.read("z"), state, "the same object");
  assert.deepEqual(state, expected);
  assert.deepEqual(structuredClone(state), expected);
  assert.equal(space.query("Box", { where: { b: bytes } }).length, 1);
  assert.equal(Object.isFrozen(delta.open), false, "what the reducer holds is its own");
});

test("one that is not pure is found out in development, one that is slow is reported", async (t) => {
  const space = await openSpace(t, { development: true });
  const faults: StemmaError[] = [];
  space.on("error", (error) => faults.push(error));
  let n = 0;
  space.define("Impure", { apply: () => ({ n: n++ }) });
  space.define("Pure", { apply: (_, { data, time }) => ({ time, list: [data, { a: 1n }], gone: REMOVE, same: undefined }) });
  space.define("Mutates", { apply: (_, { data }) => ({ n: data.push(1) }) });
  space.define("Slow", {
    apply: () => {
      const end = performance.now() + 110;
      while (performance.now() < end);
      return { slow: true };
    },
  });
  for (const id of ["a", "b", "c", "d"]) space.create("Thing", { id });
  space.emit("Impure", { concerns: "a" });
  space.emit("Pure", { concerns: "b", data: "x" });
  space.emit("Slow", { concerns: "c" });
  space.emit("Mutates", { concerns: "d", data: [] });
  assert.match((space.read("a")?.["error"] as { message: string }).message, /not pure/);
  assert.deepEqual(space.read("b")?.["list"], ["x", { a: 1n }]);
  assert.equal(space.read("c")?.["slow"], true);
  assert.match((space.read("d")?.["error"] as { message: string }).message, /not extensible/);
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(faults.map(({ message }) => /pure|took|extensible/.exec(message)?.[0]), ["pure", "took", "extensible"]);
});
