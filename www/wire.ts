/**
 * What goes over the wire: a WebSocket that copies every frame to a list before it passes it on.
 *
 * Invariant: frames are copied, never changed, delayed or left out; only the oldest of the list are forgotten.
 * It does not know what a frame means: that is `row.ts`.
 */

/** One binary message, as the network stack of the browser got or gave it. */
export interface Frame {
  readonly replica: string;
  readonly direction: "sent" | "received";
  readonly time: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** The frames of all replicas of this page, in the order they were seen. */
export class Wire {
  /** Frames and bytes since the page was opened, those already forgotten included. */
  total = { frames: 0, bytes: 0 };
  readonly #frames: Frame[] = [];
  readonly #listeners = new Set<(frame: Frame) => void>();
  #kept = 0;

  /** A class to give to `open({ webSocket })`. */
  tap(replica: string): typeof WebSocket {
    const record = (direction: Frame["direction"], message: unknown) => this.#record(replica, direction, message);
    return class extends WebSocket {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(url, protocols);
        this.addEventListener("message", (event) => record("received", event.data));
      }
      override send(message: Parameters<WebSocket["send"]>[0]): void {
        record("sent", message);
        super.send(message);
      }
    };
  }

  get frames(): readonly Frame[] {
    return this.#frames;
  }

  subscribe(listener: (frame: Frame) => void): void {
    this.#listeners.add(listener);
  }

  #record(replica: string, direction: Frame["direction"], message: unknown): void {
    if (message instanceof Blob) {
      void message.arrayBuffer().then((buffer) => this.#record(replica, direction, buffer));
      return;
    }
    const frame = { replica, direction, time: Date.now(), bytes: copy(message) };
    this.#frames.push(frame);
    this.#kept += frame.bytes.length;
    while (this.#kept > KEPT_BYTES_MAX && this.#frames.length > 1) {
      this.#kept -= this.#frames.shift()?.bytes.length ?? 0;
    }
    this.total = { frames: this.total.frames + 1, bytes: this.total.bytes + frame.bytes.length };
    for (const listener of this.#listeners) listener(frame);
  }
}

function copy(message: unknown): Uint8Array<ArrayBuffer> {
  if (message instanceof ArrayBuffer) return new Uint8Array(message.slice(0));
  if (ArrayBuffer.isView(message)) {
    return new Uint8Array(new Uint8Array(message.buffer, message.byteOffset, message.byteLength));
  }
  return new TextEncoder().encode(String(message));
}

const KEPT_BYTES_MAX = 8 << 20;
