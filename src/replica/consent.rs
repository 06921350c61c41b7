//! Consent: given, withdrawn, asked for.

use super::{Env, Output, Replica, Whose};
use crate::audit::{Consent, Consented, DataSubject};
use crate::causal::{ChangesetId, ChangesetIx, MemberId, NameId};
use crate::codec::limits::NAME_BYTES_MAX;
use crate::event::{AuditKind, Class, Content, Op, Ready, Role, Skeleton, Sort, Value, name_id};

/// A consent as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct ConsentInfo {
    /// What says so.
    pub changeset: ChangesetId,
    /// Who signed it.
    pub member: MemberId,
    /// The claimed time in ms since 1970.
    pub time_ms: u64,
    /// What is said.
    pub consent: Consent,
    /// What for; none where its content is gone.
    pub purpose: Option<String>,
    /// Who, if it is somebody outside.
    pub subject: Option<String>,
    /// To which terms.
    pub terms: Option<String>,
}

/// Why something about consent was not said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsentFault {
    /// It has to be for something.
    #[error("a purpose has 1 to {NAME_BYTES_MAX} bytes")]
    Purpose,
    /// It has to be somebody's.
    #[error("a subject has 1 to {NAME_BYTES_MAX} bytes, and no member speaks for another one")]
    Subject,
    /// They are named, not quoted.
    #[error("terms have 1 to {NAME_BYTES_MAX} bytes")]
    Terms,
    /// Whoever only reads says nothing here.
    #[error("a reader cannot write")]
    Role,
    /// A transaction is running, or there is no key to sign with.
    #[error("nothing can be signed now")]
    Busy,
}

impl Replica {
    /// This member gives or withdraws its consent; or writes down that somebody outside did. Seals the open batch first.
    pub fn consent(
        &mut self,
        whose: Whose<'_>,
        purpose: &str,
        terms: Option<&str>,
        is_given: bool,
        env: &mut Env<'_>,
    ) -> Result<ChangesetId, ConsentFault> {
        let (subject, purpose_id) = self.consent_key(whose, purpose)?;
        if terms.is_some_and(|terms| !is_name(terms)) {
            return Err(ConsentFault::Terms);
        }
        if matches!(whose, Whose::Member(member) if member != self.member()) {
            return Err(ConsentFault::Subject);
        }
        if self.role() < Role::Writer {
            return Err(ConsentFault::Role);
        }
        if self.batch.in_transact {
            return Err(ConsentFault::Busy);
        }
        self.flush(env);
        let named = match whose {
            Whose::Member(_) => None,
            Whose::Outsider(name) => Some(("subject", name)),
        };
        let words = [Some(("purpose", purpose)), named, terms.map(|terms| ("terms", terms))];
        let clear = words.into_iter().flatten().map(|(field, text)| (field.to_owned(), Value::from(text)));
        let consent = Consent { subject, purpose: purpose_id, is_given };
        let op = Op::Audit { kind: AuditKind::Consent, payload: consent.encode() };
        let said = self.state_with(Class::Audit, Value::Object(clear.collect()), &[], |_| op, env);
        self.last_write = said.or(self.last_write);
        said.ok_or(ConsentFault::Busy)
    }

    /// What holds of a person for a purpose. O(log n).
    pub fn consent_to(&self, whose: Whose<'_>, purpose: &str) -> Result<Option<ConsentInfo>, ConsentFault> {
        let (subject, purpose) = self.consent_key(whose, purpose)?;
        let said = self.consents.current(self.log.graph(), subject, purpose);
        Ok(said.map(|said| self.consent_info(said)))
    }

    /// What holds of everybody for everything.
    pub fn consents(&self) -> Vec<ConsentInfo> {
        self.consents.all(self.log.graph()).map(|said| self.consent_info(said)).collect()
    }

    /// What an op says that nobody may say so: in the name of another member.
    pub(super) fn is_consent_of_another(&self, consent: &Consent, ready: &Ready) -> bool {
        let author = self.log.author_at(ready).member;
        matches!(consent.subject, DataSubject::Member(member) if member != author)
    }

    /// The content of a changeset came late.
    pub(super) fn fill_consents(&mut self, ix: ChangesetIx, skeleton: &Skeleton, content: &Content) {
        for ((op, (_, values)), index) in skeleton.ops.iter().zip(content.by_op(&skeleton.ops)).zip(0..) {
            if let (Op::Audit { kind: AuditKind::Consent, .. }, [clear]) = (op, values) {
                self.consents.fill(ix, index, clear);
                self.outputs.push_back(Output::Consent);
            }
        }
    }

    fn consent_key(&self, whose: Whose<'_>, purpose: &str) -> Result<(DataSubject, NameId), ConsentFault> {
        let subject = self.subject_of(whose).ok_or(ConsentFault::Subject)?;
        if !is_name(purpose) {
            return Err(ConsentFault::Purpose);
        }
        let names = self.identity.keyring().names();
        Ok((subject, name_id(names, Sort::Purpose, purpose.as_bytes())))
    }

    /// Clear names count that are what the ids say.
    pub(super) fn consent_info(&self, said: &Consented) -> ConsentInfo {
        let (subject, purpose) = (word(said, "subject"), word(said, "purpose"));
        let whose = match said.consent.subject {
            DataSubject::Member(member) => Whose::Member(member),
            DataSubject::Outsider(_) => Whose::Outsider(subject.unwrap_or_default()),
        };
        let key = self.consent_key(whose, purpose.unwrap_or_default());
        let is_clear = key == Ok((said.consent.subject, said.consent.purpose));
        let owned = |text: Option<&str>| text.filter(|_| is_clear).map(str::to_owned);
        ConsentInfo {
            changeset: self.log.graph().id(said.changeset),
            member: said.member,
            time_ms: said.stamp.ms,
            consent: said.consent,
            purpose: owned(purpose),
            subject: owned(subject),
            terms: owned(word(said, "terms")),
        }
    }
}

fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len())
}

/// What the content of a consent says in a field.
fn word<'a>(said: &'a Consented, field: &str) -> Option<&'a str> {
    match said.clear.as_ref()? {
        Value::Object(fields) => match fields.get(field)? {
            Value::String(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}
