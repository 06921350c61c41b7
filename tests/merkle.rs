//! Merkle trees: against the recursion of RFC 9162, with small and full subtrees, and what a liar may try.

#[path = "reference/merkle.rs"]
mod reference;
#[path = "reference/rng.rs"]
mod rng;

use rng::{Rng, fuzz};
use stemma::audit::{CanonicalTree, MerkleTree, verify_consistency, verify_inclusion};
use stemma::causal::{ActorId, CausalGraph, ChangesetId, ChangesetIx};
use stemma::crypto::Digest;
use stemma::steps;

fn leaf(n: u64) -> [u8; 32] {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&n.to_le_bytes());
    bytes
}

fn data(n: u64) -> Vec<Vec<u8>> {
    (0..n).map(|n| leaf(n).to_vec()).collect()
}

fn tree<const LOW: u32>(size: u64) -> MerkleTree<LOW> {
    let mut tree = MerkleTree::default();
    (0..size).for_each(|n| tree.push(&leaf(n)));
    tree
}

fn every_proof_is_that_of_the_rfc<const LOW: u32>() {
    let all = data(40);
    let tree = tree::<LOW>(40);
    for size in 0..=40 {
        let root = tree.root(size, leaf);
        assert_eq!(root, reference::root(&all[..size as usize]));
        for index in 0..size {
            let path = tree.inclusion(index, size, leaf).expect("a leaf of the tree");
            assert_eq!(path, reference::inclusion(index as usize, &all[..size as usize]));
            assert!(verify_inclusion(&leaf(index), index, size, &path, &root));
        }
        for first in 1..=size {
            let path = tree.consistency(first, size, leaf).expect("a beginning of the tree");
            assert_eq!(path, reference::consistency(first as usize, &all[..size as usize]));
            assert!(verify_consistency((first, &tree.root(first, leaf)), (size, &root), &path));
        }
        assert!(verify_consistency((0, &tree.root(0, leaf)), (size, &root), &[]));
    }
}

#[test]
fn roots_and_proofs_are_those_of_the_rfc() {
    every_proof_is_that_of_the_rfc::<0>();
    every_proof_is_that_of_the_rfc::<1>();
    every_proof_is_that_of_the_rfc::<3>();
}

#[test]
fn there_is_no_proof_of_what_is_not_there() {
    let tree = tree::<3>(20);
    assert_eq!(tree.inclusion(20, 20, leaf), None);
    assert_eq!(tree.inclusion(0, 21, leaf), None);
    assert_eq!(tree.inclusion(0, 0, leaf), None);
    assert_eq!(tree.consistency(0, 20, leaf), None);
    assert_eq!(tree.consistency(20, 21, leaf), None);
    assert_eq!(tree.consistency(21, 20, leaf), None);
}

#[test]
fn a_tree_that_forgets_its_end_is_the_smaller_tree() {
    for size in 0..40 {
        let mut cut = tree::<3>(40);
        cut.truncate(size, leaf);
        assert_eq!(cut.size(), size);
        assert_eq!(cut.root(size, leaf), tree::<3>(size).root(size, leaf));
        (size..40).for_each(|n| cut.push(&leaf(n)));
        assert_eq!(cut.root(40, leaf), tree::<3>(40).root(40, leaf));
    }
}

/// What differs from a proof in anything is no proof: neither for the reference nor here.
#[test]
fn an_altered_proof_of_inclusion_is_refused() {
    fuzz(400, |seed| {
        let mut rng = Rng::new(seed);
        let size = 1 + rng.below(70) as u64;
        let index = rng.below(size as usize) as u64;
        let tree = tree::<3>(size);
        let root = tree.root(size, leaf);
        let path = tree.inclusion(index, size, leaf).expect("a leaf of the tree");
        let (mut data, mut at, mut of, mut altered) = (leaf(index), index, size, path.clone());
        match rng.below(8) {
            0 => data[rng.below(32)] ^= 1 << rng.below(8),
            1 => at = rng.below(80) as u64,
            2 => of = rng.below(80) as u64,
            3 => altered.push(root),
            4 => drop(altered.pop()),
            5 => altered.reverse(),
            6 if !altered.is_empty() => {
                let (hash, byte) = (rng.below(altered.len()), rng.below(32));
                altered[hash].0[byte] ^= 1 << rng.below(8);
            }
            _ => altered.insert(0, Digest(leaf(seed))),
        }
        let by_reference = at < of
            && reference::root_by(&data, at as usize, of as usize, &altered)
                .is_some_and(|found| found == root);
        assert_eq!(verify_inclusion(&data, at, of, &altered, &root), by_reference, "seed {seed}");
        if (&data, at, of, &altered) != (&leaf(index), index, size, &path) && (at, of) == (index, size) {
            assert!(!by_reference, "seed {seed}");
        }
    });
}

