//! The open batch: local edits that are applied but not sealed yet. Its ops carry the numbers that come next, so sealing
//! moves nothing; giving up a transaction takes them back one by one, the last first.

use super::draft::Draft;
use super::step::{Shape, Step};
use super::{Body, Fold, Invalid, ObjectIx, Timeline, Written};
use crate::causal::{CausalGraph, ChangesetIx, Hlc, NameId, OpIx};
use crate::crdt::{Emission, KeyIx, Mark, SignedOp, Slot, Text, UnitError};
use crate::event::{Expand, Value};
use foldhash::HashMap;
use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

/// Why a local edit was refused. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// A position or length is outside the text or list.
    #[error("position is outside the text or list")]
    Range,
    /// A mark of nothing.
    #[error("range is empty")]
    Empty,
    /// The text or list would get more than 2^31 units.
    #[error("text or list is too long")]
    TooLong,
}

impl From<UnitError> for EditError {
    fn from(error: UnitError) -> Self {
        match error {
            UnitError::Full => Self::TooLong,
            UnitError::OutOfRange { .. } => Self::Range,
            UnitError::EmptyRange => Self::Empty,
        }
    }
}

/// An edit of an object that is not made of units.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// Writes a slot of a map or an element of a set.
    Put(Slot, Written),
    /// Empties it.
    Take(Slot),
    /// Adds to a counter, less than 2^53.
    Add(i64),
    /// Cancels what was added to a counter.
    Reset,
    /// Adds to an item of a cart, less than 2^53.
    AddTo(NameId, i64),
    /// Removes an item of a cart.
    Remove(NameId),
    /// Says something to a ledger, with a memo or a reason if there is one.
    Sign(Box<SignedOp>, Option<Value>),
}

/// One op of the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BatchOp {
    /// A step of an object, at a place of it.
    Step {
        object: ObjectIx,
        at: u32,
        deed: Deed,
    },
    /// The next op of that object's own batch of units.
    Units(ObjectIx),
    Event(Box<Emission>),
    Revoke(Box<[Range<u32>]>),
}

/// What a step does, without what its place says: many of these wait at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Put,
    Take,
    Add(i64),
    Reset,
    Remove,
    Sign(Box<SignedOp>),
}

impl From<Step> for Deed {
    fn from(step: Step) -> Self {
        match step {
            Step::Put(..) => Self::Put,
            Step::Take(_) => Self::Take,
            Step::Add(amount) | Step::AddTo(_, amount) => Self::Add(amount),
            Step::Reset => Self::Reset,
            Step::Remove(_) => Self::Remove,
            Step::Sign(signed) => Self::Sign(signed),
        }
    }
}

#[derive(Clone, Debug)]
struct Touched {
    object: ObjectIx,
    start: Mark,
    /// How many ops of that object are listed in the batch.
    listed: usize,
}

/// Local edits that wait to be sealed: closed ones, which nothing is added to any more, then those of the open batch.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(super) ops: VecDeque<BatchOp>,
    /// How many of the ops are closed.
    closed: usize,
    /// Objects that are made of units.
    sequences: Vec<Touched>,
    /// Ops before this one may have been marked: nothing is joined with them.
    joins_from: usize,
}

/// A place in the open batch to roll back to.
#[derive(Clone, Debug)]
pub struct BatchMark {
    /// The number of the first op behind it; 0 is the start of the open batch.
    op: u32,
    sequences: Vec<(ObjectIx, Mark, usize)>,
}

impl BatchMark {
    /// The start of the open batch.
    pub fn start() -> Self {
        Self { op: 0, sequences: Vec::new() }
    }
}

impl Batch {
    /// What the revokes in it name.
    pub(super) fn revokes(&self) -> impl Iterator<Item = &[Range<u32>]> {
        self.ops
            .iter()
            .filter_map(|op| if let BatchOp::Revoke(targets) = op { Some(&**targets) } else { None })
    }
}

impl Fold {
    /// Whether local edits wait to be sealed.
    pub fn has_batch(&self) -> bool {
        self.batch.as_ref().is_some_and(|batch| !batch.ops.is_empty())
    }

    /// How many ops wait in the open batch, without those that are closed.
    pub fn open_ops(&self) -> usize {
        self.batch.as_ref().map_or(0, |batch| batch.ops.len() - batch.closed)
    }

