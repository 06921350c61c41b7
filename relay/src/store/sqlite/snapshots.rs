//! Snapshots in the embedded store: one transaction for each change.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use stemma::causal::SpaceId;
use stemma::event::SnapshotId;

use super::{SqliteStore, number_of};
use crate::store::snapshots::{KEPT_MAX, Kept, Snapshots};
use crate::store::{STRAY_CHUNKS, StoreError};

/// `place` grows with each that is kept.
pub(super) const TABLES: &str = "
    CREATE TABLE snapshot (
        space INTEGER, id BLOB, place INTEGER NOT NULL, chunks INTEGER NOT NULL, log_bytes INTEGER NOT NULL, record BLOB NOT NULL,
        PRIMARY KEY (space, id)) WITHOUT ROWID;
    CREATE TABLE snapshot_chunk (space INTEGER, id BLOB, number INTEGER, chunk BLOB NOT NULL, UNIQUE (space, id, number));
";

impl SqliteStore {
    pub(super) fn change<T>(
        &self,
        space: SpaceId,
        change: impl FnOnce(&Transaction<'_>, i64) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut writer = self.writer();
        let transaction = writer.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let number = number_of(&transaction, space)?;
        let changed = change(&transaction, number)?;
        transaction.commit()?;
        Ok(changed)
    }
}

impl Snapshots for SqliteStore {
    fn snapshots(&self, space: SpaceId) -> Result<Vec<Kept>, StoreError> {
        let reader = self.reader();
        let number = number_of(&reader, space)?;
        let mut statement = reader.prepare_cached(
            "SELECT id, chunks, log_bytes, record FROM snapshot WHERE space = ? ORDER BY place DESC",
        )?;
        let kept = statement.query_map([number], |row| {
            let (id, chunks) = (SnapshotId(row.get(0)?), row.get(1)?);
            Ok(Kept { id, chunks, log_bytes: row.get(2)?, record: row.get(3)? })
        })?;
        Ok(kept.collect::<Result<_, _>>()?)
    }

    fn stage(&self, space: SpaceId, id: SnapshotId) -> Result<Vec<u32>, StoreError> {
        self.change(space, |transaction, number| {
            let strays =
                format!("DELETE FROM snapshot_chunk WHERE space = ? AND id != ? AND {}", STRAY_CHUNKS.1);
            transaction.execute(&strays, params![number, id.0])?;
            let mut statement = transaction
                .prepare("SELECT number FROM snapshot_chunk WHERE space = ? AND id = ? ORDER BY number")?;
            let there = statement.query_map(params![number, id.0], |row| row.get(0))?;
            Ok(there.collect::<Result<_, _>>()?)
        })
    }

    fn put_chunk(&self, space: SpaceId, id: SnapshotId, number: u32, chunk: &[u8]) -> Result<(), StoreError> {
        self.change(space, |transaction, space| {
            let insert =
                "INSERT OR IGNORE INTO snapshot_chunk (space, id, number, chunk) VALUES (?, ?, ?, ?)";
            transaction.execute(insert, params![space, id.0, number, chunk])?;
            Ok(())
        })
    }

    fn keep(&self, space: SpaceId, kept: &Kept) -> Result<bool, StoreError> {
        let Kept { id, chunks, log_bytes, record } = kept;
        self.change(space, |transaction, space| {
            let count = "SELECT count(*) FROM snapshot_chunk WHERE space = ? AND id = ?";
            let count: u32 = transaction.query_row(count, params![space, id.0], |row| row.get(0))?;
            if count != *chunks {
                return Ok(false);
            }
            transaction.execute(
                "INSERT INTO snapshot (space, id, place, chunks, log_bytes, record)
                 VALUES (?1, ?2, (SELECT coalesce(max(place), 0) + 1 FROM snapshot WHERE space = ?1), ?3, ?4, ?5)
                 ON CONFLICT (space, id) DO UPDATE SET record = excluded.record",
                params![space, id.0, chunks, log_bytes, record],
            )?;
            let mut statement = transaction
                .prepare("SELECT id FROM snapshot WHERE space = ? ORDER BY place DESC LIMIT -1 OFFSET ?")?;
            let old = statement.query_map(params![space, KEPT_MAX as u64], |row| row.get(0))?;
            for old in old.collect::<Result<Vec<[u8; 32]>, _>>()? {
                forget(transaction, space, old)?;
            }
            Ok(true)
        })
    }

    fn forget(&self, space: SpaceId, id: SnapshotId) -> Result<bool, StoreError> {
        self.change(space, |transaction, space| forget(transaction, space, id.0))
    }

    fn chunk(&self, space: SpaceId, id: SnapshotId, number: u32) -> Result<Option<Vec<u8>>, StoreError> {
        let reader = self.reader();
        let space = number_of(&reader, space)?;
        let mut statement = reader
            .prepare_cached("SELECT chunk FROM snapshot_chunk WHERE space = ? AND id = ? AND number = ?")?;
        Ok(statement.query_row(params![space, id.0, number], |row| row.get(0)).optional()?)
    }
}

fn forget(connection: &Connection, space: i64, id: [u8; 32]) -> Result<bool, StoreError> {
    connection.execute("DELETE FROM snapshot_chunk WHERE space = ? AND id = ?", params![space, id])?;
    Ok(connection.execute("DELETE FROM snapshot WHERE space = ? AND id = ?", params![space, id])? > 0)
}
