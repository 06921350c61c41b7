// Whom the visitors of the site believe: three panes, a vandal, and what the log lets them do about it.

import { strict as assert } from "node:assert";
import { after, test } from "node:test";
import type { Page } from "playwright-core";
import { PAUSE_MS } from "../../www/marks.ts";
import { READY, Site, actAs, addFact, fact, shows, textOf, type } from "./site.ts";

const site = await Site.start({ after });
const visit = site.visit.bind(site);
const PANES = ["ada", "ben", "mallory"];

test("Mallory spoils a note that two edit; each bans her from another point, sees what was promised, and gets all of it back", async (t) => {
  const { page, complaints } = await visit(t);
  const original = await textOf(page, "ada");
  await write(page, "ada", "by Ada ");
  await write(page, "ben", "by Ben ");
  await write(page, "mallory", "FIRST SPAM ");
  await pause(page);
  await write(page, "ada", "more by Ada ");
  await write(page, "mallory", "SECOND SPAM ");
  await addFact(page, "mallory", "hut", "burnt down");
  const everything = `SECOND SPAM more by Ada FIRST SPAM by Ben by Ada ${original}`;
  for (const pane of PANES) await reads(page, pane, everything, "burnt down");
  await agree(page, 3);
  const before = await hashes(page);

  // For Ada nothing of hers counts, from the beginning.
  await page.click("[aria-label='Ban Mallory']");
  await previews(page, "ada", "SECOND SPAM |FIRST SPAM ", "");
  await reads(page, "ada", everything, "burnt down");
  await page.click("#card-act");
  const withoutAny = `more by Ada by Ben by Ada ${original}`;
  await reads(page, "ada", withoutAny, "Lagazuoi");

  // For Ben what she wrote since a mark of hers, which he picks in the log.
  await actAs(page, "ben");
  await page.click("[aria-label='Ban Mallory']");
  await marksOf(page, "Mallory").nth(1).click();
  assert.equal(await page.isChecked("#scope-since"), true);
  await previews(page, "ben", "SECOND SPAM ", "");
  await page.click("#card-act");
  const withoutLater = `more by Ada FIRST SPAM by Ben by Ada ${original}`;
  await reads(page, "ben", withoutLater, "Lagazuoi");
  await reads(page, "mallory", everything, "burnt down");

  // Each sees a state of its own, and knows why.
  for (const pane of PANES) await page.locator(`#${pane} [data-badge=parity] b`, { hasText: "1 of 3 agree" }).waitFor();
  await page.locator("#agreement", { hasText: "1 of 3 panes sees what Ben sees: Ada and Mallory believe otherwise." }).waitFor();

  // What she writes now is later than either point.
  await type(page, "mallory", "THIRD SPAM ");
  await reads(page, "mallory", `THIRD SPAM ${everything}`, "burnt down");
  await settled(page);
  await reads(page, "ada", withoutAny, "Lagazuoi");
  await reads(page, "ben", withoutLater, "Lagazuoi");

  await page.reload();
  await page.locator(READY).waitFor();
  await reads(page, "ada", withoutAny, "Lagazuoi");
  await reads(page, "ben", withoutLater, "Lagazuoi");
  await reads(page, "mallory", `THIRD SPAM ${everything}`, "burnt down");

  for (const pane of ["ada", "ben"]) {
    await actAs(page, pane);
    await page.click("[aria-label='Mallory is banned: look at it']");
    await page.click("#card-act");
    await reads(page, pane, `THIRD SPAM ${everything}`, "burnt down");
  }
  await agree(page, 3);

  await page.keyboard.press("Escape");
  await page.click("#mallory .cm-content");
  await page.keyboard.press("Control+Home");
  for (let left = "THIRD SPAM ".length; left > 0; left--) await page.keyboard.press("Delete");
  for (const pane of PANES) await reads(page, pane, everything, "burnt down");
  await page.reload();
  await page.locator(READY).waitFor();
  await agree(page, 3);
  for (const pane of PANES) await reads(page, pane, everything, "burnt down");
  assert.deepEqual(await hashes(page), before, "the same bytes and the same hash as before any word was said");
  assert.deepEqual(complaints, []);
});

