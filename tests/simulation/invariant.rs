//! What must hold at every moment, and who watches it. The names are those of the rules; the numbers, of the design.

use prost::bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use stemma::causal::{ActorId, ChangesetId, LogChain, MemberId, SpaceId};
use stemma::event::SignedChangeset;
use stemma::replica::Tier;
use stemma::store::{StoreBatch, StoreName, TailRecord};
use stemma::sync::{Code, Delivery, Frame, Row, Verdict};

use super::link::End;
use super::log::{Knock, NewRow, placed};
use super::relay::{DATABASES, Manner};
use super::world::World;

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// 1. What a relay acknowledged stays in its log, unless it was restored from a copy; then it is back in the end.
    AckedStays,
    /// 2. In the end all hold the same; those who believe the same see the same.
    SameForAll,
    /// 3. A changeset comes after what it builds on, and applications are told of everything once.
    OrderAndOnce,
    /// 4. Cursors have no gap, and the chain is the one of the rows.
    CursorsAndChain,
    /// 5. Nobody honest signs two changesets with one number, unless its profile was rolled back or copied; and then it
    ///    stops with the answer that says so.
    OneForANumber,
    /// 6. Nothing that waits grows beyond its bound.
    QueuesBounded,
    /// 7. Nothing that people wrote is in clear in a frame, or in the tail of a database.
    NothingInClear,
    /// 8. Nothing gets in without the right to.
    NothingWithoutRight,
    /// Nobody honest sends a row on whose signature is not valid, however it came.
    NothingSpoiltPassedOn,
    /// 9. Once all is said there is silence.
    Silence,
    /// 10. A relay that takes nothing is read all the same.
    RefusalNeverStopsReads,
    /// What was saved on a device is there, whatever ends.
    SavedStays,
    /// What was written down of an open batch is sealed once, by whoever comes after the tab that died.
    DraftsTakenUp,
    /// A changeset that an engine stumbled over is left out by the engine after it.
    QuarantineHolds,
    /// A tab that stands still holds up no other.
    OthersGoOn,
    /// When nothing goes wrong any more all gets well, in time.
    Heals,
    /// Nothing panics.
    NoPanic,
}

/// A rule that was broken.
#[derive(Clone, Debug)]
pub struct Violation {
    pub invariant: Invariant,
    pub text: String,
}

/// A part of the world is broken on purpose, to see that a rule can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    None,
    /// A relay loses acknowledged rows.
    RelayForgets,
    /// A relay numbers rows wrongly.
    RelaySkips,
    /// A relay gives nothing out while it is full.
    QuotaStopsReads,
    /// A disk answers strict commits that it does not write.
    DiskForgets,
    /// Tabs use an actor that another has.
    NoLocks,
    /// Applications are told twice.
    ToldTwice,
    /// A client pushes more than it may.
    IgnoresWindow,
    /// A client sends what it should have sealed.
    SendsInClear,
    /// A client pushes what it did not look at.
    PassesSpoilt,
    /// A relay takes rows that nobody signed.
    TakesAnything,
    /// A client says something whenever its timer rings.
    Chatters,
    /// A disk keeps drafts that were sealed.
    KeepsDrafts,
    /// A client hears no rows.
    Deaf,
    /// What waited for a tab that stood still is lost.
    ThawsDeaf,
    /// Nobody takes the turn of a tab that stands still.
    NobodyTakesOver,
    /// An engine is not told what the one before it stumbled over.
    ForgetsQuarantine,
    /// A relay lets in whoever comes.
    LetsAnybodyIn,
    /// A client shows something else than it holds.
    ShowsElse,
}

/// By what people's words would be known.
pub const CANARY: &str = "kanarie7";

/// What was seen so far.
#[derive(Default)]
pub struct Witness {
    /// How far each log was acknowledged: cursor and chain.
    acked: BTreeMap<(usize, SpaceId), (u64, LogChain)>,
    /// What was signed with each number.
    signed: BTreeMap<(ActorId, u32), ChangesetId>,
    /// Rows whose signatures are valid.
    sound: BTreeSet<(ChangesetId, [u8; 64])>,
    /// Whose actors.
    actors: BTreeMap<ActorId, usize>,
    pub intruders: BTreeSet<MemberId>,
    /// Those of them who may only read.
    pub readers: BTreeSet<MemberId>,
    /// What each device said is saved.
    saved: BTreeMap<usize, BTreeSet<ChangesetId>>,
    /// Row bytes of each push without an answer, by connection.
    pushes: BTreeMap<u32, BTreeMap<u64, usize>>,
    /// Pushes whose answer says that an actor forked.
    forked: BTreeMap<(u32, u64), ActorId>,
    /// How much happened.
    events: u64,
    /// Frames other than TICK.
    pub frames: u64,
    last_frame: String,
}

