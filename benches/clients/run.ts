// `npm run bench:relay`, its second half: what clients of the relay do, in Node and in Chromium. Adds to relay.json.

import { readFile, writeFile } from "node:fs/promises";
import { catchup } from "./catchup.ts";
import { figures } from "./figures.ts";
import { keystrokes } from "./keystrokes.ts";
import { peers } from "./peers.ts";
import { session } from "./session.ts";

// Clients of y-websocket each listen for the end of the process.
process.setMaxListeners(0);

const jobs = { session, keystrokes, catchup, peers };
const [out, ...args] = process.argv.slice(2);
const quick = args.includes("--quick");
const only = args.includes("--only") ? args[args.indexOf("--only") + 1] : undefined;
for (const [name, job] of Object.entries(jobs)) {
  if (only !== undefined && only !== name) continue;
  const ends: (() => Promise<void>)[] = [];
  try {
    await job({ after: (end: () => Promise<void>) => void ends.unshift(end) }, quick);
  } finally {
    for (const end of ends) await end();
  }
}
const known = only === undefined ? JSON.parse(await readFile(out as string, "utf8")).rows : [];
const rows = [...known, ...figures].map((row) => `    ${JSON.stringify(row)}`);
await writeFile(out as string, `{\n  "rows": [\n${rows.join(",\n")}\n  ]\n}\n`);
process.exit(0);
