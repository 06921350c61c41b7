// What the site computes of a log before it draws it: pieces of two texts in one, bursts of work, and undo of choices.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { ChangesetInfo, PolicyEntry } from "stemma";
import { agreement } from "../../www/agreement.ts";
import { marksOf, PAUSE_MS } from "../../www/marks.ts";
import { piecesOf } from "../../www/pieces.ts";
import { mine, said } from "../../www/words.ts";
import { openSpace } from "./ends.ts";

const SEED = Number(process.env["SEED"] ?? 1);

test("pieces hold both texts, whatever goes and comes back", async (t) => {
  const space = await openSpace(t);
  const note = space.getText("note");
  let state = SEED;
  const random = (n: number) => ((state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0) >>> 8) % n;
  const changesets: string[] = [];
  for (let step = 0; step < 60; step++) {
    const edit = () => {
      const at = random(note.length + 1);
      if (note.length > 8 && random(3) === 0) note.delete(at, Math.min(random(6), note.length - at));
      else note.insert(at, ["ab", "🙂", "\n", "xyz "][random(4)] as string);
    };
    changesets.push(space.transact(() => [...Array(1 + random(3))].forEach(edit)).id);
  }
  const now = note.toString();
  for (let round = 0; round < 60; round++) {
    const excluded = changesets.filter(() => random(4) === 0);
    const { view, patches } = space.policy.preview({ exclude: excluded });
    const pieces = piecesOf(now, patches, "note");
    const of = (without: string) => pieces.filter(({ how }) => how !== without).map(({ text }) => text).join("");
    assert.equal(of("back"), now, `SEED=${SEED}`);
    assert.equal(of("gone"), view.getText("note").toString(), `SEED=${SEED}`);
    assert.ok(pieces.every(({ how, text }, at) => text !== "" && how !== pieces[at + 1]?.how), "none is empty, none is cut");
    view[Symbol.dispose]();
  }
});

test("a mark is one member's burst, and stands as a whole", () => {
  const ada = [info("a1", "ada", 0), info("a2", "ada", 500), info("a3", "ada", 500 + PAUSE_MS), info("a4", "ada", 501 + 2 * PAUSE_MS)];
  const ben = [info("b1", "ben", 600, { hidden: 2 }), info("b2", "ben", 700, { hidden: 2 }), info("b3", "ben", 800, { hidden: 1 }), info("b4", "ben", 900, { hidden: 1 })];
  const word = info("b5", "ben", 1000, { ops: 1 });
  const merge = info("m1", "ada", 550, { ops: 0 });
  const entry = { id: "b5:0", verb: "ban", subject: "ada", member: "ben" } as PolicyEntry;
  const marks = marksOf([...ada, ...ben, word, merge], [entry]);
  const drawn = marks.map(({ changesets, status, words }) => `${changesets.join("+")} ${status}${words.length > 0 ? " word" : ""}`);
  assert.deepEqual(drawn, ["b1+b2 hidden", "b3 partly", "b4 partly", "b5 counts word", "a1+a2+a3 counts", "a4 counts"]);
  assert.deepEqual(marks.at(-2), { ...marks.at(-2), id: "a1", member: "ada", actors: ["key of ada"], from: 0, to: 500 + PAUSE_MS, ops: 6, hidden: 0 });
});

test("undo of a choice brings back the choice before it", async (t) => {
  const ada = await openSpace(t);
  const ben = await openSpace(t, { invite: await ada.invite() });
  const { port1, port2 } = new MessageChannel();
  t.after(() => (port1.close(), port2.close()));
  ada.sync.attach(port1);
  ben.sync.attach(port2);
  await ben.sync.settled();
  const first = ben.transact(() => ben.getText("note").insert(0, "spam")).id;
  const second = ben.transact(() => ben.getText("note").insert(0, "more ")).id;
  await ben.sync.settled();
  while (!ada.heads.includes(second)) await new Promise((resolve) => setTimeout(resolve, 2));
  const text = () => ada.getText("note").toString();
  const saying = (subject: string) => mine(ada).get(subject)?.verb;

  const excluded = said(ada, () => ada.policy.exclude([first, second]));
  assert.equal(text(), "");
  const included = said(ada, () => ada.policy.include(first));
  assert.equal(text(), "spam");
  included.undo();
  assert.deepEqual([text(), saying(first), saying(second)], ["", "exclude", "exclude"]);
  excluded.undo();
  assert.deepEqual([text(), saying(first), saying(second)], ["more spam", "unsay", "unsay"]);

  // From now on is a moment: a ban that is lifted and put back hides what came between.
  ada.policy.ban(ben.me, { from: "now" });
  const lifted = said(ada, () => ada.policy.unban(ben.me));
  const third = ben.transact(() => ben.getText("note").insert(0, "again ")).id;
  await ben.sync.settled();
  while (!ada.heads.includes(third)) await new Promise((resolve) => setTimeout(resolve, 2));
  assert.equal(text(), "again more spam");
  lifted.undo();
  assert.equal(text(), "more spam");
});

test("what the panes say of one another follows from heads and hashes", () => {
  const sight = (name: string, heads: string, hash: string) => ({ name, heads, hash });
  const ada = sight("Ada", "1", "x");
  assert.equal(agreement(ada, [ada]), "");
  assert.equal(agreement(ada, [ada, sight("Ben", "1", "x"), sight("Mallory", "2", "x")]), "All 3 panes see the same state.");
  assert.equal(agreement(ada, [ada, sight("Ben", "1", "x"), sight("Mallory", "1", "y")]), "2 of 3 panes see what Ada sees: Mallory believes otherwise.");
  assert.equal(agreement(ada, [ada, sight("Ben", "2", "y"), sight("Mallory", "1", "y")]), "1 of 3 panes sees what Ada sees: Mallory believes otherwise, Ben knows other changes.");
});

function info(id: string, member: string, time: number, more: Partial<ChangesetInfo> = {}): ChangesetInfo {
  const rest = { seq: 0, deps: [], received: time, bytes: 100, status: "integrated" } as const;
  return { id, member, actor: `key of ${member}`, time, ops: 2, hidden: 0, ...rest, ...more };
}
