//! Identifiers. The global ones (hashes and public keys) are signed, stored and sent; the local ones
//! (`ChangesetIx`, `OpIx`) number what this process has integrated, in arrival order, and never leave it.

use crate::codec::{DecodeError, Reader, Saved, Writer};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};

macro_rules! bytes_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(pub [u8; $len]);

        // A word at a time, and not how many there are: in tables of ids this is most of the work.
        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                for word in self.0.as_chunks().0 {
                    state.write_u64(u64::from_le_bytes(*word));
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut hex = [0; 2 * $len];
                for (pair, byte) in hex.chunks_exact_mut(2).zip(self.0) {
                    pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
                }
                f.write_str(std::str::from_utf8(&hex).expect("hexadecimal digits are ASCII"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({}…)", stringify!($name), &self.to_string()[..8])
            }
        }

        impl Saved for $name {
            fn save(&self, out: &mut Writer) {
                self.0.save(out);
            }

            fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self(Saved::load(from)?))
            }
        }
    };
}

bytes_id!(
    /// A space: the hash of its genesis.
    SpaceId, 32
);
bytes_id!(
    /// A person: an Ed25519 public key.
    MemberId, 32
);
bytes_id!(
    /// The signing key of one chain of changesets: an Ed25519 public key.
    ActorId, 32
);
bytes_id!(
    /// A changeset: the hash of its header, without the signature.
    ChangesetId, 32
);
bytes_id!(
    /// An object: the HMAC of name, kind and options under the space's name key.
    ObjectId, 16
);
bytes_id!(
    /// A map key, set element, account or command id: an HMAC under the space's name key.
    NameId, 16
);

bytes_id!(
    /// One life of a relay's log of one space: random, minted when the log is made.
    LogId, 16
);
bytes_id!(
    /// The running hash of a relay's log up to a cursor.
    LogChain, 16
);

/// A table by ids of changesets that are here. These are hashes already: a part of them will do. Not for ids that somebody
/// merely names, which can be chosen so that they collide.
pub type ById<V> = HashMap<ChangesetId, V, BuildHasherDefault<Hashed>>;

/// The same by a word of them, which takes half the memory; two may have the same one.
pub(super) type ByWord<V> = HashMap<u64, V, BuildHasherDefault<Hashed>>;

/// A set of ids of changesets that are here.
pub type Ids = HashSet<ChangesetId, BuildHasherDefault<Hashed>>;

/// Takes the last word of a hash for the hash of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hashed(u64);

impl Hasher for Hashed {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(self.0.rotate_left(8) ^ u64::from(*byte)));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The hexadecimal digit of a number below 16: ids are shown too often to be formatted byte by byte.
fn digit(number: u8) -> u8 {
    b"0123456789abcdef"[usize::from(number)]
}

/// Local number of an integrated changeset, in topological arrival order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangesetIx(pub u32);

impl ChangesetIx {
    /// The batch that is open and has no changeset yet: in the future of everything integrated.
    pub const OPEN: Self = Self(u32::MAX);
}

/// Local number of an integrated op; the ops of one changeset are numbered consecutively.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpIx(pub u32);
