// Several tabs of one browser and one relay: one of them holds the socket for all, and another goes on when it is gone.

import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { after, test } from "node:test";
import type { BrowserContext, Page } from "playwright-core";
import { launchBrowser, type Owner, Relay, servePages } from "./harness.ts";

declare const space: import("stemma").Space;

const browser = await launchBrowser({ after });
const origin = await servePages({ after });

/** A way to the relay that counts who is on it, and can be cut. */
class Way {
  readonly sockets = new Set<Socket>();
  isOpen = true;
  #url = "";

  static async to(owner: Owner, relay: Relay): Promise<Way> {
    const way = new Way();
    const { hostname, port } = new URL(relay.http);
    const server = createServer((near) => {
      const far = connect(Number(port), hostname);
      way.sockets.add(near);
      near.pipe(far).pipe(near);
      for (const socket of [near, far]) {
        socket.on("error", () => {});
        socket.on("close", () => (near.destroy(), far.destroy(), way.sockets.delete(near)));
      }
      if (!way.isOpen) near.destroy();
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    way.#url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
    owner.after(async () => {
      way.cut();
      server.close();
    });
    return way;
  }

  get url(): string {
    return this.#url;
  }

  cut(): void {
    this.isOpen = false;
    for (const socket of this.sockets) socket.destroy();
  }
}

interface Options {
  name: string;
  relay: string | string[];
  invite?: string;
}

async function load(context: BrowserContext, options: Options, prepare = () => {}): Promise<Page> {
  const page = await context.newPage();
  page.on("pageerror", (error) => assert.fail(error));
  await page.goto(origin);
  await page.evaluate(prepare);
  await page.evaluate(async (options) => {
    const { open } = await import("stemma");
    Object.assign(globalThis, { space: await open(options) });
  }, options);
  return page;
}

async function profile(t: Owner): Promise<BrowserContext> {
  const context = await browser.newContext();
  t.after(() => context.close());
  return context;
}

interface World {
  relay: Relay;
  way: Way;
  context: BrowserContext;
  /** Another tab of the same profile. */
  tab(prepare?: () => void): Promise<Page>;
  /** A member of its own, in another profile, straight at the relay. */
  guest(host: Page): Promise<Page>;
}

async function world(t: Owner): Promise<World> {
  const relay = await Relay.start(t);
  const way = await Way.to(t, relay);
  const context = await profile(t);
  const tab = (prepare?: () => void) => load(context, { name: "shared", relay: way.url }, prepare);
  const guest = async (host: Page) => load(await profile(t), { name: "guest", relay: relay.url, invite: await host.evaluate(() => space.invite()) });
  return { relay, way, context, tab, guest };
}

async function until<T>(what: string, read: () => T | Promise<T>, expected: T): Promise<void> {
  for (const deadline = Date.now() + 30_000; ; await new Promise((resolve) => setTimeout(resolve, 20))) {
    const found = await read();
    if (JSON.stringify(found) === JSON.stringify(expected)) return;
    assert.ok(Date.now() < deadline, `${what}: ${JSON.stringify(found)}`);
  }
}

const live = (page: Page) => until("live", () => page.evaluate(() => space.sync.status), "live");
const write = (page: Page, key: string) => page.evaluate((key) => space.transact(() => space.getMap("m").set(key, 1)).saved("relay"), key);
const keys = (page: Page) => page.evaluate(() => [...space.getMap("m").keys()].sort());
const pending = (page: Page) => page.evaluate(() => space.sync.pending);

/** The page that holds the lock on the relay. */
async function holder(pages: readonly Page[]): Promise<Page> {
  for (const deadline = Date.now() + 30_000; ; ) {
    assert.ok(Date.now() < deadline, "no page holds the lock");
    const held = await Promise.all(
      pages.map((page) =>
        page.evaluate(() =>
          navigator.locks.request(`probe ${Math.random()}`, async (probe) => {
            const { held = [] } = await navigator.locks.query();
            const own = held.find(({ name }) => name === probe?.name)?.clientId;
            return held.some(({ name, clientId }) => name?.startsWith("stemma/shared/relay ") && clientId === own);
          }),
        ),
      ),
    );
    const found = pages[held.indexOf(true)];
    if (found) return found;
  }
}

/** Stops a page where it is; returns what lets it go on. */
async function stop(context: BrowserContext, page: Page): Promise<() => Promise<void>> {
  const session = await context.newCDPSession(page);
  await session.send("Debugger.enable");
  await session.send("Debugger.pause");
  session.send("Runtime.evaluate", { expression: "1" }).catch(() => {}); // where it stops
  return async () => {
    await session.send("Debugger.resume");
    await session.send("Debugger.disable");
  };
}

/** Freezes a page; returns what thaws it. By hand: Chromium freezes hidden pages alone, and hides none that Playwright looks at. */
async function freeze(context: BrowserContext, page: Page): Promise<() => Promise<void>> {
  await page.evaluate(() => document.dispatchEvent(new Event("freeze")));
  const goOn = await stop(context, page);
  return async () => {
    await goOn();
    await page.evaluate(() => document.dispatchEvent(new Event("resume")));
  };
}

test("of three tabs one has the socket, and what each writes is saved at the relay", async (t) => {
  const { way, tab, guest } = await world(t);
  const pages = [await tab(), await tab(), await tab()];
  await Promise.all(pages.map(live));
  assert.equal(way.sockets.size, 1);
  await Promise.all(pages.map((page, n) => write(page, `of ${n}`)));
  for (const page of pages) await until("all of it is known to be there", () => pending(page), 0);
  const other = await guest(pages[0] as Page);
  await other.evaluate(() => space.sync.settled());
  assert.deepEqual(await keys(other), ["of 0", "of 1", "of 2"]);
  await Promise.all(pages.map((page) => page.evaluate(() => space.sync.settled())));
  await write(other, "of a guest");
  for (const page of pages) await until("what the relay brings", () => keys(page), ["of 0", "of 1", "of 2", "of a guest"]);
  const states = await Promise.all(pages.map((page) => page.evaluate(() => [space.stateHash(), space.stats().changesets, typeof space.sync.lastHeard])));
  for (const state of states) assert.deepEqual(state, states[0]);
  assert.equal(way.sockets.size, 1);
});

test("a tab that opens late knows at once what is at the relay", async (t) => {
  const { way, tab } = await world(t);
  const first = await tab();
  for (let n = 0; n < 20; n++) await first.evaluate((n) => space.transact(() => space.getMap("m").set(`${n}`, n)).id, n);
  await first.evaluate(() => space.sync.settled());
  const late = await tab();
  await live(late);
  await until("nothing waits", () => pending(late), 0);
  await late.evaluate(() => space.flush().saved("relay"));
  assert.equal(way.sockets.size, 1);
});

test("a tab without the socket hears how far the reading of the log is", async (t) => {
  const { way, tab, guest } = await world(t);
  const one = await tab();
  await live(one);
  const other = await guest(one);
  await live(other);
  way.cut();
  const two = await tab();
  const pages = [one, two];
  await until("cut", () => Promise.all(pages.map((page) => page.evaluate(() => space.sync.status !== "live"))), [true, true]);
  await other.evaluate(() => {
    for (let n = 0; n < 4_000; n++) space.transact(() => space.getMap("m").set(`${n}`, "x".repeat(500)));
    return space.flush().saved("relay");
  });
  await Promise.all(
    pages.map((page) =>
      page.evaluate(() => {
        const heard: number[][] = [];
        Object.assign(globalThis, { heard });
        space.on("sync", ({ progress }) => progress && heard.push([progress.received, progress.total]));
      }),
    ),
  );
  const speaks = await holder(pages);
  const follower = pages.find((page) => page !== speaks) as Page;
  way.isOpen = true;
  for (const page of pages) await until("all of it", () => page.evaluate(() => space.getMap("m").size), 4_000);
  const heard = await follower.evaluate(() => (globalThis as unknown as { heard: number[][] }).heard);
  assert.ok(heard.length > 0, "it heard nothing");
  for (const [received = 0, total = 0] of heard) assert.ok(received <= total && total === 4_000, `${received} of ${total}`);
  await until("nothing is read", () => follower.evaluate(() => space.sync.progress === undefined), true);
});

test("a change is told once in each tab", async (t) => {
  const { tab, guest } = await world(t);
  const pages = [await tab(), await tab()];
  for (const page of pages) {
    await live(page);
    await page.evaluate(() => {
      const told: string[] = [];
      Object.assign(globalThis, { told });
      space.getMap("m").subscribe((changes) => {
        for (const { changeset, keys } of changes) for (const key of keys) told.push(`${key} ${changeset}`);
      });
    });
  }
  const other = await guest(pages[0] as Page);
  for (let n = 0; n < 5; n++) await write(other, `guest ${n}`);
  const told = (page: Page) => page.evaluate(() => (globalThis as unknown as { told: string[] }).told.map((line) => line.split(" ")[1]));
  for (const page of pages) await until("each once", () => told(page), ["0", "1", "2", "3", "4"]);
  await Promise.all(pages.map((page) => page.evaluate(() => space.sync.settled())));
  for (const page of pages) assert.equal((await told(page)).length, 5);
});

const STOPPED = "stopped without a word";
const ENDS: [string, (page: Page, context: BrowserContext) => Promise<unknown>][] = [
  ["closed", (page) => page.close()],
  [
    "killed",
    async (page, context) => {
      const session = await context.newCDPSession(page);
      const gone = page.waitForEvent("crash");
      session.send("Page.crash").catch(() => {}); // there is nobody to answer
      await gone;
    },
  ],
  ["frozen", (page, context) => freeze(context, page)],
  [STOPPED, (page, context) => stop(context, page)],
];

for (const [how, end] of ENDS) {
  test(`another tab goes on when the one with the socket is ${how}`, async (t) => {
    const { way, context, tab, guest } = await world(t);
    const pages = [await tab(), await tab(), await tab()];
    await Promise.all(pages.map(live));
    await write(pages[0] as Page, "before");
    const first = await holder(pages);
    const rest = pages.filter((page) => page !== first);
    await end(first, context);
    await Promise.all(rest.map((page, n) => write(page, `after ${n}`)));
    const other = await guest(rest[0] as Page);
    await other.evaluate(() => space.sync.settled());
    assert.deepEqual(await keys(other), ["after 0", "after 1", "before"]);
    await until("the sockets of the living", () => way.sockets.size <= (how === STOPPED ? 2 : 1), true);
    assert.ok(rest.includes(await holder(rest)));
  });
}

test("a tab that went on after its socket was taken lets go of it", async (t) => {
  const { way, context, tab } = await world(t);
  const pages = [await tab(), await tab()];
  await Promise.all(pages.map(live));
  const first = await holder(pages);
  const second = pages.find((page) => page !== first) as Page;
  const goOn = await stop(context, first);
  await write(second, "taken");
  await goOn();
  await until("one socket", () => way.sockets.size, 1);
  await write(first, "from behind");
  await until("both", () => keys(second), ["from behind", "taken"]);
  assert.equal(await holder(pages), second);
});

test("a frozen tab that thaws lines up again", async (t) => {
  const { way, context, tab } = await world(t);
  const pages = [await tab(), await tab()];
  await Promise.all(pages.map(live));
  const first = await holder(pages);
  const second = pages.find((page) => page !== first) as Page;
  const thaw = await freeze(context, first);
  await write(second, "meanwhile");
  await thaw();
  await write(first, "again");
  await until("one socket", () => way.sockets.size, 1);
  await second.close();
  await write(first, "alone");
});

test("what tabs write without a way to the relay goes out when there is one, and waits end with their signal", async (t) => {
  const { way, tab, guest } = await world(t);
  const pages = [await tab(), await tab()];
  await Promise.all(pages.map(live));
  way.cut();
  for (const page of pages) await until("offline", () => page.evaluate(() => space.sync.status !== "live"), true);
  const writes = pages.map((page, n) => write(page, `offline ${n}`));
  for (const page of pages) {
    const name = await page.evaluate(() => space.sync.settled({ signal: AbortSignal.timeout(200) }).catch((error: Error) => error.name));
    assert.equal(name, "TimeoutError");
    await until("both are known here", async () => (await keys(page)).length, 2);
    await until("and wait", () => pending(page), 2);
  }
  way.isOpen = true;
  await Promise.all(writes);
  await Promise.all(pages.map((page) => page.evaluate(() => space.sync.settled())));
  const other = await guest(pages[0] as Page);
  await other.evaluate(() => space.sync.settled());
  assert.deepEqual(await keys(other), ["offline 0", "offline 1"]);
  assert.equal(way.sockets.size, 1);
});

test("sessions of all tabs are seen, by each other and through the socket of one", async (t) => {
  const { tab, guest } = await world(t);
  const pages = [await tab(), await tab()];
  await Promise.all(pages.map(live));
  const other = await guest(pages[0] as Page);
  const all = [...pages, other];
  await Promise.all(all.map((page, n) => page.evaluate((n) => space.presence.set({ n }), n)));
  const seen = (page: Page) => page.evaluate(() => [...space.presence.others.values()].map(({ state }) => state["n"]).sort());
  for (const [n, page] of all.entries()) await until("the others", () => seen(page), [0, 1, 2].filter((other) => other !== n));
  const second = pages.find((page) => page !== pages[0]) as Page;
  await second.evaluate(() => space.presence.update({ n: 7 }));
  await until("an update", () => seen(other), [0, 7]);
  await (await holder(pages)).close();
  const rest = pages.find((page) => !page.isClosed()) as Page;
  const left = await rest.evaluate(() => space.presence.state["n"] as number);
  await until("the one that is left, over its own socket", () => seen(other), [left]);
  await rest.evaluate(() => space.presence.update({ n: 9 }));
  await until("and what it shows", () => seen(other), [9]);
  await other.evaluate(() => space.presence.update({ n: 3 }));
  await until("both ways", () => seen(rest), [3]);
});

test("a tab whose store fails speaks for itself", async (t) => {
  const { way, tab, guest } = await world(t);
  const pages = [await tab(), await tab()];
  await Promise.all(pages.map(live));
  const first = await holder(pages);
  const second = pages.find((page) => page !== first) as Page;
  await second.evaluate(() => {
    IDBDatabase.prototype.transaction = () => {
      throw new DOMException("full", "QuotaExceededError");
    };
  });
  await write(second, "not stored");
  await until("two sockets", () => way.sockets.size, 2);
  await until("it comes back by the relay", () => keys(first), ["not stored"]);
  const other = await guest(pages[0] as Page);
  await other.evaluate(() => space.sync.settled());
  assert.deepEqual(await keys(other), ["not stored"]);
});

test("a page that is left and comes back lines up again", async (t) => {
  const { way, tab } = await world(t);
  const pages = [await tab(), await tab()];
  await Promise.all(pages.map(live));
  const first = await holder(pages);
  const second = pages.find((page) => page !== first) as Page;
  await first.evaluate(() => dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true })));
  await until("the other one", () => holder(pages).then((page) => page === second), true);
  await first.evaluate(() => dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true })));
  await write(first, "back");
  await until("one socket", () => way.sockets.size, 1);
  assert.equal(await holder(pages), second);
});

