/**
 * What the page is told from outside: the relay's address and an invite in the fragment.
 *
 * Invariant: an invite leaves the address bar before anything else runs; it is a key and must not stay in the history.
 */

/** `?relay=`, else what the build was told, else the relay of `npm start` on this machine. */
export function relayAddress(): string {
  const told: unknown = import.meta.env.VITE_RELAY;
  const address = new URLSearchParams(location.search).get("relay") ?? (typeof told === "string" ? told : DEFAULT_RELAY);
  return URL.canParse(address) && new URL(address).pathname === "/" ? new URL(PATH, address).href : address;
}

/** The invite this page was opened with, if any; strips it, and gives this window a database name that outlives a reload. */
export function takeInvite(): string | undefined {
  if (!location.hash.startsWith(PREFIX)) return undefined;
  const invite = location.hash.slice(PREFIX.length);
  const address = new URL(location.href);
  address.hash = "";
  address.searchParams.set("guest", (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0).toString(36));
  history.replaceState(null, "", address);
  return invite;
}

/** The guest this window shows, or null on the page with two panes. */
export function guestName(): string | null {
  return new URLSearchParams(location.search).get("guest");
}

/** A link that lets another window in. What follows `#` is never sent to a server. */
export function inviteLink(invite: string): string {
  const address = new URL(location.href);
  address.searchParams.delete("guest");
  address.hash = PREFIX + invite;
  return address.href;
}

/** This page without guest and fragment; the relay it was told stays. */
export function startPage(): string {
  const address = new URL(location.href);
  address.searchParams.delete("guest");
  address.hash = "";
  return address.href;
}

const DEFAULT_RELAY = "ws://127.0.0.1:4848";
const PATH = "/v1";
const PREFIX = "#join=";
