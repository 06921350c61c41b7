//! The hashes by which replicas compare what they have (docs/format.md §8).

use super::Replica;
use crate::causal::{ChangesetId, NameId, ObjectId, OpIx};
use crate::codec::Writer;
use crate::crdt::{Map, Register, Slot};
use crate::crypto::Digest;
use crate::doc::{Body, ObjectIx, Written};
use crate::event::digest::{self, ElementWrite};
use crate::event::{ObjectKind, OpRuns, Value};
use std::collections::BTreeMap;

impl Replica {
    /// The hash of what is visible (docs/format.md §8). O(visible content).
    pub fn state_hash(&self) -> Digest {
        sorted_hash(self.fold.objects().filter_map(|(ix, _)| self.hashed(ix)).collect())
    }

    /// What an object adds to the state hash, none if it shows nothing.
    pub(super) fn hashed(&self, object: ObjectIx) -> Option<(ObjectId, ObjectKind, Digest)> {
        let hash = self.object_hash(object)?;
        Some((self.fold.get(object).id, self.fold.get(object).kind(), hash))
    }

    /// The hash of the frontier and of what of it is switched off or has no value here.
    pub fn view_digest(&self) -> Digest {
        digest::view_digest(
            &self.heads(),
            &self.runs(self.fold.inactive().iter().copied()),
            &self.runs(self.fold.absent().iter().copied()),
        )
    }

    /// The hash of an object's visible content, none if there is none.
    pub(super) fn object_hash(&self, object: ObjectIx) -> Option<Digest> {
        match &self.fold.get(object).body {
            Body::Text(text) => (!text.is_empty()).then(|| {
                let runs: Vec<_> = text.runs().into_iter().map(|run| (run.len, run.marks)).collect();
                digest::text_hash(&text.to_string(), &runs)
            }),
            Body::List(list) => {
                let elements: Vec<&Value> = list.iter().collect();
                (!elements.is_empty()).then(|| digest::list_hash(elements.into_iter()))
            }
            Body::Map(map) => self.map_hash(map),
            Body::Set(set) => self.set_hash(set),
            Body::Counter(tally) => {
                // Whether it only grows is known from the content: the hash does not depend on that.
                let sum = tally.totals().sum();
                (sum != 0).then(|| digest::counter_hash(sum))
            }
            Body::Cart(cart) => {
                let items = cart.iter().map(|(name, tally)| (name, tally.totals().sum()));
                let mut items: Vec<(NameId, i128)> = items.filter(|(_, sum)| *sum > 0).collect();
                items.sort_unstable();
                (!items.is_empty()).then(|| digest::cart_hash(&items))
            }
        }
    }

    fn map_hash(&self, map: &Map) -> Option<Digest> {
        let (mut keys, mut groups) = (BTreeMap::new(), BTreeMap::new());
        for (slot, register) in map.iter() {
            let shown = register.winners().first().filter(|winner| !winner.deletes);
            if !shown.and_then(|winner| self.fold.written(winner.op)).is_some_and(Written::is_visible) {
                continue;
            }
            let writes = self.present(register).map(|written| written.map_or_else(Vec::new, written_bytes));
            match slot {
                Slot::Key(name) => drop(keys.insert(name, writes.collect())),
                Slot::Group(number) => drop(groups.insert(number, writes.collect())),
            }
        }
        let (keys, groups): (Vec<_>, Vec<_>) = (keys.into_iter().collect(), groups.into_iter().collect());
        (!keys.is_empty() || !groups.is_empty()).then(|| digest::map_hash(&keys, &groups))
    }

    fn set_hash(&self, set: &Map) -> Option<Digest> {
        let mut elements: BTreeMap<NameId, Vec<ElementWrite<'_>>> = BTreeMap::new();
        for (slot, register) in set.iter() {
            let Slot::Key(name) = slot else { continue };
            let writes = self.present(register).map(|written| match written {
                None => ElementWrite::Removed,
                Some(Written::Value(value)) => ElementWrite::Valued(value),
                Some(_) => ElementWrite::Added,
            });
            let writes: Vec<_> = writes.collect();
            if writes.iter().any(|write| !matches!(write, ElementWrite::Removed)) {
                elements.insert(name, writes);
            }
        }
        let elements: Vec<_> = elements.into_iter().collect();
        (!elements.is_empty()).then(|| digest::set_hash(&elements))
    }

    /// The maximal active writes, the winner first, a deletion as none; without those whose content is absent.
    fn present<'a>(&'a self, register: &'a Register) -> impl Iterator<Item = Option<&'a Written>> {
        register.winners().iter().filter_map(|winner| match winner.deletes {
            true => Some(None),
            false => self.fold.written(winner.op).map(Some),
        })
    }

    pub(super) fn runs(&self, ops: impl Iterator<Item = OpIx>) -> Vec<OpRuns> {
        let mut by_changeset: BTreeMap<ChangesetId, Vec<(u32, u32)>> = BTreeMap::new();
        for op in ops {
            let changeset = self.fold.timeline().changeset_of(op);
            let index = op.0 - self.fold.timeline().ops_of(changeset).start;
            let runs = by_changeset.entry(self.log.graph().id(changeset)).or_default();
            match runs.last_mut() {
                Some(last) if last.0 + last.1 == index => last.1 += 1,
                _ => runs.push((index, 1)),
            }
        }
        by_changeset.into_iter().map(|(changeset, runs)| OpRuns { changeset, runs }).collect()
    }
}

/// The state hash of objects in any order.
pub(super) fn sorted_hash(mut objects: Vec<(ObjectId, ObjectKind, Digest)>) -> Digest {
    objects.sort_by_key(|(id, kind, _)| (*id, *kind as u8));
    digest::state_hash(&objects)
}

/// A write as the hash of a map has it: a value as it is, the tuple of a group, an object under a key.
fn written_bytes(written: &Written) -> Vec<u8> {
    let mut writer = Writer::new();
    match written {
        Written::Value(value) => return value.to_bytes(),
        Written::Tuple(values) => {
            writer.u8(TUPLE).varint(values.len() as u64);
            for value in values {
                writer.bytes(&value.as_ref().map_or_else(Vec::new, Value::to_bytes));
            }
        }
        Written::Child(kind, options) => drop(writer.u8(CHILD).u8(*kind as u8).bytes(options)),
        Written::Bare => {}
    }
    writer.into_bytes()
}

/// First bytes that no value has.
const TUPLE: u8 = 0x80;
const CHILD: u8 = 0x81;