test("without Web Locks each tab has a socket of its own", async (t) => {
  const { way, tab } = await world(t);
  const prepare = () => void Object.defineProperty(navigator, "locks", { value: undefined });
  const pages = [await tab(prepare), await tab(prepare)];
  await Promise.all(pages.map(live));
  assert.equal(way.sockets.size, 2);
  await Promise.all(pages.map((page, n) => write(page, `of ${n}`)));
  for (const page of pages) await until("both", () => keys(page), ["of 0", "of 1"]);
});

test("who is not let in says so in every tab, and the one with a fresh link takes over", async (t) => {
  const { relay, tab } = await world(t);
  const owner = await tab();
  const invite = await owner.evaluate(() => space.invite({ uses: 1 }));
  const first = await load(await profile(t), { name: "first", relay: relay.url, invite });
  await live(first);
  const context = await profile(t);
  const late = [await load(context, { name: "late", relay: relay.url, invite })];
  late.push(await load(context, { name: "late", relay: relay.url }));
  for (const page of late) await until("denied", () => page.evaluate(() => space.sync.status), "denied");
  for (const page of late) {
    const code = await page.evaluate(() =>
      space.transact(() => space.getCounter("c").add(1)).saved("relay").then(() => "saved", (error: import("stemma").StemmaError) => error.code),
    );
    assert.equal(code, "E_RELAY_REFUSED");
    assert.equal(await page.evaluate(() => space.sync.settled().then(() => "settled", (error: import("stemma").StemmaError) => error.code)), code);
  }
  const fresh = await owner.evaluate(() => space.invite());
  late.push(await load(context, { name: "late", relay: relay.url, invite: fresh }));
  for (const page of late) await until("let in", () => page.evaluate(() => space.sync.status), "live");
  await Promise.all(late.map((page) => page.evaluate(() => space.flush().saved("relay"))));
  await until("all of it", () => owner.evaluate(() => space.getCounter("c").value), 2);
});

