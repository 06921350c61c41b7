//! The ladder: a relay's log is not the one that was read, and holds nearly the same. What each side lacks of the other is found by
//! comparing the ends of all lanes (`docs/protocol.md` §3), and only that travels.
//!
//! Invariant: every round asks for what is lacking below the relay's ends, and one that brings nothing new is the last: then the log
//! is read from its start, as without a ladder.

use super::link::{Receipt, RelayLink, own_chain};
use super::receive::Origin;
use super::{Env, Replica};
use crate::causal::{ActorId, ChangesetId, ChangesetIx, Tip};
use crate::event::{range_of, range_sums, ranges_for};
use crate::store::StoreBatch;
use crate::sync::{CHAIN_PLACES_MAX, CHAIN_RANGES_MAX, ChainRange, Position, Row};
use foldhash::HashSet;
use std::collections::BTreeMap;

/// A comparison that is going on.
pub(super) struct Ladder {
    /// The end of the log that is compared.
    place: Position,
    /// The ends held here when their sums were sent.
    own: Vec<Tip>,
    /// The ends of the relay, once they are known.
    tips: Vec<Tip>,
    /// How far it is gone back from an end of an actor that forked.
    reach: u32,
    /// Something new came since the last question.
    brings_news: bool,
}

/// What a relay was asked for.
pub(super) struct Question {
    ranges: Vec<ChainRange>,
    /// Where to ask on; 0 if it is all here.
    next: u64,
}

impl RelayLink {
    /// Asks for rows by their places.
    pub(super) fn ask(&mut self, ranges: Vec<ChainRange>) {
        self.session.get_chain(ranges.clone(), 0);
        self.question = Some(Question { ranges, next: 0 });
    }
}

impl Replica {
    /// A session found another log: it is told what is held here, range by range.
    pub(super) fn begin_ladder(&mut self, session: u32, place: Position) {
        let own: Vec<Tip> = self.log.graph().tips().collect();
        let sums = range_sums(&own, ranges_for(own.len()));
        let Some(link) = self.links.relays.get_mut(&session) else { return };
        link.ladder = Some(Ladder { place, own, tips: Vec::new(), reach: 1, brings_news: true });
        link.session.compare(sums);
    }

    /// The relay showed its ends where they differ. Elsewhere they are those that are held here.
    pub(super) fn compare_heads(&mut self, session: u32, ranges: &[u32], tips: Vec<Tip>, too_many: bool) {
        let Some(link) = self.links.relays.get_mut(&session) else { return };
        let Some(ladder) = &mut link.ladder else { return };
        if too_many {
            return self.leave_ladder(session);
        }
        let count = ranges_for(ladder.own.len());
        let ranges: HashSet<usize> = ranges.iter().map(|range| *range as usize).collect();
        let same = std::mem::take(&mut ladder.own).into_iter();
        let same = same.filter(|tip| !ranges.contains(&range_of(tip, count)));
        ladder.tips = tips.into_iter().chain(same).collect();
        self.climb(session);
    }

    /// Rows came that were asked for; with the last of an answer, where to ask on.
    pub(super) fn take_chain(&mut self, session: u32, rows: &[Row], next: Option<u64>, env: &mut Env<'_>) {
        let signed = self.decoded(session, rows, env);
        let ids: Vec<ChangesetId> = signed.iter().map(|signed| signed.id()).collect();
        let Some(link) = self.links.relays.get_mut(&session) else { return };
        if let Some(ladder) = &mut link.ladder {
            ladder.brings_news |= ids.iter().any(|id| !self.log.knows(id));
        }
        if let (Some(question), Some(next)) = (&mut link.question, next) {
            // A relay that goes back in its log goes nowhere.
            question.next = if next > question.next { next } else { 0 };
        }
        link.strays.retain(|id| !ids.contains(id));
        link.delivered.extend(ids.iter().filter(|id| self.log.graph().get(id).is_none()));
        let known: Vec<ChangesetId> = ids.into_iter().filter(|id| self.tiers.is_unacked(id)).collect();
        self.mark_at_relay(&known);
        self.take_rows(
            signed,
            Origin::Session(session, Receipt::Chain(next.is_some())),
            StoreBatch::default(),
            env,
        );
    }

