//! The list of random histories: how it is edited, and what it should read as.

use crate::dag::{self, Dag};
use crate::rng::Rng;
use crate::units::Model;
use crate::{LIST, Replica, World, list};
use std::collections::BTreeSet;
use stemma::causal::{ChangesetId, Hlc};
use stemma::doc::{Body, ObjectIx};
use stemma::event::{Content, Op, Skeleton, UnitAt, Value};

/// What the changesets did to the list.
#[derive(Default)]
pub struct Lists {
    dag: Dag,
    model: Model,
}

impl Lists {
    /// Adds the changeset that was sent last; `refs` are the numbers of those that it names.
    pub fn add(
        &mut self,
        parents: Vec<usize>,
        (actor, seq, stamp, id): (u8, u32, Hlc, ChangesetId),
        (skeleton, content): (&Skeleton, &Content),
        refs: &[usize],
    ) {
        let number = self.dag.changesets.len();
        let unit = |at: &UnitAt| match at.changeset.0 {
            0 => (number, at.offset),
            nth => (refs[nth as usize - 1], at.offset),
        };
        let unit_or_edge = |at: &Option<UnitAt>| at.as_ref().map(unit);
        let mut inserted = String::new();
        let mut ops = Vec::new();
        for (op, (_, values)) in skeleton.ops.iter().zip(content.by_op(&skeleton.ops)) {
            ops.push(match op {
                Op::ListInsert { left, right, count, .. } => {
                    inserted.extend(values.iter().map(character));
                    dag::Op::Insert { left: unit_or_edge(left), right: unit_or_edge(right), len: *count }
                }
                Op::ListDelete { spans, .. } => {
                    let spans = spans.iter().map(|span| {
                        let (id, offset) = unit(&span.first);
                        (id, offset, span.len)
                    });
                    dag::Op::Delete { spans: spans.collect() }
                }
                Op::ListMove { element, left, right, .. } => dag::Op::Move {
                    element: unit(element),
                    left: unit_or_edge(left),
                    right: unit_or_edge(right),
                },
                // What is said of other objects deletes nothing here.
                _ => dag::Op::Delete { spans: Vec::new() },
            });
        }
        let hash = u64::from_be_bytes(id.0[..8].try_into().expect("eight bytes"));
        self.dag.push(parents, (u64::from(actor), seq, hash), ops, inserted);
        self.dag.stamps.insert(number, (stamp, id.0));
        self.model.add(&self.dag, number);
    }
}

impl World {
    /// What the list reads as if these ops count and these contents are there.
    pub fn list(&self, counting: &BTreeSet<(usize, usize)>, present: impl Fn(usize) -> bool) -> Vec<Value> {
        let Lists { dag, model } = &self.lists;
        let values = list::values(model, dag, |op| counting.contains(&op), present);
        values.into_iter().map(|unit| Value::from(i32::from(unit))).collect()
    }
}

impl Replica {
    pub fn edit_list(&mut self, rng: &mut Rng) {
        let (object, mut expected) = (self.objects[LIST], self.list_of(self.objects[LIST]));
        match rng.below(4) {
            0 if !expected.is_empty() => {
                let at = rng.below(expected.len());
                let len = (1 + rng.below(3)).min(expected.len() - at);
                self.fold.list_delete(object, at as u32, len as u32).expect("it is inside");
                expected.drain(at..at + len);
            }
            1 | 2 if !expected.is_empty() => {
                let (from, to) = (rng.below(expected.len()), rng.below(expected.len()));
                self.fold.list_move(&self.graph, object, from as u32, to as u32).expect("it is inside");
                let value = expected.remove(from);
                expected.insert(to, value);
            }
            _ => {
                let at = rng.below(expected.len() + 1);
                let new: Vec<Value> =
                    (0..1 + rng.below(3)).map(|_| Value::from(rng.below(500) as i32)).collect();
                self.fold.list_insert(object, at as u32, new.clone()).expect("it is inside");
                expected.splice(at..at, new);
            }
        }
        assert_eq!(self.list_of(object), expected);
    }

    /// The list, or a copy of it.
    pub fn list_of(&self, object: ObjectIx) -> Vec<Value> {
        let Body::List(list) = &self.fold.get(object).body else { panic!("a list") };
        list.iter().cloned().collect()
    }

    /// Whether the content of a changeset is here.
    pub fn is_present(&self, number: usize) -> bool {
        self.late.iter().all(|(late, ..)| *late != number)
    }
}

/// A number as a character, for the model.
fn character(value: &Value) -> char {
    match value {
        Value::Number(number) => char::from_u32(number.get() as u32).expect("a small number"),
        other => panic!("no value of these tests: {other:?}"),
    }
}

/// Takes a change as an application does.
pub fn apply(shown: &mut Vec<Value>, splices: &[[u32; 3]], inserted: Vec<Value>) {
    let mut inserted = inserted.into_iter();
    for &[at, removed, count] in splices {
        let (start, end) = (at as usize, (at + removed) as usize);
        shown.splice(start..end, inserted.by_ref().take(count as usize));
    }
    assert_eq!(inserted.next(), None);
}
