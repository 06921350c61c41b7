//! The rule that decides whether ops on a text or a list could have been made by an honest replica.
//!
//! FugueMax gives one order only for neighbours that were neighbours: each insert must go between two units that follow
//! each other in the list of its causal past, earlier ops of its own changeset included. That list is never built: it
//! is the live list, read past all units the author had not seen, with the changeset's own inserts laid over it.
//! Nothing is applied here, and content is never looked at.

use super::History;
use super::crowd::Crowd;
use super::mark_check::End;
use super::piece::NONE;
use super::piece_list::{Loc, PieceList};
use super::unit_log::UnitLog;
use super::unit_op::{CHANGESET_UNITS_MAX, Invalid, UNITS_MAX, UnitOp, UnitRef, UnitSpan};
use crate::causal::ChangesetIx;
use crate::sorted::sort;
use crate::steps;
use std::collections::BTreeMap;
use std::ops::Range;

pub(super) struct Checker<'a, H, const LEAF: usize, const BLOCK: usize> {
    pub(super) list: &'a PieceList<LEAF, BLOCK>,
    pub(super) log: &'a UnitLog,
    history: &'a H,
    changeset: ChangesetIx,
    /// What follows a unit because of the changeset's own inserts.
    pub(super) next: BTreeMap<Spot, Spot>,
    own: u32,
    deleted: Vec<(Spot, u32)>,
    pub(super) marks: Vec<(End, End)>,
    /// What follows a unit of the past in the past, where a mark asked.
    pub(super) known: BTreeMap<u32, u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Spot {
    /// The start of the list as a left neighbour, its end as a right one.
    Edge,
    /// A unit of the causal past.
    Past(u32),
    /// A unit of the changeset itself.
    Own(u32),
}

impl<'a, H: History, const LEAF: usize, const BLOCK: usize> Checker<'a, H, LEAF, BLOCK> {
    pub fn new(
        list: &'a PieceList<LEAF, BLOCK>,
        log: &'a UnitLog,
        history: &'a H,
        changeset: ChangesetIx,
    ) -> Self {
        let (next, known) = (BTreeMap::new(), BTreeMap::new());
        Self { list, log, history, changeset, next, own: 0, deleted: Vec::new(), marks: Vec::new(), known }
    }

    /// Checks all ops a changeset has on one text or list.
    pub fn check(mut self, ops: &[UnitOp]) -> Result<(), Invalid> {
        for (at, op) in ops.iter().enumerate() {
            let (left, new, right) = match op {
                UnitOp::Insert { left, right, len } => self.insert(*left, *right, *len)?,
                UnitOp::Move { element, left, right } => {
                    self.spot(*element, 1)?;
                    self.insert(*left, *right, 1)?
                }
                UnitOp::Delete { spans } => {
                    self.delete(spans)?;
                    continue;
                }
                UnitOp::Mark { start, end, .. } => {
                    self.mark(*start, *end)?;
                    continue;
                }
            };
            // A changeset is mostly one op, and nothing asks after the last.
            if at + 1 < ops.len() {
                self.next.insert(left, Spot::Own(new.start));
                self.next.insert(Spot::Own(new.end - 1), right);
            }
        }
        self.marks_in_order()?;
        sort(&mut self.deleted);
        let twice = |pair: &[(Spot, u32)]| match (pair[0], pair[1]) {
            ((Spot::Past(a), len), (Spot::Past(b), _)) | ((Spot::Own(a), len), (Spot::Own(b), _)) => {
                b - a < len
            }
            _ => false,
        };
        if self.deleted.windows(2).any(twice) { Err(Invalid::DeletedTwice) } else { Ok(()) }
    }

