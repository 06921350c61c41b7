//! Editing a text here: by visible position, into the open batch.
//!
//! Everything since the last seal is in the batch and nothing arrives meanwhile, so the batch's ops are adjacent in
//! exactly the state they were made against. Characters of two units are never cut: an insert goes before one, a
//! delete takes all of it.

use super::batch::{BatchOp, Mark, OP_SIZE_MAX};
use super::piece::{NONE, Piece};
use super::piece_list::Loc;
use super::text::Text;
use super::unit_log::Span;
use super::unit_op::{UNITS_MAX, UnitError, UnitOp};
use super::units::{Units, utf16_len};
use crate::causal::{ChangesetIx, OpIx};

impl<const LEAF: usize, const BLOCK: usize> Text<LEAF, BLOCK> {
    /// Inserts before the visible unit number `pos`.
    ///
    /// # Errors
    /// If `pos` is past the end, or the text would be too long.
    pub fn insert(&mut self, pos: u32, s: &str) -> Result<(), UnitError> {
        self.insert_at(pos, s).map(drop)
    }

    /// The same; says where it went.
    pub(super) fn insert_at(&mut self, pos: u32, s: &str) -> Result<u32, UnitError> {
        self.in_range(u64::from(pos))?;
        if s.is_empty() {
            return Ok(pos);
        }
        let first = self.units.len();
        let room = (UNITS_MAX - first) as usize;
        if s.len() > room && utf16_len(s) > room {
            return Err(UnitError::Full);
        }
        let pos = if self.cuts_pair(pos) { pos - 1 } else { pos };
        let (mut gap, mut left) = match pos.checked_sub(1) {
            None => (self.list.gap_after(NONE), NONE),
            Some(before) => {
                let at = self.list.seek(before);
                (Loc { offset: at.offset + 1, ..at }, self.list.piece(at).first + at.offset)
            }
        };
        let mut right = self.list.unit_after(gap);
        if let Some(marks) = self.marks.as_ref().filter(|_| self.list.is_hidden(right)) {
            let next = if pos < self.len() { self.list.unit_at(self.list.peek(pos)) } else { NONE };
            left = self.left_for_typing(marks, left, next);
            gap = self.list.gap_after(left);
            right = self.list.unit_after(gap);
        }
        self.units.push_str(s);
        let len = self.units.len() - first;
        self.list.place(gap, Piece { first, len, left, right, hide: 0 });
        self.show((pos, first, len), true, Some(left != NONE && left + 1 == first));
        self.batch_insert(Span { first, len }, left, right);
        Ok(pos)
    }

    /// Notes an insert, cut into ops that fit into a changeset.
    fn batch_insert(&mut self, span: Span, mut left: u32, right: u32) {
        let mut first = span.first;
        while first < span.end() {
            let mut end = span.end().min(first + OP_SIZE_MAX);
            if end < span.end() && self.units.is_low(end) {
                end -= 1;
            }
            self.batch.insert(Span { first, len: end - first }, left, right, end - first);
            (first, left) = (end, end - 1);
        }
    }

    /// Deletes `len` visible units from `pos` on.
    ///
    /// # Errors
    /// If the range goes past the end.
    pub fn delete(&mut self, pos: u32, len: u32) -> Result<(), UnitError> {
        let end = u64::from(pos) + u64::from(len);
        self.in_range(end)?;
        if len == 0 {
            return Ok(());
        }
        let end = pos + len;
        let pos = if self.cuts_pair(pos) { pos - 1 } else { pos };
        let mut left = if self.cuts_pair(end) { end + 1 - pos } else { end - pos };
        let mut goes_on = self.batch.delete_goes_on(pos, left);
        self.deltas.remove(pos, left, true);
        while left > 0 {
            let at = self.list.seek(pos);
            let run = *self.list.piece(at);
            let len = left.min(run.len - at.offset);
            left -= len;
            let span = Span { first: run.first + at.offset, len };
            self.list.bump(at, len, 1);
            if len == 1 {
                self.batch.delete(span, goes_on);
            } else {
                let mut first = span.first;
                for cut in self.log.unit_spans(span) {
                    self.batch.delete(Span { first, len: cut.len }, goes_on);
                    (first, goes_on) = (first + cut.len, true);
                }
            }
            goes_on = true;
        }
        self.batch.deleted_at(pos);
        Ok(())
    }

    /// Whether a position lies between the two halves of a pair.
    pub(super) fn cuts_pair(&mut self, pos: u32) -> bool {
        if !self.units.may_pair() || pos == 0 || pos >= self.len() {
            return false;
        }
        let mut unit = |pos| {
            let at = self.list.seek(pos);
            self.list.piece(at).first + at.offset
        };
        let (before, behind) = (unit(pos - 1), unit(pos));
        self.units.is_high(before) && self.units.is_low(behind)
    }

    /// The point to which [`Self::rollback`] returns; good until the next seal.
    pub fn mark(&self) -> Mark {
        self.batch.mark(self.units.len())
    }

    /// Takes back all edits made here since the mark; the marks of text among them were taken back before.
    ///
    /// # Panics
    /// If the batch was sealed since.
    pub fn rollback(&mut self, to: Mark) {
        self.deltas.settle(|out, units| out.push_units(&self.units, units));
        for span in self.batch.rollback(&to) {
            self.bump_span(span, -1, true);
        }
        let deltas = &mut self.deltas;
        self.list.remove_from(to.units, |pos, len| deltas.remove(pos, len, true));
        self.units.truncate(to.units);
    }

    /// The ops of the open batch; their own units are of `ChangesetIx::OPEN`.
    pub fn pending_ops(&self) -> Vec<UnitOp> {
        self.batch.to_ops(&self.log, |row| self.mark_op(row))
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
    pub fn pending_text(&self, ops: usize) -> String {
        let first = self.log.units();
        let mut out = Units::default();
        out.push_units(&self.units, first..first + self.batch.units_of_first(ops));
        out.into_string()
    }

    /// The first ops of the open batch became those of a changeset; any others stay open, to be sealed next.
    ///
    /// # Panics
    /// If the batch has fewer ops, or changeset and ops are not later than all before.
    pub fn seal(&mut self, changeset: ChangesetIx, ops: &[OpIx]) {
        if self.batch.units_of_first(ops.len()) > 0 {
            self.log.begin(changeset, false);
        }
        let (log, marks) = (&mut self.log, &mut self.marks);
        self.batch.take(ops.len(), |at, op, spans| match op {
            BatchOp::Insert { span, .. } => log.push_insert(ops[at], span.len, true),
            BatchOp::Delete { .. } => log.push_delete(ops[at], spans.iter().copied(), true),
            BatchOp::Mark { .. } => {
                marks.as_mut().expect("the batch lists one").seal(ops[at], changeset);
            }
            BatchOp::Move { .. } => unreachable!("a text moves nothing"),
        });
    }
}
