// The site, built and served as anybody would, over a real relay: what a visitor does with it.

import { strict as assert } from "node:assert";
import { after, test } from "node:test";
import jsqr from "jsqr";
import { Relay } from "./harness.ts";
import { Site, actAs, addFact, badges, fact, setFact, shows, textOf, type } from "./site.ts";

const site = await Site.start({ after });
const visit = site.visit.bind(site);
/** A reader by other people than those of the writer; CommonJS, whose types do not say so. */
const jsQR = jsqr as unknown as typeof jsqr.default;

test("what is typed in one pane shows in the others, saved and the same", async (t) => {
  const { page, complaints } = await visit(t);
  await type(page, "ada", "written by Ada ");
  await shows(page, "ben", "written by Ada ");
  await type(page, "ben", "and by Ben ");
  await shows(page, "ada", "and by Ben written by Ada ");
  await shows(page, "mallory", "and by Ben written by Ada ");
  for (const pane of ["ada", "ben"]) await badges(page, pane, ["saved here", "saved at relay", "3 of 3 agree"]);
  await page.locator("#agreement", { hasText: "All 3 panes see the same state." }).waitFor();
  assert.deepEqual(complaints, []);
});

test("each sees where the others are and what they wrote, and takes back what was typed here", async (t) => {
  const { page, complaints } = await visit(t);
  await type(page, "ada", "by Ada ");
  await shows(page, "ben", "by Ada ");
  for (const pane of ["ben", "mallory"]) await page.locator(`#${pane} .cm-stemma-cursor`, { hasText: "Ada" }).waitFor();
  assert.equal(await page.locator("#ada .cm-stemma-cursor").count(), 0);
  await type(page, "ben", "by Ben ");
  await page.locator("#ada .cm-stemma-cursor", { hasText: "Ben" }).waitFor();
  await page.locator("#ben .cm-stemma-cursor").waitFor({ state: "detached" });
  const tinted = page.locator("#ada .cm-stemma-author");
  await tinted.waitFor();
  assert.equal(await tinted.innerText(), "by Ben ");
  await page.locator("#mallory .cm-stemma-author.cm-stemma-hue-10", { hasText: "by Ben " }).waitFor();
  await tinted.click();
  await page.locator("#ada .cm-stemma-card", { hasText: /^Ben .*\d/ }).waitFor();
  await page.keyboard.press("Control+z");
  await shows(page, "ben", "by Ben A week in the mountains");
  await page.keyboard.press("Control+Shift+Z");
  await shows(page, "ben", "by Ben by Ada A week in the mountains");
  assert.deepEqual(complaints, []);
});

test("both sides edit while one is offline, and meet", async (t) => {
  const { page, complaints } = await visit(t);
  await badges(page, "ben", ["saved here", "nothing yet", "3 of 3 agree"]);
  await page.click("#ben .switch");
  await type(page, "ada", "online ");
  await type(page, "ben", "offline ");
  await setFact(page, "ada", "nights", "5");
  await setFact(page, "ben", "nights", "6");
  await badges(page, "ada", ["saved here", "saved at relay", "2 of 3 agree"]);
  await page.locator("#ben [data-badge=relay] b", { hasText: /^\d+ not sent$/ }).waitFor();
  assert.equal((await textOf(page, "ada")).includes("offline "), false);

  await page.click("#ben .switch");
  for (const pane of ["ada", "ben"]) {
    await shows(page, pane, "online ");
    await shows(page, pane, "offline ");
    await badges(page, pane, ["saved here", "saved at relay", "3 of 3 agree"]);
  }
  assert.equal(await textOf(page, "ada"), await textOf(page, "ben"));

  const choice = page.locator("#ada .choice");
  const loser = await choice.innerText();
  assert.deepEqual([loser, await fact(page, "ada", "nights")].sort(), ["5", "6"]);
  await choice.click();
  await page.locator("#ben .choice").waitFor({ state: "detached" });
  assert.equal(await fact(page, "ben", "nights"), loser);
  assert.deepEqual(complaints, []);
});

test("keys are added and deleted", async (t) => {
  const { page } = await visit(t);
  await addFact(page, "ada", "rope", "60 m");
  await page.locator("#ben [aria-label='Value of rope']").waitFor();
  assert.equal(await fact(page, "ben", "rope"), "60 m");
  for (const key of ["rope", "hut", "nights"]) await page.click(`#ben [aria-label='Delete ${key}']`);
  await page.locator("#ada .facts-none").waitFor();
});

test("a reload shows the same, from the disk alone", async (t) => {
  const own = await Relay.start(t);
  const { page } = await visit(t, { path: `/?relay=${own.url}` });
  await type(page, "ada", "kept ");
  await shows(page, "ben", "kept ");
  await type(page, "ben", "too "); // stored after what came before it
  await shows(page, "ada", "too kept ");
  for (const pane of ["ada", "ben"]) await badges(page, pane, ["saved here", "saved at relay", "3 of 3 agree"]);
  await own.stop();
  await page.reload();
  for (const pane of ["ada", "ben"]) {
    await shows(page, pane, "too kept A week in the mountains");
    await page.locator(`#${pane} [data-badge=local] b`, { hasText: "saved here" }).waitFor();
    await page.locator(`#${pane} [data-badge=parity] b`, { hasText: "3 of 3 agree" }).waitFor();
  }
  await own.restart();
  for (const pane of ["ada", "ben"]) await badges(page, pane, ["saved here", "saved at relay", "3 of 3 agree"]);
});