    /// The new units, between what they stand.
    fn insert(
        &mut self,
        left: Option<UnitRef>,
        right: Option<UnitRef>,
        len: u32,
    ) -> Result<(Spot, Range<u32>, Spot), Invalid> {
        let first = self.own;
        let own = first.checked_add(len).filter(|&own| own <= CHANGESET_UNITS_MAX).ok_or(Invalid::TooLong)?;
        if len == 0 {
            return Err(Invalid::Empty);
        }
        if own > UNITS_MAX - self.log.units() {
            return Err(Invalid::Full);
        }
        let left = left.map_or(Ok(Spot::Edge), |unit| self.spot(unit, 1))?;
        let right = right.map_or(Ok(Spot::Edge), |unit| self.spot(unit, 1))?;
        if !self.follows(left, right) {
            return Err(Invalid::NotAdjacent);
        }
        self.own = own;
        Ok((left, first..own, right))
    }

    fn delete(&mut self, spans: &[UnitSpan]) -> Result<(), Invalid> {
        if spans.is_empty() {
            return Err(Invalid::Empty);
        }
        for &UnitSpan { changeset, offset, len } in spans {
            if len == 0 {
                return Err(Invalid::Empty);
            }
            let spot = self.spot(UnitRef { changeset, offset }, len)?;
            self.deleted.push((spot, len));
        }
        Ok(())
    }

    /// The first of `len` units that must be known to the author.
    pub(super) fn spot(&self, unit: UnitRef, len: u32) -> Result<Spot, Invalid> {
        let unknown = Invalid::UnknownUnit { offset: unit.offset };
        if unit.changeset == self.changeset {
            let end = unit.offset.checked_add(len).ok_or(unknown)?;
            return if end <= self.own { Ok(Spot::Own(unit.offset)) } else { Err(unknown) };
        }
        if unit.changeset == ChangesetIx::OPEN || !self.history.contains(self.changeset, unit.changeset) {
            return Err(Invalid::NotInPast);
        }
        self.log.resolve(unit, len).map(Spot::Past).ok_or(unknown)
    }

    /// Whether a place comes right after another in the author's list.
    fn follows(&self, left: Spot, right: Spot) -> bool {
        if let Some(&next) = self.next.get(&left) {
            return next == right;
        }
        match (left, right) {
            (Spot::Own(offset), _) => right == Spot::Own(offset + 1),
            // What was inserted right after a unit of the past is noted above.
            (_, Spot::Own(_)) => false,
            _ => self.follows_in_past(left.unit(), right.unit()),
        }
    }

    fn follows_in_past(&self, left: u32, right: u32) -> bool {
        let mut gap = self.list.gap_after(left);
        let (mut met, mut passed) = (0, false);
        // Each unit of a run was made by someone who saw the one before it: if the first is unknown, all are.
        while let Some((at, run)) = self.list.run_at(gap) {
            if run.first == right {
                break;
            }
            if run.first < self.log.units() && self.knows(self.log.changeset_of(run.first)) {
                return false;
            }
            gap = Loc { offset: at.offset + run.len, ..at };
            if (run.left, run.right) == (left, right) && !passed {
                met += 1;
                // Whoever knew something below one of a crowd would know that one.
                match self.list.crowd(left, right, |crowd| (self.knows_any(crowd), crowd.last())) {
                    Some((true, _)) => return false,
                    Some((false, last)) => (gap, passed) = (self.list.gap_after_run(last), true),
                    None => {}
                }
            }
        }
        if met > BLOCK {
            self.list.note_crowd(left, right, self.log.units());
        }
        self.list.unit_after(gap) == right
    }

    pub(super) fn knows(&self, changeset: ChangesetIx) -> bool {
        steps::count(1);
        self.history.contains(self.changeset, changeset)
    }

    fn knows_any(&self, crowd: &Crowd) -> bool {
        let newest = self.history.newest_known(self.changeset);
        let mut changesets = crowd.arrived().map(|unit| self.log.changeset_of(unit));
        newest.is_some_and(|newest| {
            changesets
                .by_ref()
                .take_while(|changeset| *changeset <= newest)
                .any(|changeset| self.knows(changeset))
        })
    }
}

impl Spot {
    pub(super) fn unit(self) -> u32 {
        match self {
            Spot::Edge => NONE,
            Spot::Past(unit) | Spot::Own(unit) => unit,
        }
    }
}
