//! The Merkle tree of RFC 9162, section 2.1, over a list that somebody else keeps.
//!
//! A tree over n leaves is cut at the greatest power of two below n, so what stands left of a cut is complete and never
//! changes again: a leaf is added in O(1) hashes, amortised. Of complete subtrees the roots are kept, but for those of less
//! than 2^LOW leaves, which are hashed again when a proof needs them: a kept tree takes 2 * 32 / 2^LOW bytes a leaf.

use crate::crypto::{Digest, merkle_empty, merkle_leaf, merkle_node};
use crate::steps;

/// A Merkle tree. The leaves themselves are given with each question, by their number; they have to be those that were pushed.
#[derive(Clone, Debug, Default)]
pub struct MerkleTree<const LOW: u32 = 3> {
    /// By height above LOW: the roots of the complete subtrees of that height, from the left.
    complete: Vec<Vec<Digest>>,
    /// The hashes of the leaves behind the last complete subtree of height LOW.
    rest: Vec<Digest>,
}

impl<const LOW: u32> MerkleTree<LOW> {
    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        let complete = self.complete.first().map_or(0, Vec::len) as u64;
        (complete << LOW) + self.rest.len() as u64
    }

    /// Adds a leaf. O(1) hashes, amortised; O(log n) at most.
    pub fn push(&mut self, data: &[u8]) {
        steps::count(1);
        self.rest.push(merkle_leaf(data));
        if self.rest.len() < 1 << LOW {
            return;
        }
        let mut root = root_of(&self.rest);
        self.rest.clear();
        for level in 0.. {
            if level == self.complete.len() {
                self.complete.push(Vec::new());
            }
            let row = &mut self.complete[level];
            row.push(root);
            let [.., left, right] = row.as_slice() else { return };
            if row.len() % 2 == 1 {
                return;
            }
            steps::count(1);
            root = merkle_node(left, right);
        }
    }

    /// Forgets all leaves from number `size` on. O(2^LOW) hashes.
    pub fn truncate(&mut self, size: u64, leaf: impl Fn(u64) -> [u8; 32]) {
        if size >= self.size() {
            return;
        }
        for (level, row) in self.complete.iter_mut().enumerate() {
            row.truncate((size >> (LOW + level as u32)) as usize);
        }
        self.rest = ((size >> LOW << LOW)..size).map(|index| merkle_leaf(&leaf(index))).collect();
    }

    /// The root over the first `size` leaves, all of them at most. O(log n) hashes.
    pub fn root(&self, size: u64, leaf: impl Fn(u64) -> [u8; 32]) -> Digest {
        self.subtree(0, size.min(self.size()), &leaf)
    }

    /// The hashes beside the way from a leaf to the root over the first `size` leaves (2.1.3.1), the lowest first; none if
    /// there is no such leaf or tree. O(log n) hashes.
    pub fn inclusion(&self, index: u64, size: u64, leaf: impl Fn(u64) -> [u8; 32]) -> Option<Vec<Digest>> {
        if index >= size || size > self.size() {
            return None;
        }
        let (mut start, mut len, mut path) = (0, size, Vec::new());
        while len > 1 {
            let cut = cut(len);
            let isleft = index - start < cut;
            let (beside, beside_len) = if isleft { (start + cut, len - cut) } else { (start, cut) };
            path.push(self.subtree(beside, beside_len, &leaf));
            (start, len) = if isleft { (start, cut) } else { (start + cut, len - cut) };
        }
        path.reverse();
        Some(path)
    }

    /// What shows that the tree over the first `size` leaves begins with the one over the first `first` (2.1.4.1), the lowest
    /// first; none if there are no such trees. O(log n) hashes.
    pub fn consistency(&self, first: u64, size: u64, leaf: impl Fn(u64) -> [u8; 32]) -> Option<Vec<Digest>> {
        if first == 0 || first > size || size > self.size() {
            return None;
        }
        let (mut start, mut len, mut path) = (0, size, Vec::new());
        // Whether the smaller tree is a subtree whose root whoever checks knows already.
        let mut is_whole = true;
        while first - start < len {
            let cut = cut(len);
            if first - start <= cut {
                path.push(self.subtree(start + cut, len - cut, &leaf));
                len = cut;
            } else {
                path.push(self.subtree(start, cut, &leaf));
                (start, len, is_whole) = (start + cut, len - cut, false);
            }
        }
        if !is_whole {
            path.push(self.subtree(start, len, &leaf));
        }
        path.reverse();
        Some(path)
    }

    /// The root over `len` leaves from `start` on, where a tree of them begins.
    fn subtree(&self, start: u64, len: u64, leaf: &impl Fn(u64) -> [u8; 32]) -> Digest {
        // From the left, subtrees become smaller: the sum of two to the bits that are set.
        let (mut at, mut peaks) = (start, Vec::new());
        for height in (0..u64::BITS).rev().filter(|height| len & 1 << height != 0) {
            steps::count(1);
            peaks.push(self.peak(at, height, leaf));
            at += 1 << height;
        }
        let last = peaks.pop().unwrap_or_else(merkle_empty);
        peaks.iter().rfold(last, |right, left| merkle_node(left, &right))
    }

    fn peak(&self, start: u64, height: u32, leaf: &impl Fn(u64) -> [u8; 32]) -> Digest {
        if let Some(level) = height.checked_sub(LOW) {
            return self.complete[level as usize][(start >> height) as usize];
        }
        let leaves: Vec<Digest> =
            (start..start + (1 << height)).map(|index| merkle_leaf(&leaf(index))).collect();
        steps::count(leaves.len());
        root_of(&leaves)
    }
}

/// Whether `path` leads from data at `index` to the root of a tree of `size` leaves (2.1.3.2). Any bytes: no panic.
#[must_use]
pub fn verify_inclusion(data: &[u8], index: u64, size: u64, path: &[Digest], root: &Digest) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, merkle_leaf(data));
    for beside in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = merkle_node(beside, &hash);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = merkle_node(&hash, beside);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// Whether `path` shows that a tree of `size` leaves begins with the one of `first` (2.1.4.2). A tree without leaves is the
/// beginning of any, and of itself each tree is, without a path. Any bytes: no panic.
#[must_use]
pub fn verify_consistency(
    (first, first_root): (u64, &Digest),
    (size, root): (u64, &Digest),
    path: &[Digest],
) -> bool {
    if first > size {
        return false;
    }
    if first == 0 || first == size {
        let is_known = if first == 0 { *first_root == merkle_empty() } else { first_root == root };
        return is_known && path.is_empty();
    }
    let (mut at, mut last) = (first - 1, size - 1);
    while at & 1 == 1 {
        (at, last) = (at >> 1, last >> 1);
    }
    // A first tree that is complete is a subtree of the other: its root is not in the path.
    let (seed, path) = match path {
        _ if first.is_power_of_two() => (first_root, path),
        [seed, path @ ..] => (seed, path),
        [] => return false,
    };
    let (mut old, mut new) = (*seed, *seed);
    for beside in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            (old, new) = (merkle_node(beside, &old), merkle_node(beside, &new));
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            new = merkle_node(&new, beside);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && old == *first_root && new == *root
}

/// The greatest power of two below `len`, which is above 1.
fn cut(len: u64) -> u64 {
    1 << (len - 1).ilog2()
}

/// The root of a complete tree of hashes of leaves, one at least.
fn root_of(leaves: &[Digest]) -> Digest {
    let mut row = leaves.to_vec();
    while row.len() > 1 {
        row = row.as_chunks().0.iter().map(|[left, right]| merkle_node(left, right)).collect();
    }
    row[0]
}
