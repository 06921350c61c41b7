//! Undo and redo: signed revokes of the member's own ops, grouped by gesture.
//!
//! The stack is derived from the log: it is what the changesets of the lane that this tab signs say, in their order. So it is
//! the same after a restart, and nothing that others do moves it. Undoing revokes the ops of a group; redoing revokes that
//! revoke; a new edit ends what could be redone.

use super::seal::OpenBatch;
use super::{Env, Replica, Source};
use crate::causal::{ActorId, ChangesetIx, OpIx};
use crate::crdt::Slot;
use crate::doc::ObjectIx;
use std::ops::Range;

/// Edits outside of transactions belong together if they begin no later than this after those before were sealed, which
/// happens every second or so while somebody types.
const GESTURE_MS: u64 = 500;

/// What can be undone and redone on one lane.
#[derive(Clone, Debug, Default)]
pub(super) struct UndoStack {
    actor: Option<ActorId>,
    /// The seq of the first changeset that is not in it.
    next: u32,
    done: Vec<Done>,
    undone: Vec<Undone>,
    /// The group that loose edits of an actor go on with, and when the last of them were sealed.
    gesture: Option<(ActorId, u64, u64)>,
    /// The number that everything gets meanwhile, once there is one.
    shared: Option<Option<u64>>,
}

/// A group that is in effect.
#[derive(Clone, Debug)]
struct Done {
    group: u64,
    ops: Vec<Range<u32>>,
}

/// A group, or a part of one, that was undone.
#[derive(Clone, Debug)]
struct Undone {
    group: u64,
    ops: Vec<Range<u32>>,
    revoke: u32,
}

impl UndoStack {
    /// The group number of a batch that is being signed; `fresh` was never used on its lane.
    pub fn group_for(&mut self, open: &OpenBatch, actor: ActorId, fresh: u64, now_ms: u64) -> u64 {
        if let Some(shared) = &mut self.shared {
            return *shared.get_or_insert(fresh);
        }
        let goes_on = self.gesture.filter(|(of, _, last_ms)| {
            let begun_ms = open.begun_ms.unwrap_or(0);
            !open.is_step && *of == actor && begun_ms.saturating_sub(*last_ms) <= GESTURE_MS
        });
        let group = goes_on.map_or(fresh, |(_, group, _)| group);
        self.gesture = (!open.is_step).then_some((actor, group, now_ms));
        group
    }
}

impl Replica {
    /// Everything that is edited until [`Replica::end_undo_group`] is undone at once; if `is_none`, never.
    pub fn begin_undo_group(&mut self, is_none: bool, env: &mut Env<'_>) {
        self.flush(env);
        self.undo.shared = Some(is_none.then_some(0));
    }

    /// The group is complete.
    pub fn end_undo_group(&mut self, env: &mut Env<'_>) {
        self.flush(env);
        self.undo.shared = None;
        self.undo.gesture = None;
    }

    /// Takes back the last group that has an op in effect on one of the objects or below it, on any if there are none;
    /// what was written to the keys that lead to one of them counts too. Says whether there was one. Seals the open batch first. Not inside a transaction.
    pub fn undo(&mut self, scope: &[ObjectIx], env: &mut Env<'_>) -> bool {
        self.flush(env);
        self.update_undo();
        let found = self.undo.done.iter().rev().find_map(|done| {
            let ops = self.in_scope(&done.ops, scope);
            ops.iter().cloned().flatten().any(|op| self.fold.is_active(OpIx(op))).then_some(ops)
        });
        found.is_some_and(|ops| self.revoke(ops.into(), env))
    }

    /// Brings back what was undone last on one of the objects, or on any; says whether there was something.
    pub fn redo(&mut self, scope: &[ObjectIx], env: &mut Env<'_>) -> bool {
        self.flush(env);
        self.update_undo();
        let found = self.redoable(scope);
        found.is_some_and(|revoke| self.revoke(std::iter::once(revoke..revoke + 1).collect(), env))
    }

    /// Whether [`Replica::undo`] would take something back.
    pub fn can_undo(&mut self, scope: &[ObjectIx]) -> bool {
        self.update_undo();
        let open = self.fold.batch_objects();
        let within = |object| scope.iter().any(|one| self.places.is_within(object, *one));
        let in_scope = |object: &ObjectIx| scope.is_empty() || within(*object);
        open.iter().any(in_scope)
            || self.undo.done.iter().rev().any(|done| {
                let ops = self.in_scope(&done.ops, scope);
                ops.into_iter().flatten().any(|op| self.fold.is_active(OpIx(op)))
            })
    }

    /// Whether [`Replica::redo`] would bring something back.
    pub fn can_redo(&mut self, scope: &[ObjectIx]) -> bool {
        self.update_undo();
        self.fold.batch_objects().is_empty() && self.redoable(scope).is_some()
    }

