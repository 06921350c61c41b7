//! What a device keeps of a batch that is open, in case its tab dies (docs/format.md §9): sealed, not signed. Whoever holds the
//! lock of its actor makes a changeset of it.
//!
//! Invariant: it says what the batch was made against, and becomes a changeset with these parents or none.

use crate::causal::{ActorId, ChangesetId};
use crate::codec::{DecodeError, Reader, Writer, limits};
use crate::crypto::{EpochKey, Keyring, open_draft, seal_draft};

/// A batch on its way to a changeset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DraftRecord {
    /// The actor's changeset before; none if there is none.
    pub prev: Option<ChangesetId>,
    /// The other heads, strictly ascending, at most 32.
    pub deps: Vec<ChangesetId>,
    /// The encoded skeleton, with the stamp it would have got and without an undo group.
    pub skeleton: Vec<u8>,
    /// The encoded content.
    pub content: Vec<u8>,
}

impl DraftRecord {
    /// Writes and seals it for an actor. `salt` has to be fresh.
    #[must_use]
    pub fn seal(&self, key: &EpochKey, space: &[u8; 32], actor: ActorId, salt: &[u8; 16]) -> Vec<u8> {
        let mut body = Writer::with_capacity(self.skeleton.len() + self.content.len() + 128);
        body.varint(u64::from(self.prev.is_some()));
        if let Some(prev) = &self.prev {
            body.raw(&prev.0);
        }
        body.varint(self.deps.len() as u64);
        for dep in &self.deps {
            body.raw(&dep.0);
        }
        body.bytes(&self.skeleton).bytes(&self.content);
        let mut record = Writer::new();
        record.u8(VERSION).raw(&seal_draft(key, space, &actor.0, salt, body.as_slice()));
        record.into_bytes()
    }

    /// Opens and reads that of an actor.
    pub fn open(record: &[u8], keys: &Keyring, actor: ActorId) -> Result<Self, DraftRecordError> {
        match record.split_first() {
            Some((&VERSION, payload)) => {
                let body = open_draft(keys, &actor.0, payload).ok_or(DraftRecordError::Damaged)?;
                Self::decode(&body).map_err(|_| DraftRecordError::Damaged)
            }
            Some((version, _)) if *version > VERSION => Err(DraftRecordError::Newer),
            _ => Err(DraftRecordError::Damaged),
        }
    }

    fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let prev = match reader.number("prev", 1)? {
            0 => None,
            _ => Some(ChangesetId(reader.array("prev")?)),
        };
        let deps = reader.sorted_arrays("deps", limits::DEPS_MAX)?.into_iter().map(ChangesetId).collect();
        let skeleton = reader.bytes("skeleton", limits::CHANGESET_BYTES_MAX)?.to_vec();
        let content = reader.bytes("content", limits::CHANGESET_BYTES_MAX)?.to_vec();
        reader.finish("draft")?;
        Ok(Self { prev, deps, skeleton, content })
    }
}

/// Why a record cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DraftRecordError {
    /// A later version wrote it.
    #[error("a newer version of this package wrote it")]
    Newer,
    /// It is not what was written.
    #[error("it is damaged")]
    Damaged,
}

const VERSION: u8 = 1;
