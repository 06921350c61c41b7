//! All units ever inserted, in list order, as runs in a tree of fixed height: leaves of at most `LEAF` pieces under
//! [`LeafOrder`].
//!
//! Invariants: each unit is in exactly one piece; no two neighbours inside a leaf could be one piece; the visible
//! length of a leaf is that of its pieces. Hidden units stay where they are. The list knows neither what a unit
//! holds nor whose it is, so anything that is a sequence can be built on it.

use super::crowd::Crowd;
use super::leaf_order::LeafOrder;
use super::piece::{NONE, Piece};
use super::unit_index::UnitIndex;
use crate::steps;
use foldhash::HashMap;
use std::cell::{Cell, RefCell};
use std::cmp::Ordering;

#[derive(Clone, Debug)]
pub(super) struct PieceList<const LEAF: usize, const BLOCK: usize> {
    leaves: Vec<Vec<Piece>>,
    order: LeafOrder<BLOCK>,
    free_leaves: Vec<u32>,
    index: UnitIndex,
    /// By left and right neighbour; only where there are many.
    crowds: RefCell<HashMap<(u32, u32), Crowd>>,
    /// The leaf that was used last, and how many visible units lie before it.
    cached: Cell<Option<(u32, u32)>>,
    units: u32,
    visible: u32,
}

/// A place in the list: a unit, or the gap before it. As a gap, `offset` may be the length of the piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loc {
    pub leaf: u32,
    pub piece: usize,
    pub offset: u32,
}

impl<const LEAF: usize, const BLOCK: usize> PieceList<LEAF, BLOCK> {
    pub fn new() -> Self {
        const { assert!(LEAF >= 4, "half a leaf must have room for two more pieces") };
        Self {
            leaves: vec![Vec::new()],
            order: LeafOrder::new(),
            free_leaves: Vec::new(),
            index: UnitIndex::default(),
            crowds: RefCell::default(),
            cached: Cell::default(),
            units: 0,
            visible: 0,
        }
    }

    /// Puts a run behind all others, whatever its units; in the end they are all there. For a list that is made in order.
    pub fn append(&mut self, run: Piece) {
        steps::count(1);
        self.units += run.len;
        self.visible += run.visible();
        let mut leaf = self.leaves.len() - 1;
        match self.leaves[leaf].last_mut() {
            Some(last) if last.joins(&run) => last.len += run.len,
            _ => {
                if self.leaves[leaf].len() == LEAF {
                    self.leaves.push(Vec::with_capacity(LEAF));
                    self.order.insert_after(leaf as u32, leaf as u32 + 1);
                    leaf += 1;
                }
                self.leaves[leaf].push(run);
            }
        }
        if run.hide == 0 {
            self.order.add_visible(leaf as u32, run.len as i32);
        }
    }

    /// The visible unit number `pos`.
    pub fn seek(&mut self, pos: u32) -> Loc {
        let (leaf, start) = match self.cached.get() {
            Some((leaf, start)) if pos >= start && pos - start < self.order.visible(leaf) => (leaf, start),
            _ => self.order.find(pos).expect("the caller compared the position with the length"),
        };
        self.cached.set(Some((leaf, start)));
        self.scan(leaf, pos - start)
    }

    /// The same, leaving no trace.
    pub fn peek(&self, pos: u32) -> Loc {
        let (leaf, start) = self.order.find(pos).expect("the caller compared the position with the length");
        self.scan(leaf, pos - start)
    }

    fn scan(&self, leaf: u32, mut pos: u32) -> Loc {
        for (piece, run) in self.leaves[leaf as usize].iter().enumerate() {
            steps::count(1);
            let visible = run.visible();
            if pos < visible {
                return Loc { leaf, piece, offset: pos };
            }
            pos -= visible;
        }
        unreachable!("the visible length of a leaf is that of its pieces")
    }

    /// Puts the newest units into a gap.
    pub fn place(&mut self, gap: Loc, new: Piece) {
        debug_assert_eq!(new.first, self.units);
        self.units = new.end();
        let Loc { mut leaf, piece: mut at, offset } = gap;
        match self.leaves[leaf as usize].get_mut(at) {
            Some(run) if offset == run.len && run.joins(&new) => run.len += new.len,
            _ => {
                (leaf, at) = self.make_room(leaf, at);
                let pieces = &mut self.leaves[leaf as usize];
                if offset > 0 {
                    if offset < pieces[at].len {
                        let tail = pieces[at].split(offset);
                        pieces.insert(at + 1, tail);
                    }
                    at += 1;
                }
                pieces.insert(at, new);
            }
        }
        self.index.assign(new.first..new.end(), leaf);
        self.add_visible(leaf, new.visible() as i32);
    }

