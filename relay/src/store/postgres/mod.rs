//! The store that several relays share: one PostgreSQL database, all of it in the schema `stemma_relay`.
//!
//! The tables are those of the embedded store. A commit locks the rows of the spaces it appends to, lowest first, until it is
//! done: so cursors have no gap, become visible in order, and two relays never wait for each other. What a relay commits it
//! tells the others as a hint ([`hints`]), which may be lost; they look for themselves now and then.
//!
//! Invariant: nothing is acked that the database did not call durable: `synchronous_commit` is never below `on` here.

mod commit;
mod hints;
mod redactions;
mod snapshots;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use postgres::config::Config;
use postgres::error::SqlState;
use postgres::{Client, GenericClient, NoTls};
use prost::bytes::Bytes;
use stemma::causal::{ActorId, ChangesetId, LogChain, LogId, MemberId, SpaceId, Tip};
use stemma::event::start_chain;
use stemma::sync::{ChainRange, Position, Row};
use tracing::warn;

use super::{Admitted, Append, Appended, Hint, Newcomer, STRAYS, SpaceRecord, Store, StoreError, StoredRow};
use commit::Locked;
use hints::Hints;

const SCHEMA_VERSION: i32 = 3;
const SCHEMA: &str = "
    CREATE TABLE node (name text PRIMARY KEY, value bytea NOT NULL);
    CREATE TABLE version (number integer NOT NULL);
    CREATE TABLE space (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id bytea NOT NULL UNIQUE, genesis bytea NOT NULL,
        log_id bytea NOT NULL, head bigint NOT NULL, chain bytea NOT NULL, bytes bigint NOT NULL) WITH (fillfactor = 70);
    CREATE TABLE member (space bigint, gate bytea, member bytea, PRIMARY KEY (space, gate, member));
    CREATE TABLE actor (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, space bigint NOT NULL, key bytea NOT NULL,
        UNIQUE (space, key));
    CREATE TABLE tip (space bigint, actor bigint, seq bigint, id bytea, PRIMARY KEY (space, actor, seq, id));
    CREATE TABLE changeset (
        space bigint, cursor bigint, actor bigint NOT NULL, seq bigint NOT NULL, short bigint NOT NULL,
        chain bytea NOT NULL, header bytea NOT NULL, signature bytea NOT NULL, skeleton bytea NOT NULL, content bytea,
        PRIMARY KEY (space, cursor));
    CREATE INDEX changeset_lane ON changeset (space, actor, seq, short);
    ALTER TABLE changeset ALTER COLUMN header SET STORAGE EXTERNAL,
        ALTER COLUMN skeleton SET STORAGE EXTERNAL, ALTER COLUMN content SET STORAGE EXTERNAL;
";

/// One at a time makes the tables, or looks whether they are there: the first bytes of `stemma-relay`.
const SCHEMA_LOCK: i64 = i64::from_be_bytes(*b"stemma-r");

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A dead database is noticed after so long without an answer to what was sent.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(15);

/// What every connection of ours is set to, whatever the database is. A statement that takes longer is given up, and what it was
/// part of with it; a lock that others hold is waited for as long as their commits take. Who waited for a lock has to see what was
/// written under it.
const SETTINGS: &str = "
    SET search_path = stemma_relay; SET default_transaction_isolation = 'read committed'; SET statement_timeout = '30s'; SET lock_timeout = '250ms';
    SET idle_in_transaction_session_timeout = '60s'; SET client_min_messages = warning;
";

/// Connections that read.
const READERS: usize = 4;

/// One database.
pub struct PostgresStore {
    config: Config,
    writer: Mutex<Option<Client>>,
    readers: Vec<Mutex<Option<Client>>>,
    next_reader: AtomicUsize,
    hints: Hints,
    /// Spaces that others held locked the last time: they are not waited for.
    busy: Mutex<HashSet<SpaceId>>,
}

