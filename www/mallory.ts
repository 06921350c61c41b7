/** What Mallory does at the press of her button: rubbish, as any member with the right to write can. */
import type { Space } from "stemma";

/** One deed of many, in one transaction. */
export function spoil(space: Space, round: number): void {
  const note = space.getText("note");
  const text = note.toString();
  space.transact(() => {
    space.getMap("facts").set("hut", "closed, go home");
    const place = text.indexOf(TRAIN);
    const line = ends(text)[round % Math.max(1, ends(text).length)] ?? text.length;
    note.insert(line, ` ${LIES[round % LIES.length]}`);
    if (place < 0) return;
    const now = place < line ? place : note.toString().indexOf(TRAIN);
    note.delete(now, TRAIN.length);
    note.insert(now, "9:45");
  });
}

/** Where the lines with words end. */
function ends(text: string): number[] {
  return [...text.matchAll(/[^\n](?=\n|$)/g)].map(({ index }) => index + 1);
}

const TRAIN = "7:12";
const LIES = ["FREE GOLD at mallory.example!!!", "Nobody likes Ben.", "The trip is off. Trust me."];
