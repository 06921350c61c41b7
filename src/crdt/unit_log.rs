//! Who inserted which units, and what each op did. Units are numbered by arrival: those of a changeset, and of
//! each of its inserts, are consecutive.
//!
//! Invariant: changesets, ops and units all grow, so every question is a binary search at most. Units from
//! [`UnitLog::units`] on belong to the open batch.

use super::unit_op::{UnitRef, UnitSpan};
use crate::causal::{ChangesetIx, OpIx};
use std::ops::Range;

#[derive(Clone, Debug, Default)]
pub(super) struct UnitLog {
    /// Only changesets that inserted something.
    pub(super) changesets: Vec<ChangesetRow>,
    pub(super) ops: Vec<OpRow>,
    /// The row that was looked for last: whoever is switched off wrote many in a row.
    recent: usize,
    pub(super) spans: Vec<Span>,
    pub(super) units: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct ChangesetRow {
    pub changeset: ChangesetIx,
    pub first: u32,
    pub absent: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct OpRow {
    pub op: OpIx,
    pub kind: Kind,
    /// Units of an insert or a move, spans of a delete.
    pub first: u32,
    pub end: u32,
    pub active: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Insert,
    Delete,
    Move,
}

/// Consecutive units, by local number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub first: u32,
    pub len: u32,
}

impl Span {
    pub fn end(self) -> u32 {
        self.first + self.len
    }

    pub fn range(self) -> Range<u32> {
        self.first..self.end()
    }
}

/// What an op did.
pub(super) enum Effect<'a> {
    Insert(Span),
    Delete(&'a [Span]),
    /// The unit it made.
    Move(u32),
}

impl UnitLog {
    /// A changeset begins to insert.
    pub fn begin(&mut self, changeset: ChangesetIx, absent: bool) {
        assert!(
            self.changesets.last().is_none_or(|row| row.changeset < changeset),
            "changesets arrive in order"
        );
        self.changesets.push(ChangesetRow { changeset, first: self.units, absent });
    }

    /// An insert of the changeset that began last.
    pub fn push_insert(&mut self, op: OpIx, len: u32, active: bool) {
        let first = self.units;
        self.units += len;
        self.push(OpRow { op, kind: Kind::Insert, first, end: self.units, active });
    }

    /// A move of the changeset that began last.
    pub fn push_move(&mut self, op: OpIx, active: bool) {
        let first = self.units;
        self.units += 1;
        self.push(OpRow { op, kind: Kind::Move, first, end: self.units, active });
    }

    pub fn push_delete(&mut self, op: OpIx, spans: impl IntoIterator<Item = Span>, active: bool) {
        let first = self.spans.len() as u32;
        self.spans.extend(spans);
        self.push(OpRow { op, kind: Kind::Delete, first, end: self.spans.len() as u32, active });
    }

    fn push(&mut self, row: OpRow) {
        assert!(self.ops.last().is_none_or(|last| last.op < row.op), "ops arrive in order");
        self.ops.push(row);
    }

    /// Notes an op as active or not, and tells what it did if that is new.
    pub fn set_active(&mut self, op: OpIx, on: bool) -> Option<Effect<'_>> {
        let at = self.row(op)?;
        (std::mem::replace(&mut self.ops[at].active, on) != on).then(|| self.effect_at(at))
    }

    /// Notes the content of a changeset as absent or not, and gives its units if that is new.
    pub fn set_absent(&mut self, changeset: ChangesetIx, absent: bool) -> Option<Span> {
        let at = self.changeset_row(changeset)?;
        let changed = std::mem::replace(&mut self.changesets[at].absent, absent) != absent;
        changed.then(|| self.units_at(at))
    }

    /// Whose the units are, without what the ops did.
    pub fn without_ops(&self) -> Self {
        Self { changesets: self.changesets.clone(), units: self.units, ..Self::default() }
    }

    /// How many units have a changeset.
    pub fn units(&self) -> u32 {
        self.units
    }

    /// All ops in order, with what they did and whether they are active.
    pub fn effects(&self) -> impl Iterator<Item = (OpIx, bool, Effect<'_>)> + '_ {
        self.ops.iter().enumerate().map(|(at, row)| (row.op, row.active, self.effect_at(at)))
    }

    /// What the selected ops did, in order.
    pub fn effects_of(&self, selected: impl Fn(OpIx) -> bool) -> impl Iterator<Item = Effect<'_>> {
        let chosen = self.ops.iter().enumerate().filter(move |(_, row)| selected(row.op));
        chosen.map(|(at, _)| self.effect_at(at))
    }

