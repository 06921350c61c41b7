//! Signatures that some verifier somewhere accepts, and this one must not.

use super::*;
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT as B, EIGHT_TORSION};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use sha2::{Digest as _, Sha512};

const TAG: Tag = Tag::CHANGESET_SIGNATURE;

/// A key pair whose scalar is known, so that signatures can be made by hand.
struct Forger {
    scalar: Scalar,
    key: VerifyingKey,
}

impl Forger {
    fn new() -> Self {
        let scalar = Scalar::from(0x5eed_0123_4567_u64);
        let public = (B * scalar).compress().to_bytes();
        Self { scalar, key: VerifyingKey::parse(&public).expect("a multiple of the base point") }
    }

    fn challenge(&self, r: &[u8; 32], text: &[u8]) -> Scalar {
        let sha = Sha512::new()
            .chain_update(r)
            .chain_update(self.key.to_bytes())
            .chain_update(message(TAG, &[text]));
        Scalar::from_bytes_mod_order_wide(&sha.finalize().into())
    }

    /// `S = r + k a` for any encoding of R.
    fn sign(&self, nonce: Scalar, r: [u8; 32], text: &[u8]) -> Signature {
        let s = nonce + self.challenge(&r, text) * self.scalar;
        Signature([r, s.to_bytes()].concat().try_into().expect("twice 32 bytes"))
    }

    /// What batch verification and ZIP-215 check: the equation times the cofactor.
    fn holds_cofactored(&self, signature: &Signature, text: &[u8]) -> bool {
        let r: [u8; 32] = *signature.0.first_chunk().expect("64 bytes");
        let s = Scalar::from_bytes_mod_order(*signature.0.last_chunk().expect("64 bytes"));
        let point = |bytes| CompressedEdwardsY(bytes).decompress().expect("a point");
        let rest: EdwardsPoint = B * s - point(self.key.to_bytes()) * self.challenge(&r, text) - point(r);
        rest.mul_by_cofactor().is_identity()
    }
}

fn verdict(key: &VerifyingKey, text: &[u8], signature: &Signature) -> bool {
    key.verify(TAG, &[text], signature).is_ok()
}

#[test]
fn keys_are_those_of_rfc_8032() {
    let pairs = [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        ),
    ];
    for (seed, public) in pairs {
        assert_eq!(hex(&SigningKey::from_seed(&unhex(seed)).public()), public);
    }
}

#[test]
fn no_bit_of_a_signature_or_message_can_be_flipped() {
    let key = SigningKey::from_seed(&[7; 32]);
    let signature = key.sign(TAG, &[b"some", b"text"]);
    let public = key.verifying_key();
    assert!(verdict(&public, b"sometext", &signature));
    for bit in 0..512 {
        let mut flipped = signature;
        flipped.0[bit / 8] ^= 1 << (bit % 8);
        assert!(!verdict(&public, b"sometext", &flipped), "bit {bit}");
    }
    for bit in 0..64 {
        let mut text = *b"sometext";
        text[bit / 8] ^= 1 << (bit % 8);
        assert!(!verdict(&public, &text, &signature), "bit {bit} of the text");
    }
}

#[test]
fn s_must_be_below_the_group_order() {
    let forger = Forger::new();
    let nonce = Scalar::from(99u64);
    let valid = forger.sign(nonce, (B * nonce).compress().to_bytes(), b"x");
    assert!(verdict(&forger.key, b"x", &valid), "the forger signs well when it wants to");
    let order: [u8; 32] = unhex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut high = valid;
    let mut carry = 0u16;
    for (byte, add) in high.0[32..].iter_mut().zip(order) {
        carry += u16::from(*byte) + u16::from(add);
        *byte = carry as u8;
        carry >>= 8;
    }
    assert!(forger.holds_cofactored(&high, b"x") && !verdict(&forger.key, b"x", &high));
}

#[test]
fn keys_of_small_order_do_not_parse() {
    for point in EIGHT_TORSION {
        assert_eq!(VerifyingKey::parse(&point.compress().to_bytes()), None);
    }
}

