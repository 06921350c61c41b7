//! What changed in the visible units, in the order it changed, for whoever mirrors it.
//!
//! While edits go on, only positions and unit numbers are noted; the inserted units are looked up when somebody asks.
//! Nothing is noted unless recording was switched on.

use super::units::Units;
use crate::causal::NameId;
use crate::event::Value;
use std::ops::Range;

/// Replaces `removed` units at `pos` by `inserted` ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delta {
    /// Where, counted after all deltas before this one.
    pub pos: u32,
    /// How many units go.
    pub removed: u32,
    /// How many units come; they stand next in the content beside the deltas.
    pub inserted: u32,
    /// Whether this was an edit made here.
    pub local: bool,
}

/// Changes of a text, or of what else is made of units, in application order.
#[derive(Clone, Debug, Default)]
pub struct Deltas<C = Units> {
    /// The changes.
    pub changes: Vec<Delta>,
    /// All inserted units, one change after the other.
    pub content: C,
    /// How the marks of a text changed meanwhile. Inserted units have none of themselves.
    pub marks: Vec<MarkDelta>,
}

/// A stretch of the text reads differently: all of it shows one value under a key, or none any more.
#[derive(Clone, Debug, PartialEq)]
pub struct MarkDelta {
    /// How many of the changes come before it.
    pub after: u32,
    /// Where it begins, counted after those.
    pub pos: u32,
    /// How many units it has.
    pub len: u32,
    /// The key of the mark.
    pub key: NameId,
    /// What it shows.
    pub value: Option<Value>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct DeltaLog<C = Units> {
    recording: bool,
    done: Deltas<C>,
    /// Changes whose units are not looked up yet, each with its first inserted unit.
    open: Vec<(Delta, u32)>,
    /// Those before this one are not joined with.
    joins_from: usize,
}

impl<C: Default> DeltaLog<C> {
    pub fn record(&mut self, on: bool) {
        *self = Self { recording: on, ..Self::default() };
    }

    pub fn recording(&self) -> bool {
        self.recording
    }

    pub fn insert(&mut self, pos: u32, first: u32, len: u32, local: bool) {
        if !self.recording {
            return;
        }
        if let Some((last, unit)) = self.last().filter(|(last, _)| last.local == local) {
            if last.inserted == 0 && last.pos == pos {
                (last.inserted, *unit) = (len, first);
                return;
            }
            if last.pos + last.inserted == pos && *unit + last.inserted == first {
                last.inserted += len;
                return;
            }
        }
        self.open.push((Delta { pos, removed: 0, inserted: len, local }, first));
    }

    pub fn remove(&mut self, pos: u32, len: u32, local: bool) {
        if !self.recording {
            return;
        }
        let goes_on = |last: &Delta| last.inserted == 0 && (pos..=pos + len).contains(&last.pos);
        if let Some((last, _)) = self.last().filter(|(last, _)| last.local == local && goes_on(last)) {
            last.pos = pos;
            last.removed += len;
            return;
        }
        self.open.push((Delta { pos, removed: len, inserted: 0, local }, 0));
    }

    /// The last change, if it may be joined with.
    fn last(&mut self) -> Option<&mut (Delta, u32)> {
        self.open[self.joins_from..].last_mut()
    }

    /// How many changes there are since the last drain.
    pub fn len(&self) -> u32 {
        (self.done.changes.len() + self.open.len()) as u32
    }

    /// What comes is not joined with what was noted so far; says how many changes that are.
    pub fn barrier(&mut self) -> u32 {
        self.joins_from = self.open.len();
        self.len()
    }

    /// Joins an insert with the last change, across a barrier, if it goes on with it; says whether it did.
    pub fn extend(&mut self, pos: u32, first: u32, len: u32, local: bool) -> bool {
        let goes_on = |(last, unit): &&mut (Delta, u32)| {
            last.local == local
                && last.inserted > 0
                && last.pos + last.inserted == pos
                && *unit + last.inserted == first
        };
        let last = self.open.last_mut().filter(goes_on);
        last.map(|(last, _)| last.inserted += len).is_some()
    }

    /// Whether the last change inserted just these units.
    pub fn is_insert_of(&self, pos: u32, len: u32) -> bool {
        self.open.last().is_some_and(|(last, _)| (last.pos, last.inserted) == (pos, len))
    }

    /// Looks the inserted units up, before some of them change or go.
    pub fn settle(&mut self, mut take: impl FnMut(&mut C, Range<u32>)) {
        for (delta, first) in self.open.drain(..) {
            take(&mut self.done.content, first..first + delta.inserted);
            self.done.changes.push(delta);
        }
        self.joins_from = 0;
    }

    pub fn drain(&mut self, take: impl FnMut(&mut C, Range<u32>)) -> Deltas<C> {
        self.settle(take);
        std::mem::take(&mut self.done)
    }

    /// Forgets what was noted.
    pub fn clear(&mut self) {
        self.open.clear();
        self.joins_from = 0;
        self.done = Deltas::default();
    }
}
