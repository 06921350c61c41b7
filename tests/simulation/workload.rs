//! What people do: they edit every kind of object, give transactions up, take back, open and close tabs, meet without a relay, and
//! say what they think of others. Everything they write carries a mark by which it would be known if it showed in clear.

use stemma::codec::BigInt;
use stemma::crdt::AccountId;
use stemma::event::{BanScope, BanSubject, Number, ObjectKind, Op, Role, Target, Value, Verdict};
use stemma::replica::{Env, HistoryFilter, Replica};

use super::disk::Write;
use super::invariant::{CANARY, Invariant};
use super::link::End;
use super::plan::{Act, Deed};
use super::rng::Rng;
use super::world::World;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

impl World {
    pub fn act(&mut self, deed: Deed) {
        let now = self.schedule.now_ms();
        let mut rng = Rng::new(deed.seed);
        let device = deed.pick as usize % self.devices.len();
        if self.devices[device].is_asleep {
            return;
        }
        let open = self.open_tabs(Some(device));
        let Some(tab) = open.get(rng.below(open.len().max(1))).copied() else {
            if deed.act == Act::OpenTab && self.is_founded(device) && self.tabs_of(device) == 0 {
                self.open_tab(device);
            }
            return;
        };
        self.trace.say(now, || format!("{tab:>4} {:?}", deed.act));
        self.check_mirror(tab);
        self.check_quarantine(tab);
        match deed.act {
            Act::Edit => {
                self.call(tab, |replica, env| {
                    (0..1 + rng.below(3)).for_each(|_| edit(replica, env, &mut rng));
                });
                if self.plan.setup.has_presence && rng.chance(40) {
                    let at = Value::String(format!("{CANARY}{}", rng.below(9)));
                    let shown = [("at".to_owned(), at)].into();
                    self.call(tab, |replica, env| replica.set_presence(shown, env));
                }
            }
            Act::Transact => {
                self.call(tab, |replica, env| transact(replica, env, &mut rng));
            }
            Act::Flush => {
                self.call(tab, |replica, env| replica.flush(env));
            }
            Act::Undo => {
                let redo = rng.chance(30);
                self.call(tab, |replica, env| match redo {
                    true => replica.redo(&[], env),
                    false => replica.undo(&[], env),
                });
            }
            Act::OpenTab => {
                if self.tabs_of(device) < TABS_MAX {
                    self.open_tab(device);
                }
            }
            Act::CloseTab => {
                self.call(tab, |replica, env| replica.flush(env));
                self.crash_tab(tab);
            }
            Act::Meet => self.meet(tab, &mut rng),
            Act::Say => {
                self.call(tab, |replica, env| say(replica, env, &mut rng));
            }
            Act::Snapshot => self.snapshot(tab),
            Act::Copy => self.devices[device].copy = Some(self.devices[device].disk.records().clone()),
        }
    }

    /// What was told is what shows.
    pub fn check_mirror(&mut self, tab: u32) {
        let of = &self.tabs[&tab];
        if let Some(difference) = of.mirror.differs(of.replica()) {
            self.broken_by(Invariant::OrderAndOnce, format!("tab {tab}: {difference}"));
        }
    }

    /// What an engine stumbled over its next one leaves out.
    pub fn check_quarantine(&mut self, tab: u32) {
        let of = &self.tabs[&tab];
        if of.is_open() && !of.quarantined.is_empty() {
            let integrated =
                self.history(tab).into_iter().find(|summary| of.quarantined.contains(&summary.id));
            if let Some(integrated) = integrated {
                self.broken_by(Invariant::QuarantineHolds, format!("tab {tab} has {}", integrated.id));
            }
        }
    }

    pub fn snapshot(&mut self, tab: u32) {
        let device = self.tabs[&tab].device;
        let rows = self.tabs[&tab].last_row();
        let taken = self.call(tab, |replica, env| replica.snapshot(rows, env)).flatten();
        if let Some(mut taken) = taken {
            let records = std::iter::from_fn(|| taken.next_record()).collect();
            self.write_later(device, None, Write::Snapshot(records), false);
        }
    }

    /// Two tabs are joined by a port.
    fn meet(&mut self, tab: u32, rng: &mut Rng) {
        let space = self.devices[self.tabs[&tab].device].space;
        let others: Vec<u32> = self
            .open_tabs(None)
            .into_iter()
            .filter(|other| *other != tab && self.devices[self.tabs[other].device].space == space)
            .collect();
        let Some(other) = others.get(rng.below(others.len().max(1))).copied() else { return };
        let sessions =
            [tab, other].map(|tab| self.call(tab, |replica, _| replica.attach()).expect("it is open"));
        let ends = [End::Tab { tab, session: sessions[0] }, End::Tab { tab: other, session: sessions[1] }];
        let conn = self.join(ends);
        for (tab, session) in [tab, other].into_iter().zip(sessions) {
            self.tabs.get_mut(&tab).expect("it is open").sessions.insert(session, conn);
        }
    }