impl World {
    pub fn see_frame(&mut self, conn: u32, from: usize, frame: &Bytes) {
        let now = self.schedule.now_ms();
        self.trace.note(now, u64::from(conn) * 2 + from as u64, "", frame);
        if frame.first() != Some(&TICK) {
            let ends = self.conns[&conn].ends;
            self.trace.say(now, || format!("{:?} -> {:?}: {}", ends[from], ends[1 - from], named(frame)));
        }
        if holds(frame, CANARY.as_bytes()) {
            self.broken_by(Invariant::NothingInClear, format!("frame type {:#04x}", frame[0]));
        }
        if frame.first() == Some(&TICK) {
            return;
        }
        self.witness.frames += 1;
        let ends = self.conns[&conn].ends;
        if let End::Tab { tab, .. } = ends[from] {
            self.see_passed_on(tab, frame);
        }
        if let (End::Tab { tab, .. }, Some(&PUSH)) = (ends[from], frame.first())
            && let Ok(Some(Frame::Push(push))) = Frame::decode(frame)
        {
            let bytes = push.rows.iter().map(Row::bytes).sum();
            self.note_actor(tab);
            let unanswered = self.witness.pushes.entry(conn).or_default();
            unanswered.insert(push.push_id, bytes);
            let sum: usize = unanswered.values().sum();
            if sum > self.plan.setup.push_bytes as usize
                || push.rows.len() > self.plan.setup.push_rows as usize
            {
                self.broken_by(Invariant::QueuesBounded, format!("{sum} row bytes pushed by tab {tab}"));
            }
            push.rows.into_iter().for_each(|row| self.see_signed(&placed(row)));
        }
    }

    /// The rows that a tab sends.
    fn see_passed_on(&mut self, tab: u32, frame: &Bytes) {
        let rows = match Frame::decode(frame) {
            Ok(Some(Frame::Push(push))) => push.rows,
            Ok(Some(Frame::Batch(batch))) => {
                let whole = |row| if let Delivery::Row(row) = row { Some(row) } else { None };
                batch.rows.into_iter().filter_map(whole).collect()
            }
            _ => return,
        };
        for row in rows {
            let Ok(signed) = SignedChangeset::from_parts(&row.header, row.signature, None, None) else {
                continue;
            };
            let of = (signed.id(), row.signature);
            if self.witness.sound.contains(&of) {
                continue;
            }
            if signed.verify().is_err() {
                return self
                    .broken_by(Invariant::NothingSpoiltPassedOn, format!("{} by tab {tab}", short(of.0)));
            }
            self.witness.sound.insert(of);
        }
    }

    /// A tab is about to hear a frame; the push that it answers, if it does.
    pub fn see_answer(&mut self, conn: u32, frame: &Bytes) -> Option<u64> {
        if frame.first() != Some(&ACK) {
            return None;
        }
        let Ok(Some(Frame::Ack(ack))) = Frame::decode(frame) else { return None };
        self.witness.pushes.get_mut(&conn)?.remove(&ack.push_id);
        Some(ack.push_id)
    }

    /// A tab heard the answer to a push.
    pub fn see_answered(&mut self, tab: u32, conn: u32, push_id: u64) {
        if let Some(actor) = self.witness.forked.remove(&(conn, push_id))
            && self.tabs.get(&tab).and_then(|of| of.replica.as_ref()?.actor()) == Some(actor)
        {
            self.broken_by(Invariant::OneForANumber, format!("tab {tab} goes on with a forked actor"));
        }
    }

