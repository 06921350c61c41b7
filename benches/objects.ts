// The space of the `objects` job, in Node and in a browser.

import type { OpenOptions } from "stemma";
import { expect } from "./jobs/job.ts";
import { openSpace, type Space } from "./stemma.ts";

/** Makes it, and closes it when all is stored. */
export async function fill(storage: OpenOptions["storage"], objects: number): Promise<void> {
  const space = await openSpace({ name: "objects", storage });
  for (let from = 0; from < objects; from += 100) {
    space.transact(() => {
      for (let i = from; i < from + 100; i++) space.getMap(`object ${i}`).set("title", `The title of ${i}`).set("done", i % 2 === 0);
    });
  }
  await space.compact();
  await space.close();
}

export async function readOne(storage: OpenOptions["storage"]): Promise<Space> {
  const space = await openSpace({ name: "objects", storage });
  expect("title", space.getMap("object 777").get("title"), "The title of 777");
  return space;
}
