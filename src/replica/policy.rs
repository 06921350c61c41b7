//! Policy: what members say about each other's ops, how it is signed and taken in, and what it does to the state.

use super::seal::Sealed;
use super::view::Target as ViewTarget;
use super::{Env, Output, Replica, Source, ViewFault};
use crate::causal::{ActorId, ChangesetId, ChangesetIx, MemberId, OpIx};
use crate::crdt::Bits;
use crate::doc::ObjectIx;
use crate::event::{
    Accepted, BanScope, BanSubject, Class, Content, Op, OpContent, Role, Skeleton, Target, Value, Verdict,
};
use crate::sorted::sort;
use crate::steps;
use crate::trust::{Affected, Authored, Entry, OnAuthor, Policy, Standing, Subject, Word};
use foldhash::HashMap;

/// Targets in one changeset: they fit, whatever they are.
const TARGETS_MAX: usize = 4_000;

/// Bytes of a reason, encoded.
const REASON_BYTES_MAX: usize = 8_192;

/// Why nothing was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyFault {
    /// A transaction is running.
    #[error("policy is signed by itself: not inside a transaction")]
    Transact,
    /// Whoever speaks is whom it is about.
    #[error("nobody bans, trusts or accepts oneself")]
    Oneself,
    /// A changeset that is here has fewer ops.
    #[error("changeset {0} has no op {1}")]
    Index(ChangesetId, u32),
    /// The reason is too long.
    #[error("the reason has more than {REASON_BYTES_MAX} bytes")]
    Reason,
    /// No actor signs here.
    #[error("nobody signs here")]
    Actor,
}

/// Ops to be named, chosen by what they are. Everything is optional and combines with "and".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// Written by this member.
    pub member: Option<MemberId>,
    /// Written by this actor.
    pub actor: Option<ActorId>,
    /// About this object, or what is below it.
    pub object: Option<ObjectIx>,
    /// Claimed time at or after.
    pub since_ms: Option<u64>,
    /// Claimed time before.
    pub until_ms: Option<u64>,
}

/// A word, as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct EntryInfo {
    /// The changeset that says it.
    pub changeset: ChangesetId,
    /// Which op of it.
    pub index: u32,
    /// Who says it.
    pub member: MemberId,
    /// When, by its author's clock, in ms since 1970.
    pub time_ms: u64,
    /// About what.
    pub subject: Subject,
    /// What.
    pub word: Word,
    /// Why.
    pub reason: Option<Value>,
    /// Whether only the member's own devices read it.
    pub is_private: bool,
    /// Whether its author said nothing else on the subject since.
    pub counts: bool,
    /// How much it weighs here; none for one's own words, which decide.
    pub weight: Option<i64>,
    /// Whether what it names has not arrived.
    pub is_pending: bool,
}

/// A changeset that waits for review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its id.
    pub changeset: ChangesetId,
    /// Who wrote it.
    pub member: MemberId,
    /// With which key.
    pub actor: ActorId,
    /// When, by its author's clock, in ms since 1970.
    pub time_ms: u64,
}

impl Replica {
    /// Signs words and takes them in, as many changesets as they need; the last of them. What is not to be published, and what a
    /// reader says, is for this member's own devices. Seals the open batch first.
    pub fn say(
        &mut self,
        ops: Vec<Op>,
        reason: Option<&Value>,
        publish: bool,
        env: &mut Env<'_>,
    ) -> Result<Option<ChangesetId>, PolicyFault> {
        self.check_words(&ops)?;
        if reason.is_some_and(|reason| reason.to_bytes().len() > REASON_BYTES_MAX) {
            return Err(PolicyFault::Reason);
        }
        if self.batch.in_transact {
            return Err(PolicyFault::Transact);
        }
        let actor = self.actor.ok_or(PolicyFault::Actor)?;
        self.flush(env);
        let class = if publish && self.role() >= Role::Writer { Class::Policy } else { Class::Private };
        let mut sealed = Sealed::default();
        for ops in portions(ops) {
            let parents = self.parents(actor, env.now_ms, env, &mut sealed);
            let takes = |op: &&Op| op.content() != OpContent::Nothing;
            let values: Vec<Value> =
                ops.iter().filter(takes).map(|_| reason.cloned().unwrap_or(Value::Null)).collect();
            let content = (!values.is_empty()).then(|| Content { values, ..Content::default() });
            let skeleton = Skeleton { hlc: self.clock.tick(env.now_ms), ops, ..Skeleton::default() };
            self.sign_apart(class, actor, parents, (&skeleton, content.as_ref()), &mut sealed, env);
        }
        let last = sealed.ids.last().copied();
        if last.is_some() {
            self.store_own(actor, sealed, env);
        }
        self.integrate_ready(env);
        Ok(last)
    }

