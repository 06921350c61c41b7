//! A text as any set of ops makes it, closed under causality or not: the specification of what the live text is, and
//! the time machine. The open batch has no ops yet and is not part of any selection.

use super::Recency;
use super::bits::Bits;
use super::deltas::{Delta, Deltas};
use super::mark_runs::mark_deltas;
use super::piece::Piece;
use super::piece_list::PieceList;
use super::text::Text;
use super::unit_log::{Effect, UnitLog};
use super::units::Units;
use crate::causal::OpIx;
use crate::steps;
use std::ops::Range;

impl<const LEAF: usize, const BLOCK: usize> Text<LEAF, BLOCK> {
    /// The text that the selected ops make.
    pub fn read_at(&self, selected: impl Fn(OpIx) -> bool) -> String {
        let selection = showing(&self.log, selected);
        let mut out = Units::default();
        for run in self.list.iter().filter(|run| run.first < self.log.units()) {
            let mut unit = run.first;
            let end = run.end().min(self.log.units());
            while unit < end {
                let (shows, next) = selection.stretch(unit..end);
                if shows {
                    out.push_units(&self.units, unit..next);
                }
                unit = next;
            }
        }
        out.into_string()
    }

    /// A text of its own that reads as the selected ops make it: the same units under the same names, hidden or not. It is
    /// there to be read: it knows no ops but marks, and none can be applied or switched. O(ops + pieces), and a copy of
    /// the units.
    #[must_use]
    pub fn at(&self, history: &impl Recency, selected: impl Fn(OpIx) -> bool) -> Self {
        let mut units = self.units.clone();
        units.truncate(self.log.units());
        let list = self.list.at(&showing(&self.log, &selected), self.log.units());
        let marks = self.marks.as_ref().map(|marks| Box::new(marks.selected(&list, selected)));
        let mut text = Self { list, units, log: self.log.without_ops(), marks, ..Self::default() };
        text.settle(history);
        text
    }

    /// What turns the text that the ops `from` make into the one that `to` make.
    pub fn diff(
        &self,
        history: &impl Recency,
        from: impl Fn(OpIx) -> bool,
        to: impl Fn(OpIx) -> bool,
    ) -> Deltas {
        let shows = (&showing(&self.log, &from), &showing(&self.log, &to));
        let mut deltas = Deltas::between(&self.list, self.log.units(), shows, |out: &mut Units, units| {
            out.push_units(&self.units, units);
        });
        if self.marks.is_some() {
            let (from, to) = (self.at(history, from), self.at(history, to));
            deltas.marks = mark_deltas(&from.runs(), &deltas.changes, &to.runs());
        }
        deltas
    }
}

impl<const LEAF: usize, const BLOCK: usize> PieceList<LEAF, BLOCK> {
    /// The list of the first `units`, of which these show. O(pieces + stretches that show or do not).
    pub(super) fn at(&self, shows: &Bits, units: u32) -> Self {
        let mut list = Self::new();
        // Inside out: a loop over nested iterators takes a quarter longer.
        self.iter().filter(|run| run.first < units).for_each(|run| {
            let (end, mut unit) = (run.end().min(units), run.first);
            while unit < end {
                let (is_shown, next) = shows.stretch(unit..end);
                let rest = run.tail(unit - run.first);
                list.append(Piece { len: next - unit, hide: u32::from(!is_shown), ..rest });
                unit = next;
            }
        });
        list
    }
}

impl<C: Default> Deltas<C> {
    /// What turns the list in which some of the first `units` show into the one in which others do. `push` adds units to
    /// the content.
    pub(super) fn between<const LEAF: usize, const BLOCK: usize>(
        list: &PieceList<LEAF, BLOCK>,
        units: u32,
        (from, to): (&Bits, &Bits),
        push: impl Fn(&mut C, Range<u32>),
    ) -> Self {
        let (mut deltas, mut pos) = (Self::default(), 0);
        for run in list.iter().filter(|run| run.first < units) {
            let (end, mut unit) = (run.end().min(units), run.first);
            while unit < end {
                let (was, next) = from.stretch(unit..end);
                let (is, next) = to.stretch(unit..next);
                let len = next - unit;
                if is && !was {
                    push(&mut deltas.content, unit..next);
                }
                if was != is {
                    deltas.push(pos, if was { len } else { 0 }, if is { len } else { 0 });
                }
                pos += if is { len } else { 0 };
                unit = next;
            }
        }
        deltas
    }

    /// Adds a change that lies behind all others.
    fn push(&mut self, pos: u32, removed: u32, inserted: u32) {
        match self.changes.last_mut() {
            Some(last) if last.pos + last.inserted == pos => {
                last.removed += removed;
                last.inserted += inserted;
            }
            _ => self.changes.push(Delta { pos, removed, inserted, local: false }),
        }
    }
}

/// One bit per unit: whether it shows.
pub(super) fn showing(log: &UnitLog, selected: impl Fn(OpIx) -> bool) -> Bits {
    let mut bits = Bits::new(log.units());
    for effect in log.effects_of(selected) {
        steps::count(1);
        match effect {
            Effect::Insert(span) => bits.set(span.range(), true),
            // Its targets were inserted by ops before it, so nothing shows them again.
            Effect::Delete(spans) => spans.iter().for_each(|span| bits.set(span.range(), false)),
            Effect::Move(_) => {}
        }
    }
    log.absent().for_each(|span| bits.set(span.range(), false));
    bits
}
