/**
 * The page: opens the replicas, hands each to a pane, and wires drawer, invite and reset.
 *
 * Invariant: an invite is taken out of the address before the first await. Every replica opened here is closed before
 * its copy is destroyed.
 */
import { type Space, destroy, list } from "stemma";
import { agreement } from "./agreement.ts";
import { guestName, relayAddress, startPage, takeInvite } from "./config.ts";
import { replica } from "./demo.ts";
import { byId, say } from "./dom.ts";
import { Drawer } from "./drawer.ts";
import { wireJoin } from "./join.ts";
import { DirectLine } from "./line.ts";
import { showListing } from "./listing.ts";
import { Log } from "./log.ts";
import { spoil } from "./mallory.ts";
import { workOffline } from "./offline.ts";
import { Pane, messageOf, showFailure } from "./pane.ts";
import { Wire } from "./wire.ts";

const invite = takeInvite();
const guest = guestName();
const wire = new Wire();
const panes: Pane[] = [];
const line = new DirectLine(panes);
const log = new Log(panes, nameOf);
const relay = relayAddress();
let openMs = 0;
let patience = 0;
let lost = false;
let acting: Pane | undefined;

async function start(): Promise<void> {
  showListing(byId("listing"));
  const drawer = new Drawer(byId("drawer"), byId("drawer-open"), wire);
  wire.subscribe(() => (byId("wire-count").textContent = `${drawer.changesets}`));
  wire.subscribe(({ replica, direction }) => {
    if (direction === "received") panes.find(({ name }) => name.startsWith(replica))?.look();
  });
  wireReset();
  byId("direct").addEventListener("click", () => {
    line.want();
    showState();
  });
  if (guest !== null) showGuestWords();
  addEventListener("hashchange", () => {
    if (location.hash.startsWith("#join=")) location.reload();
  });
  // Two windows opened at once must not both found the space.
  await navigator.locks.request("stemma-site-open", () => (guest === null ? openThree() : openGuest(guest)));
  if (panes[0]) wireJoin(panes[0].space);
  wireActing();
  showState();
  workOffline().catch((error: unknown) => console.warn(`this page cannot be kept for offline: ${messageOf(error)}`));
}

async function openThree(): Promise<void> {
  const known = new Set((await list()).map((space) => space.name));
  const ada = await show("ada", "Ada", "demo-ada");
  for (const [id, name] of [["ben", "Ben"], ["mallory", "Mallory"]] as const) {
    if (!ada) {
      showFailure(byId(id), "Waiting for the first replica", "The others join the first.");
      continue;
    }
    const link = known.has(`demo-${id}`) ? undefined : await ada.invite({ role: "writer", uses: 1 });
    await show(id, name, `demo-${id}`, link, ada);
  }
  const mallory = panes.find(({ name }) => name === "Mallory");
  if (mallory) wireMallory(mallory);
}

async function openGuest(name: string): Promise<void> {
  const known = (await list()).some((space) => space.name === `demo-guest-${name}`);
  if (!known && !invite) {
    return showFailure(byId("ada"), "This copy is gone", "It was deleted in this browser. Open a fresh invite link, or go back to the start page.");
  }
  await show("ada", "Guest", `demo-guest-${name}`, known ? undefined : invite);
}

/** Opens a replica in a pane; `partner` is the one it must share a space with. */
async function show(id: string, name: string, database: string, link?: string, partner?: Space): Promise<Space | undefined> {
  const started = performance.now();
  try {
    const space = await replica(database, relay, link, wire.tap(name));
    openMs ||= performance.now() - started;
    if (partner && partner.id !== space.id) {
      await space.close();
      showFailure(byId(id), "These copies belong to different spaces", "One was lost and founded anew. Reset starts again with a fresh pair.");
      return undefined;
    }
    const called = guest === null ? name : `${name} ${space.me.slice(0, 4)}`;
    panes.push(new Pane(byId(id), called, space, relay, changed));
    return space;
  } catch (error) {
    const advice = link && guest !== null ? "The link may be cut off or of another version. Ask for a fresh one." : "Reset deletes the local copies and starts again.";
    showFailure(byId(id), `${name} could not be opened`, `${messageOf(error)}. ${advice}`);
    return undefined;
  }
}

function changed(pane: Pane, moved: boolean): void {
  showState();
  if (!moved) return;
  log.refresh(pane);
  for (const other of panes) if (other !== pane) other.look();
}

function showState(): void {
  line.update();
  showLine();
  showMeters();
  const sight = (acting ?? panes[0])?.sight;
  if (sight) say(byId("agreement"), agreement(sight, panes.map((pane) => pane.sight)));
}

