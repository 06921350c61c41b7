//! Faults: how each strikes, and how those that last end.

use stemma::causal::{ChangesetId, LogId};
use stemma::event::Role;

use super::intruder::Intruder;
use super::invariant::Sabotage;
use super::link::{End, Partition};
use super::log::restored;
use super::plan::{Fault, Kind};
use super::relay::{DATABASES, LIES, Manner, fill};
use super::world::{Event, World};

impl World {
    pub fn strike(&mut self, fault: Fault) {
        let now = self.schedule.now_ms();
        self.trace.say(now, || format!("     {fault:?}"));
        self.trace.note(now, 0, "strikes", &[fault.kind as u8]);
        let [a, b, c] = fault.picks.map(|pick| pick as usize);
        let (device, relay) = (a % self.devices.len(), b % self.relays.len());
        let tabs: Vec<u32> = self.tabs.keys().copied().collect();
        let tab = tabs.get(a % tabs.len().max(1)).copied();
        self.last_number += 1;
        let number = self.last_number;
        match fault.kind {
            Kind::Reset => {
                if let Some(conn) = self.some_conn(a) {
                    self.reset(conn);
                }
            }
            Kind::HalfOpen => {
                if let Some(conn) = self.some_conn(a).filter(|conn| self.is_to_relay(*conn)) {
                    let lost = [[true, false], [false, true], [true, true]][b % 3];
                    self.conns.get_mut(&conn).expect("chosen among them").is_lost = lost;
                }
            }
            Kind::Partition => {
                let closed = [[true, false], [false, true], [true, true]][c % 3];
                self.partitions.insert(number, Partition { device, relay, closed });
                self.schedule.after(fault.ms, Event::Ends(fault, number));
            }
            Kind::RelayDown => {
                self.stop_relay(relay, c % 2 == 0);
                self.schedule.after(fault.ms, Event::Ends(fault, number));
            }
            Kind::RelayRestored => self.restore_relay(relay, a % DATABASES, c as u64 % 100, b % 3 > 0),
            Kind::RelayEmptied => self.restore_relay(relay, a % DATABASES, 0, true),
            Kind::RelayFull => {
                self.relays[relay].is_full = true;
                self.schedule.after(fault.ms, Event::Ends(fault, number));
            }
            Kind::RelayLies => {
                self.lie(relay, LIES[c % LIES.len()]);
                self.schedule.after(fault.ms, Event::Ends(fault, number));
            }
            Kind::TabCrash => {
                if let Some(tab) = tab {
                    self.crash_tab(tab);
                }
            }
            Kind::PowerCut => self.cut_power(device),
            Kind::DiskFull => {
                self.devices[device].disk.is_full = true;
                self.schedule.after(fault.ms, Event::Ends(fault, number));
            }
            Kind::ClockJump => {
                let ms = [1_000, 60_000, 86_400_000, YEAR_MS][b % 4];
                let ms = if c % 2 == 0 { ms } else { -ms };
                self.devices[device].clock.offset_ms += ms;
            }
            Kind::Sleep => {
                self.devices[device].is_asleep = true;
                self.schedule.after(fault.ms, Event::Ends(fault, number));
            }
            Kind::Rollback => {
                if let Some(copy) = self.devices[device].copy.clone() {
                    self.end_tabs(device);
                    self.devices[device].disk.replace(copy);
                    self.devices[device].may_fork = true;
                    self.see_rollback(device);
                }
            }
            Kind::Clone => self.clone_device(device),
            Kind::Intruder => self.let_in(a, fault.picks),
            Kind::Freeze => {
                if let Some(tab) = self.some_open_tab(a) {
                    self.freeze(tab, number, b % 2 == 0);
                    self.schedule.after(fault.ms, Event::Ends(fault, number));
                }
            }
            Kind::Trap => {
                if let Some(tab) = self.some_open_tab(a) {
                    let at = self.last_of_others(tab).filter(|_| b % 3 > 0);
                    self.trap(tab, at);
                }
            }
            Kind::LateGuest => self.invite_late(a, c, fault.ms),
        }
    }

