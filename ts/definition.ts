/**
 * Definitions: what the events of a type have to look like, and what they make of an object.
 *
 * Invariant: a definition is checked as a whole when it is given; nothing of an event is looked at before its type, its
 * version and its fields fit the definition.
 */

import { argumentError, checkFunction, checkInteger, checkOptions, checkShortString } from "./check.js";
import { StemmaError } from "./errors.js";
import { isBytes, isPlain, type Value } from "./value.js";

/** In a delta: the key goes. */
export const REMOVE: unique symbol = Symbol.for("stemma.remove");

/** What a field can hold. */
export type FieldKind = "any" | "array" | "bigint" | "boolean" | "bytes" | "integer" | "number" | "object" | "string";

/** A field of the data of an event. */
export interface EventField {
  /** Whether an event without it is left out. A field that is `null` is not there. */
  required?: boolean;
  /** What it holds; `"any"` unless stated. An event with something else is left out. */
  kind?: FieldKind;
  /** From which access on reducers are given it; 0 unless stated. */
  level?: number;
}

/** An object as its events make it: its id, its type, and what their deltas left. Frozen. */
export interface ObjectState {
  readonly id: string;
  readonly type: string;
  readonly [key: string]: Value;
}

/** An event as reducers are given it, each its own copy; in development frozen. */
export interface ObjectEvent<Data = any> {
  /** `"changeset:index"`, which {@link Policy.exclude} takes; `""` while its transaction runs. */
  readonly id: string;
  readonly type: string;
  /** As {@link EventDefinition.upcast} left it, without the fields above the access. */
  readonly data: Data;
  /** When its author says it happened, ms since 1970; later than that where the author knew of something that claims to be. */
  readonly time: number;
  readonly member: string;
  readonly actor: string;
  readonly changeset: string;
}

/**
 * What changes: keys that are named get these values, `null` too; {@link REMOVE} takes a key away, `undefined` leaves it as
 * it is, and so does what is not named. `id` and `type` never change.
 */
export type StateDelta = { readonly [key: string]: Value | undefined | typeof REMOVE };

/** What {@link Space.define} takes. */
export interface EventDefinition<Data = any> {
  /** An integer from 1; 1 unless stated. Events are written with it. */
  version?: number;
  /** What the data of an event holds. What is not named here is let through. */
  fields?: { readonly [name: string]: EventField };
  /**
   * Makes the data of an older version into that of {@link version}. Without it events of older versions are left out.
   * The log is never written anew.
   */
  upcast?(data: any, version: number): Value;
  /**
   * What an event changes in an object that it concerns. `state`, which is read-only (bytes in it are a copy each time they
   * are read), is what the events before it made. What it gives is copied.
   * Without it the data itself is the delta: of its fields, where some are named.
   *
   * Pure: the same arguments give the same delta, everywhere and always; no space can be read or written in it. It is called
   * when somebody reads, again where an earlier event comes or goes, and synchronously: one that never ends cannot be stopped.
   */
  apply?(state: ObjectState, event: ObjectEvent<Data>, access: number): StateDelta | null | undefined | void;
}

/** A definition that is in force. */
export interface DefinitionInfo {
  readonly type: string;
  readonly version: number;
  /** Equal where the definition is, to the letter of its functions: what two replicas read can be compared where all digests are. */
  readonly digest: string;
}

export class Definition {
  readonly type: string;
  readonly version: number;
  readonly digest: string;
  readonly apply: EventDefinition["apply"];
  readonly upcast: EventDefinition["upcast"];
  readonly #fields: readonly Field[];
  /** Fields that not everybody is given. */
  readonly #leveled: readonly Field[];

