//! The objects as any set of ops makes them: what a view shows, and what differs between two of them.
//!
//! A set of ops is chosen by changesets; whoever chooses says which ops are hidden. A revoke counts only if it is in the set
//! itself. An object is read at a set by a copy of it that holds those ops alone, made when it is first asked for; whoever
//! reads objects reads copies too, by numbers of their own. Nothing is folded anew: a copy is made in the time that it
//! takes to pass over the object's ops. Copies are never edited.

use super::fold::Place;
use super::{Body, Fold, Object, ObjectIx, Past, Patch, PatchBody, Written};
use crate::causal::{CausalGraph, ChangesetIx, OpIx};
use crate::crdt::{Bits, Cart, KeyIx, Register, Winner};
use crate::sorted::sort;
use crate::steps;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// A choice of ops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// All that were chosen.
    pub known: Bits,
    /// Those of them that count.
    pub counting: Bits,
}

impl Fold {
    /// The ops of these changesets as they count among themselves, without some and with others. An op that revokes counts
    /// unless a later one of the set revokes it. O(changesets + revoked ops).
    pub fn select(
        &self,
        changesets: impl IntoIterator<Item = ChangesetIx>,
        hidden: &Bits,
        without: &[Range<u32>],
        with: &[Range<u32>],
    ) -> Selection {
        let mut ops = Bits::new(self.timeline.next_op());
        changesets.into_iter().for_each(|changeset| ops.set(self.timeline.ops_of(changeset), true));
        with.iter().for_each(|range| ops.set(range.clone(), true));
        let known = ops.clone();
        ops.remove(hidden);
        without.iter().for_each(|range| ops.set(range.clone(), false));
        with.iter().for_each(|range| ops.set(range.clone(), true));
        // A revoke names earlier ops only: the last ones are settled first.
        for (revoke, targets) in self.revokes.iter().rev() {
            if ops.get(revoke.0) {
                targets.iter().for_each(|range| ops.set(range.clone(), false));
            }
        }
        Selection { known, counting: ops }
    }

    /// The ops that count now; those of the open batch are not among them.
    pub fn counting(&self) -> Bits {
        let mut ops = Bits::new(self.timeline.next_op());
        ops.set(0..self.timeline.next_op(), true);
        ops.remove(self.inactive());
        ops
    }

    /// Makes the copy of an object that these ops make, under a number that was never used.
    pub fn copy(&mut self, graph: &CausalGraph, object: ObjectIx, ops: &Selection, copy: ObjectIx) {
        debug_assert!(copy.is_copy() && !object.is_copy());
        let made = self.get(object).at(&self.timeline.over(graph), ops);
        self.copies.insert(copy, made);
    }

    /// Forgets a copy.
    pub fn drop_copy(&mut self, copy: ObjectIx) {
        self.copies.remove(&copy);
    }

    /// Whether there is an object, or a copy, of that number.
    pub fn has(&self, object: ObjectIx) -> bool {
        if object.is_copy() {
            self.copies.contains_key(&object)
        } else {
            (object.0 as usize) < self.objects.len()
        }
    }

    /// The places in objects that ops are about which only one of two sets has. O(ops / 64 + those ops).
    pub fn differing(&self, a: &Bits, b: &Bits) -> BTreeMap<ObjectIx, BTreeSet<u32>> {
        self.places_of(a.differing(b).map(OpIx))
    }

    /// The places in objects that ops are about. O(ops log ops).
    pub fn places_of(&self, ops: impl IntoIterator<Item = OpIx>) -> BTreeMap<ObjectIx, BTreeSet<u32>> {
        let mut places: Vec<(ObjectIx, u32)> = Vec::new();
        for op in ops {
            if let Place::Object { object, at } = self.places[op.0 as usize] {
                places.push((object, at));
            }
        }
        sort(&mut places);
        places.dedup();
        let of_object =
            |places: &[(ObjectIx, u32)]| (places[0].0, places.iter().map(|(_, at)| *at).collect());
        places.chunk_by(|a, b| a.0 == b.0).map(of_object).collect()
    }

    /// What turns the objects that the ops `a` make into those that `b` make, by object as they were met.
    /// O(objects that differ).
    pub fn diff(&self, graph: &CausalGraph, a: &Bits, b: &Bits) -> Vec<Patch> {
        let past = self.timeline.over(graph);
        let patch = |(object, places): (ObjectIx, BTreeSet<u32>)| {
            let body = self.between(&past, object, &places, a, b)?;
            Some(Patch { object, body })
        };
        self.differing(a, b).into_iter().filter_map(patch).collect()
    }

