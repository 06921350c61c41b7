//! A session between equals over a port, without a relay (`docs/protocol.md` §6).
//!
//! Invariants: rows go out only within the credit the peer gave; the table of the peer's tips only grows by rows that it
//! named, sent or was sent. It verifies nothing and holds no log: it asks for differences and hands rows over.

use std::collections::{BTreeMap, VecDeque};

use prost::bytes::Bytes;

use super::error::Code;
use super::message::{
    Batch, CaughtUp, ChainRange, Credit, Delivery, Ephemeral, ErrorFrame, Frame, GetChain, Heads, Row,
};
use super::{BATCH_BYTES_MAX, CHAIN_PLACES_MAX, CHAIN_RANGES_MAX, HEADS_TIPS_MAX, PUSH_ROWS_MAX, VERSION};
use crate::causal::{ActorId, SpaceId, Tip};
use crate::event::Header;

/// Tips a peer may name.
const TIPS_MAX: usize = 65_536;

/// What the caller has to do or to know.
#[derive(Clone, Debug, PartialEq)]
pub enum PeerOutput {
    /// Send this frame.
    Send(Bytes),
    /// Work out what the peer lacks, send it with [`PeerSession::send_rows`], ancestors first, and then call
    /// [`PeerSession::difference_sent`]. It lacks, per actor, every row that is no ancestor of a tip here that is known. Unless
    /// `settled`, leave out an actor with an unknown tip at or above one's own highest seq: there the peer is ahead.
    NeedDifference {
        /// What the peer is known to hold.
        tips: Vec<Tip>,
        /// Whether the peer has sent everything it had.
        settled: bool,
    },
    /// Rows of the peer: drop the known, store the others, then call [`PeerSession::stored`] with the bytes of all.
    Rows {
        /// The rows, ancestors first.
        rows: Vec<Row>,
        /// What to give back.
        bytes: u64,
    },
    /// The peer gave credit: rows that wait can go.
    Writable,
    /// Both sides have sent what they had.
    CaughtUp,
    /// The peer asks for what is at these places, with [`PeerSession::send_rows`].
    Asked(Vec<ChainRange>),
    /// The peer said this.
    Ephemeral(Bytes),
    /// The peer, or this side, found something wrong.
    Refused {
        /// What.
        code: Code,
        /// For people who debug.
        message: String,
    },
    /// Close the port.
    Close,
}

/// One side of a conversation between equals. See the module.
#[derive(Debug)]
pub struct PeerSession {
    space: SpaceId,
    credit_bytes: u64,
    phase: Phase,
    /// What the peer is known to hold, per actor.
    tips: BTreeMap<ActorId, Vec<Tip>>,
    tip_count: usize,
    /// Row bytes the peer still takes; one batch may overdraw it.
    window_bytes: i64,
    unstored_bytes: u64,
    owed_bytes: u64,
    /// Differences asked for, sent, and received whole: two each, the second one settled.
    asked: u8,
    sent: u8,
    received: u8,
    outputs: VecDeque<PeerOutput>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The peer's tips are coming in.
    Heads,
    Open,
    Closed,
}

impl PeerSession {
    /// Opens the conversation about a space, from the tips of all lanes held here.
    ///
    /// # Panics
    /// If there is no credit.
    #[must_use]
    pub fn new(space: SpaceId, tips: &[Tip], credit_bytes: u64) -> Self {
        assert!(credit_bytes > 0, "without credit nothing ever comes");
        let mut session = Self {
            space,
            credit_bytes,
            phase: Phase::Heads,
            tips: BTreeMap::new(),
            tip_count: 0,
            window_bytes: 0,
            unstored_bytes: 0,
            owed_bytes: 0,
            asked: 0,
            sent: 0,
            received: 0,
            outputs: VecDeque::new(),
        };
        let mut chunks: Vec<&[Tip]> = tips.chunks(HEADS_TIPS_MAX).collect();
        if chunks.is_empty() {
            chunks.push(&[]);
        }
        let last = chunks.len() - 1;
        for (i, chunk) in chunks.into_iter().enumerate() {
            let credit = if i == 0 { credit_bytes } else { 0 };
            session.send(Frame::Heads(Heads {
                version: VERSION,
                space,
                tips: chunk.to_vec(),
                more: i < last,
                credit,
            }));
        }
        session
    }

