//! Views: the space as some of its changesets make it, to be read beside the present.
//!
//! A view is a set of ops, fixed when it is made. Each object that is asked for becomes a copy with a number of its own,
//! good for every method that reads; no method writes one. What arrives later is in no older view.

use super::digest::sorted_hash;
use super::{Env, HoldReason, Replica};
use crate::causal::{ChangesetId, ChangesetIx, ObjectId, OpIx};
use crate::crdt::{Bits, Choice};
use crate::crypto::Digest;
use crate::doc::{ObjectIx, Patch, Selection};
use crate::event::{BanScope, BanSubject, ObjectKind, digest};
use crate::sorted::sort;
use crate::trust::{Policy, Subject, Word};
use foldhash::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Number of a view; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ViewIx(pub u32);

/// Which changesets a view is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// All that are here.
    #[default]
    Now,
    /// Those whose authors claim to have made them by then, in ms since 1970.
    Claimed(u64),
    /// Those that were here by then; own ones since they were made.
    Received(u64),
    /// A changeset and its causal past.
    Past(ChangesetId),
}

/// Some ops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The changeset.
    pub changeset: ChangesetId,
    /// One op of it; all of them if there is none.
    pub index: Option<u32>,
}

/// What a view shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ViewFilter {
    /// Which changesets.
    pub when: When,
    /// Ops that do not count.
    pub exclude: Vec<Target>,
    /// Ops that count all the same, unless a revoke that counts names them.
    pub include: Vec<Target>,
    /// Whose words about what counts are heeded.
    pub policy: PolicyOf,
    /// Bans that nobody said, as if this member had said them now.
    pub ban: Vec<(BanSubject, BanScope)>,
    /// Whether only what a quorum of validators has attested is in.
    pub final_only: bool,
}

/// By which policy a view hides ops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PolicyOf {
    /// That of today.
    #[default]
    Now,
    /// What had been said in the changesets of the view.
    Then,
}

/// Why there is no such view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewFault {
    /// A changeset that is not here.
    #[error("no changeset {0} is known here")]
    Unknown(ChangesetId),
    /// A changeset that is here and waits, and for what if its parents are here.
    #[error("changeset {0} is pending: {reason}", reason = .1.map_or_else(|| "parents are missing".to_owned(), |reason| reason.to_string()))]
    Pending(ChangesetId, Option<HoldReason>),
    /// A changeset has fewer ops.
    #[error("changeset {0} has no op {1}")]
    Index(ChangesetId, u32),
    /// The view was closed.
    #[error("the view is closed")]
    Closed,
}

/// The views that are open.
#[derive(Clone, Debug, Default)]
pub(super) struct Views {
    open: HashMap<ViewIx, View>,
    /// Which view shows what by each copy.
    origins: HashMap<ObjectIx, (ViewIx, ObjectIx)>,
    next: u32,
    next_copy: u32,
}

#[derive(Clone, Debug)]
struct View {
    ops: Selection,
    heads: Vec<ChangesetIx>,
    /// By which it hides ops, where that is not the policy of today.
    policy: Option<Policy>,
    copies: HashMap<ObjectIx, ObjectIx>,
}

impl Views {
    /// Ends all of them; their numbers are not used again.
    pub fn close_all(&mut self) {
        self.open.clear();
        self.origins.clear();
    }

    /// The view that has a copy, and the object that it is a copy of.
    pub fn origin(&self, copy: ObjectIx) -> Option<(ViewIx, ObjectIx)> {
        self.origins.get(&copy).copied()
    }

    /// What views show of an object by each copy of it.
    fn copies(&self, object: ObjectIx) -> impl Iterator<Item = (ObjectIx, &Selection)> {
        self.open.values().filter_map(move |view| Some((*view.copies.get(&object)?, &view.ops)))
    }

    fn get(&self, view: ViewIx) -> Result<&View, ViewFault> {
        self.open.get(&view).ok_or(ViewFault::Closed)
    }

    fn add(&mut self, ops: Selection, heads: Vec<ChangesetIx>, policy: Option<Policy>) -> ViewIx {
        let view = ViewIx(self.next);
        self.next += 1;
        self.open.insert(view, View { ops, heads, policy, copies: HashMap::default() });
        view
    }
}

impl Replica {
    /// What was written to these objects is gone: views show them anew.
    pub(super) fn show_anew(&mut self, objects: &[ObjectIx]) {
        for object in objects {
            for (copy, ops) in self.views.copies(*object) {
                self.fold.copy(self.log.graph(), *object, ops, copy);
            }
        }
    }

