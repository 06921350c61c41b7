//! People that data is about: their keys, what is sealed under these, and what is to be erased for them (`docs/format.md` §18).
//!
//! Invariant: a personal value is opened when it is read and kept nowhere in clear, so that erasing its key leaves nothing to look for.

use super::attest::Judged;
use super::{Env, Output, RedactFault, Replica};
use crate::audit::{DataSubject, Detail, Held, NoteKind, Registered};
use crate::causal::{ChangesetId, ChangesetIx, MemberId};
use crate::codec::limits::NAME_BYTES_MAX;
use crate::crypto::{kid_of, open_personal, seal_personal};
use crate::event::{AuditKind, Class, Op, Role, Skeleton, Sort, Target, Value, name_id};
use crate::sorted::SortedMap;
use crate::steps;
use crate::trust::Authored;
use std::collections::BTreeMap;

/// The one field of a personal value.
const FIELD: &str = "personal";

/// The reason of a redaction that nobody asked for.
const MADE_APART: &str = "this person was erased";

/// Bytes of a key in the content that holds it.
const KEY_BYTES: usize = 32;

/// Whom something is about, as an application says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose<'a> {
    /// A member.
    Member(MemberId),
    /// Somebody outside, by what the application calls them.
    Outsider(&'a str),
}

/// Why nothing was done about somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubjectFault {
    /// It has to be somebody.
    #[error("a subject has 1 to {NAME_BYTES_MAX} bytes")]
    Subject,
    /// Nobody has a key by that name.
    #[error("there is no key for this name here: it was never made, was erased, or has not come yet")]
    Unknown,
    /// Only an admin speaks for another member.
    #[error("only an owner or an admin asks for another member, or answers")]
    Access,
    /// Whoever only reads says nothing here.
    #[error("a reader cannot write")]
    Role,
    /// A transaction is running, or there is no key to sign with.
    #[error("nothing can be signed now")]
    Busy,
    /// No such request is here.
    #[error("no request with this id is known here")]
    Request,
    /// There is nothing to answer any more.
    #[error("the request was done")]
    Done,
    /// It is too long, or there is none where one has to be.
    #[error("a reason has 1 to 8192 bytes, and nothing is refused without one")]
    Reason,
    /// What is to be erased cannot be.
    #[error(transparent)]
    Redact(#[from] RedactFault),
}

/// Somebody who has or had a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectInfo {
    /// Whose it is.
    pub subject: DataSubject,
    /// What somebody outside is called, if that is known.
    pub name: Option<String>,
    /// What gave the key.
    pub changeset: ChangesetId,
    /// Who made it.
    pub member: MemberId,
    /// The claimed time in ms since 1970.
    pub time_ms: u64,
    /// Whether the key is here.
    pub has_key: bool,
    /// Or it was erased.
    pub is_erased: bool,
}

impl Replica {
    /// Gives somebody a key, unless they have one: the changeset that did. Seals the open batch first.
    pub fn register_subject(
        &mut self,
        whose: Whose<'_>,
        env: &mut Env<'_>,
    ) -> Result<ChangesetId, SubjectFault> {
        let subject = self.subject_of(whose).ok_or(SubjectFault::Subject)?;
        if let Some(registered) = self.subjects.current(self.log.graph(), subject) {
            return Ok(self.log.graph().id(registered.changeset));
        }
        self.may_state()?;
        self.flush(env);
        let mut key = [0; KEY_BYTES];
        (env.random)(&mut key);
        let mut content = BTreeMap::from([("key".to_owned(), Value::Bytes(key.to_vec()))]);
        if let Whose::Outsider(name) = whose {
            content.insert("subject".to_owned(), name.into());
        }
        let op = Op::Audit { kind: AuditKind::Subject, payload: subject.payload() };
        let said = self.state_with(Class::Audit, Value::Object(content), &[], |_| op, env);
        self.last_write = said.or(self.last_write);
        said.ok_or(SubjectFault::Busy)
    }

    /// A value that somebody's key alone opens, to be stored wherever values are. O(size).
    pub fn seal_personal(
        &self,
        whose: Whose<'_>,
        value: &Value,
        env: &mut Env<'_>,
    ) -> Result<Vec<u8>, SubjectFault> {
        let subject = self.subject_of(whose).ok_or(SubjectFault::Subject)?;
        let registered = self.subjects.current(self.log.graph(), subject);
        let held = registered.and_then(|one| one.held.as_ref()).ok_or(SubjectFault::Unknown)?;
        let mut salt = [0; 16];
        (env.random)(&mut salt);
        Ok(seal_personal(held.key(), &self.space().0, &salt, &value.to_bytes()))
    }

