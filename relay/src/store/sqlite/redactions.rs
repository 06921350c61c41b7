//! Redactions in the embedded store. What is dropped is written over, and no copy of it is left in the log of the file.

use rusqlite::{OptionalExtension, params};
use stemma::causal::{ActorId, ChangesetId, MemberId, SpaceId};

use super::commit::id_in;
use super::packed::{Names, Place, pack, unpack};
use super::{Log, SqliteStore, number_of};
use crate::store::redactions::{Redaction, Redactions, is_erasable};
use crate::store::{NewRow, StoreError};
use prost::bytes::Bytes;
use stemma::sync::Row;

pub(super) const TABLES: &str = "
    CREATE TABLE redaction (space INTEGER, target BLOB, member BLOB, as_admin INTEGER NOT NULL, until INTEGER NOT NULL,
        PRIMARY KEY (space, target, member)) WITHOUT ROWID;
    CREATE INDEX redaction_until ON redaction (space, until);
";

impl Redactions for SqliteStore {
    fn redact(
        &self,
        space: SpaceId,
        noted: &[Redaction],
        places: &[(ActorId, u32, ChangesetId)],
        until: u64,
    ) -> Result<u64, StoreError> {
        // Whatever is deleted or becomes shorter is zeros then.
        self.writer().connection.execute_batch("PRAGMA secure_delete = ON")?;
        let dropped = self.change(space, |transaction, number| {
            for Redaction { target, by, as_admin } in noted {
                transaction
                    .prepare_cached(
                        "INSERT INTO redaction (space, target, member, as_admin, until) VALUES (?, ?, ?, ?, ?)
                         ON CONFLICT DO UPDATE SET as_admin = max(as_admin, excluded.as_admin), until = max(until, excluded.until)",
                    )?
                    .execute(params![number, target.0, by.0, as_admin, until])?;
            }
            let mut log = Log::find(transaction, space)?;
            let (mut dropped, mut bytes) = (0, 0);
            for (actor, seq, id) in places {
                let mut statement = transaction.prepare_cached(
                    "SELECT cursor, packed, skeleton, content FROM changeset
                     WHERE actor = (SELECT number FROM actor WHERE space = ? AND key = ?) AND seq = ? AND content IS NOT NULL",
                )?;
                let found = statement.query_map(params![number, actor.0, seq], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                })?;
                for found in found.collect::<Result<Vec<(u64, Vec<u8>, Vec<u8>, Vec<u8>)>, _>>()? {
                    let (cursor, packed, skeleton, content) = found;
                    if id_in(&packed) != Some(*id) {
                        continue;
                    }
                    let place = Place { space, actor: *actor, seq: *seq, cursor };
                    let (header, signature) = unpack(&packed, place, &skeleton, Some(&content), &mut log)?;
                    if !is_erasable(&header) {
                        continue;
                    }
                    let prev = prev_of(&header)?;
                    let header = Bytes::from(header);
                    let row = Row { header, signature, skeleton: Bytes::from(skeleton), content: None };
                    let new = NewRow { id: *id, actor: *actor, seq: *seq, prev, row };
                    let packed = pack(&new, place, &mut Nothing)?;
                    transaction
                        .prepare_cached(
                            "UPDATE changeset SET packed = ?, content = NULL WHERE space = ? AND cursor = ?",
                        )?
                        .execute(params![packed, number, cursor])?;
                    dropped += 1;
                    bytes += content.len() as u64;
                }
            }
            transaction.execute("UPDATE space SET bytes = bytes - ? WHERE number = ?", params![bytes, number])?;
            transaction.execute("DELETE FROM snapshot WHERE space = ?", [number])?;
            transaction.execute("DELETE FROM snapshot_chunk WHERE space = ?", [number])?;
            Ok(dropped)
        });
        let writer = &self.writer().connection;
        writer.execute_batch("PRAGMA secure_delete = OFF")?;
        // Who reads meanwhile holds this up; then a later one does it.
        writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        dropped
    }

    fn redactions(&self, space: SpaceId, targets: &[ChangesetId]) -> Result<Vec<Redaction>, StoreError> {
        let reader = self.reader();
        let number = number_of(&reader, space)?;
        let mut statement =
            reader.prepare_cached("SELECT member, as_admin FROM redaction WHERE space = ? AND target = ?")?;
        let mut found = Vec::new();
        for &target in targets {
            let rows = statement.query_map(params![number, target.0], |row| {
                Ok(Redaction { target, by: MemberId(row.get(0)?), as_admin: row.get(1)? })
            })?;
            for row in rows {
                found.push(row?);
            }
        }
        Ok(found)
    }

    fn redacted(&self, spaces: &[SpaceId]) -> Result<Vec<(SpaceId, u64)>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached(
            "SELECT until FROM redaction WHERE space = (SELECT number FROM space WHERE id = ?) ORDER BY until DESC LIMIT 1",
        )?;
        let mut redacted = Vec::new();
        for space in spaces {
            let until = statement.query_row([space.0], |row| row.get(0)).optional()?;
            redacted.extend(until.map(|until| (*space, until)));
        }
        Ok(redacted)
    }
}

fn prev_of(header: &[u8]) -> Result<Option<ChangesetId>, StoreError> {
    stemma::event::Header::decode(header).map(|header| header.prev()).map_err(|_| StoreError::Damaged)
}

/// Nothing stands for anything else in a row that is written once more: it is seldom.
struct Nothing;

impl Names for Nothing {
    type Error = StoreError;

    fn place_of(&mut self, _id: &[u8; 32]) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }

    fn number_of(&mut self, _kid: [u8; 16]) -> Result<Option<u8>, StoreError> {
        Ok(None)
    }
}
