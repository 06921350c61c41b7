//! Changesets made, sent, altered and opened through the public API: each hostile input ends in the refusal or the fate
//! that `docs/format.md` names.

mod fixture;

use fixture::ops::{all_values, bodies, content_for, every_data_op, hello, with_ops};
use fixture::{
    OWNER_ACTOR, RANDOM, draft, epoch, first_changeset, key, keyring, next_changeset, owner_chain,
    space, unhex,
};
use stemma::causal::{ChangesetId, SpaceId};
use stemma::codec::{DecodeError, TlvWriter, Writer};
use stemma::crypto::{EpochSecret, OpenError, SegmentKind, Signature, Tag, segment_hash};
use stemma::event::{
    BodyError, Changeset, Class, Content, Draft, DraftError, Header, ObjectAt, Op, ReadError,
    SegmentError, SignedChangeset, Skeleton, Unsupported, Value, VerifyError,
};

/// Where the fields of a header without deps and with a one-byte seq stand.
mod at {
    pub const SUITE: usize = 1;
    pub const CLASS: usize = 2;
    pub const FLAGS: usize = 3;
    pub const SPACE: usize = 4;
    pub const SEQ: usize = 68;
    pub const PREV: usize = 69;
    pub const DEPS: usize = 101;
    pub const KID: usize = 102;
    pub const SKELETON_LEN: usize = 118;
}

/// A row with another header, signed by the owner's actor: what a hostile member can make.
fn resigned(row: &SignedChangeset, header: &[u8]) -> Result<SignedChangeset, DecodeError> {
    let id = stemma::crypto::hash(Tag::CHANGESET_ID, &[header]);
    let signature = key(OWNER_ACTOR).sign(Tag::CHANGESET_SIGNATURE, &[&id.0]);
    with_signature(row, header, &signature)
}

fn with_signature(
    row: &SignedChangeset,
    header: &[u8],
    signature: &Signature,
) -> Result<SignedChangeset, DecodeError> {
    let bytes = row.encode();
    let segments =
        row.header().skeleton().len + row.header().content().map_or(0, |content| content.len);
    let mut out = Writer::new();
    out.u8(bytes[0])
        .bytes(header)
        .raw(&signature.0)
        .raw(&bytes[bytes.len() - segments as usize..]);
    SignedChangeset::decode(&out.into_bytes())
}

/// The second changeset's header with bytes from `start` on replaced, signed anew.
fn altered(start: usize, with: &[u8]) -> Result<SignedChangeset, DecodeError> {
    let second = next_changeset(&first_changeset());
    let mut header = second.header().as_bytes().to_vec();
    header[start..start + with.len()].copy_from_slice(with);
    resigned(second.signed(), &header)
}

/// The second changeset with another `deps` list.
fn with_deps(deps: &[[u8; 32]]) -> Result<SignedChangeset, DecodeError> {
    let second = next_changeset(&first_changeset());
    let old = second.header().as_bytes();
    let mut out = Writer::new();
    out.raw(&old[..at::DEPS])
        .varint(deps.len() as u64)
        .raw(&deps.concat())
        .raw(&old[at::KID..]);
    resigned(second.signed(), out.as_slice())
}

/// The second changeset with another extension.
fn with_ext(write: impl FnOnce(&mut TlvWriter)) -> Result<SignedChangeset, DecodeError> {
    let second = next_changeset(&first_changeset());
    let old = second.header().as_bytes();
    let (mut out, mut ext) = (Writer::new(), TlvWriter::new());
    write(&mut ext);
    out.raw(&old[..old.len() - 1]);
    ext.finish(&mut out);
    resigned(second.signed(), out.as_slice())
}

fn segment_lens(changeset: &Changeset) -> (usize, usize) {
    let header = changeset.header();
    (
        header.skeleton().len as usize,
        header.content().map_or(0, |content| content.len as usize),
    )
}

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
    assert_eq!(
        changeset.open_skeleton(&keyring(&[0x33])),
        Ok(skeleton.clone())
    );
    assert_eq!(
        changeset.open_content(&keyring(&[0x33]), &skeleton),
        Ok(Some(content))
    );
}

