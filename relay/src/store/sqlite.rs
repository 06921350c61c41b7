//! The embedded store: one SQLite file in WAL mode, fsynced at every commit.
//!
//! ```text
//! node       name -> value                       identity, the probe
//! space      number, id, genesis, log id, head, chain, bytes
//! member     (space, gate, member)               who was let in by which invite
//! actor      number, (space, key)
//! tip        (space, actor, seq, id)             the ends of lanes
//! changeset  (space, cursor) -> actor, seq, short, chain, header, signature, skeleton, content
//! ```
//! Rows are clustered by (space, cursor), so that a page of a log is one range of the file; one index by lane and the
//! first 8 bytes of the id finds duplicates, forks and gaps without reading all branches of a fork. Content stands in a column of its own: it can be dropped and the row stays. Invariant: one
//! writer, behind a lock; readers see whole commits.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use prost::bytes::Bytes;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};
use stemma::causal::{ActorId, ChangesetId, LogChain, LogId, MemberId, SpaceId, Tip};
use stemma::event::{changeset_id, next_chain, start_chain};
use stemma::sync::{ChainRange, Code, Position, Row, Verdict};

use super::{
    Admitted, Append, Appended, Judgement, Lanes, NewRow, Newcomer, STRAYS, SpaceRecord, Store, StoreError,
    StoredRow, judge, short,
};

const SCHEMA_VERSION: i64 = 1;
const SCHEMA: &str = "
    CREATE TABLE node (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE space (
        number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, genesis BLOB NOT NULL, log_id BLOB NOT NULL,
        head INTEGER NOT NULL, chain BLOB NOT NULL, bytes INTEGER NOT NULL);
    CREATE TABLE member (space INTEGER, gate BLOB, member BLOB, PRIMARY KEY (space, gate, member)) WITHOUT ROWID;
    CREATE TABLE actor (number INTEGER PRIMARY KEY, space INTEGER NOT NULL, key BLOB NOT NULL, UNIQUE (space, key));
    CREATE TABLE tip (space INTEGER, actor INTEGER, seq INTEGER, id BLOB,
        PRIMARY KEY (space, actor, seq, id)) WITHOUT ROWID;
    CREATE TABLE changeset (
        space INTEGER, cursor INTEGER, actor INTEGER NOT NULL, seq INTEGER NOT NULL, short INTEGER NOT NULL,
        chain BLOB NOT NULL, header BLOB NOT NULL, signature BLOB NOT NULL, skeleton BLOB NOT NULL, content BLOB,
        PRIMARY KEY (space, cursor)) WITHOUT ROWID;
    CREATE INDEX changeset_lane ON changeset (space, actor, seq, short);
";

const FILE: &str = "relay.sqlite";

/// One file.
#[derive(Debug)]
pub struct SqliteStore {
    readers: Vec<Mutex<Connection>>,
    next_reader: AtomicUsize,
    /// Closed after the readers, which may not fold the WAL back into the file.
    writer: Mutex<Connection>,
    /// Held while the store is open: a second relay on the same folder would not see this one's commits in time. None where
    /// it is only read.
    _lock: Option<File>,
}

impl SqliteStore {
    /// Opens the store in a folder, or makes it.
    ///
    /// # Errors
    /// [`StoreError`] if that fails, if another relay has it open, or if it is of another version.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(folder)?;
        let lock = File::create(folder.join("LOCK"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::Error(error) => error,
            TryLockError::WouldBlock => io::Error::other("another relay has it open"),
        })?;
        let path = folder.join(FILE);
        let mut writer = Connection::open(&path)?;
        writer.execute_batch(
            "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;",
        )?;
        let transaction = writer.transaction()?;
        match transaction.query_row("PRAGMA user_version", [], |row| row.get(0))? {
            0 => {
                transaction.execute_batch(SCHEMA)?;
                transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
            }
            SCHEMA_VERSION => {}
            found => return Err(StoreError::Version { found, known: SCHEMA_VERSION }),
        }
        transaction.commit()?;
        let readers = vec![Mutex::new(reader(&path)?), Mutex::new(reader(&path)?)];
        Ok(Self { writer: Mutex::new(writer), readers, next_reader: AtomicUsize::new(0), _lock: Some(lock) })
    }

    /// Opens the store that is in a folder.
    ///
    /// # Errors
    /// As [`Self::open`], and if there is none.
    pub fn open_existing(folder: &Path) -> Result<Self, StoreError> {
        if !folder.join(FILE).try_exists()? {
            return Err(StoreError::NoStore);
        }
        Self::open(folder)
    }

    /// Opens the store in a folder for reading alone, beside a relay that has it open perhaps. Everything that writes fails.
    ///
    /// # Errors
    /// [`StoreError`] if that fails, if there is none, or if it is of another version.
    pub fn open_to_read(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(FILE);
        if !path.try_exists()? {
            return Err(StoreError::NoStore);
        }
        let writer = reader(&path)?;
        let found = writer.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if found != SCHEMA_VERSION {
            return Err(StoreError::Version { found, known: SCHEMA_VERSION });
        }
        let readers = vec![Mutex::new(reader(&path)?)];
        Ok(Self { writer: Mutex::new(writer), readers, next_reader: AtomicUsize::new(0), _lock: None })
    }

    fn writer(&self) -> MutexGuard<'_, Connection> {
        self.writer.lock().expect("no method panics while it holds the lock")
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        let turn = self.next_reader.fetch_add(1, Ordering::Relaxed) % self.readers.len();
        self.readers[turn].lock().expect("no method panics while it holds the lock")
    }
}

