//! One transaction that appends to the logs of many spaces, in as many questions to the database whether it has one row or
//! thousands.
//!
//! Invariant: rows are judged by what the locked spaces hold and by the rows before them in the same batch, exactly as if each
//! was written before the next is judged; they are written at the end, all at once.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};

use postgres::{Client, Transaction};
use stemma::causal::{ActorId, ChangesetId, LogChain, SpaceId};
use stemma::event::{changeset_id, next_chain};
use stemma::sync::{Code, Verdict};

use super::{array, seq_of, unsigned};
use crate::store::{Append, Appended, Judgement, Lanes, NewRow, StoreError, StoredRow, judge, short};

/// Bytes of rows in one statement.
const STATEMENT_BYTES: usize = 8 << 20;

/// What is done about a space that somebody else holds locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Locked {
    /// It is waited for, and the batch fails if that takes too long.
    Wait,
    /// It is busy.
    Skip,
}

/// Appends all of a batch, or nothing.
pub(super) fn append(
    client: &mut Client,
    batch: &[Append],
    locked: Locked,
) -> Result<Vec<Appended>, StoreError> {
    let mut transaction = client.transaction()?;
    let mut commit = Commit::begin(&mut transaction, batch, locked)?;
    let appended = batch.iter().map(|append| commit.append(append)).collect::<Result<Vec<_>, _>>()?;
    commit.finish()?;
    transaction.commit()?;
    Ok(appended)
}

struct Commit<'a, 'c> {
    transaction: RefCell<&'a mut Transaction<'c>>,
    spaces: HashMap<SpaceId, Space>,
    busy: HashSet<SpaceId>,
    lanes: HashMap<(i64, ActorId), Lane>,
    rows: Vec<Placed<'a>>,
}

struct Space {
    number: i64,
    head: u64,
    chain: LogChain,
    bytes: u64,
}

/// What is known of an actor.
#[derive(Default)]
struct Lane {
    /// None until its first row is written.
    number: Option<i64>,
    top: Vec<(u32, ChangesetId)>,
    /// Rows that were looked for, and those of this batch.
    places: HashMap<(u32, ChangesetId), u64>,
    /// One row by seq, likewise.
    one: HashMap<u32, ChangesetId>,
    /// Ends that are in the table and are none any more; new ones.
    ended: Vec<(u32, ChangesetId)>,
    ends: BTreeSet<(u32, ChangesetId)>,
}

/// A row on its way into the log.
struct Placed<'a> {
    space: i64,
    cursor: u64,
    chain: LogChain,
    new: &'a NewRow,
}

impl<'a, 'c> Commit<'a, 'c> {
    /// Locks the spaces, or those that nobody else has locked, and reads the ends of the lanes that may grow.
    fn begin(
        transaction: &'a mut Transaction<'c>,
        batch: &'a [Append],
        locked: Locked,
    ) -> Result<Self, StoreError> {
        let ids: Vec<&[u8]> = batch.iter().map(|append| &append.space.0[..]).collect();
        let mut lock =
            "SELECT id, number, head, chain, bytes FROM space WHERE id = ANY ($1) ORDER BY number FOR UPDATE"
                .to_owned();
        if locked == Locked::Skip {
            lock.push_str(" SKIP LOCKED");
        }
        let mut spaces = HashMap::new();
        for row in transaction.query(&lock, &[&ids])? {
            let space = Space {
                number: row.get(1),
                head: unsigned(row.get(2))?,
                chain: LogChain(array(row.get(3))?),
                bytes: unsigned(row.get(4))?,
            };
            spaces.insert(SpaceId(array(row.get(0))?), space);
        }
        let missing: Vec<&[u8]> =
            ids.into_iter().filter(|id| !spaces.keys().any(|space| space.0 == **id)).collect();
        let mut busy = HashSet::new();
        if locked == Locked::Skip && !missing.is_empty() {
            for row in transaction.query("SELECT id FROM space WHERE id = ANY ($1)", &[&missing])? {
                busy.insert(SpaceId(array(row.get(0))?));
            }
        }
        let mut lanes: HashMap<(i64, ActorId), Lane> = HashMap::new();
        for append in batch.iter().filter(|append| !busy.contains(&append.space)) {
            let number = spaces.get(&append.space).ok_or(StoreError::NoSpace)?.number;
            for new in &append.rows {
                lanes.entry((number, new.actor)).or_default();
            }
        }
        let (numbers, keys): (Vec<i64>, Vec<&[u8]>) =
            lanes.keys().map(|(number, actor)| (*number, &actor.0[..])).unzip();
        let ends = "
            SELECT actor.space, actor.key, actor.number, top.seq, top.id
            FROM unnest($1::bigint[], $2::bytea[]) AS asked(space, key)
            JOIN actor ON actor.space = asked.space AND actor.key = asked.key
            CROSS JOIN LATERAL (SELECT seq, id FROM tip WHERE tip.space = actor.space AND tip.actor = actor.number
                ORDER BY seq DESC, id DESC LIMIT 2) AS top";
        for row in transaction.query(ends, &[&numbers, &keys])? {
            let lane =
                lanes.get_mut(&(row.get(0), ActorId(array(row.get(1))?))).ok_or(StoreError::Damaged)?;
            lane.number = Some(row.get(2));
            lane.top.push((seq_of(row.get(3))?, ChangesetId(array(row.get(4))?)));
        }
        lanes.values_mut().for_each(Lane::sort);
        Ok(Self { transaction: RefCell::new(transaction), spaces, busy, lanes, rows: Vec::new() })
    }

