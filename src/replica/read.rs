//! Reading: values, names, figures. Nothing here changes anything.

use super::history::value_at;
use super::{HoldReason, Replica, Tier};
use crate::causal::{ActorId, ChangesetId, ChangesetIx, MemberId, NameId, ObjectId};
use crate::crdt::{List, Map, Register, Slot, Text};
use crate::doc::{Body, ObjectIx, ObjectName, ObjectOrigin, Written};
use crate::event::{Fate, ObjectKind, Options, Sort, Value};
use crate::sorted::{sort, sort_by, sort_by_cached_key, sort_by_key};
use std::sync::Arc;

/// Figures about the space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Changesets in the graph.
    pub changesets: u32,
    /// Of them inert.
    pub inert: u32,
    /// Ops.
    pub ops: u32,
    /// Bytes of all changesets.
    pub bytes: u64,
    /// Objects met.
    pub objects: u32,
    /// Actors met.
    pub actors: u32,
    /// Changesets that wait for something.
    pub pending: u32,
    /// Forks seen.
    pub forks: u32,
    /// Changesets refused since the opening.
    pub refused: u64,
}

impl Replica {
    /// The value of a key; none if it is not there, has no value here, or holds an object ([`Replica::map_shown`]).
    pub fn map_get(&self, object: ObjectIx, key: &str) -> Option<&Value> {
        if self.field_of(object, key).is_some() {
            return None;
        }
        let (slot, place) = self.slot_of(object, key);
        value_at(self.map_winner(object, &slot)?, place)
    }

    /// The keys that are there, by clear name; fields always are.
    pub fn map_keys(&self, object: ObjectIx) -> Vec<Arc<str>> {
        let mut keys = self.unsorted_keys(object);
        sort(&mut keys);
        keys
    }

    /// How many keys are there. O(keys).
    pub fn map_size(&self, object: ObjectIx) -> usize {
        self.unsorted_keys(object).len()
    }

    fn unsorted_keys(&self, object: ObjectIx) -> Vec<Arc<str>> {
        let Some(map) = self.map(object) else { return Vec::new() };
        let options = self.options_of(object);
        let groups = options.map_or(&[][..], |options| &options.groups);
        let fields = options.map_or(&[][..], |options| &options.fields).iter().map(|(key, _)| key.as_str());
        let mut keys: Vec<Arc<str>> = fields.filter(|key| self.map_has(object, key)).map(Arc::from).collect();
        for (slot, register) in map.iter() {
            match (slot, self.winner(register)) {
                (_, None) => {}
                (Slot::Key(name), Some(written)) if self.reads(object, written, None) => {
                    let field = |key: &&Arc<str>| options.is_some_and(|options| options.field(key).is_some());
                    keys.extend(self.names.key(&name).filter(|key| !field(key)).cloned());
                }
                (Slot::Group(number), Some(Written::Tuple(values))) => {
                    let group = groups.get(number as usize).map_or(&[][..], Vec::as_slice);
                    let there = group.iter().zip(values).filter(|(_, value)| value.is_some());
                    keys.extend(there.map(|(key, _)| Arc::from(key.as_str())));
                }
                (_, Some(_)) => {}
            }
        }
        keys
    }

    /// The values of all causally maximal writes to a key, the winner first; one value unless writers were concurrent.
    /// Objects are left out: see [`Replica::map_rivals`].
    pub fn map_conflicts(&self, object: ObjectIx, key: &str) -> Vec<&Value> {
        let (slot, place) = self.slot_of(object, key);
        let register = self.map(object).and_then(|map| map.get(&slot));
        let winners = register.map_or(&[][..], |register| register.winners());
        let written = winners.iter().filter(|winner| !winner.deletes);
        written.filter_map(|winner| value_at(self.fold.written(winner.op)?, place)).collect()
    }

    /// A text object.
    pub fn text(&self, object: ObjectIx) -> Option<&Text> {
        if let Body::Text(text) = &self.fold.get(object).body { Some(text) } else { None }
    }

