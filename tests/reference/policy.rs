//! Who believes what, the slow and obvious way: every word and every op is looked at anew, each past is walked.
#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use stemma::causal::{ChangesetId, MemberId};
use stemma::event::{Accepted, BanScope, BanSubject, Target, Verdict};
use stemma::replica::{ChangesetSummary, EntryInfo};
use stemma::trust::{Subject, Word};

pub struct Model<'a> {
    me: MemberId,
    changesets: HashMap<ChangesetId, &'a ChangesetSummary>,
    words: Vec<&'a EntryInfo>,
}

impl<'a> Model<'a> {
    pub fn new(me: MemberId, history: &'a [ChangesetSummary], words: &'a [EntryInfo]) -> Self {
        Self {
            me,
            changesets: history.iter().map(|one| (one.id, one)).collect(),
            words: words.iter().collect(),
        }
    }

    /// A changeset and all that it builds on.
    fn past(&self, of: ChangesetId) -> BTreeSet<ChangesetId> {
        let (mut past, mut rest) = (BTreeSet::new(), vec![of]);
        while let Some(id) = rest.pop() {
            if past.insert(id) {
                let here = self.changesets[&id];
                rest.extend(here.prev.iter().chain(&here.deps));
            }
        }
        past
    }

    /// The last word of each member on a subject.
    fn said(&self, subject: Subject) -> BTreeMap<MemberId, &'a EntryInfo> {
        let mut said: BTreeMap<MemberId, &EntryInfo> = BTreeMap::new();
        for member in self.words.iter().map(|word| word.member) {
            let own: Vec<(usize, &&EntryInfo)> = self
                .words
                .iter()
                .enumerate()
                .filter(|(_, word)| word.member == member && word.subject == subject)
                .collect();
            let is_replaced = |at: usize, word: &EntryInfo| {
                own.iter().any(|(other, later)| match later.changeset == word.changeset {
                    true => *other > at,
                    false => self.past(later.changeset).contains(&word.changeset),
                })
            };
            let left = own.iter().filter(|(at, word)| !is_replaced(*at, word));
            if let Some((_, word)) =
                left.max_by_key(|(at, word)| (word.time_ms, word.changeset, word.index, *at))
            {
                said.insert(member, word);
            }
        }
        said
    }

    fn mine(&self, subject: Subject) -> Option<Word> {
        self.said(subject).get(&self.me).map(|entry| entry.word)
    }

    fn covers(&self, ban: &EntryInfo, at: &ChangesetSummary) -> bool {
        let outside = || !self.past(ban.changeset).contains(&at.id);
        match ban.word {
            Word::Ban(BanScope::All) => true,
            Word::Ban(BanScope::FromHere) => outside(),
            Word::Ban(BanScope::SinceTime(ms)) => outside() || at.time_ms >= ms,
            Word::Ban(BanScope::SinceChangeset(id)) if self.changesets.contains_key(&id) => {
                id == at.id || !self.past(id).contains(&at.id)
            }
            Word::Ban(BanScope::SinceChangeset(_)) => outside(),
            _ => false,
        }
    }

    /// What somebody thinks of an op: whether it is out, if there is an opinion.
    fn opinion(&self, of: MemberId, at: &ChangesetSummary, index: u32) -> Option<bool> {
        for target in [Target::Op(at.id, index), Target::Changeset(at.id)] {
            match self.said(Subject::Target(target)).get(&of).map(|entry| entry.word) {
                Some(Word::Verdict(Verdict::Exclude)) => return Some(true),
                Some(Word::Verdict(Verdict::Include)) => return Some(false),
                _ => {}
            }
        }
        if of == self.me && at.member == self.me {
            return None;
        }
        [BanSubject::Actor(at.actor), BanSubject::Member(at.member)].into_iter().find_map(|subject| {
            let said = self.said(Subject::Ban(subject));
            said.get(&of).filter(|ban| self.covers(ban, at)).map(|_| true)
        })
    }

    pub fn is_hidden(&self, id: ChangesetId, index: u32) -> bool {
        let at = self.changesets[&id];
        if let Some(is_out) = self.opinion(self.me, at, index) {
            return is_out;
        }
        if at.member == self.me {
            return false;
        }
        let accepted = |subject| self.mine(Subject::Accept(subject)) == Some(Word::Accepted(true));
        if accepted(Accepted::Target(Target::Op(id, index)))
            || accepted(Accepted::Target(Target::Changeset(id)))
        {
            return false;
        }
        if self.mine(Subject::Mode) == Some(Word::Review(true)) && !accepted(Accepted::Member(at.member)) {
            return true;
        }
        let mut sum = 0;
        for member in self.words.iter().map(|word| word.member).collect::<BTreeSet<_>>() {
            if let (true, Some(Word::Weight(weight @ 1..))) =
                (member != self.me, self.mine(Subject::Trust(member)))
            {
                match self.opinion(member, at, index) {
                    Some(true) => sum += weight,
                    Some(false) => sum -= weight,
                    None => {}
                }
            }
        }
        let threshold = match self.mine(Subject::Threshold) {
            Some(Word::Threshold(weight)) => weight.max(1) as i64,
            _ => 1,
        };
        sum >= threshold
    }
}
