//! A relay as a state machine: logs people in, takes pushes one after another and answers each after its commit, sends rows on
//! from the log while there is credit (`docs/protocol.md` §2 to §5). It has two databases, over which the spaces are spread.
//! It can be told to lie.

use prost::bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use stemma::causal::{LogChain, SpaceId};
use stemma::crypto::SigningKey;
use stemma::event::{Genesis, heads_digest, next_chain};
use stemma::sync::{
    Ack, Admission, Auth, AuthOk, Batch, CaughtUp, Chain, Code, Delivery, ErrorFrame, Frame, GetChain,
    GoAway, HeadsDiffer, HeadsRange, Hello, Limits, Position, Push, Resync, Row, Subscribe, Subscribed,
    VERSION, Verdict,
};

use super::invariant::{Invariant, Sabotage};
use super::log::{Logs, Model, NewRow, id_of, placed};
use super::rng::Rng;
use super::world::{Event, World};

/// How a relay behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Honest,
    /// Rows are left out, behind a chain that says nothing of them.
    Withholds,
    /// Rows come in another order, behind a chain of its own.
    Reorders,
    /// Rows come twice.
    Repeats,
    /// A bit of a row is another, outside of the content.
    Alters,
    /// A push is answered as taken, and thrown away.
    Drops,
    /// The chain does not fit the rows.
    Miscounts,
    /// Frames end in the middle.
    Babbles,
}

pub const LIES: [Manner; 7] = [
    Manner::Withholds,
    Manner::Reorders,
    Manner::Repeats,
    Manner::Alters,
    Manner::Drops,
    Manner::Miscounts,
    Manner::Babbles,
];

/// How many databases a relay has.
pub const DATABASES: usize = 2;

pub struct Relay {
    key: [u8; 32],
    /// Space number n is in database n % [`DATABASES`].
    pub logs: Vec<Box<dyn Logs>>,
    pub clients: BTreeMap<u32, Client>,
    pub is_up: bool,
    /// The databases take no more rows.
    pub is_full: bool,
    pub manner: Manner,
    /// Grows when what was to be committed is lost.
    life: u64,
    random: Rng,
}

/// A connection, as the relay knows it.
pub struct Client {
    nonce: [u8; 32],
    genesis: BTreeMap<SpaceId, Genesis>,
    subscription: Option<Subscription>,
    /// Its rows, by space and cursor.
    pushed: BTreeSet<(SpaceId, u64)>,
    /// A push is being committed: what came since waits.
    is_busy: bool,
    waiting: VecDeque<Bytes>,
    said_ms: u64,
    heard_ms: u64,
}

#[derive(Clone, Copy)]
struct Subscription {
    space: SpaceId,
    cursor: u64,
    credit: i64,
    is_caught_up: bool,
    /// What a lying relay has made of the log so far.
    told: Option<Position>,
}

impl Relay {
    pub fn new(logs: Vec<Box<dyn Logs>>, mut random: Rng) -> Self {
        let key = SigningKey::from_seed(&fresh(&mut random)).public();
        let manner = Manner::Honest;
        let clients = BTreeMap::new();
        Self { key, logs, clients, is_up: true, is_full: false, manner, life: 0, random }
    }

    /// The clients who read a space, or wait to.
    fn readers(&self, space: SpaceId) -> Vec<u32> {
        let reads = |client: &Client| client.subscription.is_some_and(|of| of.space == space);
        self.clients.iter().filter(|(_, client)| reads(client)).map(|(conn, _)| *conn).collect()
    }
}

