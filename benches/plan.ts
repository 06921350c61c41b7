// What is measured, of which libraries, and what Stemma is to reach.

/** How a row of Stemma is judged: in the unit of the measure, or times the best peer or one of them. */
export interface Goal {
  must: number;
  aim: number;
  /** `"best"`, or a library; absent: `must` and `aim` are absolute. */
  of?: string;
  /** The measure in which the others are looked at, if not the same. */
  beside?: string;
}

export interface Measure {
  unit: "ms" | "µs" | "bytes" | "changesets";
  title: string;
  goal?: Goal;
}

export interface Plan {
  /** What `--only` names. */
  group: string;
  job: string;
  traces: string[];
  isConcurrent?: boolean;
  libraries: string[];
  /** Those that are measured in Chromium as well. */
  chromium?: string[];
  /** Only with `--large`. */
  isLarge?: boolean;
  /** Whether something has to be made once, before the runs. */
  isPrepared?: boolean;
}

const TEXTS = ["stemma", "diamond-types", "json-joy", "loro", "yjs", "ywasm", "automerge"];
const IN_CHROMIUM = ["stemma", "diamond-types", "json-joy", "yjs"];

export const PLANS: Plan[] = [
  { group: "text", job: "typing", traces: ["automerge-paper", "sveltecomponent"], libraries: TEXTS, chromium: IN_CHROMIUM },
  { group: "text", job: "updates", traces: ["automerge-paper"], libraries: TEXTS },
  { group: "open", job: "opening", traces: ["automerge-paper"], libraries: [...TEXTS, "yjs (keeping)"], isPrepared: true },
  { group: "remote", job: "remote", traces: ["friendsforever"], isConcurrent: true, libraries: TEXTS, isPrepared: true },
  { group: "toggle", job: "toggle", traces: ["two authors"], libraries: ["stemma"] },
  { group: "policy", job: "policy", traces: ["100,000 changesets"], libraries: ["stemma"] },
  { group: "history", job: "history", traces: ["100,000 changesets"], libraries: ["stemma"], isPrepared: true },
  { group: "ledger", job: "ledger", traces: ["100,000 transfers"], libraries: ["stemma"] },
  { group: "events", job: "events", traces: ["10,000 events"], libraries: ["stemma"] },
  { group: "past", job: "past", traces: ["automerge-paper"], libraries: ["stemma", "diamond-types", "loro", "automerge"] },
  { group: "map", job: "map", traces: ["transacts of one", "one transact"], libraries: TEXTS.filter((name) => name !== "diamond-types"), chromium: ["stemma", "json-joy", "yjs"] },
  { group: "types", job: "types", traces: ["one transact"], libraries: ["stemma"], chromium: ["stemma"] },
  { group: "space", job: "objects", traces: ["small objects"], libraries: ["stemma"], isPrepared: true, chromium: ["stemma"] },
  { group: "space", job: "space", traces: ["automerge-paper"], libraries: [], chromium: ["stemma"] },
  { group: "relay", job: "relay", traces: ["automerge-paper"], libraries: ["stemma"] },
  { group: "month", job: "month", traces: ["20,000 changesets"], libraries: ["stemma"] },
  { group: "batching", job: "batching", traces: ["1 types alone", "1 types, 1 reads", "2 type at once", "8 type at once"], libraries: ["stemma"] },
  { group: "crypto", job: "crypto", traces: ["suite 1"], libraries: ["stemma"] },
  { group: "audit", job: "audit", traces: ["Merkle trees and blocks"], libraries: ["stemma"] },
  { group: "audit", job: "finality", traces: ["4 validators"], libraries: ["stemma"] },
  { group: "audit", job: "redaction", traces: ["100,000 changesets"], libraries: ["stemma"] },
  { group: "size", job: "size", traces: ["the package"], libraries: ["stemma"] },
  { group: "large", job: "large", traces: ["automerge-paper x100"], libraries: ["stemma", "diamond-types", "json-joy"], isLarge: true, isPrepared: true },
];

const best = (must: number, aim: number): Goal => ({ must, aim, of: "best" });
const at = (must: number, aim: number): Goal => ({ must, aim });

/** Times as fast as what is known of another engine. */
const faster = (ms: number, times: number): Goal => at(ms / times, ms / times / 2);

