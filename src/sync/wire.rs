//! The protobuf messages of `docs/protocol.md` §1, field by field. Only [`super::message`] sees them: it turns them into
//! types whose sizes are right. Numbers are never used twice.

use prost::Message;
use prost::bytes::Bytes;

#[derive(Clone, PartialEq, Message)]
pub(super) struct Limits {
    #[prost(uint32, tag = "1")]
    pub frame_bytes: u32,
    #[prost(uint32, tag = "2")]
    pub row_bytes: u32,
    #[prost(uint32, tag = "3")]
    pub push_bytes: u32,
    #[prost(uint32, tag = "4")]
    pub push_rows: u32,
    #[prost(uint32, tag = "5")]
    pub subscriptions: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Hello {
    #[prost(uint32, tag = "1")]
    pub min_version: u32,
    #[prost(uint32, tag = "2")]
    pub max_version: u32,
    #[prost(bytes = "bytes", tag = "3")]
    pub relay_key: Bytes,
    #[prost(bytes = "bytes", tag = "4")]
    pub nonce: Bytes,
    #[prost(message, optional, tag = "5")]
    pub limits: Option<Limits>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Proof {
    #[prost(bytes = "bytes", tag = "1")]
    pub genesis: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub chain: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub signature: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Auth {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    #[prost(bytes = "bytes", tag = "2")]
    pub client_nonce: Bytes,
    #[prost(message, repeated, tag = "3")]
    pub proofs: Vec<Proof>,
    #[prost(string, tag = "4")]
    pub token: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Admission {
    #[prost(bytes = "bytes", tag = "1")]
    pub space: Bytes,
    #[prost(uint32, tag = "2")]
    pub code: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct AuthOk {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    #[prost(message, repeated, tag = "2")]
    pub spaces: Vec<Admission>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Position {
    #[prost(bytes = "bytes", tag = "1")]
    pub log_id: Bytes,
    #[prost(uint64, tag = "2")]
    pub cursor: u64,
    #[prost(bytes = "bytes", tag = "3")]
    pub chain: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Subscribe {
    #[prost(bytes = "bytes", tag = "1")]
    pub space: Bytes,
    #[prost(message, optional, tag = "2")]
    pub from: Option<Position>,
    #[prost(bytes = "bytes", repeated, tag = "3")]
    pub own: Vec<Bytes>,
    #[prost(uint64, tag = "4")]
    pub credit: u64,
    #[prost(bytes = "bytes", tag = "5")]
    pub heads: Bytes,
    #[prost(uint64, tag = "6")]
    pub held: u64,
    #[prost(bool, tag = "7")]
    pub look: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Tip {
    #[prost(bytes = "bytes", tag = "1")]
    pub actor: Bytes,
    #[prost(uint64, tag = "2")]
    pub seq: u64,
    #[prost(bytes = "bytes", tag = "3")]
    pub id: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Subscribed {
    #[prost(bytes = "bytes", tag = "1")]
    pub space: Bytes,
    #[prost(uint32, tag = "2")]
    pub resync: u32,
    #[prost(bytes = "bytes", tag = "3")]
    pub log_id: Bytes,
    #[prost(uint64, tag = "4")]
    pub head: u64,
    #[prost(message, repeated, tag = "5")]
    pub tips: Vec<Tip>,
    #[prost(bytes = "bytes", tag = "6")]
    pub chain: Bytes,
    #[prost(bytes = "bytes", tag = "7")]
    pub place: Bytes,
    #[prost(uint64, tag = "8")]
    pub time_ms: u64,
    #[prost(bytes = "bytes", tag = "9")]
    pub signature: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Row {
    #[prost(bytes = "bytes", tag = "1")]
    pub header: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub signature: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub skeleton: Bytes,
    #[prost(bytes = "bytes", optional, tag = "4")]
    pub content: Option<Bytes>,
    #[prost(bytes = "bytes", tag = "5")]
    pub id: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Batch {
    #[prost(bytes = "bytes", tag = "1")]
    pub space: Bytes,
    #[prost(uint64, tag = "2")]
    pub first_cursor: u64,
    #[prost(message, repeated, tag = "3")]
    pub rows: Vec<Row>,
    #[prost(bytes = "bytes", tag = "4")]
    pub chain: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct CaughtUp {
    #[prost(bytes = "bytes", tag = "1")]
    pub space: Bytes,
    #[prost(uint64, tag = "2")]
    pub cursor: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Credit {
    #[prost(bytes = "bytes", tag = "1")]
    pub space: Bytes,
    #[prost(uint64, tag = "2")]
    pub bytes: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Push {
    #[prost(uint64, tag = "1")]
    pub push_id: u64,
    #[prost(bytes = "bytes", tag = "2")]
    pub space: Bytes,
    #[prost(message, repeated, tag = "3")]
    pub rows: Vec<Row>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RowResult {
    #[prost(uint32, tag = "1")]
    pub verdict: u32,
    #[prost(uint64, tag = "2")]
    pub cursor: u64,
    #[prost(uint64, tag = "3")]
    pub seq: u64,
    #[prost(bytes = "bytes", tag = "4")]
    pub id: Bytes,
    #[prost(uint32, tag = "5")]
    pub code: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Ack {
    #[prost(uint64, tag = "1")]
    pub push_id: u64,
    #[prost(message, repeated, tag = "2")]
    pub results: Vec<RowResult>,
    #[prost(uint64, tag = "3")]
    pub time_ms: u64,
    #[prost(bytes = "bytes", tag = "4")]
    pub signature: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Tick {
    #[prost(uint64, tag = "1")]
    pub time_ms: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct GoAway {
    #[prost(uint32, tag = "1")]
    pub code: u32,
    #[prost(uint64, tag = "2")]
    pub retry_min_ms: u64,
    #[prost(uint64, tag = "3")]
    pub retry_max_ms: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Error {
    #[prost(uint32, tag = "1")]
    pub code: u32,
    #[prost(bytes = "bytes", tag = "2")]
    pub space: Bytes,
    #[prost(uint64, tag = "3")]
    pub push_id: u64,
    #[prost(bool, tag = "4")]
    pub retryable: bool,
    #[prost(uint64, tag = "5")]
    pub retry_after_ms: u64,
    #[prost(string, tag = "6")]
    pub message: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Heads {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    #[prost(bytes = "bytes", tag = "2")]
    pub space: Bytes,
    #[prost(message, repeated, tag = "3")]
    pub tips: Vec<Tip>,
    #[prost(bool, tag = "4")]
    pub more: bool,
    #[prost(uint64, tag = "5")]
    pub credit: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct HeadsRange {
    #[prost(bytes = "bytes", tag = "1")]
    pub space: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub sums: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct HeadsDiffer {
    #[prost(bytes = "bytes", tag = "1")]
    pub space: Bytes,
    #[prost(uint32, repeated, tag = "2")]
    pub ranges: Vec<u32>,
    #[prost(message, repeated, tag = "3")]
    pub tips: Vec<Tip>,
    #[prost(bool, tag = "4")]
    pub too_many: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Range {
    #[prost(bytes = "bytes", tag = "1")]
    pub actor: Bytes,
    #[prost(uint64, tag = "2")]
    pub first: u64,
    #[prost(uint64, tag = "3")]
    pub last: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct GetChain {
    #[prost(bytes = "bytes", tag = "1")]
    pub space: Bytes,
    #[prost(message, repeated, tag = "2")]
    pub ranges: Vec<Range>,
    #[prost(uint64, tag = "3")]
    pub after: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Chain {
    #[prost(bytes = "bytes", tag = "1")]
    pub space: Bytes,
    #[prost(message, repeated, tag = "2")]
    pub rows: Vec<Row>,
    #[prost(uint64, tag = "3")]
    pub next: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Ephemeral {
    #[prost(bytes = "bytes", tag = "1")]
    pub space: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub payload: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Signed {
    #[prost(bytes = "bytes", tag = "1")]
    pub chain: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub signature: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Snapshot {
    #[prost(bytes = "bytes", tag = "1")]
    pub space: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub manifest: Bytes,
    #[prost(message, repeated, tag = "3")]
    pub by: Vec<Signed>,
    #[prost(bool, tag = "4")]
    pub attest: bool,
}

/// SNAP_WANTED, SNAP_GET, SNAP_CHUNK, SNAP_ATTEST and SNAP_BAD: each has some of these.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Snap {
    #[prost(bytes = "bytes", tag = "1")]
    pub space: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub id: Bytes,
    #[prost(uint32, tag = "3")]
    pub number: u32,
    #[prost(bytes = "bytes", tag = "4")]
    pub bytes: Bytes,
    #[prost(message, optional, tag = "5")]
    pub by: Option<Signed>,
}

/// Counts the top-level fields of a message without building anything, `None` if it is not protobuf or has more than
/// `max`: a megabyte of empty items would otherwise become a hundred megabytes of structs.
pub(super) fn count_fields(mut body: &[u8], max: usize) -> Option<usize> {
    let mut count = 0;
    while !body.is_empty() {
        count += 1;
        let key = prost::encoding::decode_varint(&mut body).ok()?;
        let skip = match key & 7 {
            0 => {
                prost::encoding::decode_varint(&mut body).ok()?;
                0
            }
            1 => 8,
            2 => usize::try_from(prost::encoding::decode_varint(&mut body).ok()?).ok()?,
            5 => 4,
            _ => return None,
        };
        body = body.get(skip..)?;
        if count > max {
            return None;
        }
    }
    Some(count)
}