impl World {
    /// The relay speaks first.
    pub fn greet(&mut self, at: usize, conn: u32) {
        let now = self.schedule.now_ms();
        let setup = &self.plan.setup;
        let limits = Limits {
            frame_bytes: 1 << 20,
            row_bytes: 1 << 18,
            push_bytes: setup.push_bytes,
            push_rows: setup.push_rows,
            subscriptions: 16,
        };
        let relay = &mut self.relays[at];
        let nonce = fresh(&mut relay.random);
        let client = Client {
            nonce,
            genesis: BTreeMap::new(),
            subscription: None,
            pushed: BTreeSet::new(),
            is_busy: false,
            waiting: VecDeque::new(),
            said_ms: now,
            heard_ms: now,
        };
        relay.clients.insert(conn, client);
        let relay_key = relay.key;
        self.answer(
            at,
            conn,
            Frame::Hello(Hello { min_version: 1, max_version: 1, relay_key, nonce, limits }),
        );
        self.schedule.after(TICK_MS, Event::RelayTick(at, conn));
    }

    /// A frame came from a client.
    pub fn relay_hears(&mut self, at: usize, conn: u32, frame: &Bytes) {
        let now = self.schedule.now_ms();
        let Some(client) = self.relays[at].clients.get_mut(&conn) else { return };
        client.heard_ms = now;
        if client.is_busy {
            client.waiting.push_back(frame.clone());
            return;
        }
        let is_in = !client.genesis.is_empty();
        match Frame::decode(frame) {
            Ok(None) => {}
            Ok(Some(Frame::Auth(auth))) if !is_in => self.log_in(at, conn, &auth),
            Ok(Some(frame)) if is_in => self.serve(at, conn, frame),
            _ => self.dismiss(at, conn, Some(ErrorFrame::new(Code::Malformed, "no frame for here"))),
        }
    }

    fn serve(&mut self, at: usize, conn: u32, frame: Frame) {
        let relay = &mut self.relays[at];
        let client = relay.clients.get_mut(&conn).expect("looked up");
        match frame {
            Frame::Subscribe(subscribe) => self.subscribe(at, conn, &subscribe),
            Frame::Credit(credit) => {
                if let Some(of) = client.subscription.as_mut().filter(|of| of.space == credit.space) {
                    of.credit += credit.bytes as i64;
                    self.send_rows(at, conn);
                }
            }
            Frame::HeadsRange(HeadsRange { space, sums }) => {
                if !client.genesis.contains_key(&space) {
                    return self.refuse(at, conn, space, Code::NotFoundOrDenied, None);
                }
                let (ranges, tips) = Model::differing(&self.logs(at, space).ends(space), &sums);
                self.answer(
                    at,
                    conn,
                    Frame::HeadsDiffer(HeadsDiffer { space, ranges, tips, too_many: false }),
                );
            }
            Frame::GetChain(question) => self.send_chains(at, conn, &question),
            Frame::Push(push) => {
                let Some(genesis) = client.genesis.get(&push.space).cloned() else {
                    return self.refuse(at, conn, push.space, Code::NotFoundOrDenied, Some(push.push_id));
                };
                client.is_busy = true;
                let life = relay.life;
                let ms = self.plan.setup.commit_ms;
                let (push, genesis) = (Box::new(push), Box::new(genesis));
                self.schedule.after(ms, Event::RelayCommits { at, conn, life, push, genesis });
            }
            Frame::Ephemeral(said) => {
                if !client.genesis.contains_key(&said.space) {
                    return self.refuse(at, conn, said.space, Code::NotFoundOrDenied, None);
                }
                for reader in relay.readers(said.space).into_iter().filter(|reader| *reader != conn) {
                    self.answer(at, reader, Frame::Ephemeral(said.clone()));
                }
            }
            Frame::Error(_) => self.dismiss(at, conn, None),
            _ => self.dismiss(at, conn, Some(ErrorFrame::new(Code::Malformed, "out of place"))),
        }
    }

