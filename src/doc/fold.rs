//! The fold: all objects, and for every op where it went, so that any op can be switched off and on again.
//!
//! Ops come in two ways. Those of a verified changeset are first checked as a whole ([`Fold::check`]), then integrated.
//! Local ones apply at once and wait in the open [`Batch`]; while one is open nothing is integrated, so what it was made
//! against is exactly its causal past. What changed is asked for with [`Fold::take_patches`].

use super::batch::{Batch, BatchOp};
use super::check::Planned;
use super::objects::Objects;
use super::step::{Shape, Step};
use super::toggle::Reasons;
use super::writings::Writings;
use super::{Body, Incoming, Object, ObjectIx, Past, Patch, Timeline, Written};
use crate::causal::{CausalGraph, ChangesetIx, Hlc, MemberId, ObjectId, OpIx};
use crate::codec::DecodeError;
use crate::crdt::{Bits, Events, KeyIx, Slot, UnitOp};
use crate::event::{Content, ObjectKind, Skeleton, Value};
use crate::sorted::{sort, sort_by_key};
use foldhash::HashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Where an op went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// To a place in an object: a slot, an item, or 0.
    Object { object: ObjectIx, at: u32 },
    /// It is an event: see [`Fold::events`].
    Event,
    /// It switches other ops off: see [`Fold::revokes`].
    Revoke,
    /// It has no effect.
    Nowhere,
}

/// The ops of a changeset on one object that is made of units, and what they insert.
#[derive(Default)]
struct OfUnits {
    ops: Vec<(OpIx, UnitOp)>,
    text: String,
    values: Vec<Value>,
}

impl OfUnits {
    /// Adds what an op takes from the content.
    fn take(&mut self, piece: Option<(&str, &[Value])>) {
        if let Some((text, values)) = piece {
            self.text.push_str(text);
            self.values.extend_from_slice(values);
        }
    }
}

/// The folded state of a space.
#[derive(Clone, Debug, Default)]
pub struct Fold {
    pub(super) timeline: Timeline,
    pub(super) objects: Objects,
    /// By kind too: whoever holds the name key can claim another kind for an id, and must not take it from its owner.
    pub(super) index: HashMap<(ObjectId, ObjectKind), ObjectIx>,
    pub(super) places: Vec<Place>,
    /// The ops that a revoke switches off.
    pub(super) revokes: BTreeMap<OpIx, Box<[Range<u32>]>>,
    pub(super) events: Events,
    pub(super) writings: Writings,
    pub(super) absent: BTreeSet<OpIx>,
    /// Changesets whose content is gone for good.
    pub(super) redacted: BTreeSet<ChangesetIx>,
    pub(super) reasons: Reasons,
    /// Objects that may read differently since patches were taken.
    pub(super) changed: Vec<ObjectIx>,
    pub(super) batch: Option<Batch>,
    /// Objects as views show them, by the numbers that those gave them.
    pub(super) copies: HashMap<ObjectIx, Object>,
}

impl Fold {
    /// The object with this identity, made empty if it is new; none for kinds this version does not fold.
    pub fn object(&mut self, id: ObjectId, kind: ObjectKind) -> Option<ObjectIx> {
        if let Some(found) = self.index.get(&(id, kind)) {
            return Some(*found);
        }
        let object = ObjectIx(self.objects.len() as u32);
        self.objects.push(Object::new(id, kind)?);
        self.index.insert((id, kind), object);
        Some(object)
    }

    /// The object with this identity, if it was met.
    pub fn find(&self, id: ObjectId, kind: ObjectKind) -> Option<ObjectIx> {
        self.index.get(&(id, kind)).copied()
    }

    /// Whether an object of a kind can be under a key: what was paid cannot be made to begin empty.
    pub fn nests(kind: ObjectKind) -> bool {
        kind != ObjectKind::Ledger && Self::folds(kind)
    }