test("a relay that denies is seen in every tab beside one that does not, whichever tab speaks with it", async (t) => {
  const { relay, tab } = await world(t);
  const other = await Relay.start(t);
  const owner = await tab();
  await live(owner);
  await owner.evaluate((url) => (space.sync.connect(url), space.sync.settled()), other.url);
  const invite = await owner.evaluate(() => space.invite({ uses: 1 }));
  const first = await load(await profile(t), { name: "first", relay: other.url, invite });
  await live(first);
  const context = await profile(t);
  const urls = [relay.url, other.url];
  const late = [await load(context, { name: "late", relay: urls, invite }), await load(context, { name: "late", relay: urls })];
  const seen = (page: Page) => page.evaluate(() => space.sync.relays.map(({ url, status, error }) => [url, status, error?.message.split(":")[0] ?? null]).sort());
  const expected = [[relay.url, "live", null], [other.url, "denied", "INVITE_USED"]].sort();
  const all = async (pages: readonly Page[]) => {
    for (const page of pages) await until("each by itself", () => seen(page), expected);
    for (const page of pages) await page.evaluate(() => space.sync.settled());
    for (const page of pages) assert.equal(await page.evaluate(() => space.sync.status), "live");
  };
  await all(late);
  // One tab for each: it gives up the one that lets it in, and another has it.
  await late[0]!.evaluate((url) => space.sync.disconnect(url), relay.url);
  await late[0]!.evaluate((url) => space.sync.connect(url), relay.url);
  await all(late);
  await write(late[0]!, "through the other tab");
  await late[0]!.close();
  await all(late.slice(1));
});

