//! The replica for JavaScript, sixth part: people that data is about, what is sealed for them, and what they ask for.
use js_sys::{Array, Uint8Array};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::consent::whose;
use super::erasure::{redacted_to_js, redaction_error, targets_of};
use super::error::{Code, EdgeError};
use super::output::object;
use super::replica::{Replica, id32, with_env};
use super::value;
use crate::replica::{DossierEntry, RequestInfo, StepInfo, SubjectFault, SubjectInfo};
use crate::{ChangesetId, DataSubject, Fate, RequestKind, Verdict};

type Answer<T> = Result<T, EdgeError>;

#[wasm_bindgen]
impl Replica {
    /// Gives somebody a key; the changeset that did.
    #[wasm_bindgen(js_name = registerSubject)]
    pub fn register_subject(&mut self, subject: &str) -> Answer<String> {
        let core = self.core_mut();
        let whose = whose(core, Some(subject));
        let said = with_env(|env| core.register_subject(whose, env));
        said.map(|id| id.to_string()).map_err(subject_error)
    }

    /// The bytes of a personal value.
    #[wasm_bindgen(js_name = sealPersonal)]
    pub fn seal_personal(&self, subject: &str, value: &JsValue) -> Answer<Vec<u8>> {
        let (core, value) = (self.core(), value::from_js(value, "value")?);
        with_env(|env| core.seal_personal(whose(core, Some(subject)), &value, env)).map_err(subject_error)
    }

    /// The value in them; `undefined` where no key opens them.
    #[wasm_bindgen(js_name = openPersonal)]
    pub fn open_personal(&mut self, sealed: &[u8]) -> JsValue {
        let core = self.core_mut();
        let opened = with_env(|env| core.open_personal(sealed, env.now_ms));
        opened.map_or(JsValue::UNDEFINED, |(_, value)| value::to_js(&value))
    }

    /// All keys that there are, or were.
    pub fn subjects(&self) -> Array {
        self.core().subjects().iter().map(subject_to_js).collect()
    }

    /// Asks for an erasure (1) or an export (2); the changeset that does.
    #[wasm_bindgen(js_name = requestFor)]
    pub fn request_for(&mut self, subject: &str, kind: u8, reason: Option<String>) -> Answer<String> {
        let core = self.core_mut();
        let whose = whose(core, Some(subject));
        let kind = if kind == 1 { RequestKind::Erasure } else { RequestKind::Export };
        let said = with_env(|env| core.request(whose, kind, reason.as_deref(), env));
        said.map(|id| id.to_string()).map_err(subject_error)
    }

    /// Answers a request: 1 approved, 2 refused, 3 done, which erases what is asked for, and other targets along with it, one a line.
    #[wasm_bindgen(js_name = processRequest)]
    pub fn process_request(
        &mut self,
        request: &str,
        verdict: u8,
        reason: Option<String>,
        also: &str,
    ) -> Answer<JsValue> {
        let id = ChangesetId(id32(request, "request")?);
        let also = targets_of(also)?;
        let verdict = match verdict {
            1 => Verdict::Approved,
            2 => Verdict::Refused,
            _ => Verdict::Done,
        };
        let core = self.core_mut();
        let said = with_env(|env| core.process_request(&id, verdict, reason.as_deref(), &also, env));
        let (id, redacted) = said.map_err(subject_error)?;
        let redacted = redacted.map_or(JsValue::UNDEFINED, |redacted| redacted_to_js(&redacted));
        Ok(object(&[("id", id.to_string().into()), ("redacted", redacted)]))
    }

    /// All requests.
    pub fn requests(&self) -> Array {
        self.core().requests().iter().map(request_to_js).collect()
    }

    /// Whom a name means: the id of a member, or of what somebody outside is called.
    #[wasm_bindgen(js_name = subjectId)]
    pub fn subject_id(&self, subject: &str) -> Answer<String> {
        let subject = self.core().subject_of(whose(self.core(), Some(subject)));
        subject.as_ref().map(id_of).ok_or_else(|| subject_error(SubjectFault::Subject))
    }

