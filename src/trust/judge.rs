//! Whether an op counts for one member.
//!
//! The most specific word comes first: of an op, of its changeset, of its actor, of its member. What I say myself beats what
//! those say whom I trust, and trust is one step deep: whom they trust means nothing to me. What I wrote myself is hidden
//! by my own verdict alone.

use super::policy::Policy;
use super::{Subject, Word};
use crate::causal::{ActorId, CausalGraph, ChangesetId, ChangesetIx, MemberId};
use crate::event::{Accepted, BanScope, BanSubject, Target};
use std::collections::BTreeMap;
use std::ops::Range;

/// A changeset, as far as it bears on what is believed of it.
#[derive(Clone, Copy, Debug)]
pub struct Authored {
    /// Its local number.
    pub changeset: ChangesetIx,
    /// Its id.
    pub id: ChangesetId,
    /// Who signed it.
    pub actor: ActorId,
    /// For whom.
    pub member: MemberId,
    /// The claimed time, in ms since 1970.
    pub time_ms: u64,
}

/// How an op stands in one member's view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It counts.
    Counts,
    /// It does not: of a word of mine, or of those whom I trust.
    Hidden,
    /// It does not before I accept it or its author.
    Waits,
}

/// The words that bear on whatever an actor signs, looked up once for many of its changesets.
#[derive(Clone, Debug)]
pub struct OnAuthor {
    is_me: bool,
    /// My bans.
    bans: Vec<u32>,
    /// My word on the member.
    accepted: Option<u32>,
    reviews: bool,
    /// From which changeset on it is in doubt.
    doubted_from: Option<u32>,
    /// Bans by those whom I trust, and what their words weigh.
    votes: Vec<(MemberId, i64, u32)>,
    threshold: u64,
}

impl Policy {
    /// What is said of an actor and its member. O(those whom I trust and who spoke of them).
    #[must_use]
    pub fn on_author(&self, actor: ActorId, member: MemberId) -> OnAuthor {
        let subjects = [BanSubject::Actor(actor), BanSubject::Member(member)].map(Subject::Ban);
        let vote = |(by, weight, subject)| Some((by, weight, self.winner(by, subject)?));
        let by_trusted =
            |subject| self.trusted_on(subject).into_iter().map(move |(by, weight)| (by, weight, subject));
        OnAuthor {
            is_me: member == self.me,
            bans: subjects.into_iter().filter_map(|subject| self.winner(self.me, subject)).collect(),
            accepted: self.winner(self.me, Subject::Accept(Accepted::Member(member))),
            reviews: self.reviews(),
            doubted_from: self.doubted().get(&actor).copied(),
            votes: subjects.into_iter().flat_map(by_trusted).filter_map(vote).collect(),
            threshold: self.threshold(),
        }
    }

    /// The ops of a changeset that do not count, as ranges of their indices. O(1) while nobody said anything about it,
    /// else O(words about it, and those whom I trust).
    #[must_use]
    pub fn hidden_of(&self, graph: &CausalGraph, at: &Authored, ops: u32) -> Vec<Range<u32>> {
        if self.is_silent() || ops == 0 {
            return Vec::new();
        }
        self.hidden_by(&self.on_author(at.actor, at.member), graph, at, ops)
    }

