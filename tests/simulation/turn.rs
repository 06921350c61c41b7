//! Tabs of one device that share the connections to relays, as `ts/relays` has it: one holds the lock of a relay and speaks for all;
//! it reads what they store and pushes it, and tells them how it stands and what reached the relay. Each of these words can be
//! lost with the tab that says it.

use std::collections::{BTreeMap, VecDeque};
use stemma::causal::ChangesetId;
use stemma::replica::{Elsewhere, SyncStatus};
use stemma::store::StoreName;

use super::invariant::{Invariant, Sabotage};
use super::tab::url;
use super::world::{Event, World};

/// The lock of one relay on one device.
#[derive(Default)]
pub struct Turn {
    pub holder: Option<u32>,
    line: VecDeque<u32>,
    /// How often it was asked in vain whether the holder is there.
    unanswered: u32,
}

/// How it stands with a relay.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    status: SyncStatus,
    pending: Option<usize>,
    is_settled: bool,
    row: u64,
    refusal: Option<String>,
    rejected: Vec<(ChangesetId, &'static str)>,
}

/// What a tab knows of the relays that others speak with, and told of its own.
#[derive(Default)]
pub struct Words {
    /// It speaks for itself: its store failed.
    pub is_alone: bool,
    heard: BTreeMap<usize, Word>,
    told: BTreeMap<usize, Word>,
}

/// What one tab says to the others.
#[derive(Clone, Debug)]
pub enum Message {
    /// Who speaks with this relay?
    Asks(usize),
    Stands(usize, Word),
    /// These, and what their chains have before them, are at a relay.
    Acked(Vec<ChangesetId>),
    /// What sessions show: said in a tab, or heard from a relay.
    Shows(Vec<u8>, bool),
}

impl World {
    /// A tab wants its device's relays to be spoken with.
    pub fn line_up(&mut self, tab: u32) {
        let device = self.tabs[&tab].device;
        for at in 0..self.relays.len() {
            if self.devices[device].knows[at] {
                self.devices[device].turns.entry(at).or_default().line.push_back(tab);
                self.grant(device, at);
                self.tell_tabs(tab, &Message::Asks(at));
            }
        }
        self.share(tab);
    }

    fn grant(&mut self, device: usize, at: usize) {
        let ms = self.disk_ms();
        let turn = self.devices[device].turns.entry(at).or_default();
        if turn.holder.is_none()
            && let Some(tab) = turn.line.pop_front()
        {
            turn.holder = Some(tab);
            self.schedule.after(ms, Event::TurnBegins { tab, at, place: None });
        }
    }

    /// It is a tab's turn: it reads the place first, then the rows before it, and then it connects.
    pub fn turn_begins(&mut self, tab: u32, at: usize, place: Option<Option<Vec<u8>>>) {
        // Without an engine it connects once there is another.
        let Some(of) = self.tabs.get(&tab).filter(|of| of.is_open()) else { return };
        let device = of.device;
        if self.holder(device, at) != Some(tab) {
            return;
        }
        let ms = 1 + self.disk_ms();
        let Some(place) = place else {
            let place =
                self.devices[device].disk.records().of(StoreName::Meta).remove(&format!("relay/{}", url(at)));
            self.schedule.after(ms, Event::TurnBegins { tab, at, place: Some(place) });
            return;
        };
        self.load_rows(tab);
        if self.call(tab, |replica, env| replica.finish_load(env)) == Some(true) {
            // A batch is open: it reads on when that is sealed.
            self.schedule.after(4, Event::TurnBegins { tab, at, place: Some(place) });
            return;
        }
        self.call(tab, |replica, env| {
            if let Some(place) = &place {
                replica.read_place(&url(at), place);
            }
            replica.connect(&url(at), env)
        });
        self.words(tab).heard.remove(&at);
        self.share(tab);
    }

    /// A tab takes its turn, whoever has it: it knows something that others do not.
    pub fn take_turns(&mut self, tab: u32) {
        if self.tabs[&tab].words.is_alone {
            return;
        }
        let device = self.tabs[&tab].device;
        for at in self.devices[device].turns.keys().copied().collect::<Vec<_>>() {
            self.take_turn(tab, at);
        }
    }

    fn take_turn(&mut self, tab: u32, at: usize) {
        let device = self.tabs[&tab].device;
        let turn = self.devices[device].turns.entry(at).or_default();
        if turn.holder == Some(tab) {
            return;
        }
        turn.line.retain(|waiting| *waiting != tab);
        let before = turn.holder.replace(tab);
        self.schedule.after(1, Event::TurnBegins { tab, at, place: None });
        match before.and_then(|before| Some((before, self.tabs.get(&before)?))) {
            // It hears of it when it thaws, and lines up then.
            Some((before, of)) if of.frozen.is_some() => {
                self.handle(Event::TurnTaken(before, at));
            }
            Some((before, _)) => self.turn_taken(before, at),
            None => {}
        }
    }