test("a link lets a third window in and leaves its address bar", async (t) => {
  const { page, context, complaints } = await visit(t);
  await type(page, "ada", "before the guest ");
  await type(page, "ben", "and ");
  await page.click("#join-open");
  await page.locator("#join[open]").waitFor();
  const link = await page.inputValue("#join-link");
  assert.match(new URL(link).hash, /^#join=stemma1\./);
  await page.click("#join-close");

  const guest = await site.openPage(context, link, complaints);
  await guest.locator("#ada .cm-content").waitFor();
  assert.equal(new URL(guest.url()).hash, "");
  await shows(guest, "ada", "before the guest ");
  await type(guest, "ada", "the guest too ");
  await shows(page, "ben", "the guest too ");
  await guest.locator("#ada [data-badge=parity] b", { hasText: "4 of 4 agree" }).waitFor();
  for (const name of ["Ada", "Ben"]) await guest.locator(`[aria-label='Changes by ${name}'] .mark`).first().waitFor();
  await page.locator("[aria-label^='Changes by Guest '] .mark").first().waitFor();
  await guest.check("#showing input[value=money]");
  assert.match(await guest.innerText("#ada .page .balances"), /Ada\s+0\.00/);
  const address = guest.url();
  await guest.reload();
  await shows(guest, "ada", "the guest too ");
  assert.equal(guest.url(), address);
  assert.deepEqual(complaints, []);
});

test("the QR code is the link, for whoever reads it from the screen", async (t) => {
  const { page, complaints } = await visit(t);
  await page.click("#join-open");
  await page.locator("#join[open]").waitFor();
  const link = await page.inputValue("#join-link");
  const code = page.locator("#join-code svg");
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    const { pixels, width, height } = await site.pixelsOf(await code.screenshot());
    assert.equal(jsQR(pixels, width, height)?.data, link, colorScheme);
  }
  await page.click("#join-close");
  await page.click("#join-open");
  await page.locator("#join[open]").waitFor();
  assert.notEqual(await page.inputValue("#join-link"), link, "each time another link");
  const { pixels, width, height } = await site.pixelsOf(await code.screenshot());
  assert.equal(jsQR(pixels, width, height)?.data, await page.inputValue("#join-link"));
  assert.deepEqual(complaints, []);
});

test("a broken link says so", async (t) => {
  const { page } = await visit(t, { path: "/#join=stemma1.AAAA", ready: ".pane-failed" });
  assert.match(await page.innerText(".pane-failed"), /Guest could not be opened/);
  assert.equal(new URL(page.url()).hash, "");
});

test("the drawer shows the bytes of the wire, and no word of the text is in them", async (t) => {
  const wire: Buffer[] = [];
  const { page, complaints } = await visit(t, { wire });
  const secrets = ["Zugspitze at dawn", "provisions", "bread and cheese"];
  await type(page, "ada", `${secrets[0]} `);
  await addFact(page, "ben", secrets[1] ?? "", secrets[2] ?? "");
  for (const pane of ["ada", "ben"]) await badges(page, pane, ["saved here", "saved at relay", "3 of 3 agree"]);
  await page.click("#drawer-open");
  await page.locator(".part.sealed").first().waitFor();

  // The newest changeset, as painted, is in a frame that the browser's own protocol reports.
  const painted = (await page.locator(".drawer-bytes .part").evaluateAll((parts) =>
    parts.map((part) => [part.querySelector("b")?.textContent, part.querySelector("code")?.textContent?.replaceAll(" ", "")]),
  )) as [string, string][];
  const all = Buffer.concat(wire).toString("hex");
  for (const [name, bytes] of painted) assert.ok(bytes.length > 0 && all.includes(bytes), name);
  assert.ok(painted.some(([name]) => name === "skeleton") && painted.some(([name]) => name === "content"));

  for (const secret of [...secrets, "mountains", "Lagazuoi"]) {
    assert.equal(all.includes(Buffer.from(secret).toString("hex")), false, secret);
    await page.fill("#drawer-find", secret);
    await page.locator("#drawer-found", { hasText: /^nowhere in [\d,]+ bytes$/ }).waitFor();
  }
  const drawn = await page.innerText("#drawer");
  for (const secret of secrets) assert.equal(drawn.includes(secret), false, secret);

  await page.check("#drawer-every");
  await page.locator(".entry b", { hasText: "PUSH" }).first().waitFor();
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("#drawer").isHidden(), true);
  assert.deepEqual(complaints, []);
});