    pub fn tabs_of(&self, device: usize) -> usize {
        self.tabs.values().filter(|tab| tab.device == device).count()
    }

    /// Whether a device has its space in its database.
    pub fn is_founded(&self, device: usize) -> bool {
        self.devices[device].disk.records().keyed.keys().any(|(_, key)| key == "space")
    }
}

/// One edit of something.
fn edit(replica: &mut Replica, env: &mut Env<'_>, rng: &mut Rng) {
    if replica.role() < Role::Writer {
        return;
    }
    let name = format!("{CANARY}{}", rng.pick(&NAMES));
    let value = || Value::String(name.clone());
    let why = "whoever may write can";
    match rng.below(10) {
        0..4 => {
            let text =
                replica.object(if rng.chance(70) { "essay" } else { "notes" }, ObjectKind::Text).expect(why);
            let len = replica.text(text).expect(why).len();
            let at = rng.below(len as usize + 1) as u32;
            match rng.chance(if len > 120 { 70 } else { 25 }) {
                true => replica.text_delete(text, at, (rng.below(30) as u32).min(len - at), env).expect(why),
                false => replica.text_insert(text, at, &name, env).expect(why),
            }
        }
        4 | 5 => {
            let map = replica.object("facts", ObjectKind::Map).expect(why);
            match rng.chance(25) {
                true => drop(replica.map_delete(map, &name, env).expect(why)),
                false => replica.map_set(map, &name, value(), env).expect(why),
            }
        }
        6 => {
            let list = replica.object("tasks", ObjectKind::List).expect(why);
            let len = replica.list(list).expect(why).iter().count();
            match rng.below(3) {
                0 if len > 0 => replica.list_delete(list, rng.below(len) as u32, 1, env).expect(why),
                1 if len > 0 => {
                    replica.list_move(list, rng.below(len) as u32, rng.below(len) as u32, env).expect(why);
                }
                _ => replica.list_insert(list, rng.below(len + 1) as u32, vec![value()], env).expect(why),
            }
        }
        7 => {
            let counter = replica.object("votes", ObjectKind::Counter).expect(why);
            replica.counter_add(counter, rng.below(20) as i64 - 9, env).expect(why);
        }
        8 => {
            let (set, cart) =
                (replica.object("tags", ObjectKind::Set), replica.object("cart", ObjectKind::Cart));
            let (set, cart) = (set.expect(why), cart.expect(why));
            match rng.below(4) {
                0 => drop(replica.set_delete(set, &value(), env).expect(why)),
                1 => replica.set_add(set, &value(), None, env).expect(why),
                2 => drop(replica.cart_remove(cart, &value(), env).expect(why)),
                _ => replica.cart_add(cart, &value(), 1 + rng.below(3) as i64, env).expect(why),
            }
        }
        _ => {
            let ledger = replica.object("house", ObjectKind::Ledger).expect(why);
            let (me, to) = (AccountId::Member(replica.member()), replica.account_named(&name));
            // Another may own the account, or nobody may have opened it.
            let _ = match rng.chance(40) {
                true => replica.ledger_open(ledger, &name, env).map(drop),
                false => replica.ledger_transfer(ledger, (me, to), &BigInt::from(7), Some(value()), env),
            };
        }
    }
}

fn transact(replica: &mut Replica, env: &mut Env<'_>, rng: &mut Rng) {
    let message = rng.chance(50).then(|| format!("{CANARY}why"));
    replica.begin_transact(message, None, None, env).expect("small");
    (0..1 + rng.below(5)).for_each(|_| edit(replica, env, rng));
    if rng.chance(25) {
        replica.abort_transact(env);
    } else if rng.chance(50) {
        replica.end_transact(env);
    } else {
        replica.close_transact(env);
    }
}

/// A word about something or somebody that is here.
fn say(replica: &mut Replica, env: &mut Env<'_>, rng: &mut Rng) {
    let all = replica.history(&HistoryFilter { limit: usize::MAX, ..HistoryFilter::default() });
    let Some(about) = all.get(rng.below(all.len().max(1))) else { return };
    let targets = || vec![Target::Changeset(about.id)];
    let subject = BanSubject::Member(about.member);
    let word = match rng.below(6) {
        0 | 1 => Op::PolicyExclude { verdict: Verdict::Exclude, targets: targets() },
        2 => Op::PolicyExclude { verdict: Verdict::Include, targets: targets() },
        3 => Op::PolicyBan { subject, scope: BanScope::All },
        4 => Op::PolicyBan { subject, scope: BanScope::Lifted },
        _ => Op::PolicyTrust { member: about.member, weight: 1 },
    };
    let reason = Value::String(format!("{CANARY}because"));
    let private = rng.chance(20);
    let number = Value::Number(Number::new(1.0).expect("finite"));
    let reason = if rng.chance(50) { reason } else { number };
    // About oneself nothing is said.
    let _ = replica.say(vec![word], Some(&reason), !private, env);
}

/// Tabs of one device at once.
const TABS_MAX: usize = 3;
