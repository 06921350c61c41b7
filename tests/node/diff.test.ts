// The difference that `update` writes: right for any two texts, small for similar ones, never inside a pair.

import assert from "node:assert/strict";
import { test } from "node:test";
import { diff, splitsPair } from "../../ts/diff.ts";

function apply(before: string, after: string): { result: string; cost: number } {
  let result = before;
  let cost = 0;
  let end = Number.POSITIVE_INFINITY;
  for (const { position, length, insert } of diff(before, after).reverse()) {
    assert.ok(position + length <= end, "ascending, apart");
    assert.ok(!splitsPair(before, position) && !splitsPair(before, position + length), "whole characters");
    end = position;
    result = result.slice(0, position) + insert + result.slice(position + length);
    cost += length + insert.length;
  }
  return { result, cost };
}

test("by hand", () => {
  for (const [before, after, cost] of [
    ["", "", 0],
    ["a", "a", 0],
    ["", "abc", 3],
    ["abc", "", 3],
    ["abc", "abXc", 1],
    ["the cat sat", "the cat sat down", 5],
    ["the cat sat", "the bat sat", 2],
    ["one\ntwo\nthree\n", "one\n2\nthree!\n", 5],
    ["a\nb\nc\n", "c\na\nb\n", 4],
    ["aaaa", "aaa", 1],
    ["🙂🙃", "🙃🙂", 4],
    ["a🙂b", "a🙃b", 4],
    ["x\ud83d", "x\ud83e", 2],
  ] as const) {
    const applied = apply(before, after);
    assert.equal(applied.result, after);
    assert.ok(applied.cost <= cost, `${JSON.stringify([before, after])} costs ${applied.cost}`);
  }
});

test("a large change is bounded", () => {
  const before = Array.from({ length: 5_000 }, (_, i) => `line ${i}\n`).join("");
  const after = Array.from({ length: 5_000 }, (_, i) => `other ${i * 7}\n`).join("");
  assert.equal(apply(before, after).result, after);
  const middle = before.replace("line 2500\n", "line two and a half thousand\n");
  const applied = apply(before, middle);
  assert.equal(applied.result, middle);
  assert.ok(applied.cost < 40);
});

test("any two texts", () => {
  const seed = Number(process.env["SEED"] ?? 1);
  let state = seed;
  const random = (n: number) => (state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0) % n;
  const alphabet = ["a", "b", "\n", "🙂", "🙃", "\ud83d", "\ude42", "é"];
  const word = () => Array.from({ length: random(24) }, () => alphabet[random(alphabet.length)]).join("");
  for (let round = 0; round < 20_000; round++) {
    const before = word();
    const cut = random(before.length + 1);
    const after = random(2) ? word() : before.slice(0, cut) + word() + before.slice(cut + random(4));
    assert.equal(apply(before, after).result, after, `SEED=${seed} round ${round}: ${JSON.stringify([before, after])}`);
  }
});