    /// Adds `delta` to the reasons that hide `len` units of one piece. Returns whether they were visible, and are.
    pub fn bump(&mut self, at: Loc, len: u32, delta: i32) -> (bool, bool) {
        let Loc { mut leaf, piece: mut i, offset } = at;
        let whole = self.leaves[leaf as usize][i];
        debug_assert!(offset + len <= whole.len);
        let hide = whole
            .hide
            .checked_add_signed(delta)
            .expect("a reason to hide is taken away once for each time it was given");
        let (was, is) = (whole.hide == 0, hide == 0);
        let visible = (i64::from(is) - i64::from(was)) * i64::from(len);
        if len < whole.len {
            (leaf, i) = self.make_room(leaf, i);
        }
        let pieces = &mut self.leaves[leaf as usize];
        if offset > 0 {
            let tail = pieces[i].split(offset);
            i += 1;
            pieces.insert(i, tail);
        }
        if len < pieces[i].len {
            let tail = pieces[i].split(len);
            pieces.insert(i + 1, tail);
        }
        pieces[i].hide = hide;
        join(pieces, i);
        if i > 0 {
            join(pieces, i - 1);
        }
        self.add_visible(leaf, i32::try_from(visible).expect("there are at most UNITS_MAX units"));
        (was, is)
    }

    /// Takes out all units from `limit` on, telling the visible ranges (position, length) as they go.
    pub fn remove_from(&mut self, limit: u32, mut gone: impl FnMut(u32, u32)) {
        let mut unit = limit;
        while unit < self.units {
            let at = self.locate(unit);
            let before = self.visible_before(at);
            let pieces = &mut self.leaves[at.leaf as usize];
            let run = pieces[at.piece];
            unit = run.end();
            if at.offset > 0 {
                pieces[at.piece].len = at.offset;
            } else {
                pieces.remove(at.piece);
                if at.piece > 0 {
                    join(pieces, at.piece - 1);
                }
            }
            let visible = run.tail(at.offset).visible();
            self.add_visible(at.leaf, -(visible as i32));
            if visible > 0 {
                gone(before, visible);
            }
            if self.leaves[at.leaf as usize].is_empty() && self.order.remove(at.leaf) {
                self.free_leaves.push(at.leaf);
                self.cached.set(None);
            }
        }
        self.index.truncate(limit);
        self.units = limit;
    }

    fn add_visible(&mut self, leaf: u32, delta: i32) {
        if delta == 0 {
            return;
        }
        // A change elsewhere may lie before the cached leaf.
        if self.cached.get().is_some_and(|(cached, _)| cached != leaf) {
            self.cached.set(None);
        }
        self.visible = self.visible.wrapping_add_signed(delta);
        self.order.add_visible(leaf, delta);
    }

    /// Makes room for two more pieces, and returns where the given one is now.
    fn make_room(&mut self, leaf: u32, at: usize) -> (u32, usize) {
        if self.leaves[leaf as usize].len() + 2 <= LEAF {
            return (leaf, at);
        }
        let half = LEAF / 2;
        steps::count(LEAF);
        let mut upper = Vec::with_capacity(LEAF);
        upper.extend(self.leaves[leaf as usize].drain(half..));
        let new = self.free_leaves.pop().unwrap_or_else(|| {
            self.leaves.push(Vec::new());
            u32::try_from(self.leaves.len() - 1).expect("there are fewer leaves than units")
        });
        for run in &upper {
            self.index.assign(run.first..run.end(), new);
        }
        let moved: u32 = upper.iter().map(Piece::visible).sum();
        self.leaves[new as usize] = upper;
        self.order.insert_after(leaf, new);
        self.order.add_visible(leaf, -(moved as i32));
        self.order.add_visible(new, moved as i32);
        if at < half { (leaf, at) } else { (new, at - half) }
    }

    /// How many units there are, hidden ones included.
    pub fn units(&self) -> u32 {
        self.units
    }

    pub fn visible(&self) -> u32 {
        self.visible
    }

    pub fn piece(&self, at: Loc) -> &Piece {
        &self.leaves[at.leaf as usize][at.piece]
    }

