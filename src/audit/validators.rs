//! Who is asked to attest, and how many of them it takes.

use crate::causal::MemberId;
use crate::codec::{DecodeError, Reader, Writer, limits};

/// More validators than this nobody counts.
pub const VALIDATORS_MAX: usize = 256;

/// A set of validators with their weights. Its payload is in `docs/format.md` §13.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValidatorSet {
    /// How long a validator waits after an attestation before it makes the next one, in ms.
    pub pause_ms: u64,
    /// Ascending, each once, with a weight of 1 at least. None: nothing is attested.
    pub members: Vec<(MemberId, u32)>,
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
        2 * self.total() / 3 + 1
    }

    /// The payload of the op that says so.
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = Writer::new();
        payload.u8(VERSION).varint(self.pause_ms).varint(self.members.len() as u64);
        for (member, weight) in &self.members {
            payload.raw(&member.0).varint(u64::from(*weight));
        }
        payload.into_bytes()
    }

    /// Reads a payload of this version.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let at = reader.position();
        let invalid = |rule| DecodeError::Invalid { what: "validators", at, rule };
        if reader.u8("version")? != VERSION {
            return Err(invalid("the version is known"));
        }
        let pause_ms = reader.varint("pause", limits::TIME_MS_MAX)?;
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
        Ok(Self { pause_ms, members })
    }
}

const VERSION: u8 = 1;
