//! A block, and what its proposer signs: statements that can be shown without the changeset that carries them.
//!
//! A block says what is settled by hashes alone. Whether they are right is seen by whoever has the changesets: `chain`.

use super::vote::Contradiction;
use crate::causal::{ActorId, ChangesetId, SpaceId};
use crate::codec::{DecodeError, Reader, Writer, limits};
use crate::crypto::{Digest, Signature, SigningKey, Tag, VerifyingKey, hash};
use std::fmt;

/// The greatest height.
pub const HEIGHT_MAX: u64 = (1 << 53) - 1;

/// The greatest round.
pub const ROUND_MAX: u32 = u32::MAX - 2;

/// So many attestations a block names at most: more than one of each validator, whose chains may have parted.
pub const NAMED_MAX: usize = 1_024;

/// A block: the hash of its header.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId(pub [u8; 32]);

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Digest(self.0).fmt(f)
    }
}

impl fmt::Debug for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlockId({}…)", &self.to_string()[..8])
    }
}

/// What is hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    /// Its number in the chain.
    pub height: u64,
    /// The round in which it was made; it may be proposed again in later ones.
    pub round: u32,
    /// What its proposer's clock said, in ms since 1970; after that of the block before.
    pub time_ms: u64,
    /// The block before; of the first one what its era says.
    pub previous: BlockId,
    /// How many changesets this block and all before it hold.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Digest,
    /// The ends of all chains in them, as a running hash.
    pub frontier: Digest,
    /// Who votes on it.
    pub set: Digest,
    /// Who votes on the block after it.
    pub next_set: Digest,
    /// The changesets with the attestations that it follows from, ascending.
    pub attestations: Vec<ChangesetId>,
}

/// A block as it is proposed, without the signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The attempt it is for.
    pub round: u32,
    /// In which earlier round a quorum prevoted it.
    pub valid: Option<u32>,
    /// The block.
    pub header: BlockHeader,
}

/// A proposal as its proposer signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedProposal {
    /// What is said.
    pub proposal: Proposal,
    /// The actor's, over the space and all of it.
    pub signature: Signature,
}

impl BlockHeader {
    /// The bytes that are hashed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.varint(self.height).varint(u64::from(self.round)).varint(self.time_ms).raw(&self.previous.0);
        out.varint(self.size);
        for digest in [self.root, self.frontier, self.set, self.next_set] {
            out.raw(&digest.0);
        }
        out.varint(self.attestations.len() as u64);
        for named in &self.attestations {
            out.raw(&named.0);
        }
        out.into_bytes()
    }

    /// Reads a header.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let height = reader.varint("height", HEIGHT_MAX)?;
        let round = reader.varint_u32("round", ROUND_MAX)?;
        let time_ms = reader.varint("time", limits::TIME_MS_MAX)?;
        let previous = BlockId(reader.array("previous")?);
        let size = reader.varint("size", u64::from(u32::MAX))?;
        let (root, frontier) = (Digest(reader.array("root")?), Digest(reader.array("frontier")?));
        let (set, next_set) = (Digest(reader.array("set")?), Digest(reader.array("next set")?));
        let at = reader.position();
        let count = reader.count("attestations", NAMED_MAX, 32)?;
        let mut attestations: Vec<ChangesetId> = Vec::with_capacity(count);
        for _ in 0..count {
            attestations.push(ChangesetId(reader.array("attestation")?));
        }
        if attestations.is_empty() || !attestations.is_sorted_by(|a, b| a < b) {
            let rule = "attestations ascend, and there is one";
            return Err(DecodeError::Invalid { what: "block", at, rule });
        }
        reader.finish("block")?;
        Ok(Self { height, round, time_ms, previous, size, root, frontier, set, next_set, attestations })
    }

    /// Its hash.
    #[must_use]
    pub fn id(&self) -> BlockId {
        BlockId(hash(Tag::BLOCK_ID, &[&self.encode()]).0)
    }
}

impl Proposal {
    /// How it contradicts another proposal of the same member in the same space.
    #[must_use]
    pub fn contradicts(&self, other: &Self) -> Option<Contradiction> {
        let place = |one: &Self| (one.header.set, one.header.height, one.round);
        let is_double = place(self) == place(other) && self.header != other.header;
        is_double.then_some(Contradiction::DoubleBlock)
    }

    /// Signs it.
    #[must_use]
    pub fn sign(self, key: &SigningKey, space: &SpaceId) -> SignedProposal {
        let signature = self.with_parts(space, |parts| key.sign(Tag::BLOCK, parts));
        SignedProposal { proposal: self, signature }
    }

    /// What is signed.
    fn with_parts<T>(&self, space: &SpaceId, with: impl FnOnce(&[&[u8]]) -> T) -> T {
        let valid = self.valid.map_or(0, |valid| valid + 1);
        with(&[
            &space.0,
            &self.header.set.0,
            &self.header.height.to_le_bytes(),
            &self.round.to_le_bytes(),
            &valid.to_le_bytes(),
            &self.header.id().0,
        ])
    }
}

impl SignedProposal {
    /// Whether an actor signed it.
    #[must_use]
    pub fn is_signed_by(&self, actor: &ActorId, space: &SpaceId) -> bool {
        let check = |parts: &[&[u8]]| {
            VerifyingKey::parse(&actor.0)
                .is_some_and(|key| key.verify(Tag::BLOCK, parts, &self.signature).is_ok())
        };
        self.proposal.with_parts(space, check)
    }

    /// The payload of the op that says so.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let Proposal { round, valid, header } = &self.proposal;
        let mut payload = Writer::new();
        payload.u8(VERSION).varint(u64::from(*round)).varint(valid.map_or(0, |valid| u64::from(valid) + 1));
        payload.bytes(&header.encode()).raw(&self.signature.0);
        payload.into_bytes()
    }

    /// Reads a payload of this version.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let at = reader.position();
        if reader.u8("version")? != VERSION {
            return Err(DecodeError::Invalid { what: "block", at, rule: "the version is known" });
        }
        let round = reader.varint_u32("round", ROUND_MAX)?;
        let valid = read_valid(&mut reader, round)?;
        let header = BlockHeader::decode(reader.bytes("header", usize::MAX)?)?;
        if header.round > round {
            return Err(DecodeError::Invalid { what: "block", at, rule: "it was made before" });
        }
        let signature = Signature(reader.array("signature")?);
        reader.finish("block")?;
        Ok(Self { proposal: Proposal { round, valid, header }, signature })
    }
}

/// A round before `round`, or none.
pub(super) fn read_valid(reader: &mut Reader<'_>, round: u32) -> Result<Option<u32>, DecodeError> {
    Ok(reader.varint_u32("valid", round)?.checked_sub(1))
}

const VERSION: u8 = 1;
