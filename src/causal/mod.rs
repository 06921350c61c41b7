//! Who and when: identifiers, the hybrid logical clock, and the graph of changesets.

mod clock;
mod graph;
mod id;

pub use clock::{AHEAD_MS_MAX, Hlc, HybridClock, STAMP_MS_MAX};
pub use graph::{CausalGraph, LaneIx, Past, Tip};
pub use id::{
    ActorId, ById, ChangesetId, ChangesetIx, Ids, LogChain, LogId, MemberId, NameId, ObjectId, OpIx, SpaceId,
};
