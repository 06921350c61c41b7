/**
 * Pieces: two states of a text in one, what would go struck through and what would come back beside it.
 *
 * Invariant: the pieces that are kept or gone are the text as it is, those that are kept or come are the text as it would be.
 */
import type { Change, Delta } from "stemma";

export interface Piece {
  readonly how: "kept" | "gone" | "back";
  readonly text: string;
}

/** The pieces of `text` under what `changes` say of the text called `name`. */
export function piecesOf(text: string, changes: readonly Change[], name: string): readonly Piece[] {
  let pieces: readonly Piece[] = text === "" ? [] : [{ how: "kept", text }];
  for (const { object, delta } of changes) {
    if (object.kind === "text" && object.name === name && delta) pieces = applied(pieces, delta as Delta);
  }
  return joined(pieces);
}

/** A delta counts what would be there, so it passes over what is gone. */
function applied(pieces: readonly Piece[], delta: Delta): Piece[] {
  const rest = [...pieces];
  const done: Piece[] = [];
  const take = (units: number, pass: (piece: Piece) => Piece | undefined) => {
    for (let left = units; left > 0; ) {
      const piece = rest.shift();
      if (!piece) return;
      if (piece.how === "gone") {
        done.push(piece);
        continue;
      }
      const taken = pass({ how: piece.how, text: piece.text.slice(0, left) });
      if (taken) done.push(taken);
      if (piece.text.length > left) rest.unshift({ how: piece.how, text: piece.text.slice(left) });
      left -= piece.text.length;
    }
  };
  for (const step of delta) {
    if ("retain" in step) take(step.retain, (piece) => piece);
    else if ("delete" in step) take(step.delete, (piece) => (piece.how === "kept" ? { how: "gone", text: piece.text } : undefined));
    else done.push({ how: "back", text: step.insert });
  }
  return [...done, ...rest];
}

function joined(pieces: readonly Piece[]): Piece[] {
  const all: Piece[] = [];
  for (const piece of pieces) {
    const before = all.at(-1);
    if (before?.how === piece.how) all[all.length - 1] = { how: piece.how, text: before.text + piece.text };
    else all.push(piece);
  }
  return all;
}