impl PostgresStore {
    /// Opens the store in a database, or makes it there. `url` is `postgres://user:password@host:port/database`, with several
    /// hosts if one may take over from another, or the `key=value` form of libpq. Without TLS: across machines a tunnel or a
    /// private network has to keep others out. Not to be called by a thread that drives futures, as nothing of this store.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be reached or written, or if the store is of another version.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        let config = config(url)?;
        let mut writer = config.connect(NoTls)?;
        make(&mut writer)?;
        drop(writer);
        Self::start(config)
    }

    /// Opens the store that is in a database.
    ///
    /// # Errors
    /// As [`Self::open`], and if there is none.
    pub fn open_existing(url: &str) -> Result<Self, StoreError> {
        let config = config(url)?;
        let is_there = "SELECT to_regclass('stemma_relay.version') IS NOT NULL";
        let mut client = config.connect(NoTls)?;
        if !client.query_one(is_there, &[])?.get::<_, bool>(0) {
            return Err(StoreError::NoStore);
        }
        check_version(&mut client)?;
        drop(client);
        Self::start(config)
    }

    fn start(config: Config) -> Result<Self, StoreError> {
        let writer = connect(&config)?;
        let readers = (0..READERS).map(|_| Mutex::new(None)).collect();
        let hints = Hints::start(&config);
        Ok(Self {
            config,
            writer: Mutex::new(Some(writer)),
            readers,
            next_reader: AtomicUsize::new(0),
            hints,
            busy: Mutex::default(),
        })
    }

    /// Runs something on a connection; on a new one if the last one ended, or ends meanwhile: the database may have gone to
    /// another machine. So what runs may have been done already: nothing here minds.
    fn on<T>(
        &self,
        slot: &Mutex<Option<Client>>,
        run: impl Fn(&mut Client) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut slot = lock(slot);
        if let Some(client) = slot.as_mut().filter(|client| !client.is_closed()) {
            match run(client) {
                Err(StoreError::Postgres(error)) if is_end(&error) => *slot = None,
                result => return result,
            }
        }
        run(slot.insert(connect(&self.config)?))
    }

    fn write<T>(&self, run: impl Fn(&mut Client) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.on(&self.writer, run)
    }

    fn read_from<T>(&self, run: impl Fn(&mut Client) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let turn = self.next_reader.fetch_add(1, Ordering::Relaxed) % self.readers.len();
        self.on(&self.readers[turn], run)
    }
}

/// Whether a connection is of no use any more: it broke, or the database behind it ends or takes no writes now.
fn is_end(error: &postgres::Error) -> bool {
    let ends = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::READ_ONLY_SQL_TRANSACTION,
    ];
    error.code().is_none_or(|code| ends.contains(code))
}

/// A connection waits for its end, which a thread that drives futures must not.
impl Drop for PostgresStore {
    fn drop(&mut self) {
        let slots = self.readers.iter().chain([&self.writer]);
        let clients: Vec<Client> = slots.filter_map(|slot| lock(slot).take()).collect();
        let ended = std::thread::spawn(move || drop(clients)).join();
        if ended.is_err() {
            warn!("a connection did not end well");
        }
    }
}

impl std::fmt::Debug for PostgresStore {
    /// Without the password, and without what else is in the address.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}

fn lock<T>(slot: &Mutex<T>) -> MutexGuard<'_, T> {
    slot.lock().expect("no method panics while it holds the lock")
}

fn config(url: &str) -> Result<Config, StoreError> {
    let mut config: Config = url.parse()?;
    config.application_name("stemma-relay").connect_timeout(CONNECT_TIMEOUT);
    config.tcp_user_timeout(SILENCE_TIMEOUT).keepalives_idle(SILENCE_TIMEOUT);
    Ok(config)
}

fn connect(config: &Config) -> Result<Client, StoreError> {
    let mut client = config.connect(NoTls)?;
    client.batch_execute(SETTINGS)?;
    let durability: String = client.query_one("SHOW synchronous_commit", &[])?.get(0);
    if durability == "off" || durability == "local" {
        client.batch_execute("SET synchronous_commit = on")?;
    }
    Ok(client)
}

