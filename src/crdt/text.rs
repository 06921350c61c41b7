//! A text: units in FugueMax order, each hidden while there is a reason to hide it.
//!
//! Invariant: `hide` of a unit is the number of active deletes that name it, plus one if its insert is inactive, plus
//! one if its content is absent. So the text is a function of the set of ops and of which of them are active, whatever
//! the order of arrival, and any op is switched in time proportional to its runs. Units are numbered by arrival; the
//! number is at once the place of the unit in an append-only string, so hidden text is simply still there.
//!
//! This file holds the state and reads it. Editing here is in `text_edit`, arrivals and toggles are in `text_merge`.

use super::batch::Batch;
use super::deltas::{DeltaLog, Deltas};
use super::marks::Marks;
use super::piece::NONE;
use super::piece_list::{Loc, PieceList};
use super::unit_log::{Effect, Span, UnitLog};
use super::unit_op::{UNITS_MAX, UnitError};
use super::unit_saved;
use super::units::{SavedUnits, Units};
use crate::causal::{ChangesetIx, OpIx};
use crate::codec::{DecodeError, Reader, Saved, Writer, saved};
use std::fmt;
use std::ops::Range;

/// A text. The capacities of its tree are parameters only so that tests can shrink them.
#[derive(Clone, Debug)]
pub struct Text<const LEAF: usize = 32, const BLOCK: usize = 64> {
    pub(super) units: Units,
    pub(super) list: PieceList<LEAF, BLOCK>,
    pub(super) log: UnitLog,
    pub(super) batch: Batch,
    pub(super) deltas: DeltaLog,
    /// None until something was marked.
    pub(super) marks: Option<Box<Marks>>,
}

impl Text {
    /// An empty text.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<const LEAF: usize, const BLOCK: usize> Default for Text<LEAF, BLOCK> {
    fn default() -> Self {
        Self {
            units: Units::default(),
            list: PieceList::new(),
            log: UnitLog::default(),
            batch: Batch::default(),
            deltas: DeltaLog::default(),
            marks: None,
        }
    }
}

impl<const LEAF: usize, const BLOCK: usize> Text<LEAF, BLOCK> {
    /// Starts or stops noting what changes; either way what was noted is forgotten.
    pub fn record_deltas(&mut self, on: bool) {
        self.deltas.record(on);
    }

    /// What changed since the last drain, if it was recorded.
    pub fn drain_deltas(&mut self) -> Deltas {
        let mut deltas = self.deltas.drain(|out, units| out.push_units(&self.units, units));
        if let Some(marks) = &mut self.marks {
            deltas.marks = marks.drain();
        }
        deltas
    }

    /// Forgets what changed since the last drain.
    pub fn forget_deltas(&mut self) {
        self.deltas.clear();
        if let Some(marks) = &mut self.marks {
            marks.drain();
        }
    }

    /// Notes that a stretch of one piece, (position, first unit, length), shows from now on. `typed` of new units says
    /// whether they stand right behind the unit that came before them.
    pub(super) fn show(&mut self, (pos, first, len): (u32, u32, u32), local: bool, typed: Option<bool>) {
        match &mut self.marks {
            Some(marks) if self.deltas.recording() => {
                marks.show(&self.list, &mut self.deltas, (pos, first, len), local, typed);
            }
            _ => self.deltas.insert(pos, first, len, local),
        }
    }

    /// Adds to the reasons to hide one stretch of a piece, and notes what that shows.
    pub(super) fn bump(&mut self, at: Loc, len: u32, delta: i32, local: bool) {
        let first = self.list.piece(at).first + at.offset;
        let pos = if self.deltas.recording() { self.list.visible_before(at) } else { 0 };
        match self.list.bump(at, len, delta) {
            (true, false) => self.deltas.remove(pos, len, local),
            (false, true) => self.show((pos, first, len), local, None),
            _ => {}
        }
    }

    /// The visible text. O(n).
    pub fn string(&self) -> String {
        self.visible_units().into_string()
    }

    /// The number of visible units.
    pub fn len(&self) -> u32 {
        self.list.visible()
    }

    /// Whether no unit is visible.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether nothing is marked and no character takes two units.
    pub fn is_plain(&self) -> bool {
        self.marks.is_none() && !self.units.may_pair()
    }

    /// How many more units it can take.
    pub fn room(&self) -> u32 {
        UNITS_MAX - self.units.len()
    }

