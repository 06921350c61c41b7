//! The world of one seed: devices with tabs, relays, the network between them, and everything that is still to happen. One
//! thread, one heap, one order.

use prost::bytes::Bytes;
use std::collections::BTreeMap;
use stemma::causal::SpaceId;
use stemma::event::{Genesis, Invite, Role};
use stemma::replica::Replica;
use stemma::sync::Push;

use super::device::{Clock, Device};
use super::disk::Write;
use super::intruder::Intruder;
use super::invariant::{Invariant, Sabotage, Violation, Witness};
use super::link::{Conn, End, Packet, Partition};
use super::log::Logs;
use super::plan::{Deed, Fault, Plan, stream};
use super::relay::{DATABASES, Relay};
use super::rng::Rng;
use super::schedule::Schedule;
use super::tab::{SETTINGS, Tab};
use super::trace::Trace;
use super::turn::Message;

/// Something that is to happen.
#[derive(Debug)]
pub enum Event {
    Timer(u32),
    Opens {
        tab: u32,
        step: u32,
        life: u64,
    },
    ReadsRows(u32),
    /// What was read is integrated slice by slice, unless a batch is open.
    Integrates(u32),
    Supplies(u32),
    /// The engine hears that it closed a session itself.
    TellsClosed {
        tab: u32,
        session: u32,
        engine: u32,
    },
    /// The engine hears that a session's connection is over.
    SessionClosed {
        tab: u32,
        session: u32,
        conn: u32,
    },
    TurnBegins {
        tab: u32,
        at: usize,
        /// The record of the place, once it was read.
        place: Option<Option<Vec<u8>>>,
    },
    TabHears(u32, Message),
    /// A write is done.
    Stored(u64),
    /// A tab hears of it.
    Answered(u32, Result<Vec<u64>, &'static str>),
    /// A tab hears that another has taken its turn at a relay.
    TurnTaken(u32, usize),
    /// A tab asks those who speak for it how it stands.
    AsksAround(u32),
    /// The tabs of a device ask whether those that speak for them are there.
    LooksAround(usize),
    Arrive(u32, usize, Packet),
    Broken(u32, usize),
    DialTimeout(u32),
    RelayTick(usize, u32),
    RelayCommits {
        at: usize,
        conn: u32,
        life: u64,
        push: Box<Push>,
        genesis: Box<Genesis>,
    },
    Does(Deed),
    Strikes(Fault),
    /// A fault that lasts ends.
    Ends(Fault, u64),
}

/// A write under way to a disk.
pub struct Pending {
    pub device: usize,
    pub tab: Option<u32>,
    pub write: Write,
    pub strict: bool,
    life: u64,
}

pub struct World {
    pub plan: Plan,
    pub schedule: Schedule<Event>,
    pub trace: Trace,
    pub devices: Vec<Device>,
    pub tabs: BTreeMap<u32, Tab>,
    pub relays: Vec<Relay>,
    pub conns: BTreeMap<u32, Conn>,
    pub partitions: BTreeMap<u64, Partition>,
    pub intruders: Vec<Intruder>,
    pub writes: BTreeMap<u64, Pending>,
    pub space_ids: Vec<SpaceId>,
    /// Invites of each space: a writer's, a reader's, and a writer's that one member may use.
    pub invites: Vec<[Invite; 3]>,
    pub last_tab: u32,
    pub last_conn: u32,
    pub last_number: u64,
    pub network: Rng,
    pub chance: Rng,
    pub witness: Witness,
    pub sabotage: Sabotage,
    pub violation: Option<Violation>,
}

impl World {
    pub fn new(plan: Plan, logs: &dyn Logs, sabotage: Sabotage, keep_lines: bool) -> Self {
        let seed = plan.seed;
        let databases = || (0..DATABASES).map(|_| logs.empty()).collect();
        let relays = (0..plan.setup.relays).map(|at| Relay::new(databases(), stream(seed, 100 + at as u64)));
        let mut world = Self {
            schedule: Schedule::new(),
            trace: Trace::new(keep_lines),
            devices: Vec::new(),
            tabs: BTreeMap::new(),
            relays: relays.collect(),
            conns: BTreeMap::new(),
            partitions: BTreeMap::new(),
            intruders: Vec::new(),
            writes: BTreeMap::new(),
            space_ids: Vec::new(),
            invites: Vec::new(),
            last_tab: 0,
            last_conn: 0,
            last_number: 0,
            network: stream(seed, 3),
            chance: stream(seed, 4),
            witness: Witness::default(),
            sabotage,
            violation: None,
            plan,
        };
        world.populate();
        world
    }

