//! Segments that open, and everything that must not.

use super::*;
use crate::crypto::{EpochSecret, SigningKey};
use foldhash::HashSet;

const AT: SegmentContext<'static> = SegmentContext {
    space: &[1; 32],
    actor: &[2; 32],
    seq: 7,
    kind: SegmentKind::Skeleton,
    header_prefix: b"version to kid",
};

fn key(secret: u8) -> EpochKey {
    EpochSecret::new([secret; 32]).derive(AT.space)
}

fn salt_key() -> SaltKey {
    SigningKey::from_seed(&[9; 32]).salt_key()
}

fn sealed(body: &[u8]) -> Vec<u8> {
    seal(&key(4), &AT, &salt_key(), &[5; 32], body)
}

#[test]
fn bodies_of_all_sizes_come_back() {
    for len in [0, 1, 61, 62, 63, 64, 127, 128, 1000, 70_000] {
        let body = vec![0xcd; len];
        let segment = sealed(&body);
        assert_eq!(segment.len(), segment_len(len));
        assert_eq!(open(&key(4), &AT, &segment), Ok(body));
    }
}

#[test]
fn padding_hides_most_of_the_length_and_costs_little() {
    let lengths: HashSet<usize> = (0..=62).map(padded_len).collect();
    assert_eq!(lengths, HashSet::from_iter([64]), "keystrokes look alike");
    assert_eq!([63, 1000, 10_000, 100_000].map(padded_len), [72, 1024, 10_240, 100_352]);
    for len in 64..20_000 {
        let padded = padded_len(len);
        assert!(padded > len && padded * 100 <= (len + 3) * 112, "{len} to {padded}");
    }
}

#[test]
fn another_key_opens_nothing() {
    let segment = sealed(b"body");
    assert_eq!(open(&key(6), &AT, &segment), Err(OpenError::Sealed));
    let other_space = EpochSecret::new([4; 32]).derive(&[3; 32]);
    assert_ne!(other_space.kid(), key(4).kid());
    assert_eq!(open(&other_space, &AT, &segment), Err(OpenError::Sealed));
}

#[test]
fn a_segment_opens_in_its_place_only() {
    let segment = sealed(b"body");
    let places = [
        SegmentContext { space: &[8; 32], ..AT },
        SegmentContext { actor: &[8; 32], ..AT },
        SegmentContext { seq: 8, ..AT },
        SegmentContext { kind: SegmentKind::Content, ..AT },
        SegmentContext { header_prefix: b"version to kie", ..AT },
    ];
    for place in places {
        assert_eq!(open(&key(4), &place, &segment), Err(OpenError::Sealed), "{place:?}");
    }
}

#[test]
fn repeated_randomness_gives_other_salts_for_other_plaintexts() {
    let salts = [&b"one"[..], b"two"].map(|body| sealed(body)[..16].to_vec());
    assert_ne!(salts[0], salts[1]);
    let content = SegmentContext { kind: SegmentKind::Content, ..AT };
    let later = SegmentContext { seq: 8, ..AT };
    for place in [content, later] {
        assert_ne!(seal(&key(4), &place, &salt_key(), &[5; 32], b"one")[..16], salts[0]);
    }
    assert_ne!(seal(&key(4), &AT, &salt_key(), &[6; 32], b"one")[..16], salts[0], "fresh randomness");
}

#[test]
fn an_empty_ciphertext_and_a_lone_tag_do_not_open() {
    for len in [0, 1, 15, 16, 31, 32, 33] {
        assert_eq!(open(&key(4), &AT, &vec![0; len]), Err(OpenError::Sealed));
    }
    let empty = seal_plaintext(&key(4), &AT, &[0; 16], Vec::new());
    assert_eq!(empty.len(), 32);
    let truncated = DecodeError::Truncated { what: "segment codec", at: 0 };
    assert_eq!(open(&key(4), &AT, &empty), Err(truncated.into()), "authentic, but not a plaintext");
}

#[test]
fn wrong_lengths_codecs_and_padding_are_named() {
    let opened = |plain: &[u8]| open(&key(4), &AT, &seal_plaintext(&key(4), &AT, &[0; 16], plain.to_vec()));
    assert_eq!(opened(&[0, 2, 8, 9]), Ok(vec![8, 9]), "padding is the writer's choice");
    assert_eq!(opened(&[0, 0, 0, 0, 0]), Ok(vec![]));
    assert_eq!(opened(&[1, 2, 8, 9]), Err(OpenError::Codec(1)));
    let malformed = |plain: &[u8]| match opened(plain) {
        Err(OpenError::Malformed(error)) => error.code(),
        other => panic!("{other:?}"),
    };
    assert_eq!(malformed(&[0, 3, 8, 9]), "truncated");
    assert_eq!(malformed(&[0, 2, 8, 9, 0, 1, 0]), "invalid");
    assert_eq!(malformed(&[0, 0x82, 0x00, 8, 9]), "non-minimal");
    assert_eq!(malformed(&[0, 0xff, 0xff, 0xff, 0xff, 0x0f]), "over-limit");
}

#[test]
fn no_bit_of_a_segment_can_be_flipped() {
    let segment = sealed(b"body");
    for bit in 0..segment.len() * 8 {
        let mut flipped = segment.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(open(&key(4), &AT, &flipped), Err(OpenError::Sealed), "bit {bit}");
        assert_ne!(segment_hash(AT.kind, &flipped), segment_hash(AT.kind, &segment));
    }
}

#[test]
fn the_hash_of_a_segment_says_which_it_is() {
    let segment = sealed(b"body");
    assert_ne!(segment_hash(SegmentKind::Skeleton, &segment), segment_hash(SegmentKind::Content, &segment));
}