fn make(client: &mut Client) -> Result<(), StoreError> {
    let fsync: String = client.query_one("SHOW fsync", &[])?.get(0);
    if fsync == "off" {
        warn!("fsync is off in this database: what is acked can be lost when its machine fails");
    }
    let mut transaction = client.transaction()?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&SCHEMA_LOCK])?;
    transaction
        .batch_execute("CREATE SCHEMA IF NOT EXISTS stemma_relay; SET LOCAL search_path = stemma_relay")?;
    let is_there: bool =
        transaction.query_one("SELECT to_regclass('stemma_relay.version') IS NOT NULL", &[])?.get(0);
    if !is_there {
        transaction.batch_execute(SCHEMA)?;
        transaction.batch_execute(snapshots::TABLES)?;
        transaction.batch_execute(redactions::TABLES)?;
        transaction.execute("INSERT INTO version VALUES ($1)", &[&SCHEMA_VERSION])?;
    } else if let found @ (1 | 2) = transaction.query_one("SELECT number FROM version", &[])?.get(0) {
        // Relays of the version before go on beside this one: they do not know these tables.
        if found == 1 {
            transaction.batch_execute(snapshots::TABLES)?;
        }
        transaction.batch_execute(redactions::TABLES)?;
        transaction.execute("UPDATE version SET number = $1", &[&SCHEMA_VERSION])?;
    }
    check_version(&mut transaction)?;
    transaction.commit()?;
    Ok(())
}

fn check_version(client: &mut impl GenericClient) -> Result<(), StoreError> {
    let found: i32 = client.query_one("SELECT number FROM stemma_relay.version", &[])?.get(0);
    if found != SCHEMA_VERSION {
        return Err(StoreError::Version { found: found.into(), known: SCHEMA_VERSION.into() });
    }
    Ok(())
}

impl Store for PostgresStore {
    fn identity(&self, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        self.write(|client| {
            let insert = "INSERT INTO node VALUES ('identity', $1) ON CONFLICT DO NOTHING";
            client.execute(insert, &[&&fresh[..]])?;
            array(client.query_one("SELECT value FROM node WHERE name = 'identity'", &[])?.get(0))
        })
    }

    fn create_space(&self, space: SpaceId, genesis: &[u8], log_id: LogId) -> Result<(), StoreError> {
        let chain = start_chain(log_id, space);
        self.write(|client| {
            client.execute(
                "INSERT INTO space (id, genesis, log_id, head, chain, bytes) VALUES ($1, $2, $3, 0, $4, 0)
                 ON CONFLICT DO NOTHING",
                &[&&space.0[..], &genesis, &&log_id.0[..], &&chain.0[..]],
            )?;
            Ok(())
        })
    }

    fn space(&self, space: SpaceId) -> Result<Option<SpaceRecord>, StoreError> {
        self.read_from(|client| {
            let select = "SELECT genesis, log_id, head, chain, bytes FROM space WHERE id = $1";
            let Some(row) = client.query_opt(select, &[&&space.0[..]])? else { return Ok(None) };
            let head = Position {
                log_id: LogId(array(row.get(1))?),
                cursor: unsigned(row.get(2))?,
                chain: LogChain(array(row.get(3))?),
            };
            Ok(Some(SpaceRecord { genesis: row.get(0), head, bytes: unsigned(row.get(4))? }))
        })
    }

    fn admit(&self, space: SpaceId, newcomer: &Newcomer) -> Result<Admitted, StoreError> {
        let (gate, member) = (&newcomer.gate[..], &newcomer.member.0[..]);
        self.write(|client| {
            let mut transaction = client.transaction()?;
            let known = "
                SELECT 1 FROM member JOIN space ON space.number = member.space WHERE id = $1 AND gate = $2 AND member = $3";
            // Whoever comes back waits for nobody.
            if transaction.query_opt(known, &[&&space.0[..], &gate, &member])?.is_some() {
                return Ok(Admitted::In);
            }
            // Who comes through the same gate at another relay waits until this one is counted.
            let lock = "SELECT number FROM space WHERE id = $1 FOR UPDATE";
            let number = transaction.query_opt(lock, &[&&space.0[..]])?.ok_or(StoreError::NoSpace)?;
            let number: i64 = number.get(0);
            let count = "SELECT count(*), count(*) FILTER (WHERE member = $3) FROM member WHERE space = $1 AND gate = $2";
            let counted = transaction.query_one(count, &[&number, &gate, &member])?;
            let (all, this) = (unsigned(counted.get(0))?, unsigned(counted.get(1))?);
            if this > 0 {
                return Ok(Admitted::In);
            }
            if newcomer.expired {
                return Ok(Admitted::Expired);
            }
            if newcomer.uses.is_some_and(|uses| all >= uses) {
                return Ok(Admitted::Used);
            }
            let insert = "INSERT INTO member (space, gate, member) VALUES ($1, $2, $3)";
            transaction.execute(insert, &[&number, &gate, &member])?;
            transaction.commit()?;
            Ok(Admitted::In)
        })
    }

