//! What a member signs about a snapshot that others may look at before they read the log (`docs/protocol.md` §8), and what a
//! witness signs about it.
//!
//! ```text
//! manifest = version u8 = 1 | state u8 | space [32] | log id [16] | cursor varint | chain [16] | actor [32] | run [16]
//!          | kid [16] | chunks: list of (hash [32] | bytes varint) | seal: bytes
//! ```
//! Invariant: the id covers every byte, and both signatures cover the id. Which state is in the chunks the seal says, to whoever
//! has the key: the hash of it, and the frontier.

use super::{Author, Chain, Genesis, Role};
use crate::causal::{ActorId, ChangesetId, LogChain, LogId, SpaceId};
use crate::codec::{DecodeError, Reader, Writer};
use crate::crypto::{Digest, Kid, Signature, SigningKey, Tag, VerifyingKey, hash};

/// Chunks of a snapshot that is shared: 64 MiB.
pub const SNAPSHOT_CHUNKS_MAX: usize = 256;
/// Bytes of one of them.
pub const SNAPSHOT_CHUNK_BYTES_MAX: usize = 262_144;
/// Bytes of a manifest.
pub const MANIFEST_BYTES_MAX: usize = 65_536;
/// Changesets of the frontier of a snapshot that is shared.
pub const SNAPSHOT_HEADS_MAX: usize = 1_024;

const VERSION: u8 = 1;

/// Names a snapshot: the hash of its manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId(pub [u8; 32]);

/// What is signed about a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The version of the state.
    pub state: u8,
    /// The space.
    pub space: SpaceId,
    /// The life of the relay's log.
    pub log_id: LogId,
    /// It stands for every row up to here.
    pub cursor: u64,
    /// The running hash over them.
    pub chain: LogChain,
    /// Who made it.
    pub actor: ActorId,
    /// The name of the run of chunks.
    pub run: [u8; 16],
    /// The epoch of their keys.
    pub kid: Kid,
    /// The hash and the bytes of each.
    pub chunks: Vec<(Digest, u32)>,
    /// A [`SealedDigest`], sealed.
    pub seal: Vec<u8>,
}

/// What only members read of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedDigest {
    /// The state hash of the past of the frontier, with nothing hidden.
    pub state_hash: Digest,
    /// The frontier, ascending.
    pub frontier: Vec<ChangesetId>,
}

/// As what somebody signs a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// Who made the snapshot.
    Maker,
    /// Who worked out the same state.
    Witness,
}

impl Voice {
    /// Signs.
    #[must_use]
    pub fn sign(self, actor: &SigningKey, id: SnapshotId) -> Signature {
        actor.sign(self.tag(), &[&id.0])
    }

    /// Who signed, if a chain from the genesis shows them as a writer.
    #[must_use]
    pub fn verify(
        self,
        genesis: &Genesis,
        id: SnapshotId,
        chain: &[u8],
        signature: &[u8; 64],
    ) -> Option<Author> {
        let author = Chain::decode(chain).ok()?.verify_actor(genesis).ok()?;
        let key = VerifyingKey::parse(&author.actor.0)?;
        key.verify(self.tag(), &[&id.0], &Signature(*signature)).ok()?;
        (author.role >= Role::Writer).then_some(author)
    }

    fn tag(self) -> Tag {
        match self {
            Self::Maker => Tag::MANIFEST,
            Self::Witness => Tag::WITNESS,
        }
    }
}

/// The hash of a chunk as it is stored.
#[must_use]
pub fn snapshot_chunk_hash(chunk: &[u8]) -> Digest {
    hash(Tag::SNAPSHOT_CHUNK, &[chunk])
}

impl SnapshotId {
    /// The id of the snapshot with this manifest, whether or not it decodes.
    #[must_use]
    pub fn of(manifest: &[u8]) -> Self {
        Self(hash(Tag::MANIFEST, &[manifest]).0)
    }
}

