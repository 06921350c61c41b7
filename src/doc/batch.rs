//! The open batch: local edits that are applied but not sealed yet. Its ops carry the numbers that come next, so sealing
//! moves nothing; giving up a transaction takes them back one by one, the last first.

use super::fold::text_patch;
use super::{Body, EditError, Fold, Invalid, Names, Object, ObjectIx, Patch, PatchBody, RefTable};
use crate::causal::{CausalGraph, ChangesetIx, Hlc, NameId, ObjectId, OpIx};
use crate::crdt::{KeyIx, Mark, Text, TextError, TextOp, UnitRef};
use crate::event::{Content, NameAt, ObjectAt, ObjectKind, Op, Skeleton, Span, UnitAt, Value};
use std::collections::HashMap;

/// One op of the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BatchOp {
    Set {
        object: ObjectIx,
        key: KeyIx,
        name: NameId,
    },
    Delete {
        object: ObjectIx,
        key: KeyIx,
        name: NameId,
    },
    /// The next op of that text's own batch.
    Text {
        object: ObjectIx,
    },
}

#[derive(Clone, Debug)]
struct TouchedText {
    object: ObjectIx,
    start: Mark,
    /// How many ops of that text are listed in the batch.
    listed: usize,
}

/// Local edits that wait to be sealed.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    ops: Vec<BatchOp>,
    texts: Vec<TouchedText>,
}

/// A place in the batch to roll back to.
#[derive(Clone, Debug)]
pub struct BatchMark {
    ops: usize,
    texts: Vec<(ObjectIx, Mark, usize)>,
}

/// What a part of the batch says, before it is sealed.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Objects, names, refs and ops; stamp, undo group and command are the façade's.
    pub skeleton: Skeleton,
    /// Text and values; names and meta are the façade's.
    pub content: Content,
    ops: usize,
}

impl BatchMark {
    /// The start of the batch.
    pub fn start() -> Self {
        Self { ops: 0, texts: Vec::new() }
    }
}

impl Fold {
    /// Whether local edits wait to be sealed.
    pub fn has_batch(&self) -> bool {
        self.batch.as_ref().is_some_and(|batch| !batch.ops.is_empty())
    }

    /// Writes a key. O(1).
    pub fn map_set(
        &mut self,
        graph: &CausalGraph,
        object: ObjectIx,
        name: NameId,
        value: Value,
    ) -> Option<Patch> {
        let op = self.next_op();
        self.values.insert(op, value);
        self.map_write(graph, object, name, op, false)
    }

    /// Deletes a key. O(1).
    pub fn map_delete(&mut self, graph: &CausalGraph, object: ObjectIx, name: NameId) -> Option<Patch> {
        let op = self.next_op();
        self.map_write(graph, object, name, op, true)
    }

    /// Inserts text at a visible position in UTF-16 units.
    pub fn text_insert(
        &mut self,
        object: ObjectIx,
        position: u32,
        string: &str,
    ) -> Result<Option<Patch>, EditError> {
        self.text_edit(object, |text| text.insert(position, string))
    }

    /// Deletes a visible range in UTF-16 units.
    pub fn text_delete(
        &mut self,
        object: ObjectIx,
        position: u32,
        len: u32,
    ) -> Result<Option<Patch>, EditError> {
        self.text_edit(object, |text| text.delete(position, len))
    }

    /// A place to come back to with [`Fold::rollback`].
    pub fn mark(&self) -> BatchMark {
        let Some(batch) = &self.batch else { return BatchMark::start() };
        let texts = batch.texts.iter().map(|touched| {
            let Body::Text(text) = &self.get(touched.object).body else {
                unreachable!("only texts are listed")
            };
            (touched.object, text.mark(), touched.listed)
        });
        BatchMark { ops: batch.ops.len(), texts: texts.collect() }
    }

    /// Takes back every local edit since the mark.
    pub fn rollback(&mut self, graph: &CausalGraph, mark: &BatchMark) -> Vec<Patch> {
        let Some(mut batch) = self.batch.take() else { return Vec::new() };
        let past = self.timeline.over(graph);
        let first = self.timeline.next_op();
        let mut patches = Vec::new();
        for at in (mark.ops..batch.ops.len()).rev() {
            if let BatchOp::Set { object, key, name } | BatchOp::Delete { object, key, name } = &batch.ops[at]
            {
                let Body::Map(map) = &mut self.objects[object.0 as usize].body else { continue };
                map.retract(&past, *key);
                self.values.remove(&OpIx(first + at as u32));
                patches.push(Patch { object: *object, body: PatchBody::Map(vec![*name]) });
            }
        }
        batch.ops.truncate(mark.ops);
        for touched in &mut batch.texts {
            let known = mark.texts.iter().find(|(object, ..)| *object == touched.object);
            let (to, listed) =
                known.map_or((touched.start, 0), |(_, text_mark, listed)| (*text_mark, *listed));
            touched.listed = listed;
            let Body::Text(text) = &mut self.objects[touched.object.0 as usize].body else { continue };
            text.rollback(to);
            patches.extend(text_patch(touched.object, text));
        }
        if !batch.ops.is_empty() {
            self.batch = Some(batch);
        }
        patches
    }

