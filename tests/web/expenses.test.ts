// The shared expenses of the site: three people, a disputed payment, and balances to the cent as each of them believes.

import { strict as assert } from "node:assert";
import { after, test } from "node:test";
import type { Page } from "playwright-core";
import { PAUSE_MS } from "../../www/marks.ts";
import { READY, Site, actAs } from "./site.ts";

const site = await Site.start({ after });
const visit = site.visit.bind(site);
const PANES = ["ada", "ben", "mallory"];
/** What the trip leaves everybody at, with the taxi and without it. */
const WITH_TAXI = ["+47.50", "−53.00", "+5.50"];
const WITHOUT_TAXI = ["+47.50", "−5.00", "−42.50"];

test("a payment is disputed for all to read, tried without, excluded, and given back in the end", async (t) => {
  const { page, complaints } = await visit(t);
  await page.check("#showing input[value=money]");
  await page.click("#fill");
  for (const pane of PANES) await stand(page, pane, WITH_TAXI);

  await within(page, "ada", "Dispute");
  await page.keyboard.type("we walked");
  await page.keyboard.press("Enter");
  for (const pane of PANES) await page.locator(`#${pane} .payment-dispute`, { hasText: "Disputed by Ada: we walked" }).waitFor();
  for (const pane of PANES) await stand(page, pane, WITH_TAXI);

  // Looking recalculates and writes nothing.
  await within(page, "ada", "Look without it");
  const shown = page.locator("#ada .glass .balances li");
  assert.deepEqual(await shown.allInnerTexts().then((rows) => rows.map((row) => row.split(/\s+/))), [
    ["Ada", "+47.50"],
    ["Ben", "−53.00", "−5.00"],
    ["Mallory", "+5.50", "−42.50"],
  ]);
  assert.deepEqual(await page.locator("#ada .glass .balances del").allInnerTexts(), ["−53.00", "+5.50"]);
  assert.deepEqual(await page.locator("#ada .glass .payment del").allInnerTexts().then((all) => all.map((one) => one.replace(/\s+/g, " "))), ["Ben to Mallory, a taxi 48.00"]);
  assert.equal(await page.locator(".mark[data-kind=word]").count(), 0);

  // By keyboard: from the payment to the card and back.
  assert.equal(await page.evaluate(() => document.activeElement?.id), "card-act");
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("aria-label")), "Look without it: Ben to Mallory, a taxi");
  await page.keyboard.press("Enter");
  await page.locator("#ada .glass").waitFor();
  await page.keyboard.press("Enter");
  await stand(page, "ada", WITHOUT_TAXI);
  for (const pane of ["ben", "mallory"]) await stand(page, pane, WITH_TAXI);
  await page.locator("#agreement", { hasText: "1 of 3 panes sees what Ada sees: Ben and Mallory believe otherwise." }).waitFor();
  await page.click("#card-undo");
  await stand(page, "ada", WITH_TAXI);
  await within(page, "ada", "Look without it");
  await page.click("#card-act");
  await stand(page, "ada", WITHOUT_TAXI);
  await page.reload();
  await page.locator(READY).waitFor();
  await page.check("#showing input[value=money]");
  await stand(page, "ada", WITHOUT_TAXI);
  await stand(page, "ben", WITH_TAXI);

  // A button in another pane is another one's look.
  await within(page, "ben", "Look without it");
  await page.locator("#ben .glass").waitFor();
  assert.equal(await page.isChecked("#acting input[value=ben]"), true);
  await page.click("#card-back");
  await actAs(page, "ada");

  // Mallory gives it back: that is a payment like any other, and all agree but for how they got there.
  await within(page, "mallory", "Give it back");
  for (const pane of ["ben", "mallory"]) await stand(page, pane, WITHOUT_TAXI);
  await page.locator("#ada .payment-state", { hasText: "gives back what does not count" }).waitFor();
  await stand(page, "ada", WITHOUT_TAXI);
  await within(page, "ada", "Look with it");
  await page.click("#card-act");
  await page.locator("#agreement", { hasText: "All 3 panes see the same state." }).waitFor();
  await stand(page, "ada", WITHOUT_TAXI);
  assert.deepEqual(complaints, []);
});