    /// Whether these words could be said.
    pub fn check_words(&self, ops: &[Op]) -> Result<(), PolicyFault> {
        for (subject, word) in ops.iter().flat_map(Subject::said_by) {
            let is_oneself = match subject {
                Subject::Ban(BanSubject::Member(member)) | Subject::Trust(member) => member == self.member(),
                Subject::Accept(Accepted::Member(member)) => member == self.member(),
                Subject::Ban(BanSubject::Actor(actor)) => self.member_of(actor) == Some(self.member()),
                _ => false,
            };
            if is_oneself {
                return Err(PolicyFault::Oneself);
            }
            let takes_back = matches!(word, Word::Verdict(Verdict::None) | Word::Accepted(false));
            if !takes_back
                && let Some(Target::Op(id, index)) = subject.target()
                && let Some(ix) = self.log.graph().get(&id)
                && index >= self.fold.timeline().ops_of(ix).len() as u32
            {
                return Err(PolicyFault::Index(id, index));
            }
        }
        Ok(())
    }

    /// The ops that a selection chooses among those that are here, as targets: whole changesets where it chooses all of one.
    /// Policy is never chosen. O(changesets).
    pub fn targets(&self, selected: &Selected) -> Vec<Target> {
        let mut targets = Vec::new();
        for ix in (0..self.log.graph().len()).map(ChangesetIx) {
            let at = self.authored(ix, self.fold.timeline().stamp(ix).ms);
            let ops = self.fold.timeline().ops_of(ix);
            let fits = selected.member.is_none_or(|member| member == at.member)
                && selected.actor.is_none_or(|actor| actor == at.actor)
                && selected.since_ms.is_none_or(|ms| at.time_ms >= ms)
                && selected.until_ms.is_none_or(|ms| at.time_ms < ms);
            if !fits || ops.is_empty() {
                continue;
            }
            let is_about = |op: &u32| {
                let of = || self.fold.object_of(OpIx(*op));
                match selected.object {
                    None => self.fold.has_effect(OpIx(*op)),
                    Some(object) => of().is_some_and(|of| self.places.is_within(of, object)),
                }
            };
            let chosen: Vec<u32> = ops.clone().filter(is_about).collect();
            if chosen.len() == ops.len() {
                targets.push(Target::Changeset(at.id));
            } else {
                targets.extend(chosen.into_iter().map(|op| Target::Op(at.id, op - ops.start)));
            }
        }
        targets
    }

    /// Verdicts on what a member or an actor wrote, as verdicts on all of it that is here: no changeset has the id of either.
    pub fn spelled_out(&self, mut words: Vec<Op>) -> Vec<Op> {
        for word in &mut words {
            let Op::PolicyExclude { verdict: Verdict::Exclude | Verdict::Include, targets } = word else {
                continue;
            };
            for target in std::mem::take(targets) {
                let selected = match target {
                    Target::Changeset(id) if self.log.graph().get(&id).is_none() => self.written_by(id.0),
                    _ => None,
                };
                match selected {
                    Some(selected) => targets.extend(self.targets(&selected)),
                    None => targets.push(target),
                }
            }
        }
        words
    }

    /// What chooses all of a member's, or of an actor's, if the id is that of one.
    pub(super) fn written_by(&self, id: [u8; 32]) -> Option<Selected> {
        let (member, actor) = (MemberId(id), ActorId(id));
        if self.is_member(member) {
            return Some(Selected { member: Some(member), ..Selected::default() });
        }
        self.member_of(actor).map(|_| Selected { actor: Some(actor), ..Selected::default() })
    }