    pub fn end_fault(&mut self, fault: Fault, number: u64) {
        let [a, b, c] = fault.picks.map(|pick| pick as usize);
        let relay = b % self.relays.len();
        match fault.kind {
            Kind::Partition => {
                self.partitions.remove(&number);
                self.resume();
            }
            Kind::RelayDown => self.relays[relay].is_up = true,
            Kind::RelayFull => self.relays[relay].is_full = false,
            Kind::RelayLies => self.repent(relay),
            Kind::DiskFull => self.devices[a % self.plan.setup.devices.len()].disk.is_full = false,
            Kind::Sleep => {
                let device = a % self.plan.setup.devices.len();
                let skipped = [0, 3_600_000, 21 * 86_400_000][c % 3];
                self.wake(device, skipped);
            }
            Kind::Freeze => self.thaw(number),
            _ => {}
        }
    }

    /// Everything that still goes wrong stops; relays that are full stay so.
    pub fn end_faults(&mut self) {
        self.partitions.clear();
        for at in 0..self.relays.len() {
            self.relays[at].is_up = true;
            self.repent(at);
        }
        for device in 0..self.devices.len() {
            self.devices[device].disk.is_full = false;
            self.wake(device, 0);
        }
        for number in self.tabs.values().filter_map(|tab| tab.frozen).collect::<Vec<_>>() {
            self.thaw(number);
        }
        self.resume();
    }

    fn wake(&mut self, device: usize, skipped_ms: i64) {
        if !std::mem::replace(&mut self.devices[device].is_asleep, false) {
            return;
        }
        self.devices[device].clock.offset_ms += skipped_ms;
        let deferred = std::mem::take(&mut self.devices[device].deferred);
        deferred.into_iter().for_each(|event| self.handle(event));
        self.resume();
    }

    /// A tab stands still from here on. Some say so before.
    fn freeze(&mut self, tab: u32, number: u64, says_so: bool) {
        let device = self.tabs[&tab].device;
        if says_so {
            self.call(tab, |replica, env| replica.flush(env));
            if self.plan.setup.has_presence {
                self.call(tab, |replica, env| replica.leave_presence(env));
            }
            if self.plan.setup.shares_relays && !self.tabs[&tab].words.is_alone {
                self.let_go(tab);
            }
        }
        let of = self.tabs.get_mut(&tab).expect("chosen among them");
        (of.frozen, of.said_so) = (Some(number), says_so);
        if self.plan.setup.shares_relays {
            self.schedule.after(0, Event::LooksAround(device));
        }
    }

    /// It goes on: first with what waited.
    fn thaw(&mut self, number: u64) {
        let frozen = self.tabs.iter_mut().find(|(_, tab)| tab.frozen == Some(number));
        let Some((tab, of)) = frozen.map(|(tab, of)| (*tab, of)) else { return };
        of.frozen = None;
        let deferred = std::mem::take(&mut of.deferred);
        if self.sabotage != Sabotage::ThawsDeaf {
            deferred.into_iter().for_each(|event| self.handle(event));
        }
        self.resume();
        let Some(of) = self.tabs.get(&tab).filter(|of| of.said_so) else { return };
        if self.plan.setup.shares_relays && !of.words.is_alone {
            self.line_up(tab);
        }
        if self.plan.setup.has_presence {
            self.call(tab, |replica, env| replica.begin_presence(env));
        }
    }

    fn some_open_tab(&self, pick: usize) -> Option<u32> {
        let open = self.open_tabs(None);
        open.get(pick % open.len().max(1)).copied().filter(|tab| !self.is_still(*tab))
    }

    /// An end of what a tab has that others signed: nothing here builds on it.
    fn last_of_others(&self, tab: u32) -> Option<ChangesetId> {
        let (replica, history) = (self.tabs[&tab].replica(), self.history(tab));
        let (heads, member) = (replica.heads(), replica.member());
        let of_others = history.iter().rev().filter(|of| of.member != member && heads.contains(&of.id));
        of_others.map(|of| of.id).next()
    }

