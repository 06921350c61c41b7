//! How one validator votes at one height: propose, prevote, precommit, with a lock on what it precommitted.
//!
//! Sans-I/O: votes and proposals go in, what is to be said next comes out, and what is waited for. Everything but the round is
//! read from the votes, its own ones among them: so a validator that comes back from its own stream is where it was, and says
//! nothing twice.

use super::ballot::{Ballot, Cast};
use super::block::BlockId;
use super::vote::Phase;

/// The first proposal of the right proposer for a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The block.
    pub block: BlockId,
    /// The round of the polka it appeals to.
    pub valid: Option<u32>,
    /// Whether the block is right.
    pub is_right: bool,
    /// Whether its time is about now.
    pub is_timely: bool,
}

/// What is known besides votes.
pub trait Floor {
    /// What is proposed in a round.
    fn offer(&self, round: u32) -> Option<Offer>;
    /// Whether a block is known, and right.
    fn is_right(&self, block: &BlockId) -> bool;
}

/// A vote that is to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Say {
    /// In which attempt.
    pub round: u32,
    /// On what.
    pub phase: Phase,
    /// For what.
    pub block: Option<BlockId>,
    /// Appealing to which round.
    pub valid: Option<u32>,
}

/// What a validator waits for, and for how long at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wait {
    /// A proposal.
    Proposal,
    /// Other prevotes than those that came, which decide nothing.
    Prevotes,
    /// Other precommits.
    Precommits,
}

/// A validator at one height.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Voting {
    me: u16,
    round: u32,
}

impl Voting {
    /// The validator with this number in the set, at the beginning.
    #[must_use]
    pub fn new(me: u16) -> Self {
        Self { me, round: 0 }
    }

    /// In which attempt it is.
    #[must_use]
    pub fn round(&self) -> u32 {
        self.round
    }

    /// Goes to the round where the others are, or where it was.
    pub fn catch_up(&mut self, ballot: &Ballot) {
        let own = self.own(ballot).map(|cast| cast.round).max();
        self.round = self.round.max(own.unwrap_or(0));
        self.round = ballot.ahead(self.round).unwrap_or(self.round);
    }

    /// What it says next, if there is something to say without waiting. To be asked again once that was counted.
    pub fn next(&mut self, ballot: &Ballot, floor: &impl Floor) -> Option<Say> {
        self.catch_up(ballot);
        match (self.has_said(ballot, Phase::Prevote), self.has_said(ballot, Phase::Precommit)) {
            (_, true) => None,
            (true, false) => match ballot.polka(self.round) {
                Some(block) => floor.is_right(&block).then(|| self.say(Phase::Precommit, Some(block), None)),
                None => ballot.has_polka(self.round, None).then(|| self.say(Phase::Precommit, None, None)),
            },
            (false, false) => {
                let offer = floor.offer(self.round)?;
                if offer.valid.is_some_and(|valid| !ballot.has_polka(valid, Some(offer.block))) {
                    return None;
                }
                Some(self.prevote(ballot, &offer))
            }
        }
    }

    /// What it waits for now, so as not to wait for ever.
    #[must_use]
    pub fn waits(&self, ballot: &Ballot) -> Option<Wait> {
        if ballot.is_full(self.round, Phase::Precommit) {
            return Some(Wait::Precommits);
        }
        match (self.has_said(ballot, Phase::Prevote), self.has_said(ballot, Phase::Precommit)) {
            (_, true) => None,
            (true, false) => ballot.is_full(self.round, Phase::Prevote).then_some(Wait::Prevotes),
            (false, false) => Some(Wait::Proposal),
        }
    }

    /// It has waited long enough in this round: what it says then, if it had not said it.
    pub fn waited(&mut self, ballot: &Ballot, wait: Wait) -> Option<Say> {
        let (has_prevoted, has_precommitted) =
            (self.has_said(ballot, Phase::Prevote), self.has_said(ballot, Phase::Precommit));
        match wait {
            Wait::Precommits => {
                self.round = self.round.saturating_add(1);
                None
            }
            _ if has_precommitted => None,
            Wait::Proposal => (!has_prevoted).then(|| self.say(Phase::Prevote, None, None)),
            Wait::Prevotes => has_prevoted.then(|| self.say(Phase::Precommit, None, None)),
        }
    }

    /// What it has to propose again if it is the proposer: the block that had a polka last, and in which round.
    #[must_use]
    pub fn proposes_again(&self, ballot: &Ballot, floor: &impl Floor) -> Option<(BlockId, u32)> {
        let mut rounds: Vec<u32> = ballot.casts().iter().map(|cast| cast.round).collect();
        rounds.sort_unstable();
        rounds.dedup();
        let before = rounds.into_iter().rev().filter(|round| *round < self.round);
        let mut polkas = before.filter_map(|round| Some((ballot.polka(round)?, round)));
        polkas.find(|(block, _)| floor.is_right(block))
    }

    /// Whether it has voted in this round.
    #[must_use]
    pub fn has_prevoted(&self, ballot: &Ballot) -> bool {
        self.has_said(ballot, Phase::Prevote)
    }

    /// For what is proposed, or for none. What it has precommitted it prevotes on the polka that it was precommitted on.
    fn prevote(&self, ballot: &Ballot, offer: &Offer) -> Say {
        let precommitted = self.own(ballot).filter(|cast| cast.phase == Phase::Precommit);
        let lock = precommitted.filter_map(|cast| Some((cast.round, cast.block?))).max();
        let held = lock.and_then(|(round, block)| (block == offer.block).then_some(round));
        let valid = offer.valid.max(held);
        let is_free = lock.is_none_or(|(round, _)| valid.is_some_and(|valid| round <= valid));
        let is_voted = offer.is_right && is_free && (offer.is_timely || valid.is_some());
        self.say(Phase::Prevote, is_voted.then_some(offer.block), valid.filter(|_| is_voted))
    }

    fn has_said(&self, ballot: &Ballot, phase: Phase) -> bool {
        self.own(ballot).any(|cast| (cast.round, cast.phase) == (self.round, phase))
    }

    fn own<'a>(&self, ballot: &'a Ballot) -> impl Iterator<Item = &'a Cast> {
        let me = self.me;
        ballot.casts().iter().filter(move |cast| cast.by == me)
    }

    fn say(&self, phase: Phase, block: Option<BlockId>, valid: Option<u32>) -> Say {
        Say { round: self.round, phase, block, valid }
    }
}
