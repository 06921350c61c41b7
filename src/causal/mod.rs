//! Who and when: identifiers, clocks, and the graph of changesets.

mod id;

pub use id::{ActorId, ChangesetId, ChangesetIx, MemberId, NameId, ObjectId, OpIx, SpaceId};