test("a payment is made by its payer alone, in whole cents", async (t) => {
  const { page, complaints } = await visit(t);
  await page.check("#showing input[value=money]");
  await pay(page, "ben", "Ada", "0,5", "stamps");
  for (const pane of PANES) await stand(page, pane, ["+0.50", "−0.50", "0.00"]);
  for (const wrong of ["0", "-3", "1.234", "ten", "1e3"]) {
    await pay(page, "ben", "Ada", wrong, "wrong");
    assert.equal(await page.locator("#ben .payment").count(), 1, wrong);
    assert.equal(await page.locator("#ben [name=amount]").evaluate((field) => (field as HTMLInputElement).checkValidity()), false, wrong);
  }
  await pay(page, "ben", "Ada", "0.25", "more stamps");
  for (const pane of PANES) await stand(page, pane, ["+0.75", "−0.75", "0.00"]);
  await pay(page, "ada", "Mallory", "3.07", "tea");
  await page.locator("#ada .pane-notice", { hasText: "Mallory is not known here: who wrote nothing yet has no account" }).waitFor();
  await pay(page, "mallory", "Ada", "1", "tea");
  await stand(page, "ada", ["+1.75", "−0.75", "−1.00"]);
  await pay(page, "ada", "Mallory", "3.07", "tea");
  for (const pane of PANES) await stand(page, pane, ["−1.32", "−0.75", "+2.07"]);
  assert.deepEqual(complaints, []);
});

test("a ban recalculates the ledger, the slider shows it as it was, and the phone shows all of it in its width", async (t) => {
  const { page } = await visit(t, { width: 390 });
  await page.waitForTimeout(PAUSE_MS + 200); // what the space began with is a mark of its own then
  await page.check("#showing input[value=money]");
  await page.click("#fill");
  await stand(page, "ada", WITH_TAXI);
  await page.click("[aria-label='Ban Mallory']");
  await page.locator("#ada .glass .balances ins").first().waitFor();
  assert.deepEqual(await page.locator("#ada .glass .balances ins").allInnerTexts(), ["+17.50", "−65.50", "+48.00"]);
  await page.click("#card-act");
  await stand(page, "ada", ["+17.50", "−65.50", "+48.00"]);
  await actAs(page, "ben");
  await stand(page, "ben", WITH_TAXI);
  await actAs(page, "ada");
  await page.locator("#time").focus();
  await page.keyboard.press("Home");
  await page.locator("#ada .glass-head", { hasText: "As it was at" }).waitFor();
  assert.deepEqual(await page.locator("#ada .glass .balances ins").allInnerTexts(), ["0.00", "0.00", "0.00"]);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
  const nameless = await page.locator("#demo :is(button, input, select, [tabindex='0'])").evaluateAll((elements) =>
    elements.filter((one) => !one.getAttribute("aria-label") && !one.textContent?.trim() && !(one as HTMLInputElement).labels?.length).map((one) => one.outerHTML),
  );
  assert.deepEqual(nameless, []);
});

/** What everybody stands at in a pane: Ada, Ben, Mallory. */
async function stand(page: Page, pane: string, amounts: readonly string[]): Promise<void> {
  await page
    .waitForFunction(([pane, amounts]) => [...document.querySelectorAll(`#${pane} .page .balances .amount`)].map((one) => one.textContent).join() === amounts, [pane, amounts.join()] as const)
    .catch(async () => assert.deepEqual(await page.locator(`#${pane} .page .balances .amount`).allTextContents(), amounts, pane));
}

/** Presses a button of the taxi ride. */
async function within(page: Page, pane: string, words: string): Promise<void> {
  await page.locator(`#${pane} .page .payment`, { hasText: "Ben to Mallory, a taxi" }).getByText(words, { exact: true }).click();
}

async function pay(page: Page, pane: string, to: string, amount: string, memo: string): Promise<void> {
  await page.selectOption(`#${pane} .pay [name=to]`, { label: to });
  await page.fill(`#${pane} .pay [name=amount]`, amount);
  await page.fill(`#${pane} .pay [name=memo]`, memo);
  await page.click(`#${pane} .pay button`);
}