impl Store for SqliteStore {
    fn identity(&self, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        let writer = self.writer();
        let select = "SELECT value FROM node WHERE name = 'identity'";
        if let Some(known) = writer.query_row(select, [], |row| row.get(0)).optional()? {
            return Ok(known);
        }
        writer.execute("INSERT INTO node VALUES ('identity', ?)", [fresh])?;
        Ok(fresh)
    }

    fn create_space(&self, space: SpaceId, genesis: &[u8], log_id: LogId) -> Result<(), StoreError> {
        self.writer().execute(
            "INSERT OR IGNORE INTO space (id, genesis, log_id, head, chain, bytes) VALUES (?, ?, ?, 0, ?, 0)",
            params![space.0, genesis, log_id.0, start_chain(log_id, space).0],
        )?;
        Ok(())
    }

    fn space(&self, space: SpaceId) -> Result<Option<SpaceRecord>, StoreError> {
        let reader = self.reader();
        let mut statement =
            reader.prepare_cached("SELECT genesis, log_id, head, chain, bytes FROM space WHERE id = ?")?;
        let record = statement.query_row([space.0], |row| {
            let head =
                Position { log_id: LogId(row.get(1)?), cursor: row.get(2)?, chain: LogChain(row.get(3)?) };
            Ok(SpaceRecord { genesis: row.get(0)?, head, bytes: row.get(4)? })
        });
        Ok(record.optional()?)
    }

    fn admit(&self, space: SpaceId, newcomer: &Newcomer) -> Result<Admitted, StoreError> {
        let mut writer = self.writer();
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let number = number_of(&transaction, space)?;
        let known = transaction
            .prepare_cached("SELECT 1 FROM member WHERE space = ? AND gate = ? AND member = ?")?
            .exists(params![number, newcomer.gate, newcomer.member.0])?;
        if known {
            return Ok(Admitted::In);
        }
        if newcomer.expired {
            return Ok(Admitted::Expired);
        }
        let count: u64 = transaction
            .prepare_cached("SELECT count(*) FROM member WHERE space = ? AND gate = ?")?
            .query_row(params![number, newcomer.gate], |row| row.get(0))?;
        if newcomer.uses.is_some_and(|uses| count >= uses) {
            return Ok(Admitted::Used);
        }
        transaction.execute(
            "INSERT INTO member (space, gate, member) VALUES (?, ?, ?)",
            params![number, newcomer.gate, newcomer.member.0],
        )?;
        transaction.commit()?;
        Ok(Admitted::In)
    }

    fn append(&self, batch: &[Append]) -> Result<Vec<Appended>, StoreError> {
        let mut writer = self.writer();
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut commit = Commit { transaction: &transaction, actors: HashMap::new() };
        let appended = batch.iter().map(|append| commit.append(append)).collect::<Result<_, _>>()?;
        transaction.commit()?;
        Ok(appended)
    }

