// Who is here: two people look at one page, and see where the other is.

import { pair } from "./pair.mjs";

const { ada, bob, meet } = await pair();
ada.getText("page").append("Meet at noon.");
await meet();

const { port1, port2 } = new MessageChannel(); // in an app: a relay
ada.sync.attach(port1);
bob.sync.attach(port2);
const until = (is) => new Promise((resolve) => is(bob.presence.others) ? resolve() : bob.presence.subscribe((others) => is(others) && resolve()));

ada.presence.set({ name: "Ada", cursor: ada.getText("page").anchor(8) });
bob.presence.set({ name: "Bob" });
bob.getText("page").insert(0, "Please: "); // an anchor goes along
await until((others) => others.size > 0);
for (const { member, state } of bob.presence.others.values()) {
  console.log(`${state.name} ${member === ada.me} at ${bob.getText("page").position(state.cursor)}`);
}
await ada.close();
await until((others) => others.size === 0);
console.log("Ada left");
await bob.close();