    fn log_in(&mut self, at: usize, conn: u32, auth: &Auth) {
        let now = self.relay_ms();
        let relay = &mut self.relays[at];
        let client = relay.clients.get_mut(&conn).expect("looked up");
        let Some(knocks) = relay.logs[0].check_login(auth, &relay.key, &client.nonce, now) else {
            return self.dismiss(at, conn, Some(ErrorFrame::new(Code::AuthFailed, "no proof")));
        };
        let (mut spaces, mut admitted) = (Vec::new(), Vec::new());
        for knock in knocks {
            let space = knock.genesis.id();
            let number = self.space_ids.iter().position(|known| *known == space).unwrap_or(0);
            let logs = &mut relay.logs[number % DATABASES];
            let mut log_id = [0; 16];
            fill(&mut relay.random, &mut log_id);
            logs.create(space, knock.genesis.as_bytes(), stemma::causal::LogId(log_id));
            let known = logs.members(space);
            let refused = match self.sabotage {
                Sabotage::LetsAnybodyIn => None,
                _ => logs.admit(space, &knock).err(),
            };
            if refused.is_none() {
                client.genesis.insert(space, knock.genesis.clone());
                admitted.push((knock, known));
            }
            spaces.push(Admission { space, refused });
        }
        admitted.iter().for_each(|(knock, known)| self.see_admission(at, knock, known));
        self.answer(at, conn, Frame::AuthOk(AuthOk { version: VERSION, spaces }));
    }

    fn subscribe(&mut self, at: usize, conn: u32, subscribe: &Subscribe) {
        let Subscribe { space, from, ref own, credit, heads, held, look: _ } = *subscribe;
        let logs = self.logs(at, space);
        let (Some(head), true) =
            (logs.head(space), self.relays[at].clients[&conn].genesis.contains_key(&space))
        else {
            return self.refuse(at, conn, space, Code::NotFoundOrDenied, None);
        };
        let resync = from.and_then(|from| match () {
            () if from.log_id != head.log_id => Some(Resync::LogId),
            () if from.cursor > head.cursor => Some(Resync::FutureCursor),
            () => (logs.chain_at(space, from.cursor) != Some(from.chain)).then_some(Resync::Chain),
        });
        let tips = logs.tips(space, own);
        let compares = heads.filter(|_| resync.is_some() || from.is_none());
        let same = compares.filter(|heads| *heads == heads_digest(logs.ends(space))).map(|_| head);
        let other = compares.filter(|_| same.is_none() && head.cursor > 0 && 2 * held >= head.cursor);
        let from = if resync.is_some() || from.is_none() { same } else { from };
        let cursor = from.map_or(0, |from| from.cursor);
        let chain = logs.chain_at(space, cursor).expect("a place in the log");
        let is_honest = self.relays[at].manner == Manner::Honest;
        let told = (!is_honest).then_some(Position { log_id: head.log_id, cursor, chain });
        let client = self.relays[at].clients.get_mut(&conn).expect("looked up");
        let credit = credit as i64;
        let subscription = Subscription { space, cursor, credit, is_caught_up: false, told };
        client.subscription = other.is_none().then_some(subscription);
        let (chain, place) = (same.map(|same| same.chain), other.map(|_| head.chain));
        let (log_id, head) = (head.log_id, head.cursor);
        let subscribed = Subscribed { space, resync, log_id, head, tips, chain, place, said: None };
        self.answer(at, conn, Frame::Subscribed(subscribed));
        self.send_rows(at, conn);
    }

    /// Rows by their places. One that lies leaves some out, or sends them spoilt.
    fn send_chains(&mut self, at: usize, conn: u32, question: &GetChain) {
        let GetChain { space, ref ranges, after } = *question;
        if !self.relays[at].clients[&conn].genesis.contains_key(&space) {
            return self.refuse(at, conn, space, Code::NotFoundOrDenied, None);
        }
        let rows_max = self.plan.setup.batch_rows;
        let (mut rows, more) = self.logs(at, space).chains(space, ranges, after, rows_max);
        let next = rows.last().filter(|_| more).map_or(0, |(cursor, _)| *cursor);
        let relay = &mut self.relays[at];
        match relay.manner {
            Manner::Withholds => rows.retain(|_| relay.random.chance(60)),
            Manner::Alters => rows.iter_mut().for_each(|(_, row)| alter(row, &mut relay.random)),
            _ => {}
        }
        let rows = rows.into_iter().map(|(_, row)| row).collect();
        self.answer(at, conn, Frame::Chain(Chain { space, rows, next }));
    }

