//! What a relay's log of one space is held together by: a running hash over the ids in it (`docs/protocol.md` §3).

use crate::causal::{ChangesetId, LogChain, LogId, SpaceId, Tip};
use crate::crypto::{Digest, Tag, hash};

/// The hash of the empty log.
#[must_use]
pub fn start_chain(log_id: LogId, space: SpaceId) -> LogChain {
    cut(hash(Tag::CHAIN, &[&log_id.0, &space.0]))
}

/// The hash after one more changeset.
#[must_use]
pub fn next_chain(chain: LogChain, id: ChangesetId) -> LogChain {
    cut(hash(Tag::CHAIN, &[&chain.0, &id.0]))
}

/// The id of the changeset with this header, whether or not it decodes.
#[must_use]
pub fn changeset_id(header: &[u8]) -> ChangesetId {
    ChangesetId(hash(Tag::CHANGESET_ID, &[header]).0)
}

/// What the ends of all lanes add up to (`docs/protocol.md` §3): two sides with one sum hold the same changesets, if both
/// are honest. O(lanes).
#[must_use]
pub fn heads_digest(tips: impl IntoIterator<Item = Tip>) -> [u8; 32] {
    let mut sum = [0; 32];
    for Tip { actor, seq, id } in tips {
        let end = hash(Tag::HEADS, &[&actor.0, &u64::from(seq).to_le_bytes(), &id.0]);
        let mut carry = 0;
        for (byte, more) in sum.iter_mut().zip(end.0) {
            carry += u16::from(*byte) + u16::from(more);
            *byte = carry as u8;
            carry >>= 8;
        }
    }
    sum
}

fn cut(digest: Digest) -> LogChain {
    LogChain(*digest.0.first_chunk().expect("a digest is longer"))
}
