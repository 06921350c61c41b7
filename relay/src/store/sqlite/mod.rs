//! The embedded store: one SQLite file in WAL mode, fsynced at every commit.
//!
//! ```text
//! node       name -> value                       identity, the probe
//! space      number, id, genesis, log id, head, chain, bytes
//! member     (space, gate, member)               who was let in by which invite
//! actor      number, (space, key)
//! epoch      (space, number) -> kid
//! tip        (space, actor, seq, id) -> cursor   the ends of lanes
//! changeset  (space, cursor) -> actor, seq, fork, chain, packed, skeleton, content
//! redaction  (space, target, member)             what is dropped, whether it is here or comes
//! snapshot   (space, id) -> record               what members made, and (space, id, number) -> chunk
//! ```
//! Rows are clustered by (space, cursor), so that a page of a log is one range of the file. What follows from other rows is not
//! stored ([`packed`]); the chain stands at every so many rows, and between them it follows from the ids. One index by lane finds
//! duplicates, forks and gaps without reading all branches of a fork: `fork` is 0 in the first row of a place and a part of the
//! id in others. Content stands in a column of its own: whoever drops it writes its length and hash into `packed`, and the row
//! stays. Invariant: one writer, behind a lock; readers see whole commits.

mod commit;
mod migrate;
mod packed;
mod redactions;
mod snapshots;

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use prost::bytes::Bytes;
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};
use stemma::causal::{ActorId, ChangesetId, LogChain, LogId, MemberId, SpaceId, Tip};
use stemma::event::{next_chain, start_chain};
use stemma::sync::{ChainRange, Position, Row};

use super::{Admitted, Append, Appended, Newcomer, STRAYS, SpaceRecord, Store, StoreError, StoredRow};
use commit::{Commit, Recent, id_in};
use packed::{Ids, Place, unpack};

const SCHEMA_VERSION: i64 = 4;
const SCHEMA: &str = "
    CREATE TABLE node (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE space (
        number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, genesis BLOB NOT NULL, log_id BLOB NOT NULL,
        head INTEGER NOT NULL, chain BLOB NOT NULL, bytes INTEGER NOT NULL);
    CREATE TABLE member (space INTEGER, gate BLOB, member BLOB, PRIMARY KEY (space, gate, member)) WITHOUT ROWID;
    CREATE TABLE actor (number INTEGER PRIMARY KEY, space INTEGER NOT NULL, key BLOB NOT NULL, UNIQUE (space, key));
";
const LOG_TABLES: &str = "
    CREATE TABLE epoch (space INTEGER, number INTEGER, kid BLOB NOT NULL, PRIMARY KEY (space, number)) WITHOUT ROWID;
    CREATE TABLE tip (space INTEGER, actor INTEGER, seq INTEGER, id BLOB, cursor INTEGER NOT NULL,
        PRIMARY KEY (space, actor, seq, id)) WITHOUT ROWID;
    CREATE TABLE changeset (
        space INTEGER, cursor INTEGER, actor INTEGER NOT NULL, seq INTEGER NOT NULL, fork INTEGER NOT NULL,
        chain BLOB, packed BLOB NOT NULL, skeleton BLOB NOT NULL, content BLOB,
        PRIMARY KEY (space, cursor)) WITHOUT ROWID;
    CREATE INDEX changeset_lane ON changeset (actor, seq, fork);
";

/// What nothing reaches beside [`STRAYS`].
const STRAY_EPOCHS: (&str, &str) =
    ("epoch", "NOT EXISTS (SELECT 1 FROM space WHERE space.number = epoch.space)");

/// Rows between two that have their chain.
const CHAIN_EVERY: u64 = 64;

const FILE: &str = "relay.sqlite";

/// One file.
#[derive(Debug)]
pub struct SqliteStore {
    readers: Vec<Mutex<Connection>>,
    next_reader: AtomicUsize,
    /// Closed after the readers, which may not fold the WAL back into the file.
    writer: Mutex<Writer>,
    /// Held while the store is open: a second relay on the same folder would not see this one's commits in time. None where
    /// it is only read.
    _lock: Option<File>,
}

#[derive(Debug)]
struct Writer {
    connection: Connection,
    recent: Recent,
}

impl Writer {
    fn new(connection: Connection) -> Mutex<Self> {
        Mutex::new(Self { connection, recent: Recent::default() })
    }
}

impl SqliteStore {
    /// Opens the store in a folder, or makes it. One of an earlier version is brought up to date.
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
            SCHEMA_VERSION => {}
            0 => {
                transaction.execute_batch(SCHEMA)?;
                transaction.execute_batch(LOG_TABLES)?;
                transaction.execute_batch(snapshots::TABLES)?;
                transaction.execute_batch(redactions::TABLES)?;
            }
            1 => {
                migrate::from_1(&transaction)?;
                transaction.execute_batch(snapshots::TABLES)?;
                transaction.execute_batch(redactions::TABLES)?;
            }
            2 => {
                transaction.execute_batch(snapshots::TABLES)?;
                transaction.execute_batch(redactions::TABLES)?;
            }
            3 => transaction.execute_batch(redactions::TABLES)?,
            found => return Err(StoreError::Version { found, known: SCHEMA_VERSION }),
        }
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        transaction.commit()?;
        let readers = vec![Mutex::new(reader(&path)?), Mutex::new(reader(&path)?)];
        Ok(Self { writer: Writer::new(writer), readers, next_reader: AtomicUsize::new(0), _lock: Some(lock) })
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
        Ok(Self { writer: Writer::new(writer), readers, next_reader: AtomicUsize::new(0), _lock: None })
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().expect("no method panics while it holds the lock")
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        let turn = self.next_reader.fetch_add(1, Ordering::Relaxed) % self.readers.len();
        self.readers[turn].lock().expect("no method panics while it holds the lock")
    }
}

