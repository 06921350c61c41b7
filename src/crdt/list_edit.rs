//! Editing a list here: by index, into the open batch. What holds for texts holds here (see `text_edit`): the ops of the
//! batch are adjacent in exactly the state they were made against.

use super::Recency;
use super::batch::{BatchOp, Mark, OP_SIZE_MAX};
use super::list::List;
use super::piece::{NONE, Piece};
use super::piece_list::Loc;
use super::unit_log::Span;
use super::unit_op::{UNITS_MAX, UnitError, UnitOp};
use crate::causal::{ChangesetIx, OpIx};
use crate::codec::Writer;
use crate::event::Value;

impl<const LEAF: usize, const BLOCK: usize> List<LEAF, BLOCK> {
    /// Inserts before the element at `index`.
    ///
    /// # Errors
    /// If `index` is past the end, or the list would be too long.
    pub fn insert(&mut self, index: u32, values: Vec<Value>) -> Result<(), UnitError> {
        self.in_range(u64::from(index))?;
        let first = self.list.units();
        if values.len() > (UNITS_MAX - first) as usize {
            return Err(UnitError::Full);
        }
        let len = values.len() as u32;
        if len == 0 {
            return Ok(());
        }
        let (gap, left) = self.gap_before(index);
        let right = self.list.unit_after(gap);
        self.list.place(gap, Piece { first, len, left, right, hide: 0 });
        self.batch_insert(&values, first, left, right);
        values.into_iter().for_each(|value| self.cells.push_value(value));
        self.deltas.insert(index, first, len, true);
        Ok(())
    }

    /// Notes an insert, cut into ops that fit into a changeset.
    fn batch_insert(&mut self, values: &[Value], first: u32, mut left: u32, right: u32) {
        let (mut span, mut size) = (Span { first, len: 0 }, 0);
        let mut out = Writer::new();
        for value in values {
            let before = out.len();
            value.encode(&mut out);
            let bytes = u32::try_from(out.len() - before).unwrap_or(OP_SIZE_MAX).min(OP_SIZE_MAX);
            if span.len > 0 && size + bytes > OP_SIZE_MAX {
                self.batch.insert(span, left, right, size);
                (left, size) = (span.end() - 1, 0);
                span = Span { first: span.end(), len: 0 };
            }
            (span.len, size) = (span.len + 1, size + bytes);
        }
        self.batch.insert(span, left, right, size);
    }

    /// Deletes `len` elements from `index` on.
    ///
    /// # Errors
    /// If the range goes past the end.
    pub fn delete(&mut self, index: u32, len: u32) -> Result<(), UnitError> {
        self.in_range(u64::from(index) + u64::from(len))?;
        if len == 0 {
            return Ok(());
        }
        let mut goes_on = self.batch.delete_goes_on(index, len);
        self.deltas.remove(index, len, true);
        let mut left = len;
        while left > 0 {
            let at = self.list.seek(index);
            let run = *self.list.piece(at);
            let first = run.first + at.offset;
            let len = left.min(run.len - at.offset);
            let elements = match self.cells.is_slot(first) {
                true => Span { first: self.cells.element(first), len: 1 },
                false => {
                    let end = (first..first + len).find(|unit| self.cells.is_slot(*unit));
                    Span { first, len: end.unwrap_or(first + len) - first }
                }
            };
            left -= elements.len;
            self.list.bump(at, elements.len, 1);
            let mut first = elements.first;
            for cut in self.log.unit_spans(elements) {
                self.batch.delete(Span { first, len: cut.len }, goes_on);
                (first, goes_on) = (first + cut.len, true);
            }
        }
        self.batch.deleted_at(index);
        Ok(())
    }

    /// Moves the element at `from` so that it is the one at `to`. `op` is the number that the move gets when it is sealed:
    /// of all ops, the next. Says whether there was anything to do.
    ///
    /// # Errors
    /// If one of them is not the index of an element, or there are too many units.
    pub fn relocate(
        &mut self,
        history: &impl Recency,
        op: OpIx,
        from: u32,
        to: u32,
    ) -> Result<bool, UnitError> {
        self.in_range(u64::from(from.max(to)) + 1)?;
        if from == to {
            return Ok(false);
        }
        let slot = self.list.units();
        if slot >= UNITS_MAX {
            return Err(UnitError::Full);
        }
        let at = self.list.seek(from);
        let element = self.cells.element(self.list.piece(at).first + at.offset);
        let (gap, left) = self.gap_before(if to < from { to } else { to + 1 });
        let right = self.list.unit_after(gap);
        self.list.place(gap, Piece { first: slot, len: 1, left, right, hide: 1 });
        self.cells.push_slot(element);
        self.moves.add(history, element, op, slot, true);
        self.settle_moves(history, true);
        self.batch.relocate(element, left, right);
        Ok(true)
    }

    /// The gap behind the element before an index, and that one's unit.
    fn gap_before(&mut self, index: u32) -> (Loc, u32) {
        match index.checked_sub(1) {
            None => (self.list.gap_after(NONE), NONE),
            Some(before) => {
                let at = self.list.seek(before);
                (Loc { offset: at.offset + 1, ..at }, self.list.piece(at).first + at.offset)
            }
        }
    }

    /// The point to which [`Self::rollback`] returns; good until the next seal.
    pub fn mark(&self) -> Mark {
        self.batch.mark(self.list.units())
    }

    /// Takes back all edits made here since the mark.
    ///
    /// # Panics
    /// If the batch was sealed since.
    pub fn rollback(&mut self, history: &impl Recency, to: Mark) {
        self.batch.moved_since(&to).rev().for_each(|element| self.moves.retract(element));
        self.settle_moves(history, true);
        for elements in self.batch.rollback(&to) {
            self.bump_elements(elements, -1, true);
        }
        let deltas = &mut self.deltas;
        self.list.remove_from(to.units, |pos, len| deltas.remove(pos, len, true));
        self.deltas.settle(|out, units| self.cells.copy(out, units));
        self.cells.truncate(to.units);
    }

    /// The ops of the open batch; their own units are of `ChangesetIx::OPEN`.
    pub fn pending_ops(&self) -> Vec<UnitOp> {
        self.batch.to_ops(&self.log, |_| unreachable!("a list marks nothing"))
    }

    /// How many ops the open batch has.
    pub fn pending_len(&self) -> usize {
        self.batch.len()
    }

    /// Whether there are no edits to seal.
    pub fn is_sealed(&self) -> bool {
        self.batch.is_empty()
    }

    /// What the first `ops` ops of the open batch insert, in op order.
    ///
    /// # Panics
    /// If the batch has fewer ops.
    pub fn pending_values(&self, ops: usize) -> impl Iterator<Item = &Value> + '_ {
        let first = self.log.units();
        self.cells.brought(first..first + self.batch.units_of_first(ops))
    }

    /// The first ops of the open batch became those of a changeset; any others stay open, to be sealed next.
    ///
    /// # Panics
    /// If the batch has fewer ops, or changeset and ops are not later than all before.
    pub fn seal(&mut self, changeset: ChangesetIx, ops: &[OpIx]) {
        if self.batch.units_of_first(ops.len()) > 0 {
            self.log.begin(changeset, false);
        }
        let log = &mut self.log;
        self.batch.take(ops.len(), |at, op, spans| match op {
            BatchOp::Insert { span, .. } => log.push_insert(ops[at], span.len, true),
            BatchOp::Delete { .. } => log.push_delete(ops[at], spans.iter().copied(), true),
            BatchOp::Move { .. } => log.push_move(ops[at], true),
            BatchOp::Mark { .. } => unreachable!("a list marks nothing"),
        });
    }
}
