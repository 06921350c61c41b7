//! The marks of a text: for each key which one wins where, kept up as marks come, go and are switched.
//!
//! Invariant: after [`Marks::settle`], the segments of a key say at each place of the list which of the marks that count
//! and cover it wins. They lie between places, not positions, so no edit of the text moves them. What is switched or
//! added only notes its stretch; settling sweeps those stretches and tells what reads differently.
//!
//! A text without marks has none of this.

use super::Recency;
use super::bound::Bound;
use super::deltas::{DeltaLog, MarkDelta};
use super::mark_sweep::{MarkRow, NO_MARK, Segment, sweep};
use super::mark_told::{Shown, Told, differences, in_order};
use super::mark_track::{RowEnds, Track, joined};
use super::piece_list::PieceList;
use crate::causal::{ChangesetIx, NameId, OpIx};
use crate::event::{Expand, Value};
use crate::sorted::sort_by_key;
use foldhash::HashMap;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    rows: Vec<MarkRow>,
    /// Rows from here on are of the open batch.
    sealed: usize,
    tracks: Vec<Track>,
    by_key: BTreeMap<NameId, u32>,
    /// Tracks with a segment where a mark wins.
    shown: BTreeSet<u32>,
    /// Tracks with stretches that have to be swept.
    dirty: BTreeSet<u32>,
    values: Values,
    told: Told,
}

/// Each value once; number 0 is null, which shows as no mark.
#[derive(Clone, Debug)]
struct Values {
    all: Vec<Value>,
    numbers: HashMap<Box<[u8]>, u32>,
}

impl Marks {
    /// Adds a mark whose op comes behind all others. Its value is absent until [`Marks::fill`].
    pub fn push<const LEAF: usize, const BLOCK: usize>(
        &mut self,
        list: &PieceList<LEAF, BLOCK>,
        (changeset, op): (ChangesetIx, OpIx),
        key: NameId,
        (start, end): (Bound, Bound),
        active: bool,
    ) -> u32 {
        let track = *self.by_key.entry(key).or_insert_with(|| {
            self.tracks.push(Track::new(key));
            self.tracks.len() as u32 - 1
        });
        let row = self.rows.len() as u32;
        self.rows.push(MarkRow { op, changeset, track, start, end, value: None, active });
        if changeset != ChangesetIx::OPEN {
            self.sealed = self.rows.len();
        }
        let ends = RowEnds { list, rows: &self.rows };
        self.tracks[track as usize].rows.insert(row, &ends);
        row
    }

    /// Gives a mark its value.
    pub fn fill(&mut self, row: u32, value: Value) {
        let number = self.values.number(value);
        let of = &mut self.rows[row as usize];
        let track = &mut self.tracks[of.track as usize];
        if number != 0 {
            track.habit = Expand { before: of.start.after, after: !of.end.after };
        }
        of.value = Some(number);
        if of.active {
            track.dirty.push((of.start, of.end));
            self.dirty.insert(of.track);
        }
    }

    /// Forgets the value of a mark that is switched off, unless another one has the same.
    pub fn forget(&mut self, row: u32) {
        let Some(number) = self.rows[row as usize].value.take() else { return };
        if number != 0 && self.rows.iter().all(|other| other.value != Some(number)) {
            let value = std::mem::take(&mut self.values.all[number as usize]);
            self.values.numbers.remove(value.to_bytes().as_slice());
        }
    }

    /// Switches a mark; does nothing if it is so already.
    pub fn set_active(&mut self, row: u32, on: bool) {
        let of = &mut self.rows[row as usize];
        if std::mem::replace(&mut of.active, on) != on && of.value.is_some() {
            self.tracks[of.track as usize].dirty.push((of.start, of.end));
            self.dirty.insert(of.track);
        }
    }

    /// The row of an op, if it is a mark that is sealed.
    pub fn row_of(&self, op: OpIx) -> Option<u32> {
        let at = self.rows[..self.sealed].binary_search_by_key(&op, |row| row.op).ok()?;
        Some(at as u32)
    }

