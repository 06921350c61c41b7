//! Other tabs of one database, of which one speaks with a relay for all.
//!
//! Rows go through the store, as they do anyway. Beside them travels what is not stored: what became of them at the relay, and
//! what sessions show of themselves. Invariant: nothing is lost if all of that is; the next tab to speak asks the relay.

use super::link::{RelayLink, SyncStatus, own_chain};
use super::{Env, Output, Replica};
use crate::causal::ChangesetId;
use crate::sorted::sort_by_key;

/// How it stands with the relays that other tabs speak with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// The best state among them.
    pub status: SyncStatus,
    /// Why none of them takes anything.
    pub refusal: Option<String>,
    /// What none of them takes, and why.
    pub rejected: Vec<(ChangesetId, String)>,
}

/// How it stands with one relay that this tab speaks with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayState {
    /// Its address.
    pub url: String,
    /// The connection.
    pub status: SyncStatus,
    /// Changesets that wait to be sent there or for its answer, others' too; none while it has not said what it has.
    pub pending: Option<usize>,
    /// When it was last heard, in ms since 1970.
    pub last_heard_ms: Option<u64>,
    /// While its log is read: how many of its changesets came in, and how many it has.
    pub progress: Option<(u64, u64)>,
    /// Why it takes nothing, or not all that is here.
    pub refusal: Option<String>,
    /// Whether it takes nothing.
    pub is_shut: bool,
}

impl Elsewhere {
    /// Whether what is said here is heard by others.
    pub(super) fn is_heard(&self) -> bool {
        matches!(self.status, SyncStatus::Live | SyncStatus::CatchingUp)
    }
}

impl Replica {
    /// The relays are shared with other tabs: what those store is pushed from here where this tab speaks, and what is said is
    /// for them too. None: this tab is on its own.
    pub fn share_relays(&mut self, elsewhere: Option<Elsewhere>, env: &mut Env<'_>) {
        if self.links.elsewhere == elsewhere {
            return;
        }
        let was_heard = self.links.elsewhere.as_ref().is_some_and(Elsewhere::is_heard);
        let is_heard = elsewhere.as_ref().is_some_and(Elsewhere::is_heard);
        self.links.elsewhere = elsewhere;
        self.outputs.push_back(Output::Sync);
        if is_heard && !was_heard {
            self.greet(env);
        }
    }

    /// How it stands with each relay that this tab speaks with, in the order in which they were connected.
    pub fn relay_states(&self) -> Vec<RelayState> {
        let state = |link: &RelayLink| RelayState {
            url: link.url.clone(),
            status: link.session.status(),
            pending: link.is_subscribed().then(|| link.queue.len() + link.session.unanswered()),
            last_heard_ms: link.last_heard_ms,
            progress: link.session.progress(),
            refusal: link.refusal(),
            is_shut: link.shut().is_some(),
        };
        self.links.relays.values().map(state).collect()
    }

    /// What a relay that this tab speaks with refused for good over this connection, and why: for the other tabs.
    pub fn rejected_at(&self, url: &str) -> Vec<(ChangesetId, &'static str)> {
        let link = self.links.relays.values().find(|link| link.url == url);
        let mut rejected: Vec<_> = link.into_iter().flat_map(|link| link.refusals.rejected()).collect();
        sort_by_key(&mut rejected, |(id, _)| *id);
        rejected
    }

    /// The last changesets of this member's chains that a relay has.
    pub fn relay_tips(&self) -> Vec<ChangesetId> {
        let (member, graph) = (self.member(), self.log.graph());
        let tips = graph.tips().filter_map(|tip| graph.get(&tip.id));
        let own = tips.filter(|ix| self.log.author(*ix).member == member);
        own.filter_map(|ix| own_chain(graph, ix).map(|ix| graph.id(ix)).find(|id| !self.tiers.is_unacked(id)))
            .collect()
    }

    /// A relay has these, says another tab, and so it has what their chains have before them. Some may not have been read yet.
    pub fn at_relay(&mut self, ids: &[ChangesetId]) {
        let (mut there, graph) = (Vec::new(), self.log.graph());
        for id in ids {
            let Some(ix) = graph.get(id) else {
                self.links.early.insert(*id);
                continue;
            };
            let chain = own_chain(graph, ix).map(|ix| graph.id(ix));
            there.extend(chain.take_while(|id| self.tiers.is_unacked(id)));
        }
        self.mark_at_relay(&there);
    }

    /// What another tab said of a session, or heard of it from a relay.
    pub fn heard_from_tab(&mut self, payload: &[u8], is_said: bool, env: &mut Env<'_>) {
        self.hear_presence(payload, env);
        if is_said {
            self.say_to_relays(payload, env);
        }
    }
}
