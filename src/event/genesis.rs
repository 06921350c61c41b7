//! `ver u8 = 1 | suite u8 = 1 | rules u8 = 1 | flags u8 = 0 | root [32] | nonce [16] | ext tlv`: the bytes a space is
//! named after. Its root signs the first certificates.

use super::{ReadError, Unsupported};
use crate::causal::SpaceId;
use crate::codec::limits::EXT_BYTES_MAX;
use crate::codec::{DecodeError, Reader, Tlv, TlvWriter, Writer};
use crate::crypto::{Tag, VerifyingKey, hash};

/// The beginning of a space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    bytes: Vec<u8>,
    id: SpaceId,
    root: VerifyingKey,
}

impl Genesis {
    /// A new space of a root key; the nonce should be random.
    #[must_use]
    pub fn new(root: VerifyingKey, nonce: &[u8; 16]) -> Self {
        let mut out = Writer::new();
        out.u8(VERSION).u8(SUITE).u8(RULES).u8(0).raw(&root.to_bytes()).raw(nonce);
        TlvWriter::new().finish(&mut out);
        let bytes = out.into_bytes();
        Self { id: SpaceId(hash(Tag::GENESIS, &[&bytes]).0), bytes, root }
    }

    /// Reads a genesis.
    pub fn decode(bytes: &[u8]) -> Result<Self, ReadError> {
        let mut reader = Reader::new(bytes);
        reader.expect_u8("genesis version", VERSION)?;
        let known = [("genesis suite", SUITE), ("genesis rules", RULES), ("genesis flags", 0)];
        let found: [u8; 3] = reader.array("genesis suite")?;
        let root_at = reader.position();
        let root = reader.array("genesis root")?;
        let _nonce: [u8; 16] = reader.array("genesis nonce")?;
        let ext = Tlv::decode(&mut reader, "genesis ext", EXT_BYTES_MAX)?;
        reader.finish("genesis")?;

        for ((what, known), found) in known.into_iter().zip(found) {
            if found != known {
                return Err(Unsupported { what, found: found.into() }.into());
            }
        }
        if let Some(found) = ext.unknown_critical(&[]) {
            return Err(Unsupported { what: "genesis ext", found }.into());
        }
        let rule = "a public key is canonical and not of small order";
        let root = VerifyingKey::parse(&root).ok_or(DecodeError::Invalid {
            what: "genesis root",
            at: root_at,
            rule,
        })?;
        Ok(Self { bytes: bytes.to_vec(), id: SpaceId(hash(Tag::GENESIS, &[bytes]).0), root })
    }

    /// The space.
    #[must_use]
    pub fn id(&self) -> SpaceId {
        self.id
    }

    /// The key that issues the first certificate of every chain.
    #[must_use]
    pub fn root(&self) -> &VerifyingKey {
        &self.root
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

const VERSION: u8 = 1;
const SUITE: u8 = 1;
const RULES: u8 = 1;
