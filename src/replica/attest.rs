//! Validators: who is asked, attesting what has been seen, and what a quorum of them makes final.
//!
//! Invariant: nothing here delays or refuses a write. Attestations are changesets as any other, made between two batches.

use super::blocks::Making;
use super::seal::Sealed;
use super::{Env, Output, Replica, Tier};
use crate::audit::{Attestation, Attested, Consent, Consented, SignedProposal, SignedVote, ValidatorSet};
use crate::causal::{ChangesetId, ChangesetIx, MemberId};
use crate::doc::RefTable;
use crate::event::{AuditKind, Class, Content, ControlKind, Op, Ready, Role, Skeleton, Value};
use crate::trust::Authored;

/// What this replica does about it.
#[derive(Default)]
pub(super) struct Validating {
    /// Whether it attests what it sees.
    is_on: bool,
    /// Whether there is something to attest besides attestations.
    is_due: bool,
    /// When it attested last.
    last_ms: u64,
}

/// Why validators were not chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceFault {
    /// Only who administers the space may choose.
    #[error("only an owner or an admin chooses validators")]
    Role,
    /// This device has no actor that could sign.
    #[error("there is no actor to sign with")]
    Actor,
    /// A transaction is running.
    #[error("validators are not chosen inside a transaction")]
    Transact,
}

impl Replica {
    /// Chooses who is to attest, in place of those chosen before; an empty set asks nobody. Seals the open batch first. Where it
    /// asks for blocks and there is no chain that goes on, it begins one, behind the last block that there is.
    pub fn choose_validators(
        &mut self,
        set: &ValidatorSet,
        env: &mut Env<'_>,
    ) -> Result<ChangesetId, ChoiceFault> {
        if self.role() < Role::Admin {
            return Err(ChoiceFault::Role);
        }
        if self.batch.in_transact {
            return Err(ChoiceFault::Transact);
        }
        self.actor.ok_or(ChoiceFault::Actor)?;
        self.flush(env);
        let mut set = set.clone();
        if let Some(rules) = &mut set.blocks {
            let is_over = self.open_height().is_none();
            rules.begins = rules.begins.or_else(|| is_over.then(|| self.beginning()));
        }
        let op = Op::Control { kind: ControlKind::Validators, payload: set.encode() };
        self.state_alone(Class::Control, |_| op, env).ok_or(ChoiceFault::Actor)
    }

    /// Whom the space asks to attest.
    pub fn validators(&self) -> Option<&ValidatorSet> {
        self.chain.validators(self.log.graph())
    }

