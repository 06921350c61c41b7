//! A sum of signed amounts with resets: a counter, and the quantity of one item of a cart.
//!
//! An add counts while it is active and no active reset has it in its causal past; so an add that a reset did not know
//! survives it. What was added and what was taken are kept apart: a counter that only grows shows the first alone.

use super::History;
use crate::causal::OpIx;
use crate::codec::{DecodeError, Reader, Saved, Writer, saved};
use crate::steps;

/// Sums of the amounts that count. 2^32 amounts below 2^53 fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Of those above zero.
    pub added: i128,
    /// Of those below zero, as a number above zero.
    pub taken: i128,
}

impl Totals {
    /// What is left.
    pub fn sum(&self) -> i128 {
        self.added - self.taken
    }

    fn count(&mut self, amount: i64, on: bool) {
        let signed = if on { i128::from(amount) } else { -i128::from(amount) };
        if amount >= 0 { self.added += signed } else { self.taken -= signed }
    }
}

#[derive(Clone, Copy, Debug)]
struct Add {
    op: OpIx,
    amount: i64,
    active: bool,
    cancelled: bool,
}

#[derive(Clone, Copy, Debug)]
struct Reset {
    op: OpIx,
    active: bool,
}

/// The adds and resets of one sum.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    adds: Vec<Add>,
    resets: Vec<Reset>,
    totals: Totals,
    dirty: bool,
}

impl Tally {
    /// Adds an amount; the op number exceeds all before. O(1).
    pub fn add(&mut self, op: OpIx, amount: i64, active: bool) {
        debug_assert!(self.adds.last().is_none_or(|last| last.op < op), "ops come in topological order");
        steps::count(1);
        // No reset that is here can have it in its past.
        self.adds.push(Add { op, amount, active, cancelled: false });
        if active {
            self.totals.count(amount, true);
        }
    }

    /// Cancels what is in its causal past; the op number exceeds all before. O(adds), of those since the last reset if
    /// that is of the same changeset.
    pub fn reset(&mut self, history: &impl History, op: OpIx, active: bool) {
        if active && !self.dirty {
            let before = self.resets.iter().rev().find(|reset| reset.active).map(|reset| reset.op);
            cancel(&mut self.adds, &mut self.totals, history, before, op);
        }
        self.resets.push(Reset { op, active });
    }

    /// Adds to the amount of the last op, which is an add of the open batch. O(1).
    pub fn amend(&mut self, amount: i64) {
        let last = self.adds.last_mut().expect("the batch has an add");
        self.totals.count(last.amount, false);
        last.amount += amount;
        self.totals.count(last.amount, true);
    }

    /// Takes the op back: the last one, made in the batch that is open. Call [`Tally::settle`] before reading.
    pub fn retract(&mut self, op: OpIx) {
        match self.adds.pop_if(|last| last.op == op) {
            Some(add) if !add.cancelled => self.totals.count(add.amount, false),
            Some(_) => {}
            None => {
                self.resets.pop();
                self.dirty = true;
            }
        }
    }

    /// Switches an op off or on. Call [`Tally::settle`] before reading. O(log ops).
    pub fn set_active(&mut self, op: OpIx, on: bool) {
        if let Ok(at) = self.adds.binary_search_by_key(&op, |add| add.op) {
            let add = &mut self.adds[at];
            if std::mem::replace(&mut add.active, on) != on && !add.cancelled {
                self.totals.count(add.amount, on);
            }
        } else if let Ok(at) = self.resets.binary_search_by_key(&op, |reset| reset.op) {
            self.dirty |= std::mem::replace(&mut self.resets[at].active, on) != on;
        }
    }

    /// Sums anew if a reset was switched or taken back. O(adds · changesets with resets), once for any number of them.
    pub fn settle(&mut self, history: &impl History) {
        if std::mem::take(&mut self.dirty) {
            self.totals = sum(&mut self.adds, &self.resets, history);
        }
    }

    /// The sums now.
    ///
    /// # Panics
    /// In debug builds, if it was not settled.
    pub fn totals(&self) -> Totals {
        debug_assert!(!self.dirty, "resets are settled before reading");
        self.totals
    }

