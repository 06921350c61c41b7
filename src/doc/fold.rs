//! The fold: all objects, and for every op where it went, so that any op can be switched off and on again.
//!
//! Ops come in two ways. Those of a verified changeset are first checked as a whole ([`Fold::check`]), then integrated.
//! Local ones apply at once and wait in the open [`Batch`]; while one is open nothing is integrated, so what it was made
//! against is exactly its causal past.

use super::batch::{Batch, BatchOp};
use super::{Body, Object, ObjectIx, Patch, PatchBody, Timeline};
use crate::causal::{CausalGraph, ChangesetIx, Hlc, NameId, ObjectId, OpIx};
use crate::crdt::{KeyIx, Text, TextError, TextOp, UnitRef, UnitSpan};
use crate::event::{Content, NameAt, ObjectAt, ObjectKind, Op, Skeleton, UnitAt, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Why the ops of a changeset count for nothing. The same for everybody: decided by skeleton and causal past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// An op names an object of a kind that does not fit.
    #[error("op does not fit the kind of its object")]
    Kind,
    /// Anchors or targets are outside the past or not next to each other.
    #[error("anchor or target is not in the causal past, or anchors are not adjacent")]
    Anchor,
}

/// Why a local edit was refused. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// A position or length is outside the text.
    #[error("position is outside the text")]
    Range,
    /// The text would become longer than 2^31 units.
    #[error("text is too long")]
    TooLong,
}

