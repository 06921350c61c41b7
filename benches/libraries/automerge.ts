import * as A from "@automerge/automerge";
import type { Library, TextDocument, TextOptions } from "./library.ts";

const actor = (number: number) => number.toString(16).padStart(32, "0");

export const automerge: Library = {
  text: (o) => wrap(A.clone(start(), { actor: actor(o.author + 1) }), o),
  load: (bytes, o) => wrap(A.load(bytes, { actor: actor(o.author + 1) }), o),
  map(told) {
    let [doc, open] = [A.init(), undefined as any];
    return {
      set: (key, value) => void (open[key] = value),
      group(edits) {
        doc = A.change(doc, { patchCallback: told }, (proxy: any) => {
          open = proxy;
          edits();
        });
      },
      read: () => ({ ...doc }),
    };
  },
  past(document) {
    let heads: any;
    const doc = () => (document as AutomergeText).doc();
    return { mark: () => void (heads = A.getHeads(doc())), read: () => A.view(doc(), heads).text };
  },
};

interface AutomergeText extends TextDocument {
  doc(): any;
}

/** The same first change for every author. */
function start(): any {
  return A.change(A.init({ actor: actor(0) }), { time: 0 }, (doc: any) => void (doc.text = ""));
}

function wrap(first: any, { told }: TextOptions): AutomergeText {
  let [doc, open] = [first, undefined as any];
  return {
    insert: (at, string) => A.splice(open, ["text"], at, 0, string),
    delete: (at, length) => A.splice(open, ["text"], at, length),
    group(edits) {
      doc = A.change(doc, { patchCallback: told }, (proxy: any) => {
        open = proxy;
        edits();
      });
    },
    text: () => doc.text,
    update: () => A.getLastLocalChange(doc),
    apply: (update) => void ([doc] = A.applyChanges(doc, [update], { patchCallback: told })),
    save: () => A.save(doc),
    doc: () => doc,
  };
}
