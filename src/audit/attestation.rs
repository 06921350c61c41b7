//! What a validator signs of all that it has seen: a statement that can be shown without the changeset that carries it.

use super::JournalHead;
use crate::causal::{ActorId, SpaceId};
use crate::codec::{DecodeError, Reader, Writer};
use crate::crypto::{Digest, Signature, SigningKey, Tag, VerifyingKey};

/// A statement about the canonical tree over the past of the changeset that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// How many changesets are in that past.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Digest,
    /// The actor's, over space, size and root.
    pub signature: Signature,
    /// Where the audit log of its device ended: what was in it by then can be neither changed nor left out later. The signature of the
    /// changeset is for it.
    pub journal: Option<JournalHead>,
}

impl Attestation {
    /// Signs a statement.
    pub fn sign(key: &SigningKey, space: &SpaceId, size: u64, root: Digest) -> Self {
        let signature = key.sign(Tag::ATTEST, &[&space.0, &size.to_le_bytes(), &root.0]);
        Self { size, root, signature, journal: None }
    }

    /// Whether an actor signed it.
    pub fn is_signed_by(&self, actor: &ActorId, space: &SpaceId) -> bool {
        let parts: [&[u8]; 3] = [&space.0, &self.size.to_le_bytes(), &self.root.0];
        VerifyingKey::parse(&actor.0)
            .is_some_and(|key| key.verify(Tag::ATTEST, &parts, &self.signature).is_ok())
    }

    /// The payload of the op that says so.
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = Writer::new();
        let version = if self.journal.is_some() { WITH_JOURNAL } else { PLAIN };
        payload.u8(version).varint(self.size).raw(&self.root.0).raw(&self.signature.0);
        if let Some(JournalHead { size, hash }) = &self.journal {
            payload.varint(*size).raw(&hash.0);
        }
        payload.into_bytes()
    }

    /// Whether this version reads a payload.
    pub fn is_known(payload: &[u8]) -> bool {
        matches!(payload.first(), Some(&(PLAIN | WITH_JOURNAL)))
    }

    /// Reads a payload of a version that is known.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let at = reader.position();
        let version = reader.u8("version")?;
        if !matches!(version, PLAIN | WITH_JOURNAL) {
            return Err(DecodeError::Invalid { what: "attestation", at, rule: "the version is known" });
        }
        let size = reader.varint("size", u64::from(u32::MAX))?;
        let (root, signature) = (Digest(reader.array("root")?), Signature(reader.array("signature")?));
        let journal = match version {
            PLAIN => None,
            _ => Some(JournalHead {
                size: reader.varint("size", u64::from(u32::MAX))?,
                hash: Digest(reader.array("hash")?),
            }),
        };
        reader.finish("attestation")?;
        Ok(Self { size, root, signature, journal })
    }
}

const PLAIN: u8 = 1;
const WITH_JOURNAL: u8 = 2;