/** By the names that jobs answer with. */
export const MEASURES: Record<string, Measure> = {
  typing: { unit: "ms", title: "typed, told once per 100 edits", goal: best(0.8, 0.5) },
  sealing: { unit: "ms", title: "beside it: each 100 edits signed, sealed, stored" },
  updates: { unit: "ms", title: "typed, each 100 edits made an update for others" },
  "update bytes": { unit: "bytes", title: "bytes of an update of 100 edits" },
  opening: { unit: "ms", title: "saved bytes -> text -> first edit; of Stemma a folder with its lock", goal: best(0.3, 0.1) },
  "opening unsealed": { unit: "ms", title: "beside it: a snapshot's bytes of the text -> text -> first edit (bench-only entry)", goal: { ...best(0.3, 0.1), beside: "opening" } },
  "opening sealed": { unit: "ms", title: "the same with unsealing these (bench-only entry)", goal: { ...best(0.3, 0.1), beside: "opening" } },
  "opening the log": { unit: "ms", title: "stored changesets, no snapshot -> text -> first edit" },
  memory: { unit: "bytes", title: "memory after that, over an empty one (JS + wasm)", goal: { must: 1.5, aim: 1, of: "diamond-types" } },
  "saved, gzip": { unit: "bytes", title: "saved: structure, text and history, gzip -9", goal: { must: 1.3, aim: 1, of: "diamond-types" } },
  saved: { unit: "bytes", title: "the same, not zipped" },
  exported: { unit: "bytes", title: "all changesets of 100 edits, signed and sealed" },
  remote: { unit: "ms", title: "applied one by one, opened before", goal: best(0.2, 0.05) },
  "remote, verified": { unit: "ms", title: "verified, opened and applied one by one" },
  "verified and opened": { unit: "ms", title: "of that: read, verified and opened (bench-only entry)" },
  "remote bytes": { unit: "bytes", title: "bytes of an update of one edit" },
  "switch off": { unit: "ms", title: "one of two authors off, 10,000 runs", goal: at(5, 1) },
  "switch on": { unit: "ms", title: "and on again", goal: at(5, 1) },
  history: { unit: "ms", title: "all 100,000 changesets listed, right after opening a folder", goal: at(1_000, 1_000) },
  "preview of a ban": { unit: "ms", title: "10,000 of 100,000 changesets banned, tried", goal: at(50, 50) },
  ban: { unit: "ms", title: "and said", goal: at(50, 50) },
  unban: { unit: "ms", title: "and taken back", goal: at(50, 50) },
  "1,000 exclusions": { unit: "ms", title: "1,000 changesets excluded", goal: at(10, 10) },
  why: { unit: "ms", title: "why a key reads so, the first of a process", goal: at(1, 1) },
  "why again": { unit: "ms", title: "why others do", goal: at(1, 1) },
  "a payment": { unit: "ms", title: "a payment, after 100,000 others" },
  "balance after a payment": { unit: "ms", title: "what an account stands at then", goal: at(1, 1) },
  "an exclusion of a payment": { unit: "ms", title: "a payment excluded: signed, stored, counted" },
  "balance after an exclusion": { unit: "ms", title: "what an account stands at then", goal: at(1, 1) },
  "balance after an inclusion": { unit: "ms", title: "and when it is included again", goal: at(1, 1) },
  "1,000 exclusions of payments": { unit: "ms", title: "1,000 payments excluded one by one, in one word" },
  "balance after 1,000 exclusions": { unit: "ms", title: "what an account stands at then", goal: at(1, 1) },
  "balance at a view": { unit: "ms", title: "at half of the history", goal: at(100, 100) },
  "last entries": { unit: "ms", title: "beside it: the last 100 entries" },
  "first read": { unit: "ms", title: "an object of 10,000 events read, besides its reducer", goal: at(20, 10) },
  "its reducer": { unit: "ms", title: "beside it: the reducer itself, 10,000 times" },
  "read again": { unit: "ms", title: "read again", goal: at(0.05, 0.01) },
  "a new last event": { unit: "ms", title: "read with a new last event" },
  "one in the middle": { unit: "ms", title: "read without one in the middle" },
  past: { unit: "ms", title: "the text at half its history", goal: at(1, 0.4) },
  "map sets": { unit: "ms", title: "100,000 sets over 10,000 keys", goal: best(1, 0.5) },
  "map sealing": { unit: "ms", title: "beside it: signed, sealed, stored" },
  "10,000 increments, g": { unit: "ms", title: "10,000 increments, G-counter", goal: faster(2.5, 3) },
  "10,000 increments, g, cold": { unit: "ms", title: "10,000 increments, G-counter, the first of a process", goal: faster(2.5, 3) },
  "10,000 increments, pn": { unit: "ms", title: "10,000 increments, PN-counter", goal: faster(3.1, 3) },
  "10,000 increments, pn, cold": { unit: "ms", title: "10,000 increments, PN-counter, the first of a process", goal: faster(3.1, 3) },
  "5,000 adds, lww set": { unit: "ms", title: "5,000 adds, LWW-set", goal: faster(8.2, 10) },
  "5,000 adds, lww set, cold": { unit: "ms", title: "5,000 adds, LWW-set, the first of a process", goal: faster(8.2, 10) },
  "5,000 adds, or set": { unit: "ms", title: "5,000 adds, OR-set", goal: faster(7.5, 10) },
  "5,000 adds, or set, cold": { unit: "ms", title: "5,000 adds, OR-set, the first of a process", goal: faster(7.5, 10) },
  "1,000 list inserts": { unit: "ms", title: "1,000 list inserts", goal: faster(15.3, 10) },
  "1,000 list inserts, cold": { unit: "ms", title: "1,000 list inserts, the first of a process", goal: faster(15.3, 10) },
  "types sealing": { unit: "ms", title: "beside these: each signed, sealed, stored" },
  "types sealing, cold": { unit: "ms", title: "beside these, the first of a process" },
  objects: { unit: "ms", title: "a space of 10,000 small objects opened, one read", goal: at(150, 50) },
  space: { unit: "ms", title: "the space opened from IndexedDB, no snapshot" },
  "space with a snapshot": { unit: "ms", title: "the space opened from IndexedDB" },
  "relay bytes": { unit: "bytes", title: "stored at the relay, changesets of 100 edits" },
  "relay bytes per changeset": { unit: "bytes", title: "the same per changeset" },
  "sent bytes per changeset": { unit: "bytes", title: "sent per changeset" },
  "month pushed": { unit: "ms", title: "all changesets of a month offline pushed to a relay" },
  "month pushed, longest": { unit: "ms", title: "the longest that nothing else had a turn meanwhile", goal: at(50, 16) },
  "month pushed, memory": { unit: "bytes", title: "memory that it took, at the most" },
  "month received": { unit: "ms", title: "and received by a newcomer" },
  "month received, longest": { unit: "ms", title: "the longest that nothing else had a turn meanwhile", goal: at(50, 16) },
  "month received, memory": { unit: "bytes", title: "memory that it took, at the most" },
  "changesets per letter": { unit: "changesets", title: "changesets a typed letter" },
  "bytes per letter": { unit: "bytes", title: "bytes sent a typed letter" },
  "seen, half": { unit: "ms", title: "until another one sees a letter, half of them, 40 ms on the way included", goal: at(400, 250) },
  "seen, 99 of 100": { unit: "ms", title: "the same, 99 of 100", goal: at(1_000, 600) },
  sign: { unit: "ms", title: "sign" },
  verify: { unit: "ms", title: "verify" },
  "AES-256-GCM of 1 KB": { unit: "ms", title: "AES-256-GCM of 1 KB, with a fresh key", goal: at(0.015, 0.015) },
  "seal 1 KB": { unit: "ms", title: "beside it: 1 KB sealed, with salt, key and padding" },
  "open 1 KB": { unit: "ms", title: "and opened" },
  "SHA-256 of 1 KB": { unit: "ms", title: "SHA-256 of 1 KB" },
  "AES-256-GCM of 10 KB": { unit: "ms", title: "AES-256-GCM of 10 KB, with a fresh key", goal: at(0.12, 0.12) },
  "seal 10 KB": { unit: "ms", title: "beside it: 10 KB sealed, with salt, key and padding" },
  "open 10 KB": { unit: "ms", title: "and opened" },
  "SHA-256 of 10 KB": { unit: "ms", title: "SHA-256 of 10 KB" },
  "AES-256-GCM of 100 KB": { unit: "ms", title: "AES-256-GCM of 100 KB, with a fresh key", goal: at(1.2, 1.2) },
  "seal 100 KB": { unit: "ms", title: "beside it: 100 KB sealed, with salt, key and padding" },
  "open 100 KB": { unit: "ms", title: "and opened" },
  "SHA-256 of 100 KB": { unit: "ms", title: "SHA-256 of 100 KB" },
  "tree of 1,000": { unit: "ms", title: "a Merkle tree of 1,000 made", goal: at(1.2, 0.6) },
  "proof of 1,000": { unit: "ms", title: "a proof of inclusion in it", goal: at(0.03, 0.015) },
  "proof of 1,000 checked": { unit: "ms", title: "and checked", goal: at(0.02, 0.01) },
  "a redaction of 100,000": { unit: "ms", title: "one of 100,000 changesets redacted: signed, handed over, gone from what is read", goal: at(50, 10) },
  "append to 1,000,000": { unit: "µs", title: "a leaf added to 1,000,000", goal: at(10, 5) },
  "block of 1,000": { unit: "ms", title: "a block of 1,000 changesets made, without signatures", goal: at(0.8, 0.4) },
  "block of 1,000 checked": { unit: "ms", title: "and looked whether it is right", goal: at(1.1, 0.6) },
  "chain of 10,000": { unit: "ms", title: "a chain of 10,000 blocks worked out anew", goal: at(1_000, 500) },
  finality: { unit: "ms", title: "from a write to a block that holds it, with a block time of 200 ms, median", goal: at(400, 300) },
  download: { unit: "bytes", title: "wasm and glue, brotli", goal: at(220_000, 160_000) },
  "early edit": { unit: "µs", title: "an edit among the first 26,000" },
  "late edit": { unit: "µs", title: "an edit among the last 26,000" },
  "large opening": { unit: "ms", title: "opened, text, first edit", goal: { must: 1, aim: 0.3, of: "diamond-types" } },
  "large saved": { unit: "bytes", title: "saved" },
  "large exported": { unit: "bytes", title: "all changesets" },
};
