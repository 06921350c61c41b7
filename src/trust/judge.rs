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

impl Policy {
    /// The ops of a changeset that do not count, as ranges of their indices. O(1) while nobody said anything about it,
    /// else O(words about it, and those whom I trust).
    #[must_use]
    pub fn hidden_of(&self, graph: &CausalGraph, at: &Authored, ops: u32) -> Vec<Range<u32>> {
        if self.is_silent() || ops == 0 {
            return Vec::new();
        }
        let all = self.judge(graph, at, None, &mut |_| {}) != Standing::Counts;
        let mut found: Vec<Range<u32>> = Vec::new();
        let mut hide = |range: Range<u32>| match found.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ if range.is_empty() => {}
            _ => found.push(range),
        };
        let mut next = 0;
        for index in self.named(&at.id).take_while(|index| *index < ops) {
            if all {
                hide(next..index);
            }
            if self.judge(graph, at, Some(index), &mut |_| {}) != Standing::Counts {
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
        let op = index.map(|index| Target::Op(at.id, index));
        let targets = || op.into_iter().chain([Target::Changeset(at.id)]);
        let bans = [BanSubject::Actor(at.actor), BanSubject::Member(at.member)];
        if let Some((is_out, number)) = targets().find_map(|target| self.verdict(self.me, target)) {
            consider(number);
            return if is_out { Standing::Hidden } else { Standing::Counts };
        }
        if at.member == self.me {
            return Standing::Counts;
        }
        for number in bans.into_iter().filter_map(|subject| self.winner(self.me, Subject::Ban(subject))) {
            consider(number);
            if self.covers(graph, number, at) {
                return Standing::Hidden;
            }
        }
        let mut accepts = |subject| {
            let number = self.winner(self.me, Subject::Accept(subject));
            number.into_iter().for_each(&mut *consider);
            number.is_some_and(|number| self.entry(number).word == Word::Accepted(true))
        };
        let is_accepted = targets().any(|target| accepts(Accepted::Target(target)));
        if !is_accepted && self.reviews() && !accepts(Accepted::Member(at.member)) {
            return Standing::Waits;
        }
        if !is_accepted && self.outvoted(graph, at, op, consider) {
            Standing::Hidden
        } else {
            Standing::Counts
        }
    }

    /// Whether those whom I trust hide it.
    fn outvoted(
        &self,
        graph: &CausalGraph,
        at: &Authored,
        op: Option<Target>,
        consider: &mut dyn FnMut(u32),
    ) -> bool {
        let mut votes: BTreeMap<MemberId, (bool, i64)> = BTreeMap::new();
        for target in op.into_iter().chain([Target::Changeset(at.id)]) {
            for (member, weight) in self.trusted_on(Subject::Target(target)) {
                let Some((is_out, number)) = self.verdict(member, target) else { continue };
                consider(number);
                votes.entry(member).or_insert((is_out, weight));
            }
        }
        for subject in [BanSubject::Actor(at.actor), BanSubject::Member(at.member)] {
            for (member, weight) in self.trusted_on(Subject::Ban(subject)) {
                let number = self.winner(member, Subject::Ban(subject)).expect("who speaks has a word");
                consider(number);
                if self.covers(graph, number, at) {
                    votes.entry(member).or_insert((true, weight));
                }
            }
        }
        let sum: i128 =
            votes.values().map(|(is_out, weight)| i128::from(if *is_out { *weight } else { -weight })).sum();
        sum >= i128::from(self.threshold())
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