    /// All words that are readable here, in the order in which they arrived.
    pub fn entries(&self) -> Vec<EntryInfo> {
        (0..self.policy.entries().len() as u32).map(|number| self.entry_info(number)).collect()
    }

    /// Who says what of a changeset, an op, a member or an actor: one word a member, one's own first.
    pub fn votes(&self, subject: Subject) -> Vec<EntryInfo> {
        self.policy.said_on(subject).into_iter().map(|number| self.entry_info(number)).collect()
    }

    /// How an op stands here, or a changeset as a whole, and the words that were looked at to say so, by rank.
    pub fn standing(&self, target: ViewTarget) -> Result<(Standing, Vec<EntryInfo>), ViewFault> {
        self.target(target)?;
        let ix = self.in_graph(target.changeset)?;
        let at = self.authored(ix, self.fold.timeline().stamp(ix).ms);
        let mut considered = Vec::new();
        let mut consider = |number| considered.push(number);
        let standing = self.policy.judge(self.log.graph(), &at, target.index, &mut consider);
        Ok((standing, considered.into_iter().map(|number| self.entry_info(number)).collect()))
    }

    /// Whether what others write waits for review.
    pub fn reviews(&self) -> bool {
        self.policy.reviews()
    }

    /// How much weight hides something.
    pub fn threshold(&self) -> u64 {
        self.policy.threshold()
    }

    /// Changesets of which something waits for review, in causal order. O(changesets of others).
    pub fn inbox(&self) -> Vec<Waiting> {
        if !self.policy.reviews() {
            return Vec::new();
        }
        let waits = |ix: &ChangesetIx| {
            let ops = self.fold.timeline().ops_of(*ix);
            let at = self.authored(*ix, self.fold.timeline().stamp(*ix).ms);
            let is_data = ops.clone().any(|op| self.fold.has_effect(OpIx(op)));
            let standing = |index| self.policy.judge(self.log.graph(), &at, Some(index), &mut |_| {});
            is_data && (0..ops.len() as u32).any(|index| standing(index) == Standing::Waits)
        };
        let waiting = |ix| {
            let at = self.authored(ix, self.fold.timeline().stamp(ix).ms);
            Waiting { changeset: at.id, member: at.member, actor: at.actor, time_ms: at.time_ms }
        };
        (0..self.log.graph().len()).map(ChangesetIx).filter(waits).map(waiting).collect()
    }

    /// Whether something that this member wrote is here.
    pub fn is_member(&self, member: MemberId) -> bool {
        let mut actors = self.log.graph().actor_ids();
        member == self.member() || actors.any(|actor| self.member_of(actor) == Some(member))
    }

    /// How many ops of a changeset are hidden here.
    pub(super) fn hidden_ops(&self, ix: ChangesetIx) -> u32 {
        self.fold.hidden_in(self.fold.timeline().ops_of(ix)).count() as u32
    }

    /// Takes in what a changeset says, if it says something.
    pub(super) fn take_words(&mut self, at: &Authored, skeleton: &Skeleton, content: Option<&Content>) {
        if !skeleton.ops.iter().any(|op| op.fits(Class::Policy) && !matches!(op, Op::Skipped { .. })) {
            return;
        }
        let header = self.log.entry(at.changeset).changeset().map(|changeset| changeset.header().class());
        let is_private = header == Some(Ok(Class::Private));
        let mut reasons = content.map(|content| content.by_op(&skeleton.ops));
        let mut affected = Vec::new();
        let is_mine = at.member == self.member();
        let is_mode = |op: &Op| matches!(op, Op::PolicyMode { .. });
        let reviews = self.policy.reviews() || skeleton.ops.iter().any(is_mode);
        let before = (is_mine && reviews).then(|| self.policy.clone());
        for (op, index) in skeleton.ops.iter().zip(0..) {
            let values = reasons.as_mut().and_then(Iterator::next).map_or(&[][..], |(_, values)| values);
            let reason = values.first().filter(|value| **value != Value::Null);
            for (subject, word) in Subject::said_by(op) {
                let entry = Entry {
                    author: at.member,
                    changeset: at.changeset,
                    index,
                    stamp: skeleton.hlc,
                    subject,
                    word,
                    reason: reason.cloned(),
                    is_private,
                };
                let said = self.entries_with(at.member, subject);
                affected.extend(self.policy.add(self.log.graph(), entry));
                self.touch_entries(at.member, said);
            }
        }
        if let Some(before) = before {
            self.touch_waiting(&affected, &before);
        }
        self.reconsider(&affected, at);
        self.outputs.push_back(Output::Policy);
    }