    fn append(&mut self, append: &'a Append) -> Result<Appended, StoreError> {
        if self.busy.contains(&append.space) {
            return Ok(Appended { is_busy: true, ..Appended::default() });
        }
        let mut appended = Appended::default();
        let space = self.spaces.get_mut(&append.space).ok_or(StoreError::NoSpace)?;
        let lanes = RefCell::new(&mut self.lanes);
        let looked = RefCell::new(false);
        for new in &append.rows {
            let rows = ActorRows {
                transaction: &self.transaction,
                lanes: &lanes,
                looked: &looked,
                space: space.number,
                actor: new.actor,
                append,
            };
            let verdict = match judge(new, &rows)? {
                Judgement::Answer(verdict) => verdict,
                Judgement::Append { .. } if space.bytes + new.row.bytes() as u64 > append.quota_bytes => {
                    Verdict::Rejected(Code::Quota)
                }
                Judgement::Append { existing } => {
                    space.head += 1;
                    space.chain = next_chain(space.chain, new.id);
                    space.bytes += new.row.bytes() as u64;
                    let (cursor, chain) = (space.head, space.chain);
                    lanes.borrow_mut().entry((space.number, new.actor)).or_default().grow(new, cursor);
                    self.rows.push(Placed { space: space.number, cursor, chain, new });
                    appended.rows.push(StoredRow { cursor, chain, row: new.row.clone() });
                    match existing {
                        None => Verdict::Accepted { cursor },
                        Some(existing) => Verdict::Forked { cursor, existing },
                    }
                }
            };
            appended.results.push(verdict);
        }
        Ok(appended)
    }

    /// Writes everything.
    fn finish(mut self) -> Result<(), StoreError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        self.name_actors()?;
        let transaction = self.transaction.into_inner();
        let mut rest = &self.rows[..];
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |row: &&Placed<'_>| {
                bytes += row.new.row.bytes();
                bytes <= STATEMENT_BYTES
            };
            let count = rest.iter().take_while(fits).count().max(1);
            let (now, later) = rest.split_at(count);
            insert(transaction, &self.lanes, now)?;
            rest = later;
        }
        write_ends(transaction, &self.lanes)?;
        let moved: HashSet<i64> = self.rows.iter().map(|row| row.space).collect();
        let moved: Vec<&Space> = self.spaces.values().filter(|space| moved.contains(&space.number)).collect();
        let numbers: Vec<i64> = moved.iter().map(|space| space.number).collect();
        let heads: Vec<i64> = moved.iter().map(|space| space.head as i64).collect();
        let chains: Vec<&[u8]> = moved.iter().map(|space| &space.chain.0[..]).collect();
        let bytes: Vec<i64> = moved.iter().map(|space| space.bytes as i64).collect();
        transaction.execute(
            "UPDATE space SET head = new.head, chain = new.chain, bytes = new.bytes
             FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bigint[]) AS new(number, head, chain, bytes)
             WHERE space.number = new.number",
            &[&numbers, &heads, &chains, &bytes],
        )?;
        Ok(())
    }

    /// Gives numbers to actors whose first rows these are. Their spaces are locked, so nobody else does.
    fn name_actors(&mut self) -> Result<(), StoreError> {
        let is_new = |(_, lane): &(&(i64, ActorId), &Lane)| lane.number.is_none() && !lane.ends.is_empty();
        let (spaces, keys): (Vec<i64>, Vec<&[u8]>) =
            self.lanes.iter().filter(is_new).map(|((space, key), _)| (*space, &key.0[..])).unzip();
        if keys.is_empty() {
            return Ok(());
        }
        let insert = "INSERT INTO actor (space, key) SELECT * FROM unnest($1::bigint[], $2::bytea[]) RETURNING space, key, number";
        let rows = self.transaction.get_mut().query(insert, &[&spaces, &keys])?;
        for row in rows {
            let actor = ActorId(array(row.get(1))?);
            self.lanes.entry((row.get(0), actor)).or_default().number = Some(row.get(2));
        }
        Ok(())
    }
}

