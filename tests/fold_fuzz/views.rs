//! Views of random histories: what any choice of changesets and ops reads as, and what differs between two choices,
//! against the naive model, which works out anew which of the chosen ops count.

use crate::reference::{self, OpId, Place};
use crate::rng::Rng;
use crate::texts::{self, Unit};
use crate::{CART, COUNTER, LEDGER, LIST, MAP, Replica, SET, TEXT, World, ledgers, lists, place_of};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use stemma::causal::{ChangesetIx, OpIx};
use stemma::crdt::{Bits, Part, Slot};
use stemma::doc::{Body, ObjectIx, PatchBody, Selection};
use stemma::event::Value;

/// A choice of ops, and what of it counts by the model.
struct Choice {
    ops: Selection,
    /// All that were chosen.
    known: BTreeSet<OpId>,
    counting: BTreeSet<OpId>,
}

/// What an application shows of it.
#[derive(Clone, Debug, Default, PartialEq)]
struct Shown {
    /// What the winner wrote, and what is there of all rivals.
    slots: BTreeMap<Place, (Option<String>, Vec<String>)>,
    sums: (i128, i128),
    items: BTreeMap<Place, i128>,
    elements: Vec<Value>,
    text: Vec<Unit>,
    parts: BTreeMap<Part, ledgers::Shown>,
}

impl Replica {
    /// Reads at two random choices of ops, and what turns one into the other.
    pub fn check_views(&mut self, world: &World, rng: &mut Rng) {
        let (a, b) = (self.choose(world, rng), self.choose(world, rng));
        for choice in [&a, &b] {
            assert_eq!(self.selected(&choice.ops.counting), choice.counting);
            assert_eq!(self.selected(&choice.ops.known), choice.known);
            self.check_copies(world, choice);
        }
        let now = self.fold.counting();
        assert_eq!(self.selected(&now), world.model.counting(&self.view));
        let (mut shown, target) = (self.shown(world, &a.counting), self.shown(world, &b.counting));
        for patch in self.fold.diff(&self.graph, &a.ops.counting, &b.ops.counting) {
            let object = self.objects.iter().position(|ix| *ix == patch.object).expect("a known object");
            match patch.body {
                PatchBody::Slots(slots) => slots.into_iter().for_each(|slot| {
                    let place = (object, place_of(slot));
                    assert_ne!(shown.slots.get(&place), target.slots.get(&place), "it differs");
                    match target.slots.get(&place) {
                        Some(now) => drop(shown.slots.insert(place, now.clone())),
                        None => drop(shown.slots.remove(&place)),
                    }
                }),
                PatchBody::Counter { added, taken } => {
                    shown.sums = (shown.sums.0 + added, shown.sums.1 + taken);
                }
                PatchBody::Items(items) => items.into_iter().for_each(|item| {
                    let place = (object, place_of(Slot::Key(item)));
                    assert_ne!(shown.items.get(&place), target.items.get(&place), "it differs");
                    match target.items.get(&place) {
                        Some(now) => drop(shown.items.insert(place, *now)),
                        None => drop(shown.items.remove(&place)),
                    }
                }),
                PatchBody::List { splices, inserted } => {
                    lists::apply(&mut shown.elements, &splices, inserted);
                }
                PatchBody::Text { splices, inserted, marks } => {
                    texts::apply(&mut shown.text, &splices, &inserted, &marks);
                }
                PatchBody::Parts(parts) => parts.into_iter().for_each(|part| match target.parts.get(&part) {
                    Some(now) => drop(shown.parts.insert(part, *now)),
                    None => drop(shown.parts.remove(&part)),
                }),
            }
        }
        assert_eq!(shown, target);
    }

    /// Changesets up to a time, in the past of one, or any; without some of their ops, and with any others.
    fn choose(&self, world: &World, rng: &mut Rng) -> Choice {
        let here = 0..self.received.len();
        let stamp = |at: usize| world.model.changesets[self.received[at]].stamp.ms;
        let chosen: Vec<usize> = match rng.below(4) {
            0 => here.clone().filter(|at| stamp(*at) <= 2).collect(),
            1 if !here.is_empty() => {
                let head = rng.below(here.end);
                let past = &world.model.changesets[self.received[head]].past;
                let inside = self.graph.within(&[ChangesetIx(head as u32)]);
                let is_past = |at: &usize| *at == head || past.contains(&self.received[*at]);
                assert!(here.clone().all(|at| inside[at] == is_past(&at)));
                here.clone().filter(is_past).collect()
            }
            2 => here.clone().collect(),
            _ => here.clone().filter(|_| rng.chance(60)).collect(),
        };
        let mut some = |percent: usize| -> Vec<Range<u32>> {
            let all = (0..self.fold.timeline().next_op()).filter(|_| rng.chance(percent));
            all.map(|op| op..op + 1).collect()
        };
        let (without, with) = (some(10), some(5));
        let changesets = chosen.iter().map(|at| ChangesetIx(*at as u32));
        let ops = self.fold.select(changesets, self.fold.hidden(), &without, &with);
        let known = chosen.iter().map(|at| self.received[*at]).collect();
        let of_known = reference::View { known, ..self.view.clone() };
        let global = |ranges: &[Range<u32>]| -> BTreeSet<OpId> {
            ranges.iter().cloned().flatten().map(|op| self.global(OpIx(op))).collect()
        };
        let chosen: BTreeSet<OpId> = world.model.ops(&of_known).collect();
        let hidden = &self.view.hidden.iter().copied().collect() | &global(&without);
        let with = global(&with);
        Choice { ops, counting: world.model.settled(&(&(&chosen - &hidden) | &with)), known: &chosen | &with }
    }

