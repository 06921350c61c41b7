// Rich text: marks over a text that two people edit. Bold text grows when somebody types at its end, a link does not.

import { pair } from "./pair.mjs";

const { ada, bob, meet, close } = await pair();
const note = (space) => space.getText("note");
const show = (text) =>
  text
    .toDelta()
    .map(({ insert, attributes }) => (attributes ? `[${Object.keys(attributes).sort().join("+")}: ${insert}]` : insert))
    .join("");

note(ada).append("Meet at the hut");
await meet();

ada.transact(() => note(ada).mark(0, 4, "bold", true));
note(bob).mark(12, 15, "link", "https://hut.example", { expand: "none" });
note(bob).insert(4, " us"); // at the end of what is bold for Ada
await meet();
console.log(show(note(ada)));

note(ada).append(" at noon"); // behind the link
note(bob).mark(0, 7, "italic", true);
await meet();
console.log(show(note(bob)));

ada.undo(); // typing
ada.undo(); // and the mark; what Bob marked stays
await meet();
console.log(show(note(bob)));
await close();
