//! A tab: a real replica, and around it what `ts/` does around the engine. It opens as `opening` says; carries outputs out after each call; stores commits in order, one at a time; reads the rows that other tabs stored; sets one timer.

use prost::bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use stemma::causal::{ActorId, ChangesetId};
use stemma::replica::{Env, Output, Replica, Settings, Tier};
use stemma::store::{StoreBatch, StoreName};
use stemma::sync::{Frame, Push};

use super::disk::Write;
use super::invariant::{CANARY, Sabotage};
use super::link::End;
use super::mirror::Mirror;
use super::opening::Opening;
use super::plan::stream;
use super::relay::fill;
use super::rng::Rng;
use super::turn::{Message, Words};
use super::world::{Event, World};

pub struct Tab {
    pub device: usize,
    pub replica: Option<Replica>,
    pub opening: Option<Opening>,
    pub random: Rng,
    pub commits: VecDeque<Commit>,
    /// What is written of the open batch when no commit waits.
    pub draft: Option<(ActorId, Option<Vec<u8>>)>,
    /// A commit, or else a draft, is being written.
    pub is_storing: bool,
    is_drafting: bool,
    /// The first commit of a new database is not stored yet: nothing else happens before.
    is_new: bool,
    /// Every row up to this one was given to the replica.
    pub last_row: u64,
    /// The rows of other tabs are about to be read.
    pub is_reading: bool,
    /// Connections by session.
    pub sessions: BTreeMap<u32, u32>,
    /// When by the device's clock, and its event.
    pub timer: Option<(u64, u64)>,
    pub held: Option<ActorId>,
    pub mirror: Mirror,
    /// What it hears of the relays from others.
    pub words: Words,
    /// Commits failed: what is signed since lives in memory.
    pub had_failure: bool,
    /// It stands still, by the fault of this number.
    pub frozen: Option<u64>,
    /// It let go of what it had before.
    pub said_so: bool,
    /// What was to happen while it did.
    pub deferred: Vec<Event>,
    /// Grows with each engine: the sessions of an older one mean nothing.
    pub engine: u32,
    /// Changesets that its engine stumbled over.
    pub quarantined: BTreeSet<ChangesetId>,
}

pub struct Commit {
    id: u64,
    pub batch: StoreBatch,
    pub strict: bool,
}

impl Tab {
    fn new(device: usize, random: Rng) -> Self {
        Self {
            device,
            replica: None,
            opening: None,
            random,
            commits: VecDeque::new(),
            draft: None,
            is_storing: false,
            is_drafting: false,
            is_new: false,
            last_row: 0,
            is_reading: false,
            sessions: BTreeMap::new(),
            timer: None,
            held: None,
            mirror: Mirror::default(),
            words: Words::default(),
            had_failure: false,
            frozen: None,
            said_so: false,
            deferred: Vec::new(),
            engine: 0,
            quarantined: BTreeSet::new(),
        }
    }

    /// Whether people can use it.
    pub fn is_open(&self) -> bool {
        self.replica.is_some() && self.opening.is_none() && !self.is_new
    }

    pub fn replica(&self) -> &Replica {
        self.replica.as_ref().expect("the tab is open")
    }

    /// Every row up to this one was given to the replica.
    pub fn last_row(&self) -> u64 {
        self.last_row
    }

    /// Commits that wait or are being written.
    pub fn unstored(&self) -> usize {
        self.commits.len()
    }
}

