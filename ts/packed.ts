/**
 * Changes of texts as the engine packs them: whether another output waits, then for each change the number of the object,
 * its source by {@link SOURCES}, the number of its author, the length of the id of its changeset, and how many splices
 * follow, each of three numbers. The ids and what was inserted follow one another in one string.
 */

import type { Engine, EngineChange } from "./replica.js";

/** Who made changes: member and actor, by number. */
export type Authors = string[][];

/** As the engine numbers them. */
const SOURCES = ["local", "remote", "undo", "policy"] as const;

/** Unpacks them; `authors` is what is known of this engine's. */
export function unpack(packed: Int32Array, engine: Engine, authors: Authors): EngineChange[] {
  const text = engine.packedText();
  const changes: EngineChange[] = [];
  let used = 0;
  for (let at = 1; at < packed.length; ) {
    const object = packed[at] as number;
    const source = SOURCES[packed[at + 1] as number] as (typeof SOURCES)[number];
    const number = packed[at + 2] as number;
    const [member = "", actor = ""] = (authors[number] ??= engine.author(number));
    const changeset = text.slice(used, (used += packed[at + 3] as number));
    const end = at + 5 + 3 * (packed[at + 4] as number);
    const ops = packed.subarray(at + 5, end);
    const from = used;
    for (let i = 2; i < ops.length; i += 3) used += ops[i] as number;
    changes.push({ source, member, actor, changeset, object, text: { ops, inserted: text.slice(from, used) } });
    at = end;
  }
  return changes;
}
