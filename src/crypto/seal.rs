//! `segment = salt [16] | AES-256-GCM[key, nonce, aad](codec u8 | body bytes | zeros) | tag [16]`.
//!
//! Key and nonce are derived from the epoch key, the place of the changeset and the salt, so every key seals one segment
//! and no counter exists that a cloned profile could repeat. The salt is hedged: even if the random bytes repeat, other
//! plaintexts get other salts. It also keeps the segment's hash from confirming a guess once the segment is gone.

use super::{Digest, EpochKey, Tag, hash, hmac};
use crate::codec::limits::{CHANGESET_BYTES_MAX, SEGMENT_OVERHEAD_BYTES};
use crate::codec::{DecodeError, Reader, Writer};
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce};
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Which of the two parts of a changeset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SegmentKind {
    /// What decides.
    Skeleton = 0,
    /// What people read.
    Content = 1,
}

/// Where a segment stands. It opens nowhere else.
#[derive(Clone, Copy, Debug)]
pub struct SegmentContext<'a> {
    /// The space.
    pub space: &'a [u8; 32],
    /// Who writes.
    pub actor: &'a [u8; 32],
    /// The place in the actor's chain.
    pub seq: u64,
    /// Which segment.
    pub kind: SegmentKind,
    /// The header from its first byte up to and including the kid.
    pub header_prefix: &'a [u8],
}

/// Why a segment that matches its hash gave no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Sealed under another key, for another place, or not at all. Says no more, on purpose.
    #[error("the segment does not open")]
    Sealed,
    /// Packed in a way this version does not know.
    #[error("unknown segment codec {0}")]
    Codec(u8),
    /// The plaintext is not `codec | body | zeros`.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
}

/// Seals a body. `random` should be fresh; see the module for what happens when it is not.
#[must_use]
pub fn seal(
    key: &EpochKey,
    at: &SegmentContext<'_>,
    salt_key: &SaltKey,
    random: &[u8; 32],
    body: &[u8],
) -> Vec<u8> {
    let mut plain = Writer::with_capacity(padded_len(body.len()));
    plain.u8(CODEC_NONE).bytes(body);
    let mut plain = plain.into_bytes();
    plain.resize(padme(plain.len()), 0);

    let salt = salt_key.salt(at, random, &plain);
    seal_plaintext(key, at, &salt, plain)
}

/// Opens a segment and returns the body.
pub fn open(key: &EpochKey, at: &SegmentContext<'_>, segment: &[u8]) -> Result<Vec<u8>, OpenError> {
    let (salt, rest) = segment.split_first_chunk::<16>().ok_or(OpenError::Sealed)?;
    let (sealed, tag) = rest.split_last_chunk::<16>().ok_or(OpenError::Sealed)?;
    let mut plain = sealed.to_vec();
    let (cipher, nonce) = cipher(key, at, salt);
    cipher
        .decrypt_inout_detached(&nonce, &aad(at), plain.as_mut_slice().into(), tag.into())
        .map_err(|_| OpenError::Sealed)?;

    let mut reader = Reader::new(&plain);
    match reader.u8("segment codec")? {
        CODEC_NONE => {}
        codec => return Err(OpenError::Codec(codec)),
    }
    let body = reader.bytes("segment body", CHANGESET_BYTES_MAX)?;
    let end = reader.position();
    if reader.rest().iter().any(|padding| *padding != 0) {
        return Err(
            DecodeError::Invalid { what: "segment padding", at: end, rule: "padding is zeros" }.into()
        );
    }
    let start = end - body.len();
    plain.truncate(end);
    plain.drain(..start);
    Ok(plain)
}

/// `H(tag(seg-hash) | kind | segment)`, the commitment in the header.
#[must_use]
pub fn segment_hash(kind: SegmentKind, segment: &[u8]) -> Digest {
    hash(Tag::SEGMENT_HASH, &[&[kind as u8], segment])
}

/// Bytes of the segment that [`seal`] makes of a body.
#[must_use]
pub fn segment_len(body_len: usize) -> usize {
    padded_len(body_len) + SEGMENT_OVERHEAD_BYTES
}

/// Bytes of the padded plaintext of a body.
#[must_use]
pub fn padded_len(body_len: usize) -> usize {
    let mut length = Writer::new();
    padme(1 + length.varint(body_len as u64).len() + body_len)
}

/// The secret that makes a writer's salts unpredictable, wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SaltKey([u8; 32]);

impl SaltKey {
    /// From uniformly random bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    fn salt(&self, at: &SegmentContext<'_>, random: &[u8; 32], plain: &[u8]) -> [u8; 16] {
        let plain = hash(Tag::SEGMENT_SALT, &[plain]);
        let parts: [&[u8]; 5] = [random, at.actor, &at.seq.to_le_bytes(), &[at.kind as u8], &plain.0];
        let mac = hmac(&self.0, Tag::SEGMENT_SALT, &parts);
        *mac.first_chunk().expect("32 bytes have a first half")
    }
}

impl fmt::Debug for SaltKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SaltKey(…)")
    }
}

const CODEC_NONE: u8 = 0;

/// Shortest padded plaintext: keystrokes look alike.
const PADDED_BYTES_MIN: usize = 64;

/// PADME: lengths keep their leading bits only, so that at most 12 % are added and log log of the length is told.
pub(super) fn padme(len: usize) -> usize {
    let len = len.max(PADDED_BYTES_MIN);
    let exponent = len.ilog2();
    let free_bits = exponent - (exponent.ilog2() + 1);
    len.next_multiple_of(1 << free_bits)
}

fn seal_plaintext(key: &EpochKey, at: &SegmentContext<'_>, salt: &[u8; 16], mut plain: Vec<u8>) -> Vec<u8> {
    let (cipher, nonce) = cipher(key, at, salt);
    let tag = cipher
        .encrypt_inout_detached(&nonce, &aad(at), plain.as_mut_slice().into())
        .expect("a segment is far below GCM's limit");
    let mut segment = Writer::with_capacity(plain.len() + SEGMENT_OVERHEAD_BYTES);
    segment.raw(salt).raw(&plain).raw(&tag);
    segment.into_bytes()
}

fn cipher(
    key: &EpochKey,
    at: &SegmentContext<'_>,
    salt: &[u8; 16],
) -> (Aes256Gcm, Nonce<aes_gcm::aead::consts::U12>) {
    let info: [&[u8]; 6] =
        [Tag::SEGMENT_KEY.as_bytes(), at.space, at.actor, &at.seq.to_le_bytes(), &[at.kind as u8], salt];
    cipher_of(key, &info)
}

/// The only one that has this key, if `info` is of no other.
pub(super) fn cipher_of(key: &EpochKey, info: &[&[u8]]) -> (Aes256Gcm, Nonce<aes_gcm::aead::consts::U12>) {
    let okm = key.expand::<44>(info);
    let (key, nonce) = okm.split_first_chunk::<32>().expect("44 bytes begin with 32");
    let nonce: [u8; 12] = nonce.try_into().expect("44 = 32 + 12");
    (Aes256Gcm::new(key.into()), nonce.into())
}

fn aad(at: &SegmentContext<'_>) -> [u8; 32] {
    hash(Tag::SEGMENT_AAD, &[at.header_prefix, &[at.kind as u8]]).0
}

#[cfg(test)]
mod tests;
