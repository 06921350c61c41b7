//! The causal graph: which changeset is in the past of which.
//!
//! Changesets are numbered in topological arrival order. A *lane* is one unforked chain of one actor; where a chain forks,
//! the branch that arrived second becomes a lane of its own that hangs below the first. What a changeset knows of another
//! lane is a prefix of that lane, so a version vector is "lane -> length"; it is derived from the hashes, kept as changes
//! along the lane, and so costs memory only where knowledge grew. A lane that begins with knowledge of others takes over what
//! one of them knows, as a branch does, up to so many in a row.
//!
//! Invariant: every parent of a changeset has a smaller number. The graph holds ids only: no bytes, no signatures.

use super::id::ByWord;
use super::{ActorId, ChangesetId, ChangesetIx};
use crate::sorted::SortedMap;
use crate::steps;
use foldhash::HashMap;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::collections::hash_map::Entry;

/// So many lanes take over from one another before one knows everything by itself: what a question costs at most, but for
/// forks, and how much less memory lanes take of which each knows all before it.
const DEPTH_MAX: u32 = 16;

/// Local number of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneIx(pub u32);

/// The last changeset of a lane, as peers compare them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tip {
    /// The actor of the lane.
    pub actor: ActorId,
    /// The seq of the lane's last changeset.
    pub seq: u32,
    /// Its id.
    pub id: ChangesetId,
}

/// What one changeset has in its past.
pub struct Past<'a> {
    graph: &'a CausalGraph,
    of: ChangesetIx,
    /// How much of a lane.
    known: SortedMap<LaneIx, u32>,
}

impl Past<'_> {
    /// Whether it has a changeset in its past, or is it. O(log lanes) for a lane that was asked about before.
    pub fn contains(&mut self, past: ChangesetIx) -> bool {
        let node = self.graph.node(past);
        if past > self.of {
            return false;
        }
        let known = self.known.get(&node.lane).copied().unwrap_or_else(|| {
            let known = self.graph.known_length(self.of, node.lane);
            self.known.insert(node.lane, known);
            known
        });
        known > node.position
    }
}

#[derive(Clone, Debug)]
struct Node {
    id: ChangesetId,
    lane: LaneIx,
    position: u32,
    deps: Vec<ChangesetIx>,
}

#[derive(Clone, Debug)]
struct Lane {
    actor: ActorId,
    first_seq: u32,
    parent: Option<ChangesetIx>,
    /// What it knows from its first changeset on: its parent, or one of the first one's deps.
    base: Option<ChangesetIx>,
    /// How many lanes take over from one another above it.
    depth: u32,
    nodes: Vec<ChangesetIx>,
    /// Per foreign lane: (position in this lane, how many changesets of that lane are known from there on), rising.
    known: HashMap<LaneIx, Vec<(u32, u32)>>,
}

/// The graph of all changesets that were integrated or are inert.
#[derive(Clone, Debug, Default)]
pub struct CausalGraph {
    nodes: Vec<Node>,
    lanes: Vec<Lane>,
    index: ByWord<ChangesetIx>,
    /// Those whose word another one came with first.
    rivals: HashMap<ChangesetId, ChangesetIx>,
    lanes_of: HashMap<ActorId, Vec<LaneIx>>,
    /// By number.
    heads: Vec<ChangesetIx>,
}

impl CausalGraph {
    /// Adds a changeset whose `prev` (none for seq 0) and `deps` are in the graph and that is not there itself.
    /// O(lanes known to the deps).
    ///
    /// # Panics
    /// If a parent is not in the graph.
    pub fn add(
        &mut self,
        id: ChangesetId,
        actor: ActorId,
        prev: Option<ChangesetIx>,
        deps: &[ChangesetIx],
    ) -> ChangesetIx {
        let ix =
            ChangesetIx(u32::try_from(self.nodes.len()).expect("fewer than 2^32 changesets fit in memory"));
        let lane = self.lane_for(actor, prev, deps);
        let position = self.lanes[lane.0 as usize].nodes.len() as u32;
        let base = self.lane(lane).base.filter(|_| position == 0);
        for dep in deps.iter().filter(|dep| base != Some(**dep)) {
            self.learn(lane, position, *dep);
        }
        self.lanes[lane.0 as usize].nodes.push(ix);
        self.nodes.push(Node { id, lane, position, deps: deps.to_vec() });
        match self.index.entry(word(&id)) {
            Entry::Vacant(free) => {
                free.insert(ix);
            }
            Entry::Occupied(_) => {
                self.rivals.insert(id, ix);
            }
        }
        for parent in prev.iter().chain(deps) {
            if let Ok(at) = self.heads.binary_search(parent) {
                self.heads.remove(at);
            }
        }
        self.heads.push(ix);
        ix
    }

