import * as Y from "yjs";
import type { Library, TextDocument, TextOptions } from "./library.ts";

const library = (gc: boolean): Library => ({
  text: (o) => wrap(new Y.Doc({ gc }), o),
  load(bytes, o) {
    const doc = new Y.Doc({ gc });
    Y.applyUpdateV2(doc, bytes);
    return wrap(doc, o);
  },
  map(told) {
    const doc = new Y.Doc({ gc });
    const map = doc.getMap("map");
    map.observe(told);
    return {
      set: (key, value) => void map.set(key, value),
      group: (edits) => doc.transact(edits),
      read: () => map.toJSON(),
    };
  },
});

export const yjs = library(true);
/** Keeps what was deleted. */
export const yjsKeeping = library(false);

function wrap(doc: any, { author, told, updates }: TextOptions): TextDocument {
  doc.clientID = author + 1;
  const text = doc.getText("text");
  text.observe(told);
  let last: Uint8Array = new Uint8Array();
  if (updates) doc.on("update", (update: Uint8Array) => (last = update));
  return {
    insert: (at, string) => text.insert(at, string),
    delete: (at, length) => text.delete(at, length),
    group: (edits) => doc.transact(edits),
    text: () => text.toString(),
    update: () => last,
    apply: (update) => Y.applyUpdate(doc, update),
    save: () => Y.encodeStateAsUpdateV2(doc),
  };
}
