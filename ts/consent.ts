/** Consent: what people let be done with what is about them, as they said it themselves, or as it was written down for them. */

import { checkOptions, checkString } from "./check.js";
import type { SpaceCore } from "./core.js";
import { StemmaError } from "./errors.js";
import { freeze } from "./value.js";
import type { Write } from "./write.js";

/** Whose consent, and to what. */
export interface ConsentOptions {
  /** A member, by its id, 64 hex digits; this one unless stated. Anything else is somebody outside, by the name that you give them, up to 4,096 bytes: better a number than a name. */
  subject?: string;
  /** The terms by the name that you give them, such as the date of a text: up to 4,096 bytes. */
  terms?: string;
}

/** What somebody said last about one purpose. */
export interface ConsentEntry {
  /** A member, or the name of somebody outside; absent where that was redacted. */
  readonly subject?: string;
  readonly purpose?: string;
  readonly given: boolean;
  readonly terms?: string;
  /** The member who signed it. */
  readonly by: string;
  /** When it says it was, ms since 1970. */
  readonly time: number;
  readonly changeset: string;
}

/**
 * Each statement is signed, encrypted, and kept with its time, like everything else. Of one person and purpose the last one holds; of
 * statements made apart the later one. A member speaks for itself alone; for people outside every writer may write down what they said, and `by` says who
 * did. Consent decides nothing by itself: ask {@link has} or {@link Space.requireConsent} before you do what needs it. `space.on("consent")` tells of news.
 */
export class Consent {
  readonly #core: SpaceCore;

  /** @internal */
  constructor(core: SpaceCore) {
    this.#core = core;
  }

  /**
   * Says yes to a purpose, up to 4,096 bytes, such as `"newsletter"`. Throws `E_ARGUMENT` for no purpose, for another member as subject, and
   * inside `transact`; `E_ACCESS` for a reader.
   */
  give(purpose: string, o?: ConsentOptions): Write {
    return this.#say(purpose, o, true, "give");
  }

  /** Takes it back: from now on it does not hold. What was done meanwhile is not undone by it; see {@link Space.redact} for what is to be erased. Throws as {@link give} does. */
  withdraw(purpose: string, o?: ConsentOptions): Write {
    return this.#say(purpose, o, false, "withdraw");
  }

  /** Whether it holds now; with `terms`, whether it was given to these. O(log n). Throws `E_ARGUMENT` for no purpose. */
  has(purpose: string, o: ConsentOptions = {}): boolean {
    const said = this.#said(purpose, o);
    return said !== undefined && said.given && (o.terms === undefined || o.terms === said.terms);
  }

  /** What holds of everybody for everything, withdrawn or given. */
  entries(): readonly ConsentEntry[] {
    return freeze(this.#core.pump.read((engine) => engine.consents()).map(present));
  }

  /** Throws `E_CONSENT` unless it holds. @internal */
  require(purpose: string, o: ConsentOptions = {}): void {
    if (!this.has(purpose, o)) throw new StemmaError("E_CONSENT", "nobody consented to this purpose, or not to these terms, or it was withdrawn", { argument: "purpose" });
  }

  #said(purpose: string, o: ConsentOptions): ConsentEntry | undefined {
    check(purpose, o);
    return this.#core.pump.read((engine) => engine.consentTo(o.subject, purpose));
  }

  #say(purpose: string, o: ConsentOptions = {}, given: boolean, what: string): Write {
    check(purpose, o);
    const { pump, transactions } = this.#core;
    transactions.refuse(what);
    return transactions.sealed(pump.call((engine) => engine.consent(o.subject, purpose, o.terms, given)));
  }
}

function check(purpose: string, o: ConsentOptions): void {
  checkString(purpose, "purpose");
  checkOptions(o, "o", ["subject", "terms"]);
  for (const name of ["subject", "terms"] as const) if (o[name] !== undefined) checkString(o[name], name);
}

/** Without what is not known. */
function present({ subject, purpose, terms, ...rest }: ConsentEntry): ConsentEntry {
  return { ...rest, ...(subject === undefined ? {} : { subject }), ...(purpose === undefined ? {} : { purpose }), ...(terms === undefined ? {} : { terms }) };
}
