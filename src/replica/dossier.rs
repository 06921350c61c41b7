//! All that is by a person or about it, for that person: what each op says, and what was signed (`docs/format.md` §18).
//!
//! Invariant: what is sealed under the key of somebody else stays sealed, and of what others wrote only the ops are in it that hold
//! something about the person.

use super::{Replica, sealed_in};
use crate::audit::{DataSubject, Statements};
use crate::causal::{ActorId, ChangesetId, ChangesetIx, MemberId};
use crate::crypto::Kid;
use crate::doc::resolve;
use crate::event::{AuditKind, Class, Content, Fate, Op, Skeleton, Value};

/// A changeset that is by a person or about it.
#[derive(Clone, Debug, PartialEq)]
pub struct DossierEntry {
    /// Its id.
    pub changeset: ChangesetId,
    /// Who signed it.
    pub member: MemberId,
    /// With which key.
    pub actor: ActorId,
    /// Its place in that actor's chain.
    pub seq: u32,
    /// The claimed time in ms since 1970.
    pub time_ms: u64,
    /// What it is.
    pub class: Class,
    /// What came of it.
    pub fate: Fate,
    /// Whether its content was erased.
    pub is_redacted: bool,
    /// What its ops say, those of the person, or about it; with what is sealed for the person in clear.
    pub ops: Vec<Value>,
    /// What its author wrote beside them, an object: message, headers, command; of others only what headers hold about the person.
    pub beside: Option<Value>,
    /// What was signed, with what is sealed: a row of `docs/format.md` §4.
    pub row: Vec<u8>,
}

/// Where to go on; none at the end.
pub type DossierNext = Option<u32>;

impl Replica {
    /// What is by somebody or about them, among so many changesets from a number on, and where to go on. Needs all bytes:
    /// [`Replica::is_whole`]. O(bytes of these changesets).
    pub fn dossier(&self, subject: DataSubject, from: u32, count: u32) -> (Vec<DossierEntry>, DossierNext) {
        let kids: Vec<Kid> = self.subjects.kids(subject).collect();
        let end = self.log.graph().len().min(from.saturating_add(count));
        let entries = (from..end).filter_map(|ix| self.entry_about(ChangesetIx(ix), subject, &kids));
        (entries.collect(), (end < self.log.graph().len()).then_some(end))
    }

    fn entry_about(&self, ix: ChangesetIx, subject: DataSubject, kids: &[Kid]) -> Option<DossierEntry> {
        let (graph, keys, entry) = (self.log.graph(), self.identity.keyring(), self.log.entry(ix));
        let member = self.log.author(ix).member;
        let is_by = subject == DataSubject::Member(member);
        let is_about = self.subjects.of(ix) == Some(subject);
        if !is_by && !is_about && (kids.is_empty() || entry.class != Class::Data) {
            return None;
        }
        let changeset = entry.changeset()?;
        let skeleton = changeset.open_skeleton(keys).ok();
        let content = skeleton.as_ref().and_then(|skeleton| changeset.open_content(keys, skeleton).ok()?);
        let mut ops = Vec::new();
        if let (Some(skeleton), Some(content)) = (&skeleton, &content) {
            let refs = resolve(graph, graph.prev(ix), graph.deps(ix), &skeleton.refs).unwrap_or_default();
            let refs = refs.into_iter().map(|at| graph.id(at)).collect();
            let said = Statements::new(skeleton, content, refs, keys.names());
            for (index, statement) in said.iter().enumerate() {
                if is_by || is_about || names_any(&statement, kids) {
                    let is_of_another = self.subjects.of(ix).is_some_and(|of| of != subject);
                    let said = match is_of_another {
                        true => statement, // whom it is about is for that person
                        false => with_words(statement, skeleton, content, index),
                    };
                    ops.push(self.unsealed_for(&said, subject));
                }
            }
        }
        let beside = content.as_ref().and_then(|content| self.beside(content, is_by, subject, kids));
        if !is_by && !is_about && ops.is_empty() && beside.is_none() {
            return None;
        }
        Some(DossierEntry {
            changeset: graph.id(ix),
            member,
            actor: graph.actor(ix),
            seq: graph.seq(ix),
            time_ms: skeleton.map_or(0, |skeleton| skeleton.hlc.ms),
            class: entry.class,
            fate: entry.fate,
            is_redacted: self.redactions.contains(ix),
            ops,
            beside,
            row: changeset.signed().encode(),
        })
    }

    fn beside(&self, content: &Content, is_by: bool, subject: DataSubject, kids: &[Kid]) -> Option<Value> {
        let meta = &content.meta;
        let text = |text: &Option<String>| text.clone().filter(|_| is_by).map(Value::String);
        let headers = meta.headers.as_ref().filter(|headers| is_by || names_any(headers, kids));
        let fields = [
            ("message", text(&meta.message)),
            ("command", text(&meta.command)),
            ("headers", headers.map(|headers| self.unsealed_for(headers, subject))),
        ];
        let fields: Vec<(String, Value)> =
            fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        (!fields.is_empty()).then(|| Value::Object(fields.into_iter().collect()))
    }

    /// A value with what is sealed in it for somebody in clear.
    fn unsealed_for(&self, value: &Value, subject: DataSubject) -> Value {
        let opened = sealed_in(value).and_then(|sealed| self.unsealed(sealed));
        match (opened, value) {
            (Some((of, clear)), _) if of == subject => clear,
            (_, Value::Array(items)) => {
                Value::Array(items.iter().map(|item| self.unsealed_for(item, subject)).collect())
            }
            (_, Value::Object(fields)) => {
                let each = |(key, value): (&String, &Value)| (key.clone(), self.unsealed_for(value, subject));
                Value::Object(fields.iter().map(each).collect())
            }
            _ => value.clone(),
        }
    }
}

/// A statement with what stands beside an op that is no data; never a key.
fn with_words(statement: Value, skeleton: &Skeleton, content: &Content, index: usize) -> Value {
    let Value::Object(mut fields) = statement else { return statement };
    let is_key = matches!(&skeleton.ops[index], Op::Audit { kind: AuditKind::Subject, .. });
    let beside = content.by_op(&skeleton.ops).nth(index);
    if let (Some((_, [value])), false) = (beside, fields.contains_key("value") || is_key) {
        fields.insert("value".to_owned(), value.clone());
    }
    Value::Object(fields)
}

/// Whether something in a value is sealed under one of these keys.
fn names_any(value: &Value, kids: &[Kid]) -> bool {
    let is_sealed = sealed_in(value).and_then(crate::crypto::kid_of).is_some_and(|kid| kids.contains(&kid));
    is_sealed
        || match value {
            Value::Array(items) => items.iter().any(|item| names_any(item, kids)),
            Value::Object(fields) => fields.values().any(|field| names_any(field, kids)),
            _ => false,
        }
}
