//! Between [`Frame`] and bytes: every check of sizes, counts and values that protobuf does not make.

mod snap;

use prost::Message;
use prost::bytes::{BufMut, Bytes, BytesMut};

use super::error::{Code, FrameError};
use super::message::{
    Ack, Admission, Auth, AuthOk, Batch, CaughtUp, Chain, ChainRange, Credit, Delivery, Ephemeral,
    ErrorFrame, Frame, GetChain, GoAway, Heads, HeadsDiffer, HeadsRange, Hello, Limits, Position, Proof,
    Push, Resync, Row, Said, Subscribe, Subscribed, Verdict,
};
use super::wire;
use super::{
    CHAIN_PLACES_MAX, CHAIN_RANGES_MAX, FRAME_BYTES_MAX, HEADS_TIPS_MAX, OWN_ACTORS_MAX, PROOFS_MAX,
    PUSH_ROWS_MAX,
};
use crate::causal::{ActorId, ChangesetId, LogChain, LogId, SpaceId, Tip};
use crate::codec::limits::EPHEMERAL_BYTES_MAX;
use crate::event::HEAD_RANGES_MAX;

/// Top-level fields of a body: every repeated field is far below it.
const FIELDS_MAX: usize = 16_384;
/// Rows of a BATCH: those of the smallest possible size that fit into a frame are fewer.
const BATCH_ROWS_MAX: usize = FIELDS_MAX;
/// The flag that lets an unknown frame be dropped.
const IGNORABLE: u8 = 1;
const EPHEMERAL: u8 = 0x18;

