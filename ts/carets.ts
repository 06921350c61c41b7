/**
 * Carets: where the sessions that show a text have their cursors and selections in it. What a session shows of itself is one
 * field of its presence, with anchors, so it moves along with the text:
 *
 *     { text: names from the outermost object down, anchor, head: anchors, name?, hue? }
 *
 * Invariant: what others show is never trusted. What is no caret in this text is left out; names are words, colours are angles.
 * Whoever left is not brought back by being asked about.
 */

import { argumentError, checkFunction, checkInteger, checkOptions, checkShortString } from "./check.js";
import { isStemmaError } from "./errors.js";
import type { ObjectCore } from "./object.js";
import type { Present } from "./presence.js";
import { type Anchor, coreOf, type SharedText } from "./text.js";
import { isBytes, isPlain, type Value } from "./value.js";

/** How the cursor of this session is shown to others, and theirs here. */
export interface CursorOptions {
  /** What others read at it. Unless stated the field `name` of presence, if that is a string. */
  name?: string;
  /** Its colour, an angle from 0 to 359: 30 is red, 140 green, 260 blue. One that follows from the member's id unless stated. */
  hue?: number;
  /** The field of presence that it stands in, `"cursor"` unless stated. */
  field?: string;
  /**
   * What is read here at the cursor of another session; `undefined` hides it. Unless stated what that session calls itself, which nobody
   * has checked, or the beginning of its member's id.
   */
  label?: (other: Present) => string | undefined;
}

/** Two places in a text, in UTF-16 units: where a selection was begun, and where the cursor is. */
export interface Selected {
  readonly anchor: number;
  readonly head: number;
}

/** The cursor or selection of another session. */
export interface Caret extends Selected {
  readonly session: string;
  readonly label: string;
  readonly hue: number;
}

/** The carets of one text, for one binding. */
export class Carets {
  readonly #text: SharedText;
  readonly #core: ObjectCore;
  readonly #field: string;
  readonly #options: CursorOptions;
  readonly #path: readonly string[];
  readonly #selected: () => Selected | undefined;
  readonly #unsubscribe: () => void;
  #others: ReadonlyMap<string, Present>;
  /** Anchors by session that were found in the text: newer ones may speak of what has not arrived. */
  #found = new Map<string, { readonly anchor: Anchor; readonly head: Anchor }>();
  /** What this session shows in the field, as presence has it. */
  #mine: Value | undefined;
  #isScheduled = false;
  #isEnded = false;

