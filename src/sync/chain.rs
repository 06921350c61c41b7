//! The running hash over a relay's log (`docs/protocol.md` §3), and what sync reads of a header: its id and its lane.

use crate::causal::{ActorId, ChangesetId, LogChain, LogId, SpaceId};
use crate::codec::{DecodeError, Reader, limits};
use crate::crypto::{Digest, Tag, hash};

/// The hash of the empty log.
#[must_use]
pub fn start_chain(log_id: LogId, space: SpaceId) -> LogChain {
    cut(hash(Tag::CHAIN, &[&log_id.0, &space.0]))
}

/// The hash after one more row.
#[must_use]
pub fn next_chain(chain: LogChain, id: ChangesetId) -> LogChain {
    cut(hash(Tag::CHAIN, &[&chain.0, &id.0]))
}

/// The id of the changeset with this header.
#[must_use]
pub fn changeset_id(header: &[u8]) -> ChangesetId {
    ChangesetId(hash(Tag::CHANGESET_ID, &[header]).0)
}

/// Where a changeset stands in its actor's chain.
pub(super) struct Lane {
    pub actor: ActorId,
    pub seq: u64,
    pub prev: ChangesetId,
}

/// Reads the lane out of the first fields of a header; the rest is not looked at.
pub(super) fn lane_of(header: &[u8]) -> Result<Lane, DecodeError> {
    let mut reader = Reader::new(header);
    reader.raw("version, suite, class, flags, space", 4 + 32)?;
    Ok(Lane {
        actor: ActorId(reader.array("actor")?),
        seq: reader.varint("seq", limits::SEQ_MAX)?,
        prev: ChangesetId(reader.array("prev")?),
    })
}

fn cut(digest: Digest) -> LogChain {
    LogChain(*digest.0.first_chunk().expect("a digest is longer"))
}
