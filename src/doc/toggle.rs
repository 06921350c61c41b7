//! Switching ops off and on. An op counts while nobody hides it and no revoke that counts names it. Reasons are counted
//! here, in one place; the data types hear of transitions only.

use super::fold::Place;
use super::{Fold, ObjectIx};
use crate::causal::{CausalGraph, OpIx};
use crate::codec::{DecodeError, Reader, Saved, Writer, saved};
use crate::crdt::Bits;
use crate::sorted::sort;
use crate::steps;
use foldhash::HashMap;
use std::collections::BinaryHeap;
use std::ops::Range;

/// Why ops do not count.
#[derive(Clone, Debug, Default)]
pub(super) struct Reasons {
    hidden: Bits,
    /// How many revokes that count name an op.
    revoked: HashMap<OpIx, u32>,
    inactive: Bits,
}

impl Reasons {
    /// An op that came in is hidden from the start.
    pub fn hide(&mut self, op: OpIx) {
        self.hidden.insert(op.0);
        self.inactive.insert(op.0);
    }

    /// The ops that do not count.
    pub fn inactive(&self) -> &Bits {
        &self.inactive
    }

    /// A revoke of an op came into effect or went out of it.
    fn count(&mut self, op: OpIx, counts: bool) {
        if counts {
            *self.revoked.entry(op).or_default() += 1;
        } else if let Some(count) = self.revoked.get_mut(&op) {
            *count -= 1;
            if *count == 0 {
                self.revoked.remove(&op);
            }
        }
    }

    /// Brings the list up to date; whether the op counts now, if that is new.
    fn transition(&mut self, op: OpIx) -> Option<bool> {
        let on = !self.hidden.get(op.0) && !self.revoked.contains_key(&op);
        let changed = if on { self.inactive.take(op.0) } else { self.inactive.insert(op.0) };
        changed.then_some(on)
    }
}

impl Fold {
    /// Hides ops or shows them again: the one door of exclusion, ban and cut. Toggling an op to what it is does nothing.
    /// O(runs of the ops) for text; slots that were touched are settled once, in O(their writes).
    pub fn set_active(&mut self, graph: &CausalGraph, toggles: impl IntoIterator<Item = (OpIx, bool)>) {
        let mut ops = Vec::new();
        for (op, on) in toggles {
            if if on { self.reasons.hidden.take(op.0) } else { self.reasons.hidden.insert(op.0) } {
                ops.push(op);
            }
        }
        self.switch(graph, ops.clone());
        // What was taken back is off for another reason now, and entries say for which.
        for op in ops {
            if !self.is_active(op) && self.is_entry(op) {
                self.touch_entry(op);
            }
        }
    }

    /// What [`Fold::set_active`] would do: the ops that would begin to count or cease to, and all that would count then.
    /// O(toggled ops, and those that toggled revokes name, + ops / 64).
    pub fn if_active(&self, toggles: &[(OpIx, bool)]) -> (Vec<OpIx>, Bits) {
        let mut counting = self.counting();
        let shown: HashMap<OpIx, bool> = toggles.iter().copied().collect();
        let mut revoked: HashMap<OpIx, u32> = HashMap::default();
        let mut switched = Vec::new();
        // In the order of `switch`: what bears on an op is settled before it.
        let mut ops: BinaryHeap<OpIx> = shown.keys().copied().collect();
        while let Some(op) = ops.pop() {
            steps::count(1);
            let now = self.reasons.revoked.get(&op).copied().unwrap_or(0);
            let is_shown = shown.get(&op).copied().unwrap_or(!self.reasons.hidden.get(op.0));
            let on = is_shown && revoked.get(&op).copied().unwrap_or(now) == 0;
            if counting.get(op.0) == on {
                continue;
            }
            counting.set(op.0..op.0 + 1, on);
            switched.push(op);
            for target in self.revokes.get(&op).into_iter().flatten().cloned().flatten().map(OpIx) {
                let now = || self.reasons.revoked.get(&target).copied().unwrap_or(0);
                let count = revoked.entry(target).or_insert_with(now);
                if on {
                    *count += 1
                } else {
                    *count -= 1
                }
                ops.push(target);
            }
        }
        (switched, counting)
    }

    /// The ops that do not count for another reason than a revoke.
    pub fn hidden(&self) -> &Bits {
        &self.reasons.hidden
    }