    fn append(&self, batch: &[Append]) -> Result<Vec<Appended>, StoreError> {
        let is_busy = batch.iter().any(|append| lock(&self.busy).contains(&append.space));
        let appended = self.write(|client| {
            if is_busy {
                return commit::append(client, batch, Locked::Skip);
            }
            match commit::append(client, batch, Locked::Wait) {
                Err(StoreError::Postgres(error)) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                    commit::append(client, batch, Locked::Skip)
                }
                appended => appended,
            }
        })?;
        for (append, appended) in batch.iter().zip(&appended) {
            let mut busy = lock(&self.busy);
            if appended.is_busy {
                busy.insert(append.space);
            } else {
                busy.remove(&append.space);
            }
        }
        for (append, appended) in batch.iter().zip(&appended) {
            // Also what is there already: perhaps by a commit whose answer was lost, and which nobody was told of.
            if let Some(head) = appended.head() {
                self.hints.tell(Hint::Moved { space: append.space, head });
            }
        }
        Ok(appended)
    }

    fn read(
        &self,
        space: SpaceId,
        after: u64,
        bytes_max: usize,
        rows_max: usize,
    ) -> Result<Vec<StoredRow>, StoreError> {
        let (after, first) = (signed(after)?, signed(after.saturating_add(1))?);
        let most = |max: usize| i64::try_from(max).unwrap_or(i64::MAX);
        let (bytes_max, rows_max) = (most(bytes_max), most(rows_max));
        self.read_from(|client| {
            let number = number_of(client, space)?;
            // Lengths are known without the bytes, so what a page has no room for is not read.
            let select = "
                SELECT cursor, chain, header, signature, skeleton, content FROM (
                    SELECT *, sum(octet_length(header) + octet_length(signature) + octet_length(skeleton)
                        + coalesce(octet_length(content), 0)) OVER (ORDER BY cursor) AS total
                    FROM changeset WHERE space = $1 AND cursor > $2 ORDER BY cursor LIMIT $3) AS page
                WHERE total <= $4 OR cursor = $5 ORDER BY cursor";
            let rows = client.query(select, &[&number, &after, &rows_max, &bytes_max, &first])?;
            rows.iter().map(stored).collect()
        })
    }

    fn chain_at(&self, space: SpaceId, cursor: u64) -> Result<Option<LogChain>, StoreError> {
        let cursor = signed(cursor)?;
        self.read_from(|client| {
            let number = number_of(client, space)?;
            let select = "SELECT chain FROM changeset WHERE space = $1 AND cursor = $2";
            let row = client.query_opt(select, &[&number, &cursor])?;
            row.map(|row| array(row.get(0)).map(LogChain)).transpose()
        })
    }

    fn tips(&self, space: SpaceId, actors: &[ActorId]) -> Result<Vec<Tip>, StoreError> {
        let keys: Vec<&[u8]> = actors.iter().map(|actor| &actor.0[..]).collect();
        self.read_from(|client| {
            let number = number_of(client, space)?;
            let select = "
                SELECT actor.key, tip.seq, tip.id FROM unnest($2::bytea[]) WITH ORDINALITY AS asked(key, place)
                JOIN actor ON actor.space = $1 AND actor.key = asked.key
                JOIN tip ON tip.space = $1 AND tip.actor = actor.number ORDER BY asked.place, tip.seq, tip.id";
            let rows = client.query(select, &[&number, &keys])?;
            let tip = |row: &postgres::Row| {
                let (seq, id) = (seq_of(row.get(1))?, ChangesetId(array(row.get(2))?));
                Ok(Tip { actor: ActorId(array(row.get(0))?), seq, id })
            };
            rows.iter().map(tip).collect()
        })
    }

    fn ends(&self, space: SpaceId) -> Result<(Position, Vec<Tip>), StoreError> {
        self.read_from(|client| {
            // One statement sees one moment.
            let select = "
                SELECT log_id, head, chain, actor.key, tip.seq, tip.id FROM space
                LEFT JOIN tip ON tip.space = space.number LEFT JOIN actor ON actor.number = tip.actor WHERE space.id = $1";
            let rows = client.query(select, &[&&space.0[..]])?;
            let first = rows.first().ok_or(StoreError::NoSpace)?;
            let head = Position {
                log_id: LogId(array(first.get(0))?),
                cursor: unsigned(first.get(1))?,
                chain: LogChain(array(first.get(2))?),
            };
            let mut tips = Vec::new();
            for row in &rows {
                if let Some(actor) = row.get(3) {
                    let (seq, id) = (seq_of(row.get(4))?, ChangesetId(array(row.get(5))?));
                    tips.push(Tip { actor: ActorId(array(actor)?), seq, id });
                }
            }
            Ok((head, tips))
        })
    }

    fn chains(
        &self,
        space: SpaceId,
        ranges: &[ChainRange],
        after: u64,
        bytes_max: usize,
        rows_max: usize,
    ) -> Result<(Vec<StoredRow>, bool), StoreError> {
        let keys: Vec<&[u8]> = ranges.iter().map(|range| &range.actor.0[..]).collect();
        let firsts: Vec<i64> = ranges.iter().map(|range| range.first.into()).collect();
        let lasts: Vec<i64> = ranges.iter().map(|range| range.last.into()).collect();
        let most = |max: usize| i64::try_from(max).unwrap_or(i64::MAX);
        let (after, bytes_max, rows_max) = (signed(after)?, most(bytes_max), most(rows_max));
        self.read_from(|client| {
            let number = number_of(client, space)?;
            // One row beyond says that there are more. Their lengths are known without the bytes.
            let select = "
                WITH found AS (
                    SELECT DISTINCT changeset.cursor FROM unnest($2::bytea[], $3::bigint[], $4::bigint[]) AS asked(key, first, last)
                    JOIN actor ON actor.space = $1 AND actor.key = asked.key
                    JOIN changeset ON changeset.space = $1 AND changeset.actor = actor.number
                        AND changeset.seq BETWEEN asked.first AND asked.last
                    WHERE changeset.cursor > $5 ORDER BY changeset.cursor LIMIT $6::bigint + 1)
                SELECT cursor, chain, header, signature, skeleton, content, count FROM (
                    SELECT changeset.*, count(*) OVER () AS count, row_number() OVER (ORDER BY cursor) AS place,
                        sum(octet_length(header) + octet_length(signature) + octet_length(skeleton)
                            + coalesce(octet_length(content), 0)) OVER (ORDER BY cursor) AS total
                    FROM found JOIN changeset USING (cursor) WHERE space = $1) AS page
                WHERE place <= $6::bigint AND (total <= $7::bigint OR place = 1) ORDER BY cursor";
            let rows = client.query(
                select,
                &[&number, &keys, &firsts, &lasts, &after, &rows_max, &bytes_max],
            )?;
            let count = rows.first().map_or(0, |row| row.get::<_, i64>(6));
            let page: Vec<StoredRow> = rows.iter().map(stored).collect::<Result<_, _>>()?;
            let more = (page.len() as u64) < unsigned(count)?;
            Ok((page, more))
        })
    }

    fn spaces(&self) -> Result<Vec<SpaceId>, StoreError> {
        self.read_from(|client| {
            let rows = client.query("SELECT id FROM space ORDER BY number", &[])?;
            rows.iter().map(|row| Ok(SpaceId(array(row.get(0))?))).collect()
        })
    }

    fn members(&self, space: SpaceId) -> Result<Vec<([u8; 32], MemberId)>, StoreError> {
        self.read_from(|client| {
            let number = number_of(client, space)?;
            let rows = client.query("SELECT gate, member FROM member WHERE space = $1", &[&number])?;
            rows.iter().map(|row| Ok((array(row.get(0))?, MemberId(array(row.get(1))?)))).collect()
        })
    }

    fn remove_space(&self, space: SpaceId) -> Result<bool, StoreError> {
        let removed = self.write(|client| {
            let mut transaction = client.transaction()?;
            transaction.batch_execute("SET LOCAL lock_timeout = '10s'")?;
            let removed = transaction.execute("DELETE FROM space WHERE id = $1", &[&&space.0[..]])?;
            transaction.commit()?;
            Ok(removed)
        })?;
        self.strays(true)?;
        Ok(removed > 0)
    }

    fn strays(&self, remove: bool) -> Result<u64, StoreError> {
        self.write(|client| {
            let mut transaction = client.transaction()?;
            // It looks at everything, however long that takes. Nobody waits: each statement sees whole commits alone, and what no
            // space reaches then none ever will, since numbers are not given twice.
            transaction.batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")?;
            let mut count = 0;
            for (table, is_stray) in STRAYS {
                count += match remove {
                    true => transaction.execute(&format!("DELETE FROM {table} WHERE {is_stray}"), &[])?,
                    false => {
                        let select = format!("SELECT count(*) FROM {table} WHERE {is_stray}");
                        unsigned(transaction.query_one(&select, &[])?.get(0))?
                    }
                };
            }
            transaction.commit()?;
            Ok(count)
        })
    }

    fn probe(&self) -> Result<(), StoreError> {
        self.write(|client| {
            let write = "INSERT INTO node VALUES ('probe', '\\x00') ON CONFLICT (name) DO UPDATE SET value = excluded.value";
            client.execute(write, &[])?;
            Ok(())
        })
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn heads(&self, spaces: &[SpaceId]) -> Result<Vec<(SpaceId, LogId, u64)>, StoreError> {
        let ids: Vec<&[u8]> = spaces.iter().map(|space| &space.0[..]).collect();
        self.read_from(|client| {
            let rows = client.query("SELECT id, log_id, head FROM space WHERE id = ANY ($1)", &[&ids])?;
            let head = |row: &postgres::Row| {
                Ok((SpaceId(array(row.get(0))?), LogId(array(row.get(1))?), unsigned(row.get(2))?))
            };
            rows.iter().map(head).collect()
        })
    }

    fn tell(&self, hint: Hint) {
        self.hints.tell(hint);
    }

    fn listen(&self, heard: Box<dyn Fn(Hint) + Send>) {
        self.hints.listen(heard);
    }
}

