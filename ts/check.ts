/**
 * Checks of what callers pass. Each throws a `StemmaError` with code `E_ARGUMENT` whose `argument` is the name of the
 * parameter or option; none changes anything.
 */

import { StemmaError } from "./errors.js";

/** The error of every misuse. */
export function argumentError(argument: string, message: string): StemmaError {
  return new StemmaError("E_ARGUMENT", message, { argument });
}

/** Refuses an options object that is not one, or that holds a name which is not in `known`. */
export function checkOptions(options: unknown, argument: string, known: readonly string[]): void {
  if (options === undefined) return;
  if (typeof options !== "object" || options === null) throw argumentError(argument, `${argument} is not an object of options`);
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) throw argumentError(name, `unknown option ${JSON.stringify(name)}; known are ${known.join(", ")}`);
  }
}

/** An integer from `min` to `max`, both included. */
export function checkInteger(value: unknown, argument: string, min: number, max: number): asserts value is number {
  if (typeof value !== "number" || !Number.isInteger(value)) throw argumentError(argument, `${argument} is not an integer`);
  if (value < min || value > max) throw argumentError(argument, `${argument} is ${value}, outside ${min} to ${max}`);
}

/** A copy of a caller's list: each element is read once, so that what is checked is what is used. */
export function copyList(list: unknown, argument: string, message: string, max = LIST_MAX): unknown[] {
  const length = Array.isArray(list) ? list.length : Infinity;
  if (length > max) throw argumentError(argument, message);
  return Array.from({ length }, (_, i) => (list as unknown[])[i]);
}

/** More than anybody names at once. */
const LIST_MAX = 1_000_000;

export function checkString(value: unknown, argument: string): asserts value is string {
  if (typeof value !== "string") throw argumentError(argument, `${argument} is not a string`);
}

/** A string that can name something: up to 4,096 bytes of UTF-8. */
export function checkShortString(value: unknown, argument: string): asserts value is string {
  checkString(value, argument);
  if (value.length * 3 > NAME_BYTES_MAX && new TextEncoder().encode(value).length > NAME_BYTES_MAX) {
    throw argumentError(argument, `${argument} is longer than ${NAME_BYTES_MAX} bytes`);
  }
}

const NAME_BYTES_MAX = 4_096;

export function checkFunction(value: unknown, argument: string): void {
  if (typeof value !== "function") throw argumentError(argument, `${argument} is not a function`);
}

export function checkSignal(value: unknown): asserts value is AbortSignal | undefined {
  if (value !== undefined && !(value instanceof AbortSignal)) throw argumentError("signal", "signal is not an AbortSignal");
}

/** One of a few words. */
export function checkWord<T extends string>(value: unknown, argument: string, words: readonly T[]): asserts value is T {
  if (!words.includes(value as T)) throw argumentError(argument, `${argument} is not one of ${words.join(", ")}`);
}

/** A `Date` or milliseconds since 1970, as the latter. */
export function checkTime(value: unknown, argument: string): number {
  const time = value instanceof Date ? value.getTime() : value;
  if (typeof time !== "number" || !Number.isFinite(time)) throw argumentError(argument, `${argument} is not a valid Date or number`);
  return time;
}
