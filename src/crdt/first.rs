//! Rival ops of which one counts: the causally first of the active ones; of concurrent ones that of the changeset with the
//! smallest id. The mirror of [`Register`](super::Register), where the last one counts.

use super::History;
use crate::causal::OpIx;
use crate::codec::{DecodeError, Reader, Saved, Writer, saved};
use crate::steps;

/// The rivals.
#[derive(Clone, Debug, Default)]
pub(super) struct First {
    /// By op, ascending: whether it is active.
    claims: Vec<(OpIx, bool)>,
    /// The active ones that have no other active one in their past, the one that counts first.
    firsts: Vec<OpIx>,
    /// One of those was switched off: the others have to be looked at again.
    dirty: bool,
}

impl First {
    /// Adds a claim that is off. O(log claims), where it is the last one.
    pub fn add(&mut self, op: OpIx) {
        if let Err(at) = self.find(op) {
            self.claims.insert(at, (op, false));
        }
    }

    /// Forgets a claim. Call [`First::settle`] before reading.
    pub fn remove(&mut self, op: OpIx) {
        if let Ok(at) = self.find(op) {
            self.claims.remove(at);
            self.dirty = !self.claims.is_empty();
            self.firsts.retain(|first| *first != op);
        }
    }

    /// Switches a claim on or off. Call [`First::settle`] before reading. O(log claims + firsts).
    pub fn set_active(&mut self, history: &impl History, op: OpIx, on: bool) {
        let Ok(at) = self.find(op) else { return };
        if std::mem::replace(&mut self.claims[at].1, on) == on || self.dirty {
            return;
        }
        if on { self.raise(history, op) } else { self.dirty = self.firsts.contains(&op) }
    }

    /// Finds the first again if a toggle made that necessary. O(claims · firsts), once for any number of toggles.
    pub fn settle(&mut self, history: &impl History) {
        if std::mem::take(&mut self.dirty) {
            self.firsts.clear();
            let active: Vec<OpIx> = self.active().collect();
            active.into_iter().for_each(|op| self.raise(history, op));
        }
    }

    /// The one that counts.
    ///
    /// # Panics
    /// In debug builds, if toggles were not settled.
    pub fn first(&self) -> Option<OpIx> {
        debug_assert!(!self.dirty, "toggles are settled before reading");
        self.firsts.first().copied()
    }

    /// The active ones, oldest first.
    pub fn active(&self) -> impl Iterator<Item = OpIx> + '_ {
        self.claims.iter().filter(|(_, active)| *active).map(|(op, _)| *op)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.claims.len()
    }

    fn find(&self, op: OpIx) -> Result<usize, usize> {
        match self.claims.last() {
            Some((last, _)) if *last < op => Err(self.claims.len()),
            _ => self.claims.binary_search_by_key(&op, |(op, _)| *op),
        }
    }

    fn raise(&mut self, history: &impl History, new: OpIx) {
        steps::count(1 + self.firsts.len());
        if self.firsts.iter().any(|first| *first < new && knows(history, new, *first)) {
            return;
        }
        self.firsts.retain(|first| !(new < *first && knows(history, *first, new)));
        insert(history, &mut self.firsts, new);
    }
}

/// Whether one of two ops, the later one in the order of the numbers, has the other in its past.
pub(super) fn knows(history: &impl History, later: OpIx, earlier: OpIx) -> bool {
    history.contains(history.changeset_of(later), history.changeset_of(earlier))
}

/// Puts an op among concurrent ones, by changeset id.
pub(super) fn insert(history: &impl History, firsts: &mut Vec<OpIx>, new: OpIx) -> usize {
    let changeset = history.changeset_of(new);
    let at = firsts.partition_point(|op| history.by_id(history.changeset_of(*op), changeset).is_lt());
    firsts.insert(at, new);
    at
}

impl Saved for First {
    fn save(&self, out: &mut Writer) {
        debug_assert!(!self.dirty, "toggles are settled before saving");
        saved::save_steps(out, self.claims.iter().map(|(op, _)| op.0));
        self.claims.iter().for_each(|(_, active)| active.save(out));
        saved::save_steps(out, self.firsts.iter().map(|op| op.0));
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let ops = saved::load_rising(from)?;
        let claim = |op| Ok((OpIx(op), bool::load(from)?));
        let claims = ops.into_iter().map(claim).collect::<Result<_, DecodeError>>()?;
        let loaded =
            Self { claims, firsts: saved::load_steps(from)?.into_iter().map(OpIx).collect(), dirty: false };
        let known = |op: &OpIx| loaded.find(*op).is_ok_and(|at| loaded.claims[at].1);
        saved::check(loaded.firsts.iter().all(known), from, "claims", "the first are active")?;
        Ok(loaded)
    }
}
