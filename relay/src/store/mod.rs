//! What the relay keeps: spaces, who was let in, and one log per space. One trait, three stores, one acceptance suite.
//!
//! Invariants of every [`Store`]: what a method changed is durable when it returns; the cursors of a space are 1, 2, 3 …
//! without a gap; the chain of a row is the one of `docs/protocol.md` §3 over everything before it; of a row nothing is ever
//! changed but that its content is dropped. A
//! store judges only places in chains: signatures, sizes and admission were checked before.

mod memory;
mod postgres;
pub(crate) mod redactions;
mod snapshots;
mod sqlite;

use prost::bytes::Bytes;
use stemma::causal::{ActorId, ChangesetId, LogChain, LogId, MemberId, SpaceId, Tip};
use stemma::event::start_chain;
use stemma::sync::{ChainRange, Position, Resync, Row, Verdict};

pub use memory::MemoryStore;
pub use postgres::PostgresStore;
pub use redactions::{Redaction, Redactions};
pub use snapshots::{KEPT_MAX, Kept, Snapshots};
pub use sqlite::SqliteStore;

/// What a relay needs of its disk.
pub trait Store: Snapshots + Redactions + Send + Sync + 'static {
    /// The seed of the relay's key; `fresh` becomes it the first time.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read or written, as everywhere here.
    fn identity(&self, fresh: [u8; 32]) -> Result<[u8; 32], StoreError>;

    /// Makes a space unless it is there.
    ///
    /// # Errors
    /// [`StoreError`].
    fn create_space(&self, space: SpaceId, genesis: &[u8], log_id: LogId) -> Result<(), StoreError>;

    /// A space, or `None` if it is not there.
    ///
    /// # Errors
    /// [`StoreError`].
    fn space(&self, space: SpaceId) -> Result<Option<SpaceRecord>, StoreError>;

    /// Lets a member in through a gate, counting it there the first time.
    ///
    /// # Errors
    /// [`StoreError`].
    fn admit(&self, space: SpaceId, newcomer: &Newcomer) -> Result<Admitted, StoreError>;

    /// Appends to the logs of existing spaces, all in one commit but for those that are busy. Results and rows are in the order
    /// given.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing of the batch was stored.
    fn append(&self, batch: &[Append]) -> Result<Vec<Appended>, StoreError>;

    /// The rows after a cursor: at most so many bytes and rows, but one row if there is any.
    ///
    /// # Errors
    /// [`StoreError`].
    fn read(
        &self,
        space: SpaceId,
        after: u64,
        bytes_max: usize,
        rows_max: usize,
    ) -> Result<Vec<StoredRow>, StoreError>;

    /// The chain after a row, `None` if there is no such row.
    ///
    /// # Errors
    /// [`StoreError`].
    fn chain_at(&self, space: SpaceId, cursor: u64) -> Result<Option<LogChain>, StoreError>;

    /// The ends of all lanes of these actors.
    ///
    /// # Errors
    /// [`StoreError`].
    fn tips(&self, space: SpaceId, actors: &[ActorId]) -> Result<Vec<Tip>, StoreError>;

    /// The end of the log and the ends of all its lanes, at one moment.
    ///
    /// # Errors
    /// [`StoreError`].
    fn ends(&self, space: SpaceId) -> Result<(Position, Vec<Tip>), StoreError>;

    /// The rows at places in chains, every branch of a fork, behind a cursor and in the order of the log: at most so many bytes and
    /// rows, but one row if there is any; and whether there are more.
    ///
    /// # Errors
    /// [`StoreError`].
    fn chains(
        &self,
        space: SpaceId,
        ranges: &[ChainRange],
        after: u64,
        bytes_max: usize,
        rows_max: usize,
    ) -> Result<(Vec<StoredRow>, bool), StoreError>;

    /// Writes something, to see whether that works.
    ///
    /// # Errors
    /// [`StoreError`].
    fn probe(&self) -> Result<(), StoreError>;

    /// All spaces.
    ///
    /// # Errors
    /// [`StoreError`].
    fn spaces(&self) -> Result<Vec<SpaceId>, StoreError>;

    /// Who was let in by which gate.
    ///
    /// # Errors
    /// [`StoreError`].
    fn members(&self, space: SpaceId) -> Result<Vec<([u8; 32], MemberId)>, StoreError>;

    /// Forgets a space, and everything in its log. Whether it was there.
    ///
    /// # Errors
    /// [`StoreError`].
    fn remove_space(&self, space: SpaceId) -> Result<bool, StoreError>;

    /// How much is there that nothing reaches; with `remove` it is not any more. None in a store that forgets.
    ///
    /// # Errors
    /// [`StoreError`].
    fn strays(&self, remove: bool) -> Result<u64, StoreError>;

    /// Whether other relays may append to it while this one does. If so, [`Store::heads`] says what they did.
    fn is_shared(&self) -> bool {
        false
    }

    /// The logs and the newest cursors of those of these spaces that are there; nothing where nobody else appends.
    ///
    /// # Errors
    /// [`StoreError`].
    fn heads(&self, _spaces: &[SpaceId]) -> Result<Vec<(SpaceId, LogId, u64)>, StoreError> {
        Ok(Vec::new())
    }

    /// Tells the other relays, as far as there are some and they hear it. Returns at once.
    fn tell(&self, _hint: Hint) {}

    /// Calls `heard` with what other relays tell, from now on, on some thread. Hints can be lost.
    fn listen(&self, _heard: Box<dyn Fn(Hint) + Send>) {}
}

