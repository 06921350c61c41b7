//! The hashes by which replicas compare what they have (docs/format.md §8).

use super::Replica;
use crate::causal::{MemberId, NameId, ObjectId, OpIx};
use crate::codec::Writer;
use crate::crdt::{AccountId, Map, Register, Slot};
use crate::crypto::{Digest, Tag, hash};
use crate::doc::{Body, ObjectIx, Written};
use crate::event::digest::{self, ElementWrite};
use crate::event::{OpRuns, Value};
use crate::sorted::{sort, sort_by_key};

/// The hash of a chunk (0), or of what a blob is known by (1): docs/format.md §11.
pub fn blob_hash(level: u8, bytes: &[u8]) -> Digest {
    hash(Tag::BLOB, &[&[level], bytes])
}

impl Replica {
    /// The hash of what is visible (docs/format.md §8). O(objects + visible content of those that changed since the last time).
    pub fn state_hash(&self) -> Digest {
        let objects = (0..self.object_count()).map(ObjectIx).filter_map(|ix| self.hashed(ix));
        sorted_hash(objects.chain(self.event_hashes(None)).collect())
    }

    /// What an object adds to the state hash, none if it shows nothing.
    pub(super) fn hashed(&self, object: ObjectIx) -> Option<(ObjectId, u8, Digest)> {
        let (id, kind) = self.fold.identity(object);
        Some((id, kind as u8, self.object_hash(object)?))
    }

    /// The hash of the frontier and of what of it is switched off or has no value here.
    pub fn view_digest(&self) -> Digest {
        digest::view_digest(
            &self.heads(),
            &self.runs(self.fold.inactive().iter().map(OpIx)),
            &self.runs(self.fold.absent().iter().copied()),
        )
    }

    /// The same as if everything counted: the hash of the frontier.
    pub(super) fn frontier_digest(&self) -> Digest {
        digest::view_digest(&self.heads(), &[], &[])
    }

    /// The hash of an object's visible content, none if there is none.
    pub(super) fn object_hash(&self, object: ObjectIx) -> Option<Digest> {
        self.fold.shown_hash(object, |of| self.body_hash(&of.body).map(|hash| hash.0)).map(Digest)
    }

    /// Compares the hashes that are remembered with new ones.
    pub(super) fn dbg_hashes(&self) {
        for (object, of) in self.fold.objects() {
            assert_eq!(self.object_hash(object), self.body_hash(&of.body), "what {object:?} shows");
        }
    }

    fn body_hash(&self, body: &Body) -> Option<Digest> {
        match body {
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
            Body::Ledger(ledger) => {
                let shown = ledger.accounts().into_iter().filter(|(account, owner, balance)| match account {
                    AccountId::Member(_) => *balance != 0,
                    AccountId::Named(_) => owner.is_some(),
                });
                let (accounts, assets): (Vec<_>, _) = (shown.collect(), ledger.assets());
                let counting = ledger.counting();
                let any = counting > 0 || !accounts.is_empty() || !assets.is_empty();
                any.then(|| ledger_hash(counting, &accounts, &assets))
            }
            Body::Cart(cart) => {
                let items = cart.iter().map(|(name, tally)| (name, tally.totals().sum()));
                let mut items: Vec<(NameId, i128)> = items.filter(|(_, sum)| *sum > 0).collect();
                sort(&mut items);
                (!items.is_empty()).then(|| digest::cart_hash(&items))
            }
        }
    }

    fn map_hash(&self, map: &Map) -> Option<Digest> {
        let (mut keys, mut groups) = (Vec::new(), Vec::new());
        for (slot, register) in map.iter() {
            let shown = register.winners().first().filter(|winner| !winner.deletes);
            if !shown.and_then(|winner| self.fold.written(winner.op)).is_some_and(Written::is_visible) {
                continue;
            }
            let writes = self.present(register).map(|written| written.map_or_else(Vec::new, written_bytes));
            match slot {
                Slot::Key(name) => keys.push((name, writes.collect())),
                Slot::Group(number) => groups.push((number, writes.collect())),
            }
        }
        sort_by_key(&mut keys, |(name, _)| *name);
        sort_by_key(&mut groups, |(number, _)| *number);
        (!keys.is_empty() || !groups.is_empty()).then(|| digest::map_hash(&keys, &groups))
    }

