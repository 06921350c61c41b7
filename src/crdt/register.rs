//! A multi-value register with one winner: the causally maximal active writes, the newest of them first.
//!
//! Winner = greatest (HLC, changeset id, index) *among the maximal ones*; a pairwise "causal, else newest" rule would be
//! cyclic. The register knows writes by op number only; what was written is kept by whoever owns the register.
//!
//! Invariant: `writes` are in topological order (op numbers rise), so a write can only be overwritten by a later one.

use super::Recency;
use crate::causal::OpIx;
use crate::codec::{DecodeError, Reader, Saved, Writer, saved};
use crate::sorted::sort_by;
use crate::steps;
use std::ops::Deref;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Write {
    op: OpIx,
    deletes: bool,
    active: bool,
}

/// A causally maximal active write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Winner {
    /// The op that wrote it.
    pub op: OpIx,
    /// Whether it is a deletion.
    pub deletes: bool,
}

/// Those of one key: nearly always one, which then stands in the register itself.
#[derive(Clone, Debug)]
enum Winners {
    One(Winner),
    /// Or none.
    Several(Vec<Winner>),
}

impl Default for Winners {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl From<Vec<Winner>> for Winners {
    fn from(winners: Vec<Winner>) -> Self {
        if let [only] = *winners { Self::One(only) } else { Self::Several(winners) }
    }
}

impl Deref for Winners {
    type Target = [Winner];

    fn deref(&self) -> &[Winner] {
        match self {
            Self::One(only) => std::slice::from_ref(only),
            Self::Several(winners) => winners,
        }
    }
}

/// The writes to one key.
#[derive(Clone, Debug, Default)]
pub struct Register {
    writes: Vec<Write>,
    winners: Winners,
    /// A winner was switched off: the others have to be looked at again.
    dirty: bool,
}

impl Register {
    /// Adds a write whose op number exceeds all before. O(winners).
    pub fn apply(&mut self, history: &impl Recency, op: OpIx, deletes: bool, active: bool) {
        debug_assert!(self.writes.last().is_none_or(|last| last.op < op), "writes come in topological order");
        self.writes.push(Write { op, deletes, active });
        if active && !self.dirty {
            self.raise(history, Winner { op, deletes });
        }
    }

    /// Takes the last write back: it was made in the batch that is open, and its transaction was given up. The winners are
    /// right again after [`Register::settle`].
    pub fn retract(&mut self) {
        self.writes.pop();
        self.dirty = true;
    }

    /// Switches a write on or off; says whether that can have changed the winners. O(log writes + winners); the winners
    /// are right again after [`Register::settle`].
    pub fn set_active(&mut self, history: &impl Recency, op: OpIx, on: bool) -> bool {
        let Ok(at) = self.writes.binary_search_by_key(&op, |write| write.op) else {
            return false;
        };
        if std::mem::replace(&mut self.writes[at].active, on) == on {
            return false;
        }
        if self.dirty {
            return true;
        }
        if on {
            self.raise(history, Winner { op, deletes: self.writes[at].deletes })
        } else {
            self.dirty = self.winners.iter().any(|winner| winner.op == op);
            self.dirty
        }
    }

    /// Finds the winners again if a toggle made that necessary. O(writes · winners), once for any number of toggles.
    pub fn settle(&mut self, history: &impl Recency) {
        if std::mem::take(&mut self.dirty) {
            self.winners = maximal(history, self.writes.iter().filter(|write| write.active)).into();
        }
    }

    /// The maximal active writes, the winner first.
    ///
    /// # Panics
    /// In debug builds, if toggles were not settled.
    pub fn winners(&self) -> &[Winner] {
        debug_assert!(!self.dirty, "toggles are settled before reading");
        &self.winners
    }

    /// Whether other writes may win among the ops of a selection than now. O(writes).
    pub fn has_others(&self, selected: impl Fn(OpIx) -> bool) -> bool {
        let wins = |op: OpIx| self.winners.iter().any(|winner| winner.op == op);
        self.writes.iter().any(|write| match (write.active, selected(write.op)) {
            (false, true) => true,
            (true, false) => wins(write.op),
            _ => false,
        })
    }

    /// The maximal writes among the ops of a selection, the winner first, whether they are active or not. O(writes · winners).
    pub fn winners_at(&self, history: &impl Recency, selected: impl Fn(OpIx) -> bool) -> Vec<Winner> {
        maximal(history, self.writes.iter().filter(|write| selected(write.op)))
    }

