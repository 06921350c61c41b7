//! What is marked with one key of a text: its marks by place, and the segments where one of them wins.

use super::bound::Bound;
use super::intervals::{Ends, Intervals};
use super::mark_sweep::{MarkRow, NO_MARK, Segment};
use super::piece_list::PieceList;
use crate::causal::NameId;
use crate::event::Expand;
use crate::sorted::sort_by;
use std::cmp::Ordering;

/// What is marked with one key.
#[derive(Clone, Debug)]
pub(super) struct Track {
    pub key: NameId,
    pub rows: Intervals,
    /// Before the first of them no mark wins. Neighbours have different winners.
    pub segments: Vec<Segment>,
    pub dirty: Vec<(Bound, Bound)>,
    /// How the last mark grows that set something here.
    pub habit: Expand,
}

impl Track {
    pub fn new(key: NameId) -> Self {
        let habit = Expand { before: false, after: true };
        Self { key, rows: Intervals::default(), segments: Vec::new(), dirty: Vec::new(), habit }
    }

    /// The number of the first segment behind a place; the one before that is the one of the place.
    pub fn next<const LEAF: usize, const BLOCK: usize>(
        &self,
        list: &PieceList<LEAF, BLOCK>,
        place: Bound,
    ) -> usize {
        self.segments.partition_point(|segment| segment.from.order(place, list).is_le())
    }

    /// Puts new segments in place of those of a stretch, and gives the old ones, the first from the start of the stretch.
    pub fn replace<const LEAF: usize, const BLOCK: usize>(
        &mut self,
        list: &PieceList<LEAF, BLOCK>,
        (from, to): (Bound, Bound),
        new: &[Segment],
    ) -> Vec<Segment> {
        let is_before = |place: Bound| move |segment: &Segment| segment.from.order(place, list).is_lt();
        let first = self.segments.partition_point(is_before(from));
        let end = first + self.segments[first..].partition_point(is_before(to));
        let winner_before = |at: usize| at.checked_sub(1).map_or(NO_MARK, |at| self.segments[at].winner);
        let (before, last) = (winner_before(first), winner_before(end));
        let mut old = self.segments[first..end].to_vec();
        if old.first().is_none_or(|segment| segment.from != from) {
            old.insert(0, Segment { from, winner: before });
        }
        let mut put: Vec<Segment> = new.to_vec();
        if put[0].winner == before {
            put.remove(0);
        }
        let now = put.last().map_or(before, |segment| segment.winner);
        let mut end = end;
        match self.segments.get(end) {
            Some(next) if next.from == to => end += usize::from(next.winner == now),
            _ if last != now && to != Bound::END => put.push(Segment { from: to, winner: last }),
            _ => {}
        }
        self.segments.splice(first..end, put);
        old
    }
}

/// How the marks of a text lie.
pub(super) struct RowEnds<'a, const LEAF: usize, const BLOCK: usize> {
    pub list: &'a PieceList<LEAF, BLOCK>,
    pub rows: &'a [MarkRow],
}

impl<const LEAF: usize, const BLOCK: usize> Ends for RowEnds<'_, LEAF, BLOCK> {
    fn starts(&self, a: u32, b: u32) -> Ordering {
        self.rows[a as usize].start.order(self.rows[b as usize].start, self.list)
    }

    fn ends(&self, a: u32, b: u32) -> Ordering {
        self.rows[a as usize].end.order(self.rows[b as usize].end, self.list)
    }
}

/// Stretches without those parts that are in it twice.
pub(super) fn joined<const LEAF: usize, const BLOCK: usize>(
    mut stretches: Vec<(Bound, Bound)>,
    list: &PieceList<LEAF, BLOCK>,
) -> Vec<(Bound, Bound)> {
    sort_by(&mut stretches, |a, b| a.0.order(b.0, list));
    let mut joined: Vec<(Bound, Bound)> = Vec::new();
    for (from, to) in stretches {
        match joined.last_mut() {
            Some(last) if from.order(last.1, list).is_le() => {
                if to.order(last.1, list).is_gt() {
                    last.1 = to;
                }
            }
            _ => joined.push((from, to)),
        }
    }
    joined
}