#[test]
fn bodies_of_every_class_travel_and_open() {
    for body in bodies() {
        let deps: Vec<ChangesetId> = (0..body.deps)
            .map(|dep| ChangesetId([dep as u8; 32]))
            .collect();
        let (skeleton, content) = (body.skeleton.encode(body.deps), body.content.encode());
        let draft = Draft {
            class: body.class,
            deps: &deps,
            ..draft(1, Some(ChangesetId([9; 32])), &skeleton, Some(&content))
        };
        let changeset = draft
            .seal(&key(OWNER_ACTOR), &epoch(), &RANDOM)
            .expect("within the limits");
        let signed = SignedChangeset::decode(&changeset.signed().encode()).expect("well-formed");
        let changeset = signed.verify().expect("well signed");
        assert_eq!(changeset.header().class(), Ok(body.class));
        assert_eq!(
            changeset.open_skeleton(&keyring(&[0x33])).as_ref(),
            Ok(&body.skeleton),
            "{}",
            body.name
        );
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
        assert!(
            damaged || bit / 8 < row.len() - segments,
            "bit {bit} is in a segment"
        );
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
    assert!(
        with_deps(&[first.id().0])
            .expect("well-formed")
            .verify()
            .is_ok()
    );
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
    assert_eq!(
        with_number(at::SEQ, &[0xff, 0xff, 0xff, 0xff, 0x10]),
        "over-limit"
    );
    assert_eq!(
        with_number(
            at::DEPS,
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]
        ),
        "over-limit"
    );
    assert_eq!(
        with_number(
            at::SKELETON_LEN,
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]
        ),
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
    let with_prev = Draft {
        chain: Some(&chain),
        ..draft(0, Some(ChangesetId([1; 32])), &skeleton, None)
    };
    assert_eq!(sealed(with_prev), "at seq 0 prev is the space");
    assert_eq!(
        sealed(draft(0, None, &skeleton, None)),
        "seq 0 carries a certificate chain"
    );
    let late = Draft {
        chain: Some(&chain),
        ..draft(1, Some(ChangesetId([1; 32])), &skeleton, None)
    };
    assert_eq!(sealed(late), "only seq 0 carries a certificate chain");
    let chain = fixture::chain(&fixture::guest_links());
    let foreign = Draft {
        chain: Some(&chain),
        ..draft(0, None, &skeleton, None)
    };
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
        assert_eq!(
            (why, back.encode()),
            (VerifyError::Unsupported(unsupported), row)
        );
    };
    waits(altered(at::SUITE, &[2]), "header suite", 2);
    waits(altered(at::CLASS, &[6]), "header class", 6);
    waits(altered(at::FLAGS, &[0x80]), "header flags", 0x80);
    waits(
        with_ext(|ext| {
            ext.entry(9, b"x");
        }),
        "header ext",
        9,
    );
    assert_eq!(
        code(altered(0, &[2])),
        "unknown",
        "another version is not even kept"
    );
}