    /// Where a unit is.
    pub fn locate(&self, unit: u32) -> Loc {
        let leaf = self.index.leaf_of(unit, || {
            steps::count(self.units as usize);
            let mut leaf_of = vec![0; self.units as usize];
            for leaf in self.order.iter() {
                for run in &self.leaves[leaf as usize] {
                    leaf_of[run.first as usize..run.end() as usize].fill(leaf);
                }
            }
            leaf_of
        });
        let find = |(piece, run): (usize, &Piece)| {
            steps::count(1);
            Some(Loc { leaf, piece, offset: run.offset_of(unit)? })
        };
        self.leaves[leaf as usize]
            .iter()
            .enumerate()
            .find_map(find)
            .expect("the index names the leaf of each unit")
    }

    /// The gap right after a unit; at the start of the list for [`NONE`].
    pub fn gap_after(&self, unit: u32) -> Loc {
        if unit == NONE {
            return Loc { leaf: self.order.first(), piece: 0, offset: 0 };
        }
        let at = self.locate(unit);
        Loc { offset: at.offset + 1, ..at }
    }

    /// The rest of the piece that begins at a gap, and where it is.
    pub fn run_at(&self, gap: Loc) -> Option<(Loc, Piece)> {
        steps::count(1);
        let pieces = &self.leaves[gap.leaf as usize];
        if let Some(run) = pieces.get(gap.piece).filter(|run| gap.offset < run.len) {
            return Some((gap, run.tail(gap.offset)));
        }
        if let Some(run) = pieces.get(gap.piece + 1) {
            return Some((Loc { piece: gap.piece + 1, offset: 0, ..gap }, *run));
        }
        let leaf = self.order.next(gap.leaf)?;
        Some((Loc { leaf, piece: 0, offset: 0 }, self.leaves[leaf as usize][0]))
    }

    /// The gap right after the run that holds a unit.
    pub fn gap_after_run(&self, unit: u32) -> Loc {
        let at = self.locate(unit);
        Loc { offset: self.piece(at).len, ..at }
    }

    /// The crowd between two neighbours, if it is known to be one.
    pub fn crowd<T>(&self, left: u32, right: u32, read: impl FnOnce(&Crowd) -> T) -> Option<T> {
        self.crowds.borrow().get(&(left, right)).map(read)
    }

    /// Adds the newest units to the crowd between their neighbours, if there is one.
    pub fn join_crowd(&mut self, left: u32, right: u32, goes_before: &impl Fn(u32) -> bool) {
        if let Some(crowd) = self.crowds.get_mut().get_mut(&(left, right)) {
            crowd.insert(self.units, goes_before);
        }
    }

    /// Notes that a gap is crowded, with all runs below `limit` that were inserted right into it.
    pub fn note_crowd(&self, left: u32, right: u32, limit: u32) {
        let crowd = Crowd::new(&self.inserted_between(left, right, limit));
        self.crowds.borrow_mut().insert((left, right), crowd);
    }

    pub fn crowds(&self) -> usize {
        self.crowds.borrow().len()
    }

    fn inserted_between(&self, left: u32, right: u32, limit: u32) -> Vec<u32> {
        let (mut found, mut gap) = (Vec::new(), self.gap_after(left));
        while let Some((at, run)) = self.run_at(gap).filter(|(_, run)| run.first != right) {
            if (run.left, run.right) == (left, right) && run.first < limit {
                found.push(run.first);
            }
            gap = Loc { offset: at.offset + run.len, ..at };
        }
        found
    }

    /// The unit right after a gap, or [`NONE`] at the end.
    pub fn unit_after(&self, gap: Loc) -> u32 {
        self.run_at(gap).map_or(NONE, |(_, run)| run.first)
    }

    /// The unit at a place.
    pub fn unit_at(&self, at: Loc) -> u32 {
        self.piece(at).first + at.offset
    }

    /// Whether there is such a unit and it does not show.
    pub fn is_hidden(&self, unit: u32) -> bool {
        unit != NONE && self.piece(self.locate(unit)).hide > 0
    }

    /// The unit right before one, or [`NONE`] at the start.
    pub fn unit_before(&self, at: Loc) -> u32 {
        if at.offset > 0 {
            return self.piece(at).first + at.offset - 1;
        }
        let before = match at.piece {
            0 => self.order.prev(at.leaf).and_then(|leaf| self.leaves[leaf as usize].last()),
            piece => self.leaves[at.leaf as usize].get(piece - 1),
        };
        before.map_or(NONE, |run| run.end() - 1)
    }