test("a ban from now on leaves what was written, and hides what comes", async (t) => {
  const { page } = await visit(t);
  await write(page, "mallory", "fine so far ");
  const before = await textOf(page, "ben");
  await actAs(page, "ben");
  await page.click("[aria-label='Ban Mallory']");
  await page.check("#scope-now");
  await page.locator("#card-said", { hasText: "Nothing changes now." }).waitFor();
  assert.equal(await page.locator("#ben .glass :is(del, ins)").count(), 0);
  await page.click("#card-act");
  await page.locator("#card-undo").waitFor();
  await shownWords(page, "Ben", 1);
  await page.locator("#mallory [data-badge=relay] b", { hasText: "saved at relay" }).waitFor();
  await settled(page);
  await type(page, "mallory", "not any more ");
  await shows(page, "ada", "not any more ");
  await settled(page);
  assert.equal(await textOf(page, "ben"), before);
});

test("under review what others write waits, is looked at, and is let in one by one or with its author", async (t) => {
  const { page, complaints } = await visit(t);
  const original = await textOf(page, "ada");
  await write(page, "ben", "by Ben ");
  await page.check("#review");
  await reads(page, "ada", original, "Lagazuoi");
  await page.locator("#waiting", { hasText: "1 waits" }).waitFor();
  await type(page, "mallory", "FREE GOLD ");
  await shows(page, "ben", "FREE GOLD ");
  await page.locator("#waiting", { hasText: "2 wait" }).waitFor();
  assert.equal(await textOf(page, "ada"), original);
  await page.click("#waiting");
  assert.equal(await page.innerText("#card-title"), "With this change by Ben");
  await previews(page, "ada", "", "by Ben ");
  assert.equal(await page.evaluate(() => document.activeElement?.id), "card-act");
  await page.click("#card-act");
  await reads(page, "ada", `by Ben ${original}`);
  await page.click("#card-undo");
  await reads(page, "ada", original);
  // The person, with all that is yet to come.
  await page.click("#waiting");
  await page.check("#card-along");
  await page.locator("#card-act", { hasText: "Accept Ben" }).waitFor();
  await page.click("#card-act");
  await reads(page, "ada", `by Ben ${original}`);
  await page.locator("#waiting", { hasText: "1 waits" }).waitFor();
  await type(page, "ben", "again ");
  await reads(page, "ada", `again by Ben ${original}`);
  await settled(page);
  await page.reload();
  await page.locator(READY).waitFor();
  await reads(page, "ada", `again by Ben ${original}`);
  assert.equal(await page.isChecked("#review"), true);
  await actAs(page, "ben");
  assert.equal(await page.isChecked("#review"), false, "everybody reviews alone");
  await actAs(page, "ada");
  await page.uncheck("#review");
  await shows(page, "ada", "FREE GOLD ");
  await agree(page, 3);
  assert.deepEqual(complaints, []);
});

test("whoever is trusted decides along, as much as the words weigh, until the trust is taken back", async (t) => {
  const { page, complaints } = await visit(t);
  await write(page, "mallory", "FREE GOLD ");
  const everything = await textOf(page, "ada");
  await agree(page, 3);
  const before = await hashes(page);
  const without = everything.replace("FREE GOLD ", "");
  await actAs(page, "ben");
  await page.click("[aria-label='Ban Mallory']");
  await page.click("#card-act");
  await reads(page, "ben", without);
  await actAs(page, "ada");
  await shownWords(page, "Ben", 1);
  await reads(page, "ada", everything);
  await page.click("[aria-label='Trust Ben']");
  assert.equal(await page.isChecked("#trust-1"), true);
  await previews(page, "ada", "FREE GOLD ", "");
  await page.locator("#card-said", { hasText: "The words of Ben mean nothing to Ada. 1 edit by Mallory would stand otherwise." }).waitFor();
  await page.click("#card-act");
  await reads(page, "ada", without);
  const mark = marksOf(page, "Mallory").first();
  await mark.hover();
  assert.match(await page.innerText("#card-hint"), /Does not count for Ada: Ben banned Mallory for all of history\.$/);
  // Undone, said again, and weighed otherwise by keyboard.
  await page.mouse.move(0, 0);
  await page.click("#card-undo");
  await reads(page, "ada", everything);
  await page.locator("[aria-label='Trust Ben']").focus();
  await page.keyboard.press("Enter");
  await page.check("#trust-2");
  await page.locator("#card-act").focus();
  await page.keyboard.press("Enter");
  await reads(page, "ada", without);
  await page.click("[aria-label='Ben is trusted: look at it']");
  await page.locator("#card-said", { hasText: "The words of Ben count twice for Ada." }).waitFor();
  await previews(page, "ada", "", "FREE GOLD ");
  await page.click("#card-act");
  await reads(page, "ada", everything);
  await actAs(page, "ben");
  await page.click("[aria-label='Mallory is banned: look at it']");
  await page.click("#card-act");
  await agree(page, 3);
  assert.deepEqual(await hashes(page), before);
  assert.deepEqual(complaints, []);
});

