//! Marking a text, and where typed text goes because of marks.
//!
//! A mark names places, so how it grows is in its ends: one that grows ends before the unit that follows it, one that
//! does not ends behind its last unit; at its start it is the other way round. The neighbour is the one in the list,
//! hidden or not: what is brought back there later was not marked.

use super::batch::{BatchOp, Mark};
use super::bound::Bound;
use super::marks::Marks;
use super::piece::NONE;
use super::piece_list::Loc;
use super::text::Text;
use super::unit_op::{UnitError, UnitOp};
use super::{Anchor, Recency};
use crate::causal::{ChangesetIx, NameId, OpIx};
use crate::event::{Expand, Value};
use std::ops::Range;

impl<const LEAF: usize, const BLOCK: usize> Text<LEAF, BLOCK> {
    /// Marks a visible range; null clears. Half pairs at its ends are widened to pairs. Call [`Text::settle`] before reading.
    ///
    /// # Errors
    /// If the range is empty or goes past the end.
    pub fn mark_range(
        &mut self,
        range: Range<u32>,
        key: NameId,
        value: Value,
        expand: Expand,
    ) -> Result<(), UnitError> {
        self.in_range(u64::from(range.start.max(range.end)))?;
        if range.is_empty() {
            return Err(UnitError::EmptyRange);
        }
        let start = if self.cuts_pair(range.start) { range.start - 1 } else { range.start };
        let end = if self.cuts_pair(range.end) { range.end + 1 } else { range.end };
        let (first, last) = (self.list.peek(start), self.list.peek(end - 1));
        let from = match expand.before {
            true => Bound::after(self.list.unit_before(first)),
            false => Bound::before(self.list.unit_at(first)),
        };
        let to = match expand.after {
            true => Bound::before(self.list.unit_after(Loc { offset: last.offset + 1, ..last })),
            false => Bound::after(self.list.unit_at(last)),
        };
        let marks = self.marks.get_or_insert_default();
        let open = (ChangesetIx::OPEN, OpIx(u32::MAX));
        let row = marks.push(&self.list, open, key, (from, to), true);
        marks.fill(row, value);
        self.batch.mark_text(row);
        Ok(())
    }

    /// Inserts before the visible unit number `pos` what shows just these marks, whatever shows around it.
    ///
    /// # Errors
    /// As [`Text::insert`] does.
    pub fn insert_marked(
        &mut self,
        history: &impl Recency,
        pos: u32,
        s: &str,
        shown: &[(NameId, Value)],
    ) -> Result<(), UnitError> {
        let before = self.len();
        let pos = self.insert_at(pos, s)?;
        let range = pos..pos + self.len() - before;
        if range.is_empty() {
            return Ok(());
        }
        let set = shown.iter().filter(|(_, value)| *value != Value::Null);
        let (mut set, mut cleared): (Vec<_>, Vec<NameId>) = (set.collect(), Vec::new());
        if let Some(marks) = &self.marks {
            for row in marks.winners_at(&self.list, Bound::before(self.units.len() - 1)) {
                let (key, value) = (marks.key(row), marks.value(row));
                match set.iter().position(|(other, _)| *other == key) {
                    Some(at) if Some(&set[at].1) == value => drop(set.swap_remove(at)),
                    Some(_) => {}
                    None => cleared.push(key),
                }
            }
        }
        let cleared = cleared.into_iter().map(|key| (key, Value::Null));
        let all: Vec<(NameId, Value)> = set.into_iter().cloned().chain(cleared).collect();
        for (key, value) in all {
            let expand = self.habit(&key);
            self.mark_range(range.clone(), key, value, expand)?;
        }
        self.settle(history);
        Ok(())
    }

    /// How marks with a key grow here: as the last one that set something, or else at their end.
    pub fn habit(&self, key: &NameId) -> Expand {
        let habit = self.marks.as_ref().and_then(|marks| marks.habit(key));
        habit.unwrap_or(Expand { before: false, after: true })
    }

    /// Makes the marks right again after ops were applied or switched, or content came. A text without marks has nothing
    /// to do.
    pub fn settle(&mut self, history: &impl Recency) {
        if let Some(marks) = &mut self.marks {
            marks.settle(&self.list, &mut self.deltas, history);
        }
    }

    /// Recomputes what marks show the slow way.
    ///
    /// # Panics
    /// If it differs.
    #[doc(hidden)]
    pub fn dbg_check_marks(&self, history: &impl Recency) {
        if let Some(marks) = &self.marks {
            marks.dbg_check(&self.list, history);
        }
    }