    /// The same where it was looked up what is said of the author.
    #[must_use]
    pub fn hidden_by(&self, on: &OnAuthor, graph: &CausalGraph, at: &Authored, ops: u32) -> Vec<Range<u32>> {
        let all = self.judge_by(on, graph, at, None, &mut |_| {}) != Standing::Counts;
        let mut found: Vec<Range<u32>> = Vec::new();
        let mut hide = |range: Range<u32>| match found.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ if range.is_empty() => {}
            _ => found.push(range),
        };
        let mut next = 0;
        for index in self.named(&at.id).into_iter().flatten().copied().take_while(|index| *index < ops) {
            if all {
                hide(next..index);
            }
            if self.judge_by(on, graph, at, Some(index), &mut |_| {}) != Standing::Counts {
                hide(index..index + 1);
            }
            next = index + 1;
        }
        if all {
            hide(next..ops);
        }
        found
    }

    /// How an op stands, or the changeset as a whole; `consider` is told the numbers of the words that were looked at, in the
    /// order of their rank, those included that bore on nothing.
    pub fn judge(
        &self,
        graph: &CausalGraph,
        at: &Authored,
        index: Option<u32>,
        consider: &mut dyn FnMut(u32),
    ) -> Standing {
        self.judge_by(&self.on_author(at.actor, at.member), graph, at, index, consider)
    }

    fn judge_by(
        &self,
        on: &OnAuthor,
        graph: &CausalGraph,
        at: &Authored,
        index: Option<u32>,
        consider: &mut dyn FnMut(u32),
    ) -> Standing {
        let targets = [Target::Op(at.id, index.unwrap_or_default()), Target::Changeset(at.id)];
        let targets = match (self.named(&at.id), index) {
            (None, _) => &targets[2..],
            (Some(_), None) => &targets[1..],
            (Some(_), Some(_)) => &targets[..],
        };
        let mine = targets.iter().find_map(|target| self.verdict(self.me, *target));
        if let Some((is_out, number)) = mine {
            consider(number);
            return if is_out { Standing::Hidden } else { Standing::Counts };
        }
        if on.is_me {
            return Standing::Counts;
        }
        for ban in &on.bans {
            consider(*ban);
            if self.covers(graph, *ban, at) {
                return Standing::Hidden;
            }
        }
        let mut accepts = |number: Option<u32>| {
            number.into_iter().for_each(&mut *consider);
            number.is_some_and(|number| self.entry(number).word == Word::Accepted(true))
        };
        let accept = |target: &Target| self.winner(self.me, Subject::Accept(Accepted::Target(*target)));
        let is_accepted = targets.iter().any(|target| accepts(accept(target)));
        let is_known = is_accepted || (on.reviews || on.doubted_from.is_some()) && accepts(on.accepted);
        if on.reviews && !is_known {
            return Standing::Waits;
        }
        // Whoever lifts a ban speaks for whom it is about.
        let is_lifted = |ban: &u32| self.entry(*ban).word == Word::Ban(BanScope::Lifted);
        let is_in_doubt = on.doubted_from.is_some_and(|from| graph.seq(at.changeset) >= from);
        if is_in_doubt && !is_known && !on.bans.iter().any(is_lifted) {
            return Standing::Hidden;
        }
        if !is_accepted && self.outvoted(on, graph, at, targets, consider) {
            Standing::Hidden
        } else {
            Standing::Counts
        }
    }

    /// Whether those whom I trust hide it.
    fn outvoted(
        &self,
        on: &OnAuthor,
        graph: &CausalGraph,
        at: &Authored,
        targets: &[Target],
        consider: &mut dyn FnMut(u32),
    ) -> bool {
        let mut votes: BTreeMap<MemberId, (bool, i64)> = BTreeMap::new();
        for target in targets {
            for (member, weight) in self.trusted_on(Subject::Target(*target)) {
                let Some((is_out, number)) = self.verdict(member, *target) else { continue };
                consider(number);
                votes.entry(member).or_insert((is_out, weight));
            }
        }
        for (member, weight, ban) in &on.votes {
            consider(*ban);
            if self.covers(graph, *ban, at) {
                votes.entry(*member).or_insert((true, *weight));
            }
        }
        let sum: i128 =
            votes.values().map(|(is_out, weight)| i128::from(if *is_out { *weight } else { -weight })).sum();
        sum >= i128::from(on.threshold)
    }

    /// Whether a ban reaches a changeset.
    fn covers(&self, graph: &CausalGraph, ban: u32, at: &Authored) -> bool {
        let ban = self.entry(ban);
        let Word::Ban(scope) = ban.word else { return false };
        let is_outside =
            || ban.changeset != ChangesetIx::OPEN && !graph.contains(ban.changeset, at.changeset);
        match scope {
            BanScope::Lifted => false,
            BanScope::All => true,
            BanScope::FromHere => is_outside(),
            BanScope::SinceTime(ms) => at.time_ms >= ms || is_outside(),
            BanScope::SinceChangeset(id) => match graph.get(&id) {
                Some(since) => at.changeset == since || !graph.contains(since, at.changeset),
                None => is_outside(),
            },
        }
    }
}
