/** Ledgers: accounts, payments, debts, and who owns what. */

import type { LedgerChange } from "./change.js";
import { argumentError, checkInteger, checkOptions, checkShortString, checkString, copyList } from "./check.js";
import type { ListenOptions } from "./listeners.js";
import type { ObjectCore } from "./object.js";
import type { WordOptions } from "./policy.js";
import type { Engine } from "./replica.js";
import { checkValue, freeze, type Value, wellFormed } from "./value.js";
import type { Write } from "./write.js";

/** Options of {@link Space.getLedger}. They belong to the ledger's identity: the same name with others is another ledger. */
export interface LedgerOptions {
  /** How far below zero an account may go, in the smallest unit. Absent: as far as it likes; beside issuers: not at all. */
  creditLimit?: bigint;
  /** Members whose accounts have no limit and are never in debt: what they are below zero is the money there is. At most 64. */
  issuers?: readonly string[];
}

/** A payment. */
export interface TransferOptions {
  /** Whose owner pays: an account of mine, my own unless stated. */
  from?: string;
  to: string;
  /** In the smallest unit, above zero, below 2^95. */
  amount: bigint;
  /** What for. Encrypted; up to 8,192 bytes as the format writes it. */
  memo?: Value;
  /** The id of what the user did. Whatever has the same id, of the same payer, counts once. */
  command?: string;
}

/** How an entry, or a claim on an asset, stands in this space as I see it. */
export type EntryStatus =
  /** It moves what it says. */
  | "counts"
  /** {@link Policy} hides it: by my word, or by the words of those whom I trust. */
  | "hidden"
  /** It waits for my review. */
  | "waits"
  /** Its author took it back. */
  | "undone"
  /** It is not by the owner of what is given away. */
  | "unsigned"
  /** Nobody opened one of the accounts. */
  | "unopened"
  /** Another one for the same command, or of what gives one entry back, came first. */
  | "duplicate"
  /** It gives back what does not count. */
  | "void"
  /** The amount is beyond 2^95. */
  | "overflow";

/** What somebody says against an entry. */
export interface Dispute {
  readonly id: string;
  readonly member: string;
  readonly actor: string;
  /** By its author's clock, ms since 1970; later than that where the author knew of something that claims to be. */
  readonly time: number;
  readonly reason: string;
}

/** A payment, or one that gives another back. */
export interface LedgerEntry {
  /** The id of its changeset and its place in it; `""` while the transaction that makes it runs. */
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly amount: bigint;
  readonly memo?: Value;
  /** Who signed it: a person's id, and that of the person's tab. */
  readonly member: string;
  readonly actor: string;
  /** By its author's clock, ms since 1970; later than that where the author knew of something that claims to be. */
  readonly time: number;
  readonly status: EntryStatus;
  readonly command?: string;
  /** The entry that it gives back. */
  readonly reverses?: string;
  /** The entry that gives it back. */
  readonly reversed?: string;
  readonly disputes: readonly Dispute[];
  /** Members who say that it should not count: see {@link Ledger.support}. */
  readonly support: readonly string[];
  /** Members who say that it should. */
  readonly oppose: readonly string[];
}

/** An entry as one of its accounts sees it. */
export interface StatementLine extends LedgerEntry {
  /** What came in, below zero what went out. */
  readonly change: bigint;
  /** What the account stood at then. */
  readonly balance: bigint;
}

export interface LedgerAccount {
  /** A member's id, or a name. A name that no content here tells is `#` and its 32 digits. */
  readonly account: string;
  /** The member who gives from it. */
  readonly owner: string;
  readonly balance: bigint;
  /** Members who opened it too, and do not own it. */
  readonly rivals: readonly string[];
}

/** An account below zero. */
export interface Debt {
  readonly account: string;
  readonly owner: string;
  /** How much is owed. */
  readonly amount: bigint;
  /** How much of it is beyond the credit limit. */
  readonly over: bigint;
  /** The entries that were not covered, the oldest first, and how much of each is not yet: what comes in covers the oldest first. */
  readonly causes: readonly { readonly id: string; readonly amount: bigint }[];
}

/** A signed claim on an asset. */
export interface Assignment {
  readonly id: string;
  readonly to: string;
  readonly member: string;
  readonly actor: string;
  readonly time: number;
  /** `"counts"` for a link of the chain of owners. */
  readonly status: EntryStatus;
}