    /// What is by somebody or about them among so many changesets, and where to go on.
    pub fn dossier(&mut self, subject: &str, from: u32, count: u32) -> Answer<JsValue> {
        let core = self.core_mut();
        let of = core
            .subject_of(whose(core, Some(subject)))
            .ok_or_else(|| subject_error(SubjectFault::Subject))?;
        if from == 0 {
            with_env(|env| core.note_dossier(of, env.now_ms));
        }
        let (entries, next) = core.dossier(of, from, count);
        Ok(object(&[
            ("entries", entries.iter().map(entry_to_js).collect::<Array>().into()),
            ("next", next.map_or(JsValue::UNDEFINED, JsValue::from)),
        ]))
    }
}

fn subject_error(fault: SubjectFault) -> EdgeError {
    let argument = match fault {
        SubjectFault::Unknown => return EdgeError::new(Code::Subject, fault.to_string()),
        SubjectFault::Access | SubjectFault::Role => {
            return EdgeError::new(Code::Access, fault.to_string());
        }
        SubjectFault::Redact(fault) => return redaction_error(fault),
        SubjectFault::Subject | SubjectFault::Busy => "subject",
        SubjectFault::Request | SubjectFault::Done => "request",
        SubjectFault::Reason => "reason",
    };
    EdgeError::argument(argument, fault.to_string())
}

fn id_of(subject: &DataSubject) -> String {
    match subject {
        DataSubject::Member(member) => member.to_string(),
        DataSubject::Outsider(name) => name.to_string(),
    }
}

/// What an application calls somebody.
fn called(subject: &DataSubject, name: &Option<String>) -> JsValue {
    match subject {
        DataSubject::Member(member) => member.to_string().into(),
        DataSubject::Outsider(_) => name.as_deref().map_or(JsValue::UNDEFINED, JsValue::from),
    }
}

fn subject_to_js(one: &SubjectInfo) -> JsValue {
    object(&[
        ("id", id_of(&one.subject).into()),
        ("subject", called(&one.subject, &one.name)),
        ("changeset", one.changeset.to_string().into()),
        ("by", one.member.to_string().into()),
        ("time", (one.time_ms as f64).into()),
        ("hasKey", one.has_key.into()),
        ("isErased", one.is_erased.into()),
    ])
}

fn request_to_js(request: &RequestInfo) -> JsValue {
    let step = |step: &StepInfo| {
        let redactions = step.redactions.iter().map(|id| JsValue::from(id.to_string()));
        object(&[
            ("verdict", step.verdict.map_or(0, |verdict| verdict as u8).into()),
            ("changeset", step.changeset.to_string().into()),
            ("by", step.member.to_string().into()),
            ("time", (step.time_ms as f64).into()),
            ("reason", step.reason.as_deref().map_or(JsValue::UNDEFINED, JsValue::from)),
            ("redactions", redactions.collect::<Array>().into()),
        ])
    };
    object(&[
        ("kind", (request.kind as u8).into()),
        ("id", id_of(&request.subject).into()),
        ("subject", called(&request.subject, &request.name)),
        ("verdict", request.verdict.map_or(0, |verdict| verdict as u8).into()),
        ("steps", request.steps.iter().map(step).collect::<Array>().into()),
    ])
}

fn entry_to_js(entry: &DossierEntry) -> JsValue {
    object(&[
        ("changeset", entry.changeset.to_string().into()),
        ("member", entry.member.to_string().into()),
        ("actor", entry.actor.to_string().into()),
        ("seq", entry.seq.into()),
        ("time", (entry.time_ms as f64).into()),
        ("class", (entry.class as u8).into()),
        ("inert", (entry.fate == Fate::Inert).into()),
        ("redacted", entry.is_redacted.into()),
        ("ops", entry.ops.iter().map(value::to_js).collect::<Array>().into()),
        ("beside", entry.beside.as_ref().map_or(JsValue::UNDEFINED, value::to_js)),
        ("row", Uint8Array::from(entry.row.as_slice()).into()),
    ])
}