    /// The ops of a range that are hidden, ascending.
    pub fn hidden_in(&self, ops: Range<u32>) -> impl Iterator<Item = OpIx> + '_ {
        self.reasons.hidden.iter_in(ops).map(OpIx)
    }

    /// Whether an op does something that can be switched off. Words about others' ops do not.
    pub fn has_effect(&self, op: OpIx) -> bool {
        self.places[op.0 as usize] != Place::Nowhere
    }

    /// Whether one of some revokes names an op. O(revokes).
    pub fn is_revoked(&self, op: OpIx, counts: impl Fn(OpIx) -> bool) -> bool {
        let names = |targets: &[Range<u32>]| targets.iter().any(|range| range.contains(&op.0));
        self.revokes.iter().any(|(revoke, targets)| names(targets) && counts(*revoke))
    }

    /// Whether an op counts.
    pub fn is_active(&self, op: OpIx) -> bool {
        !self.reasons.inactive.get(op.0)
    }

    /// Revokes came into effect, or one of the open batch is taken back.
    pub(super) fn count_revoke(&mut self, graph: &CausalGraph, targets: &[Range<u32>], counts: bool) {
        let ops: Vec<OpIx> = targets.iter().cloned().flatten().map(OpIx).collect();
        ops.iter().for_each(|op| self.reasons.count(*op, counts));
        self.switch(graph, ops);
    }

    /// Passes transitions on, to the objects and to what revokes name. A revoke names earlier ops only: with the last
    /// ones first, each is looked at when all that bears on it is settled.
    fn switch(&mut self, graph: &CausalGraph, ops: Vec<OpIx>) {
        let is_revoke = |fold: &Self, op: &OpIx| fold.places[op.0 as usize] == Place::Revoke;
        let (revokes, mut ops): (Vec<OpIx>, Vec<OpIx>) = ops.into_iter().partition(|op| is_revoke(self, op));
        let mut revokes = BinaryHeap::from(revokes);
        while let Some(revoke) = revokes.pop() {
            let Some(on) = self.reasons.transition(revoke) else { continue };
            for op in self.revokes[&revoke].iter().cloned().flatten().map(OpIx) {
                self.reasons.count(op, on);
                if is_revoke(self, &op) { revokes.push(op) } else { ops.push(op) }
            }
        }
        let past = self.timeline.over(graph);
        let mut objects: Vec<ObjectIx> = Vec::new();
        for op in ops {
            let Some(on) = self.reasons.transition(op) else { continue };
            match self.places[op.0 as usize] {
                Place::Object { object, at } => {
                    self.objects[object.0 as usize].set_active(&past, at, op, on);
                    if objects.last() != Some(&object) {
                        objects.push(object);
                    }
                }
                Place::Event => self.events.set_active(&past, op, on),
                Place::Revoke | Place::Nowhere => {}
            }
        }
        sort(&mut objects);
        objects.dedup();
        self.events.settle(&past);
        for object in &objects {
            self.objects[object.0 as usize].settle(&past);
        }
        objects.into_iter().for_each(|object| self.list(object));
    }

    /// Counts the reasons the slow way.
    pub(super) fn dbg_reasons(&self) {
        let mut off = self.reasons.hidden.clone();
        let open = self.batch.iter().flat_map(|batch| batch.revokes());
        open.for_each(|targets| off.extend(targets.iter().cloned().flatten()));
        for (revoke, targets) in self.revokes.iter().rev() {
            if !off.get(revoke.0) {
                off.extend(targets.iter().cloned().flatten());
            }
        }
        assert_eq!(off, self.reasons.inactive);
    }
}

impl Reasons {
    pub fn save(&self, out: &mut Writer) {
        saved::save_steps(out, self.hidden.iter().collect::<Vec<_>>());
        let mut revoked: Vec<(u32, u32)> = self.revoked.iter().map(|(op, count)| (op.0, *count)).collect();
        revoked.sort_unstable();
        saved::save_steps(out, revoked.iter().map(|(op, _)| *op));
        revoked.iter().for_each(|(_, count)| count.save(out));
    }

    /// Those of the first `ops` ops.
    pub fn load(from: &mut Reader<'_>, ops: u32) -> Result<Self, DecodeError> {
        let hidden = saved::load_rising(from)?;
        let named = saved::load_rising(from)?;
        let known = [&hidden, &named].iter().all(|rising| rising.last().is_none_or(|op| *op < ops));
        saved::check(known, from, "ops", "they are numbered")?;
        let mut revoked = HashMap::default();
        for op in &named {
            let count = u32::load(from)?;
            saved::check(count > 0, from, "revoked", "whatever is counted has a reason")?;
            revoked.insert(OpIx(*op), count);
        }
        let inactive = hidden.iter().chain(&named).copied().collect();
        Ok(Self { hidden: hidden.into_iter().collect(), revoked, inactive })
    }
}
