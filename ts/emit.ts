/** Definitions of a space, and what is said in its events. */

import { argumentError, checkOptions, checkShortString, copyList } from "./check.js";
import type { SpaceCore } from "./core.js";
import { checkData, checkType, Definition, type DefinitionInfo, type EventDefinition } from "./definition.js";
import { type ErrorCode, StemmaError } from "./errors.js";
import type { LeftOut, Reducing } from "./reduce.js";
import { copyOf, type Value, wellFormed } from "./value.js";
import type { Write } from "./write.js";

/** What {@link Space.create} takes. */
export interface CreateOptions {
  /** 1 to 4,096 bytes; a random one unless stated. */
  id?: string;
  /** What its first event says, which is of the type of the object; none unless stated. */
  data?: Value;
}

/** What {@link Space.emit} takes. */
export interface EmitOptions {
  /** The ids of the objects that it is about, 1 to 256. One that nobody made yet gets the event when somebody does. */
  concerns: string | readonly string[];
  /** `null` unless stated. */
  data?: Value;
  /** Id of what the user did, as of {@link Space.transact}: said again by the same member it counts once. */
  command?: string;
}

/** The definitions of a space, and what its reducers are run by. */
export class Definitions implements Reducing {
  readonly definitions = new Map<string, Definition>();
  /** Grows with each change. */
  version = 0;
  isDevelopment = false;
  readonly #space: SpaceCore;
  /** What was reported. */
  readonly #reported = new Set<string>();

  constructor(space: SpaceCore) {
    this.#space = space;
  }

  define(type: unknown, given: EventDefinition): void {
    checkType(type);
    const { pump } = this.#space;
    const sound = wellFormed(type);
    const definition = new Definition(sound, given, (text) => pump.read((engine) => engine.definitionDigest(text)));
    const known = this.definitions.get(sound);
    this.definitions.set(sound, definition);
    // The same text can close over other things.
    if (known?.digest === definition.digest && known.apply === definition.apply && known.upcast === definition.upcast) return;
    this.version++;
    queueMicrotask(() => pump.isOpen && this.#space.eventful.emit());
  }

  list(): readonly DefinitionInfo[] {
    const infos = [...this.definitions.values()].map(({ type, version, digest }) => Object.freeze({ type, version, digest }));
    return Object.freeze(infos);
  }

  /** Tells of the first of its kind, once the reading is done. */
  report(what: LeftOut | "failed" | "slow", { id, type }: { id: string; type: string | undefined }, message: string, code: ErrorCode): void {
    const key = what === "failed" ? id : `${what} ${type}`;
    if (this.#reported.has(key) || this.#reported.size >= REPORTED_MAX) return;
    this.#reported.add(key);
    const fault = new StemmaError(code, `event ${id} of type ${JSON.stringify(type)}: ${message}`);
    queueMicrotask(() => this.#space.pump.isOpen && this.#space.report("error", fault));
  }
}

/** Makes an object; its id. */
export function create(space: SpaceCore, type: unknown, o: CreateOptions = {}): string {
  checkType(type);
  checkOptions(o, "o", ["id", "data"]);
  const { id = randomId(), data } = o;
  checkId(id, "id");
  const written = data === undefined ? null : versioned(space, type, data);
  if (space.reducers.has(id)) throw argumentError("id", `there is an object ${JSON.stringify(id)} already`);
  space.transactions.transact(() => space.pump.read((engine) => engine.eventCreate(type, id, written)));
  return wellFormed(id);
}

/** Says what happened to some objects. */
export function emit(space: SpaceCore, type: unknown, o: EmitOptions): Write {
  checkType(type);
  if (typeof o !== "object" || o === null) throw argumentError("event", "event is not an object of options");
  checkOptions(o, "event", ["concerns", "data", "command"]);
  const { concerns: given, data = null, command } = o;
  const wrong = `concerns is not an id, nor a list of 1 to ${CONCERNS_MAX} ids`;
  const concerns = typeof given === "string" ? [given] : copyList(given, "concerns", wrong, CONCERNS_MAX);
  if (concerns.length === 0) throw argumentError("concerns", wrong);
  checkIds(concerns, "concerns");
  const written = versioned(space, type, data);
  const { transactions, pump } = space;
  const work = () => pump.read((engine) => engine.eventEmit(type, concerns, written));
  if (command === undefined) return transactions.transact(work);
  checkShortString(command, "command");
  // Inside a transaction, which has its own, this is refused.
  const made = transactions.isRunning ? "" : pump.call((engine) => engine.eventMade(type, concerns, written, wellFormed(command)));
  return made === "" ? transactions.transact(work, { command }) : transactions.sealed(made);
}

/** Data with the version of its definition, which it has to fit. */
function versioned(space: SpaceCore, type: string, given: Value): Value {
  const definition = space.definitions.definitions.get(wellFormed(type));
  if (!definition) throw new StemmaError("E_UNKNOWN_EVENT", `the type ${JSON.stringify(type)} is not defined`, { argument: "type" });
  const data = copyOf(given, "data");
  checkData(definition, data);
  return [definition.version, data];
}

function checkId(id: unknown, argument: string): void {
  checkShortString(id, argument);
  if (id === "") throw argumentError(argument, `${argument}: an id is not empty`);
}

function checkIds(ids: unknown[], argument: string): asserts ids is string[] {
  for (const id of ids) checkId(id, argument);
}

function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const CONCERNS_MAX = 256;
const REPORTED_MAX = 1_000;
