// What a recorded session sends: typed when it was typed, gathered as the product gathers what is edited outside of transactions.

import { WebSocket } from "ws";
import * as Y from "yjs";
import { Relay } from "../../tests/web/harness.ts";
import { timedTrace } from "../../tests/traces.ts";
import { apply, openSpace } from "../stemma.ts";
import { expect } from "../jobs/job.ts";
import { add } from "./figures.ts";

/** Edits are gathered so long while others are online. */
const AGE_MS = 200;

const NAME = "sveltecomponent";

export async function session(owner: Owner, quick: boolean): Promise<void> {
  const trace = await timedTrace(NAME);
  const edits = quick ? trace.edits.slice(0, 1_000) : trace.edits;
  const batches: (typeof edits)[] = [];
  let begun = Number.NEGATIVE_INFINITY;
  for (const edit of edits) {
    if (edit.ms >= begun + AGE_MS) {
      batches.push([]);
      begun = edit.ms;
    }
    batches.at(-1)?.push(edit);
  }
  const load = `session, ${trace.name}`;
  const typed = edits.reduce((sum, { patches }) => sum + patches.reduce((sum, [, , inserted]) => sum + inserted.length, 0), 0);
  add(load, "typed characters", typed, "");
  add(load, "batches", batches.length, "");

  const relay = await Relay.start(owner, ["--rows-per-second", "1000000", "--rows-burst", "1000000"]);
  const space = await openSpace({ relay: relay.url, webSocket: CountingSocket as unknown as typeof globalThis.WebSocket });
  await space.sync.settled();
  const before = sent;
  const text = space.getText("text");
  for (const batch of batches) {
    for (const { patches } of batch) apply(text, patches);
    space.flush();
  }
  await space.flush().saved("relay");
  add(load, "stemma: sent to the relay", (sent - before) / typed, "B/character");
  const shown = text.toString();
  await space.close();

  const document = new Y.Doc();
  let bytes = 0;
  document.on("update", (update: Uint8Array) => (bytes += update.length));
  const other = document.getText("text");
  for (const batch of batches) {
    document.transact(() => {
      for (const { patches } of batch) {
        for (const [position, deleted, inserted] of patches) {
          if (deleted) other.delete(position, deleted);
          if (inserted) other.insert(position, inserted);
        }
      }
    });
  }
  expect("text", shown, other.toString());
  add(load, "yjs: updates, neither signed nor encrypted", bytes / typed, "B/character");
}

type Owner = Parameters<typeof Relay.start>[0];

let sent = 0;

/** Counts what is sent, heads of WebSocket frames aside. */
class CountingSocket extends WebSocket {
  override send(data: Uint8Array, ...rest: any[]): void {
    sent += data.byteLength;
    super.send(data, ...(rest as []));
  }
}
