/**
 * People that data is about. What is stored of a person can be sealed under a key of that person's own: whoever erases the key erases all of it,
 * wherever it was copied to, in one act.
 *
 * Invariant: nothing here keeps a personal value in clear; it is opened when it is read.
 */

import { argumentError, checkOptions, checkSignal, checkString, checkWord } from "./check.js";
import type { SpaceCore } from "./core.js";
import { type Dossier, dossier } from "./dossier.js";
import type { Redaction } from "./erasure.js";
import { StemmaError } from "./errors.js";
import type { Target } from "./policy.js";
import type { EngineRequest, EngineSubject } from "./replica.js";
import { assign, checkValue, freeze, isBytes, type Value } from "./value.js";
import type { Write } from "./write.js";

/** A value that is about somebody, sealed for them. An ordinary {@link Value}, whole or inside others: whoever copies it copies what is sealed. */
export type Personal = { readonly personal: Uint8Array };

/** Somebody who has a key, or had one. */
export interface SubjectEntry {
  /** A member's 64 hex digits; of somebody outside 32, which tell no name. */
  readonly id: string;
  /** A member, or what you call somebody outside; absent where that is not known, or was erased. */
  readonly subject?: string;
  /** `"missing"`: the key has not come yet. */
  readonly state: "registered" | "erased" | "missing";
  /** The member who registered them, and when it says it did, ms since 1970. */
  readonly by: string;
  readonly time: number;
  /** What holds the key, or held it. */
  readonly changeset: string;
}

/** How a request stands. */
export type RequestState = "asked" | "approved" | "refused" | "done";

/** A step in the life of a request. */
export interface RequestStep {
  readonly state: RequestState;
  readonly reason?: string;
  /** The member who signed it, and when it says it did, ms since 1970. */
  readonly by: string;
  readonly time: number;
  readonly changeset: string;
  /** The redactions by which it was done: {@link Audit.redaction} tells who has deleted what they name. */
  readonly redactions?: readonly string[];
}

/** What somebody asked for, and what came of it. */
export interface SubjectRequest {
  /** The changeset that asks. */
  readonly request: string;
  readonly kind: "erasure" | "export";
  /** Whom it is about, as in {@link SubjectEntry}. */
  readonly id: string;
  readonly subject?: string;
  readonly state: RequestState;
  /** The asking, then the answers in the order in which they came. Of answers that were given apart the later one holds; what is done stays done. */
  readonly steps: readonly RequestStep[];
}

/** Options of {@link Subjects.request}. */
export interface RequestOptions {
  kind: "erasure" | "export";
  /** Up to 8,192 bytes of UTF-8, for everybody to read. It stays. */
  reason?: string;
}

/** Options of {@link Subjects.process}. */
export interface ProcessOptions {
  state: "approved" | "refused" | "done";
  /** Up to 8,192 bytes of UTF-8, for everybody to read. It stays. Nothing is refused without one. */
  reason?: string;
  /** What is erased along with what is sealed for the person: what it wrote, for one, by its id. With an erasure that is done. */
  also?: Target | readonly Target[];
  signal?: AbortSignal;
}

/** The receipt of {@link Subjects.process}. */
export interface Processed extends Write {
  /** What an erasure came to, if there was anything to erase. */
  readonly redaction?: Omit<Redaction, keyof Write>;
  /** What is to be handed to the person. */
  readonly dossier?: Dossier;
}

const VERDICTS = ["asked", "approved", "refused", "done"] as const;
const KINDS = ["erasure", "export"] as const;

/**
 * A subject is a member, by its id, 64 hex digits; anything else is somebody outside, by the name that you give them, up to 4,096 bytes: better a number than
 * a name. `space.on("subjects")` tells of news: show personal data anew then, for the values that hold it do not change when a key is erased.
 */
export class Subjects {
  readonly #core: SpaceCore;

  /** @internal */
  constructor(core: SpaceCore) {
    this.#core = core;
  }

  /**
   * Makes a key for somebody, unless they have one. Every writer may, for everybody. Whoever was erased gets a new one: what was sealed before stays closed. Seals the open batch
   * first. Throws `E_ARGUMENT` for an empty subject and inside `transact`; `E_ACCESS` for a reader.
   */
  register(subject: string): Write {
    checkString(subject, "subject");
    const { pump, transactions } = this.#core;
    transactions.refuse("register");
    return transactions.sealed(pump.call((engine) => engine.registerSubject(subject)));
  }

