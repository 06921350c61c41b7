//! What a log has that is not the one the client read, found out rung by rung (`docs/protocol.md` §3, "The ladder"), and rows that are
//! asked for by their places.
//!
//! Invariant: an answer that nobody asked for ends the connection, and so does one that is larger than any answer may be.

use super::{Phase, Session, SessionOutput};
use crate::event::HEAD_RANGES_MAX;
use crate::sync::message::{Chain, ChainRange, Frame, GetChain, HeadsDiffer, HeadsRange, Position, Row};
use crate::sync::{BATCH_BYTES_MAX, CHAIN_PLACES_MAX, CHAIN_RANGES_MAX, SLICE_ROWS};

impl Session {
    /// The answer to [`SessionOutput::Compare`]: the sums of the ranges of the heads that are held here.
    ///
    /// # Panics
    /// If their number is no power of two, or too large.
    pub fn compare(&mut self, sums: Vec<u128>) {
        let Phase::Comparing { place, .. } = self.phase else { return };
        assert!(sums.len().is_power_of_two() && sums.len() <= HEAD_RANGES_MAX, "ranges are halves of halves");
        self.phase = Phase::Comparing { place, asked: true };
        self.send(Frame::HeadsRange(HeadsRange { space: self.config.space, sums }));
    }

    /// Asks for the rows at these places that are behind a cursor; they come as [`SessionOutput::Chain`].
    ///
    /// # Panics
    /// If there are more than one question may name.
    pub fn get_chain(&mut self, ranges: Vec<ChainRange>, after: u64) {
        if !matches!(self.phase, Phase::Comparing { .. } | Phase::Streaming(_)) {
            return;
        }
        let places: u64 = ranges.iter().map(ChainRange::places).sum();
        assert!(ranges.len() <= CHAIN_RANGES_MAX && places <= CHAIN_PLACES_MAX, "a question has bounds");
        self.questions += 1;
        self.send(Frame::GetChain(GetChain { space: self.config.space, ranges, after }));
    }

    /// Ends the comparison: everything up to the place is here, and reading goes on behind it; without one, from the start.
    pub fn resume(&mut self, place: Option<Position>) {
        let Phase::Comparing { .. } = self.phase else { return };
        self.config.from = place;
        if place.is_some() {
            self.resync = None;
        }
        self.compares = false;
        self.unstored.clear();
        self.owed_bytes = 0;
        self.subscribe(None);
        self.phase = Phase::AwaitSubscribed;
    }

    /// The log is another one, and its rows are held back until the difference is known.
    pub(super) fn hold(&mut self, place: Position) {
        self.log_id = Some(place.log_id);
        self.phase = Phase::Comparing { place, asked: false };
        self.outputs.push_back(SessionOutput::Compare { place });
    }

    pub(super) fn on_heads_differ(&mut self, place: Position, answer: HeadsDiffer) {
        let HeadsDiffer { space, ranges, tips, too_many } = answer;
        if space != self.config.space {
            return self.violated("heads of another space");
        }
        self.phase = Phase::Comparing { place, asked: false };
        self.outputs.push_back(SessionOutput::Differ { ranges, tips, too_many });
    }

    pub(super) fn on_chain(&mut self, answer: Chain) {
        let Chain { space, rows, next } = answer;
        let bytes: usize = rows.iter().map(Row::bytes).sum();
        if space != self.config.space || self.questions == 0 || (rows.len() > 1 && bytes > BATCH_BYTES_MAX) {
            return self.violated("rows that nobody asked for");
        }
        self.questions -= 1;
        let (mut rows, mut is_last) = (rows.into_iter(), false);
        while !is_last {
            let slice: Vec<Row> = rows.by_ref().take(SLICE_ROWS).collect();
            is_last = rows.len() == 0;
            self.outputs.push_back(SessionOutput::Chain { rows: slice, next: is_last.then_some(next) });
        }
    }
}
