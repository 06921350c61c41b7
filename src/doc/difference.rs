//! What an application has to be told when the state was folded anew from another set of changesets.

use super::{Body, Fold, Object, Patch, PatchBody, Written};
use crate::causal::NameId;
use crate::crdt::{Cart, Delta, Map, Slot, mark_deltas};
use std::collections::BTreeSet;

impl Fold {
    /// What turns the visible state of `old` into this one. The objects of `old` are here under the same numbers.
    /// O(visible content and keys).
    pub fn since(&self, old: &Fold) -> Vec<Patch> {
        let objects = old.objects().map(|(object, then)| (object, then, self.get(object)));
        objects
            .filter_map(|(object, then, now)| Some(Patch { object, body: self.body_since(old, then, now)? }))
            .collect()
    }

    fn body_since(&self, old: &Fold, then: &Object, now: &Object) -> Option<PatchBody> {
        match (&then.body, &now.body) {
            (Body::Text(then), Body::Text(now)) => {
                let change = splice(&then.to_string(), &now.to_string());
                let (changes, inserted) = change.map_or_else(Default::default, |(a, b)| (vec![a], b));
                let marks = mark_deltas(&then.runs(), &changes, &now.runs());
                let changed = !changes.is_empty() || !marks.is_empty();
                let splices = changes.iter().map(|change| [change.pos, change.removed, change.inserted]);
                changed.then(|| PatchBody::Text { splices: splices.collect(), inserted, marks })
            }
            (Body::Map(then), Body::Map(now)) | (Body::Set(then), Body::Set(now)) => {
                let slots: BTreeSet<Slot> = then.iter().chain(now.iter()).map(|(slot, _)| slot).collect();
                let differs = |slot: &Slot| old.shown(then, slot) != self.shown(now, slot);
                let slots: Vec<Slot> = slots.into_iter().filter(differs).collect();
                (!slots.is_empty()).then_some(PatchBody::Slots(slots))
            }
            (Body::Counter(then), Body::Counter(now)) => {
                let (then, now) = (then.totals(), now.totals());
                let (added, taken) = (now.added - then.added, now.taken - then.taken);
                (now != then).then_some(PatchBody::Counter { added, taken })
            }
            (Body::Cart(then), Body::Cart(now)) => {
                let quantity =
                    |cart: &Cart, item: &NameId| cart.get(item).map_or(0, |item| item.totals().sum());
                let items: BTreeSet<NameId> = then.iter().chain(now.iter()).map(|(item, _)| item).collect();
                let differs = |item: &NameId| quantity(then, item) != quantity(now, item);
                let items: Vec<NameId> = items.into_iter().filter(differs).collect();
                (!items.is_empty()).then_some(PatchBody::Items(items))
            }
            _ => unreachable!("an object keeps its kind"),
        }
    }

    /// What a slot reads as.
    fn shown(&self, map: &Map, slot: &Slot) -> Vec<Option<&Written>> {
        let winners = map.get(slot).map_or(&[][..], |register| register.winners());
        winners.iter().map(|winner| self.written(winner.op)).collect()
    }
}

/// One splice that turns a text into another, and what it inserts.
fn splice(then: &str, now: &str) -> Option<(Delta, String)> {
    if then == now {
        return None;
    }
    let same = |(a, b): &(char, char)| a == b;
    let bytes = |pair: (char, char)| pair.0.len_utf8();
    let start: usize = then.chars().zip(now.chars()).take_while(same).map(bytes).sum();
    let (then_rest, now_rest) = (&then[start..], &now[start..]);
    let end: usize = then_rest.chars().rev().zip(now_rest.chars().rev()).take_while(same).map(bytes).sum();
    let units = |text: &str| text.encode_utf16().count() as u32;
    let (removed, inserted) = (&then_rest[..then_rest.len() - end], &now_rest[..now_rest.len() - end]);
    let pos = units(&then[..start]);
    let delta = Delta { pos, removed: units(removed), inserted: units(inserted), local: false };
    Some((delta, inserted.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_splice_says_what_differs() {
        let text = |[pos, removed, inserted]: [u32; 3], text: &str| {
            Some((Delta { pos, removed, inserted, local: false }, text.to_owned()))
        };
        assert_eq!(splice("abc", "abc"), None);
        assert_eq!(splice("a😀c", "a😁c"), text([1, 2, 2], "😁"));
        assert_eq!(splice("aaa", "aa"), text([2, 1, 0], ""));
        assert_eq!(splice("", "aé"), text([0, 0, 2], "aé"));
    }
}