/** Answers a PUSH in place of the relay while it is told to: every row of it is refused for good. */
const refuse = () => {
  const { send } = WebSocket.prototype;
  WebSocket.prototype.send = function (data) {
    const frame = new Uint8Array(data as ArrayBuffer);
    const [PUSH, BAD_ROW] = [0x09, 19];
    const isRefused = frame[0] === PUSH && (globalThis as { refuses?: boolean }).refuses;
    if (!isRefused) return send.call(this, data);
    // An ACK with its `push_id`, a varint behind the tag 0x08, and one RowResult: verdict 5, and the code.
    const idEnd = frame.findIndex((byte, at) => at > 2 && byte < 0x80) + 1;
    const ack = Uint8Array.of(0x0a, 0, ...frame.subarray(2, idEnd), 0x12, 4, 0x08, 5, 0x28, BAD_ROW);
    queueMicrotask(() => this.dispatchEvent(new MessageEvent("message", { data: ack.buffer })));
  };
};

test("what a relay refuses of one tab is refused to its waits alone, and the others go on", async (t) => {
  const { tab } = await world(t);
  const pages = [await tab(refuse), await tab(refuse), await tab(refuse)];
  await Promise.all(pages.map(live));
  const speaks = await holder(pages);
  const [one, two] = pages.filter((page) => page !== speaks) as [Page, Page];
  await write(two, "before");
  const outcome = (page: Page, key: string) =>
    page.evaluate((key) => space.transact(() => space.getMap("m").set(key, 1)).saved("relay").then(() => "saved", ({ code, message }: import("stemma").StemmaError) => `${code} ${message}`), key);
  await speaks.evaluate(() => Object.assign(globalThis, { refuses: true }));
  assert.match(await outcome(one, "refused"), /^E_RELAY_REFUSED BAD_ROW/);
  await speaks.evaluate(() => Object.assign(globalThis, { refuses: false }));
  assert.match(await outcome(one, "behind it"), /^E_RELAY_REFUSED BAD_ROW/);
  for (const page of pages) assert.match(await page.evaluate(() => space.sync.relays[0]?.error?.message ?? ""), /^BAD_ROW/);
  for (const page of [two, speaks]) assert.equal(await outcome(page, "goes on"), "saved");
  assert.equal(await pending(two), 2, "of this member, in all tabs");
  assert.equal(await speaks.evaluate(() => space.sync.status), "live");
});

