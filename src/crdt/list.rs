//! A list: elements in FugueMax order, each shown in one place while there is no reason to hide it.
//!
//! An element is the unit that an insert made. A move gives it a *slot*, one more unit that stands elsewhere; the element
//! is in the slot of the move that wins. Invariant: `hide` of the unit in which an element is, is the number of reasons to
//! hide it (active deletes that name any of its units, an inactive insert, absent content); all its other units have one.
//! So a delete and a move that do not know of each other leave the element deleted, and any op is switched in time
//! proportional to its runs, a move to the moves of its element.
//!
//! This file holds the state and reads it. Editing here is in `list_edit`, arrivals and toggles are in `list_merge`.

use super::Recency;
use super::batch::Batch;
use super::cells::Cells;
use super::deltas::{DeltaLog, Deltas};
use super::moves::{Moves, Shift};
use super::piece::NONE;
use super::piece_list::{Loc, PieceList};
use super::unit_log::{Effect, Span, UnitLog};
use super::unit_op::{UNITS_MAX, UnitError};
use super::unit_saved;
use crate::causal::{ChangesetIx, OpIx};
use crate::codec::{DecodeError, Reader, Saved, Writer, saved};
use crate::event::Value;
use std::ops::Range;

/// A list. The capacities of its tree are parameters only so that tests can shrink them.
#[derive(Clone, Debug)]
pub struct List<const LEAF: usize = 32, const BLOCK: usize = 64> {
    pub(super) cells: Cells,
    pub(super) list: PieceList<LEAF, BLOCK>,
    pub(super) log: UnitLog,
    pub(super) batch: Batch,
    pub(super) moves: Moves,
    pub(super) deltas: DeltaLog<Vec<Value>>,
}

impl List {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<const LEAF: usize, const BLOCK: usize> Default for List<LEAF, BLOCK> {
    fn default() -> Self {
        Self {
            cells: Cells::default(),
            list: PieceList::new(),
            log: UnitLog::default(),
            batch: Batch::default(),
            moves: Moves::default(),
            deltas: DeltaLog::default(),
        }
    }
}

impl<const LEAF: usize, const BLOCK: usize> List<LEAF, BLOCK> {
    /// Starts or stops noting what changes; either way what was noted is forgotten.
    pub fn record_deltas(&mut self, on: bool) {
        self.deltas.record(on);
    }

    /// What changed since the last drain, if it was recorded.
    pub fn drain_deltas(&mut self) -> Deltas<Vec<Value>> {
        self.deltas.drain(|out, units| self.cells.copy(out, units))
    }

    /// The number of elements.
    pub fn len(&self) -> u32 {
        self.list.visible()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many more units it can take.
    pub fn room(&self) -> u32 {
        UNITS_MAX - self.list.units()
    }

    /// The element at an index. O(log n).
    pub fn get(&self, index: u32) -> Option<&Value> {
        (index < self.len()).then(|| {
            let at = self.list.peek(index);
            self.cells.value(self.list.piece(at).first + at.offset).expect("what is absent is hidden")
        })
    }

    /// The op that put an element where it is, one of the `ops` of its changeset; none past the end, and for
    /// what is not sealed. O(log n + those ops).
    pub fn maker(&self, index: u32, ops: impl Fn(ChangesetIx) -> Range<u32>) -> Option<OpIx> {
        (index < self.len()).then(|| {
            let at = self.list.peek(index);
            let unit = self.list.piece(at).first + at.offset;
            let changeset = self.log.changeset_of(unit);
            (changeset != ChangesetIx::OPEN).then(|| self.log.maker(unit, ops(changeset)))?
        })?
    }

    /// A number for the element at an index that stands for no other one, for as long as nothing is rolled back. O(log n).
    pub fn id(&self, index: u32) -> Option<u32> {
        (index < self.len()).then(|| {
            let at = self.list.peek(index);
            self.cells.element(self.list.piece(at).first + at.offset)
        })
    }

    /// Those numbers of all elements.
    pub fn ids(&self) -> impl Iterator<Item = u32> + '_ {
        let shown = self.list.iter().filter(|run| run.hide == 0);
        shown.flat_map(|run| run.first..run.end()).map(|unit| self.cells.element(unit))
    }

    /// The elements.
    pub fn iter(&self) -> impl Iterator<Item = &Value> + '_ {
        let shown = self.list.iter().filter(|run| run.hide == 0);
        let units = shown.flat_map(|run| run.first..run.end());
        units.map(|unit| self.cells.value(unit).expect("what is absent is hidden"))
    }

