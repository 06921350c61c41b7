//! All words of all members, and what one of them makes of it.

use super::{Entry, Subject, Word};
use crate::causal::{ActorId, CausalGraph, ChangesetId, ChangesetIx, MemberId};
use crate::event::{BanScope, BanSubject, Target, Verdict};
use crate::sorted::sort_by_key;
use foldhash::HashMap;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// What may stand otherwise after a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Affected {
    /// A changeset or an op.
    Target(Target),
    /// What a member wrote.
    Member(MemberId),
    /// What an actor wrote.
    Actor(ActorId),
    /// What others wrote.
    Others,
}

/// The policy of a space as one member sees it.
///
/// Invariant: a register holds the words that no other of its words has in its causal past, the winner first.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(super) me: MemberId,
    entries: Vec<Entry>,
    registers: HashMap<MemberId, HashMap<Subject, Vec<u32>>>,
    speakers: HashMap<Subject, BTreeSet<MemberId>>,
    /// Whom I trust, and how much: above 0.
    trusted: BTreeMap<MemberId, i64>,
    /// Changesets with a word of their own, or for ops of theirs: which ones.
    named: HashMap<ChangesetId, BTreeSet<u32>>,
    /// From which of their changesets on actors are in doubt, whatever anybody says.
    doubted: BTreeMap<ActorId, u32>,
    /// Bans since changesets that had not arrived.
    awaited: HashMap<ChangesetId, Vec<BanSubject>>,
}

impl Policy {
    /// Nobody said anything.
    #[must_use]
    pub fn new(me: MemberId) -> Self {
        Self {
            me,
            entries: Vec::new(),
            registers: HashMap::default(),
            speakers: HashMap::default(),
            trusted: BTreeMap::new(),
            named: HashMap::default(),
            awaited: HashMap::default(),
            doubted: BTreeMap::new(),
        }
    }

    /// The same with these actors in doubt, each from one of its changesets on: that is proven, and hides what no word of mine shows.
    #[must_use]
    pub fn doubting(self, doubted: BTreeMap<ActorId, u32>) -> Self {
        Self { doubted, ..self }
    }

    /// Other actors are in doubt now. Says what to judge anew.
    pub fn doubt(&mut self, doubted: BTreeMap<ActorId, u32>) -> Vec<Affected> {
        let before = std::mem::replace(&mut self.doubted, doubted);
        let all = before.keys().chain(self.doubted.keys().filter(|actor| !before.contains_key(actor)));
        let is_other = |actor: &&ActorId| before.get(actor) != self.doubted.get(actor);
        all.filter(is_other).map(|actor| Affected::Actor(*actor)).collect()
    }

    /// Which actors are in doubt, and from where on.
    #[must_use]
    pub fn doubted(&self) -> &BTreeMap<ActorId, u32> {
        &self.doubted
    }

    /// What these words make, in the order in which they were taken in.
    #[must_use]
    pub fn of(me: MemberId, graph: &CausalGraph, entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut policy = Self::new(me);
        entries.into_iter().for_each(|entry| drop(policy.add(graph, entry)));
        policy
    }

    /// Takes a word in; its changeset was added to the graph last, or is the one that is only tried. Says what to judge anew.
    /// O(rival words), and what somebody said for a word of trust in them.
    pub fn add(&mut self, graph: &CausalGraph, entry: Entry) -> Vec<Affected> {
        let (author, subject) = (entry.author, entry.subject);
        let number = self.entries.len() as u32;
        match subject.target() {
            Some(Target::Op(id, index)) => drop(self.named.entry(id).or_default().insert(index)),
            Some(Target::Changeset(id)) => drop(self.named.entry(id).or_default()),
            None => {}
        }
        if let (Subject::Ban(of), Word::Ban(BanScope::SinceChangeset(id))) = (subject, entry.word)
            && graph.get(&id).is_none()
        {
            self.awaited.entry(id).or_default().push(of);
        }
        let entries = &mut self.entries;
        entries.push(entry);
        let last = &entries[number as usize];
        let register = self.registers.entry(author).or_default().entry(subject).or_default();
        let before = register.first().map(|at| entries[*at as usize].word);
        register.retain(|at| !is_before(graph, &entries[*at as usize], last));
        register.push(number);
        sort_by_key(register, |at| {
            let entry = &entries[*at as usize];
            let id = (entry.changeset != ChangesetIx::OPEN).then(|| graph.id(entry.changeset));
            Reverse((id.is_none(), entry.stamp, id, entry.index, *at))
        });
        let after = register.first().map(|at| entries[*at as usize].word);
        if before.is_none() {
            self.speakers.entry(subject).or_default().insert(author);
        }
        // A ban may reach as far as before and yet from another point.
        if before == after && !matches!(subject, Subject::Ban(_)) {
            return Vec::new();
        }
        self.consequences(author, subject, after)
    }

    fn consequences(&mut self, author: MemberId, subject: Subject, word: Option<Word>) -> Vec<Affected> {
        if author != self.me {
            return if self.trusted.contains_key(&author) { affected(subject) } else { Vec::new() };
        }
        match (subject, word) {
            (Subject::Trust(member), Some(Word::Weight(weight))) if member != self.me => {
                if weight > 0 {
                    self.trusted.insert(member, weight);
                } else {
                    self.trusted.remove(&member);
                }
                self.said_of_others(member)
            }
            (Subject::Threshold, _) => {
                let trusted: Vec<MemberId> = self.trusted.keys().copied().collect();
                trusted.into_iter().flat_map(|member| self.said_of_others(member)).collect()
            }
            _ => affected(subject),
        }
    }

