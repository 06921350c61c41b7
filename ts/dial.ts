/** Sockets: the engine's WebSocket edge as a {@link Connection}. */

import type { Dial } from "./links.js";
import type { Glue } from "./wasm.js";

/** Dials with the class that was passed, or with the platform's own. */
export function dialer(glue: Glue, webSocket: typeof WebSocket | undefined): { dial: Dial; canDial: () => boolean } {
  const dial: Dial = (url, events) => {
    // Each deferred: the engine is on the stack while its socket calls.
    const socket = new glue.Socket(
      url,
      webSocket,
      () => queueMicrotask(events.open),
      (bytes: Uint8Array) => queueMicrotask(() => events.message(bytes)),
      () => queueMicrotask(events.close),
    );
    return { send: (bytes) => void socket.send(bytes), close: () => socket.close() };
  };
  return { dial, canDial: () => (webSocket ?? globalThis.WebSocket) !== undefined };
}
