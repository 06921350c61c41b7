//! X25519: the key with which a device receives epoch secrets. Certified together with its signing key.

use super::is_canonical_field_element;
use crate::codec::{DecodeError, Reader, Saved, Writer};
use std::fmt;

/// The secret half, wiped when dropped.
#[derive(Clone)]
pub struct AgreementKey(x25519_dalek::StaticSecret);

impl AgreementKey {
    /// The key pair of a seed. The seed must be uniformly random and used for nothing else.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(x25519_dalek::StaticSecret::from(*seed))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> AgreementPublic {
        AgreementPublic(x25519_dalek::PublicKey::from(&self.0).to_bytes())
    }
}

impl fmt::Debug for AgreementKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgreementKey(…)")
    }
}

/// The public half: canonical, and not of small order, so that no secret shared with it is all zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgreementPublic([u8; 32]);

impl AgreementPublic {
    /// `None` for a second encoding of a point or a point of small order.
    #[must_use]
    pub fn parse(bytes: &[u8; 32]) -> Option<Self> {
        let canonical = bytes[31] & 0x80 == 0 && is_canonical_field_element(bytes);
        // Clamped scalars are multiples of the cofactor: any of them takes exactly the points of small order to zero.
        let share = x25519_dalek::x25519([0x40; 32], *bytes);
        (canonical && share != [0; 32]).then_some(Self(*bytes))
    }

    /// The key as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0
    }
}

impl Saved for AgreementPublic {
    fn save(&self, out: &mut Writer) {
        self.0.save(out);
    }

    /// It was parsed before it was saved.
    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(Saved::load(from)?))
    }
}