    fn said_of_others(&self, member: MemberId) -> Vec<Affected> {
        let subjects = self.registers.get(&member).into_iter().flat_map(HashMap::keys);
        let hides = |subject: &&Subject| matches!(subject, Subject::Target(_) | Subject::Ban(_));
        subjects.filter(hides).flat_map(|subject| affected(*subject)).collect()
    }

    /// A changeset arrived: the bans that named it before.
    pub fn arrived(&mut self, id: &ChangesetId) -> Vec<Affected> {
        let bans = self.awaited.remove(id).unwrap_or_default();
        bans.into_iter().flat_map(|subject| affected(Subject::Ban(subject))).collect()
    }

    /// Whether nothing can be hidden.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        !self.registers.contains_key(&self.me) && self.doubted.is_empty()
    }

    /// The words that count, and those that were replaced, in the order in which they arrived.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The numbers of the words that count on a subject: one a member, mine first.
    #[must_use]
    pub fn said_on(&self, subject: Subject) -> Vec<u32> {
        let speakers = self.speakers.get(&subject).into_iter().flatten().copied();
        let mut found: Vec<u32> = speakers.filter_map(|member| self.winner(member, subject)).collect();
        sort_by_key(&mut found, |at| (self.entries[*at as usize].author != self.me, *at));
        found
    }

    /// Whether a word is the one that counts of its author on its subject.
    #[must_use]
    pub fn counts(&self, number: u32) -> bool {
        let entry = &self.entries[number as usize];
        self.winner(entry.author, entry.subject) == Some(number)
    }

    /// How much the words of a member weigh for me; 0 for whom I do not trust.
    #[must_use]
    pub fn weight(&self, member: MemberId) -> i64 {
        self.trusted.get(&member).copied().unwrap_or(0)
    }

    /// How much weight hides something; 1 at least.
    #[must_use]
    pub fn threshold(&self) -> u64 {
        match self.word(self.me, Subject::Threshold) {
            Some(Word::Threshold(weight)) => weight.max(1),
            _ => 1,
        }
    }

    /// Whether what others write waits for my review.
    #[must_use]
    pub fn reviews(&self) -> bool {
        self.word(self.me, Subject::Mode) == Some(Word::Review(true))
    }

    /// What I say on a subject.
    #[must_use]
    pub fn own_word(&self, subject: Subject) -> Option<Word> {
        self.word(self.me, subject)
    }

    pub(super) fn entry(&self, number: u32) -> &Entry {
        &self.entries[number as usize]
    }

    /// The number of the word of a member that counts on a subject.
    pub(super) fn winner(&self, member: MemberId, subject: Subject) -> Option<u32> {
        self.registers.get(&member)?.get(&subject)?.first().copied()
    }

    pub(super) fn word(&self, member: MemberId, subject: Subject) -> Option<Word> {
        self.winner(member, subject).map(|number| self.entry(number).word)
    }

    /// Ops of a changeset that have a word of their own; none if neither they nor the changeset has one.
    pub(super) fn named(&self, id: &ChangesetId) -> Option<&BTreeSet<u32>> {
        self.named.get(id)
    }

    /// Those whom I trust and who spoke on a subject, with their weights.
    pub(super) fn trusted_on(&self, subject: Subject) -> Vec<(MemberId, i64)> {
        let Some(speakers) = self.speakers.get(&subject) else { return Vec::new() };
        let weighed = |(member, weight): (&MemberId, &i64)| (*member, *weight);
        if self.trusted.len() <= speakers.len() {
            self.trusted.iter().filter(|(member, _)| speakers.contains(member)).map(weighed).collect()
        } else {
            speakers.iter().filter_map(|member| self.trusted.get_key_value(member)).map(weighed).collect()
        }
    }

    /// Whether a member says of an op, or of its changeset, that it should not count or that it should.
    #[must_use]
    pub fn said_of(&self, member: MemberId, changeset: ChangesetId, index: u32) -> Option<bool> {
        let targets = [Target::Op(changeset, index), Target::Changeset(changeset)];
        targets.into_iter().find_map(|target| self.verdict(member, target)).map(|(is_out, _)| is_out)
    }

    /// The verdict of a member on a target, if it has one.
    pub(super) fn verdict(&self, member: MemberId, target: Target) -> Option<(bool, u32)> {
        let number = self.winner(member, Subject::Target(target))?;
        match self.entry(number).word {
            Word::Verdict(Verdict::Exclude) => Some((true, number)),
            Word::Verdict(Verdict::Include) => Some((false, number)),
            _ => None,
        }
    }
}

/// Whether a word has another in its past: it replaces it.
fn is_before(graph: &CausalGraph, past: &Entry, of: &Entry) -> bool {
    of.changeset == ChangesetIx::OPEN
        || past.changeset == of.changeset
        || (past.changeset != ChangesetIx::OPEN && graph.contains(of.changeset, past.changeset))
}

fn affected(subject: Subject) -> Vec<Affected> {
    use crate::event::Accepted;
    match subject {
        Subject::Target(target) | Subject::Accept(Accepted::Target(target)) => vec![Affected::Target(target)],
        Subject::Ban(BanSubject::Member(member)) | Subject::Accept(Accepted::Member(member)) => {
            vec![Affected::Member(member)]
        }
        Subject::Ban(BanSubject::Actor(actor)) => vec![Affected::Actor(actor)],
        Subject::Mode => vec![Affected::Others],
        Subject::Trust(_) | Subject::Threshold => Vec::new(),
    }
}
