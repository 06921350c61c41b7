//! Changesets that came spoilt: with a segment that does not fit its hash, or with a signature that is not valid. They are asked for
//! again, of one relay or peer after another (`docs/protocol.md` §3).
//!
//! Invariant: so many are asked for at a time, and so often after something new; then not before another connection is there.

use super::receive::Origin;
use super::{Env, Replica, Trouble};
use crate::causal::{ActorId, ChangesetId, ChangesetIx};
use crate::sorted::sort;
use crate::sync::{CHAIN_RANGES_MAX, ChainRange, Due, Status};
use std::collections::BTreeMap;

/// The pause before the first question; twice as long after each that brought nothing.
const PAUSE_MS: u64 = 1_000;
/// Questions that bring nothing: a relay is asked twice at most, a peer once. It may be slow, and does not say that it has nothing.
const TRIES_MAX: usize = 6;

/// What is asked for again.
#[derive(Default)]
pub(super) struct Mends {
    rows: BTreeMap<ChangesetId, Place>,
    due: Option<Due>,
    tries: usize,
}

/// Where a changeset is.
#[derive(Clone, Copy)]
struct Place {
    actor: ActorId,
    seq: u32,
    /// A relay delivered it, in the order of its log.
    by_relay: bool,
}

impl Mends {
    /// When to ask next.
    pub fn due_ms(&self) -> Option<u64> {
        self.due.map(|due| due.at_ms)
    }

    /// There is something new to ask for, or somebody new to ask.
    pub fn begin(&mut self, now_ms: u64) {
        if !self.rows.is_empty() {
            (self.tries, self.due) = (0, Some(Due::after(now_ms, PAUSE_MS)));
        }
    }

    fn note(&mut self, id: ChangesetId, place: Place, now_ms: u64) -> bool {
        let has_room = self.rows.len() < CHAIN_RANGES_MAX;
        let is_new = has_room && self.rows.insert(id, place).is_none();
        if is_new {
            self.begin(now_ms);
        }
        is_new
    }
}

impl Replica {
    /// A copy came of which a part is spoilt, or all.
    pub(super) fn note_damage(
        &mut self,
        id: ChangesetId,
        place: (ActorId, u32),
        origin: Origin,
        env: &Env<'_>,
    ) {
        let (from, by_relay) = self.source(origin);
        let place = Place { actor: place.0, seq: place.1, by_relay };
        if self.log.is_lacking(&id) && self.links.mends.note(id, place, env.now_ms) {
            self.trouble(Trouble::Refused(
                id,
                format!("{from}a part of it is spoilt; it is asked for again"),
            ));
        }
    }

    /// What is here is of no use without its skeleton: it came spoilt, perhaps before this was opened.
    pub(super) fn note_hollow(&mut self, id: ChangesetId, (actor, seq): (ActorId, u32), env: &Env<'_>) {
        self.links.mends.note(id, Place { actor, seq, by_relay: false }, env.now_ms);
    }

    /// Whether a relay delivered something that could not be stored: then its log is read again from there at the next opening.
    pub(super) fn holds_place(&self) -> bool {
        let mut rows = self.links.mends.rows.iter();
        rows.any(|(id, place)| place.by_relay && !self.log.knows(id))
    }

    /// What the log found spoilt lately.
    pub(super) fn note_spoilt(&mut self, origin: Origin, env: &Env<'_>) {
        for (id, actor, seq) in self.log.take_spoilt() {
            self.note_damage(id, (actor, seq), origin, env);
        }
    }

    /// Who delivers something, for people, and whether that is a relay.
    fn source(&self, origin: Origin) -> (String, bool) {
        match origin {
            Origin::Session(session, _) => match self.links.relays.get(&session) {
                Some(link) => (format!("{}: ", link.url), true),
                None => ("a peer: ".to_owned(), false),
            },
            Origin::Import => (String::new(), false),
        }
    }