impl Frame {
    /// The bytes of the frame.
    #[must_use]
    pub fn encode(self) -> Bytes {
        let kind = self.kind();
        match self {
            Self::Hello(frame) => wrap(
                kind,
                &wire::Hello {
                    min_version: frame.min_version,
                    max_version: frame.max_version,
                    relay_key: own(&frame.relay_key),
                    nonce: own(&frame.nonce),
                    limits: Some(wire::Limits {
                        frame_bytes: frame.limits.frame_bytes,
                        row_bytes: frame.limits.row_bytes,
                        push_bytes: frame.limits.push_bytes,
                        push_rows: frame.limits.push_rows,
                        subscriptions: frame.limits.subscriptions,
                    }),
                },
            ),
            Self::Auth(frame) => {
                let proofs = frame.proofs.into_iter().map(|proof| wire::Proof {
                    genesis: proof.genesis,
                    chain: proof.chain,
                    signature: own(&proof.signature),
                });
                let client_nonce = own(&frame.client_nonce);
                wrap(
                    kind,
                    &wire::Auth {
                        version: frame.version,
                        client_nonce,
                        proofs: proofs.collect(),
                        token: frame.token,
                    },
                )
            }
            Self::AuthOk(frame) => {
                let spaces = frame.spaces.iter().map(|admission| wire::Admission {
                    space: own(&admission.space.0),
                    code: admission.refused.map_or(0, Code::number),
                });
                wrap(kind, &wire::AuthOk { version: frame.version, spaces: spaces.collect() })
            }
            Self::Subscribe(frame) => wrap(
                kind,
                &wire::Subscribe {
                    space: own(&frame.space.0),
                    from: frame.from.map(|from| wire::Position {
                        log_id: own(&from.log_id.0),
                        cursor: from.cursor,
                        chain: own(&from.chain.0),
                    }),
                    own: frame.own.iter().map(|actor| own(&actor.0)).collect(),
                    credit: frame.credit,
                    heads: frame.heads.map_or_else(Bytes::new, |heads| own(&heads)),
                    held: frame.held,
                    look: frame.look,
                },
            ),
            Self::Subscribed(frame) => wrap(
                kind,
                &wire::Subscribed {
                    space: own(&frame.space.0),
                    resync: frame.resync.map_or(0, |reason| reason as u32 + 1),
                    log_id: own(&frame.log_id.0),
                    head: frame.head,
                    tips: frame.tips.iter().map(tip_to_wire).collect(),
                    chain: frame.chain.map_or_else(Bytes::new, |chain| own(&chain.0)),
                    place: frame.place.map_or_else(Bytes::new, |place| own(&place.0)),
                    time_ms: frame.said.map_or(0, |said| said.time_ms),
                    signature: frame.said.map_or_else(Bytes::new, |said| own(&said.signature)),
                },
            ),
            Self::Batch(frame) => wrap(
                kind,
                &wire::Batch {
                    space: own(&frame.space.0),
                    first_cursor: frame.first_cursor,
                    rows: frame.rows.into_iter().map(delivery_to_wire).collect(),
                    chain: frame.chain.map_or_else(Bytes::new, |chain| own(&chain.0)),
                },
            ),
            Self::CaughtUp(frame) => {
                wrap(kind, &wire::CaughtUp { space: own(&frame.space.0), cursor: frame.cursor })
            }
            Self::Credit(frame) => {
                wrap(kind, &wire::Credit { space: own(&frame.space.0), bytes: frame.bytes })
            }
            Self::Push(frame) => {
                let rows = frame.rows.into_iter().map(row_to_wire).collect();
                wrap(kind, &wire::Push { push_id: frame.push_id, space: own(&frame.space.0), rows })
            }
            Self::Ack(frame) => {
                let results = frame.results.iter().map(verdict_to_wire).collect();
                let time_ms = frame.said.map_or(0, |said| said.time_ms);
                let signature = frame.said.map_or_else(Bytes::new, |said| own(&said.signature));
                wrap(kind, &wire::Ack { push_id: frame.push_id, results, time_ms, signature })
            }
            Self::Tick { time_ms } => wrap(kind, &wire::Tick { time_ms }),
            Self::GoAway(frame) => wrap(
                kind,
                &wire::GoAway {
                    code: frame.code.number(),
                    retry_min_ms: frame.retry_min_ms,
                    retry_max_ms: frame.retry_max_ms,
                },
            ),
            Self::Error(frame) => wrap(
                kind,
                &wire::Error {
                    code: frame.code.number(),
                    space: frame.space.map_or_else(Bytes::new, |space| own(&space.0)),
                    push_id: frame.push_id.unwrap_or(0),
                    retryable: frame.retryable,
                    retry_after_ms: frame.retry_after_ms,
                    message: frame.message,
                },
            ),
            Self::Heads(frame) => wrap(
                kind,
                &wire::Heads {
                    version: frame.version,
                    space: own(&frame.space.0),
                    tips: frame.tips.iter().map(tip_to_wire).collect(),
                    more: frame.more,
                    credit: frame.credit,
                },
            ),
            Self::HeadsRange(frame) => {
                let sums: Vec<u8> = frame.sums.iter().flat_map(|sum| sum.to_le_bytes()).collect();
                wrap(kind, &wire::HeadsRange { space: own(&frame.space.0), sums: sums.into() })
            }
            Self::HeadsDiffer(frame) => wrap(
                kind,
                &wire::HeadsDiffer {
                    space: own(&frame.space.0),
                    ranges: frame.ranges,
                    tips: frame.tips.iter().map(tip_to_wire).collect(),
                    too_many: frame.too_many,
                },
            ),
            Self::GetChain(frame) => {
                let ranges = frame.ranges.iter().map(|range| wire::Range {
                    actor: own(&range.actor.0),
                    first: range.first.into(),
                    last: range.last.into(),
                });
                let (space, ranges) = (own(&frame.space.0), ranges.collect());
                wrap(kind, &wire::GetChain { space, ranges, after: frame.after })
            }
            Self::Chain(frame) => {
                let rows = frame.rows.into_iter().map(row_to_wire).collect();
                wrap(kind, &wire::Chain { space: own(&frame.space.0), rows, next: frame.next })
            }
            Self::Ephemeral(frame) => {
                wrap(kind, &wire::Ephemeral { space: own(&frame.space.0), payload: frame.payload })
            }
            Self::Snap(space, snap) => snap::to_wire(kind, own(&space.0), snap),
        }
    }

