//! Who is here: the state of one session and what is known of the others, without looking at keys.
//!
//! Invariants: a session is shown only after it named this one in a whole message, so nothing recorded earlier makes a ghost;
//! its counter only rises; who says nothing for [`GONE_MS`] is gone. What goes out is at most one message in [`PAUSE_MS`].
//! Messages may be lost: a whole one comes every [`BEAT_MS`].

use crate::causal::{ActorId, MemberId};
use crate::codec::limits::{PRESENCE_BYTES_MAX, PRESENCE_SEEN_MAX};
use crate::event::{PresenceMessage, PresenceSession, ShownView, Value};
use crate::sorted::{sort, sort_by_key};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Between two messages.
const PAUSE_MS: u64 = 50;
/// Others ask for a whole one by being new. It comes a random time of between half of this and all of it later, with
/// [`ANSWER_SPREAD_MS`] more for each session that is known: so one answers all who came meanwhile, and not everybody says it in the same moment. A session that goes
/// on not to know this one asks for the next after twice as long: on a slow way what answers it is still under way, and more of it
/// would be so for ever.
const ANSWER_MS: u64 = 250;
const ANSWER_SPREAD_MS: u64 = 25;
const ANSWER_LONGEST_MS: u64 = 2_000;
/// Between two whole ones.
const BEAT_MS: u64 = 10_000;
/// Without a message for so long a session is gone.
const GONE_MS: u64 = 30_000;
/// How often it is looked what this side sees of the space.
const VIEW_MS: u64 = 1_000;
/// Sessions known at a time; whoever is silent longest makes room.
const SESSIONS_MAX: usize = 1_024;
/// Sessions remembered that are gone.
const DEPARTED_MAX: usize = 16_384;

/// Another session.
#[derive(Clone, Debug, PartialEq)]
pub struct Other {
    /// Whose it is.
    pub member: MemberId,
    /// With which key it speaks.
    pub actor: ActorId,
    /// What it shows.
    pub state: BTreeMap<String, Value>,
    /// What it sees of the space, if it said so.
    pub view: Option<ShownView>,
    /// When it was heard last.
    pub heard_ms: u64,
    /// Another number each time it shows something else.
    pub revision: u64,
    counter: u64,
    is_fresh: bool,
    /// How often it was answered because it did not know this session, and when it may be again.
    answers: u32,
    answer_ms: u64,
}

/// What came of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing.
    Nothing,
    /// Somebody gave a sign of life.
    Alive,
    /// Somebody came, left or shows something else.
    Changed,
}

type SessionOf = (ActorId, PresenceSession);

/// This session and the others. See the module.
#[derive(Clone, Debug, Default)]
pub struct Presence {
    /// None as long as nobody asked for any of this: then nothing is said.
    session: Option<PresenceSession>,
    state: BTreeMap<String, Value>,
    /// The state that the others were told last.
    told: BTreeMap<String, Value>,
    counter: u64,
    /// Whoever was connected with knows nothing of this session yet: a whole message is due.
    whole_due: bool,
    /// When the next one is due for those who came.
    answer_ms: Option<u64>,
    sent_ms: u64,
    /// When a whole one was sent last; none of this session yet.
    whole_ms: Option<u64>,
    viewed_ms: u64,
    shown: Option<ShownView>,
    /// By actor too: whoever reads a session's number must not take it from its owner.
    others: BTreeMap<SessionOf, Other>,
    /// The last counters of those that are gone: what they said cannot be said again.
    departed: BTreeMap<SessionOf, u64>,
    revisions: u64,
}

impl Presence {
    /// From now on this session is seen.
    pub fn begin(&mut self, session: impl FnOnce() -> PresenceSession) {
        if self.session.is_none() {
            self.session = Some(session());
            self.whole_due = true;
        }
    }

    /// This session, if it is seen.
    #[must_use]
    pub fn session(&self) -> Option<PresenceSession> {
        self.session
    }

    /// What this session shows.
    #[must_use]
    pub fn state(&self) -> &BTreeMap<String, Value> {
        &self.state
    }

    /// Shows this instead.
    pub fn set(&mut self, state: BTreeMap<String, Value>) {
        self.state = state;
    }

    /// Whoever is connected now knows nothing of this session.
    pub fn connected(&mut self) {
        self.whole_due = self.session.is_some();
    }

    /// The sessions that are here.
    pub fn others(&self) -> impl Iterator<Item = (PresenceSession, &Other)> {
        self.others.iter().filter(|(_, other)| other.is_fresh).map(|((_, session), other)| (*session, other))
    }

    /// Whose actor that is, if it was shown before.
    #[must_use]
    pub fn member_of(&self, session: PresenceSession, actor: ActorId) -> Option<MemberId> {
        self.others.get(&(actor, session)).map(|other| other.member)
    }

    /// Whether a message can say anything: it is of another session, and not older than what was heard.
    #[must_use]
    pub fn is_news(&self, message: &PresenceMessage) -> bool {
        let id = (message.actor, message.session);
        self.session.is_some_and(|own| own != message.session)
            && self.others.get(&id).is_none_or(|other| other.counter < message.counter)
            && self.departed.get(&id).is_none_or(|counter| *counter < message.counter)
    }

