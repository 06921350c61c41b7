//! Redactions in the database that relays share. What was dropped is no row's content any more; when its bytes are gone from the
//! disk is for VACUUM to say, which follows, and for the backups of the database.

use stemma::causal::{ActorId, ChangesetId, MemberId, SpaceId};
use stemma::event::changeset_id;

use super::{PostgresStore, array, number_of, signed, unsigned};
use crate::store::StoreError;
use crate::store::redactions::{Redaction, Redactions, is_erasable};

pub(super) const TABLES: &str = "
    CREATE TABLE redaction (
        space bigint, target bytea, member bytea, as_admin boolean NOT NULL, until bigint NOT NULL,
        PRIMARY KEY (space, target, member));
    CREATE INDEX redaction_until ON redaction (space, until);
";

impl Redactions for PostgresStore {
    fn redact(
        &self,
        space: SpaceId,
        noted: &[Redaction],
        places: &[(ActorId, u32, ChangesetId)],
        until: u64,
    ) -> Result<u64, StoreError> {
        let until = signed(until)?;
        let dropped = self.write(|client| {
            let mut transaction = client.transaction()?;
            transaction.batch_execute("SET LOCAL lock_timeout = '10s'")?;
            let lock = "SELECT number FROM space WHERE id = $1 FOR UPDATE";
            let number = transaction.query_opt(lock, &[&&space.0[..]])?.ok_or(StoreError::NoSpace)?;
            let number: i64 = number.get(0);
            let note = "
                INSERT INTO redaction VALUES ($1, $2, $3, $4, $5) ON CONFLICT (space, target, member)
                DO UPDATE SET as_admin = redaction.as_admin OR excluded.as_admin, until = greatest(redaction.until, excluded.until)";
            for Redaction { target, by, as_admin } in noted {
                transaction.execute(note, &[&number, &&target.0[..], &&by.0[..], as_admin, &until])?;
            }
            let find = "
                SELECT cursor, header, octet_length(content)::bigint FROM changeset
                WHERE space = $1 AND actor = (SELECT number FROM actor WHERE space = $1 AND key = $2) AND seq = $3
                    AND content IS NOT NULL";
            let (mut dropped, mut bytes) = (0, 0);
            for (actor, seq, id) in places {
                for row in transaction.query(find, &[&number, &&actor.0[..], &i64::from(*seq)])? {
                    let (cursor, header): (i64, &[u8]) = (row.get(0), row.get(1));
                    if changeset_id(header) != *id || !is_erasable(header) {
                        continue;
                    }
                    let drop = "UPDATE changeset SET content = NULL WHERE space = $1 AND cursor = $2";
                    dropped += transaction.execute(drop, &[&number, &cursor])?;
                    bytes += row.get::<_, i64>(2);
                }
            }
            transaction
                .execute("UPDATE space SET bytes = bytes - $1 WHERE number = $2", &[&bytes, &number])?;
            transaction.execute("DELETE FROM snapshot WHERE space = $1", &[&number])?;
            transaction.execute("DELETE FROM snapshot_chunk WHERE space = $1", &[&number])?;
            transaction.commit()?;
            Ok(dropped)
        })?;
        self.write(|client| Ok(client.batch_execute("VACUUM changeset, snapshot_chunk")?))?;
        Ok(dropped)
    }

    fn redactions(&self, space: SpaceId, targets: &[ChangesetId]) -> Result<Vec<Redaction>, StoreError> {
        let targets: Vec<&[u8]> = targets.iter().map(|target| &target.0[..]).collect();
        self.read_from(|client| {
            let number = number_of(client, space)?;
            let select =
                "SELECT target, member, as_admin FROM redaction WHERE space = $1 AND target = ANY ($2)";
            let redaction = |row: &postgres::Row| {
                let (target, by) = (ChangesetId(array(row.get(0))?), MemberId(array(row.get(1))?));
                Ok(Redaction { target, by, as_admin: row.get(2) })
            };
            client.query(select, &[&number, &targets])?.iter().map(redaction).collect()
        })
    }

    fn redacted(&self, spaces: &[SpaceId]) -> Result<Vec<(SpaceId, u64)>, StoreError> {
        let ids: Vec<&[u8]> = spaces.iter().map(|space| &space.0[..]).collect();
        self.read_from(|client| {
            let select = "
                SELECT space.id, last.until FROM space CROSS JOIN LATERAL
                    (SELECT until FROM redaction WHERE redaction.space = space.number ORDER BY until DESC LIMIT 1) AS last
                WHERE space.id = ANY ($1)";
            let until = |row: &postgres::Row| Ok((SpaceId(array(row.get(0))?), unsigned(row.get(1))?));
            client.query(select, &[&ids])?.iter().map(until).collect()
        })
    }
}
