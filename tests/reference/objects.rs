//! The naive model of all objects but texts: a list of ops with what they saw. Whether an op counts, and what an object then
//! reads as, is found by the definition each time.
#![allow(dead_code)]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use stemma::causal::Hlc;

/// (changeset in the order of the world, op in it).
pub type OpId = (usize, usize);

/// An object and a place in it: a key, an element, an item, a group; 0 for a counter.
pub type Place = (usize, u32);

#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    Put(Place, String),
    Take(Place),
    Add(Place, i64),
    Reset(Place),
    Revoke(Vec<OpId>),
    /// An op of a text, which has a model of its own.
    Text,
    /// An op on the list, which has a model of its own.
    List,
    /// An op on the ledger, which has a model of its own.
    Ledger,
}

#[derive(Clone, Debug)]
pub struct Changeset {
    /// All changesets in its causal past, itself left out.
    pub past: BTreeSet<usize>,
    pub stamp: Hlc,
    pub id: [u8; 32],
    pub ops: Vec<Op>,
}

#[derive(Clone, Debug, Default)]
pub struct Model {
    pub changesets: Vec<Changeset>,
}

/// What is known somewhere, and what is not to count there.
#[derive(Clone, Debug, Default)]
pub struct View {
    pub known: BTreeSet<usize>,
    pub hidden: BTreeSet<OpId>,
}

impl Model {
    pub fn op(&self, (changeset, index): OpId) -> &Op {
        &self.changesets[changeset].ops[index]
    }

    pub fn ops<'a>(&'a self, view: &'a View) -> impl Iterator<Item = OpId> + 'a {
        let numbered =
            |changeset: usize| (0..self.changesets[changeset].ops.len()).map(move |op| (changeset, op));
        view.known.iter().copied().flat_map(numbered)
    }

    /// The ops that count: nobody hides them, and no revoke that counts names them.
    pub fn counting(&self, view: &View) -> BTreeSet<OpId> {
        self.settled(&self.ops(view).filter(|op| !view.hidden.contains(op)).collect())
    }

    /// Those of a set of ops that no revoke of the set names which counts itself.
    pub fn settled(&self, ops: &BTreeSet<OpId>) -> BTreeSet<OpId> {
        let mut counting: BTreeSet<OpId> = BTreeSet::new();
        // A revoke names what is in its past, and the world is numbered along that: the last ones are settled first.
        for op in ops.iter().rev() {
            let revoked = counting
                .iter()
                .any(|other| matches!(self.op(*other), Op::Revoke(targets) if targets.contains(op)));
            if !revoked {
                counting.insert(*op);
            }
        }
        counting
    }

    /// Whether `later` was written knowing `earlier`.
    pub fn knew(&self, later: OpId, earlier: OpId) -> bool {
        match later.0 == earlier.0 {
            true => later.1 > earlier.1,
            false => self.changesets[later.0].past.contains(&earlier.0),
        }
    }

    /// The writes of each place that no other counting one knew, the newest first.
    pub fn winners(&self, counting: &BTreeSet<OpId>) -> BTreeMap<Place, Vec<OpId>> {
        let mut places: BTreeMap<Place, Vec<OpId>> = BTreeMap::new();
        for op in counting {
            if let Op::Put(place, _) | Op::Take(place) = self.op(*op) {
                places.entry(*place).or_default().push(*op);
            }
        }
        for writes in places.values_mut() {
            let all = writes.clone();
            writes.retain(|write| !all.iter().any(|other| self.knew(*other, *write)));
            writes.sort_by_key(|(changeset, index)| {
                let of = &self.changesets[*changeset];
                Reverse((of.stamp, of.id, *index))
            });
        }
        places
    }

    /// What each sum comes to: (added, taken).
    pub fn sums(&self, counting: &BTreeSet<OpId>) -> BTreeMap<Place, (i128, i128)> {
        let mut sums: BTreeMap<Place, (i128, i128)> = BTreeMap::new();
        for op in counting {
            let Op::Add(place, amount) = self.op(*op) else { continue };
            let cancelled = |reset: &OpId| *self.op(*reset) == Op::Reset(*place) && self.knew(*reset, *op);
            if counting.iter().any(cancelled) {
                continue;
            }
            let sum = sums.entry(*place).or_default();
            if *amount >= 0 {
                sum.0 += i128::from(*amount);
            } else {
                sum.1 -= i128::from(*amount);
            }
        }
        sums.retain(|_, sum| *sum != (0, 0));
        sums
    }
}
