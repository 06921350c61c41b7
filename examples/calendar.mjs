// A calendar entry whose start and end are coupled: of rival moves one wins as a whole, never one's start with the other's end.

import { pair } from "./pair.mjs";

const { ada, bob, meet, close } = await pair();
const entry = (space) => space.getMap("climb", { couple: [["start", "end"]] });

ada.transact(() => entry(ada).set("title", "climb").set("start", 9).set("end", 11));
await meet();
ada.transact(() => entry(ada).set("start", 14).set("end", 16));
bob.transact(() => entry(bob).set("start", 7).set("end", 9));
entry(bob).set("title", "climb, early");
await meet();
const { title, start, end } = entry(ada).toJSON();
console.log(title, "takes", end - start, "hours");
await close();