    /// The number that the first op of the open batch has, or gets.
    pub fn open_start(&self) -> OpIx {
        OpIx(self.timeline.next_op() + self.batch.as_ref().map_or(0, |batch| batch.closed as u32))
    }

    /// Closes the open batch: what is edited from here on is another one. Says how many ops it has.
    pub fn close_batch(&mut self) -> usize {
        let ops = self.open_ops();
        if let Some(batch) = &mut self.batch {
            (batch.closed, batch.joins_from) = (batch.ops.len(), batch.ops.len());
        }
        ops
    }

    /// Whether the open batch can wait in line when it is closed: ops on units are counted by their object, from the first
    /// one that is not sealed.
    pub fn can_wait(&self) -> bool {
        let mut ops = self.batch.iter().flat_map(|batch| batch.ops.range(batch.closed..));
        ops.all(|op| matches!(op, BatchOp::Step { .. } | BatchOp::Event(_)))
    }

    /// The objects that local edits touched which wait to be sealed.
    pub fn batch_objects(&self) -> BTreeSet<ObjectIx> {
        let ops = self.batch.iter().flat_map(|batch| &batch.ops);
        ops.filter_map(|op| match op {
            BatchOp::Step { object, .. } | BatchOp::Units(object) => Some(*object),
            BatchOp::Event(_) | BatchOp::Revoke(_) => None,
        })
        .collect()
    }

    /// Edits an object that is not made of units. O(1). Adding on to the same sum is one op.
    ///
    /// # Panics
    /// If the edit is not one of the object's kind.
    pub fn edit(&mut self, graph: &CausalGraph, object: ObjectIx, edit: Edit) {
        if self.join(object, &edit) {
            return self.list(object);
        }
        let op = self.next_op();
        let step = match edit {
            Edit::Put(slot, written) => {
                let shape = Shape::of(&written);
                self.writings.push(op, Some(written));
                Step::Put(slot, shape)
            }
            Edit::Take(slot) => Step::Take(slot),
            Edit::Add(amount) => Step::Add(amount),
            Edit::Reset => Step::Reset,
            Edit::AddTo(item, quantity) => Step::AddTo(item, quantity),
            Edit::Remove(item) => Step::Remove(item),
            Edit::Sign(signed, memo) => {
                if let Some(memo) = memo {
                    self.writings.push(op, Some(Written::Value(memo)));
                }
                Step::Sign(signed)
            }
        };
        let past = self.timeline.over(graph);
        let at = self.objects[object.0 as usize].write(&past, &step, op, true);
        self.batch.get_or_insert_default().ops.push_back(BatchOp::Step { object, at, deed: step.into() });
        self.list(object);
    }

    /// Makes an object that events define, or says what happened to some.
    pub fn emit(&mut self, graph: &CausalGraph, said: Emission, data: Value) {
        let op = self.next_op();
        self.writings.push(op, Some(Written::Value(data)));
        self.events.add(&self.timeline.over(graph), op, &said, true, true);
        self.batch.get_or_insert_default().ops.push_back(BatchOp::Event(Box::new(said)));
    }

    /// Switches ops off that are sealed and the member's own: ranges of op numbers, each within one changeset.
    pub fn revoke(&mut self, graph: &CausalGraph, targets: Box<[Range<u32>]>) {
        self.count_revoke(graph, &targets, true);
        self.batch.get_or_insert_default().ops.push_back(BatchOp::Revoke(targets));
    }

    /// Inserts text at a visible position in UTF-16 units.
    pub fn text_insert(&mut self, object: ObjectIx, position: u32, string: &str) -> Result<(), EditError> {
        self.edit_text(object, |_, text| text.insert(position, string))
    }

    /// Deletes a visible range in UTF-16 units.
    pub fn text_delete(&mut self, object: ObjectIx, position: u32, len: u32) -> Result<(), EditError> {
        self.edit_text(object, |_, text| text.delete(position, len))
    }

    /// Inserts elements before an index of a list.
    pub fn list_insert(&mut self, object: ObjectIx, index: u32, values: Vec<Value>) -> Result<(), EditError> {
        self.edit_units(object, |body, _, _| match body {
            Body::List(list) => list.insert(index, values),
            _ => Ok(()),
        })
    }

    /// Deletes elements of a list.
    pub fn list_delete(&mut self, object: ObjectIx, index: u32, len: u32) -> Result<(), EditError> {
        self.edit_units(object, |body, _, _| match body {
            Body::List(list) => list.delete(index, len),
            _ => Ok(()),
        })
    }

