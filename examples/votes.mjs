// Votes: who voted for what. Each person's own element of a set can be taken back; a concurrent vote of somebody else stays.

import { pair } from "./pair.mjs";

const { ada, bob, meet, close } = await pair();
const votes = (space, option) => space.getSet(`votes/${option}`);

votes(ada, "hut").add(ada.me);
votes(bob, "hut").add(bob.me);
votes(bob, "tent").add(bob.me);
await meet();
votes(bob, "hut").delete(bob.me); // one vote each
await meet();
for (const option of ["hut", "tent"]) console.log(`${option}:`, votes(ada, option).size);
await close();
