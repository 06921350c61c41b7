//! What a validator says of a block: a statement that can be shown without the changeset that carries it, and two of which can
//! show that whoever signed both keeps to no rule.

use super::block::{BlockId, HEIGHT_MAX, ROUND_MAX, read_valid};
use crate::causal::{ActorId, SpaceId};
use crate::codec::{DecodeError, Reader, Writer};
use crate::crypto::{Digest, Signature, SigningKey, Tag, VerifyingKey};

/// The two times that validators are asked in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Phase {
    /// Whether the block that is proposed is right.
    Prevote = 0,
    /// Whether so many said so that it can be the block of this height.
    Precommit = 1,
}

/// A vote, without its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    /// Of which block of the chain.
    pub height: u64,
    /// In which attempt.
    pub round: u32,
    /// What is voted on.
    pub phase: Phase,
    /// In which earlier round a quorum prevoted the block: what allows a prevote against a lock.
    pub valid: Option<u32>,
    /// Who votes there: the hash of the set.
    pub set: Digest,
    /// The block; none: this round is to pass without one.
    pub block: Option<BlockId>,
}

/// A vote as a validator signed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedVote {
    /// What is said.
    pub vote: Vote,
    /// The actor's, over the space and all of it.
    pub signature: Signature,
}

/// How two statements of one member show that it keeps to no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Contradiction {
    /// Two votes in one phase of one round.
    DoubleVote,
    /// A precommit, and a prevote for another block in a later round which no quorum since then allows.
    BrokenLock,
    /// Two proposals in one round.
    DoubleBlock,
}

impl Vote {
    /// How it contradicts another vote of the same member in the same space, in whatever order.
    #[must_use]
    pub fn contradicts(&self, other: &Self) -> Option<Contradiction> {
        if (self.set, self.height) != (other.set, other.height) || self.block == other.block {
            return None;
        }
        if self.round == other.round {
            return (self.phase == other.phase).then_some(Contradiction::DoubleVote);
        }
        let (first, later) = if self.round < other.round { (self, other) } else { (other, self) };
        let is_locked = first.phase == Phase::Precommit && first.block.is_some();
        let is_against = later.phase == Phase::Prevote && later.block.is_some();
        let is_allowed = later.valid.is_some_and(|valid| valid >= first.round);
        (is_locked && is_against && !is_allowed).then_some(Contradiction::BrokenLock)
    }

    /// Signs it.
    #[must_use]
    pub fn sign(self, key: &SigningKey, space: &SpaceId) -> SignedVote {
        let signature = self.with_parts(space, |parts| key.sign(Tag::VOTE, parts));
        SignedVote { vote: self, signature }
    }

    /// What is signed.
    fn with_parts<T>(&self, space: &SpaceId, with: impl FnOnce(&[&[u8]]) -> T) -> T {
        let valid = self.valid.map_or(0, |valid| valid + 1);
        with(&[
            &space.0,
            &self.set.0,
            &self.height.to_le_bytes(),
            &self.round.to_le_bytes(),
            &[self.phase as u8],
            &valid.to_le_bytes(),
            &[u8::from(self.block.is_some())],
            &self.block.map_or([0; 32], |block| block.0),
        ])
    }
}

impl SignedVote {
    /// Whether an actor signed it.
    #[must_use]
    pub fn is_signed_by(&self, actor: &ActorId, space: &SpaceId) -> bool {
        let check = |parts: &[&[u8]]| {
            VerifyingKey::parse(&actor.0)
                .is_some_and(|key| key.verify(Tag::VOTE, parts, &self.signature).is_ok())
        };
        self.vote.with_parts(space, check)
    }

    /// The payload of the op that says so.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let Vote { height, round, phase, valid, set, block } = self.vote;
        let mut payload = Writer::new();
        payload.u8(VERSION).varint(height).varint(u64::from(round)).u8(phase as u8);
        payload.varint(valid.map_or(0, |valid| u64::from(valid) + 1)).raw(&set.0);
        payload.varint(u64::from(block.is_some()));
        if let Some(block) = block {
            payload.raw(&block.0);
        }
        payload.raw(&self.signature.0);
        payload.into_bytes()
    }

    /// Reads a payload of this version.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let at = reader.position();
        let invalid = |rule| DecodeError::Invalid { what: "vote", at, rule };
        if reader.u8("version")? != VERSION {
            return Err(invalid("the version is known"));
        }
        let height = reader.varint("height", HEIGHT_MAX)?;
        let round = reader.varint_u32("round", ROUND_MAX)?;
        let phase = match reader.u8("phase")? {
            0 => Phase::Prevote,
            1 => Phase::Precommit,
            _ => return Err(invalid("the phase is known")),
        };
        let valid = read_valid(&mut reader, round)?;
        let set = Digest(reader.array("set")?);
        let block = match reader.count("block", 1, 32)? {
            0 => None,
            _ => Some(BlockId(reader.array("block")?)),
        };
        if valid.is_some() && (block.is_none() || phase == Phase::Precommit) {
            return Err(invalid("only a prevote for a block has a round of before"));
        }
        let signature = Signature(reader.array("signature")?);
        reader.finish("vote")?;
        Ok(Self { vote: Vote { height, round, phase, valid, set, block }, signature })
    }
}

const VERSION: u8 = 1;