    /// The disk has what was pushed, if the relay lived on.
    pub fn relay_commits(&mut self, at: usize, conn: u32, life: u64, push: Push, genesis: &Genesis) {
        if self.relays[at].life != life {
            return;
        }
        let Push { push_id, space, rows } = push;
        let quota = if self.relays[at].is_full { 0 } else { u64::MAX };
        let drops = self.relays[at].manner == Manner::Drops;
        let takes_all = self.sabotage == Sabotage::TakesAnything;
        let judge = |row: Row| match takes_all {
            true => Ok(placed(row)),
            false => self.logs(at, space).check_row(row, space, genesis),
        };
        let judged: Vec<Result<NewRow, Code>> = rows.into_iter().map(judge).collect();
        let good: Vec<NewRow> = judged.iter().flatten().cloned().collect();
        let before = self.logs(at, space).head(space).map_or(0, |head| head.cursor);
        let verdicts = match drops {
            true => good.iter().map(|_| Verdict::Accepted { cursor: before + 1 }).collect(),
            false => self.logs_mut(at, space).append(space, quota, &good),
        };
        let mut verdicts = verdicts.into_iter();
        let results: Vec<Verdict> = judged
            .iter()
            .map(|row| match row {
                Ok(_) => verdicts.next().expect("one for each"),
                Err(code) => Verdict::Rejected(*code),
            })
            .collect();
        self.see_verdicts(at, (conn, push_id), space, &judged, &results);
        if self.sabotage == Sabotage::RelayForgets {
            let older = super::log::restored(self.logs(at, space), &[space], 50, || None);
            *self.logs_mut(at, space) = older;
        }
        if let Some(client) = self.relays[at].clients.get_mut(&conn) {
            for (row, verdict) in judged.iter().zip(&results) {
                if let (Ok(_), Verdict::Accepted { cursor } | Verdict::Forked { cursor, .. }) = (row, verdict)
                {
                    client.pushed.insert((space, *cursor));
                }
            }
        }
        self.answer(at, conn, Frame::Ack(Ack { push_id, results, said: None }));
        for reader in self.relays[at].readers(space) {
            self.send_rows(at, reader);
        }
        let Some(client) = self.relays[at].clients.get_mut(&conn) else { return };
        client.is_busy = false;
        while let Some(client) = self.relays[at].clients.get_mut(&conn).filter(|client| !client.is_busy) {
            let Some(frame) = client.waiting.pop_front() else { break };
            self.relay_hears(at, conn, &frame);
        }
    }

    /// Rows for a client, as far as its credit goes.
    fn send_rows(&mut self, at: usize, conn: u32) {
        let rows_max = self.plan.setup.batch_rows;
        let manner = self.relays[at].manner;
        loop {
            let Some(client) = self.relays[at].clients.get(&conn) else { return };
            let Some(Subscription { space, cursor, credit, is_caught_up, told }) = client.subscription else {
                return;
            };
            let logs = self.logs(at, space);
            let head = logs.head(space).expect("it is there").cursor;
            if self.sabotage == Sabotage::QuotaStopsReads && self.relays[at].is_full {
                return;
            }
            if cursor >= head {
                let told_cursor = told.map_or(cursor, |told| told.cursor);
                if !is_caught_up {
                    self.subscription(at, conn).is_caught_up = true;
                    self.answer(at, conn, Frame::CaughtUp(CaughtUp { space, cursor: told_cursor }));
                }
                return;
            }
            if credit <= 0 {
                return;
            }
            let page = logs.read(space, cursor, rows_max);
            let chain = page.last().expect("the head is further").0;
            let pushed = |ix: usize| client.pushed.contains(&(space, cursor + 1 + ix as u64));
            let rows = page.into_iter().enumerate().map(|(ix, (_, row))| match pushed(ix) {
                true => Delivery::Own(id_of(&row)),
                false => Delivery::Row(row),
            });
            let rows: Vec<Delivery> = rows.collect();
            let count = rows.len() as u64;
            let bytes: usize = rows.iter().map(Delivery::bytes).sum();
            let of = self.subscription(at, conn);
            of.cursor += count;
            of.credit -= bytes as i64;
            of.is_caught_up = false;
            match told {
                None => self.send_batch(at, conn, space, cursor, rows, chain),
                Some(told) => self.send_lies(at, conn, space, told, rows, manner),
            }
        }
    }