#[test]
fn an_altered_proof_of_consistency_is_refused() {
    fuzz(400, |seed| {
        let mut rng = Rng::new(seed);
        let size = 2 + rng.below(70) as u64;
        let first = 1 + rng.below(size as usize - 1) as u64;
        let tree = tree::<3>(size);
        let (mut old, mut new) = (tree.root(first, leaf), tree.root(size, leaf));
        let mut path = tree.consistency(first, size, leaf).expect("a beginning of the tree");
        match rng.below(5) {
            0 => old.0[rng.below(32)] ^= 1 << rng.below(8),
            1 => new.0[rng.below(32)] ^= 1 << rng.below(8),
            2 => path.push(old),
            3 => drop(path.pop()),
            _ => {
                let (hash, byte) = (rng.below(path.len()), rng.below(32));
                path[hash].0[byte] ^= 1 << rng.below(8);
            }
        }
        assert!(!verify_consistency((first, &old), (size, &new), &path), "seed {seed}");
    });
}

#[test]
fn a_tree_does_not_shrink() {
    let tree = tree::<3>(20);
    let path = tree.consistency(8, 20, leaf).expect("a beginning of the tree");
    let (small, large) = (tree.root(8, leaf), tree.root(20, leaf));
    assert!(verify_consistency((8, &small), (20, &large), &path));
    assert!(!verify_consistency((20, &large), (8, &small), &path));
    assert!(!verify_consistency((20, &large), (20, &small), &[]));
    assert!(!verify_consistency((20, &large), (20, &large), &path));
    assert!(!verify_consistency((0, &small), (20, &large), &[]));
}

/// A node cannot be taken for a leaf: the 64 bytes below it hash to something else as data.
#[test]
fn a_node_is_no_leaf() {
    let tree = tree::<0>(4);
    let root = tree.root(4, leaf);
    let [left, right] = [0, 2].map(|start| reference::root(&data(4)[start..start + 2]));
    assert!(!verify_inclusion(&[left.0, right.0].concat(), 0, 1, &[], &root));
    assert!(!verify_inclusion(&left.0, 0, 2, &[right], &root));
    // Nor a path that ends at a node, with the size that fits it.
    let path = tree.inclusion(0, 4, leaf).expect("a leaf of the tree");
    assert!(!verify_inclusion(&leaf(0), 0, 4, &path[1..], &root));
}

#[test]
fn sizes_without_bound_do_no_harm() {
    let root = Digest([0; 32]);
    let path = vec![root; 64];
    assert!(!verify_inclusion(&[], 0, u64::MAX, &path, &root));
    assert!(!verify_inclusion(&[], u64::MAX - 1, u64::MAX, &path, &root));
    assert!(!verify_inclusion(&[], u64::MAX, u64::MAX, &path, &root));
    assert!(!verify_consistency((1 << 63, &root), (u64::MAX, &root), &path));
    assert!(!verify_consistency((u64::MAX, &root), (1, &root), &path));
}

/// Changesets of several actors who know of each other, in an order of arrival of their own.
struct World {
    changesets: Vec<(ChangesetId, ActorId, Option<usize>, Vec<usize>)>,
}

impl World {
    fn new(rng: &mut Rng, count: usize) -> Self {
        let mut changesets: Vec<(ChangesetId, ActorId, Option<usize>, Vec<usize>)> = Vec::new();
        for n in 0..count {
            let actor = ActorId([rng.below(4) as u8; 32]);
            let prev = changesets.iter().rposition(|one| one.1 == actor);
            let deps = (0..n).filter(|dep| changesets[*dep].1 != actor && rng.chance(20)).collect();
            let mut id = leaf(rng.next());
            id[8..].fill(rng.below(256) as u8);
            changesets.push((ChangesetId(id), actor, prev, deps));
        }
        Self { changesets }
    }

    /// Adds one that can be added, chosen at random.
    fn arrive(&self, rng: &mut Rng, graph: &mut CausalGraph) -> bool {
        let known = |at: &usize| graph.get(&self.changesets[*at].0);
        let can = |at: &usize| {
            let (id, _, prev, deps) = &self.changesets[*at];
            graph.get(id).is_none() && prev.iter().chain(deps).all(|parent| known(parent).is_some())
        };
        let ready: Vec<usize> = (0..self.changesets.len()).filter(can).collect();
        if ready.is_empty() {
            return false;
        }
        let (id, actor, prev, deps) = &self.changesets[*rng.pick(&ready)];
        let deps: Vec<ChangesetIx> = deps.iter().filter_map(known).collect();
        graph.add(*id, *actor, prev.as_ref().and_then(known), &deps);
        true
    }

