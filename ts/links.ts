/**
 * The connections of one space: sockets that the engine asks for, and ports that the app attaches.
 *
 * Invariant: each session of the engine is one connection; the engine hears of its end once, and of nothing after it.
 */

import { connectChannel } from "./channel.js";
import { argumentError } from "./check.js";
import { StemmaError } from "./errors.js";
import type { Pump } from "./pump.js";
import { isBytes } from "./value.js";

/** A way to send bytes. Both verbs do nothing once it is over. */
export interface Connection {
  send(bytes: Uint8Array): void;
  close(): void;
}

/** What a connection reports, never before the call that made it has returned. */
export interface ConnectionEvents {
  open(): void;
  message(bytes: Uint8Array): void;
  /** Last of all; not after our own `close`. */
  close(): void;
}

/** Opens a WebSocket. */
export type Dial = (url: string, events: ConnectionEvents) => Connection;

export class Links {
  readonly #pump: Pump;
  readonly #dial: Dial;
  readonly #onFault: (error: StemmaError) => void;
  readonly #connections = new Map<number, Connection>();

  constructor(pump: Pump, dial: Dial, onFault: (error: StemmaError) => void) {
    this.#pump = pump;
    this.#dial = dial;
    this.#onFault = onFault;
  }

  /** How many there are, those that are still being made included. */
  get size(): number {
    return this.#connections.size;
  }

  dial(session: number, url: string): void {
    this.#open(session, (events) => this.#dial(url, events));
  }

  send(session: number, bytes: Uint8Array): void {
    this.#connections.get(session)?.send(bytes);
  }

  close(session: number): void {
    // Told later: the engine is still being drained.
    if (this.#end(session)) queueMicrotask(() => this.#pump.post((engine) => engine.closed(session)));
  }

  /** Makes a session of a port; returns what ends both. */
  attach(port: MessagePort | RTCDataChannel): () => void {
    if (!isPort(port) && !isChannel(port)) throw argumentError("port", "port is neither a MessagePort nor an RTCDataChannel");
    if (isChannel(port) && (port.ordered === false || (port.maxRetransmits ?? port.maxPacketLifeTime ?? null) !== null)) {
      throw argumentError("port", "port loses messages, or brings them in another order");
    }
    if (ATTACHED.has(port)) throw argumentError("port", "port was attached already; a port carries one session");
    const session = this.#pump.read((engine) => engine.attach());
    ATTACHED.add(port);
    const { generation } = this.#pump;
    this.#open(session, (events) => (isPort(port) ? connectPort(port, events) : connectChannel(port, events)));
    this.#pump.drain(); // the session speaks first
    return () => {
      if (this.#pump.generation !== generation || !this.#end(session)) return;
      this.#pump.post((engine) => engine.detach(session));
    };
  }

  /** Ends every connection without telling an engine. */
  closeAll(): void {
    for (const session of [...this.#connections.keys()]) this.#end(session);
  }

  #end(session: number): boolean {
    const connection = this.#connections.get(session);
    connection?.close();
    return this.#connections.delete(session);
  }

  #open(session: number, connect: (events: ConnectionEvents) => Connection): void {
    let connection: Connection | undefined;
    const isOver = () => this.#connections.get(session) !== connection;
    const end = () => {
      if (isOver()) return;
      this.#connections.delete(session);
      this.#pump.post((engine) => engine.closed(session));
    };
    const events: ConnectionEvents = {
      open: () => isOver() || this.#pump.post((engine) => engine.opened(session)),
      message: (bytes) => isOver() || this.#pump.post((engine) => engine.received(session, bytes)),
      close: end,
    };
    try {
      connection = connect(events);
    } catch (thrown) {
      this.#onFault(StemmaError.from(thrown, "E_UNSUPPORTED") as StemmaError);
      queueMicrotask(() => this.#pump.post((engine) => engine.closed(session)));
      return;
    }
    this.#connections.set(session, connection);
  }
}

/** Every port that ever was: detaching closes it. */
const ATTACHED = new WeakSet<object>();

function isPort(port: unknown): port is MessagePort {
  return typeof port === "object" && port !== null && "postMessage" in port && "start" in port && "addEventListener" in port;
}

function isChannel(port: unknown): port is RTCDataChannel {
  return typeof port === "object" && port !== null && "send" in port && "readyState" in port && "binaryType" in port;
}

function connectPort(port: MessagePort, events: ConnectionEvents): Connection {
  const onMessage = ({ data }: MessageEvent) => {
    if (isBytes(data)) events.message(data);
    else if (data instanceof ArrayBuffer) events.message(new Uint8Array(data));
    else end(); // Whoever speaks something else is no peer.
  };
  const stop = () => {
    port.removeEventListener("message", onMessage);
    port.removeEventListener("close", end);
    port.close();
  };
  const end = () => {
    stop();
    events.close();
  };
  port.addEventListener("message", onMessage);
  port.addEventListener("close", end);
  queueMicrotask(() => {
    events.open();
    port.start();
  });
  return { send: (bytes) => port.postMessage(bytes), close: stop };
}
