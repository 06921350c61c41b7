// Tags: a set in which an element that is removed here and added again there stays, with a value for each.

import { pair } from "./pair.mjs";

const { ada, bob, meet, close } = await pair();
const tags = (space) => space.getSet("tags");

tags(ada).add("alps", { colour: "green" }).add("draft");
await meet();
tags(ada).delete("draft");
tags(bob).add("draft", { colour: "red" }); // does not know that it goes
await meet();
for (const [tag, value] of tags(ada).entries()) console.log(tag, value?.colour);
await close();
