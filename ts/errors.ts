// Every error of the package: one class, one code each, and for each code whether trying again can help and what to do.

/** What went wrong, stable across releases. */
export type ErrorCode = keyof typeof CODES;

export interface StemmaErrorOptions {
  /** The option or parameter that was wrong. */
  argument?: string;
  cause?: unknown;
}

/** Thrown by everything here, except that a wait ended by its `signal` rejects with a `DOMException` named `AbortError`. */
export class StemmaError extends Error {
  override readonly name = "StemmaError";
  readonly code: ErrorCode;
  readonly argument?: string;
  /** Whether the same call may succeed later without anything being changed. */
  readonly retryable: boolean;
  /** What the app or its user can do. */
  readonly hint: string;

  constructor(code: ErrorCode, message: string, options: StemmaErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    if (options.argument !== undefined) this.argument = options.argument;
    [this.retryable, this.hint] = CODES[code];
  }

  /** Turns what the engine or a platform threw into an error of this package. Aborts and own errors pass unchanged. */
  static from(thrown: unknown, fallback: ErrorCode): StemmaError | DOMException {
    if (isStemmaError(thrown) || isAbort(thrown)) return thrown;
    if (thrown instanceof WebAssembly.RuntimeError) {
      return new StemmaError("E_ENGINE_CRASHED", thrown.message, { cause: thrown });
    }
    const { code, argument, message } = (typeof thrown === "object" && thrown ? thrown : {}) as Record<string, unknown>;
    const known = typeof code === "string" && Object.hasOwn(CODES, code) ? (code as ErrorCode) : fallback;
    return new StemmaError(known, typeof message === "string" ? message : String(thrown), {
      ...(typeof argument === "string" ? { argument } : {}),
      cause: thrown,
    });
  }
}

/** What something says that was thrown. Apps can throw anything; asking it must not throw again. */
export function messageOf(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown);
  } catch {
    return "something was thrown that cannot be shown";
  }
}

/** Also true for an error of a second copy of this package. */
export function isStemmaError(thrown: unknown): thrown is StemmaError {
  return thrown instanceof Error && thrown.name === "StemmaError" && "code" in thrown;
}

export function isAbort(thrown: unknown): thrown is DOMException {
  return thrown instanceof DOMException && thrown.name === "AbortError";
}

/** Throws the `AbortError` of a signal that has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortError();
}

export function abortError(): DOMException {
  return new DOMException("the operation was aborted", "AbortError");
}

/** Per code: is it retryable, and the hint. */
const CODES = {
  E_ACCESS: [false, "This member may read but not write. Ask the owner for a writer's invite."],
  E_ARGUMENT: [false, "The call is wrong: see `argument`."],
  E_BANNED: [false, "This member was banned from the space."],
  E_BLOB_DAMAGED: [true, "Somebody wrote other bytes over a part of the blob. Whoever has the right ones stores them again."],
  E_CLOCK: [false, "The device's clock is far off. Set it and try again."],
  E_CLOSED: [false, "The space is closed. Open it again."],
  E_CONSENT: [false, "Ask the person first, and record what they say with `consent.give`."],
  E_CSP: [false, "The page's content security policy forbids WebAssembly: add 'wasm-unsafe-eval' to script-src."],
  E_DECRYPT: [false, "The bytes were not sealed under a key of this space, or were changed."],
  E_ENGINE_CRASHED: [true, "The engine stopped on a fault of its own. Everything saved is safe: open the space again."],
  E_EVENT_TOO_LARGE: [false, "One value is larger than a changeset can carry. Split it."],
  E_FORK: [false, "One actor signed two changesets with one number. Both are kept: it may be a copied or restored device."],
  E_INVITE: [false, "The invite is malformed, expired, used up or revoked. Ask for a fresh link."],
  E_KEY_MISSING: [false, "A key is missing on this device. Join again with an invite."],
  E_PENDING: [true, "A changeset waits for something it needs: the message says what. It is kept."],
  E_PROOF: [false, "The proof proves nothing: `argument` names the part that does not fit."],
  E_PROTOCOL: [true, "The other side spoke a protocol that this version does not know. Update both."],
  E_READONLY: [false, "A view is read-only. Write to the space."],
  E_REDUCER: [false, "A function of a definition threw, took long, or gave what cannot be stored. The event is kept: mend the definition, or exclude the event."],
  E_RELAY_REFUSED: [false, "The relay refused: its message says why. Local work goes on."],
  E_RELAY_RESET: [true, "The relay lost its log. Everything here is pushed again."],
  E_SCHEMA: [false, "The value does not fit the definition of its type."],
  E_SIGNATURE: [false, "A signature does not match. The bytes were changed or come from somebody else."],
  E_SNAPSHOT: [false, "A snapshot at the relay was not what the log says: the message names whose it is. Nothing was built on it, and it is reported."],
  E_STORAGE_BLOCKED: [true, "Another tab or process holds the local database. Close it and try again."],
  E_STORAGE_DAMAGED: [false, "A snapshot in the local database was damaged. It is made anew from the history: nothing is lost."],
  E_STORAGE_EXISTS: [false, "The local database already holds a space. Open it without creating one."],
  E_STORAGE_LOST: [false, "The local database is gone or damaged. Keep the page open until the relay has everything."],
  E_STORAGE_NEWER: [false, "A newer version of this page has upgraded the local database. Reload."],
  E_STORAGE_QUOTA: [true, "There is no space left on this device. Free some; until then nothing new is stored here."],
  E_STORAGE_UNAVAILABLE: [false, "This browser or folder lets us store nothing. Use storage: \"memory\" and a relay."],
  E_SUBJECT: [false, "There is no key for this name here: `subjects.register` makes one. Who was erased has none, and one may not have come yet."],
  E_UNKNOWN_EVENT: [false, "An event of a type that this app has not defined."],
  E_UNSUPPORTED: [false, "This platform lacks what the call needs: see the message."],
  E_VALIDATORS: [true, "Nobody is asked to attest what is written: audit.configure({ validators }) asks."],
  E_VERSION_SKEW: [false, "The JavaScript and the engine are of different builds. Reload without the cache."],
  E_WASM_LOAD: [true, "The engine could not be loaded: see the message."],
} as const satisfies Record<`E_${string}`, readonly [retryable: boolean, hint: string]>;
