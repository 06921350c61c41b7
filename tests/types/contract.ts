// Compiled by `npm run check`, never run: the types say what can be called, and nothing that is not built.

import { type Block, type BlockProof, type ChainReport, type Change, type ChangesetInfo, type ConsistencyProof, type Delta, type EventFigures, type EventInfo, type HandleOf, type Ledger, type LedgerEntry, type LogChain, type ListDelta, type Live, type ObjectState, open, type PolicyEntry, type Preview, type Proof, type Readable, type RelayState, type Reputation, REMOVE, type SharedList, type SharedMap, type SharedText, type Space, type StemmaError, type SyncState, type Value, type View, type Write } from "stemma";
import { type AuthorOptions, type CursorOptions, stemma } from "stemma/codemirror";
import { type Proven, type ProvenBlock, verifyBlock, verifyConsistency, verifyEvidence, verifyProof } from "stemma/verify";
import { bindTextarea } from "stemma/textarea";
import type { Extension } from "@codemirror/state";

export async function contract(): Promise<void> {
  await using space: Space = await open({ name: "notes", relay: ["wss://relay.example"], init: (s) => void s.getMap("m").set("a", 1) });
  const map: SharedMap = space.getMap("m");
  const text: SharedText = space.getText("t");
  const value: Value | undefined = map.set("k", { list: [1n, new Uint8Array(1), null] }).get("k");
  for (const [key, each] of map) text.append(`${key}${String(each)}`);
  const film = await space.blob(new Uint8Array(1), { progress: (bytes, size) => void (bytes / size), signal: AbortSignal.timeout(1) });
  const bytes: Uint8Array = await space.readBlob(map.set("film", film).get("film") as typeof film);
  text.append(String(bytes.length));
  const proof: Proof = await space.audit.proof(space.heads[0] ?? "", { attestedBy: space.me, signal: AbortSignal.timeout(1) });
  const { actor, seq }: Proven = await verifyProof(proof, { root: space.audit.head().root });
  const grown: ConsistencyProof | undefined = space.audit.consistency(space.audit.head());
  await verifyConsistency(grown);
  text.append(`${actor} ${seq.toFixed()}`);
  await space.audit.configure({ validators: [space.me, { member: actor, weight: 2 }], blockTimeMs: 500 }).saved("final");
  const stop: () => void = space.audit.validate({ signal: AbortSignal.timeout(1) });
  for (const { member, weight } of space.audit.validators) if (weight > space.audit.quorum) text.append(member);
  for await (const { type, time, actor } of space.audit.log({ type: "session", live: true, signal: AbortSignal.timeout(1) })) text.append(type + time + (actor ?? ""));
  const chains: readonly LogChain[] = await space.audit.checkLog();
  const dropped: number = await space.audit.redactLog({ member: space.me, object: text });
  for (const { kind, proof: shown, settled } of space.audit.evidence(space.actor)) if (!settled) text.append(kind + (await verifyEvidence(shown)).actor + chains.length + dropped);
  space.on("evidence", (audit) => text.append(`${audit.evidence().length}`));
  const { score, state }: Reputation = space.audit.reputation(space.actor);
  if (space.audit.isByzantine(space.actor) && score < 50 && state === "quarantined") await space.audit.resolve("id").saved("relay");
  for (const { member, root } of space.audit.attestations()) if (space.audit.isFinal(root)) text.append(member + space.audit.attestedBy(root).length);
  space.audit.configure({ validators: [space.me], blockTimeMs: 1_000, maxOpsPerBlock: 1_000, tolerance: 1 / 3, anew: true });
  const blocks: readonly Block[] = await space.audit.blocks({ since: 1, limit: 2, signal: AbortSignal.timeout(1) });
  for (const { height, certificate, operations } of blocks) text.append(`${height} ${certificate[0]?.signature ?? ""} ${operations[0]?.message ?? ""}`);
  const shown: BlockProof = await space.audit.blockProof(1, { signal: AbortSignal.timeout(1) });
  const { signers, weight, quorum }: ProvenBlock = await verifyBlock(shown, { validators: [space.me, { member: actor, weight: 2 }] });
  text.append(`${signers[0]?.weight} ${weight >= quorum} ${(await verifyProof(await space.audit.proof("id", { block: true }), { validators: "hash" })).block?.nextValidators}`);
  const { fault }: ChainReport = await space.audit.verify({ signal: AbortSignal.timeout(1) });
  text.append(`${fault?.reason} ${space.audit.halt?.signers.length}`);
  space.view({ finalOnly: true });
  stop();
  const alone: () => void = space.sync.direct({ iceServers: [{ urls: "stun:stun.example" }], signal: AbortSignal.timeout(1) });
  if (space.sync.peers.length > 8) alone();
  const delta: Delta = text.toDelta();
  text.applyDelta([...delta, { retain: 1 }, { delete: 1 }, { insert: "x" }]);
  const write: Write = space.transact(() => text.update("y"), { message: "m", headers: { a: [1] }, origin: {}, command: "c" });
  await write.saved("relay", { signal: AbortSignal.timeout(1) });
  for await (const changeset of space.history({ object: map, key: "k", since: new Date(), limit: 1, live: true })) {
    const info: ChangesetInfo = changeset;
    void [info.message?.length, info.command?.length];
  }
  const end: () => void = space.subscribe((changes) => {
    for (const change of changes) {
      if (change.kind === "map") change.object.get(change.keys[0] ?? "");
      if (change.kind === "text") change.delta?.length;
      if (change.kind === "list") change.delta?.map((step) => "insert" in step && step.insert.length);
      if (change.kind === "counter") change.delta?.toFixed();
      if (change.kind === "set" || change.kind === "cart") change.object.size + change.keys.length;
    }
  });
  end();
  text.subscribe(([change]) => change?.object.slice(0));
  map.subscribe(([change]) => change?.keys.length);
  space.on("sync", (state: SyncState) => state.status);
  const relays: readonly RelayState[] = space.sync.relays;
  for (const { url, status, pending = 0, lastHeard = 0, progress, error } of relays) void [url.length, status === "denied", pending + lastHeard, progress?.total, error?.code];
  // @ts-expect-error states are frozen
  relays.length = 0;
  space.on("storage", (error: StemmaError) => error.retryable);
  const cursors: CursorOptions = { name: "Ada", hue: 140, field: "at", label: ({ member, state }) => (member === space.me ? undefined : String(state["name"])) };
  const authors: AuthorOptions = { label: (member) => member, hue: (member) => (member === space.me ? null : undefined), onClick: ({ considered }, { clientX }) => void [considered.length, clientX] };
  const extension: Extension = stemma(text, { readOnly: true, undo: false, cursors, authors });
  const unbind: () => void = bindTextarea(document.createElement("textarea"), text, { cursors: { name: "Ada" }, signal: AbortSignal.timeout(1) });
  void [value, extension, unbind];
  // @ts-expect-error a field cannot show the cursors of others
  bindTextarea(document.createElement("input"), text, { cursors: { label: () => "Ada" } });

  // @ts-expect-error values are frozen
  map.toJSON()["k"] = 1;
  // @ts-expect-error not a value
  map.set("d", new Date());
  // @ts-expect-error not a value
  map.set("u", undefined);
  const likes: number = space.getCounter("likes", { kind: "g" }).add(1).add().value;
  const tags: boolean = space.getSet("tags", { kind: "lww" }).add("a").add("b", { since: 1 }).has("a");
  for (const [item, quantity] of space.getCart("cart").add("apple", 2)) void [item, quantity.toFixed()];
  space.getMap("trip", { couple: [["start", "end"]] });
  void [likes, tags];
  const list: SharedList = space.getList("list");
  list.push(1, { a: [null] });
  list.insert(0, "x", new Uint8Array(1));
  list.move(0, list.length - 1);
  list.delete(0, 2);
  const elements: readonly (Value | undefined)[] = [list.get(0), ...list];
  list.subscribe(([change]) => void (change?.delta satisfies ListDelta | undefined));
  void elements;

  const record: SharedMap = space.getMap("record", { fields: { title: "text", votes: "counter" }, couple: [["from", "to"]] });
  const title: SharedText = record.child("title", "text");
  const grows: number = record.child("more", "map", { fields: { x: "set" } }).child("n", "counter", { kind: "g" }).add(1).value;
  const first: Value | undefined = record.child("steps", "list").get(0);
  const [write1] = record.history("more");
  const kind: HandleOf<"map">["kind"] | undefined = write1?.child === "map" ? write1.child : undefined;
  void [title, grows, kind, first];

  // @ts-expect-error not a kind
  space.getMap("record", { fields: { title: "string" } });
  // @ts-expect-error a ledger is under no key
  record.child("x", "ledger");
  const books: Ledger = space.getLedger("books", { creditLimit: 5n, issuers: [space.me] });
  const paid: Write = books.transfer({ to: "pot", amount: 5n, memo: ["x"], command: "c" });
  const entries: readonly LedgerEntry[] = books.entries({ account: "pot", limit: 1 });
  const sums: bigint[] = [books.balance(), ...books.statement().map(({ change }) => change), ...books.debts().map(({ over }) => over)];
  books.subscribe(([change]) => void [change?.keys.length, change?.assets.length]);
  void [paid, entries[0]?.status === "counts", sums, books.owner("boat"), books.assignments("boat")[0]?.status];
  // @ts-expect-error amounts are bigints
  books.transfer({ to: "pot", amount: 5 });
  // @ts-expect-error texts have no options
  record.child("x", "text", {});
  // @ts-expect-error not an option of sets
  record.child("x", "set", { kind: "g" });
  // @ts-expect-error not an option of maps
  space.getMap("m", { kind: "g" });
  // @ts-expect-error texts have no options
  space.getText("t", {});
  // @ts-expect-error not a tier
  void write.saved("disk");
  // @ts-expect-error ids are not set
  write.id = "";
  // @ts-expect-error not a value
  list.push(undefined);
  // @ts-expect-error values are frozen
  list.toJSON()[0] = 1;
  // @ts-expect-error lists have no options
  space.getList("c", {});
  text.mark(0, 1, "bold", true);
  text.mark(0, 1, "link", { href: "x" }, { expand: "none" });
  text.insert(0, "x", { bold: null });
  text.applyDelta([{ retain: 1, attributes: { bold: null } }, { insert: "x", attributes: { size: 2 } }]);
  const bold: Value | undefined = text.toDelta().map((step) => ("delete" in step ? undefined : step.attributes?.["bold"]))[0];
  void bold;
  // @ts-expect-error not a value
  text.mark(0, 1, "bold", undefined);
  // @ts-expect-error not an end
  text.mark(0, 1, "bold", true, { expand: "left" });
  const undone: boolean = space.undo({ scope: [map, text] }) && space.redo() && space.canUndo() && space.canRedo({});
  space.undoGroup(() => void undone);
  using view: View = space.at(new Date(), { by: "received" });
  const other: Readable = space.view({ at: write.id, exclude: [write.id, `${write.id}:0`], include: [] });
  const changes: readonly Change[] = space.diff(view, space.at(0));
  const restored: Write = space.restore(write.id, { object: map, key: "k" });
  void [other.getText("t").length, changes[0]?.source === "diff", restored, view.heads, view.names(), view.stateHash(), view.viewDigest()];
  // @ts-expect-error a view is read
  view.transact(() => {});
  space.at(0, { policy: "then" });
  space.view({ policy: "then", ban: { who: space.me, from: "now" } });
  const said: Write = space.policy.exclude({ member: space.me, since: 0 }, { reason: "why", publish: false });
  const preview: Preview = space.policy.preview({ exclude: [said.id], unban: space.me, dependents: true });
  const entry: PolicyEntry | undefined = space.policy.votes(said.id)[0];
  void [preview.patches.length, preview.view.heads, entry?.verb === "ban", space.policy.standing(said.id).status, space.policy.inbox().length];
  space.define<{ name: string }>("Name", {
    version: 2,
    fields: { name: { required: true, kind: "string", level: 1 } },
    upcast: (data, version) => ({ name: `${data} of ${version}` }),
    apply: (state, { data, time, member }, access) => ({ name: data.name, at: [time, member, access], old: REMOVE, kept: undefined, id: state.id }),
  });
  const id: string = space.create("Photo", { id: "1", data: { name: "hut" } });
  const emitted: Write = space.emit("Name", { concerns: [id], data: { name: "tent" }, command: "c" });
  const photo: ObjectState | undefined = space.read(id, { access: 1 });
  const photos: readonly ObjectState[] = view.query("Photo", { where: { name: "hut" }, orderBy: ["name", "desc"], limit: 1 });
  const live: Live<readonly ObjectState[]> = space.query("Photo", { live: true, where: ({ name }) => name !== null, signal: AbortSignal.timeout(1) });
  live.subscribe((now) => now.length, { signal: AbortSignal.timeout(1) });
  const one: Live<ObjectState | undefined> = space.read(id, { live: true });
  const event: EventInfo | undefined = space.events(id)[0];
  const figures: EventFigures = space.stats().events;
  void [emitted.id, photo?.type, photos[0]?.["name"], one.current, event?.status === "misfit" && event.fields, figures.next[0]?.count, space.definitions[0]?.digest];
  // @ts-expect-error an event concerns something
  space.emit("Name", { data: 1 });
  // @ts-expect-error not a kind of field
  space.define("Name", { fields: { name: { kind: "text" } } });
  // @ts-expect-error states are frozen
  (photo as ObjectState)["name"] = "x";
  // @ts-expect-error a view is read
  view.emit("Name", { concerns: id });
  // @ts-expect-error not an option
  await open({ name: "x", relays: [] });
}
