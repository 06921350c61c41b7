//! The end of a run: nothing goes wrong any more, everybody is there, and all has to get well: the same everywhere, nothing lost,
//! and then silence.

use std::collections::{BTreeMap, BTreeSet};
use stemma::causal::ChangesetId;
use stemma::crypto::Digest;
use stemma::event::{Fate, Role};
use stemma::replica::{ChangesetSummary, HistoryFilter, SyncStatus, Tier};

use super::invariant::{Invariant, Sabotage};
use super::link::End;
use super::plan::Kind;
use super::world::{START_MS, World};

impl World {
    /// The whole life of the world.
    pub fn live(&mut self) {
        self.run_until(START_MS + self.plan.setup.ms);
        self.see_all_queues();
        self.end_faults();
        self.everybody_comes();
        self.let_in_again();
        let kept = self.everything();
        self.read_from_full_relays();
        (0..self.relays.len()).for_each(|at| self.relays[at].is_full = false);
        self.get_well("");
        self.see_each_other();
        self.agree(&kept);
        self.be_silent();
        self.come_and_go();
    }

    /// Each device has a tab at least, that knows all relays.
    fn everybody_comes(&mut self) {
        for device in 0..self.devices.len() {
            match self.tabs_of(device) == 0 {
                true if self.is_founded(device) => drop(self.open_tab(device)),
                // It could not be stored when its owner came.
                true => self.join_space(device),
                false => {}
            }
        }
        self.mend_engines();
        // Whoever looks at a tab has it read on.
        self.open_tabs(None).into_iter().for_each(|tab| self.rows_later(tab));
        self.run_for(10_000);
        // On a slow disk that takes longer, and only whoever is there can be let in again.
        let end = self.schedule.now_ms() + 60_000;
        while self.violation.is_none()
            && self.tabs.values().any(|tab| !tab.is_open())
            && self.schedule.now_ms() < end
        {
            self.run_for(1_000);
        }
        (0..self.devices.len()).for_each(|device| self.see_disk(device));
    }

    /// Pages whose engine stumbled are loaded again, with one that does not.
    fn mend_engines(&mut self) {
        let stumbled = self.tabs.iter().filter(|(_, tab)| !tab.quarantined.is_empty());
        for (tab, device) in stumbled.map(|(tab, of)| (*tab, of.device)).collect::<Vec<_>>() {
            self.check_quarantine(tab);
            self.crash_tab(tab);
            self.open_tab(device);
        }
    }

    /// Every changeset that is held anywhere, by space.
    fn everything(&mut self) -> BTreeMap<usize, BTreeSet<ChangesetId>> {
        let mut all: BTreeMap<usize, BTreeSet<ChangesetId>> = BTreeMap::new();
        for tab in self.open_tabs(None) {
            let space = self.devices[self.tabs[&tab].device].space;
            all.entry(space).or_default().extend(self.history(tab).iter().map(|summary| summary.id));
        }
        all
    }

    /// A relay that takes nothing still gives what it has, to a newcomer too.
    fn read_from_full_relays(&mut self) {
        let full = self.plan.faults.iter().filter(|fault| fault.kind == Kind::RelayFull);
        let full: Vec<usize> = full.map(|fault| fault.picks[1] as usize % self.relays.len()).collect();
        if full.is_empty() {
            return;
        }
        full.into_iter().for_each(|at| self.relays[at].is_full = true);
        self.add_device(0);
        self.run_for(WELL_MS / 2);
        for tab in self.open_tabs(None) {
            let device = self.tabs[&tab].device;
            let space = self.space_ids[self.devices[device].space];
            for at in 0..self.relays.len() {
                let Some(head) = self.logs(at, space).head(space) else { continue };
                let rows = self.logs(at, space).read(space, 0, usize::MAX);
                let replica = self.tabs[&tab].replica();
                let lacks = rows.iter().find(|(_, row)| !replica.knows(super::log::id_of(row)));
                if self.devices[device].knows[at] && self.relays[at].is_full && lacks.is_some() {
                    let text = format!("tab {tab} does not have all {} rows of relay {at}", head.cursor);
                    self.broken_by(Invariant::RefusalNeverStopsReads, text);
                }
            }
        }
    }