    /// Reads a frame; `None` is one of unknown type that may be ignored. Segments share the memory of `bytes`.
    ///
    /// # Errors
    /// [`FrameError`] if the bytes are not a frame of this protocol.
    pub fn decode(bytes: &Bytes) -> Result<Option<Self>, FrameError> {
        if bytes.len() > FRAME_BYTES_MAX {
            return Err(FrameError::TooLarge { bytes: bytes.len() });
        }
        let [kind, flags, ..] = bytes[..] else { return Err(FrameError::Short { bytes: bytes.len() }) };
        if !matches!(kind, 0x01..=0x0d | 0x10..=0x14 | EPHEMERAL | 0x20..=0x25) || flags & !IGNORABLE != 0 {
            return if flags & IGNORABLE != 0 { Ok(None) } else { Err(FrameError::Unknown { kind, flags }) };
        }
        let body = Body { kind, bytes: bytes.slice(2..) };
        if wire::count_fields(&body.bytes, FIELDS_MAX).is_none() {
            return Err(FrameError::Body { kind });
        }
        let frame = match kind {
            0x01 => body.hello(),
            0x02 => body.auth(),
            0x03 => body.auth_ok(),
            0x04 => body.subscribe(),
            0x05 => body.subscribed(),
            0x06 => body.batch(),
            0x07 => body.caught_up(),
            0x08 => body.credit(),
            0x09 => body.push(),
            0x0a => body.ack(),
            0x0b => body.message::<wire::Tick>().map(|tick| Self::Tick { time_ms: tick.time_ms }),
            0x0c => body.go_away(),
            0x0d => body.error(),
            0x11 => body.heads_range(),
            0x12 => body.get_chain(),
            0x13 => body.chain(),
            0x14 => body.heads_differ(),
            EPHEMERAL => return body.ephemeral(),
            0x21 => body.snapshot(),
            0x20..=0x25 => body.snap(),
            _ => body.heads(),
        };
        frame.map(Some)
    }
}

/// A body that is read, with the type for the errors.
struct Body {
    kind: u8,
    bytes: Bytes,
}

impl Body {
    fn hello(&self) -> Result<Frame, FrameError> {
        let frame: wire::Hello = self.message()?;
        let limits = frame.limits.ok_or_else(|| self.bad("limits"))?;
        Ok(Frame::Hello(Hello {
            min_version: frame.min_version,
            max_version: frame.max_version,
            relay_key: self.array("relay_key", &frame.relay_key)?,
            nonce: self.array("nonce", &frame.nonce)?,
            limits: Limits {
                frame_bytes: limits.frame_bytes,
                row_bytes: limits.row_bytes,
                push_bytes: limits.push_bytes,
                push_rows: limits.push_rows,
                subscriptions: limits.subscriptions,
            },
        }))
    }

    fn auth(&self) -> Result<Frame, FrameError> {
        let frame: wire::Auth = self.message()?;
        let proof = |proof: wire::Proof| {
            let signature = self.array("signature", &proof.signature)?;
            Ok(Proof { genesis: proof.genesis, chain: proof.chain, signature })
        };
        Ok(Frame::Auth(Auth {
            version: frame.version,
            client_nonce: self.array("client_nonce", &frame.client_nonce)?,
            proofs: self.list(frame.proofs, PROOFS_MAX, proof)?,
            token: frame.token,
        }))
    }

    fn auth_ok(&self) -> Result<Frame, FrameError> {
        let frame: wire::AuthOk = self.message()?;
        let admission = |admission: wire::Admission| {
            let refused = (admission.code != 0).then(|| Code::of(admission.code));
            Ok(Admission { space: self.space(&admission.space)?, refused })
        };
        Ok(Frame::AuthOk(AuthOk {
            version: frame.version,
            spaces: self.list(frame.spaces, PROOFS_MAX, admission)?,
        }))
    }