    /// Whether this version has a data type for a kind.
    pub fn folds(kind: ObjectKind) -> bool {
        Object::new(ObjectId([0; 16]), kind).is_some()
    }

    /// Takes a changeset into the state, the one that was added to the graph last; `incoming` is none for an inert one.
    /// Ops for which `active` is false have no effect until they are switched on.
    pub fn integrate(
        &mut self,
        graph: &CausalGraph,
        changeset: ChangesetIx,
        (stamp, undo_group): (Hlc, u64),
        incoming: Option<Incoming>,
        content: Option<(&Skeleton, &Content)>,
        active: impl Fn(OpIx) -> bool,
    ) {
        let planned = incoming.map_or_else(Vec::new, |incoming| incoming.ops);
        let ops = self.timeline.push(stamp, undo_group, planned.len() as u32);
        let mut pieces = content.map(|(skeleton, content)| content.by_op(&skeleton.ops));
        let mut sequences: BTreeMap<ObjectIx, OfUnits> = BTreeMap::new();
        let mut marks: Vec<(ObjectIx, OpIx, Option<Value>)> = Vec::new();
        let mut revokes = Vec::new();
        for (op, planned) in ops.map(OpIx).zip(planned) {
            let piece = pieces.as_mut().and_then(Iterator::next);
            let on = matches!(planned, Planned::Skip) || active(op);
            if !on {
                self.reasons.hide(op);
            }
            let place = match planned {
                Planned::Step(object, step) => {
                    let past = self.timeline.over(graph);
                    let at = self.objects[object.0 as usize].write(&past, &step, op, on);
                    self.list(object);
                    if let Step::Put(_, shape) = step {
                        if piece.is_none() && shape.needs_content() {
                            self.absent.insert(op);
                        }
                        self.writings.push(op, shape.with(piece.map(|(_, values)| values)));
                    } else if let Step::Sign(signed) = step
                        && signed.op.takes_content()
                    {
                        let memo = piece.map(|(_, values)| values[0].clone());
                        if memo.is_none() {
                            self.absent.insert(op);
                        }
                        // Most have none, and are not listed.
                        if memo != Some(Value::Null) {
                            self.writings.push(op, memo.map(Written::Value));
                        }
                    }
                    Place::Object { object, at }
                }
                Planned::Units(object, unit_op) => {
                    let is_mark = matches!(unit_op, UnitOp::Mark { .. });
                    if piece.is_none() && (is_mark || matches!(unit_op, UnitOp::Insert { .. })) {
                        self.absent.insert(op);
                    }
                    if is_mark {
                        marks.push((object, op, piece.and_then(|(_, values)| values.first().cloned())));
                    }
                    let of_units = sequences.entry(object).or_default();
                    of_units.ops.push((op, unit_op));
                    of_units.take(piece);
                    Place::Object { object, at: 0 }
                }
                Planned::Event(said) => {
                    if piece.is_none() {
                        self.absent.insert(op);
                    }
                    self.writings.push(op, Shape::Value.with(piece.map(|(_, values)| values)));
                    self.events.add(&self.timeline.over(graph), op, &said, on, piece.is_some());
                    Place::Event
                }
                Planned::Revoke(targets) => {
                    if on {
                        revokes.extend_from_slice(&targets);
                    }
                    self.revokes.insert(op, targets);
                    Place::Revoke
                }
                Planned::Skip => Place::Nowhere,
            };
            self.places.push(place);
        }
        for (object, OfUnits { ops, text: inserted, values }) in sequences {
            let past = self.timeline.over(graph);
            match &mut self.objects[object.0 as usize].body {
                Body::Text(text) => {
                    let inserted = content.is_some().then_some(inserted.as_str());
                    text.apply(&past, changeset, &ops, inserted, &active);
                }
                Body::List(list) => {
                    let values = content.is_some().then_some(values);
                    list.apply(&past, changeset, &ops, values, &active);
                }
                _ => unreachable!("ops are compared with the kind of their object"),
            }
            self.list(object);
        }
        self.fill_marks(graph, marks);
        self.count_revoke(graph, &revokes, true);
    }

