//! The preimages of the state hash and the view digest (docs/format.md §8). Convergence is stated in them: same frontier and
//! same view digest give the same state hash, whatever the order of arrival, batching, restart, native or WASM.

use super::{ObjectKind, Value};
use crate::causal::{ChangesetId, NameId, ObjectId};
use crate::codec::Writer;
use crate::crypto::{Digest, Tag, hash};

/// The hash of a map's visible keys: per key the maximal active writes, the winner first, a deletion as none. `keys` in
/// ascending order.
pub fn map_hash(keys: &[(NameId, Vec<Option<&Value>>)]) -> Digest {
    let mut writer = Writer::new();
    writer.varint(keys.len() as u64);
    for (name, values) in keys {
        writer.raw(&name.0);
        writer.varint(values.len() as u64);
        for value in values {
            let encoded = value.map_or_else(Vec::new, Value::to_bytes);
            writer.bytes(&encoded);
        }
    }
    hash(Tag::STATE_MAP, &[writer.as_slice()])
}

/// The hash of a visible text.
pub fn text_hash(text: &str) -> Digest {
    let mut length = Writer::new();
    length.varint(text.len() as u64);
    hash(Tag::STATE_TEXT, &[length.as_slice(), text.as_bytes()])
}

/// The state hash over the objects with visible content, ascending by id.
pub fn state_hash(objects: &[(ObjectId, ObjectKind, Digest)]) -> Digest {
    let mut writer = Writer::new();
    writer.varint(objects.len() as u64);
    for (id, kind, digest) in objects {
        writer.raw(&id.0);
        writer.u8(*kind as u8);
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
