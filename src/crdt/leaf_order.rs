//! The upper two levels of the piece list: leaves in list order, with the visible length of each.
//!
//! ```text
//! groups   blocks 0 to 63 at the top, 64 to …  visible length per BLOCK blocks
//! top      block 4   block 0   block 9         visible length per block
//! block    leaf 7  leaf 1  leaf 3  …           visible length per leaf, at most BLOCK leaves
//! ```
//! Invariant: each leaf knows its block and slot, each block its place at the top, so that two leaves compare by two
//! numbers and nothing recurses. Groups are places at the top, not nodes: they only make sums short, and are summed anew
//! when a block comes or goes. What is in a leaf is not known here.

use crate::steps;
use std::cmp::Ordering;

#[derive(Clone, Debug)]
pub(super) struct LeafOrder<const BLOCK: usize> {
    /// By leaf.
    places: Vec<Place>,
    blocks: Vec<Block>,
    top: Vec<u32>,
    top_visible: Vec<u32>,
    groups: Vec<u32>,
    free_blocks: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    block: u32,
    slot: u32,
}

#[derive(Clone, Debug, Default)]
struct Block {
    top: u32,
    leaves: Vec<u32>,
    visible: Vec<u32>,
}

impl<const BLOCK: usize> LeafOrder<BLOCK> {
    /// The order of one empty leaf, number 0.
    pub fn new() -> Self {
        const { assert!(BLOCK >= 4, "a block must hold a few leaves") };
        Self {
            places: vec![Place { block: 0, slot: 0 }],
            blocks: vec![Block { top: 0, leaves: vec![0], visible: vec![0] }],
            top: vec![0],
            top_visible: vec![0],
            groups: vec![0],
            free_blocks: Vec::new(),
        }
    }

    /// The order of leaves by number, from their visible lengths; at least one.
    pub fn of(visible: Vec<u32>) -> Self {
        let places = (0..visible.len() as u32)
            .map(|leaf| Place { block: leaf / Self::FILLED, slot: leaf % Self::FILLED });
        let blocks = visible.chunks(Self::FILLED as usize).zip(0..).map(|(visible, top)| {
            let first = top * Self::FILLED;
            Block { top, leaves: (first..first + visible.len() as u32).collect(), visible: visible.to_vec() }
        });
        let blocks: Vec<Block> = blocks.collect();
        let top_visible: Vec<u32> = blocks.iter().map(|block| block.visible.iter().sum()).collect();
        Self {
            places: places.collect(),
            top: (0..blocks.len() as u32).collect(),
            groups: top_visible.chunks(BLOCK).map(|group| group.iter().sum()).collect(),
            top_visible,
            blocks,
            free_blocks: Vec::new(),
        }
    }

    /// Leaves of a block that has room for some more.
    const FILLED: u32 = (BLOCK - BLOCK / 4) as u32;

    pub fn add_visible(&mut self, leaf: u32, delta: i32) {
        let Place { block, slot } = self.places[leaf as usize];
        let block = &mut self.blocks[block as usize];
        let visible = &mut block.visible[slot as usize];
        *visible = visible.wrapping_add_signed(delta);
        let above = &mut self.top_visible[block.top as usize];
        *above = above.wrapping_add_signed(delta);
        let group = &mut self.groups[block.top as usize / BLOCK];
        *group = group.wrapping_add_signed(delta);
    }

    /// Puts a new leaf of no visible length behind another.
    pub fn insert_after(&mut self, leaf: u32, new: u32) {
        if self.blocks[self.places[leaf as usize].block as usize].leaves.len() == BLOCK {
            self.split_block(self.places[leaf as usize].block);
        }
        let Place { block, slot } = self.places[leaf as usize];
        let at = slot as usize + 1;
        self.blocks[block as usize].leaves.insert(at, new);
        self.blocks[block as usize].visible.insert(at, 0);
        if new as usize == self.places.len() {
            self.places.push(Place { block, slot: 0 });
        }
        self.renumber(block, at);
    }

    /// Takes an empty leaf out, unless it is the only one; tells whether it did.
    pub fn remove(&mut self, leaf: u32) -> bool {
        let Place { block, slot } = self.places[leaf as usize];
        let row = &mut self.blocks[block as usize];
        debug_assert_eq!(row.visible[slot as usize], 0);
        if row.leaves.len() == 1 {
            if self.top.len() == 1 {
                return false;
            }
            let at = row.top as usize;
            *row = Block::default();
            self.top.remove(at);
            self.top_visible.remove(at);
            self.free_blocks.push(block);
            self.renumber_top(at);
        } else {
            row.leaves.remove(slot as usize);
            row.visible.remove(slot as usize);
            self.renumber(block, slot as usize);
        }
        true
    }