    fn subscribe(&self) -> Result<Frame, FrameError> {
        let frame: wire::Subscribe = self.message()?;
        let from = frame.from.map(|from| {
            Ok(Position {
                log_id: LogId(self.array("log_id", &from.log_id)?),
                cursor: from.cursor,
                chain: LogChain(self.array("chain", &from.chain)?),
            })
        });
        let heads = (!frame.heads.is_empty()).then(|| self.array("heads", &frame.heads));
        Ok(Frame::Subscribe(Subscribe {
            space: self.space(&frame.space)?,
            from: from.transpose()?,
            own: self.list(frame.own, OWN_ACTORS_MAX, |actor| Ok(ActorId(self.array("own", &actor)?)))?,
            credit: frame.credit,
            heads: heads.transpose()?,
            held: frame.held,
            look: frame.look,
        }))
    }

    fn subscribed(&self) -> Result<Frame, FrameError> {
        let frame: wire::Subscribed = self.message()?;
        let resync = match frame.resync {
            0 => None,
            1 => Some(Resync::LogId),
            2 => Some(Resync::FutureCursor),
            3 => Some(Resync::Chain),
            _ => return Err(self.bad("resync")),
        };
        let chain = (!frame.chain.is_empty()).then(|| Ok(LogChain(self.array("chain", &frame.chain)?)));
        let place = (!frame.place.is_empty()).then(|| Ok(LogChain(self.array("place", &frame.place)?)));
        Ok(Frame::Subscribed(Subscribed {
            space: self.space(&frame.space)?,
            resync,
            log_id: LogId(self.array("log_id", &frame.log_id)?),
            head: frame.head,
            tips: self.list(frame.tips, HEADS_TIPS_MAX, |tip| self.tip(&tip))?,
            chain: chain.transpose()?,
            place: place.transpose()?,
            said: self.said(frame.time_ms, &frame.signature)?,
        }))
    }

    fn batch(&self) -> Result<Frame, FrameError> {
        let frame: wire::Batch = self.message()?;
        let delivery = |row: wire::Row| {
            if row.id.is_empty() {
                Ok(Delivery::Row(self.row(row)?))
            } else {
                Ok(Delivery::Own(self.id(&row.id)?))
            }
        };
        let chain = (!frame.chain.is_empty()).then(|| Ok(LogChain(self.array("chain", &frame.chain)?)));
        Ok(Frame::Batch(Batch {
            space: self.space(&frame.space)?,
            first_cursor: frame.first_cursor,
            rows: self.list(frame.rows, BATCH_ROWS_MAX, delivery)?,
            chain: chain.transpose()?,
        }))
    }

    fn caught_up(&self) -> Result<Frame, FrameError> {
        let frame: wire::CaughtUp = self.message()?;
        Ok(Frame::CaughtUp(CaughtUp { space: self.space(&frame.space)?, cursor: frame.cursor }))
    }

    fn credit(&self) -> Result<Frame, FrameError> {
        let frame: wire::Credit = self.message()?;
        Ok(Frame::Credit(Credit { space: self.space(&frame.space)?, bytes: frame.bytes }))
    }

    fn push(&self) -> Result<Frame, FrameError> {
        let frame: wire::Push = self.message()?;
        if frame.push_id == 0 {
            return Err(self.bad("push_id"));
        }
        Ok(Frame::Push(Push {
            push_id: frame.push_id,
            space: self.space(&frame.space)?,
            rows: self.list(frame.rows, PUSH_ROWS_MAX, |row| self.row(row))?,
        }))
    }

    fn ack(&self) -> Result<Frame, FrameError> {
        let frame: wire::Ack = self.message()?;
        let verdict = |result: wire::RowResult| match result.verdict {
            1 => Ok(Verdict::Accepted { cursor: result.cursor }),
            2 => Ok(Verdict::Dup { cursor: result.cursor }),
            3 if result.id.is_empty() => Ok(Verdict::Gap { tip: None }),
            3 => Ok(Verdict::Gap { tip: Some((self.seq(result.seq)?, self.id(&result.id)?)) }),
            4 => Ok(Verdict::Forked { cursor: result.cursor, existing: self.id(&result.id)? }),
            5 if result.code != 0 => Ok(Verdict::Rejected(Code::of(result.code))),
            _ => Err(self.bad("verdict")),
        };
        Ok(Frame::Ack(Ack {
            push_id: frame.push_id,
            results: self.list(frame.results, PUSH_ROWS_MAX, verdict)?,
            said: self.said(frame.time_ms, &frame.signature)?,
        }))
    }