    /// Makes room for that many more.
    pub fn reserve(&mut self, changesets: usize) {
        self.nodes.reserve_exact(changesets);
        self.index.reserve(changesets);
    }

    /// How many changesets there are.
    pub fn len(&self) -> u32 {
        self.nodes.len() as u32
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The local number of a changeset.
    pub fn get(&self, id: &ChangesetId) -> Option<ChangesetIx> {
        let first = *self.index.get(&word(id))?;
        if self.node(first).id == *id { Some(first) } else { self.rivals.get(id).copied() }
    }

    /// The id of a changeset.
    pub fn id(&self, ix: ChangesetIx) -> ChangesetId {
        self.node(ix).id
    }

    /// The actor of a changeset.
    pub fn actor(&self, ix: ChangesetIx) -> ActorId {
        self.lane(self.node(ix).lane).actor
    }

    /// The place of a changeset in its actor's chain.
    pub fn seq(&self, ix: ChangesetIx) -> u32 {
        let node = self.node(ix);
        self.lane(node.lane).first_seq + node.position
    }

    /// The changeset before this one in its actor's chain.
    pub fn prev(&self, ix: ChangesetIx) -> Option<ChangesetIx> {
        let node = self.node(ix);
        let lane = self.lane(node.lane);
        match node.position {
            0 => lane.parent,
            position => Some(lane.nodes[position as usize - 1]),
        }
    }

    /// The parent of a changeset that arrived last: nothing after it is in the changeset's past.
    pub fn newest_parent(&self, ix: ChangesetIx) -> Option<ChangesetIx> {
        self.prev(ix).into_iter().chain(self.deps(ix).iter().copied()).max()
    }

    /// The other heads a changeset named.
    pub fn deps(&self, ix: ChangesetIx) -> &[ChangesetIx] {
        &self.node(ix).deps
    }

    /// The changeset `steps` before `ix` in its chain. O(forks on the way).
    pub fn nth_prev(&self, ix: ChangesetIx, steps: u32) -> Option<ChangesetIx> {
        let (mut ix, mut steps) = (ix, steps);
        loop {
            let node = self.node(ix);
            let lane = self.lane(node.lane);
            if steps <= node.position {
                return Some(lane.nodes[(node.position - steps) as usize]);
            }
            steps -= node.position + 1;
            ix = lane.parent?;
        }
    }

    /// How many steps of `prev` lead from `from` back to `to`, if it is on that chain. O(forks on the way).
    pub fn steps_back(&self, from: ChangesetIx, to: ChangesetIx) -> Option<u32> {
        let target = self.node(to);
        let (mut ix, mut steps) = (from, 0);
        loop {
            let node = self.node(ix);
            if node.lane == target.lane {
                return node.position.checked_sub(target.position).map(|rest| steps + rest);
            }
            steps += node.position + 1;
            ix = self.lane(node.lane).parent?;
        }
    }

    /// Whether `past` is `of` itself or in its causal past. O(log n) and the forks above `of`.
    pub fn contains(&self, of: ChangesetIx, past: ChangesetIx) -> bool {
        let node = self.node(past);
        past <= of && self.known_length(of, node.lane) > node.position
    }

    /// The same for many: each lane is looked up once.
    pub fn past_of(&self, of: ChangesetIx) -> Past<'_> {
        Past { graph: self, of, known: SortedMap::new() }
    }

    /// The same total order on all replicas: actor key, seq, id.
    pub fn order(&self, a: ChangesetIx, b: ChangesetIx) -> Ordering {
        let key = |ix| (self.actor(ix), self.seq(ix), self.id(ix));
        if a == b { Ordering::Equal } else { key(a).cmp(&key(b)) }
    }