    /// How many visible units lie before a place. Its leaf is the one that was used last, from then on.
    pub fn visible_before(&self, at: Loc) -> u32 {
        let pieces = &self.leaves[at.leaf as usize];
        steps::count(at.piece);
        let in_leaf: u32 = pieces[..at.piece].iter().map(Piece::visible).sum();
        let in_piece = pieces.get(at.piece).map_or(0, |run| at.offset.min(run.visible()));
        let start = match self.cached.get() {
            Some((leaf, start)) if leaf == at.leaf => start,
            _ => self.order.start_of(at.leaf),
        };
        self.cached.set(Some((at.leaf, start)));
        start + in_leaf + in_piece
    }

    /// Which of two units comes first in the list.
    pub fn compare(&self, a: u32, b: u32) -> Ordering {
        let (a, b) = (self.locate(a), self.locate(b));
        self.order.compare(a.leaf, b.leaf).then((a.piece, a.offset).cmp(&(b.piece, b.offset)))
    }

    /// All pieces in list order.
    pub fn iter(&self) -> impl Iterator<Item = &Piece> + '_ {
        self.order.iter().flat_map(|leaf| &self.leaves[leaf as usize])
    }

    pub fn dbg_check(&self) {
        self.order.dbg_check();
        let mut seen = vec![false; self.units as usize];
        let (mut start, mut leaves) = (0, 0);
        let cached = self.cached.get();
        assert!(cached.is_none_or(|(cached, _)| self.order.iter().any(|leaf| leaf == cached)));
        for leaf in self.order.iter() {
            leaves += 1;
            let pieces = &self.leaves[leaf as usize];
            assert!(pieces.len() <= LEAF);
            assert!(!pieces.is_empty() || self.units == 0);
            assert_eq!(self.order.start_of(leaf), start);
            assert_eq!(self.order.visible(leaf), pieces.iter().map(Piece::visible).sum::<u32>());
            if let Some((_, cached)) = cached.filter(|&(cached, _)| cached == leaf) {
                assert_eq!(cached, start);
            }
            for run in pieces {
                assert!(run.len > 0);
                for unit in run.first..run.end() {
                    assert!(!std::mem::replace(&mut seen[unit as usize], true), "unit {unit} is there twice");
                    assert!(self.index.built().is_none_or(|leaf_of| leaf_of[unit as usize] == leaf));
                }
            }
            assert!(pieces.windows(2).all(|pair| !pair[0].joins(&pair[1])));
            start += self.order.visible(leaf);
        }
        assert_eq!(start, self.visible);
        assert!(seen.into_iter().all(|seen| seen));
        assert!(self.index.built().is_none_or(|leaf_of| leaf_of.len() == self.units as usize));
        assert_eq!(leaves + self.free_leaves.len(), self.leaves.len());
        for (&(left, right), crowd) in self.crowds.borrow().iter() {
            crowd.dbg_check(&self.inserted_between(left, right, self.units));
        }
    }
}

/// Joins a piece with the next one, if they can be one.
fn join(pieces: &mut Vec<Piece>, at: usize) {
    if at + 1 < pieces.len() && pieces[at].joins(&pieces[at + 1]) {
        pieces[at].len += pieces[at + 1].len;
        pieces.remove(at + 1);
    }
}

impl<const LEAF: usize, const BLOCK: usize> PieceList<LEAF, BLOCK> {
    /// The list of these runs, none of which joins the next, and which are of all units; with room in each leaf for some more.
    pub fn from_runs(mut runs: Vec<Piece>, units: u32) -> Self {
        if runs.is_empty() {
            return Self::new();
        }
        let filled = LEAF - LEAF / 4;
        let mut leaves = Vec::with_capacity(runs.len().div_ceil(filled));
        // From the end, giving back what was taken: a page has memory for one of the two.
        while !runs.is_empty() {
            let at = (runs.len() - 1) / filled * filled;
            leaves.push(runs[at..].to_vec());
            runs.truncate(at);
            if leaves.len() % 16 == 0 {
                runs.shrink_to_fit();
            }
        }
        leaves.reverse();
        let lengths = leaves.iter().map(|pieces| pieces.iter().map(Piece::visible).sum());
        let lengths: Vec<u32> = lengths.collect();
        let visible = lengths.iter().sum();
        Self { leaves, order: LeafOrder::of(lengths), units, visible, ..Self::new() }
    }
}
