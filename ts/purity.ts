/**
 * Reducers are pure: while one runs, in whatever space, no space answers.
 *
 * Invariant: the flag is set while a function of a definition is on the stack, and at no other time.
 */

import { StemmaError } from "./errors.js";

let isReducing = false;

/** Sets or clears the flag. */
export function setReducing(on: boolean): void {
  isReducing = on;
}

/** Throws while a reducer runs. */
export function refuseInReducer(): void {
  if (isReducing) throw new StemmaError("E_READONLY", "a reducer is pure: it can neither write to a space nor read one");
}
