//! One transaction of the embedded store over many spaces.
//!
//! Invariant: rows are judged by what the tables hold, those of this transaction included.

use std::collections::{HashMap, VecDeque};

use rusqlite::{OptionalExtension, Transaction, params};
use stemma::causal::{ActorId, ChangesetId, LogChain, SpaceId};
use stemma::event::next_chain;
use stemma::sync::{Code, Verdict};

use super::CHAIN_EVERY;
use super::packed::{ID_BYTES, Names, Place, pack};
use crate::store::{Append, Appended, Judgement, Lanes, NewRow, StoreError, StoredRow, judge, short};

/// So many rows of a space are looked through for what a new one names.
const RECENT_ROWS: usize = 512;
/// Of so many spaces what is recent is remembered.
const RECENT_SPACES: usize = 256;
/// Epochs of a space that have a number.
const EPOCHS_MAX: u8 = 255;

/// Where the newest rows of some spaces are. Right as long as nobody else writes and every transaction is committed.
#[derive(Debug, Default)]
pub(super) struct Recent {
    spaces: HashMap<i64, RecentRows>,
}

#[derive(Debug, Default)]
struct RecentRows {
    order: VecDeque<ChangesetId>,
    cursors: HashMap<ChangesetId, u64>,
}

impl RecentRows {
    fn add(&mut self, id: ChangesetId, cursor: u64) {
        self.cursors.insert(id, cursor);
        self.order.push_back(id);
        if self.order.len() > RECENT_ROWS
            && let Some(oldest) = self.order.pop_front()
        {
            self.cursors.remove(&oldest);
        }
    }
}

/// One transaction over many spaces.
pub(super) struct Commit<'a> {
    transaction: &'a Transaction<'a>,
    recent: &'a mut Recent,
    actors: HashMap<(i64, ActorId), i64>,
    epochs: HashMap<(i64, [u8; 16]), u8>,
}

impl<'a> Commit<'a> {
    pub(super) fn new(transaction: &'a Transaction<'a>, recent: &'a mut Recent) -> Self {
        if recent.spaces.len() > RECENT_SPACES {
            recent.spaces.clear();
        }
        Self { transaction, recent, actors: HashMap::new(), epochs: HashMap::new() }
    }

    pub(super) fn append(&mut self, append: &Append) -> Result<Appended, StoreError> {
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
                    self.insert((number, append.space), (cursor, chain), new, existing.is_some())?;
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

    /// The rows of an actor that are there.
    pub(super) fn lanes(&mut self, space: i64, key: ActorId) -> Result<ActorRows<'a>, StoreError> {
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

    /// Writes a row that was judged.
    pub(super) fn insert(
        &mut self,
        (space, id): (i64, SpaceId),
        (cursor, chain): (u64, LogChain),
        new: &NewRow,
        is_fork: bool,
    ) -> Result<(), StoreError> {
        let actor = match self.lanes(space, new.actor)?.actor {
            NO_ACTOR => {
                self.transaction
                    .prepare_cached("INSERT INTO actor (space, key) VALUES (?, ?)")?
                    .execute(params![space, new.actor.0])?;
                let actor = self.transaction.last_insert_rowid();
                self.actors.insert((space, new.actor), actor);
                actor
            }
            actor => actor,
        };
        let mut before = None;
        if let Some(prev) = new.prev {
            before = self
                .transaction
                .prepare_cached(
                    "DELETE FROM tip WHERE space = ? AND actor = ? AND seq = ? AND id = ? RETURNING cursor",
                )?
                .query_row(params![space, actor, new.seq - 1, prev.0], |row| row.get(0))
                .optional()?;
            if before.is_none() {
                before = self.lanes(space, new.actor)?.find(new.seq - 1, prev)?;
            }
        }
        let place = Place { space: id, actor: new.actor, seq: new.seq, cursor };
        let before = new.prev.zip(before).map(|(prev, at)| (prev.0, at));
        let packed = pack(new, place, &mut Known { commit: self, space, cursor, before })?;
        self.transaction
            .prepare_cached(
                "INSERT INTO changeset (space, cursor, actor, seq, fork, chain, packed, skeleton, content)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                space,
                cursor,
                actor,
                new.seq,
                if is_fork { branch(new.id) } else { 0 },
                cursor.is_multiple_of(CHAIN_EVERY).then_some(chain.0),
                packed,
                &new.row.skeleton[..],
                new.row.content.as_deref(),
            ])?;
        self.transaction
            .prepare_cached("INSERT INTO tip (space, actor, seq, id, cursor) VALUES (?, ?, ?, ?, ?)")?
            .execute(params![space, actor, new.seq, new.id.0, cursor])?;
        if let Some(recent) = self.recent.spaces.get_mut(&space) {
            recent.add(new.id, cursor);
        }
        Ok(())
    }
}

