//! A graph of changesets with ops on one text or list, in global terms, and what a replica has received of it.
#![allow(dead_code)]

use super::rng::Rng;
use std::cmp::Ordering;
use std::collections::HashMap;
use stemma::causal::{ChangesetIx, Hlc, NameId, OpIx};
use stemma::crdt::{Anchor, Bias, History, Recency, UnitOp, UnitRef, UnitSpan};

/// A unit: changeset number in the graph, offset in that changeset.
pub type UnitId = (usize, u32);

/// An end of a mark: behind a unit or before it; without a unit, behind the start or before the end of the list.
pub type End = (Option<UnitId>, bool);

#[derive(Clone, Debug)]
pub enum Op {
    Insert {
        left: Option<UnitId>,
        right: Option<UnitId>,
        len: u32,
    },
    Delete {
        spans: Vec<(usize, u32, u32)>,
    },
    Move {
        element: UnitId,
        left: Option<UnitId>,
        right: Option<UnitId>,
    },
    /// Value 0 clears. The value is content: what a replica applies has none.
    Mark {
        start: End,
        end: End,
        key: u8,
        value: u8,
    },
}

impl Op {
    /// Whether all changesets that it names are known.
    pub fn names_only(&self, known: impl Fn(usize) -> bool) -> bool {
        let all = |units: &[Option<UnitId>]| units.iter().flatten().all(|unit| known(unit.0));
        match *self {
            Op::Insert { left, right, .. } => all(&[left, right]),
            Op::Delete { ref spans } => spans.iter().all(|span| known(span.0)),
            Op::Move { element, left, right } => all(&[Some(element), left, right]),
            Op::Mark { start, end, .. } => all(&[start.0, end.0]),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Changeset {
    pub parents: Vec<usize>,
    /// Per earlier changeset: whether it is in the causal past.
    pub past: Vec<bool>,
    /// The total order: author, number in the chain, and something like a hash.
    pub key: (u64, u32, u64),
    pub ops: Vec<Op>,
    pub content: String,
}

/// Numbered in a topological order.
#[derive(Clone, Debug, Default)]
pub struct Dag {
    pub changesets: Vec<Changeset>,
    /// Stamps and ids, if they are not made up.
    pub stamps: HashMap<usize, (Hlc, [u8; 32])>,
}

impl Dag {
    pub fn push(
        &mut self,
        parents: Vec<usize>,
        key: (u64, u32, u64),
        ops: Vec<Op>,
        content: String,
    ) -> usize {
        let id = self.changesets.len();
        let mut past = vec![false; id];
        for &parent in &parents {
            past[parent] = true;
            for (seen, &known) in past.iter_mut().zip(&self.changesets[parent].past) {
                *seen |= known;
            }
        }
        self.changesets.push(Changeset { parents, past, key, ops, content });
        id
    }

    pub fn contains(&self, of: usize, past: usize) -> bool {
        of == past || self.changesets[of].past.get(past) == Some(&true)
    }

    pub fn order(&self, a: usize, b: usize) -> Ordering {
        self.changesets[a].key.cmp(&self.changesets[b].key)
    }

    /// Compares ops by stamp, id and index. The stamps follow no clock.
    pub fn newer(&self, a: (usize, usize), b: (usize, usize)) -> Ordering {
        let made_up = |id: usize| {
            let hash = (id as u32).wrapping_mul(0x9E37_79B9).rotate_left(11);
            let mut id = [0; 32];
            id[..4].copy_from_slice(&hash.to_be_bytes());
            (Hlc { ms: u64::from(hash % 4), counter: 0 }, id)
        };
        let stamp = |id: usize| self.stamps.get(&id).copied().unwrap_or_else(|| made_up(id));
        (stamp(a.0), a.1).cmp(&(stamp(b.0), b.1))
    }
}

/// The local numbers of a replica.
#[derive(Clone, Default)]
pub struct Numbers {
    /// By local number of a changeset.
    pub received: Vec<usize>,
    /// By number in the graph.
    pub local: Vec<Option<u32>>,
    /// By local number of an op.
    pub ops: Vec<(usize, usize)>,
}

impl Numbers {
    /// Numbers a changeset with its ops.
    pub fn receive(&mut self, id: usize, ops: usize) -> (ChangesetIx, Vec<OpIx>) {
        self.local.resize(self.local.len().max(id + 1), None);
        let changeset = self.received.len() as u32;
        self.local[id] = Some(changeset);
        self.received.push(id);
        let first = self.ops.len() as u32;
        self.ops.extend((0..ops).map(|index| (id, index)));
        (ChangesetIx(changeset), (first..self.ops.len() as u32).map(OpIx).collect())
    }

    pub fn has(&self, id: usize) -> bool {
        self.local.get(id).is_some_and(Option::is_some)
    }

    pub fn op(&self, op: OpIx) -> (usize, usize) {
        self.ops[op.0 as usize]
    }

    pub fn op_ix(&self, op: (usize, usize)) -> Option<OpIx> {
        self.ops.iter().position(|&known| known == op).map(|at| OpIx(at as u32))
    }

    /// A changeset that may come next, of those below `end`.
    pub fn next(&self, dag: &Dag, end: usize, rng: &mut Rng) -> Option<usize> {
        let ready =
            |&id: &usize| !self.has(id) && dag.changesets[id].parents.iter().all(|&parent| self.has(parent));
        let ready: Vec<usize> = (0..end).filter(ready).collect();
        if ready.is_empty() { None } else { Some(*rng.pick(&ready)) }
    }

    pub fn changeset(&self, id: usize) -> ChangesetIx {
        ChangesetIx(self.local[id].expect("the causal past was received"))
    }

    pub fn unit(&self, (id, offset): UnitId) -> UnitRef {
        UnitRef { changeset: self.changeset(id), offset }
    }

    pub fn to_local(&self, op: &Op) -> UnitOp {
        match op {
            Op::Insert { left, right, len } => UnitOp::Insert {
                left: left.map(|unit| self.unit(unit)),
                right: right.map(|unit| self.unit(unit)),
                len: *len,
            },
            Op::Delete { spans } => {
                let span = |&(id, offset, len): &(usize, u32, u32)| UnitSpan {
                    changeset: self.changeset(id),
                    offset,
                    len,
                };
                UnitOp::Delete { spans: spans.iter().map(span).collect() }
            }
            Op::Mark { start, end, key, .. } => {
                let anchor = |&(unit, after): &End| match unit {
                    Some(unit) => {
                        let bias = if after { Bias::After } else { Bias::Before };
                        Anchor::Unit { unit: self.unit(unit), bias }
                    }
                    None if after => Anchor::Start,
                    None => Anchor::End,
                };
                UnitOp::Mark { start: anchor(start), end: anchor(end), key: NameId([*key; 16]) }
            }
            Op::Move { element, left, right } => UnitOp::Move {
                element: self.unit(*element),
                left: left.map(|unit| self.unit(unit)),
                right: right.map(|unit| self.unit(unit)),
            },
        }
    }

    /// `open` is the number that the open batch will get in the graph.
    pub fn to_global(&self, op: &UnitOp, open: usize) -> Op {
        let id = |ix: ChangesetIx| if ix == ChangesetIx::OPEN { open } else { self.received[ix.0 as usize] };
        let unit = |unit: UnitRef| (id(unit.changeset), unit.offset);
        match op {
            UnitOp::Insert { left, right, len } => {
                Op::Insert { left: left.map(unit), right: right.map(unit), len: *len }
            }
            UnitOp::Delete { spans } => Op::Delete {
                spans: spans.iter().map(|span| (id(span.changeset), span.offset, span.len)).collect(),
            },
            UnitOp::Move { element, left, right } => {
                Op::Move { element: unit(*element), left: left.map(unit), right: right.map(unit) }
            }
            UnitOp::Mark { start, end, key } => {
                let end_of = |anchor: &Anchor| match *anchor {
                    Anchor::Start => (None, true),
                    Anchor::End => (None, false),
                    Anchor::Unit { unit: at, bias } => (Some(unit(at)), bias == Bias::After),
                };
                Op::Mark { start: end_of(start), end: end_of(end), key: key.0[0], value: 0 }
            }
        }
    }
}

/// The graph as one replica sees it. Ops that are not numbered yet are of the open batch.
pub struct Seen<'a>(pub &'a Dag, pub &'a Numbers);

impl History for Seen<'_> {
    fn contains(&self, of: ChangesetIx, past: ChangesetIx) -> bool {
        match (of, past) {
            (ChangesetIx::OPEN, _) => true,
            (_, ChangesetIx::OPEN) => false,
            _ => self.0.contains(self.1.received[of.0 as usize], self.1.received[past.0 as usize]),
        }
    }

    fn newest_known(&self, of: ChangesetIx) -> Option<ChangesetIx> {
        let parents = |&id: &usize| self.1.changeset(id);
        match of {
            ChangesetIx::OPEN => Some(of),
            _ => self.0.changesets[self.1.received[of.0 as usize]].parents.iter().map(parents).max(),
        }
    }

    fn order(&self, a: ChangesetIx, b: ChangesetIx) -> Ordering {
        self.0.order(self.1.received[a.0 as usize], self.1.received[b.0 as usize])
    }

    fn changeset_of(&self, op: OpIx) -> ChangesetIx {
        let known = self.1.ops.get(op.0 as usize);
        known.map_or(ChangesetIx::OPEN, |op| self.1.changeset(op.0))
    }
}

impl Recency for Seen<'_> {
    fn newer(&self, a: OpIx, b: OpIx) -> Ordering {
        let known = |op: OpIx| self.1.ops.get(op.0 as usize);
        match (known(a), known(b)) {
            (Some(a), Some(b)) => self.0.newer(*a, *b),
            _ => a.cmp(&b),
        }
    }
}
