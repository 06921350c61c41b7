/** Every example runs and says what it should. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { promisify } from "node:util";

const SAYS: { [file: string]: string[] } = {
  "calendar.mjs": ["climb, early takes 2 hours"],
  "inventory.mjs": ["left: 45 45", "after ada's undo: 75"],
  "likes.mjs": ["likes: 4 4", "refused: E_ARGUMENT n"],
  "photos.mjs": [
    'now: {"id":"123","type":"Photo","name":"My New Image Name","image_url":""}',
    "ever: My Original Name, My New Image Name",
    "last tuesday: My Original Name",
    'access 0: {"id":"123","type":"Photo","name":"My New Image Name","image_url":"","hidden":true}',
    'access 1: {"id":"123","type":"Photo","name":"My New Image Name","image_url":"","camera":"Box Brownie","hidden":true}',
    "reported by bob: true",
    "album: Boats, My New Image Name",
    'without the report: {"id":"123","type":"Photo","name":"My New Image Name","image_url":"","camera":"Box Brownie"}',
    "most often: Photo > PhotoCreate 2",
  ],
  "preferences.mjs": ["rivals: contrast, light", "now: light of 1", "ever: 4 writes"],
  "presence.mjs": ["Ada true at 16", "Ada left"],
  "record.mjs": [
    'contact: {"hours":{"open":"June"},"phone":"0123"}',
    'notes: "The key is under the big stone. Bring wood."',
    'tags: ["alps"]',
    "visits: 3",
  ],
  "rich-text.mjs": [
    "[bold: Meet us] at the [link: hut]",
    "[bold+italic: Meet us] at the [link: hut] at noon",
    "[italic: Meet us] at the [link: hut]",
  ],
  "shared-expenses.mjs": [
    "rent: 1200.00 bob: -412.50",
    "ada sees: hidden -400.00",
    "bob sees: counts It was my treat.",
    "ada owes 800.00 since 1 payment",
    "bob owes 400.00 since 1 payment",
  ],
  "shopping-cart.mjs": ["apples: 6", "apples 1", "bread 1"],
  "tags.mjs": ["alps green", "draft red"],
  "time-travel.mjs": [
    'now: {"nights":2} Bring two ropes.',
    'monday: {"hut":"upper","nights":4} Bring a rope.',
    'map ["nights","hut"]',
    'text [{"retain":6},{"delete":1},{"insert":"two"},{"retain":5},{"insert":"s"}]',
    'without bob: {"hut":"upper","nights":4}',
    'restored: {"hut":"upper","nights":2}',
  ],
  "todo-list.mjs": ["together: bread, map, hut, stove", "bob's undo: bread, rope, map, hut, stove", "ada's undo: rope, map, hut, bread"],
  "votes.mjs": ["hut: 1", "tent: 1"],
};

test("none is left out", () => {
  const files = readdirSync("examples").filter((file) => file.endsWith(".mjs") && file !== "pair.mjs");
  assert.deepEqual(files.sort(), Object.keys(SAYS));
});

for (const [file, lines] of Object.entries(SAYS)) {
  test(file, async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [`examples/${file}`], { timeout: 60_000 });
    assert.deepEqual(stdout.trim().split("\n").sort(), [...lines].sort());
  });
}