    /// Asks for what is still spoilt, if it is time: of each relay and peer in turn.
    pub(super) fn ask_again(&mut self, env: &mut Env<'_>) {
        if !self.links.mends.due.as_mut().is_some_and(|due| due.is_over(env.now_ms)) {
            return;
        }
        let (log, scores, mends) = (&self.log, &self.scores, &mut self.links.mends);
        mends.rows.retain(|id, _| log.is_lacking(id));
        mends.due = None;
        let relays = self.links.relays.iter();
        let relays =
            relays.filter(|(_, link)| matches!(link.session.status(), Status::Live | Status::CatchingUp));
        let peers = self.links.peers.iter().filter(|(_, link)| link.session.is_open());
        // Those that are believed more are asked first.
        let mut relays: Vec<(u32, u32)> = relays
            .map(|(session, link)| (u32::MAX - scores.points(&link.url, env.now_ms), *session))
            .collect();
        sort(&mut relays);
        let relays: Vec<u32> = relays.into_iter().map(|(_, session)| session).collect();
        let peers = peers.map(|(session, _)| *session);
        let sources: Vec<u32> = relays.iter().copied().chain(peers).chain(relays.iter().copied()).collect();
        if mends.rows.is_empty() || mends.tries >= TRIES_MAX.min(sources.len()) {
            return;
        }
        let source = sources[mends.tries];
        mends.due = Some(Due::after(env.now_ms, PAUSE_MS << mends.tries));
        mends.tries += 1;
        let place = |at: &Place| ChainRange { actor: at.actor, first: at.seq, last: at.seq };
        let ranges: Vec<ChainRange> = mends.rows.values().map(place).collect();
        if let Some(link) = self.links.relays.get_mut(&source) {
            if link.question.is_none() {
                link.ask(ranges);
                self.drain_relay(source, env);
            }
        } else if let Some(link) = self.links.peers.get_mut(&source) {
            link.session.get_chain(ranges);
            self.drain_peer(source, env);
        }
    }

    /// A peer asks for what is at these places.
    pub(super) fn answer_peer(&mut self, session: u32, ranges: &[ChainRange]) {
        let graph = self.log.graph();
        let places = ranges.iter().flat_map(|range| (range.first..=range.last).map(|seq| (range.actor, seq)));
        let held = places.flat_map(|(actor, seq)| graph.at(&actor, seq));
        let held: Vec<ChangesetIx> = held.filter(|ix| self.sendable(*ix)).take(CHAIN_RANGES_MAX).collect();
        let Some(link) = self.links.peers.get_mut(&session) else { return };
        link.queue.extend(held);
        self.pump_peer(session);
    }

    /// These are whole now: peers they were withheld from get them, and so do relays, with what is behind them.
    pub(super) fn mended(&mut self, ids: &[ChangesetId], env: &Env<'_>) {
        if ids.is_empty() {
            return;
        }
        self.links.mends.begin(env.now_ms);
        let graph = self.log.graph();
        // Of each actor the first that is whole now.
        let mut firsts: BTreeMap<ActorId, ChangesetIx> = BTreeMap::new();
        for ix in ids.iter().filter_map(|id| graph.get(id)) {
            firsts.entry(graph.actor(ix)).and_modify(|first| *first = ix.min(*first)).or_insert(ix);
        }
        let Some(first) = firsts.values().min() else { return };
        let is_behind = |at: &ChangesetIx| firsts.get(&graph.actor(*at)).is_some_and(|first| first <= at);
        let behind: Vec<ChangesetIx> = (first.0..graph.len()).map(ChangesetIx).filter(is_behind).collect();
        for link in self.links.relays.values_mut() {
            let again = behind.iter().filter(|ix| link.refusals.forgive(&graph.id(**ix)));
            let again: Vec<ChangesetIx> = again.copied().collect();
            if link.is_subscribed() {
                link.queue.extend(again);
            }
        }
        for link in self.links.peers.values_mut() {
            let mended = ids.iter().filter(|id| link.withheld.remove(id));
            link.queue.extend(mended.filter_map(|id| graph.get(id)));
        }
        self.links.passage.hold_up();
    }
}