    /// The content of an integrated changeset came later: its ops get their values.
    pub fn fill(
        &mut self,
        graph: &CausalGraph,
        changeset: ChangesetIx,
        skeleton: &Skeleton,
        content: &Content,
        refs: &[ChangesetIx],
    ) {
        let ops = self.timeline.ops_of(changeset).map(OpIx);
        let mut sequences: BTreeMap<ObjectIx, OfUnits> = BTreeMap::new();
        let mut marks: Vec<(ObjectIx, OpIx, Option<Value>)> = Vec::new();
        let nobody = MemberId([0; 32]);
        let planned = self.plan(graph, changeset, skeleton, refs, (nobody, |_| true)).unwrap_or_default();
        for ((op, (text, values)), planned) in ops.zip(content.by_op(&skeleton.ops)).zip(planned) {
            if !self.absent.remove(&op) {
                continue;
            }
            let Place::Object { object, at } = self.places[op.0 as usize] else {
                if let Some(written) = Shape::Value.with(Some(values)) {
                    self.writings.fill(op, written);
                    self.events.supply(op);
                }
                continue;
            };
            match planned {
                Planned::Step(_, Step::Put(_, shape)) => {
                    if let Some(written) = shape.with(Some(values)) {
                        self.writings.fill(op, written);
                    }
                    self.objects[object.0 as usize].touch(at);
                }
                Planned::Step(_, Step::Sign(_)) => {
                    if values[0] != Value::Null {
                        self.writings.fill(op, Written::Value(values[0].clone()));
                    }
                    self.objects[object.0 as usize].touch(at);
                }
                Planned::Units(_, UnitOp::Mark { .. }) => marks.push((object, op, values.first().cloned())),
                _ => sequences.entry(object).or_default().take(Some((text, values))),
            }
            self.list(object);
        }
        for (object, OfUnits { text: inserted, values, .. }) in sequences {
            match &mut self.objects[object.0 as usize].body {
                Body::Text(text) => drop(text.fill(changeset, &inserted)),
                Body::List(list) => drop(list.fill(changeset, values)),
                _ => {}
            }
        }
        self.fill_marks(graph, marks);
    }

    /// The content of an integrated changeset is gone for good: what its ops wrote reads as absent from now on. They stay as they
    /// are, active or not, and win what they won; nothing of them counts as missing. The objects that may read differently, each
    /// once. O(ops + runs of text).
    pub fn redact(&mut self, graph: &CausalGraph, changeset: ChangesetIx) -> Vec<ObjectIx> {
        if !self.redacted.insert(changeset) {
            return Vec::new();
        }
        let past = self.timeline.over(graph);
        let mut objects = Vec::new();
        for op in self.timeline.ops_of(changeset).map(OpIx) {
            self.absent.remove(&op);
            let wrote = self.writings.wipe(op);
            match self.places[op.0 as usize] {
                Place::Event => self.events.withdraw(op),
                Place::Object { object, at } => {
                    let of = &mut self.objects[object.0 as usize];
                    match &mut of.body {
                        Body::Text(text) => text.wipe_mark(&past, op),
                        Body::List(_) => {}
                        _ if wrote => of.touch(at),
                        _ => continue,
                    }
                    objects.push(object);
                }
                Place::Revoke | Place::Nowhere => {}
            }
        }
        sort(&mut objects);
        objects.dedup();
        for object in &objects {
            match &mut self.objects[object.0 as usize].body {
                Body::Text(text) => drop(text.wipe(changeset)),
                Body::List(list) => drop(list.wipe(changeset)),
                _ => {}
            }
            self.list(*object);
        }
        objects
    }

