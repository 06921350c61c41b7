//! Requests about people: asked, answered, carried out (`docs/format.md` §18).

use super::attest::Judged;
use super::{Env, Output, Redacted, Replica, SubjectFault, Whose};
use crate::audit::{DataSubject, Request, RequestKind, Step, Stepped, Verdict};
use crate::causal::{ChangesetId, ChangesetIx, MemberId};
use crate::doc::resolve;
use crate::event::{AuditKind, Class, Op, Ready, Role, Skeleton, Target, Value};
use crate::sorted::sort;
use crate::trust::Authored;
use std::collections::BTreeMap;

/// Bytes of a reason.
const REASON_BYTES_MAX: usize = 8_192;

/// A step in the life of a request, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepInfo {
    /// What was answered; none where it was asked.
    pub verdict: Option<Verdict>,
    /// What says so.
    pub changeset: ChangesetId,
    /// Who signed it.
    pub member: MemberId,
    /// The claimed time in ms since 1970.
    pub time_ms: u64,
    /// Why, if that was said and is here.
    pub reason: Option<String>,
    /// The redactions by which it was done.
    pub redactions: Vec<ChangesetId>,
}

/// A request as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestInfo {
    /// What is asked for.
    pub kind: RequestKind,
    /// About whom.
    pub subject: DataSubject,
    /// What somebody outside is called, if that is known.
    pub name: Option<String>,
    /// How it stands; none while it is only asked.
    pub verdict: Option<Verdict>,
    /// The asking and all answers, in the order in which they came.
    pub steps: Vec<StepInfo>,
}

impl Replica {
    /// Asks that what is about somebody is erased or handed out. A member asks for itself, and for somebody outside who is registered; an
    /// admin for everybody. Seals the open batch first.
    pub fn request(
        &mut self,
        whose: Whose<'_>,
        kind: RequestKind,
        reason: Option<&str>,
        env: &mut Env<'_>,
    ) -> Result<ChangesetId, SubjectFault> {
        let subject = self.subject_of(whose).ok_or(SubjectFault::Subject)?;
        self.may_state()?;
        self.may_ask(subject)?;
        let content = words(reason)?;
        self.flush(env);
        let op = Op::Audit { kind: AuditKind::Request, payload: Step::Asked(kind, subject).encode() };
        let said = self.state_with(Class::Audit, content, &[], |_| op, env);
        self.last_write = said.or(self.last_write);
        said.ok_or(SubjectFault::Busy)
    }

    fn may_ask(&self, subject: DataSubject) -> Result<(), SubjectFault> {
        match subject {
            DataSubject::Outsider(_) if self.subjects.about(subject).next().is_none() => {
                Err(SubjectFault::Unknown)
            }
            DataSubject::Member(member) if member == self.member() => Ok(()),
            DataSubject::Member(_) if self.role() < Role::Admin => Err(SubjectFault::Access),
            DataSubject::Member(member)
                if !self.is_member(member) && self.subjects.about(subject).next().is_none() =>
            {
                Err(SubjectFault::Unknown)
            }
            _ => Ok(()),
        }
    }

    /// Answers a request: an admin does, and the member whom it is about. Of one for erasure, *done* redacts what [`Replica::targets_about`] names
    /// and what else is named here, and nothing is said unless all of that can be. Seals the open batch first.
    pub fn process_request(
        &mut self,
        request: &ChangesetId,
        verdict: Verdict,
        reason: Option<&str>,
        also: &[Target],
        env: &mut Env<'_>,
    ) -> Result<(ChangesetId, Option<Redacted>), SubjectFault> {
        let graph = self.log.graph();
        let ix = graph.get(request).ok_or(SubjectFault::Request)?;
        let Request { kind, subject, .. } = *self.requests.find(ix).ok_or(SubjectFault::Request)?;
        let stands = self.requests.find(ix).and_then(|found| found.answer(graph));
        if stands.is_some_and(|(verdict, _)| *verdict == Verdict::Done) {
            return Err(SubjectFault::Done);
        }
        self.may_state()?;
        if self.role() < Role::Admin && subject != DataSubject::Member(self.member()) {
            return Err(SubjectFault::Access);
        }
        if verdict == Verdict::Refused && reason.is_none() {
            return Err(SubjectFault::Reason);
        }
        let content = words(reason)?;
        let mut redacted = None;
        if (kind, verdict) == (RequestKind::Erasure, Verdict::Done) {
            let mut targets = self.targets_about(subject);
            targets.extend_from_slice(also);
            if !targets.is_empty() {
                redacted = Some(self.redact(&targets, reason.unwrap_or(ASKED_FOR), env)?);
            }
        }
        self.flush(env);
        let by = redacted.iter().flat_map(|redacted| &redacted.redactions);
        let mut refs: Vec<ChangesetIx> = by.filter_map(|id| self.log.graph().get(id)).collect();
        refs.push(ix);
        let op = Op::Audit { kind: AuditKind::Request, payload: Step::Answered(verdict).encode() };
        let said = self.state_with(Class::Audit, content, &refs, |_| op, env);
        self.last_write = said.or(self.last_write);
        Ok((said.ok_or(SubjectFault::Busy)?, redacted))
    }