    fn redoable(&self, scope: &[ObjectIx]) -> Option<u32> {
        let of = |undone: &&Undone| !self.in_scope(&undone.ops, scope).is_empty();
        self.undo.undone.iter().rev().find(of).map(|undone| undone.revoke)
    }

    fn revoke(&mut self, targets: Box<[Range<u32>]>, env: &mut Env<'_>) -> bool {
        let Some(actor) = self.actor.filter(|_| self.may_write().is_ok()) else { return false };
        self.report_own();
        self.fold.revoke(self.log.graph(), targets);
        self.report(Source::Undo, (self.member(), actor), None);
        self.begin_batch(env);
        self.undo.gesture = None;
        self.batch.is_step = true;
        self.end_transact(env);
        true
    }

    /// Those of the ops that are about one of the objects, what is below it, or a key that leads to it; as ranges.
    fn in_scope(&self, ops: &[Range<u32>], scope: &[ObjectIx]) -> Vec<Range<u32>> {
        if scope.is_empty() {
            return ops.to_vec();
        }
        let leads = |op: OpIx, object: ObjectIx| {
            let mut above = self.places.above(object);
            above.any(|place| self.fold.touches(op, Some(place.map), Some(&[Slot::Key(place.key)])))
        };
        let of = |op: &u32| {
            let about = self.fold.object_of(OpIx(*op));
            about.is_some_and(|about| scope.iter().any(|object| self.places.is_within(about, *object)))
                || scope.iter().any(|object| leads(OpIx(*op), *object))
        };
        let mut found: Vec<Range<u32>> = Vec::new();
        for range in ops {
            let first = found.len();
            for op in range.clone().filter(of) {
                match found[first..].last_mut() {
                    Some(last) if last.end == op => last.end += 1,
                    _ => found.push(op..op + 1),
                }
            }
        }
        found
    }

    /// Reads on in the lane that is signed here.
    fn update_undo(&mut self) {
        let Some(actor) = self.actor else { return };
        if self.undo.actor != Some(actor) {
            self.undo = UndoStack { actor: Some(actor), shared: self.undo.shared, ..UndoStack::default() };
        }
        let Some(tip) = self.own_tip(actor) else { return };
        let length = self.log.graph().seq(tip) + 1;
        for steps in (0..length.saturating_sub(self.undo.next)).rev() {
            if let Some(ix) = self.log.graph().nth_prev(tip, steps) {
                self.note_own(ix);
            }
        }
        self.undo.next = length;
    }

    fn note_own(&mut self, ix: ChangesetIx) {
        let ops = self.fold.timeline().ops_of(ix);
        let group = self.fold.timeline().undo_group(ix);
        if ops.is_empty() || group == 0 {
            return;
        }
        let Some(targets) = self.fold.revoked_by(OpIx(ops.start)).map(<[_]>::to_vec) else {
            self.undo.undone.clear();
            match self.undo.done.last_mut() {
                Some(last) if last.group == group => last.ops.push(ops),
                _ => self.undo.done.push(Done { group, ops: vec![ops] }),
            }
            return;
        };
        let named = targets.first().map_or(ops.start, |target| target.start);
        match self.undo.undone.iter().position(|undone| undone.revoke == named) {
            Some(at) => {
                let again = self.undo.undone.remove(at);
                self.undo.done.push(Done { group: again.group, ops: again.ops });
            }
            None => {
                let holds = |done: &Done| done.ops.iter().any(|range| range.contains(&named));
                let mut group = 0;
                // The group is on another lane if this one was begun after a disk failed.
                if let Some(at) = self.undo.done.iter().position(holds) {
                    let done = &mut self.undo.done[at];
                    group = done.group;
                    // Where a scope left part of the group in effect, that part stays.
                    done.ops = without(&done.ops, &targets);
                    if done.ops.is_empty() {
                        self.undo.done.remove(at);
                    }
                }
                self.undo.undone.push(Undone { group, ops: targets, revoke: ops.start });
            }
        }
    }
}

/// Ranges without other ones that lie within them.
fn without(ranges: &[Range<u32>], cut: &[Range<u32>]) -> Vec<Range<u32>> {
    let mut left: Vec<Range<u32>> = ranges.to_vec();
    for cut in cut {
        left = left
            .into_iter()
            .flat_map(|range| {
                let before = range.start..range.end.min(cut.start.max(range.start));
                let behind = range.start.max(cut.end.min(range.end))..range.end;
                [before, behind]
            })
            .filter(|range| !range.is_empty())
            .collect();
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_out_of_ranges_leaves_the_rest() {
        assert_eq!(without(&[0..10, 20..30], &[3..5, 20..30]), [0..3, 5..10]);
        assert_eq!(without(&[0..2, 4..6], &[5..6, 8..9]), [0..2, 4..5]);
        assert!(without(&[4..6, 7..8], &[4..8, 9..10]).is_empty());
    }
}
