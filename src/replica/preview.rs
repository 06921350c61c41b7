//! What words would do that nobody has said, and what stands on what they would hide.

use super::{Env, PolicyFault, Replica, ViewIx};
use crate::causal::{ChangesetIx, Hlc, MemberId, OpIx};
use crate::crdt::Slot;
use crate::doc::{Body, ObjectIx, Patch, Written};
use crate::event::{Op, Target, Verdict};
use crate::trust::{Affected, Entry, Policy, Subject, Word};
use std::collections::BTreeSet;

/// What words would do that nobody has said.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// Changesets of which an op would stand otherwise.
    pub changesets: u32,
    /// Ops that would not count any more.
    pub hidden: u32,
    /// Ops that would count again.
    pub shown: u32,
    /// Whose ops these are.
    pub members: Vec<MemberId>,
    /// Ops that would still count, and make sense only with those that would not.
    pub dependents: u32,
    /// Whose ops these are.
    pub others: Vec<MemberId>,
    /// What would read differently, the keys that lead to it included.
    pub patches: Vec<Patch>,
    /// The space as it would be; to be closed.
    pub view: ViewIx,
}

impl Replica {
    /// What words would do, without saying them. Seals the open batch first. O(words of everybody + ops that they bear on, and
    /// the objects that these are about, + ops / 64), where keys that lead to objects would go O(ops).
    pub fn preview(&mut self, ops: &[Op], env: &mut Env<'_>) -> Result<Preview, PolicyFault> {
        self.check_words(ops)?;
        if self.batch.in_transact {
            return Err(PolicyFault::Transact);
        }
        self.flush(env);
        let (policy, affected) = self.tried(ops.iter().flat_map(Subject::said_by));
        let toggles = self.toggles(&policy, &affected);
        let (changesets, members) = self.written_in(toggles.iter().map(|(op, _)| *op));
        let shown = toggles.iter().filter(|(_, on)| *on).count() as u32;
        let gone = toggles.iter().filter(|(_, on)| !on).map(|(op, _)| *op).collect();
        let standing = self.dependents(&gone);
        let (switched, counting) = self.fold.if_active(&toggles);
        let patches = self.fold.diff_from_now(self.log.graph(), &switched, &counting);
        let view = self.open_view_of_all(counting, policy);
        let patches = self.placed(view, patches).expect("it was opened just now");
        Ok(Preview {
            changesets,
            hidden: toggles.len() as u32 - shown,
            shown,
            members,
            dependents: standing.len() as u32,
            others: self.written_in(standing.into_iter()).1,
            patches,
            view,
        })
    }

    /// In how many changesets ops that come in ascending order are, and who wrote them.
    fn written_in(&self, ops: impl Iterator<Item = OpIx>) -> (u32, Vec<MemberId>) {
        let (mut changesets, mut last, mut members) = (0, None, BTreeSet::new());
        for op in ops {
            let ix = self.fold.timeline().changeset_of(op);
            if last.replace(ix) != Some(ix) {
                changesets += 1;
                members.insert(self.log.author(ix).member);
            }
        }
        (changesets, members.into_iter().collect())
    }

    /// The ops of others, and of this member, that make sense only with some that would go: what was typed inside of their text or
    /// between their elements, and what is in an object that they alone put under its key. Those that would go are not among
    /// them. O(those, and the sequences and events they are about), where objects go with their keys O(ops).
    pub fn dependents(&self, gone: &BTreeSet<OpIx>) -> BTreeSet<OpIx> {
        let mut all = gone.clone();
        let mut fresh: Vec<OpIx> = gone.iter().copied().collect();
        let past = self.fold.past(self.log.graph());
        while !fresh.is_empty() {
            let known = |op: OpIx| all.contains(&op);
            let mut found = self.fold.events().stranded(&past, &fresh, known);
            for object in self.fold.places_of(fresh.iter().copied()).into_keys() {
                match &self.fold.get(object).body {
                    Body::Text(text) => found.extend(text.inside(known)),
                    Body::List(list) => found.extend(list.inside(known)),
                    _ => {}
                }
            }
            if fresh.iter().any(|op| matches!(self.fold.written(*op), Some(Written::Child(..)))) {
                found.extend(self.orphaned(known));
            }
            fresh = found.into_iter().filter(|op| all.insert(*op)).collect();
        }
        all.difference(gone).copied().collect()
    }