    /// Moves an element of a list so that it is the one at `to`.
    pub fn list_move(
        &mut self,
        graph: &CausalGraph,
        object: ObjectIx,
        from: u32,
        to: u32,
    ) -> Result<(), EditError> {
        self.edit_units(object, |body, timeline, op| match body {
            Body::List(list) => list.relocate(&timeline.over(graph), op, from, to).map(|_| ()),
            _ => Ok(()),
        })
    }

    /// Inserts text that shows just these marks, whatever shows around it.
    pub fn text_insert_marked(
        &mut self,
        graph: &CausalGraph,
        object: ObjectIx,
        position: u32,
        string: &str,
        shown: &[(NameId, Value)],
    ) -> Result<(), EditError> {
        self.edit_text(object, |ops, text| text.insert_marked(&ops.over(graph), position, string, shown))
    }

    /// Marks a visible range in UTF-16 units; null clears. How it grows is as the last mark with the key, if it is not said.
    pub fn text_mark(
        &mut self,
        graph: &CausalGraph,
        object: ObjectIx,
        range: Range<u32>,
        (key, value): (NameId, Value),
        expand: Option<Expand>,
    ) -> Result<(), EditError> {
        self.edit_text(object, |ops, text| {
            let expand = expand.unwrap_or_else(|| text.habit(&key));
            text.mark_range(range, key, value, expand)?;
            text.settle(&ops.over(graph));
            Ok(())
        })
    }

    /// A place to come back to with [`Fold::rollback`].
    pub fn mark(&mut self) -> BatchMark {
        let Some(batch) = &mut self.batch else { return BatchMark::start() };
        batch.joins_from = batch.ops.len();
        let sequences = batch.sequences.iter().map(|touched| {
            let sequence = self.objects[touched.object.0 as usize].body.sequence();
            (touched.object, sequence.mark(), touched.listed)
        });
        BatchMark { op: self.timeline.next_op() + batch.ops.len() as u32, sequences: sequences.collect() }
    }

    /// Takes back every local edit since the mark.
    pub fn rollback(&mut self, graph: &CausalGraph, mark: &BatchMark) {
        let Some(mut batch) = self.batch.take() else { return };
        let first = self.timeline.next_op();
        let keeps = batch.closed.max(mark.op.saturating_sub(first) as usize);
        let mut objects: BTreeSet<ObjectIx> = BTreeSet::new();
        let numbers = first + keeps as u32..first + batch.ops.len() as u32;
        for (op, number) in batch.ops.drain(keeps..).zip(numbers).rev() {
            match op {
                BatchOp::Step { object, at, .. } => {
                    self.objects[object.0 as usize].retract(at, OpIx(number));
                    objects.insert(object);
                }
                BatchOp::Units(_) => {}
                BatchOp::Event(_) => self.events.retract(&self.timeline.over(graph), OpIx(number)),
                BatchOp::Revoke(targets) => self.count_revoke(graph, &targets, false),
            }
        }
        self.writings.truncate(OpIx(first + keeps as u32));
        let past = self.timeline.over(graph);
        for touched in &mut batch.sequences {
            let known = mark.sequences.iter().find(|(object, ..)| *object == touched.object);
            let (to, listed) = known.map_or((touched.start, 0), |(_, of_units, listed)| (*of_units, *listed));
            touched.listed = listed;
            self.objects[touched.object.0 as usize].body.sequence_mut().rollback(&past, to);
            objects.insert(touched.object);
        }
        for object in &objects {
            self.objects[object.0 as usize].settle(&past);
        }
        objects.into_iter().for_each(|object| self.list(object));
        batch.joins_from = batch.joins_from.min(batch.ops.len());
        if !batch.ops.is_empty() {
            self.batch = Some(batch);
        }
    }

    /// Checks the ops on units of a draft as those of others are checked. The other ops cannot be wrong.
    pub fn check_draft(&self, graph: &CausalGraph, draft: &Draft) -> Result<(), Invalid> {
        let ops = self.batch.iter().flat_map(|batch| batch.ops.range(..draft.ops));
        let mut sequences: HashMap<ObjectIx, usize> = HashMap::default();
        ops.for_each(|op| {
            if let BatchOp::Units(object) = op {
                *sequences.entry(*object).or_default() += 1;
            }
        });
        let past = self.timeline.over(graph);
        sequences.into_iter().try_for_each(|(object, ops)| {
            let sequence = self.get(object).body.sequence();
            let ops = &sequence.pending_ops()[..ops];
            sequence.check(&past, ChangesetIx::OPEN, ops).map_err(|_| Invalid::Anchor)
        })
    }