    pub fn row(&self, row: u32) -> &MarkRow {
        &self.rows[row as usize]
    }

    pub fn key(&self, row: u32) -> NameId {
        self.tracks[self.rows[row as usize].track as usize].key
    }

    /// The value of a mark; none while it is absent.
    pub fn value(&self, row: u32) -> Option<&Value> {
        self.rows[row as usize].value.map(|number| &self.values.all[number as usize])
    }

    /// How the last mark with a key grows.
    pub fn habit(&self, key: &NameId) -> Option<Expand> {
        Some(self.tracks[*self.by_key.get(key)? as usize].habit)
    }

    /// The next mark of the open batch got an op of its own.
    pub fn seal(&mut self, op: OpIx, changeset: ChangesetIx) {
        let row = &mut self.rows[self.sealed];
        (row.op, row.changeset) = (op, changeset);
        self.sealed += 1;
    }

    /// Takes the last marks back, which are of the open batch.
    pub fn retract<const LEAF: usize, const BLOCK: usize>(
        &mut self,
        list: &PieceList<LEAF, BLOCK>,
        deltas: &mut DeltaLog,
        history: &impl Recency,
        count: usize,
    ) {
        let left = self.rows.len() - count;
        debug_assert!(left >= self.sealed);
        (left..self.rows.len()).for_each(|row| self.set_active(row as u32, false));
        self.settle(list, deltas, history);
        while self.rows.len() > left {
            let row = self.rows.len() as u32 - 1;
            let track = self.rows[row as usize].track as usize;
            let ends = RowEnds { list, rows: &self.rows };
            self.tracks[track].rows.remove(row, &ends);
            self.rows.pop();
        }
    }

    /// Finds anew who wins where something was switched or added, and tells what reads differently if deltas are
    /// recorded. O(k log k) for the k marks that overlap those stretches, each as often as it wins.
    pub fn settle<const LEAF: usize, const BLOCK: usize>(
        &mut self,
        list: &PieceList<LEAF, BLOCK>,
        deltas: &mut DeltaLog,
        history: &impl Recency,
    ) {
        let mut told: Vec<(u32, u32, u32, u32)> = Vec::new();
        for number in std::mem::take(&mut self.dirty) {
            let track = &mut self.tracks[number as usize];
            for stretch in joined(std::mem::take(&mut track.dirty), list) {
                let (from, to) = stretch;
                let overlapping = track.rows.overlapping(
                    |row| self.rows[row as usize].start.order(to, list).is_lt(),
                    |row| self.rows[row as usize].end.order(from, list).is_gt(),
                );
                let new = sweep(list, history, &self.rows, &overlapping, stretch);
                let old = track.replace(list, stretch, &new);
                if deltas.recording() {
                    let value = |winner: u32| value_of(&self.rows, winner);
                    let mut tell = |pos, len, value| told.push((pos, len, number, value));
                    differences(list, (&old, &new), to, value, &mut tell);
                }
            }
            if track.segments.is_empty() {
                self.shown.remove(&number)
            } else {
                self.shown.insert(number)
            };
        }
        self.told.typed = None;
        if !told.is_empty() {
            in_order(&mut told);
            let after = deltas.barrier();
            // Right behind an insert of just that stretch they are the marks that it came with.
            let of_insert = |(pos, len, ..): &(u32, u32, u32, u32)| deltas.is_insert_of(*pos, *len);
            let inserted = self.told.inserted.filter(|(changes, _)| *changes == after);
            let is_first = self.told.marks.last().is_none_or(|mark| mark.0 < after);
            let inserted = inserted.or(is_first.then_some((after, self.told.marks.len())));
            self.told.inserted = inserted.filter(|_| told.iter().all(of_insert));
            self.told
                .marks
                .extend(told.into_iter().map(|(pos, len, track, value)| (after, pos, len, track, value)));
        }
    }