    /// The ops on objects that only keys led to which would show them no more. O(ops).
    fn orphaned(&self, gone: impl Fn(OpIx) -> bool + Copy) -> Vec<OpIx> {
        let mut orphans: BTreeSet<ObjectIx> = BTreeSet::new();
        for (at, _) in self.fold.objects() {
            if self.places.above(at).any(|place| orphans.contains(&place.map)) || self.is_orphan(at, gone) {
                orphans.insert(at);
            }
        }
        if orphans.is_empty() {
            return Vec::new();
        }
        let is_orphaned = |op: &OpIx| self.fold.object_of(*op).is_some_and(|of| orphans.contains(&of));
        (0..self.fold.timeline().next_op()).map(OpIx).filter(is_orphaned).collect()
    }

    /// Whether the key that an object is under would show it no more.
    fn is_orphan(&self, object: ObjectIx, gone: impl Fn(OpIx) -> bool) -> bool {
        let Some((map, key)) = self.place_of(object) else { return false };
        let kind = self.kind_of(object);
        let register = self.map(map).and_then(|map| map.get(&Slot::Key(key)));
        let writes = register.into_iter().flat_map(|register| register.writes());
        let is_made = |op: OpIx| matches!(self.fold.written(op), Some(Written::Child(of, _)) if *of == kind);
        let mut makers =
            writes.filter(|(op, _, active)| *active && is_made(*op)).map(|(op, ..)| op).peekable();
        makers.peek().is_some() && makers.all(gone)
    }

    /// Ops as targets: a changeset where all of its ops are among them.
    fn targets_of(&self, ops: &BTreeSet<OpIx>) -> Vec<Target> {
        let mut targets = Vec::new();
        let mut rest = ops.iter().copied().peekable();
        while let Some(first) = rest.peek().copied() {
            let ix = self.fold.timeline().changeset_of(first);
            let (all, id) = (self.fold.timeline().ops_of(ix), self.log.graph().id(ix));
            let here: Vec<OpIx> = std::iter::from_fn(|| rest.next_if(|op| all.contains(&op.0))).collect();
            if here.len() == all.len() {
                targets.push(Target::Changeset(id));
            } else {
                targets.extend(here.into_iter().map(|op| Target::Op(id, op.0 - all.start)));
            }
        }
        targets
    }

    /// The words, and those that exclude what makes sense only with what they would hide.
    pub fn with_dependents(&mut self, mut ops: Vec<Op>, env: &mut Env<'_>) -> Vec<Op> {
        self.flush(env);
        let (policy, affected) = self.tried(ops.iter().flat_map(Subject::said_by));
        let gone =
            self.toggles(&policy, &affected).into_iter().filter(|(_, on)| !on).map(|(op, _)| op).collect();
        let targets = self.targets_of(&self.dependents(&gone));
        if !targets.is_empty() {
            ops.push(Op::PolicyExclude { verdict: Verdict::Exclude, targets });
        }
        ops
    }

    /// The policy as it would be with these words, and what they bear on.
    pub(super) fn tried(&self, words: impl Iterator<Item = (Subject, Word)>) -> (Policy, Vec<Affected>) {
        let mut policy = self.policy.clone();
        let affected = self.try_words(&mut policy, words);
        (policy, affected)
    }

    /// Adds words to a policy that nobody said, as if this member had said them last.
    pub(super) fn try_words(
        &self,
        policy: &mut Policy,
        words: impl Iterator<Item = (Subject, Word)>,
    ) -> Vec<Affected> {
        let mut affected = Vec::new();
        for (subject, word) in words {
            let entry = Entry {
                author: self.member(),
                changeset: ChangesetIx::OPEN,
                index: 0,
                stamp: Hlc::default(),
                subject,
                word,
                reason: None,
                is_private: true,
            };
            affected.extend(policy.add(self.log.graph(), entry));
        }
        affected
    }
}
