//! What an op says, for whoever has nothing of the space: a value that explains itself. `docs/format.md` §12.
//!
//! Invariant: it follows from skeleton, content and the ids that refs name alone, so that everybody with the key comes to the
//! same bytes as the author.

use crate::causal::{ChangesetId, NameId, ObjectId};
use crate::codec::limits::SAFE_INTEGER_MAX;
use crate::crypto::NameKey;
use crate::event::{
    Account, Anchor, ChangesetAt, Content, NO_OPTIONS, NameAt, NameEntry, NamedId, Number, ObjectKind, Op,
    OpSpan, Skeleton, Sort, Span, UnitAt, Value,
};
use foldhash::HashMap;
use std::collections::BTreeMap;

/// The ops of a changeset with all that is needed to say what they say.
pub struct Statements<'a> {
    skeleton: &'a Skeleton,
    content: &'a Content,
    /// What the refs of the skeleton name.
    refs: Vec<ChangesetId>,
    /// Names that are what they claim.
    names: HashMap<NamedId, &'a NameEntry>,
}

type Fields = BTreeMap<String, Value>;

impl<'a> Statements<'a> {
    /// Of a changeset whose refs name these.
    #[must_use]
    pub fn new(skeleton: &'a Skeleton, content: &'a Content, refs: Vec<ChangesetId>, keys: &NameKey) -> Self {
        let names = content.confirmed_names(skeleton, keys).into_iter().collect();
        Self { skeleton, content, refs, names }
    }

    /// What each op says, in op order.
    pub fn iter(&self) -> impl Iterator<Item = Value> {
        let taken = self.content.by_op(&self.skeleton.ops);
        self.skeleton.ops.iter().zip(taken).zip(0_i64..).map(|((op, (text, values)), index)| {
            let mut fields = Fields::new();
            put(&mut fields, "index", integer(index));
            put(&mut fields, "time", integer(self.skeleton.hlc.ms as i64));
            self.state(op, text, values, &mut fields);
            Value::Object(fields)
        })
    }

