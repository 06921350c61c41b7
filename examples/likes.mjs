// Likes: a counter that only grows. Run it with `node examples/likes.mjs` after `npm run build`.

import { pair } from "./pair.mjs";

const { ada, bob, meet, close } = await pair();
const likes = (space) => space.getCounter("likes", { kind: "g" });

for (let i = 0; i < 3; i++) likes(ada).add();
likes(bob).add();
await meet();
console.log("likes:", likes(ada).value, likes(bob).value);

try {
  likes(bob).add(-1);
} catch (error) {
  console.log("refused:", error.code, error.argument);
}
await close();