/**
 * Accounts that pay each other, in whole numbers of the smallest unit. Everybody begins at zero and may go below: that is a debt, with its cause in
 * {@link debts}, until it is settled. Money only moves, so all accounts together stand at zero, whatever is excluded, undone or given back.
 *
 * An account is a member's id, or a name that a member {@link open}ed and owns. A payment counts if the owner of the account that gives signed it;
 * others' are listed with the reason why they do not. It is never refused for what an account stands at: two who pay apart cannot know. A
 * {@link LedgerOptions.creditLimit} is kept by {@link transfer}, and shown by {@link debts} where people were apart.
 *
 * Wrong payments go away in three ways, told apart in {@link entries}: whoever was paid gives it back ({@link reverse}), its author undoes it
 * ({@link Space.undo}), or I exclude it, for myself and for those who trust me ({@link support}). Each can be taken back.
 *
 * Where an entry is asked for, its id will do, or that of a {@link Write} that made no other one. Every method throws `E_CLOSED` after
 * {@link Space.close}, `E_ARGUMENT` for what is wrong with an argument; writers throw `E_ACCESS` for a reader. Each that writes is a transaction of
 * its own, or part of the one that runs. {@link Space.restore} leaves ledgers as they are.
 */
export class Ledger {
  readonly kind = "ledger";
  readonly #core: ObjectCore;

  /** @internal */
  constructor(core: ObjectCore) {
    this.#core = core;
  }

  get name(): string {
    return this.#core.name;
  }

  /**
   * Opens an account with a name, which is mine then. Of two who open one apart the first counts, or the one with the smaller id. Opening what is mine
   * does nothing. Throws `E_ARGUMENT` if somebody else owns it, and for a name that begins with `#` or looks like an id.
   */
  open(account: string): Write {
    const name = checkName(account, "account");
    return this.#write((engine, object) => engine.ledgerOpen(object, name));
  }

