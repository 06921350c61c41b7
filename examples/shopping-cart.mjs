// A shopping cart that a family fills: quantities add up, and what is added while somebody empties the cart stays.

import { pair } from "./pair.mjs";

const { ada, bob, meet, close } = await pair();
const cart = (space) => space.getCart("saturday");

cart(ada).add("apples", 4).add("bread");
cart(bob).add("apples", 2);
await meet();
console.log("apples:", cart(ada).quantity("apples"));
cart(ada).remove("apples");
cart(bob).add("apples", 1);
await meet();
for (const [item, quantity] of cart(bob)) console.log(item, quantity);
await close();