    /// Checks the text ops of a draft as those of others are checked. The other ops cannot be wrong.
    pub fn check_draft(&self, graph: &CausalGraph, draft: &Draft) -> Result<(), Invalid> {
        let ops = self.batch.iter().flat_map(|batch| &batch.ops[..draft.ops]);
        let mut texts: HashMap<ObjectIx, usize> = HashMap::new();
        ops.for_each(|op| {
            if let BatchOp::Text { object } = op {
                *texts.entry(*object).or_default() += 1;
            }
        });
        let past = self.timeline.over(graph);
        texts.into_iter().try_for_each(|(object, ops)| match &self.get(object).body {
            Body::Text(text) => {
                text.check(&past, ChangesetIx::OPEN, &text.pending_ops()[..ops]).map_err(|_| Invalid::Anchor)
            }
            Body::Map(_) => Err(Invalid::Kind),
        })
    }

    /// Writes down the first ops of the batch, as many as fit into one changeset with these parents.
    /// None if the batch is empty. `bytes_max` bounds the size of what is written with its clear names, roughly from above.
    pub fn draft(
        &self,
        graph: &CausalGraph,
        clear: &Names,
        prev: Option<ChangesetIx>,
        deps: &[ChangesetIx],
        ops_max: usize,
        bytes_max: usize,
    ) -> Option<Draft> {
        let batch = self.batch.as_ref().filter(|batch| !batch.ops.is_empty())?;
        let mut writer = DraftWriter {
            clear,
            refs: RefTable::new(graph, prev, deps),
            objects: Table::default(),
            names: Table::default(),
            ops: Vec::new(),
            text: String::new(),
            values: Vec::new(),
            bytes: 0,
        };
        let first = self.timeline.next_op();
        let mut texts: HashMap<ObjectIx, Pending> = HashMap::new();
        for (nth, op) in batch.ops.iter().enumerate().take(ops_max) {
            let written = writer.ops.len();
            match op {
                BatchOp::Set { object, name, .. } => {
                    let value = self.values[&OpIx(first + nth as u32)].clone();
                    writer.set(self.get(*object), *name, value);
                }
                BatchOp::Delete { object, name, .. } => writer.delete(self.get(*object), *name),
                BatchOp::Text { object } => {
                    let Body::Text(text) = &self.get(*object).body else {
                        unreachable!("only texts are listed")
                    };
                    let pending = texts.entry(*object).or_insert_with(|| Pending {
                        ops: text.pending_ops().into_iter(),
                        text: text.pending_text(text.pending_len()),
                        at: 0,
                    });
                    writer.text(self.get(*object), pending);
                }
            }
            if writer.bytes > bytes_max && written > 0 {
                // The op that went over is left for the next changeset: written down again without it.
                return self.draft(graph, clear, prev, deps, nth, usize::MAX);
            }
        }
        let ops = writer.ops.len();
        let (skeleton, content) = writer.finish();
        Some(Draft { skeleton, content, ops })
    }

    /// The changeset of a draft was added to the graph: its ops leave the batch.
    pub fn sealed(&mut self, changeset: ChangesetIx, stamp: Hlc, draft: &Draft) {
        let Some(mut batch) = self.batch.take() else { return };
        let numbers = self.timeline.push(stamp, draft.ops as u32);
        let rest = batch.ops.split_off(draft.ops);
        let mut texts: HashMap<ObjectIx, Vec<OpIx>> = HashMap::new();
        for (op, number) in batch.ops.iter().zip(numbers) {
            if let BatchOp::Text { object } = op {
                texts.entry(*object).or_default().push(OpIx(number));
            }
        }
        self.place(&batch.ops);
        for (object, ops) in texts {
            let Body::Text(text) = &mut self.objects[object.0 as usize].body else { continue };
            text.seal(changeset, &ops);
        }
        if !rest.is_empty() {
            let mut next = Batch { ops: rest, texts: Vec::new() };
            for touched in batch.texts {
                let Body::Text(text) = &self.objects[touched.object.0 as usize].body else { continue };
                if !text.is_sealed() {
                    next.texts.push(TouchedText {
                        listed: text.pending_len(),
                        start: text.mark(),
                        ..touched
                    });
                }
            }
            self.batch = Some(next);
        }
    }

    fn next_op(&self) -> OpIx {
        OpIx(self.timeline.next_op() + self.batch.as_ref().map_or(0, |batch| batch.ops.len() as u32))
    }

    fn map_write(
        &mut self,
        graph: &CausalGraph,
        object: ObjectIx,
        name: NameId,
        op: OpIx,
        deletes: bool,
    ) -> Option<Patch> {
        let past = self.timeline.over(graph);
        let Body::Map(map) = &mut self.objects[object.0 as usize].body else { return None };
        let key = map.apply(&past, name, op, deletes, true);
        let batch = self.batch.get_or_insert_default();
        batch.ops.push(match deletes {
            false => BatchOp::Set { object, key, name },
            true => BatchOp::Delete { object, key, name },
        });
        Some(Patch { object, body: PatchBody::Map(vec![name]) })
    }

