//! What a client says to whoever is there, and what it and a relay say about snapshots (`docs/protocol.md` §8): a session passes
//! it on, and knows whether rows wait
//! behind a look at one; and how far rows were handed out.

use super::{Phase, Session, SessionOutput};
use crate::sync::message::{Credit, Ephemeral, Frame, Position, Snap};
use prost::bytes::Bytes;

/// Whether a snapshot comes before rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// It may: nothing came yet.
    Open,
    /// One came; the relay has no credit before [`Session::end_look`].
    Held,
    Over,
}

impl Session {
    /// Says something to whoever is there; to nobody without a subscription.
    pub fn say(&mut self, payload: &[u8]) {
        if matches!(self.phase, Phase::Streaming(_)) {
            let payload = Bytes::copy_from_slice(payload);
            self.send(Frame::Ephemeral(Ephemeral { space: self.config.space, payload }));
        }
    }

    /// Says something about a snapshot; to nobody without a subscription.
    pub fn snap(&mut self, snap: Snap) {
        if matches!(self.phase, Phase::Streaming(_)) {
            self.send(Frame::Snap(self.config.space, snap));
        }
    }

    /// The snapshot that came before rows was looked at, or is of no use: the rows may come.
    pub fn end_look(&mut self) {
        if std::mem::replace(&mut self.look, Look::Over) == Look::Held {
            self.send(Frame::Credit(Credit { space: self.config.space, bytes: self.config.credit_bytes }));
        }
    }

    /// How many rows the next output has, at least one if it is rows at all, and at most [`SLICE_ROWS`](crate::sync::SLICE_ROWS).
    #[must_use]
    pub fn next_rows(&self) -> usize {
        match self.outputs.front() {
            Some(SessionOutput::Rows { rows, .. }) => rows.len().max(1),
            Some(SessionOutput::Chain { rows, .. }) => rows.len().max(1),
            _ => 0,
        }
    }

    /// Up to where rows were handed out.
    #[must_use]
    pub fn read(&self) -> Option<Position> {
        match self.phase {
            Phase::Streaming(read) => Some(read),
            _ => None,
        }
    }

    pub(super) fn on_snap(&mut self, snap: Snap) {
        let looks = matches!(&snap, Snap::Offer(offer) if !offer.attest) && self.look == Look::Open;
        if looks {
            self.look = Look::Held;
        }
        self.outputs.push_back(SessionOutput::Snap { snap, looks });
    }
}
