/** Synchronisation with relays and with other replicas. */

import { argumentError, checkFunction, checkOptions, checkSignal, checkString } from "./check.js";
import { Direct, type DirectOptions } from "./direct.js";
import { StemmaError } from "./errors.js";
import type { Links } from "./links.js";
import type { Presence } from "./presence.js";
import type { Pump } from "./pump.js";
import { betterOf, type Relays } from "./relays.js";
import type { View } from "./view.js";
import { Waiters } from "./waiters.js";

/**
 * `"offline"`: no connection · `"connecting"` · `"catching-up"` · `"live"`: everything known there is here ·
 * `"denied"`: the relay does not let this member in, or speaks another version; work goes on and stays here · `"reset"`: the relay lost its log.
 */
export type SyncStatus = "offline" | "connecting" | "catching-up" | "live" | "denied" | "reset";

/** How it stands; frozen, and the same object until it changes. */
export interface SyncState {
  /** The best of all relays: `live`, else `catching-up`, `reset`, `connecting`, `denied`, `offline`. So `denied` says that no relay does better. */
  readonly status: SyncStatus;
  /** Own changesets that no relay has acknowledged. */
  readonly pending: number;
  /** When anything was last heard from another side, ms since 1970. */
  readonly lastHeard?: number;
  /** While the log of a relay is read: how many of its changesets came in, and how many it has. */
  readonly progress?: SyncProgress;
  /** Each relay by itself. */
  readonly relays: readonly RelayState[];
}

/** How it stands with one relay; frozen, and the same object until it changes. */
export interface RelayState {
  /** As it was connected. */
  readonly url: string;
  readonly status: SyncStatus;
  /** Changesets that wait to be sent there or for its answer, one's own and others'. Absent while it has not said what it has. */
  readonly pending?: number;
  /** When it was last heard, ms since 1970. Where another tab speaks with it: as that tab last told. */
  readonly lastHeard?: number;
  /** While its log is read. */
  readonly progress?: SyncProgress;
  /** Why it takes nothing, or not all that is here: `E_RELAY_REFUSED`, whose message begins with the relay's code (`docs/protocol.md` §5). Absent where nothing is refused. */
  readonly error?: StemmaError;
}

/** How far reading is. It may find that there is more than it looked like. */
export interface SyncProgress {
  readonly received: number;
  readonly total: number;
}

/** The connections of one space. Nothing here is needed to read or write. */
export class Sync {
  readonly #core: SyncCore;

  /** @internal */
  constructor(core: SyncCore) {
    this.#core = core;
  }

  /**
   * The best of {@link relays}: `live`, else `catching-up`, `reset`, `connecting`, `denied`, `offline`, which is also the status without any. One that
   * refuses is not seen here while another does not.
   */
  get status(): SyncStatus {
    return this.#core.state.status;
  }

  /**
   * How it stands with each relay, in the order in which they were connected: also with those that another tab speaks with, as it last told.
   * Frozen, and the same array until anything of it changes, of which `on("sync")` tells, but for `lastHeard`. Costs O(relays).
   */
  get relays(): readonly RelayState[] {
    return this.#core.state.relays;
  }

  /** Own changesets that no relay has acknowledged. */
  get pending(): number {
    return this.#core.state.pending;
  }

  /** When anything was last heard from another side, ms since 1970. */
  get lastHeard(): number | undefined {
    return this.#core.state.lastHeard;
  }

  /** While the log of a relay is read: how many of its changesets came in, and how many it has. Told of by `on("sync")`. */
  get progress(): SyncProgress | undefined {
    return this.#core.state.progress;
  }

  /**
   * The space as other devices say that it is, to be shown while its log is still being read: a whole state, sealed for the members, that one device left at
   * the relay and another one vouches for. There is one only for who has more than about a thousand changesets to read, `on("sync")` tells when it is here
   * and when it is over, and its handles are read-only. The space itself shows, and writes build on, what was read of the log and nothing else.
   *
   * When the log is here both are compared. If they differ, `on("error")` tells `E_SNAPSHOT` and who signed it; nothing was built on it.
   *
   * ```ts
   * const shown = () => space.sync.firstLook ?? space;
   * space.on("sync", () => render(shown().getText("notes").toString()));
   * ```
   */
  get firstLook(): View | undefined {
    return this.#core.firstLook;
  }

