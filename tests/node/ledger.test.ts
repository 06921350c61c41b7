/** Ledgers through the public API: who pays from what, what counts, what is disputed, and what three people make of it. */

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type LedgerEntry, type Space, StemmaError } from "stemma";
import { newFolder, openSpace } from "./ends.ts";

const code = (expected: string, argument?: string) => (error: unknown) =>
  error instanceof StemmaError && error.code === expected && (argument === undefined || error.argument === argument);

const ledger = (space: Space) => space.getLedger("house");

/** Some who share a space, each of whom wrote something. */
async function people<const N extends string[]>(t: TestContext, ...names: N): Promise<{ [K in keyof N]: Space }> {
  const first = await openSpace(t);
  const spaces = [first];
  for (const _ of names.slice(1)) spaces.push(await openSpace(t, { invite: await first.invite() }));
  spaces.forEach((space, at) => space.transact(() => space.getMap("names").set(space.me, names[at] as string)));
  await meet(...spaces);
  return spaces as { [K in keyof N]: Space };
}

/** Each hears of all that the others have. */
async function meet(...spaces: Space[]): Promise<void> {
  const exports = await Promise.all(spaces.map((space) => space.export()));
  for (const space of spaces) for (const bytes of exports) await space.import(bytes);
  const heads = (space: Space) => [...space.heads].sort().join();
  assert.equal(new Set(spaces.map(heads)).size, 1);
}

const statuses = (entries: readonly LedgerEntry[]) => entries.map(({ status }) => status);

test("three people, a flat: payments, a dispute, support, a reversal, to the cent", async (t) => {
  const [ann, bob, eve] = await people(t, "ann", "bob", "eve");
  const balances = (space: Space) => [ann, bob, eve].map(({ me }) => ledger(space).balance(me));
  const total = (space: Space) => ledger(space).accounts().reduce((sum, { balance }) => sum + balance, 0n);
  // Ann pays 90.00 for food, a third for each; the others owe her their parts.
  const share = (space: Space, of: bigint, to: Space, memo: string) => ledger(space).transfer({ to: to.me, amount: of, memo });
  share(bob, 30_00n, ann, "food");
  share(eve, 30_00n, ann, "food");
  await meet(ann, bob, eve);
  assert.deepEqual(balances(ann), [60_00n, -30_00n, -30_00n]);
  // Bob pays Eve for a taxi. Ann was there, and they walked.
  ann.transact(() => ledger(ann).transfer({ to: bob.me, amount: 10_01n, memo: { for: "paint", receipt: 7n } }), { message: "Paint" });
  await meet(ann, bob, eve);
  const taxi = ledger(bob).transfer({ to: eve.me, amount: 12_34n, memo: "taxi" });
  await meet(ann, bob, eve);
  assert.deepEqual(balances(eve), [49_99n, -32_33n, -17_66n]);
  assert.deepEqual(
    ledger(bob)
      .statement()
      .map(({ change, balance, memo }) => [change, balance, memo]),
    [
      [-30_00n, -30_00n, "food"],
      [10_01n, -19_99n, { for: "paint", receipt: 7n }],
      [-12_34n, -32_33n, "taxi"],
    ],
  );
  // Ann disputes it: all read why, and nothing moves.
  ledger(ann).dispute(taxi.id, { reason: "we walked" });
  await meet(ann, bob, eve);
  const entry = (space: Space) => ledger(space).entries().find(({ memo }) => memo === "taxi") as LedgerEntry;
  assert.deepEqual(entry(eve).disputes.map(({ member, reason }) => [member, reason]), [[ann.me, "we walked"]]);
  assert.deepEqual(balances(bob), [49_99n, -32_33n, -17_66n]);
  // She supports that: for her it does not count; Bob, who trusts her, sees it so too, and Eve does not.
  bob.policy.trust(ann.me);
  ledger(ann).support(taxi.id, { reason: "there was no taxi" });
  ledger(eve).oppose(entry(eve).id);
  await meet(ann, bob, eve);
  // One's own entry is hidden by one's own word alone.
  assert.deepEqual([ann, bob, eve].map((space) => entry(space).status), ["hidden", "counts", "counts"]);
  assert.deepEqual(balances(ann), [49_99n, -19_99n, -30_00n]);
  assert.deepEqual(balances(eve), [49_99n, -32_33n, -17_66n]);
  for (const space of [ann, bob, eve]) {
    assert.deepEqual([entry(space).support, entry(space).oppose], [[ann.me], [eve.me]]);
    assert.equal(total(space), 0n);
  }
  assert.equal(ann.policy.standing(entry(ann).id).status, "hidden");
  // Eve gives it back in the end. Ann takes her word back, and all agree.
  const back = ledger(eve).reverse(entry(eve).id, { memo: "sorry" });
  await meet(ann, bob, eve);
  assert.deepEqual(balances(bob), [49_99n, -19_99n, -30_00n]);
  assert.equal(ledger(ann).entries().find(({ memo }) => memo === "sorry")?.status, "void", "what it gives back does not count for her");
  assert.deepEqual(balances(ann), [49_99n, -19_99n, -30_00n]);
  ann.policy.withdraw(entry(ann).id);
  await meet(ann, bob, eve);
  for (const space of [ann, bob, eve]) {
    assert.deepEqual(balances(space), [49_99n, -19_99n, -30_00n]);
    assert.equal(entry(space).status, "counts");
    assert.equal(entry(space).reversed, `${back.id}:0`);
    assert.equal(ledger(space).entries().find(({ memo }) => memo === "sorry")?.reverses, entry(space).id);
    assert.deepEqual(
      ledger(space)
        .debts()
        .map(({ account, amount, over }) => [account, amount, over])
        .sort(),
      [
        [bob.me, 19_99n, 0n],
        [eve.me, 30_00n, 0n],
      ].sort(),
    );
  }
  assert.equal(new Set([ann, bob, eve].map((space) => space.stateHash())).size, 1);
  // As it was when Ann did not believe it.
  const then = ann.at(taxi.id);
  assert.equal(then.getLedger("house").balance(eve.me), -17_66n);
  assert.throws(() => then.getLedger("house").transfer({ to: bob.me, amount: 1n }), code("E_READONLY"));
  assert.throws(() => then.getLedger("house").support(taxi.id), code("E_READONLY"));
  then[Symbol.dispose]();
});

