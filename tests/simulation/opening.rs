//! How a tab comes by its replica, step by step while other tabs go on, as `ts/home` has it: when it opens, and again when the
//! engine before it trapped.

use std::collections::BTreeMap;
use stemma::causal::{ActorId, ChangesetId};
use stemma::replica::{Env, Output, Replica, Restored};
use stemma::store::StoreName;

use super::disk::Write;
use super::invariant::{Invariant, Sabotage};
use super::mirror::Mirror;
use super::relay::fill;
use super::tab::{Commit, SETTINGS, draft_batch};
use super::world::{Event, World};

/// What was read so far.
#[derive(Default)]
pub struct Opening {
    /// The engine before it trapped: another one takes over, without the snapshot, which may be what it stumbled over.
    is_again: bool,
    meta: BTreeMap<String, Vec<u8>>,
    keys: BTreeMap<String, Vec<u8>>,
}

impl World {
    pub fn step_later(&mut self, tab: u32, step: u32) {
        let device = self.tabs[&tab].device;
        let ms = self.disk_ms();
        let life = self.devices[device].disk.life;
        self.schedule.after(ms, Event::Opens { tab, step, life });
    }

    /// What `ts/home` does, read by read.
    pub fn opening_step(&mut self, tab: u32, step: u32, life: u64) {
        let Some(of) = self.tabs.get(&tab) else { return };
        let device = of.device;
        if self.devices[device].disk.life != life {
            return;
        }
        let now_ms = self.local_ms(device);
        let records = self.devices[device].disk.records().clone();
        let of = self.tabs.get_mut(&tab).expect("looked up");
        let Some(opening) = of.opening.as_mut() else { return };
        match step {
            // What the engine before had handed over goes in first.
            0 if of.is_storing => return self.step_later(tab, 0),
            0 if !of.commits.is_empty() || of.draft.is_some() => {
                self.finish_commits(tab);
                return self.step_later(tab, 0);
            }
            0 => opening.meta = records.of(StoreName::Meta),
            1 => opening.keys = records.of(StoreName::Keys),
            2 => {
                let actors = records.of(StoreName::Actors);
                let opened = Replica::open(&opening.meta, &opening.keys, &actors, SETTINGS);
                let mut replica = opened.expect("the store of a space opens");
                if self.sabotage != Sabotage::ForgetsQuarantine {
                    of.quarantined.iter().for_each(|id| replica.quarantine(*id));
                }
                of.replica = Some(replica);
            }
            3 if opening.is_again => of.last_row = 0,
            3 => {
                let replica = of.replica.as_mut().expect("opened in step 2");
                of.last_row = match replica.take_up(&records.snapshot) {
                    Restored::UpTo(rows) => rows,
                    Restored::Nothing | Restored::Newer | Restored::Damaged => 0,
                };
            }
            4 => self.load_all_rows(tab),
            5 => {
                let candidates = of.replica.as_ref().expect("opened in step 2").actor_candidates();
                let own = of.held;
                let is_free = |actor: &ActorId| {
                    self.sabotage == Sabotage::NoLocks || own == Some(*actor) || !self.is_held(device, *actor)
                };
                let free = candidates.into_iter().find(is_free);
                let of = self.tabs.get_mut(&tab).expect("looked up");
                of.held = free;
                if free.is_none() {
                    self.new_actor(tab);
                    self.take_up_drafts(tab);
                    return self.settle_in(tab);
                }
            }
            _ => {
                self.load_all_rows(tab);
                let left = self.take_up_drafts(tab);
                let of = self.tabs.get_mut(&tab).expect("looked up");
                let (actor, random) = (of.held.expect("held in step 5"), &mut of.random);
                let mut env = Env { now_ms, random: &mut |bytes: &mut [u8]| fill(random, bytes) };
                match left.contains(&actor) {
                    true => self.new_actor(tab),
                    false => of.replica.as_mut().expect("opened in step 2").use_actor(actor, &mut env),
                }
                return self.settle_in(tab);
            }
        }
        self.step_later(tab, step + 1);
    }

    fn new_actor(&mut self, tab: u32) {
        let now_ms = self.local_ms(self.tabs[&tab].device);
        let of = self.tabs.get_mut(&tab).expect("it is opening");
        let random = &mut of.random;
        let mut env = Env { now_ms, random: &mut |bytes: &mut [u8]| fill(random, bytes) };
        of.held = Some(of.replica.as_mut().expect("it is opening").new_actor(true, &mut env));
    }