#[test]
fn a_small_order_r_is_refused() {
    let forger = Forger::new();
    for torsion in EIGHT_TORSION {
        let signature = forger.sign(Scalar::ZERO, torsion.compress().to_bytes(), b"x");
        assert!(forger.holds_cofactored(&signature, b"x"));
        assert!(!verdict(&forger.key, b"x", &signature));
    }
    let identity = forger.sign(Scalar::ZERO, EIGHT_TORSION[0].compress().to_bytes(), b"x");
    let lenient = ed25519_dalek::VerifyingKey::from_bytes(&forger.key.to_bytes()).expect("a key");
    let signature = ed25519_dalek::Signature::from_bytes(&identity.0);
    assert!(
        ed25519_dalek::Verifier::verify(&lenient, &message(TAG, &[b"x"]), &signature).is_ok(),
        "others accept it"
    );
}

#[test]
fn second_encodings_of_keys_and_of_r_are_refused() {
    let mut second_encodings = 0;
    for low in 0xed..=0xff_u8 {
        for high in [0x7f, 0xff] {
            let mut bytes = [0xff; 32];
            (bytes[0], bytes[31]) = (low, high);
            second_encodings += usize::from(ed25519_dalek::VerifyingKey::from_bytes(&bytes).is_ok());
            assert_eq!(VerifyingKey::parse(&bytes), None, "{low:x} {high:x}");
        }
    }
    assert!(second_encodings > 10, "others accept {second_encodings} of them");
    let mut one_plus_p = [0xff; 32];
    (one_plus_p[0], one_plus_p[31]) = (0xee, 0x7f);
    let forger = Forger::new();
    let signature = forger.sign(Scalar::ZERO, one_plus_p, b"x");
    assert!(forger.holds_cofactored(&signature, b"x") && !verdict(&forger.key, b"x", &signature));
}

#[test]
fn a_mixed_order_r_that_passes_in_a_batch_is_refused() {
    let forger = Forger::new();
    for (i, torsion) in EIGHT_TORSION.iter().enumerate() {
        let nonce = Scalar::from(1000 + i as u64);
        let signature = forger.sign(nonce, (B * nonce + torsion).compress().to_bytes(), b"x");
        assert!(forger.holds_cofactored(&signature, b"x"));
        assert_eq!(verdict(&forger.key, b"x", &signature), torsion.is_identity());
    }
}

#[test]
fn two_signatures_of_one_message_are_both_valid() {
    let forger = Forger::new();
    let signatures = [5u64, 6].map(|nonce| {
        let nonce = Scalar::from(nonce);
        forger.sign(nonce, (B * nonce).compress().to_bytes(), b"x")
    });
    assert!(
        signatures[0] != signatures[1]
            && signatures.iter().all(|signature| verdict(&forger.key, b"x", signature))
    );
}

#[test]
fn a_signature_for_one_tag_is_none_for_another() {
    let key = SigningKey::from_seed(&[3; 32]);
    let signature = key.sign(Tag::CERTIFICATE_SIGNATURE, &[&[1; 32]]);
    assert!(key.verifying_key().verify(Tag::CERTIFICATE_SIGNATURE, &[&[1; 32]], &signature).is_ok());
    for tag in [Tag::CHANGESET_SIGNATURE, Tag::LOGIN, Tag::CERTIFICATE_ID] {
        assert!(key.verifying_key().verify(tag, &[&[1; 32]], &signature).is_err());
    }
}

#[test]
fn secrets_do_not_print() {
    let key = SigningKey::from_seed(&[0xab; 32]);
    let printed =
        format!("{key:?} {:?} {:?}", key.salt_key(), crate::crypto::AgreementKey::from_seed(&[0xab; 32]));
    assert_eq!(printed, "SigningKey(…) SaltKey(…) AgreementKey(…)");
    assert_eq!(*key.seed(), [0xab; 32]);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex<const N: usize>(text: &str) -> [u8; N] {
    std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hex"))
}