  /** `selected` says what is selected now, nothing while the editor has no focus; `changed` is told when another caret may be elsewhere. */
  constructor(text: SharedText, o: CursorOptions, selected: () => Selected | undefined, changed: () => void) {
    checkCursorOptions(o);
    this.#text = text;
    this.#core = coreOf(text);
    this.#options = o;
    this.#field = o.field ?? "cursor";
    this.#path = pathOf(this.#core);
    this.#selected = selected;
    const { presence } = this.#core.space;
    this.#others = presence.others;
    this.#unsubscribe = presence.subscribe((others) => {
      this.#others = others;
      changed();
    });
  }

  /** The carets of others, where they are now. O(others). */
  get others(): readonly Caret[] {
    const { pump, presence } = this.#core.space;
    if (this.#isEnded || !pump.isOpen || !presence.shown) return [];
    const carets: Caret[] = [];
    const found = new Map<string, { readonly anchor: Anchor; readonly head: Anchor }>();
    for (const [session, other] of this.#others) {
      const shown = this.#shownBy(other);
      const label = shown && this.#labelOf(other, shown);
      if (!shown || label === undefined) continue;
      for (const anchors of [shown, this.#found.get(session)]) {
        const selected = anchors && this.#find(anchors);
        if (!selected) continue;
        found.set(session, anchors);
        carets.push({ session, label, hue: isHue(shown.hue) ? shown.hue : hueOf(other.member), ...selected });
        break;
      }
    }
    this.#found = found;
    return carets;
  }

  /** The selection may be another one, or the focus elsewhere: shown in a microtask, for a transaction may be running. */
  moved(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      const { pump } = this.#core.space;
      if (!this.#isEnded && pump.isOpen) pump.quietly(() => this.#show(this.#selected()));
    });
  }

  /** Shows no caret any more, and tells of none. */
  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#unsubscribe();
    const { pump } = this.#core.space;
    if (pump.isOpen) pump.quietly(() => this.#hide());
  }

  #show(selected: Selected | undefined): void {
    if (!selected) return this.#hide();
    const { presence } = this.#core.space;
    // What others type at the ends of a selection is not in it.
    const [anchor, head] = [this.#anchor(selected.anchor, selected.head), this.#anchor(selected.head, selected.anchor)];
    const mine = presence.shown?.[this.#field];
    if (mine !== undefined && mine === this.#mine) {
      const { anchor: a, head: h } = mine as { anchor: Anchor; head: Anchor };
      if (isSame(a, anchor) && isSame(h, head)) return;
    }
    const { name, hue } = this.#options;
    const said = { ...(name === undefined ? {} : { name }), ...(hue === undefined ? {} : { hue }) };
    presence.update({ [this.#field]: { text: this.#path, anchor, head, ...said } });
    this.#mine = presence.shown?.[this.#field];
  }

  /** Another editor of this session may have taken the field over. */
  #hide(): void {
    const { presence } = this.#core.space;
    const mine = this.#mine;
    this.#mine = undefined;
    if (mine !== undefined && presence.shown?.[this.#field] === mine) presence.update({ [this.#field]: undefined });
  }

  #anchor(index: number, other: number): Anchor {
    return this.#text.anchor(Math.min(index, this.#text.length), index > other ? -1 : 1);
  }

  #shownBy({ state }: Present): Shown | undefined {
    const shown: unknown = state[this.#field];
    if (typeof shown !== "object" || shown === null || !isPlain(shown)) return undefined;
    const { text, anchor, head } = shown as Record<string, unknown>;
    const isHere = Array.isArray(text) && text.length === this.#path.length && text.every((name, at) => name === this.#path[at]);
    return isHere && isBytes(anchor) && isBytes(head) ? (shown as Shown) : undefined;
  }

  #labelOf(other: Present, { name }: Shown): string | undefined {
    if (this.#options.label) return this.#options.label(other);
    const own = [name, other.state["name"]].find((word) => typeof word === "string" && word.trim() !== "");
    return (own as string | undefined)?.slice(0, NAME_UNITS_MAX) ?? other.member.slice(0, 4);
  }

  #find({ anchor, head }: { readonly anchor: Anchor; readonly head: Anchor }): Selected | undefined {
    try {
      return { anchor: this.#text.position(anchor), head: this.#text.position(head) };
    } catch (error) {
      if (isStemmaError(error) && error.code === "E_ARGUMENT") return undefined; // not of this text, or not here yet
      throw error;
    }
  }
}

/** What stands in the field of another session, as far as it is checked. */
interface Shown {
  readonly anchor: Anchor;
  readonly head: Anchor;
  readonly name?: unknown;
  readonly hue?: unknown;
}

export function checkCursorOptions(o: CursorOptions): void {
  checkOptions(o, "cursors", ["name", "hue", "field", "label"]);
  const { name, hue, field, label } = o;
  if (name !== undefined) checkShortString(name, "name");
  if (name !== undefined && name.length > NAME_UNITS_MAX) throw argumentError("name", `name is longer than ${NAME_UNITS_MAX} units`);
  if (hue !== undefined) checkInteger(hue, "hue", 0, 359);
  if (field !== undefined) checkShortString(field, "field");
  if (label !== undefined) checkFunction(label, "label");
}

/** A member's colour, the same everywhere: an angle. */
export function hueOf(member: string): number {
  return Number.parseInt(member.slice(0, 8), 16) % 360 || 0;
}

/** What a member can be called at a cursor: it is written over the text. */
const NAME_UNITS_MAX = 64;

/** The names of an object and of the maps that it is in, from outside in. */
function pathOf(core: ObjectCore): string[] {
  return core.map ? [...pathOf(core.map), core.name] : [core.name];
}

function isHue(hue: unknown): hue is number {
  return typeof hue === "number" && Number.isInteger(hue) && hue >= 0 && hue < 360;
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