  /**
   * Pays. O(1).
   *
   * An account is a name that somebody opened, or a member of whom something has arrived here.
   *
   * With a `command` that this device knows a payment of mine for, nothing is written and that one's receipt comes back: the one that counts if there is
   * one, else one that was undone or excluded. Where two devices paid apart, one counts and the other is listed as `"duplicate"`.
   *
   * Throws `E_ARGUMENT`: for an amount that is no bigint above zero and below 2^95, for accounts that do not exist, if `from` is not mine or would go
   * below its credit limit, for a `command` that stands for another payment, and for one inside `transact`, which has its own.
   */
  transfer(o: TransferOptions): Write {
    if (o === undefined) throw argumentError("o", "o is not an object of options");
    checkOptions(o, "o", ["from", "to", "amount", "memo", "command"]);
    const { amount, memo, command } = o;
    const [from, to] = [o.from === undefined ? this.#me : checkName(o.from, "from"), checkName(o.to, "to")];
    if (typeof amount !== "bigint") throw argumentError("amount", "amount is not a bigint");
    if (amount <= 0n || amount >= MONEY_END) throw argumentError("amount", `amount is ${amount}, not above zero and below 2^95`);
    if (memo !== undefined) checkValue(memo, "memo");
    const pay = (engine: Engine, object: number) => engine.ledgerTransfer(object, from, to, amount, memo);
    if (command === undefined) return this.#write(pay);
    checkShortString(command, "command");
    const { transactions, pump } = this.#core.space;
    transactions.refuse("transfer with a command");
    const object = this.#core.number;
    const made = pump.call((engine) => engine.ledgerMade(object, wellFormed(command), from, to, amount));
    return made === "" ? this.#write(pay, { command }) : transactions.sealed(made);
  }

  /**
   * Gives back what an account of mine was paid: the same amount, the other way. It counts while the payment does, and once. Many are one transaction.
   *
   * Throws `E_ARGUMENT` for what is no payment to an account of mine, does not count, or was given back.
   */
  reverse(entry: string | readonly string[], o: { memo?: Value } = {}): Write {
    checkOptions(o, "o", ["memo"]);
    const { memo } = o;
    if (memo !== undefined) checkValue(memo, "memo");
    const entries = Array.isArray(entry) ? copyList(entry, "entry", "entry lists too many") : [entry];
    for (const one of entries) checkString(one, "entry");
    return this.#write((engine, object) => {
      for (const one of entries) engine.ledgerReverse(object, one as string, memo);
    });
  }

  /** Says what is wrong with an entry, for all to read. It goes on counting. */
  dispute(entry: string, o: { reason: string }): Write {
    checkString(entry, "entry");
    if (o === undefined) throw argumentError("reason", "a dispute has a reason");
    checkOptions(o, "o", ["reason"]);
    const { reason } = o;
    checkString(reason, "reason");
    return this.#write((engine, object) => engine.ledgerDispute(object, entry, reason));
  }

  /**
   * Says, for all to read, that an entry should not count: {@link Policy.exclude}. It does not any more for me, and for those who trust me enough.
   * {@link Policy.withdraw} of the entry's id takes it back.
   */
  support(entry: string, o?: WordOptions): Write {
    return this.#core.space.policy.exclude(this.#entry(entry), o);
  }

  /** Says that an entry should count, whoever supports a dispute of it: {@link Policy.include}. */
  oppose(entry: string, o?: WordOptions): Write {
    return this.#core.space.policy.include(this.#entry(entry), o);
  }

  /**
   * Gives an asset to an account: one that an account of mine holds, or a new one, of which the first claim counts. Throws `E_ARGUMENT` for what
   * somebody else holds and for an account that does not exist.
   */
  assign(o: { asset: string; to: string }): Write {
    if (o === undefined) throw argumentError("o", "o is not an object of options");
    checkOptions(o, "o", ["asset", "to"]);
    const [asset, to] = [checkName(o.asset, "asset"), checkName(o.to, "to")];
    return this.#write((engine, object) => engine.ledgerAssign(object, asset, to));
  }

  /** What an account stands at, mine unless stated; 0 for one that nobody used. O(1). */
  balance(account?: string): bigint {
    const of = account === undefined ? this.#me : checkName(account, "account");
    return this.#core.read((engine, object) => engine.ledgerBalance(object, of));
  }

  /** The accounts with a name, and those of members that were paid or paid, members first. O(accounts). */
  accounts(): readonly LedgerAccount[] {
    return this.#core.cached("accounts", (engine, object) =>
      freeze(engine.ledgerAccounts(object).map(([account, owner, balance, rivals]): LedgerAccount => ({ account, owner, balance, rivals: rivals.sort() }))),
    );
  }

  /** Accounts below zero, but for those of issuers. O(entries of those). */
  debts(): readonly Debt[] {
    return this.#list("debts", (engine, object) =>
      engine.ledgerDebts(object).map(([account, owner, amount, over, ids, left]): Debt => {
        const causes = ids.map((id, at) => ({ id, amount: left[at] as bigint }));
        return { account, owner, amount, over, causes };
      }),
    );
  }

  /**
   * The entries of an account or of all, by claimed time, in an order that is the same for everybody, with those that do not count: the
   * last `limit` of them. O(n log n).
   */
  entries(o: { account?: string; limit?: number } = {}): readonly LedgerEntry[] {
    checkOptions(o, "o", ["account", "limit"]);
    const { account, limit = Number.MAX_SAFE_INTEGER } = o;
    checkInteger(limit, "limit", 1, Number.MAX_SAFE_INTEGER);
    const of = account === undefined ? undefined : checkName(account, "account");
    return this.#list(`entries ${limit} ${of ?? ""}`, (engine, object) => engine.ledgerEntries(object, of, limit).map(entryOf));
  }

  /** The entries of an account that count, mine unless stated, each with what it changed and what the account stood at then. */
  statement(account?: string): readonly StatementLine[] {
    const of = account === undefined ? this.#me : checkName(account, "account");
    const entries = this.entries({ account: of });
    return this.#list(`statement ${of}`, () => {
      let balance = 0n;
      return entries
        .filter(({ status }) => status === "counts")
        .map((entry): StatementLine => {
          const change = entry.from === entry.to ? 0n : entry.from === of ? -entry.amount : entry.amount;
          balance += change;
          return { ...entry, change, balance };
        });
    });
  }

  /** The account that holds an asset; `undefined` if nobody ever claimed it. O(1). */
  owner(asset: string): string | undefined {
    const of = checkName(asset, "asset");
    return this.#core.read((engine, object) => engine.ledgerHolder(object, of));
  }

  /** The assets that somebody holds, by name. */
  assets(): readonly { readonly asset: string; readonly owner: string }[] {
    return this.#core.cached("assets", (engine, object) => freeze(engine.ledgerAssets(object).map(([asset, owner]) => ({ asset, owner }))));
  }

  /** Every signed claim on an asset, each after those it knew of: the chain of its owners, and rivals. */
  assignments(asset: string): readonly Assignment[] {
    const of = checkName(asset, "asset");
    return this.#list(`assignments ${of}`, (engine, object) =>
      engine
        .ledgerAssignments(object, of)
        .map(([id, member, actor, time, status, , to]): Assignment => ({ id, to, member, actor, time, status }))
        .sort((a, b) => a.time - b.time),
    );
  }

  /** Told after each transaction. Returns what ends it. */
  subscribe(cb: (changes: readonly LedgerChange[]) => void, o?: ListenOptions): () => void {
    return this.#core.listeners.add(cb as (changes: readonly unknown[]) => void, o);
  }

  /**
   * This object as encrypted, signed bytes, to be merged by {@link Space.import} with what is known of it at any replica of the
   * space: in any order, any grouping, any number of times. Of other objects they show nothing. Seals the open batch first. O(changesets).
   */
  async export(): Promise<Uint8Array> {
    return this.#core.export();
  }

  /** The accounts, as {@link accounts}. */
  toJSON(): readonly LedgerAccount[] {
    return this.accounts();
  }

  get #me(): string {
    return this.#core.read((engine) => engine.member());
  }

  #entry(entry: string): string {
    checkString(entry, "entry");
    return this.#core.read((engine, object) => engine.ledgerEntry(object, entry));
  }

  #write(work: (engine: Engine, object: number) => unknown, o: { command?: string } = {}): Write {
    const core = this.#core;
    return core.space.transactions.transact(() => {
      core.edit((engine, object) => void work(engine, object));
      core.forget([]);
    }, o);
  }

  /** A list that is the same one until something changes; one with entries that have no id yet is not kept. */
  #list<T extends object>(what: string, make: (engine: Engine, object: number) => T[]): readonly T[] {
    const list = this.#core.cached(what, (engine, object) => freeze(make(engine, object)));
    const last = list.at(-1) as { id?: string; causes?: readonly { id: string }[] } | undefined;
    if (last?.id === "" || last?.causes?.at(-1)?.id === "") this.#core.forgetOwn([]);
    return list;
  }
}