  /** Whether something can be sealed for somebody now. O(keys). Throws `E_ARGUMENT` for an empty subject. */
  has(subject: string): boolean {
    checkString(subject, "subject");
    return this.#core.pump.read((engine) => {
      const of = engine.subjectId(subject);
      return engine.subjects().some(({ id, hasKey }) => hasKey && id === of);
    });
  }

  /** All keys that there are or were, in the order in which they came: who was registered by two people who were apart has two. */
  entries(): readonly SubjectEntry[] {
    return freeze(this.#core.pump.read((engine) => engine.subjects()).map(entryOf));
  }

  /**
   * A value that everybody in the space reads, with {@link read}, until the key of the person is erased, and nobody after: neither here nor in the past, a backup or
   * a snapshot. Store it wherever values are stored, as the value of a key, an element of a list, the data of an event, or a field of any of these. Names are not values:
   * a key, an element of a set, an account, text. O(size); some 110 bytes more, and up to 12 % of long ones, so that lengths tell less.
   *
   * Throws `E_SUBJECT` for whoever is not registered or was erased, `E_ARGUMENT` for what cannot be stored, and for what has a personal value in it.
   */
  personal(subject: string, value: Value): Personal {
    checkString(subject, "subject");
    checkValue(value, "value");
    if (holdsPersonal(value)) throw argumentError("value", "value has a personal value in it: each is sealed by itself");
    return Object.freeze({ personal: this.#core.pump.read((engine) => engine.sealPersonal(subject, value)) });
  }

  /**
   * A value with all that is sealed in it in clear: itself, if it is {@link personal}, `undefined` then where the key was erased or is not here; of fields
   * and elements inside it those are left out, and are `null`. An object with the field `personal` alone, of bytes, is taken for one. `undefined` stays that. That it was read is written down in {@link Audit.log}, once a minute for each person. O(size).
   */
  read(value: Value | undefined): Value | undefined {
    this.#core.pump.check();
    if (value === undefined) return undefined;
    checkValue(value, "value");
    return freeze(this.#opened(value));
  }

  /**
   * Asks that what is about somebody is erased, or handed out. A member asks for itself; for people outside every writer may, for everybody
   * the owner and admins. The {@link Write.id} is that of the request. Nothing happens by itself: {@link process}.
   *
   * Throws `E_SUBJECT` for somebody of whom nothing was ever said here, `E_ACCESS` for another member, and for a reader, `E_ARGUMENT` for a reason of another size and
   * inside `transact`.
   */
  request(subject: string, o: RequestOptions): Write {
    checkString(subject, "subject");
    checkOptions(o, "o", ["kind", "reason"]);
    const { kind, reason } = o ?? ({} as RequestOptions);
    checkWord(kind, "kind", KINDS);
    if (reason !== undefined) checkString(reason, "reason");
    const { pump, transactions } = this.#core;
    transactions.refuse("request");
    return transactions.sealed(pump.call((engine) => engine.requestFor(subject, KINDS.indexOf(kind) + 1, reason)));
  }

  /** What was asked for, in the order in which it came: all of it, or what is about somebody, or stands so. */
  requests(o: { subject?: string; state?: RequestState } = {}): readonly SubjectRequest[] {
    checkOptions(o, "o", ["subject", "state"]);
    const { subject, state } = o;
    if (subject !== undefined) checkString(subject, "subject");
    if (state !== undefined) checkWord(state, "state", VERDICTS);
    return this.#core.pump.read((engine) => {
      const of = subject === undefined ? undefined : engine.subjectId(subject);
      const found = engine.requests().map(requestOf);
      return freeze(found.filter((one) => (of === undefined || one.id === of) && (state === undefined || one.state === state)));
    });
  }

  /**
   * Answers a request: for the owner, admins, and the member whom it is about. `"approved"` and `"refused"` only say so. `"done"` does it: for an erasure the keys of the person are
   * redacted, of somebody outside its name beside each consent too, and what `also` names; a key that somebody made meanwhile without knowing goes when this member hears of it; for an export there is a {@link Dossier} to hand out. Whoever cannot do all of it says nothing and erases
   * nothing. A refusal may be taken back by another answer; what is done is over.
   *
   * Rejects with `E_ACCESS` for others, and for what may not be erased, `E_ARGUMENT` for what is no request, one that is done, a refusal without a reason,
   * and inside `transact`; `E_PENDING` if something is erased while a dossier is made; as {@link Space.redact} and {@link Space.export} do; with the reason of the signal.
   */
  async process(request: string, o: ProcessOptions): Promise<Processed> {
    checkString(request, "request");
    checkOptions(o, "o", ["state", "reason", "also", "signal"]);
    const { state, reason, also, signal } = o ?? ({} as ProcessOptions);
    checkWord(state, "state", ["approved", "refused", "done"]);
    if (reason !== undefined) checkString(reason, "reason");
    checkSignal(signal);
    signal?.throwIfAborted();
    const { pump, transactions, policy } = this.#core;
    transactions.refuse("process");
    const asked = this.requests().find((one) => one.request === request);
    if (!asked) throw argumentError("request", "no request with this id is known here");
    if (also !== undefined && (state !== "done" || asked.kind !== "erasure")) throw argumentError("also", "something is erased where an erasure is done");
    const targets = also === undefined ? [] : policy.chosen(also);
    let handed: Dossier | undefined;
    if (state === "done" && asked.kind === "export" && asked.state !== "done") {
      if (asked.subject === undefined) throw new StemmaError("E_SUBJECT", "the name of this person is not known here: it was erased, or its key has not come yet");
      const erased = () => pump.read((engine) => engine.redactions().length);
      const before = erased();
      handed = await dossier(this.#core, { subject: asked.subject, ...(signal && { signal }) });
      if (erased() !== before) throw new StemmaError("E_PENDING", "something was erased while the dossier was made: ask again");
    }
    transactions.refuse("process");
    const { id, redacted } = pump.call((engine) => engine.processRequest(request, VERDICTS.indexOf(state), reason, targets.join("\n")));
    const write = transactions.sealed(id);
    return freeze({
      id: write.id,
      saved: write.saved.bind(write),
      seenBy: write.seenBy.bind(write),
      ...(redacted && { redaction: redacted }),
      ...(handed && { dossier: handed }),
    });
  }

  #opened(value: Value): Value | undefined {
    if (typeof value !== "object" || value === null || isBytes(value)) return value;
    if (isPersonal(value)) return this.#core.pump.read((engine) => engine.openPersonal(value.personal));
    if (Array.isArray(value)) return value.map((item) => this.#opened(item as Value) ?? null);
    const fields: Record<string, Value> = {};
    for (const [key, inner] of Object.entries(value)) {
      const opened = this.#opened(inner);
      if (opened !== undefined) assign(fields, key, opened);
    }
    return fields;
  }
}

function holdsPersonal(value: Value): boolean {
  if (typeof value !== "object" || value === null || isBytes(value)) return false;
  return isPersonal(value) || Object.values(value).some(holdsPersonal);
}

function isPersonal(value: object): value is Personal {
  const keys = Object.keys(value);
  return keys.length === 1 && keys[0] === "personal" && isBytes((value as Personal).personal);
}

function entryOf({ hasKey, isErased, subject, ...rest }: EngineSubject): SubjectEntry {
  return { ...rest, ...(subject === undefined ? {} : { subject }), state: hasKey ? "registered" : isErased ? "erased" : "missing" };
}

function requestOf({ kind, id, subject, verdict, steps }: EngineRequest): SubjectRequest {
  return {
    request: steps[0]?.changeset ?? "",
    kind: KINDS[kind - 1] ?? "export",
    id,
    ...(subject === undefined ? {} : { subject }),
    state: VERDICTS[verdict] ?? "asked",
    steps: steps.map(({ verdict, reason, redactions, ...rest }) => ({
      state: VERDICTS[verdict] ?? "asked",
      ...rest,
      ...(reason === undefined ? {} : { reason }),
      ...(redactions.length === 0 ? {} : { redactions }),
    })),
  };
}