    fn state(&self, op: &Op, text: &str, values: &[Value], fields: &mut Fields) {
        if let Some((object, _)) = op.object() {
            let (id, kind) = self.skeleton.objects[object.0 as usize];
            put(fields, "object", self.object(id, Some(kind)));
        }
        let name = match op {
            Op::MapSet { key, .. } => {
                self.put_name(fields, "key", *key);
                "map set"
            }
            Op::MapDelete { key, .. } => {
                self.put_name(fields, "key", *key);
                "map delete"
            }
            Op::MapChild { key, kind, options, .. } => {
                self.put_name(fields, "key", *key);
                put(fields, "kind", name_of(*kind).into());
                put_options(fields, options);
                "map child"
            }
            Op::MapCouple { group, count, present, .. } => {
                put(fields, "group", integer((*group).into()));
                put(fields, "count", integer((*count).into()));
                let keys = (0..64).filter(|key| present & 1 << key != 0).map(integer);
                put(fields, "present", Value::Array(keys.collect()));
                put(fields, "values", Value::Array(values.to_vec()));
                "map couple"
            }
            Op::CounterAdd { amount, .. } => {
                put(fields, "amount", integer(*amount));
                "counter add"
            }
            Op::CounterReset { .. } => "counter reset",
            Op::SetAdd { element, .. } => {
                self.put_name(fields, "element", *element);
                "set add"
            }
            Op::SetRemove { element, .. } => {
                self.put_name(fields, "element", *element);
                "set remove"
            }
            Op::CartAdd { item, quantity, .. } => {
                self.put_name(fields, "item", *item);
                put(fields, "quantity", integer(*quantity));
                "cart add"
            }
            Op::CartRemove { item, .. } => {
                self.put_name(fields, "item", *item);
                "cart remove"
            }
            Op::ListInsert { left, right, .. } => {
                self.put_gap(fields, *left, *right);
                put(fields, "values", Value::Array(values.to_vec()));
                "list insert"
            }
            Op::ListMove { element, left, right, .. } => {
                self.put_gap(fields, *left, *right);
                put(fields, "unit", self.unit(Some(*element)));
                "list move"
            }
            Op::TextInsert { left, right, .. } => {
                self.put_gap(fields, *left, *right);
                put(fields, "text", text.into());
                "text insert"
            }
            Op::ListDelete { spans, .. } => {
                self.put_spans(fields, spans);
                "list delete"
            }
            Op::TextDelete { spans, .. } => {
                self.put_spans(fields, spans);
                "text delete"
            }
            Op::TextMark { start, end, key, expand, .. } => {
                self.put_name(fields, "key", *key);
                put(fields, "start", self.anchor(*start));
                put(fields, "end", self.anchor(*end));
                let code = u8::from(expand.before) | u8::from(expand.after) << 1;
                put(fields, "expand", integer(code.into()));
                "text mark"
            }
            Op::LedgerOpen { account, .. } => {
                self.put_name(fields, "account", *account);
                "ledger open"
            }
            Op::LedgerTransfer { from, to, amount, .. } => {
                put(fields, "from", self.account(*from));
                put(fields, "to", self.account(*to));
                put(fields, "amount", Value::BigInt(amount.clone()));
                "ledger transfer"
            }
            Op::LedgerDispute { changeset, op, .. } => {
                self.put_entry(fields, *changeset, *op);
                "ledger dispute"
            }
            Op::LedgerReverse { changeset, op, .. } => {
                self.put_entry(fields, *changeset, *op);
                "ledger reverse"
            }
            Op::LedgerAssign { asset, to, .. } => {
                self.put_name(fields, "asset", *asset);
                put(fields, "to", self.account(*to));
                "ledger assign"
            }
            Op::EventCreate { type_name, id } => {
                self.put_name(fields, "type", *type_name);
                self.put_name(fields, "id", *id);
                "event create"
            }
            Op::EventEmit { type_name, concerns } => {
                self.put_name(fields, "type", *type_name);
                let name = |name: &NameAt| self.name(*name).unwrap_or_else(|id| bytes(&id.0));
                put(fields, "concerns", Value::Array(concerns.iter().map(name).collect()));
                "event emit"
            }
            Op::Revoke { targets } => {
                let target = |span: &OpSpan| {
                    let mut fields = self.at(span.changeset);
                    put(&mut fields, "index", integer(span.first.into()));
                    put(&mut fields, "count", integer(span.count.into()));
                    Value::Object(fields)
                };
                put(fields, "targets", Value::Array(targets.iter().map(target).collect()));
                "revoke"
            }
            _ => {
                put(fields, "code", integer(op.kind().into()));
                "other"
            }
        };
        if let ([value], false) = (values, fields.contains_key("values") || name == "other") {
            put(fields, "value", value.clone());
        }
        put(fields, "op", name.into());
    }

    /// An object as its name says; whoever names a child names what it is in, whose id is a hash of it: this ends.
    fn object(&self, id: ObjectId, kind: Option<ObjectKind>) -> Value {
        let mut fields = Fields::new();
        match self.names.get(&NamedId::Object(id)) {
            Some(NameEntry::Object { name, options, .. }) => {
                put(&mut fields, "name", name.as_str().into());
                put_options(&mut fields, options);
            }
            Some(NameEntry::Child { parent, key, options, .. }) => {
                put(&mut fields, "parent", self.object(*parent, None));
                put_named(&mut fields, "key", self.clear(*key));
                put_options(&mut fields, options);
            }
            _ => put(&mut fields, "id", bytes(&id.0)),
        }
        let listed = || self.skeleton.objects.iter().find(|(listed, _)| *listed == id);
        if let Some(kind) = kind.or_else(|| listed().map(|(_, kind)| *kind)) {
            put(&mut fields, "kind", name_of(kind).into());
        }
        Value::Object(fields)
    }

    fn put_gap(&self, fields: &mut Fields, left: Option<UnitAt>, right: Option<UnitAt>) {
        put(fields, "left", self.unit(left));
        put(fields, "right", self.unit(right));
    }

