//! Snapshots in the database that relays share. What two relays do to those of one space at once waits for its row.

use postgres::{GenericClient, Transaction};
use stemma::causal::SpaceId;
use stemma::event::SnapshotId;

use super::{PostgresStore, array, number_of, signed, unsigned};
use crate::store::snapshots::{KEPT_MAX, Kept, Snapshots};
use crate::store::{STRAY_CHUNKS, StoreError};

/// `place` grows with each that is kept.
pub(super) const TABLES: &str = "
    CREATE TABLE snapshot (
        space bigint, id bytea, place bigint NOT NULL, chunks bigint NOT NULL, log_bytes bigint NOT NULL, record bytea NOT NULL,
        PRIMARY KEY (space, id));
    CREATE TABLE snapshot_chunk (space bigint, id bytea, number bigint, chunk bytea NOT NULL, PRIMARY KEY (space, id, number));
    ALTER TABLE snapshot_chunk ALTER COLUMN chunk SET STORAGE EXTERNAL;
";

impl PostgresStore {
    fn change<T>(
        &self,
        space: SpaceId,
        change: impl Fn(&mut Transaction<'_>, i64) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.write(|client| {
            let mut transaction = client.transaction()?;
            // An append locks the row for update: it neither waits for this nor holds it up for longer than it takes.
            let lock = "SELECT pg_advisory_xact_lock(number) FROM space WHERE id = $1";
            transaction.execute(lock, &[&&space.0[..]])?;
            let number = number_of(&mut transaction, space)?;
            let changed = change(&mut transaction, number)?;
            transaction.commit()?;
            Ok(changed)
        })
    }
}

impl Snapshots for PostgresStore {
    fn snapshots(&self, space: SpaceId) -> Result<Vec<Kept>, StoreError> {
        self.read_from(|client| {
            let number = number_of(client, space)?;
            let select =
                "SELECT id, chunks, log_bytes, record FROM snapshot WHERE space = $1 ORDER BY place DESC";
            let kept = |row: &postgres::Row| {
                Ok(Kept {
                    id: SnapshotId(array(row.get(0))?),
                    chunks: number_in(row.get(1))?,
                    log_bytes: unsigned(row.get(2))?,
                    record: row.get(3),
                })
            };
            client.query(select, &[&number])?.iter().map(kept).collect()
        })
    }

    fn stage(&self, space: SpaceId, id: SnapshotId) -> Result<Vec<u32>, StoreError> {
        self.change(space, |transaction, number| {
            let strays =
                format!("DELETE FROM snapshot_chunk WHERE space = $1 AND id != $2 AND {}", STRAY_CHUNKS.1);
            transaction.execute(&strays, &[&number, &&id.0[..]])?;
            let select = "SELECT number FROM snapshot_chunk WHERE space = $1 AND id = $2 ORDER BY number";
            let there = transaction.query(select, &[&number, &&id.0[..]])?;
            there.iter().map(|row| number_in(row.get(0))).collect()
        })
    }

    fn put_chunk(&self, space: SpaceId, id: SnapshotId, number: u32, chunk: &[u8]) -> Result<(), StoreError> {
        self.change(space, |transaction, space| {
            let insert = "INSERT INTO snapshot_chunk VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
            transaction.execute(insert, &[&space, &&id.0[..], &i64::from(number), &chunk])?;
            Ok(())
        })
    }

    fn keep(&self, space: SpaceId, kept: &Kept) -> Result<bool, StoreError> {
        let (id, chunks, log_bytes) = (&kept.id.0[..], i64::from(kept.chunks), signed(kept.log_bytes)?);
        self.change(space, |transaction, space| {
            let count = "SELECT count(*) FROM snapshot_chunk WHERE space = $1 AND id = $2";
            if transaction.query_one(count, &[&space, &id])?.get::<_, i64>(0) != chunks {
                return Ok(false);
            }
            transaction.execute(
                "INSERT INTO snapshot (space, id, place, chunks, log_bytes, record)
                 VALUES ($1, $2, (SELECT coalesce(max(place), 0) + 1 FROM snapshot WHERE space = $1), $3, $4, $5)
                 ON CONFLICT (space, id) DO UPDATE SET record = excluded.record",
                &[&space, &id, &chunks, &log_bytes, &&kept.record[..]],
            )?;
            let old = "SELECT id FROM snapshot WHERE space = $1 ORDER BY place DESC OFFSET $2";
            for old in transaction.query(old, &[&space, &(KEPT_MAX as i64)])? {
                forget(transaction, space, old.get(0))?;
            }
            Ok(true)
        })
    }

    fn forget(&self, space: SpaceId, id: SnapshotId) -> Result<bool, StoreError> {
        self.change(space, |transaction, space| forget(transaction, space, &id.0))
    }

    fn chunk(&self, space: SpaceId, id: SnapshotId, number: u32) -> Result<Option<Vec<u8>>, StoreError> {
        self.read_from(|client| {
            let space = number_of(client, space)?;
            let select = "SELECT chunk FROM snapshot_chunk WHERE space = $1 AND id = $2 AND number = $3";
            let found = client.query_opt(select, &[&space, &&id.0[..], &i64::from(number)])?;
            Ok(found.map(|row| row.get(0)))
        })
    }
}

fn forget(client: &mut impl GenericClient, space: i64, id: &[u8]) -> Result<bool, StoreError> {
    client.execute("DELETE FROM snapshot_chunk WHERE space = $1 AND id = $2", &[&space, &id])?;
    Ok(client.execute("DELETE FROM snapshot WHERE space = $1 AND id = $2", &[&space, &id])? > 0)
}

fn number_in(number: i64) -> Result<u32, StoreError> {
    number.try_into().map_err(|_| StoreError::Damaged)
}
