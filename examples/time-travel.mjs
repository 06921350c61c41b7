// Time travel: a plan as it was on another day, what changed since, and one thing of it brought back.

import { pair } from "./pair.mjs";

const { ada, bob, meet, close } = await pair();
const [plan, note] = [ada.getMap("plan"), ada.getText("note")];

ada.transact(() => (plan.set("nights", 4).set("hut", "upper"), note.insert(0, "Bring a rope.")));
await meet();
const monday = Date.now(); // or any Date, or the id of a changeset
await new Promise((resolve) => setTimeout(resolve, 10));
bob.transact(() => (bob.getMap("plan").set("nights", 2).delete("hut"), bob.getText("note").update("Bring two ropes.")));
await meet();
console.log("now:", JSON.stringify(plan), `${note}`);

// On Monday, read through the same kind of handles; they cannot be written to.
const then = ada.at(monday);
console.log("monday:", JSON.stringify(then.getMap("plan")), `${then.getText("note")}`);

// What changed since, as a listener would have heard of it.
const now = ada.view();
for (const change of ada.diff(then, now)) console.log(change.kind, JSON.stringify(change.keys ?? change.delta));

// Without what Bob did, and nothing else: nothing is written for that.
const bobs = bob.heads[0];
console.log("without bob:", JSON.stringify(ada.view({ exclude: [bobs] }).getMap("plan")));

// One key as it was, by a new edit that everybody gets, and that undo takes back.
ada.restore(monday, { object: plan, key: "hut" });
await meet();
console.log("restored:", JSON.stringify(bob.getMap("plan")));
for (const view of [then, now]) view[Symbol.dispose](); // or `using view = ada.at(monday)`
await close();