/** What a member is called here; nobody signed that, so the log shows keys beside it. */
function nameOf(member: string): string {
  const own = panes.find(({ space }) => space.me === member);
  return own?.name ?? panes[0]?.nameOf(member) ?? `Member ${member.slice(0, 4)}`;
}

function wireActing(): void {
  const act = (id: string) => {
    acting = panes.find((pane) => pane.name.toLowerCase() === id) ?? panes[0];
    if (!acting) return say(byId("card-title"), "No copy is open");
    log.actAs(acting);
    showState();
  };
  byId("acting").addEventListener("change", (event) => act((event.target as HTMLInputElement).value));
  byId("log").removeAttribute("aria-busy");
  act((document.querySelector("#acting input:checked") as HTMLInputElement).value);
}

function wireMallory(mallory: Pane): void {
  const deed = byId<HTMLButtonElement>("spoil");
  let round = 0;
  deed.disabled = false;
  deed.addEventListener("click", () => mallory.sign(() => spoil(mallory.space, round++)));
}

/** One line for the relay, of fixed height: trouble with it moves nothing on the page. */
function showLine(): void {
  const [tone, words] = relayWords();
  byId("relay-line").dataset.tone = tone;
  const text = byId("relay-words");
  if (text.textContent !== words) text.textContent = words;
  byId("direct").hidden = !lost || line.up || panes.filter((pane) => pane.online).length < 2;
}

function relayWords(): ["good" | "wait" | "bad", string] {
  const asking = panes.filter((pane) => pane.online);
  const live = asking.some((pane) => pane.status === "live" || pane.status === "catching-up");
  if (live || asking.length === 0) {
    clearTimeout(patience);
    patience = 0;
    lost = false;
  }
  if (live) return ["good", `Relay ${relay}: connected`];
  if (panes.length === 0) return ["wait", "Relay: not asked yet"];
  if (asking.length === 0) return ["wait", "All replicas are offline. Edits wait here."];
  if (asking.some((pane) => pane.status === "denied")) return ["bad", "The relay does not let this replica in. Its edits stay here."];
  if (lost && line.up) return ["bad", `No answer from ${relay}. The panes are connected directly.`];
  if (lost) return ["bad", `No answer from ${relay}. Edits are kept here and sent once it is back.`];
  patience ||= window.setTimeout(() => {
    lost = true;
    showLine();
  }, PATIENCE_MS);
  return ["wait", `Asking the relay at ${relay}`];
}

function showMeters(): void {
  const module = performance.getEntriesByType("resource").find((entry) => entry.name.split("?")[0]?.endsWith(".wasm"));
  const wasmBytes = module instanceof PerformanceResourceTiming ? module.encodedBodySize : 0;
  if (wasmBytes > 0) byId("meter-wasm").textContent = kilobytes(wasmBytes);
  if (openMs > 0) byId("meter-open").textContent = `${Math.round(openMs)} ms`;
  const space = panes[0]?.space;
  if (space) {
    const { changesets, bytes } = space.stats();
    byId("meter-changesets").textContent = `${changesets}, ${kilobytes(Number(bytes))}`;
  }
  byId("meter-bytes").textContent = kilobytes(wire.total.bytes);
}

function wireReset(): void {
  const dialog = byId<HTMLDialogElement>("reset");
  byId("reset-open").addEventListener("click", () => dialog.showModal());
  byId("reset-no").addEventListener("click", () => dialog.close());
  byId("reset-yes").addEventListener("click", async () => {
    try {
      await Promise.all(panes.map((pane) => pane.close()));
      for (const name of guest === null ? ["demo-ada", "demo-ben", "demo-mallory"] : [`demo-guest-${guest}`]) await destroy(name);
      location.assign(startPage());
    } catch (error) {
      byId("reset-error").textContent = `${messageOf(error)}. Close other windows of this page and try again.`;
    }
  });
}

function showGuestWords(): void {
  document.body.classList.add("guest");
  for (const id of ["ben", "mallory", "acting"]) byId(id).hidden = true;
  byId("title").textContent = "You hold a copy of your own.";
  byId("lead").textContent =
    "This window joined from a link, with keys and a database of its own. What you write here shows in the other windows, and the relay in between cannot read it. The link has left the address bar: it is a key.";
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1024).toFixed(bytes < 100 * 1024 ? 1 : 0)} KB`;
}

/** How long a relay may take before the page says that it does not answer. */
const PATIENCE_MS = 2500;

start().catch((error: unknown) => showFailure(byId("ada"), "The demo could not start", messageOf(error)));
