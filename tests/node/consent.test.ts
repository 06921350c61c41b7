/** Consent through the public API. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Consent, StemmaError } from "stemma";
import { openSpace } from "./ends.ts";

const code = (expected: string, argument?: string) => (error: unknown) =>
  error instanceof StemmaError && error.code === expected && (argument === undefined || error.argument === argument);

test("what needs consent asks for it, and goes by what was said last", async (t) => {
  const space = await openSpace(t);
  const told: Consent[] = [];
  space.on("consent", (consent) => told.push(consent));
  assert.throws(() => space.requireConsent("newsletter"), code("E_CONSENT", "purpose"));
  const write = space.consent.give("newsletter", { terms: "2026-05" });
  await write.saved("local");
  space.requireConsent("newsletter");
  space.requireConsent("newsletter", { terms: "2026-05" });
  assert.throws(() => space.requireConsent("newsletter", { terms: "2026-11" }), code("E_CONSENT"));
  assert.throws(() => space.requireConsent("statistics"), code("E_CONSENT"));
  assert.throws(() => space.requireConsent("newsletter", { subject: "guest 7" }), code("E_CONSENT"));
  space.consent.give("newsletter", { subject: "guest 7" });
  space.requireConsent("newsletter", { subject: "guest 7" });
  const withdrawn = space.consent.withdraw("newsletter");
  assert.throws(() => space.requireConsent("newsletter"), code("E_CONSENT"));
  assert.ok(space.consent.has("newsletter", { subject: "guest 7" }));
  const entries = [...space.consent.entries()].sort((a, b) => Number(a.given) - Number(b.given));
  const [mine, guest] = entries.map(({ time, ...rest }) => (assert.ok(Math.abs(time - Date.now()) < 60_000), rest));
  assert.deepEqual(mine, { subject: space.me, purpose: "newsletter", given: false, by: space.me, changeset: withdrawn.id });
  assert.deepEqual({ ...guest, changeset: "" }, { subject: "guest 7", purpose: "newsletter", given: true, by: space.me, changeset: "" });
  assert.ok(Object.isFrozen(entries[0]));
  assert.ok(told.length >= 3 && told.every((consent) => consent === space.consent));
});

test("others read it, keep it, and cannot give it for a member", async (t) => {
  const space = await openSpace(t);
  const other = await openSpace(t, { invite: await space.invite() });
  space.consent.give("photos");
  await other.import(await space.export());
  other.requireConsent("photos", { subject: space.me });
  assert.throws(() => other.consent.withdraw("photos", { subject: space.me }), code("E_ARGUMENT", "subject"));
  assert.throws(() => other.consent.give("photos", { subject: space.me.toUpperCase() }), code("E_ARGUMENT", "subject"));
  const reader = await openSpace(t, { invite: await space.invite({ role: "reader" }) });
  assert.throws(() => reader.consent.give("photos"), code("E_ACCESS"));
  await reader.import(await space.export());
  assert.ok(reader.consent.has("photos", { subject: space.me }));
  // Nobody undoes a statement, and nobody's exclusion changes it.
  other.policy.ban(space.me);
  assert.ok(other.consent.has("photos", { subject: space.me }));
});

test("misuse is told by name", async (t) => {
  const space = await openSpace(t);
  const { consent } = space;
  for (const purpose of ["", "x".repeat(4_097), 7, undefined, null]) {
    assert.throws(() => consent.give(purpose as string), code("E_ARGUMENT", "purpose"));
    assert.throws(() => consent.withdraw(purpose as string), code("E_ARGUMENT", "purpose"));
    assert.throws(() => consent.has(purpose as string), code("E_ARGUMENT", "purpose"));
    assert.throws(() => space.requireConsent(purpose as string), code("E_ARGUMENT", "purpose"));
  }
  assert.throws(() => consent.give("p", { subject: "" }), code("E_ARGUMENT", "subject"));
  assert.throws(() => consent.give("p", { subject: 7 as never }), code("E_ARGUMENT", "subject"));
  assert.throws(() => consent.give("p", { terms: "" }), code("E_ARGUMENT", "terms"));
  assert.throws(() => consent.give("p", { term: "x" } as never), code("E_ARGUMENT"));
  assert.throws(() => space.transact(() => void consent.give("p")), code("E_ARGUMENT"));
  assert.deepEqual(consent.entries(), []);
  await space.close();
  assert.throws(() => consent.give("p"), code("E_CLOSED"));
  assert.throws(() => space.requireConsent("p"), code("E_CLOSED"));
});
