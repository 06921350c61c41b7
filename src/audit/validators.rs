//! Who is asked to attest, and how many of them it takes.

use super::ballot::quorum_of;
use super::block::{BlockId, HEIGHT_MAX};
use crate::causal::{ChangesetId, MemberId};
use crate::codec::{DecodeError, Reader, Writer, limits};
use crate::crypto::{Digest, Tag, hash};

/// More validators than this nobody counts.
pub const VALIDATORS_MAX: usize = 256;

/// A set of validators with their weights. Its payload is in `docs/format.md` §13.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValidatorSet {
    /// How long a validator waits after an attestation before it makes the next one, in ms.
    pub pause_ms: u64,
    /// What is said of blocks; none: they make none.
    pub blocks: Option<BlockRules>,
    /// Ascending, each once, with a weight of 1 at least. None: nothing is attested.
    pub members: Vec<(MemberId, u32)>,
}

/// How validators make blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRules {
    /// How many changesets a block has at most that are no statements of validators; 1 at least.
    pub max: u32,
    /// Where a chain begins with this choice; none: it goes on with the one that there is.
    pub begins: Option<Beginning>,
}

/// Where a chain begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// The height of its first block.
    pub height: u64,
    /// The block before that; the id of the space where there is none.
    pub previous: BlockId,
}

impl ValidatorSet {
    /// The weight of a member; 0 of whoever is none of them.
    pub fn weight(&self, member: &MemberId) -> u32 {
        let found = self.members.binary_search_by_key(member, |(member, _)| *member);
        found.map_or(0, |at| self.members[at].1)
    }

    /// The weight of all.
    pub fn total(&self) -> u64 {
        self.members.iter().map(|(_, weight)| u64::from(*weight)).sum()
    }

    /// The weight that makes something final: of any two sets of validators that have it, more than a third of all the weight
    /// is in both.
    pub fn quorum(&self) -> u64 {
        quorum_of(self.total())
    }

    /// The payload of the op that says so.
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = Writer::new();
        payload.u8(if self.blocks.is_some() { WITH_BLOCKS } else { VERSION }).varint(self.pause_ms);
        if let Some(BlockRules { max, begins }) = self.blocks {
            payload.varint(u64::from(max)).u8(u8::from(begins.is_some()));
            if let Some(Beginning { height, previous }) = begins {
                payload.varint(height).raw(&previous.0);
            }
        }
        self.write_members(&mut payload);
        payload.into_bytes()
    }

    /// What its votes are said of: the hash of its members, in the era that a choice began.
    #[must_use]
    pub fn digest(&self, era: &ChangesetId) -> Digest {
        let mut members = Writer::new();
        self.write_members(&mut members);
        hash(Tag::VALIDATORS, &[&era.0, &members.into_bytes()])
    }

    fn write_members(&self, out: &mut Writer) {
        out.varint(self.members.len() as u64);
        for (member, weight) in &self.members {
            out.raw(&member.0).varint(u64::from(*weight));
        }
    }

    /// Reads a payload of this version.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let at = reader.position();
        let invalid = |rule| DecodeError::Invalid { what: "validators", at, rule };
        let version = reader.u8("version")?;
        if !Self::knows(version) {
            return Err(invalid("the version is known"));
        }
        let pause_ms = reader.varint("pause", limits::TIME_MS_MAX)?;
        let blocks = (version == WITH_BLOCKS).then(|| BlockRules::decode(&mut reader)).transpose()?;
        let count = reader.count("validators", VALIDATORS_MAX, 33)?;
        let mut members: Vec<(MemberId, u32)> = Vec::with_capacity(count);
        for _ in 0..count {
            let (member, weight) =
                (MemberId(reader.array("member")?), reader.varint_u32("weight", u32::MAX)?);
            if weight == 0 || members.last().is_some_and(|(last, _)| *last >= member) {
                return Err(invalid("members ascend and weigh something"));
            }
            members.push((member, weight));
        }
        reader.finish("validators")?;
        Ok(Self { pause_ms, blocks, members })
    }

    /// Whether payloads of a version can be read.
    #[must_use]
    pub fn knows(version: u8) -> bool {
        [VERSION, WITH_BLOCKS].contains(&version)
    }
}

impl BlockRules {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = reader.position();
        let invalid = |rule| DecodeError::Invalid { what: "validators", at, rule };
        let max = reader.varint_u32("max", u32::MAX)?;
        if max == 0 {
            return Err(invalid("a block may hold something"));
        }
        let begins = match reader.u8("begins")? {
            0 => None,
            1 => Some(Beginning {
                height: reader.varint("height", HEIGHT_MAX)?,
                previous: BlockId(reader.array("previous")?),
            }),
            _ => return Err(invalid("it begins or goes on")),
        };
        Ok(Self { max, begins })
    }
}

const VERSION: u8 = 1;

/// The version that says something of blocks.
const WITH_BLOCKS: u8 = 2;