  /**
   * Keeps a connection to a relay (`ws://` or `wss://`), trying again for as long as the space is open. Connecting
   * to the same relay again does nothing. Of the tabs that share a database one has the connection, and another goes on within
   * seconds when it is gone; the state is the same in all of them.
   *
   * Throws `E_ARGUMENT` for any other address and `E_UNSUPPORTED` where there is no WebSocket.
   */
  connect(url: string): void {
    this.#core.connect(url, "url");
  }

  /** Ends this tab's wish for a connection to a relay, or to all. Work goes on and is sent later, or by another tab that keeps one. */
  disconnect(url?: string): void {
    this.#core.disconnect(url);
  }

  /**
   * Synchronises with another replica of the space over a port, whose other end is attached there: another pane, a
   * worker, or a peer by WebRTC, over a channel that is ordered and reliable; {@link direct} makes such channels by itself. The port is used up: it is closed when either side ends. Returns what ends it.
   */
  attach(port: MessagePort | RTCDataChannel): () => void {
    return this.#core.attach(port);
  }

  /**
   * Connects this session with others that do the same, up to 8, browser to browser by WebRTC: what both sides have then arrives without a relay, as over
   * {@link attach}, and goes on arriving when the relay is gone. How to reach it a session tells in its {@link Space.presence}, which this makes seen: members
   * learn each other's network addresses, the relay does not. A connection that breaks is made again while both are here. Returns what ends it; while it
   * goes on, another call throws.
   *
   * Throws `E_UNSUPPORTED` where there is no WebRTC.
   */
  direct(o: DirectOptions = {}): () => void {
    checkOptions(o, "o", ["iceServers", "peerConnection", "signal"]);
    checkSignal(o.signal);
    return this.#core.goDirect(o);
  }

  /** The sessions that this one is connected with by {@link direct}. `on("sync")` tells when there are others. */
  get peers(): readonly string[] {
    return this.#core.peers;
  }

  /**
   * Seals the open batch and resolves when everything from the other side is here and everything of ours is there.
   *
   * Without a connection it waits for one. Rejects with `E_RELAY_REFUSED` if no relay takes all that is here, `E_CLOSED`
   * if the space is closed first, or the reason of the signal.
   */
  async settled(o?: { signal?: AbortSignal }): Promise<void> {
    checkOptions(o, "o", ["signal"]);
    checkSignal(o?.signal);
    await this.#core.settled(o?.signal);
  }
}

/** What stands behind {@link Sync}. */
export class SyncCore {
  readonly #pump: Pump;
  readonly #links: Links;
  readonly #relays: Relays;
  readonly #presence: Presence;
  readonly #onPeers: () => void;
  #direct: Direct | undefined;
  readonly #canDial: () => boolean;
  readonly #waiters = new Waiters<null>();
  #state: SyncState | undefined;
  /** What is shown while the log is read. */
  firstLook: View | undefined;

  constructor(pump: Pump, links: Links, relays: Relays, presence: Presence, canDial: () => boolean, onPeers: () => void) {
    this.#pump = pump;
    this.#links = links;
    this.#relays = relays;
    this.#presence = presence;
    this.#onPeers = onPeers;
    this.#canDial = canDial;
  }