/// What relays on one store tell each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// A log has at least so many rows.
    Moved {
        /// The space.
        space: SpaceId,
        /// The cursor of its newest row.
        head: u64,
    },
    /// Somebody says something to whoever is there: an EPHEMERAL frame.
    Said {
        /// The space.
        space: SpaceId,
        /// The frame.
        frame: Bytes,
    },
    /// Other hints may have been lost before.
    Missed,
}

/// A space and the end of its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpaceRecord {
    /// The genesis, as it was shown at creation.
    pub genesis: Vec<u8>,
    /// The end of the log.
    pub head: Position,
    /// Row bytes of all rows.
    pub bytes: u64,
}

impl SpaceRecord {
    /// Whether a position is a place in this log. The chain at its cursor is asked for when the rest fits.
    ///
    /// # Errors
    /// What `chain_at` answers.
    pub fn check(
        &self,
        space: SpaceId,
        position: Position,
        chain_at: impl FnOnce(u64) -> Result<Option<LogChain>, StoreError>,
    ) -> Result<Option<Resync>, StoreError> {
        if position.log_id != self.head.log_id {
            return Ok(Some(Resync::LogId));
        }
        if position.cursor > self.head.cursor {
            return Ok(Some(Resync::FutureCursor));
        }
        let chain = match position.cursor {
            0 => Some(start_chain(position.log_id, space)),
            // Who comes back most often was there at the end.
            cursor if cursor == self.head.cursor => Some(self.head.chain),
            cursor => chain_at(cursor)?,
        };
        Ok((chain != Some(position.chain)).then_some(Resync::Chain))
    }
}

/// Somebody at the gate of an invite (or of a grant).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Newcomer {
    /// The public key that let the member in.
    pub gate: [u8; 32],
    /// The member.
    pub member: MemberId,
    /// How many members the gate lets in.
    pub uses: Option<u64>,
    /// Whether its time has passed.
    pub expired: bool,
}

/// What became of a newcomer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// In, counted now or earlier.
    In,
    /// Not counted before, and too late.
    Expired,
    /// Not counted before, and too many.
    Used,
}

/// Rows for one space.
#[derive(Clone, Debug)]
pub struct Append {
    /// The space.
    pub space: SpaceId,
    /// Row bytes the space may have.
    pub quota_bytes: u64,
    /// The rows.
    pub rows: Vec<NewRow>,
}

/// A verified row.
#[derive(Clone, Debug)]
pub struct NewRow {
    /// Its id.
    pub id: ChangesetId,
    /// Its lane.
    pub actor: ActorId,
    /// Its place there.
    pub seq: u32,
    /// The one before it; none at seq 0.
    pub prev: Option<ChangesetId>,
    /// Its bytes.
    pub row: Row,
}

/// What became of an [`Append`].
#[derive(Clone, Debug, Default)]
pub struct Appended {
    /// One per row.
    pub results: Vec<Verdict>,
    /// Those that are new in the log.
    pub rows: Vec<StoredRow>,
    /// Somebody else holds the space locked: nothing of it was judged or stored, and it can be tried again.
    pub is_busy: bool,
}

impl Appended {
    /// How far the log reaches at least, as far as the verdicts say.
    #[must_use]
    pub fn head(&self) -> Option<u64> {
        let cursor = |verdict: &Verdict| match *verdict {
            Verdict::Accepted { cursor } | Verdict::Forked { cursor, .. } | Verdict::Dup { cursor } => {
                Some(cursor)
            }
            Verdict::Gap { .. } | Verdict::Rejected(_) => None,
        };
        self.results.iter().filter_map(cursor).max()
    }
}

