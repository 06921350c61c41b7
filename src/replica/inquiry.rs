//! Evidence: what this replica finds, how it is told to all, what it does about its own, and what follows for what counts.
//!
//! Invariant: evidence has an effect only as an op of the log, so everybody with one frontier and one policy sees the same. It hides and never voids: a
//! resolution, or a word of one's own, shows everything again. Nobody is blamed for what somebody else delivered.

use super::attest::Judged;
use super::reputation::Fact;
use super::{Env, Output, Replica};
use crate::audit::{
    Accused, Case, Cases, Detail, Evidence, EvidenceFault, EvidenceId, NoteKind, Resolution, SignedRun,
};
use crate::causal::{ActorId, ChangesetId, ChangesetIx, MemberId};
use crate::codec::{DecodeError, Reader, Writer};
use crate::crypto::{Digest, Signature};
use crate::event::{AuditKind, Class, ControlKind, Op, Role};
use crate::trust::Authored;
use foldhash::HashSet;

/// How long one waits with evidence, for others to be first: whoever it is against, and everybody else, who waits up to so much longer.
const WAIT_MS: [u64; 2] = [1_000, 2_000];
const SPREAD_MS: u64 = 3_000;

/// The largest evidence that is told: it fits into a changeset.
const EVIDENCE_BYTES_MAX: usize = 180_000;

/// Evidence that waits to be told.
const OPEN_MAX: usize = 64;

/// What is known and to be done.
#[derive(Default)]
pub(super) struct Inquiry {
    pub cases: Cases,
    /// How many forks of the log were looked into.
    pub next_fork: usize,
    /// Found here, to be told at a time unless somebody else does.
    open: Vec<(u64, EvidenceId, Evidence)>,
    /// Against this member's own actors, to be settled.
    owed: Vec<EvidenceId>,
    /// Worked out here.
    found: HashSet<EvidenceId>,
    /// Changesets without effect, and snapshots that show something else than this, to be looked into.
    bodies: Vec<ChangesetIx>,
    snapshots: Vec<(SignedSnapshot, Digest)>,
    /// Changesets that carry what contradicts each other.
    contrary: Vec<(ChangesetIx, ChangesetIx)>,
}

impl Inquiry {
    /// The log is put together anew: what is in it comes once more.
    pub fn begin_again(&mut self) {
        let (open, found) = (std::mem::take(&mut self.open), std::mem::take(&mut self.found));
        *self = Self { open, found, ..Self::default() };
    }

    /// A changeset has no effect: perhaps nobody can read it, and that can be shown.
    pub fn suspect_body(&mut self, ix: ChangesetIx) {
        if self.bodies.len() < OPEN_MAX {
            self.bodies.push(ix);
        }
    }

    /// Two changesets carry what contradicts each other.
    pub fn suspect_validator(&mut self, one: ChangesetIx, other: ChangesetIx) {
        if self.contrary.len() < OPEN_MAX {
            self.contrary.push((one, other));
        }
    }

    /// A snapshot shows something else than the log, whose past of that frontier comes to `found`.
    pub fn suspect_snapshot(&mut self, signed: SignedSnapshot, found: Digest) {
        self.snapshots.push((signed, found));
    }
}

/// A piece of evidence, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceInfo {
    /// What is claimed, and what shows it.
    pub case: Case,
    /// The changeset that carries it.
    pub changeset: ChangesetId,
    /// The actors that signed what it shows.
    pub actors: Vec<ActorId>,
    /// Whose they are, if that is known here.
    pub member: Option<MemberId>,
    /// Whether it is proven: shown by signatures alone, or worked out here.
    pub is_proven: bool,
    /// The changeset that settled it.
    pub settled: Option<ChangesetId>,
}

/// Why nothing was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveFault {
    /// There is no such evidence here.
    #[error("this evidence is not known here")]
    Unknown,
    /// It is not for this member to say.
    #[error("evidence is settled by who administers the space, or by the member whose actor it is against")]
    Role,
    /// This device has no actor that could sign, or it is the accused.
    #[error("there is no other actor to sign with")]
    Actor,
    /// A transaction is running.
    #[error("evidence is not settled inside a transaction")]
    Transact,
}