test("a mass reversal leaves debts with their causes, and nobody richer", async (t) => {
  const [ann, bob] = await people(t, "ann", "bob");
  const paid = Array.from({ length: 20 }, (_, n) => ledger(ann).transfer({ to: bob.me, amount: BigInt(n + 1) }).id);
  await meet(ann, bob);
  const spent = ledger(bob).transfer({ to: ann.me, amount: 100n, memo: "bike" });
  await meet(ann, bob);
  assert.equal(ledger(ann).balance(), -110n);
  // All that she paid is excluded by him; what he bought from it he owes.
  bob.policy.exclude({ member: ann.me, object: ledger(bob) });
  assert.deepEqual([ledger(bob).balance(ann.me), ledger(bob).balance()], [100n, -100n]);
  assert.deepEqual(ledger(bob).debts(), [{ account: bob.me, owner: bob.me, amount: 100n, over: 0n, causes: [{ id: `${spent.id}:0`, amount: 100n }] }]);
  bob.policy.include({ member: ann.me, object: ledger(bob) });
  // Or he gives it back, in one transaction.
  const heard: string[][] = [];
  ledger(bob).subscribe((changes) => heard.push(changes.flatMap(({ keys }) => [...keys])));
  ledger(bob).reverse(paid);
  assert.deepEqual([ledger(bob).balance(), heard.length, new Set(heard.flat())], [-100n, 1, new Set([ann.me, bob.me])]);
  assert.throws(() => ledger(bob).reverse(paid[3] as string), code("E_ARGUMENT", "entry"));
  assert.equal(ledger(bob).entries({ limit: 3 }).length, 3);
  bob.undo();
  assert.equal(ledger(bob).balance(), 110n);
});

