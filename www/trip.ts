/** The shared expenses of a trip, filled in at the press of a button: each signs what he or she owes. */
import type { Space } from "stemma";
import { expenses } from "./demo.ts";

type Name = "Ada" | "Ben" | "Mallory";

/** Whoever is paid has to be known to who pays: the others are heard of by their first payment. */
export async function fillTrip(people: Readonly<Record<Name, Space>>, sign: (space: Space, work: () => unknown) => void): Promise<void> {
  for (const [from, to, amount, memo] of TRIP) {
    const [payer, payee] = [people[from], people[to].me];
    for (let tries = 0; tries < TRIES && !(await knows(payer, payee)); tries++) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    sign(payer, () => expenses(payer).transfer({ to: payee, amount, memo }));
  }
}

async function knows(space: Space, member: string): Promise<boolean> {
  for await (const _ of space.history({ member, limit: 1 })) return true;
  return false;
}

const TRIP = [
  ["Ben", "Ada", 30_00n, "the hut"],
  ["Mallory", "Ada", 30_00n, "the hut"],
  ["Ada", "Ben", 12_50n, "train"],
  ["Mallory", "Ben", 12_50n, "train"],
  ["Ben", "Mallory", 48_00n, "a taxi"],
] as const;
const TRIES = 50;
const PAUSE_MS = 100;