impl Replica {
    /// Evidence that members gave, by id. O(evidence).
    pub fn evidence(&self) -> impl Iterator<Item = EvidenceInfo> + '_ {
        self.inquiry.cases.all().map(|case| self.evidence_info(case))
    }

    /// Whether it is proven of an actor that it contradicts itself, and nobody who may has settled that. O(evidence).
    pub fn is_byzantine(&self, actor: ActorId) -> bool {
        self.evidence().any(|one| one.is_proven && one.settled.is_none() && one.actors.contains(&actor))
    }

    /// Says that a piece of evidence is settled: what was hidden for it shows again, for everybody. Seals the open batch first.
    pub fn resolve_evidence(
        &mut self,
        id: EvidenceId,
        env: &mut Env<'_>,
    ) -> Result<ChangesetId, ResolveFault> {
        let case = self.inquiry.cases.get(&id).ok_or(ResolveFault::Unknown)?;
        let accused = case.accused;
        let is_own = matches!(accused, Accused::Actor(actor) if self.member_of(actor) == Some(self.member()));
        if self.role() < Role::Writer || !(is_own || self.role() >= Role::Admin) {
            return Err(ResolveFault::Role);
        }
        if self.batch.in_transact {
            return Err(ResolveFault::Transact);
        }
        if accused == Accused::Member(self.member()) {
            return Err(ResolveFault::Role);
        }
        self.actor.filter(|actor| accused != Accused::Actor(*actor)).ok_or(ResolveFault::Actor)?;
        self.flush(env);
        let op = Op::Control { kind: ControlKind::Resolve, payload: resolution(id) };
        self.state_alone(Class::Control, |_| op, env).ok_or(ResolveFault::Actor)
    }

    /// Tells everybody of evidence, some time from now, unless it shows nothing or somebody else does before.
    pub fn report_evidence(&mut self, evidence: Evidence, env: &mut Env<'_>) {
        let id = evidence.id(&self.space());
        let is_open = self.inquiry.open.iter().any(|(_, open, _)| *open == id);
        if is_open || self.inquiry.open.len() >= OPEN_MAX || self.loading {
            return;
        }
        let Ok(accused) = evidence.check(self.identity.genesis(), self.identity.keyring()) else { return };
        if self.inquiry.found.insert(id) && self.inquiry.cases.get(&id).is_some() {
            self.outputs.push_back(Output::Evidence); // what others claim is worked out here too
        }
        if self.adds_nothing(&evidence, accused) || evidence.encode().len() > EVIDENCE_BYTES_MAX {
            return;
        }
        let is_own = matches!(accused, Accused::Actor(actor) if self.member_of(actor) == Some(self.member()));
        let mut random = [0; 8];
        (env.random)(&mut random);
        let wait = if is_own { WAIT_MS[0] } else { WAIT_MS[1] + u64::from_le_bytes(random) % SPREAD_MS };
        self.inquiry.open.push((env.now_ms + wait, id, evidence));
    }

    /// When something of it is to be done; none while something is edited.
    pub(super) fn inquiry_due(&self) -> Option<u64> {
        let is_busy = self.fold.has_batch() || self.batch.in_transact || self.log.has_ready();
        if is_busy || self.actor.is_none() || self.role() < Role::Writer {
            return None;
        }
        let Inquiry { owed, bodies, snapshots, contrary, next_fork, .. } = &self.inquiry;
        let is_unseen = !(bodies.is_empty() && snapshots.is_empty() && contrary.is_empty())
            || self.log.has_broken()
            || (*next_fork < self.log.forks().len() && self.log.is_whole());
        let owed = (is_unseen || !owed.is_empty()).then_some(0);
        self.inquiry.open.iter().map(|(due, ..)| *due).chain(owed).min()
    }

    /// Does it.
    pub(super) fn inquire(&mut self, env: &mut Env<'_>) {
        self.look_into(env);
        while self.inquiry_due().is_some_and(|due| due <= env.now_ms) {
            if let Some(id) = self.inquiry.owed.pop() {
                self.own_up(id, env);
                continue;
            }
            let is_due = |(due, ..): &(u64, EvidenceId, Evidence)| *due <= env.now_ms;
            let Some(at) = self.inquiry.open.iter().position(is_due) else { break };
            let (_, _, evidence) = self.inquiry.open.swap_remove(at);
            let accused = evidence.accused(self.identity.genesis());
            if accused.is_some_and(|accused| !self.adds_nothing(&evidence, accused)) {
                let op = Op::Audit { kind: AuditKind::Evidence, payload: evidence.encode() };
                self.state_alone(Class::Audit, |_| op, env);
            }
        }
    }

    /// Looks into whatever came that should not have.
    pub(super) fn look_into(&mut self, env: &mut Env<'_>) {
        for (signed, prev) in self.log.take_broken() {
            self.report_evidence(Evidence::Gap(SignedRun::of(&signed), prev.into()), env);
        }
        for ix in std::mem::take(&mut self.inquiry.bodies) {
            let signed = self.log.entry(ix).changeset().map(|changeset| changeset.signed());
            let evidence = signed
                .and_then(|signed| Some(Evidence::Body(SignedRun::of(signed), signed.skeleton()?.to_vec())));
            evidence.into_iter().for_each(|evidence| self.report_evidence(evidence, env));
        }
        for (SignedSnapshot { manifest, chain, signature }, found) in
            std::mem::take(&mut self.inquiry.snapshots)
        {
            self.report_evidence(Evidence::Snapshot { manifest, chain, signature, found }, env);
        }
        for (one, other) in std::mem::take(&mut self.inquiry.contrary) {
            self.look_into_validator(one, other, env);
        }
        self.look_into_forks(env);
    }

    /// What an op of evidence, or a resolution, comes to before anything is decided.
    pub(super) fn judge_evidence(&self, op: &Op) -> Option<Judged> {
        match op {
            Op::Audit { kind: AuditKind::Evidence, payload } => {
                if !Evidence::is_known(payload) {
                    return Some(Judged::Unsupported);
                }
                let Ok(evidence) = Evidence::decode(payload) else { return Some(Judged::Inert) };
                match evidence.check(self.identity.genesis(), self.identity.keyring()) {
                    Ok(_) => None,
                    Err(EvidenceFault::Key) => Some(Judged::Key),
                    Err(_) => Some(Judged::Inert),
                }
            }
            Op::Control { kind: ControlKind::Resolve, payload } => match payload.first() {
                Some(&VERSION) => resolved(payload).is_err().then_some(Judged::Inert),
                _ => Some(Judged::Unsupported),
            },
            _ => None,
        }
    }

    /// Takes in what an integrated one says.
    pub(super) fn take_evidence(&mut self, at: &Authored, op: &Op, now_ms: u64) {
        match op {
            Op::Audit { kind: AuditKind::Evidence, payload } => {
                let evidence = Evidence::decode(payload).expect("integrated evidence decodes");
                let id = evidence.id(&self.space());
                let accused = evidence
                    .accused(self.identity.genesis())
                    .expect("integrated evidence shows what it claims");
                let (kind, is_proof) = (evidence.kind(), evidence.is_proof());
                let case = Case { id, evidence, accused, changeset: at.changeset, reporter: at.member };
                self.inquiry.open.retain(|(_, open, _)| *open != id);
                if !self.inquiry.cases.add(case) {
                    return;
                }
                self.outputs.push_back(Output::Evidence);
                let (actor, member) = match accused {
                    Accused::Actor(actor) => (Some(actor), self.member_of(actor)),
                    Accused::Member(member) => (None, Some(member)),
                };
                if is_proof && let Some(actor) = actor {
                    self.count(actor, Fact::Proven, now_ms);
                }
                if kind == "fork" && member == Some(self.member()) {
                    self.inquiry.owed.push(id);
                }
                let detail = Detail {
                    actor,
                    member,
                    changeset: Some(at.id),
                    text: format!("{kind} {id}"),
                    ..Detail::default()
                };
                self.note_unless_loading(NoteKind::Evidence, detail, now_ms);
            }
            Op::Control { kind: ControlKind::Resolve, payload } => {
                let id = resolved(payload).expect("an integrated resolution decodes");
                let is_admin = self.log.author(at.changeset).role >= Role::Admin;
                let said =
                    Resolution { changeset: at.changeset, actor: at.actor, member: at.member, is_admin };
                let was_settled = self.is_settled_case(&id);
                self.inquiry.cases.resolve(id, said);
                if self.is_settled_case(&id) != was_settled {
                    self.outputs.push_back(Output::Evidence);
                }
                let (actor, member) = (Some(at.actor), Some(at.member));
                let detail = Detail {
                    actor,
                    member,
                    changeset: Some(at.id),
                    text: format!("settled {id}"),
                    ..Detail::default()
                };
                self.note_unless_loading(NoteKind::Evidence, detail, now_ms);
            }
            _ => return,
        }
        self.doubt_anew(at);
    }

    fn is_settled_case(&self, id: &EvidenceId) -> bool {
        let cases = &self.inquiry.cases;
        cases.get(id).is_some_and(|case| cases.settled(case, |actor| self.member_of(actor)).is_some())
    }

    /// What is in doubt may be something else now: there is more evidence, or an actor is known whose it is.
    pub(super) fn doubt_anew(&mut self, at: &Authored) {
        let doubted = self.inquiry.cases.doubted(None, |actor| self.member_of(actor));
        let affected = self.policy.doubt(doubted);
        if !affected.is_empty() {
            self.reconsider(&affected, at);
            self.outputs.push_back(Output::Policy);
        }
    }

    /// Whether anything was ever said to any evidence.
    pub(super) fn has_cases(&self) -> bool {
        self.inquiry.cases.all().next().is_some()
    }

    /// This member's own actor is accused: it signs no more, and what it wrote is this member's. So a tab that was copied, or a disk that was restored,
    /// hides nothing from anybody for long.
    fn own_up(&mut self, id: EvidenceId, env: &mut Env<'_>) {
        let Some(case) = self.inquiry.cases.get(&id) else { return };
        if self.inquiry.cases.settled(case, |actor| self.member_of(actor)).is_some() {
            return;
        }
        if self.actor.is_some_and(|actor| case.accused == Accused::Actor(actor)) {
            self.replace_actor(env);
        }
        // Who may not, or cannot sign, leaves it to others.
        let _ = self.resolve_evidence(id, env);
    }

    /// Whether it is known, or follows from what is: whoever forks a thousand times in one place is told of once, until that is settled.
    fn adds_nothing(&self, evidence: &Evidence, accused: Accused) -> bool {
        let is_like = |case: &Case| {
            let is_said = case.evidence.is_about_votes() && evidence.is_about_votes();
            let is_open = || self.inquiry.cases.settled(case, |actor| self.member_of(actor)).is_none();
            is_said && case.accused == accused && is_open()
        };
        let is_doubted = evidence
            .doubts()
            .is_some_and(|(actor, seq)| self.policy.doubted().get(&actor).is_some_and(|from| *from <= seq));
        let is_known = self.inquiry.cases.get(&evidence.id(&self.space())).is_some();
        is_known || is_doubted || self.inquiry.cases.all().any(is_like)
    }

    fn look_into_forks(&mut self, env: &mut Env<'_>) {
        if !self.log.is_whole() || self.loading {
            return;
        }
        while let Some(fork) = self.log.forks().get(self.inquiry.next_fork).copied() {
            self.inquiry.next_fork += 1;
            let ids = [fork.first, fork.second];
            let signed = ids.map(|id| self.log.find(&id).map(|changeset| changeset.signed().clone()));
            if let [Some(first), Some(second)] = signed {
                self.report_evidence(Evidence::fork(&first, &second), env);
            }
        }
    }

    fn evidence_info(&self, case: &Case) -> EvidenceInfo {
        let graph = self.log.graph();
        let actors = case.evidence.actors();
        let member = match case.accused {
            Accused::Actor(actor) => self.member_of(actor),
            Accused::Member(member) => Some(member),
        };
        let settled = self.inquiry.cases.settled(case, |actor| self.member_of(actor));
        EvidenceInfo {
            changeset: graph.id(case.changeset),
            actors,
            member,
            is_proven: case.evidence.is_proof() || self.inquiry.found.contains(&case.id),
            settled: settled.map(|ix| graph.id(ix)),
            case: case.clone(),
        }
    }

    fn note_unless_loading(&mut self, kind: NoteKind, detail: Detail, now_ms: u64) {
        if !self.loading {
            self.note_often(kind, detail, now_ms);
        }
    }
}

/// What a maker signed about a snapshot.
#[derive(Clone, Debug)]
pub(super) struct SignedSnapshot {
    pub manifest: Vec<u8>,
    pub chain: Vec<u8>,
    pub signature: Signature,
}

const VERSION: u8 = 1;

/// The payload of the op that settles evidence.
fn resolution(id: EvidenceId) -> Vec<u8> {
    let mut payload = Writer::new();
    payload.u8(VERSION).raw(&id.0);
    payload.into_bytes()
}

fn resolved(payload: &[u8]) -> Result<EvidenceId, DecodeError> {
    let mut from = Reader::new(payload);
    from.expect_u8("version", VERSION)?;
    let id = EvidenceId(from.array("evidence")?);
    from.finish("resolution")?;
    Ok(id)
}