test("what is wrong with an argument is said, and nothing is written", async (t) => {
  const [ann, bob] = await people(t, "ann", "bob");
  const house = ledger(ann);
  const before = ann.flush().id;
  for (const amount of [0n, -1n, 2n ** 95n, 1, 1.5, "1", undefined]) {
    assert.throws(() => house.transfer({ to: bob.me, amount: amount as bigint }), code("E_ARGUMENT", "amount"));
  }
  for (const to of ["nobody", "7".repeat(64), "", 5 as never, ann.me, "x".repeat(5_000)]) {
    assert.throws(() => house.transfer({ to, amount: 1n }), code("E_ARGUMENT", "to"));
  }
  assert.throws(() => house.transfer({ from: bob.me, to: ann.me, amount: 1n }), code("E_ARGUMENT", "from"));
  assert.throws(() => house.transfer({ from: "pot", to: ann.me, amount: 1n }), code("E_ARGUMENT", "from"));
  assert.throws(() => house.transfer({ to: bob.me, amount: 1n, memo: undefined as never, x: 1 } as never), code("E_ARGUMENT", "x"));
  assert.throws(() => house.transfer({ to: bob.me, amount: 1n, memo: new Date() as never }), code("E_ARGUMENT", "memo"));
  assert.throws(() => house.transfer({ to: bob.me, amount: 1n, memo: "x".repeat(9_000) }), code("E_EVENT_TOO_LARGE", "memo"));
  assert.throws(() => house.transfer(undefined as never), code("E_ARGUMENT", "o"));
  for (const name of ["", "#1", "ab".repeat(32), 7 as never]) assert.throws(() => house.open(name), code("E_ARGUMENT", "account"));
  assert.throws(() => house.open("#1"), /the name of an account is not empty, does not begin with #/);
  for (const entry of ["x", before, `${before}:0`, "0".repeat(64), 7 as never]) {
    for (const call of [() => house.reverse(entry), () => house.dispute(entry, { reason: "r" }), () => house.support(entry), () => house.oppose(entry)]) {
      assert.throws(call, code("E_ARGUMENT", "entry"));
    }
  }
  assert.throws(() => house.assign({ asset: "boat", to: "nobody" }), code("E_ARGUMENT", "to"));
  assert.throws(() => house.dispute("x", undefined as never), code("E_ARGUMENT", "reason"));
  assert.throws(() => ann.getLedger("house", { creditLimit: 5n }), code("E_ARGUMENT", "o"));
  assert.throws(() => ann.getLedger("other", { creditLimit: -5n }), code("E_ARGUMENT", "creditLimit"));
  assert.throws(() => ann.getLedger("other", { issuers: [ann.me, ann.me] }), code("E_ARGUMENT", "issuers"));
  assert.throws(() => ann.getMap("m").child("books", "ledger" as never), code("E_ARGUMENT", "kind"));
  assert.throws(() => ann.restore(before, { object: house }), code("E_ARGUMENT", "object"));
  assert.throws(() => ann.why(house as never, "x"), code("E_ARGUMENT", "object"));
  assert.equal(ann.flush().id, before);
  assert.deepEqual([house.accounts(), house.entries(), house.debts(), house.assets(), house.balance(), house.balance("nobody"), house.owner("boat")], [[], [], [], [], 0n, 0n, undefined]);
  const reader = await openSpace(t, { invite: await ann.invite({ role: "reader" }) });
  await reader.import(await ann.export());
  assert.throws(() => ledger(reader).transfer({ to: ann.me, amount: 1n }), code("E_ACCESS"));
  assert.throws(() => ledger(reader).open("mine"), code("E_ACCESS"));
});

test("of a write with several payments an entry has to be named", async (t) => {
  const [ann, bob] = await people(t, "ann", "bob");
  const { id } = ann.transact(() => [1n, 2n].forEach((amount) => ledger(ann).transfer({ to: bob.me, amount })));
  await meet(ann, bob);
  const house = ledger(bob);
  for (const call of [() => house.support(id), () => house.oppose(id), () => house.reverse(id), () => house.dispute(id, { reason: "r" })]) {
    assert.throws(call, code("E_ARGUMENT", "entry"));
    assert.throws(call, /the write has several entries in this ledger/);
  }
  house.reverse(`${id}:1`);
  assert.throws(() => house.reverse(`${id}:1`), /the entry does not count, gives something back itself, or was given back/);
  assert.equal(house.balance(), 1n);
});

test("accounts with names, a credit limit, issuers and assets", async (t) => {
  const [bank, ann] = await people(t, "bank", "ann");
  const money = (space: Space) => space.getLedger("money", { issuers: [bank.me], creditLimit: 5n });
  money(bank).open("treasury");
  assert.equal(money(bank).open("treasury").id, bank.flush().id, "it is open already");
  money(bank).transfer({ from: "treasury", to: ann.me, amount: 20n });
  await meet(bank, ann);
  assert.throws(() => money(ann).open("treasury"), code("E_ARGUMENT", "account"));
  assert.throws(() => money(ann).transfer({ to: "treasury", amount: 26n }), code("E_ARGUMENT", "amount"));
  money(ann).transfer({ to: "treasury", amount: 25n });
  assert.deepEqual(money(ann).debts(), [{ account: ann.me, owner: ann.me, amount: 5n, over: 0n, causes: [{ id: money(ann).entries().at(-1)?.id as string, amount: 5n }] }]);
  await meet(bank, ann);
  assert.deepEqual(
    money(bank)
      .accounts()
      .map(({ account, owner, balance }) => [account, owner, balance]),
    [
      [ann.me, ann.me, -5n],
      ["treasury", bank.me, 5n],
    ],
  );
  money(bank).assign({ asset: "key", to: ann.me });
  await meet(bank, ann);
  assert.equal(money(ann).owner("key"), ann.me);
  assert.throws(() => money(bank).assign({ asset: "key", to: bank.me }), code("E_ARGUMENT", "asset"));
  money(ann).assign({ asset: "key", to: "treasury" });
  await meet(bank, ann);
  assert.deepEqual(money(bank).assets(), [{ asset: "key", owner: "treasury" }]);
  assert.deepEqual(
    money(bank)
      .assignments("key")
      .map(({ to, member, status }) => [to, member, status]),
    [
      [ann.me, bank.me, "counts"],
      ["treasury", ann.me, "counts"],
    ],
  );
  assert.ok(bank.names().some(({ name, kind }) => name === "money" && kind === "ledger"));
});

test("a command counts once, and its retry comes back with the first receipt", async (t) => {
  const [ann, bob] = await people(t, "ann", "bob");
  const once = { to: bob.me, amount: 5n, command: "order 7" };
  const first = ledger(ann).transfer(once);
  assert.equal(ledger(ann).transfer(once).id, first.id);
  assert.equal(ledger(ann).balance(), -5n);
  assert.throws(() => ledger(ann).transfer({ ...once, amount: 6n }), code("E_ARGUMENT", "command"));
  assert.throws(() => ann.transact(() => ledger(ann).transfer(once)), code("E_ARGUMENT", "fn"));
  // Somebody else's command of the same name is another one.
  ledger(bob).transfer({ to: ann.me, amount: 1n, command: "order 7" });
  // A retry that was not recognised is listed as one.
  ann.transact(() => ledger(ann).transfer({ to: bob.me, amount: 5n }), { command: "order 7" });
  await meet(ann, bob);
  assert.deepEqual(statuses(ledger(bob).entries()).sort(), ["counts", "counts", "duplicate"]);
  assert.ok(ledger(bob).entries().every(({ command }) => command === "order 7"));
  assert.equal(ledger(bob).balance(), 4n);
});

test("each command keeps its name at the others, and a retry comes back with what counts", async (t) => {
  const [ann, bob] = await people(t, "ann", "bob");
  const commands = ["one", "two", "three"];
  for (const command of commands) ledger(ann).transfer({ to: bob.me, amount: 5n, command });
  await meet(ann, bob);
  assert.deepEqual(ledger(bob).entries().map(({ command }) => command), commands);
  // One that was made twice, of which the first does not count any more.
  const once = { to: bob.me, amount: 7n, command: "twice" };
  const first = ledger(ann).transfer(once);
  const second = ann.transact(() => ledger(ann).transfer({ to: bob.me, amount: 7n }), { command: "twice" });
  ann.policy.exclude(first.id);
  assert.equal(ledger(ann).balance(), -22n);
  assert.equal(ledger(ann).transfer(once).id, second.id);
});

test("lists are the same ones until something changes, and transactions are whole", async (t) => {
  const [ann, bob] = await people(t, "ann", "bob");
  const house = ledger(ann);
  house.transfer({ to: bob.me, amount: 5n });
  const lists = () => [house.accounts(), house.entries(), house.debts(), house.assets(), house.statement(), house.toJSON()];
  const before = lists();
  lists().forEach((list, at) => assert.equal(list, before[at]));
  assert.ok(Object.isFrozen(before[1]) && Object.isFrozen(before[1]?.[0]));
  assert.throws(() =>
    ann.transact(() => {
      house.transfer({ to: bob.me, amount: 7n });
      house.open("pot");
      house.transfer({ to: "pot", amount: 1n });
      assert.equal(house.entries().at(-1)?.id, "");
      assert.equal(house.balance(), -13n);
      throw new Error("no");
    }),
  );
  assert.equal(house.balance(), -5n);
  assert.deepEqual(house.entries(), before[1]);
  assert.deepEqual(house.accounts(), before[0]);
  ann.transact(() => {
    house.open("pot");
    house.transfer({ to: "pot", amount: 1n });
    house.transfer({ to: bob.me, amount: 2n });
  });
  assert.deepEqual([house.balance(), house.balance("pot"), house.entries({ account: "pot" }).length], [-8n, 1n, 1]);
  assert.match(house.entries().at(-1)?.id ?? "", /^[0-9a-f]{64}:2$/);
  // Words about an entry are in it, although nothing moves.
  await meet(ann, bob);
  const entry = house.entries()[0] as LedgerEntry;
  ledger(bob).support(entry.id);
  await meet(ann, bob);
  assert.deepEqual((house.entries()[0] as LedgerEntry).support, [bob.me]);
  ann.policy.mode = "review";
  ledger(bob).transfer({ to: ann.me, amount: 3n });
  await meet(ann, bob);
  assert.deepEqual(statuses(house.entries()), ["counts", "counts", "counts", "waits"]);
});

test("whoever listens is told of every word that an entry shows, and of no other", async (t) => {
  const [ann, bob, eve] = await people(t, "ann", "bob", "eve");
  const paid = ledger(ann).transfer({ to: bob.me, amount: 5n }).id;
  ledger(eve).open("pot");
  ledger(eve).transfer({ to: "pot", amount: 1n });
  eve.transact(() => eve.getText("page").append("x"));
  await meet(ann, bob, eve);
  type Told = [source: string, member: string, keys: string];
  const told: Told[] = [];
  const all = (...members: Space[]) => members.map(({ me }) => me).sort().join();
  ledger(ann).subscribe((changes) => told.push(...changes.map(({ source, member, keys }): Told => [source, member, [...keys].sort().join()])));
  const entry = () => ledger(ann).entries({ account: bob.me })[0] as LedgerEntry;
  /** What is done, what is told of it, and what the entry then shows. */
  const step = async (work: () => unknown, expected: Told[], shows: (entry: LedgerEntry) => unknown, value: unknown) => {
    told.length = 0;
    work();
    await meet(ann, bob, eve);
    assert.deepEqual([told, shows(entry())], [expected, value], String(work));
  };
  const support = (of: LedgerEntry) => of.support;
  const oppose = (of: LedgerEntry) => of.oppose;
  const status = (of: LedgerEntry) => of.status;
  const both = all(ann, bob);
  await step(() => ledger(bob).dispute(paid, { reason: "never came" }), [["remote", bob.me, both]], ({ disputes }) => disputes.length, 1);
  await step(() => bob.undo(), [["remote", bob.me, both]], ({ disputes }) => disputes.length, 0);
  // Words of one whom nobody trusts move nothing, and are shown.
  await step(() => ledger(bob).support(paid), [["policy", bob.me, both]], support, [bob.me]);
  await step(() => bob.policy.exclude(paid, { reason: "again" }), [], support, [bob.me]);
  await step(() => ledger(bob).oppose(paid), [["policy", bob.me, both]], oppose, [bob.me]);
  await step(() => bob.policy.exclude(paid), [], oppose, [bob.me]);
  await step(() => bob.policy.withdraw([paid, `${paid}:0`]), [["policy", bob.me, both]], oppose, []);
  await step(() => ledger(eve).oppose(paid, { publish: false }), [], oppose, []);
  await step(() => ledger(ann).oppose(paid, { publish: false }), [["policy", ann.me, both]], oppose, [ann.me]);
  // A word on somebody else's entry is about other accounts, one on a text about none.
  const pot = ledger(eve).entries({ account: "pot" })[0] as LedgerEntry;
  await step(() => ledger(bob).support(pot.id), [["policy", bob.me, [eve.me, "pot"].sort().join()]], status, "counts");
  await step(() => bob.policy.exclude({ member: eve.me, object: bob.getText("page") }), [], status, "counts");
  await step(() => bob.policy.trust(eve.me), [], status, "counts");
  // For Bob it waits under review; what he says of it then moves nothing, and is shown all the same.
  const heard: number[] = [];
  ledger(bob).subscribe((changes) => heard.push(changes.length));
  const seen = () => {
    const found = (ledger(bob).entries({ account: ann.me })[0] as LedgerEntry).status;
    return [found, heard.splice(0).length];
  };
  bob.policy.mode = "review";
  assert.deepEqual(seen(), ["waits", 1]);
  bob.policy.exclude(`${paid}:0`);
  assert.deepEqual(seen(), ["hidden", 1]);
  bob.policy.withdraw(`${paid}:0`);
  assert.deepEqual(seen(), ["waits", 1]);
  bob.policy.ban(ann.me);
  assert.deepEqual(seen(), ["hidden", 1]);
  bob.policy.mode = "open";
  assert.deepEqual(seen()[0], "hidden");
  bob.policy.mode = "review";
  seen();
  bob.policy.unban(ann.me);
  assert.deepEqual(seen(), ["waits", 1]);
  bob.policy.accept(ann.me);
  assert.deepEqual(seen(), ["counts", 1]);
  bob.policy.accept(`${paid}:0`);
  assert.deepEqual(seen(), ["counts", 0]);
});

test("a ledger opens again as it was, from its rows and from a snapshot", async (t) => {
  const dir = await newFolder(t);
  const first = await openSpace(t, { name: "books", storage: { dir } });
  const house = ledger(first);
  house.open("pot");
  for (let n = 1n; n <= 50n; n++) house.transfer({ to: "pot", amount: n, memo: `no ${n}` });
  house.reverse(house.entries()[3]?.id as string);
  house.assign({ asset: "boat", to: "pot" });
  first.policy.exclude(house.entries()[7]?.id as string);
  first.undo();
  const shown = (space: Space) => [ledger(space).accounts(), ledger(space).entries(), ledger(space).debts(), ledger(space).assets(), space.stateHash()];
  const before = shown(first);
  await first.close();
  const again = await openSpace(t, { name: "books", storage: { dir } });
  assert.deepEqual(shown(again), before);
  await again.compact();
  await again.close();
  const last = await openSpace(t, { name: "books", storage: { dir } });
  assert.deepEqual(shown(last), before);
  assert.equal(ledger(last).balance("pot"), 1275n - 4n - 8n);
});

test("an entry that was taken back and is excluded says the same in a view of now", async (t) => {
  const [ann, bob] = await people(t, "ann", "bob");
  const { id } = ledger(ann).transfer({ to: bob.me, amount: 5n });
  const seen = (space: Space) => [space, space.view(), space.at(Date.now() + 60_000)].map((one) => one.getLedger("house").entries()[0]?.status);
  ann.undo();
  await meet(ann, bob);
  assert.deepEqual(seen(bob), ["undone", "undone", "undone"]);
  bob.policy.exclude(id);
  assert.deepEqual(seen(bob), ["hidden", "hidden", "hidden"]);
  bob.policy.withdraw(id);
  bob.policy.mode = "review";
  assert.deepEqual(seen(bob), ["waits", "waits", "waits"]);
});

test("a preview shows the books as they would be", async (t) => {
  const [ann, bob] = await people(t, "ann", "bob");
  ledger(bob).transfer({ to: ann.me, amount: 8n });
  await meet(ann, bob);
  const preview = ann.policy.preview({ ban: bob.me });
  assert.deepEqual([preview.view.getLedger("house").balance(), ledger(ann).balance()], [0n, 8n]);
  const [patch] = preview.patches.filter(({ kind }) => kind === "ledger");
  assert.deepEqual([...((patch?.keys ?? []) as string[])].sort(), [ann.me, bob.me].sort());
  preview.view[Symbol.dispose]();
});