    /// A list object.
    pub fn list(&self, object: ObjectIx) -> Option<&List> {
        if let Body::List(list) = &self.fold.get(object).body { Some(list) } else { None }
    }

    /// A number for an element of a list that stands for no other one, for as long as nothing is rolled back.
    pub fn list_id(&self, object: ObjectIx, index: u32) -> Option<u64> {
        Some(self.list(object)?.id(index).map(u64::from)? | self.refolds << 32)
    }

    /// Those numbers of all elements. O(n).
    pub fn list_ids(&self, object: ObjectIx) -> Vec<u64> {
        let ids = self.list(object).into_iter().flat_map(List::ids);
        ids.map(|id| u64::from(id) | self.refolds << 32).collect()
    }

    /// What a counter stands at. A counter that only grows does not see what takes from it.
    pub fn counter_value(&self, object: ObjectIx) -> i128 {
        let Body::Counter(tally) = &self.fold.get(object).body else { return 0 };
        let grows = self.options_of(object).is_some_and(|options| options.variant);
        if grows { tally.totals().added } else { tally.totals().sum() }
    }

    /// Whether a set has an element.
    pub fn set_has(&self, object: ObjectIx, element: &Value) -> bool {
        self.element(object, element).is_some()
    }

    /// The value that an element carries.
    pub fn set_get(&self, object: ObjectIx, element: &Value) -> Option<&Value> {
        self.element(object, element)?.value()
    }

    /// The elements, in the order of their encoded bytes, each with its value.
    pub fn set_elements(&self, object: ObjectIx) -> Vec<(&Value, Option<&Value>)> {
        let mut elements: Vec<_> = self.unsorted_elements(object).collect();
        sort_by_cached_key(&mut elements, |(element, _)| element.to_bytes());
        elements
    }

    /// How many elements there are. O(elements).
    pub fn set_size(&self, object: ObjectIx) -> usize {
        self.unsorted_elements(object).count()
    }

    fn unsorted_elements(&self, object: ObjectIx) -> impl Iterator<Item = (&Value, Option<&Value>)> {
        let set = if let Body::Set(set) = &self.fold.get(object).body { Some(set) } else { None };
        let last_wins = self.last_writer_wins(object);
        set.into_iter().flat_map(Map::iter).filter_map(move |(slot, register)| {
            let Slot::Key(name) = slot else { return None };
            let written = self.added(register, last_wins)?;
            Some((self.names.value(&name)?, written.value()))
        })
    }

    /// How many of an item there are; never below zero.
    pub fn cart_quantity(&self, object: ObjectIx, item: &Value) -> i128 {
        self.cart_sum(object, self.value_id(Sort::CartItem, item)).max(0)
    }

    /// The items with a quantity above zero, in the order of their encoded bytes.
    pub fn cart_entries(&self, object: ObjectIx) -> Vec<(&Value, i128)> {
        let Body::Cart(cart) = &self.fold.get(object).body else { return Vec::new() };
        let items = cart.iter().map(|(name, tally)| (name, tally.totals().sum()));
        let mut entries: Vec<(&Value, i128)> = items
            .filter(|(_, quantity)| *quantity > 0)
            .filter_map(|(name, quantity)| Some((self.names.value(&name)?, quantity)))
            .collect();
        sort_by_cached_key(&mut entries, |(item, _)| item.to_bytes());
        entries
    }

    /// Runs of visible units by author: (member, actor, units).
    pub fn text_authors(&self, object: ObjectIx) -> Vec<(MemberId, ActorId, u32)> {
        let mut runs: Vec<(MemberId, ActorId, u32)> = Vec::new();
        for (len, changeset) in self.text(object).map(Text::authorship).unwrap_or_default() {
            let (member, actor) = match changeset {
                ChangesetIx::OPEN => (self.member(), self.acting()),
                sealed => (self.log.author(sealed).member, self.log.graph().actor(sealed)),
            };
            match runs.last_mut() {
                Some(last) if (last.0, last.1) == (member, actor) => last.2 += len,
                _ => runs.push((member, actor, len)),
            }
        }
        runs
    }

