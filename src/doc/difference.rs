//! What an application has to be told when the state was folded anew from another set of changesets.

use super::{Body, Fold, ObjectIx, Patch, PatchBody};
use crate::causal::NameId;
use crate::crdt::Map;
use crate::event::Value;
use std::collections::BTreeSet;

impl Fold {
    /// What turns the visible state of `old` into this one. The objects of `old` are here under the same numbers.
    /// O(visible content and keys).
    pub fn since(&self, old: &Fold) -> Vec<Patch> {
        let bodies = old.objects().map(|(object, then)| (object, &then.body, &self.get(object).body));
        bodies.filter_map(|(object, then, now)| self.body_since(old, object, then, now)).collect()
    }

    fn body_since(&self, old: &Fold, object: ObjectIx, then: &Body, now: &Body) -> Option<Patch> {
        let body = match (then, now) {
            (Body::Text(then), Body::Text(now)) => splice(&then.to_string(), &now.to_string())?,
            (Body::Map(then), Body::Map(now)) => {
                let names: BTreeSet<NameId> = then.iter().chain(now.iter()).map(|(name, _)| name).collect();
                let differs = |name: &NameId| old.shown(then, name) != self.shown(now, name);
                let names: Vec<NameId> = names.into_iter().filter(differs).collect();
                (!names.is_empty()).then_some(PatchBody::Map(names))?
            }
            _ => unreachable!("an object keeps its kind"),
        };
        Some(Patch { object, body })
    }

    /// What a key reads as.
    fn shown(&self, map: &Map, name: &NameId) -> Option<&Value> {
        let winner = map.get(name)?.winners().first().filter(|winner| !winner.deletes)?;
        self.value(winner.op)
    }
}

/// One splice that turns a text into another.
fn splice(then: &str, now: &str) -> Option<PatchBody> {
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
    let splices = vec![[units(&then[..start]), units(removed), units(inserted)]];
    Some(PatchBody::Text { splices, inserted: inserted.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_splice_says_what_differs() {
        let text = |splice: [u32; 3], inserted: &str| {
            Some(PatchBody::Text { splices: vec![splice], inserted: inserted.to_owned() })
        };
        assert_eq!(splice("abc", "abc"), None);
        assert_eq!(splice("a😀c", "a😁c"), text([1, 2, 2], "😁"));
        assert_eq!(splice("aaa", "aa"), text([2, 1, 0], ""));
        assert_eq!(splice("", "aé"), text([0, 0, 2], "aé"));
    }
}