    /// The visible units in a range, as UTF-8; half pairs become U+FFFD.
    ///
    /// # Errors
    /// If the range ends before it starts or past the end of the text.
    pub fn slice(&self, range: Range<u32>) -> Result<String, UnitError> {
        self.in_range(u64::from(range.start.max(range.end)))?;
        let mut out = Units::default();
        let mut left = range.end.saturating_sub(range.start);
        if left > 0 {
            let mut gap = self.list.peek(range.start);
            while let Some((at, run)) = self.list.run_at(gap) {
                let len = run.visible().min(left);
                out.push_units(&self.units, run.first..run.first + len);
                left -= len;
                if left == 0 {
                    break;
                }
                gap = Loc { offset: at.offset + run.len, ..at };
            }
        }
        Ok(out.into_string())
    }

    /// All visible units.
    pub fn visible_units(&self) -> Units {
        let mut out = self.units.with_room(self.len());
        for run in self.list.iter().filter(|run| run.hide == 0) {
            out.push_units(&self.units, run.first..run.end());
        }
        out
    }

    /// Who wrote the visible units: runs of one changeset, in order.
    pub fn authorship(&self) -> Vec<(u32, ChangesetIx)> {
        let mut runs: Vec<(u32, ChangesetIx)> = Vec::new();
        for run in self.list.iter().filter(|run| run.hide == 0) {
            for cut in self.log.unit_spans(Span { first: run.first, len: run.len }) {
                match runs.last_mut() {
                    Some((len, changeset)) if *changeset == cut.changeset => *len += cut.len,
                    _ => runs.push((cut.len, cut.changeset)),
                }
            }
        }
        runs
    }

    /// The op that inserted a visible unit, and is one of the `ops` of its changeset; none past the end, and for
    /// what is not sealed. O(log n + those ops).
    pub fn maker(&self, index: u32, ops: impl Fn(ChangesetIx) -> Range<u32>) -> Option<OpIx> {
        (index < self.len()).then(|| {
            let at = self.list.peek(index);
            let unit = self.list.piece(at).first + at.offset;
            let changeset = self.log.changeset_of(unit);
            (changeset != ChangesetIx::OPEN).then(|| self.log.maker(unit, ops(changeset)))?
        })?
    }

    pub(super) fn in_range(&self, position: u64) -> Result<(), UnitError> {
        let len = self.len();
        if position > u64::from(len) { Err(UnitError::OutOfRange { position, len }) } else { Ok(()) }
    }

    /// How many gaps are indexed because they are crowded.
    #[doc(hidden)]
    pub fn dbg_crowds(&self) -> usize {
        self.list.crowds()
    }

    /// Recomputes every invariant the slow way.
    ///
    /// # Panics
    /// If one does not hold.
    #[doc(hidden)]
    pub fn dbg_check(&self) {
        self.list.dbg_check();
        assert_eq!(self.units.len(), self.list.units());
        assert_eq!(self.log.units() + self.batch.units_of_first(self.batch.len()), self.units.len());
        let mut hide = vec![0; self.units.len() as usize];
        let mut add = |range: Range<u32>| {
            hide[range.start as usize..range.end as usize].iter_mut().for_each(|n| *n += 1)
        };
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
            assert!((run.first..run.end()).all(|unit| hide[unit as usize] == run.hide), "{run:?}");
            assert!([run.left, run.right].iter().all(|&unit| unit == NONE || unit < run.first));
        }
    }
}

impl<const LEAF: usize, const BLOCK: usize> fmt::Display for Text<LEAF, BLOCK> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.string())
    }
}

impl<const LEAF: usize, const BLOCK: usize> Saved for Text<LEAF, BLOCK> {
    /// # Panics
    /// If a batch is open.
    fn save(&self, out: &mut Writer) {
        assert!(self.batch.is_empty(), "what is not sealed is in no snapshot");
        let runs = unit_saved::runs(&self.list);
        self.units.save(&runs, out);
        unit_saved::save(&self.log, &runs, out);
        self.marks.is_some().save(out);
        if let Some(marks) = &self.marks {
            marks.save(out);
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let units = SavedUnits::read(from)?;
        let (log, runs) = unit_saved::load(from)?;
        let units = units.spread(&runs);
        saved::check(units.is_some(), from, "text", "its runs are of as many units")?;
        let (units, list) = (units.unwrap_or_default(), PieceList::from_runs(runs, log.units()));
        saved::check(log.moves().next().is_none(), from, "text", "it moves nothing")?;
        let marks = if bool::load(from)? { Some(Box::new(Marks::load(from, &list)?)) } else { None };
        Ok(Self { units, list, log, marks, ..Self::default() })
    }
}