#[test]
fn an_unknown_entry_that_is_not_critical_travels_on_byte_for_byte() {
    let signed = with_ext(|ext| {
        ext.entry(8, b"later");
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
    assert_eq!(
        ext(3, &owner_chain().encode()),
        "invalid",
        "a chain at seq 1"
    );
    assert_eq!(
        ext(5, &[&[1][..], &[1; 32]].concat()),
        "invalid",
        "data does not redact"
    );
    assert_eq!(ext(8, &[0; 16_400]), "over-limit");
}

#[test]
fn redactions_name_their_targets_in_order() {
    let skeleton = with_ops(Vec::new()).encode(0);
    let redact = |targets: &[ChangesetId]| {
        let draft = Draft {
            class: Class::Control,
            redacts: targets,
            ..draft(1, Some(ChangesetId([1; 32])), &skeleton, None)
        };
        let changeset = draft.seal(&key(OWNER_ACTOR), &epoch(), &RANDOM)?;
        Ok(changeset.header().redacts().to_vec())
    };
    let targets = [ChangesetId([1; 32]), ChangesetId([2; 32])];
    assert_eq!(redact(&targets), Ok(targets.to_vec()));
    let unsorted = redact(&[targets[1], targets[0]]);
    assert!(
        matches!(
            unsorted,
            Err(DraftError::Header(DecodeError::Unsorted { .. }))
        ),
        "{unsorted:?}"
    );
}

#[test]
fn signatures_of_others_and_for_other_things_are_refused() {
    let second = next_changeset(&first_changeset());
    let (row, header) = (second.signed(), second.header().as_bytes());
    let id = second.id().0;
    let verdict = |signature: &Signature| {
        reason(
            with_signature(row, header, signature)
                .expect("well-formed")
                .verify(),
        )
    };
    assert_eq!(
        verdict(&key(99).sign(Tag::CHANGESET_SIGNATURE, &[&id])),
        VerifyError::Signature
    );
    for tag in [Tag::CERTIFICATE_SIGNATURE, Tag::LOGIN, Tag::CHANGESET_ID] {
        assert_eq!(
            verdict(&key(OWNER_ACTOR).sign(tag, &[&id])),
            VerifyError::Signature
        );
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
    let forged =
        with_signature(second.signed(), &header, &Signature(signature)).expect("well-formed");
    assert_eq!(reason(forged.verify()), VerifyError::Signature);
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
        with_signature(
            changeset.signed(),
            changeset.header().as_bytes(),
            &Signature([0; 64]),
        )
        .expect("well-formed")
    };
    assert_eq!(reason(unsigned(&second).verify()), VerifyError::Signature);
    let trusted = unsigned(&second)
        .trust_by_descendant(&third)
        .expect("named by the third");
    assert!(trusted.open_skeleton(&keyring(&[0x33])).is_ok());
    assert!(
        unsigned(&first).trust_by_descendant(&trusted).is_ok(),
        "and so on back to the beginning"
    );
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
    let (back, _) = unsigned(&second)
        .trust_by_descendant(&first)
        .expect_err("the wrong way round");
    assert_eq!(back.id(), second.id(), "given back, to be tried again");
}

#[test]
fn a_descendant_by_another_actor_vouches_for_nothing() {
    let first = first_changeset();
    let (skeleton, _) = hello();
    let skeleton = skeleton.encode(0);
    let foreign = draft(1, Some(first.id()), &skeleton, None)
        .seal(&key(99), &epoch(), &RANDOM)
        .expect("small");
    assert_eq!(
        reason(first.signed().clone().trust_by_descendant(&foreign)),
        VerifyError::Unrelated
    );
}

#[test]
fn without_the_key_nothing_opens() {
    let changeset = first_changeset();
    let kid = changeset.header().kid();
    let no_key = Err(BodyError::Segment(SegmentError::NoKey(kid)));
    assert_eq!(changeset.open_skeleton(&keyring(&[])), no_key);
    assert_eq!(changeset.open_skeleton(&keyring(&[0x44])), no_key);
    assert!(
        no_key.expect_err("an error").may_change(),
        "the key may come"
    );
    let other_space = EpochSecret::new([0x33; 32]).derive(&[0xee; 32]);
    assert_ne!(
        other_space.kid(),
        kid,
        "the same secret in another space is another key"
    );
}

#[test]
fn a_segment_under_a_kid_it_was_not_sealed_with_is_inert_for_all() {
    let claimed = keyring(&[0x44]).current().expect("an epoch").kid();
    let changeset = altered(at::KID, &claimed.0)
        .expect("well-formed")
        .verify()
        .expect("well signed");
    let error = changeset
        .open_skeleton(&keyring(&[0x33, 0x44]))
        .expect_err("sealed under the other");
    assert_eq!(
        error,
        BodyError::Segment(SegmentError::Open(OpenError::Sealed))
    );
    assert!(!error.may_change());
}

#[test]
fn only_an_associated_field_altered_closes_the_segments() {
    let changeset = altered(at::PREV, &[0xab; 32])
        .expect("well-formed")
        .verify()
        .expect("well signed");
    let error = changeset
        .open_skeleton(&keyring(&[0x33]))
        .expect_err("bound to its prev");
    assert_eq!(
        error,
        BodyError::Segment(SegmentError::Open(OpenError::Sealed))
    );
}

#[test]
fn swapped_segments_count_as_missing() {
    let (first, second) = (first_changeset(), next_changeset(&first_changeset()));
    let row = second.signed().encode();
    let (skeleton_len, content_len) = segment_lens(&second);
    let segments = skeleton_len + content_len;
    let of_first = first.signed().encode();
    let foreign = &of_first[of_first.len() - segments..][..skeleton_len];
    let swapped = [
        &row[..row.len() - segments],
        foreign,
        &row[row.len() - content_len..],
    ]
    .concat();
    let signed = SignedChangeset::decode(&swapped).expect("well-formed");
    assert!(signed.is_damaged() && !signed.has_skeleton() && signed.has_content());
    let mut changeset = signed.verify().expect("the author is not to blame");
    let error = changeset
        .open_skeleton(&keyring(&[0x33]))
        .expect_err("missing");
    assert!(error == BodyError::Segment(SegmentError::Missing) && error.may_change());

    assert!(
        !changeset.complete_from(first.signed().clone()),
        "another changeset helps nothing"
    );
    assert!(changeset.complete_from(second.signed().clone()));
    assert!(changeset.open_skeleton(&keyring(&[0x33])).is_ok());
    assert!(
        !changeset.complete_from(second.signed().clone()),
        "nothing is missing any more"
    );
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
    header
        .varint(content_len as u64)
        .raw(&segment_hash(SegmentKind::Skeleton, content).0);
    header
        .varint(skeleton_len as u64)
        .raw(&segment_hash(SegmentKind::Content, skeleton).0)
        .u8(0);
    let id = stemma::crypto::hash(Tag::CHANGESET_ID, &[header.as_slice()]);
    let mut out = Writer::new();
    out.u8(3)
        .bytes(header.as_slice())
        .raw(&key(OWNER_ACTOR).sign(Tag::CHANGESET_SIGNATURE, &[&id.0]).0);
    out.raw(content).raw(skeleton);
    let changeset = SignedChangeset::decode(out.as_slice())
        .expect("hashes fit")
        .verify()
        .expect("well signed");
    assert!(!changeset.signed().is_damaged());
    let error = changeset
        .open_skeleton(&keyring(&[0x33]))
        .expect_err("a content");
    assert_eq!(
        error,
        BodyError::Segment(SegmentError::Open(OpenError::Sealed))
    );
}

#[test]
fn content_can_be_dropped_and_everything_else_stays() {
    let mut changeset = first_changeset();
    changeset.drop_content();
    let signed = SignedChangeset::decode(&changeset.signed().encode()).expect("well-formed");
    assert!(!signed.has_content() && !signed.is_damaged());
    let changeset = signed.verify().expect("signature and links stay");
    let skeleton = changeset
        .open_skeleton(&keyring(&[0x33]))
        .expect("the skeleton stays");
    let missing = Err(BodyError::Segment(SegmentError::Missing));
    assert_eq!(
        changeset.open_content(&keyring(&[0x33]), &skeleton),
        missing
    );
}

#[test]
fn a_changeset_without_content_never_had_one() {
    let skeleton = with_ops(Vec::new()).encode(0);
    let changeset = draft(1, Some(ChangesetId([1; 32])), &skeleton, None)
        .seal(&key(OWNER_ACTOR), &epoch(), &RANDOM)
        .expect("small");
    assert_eq!(changeset.header().content(), None);
    assert_eq!(
        changeset.open_content(&keyring(&[0x33]), &Skeleton::default()),
        Ok(None)
    );
    let mut row = changeset.signed().encode();
    row[0] = 3;
    assert_eq!(
        code(SignedChangeset::decode(&row)),
        "unknown",
        "it cannot be present"
    );
}

#[test]
fn a_draft_above_the_limit_is_not_signed() {
    let too_large = vec![0; 262_144];
    let draft = draft(1, Some(ChangesetId([1; 32])), &too_large, None);
    assert_eq!(
        draft
            .seal(&key(OWNER_ACTOR), &epoch(), &RANDOM)
            .expect_err("too large"),
        DraftError::TooLarge
    );
    let nearly = vec![0; 245_000];
    let (a, b) = (vec![0; 130_000], vec![0; 120_000]);
    assert!(
        Draft {
            skeleton: &nearly,
            ..draft
        }
        .seal(&key(OWNER_ACTOR), &epoch(), &RANDOM)
        .is_ok()
    );
    assert_eq!(
        Draft {
            skeleton: &a,
            content: Some(&b),
            ..draft
        }
        .seal(&key(OWNER_ACTOR), &epoch(), &RANDOM)
        .map(|_| ()),
        Ok(())
    );
}

#[test]
fn one_undecodable_op_amid_a_thousand_makes_the_skeleton_malformed() {
    let mut skeleton = every_data_op();
    skeleton.ops = vec![
        Op::CounterAdd {
            object: ObjectAt(2),
            amount: 1
        };
        1_000
    ];
    skeleton.ops[500] = Op::CounterAdd {
        object: ObjectAt(99),
        amount: 1,
    };
    let error = Skeleton::decode(&skeleton.encode(2), Class::Data, 2).expect_err("no object 99");
    assert!(
        matches!(
            error,
            ReadError::Malformed(DecodeError::Invalid { what: "object", .. })
        ),
        "{error}"
    );
    skeleton.ops[500] = Op::MapSet {
        object: ObjectAt(2),
        key: stemma::event::NameAt(0),
    };
    let error =
        Skeleton::decode(&skeleton.encode(2), Class::Data, 2).expect_err("a counter is no map");
    assert!(
        error
            .to_string()
            .starts_with("op object: the object's kind fits the op"),
        "{error}"
    );
}

#[test]
fn an_unknown_op_below_0x80_waits_and_one_above_is_skipped() {
    let skeleton = with_ops(vec![Op::Skipped {
        kind: 0x80,
        payload: vec![1, 2, 3],
    }]);
    let mut bytes = skeleton.encode(0);
    assert_eq!(Skeleton::decode(&bytes, Class::Data, 0), Ok(skeleton));
    let op = bytes.len() - 6;
    assert_eq!(bytes[op], 0x80);
    bytes[op] = 0x7f;
    let unsupported = Unsupported {
        what: "op kind",
        found: 0x7f,
    };
    assert_eq!(
        Skeleton::decode(&bytes, Class::Data, 0),
        Err(ReadError::Unsupported(unsupported))
    );
}

#[test]
fn ops_stay_in_changesets_of_their_class() {
    let classes = [
        Class::Control,
        Class::Data,
        Class::Policy,
        Class::Audit,
        Class::Snapshot,
        Class::Private,
    ];
    for body in bodies().iter().filter(|body| !body.skeleton.ops.is_empty()) {
        for class in classes {
            let read = Skeleton::decode(&body.skeleton.encode(body.deps), class, body.deps);
            let policy = [Class::Policy, Class::Private];
            let fits =
                class == body.class || policy.contains(&class) && policy.contains(&body.class);
            assert_eq!(read.is_ok(), fits, "{} in {class:?}", body.name);
        }
    }
}

#[test]
fn nobody_inserts_more_than_a_changeset_can_hold() {
    let insert = |len| Op::TextInsert {
        object: ObjectAt(1),
        left: None,
        right: None,
        len,
    };
    let read = |ops| {
        let skeleton = Skeleton {
            ops,
            ..every_data_op()
        };
        Skeleton::decode(&skeleton.encode(2), Class::Data, 2)
            .map(|_| ())
            .map_err(|error| error.code())
    };
    assert_eq!(read(vec![insert(262_144)]), Ok(()));
    assert_eq!(read(vec![insert(262_145)]), Err("over-limit"));
    assert_eq!(read(vec![insert(262_144), insert(1)]), Err("over-limit"));
}

#[test]
fn nesting_of_any_depth_is_refused_without_a_crash() {
    let nested = |depth: usize| [vec![7, 1].repeat(depth), vec![0]].concat();
    assert!(Value::decode(&nested(100)).is_ok());
    for depth in [101, 1_000, 100_000] {
        assert_eq!(
            Value::decode(&nested(depth)).map_err(|error| error.code()),
            Err("over-limit"),
            "{depth}"
        );
    }
    let objects = [vec![8, 1, 0].repeat(100_000), vec![0]].concat();
    assert_eq!(
        Value::decode(&objects).map_err(|error| error.code()),
        Err("over-limit")
    );
}

#[test]
fn values_have_one_encoding() {
    for (name, value) in all_values() {
        assert_eq!(Value::decode(&value.to_bytes()), Ok(value), "{name}");
    }
    let refused = [
        ("NaN", "04000000000000f87f"),
        ("infinity", "04000000000000f07f"),
        ("minus infinity", "04000000000000f0ff"),
        ("1.0 as a double", "04000000000000f03f"),
        ("0.0 as a double", "040000000000000000"),
        ("a lone surrogate", "0503eda080"),
        ("an overlong slash", "0502c0af"),
        ("keys out of order", "0802016200016100"),
        ("a key twice", "0802016100016100"),
        ("an unknown tag", "0a"),
    ];
    for (name, bytes) in refused {
        assert!(Value::decode(&unhex(bytes)).is_err(), "{name}");
    }
    let minus_zero = Value::decode(&unhex("040000000000000080")).expect("-0 is a double");
    assert_ne!(minus_zero, Value::from(0));
}

#[test]
fn any_fault_makes_the_whole_content_undecodable() {
    let skeleton = every_data_op();
    let content = content_for(&skeleton);
    let read = |content: &Content| {
        Content::decode(&content.encode(), &skeleton)
            .map(|_| ())
            .map_err(|error| error.code())
    };
    assert_eq!(read(&content), Ok(()));
    let text = |text: &str| Content {
        text: text.to_owned(),
        ..content.clone()
    };
    assert_eq!(read(&text("abcdefg")), Err("invalid"), "a unit too few");
    assert_eq!(read(&text("abcdefghi")), Err("invalid"), "a unit too many");
    assert_eq!(
        read(&text("ab\u{1f600}defg")),
        Err("invalid"),
        "an insert of 3 units ends inside a character"
    );
    assert_eq!(read(&text("a\u{1f600}defgh")), Ok(()));
    let mut values = content.clone();
    values.values.pop();
    assert!(read(&values).is_err(), "a value too few");
}

#[test]
fn content_is_handed_out_by_op() {
    let (skeleton, content) = hello();
    let parts: Vec<_> = content.by_op(&skeleton.ops).collect();
    assert_eq!(
        parts,
        [("hello \u{1f600}", &[][..]), ("", &["Grüße".into()][..])]
    );
    assert_eq!(
        content
            .confirmed_names(&skeleton, keyring(&[]).names())
            .len(),
        4
    );
    let strangers = content.confirmed_names(&every_data_op(), keyring(&[]).names());
    assert_eq!(strangers, [], "names that no op uses are ignored");
}

#[test]
fn the_header_alone_is_enough_to_route() {
    let first = first_changeset();
    let header = Header::decode(first.header().as_bytes()).expect("well-formed");
    assert_eq!(
        (header.id(), header.seq(), header.prev()),
        (first.id(), 0, None)
    );
    assert_eq!(next_changeset(&first).header().prev(), Some(first.id()));
}