test("without a relay the page says so and works", async (t) => {
  const { page } = await visit(t, { path: "/?relay=ws://127.0.0.1:1" });
  await page.locator("#relay-words", { hasText: /^No answer from ws:\/\/127\.0\.0\.1:1/ }).waitFor();
  await type(page, "ada", "alone ");
  await page.locator("#ada [data-badge=local] b", { hasText: "saved here" }).waitFor();
  await page.click("#direct");
  await shows(page, "ben", "alone ");
  await page.locator("#ben [data-badge=parity] b", { hasText: "3 of 3 agree" }).waitFor();
});

test("reset deletes the local copies after asking", async (t) => {
  const { page, complaints } = await visit(t);
  await type(page, "ada", "to be forgotten ");
  await page.click("#reset-open");
  await page.click("#reset-no");
  await page.click("#reset-open");
  await Promise.all([page.waitForEvent("load"), page.click("#reset-yes")]);
  await shows(page, "ben", "A week in the mountains");
  assert.equal((await textOf(page, "ada")).includes("to be forgotten"), false);
  assert.deepEqual(complaints, []);
});

test("a phone scrolls in one direction only, and nothing jumps while the page opens", async (t) => {
  const { page } = await visit(t, { width: 390 });
  const width = () => page.evaluate(() => document.documentElement.scrollWidth);
  await type(page, "ada", "x".repeat(80));
  await addFact(page, "ada", "k".repeat(60), "v".repeat(300));
  await actAs(page, "ben");
  await page.locator("#ben [aria-label^='Delete kkk']").waitFor();
  assert.equal(await width(), 390);
  await page.click("#drawer-open");
  await page.locator(".part.sealed").first().waitFor();
  assert.equal(await width(), 390);
  const shifts = await page.evaluate(() => (globalThis as unknown as { shifts: number[] }).shifts);
  assert.ok(shifts.reduce((sum, shift) => sum + shift, 0) < 0.01, `layout shifts: ${shifts.join(" ")}`);
});

test("everything is reached by keyboard, and names itself", async (t) => {
  const { page } = await visit(t);
  const control = page.locator("#ada .switch");
  await control.focus();
  await page.keyboard.press("Space");
  assert.equal(await control.getAttribute("aria-checked"), "false");
  await page.keyboard.press("Space");
  assert.equal(await control.getAttribute("aria-checked"), "true");
  const nameless = await page.locator("button, input, a, [tabindex='0']").evaluateAll((elements) =>
    elements
      .filter((element) => !element.getAttribute("aria-label") && !element.textContent?.trim() && !(element as HTMLInputElement).labels?.length)
      .map((element) => element.outerHTML),
  );
  assert.deepEqual(nameless, []);
  await page.locator("#ada .pane-said", { hasText: "Ada: saved here, saved at relay, 3 of 3 agree" }).waitFor({ state: "attached" });
});

test("what is proven holds without an engine, also once its words are erased; and two stories are caught", async (t) => {
  const { page, complaints } = await visit(t);
  await type(page, "ada", "to be erased ");
  await shows(page, "ben", "to be erased ");
  await page.click("#audit-open");
  await page.click("#blocks-begin");
  await page.locator("#blocks .block").first().waitFor();
  const mine = page.locator("#blocks .entry", { hasText: "Ada" });
  await mine.first().waitFor();
  await page.click("#blocks-check");
  await page.locator("#blocks-verdict", { hasText: /^\d+ blocks?, worked out once more: all right$/ }).waitFor();

  // The changeset with these words: the one of Ada's whose erasure takes them away.
  for (let at = 0; (await textOf(page, "ada")).includes("to be erased"); at++) {
    assert.ok(at < (await mine.count()), "none of the changesets of the blocks has the words");
    await mine.nth(at).click();
    await page.click("#proof-make");
    const first = page.locator("#proof-result .verdict").first();
    await first.waitFor();
    assert.match(await first.innerText(), /^✓ Checked from outside\. The proof holds\.[^]*no engine, no key and no copy/);
    await page.click("#proof-redact");
    await page.locator("#proof-result .verdict.holds", { hasText: "Its words are gone" }).or(page.locator("#audit-trouble:not(:empty)")).first().waitFor();
  }
  await page.locator("#proof-result .verdict.holds", { hasText: "Its words are gone" }).waitFor();
  for (const pane of ["ben", "mallory"]) {
    await page.waitForFunction((id) => !document.querySelector(`#${id} .cm-content`)?.textContent?.includes("to be erased"), pane);
  }

  await page.click("#fork-make");
  const caught = page.locator("#fork-result .verdict");
  await caught.waitFor({ timeout: 20_000 });
  assert.match(await caught.innerText(), /^✓ Caught: fork[^]*quarantined/);
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("#audit").isHidden(), true);
  await page.click("#audit-open");
  await page.click("#drawer-open");
  assert.deepEqual([await page.locator("#audit").isHidden(), await page.locator("#drawer").isHidden()], [true, false]);
  assert.deepEqual(complaints, []);
});
