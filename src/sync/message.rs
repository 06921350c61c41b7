//! The frames of `docs/protocol.md` as types: what decodes has fields of the right size and counts within the limits.
//!
//! Invariant: decoding is total, and allocates at most a constant times the frame. What a header, a certificate chain or
//! a genesis says is for others to check: here they are bytes.

use prost::bytes::Bytes;

use super::error::{Code, FrameError};
use crate::causal::{ActorId, ChangesetId, LogChain, LogId, SpaceId, Tip};
use crate::event::SnapshotId;

/// One frame.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// The relay's first word.
    Hello(Hello),
    /// Proofs that the client belongs.
    Auth(Auth),
    /// The verdict per space.
    AuthOk(AuthOk),
    /// Read a space from a position on.
    Subscribe(Subscribe),
    /// The place from which the relay sends.
    Subscribed(Subscribed),
    /// Rows.
    Batch(Batch),
    /// Nothing more to send just now.
    CaughtUp(CaughtUp),
    /// More room for rows.
    Credit(Credit),
    /// Rows to be kept.
    Push(Push),
    /// What became of them.
    Ack(Ack),
    /// A sign of life.
    Tick {
        /// The relay's clock, for information.
        time_ms: u64,
    },
    /// Come back later.
    GoAway(GoAway),
    /// Something is wrong.
    Error(ErrorFrame),
    /// Tips a peer holds.
    Heads(Heads),
    /// Sums of ranges of the heads that a client holds.
    HeadsRange(HeadsRange),
    /// Which rows are asked for.
    GetChain(GetChain),
    /// Those rows.
    Chain(Chain),
    /// In which ranges the relay holds other heads.
    HeadsDiffer(HeadsDiffer),
    /// Said to whoever is there, kept by nobody.
    Ephemeral(Ephemeral),
    /// About a snapshot that a member made.
    Snap(SpaceId, Snap),
}

/// What a relay takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a frame.
    pub frame_bytes: u32,
    /// Bytes of a row.
    pub row_bytes: u32,
    /// Row bytes pushed and not acked.
    pub push_bytes: u32,
    /// Rows of one push.
    pub push_rows: u32,
    /// Subscriptions of one connection.
    pub subscriptions: u32,
}

/// HELLO.
#[derive(Clone, Debug, PartialEq)]
pub struct Hello {
    /// The oldest version the relay speaks.
    pub min_version: u32,
    /// The newest.
    pub max_version: u32,
    /// The relay's Ed25519 public key.
    pub relay_key: [u8; 32],
    /// Random, of this connection.
    pub nonce: [u8; 32],
    /// What it takes.
    pub limits: Limits,
}

/// One space's part of a login.
#[derive(Clone, Debug, PartialEq)]
pub struct Proof {
    /// The genesis.
    pub genesis: Bytes,
    /// The certificate chain down to an actor.
    pub chain: Bytes,
    /// That actor's signature over the challenge.
    pub signature: [u8; 64],
}

/// AUTH.
#[derive(Clone, Debug, PartialEq)]
pub struct Auth {
    /// The version the client chose.
    pub version: u32,
    /// Random, of this connection.
    pub client_nonce: [u8; 16],
    /// One per space.
    pub proofs: Vec<Proof>,
    /// Allows the creation of spaces on a node that asks for it; empty otherwise.
    pub token: String,
}

/// The verdict on one proof.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Admission {
    /// The space.
    pub space: SpaceId,
    /// `None` is admitted.
    pub refused: Option<Code>,
}

/// AUTH_OK.
#[derive(Clone, Debug, PartialEq)]
pub struct AuthOk {
    /// The version in use.
    pub version: u32,
    /// One per proof, in order.
    pub spaces: Vec<Admission>,
}

/// A place in a relay's log: what was read up to here, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The life of the log.
    pub log_id: LogId,
    /// How many rows.
    pub cursor: u64,
    /// The running hash over them.
    pub chain: LogChain,
}

/// SUBSCRIBE.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscribe {
    /// The space.
    pub space: SpaceId,
    /// Where reading ended; `None` starts at the beginning.
    pub from: Option<Position>,
    /// The actors whose tips the client wants to know.
    pub own: Vec<ActorId>,
    /// Row bytes the relay may send.
    pub credit: u64,
    /// What the ends of all lanes that the client holds add up to, for a log that is not the one it read.
    pub heads: Option<[u8; 32]>,
    /// How many changesets those stand for; 0 from one who does not compare further.
    pub held: u64,
    /// A snapshot is looked at first, if there is one: nothing is sent before a CREDIT then.
    pub look: bool,
}

/// Why a position is no place in a relay's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resync {
    /// The log is another one.
    LogId,
    /// The position is beyond the head.
    FutureCursor,
    /// Other rows were there.
    Chain,
}