    /// A frame came in.
    pub fn on_frame(&mut self, frame: &[u8]) {
        if self.phase == Phase::Closed {
            return;
        }
        match Frame::decode(&Bytes::copy_from_slice(frame)) {
            Ok(None) => {}
            Ok(Some(frame)) => self.on_message(frame),
            Err(error) => self.refuse(error.code(), &error.to_string()),
        }
    }

    /// Sends rows from the front, as many as the peer's credit allows; the rest waits for [`PeerOutput::Writable`].
    pub fn send_rows(&mut self, rows: &mut VecDeque<Row>) {
        while self.is_writable() && !rows.is_empty() {
            let mut batch = Vec::new();
            let mut bytes = 0;
            while let Some(row) = rows.front()
                && (batch.is_empty() || bytes + row.bytes() <= BATCH_BYTES_MAX)
                && batch.len() < PUSH_ROWS_MAX
            {
                bytes += row.bytes();
                self.note(row);
                batch.extend(rows.pop_front().map(Delivery::Row));
            }
            self.window_bytes -= i64::try_from(bytes).expect("a row is far below 2^63 bytes");
            self.send(Frame::Batch(Batch { space: self.space, first_cursor: 0, rows: batch, chain: None }));
        }
    }

    /// All rows of the difference asked for last were sent.
    pub fn difference_sent(&mut self) {
        if self.phase != Phase::Open || self.sent == self.asked {
            return;
        }
        self.sent += 1;
        self.send(Frame::CaughtUp(CaughtUp { space: self.space, cursor: 0 }));
        self.settle();
    }

    /// Says something that is kept by nobody; nothing before the peer has shown its tips.
    pub fn say(&mut self, payload: &[u8]) {
        if self.phase == Phase::Open {
            let payload = Bytes::copy_from_slice(payload);
            self.send(Frame::Ephemeral(Ephemeral { space: self.space, payload }));
        }
    }

    /// Asks for what is at these places: it comes as [`PeerOutput::Rows`], if the peer has it and knows the question.
    ///
    /// # Panics
    /// If there are more than one question may name.
    pub fn get_chain(&mut self, ranges: Vec<ChainRange>) {
        let places: u64 = ranges.iter().map(ChainRange::places).sum();
        assert!(ranges.len() <= CHAIN_RANGES_MAX && places <= CHAIN_PLACES_MAX, "a question has bounds");
        if self.phase == Phase::Open {
            self.send(Frame::GetChain(GetChain { space: self.space, ranges, after: 0 }));
        }
    }