    fn read(
        &self,
        space: SpaceId,
        after: u64,
        bytes_max: usize,
        rows_max: usize,
    ) -> Result<Vec<StoredRow>, StoreError> {
        let reader = self.reader();
        let number = number_of(&reader, space)?;
        let mut statement = reader.prepare_cached(
            "SELECT cursor, chain, header, signature, skeleton, content FROM changeset
             WHERE space = ? AND cursor > ? ORDER BY cursor LIMIT ?",
        )?;
        let mut rows = statement.query(params![number, after, rows_max as u64])?;
        let mut page: Vec<StoredRow> = Vec::new();
        let mut bytes = 0;
        while let Some(row) = rows.next()? {
            let stored = stored(row)?;
            bytes += stored.row.bytes();
            if bytes > bytes_max && !page.is_empty() {
                break;
            }
            page.push(stored);
        }
        Ok(page)
    }

    fn chain_at(&self, space: SpaceId, cursor: u64) -> Result<Option<LogChain>, StoreError> {
        let reader = self.reader();
        let number = number_of(&reader, space)?;
        let mut statement =
            reader.prepare_cached("SELECT chain FROM changeset WHERE space = ? AND cursor = ?")?;
        Ok(statement.query_row(params![number, cursor], |row| row.get(0).map(LogChain)).optional()?)
    }

    fn tips(&self, space: SpaceId, actors: &[ActorId]) -> Result<Vec<Tip>, StoreError> {
        let reader = self.reader();
        let number = number_of(&reader, space)?;
        let mut statement = reader.prepare_cached(
            "SELECT tip.seq, tip.id FROM actor JOIN tip ON tip.space = actor.space AND tip.actor = actor.number
             WHERE actor.space = ? AND actor.key = ? ORDER BY tip.seq, tip.id",
        )?;
        let mut tips = Vec::new();
        for &actor in actors {
            let found = statement.query_map(params![number, actor.0], |row| {
                Ok(Tip { actor, seq: row.get(0)?, id: ChangesetId(row.get(1)?) })
            })?;
            for tip in found {
                tips.push(tip?);
            }
        }
        Ok(tips)
    }

    fn ends(&self, space: SpaceId) -> Result<(Position, Vec<Tip>), StoreError> {
        let reader = self.reader();
        // One statement sees one moment.
        let mut statement = reader.prepare_cached(
            "SELECT log_id, head, chain, actor.key, tip.seq, tip.id FROM space
             LEFT JOIN tip ON tip.space = space.number LEFT JOIN actor ON actor.number = tip.actor WHERE space.id = ?",
        )?;
        let mut rows = statement.query([space.0])?;
        let (mut head, mut tips) = (None, Vec::new());
        while let Some(row) = rows.next()? {
            let (log_id, chain) = (LogId(row.get(0)?), LogChain(row.get(2)?));
            head = Some(Position { log_id, cursor: row.get(1)?, chain });
            if let Some(actor) = row.get(3)? {
                tips.push(Tip { actor: ActorId(actor), seq: row.get(4)?, id: ChangesetId(row.get(5)?) });
            }
        }
        Ok((head.ok_or(StoreError::NoSpace)?, tips))
    }

    fn chains(
        &self,
        space: SpaceId,
        ranges: &[ChainRange],
        after: u64,
        bytes_max: usize,
        rows_max: usize,
    ) -> Result<(Vec<StoredRow>, bool), StoreError> {
        let reader = self.reader();
        let number = number_of(&reader, space)?;
        let mut places = reader.prepare_cached(
            "SELECT cursor FROM changeset INDEXED BY changeset_lane
             WHERE space = ?1 AND actor = (SELECT number FROM actor WHERE space = ?1 AND key = ?2)
                 AND seq BETWEEN ?3 AND ?4 AND cursor > ?5 ORDER BY cursor LIMIT ?6",
        )?;
        // The first ones are enough, and one more to know of: an actor may have any number of branches.
        let most = rows_max + 1;
        let mut cursors: Vec<u64> = Vec::new();
        for ChainRange { actor, first, last } in ranges {
            let found = places
                .query_map(params![number, actor.0, first, last, after, most as u64], |row| row.get(0))?;
            for cursor in found {
                cursors.push(cursor?);
            }
            if cursors.len() > 16 * most {
                cursors.sort_unstable();
                cursors.dedup();
                cursors.truncate(most);
            }
        }
        cursors.sort_unstable();
        cursors.dedup();
        let mut select = reader.prepare_cached(
            "SELECT cursor, chain, header, signature, skeleton, content FROM changeset WHERE space = ? AND cursor = ?",
        )?;
        let (mut page, mut bytes): (Vec<StoredRow>, usize) = (Vec::new(), 0);
        for cursor in cursors.iter().take(rows_max) {
            let row = select.query_row(params![number, cursor], stored)?;
            bytes += row.row.bytes();
            if bytes > bytes_max && !page.is_empty() {
                break;
            }
            page.push(row);
        }
        let more = page.len() < cursors.len();
        Ok((page, more))
    }

