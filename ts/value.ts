/**
 * Values: what a map holds and what travels in headers.
 *
 * Invariant: what passes {@link checkValue} can be written by the engine and comes back equal. Nothing is converted
 * silently, with one exception that the engine makes: a lone surrogate becomes U+FFFD, as `toWellFormed` does.
 */

import { argumentError } from "./check.js";

/** JSON. `-0` stays `-0`; there is no `NaN` and no `Infinity`. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** What can be stored: JSON, bytes and big integers (up to 1,024 bytes), nested up to 100 levels. */
export type Value =
  | null
  | boolean
  | number
  | string
  | bigint
  | Uint8Array
  | readonly Value[]
  | { readonly [key: string]: Value };

/** Levels of arrays and objects inside one another. */
const DEPTH_MAX = 100;
const BIGINT_LIMIT = 1n << 8192n;

/**
 * Throws `E_ARGUMENT` that names `argument` and the place inside it unless `value` is a {@link Value}: `undefined`,
 * functions, symbols, `NaN`, class instances, holes, cycles and more than 100 levels are refused.
 *
 * O(size of the value).
 */
export function checkValue(value: unknown, argument: string): asserts value is Value {
  if (typeof value === "string" || typeof value === "boolean" || Number.isFinite(value)) return;
  check(value, argument, argument, undefined);
}

/** `open`: the arrays and objects that it is inside of. */
function check(value: unknown, place: string, argument: string, open: Set<object> | undefined): void {
  switch (typeof value) {
    case "boolean":
    case "string":
      return;
    case "number":
      if (!Number.isFinite(value)) throw argumentError(argument, `${place} is ${value}, which is not a JSON number`);
      return;
    case "bigint":
      if (value >= BIGINT_LIMIT || value <= -BIGINT_LIMIT) throw argumentError(argument, `${place} is a bigint above 1,024 bytes`);
      return;
    case "object":
      break;
    default:
      throw argumentError(argument, `${place} is ${typeof value === "undefined" ? "undefined" : `a ${typeof value}`}, which cannot be stored`);
  }
  if (value === null || isBytes(value)) return;
  open ??= new Set();
  if (open.has(value)) throw argumentError(argument, `${place} contains itself`);
  if (open.size >= DEPTH_MAX) throw argumentError(argument, `${place} is nested more than ${DEPTH_MAX} levels deep`);
  open.add(value);
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) check(value[i], `${place}[${i}]`, argument, open);
  } else {
    if (!isPlain(value)) throw argumentError(argument, `${place} is a ${className(value)}, only plain objects can be stored`);
    for (const key of Reflect.ownKeys(value)) {
      if (typeof key === "symbol") throw argumentError(argument, `${place} has a symbol as a key`);
      check((value as Record<string, unknown>)[key], `${place}.${key}`, argument, open);
    }
  }
  open.delete(value);
}

/** The same for what can change while it is read, as what has getters: it is read once, and the copy is a {@link Value}. */
export function copyOf(value: unknown, argument: string, kept?: WeakSet<object>): Value {
  if (typeof value === "string" || typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value))) return value;
  const copied = copy(value, kept, new Map());
  checkValue(copied, argument);
  return copied;
}

/**
 * Holds nothing of `value` but what is in `kept`, and whatever the check refuses where it refuses `value`.
 * `open`: the arrays and objects that it is inside of, each with its copy.
 */
function copy(value: unknown, kept: WeakSet<object> | undefined, open: Map<object, object>): unknown {
  if (typeof value !== "object" || value === null || kept?.has(value)) return value;
  if (isBytes(value)) return new Uint8Array(value);
  const outer = open.get(value);
  if (outer) return outer;
  if (open.size > DEPTH_MAX) return undefined;
  if (Array.isArray(value)) {
    const copied: unknown[] = [];
    open.set(value, copied);
    // Nothing behind a hole is looked at: there may be billions.
    for (let i = 0, { length } = value; i < length && (i === 0 || copied[i - 1] !== undefined); i++) copied.push(copy(value[i], kept, open));
    open.delete(value);
    return copied;
  }
  if (!isPlain(value)) {
    quieten(value);
    return Object.create(Object.getPrototypeOf(value) as object | null);
  }
  const copied: Record<string, unknown> = {};
  open.set(value, copied);
  for (const key of [...Object.keys(value), ...(Object.getOwnPropertySymbols(value) as unknown as string[])]) {
    assign(copied, key, copy((value as Record<string, unknown>)[key], kept, open));
  }
  open.delete(value);
  return copied;
}