impl Lane {
    fn sort(&mut self) {
        self.top.sort_unstable_by(|a, b| b.cmp(a));
        self.top.truncate(2);
    }

    /// A row of it goes into the log. Of the two highest ends none is ever missing: one goes only for a higher one.
    fn grow(&mut self, new: &NewRow, cursor: u64) {
        let end = (new.seq, new.id);
        if let Some(prev) = new.prev {
            let before = (new.seq - 1, prev);
            self.top.retain(|other| *other != before);
            if !self.ends.remove(&before) {
                self.ended.push(before);
            }
        }
        self.top.push(end);
        self.sort();
        self.ends.insert(end);
        self.places.insert(end, cursor);
        self.one.entry(new.seq).or_insert(new.id);
    }
}

/// One actor's rows in one space.
struct ActorRows<'b, 'a, 'c> {
    transaction: &'b RefCell<&'a mut Transaction<'c>>,
    lanes: &'b RefCell<&'b mut HashMap<(i64, ActorId), Lane>>,
    /// Whether the rows of the append were looked for.
    looked: &'b RefCell<bool>,
    space: i64,
    actor: ActorId,
    append: &'b Append,
}

impl ActorRows<'_, '_, '_> {
    fn known<T>(&self, ask: impl FnOnce(&Lane) -> T) -> Option<T> {
        self.lanes.borrow().get(&(self.space, self.actor)).map(ask)
    }

    /// Looks for every row of the append, for the one before it, and for any with its seq: the first that does not simply go
    /// on is seldom the last.
    fn look(&self) -> Result<(), StoreError> {
        if self.looked.replace(true) {
            return Ok(());
        }
        let mut lanes = self.lanes.borrow_mut();
        let mut asked: Vec<(i64, u32, ChangesetId, ActorId)> = Vec::new();
        for new in &self.append.rows {
            let Some(number) = lanes.get(&(self.space, new.actor)).and_then(|lane| lane.number) else {
                continue;
            };
            asked.push((number, new.seq, new.id, new.actor));
            asked.extend(new.prev.map(|prev| (number, new.seq - 1, prev, new.actor)));
        }
        let actors: Vec<i64> = asked.iter().map(|(actor, ..)| *actor).collect();
        let seqs: Vec<i64> = asked.iter().map(|(_, seq, ..)| i64::from(*seq)).collect();
        let shorts: Vec<i64> = asked.iter().map(|(_, _, id, _)| short(*id)).collect();
        let find = "
            SELECT asked.place, changeset.cursor, changeset.header
            FROM unnest($2::bigint[], $3::bigint[], $4::bigint[]) WITH ORDINALITY AS asked(actor, seq, short, place)
            JOIN changeset ON changeset.space = $1 AND changeset.actor = asked.actor
                AND changeset.seq = asked.seq AND changeset.short = asked.short";
        let mut transaction = self.transaction.borrow_mut();
        for row in transaction.query(find, &[&self.space, &actors, &seqs, &shorts])? {
            let place = usize::try_from(row.get::<_, i64>(0) - 1).map_err(|_| StoreError::Damaged)?;
            let (_, seq, id, actor) = asked[place];
            if changeset_id(row.get(2)) == id
                && let Some(lane) = lanes.get_mut(&(self.space, actor))
            {
                lane.places.insert((seq, id), unsigned(row.get(1))?);
            }
        }
        let one = "
            SELECT asked.place, (SELECT header FROM changeset WHERE space = $1 AND changeset.actor = asked.actor
                AND changeset.seq = asked.seq ORDER BY short LIMIT 1)
            FROM unnest($2::bigint[], $3::bigint[]) WITH ORDINALITY AS asked(actor, seq, place)";
        for row in transaction.query(one, &[&self.space, &actors, &seqs])? {
            let place = usize::try_from(row.get::<_, i64>(0) - 1).map_err(|_| StoreError::Damaged)?;
            let (_, seq, _, actor) = asked[place];
            if let Some(header) = row.get::<_, Option<&[u8]>>(1)
                && let Some(lane) = lanes.get_mut(&(self.space, actor))
            {
                lane.one.insert(seq, changeset_id(header));
            }
        }
        Ok(())
    }
}

