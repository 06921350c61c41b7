// A ledger with many entries: what an account stands at after any change, and at a view.

import { openSpace } from "../stemma.ts";
import { type Context, expect, type Figures, later } from "./job.ts";

const TRANSFERS = 100_000;
const EACH = 500;

export async function measure({ lap, quick }: Context): Promise<Figures> {
  const count = quick ? TRANSFERS / 10 : TRANSFERS;
  const space = await openSpace();
  if (!later(space).getLedger) return {};
  const ledger = later(space).getLedger("house");
  const accounts = Array.from({ length: 50 }, (_, n) => `account ${n}`);
  space.transact(() => accounts.forEach((account) => ledger.open(account)));
  const ids: string[] = [];
  for (let from = 0; from < count; from += EACH) {
    const pay = (i: number) => ledger.transfer({ from: accounts[i % 50], to: accounts[(7 * i + 1) % 50], amount: BigInt(1 + (i % 90)) });
    ids.push(space.transact(() => Array.from({ length: EACH }, (_, i) => pay(from + i))).id);
  }
  await space.flush().saved("local");
  const middle = ids[ids.length / 2 - 1] as string;
  const stood = ledger.balance("account 1");
  /** How long a change takes, and reading what it comes to. */
  const measured = (change: () => void): [change: number, read: number, balance: bigint] => {
    lap();
    change();
    const changed = lap();
    lap();
    const balance = ledger.balance("account 1");
    return [changed, lap(), balance];
  };
  const [paying, afterPaying, paid] = measured(() => ledger.transfer({ from: "account 1", to: "account 2", amount: 5n }));
  expect("paid", paid, stood - 5n);
  await space.flush().saved("local");
  const one = `${middle}:1`;
  const [excluding, afterExcluding, without] = measured(() => space.policy.exclude(one));
  expect("without it", without !== paid, true);
  const [, afterIncluding, again] = measured(() => space.policy.include(one));
  expect("again", again, paid);
  const many = ids.slice(0, 2).flatMap((id) => Array.from({ length: EACH }, (_, i) => `${id}:${i}`));
  const [excludingMany, afterMany] = measured(() => space.policy.exclude(many));
  lap();
  const view = space.at(middle);
  const then = later(view).getLedger("house").balance("account 1");
  const rebuilt = lap();
  expect("then", typeof then, "bigint");
  view[Symbol.dispose]();
  lap();
  const last = ledger.entries({ limit: 100 });
  const listed = lap();
  expect("entries", last.length, 100);
  return {
    "a payment": paying,
    "balance after a payment": afterPaying,
    "an exclusion of a payment": excluding,
    "balance after an exclusion": afterExcluding,
    "balance after an inclusion": afterIncluding,
    "1,000 exclusions of payments": excludingMany,
    "balance after 1,000 exclusions": afterMany,
    "balance at a view": rebuilt,
    "last entries": listed,
  };
}