    /// Whether the peer hears what is said.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Whether the peer takes rows now.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.phase == Phase::Open && self.window_bytes > 0
    }

    /// So many bytes of received rows are durable or were dropped.
    pub fn stored(&mut self, bytes: u64) {
        let bytes = bytes.min(self.unstored_bytes);
        self.unstored_bytes -= bytes;
        self.owed_bytes += bytes;
        let due = self.unstored_bytes == 0 || self.owed_bytes >= self.credit_bytes / 4;
        if self.phase == Phase::Open && self.owed_bytes > 0 && due {
            let bytes = std::mem::take(&mut self.owed_bytes);
            self.send(Frame::Credit(Credit { space: self.space, bytes }));
        }
    }

    /// The next output.
    pub fn poll(&mut self) -> Option<PeerOutput> {
        self.outputs.pop_front()
    }

    /// Whether both sides have sent what they had.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        self.sent == 2 && self.received == 2
    }

    fn on_message(&mut self, frame: Frame) {
        match (self.phase, frame) {
            (Phase::Heads, Frame::Heads(heads)) => self.on_heads(heads),
            (Phase::Open, Frame::Batch(batch)) => self.on_batch(batch),
            (Phase::Open, Frame::CaughtUp(up)) if up.space == self.space && self.received < 2 => {
                self.received += 1;
                self.settle();
            }
            (Phase::Open, Frame::Credit(credit)) if credit.space == self.space => {
                let bytes = i64::try_from(credit.bytes).unwrap_or(i64::MAX);
                self.window_bytes = self.window_bytes.saturating_add(bytes);
                self.outputs.push_back(PeerOutput::Writable);
            }
            (Phase::Open, Frame::GetChain(question)) if question.space == self.space => {
                self.outputs.push_back(PeerOutput::Asked(question.ranges));
            }
            (Phase::Open, Frame::Ephemeral(said)) if said.space == self.space => {
                self.outputs.push_back(PeerOutput::Ephemeral(said.payload));
            }
            (_, Frame::Error(error)) => {
                self.outputs.push_back(PeerOutput::Refused { code: error.code, message: error.message });
                self.close();
            }
            (_, frame) => {
                self.refuse(Code::Malformed, &format!("frame type {:#04x} out of place", frame.kind()))
            }
        }
    }

    fn on_heads(&mut self, heads: Heads) {
        if heads.version != VERSION {
            return self.refuse(Code::Version, "no version in common");
        }
        if heads.space != self.space {
            return self.refuse(Code::WrongSpace, "this port is about another space");
        }
        self.tip_count += heads.tips.len();
        if self.tip_count > TIPS_MAX {
            return self.refuse(Code::TooMany, "too many tips");
        }
        for tip in heads.tips {
            self.tips.entry(tip.actor).or_default().push(tip);
        }
        self.window_bytes = self.window_bytes.saturating_add(i64::try_from(heads.credit).unwrap_or(i64::MAX));
        if !heads.more {
            self.phase = Phase::Open;
            self.ask();
        }
    }

    fn on_batch(&mut self, batch: Batch) {
        if batch.space != self.space || batch.rows.is_empty() {
            return self.refuse(Code::Malformed, "rows of nothing");
        }
        if self.unstored_bytes + self.owed_bytes >= self.credit_bytes {
            return self.refuse(Code::Malformed, "rows beyond the credit");
        }
        let mut rows = Vec::with_capacity(batch.rows.len());
        for delivery in batch.rows {
            let Delivery::Row(row) = delivery else {
                return self.refuse(Code::Malformed, "a peer sends whole rows");
            };
            self.note(&row);
            rows.push(row);
        }
        let bytes = rows.iter().map(|row| row.bytes() as u64).sum();
        self.unstored_bytes += bytes;
        self.outputs.push_back(PeerOutput::Rows { rows, bytes });
    }

    /// The second difference is due once the first is sent and the peer's has arrived.
    fn settle(&mut self) {
        if self.asked == 1 && self.sent == 1 && self.received >= 1 {
            self.ask();
        } else if self.is_caught_up() {
            self.outputs.push_back(PeerOutput::CaughtUp);
        }
    }

    fn ask(&mut self) {
        self.asked += 1;
        let tips = self.tips.values().flatten().copied().collect();
        self.outputs.push_back(PeerOutput::NeedDifference { tips, settled: self.asked == 2 });
    }

    /// The peer holds this row: it takes the place of its `prev` among the tips.
    fn note(&mut self, row: &Row) {
        let Ok(header) = Header::decode(&row.header) else { return };
        let tip = Tip { actor: header.actor(), seq: header.seq(), id: header.id() };
        let tips = self.tips.entry(header.actor()).or_default();
        if tips.iter().any(|known| known.id == tip.id) {
            return;
        }
        match tips.iter_mut().find(|known| Some(known.id) == header.prev()) {
            Some(known) => *known = tip,
            // Without room for it the peer is sent a few rows that it has: no harm.
            None if self.tip_count < TIPS_MAX => {
                self.tip_count += 1;
                tips.push(tip);
            }
            None => {}
        }
    }

    fn refuse(&mut self, code: Code, message: &str) {
        self.send(Frame::Error(ErrorFrame::new(code, message)));
        self.outputs.push_back(PeerOutput::Refused { code, message: message.to_owned() });
        self.close();
    }

    fn close(&mut self) {
        self.phase = Phase::Closed;
        self.outputs.push_back(PeerOutput::Close);
    }

    fn send(&mut self, frame: Frame) {
        self.outputs.push_back(PeerOutput::Send(frame.encode()));
    }
}

#[cfg(test)]
mod tests;
