// People who type at once, on a clock of its own: how many changesets and bytes a letter costs, and how soon others see it. Each types
// into a text of its own, as people type: bursts, and pauses to think. A replica that nobody looks at stands for the relay.

import { type Change, type Delta, open, type Space } from "stemma";
import { SimulatedClock } from "../simulated.ts";
import { type Context, expect, type Figures } from "./job.ts";

/** How many type, and how many only read. */
const WORLDS: Record<string, readonly [number, number]> = {
  "1 types alone": [1, 0],
  "1 types, 1 reads": [1, 1],
  "2 type at once": [2, 0],
  "8 type at once": [8, 0],
};

export async function measure({ trace: { name }, quick }: Context): Promise<Figures> {
  const [typists, readers] = WORLDS[name] as readonly [number, number];
  const clock = SimulatedClock.install();
  const people = await gathered(clock, typists + readers);
  const before = people.map((space) => space.stats());
  const typed: number[][] = people.map(() => []);
  const delays: number[] = [];
  for (const [reader, space] of people.entries()) {
    space.subscribe((changes) => {
      for (const [writer, letters] of seen(changes, people)) {
        if (writer === reader) continue;
        const shown = `${writer} ${reader}`;
        const from = told.get(shown) ?? 0;
        for (let n = from; n < from + letters; n++) delays.push(clock.now - ((typed[writer] as number[])[n] as number));
        told.set(shown, from + letters);
      }
    });
  }
  const told = new Map<string, number>();
  const end = clock.now + (quick ? 10_000 : 60_000);
  for (let at = 0; at < typists; at++) typeUntil(clock, people[at] as Space, at, end, typed[at] as number[]);
  await clock.run(end + 10_000);

  const letters = typed.flat().length;
  const [first, last] = [before[0], people[0]?.stats()];
  for (const space of people) {
    for (let at = 0; at < typists; at++) expect(`text ${at}`, space.getText(`${at}`).length, (typed[at] as number[]).length);
  }
  expect("letters that others saw", delays.length, letters * (people.length - 1));
  delays.sort((a, b) => a - b);
  const part = (of: number) => delays[Math.min(delays.length - 1, Math.floor(delays.length * of))];
  return {
    "changesets per letter": ((last?.changesets ?? 0) - (first?.changesets ?? 0)) / letters,
    "bytes per letter": ((last?.bytes ?? 0) - (first?.bytes ?? 0)) / letters,
    ...(delays.length > 0 && { "seen, half": part(0.5), "seen, 99 of 100": part(0.99) }),
  };
}

/** Replicas that know each other, by way of one more; a single one has nobody. */
async function gathered(clock: SimulatedClock, count: number): Promise<Space[]> {
  const hub = await clock.awaits(open({ name: "hub", storage: "memory" }));
  if (count === 1) return [hub];
  const people: Space[] = [];
  for (let n = 0; n < count; n++) {
    const space = await clock.awaits(open({ name: `person ${n}`, storage: "memory", invite: await clock.awaits(hub.invite()) }));
    const [near, far] = clock.ports(LATENCY_MS);
    space.sync.attach(near);
    hub.sync.attach(far);
    space.transact(() => space.getMap("who").set(`${n}`, space.me));
    people.push(space);
  }
  await clock.run(clock.now + 10_000);
  for (const space of people) expect("who is here", space.getMap("who").size, count);
  return people;
}

/** Letters by the number of who typed them. */
function* seen(changes: readonly Change[], people: readonly Space[]): Generator<[number, number]> {
  for (const { member, source, delta } of changes) {
    if (source !== "remote" || !Array.isArray(delta)) continue;
    let letters = 0;
    for (const part of delta as Delta) if ("insert" in part) letters += part.insert.length;
    yield [people.findIndex(({ me }) => me === member), letters];
  }
}

function typeUntil(clock: SimulatedClock, space: Space, seed: number, end: number, typed: number[]): void {
  const random = generator(seed + 1);
  const text = space.getText(`${seed}`);
  const type = () => {
    if (clock.now >= end) return;
    text.append("e");
    typed.push(clock.now);
    setTimeout(type, pause(random));
  };
  setTimeout(type, pause(random));
}

/** Between two letters: about 160 ms; now and then as long as a word takes to find, or a sentence. */
function pause(random: () => number): number {
  const kind = random();
  if (kind < 0.02) return 3_000 + 2_000 * random();
  if (kind < 0.1) return 600 + 1_400 * random();
  const normal = random() + random() + random() + random() - 2; // of variance 1/3
  return 160 * Math.exp(0.7 * normal);
}

/** Mulberry32. */
function generator(seed: number): () => number {
  let state = seed * 0x9e3779b9;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One way to the relay. */
const LATENCY_MS = 20;