    /// Gives marks their values and settles their texts.
    fn fill_marks(&mut self, graph: &CausalGraph, mut marks: Vec<(ObjectIx, OpIx, Option<Value>)>) {
        sort_by_key(&mut marks, |(object, ..)| *object);
        let past = self.timeline.over(graph);
        for of_text in marks.chunk_by(|a, b| a.0 == b.0) {
            let Body::Text(text) = &mut self.objects[of_text[0].0.0 as usize].body else { continue };
            for (_, op, value) in of_text {
                if let Some(value) = value {
                    text.fill_mark(*op, value);
                }
            }
            text.settle(&past);
        }
    }

    /// What may read differently since the last time, by object in the order in which it was met.
    pub fn take_patches(&mut self) -> Vec<Patch> {
        if self.changed.is_empty() {
            return Vec::new(); // as for most transactions, of which whoever made them tells
        }
        let mut changed = std::mem::take(&mut self.changed);
        sort(&mut changed);
        let patch = |object: ObjectIx| {
            let of = &mut self.objects[object.0 as usize];
            of.listed = false;
            of.take_patch().map(|body| Patch { object, body })
        };
        changed.into_iter().filter_map(patch).collect()
    }

    /// The same, for whoever knows it already.
    pub fn forget_patches(&mut self) {
        for object in self.changed.drain(..) {
            let of = &mut self.objects[object.0 as usize];
            of.listed = false;
            of.forget_patch();
        }
    }

