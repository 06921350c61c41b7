//! Changesets made, sent, altered and opened through the public API: each hostile input ends in the refusal or the fate
//! that `docs/format.md` names.

mod fixture;

use fixture::alter::{altered, at, resigned, segment_lens, with_deps, with_ext, with_signature};
use fixture::ops::{bodies, hello, with_ops};
use fixture::{
    OWNER_ACTOR, RANDOM, draft, epoch, first_changeset, key, keyring, next_changeset, owner_chain, space,
    unhex,
};
use stemma::causal::{ActorId, ChangesetId, SpaceId};
use stemma::codec::DecodeError;
use stemma::crypto::{Signature, Tag};
use stemma::event::{Changeset, Class, Draft, DraftError, Header, SignedChangeset, Unsupported, VerifyError};

fn code(result: Result<SignedChangeset, DecodeError>) -> &'static str {
    result.map_or_else(|error| error.code(), |_| "ok")
}

fn reason(result: Result<Changeset, (Box<SignedChangeset>, VerifyError)>) -> VerifyError {
    result.map(|_| ()).expect_err("must not verify").1
}

#[test]
fn a_changeset_travels_and_opens() {
    let (skeleton, content) = hello();
    let row = first_changeset().signed().encode();
    let signed = SignedChangeset::decode(&row).expect("well-formed");
    assert_eq!((signed.encode(), signed.is_damaged()), (row, false));
    let changeset = signed.verify().expect("well signed");
    assert_eq!(changeset.header().chain(), Some(&owner_chain()));
    assert_eq!(changeset.open_skeleton(&keyring(&[0x33])), Ok(skeleton.clone()));
    assert_eq!(changeset.open_content(&keyring(&[0x33]), &skeleton), Ok(Some(content)));
}

#[test]
fn bodies_of_every_class_travel_and_open() {
    for body in bodies() {
        let deps: Vec<ChangesetId> = (0..body.deps).map(|dep| ChangesetId([dep as u8; 32])).collect();
        let (skeleton, content) = (body.skeleton.encode(body.deps), body.content.encode());
        let draft = Draft {
            class: body.class,
            deps: &deps,
            ..draft(1, Some(ChangesetId([9; 32])), &skeleton, Some(&content))
        };
        let changeset = draft.seal(&key(OWNER_ACTOR), &epoch(), &RANDOM).expect("within the limits");
        let signed = SignedChangeset::decode(&changeset.signed().encode()).expect("well-formed");
        let changeset = signed.verify().expect("well signed");
        assert_eq!(changeset.header().class(), Ok(body.class));
        assert_eq!(changeset.open_skeleton(&keyring(&[0x33])).as_ref(), Ok(&body.skeleton), "{}", body.name);
        assert_eq!(
            changeset.open_content(&keyring(&[0x33]), &body.skeleton),
            Ok(Some(body.content)),
            "{}",
            body.name
        );
    }
}

#[test]
fn no_bit_of_a_row_can_be_flipped_unnoticed() {
    let changeset = next_changeset(&first_changeset());
    let row = changeset.signed().encode();
    let segments = segment_lens(&changeset).0 + segment_lens(&changeset).1;
    for bit in 0..row.len() * 8 {
        let mut flipped = row.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let Ok(signed) = SignedChangeset::decode(&flipped) else {
            continue;
        };
        let missing = !signed.has_skeleton() || !signed.has_content();
        let damaged = signed.is_damaged();
        assert!(damaged || missing || signed.verify().is_err(), "bit {bit}");
        assert!(damaged || bit / 8 < row.len() - segments, "bit {bit} is in a segment");
    }
}

#[test]
fn deps_ascend_strictly_and_are_32_at_most() {
    let dep = |n| [n; 32];
    let many = |count| (0..count).map(dep).collect::<Vec<_>>();
    assert_eq!(code(with_deps(&[])), "ok");
    assert_eq!(code(with_deps(&many(32))), "ok");
    assert_eq!(code(with_deps(&many(33))), "over-limit");
    assert_eq!(code(with_deps(&[dep(2), dep(1)])), "unsorted");
    assert_eq!(code(with_deps(&[dep(1), dep(1)])), "unsorted");
}

