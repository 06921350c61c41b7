// A WebSocket server for tests of our own socket: echoes binary frames, and does what the path says to the others.
// Only what such a test sends is understood: unfragmented frames up to 64 KiB.

import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Owner } from "./harness.ts";

export interface Echo {
  url: string;
  /** Codes with which clients said goodbye. */
  closeCodes: number[];
}

/** `/` echoes, `/bye` closes with 4001 at the first frame, `/text` answers with a text frame. */
export async function serveEcho(owner: Owner): Promise<Echo> {
  const server = createServer();
  const closeCodes: number[] = [];
  server.on("upgrade", (request, socket) => {
    const accept = createHash("sha1").update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept.digest("base64")}\r\n\r\n`,
    );
    let waiting = Buffer.alloc(0);
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => {
      waiting = Buffer.concat([waiting, chunk]);
      for (let frame = take(waiting); frame; frame = take(waiting)) {
        waiting = waiting.subarray(frame.end);
        if (frame.opcode === CLOSE) {
          closeCodes.push(frame.payload.readUInt16BE(0));
          socket.end(request.url === "/bye" ? undefined : encode(CLOSE, frame.payload)); // at "/bye" it is the answer
        } else if (request.url === "/bye") {
          socket.write(encode(CLOSE, Buffer.from([4001 >> 8, 4001 & 0xff, ...Buffer.from("bye")])));
        } else {
          socket.write(encode(request.url === "/text" ? TEXT : BINARY, frame.payload));
        }
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  owner.after(async () => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`, closeCodes };
}

function take(bytes: Buffer): { opcode: number; payload: Buffer; end: number } | undefined {
  if (bytes.length < 6) return undefined;
  const short = (bytes[1] as number) & 0x7f;
  const at = short === 126 ? 4 : 2;
  if (bytes.length < at + 4) return undefined;
  const end = at + 4 + (short === 126 ? bytes.readUInt16BE(2) : short);
  if (bytes.length < end) return undefined;
  const mask = bytes.subarray(at, at + 4);
  const payload = Buffer.from(bytes.subarray(at + 4, end).map((byte, index) => byte ^ (mask[index % 4] as number)));
  return { opcode: (bytes[0] as number) & 0x0f, payload, end };
}

function encode(opcode: number, payload: Buffer): Buffer {
  const long = payload.length > 125;
  const head = Buffer.alloc(long ? 4 : 2);
  head[0] = 0x80 | opcode;
  head[1] = long ? 126 : payload.length;
  if (long) head.writeUInt16BE(payload.length, 2);
  return Buffer.concat([head, payload]);
}

const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