/// A row in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRow {
    /// Its place.
    pub cursor: u64,
    /// The chain after it.
    pub chain: LogChain,
    /// Its bytes.
    pub row: Row,
}

/// The store cannot do what it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// SQLite says so.
    #[error("store: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL, or the way there, says so.
    #[error("store: {0}")]
    Postgres(#[from] ::postgres::Error),
    /// Something is stored that no relay writes.
    #[error("the store holds what no relay writes")]
    Damaged,
    /// The folder cannot be made, or another relay holds it.
    #[error("store folder: {0}")]
    Folder(#[from] std::io::Error),
    /// The store is of another version.
    #[error("store version {found} is not {known}: if it is an older one, a relay has to open it first")]
    Version {
        /// What the file says.
        found: i64,
        /// What this relay knows.
        known: i64,
    },
    /// Rows for a space that was never made.
    #[error("no such space")]
    NoSpace,
    /// Nothing was ever stored there.
    #[error("there is no store there: a relay makes one, or `restore`, or `import`")]
    NoStore,
}

/// What nothing reaches, in the SQL of both databases: a table, and when a row of it is a stray. In this order, since a stray
/// of one makes strays of the next.
const STRAYS: [(&str, &str); 7] = [
    (
        "changeset",
        "NOT EXISTS (SELECT 1 FROM space WHERE space.number = changeset.space AND changeset.cursor <= space.head)",
    ),
    (
        "tip",
        "NOT EXISTS (SELECT 1 FROM changeset WHERE changeset.space = tip.space AND changeset.actor = tip.actor
            AND changeset.seq = tip.seq)",
    ),
    (
        "actor",
        "NOT EXISTS (SELECT 1 FROM changeset WHERE changeset.space = actor.space AND changeset.actor = actor.number)",
    ),
    ("member", "NOT EXISTS (SELECT 1 FROM space WHERE space.number = member.space)"),
    ("redaction", "NOT EXISTS (SELECT 1 FROM space WHERE space.number = redaction.space)"),
    ("snapshot", "NOT EXISTS (SELECT 1 FROM space WHERE space.number = snapshot.space)"),
    STRAY_CHUNKS,
];

/// Chunks of a snapshot that is not kept: of one that is being sent, or whose maker gave up.
const STRAY_CHUNKS: (&str, &str) = (
    "snapshot_chunk",
    "NOT EXISTS (SELECT 1 FROM snapshot WHERE snapshot.space = snapshot_chunk.space AND snapshot.id = snapshot_chunk.id)",
);

/// The rows of one actor, as far as a new one's place in its chain depends on them.
trait Lanes {
    /// The two tips with the highest seq, the highest first.
    fn top(&self) -> Result<Vec<(u32, ChangesetId)>, StoreError>;
    /// Where a row is, if it is there.
    fn find(&self, seq: u32, id: ChangesetId) -> Result<Option<u64>, StoreError>;
    /// One row with a seq, if there is any.
    fn any(&self, seq: u32) -> Result<Option<ChangesetId>, StoreError>;
}

/// Compare-and-append on (actor, seq, prev): what a row's place makes of it, before quota. Its cost does not grow with the
/// forks of an actor.
fn judge(row: &NewRow, lanes: &impl Lanes) -> Result<Judgement, StoreError> {
    let top = lanes.top()?;
    let grows_only_lane = match (&top[..], row.prev) {
        ([], None) => true,
        ([(seq, id)], Some(prev)) => seq + 1 == row.seq && *id == prev,
        _ => false,
    };
    if grows_only_lane {
        return Ok(Judgement::Append { existing: None });
    }
    if let Some(cursor) = lanes.find(row.seq, row.id)? {
        return Ok(Judgement::Answer(Verdict::Dup { cursor }));
    }
    if let Some(prev) = row.prev
        && lanes.find(row.seq - 1, prev)?.is_none()
    {
        return Ok(Judgement::Answer(Verdict::Gap { tip: top.first().copied() }));
    }
    Ok(Judgement::Append { existing: lanes.any(row.seq)? })
}

/// The part of an id that is in an index.
fn short(id: ChangesetId) -> i64 {
    i64::from_le_bytes(*id.0.first_chunk().expect("an id is longer"))
}

/// What [`judge`] says.
enum Judgement {
    /// Goes into the log, as a fork if there is another row with its seq.
    Append { existing: Option<ChangesetId> },
    /// Does not.
    Answer(Verdict),
}

#[cfg(test)]
mod tests;
