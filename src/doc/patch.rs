//! What changed, in terms of what an application shows.

use super::ObjectIx;
use crate::causal::NameId;
use crate::crdt::{Deltas, MarkDelta, Part, Slot, Totals};
use crate::event::Value;

/// The change of one object's visible value.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// The object.
    pub object: ObjectIx,
    /// What changed in it.
    pub body: PatchBody,
}

/// The change by kind of object.
#[derive(Clone, Debug, PartialEq)]
pub enum PatchBody {
    /// Splices in order of application, in UTF-16 units of the text as it is after the ones before: position, units
    /// removed, units inserted. The inserted text of all of them follows in one string.
    Text {
        /// `[position, removed, inserted]` each.
        splices: Vec<[u32; 3]>,
        /// The inserted text, splice after splice.
        inserted: String,
        /// What reads differently though it is the same text, or was inserted with marks.
        marks: Vec<MarkDelta>,
    },
    /// The same in elements of a list.
    List {
        /// `[index, removed, inserted]` each.
        splices: Vec<[u32; 3]>,
        /// The inserted elements, splice after splice.
        inserted: Vec<Value>,
    },
    /// Slots of a map, or elements of a set, that may read differently.
    Slots(Vec<Slot>),
    /// Items of a cart that may read differently.
    Items(Vec<NameId>),
    /// Accounts and assets of a ledger that may read differently.
    Parts(Vec<Part>),
    /// By how much the two sums of a counter grew; less than zero if something was switched off.
    Counter {
        /// Of the amounts above zero.
        added: i128,
        /// Of the amounts below zero, as a number above zero.
        taken: i128,
    },
}

impl PatchBody {
    /// What changed in a ledger, if anything did.
    pub(super) fn of_ledger(parts: Vec<Part>) -> Option<Self> {
        (!parts.is_empty()).then_some(Self::Parts(parts))
    }

    /// What changed in a counter, if anything did.
    pub(super) fn of_totals(then: Totals, now: Totals) -> Option<Self> {
        let (added, taken) = (now.added - then.added, now.taken - then.taken);
        (now != then).then_some(Self::Counter { added, taken })
    }

    /// What changed in a text, if anything did.
    pub(super) fn of_text(deltas: Deltas) -> Option<Self> {
        let splices = splices(&deltas);
        let (inserted, marks) = (deltas.content.into_string(), deltas.marks);
        let changed = !splices.is_empty() || !marks.is_empty();
        changed.then_some(Self::Text { splices, inserted, marks })
    }

    /// What changed in a list, if anything did.
    pub(super) fn of_list(deltas: Deltas<Vec<Value>>) -> Option<Self> {
        let splices = splices(&deltas);
        (!splices.is_empty()).then_some(Self::List { splices, inserted: deltas.content })
    }
}

fn splices<C>(deltas: &Deltas<C>) -> Vec<[u32; 3]> {
    deltas.changes.iter().map(|change| [change.pos, change.removed, change.inserted]).collect()
}
