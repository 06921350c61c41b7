// An editor on one replica and a field on the other, edited at random by hands, programs, undo and compositions: whatever
// happens, everything ends the same. A failure prints its SEED.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Editors } from "./editors.ts";

const editors = await Editors.start({ after });
const ROUNDS = process.env.SEED ? 1 : Math.max(1, Math.round((20 * Number(process.env.FUZZ_ROUNDS ?? 100)) / 100));

for (const kind of ["textarea", "input"] as const) {
  test(`an editor and a ${kind} end the same`, async () => {
    const first = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9));
    const complaints: string[] = [];
    const page = await editors.open(complaints);
    const sides = { one: { kind: "codemirror", o: { cursors: true, authors: true } }, two: { kind, o: { cursors: true } } } as const;
    for (let seed = first; seed < first + ROUNDS; seed++) {
      await editors.again(page, "start\r\nof it", sides);
      const ended = page.evaluate(edit, seed).catch((error: Error) => assert.fail(`${error.stack}, SEED=${seed}`));
      const [one, two, document, value] = (await ended) as [string, string, string, string];
      assert.deepEqual(complaints, [], `SEED=${seed}`);
      assert.equal(two, one, `SEED=${seed}`);
      assert.equal(document, one, `the editor, SEED=${seed}`);
      assert.equal(value, kind === "input" ? one.replace(/[\r\n]/g, "") : one.replace(/\r\n?/g, "\n"), `the field, SEED=${seed}`);
    }
    await page.context().close();
  });
}

async function edit(seed: number): Promise<string[]> {
  let state = seed;
  const random = (below: number) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
  const words = ["a", "a", "aa", "bc", "\n", "\r\n", "\r", "🙂", "🙃", "\ud83d", "\ude42", "a longer word"];
  const word = () => words[random(words.length)] as string;
  const range = (length: number) => {
    const from = random(length + 1);
    return [from, Math.min(length, from + (random(3) === 0 ? random(8) : 0))] as const;
  };
  const composing = (element: Element, on: boolean) => element.dispatchEvent(new CompositionEvent(on ? "compositionstart" : "compositionend", { bubbles: true }));
  const steps: (() => unknown)[] = [
    () => {
      const [[from, to], [from2, to2]] = [range(view.state.doc.length), range(view.state.doc.length)];
      const changes = [{ from, to, insert: word() }, ...(from2 > to ? [{ from: from2, to: to2, insert: word() }] : [])];
      view.dispatch({ changes });
    },
    () => {
      const [from, to] = range(field2.value.length);
      field2.setRangeText(word(), from, to, "end");
      field2.dispatchEvent(new InputEvent("input", { bubbles: true }));
    },
    () => {
      const text = (random(2) ? one : two).getText("t");
      const [from, to] = range(text.length);
      const work = () => (text.delete(from, to - from), text.insert(Math.min(from, text.length), word()));
      if (random(2)) work();
      else (random(2) ? one : two).transact(work);
    },
    () => (random(2) ? view.contentDOM : field2).dispatchEvent(new KeyboardEvent("keydown", { key: "z", code: "KeyZ", keyCode: 90, ctrlKey: true, bubbles: true, cancelable: true })),
    () => (random(2) ? view.contentDOM : field2).dispatchEvent(new KeyboardEvent("keydown", { key: "y", code: "KeyY", keyCode: 89, ctrlKey: true, bubbles: true, cancelable: true })),
    () => composing(random(2) ? view.contentDOM : field2, random(2) === 0),
    () => (random(2) ? one : two).flush(),
    () => new Promise((resolve) => setTimeout(resolve, random(4) * 5)),
    () => field2.setSelectionRange(...range(field2.value.length)),
    () => (random(2) ? view.focus() : field2.focus()),
  ];
  for (let i = 0; i < 80; i++) await (steps[random(3) ? random(3) : random(steps.length)] as () => unknown)();
  composing(view.contentDOM, false);
  composing(field2, false);
  await new Promise((resolve) => setTimeout(resolve, 150)); // the last of them is read later
  await settle();
  await settle();
  return [one.getText("t").toString(), two.getText("t").toString(), view.state.doc.toString(), field2.value];
}