#[test]
fn a_dep_that_is_an_ancestor_is_accepted() {
    let first = first_changeset();
    assert!(with_deps(&[first.id().0]).expect("well-formed").verify().is_ok());
}

#[test]
fn a_changeset_cannot_name_itself() {
    // Its id would have to be known before the header that is hashed: naming the old id gives a new one.
    let second = next_changeset(&first_changeset());
    let changed = with_deps(&[second.id().0]).expect("well-formed");
    assert_ne!(changed.id(), second.id());
    assert_ne!(changed.header().deps(), [changed.id()]);
}

#[test]
fn numbers_are_minimal_and_bounded() {
    let second = next_changeset(&first_changeset());
    let header = second.header().as_bytes();
    let with_number = |start: usize, number: &[u8]| {
        let header = [&header[..start], number, &header[start + 1..]].concat();
        code(resigned(second.signed(), &header))
    };
    assert_eq!(with_number(at::SEQ, &[0x81, 0x00]), "non-minimal");
    assert_eq!(with_number(at::SEQ, &[0xff, 0xff, 0xff, 0xff, 0x10]), "over-limit");
    assert_eq!(with_number(at::DEPS, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]), "over-limit");
    assert_eq!(
        with_number(at::SKELETON_LEN, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        "over-limit"
    );
    assert_eq!(
        with_number(at::SKELETON_LEN, &[0x80, 0x80, 0x10]),
        "over-limit",
        "a changeset has 256 KiB in all"
    );
    assert_eq!(with_number(at::SKELETON_LEN, &[31]), "invalid");
    assert_eq!(with_number(at::SKELETON_LEN, &[0]), "invalid");
}

#[test]
fn at_seq_0_prev_is_the_space_and_there_is_a_chain() {
    let (skeleton, _) = hello();
    let skeleton = skeleton.encode(0);
    let chain = owner_chain();
    let sealed = |draft: Draft<'_>| match draft.seal(&key(OWNER_ACTOR), &epoch(), &RANDOM) {
        Err(DraftError::Header(DecodeError::Invalid { rule, .. })) => rule,
        other => panic!("{other:?}"),
    };
    let with_prev = Draft { chain: Some(&chain), ..draft(0, Some(ChangesetId([1; 32])), &skeleton, None) };
    assert_eq!(sealed(with_prev), "at seq 0 prev is the space");
    assert_eq!(sealed(draft(0, None, &skeleton, None)), "seq 0 carries a certificate chain");
    let late = Draft { chain: Some(&chain), ..draft(1, Some(ChangesetId([1; 32])), &skeleton, None) };
    assert_eq!(sealed(late), "only seq 0 carries a certificate chain");
    let chain = fixture::chain(&fixture::guest_links());
    let foreign = Draft { chain: Some(&chain), ..draft(0, None, &skeleton, None) };
    assert_eq!(sealed(foreign), "the chain ends at the actor");
}

#[test]
fn unknown_suites_classes_flags_and_critical_entries_wait_for_a_later_version() {
    let waits = |changed: Result<SignedChangeset, DecodeError>, what, found| {
        let signed = changed.expect("well-formed");
        let row = signed.encode();
        let unsupported = Unsupported { what, found };
        assert_eq!(signed.header().class(), Err(unsupported));
        let (back, why) = signed.verify().expect_err("not to be folded");
        assert_eq!((why, back.encode()), (VerifyError::Unsupported(unsupported), row));
    };
    waits(altered(at::SUITE, &[2]), "header suite", 2);
    waits(altered(at::CLASS, &[6]), "header class", 6);
    waits(altered(at::FLAGS, &[0x80]), "header flags", 0x80);
    waits(
        with_ext(|ext| {
            ext.entry(11, b"x");
        }),
        "header ext",
        11,
    );
    assert_eq!(code(altered(0, &[2])), "unknown", "another version is not even kept");
}

