/** Sockets: the engine's WebSocket edge as a {@link Connection}. */

import type { Dial } from "./links.js";
import type { Glue } from "./wasm.js";

/** Dials with the class that was passed, or with the platform's own. */
export function dialer(glue: Glue, given: typeof WebSocket | undefined): { dial: Dial; canDial: () => boolean } {
  const dial: Dial = (url, events) => {
    const WebSocketClass = given ?? globalThis.WebSocket;
    let webSocket: WebSocket | undefined;
    // Constructed by the engine; kept here to be ended when the engine cannot do it any more.
    function Kept(url: string): WebSocket {
      webSocket = new WebSocketClass(url);
      return webSocket;
    }
    // Each deferred: the engine is on the stack while its socket calls.
    const socket = new glue.Socket(
      url,
      Kept,
      () => queueMicrotask(events.open),
      (bytes: Uint8Array) => queueMicrotask(() => events.message(bytes)),
      () => queueMicrotask(events.close),
    );
    return {
      send: (bytes) => void socket.send(bytes),
      close() {
        try {
          socket.close();
        } catch {
          if (webSocket) endAbandoned(webSocket);
        }
      },
    };
  };
  return { dial, canDial: () => (given ?? globalThis.WebSocket) !== undefined };
}

/** Its listeners are of an engine that trapped. */
function endAbandoned(webSocket: WebSocket): void {
  webSocket.onopen = webSocket.onmessage = webSocket.onclose = null;
  webSocket.onerror = () => {};
  webSocket.close();
}
