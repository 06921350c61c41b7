//! Certificates from the root of a space to an actor, or a part of that from the root on:
//!
//! ```text
//! grant ------------------------------> device -> actor        root -> member -> device -> actor
//! [grant of an admin ->] invite -> member -> device -> actor
//! ```
//! A verified chain says who somebody is and which right they were given. Whether they are banned, and whether an invite
//! was used up, is decided elsewhere.

use super::certificate::{Certificate, CertificateKind, Role};
use super::{Genesis, ReadError};
use crate::causal::{ActorId, MemberId};
use crate::codec::limits::{CHAIN_CERTIFICATES_MAX, EXT_BYTES_MAX};
use crate::codec::{Reader, Writer};
use crate::crypto::{AgreementPublic, VerifyingKey};
use std::num::NonZeroU64;

/// Certificates that decode, in order; nothing about them is checked by that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    certificates: Vec<Certificate>,
}

impl Chain {
    /// A chain of these certificates.
    #[must_use]
    pub fn new(certificates: Vec<Certificate>) -> Self {
        Self { certificates }
    }

    /// The chain with one more certificate at its end.
    #[must_use]
    pub fn extended(&self, certificate: Certificate) -> Self {
        let mut certificates = self.certificates.clone();
        certificates.push(certificate);
        Self { certificates }
    }

    /// Reads `list of bytes`.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        let count = reader.count("certificate chain", CHAIN_CERTIFICATES_MAX, 1)?;
        let parts: Vec<&[u8]> =
            (0..count).map(|_| reader.bytes("certificate", EXT_BYTES_MAX)).collect::<Result<_, _>>()?;
        let certificates = parts.into_iter().map(Certificate::decode).collect::<Result<_, _>>()?;
        Ok(Self { certificates })
    }

    /// Reads a chain that fills the input.
    pub fn decode(bytes: &[u8]) -> Result<Self, ReadError> {
        let mut reader = Reader::new(bytes);
        let chain = Self::read(&mut reader)?;
        reader.finish("certificate chain")?;
        Ok(chain)
    }

    /// Writes `list of bytes`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.varint(self.certificates.len() as u64);
        for certificate in &self.certificates {
            out.bytes(certificate.as_bytes());
        }
        out.into_bytes()
    }

    /// The certificates.
    #[must_use]
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// Checks order, links, rights and signatures of a chain that begins at the root, wherever it ends.
    pub fn verify(&self, genesis: &Genesis) -> Result<VerifiedChain, ChainError> {
        let mut issuer = genesis.root().to_bytes();
        let mut verified: Option<VerifiedChain> = None;
        for (at, certificate) in self.certificates.iter().enumerate() {
            let fault = |fault| ChainError { at, fault };
            if certificate.space() != genesis.id() {
                return Err(fault(ChainFault::Space));
            }
            if *certificate.issuer() != issuer {
                return Err(fault(ChainFault::Link));
            }
            verified = Some(VerifiedChain::extended(verified, certificate).map_err(fault)?);
            certificate.verify().map_err(|_| fault(ChainFault::Signature))?;
            issuer = *certificate.subject();
        }
        verified.ok_or(ChainError { at: 0, fault: ChainFault::Order })
    }

    /// Checks a chain that must end at an actor.
    pub fn verify_actor(&self, genesis: &Genesis) -> Result<Author, ChainError> {
        let chain = self.verify(genesis)?;
        match (chain.member, chain.device, chain.actor) {
            (Some(member), Some(device), Some(actor)) => {
                let VerifiedChain { role, not_after, invite, .. } = chain;
                Ok(Author { role, member, device, actor, not_after, invite })
            }
            _ => Err(ChainError { at: self.certificates.len(), fault: ChainFault::Order }),
        }
    }
}