    /// A relay judged a push.
    pub fn see_verdicts(
        &mut self,
        at: usize,
        push: (u32, u64),
        space: SpaceId,
        rows: &[Result<NewRow, Code>],
        results: &[Verdict],
    ) {
        if self.relays[at].manner != Manner::Honest {
            return;
        }
        let mut furthest = 0;
        for (row, verdict) in rows.iter().zip(results) {
            match (row, verdict) {
                (_, Verdict::Accepted { cursor } | Verdict::Dup { cursor }) => {
                    furthest = furthest.max(*cursor)
                }
                (Ok(row), Verdict::Forked { cursor, .. }) => {
                    furthest = furthest.max(*cursor);
                    self.witness.forked.insert(push, row.actor);
                }
                _ => {}
            }
        }
        let chain = self.logs(at, space).chain_at(space, furthest).expect("a place in the log");
        let acked = self.witness.acked.entry((at, space)).or_insert((0, chain));
        if furthest >= acked.0 {
            *acked = (furthest, chain);
        }
        self.see_acked(at, space);
    }

    /// A relay let a member in, or not.
    pub fn see_admission(&mut self, at: usize, knock: &Knock, known: &[([u8; 32], MemberId)]) {
        let others = known.iter().filter(|(gate, _)| *gate == knock.gate).count() as u64;
        let is_new = !known.contains(&(knock.gate, knock.member));
        if is_new && (knock.is_expired || knock.uses.is_some_and(|uses| others >= uses)) {
            self.broken_by(Invariant::NothingWithoutRight, format!("relay {at} let a late guest in"));
        }
    }

    /// What was acknowledged is where it was.
    pub fn see_acked(&mut self, at: usize, space: SpaceId) {
        if let Some((cursor, chain)) = self.witness.acked.get(&(at, space)).copied()
            && self.logs(at, space).chain_at(space, cursor) != Some(chain)
        {
            self.broken_by(Invariant::AckedStays, format!("relay {at} had {cursor} rows"));
        }
    }

    /// A database of a relay was restored: what was acknowledged before may be gone, for now.
    pub fn see_restored(&mut self, at: usize, database: usize) {
        for (number, space) in self.space_ids.iter().enumerate() {
            if number % DATABASES == database {
                self.witness.acked.remove(&(at, *space));
            }
        }
    }

    pub fn see_saved(&mut self, tab: u32, tier: Tier, ids: &[ChangesetId]) {
        let now = self.schedule.now_ms();
        let device = self.tabs[&tab].device;
        for id in ids {
            self.trace.note(now, u64::from(tab), if tier == Tier::Local { "saved" } else { "safe" }, &id.0);
            self.trace.say(now, || format!("{tab:>4} {tier:?} {}", short(*id)));
            if tier == Tier::Local {
                self.witness.saved.entry(device).or_default().insert(*id);
            }
        }
    }

    /// A batch is in a database.
    pub fn see_write(&mut self, device: usize, batch: &StoreBatch, strict: bool) {
        let now = self.schedule.now_ms();
        for record in &batch.append {
            self.trace.note(now, device as u64, if strict { "stores strictly" } else { "stores" }, record);
            if holds(record, CANARY.as_bytes()) {
                self.broken_by(Invariant::NothingInClear, format!("a record of device {device}"));
            }
            let (record, _) = TailRecord::decode(record).expect("a record of this version");
            for row in record.rows {
                let header = row.header();
                // Of what this version cannot check nothing is known.
                if header.class().is_err() || header.as_bytes()[1] != 1 {
                    continue;
                }
                let at = (header.actor(), header.seq());
                self.see_number(at, row.id());
            }
        }
        for (store, key, value) in &batch.put {
            self.trace.note(now, device as u64, store.as_str(), key.as_bytes());
            self.trace.note(now, device as u64, "puts", value);
            if *store == StoreName::Drafts && holds(value, CANARY.as_bytes()) {
                self.broken_by(Invariant::NothingInClear, format!("a draft of device {device}"));
            }
        }
        for (store, key) in &batch.delete {
            self.trace.note(now, device as u64, store.as_str(), key.as_bytes());
        }
    }

    /// What a device said is saved is there.
    pub fn see_disk(&mut self, device: usize) {
        let there = self.stored_ids(device);
        let lost = self.witness.saved.get(&device).and_then(|saved| saved.difference(&there).next());
        if let Some(lost) = lost {
            self.broken_by(Invariant::SavedStays, format!("device {device} lost {lost}"));
        }
    }