    /// The order in which they stand, the slow way.
    fn in_order(&self, graph: &CausalGraph) -> Vec<Vec<u8>> {
        let mut depths = Vec::new();
        for (_, _, prev, deps) in &self.changesets {
            depths.push(prev.iter().chain(deps).map(|parent| depths[*parent] + 1).max().unwrap_or(0));
        }
        let mut here: Vec<(u32, ChangesetId)> =
            depths.into_iter().zip(self.changesets.iter().map(|one| one.0)).collect();
        here.retain(|(_, id)| graph.get(id).is_some());
        here.sort();
        here.into_iter().map(|(_, id)| id.0.to_vec()).collect()
    }
}

#[test]
fn the_root_depends_on_what_is_there_and_not_on_how_it_came() {
    fuzz(60, |seed| {
        let mut rng = Rng::new(seed);
        let count = 1 + rng.below(60);
        let world = World::new(&mut rng, count);
        let (mut graph, mut tree) = (CausalGraph::default(), CanonicalTree::default());
        while world.arrive(&mut rng, &mut graph) {
            if rng.chance(40) {
                continue; // several at once
            }
            tree.follow(&graph);
            let expected = world.in_order(&graph);
            let root = tree.root(&graph, tree.size());
            assert_eq!(root, reference::root(&expected), "seed {seed}");
            for (index, id) in expected.iter().enumerate() {
                let id = ChangesetId(id.as_slice().try_into().expect("32 bytes"));
                let (at, path) = tree.inclusion(&graph, &id).expect("it is there");
                assert_eq!(at, index as u64, "seed {seed}");
                assert!(verify_inclusion(&id.0, at, tree.size(), &path, &root), "seed {seed}");
            }
        }
    });
}

#[test]
fn a_tree_over_a_part_is_that_of_whoever_has_that_part_alone() {
    fuzz(60, |seed| {
        let mut rng = Rng::new(seed);
        let count = 2 + rng.below(60);
        let world = World::new(&mut rng, count);
        let mut graph = CausalGraph::default();
        while world.arrive(&mut rng, &mut graph) {}
        let head = ChangesetIx(rng.below(count) as u32);
        let past = graph.within(&[head]);
        let mut part = CausalGraph::default();
        for ix in (0..graph.len()).map(ChangesetIx).filter(|ix| past[ix.0 as usize]) {
            let there = |ix: ChangesetIx| part.get(&graph.id(ix)).expect("parents come first");
            let (prev, deps) = (graph.prev(ix).map(there), graph.deps(ix).iter().map(|dep| there(*dep)));
            let deps: Vec<ChangesetIx> = deps.collect();
            part.add(graph.id(ix), graph.actor(ix), prev, &deps);
        }
        let mut whole = CanonicalTree::default();
        whole.follow(&part);
        let over = CanonicalTree::over(&graph, &past);
        assert_eq!(over.size(), whole.size(), "seed {seed}");
        assert_eq!(over.root(&graph, over.size()), whole.root(&part, whole.size()), "seed {seed}");
        let id = graph.id(head);
        assert_eq!(over.inclusion(&graph, &id), whole.inclusion(&part, &id), "seed {seed}");
    });
}

/// Steps at n and at 2n.
fn taken(run: impl FnOnce()) -> f64 {
    let before = steps::taken();
    run();
    (steps::taken() - before) as f64
}

#[test]
fn creation_grows_with_n_and_proofs_with_its_logarithm() {
    let [at_n, at_2n] = [10_000, 20_000].map(|n| taken(|| drop(tree::<3>(n))));
    assert!(at_n > 0.0 && at_2n / at_n < 2.1, "{at_n} and {at_2n}");
    let [at_n, at_2n] = [1 << 14, 1 << 15].map(|n| {
        let tree = tree::<3>(n - 1);
        taken(|| drop(tree.inclusion(n / 3, n - 1, leaf)))
    });
    assert!(at_n > 0.0 && at_2n - at_n < 8.0, "{at_n} and {at_2n}");
}

/// What comes behind all others costs as much as it is, whatever is there.
#[test]
fn following_a_graph_that_grows_at_its_end_does_not_look_back() {
    let cost = |before: u32| {
        let (mut graph, mut tree) = (CausalGraph::default(), CanonicalTree::default());
        let add = |graph: &mut CausalGraph, n: u32| {
            let prev = n.checked_sub(1).map(ChangesetIx);
            graph.add(ChangesetId(leaf(u64::from(n))), ActorId([1; 32]), prev, &[]);
        };
        (0..before).for_each(|n| add(&mut graph, n));
        tree.follow(&graph);
        (before..before + 100).for_each(|n| add(&mut graph, n));
        taken(|| tree.follow(&graph))
    };
    let [at_n, at_2n] = [10_000, 20_000].map(cost);
    assert!(at_n > 0.0 && at_2n / at_n < 1.2, "{at_n} and {at_2n}");
}
