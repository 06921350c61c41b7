//! Rows on their way out: one BATCH frame, encoded once for all who read the same rows next.
//!
//! Invariant: a frame that is shared holds whole rows; who pushed some of them gets a frame of its own, with their ids.

use std::time::Instant;

use prost::bytes::Bytes;
use stemma::causal::SpaceId;
use stemma::event::changeset_id;
use stemma::sync::{Batch, Delivery, Frame};

use crate::store::StoredRow;

/// Consecutive rows of a log as one frame.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// The frame.
    pub(crate) frame: Bytes,
    /// The cursor of its last row.
    pub(crate) last: u64,
    /// How many rows it has.
    pub(crate) rows: usize,
    /// Their bytes, as credit counts them.
    pub(crate) bytes: usize,
    /// When the newest was committed here; none if it was read from the store.
    pub(crate) committed: Option<Instant>,
}

impl Page {
    /// The frame of these rows, none if there are none. `is_own` says of which the reader needs the id alone.
    pub(crate) fn new(
        space: SpaceId,
        rows: impl ExactSizeIterator<Item = (StoredRow, bool)>,
        committed: Option<Instant>,
    ) -> Option<Self> {
        let mut deliveries = Vec::with_capacity(rows.len());
        let (mut first, mut end) = (None, None);
        for (stored, is_own) in rows {
            first.get_or_insert(stored.cursor);
            end = Some((stored.cursor, stored.chain));
            deliveries.push(match is_own {
                true => Delivery::Own(changeset_id(&stored.row.header)),
                false => Delivery::Row(stored.row),
            });
        }
        let (first_cursor, (last, chain)) = (first?, end?);
        let (rows, bytes) = (deliveries.len(), deliveries.iter().map(Delivery::bytes).sum());
        let batch = Batch { space, first_cursor, rows: deliveries, chain: Some(chain) };
        Some(Self { frame: Frame::Batch(batch).encode(), last, rows, bytes, committed })
    }
}
