//! What of a ledger counts, and what it comes to.

use super::History;
use super::ledger::{Ledger, NONE, What};
use crate::causal::OpIx;
use crate::sorted::sort;
use crate::steps;

impl Ledger {
    /// Counts anew what toggles left open. O(rows that were toggled, and those of accounts that have another owner).
    pub fn settle(&mut self, history: &impl History) {
        let unsettled = std::mem::take(&mut self.unsettled);
        let (mut rows, mut assets) = (unsettled.rows, unsettled.assets);
        for account in unsettled.accounts {
            self.accounts[account as usize].opens.settle(history);
            let first = self.accounts[account as usize].opens.first();
            let owner = first.and_then(|op| self.row_of(op)).map_or(NONE, |at| self.rows[at as usize].author);
            let of = &mut self.accounts[account as usize];
            if std::mem::replace(&mut of.owner, owner) == owner {
                continue;
            }
            steps::count(of.rows.len());
            for at in &of.rows {
                match self.rows[*at as usize].what {
                    What::Assign { asset, .. } => assets.push(asset),
                    _ => rows.push(*at),
                }
            }
        }
        for command in unsettled.commands {
            let of = &mut self.commands[command as usize];
            if of.settle(history) {
                steps::count(of.rows.len());
                rows.extend_from_slice(&of.rows);
            }
        }
        for at in rows {
            self.judge(history, at);
        }
        sort(&mut assets);
        assets.dedup();
        for asset in assets {
            self.link_anew(history, asset);
            self.touched.push(2 * asset + 1);
        }
    }

    /// Whether a row counts, and what follows for those that give it back.
    fn judge(&mut self, history: &impl History, at: u32) {
        steps::count(1);
        // One that was taken back, or a word.
        let Some(row) = self.rows.get(at as usize).cloned() else { return };
        let counts = match row.what {
            What::Transfer { .. } => row.active && self.why_not(at).is_none(),
            What::Reverse { of } => {
                self.notes[self.rows[of as usize].notes() as usize].reverses.settle(history);
                row.active && self.why_not(at).is_none()
            }
            _ => return,
        };
        if row.counts == counts {
            return;
        }
        self.flip(at, counts);
        if row.notes() != NONE {
            let notes = std::mem::take(&mut self.notes[row.notes() as usize].rows);
            notes.iter().for_each(|reverse| self.judge(history, *reverse));
            self.notes[row.notes() as usize].rows = notes;
        }
    }

    /// Moves what a row moves, or takes that back.
    pub(super) fn flip(&mut self, at: u32, counts: bool) {
        let ([from, to], is_back) = (self.ends_of(at), self.transfer_of(at) != at);
        let What::Transfer { amount, .. } = self.rows[self.transfer_of(at) as usize].what else { return };
        let amount = if counts == is_back { -amount } else { amount };
        self.accounts[from as usize].balance -= amount;
        self.accounts[to as usize].balance += amount;
        self.rows[at as usize].counts = counts;
        self.touch(at);
    }

    /// What keeps an entry from counting, apart from being off.
    pub fn why_not(&self, at: u32) -> Option<Flaw> {
        let row = &self.rows[at as usize];
        let owner = |account: u32| self.accounts[account as usize].owner;
        match row.what {
            What::Transfer { amount: 0, .. } => Some(Flaw::Large),
            What::Transfer { from, to, command, head, .. } => match (owner(from), owner(to)) {
                (NONE, _) | (_, NONE) => Some(Flaw::Closed),
                (of, _) if of != row.author => Some(Flaw::Owner),
                _ if command == NONE || self.commands[command as usize].first == Some(head) => None,
                _ => Some(Flaw::Twice),
            },
            What::Reverse { of } => {
                let [_, to] = self.ends_of(of);
                let notes = &self.notes[self.rows[of as usize].notes() as usize];
                match notes.reverses.first() {
                    _ if !self.rows[of as usize].counts => Some(Flaw::Void),
                    _ if owner(to) != row.author => Some(Flaw::Owner),
                    Some(first) if first != row.op => Some(Flaw::Twice),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Adds a row that is active to the chain of its asset. O(log links + rivals).
    pub(super) fn link(&mut self, history: &impl History, asset: u32, at: u32) {
        let row = &self.rows[at as usize];
        let What::Assign { to, .. } = row.what else { return };
        if self.accounts[to as usize].owner == NONE {
            return;
        }
        let mut title = std::mem::take(&mut self.assets[asset as usize].links);
        super::title::link(history, &mut title, row.op, |before| {
            let holder = self.receiver(before);
            self.accounts[holder as usize].owner == row.author
        });
        self.assets[asset as usize].links = title;
    }

    fn link_anew(&mut self, history: &impl History, asset: u32) {
        let rows = std::mem::take(&mut self.assets[asset as usize].rows);
        self.assets[asset as usize].links.clear();
        steps::count(rows.len());
        for at in &rows {
            if self.rows[*at as usize].active {
                self.link(history, asset, *at);
            }
        }
        self.assets[asset as usize].rows = rows;
    }

    /// The account that an assign gives to.
    pub(super) fn receiver(&self, op: OpIx) -> u32 {
        match self.row_of(op).map(|at| self.rows[at as usize].what) {
            Some(What::Assign { to, .. }) => to,
            _ => unreachable!("links are assigns"),
        }
    }

    pub(super) fn holder_at(&self, asset: usize) -> Option<u32> {
        self.assets[asset].last().map(|op| self.receiver(op))
    }
}

/// Why an entry that is active does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Its amount is beyond what is counted.
    Large,
    /// One of the accounts was opened by nobody.
    Closed,
    /// It is not by the owner of the account that gives.
    Owner,
    /// Another one for the same command, or back from the same transfer, counts.
    Twice,
    /// What it gives back does not count.
    Void,
}