test("an exclusion is looked at, made, and taken back", async (t) => {
  const { page, complaints } = await visit(t);
  await write(page, "mallory", "[gold for free] ");
  await pause(page);
  await page.click("#ben .cm-content");
  await page.keyboard.press("Control+Home");
  for (let right = 0; right < 5; right++) await page.keyboard.press("ArrowRight");
  await page.keyboard.type(" and silver");
  for (const pane of PANES) await shows(page, pane, "[gold and silver for free] ");
  await agree(page, 3);
  const everything = await textOf(page, "ada");
  const before = await hashes(page);
  const mark = marksOf(page, "Mallory").first();

  await mark.hover();
  assert.match(await page.innerText("#card-title"), /^Mallory, \d\d:\d\d:\d\d$/);
  assert.match(await page.innerText("#card-hint"), /^\d edits?, signature checked, key [0-9a-f]{8}\. Counts for Ada\.$/);
  await mark.click();
  await previews(page, "ada", "[gold| for free] ", "");
  await page.locator("#card-along-words", { hasText: "and 1 edit by Ben inside of it" }).waitFor();
  await page.check("#card-along");
  await previews(page, "ada", "[gold and silver for free] ", "");
  await page.uncheck("#card-along");
  await previews(page, "ada", "[gold| for free] ", "");
  assert.equal(await page.locator(".mark[data-kind=word]").count(), 0, "looking writes nothing");
  for (const pane of ["ben", "mallory"]) assert.equal(await textOf(page, pane), everything);

  await page.click("#card-act");
  await reads(page, "ada", everything.replace("[gold and silver for free] ", " and silver"));
  assert.equal(await mark.getAttribute("data-status"), "hidden");
  assert.equal(await textOf(page, "ben"), everything);
  await shownWords(page, "Ada", 1);
  assert.equal(await page.evaluate(() => document.activeElement?.id), "card-undo");
  await page.click("#card-undo");
  await reads(page, "ada", everything);
  await agree(page, 3);
  assert.deepEqual(await hashes(page), before);

  // The same by the mark itself: what does not count shows what would come back.
  await page.mouse.move(0, 0);
  await mark.click();
  await page.check("#card-along");
  await page.click("#card-act");
  await reads(page, "ada", everything.replace("[gold and silver for free] ", ""));
  await mark.click();
  await previews(page, "ada", "", "[gold for free] ");
  await page.click("#card-back");
  await marksOf(page, "Ada").last().click();
  await page.locator("#card-act", { hasText: "Take it back" }).click();
  await reads(page, "ada", everything);
  await agree(page, 3);
  assert.deepEqual(complaints, []);
});

test("the slider shows the past, by what counts today and by what counted then", async (t) => {
  const { page } = await visit(t);
  const original = await textOf(page, "ada");
  await write(page, "mallory", "spam ");
  await pause(page);
  await write(page, "ada", "ham ");
  await pause(page);
  await page.click("[aria-label='Ban Mallory']");
  await page.click("#card-act");
  await reads(page, "ada", `ham ${original}`);
  await shownWords(page, "Ada", 1);
  assert.equal(await page.locator(".ticks i").count(), 1, "one word, one tick");

  const slider = page.locator("#time");
  assert.equal(await slider.getAttribute("aria-valuetext"), "now");
  await slider.focus();
  await page.keyboard.press("ArrowLeft"); // before the ban
  assert.match((await slider.getAttribute("aria-valuetext")) ?? "", /^\d\d:\d\d:\d\d$/);
  await underGlass(page, "ada", `ham ${original}`);
  await page.check("#policy-then");
  await underGlass(page, "ada", `ham spam ${original}`);
  await slider.focus();
  await page.keyboard.press("ArrowLeft"); // before Ada's word
  await underGlass(page, "ada", `spam ${original}`);
  await page.check("#policy-now");
  await underGlass(page, "ada", original);
  await page.click("#card-back");
  assert.equal(await page.locator("#ada .glass").isHidden(), true);
  assert.equal(await slider.getAttribute("aria-valuetext"), "now");
  assert.equal(await textOf(page, "ada"), `ham ${original}`);
});