    fn spaces(&self) -> Result<Vec<SpaceId>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare("SELECT id FROM space ORDER BY number")?;
        let ids = statement.query_map([], |row| row.get(0).map(SpaceId))?;
        Ok(ids.collect::<Result<_, _>>()?)
    }

    fn members(&self, space: SpaceId) -> Result<Vec<([u8; 32], MemberId)>, StoreError> {
        let reader = self.reader();
        let number = number_of(&reader, space)?;
        let mut statement = reader.prepare("SELECT gate, member FROM member WHERE space = ?")?;
        let members = statement.query_map([number], |row| Ok((row.get(0)?, MemberId(row.get(1)?))))?;
        Ok(members.collect::<Result<_, _>>()?)
    }

    fn remove_space(&self, space: SpaceId) -> Result<bool, StoreError> {
        let removed = self.writer().execute("DELETE FROM space WHERE id = ?", [space.0])?;
        self.strays(true)?;
        Ok(removed > 0)
    }

    fn strays(&self, remove: bool) -> Result<u64, StoreError> {
        let mut writer = self.writer();
        let transaction = writer.transaction()?;
        let mut count = 0;
        for (table, is_stray) in STRAYS {
            count += match remove {
                true => transaction.execute(&format!("DELETE FROM {table} WHERE {is_stray}"), [])? as u64,
                false => {
                    let select = format!("SELECT count(*) FROM {table} WHERE {is_stray}");
                    transaction.query_row(&select, [], |row| row.get(0))?
                }
            };
        }
        transaction.commit()?;
        Ok(count)
    }

    fn probe(&self) -> Result<(), StoreError> {
        self.writer().execute("INSERT OR REPLACE INTO node VALUES ('probe', x'00')", [])?;
        Ok(())
    }
}

/// One transaction over many spaces.
struct Commit<'a> {
    transaction: &'a Transaction<'a>,
    actors: HashMap<(i64, ActorId), i64>,
}

impl Commit<'_> {
    fn append(&mut self, append: &Append) -> Result<Appended, StoreError> {
        let mut statement =
            self.transaction.prepare_cached("SELECT number, head, chain, bytes FROM space WHERE id = ?")?;
        let space = statement.query_row([append.space.0], |row| {
            Ok((row.get(0)?, row.get(1)?, LogChain(row.get(2)?), row.get(3)?))
        });
        let (number, mut cursor, mut chain, mut bytes): (i64, u64, LogChain, u64) =
            space.optional()?.ok_or(StoreError::NoSpace)?;
        let mut appended = Appended::default();
        for new in &append.rows {
            let verdict = match judge(new, &self.lanes(number, new.actor)?)? {
                Judgement::Answer(verdict) => verdict,
                Judgement::Append { .. } if bytes + new.row.bytes() as u64 > append.quota_bytes => {
                    Verdict::Rejected(Code::Quota)
                }
                Judgement::Append { existing } => {
                    cursor += 1;
                    chain = next_chain(chain, new.id);
                    bytes += new.row.bytes() as u64;
                    self.insert(number, cursor, chain, new)?;
                    appended.rows.push(StoredRow { cursor, chain, row: new.row.clone() });
                    match existing {
                        None => Verdict::Accepted { cursor },
                        Some(existing) => Verdict::Forked { cursor, existing },
                    }
                }
            };
            appended.results.push(verdict);
        }
        self.transaction
            .prepare_cached("UPDATE space SET head = ?, chain = ?, bytes = ? WHERE number = ?")?
            .execute(params![cursor, chain.0, bytes, number])?;
        Ok(appended)
    }

    fn lanes(&mut self, space: i64, key: ActorId) -> Result<ActorRows<'_>, StoreError> {
        let transaction = self.transaction;
        if let Some(&actor) = self.actors.get(&(space, key)) {
            return Ok(ActorRows { transaction, space, actor });
        }
        let actor = transaction
            .prepare_cached("SELECT number FROM actor WHERE space = ? AND key = ?")?
            .query_row(params![space, key.0], |row| row.get(0))
            .optional()?;
        let Some(actor) = actor else { return Ok(ActorRows { transaction, space, actor: NO_ACTOR }) };
        self.actors.insert((space, key), actor);
        Ok(ActorRows { transaction, space, actor })
    }

    fn insert(&mut self, space: i64, cursor: u64, chain: LogChain, new: &NewRow) -> Result<(), StoreError> {
        let actor = match self.actors.get(&(space, new.actor)) {
            Some(&actor) => actor,
            None => {
                self.transaction
                    .prepare_cached("INSERT INTO actor (space, key) VALUES (?, ?)")?
                    .execute(params![space, new.actor.0])?;
                let actor = self.transaction.last_insert_rowid();
                self.actors.insert((space, new.actor), actor);
                actor
            }
        };
        let row = &new.row;
        let content = row.content.as_deref();
        self.transaction
            .prepare_cached(
                "INSERT INTO changeset (space, cursor, actor, seq, short, chain, header, signature, skeleton, content)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                space,
                cursor,
                actor,
                new.seq,
                short(new.id),
                chain.0,
                &row.header[..],
                row.signature,
                &row.skeleton[..],
                content
            ])?;
        if let Some(prev) = new.prev {
            self.transaction
                .prepare_cached("DELETE FROM tip WHERE space = ? AND actor = ? AND seq = ? AND id = ?")?
                .execute(params![space, actor, new.seq - 1, prev.0])?;
        }
        self.transaction
            .prepare_cached("INSERT INTO tip (space, actor, seq, id) VALUES (?, ?, ?, ?)")?
            .execute(params![space, actor, new.seq, new.id.0])?;
        Ok(())
    }
}