    /// Time passes until everything is everywhere.
    pub fn get_well(&mut self, when: &str) {
        let end = self.schedule.now_ms() + WELL_MS;
        while let Some(lack) = self.lack() {
            // Whoever opened while the link came has the old one.
            if lack.contains("Denied") {
                self.let_in_again();
                self.run_for(60_000);
            }
            if self.violation.is_some() {
                return;
            }
            if self.schedule.now_ms() >= end {
                return self.broken_by(Invariant::Heals, format!("{lack}{when}"));
            }
            self.run_for(1_000);
        }
    }

    /// What is not well yet.
    fn lack(&self) -> Option<String> {
        let deaf = self.conns.iter().find(|(_, conn)| conn.is_lost != [false; 2]);
        if let Some((conn, _)) = deaf {
            return Some(format!("connection {conn} is dead, and nobody noticed"));
        }
        let mut heads: BTreeMap<usize, Vec<ChangesetId>> = BTreeMap::new();
        for (number, tab) in &self.tabs {
            let space = self.devices[tab.device].space;
            if !tab.is_open() {
                return Some(format!("tab {number} is not open"));
            }
            let replica = tab.replica();
            let state = replica.sync_state();
            if state.status != SyncStatus::Live || state.pending > 0 || !state.settled {
                let member = replica.member();
                let own = self.history(*number).into_iter().filter(|summary| summary.member == member);
                let unsaved = own.filter(|own| !replica.is_saved(own.id, Tier::Relay));
                let unsaved: Vec<String> = unsaved.map(|own| own.id.to_string()).collect();
                return Some(format!("tab {number} is {state:?}, at no relay {unsaved:?}"));
            }
            let device = &self.devices[tab.device];
            let speaks = |at: &usize| {
                !self.plan.setup.shares_relays
                    || tab.words.is_alone
                    || self.holder(tab.device, *at) == Some(*number)
            };
            let known = (0..self.relays.len()).filter(|at| device.knows[*at]).filter(speaks).count();
            let is_connected = |conn: &&u32| {
                self.conns
                    .get(conn)
                    .is_some_and(|of| matches!(of.ends[1], End::Relay(_)) && of.is_open == [true; 2])
            };
            let connected = tab.sessions.values().filter(is_connected).count();
            if connected < known {
                return Some(format!("tab {number} is connected to {connected} of {known} relays"));
            }
            let here = replica.heads();
            let there = heads.entry(space).or_insert_with(|| here.clone());
            if *there != here {
                return Some(format!("tab {number} has other heads: {here:?}, not {there:?}"));
            }
        }
        let lacks = |at: usize, space: usize| {
            let id = self.space_ids[space];
            let Some(tab) = self.tabs.values().find(|tab| self.devices[tab.device].space == space) else {
                return false;
            };
            let there = self.logs(at, id).head(id).map_or(0, |head| head.cursor);
            let here = tab.replica().stats().changesets;
            there < u64::from(here)
        };
        let spaces = 0..self.space_ids.len();
        let pairs = spaces.flat_map(|space| (0..self.relays.len()).map(move |at| (at, space)));
        let mut pairs = pairs.filter(|(at, space)| {
            self.tabs.values().any(|tab| {
                let device = &self.devices[tab.device];
                device.space == *space && device.knows[*at]
            })
        });
        pairs
            .find(|(at, space)| lacks(*at, *space))
            .map(|(at, space)| format!("relay {at} lacks rows of space {space}"))
    }

