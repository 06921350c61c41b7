// Socket, locks and tabs of the engine, in Chromium.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Page } from "playwright-core";
import type * as Engine from "../../target/engine/engine.js";
import { serveEcho } from "./echo.ts";
import { launchBrowser, servePages } from "./harness.ts";
import { engineTab } from "./page.ts";

declare const engine: typeof Engine;

const owner = { after };
const browser = await launchBrowser(owner);
const origin = await servePages(owner, { "/engine/": "target/engine", "/": "tests/web/pages" });
const echo = await serveEcho(owner);

/** So many tabs of one fresh profile. */
async function tabs(t: { after(end: () => Promise<void>): void }, count: number): Promise<Page[]> {
  const context = await browser.newContext();
  t.after(() => context.close());
  return Promise.all(Array.from({ length: count }, () => engineTab(context, origin)));
}

async function oneTab(t: { after(end: () => Promise<void>): void }): Promise<Page> {
  return (await tabs(t, 1))[0] as Page;
}

test("a socket opens, carries bytes both ways, and hears the peer's goodbye", async (t) => {
  const page = await oneTab(t);
  const seen = await page.evaluate(async (url) => {
    const run = (path: string, sizes: number[]) =>
      new Promise<unknown[]>((resolve) => {
        const log: unknown[] = [];
        const socket = new engine.Socket(
          url + path,
          undefined,
          () => {
            log.push("open", socket.isOpen);
            for (const size of sizes) log.push(socket.send(new Uint8Array(size).fill(size)));
          },
          (bytes: Uint8Array) => {
            log.push(bytes.constructor.name, bytes.length, bytes.every((byte) => byte === bytes.length % 256));
            if (log.filter((entry) => entry === "Uint8Array").length === sizes.length) resolve([...log, socket.bufferedAmount]);
          },
          (code: number, reason: string) => resolve([...log, code, reason, socket.isOpen, socket.send(new Uint8Array(1))]),
        );
        log.push(socket.isOpen, socket.send(new Uint8Array(1)));
      });
    return [await run("/", [0, 3, 60_000]), await run("/bye", [1])];
  }, echo.url);
  assert.deepEqual(seen[0], [false, false, "open", true, true, true, true, "Uint8Array", 0, true, "Uint8Array", 3, true, "Uint8Array", 60_000, true, 0]);
  assert.deepEqual(seen[1], [false, false, "open", true, true, 4001, "bye", false, false]);
});

test("a wrong address is E_ARGUMENT at once, an unreachable one closes with 1006", async (t) => {
  const page = await oneTab(t);
  const seen = await page.evaluate(async () => {
    const none = (): void => undefined;
    const thrown = ["", "relay.example", "http://relay.example", "ws://", "ws://[", "ws://host:99999"].map((url) => {
      try {
        new engine.Socket(url, undefined, none, none, none);
        return "nothing";
      } catch (error) {
        return `${(error as { code: string }).code} ${(error as { argument: string }).argument}`;
      }
    });
    const code = await new Promise((resolve) => new engine.Socket("ws://127.0.0.1:9", undefined, none, none, resolve));
    return { thrown, code };
  });
  assert.deepEqual(seen, { thrown: Array(6).fill("E_ARGUMENT url"), code: 1006 });
});