    /// What was sealed, and about whom it is; none where the key was erased, is not here, or is another one. It is written down in the
    /// audit log that it was read. O(size).
    pub fn open_personal(&mut self, sealed: &[u8], now_ms: u64) -> Option<(DataSubject, Value)> {
        let (subject, value) = self.unsealed(sealed)?;
        self.note_often(NoteKind::Read, detail_of(subject), now_ms);
        Some((subject, value))
    }

    /// The same without a word.
    pub(super) fn unsealed(&self, sealed: &[u8]) -> Option<(DataSubject, Value)> {
        let (key, subject) = self.subjects.find(kid_of(sealed)?)?;
        let value = Value::decode(&open_personal(key, &self.space().0, sealed)?).ok()?;
        Some((subject, value))
    }

    /// Everybody who has or had a key, in the order in which the keys came.
    pub fn subjects(&self) -> Vec<SubjectInfo> {
        let graph = self.log.graph();
        let each = |one: &Registered| SubjectInfo {
            subject: one.subject,
            name: one.held.as_ref().and_then(|held| held.name.clone()),
            changeset: graph.id(one.changeset),
            member: one.member,
            time_ms: one.stamp.ms,
            has_key: one.held.is_some(),
            is_erased: self.redactions.contains(one.changeset),
        };
        self.subjects.iter().map(each).collect()
    }

    /// What to redact so that nothing says any more what is about somebody: their keys, and of somebody outside their name beside each consent.
    /// O(all that audit says about anybody).
    pub fn targets_about(&self, subject: DataSubject) -> Vec<Target> {
        let is_outside = matches!(subject, DataSubject::Outsider(_));
        let goes = |ix: &ChangesetIx| {
            let says_name = is_outside && !self.requests.has(*ix);
            (self.subjects.is_key(*ix) || says_name) && !self.redactions.contains(*ix)
        };
        let all = self.subjects.about(subject).filter(goes);
        all.map(|ix| Target::Changeset(self.log.graph().id(ix))).collect()
    }

    /// What somebody outside is called, as far as a key or a consent says so.
    pub(super) fn called(&self, subject: DataSubject) -> Option<String> {
        let graph = self.log.graph();
        let of_key = self.subjects.current(graph, subject).and_then(|one| one.held.as_ref()?.name.clone());
        let of_consent = || {
            let about = self.consents.all(graph).filter(|said| said.consent.subject == subject);
            about.filter_map(|said| self.consent_info(said).subject).next()
        };
        of_key.or_else(of_consent)
    }

    /// Whom an application means; none for a name that is none.
    pub fn subject_of(&self, whose: Whose<'_>) -> Option<DataSubject> {
        match whose {
            Whose::Member(member) => Some(DataSubject::Member(member)),
            Whose::Outsider(name) => (1..=NAME_BYTES_MAX).contains(&name.len()).then(|| {
                let names = self.identity.keyring().names();
                DataSubject::Outsider(name_id(names, Sort::Subject, name.as_bytes()))
            }),
        }
    }

    /// Whether it is time to look for keys that somebody made without knowing that this member had erased the person.
    pub(super) fn owes_now(&self) -> bool {
        let is_busy = self.fold.has_batch() || self.batch.in_transact || self.log.has_ready();
        self.erasing.owes && !is_busy && self.actor.is_some() && self.role() >= Role::Writer
    }

    /// Erases them too: who erased a person meant all of it; and what a member erased of its own that others made, so that relays do. Nobody waits for it.
    /// O((keys + targets of redactions) · log keys).
    pub(super) fn erase_owed(&mut self, env: &mut Env<'_>) {
        if !self.owes_now() {
            return;
        }
        self.erasing.owes = false;
        let graph = self.log.graph();
        // Of each person whom this member erased, by which redactions; of each key that was erased, whether somebody said so whom relays believe:
        // they see no keys, and do not know that it may be erased.
        let (mut erased, mut heard) = (SortedMap::new(), SortedMap::new());
        for one in self.redactions.iter() {
            let is_admin = self.log.author(one.changeset).role >= Role::Admin;
            for key in one.targets.iter().filter_map(|target| self.subjects.key(*target)) {
                steps::count(1);
                let is_heard = heard.get(&key.changeset) == Some(&true);
                heard.insert(key.changeset, is_heard || is_admin || one.member == key.member);
                if one.member == self.member() {
                    let mut by: Vec<ChangesetIx> = erased.remove(&key.subject).unwrap_or_default();
                    by.push(one.changeset);
                    erased.insert(key.subject, by);
                }
            }
        }
        let is_owed = |key: &&Registered| {
            steps::count(1);
            match heard.get(&key.changeset) {
                Some(is_heard) => !is_heard && (key.member == self.member() || self.role() >= Role::Admin),
                None => erased
                    .get(&key.subject)
                    .is_some_and(|by| by.iter().any(|redaction| !graph.contains(key.changeset, *redaction))),
            }
        };
        let owed = self.subjects.iter().filter(is_owed);
        let owed: Vec<Target> = owed.map(|key| Target::Changeset(graph.id(key.changeset))).collect();
        if !owed.is_empty() {
            let last_write = self.last_write;
            // Whoever may no more leaves it to others.
            let _ = self.redact(&owed, MADE_APART, env);
            self.last_write = last_write; // the app wrote nothing
        }
    }