    /// Takes a message whose author was found to be this member.
    pub fn hear(&mut self, message: PresenceMessage, member: MemberId, now_ms: u64) -> Heard {
        if !self.is_news(&message) {
            return Heard::Nothing;
        }
        let Some(own) = self.session else { return Heard::Nothing };
        self.not_later_than(now_ms);
        let id = (message.actor, message.session);
        let is_whole = message.chain.is_some();
        if message.leaves {
            let left = self.forget(id, message.counter);
            return if left { Heard::Changed } else { Heard::Nothing };
        }
        let fits = |state: &BTreeMap<String, Value>| {
            Value::Object(state.clone()).to_bytes().len() <= PRESENCE_BYTES_MAX
        };
        let is_new = !self.others.contains_key(&id);
        if is_new {
            if !is_whole || !fits(&message.changed) {
                return Heard::Nothing;
            }
            self.make_room();
            let actor = message.actor;
            let (state, view) = (BTreeMap::new(), None);
            let other = Other {
                member,
                actor,
                state,
                view,
                heard_ms: now_ms,
                revision: 0,
                counter: 0,
                is_fresh: false,
                answers: 0,
                answer_ms: 0,
            };
            self.others.insert(id, other);
        }
        let answer_ms = self.answer_ms.unwrap_or(now_ms + self.answer_pause_ms(own));
        let other = self.others.get_mut(&id).expect("it was put there");
        let before = (other.is_fresh, other.view);
        other.counter = message.counter;
        other.heard_ms = now_ms;
        other.is_fresh |= message.seen.binary_search(&own).is_ok();
        // It may not know this session yet, and shows itself to those alone that it knows.
        if is_whole && (is_new || !other.is_fresh) && other.answer_ms <= now_ms {
            self.answer_ms = Some(answer_ms);
            let pause = ANSWER_MS.saturating_mul(1 << other.answers.min(8)).min(BEAT_MS);
            (other.answers, other.answer_ms) = (other.answers.saturating_add(1), answer_ms + pause);
        }
        other.view = message.view.or(other.view);
        let mut state = if is_whole { BTreeMap::new() } else { other.state.clone() };
        for field in &message.removed {
            state.remove(field);
        }
        state.extend(message.changed);
        let changed = before != (other.is_fresh, other.view) || state != other.state;
        if fits(&state) {
            other.state = state;
        }
        if changed {
            self.revisions += 1;
            other.revision = self.revisions;
        }
        if changed && other.is_fresh { Heard::Changed } else { Heard::Alive }
    }

    /// Forgets who was silent for too long; whether anybody was.
    pub fn expire(&mut self, now_ms: u64) -> bool {
        self.not_later_than(now_ms);
        let silent = self.others.iter().filter(|(_, other)| other.heard_ms + GONE_MS <= now_ms);
        let silent: Vec<_> = silent.map(|(id, other)| (*id, other.counter)).collect();
        silent.into_iter().filter(|(id, counter)| self.forget(*id, *counter)).count() > 0
    }

    /// When [`Presence::expire`] or [`Presence::next_message`] has something to do; `sends` says whether there is anybody to
    /// send to, `is_viewed` whether what this side sees is what it said.
    #[must_use]
    pub fn next_ms(&self, sends: bool, is_viewed: bool) -> Option<u64> {
        self.session?;
        let gone = self.others.values().map(|other| other.heard_ms + GONE_MS).min();
        let beat = self.whole_ms.map_or(0, |whole| whole + BEAT_MS);
        let greeting = self.whole_due.then(|| self.whole_ms.map_or(0, |whole| whole + ANSWER_MS));
        let change = (self.told != self.state).then_some(self.sent_ms + PAUSE_MS);
        let look = (!is_viewed).then_some(self.viewed_ms + VIEW_MS);
        let due = [greeting, self.answer_ms, change, look].into_iter().flatten().fold(beat, u64::min);
        let due = due.max(self.sent_ms + PAUSE_MS);
        [gone, sends.then_some(due)].into_iter().flatten().min()
    }

