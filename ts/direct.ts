/**
 * Direct connections between the sessions that are here: by WebRTC, arranged in their presence, so that only members can read or forge what
 * is arranged (`docs/format.md` §10).
 *
 * Invariant: of two sessions the one with the lesser id offers; each attempt has a number, and what is said of another one is not heard.
 */

import { argumentError } from "./check.js";
import { messageOf } from "./errors.js";
import type { Links } from "./links.js";
import type { Presence, Signals } from "./presence.js";
import type { Value } from "./value.js";

/** Options of {@link Sync.direct}. */
export interface DirectOptions {
  /** Servers that tell a browser its public address, or pass on what finds no way; none unless given, and then only a local network is crossed. */
  iceServers?: RTCIceServer[];
  /** The class to connect with; the platform's unless given. */
  peerConnection?: typeof RTCPeerConnection;
  signal?: AbortSignal;
}

interface Attempt {
  readonly id: string;
  readonly connection: RTCPeerConnection;
  /** What the other side is told; nothing any more once it is connected. */
  said?: { offer: string } | { answer: string };
  isAnswered: boolean;
  isOpen: boolean;
  detach?: () => void;
  timer: ReturnType<typeof setTimeout>;
}

export class Direct {
  readonly #presence: Presence;
  readonly #links: Links;
  readonly #onPeers: () => void;
  readonly #make: () => RTCPeerConnection;
  readonly #attempts = new Map<string, Attempt>();
  /** When a session is tried again. */
  readonly #pauses = new Map<string, ReturnType<typeof setTimeout>>();
  /** The last offer of each session that was answered, and when. */
  readonly #answered = new Map<string, { id: string; at: number }>();
  #isOver = false;

  constructor(presence: Presence, links: Links, o: DirectOptions & { peerConnection: typeof RTCPeerConnection }, onPeers: () => void) {
    this.#presence = presence;
    this.#links = links;
    this.#onPeers = onPeers;
    const { iceServers, peerConnection } = o;
    this.#make = () => new peerConnection(iceServers ? { iceServers } : {});
    try {
      this.#make().close();
    } catch (error) {
      throw argumentError("iceServers", messageOf(error));
    }
    presence.onSignals = () => this.#look();
    presence.signal({});
  }

  /** The sessions that are connected. */
  get peers(): string[] {
    return [...this.#attempts].filter(([, { isOpen }]) => isOpen).map(([session]) => session);
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const session of [...this.#attempts.keys()]) this.#drop(session);
    for (const pause of this.#pauses.values()) clearTimeout(pause);
    this.#presence.onSignals = undefined;
    this.#presence.signal(undefined);
  }

  #look(): void {
    if (this.#isOver || !this.#presence.shown) return;
    const own = this.#presence.session;
    const heard = this.#presence.signals;
    for (const [session, attempt] of this.#attempts) if (!attempt.isOpen && !heard.has(session)) this.#drop(session);
    for (const session of this.#answered.keys()) if (!heard.has(session)) this.#answered.delete(session);
    for (const [session, signals] of heard) {
      const attempt = this.#attempts.get(session);
      const said = saidIn(signals, own);
      if (own < session) {
        if (!attempt) this.#offer(session);
        else if (said?.answer !== undefined && said.id === attempt.id && !attempt.isAnswered) this.#accept(session, attempt, said.answer);
      } else if (said?.offer !== undefined && said.id !== this.#answered.get(session)?.id) {
        this.#answer(session, said.id, said.offer);
      }
    }
  }

  #offer(session: string): void {
    const open = this.peers.length;
    if (open >= PEERS_MAX || this.#attempts.size - open >= AT_ONCE_MAX || this.#pauses.has(session)) return;
    const attempt = this.#begin(session, crypto.randomUUID());
    this.#carry(session, attempt, attempt.connection.createDataChannel("stemma"));
    this.#try(session, attempt, async () => {
      await attempt.connection.setLocalDescription();
      attempt.said = { offer: await described(attempt.connection) };
    });
  }

  #answer(session: string, id: string, offer: string): void {
    const last = this.#answered.get(session)?.at ?? 0;
    if (Date.now() - last < PAUSE_MS / 2) return; // nobody offers so often
    this.#drop(session);
    if (this.#attempts.size >= PEERS_MAX) return;
    this.#answered.set(session, { id, at: Date.now() });
    const attempt = this.#begin(session, id);
    attempt.connection.addEventListener("datachannel", ({ channel }) => this.#carry(session, attempt, channel));
    this.#try(session, attempt, async () => {
      await attempt.connection.setRemoteDescription({ type: "offer", sdp: offer });
      await attempt.connection.setLocalDescription();
      attempt.said = { answer: await described(attempt.connection) };
    });
  }

  #accept(session: string, attempt: Attempt, answer: string): void {
    attempt.isAnswered = true;
    this.#try(session, attempt, () => attempt.connection.setRemoteDescription({ type: "answer", sdp: answer }));
  }

  #begin(session: string, id: string): Attempt {
    const connection = this.#make();
    const timer = setTimeout(() => this.#fail(session, attempt), PATIENCE_MS);
    const attempt: Attempt = { id, connection, timer, isAnswered: false, isOpen: false };
    this.#attempts.set(session, attempt);
    connection.addEventListener("connectionstatechange", () => {
      if (["failed", "closed"].includes(connection.connectionState)) this.#fail(session, attempt);
    });
    return attempt;
  }

  /** Goes a step on, and tells the other side what came of it. */
  #try(session: string, attempt: Attempt, step: () => Promise<void>): void {
    step().then(
      () => this.#attempts.get(session) === attempt && this.#publish(),
      () => this.#fail(session, attempt),
    );
  }

