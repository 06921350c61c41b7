//! Transactions of one member for one command, of which one counts: the first of those that have an active op of the kind
//! that is looked at. Whoever was not told that a command had been carried out says it again, and it counts once.
//!
//! Invariant: a transaction is there while it has rows, and is a claim that is active while one of them is.

use super::History;
use super::first::First;
use crate::causal::{MemberId, NameId, OpIx};

/// The transactions, by their first ops.
#[derive(Clone, Debug)]
pub(super) struct Command {
    pub author: MemberId,
    pub name: NameId,
    /// Places of all ops that are looked at.
    pub rows: Vec<u32>,
    /// Of each transaction how many ops it has, and how many active ones.
    runs: Vec<(OpIx, u32, u32)>,
    pub firsts: First,
    /// The transaction that counts.
    pub first: Option<OpIx>,
}

impl Command {
    pub fn new(author: MemberId, name: NameId) -> Self {
        let (rows, runs) = (Vec::new(), Vec::new());
        Self { author, name, rows, runs, firsts: First::default(), first: None }
    }

    /// One that was saved, without its rows.
    pub fn saved(author: MemberId, name: NameId, firsts: First) -> Self {
        Self { first: firsts.first(), firsts, ..Self::new(author, name) }
    }

    /// Adds a row, which is off.
    pub fn enter(&mut self, at: u32, head: OpIx) {
        self.enter_saved(at, head, false);
        self.firsts.add(head);
    }

    /// Adds a row whose transaction was saved.
    pub fn enter_saved(&mut self, at: u32, head: OpIx, active: bool) {
        self.rows.push(at);
        let active = u32::from(active);
        match self.runs.binary_search_by_key(&head, |run| run.0) {
            Ok(run) => {
                let run = &mut self.runs[run];
                (run.1, run.2) = (run.1 + 1, run.2 + active);
            }
            Err(run) => self.runs.insert(run, (head, 1, active)),
        }
    }

    /// Takes the last row back. Call [`Command::settle`] before reading.
    pub fn leave(&mut self, head: OpIx, was_active: bool) {
        self.rows.pop();
        let Ok(at) = self.runs.binary_search_by_key(&head, |run| run.0) else { return };
        let run = &mut self.runs[at];
        (run.1, run.2) = (run.1 - 1, run.2 - u32::from(was_active));
        if run.1 == 0 {
            self.runs.remove(at);
            self.firsts.remove(head);
        }
    }

    /// One of the rows of a transaction was switched on or off. Call [`Command::settle`] before reading.
    pub fn count(&mut self, history: &impl History, head: OpIx, on: bool) {
        let Ok(at) = self.runs.binary_search_by_key(&head, |run| run.0) else { return };
        let active = &mut self.runs[at].2;
        *active = if on { *active + 1 } else { *active - 1 };
        let is_on = *active > 0;
        self.firsts.set_active(history, head, is_on);
    }

    /// Finds the transaction that counts; whether it is another one than before.
    pub fn settle(&mut self, history: &impl History) -> bool {
        self.firsts.settle(history);
        let first = self.firsts.first();
        std::mem::replace(&mut self.first, first) != first
    }
}