    /// The ids of all that is in the database of a device.
    pub fn stored_ids(&self, device: usize) -> BTreeSet<ChangesetId> {
        let tail = &self.devices[device].disk.records().tail;
        let rows = tail.iter().flat_map(|record| TailRecord::decode(record).expect("a record").0.rows);
        rows.map(|row| row.id()).collect()
    }

    /// The profile of a device is an older one: so is what was saved on it.
    pub fn see_rollback(&mut self, device: usize) {
        self.witness.saved.remove(&device);
    }

    /// After every event.
    pub fn see_queues(&mut self) {
        if self.schedule.len() > EVENTS_MAX {
            self.broken_by(Invariant::QueuesBounded, "more and more is to happen".to_owned());
        }
        self.witness.events += 1;
        if self.witness.events > LIFE_EVENTS_MAX {
            self.broken_by(Invariant::Heals, "it goes on and on".to_owned());
        }
    }

    /// The same, for what takes longer to look through.
    pub fn see_all_queues(&mut self) {
        let long = self.conns.iter().find(|(_, conn)| conn.in_flight > FRAMES_MAX).map(|(conn, _)| *conn);
        if let Some(conn) = long {
            self.broken_by(Invariant::QueuesBounded, format!("frames on connection {conn}"));
        }
        let slow = self.tabs.iter().find(|(_, tab)| tab.unstored() > COMMITS_MAX).map(|(tab, _)| *tab);
        if let Some(tab) = slow {
            self.broken_by(Invariant::QueuesBounded, format!("commits of tab {tab}"));
        }
    }

    pub fn note_actor(&mut self, tab: u32) {
        let Some(of) = self.tabs.get(&tab) else { return };
        if let Some(actor) = of.replica.as_ref().and_then(|replica| replica.actor()) {
            self.witness.actors.entry(actor).or_insert(of.device);
        }
    }

    fn see_signed(&mut self, row: &NewRow) {
        self.see_number((row.actor, row.seq), row.id);
    }

    fn see_number(&mut self, at: (ActorId, u32), id: ChangesetId) {
        let before = *self.witness.signed.entry(at).or_insert(id);
        let by = self.witness.actors.get(&at.0);
        if before != id && by.is_some_and(|device| !self.devices[*device].may_fork) {
            self.broken_by(Invariant::OneForANumber, format!("{before} and {id} have number {}", at.1));
        }
    }
}

/// A frame in short.
fn named(frame: &Bytes) -> String {
    let ids =
        |rows: &[Row]| rows.iter().map(|row| short(placed(row.clone()).id)).collect::<Vec<_>>().join(" ");
    match Frame::decode(frame) {
        Ok(Some(Frame::Push(push))) => format!("PUSH {} {}", push.push_id, ids(&push.rows)),
        Ok(Some(Frame::Batch(batch))) => format!("BATCH from {} of {}", batch.first_cursor, batch.rows.len()),
        Ok(Some(Frame::Ack(ack))) => format!("ACK {} {:?}", ack.push_id, ack.results),
        Ok(Some(Frame::Subscribed(of))) => format!("SUBSCRIBED {:?} head {}", of.resync, of.head),
        Ok(Some(Frame::CaughtUp(of))) => format!("CAUGHT_UP {}", of.cursor),
        Ok(Some(Frame::Error(error))) => format!("ERROR {:?} {}", error.code, error.message),
        _ => format!("type {:#04x}", frame[0]),
    }
}

fn short(id: ChangesetId) -> String {
    id.to_string()[..8].to_owned()
}

/// Whether bytes hold others.
fn holds(bytes: &[u8], word: &[u8]) -> bool {
    let (first, rest) = word.split_first().expect("a word");
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| byte == first) {
        from += at + 1;
        if bytes[from..].starts_with(rest) {
            return true;
        }
    }
    false
}

const PUSH: u8 = 0x09;
const ACK: u8 = 0x0a;
const TICK: u8 = 0x0b;
/// More than a world needs.
const EVENTS_MAX: usize = 20_000;
const LIFE_EVENTS_MAX: u64 = 500_000;
const FRAMES_MAX: usize = 2_000;
const COMMITS_MAX: usize = 2_000;