    fn set_hash(&self, set: &Map) -> Option<Digest> {
        let mut elements: Vec<(NameId, Vec<ElementWrite<'_>>)> = Vec::new();
        for (slot, register) in set.iter() {
            let Slot::Key(name) = slot else { continue };
            let writes = self.present(register).map(|written| match written {
                None => ElementWrite::Removed,
                Some(Written::Value(value)) => ElementWrite::Valued(value),
                Some(_) => ElementWrite::Added,
            });
            let writes: Vec<_> = writes.collect();
            if writes.iter().any(|write| !matches!(write, ElementWrite::Removed)) {
                elements.push((name, writes));
            }
        }
        sort_by_key(&mut elements, |(name, _)| *name);
        (!elements.is_empty()).then(|| digest::set_hash(&elements))
    }

    /// The maximal active writes, the winner first, a deletion as none; without those whose content is absent.
    fn present<'a>(&'a self, register: &'a Register) -> impl Iterator<Item = Option<&'a Written>> {
        register.winners().iter().filter_map(|winner| match winner.deletes {
            true => Some(None),
            false => self.fold.written(winner.op).map(Some),
        })
    }

    /// Ascending ops as runs of those of each changeset, by its id.
    pub(super) fn runs(&self, ops: impl Iterator<Item = OpIx>) -> Vec<OpRuns> {
        let mut found: Vec<OpRuns> = Vec::new();
        let mut within = 0..0;
        for OpIx(op) in ops {
            if !within.contains(&op) {
                let changeset = self.fold.timeline().changeset_of(OpIx(op));
                within = self.fold.timeline().ops_of(changeset);
                found.push(OpRuns { changeset: self.log.graph().id(changeset), runs: Vec::new() });
            }
            let index = op - within.start;
            let runs = &mut found.last_mut().expect("the first op is in no range yet").runs;
            match runs.last_mut() {
                Some(last) if last.0 + last.1 == index => last.1 += 1,
                _ => runs.push((index, 1)),
            }
        }
        sort_by_key(&mut found, |of| of.changeset);
        found
    }
}

/// The hash of a ledger: how many entries count, what accounts stand at and whose those with a name are, who holds assets;
/// ascending.
fn ledger_hash(
    counting: u64,
    accounts: &[(AccountId, Option<MemberId>, i128)],
    assets: &[(NameId, AccountId)],
) -> Digest {
    let mut writer = Writer::new();
    let account = |writer: &mut Writer, account: &AccountId| match account {
        AccountId::Member(member) => drop(writer.u8(0).raw(&member.0)),
        AccountId::Named(name) => drop(writer.u8(1).raw(&name.0)),
    };
    writer.varint(counting).varint(accounts.len() as u64);
    for (id, owner, balance) in accounts {
        account(&mut writer, id);
        if let (AccountId::Named(_), Some(owner)) = (id, owner) {
            writer.raw(&owner.0);
        }
        writer.raw(&balance.to_le_bytes());
    }
    writer.varint(assets.len() as u64);
    for (asset, holder) in assets {
        writer.raw(&asset.0);
        account(&mut writer, holder);
    }
    hash(Tag::STATE_LEDGER, &[writer.as_slice()])
}

/// The state hash of objects in any order.
pub(super) fn sorted_hash(mut objects: Vec<(ObjectId, u8, Digest)>) -> Digest {
    sort_by_key(&mut objects, |(id, kind, _)| (*id, *kind));
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