/// SUBSCRIBED.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscribed {
    /// The space.
    pub space: SpaceId,
    /// Whether the relay starts over, and why.
    pub resync: Option<Resync>,
    /// The life of the log.
    pub log_id: LogId,
    /// Its last cursor.
    pub head: u64,
    /// The tips it holds of the actors asked about.
    pub tips: Vec<Tip>,
    /// With a resync: the chain at the head, where the log holds just what the client does. It goes on from there.
    pub chain: Option<LogChain>,
    /// The chain at the head, where the log holds something else: nothing is sent before the next SUBSCRIBE.
    pub place: Option<LogChain>,
    /// The relay's word for the tips, if it gives it.
    pub said: Option<Said>,
}

/// A relay signs what it holds: `stemma::event::Holding` says of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// By its clock, in ms since 1970.
    pub time_ms: u64,
    /// By its key.
    pub signature: [u8; 64],
}

/// A changeset as it travels: opaque segments beside the signed header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The header, byte for byte as signed.
    pub header: Bytes,
    /// The signature.
    pub signature: [u8; 64],
    /// The skeleton segment.
    pub skeleton: Bytes,
    /// The content segment, unless it is gone or there never was one.
    pub content: Option<Bytes>,
}

impl Row {
    /// What it costs of credit, window and quota.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.header.len() + 64 + self.skeleton.len() + self.content.as_ref().map_or(0, Bytes::len)
    }
}

/// One row of a BATCH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The whole row.
    Row(Row),
    /// A row that this connection pushed, by its id.
    Own(ChangesetId),
}

impl Delivery {
    /// What it costs of credit.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Row(row) => row.bytes(),
            Self::Own(_) => 32,
        }
    }
}

/// BATCH.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The space.
    pub space: SpaceId,
    /// The cursor of the first row; 0 between peers.
    pub first_cursor: u64,
    /// The rows.
    pub rows: Vec<Delivery>,
    /// The running hash after the last; `None` between peers.
    pub chain: Option<LogChain>,
}

/// CAUGHT_UP.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CaughtUp {
    /// The space.
    pub space: SpaceId,
    /// The last cursor sent; 0 between peers.
    pub cursor: u64,
}

/// CREDIT.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Credit {
    /// The space.
    pub space: SpaceId,
    /// Row bytes more that may be sent.
    pub bytes: u64,
}

/// PUSH.
#[derive(Clone, Debug, PartialEq)]
pub struct Push {
    /// Names the push on this connection; from 1 on.
    pub push_id: u64,
    /// The space.
    pub space: SpaceId,
    /// The rows.
    pub rows: Vec<Row>,
}

/// What became of one pushed row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Durable, at this cursor.
    Accepted {
        /// Its place.
        cursor: u64,
    },
    /// Was there already.
    Dup {
        /// Its place.
        cursor: u64,
    },
    /// What it builds on is not there.
    Gap {
        /// The highest row of this actor that is: (seq, id).
        tip: Option<(u32, ChangesetId)>,
    },
    /// Durable, but the actor has another row with this seq.
    Forked {
        /// Its place.
        cursor: u64,
        /// The other row.
        existing: ChangesetId,
    },
    /// Not kept.
    Rejected(Code),
}

impl Verdict {
    /// Whether the row is held, as it was pushed, for what a relay signs.
    #[must_use]
    pub fn is_held(&self) -> bool {
        matches!(self, Self::Accepted { .. } | Self::Dup { .. })
    }
}

/// ACK.
#[derive(Clone, Debug, PartialEq)]
pub struct Ack {
    /// The push.
    pub push_id: u64,
    /// One per row, in order.
    pub results: Vec<Verdict>,
    /// The relay's word for the ends of what was accepted or known, if it gives it.
    pub said: Option<Said>,
}

/// GOAWAY.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GoAway {
    /// Why.
    pub code: Code,
    /// Come back no earlier.
    pub retry_min_ms: u64,
    /// And about then at the latest.
    pub retry_max_ms: u64,
}

/// ERROR.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorFrame {
    /// What is wrong.
    pub code: Code,
    /// With which space, if with one.
    pub space: Option<SpaceId>,
    /// With which push, if with one.
    pub push_id: Option<u64>,
    /// Whether the same may be tried again.
    pub retryable: bool,
    /// After how long.
    pub retry_after_ms: u64,
    /// For people who debug.
    pub message: String,
}

impl ErrorFrame {
    /// An error about the whole connection.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            space: None,
            push_id: None,
            retryable: code.is_retryable(),
            retry_after_ms: 0,
            message: message.into(),
        }
    }
}

/// HEADS.
#[derive(Clone, Debug, PartialEq)]
pub struct Heads {
    /// The version the peer speaks.
    pub version: u32,
    /// The space.
    pub space: SpaceId,
    /// Tips of lanes it holds.
    pub tips: Vec<Tip>,
    /// Whether further HEADS follow.
    pub more: bool,
    /// Row bytes that may be sent to it.
    pub credit: u64,
}

