//! What a relay's log of one space is held together by: a running hash over the ids in it (`docs/protocol.md` §3).

use crate::causal::{ChangesetId, LogChain, LogId, SpaceId};
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

fn cut(digest: Digest) -> LogChain {
    LogChain(*digest.0.first_chunk().expect("a digest is longer"))
}