    /// The sums that the selected ops make, whether they are active or not. O(adds · changesets with resets).
    pub fn totals_at(&self, history: &impl History, selected: impl Fn(OpIx) -> bool) -> Totals {
        if self.resets.is_empty() {
            steps::count(self.adds.len());
            let mut totals = Totals::default();
            let chosen = self.adds.iter().filter(|add| selected(add.op));
            chosen.for_each(|add| totals.count(add.amount, true));
            return totals;
        }
        let adds = self.adds.iter().map(|add| Add { active: selected(add.op), ..*add });
        let resets = self.resets.iter().map(|reset| Reset { active: selected(reset.op), ..*reset });
        sum(&mut adds.collect::<Vec<_>>(), &resets.collect::<Vec<_>>(), history)
    }

    /// A sum of its own of the selected ops, all of them active. O(adds · changesets with resets).
    #[must_use]
    pub fn at(&self, history: &impl History, selected: impl Fn(OpIx) -> bool) -> Self {
        let adds = self.adds.iter().filter(|add| selected(add.op)).map(|add| Add { active: true, ..*add });
        let resets = self.resets.iter().filter(|reset| selected(reset.op));
        let mut adds: Vec<Add> = adds.collect();
        let resets: Vec<Reset> = resets.map(|reset| Reset { active: true, ..*reset }).collect();
        Self { totals: sum(&mut adds, &resets, history), adds, resets, dirty: false }
    }

    /// Recomputes the invariants the slow way.
    #[doc(hidden)]
    pub fn dbg_check(&self, history: &impl History) {
        assert!(self.adds.is_sorted_by_key(|add| add.op) && self.resets.is_sorted_by_key(|reset| reset.op));
        let cancelled = |add: &Add| {
            let later = self.resets.iter().filter(|reset| reset.active && reset.op > add.op);
            later.into_iter().any(|reset| overrules(history, reset.op, add.op))
        };
        if !self.dirty {
            let mut totals = Totals::default();
            for add in &self.adds {
                assert_eq!(add.cancelled, cancelled(add), "{:?}", add.op);
                if add.active && !add.cancelled {
                    totals.count(add.amount, true);
                }
            }
            assert_eq!(self.totals, totals);
        }
    }
}

fn overrules(history: &impl History, reset: OpIx, add: OpIx) -> bool {
    history.contains(history.changeset_of(reset), history.changeset_of(add))
}

/// Lets a reset take effect on the adds before it. What `before`, the active reset before it, has seen need not be looked
/// at again if the two are of one changeset.
fn cancel(adds: &mut [Add], totals: &mut Totals, history: &impl History, before: Option<OpIx>, reset: OpIx) {
    let with = before.filter(|before| history.changeset_of(*before) == history.changeset_of(reset));
    let from = with.map_or(0, |with| adds.partition_point(|add| add.op < with));
    let to = adds.partition_point(|add| add.op < reset);
    steps::count(to - from);
    for add in adds[from..to].iter_mut().filter(|add| !add.cancelled) {
        if overrules(history, reset, add.op) {
            add.cancelled = true;
            if add.active {
                totals.count(add.amount, false);
            }
        }
    }
}

fn sum(adds: &mut [Add], resets: &[Reset], history: &impl History) -> Totals {
    steps::count(adds.len());
    let mut totals = Totals::default();
    for add in adds.iter_mut() {
        add.cancelled = false;
        if add.active {
            totals.count(add.amount, true);
        }
    }
    let mut before = None;
    for reset in resets.iter().filter(|reset| reset.active) {
        cancel(adds, &mut totals, history, before, reset.op);
        before = Some(reset.op);
    }
    totals
}

impl Saved for Tally {
    fn save(&self, out: &mut Writer) {
        debug_assert!(!self.dirty, "resets are settled before saving");
        saved::save_steps(out, self.adds.iter().map(|add| add.op.0));
        for add in &self.adds {
            out.u8(u8::from(add.active) | u8::from(add.cancelled) << 1).zigzag(add.amount);
        }
        saved::save_steps(out, self.resets.iter().map(|reset| reset.op.0));
        self.resets.iter().for_each(|reset| reset.active.save(out));
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut tally = Self::default();
        for op in saved::load_rising(from)? {
            let (flags, amount) = (from.u8("flags")?, from.zigzag("amount")?);
            let (active, cancelled) = (flags & 1 != 0, flags & 2 != 0);
            if active && !cancelled {
                tally.totals.count(amount, true);
            }
            tally.adds.push(Add { op: OpIx(op), amount, active, cancelled });
        }
        for op in saved::load_rising(from)? {
            tally.resets.push(Reset { op: OpIx(op), active: bool::load(from)? });
        }
        Ok(tally)
    }
}
