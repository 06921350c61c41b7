//! Validators who say two things: what shows it is found as it arrives, and told as evidence.

use super::{Env, Replica};
use crate::audit::{Evidence, Said, SignedProposal, SignedVote};
use crate::causal::ChangesetIx;
use crate::event::{AuditKind, Op};

/// What one changeset carries of blocks.
#[derive(Default)]
struct Carried {
    votes: Vec<Said<SignedVote>>,
    blocks: Vec<Said<SignedProposal>>,
}

impl Replica {
    /// A changeset carries a vote or a block: perhaps one that contradicts another one.
    pub(super) fn suspect_validator(&mut self, carrier: ChangesetIx) {
        if let Some(other) = self.chain.contrary(carrier) {
            self.inquiry.suspect_validator(carrier, other);
        }
    }

    /// What two changesets say that contradict each other.
    pub(super) fn look_into_validator(&mut self, one: ChangesetIx, other: ChangesetIx, env: &mut Env<'_>) {
        let (Some(one), Some(other)) = (self.carried(one), self.carried(other)) else { return };
        for (one, other) in one.votes.iter().flat_map(|one| other.votes.iter().map(move |other| (one, other)))
        {
            if one.statement.vote.contradicts(&other.statement.vote).is_some() {
                return self.report_evidence(Evidence::votes([one.clone(), other.clone()]), env);
            }
        }
        for (one, other) in
            one.blocks.iter().flat_map(|one| other.blocks.iter().map(move |other| (one, other)))
        {
            if one.statement.proposal.contradicts(&other.statement.proposal).is_some() {
                return self.report_evidence(Evidence::blocks([one.clone(), other.clone()]), env);
            }
        }
    }

    /// None where its bytes, or those of the certificates of who signed it, are not loaded.
    fn carried(&self, ix: ChangesetIx) -> Option<Carried> {
        let skeleton = self.log.entry(ix).changeset()?.open_skeleton(self.identity.keyring()).ok()?;
        let (actor, chain) = (self.log.graph().actor(ix), self.chain_of(ix)?);
        let mut carried = Carried::default();
        for op in &skeleton.ops {
            match op {
                Op::Audit { kind: AuditKind::Vote, payload } => {
                    let statement = SignedVote::decode(payload).ok()?;
                    carried.votes.push(Said { actor, statement, chain: chain.clone() });
                }
                Op::Audit { kind: AuditKind::Block, payload } => {
                    let statement = SignedProposal::decode(payload).ok()?;
                    carried.blocks.push(Said { actor, statement, chain: chain.clone() });
                }
                _ => {}
            }
        }
        Some(carried)
    }
}
