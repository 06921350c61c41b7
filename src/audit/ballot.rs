//! The votes of one height, and what they come to. A pure function of what was said: no order, no time.
//!
//! Whoever says two things counts for both: that two blocks have so many votes is what shows who it was.

use super::block::BlockId;
use super::vote::{Phase, Vote};
use crate::causal::ChangesetIx;
use crate::crypto::Digest;
use crate::steps;

/// One vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cast {
    /// Whose: the number of the member in the set.
    pub by: u16,
    /// In which attempt.
    pub round: u32,
    /// What is voted on.
    pub phase: Phase,
    /// For which block; none: for none.
    pub block: Option<BlockId>,
    /// The round of the polka that allows a prevote.
    pub valid: Option<u32>,
    /// What carries it.
    pub carrier: ChangesetIx,
}

impl Cast {
    fn contradicts(&self, other: &Self) -> bool {
        let vote = |one: &Self| {
            let Self { round, phase, block, valid, .. } = *one;
            Vote { height: 0, round, phase, valid, set: Digest([0; 32]), block }
        };
        self.by == other.by && vote(self).contradicts(&vote(other)).is_some()
    }
}

/// Votes, and what each voter weighs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ballot {
    weights: Vec<u32>,
    casts: Vec<Cast>,
}

impl Ballot {
    /// Without votes.
    #[must_use]
    pub fn new(weights: Vec<u32>) -> Self {
        Self { weights, casts: Vec::new() }
    }

    /// Counts a vote of somebody who is in the set; the same said again is nothing new.
    pub fn cast(&mut self, cast: Cast) {
        let said = |other: &Cast| Cast { carrier: cast.carrier, ..*other } == cast;
        if !self.casts.iter().any(said) {
            self.casts.push(cast);
        }
    }

    /// All votes, as they came.
    #[must_use]
    pub fn casts(&self) -> &[Cast] {
        &self.casts
    }

    /// How many voters there are.
    #[must_use]
    pub fn voters(&self) -> usize {
        self.weights.len()
    }

    /// The weight of all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.weights.iter().map(|weight| u64::from(*weight)).sum()
    }

    /// The weight that decides.
    #[must_use]
    pub fn quorum(&self) -> u64 {
        quorum_of(self.total())
    }

    /// Whether those who weigh a quorum prevoted a block in a round, or none. A prevote that appeals to an earlier polka counts
    /// with that.
    #[must_use]
    pub fn has_polka(&self, round: u32, block: Option<BlockId>) -> bool {
        let counts = |cast: &Cast| {
            (cast.round, cast.phase, cast.block) == (round, Phase::Prevote, block)
                && cast.valid.is_none_or(|valid| valid < round && self.has_polka(valid, block))
        };
        self.weight_of(counts) >= self.quorum()
    }

    /// The block that has a polka in a round; if there are two, which takes many who say both, the smaller id.
    #[must_use]
    pub fn polka(&self, round: u32) -> Option<BlockId> {
        let prevoted = self.casts.iter().filter(|cast| (cast.round, cast.phase) == (round, Phase::Prevote));
        let mut blocks: Vec<BlockId> = prevoted.filter_map(|cast| cast.block).collect();
        blocks.sort_unstable();
        blocks.dedup();
        blocks.into_iter().find(|block| self.has_polka(round, Some(*block)))
    }

    /// The blocks that so many precommitted in one round that they are certified, ascending, each with the first such round.
    #[must_use]
    pub fn certified(&self) -> Vec<(BlockId, u32)> {
        let precommitted = self.casts.iter().filter(|cast| cast.phase == Phase::Precommit);
        let mut found: Vec<(BlockId, u32)> =
            precommitted.filter_map(|cast| Some((cast.block?, cast.round))).collect();
        found.sort_unstable();
        found.dedup();
        found.retain(|(block, round)| {
            let counts = |cast: &Cast| {
                (cast.round, cast.phase, cast.block) == (*round, Phase::Precommit, Some(*block))
            };
            self.weight_of(counts) >= self.quorum() && self.has_polka(*round, Some(*block))
        });
        found.dedup_by_key(|(block, _)| *block);
        found
    }

    /// The precommits of a round for a block: its certificate.
    pub fn certificate(&self, block: BlockId, round: u32) -> impl Iterator<Item = &Cast> {
        let counts = move |cast: &&Cast| {
            (cast.round, cast.phase, cast.block) == (round, Phase::Precommit, Some(block))
        };
        self.casts.iter().filter(counts)
    }

    /// Whether those who weigh a quorum voted in a phase, for whatever.
    #[must_use]
    pub fn is_full(&self, round: u32, phase: Phase) -> bool {
        self.weight_of(|cast| (cast.round, cast.phase) == (round, phase)) >= self.quorum()
    }

    /// The latest round after this one in which, or later, more voters are than those who may be lying.
    #[must_use]
    pub fn ahead(&self, round: u32) -> Option<u32> {
        let mut later: Vec<u32> = self.casts.iter().map(|cast| cast.round).filter(|at| *at > round).collect();
        later.sort_unstable();
        later.dedup();
        let may_lie = self.total() - self.quorum();
        later.into_iter().rev().find(|at| self.weight_of(|cast| cast.round >= *at) > may_lie)
    }

    /// Voters of whom two votes contradict each other, ascending.
    #[must_use]
    pub fn liars(&self) -> Vec<u16> {
        let lies = |by: &u16| {
            let own: Vec<&Cast> = self.casts.iter().filter(|cast| cast.by == *by).collect();
            own.iter().enumerate().any(|(at, one)| own[at + 1..].iter().any(|other| one.contradicts(other)))
        };
        (0..self.weights.len() as u16).filter(lies).collect()
    }

    /// What those weigh together of whom a vote is such a one.
    fn weight_of(&self, counts: impl Fn(&Cast) -> bool) -> u64 {
        let mut seen = vec![false; self.weights.len()];
        steps::count(self.casts.len());
        self.casts.iter().filter(|cast| counts(cast)).for_each(|cast| seen[usize::from(cast.by)] = true);
        self.weights.iter().zip(seen).filter(|(_, seen)| *seen).map(|(weight, _)| u64::from(*weight)).sum()
    }
}

/// The weight that decides, of so much: of any two sets that have it, more than a third of all the weight is in both.
pub(super) fn quorum_of(total: u64) -> u64 {
    2 * total / 3 + 1
}
