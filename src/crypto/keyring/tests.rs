//! Names, key ids and device keys.

use super::*;
use crate::crypto::{AgreementKey, AgreementPublic};

#[test]
fn a_ring_writes_under_the_epoch_added_last_and_keeps_each_once() {
    let mut ring = Keyring::new([1; 32], NameKey::new([2; 32]));
    assert!(ring.current().is_none());
    let first = ring.add(EpochSecret::new([3; 32]));
    let second = ring.add(EpochSecret::new([4; 32]));
    assert_eq!(ring.add(EpochSecret::new([3; 32])), first);
    assert_eq!(ring.secrets().count(), 2);
    assert_eq!(ring.current().map(EpochKey::kid), Some(second));
    assert_eq!(ring.get(first).map(EpochKey::kid), Some(first));
    assert!(ring.get(Kid([0; 16])).is_none());
}

#[test]
fn a_kid_of_another_space_is_unknown() {
    let secret = EpochSecret::new([3; 32]);
    let mut ring = Keyring::new([1; 32], NameKey::new([2; 32]));
    ring.add(secret.clone());
    assert!(ring.get(secret.derive(&[9; 32]).kid()).is_none());
}

#[test]
fn names_differ_by_sort_kind_options_place_and_key() {
    let key = NameKey::new([2; 32]);
    let parent = key.object(1, &[0], "a");
    let mut ids = vec![
        parent,
        key.object(2, &[0], "a"),
        key.object(1, &[0], "b"),
        key.object(1, &[3, 2, 1, 1], "a"),
        key.name(1, b"a"),
        key.name(3, b"a"),
        key.child(&parent, &key.name(1, b"a"), 1, &[0]),
        key.child(&parent, &key.name(1, b"a"), 2, &[0]),
        key.child(&parent, &key.name(1, b"b"), 1, &[0]),
        NameKey::new([3; 32]).name(1, b"a"),
    ];
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn options_and_names_cannot_run_into_each_other() {
    let key = NameKey::new([2; 32]);
    assert_ne!(key.object(1, b"ab", "c"), key.object(1, b"a", "bc"));
}

#[test]
fn secrets_do_not_print() {
    let secret = EpochSecret::new([0xab; 32]);
    let mut ring = Keyring::new([0xab; 32], NameKey::new([0xab; 32]));
    ring.add(secret.clone());
    let printed = format!("{secret:?} {:?} {:?} {ring:?}", secret.derive(&[1; 32]), ring.names());
    assert_eq!(printed, "EpochSecret(…) EpochKey(…) NameKey(…) Keyring(…)");
}

#[test]
fn device_keys_are_those_of_rfc_7748() {
    let pairs = [
        (
            "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
            "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
        ),
        (
            "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
            "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
        ),
    ];
    for (seed, public) in pairs {
        let bytes = |text: &str| {
            std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hex"))
        };
        assert_eq!(AgreementKey::from_seed(&bytes(seed)).public().to_bytes(), bytes(public));
    }
}

#[test]
fn device_keys_that_share_zeros_do_not_parse() {
    let good = AgreementKey::from_seed(&[7; 32]).public();
    assert_eq!(AgreementPublic::parse(&good.to_bytes()), Some(good));
    let mut small_orders = vec![[0; 32], [0; 32]];
    small_orders[1][0] = 1;
    let mut minus_one = [0xff; 32];
    (minus_one[0], minus_one[31]) = (0xec, 0x7f);
    small_orders.push(minus_one);
    // Of order 8.
    small_orders.push(curve25519_dalek::constants::EIGHT_TORSION[1].to_montgomery().to_bytes());
    small_orders.push(curve25519_dalek::constants::EIGHT_TORSION[3].to_montgomery().to_bytes());
    for bytes in small_orders {
        assert_eq!(AgreementPublic::parse(&bytes), None, "{bytes:x?}");
    }
    let mut second_encoding = good.to_bytes();
    second_encoding[31] |= 0x80;
    assert_eq!(AgreementPublic::parse(&second_encoding), None);
    let mut nine_plus_p = [0xff; 32];
    (nine_plus_p[0], nine_plus_p[31]) = (0xed + 9, 0x7f);
    assert_eq!(AgreementPublic::parse(&nine_plus_p), None);
}
