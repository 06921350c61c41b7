//! That a block is certified, shown to whoever has nothing of the space but its id: the header, the set that it names, and the precommits with
//! certificates of who signed them.
//!
//! What it does not show is whether the set is the one that the owner of the space chose: that is in ops that only members can read. Nor the polka that
//! goes before a certificate: of a quorum who precommit, those who keep to the rules have seen one.

use super::block::{BlockHeader, BlockId};
use super::validators::{VALIDATORS_MAX, ValidatorSet};
use super::vote::{Phase, SignedVote, Vote};
use crate::causal::{ActorId, ChangesetId, MemberId};
use crate::crypto::Signature;
use crate::event::{Chain, Genesis};

/// A block, and who certified it. Any values: see [`BlockProof::check`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockProof {
    /// What is hashed.
    pub header: BlockHeader,
    /// The round whose precommits these are.
    pub round: u32,
    /// The choice of validators that began the chain: it is in the hash of the set.
    pub era: ChangesetId,
    /// Who votes on the block, with their weights.
    pub members: Vec<(MemberId, u32)>,
    /// One of each member at most.
    pub certificate: Vec<Precommit>,
}

/// A precommit, and who it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Precommit {
    /// Whose signature it is.
    pub actor: ActorId,
    /// That of the vote.
    pub signature: Signature,
    /// The certificates from the root to the actor, encoded.
    pub chain: Vec<u8>,
}

/// What a proof of a block shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenBlock {
    /// The block.
    pub id: BlockId,
    /// Who signed, in the order of the proof, with their weights.
    pub signers: Vec<(MemberId, u32)>,
    /// The weight of who signed.
    pub weight: u64,
    /// That which certifies.
    pub quorum: u64,
    /// That of all in the set.
    pub total: u64,
}

/// Why a proof of a block shows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockProofFault {
    /// The header names another set, or it is no set.
    #[error("the block is of another set")]
    Set,
    /// Certificates do not lead from the root of the space to who signed.
    #[error("the certificates do not show who signed")]
    Chain,
    /// Somebody signed who is not in the set, or twice, or those who did are no quorum.
    #[error("who signed is no quorum of the set")]
    Certificate,
    /// A precommit is not signed by its actor.
    #[error("a precommit is not signed by its actor")]
    Signature,
}

impl BlockProofFault {
    /// The field of the proof that does not fit, as it is called in JSON.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Set => "validators",
            Self::Chain => "chain",
            Self::Certificate => "certificate",
            Self::Signature => "signature",
        }
    }
}

impl BlockProof {
    /// What it shows of a block of the space that began with this. Up to five signatures for each who signed.
    pub fn check(&self, genesis: &Genesis) -> Result<ProvenBlock, BlockProofFault> {
        let Self { header, round, era, members, certificate } = self;
        let is_set = members.len() <= VALIDATORS_MAX
            && members.iter().all(|(_, weight)| *weight > 0)
            && members.is_sorted_by(|(one, _), (other, _)| one < other);
        let set = ValidatorSet { members: members.clone(), ..ValidatorSet::default() };
        if !is_set || set.digest(era) != header.set {
            return Err(BlockProofFault::Set);
        }
        let (space, id) = (genesis.id(), header.id());
        let (height, round, block) = (header.height, *round, Some(id));
        let vote = Vote { height, round, phase: Phase::Precommit, valid: None, set: header.set, block };
        let mut signers: Vec<(MemberId, u32)> = Vec::new();
        for Precommit { actor, signature, chain } in certificate {
            let author = Chain::decode(chain).ok().and_then(|chain| chain.verify_actor(genesis).ok());
            let author = author.filter(|author| author.actor == *actor).ok_or(BlockProofFault::Chain)?;
            let weight = set.weight(&author.member);
            if weight == 0 || signers.iter().any(|(signer, _)| *signer == author.member) {
                return Err(BlockProofFault::Certificate);
            }
            if !(SignedVote { vote, signature: *signature }).is_signed_by(actor, &space) {
                return Err(BlockProofFault::Signature);
            }
            signers.push((author.member, weight));
        }
        let weight = signers.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let (quorum, total) = (set.quorum(), set.total());
        if weight < quorum {
            return Err(BlockProofFault::Certificate);
        }
        Ok(ProvenBlock { id, signers, weight, quorum, total })
    }
}
