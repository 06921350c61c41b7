//! The naive model of a map: a list of writes. What a key reads as is found by the definition: of the writes that count,
//! those that no other one has in its past, the newest by (stamp, changeset id, index) first.
#![allow(dead_code)]

use super::dag::Dag;
use stemma::causal::Hlc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    pub key: u8,
    pub deletes: bool,
}

/// (changeset in the graph, op in it).
pub type WriteId = (usize, usize);

#[derive(Clone, Debug, Default)]
pub struct Model {
    /// By changeset.
    pub stamps: Vec<Hlc>,
    pub writes: Vec<Vec<Write>>,
}

impl Model {
    /// Adds the writes of the changeset that was added to the graph last.
    pub fn add(&mut self, stamp: Hlc, writes: Vec<Write>) {
        self.stamps.push(stamp);
        self.writes.push(writes);
    }

    pub fn all(&self) -> impl Iterator<Item = (WriteId, Write)> + '_ {
        let numbered = self.writes.iter().enumerate();
        numbered.flat_map(|(id, writes)| {
            writes.iter().enumerate().map(move |(index, write)| ((id, index), *write))
        })
    }

    /// The winner of a key and the writes beside it.
    pub fn winners(&self, dag: &Dag, key: u8, counts: impl Fn(WriteId) -> bool) -> Vec<WriteId> {
        let writes: Vec<WriteId> =
            self.all().filter(|(id, write)| write.key == key && counts(*id)).map(|(id, _)| id).collect();
        let over = |later: WriteId, earlier: WriteId| {
            if later.0 == earlier.0 { later.1 > earlier.1 } else { dag.contains(later.0, earlier.0) }
        };
        let mut maximal: Vec<WriteId> = writes
            .iter()
            .filter(|write| !writes.iter().any(|other| over(*other, **write)))
            .copied()
            .collect();
        maximal.sort_by_key(|(id, index)| {
            std::cmp::Reverse((self.stamps[*id], dag.changesets[*id].key.2, *index))
        });
        maximal
    }
}
