//! The numbering of ops: which op belongs to which changeset, and when that was made. Together with the causal graph it is
//! what the data types ask about the past ([`History`], [`Recency`]).

use crate::causal::{CausalGraph, ChangesetIx, Hlc, OpIx};
use crate::codec::{DecodeError, Reader, Saved, Writer, limits, saved};
use crate::crdt::{History, Recency, Sequence};
use std::cmp::Ordering;
use std::ops::Range;

/// Stamp and op numbers of every changeset in the graph. The batch that is open uses the numbers that come next.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    stamps: Vec<Hlc>,
    undo_groups: Vec<u64>,
    first_ops: Vec<u32>,
    ops: u32,
    /// Per 64 ops.
    firsts: Vec<Firsts>,
    /// The changesets whose rank is not their stamp, ascending.
    ranks: Vec<(ChangesetIx, Rank)>,
}

/// A place in an order of all changesets in which what is known comes first: milliseconds and a counter.
type Rank = (u64, u32);

/// Which of 64 ops are the first of a changeset: every question about the past asks for the changeset of two ops.
#[derive(Clone, Copy, Debug)]
struct Firsts {
    /// How many changesets begin before these ops.
    before: u32,
    bits: u64,
}

impl Timeline {
    /// Numbers the ops of the next changeset; an inert one has none.
    pub fn push(&mut self, stamp: Hlc, undo_group: u64, ops: u32) -> Range<u32> {
        let first = self.ops;
        self.stamps.push(stamp);
        self.undo_groups.push(undo_group);
        self.number(ops);
        first..self.ops
    }

    fn number(&mut self, ops: u32) {
        let (before, first) = (self.first_ops.len() as u32, self.ops);
        self.first_ops.push(first);
        self.ops += ops;
        if ops > 0 {
            let words = self.ops.div_ceil(64) as usize;
            if first as usize / 64 == self.firsts.len() {
                self.firsts.push(Firsts { before, bits: 0 });
            }
            self.firsts[first as usize / 64].bits |= 1 << (first % 64);
            self.firsts.resize(words, Firsts { before: before + 1, bits: 0 });
        }
    }

    /// Ranks a changeset of the graph before [`Timeline::push`]: by its stamp, if that exceeds the ranks of its parents, else
    /// right behind them. One without a stamp that everybody reads has the greatest rank of its parents.
    pub fn rank(&mut self, graph: &CausalGraph, changeset: ChangesetIx, stamp: Option<Hlc>) {
        let parents = graph.prev(changeset).into_iter().chain(graph.deps(changeset).iter().copied());
        let known = parents.map(|parent| self.rank_of(parent)).max();
        let own = stamp.map(|stamp| (stamp.ms, u32::from(stamp.counter)));
        match (own, known) {
            (Some(own), known) if known.is_none_or(|known| own > known) => {}
            (own, known) => {
                let (ms, counter) = known.unwrap_or_default();
                self.ranks.push((changeset, (ms, counter.saturating_add(own.is_some().into()))));
            }
        }
    }

    fn rank_of(&self, changeset: ChangesetIx) -> Rank {
        if let Ok(at) = self.ranks.binary_search_by_key(&changeset, |(of, _)| *of) {
            return self.ranks[at].1;
        }
        let Hlc { ms, counter } = self.stamp(changeset);
        (ms, counter.into())
    }

    /// The number that the next op gets.
    pub fn next_op(&self) -> u32 {
        self.ops
    }

    /// How many changesets there are.
    pub fn changesets(&self) -> u32 {
        self.stamps.len() as u32
    }

    /// The stamp of a changeset.
    pub fn stamp(&self, changeset: ChangesetIx) -> Hlc {
        self.stamps[changeset.0 as usize]
    }

    /// The number that a changeset shares with those that are undone together with it; 0 is none.
    pub fn undo_group(&self, changeset: ChangesetIx) -> u64 {
        self.undo_groups[changeset.0 as usize]
    }

    /// The ops of a changeset.
    pub fn ops_of(&self, changeset: ChangesetIx) -> Range<u32> {
        let at = changeset.0 as usize;
        self.first_ops[at]..self.first_ops.get(at + 1).copied().unwrap_or(self.ops)
    }

    /// The changeset of an op; `OPEN` for ops that are not sealed yet. O(1), O(log n) behind changesets without ops.
    pub fn changeset_of(&self, op: OpIx) -> ChangesetIx {
        if op.0 >= self.ops {
            return ChangesetIx::OPEN;
        }
        let word = self.firsts[(op.0 / 64) as usize];
        let begun = word.before + (word.bits << (63 - op.0 % 64)).count_ones();
        // Changesets without ops have no bit, and share a first op with their successor: the last of them is the one that has it.
        match self.first_ops.get(begun as usize) {
            Some(next) if *next <= op.0 => {
                let rest = &self.first_ops[begun as usize..];
                ChangesetIx(begun + rest.partition_point(|first| *first <= op.0) as u32 - 1)
            }
            _ => ChangesetIx(begun - 1),
        }
    }

    /// The past as the data types see it.
    pub fn over<'a>(&'a self, graph: &'a CausalGraph) -> Past<'a> {
        Past { graph, timeline: self }
    }
}

/// The causal graph with the numbering of ops.
#[derive(Clone, Copy)]
pub struct Past<'a> {
    graph: &'a CausalGraph,
    timeline: &'a Timeline,
}

