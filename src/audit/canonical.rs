//! The Merkle tree over all changesets of a graph, in an order that depends on nothing but the graph.
//!
//! A changeset stands behind all of its past, and among others by (depth, id), where its depth is the length of the longest
//! way back to a beginning. So two replicas with the same heads have the same root. What arrives late and is not deep is
//! put in where it belongs, and the tree is made anew from there.

use super::merkle::MerkleTree;
use crate::causal::{CausalGraph, ChangesetId, ChangesetIx};
use crate::crypto::Digest;

/// The tree, as far as it followed a graph. It has to be asked with the same graph each time.
#[derive(Clone, Debug, Default)]
pub struct CanonicalTree {
    tree: MerkleTree,
    order: Vec<ChangesetIx>,
    depths: Depths,
    /// By number of the changeset: where it stands.
    places: Vec<u32>,
}

/// How deep changesets are: one more than the deepest of their parents, or 0.
#[derive(Clone, Debug, Default)]
pub(super) struct Depths(Vec<u32>);

impl Depths {
    /// Takes in what came since.
    pub fn follow(&mut self, graph: &CausalGraph) {
        for ix in (self.0.len() as u32..graph.len()).map(ChangesetIx) {
            let parents = graph.prev(ix).into_iter().chain(graph.deps(ix).iter().copied());
            let depth = parents.map(|parent| self.0[parent.0 as usize] + 1).max();
            self.0.push(depth.unwrap_or(0));
        }
    }

    /// By what changesets stand in canonical order.
    pub fn key(&self, graph: &CausalGraph, ix: ChangesetIx) -> (u32, ChangesetId) {
        (self.0[ix.0 as usize], graph.id(ix))
    }
}

impl CanonicalTree {
    /// Takes in what came since. O(k log k) for k changesets behind all others in the order, and for as many more as stand
    /// behind the first of them.
    pub fn follow(&mut self, graph: &CausalGraph) {
        let fresh = (self.order.len() as u32..graph.len()).map(ChangesetIx);
        self.depths.follow(graph);
        let depths = &self.depths;
        let key = |ix: &ChangesetIx| depths.key(graph, *ix);
        let Some(first) = fresh.clone().map(|ix| key(&ix)).min() else { return };
        let from = self.order.partition_point(|ix| key(ix) < first);
        let mut behind = self.order.split_off(from);
        behind.extend(fresh);
        behind.sort_unstable_by_key(key);
        let order = &self.order;
        self.tree.truncate(from as u64, |index| graph.id(order[index as usize]).0);
        self.places.resize(graph.len() as usize, 0);
        behind.into_iter().for_each(|ix| self.append(graph, ix));
    }

    fn append(&mut self, graph: &CausalGraph, ix: ChangesetIx) {
        self.places[ix.0 as usize] = self.order.len() as u32;
        self.order.push(ix);
        self.tree.push(&graph.id(ix).0);
    }

    /// The tree over some changesets, which with each have all its past. O(n log n).
    pub fn over(graph: &CausalGraph, chosen: &[bool]) -> Self {
        let mut tree = Self::default();
        tree.depths.follow(graph);
        tree.places = vec![u32::MAX; chosen.len()];
        let depths = &tree.depths;
        let mut order: Vec<ChangesetIx> =
            (0..graph.len()).map(ChangesetIx).filter(|ix| chosen[ix.0 as usize]).collect();
        order.sort_unstable_by_key(|ix| depths.key(graph, *ix));
        order.into_iter().for_each(|ix| tree.append(graph, ix));
        tree
    }

    /// How many changesets are in it.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The root over the first `size` of them, all at most. O(log n).
    pub fn root(&self, graph: &CausalGraph, size: u64) -> Digest {
        self.tree.root(size, self.leaf(graph))
    }

    /// Where a changeset stands, and what leads from there to the root over all. O(log n).
    pub fn inclusion(&self, graph: &CausalGraph, id: &ChangesetId) -> Option<(u64, Vec<Digest>)> {
        let place = u64::from(*self.places.get(graph.get(id)?.0 as usize)?);
        let path = self.tree.inclusion(place, self.size(), self.leaf(graph))?;
        Some((place, path))
    }

    /// What leads from the root over the first `first` to the root over all. O(log n).
    pub fn consistency(&self, graph: &CausalGraph, first: u64) -> Option<Vec<Digest>> {
        self.tree.consistency(first, self.size(), self.leaf(graph))
    }

    fn leaf<'a>(&'a self, graph: &'a CausalGraph) -> impl Fn(u64) -> [u8; 32] + 'a {
        |index| graph.id(self.order[index as usize]).0
    }
}