impl Store for SqliteStore {
    fn identity(&self, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        let writer = &self.writer().connection;
        let select = "SELECT value FROM node WHERE name = 'identity'";
        if let Some(known) = writer.query_row(select, [], |row| row.get(0)).optional()? {
            return Ok(known);
        }
        writer.execute("INSERT INTO node VALUES ('identity', ?)", [fresh])?;
        Ok(fresh)
    }

    fn create_space(&self, space: SpaceId, genesis: &[u8], log_id: LogId) -> Result<(), StoreError> {
        self.writer().connection.execute(
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
        let transaction = writer.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
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
        let Writer { connection, recent } = &mut *writer;
        let appended = (|| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut commit = Commit::new(&transaction, recent);
            let appended = batch.iter().map(|append| commit.append(append)).collect::<Result<_, _>>()?;
            transaction.commit()?;
            Ok(appended)
        })();
        if appended.is_err() {
            // It names rows that are not there.
            *recent = Recent::default();
        }
        appended
    }

    fn read(
        &self,
        space: SpaceId,
        after: u64,
        bytes_max: usize,
        rows_max: usize,
    ) -> Result<Vec<StoredRow>, StoreError> {
        let reader = self.reader();
        let mut log = Log::find(&reader, space)?;
        let Some(mut chain) = log.chain_after(after)? else { return Ok(Vec::new()) };
        let mut statement = reader.prepare_cached(
            "SELECT changeset.cursor, actor.key, changeset.seq, packed, skeleton, content
             FROM changeset JOIN actor ON actor.number = changeset.actor
             WHERE changeset.space = ? AND changeset.cursor > ? ORDER BY changeset.cursor LIMIT ?",
        )?;
        let mut rows = statement.query(params![log.number, after, rows_max as u64])?;
        let mut page: Vec<StoredRow> = Vec::new();
        let (mut bytes, mut cursor) = (0, after);
        while let Some(row) = rows.next()? {
            cursor += 1;
            // Behind a gap nothing is believed.
            if row.get::<_, u64>(0)? != cursor {
                break;
            }
            let packed = row.get_ref(3)?.as_blob().map_err(|_| StoreError::Damaged)?;
            let id = id_in(packed).ok_or(StoreError::Damaged)?;
            let place = Place { space, actor: ActorId(row.get(1)?), seq: row.get(2)?, cursor };
            let skeleton: Vec<u8> = row.get(4)?;
            let content: Option<Vec<u8>> = row.get(5)?;
            let (header, signature) = match unpack(packed, place, &skeleton, content.as_deref(), &mut log) {
                // What comes before it is good.
                Err(StoreError::Damaged) if !page.is_empty() => break,
                unpacked => unpacked?,
            };
            log.ids.insert(cursor, id.0);
            chain = next_chain(chain, id);
            let row = Row {
                header: Bytes::from(header),
                signature,
                skeleton: Bytes::from(skeleton),
                content: content.map(Bytes::from),
            };
            bytes += row.bytes();
            if bytes > bytes_max && !page.is_empty() {
                break;
            }
            page.push(StoredRow { cursor, chain, row });
        }
        Ok(page)
    }