    /// All requests, in the order in which they came.
    pub fn requests(&self) -> Vec<RequestInfo> {
        let graph = self.log.graph();
        let step = |verdict: Option<Verdict>, step: &Stepped| StepInfo {
            verdict,
            changeset: graph.id(step.changeset),
            member: step.member,
            time_ms: step.stamp.ms,
            reason: reason_in(step.clear.as_ref()),
            redactions: step.redactions.iter().map(|one| graph.id(*one)).collect(),
        };
        let each = |request: &Request| {
            let asked = std::iter::once(step(None, &request.asked));
            let answers = request.answers.iter().map(|(verdict, one)| step(Some(*verdict), one));
            RequestInfo {
                kind: request.kind,
                subject: request.subject,
                name: self.called(request.subject),
                verdict: request.answer(graph).map(|(verdict, _)| *verdict),
                steps: asked.chain(answers).collect(),
            }
        };
        self.requests.iter().map(each).collect()
    }

    /// What an op that asks or answers comes to before anything is decided.
    pub(super) fn judge_request(&self, payload: &[u8], skeleton: &Skeleton, ready: &Ready) -> Option<Judged> {
        if payload.first() != Some(&1) {
            return Some(Judged::Unsupported);
        }
        let (author, role) = (self.log.author_at(ready).member, self.log.role_of(ready));
        let may = |subject: DataSubject| role >= Role::Admin || subject == DataSubject::Member(author);
        let is_right = || {
            let refs = resolve(self.log.graph(), ready.prev, &ready.deps, &skeleton.refs)?;
            let is_right = match Step::decode(payload).ok()? {
                Step::Asked(_, subject @ DataSubject::Member(_)) => refs.is_empty() && may(subject),
                Step::Asked(_, DataSubject::Outsider(_)) => refs.is_empty(),
                Step::Answered(verdict) => {
                    let (request, by) = self.named_by(&refs)?;
                    let is_erased = verdict == Verdict::Done && request.kind == RequestKind::Erasure;
                    may(request.subject) && (by.is_empty() || is_erased)
                }
            };
            (is_right && skeleton.ops.len() == 1).then_some(())
        };
        if is_right().is_some() { None } else { Some(Judged::Inert) }
    }

    /// The one request that an answer names, and the redactions, ascending; none if it names anything else.
    fn named_by(&self, refs: &[ChangesetIx]) -> Option<(&Request, Vec<ChangesetIx>)> {
        let (requests, mut by): (Vec<_>, Vec<_>) =
            refs.iter().partition(|ix| self.requests.find(**ix).is_some());
        let [request] = requests.as_slice() else { return None };
        sort(&mut by);
        by.dedup();
        let all = by.iter().all(|ix| self.redactions.find(*ix).is_some());
        Some((self.requests.find(*request)?, by)).filter(|_| all)
    }

    /// Takes in what an integrated request or answer says.
    pub(super) fn take_request(
        &mut self,
        at: &Authored,
        skeleton: &Skeleton,
        payload: &[u8],
        content: Option<&Value>,
    ) {
        let step = Step::decode(payload).expect("an integrated request decodes");
        let (changeset, member, stamp) = (at.changeset, at.member, skeleton.hlc);
        let mut stepped =
            Stepped { changeset, stamp, member, clear: content.cloned(), redactions: Vec::new() };
        match step {
            Step::Asked(kind, subject) => {
                self.subjects.say(changeset, subject);
                self.requests.ask(kind, subject, stepped);
            }
            Step::Answered(verdict) => {
                let graph = self.log.graph();
                let (prev, deps) = (graph.prev(changeset), graph.deps(changeset));
                let refs = resolve(graph, prev, deps, &skeleton.refs).unwrap_or_default();
                let Some((request, by)) = self.named_by(&refs) else { return };
                let (request, subject) = (request.asked.changeset, request.subject);
                stepped.redactions = by;
                self.subjects.say(changeset, subject);
                self.requests.answer(request, verdict, stepped);
            }
        }
        self.outputs.push_back(Output::Subjects);
    }
}

/// The reason of a redaction where none was given.
const ASKED_FOR: &str = "an erasure was asked for";

fn words(reason: Option<&str>) -> Result<Value, SubjectFault> {
    if reason.is_some_and(|reason| !(1..=REASON_BYTES_MAX).contains(&reason.len())) {
        return Err(SubjectFault::Reason);
    }
    let fields = reason.map(|reason| ("reason".to_owned(), Value::from(reason)));
    Ok(Value::Object(BTreeMap::from_iter(fields)))
}

fn reason_in(clear: Option<&Value>) -> Option<String> {
    match clear? {
        Value::Object(fields) => match fields.get("reason")? {
            Value::String(reason) => Some(reason.clone()),
            _ => None,
        },
        _ => None,
    }
}
