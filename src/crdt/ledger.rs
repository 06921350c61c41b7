//! A ledger: accounts, transfers between them that can be given back, words on those, and assets that have owners.
//!
//! A transfer counts by rules that look at who signed it and whose the accounts are, never at what an account stands at, so any
//! set of ops comes to one result. Amounts only move: the sum of all accounts is zero, whatever is switched off.
//!
//! Invariants: rows are in topological order, one for each op; what a row refers to stands before it. An account stands at
//! the sum of the rows that count.

use super::command::Command;
use super::first::First;
use super::title::Title;
use super::{AccountId, History, LedgerOp, Part, SignedOp};
use crate::causal::{MemberId, NameId, OpIx};
use crate::codec::BigInt;
use crate::event::MONEY_END;
use crate::sorted::sort;
use crate::steps;
use foldhash::HashMap;

/// No place in a table.
pub(super) const NONE: u32 = u32::MAX;

/// One op.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The op.
    pub op: OpIx,
    /// The account of the member who wrote it.
    pub author: u32,
    /// Whether it is active.
    pub active: bool,
    /// Whether it moves something.
    pub counts: bool,
    /// What it says.
    pub what: What,
}

/// What a row says, in the numbers of the ledger's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are those of the ops, and places in tables")]
pub enum What {
    /// Opens an account.
    Open { account: u32 },
    /// Moves an amount; one that is too large is 0 here. `head` is the first op of its transaction, if that has a command.
    Transfer { from: u32, to: u32, amount: i128, command: u32, head: OpIx, notes: u32 },
    /// Moves that of another row back.
    Reverse { of: u32 },
    /// Says something on another row.
    Dispute { of: u32 },
    /// Gives an asset away.
    Assign { asset: u32, to: u32 },
}

/// What is known of an account.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub id: AccountId,
    /// The account of its owner; [`NONE`] if it is not open.
    pub owner: u32,
    pub opens: First,
    pub balance: i128,
    /// Rows that move something to or from it, or give it an asset.
    pub rows: Vec<u32>,
}

/// What else was said of a transfer.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes {
    /// Reverses and disputes of it, and disputes of those.
    pub rows: Vec<u32>,
    pub reverses: First,
}

/// What has to be looked at again.
#[derive(Clone, Debug, Default)]
pub(super) struct Unsettled {
    pub accounts: Vec<u32>,
    pub commands: Vec<u32>,
    pub assets: Vec<u32>,
    pub rows: Vec<u32>,
}

/// The accounts, what was said, and what of it counts.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub(super) index: HashMap<Part, u32>,
    pub(super) accounts: Vec<Account>,
    pub(super) commands: Vec<Command>,
    pub(super) assets: Vec<Title>,
    pub(super) notes: Vec<Notes>,
    pub(super) rows: Vec<Row>,
    /// Amounts that are too large to count, by row.
    pub(super) large: Vec<(u32, BigInt)>,
    pub(super) unsettled: Unsettled,
    /// Accounts and assets that may read differently: twice their number, and one more for an asset.
    pub(super) touched: Vec<u32>,
}

impl Ledger {
    /// Takes an op in whose number exceeds all before; says in which row. What it refers to is an entry of this ledger. O(1), and
    /// the rows of an account that it opens.
    pub fn apply(&mut self, history: &impl History, signed: &SignedOp, op: OpIx, active: bool) -> u32 {
        let author = self.account(AccountId::Member(signed.author));
        let entry = |ledger: &Self, of: OpIx| ledger.row_of(of).expect("what it names is an entry");
        let what = match &signed.op {
            LedgerOp::Open(name) => What::Open { account: self.account(AccountId::Named(*name)) },
            LedgerOp::Transfer { from, to, amount } => {
                let (from, to) = (self.account(*from), self.account(*to));
                let (command, head) = match signed.command {
                    Some((name, head)) => (self.command(signed.author, name), head),
                    None => (NONE, op),
                };
                let fits = amount.to_i128().filter(|amount| *amount < MONEY_END);
                if fits.is_none() {
                    self.large.push((self.rows.len() as u32, amount.clone()));
                }
                What::Transfer { from, to, amount: fits.unwrap_or(0), command, head, notes: NONE }
            }
            LedgerOp::Reverse(of) => What::Reverse { of: entry(self, *of) },
            LedgerOp::Dispute(of) => What::Dispute { of: entry(self, *of) },
            LedgerOp::Assign(asset, to) => What::Assign { asset: self.asset(*asset), to: self.account(*to) },
        };
        self.push(history, op, author, what, active)
    }

