//! A text or a list as any set of ops makes it, closed under causality or not: the specification of what the live one is,
//! and the time machine. The open batch has no ops yet and is not part of any selection.

use super::Recency;
use super::deltas::{Delta, Deltas};
use super::list::{List, copy, value};
use super::piece_list::PieceList;
use super::text::Text;
use super::unit_log::{Effect, Span, UnitLog};
use super::units::Units;
use crate::causal::OpIx;
use crate::event::Value;
use std::ops::Range;

/// One bit per unit: whether it shows.
struct Selection {
    bits: Vec<u64>,
    units: u32,
}

impl<const LEAF: usize, const BLOCK: usize> Text<LEAF, BLOCK> {
    /// The text that the selected ops make.
    pub fn read_at(&self, selected: impl Fn(OpIx) -> bool) -> String {
        let mut out = Units::default();
        let selection = Selection::new(&self.log, selected);
        selection.read(&self.list, |units| out.push_units(&self.units, units));
        out.into_string()
    }

    /// What turns the text that the ops `from` make into the one that `to` make.
    pub fn diff(&self, from: impl Fn(OpIx) -> bool, to: impl Fn(OpIx) -> bool) -> Deltas {
        let (from, to) = (Selection::new(&self.log, from), Selection::new(&self.log, to));
        let mut content = Units::default();
        let changes = from.diff(&to, &self.list, |units| content.push_units(&self.units, units));
        Deltas { changes, content }
    }
}

impl<const LEAF: usize, const BLOCK: usize> List<LEAF, BLOCK> {
    /// The list that the selected ops make.
    pub fn read_at(&self, history: &impl Recency, selected: impl Fn(OpIx) -> bool) -> Vec<&Value> {
        let mut out = Vec::new();
        let selection = self.selection(history, selected);
        selection.read(&self.list, |units| out.extend(units.filter_map(|unit| value(&self.cells, unit))));
        out
    }

    /// What turns the list that the ops `from` make into the one that `to` make.
    pub fn diff(
        &self,
        history: &impl Recency,
        from: impl Fn(OpIx) -> bool,
        to: impl Fn(OpIx) -> bool,
    ) -> Deltas<Vec<Value>> {
        let (from, to) = (self.selection(history, from), self.selection(history, to));
        let mut content = Vec::new();
        let changes = from.diff(&to, &self.list, |units| copy(&self.cells, &mut content, units));
        Deltas { changes, content }
    }

    /// A moved element is in the slot that wins.
    fn selection(&self, history: &impl Recency, selected: impl Fn(OpIx) -> bool) -> Selection {
        let mut selection = Selection::new(&self.log, &selected);
        for (element, slot) in self.moves.places_at(history, self.log.units(), selected) {
            if slot != element {
                let shows = selection.shows(element);
                selection.set(Span { first: element, len: 1 }, false);
                selection.set(Span { first: slot, len: 1 }, shows);
            }
        }
        selection
    }
}

/// Adds a change that lies behind all others.
fn push(changes: &mut Vec<Delta>, pos: u32, removed: u32, inserted: u32) {
    match changes.last_mut() {
        Some(last) if last.pos + last.inserted == pos => {
            last.removed += removed;
            last.inserted += inserted;
        }
        _ => changes.push(Delta { pos, removed, inserted, local: false }),
    }
}

impl Selection {
    fn new(log: &UnitLog, selected: impl Fn(OpIx) -> bool) -> Self {
        let mut bits = Self { bits: vec![0; (log.units() as usize).div_ceil(64)], units: log.units() };
        for (op, _, effect) in log.effects() {
            match effect {
                _ if !selected(op) => {}
                Effect::Insert(span) => bits.set(span, true),
                // Its targets were inserted by ops before it, so nothing shows them again.
                Effect::Delete(spans) => spans.iter().for_each(|&span| bits.set(span, false)),
                Effect::Move(_) => {}
            }
        }
        log.absent().for_each(|span| bits.set(span, false));
        bits
    }

    /// Gives the units that show, in list order.
    fn read<const LEAF: usize, const BLOCK: usize>(
        &self,
        list: &PieceList<LEAF, BLOCK>,
        mut each: impl FnMut(Range<u32>),
    ) {
        for run in list.iter().filter(|run| run.first < self.units) {
            let mut unit = run.first;
            let end = run.end().min(self.units);
            while unit < end {
                let (shows, next) = self.stretch(unit..end);
                if shows {
                    each(unit..next);
                }
                unit = next;
            }
        }
    }

    /// What turns what shows into what shows in another one; the units that come are given to `each`.
    fn diff<const LEAF: usize, const BLOCK: usize>(
        &self,
        to: &Self,
        list: &PieceList<LEAF, BLOCK>,
        mut each: impl FnMut(Range<u32>),
    ) -> Vec<Delta> {
        let (mut changes, mut pos) = (Vec::new(), 0);
        for run in list.iter().filter(|run| run.first < self.units) {
            let mut unit = run.first;
            let end = run.end().min(self.units);
            while unit < end {
                let (was, next) = self.stretch(unit..end);
                let (is, next) = to.stretch(unit..next);
                let len = next - unit;
                if is && !was {
                    each(unit..next);
                }
                if was != is {
                    push(&mut changes, pos, if was { len } else { 0 }, if is { len } else { 0 });
                }
                pos += if is { len } else { 0 };
                unit = next;
            }
        }
        changes
    }

    fn shows(&self, unit: u32) -> bool {
        self.stretch(unit..unit + 1).0
    }

    fn set(&mut self, span: Span, on: bool) {
        let mut unit = span.first;
        while unit < span.end() {
            let (word, bit) = ((unit / 64) as usize, unit % 64);
            let len = (64 - bit).min(span.end() - unit);
            let mask = (u64::MAX >> (64 - len)) << bit;
            if on {
                self.bits[word] |= mask;
            } else {
                self.bits[word] &= !mask;
            }
            unit += len;
        }
    }

    /// Whether the first unit shows, and up to where in the range it stays so.
    fn stretch(&self, range: Range<u32>) -> (bool, u32) {
        let bits = |unit: u32| self.bits[(unit / 64) as usize] >> (unit % 64);
        let shows = bits(range.start) & 1 == 1;
        let mut unit = range.start;
        while unit < range.end {
            let same = if shows { (!bits(unit)).trailing_zeros() } else { bits(unit).trailing_zeros() };
            let in_word = 64 - unit % 64;
            unit += same.min(in_word);
            if same < in_word {
                break;
            }
        }
        (shows, unit.min(range.end))
    }
}