#[test]
fn an_unknown_entry_that_is_not_critical_travels_on_byte_for_byte() {
    let signed = with_ext(|ext| {
        ext.entry(10, b"later");
    })
    .expect("well-formed");
    let row = signed.encode();
    let changeset = signed.verify().expect("well signed");
    assert_eq!(changeset.signed().encode(), row);
    assert!(row.windows(5).any(|window| window == b"later"));
}

#[test]
fn known_entries_keep_their_rules() {
    let ext = |tag, value: &[u8]| {
        code(with_ext(|ext| {
            ext.entry(tag, value);
        }))
    };
    assert_eq!(ext(6, &[1; 32]), "ok", "an ops root");
    assert_eq!(ext(6, &[1; 31]), "invalid");
    assert_eq!(ext(7, &[1; 32]), "invalid", "an ops root is not critical");
    assert_eq!(ext(2, &[0]), "invalid", "a chain is critical");
    assert_eq!(ext(3, &owner_chain().encode()), "invalid", "a chain at seq 1");
    assert_eq!(ext(5, &[&[1][..], &[1; 32]].concat()), "invalid", "data does not redact");
    assert_eq!(ext(8, &[0; 16_400]), "over-limit");
}

#[test]
fn redactions_name_their_targets_in_order() {
    let skeleton = with_ops(Vec::new()).encode(0);
    let place = |seq| (ActorId([7; 32]), seq);
    let redact = |targets: &[(ChangesetId, (ActorId, u32))]| {
        let draft = Draft {
            class: Class::Control,
            redacts: targets,
            ops_root: None,
            ..draft(1, Some(ChangesetId([1; 32])), &skeleton, None)
        };
        let changeset = draft.seal(&key(OWNER_ACTOR), &epoch(), &RANDOM)?;
        let header = changeset.header();
        Ok(header.redacts().iter().copied().zip(header.redacts_at().iter().copied()).collect::<Vec<_>>())
    };
    let targets = [(ChangesetId([1; 32]), place(3)), (ChangesetId([2; 32]), place(2))];
    assert_eq!(redact(&targets), Ok(targets.to_vec()));
    let unsorted = redact(&[targets[1], targets[0]]);
    assert!(matches!(unsorted, Err(DraftError::Header(DecodeError::Unsorted { .. }))), "{unsorted:?}");
}

#[test]
fn signatures_of_others_and_for_other_things_are_refused() {
    let second = next_changeset(&first_changeset());
    let (row, header) = (second.signed(), second.header().as_bytes());
    let id = second.id().0;
    let verdict =
        |signature: &Signature| reason(with_signature(row, header, signature).expect("well-formed").verify());
    assert_eq!(verdict(&key(99).sign(Tag::CHANGESET_SIGNATURE, &[&id])), VerifyError::Signature);
    for tag in [Tag::CERTIFICATE_SIGNATURE, Tag::LOGIN, Tag::CHANGESET_ID] {
        assert_eq!(verdict(&key(OWNER_ACTOR).sign(tag, &[&id])), VerifyError::Signature);
    }
    assert_eq!(verdict(&Signature([0; 64])), VerifyError::Signature);
}

#[test]
fn an_actor_that_is_no_key_signs_nothing() {
    let second = next_changeset(&first_changeset());
    let mut header = second.header().as_bytes().to_vec();
    header[36..68].copy_from_slice(&unhex(&format!("01{}", "00".repeat(31))));
    // With the identity as key, R = identity and S = 0 fit every message.
    let mut signature = [0; 64];
    signature[0] = 1;
    let forged = with_signature(second.signed(), &header, &Signature(signature)).expect("well-formed");
    assert_eq!(reason(forged.verify()), VerifyError::Signature);
}

