// A process that commits to the folder it is given until it is killed, and says each number once it is confirmed.

import { FileStorage } from "../../ts/node/file.ts";

const storage = new FileStorage({ dir: process.argv[2] ?? "" });
await storage.open("writer").catch((error) => {
  console.log(error.code);
  process.exit(1);
});
console.log("open");
if (process.argv[3] === "hold") setInterval(() => undefined, 1000);
else {
  for (let n = 1; ; n += 1) {
    const row = new TextEncoder().encode(`row ${n}`.padEnd(n % 3000, "."));
    const tip = new TextEncoder().encode(`${n}`);
    await storage.commit({ append: [row], put: [["actors", "tip", tip]] }, { strict: n % 4 !== 0 });
    if (n % 4 !== 0) console.log(n);
  }
}