    fn selected(&self, ops: &Bits) -> BTreeSet<OpId> {
        let all = (0..self.fold.timeline().next_op()).filter(|op| ops.get(*op));
        all.map(|op| self.global(OpIx(op))).collect()
    }

    /// Every object as the choice makes it.
    fn check_copies(&mut self, world: &World, choice: &Choice) {
        let copies: Vec<ObjectIx> = (0..self.objects.len() as u32).map(ObjectIx::of_copy).collect();
        for (object, copy) in self.objects.into_iter().zip(&copies) {
            self.fold.copy(&self.graph, object, &choice.ops, *copy);
        }
        let (winners, sums) = (world.model.winners(&choice.counting), world.model.sums(&choice.counting));
        for object in [MAP, SET] {
            let (Body::Map(now) | Body::Set(now)) = &self.fold.get(self.objects[object]).body else {
                panic!("a map")
            };
            let (Body::Map(then) | Body::Set(then)) = &self.fold.get(copies[object]).body else {
                panic!("a map")
            };
            for (slot, _) in now.iter() {
                let register = then.get(&slot);
                let shown = register.map_or(&[][..], |register| register.winners());
                let shown: Vec<OpId> = shown.iter().map(|winner| self.global(winner.op)).collect();
                assert_eq!(Some(&shown), winners.get(&(object, place_of(slot))).or(Some(&Vec::new())));
                let writes = register.map_or(0, |register| register.writes().count());
                let writes_it = |op: &&OpId| match world.model.op(**op) {
                    reference::Op::Put(place, _) | reference::Op::Take(place) => {
                        *place == (object, place_of(slot))
                    }
                    _ => false,
                };
                assert_eq!(writes, choice.known.iter().filter(writes_it).count());
            }
            assert!(then.iter().all(|(slot, _)| now.get(&slot).is_some()));
        }
        let Body::Counter(tally) = &self.fold.get(copies[COUNTER]).body else { panic!("a counter") };
        let totals = (tally.totals().added, tally.totals().taken);
        assert_eq!(totals, sums.get(&(COUNTER, 0)).copied().unwrap_or_default());
        let Body::Cart(cart) = &self.fold.get(copies[CART]).body else { panic!("a cart") };
        for (item, tally) in cart.iter() {
            let sum = sums.get(&(CART, place_of(Slot::Key(item)))).copied().unwrap_or_default();
            assert_eq!((tally.totals().added, tally.totals().taken), sum);
        }
        let elements = world.list(&choice.counting, |number| self.is_present(number));
        assert_eq!(self.list_of(copies[LIST]), elements);
        let text = world.text(&choice.counting, |number| self.is_present(number));
        assert_eq!(self.read_text(copies[TEXT]), text);
        self.check_ledger(world, copies[LEDGER], &choice.counting);
        copies.into_iter().for_each(|copy| self.fold.drop_copy(copy));
    }

    /// What the model shows of ops, with the contents that are here.
    fn shown(&self, world: &World, counting: &BTreeSet<OpId>) -> Shown {
        let elements = world.list(counting, |number| self.is_present(number));
        let text = world.text(counting, |number| self.is_present(number));
        let parts = ledgers::parts(&world.ledger.read(&world.model, counting));
        let mut shown = Shown { elements, text, parts, ..Shown::default() };
        for (place, winners) in world.model.winners(counting) {
            let written = |op: &OpId| match world.model.op(*op) {
                reference::Op::Put(_, text) => (!self.is_absent(*op, text)).then(|| text.clone()),
                _ => None,
            };
            let reads = (winners.first().and_then(written), winners.iter().filter_map(written).collect());
            if reads != (None, Vec::new()) {
                shown.slots.insert(place, reads);
            }
        }
        for (place, (added, taken)) in world.model.sums(counting) {
            match place.0 {
                COUNTER => shown.sums = (added, taken),
                _ if added > taken => drop(shown.items.insert(place, added - taken)),
                _ => {}
            }
        }
        shown
    }
}
