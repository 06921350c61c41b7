//! What an application has to be told when the state was folded anew from another set of changesets.

use super::{Body, Fold, Object, Patch, PatchBody, Written};
use crate::causal::NameId;
use crate::crdt::{Cart, Delta, Map, Slot, mark_deltas};
use crate::event::Value;
use crate::sorted::sort;

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
                let (then_text, now_text) = (then.to_string(), now.to_string());
                let change = splice(&then_text, &now_text);
                let delta =
                    |&[pos, removed, inserted]: &[u32; 3]| Delta { pos, removed, inserted, local: false };
                let changes: Vec<Delta> = change.iter().map(|(splice, _)| delta(splice)).collect();
                let marks = mark_deltas(&then.runs(), &changes, &now.runs());
                let changed = !changes.is_empty() || !marks.is_empty();
                let splices = change.iter().map(|(splice, _)| *splice).collect();
                let inserted = change.map_or_else(String::new, |(_, inserted)| inserted.to_owned());
                changed.then_some(PatchBody::Text { splices, inserted, marks })
            }
            (Body::List(then), Body::List(now)) => {
                let (then, now): (Vec<&Value>, Vec<&Value>) = (then.iter().collect(), now.iter().collect());
                let splice = splice_of(&then, &now)?;
                let [start, _, inserted] = splice.map(|number| number as usize);
                let inserted = now[start..start + inserted].iter().map(|value| (*value).clone()).collect();
                Some(PatchBody::List { splices: vec![splice], inserted })
            }
            (Body::Map(then), Body::Map(now)) | (Body::Set(then), Body::Set(now)) => {
                let mut slots: Vec<Slot> = then.iter().chain(now.iter()).map(|(slot, _)| slot).collect();
                sort(&mut slots);
                slots.dedup();
                let differs = |slot: &Slot| old.shown(then, slot) != self.shown(now, slot);
                slots.retain(differs);
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
                let mut items: Vec<NameId> = then.iter().chain(now.iter()).map(|(item, _)| item).collect();
                sort(&mut items);
                items.dedup();
                let differs = |item: &NameId| quantity(then, item) != quantity(now, item);
                items.retain(differs);
                (!items.is_empty()).then_some(PatchBody::Items(items))
            }
            (Body::Ledger(then), Body::Ledger(now)) => {
                let mut parts = then.parts();
                parts.extend(now.parts());
                sort(&mut parts);
                parts.dedup();
                parts.retain(|part| then.reads(part) != now.reads(part));
                PatchBody::of_ledger(parts)
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

/// One splice that turns a text into another: position, units removed, units inserted, and what is inserted.
pub fn splice<'a>(then: &str, now: &'a str) -> Option<([u32; 3], &'a str)> {
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
    Some(([units(&then[..start]), units(removed), units(inserted)], inserted))
}

/// One splice that turns a list into another: position, elements removed, elements inserted.
pub fn splice_of<T: PartialEq>(then: &[T], now: &[T]) -> Option<[u32; 3]> {
    if then == now {
        return None;
    }
    let start = then.iter().zip(now).take_while(|(a, b)| a == b).count();
    let (then, now) = (&then[start..], &now[start..]);
    let end = then.iter().rev().zip(now.iter().rev()).take_while(|(a, b)| a == b).count();
    Some([start, then.len() - end, now.len() - end].map(|number| number as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_splice_says_what_differs() {
        assert_eq!(splice("abc", "abc"), None);
        assert_eq!(splice("a😀c", "a😁c"), Some(([1, 2, 2], "😁")));
        assert_eq!(splice("aaa", "aa"), Some(([2, 1, 0], "")));
        assert_eq!(splice("", "aé"), Some(([0, 0, 2], "aé")));
        assert_eq!(splice_of(&[1, 2], &[1, 2]), None);
        assert_eq!(splice_of(&[1, 1, 1], &[1, 1]), Some([2, 1, 0]));
        assert_eq!(splice_of(&[1, 2, 3], &[1, 4, 5, 3]), Some([1, 1, 2]));
    }
}