    /// What came is stored: the rest is asked for.
    pub(super) fn chain_stored(&mut self, session: u32) {
        let Some(link) = self.links.relays.get_mut(&session) else { return };
        if let Some(question) = link.question.take_if(|question| question.next > 0) {
            link.session.get_chain(question.ranges.clone(), question.next);
            link.question = Some(question);
            return;
        }
        link.question = None;
        if let Some(ladder) = &mut link.ladder {
            ladder.reach = ladder.reach.saturating_mul(2);
            self.climb(session);
        }
    }

    /// Asks for what is lacking still. If that is nothing, the end of the log is where reading goes on.
    fn climb(&mut self, session: u32) {
        let Some(ladder) = self.links.relays.get(&session).and_then(|link| link.ladder.as_ref()) else {
            return;
        };
        let mut lacking: BTreeMap<ActorId, ChainRange> = BTreeMap::new();
        for range in ladder.tips.iter().filter_map(|tip| self.lacking_below(tip, ladder.reach)) {
            let of = lacking.entry(range.actor).or_insert(range);
            (of.first, of.last) = (of.first.min(range.first), of.last.max(range.last));
        }
        let asked: Vec<ChainRange> = lacking.into_values().collect();
        let places: u64 = asked.iter().map(ChainRange::places).sum();
        if !ladder.brings_news || asked.len() > CHAIN_RANGES_MAX || places > CHAIN_PLACES_MAX {
            return self.leave_ladder(session);
        }
        let Some(link) = self.links.relays.get_mut(&session) else { return };
        if !asked.is_empty() {
            let ladder = link.ladder.as_mut().expect("it was just looked at");
            ladder.brings_news = false;
            return link.ask(asked);
        }
        let ladder = link.ladder.take().expect("it was just looked at");
        link.ends = Some(ladder.tips.iter().map(|tip| tip.id).collect());
        link.session.resume(Some(ladder.place));
        self.take_place(session, ladder.place);
    }

    /// Too much differs, or the relay does not give what it says it has: its log is read from the start.
    fn leave_ladder(&mut self, session: u32) {
        if let Some(link) = self.links.relays.get_mut(&session) {
            link.ladder = None;
            link.session.resume(None);
        }
    }

    /// Where to look for what is lacking at an end of another side and below. Behind the last changeset of an actor that is here all
    /// is lacking; where it forked before, it is gone back from the end.
    fn lacking_below(&self, tip: &Tip, reach: u32) -> Option<ChainRange> {
        let Tip { actor, seq: mut last, mut id } = *tip;
        while let Some(waiting) = self.log.find(&id).filter(|_| self.log.graph().get(&id).is_none()) {
            id = waiting.header().prev()?;
            last = last.checked_sub(1)?;
        }
        if self.log.knows(&id) {
            return None;
        }
        let here = self.log.graph().tips_of(&actor).iter().map(|tip| tip.seq).max();
        let first = match here {
            None => 0,
            Some(here) if here < last => here + 1,
            Some(_) => last.saturating_sub(reach - 1),
        };
        Some(ChainRange { actor, first, last })
    }

    /// All that a side with these ends holds, as far as it is here.
    pub(super) fn below(&self, ends: impl IntoIterator<Item = ChangesetId>) -> HashSet<ChangesetIx> {
        let (graph, mut below) = (self.log.graph(), HashSet::default());
        for ix in ends.into_iter().filter_map(|id| graph.get(&id)) {
            own_chain(graph, ix).take_while(|ix| below.insert(*ix)).for_each(drop);
        }
        below
    }
}
