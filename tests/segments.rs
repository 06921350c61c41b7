//! Sealed segments of changesets: swapped, moved, missing, under the wrong key, dropped.

mod fixture;

use fixture::alter::{altered, at, segment_lens};
use fixture::ops::with_ops;
use fixture::{OWNER_ACTOR, RANDOM, draft, epoch, first_changeset, key, keyring, next_changeset};
use stemma::causal::ChangesetId;
use stemma::codec::Writer;
use stemma::crypto::{EpochSecret, OpenError, SegmentKind, Tag, segment_hash};
use stemma::event::{BodyError, SegmentError, SignedChangeset, Skeleton};

#[test]
fn without_the_key_nothing_opens() {
    let changeset = first_changeset();
    let kid = changeset.header().kid();
    let no_key = BodyError::Segment(SegmentError::NoKey(kid));
    assert_eq!(changeset.open_skeleton(&keyring(&[])), Err(no_key));
    assert_eq!(changeset.open_skeleton(&keyring(&[0x44])), Err(no_key));
    assert!(no_key.may_change(), "the key may come");
    let other_space = EpochSecret::new([0x33; 32]).derive(&[0xee; 32]);
    assert_ne!(other_space.kid(), kid, "the same secret in another space is another key");
}

#[test]
fn a_segment_under_a_kid_it_was_not_sealed_with_is_inert_for_all() {
    let claimed = keyring(&[0x44]).current().expect("an epoch").kid();
    let changeset = altered(at::KID, &claimed.0).expect("well-formed").verify().expect("well signed");
    let error = changeset.open_skeleton(&keyring(&[0x33, 0x44])).expect_err("sealed under the other");
    assert_eq!(error, BodyError::Segment(SegmentError::Open(OpenError::Sealed)));
    assert!(!error.may_change());
}

#[test]
fn only_an_associated_field_altered_closes_the_segments() {
    let changeset = altered(at::PREV, &[0xab; 32]).expect("well-formed").verify().expect("well signed");
    let error = changeset.open_skeleton(&keyring(&[0x33])).expect_err("bound to its prev");
    assert_eq!(error, BodyError::Segment(SegmentError::Open(OpenError::Sealed)));
}

#[test]
fn swapped_segments_count_as_missing() {
    let (first, second) = (first_changeset(), next_changeset(&first_changeset()));
    let row = second.signed().encode();
    let (skeleton_len, content_len) = segment_lens(&second);
    let segments = skeleton_len + content_len;
    let of_first = first.signed().encode();
    let foreign = &of_first[of_first.len() - segments..][..skeleton_len];
    let swapped = [&row[..row.len() - segments], foreign, &row[row.len() - content_len..]].concat();
    let signed = SignedChangeset::decode(&swapped).expect("well-formed");
    assert!(signed.is_damaged() && !signed.has_skeleton() && signed.has_content());
    let mut changeset = signed.verify().expect("the author is not to blame");
    let error = changeset.open_skeleton(&keyring(&[0x33])).expect_err("missing");
    assert!(error == BodyError::Segment(SegmentError::Missing) && error.may_change());

    assert!(!changeset.complete_from(first.signed().clone()), "another changeset helps nothing");
    assert!(changeset.complete_from(second.signed().clone()));
    assert!(changeset.open_skeleton(&keyring(&[0x33])).is_ok());
    assert!(!changeset.complete_from(second.signed().clone()), "nothing is missing any more");
}

#[test]
fn skeleton_and_content_swapped_within_a_changeset_do_not_open() {
    // The author itself puts the bytes of one where the other belongs, with hashes that fit.
    let second = next_changeset(&first_changeset());
    let row = second.signed().encode();
    let (skeleton_len, content_len) = segment_lens(&second);
    let (skeleton, content) = row[row.len() - skeleton_len - content_len..].split_at(skeleton_len);
    let old = second.header().as_bytes();
    let mut header = Writer::new();
    header.raw(&old[..at::SKELETON_LEN]);
    header.varint(content_len as u64).raw(&segment_hash(SegmentKind::Skeleton, content).0);
    header.varint(skeleton_len as u64).raw(&segment_hash(SegmentKind::Content, skeleton).0).u8(0);
    let id = stemma::crypto::hash(Tag::CHANGESET_ID, &[header.as_slice()]);
    let mut out = Writer::new();
    out.u8(3).bytes(header.as_slice()).raw(&key(OWNER_ACTOR).sign(Tag::CHANGESET_SIGNATURE, &[&id.0]).0);
    out.raw(content).raw(skeleton);
    let changeset =
        SignedChangeset::decode(out.as_slice()).expect("hashes fit").verify().expect("well signed");
    assert!(!changeset.signed().is_damaged());
    let error = changeset.open_skeleton(&keyring(&[0x33])).expect_err("a content");
    assert_eq!(error, BodyError::Segment(SegmentError::Open(OpenError::Sealed)));
}

#[test]
fn content_can_be_dropped_and_everything_else_stays() {
    let mut changeset = first_changeset();
    changeset.drop_content();
    let signed = SignedChangeset::decode(&changeset.signed().encode()).expect("well-formed");
    assert!(!signed.has_content() && !signed.is_damaged());
    let changeset = signed.verify().expect("signature and links stay");
    let skeleton = changeset.open_skeleton(&keyring(&[0x33])).expect("the skeleton stays");
    let missing = Err(BodyError::Segment(SegmentError::Missing));
    assert_eq!(changeset.open_content(&keyring(&[0x33]), &skeleton), missing);
}

#[test]
fn a_changeset_without_content_never_had_one() {
    let skeleton = with_ops(Vec::new()).encode(0);
    let changeset = draft(1, Some(ChangesetId([1; 32])), &skeleton, None)
        .seal(&key(OWNER_ACTOR), &epoch(), &RANDOM)
        .expect("small");
    assert_eq!(changeset.header().content(), None);
    assert_eq!(changeset.open_content(&keyring(&[0x33]), &Skeleton::default()), Ok(None));
    let mut row = changeset.signed().encode();
    row[0] = 3;
    assert_eq!(
        SignedChangeset::decode(&row).map_err(|error| error.code()),
        Err("unknown"),
        "it cannot be present"
    );
}
