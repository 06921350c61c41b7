//! From the tables of version 1, which held every header as it was, to those of now: once, when a relay opens such a file.
//!
//! Invariant: one transaction; a relay that is stopped meanwhile leaves the file as it found it.

use prost::bytes::Bytes;
use rusqlite::{Transaction, params};
use stemma::causal::{ActorId, ChangesetId, LogChain, SpaceId};
use stemma::event::{Header, changeset_id};
use stemma::sync::Row;
use tracing::info;

use super::commit::{Commit, Recent};
use super::{LOG_TABLES, SCHEMA_VERSION};
use crate::store::{Lanes, NewRow, StoreError};

/// Writes every row anew. The ends of lanes follow from the rows.
pub(super) fn from_1(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    info!("bringing the store from version 1 to {SCHEMA_VERSION}: as long as that takes nobody is served");
    transaction.execute_batch(
        "DROP INDEX changeset_lane; DROP TABLE tip; ALTER TABLE changeset RENAME TO changeset_1;",
    )?;
    transaction.execute_batch(LOG_TABLES)?;
    let mut recent = Recent::default();
    let mut commit = Commit::new(transaction, &mut recent);
    let mut statement = transaction.prepare(
        "SELECT old.space, space.id, old.cursor, old.chain, actor.key, old.seq, old.header, old.signature, old.skeleton, old.content
         FROM changeset_1 AS old JOIN space ON space.number = old.space JOIN actor ON actor.number = old.actor
         WHERE old.cursor <= space.head ORDER BY old.space, old.cursor",
    )?;
    let mut rows = statement.query(params![])?;
    let mut count = 0_u64;
    while let Some(row) = rows.next()? {
        let header = Bytes::from(row.get::<_, Vec<u8>>(6)?);
        let seq: u32 = row.get(5)?;
        let prev = prev_of(&header, seq)?;
        let new = NewRow {
            id: changeset_id(&header),
            actor: ActorId(row.get(4)?),
            seq,
            prev,
            row: Row {
                header,
                signature: row.get(7)?,
                skeleton: Bytes::from(row.get::<_, Vec<u8>>(8)?),
                content: row.get::<_, Option<Vec<u8>>>(9)?.map(Bytes::from),
            },
        };
        let number = row.get(0)?;
        let is_fork = commit.lanes(number, new.actor)?.any(seq)?.is_some();
        let place = (row.get(2)?, LogChain(row.get(3)?));
        commit.insert((number, SpaceId(row.get(1)?)), place, &new, is_fork)?;
        count += 1;
    }
    drop(rows);
    drop(statement);
    transaction.execute_batch("DROP TABLE changeset_1")?;
    info!(rows = count, "the store is of version {SCHEMA_VERSION}");
    Ok(())
}

/// The row before: version 1 kept that in the header alone, and only rows whose header was good.
fn prev_of(header: &[u8], seq: u32) -> Result<Option<ChangesetId>, StoreError> {
    if seq == 0 {
        return Ok(None);
    }
    Header::decode(header).map(|header| header.prev()).map_err(|_| StoreError::Damaged)
}
