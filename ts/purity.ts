/**
 * Reducers are pure: while one runs, in whatever space, no space answers.
 *
 * Invariant: the flag is set while a function of a definition is on the stack, and at no other time.
 */

import { StemmaError } from "./errors.js";

let isReducing = false;

/** Does work that calls functions of definitions. */
export function purely<T>(work: () => T): T {
  const before = isReducing;
  isReducing = true;
  try {
    return work();
  } finally {
    isReducing = before;
  }
}

/** Throws while a reducer runs. */
export function refuseInReducer(): void {
  if (isReducing) throw new StemmaError("E_READONLY", "a reducer is pure: it can neither write to a space nor read one");
}
