//! A text as any set of ops makes it, closed under causality or not: the specification of what the live text is, and
//! the time machine. The open batch has no ops yet and is not part of any selection.

use super::deltas::{Delta, Deltas};
use super::text::Text;
use super::unit_log::{Effect, Span, UnitLog};
use super::units::Units;
use crate::causal::OpIx;
use std::ops::Range;

/// One bit per unit: whether it shows.
struct Selection(Vec<u64>);

impl<const LEAF: usize, const BLOCK: usize> Text<LEAF, BLOCK> {
    /// The text that the selected ops make.
    pub fn read_at(&self, selected: impl Fn(OpIx) -> bool) -> String {
        let selection = Selection::new(&self.log, selected);
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

    /// What turns the text that the ops `from` make into the one that `to` make.
    pub fn diff(&self, from: impl Fn(OpIx) -> bool, to: impl Fn(OpIx) -> bool) -> Deltas {
        let (from, to) = (Selection::new(&self.log, from), Selection::new(&self.log, to));
        let mut deltas: Deltas = Deltas::default();
        let mut pos = 0;
        for run in self.list.iter().filter(|run| run.first < self.log.units()) {
            let mut unit = run.first;
            let end = run.end().min(self.log.units());
            while unit < end {
                let (was, next) = from.stretch(unit..end);
                let (is, next) = to.stretch(unit..next);
                let len = next - unit;
                if is && !was {
                    deltas.content.push_units(&self.units, unit..next);
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
}

impl Deltas {
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

impl Selection {
    fn new(log: &UnitLog, selected: impl Fn(OpIx) -> bool) -> Self {
        let mut bits = Self(vec![0; (log.units() as usize).div_ceil(64)]);
        for (op, _, effect) in log.effects() {
            match effect {
                _ if !selected(op) => {}
                Effect::Insert(span) => bits.set(span, true),
                // Its targets were inserted by ops before it, so nothing shows them again.
                Effect::Delete(spans) => spans.iter().for_each(|&span| bits.set(span, false)),
            }
        }
        log.absent().for_each(|span| bits.set(span, false));
        bits
    }

    fn set(&mut self, span: Span, on: bool) {
        let mut unit = span.first;
        while unit < span.end() {
            let (word, bit) = ((unit / 64) as usize, unit % 64);
            let len = (64 - bit).min(span.end() - unit);
            let mask = (u64::MAX >> (64 - len)) << bit;
            if on {
                self.0[word] |= mask;
            } else {
                self.0[word] &= !mask;
            }
            unit += len;
        }
    }

    /// Whether the first unit shows, and up to where in the range it stays so.
    fn stretch(&self, range: Range<u32>) -> (bool, u32) {
        let bits = |unit: u32| self.0[(unit / 64) as usize] >> (unit % 64);
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