    /// Names of the objects with visible content, those under keys left out.
    pub fn names(&self) -> Vec<(Arc<str>, ObjectKind)> {
        let objects = (0..self.object_count()).map(ObjectIx);
        self.named(objects.filter(|ix| self.object_hash(*ix).is_some()))
    }

    /// The names of objects, in order; a field is called what its map is.
    pub(super) fn named(&self, objects: impl Iterator<Item = ObjectIx>) -> Vec<(Arc<str>, ObjectKind)> {
        let named = objects.map(|ix| self.map_of_field(ix).unwrap_or(ix)).filter_map(|ix| {
            let (name, kind) = self.name_of(ix)?;
            Some((self.fold.identity(ix).0, (name.clone(), kind)))
        });
        let mut named: Vec<(ObjectId, (Arc<str>, ObjectKind))> = named.collect();
        sort_by_key(&mut named, |(id, _)| *id);
        named.dedup_by_key(|(id, _)| *id);
        let mut names: Vec<(Arc<str>, ObjectKind)> = named.into_iter().map(|(_, name)| name).collect();
        sort_by(&mut names, |a, b| (&a.0, a.1 as u8).cmp(&(&b.0, b.1 as u8)));
        names
    }

    /// How many objects there are: object numbers are below it.
    pub fn object_count(&self) -> u32 {
        self.fold.objects().len() as u32
    }

    /// Whether an object, or the copy of one that a view shows, has this number.
    pub fn has_object(&self, object: ObjectIx) -> bool {
        self.fold.has(object)
    }

    /// Whether edits wait to be sealed.
    pub fn has_edits(&self) -> bool {
        self.fold.has_batch()
    }

    /// How many edits are in the open batch: those that wait without being closed.
    pub fn open_edits(&self) -> usize {
        self.fold.open_ops()
    }

    /// The last changeset written here.
    pub fn last_write(&self) -> Option<ChangesetId> {
        self.last_write
    }

    /// Whether a changeset is here, in the graph or waiting.
    pub fn knows(&self, id: ChangesetId) -> bool {
        self.log.knows(&id)
    }

    /// The clear form of a map key.
    pub fn key_name(&self, key: &NameId) -> Option<&Arc<str>> {
        self.names.key(key)
    }

    /// The clear form of an element of a set or an item of a cart.
    pub fn value_name(&self, name: &NameId) -> Option<&Value> {
        self.names.value(name)
    }

    /// The object's clear name and kind; none for one that has no name of its own.
    pub fn name_of(&self, object: ObjectIx) -> Option<(&Arc<str>, ObjectKind)> {
        let known = self.known_as(object)?;
        if let ObjectOrigin::Named(name) = &known.origin { Some((name, known.kind)) } else { None }
    }

    /// The object's kind.
    pub fn kind_of(&self, object: ObjectIx) -> ObjectKind {
        self.fold.identity(object).1
    }

    /// The object's options, if they are known.
    pub fn options_of(&self, object: ObjectIx) -> Option<&Options> {
        Some(&self.known_as(object)?.options)
    }

    fn known_as(&self, object: ObjectIx) -> Option<&ObjectName> {
        let (id, kind) = self.fold.identity(object);
        self.names.object(&id).filter(|name| name.kind == kind)
    }

    /// The frontier, ascending.
    pub fn heads(&self) -> Vec<ChangesetId> {
        let mut heads: Vec<ChangesetId> =
            self.log.graph().heads().map(|head| self.log.graph().id(head)).collect();
        sort(&mut heads);
        heads
    }

    /// The last changeset of an actor and how many it has; of the branch that came first after a fork.
    pub fn stream(&self, actor: ActorId) -> Option<(ChangesetId, u32)> {
        self.log.graph().tips_of(&actor).first().map(|tip| (tip.id, tip.seq + 1))
    }

    /// Whether a changeset reached a tier.
    pub fn is_saved(&self, id: ChangesetId, tier: Tier) -> bool {
        let id = self.renamed.get(&id).copied().unwrap_or(id);
        match tier {
            Tier::Local | Tier::Relay => self.tiers.reached(&id) >= Some(tier),
            Tier::Final => self.is_final(&id) == Some(true),
        }
    }

