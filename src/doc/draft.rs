//! Writing the open batch down: tables, ops and content of one changeset.

use super::batch::{BatchOp, Deed};
use super::check::expand_of;
use super::step::Shape;
use super::{Body, Fold, Names, Object, ObjectIx, RefTable, Written};
use crate::causal::{CausalGraph, ChangesetIx, NameId, ObjectId, OpIx};
use crate::crdt::{AccountId, Anchor, Bias, Emission, KeyIx, LedgerOp, Map, Slot, UnitOp, UnitRef};
use crate::event::{
    self, Account, ChangesetAt, Content, NameAt, ObjectAt, ObjectKind, Op, OpSpan, Skeleton, Span, UnitAt,
    Value,
};
use foldhash::HashMap;
use std::ops::Range;

/// What a part of the batch says, before it is sealed.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Objects, names, refs and ops; stamp, undo group and command are the façade's.
    pub skeleton: Skeleton,
    /// Text and values; names and meta are the façade's.
    pub content: Content,
    pub(super) ops: usize,
}

impl Draft {
    /// How many ops it writes down.
    pub fn ops(&self) -> usize {
        self.ops
    }
}

impl Fold {
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
            fold: self,
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
        let mut sequences: HashMap<ObjectIx, Pending<'_>> = HashMap::default();
        for (nth, op) in batch.ops.iter().enumerate().take(ops_max) {
            let written = writer.ops.len();
            match op {
                BatchOp::Step { object, at, deed } => {
                    writer.step(self.get(*object), *at, deed, OpIx(first + nth as u32));
                }
                BatchOp::Units(object) => {
                    let object = (*object, self.get(*object));
                    let pending = sequences.entry(object.0).or_insert_with(|| Pending::of(&object.1.body));
                    writer.units(object.1, pending);
                }
                BatchOp::Event(said) => writer.event(said, OpIx(first + nth as u32)),
                BatchOp::Revoke(targets) => writer.revoke(targets),
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
}

/// What of the own batch of a text or a list is not written down yet.
struct Pending<'a> {
    ops: std::vec::IntoIter<UnitOp>,
    text: String,
    at: usize,
    values: Box<dyn Iterator<Item = Value> + 'a>,
}

impl<'a> Pending<'a> {
    fn of(body: &'a Body) -> Self {
        let mut pending = Self {
            ops: body.sequence().pending_ops().into_iter(),
            text: String::new(),
            at: 0,
            values: Box::new(std::iter::empty()),
        };
        match body {
            Body::Text(text) => {
                pending.text = text.pending_text(text.pending_len());
                pending.values = Box::new(text.pending_values(text.pending_len()).into_iter());
            }
            Body::List(list) => pending.values = Box::new(list.pending_values(list.pending_len()).cloned()),
            _ => {}
        }
        pending
    }
}

struct DraftWriter<'a> {
    fold: &'a Fold,
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
    fn step(&mut self, of: &Object, at: u32, deed: &Deed, op: OpIx) {
        let object = self.object(of);
        self.bytes += 40;
        let op = match (&of.body, deed) {
            (Body::Map(map), Deed::Put) => match (map.slot(KeyIx(at)), self.written(op)) {
                (Slot::Group(group), Shape::Tuple { count, present }) => {
                    Op::MapCouple { object, group, count, present }
                }
                (Slot::Group(_), _) => unreachable!("a group is written as a whole"),
                (Slot::Key(name), Shape::Child(kind, options)) => {
                    self.bytes += options.len();
                    Op::MapChild { object, key: self.name(name), kind, options: options.into() }
                }
                (Slot::Key(name), _) => Op::MapSet { object, key: self.name(name) },
            },
            (Body::Set(set), Deed::Put) => {
                let has_value = self.written(op) == Shape::Value;
                Op::SetAdd { object, element: self.element(set, at), has_value }
            }
            (Body::Map(map), Deed::Take) => Op::MapDelete { object, key: self.element(map, at) },
            (Body::Set(set), Deed::Take) => Op::SetRemove { object, element: self.element(set, at) },
            (Body::Counter(_), Deed::Add(amount)) => Op::CounterAdd { object, amount: *amount },
            (Body::Counter(_), Deed::Reset) => Op::CounterReset { object },
            (Body::Cart(cart), Deed::Add(quantity)) => {
                Op::CartAdd { object, item: self.name(cart.name(KeyIx(at))), quantity: *quantity }
            }
            (Body::Cart(cart), Deed::Remove) => {
                Op::CartRemove { object, item: self.name(cart.name(KeyIx(at))) }
            }
            (Body::Ledger(_), Deed::Sign(signed)) => self.sign(object, &signed.op, op),
            _ => unreachable!("steps are compared with the kind of their object"),
        };
        self.ops.push(op);
    }

