/**
 * What a field shows and what its text holds, in one: runs that both have, that were deleted from the text but still show, and that
 * came into the text but do not show yet.
 *
 * Invariant: what is kept or gone is what the field shows, what is kept or fresh is what the text holds. Lengths are UTF-16 units.
 */

import type { Delta, DeltaStep } from "../delta.js";
import type { Edit } from "../diff.js";

interface Piece {
  readonly how: "kept" | "gone" | "fresh";
  readonly length: number;
}

export class Pieces {
  #pieces: readonly Piece[] = [];

  /** Of a field that shows what the text holds. */
  constructor(length: number) {
    this.#pieces = joined([{ how: "kept", length }]);
  }

  /** Of a field of a length and a text that differ by some edits. */
  static between(length: number, edits: readonly Edit[]): Pieces {
    const pieces = new Pieces(length);
    pieces.receive(deltaOf(edits));
    return pieces;
  }

  /** How long the text is. */
  get held(): number {
    return this.#pieces.reduce((sum, { how, length }) => (how === "gone" ? sum : sum + length), 0);
  }

  /** The text changed. */
  receive(delta: Delta): void {
    const rest = [...this.#pieces];
    const done: Piece[] = [];
    const take = (units: number, pass: (piece: Piece) => Piece | undefined) => {
      for (let left = units; left > 0; ) {
        const piece = rest.shift();
        if (!piece) return;
        if (piece.how === "gone") {
          done.push(piece);
          continue;
        }
        const length = Math.min(left, piece.length);
        const passed = pass({ how: piece.how, length });
        if (passed) done.push(passed);
        if (piece.length > length) rest.unshift({ how: piece.how, length: piece.length - length });
        left -= length;
      }
    };
    for (const step of delta) {
      if ("retain" in step) take(step.retain, (piece) => piece);
      else if ("delete" in step) take(step.delete, ({ how, length }) => (how === "kept" ? { how: "gone", length } : undefined));
      else done.push({ how: "fresh", length: step.insert.length });
    }
    this.#pieces = joined([...done, ...rest]);
  }

  /** The field changed: what the text has to do, each edit after the one before. */
  type({ position: from, length: removed, insert }: Edit): Edit[] {
    const edits: Edit[] = [];
    const done: Piece[] = [];
    const to = from + removed;
    let shown = 0; // where the piece begins in the field as it was
    let held = 0; // where it begins in the text, after the edits
    let isPlaced = insert === "";
    const place = () => {
      if (isPlaced || shown < from) return;
      isPlaced = true;
      edits.push({ position: held, length: 0, insert });
      done.push({ how: "kept", length: insert.length });
      held += insert.length;
    };
    const pass = (how: Piece["how"], length: number) => {
      done.push({ how, length });
      if (how !== "gone") held += length;
      if (how !== "fresh") shown += length;
    };
    for (const { how, length } of this.#pieces) {
      place();
      if (how === "fresh") {
        pass(how, length);
        continue;
      }
      const end = shown + length;
      const before = Math.min(Math.max(from - shown, 0), length);
      pass(how, before);
      place();
      const inside = Math.max(Math.min(to, end) - shown, 0);
      if (inside > 0 && how === "kept") edits.push({ position: held, length: inside, insert: "" });
      shown += inside;
      pass(how, end - shown);
    }
    place();
    this.#pieces = joined(done);
    return edits;
  }

  /** What the field has to do to show `text`, each edit after the one before. After that both are even. */
  settle(text: string): Edit[] {
    const edits: Edit[] = [];
    let at = 0;
    for (const { how, length } of this.#pieces) {
      if (how === "gone") edits.push({ position: at, length, insert: "" });
      if (how === "fresh") edits.push({ position: at, length: 0, insert: text.slice(at, at + length) });
      if (how !== "gone") at += length;
    }
    this.#pieces = joined([{ how: "kept", length: text.length }]);
    return edits;
  }

  /** Where a place of the field is in the text. */
  toText(position: number): number {
    let [shown, held] = [0, 0];
    for (const { how, length } of this.#pieces) {
      if (how !== "fresh" && shown + length > position) return how === "gone" ? held : held + position - shown;
      if (how !== "fresh") shown += length;
      if (how !== "gone") held += length;
    }
    return held;
  }
}

/** Edits of one text, in ascending order, as steps. */
export function deltaOf(edits: readonly Edit[]): Delta {
  let end = 0;
  return edits.flatMap(({ position, length, insert }): DeltaStep[] => {
    const retain = position - end;
    end = position + length;
    return [{ retain }, { delete: length }, { insert }];
  });
}

function joined(pieces: readonly Piece[]): Piece[] {
  const all: Piece[] = [];
  for (const piece of pieces) {
    const before = all.at(-1);
    if (piece.length === 0) continue;
    if (before?.how === piece.how) all[all.length - 1] = { how: piece.how, length: before.length + piece.length };
    else all.push(piece);
  }
  return all;
}
