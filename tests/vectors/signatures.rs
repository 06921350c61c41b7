//! `signatures.json`: signatures on which verifiers of Ed25519 differ. Valid is what RFC 8032 says without the cofactor,
//! with canonical encodings and without points of small order.

use crate::fixture::{hex, key, unhex};
use crate::forge::tag;
use crate::{Case, Outcome, ok, refused};
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT as B, EIGHT_TORSION};
use curve25519_dalek::scalar::Scalar;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha512};
use stemma::crypto::{Signature, Tag, VerifyingKey};

const SCALAR: u64 = 0x5eed_0123_4567;
const MESSAGE: &[u8] = b"thirty-two bytes of a changeset.";

/// `S = r + k a` for any encodings of R and A.
fn sign(nonce: Scalar, r: [u8; 32], public: [u8; 32]) -> [u8; 64] {
    let sha = Sha512::new().chain_update(r).chain_update(public).chain_update(tag("cs-sig")).chain_update(MESSAGE);
    let k = Scalar::from_bytes_mod_order_wide(&sha.finalize().into());
    let s = nonce + k * Scalar::from(SCALAR);
    [r, s.to_bytes()].concat().try_into().expect("twice 32 bytes")
}

pub fn cases() -> Vec<Case> {
    let input = |public: &[u8; 32], signature: &[u8]| {
        json!({ "public": hex(public), "tag": "cs-sig", "message": hex(MESSAGE), "signature": hex(signature) })
    };
    let public = (B * Scalar::from(SCALAR)).compress().to_bytes();
    let nonce = Scalar::from(99u64);
    let r = (B * nonce).compress().to_bytes();
    let valid = sign(nonce, r, public);
    let order = unhex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut above_order = valid;
    let mut carry = 0;
    for (byte, add) in above_order[32..].iter_mut().zip(&order) {
        carry += u16::from(*byte) + u16::from(*add);
        *byte = carry as u8;
        carry >>= 8;
    }
    let mut one_plus_p = [0xff; 32];
    (one_plus_p[0], one_plus_p[31]) = (0xee, 0x7f);
    let library = key(5).sign(Tag::CHANGESET_SIGNATURE, &[MESSAGE]).0;
    let other_tag = key(5).sign(Tag::CERTIFICATE_SIGNATURE, &[MESSAGE]).0;
    let second = sign(Scalar::from(100u64), (B * Scalar::from(100u64)).compress().to_bytes(), public);
    let mut cases = vec![
        ok("by the library", "an ordinary signature", input(&key(5).public(), &library), json!("valid")),
        ok("by hand", "with another nonce than the RFC's", input(&public, &valid), json!("valid")),
        ok("another by the same key", "a message has many signatures", input(&public, &second), json!("valid")),
        refused("for another tag", "tags keep messages apart", input(&key(5).public(), &other_tag), "signature"),
        refused("S + L", "S is below the group order", input(&public, &above_order), "signature"),
        refused("zeros", "nothing was signed", input(&public, &[0; 64]), "signature"),
        refused("R in a second encoding", "y is above the field prime", input(&public, &sign(Scalar::ZERO, one_plus_p, public)), "signature"),
    ];
    for (i, torsion) in EIGHT_TORSION.iter().enumerate() {
        let small = torsion.compress().to_bytes();
        let name = format!("R of small order, {i} of 8");
        cases.push(refused(&name, "passes where the cofactor is cleared", input(&public, &sign(Scalar::ZERO, small, public)), "signature"));
    }
    for (i, torsion) in EIGHT_TORSION.iter().enumerate().skip(1) {
        let mixed = (B * nonce + torsion).compress().to_bytes();
        let name = format!("R of mixed order, {i} of 7");
        cases.push(refused(&name, "passes in some batches", input(&public, &sign(nonce, mixed, public)), "signature"));
    }
    cases
}

pub fn run(input: &Json) -> Outcome {
    let bytes = |field: &str| unhex(input[field].as_str().expect("hex"));
    let key = VerifyingKey::parse(&bytes("public").try_into().expect("32 bytes")).ok_or("key")?;
    let signature = Signature(bytes("signature").try_into().expect("64 bytes"));
    assert_eq!(input["tag"], "cs-sig");
    key.verify(Tag::CHANGESET_SIGNATURE, &[&bytes("message")], &signature).map_err(|_| "signature")?;
    Ok(json!("valid"))
}