    /// A relay's word, or none.
    fn said(&self, time_ms: u64, signature: &Bytes) -> Result<Option<Said>, FrameError> {
        if signature.is_empty() {
            return Ok(None);
        }
        Ok(Some(Said { time_ms, signature: self.array("signature", signature)? }))
    }

    fn go_away(&self) -> Result<Frame, FrameError> {
        let frame: wire::GoAway = self.message()?;
        Ok(Frame::GoAway(GoAway {
            code: Code::of(frame.code),
            retry_min_ms: frame.retry_min_ms,
            retry_max_ms: frame.retry_max_ms,
        }))
    }

    fn error(&self) -> Result<Frame, FrameError> {
        let frame: wire::Error = self.message()?;
        let space = (!frame.space.is_empty()).then(|| self.space(&frame.space));
        Ok(Frame::Error(ErrorFrame {
            code: Code::of(frame.code),
            space: space.transpose()?,
            push_id: (frame.push_id != 0).then_some(frame.push_id),
            retryable: frame.retryable,
            retry_after_ms: frame.retry_after_ms,
            message: frame.message,
        }))
    }

    fn heads(&self) -> Result<Frame, FrameError> {
        let frame: wire::Heads = self.message()?;
        Ok(Frame::Heads(Heads {
            version: frame.version,
            space: self.space(&frame.space)?,
            tips: self.list(frame.tips, HEADS_TIPS_MAX, |tip| self.tip(&tip))?,
            more: frame.more,
            credit: frame.credit,
        }))
    }

    fn heads_range(&self) -> Result<Frame, FrameError> {
        let frame: wire::HeadsRange = self.message()?;
        let (sums, rest) = frame.sums.as_chunks::<16>();
        if !rest.is_empty() || !sums.len().is_power_of_two() || sums.len() > HEAD_RANGES_MAX {
            return Err(self.bad("sums"));
        }
        let sums = sums.iter().map(|sum| u128::from_le_bytes(*sum)).collect();
        Ok(Frame::HeadsRange(HeadsRange { space: self.space(&frame.space)?, sums }))
    }

    fn heads_differ(&self) -> Result<Frame, FrameError> {
        let frame: wire::HeadsDiffer = self.message()?;
        Ok(Frame::HeadsDiffer(HeadsDiffer {
            space: self.space(&frame.space)?,
            ranges: self.list(frame.ranges, HEAD_RANGES_MAX, Ok)?,
            tips: self.list(frame.tips, HEADS_TIPS_MAX, |tip| self.tip(&tip))?,
            too_many: frame.too_many,
        }))
    }

    fn get_chain(&self) -> Result<Frame, FrameError> {
        let frame: wire::GetChain = self.message()?;
        let mut places = 0;
        let range = |range: wire::Range| {
            let (first, last) = (self.seq(range.first)?, self.seq(range.last)?);
            if first > last {
                return Err(self.bad("last"));
            }
            let range = ChainRange { actor: ActorId(self.array("actor", &range.actor)?), first, last };
            places += range.places();
            Ok(range)
        };
        let ranges = self.list(frame.ranges, CHAIN_RANGES_MAX, range)?;
        if places > CHAIN_PLACES_MAX {
            return Err(self.bad("ranges"));
        }
        Ok(Frame::GetChain(GetChain { space: self.space(&frame.space)?, ranges, after: frame.after }))
    }

    fn chain(&self) -> Result<Frame, FrameError> {
        let frame: wire::Chain = self.message()?;
        Ok(Frame::Chain(Chain {
            space: self.space(&frame.space)?,
            rows: self.list(frame.rows, BATCH_ROWS_MAX, |row| self.row(row))?,
            next: frame.next,
        }))
    }

    /// None for one that is too long: nobody misses it.
    fn ephemeral(&self) -> Result<Option<Frame>, FrameError> {
        let frame: wire::Ephemeral = self.message()?;
        let said = Ephemeral { space: self.space(&frame.space)?, payload: frame.payload };
        Ok((said.payload.len() <= EPHEMERAL_BYTES_MAX).then_some(Frame::Ephemeral(said)))
    }

