//! Reputation: what this device has seen of relays and actors, as a number from 0 to 100 that only it knows and that fades in a week; and how far up the
//! ladder an actor is. It decides nothing that others see: who is throttled is asked later, and for less at once.

use super::Replica;
use crate::audit::Accused;
use crate::causal::{ActorId, MemberId};
use crate::codec::{DecodeError, Reader, Writer};
use crate::event::{BanScope, BanSubject};
use crate::trust::{Subject, Word};
use std::collections::BTreeMap;

/// What nothing is known of.
const NEUTRAL: u32 = 5_000;
const BEST: u32 = 10_000;
/// Below it is throttled.
const THROTTLED: u32 = 2_500;
/// It fades so far in a week.
const WEEK_MS: u64 = 7 * 24 * 3_600_000;
/// So many are kept; the one that was seen longest ago goes.
const KEPT_MAX: usize = 1_024;

/// Something that was seen, and what it weighs, in hundredths of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    /// A relay or peer brought something that is new and authentic.
    Good,
    /// It brought what is forged or malformed.
    Junk,
    /// An actor signed what is against the rules of the space.
    Inert,
    /// It is proven that it contradicts itself.
    Proven,
}

impl Fact {
    fn weight(self) -> i64 {
        match self {
            Self::Good => 1,
            Self::Junk => -100,
            Self::Inert => -200,
            Self::Proven => -i64::from(BEST),
        }
    }
}

/// How far up the ladder somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rung {
    /// Nothing is held against it.
    Ok,
    /// What it did here made it be asked later: for this device alone.
    Throttled,
    /// It is proven that it contradicts itself: what it wrote from there on is hidden, unless one says otherwise.
    Quarantined,
    /// This member bans it.
    Banned,
}

impl Rung {
    /// How it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Throttled => "throttled",
            Self::Quarantined => "quarantined",
            Self::Banned => "banned",
        }
    }
}

/// What is held of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reputation {
    /// From 0 to 100; 50 where nothing is known.
    pub score: u32,
    /// How far up the ladder.
    pub rung: Rung,
    /// Of a validator: 0 if it contradicted itself; else how many of the last blocks came while it was heard, in percent, if there are any.
    pub validator: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Score {
    points: u32,
    at_ms: u64,
}

/// What was seen, by actor in hex or address of a relay.
#[derive(Default)]
pub(super) struct Scores {
    of: BTreeMap<String, Score>,
    is_new: bool,
}

impl Scores {
    pub fn load(record: Option<&Vec<u8>>) -> Self {
        let of = record.and_then(|record| decode(record).ok()).unwrap_or_default();
        Self { of, is_new: false }
    }

    /// The record to be stored, if there is news.
    pub fn take_news(&mut self) -> Option<Vec<u8>> {
        if !std::mem::take(&mut self.is_new) {
            return None;
        }
        let mut out = Writer::new();
        out.u8(VERSION).varint(self.of.len() as u64);
        for (who, Score { points, at_ms }) in &self.of {
            out.string(who).varint(u64::from(*points)).varint(*at_ms);
        }
        Some(out.into_bytes())
    }

    /// What is held of somebody, in hundredths of a point.
    pub fn points(&self, who: &str, now_ms: u64) -> u32 {
        let Some(Score { points, at_ms }) = self.of.get(who).copied() else { return NEUTRAL };
        let faded = now_ms.saturating_sub(at_ms).min(WEEK_MS) * u64::from(NEUTRAL) / WEEK_MS;
        match (points, faded as u32) {
            (points, faded) if points < NEUTRAL => (points + faded).min(NEUTRAL),
            (points, faded) => points.saturating_sub(faded).max(NEUTRAL),
        }
    }

    fn count(&mut self, who: &str, fact: Fact, times: u64, now_ms: u64) {
        let sum = i64::from(self.points(who, now_ms)) + fact.weight() * times.min(u64::from(BEST)) as i64;
        let points = sum.clamp(0, i64::from(BEST)) as u32;
        if self.of.len() >= KEPT_MAX && !self.of.contains_key(who) {
            let oldest = self.of.iter().min_by_key(|(_, score)| score.at_ms).map(|(who, _)| who.clone());
            oldest.map(|oldest| self.of.remove(&oldest));
        }
        self.of.insert(who.to_owned(), Score { points, at_ms: now_ms });
        self.is_new = true;
    }
}

