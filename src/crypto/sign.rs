//! Ed25519 with one rule for validity, everywhere: `verify_strict`, one signature at a time.
//!
//! Batch verification accepts signatures that this refuses, and which ones depends on the batch, so replicas would
//! disagree for ever; nothing here offers it. Only tagged messages can be signed.

use super::{EpochSecret, SaltKey, Tag, hmac, is_canonical_field_element};
use std::fmt;
use zeroize::Zeroizing;

/// `Ed25519(key, tag | message)`: 64 bytes, checked only together with a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature(pub [u8; 64]);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// The signature is not one of this key over these bytes. Says no more, on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not valid")]
pub struct BadSignature;

/// The secret half of a key pair: 32 bytes, wiped when dropped.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// The key pair of a seed. The seed must be uniformly random.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// Signs `tag | parts`.
    #[must_use]
    pub fn sign(&self, tag: Tag, parts: &[&[u8]]) -> Signature {
        use ed25519_dalek::Signer;
        Signature(self.0.sign(&message(tag, parts)).to_bytes())
    }

    /// The public half.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.0.verifying_key())
    }

    /// The public half as bytes: the name of the member, device or actor.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// The secret, for storing it.
    #[must_use]
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// A secret for what the holder alone is to read.
    #[must_use]
    pub fn private_secret(&self) -> EpochSecret {
        EpochSecret::new(hmac(&self.seed(), Tag::PRIVATE, &[]))
    }

    /// A key for salts that nobody else can predict.
    #[must_use]
    pub fn salt_key(&self) -> SaltKey {
        SaltKey::new(hmac(&self.seed(), Tag::SEGMENT_SALT, &[]))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// A public key that is a canonical encoding of a point of large order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyingKey(ed25519_dalek::VerifyingKey);

impl VerifyingKey {
    /// `None` for what is no point, a second encoding of a point, or a point of small order (for which one signature
    /// would fit every message).
    #[must_use]
    pub fn parse(bytes: &[u8; 32]) -> Option<Self> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).ok()?;
        (is_canonical_field_element(bytes) && !key.is_weak()).then_some(Self(key))
    }

    /// Checks a signature over `tag | parts`.
    pub fn verify(&self, tag: Tag, parts: &[&[u8]], signature: &Signature) -> Result<(), BadSignature> {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.0.verify_strict(&message(tag, parts), &signature).map_err(|_| BadSignature)
    }

    /// The key as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }
}

fn message(tag: Tag, parts: &[&[u8]]) -> Vec<u8> {
    [&[&tag.as_bytes()[..]], parts].concat().concat()
}

#[cfg(test)]
mod tests;