    /// Takes the last row back, made in the open batch. Call [`Ledger::settle`] before reading.
    pub fn retract(&mut self) {
        let at = self.rows.len() as u32 - 1;
        if self.rows[at as usize].counts {
            self.flip(at, false);
        }
        self.touch(at);
        self.large.pop_if(|(of, _)| *of == at);
        let row = self.rows.pop().expect("the batch has a row");
        match row.what {
            What::Open { account } => {
                self.accounts[account as usize].opens.remove(row.op);
                self.unsettled.accounts.push(account);
            }
            What::Transfer { from, to, command, head, .. } => {
                self.leave([from, to]);
                if command != NONE {
                    self.commands[command as usize].leave(head, row.active);
                    self.unsettled.commands.push(command);
                }
            }
            What::Reverse { of } => {
                self.leave(self.ends_of(of));
                let notes = &mut self.notes[self.rows[of as usize].notes() as usize];
                notes.rows.pop();
                notes.reverses.remove(row.op);
                self.unsettled.rows.extend_from_slice(&notes.rows);
            }
            What::Dispute { of } => {
                let notes = self.rows[self.transfer_of(of) as usize].notes();
                self.notes[notes as usize].rows.pop();
            }
            What::Assign { asset, to } => {
                self.leave([to, to]);
                self.assets[asset as usize].rows.pop();
                self.unsettled.assets.push(asset);
            }
        }
    }

    /// Switches a row off or on. Call [`Ledger::settle`] before reading. O(1), and rivals of it.
    pub fn set_active(&mut self, history: &impl History, at: u32, on: bool) {
        let row = &mut self.rows[at as usize];
        if std::mem::replace(&mut row.active, on) == on {
            return;
        }
        steps::count(1);
        match row.what {
            What::Open { account } => {
                self.accounts[account as usize].opens.set_active(history, row.op, on);
                self.unsettled.accounts.push(account);
            }
            What::Transfer { command, head, .. } => {
                if command != NONE {
                    self.commands[command as usize].count(history, head, on);
                    self.unsettled.commands.push(command);
                }
                self.unsettled.rows.push(at);
            }
            What::Reverse { of } => {
                let op = row.op;
                let notes = &mut self.notes[self.rows[of as usize].notes() as usize];
                notes.reverses.set_active(history, op, on);
                self.unsettled.rows.extend_from_slice(&notes.rows);
            }
            What::Dispute { .. } => {}
            What::Assign { asset, .. } => self.unsettled.assets.push(asset),
        }
        self.touch(at);
    }

    /// A ledger of its own that holds the known ops, of which some count. O(ops).
    #[must_use]
    pub fn at(
        &self,
        history: &impl History,
        known: &dyn Fn(OpIx) -> bool,
        counts: &dyn Fn(OpIx) -> bool,
    ) -> Self {
        let empty = |of: &Account| Account {
            owner: if matches!(of.id, AccountId::Member(_)) { of.owner } else { NONE },
            opens: First::default(),
            balance: 0,
            rows: Vec::new(),
            ..*of
        };
        let mut copy = Self {
            index: self.index.clone(),
            accounts: self.accounts.iter().map(empty).collect(),
            commands: self.commands.iter().map(|of| Command::new(of.author, of.name)).collect(),
            assets: self.assets.iter().map(|of| Title::new(of.name)).collect(),
            ..Self::default()
        };
        copy.rows.reserve_exact(self.rows.len());
        let mut places = vec![NONE; self.rows.len()];
        for (row, at) in self.rows.iter().zip(0_u32..).filter(|(row, _)| known(row.op)) {
            let place = copy.rows.len() as u32;
            let what = match row.what {
                What::Reverse { of } => What::Reverse { of: places[of as usize] },
                What::Dispute { of } => What::Dispute { of: places[of as usize] },
                What::Transfer { from, to, amount, command, head, .. } => {
                    copy.large.extend(self.large_at(at).map(|amount| (place, amount.clone())));
                    What::Transfer { from, to, amount, command, head, notes: NONE }
                }
                what => what,
            };
            // A choice of ops can have a word on an entry without the entry.
            if !matches!(what, What::Reverse { of: NONE } | What::Dispute { of: NONE }) {
                places[at as usize] = copy.push(history, row.op, row.author, what, counts(row.op));
            }
        }
        copy.touched.clear();
        copy
    }

    /// The parts that two choices of ops make read differently. O(ops).
    pub fn differing(
        &self,
        history: &impl History,
        a: &dyn Fn(OpIx) -> bool,
        b: &dyn Fn(OpIx) -> bool,
    ) -> Vec<Part> {
        let (then, mut now) = (self.at(history, &|_| true, a), self.at(history, &|_| true, b));
        for (at, row) in then.rows.iter().enumerate() {
            if *row != now.rows[at] {
                now.touch(at as u32);
            }
        }
        for (at, account) in then.accounts.iter().enumerate() {
            if account.owner != now.accounts[at].owner {
                now.touched.push(2 * at as u32);
            }
        }
        for at in 0..self.assets.len() {
            if then.holder_at(at) != now.holder_at(at) {
                now.touched.push(2 * at as u32 + 1);
            }
        }
        now.take_touched()
    }

    /// What may read differently since the last time.
    pub fn take_touched(&mut self) -> Vec<Part> {
        let mut touched = std::mem::take(&mut self.touched);
        sort(&mut touched);
        touched.dedup();
        let part = |code: u32| match code % 2 {
            0 => Part::Account(self.accounts[code as usize / 2].id),
            _ => Part::Asset(self.assets[code as usize / 2].name),
        };
        touched.into_iter().map(part).collect()
    }