    /// Bans that named a changeset before it arrived have their point now.
    pub(super) fn hear_awaited(&mut self, at: &Authored) {
        let affected = self.policy.arrived(&at.id);
        if !affected.is_empty() {
            self.reconsider(&affected, at);
        }
        if self.policy.reviews() && at.member != self.member() {
            self.outputs.push_back(Output::Policy);
        }
    }

    /// Judges anew what a word bears on, and toggles what stands otherwise.
    pub(super) fn reconsider(&mut self, affected: &[Affected], by: &Authored) {
        let toggles = self.toggles(&self.policy, affected);
        if !toggles.is_empty() {
            self.fold.set_active(self.log.graph(), toggles);
        }
        self.report(Source::Policy, (by.member, by.actor), Some(by.id));
    }

    /// Judges every op anew: what was loaded is as another member sees it.
    pub(super) fn judge_all(&mut self) {
        let toggles = self.toggles(&self.policy, &[Affected::Others, Affected::Member(self.member())]);
        self.fold.set_active(self.log.graph(), toggles);
        self.fold.take_patches();
    }

    /// The ops that stand otherwise under a policy than now, among those it bears on, ascending. O(ops of those).
    pub(super) fn toggles(&self, policy: &Policy, affected: &[Affected]) -> Vec<(OpIx, bool)> {
        let mut toggles = Vec::new();
        let mut authors = HashMap::default();
        for ix in self.reached(affected) {
            let mut was = self.fold.hidden_in(self.fold.timeline().ops_of(ix)).peekable();
            for op in self.hidden_by_in(policy, &mut authors, ix) {
                toggles.extend(std::iter::from_fn(|| was.next_if(|was| *was < op)).map(|was| (was, true)));
                if was.next_if_eq(&op).is_none() {
                    toggles.push((op, false));
                }
            }
            toggles.extend(was.map(|was| (was, true)));
        }
        toggles
    }

    /// The changesets that a word bears on, ascending.
    pub(super) fn reached(&self, affected: &[Affected]) -> Vec<ChangesetIx> {
        let graph = self.log.graph();
        let mut reached = Vec::new();
        let mut of = |actor: ActorId, chosen: &dyn Fn(MemberId) -> bool| {
            for lane in graph.lanes(&actor) {
                if chosen(self.log.author(lane[0]).member) {
                    reached.extend(lane);
                }
            }
        };
        let mut targets = Vec::new();
        for affected in affected {
            match affected {
                Affected::Target(Target::Changeset(id) | Target::Op(id, _)) => targets.extend(graph.get(id)),
                Affected::Actor(actor) => of(*actor, &|_| true),
                Affected::Member(one) => {
                    graph.actor_ids().for_each(|actor| of(actor, &|member| member == *one))
                }
                Affected::Others => {
                    graph.actor_ids().for_each(|actor| of(actor, &|member| member != self.member()));
                }
            }
        }
        reached.extend(targets);
        sort(&mut reached);
        reached.dedup();
        reached
    }

    /// The policy of the words that stand in some changesets.
    pub(super) fn policy_then(&self, chosen: &[bool]) -> Policy {
        let entries = self.policy.entries().iter().filter(|entry| chosen[entry.changeset.0 as usize]);
        let doubted = self.inquiry.cases.doubted(Some(chosen), |actor| self.member_of(actor));
        Policy::of(self.member(), self.log.graph(), entries.cloned()).doubting(doubted)
    }

    /// The ops of some changesets that a policy hides.
    pub(super) fn hidden_by(&self, policy: &Policy, chosen: &[bool]) -> Bits {
        let mut hidden = Bits::new(self.fold.timeline().next_op());
        let mut authors = HashMap::default();
        for ix in (0..).map(ChangesetIx).zip(chosen).filter(|(_, chosen)| **chosen).map(|(ix, _)| ix) {
            self.hidden_by_in(policy, &mut authors, ix).for_each(|op| hidden.set(op.0..op.0 + 1, true));
        }
        hidden
    }

