//! `payload = kid [16] | salt [16] | AES-256-GCM[key, nonce, aad](body bytes | zeros) | tag [16]`: what is sealed outside of changesets.
//! Presence is said to whoever is there, and kept by nobody; a draft waits on its device until it is sealed; the audit log stays there.
//! What is about a person is an ordinary value, under a key of that person's own.
//!
//! Key and nonce are derived from the epoch key and the salt, which is random: every key seals one payload. Who said it is
//! the body's business: all members hold the key.

use super::seal::{cipher_of, padme};
use super::{EpochKey, Keyring, Kid, Tag, hash};
use crate::codec::{Reader, Writer};
use aes_gcm::aead::AeadInOut;

/// Bytes that sealing adds to the padded plaintext.
const OVERHEAD_BYTES: usize = 48;

/// Seals what a session says. `salt` has to be fresh.
#[must_use]
pub fn seal_ephemeral(key: &EpochKey, space: &[u8; 32], salt: &[u8; 16], body: &[u8]) -> Vec<u8> {
    seal_as((Tag::EPHEMERAL, &[]), key, space, salt, body)
}

/// Opens it; none if no key of the ring does.
#[must_use]
pub fn open_ephemeral(keys: &Keyring, payload: &[u8]) -> Option<Vec<u8>> {
    open_as((Tag::EPHEMERAL, &[]), keys, payload)
}

/// Seals the draft of an actor. `salt` has to be fresh.
#[must_use]
pub fn seal_draft(
    key: &EpochKey,
    space: &[u8; 32],
    actor: &[u8; 32],
    salt: &[u8; 16],
    body: &[u8],
) -> Vec<u8> {
    seal_as((Tag::DRAFT, actor), key, space, salt, body)
}

/// Opens it; none if no key of the ring does, or it is another actor's.
#[must_use]
pub fn open_draft(keys: &Keyring, actor: &[u8; 32], payload: &[u8]) -> Option<Vec<u8>> {
    open_as((Tag::DRAFT, actor), keys, payload)
}

/// Seals entries of the audit log of an actor. `salt` has to be fresh.
#[must_use]
pub fn seal_journal(
    key: &EpochKey,
    space: &[u8; 32],
    actor: &[u8; 32],
    salt: &[u8; 16],
    body: &[u8],
) -> Vec<u8> {
    seal_as((Tag::JOURNAL, actor), key, space, salt, body)
}

/// Opens them; none if no key of the ring does, or they are another actor's.
#[must_use]
pub fn open_journal(keys: &Keyring, actor: &[u8; 32], payload: &[u8]) -> Option<Vec<u8>> {
    open_as((Tag::JOURNAL, actor), keys, payload)
}

/// Seals a value that is about a person under that person's key. `salt` has to be fresh.
#[must_use]
pub fn seal_personal(key: &EpochKey, space: &[u8; 32], salt: &[u8; 16], body: &[u8]) -> Vec<u8> {
    seal_as((Tag::PERSONAL, &[]), key, space, salt, body)
}

/// Opens it; none if it is under another key.
#[must_use]
pub fn open_personal(key: &EpochKey, space: &[u8; 32], payload: &[u8]) -> Option<Vec<u8>> {
    open_with((Tag::PERSONAL, &[]), |kid| (kid == key.kid()).then_some(key), space, payload)
}

/// The name of the key that something is sealed under; none for what is too short to be anything.
#[must_use]
pub fn kid_of(payload: &[u8]) -> Option<Kid> {
    let kid = payload.first_chunk().filter(|_| payload.len() > OVERHEAD_BYTES)?;
    Some(Kid(*kid))
}

fn seal_as(
    (kind, about): (Tag, &[u8]),
    key: &EpochKey,
    space: &[u8; 32],
    salt: &[u8; 16],
    body: &[u8],
) -> Vec<u8> {
    let mut plain = Writer::with_capacity(body.len() + 8);
    plain.bytes(body);
    let mut plain = plain.into_bytes();
    plain.resize(padme(plain.len()), 0);
    let (cipher, nonce) = cipher_of(key, &[kind.as_bytes(), space, salt]);
    let tag = cipher
        .encrypt_inout_detached(&nonce, &aad(kind, space, key.kid(), about), plain.as_mut_slice().into())
        .expect("a body is far below GCM's limit");
    let mut payload = Writer::with_capacity(plain.len() + OVERHEAD_BYTES);
    payload.raw(&key.kid().0).raw(salt).raw(&plain).raw(&tag);
    payload.into_bytes()
}

fn open_as(about: (Tag, &[u8]), keys: &Keyring, payload: &[u8]) -> Option<Vec<u8>> {
    open_with(about, |kid| keys.get(kid), keys.space(), payload)
}

