/** What the page shows as its code, and runs: the listing is cut from this very file. */

// #region listing
import { defaultKeymap } from "@codemirror/commands";
import { EditorView, drawSelection, keymap, placeholder } from "@codemirror/view";
import { type BanOptions, type ExcludeOptions, type PreviewOptions, type Readable, type Space, open } from "stemma";
import { type AuthorOptions, type CursorOptions, stemma } from "stemma/codemirror";

// A replica with a database of its own. It founds a space, or joins the one of an invite.
export const replica = (name: string, relay: string, invite?: string, webSocket = WebSocket) =>
  open({ name, relay, webSocket, init: write, ...(invite && { invite }) });

// What a new space begins with.
const write = (space: Space) => {
  space.getText("note").insert(0, NOTE);
  space.getMap("facts").set("hut", "Lagazuoi").set("nights", "4");
};

// An editor on the shared text: own edits go out, the edits of others come in, with their cursors and in their colours.
export const editor = (space: Space, parent: Element, cursors: CursorOptions, authors: AuthorOptions) => {
  const text = space.getText("note");
  return new EditorView({ doc: text.toString(), extensions: [stemma(text, { cursors, authors }), look(cursors.name)], parent });
};

// A shared map is a map. Values written at the same time are all kept, the one that shows comes first.
export const facts = (space: Readable) => {
  const map = space.getMap("facts");
  return new Map([...map.keys()].map((key) => [key, map.conflicts(key)]));
};

// A ledger: accounts that pay each other in cents. What everybody stands at follows from the payments that count.
export const expenses = (space: Readable) => space.getLedger("trip");

// What it would be like without some changes, or without somebody's. Nothing is written.
export const preview = (space: Space, what: PreviewOptions) => space.policy.preview(what);

// They do not count for me, in the past as well: some changes, or what somebody writes, from some point on.
export const exclude = (space: Space, changesets: readonly string[], o?: ExcludeOptions) =>
  space.policy.exclude(changesets, o);
export const ban = (space: Space, who: string, scope: BanOptions) => space.policy.ban(who, scope);

// Or nothing of the others counts before I accept it, or them.
export const review = (space: Space, on: boolean) => (space.policy.mode = on ? "review" : "open");
export const accept = (space: Space, what: string | readonly string[]) => space.policy.accept(what);

// Whoever I trust decides with me: what they exclude is hidden for me too, unless I say otherwise.
export const trust = (space: Space, member: string, weight: number) =>
  weight > 0 ? space.policy.trust(member, { weight }) : space.policy.distrust(member);

// Nothing was deleted: once this is taken back, the text is what it was, letter by letter.
export const takeBack = (space: Space, what: string | readonly string[]) => space.policy.withdraw(what);

// As it was by its authors' clocks, with what I believe today, or believed then.
export const then = (space: Space, time: number, policy: "now" | "then") => space.at(time, { policy });

// Resolves when the disk has it, then when the relay has it.
export const saved = (space: Space, tier: "local" | "relay") => space.flush().saved(tier);
// #endregion

const NOTE = `A week in the mountains

Train at 7:12, platform 4. Whoever is first keeps seats.
Bring: head lamp, cards, the good coffee.
`;

const look = (name = "") => [
  keymap.of(defaultKeymap),
  drawSelection(),
  EditorView.lineWrapping,
  placeholder("Nothing has arrived here yet. Write something."),
  EditorView.contentAttributes.of({ "aria-label": `Shared text, replica of ${name}`, spellcheck: "false" }),
];
