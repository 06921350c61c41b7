/** Exclusion, bans, trust and review through the public API: three people, three policies. */

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type Change, type Space, StemmaError } from "stemma";
import { newFolder, openSpace } from "./ends.ts";

const code = (expected: string, argument?: string) => (error: unknown) =>
  error instanceof StemmaError && error.code === expected && (argument === undefined || error.argument === argument);

/** Ports between all of them. */
async function joined(t: TestContext, count: number, roles: ("writer" | "reader")[] = []): Promise<Space[]> {
  const first = await openSpace(t);
  const spaces = [first];
  for (let n = 1; n < count; n++) spaces.push(await openSpace(t, { invite: await first.invite({ role: roles[n] ?? "writer" }) }));
  for (const [at, a] of spaces.entries()) {
    for (const b of spaces.slice(at + 1)) {
      const { port1, port2 } = new MessageChannel();
      t.after(() => (port1.close(), port2.close()));
      a.sync.attach(port1);
      b.sync.attach(port2);
    }
  }
  return spaces;
}

/** Until all hold the same changesets. */
async function same(...spaces: Space[]): Promise<void> {
  for (const space of spaces) space.flush();
  const heads = (space: Space) => [...space.heads].sort().join();
  for (let tries = 0; new Set(spaces.map(heads)).size > 1; tries++) {
    assert.ok(tries < 2_000, "they never met");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

const text = (space: Space) => space.getText("page").toString();

/** A shadow copy of the text that hears of changes alone. */
function shadow(space: Space): () => string {
  let copy = text(space);
  space.getText("page").subscribe((changes) => {
    for (const { delta } of changes) {
      let at = 0;
      for (const step of delta ?? []) {
        if ("retain" in step) at += step.retain;
        else if ("delete" in step) copy = copy.slice(0, at) + copy.slice(at + step.delete);
        else (copy = copy.slice(0, at) + step.insert + copy.slice(at)), (at += step.insert.length);
      }
    }
  });
  return () => copy;
}

test("Mallory vandalises a page; two ban her from different points, and take it back", async (t) => {
  const [ann, bob, mallory] = (await joined(t, 3)) as [Space, Space, Space];
  ann.transact(() => ann.getText("page").append("The well was dug in 1911. "));
  await same(ann, bob, mallory);
  const good = mallory.transact(() => mallory.getText("page").append("It is 40 m deep. "));
  await same(ann, bob, mallory);
  bob.transact(() => bob.getText("page").append("It feeds three farms."));
  await same(ann, bob, mallory);
  const before = [text(ann), ann.stateHash()];
  mallory.transact(() => {
    const page = mallory.getText("page");
    page.delete(0, 8);
    page.insert(0, "PWNED ");
    mallory.getCounter("votes").add(1_000);
  });
  await same(ann, bob, mallory);
  const worst = [text(ann), ann.stateHash()];
  assert.match(text(ann), /^PWNED  was/);
  const [heard, copies] = [[] as Change[], [shadow(ann), shadow(bob)]];
  ann.subscribe((changes) => heard.push(...changes));

  // Since a changeset: that one and all after it. What was written before stays.
  let second = "";
  for await (const { id } of ann.history({ member: mallory.me })) second = id;
  const preview = ann.policy.preview({ ban: { who: mallory.me, since: second } });
  assert.deepEqual([preview.changesets, preview.members, preview.view.getText("page").toString()], [1, [mallory.me], before[0]]);
  assert.equal(text(ann), worst[0], "a preview changes nothing");
  const ban = ann.policy.ban(mallory.me, { since: second, reason: "vandalism" });
  assert.deepEqual([text(ann), ann.stateHash(), ann.getCounter("votes").value], [...before, 0]);
  assert.ok(heard.every((change) => change.source === "policy" && change.member === ann.me && change.changeset === ban.id));

  // All of history: her good sentence goes as well.
  bob.policy.ban(mallory.me);
  assert.equal(text(bob), "The well was dug in 1911. It feeds three farms.");
  await same(ann, bob, mallory);
  assert.equal(text(mallory), worst[0], "nobody hides anything from herself");
  assert.notEqual(ann.viewDigest(), bob.viewDigest());
  assert.equal(copies[0]?.(), text(ann));
  assert.equal(copies[1]?.(), text(bob));

  // What she goes on writing is banned before it comes.
  mallory.transact(() => mallory.getText("page").insert(0, "AGAIN "));
  await same(ann, bob, mallory);
  assert.deepEqual([text(ann), text(bob)], [before[0], "The well was dug in 1911. It feeds three farms."]);
  assert.equal(ann.policy.votes(mallory.me).length, 2);
  assert.deepEqual(ann.policy.votes(mallory.me).map(({ member, verb, since, reason, trust }) => [member, verb, since, reason, trust]), [
    [ann.me, "ban", second, "vandalism", undefined],
    [bob.me, "ban", undefined, undefined, 0],
  ]);
  assert.equal(ann.policy.standing(second).status, "hidden");
  assert.deepEqual(ann.policy.standing(good.id), { status: "counts", considered: [ann.policy.votes(mallory.me)[0]] });

  // Her own words are taken back one by one where a single one is good.
  bob.policy.include(good.id);
  assert.equal(text(bob), before[0]);
  assert.equal(bob.stateHash(), before[1]);
  bob.policy.withdraw(good.id);
  assert.equal(text(bob), "The well was dug in 1911. It feeds three farms.");

  ann.policy.unban(mallory.me);
  bob.policy.withdraw(mallory.me);
  await same(ann, bob, mallory);
  assert.equal(text(ann), `AGAIN ${worst[0]}`);
  for (const space of [bob, mallory]) {
    assert.deepEqual([text(space), space.stateHash(), space.viewDigest()], [text(ann), ann.stateHash(), ann.viewDigest()]);
  }
  assert.equal(copies[0]?.(), text(ann));
  assert.equal(copies[1]?.(), text(bob));
});

test("whom I trust decides with me, one step deep, and my own word comes first", async (t) => {
  const [ann, bob, carl, dora] = (await joined(t, 4)) as [Space, Space, Space, Space];
  const write = dora.transact(() => dora.getMap("facts").set("a", 1).set("b", 2));
  await same(ann, bob, carl, dora);
  bob.policy.exclude(`${write.id}:0`);
  carl.policy.ban(dora.me);
  carl.policy.trust(bob.me);
  await same(ann, bob, carl, dora);
  const facts = () => ann.getMap("facts").toJSON();
  assert.deepEqual(facts(), { a: 1, b: 2 });
  ann.policy.trust(bob.me);
  assert.deepEqual(facts(), { b: 2 });
  ann.policy.trust(carl.me);
  assert.deepEqual(facts(), {});
  ann.policy.setThreshold(2);
  assert.deepEqual(facts(), { b: 2 }, "both are against the first one alone");
  ann.policy.trust(carl.me, { weight: 2 });
  assert.deepEqual(facts(), {});
  ann.policy.include(write.id);
  assert.deepEqual(facts(), { a: 1, b: 2 });
  ann.policy.withdraw(write.id);
  ann.policy.distrust(carl.me);
  assert.deepEqual(facts(), { a: 1, b: 2 }, "carl's trust in bob means nothing here, and bob alone is too light");
  assert.equal(ann.policy.threshold, 2);
  assert.deepEqual(bob.getMap("facts").toJSON(), { b: 2 });
});

test("under review nothing counts before it is accepted", async (t) => {
  const [ann, bob] = (await joined(t, 2)) as [Space, Space];
  const seen: string[] = [];
  ann.on("policy", (policy) => seen.push(policy.mode));
  ann.policy.mode = "review";
  assert.equal(ann.policy.mode, "review");
  const first = bob.transact(() => bob.getText("page").append("one "));
  const second = bob.transact(() => bob.getText("page").append("two "));
  await same(ann, bob);
  assert.equal(text(ann), "");
  assert.deepEqual(ann.policy.inbox().map(({ id, member }) => [id, member]), [[first.id, bob.me], [second.id, bob.me]]);
  assert.equal(ann.policy.standing(first.id).status, "waits");
  ann.policy.accept(second.id);
  assert.deepEqual([text(ann), ann.policy.inbox().length], ["two ", 1]);
  ann.policy.accept(bob.me);
  assert.deepEqual([text(ann), ann.policy.inbox().length], ["one two ", 0]);
  ann.policy.withdraw(bob.me);
  assert.equal(text(ann), "two ");
  ann.policy.mode = "open";
  assert.deepEqual([text(ann), ann.policy.inbox()], ["one two ", []]);
  assert.ok(seen.includes("review") && seen.at(-1) === "open");
  await same(ann, bob);
  assert.deepEqual(bob.policy.entries().map(({ verb }) => verb), ["accept", "accept", "unaccept"], "the mode is nobody else's business");
});

test("a policy survives a reload, an exclusion comes before what it excludes, and a view can be by the policy of then", async (t) => {
  const dir = await newFolder(t);
  const [bob] = (await joined(t, 1)) as [Space];
  const ann = await openSpace(t, { name: "ann", storage: { dir }, invite: await bob.invite() });
  const write = bob.transact(() => bob.getText("page").append("early"));
  ann.policy.exclude(write.id, { reason: "hearsay" });
  assert.deepEqual(ann.policy.entries().map(({ pending, subject, reason }) => [pending, subject, reason]), [[true, write.id, "hearsay"]]);
  await ann.import(await bob.export());
  assert.equal(text(ann), "");
  assert.equal(ann.policy.entries()[0]?.pending, false);
  const moment = ann.policy.withdraw(write.id);
  assert.equal(text(ann), "early");
  ann.policy.exclude({ member: bob.me });
  assert.equal(text(ann), "");
  const past = ann.at(moment.id, { policy: "then" });
  assert.equal(past.getText("page").toString(), "early");
  assert.equal(ann.at(moment.id).getText("page").toString(), "", "today's policy, unless it is asked for otherwise");
  assert.equal(ann.view({ policy: "then" }).stateHash(), ann.stateHash());
  assert.equal(ann.view({ include: [write.id] }).getText("page").toString(), "early");
  const [hash, digest] = [ann.stateHash(), ann.viewDigest()];
  await ann.compact();
  await ann.close();
  const again = await openSpace(t, { name: "ann again", storage: { dir } });
  assert.deepEqual([text(again), again.stateHash(), again.viewDigest()], ["", hash, digest]);
  assert.equal(again.policy.entries().length, 3);
  again.policy.withdraw(write.id);
  assert.equal(text(again), "early");
});

test("what makes sense only with it goes along where that is asked for", async (t) => {
  const [ann, bob, carl] = (await joined(t, 3)) as [Space, Space, Space];
  const page = (space: Space) => space.getText("page");
  ann.transact(() => (page(ann).append("[]"), ann.getMap("plan").set("title", "ours")));
  await same(ann, bob, carl);
  const quote = bob.transact(() => (page(bob).insert(1, "to be or not to be"), bob.getMap("plan").child("draft", "map").set("a", 1), bob.getList("todo").push("x", "y")));
  await same(ann, bob, carl);
  carl.transact(() => {
    page(carl).insert(7, "(sic) ");
    page(carl).append(" after");
    carl.getMap("plan").child("draft", "map").child("deep", "text").append("carl's");
    carl.getList("todo").insert(1, "between");
    carl.getList("todo").push("behind");
  });
  await same(ann, bob, carl);
  page(carl).insert(8, "!");
  await same(ann, bob, carl);
  const state = (space: { getText: Space["getText"]; getMap: Space["getMap"]; getList: Space["getList"] }) => [space.getText("page").toString(), space.getMap("plan").toJSON(), space.getList("todo").toJSON()];
  const before = state(ann);
  const without = ann.policy.preview({ exclude: quote.id });
  assert.deepEqual([without.members, without.others], [[bob.me], [carl.me]]);
  assert.deepEqual(state(without.view), ["[(!sic) ] after", { title: "ours" }, ["between", "behind"]]);
  const along = ann.policy.preview({ exclude: quote.id, dependents: true });
  assert.deepEqual([along.members, along.others, along.dependents].map((list) => Array.isArray(list) ? [...list].sort() : list), [[bob.me, carl.me].sort(), [], 0]);
  assert.deepEqual(state(along.view), ["[] after", { title: "ours" }, ["behind"]]);
  assert.deepEqual(state(ann), before);
  ann.policy.exclude(quote.id, { dependents: true });
  assert.deepEqual(state(ann), state(along.view));
  assert.equal(ann.stateHash(), along.view.stateHash());
  ann.policy.withdraw(ann.policy.entries().map(({ subject }) => subject));
  assert.deepEqual(state(ann), before);
  assert.equal(ann.stateHash(), bob.stateHash());
});

test("what is taken back, and what passes the review, is previewed as it then is", async (t) => {
  const [ann, bob] = (await joined(t, 2)) as [Space, Space];
  const said = bob.transact(() => bob.getText("page").append("a claim"));
  await ann.import(await bob.export());
  const { policy } = ann;
  const tried = (o: Parameters<typeof policy.preview>[0]) => {
    const { ops, view } = policy.preview(o);
    const read = view.getText("page").toString();
    view[Symbol.dispose]();
    return [ops, read];
  };
  assert.deepEqual(tried({ withdraw: said.id }), [0, "a claim"], "nothing was said");
  policy.exclude(said.id);
  assert.deepEqual([text(ann), tried({ withdraw: said.id })], ["", [1, "a claim"]]);
  policy.withdraw(said.id);
  policy.ban(bob.me);
  assert.deepEqual([text(ann), tried({ withdraw: bob.me })], ["", [1, "a claim"]]);
  policy.withdraw(bob.me);
  policy.mode = "review";
  for (const accept of [said.id, [bob.me]]) assert.deepEqual([text(ann), tried({ accept })], ["", [1, "a claim"]]);
  const { length } = policy.entries();
  policy.accept(bob.me);
  assert.deepEqual([text(ann), tried({ withdraw: bob.me }), policy.entries().length], ["a claim", [1, ""], length + 1]);
});

test("why a place reads as it does", async (t) => {
  const [ann, bob] = (await joined(t, 2)) as [Space, Space];
  const facts = ann.getMap("facts");
  ann.transact(() => facts.set("k", "first"));
  const one = ann.transact(() => facts.set("k", "ann's").set("x", 0));
  const other = bob.transact(() => bob.getMap("facts").set("k", "bob's"));
  await same(ann, bob);
  const claims = () => {
    const found = ann.why(facts, "k");
    const brief = ({ value, member, status }: { value?: unknown; member: string; status: string }) => [value, member, status];
    return found && [found, ...found.losers, ...found.off].map(brief);
  };
  const values = facts.get("k") === "bob's" ? ["bob's", "ann's"] : ["ann's", "bob's"];
  const by = (value: unknown) => (value === "bob's" ? bob.me : ann.me);
  assert.deepEqual(claims(), [[values[0], by(values[0]), "shows"], [values[1], by(values[1]), "lost"]]);
  ann.policy.exclude(other.id, { reason: "hearsay" });
  assert.deepEqual(claims(), [["ann's", ann.me, "shows"], ["bob's", bob.me, "hidden"]]);
  const hidden = ann.why(facts, "k")?.off[0];
  assert.deepEqual([hidden?.id, hidden?.considered.map(({ verb, reason }) => [verb, reason])], [`${other.id}:0`, [["exclude", "hearsay"]]]);
  assert.equal(ann.why(facts, "k")?.id, `${one.id}:0`);
  assert.equal(ann.why(facts, "never"), undefined);
  ann.undo();
  assert.deepEqual(claims()?.map(([value, , status]) => [value, status]), [["first", "shows"], ["bob's", "hidden"], ["ann's", "undone"]]);

  const page = bob.getText("page");
  const hello = bob.transact(() => (page.append("hello "), bob.getList("todo").push("a", "b")));
  const world = bob.transact(() => (page.append("world"), bob.getList("todo").move(1, 0), bob.getSet("tags").add("t", 1)));
  await same(ann, bob);
  const [text, list] = [ann.getText("page"), ann.getList("todo")];
  assert.deepEqual([0, 5, 6, 10].map((at) => ann.why(text, at)?.changeset), [hello.id, hello.id, world.id, world.id]);
  assert.deepEqual([0, 1].map((at) => [ann.why(list, at)?.value, ann.why(list, at)?.changeset]), [["b", world.id], ["a", hello.id]]);
  assert.deepEqual([ann.why(ann.getSet("tags"), "t")?.value, ann.why(ann.getSet("tags"), "t")?.member], [1, bob.me]);
  const claim = ann.why(text, 0);
  ann.policy.exclude(claim?.id as string);
  assert.equal(text.toString(), "world");
  for (const [call, argument] of [
    [() => ann.why(text, 5), "key"],
    [() => ann.why(text, "x"), "key"],
    [() => ann.why(facts, 1), "key"],
    [() => ann.why(ann.getCounter("n") as never, 0), "object"],
    [() => ann.why(page, 0), "object"],
    [() => ann.transact(() => ann.why(text, 0)), "fn"],
  ] as const) assert.throws(call, code("E_ARGUMENT", argument), String(call));
});

test("undo and exclusion do not know of each other", async (t) => {
  const [ann] = (await joined(t, 1)) as [Space];
  const facts = ann.getMap("facts");
  const write = ann.transact(() => facts.set("a", 1).set("b", 2));
  ann.policy.exclude(`${write.id}:0`);
  assert.deepEqual(facts.toJSON(), { b: 2 });
  assert.ok(ann.undo());
  assert.deepEqual(facts.toJSON(), {});
  ann.policy.include(`${write.id}:0`);
  assert.deepEqual(facts.toJSON(), {}, "it was undone");
  ann.policy.exclude(`${write.id}:0`);
  assert.ok(ann.redo());
  assert.deepEqual(facts.toJSON(), { b: 2 }, "it is excluded");
  ann.policy.withdraw(`${write.id}:0`);
  assert.deepEqual(facts.toJSON(), { a: 1, b: 2 });
  const undone = ann.transact(() => facts.delete("a"));
  ann.undo();
  let revoke = "";
  for await (const { id } of ann.history()) revoke = id;
  ann.policy.exclude(revoke);
  assert.deepEqual(facts.toJSON(), { b: 2 }, "an undo can be excluded, and what it took back is there");
  ann.policy.exclude(undone.id);
  assert.deepEqual(facts.toJSON(), { a: 1, b: 2 });
  ann.policy.exclude(write.id);
  assert.equal(ann.canUndo(), false, "nothing that can be undone has an effect");
});

test("all that a person wrote so far is excluded and included by the id, and taken back change by change", async (t) => {
  const [ann, bob] = (await joined(t, 2)) as [Space, Space];
  // Words are never among it.
  bob.policy.trust(ann.me);
  await same(ann, bob);
  const none = ann.policy.exclude(bob.me);
  assert.deepEqual([none.id, ann.policy.entries().length], [ann.flush().id, 1], "there is nothing yet");
  const before = bob.transact(() => bob.getMap("facts").set("a", 1));
  await same(ann, bob);
  const facts = () => ann.getMap("facts").toJSON();
  ann.policy.exclude(bob.me);
  assert.deepEqual([facts(), ann.policy.entries().slice(1).map(({ verb, subject }) => [verb, subject])], [{}, [["exclude", before.id]]]);
  assert.equal(ann.policy.preview({ include: bob.me }).ops, 1);
  bob.transact(() => bob.getMap("facts").set("b", 2));
  await same(ann, bob);
  assert.deepEqual(facts(), { b: 2 }, "what is written later counts: for that there is a ban");
  ann.policy.include(bob.actor.toUpperCase());
  assert.deepEqual(facts(), { a: 1, b: 2 });
  ann.policy.exclude([bob.actor]);
  assert.deepEqual(facts(), {});
  ann.policy.withdraw({ member: bob.me });
  assert.deepEqual(facts(), { a: 1, b: 2 });
  ann.policy.ban(bob.me);
  ann.policy.withdraw(bob.me);
  assert.deepEqual(facts(), { a: 1, b: 2 });
  // One's own too, as by any of its ids.
  ann.transact(() => ann.getMap("facts").set("c", 3));
  ann.policy.exclude(ann.me);
  assert.deepEqual(facts(), { a: 1, b: 2 });
});

test("a reader believes whom it wants, and nobody hears of it", async (t) => {
  const [ann, rita] = (await joined(t, 2, ["writer", "reader"])) as [Space, Space];
  const write = ann.transact(() => ann.getText("page").append("spoiler"));
  await same(ann, rita);
  rita.policy.exclude(write.id);
  assert.deepEqual([text(rita), text(ann)], ["", "spoiler"]);
  assert.throws(() => rita.policy.exclude(write.id, { publish: true }), code("E_ACCESS"));
  await same(ann, rita);
  assert.equal(text(ann), "spoiler");
  assert.equal(rita.policy.entries()[0]?.published, false);
  assert.deepEqual(ann.policy.entries(), []);
});

test("what is no word is refused, and nothing is written", async (t) => {
  const [ann] = (await joined(t, 1)) as [Space];
  const write = ann.transact(() => ann.getText("page").append("x"));
  const { policy } = ann;
  const wrong: [() => unknown, string][] = [
    [() => policy.exclude("nonsense"), "target"],
    [() => policy.exclude(`${write.id}:1`), "target"],
    [() => policy.exclude(`${write.id}:-1`), "target"],
    [() => policy.exclude(`${write.id}:00`), "target"],
    [() => policy.exclude(`${write.id}:0x1`), "target"],
    [() => policy.exclude(`${write.id}:99999`), "target"],
    [() => policy.exclude(`${write.id}\n`), "target"],
    [() => policy.exclude([write.id, "nonsense"]), "target"],
    [() => policy.withdraw("x\ny"), "target"],
    [() => policy.votes("nonsense"), "target"],
    [() => policy.standing("nonsense"), "target"],
    [() => policy.accept(ann.me), "target"],
    [() => policy.accept(ann.actor), "target"],
    [() => policy.exclude({}), "target"],
    [() => policy.exclude({ since: Number.NaN }), "since"],
    [() => policy.exclude(null as never), "target"],
    [() => policy.exclude({ member: "x" }), "member"],
    [() => policy.exclude({ colour: 1 } as never), "colour"],
    [() => policy.exclude(write.id, { reason: "x".repeat(9_000) }), "reason"],
    [() => policy.exclude(write.id, { reason: 1 as never }), "reason"],
    [() => policy.exclude(write.id, { publish: 1 as never }), "publish"],
    [() => policy.ban(ann.me), "who"],
    [() => policy.ban(ann.actor), "who"],
    [() => policy.ban("x"), "who"],
    [() => policy.ban("0".repeat(64), { since: "x" }), "since"],
    [() => policy.ban("0".repeat(64), { since: 1, from: "now" }), "since"],
    [() => policy.ban("0".repeat(64), { from: "then" as never }), "from"],
    [() => policy.trust(ann.me), "member"],
    [() => policy.trust(ann.actor), "member"],
    [() => policy.ban("0".repeat(64), { since: 1e300 }), "since"],
    [() => policy.preview(undefined as never), "o"],
    [() => policy.preview({ ban: null as never }), "ban"],
    [() => policy.preview({ trust: { member: ann.me, wieght: 2 } as never }), "wieght"],
    [() => policy.standing(`${write.id}:7`), "target"],
    [() => policy.trust("0".repeat(64), { weight: 0 }), "weight"],
    [() => policy.trust("0".repeat(64), { weight: 1.5 }), "weight"],
    [() => policy.setThreshold(0), "weight"],
    [() => (policy.mode = "closed" as never), "mode"],
    [() => policy.accept("x"), "target"],
    [() => policy.preview({ exclude: "x" }), "target"],
    [() => policy.preview({ withdraw: "x" }), "target"],
    [() => policy.preview({ accept: 5 as never }), "target"],
    [() => ann.transact(() => policy.exclude(write.id)), "fn"],
    [() => policy.standing("0".repeat(64)), "target"],
  ];
  for (const [call, argument] of wrong) assert.throws(call, code("E_ARGUMENT", argument), call.toString());
  assert.throws(() => policy.votes("nonsense"), (error: Error) => error.message === '"nonsense" names no changeset, op, member or actor');
  assert.deepEqual(policy.entries(), []);
  assert.deepEqual(ann.heads, [write.id]);
  assert.equal(text(ann), "x");
  policy.exclude(write.id);
  assert.equal(text(ann), "", "one's own words can be excluded, as a ban cannot");
  policy.include(write.id);
  await ann.close();
  assert.throws(() => policy.entries(), code("E_CLOSED"));
  assert.throws(() => policy.exclude(write.id), code("E_CLOSED"));
});