    /// Notes that a row may read differently.
    pub fn touch(&mut self, at: u32) {
        match self.rows[at as usize].what {
            What::Open { account } => self.touched.push(2 * account),
            What::Assign { asset, .. } => self.touched.push(2 * asset + 1),
            _ => {
                let ends = self.ends_of(at);
                self.touched.extend(ends.map(|account| 2 * account));
            }
        }
    }

    /// All ops, in topological order.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The row of an op.
    pub fn row_of(&self, op: OpIx) -> Option<u32> {
        self.rows.binary_search_by_key(&op, |row| row.op).ok().map(|at| at as u32)
    }

    /// The row of an op that moves something, or would.
    pub fn entry_of(&self, op: OpIx) -> Option<u32> {
        let is_entry =
            |at: &u32| matches!(self.rows[*at as usize].what, What::Transfer { .. } | What::Reverse { .. });
        self.row_of(op).filter(is_entry)
    }

    /// The transfer that a row is, names, or names a reverse of; itself if it is none of those.
    pub fn transfer_of(&self, mut at: u32) -> u32 {
        while let What::Reverse { of } | What::Dispute { of } = self.rows[at as usize].what {
            at = of;
        }
        at
    }

    /// Between which accounts the transfer lies that a row is about: from and to.
    pub(super) fn ends_of(&self, at: u32) -> [u32; 2] {
        match self.rows[self.transfer_of(at) as usize].what {
            What::Transfer { from, to, .. } => [from, to],
            _ => unreachable!("it is about a transfer"),
        }
    }

    /// The amount of a row that is too large to count.
    pub(super) fn large_at(&self, at: u32) -> Option<&BigInt> {
        self.large.binary_search_by_key(&at, |(of, _)| *of).ok().map(|place| &self.large[place].1)
    }

    fn leave(&mut self, ends: [u32; 2]) {
        self.accounts[ends[0] as usize].rows.pop();
        if ends[0] != ends[1] {
            self.accounts[ends[1] as usize].rows.pop();
        }
    }

    /// Adds a row and counts it.
    fn push(&mut self, history: &impl History, op: OpIx, author: u32, what: What, active: bool) -> u32 {
        debug_assert!(self.rows.last().is_none_or(|last| last.op < op), "ops come in topological order");
        let at = self.rows.len() as u32;
        self.rows.push(Row { op, author, active: false, counts: false, what });
        let ends = match what {
            What::Open { account } => {
                self.accounts[account as usize].opens.add(op);
                None
            }
            What::Transfer { from, to, command, head, .. } => {
                if command != NONE {
                    self.commands[command as usize].enter(at, head);
                }
                Some([from, to])
            }
            What::Reverse { of } => {
                let notes = self.notes_on(of);
                notes.rows.push(at);
                notes.reverses.add(op);
                Some(self.ends_of(of))
            }
            What::Dispute { of } => {
                let of = self.transfer_of(of);
                self.notes_on(of).rows.push(at);
                None
            }
            What::Assign { asset, to } => {
                self.assets[asset as usize].rows.push(at);
                Some([to, to])
            }
        };
        if let Some([from, to]) = ends {
            self.accounts[from as usize].rows.push(at);
            if from != to {
                self.accounts[to as usize].rows.push(at);
            }
        }
        match what {
            What::Assign { asset, .. } if active && !self.unsettled.assets.contains(&asset) => {
                self.rows[at as usize].active = true;
                self.link(history, asset, at);
                self.touch(at);
            }
            _ if active => {
                self.set_active(history, at, true);
                self.settle(history);
            }
            _ => self.touch(at),
        }
        at
    }

    fn notes_on(&mut self, at: u32) -> &mut Notes {
        let count = self.notes.len() as u32;
        let What::Transfer { notes, .. } = &mut self.rows[at as usize].what else {
            unreachable!("it is a transfer")
        };
        if *notes == NONE {
            *notes = count;
            self.notes.push(Notes::default());
        }
        &mut self.notes[*notes as usize]
    }

    fn account(&mut self, id: AccountId) -> u32 {
        let next = self.accounts.len() as u32;
        let at = *self.index.entry(Part::Account(id)).or_insert(next);
        if at == next {
            let owner = if matches!(id, AccountId::Member(_)) { at } else { NONE };
            self.accounts.push(Account { id, owner, opens: First::default(), balance: 0, rows: Vec::new() });
        }
        at
    }

    fn command(&mut self, author: MemberId, name: NameId) -> u32 {
        let next = self.commands.len() as u32;
        let at = *self.index.entry(Part::Command(author, name)).or_insert(next);
        if at == next {
            self.commands.push(Command::new(author, name));
        }
        at
    }

    fn asset(&mut self, name: NameId) -> u32 {
        let next = self.assets.len() as u32;
        let at = *self.index.entry(Part::Asset(name)).or_insert(next);
        if at == next {
            self.assets.push(Title::new(name));
        }
        at
    }
}

impl Row {
    /// The place of what else was said of it.
    pub(super) fn notes(&self) -> u32 {
        if let What::Transfer { notes, .. } = self.what { notes } else { NONE }
    }
}