    /// Puts what an op wrote into the content; says what it is.
    fn written(&mut self, op: OpIx) -> Shape {
        let written = self.fold.written(op).expect("what was written here is here");
        self.content(written);
        Shape::of(written)
    }

    fn element(&mut self, of: &Map, at: u32) -> NameAt {
        match of.slot(KeyIx(at)) {
            Slot::Key(name) => self.name(name),
            Slot::Group(_) => unreachable!("a group is written as a whole"),
        }
    }

    fn sign(&mut self, object: ObjectAt, said: &LedgerOp, op: OpIx) -> Op {
        self.bytes += 100;
        if said.takes_content() {
            let memo = self.fold.written(op).and_then(Written::value).cloned();
            self.value(memo.unwrap_or(Value::Null));
        }
        match said {
            LedgerOp::Open(name) => Op::LedgerOpen { object, account: self.name(*name) },
            LedgerOp::Transfer { from, to, amount } => {
                let (from, to) = (self.account(from), self.account(to));
                Op::LedgerTransfer { object, from, to, amount: amount.clone() }
            }
            LedgerOp::Reverse(of) => {
                let (changeset, op) = self.earlier(*of);
                Op::LedgerReverse { object, changeset, op }
            }
            LedgerOp::Dispute(of) => {
                let (changeset, op) = self.earlier(*of);
                Op::LedgerDispute { object, changeset, op }
            }
            LedgerOp::Assign(asset, to) => {
                Op::LedgerAssign { object, asset: self.name(*asset), to: self.account(to) }
            }
        }
    }

    fn account(&mut self, account: &AccountId) -> Account {
        match account {
            AccountId::Member(member) => Account::Member(*member),
            AccountId::Named(name) => Account::Named(self.name(*name)),
        }
    }

    /// How an earlier op is named: what is not sealed yet stands in the same changeset.
    fn earlier(&mut self, op: OpIx) -> (ChangesetAt, u32) {
        let timeline = self.fold.timeline();
        let changeset = timeline.changeset_of(op);
        let first = match changeset {
            ChangesetIx::OPEN => timeline.next_op(),
            sealed => timeline.ops_of(sealed).start,
        };
        (self.refs.number(changeset), op.0 - first)
    }

    fn event(&mut self, said: &Emission, op: OpIx) {
        self.bytes += 40 + 4 * said.concerns.len();
        self.content(self.fold.written(op).expect("what was written here is here"));
        let type_name = self.name(said.of_type);
        let mut concerns: Vec<NameAt> = said.concerns.iter().map(|id| self.name(*id)).collect();
        self.ops.push(match concerns.pop_if(|_| said.creates) {
            Some(id) => Op::EventCreate { type_name, id },
            None => Op::EventEmit { type_name, concerns },
        });
    }

    fn content(&mut self, written: &Written) {
        match written {
            Written::Value(value) => self.value(value.clone()),
            Written::Tuple(values) => values.iter().flatten().for_each(|value| self.value(value.clone())),
            Written::Child(..) | Written::Bare => {}
        }
    }

    fn value(&mut self, value: Value) {
        self.bytes += value.to_bytes().len();
        self.values.push(value);
    }