    /// The message that is due, if one is. `view` is what this side sees of the space, asked for at most once a second;
    /// `chain` is put in by the caller where [`Draft::is_whole`] says so.
    pub fn next_message(
        &mut self,
        now_ms: u64,
        is_viewed: bool,
        view: impl FnOnce() -> ShownView,
    ) -> Option<Draft> {
        let session = self.session?;
        if self.next_ms(true, is_viewed).is_none_or(|due| due > now_ms) {
            return None;
        }
        let reached = |from: Option<u64>, after: u64| from.is_none_or(|from| from + after <= now_ms);
        let asked = (self.whole_due && reached(self.whole_ms, ANSWER_MS))
            || self.answer_ms.is_some_and(|due| due <= now_ms);
        let removed: Vec<String> =
            self.told.keys().filter(|field| !self.state.contains_key(*field)).cloned().collect();
        let changed = self.state.iter().filter(|(field, value)| self.told.get(*field) != Some(value));
        let changed: BTreeMap<String, Value> =
            changed.map(|(field, value)| (field.clone(), value.clone())).collect();
        let bytes = removed.iter().map(|field| field.len() + 4).sum::<usize>()
            + Value::Object(changed.clone()).to_bytes().len();
        let is_whole = asked || reached(self.whole_ms, BEAT_MS) || bytes > PRESENCE_BYTES_MAX;
        let mut shown = None;
        if is_whole || (!is_viewed && reached(Some(self.viewed_ms), VIEW_MS)) {
            self.viewed_ms = now_ms;
            shown = Some(view());
        }
        if !is_whole && shown == self.shown {
            shown = None;
        }
        if !is_whole && shown.is_none() && removed.is_empty() && changed.is_empty() {
            return None;
        }
        self.shown = shown.or(self.shown);
        self.counter += 1;
        self.sent_ms = now_ms;
        self.told.clone_from(&self.state);
        let (changed, removed) = if is_whole {
            (self.whole_due, self.answer_ms) = (false, None);
            self.whole_ms = Some(now_ms);
            (self.state.clone(), Vec::new())
        } else {
            (changed, removed)
        };
        let mut heard: Vec<_> = self.others.iter().map(|((_, id), other)| (other.heard_ms, *id)).collect();
        sort_by_key(&mut heard, |row| Reverse(*row));
        let mut seen: Vec<PresenceSession> =
            heard.into_iter().take(if is_whole { PRESENCE_SEEN_MAX } else { 0 }).map(|(_, id)| id).collect();
        sort(&mut seen);
        seen.dedup();
        Some(Draft {
            session,
            counter: self.counter,
            leaves: false,
            is_whole,
            seen,
            view: shown,
            removed,
            changed,
        })
    }

    /// The session is not seen any more: its last message; none if it has not said anything yet.
    pub fn leave(&mut self) -> Option<Draft> {
        let session = self.session.take()?;
        let (counter, is_known) = (self.counter + 1, self.whole_ms.is_some());
        let (state, sent_ms, revisions) = (std::mem::take(&mut self.state), self.sent_ms, self.revisions);
        *self = Self { state, sent_ms, revisions, ..Self::default() };
        let (seen, removed, changed) = (Vec::new(), Vec::new(), BTreeMap::new());
        let last =
            Draft { session, counter, leaves: true, is_whole: false, seen, view: None, removed, changed };
        is_known.then_some(last)
    }

    /// How long an answer waits for others to come: another time for each session and each answer.
    fn answer_pause_ms(&self, own: PresenceSession) -> u64 {
        let most = (ANSWER_MS + ANSWER_SPREAD_MS * self.others.len() as u64).min(ANSWER_LONGEST_MS);
        most / 2 + u64::from_le_bytes(own.0).rotate_right(self.counter as u32 % 64) % (most / 2)
    }

    /// A clock that was set back must not make anything wait for what it said before.
    fn not_later_than(&mut self, now_ms: u64) {
        self.sent_ms = self.sent_ms.min(now_ms);
        self.viewed_ms = self.viewed_ms.min(now_ms);
        self.whole_ms = self.whole_ms.map(|whole| whole.min(now_ms));
        self.answer_ms = self.answer_ms.map(|due| due.min(now_ms + ANSWER_LONGEST_MS));
        for other in self.others.values_mut() {
            other.heard_ms = other.heard_ms.min(now_ms);
            other.answer_ms = other.answer_ms.min(now_ms + BEAT_MS);
        }
    }

    fn make_room(&mut self) {
        if self.others.len() < SESSIONS_MAX {
            return;
        }
        // Those that never showed that they are there go first.
        let silent = self.others.iter().min_by_key(|(_, other)| (other.is_fresh, other.heard_ms));
        if let Some((id, counter)) = silent.map(|(id, other)| (*id, other.counter)) {
            self.forget(id, counter);
        }
    }

    /// Whether the session was one that is shown.
    fn forget(&mut self, id: SessionOf, counter: u64) -> bool {
        if self.departed.len() == DEPARTED_MAX {
            self.departed.pop_first();
        }
        self.departed.insert(id, counter);
        self.others.remove(&id).is_some_and(|other| other.is_fresh)
    }
}

/// A message without whose it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    session: PresenceSession,
    counter: u64,
    leaves: bool,
    /// Whether it has to show whose actor speaks.
    pub is_whole: bool,
    seen: Vec<PresenceSession>,
    view: Option<ShownView>,
    removed: Vec<String>,
    changed: BTreeMap<String, Value>,
}

impl Draft {
    /// The message of an actor; `chain` for whole ones.
    #[must_use]
    pub fn of(self, actor: ActorId, chain: Option<crate::event::Chain>) -> PresenceMessage {
        let Self { session, counter, leaves, seen, view, removed, changed, .. } = self;
        PresenceMessage { actor, session, counter, leaves, chain, seen, view, removed, changed }
    }
}

#[cfg(test)]
mod tests;