function checkName(name: unknown, argument: string): string {
  checkShortString(name, argument);
  if (name === "") throw argumentError(argument, `${argument} is empty`);
  return wellFormed(ID.test(name) ? name.toLowerCase() : name);
}

/** What somebody signed: id, member, actor, time, status, memo or reason. */
export type EngineSigned = [id: string, member: string, actor: string, time: number, status: EntryStatus, memo: Value | undefined];

/** An entry of the engine. */
export type EngineEntryRow = [
  ...EngineSigned,
  from: string,
  to: string,
  amount: bigint,
  command: string | undefined,
  reverses: string | undefined,
  reversed: string | undefined,
  disputes: EngineSigned[],
  support: string[],
  oppose: string[],
];

function entryOf([id, member, actor, time, status, memo, from, to, amount, command, reverses, reversed, disputes, support, oppose]: EngineEntryRow): LedgerEntry {
  return {
    id,
    from,
    to,
    amount,
    ...(memo === undefined ? {} : { memo }),
    member,
    actor,
    time,
    status,
    ...(command === undefined ? {} : { command }),
    ...(reverses === undefined ? {} : { reverses }),
    ...(reversed === undefined ? {} : { reversed }),
    disputes: disputes
      .map(([id, member, actor, time, , reason]): Dispute => ({ id, member, actor, time, reason: typeof reason === "string" ? reason : "" }))
      .sort((a, b) => a.time - b.time || (a.id < b.id ? -1 : 1)),
    support: support.sort(),
    oppose: oppose.sort(),
  };
}


const MONEY_END = 2n ** 95n;

const ID = /^[0-9a-f]{64}$/i;