    /// All objects, in the order in which this replica met them.
    pub fn objects(&self) -> impl ExactSizeIterator<Item = (ObjectIx, &Object)> + '_ {
        self.objects.iter().enumerate().map(|(at, object)| (ObjectIx(at as u32), object))
    }

    /// One object, or the copy of one that a view shows.
    ///
    /// # Panics
    /// If there is none of that number.
    pub fn get(&self, object: ObjectIx) -> &Object {
        if object.is_copy() { &self.copies[&object] } else { &self.objects[object.0 as usize] }
    }

    /// What an object is, which a snapshot says without decoding it.
    ///
    /// # Panics
    /// If there is none of that number.
    pub fn identity(&self, object: ObjectIx) -> (ObjectId, ObjectKind) {
        if object.is_copy() {
            let copy = &self.copies[&object];
            return (copy.id, copy.kind());
        }
        self.objects.identity(object.0 as usize)
    }

    /// The hash of what an object shows, none if that is nothing: as `compute` says, which is asked again only once the object
    /// has changed. Copies change with their view, so for them it is asked each time.
    pub fn shown_hash(
        &self,
        object: ObjectIx,
        compute: impl FnOnce(&Object) -> Option<[u8; 32]>,
    ) -> Option<[u8; 32]> {
        if object.is_copy() {
            return compute(self.get(object));
        }
        self.objects.shown_hash(object.0 as usize, compute)
    }

    /// Whether a key of any map was ever written an object. The declared fields of a map are none.
    pub fn has_children(&self) -> bool {
        self.writings.has_children()
    }

    /// What an op wrote; none if it is absent.
    pub fn written(&self, op: OpIx) -> Option<&Written> {
        self.writings.get(op)
    }

    /// The events, and what they are about.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// The same, to be taken.
    pub fn events_mut(&mut self) -> &mut Events {
        &mut self.events
    }

    /// Says where the next changeset, which was added to the graph, stands in the order of events: by its stamp, if everybody
    /// who has it reads that.
    pub fn rank(&mut self, graph: &CausalGraph, changeset: ChangesetIx, stamp: Option<Hlc>) {
        self.timeline.rank(graph, changeset, stamp);
    }

    /// The numbering of ops.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// The ops that are switched off.
    pub fn inactive(&self) -> &Bits {
        self.reasons.inactive()
    }

    /// The ops whose value is missing.
    pub fn absent(&self) -> &BTreeSet<OpIx> {
        &self.absent
    }

    /// What a revoke names; none if the op is no revoke.
    pub fn revoked_by(&self, op: OpIx) -> Option<&[Range<u32>]> {
        self.revokes.get(&op).map(|targets| &**targets)
    }

    /// The object an op is about.
    pub fn object_of(&self, op: OpIx) -> Option<ObjectIx> {
        if let Place::Object { object, .. } = self.places[op.0 as usize] { Some(object) } else { None }
    }

    /// The past as the data types see it.
    pub fn past<'a>(&'a self, graph: &'a CausalGraph) -> Past<'a> {
        self.timeline.over(graph)
    }

    /// An op of the batch became one of a changeset: it gets its place.
    pub(super) fn place(&mut self, op: BatchOp, number: OpIx) {
        self.places.push(match op {
            BatchOp::Step { object, at, .. } => Place::Object { object, at },
            BatchOp::Units(object) => Place::Object { object, at: 0 },
            BatchOp::Event(_) => {
                self.events.seal(number);
                Place::Event
            }
            BatchOp::Revoke(targets) => {
                self.revokes.insert(number, targets);
                Place::Revoke
            }
        });
    }

    /// Whether an op moves something in a ledger, or would.
    pub fn is_entry(&self, op: OpIx) -> bool {
        let Some(object) = self.object_of(op).filter(|of| self.identity(*of).1 == ObjectKind::Ledger) else {
            return false;
        };
        matches!(&self.get(object).body, Body::Ledger(ledger) if ledger.entry_of(op).is_some())
    }

    /// Notes that an entry of a ledger may read differently, whatever it moves.
    pub fn touch_entry(&mut self, op: OpIx) {
        let Place::Object { object, at } = self.places[op.0 as usize] else { return };
        self.objects[object.0 as usize].touch(at);
        self.list(object);
    }

    /// Notes that an object may read differently.
    pub(super) fn list(&mut self, object: ObjectIx) {
        if !std::mem::replace(&mut self.objects[object.0 as usize].listed, true) {
            self.changed.push(object);
        }
    }

    /// Whether an op is about an object, and about a slot of it if some are given.
    pub fn touches(&self, op: OpIx, object: Option<ObjectIx>, slots: Option<&[Slot]>) -> bool {
        let Place::Object { object: of, at } = self.places[op.0 as usize] else { return false };
        object.is_none_or(|object| object == of)
            && slots.is_none_or(|slots| match &self.get(of).body {
                Body::Map(map) | Body::Set(map) => slots.contains(&map.slot(KeyIx(at))),
                Body::Cart(cart) => slots.contains(&Slot::Key(cart.name(KeyIx(at)))),
                Body::Text(_) | Body::List(_) | Body::Counter(_) | Body::Ledger(_) => false,
            })
    }

    /// An empty changeset was added to the graph.
    pub fn pass(&mut self, stamp: Hlc) {
        self.timeline.push(stamp, 0, 0);
    }

    /// Wakes all objects, which another device saved.
    pub fn wake_all(&mut self) -> Result<(), DecodeError> {
        self.objects.wake_all()
    }

    /// How many objects are still as a snapshot has them.
    #[doc(hidden)]
    pub fn dbg_asleep(&self) -> usize {
        self.objects.asleep()
    }

    /// Recomputes the invariants the slow way.
    #[doc(hidden)]
    pub fn dbg_check(&self, graph: &CausalGraph) {
        let past = self.timeline.over(graph);
        assert_eq!(self.places.len() as u32, self.timeline.next_op());
        self.objects.iter().for_each(|object| object.dbg_check(&past));
        let is_redacted = |op| self.redacted.contains(&self.timeline.changeset_of(op));
        let is_here = |op| !self.absent.contains(&op) && !is_redacted(op);
        self.events.dbg_check(&past, |op| self.is_active(op), is_here);
        self.dbg_reasons();
    }
}