impl World {
    /// The first tab of a device: makes its space, or joins one.
    pub fn found_tab(&mut self, device: usize, make: impl FnOnce(&mut Env<'_>) -> Replica) -> u32 {
        let tab = self.add_tab(device);
        let now_ms = self.local_ms(device);
        let of = self.tabs.get_mut(&tab).expect("just added");
        let random = &mut of.random;
        let mut env = Env { now_ms, random: &mut |bytes: &mut [u8]| fill(random, bytes) };
        let mut replica = make(&mut env);
        of.held = Some(replica.new_actor(true, &mut env));
        of.replica = Some(replica);
        of.is_new = true;
        self.drain(tab);
        tab
    }

    /// Another tab of a device that has its space.
    pub fn open_tab(&mut self, device: usize) -> u32 {
        let tab = self.add_tab(device);
        self.tabs.get_mut(&tab).expect("just added").opening = Some(Opening::default());
        self.step_later(tab, 0);
        tab
    }

    fn add_tab(&mut self, device: usize) -> u32 {
        self.last_tab += 1;
        let random = stream(self.plan.seed, 1_000 + u64::from(self.last_tab));
        self.tabs.insert(self.last_tab, Tab::new(device, random));
        self.last_tab
    }

    /// People can use it from now on.
    pub fn begin(&mut self, tab: u32) {
        self.connect_relays(tab);
        if self.plan.setup.has_presence {
            self.call(tab, |replica, env| replica.begin_presence(env));
        }
    }

    fn connect_relays(&mut self, tab: u32) {
        if self.plan.setup.shares_relays {
            return self.line_up(tab);
        }
        self.dial_relays(tab);
    }

    pub fn dial_relays(&mut self, tab: u32) {
        for at in 0..self.relays.len() {
            if self.devices[self.tabs[&tab].device].knows[at] {
                self.call(tab, |replica, env| replica.connect(&url(at), env));
            }
        }
    }

    pub fn load_rows(&mut self, tab: u32) {
        let Some(of) = self.tabs.get_mut(&tab) else { return };
        let records = self.devices[of.device].disk.records();
        let replica = of.replica.as_mut().expect("whoever reads has a replica");
        for record in records.tail.iter().skip(of.last_row as usize) {
            replica.load_tail(record);
        }
        of.last_row = of.last_row.max(records.tail.len() as u64);
    }

    pub fn load_all_rows(&mut self, tab: u32) {
        self.load_rows(tab);
        let now_ms = self.local_ms(self.tabs[&tab].device);
        let of = self.tabs.get_mut(&tab).expect("the caller looked");
        let random = &mut of.random;
        let mut env = Env { now_ms, random: &mut |bytes: &mut [u8]| fill(random, bytes) };
        while of.replica.as_mut().expect("the caller looked").finish_load(&mut env) {}
    }

    /// Other tabs stored something, some time ago.
    pub fn read_rows(&mut self, tab: u32) {
        let Some(of) = self.tabs.get_mut(&tab) else { return };
        of.is_reading = false;
        if of.is_open() {
            self.load_rows(tab);
            self.integrate_rows(tab);
        }
    }

    pub fn integrate_rows(&mut self, tab: u32) {
        if self.call(tab, |replica, env| replica.finish_load(env)) == Some(true) {
            self.schedule.after(4, Event::Integrates(tab));
        }
    }

    pub fn rows_later(&mut self, tab: u32) {
        let ms = 1 + self.disk_ms();
        let of = self.tabs.get_mut(&tab).expect("the caller looked");
        if !std::mem::replace(&mut of.is_reading, true) {
            self.schedule.after(ms, Event::ReadsRows(tab));
        }
    }

    /// Calls the replica of a tab and carries out what it asks for. Nothing without a replica.
    pub fn call<T>(&mut self, tab: u32, work: impl FnOnce(&mut Replica, &mut Env<'_>) -> T) -> Option<T> {
        let device = self.tabs.get(&tab)?.device;
        let now_ms = self.local_ms(device);
        let of = self.tabs.get_mut(&tab)?;
        assert!(of.frozen.is_none(), "tab {tab} stands still");
        if of.opening.is_some() {
            return None;
        }
        let random = &mut of.random;
        let mut env = Env { now_ms, random: &mut |bytes: &mut [u8]| fill(random, bytes) };
        let result = work(of.replica.as_mut()?, &mut env);
        self.drain(tab);
        Some(result)
    }

    pub fn drain(&mut self, tab: u32) {
        while let Some(output) = self.tabs.get_mut(&tab).and_then(|tab| tab.replica.as_mut()?.poll()) {
            self.carry_out(tab, output);
        }
        self.set_timer(tab);
        self.tell_word(tab);
    }

    pub fn carry_out(&mut self, tab: u32, output: Output) {
        let now = self.schedule.now_ms();
        let of = self.tabs.get_mut(&tab).expect("whoever speaks is there");
        match output {
            Output::Draft { actor, record } => {
                of.draft = Some((actor, record));
                self.store_next(tab);
            }
            Output::Commit { id, batch, strict } => {
                let ends = |(actor, _): &mut (ActorId, _)| {
                    batch.delete.contains(&(StoreName::Drafts, actor.to_string()))
                };
                of.draft.take_if(ends);
                of.commits.push_back(Commit { id, batch, strict });
                self.note_actor(tab);
                self.store_next(tab);
            }
            Output::Dial { session, url } => {
                self.trace.note(now, u64::from(tab), "dials", url.as_bytes());
                let relay =
                    url.strip_prefix(URL).and_then(|at| at.parse().ok()).expect("a relay of this world");
                let conn = self.connect([End::Tab { tab, session }, End::Relay(relay)]);
                self.tabs.get_mut(&tab).expect("looked up").sessions.insert(session, conn);
            }
            Output::Send { session, frame } => {
                if let Some(conn) = of.sessions.get(&session).copied() {
                    let side = self.side_of(conn, tab);
                    for frame in self.sabotaged(frame.into()) {
                        self.send(conn, side, frame);
                    }
                }
            }
            Output::Close { session } => {
                if let Some(conn) = of.sessions.remove(&session) {
                    let side = self.side_of(conn, tab);
                    self.close(conn, side);
                    let engine = self.tabs[&tab].engine;
                    self.schedule.after(0, Event::TellsClosed { tab, session, engine });
                }
            }
            Output::Saved { tier, ids } => {
                self.see_saved(tab, tier, &ids);
                if tier == Tier::Relay {
                    self.tell_acked(tab, &ids);
                }
            }
            Output::Change(changes) => {
                let sabotage = self.sabotage;
                for change in changes {
                    self.trace.note(now, u64::from(tab), "changes", &change.object.0.to_le_bytes());
                    of.mirror.hear(&change);
                    if sabotage == Sabotage::ToldTwice {
                        of.mirror.hear(&change);
                    }
                }
            }
            Output::Rows => self.tell_rows(tab),
            Output::Supply => {
                let ms = self.disk_ms();
                self.schedule.after(ms, Event::Supplies(tab));
            }
            Output::Trouble(trouble) => {
                let line = format!("{trouble:?}");
                self.trace.say(now, || format!("{tab:>4} trouble: {line}"));
                self.trace.note(now, u64::from(tab), "trouble", line.as_bytes());
            }
            Output::Sync
            | Output::Events
            | Output::Policy
            | Output::Consent
            | Output::Subjects
            | Output::Evidence
            | Output::Presence => {}
            Output::Tabs { payload, is_said } => self.tell_tabs(tab, &Message::Shows(payload, is_said)),
            // Nobody redacts here.
            Output::Grown | Output::Look | Output::Noted | Output::Trim | Output::Erase => {}
        }
    }

    /// The other tabs of a device are told that there are rows.
    pub fn tell_rows(&mut self, tab: u32) {
        let device = self.tabs[&tab].device;
        let others = self.tabs.iter().filter(|(other, of)| **other != tab && of.device == device);
        let others: Vec<u32> = others.map(|(other, _)| *other).collect();
        others.into_iter().for_each(|other| self.rows_later(other));
    }

    /// Gives a tab the bytes that its snapshot stands for.
    pub fn supply(&mut self, tab: u32) {
        let Some(of) = self.tabs.get_mut(&tab) else { return };
        if of.opening.is_some() {
            return;
        }
        let Some(replica) = of.replica.as_mut().filter(|replica| !replica.is_whole()) else { return };
        let records = self.devices[of.device].disk.records();
        records.tail.iter().take(of.last_row as usize).for_each(|record| replica.supply(record));
        self.call(tab, |replica, env| replica.supplied(env));
    }

    fn store_next(&mut self, tab: u32) {
        let of = self.tabs.get_mut(&tab).expect("the caller looked");
        if of.is_storing || of.opening.is_some() {
            return;
        }
        let device = of.device;
        let (batch, strict) = match of.commits.front() {
            Some(Commit { batch, strict, .. }) => (batch.clone(), *strict),
            None => {
                let Some((actor, record)) = of.draft.take() else { return };
                of.is_drafting = true;
                (draft_batch(actor, record), false)
            }
        };
        let write = Write::Batch(batch);
        of.is_storing = true;
        self.write_later(device, Some(tab), write, strict);
    }

    /// A commit of a tab is stored, or is not.
    pub fn stored(&mut self, tab: u32, answer: Result<Vec<u64>, &'static str>) {
        let Some(of) = self.tabs.get_mut(&tab) else { return };
        of.is_storing = false;
        match answer {
            _ if std::mem::take(&mut of.is_drafting) => {}
            Ok(numbers) => {
                let Commit { id, .. } = of.commits.pop_front().expect("it was being written");
                for number in numbers {
                    of.last_row += u64::from(number == of.last_row + 1);
                }
                let was_new = std::mem::take(&mut of.is_new);
                self.call(tab, |replica, env| replica.committed(id, env));
                if was_new {
                    self.begin(tab);
                }
            }
            // Nothing was made, and whoever opened it is told so.
            Err(_) if of.is_new => return self.crash_tab(tab),
            Err(code) => {
                of.had_failure = true;
                of.draft = None;
                // Those behind it may build on it.
                for Commit { id, .. } in std::mem::take(&mut of.commits) {
                    self.call(tab, |replica, env| replica.commit_failed(id, code, env));
                }
                self.go_alone(tab);
            }
        }
        if self.tabs.contains_key(&tab) {
            self.store_next(tab);
        }
    }

    /// The timer of a tab, as `ts/pump` has it: one that is due too early does as well.
    fn set_timer(&mut self, tab: u32) {
        let Some(of) = self.tabs.get(&tab).filter(|of| of.is_open()) else { return };
        let now_ms = self.local_ms(of.device);
        let due = of.replica().next_timer(now_ms);
        if let Some((set, number)) = of.timer {
            if due.is_none_or(|due| set <= due) {
                return;
            }
            self.schedule.cancel(number);
        }
        let number = due.map(|due| {
            let ms = due.saturating_sub(now_ms).min(TIMER_MS_MAX);
            (due, self.schedule.after(ms, Event::Timer(tab)))
        });
        self.tabs.get_mut(&tab).expect("looked up").timer = number;
    }

    /// The engine hears that it closed a session itself.
    pub fn tell_closed(&mut self, tab: u32, session: u32, engine: u32) {
        if self.tabs.get(&tab).is_some_and(|of| of.engine == engine) {
            self.call(tab, |replica, env| replica.closed(session, env));
        }
    }

    pub fn timer(&mut self, tab: u32) {
        if let Some(of) = self.tabs.get_mut(&tab) {
            of.timer = None;
            if self.sabotage == Sabotage::Chatters {
                let conns: Vec<u32> = of.sessions.values().copied().collect();
                conns.into_iter().for_each(|conn| self.send(conn, self.side_of(conn, tab), CHATTER.into()));
            }
            self.call(tab, |replica, env| replica.tick(env));
        }
    }

    /// The connection of a session is over: told once.
    pub fn session_closed(&mut self, tab: u32, session: u32, conn: u32) {
        let Some(of) = self.tabs.get_mut(&tab) else { return };
        if of.sessions.get(&session) == Some(&conn) {
            of.sessions.remove(&session);
            self.call(tab, |replica, env| replica.closed(session, env));
        }
    }

    /// A tab ends without a word. What it was storing is stored or is not: whoever reads later reads behind it.
    pub fn crash_tab(&mut self, tab: u32) {
        let Some(of) = self.tabs.remove(&tab) else { return };
        self.leave_turns(of.device, tab);
        let begun = self.writes.iter().find(|(_, write)| write.tab == Some(tab)).map(|(number, _)| *number);
        if let Some(number) = begun {
            match self.chance.chance(50) {
                true => drop(self.writes.remove(&number)),
                false => self.write(number),
            }
        }
        for conn in of.sessions.into_values() {
            let side = self.side_of(conn, tab);
            self.close(conn, side);
        }
    }

    /// What goes out in place of a frame.
    fn sabotaged(&self, frame: Bytes) -> Vec<Bytes> {
        match (self.sabotage, Frame::decode(&frame)) {
            (Sabotage::IgnoresWindow, Ok(Some(Frame::Push(push)))) => {
                let again = |n: u64| Frame::Push(Push { push_id: push.push_id + (n << 32), ..push.clone() });
                (0..MANY).map(|n| again(n).encode()).collect()
            }
            (Sabotage::PassesSpoilt, Ok(Some(Frame::Push(mut push)))) => {
                push.rows[0].signature[0] ^= 1;
                vec![Frame::Push(push).encode()]
            }
            (Sabotage::SendsInClear, Ok(Some(Frame::Push(_)))) => {
                vec![[&frame[..], CANARY.as_bytes()].concat().into()]
            }
            _ => vec![frame],
        }
    }

    pub fn side_of(&self, conn: u32, tab: u32) -> usize {
        let ends = self.conns.get(&conn).map(|conn| conn.ends);
        usize::from(ends.is_some_and(|ends| !matches!(ends[0], End::Tab { tab: first, .. } if first == tab)))
    }

    pub fn is_held(&self, device: usize, actor: ActorId) -> bool {
        self.tabs.values().any(|tab| tab.device == device && tab.held == Some(actor))
    }
}

pub fn draft_batch(actor: ActorId, record: Option<Vec<u8>>) -> StoreBatch {
    let key = actor.to_string();
    match record {
        Some(record) => StoreBatch { put: vec![(StoreName::Drafts, key, record)], ..StoreBatch::default() },
        None => StoreBatch { delete: vec![(StoreName::Drafts, key)], ..StoreBatch::default() },
    }
}

pub fn url(relay: usize) -> String {
    format!("{URL}{relay}")
}

pub const SETTINGS: Settings = Settings { batch_ms: None, drafts: true };
/// A frame that may be ignored.
const CHATTER: &[u8] = &[0x7f, 1];
/// More pushes than any window takes.
const MANY: u64 = 10_000;
const URL: &str = "ws://relay-";
/// What `setTimeout` can count to.
const TIMER_MS_MAX: u64 = 0x7fff_ffff;