impl Manifest {
    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(VERSION).u8(self.state).raw(&self.space.0).raw(&self.log_id.0).varint(self.cursor);
        out.raw(&self.chain.0).raw(&self.actor.0).raw(&self.run).raw(&self.kid.0);
        out.varint(self.chunks.len() as u64);
        for (hash, bytes) in &self.chunks {
            out.raw(&hash.0).varint(u64::from(*bytes));
        }
        out.bytes(&self.seal);
        out.into_bytes()
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are none of this version.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut from = Reader::new(bytes);
        from.expect_u8("version", VERSION)?;
        let state = from.u8("state")?;
        let (space, log_id) = (SpaceId(from.array("space")?), LogId(from.array("log id")?));
        let cursor = from.varint("cursor", u64::MAX)?;
        let chain = LogChain(from.array("chain")?);
        let (actor, run) = (ActorId(from.array("actor")?), from.array("run")?);
        let kid = Kid(from.array("kid")?);
        let count = from.count("chunks", SNAPSHOT_CHUNKS_MAX, 33)?;
        let mut chunks = Vec::with_capacity(count);
        for _ in 0..count {
            let hash = Digest(from.array("hash")?);
            chunks.push((hash, from.varint_u32("bytes", SNAPSHOT_CHUNK_BYTES_MAX as u32)?));
        }
        let seal = from.bytes("seal", MANIFEST_BYTES_MAX)?.to_vec();
        from.finish("manifest")?;
        Ok(Self { state, space, log_id, cursor, chain, actor, run, kid, chunks, seal })
    }

    /// Bytes of all chunks.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.chunks.iter().map(|(_, bytes)| u64::from(*bytes)).sum()
    }

    /// Whether a chunk is the one of this number.
    #[must_use]
    pub fn is_chunk(&self, number: u32, chunk: &[u8]) -> bool {
        self.chunks.get(number as usize).is_some_and(|(hash, bytes)| {
            chunk.len() == *bytes as usize && snapshot_chunk_hash(chunk) == *hash
        })
    }
}

impl SealedDigest {
    /// The bytes that are sealed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.raw(&self.state_hash.0).varint(self.frontier.len() as u64);
        for id in &self.frontier {
            out.raw(&id.0);
        }
        out.into_bytes()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut from = Reader::new(bytes);
        let state_hash = Digest(from.array("state hash")?);
        let frontier = from.sorted_arrays("frontier", SNAPSHOT_HEADS_MAX)?;
        from.finish("digest")?;
        Ok(Self { state_hash, frontier: frontier.into_iter().map(ChangesetId).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            state: 6,
            space: SpaceId([1; 32]),
            log_id: LogId([2; 16]),
            cursor: 20_000,
            chain: LogChain([3; 16]),
            actor: ActorId([4; 32]),
            run: [5; 16],
            kid: Kid([6; 16]),
            chunks: vec![(snapshot_chunk_hash(b"one"), 3), (Digest([7; 32]), 262_144)],
            seal: vec![8; 80],
        }
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written_and_nothing_else_is() {
        let bytes = manifest().encode();
        assert_eq!(Manifest::decode(&bytes), Ok(manifest()));
        assert_eq!(manifest().bytes(), 262_147);
        for end in 0..bytes.len() {
            assert!(Manifest::decode(&bytes[..end]).is_err(), "{end}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(Manifest::decode(&longer).is_err());
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            assert_ne!(SnapshotId::of(&altered), SnapshotId::of(&bytes));
            assert_ne!(Manifest::decode(&altered), Ok(manifest()));
        }
        let too_many = Manifest { chunks: vec![(Digest([0; 32]), 1); SNAPSHOT_CHUNKS_MAX + 1], ..manifest() };
        assert!(Manifest::decode(&too_many.encode()).is_err());
        let too_long = Manifest { chunks: vec![(Digest([0; 32]), 262_145)], ..manifest() };
        assert!(Manifest::decode(&too_long.encode()).is_err());
    }

    #[test]
    fn a_chunk_is_known_by_its_place_and_its_bytes() {
        let manifest = manifest();
        assert!(manifest.is_chunk(0, b"one"));
        for (number, chunk) in [(1, &b"one"[..]), (2, b"one"), (0, b"two"), (0, b"ones"), (0, b"")] {
            assert!(!manifest.is_chunk(number, chunk));
        }
    }

    #[test]
    fn a_frontier_is_sorted_and_bounded() {
        let of = |frontier: Vec<ChangesetId>| SealedDigest { state_hash: Digest([1; 32]), frontier };
        let good = of(vec![ChangesetId([1; 32]), ChangesetId([2; 32])]);
        assert_eq!(SealedDigest::decode(&good.encode()), Ok(good));
        for bad in [vec![2, 1], vec![1, 1]] {
            let bad = of(bad.into_iter().map(|byte| ChangesetId([byte; 32])).collect());
            assert!(SealedDigest::decode(&bad.encode()).is_err());
        }
    }

    #[test]
    fn a_maker_is_no_witness() {
        let (key, id) = (SigningKey::from_seed(&[3; 32]), SnapshotId([9; 32]));
        assert_ne!(Voice::Maker.sign(&key, id).0, Voice::Witness.sign(&key, id).0);
    }
}