    /// What turns the objects as they are into those that the ops `then` make, if only `switched` count otherwise. No batch is
    /// open. O(their places, and of a counter or a sequence all of it).
    pub fn diff_from_now(&self, graph: &CausalGraph, switched: &[OpIx], then: &Bits) -> Vec<Patch> {
        let past = self.timeline.over(graph);
        let counts = |op: OpIx| then.get(op.0);
        let mut now = None;
        let mut patches = Vec::new();
        for (object, places) in self.places_of(switched.iter().copied()) {
            steps::count(places.len());
            let body = match &self.get(object).body {
                Body::Map(map) | Body::Set(map) => {
                    let differs = |at: &KeyIx| {
                        let register = map.register(*at);
                        register.has_others(counts)
                            && self.shown_by(register.winners()) != self.shown_at(&past, register, counts)
                    };
                    let slots: Vec<_> =
                        places.iter().map(|at| KeyIx(*at)).filter(differs).map(|at| map.slot(at)).collect();
                    (!slots.is_empty()).then_some(PatchBody::Slots(slots))
                }
                Body::Counter(tally) => PatchBody::of_totals(tally.totals(), tally.totals_at(&past, counts)),
                _ => {
                    let now = now.get_or_insert_with(|| self.counting());
                    self.between(&past, object, &places, now, then)
                }
            };
            patches.extend(body.map(|body| Patch { object, body }));
        }
        patches
    }

    /// What turns one object as `a` make it into what `b` make of it; `places` are where the two can differ.
    pub fn diff_of(
        &self,
        graph: &CausalGraph,
        object: ObjectIx,
        places: &BTreeSet<u32>,
        a: &Bits,
        b: &Bits,
    ) -> Option<PatchBody> {
        self.between(&self.timeline.over(graph), object, places, a, b)
    }

    fn between(
        &self,
        past: &Past<'_>,
        object: ObjectIx,
        places: &BTreeSet<u32>,
        a: &Bits,
        b: &Bits,
    ) -> Option<PatchBody> {
        let (a_has, b_has) = (|op: OpIx| a.get(op.0), |op: OpIx| b.get(op.0));
        match &self.get(object).body {
            Body::Text(text) => PatchBody::of_text(text.diff(past, a_has, b_has)),
            Body::List(list) => PatchBody::of_list(list.diff(past, a_has, b_has)),
            Body::Map(map) | Body::Set(map) => {
                let differs = |at: &KeyIx| {
                    let register = map.register(*at);
                    self.shown_at(past, register, a_has) != self.shown_at(past, register, b_has)
                };
                let slots: Vec<_> =
                    places.iter().map(|at| KeyIx(*at)).filter(differs).map(|at| map.slot(at)).collect();
                (!slots.is_empty()).then_some(PatchBody::Slots(slots))
            }
            Body::Counter(tally) => {
                PatchBody::of_totals(tally.totals_at(past, a_has), tally.totals_at(past, b_has))
            }
            Body::Cart(cart) => {
                let quantity = |cart: &Cart, at: KeyIx, ops: &Bits| {
                    cart.tally(at).totals_at(past, |op| ops.get(op.0)).sum().max(0)
                };
                let differs = |at: &KeyIx| quantity(cart, *at, a) != quantity(cart, *at, b);
                let items: Vec<_> =
                    places.iter().map(|at| KeyIx(*at)).filter(differs).map(|at| cart.name(at)).collect();
                (!items.is_empty()).then_some(PatchBody::Items(items))
            }
            Body::Ledger(ledger) => PatchBody::of_ledger(ledger.differing(past, &a_has, &b_has)),
        }
    }

    /// What a slot reads as at a set of ops: what its winner wrote, and all that is there of its conflicts.
    fn shown_at(
        &self,
        past: &Past<'_>,
        register: &Register,
        has: impl Fn(OpIx) -> bool,
    ) -> (Option<&Written>, Vec<&Written>) {
        self.shown_by(&register.winners_at(past, has))
    }

    /// The same of a slot with these winners.
    fn shown_by(&self, winners: &[Winner]) -> (Option<&Written>, Vec<&Written>) {
        let written = |winner: &Winner| (!winner.deletes).then(|| self.written(winner.op)).flatten();
        (winners.first().and_then(written), winners.iter().filter_map(written).collect())
    }
}

impl Object {
    /// The object as a selection of ops makes it, to be read.
    fn at(&self, past: &Past<'_>, ops: &Selection) -> Self {
        let (known, counts) = (|op: OpIx| ops.known.get(op.0), |op: OpIx| ops.counting.get(op.0));
        let mut copy = Self::new(self.id, self.kind()).expect("its kind is folded");
        copy.body = match &self.body {
            Body::Map(map) => Body::Map(map.at(past, known, counts)),
            Body::Text(text) => Body::Text(Box::new(text.at(past, counts))),
            Body::List(list) => Body::List(Box::new(list.at(past, counts))),
            Body::Counter(tally) => Body::Counter(tally.at(past, counts)),
            Body::Set(set) => Body::Set(set.at(past, known, counts)),
            Body::Cart(cart) => Body::Cart(cart.at(past, counts)),
            Body::Ledger(ledger) => Body::Ledger(Box::new(ledger.at(past, &known, &counts))),
        };
        copy
    }
}