test("the log is used by keyboard, and nothing moves while it is", async (t) => {
  const { page } = await visit(t);
  await write(page, "ben", "one ");
  await write(page, "mallory", "two ");
  // Of the page, not of the window: what gets the focus is scrolled into view.
  const places = () =>
    page.locator("#panes, #log, #strip, #card, .bar").evaluateAll((all) =>
      all.map((one) => {
        const { x, y, width, height } = one.getBoundingClientRect();
        return [x + scrollX, y + scrollY, width, height].join();
      }),
    );
  const before = await places();
  await marksOf(page, "Mallory").last().focus();
  await page.keyboard.press("ArrowLeft");
  assert.equal(await focusedLane(page), "Changes by Ben");
  await page.keyboard.press("ArrowDown");
  assert.equal(await focusedLane(page), "Changes by Mallory");
  await page.keyboard.press("Home");
  assert.equal(await focusedLane(page), "Changes by Ada");
  await page.keyboard.press("End");
  await page.keyboard.press("Enter");
  await previews(page, "ada", "two ", "");
  assert.deepEqual(await places(), before);
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("#ada .glass").isHidden(), true);
  assert.equal(await focusedLane(page), "Changes by Mallory");
  await page.locator("[aria-label='Ban Mallory']").focus();
  await page.keyboard.press("Enter");
  await page.locator("#card-act", { hasText: "Ban Mallory" }).waitFor();
  assert.deepEqual(await places(), before);
  await page.locator("#card-act").focus();
  await page.keyboard.press("Enter");
  await page.locator("#card-undo").waitFor();
  await page.locator("#time").focus();
  await page.keyboard.press("Home");
  await page.locator("#ada .glass").waitFor();
  assert.deepEqual(await places(), before);
  const nameless = await page.locator("#demo :is(button, input, [tabindex='0'])").evaluateAll((elements) =>
    elements.filter((one) => !one.getAttribute("aria-label") && !one.textContent?.trim() && !(one as HTMLInputElement).labels?.length).map((one) => one.outerHTML),
  );
  assert.deepEqual(nameless, []);
});

test("the button of Mallory's deeds makes a mess that one ban clears", async (t) => {
  const { page } = await visit(t);
  const original = await textOf(page, "ada");
  for (let deed = 0; deed < 4; deed++) await page.click("#spoil");
  await shows(page, "ada", "FREE GOLD");
  await page.waitForFunction(() => document.querySelector("#ada .cm-content")?.textContent?.includes("9:45"));
  await agree(page, 3);
  assert.notEqual(await textOf(page, "ada"), original);
  await page.click("[aria-label='Ban Mallory']");
  await page.click("#card-act");
  await reads(page, "ada", original, "Lagazuoi");
});

test("words and marks have contrast by day and by night", async (t) => {
  const { page } = await visit(t);
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    for (const [front, back, least] of CONTRASTS) {
      const [a, b] = await page.evaluate((names) => names.map((name) => getComputedStyle(document.documentElement).getPropertyValue(name)), [front, back]);
      const ratio = contrast(a ?? "", b ?? "");
      assert.ok(ratio >= least, `${front} on ${back}, ${colorScheme}: ${ratio.toFixed(2)}`);
    }
  }
});

/** What is read, or seen, on what; with the ratio that WCAG 2.2 AA asks. */
const CONTRASTS: readonly [string, string, number][] = [
  ["--ink", "--sheet", 4.5],
  ["--soft", "--sheet", 4.5],
  ["--soft", "--paper", 4.5],
  ["--soft", "--sunken", 4.5],
  ["--paper", "--ink", 4.5],
  ["--rubric", "--sheet", 4.5],
  ["--good", "--sunken", 4.5],
  ["--rubric-ink", "--rubric", 4.5],
  ["--bad", "--bad-paper", 4.5],
  ["--good", "--good-paper", 4.5],
  ["--wait", "--wait-paper", 4.5],
];

function contrast(front: string, back: string): number {
  const [a = 0, b = 0] = [luminance(front), luminance(back)].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
}