    fn send_batch(
        &mut self,
        at: usize,
        conn: u32,
        space: SpaceId,
        cursor: u64,
        rows: Vec<Delivery>,
        chain: LogChain,
    ) {
        let first_cursor = cursor + 1 + u64::from(self.sabotage == Sabotage::RelaySkips);
        let last = cursor + rows.len() as u64;
        if self.logs(at, space).chain_at(space, last) != Some(chain) || first_cursor != cursor + 1 {
            self.broken_by(Invariant::CursorsAndChain, format!("rows up to {last} have another place"));
        }
        let chain = Some(chain);
        self.answer(at, conn, Frame::Batch(Batch { space, first_cursor, rows, chain }));
    }

    fn send_lies(
        &mut self,
        at: usize,
        conn: u32,
        space: SpaceId,
        told: Position,
        mut rows: Vec<Delivery>,
        manner: Manner,
    ) {
        let random = &mut self.relays[at].random;
        match manner {
            Manner::Withholds => rows.retain(|_| random.chance(60)),
            Manner::Reorders => rows.reverse(),
            Manner::Repeats => rows.extend(rows.clone()),
            Manner::Alters => {
                for row in &mut rows {
                    if let Delivery::Row(row) = row {
                        alter(row, random);
                    }
                }
            }
            Manner::Honest | Manner::Drops | Manner::Miscounts | Manner::Babbles => {}
        }
        if rows.is_empty() {
            return;
        }
        let id = |row: &Delivery| match row {
            Delivery::Row(row) => id_of(row),
            Delivery::Own(id) => *id,
        };
        let mut chain = rows.iter().fold(told.chain, |chain, row| next_chain(chain, id(row)));
        let first_cursor = told.cursor + 1;
        let cursor = told.cursor + rows.len() as u64;
        if manner == Manner::Miscounts && random.chance(50) {
            chain.0[0] ^= 1;
        }
        let babble = manner == Manner::Babbles && random.chance(50);
        self.subscription(at, conn).told = Some(Position { cursor, chain, ..told });
        let frame = Frame::Batch(Batch { space, first_cursor, rows, chain: Some(chain) });
        if babble {
            let bytes = frame.encode();
            let end = 1 + self.relays[at].random.below(bytes.len() - 1);
            return self.send(conn, 1, bytes.slice(..end));
        }
        self.answer(at, conn, frame);
    }

    /// Every so often something is said, and nobody who gives no sign of life is kept.
    pub fn relay_tick(&mut self, at: usize, conn: u32) {
        let now = self.schedule.now_ms();
        let is_there = self.is_reachable(conn);
        let Some(client) = self.relays[at].clients.get_mut(&conn) else { return };
        if is_there {
            client.heard_ms = now;
        }
        if now - client.heard_ms >= DEAD_MS {
            return self.dismiss(at, conn, None);
        }
        if now - client.said_ms >= TICK_MS {
            self.answer(at, conn, Frame::Tick { time_ms: now });
        }
        self.schedule.after(TICK_MS, Event::RelayTick(at, conn));
    }