    /// The elements in a range.
    ///
    /// # Errors
    /// If the range ends before it starts or past the end of the list.
    pub fn slice(&self, range: Range<u32>) -> Result<Vec<&Value>, UnitError> {
        self.in_range(u64::from(range.start.max(range.end)))?;
        let mut left = range.end.saturating_sub(range.start);
        let mut out = Vec::with_capacity(left as usize);
        if left > 0 {
            let mut gap = self.list.peek(range.start);
            while let Some((at, run)) = self.list.run_at(gap) {
                let len = run.visible().min(left);
                let units = run.first..run.first + len;
                out.extend(units.filter_map(|unit| self.cells.value(unit)));
                left -= len;
                if left == 0 {
                    break;
                }
                gap = Loc { offset: at.offset + run.len, ..at };
            }
        }
        Ok(out)
    }

    pub(super) fn in_range(&self, index: u64) -> Result<(), UnitError> {
        let len = self.len();
        if index > u64::from(len) { Err(UnitError::OutOfRange { position: index, len }) } else { Ok(()) }
    }

    /// Adds to the reasons to hide elements, wherever they are.
    pub(super) fn bump_elements(&mut self, elements: Span, delta: i32, local: bool) {
        let mut first = elements.first;
        for (element, unit) in self.moves.elsewhere(elements).collect::<Vec<_>>() {
            self.bump_units(Span { first, len: element - first }, delta, local);
            self.bump_units(Span { first: unit, len: 1 }, delta, local);
            first = element + 1;
        }
        self.bump_units(Span { first, len: elements.end() - first }, delta, local);
    }

    /// Adds to the reasons to hide units.
    pub(super) fn bump_units(&mut self, span: Span, delta: i32, local: bool) {
        let mut unit = span.first;
        while unit < span.end() {
            let at = self.list.locate(unit);
            let len = (self.list.piece(at).len - at.offset).min(span.end() - unit);
            let pos = if self.deltas.recording() { self.list.visible_before(at) } else { 0 };
            match self.list.bump(at, len, delta) {
                (true, false) => self.deltas.remove(pos, len, local),
                (false, true) => self.deltas.insert(pos, unit, len, local),
                _ => {}
            }
            unit += len;
        }
    }

    /// Puts elements where their moves say.
    pub(super) fn settle_moves(&mut self, history: &impl Recency, local: bool) {
        for Shift { from, to } in self.moves.settle(history) {
            let reasons = self.list.piece(self.list.locate(from)).hide as i32;
            if reasons != 1 {
                self.bump_units(Span { first: from, len: 1 }, 1 - reasons, local);
                self.bump_units(Span { first: to, len: 1 }, reasons - 1, local);
            }
        }
    }

    /// Recomputes every invariant the slow way.
    ///
    /// # Panics
    /// If one does not hold.
    #[doc(hidden)]
    pub fn dbg_check(&self, history: &impl Recency) {
        self.list.dbg_check();
        self.moves.dbg_check(history);
        let units = self.list.units();
        assert_eq!(self.cells.len(), units);
        assert_eq!(self.log.units() + self.batch.units_of_first(self.batch.len()), units);
        let mut reasons = vec![0; units as usize];
        let mut add = |range: Range<u32>| range.for_each(|unit| reasons[unit as usize] += 1);
        for (_, active, effect) in self.log.effects() {
            match effect {
                Effect::Insert(span) if !active => add(span.range()),
                Effect::Delete(spans) if active => spans.iter().for_each(|span| add(span.range())),
                _ => {}
            }
        }
        self.log.absent().for_each(|span| add(span.range()));
        self.batch.spans().iter().for_each(|span| add(span.range()));
        for run in self.list.iter() {
            for unit in run.first..run.end() {
                let element = self.cells.element(unit);
                assert!(!self.cells.is_slot(element));
                let is_there = self.moves.place(element) == unit;
                let expected = if is_there { reasons[element as usize] } else { 1 };
                assert_eq!(run.hide, expected, "unit {unit} in {run:?}");
            }
            assert!([run.left, run.right].iter().all(|&unit| unit == NONE || unit < run.first));
        }
    }
}

impl<const LEAF: usize, const BLOCK: usize> Saved for List<LEAF, BLOCK> {
    /// # Panics
    /// If a batch is open.
    fn save(&self, out: &mut Writer) {
        assert!(self.batch.is_empty(), "what is not sealed is in no snapshot");
        self.cells.save(out);
        unit_saved::save(&self.log, &unit_saved::runs(&self.list), out);
        self.moves.save(out);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let cells = Cells::load(from)?;
        let (log, runs) = unit_saved::load(from)?;
        let list = PieceList::from_runs(runs, log.units());
        let agree = cells.len() == log.units();
        saved::check(agree, from, "list", "its parts are of as many units")?;
        let slots = (0..cells.len()).filter(|unit| cells.is_slot(*unit));
        let known = slots.eq(log.moves().map(|(_, slot)| slot));
        saved::check(known, from, "list", "each move has a slot")?;
        let moves = log.moves().map(|(op, slot)| (cells.element(slot), op, slot));
        let moves = Moves::load(from, moves)?;
        Ok(Self { cells, list, log, moves, ..Self::default() })
    }
}