    /// Makes a view. Seals the open batch first, so that it can be in it; that of a transaction stays out.
    /// O(changesets + ops / 64).
    pub fn view(&mut self, filter: &ViewFilter, env: &mut Env<'_>) -> Result<ViewIx, ViewFault> {
        self.flush(env);
        let mut chosen = self.chosen(filter.when)?;
        if filter.final_only {
            chosen.iter_mut().zip(self.finals()).for_each(|(chosen, is_final)| *chosen &= is_final);
        }
        let targets = |targets: &[Target]| -> Result<Vec<Range<u32>>, ViewFault> {
            targets.iter().map(|target| self.target(*target)).collect()
        };
        let (without, with) = (targets(&filter.exclude)?, targets(&filter.include)?);
        let bans = filter.ban.iter().map(|(subject, scope)| (Subject::Ban(*subject), Word::Ban(*scope)));
        let policy = match (filter.policy, filter.ban.is_empty()) {
            (PolicyOf::Now, true) => None,
            (PolicyOf::Now, false) => Some(self.tried(bans).0),
            (PolicyOf::Then, _) => {
                let mut policy = self.policy_then(&chosen);
                self.try_words(&mut policy, bans);
                Some(policy)
            }
        };
        let hidden = match &policy {
            None => self.fold.hidden().clone(),
            Some(policy) => self.hidden_by(policy, &chosen),
        };
        let heads = self.log.graph().maximal(&chosen);
        let changesets = (0..).map(ChangesetIx).zip(&chosen).filter(|(_, chosen)| **chosen).map(|(ix, _)| ix);
        let ops = self.fold.select(changesets, &hidden, &without, &with);
        Ok(self.views.add(ops, heads, policy))
    }

    /// A view of everything in which these ops count, as a policy has it. O(ops / 64).
    pub(super) fn open_view_of_all(&mut self, counting: Bits, policy: Policy) -> ViewIx {
        let ops = self.fold.timeline().next_op();
        let mut known = Bits::new(ops);
        known.set(0..ops, true);
        let heads = self.log.graph().heads().collect();
        self.views.add(Selection { known, counting }, heads, Some(policy))
    }

    /// A view of the past of some changesets, in which no policy hides anything. O(changesets + ops / 64).
    pub(super) fn open_plain_view(&mut self, heads: Vec<ChangesetIx>) -> ViewIx {
        let inside = self.log.graph().within(&heads);
        let chosen = (0..).map(ChangesetIx).zip(&inside).filter(|(_, inside)| **inside).map(|(ix, _)| ix);
        let nothing = Bits::new(self.fold.timeline().next_op());
        let ops = self.fold.select(chosen, &nothing, &[], &[]);
        self.views.add(ops, heads, None)
    }

    /// The state hash of such a view, from those of its objects.
    pub(super) fn plain_view_hash(
        &self,
        view: ViewIx,
        mut hashes: Vec<(ObjectId, u8, Digest)>,
    ) -> Option<Digest> {
        let ops = self.view_ops(view).ok()?;
        hashes.extend(self.event_hashes(Some(&Choice::new(&|op: OpIx| ops.get(op.0)))));
        Some(sorted_hash(hashes))
    }

    /// Ends a view: numbers of its objects mean nothing any more.
    pub fn close_view(&mut self, view: ViewIx) {
        let Some(closed) = self.views.open.remove(&view) else { return };
        for copy in closed.copies.into_values() {
            self.views.origins.remove(&copy);
            self.fold.drop_copy(copy);
        }
    }

    /// The number under which a view shows an object. O(ops of the object), the first time.
    pub fn object_in(&mut self, number: ViewIx, object: ObjectIx) -> Result<ObjectIx, ViewFault> {
        let view = self.views.open.get_mut(&number).ok_or(ViewFault::Closed)?;
        if let Some(copy) = view.copies.get(&object) {
            return Ok(*copy);
        }
        let copy = ObjectIx::of_copy(self.views.next_copy);
        self.views.next_copy += 1;
        self.fold.copy(self.log.graph(), object, &view.ops, copy);
        view.copies.insert(object, copy);
        self.views.origins.insert(copy, (number, object));
        Ok(copy)
    }

    /// The changesets of a view that are in the past of no other one of it, ascending.
    pub fn view_heads(&self, view: ViewIx) -> Result<Vec<ChangesetId>, ViewFault> {
        let heads = self.views.get(view)?.heads.iter().map(|head| self.log.graph().id(*head));
        let mut heads: Vec<ChangesetId> = heads.collect();
        sort(&mut heads);
        Ok(heads)
    }

    /// The state hash of a replica that shows what the view shows (docs/format.md §8). O(ops).
    pub fn view_state_hash(&mut self, view: ViewIx) -> Result<Digest, ViewFault> {
        let mut hashes = self.each_in(view, |replica, _, copy| replica.hashed(copy))?;
        let ops = self.view_ops(view)?;
        hashes.extend(self.event_hashes(Some(&Choice::new(&|op: OpIx| ops.get(op.0)))));
        Ok(sorted_hash(hashes))
    }

    /// The view digest of the view's heads: what of their past does not count in it, and what of it has no value here.
    pub fn digest_of_view(&self, view: ViewIx) -> Result<Digest, ViewFault> {
        let ops = &self.views.get(view)?.ops.counting;
        let inside = self.log.graph().within(&self.views.get(view)?.heads);
        let timeline = self.fold.timeline();
        let known = |op: &OpIx| inside[timeline.changeset_of(*op).0 as usize];
        let inside = (0..).map(ChangesetIx).zip(&inside).filter(|(_, inside)| **inside).map(|(ix, _)| ix);
        let off = inside.flat_map(|ix| timeline.ops_of(ix)).filter(|op| !ops.get(*op)).map(OpIx);
        let absent = self.fold.absent().iter().copied().filter(known);
        Ok(digest::view_digest(&self.view_heads(view)?, &self.runs(off), &self.runs(absent)))
    }

