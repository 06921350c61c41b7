import * as Y from "ywasm";
import type { Library, TextDocument, TextOptions } from "./library.ts";

export const ywasm: Library = {
  text: (o) => wrap(new Y.YDoc({ clientID: o.author + 1 }), o),
  load(bytes, o) {
    const doc = new Y.YDoc({ clientID: o.author + 1 });
    Y.applyUpdateV2(doc, bytes, undefined);
    return wrap(doc, o);
  },
  map(told) {
    const doc = new Y.YDoc({});
    const map = doc.getMap("map");
    map.observe(told);
    const transaction = transactions(doc);
    return {
      set: (key, value) => map.set(key, value, transaction.current),
      group: transaction.group,
      read: () => map.toJson(undefined),
    };
  },
};

function transactions(doc: any) {
  const transaction = {
    current: undefined as any,
    group(edits: () => void) {
      const current = doc.beginTransaction(undefined);
      transaction.current = current;
      edits();
      transaction.current = undefined;
      current.commit();
      current.free();
    },
  };
  return transaction;
}

function wrap(doc: any, { told, updates }: TextOptions): TextDocument {
  const text = doc.getText("text");
  text.observe(told);
  let last: Uint8Array = new Uint8Array();
  if (updates) doc.onUpdate((update: Uint8Array) => (last = update));
  const transaction = transactions(doc);
  return {
    insert: (at, string) => text.insert(at, string, undefined, transaction.current),
    delete: (at, length) => text.delete(at, length, transaction.current),
    group: transaction.group,
    text: () => text.toString(undefined),
    update: () => last,
    apply: (update) => Y.applyUpdate(doc, update, undefined),
    save: () => Y.encodeStateAsUpdateV2(doc),
  };
}