/// One actor's rows in one space.
struct ActorRows<'a> {
    transaction: &'a Transaction<'a>,
    space: i64,
    actor: i64,
}

/// No actor has this number: SQLite counts from 1.
const NO_ACTOR: i64 = 0;

impl Lanes for ActorRows<'_> {
    fn top(&self) -> Result<Vec<(u32, ChangesetId)>, StoreError> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT seq, id FROM tip WHERE space = ? AND actor = ? ORDER BY seq DESC, id DESC LIMIT 2",
        )?;
        let tips = statement
            .query_map(params![self.space, self.actor], |row| Ok((row.get(0)?, ChangesetId(row.get(1)?))))?;
        Ok(tips.collect::<Result<_, _>>()?)
    }

    fn find(&self, seq: u32, id: ChangesetId) -> Result<Option<u64>, StoreError> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT cursor, header FROM changeset WHERE space = ? AND actor = ? AND seq = ? AND short = ?",
        )?;
        let mut rows = statement.query(params![self.space, self.actor, seq, short(id)])?;
        while let Some(row) = rows.next()? {
            if changeset_id(row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?) == id {
                return Ok(Some(row.get(0)?));
            }
        }
        Ok(None)
    }

    fn any(&self, seq: u32) -> Result<Option<ChangesetId>, StoreError> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT header FROM changeset INDEXED BY changeset_lane WHERE space = ? AND actor = ? AND seq = ? LIMIT 1",
        )?;
        let header =
            statement.query_row(params![self.space, self.actor, seq], |row| row.get::<_, Vec<u8>>(0));
        Ok(header.optional()?.map(|header| changeset_id(&header)))
    }
}

fn reader(path: &Path) -> Result<Connection, StoreError> {
    Ok(Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?)
}

fn stored(row: &rusqlite::Row<'_>) -> Result<StoredRow, rusqlite::Error> {
    Ok(StoredRow {
        cursor: row.get(0)?,
        chain: LogChain(row.get(1)?),
        row: Row {
            header: Bytes::from(row.get::<_, Vec<u8>>(2)?),
            signature: row.get(3)?,
            skeleton: Bytes::from(row.get::<_, Vec<u8>>(4)?),
            content: row.get::<_, Option<Vec<u8>>>(5)?.map(Bytes::from),
        },
    })
}

fn number_of(connection: &Connection, space: SpaceId) -> Result<i64, StoreError> {
    let mut statement = connection.prepare_cached("SELECT number FROM space WHERE id = ?")?;
    statement.query_row([space.0], |row| row.get(0)).optional()?.ok_or(StoreError::NoSpace)
}
