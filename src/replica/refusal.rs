//! What one relay refuses, why, and when it is asked again (`docs/protocol.md` §4).
//!
//! Invariant: between two pauses every answer of a relay takes a row that it had not taken, or refuses one for good that it
//! had not refused. So one that is full, or that answers whatever it likes, is asked no more often than [`Backoff`] says.

use super::link::RelayLink;
use super::tabs::Elsewhere;
use super::{Replica, Tier};
use crate::causal::ChangesetId;
use crate::sync::{Backoff, Code, Due, Status};
use foldhash::{HashMap, HashSet};

/// Why a write will not reach a tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It could not be stored here; the code of the store.
    Storage(String),
    /// No relay takes it at present; what one of them says.
    Relay(String),
    /// Nobody is asked to attest it.
    Validators,
    /// It is not here: it went with an engine that crashed before it was stored.
    Lost,
}

/// The refusals of one relay.
#[derive(Default)]
pub(super) struct Refusals {
    /// Why it does not let this member in.
    pub denied: Option<String>,
    /// Nothing is pushed before.
    pub pause: Option<Due>,
    /// Rows that it refused for good, over this connection.
    rows: HashMap<ChangesetId, Code>,
    /// Rows that it took, over this connection.
    taken: HashSet<ChangesetId>,
    /// Codes of the answer that is being read, each to be told once.
    codes: Vec<&'static str>,
    /// Answers in a row that came to nothing.
    fruitless: u32,
    backoff: Backoff,
    /// Why it takes nothing at present.
    stuck: Option<&'static str>,
}

impl Refusals {
    /// A row is not taken, and never will be.
    pub fn reject(&mut self, id: ChangesetId, code: Code) {
        if self.rows.insert(id, code).is_none() && !self.codes.contains(&code.name()) {
            self.codes.push(code.name());
        }
    }

    /// Why a row is not taken, if that is for good.
    pub fn of(&self, id: &ChangesetId) -> Option<Code> {
        self.rows.get(id).copied()
    }

    /// A row is whole now that was refused for what was spoilt of it, or stood behind such a one: whether it was refused.
    pub fn forgive(&mut self, id: &ChangesetId) -> bool {
        self.rows.remove(id).is_some()
    }

    /// All that is not taken, and why.
    pub fn rejected(&self) -> impl Iterator<Item = (ChangesetId, &'static str)> {
        self.rows.iter().map(|(id, code)| (*id, code.name()))
    }

    /// A push was answered: `safe` is there, of the rest some found the relay full or without what comes before them. What to
    /// tell the application: the same only once until the relay takes rows again.
    pub fn answered(
        &mut self,
        safe: &[ChangesetId],
        full: bool,
        gaps: bool,
        now_ms: u64,
        random: u64,
    ) -> Vec<String> {
        let mut told: Vec<String> = std::mem::take(&mut self.codes).into_iter().map(str::to_owned).collect();
        let mut fruitful = !told.is_empty();
        for id in safe {
            fruitful |= self.taken.insert(*id);
        }
        let again = self.fruitless > 0;
        if fruitful || !(full || gaps) {
            (self.fruitless, self.backoff) = (0, Backoff::default());
        } else if self.pause.is_none() {
            // One gap can be an honest surprise: what is missing goes out at once. Two are no surprise.
            if full || again {
                self.pause = Some(Due::after(now_ms, self.backoff.down(now_ms, random)));
            }
            self.fruitless = self.fruitless.saturating_add(1);
        }
        let stuck = match (full, gaps && again && !fruitful) {
            (true, _) => Some("QUOTA: the relay has no room for this space"),
            // Behind a row without room there are gaps.
            (_, true) => self.stuck.or(Some("GAP: the relay asks for the same rows again and again")),
            _ => self.stuck.filter(|_| !fruitful),
        };
        if stuck != self.stuck {
            told.extend(stuck.map(str::to_owned));
            self.stuck = stuck;
        }
        told
    }

    /// How many rows may be pushed now: after a pause one at a time.
    pub fn rows_now(&self, settled: bool) -> usize {
        match (self.pause, self.fruitless) {
            (Some(_), _) => 0,
            (None, 0) => usize::MAX,
            _ => usize::from(settled),
        }
    }

    /// The relay turned out to have everything, however it came by it.
    pub fn nothing_lacks(&mut self) {
        (self.stuck, self.fruitless, self.backoff) = (None, 0, Backoff::default());
    }

    /// What was refused for good may be tried on the next connection. A pause goes on.
    pub fn disconnected(&mut self) {
        self.rows.clear();
        self.taken.clear();
    }
}

impl RelayLink {
    /// Why nothing, or not everything, gets in there.
    pub(super) fn refusal(&self) -> Option<String> {
        // The same of several, whatever the order of the table.
        let rejected = || self.refusals.rows.values().map(|code| code.name()).min().map(str::to_owned);
        self.shut().or_else(rejected)
    }

    /// Why nothing gets in there.
    pub(super) fn shut(&self) -> Option<String> {
        let denied = || self.refusals.denied.clone().unwrap_or_default();
        let stuck = || self.refusals.stuck.map(str::to_owned);
        (self.session.status() == Status::Denied).then(denied).or_else(stuck)
    }
}

impl Replica {
    /// Why a write will not reach a tier, as things stand; none if it has or may.
    pub fn obstacle(&self, id: ChangesetId, tier: Tier) -> Option<Obstacle> {
        let id = self.renamed.get(&id).copied().unwrap_or(id);
        if self.is_saved(id, tier) {
            return None;
        }
        if self.log.graph().get(&id).is_none() {
            return Some(Obstacle::Lost);
        }
        match tier {
            Tier::Local => self.memory_only.clone().map(Obstacle::Storage),
            Tier::Relay => {
                let rejected = |link: &RelayLink| link.refusals.of(&id).map(|code| code.name().to_owned());
                let of_tab = |tab: &Elsewhere| {
                    tab.rejected.iter().find(|(of, _)| *of == id).map(|(_, why)| why.clone())
                };
                let refused = self.refused_by_all(|link| link.shut().or_else(|| rejected(link)), of_tab);
                refused.map(Obstacle::Relay)
            }
            Tier::Final => self.validators().is_none().then_some(Obstacle::Validators),
        }
    }

    /// Why no relay takes all that is here, if none does and there is one.
    pub fn refusal(&self) -> Option<String> {
        self.refused_by_all(RelayLink::refusal, |tab| tab.rejected.first().map(|(_, why)| why.clone()))
    }

    fn refused_by_all(
        &self,
        reason: impl Fn(&RelayLink) -> Option<String>,
        rejected: impl Fn(&Elsewhere) -> Option<String>,
    ) -> Option<String> {
        let elsewhere = self.links.elsewhere.iter().filter(|tab| tab.status != Status::Offline);
        let elsewhere = elsewhere.map(|tab| tab.refusal.clone().or_else(|| rejected(tab)));
        let mut reasons = self.links.relays.values().map(reason).chain(elsewhere);
        let first = reasons.next()??;
        reasons.all(|reason| reason.is_some()).then_some(first)
    }
}