/// What a chain from the root proves; what it does not reach is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedChain {
    /// The right given by the grant or, where there is one, the invite.
    pub role: Role,
    /// Until when that certificate lets a newcomer log in, in ms since 1970.
    pub not_after: Option<NonZeroU64>,
    /// The invite it goes through.
    pub invite: Option<InviteTerms>,
    /// The person.
    pub member: Option<MemberId>,
    /// The device.
    pub device: Option<Device>,
    /// The actor.
    pub actor: Option<ActorId>,
}

/// What a chain that reaches an actor proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Author {
    /// The right given by the grant or, where there is one, the invite.
    pub role: Role,
    /// The person.
    pub member: MemberId,
    /// The device.
    pub device: Device,
    /// The actor.
    pub actor: ActorId,
    /// Until when a newcomer may log in, in ms since 1970.
    pub not_after: Option<NonZeroU64>,
    /// The invite the person came by.
    pub invite: Option<InviteTerms>,
}

/// A device's two public keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// Signs actors.
    pub key: [u8; 32],
    /// Receives secrets.
    pub agreement: AgreementPublic,
}

/// On which terms an invite lets newcomers in. They gate the login at a relay and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InviteTerms {
    /// The invite's public key.
    pub key: [u8; 32],
    /// The right given.
    pub role: Role,
    /// Until when, in ms since 1970.
    pub not_after: Option<NonZeroU64>,
    /// How many newcomers.
    pub uses: Option<NonZeroU64>,
}

/// Why a chain proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("certificate {at}: {fault}")]
pub struct ChainError {
    /// The certificate, counted from 0.
    pub at: usize,
    /// What is wrong with it.
    pub fault: ChainFault,
}

/// What is wrong with one certificate of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainFault {
    /// It is for another space.
    #[error("of another space")]
    Space,
    /// Its issuer is not the root or the subject before it.
    #[error("not issued by the one before it")]
    Link,
    /// Its kind cannot follow there, or the chain ends too early.
    #[error("out of order")]
    Order,
    /// The issuer had no right to issue it.
    #[error("issued without the right to")]
    Right,
    /// Its subject is no usable public key.
    #[error("unusable public key")]
    Key,
    /// The signature is not valid.
    #[error("the signature is not valid")]
    Signature,
}

impl ChainFault {
    /// The class of the fault, as written in `tests/vectors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Space => "space",
            Self::Link => "link",
            Self::Order => "order",
            Self::Right => "right",
            Self::Key => "key",
            Self::Signature => "signature",
        }
    }
}

impl VerifiedChain {
    fn extended(before: Option<Self>, certificate: &Certificate) -> Result<Self, ChainFault> {
        let subject = *certificate.subject();
        VerifyingKey::parse(&subject).ok_or(ChainFault::Key)?;
        let start =
            |role, not_after| Self { role, not_after, invite: None, member: None, device: None, actor: None };
        match (before, *certificate.kind()) {
            (None, CertificateKind::Grant { role, not_after }) => {
                Ok(Self { member: Some(MemberId(subject)), ..start(role, not_after) })
            }
            (
                None | Some(Self { invite: None, device: None, .. }),
                CertificateKind::Invite { role, not_after, uses },
            ) => {
                if before.is_some_and(|inviter| inviter.role < Role::Admin) {
                    return Err(ChainFault::Right);
                }
                let terms = InviteTerms { key: subject, role, not_after, uses };
                Ok(Self { invite: Some(terms), ..start(role, not_after) })
            }
            (Some(chain @ Self { invite: Some(_), member: None, .. }), CertificateKind::Member) => {
                Ok(Self { member: Some(MemberId(subject)), ..chain })
            }
            (
                Some(chain @ Self { member: Some(_), device: None, .. }),
                CertificateKind::Device { x25519 },
            ) => {
                let agreement = AgreementPublic::parse(&x25519).ok_or(ChainFault::Key)?;
                Ok(Self { device: Some(Device { key: subject, agreement }), ..chain })
            }
            (Some(chain @ Self { device: Some(_), actor: None, .. }), CertificateKind::Actor) => {
                Ok(Self { actor: Some(ActorId(subject)), ..chain })
            }
            _ => Err(ChainFault::Order),
        }
    }
}
