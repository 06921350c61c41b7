// `node --import ./scripts/typescript.mjs FILE.ts`: lets Node 20 run the tests as they stand, with no output folder.

import { register } from "node:module";

register("./typescript-hooks.mjs", import.meta.url);