fn open_with<'a>(
    (kind, about): (Tag, &[u8]),
    key_of: impl FnOnce(Kid) -> Option<&'a EpochKey>,
    space: &[u8; 32],
    payload: &[u8],
) -> Option<Vec<u8>> {
    let (kid, rest) = payload.split_first_chunk::<16>()?;
    let (salt, rest) = rest.split_first_chunk::<16>()?;
    let (sealed, tag) = rest.split_last_chunk::<16>()?;
    let key = key_of(Kid(*kid))?;
    let (cipher, nonce) = cipher_of(key, &[kind.as_bytes(), space, salt]);
    let mut plain = sealed.to_vec();
    let aad = aad(kind, space, key.kid(), about);
    cipher.decrypt_inout_detached(&nonce, &aad, plain.as_mut_slice().into(), tag.into()).ok()?;
    let mut reader = Reader::new(&plain);
    let body = reader.bytes("body", plain.len()).ok()?.to_vec();
    reader.rest().iter().all(|padding| *padding == 0).then_some(body)
}

fn aad(kind: Tag, space: &[u8; 32], kid: Kid, about: &[u8]) -> [u8; 32] {
    hash(kind, &[space, &kid.0, about]).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{EpochSecret, NameKey};

    fn ring(space: u8, secret: u8) -> Keyring {
        let mut keys = Keyring::new([space; 32], NameKey::new([9; 32]));
        keys.add(EpochSecret::new([secret; 32]));
        keys
    }

    fn sealed(keys: &Keyring, salt: u8, body: &[u8]) -> Vec<u8> {
        seal_ephemeral(keys.current().expect("an epoch"), keys.space(), &[salt; 16], body)
    }

    #[test]
    fn what_is_sealed_opens_for_the_space_alone() {
        let keys = ring(1, 2);
        for body in [&b""[..], b"here", &[7; 5_000]] {
            let payload = sealed(&keys, 3, body);
            assert_eq!(open_ephemeral(&keys, &payload).as_deref(), Some(body));
            assert_eq!(open_ephemeral(&ring(2, 2), &payload), None, "another space");
            assert_eq!(open_ephemeral(&ring(1, 3), &payload), None, "another epoch");
        }
    }

    #[test]
    fn any_changed_or_missing_byte_closes_it() {
        let keys = ring(1, 2);
        let payload = sealed(&keys, 3, b"here");
        for at in 0..payload.len() {
            let mut other = payload.clone();
            other[at] ^= 1;
            assert_eq!(open_ephemeral(&keys, &other), None, "byte {at}");
            assert_eq!(open_ephemeral(&keys, &payload[..at]), None, "{at} bytes");
        }
    }

    #[test]
    fn a_draft_opens_for_its_actor_alone_and_is_not_what_a_session_says() {
        let keys = ring(1, 2);
        let key = keys.current().expect("an epoch");
        let sealed = seal_draft(key, keys.space(), &[5; 32], &[3; 16], b"typed");
        assert_eq!(open_draft(&keys, &[5; 32], &sealed).as_deref(), Some(&b"typed"[..]));
        assert_eq!(open_draft(&keys, &[6; 32], &sealed), None, "another actor");
        assert_eq!(open_draft(&ring(1, 3), &[5; 32], &sealed), None, "another epoch");
        assert_eq!(open_ephemeral(&keys, &sealed), None);
        assert!(!sealed.windows(5).any(|bytes| bytes == b"typed"));
    }

    #[test]
    fn what_is_about_a_person_opens_with_its_key_alone() {
        let (space, secret) = ([1; 32], EpochSecret::new([7; 32]));
        let key = secret.derive(&space);
        let payload = seal_personal(&key, &space, &[3; 16], b"born in Ulm");
        assert_eq!(kid_of(&payload), Some(key.kid()));
        assert_eq!(open_personal(&key, &space, &payload).as_deref(), Some(&b"born in Ulm"[..]));
        assert_eq!(open_personal(&EpochSecret::new([8; 32]).derive(&space), &space, &payload), None);
        assert_eq!(open_personal(&secret.derive(&[2; 32]), &[2; 32], &payload), None, "another space");
        let mut keys = ring(1, 7);
        assert_eq!(open_ephemeral(&keys, &payload), None, "it is not what a session says");
        keys.add(secret);
        assert!((0..payload.len()).all(|at| {
            let mut other = payload.clone();
            other[at] ^= 1;
            open_personal(&key, &space, &other).is_none()
                && open_personal(&key, &space, &payload[..at]).is_none()
        }));
        assert_eq!(kid_of(&payload[..48]), None);
    }

    #[test]
    fn short_bodies_are_of_one_length_and_of_other_bytes_each_time() {
        let keys = ring(1, 2);
        let (a, b) = (sealed(&keys, 3, b"a"), sealed(&keys, 4, b"longer than a"));
        assert_eq!(a.len(), b.len());
        assert_ne!(sealed(&keys, 4, b"a")[32..], a[32..]);
    }
}