    /// Notes that units show from now on: a stretch of one piece. `typed` of new ones says whether they stand right behind
    /// the unit that came before them; if that was typed last, they show the same.
    pub fn show<const LEAF: usize, const BLOCK: usize>(
        &mut self,
        list: &PieceList<LEAF, BLOCK>,
        deltas: &mut DeltaLog,
        (pos, first, len): (u32, u32, u32),
        local: bool,
        typed: Option<bool>,
    ) {
        let last = self.told.typed.take().filter(|(next, _)| typed == Some(true) && *next == first);
        if let Some((_, shown)) = last {
            self.told.insert(deltas, (pos, first, len), local, &shown);
            self.told.typed = Some((first + len, shown));
            return;
        }
        let mut shown: BTreeMap<u32, u32> = BTreeMap::new();
        let mut cuts: Vec<(u32, u32, u32)> = Vec::new();
        for &number in &self.shown {
            let track = &self.tracks[number as usize];
            let next = track.next(list, Bound::before(first));
            if let Some(at) = next.checked_sub(1) {
                shown.insert(number, value_of(&self.rows, track.segments[at].winner));
            }
            // In a piece, units lie in the order of their numbers.
            let inside = |segment: &&Segment| {
                let Bound { unit, after } = segment.from;
                unit.wrapping_sub(first) < len && unit + u32::from(after) < first + len
            };
            for segment in track.segments[next..].iter().take_while(inside) {
                let at = segment.from.unit + u32::from(segment.from.after) - first;
                cuts.push((at, number, value_of(&self.rows, segment.winner)));
            }
        }
        sort_by_key(&mut cuts, |cut| cut.0);
        let mut start = 0;
        let list_of = |shown: &BTreeMap<u32, u32>| -> Shown {
            shown.iter().filter(|(_, value)| **value != 0).map(|(track, value)| (*track, *value)).collect()
        };
        for here in cuts.chunk_by(|a, b| a.0 == b.0) {
            let (at, before) = (here[0].0, list_of(&shown));
            shown.extend(here.iter().map(|(_, track, value)| (*track, *value)));
            if at > start && before != list_of(&shown) {
                self.told.insert(deltas, (pos + start, first + start, at - start), local, &before);
                start = at;
            }
        }
        let shown = list_of(&shown);
        self.told.insert(deltas, (pos + start, first + start, len - start), local, &shown);
        // Behind a unit that is not new a mark may end.
        if typed.is_some() {
            self.told.typed = Some((first + len, shown));
        }
    }

    /// What a key's marks show at a place: the number of a value, and the row that wins, or [`NO_MARK`].
    fn at<const LEAF: usize, const BLOCK: usize>(
        &self,
        list: &PieceList<LEAF, BLOCK>,
        track: u32,
        place: Bound,
    ) -> u32 {
        let track = &self.tracks[track as usize];
        let next = track.next(list, place);
        next.checked_sub(1).map_or(NO_MARK, |at| track.segments[at].winner)
    }

    /// The marks that win at a place and show something, by track.
    pub fn winners_at<const LEAF: usize, const BLOCK: usize>(
        &self,
        list: &PieceList<LEAF, BLOCK>,
        place: Bound,
    ) -> Vec<u32> {
        let winners = self.shown.iter().map(|track| self.at(list, *track, place));
        winners.filter(|winner| value_of(&self.rows, *winner) != 0).collect()
    }

    /// For each place where what shows may change: its position, the key, and what shows from there on, by position.
    pub fn changes<const LEAF: usize, const BLOCK: usize>(
        &self,
        list: &PieceList<LEAF, BLOCK>,
    ) -> Vec<(u32, NameId, Option<&Value>)> {
        let mut changes = Vec::new();
        for &number in &self.shown {
            let Track { key, segments, .. } = &self.tracks[number as usize];
            for segment in segments {
                let value = value_of(&self.rows, segment.winner);
                let value = (value != 0).then(|| &self.values.all[value as usize]);
                changes.push((segment.from.position(list), *key, value));
            }
        }
        sort_by_key(&mut changes, |change| change.0);
        changes
    }