  /** Synchronises over a channel once it is open. */
  #carry(session: string, attempt: Attempt, channel: RTCDataChannel): void {
    const open = () => {
      if (this.#attempts.get(session) !== attempt || attempt.isOpen) return channel.close();
      clearTimeout(attempt.timer);
      attempt.isOpen = true;
      delete attempt.said;
      try {
        attempt.detach = this.#links.attach(channel);
      } catch {
        return this.#fail(session, attempt); // the engine is gone, or on its way
      }
      this.#publish();
      this.#onPeers();
      this.#look();
    };
    channel.addEventListener("close", () => this.#fail(session, attempt));
    if (channel.readyState === "open") open();
    else channel.addEventListener("open", open, { once: true });
  }

  /** It came to nothing, or to an end: tried again later. */
  #fail(session: string, attempt: Attempt): void {
    if (this.#attempts.get(session) !== attempt) return;
    this.#drop(session);
    if (this.#isOver) return;
    const goOn = () => {
      this.#pauses.delete(session);
      this.#look();
    };
    this.#pauses.set(session, setTimeout(goOn, PAUSE_MS));
    this.#publish();
    this.#look();
  }

  #drop(session: string): void {
    const attempt = this.#attempts.get(session);
    if (!attempt) return;
    this.#attempts.delete(session);
    clearTimeout(attempt.timer);
    attempt.detach?.();
    attempt.connection.close();
    if (attempt.isOpen) this.#onPeers();
  }

  #publish(): void {
    if (this.#isOver) return;
    const signals: Record<string, Value> = {};
    for (const [session, { id, said }] of this.#attempts) if (said) signals[session] = { id, ...said };
    this.#presence.signal(signals);
  }
}

/** What a session says to this one. */
function saidIn(signals: Signals, own: string): { id: string; offer?: string; answer?: string } | undefined {
  const said = Object.hasOwn(signals, own) ? signals[own] : undefined;
  if (typeof said !== "object" || said === null) return undefined;
  const { id, offer, answer } = said as Record<string, Value>;
  if (typeof id !== "string") return undefined;
  return { id, ...(typeof offer === "string" ? { offer } : {}), ...(typeof answer === "string" ? { answer } : {}) };
}

/** The description of this side, with the ways to it that were found in time. */
async function described(connection: RTCPeerConnection): Promise<string> {
  if (connection.iceGatheringState !== "complete") {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, GATHERING_MS);
      connection.addEventListener("icegatheringstatechange", () => {
        if (connection.iceGatheringState !== "complete") return;
        clearTimeout(timer);
        resolve();
      });
    });
  }
  return connection.localDescription?.sdp ?? "";
}

/** Connections at a time: what is said over one is said over each. */
const PEERS_MAX = 8;
/** Attempts at a time: what is said in them has to fit beside what is shown. */
const AT_ONCE_MAX = 3;
/** Until an attempt has come to nothing. */
const PATIENCE_MS = 20_000;
/** Until the next. */
const PAUSE_MS = 10_000;
/** Until the ways that were found have to do. */
const GATHERING_MS = 2_000;