/// What a row about to be written can name by a number.
struct Known<'b, 'a> {
    commit: &'b mut Commit<'a>,
    space: i64,
    cursor: u64,
    /// The row that this one follows.
    before: Option<([u8; 32], u64)>,
}

impl Names for Known<'_, '_> {
    type Error = StoreError;

    fn place_of(&mut self, id: &[u8; 32]) -> Result<Option<u64>, StoreError> {
        if let Some((_, cursor)) = self.before.filter(|(before, _)| before == id) {
            return Ok(Some(cursor));
        }
        if !self.commit.recent.spaces.contains_key(&self.space) {
            let mut statement = self.commit.transaction.prepare_cached(
                "SELECT cursor, packed FROM changeset WHERE space = ? AND cursor < ? ORDER BY cursor DESC LIMIT ?",
            )?;
            let rows = statement.query_map(params![self.space, self.cursor, RECENT_ROWS], |row| {
                Ok((row.get(0)?, id_in(row.get_ref(1)?.as_blob()?)))
            })?;
            let mut rows: Vec<(u64, Option<ChangesetId>)> = rows.collect::<Result<_, _>>()?;
            rows.reverse();
            let recent = self.commit.recent.spaces.entry(self.space).or_default();
            for (cursor, id) in rows {
                recent.add(id.ok_or(StoreError::Damaged)?, cursor);
            }
        }
        let recent = self.commit.recent.spaces.get(&self.space);
        Ok(recent.and_then(|recent| recent.cursors.get(&ChangesetId(*id)).copied()))
    }

    fn number_of(&mut self, kid: [u8; 16]) -> Result<Option<u8>, StoreError> {
        let (space, transaction) = (self.space, self.commit.transaction);
        if let Some(&number) = self.commit.epochs.get(&(space, kid)) {
            return Ok(Some(number));
        }
        let mut statement = transaction.prepare_cached("SELECT number, kid FROM epoch WHERE space = ?")?;
        let known = statement.query_map([space], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let known: Vec<(u8, [u8; 16])> = known.collect::<Result<_, _>>()?;
        let number = match known.iter().find(|(_, other)| *other == kid) {
            Some((number, _)) => *number,
            None if known.len() < usize::from(EPOCHS_MAX) => {
                let number = known.len() as u8 + 1;
                transaction
                    .prepare_cached("INSERT INTO epoch (space, number, kid) VALUES (?, ?, ?)")?
                    .execute(params![space, number, kid])?;
                number
            }
            None => return Ok(None),
        };
        self.commit.epochs.insert((space, kid), number);
        Ok(Some(number))
    }
}

/// One actor's rows in one space.
pub(super) struct ActorRows<'a> {
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
            "SELECT cursor, packed FROM changeset WHERE actor = ? AND seq = ? AND fork IN (0, ?)",
        )?;
        let mut rows = statement.query(params![self.actor, seq, branch(id)])?;
        while let Some(row) = rows.next()? {
            if id_in(row.get_ref(1)?.as_blob().map_err(|_| StoreError::Damaged)?) == Some(id) {
                return Ok(Some(row.get(0)?));
            }
        }
        Ok(None)
    }

    fn any(&self, seq: u32) -> Result<Option<ChangesetId>, StoreError> {
        let mut statement = self
            .transaction
            .prepare_cached("SELECT packed FROM changeset WHERE actor = ? AND seq = ? AND fork = 0")?;
        let packed = statement.query_row(params![self.actor, seq], |row| row.get::<_, Vec<u8>>(0));
        packed.optional()?.map(|packed| id_in(&packed).ok_or(StoreError::Damaged)).transpose()
    }
}

/// What tells the rows apart that are not the first with their place.
fn branch(id: ChangesetId) -> i64 {
    short(id).checked_abs().unwrap_or(i64::MAX).max(1)
}

/// The id in what is stored of a row.
pub(super) fn id_in(packed: &[u8]) -> Option<ChangesetId> {
    packed.first_chunk::<ID_BYTES>().map(|id| ChangesetId(*id))
}