    /// A register of its own that holds the writes of a selection, of which some are active. O(writes · winners).
    #[must_use]
    pub fn at(
        &self,
        history: &impl Recency,
        selected: impl Fn(OpIx) -> bool,
        active: impl Fn(OpIx) -> bool,
    ) -> Self {
        let chosen = self.writes.iter().filter(|write| selected(write.op));
        let writes: Vec<Write> = chosen.map(|write| Write { active: active(write.op), ..*write }).collect();
        let winners = maximal(history, writes.iter().filter(|write| write.active)).into();
        Self { winners, writes, dirty: false }
    }

    /// Every write, oldest first: (op, deletes, active).
    pub fn writes(&self) -> impl ExactSizeIterator<Item = (OpIx, bool, bool)> + DoubleEndedIterator + '_ {
        self.writes.iter().map(|write| (write.op, write.deletes, write.active))
    }

    /// Recomputes the invariants the slow way.
    #[doc(hidden)]
    pub fn dbg_check(&self, history: &impl Recency) {
        assert!(self.writes.is_sorted_by_key(|write| write.op));
        if !self.dirty {
            assert_eq!(*self.winners, *maximal(history, self.writes.iter().filter(|write| write.active)));
        }
    }

    /// Lets an active write compete with the winners; says whether it became one.
    fn raise(&mut self, history: &impl Recency, new: Winner) -> bool {
        steps::count(1 + self.winners.len());
        let replaces = |winner: &Winner| winner.op < new.op && overwrites(history, new.op, winner.op);
        if self.winners.iter().all(replaces) {
            self.winners = Winners::One(new);
            return true;
        }
        if self.winners.iter().any(|winner| new.op < winner.op && overwrites(history, winner.op, new.op)) {
            return false;
        }
        let mut winners: Vec<Winner> =
            self.winners.iter().copied().filter(|winner| !replaces(winner)).collect();
        let at = winners.partition_point(|winner| history.newer(winner.op, new.op).is_gt());
        winners.insert(at, new);
        self.winners = winners.into();
        true
    }
}

fn overwrites(history: &impl Recency, later: OpIx, earlier: OpIx) -> bool {
    history.contains(history.changeset_of(later), history.changeset_of(earlier))
}

fn maximal<'a>(history: &impl Recency, writes: impl DoubleEndedIterator<Item = &'a Write>) -> Vec<Winner> {
    let mut found: Vec<Winner> = Vec::new();
    for write in writes.rev() {
        steps::count(1);
        if !found.iter().any(|winner| overwrites(history, winner.op, write.op)) {
            found.push(Winner { op: write.op, deletes: write.deletes });
        }
    }
    if found.len() > 1 {
        sort_by(&mut found, |a, b| history.newer(b.op, a.op));
    }
    found
}

impl Saved for Register {
    fn save(&self, out: &mut Writer) {
        debug_assert!(!self.dirty, "toggles are settled before saving");
        saved::save_steps(out, self.writes.iter().map(|write| write.op.0));
        for write in &self.writes {
            out.u8(u8::from(write.deletes) | u8::from(write.active) << 1);
        }
        saved::save_steps(out, self.winners.iter().map(|winner| self.place(winner.op)));
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let ops = saved::load_rising(from)?;
        let flags = from.raw("flags", ops.len())?;
        let write =
            |(op, flags): (u32, &u8)| Write { op: OpIx(op), deletes: flags & 1 != 0, active: flags & 2 != 0 };
        let writes: Vec<Write> = ops.into_iter().zip(flags).map(write).collect();
        let winners = saved::load_steps(from)?;
        let known = winners.iter().all(|place| writes.get(*place as usize).is_some_and(|write| write.active));
        saved::check(known, from, "register", "winners are active writes")?;
        let winner = |place: u32| {
            let Write { op, deletes, .. } = writes[place as usize];
            Winner { op, deletes }
        };
        let winners: Vec<Winner> = winners.into_iter().map(winner).collect();
        Ok(Self { winners: winners.into(), writes, dirty: false })
    }
}

impl Register {
    fn place(&self, op: OpIx) -> u32 {
        self.writes.partition_point(|write| write.op < op) as u32
    }
}
