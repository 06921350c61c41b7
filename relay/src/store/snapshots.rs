//! Snapshots that members made (`docs/protocol.md` §8), as a store keeps them: a record and chunks, none of which it opens.
//!
//! Invariant: of what is kept every chunk is there; a space has at most [`KEPT_MAX`] snapshots, and chunks of one more that is
//! not whole yet.

use stemma::causal::SpaceId;
use stemma::event::SnapshotId;

use super::StoreError;

/// Snapshots of a space.
pub const KEPT_MAX: usize = 2;

/// A snapshot that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Which.
    pub id: SnapshotId,
    /// How many chunks it has.
    pub chunks: u32,
    /// Row bytes of the log when it was kept.
    pub log_bytes: u64,
    /// The SNAPSHOT frame: manifest, maker and witnesses.
    pub record: Vec<u8>,
}

/// What a relay keeps of snapshots.
pub trait Snapshots {
    /// Those of a space, the newest first.
    ///
    /// # Errors
    /// [`StoreError`], as everywhere here.
    fn snapshots(&self, space: SpaceId) -> Result<Vec<Kept>, StoreError>;

    /// Makes room for the chunks of a snapshot: those of any other one that is not kept go. The numbers of those that are there.
    ///
    /// # Errors
    /// [`StoreError`].
    fn stage(&self, space: SpaceId, id: SnapshotId) -> Result<Vec<u32>, StoreError>;

    /// Puts a chunk, which may be there.
    ///
    /// # Errors
    /// [`StoreError`].
    fn put_chunk(&self, space: SpaceId, id: SnapshotId, number: u32, chunk: &[u8]) -> Result<(), StoreError>;

    /// Keeps a snapshot if all its chunks are there, in front of the others, or writes the record of one that is kept. Those
    /// beyond [`KEPT_MAX`] go.
    ///
    /// # Errors
    /// [`StoreError`].
    fn keep(&self, space: SpaceId, kept: &Kept) -> Result<bool, StoreError>;

    /// Forgets a snapshot. Whether it was there.
    ///
    /// # Errors
    /// [`StoreError`].
    fn forget(&self, space: SpaceId, id: SnapshotId) -> Result<bool, StoreError>;

    /// A chunk.
    ///
    /// # Errors
    /// [`StoreError`].
    fn chunk(&self, space: SpaceId, id: SnapshotId, number: u32) -> Result<Option<Vec<u8>>, StoreError>;
}
