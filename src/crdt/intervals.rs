//! Stretches of a list, found by what they overlap: rows by where they start, with the farthest end of each block and of
//! each group of blocks, so that whatever ends before a place is passed over. Fixed height, like the list's own tree.
//!
//! Knows rows by number only; where they start and end, and how places compare, is asked of the caller, and must never
//! change.

use crate::steps;
use std::cmp::Ordering;

#[derive(Clone, Debug, Default)]
pub(super) struct Intervals {
    /// By start; no block and no group is empty.
    groups: Vec<Group>,
}

#[derive(Clone, Debug)]
struct Group {
    blocks: Vec<Block>,
    farthest: u32,
}

#[derive(Clone, Debug)]
struct Block {
    rows: Vec<u32>,
    farthest: u32,
}

/// How the ends of rows compare.
pub(super) trait Ends {
    /// Where one starts against where another starts.
    fn starts(&self, a: u32, b: u32) -> Ordering;
    /// Where one ends against where another ends.
    fn ends(&self, a: u32, b: u32) -> Ordering;
}

/// The most rows of a block, and blocks of a group.
const WIDTH: usize = 64;

impl Intervals {
    /// Adds a row, behind those that start at the same place.
    pub fn insert(&mut self, row: u32, ends: &impl Ends) {
        if self.groups.is_empty() {
            let block = Block { rows: vec![row], farthest: row };
            return self.groups.push(Group { blocks: vec![block], farthest: row });
        }
        let (at, slot, place) = self.place(row, ends);
        let group = &mut self.groups[at];
        let block = &mut group.blocks[slot];
        block.rows.insert(place, row);
        for farthest in [&mut group.farthest, &mut block.farthest] {
            if ends.ends(row, *farthest) == Ordering::Greater {
                *farthest = row;
            }
        }
        if block.rows.len() > WIDTH {
            let rows = block.rows.split_off(WIDTH / 2);
            block.farthest = farthest(block.rows.iter().copied(), ends);
            group.blocks.insert(slot + 1, Block { farthest: farthest(rows.iter().copied(), ends), rows });
        }
        if group.blocks.len() > WIDTH {
            let blocks = group.blocks.split_off(WIDTH / 2);
            group.farthest = farthest(group.blocks.iter().map(|block| block.farthest), ends);
            let farthest = farthest(blocks.iter().map(|block| block.farthest), ends);
            self.groups.insert(at + 1, Group { blocks, farthest });
        }
    }

    /// Takes out the row that was added last.
    pub fn remove(&mut self, row: u32, ends: &impl Ends) {
        let (at, slot, behind) = self.place(row, ends);
        let group = &mut self.groups[at];
        let block = &mut group.blocks[slot];
        let place = behind.checked_sub(1).filter(|&place| block.rows[place] == row);
        block.rows.remove(place.expect("no row came behind the one that was added last"));
        if block.rows.is_empty() {
            group.blocks.remove(slot);
        } else {
            block.farthest = farthest(block.rows.iter().copied(), ends);
        }
        if group.blocks.is_empty() {
            self.groups.remove(at);
        } else {
            group.farthest = farthest(group.blocks.iter().map(|block| block.farthest), ends);
        }
    }

    /// The rows that start before a place and end behind another one, by start.
    pub fn overlapping(
        &self,
        starts_before: impl Fn(u32) -> bool,
        ends_behind: impl Fn(u32) -> bool,
    ) -> Vec<u32> {
        let mut found = Vec::new();
        for group in &self.groups {
            steps::count(1);
            if !starts_before(group.first()) {
                break;
            }
            if !ends_behind(group.farthest) {
                continue;
            }
            for block in &group.blocks {
                steps::count(1);
                if !starts_before(block.rows[0]) {
                    break;
                }
                if ends_behind(block.farthest) {
                    let rows = block.rows.iter().copied().take_while(|row| starts_before(*row));
                    found.extend(rows.filter(|row| ends_behind(*row)));
                }
            }
        }
        found
    }

    /// The place behind all rows that start where this one does, or before.
    fn place(&self, row: u32, ends: &impl Ends) -> (usize, usize, usize) {
        let starts_by = |other: u32| ends.starts(other, row) != Ordering::Greater;
        let at = self.groups.partition_point(|group| starts_by(group.first())).saturating_sub(1);
        let blocks = &self.groups[at].blocks;
        let slot = blocks.partition_point(|block| starts_by(block.rows[0])).saturating_sub(1);
        (at, slot, blocks[slot].rows.partition_point(|other| starts_by(*other)))
    }

    pub fn dbg_check(&self, rows: impl Iterator<Item = u32>, ends: &impl Ends) {
        let blocks = || self.groups.iter().flat_map(|group| &group.blocks);
        let all: Vec<u32> = blocks().flat_map(|block| block.rows.iter().copied()).collect();
        let mut expected: Vec<u32> = rows.collect();
        expected.sort_by(|a, b| ends.starts(*a, *b));
        assert_eq!(all, expected);
        for group in &self.groups {
            assert!(!group.blocks.is_empty() && group.blocks.len() <= WIDTH);
            let rows = || group.blocks.iter().flat_map(|block| block.rows.iter().copied());
            assert!(rows().all(|row| ends.ends(row, group.farthest) != Ordering::Greater));
            assert!(rows().any(|row| row == group.farthest));
            for block in &group.blocks {
                assert!(!block.rows.is_empty() && block.rows.len() <= WIDTH);
                assert!(block.rows.iter().all(|row| ends.ends(*row, block.farthest) != Ordering::Greater));
                assert!(block.rows.contains(&block.farthest));
            }
        }
    }
}

impl Group {
    fn first(&self) -> u32 {
        self.blocks[0].rows[0]
    }
}

fn farthest(rows: impl Iterator<Item = u32>, ends: &impl Ends) -> u32 {
    rows.reduce(|a, b| if ends.ends(b, a) == Ordering::Greater { b } else { a })
        .expect("no block and no group is empty")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pairs(Vec<(u32, u32)>);

    impl Ends for Pairs {
        fn starts(&self, a: u32, b: u32) -> Ordering {
            self.0[a as usize].0.cmp(&self.0[b as usize].0)
        }

        fn ends(&self, a: u32, b: u32) -> Ordering {
            self.0[a as usize].1.cmp(&self.0[b as usize].1)
        }
    }

    #[test]
    fn what_overlaps_is_found() {
        let number = |at: u32| at.wrapping_mul(2_654_435_761) >> 16;
        let mut pairs = Pairs((0..6_000).map(|at| (number(at), number(at) + number(at * 7) % 90)).collect());
        pairs.0[17] = (5, 60_000);
        let mut intervals = Intervals::default();
        (0..6_000).for_each(|row| intervals.insert(row, &pairs));
        intervals.dbg_check(0..6_000, &pairs);
        (3_000..6_000).rev().for_each(|row| intervals.remove(row, &pairs));
        intervals.dbg_check(0..3_000, &pairs);
        for at in (0..70_000).step_by(501) {
            let (start, end) = (at, at + 40);
            let starts_before = |row: u32| pairs.0[row as usize].0 < end;
            let ends_behind = |row: u32| pairs.0[row as usize].1 > start;
            let mut found = intervals.overlapping(starts_before, ends_behind);
            found.sort_unstable();
            let expected: Vec<u32> =
                (0..3_000).filter(|row| starts_before(*row) && ends_behind(*row)).collect();
            assert_eq!(found, expected);
        }
        (0..3_000).rev().for_each(|row| intervals.remove(row, &pairs));
        assert!(intervals.groups.is_empty());
    }
}