    /// Names of the objects with visible content in a view. O(ops).
    pub fn view_names(&mut self, view: ViewIx) -> Result<Vec<(Arc<str>, ObjectKind)>, ViewFault> {
        let shown = self.each_in(view, |replica, object, copy| replica.object_hash(copy).map(|_| object));
        Ok(self.named(shown?.into_iter()))
    }

    /// What turns the state that one view shows into that of another, the keys that lead to what differs included.
    /// O(objects that differ, and maps above them, + ops / 64).
    pub fn view_diff(&mut self, from: ViewIx, to: ViewIx) -> Result<Vec<Patch>, ViewFault> {
        let (a, b) = (&self.views.get(from)?.ops.counting, &self.views.get(to)?.ops.counting);
        let patches = self.fold.diff(self.log.graph(), a, b);
        self.placed(to, patches)
    }

    /// Patches that lead to a view, and the keys that lead to what they change.
    pub(super) fn placed(&mut self, to: ViewIx, patches: Vec<Patch>) -> Result<Vec<Patch>, ViewFault> {
        let above = patches.iter().flat_map(|patch| self.places.above(patch.object)).map(|place| place.map);
        let mut above: Vec<ObjectIx> = above.collect();
        sort(&mut above);
        above.dedup();
        for map in above {
            self.object_in(to, map)?;
        }
        // Where only one of the two shows an object, the key itself differs.
        let copies = &self.views.get(to)?.copies;
        Ok(self.with_places_where(patches, |object, map| self.shows(object, copies[&map], usize::MAX)))
    }

    /// By which policy a view hides ops; that of today where it is closed.
    pub(super) fn policy_in(&self, view: ViewIx) -> &Policy {
        self.views.open.get(&view).and_then(|view| view.policy.as_ref()).unwrap_or(&self.policy)
    }

    /// The ops that count in a view.
    pub(super) fn view_ops(&self, view: ViewIx) -> Result<&Bits, ViewFault> {
        Ok(&self.views.get(view)?.ops.counting)
    }

    /// Asks something of each object and its copy in a view; copies that this made go again.
    fn each_in<T>(
        &mut self,
        view: ViewIx,
        mut ask: impl FnMut(&Self, ObjectIx, ObjectIx) -> Option<T>,
    ) -> Result<Vec<T>, ViewFault> {
        let mut answers = Vec::new();
        for object in (0..self.object_count()).map(ObjectIx) {
            let is_there = self.views.get(view)?.copies.contains_key(&object);
            let copy = self.object_in(view, object)?;
            answers.extend(ask(self, object, copy));
            if !is_there {
                self.drop_from_view(view, object);
            }
        }
        Ok(answers)
    }

    pub(super) fn drop_from_view(&mut self, view: ViewIx, object: ObjectIx) {
        let copy = self.views.open.get_mut(&view).and_then(|view| view.copies.remove(&object));
        if let Some(copy) = copy {
            self.fold.drop_copy(copy);
            self.views.origins.remove(&copy);
        }
    }

    /// Per changeset, whether it is chosen.
    fn chosen(&self, when: When) -> Result<Vec<bool>, ViewFault> {
        let each = (0..self.log.graph().len()).map(ChangesetIx);
        Ok(match when {
            When::Now => each.map(|_| true).collect(),
            When::Claimed(ms) => each.map(|ix| self.fold.timeline().stamp(ix).ms <= ms).collect(),
            When::Received(ms) => each.map(|ix| self.log.entry(ix).received_ms <= ms).collect(),
            When::Past(id) => self.log.graph().within(&[self.in_graph(id)?]),
        })
    }

    pub(super) fn target(&self, target: Target) -> Result<Range<u32>, ViewFault> {
        let ops = self.fold.timeline().ops_of(self.in_graph(target.changeset)?);
        let Some(index) = target.index else { return Ok(ops) };
        let op = ops.start.checked_add(index).filter(|op| *op < ops.end);
        let op = op.ok_or(ViewFault::Index(target.changeset, index))?;
        Ok(op..op + 1)
    }

    pub(super) fn in_graph(&self, id: ChangesetId) -> Result<ChangesetIx, ViewFault> {
        let now = self.renamed.get(&id).copied().unwrap_or(id);
        self.log.graph().get(&now).ok_or_else(|| match self.log.knows(&now) {
            true => ViewFault::Pending(id, self.reason_of(&now)),
            false => ViewFault::Unknown(id),
        })
    }

    fn reason_of(&self, id: &ChangesetId) -> Option<HoldReason> {
        self.pending().into_iter().find(|(pending, _)| pending == id).and_then(|(_, reason)| reason)
    }
}
