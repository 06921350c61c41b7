// The acceptance suite of stores, against memory and against folders.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { MemoryStorage } from "../../ts/memory.ts";
import { FileStorage } from "../../ts/node/file.ts";
import { cases } from "../storage/suite.ts";

describe("memory", () => {
  for (const [name, run] of cases) {
    test(name, async () => {
      const storage = new MemoryStorage();
      await run({ storage: () => storage });
    });
  }
});

describe("folder", () => {
  for (const [name, run] of cases) {
    test(name, async (t) => {
      const parent = await mkdtemp(join(tmpdir(), "stemma-"));
      t.after(() => rm(parent, { recursive: true, force: true }));
      await run({ storage: () => new FileStorage({ dir: join(parent, "space") }) });
    });
  }
});