function luminance(hex: string): number {
  const digits = hex.trim().length > 4 ? hex.trim() : hex.trim().replace(/[0-9a-f]/gi, "$&$&");
  const channels = [1, 3, 5].map((at) => Number.parseInt(digits.slice(at, at + 2), 16) / 255);
  const [r = 0, g = 0, b = 0] = channels.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** Types at the start of a pane, and waits until all panes and the log have it. */
async function write(page: Page, pane: string, words: string): Promise<void> {
  const marks = await signed(page);
  await type(page, pane, words);
  for (const one of PANES) await shows(page, one, words);
  await page.waitForFunction((before) => document.getElementById("wire-count")?.textContent !== before, marks);
  await settled(page);
}

/** How many changesets crossed the wire. */
async function signed(page: Page): Promise<string> {
  return page.innerText("#wire-count");
}

/** Nothing is on its way any more: all is saved, and the panes know the same. */
async function settled(page: Page): Promise<void> {
  await page.waitForFunction(() => {
    const badges = [...document.querySelectorAll("[data-badge=local] b, [data-badge=relay] b")].map((badge) => badge.textContent ?? "");
    return badges.every((words) => ["saved here", "saved at relay", "nothing yet"].includes(words)) && !document.getElementById("agreement")?.textContent?.includes("other changes");
  });
}

/** Long enough for what comes next to be a mark of its own. */
async function pause(page: Page): Promise<void> {
  await page.waitForTimeout(PAUSE_MS + 200);
}

/** All panes are at rest, and so many of them show the same. */
async function agree(page: Page, count: number): Promise<void> {
  await settled(page);
  for (const pane of PANES) await page.locator(`#${pane} [data-badge=parity] b`, { hasText: `${count} of 3 agree` }).waitFor();
}

async function hashes(page: Page): Promise<string[]> {
  return page.locator("[data-badge=parity] span").allInnerTexts();
}

function marksOf(page: Page, name: string) {
  return page.locator(`[aria-label='Changes by ${name}'] .mark`);
}

async function shownWords(page: Page, name: string, count: number): Promise<void> {
  await page.waitForFunction(([name, count]) => document.querySelectorAll(`[aria-label='Changes by ${name}'] .mark[data-kind=word]`).length === count, [name, count] as const);
}

/** The text of a pane, to the letter, and what its hut is called. */
async function reads(page: Page, pane: string, text: string, hut?: string): Promise<void> {
  await page
    .waitForFunction(([pane, text]) => [...document.querySelectorAll<HTMLElement>(`#${pane} .cm-line`)].map((line) => line.textContent).join("\n") === text, [pane, text] as const, { timeout: 10_000 })
    .catch(async () => assert.fail(`${pane} reads ${JSON.stringify(await textOf(page, pane))}, not ${JSON.stringify(text)}`));
  if (hut === undefined) return;
  await page
    .waitForFunction(([pane, hut]) => document.querySelector<HTMLInputElement>(`#${pane} [aria-label='Value of hut']`)?.value === hut, [pane, hut] as const, { timeout: 10_000 })
    .catch(async () => assert.equal(await fact(page, pane, "hut"), hut, pane));
}

/** What is struck through and what comes back under the glass of a pane, each piece set apart by a bar. */
async function previews(page: Page, pane: string, gone: string, back: string): Promise<void> {
  await page
    .waitForFunction(
      ([pane, gone, back]) => {
        const all = (kind: string) => [...document.querySelectorAll(`#${pane} .glass-text ${kind}`)].map((piece) => piece.textContent).join("|");
        return all("del") === gone && all("ins") === back;
      },
      [pane, gone, back] as const,
      { timeout: 10_000 },
    )
    .catch(async () => assert.fail(`not ${gone} and ${back}: ${await page.innerHTML(`#${pane} .glass`)}`));
}

/** What the note would read under the glass. */
async function underGlass(page: Page, pane: string, text: string): Promise<void> {
  await page
    .waitForFunction(
      ([pane, text]) => [...(document.querySelector(`#${pane} .glass-text`)?.childNodes ?? [])].filter((piece) => piece.nodeName !== "DEL").map((piece) => piece.textContent).join("") === text,
      [pane, text] as const,
      { timeout: 10_000 },
    )
    .catch(async () => assert.fail(`not ${text}: ${await page.innerHTML(`#${pane} .glass`)}`));
}

async function focusedLane(page: Page): Promise<string | null> {
  return page.evaluate(() => document.activeElement?.closest(".lane")?.getAttribute("aria-label") ?? null);
}