impl History for Past<'_> {
    fn contains(&self, of: ChangesetIx, past: ChangesetIx) -> bool {
        of == past || of == ChangesetIx::OPEN || (past != ChangesetIx::OPEN && self.graph.contains(of, past))
    }

    fn newest_known(&self, of: ChangesetIx) -> Option<ChangesetIx> {
        if of == ChangesetIx::OPEN { Some(of) } else { self.graph.newest_parent(of) }
    }

    fn order(&self, a: ChangesetIx, b: ChangesetIx) -> Ordering {
        self.graph.order(a, b)
    }

    fn by_id(&self, a: ChangesetIx, b: ChangesetIx) -> Ordering {
        self.graph.id(a).cmp(&self.graph.id(b))
    }

    fn changeset_of(&self, op: OpIx) -> ChangesetIx {
        self.timeline.changeset_of(op)
    }
}

impl Recency for Past<'_> {
    fn newer(&self, a: OpIx, b: OpIx) -> Ordering {
        let (in_a, in_b) = (self.changeset_of(a), self.changeset_of(b));
        if in_a == in_b {
            return a.cmp(&b);
        }
        let key = |changeset| {
            (changeset != ChangesetIx::OPEN)
                .then(|| (self.timeline.stamp(changeset), self.graph.id(changeset)))
        };
        match (key(in_a), key(in_b)) {
            (None, _) => Ordering::Greater,
            (_, None) => Ordering::Less,
            (a, b) => a.cmp(&b),
        }
    }
}

impl Sequence for Past<'_> {
    fn earlier(&self, a: OpIx, b: OpIx) -> Ordering {
        let (in_a, in_b) = (self.changeset_of(a), self.changeset_of(b));
        if in_a == in_b || in_a == ChangesetIx::OPEN || in_b == ChangesetIx::OPEN {
            return a.cmp(&b);
        }
        let key = |changeset| (self.timeline.rank_of(changeset), self.graph.id(changeset));
        key(in_a).cmp(&key(in_b))
    }
}

impl Saved for Timeline {
    fn save(&self, out: &mut Writer) {
        out.varint(self.stamps.len() as u64);
        let mut last = 0;
        for stamp in &self.stamps {
            out.zigzag(stamp.ms as i64 - last).varint(u64::from(stamp.counter));
            last = stamp.ms as i64;
        }
        self.undo_groups.iter().for_each(|group| group.save(out));
        for changeset in 0..self.stamps.len() {
            (self.ops_of(ChangesetIx(changeset as u32)).len() as u32).save(out);
        }
        saved::save_steps(out, self.ranks.iter().map(|(of, _)| of.0));
        self.ranks.iter().for_each(|(_, rank)| rank.save(out));
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        // Four numbers of a byte at least.
        let count = from.count("changesets", u32::MAX as usize, 4)?;
        let mut timeline = Self { first_ops: Vec::with_capacity(count), ..Self::default() };
        timeline.stamps.reserve_exact(count);
        let mut last = 0_i64;
        for _ in 0..count {
            let at = from.position();
            let over = DecodeError::OverLimit { what: "stamp", at, limit: limits::TIME_MS_MAX };
            last += from.zigzag("stamp")?;
            let ms = u64::try_from(last).ok().filter(|ms| *ms <= limits::TIME_MS_MAX).ok_or(over)?;
            let counter = from.varint("stamp", u64::from(u16::MAX))? as u16;
            timeline.stamps.push(Hlc { ms, counter });
        }
        timeline.undo_groups.reserve_exact(count);
        for _ in 0..count {
            timeline.undo_groups.push(u64::load(from)?);
        }
        for _ in 0..count {
            let ops = from.varint_u32("ops", limits::OPS_MAX as u32)?;
            saved::check(timeline.ops.checked_add(ops).is_some(), from, "ops", "they can be numbered")?;
            timeline.number(ops);
        }
        for of in saved::load_rising(from)? {
            timeline.ranks.push((ChangesetIx(of), Saved::load(from)?));
        }
        Ok(timeline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ops_find_their_changeset_over_words_of_bits() {
        let sizes = [0, 1, 63, 64, 0, 65, 1, 1, 0, 0, 200, 2, 0];
        let mut timeline = Timeline::default();
        for ops in sizes {
            timeline.push(Hlc::default(), 0, ops);
        }
        let owners = sizes.iter().zip(0..).flat_map(|(ops, at)| (0..*ops).map(move |_| ChangesetIx(at)));
        assert!(owners.eq((0..timeline.next_op()).map(|op| timeline.changeset_of(OpIx(op)))));
    }

    #[test]
    fn ops_find_their_changeset_past_empty_ones() {
        let mut timeline = Timeline::default();
        for ops in [2, 0, 0, 3, 0] {
            timeline.push(Hlc::default(), 0, ops);
        }
        let owners: Vec<u32> = (0..5).map(|op| timeline.changeset_of(OpIx(op)).0).collect();
        assert_eq!(owners, [0, 0, 3, 3, 3]);
        assert_eq!(timeline.changeset_of(OpIx(5)), ChangesetIx::OPEN);
        assert_eq!((timeline.ops_of(ChangesetIx(1)), timeline.ops_of(ChangesetIx(3))), (2..2, 2..5));
    }
}