    /// The changesets without a known child, by number.
    pub fn heads(&self) -> impl Iterator<Item = ChangesetIx> + '_ {
        self.heads.iter().copied()
    }

    /// How many actors there are.
    pub fn actors(&self) -> usize {
        self.lanes_of.len()
    }

    /// The actors, in no order.
    pub fn actor_ids(&self) -> impl Iterator<Item = ActorId> + '_ {
        self.lanes_of.keys().copied()
    }

    /// The changesets of an actor by lane; none of the lanes is empty.
    pub fn lanes(&self, actor: &ActorId) -> impl Iterator<Item = &[ChangesetIx]> {
        let lanes = self.lanes_of.get(actor).into_iter().flatten();
        lanes.map(|lane| self.lane(*lane).nodes.as_slice())
    }

    /// The last changeset of every lane.
    pub fn tips(&self) -> impl Iterator<Item = Tip> + '_ {
        self.lanes.iter().map(|lane| self.tip(lane))
    }

    /// The last changesets of an actor: one, or one per branch after a fork.
    pub fn tips_of(&self, actor: &ActorId) -> Vec<Tip> {
        self.lanes_of.get(actor).into_iter().flatten().map(|lane| self.tip(self.lane(*lane))).collect()
    }

    /// Whether no changeset of the same actor has this one before it.
    pub fn is_tip(&self, ix: ChangesetIx) -> bool {
        let node = self.node(ix);
        node.position as usize + 1 == self.lane(node.lane).nodes.len()
    }

    /// The changesets of an actor with this seq: several after a fork.
    pub fn at(&self, actor: &ActorId, seq: u32) -> Vec<ChangesetIx> {
        self.lanes_of
            .get(actor)
            .into_iter()
            .flatten()
            .filter_map(|lane| {
                let lane = self.lane(*lane);
                lane.nodes.get(seq.checked_sub(lane.first_seq)? as usize).copied()
            })
            .collect()
    }

    /// The changesets in the past of none of `known`, in topological order: what a peer with those heads lacks. O(n).
    pub fn beyond(&self, known: &[ChangesetIx]) -> Vec<ChangesetIx> {
        let have = self.within(known);
        (0..self.len()).map(ChangesetIx).filter(|ix| !have[ix.0 as usize]).collect()
    }

    /// Per changeset, whether it is one of `known` or in the past of one. O(n).
    pub fn within(&self, known: &[ChangesetIx]) -> Vec<bool> {
        let mut have = vec![false; self.nodes.len()];
        for ix in known {
            have[ix.0 as usize] = true;
        }
        for ix in (0..self.len()).rev().map(ChangesetIx) {
            if have[ix.0 as usize] {
                self.for_parents(ix, |parent| have[parent.0 as usize] = true);
            }
        }
        have
    }

    /// Those of the chosen changesets that are in the past of no other chosen one, by number. O(n).
    pub fn maximal(&self, chosen: &[bool]) -> Vec<ChangesetIx> {
        let (mut below, mut found) = (vec![false; self.nodes.len()], Vec::new());
        for ix in (0..self.len()).rev().map(ChangesetIx) {
            let (at, is_below) = (ix.0 as usize, below[ix.0 as usize]);
            if chosen[at] && !is_below {
                found.push(ix);
            }
            if chosen[at] || is_below {
                self.for_parents(ix, |parent| below[parent.0 as usize] = true);
            }
        }
        found.reverse();
        found
    }

    /// How many numbers all version vectors take.
    #[doc(hidden)]
    pub fn dbg_numbers(&self) -> usize {
        let known = |lane: &Lane| lane.known.values().map(|row| 2 * row.len() + 1).sum::<usize>();
        self.lanes.iter().map(known).sum()
    }

    /// Recomputes the invariants the slow way.
    #[doc(hidden)]
    pub fn dbg_check(&self) {
        let mut heads: BTreeSet<ChangesetIx> = (0..self.len()).map(ChangesetIx).collect();
        let mut pasts: Vec<BTreeSet<ChangesetIx>> = Vec::new();
        for ix in (0..self.len()).map(ChangesetIx) {
            let mut past = BTreeSet::from([ix]);
            let prev = self.prev(ix);
            for parent in prev.iter().chain(self.deps(ix)) {
                assert!(*parent < ix, "a parent has a smaller number");
                past.extend(&pasts[parent.0 as usize]);
                heads.remove(parent);
            }
            for other in (0..self.len()).map(ChangesetIx) {
                assert_eq!(self.contains(ix, other), past.contains(&other), "{ix:?} contains {other:?}");
            }
            pasts.push(past);
        }
        assert!(heads.iter().eq(&self.heads));
    }

    fn lane_for(&mut self, actor: ActorId, prev: Option<ChangesetIx>, deps: &[ChangesetIx]) -> LaneIx {
        if let Some(prev) = prev {
            let lane = self.node(prev).lane;
            assert_eq!(self.lane(lane).actor, actor, "prev is of the same actor");
            if self.is_tip(prev) {
                return lane;
            }
        }
        let first_seq = prev.map_or(0, |prev| self.seq(prev) + 1);
        let lane = LaneIx(self.lanes.len() as u32);
        let depth_of = |ix: ChangesetIx| self.lane(self.node(ix).lane).depth;
        let newest = deps.iter().copied().max().filter(|dep| depth_of(*dep) < DEPTH_MAX);
        let base = prev.or(newest);
        let depth = base.map_or(0, |base| depth_of(base) + 1);
        self.lanes.push(Lane {
            actor,
            first_seq,
            parent: prev,
            base,
            depth,
            nodes: Vec::new(),
            known: HashMap::default(),
        });
        self.lanes_of.entry(actor).or_default().push(lane);
        lane
    }

    /// From `position` on, `lane` knows what `dep` knows.
    fn learn(&mut self, lane: LaneIx, position: u32, dep: ChangesetIx) {
        for (other, length) in self.version(dep) {
            steps::count(1);
            if other == lane || self.known_at(lane, position, other) >= length {
                continue;
            }
            let row = self.lanes[lane.0 as usize].known.entry(other).or_default();
            match row.last_mut() {
                Some(last) if last.0 == position => last.1 = length,
                _ => row.push((position, length)),
            }
        }
    }

    /// The version vector of a changeset: how many changesets it knows of a lane, of one below another once for each.
    fn version(&self, of: ChangesetIx) -> Vec<(LaneIx, u32)> {
        let mut version = Vec::new();
        let mut next = Some(of);
        while let Some(ix) = next {
            let node = self.node(ix);
            let lane = self.lane(node.lane);
            version.push((node.lane, node.position + 1));
            version.extend(lane.known.iter().map(|(other, row)| (*other, length_at(row, node.position))));
            next = lane.base;
        }
        version
    }

    fn known_length(&self, of: ChangesetIx, lane: LaneIx) -> u32 {
        let node = self.node(of);
        self.known_at(node.lane, node.position, lane)
    }

    /// How much of `other` is known at a position of `lane`, through those it takes over from too. No recursion: a member
    /// can fork as deep as it likes.
    fn known_at(&self, lane: LaneIx, position: u32, other: LaneIx) -> u32 {
        let (mut lane, mut position, mut length) = (lane, position, 0);
        loop {
            steps::count(1);
            if lane == other {
                return length.max(position + 1);
            }
            let here = self.lane(lane);
            length = length.max(here.known.get(&other).map_or(0, |row| length_at(row, position)));
            let Some(base) = here.base else { return length };
            let node = self.node(base);
            (lane, position) = (node.lane, node.position);
        }
    }

    fn for_parents(&self, ix: ChangesetIx, parent: impl FnMut(ChangesetIx)) {
        self.prev(ix).into_iter().chain(self.deps(ix).iter().copied()).for_each(parent);
    }

    fn node(&self, ix: ChangesetIx) -> &Node {
        &self.nodes[ix.0 as usize]
    }

    fn lane(&self, ix: LaneIx) -> &Lane {
        &self.lanes[ix.0 as usize]
    }

    fn tip(&self, lane: &Lane) -> Tip {
        let last = *lane.nodes.last().expect("a lane is made with its first changeset");
        Tip { actor: lane.actor, seq: self.seq(last), id: self.id(last) }
    }
}

