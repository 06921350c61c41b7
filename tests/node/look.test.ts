// A first look through a real relay: one device leaves a snapshot there, another one vouches for it, and a newcomer sees the space
// before it has read a row.

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { OpenOptions, Space, StemmaError, View } from "stemma";
import { WebSocket as Ws } from "ws";
import { Relay } from "../web/harness.ts";
import { atEnd, openSpace } from "./ends.ts";

const ROWS = 1_100;
const SECRET = "only members read this";
const [BATCH, SNAP_WANTED, SNAPSHOT, SNAP_CHUNK, SNAP_ATTEST, SNAP_BAD] = [0x06, 0x20, 0x21, 0x23, 0x24, 0x25];

/** A class of sockets that notes what goes over them. */
function noting() {
  const sent: number[] = [];
  const received: { type: number; bytes: number; has: (needle: string) => boolean }[] = [];
  class Noting extends Ws {
    constructor(url: string) {
      super(url);
      this.on("message", (data: ArrayBuffer | Buffer) => {
        const frame = Buffer.from(data as ArrayBuffer);
        received.push({ type: frame[0] as number, bytes: frame.length, has: (needle) => frame.includes(needle) });
      });
    }

    override send(data: never): void {
      sent.push((data as Uint8Array)[0] as number);
      super.send(data);
    }
  }
  return { sent, received, webSocket: Noting as unknown as typeof WebSocket };
}

const opened = (t: TestContext, o: Partial<OpenOptions>): Promise<Space> => openSpace(t, o);

async function until(what: string, condition: () => boolean, ms = 60_000): Promise<void> {
  const deadline = Date.now() + ms;
  while (!condition()) {
    assert.ok(Date.now() < deadline, `${what}, in time`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function write(space: Space): Promise<void> {
  const [text, map] = [space.getText("notes"), space.getMap("map")];
  for (let n = 0; n < ROWS; n++) {
    text.append(`${n} ${SECRET}. `);
    map.set(`key ${n % 10}`, `${n}`.padEnd(1_000, "."));
    space.flush();
    if (n % 50 === 0) await new Promise((resolve) => setTimeout(resolve));
  }
  await space.sync.settled();
}

test("a newcomer sees the space before it has read a row, and ends where all are", async (t) => {
  const relay = await Relay.start({ after: (end) => atEnd(t, end) });
  const [maker, witness, seen] = [noting(), noting(), noting()];
  const one = await opened(t, { relay: relay.url, webSocket: maker.webSocket });
  const invite = await one.invite({ uses: 9 });
  await write(one);
  // The relay looks once a second at most whether the log has grown enough.
  await until("one was made", () => (one.getMap("map").set("tick", Date.now()), one.flush(), maker.sent.includes(SNAPSHOT)));
  await one.sync.settled();
  assert.ok(maker.received.some(({ type }) => type === SNAP_WANTED));
  const two = await opened(t, { relay: relay.url, webSocket: witness.webSocket, invite });
  await until("another device vouches for it", () => witness.sent.includes(SNAP_ATTEST));
  assert.equal(two.sync.firstLook, undefined, "what only one device says is shown to nobody");
  await one.sync.settled();
  const [hash, notes] = [one.stateHash(), one.getText("notes").toString()];

  const three = await opened(t, { relay: relay.url, webSocket: seen.webSocket, invite });
  const errors: StemmaError[] = [];
  three.on("error", (error) => errors.push(error));
  let look: View | undefined;
  const ended = new Promise<void>((resolve) => {
    three.on("sync", () => {
      const now = three.sync.firstLook;
      if (now && !look) {
        look = now;
        assert.equal(three.sync.status, "catching-up");
        assert.equal(now.getText("notes").toString(), notes);
        assert.equal(now.getMap("map").size, 11);
        assert.throws(() => now.getText("notes").append("!"), { code: "E_READONLY" });
        // The space itself shows what was read of the log, and that is what is written on.
        assert.equal(three.getText("notes").length, 0);
        assert.ok(!seen.received.some(({ type }) => type === BATCH));
        const bytes = seen.received.reduce((sum, frame) => sum + frame.bytes, 0);
        t.diagnostic(`${bytes} bytes in ${seen.received.length} frames and no row before the first look`);
        three.getMap("map").set("newcomer", true);
      }
      if (look && !now) resolve();
    });
  });
  await Promise.race([ended, new Promise((_, reject) => setTimeout(() => reject(new Error("no look")), 30_000).unref())]);
  await three.sync.settled();
  const rows = seen.received.filter(({ type }) => type === BATCH).reduce((sum, frame) => sum + frame.bytes, 0);
  t.diagnostic(`${rows} bytes of rows behind it`);
  assert.throws(() => look?.getText("notes"), { code: "E_CLOSED" });
  await until("they agree", () => one.stateHash() === three.stateHash());
  assert.deepEqual([one.viewDigest(), one.stateHash() === hash], [three.viewDigest(), false]);
  assert.equal(one.getMap("map").get("newcomer"), true);
  assert.deepEqual(errors, []);
  assert.ok(!seen.sent.includes(SNAP_BAD));
  for (const side of [maker, witness, seen]) assert.ok(!side.received.some(({ has }) => has(SECRET) || has("key 1")));
  assert.ok(seen.received.some(({ type }) => type === SNAP_CHUNK));
});