/** Whether it is a promise; nobody waits for one that is refused, so its rejection is nobody's. */
export function quieten(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  try {
    // Not its own `then`: that would be a function of the app.
    void Promise.prototype.then.call(value as Promise<unknown>, undefined, () => {});
    return true;
  } catch {
    return false;
  }
}

/** The same for a value that names something: it takes up to 4,096 bytes. */
export function checkShortValue(value: unknown, argument: string): asserts value is Value {
  checkValue(value, argument);
  // Nothing is written longer than six bytes for a unit of this.
  if (typeof value === "string" && value.length * 3 < NAME_BYTES_MAX - 8) return;
  if (textOf(value).length > NAME_BYTES_MAX) throw argumentError(argument, `${argument} is longer than ${NAME_BYTES_MAX} bytes`);
}

/** A string that is the same for equal values only. O(size of the value). */
export function textOf(value: Value): string {
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : `${value}`;
  if (typeof value === "string") return JSON.stringify(wellFormed(value));
  if (typeof value !== "object" || value === null) return `${value}`;
  if (isBytes(value)) return `<${value.join()}>`;
  if (Array.isArray(value)) return `[${value.map(textOf).join()}]`;
  const fields = Object.entries(value).map(([key, inner]) => `${JSON.stringify(wellFormed(key))}:${textOf(inner)}`);
  return `{${fields.sort().join()}}`;
}

const NAME_BYTES_MAX = 4_096;

/** Also true for the arrays of another realm and for the `Buffer` of Node. */
export function isBytes(value: unknown): value is Uint8Array {
  return ArrayBuffer.isView(value) && Object.prototype.toString.call(value) === "[object Uint8Array]";
}

/** Freezes what can be frozen, in place: a `Uint8Array` cannot, it is simply not read again. */
export function freeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value) || Object.isFrozen(value)) return value;
  if (Array.isArray(value)) for (let i = 0; i < value.length; i++) freeze(value[i]);
  else for (const inner of Object.values(value)) freeze(inner);
  return Object.freeze(value);
}

/** Freezes what nobody else holds, in place. Bytes cannot be frozen: whoever reads them gets a copy of his own each time. */
export function seal<T>(value: T, kept: WeakSet<object>): T {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value) || kept.has(value)) return value;
  for (const key of Array.isArray(value) ? value.keys() : Object.keys(value)) {
    const inner = (value as Record<string | number, unknown>)[key];
    if (isBytes(inner)) lend(value, key, inner);
    else seal(inner, kept);
  }
  kept.add(value);
  return Object.freeze(value);
}

/** Makes a key one that gives a copy of bytes. */
export function lend(holder: object, key: string | number, bytes: Uint8Array): void {
  Object.defineProperty(holder, key, { get: () => bytes.slice(), enumerable: true, configurable: true });
}

/** Sets `key` as an ordinary property, also when it is `__proto__`. */
export function assign<T>(target: Record<string, T>, key: string, value: T): void {
  if (key === "__proto__") Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  else target[key] = value;
}

/** Without lone surrogates. */
export function wellFormed(text: string): string {
  return LONE_SURROGATE.test(text) ? text.replace(LONE_SURROGATES, "\ufffd") : text;
}

const LONE_SURROGATE = /\p{Surrogate}/u;
const LONE_SURROGATES = /\p{Surrogate}/gu;

/** An object literal of any realm, or one without a prototype. */
export function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null || (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype as object, "isPrototypeOf"));
}

function className(value: object): string {
  const { constructor } = value;
  return (typeof constructor === "function" && constructor.name) || "class instance";
}