    /// Seals what tabs that died left: the locks are had meanwhile. Those whose drafts could not be stored.
    fn take_up_drafts(&mut self, tab: u32) -> Vec<ActorId> {
        let device = self.tabs[&tab].device;
        let held = self.tabs[&tab].held;
        let mut left = Vec::new();
        for (key, record) in self.devices[device].disk.records().of(StoreName::Drafts) {
            let actor = actor_of(&key);
            if held != Some(actor) && self.is_held(device, actor) {
                continue;
            }
            self.load_all_rows(tab);
            let now_ms = self.local_ms(device);
            let of = self.tabs.get_mut(&tab).expect("it is opening");
            let random = &mut of.random;
            let mut env = Env { now_ms, random: &mut |bytes: &mut [u8]| fill(random, bytes) };
            let replica = of.replica.as_mut().expect("it is opening");
            let taken = replica.take_up_draft(actor, &record, &mut env);
            // What builds on something that is left out waits for an engine that does not leave it out.
            let may_wait = self.devices[device].may_fork || !of.quarantined.is_empty();
            if let Some(fault) = taken.fault.filter(|_| !may_wait) {
                self.broken_by(Invariant::DraftsTakenUp, format!("tab {tab}: {fault} ({actor})"));
            }
            let write = Write::Batch(taken.batch.clone());
            match taken.batch.is_empty() || self.devices[device].disk.commit(write, true).is_err() {
                true => left.push(actor),
                false => {
                    self.see_write(device, &taken.batch, true);
                    self.tell_rows(tab);
                }
            }
        }
        self.load_all_rows(tab);
        left
    }

    fn settle_in(&mut self, tab: u32) {
        let of = self.tabs.get_mut(&tab).expect("it is opening");
        let is_again = of.opening.take().is_some_and(|opening| opening.is_again);
        // What is there already is not told.
        let mut kept = Vec::new();
        let replica = of.replica.as_mut().expect("it is open");
        while let Some(output) = replica.poll() {
            if !matches!(output, Output::Change(_)) {
                kept.push(output);
            }
        }
        of.mirror = Mirror::of(replica);
        kept.into_iter().for_each(|output| self.carry_out(tab, output));
        self.drain(tab);
        match is_again {
            true => self.go_on(tab),
            false => self.begin(tab),
        }
    }

    /// The engine of a tab stops; which changeset it was at, if any. What it had handed over is stored, what it had not is lost.
    pub fn trap(&mut self, tab: u32, at: Option<ChangesetId>) {
        let of = self.tabs.get_mut(&tab).expect("the caller looked");
        of.quarantined.extend(at);
        (of.replica, of.opening) = (None, Some(Opening { is_again: true, ..Opening::default() }));
        of.is_reading = false;
        of.engine += 1;
        if let Some((_, number)) = of.timer.take() {
            self.schedule.cancel(number);
        }
        let of = self.tabs.get_mut(&tab).expect("the caller looked");
        for conn in std::mem::take(&mut of.sessions).into_values() {
            let side = self.side_of(conn, tab);
            self.close(conn, side);
        }
        self.step_later(tab, 0);
    }

    /// What an engine that stopped had handed over goes in, and nobody hears of it.
    fn finish_commits(&mut self, tab: u32) {
        let of = self.tabs.get_mut(&tab).expect("it is opening");
        let (device, draft) = (of.device, of.draft.take());
        for Commit { batch, strict, .. } in std::mem::take(&mut of.commits) {
            if self.devices[device].disk.commit(Write::Batch(batch.clone()), strict).is_err() {
                self.tabs.get_mut(&tab).expect("it is opening").had_failure = true;
                return;
            }
            self.see_write(device, &batch, strict);
        }
        if let Some((actor, record)) = draft {
            // Without it the last edits are lost, as they are with a tab.
            self.devices[device].disk.commit(Write::Batch(draft_batch(actor, record)), false).ok();
        }
    }

    /// With another engine.
    fn go_on(&mut self, tab: u32) {
        if !self.tabs[&tab].quarantined.is_empty() {
            // What builds on what it leaves out it would not send for the others.
            self.go_alone(tab);
        }
        match self.plan.setup.shares_relays && !self.tabs[&tab].words.is_alone {
            true => self.connect_again(tab),
            false => self.dial_relays(tab),
        }
        if self.plan.setup.has_presence {
            self.call(tab, |replica, env| replica.begin_presence(env));
        }
    }
}

fn actor_of(key: &str) -> ActorId {
    let byte = |at: usize| u8::from_str_radix(&key[2 * at..2 * at + 2], 16).expect("an actor in hex");
    ActorId(std::array::from_fn(byte))
}