    /// The units whose content is missing.
    pub fn absent(&self) -> impl Iterator<Item = Span> + '_ {
        self.changesets.iter().enumerate().filter(|(_, row)| row.absent).map(|(at, _)| self.units_at(at))
    }

    /// The moves, each with the unit that it made.
    pub fn moves(&self) -> impl Iterator<Item = (OpIx, u32)> + '_ {
        self.ops.iter().filter(|row| row.kind == Kind::Move).map(|row| (row.op, row.first))
    }

    fn effect_at(&self, at: usize) -> Effect<'_> {
        let OpRow { kind, first, end, .. } = self.ops[at];
        match kind {
            Kind::Insert => Effect::Insert(Span { first, len: end - first }),
            Kind::Delete => Effect::Delete(&self.spans[first as usize..end as usize]),
            Kind::Move => Effect::Move(first),
        }
    }

    fn row(&mut self, op: OpIx) -> Option<usize> {
        let next = self.recent + 1;
        let is_next = self.ops.get(next).is_some_and(|row| row.op == op);
        let at = if is_next { next } else { self.ops.binary_search_by_key(&op, |row| row.op).ok()? };
        self.recent = at;
        Some(at)
    }

    fn changeset_row(&self, changeset: ChangesetIx) -> Option<usize> {
        // Whoever types on names what came last, or not long before.
        let rows = &self.changesets;
        let (mut end, mut step) = (rows.len(), 1);
        loop {
            let first = end.saturating_sub(step);
            if first == 0 || rows[first].changeset <= changeset {
                let found = rows[first..end].binary_search_by_key(&changeset, |row| row.changeset);
                return found.ok().map(|at| first + at);
            }
            (end, step) = (first, 2 * step);
        }
    }

    fn units_at(&self, at: usize) -> Span {
        let first = self.changesets[at].first;
        let end = self.changesets.get(at + 1).map_or(self.units, |next| next.first);
        Span { first, len: end - first }
    }

    /// The units a changeset inserted.
    pub fn units_of(&self, changeset: ChangesetIx) -> Option<Span> {
        self.changeset_row(changeset).map(|at| self.units_at(at))
    }

    /// Whose a unit is.
    pub fn changeset_of(&self, unit: u32) -> ChangesetIx {
        self.owner(unit).0
    }

    /// The op that made a unit, which is one of the `ops` of its changeset. O(those).
    pub fn maker(&self, unit: u32, ops: Range<u32>) -> Option<OpIx> {
        let first = self.ops.partition_point(|row| row.op.0 < ops.start);
        let of_changeset = self.ops[first..].iter().take_while(|row| row.op.0 < ops.end);
        let made = |row: &&OpRow| match row.kind {
            Kind::Insert => (row.first..row.end).contains(&unit),
            Kind::Move => row.first == unit,
            Kind::Delete => false,
        };
        of_changeset.into_iter().find(made).map(|row| row.op)
    }

    /// Whose a unit is, and all units of that one; those of the open batch have no end yet.
    fn owner(&self, unit: u32) -> (ChangesetIx, Range<u32>) {
        if unit >= self.units {
            return (ChangesetIx::OPEN, self.units..u32::MAX);
        }
        let last = self.changesets.len() - 1;
        let is_last = self.changesets[last].first <= unit;
        let at = if is_last { last } else { self.changesets.partition_point(|row| row.first <= unit) - 1 };
        (self.changesets[at].changeset, self.units_at(at).range())
    }

    pub fn unit_ref(&self, unit: u32) -> UnitRef {
        let (changeset, units) = self.owner(unit);
        UnitRef { changeset, offset: unit - units.start }
    }

    /// The same units, cut where the changeset changes.
    pub fn unit_spans(&self, span: Span) -> impl Iterator<Item = UnitSpan> + '_ {
        let mut unit = span.first;
        std::iter::from_fn(move || {
            if unit == span.end() {
                return None;
            }
            let (changeset, units) = self.owner(unit);
            let len = units.end.min(span.end()) - unit;
            let cut = UnitSpan { changeset, offset: unit - units.start, len };
            unit += len;
            Some(cut)
        })
    }

    /// The local number of the first of `len` units, if they all exist in a sealed changeset.
    pub fn resolve(&self, at: UnitRef, len: u32) -> Option<u32> {
        let units = self.units_of(at.changeset)?;
        let end = at.offset.checked_add(len)?;
        (end <= units.len).then(|| units.first + at.offset)
    }
}
