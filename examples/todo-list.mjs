// A to-do list: two people push, move and delete while they are apart. What both move is in one place, and undo takes back
// one's own edits alone.

import { pair } from "./pair.mjs";

const { ada, bob, meet, close } = await pair();
const todo = (space) => space.getList("to do");
const show = (what, space) => console.log(`${what}:`, [...todo(space)].map(({ task }) => task).join(", "));

todo(ada).push({ task: "rope" }, { task: "map" }, { task: "hut" }, { task: "bread" });
await meet();
ada.transact(() => todo(ada).move(3, 0)); // bread first
ada.transact(() => todo(ada).push({ task: "stove" }));
bob.transact(() => todo(bob).move(3, 1)); // bread second
bob.transact(() => todo(bob).delete(0)); // the rope is packed
await meet();
show("together", ada);
bob.undo(); // the rope is not packed
bob.undo(); // nor is bread second: ada's move counts
await meet();
show("bob's undo", ada);
ada.undo();
ada.undo();
await meet();
show("ada's undo", bob);
await close();
