/** Options of objects by kind: what callers pass, checked, as the engine wants it. */

import { argumentError, checkOptions, checkShortString, checkWord, copyList } from "./check.js";
import type { CounterOptions } from "./counter.js";
import { StemmaError } from "./errors.js";
import type { LedgerOptions } from "./ledger.js";
import type { MapOptions } from "./map.js";
import { type ChildKind, type Kind, KINDS, type ObjectOptions } from "./replica.js";
import type { SetOptions } from "./set.js";
import { wellFormed } from "./value.js";

/** What an object of a kind can be asked for with. */
export type OptionsOf<K extends Kind> = K extends "map" ? MapOptions : K extends "counter" ? CounterOptions : K extends "set" ? SetOptions : K extends "ledger" ? LedgerOptions : never;

/** Reads the options of an object; `undefined` if they say nothing. */
export function optionsOf(kind: Kind, o: unknown): ObjectOptions | undefined {
  switch (kind) {
    case "map":
      checkOptions(o, "o", ["couple", "fields"]);
      return mapOptions((o ?? {}) as MapOptions);
    case "counter":
      return variantOf(o, ["pn", "g"]);
    case "set":
      return variantOf(o, ["or", "lww"]);
    case "ledger":
      checkOptions(o, "o", ["creditLimit", "issuers"]);
      return ledgerOptions((o ?? {}) as LedgerOptions);
    default:
      // Types allow none, plain JavaScript is told.
      if (o !== undefined) throw new StemmaError("E_UNSUPPORTED", `this version knows no options of a ${kind}`, { argument: "o" });
      return undefined;
  }
}

/** A kind that can be under a key. */
export function checkKind(kind: unknown, argument: string): asserts kind is ChildKind {
  const known = (Object.keys(KINDS) as Kind[]).filter((one) => one !== "ledger");
  checkWord(kind, argument, known as ChildKind[]);
}

/** The first of the two words is the one without options. */
function variantOf(o: unknown, words: readonly [string, string]): ObjectOptions | undefined {
  checkOptions(o, "o", ["kind"]);
  const { kind } = (o ?? {}) as { kind?: unknown };
  if (kind === undefined) return undefined;
  checkWord(kind, "kind", words);
  return kind === words[1] ? { variant: true } : undefined;
}

function mapOptions({ couple, fields }: MapOptions): ObjectOptions | undefined {
  const groups = couple === undefined ? [] : groupsOf(couple);
  const kinds = fields === undefined ? [] : fieldsOf(fields);
  const coupled = kinds.find(([key]) => groups.some((group) => group.includes(key)));
  if (coupled) throw argumentError("fields", `fields names ${JSON.stringify(coupled[0])}, which is a coupled key`);
  if (groups.length === 0 && kinds.length === 0) return undefined;
  return { ...(groups.length === 0 ? {} : { groups }), ...(kinds.length === 0 ? {} : { fields: kinds }) };
}

function ledgerOptions({ creditLimit: credit, issuers: given = [] }: LedgerOptions): ObjectOptions | undefined {
  if (credit !== undefined && (typeof credit !== "bigint" || credit < 0n || credit >= 2n ** 95n)) {
    throw argumentError("creditLimit", "creditLimit is not a bigint from 0 to below 2^95");
  }
  const wrong = "issuers is not a list of members";
  const issuers = copyList(given, "issuers", wrong).map((id) => {
    if (typeof id !== "string" || !/^[0-9a-f]{64}$/i.test(id)) throw argumentError("issuers", wrong);
    return id.toLowerCase();
  });
  if (issuers.length > LIST_MAX || new Set(issuers).size < issuers.length) throw argumentError("issuers", `issuers names a member twice, or more than ${LIST_MAX}`);
  if (credit === undefined && issuers.length === 0) return undefined;
  return { ...(credit === undefined ? {} : { credit }), ...(issuers.length === 0 ? {} : { issuers }) };
}

function groupsOf(couple: unknown): string[][] {
  const wrong = (what: string) => argumentError("couple", `couple ${what}`);
  const listOf = (list: unknown) => copyList(list, "couple", "couple is not a list of lists of keys");
  const groups = listOf(couple).map((group) => listOf(group).map((key) => soundKey(key, "couple")));
  const keys = groups.flat();
  if (new Set(keys).size < keys.length) throw wrong("names a key twice");
  if (groups.some((group) => group.length === 0)) throw wrong("has an empty group");
  if (groups.length > LIST_MAX || groups.some((group) => group.length > LIST_MAX)) throw wrong(`has more than ${LIST_MAX} groups, or keys in one`);
  return groups;
}

function fieldsOf(fields: unknown): [string, number][] {
  const wrong = (what: string) => argumentError("fields", `fields ${what}`);
  if (typeof fields !== "object" || fields === null || Array.isArray(fields)) throw wrong("is not an object of kinds by key");
  const kinds = Object.entries(fields as Record<string, unknown>).map(([key, kind]): [string, number] => {
    const sound = soundKey(key, "fields");
    checkKind(kind, "fields");
    return [sound, KINDS[kind]];
  });
  if (kinds.length > LIST_MAX) throw wrong(`has more than ${LIST_MAX} keys`);
  if (new Set(kinds.map(([key]) => key)).size < kinds.length) throw wrong("names a key twice");
  return kinds;
}

function soundKey(key: unknown, argument: string): string {
  checkShortString(key, argument);
  return wellFormed(key);
}

const LIST_MAX = 64;
