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
use super::deltas::{DeltaLog, Deltas};
use super::moves::{Moves, Shift};
use super::piece::NONE;
use super::piece_list::{Loc, PieceList};
use super::unit_log::{Effect, Span, UnitLog};
use super::unit_op::UnitError;
use crate::codec::{DecodeError, Reader, Saved, Writer, saved};
use crate::event::Value;
use std::ops::Range;

/// A list. The capacities of its tree are parameters only so that tests can shrink them.
#[derive(Clone, Debug)]
pub struct List<const LEAF: usize = 32, const BLOCK: usize = 64> {
    /// By unit.
    pub(super) cells: Vec<Cell>,
    pub(super) list: PieceList<LEAF, BLOCK>,
    pub(super) log: UnitLog,
    pub(super) batch: Batch,
    pub(super) moves: Moves,
    pub(super) deltas: DeltaLog<Vec<Value>>,
}

/// What a unit holds.
#[derive(Clone, Debug)]
pub(super) enum Cell {
    Value(Value),
    /// The value is missing.
    Absent,
    /// It is a slot of this element.
    Slot(u32),
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
            cells: Vec::new(),
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
        self.deltas.drain(|out, units| copy(&self.cells, out, units))
    }

    /// The number of elements.
    pub fn len(&self) -> u32 {
        self.list.visible()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element at an index. O(log n).
    pub fn get(&self, index: u32) -> Option<&Value> {
        (index < self.len()).then(|| {
            let at = self.list.peek(index);
            value(&self.cells, self.list.piece(at).first + at.offset).expect("what is absent is hidden")
        })
    }

    /// The elements.
    pub fn iter(&self) -> impl Iterator<Item = &Value> + '_ {
        let shown = self.list.iter().filter(|run| run.hide == 0);
        let units = shown.flat_map(|run| run.first..run.end());
        units.map(|unit| value(&self.cells, unit).expect("what is absent is hidden"))
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
                out.extend(units.filter_map(|unit| value(&self.cells, unit)));
                left -= len;
                if left == 0 {
                    break;
                }
                gap = Loc { offset: at.offset + run.len, ..at };
            }
        }
        Ok(out)
    }

    /// The unit that the insert made, of any unit of an element.
    pub(super) fn element(&self, unit: u32) -> u32 {
        if let Cell::Slot(element) = self.cells[unit as usize] { element } else { unit }
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
        assert_eq!(self.cells.len(), units as usize);
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
                let element = self.element(unit);
                assert!(!matches!(self.cells[element as usize], Cell::Slot(_)));
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
        self.list.save(out);
        self.log.save(out);
        self.moves.save(out);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (cells, list, log) = (Vec::<Cell>::load(from)?, PieceList::load(from)?, UnitLog::load(from)?);
        let agree = cells.len() == list.units() as usize && list.units() == log.units();
        saved::check(agree, from, "list", "its parts are of as many units")?;
        let is_slot = |unit: u32| matches!(cells[unit as usize], Cell::Slot(_));
        let element = |unit: u32| match cells[unit as usize] {
            Cell::Slot(element) if element < unit && !is_slot(element) => Some(element),
            _ => None,
        };
        let known = log.moves().all(|(_, slot)| element(slot).is_some())
            && (0..log.units()).filter(|unit| is_slot(*unit)).count() == log.moves().count();
        saved::check(known, from, "list", "moves have slots of elements")?;
        let moves = log.moves().filter_map(|(op, slot)| Some((element(slot)?, op, slot)));
        let moves = Moves::load(from, moves)?;
        Ok(Self { cells, list, log, moves, ..Self::default() })
    }
}

impl Saved for Cell {
    fn save(&self, out: &mut Writer) {
        match self {
            Self::Value(value) => value.encode(out.u8(0)),
            Self::Absent => drop(out.u8(1)),
            Self::Slot(element) => element.save(out.u8(2)),
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = from.position();
        Ok(match from.u8("cell")? {
            0 => Self::Value(Value::read(from)?),
            1 => Self::Absent,
            2 => Self::Slot(u32::load(from)?),
            found => return Err(DecodeError::Unknown { what: "cell", at, found: found.into() }),
        })
    }
}

/// What shows where a unit does; none if it is missing.
pub(super) fn value(cells: &[Cell], unit: u32) -> Option<&Value> {
    match &cells[unit as usize] {
        Cell::Value(value) => Some(value),
        Cell::Absent => None,
        Cell::Slot(element) => match &cells[*element as usize] {
            Cell::Value(value) => Some(value),
            _ => None,
        },
    }
}

/// Copies what shows where units do.
pub(super) fn copy(cells: &[Cell], out: &mut Vec<Value>, units: Range<u32>) {
    out.extend(units.map(|unit| value(cells, unit).cloned().unwrap_or_default()));
}