    fn split_block(&mut self, block: u32) {
        let row = &mut self.blocks[block as usize];
        let at = row.top as usize + 1;
        let leaves = row.leaves.split_off(BLOCK / 2);
        let visible = row.visible.split_off(BLOCK / 2);
        let moved: u32 = visible.iter().sum();
        let new = self.free_blocks.pop().unwrap_or_else(|| {
            self.blocks.push(Block::default());
            u32::try_from(self.blocks.len() - 1).expect("there are fewer blocks than units")
        });
        self.blocks[new as usize] = Block { top: 0, leaves, visible };
        self.top_visible[at - 1] -= moved;
        self.top.insert(at, new);
        self.top_visible.insert(at, moved);
        self.renumber_top(at - 1);
        self.renumber(new, 0);
    }

    fn renumber(&mut self, block: u32, from: usize) {
        steps::count(self.blocks[block as usize].leaves.len() - from);
        for (slot, &leaf) in self.blocks[block as usize].leaves.iter().enumerate().skip(from) {
            self.places[leaf as usize] = Place { block, slot: slot as u32 };
        }
    }

    fn renumber_top(&mut self, from: usize) {
        steps::count(self.top.len() - from);
        for (at, &block) in self.top.iter().enumerate().skip(from) {
            self.blocks[block as usize].top = at as u32;
        }
        self.groups.truncate(from / BLOCK);
        let rest = &self.top_visible[self.groups.len() * BLOCK..];
        self.groups.extend(rest.chunks(BLOCK).map(|group| group.iter().sum::<u32>()));
    }

    /// The leaf with the visible unit number `pos`, and the number of its first one.
    pub fn find(&self, pos: u32) -> Option<(u32, u32)> {
        let mut start = 0;
        let group = skip_to(&self.groups, pos, &mut start)? * BLOCK;
        let at = skip_to(&self.top_visible[group..], pos, &mut start)?;
        let block = &self.blocks[self.top[group + at] as usize];
        let slot = skip_to(&block.visible, pos, &mut start)?;
        Some((block.leaves[slot], start))
    }

    /// How many visible units lie before a leaf.
    pub fn start_of(&self, leaf: u32) -> u32 {
        let Place { block, slot } = self.places[leaf as usize];
        let block = &self.blocks[block as usize];
        let top = block.top as usize;
        let group = top / BLOCK;
        steps::count(group + top % BLOCK + slot as usize);
        let sum = |lengths: &[u32]| lengths.iter().sum::<u32>();
        sum(&self.groups[..group])
            + sum(&self.top_visible[group * BLOCK..top])
            + sum(&block.visible[..slot as usize])
    }

    pub fn visible(&self, leaf: u32) -> u32 {
        let Place { block, slot } = self.places[leaf as usize];
        self.blocks[block as usize].visible[slot as usize]
    }

    pub fn first(&self) -> u32 {
        self.blocks[self.top[0] as usize].leaves[0]
    }

    pub fn next(&self, leaf: u32) -> Option<u32> {
        let Place { block, slot } = self.places[leaf as usize];
        let block = &self.blocks[block as usize];
        if let Some(&next) = block.leaves.get(slot as usize + 1) {
            return Some(next);
        }
        self.top.get(block.top as usize + 1).map(|&next| self.blocks[next as usize].leaves[0])
    }

    pub fn prev(&self, leaf: u32) -> Option<u32> {
        let Place { block, slot } = self.places[leaf as usize];
        let block = &self.blocks[block as usize];
        if slot > 0 {
            return Some(block.leaves[slot as usize - 1]);
        }
        let above = *self.top.get((block.top as usize).checked_sub(1)?)?;
        self.blocks[above as usize].leaves.last().copied()
    }

    pub fn compare(&self, a: u32, b: u32) -> Ordering {
        let key = |leaf: u32| {
            let Place { block, slot } = self.places[leaf as usize];
            (self.blocks[block as usize].top, slot)
        };
        key(a).cmp(&key(b))
    }

    /// All leaves in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.top.iter().flat_map(|&block| self.blocks[block as usize].leaves.iter().copied())
    }

    pub fn dbg_check(&self) {
        assert_eq!(self.top.len(), self.top_visible.len());
        assert!(
            self.top_visible
                .chunks(BLOCK)
                .map(|group| group.iter().sum::<u32>())
                .eq(self.groups.iter().copied())
        );
        for (at, &id) in self.top.iter().enumerate() {
            let block = &self.blocks[id as usize];
            assert_eq!(block.top as usize, at);
            assert!(!block.leaves.is_empty() && block.leaves.len() <= BLOCK);
            assert_eq!(block.leaves.len(), block.visible.len());
            assert_eq!(block.visible.iter().sum::<u32>(), self.top_visible[at]);
            for (slot, &leaf) in block.leaves.iter().enumerate() {
                let place = self.places[leaf as usize];
                assert_eq!((place.block, place.slot as usize), (id, slot));
            }
        }
        assert!(self.free_blocks.iter().all(|&block| self.blocks[block as usize].leaves.is_empty()));
    }
}

/// Skips lengths that end at or before `pos`, adding them to `start`.
fn skip_to(lengths: &[u32], pos: u32, start: &mut u32) -> Option<usize> {
    for (at, &len) in lengths.iter().enumerate() {
        steps::count(1);
        if pos - *start < len {
            return Some(at);
        }
        *start += len;
    }
    None
}