    fn populate(&mut self) {
        let setup = self.plan.setup.clone();
        for space in setup.devices.clone() {
            self.add_device(space);
        }
        for deed in self.plan.deeds.clone() {
            self.schedule.at(START_MS + deed.at_ms, Event::Does(deed));
        }
        for fault in self.plan.faults.clone() {
            self.schedule.at(START_MS + fault.at_ms, Event::Strikes(fault));
        }
    }

    /// A device and its first tab: whoever is first in a space founds it, the others join.
    pub fn add_device(&mut self, space: usize) -> usize {
        let (at, mut rng) = self.add_empty_device(space);
        if self.space_ids.len() == space {
            let tab = self.found_tab(at, |env| Replica::create(SETTINGS, env));
            let invites = [(Role::Writer, 0), (Role::Reader, 0), (Role::Writer, 1)];
            let invites = invites.map(|(role, uses)| self.invite(tab, role, 0, uses));
            self.space_ids.push(invites[0].genesis().id());
            self.invites.push(invites);
        } else {
            let is_limited = self.plan.setup.limits_invites && rng.chance(60) && self.schedule.now_ms() == 0;
            let token = self.invites[space][if is_limited { 2 } else { 0 }].encode();
            self.devices[at].token = token.expect("it fits into a token").to_string();
            self.devices[at].is_limited = is_limited;
            self.join_space(at);
        }
        at
    }

    /// A device whose owner was given a link that a relay may not take.
    pub fn add_guest(&mut self, space: usize, token: &str) {
        let (at, _) = self.add_empty_device(space);
        token.clone_into(&mut self.devices[at].token);
        self.devices[at].is_limited = true;
        self.join_space(at);
    }

    /// The first tab of a device that was given a link.
    pub fn join_space(&mut self, at: usize) {
        let invite = Invite::decode(&self.devices[at].token).expect("it was encoded here");
        self.found_tab(at, |env| Replica::join(&invite, SETTINGS, env));
    }

    fn add_empty_device(&mut self, space: usize) -> (usize, Rng) {
        let at = self.devices.len();
        let mut rng = stream(self.plan.seed, 200 + at as u64);
        let offset_ms = *rng.pick(&[0, 0, 400, -90_000, 7_200_000]);
        let clock = Clock { offset_ms, drift_ppm: *rng.pick(&[0, 0, 150, -2_000]) };
        // Everybody knows one of the relays at least, and the first device of a space knows all.
        let first = rng.below(self.relays.len());
        let knows = (0..self.relays.len())
            .map(|relay| relay == first || rng.chance(50) || self.space_ids.len() == space);
        let knows: Vec<bool> = knows.collect();
        self.devices.push(Device::new(space, clock, knows));
        (at, rng)
    }

    /// A link by a founder's tab.
    pub fn invite(&mut self, tab: u32, role: Role, not_after_ms: u64, uses: u64) -> Invite {
        let invite = self.call(tab, |replica, env| replica.invite(role, not_after_ms, uses, Vec::new(), env));
        invite.flatten().expect("a founder may invite")
    }

    /// Goes on to a time, unless something is found to be wrong.
    pub fn run_until(&mut self, ms: u64) {
        while self.violation.is_none() {
            let Some(event) = self.schedule.next(ms) else { break };
            self.handle(event);
            self.see_queues();
        }
    }

