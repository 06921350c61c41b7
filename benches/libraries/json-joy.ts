import { Patch } from "json-joy/lib/json-crdt-patch/index.js";
import { Model } from "json-joy/lib/json-crdt/index.js";
import type { Library, TextDocument, TextOptions } from "./library.ts";

/** Session ids below 65,536 are reserved. */
const FIRST_SESSION = 65_536;

export const jsonJoy: Library = {
  text: (o) => wrap(start({ text: "" }).fork(FIRST_SESSION + 1 + o.author), o),
  load: (bytes, o) => wrap(Model.load(bytes, FIRST_SESSION + 1 + o.author), o),
  map(told) {
    const model = start({ map: {} });
    const map = model.api.obj(["map"]);
    model.api.onPatch.listen(told);
    model.api.onFlush.listen(told);
    return {
      set: (key, value) => void map.set({ [key]: value }),
      group(edits) {
        edits();
        model.api.flush();
      },
      read: () => map.view(),
    };
  },
};

/** The same first patch for every author. */
function start(value: unknown): any {
  const model: any = Model.create(undefined, FIRST_SESSION);
  model.api.set(value);
  model.api.flush();
  return model;
}

function wrap(model: any, { told }: TextOptions): TextDocument {
  const text = model.api.str(["text"]);
  model.api.onPatch.listen(told);
  model.api.onFlush.listen(told);
  let last: any;
  return {
    insert: (at, string) => text.ins(at, string),
    delete: (at, length) => text.del(at, length),
    group(edits) {
      edits();
      last = model.api.flush();
    },
    text: () => text.view(),
    update: () => last.toBinary(),
    apply: (update) => model.applyPatch(Patch.fromBinary(update)),
    save: () => model.toBinary(),
  };
}