    /// The changeset of a draft was added to the graph: its ops leave the batch.
    pub fn sealed(&mut self, changeset: ChangesetIx, (stamp, undo_group): (Hlc, u64), draft: &Draft) {
        let Some(mut batch) = self.batch.take() else { return };
        let numbers = self.timeline.push(stamp, undo_group, draft.ops as u32);
        let mut sequences: HashMap<ObjectIx, Vec<OpIx>> = HashMap::default();
        for (op, number) in batch.ops.drain(..draft.ops).zip(numbers) {
            if let BatchOp::Units(object) = op {
                sequences.entry(object).or_default().push(OpIx(number));
            }
            self.place(op, OpIx(number));
        }
        batch.closed = batch.closed.saturating_sub(draft.ops);
        batch.joins_from = batch.joins_from.saturating_sub(draft.ops);
        if !sequences.is_empty() {
            for (object, ops) in sequences {
                self.objects[object.0 as usize].body.sequence_mut().seal(changeset, &ops);
            }
            batch.sequences.retain_mut(|touched| {
                let sequence = self.objects[touched.object.0 as usize].body.sequence();
                (touched.listed, touched.start) = (sequence.pending_len(), sequence.mark());
                touched.listed > 0
            });
        }
        if !batch.ops.is_empty() {
            self.batch = Some(batch);
        }
    }

    fn next_op(&self) -> OpIx {
        OpIx(self.timeline.next_op() + self.batch.as_ref().map_or(0, |batch| batch.ops.len() as u32))
    }

    /// Adds to the last op of the batch, if that is an add to the same sum and has room for it.
    fn join(&mut self, object: ObjectIx, edit: &Edit) -> bool {
        let Some(batch) = self.batch.as_mut().filter(|batch| batch.joins_from < batch.ops.len()) else {
            return false;
        };
        let Some(BatchOp::Step { object: of, at, deed: Deed::Add(sum) }) = batch.ops.back_mut() else {
            return false;
        };
        let more = match (&self.objects[of.0 as usize].body, edit) {
            (Body::Counter(_), Edit::Add(more)) => *more,
            (Body::Cart(cart), Edit::AddTo(item, more)) if cart.name(KeyIx(*at)) == *item => *more,
            _ => return false,
        };
        // What was taken is told apart from what was added, so the two are not joined.
        let joined =
            sum.checked_add(more).filter(|joined| joined.unsigned_abs() <= AMOUNT_MAX.unsigned_abs());
        let Some(joined) = joined.filter(|_| *of == object && (*sum < 0) == (more < 0)) else { return false };
        *sum = joined;
        let at = *at;
        self.objects[object.0 as usize].amend(at, more);
        true
    }

    fn edit_text(
        &mut self,
        object: ObjectIx,
        edit: impl FnOnce(&Timeline, &mut Text) -> Result<(), UnitError>,
    ) -> Result<(), EditError> {
        self.edit_units(object, |body, timeline, _| match body {
            Body::Text(text) => edit(timeline, text),
            _ => Ok(()),
        })
    }

    /// Edits an object that is made of units. `edit` gets the number of the next op.
    fn edit_units(
        &mut self,
        object: ObjectIx,
        edit: impl FnOnce(&mut Body, &Timeline, OpIx) -> Result<(), UnitError>,
    ) -> Result<(), EditError> {
        let op = self.next_op();
        let body = &mut self.objects[object.0 as usize].body;
        let batch = self.batch.get_or_insert_default();
        let at = match batch.sequences.iter().position(|touched| touched.object == object) {
            Some(at) => at,
            None => {
                batch.sequences.push(Touched { object, start: body.sequence().mark(), listed: 0 });
                batch.sequences.len() - 1
            }
        };
        edit(body, &self.timeline, op)?;
        let (touched, pending) = (&mut batch.sequences[at], body.sequence().pending_len());
        for _ in touched.listed..pending {
            batch.ops.push_back(BatchOp::Units(object));
        }
        touched.listed = pending;
        self.list(object);
        Ok(())
    }
}

/// The most that one op adds or takes: what the format holds.
pub const AMOUNT_MAX: i64 = (1 << 53) - 1;