    fn units(&mut self, of: &Object, pending: &mut Pending<'_>) {
        let object = self.object(of);
        let is_list = of.kind() == ObjectKind::List;
        match pending.ops.next().expect("the batch lists as many ops as the object has pending") {
            UnitOp::Insert { left, right, len: count } if is_list => {
                self.bytes += 60;
                pending.values.by_ref().take(count as usize).for_each(|value| self.value(value));
                let (left, right) = (left.map(|unit| self.unit(unit)), right.map(|unit| self.unit(unit)));
                self.ops.push(Op::ListInsert { object, left, right, count });
            }
            UnitOp::Insert { left, right, len } => {
                let rest = &pending.text[pending.at..];
                let piece = &rest[..bytes_of_units(rest, len)];
                pending.at += piece.len();
                self.text.push_str(piece);
                self.bytes += 60 + piece.len();
                let (left, right) = (left.map(|unit| self.unit(unit)), right.map(|unit| self.unit(unit)));
                self.ops.push(Op::TextInsert { object, left, right, len });
            }
            UnitOp::Move { element, left, right } => {
                self.bytes += 90;
                let (left, right) = (left.map(|unit| self.unit(unit)), right.map(|unit| self.unit(unit)));
                let element = self.unit(element);
                self.ops.push(Op::ListMove { object, element, left, right });
            }
            UnitOp::Delete { spans } => {
                self.bytes += 12 + 48 * spans.len();
                let spans = spans.iter().map(|span| Span {
                    first: self.unit(UnitRef { changeset: span.changeset, offset: span.offset }),
                    len: span.len,
                });
                let spans = spans.collect();
                self.ops.push(match is_list {
                    true => Op::ListDelete { object, spans },
                    false => Op::TextDelete { object, spans },
                });
            }
            UnitOp::Mark { start, end, key } => {
                let value = pending.values.next().expect("each mark of the batch has a value");
                self.bytes += 100;
                self.value(value);
                let (start, end, key) = (self.anchor(start), self.anchor(end), self.name(key));
                let expand = expand_of(&start, &end);
                self.ops.push(Op::TextMark { object, start, end, key, expand });
            }
        }
    }

    fn revoke(&mut self, targets: &[Range<u32>]) {
        self.bytes += 12 + 48 * targets.len();
        let timeline = self.fold.timeline();
        let spans = targets.iter().map(|target| {
            let changeset = timeline.changeset_of(OpIx(target.start));
            let first = target.start - timeline.ops_of(changeset).start;
            OpSpan { changeset: self.refs.number(changeset), first, count: target.end - target.start }
        });
        let targets = spans.collect();
        self.ops.push(Op::Revoke { targets });
    }

    fn object(&mut self, object: &Object) -> ObjectAt {
        let known = self.objects.rows.len();
        let at = ObjectAt(self.objects.number((object.id, object.kind())));
        if self.objects.rows.len() > known {
            self.bytes += self.clear.object_bytes(&object.id);
            self.places_above(object.id);
        }
        at
    }

    /// What an object is under stands in the tables too, so that the content can say where that is.
    fn places_above(&mut self, object: ObjectId) {
        let mut at = object;
        while let Some((parent, key)) = self.clear.place(&at) {
            let known = self.objects.rows.len();
            self.name(key);
            self.objects.number((parent, ObjectKind::Map));
            if self.objects.rows.len() == known {
                break;
            }
            self.bytes += 33 + self.clear.object_bytes(&parent);
            at = parent;
        }
    }

    fn name(&mut self, name: NameId) -> NameAt {
        let known = self.names.rows.len();
        let at = NameAt(self.names.number(name));
        if self.names.rows.len() > known {
            self.bytes += self.clear.name_bytes(&name);
        }
        at
    }

    fn anchor(&mut self, anchor: Anchor) -> event::Anchor {
        match anchor {
            Anchor::Start => event::Anchor::Start,
            Anchor::End => event::Anchor::End,
            Anchor::Unit { unit, bias: Bias::Before } => event::Anchor::Before(self.unit(unit)),
            Anchor::Unit { unit, bias: Bias::After } => event::Anchor::After(self.unit(unit)),
        }
    }

    fn unit(&mut self, unit: UnitRef) -> UnitAt {
        UnitAt { changeset: self.refs.number(unit.changeset), offset: unit.offset }
    }

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
        Self { rows: Vec::new(), index: HashMap::default() }
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
