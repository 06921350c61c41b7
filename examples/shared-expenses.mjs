// Shared expenses: who owes whom in a flat. A payment is disputed, left out, and given back; nothing is lost on the way.

import { pair } from "./pair.mjs";

const { ada, bob, meet, close } = await pair();
const flat = (space) => space.getLedger("flat");
const francs = (cents) => `${cents < 0n ? "-" : ""}${String(cents < 0n ? -cents : cents).padStart(3, "0").replace(/(..)$/, ".$1")}`;

ada.transact(() => flat(ada).open("rent"));
ada.transact(() => flat(ada).transfer({ to: "rent", amount: 800_00n, memo: "June" }));
bob.transact(() => bob.getMap("names").set(bob.me, "Bob")); // somebody of whom nothing is here cannot be paid
await meet();

flat(bob).transfer({ to: "rent", amount: 400_00n, memo: "my half" });
flat(bob).transfer({ to: ada.me, amount: 12_50n, memo: "pizza", command: "order 1" });
flat(bob).transfer({ to: ada.me, amount: 12_50n, memo: "pizza", command: "order 1" }); // the same click, twice
await meet();
console.log("rent:", francs(flat(ada).balance("rent")), "bob:", francs(flat(ada).balance(bob.me)));

const [pizza] = flat(ada).entries({ account: bob.me, limit: 1 });
flat(ada).dispute(pizza.id, { reason: "It was my treat." });
await meet();
flat(ada).support(pizza.id); // for Ada it does not count from here on
console.log("ada sees:", flat(ada).entries().at(-1).status, francs(flat(ada).balance(bob.me)));
console.log("bob sees:", flat(bob).entries().at(-1).status, flat(bob).entries().at(-1).disputes[0].reason);

ada.policy.withdraw(pizza.id);
flat(ada).reverse(pizza.id, { memo: "keep it" }); // who was paid gives it back, for everybody
await meet();
for (const { owner, amount, causes } of flat(bob).debts()) console.log(owner === ada.me ? "ada" : "bob", "owes", francs(amount), "since", causes.length, "payment");
await close();