    /// All hold the same; nothing that was held is lost; what each shows is what it was told.
    pub fn agree(&mut self, kept: &BTreeMap<usize, BTreeSet<ChangesetId>>) {
        let mut shown: BTreeMap<(usize, Digest), Digest> = BTreeMap::new();
        for tab in self.open_tabs(None) {
            let space = self.devices[self.tabs[&tab].device].space;
            self.check_mirror(tab);
            self.check_order(tab);
            let history = self.history(tab);
            let here: BTreeSet<ChangesetId> = history.iter().map(|summary| summary.id).collect();
            let lost = kept.get(&space).and_then(|kept| kept.difference(&here).next());
            if let Some(lost) = lost {
                self.broken_by(Invariant::AckedStays, format!("tab {tab} never gets {lost}"));
            }
            let replica = self.tabs[&tab].replica();
            replica.dbg_check();
            let (view, mut state) = (replica.view_digest(), replica.state_hash());
            state.0[0] ^= u8::from(self.sabotage == Sabotage::ShowsElse && tab == self.last_tab);
            let inert = history.iter().find(|summary| {
                summary.fate == Fate::Inert && !self.witness.intruders.contains(&summary.member)
            });
            let written = history.iter().find(|summary| {
                summary.fate == Fate::Integrated && self.witness.readers.contains(&summary.member)
            });
            if let Some(written) = written {
                self.broken_by(
                    Invariant::NothingWithoutRight,
                    format!("{} is a reader's, and counts", written.id),
                );
            }
            if let Some(inert) = inert {
                self.broken_by(Invariant::NothingWithoutRight, format!("{} is honest, and inert", inert.id));
            }
            let now = self.schedule.now_ms();
            self.trace.note(now, u64::from(tab), "shows", &[view.0, state.0].concat());
            if *shown.entry((space, view)).or_insert(state) != state {
                self.broken_by(Invariant::SameForAll, format!("tab {tab} shows something else"));
            }
            if !self.plan.setup.has_policy && shown.keys().filter(|(of, _)| *of == space).count() > 1 {
                self.broken_by(Invariant::SameForAll, format!("tab {tab} believes something else"));
            }
        }
        self.check_logs();
    }

    /// Whoever was refused at the door gets another link, and keeps what it did meanwhile.
    fn let_in_again(&mut self) {
        let is_limited = |tab: &u32| self.devices[self.tabs[tab].device].is_limited;
        let limited: Vec<u32> = self.open_tabs(None).into_iter().filter(is_limited).collect();
        for tab in limited {
            // The first device of a space has founded it.
            let founder = self.open_tabs(Some(self.devices[self.tabs[&tab].device].space));
            let Some(founder) = founder.first().copied() else { continue };
            let fresh = self.invite(founder, Role::Writer, 0, 0);
            self.call(tab, |replica, env| replica.rejoin(&fresh, env).expect("the same space"));
            self.take_turns(tab);
        }
    }

    /// Sessions that are here see each other, if there is one relay to tell them.
    fn see_each_other(&mut self) {
        if !self.plan.setup.has_presence {
            return;
        }
        self.run_for(25_000);
        for tab in self.open_tabs(None) {
            let space = self.devices[self.tabs[&tab].device].space;
            let here = |tab: &u32| self.devices[self.tabs[tab].device].space == space;
            let sessions = self.open_tabs(None).into_iter().filter(here).count();
            let seen = self.tabs[&tab].replica().others_present().count() + 1;
            // A copied profile speaks as the one it was copied from.
            if self.relays.len() == 1 && !self.has_forked(space) && seen < sessions {
                self.broken_by(Invariant::Heals, format!("tab {tab} sees {seen} of {sessions} sessions"));
            }
        }
        for tab in self.open_tabs(None) {
            self.call(tab, |replica, env| replica.leave_presence(env));
        }
    }