test("tabs that want other relays speak each with its own, and carry over what they hear", async (t) => {
  const { relay, way, context, tab } = await world(t);
  const other = await Relay.start(t);
  const one = await tab();
  const two = await load(context, { name: "shared", relay: [way.url, other.url] });
  await Promise.all([one, two].map(live));
  await write(one, "one");
  const invite = await one.evaluate(() => space.invite());
  const far = await load(await profile(t), { name: "far", relay: other.url, invite });
  await until("over the second tab", () => keys(far), ["one"]);
  const near = await load(await profile(t), { name: "near", relay: relay.url, invite: await one.evaluate(() => space.invite()) });
  await write(far, "far");
  await write(near, "near");
  for (const page of [one, two, far, near]) await until("everywhere", () => keys(page), ["far", "near", "one"]);
});

test("a tab whose engine traps keeps its turn, and lets go of it when there is no other engine", async (t) => {
  const { way, tab } = await world(t);
  const pages = [await tab(), await tab()];
  await Promise.all(pages.map(live));
  const first = await holder(pages);
  const second = pages.find((page) => page !== first) as Page;
  const trap = () =>
    first.evaluate(() => {
      const dive = (): number => space.stateHash().length + dive();
      try {
        dive();
      } catch {
        // It ran out of stack in the engine.
      }
    });
  await first.evaluate(() => {
    const reloaded = new Promise((resolve) => space.subscribe((changes) => changes.some(({ source }) => source === "reload") && resolve(true)));
    space.getMap("m").set("before", 1);
    Object.assign(globalThis, { reloaded: () => reloaded });
    return space.flush().saved("relay");
  });
  await trap();
  await first.evaluate(() => (globalThis as unknown as { reloaded: () => Promise<boolean> }).reloaded());
  await write(second, "through the next engine");
  await write(first, "in the next engine");
  assert.equal(await holder(pages), first);
  await first.evaluate(() => {
    IDBFactory.prototype.open = () => {
      throw new DOMException("no more", "UnknownError");
    };
  });
  await trap();
  await write(second, "alone");
  assert.equal(await holder(pages), second);
  await until("one socket", () => way.sockets.size, 1);
});
