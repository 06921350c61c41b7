//! Which mark of one key wins where: one sweep over a stretch of the list, past the places where marks begin and end.
//!
//! The winner is found as that of a register is (see `register`): of the marks that cover a place and count, those that
//! no other one of them has in its causal past, and of these the newest.

use super::Recency;
use super::bound::Bound;
use super::piece_list::PieceList;
use crate::causal::{ChangesetIx, OpIx};
use crate::sorted::sort_by;
use crate::steps;
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// A mark. Rows are in topological order.
#[derive(Clone, Debug)]
pub(super) struct MarkRow {
    /// Not known while it is of the open batch.
    pub op: OpIx,
    pub changeset: ChangesetIx,
    pub track: u32,
    pub start: Bound,
    pub end: Bound,
    /// Number of its value; none while that is absent.
    pub value: Option<u32>,
    pub active: bool,
}

/// From here on this mark wins, up to the next segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub from: Bound,
    /// Its row, or [`NO_MARK`].
    pub winner: u32,
}

/// Stands for "no mark wins here".
pub(super) const NO_MARK: u32 = u32::MAX;

impl MarkRow {
    pub fn counts(&self) -> bool {
        self.active && self.value.is_some()
    }
}

/// The segments of a stretch, given all rows that overlap it. The first one begins where it does; neighbours differ.
pub(super) fn sweep<const LEAF: usize, const BLOCK: usize>(
    list: &PieceList<LEAF, BLOCK>,
    history: &impl Recency,
    rows: &[MarkRow],
    overlapping: &[u32],
    (from, to): (Bound, Bound),
) -> Vec<Segment> {
    let mut edges: Vec<(Bound, u32, bool)> = Vec::new();
    for &row in overlapping {
        let MarkRow { start, end, .. } = rows[row as usize];
        if rows[row as usize].counts() {
            edges.push((if start.order(from, list).is_lt() { from } else { start }, row, true));
            if end.order(to, list).is_lt() {
                edges.push((end, row, false));
            }
        }
    }
    sort_by(&mut edges, |a, b| a.0.order(b.0, list));
    let mut open = Open { history, rows, open: BTreeSet::new(), maximal: Vec::new(), stale: false };
    let mut segments = vec![Segment { from, winner: NO_MARK }];
    for here in edges.chunk_by(|a, b| a.0 == b.0) {
        here.iter().for_each(|&(_, row, opens)| if opens { open.begin(row) } else { open.end(row) });
        let (from, winner) = (here[0].0, open.winner());
        match segments.last_mut() {
            Some(last) if last.winner == winner => {}
            // Only the first can lie at the same place.
            Some(last) if last.from == from => last.winner = winner,
            _ => segments.push(Segment { from, winner }),
        }
    }
    segments
}

/// The marks that cover a place.
struct Open<'a, H> {
    history: &'a H,
    rows: &'a [MarkRow],
    open: BTreeSet<u32>,
    maximal: Vec<u32>,
    /// One of the maximal ones has ended: the others have to be looked at again.
    stale: bool,
}

impl<H: Recency> Open<'_, H> {
    fn begin(&mut self, row: u32) {
        self.open.insert(row);
        if self.stale || self.maximal.iter().any(|&other| self.overwrites(other, row)) {
            return;
        }
        let mut maximal = std::mem::take(&mut self.maximal);
        maximal.retain(|&other| !self.overwrites(row, other));
        maximal.push(row);
        self.maximal = maximal;
    }

    fn end(&mut self, row: u32) {
        self.open.remove(&row);
        self.stale |= self.maximal.contains(&row);
    }

    fn winner(&mut self) -> u32 {
        if std::mem::take(&mut self.stale) {
            let (mut maximal, mut end): (Vec<u32>, u32) = (Vec::new(), NO_MARK);
            while let Some(&row) = self.open.range(..end).next_back() {
                if !maximal.iter().any(|&other| self.overwrites(other, row)) {
                    maximal.push(row);
                }
                // The others of its changeset come before it.
                let changeset = self.rows[row as usize].changeset;
                end = self.rows.partition_point(|other| other.changeset < changeset) as u32;
            }
            self.maximal = maximal;
        }
        self.maximal.iter().copied().max_by(|&a, &b| self.newer(a, b)).unwrap_or(NO_MARK)
    }

    fn overwrites(&self, later: u32, earlier: u32) -> bool {
        steps::count(1);
        let changeset = |row: u32| self.rows[row as usize].changeset;
        earlier < later && self.history.contains(changeset(later), changeset(earlier))
    }

    fn newer(&self, a: u32, b: u32) -> Ordering {
        let row = |row: u32| &self.rows[row as usize];
        if row(a).changeset == row(b).changeset {
            return a.cmp(&b);
        }
        match (row(a).changeset, row(b).changeset) {
            (ChangesetIx::OPEN, _) => Ordering::Greater,
            (_, ChangesetIx::OPEN) => Ordering::Less,
            _ => self.history.newer(row(a).op, row(b).op),
        }
    }
}