    /// What is in the logs of relays belongs there, and positions that clients stored are places in them.
    fn check_logs(&mut self) {
        for at in 0..self.relays.len() {
            for number in 0..self.space_ids.len() {
                let space = self.space_ids[number];
                let Some(genesis) = self.logs(at, space).genesis(space) else { continue };
                let genesis = stemma::event::Genesis::decode(&genesis).expect("it was checked");
                let rows = self.logs(at, space).read(space, 0, usize::MAX);
                let mut chain = self.logs(at, space).chain_at(space, 0).expect("every log begins");
                for (after, row) in rows {
                    chain = stemma::event::next_chain(chain, super::log::id_of(&row));
                    if chain != after {
                        self.broken_by(Invariant::CursorsAndChain, format!("relay {at} has another chain"));
                    }
                    if super::log::Model::default().check(row, space, &genesis).is_err() {
                        self.broken_by(Invariant::NothingWithoutRight, format!("relay {at} took a bad row"));
                    }
                }
                self.see_acked(at, space);
            }
        }
    }

    /// A changeset comes after what it builds on, once, and each chain in its order.
    fn check_order(&mut self, tab: u32) {
        let mut seen = BTreeMap::new();
        for summary in self.history(tab) {
            let before = |id: &ChangesetId| seen.contains_key(id);
            let in_order = summary
                .prev
                .iter()
                .all(|prev| seen.get(prev) == Some(&(summary.actor, summary.seq.wrapping_sub(1))))
                && summary.deps.iter().all(before);
            if !in_order || seen.insert(summary.id, (summary.actor, summary.seq)).is_some() {
                self.broken_by(Invariant::OrderAndOnce, format!("tab {tab}: {} is out of order", summary.id));
            }
        }
    }

    /// Nobody has anything to say.
    fn be_silent(&mut self) {
        // What was said just now is answered, and whoever was refused has asked again.
        self.run_for(65_000);
        let before = self.witness.frames;
        self.run_for(65_000);
        let after = self.witness.frames;
        if after > before {
            self.broken_by(Invariant::Silence, format!("{} frames", after - before));
        }
    }

    /// One who opens again has what was stored, and one who comes new gets everything.
    fn come_and_go(&mut self) {
        if self.violation.is_some() {
            return;
        }
        let device = self.chance.below(self.devices.len());
        let had_failure = self.tabs.values().any(|tab| tab.device == device && tab.had_failure);
        let heads = |world: &Self, tab: u32| world.tabs[&tab].replica().heads();
        let before = self.open_tabs(Some(device)).first().map(|tab| heads(self, *tab));
        let kept = self.everything();
        for tab in self.open_tabs(Some(device)) {
            self.crash_tab(tab);
        }
        if self.chance.chance(30) {
            self.cut_power(device);
        }
        let opened = self.open_tab(device);
        self.run_for(15_000);
        let space = self.devices[device].space;
        if self.chance.chance(50) {
            self.add_device(space);
        }
        self.get_well(" after coming back");
        // There may be more than before: whoever takes up a draft signs it.
        if self.violation.is_none()
            && !had_failure
            && before
                .is_some_and(|before| before.iter().any(|head| !self.tabs[&opened].replica().knows(*head)))
            && !self.has_forked(space)
        {
            self.broken_by(Invariant::SavedStays, format!("tab {opened} came back without what was there"));
        }
        self.agree(&kept);
    }

    fn has_forked(&self, space: usize) -> bool {
        self.devices.iter().any(|device| device.space == space && device.may_fork)
    }

    pub fn history(&self, tab: u32) -> Vec<ChangesetSummary> {
        let mut all = self.tabs[&tab]
            .replica()
            .history(&HistoryFilter { limit: usize::MAX, ..HistoryFilter::default() });
        all.sort_by_key(|summary| summary.number);
        all
    }

    fn run_for(&mut self, ms: u64) {
        self.run_until(self.schedule.now_ms() + ms);
    }
}

/// Everything is well after so long: the longest pause is a minute, silence is noticed after another.
const WELL_MS: u64 = 400_000;
