//! One signed statement "this key may act for me":
//!
//! ```text
//! ver 1 | suite 1 | kind | flags 0 | space 32 | issuer 32 | subject 32 | body | ext tlv | sig 64
//! ```
//! Read here, believed only as part of a [`Chain`](super::Chain) that was verified.

use super::{ReadError, Unsupported};
use crate::causal::SpaceId;
use crate::codec::limits::EXT_BYTES_MAX;
use crate::codec::{DecodeError, Reader, Tlv, TlvWriter, Writer};
use crate::crypto::{BadSignature, Digest, Signature, SigningKey, Tag, VerifyingKey, hash};
use std::num::NonZeroU64;

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// Reads; what it writes is inert.
    Reader = 1,
    /// Writes.
    Writer = 2,
    /// Also invites.
    Admin = 3,
    /// Holds the root key.
    Owner = 4,
}

impl Role {
    /// How it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Writer => "writer",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}

/// The statement of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateKind {
    /// Root to member.
    Grant {
        /// The right given.
        role: Role,
        /// Until when a newcomer may log in, in ms since 1970.
        not_after: Option<NonZeroU64>,
    },
    /// Root or admin to the key of an invite.
    Invite {
        /// The right given: reader or writer.
        role: Role,
        /// Until when a newcomer may log in, in ms since 1970.
        not_after: Option<NonZeroU64>,
        /// How many newcomers may log in.
        uses: Option<NonZeroU64>,
    },
    /// Key of an invite to member.
    Member,
    /// Member to device.
    Device {
        /// The device's key for receiving secrets.
        x25519: [u8; 32],
    },
    /// Device to actor.
    Actor,
}

/// A certificate that decodes; its signature is not checked by that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    bytes: Vec<u8>,
    kind: CertificateKind,
    space: SpaceId,
    issuer: [u8; 32],
    subject: [u8; 32],
}

impl Certificate {
    /// Makes and signs a statement.
    #[must_use]
    pub fn issue(issuer: &SigningKey, space: SpaceId, subject: [u8; 32], kind: CertificateKind) -> Self {
        let mut out = Writer::new();
        out.u8(VERSION).u8(SUITE).u8(kind.code()).u8(0);
        out.raw(&space.0).raw(&issuer.public()).raw(&subject);
        kind.encode_body(&mut out);
        TlvWriter::new().finish(&mut out);
        let id = hash(Tag::CERTIFICATE_ID, &[out.as_slice()]);
        out.raw(&issuer.sign(Tag::CERTIFICATE_SIGNATURE, &[&id.0]).0);
        Self { bytes: out.into_bytes(), kind, space, issuer: issuer.public(), subject }
    }

    /// Reads a certificate.
    pub fn decode(bytes: &[u8]) -> Result<Self, ReadError> {
        let mut reader = Reader::new(bytes);
        reader.expect_u8("certificate version", VERSION)?;
        let suite = reader.u8("certificate suite")?;
        let kind = reader.u8("certificate kind")?;
        let flags = reader.u8("certificate flags")?;
        let space = SpaceId(reader.array("certificate space")?);
        let issuer = reader.array("certificate issuer")?;
        let subject = reader.array("certificate subject")?;
        for (what, found, known) in [("certificate suite", suite, SUITE), ("certificate flags", flags, 0)] {
            if found != known {
                return Err(Unsupported { what, found: found.into() }.into());
            }
        }
        let kind = CertificateKind::decode_body(kind, &mut reader)?;
        let ext = Tlv::decode(&mut reader, "certificate ext", EXT_BYTES_MAX)?;
        let _signature: [u8; 64] = reader.array("certificate signature")?;
        reader.finish("certificate")?;
        if let Some(found) = ext.unknown_critical(&[]) {
            return Err(Unsupported { what: "certificate ext", found }.into());
        }
        Ok(Self { bytes: bytes.to_vec(), kind, space, issuer, subject })
    }

    /// Checks the signature.
    pub fn verify(&self) -> Result<(), BadSignature> {
        let signature = Signature(*self.bytes.last_chunk().expect("a certificate ends with 64 bytes"));
        let issuer = VerifyingKey::parse(&self.issuer).ok_or(BadSignature)?;
        issuer.verify(Tag::CERTIFICATE_SIGNATURE, &[&self.id().0], &signature)
    }

    /// `H(tag(cert-id) | all before the signature)`.
    #[must_use]
    pub fn id(&self) -> Digest {
        hash(Tag::CERTIFICATE_ID, &[&self.bytes[..self.bytes.len() - 64]])
    }

    /// The statement.
    #[must_use]
    pub fn kind(&self) -> &CertificateKind {
        &self.kind
    }

    /// The space it holds in.
    #[must_use]
    pub fn space(&self) -> SpaceId {
        self.space
    }

    /// Who states it.
    #[must_use]
    pub fn issuer(&self) -> &[u8; 32] {
        &self.issuer
    }

    /// Whom it is about.
    #[must_use]
    pub fn subject(&self) -> &[u8; 32] {
        &self.subject
    }

    /// The bytes with the signature.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl CertificateKind {
    fn code(&self) -> u8 {
        match self {
            Self::Grant { .. } => 1,
            Self::Invite { .. } => 2,
            Self::Member => 3,
            Self::Device { .. } => 4,
            Self::Actor => 5,
        }
    }

    fn encode_body(&self, out: &mut Writer) {
        let or_zero = |limit: Option<NonZeroU64>| limit.map_or(0, NonZeroU64::get);
        match *self {
            Self::Grant { role, not_after } => {
                out.u8(role as u8).varint(or_zero(not_after));
            }
            Self::Invite { role, not_after, uses } => {
                out.u8(role as u8).varint(or_zero(not_after)).varint(or_zero(uses));
            }
            Self::Device { x25519 } => {
                out.raw(&x25519);
            }
            Self::Member | Self::Actor => {}
        }
    }

    fn decode_body(kind: u8, reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        let limit = |reader: &mut Reader<'_>, what| reader.varint(what, u64::MAX).map(NonZeroU64::new);
        Ok(match kind {
            1 => Self::Grant { role: Role::decode(reader)?, not_after: limit(reader, "not_after")? },
            2 => {
                let at = reader.position();
                let role = Role::decode(reader)?;
                if role > Role::Writer {
                    let rule = "an invite makes readers and writers only";
                    return Err(DecodeError::Invalid { what: "role", at, rule }.into());
                }
                Self::Invite { role, not_after: limit(reader, "not_after")?, uses: limit(reader, "uses")? }
            }
            3 => Self::Member,
            4 => Self::Device { x25519: reader.array("device x25519 key")? },
            5 => Self::Actor,
            found => {
                return Err(Unsupported { what: "certificate kind", found: found.into() }.into());
            }
        })
    }
}

impl Role {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        Ok(match reader.u8("role")? {
            1 => Self::Reader,
            2 => Self::Writer,
            3 => Self::Admin,
            4 => Self::Owner,
            found => {
                return Err(Unsupported { what: "role", found: found.into() }.into());
            }
        })
    }
}

const VERSION: u8 = 1;
const SUITE: u8 = 1;
