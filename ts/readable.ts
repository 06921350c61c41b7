/** What can be read of a space, now or as it was. */

import type { SharedCart } from "./cart.js";
import { argumentError, checkOptions, checkShortString, checkWord } from "./check.js";
import type { CounterOptions, SharedCounter } from "./counter.js";
import { StemmaError } from "./errors.js";
import type { Handle } from "./handle.js";
import type { MapOptions, SharedMap } from "./map.js";
import { type Kind, kindOf, type ObjectOptions } from "./replica.js";
import type { SetOptions, SharedSet } from "./set.js";
import type { SharedText } from "./text.js";
import { freeze } from "./value.js";

/** Where it is read from. */
export interface Source {
  object(name: string, kind: Kind, options?: ObjectOptions): Handle;
  heads(): string[];
  names(): { name: string; kind: number }[];
  stateHash(): string;
  viewDigest(): string;
}

/** What a {@link Space} and a {@link View} have in common. */
export abstract class Readable {
  readonly #source: Source;

  /** @internal */
  constructor(source: Source) {
    this.#source = source;
  }

  /** The changesets that no other one here builds on, ascending. */
  get heads(): readonly string[] {
    return freeze(this.#source.heads());
  }

  /**
   * The map of this name; here and below, it need not have been written to, and it is the same handle every time. A name
   * with other options is another object: asking for both in one session throws `E_ARGUMENT`.
   */
  getMap(name: string, o?: MapOptions): SharedMap {
    checkOptions(o, "o", ["couple"]);
    return this.#source.object(checkName(name), "map", groupsOf(o?.couple)) as SharedMap;
  }

  getText(name: string, ...options: []): SharedText {
    return this.#source.object(checkName(name, options), "text") as SharedText;
  }

  getCounter(name: string, o?: CounterOptions): SharedCounter {
    return this.#source.object(checkName(name), "counter", variantOf(o, ["pn", "g"])) as SharedCounter;
  }

  getSet(name: string, o?: SetOptions): SharedSet {
    return this.#source.object(checkName(name), "set", variantOf(o, ["or", "lww"])) as SharedSet;
  }

  getCart(name: string, ...options: []): SharedCart {
    return this.#source.object(checkName(name, options), "cart") as SharedCart;
  }

  /** The names of objects with visible content. O(size). */
  names(): readonly { readonly name: string; readonly kind: Kind }[] {
    const known = this.#source.names().map(({ name, kind }) => ({ name, kind: kindOf(kind) }));
    return freeze(known.filter((one): one is { name: string; kind: Kind } => one.kind !== undefined));
  }

  /** A hash of everything visible: equal at two replicas that show the same. O(size). */
  stateHash(): string {
    return this.#source.stateHash();
  }

  /** A hash of what is known and which of it counts: where it is equal, {@link stateHash} is. */
  viewDigest(): string {
    return this.#source.viewDigest();
  }
}

/** Options are for kinds and versions that have some; types allow none elsewhere, plain JavaScript is told. */
function checkName(name: unknown, options: readonly unknown[] = []): string {
  checkShortString(name, "name");
  if (name === "") throw argumentError("name", "name is empty");
  if (options.some((option) => option !== undefined)) throw new StemmaError("E_UNSUPPORTED", "this version knows no options here", { argument: "o" });
  return name;
}

/** The first of the two kinds is the one without options. */
function variantOf(o: { kind?: string } | undefined, kinds: readonly [string, string]): ObjectOptions | undefined {
  checkOptions(o, "o", ["kind"]);
  if (o?.kind === undefined) return undefined;
  checkWord(o.kind, "kind", kinds);
  return o.kind === kinds[1] ? { variant: true } : undefined;
}

function groupsOf(couple: unknown): ObjectOptions | undefined {
  if (couple === undefined) return undefined;
  const wrong = (what: string) => argumentError("couple", `couple ${what}`);
  if (!Array.isArray(couple) || !couple.every(Array.isArray)) throw wrong("is not a list of lists of keys");
  const keys = (couple as unknown[][]).flat();
  for (const key of keys) checkShortString(key, "couple");
  if (new Set(keys).size < keys.length) throw wrong("names a key twice");
  if ((couple as unknown[][]).some((group) => group.length === 0)) throw wrong("has an empty group");
  if (couple.length > COUPLE_MAX || couple.some((group) => group.length > COUPLE_MAX)) throw wrong(`has more than ${COUPLE_MAX} groups, or keys in one`);
  return couple.length === 0 ? undefined : { groups: couple as string[][] };
}

const COUPLE_MAX = 64;
