// Preferences: a map. Of rival values the later one shows, and the other can still be seen and chosen.

import { pair } from "./pair.mjs";

const { ada, bob, meet, close } = await pair();
const preferences = (space) => space.getMap("preferences");

preferences(ada).set("theme", "dark").set("units", "metric");
await meet();
preferences(ada).set("theme", "light");
preferences(bob).set("theme", "contrast");
await meet();
console.log("rivals:", [...preferences(ada).conflicts("theme")].sort().join(", "));
preferences(bob).set("theme", "light"); // settles it
await meet();
console.log("now:", preferences(ada).get("theme"), "of", preferences(ada).conflicts("theme").length);
console.log("ever:", preferences(ada).history("theme").length, "writes");
await close();