    /// Guests with a link of a founder's: two with one for one of them, or one whose link ends soon, or has ended.
    fn invite_late(&mut self, pick: usize, way: usize, ms: u64) {
        let space = pick % self.space_ids.len();
        let Some(founder) = self.open_tabs(Some(space)).first().copied() else { return };
        if self.is_still(founder) || self.devices.len() + 1 >= DEVICES_MAX {
            return;
        }
        let (not_after_ms, uses, guests) = match way % 3 {
            0 => (0, 1, 2),
            1 => (self.relay_ms() + ms, 0, 1),
            _ => (self.relay_ms() - 1, 0, 1),
        };
        let invite = self.invite(founder, Role::Writer, not_after_ms, uses);
        let token = invite.encode().expect("it fits into a token");
        (0..guests).for_each(|_| self.add_guest(space, &token));
    }

    fn some_conn(&self, pick: usize) -> Option<u32> {
        let conns: Vec<u32> = self.conns.keys().copied().collect();
        conns.get(pick % conns.len().max(1)).copied()
    }

    /// A port has no silence: whoever holds the other end tells of its end.
    fn is_to_relay(&self, conn: u32) -> bool {
        matches!(self.conns[&conn].ends, [End::Tab { .. }, End::Relay(_)])
    }

    fn end_tabs(&mut self, device: usize) {
        let tabs: Vec<u32> =
            self.tabs.iter().filter(|(_, tab)| tab.device == device).map(|(tab, _)| *tab).collect();
        tabs.into_iter().for_each(|tab| self.crash_tab(tab));
    }

    pub fn cut_power(&mut self, device: usize) {
        self.end_tabs(device);
        let mut chance = super::plan::stream(self.chance.next(), 0);
        self.devices[device].disk.cut(&mut chance);
        self.devices[device].deferred.clear();
        self.see_disk(device);
    }

    /// A database becomes what it was. A log that was restored has another id, as an operator is told to see to, or the same.
    fn restore_relay(&mut self, at: usize, database: usize, percent: u64, mints: bool) {
        self.stop_relay(at, false);
        let spaces = self.space_ids.clone();
        let mut random = super::plan::stream(self.chance.next(), 1);
        let mint = || {
            let mut id = [0; 16];
            fill(&mut random, &mut id);
            mints.then_some(LogId(id))
        };
        let older = restored(&*self.relays[at].logs[database], &spaces, percent, mint);
        self.relays[at].logs[database] = older;
        self.relays[at].is_up = true;
        self.see_restored(at, database);
    }

    fn lie(&mut self, at: usize, manner: Manner) {
        self.repent(at);
        self.relays[at].manner = manner;
        self.begin_lies(at);
    }

    /// What it told is forgotten with its connections.
    fn repent(&mut self, at: usize) {
        match std::mem::replace(&mut self.relays[at].manner, Manner::Honest) {
            Manner::Honest => {}
            _ => {
                self.stop_relay(at, false);
                self.relays[at].is_up = true;
            }
        }
    }

    /// A second device with the same profile.
    fn clone_device(&mut self, device: usize) {
        if self.devices.len() >= DEVICES_MAX || !self.is_founded(device) {
            return;
        }
        let of = &self.devices[device];
        let mut copy = super::device::Device::new(of.space, of.clock, of.knows.clone());
        copy.disk.replace(of.disk.records().clone());
        copy.may_fork = true;
        copy.token.clone_from(&of.token);
        copy.is_limited = of.is_limited;
        self.devices[device].may_fork = true;
        self.devices.push(copy);
        self.open_tab(self.devices.len() - 1);
    }

    fn let_in(&mut self, pick: usize, picks: [u32; 3]) {
        let space = pick % self.space_ids.len();
        let number = self.intruders.len();
        let is_reader = picks[2].is_multiple_of(3);
        let invite = &self.invites[space][usize::from(is_reader)];
        let random = super::plan::stream(self.plan.seed, 3_000 + number as u64);
        let intruder = Intruder::join(invite, number as u8, random);
        self.witness.intruders.insert(intruder.member());
        self.witness.readers.extend(is_reader.then_some(intruder.member()));
        self.intruders.push(intruder);
        let relay = picks[1] as usize % self.relays.len();
        self.connect([End::Intruder(number), End::Relay(relay)]);
    }
}

const YEAR_MS: i64 = 365 * 86_400_000;
/// Clones included.
const DEVICES_MAX: usize = 8;
