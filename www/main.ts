/**
 * The page: opens the replicas, hands each to a pane, and wires drawer, invite and reset.
 *
 * Invariant: an invite is taken out of the address before the first await. Every replica opened here is closed before
 * its copy is destroyed.
 */
import { type Space, destroy, list } from "stemma";
import { agreement } from "./agreement.ts";
import { AuditDrawer } from "./audit.ts";
import { guestName, relayAddress, startPage, takeInvite } from "./config.ts";
import { replica } from "./demo.ts";
import { byId, element, say } from "./dom.ts";
import { Drawer } from "./drawer.ts";
import { wireJoin } from "./join.ts";
import { DirectLine } from "./line.ts";
import { showListing } from "./listing.ts";
import { Log } from "./log.ts";
import { spoil } from "./mallory.ts";
import { workOffline } from "./offline.ts";
import { Pane, messageOf, showFailure } from "./pane.ts";
import { fillTrip } from "./trip.ts";
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
  new AuditDrawer(byId("audit"), byId("audit-open"), { spaces: () => panes.map(({ space }) => space), acting: () => acting?.space, nameOf });
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
  byId<HTMLButtonElement>("audit-open").disabled = panes.length === 0;
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
  wireTrip();
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
    const around = { nameOf, people, consider: (entry: string) => void consider(space, entry) };
    panes.push(new Pane(byId(id), called, space, relay, changed, around));
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

/** Who can be paid: those of this page, and in a guest's window those who wrote something. */
function people(): readonly string[] {
  const [first] = panes;
  if (guest === null || !first) return panes.map(({ space }) => space.me);
  return [...new Set([first.space.me, ...log.members])];
}

async function act(pane: Pane): Promise<void> {
  acting = pane;
  for (const choice of document.querySelectorAll<HTMLInputElement>("#acting input")) choice.checked = choice.value === pane.name.toLowerCase();
  showState();
  await log.actAs(pane);
}

async function consider(space: Space, entry: string): Promise<void> {
  const pane = panes.find((pane) => pane.space === space);
  if (pane && pane !== acting) await act(pane);
  log.consider(entry);
}

function wireActing(): void {
  byId("acting").addEventListener("change", (event) => {
    const pane = panes.find(({ name }) => name.toLowerCase() === (event.target as HTMLInputElement).value);
    if (pane) void act(pane);
  });
  byId("showing").addEventListener("change", (event) => (byId("main").dataset.showing = (event.target as HTMLInputElement).value));
  byId("log").removeAttribute("aria-busy");
  for (const pane of panes) pane.showMoney();
  if (panes[0]) void act(panes[0]);
  else say(byId("card-title"), "No copy is open");
}

function wireTrip(): void {
  const [ada, ben, mallory] = ["Ada", "Ben", "Mallory"].map((name) => panes.find((pane) => pane.name === name));
  if (!ada || !ben || !mallory) return;
  const trip = byId<HTMLButtonElement>("fill");
  trip.disabled = false;
  const sign = (space: Space, work: () => unknown) => void panes.find((pane) => pane.space === space)?.sign(work);
  trip.addEventListener("click", async () => {
    trip.disabled = true;
    await fillTrip({ Ada: ada.space, Ben: ben.space, Mallory: mallory.space }, sign).catch((error: unknown) => ada.notice(messageOf(error)));
    trip.disabled = false;
  });
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
  for (const id of ["ben", "mallory", "acting", "spoil", "fill", "agreement"]) byId(id).hidden = true;
  byId("title").textContent = "You hold a copy of your own.";
  const lead =
    "This window joined from a link, with keys and a database of its own. What you write here shows in the other windows, and the relay in between cannot read it. The link has left the address bar: it is a key.";
  byId("lead").replaceChildren(element("p", "", lead));
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1024).toFixed(bytes < 100 * 1024 ? 1 : 0)} KB`;
}

/** How long a relay may take before the page says that it does not answer. */
const PATIENCE_MS = 2500;

start().catch((error: unknown) => showFailure(byId("ada"), "The demo could not start", messageOf(error)));