impl Lanes for ActorRows<'_, '_, '_> {
    fn top(&self) -> Result<Vec<(u32, ChangesetId)>, StoreError> {
        Ok(self.known(|lane| lane.top.clone()).unwrap_or_default())
    }

    fn find(&self, seq: u32, id: ChangesetId) -> Result<Option<u64>, StoreError> {
        self.look()?;
        Ok(self.known(|lane| lane.places.get(&(seq, id)).copied()).flatten())
    }

    fn any(&self, seq: u32) -> Result<Option<ChangesetId>, StoreError> {
        self.look()?;
        Ok(self.known(|lane| lane.one.get(&seq).copied()).flatten())
    }
}

fn insert(
    transaction: &mut Transaction<'_>,
    lanes: &HashMap<(i64, ActorId), Lane>,
    rows: &[Placed<'_>],
) -> Result<(), StoreError> {
    let number = |row: &Placed<'_>| lanes.get(&(row.space, row.new.actor)).and_then(|lane| lane.number);
    let spaces: Vec<i64> = rows.iter().map(|row| row.space).collect();
    let cursors: Vec<i64> = rows.iter().map(|row| row.cursor as i64).collect();
    let actors: Vec<Option<i64>> = rows.iter().map(number).collect();
    let seqs: Vec<i64> = rows.iter().map(|row| i64::from(row.new.seq)).collect();
    let shorts: Vec<i64> = rows.iter().map(|row| short(row.new.id)).collect();
    let chains: Vec<&[u8]> = rows.iter().map(|row| &row.chain.0[..]).collect();
    let headers: Vec<&[u8]> = rows.iter().map(|row| &row.new.row.header[..]).collect();
    let signatures: Vec<&[u8]> = rows.iter().map(|row| &row.new.row.signature[..]).collect();
    let skeletons: Vec<&[u8]> = rows.iter().map(|row| &row.new.row.skeleton[..]).collect();
    let contents: Vec<Option<&[u8]>> = rows.iter().map(|row| row.new.row.content.as_deref()).collect();
    transaction.execute(
        "INSERT INTO changeset SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[],
         $5::bigint[], $6::bytea[], $7::bytea[], $8::bytea[], $9::bytea[], $10::bytea[])",
        &[&spaces, &cursors, &actors, &seqs, &shorts, &chains, &headers, &signatures, &skeletons, &contents],
    )?;
    Ok(())
}

fn write_ends(
    transaction: &mut Transaction<'_>,
    lanes: &HashMap<(i64, ActorId), Lane>,
) -> Result<(), StoreError> {
    let ended = columns(lanes, |lane| lane.ended.iter());
    transaction.execute(
        "DELETE FROM tip USING unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[]) AS ended(space, actor, seq, id)
         WHERE tip.space = ended.space AND tip.actor = ended.actor AND tip.seq = ended.seq AND tip.id = ended.id",
        &[&ended.0, &ended.1, &ended.2, &ended.3],
    )?;
    let ends = columns(lanes, |lane| lane.ends.iter());
    transaction.execute(
        "INSERT INTO tip SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[])",
        &[&ends.0, &ends.1, &ends.2, &ends.3],
    )?;
    Ok(())
}

type Columns<'a> = (Vec<i64>, Vec<Option<i64>>, Vec<i64>, Vec<&'a [u8]>);

/// Ends of lanes as columns.
fn columns<'a, I: Iterator<Item = &'a (u32, ChangesetId)>>(
    lanes: &'a HashMap<(i64, ActorId), Lane>,
    of: impl Fn(&'a Lane) -> I,
) -> Columns<'a> {
    let mut columns = Columns::default();
    for ((space, _), lane) in lanes {
        for (seq, id) in of(lane) {
            columns.0.push(*space);
            columns.1.push(lane.number);
            columns.2.push(i64::from(*seq));
            columns.3.push(&id.0);
        }
    }
    columns
}