  get state(): SyncState {
    const own = this.#pump.read((engine) => engine.syncState());
    const relays = this.#relays.states;
    const { pending } = own;
    const status = relays.reduce<SyncStatus>((best, relay) => betterOf(best, relay.status), "offline");
    const heard = [own, ...relays].flatMap(({ lastHeard }) => lastHeard ?? []);
    const lastHeard = heard.length > 0 ? Math.max(...heard) : undefined;
    const known = this.#state;
    if (known?.relays === relays && known.status === status && known.pending === pending && known.lastHeard === lastHeard) return known;
    const reads = relays.flatMap(({ progress }) => progress ?? []);
    const sum = (count: keyof SyncProgress) => reads.reduce((all, read) => all + read[count], 0);
    this.#state = Object.freeze({
      status,
      pending,
      ...(lastHeard === undefined ? {} : { lastHeard }),
      ...(reads.length > 0 ? { progress: Object.freeze({ received: sum("received"), total: sum("total") }) } : {}),
      relays,
    });
    return this.#state;
  }

  /** The relays that are wanted. */
  get urls(): string[] {
    return this.#relays.urls;
  }

  connect(url: string, argument: string): void {
    checkRelay(url, argument);
    if (!this.#canDial()) throw new StemmaError("E_UNSUPPORTED", "there is no WebSocket here: pass one to open({ webSocket })");
    this.#pump.check();
    this.#relays.connect(url);
  }

  /** Connects to relays that an invite names; what is no address, or cannot be dialled here, is left out. */
  follow(hints: readonly string[]): void {
    if (this.#canDial()) for (const hint of hints) if (isRelay(hint)) this.connect(hint, "invite");
  }

  disconnect(url?: string): void {
    if (url !== undefined) checkString(url, "url");
    this.#pump.check();
    for (const known of url === undefined ? this.urls : [url]) this.#relays.disconnect(known);
  }

  attach(port: MessagePort | RTCDataChannel): () => void {
    return this.#links.attach(port);
  }

  get peers(): readonly string[] {
    this.#pump.check();
    return Object.freeze(this.#direct?.peers ?? []);
  }

  goDirect(o: DirectOptions): () => void {
    this.#pump.check();
    const { signal, peerConnection = globalThis.RTCPeerConnection } = o;
    if (peerConnection === undefined) throw new StemmaError("E_UNSUPPORTED", "there is no WebRTC here: pass a class", { argument: "peerConnection" });
    checkFunction(peerConnection, "peerConnection");
    if (this.#direct) throw argumentError("o", "this session makes direct connections already");
    signal?.throwIfAborted();
    const direct = new Direct(this.#presence, this.#links, { ...o, peerConnection }, this.#onPeers);
    this.#direct = direct;
    const end = () => {
      signal?.removeEventListener("abort", end);
      if (this.#direct !== direct) return;
      this.#direct = undefined;
      direct.end();
    };
    signal?.addEventListener("abort", end);
    return end;
  }

  /** The space is closing. */
  end(): void {
    this.#direct?.end();
    this.#direct = undefined;
  }

  async settled(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    this.#pump.call((engine) => engine.flush());
    const refusal = this.#refused();
    if (refusal) throw refusal;
    if (!this.#isSettled()) await this.#waiters.add(null, signal);
  }

  /** Why no relay takes all that is here, if none does. */
  get refusal(): string | undefined {
    const reasons = this.#relays.words.map((word) => word?.refusal);
    if (this.#relays.urls.length > reasons.length) reasons.push(this.#pump.peek((engine) => engine.refusal()));
    return reasons.includes(undefined) ? undefined : reasons[0];
  }

  #refused(): StemmaError | undefined {
    const reason = this.refusal;
    return reason === undefined ? undefined : new StemmaError("E_RELAY_REFUSED", reason);
  }

  /** Anything may have settled, or been refused. */
  review(): void {
    if (this.#waiters.size === 0) return;
    const refusal = this.#refused();
    if (refusal) this.#waiters.fail(refusal);
    else if (this.#isSettled()) this.#waiters.settle(() => true);
  }

  /** After a crash: ports are gone, relays are dialled anew. */
  restore(): void {
    this.#relays.restore();
  }

  fail(error: StemmaError): void {
    this.#waiters.fail(error);
  }

  #isSettled(): boolean {
    const { connected, settled } = this.#pump.read((engine) => engine.syncState());
    return settled && this.#relays.isSettled && (connected || this.#relays.words.some((word) => word?.status === "live"));
  }
}

/** A WebSocket address. */
export function checkRelay(url: unknown, argument: string): asserts url is string {
  checkString(url, argument);
  if (!isRelay(url)) throw argumentError(argument, `${JSON.stringify(url)} is not a ws:// or wss:// address`);
}

function isRelay(url: string): boolean {
  try {
    return ["ws:", "wss:"].includes(new URL(url).protocol);
  } catch {
    return false;
  }
}
