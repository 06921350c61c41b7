//! Presence: what sessions show of themselves while they are here, signed and sealed, and what they see of the space.

use super::tabs::Elsewhere;
use super::{Env, Output, Replica};
use crate::causal::{ActorId, MemberId};
use crate::codec::limits::{NAME_BYTES_MAX, PRESENCE_BYTES_MAX};
use crate::crypto::{VerifyingKey, open_ephemeral, seal_ephemeral};
use crate::event::{PresenceMessage, PresenceSession, ShownView, Value};
use crate::sorted::sort_by_key;
use crate::sync::{Heard, Other, Presence, PresenceDraft};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Presence, and what it was last looked at for.
#[derive(Default)]
pub(super) struct Here {
    presence: Presence,
    /// Changesets and words when the view was shown last.
    viewed: (u32, usize),
    /// Who spoke last.
    actor: Option<ActorId>,
}

/// The replicas that see the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// What they see.
    pub view: ShownView,
    /// Who sees it.
    pub members: BTreeSet<MemberId>,
    /// What their words weigh here; those of this member decide, and weigh nothing.
    pub weight: i64,
    /// Whether this replica does.
    pub is_own: bool,
}

impl Replica {
    /// From now on this session is seen by others, and they by it.
    pub fn begin_presence(&mut self, env: &mut Env<'_>) {
        let mut id = [0; 8];
        (env.random)(&mut id);
        self.here.presence.begin(|| PresenceSession(id));
        self.say_presence(env);
    }

    /// Shows this of the session; says whether it is small enough.
    pub fn set_presence(&mut self, state: BTreeMap<String, Value>, env: &mut Env<'_>) -> bool {
        let is_long = Value::Object(state.clone()).to_bytes().len() > PRESENCE_BYTES_MAX;
        if is_long || state.keys().any(|field| field.len() > NAME_BYTES_MAX) {
            return false;
        }
        self.here.presence.set(state);
        self.begin_presence(env);
        true
    }

    /// What the session shows.
    pub fn own_presence(&self) -> &BTreeMap<String, Value> {
        self.here.presence.state()
    }

    /// This session and its actor, if it is seen.
    pub fn presence_session(&self) -> Option<(ActorId, PresenceSession)> {
        Some((self.actor?, self.here.presence.session()?))
    }

    /// The other sessions that are here.
    pub fn others_present(&self) -> impl Iterator<Item = (PresenceSession, &Other)> {
        self.here.presence.others()
    }

    /// The session is not seen any more, until it shows something again.
    pub fn leave_presence(&mut self, env: &mut Env<'_>) {
        if let Some(last) = self.here.presence.leave() {
            self.send_presence(last, env);
        }
    }

    /// Who of those that are here, this replica with them, sees what; the largest group first.
    pub fn agreement(&self) -> Vec<Agreement> {
        let own = self.shown_view();
        let mut groups: BTreeMap<ShownView, BTreeSet<MemberId>> = BTreeMap::new();
        groups.entry(own).or_default().insert(self.member());
        for (_, other) in self.others_present() {
            if let Some(view) = other.view {
                groups.entry(view).or_default().insert(other.member);
            }
        }
        let others = |member: &&MemberId| **member != self.member();
        let group = |(view, members): (ShownView, BTreeSet<MemberId>)| {
            let weight = members.iter().filter(others).map(|member| self.policy.weight(*member)).sum();
            Agreement { view, members, weight, is_own: view == own }
        };
        let mut groups: Vec<Agreement> = groups.into_iter().map(group).collect();
        sort_by_key(&mut groups, |group| Reverse(group.members.len()));
        groups
    }

    /// The members that show the frontier that is known here.
    pub(super) fn members_abreast(&self) -> impl Iterator<Item = MemberId> {
        let own = self.frontier_digest().0;
        let is_abreast = move |other: &&Other| other.view.is_some_and(|view| view.frontier == own);
        self.others_present().map(|(_, other)| other).filter(is_abreast).map(|other| other.member)
    }

    fn shown_view(&self) -> ShownView {
        ShownView { frontier: self.frontier_digest().0, digest: self.view_digest().0 }
    }

    /// Somebody said something to whoever is there.
    pub(super) fn hear_presence(&mut self, payload: &[u8], env: &mut Env<'_>) {
        if self.presence_session().is_none() {
            return;
        }
        let Some(body) = open_ephemeral(self.identity.keyring(), payload) else { return };
        let Ok(message) = PresenceMessage::decode(&body) else { return };
        if !self.here.presence.is_news(&message) {
            return;
        }
        let Some(member) = self.speaker(&message) else { return };
        let key = VerifyingKey::parse(&message.actor.0);
        if !key.is_some_and(|key| message.verify(&self.space().0, &key, &body)) {
            return;
        }
        if self.here.presence.hear(message, member, env.now_ms) != Heard::Nothing {
            self.outputs.push_back(Output::Presence);
        }
        self.say_presence(env);
    }