    /// Another tab has the turn of this one, which waits in line again.
    pub fn turn_taken(&mut self, tab: u32, at: usize) {
        let Some(device) = self.tabs.get(&tab).map(|of| of.device) else { return };
        self.devices[device].turns.entry(at).or_default().line.push_back(tab);
        self.words(tab).told.remove(&at);
        self.call(tab, |replica, _| replica.disconnect(&url(at)));
        self.share(tab);
        self.grant(device, at);
    }

    /// While tabs of a device stand still the others ask whoever speaks for them whether it is there, and take its turn if it does
    /// not answer.
    pub fn look_around(&mut self, device: usize) {
        if !self.tabs.values().any(|of| of.device == device && of.frozen.is_some()) {
            return;
        }
        let others = self.open_tabs(Some(device)).into_iter().find(|tab| !self.tabs[tab].words.is_alone);
        if let Some(other) = others.filter(|_| !self.devices[device].is_asleep) {
            for at in self.devices[device].turns.keys().copied().collect::<Vec<_>>() {
                let holder = self.holder(device, at).and_then(|holder| self.tabs.get(&holder));
                let is_stuck = holder.is_some_and(|holder| holder.frozen.is_some());
                let turn = self.devices[device].turns.entry(at).or_default();
                turn.unanswered = if is_stuck { turn.unanswered + 1 } else { 0 };
                if turn.unanswered > UNANSWERED_MAX + 1 {
                    self.broken_by(
                        Invariant::OthersGoOn,
                        format!("relay {at} is left to a tab that stands still"),
                    );
                } else if is_stuck
                    && turn.unanswered > UNANSWERED_MAX
                    && self.sabotage != Sabotage::NobodyTakesOver
                {
                    self.take_turn(other, at);
                }
            }
        }
        self.schedule.after(BEAT_MS, Event::LooksAround(device));
    }

    /// A tab that will stand still says so: it lets go of its turns and of its places in line.
    pub fn let_go(&mut self, tab: u32) {
        let device = self.tabs[&tab].device;
        for at in self.devices[device].turns.keys().copied().collect::<Vec<_>>() {
            if self.holder(device, at) == Some(tab) {
                self.words(tab).told.remove(&at);
                self.call(tab, |replica, _| replica.disconnect(&url(at)));
            }
        }
        self.leave_turns(device, tab);
        self.share(tab);
    }

    /// Another engine took over: it connects where it is this tab's turn.
    pub fn connect_again(&mut self, tab: u32) {
        let device = self.tabs[&tab].device;
        for at in self.devices[device].turns.keys().copied().collect::<Vec<_>>() {
            if self.holder(device, at) == Some(tab) {
                self.schedule.after(1, Event::TurnBegins { tab, at, place: None });
            }
        }
        self.share(tab);
        self.ask_around(tab);
    }

    /// A tab that misses an answer asks those who speak for it again and again: that tells an engine what the one before had heard.
    pub fn ask_around(&mut self, tab: u32) {
        let Some(of) = self.tabs.get(&tab).filter(|of| of.is_open() && !of.words.is_alone) else { return };
        let (device, is_waiting) = (of.device, of.replica().sync_state().pending > 0);
        for at in self.devices[device].turns.keys().copied().collect::<Vec<_>>() {
            if self.holder(device, at) != Some(tab) {
                self.tell_tabs(tab, &Message::Asks(at));
            }
        }
        if is_waiting {
            self.schedule.after(BEAT_MS, Event::AsksAround(tab));
        }
    }

    /// A tab has ended, or speaks for itself from here on.
    pub fn leave_turns(&mut self, device: usize, tab: u32) {
        for at in self.devices[device].turns.keys().copied().collect::<Vec<_>>() {
            let turn = self.devices[device].turns.entry(at).or_default();
            turn.line.retain(|waiting| *waiting != tab);
            turn.holder = turn.holder.filter(|holder| *holder != tab);
            self.grant(device, at);
        }
    }

    /// What a tab has cannot go through the store.
    pub fn go_alone(&mut self, tab: u32) {
        if !self.plan.setup.shares_relays || std::mem::replace(&mut self.words(tab).is_alone, true) {
            return;
        }
        let device = self.tabs[&tab].device;
        self.leave_turns(device, tab);
        for at in 0..self.relays.len() {
            if self.devices[device].knows[at] {
                self.call(tab, |replica, env| replica.connect(&url(at), env));
            }
        }
        self.share(tab);
    }

    /// After each call: whoever speaks tells how it stands, if it stands otherwise than before.
    pub fn tell_word(&mut self, tab: u32) {
        let Some(of) = self.tabs.get(&tab).filter(|of| of.is_open()) else { return };
        let turns = &self.devices[of.device].turns;
        let mine: Vec<usize> =
            turns.iter().filter(|(_, turn)| turn.holder == Some(tab)).map(|(at, _)| *at).collect();
        for at in mine {
            let of = &self.tabs[&tab];
            let state = of.replica().relay_states().into_iter().find(|state| state.url == url(at));
            let word = Word {
                status: state.as_ref().map_or(SyncStatus::Connecting, |state| state.status),
                pending: state.as_ref().and_then(|state| state.pending),
                is_settled: state.is_some() && of.replica().sync_state().settled,
                row: of.last_row(),
                refusal: state.filter(|state| state.is_shut).and_then(|state| state.refusal),
                rejected: of.replica().rejected_at(&url(at)),
            };
            let told = self.words(tab).told.insert(at, word.clone());
            if told.as_ref() == Some(&word) {
                continue;
            }
            let is_live = |word: &Word| word.status == SyncStatus::Live;
            if is_live(&word) && !told.as_ref().is_some_and(is_live) {
                let tips = self.tabs[&tab].replica().relay_tips();
                self.tell_tabs(tab, &Message::Acked(tips));
            }
            self.tell_tabs(tab, &Message::Stands(at, word));
        }
    }

