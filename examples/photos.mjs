// Photos that are never overwritten: an object is its id, its type, and the events that concern it.

import { REMOVE } from "stemma";
import { pair } from "./pair.mjs";

const { ada, bob, meet, close } = await pair();
const later = () => new Promise((resolve) => setTimeout(resolve, 10));

// What the events of each type look like, and what each changes in the photo; the same at everybody who reads.
const definitions = {
  PhotoCreate: { fields: { name: { required: true, kind: "string" }, image_url: { kind: "string" }, camera: { kind: "string", level: 1 } } },
  PhotoModify: { fields: { name: { required: true, kind: "string" } }, apply: (photo, { data }) => ({ name: data.name }) },
  PhotoReport: { apply: (photo, { member }, access) => (access >= 2 ? { reports: [...(photo.reports ?? []), member] } : { hidden: true }) },
  PhotoClear: { apply: () => ({ hidden: REMOVE, reports: REMOVE }) },
};
for (const space of [ada, bob]) for (const [type, definition] of Object.entries(definitions)) space.define(type, definition);

// POST /photos, POST /events
ada.create("Photo", { id: "123" });
ada.emit("PhotoCreate", { concerns: "123", data: { name: "My Original Name", image_url: "", camera: "Box Brownie" } });
await later();
const tuesday = Date.now(); // or any Date
await later();
await meet();
bob.emit("PhotoModify", { concerns: ["123"], data: { name: "My New Image Name" } });
await meet();
console.log("now:", JSON.stringify(ada.read("123")));

// All its former names: no event is ever lost.
const named = ada.events("123").filter(({ data }) => data?.name);
console.log("ever:", named.map(({ data }) => data.name).join(", "));

// As it was last Tuesday.
console.log("last tuesday:", ada.at(tuesday).read("123").name);

// What is shown depends on who looks. That is display and no secrecy: every member has the events.
bob.emit("PhotoReport", { concerns: "123" });
await meet();
for (const access of [0, 1]) console.log(`access ${access}:`, JSON.stringify(ada.read("123", { access })));
console.log("reported by bob:", ada.read("123", { access: 2 }).reports[0] === bob.me);

// All photos, and an answer that follows what happens.
const album = ada.query("Photo", { orderBy: "name", live: true });
const end = album.subscribe((photos) => console.log("album:", photos.map(({ name }) => name).join(", ")));
ada.transact(() => ada.emit("PhotoCreate", { concerns: ada.create("Photo"), data: { name: "Boats" } }));
end();

// An undo takes an event back; so does a member who does not believe it.
bob.undo();
await meet();
console.log("without the report:", JSON.stringify(ada.read("123", { access: 2 })));
const { next } = ada.stats().events;
console.log("most often:", next.map(({ type, next: follows, count }) => `${type} > ${follows} ${count}`)[0]);
await close();