    /// What was told since the last time, in terms of the text's changes.
    pub fn drain(&mut self) -> Vec<MarkDelta> {
        let told = std::mem::take(&mut self.told);
        let delta = |(after, pos, len, track, value): (u32, u32, u32, u32, u32)| {
            let value = (value != 0).then(|| self.values.all[value as usize].clone());
            MarkDelta { after, pos, len, key: self.tracks[track as usize].key, value }
        };
        self.told.typed = told.typed;
        told.marks.into_iter().map(delta).collect()
    }

    /// The sealed marks, of which others count, for a list that has the same sealed units. Nothing is settled yet.
    pub fn selected<const LEAF: usize, const BLOCK: usize>(
        &self,
        list: &PieceList<LEAF, BLOCK>,
        selected: impl Fn(OpIx) -> bool,
    ) -> Self {
        let mut marks = Self { values: self.values.clone(), ..Self::default() };
        for row in &self.rows[..self.sealed] {
            let key = self.tracks[row.track as usize].key;
            let new = marks.push(list, (row.changeset, row.op), key, (row.start, row.end), false);
            marks.rows[new as usize].value = row.value;
            marks.set_active(new, selected(row.op));
        }
        marks
    }

    /// How many marks there are.
    pub fn len(&self) -> u32 {
        self.rows.len() as u32
    }

    /// The segments by key, ascending, of the keys that have some.
    pub fn segments(&self) -> impl Iterator<Item = (NameId, &[Segment])> + '_ {
        let of = |(key, track): (&NameId, &u32)| (*key, self.tracks[*track as usize].segments.as_slice());
        self.by_key.iter().map(of).filter(|(_, segments)| !segments.is_empty())
    }

    /// Puts segments where they were before; says whether the key has marks.
    pub fn restore(&mut self, key: &NameId, segments: Vec<Segment>) -> bool {
        let Some(&number) = self.by_key.get(key) else { return false };
        if !segments.is_empty() {
            self.shown.insert(number);
        }
        self.tracks[number as usize].segments = segments;
        true
    }

    /// All segments are where they were: nothing has to be settled.
    pub fn restored(&mut self) {
        self.dirty.clear();
        self.tracks.iter_mut().for_each(|track| track.dirty.clear());
    }

    /// Whether nothing has to be settled.
    pub fn is_settled(&self) -> bool {
        self.dirty.is_empty()
    }

    /// Recomputes every invariant the slow way.
    pub fn dbg_check<const LEAF: usize, const BLOCK: usize>(
        &self,
        list: &PieceList<LEAF, BLOCK>,
        history: &impl Recency,
    ) {
        assert!(self.is_settled());
        let ends = RowEnds { list, rows: &self.rows };
        for (number, track) in (0..).zip(&self.tracks) {
            let rows = (0..self.rows.len() as u32).filter(|row| self.rows[*row as usize].track == number);
            track.rows.dbg_check(rows.clone(), &ends);
            let rows: Vec<u32> = rows.collect();
            let mut segments = sweep(list, history, &self.rows, &rows, (Bound::START, Bound::END));
            if segments[0].winner == NO_MARK {
                segments.remove(0);
            }
            assert_eq!(track.segments, segments);
            assert_eq!(self.shown.contains(&number), !segments.is_empty());
        }
        assert!(self.rows[..self.sealed].is_sorted_by_key(|row| row.op));
        assert!(
            self.rows
                .iter()
                .enumerate()
                .all(|(at, row)| { (row.changeset == ChangesetIx::OPEN) == (at >= self.sealed) })
        );
    }
}

impl Default for Values {
    fn default() -> Self {
        let null = Value::Null.to_bytes().into_boxed_slice();
        Self { all: vec![Value::Null], numbers: HashMap::from_iter([(null, 0)]) }
    }
}

impl Values {
    fn number(&mut self, value: Value) -> u32 {
        *self.numbers.entry(value.to_bytes().into()).or_insert_with(|| {
            self.all.push(value);
            self.all.len() as u32 - 1
        })
    }
}

/// The number of the value that a winner shows.
fn value_of(rows: &[MarkRow], winner: u32) -> u32 {
    if winner == NO_MARK { 0 } else { rows[winner as usize].value.unwrap_or(0) }
}