#[test]
fn a_descendant_that_skips_a_seq_vouches_for_nothing() {
    let first = first_changeset();
    let (skeleton, _) = hello();
    let skeleton = skeleton.encode(0);
    let gap = draft(2, Some(first.id()), &skeleton, None);
    let third = gap.seal(&key(OWNER_ACTOR), &epoch(), &RANDOM).expect("small");
    let verdict = first.signed().clone().trust_by_descendant(&third);
    assert_eq!(reason(verdict), VerifyError::Unrelated);
}

#[test]
fn a_header_replayed_into_another_space_is_not_signed_there() {
    let second = next_changeset(&first_changeset());
    let mut header = second.header().as_bytes().to_vec();
    header[at::SPACE..at::SPACE + 32].copy_from_slice(&[0xee; 32]);
    let replayed =
        with_signature(second.signed(), &header, second.signed().signature()).expect("well-formed");
    assert_eq!(replayed.header().space(), SpaceId([0xee; 32]));
    assert_eq!(reason(replayed.verify()), VerifyError::Signature);
    assert_eq!(second.header().space(), space());
}

#[test]
fn the_newest_signature_vouches_for_the_chain() {
    let first = first_changeset();
    let second = next_changeset(&first);
    let third = next_changeset(&second);
    let unsigned = |changeset: &Changeset| {
        with_signature(changeset.signed(), changeset.header().as_bytes(), &Signature([0; 64]))
            .expect("well-formed")
    };
    assert_eq!(reason(unsigned(&second).verify()), VerifyError::Signature);
    let trusted = unsigned(&second).trust_by_descendant(&third).expect("named by the third");
    assert!(trusted.open_skeleton(&keyring(&[0x33])).is_ok());
    assert!(unsigned(&first).trust_by_descendant(&trusted).is_ok(), "and so on back to the beginning");
    assert_eq!(
        reason(unsigned(&first).trust_by_descendant(&third)),
        VerifyError::Unrelated,
        "not next to each other"
    );
    assert_eq!(
        reason(unsigned(&third).trust_by_descendant(&second)),
        VerifyError::Unrelated,
        "a predecessor vouches for nobody"
    );
    let (back, _) = unsigned(&second).trust_by_descendant(&first).expect_err("the wrong way round");
    assert_eq!(back.id(), second.id(), "given back, to be tried again");
}

#[test]
fn a_descendant_by_another_actor_vouches_for_nothing() {
    let first = first_changeset();
    let (skeleton, _) = hello();
    let skeleton = skeleton.encode(0);
    let foreign =
        draft(1, Some(first.id()), &skeleton, None).seal(&key(99), &epoch(), &RANDOM).expect("small");
    assert_eq!(reason(first.signed().clone().trust_by_descendant(&foreign)), VerifyError::Unrelated);
}

#[test]
fn a_draft_above_the_limit_is_not_signed() {
    let too_large = vec![0; 262_144];
    let draft = draft(1, Some(ChangesetId([1; 32])), &too_large, None);
    assert_eq!(
        draft.seal(&key(OWNER_ACTOR), &epoch(), &RANDOM).expect_err("too large"),
        DraftError::TooLarge
    );
    let nearly = vec![0; 245_000];
    let (a, b) = (vec![0; 130_000], vec![0; 120_000]);
    assert!(Draft { skeleton: &nearly, ..draft }.seal(&key(OWNER_ACTOR), &epoch(), &RANDOM).is_ok());
    assert_eq!(
        Draft { skeleton: &a, content: Some(&b), ..draft }
            .seal(&key(OWNER_ACTOR), &epoch(), &RANDOM)
            .map(|_| ()),
        Ok(())
    );
}

#[test]
fn the_header_alone_is_enough_to_route() {
    let first = first_changeset();
    let header = Header::decode(first.header().as_bytes()).expect("well-formed");
    assert_eq!((header.id(), header.seq(), header.prev()), (first.id(), 0, None));
    assert_eq!(next_changeset(&first).header().prev(), Some(first.id()));
}
