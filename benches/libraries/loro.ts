import { LoroDoc } from "loro-crdt";
import type { Library, TextDocument, TextOptions } from "./library.ts";

export const loro: Library = {
  text: (o) => wrap(new LoroDoc(), o),
  load: (bytes, o) => wrap(LoroDoc.fromSnapshot(bytes), o),
  map(told) {
    const doc = new LoroDoc();
    const map = doc.getMap("map");
    map.subscribe(told);
    return {
      set: (key, value) => map.set(key, value),
      group: (edits) => commit(doc, edits),
      read: () => map.toJSON(),
    };
  },
  past(document) {
    const { doc } = document as LoroText;
    let frontiers: any;
    return {
      mark: () => void (frontiers = doc.frontiers()),
      read() {
        doc.checkout(frontiers);
        const text = doc.getText("text").toString();
        doc.checkoutToLatest();
        return text;
      },
    };
  },
};

interface LoroText extends TextDocument {
  doc: any;
}

/** Listeners are called in a microtask after the commit. */
function commit(doc: any, edits: () => void): Promise<void> {
  edits();
  doc.commit();
  return Promise.resolve();
}

function wrap(doc: any, { author, told, updates }: TextOptions): LoroText {
  doc.setPeerId(String(author + 1));
  const text = doc.getText("text");
  text.subscribe(told);
  let last: Uint8Array = new Uint8Array();
  if (updates) doc.subscribeLocalUpdates((update: Uint8Array) => (last = update));
  return {
    insert: (at, string) => text.insert(at, string),
    delete: (at, length) => text.delete(at, length),
    group: (edits) => commit(doc, edits),
    text: () => text.toString(),
    update: () => last,
    apply: (update) => void doc.import(update),
    save: () => doc.export({ mode: "snapshot" }),
    doc,
  };
}