/// HEADS_RANGE.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadsRange {
    /// The space.
    pub space: SpaceId,
    /// One for each range; a power of two of them.
    pub sums: Vec<u128>,
}

/// HEADS_DIFFER.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadsDiffer {
    /// The space.
    pub space: SpaceId,
    /// The ranges with another sum.
    pub ranges: Vec<u32>,
    /// All tips of the relay in these.
    pub tips: Vec<Tip>,
    /// They are more than a frame takes, and left out.
    pub too_many: bool,
}

/// Places in the chains of an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainRange {
    /// Whose.
    pub actor: ActorId,
    /// The first seq.
    pub first: u32,
    /// The last one; not before the first.
    pub last: u32,
}

impl ChainRange {
    /// How many seqs.
    #[must_use]
    pub fn places(&self) -> u64 {
        u64::from(self.last - self.first) + 1
    }
}

/// GET_CHAIN.
#[derive(Clone, Debug, PartialEq)]
pub struct GetChain {
    /// The space.
    pub space: SpaceId,
    /// Where the rows are.
    pub ranges: Vec<ChainRange>,
    /// Rows up to this cursor came already.
    pub after: u64,
}

/// CHAIN.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// The space.
    pub space: SpaceId,
    /// The rows, in the order of the log.
    pub rows: Vec<Row>,
    /// The cursor of the last one, if there are more; else 0.
    pub next: u64,
}

/// EPHEMERAL.
#[derive(Clone, Debug, PartialEq)]
pub struct Ephemeral {
    /// The space.
    pub space: SpaceId,
    /// Sealed; at most 16,384 bytes.
    pub payload: Bytes,
}

/// SNAP_*.
#[derive(Clone, Debug, PartialEq)]
pub enum Snap {
    /// SNAP_WANTED: one may be made.
    Wanted,
    /// SNAPSHOT.
    Offer(SnapshotOffer),
    /// SNAP_GET: that chunk is asked for.
    Get {
        /// The snapshot.
        id: SnapshotId,
        /// The place of the chunk.
        number: u32,
    },
    /// SNAP_CHUNK.
    Chunk {
        /// The snapshot.
        id: SnapshotId,
        /// The place of the chunk.
        number: u32,
        /// The chunk; empty where it is not there any more.
        bytes: Bytes,
    },
    /// SNAP_ATTEST.
    Attest {
        /// The snapshot.
        id: SnapshotId,
        /// The witness.
        by: SignedBy,
    },
    /// SNAP_BAD: found wrong, or not taken.
    Bad {
        /// The snapshot.
        id: SnapshotId,
    },
}

/// SNAPSHOT.
#[derive(Clone, Debug, PartialEq)]
pub struct SnapshotOffer {
    /// What was signed.
    pub manifest: Bytes,
    /// The maker, then the witnesses.
    pub by: Vec<SignedBy>,
    /// A witness is asked for.
    pub attest: bool,
}

/// Who signed, and the signature.
#[derive(Clone, Debug, PartialEq)]
pub struct SignedBy {
    /// The certificate chain down to an actor.
    pub chain: Bytes,
    /// That actor's signature.
    pub signature: [u8; 64],
}

impl Frame {
    /// The type byte.
    #[must_use]
    pub fn kind(&self) -> u8 {
        match self {
            Self::Hello(_) => 0x01,
            Self::Auth(_) => 0x02,
            Self::AuthOk(_) => 0x03,
            Self::Subscribe(_) => 0x04,
            Self::Subscribed(_) => 0x05,
            Self::Batch(_) => 0x06,
            Self::CaughtUp(_) => 0x07,
            Self::Credit(_) => 0x08,
            Self::Push(_) => 0x09,
            Self::Ack(_) => 0x0a,
            Self::Tick { .. } => 0x0b,
            Self::GoAway(_) => 0x0c,
            Self::Error(_) => 0x0d,
            Self::Heads(_) => 0x10,
            Self::HeadsRange(_) => 0x11,
            Self::GetChain(_) => 0x12,
            Self::Chain(_) => 0x13,
            Self::HeadsDiffer(_) => 0x14,
            Self::Ephemeral(_) => 0x18,
            Self::Snap(_, Snap::Wanted) => 0x20,
            Self::Snap(_, Snap::Offer(_)) => 0x21,
            Self::Snap(_, Snap::Get { .. }) => 0x22,
            Self::Snap(_, Snap::Chunk { .. }) => 0x23,
            Self::Snap(_, Snap::Attest { .. }) => 0x24,
            Self::Snap(_, Snap::Bad { .. }) => 0x25,
        }
    }
}

impl From<&FrameError> for ErrorFrame {
    fn from(error: &FrameError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