    /// How many other members are known to have a changeset: those that wrote something with it in the past, and those that show
    /// that they have all that is here. O(lanes + those that are here).
    pub fn seen_by(&self, id: ChangesetId) -> usize {
        let graph = self.log.graph();
        let Some(ix) = graph.get(&self.renamed.get(&id).copied().unwrap_or(id)) else { return 0 };
        let tips = graph.tips().filter_map(|tip| graph.get(&tip.id)).filter(|tip| graph.contains(*tip, ix));
        let mut members: Vec<MemberId> = tips.map(|tip| self.log.author(tip).member).collect();
        members.extend(self.members_abreast());
        sort(&mut members);
        members.dedup();
        members.iter().filter(|member| **member != self.member()).count()
    }

    /// Figures about the space. O(changesets).
    pub fn stats(&self) -> Stats {
        let graph = self.log.graph();
        let entries = (0..graph.len()).map(|ix| self.log.entry(ChangesetIx(ix)));
        Stats {
            changesets: graph.len(),
            inert: entries.clone().filter(|entry| entry.fate == Fate::Inert).count() as u32,
            ops: self.fold.timeline().next_op(),
            bytes: entries.map(|entry| u64::from(entry.size)).sum(),
            objects: self.object_count(),
            actors: graph.actors() as u32,
            pending: (self.log.waiting().count() + self.log.unsupported().count()) as u32,
            forks: self.log.forks().len() as u32,
            refused: self.refused,
        }
    }

    /// Changesets that wait, and for what: a reason, or a number of missing parents.
    pub fn pending(&self) -> Vec<(ChangesetId, Option<HoldReason>)> {
        let waiting = self.log.waiting().map(|(changeset, _)| changeset.id());
        let unsupported = self.log.unsupported().map(|id| (id, Some(HoldReason::Unsupported)));
        waiting.map(|id| (id, self.held.get(&id).copied())).chain(unsupported).collect()
    }

    pub(super) fn map(&self, object: ObjectIx) -> Option<&Map> {
        if let Body::Map(map) = &self.fold.get(object).body { Some(map) } else { None }
    }

    /// The register of a key, and its place in it if that is one of a group.
    pub(super) fn slot_of(&self, object: ObjectIx, key: &str) -> (Slot, Option<usize>) {
        match self.options_of(object).and_then(|options| options.group_of(key)) {
            Some((group, place)) => (Slot::Group(group), Some(place)),
            None => (Slot::Key(self.key_id(key)), None),
        }
    }

    /// What a slot of a map shows.
    pub(super) fn map_winner(&self, object: ObjectIx, slot: &Slot) -> Option<&Written> {
        self.winner(self.map(object)?.get(slot)?)
    }

    pub(super) fn cart_sum(&self, object: ObjectIx, item: NameId) -> i128 {
        let Body::Cart(cart) = &self.fold.get(object).body else { return 0 };
        cart.get(&item).map_or(0, |tally| tally.totals().sum())
    }

    fn winner(&self, register: &Register) -> Option<&Written> {
        let winner = register.winners().first().filter(|winner| !winner.deletes)?;
        self.fold.written(winner.op)
    }

    fn element(&self, object: ObjectIx, element: &Value) -> Option<&Written> {
        let Body::Set(set) = &self.fold.get(object).body else { return None };
        let register = set.get(&Slot::Key(self.value_id(Sort::SetElement, element)))?;
        self.added(register, self.last_writer_wins(object))
    }

    pub(super) fn last_writer_wins(&self, object: ObjectIx) -> bool {
        self.options_of(object).is_some_and(|options| options.variant)
    }

    /// What put an element in: any of the maximal writes, or the winner alone.
    pub(super) fn added(&self, register: &Register, last_wins: bool) -> Option<&Written> {
        let winners = register.winners();
        let count = if last_wins { winners.len().min(1) } else { winners.len() };
        let adds = winners[..count].iter().filter(|winner| !winner.deletes);
        adds.filter_map(|winner| self.fold.written(winner.op)).next()
    }
}