    pub fn handle(&mut self, event: Event) {
        if let Some(tab) = tab_of(&event, &self.writes)
            && let Some(of) = self.tabs.get_mut(&tab)
        {
            if self.devices[of.device].is_asleep {
                self.devices[of.device].deferred.push(event);
                return;
            }
            // What it wrote is written; it only does not hear of it.
            if of.frozen.is_some() && !matches!(event, Event::Stored(_)) {
                of.deferred.push(event);
                return;
            }
        }
        match event {
            Event::Timer(tab) => self.timer(tab),
            Event::Opens { tab, step, life } => self.opening_step(tab, step, life),
            Event::ReadsRows(tab) => self.read_rows(tab),
            Event::Integrates(tab) => self.integrate_rows(tab),
            Event::Supplies(tab) => self.supply(tab),
            Event::TellsClosed { tab, session, engine } => self.tell_closed(tab, session, engine),
            Event::SessionClosed { tab, session, conn } => self.session_closed(tab, session, conn),
            Event::TurnBegins { tab, at, place } => self.turn_begins(tab, at, place),
            Event::TabHears(tab, message) => self.tab_hears(tab, message),
            Event::Stored(number) => self.write(number),
            Event::Answered(tab, answer) => self.stored(tab, answer),
            Event::TurnTaken(tab, at) => self.turn_taken(tab, at),
            Event::AsksAround(tab) => self.ask_around(tab),
            Event::LooksAround(device) => self.look_around(device),
            Event::Arrive(conn, to, packet) => self.arrive(conn, to, packet),
            Event::Broken(conn, at) => self.broken(conn, at),
            Event::DialTimeout(conn) => self.dial_timeout(conn),
            Event::RelayTick(at, conn) => self.relay_tick(at, conn),
            Event::RelayCommits { at, conn, life, push, genesis } => {
                self.relay_commits(at, conn, life, *push, &genesis);
            }
            Event::Does(deed) => self.act(deed),
            Event::Strikes(fault) => self.strike(fault),
            Event::Ends(fault, number) => self.end_fault(fault, number),
        }
    }

    /// Hands a write to a disk.
    pub fn write_later(&mut self, device: usize, tab: Option<u32>, write: Write, strict: bool) {
        self.last_number += 1;
        let life = self.devices[device].disk.life;
        self.writes.insert(self.last_number, Pending { device, tab, write, strict, life });
        let ms = self.disk_ms();
        self.schedule.after(ms, Event::Stored(self.last_number));
    }

    pub fn write(&mut self, number: u64) {
        let Some(Pending { device, tab, write, strict, life }) = self.writes.remove(&number) else { return };
        if self.devices[device].disk.life != life {
            return;
        }
        let is_running = self.schedule.now_ms() > START_MS;
        let forgets =
            self.sabotage == Sabotage::DiskForgets && strict && is_running && self.chance.chance(30);
        let mut write = write;
        if let Write::Batch(batch) = &mut write
            && self.sabotage == Sabotage::KeepsDrafts
        {
            batch.delete.clear();
        }
        let answer = match forgets {
            true => Ok(Vec::new()),
            false => self.devices[device].disk.commit(write.clone(), strict),
        };
        if let (Write::Batch(batch), Ok(_)) = (&write, &answer) {
            self.see_write(device, batch, strict);
        }
        if let Some(tab) = tab {
            self.handle(Event::Answered(tab, answer));
        }
    }

    pub fn disk_ms(&mut self) -> u64 {
        let [low, high] = self.plan.setup.disk_ms;
        low + self.network.below((high - low + 1) as usize) as u64
    }

    pub fn local_ms(&self, device: usize) -> u64 {
        self.devices[device].clock.local_ms(self.schedule.now_ms())
    }

    pub fn relay_ms(&self) -> u64 {
        Clock::default().local_ms(self.schedule.now_ms())
    }

    /// Whether a tab stands still, alone or with its device.
    pub fn is_still(&self, tab: u32) -> bool {
        self.tabs.get(&tab).is_some_and(|tab| tab.frozen.is_some() || self.devices[tab.device].is_asleep)
    }