  constructor(type: string, given: EventDefinition, digest: (text: string) => string) {
    if (typeof given !== "object" || given === null) throw argumentError("def", "def is not a definition");
    checkOptions(given, "def", ["version", "fields", "upcast", "apply"]);
    const { version = 1, fields = {}, upcast, apply } = given;
    checkInteger(version, "version", 1, VERSION_MAX);
    if (upcast !== undefined) checkFunction(upcast, "upcast");
    if (apply !== undefined) checkFunction(apply, "apply");
    this.type = type;
    this.version = version;
    this.apply = apply;
    this.upcast = upcast;
    this.#fields = checkFields(fields);
    this.#leveled = this.#fields.filter(({ level }) => level > 0);
    const sorted = [...this.#fields].sort((a, b) => (a.name < b.name ? -1 : 1));
    this.digest = digest(JSON.stringify([type, version, sorted, String(upcast), String(apply)]));
  }

  /** The fields that are missing or of another kind in data as it was upcast; nothing if it fits. */
  misfit(data: Value): string[] | undefined {
    const all = this.#fields;
    if (all.length === 0) return undefined;
    const of = isFields(data) ? data : {};
    let fields: string[] | undefined;
    for (let i = 0; i < all.length; i++) {
      const { name, required, fits } = all[i] as Field;
      const value = Object.hasOwn(of, name) ? of[name] : undefined;
      if (value === undefined || value === null ? required : !fits(value)) (fields ??= []).push(name);
    }
    return fields;
  }

  /** The data of an event for whoever has this access. */
  seen(data: Value, access: number): Value {
    if (this.#leveled.length === 0 || !isFields(data)) return data;
    const seen = { ...data };
    for (const { name, level } of this.#leveled) if (level > access) delete seen[name];
    return seen;
  }

  /** The delta of an event where no function says it. */
  plain(data: Value): StateDelta | undefined {
    if (!isFields(data)) return undefined;
    if (this.#fields.length === 0) return data;
    return Object.fromEntries(this.#fields.filter(({ name }) => Object.hasOwn(data, name)).map(({ name }) => [name, data[name]]));
  }
}

/** Refuses data that nobody could apply, before it is signed. */
export function checkData(definition: Definition, data: Value): void {
  const fields = definition.misfit(data);
  if (!fields) return;
  const message = `the data of ${JSON.stringify(definition.type)} has no fitting ${fields.join(", ")}`;
  throw new StemmaError("E_SCHEMA", message, { argument: "data" });
}

/** The name of a type. */
export function checkType(type: unknown): asserts type is string {
  checkShortString(type, "type");
  if (type === "") throw argumentError("type", "type is empty");
}

interface Field extends Required<EventField> {
  readonly name: string;
  readonly fits: (value: Value) => boolean;
}

function checkFields(fields: unknown): Field[] {
  if (typeof fields !== "object" || fields === null || !isPlain(fields)) throw argumentError("fields", "fields is not an object of fields");
  return Object.entries(fields).map(([name, field]: [string, EventField]) => {
    const place = `fields.${name}`;
    if (name === "id" || name === "type") throw argumentError("fields", `${place}: id and type are the object's own`);
    if (typeof field !== "object" || field === null) throw argumentError("fields", `${place} is not a field`);
    checkOptions(field, "fields", ["required", "kind", "level"]);
    const { required = false, kind = "any", level = 0 } = field;
    if (typeof required !== "boolean") throw argumentError("fields", `${place}.required is not a boolean`);
    if (!Object.hasOwn(KINDS, kind)) throw argumentError("fields", `${place}.kind is not one of ${Object.keys(KINDS).join(", ")}`);
    if (!Number.isSafeInteger(level) || level < 0) throw argumentError("fields", `${place}.level is not an integer from 0`);
    return { name, required, kind, level, fits: KINDS[kind] };
  });
}

const KINDS: { readonly [kind in FieldKind]: (value: Value) => boolean } = {
  any: () => true,
  array: (value) => Array.isArray(value),
  bigint: (value) => typeof value === "bigint",
  boolean: (value) => typeof value === "boolean",
  bytes: (value) => isBytes(value),
  integer: (value) => Number.isSafeInteger(value),
  number: (value) => typeof value === "number",
  object: (value) => isFields(value),
  string: (value) => typeof value === "string",
};

function isFields(value: Value): value is { readonly [key: string]: Value } {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !isBytes(value);
}

const VERSION_MAX = 0x7fff_ffff;