    /// From here on what it tells is its own: it begins where each client is.
    pub fn begin_lies(&mut self, at: usize) {
        for conn in self.relays[at].clients.keys().copied().collect::<Vec<_>>() {
            let Some(of) = self.relays[at].clients[&conn].subscription else { continue };
            let head = self.logs(at, of.space).head(of.space).expect("it is subscribed to");
            let chain = self.logs(at, of.space).chain_at(of.space, of.cursor).expect("a place in the log");
            let told = Position { log_id: head.log_id, cursor: of.cursor, chain };
            self.subscription(at, conn).told = Some(told);
        }
    }

    /// The relay goes down: clients are told so or not, and what was not committed is lost.
    pub fn stop_relay(&mut self, at: usize, says_so: bool) {
        self.relays[at].is_up = false;
        self.relays[at].life += 1;
        for conn in self.relays[at].clients.keys().copied().collect::<Vec<_>>() {
            if says_so {
                let go = GoAway { code: Code::Draining, retry_min_ms: 0, retry_max_ms: 5_000 };
                self.answer(at, conn, Frame::GoAway(go));
            }
            self.dismiss(at, conn, None);
        }
    }

    /// The log that a space is in.
    pub fn logs(&self, at: usize, space: SpaceId) -> &dyn Logs {
        let number = self.space_ids.iter().position(|known| *known == space).unwrap_or(0);
        &*self.relays[at].logs[number % DATABASES]
    }

    fn logs_mut(&mut self, at: usize, space: SpaceId) -> &mut Box<dyn Logs> {
        let number = self.space_ids.iter().position(|known| *known == space).unwrap_or(0);
        &mut self.relays[at].logs[number % DATABASES]
    }

    fn subscription(&mut self, at: usize, conn: u32) -> &mut Subscription {
        let client = self.relays[at].clients.get_mut(&conn).expect("the caller looked");
        client.subscription.as_mut().expect("the caller looked")
    }

    fn refuse(&mut self, at: usize, conn: u32, space: SpaceId, code: Code, push_id: Option<u64>) {
        let error = ErrorFrame { space: Some(space), push_id, ..ErrorFrame::new(code, "") };
        self.answer(at, conn, Frame::Error(error));
    }

    fn answer(&mut self, at: usize, conn: u32, frame: Frame) {
        let now = self.schedule.now_ms();
        if let Some(client) = self.relays[at].clients.get_mut(&conn) {
            client.said_ms = now;
        }
        self.send(conn, 1, frame.encode());
    }

    fn dismiss(&mut self, at: usize, conn: u32, last: Option<ErrorFrame>) {
        if let Some(error) = last {
            self.answer(at, conn, Frame::Error(error));
        }
        self.close(conn, 1);
    }
}

/// Another bit somewhere in a row. Not in the content: clients carry a row on without it, and what a relay took is never
/// completed.
fn alter(row: &mut Row, random: &mut Rng) {
    let flip = |bytes: &Bytes, random: &mut Rng| {
        let mut bytes = bytes.to_vec();
        let at = random.below(bytes.len().max(1));
        bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << random.below(8));
        Bytes::from(bytes)
    };
    match random.below(3) {
        0 => row.header = flip(&row.header, random),
        1 => row.signature[random.below(64)] ^= 1,
        _ => row.skeleton = flip(&row.skeleton, random),
    }
}

/// Random bytes.
pub fn fill(random: &mut Rng, bytes: &mut [u8]) {
    for chunk in bytes.chunks_mut(8) {
        chunk.copy_from_slice(&random.next().to_le_bytes()[..chunk.len()]);
    }
}

fn fresh(random: &mut Rng) -> [u8; 32] {
    let mut bytes = [0; 32];
    fill(random, &mut bytes);
    bytes
}

/// Something is said at least so often.
const TICK_MS: u64 = 25_000;
/// Without a sign of life for so long a client is gone.
const DEAD_MS: u64 = 60_000;