    /// Whether somebody takes a connection.
    pub fn accepts(&self, end: End) -> bool {
        match end {
            End::Tab { tab, .. } => self.tabs.get(&tab).is_some_and(Tab::is_open),
            End::Relay(at) => self.relays[at].is_up,
            End::Intruder(_) => false,
        }
    }

    /// An end took a connection.
    pub fn accepted(&mut self, conn: u32, end: End) {
        match end {
            End::Tab { tab, session } => {
                self.call(tab, |replica, env| replica.opened(session, env));
            }
            End::Relay(at) => self.greet(at, conn),
            End::Intruder(_) => {}
        }
    }

    /// A connection that an end asked for is there.
    pub fn opened(&mut self, conn: u32, end: End) {
        if let End::Tab { tab, session } = end
            && self.tabs.get(&tab).is_some_and(|tab| tab.sessions.get(&session) == Some(&conn))
        {
            self.call(tab, |replica, env| replica.opened(session, env));
        }
    }

    /// A frame reached an open end.
    pub fn hear(&mut self, conn: u32, _to: usize, end: End, frame: &Bytes) {
        match end {
            End::Tab { tab, session } => {
                if self.tabs.get(&tab).is_some_and(|tab| tab.sessions.get(&session) == Some(&conn)) {
                    if self.sabotage == Sabotage::Deaf && frame.first() == Some(&BATCH) {
                        return;
                    }
                    let answered = self.see_answer(conn, frame);
                    self.call(tab, |replica, env| replica.received(session, frame, env));
                    answered.into_iter().for_each(|push_id| self.see_answered(tab, conn, push_id));
                }
            }
            End::Relay(at) => self.relay_hears(at, conn, frame),
            End::Intruder(at) => self.intruder_hears(at, conn, frame),
        }
    }

    /// An end hears nothing more of a connection.
    pub fn left(&mut self, conn: u32, side: usize) {
        if let Some(End::Relay(at)) = self.conns.get(&conn).map(|conn| conn.ends[side]) {
            self.relays[at].clients.remove(&conn);
        }
    }

    /// An end is told that the other is gone.
    pub fn told_closed(&mut self, conn: u32, side: usize) {
        if let Some(End::Tab { tab, session }) = self.conns.get(&conn).map(|conn| conn.ends[side]) {
            self.schedule.after(0, Event::SessionClosed { tab, session, conn });
        }
    }

    /// Something is wrong; the first thing that is counts.
    pub fn broken_by(&mut self, invariant: Invariant, text: String) {
        self.violation.get_or_insert(Violation { invariant, text });
    }

    /// Tabs that people can use, of a device or of all.
    pub fn open_tabs(&self, device: Option<usize>) -> Vec<u32> {
        let is_here = |tab: &Tab| tab.is_open() && tab.frozen.is_none();
        let open =
            self.tabs.iter().filter(|(_, tab)| is_here(tab) && device.is_none_or(|at| tab.device == at));
        open.map(|(number, _)| *number).collect()
    }
}

/// The tab that an event is for, where it is one that sleeps with its device.
fn tab_of(event: &Event, writes: &BTreeMap<u64, Pending>) -> Option<u32> {
    match event {
        Event::Timer(tab)
        | Event::Opens { tab, .. }
        | Event::ReadsRows(tab)
        | Event::Integrates(tab)
        | Event::Supplies(tab)
        | Event::TellsClosed { tab, .. }
        | Event::TurnBegins { tab, .. }
        | Event::TabHears(tab, _)
        | Event::AsksAround(tab)
        | Event::Answered(tab, _)
        | Event::TurnTaken(tab, _)
        | Event::SessionClosed { tab, .. } => Some(*tab),
        Event::Stored(number) => writes.get(number)?.tab,
        _ => None,
    }
}

const BATCH: u8 = 0x06;
/// People and faults begin then: the first tabs are founded.
pub const START_MS: u64 = 5_000;