    /// Whose actor speaks: as the log says, or the chain that comes along.
    fn speaker(&self, message: &PresenceMessage) -> Option<MemberId> {
        let known = self.here.presence.member_of(message.session, message.actor);
        let in_log = || self.log.author_of(&message.actor).map(|author| author.member);
        let by_chain = || message.author(self.identity.genesis()).map(|author| author.member);
        known.or_else(in_log).or_else(by_chain)
    }

    /// Whoever is connected now is told of this session.
    pub(super) fn greet(&mut self, env: &mut Env<'_>) {
        self.here.presence.connected();
        self.say_presence(env);
    }

    /// Forgets who is gone, says what is due.
    pub(super) fn say_presence(&mut self, env: &mut Env<'_>) {
        if self.here.presence.expire(env.now_ms) {
            self.outputs.push_back(Output::Presence);
        }
        if !self.is_heard() {
            return;
        }
        if self.here.actor.is_some_and(|spoke| self.actor != Some(spoke)) {
            self.speak_anew(env);
        }
        self.here.actor = self.actor;
        let viewed = self.view_mark();
        let is_viewed = viewed == self.here.viewed;
        let mut presence = std::mem::take(&mut self.here.presence);
        let mut looked = false;
        let draft = presence.next_message(env.now_ms, is_viewed, || {
            looked = true;
            self.shown_view()
        });
        self.here.presence = presence;
        if looked {
            self.here.viewed = viewed;
        }
        if let Some(draft) = draft {
            self.send_presence(draft, env);
        }
    }

    /// Another actor took over, and a session is one actor's.
    fn speak_anew(&mut self, env: &mut Env<'_>) {
        let (spoke, goes_on) = (self.here.actor, self.presence_session().is_some());
        if let (Some(last), Some(spoke)) = (self.here.presence.leave(), spoke) {
            self.send_as(spoke, last, env);
        }
        if goes_on {
            let mut id = [0; 8];
            (env.random)(&mut id);
            self.here.presence.begin(|| PresenceSession(id));
            self.outputs.push_back(Output::Presence);
        }
    }

    /// When [`Replica::say_presence`] has something to do.
    pub(super) fn presence_due(&self) -> Option<u64> {
        self.here.presence.next_ms(self.is_heard(), self.view_mark() == self.here.viewed)
    }

    fn view_mark(&self) -> (u32, usize) {
        (self.log.graph().len(), self.policy.entries().len())
    }

    fn is_heard(&self) -> bool {
        self.actor.is_some()
            && (self.links.relays.values().any(|link| link.is_subscribed())
                || self.links.elsewhere.as_ref().is_some_and(Elsewhere::is_heard)
                || self.links.peers.values().any(|link| link.session.is_open()))
    }

    fn send_presence(&mut self, draft: PresenceDraft, env: &mut Env<'_>) {
        if let Some(actor) = self.actor {
            self.send_as(actor, draft, env);
        }
    }

    fn send_as(&mut self, actor: ActorId, draft: PresenceDraft, env: &mut Env<'_>) {
        let (Some(key), Some(epoch)) = (self.identity.actor_key(actor), self.identity.keyring().current())
        else {
            return;
        };
        let chain = draft.is_whole.then(|| self.identity.actor_chain(actor));
        let space = self.space();
        let body = draft.of(actor, chain).sign(&space.0, key);
        let mut salt = [0; 16];
        (env.random)(&mut salt);
        let payload = seal_ephemeral(epoch, &space.0, &salt, &body);
        self.tell_tabs(&payload, true);
        self.say_to_relays(&payload, env);
        for session in self.links.peers.keys().copied().collect::<Vec<_>>() {
            if let Some(link) = self.links.peers.get_mut(&session) {
                link.session.say(&payload);
            }
            self.drain_peer(session, env);
        }
    }

    /// Says it to whoever is at a relay that this tab speaks with.
    pub(super) fn say_to_relays(&mut self, payload: &[u8], env: &mut Env<'_>) {
        for session in self.links.relays.keys().copied().collect::<Vec<_>>() {
            if let Some(link) = self.links.relays.get_mut(&session) {
                link.session.say(payload);
            }
            self.drain_relay(session, env);
        }
    }

    /// Tells the other tabs what is said here, or was heard from a relay.
    pub(super) fn tell_tabs(&mut self, payload: &[u8], is_said: bool) {
        if self.links.elsewhere.is_some() {
            self.outputs.push_back(Output::Tabs { payload: payload.to_vec(), is_said });
        }
    }
}