fn length_at(row: &[(u32, u32)], position: u32) -> u32 {
    match row.partition_point(|(at, _)| *at <= position) {
        0 => 0,
        found => row[found - 1].1,
    }
}

/// What tells ids apart, but for those that somebody took pains to make alike.
fn word(id: &ChangesetId) -> u64 {
    u64::from_le_bytes(*id.0.last_chunk().expect("32 bytes end with 8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u32) -> ChangesetId {
        let mut bytes = [0; 32];
        bytes[28..].copy_from_slice(&n.to_be_bytes());
        ChangesetId(bytes)
    }

    fn actor(n: u8) -> ActorId {
        ActorId([n; 32])
    }

    #[test]
    fn a_fork_makes_a_second_lane_below_the_first() {
        let mut graph = CausalGraph::default();
        let a0 = graph.add(id(0), actor(1), None, &[]);
        let a1 = graph.add(id(1), actor(1), Some(a0), &[]);
        let a2 = graph.add(id(2), actor(1), Some(a1), &[]);
        let fork = graph.add(id(3), actor(1), Some(a0), &[]);
        let next = graph.add(id(4), actor(1), Some(fork), &[a2]);
        graph.dbg_check();
        assert_eq!(graph.at(&actor(1), 1), [a1, fork]);
        assert_eq!(graph.seq(next), 2);
        assert_eq!((graph.nth_prev(next, 2), graph.nth_prev(next, 3)), (Some(a0), None));
        assert_eq!((graph.steps_back(next, a0), graph.steps_back(next, a1)), (Some(2), None));
        assert_eq!(graph.heads().collect::<Vec<_>>(), [next]);
        assert_eq!(graph.tips_of(&actor(1)).len(), 2);
    }

    #[test]
    fn ids_with_one_word_are_told_apart() {
        let mut graph = CausalGraph::default();
        let mut last = None;
        let ids: Vec<ChangesetId> = (0..100)
            .map(|n| ChangesetId([[n; 24].as_slice(), &[7; 8]].concat().try_into().expect("32 bytes")))
            .collect();
        assert!(ids.iter().all(|one| word(one) == word(&ids[0])));
        for (one, n) in ids.iter().zip(0..) {
            assert_eq!(graph.get(one), None);
            last = Some(graph.add(*one, actor(1), last, &[]));
            assert_eq!(last, Some(ChangesetIx(n)));
        }
        assert!(ids.iter().zip(0..).all(|(one, n)| graph.get(one) == Some(ChangesetIx(n))));
    }

    /// Every changeset forks the one before it: a lane below a lane below a lane.
    #[test]
    fn forks_nest_as_deep_as_a_member_likes() {
        let mut graph = CausalGraph::default();
        let first = graph.add(id(0), actor(1), None, &[]);
        let (mut below, mut beside) = (first, first);
        for n in 1..20_000 {
            beside = graph.add(id(2 * n), actor(1), Some(below), &[]);
            below = graph.add(id(2 * n + 1), actor(1), Some(below), &[]);
        }
        let merge = graph.add(id(u32::MAX), actor(2), None, &[below]);
        assert!(graph.contains(merge, first) && graph.contains(beside, first));
        assert!(!graph.contains(below, beside) && !graph.contains(merge, beside));
        assert_eq!((graph.seq(below), graph.steps_back(below, first)), (19_999, Some(19_999)));
    }

    /// Everybody writes once, and has seen everything: each of the actors knows of all before it.
    #[test]
    fn lanes_that_know_all_before_them_share_what_they_know() {
        let numbers = |actors: u32| {
            let mut graph = CausalGraph::default();
            let mut last = None;
            for n in 0..actors {
                let mut of = [0; 32];
                of[..4].copy_from_slice(&n.to_be_bytes());
                last = Some(graph.add(id(n), ActorId(of), None, last.as_slice()));
            }
            let (first, last) = (ChangesetIx(0), last.expect("somebody wrote"));
            assert!(graph.contains(last, first) && !graph.contains(first, last));
            graph.dbg_numbers()
        };
        let (all, each) = (numbers(400), 400 * 400 / 2 * 3);
        assert!(all * DEPTH_MAX as usize <= each + each / 4, "{all} of {each}");
    }

    #[test]
    fn random_graphs_with_forks_agree_with_the_slow_way() {
        for seed in 1..200_u64 {
            let mut state = seed;
            let mut random = move |below: u32| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state % u64::from(below)) as u32
            };
            let mut graph = CausalGraph::default();
            for n in 0..24 {
                // Few write often, or many once and from what others wrote last.
                let who = actor(random(if seed % 2 == 0 { 4 } else { 24 }) as u8);
                let own: Vec<ChangesetIx> =
                    (0..graph.len()).map(ChangesetIx).filter(|ix| graph.actor(*ix) == who).collect();
                let prev = match own.last() {
                    Some(_) if random(8) == 0 => Some(own[random(own.len() as u32) as usize]),
                    last => last.copied(),
                };
                let deps: Vec<ChangesetIx> = match graph.len() {
                    0 => Vec::new(),
                    len if seed % 4 == 1 => vec![ChangesetIx(len - 1)],
                    len => (0..random(3)).map(|_| ChangesetIx(random(len))).collect(),
                };
                graph.add(id(n), who, prev, &deps);
            }
            graph.dbg_check();
            let known = ChangesetIx(random(24));
            let lacking = graph.beyond(&[known]);
            for ix in (0..24).map(ChangesetIx) {
                assert_eq!(lacking.contains(&ix), !graph.contains(known, ix), "seed {seed}");
            }
            let chosen: Vec<bool> = (0..24).map(|_| random(2) == 0).collect();
            let all = || (0..24).map(ChangesetIx).filter(|ix| chosen[ix.0 as usize]);
            let in_past = |ix: ChangesetIx| all().any(|other| other != ix && graph.contains(other, ix));
            let expected: Vec<ChangesetIx> = all().filter(|ix| !in_past(*ix)).collect();
            assert_eq!(graph.maximal(&chosen), expected, "seed {seed}");
        }
    }
}