    /// The ops of a changeset that a policy hides, ascending; `authors` keeps what was looked up of those that were met.
    pub(super) fn hidden_by_in(
        &self,
        policy: &Policy,
        authors: &mut HashMap<ActorId, OnAuthor>,
        ix: ChangesetIx,
    ) -> impl Iterator<Item = OpIx> {
        steps::count(1);
        let ops = self.fold.timeline().ops_of(ix);
        let at = self.authored(ix, self.fold.timeline().stamp(ix).ms);
        let on = authors.entry(at.actor).or_insert_with(|| policy.on_author(at.actor, at.member));
        let hidden = policy.hidden_by(on, self.log.graph(), &at, ops.len() as u32).into_iter().flatten();
        hidden.map(move |index| OpIx(ops.start + index)).filter(|op| self.fold.has_effect(*op))
    }

    pub(super) fn authored(&self, ix: ChangesetIx, time_ms: u64) -> Authored {
        Authored {
            changeset: ix,
            id: self.log.graph().id(ix),
            actor: self.log.graph().actor(ix),
            member: self.log.author(ix).member,
            time_ms,
        }
    }

    /// Whose actor it is, if something of it is here.
    pub(super) fn member_of(&self, actor: ActorId) -> Option<MemberId> {
        if self.identity.actor_key(actor).is_some() {
            return Some(self.member());
        }
        self.log.graph().lanes(&actor).next().map(|lane| self.log.author(lane[0]).member)
    }

    pub(super) fn entry_info(&self, number: u32) -> EntryInfo {
        let entry = &self.policy.entries()[number as usize];
        let named = match (entry.subject.target(), entry.word) {
            (Some(Target::Changeset(id) | Target::Op(id, _)), _)
            | (None, Word::Ban(BanScope::SinceChangeset(id))) => Some(id),
            _ => None,
        };
        EntryInfo {
            changeset: self.log.graph().id(entry.changeset),
            index: entry.index,
            member: entry.author,
            time_ms: entry.stamp.ms,
            subject: entry.subject,
            word: entry.word,
            reason: entry.reason.clone(),
            is_private: entry.is_private,
            counts: self.policy.counts(number),
            weight: (entry.author != self.member()).then(|| self.policy.weight(entry.author)),
            is_pending: named.is_some_and(|id| self.log.graph().get(&id).is_none()),
        }
    }

    /// Changesets that were signed anew have other ids: what names them goes along.
    pub(super) fn rename_targets(&self, op: &mut Op) {
        let rename = |id: &mut ChangesetId| *id = self.renamed.get(id).copied().unwrap_or(*id);
        let target = |target: &mut Target| match target {
            Target::Changeset(id) | Target::Op(id, _) => rename(id),
        };
        match op {
            Op::PolicyExclude { targets, .. } => targets.iter_mut().for_each(target),
            Op::PolicyAccept { subject: Accepted::Target(one), .. } => target(one),
            Op::PolicyBan { scope: BanScope::SinceChangeset(id), .. } => rename(id),
            _ => {}
        }
    }
}

/// Ops in as many parts as there are changesets to be, none with more targets than fit.
fn portions(ops: Vec<Op>) -> Vec<Vec<Op>> {
    let (mut portions, mut room) = (vec![Vec::new()], TARGETS_MAX);
    let mut put = |op: Op, weight: usize| {
        if weight > room {
            portions.push(Vec::new());
            room = TARGETS_MAX;
        }
        room -= weight;
        portions.last_mut().expect("there is one from the start").push(op);
    };
    for op in ops {
        match op {
            Op::PolicyExclude { verdict, targets } => {
                for targets in targets.chunks(TARGETS_MAX) {
                    put(Op::PolicyExclude { verdict, targets: targets.to_vec() }, targets.len());
                }
            }
            // A reason stands beside each of the other ops.
            op => put(op, TARGETS_MAX / 16),
        }
    }
    portions.retain(|ops| !ops.is_empty());
    portions
}
