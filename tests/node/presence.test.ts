/** Presence and agreement through the public API. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Space, StemmaError, type Value } from "stemma";
import { openSpace } from "./ends.ts";

const refused = (argument: string) => (error: unknown) => error instanceof StemmaError && error.code === "E_ARGUMENT" && error.argument === argument;

/** Two replicas and the port between them. */
async function two(t: Parameters<Parameters<typeof test>[0] & object>[0]): Promise<[Space, Space]> {
  const ann = await openSpace(t);
  const bob = await openSpace(t, { invite: await ann.invite() });
  const { port1, port2 } = new MessageChannel();
  t.after(() => (port1.close(), port2.close()));
  ann.sync.attach(port1);
  bob.sync.attach(port2);
  return [ann, bob];
}

async function until(what: string, is: () => boolean): Promise<void> {
  for (let tries = 0; !is(); tries++) {
    assert.ok(tries < 4_000, `never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

const states = (space: Space) => [...space.presence.others.values()].map(({ state }) => state);

test("each sees what the other shows, field by field, with the member that signed it", async (t) => {
  const [ann, bob] = await two(t);
  let told = 0;
  bob.presence.subscribe((others) => {
    assert.equal(others, bob.presence.others);
    told++;
  });
  ann.presence.set({ name: "Ann", cursor: { at: 3 }, bytes: new Uint8Array([1, 2]), big: 2n ** 70n });
  await until("Bob sees Ann", () => states(bob).length === 1 && states(bob)[0]?.name !== undefined);
  const [session, seen] = [...bob.presence.others][0] as [string, { member: string; actor: string; state: object; lastSeen: number }];
  assert.equal(session, ann.presence.session);
  assert.match(session, /^[0-9a-f]{32}$/);
  assert.deepEqual([seen.member, seen.actor], [ann.me, ann.actor]);
  assert.deepEqual(seen.state, { name: "Ann", cursor: { at: 3 }, bytes: new Uint8Array([1, 2]), big: 2n ** 70n });
  assert.ok(Object.isFrozen(seen) && Object.isFrozen(seen.state) && Math.abs(Date.now() - seen.lastSeen) < 60_000);
  assert.equal(bob.presence.others.get(session), seen, "the same object until it shows something else");
  const { others } = bob.presence;
  assert.ok(Object.isFrozen(others) && !("set" in others));
  assert.throws(() => Map.prototype.clear.call(others), TypeError);
  assert.deepEqual([others.size, others.has(session), [...others.keys()], [...others.values()], [...others.entries()]], [1, true, [session], [seen], [[session, seen]]]);
  others.forEach((...given) => assert.deepEqual(given, [seen, session, others]));
  const before = told;
  ann.presence.update({ cursor: null, big: undefined, __proto__: undefined } as Record<string, Value | undefined>);
  await until("the cursor is gone", () => states(bob)[0]?.cursor === null);
  assert.deepEqual(Object.keys(states(bob)[0] as object).sort(), ["bytes", "cursor", "name"]);
  assert.deepEqual(ann.presence.state, { name: "Ann", cursor: null, bytes: new Uint8Array([1, 2]) });
  assert.ok(told > before);
  await until("Bob is seen too, for he looked", () => states(ann).length === 1);
  assert.deepEqual(states(ann), [{}]);
  ann.presence.leave();
  await until("Ann left", () => states(bob).length === 0);
  assert.notEqual(ann.presence.session, session, "and comes back as another");
  await until("Ann is back", () => states(bob).length === 1);
  assert.deepEqual(ann.presence.state, {});
});

test("what a listener shows goes on from what was just shown, and a reader who leaves stays away", async (t) => {
  const [ann, bob] = await two(t);
  const page = ann.getText("page");
  page.subscribe(() => ann.presence.update({ length: page.length }));
  ann.presence.subscribe(() => void ann.presence.state);
  bob.presence.set({});
  page.append("abc");
  ann.presence.set({ cursor: 1 });
  assert.deepEqual(ann.presence.state, { cursor: 1, length: 3 });
  await until("Bob sees both", () => states(bob)[0]?.length === 3 && states(bob)[0]?.cursor === 1);
  // What is passed is copied, whatever it is: a proxy, or what reads otherwise each time.
  let reads = 0;
  ann.presence.set(new Proxy({ p: 1 }, {}));
  ann.presence.update({ q: { get r() { return ++reads; } } } as never);
  assert.deepEqual([ann.presence.state, reads], [{ p: 1, q: { r: 1 } }, 1]);
  await until("Bob sees it", () => (states(bob)[0]?.q as { r: number })?.r === 1);
  ann.presence.leave();
  await until("Ann left", () => states(bob).length === 0);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(states(bob).length, 0);
});

test("many names that come and go harm nobody", async (t) => {
  const [ann, bob] = await two(t);
  bob.presence.set({});
  const fields = (round: number) => Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`sheet 1 row ${round} column ${at}`, true]));
  for (let round = 0; round < 30; round++) ann.presence.set(fields(round));
  ann.getText("page").append("x");
  ann.flush();
  await until("Bob has the text", () => bob.getText("page").toString() === "x");
  await until("and the last fields", () => "sheet 1 row 29 column 7" in (states(bob)[0] ?? {}));
  assert.deepEqual(states(bob), [fields(29)]);
});

test("two compare what they published, and the words say why", async (t) => {
  const [ann, bob] = await two(t);
  bob.getText("page").append("a claim");
  const { id } = bob.flush();
  await until("Ann has it", () => ann.getText("page").length > 0);
  ann.policy.exclude(id, { reason: "no source" });
  await until("Bob has the word", () => bob.policy.entries().length === 1);
  const [mine, bobs] = [ann.policy.compare(bob.me), bob.policy.compare(ann.me)];
  assert.deepEqual([mine.here, mine.there, bobs.here, bobs.there], [1, 0, 0, 1]);
  for (const { entries, agrees } of [mine, bobs]) {
    assert.deepEqual(entries.map(({ verb, subject, reason, member }) => [verb, subject, reason, member]), [["exclude", id, "no source", ann.me]]);
    assert.equal(agrees, undefined, "nobody shows anything");
  }
  ann.policy.withdraw(id);
  assert.deepEqual(ann.policy.compare(bob.me), { here: 0, waiting: 0, there: 0, entries: [] });
  assert.deepEqual(ann.policy.compare(ann.me).here, 0);
  ann.policy.mode = "review";
  assert.deepEqual(ann.policy.compare(bob.me), { here: 1, waiting: 1, there: 0, entries: [] });
  ann.policy.exclude(id);
  assert.deepEqual([ann.policy.compare(bob.me).here, ann.policy.compare(bob.me).waiting], [1, 0]);
  for (const wrong of ["", "x", 7, bob.actor]) assert.throws(() => ann.policy.compare(wrong as string), refused("member"));
});

test("closing is leaving", async (t) => {
  const [ann, bob] = await two(t);
  ann.presence.set({ a: 1 });
  await until("Bob sees Ann", () => states(bob).length === 1);
  await ann.close();
  await until("Ann left", () => states(bob).length === 0);
  for (const call of [() => ann.presence.set({}), () => ann.presence.others, () => ann.presence.leave(), () => ann.presence.update({})]) {
    assert.throws(call, (error) => error instanceof StemmaError && error.code === "E_CLOSED");
  }
});

test("what cannot be shown is refused by name and changes nothing", async (t) => {
  const space = await openSpace(t);
  space.presence.set({ a: 1 });
  for (const [state, argument] of [
    [null, "state"],
    [[], "state"],
    ["x", "state"],
    [new Uint8Array(2), "state"],
    [new Map(), "state"],
    [{ a: Number.NaN }, "state"],
    [{ a: () => {} }, "state"],
    [{ a: "x".repeat(9_000) }, "state"],
  ] as const) {
    assert.throws(() => space.presence.set(state as never), refused(argument));
  }
  assert.throws(() => space.presence.set({ ["n".repeat(4_097)]: 1 }), refused("state"));
  assert.throws(() => space.presence.update({ ["n".repeat(4_097)]: 1 }), refused("partial"));
  assert.throws(() => space.presence.update({ a: Number.NaN }), refused("partial.a"));
  assert.throws(() => space.presence.update(7 as never), refused("partial"));
  assert.throws(() => space.presence.subscribe(undefined as never), refused("cb"));
  assert.deepEqual(space.presence.state, { a: 1 });
});

test("who sees the same is counted, who believes otherwise stands apart, and words change it", async (t) => {
  const [ann, bob] = await two(t);
  bob.getText("page").append("a claim");
  const claim = bob.flush();
  const { id } = claim;
  assert.equal(claim.seenBy(), 0);
  ann.policy.trust(bob.me, { weight: 3 });
  await until("Ann has it", () => ann.getText("page").length > 0);
  assert.equal(ann.policy.agreement().length, 1, "asking shows what I see");
  bob.policy.agreement();
  const groups = (space: Space) => space.policy.agreement().map(({ members, mine, weight }) => [members.length, mine, weight]);
  await until("both see one state", () => JSON.stringify([groups(ann), groups(bob)]) === "[[[2,true,3]],[[2,true,0]]]");
  assert.equal(ann.policy.agreement()[0]?.digest, ann.viewDigest());
  assert.equal(claim.seenBy(), 1, "she shows that she has it");
  assert.deepEqual(ann.policy.compare(bob.me), { here: 0, waiting: 0, there: 0, entries: [], agrees: true });
  ann.policy.exclude(id, { publish: false });
  await until("Ann stands apart", () => groups(bob).length === 2 && groups(ann).length === 2);
  // What Ann keeps to herself is known to her alone.
  const [mine, bobs] = [ann.policy.compare(bob.me), bob.policy.compare(ann.me)];
  assert.deepEqual([mine.here, mine.there, mine.agrees, mine.entries.map(({ verb, subject }) => [verb, subject])], [1, 0, false, [["exclude", id]]]);
  assert.deepEqual(bobs, { here: 0, waiting: 0, there: 0, entries: [], agrees: false });
  assert.deepEqual(
    groups(ann).sort(),
    [
      [1, false, 3],
      [1, true, 0],
    ],
  );
});
