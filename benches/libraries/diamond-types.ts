import dt from "diamond-types-node";
import type { Library, TextDocument, TextOptions } from "./library.ts";

/** Texts only. It has no transactions and tells nobody of changes; positions count code points. */
export const diamondTypes: Library = {
  text: (o) => wrap(new dt.Doc(agent(o)), o),
  load: (bytes, o) => wrap(dt.Doc.fromBytes(bytes, agent(o)), o),
  past(document) {
    let version: Uint32Array;
    let log: any;
    return {
      mark: () => void (version = (document as DiamondText).doc.getLocalVersion()),
      read() {
        log ??= dt.OpLog.fromBytes(document.save());
        const branch = new dt.Branch();
        branch.merge(log, version);
        const text = branch.get();
        branch.free();
        return text;
      },
    };
  },
};

interface DiamondText extends TextDocument {
  doc: any;
}

function agent({ author }: TextOptions): string {
  return String.fromCharCode(97 + author);
}

function wrap(doc: any, { told, updates }: TextOptions): DiamondText {
  let since = doc.getLocalVersion();
  return {
    insert: (at, string) => doc.ins(at, string),
    delete: (at, length) => doc.del(at, length),
    group(edits) {
      if (updates) since = doc.getLocalVersion();
      edits();
      told();
    },
    text: () => doc.get(),
    update: () => doc.getPatchSince(since),
    apply(update) {
      doc.mergeBytes(update);
      told();
    },
    save: () => doc.toBytes(),
    doc,
  };
}