    /// Whether this member may say something now.
    pub(super) fn may_state(&self) -> Result<(), SubjectFault> {
        match () {
            () if self.role() < Role::Writer => Err(SubjectFault::Role),
            () if self.batch.in_transact || self.actor.is_none() => Err(SubjectFault::Busy),
            () => Ok(()),
        }
    }

    /// What an op that gives a key comes to before anything is decided.
    pub(super) fn judge_subject(payload: &[u8], skeleton: &Skeleton) -> Option<Judged> {
        if payload.first() != Some(&1) {
            return Some(Judged::Unsupported);
        }
        let is_right = skeleton.ops.len() == 1 && DataSubject::of_payload(payload).is_ok();
        (!is_right).then_some(Judged::Inert)
    }

    /// Takes in that somebody got a key.
    pub(super) fn take_subject(
        &mut self,
        at: &Authored,
        skeleton: &Skeleton,
        payload: &[u8],
        content: Option<&Value>,
    ) {
        let subject = DataSubject::of_payload(payload).expect("an integrated subject decodes");
        let (changeset, member, stamp) = (at.changeset, at.member, skeleton.hlc);
        let held = content.and_then(|content| self.held_in(subject, member, content));
        self.subjects.register(Registered { subject, changeset, stamp, member, held });
        self.erasing.owes = true;
        self.outputs.push_back(Output::Subjects);
    }

    /// The content of a changeset came late.
    pub(super) fn fill_subjects(&mut self, ix: ChangesetIx, skeleton: &Skeleton, clear: Option<&Value>) {
        match skeleton.ops.as_slice() {
            [Op::Audit { kind: AuditKind::Subject, payload }] => {
                let subject = DataSubject::of_payload(payload).expect("an integrated subject decodes");
                let member = self.log.author(ix).member;
                if let Some(held) = clear.and_then(|clear| self.held_in(subject, member, clear)) {
                    self.subjects.fill(ix, held);
                    self.outputs.push_back(Output::Subjects);
                }
            }
            [Op::Audit { kind: AuditKind::Request, .. }] => {
                self.requests.fill(ix, clear);
                self.outputs.push_back(Output::Subjects);
            }
            _ => {}
        }
    }

    /// The content of a changeset is gone.
    pub(super) fn forget_personal(&mut self, ix: ChangesetIx) {
        self.consents.forget(ix);
        if self.subjects.forget(ix) || self.requests.fill(ix, None) {
            self.outputs.push_back(Output::Subjects);
        }
    }

    /// The key in a content, if it is one.
    fn held_in(&self, subject: DataSubject, by: MemberId, content: &Value) -> Option<Held> {
        let Value::Object(fields) = content else { return None };
        let Some(Value::Bytes(key)) = fields.get("key") else { return None };
        let name = match fields.get("subject") {
            Some(Value::String(name)) => Some(name.clone()),
            _ => None,
        };
        let name = name.filter(|name| self.subject_of(Whose::Outsider(name)) == Some(subject));
        Some(Held::new(key.as_slice().try_into().ok()?, subject, by, &self.space().0, name))
    }

    /// Everything about somebody is handed out.
    pub fn note_dossier(&mut self, subject: DataSubject, now_ms: u64) {
        self.note(NoteKind::Export, detail_of(subject), now_ms);
    }
}

/// What the audit log says of somebody: an id, and no name.
fn detail_of(subject: DataSubject) -> Detail {
    let (member, object, whom) = match subject {
        DataSubject::Member(member) => (Some(member), None, format!("the member {member}")),
        DataSubject::Outsider(name) => (None, Some(name.0), format!("somebody outside, {name}")),
    };
    Detail { member, object, text: format!("what is about {whom}"), ..Detail::default() }
}

/// What a personal value holds sealed; none for any other value.
#[must_use]
pub fn sealed_in(value: &Value) -> Option<&[u8]> {
    match value {
        Value::Object(fields) if fields.len() == 1 => match fields.get(FIELD)? {
            Value::Bytes(sealed) => Some(sealed),
            _ => None,
        },
        _ => None,
    }
}
