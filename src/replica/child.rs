//! Objects under keys of maps. Which one a key shows is written like a value, or declared with the map's options; the identity
//! of the object follows from map, key, kind and options, so whoever makes it makes the same one.
//!
//! Invariant: an edit of a child leaves it visible, all the way up; a key that is deleted or written over leaves its child
//! empty. What is deeper than [`DEPTH_MAX`] is kept and hashed, but neither read nor made: nothing here recurses.

use super::history::value_at;
use super::{EditFault, Env, Replica};
use crate::causal::NameId;
use crate::codec::limits;
use crate::crdt::{Slot, Totals};
use crate::doc::{Body, Edit, Fold, ObjectIx, ObjectName, ObjectOrigin, Patch, PatchBody, Written};
use crate::event::{ObjectKind, Options, Sort, Value, child_id};
use crate::steps;
use foldhash::{HashMap, HashSet};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many keys lead to the deepest object.
pub const DEPTH_MAX: usize = limits::VALUE_DEPTH_MAX;

/// What a key of a map reads as.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shown<'a> {
    /// A value.
    Value(&'a Value),
    /// Whatever the object under it reads as.
    Child(ObjectIx),
}

/// Where an object is that is under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub map: ObjectIx,
    pub key: NameId,
    /// Its options, as they are written to the key.
    options: Box<[u8]>,
}

/// The places of the children that were named or asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    /// By object: one look for every edit, hence no table of hashes.
    rows: Vec<Option<Place>>,
    /// One child for each, to spare the HMAC; with other options there are others.
    index: HashMap<(ObjectIx, NameId, ObjectKind), ObjectIx>,
    /// The maps that have one.
    maps: HashSet<ObjectIx>,
}

impl Places {
    pub fn get(&self, object: ObjectIx) -> Option<&Place> {
        self.rows.get(object.0 as usize)?.as_ref()
    }

    fn set(&mut self, object: ObjectIx, kind: ObjectKind, place: Place) {
        let at = object.0 as usize;
        self.index.insert((place.map, place.key, kind), object);
        self.maps.insert(place.map);
        if self.rows.len() <= at {
            self.rows.resize(at + 1, None);
        }
        self.rows[at] = Some(place);
    }

    /// Whether a key of a map leads to a child that was named or asked for.
    pub fn is_above(&self, map: ObjectIx) -> bool {
        self.maps.contains(&map)
    }

    /// A child that was named or asked for.
    fn find(&self, map: ObjectIx, key: NameId, kind: ObjectKind, options: &[u8]) -> Option<ObjectIx> {
        let found = *self.index.get(&(map, key, kind))?;
        self.get(found).is_some_and(|place| *place.options == *options).then_some(found)
    }

    /// The places above an object, from its own up to the first that is not in a map; one more than [`DEPTH_MAX`] at most.
    pub fn above(&self, object: ObjectIx) -> impl Iterator<Item = &Place> {
        std::iter::successors(self.get(object), |place| self.get(place.map)).take(DEPTH_MAX + 1)
    }

    /// How many keys lead to an object.
    fn depth(&self, object: ObjectIx) -> usize {
        self.above(object).count()
    }

    /// Whether an object is another one, or below it.
    pub fn is_within(&self, object: ObjectIx, other: ObjectIx) -> bool {
        object == other || self.above(object).any(|place| place.map == other)
    }
}

impl Replica {
    /// The object of a kind under a key of a map, made empty if it is new. Asking for it writes nothing: its first edit
    /// makes the key show it.
    pub fn map_child(
        &mut self,
        map: ObjectIx,
        key: &str,
        kind: ObjectKind,
        options: &Options,
    ) -> Result<ObjectIx, EditFault> {
        if self.kind_of(map) != ObjectKind::Map {
            return Err(EditFault::Kind);
        }
        if key.len() > limits::NAME_BYTES_MAX {
            return Err(EditFault::TooLarge);
        }
        let encoded = options.encode();
        if !options.fit(kind) || encoded.len() > limits::EXT_BYTES_MAX {
            return Err(EditFault::Options);
        }
        if let Some(of_map) = self.options_of(map) {
            match of_map.field(key) {
                Some(field) if field != kind => return Err(EditFault::OtherKind),
                Some(_) if *options != Options::default() => return Err(EditFault::OtherOptions),
                _ if of_map.group_of(key).is_some() => return Err(EditFault::Coupled),
                _ => {}
            }
        }
        if !Fold::nests(kind) {
            return Err(EditFault::Unsupported);
        }
        let name = self.key_id(key);
        self.names.learn(Sort::MapKey, name, key.as_bytes());
        self.meet(map, name, kind, &encoded).ok_or(EditFault::Depth)
    }