test("the class that is passed makes the connection; without any it is E_UNSUPPORTED", async (t) => {
  const page = await oneTab(t);
  const seen = await page.evaluate(async (url) => {
    let made = 0;
    class Counted extends WebSocket {
      constructor(address: string) {
        super(address);
        made += 1;
      }
    }
    const none = (): void => undefined;
    await new Promise<void>((resolve) => {
      const socket = new engine.Socket(url, Counted, () => (socket.free(), resolve()), none, none);
    });
    const codeOf = (passed: unknown): string => {
      try {
        new engine.Socket(url, passed, none, none, none);
        return "nothing";
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    const wrong = codeOf({});
    Object.defineProperty(window, "WebSocket", { value: undefined });
    return { made, wrong, missing: codeOf(undefined) };
  }, echo.url);
  assert.deepEqual(seen, { made: 1, wrong: "E_UNSUPPORTED", missing: "E_UNSUPPORTED" });
});

test("a socket that was closed or freed is silent, even from inside its own callback", async (t) => {
  const page = await oneTab(t);
  const before = echo.closeCodes.length;
  const calls = await page.evaluate(async (url) => {
    let calls = 0;
    const count = (): void => void (calls += 1);
    await new Promise<void>((resolve) => {
      const socket = new engine.Socket(url, undefined, () => socket.send(new Uint8Array(1)), () => (socket.close(3100), resolve()), count);
    });
    await new Promise<void>((resolve) => {
      const socket = new engine.Socket(url, undefined, () => socket.send(new Uint8Array(1)), () => (socket.free(), resolve()), count);
    });
    // What a listener throws does not reach the engine, and the next frame is heard.
    await new Promise<void>((resolve) => {
      let heard = 0;
      const socket = new engine.Socket(
        url,
        undefined,
        () => [1, 2].map((n) => socket.send(new Uint8Array(n))),
        () => {
          if (++heard === 2) resolve();
          throw new Error("a listener's own");
        },
        count,
      );
    });
    return calls;
  }, echo.url);
  assert.equal(calls, 0);
  await until(() => echo.closeCodes.length >= before + 2);
  assert.deepEqual(echo.closeCodes.slice(before).sort(), [1000, 3100]);
});

test("a text frame ends the connection with 3003", async (t) => {
  const page = await oneTab(t);
  const seen = await page.evaluate(
    (url) =>
      new Promise((resolve) => {
        const socket = new engine.Socket(url, undefined, () => socket.send(new Uint8Array([65])), () => resolve("a message"), (code: number) => resolve(code));
      }),
    `${echo.url}/text`,
  );
  assert.equal(seen, 3003);
});

test("a lock is held by one tab until it is released, freed, or the tab is gone", async (t) => {
  const [first, second] = (await tabs(t, 2)) as [Page, Page];
  const hold = (page: Page, name: string): Promise<boolean> =>
    page.evaluate(async (name) => {
      const held = await engine.tryLock(name);
      if (held) Object.assign(window, { held });
      return held !== null;
    }, name);
  assert.equal(await hold(first, "stemma/a"), true);
  assert.equal(await hold(second, "stemma/a"), false);
  assert.equal(await hold(second, "stemma/b"), true);
  await first.evaluate(() => engine.tryLock("other"));
  assert.deepEqual((await second.evaluate(() => engine.locksHeld("stemma/"))).sort(), ["stemma/a", "stemma/b"]);
  await first.evaluate(() => (window as unknown as { held: Engine.HeldLock }).held.release());
  assert.equal(await hold(second, "stemma/a"), true);
  await second.evaluate(() => (window as unknown as { held: Engine.HeldLock }).held.free());
  assert.equal(await hold(first, "stemma/a"), true);
  await first.close();
  await second.evaluate(async () => (await engine.lock("stemma/a")).name); // waits for the browser to notice
});

test("waiting for a lock ends when it is free, or by its signal", async (t) => {
  const [first, second] = (await tabs(t, 2)) as [Page, Page];
  await first.evaluate(async () => Object.assign(window, { held: await engine.tryLock("turn") }) && undefined);
  const aborted = await second.evaluate(async () => {
    const control = new AbortController();
    const waiting = engine.lock("turn", control.signal).then(() => "held", (error: Error) => error.name);
    control.abort();
    return [await waiting, await engine.lock("turn", AbortSignal.abort()).then(() => "held", (error: Error) => error.name)];
  });
  assert.deepEqual(aborted, ["AbortError", "AbortError"]);
  const waiting = second.evaluate(async () => (await engine.lock("turn", new AbortController().signal)).name);
  await until(() => first.evaluate(async () => ((await navigator.locks.query()).pending?.length ?? 0) > 0));
  await first.evaluate(() => (window as unknown as { held: Engine.HeldLock }).held.release());
  assert.equal(await waiting, "turn");
});

test("without Web Locks it says so; a name that browsers reserve is E_ARGUMENT", async (t) => {
  const page = await oneTab(t);
  const seen = await page.evaluate(async () => {
    const codeOf = (verb: Promise<unknown>): Promise<string> => verb.then(() => "done", (error) => error.code);
    const before = [engine.locksAvailable(), await codeOf(engine.tryLock("-reserved"))];
    Object.defineProperty(navigator, "locks", { value: undefined });
    return [...before, engine.locksAvailable(), await codeOf(engine.tryLock("a")), await codeOf(engine.lock("a")), await codeOf(engine.locksHeld(""))];
  });
  assert.deepEqual(seen, [true, "E_ARGUMENT", false, "E_UNSUPPORTED", "E_UNSUPPORTED", "E_UNSUPPORTED"]);
});

test("tabs of a profile hear each other on one name, but not themselves", async (t) => {
  const [first, second] = (await tabs(t, 2)) as [Page, Page];
  for (const page of [first, second]) {
    await page.evaluate(() => {
      const heard: unknown[] = [];
      const channel = new engine.Tabs("space", (message: unknown) => heard.push(message instanceof Uint8Array ? [...message] : message));
      Object.assign(window, { heard, channel, other: new engine.Tabs("elsewhere", (message: unknown) => heard.push(message)) });
    });
  }
  const posted = await first.evaluate(() => {
    const { channel } = window as unknown as { channel: Engine.Tabs };
    const uncloneable = channel.post(() => undefined);
    return [channel.available, uncloneable, channel.post(7), channel.post(new Uint8Array([1, 2])), channel.post({ tail: 9 })];
  });
  assert.deepEqual(posted, [true, false, true, true, true]);
  const heard = (page: Page): Promise<unknown[]> => page.evaluate(() => (window as unknown as { heard: unknown[] }).heard);
  await until(async () => (await heard(second)).length >= 3);
  assert.deepEqual(await heard(second), [7, [1, 2], { tail: 9 }]);
  assert.deepEqual(await heard(first), []);
  const closed = await second.evaluate(() => {
    const { channel } = window as unknown as { channel: Engine.Tabs };
    channel.close();
    return [channel.available, channel.post(1)];
  });
  assert.deepEqual(closed, [false, false]);
});

test("without BroadcastChannel tabs are silent", async (t) => {
  const page = await oneTab(t);
  const seen = await page.evaluate(() => {
    delete (window as { BroadcastChannel?: unknown }).BroadcastChannel;
    const channel = new engine.Tabs("space", () => undefined);
    return [channel.available, channel.post(1)];
  });
  assert.deepEqual(seen, [false, false]);
});

/** Asks again until it holds; the test's own limit ends what never does. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 10));
}
