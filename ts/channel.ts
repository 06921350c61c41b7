/**
 * A data channel as a {@link Connection}: frames in pieces that every implementation takes (`docs/protocol.md` §6).
 *
 * Invariant: what is put together is never longer than a frame, and what the channel has not sent yet never much longer than {@link BUFFERED_MAX}.
 */

import type { Connection, ConnectionEvents } from "./links.js";

export function connectChannel(channel: RTCDataChannel, events: ConnectionEvents): Connection {
  const ending = new AbortController();
  const { signal } = ending;
  const waiting: Uint8Array<ArrayBuffer>[] = [];
  const parts = new Parts();
  const stop = () => {
    ending.abort();
    channel.close();
  };
  const end = () => {
    if (signal.aborted) return;
    stop();
    events.close();
  };
  const send = () => {
    try {
      while (channel.readyState === "open" && channel.bufferedAmount < BUFFERED_MAX) {
        const piece = waiting.shift();
        if (!piece) return;
        channel.send(piece);
      }
    } catch {
      end();
    }
  };
  const onMessage = ({ data }: MessageEvent) => {
    const frame = data instanceof ArrayBuffer ? parts.add(new Uint8Array(data)) : "broken";
    if (frame === "broken") end(); // Whoever speaks something else is no peer.
    else if (frame) events.message(frame);
  };
  const onOpen = () => {
    events.open();
    send();
  };
  channel.binaryType = "arraybuffer";
  channel.bufferedAmountLowThreshold = BUFFERED_MAX / 2;
  channel.addEventListener("message", onMessage, { signal });
  channel.addEventListener("bufferedamountlow", send, { signal });
  channel.addEventListener("close", end, { signal });
  if (channel.readyState === "open") queueMicrotask(() => signal.aborted || onOpen());
  else channel.addEventListener("open", onOpen, { signal });
  return {
    send(bytes) {
      waiting.push(...piecesOf(bytes));
      send();
    },
    close: stop,
  };
}

/** Frames that are being put together. */
class Parts {
  #parts: Uint8Array[] = [];
  #length = 0;

  /** The frame that a piece completes, nothing if there is more to come. */
  add(piece: Uint8Array): Uint8Array | "broken" | undefined {
    const [head] = piece;
    this.#length += piece.length - 1;
    if ((head !== LAST && head !== MORE) || piece.length < 2 || piece.length > PIECE_BYTES || this.#length > FRAME_BYTES_MAX) return "broken";
    this.#parts.push(piece.subarray(1));
    if (head === MORE) return undefined;
    const frame = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      frame.set(part, at);
      at += part.length;
    }
    this.#parts = [];
    this.#length = 0;
    return frame;
  }
}

function piecesOf(frame: Uint8Array): Uint8Array<ArrayBuffer>[] {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  for (let at = 0; at < frame.length; at += PIECE_BYTES - 1) {
    const part = frame.subarray(at, at + PIECE_BYTES - 1);
    const piece = new Uint8Array(1 + part.length);
    piece[0] = at + part.length < frame.length ? MORE : LAST;
    piece.set(part, 1);
    pieces.push(piece);
  }
  return pieces;
}

const LAST = 0;
const MORE = 1;
/** With the byte in front; what even the oldest browsers pass on to one another. */
const PIECE_BYTES = 16_384;
const FRAME_BYTES_MAX = 1 << 20;
/** What a channel may hold back; Chromium closes one above 16 MiB. */
const BUFFERED_MAX = 1 << 20;
