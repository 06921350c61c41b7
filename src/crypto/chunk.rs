//! `chunk = AES-256-GCM[key, nonce, aad](bytes) | tag [16]`: what a device keeps for itself, under a key of its own each.
//!
//! A run of chunks has a random name, which is never used twice, so no key seals two of them.

use super::{EpochKey, OpenError, Tag};
use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{AeadInOut, KeyInit};
use zeroize::Zeroizing;

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

/// What seals one chunk. For whoever has a faster AES-256-GCM than this one, the parts can be read.
pub struct ChunkKey {
    /// The key, of this chunk alone.
    pub key: Zeroizing<[u8; 32]>,
    /// The nonce.
    pub nonce: [u8; 12],
    /// The additional data: the name of the run.
    pub run: [u8; 16],
}

impl ChunkKey {
    /// Derives it.
    #[must_use]
    pub fn new(key: &EpochKey, at: &ChunkContext<'_>) -> Self {
        let info: [&[u8]; 5] =
            [Tag::SNAPSHOT.as_bytes(), at.space, at.run, &at.number.to_le_bytes(), &at.count.to_le_bytes()];
        let okm = key.expand::<44>(&info);
        let (key, nonce) = okm.split_first_chunk::<32>().expect("44 bytes begin with 32");
        let nonce = nonce.try_into().expect("44 = 32 + 12");
        Self { key: Zeroizing::new(*key), nonce, run: *at.run }
    }

    /// Seals the chunk.
    #[must_use]
    pub fn seal(&self, plain: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(plain.len() + TAG_BYTES);
        sealed.extend_from_slice(plain);
        let tag = self
            .cipher()
            .encrypt_inout_detached(&self.nonce.into(), &self.run, sealed.as_mut_slice().into())
            .expect("a chunk is far below GCM's limit");
        sealed.extend_from_slice(&tag);
        sealed
    }

    /// Opens the chunk, and puts what is in it behind `out`, where nothing stays of one that does not open.
    pub fn open(&self, sealed: &[u8], out: &mut Vec<u8>) -> Result<(), OpenError> {
        let (sealed, tag) = sealed.split_last_chunk::<TAG_BYTES>().ok_or(OpenError::Sealed)?;
        let start = out.len();
        out.extend_from_slice(sealed);
        self.cipher()
            .decrypt_inout_detached(&self.nonce.into(), &self.run, (&mut out[start..]).into(), tag.into())
            .map_err(|_| {
                out.truncate(start);
                OpenError::Sealed
            })
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new((&*self.key).into())
    }
}

const TAG_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::EpochSecret;

    #[test]
    fn a_chunk_opens_in_its_place_alone() {
        let key = EpochSecret::new([7; 32]).derive(&[1; 32]);
        let at = ChunkContext { space: &[1; 32], run: &[2; 16], number: 3, count: 4 };
        let open = |at: &ChunkContext<'_>, sealed: &[u8]| {
            let mut out = b"before ".to_vec();
            let opened = ChunkKey::new(&key, at).open(sealed, &mut out);
            assert!(opened.is_ok() || out == b"before ");
            opened.map(|()| out)
        };
        let sealed = ChunkKey::new(&key, &at).seal(b"state");
        assert_eq!(open(&at, &sealed).as_deref(), Ok(&b"before state"[..]));
        let others = [
            ChunkContext { space: &[9; 32], ..at },
            ChunkContext { run: &[9; 16], ..at },
            ChunkContext { number: 2, ..at },
            ChunkContext { count: 5, ..at },
        ];
        for other in &others {
            assert_eq!(open(other, &sealed), Err(OpenError::Sealed));
            assert_ne!(ChunkKey::new(&key, other).seal(b"state"), sealed);
        }
        for at_byte in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at_byte] ^= 1;
            assert_eq!(open(&at, &altered), Err(OpenError::Sealed));
        }
        assert_eq!(open(&at, &sealed[..10]), Err(OpenError::Sealed));
    }
}
