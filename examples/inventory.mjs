// Inventory: a counter that goes both ways. Two shelves are counted down at once, and nothing is lost.

import { pair } from "./pair.mjs";

const { ada, bob, meet, close } = await pair();
const stock = (space) => space.getCounter("bolts");

ada.transact(() => stock(ada).add(100), { message: "delivery" });
await meet();
stock(ada).add(-30);
stock(bob).add(-25);
await meet();
console.log("left:", stock(ada).value, stock(bob).value);

ada.undo();
await meet();
console.log("after ada's undo:", stock(bob).value);
await close();