    /// Something reached a relay by this tab.
    pub fn tell_acked(&mut self, tab: u32, ids: &[ChangesetId]) {
        let device = self.tabs[&tab].device;
        if self.devices[device].turns.values().any(|turn| turn.holder == Some(tab)) {
            self.tell_tabs(tab, &Message::Acked(ids.to_vec()));
        }
    }

    /// The other tabs of the device hear it soon, those that live then.
    pub fn tell_tabs(&mut self, tab: u32, message: &Message) {
        let device = self.tabs[&tab].device;
        let others: Vec<u32> = self
            .tabs
            .iter()
            .filter(|(other, of)| **other != tab && of.device == device)
            .map(|(other, _)| *other)
            .collect();
        for other in others {
            self.schedule.after(2, Event::TabHears(other, message.clone()));
        }
    }

    pub fn tab_hears(&mut self, tab: u32, message: Message) {
        let Some(of) = self.tabs.get(&tab).filter(|of| of.is_open()) else { return };
        let (device, is_alone) = (of.device, of.words.is_alone);
        match message {
            Message::Asks(at) => {
                if self.holder(device, at) == Some(tab) {
                    self.words(tab).told.remove(&at);
                    self.tell_word(tab);
                }
            }
            Message::Stands(at, word) => {
                if self.holder(device, at) != Some(tab) {
                    // Whoever stored them may have died before it could tell.
                    if word.row > self.tabs[&tab].last_row() {
                        self.rows_later(tab);
                    }
                    self.words(tab).heard.insert(at, word);
                    self.share(tab);
                }
            }
            Message::Acked(ids) => {
                self.call(tab, |replica, _| replica.at_relay(&ids));
            }
            Message::Shows(payload, is_said) if !is_alone => {
                self.call(tab, |replica, env| replica.heard_from_tab(&payload, is_said, env));
            }
            Message::Shows(..) => {}
        }
    }

    /// The replica is told how it stands elsewhere.
    fn share(&mut self, tab: u32) {
        let of = &self.tabs[&tab];
        let device = &self.devices[of.device];
        let elsewhere = (0..device.knows.len()).filter(|at| {
            device.knows[*at] && device.turns.get(at).is_none_or(|turn| turn.holder != Some(tab))
        });
        let words: Vec<Option<&Word>> = elsewhere.map(|at| of.words.heard.get(&at)).collect();
        let rank = |status: &SyncStatus| match status {
            SyncStatus::Offline => 0,
            SyncStatus::Denied => 1,
            SyncStatus::Connecting => 2,
            SyncStatus::Reset => 3,
            SyncStatus::CatchingUp => 4,
            SyncStatus::Live => 5,
        };
        let statuses = words.iter().map(|word| word.map_or(SyncStatus::Connecting, |word| word.status));
        let status = statuses.max_by_key(rank).unwrap_or(SyncStatus::Offline);
        let all_refuse = words.iter().all(|word| word.is_some_and(|word| word.refusal.is_some()));
        let refusal = words.first().filter(|_| all_refuse).and_then(|word| (*word)?.refusal.clone());
        let refuses = |word: &Option<&Word>, id| {
            word.is_some_and(|word| word.refusal.is_some() || word.rejected.iter().any(|(of, _)| *of == id))
        };
        let listed = words.iter().flatten().flat_map(|word| &word.rejected);
        let mut rejected: Vec<(ChangesetId, String)> = listed
            .filter(|(id, _)| words.iter().all(|word| refuses(word, *id)))
            .map(|(id, why)| (*id, (*why).to_owned()))
            .collect();
        rejected.dedup_by_key(|(id, _)| *id);
        let elsewhere = (!of.words.is_alone).then_some(Elsewhere { status, refusal, rejected });
        self.call(tab, |replica, env| replica.share_relays(elsewhere, env));
    }

    /// Which tab of a device speaks with a relay.
    pub fn holder(&self, device: usize, at: usize) -> Option<u32> {
        self.devices[device].turns.get(&at).and_then(|turn| turn.holder)
    }

    fn words(&mut self, tab: u32) -> &mut Words {
        &mut self.tabs.get_mut(&tab).expect("the caller looked").words
    }
}

/// How often it is asked whose turn it is.
const BEAT_MS: u64 = 2_000;
/// So many questions without an answer, and it is taken.
const UNANSWERED_MAX: u32 = 2;
