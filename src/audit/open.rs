//! The height of a chain that is voted on: what is proposed there, and the votes. What is right is worked out in `era`.

use super::ballot::{Ballot, Cast};
use super::block::{BlockId, Proposal};
use super::chain::{Said, Statements, What};
use super::validators::ValidatorSet;
use super::voting::{Floor, Offer};
use crate::causal::{ChangesetIx, MemberId};
use crate::crypto::Digest;
use foldhash::HashMap;

/// How far the time of a block may be from that of whoever votes for it.
const TOLERANCE_MS: u64 = 600_000;

/// The height that is voted on.
#[derive(Clone, Debug)]
pub struct Open {
    /// Its number.
    pub height: u64,
    /// Who votes.
    pub set: ValidatorSet,
    /// The hash of the set.
    pub digest: Digest,
    /// The votes that are here.
    pub ballot: Ballot,
    /// The numbers of the members who propose, in their order.
    proposers: Vec<u16>,
    /// What is proposed by the right proposers, in the order in which it came.
    pub(super) proposals: Vec<Offered>,
    /// What is right, and what is wrong.
    pub(super) judged: HashMap<BlockId, Option<Cut>>,
    /// How many statements about this height were looked at.
    read: usize,
}

/// A proposal for the height that is open.
#[derive(Clone, Debug)]
pub(super) struct Offered {
    pub round: u32,
    pub valid: Option<u32>,
    pub block: BlockId,
    pub time_ms: u64,
    pub carrier: ChangesetIx,
}

/// What a block holds, in its order, and what follows from that.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    pub changesets: Vec<ChangesetIx>,
    pub root: Digest,
    pub frontier: Digest,
    /// The choice whose set votes next.
    pub next: usize,
    pub next_set: Digest,
}

impl Open {
    /// Of which nothing was heard yet.
    pub(super) fn new(height: u64, set: ValidatorSet, digest: Digest, proposers: Vec<u16>) -> Self {
        let (ballot, judged) = (ballot_of(&set), HashMap::default());
        Self { height, set, digest, ballot, proposers, proposals: Vec::new(), judged, read: 0 }
    }

    /// Takes in what was said about it since the last time.
    pub(super) fn hear(&mut self, statements: &Statements) {
        let about = statements.about(self.digest, self.height);
        count(&mut self.ballot, &self.set, &about[self.read..], statements);
        for at in &about[self.read..] {
            let Said { member, carrier, what: What::Block(proposal) } = &statements.said[*at as usize] else {
                continue;
            };
            if self.voter(member) == Some(self.proposer(proposal.round)) {
                let Proposal { round, valid, header } = &**proposal;
                let (block, time_ms) = (header.id(), header.time_ms);
                let (round, valid, carrier) = (*round, *valid, *carrier);
                self.proposals.push(Offered { round, valid, block, time_ms, carrier });
            }
        }
        self.read = about.len();
    }

    /// Who is asked to propose in a round.
    #[must_use]
    pub fn proposer(&self, round: u32) -> u16 {
        let at = (self.height % self.proposers.len() as u64 + u64::from(round)) % self.proposers.len() as u64;
        self.proposers[at as usize]
    }

    /// The number of a member in the set.
    #[must_use]
    pub fn voter(&self, member: &MemberId) -> Option<u16> {
        self.set.members.binary_search_by_key(member, |(member, _)| *member).ok().map(|at| at as u16)
    }

    /// What a voter goes by whose clock says so.
    #[must_use]
    pub fn seen_at(&self, now_ms: u64) -> Seen<'_> {
        Seen { open: self, now_ms }
    }

    /// Where a block was proposed.
    #[must_use]
    pub fn carrier(&self, block: &BlockId) -> Option<ChangesetIx> {
        self.proposals.iter().find(|offered| offered.block == *block).map(|offered| offered.carrier)
    }

    /// Whether its proposer proposed something in a round.
    #[must_use]
    pub fn is_proposed(&self, round: u32) -> bool {
        self.proposals.iter().any(|offered| offered.round == round)
    }

    pub(super) fn has_judged_right(&self, block: &BlockId) -> bool {
        matches!(self.judged.get(block), Some(Some(_)))
    }

    /// Whether anything was said about it.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        !self.proposals.is_empty() || !self.ballot.casts().is_empty()
    }
}

/// The height that is open, at a time.
pub struct Seen<'a> {
    open: &'a Open,
    now_ms: u64,
}

impl Floor for Seen<'_> {
    fn offer(&self, round: u32) -> Option<Offer> {
        let offered = self.open.proposals.iter().find(|offered| offered.round == round)?;
        Some(Offer {
            block: offered.block,
            valid: offered.valid,
            is_right: self.is_right(&offered.block),
            is_timely: offered.time_ms.abs_diff(self.now_ms) <= TOLERANCE_MS,
        })
    }

    fn is_right(&self, block: &BlockId) -> bool {
        self.open.has_judged_right(block)
    }
}

/// Without votes.
pub(super) fn ballot_of(set: &ValidatorSet) -> Ballot {
    Ballot::new(set.members.iter().map(|(_, weight)| *weight).collect())
}

/// Counts the votes of those who are in the set.
pub(super) fn count(ballot: &mut Ballot, set: &ValidatorSet, about: &[u32], statements: &Statements) {
    for at in about {
        let Said { member, carrier, what: What::Vote(vote) } = &statements.said[*at as usize] else {
            continue;
        };
        let Ok(by) = set.members.binary_search_by_key(member, |(member, _)| *member) else { continue };
        let by = by as u16;
        ballot.cast(Cast {
            by,
            round: vote.round,
            phase: vote.phase,
            block: vote.block,
            valid: vote.valid,
            carrier: *carrier,
        });
    }
}
