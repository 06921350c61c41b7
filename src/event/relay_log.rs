//! What a relay's log of one space is held together by: a running hash over the ids in it (`docs/protocol.md` §3).

use crate::causal::{ChangesetId, LogChain, LogId, SpaceId, Tip};
use crate::crypto::{Digest, Tag, hash};

/// Into so many ranges ends are spread at most.
pub const HEAD_RANGES_MAX: usize = 4_096;

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
    for tip in tips {
        let mut carry = 0;
        for (byte, more) in sum.iter_mut().zip(end_of(&tip).0) {
            carry += u16::from(*byte) + u16::from(more);
            *byte = carry as u8;
            carry >>= 8;
        }
    }
    sum
}

/// How many ranges do for so many ends: a power of two, with about eight in each.
#[must_use]
pub fn ranges_for(ends: usize) -> usize {
    (ends / 8).next_power_of_two().min(HEAD_RANGES_MAX)
}

/// The range that an end is in, of a power of two of them.
#[must_use]
pub fn range_of(tip: &Tip, ranges: usize) -> usize {
    let [low, high, ..] = end_of(tip).0;
    usize::from(u16::from_le_bytes([low, high])) % ranges
}

/// What the ends in each range add up to.
#[must_use]
pub fn range_sums(tips: &[Tip], ranges: usize) -> Vec<u128> {
    let mut sums = vec![0_u128; ranges];
    for tip in tips {
        let last = *end_of(tip).0.last_chunk().expect("a digest is longer");
        let sum = &mut sums[range_of(tip, ranges)];
        *sum = sum.wrapping_add(u128::from_le_bytes(last));
    }
    sums
}

/// The ranges in which these ends add up to something else, and those ends that are in them.
#[must_use]
pub fn differing(mut tips: Vec<Tip>, sums: &[u128]) -> (Vec<u32>, Vec<Tip>) {
    let own = range_sums(&tips, sums.len());
    let differs = |range: usize| own[range] != sums[range];
    tips.retain(|tip| differs(range_of(tip, sums.len())));
    ((0..sums.len()).filter(|range| differs(*range)).map(|range| range as u32).collect(), tips)
}

/// What one end adds to a sum.
fn end_of(Tip { actor, seq, id }: &Tip) -> Digest {
    hash(Tag::HEADS, &[&actor.0, &u64::from(*seq).to_le_bytes(), &id.0])
}

fn cut(digest: Digest) -> LogChain {
    LogChain(*digest.0.first_chunk().expect("a digest is longer"))
}