    fn row(&self, row: wire::Row) -> Result<Row, FrameError> {
        let signature = self.array("signature", &row.signature)?;
        Ok(Row { header: row.header, signature, skeleton: row.skeleton, content: row.content })
    }

    fn tip(&self, tip: &wire::Tip) -> Result<Tip, FrameError> {
        Ok(Tip {
            actor: ActorId(self.array("actor", &tip.actor)?),
            seq: self.seq(tip.seq)?,
            id: self.id(&tip.id)?,
        })
    }

    fn seq(&self, seq: u64) -> Result<u32, FrameError> {
        u32::try_from(seq).map_err(|_| self.bad("seq"))
    }

    fn id(&self, bytes: &[u8]) -> Result<ChangesetId, FrameError> {
        Ok(ChangesetId(self.array("id", bytes)?))
    }

    fn space(&self, bytes: &[u8]) -> Result<SpaceId, FrameError> {
        Ok(SpaceId(self.array("space", bytes)?))
    }

    fn message<M: Message + Default>(&self) -> Result<M, FrameError> {
        M::decode(self.bytes.clone()).map_err(|_| FrameError::Body { kind: self.kind })
    }

    fn list<W, T>(
        &self,
        items: Vec<W>,
        limit: usize,
        convert: impl FnMut(W) -> Result<T, FrameError>,
    ) -> Result<Vec<T>, FrameError> {
        if items.len() > limit {
            return Err(FrameError::TooMany { kind: self.kind, limit });
        }
        items.into_iter().map(convert).collect()
    }

    fn array<const N: usize>(&self, field: &'static str, bytes: &[u8]) -> Result<[u8; N], FrameError> {
        bytes.try_into().map_err(|_| self.bad(field))
    }

    fn bad(&self, field: &'static str) -> FrameError {
        FrameError::Field { kind: self.kind, field }
    }
}

fn wrap(kind: u8, body: &impl Message) -> Bytes {
    let mut bytes = BytesMut::with_capacity(2 + body.encoded_len());
    bytes.put_u8(kind);
    // Whoever does not know what is kept by nobody misses nothing, and whoever does not know a question leaves it without an answer.
    bytes.put_u8(if matches!(kind, 0x11..=0x14 | EPHEMERAL | 0x20..) { IGNORABLE } else { 0 });
    body.encode(&mut bytes).expect("the buffer grows");
    bytes.freeze()
}

fn own(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn tip_to_wire(tip: &Tip) -> wire::Tip {
    wire::Tip { actor: own(&tip.actor.0), seq: tip.seq.into(), id: own(&tip.id.0) }
}

fn row_to_wire(row: Row) -> wire::Row {
    wire::Row {
        header: row.header,
        signature: own(&row.signature),
        skeleton: row.skeleton,
        content: row.content,
        id: Bytes::new(),
    }
}

fn delivery_to_wire(delivery: Delivery) -> wire::Row {
    match delivery {
        Delivery::Row(row) => row_to_wire(row),
        Delivery::Own(id) => wire::Row { id: own(&id.0), ..wire::Row::default() },
    }
}

fn verdict_to_wire(verdict: &Verdict) -> wire::RowResult {
    let empty = wire::RowResult::default();
    match *verdict {
        Verdict::Accepted { cursor } => wire::RowResult { verdict: 1, cursor, ..empty },
        Verdict::Dup { cursor } => wire::RowResult { verdict: 2, cursor, ..empty },
        Verdict::Gap { tip: None } => wire::RowResult { verdict: 3, ..empty },
        Verdict::Gap { tip: Some((seq, id)) } => {
            wire::RowResult { verdict: 3, seq: seq.into(), id: own(&id.0), ..empty }
        }
        Verdict::Forked { cursor, existing } => {
            wire::RowResult { verdict: 4, cursor, id: own(&existing.0), ..empty }
        }
        Verdict::Rejected(code) => wire::RowResult { verdict: 5, code: code.number(), ..empty },
    }
}