impl From<TextError> for EditError {
    fn from(error: TextError) -> Self {
        match error {
            TextError::Full => Self::TooLong,
            TextError::OutOfRange { .. } => Self::Range,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Set(NameId),
    Delete(NameId),
    Text(TextOp),
    Skip,
}

/// The ops of a checked changeset, in local terms.
#[derive(Clone, Debug)]
pub struct Incoming {
    steps: Vec<(ObjectIx, Step)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Key { object: ObjectIx, key: KeyIx },
    Text { object: ObjectIx },
    Nowhere,
}

/// The folded state of a space.
#[derive(Clone, Debug, Default)]
pub struct Fold {
    pub(super) timeline: Timeline,
    pub(super) objects: Vec<Object>,
    /// By kind too: whoever holds the name key can claim another kind for an id, and must not take it from its owner.
    index: HashMap<(ObjectId, ObjectKind), ObjectIx>,
    places: Vec<Place>,
    pub(super) values: HashMap<OpIx, Value>,
    absent: BTreeSet<OpIx>,
    inactive: BTreeSet<OpIx>,
    pub(super) batch: Option<Batch>,
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

    /// Whether every op is of a kind that this version folds. If not, the changeset is pending.
    pub fn supports(skeleton: &Skeleton) -> bool {
        skeleton.ops.iter().all(|op| {
            matches!(
                op,
                Op::MapSet { .. }
                    | Op::MapDelete { .. }
                    | Op::TextInsert { .. }
                    | Op::TextDelete { .. }
                    | Op::Skipped { .. }
            )
        })
    }

    /// Checks the ops of a changeset that is in the graph but not integrated. `refs` are the changesets its table names.
    pub fn check(
        &mut self,
        graph: &CausalGraph,
        changeset: ChangesetIx,
        skeleton: &Skeleton,
        refs: &[ChangesetIx],
    ) -> Result<Incoming, Invalid> {
        debug_assert!(!self.has_batch(), "arrivals wait until the open batch is sealed");
        self.batch = None;
        let table: Vec<Option<ObjectIx>> =
            skeleton.objects.iter().map(|(id, kind)| self.object(*id, *kind)).collect();
        let at = |unit: &UnitAt| UnitRef {
            changeset: match unit.changeset.0 {
                0 => changeset,
                number => refs[number as usize - 1],
            },
            offset: unit.offset,
        };
        let mut steps = Vec::with_capacity(skeleton.ops.len());
        let mut texts: BTreeMap<ObjectIx, Vec<TextOp>> = BTreeMap::new();
        for op in &skeleton.ops {
            let place = |at: &ObjectAt, kind: ObjectKind| {
                table[at.0 as usize]
                    .filter(|ix| self.objects[ix.0 as usize].kind() == kind)
                    .ok_or(Invalid::Kind)
            };
            let name = |at: &NameAt| skeleton.names[at.0 as usize];
            let step = match op {
                Op::MapSet { object, key } => (place(object, ObjectKind::Map)?, Step::Set(name(key))),
                Op::MapDelete { object, key } => (place(object, ObjectKind::Map)?, Step::Delete(name(key))),
                Op::TextInsert { object, left, right, len } => {
                    let op = TextOp::Insert {
                        left: left.as_ref().map(at),
                        right: right.as_ref().map(at),
                        len: *len,
                    };
                    (place(object, ObjectKind::Text)?, Step::Text(op))
                }
                Op::TextDelete { object, spans } => {
                    let spans = spans.iter().map(|span| {
                        let UnitRef { changeset, offset } = at(&span.first);
                        UnitSpan { changeset, offset, len: span.len }
                    });
                    (place(object, ObjectKind::Text)?, Step::Text(TextOp::Delete { spans: spans.collect() }))
                }
                _ => (ObjectIx(0), Step::Skip),
            };
            if let (object, Step::Text(op)) = &step {
                texts.entry(*object).or_default().push(op.clone());
            }
            steps.push(step);
        }
        let past = self.timeline.over(graph);
        for (object, ops) in &texts {
            let Body::Text(text) = &self.objects[object.0 as usize].body else {
                unreachable!("kinds were compared")
            };
            text.check(&past, changeset, ops).map_err(|_| Invalid::Anchor)?;
        }
        Ok(Incoming { steps })
    }

    /// Takes a changeset into the state, the one that was added to the graph last; `incoming` is none for an inert one.
    /// Ops for which `active` is false have no effect until they are switched on.
    pub fn integrate(
        &mut self,
        graph: &CausalGraph,
        changeset: ChangesetIx,
        stamp: Hlc,
        incoming: Option<Incoming>,
        content: Option<(&Skeleton, &Content)>,
        active: impl Fn(OpIx) -> bool,
    ) -> Vec<Patch> {
        let steps = incoming.map_or_else(Vec::new, |incoming| incoming.steps);
        let ops = self.timeline.push(stamp, steps.len() as u32);
        debug_assert_eq!(self.timeline.changeset_of(OpIx(ops.start)).0 <= changeset.0, !steps.is_empty());
        let past = self.timeline.over(graph);
        let mut pieces = content.map(|(skeleton, content)| content.by_op(&skeleton.ops));
        let mut texts: BTreeMap<ObjectIx, (Vec<(OpIx, TextOp)>, String)> = BTreeMap::new();
        let mut keys: BTreeMap<ObjectIx, Vec<NameId>> = BTreeMap::new();
        for (op, (object, step)) in ops.map(OpIx).zip(steps) {
            let piece = pieces.as_mut().and_then(Iterator::next);
            let on = active(op);
            if !on {
                self.inactive.insert(op);
            }
            let place = match step {
                Step::Set(name) | Step::Delete(name) => {
                    let deletes = matches!(step, Step::Delete(_));
                    match piece.and_then(|(_, values)| values.first()) {
                        Some(value) => drop(self.values.insert(op, value.clone())),
                        None if !deletes => drop(self.absent.insert(op)),
                        None => {}
                    }
                    let Body::Map(map) = &mut self.objects[object.0 as usize].body else { continue };
                    keys.entry(object).or_default().push(name);
                    Place::Key { object, key: map.apply(&past, name, op, deletes, on) }
                }
                Step::Text(text_op) => {
                    if piece.is_none() && matches!(text_op, TextOp::Insert { .. }) {
                        self.absent.insert(op);
                    }
                    let of_text = texts.entry(object).or_default();
                    of_text.0.push((op, text_op));
                    of_text.1.push_str(piece.map_or("", |(text, _)| text));
                    Place::Text { object }
                }
                Step::Skip => Place::Nowhere,
            };
            self.places.push(place);
        }
        let mut patches: Vec<Patch> =
            keys.into_iter().map(|(object, keys)| Patch { object, body: PatchBody::Map(keys) }).collect();
        for (object, (ops, inserted)) in texts {
            let Body::Text(text) = &mut self.objects[object.0 as usize].body else { continue };
            text.apply(&past, changeset, &ops, content.is_some().then_some(inserted.as_str()), &active);
            patches.extend(text_patch(object, text));
        }
        patches
    }

    /// The content of an integrated changeset came later: its ops get their values.
    pub fn fill(&mut self, changeset: ChangesetIx, skeleton: &Skeleton, content: &Content) -> Vec<Patch> {
        let ops = self.timeline.ops_of(changeset).map(OpIx);
        let mut texts: BTreeMap<ObjectIx, String> = BTreeMap::new();
        let mut keys: BTreeMap<ObjectIx, Vec<NameId>> = BTreeMap::new();
        for (op, (text, values)) in ops.zip(content.by_op(&skeleton.ops)) {
            if !self.absent.remove(&op) {
                continue;
            }
            match self.places[op.0 as usize] {
                Place::Key { object, key } => {
                    let Body::Map(map) = &self.objects[object.0 as usize].body else { continue };
                    self.values.extend(values.first().map(|value| (op, value.clone())));
                    keys.entry(object).or_default().push(map.name(key));
                }
                Place::Text { object } => texts.entry(object).or_default().push_str(text),
                Place::Nowhere => {}
            }
        }
        let mut patches: Vec<Patch> =
            keys.into_iter().map(|(object, keys)| Patch { object, body: PatchBody::Map(keys) }).collect();
        for (object, inserted) in texts {
            let Body::Text(text) = &mut self.objects[object.0 as usize].body else { continue };
            text.fill(changeset, &inserted);
            patches.extend(text_patch(object, text));
        }
        patches
    }

    /// Switches ops off or on: the one door of exclusion, ban, cut and undo. Toggling an op to what it is does nothing.
    /// O(runs of the ops) for text; keys that were touched are settled once, in O(their writes).
    pub fn set_active(
        &mut self,
        graph: &CausalGraph,
        toggles: impl IntoIterator<Item = (OpIx, bool)>,
    ) -> Vec<Patch> {
        let past = self.timeline.over(graph);
        let mut texts: BTreeSet<ObjectIx> = BTreeSet::new();
        let mut keys: BTreeMap<ObjectIx, BTreeSet<KeyIx>> = BTreeMap::new();
        for (op, on) in toggles {
            let changed = if on { self.inactive.remove(&op) } else { self.inactive.insert(op) };
            if !changed {
                continue;
            }
            match (self.places[op.0 as usize], &mut self.objects[..]) {
                (Place::Key { object, key }, objects) => {
                    if let Body::Map(map) = &mut objects[object.0 as usize].body
                        && map.set_active(&past, key, op, on)
                    {
                        keys.entry(object).or_default().insert(key);
                    }
                }
                (Place::Text { object }, objects) => {
                    if let Body::Text(text) = &mut objects[object.0 as usize].body {
                        text.set_active(op, on);
                        texts.insert(object);
                    }
                }
                (Place::Nowhere, _) => {}
            }
        }
        let mut patches = Vec::new();
        for (object, keys) in keys {
            let Body::Map(map) = &mut self.objects[object.0 as usize].body else { continue };
            map.settle(&past);
            let names = keys.into_iter().map(|key| map.name(key)).collect();
            patches.push(Patch { object, body: PatchBody::Map(names) });
        }
        for object in texts {
            let Body::Text(text) = &mut self.objects[object.0 as usize].body else { continue };
            patches.extend(text_patch(object, text));
        }
        patches
    }

    /// All objects, in the order in which this replica met them.
    pub fn objects(&self) -> impl ExactSizeIterator<Item = (ObjectIx, &Object)> + '_ {
        self.objects.iter().enumerate().map(|(at, object)| (ObjectIx(at as u32), object))
    }

    /// One object.
    pub fn get(&self, object: ObjectIx) -> &Object {
        &self.objects[object.0 as usize]
    }

    /// The value an op wrote; none if it is absent.
    pub fn value(&self, op: OpIx) -> Option<&Value> {
        self.values.get(&op)
    }

    /// The numbering of ops.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// The ops that are switched off.
    pub fn inactive(&self) -> &BTreeSet<OpIx> {
        &self.inactive
    }

    /// The ops whose value is missing.
    pub fn absent(&self) -> &BTreeSet<OpIx> {
        &self.absent
    }

    /// The open batch became a changeset, or its first ops did: they get their places.
    pub(super) fn place(&mut self, ops: &[BatchOp]) {
        self.places.extend(ops.iter().map(|op| match op {
            BatchOp::Set { object, key, .. } | BatchOp::Delete { object, key, .. } => {
                Place::Key { object: *object, key: *key }
            }
            BatchOp::Text { object, .. } => Place::Text { object: *object },
        }));
    }

    /// Whether an op is about an object, and about a key of a map if one is given.
    pub fn touches(&self, op: OpIx, object: Option<ObjectIx>, key: Option<NameId>) -> bool {
        let (at, name) = match self.places[op.0 as usize] {
            Place::Key { object, key } => match &self.get(object).body {
                Body::Map(map) => (object, Some(map.name(key))),
                Body::Text(_) => (object, None),
            },
            Place::Text { object } => (object, None),
            Place::Nowhere => return false,
        };
        object.is_none_or(|object| object == at) && (key.is_none() || key == name)
    }

    /// An empty changeset was added to the graph.
    pub fn pass(&mut self, stamp: Hlc) {
        self.timeline.push(stamp, 0);
    }

    /// Recomputes the invariants the slow way.
    #[doc(hidden)]
    pub fn dbg_check(&self, graph: &CausalGraph) {
        let past = self.timeline.over(graph);
        assert_eq!(self.places.len() as u32, self.timeline.next_op());
        for object in &self.objects {
            match &object.body {
                Body::Map(map) => map.dbg_check(&past),
                Body::Text(text) => text.dbg_check(),
            }
        }
    }
}

/// Takes the changes of a text since the last time.
pub(super) fn text_patch(object: ObjectIx, text: &mut Text) -> Option<Patch> {
    let deltas = text.drain_deltas();
    let splices: Vec<[u32; 3]> =
        deltas.changes.iter().map(|change| [change.pos, change.removed, change.inserted]).collect();
    let inserted = deltas.text.into_string();
    (!splices.is_empty()).then_some(Patch { object, body: PatchBody::Text { splices, inserted } })
}
