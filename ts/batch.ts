// What a commit has to look like before a store touches anything.

import { StemmaError } from "./errors.js";
import { STORE_NAMES, type StorageBatch } from "./storage.js";

/** Throws `E_ARGUMENT` naming the part that is wrong. */
export function checkBatch(batch: StorageBatch): void {
  if (typeof batch !== "object" || batch === null) throw wrong("batch", "a batch is an object");
  for (const part of ["append", "put", "delete"] as const) {
    if (batch[part] !== undefined && !Array.isArray(batch[part])) throw wrong(part, "a part of a batch is an array");
  }
  for (const record of batch.append ?? []) checkValue("append", record);
  for (const item of batch.put ?? []) {
    checkRecord("put", item);
    checkValue("put", item[2]);
  }
  for (const item of batch.delete ?? []) checkRecord("delete", item);
  if (batch.absent !== undefined) checkRecord("absent", batch.absent);
}

function checkRecord(part: string, item: readonly unknown[]): void {
  const [store, key] = Array.isArray(item) ? item : [];
  if (!(STORE_NAMES as readonly unknown[]).includes(store)) throw wrong(part, `there is no store ${JSON.stringify(store)}`);
  if (typeof key !== "string") throw wrong(part, "the key of a record is a string");
}

function checkValue(part: string, value: unknown): void {
  if (!(value instanceof Uint8Array)) throw wrong(part, "a stored value is a Uint8Array");
}

function wrong(argument: string, message: string): StemmaError {
  return new StemmaError("E_ARGUMENT", message, { argument });
}
