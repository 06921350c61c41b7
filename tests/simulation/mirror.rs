//! What an application shows that only listens to changes: texts, lists and counters, from what it was told alone. If a change is
//! told twice, or not at all, it shows something else than the replica has.

use std::collections::BTreeMap;
use stemma::doc::{ObjectIx, PatchBody};
use stemma::event::{ObjectKind, Value};
use stemma::replica::{Change, Replica};

#[derive(Default)]
pub struct Mirror {
    texts: BTreeMap<u32, Vec<u16>>,
    lists: BTreeMap<u32, Vec<Value>>,
    counters: BTreeMap<u32, i128>,
}

impl Mirror {
    /// What shows when an application begins to listen.
    pub fn of(replica: &Replica) -> Self {
        let mut mirror = Self::default();
        for object in (0..replica.object_count()).map(ObjectIx) {
            match replica.kind_of(object) {
                ObjectKind::Text => {
                    let units = replica.text(object).expect("a text").to_string().encode_utf16().collect();
                    mirror.texts.insert(object.0, units);
                }
                ObjectKind::List => {
                    let values = replica.list(object).expect("a list").iter().cloned().collect();
                    mirror.lists.insert(object.0, values);
                }
                ObjectKind::Counter => {
                    mirror.counters.insert(object.0, replica.counter_value(object));
                }
                _ => {}
            }
        }
        mirror
    }

    pub fn hear(&mut self, change: &Change) {
        match &change.body {
            PatchBody::Text { splices, inserted, .. } => {
                let mut units = inserted.encode_utf16();
                splice(self.texts.entry(change.object.0).or_default(), splices, &mut units);
            }
            PatchBody::List { splices, inserted } => {
                let mut values = inserted.iter().cloned();
                splice(self.lists.entry(change.object.0).or_default(), splices, &mut values);
            }
            PatchBody::Counter { added, taken } => {
                *self.counters.entry(change.object.0).or_default() += added - taken;
            }
            PatchBody::Slots(_) | PatchBody::Items(_) | PatchBody::Parts(_) => {}
        }
    }

    /// An object that shows something else; none if all is as it was told.
    pub fn differs(&self, replica: &Replica) -> Option<String> {
        for object in (0..replica.object_count()).map(ObjectIx) {
            let same = match replica.kind_of(object) {
                ObjectKind::Text => {
                    let text = replica.text(object).expect("a text").to_string();
                    self.texts
                        .get(&object.0)
                        .map_or(text.is_empty(), |told| told.iter().copied().eq(text.encode_utf16()))
                }
                ObjectKind::List => {
                    let list = replica.list(object).expect("a list");
                    let told = self.lists.get(&object.0);
                    told.map_or(list.iter().next().is_none(), |told| told.iter().eq(list.iter()))
                }
                ObjectKind::Counter => {
                    let told = self.counters.get(&object.0).copied().unwrap_or(0);
                    told == replica.counter_value(object)
                }
                _ => true,
            };
            if !same {
                return Some(format!(
                    "{:?} {} shows something else than was told",
                    replica.kind_of(object),
                    object.0
                ));
            }
        }
        None
    }
}

/// Splices that do not fit are left out: the difference shows.
fn splice<T>(of: &mut Vec<T>, splices: &[[u32; 3]], inserted: &mut impl Iterator<Item = T>) {
    for [at, removed, count] in splices {
        let new: Vec<T> = inserted.by_ref().take(*count as usize).collect();
        let (start, end) = (*at as usize, (at + removed) as usize);
        if end <= of.len() {
            of.splice(start..end, new);
        }
    }
}
