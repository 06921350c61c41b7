//! Who and when: identifiers, clocks, and the graph of changesets.

mod id;

pub use id::{ActorId, ChangesetId, ChangesetIx, LogChain, LogId, MemberId, NameId, ObjectId, OpIx, SpaceId};