    fn chain_at(&self, space: SpaceId, cursor: u64) -> Result<Option<LogChain>, StoreError> {
        let reader = self.reader();
        let log = Log::find(&reader, space)?;
        if cursor == 0 { Ok(None) } else { log.chain_after(cursor) }
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
        // The first ones are enough, and one more to know of: an actor may have any number of branches.
        let most = rows_max + 1;
        let mut cursors: Vec<u64> = Vec::new();
        {
            let reader = self.reader();
            let number = number_of(&reader, space)?;
            let mut places = reader.prepare_cached(
                "SELECT cursor FROM changeset INDEXED BY changeset_lane
                 WHERE actor = (SELECT number FROM actor WHERE space = ?1 AND key = ?2)
                     AND seq BETWEEN ?3 AND ?4 AND space = ?1 AND cursor > ?5 ORDER BY cursor LIMIT ?6",
            )?;
            for ChainRange { actor, first, last } in ranges {
                let asked = params![number, actor.0, first, last, after, most as u64];
                for cursor in places.query_map(asked, |row| row.get(0))? {
                    cursors.push(cursor?);
                }
                if cursors.len() > 16 * most {
                    cursors.sort_unstable();
                    cursors.dedup();
                    cursors.truncate(most);
                }
            }
        }
        cursors.sort_unstable();
        cursors.dedup();
        let (mut page, mut bytes): (Vec<StoredRow>, usize) = (Vec::new(), 0);
        // Rows that follow one another in the log are read together.
        for run in cursors[..cursors.len().min(rows_max)].chunk_by(|before, next| before + 1 == *next) {
            let room = bytes_max.saturating_sub(bytes);
            let rows = self.read(space, run[0] - 1, room, run.len())?;
            let read: usize = rows.iter().map(|row| row.row.bytes()).sum();
            // A page has one row at least, but not one more than it has room for.
            if read > room && !page.is_empty() {
                break;
            }
            let is_whole = rows.len() == run.len();
            bytes += read;
            page.extend(rows);
            if !is_whole {
                break;
            }
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
        let removed = self.writer().connection.execute("DELETE FROM space WHERE id = ?", [space.0])?;
        self.strays(true)?;
        Ok(removed > 0)
    }

    fn strays(&self, remove: bool) -> Result<u64, StoreError> {
        let mut writer = self.writer();
        writer.recent = Recent::default();
        let transaction = writer.connection.transaction()?;
        let mut count = 0;
        for (table, is_stray) in STRAYS.into_iter().chain([STRAY_EPOCHS]) {
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
        self.writer().connection.execute("INSERT OR REPLACE INTO node VALUES ('probe', x'00')", [])?;
        Ok(())
    }
}

/// A log that is read.
struct Log<'a> {
    connection: &'a Connection,
    space: SpaceId,
    number: i64,
    log_id: LogId,
    /// Of rows by their cursors, and of epochs by their numbers, as far as they were asked for.
    ids: HashMap<u64, [u8; 32]>,
    kids: HashMap<u8, [u8; 16]>,
}

impl<'a> Log<'a> {
    fn find(connection: &'a Connection, space: SpaceId) -> Result<Self, StoreError> {
        let mut statement = connection.prepare_cached("SELECT number, log_id FROM space WHERE id = ?")?;
        let found = statement.query_row([space.0], |row| Ok((row.get(0)?, LogId(row.get(1)?)))).optional()?;
        let (number, log_id) = found.ok_or(StoreError::NoSpace)?;
        Ok(Self { connection, space, number, log_id, ids: HashMap::new(), kids: HashMap::new() })
    }

    /// The chain after a row, or before all; `None` if there is no such row.
    fn chain_after(&self, cursor: u64) -> Result<Option<LogChain>, StoreError> {
        let base = cursor - cursor % CHAIN_EVERY;
        let mut chain = start_chain(self.log_id, self.space);
        if base > 0 {
            let mut statement = self
                .connection
                .prepare_cached("SELECT chain FROM changeset WHERE space = ? AND cursor = ?")?;
            let found = statement.query_row(params![self.number, base], |row| row.get(0)).optional()?;
            let Some(Some(found)) = found else { return Ok(None) };
            chain = LogChain(found);
        }
        let mut statement = self.connection.prepare_cached(
            "SELECT packed FROM changeset WHERE space = ? AND cursor > ? AND cursor <= ? ORDER BY cursor",
        )?;
        let mut rows = statement.query(params![self.number, base, cursor])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            let packed = row.get_ref(0)?.as_blob().map_err(|_| StoreError::Damaged)?;
            chain = next_chain(chain, id_in(packed).ok_or(StoreError::Damaged)?);
            count += 1;
        }
        Ok((base + count == cursor).then_some(chain))
    }
}

impl Ids for Log<'_> {
    type Error = StoreError;

    fn id_at(&mut self, cursor: u64) -> Result<[u8; 32], StoreError> {
        if let Some(id) = self.ids.get(&cursor) {
            return Ok(*id);
        }
        let mut statement =
            self.connection.prepare_cached("SELECT packed FROM changeset WHERE space = ? AND cursor = ?")?;
        let found = statement.query_row(params![self.number, cursor], |row| row.get::<_, Vec<u8>>(0));
        let id = found.optional()?.and_then(|packed| id_in(&packed)).ok_or(StoreError::Damaged)?.0;
        self.ids.insert(cursor, id);
        Ok(id)
    }

    fn kid_of(&mut self, number: u8) -> Result<[u8; 16], StoreError> {
        if let Some(kid) = self.kids.get(&number) {
            return Ok(*kid);
        }
        let mut statement =
            self.connection.prepare_cached("SELECT kid FROM epoch WHERE space = ? AND number = ?")?;
        let found = statement.query_row(params![self.number, number], |row| row.get(0)).optional()?;
        let kid = found.ok_or(StoreError::Damaged)?;
        self.kids.insert(number, kid);
        Ok(kid)
    }

    fn damaged() -> StoreError {
        StoreError::Damaged
    }
}

fn reader(path: &Path) -> Result<Connection, StoreError> {
    Ok(Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?)
}

fn number_of(connection: &Connection, space: SpaceId) -> Result<i64, StoreError> {
    let mut statement = connection.prepare_cached("SELECT number FROM space WHERE id = ?")?;
    statement.query_row([space.0], |row| row.get(0)).optional()?.ok_or(StoreError::NoSpace)
}