    /// Supplies the value of a mark. Returns whether there is such a mark and it was missing.
    pub fn fill_mark(&mut self, op: OpIx, value: &Value) -> bool {
        let Some(marks) = &mut self.marks else { return false };
        let row = marks.row_of(op).filter(|row| marks.value(*row).is_none());
        row.map(|row| marks.fill(row, value.clone())).is_some()
    }

    /// Wipes the value of a mark: from now on it is absent. What that shows is told first, so what it was is still here then.
    pub fn wipe_mark(&mut self, history: &impl Recency, op: OpIx) {
        let row = self.marks.as_ref().and_then(|marks| marks.row_of(op));
        let (Some(marks), Some(row)) = (&mut self.marks, row) else { return };
        let active = marks.row(row).active;
        marks.set_active(row, false);
        marks.settle(&self.list, &mut self.deltas, history);
        marks.forget(row);
        marks.set_active(row, active);
    }

    /// Takes back the marks made here since a point in the open batch, which has to be done before
    /// [`Text::rollback`] takes back the rest.
    ///
    /// # Panics
    /// If the batch was sealed since.
    pub fn rollback_marks(&mut self, history: &impl Recency, to: &Mark) {
        let count = self.batch.take_marks_back(to);
        if let Some(marks) = self.marks.as_mut().filter(|_| count > 0) {
            marks.retract(&self.list, &mut self.deltas, history, count);
        }
    }

    /// The values of the marks among the first `ops` ops of the open batch, in op order.
    ///
    /// # Panics
    /// If the batch has fewer ops.
    pub fn pending_values(&self, ops: usize) -> Vec<Value> {
        let value = |op: &BatchOp| match (op, &self.marks) {
            (BatchOp::Mark { row }, Some(marks)) => marks.value(*row).cloned(),
            _ => None,
        };
        self.batch.ops()[..ops].iter().filter_map(value).collect()
    }

    /// Takes a mark of others in, without its value.
    pub(super) fn apply_mark(
        &mut self,
        of: (ChangesetIx, OpIx),
        (start, end): (Anchor, Anchor),
        key: NameId,
        on: bool,
    ) {
        let ends = (Bound::of(start, &self.log), Bound::of(end, &self.log));
        self.marks.get_or_insert_default().push(&self.list, of, key, ends, on);
    }

    /// The ends and the key of a mark, as others will see them.
    pub(super) fn mark_op(&self, row: u32) -> UnitOp {
        let marks = self.marks.as_ref().expect("the batch lists it");
        let row_of = marks.row(row);
        let (start, end) = (row_of.start.to_anchor(&self.log), row_of.end.to_anchor(&self.log));
        UnitOp::Mark { start, end, key: marks.key(row) }
    }

    /// Behind which unit typed text goes that stands behind `left`, the visible unit in front of it: as close to that as
    /// it can, but outside of what ends on a hidden unit and does not grow, and inside of what begins behind one and does.
    pub(super) fn left_for_typing(&self, marks: &Marks, left: u32, next: u32) -> u32 {
        let place = |unit: u32| marks.winners_at(&self.list, Bound::after(unit));
        let is_hidden = |unit: u32, from: u32| {
            unit != NONE
                && Bound::after(unit).order(Bound::after(from), &self.list).is_gt()
                && Bound::after(unit).order(Bound::before(next), &self.list).is_lt()
        };
        let farthest = |units: &mut dyn Iterator<Item = u32>| {
            units
                .reduce(|a, b| if Bound::after(b).order(Bound::after(a), &self.list).is_gt() { b } else { a })
        };
        let mut here = left;
        loop {
            let ends = place(here).into_iter().map(|row| marks.row(row).end);
            let mut ends = ends.filter(|end| end.after && is_hidden(end.unit, here)).map(|end| end.unit);
            match farthest(&mut ends) {
                Some(unit) => here = unit,
                None => break,
            }
        }
        if next == NONE {
            return here;
        }
        // What follows and grows to the left, if nothing is left or entered by that which should not be.
        let following = marks.winners_at(&self.list, Bound::before(next));
        let starts = following.into_iter().map(|row| marks.row(row).start);
        let mut starts = starts.filter(|start| start.after && is_hidden(start.unit, here));
        let Some(unit) = farthest(&mut starts.by_ref().map(|start| start.unit)) else { return here };
        let (now, then) = (place(here), place(unit));
        let stays = now.iter().all(|row| then.contains(row));
        let grows = then.iter().all(|row| now.contains(row) || marks.row(*row).start.after);
        if stays && grows { unit } else { here }
    }
}