    fn text_edit(
        &mut self,
        object: ObjectIx,
        edit: impl FnOnce(&mut Text) -> Result<(), TextError>,
    ) -> Result<Option<Patch>, EditError> {
        let Body::Text(text) = &mut self.objects[object.0 as usize].body else { return Ok(None) };
        let batch = self.batch.get_or_insert_default();
        let at = match batch.texts.iter().position(|touched| touched.object == object) {
            Some(at) => at,
            None => {
                batch.texts.push(TouchedText { object, start: text.mark(), listed: 0 });
                batch.texts.len() - 1
            }
        };
        edit(text)?;
        let touched = &mut batch.texts[at];
        for _ in touched.listed..text.pending_len() {
            batch.ops.push(BatchOp::Text { object });
        }
        touched.listed = text.pending_len();
        Ok(text_patch(object, text))
    }
}

/// What of one text's own batch is not written down yet.
struct Pending {
    ops: std::vec::IntoIter<TextOp>,
    text: String,
    at: usize,
}

struct DraftWriter<'a> {
    clear: &'a Names,
    refs: RefTable<'a>,
    objects: Table<(ObjectId, ObjectKind)>,
    names: Table<NameId>,
    ops: Vec<Op>,
    text: String,
    values: Vec<Value>,
    bytes: usize,
}

impl DraftWriter<'_> {
    fn set(&mut self, object: &Object, name: NameId, value: Value) {
        let (object, key) = (self.object(object), self.key(name));
        self.bytes += 40 + value.to_bytes().len();
        self.values.push(value);
        self.ops.push(Op::MapSet { object, key });
    }

    fn delete(&mut self, object: &Object, name: NameId) {
        let (object, key) = (self.object(object), self.key(name));
        self.bytes += 40;
        self.ops.push(Op::MapDelete { object, key });
    }

    fn text(&mut self, object: &Object, pending: &mut Pending) {
        let object = self.object(object);
        match pending.ops.next().expect("the batch lists as many ops as the text has pending") {
            TextOp::Insert { left, right, len } => {
                let rest = &pending.text[pending.at..];
                let piece = &rest[..bytes_of_units(rest, len)];
                pending.at += piece.len();
                self.text.push_str(piece);
                self.bytes += 60 + piece.len();
                let (left, right) = (left.map(|unit| self.unit(unit)), right.map(|unit| self.unit(unit)));
                self.ops.push(Op::TextInsert { object, left, right, len });
            }
            TextOp::Delete { spans } => {
                self.bytes += 12 + 48 * spans.len();
                let spans = spans.iter().map(|span| Span {
                    first: self.unit(UnitRef { changeset: span.changeset, offset: span.offset }),
                    len: span.len,
                });
                let spans = spans.collect();
                self.ops.push(Op::TextDelete { object, spans });
            }
        }
    }

    fn object(&mut self, object: &Object) -> ObjectAt {
        let known = self.objects.rows.len();
        let at = ObjectAt(self.objects.number((object.id, object.kind())));
        if self.objects.rows.len() > known {
            self.bytes += self.clear.object_bytes(&object.id);
        }
        at
    }

    fn key(&mut self, name: NameId) -> NameAt {
        let known = self.names.rows.len();
        let at = NameAt(self.names.number(name));
        if self.names.rows.len() > known {
            self.bytes += self.clear.key_bytes(&name);
        }
        at
    }

    fn unit(&mut self, unit: UnitRef) -> UnitAt {
        UnitAt { changeset: self.refs.number(unit.changeset), offset: unit.offset }
    }
}

impl DraftWriter<'_> {
    fn finish(self) -> (Skeleton, Content) {
        let skeleton = Skeleton {
            refs: self.refs.into_refs(),
            objects: self.objects.rows,
            names: self.names.rows,
            ops: self.ops,
            ..Skeleton::default()
        };
        (skeleton, Content { text: self.text, values: self.values, ..Content::default() })
    }
}

/// A table of unique rows, numbered in the order of first use.
struct Table<T> {
    rows: Vec<T>,
    index: HashMap<T, u32>,
}

impl<T: Copy + Eq + std::hash::Hash> Table<T> {
    fn number(&mut self, row: T) -> u32 {
        *self.index.entry(row).or_insert_with(|| {
            self.rows.push(row);
            self.rows.len() as u32 - 1
        })
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), index: HashMap::new() }
    }
}

/// How many bytes the first `units` UTF-16 units take.
fn bytes_of_units(text: &str, units: u32) -> usize {
    if text.as_bytes().get(..units as usize).is_some_and(<[u8]>::is_ascii) {
        return units as usize;
    }
    let mut left = units as usize;
    text.char_indices()
        .find(|(_, character)| {
            let done = left == 0;
            left = left.saturating_sub(character.len_utf16());
            done
        })
        .map_or(text.len(), |(at, _)| at)
}
