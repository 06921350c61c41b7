//! How a skeleton names earlier changesets: as steps along its own chain or a dep's chain where it can, else by id.

use crate::causal::{CausalGraph, ChangesetIx};
use crate::event::{ChangesetAt, ChangesetRef};
use foldhash::HashMap;

/// The table under construction while a batch is written down.
pub struct RefTable<'a> {
    graph: &'a CausalGraph,
    prev: Option<ChangesetIx>,
    deps: &'a [ChangesetIx],
    refs: Vec<ChangesetRef>,
    index: HashMap<ChangesetIx, u32>,
}

impl<'a> RefTable<'a> {
    /// For a changeset with these parents; `deps` in the order of the header.
    pub fn new(graph: &'a CausalGraph, prev: Option<ChangesetIx>, deps: &'a [ChangesetIx]) -> Self {
        Self { graph, prev, deps, refs: Vec::new(), index: HashMap::default() }
    }

    /// The number by which ops name a changeset: 0 for the one that is being written.
    pub fn number(&mut self, changeset: ChangesetIx) -> ChangesetAt {
        if changeset == ChangesetIx::OPEN {
            return ChangesetAt(0);
        }
        if let Some(number) = self.index.get(&changeset) {
            return ChangesetAt(*number);
        }
        self.refs.push(self.shortest(changeset));
        let number = self.refs.len() as u32;
        self.index.insert(changeset, number);
        ChangesetAt(number)
    }

    /// Adds a row for a changeset, even if there is one: the table keeps the order of an older one.
    pub fn add(&mut self, changeset: ChangesetIx) {
        self.refs.push(self.shortest(changeset));
    }

    /// The finished table.
    pub fn into_refs(self) -> Vec<ChangesetRef> {
        self.refs
    }

    fn shortest(&self, changeset: ChangesetIx) -> ChangesetRef {
        let steps = |from: ChangesetIx| self.graph.steps_back(from, changeset);
        if let Some(steps) = self.prev.and_then(steps) {
            return ChangesetRef::BeforePrev(steps);
        }
        let along = |(dep, from): (usize, &ChangesetIx)| {
            steps(*from).map(|steps| ChangesetRef::BeforeDep { dep: dep as u8, steps })
        };
        self.deps
            .iter()
            .enumerate()
            .find_map(along)
            .unwrap_or_else(|| ChangesetRef::Id(self.graph.id(changeset)))
    }
}

/// Finds the changesets that a table names; none if one of them is not in the causal past of the parents.
pub fn resolve(
    graph: &CausalGraph,
    prev: Option<ChangesetIx>,
    deps: &[ChangesetIx],
    refs: &[ChangesetRef],
) -> Option<Vec<ChangesetIx>> {
    let past = |ix: ChangesetIx| prev.iter().chain(deps).any(|parent| graph.contains(*parent, ix));
    refs.iter()
        .map(|reference| match reference {
            ChangesetRef::BeforePrev(steps) => graph.nth_prev(prev?, *steps),
            ChangesetRef::BeforeDep { dep, steps } => graph.nth_prev(*deps.get(*dep as usize)?, *steps),
            ChangesetRef::Id(id) => graph.get(id).filter(|ix| past(*ix)),
        })
        .collect()
}
