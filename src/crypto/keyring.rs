//! The secrets of a space: one per epoch for contents, one for ever for names.

use super::Tag;
use super::hash::mac;
use crate::codec::Writer;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit};
use sha2::Sha256;
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Names an epoch key without telling it: derived from it, so whoever holds a key that opens under a kid holds *the* key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kid(pub [u8; 16]);

impl fmt::Debug for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kid({:02x}{:02x}{:02x}{:02x}…)", self.0[0], self.0[1], self.0[2], self.0[3])
    }
}

/// 32 random bytes that an epoch's readers share.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct EpochSecret([u8; 32]);

impl EpochSecret {
    /// From uniformly random bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The secret, for storing or sharing it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What segments of a space are sealed under.
    #[must_use]
    pub fn derive(&self, space: &[u8; 32]) -> EpochKey {
        let hkdf = Hkdf::new(Some(space), &self.0);
        let mut kid = [0; 16];
        hkdf.expand(Tag::KID.as_bytes(), &mut kid).expect("16 bytes are within HKDF's limit");
        EpochKey { hkdf, kid: Kid(kid) }
    }
}

/// The pseudo-random key of an epoch in one space, and its name.
#[derive(Clone)]
pub struct EpochKey {
    /// With the key in it: nearly half the work of each segment's key.
    hkdf: Hkdf<Sha256>,
    kid: Kid,
}

impl EpochKey {
    /// The name that headers carry.
    #[must_use]
    pub fn kid(&self) -> Kid {
        self.kid
    }

    /// HKDF-Expand.
    pub(super) fn expand<const N: usize>(&self, info: &[&[u8]]) -> Zeroizing<[u8; N]> {
        let mut out = Zeroizing::new([0; N]);
        self.hkdf.expand_multi_info(info, &mut *out).expect("within HKDF's limit");
        out
    }
}

/// The key under which a space's names are hidden: 32 random bytes, the same for ever.
#[derive(Clone)]
pub struct NameKey {
    bytes: Zeroizing<[u8; 32]>,
    /// With the key in it: half the work of each name.
    keyed: Hmac<Sha256>,
}

impl NameKey {
    /// From uniformly random bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        let keyed = Hmac::new_from_slice(&bytes).expect("HMAC takes keys of any length");
        Self { bytes: Zeroizing::new(bytes), keyed }
    }

    /// The secret, for storing or sharing it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// Id of a name of some sort.
    #[must_use]
    pub fn name(&self, sort: u8, clear: &[u8]) -> [u8; 16] {
        self.short(Tag::NAME, &[&[sort], clear])
    }

    /// Id of a top-level object.
    #[must_use]
    pub fn object(&self, kind: u8, options: &[u8], name: &str) -> [u8; 16] {
        self.short(Tag::OBJECT, &[&[kind], &delimited(options), name.as_bytes()])
    }

    /// Id of the object under a key of another.
    #[must_use]
    pub fn child(&self, parent: &[u8; 16], key: &[u8; 16], kind: u8, options: &[u8]) -> [u8; 16] {
        self.short(Tag::CHILD, &[parent, key, &[kind], &delimited(options)])
    }

    fn short(&self, tag: Tag, parts: &[&[u8]]) -> [u8; 16] {
        let digest: [u8; 32] = mac(self.keyed.clone(), tag, parts);
        *digest.first_chunk().expect("32 bytes have a first half")
    }
}

/// All epoch keys a member holds for one space, and the name key.
#[derive(Clone)]
pub struct Keyring {
    space: [u8; 32],
    names: NameKey,
    epochs: Vec<(EpochSecret, EpochKey)>,
    private: Option<EpochKey>,
}

impl Keyring {
    /// A ring with the name key and no epoch.
    #[must_use]
    pub fn new(space: [u8; 32], names: NameKey) -> Self {
        Self { space, names, epochs: Vec::new(), private: None }
    }

    /// Adds an epoch, unless it is there, and returns its name. The one added last is the one to write under.
    pub fn add(&mut self, secret: EpochSecret) -> Kid {
        let key = secret.derive(&self.space);
        let kid = key.kid();
        if self.get(kid).is_none() {
            self.epochs.push((secret, key));
        }
        kid
    }

    /// Adds the key under which a member's own policy is sealed. It is no epoch: [`Keyring::secrets`] leaves it out.
    pub fn set_private(&mut self, secret: &EpochSecret) {
        self.private = Some(secret.derive(&self.space));
    }

    /// The key under which the member's own policy is sealed.
    #[must_use]
    pub fn private(&self) -> Option<&EpochKey> {
        self.private.as_ref()
    }

    /// The same keys without the private one, for sharing them.
    #[must_use]
    pub fn shared(&self) -> Self {
        Self { private: None, ..self.clone() }
    }

    /// The space all keys are for.
    #[must_use]
    pub fn space(&self) -> &[u8; 32] {
        &self.space
    }

    /// The key for names.
    #[must_use]
    pub fn names(&self) -> &NameKey {
        &self.names
    }

    /// The key of an epoch, or the private one.
    #[must_use]
    pub fn get(&self, kid: Kid) -> Option<&EpochKey> {
        self.epochs.iter().map(|(_, key)| key).chain(&self.private).find(|key| key.kid() == kid)
    }

    /// The epoch to write under.
    #[must_use]
    pub fn current(&self) -> Option<&EpochKey> {
        self.epochs.last().map(|(_, key)| key)
    }

    /// The secrets of all epochs in the order they were added, for storing or sharing them.
    pub fn secrets(&self) -> impl Iterator<Item = &EpochSecret> {
        self.epochs.iter().map(|(secret, _)| secret)
    }
}

macro_rules! hide_secret {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )*};
}

hide_secret!(EpochSecret, EpochKey, NameKey, Keyring);

fn delimited(bytes: &[u8]) -> Vec<u8> {
    let mut out = Writer::with_capacity(bytes.len() + 3);
    out.bytes(bytes);
    out.into_bytes()
}

#[cfg(test)]
mod tests;
