// A record: a map whose fields are objects of their own. Two people edit different fields, and one text, while they are apart;
// it reads as one plain object all the same.

import { pair } from "./pair.mjs";

const { ada, bob, meet, close } = await pair();
const hut = (space) => space.getMap("hut", { fields: { notes: "text", tags: "set", visits: "counter", contact: "map" } });

hut(ada).child("notes", "text").append("Key is under the stone.");
hut(ada).child("contact", "map").set("phone", "0123");
hut(bob).child("tags", "set").add("alps");
hut(bob).child("visits", "counter").add(1);
await meet();
hut(ada).child("notes", "text").update("The key is under the big stone.");
hut(bob).child("notes", "text").append(" Bring wood.");
hut(bob).child("contact", "map").child("hours", "map").set("open", "June"); // objects in objects
hut(ada).child("visits", "counter").add(2);
await meet();
for (const [key, value] of hut(bob)) console.log(`${key}:`, JSON.stringify(value));
await close();
