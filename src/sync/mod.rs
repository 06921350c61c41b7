//! Sync: the frames of `docs/protocol.md` and the sessions that speak them. Moves changesets, never looks inside.
//!
//! [`Session`] talks to one relay about one space, [`PeerSession`] to one peer over a port. Both are sans-I/O: frames and
//! the time go in, a queue of outputs comes out. They hold no log: rows come and go through the outputs.

mod backoff;
mod convert;
mod error;
mod message;
mod peer;
mod presence;
mod row;
mod session;
mod wire;

pub use backoff::{Backoff, Due};
pub use error::{Code, FrameError};
pub use message::{
    Ack, Admission, Auth, AuthOk, Batch, CaughtUp, Chain, ChainRange, Credit, Delivery, Ephemeral,
    ErrorFrame, Frame, GetChain, GoAway, Heads, HeadsDiffer, HeadsRange, Hello, Limits, Position, Proof,
    Push, Resync, Row, Said, SignedBy, Snap, SnapshotOffer, Subscribe, Subscribed, Verdict,
};
pub use peer::{PeerOutput, PeerSession};
pub use presence::{Draft as PresenceDraft, Heard, Other, Presence};
pub use session::{Challenge, Login, Retry, Session, SessionConfig, SessionOutput, Status, Window};

/// The only version of the protocol so far.
pub const VERSION: u32 = 1;
/// Bytes of a frame.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// Rows of one PUSH.
pub const PUSH_ROWS_MAX: usize = 1_000;
/// Row bytes of one PUSH: with the protobuf around 1,000 rows it still fits into a frame.
pub const PUSH_BYTES_MAX: usize = FRAME_BYTES_MAX - 32_768;
/// Row bytes of one BATCH that has more than one row.
pub const BATCH_BYTES_MAX: usize = 262_144;
/// Own actors named by one SUBSCRIBE.
pub const OWN_ACTORS_MAX: usize = 256;
/// Rows that a session with a relay hands over at once: each may have a signature to be verified.
pub const SLICE_ROWS: usize = 128;
/// Proofs of one AUTH.
pub const PROOFS_MAX: usize = 16;
/// Tips of one HEADS.
pub const HEADS_TIPS_MAX: usize = 8_192;
/// Ranges of one GET_CHAIN.
pub const CHAIN_RANGES_MAX: usize = 1_024;
/// Places in all of them.
pub const CHAIN_PLACES_MAX: u64 = 16_384;
/// Who vouches for one snapshot, besides its maker.
pub const WITNESSES_MAX: usize = 4;

#[cfg(test)]
mod tests;