    /// The latest attestations, with the ids of the changesets that carry them.
    pub fn attestations(&self) -> impl Iterator<Item = (ChangesetId, &Attested)> + '_ {
        self.finality.attested().iter().map(|attested| (self.log.graph().id(attested.changeset), attested))
    }

    /// Whether a changeset is in a block, or, where no blocks are made, a quorum has attested it; none for one that is not in the
    /// graph. O(validators * log n).
    pub fn is_final(&self, id: &ChangesetId) -> Option<bool> {
        let ix = self.log.graph().get(id)?;
        Some(self.is_settled(ix))
    }

    fn is_settled(&self, ix: ChangesetIx) -> bool {
        let graph = self.log.graph();
        match self.validators() {
            Some(set) if set.blocks.is_some() => self.chain.is_final(graph, ix),
            Some(set) => self.finality.is_final(graph, set, ix),
            None => false,
        }
    }

    /// Per changeset, whether it is final. O(n * validators * log n).
    pub(super) fn finals(&self) -> Vec<bool> {
        (0..self.log.graph().len()).map(|ix| self.is_settled(ChangesetIx(ix))).collect()
    }

    /// Attests from now on what is here, whenever there is something new and this member is among the validators; or no more.
    pub fn validate(&mut self, is_on: bool) {
        self.validating.is_on = is_on;
        self.making = Making::anew();
        self.validating.is_due = is_on && !self.finality.has_attested_all(self.log.graph(), self.member());
    }

    /// When the next attestation is due; none while something is edited, for then it has to wait.
    pub(super) fn attest_due(&self) -> Option<u64> {
        let Validating { is_due, last_ms, .. } = self.validating;
        if !is_due || !self.is_free_to_state() {
            return None;
        }
        let asks = |set: &&ValidatorSet| set.weight(&self.member()) > 0;
        // Those who are chosen, and those who go on until the chosen ones have taken over.
        let open = || self.chain.open(self.log.graph()).map(|open| &open.set);
        let set = self.validators().filter(asks).or_else(|| open().filter(asks))?;
        // For a block there has to be something that was attested before.
        let pause_ms = if set.blocks.is_some() { set.pause_ms / 2 } else { set.pause_ms };
        Some(last_ms + pause_ms)
    }

    /// Whether it is asked to say something, and nothing is being edited.
    pub(super) fn is_free_to_state(&self) -> bool {
        let is_busy = self.fold.has_batch() || self.batch.in_transact || self.log.has_ready();
        self.validating.is_on && !is_busy && self.actor.is_some()
    }

    /// Attests, if it is time and nothing is being edited.
    pub(super) fn attest_if_due(&mut self, env: &mut Env<'_>) {
        self.validating.last_ms = self.validating.last_ms.min(env.now_ms);
        if self.attest_due().is_none_or(|due| due > env.now_ms) {
            return;
        }
        self.validating.last_ms = env.now_ms;
        let sign = |replica: &mut Self| {
            let head = replica.audit_head();
            let attestation =
                Attestation::sign(replica.signing_key(), &replica.space(), head.size, head.root);
            let attestation = Attestation { journal: replica.journal_head(), ..attestation };
            Op::Audit { kind: AuditKind::Attest, payload: attestation.encode() }
        };
        self.state_alone(Class::Audit, sign, env);
        // After it: what gathers too many heads first is attested as well.
        self.validating.is_due = false;
    }

    /// Signs a changeset with one op, which is made when nothing comes between it and the changeset any more, and takes it in.
    pub(super) fn state_alone(
        &mut self,
        class: Class,
        op: impl FnOnce(&mut Self) -> Op,
        env: &mut Env<'_>,
    ) -> Option<ChangesetId> {
        self.state_with(class, Value::Null, &[], op, env)
    }

    /// The same with something that can be read beside the op, and changesets that it names.
    pub(super) fn state_with(
        &mut self,
        class: Class,
        value: Value,
        named: &[ChangesetIx],
        op: impl FnOnce(&mut Self) -> Op,
        env: &mut Env<'_>,
    ) -> Option<ChangesetId> {
        let (actor, mut sealed) = (self.actor?, Sealed::default());
        let parents = self.parents(actor, env.now_ms, env, &mut sealed);
        let op = op(self);
        let content = Content { values: vec![value], ..Content::default() };
        let mut refs = RefTable::new(self.log.graph(), parents.0, &parents.1);
        named.iter().for_each(|named| refs.add(*named));
        let (refs, hlc) = (refs.into_refs(), self.clock.tick(env.now_ms));
        let skeleton = Skeleton { hlc, refs, ops: vec![op], ..Skeleton::default() };
        self.sign_apart(class, actor, parents, (&skeleton, Some(&content)), &mut sealed, env);
        let (id, last_write) = (sealed.ids.last().copied(), self.last_write);
        self.store_own(actor, sealed, env);
        if class == Class::Audit {
            self.last_write = last_write; // the app wrote nothing
        }
        id
    }

    /// What the ops of a class that is not folded come to before anything is decided: none where they are fine.
    pub(super) fn judge_statements(&self, skeleton: &Skeleton, ready: &Ready) -> Option<Judged> {
        let header = ready.changeset.header();
        let is_redaction = |op: &Op| matches!(op, Op::Control { kind: ControlKind::Redact, .. });
        if !header.redacts().is_empty() && !skeleton.ops.iter().any(is_redaction) {
            return Some(Judged::Inert);
        }
        skeleton.ops.iter().find_map(|op| match op {
            Op::Control { kind: ControlKind::Validators, payload } => {
                if !payload.first().is_some_and(|version| ValidatorSet::knows(*version)) {
                    return Some(Judged::Unsupported);
                }
                let is_right =
                    self.log.role_of(ready) >= Role::Admin && ValidatorSet::decode(payload).is_ok();
                (!is_right).then_some(Judged::Inert)
            }
            Op::Control { kind: ControlKind::Redact, payload } => {
                self.judge_redaction(payload, skeleton, ready)
            }
            Op::Audit { kind: kind @ (AuditKind::Attest | AuditKind::Block | AuditKind::Vote), payload } => {
                let is_known = match kind {
                    AuditKind::Attest => Attestation::is_known(payload),
                    _ => payload.first() == Some(&1),
                };
                if !is_known {
                    return Some(Judged::Unsupported);
                }
                let (actor, space) = (&header.actor(), &self.space());
                let is_signed = match kind {
                    AuditKind::Attest => {
                        Attestation::decode(payload).is_ok_and(|one| one.is_signed_by(actor, space))
                    }
                    AuditKind::Block => {
                        SignedProposal::decode(payload).is_ok_and(|one| one.is_signed_by(actor, space))
                    }
                    _ => SignedVote::decode(payload).is_ok_and(|one| one.is_signed_by(actor, space)),
                };
                (!is_signed).then_some(Judged::Inert)
            }
            Op::Audit { kind: AuditKind::Erased, payload } => self.judge_erased(payload, skeleton, ready),
            Op::Audit { kind: AuditKind::Consent, payload } => {
                if payload.first() != Some(&1) {
                    return Some(Judged::Unsupported);
                }
                let consent = Consent::decode(payload);
                let is_own = consent.is_ok_and(|consent| !self.is_consent_of_another(&consent, ready));
                (!is_own).then_some(Judged::Inert)
            }
            Op::Audit { kind: AuditKind::Subject, payload } => Self::judge_subject(payload, skeleton),
            Op::Audit { kind: AuditKind::Request, payload } => self.judge_request(payload, skeleton, ready),
            _ => self.judge_evidence(op),
        })
    }

    /// Takes in what the statements of an integrated changeset say.
    pub(super) fn take_statements(
        &mut self,
        at: &Authored,
        skeleton: &Skeleton,
        content: Option<&Content>,
        now_ms: u64,
    ) {
        if !skeleton.ops.iter().all(is_of_validators) {
            self.note_unattested();
        } else {
            self.chain.note_statement(at.changeset);
        }
        let mut clear = content.map(|content| content.by_op(&skeleton.ops));
        let mut is_said = false;
        for (op, index) in skeleton.ops.iter().zip(0..) {
            let values = clear.as_mut().and_then(Iterator::next).map_or(&[][..], |(_, values)| values);
            if let Op::Control { kind, .. } = op {
                self.note_control(at, *kind, now_ms);
            }
            let graph = self.log.graph();
            match op {
                Op::Control { kind: ControlKind::Redact, .. } => {
                    self.note_redaction(at, now_ms);
                    self.take_redaction(at, content);
                    continue;
                }
                Op::Control { kind: ControlKind::Validators, payload } => {
                    let set = ValidatorSet::decode(payload).expect("an integrated choice decodes");
                    self.chain.choose(at.changeset, index, skeleton.hlc, set);
                }
                Op::Audit { kind: AuditKind::Erased, payload } => {
                    self.take_erased(at, skeleton, payload);
                    self.note_erased(at, skeleton, now_ms);
                    continue;
                }
                Op::Audit { kind: AuditKind::Attest, payload } => {
                    let attestation =
                        Attestation::decode(payload).expect("an integrated attestation decodes");
                    let attested = Attested { changeset: at.changeset, member: at.member, attestation };
                    self.chain.attest(at.changeset, at.member);
                    self.finality.attest(graph, attested);
                }
                Op::Audit { kind: AuditKind::Evidence, .. }
                | Op::Control { kind: ControlKind::Resolve, .. } => {
                    self.take_evidence(at, op, now_ms);
                    continue;
                }
                Op::Audit { kind: AuditKind::Block, payload } => {
                    let signed = SignedProposal::decode(payload).expect("an integrated block decodes");
                    self.chain.propose(at.changeset, at.member, signed.proposal);
                    self.suspect_validator(at.changeset);
                }
                Op::Audit { kind: AuditKind::Vote, payload } => {
                    let signed = SignedVote::decode(payload).expect("an integrated vote decodes");
                    self.chain.vote(at.changeset, at.member, signed.vote);
                    self.suspect_validator(at.changeset);
                }
                Op::Audit { kind: AuditKind::Consent, payload } => {
                    let consent = Consent::decode(payload).expect("an integrated consent decodes");
                    self.note_consent(at, &consent, now_ms);
                    let graph = self.log.graph();
                    let (changeset, member, stamp) = (at.changeset, at.member, skeleton.hlc);
                    let clear = values.first().cloned();
                    let said = Consented { consent, changeset, index, stamp, member, clear };
                    self.consents.say(graph, said);
                    self.subjects.say(changeset, consent.subject);
                    self.outputs.push_back(Output::Consent);
                    continue;
                }
                Op::Audit { kind: AuditKind::Subject, payload } => {
                    self.take_subject(at, skeleton, payload, values.first());
                    continue;
                }
                Op::Audit { kind: AuditKind::Request, payload } => {
                    self.take_request(at, skeleton, payload, values.first());
                    continue;
                }
                _ => continue,
            }
            is_said = true;
        }
        if is_said {
            let known = self.blocks_known();
            self.follow_blocks();
            self.note_blocks(known, now_ms);
            self.outputs.push_back(Output::Saved { tier: Tier::Final, ids: Vec::new() });
        }
    }

    /// Something came that no attestation of this member knows. That others attested is no news to attest.
    pub(super) fn note_unattested(&mut self) {
        self.validating.is_due = true;
    }

    /// Who has attested a changeset, ascending; none for one that is not in the graph.
    pub fn attested_by(&self, id: &ChangesetId) -> Vec<MemberId> {
        let graph = self.log.graph();
        graph.get(id).map_or_else(Vec::new, |ix| self.finality.seen_by(graph, ix))
    }
}

/// What statements come to that are not taken in.
pub(super) enum Judged {
    /// A later version may know them.
    Unsupported,
    /// Against the rules.
    Inert,
    /// Only who has a key can say.
    Key,
}

/// What validators say among themselves is no news to attest.
pub(super) fn is_of_validators(op: &Op) -> bool {
    matches!(op, Op::Audit { kind: AuditKind::Attest | AuditKind::Block | AuditKind::Vote, .. })
}