    /// What a key reads as; none if it is not there or cannot be read here.
    pub fn map_shown(&mut self, map: ObjectIx, key: &str) -> Option<Shown<'_>> {
        if let Some(kind) = self.field_of(map, key) {
            return self.map_child(map, key, kind, &Options::default()).ok().map(Shown::Child);
        }
        let (slot, _) = self.slot_of(map, key);
        if let (Slot::Key(name), Some(Written::Child(kind, options))) = (slot, self.map_winner(map, &slot)) {
            let (kind, options) = (*kind, options.clone());
            return self.meet(map, name, kind, &options).map(Shown::Child);
        }
        self.map_get(map, key).map(Shown::Value)
    }

    /// What all causally maximal writes to a key read as, the winner first.
    pub fn map_rivals(&mut self, map: ObjectIx, key: &str) -> Vec<Shown<'_>> {
        if self.field_of(map, key).is_some() {
            return self.map_shown(map, key).into_iter().collect();
        }
        let (slot, place) = self.slot_of(map, key);
        let met = match slot {
            Slot::Key(name) => {
                let written = self.written_children(map, &slot).into_iter();
                let met = written.map(|(kind, options)| {
                    let child = self.meet(map, name, kind, &options);
                    (Written::Child(kind, options), child)
                });
                met.collect()
            }
            Slot::Group(_) => Vec::new(),
        };
        let Some(register) = self.map(map).and_then(|of| of.get(&slot)) else { return Vec::new() };
        let written = register.winners().iter().filter(|winner| !winner.deletes);
        let written = written.filter_map(|winner| self.fold.written(winner.op));
        let shown = written.filter_map(|written| match written {
            Written::Child(..) => {
                let (_, child) = met.iter().find(|(of, _)| of == written)?;
                child.map(Shown::Child)
            }
            _ => value_at(written, place).map(Shown::Value),
        });
        shown.collect()
    }

    /// Whether a key is there.
    pub fn map_has(&self, map: ObjectIx, key: &str) -> bool {
        match self.field_of(map, key) {
            Some(kind) => Fold::nests(kind) && self.depth(map) < DEPTH_MAX,
            None => {
                let (slot, place) = self.slot_of(map, key);
                self.map_winner(map, &slot).is_some_and(|written| self.reads(map, written, place))
            }
        }
    }

    /// The map and the key that an object is under; none for one that has a name, is not known to be anywhere, or is too deep.
    pub fn place_of(&self, object: ObjectIx) -> Option<(ObjectIx, NameId)> {
        let place = self.places.get(object).filter(|_| self.places.depth(object) <= DEPTH_MAX)?;
        Some((place.map, place.key))
    }

    /// What a view shows a copy of; the object itself if it is none.
    pub(super) fn original_of(&self, object: ObjectIx) -> ObjectIx {
        self.views.origin(object).map_or(object, |(_, of)| of)
    }

    /// The kind of a declared field.
    pub(super) fn field_of(&self, map: ObjectIx, key: &str) -> Option<ObjectKind> {
        self.options_of(map)?.field(key)
    }

    /// Whether something that was written to a slot of a map can be read here.
    pub(super) fn reads(&self, map: ObjectIx, written: &Written, place: Option<usize>) -> bool {
        match written {
            Written::Child(kind, options) => {
                place.is_none()
                    && Fold::nests(*kind)
                    && Options::decode(*kind, options).is_some()
                    && self.depth(map) < DEPTH_MAX
            }
            _ => value_at(written, place).is_some(),
        }
    }

    /// How many keys lead to an object, or to what it is a copy of.
    fn depth(&self, object: ObjectIx) -> usize {
        self.places.depth(self.original_of(object))
    }

    /// The map that declares an object as a field.
    pub(super) fn map_of_field(&self, object: ObjectIx) -> Option<ObjectIx> {
        let of = self.original_of(object);
        let place = self.places.get(of)?;
        let declared = self.names.key(&place.key).and_then(|key| self.field_of(place.map, key));
        (declared == Some(self.kind_of(of))).then_some(place.map)
    }

    /// Whether an object is below another one, by a key of that.
    pub(super) fn is_below_key(&self, object: ObjectIx, map: ObjectIx, key: &str) -> bool {
        let key = self.key_id(key);
        self.places.above(object).any(|place| place.map == map && place.key == key)
    }

    /// Whether an object has visible content, its fields included.
    pub(super) fn has_content(&self, object: ObjectIx) -> bool {
        self.object_hash(object).is_some()
            || self.fields_of(object).any(|field| self.object_hash(field).is_some())
    }

    /// Notes that an object was edited: it shows, all the way up.
    pub(super) fn edited(&mut self, object: ObjectIx, env: &Env<'_>) {
        self.begin_batch(env);
        // While one object is edited nothing else changes.
        if self.batch.shown.replace(object) == Some(object) {
            return;
        }
        let mut at = object;
        while let Some(place) = self.places.get(at) {
            steps::count(1);
            let (map, slot) = (place.map, Slot::Key(place.key));
            if !self.shows(at, map, 1) {
                let written = Written::Child(self.fold.get(at).kind(), place.options.clone());
                self.clear_under(map, slot, Some(at));
                self.fold.edit(self.log.graph(), map, Edit::Put(slot, written));
            }
            at = map;
        }
    }

    /// Empties the objects that a key shows, or would show if another of its writes had won; but for one.
    pub(super) fn clear_under(&mut self, map: ObjectIx, slot: Slot, but: Option<ObjectIx>) {
        if !self.fold.has_children() {
            return; // no key was written any
        }
        for child in self.children_at(map, slot).into_iter().filter(|child| Some(*child) != but) {
            self.clear(child);
        }
    }

    /// Deletes the content of an object, and that of everything below it that is visible; says whether there was any.
    pub(super) fn clear(&mut self, object: ObjectIx) -> bool {
        let (mut rest, mut any) = (vec![(object, self.places.depth(object))], false);
        while let Some((object, depth)) = rest.pop() {
            if depth > DEPTH_MAX {
                continue;
            }
            match &self.fold.get(object).body {
                Body::Text(text) => {
                    let len = text.len();
                    any |= len > 0;
                    self.fold.text_delete(object, 0, len).expect("the whole of a text lies in it");
                }
                Body::List(list) => {
                    let len = list.len();
                    any |= len > 0;
                    self.fold.list_delete(object, 0, len).expect("the whole of a list lies in it");
                }
                _ => {}
            }
            let edits = self.emptying(object);
            steps::count(1 + edits.len());
            for edit in edits {
                if let Edit::Take(slot) = edit {
                    rest.extend(self.children_at(object, slot).into_iter().map(|child| (child, depth + 1)));
                }
                self.fold.edit(self.log.graph(), object, edit);
                any = true;
            }
            rest.extend(self.fields_of(object).map(|field| (field, depth + 1)));
        }
        any
    }

    /// Adds to patches what they change above: the keys of maps that lead to what they are about.
    pub(super) fn with_places_above(&self, patches: Vec<Patch>) -> Vec<Patch> {
        self.with_places_where(patches, |object, map| self.shows(object, map, usize::MAX))
    }

    /// The same where something else says whether a key of a map shows an object.
    pub(super) fn with_places_where(
        &self,
        mut patches: Vec<Patch>,
        shows: impl Fn(ObjectIx, ObjectIx) -> bool,
    ) -> Vec<Patch> {
        let mut above: BTreeMap<ObjectIx, BTreeSet<Slot>> = BTreeMap::new();
        for patch in &patches {
            let mut at = patch.object;
            if self.places.depth(at) > DEPTH_MAX {
                continue;
            }
            while let Some(place) = self.places.get(at) {
                steps::count(1);
                if !shows(at, place.map) || !above.entry(place.map).or_default().insert(Slot::Key(place.key))
                {
                    break;
                }
                at = place.map;
            }
        }
        if above.is_empty() {
            return patches;
        }
        for patch in &mut patches {
            if let PatchBody::Slots(slots) = &mut patch.body
                && let Some(mut more) = above.remove(&patch.object)
            {
                for slot in slots.iter() {
                    more.remove(slot);
                }
                slots.extend(more);
            }
        }
        let whole = above.into_iter().filter(|(_, slots)| !slots.is_empty());
        patches.extend(
            whole
                .map(|(object, slots)| Patch { object, body: PatchBody::Slots(slots.into_iter().collect()) }),
        );
        patches
    }

    /// Remembers where an object is that a content names.
    pub(super) fn note_place(&mut self, child: ObjectIx, map: ObjectIx, key: NameId, options: &[u8]) {
        let kind = self.fold.get(child).kind();
        self.places.set(child, kind, Place { map, key, options: options.into() });
    }

    /// The same for all that a snapshot names.
    pub(super) fn note_places(&mut self) {
        let named = self.names.objects().filter_map(|(id, name)| match name.origin {
            ObjectOrigin::Child { parent, key } => Some((*id, name.kind, parent, key, name.options.encode())),
            ObjectOrigin::Named(_) => None,
        });
        for (id, kind, parent, key, options) in named.collect::<Vec<_>>() {
            if let (Some(child), Some(map)) =
                (self.fold.find(id, kind), self.fold.find(parent, ObjectKind::Map))
            {
                self.note_place(child, map, key, &options);
            }
        }
    }

    /// Whether the key that an object is under shows it in a map, its own or a copy of that: a field always does, another one
    /// if one of its first winners says so.
    pub(super) fn shows(&self, object: ObjectIx, map: ObjectIx, first: usize) -> bool {
        let Some(place) = self.places.get(object) else { return false };
        let kind = self.fold.get(object).kind();
        if self.map_of_field(object).is_some() {
            return true;
        }
        let Some(register) = self.map(map).and_then(|map| map.get(&Slot::Key(place.key))) else {
            return false;
        };
        register.winners().iter().take(first).any(|winner| match self.fold.written(winner.op) {
            Some(Written::Child(written, options)) => *written == kind && *options == place.options,
            _ => false,
        })
    }

    /// An object under a key, made if it is new; none if it cannot be read here.
    fn meet(&mut self, map: ObjectIx, key: NameId, kind: ObjectKind, encoded: &[u8]) -> Option<ObjectIx> {
        if let Some((view, of)) = self.views.origin(map) {
            let child = self.meet(of, key, kind, encoded)?;
            return self.object_in(view, child).ok();
        }
        if self.places.depth(map) >= DEPTH_MAX {
            return None;
        }
        if let Some(known) = self.places.find(map, key, kind, encoded) {
            return Some(known);
        }
        let options = Options::decode(kind, encoded).filter(|_| Fold::nests(kind))?;
        let parent = self.fold.get(map).id;
        let id = child_id(self.identity.keyring().names(), parent, key, kind, encoded);
        let object = self.fold.object(id, kind)?;
        let origin = ObjectOrigin::Child { parent, key };
        self.names.learn_object(id, ObjectName { origin, kind, options: Arc::new(options) });
        self.note_place(object, map, key, encoded);
        Some(object)
    }

    /// An object under a key, if it is here.
    fn find(&self, map: ObjectIx, key: NameId, kind: ObjectKind, encoded: &[u8]) -> Option<ObjectIx> {
        self.places.find(map, key, kind, encoded).or_else(|| {
            let keys = self.identity.keyring().names();
            self.fold.find(child_id(keys, self.fold.get(map).id, key, kind, encoded), kind)
        })
    }

    /// The children that the maximal writes to a slot name.
    fn written_children(&self, map: ObjectIx, slot: &Slot) -> Vec<(ObjectKind, Box<[u8]>)> {
        let register = self.map(map).and_then(|of| of.get(slot));
        let winners = register.map_or(&[][..], |register| register.winners());
        let child = |written: &Written| match written {
            Written::Child(kind, options) => Some((*kind, options.clone())),
            _ => None,
        };
        winners.iter().filter_map(|winner| self.fold.written(winner.op).and_then(child)).collect()
    }

    /// Those of them that are here.
    fn children_at(&mut self, map: ObjectIx, slot: Slot) -> Vec<ObjectIx> {
        let Slot::Key(key) = slot else { return Vec::new() };
        let written = self.written_children(map, &slot);
        if written.is_empty() {
            return Vec::new();
        }
        let here =
            written.into_iter().filter(|(kind, options)| self.find(map, key, *kind, options).is_some());
        let here: Vec<_> = here.collect();
        here.into_iter().filter_map(|(kind, options)| self.meet(map, key, kind, &options)).collect()
    }

    /// The declared fields of a map that are here.
    fn fields_of(&self, map: ObjectIx) -> impl Iterator<Item = ObjectIx> {
        let fields = self.options_of(map).map_or(&[][..], |options| &options.fields);
        let plain = Options::default().encode();
        let here = fields.iter().filter_map(|(key, kind)| self.find(map, self.key_id(key), *kind, &plain));
        here.collect::<Vec<_>>().into_iter()
    }

    /// The edits that empty an object that is not made of units.
    fn emptying(&self, object: ObjectIx) -> Vec<Edit> {
        match &self.fold.get(object).body {
            Body::Text(_) | Body::List(_) | Body::Ledger(_) => Vec::new(),
            Body::Counter(tally) => {
                if tally.totals() == Totals::default() {
                    Vec::new()
                } else {
                    vec![Edit::Reset]
                }
            }
            Body::Cart(cart) => {
                let held = cart.iter().filter(|(_, tally)| tally.totals() != Totals::default());
                held.map(|(item, _)| Edit::Remove(item)).collect()
            }
            Body::Map(map) | Body::Set(map) => {
                let written = map
                    .iter()
                    .filter(|(_, register)| register.winners().iter().any(|winner| !winner.deletes));
                let empties = written.filter_map(|(slot, register)| match slot {
                    Slot::Key(_) => Some(Edit::Take(slot)),
                    Slot::Group(_) => {
                        let first = register.winners().first()?;
                        let written = self.fold.written(first.op).filter(|written| written.is_visible())?;
                        let Written::Tuple(values) = written else { return None };
                        Some(Edit::Put(slot, Written::Tuple(vec![None; values.len()].into())))
                    }
                });
                empties.collect()
            }
        }
    }
}
