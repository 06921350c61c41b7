/** All that a person wrote or that is about it, for that person. */

import type { Proof } from "./audit.js";
import { checkOptions, checkSignal, checkString } from "./check.js";
import type { ConsentEntry } from "./consent.js";
import type { SpaceCore } from "./core.js";
import { StemmaError } from "./errors.js";
import type { EngineDossierEntry } from "./replica.js";
import type { SubjectEntry, SubjectRequest } from "./subjects.js";
import { assign, freeze, isBytes, type Json, type Value } from "./value.js";
import { hex } from "./signed.js";

/** A changeset that is by the person or about it. */
export interface DossierEntry {
  readonly changeset: string;
  /** The member who signed it, with which key, as which of that key. */
  readonly member: string;
  readonly actor: string;
  readonly seq: number;
  /** When it says it was signed, as in ISO 8601. */
  readonly time: string;
  readonly class: "control" | "data" | "policy" | "audit" | "snapshot" | "private";
  /** Against the rules: it is there and has no effect. */
  readonly inert?: true;
  /** Its content was erased. */
  readonly redacted?: true;
  /** What its ops say, as `docs/format.md`, section 12, lists it; bytes are hex digits, big integers are decimal ones. */
  readonly ops: readonly Json[];
  /** What its author wrote beside them; of others only headers that hold something about the person. */
  readonly message?: string;
  readonly command?: string;
  readonly headers?: Json;
  /** What was signed, sealed as it is stored: a row of `docs/format.md`, section 4, as hex digits. */
  readonly row: string;
  /** That it is in the tree over the space as it was then: for `verifyProof`. Absent where its signature was spoilt on the way. */
  readonly proof?: Proof;
}

/** Plain JSON: `JSON.stringify` is all it takes to hand it out. */
export interface Dossier {
  readonly version: 1;
  readonly space: string;
  /** Whom it is about: a member, or what somebody outside is called. */
  readonly subject: string;
  /** When it was made, as in ISO 8601, and by which member. */
  readonly made: string;
  readonly by: string;
  readonly changesets: readonly DossierEntry[];
  readonly consents: readonly ConsentEntry[];
  readonly requests: readonly SubjectRequest[];
  readonly keys: readonly SubjectEntry[];
}

const CLASSES = ["control", "data", "policy", "audit", "snapshot", "private"] as const;

/** So many changesets are looked through in one turn. */
const SLICE = 500;

/** Makes it, for {@link Space.export}. */
export async function dossier(core: SpaceCore, o: { subject: string; signal?: AbortSignal }): Promise<Dossier> {
  checkOptions(o, "o", ["subject", "signal"]);
  const { subject, signal } = o;
  checkString(subject, "subject");
  checkSignal(signal);
  signal?.throwIfAborted();
  const { pump, consent, subjects } = core;
  await core.stored("export");
  const id = pump.read((engine) => engine.subjectId(subject));
  const found: EngineDossierEntry[] = [];
  for (let next: number | undefined = 0; next !== undefined; ) {
    const from: number = next;
    const slice = pump.read((engine) => engine.dossier(subject, from, SLICE));
    found.push(...slice.entries);
    next = slice.next;
    await new Promise((resolve) => setTimeout(resolve));
    signal?.throwIfAborted();
  }
  const changesets: DossierEntry[] = [];
  for (const { time, class: kind, inert, redacted, ops, beside, row, ...rest } of found) {
    const proof = await proofOf(core, rest.changeset, signal);
    changesets.push({
      ...rest,
      time: new Date(time).toISOString(),
      class: CLASSES[kind] ?? "data",
      ...(inert ? { inert } : {}),
      ...(redacted ? { redacted } : {}),
      ops: ops.map(jsonOf),
      ...(beside && (jsonOf(beside) as object)),
      row: hex(row),
      ...(proof ? { proof } : {}),
    });
  }
  const isMember = /^[0-9a-f]{64}$/i.test(subject);
  return freeze({
    version: 1,
    space: pump.read((engine) => engine.id()),
    subject,
    made: new Date().toISOString(),
    by: pump.read((engine) => engine.member()),
    changesets,
    consents: consent.entries().filter((one) => one.subject === (isMember ? id : subject)),
    requests: subjects.requests({ subject }),
    keys: subjects.entries().filter((one) => one.id === id),
  });
}

/** None where a signature was spoilt on the way: what it is of is in the dossier all the same. */
async function proofOf(core: SpaceCore, changeset: string, signal: AbortSignal | undefined): Promise<Proof | undefined> {
  try {
    return await core.audit.proof(changeset, signal ? { signal } : {});
  } catch (error) {
    if (error instanceof StemmaError && error.code === "E_SIGNATURE") return undefined;
    throw error;
  }
}

function jsonOf(value: Value): Json {
  if (typeof value === "bigint") return `${value}`;
  if (typeof value !== "object" || value === null) return value;
  if (isBytes(value)) return hex(value);
  if (Array.isArray(value)) return value.map((item) => jsonOf(item as Value));
  const fields: Record<string, Json> = {};
  for (const [key, inner] of Object.entries(value)) assign(fields, key, jsonOf(inner));
  return fields;
}
