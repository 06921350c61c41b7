// A TCP proxy between clients and a relay that delays, cuts and swallows what passes, as networks do.

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { TestContext } from "node:test";
import { atEnd } from "./ends.ts";

export class Proxy {
  /** Milliseconds that the next bytes take on their way; the order of a connection stays. */
  delayMs = () => 0;
  /** Nothing passes any more in these directions, and nobody is told: a cable is out, a radio is gone. */
  swallowsUp = false;
  swallowsDown = false;
  /** New connections end at once. */
  refuses = false;
  /** How many connections there were. */
  accepted = 0;

  readonly #server: Server;
  readonly #target: URL;
  readonly #pairs = new Set<readonly [Socket, Socket]>();

  private constructor(target: string) {
    this.#target = new URL(target);
    this.#server = createServer((client) => this.#join(client));
  }

  static async before(t: TestContext, target: string): Promise<Proxy> {
    const proxy = new Proxy(target);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    atEnd(t, () => {
      proxy.cut();
      proxy.#server.close();
    });
    return proxy;
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `ws://127.0.0.1:${port}${this.#target.pathname}`;
  }

  /** Ends every connection, in the middle of whatever it carries. */
  cut(): void {
    for (const [client, relay] of this.#pairs) {
      client.resetAndDestroy();
      relay.resetAndDestroy();
    }
    this.#pairs.clear();
  }

  #join(client: Socket): void {
    if (this.refuses) return void client.destroy();
    this.accepted++;
    const relay = connect(Number(this.#target.port), this.#target.hostname);
    const pair = [client, relay] as const;
    this.#pairs.add(pair);
    this.#carry(client, relay, () => this.swallowsUp);
    this.#carry(relay, client, () => this.swallowsDown);
    for (const socket of pair) {
      socket.on("error", () => {}); // a cut
      socket.on("close", () => {
        if (!this.#pairs.delete(pair)) return;
        // The other side hears of it, unless nothing passes.
        if (!this.swallowsUp) relay.destroy();
        if (!this.swallowsDown) client.destroy();
      });
    }
  }

  #carry(from: Socket, to: Socket, swallows: () => boolean): void {
    let last = Promise.resolve();
    from.on("data", (bytes) => {
      const delayMs = this.delayMs();
      const due = delayMs > 0 ? new Promise<void>((resolve) => setTimeout(resolve, delayMs)) : undefined;
      last = last.then(async () => {
        if (due) await due;
        if (!swallows() && !to.destroyed) to.write(bytes);
      });
    });
  }
}