    fn put_spans(&self, fields: &mut Fields, spans: &[Span]) {
        let span = |span: &Span| {
            let mut fields = self.unit_fields(span.first);
            put(&mut fields, "count", integer(span.len.into()));
            Value::Object(fields)
        };
        put(fields, "spans", Value::Array(spans.iter().map(span).collect()));
    }

    fn put_entry(&self, fields: &mut Fields, changeset: ChangesetAt, op: u32) {
        let mut entry = self.at(changeset);
        put(&mut entry, "index", integer(op.into()));
        put(fields, "entry", Value::Object(entry));
    }

    fn put_name(&self, fields: &mut Fields, field: &str, name: NameAt) {
        put_named(fields, field, self.name(name));
    }

    fn name(&self, name: NameAt) -> Result<Value, NameId> {
        self.clear(self.skeleton.names[name.0 as usize])
    }

    fn clear(&self, id: NameId) -> Result<Value, NameId> {
        let Some(NameEntry::Name { sort, clear }) = self.names.get(&NamedId::Name(id)) else {
            return Err(id);
        };
        let is_value = Sort::from_code(*sort).is_some_and(Sort::is_value);
        let value = if is_value {
            Value::decode(clear).ok()
        } else {
            std::str::from_utf8(clear).ok().map(Value::from)
        };
        value.ok_or(id)
    }

    fn account(&self, account: Account) -> Value {
        let (field, value) = match account {
            Account::Member(member) => ("member", bytes(&member.0)),
            Account::Named(name) => match self.name(name) {
                Ok(name) => ("name", name),
                Err(id) => ("id", bytes(&id.0)),
            },
        };
        one(field, value)
    }

    fn anchor(&self, anchor: Anchor) -> Value {
        match anchor {
            Anchor::Start => "start".into(),
            Anchor::End => "end".into(),
            Anchor::Before(unit) => one("before", self.unit(Some(unit))),
            Anchor::After(unit) => one("after", self.unit(Some(unit))),
        }
    }

    fn unit(&self, unit: Option<UnitAt>) -> Value {
        unit.map_or(Value::Null, |unit| Value::Object(self.unit_fields(unit)))
    }

    fn unit_fields(&self, unit: UnitAt) -> Fields {
        let mut fields = self.at(unit.changeset);
        put(&mut fields, "offset", integer(unit.offset.into()));
        fields
    }

    /// Which changeset, unless it is this one.
    fn at(&self, at: ChangesetAt) -> Fields {
        let mut fields = Fields::new();
        if let Some(earlier) = at.0.checked_sub(1) {
            put(&mut fields, "changeset", bytes(&self.refs[earlier as usize].0));
        }
        fields
    }
}

fn put(fields: &mut Fields, field: &str, value: Value) {
    fields.insert(field.to_owned(), value);
}

fn put_named(fields: &mut Fields, field: &str, name: Result<Value, NameId>) {
    match name {
        Ok(name) => put(fields, field, name),
        Err(id) => put(fields, &format!("{field}Id"), bytes(&id.0)),
    }
}

fn put_options(fields: &mut Fields, options: &[u8]) {
    if options != NO_OPTIONS {
        put(fields, "options", bytes(options));
    }
}

fn one(field: &str, value: Value) -> Value {
    Value::Object(Fields::from([(field.to_owned(), value)]))
}

fn bytes(bytes: &[u8]) -> Value {
    Value::Bytes(bytes.to_vec())
}

fn integer(value: i64) -> Value {
    let safe = value.unsigned_abs() <= SAFE_INTEGER_MAX.unsigned_abs();
    let number = Number::new(value as f64).filter(|_| safe);
    number.map_or_else(|| Value::BigInt(i128::from(value).into()), Value::Number)
}

fn name_of(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Map => "map",
        ObjectKind::Text => "text",
        ObjectKind::Counter => "counter",
        ObjectKind::Set => "set",
        ObjectKind::List => "list",
        ObjectKind::Cart => "cart",
        ObjectKind::Ledger => "ledger",
    }
}