fn number_of(client: &mut impl GenericClient, space: SpaceId) -> Result<i64, StoreError> {
    let row = client.query_opt("SELECT number FROM space WHERE id = $1", &[&&space.0[..]])?;
    row.map(|row| row.get(0)).ok_or(StoreError::NoSpace)
}

fn stored(row: &postgres::Row) -> Result<StoredRow, StoreError> {
    let bytes = |column| Bytes::from(row.get::<_, Vec<u8>>(column));
    let content: Option<Vec<u8>> = row.get(5);
    Ok(StoredRow {
        cursor: unsigned(row.get(0))?,
        chain: LogChain(array(row.get(1))?),
        row: Row {
            header: bytes(2),
            signature: array(row.get(3))?,
            skeleton: bytes(4),
            content: content.map(Bytes::from),
        },
    })
}

/// What only somebody else can have written into our tables is an error, not a panic.
fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Damaged)
}

fn unsigned(number: i64) -> Result<u64, StoreError> {
    number.try_into().map_err(|_| StoreError::Damaged)
}

fn signed(number: u64) -> Result<i64, StoreError> {
    number.try_into().map_err(|_| StoreError::Damaged)
}

fn seq_of(number: i64) -> Result<u32, StoreError> {
    number.try_into().map_err(|_| StoreError::Damaged)
}
