//! Secrets: suite 1 of `docs/format.md` (Ed25519, SHA-256, HKDF-SHA256, AES-256-GCM, X25519) as plain functions over
//! byte slices.
//!
//! Invariants: every hash, signature and derivation begins with a domain [`Tag`], Merkle trees with a byte that no tag begins with, so none can be taken for another;
//! randomness is an argument; secrets are wiped when dropped and never printed. Knows nothing of changesets.

mod agree;
mod chunk;
mod ephemeral;
mod hash;
mod keyring;
mod seal;
mod sign;

pub use agree::{AgreementKey, AgreementPublic};
pub use chunk::{ChunkContext, ChunkKey};
pub use ephemeral::{
    kid_of, open_draft, open_ephemeral, open_journal, open_personal, seal_draft, seal_ephemeral,
    seal_journal, seal_personal,
};
pub use hash::{Digest, Tag, hash, hmac, merkle_empty, merkle_leaf, merkle_node};
pub use keyring::{EpochKey, EpochSecret, Keyring, Kid, NameKey};
pub use seal::{
    OpenError, SaltKey, SegmentContext, SegmentKind, open, padded_len, seal, segment_hash, segment_len,
};
pub use sign::{BadSignature, Signature, SigningKey, VerifyingKey};

/// Whether 32 little-endian bytes are below the field prime 2^255 - 19, the top bit left aside. Two encodings of one
/// point would be two names of one key.
fn is_canonical_field_element(bytes: &[u8; 32]) -> bool {
    let [first, middle @ .., last] = bytes;
    *first < 0xed || middle.iter().any(|byte| *byte != 0xff) || last & 0x7f != 0x7f
}
