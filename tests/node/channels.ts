// Data channels and peer connections that carry messages within this process, as Node has none.

/** One end of a data channel. What it has not sent yet is counted, and leaves later. */
export class Channel extends EventTarget {
  binaryType = "blob";
  readyState: "connecting" | "open" | "closed" = "connecting";
  ordered = true;
  maxRetransmits: number | null = null;
  maxPacketLifeTime: number | null = null;
  bufferedAmount = 0;
  bufferedAmountLowThreshold = 0;
  /** The most that was ever held back, and the longest message. */
  most = 0;
  longest = 0;
  other: Channel | undefined;
  readonly #waiting: (Uint8Array<ArrayBuffer> | string)[] = [];

  send(data: Uint8Array<ArrayBuffer> | string): void {
    if (this.readyState !== "open") throw new DOMException("not open", "InvalidStateError");
    this.#waiting.push(typeof data === "string" ? data : data.slice());
    this.bufferedAmount += data.length;
    this.most = Math.max(this.most, this.bufferedAmount);
    this.longest = Math.max(this.longest, data.length);
    if (this.#waiting.length === 1) setTimeout(() => this.#leave());
  }

  open(): void {
    this.readyState = "open";
    this.dispatchEvent(new Event("open"));
  }

  close(): void {
    if (this.readyState === "closed") return;
    this.readyState = "closed";
    setTimeout(() => {
      this.dispatchEvent(new Event("close"));
      this.other?.close();
    });
  }

  #leave(): void {
    for (const data of this.#waiting.splice(0, 16)) {
      const before = this.bufferedAmount;
      this.bufferedAmount -= data.length;
      if (this.other?.readyState === "open") this.other.dispatchEvent(new MessageEvent("message", { data: typeof data === "string" ? data : data.buffer }));
      if (before > this.bufferedAmountLowThreshold && this.bufferedAmount <= this.bufferedAmountLowThreshold) this.dispatchEvent(new Event("bufferedamountlow"));
    }
    if (this.#waiting.length > 0) setTimeout(() => this.#leave());
  }
}

/** Two ends that are open. */
export function channels(): [Channel, Channel] {
  const ends: [Channel, Channel] = [new Channel(), new Channel()];
  [ends[0].other, ends[1].other] = [ends[1], ends[0]];
  for (const end of ends) end.open();
  return ends;
}

/** As the API takes it. */
export const asChannel = (channel: Channel) => channel as unknown as RTCDataChannel;

const connections = new Map<string, Connection>();
let made = 0;

/** A peer connection whose description is its name. */
export class Connection extends EventTarget {
  readonly iceGatheringState = "complete";
  connectionState = "new";
  localDescription: { sdp: string } | undefined;
  #offered: Channel | undefined;
  #remote: Connection | undefined;

  constructor(o: RTCConfiguration = {}) {
    super();
    for (const { urls } of o.iceServers ?? []) if (!`${urls}`.startsWith("stun:")) throw new TypeError(`${urls} is no server`);
  }

  createDataChannel(): Channel {
    return (this.#offered = new Channel());
  }

  async setLocalDescription(): Promise<void> {
    const sdp = `connection ${made++}`;
    connections.set(sdp, this);
    this.localDescription = { sdp };
  }

  async setRemoteDescription({ type, sdp }: { type: string; sdp: string }): Promise<void> {
    this.#remote = connections.get(sdp);
    if (!this.#remote) throw new TypeError("this is no description");
    const mine = this.#offered;
    if (type !== "answer" || !mine) return;
    const theirs = new Channel();
    [mine.other, theirs.other] = [theirs, mine];
    this.#remote.dispatchEvent(Object.assign(new Event("datachannel"), { channel: theirs }));
    for (const end of [theirs, mine]) end.open();
  }

  close(): void {
    this.connectionState = "closed";
    this.#offered?.close();
  }
}

export const peerConnection = Connection as unknown as typeof RTCPeerConnection;
