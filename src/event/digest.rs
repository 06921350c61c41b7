//! The preimages of the state hash and the view digest (docs/format.md §8). Convergence is stated in them: same frontier and
//! same view digest give the same state hash, whatever the order of arrival, batching, restart, native or WASM.

use super::Value;
use crate::causal::{ChangesetId, NameId, ObjectId};
use crate::codec::Writer;
use crate::crypto::{Digest, Tag, hash};

/// The hash of a map's visible slots: per slot the maximal active writes, the winner first, each as its bytes, a deletion as
/// none. Both lists in ascending order.
pub fn map_hash(keys: &[(NameId, Vec<Vec<u8>>)], groups: &[(u32, Vec<Vec<u8>>)]) -> Digest {
    let mut writer = Writer::new();
    let writes = |writer: &mut Writer, writes: &[Vec<u8>]| {
        writer.varint(writes.len() as u64);
        for write in writes {
            writer.bytes(write);
        }
    };
    writer.varint(keys.len() as u64);
    for (name, of_key) in keys {
        writer.raw(&name.0);
        writes(&mut writer, of_key);
    }
    writer.varint(groups.len() as u64);
    for (number, of_group) in groups {
        writer.varint(u64::from(*number));
        writes(&mut writer, of_group);
    }
    hash(Tag::STATE_MAP, &[writer.as_slice()])
}

/// A causally maximal active write to a set's element.
#[derive(Clone, Copy, Debug)]
pub enum ElementWrite<'a> {
    /// It is removed.
    Removed,
    /// It is in the set.
    Added,
    /// It is in the set, with a value.
    Valued(&'a Value),
}

/// The hash of a set's elements: per element the maximal active writes, the winner first. `elements` in ascending order,
/// only those that one of their writes adds.
pub fn set_hash(elements: &[(NameId, Vec<ElementWrite<'_>>)]) -> Digest {
    let mut writer = Writer::new();
    writer.varint(elements.len() as u64);
    for (name, writes) in elements {
        writer.raw(&name.0);
        writer.varint(writes.len() as u64);
        for write in writes {
            match write {
                ElementWrite::Removed => writer.u8(0),
                ElementWrite::Added => writer.u8(1),
                ElementWrite::Valued(value) => writer.u8(2).bytes(&value.to_bytes()),
            };
        }
    }
    hash(Tag::STATE_SET, &[writer.as_slice()])
}

/// The hash of a counter: its sum.
pub fn counter_hash(sum: i128) -> Digest {
    hash(Tag::STATE_COUNTER, &[&sum.to_le_bytes()])
}

/// The hash of a cart's items with a quantity above zero, ascending by name.
pub fn cart_hash(items: &[(NameId, i128)]) -> Digest {
    let mut writer = Writer::new();
    writer.varint(items.len() as u64);
    for (name, quantity) in items {
        writer.raw(&name.0);
        writer.raw(&quantity.to_le_bytes());
    }
    hash(Tag::STATE_CART, &[writer.as_slice()])
}

/// The hash of a list's elements, in order.
pub fn list_hash<'a>(elements: impl ExactSizeIterator<Item = &'a Value>) -> Digest {
    let mut writer = Writer::new();
    writer.varint(elements.len() as u64);
    elements.for_each(|element| element.encode(&mut writer));
    hash(Tag::STATE_LIST, &[writer.as_slice()])
}

/// The hash of a visible text, given as runs of UTF-16 units that show the same marks, by key ascending; neighbours differ.
pub fn text_hash(text: &str, runs: &[(u32, Vec<(NameId, &Value)>)]) -> Digest {
    let (mut length, mut marks) = (Writer::new(), Writer::new());
    length.varint(text.len() as u64);
    if runs.iter().any(|(_, shown)| !shown.is_empty()) {
        marks.varint(runs.len() as u64);
        for (len, shown) in runs {
            marks.varint(u64::from(*len)).varint(shown.len() as u64);
            for (key, value) in shown {
                value.encode(marks.raw(&key.0));
            }
        }
    }
    hash(Tag::STATE_TEXT, &[length.as_slice(), text.as_bytes(), marks.as_slice()])
}

/// What stands in the place of a kind for objects that events define.
pub const EVENTS_KIND: u8 = 8;

/// The hash of an object that events define: where each event that shows stands, in their order.
pub fn events_hash(events: impl ExactSizeIterator<Item = (ChangesetId, u32)>) -> Digest {
    let mut writer = Writer::new();
    writer.varint(events.len() as u64);
    for (changeset, index) in events {
        writer.raw(&changeset.0).varint(u64::from(index));
    }
    hash(Tag::STATE_EVENTS, &[writer.as_slice()])
}

/// The state hash over the objects with visible content, ascending by id.
pub fn state_hash(objects: &[(ObjectId, u8, Digest)]) -> Digest {
    let mut writer = Writer::new();
    writer.varint(objects.len() as u64);
    for (id, kind, digest) in objects {
        writer.raw(&id.0);
        writer.u8(*kind);
        writer.raw(&digest.0);
    }
    hash(Tag::STATE, &[writer.as_slice()])
}

/// The view digest: `heads` ascending, ops as runs (start, length) per changeset, ascending by id.
pub fn view_digest(heads: &[ChangesetId], inactive: &[OpRuns], absent: &[OpRuns]) -> Digest {
    let mut writer = Writer::new();
    writer.varint(heads.len() as u64);
    for head in heads {
        writer.raw(&head.0);
    }
    for list in [inactive, absent] {
        writer.varint(list.len() as u64);
        for runs in list {
            writer.raw(&runs.changeset.0);
            writer.varint(runs.runs.len() as u64);
            for (start, len) in &runs.runs {
                writer.varint(u64::from(*start));
                writer.varint(u64::from(*len));
            }
        }
    }
    hash(Tag::VIEW, &[writer.as_slice()])
}

/// Runs of ops of one changeset.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpRuns {
    /// The changeset.
    pub changeset: ChangesetId,
    /// (first index, count), ascending, not touching.
    pub runs: Vec<(u32, u32)>,
}
