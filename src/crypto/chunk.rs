//! `chunk = AES-256-GCM[key, nonce, aad](bytes) | tag [16]`: what a device keeps for itself, under a key of its own each.
//!
//! A run of chunks has a random name, which is never used twice, so no key seals two of them.

use super::{EpochKey, OpenError, Tag};
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce};

/// Which chunk of which run. It opens nowhere else.
#[derive(Clone, Copy, Debug)]
pub struct ChunkContext<'a> {
    /// The space.
    pub space: &'a [u8; 32],
    /// The name of the run: fresh random bytes.
    pub run: &'a [u8; 16],
    /// The place in the run.
    pub number: u32,
    /// How many chunks the run has.
    pub count: u32,
}

/// Seals a chunk.
#[must_use]
pub fn seal_chunk(key: &EpochKey, at: &ChunkContext<'_>, plain: &[u8]) -> Vec<u8> {
    let mut sealed = plain.to_vec();
    let (cipher, nonce) = cipher(key, at);
    let tag = cipher
        .encrypt_inout_detached(&nonce, at.run, sealed.as_mut_slice().into())
        .expect("a chunk is far below GCM's limit");
    sealed.extend_from_slice(&tag);
    sealed
}

/// Opens a chunk.
pub fn open_chunk(key: &EpochKey, at: &ChunkContext<'_>, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
    let (sealed, tag) = sealed.split_last_chunk::<16>().ok_or(OpenError::Sealed)?;
    let mut plain = sealed.to_vec();
    let (cipher, nonce) = cipher(key, at);
    cipher
        .decrypt_inout_detached(&nonce, at.run, plain.as_mut_slice().into(), tag.into())
        .map_err(|_| OpenError::Sealed)?;
    Ok(plain)
}

fn cipher(key: &EpochKey, at: &ChunkContext<'_>) -> (Aes256Gcm, Nonce<aes_gcm::aead::consts::U12>) {
    let info: [&[u8]; 5] =
        [Tag::SNAPSHOT.as_bytes(), at.space, at.run, &at.number.to_le_bytes(), &at.count.to_le_bytes()];
    let okm = key.expand::<44>(&info);
    let (key, nonce) = okm.split_first_chunk::<32>().expect("44 bytes begin with 32");
    let nonce: [u8; 12] = nonce.try_into().expect("44 = 32 + 12");
    (Aes256Gcm::new(key.into()), nonce.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::EpochSecret;

    #[test]
    fn a_chunk_opens_in_its_place_alone() {
        let key = EpochSecret::new([7; 32]).derive(&[1; 32]);
        let at = ChunkContext { space: &[1; 32], run: &[2; 16], number: 3, count: 4 };
        let sealed = seal_chunk(&key, &at, b"state");
        assert_eq!(open_chunk(&key, &at, &sealed).as_deref(), Ok(&b"state"[..]));
        let others = [
            ChunkContext { space: &[9; 32], ..at },
            ChunkContext { run: &[9; 16], ..at },
            ChunkContext { number: 2, ..at },
            ChunkContext { count: 5, ..at },
        ];
        for other in &others {
            assert_eq!(open_chunk(&key, other, &sealed), Err(OpenError::Sealed));
            assert_ne!(seal_chunk(&key, other, b"state"), sealed);
        }
        for at_byte in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at_byte] ^= 1;
            assert_eq!(open_chunk(&key, &at, &altered), Err(OpenError::Sealed));
        }
        assert_eq!(open_chunk(&key, &at, &sealed[..10]), Err(OpenError::Sealed));
    }
}