impl Replica {
    /// What is held of an actor. O(evidence).
    pub fn reputation(&self, actor: ActorId, now_ms: u64) -> Reputation {
        let points = self.scores.points(&actor.to_string(), now_ms);
        let member = self.member_of(actor);
        let subjects = [Some(BanSubject::Actor(actor)), member.map(BanSubject::Member)];
        let is_banned = subjects.into_iter().flatten().any(|subject| {
            matches!(self.policy.own_word(Subject::Ban(subject)), Some(Word::Ban(scope)) if scope != BanScope::Lifted)
        });
        let rung = if is_banned {
            Rung::Banned
        } else if self.policy.doubted().contains_key(&actor) {
            Rung::Quarantined
        } else if points < THROTTLED {
            Rung::Throttled
        } else {
            Rung::Ok
        };
        let validator = if self.contradicts_as_validator(actor, member) {
            Some(0)
        } else {
            let is_asked = |member: &MemberId| self.validators().is_some_and(|set| set.weight(member) > 0);
            member.filter(is_asked).and_then(|member| self.chain.heard(self.log.graph(), member))
        };
        Reputation { score: points / 100, rung, validator }
    }

    /// What is held of a relay, by its address.
    pub fn relay_score(&self, url: &str, now_ms: u64) -> u32 {
        self.scores.points(url, now_ms) / 100
    }

    /// Something was seen of an actor, and it is proven that it was it.
    pub(super) fn count(&mut self, actor: ActorId, fact: Fact, now_ms: u64) {
        if !self.loading {
            self.scores.count(&actor.to_string(), fact, 1, now_ms);
        }
    }

    /// The same of whoever is at the other end of a session, if it has a name that lasts.
    pub(super) fn count_peer(&mut self, session: u32, fact: Fact, times: u64, now_ms: u64) {
        if let Some(link) = self.links.relays.get(&session).filter(|_| times > 0) {
            self.scores.count(&link.url, fact, times, now_ms);
        }
    }

    /// What a relay may send before it is stored: less where it brought much that is forged.
    pub(super) fn credit_of(&self, url: &str, most: u64, now_ms: u64) -> u64 {
        if self.scores.points(url, now_ms) < THROTTLED { most / 16 } else { most }
    }

    fn contradicts_as_validator(&self, actor: ActorId, member: Option<MemberId>) -> bool {
        self.evidence().any(|one| {
            let is_said = one.case.evidence.is_about_votes();
            let is_of = match one.case.accused {
                Accused::Actor(accused) => accused == actor || one.member == member && member.is_some(),
                Accused::Member(accused) => Some(accused) == member,
                Accused::Relay(_) => false,
            };
            is_said && is_of && one.settled.is_none()
        })
    }
}

fn decode(record: &[u8]) -> Result<BTreeMap<String, Score>, DecodeError> {
    let mut from = Reader::new(record);
    from.expect_u8("version", VERSION)?;
    let mut of = BTreeMap::new();
    for _ in 0..from.count("scores", KEPT_MAX, 3)? {
        let who = from.string("who", 4_096)?.to_owned();
        let points = from.varint_u32("points", BEST)?;
        of.insert(who, Score { points, at_ms: from.varint("time", u64::MAX)? });
    }
    from.finish("scores")?;
    Ok(of)
}

const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_fade_to_the_middle_in_a_week_and_stay_within_bounds() {
        let mut scores = Scores::default();
        assert_eq!(scores.points("a", 0), NEUTRAL);
        scores.count("a", Fact::Junk, 1_000, 0);
        scores.count("b", Fact::Good, 1_000_000, 0);
        assert_eq!((scores.points("a", 0), scores.points("b", 0)), (0, BEST));
        assert_eq!((scores.points("a", WEEK_MS / 2), scores.points("b", WEEK_MS / 2)), (2_500, 7_500));
        assert_eq!((scores.points("a", WEEK_MS), scores.points("b", 9 * WEEK_MS)), (NEUTRAL, NEUTRAL));
        let record = scores.take_news().expect("there is news");
        assert_eq!(scores.take_news(), None);
        let again = Scores::load(Some(&record));
        assert_eq!((again.points("a", 0), again.points("b", 0)), (0, BEST));
        assert!(record.len() > 1 && Scores::load(Some(&record[..record.len() - 1].to_vec())).of.is_empty());
    }

    #[test]
    fn only_so_many_are_kept() {
        let mut scores = Scores::default();
        for n in 0..2 * KEPT_MAX as u64 {
            scores.count(&n.to_string(), Fact::Junk, 1, n);
        }
        assert_eq!((scores.of.len(), scores.points("0", 2_048)), (KEPT_MAX, NEUTRAL));
    }
}
