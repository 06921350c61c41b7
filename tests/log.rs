//! The log alone: what is authentic, what waits and how much of it, what a fork leaves, what a start costs.

mod fixture;

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT as B;
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use fixture::{GUEST_ACTOR, OWNER_ACTOR, chain, draft, epoch, first_changeset, genesis, guest_links, key};
use sha2::{Digest, Sha512};
use stemma::causal::ChangesetId;
use stemma::codec::Writer;
use stemma::event::{Changeset, Class, Draft, Fate, Fork, Log, Offer, Refusal, SignedChangeset, Skeleton};

/// The changeset of the owner's actor after another, with these deps.
fn after(before: &Changeset, deps: &[ChangesetId], undo_group: u64) -> Changeset {
    let skeleton = Skeleton { undo_group, ..Skeleton::default() }.encode(deps.len());
    let draft = Draft { deps, ..draft(before.header().seq() + 1, Some(before.id()), &skeleton, None) };
    draft.seal(&key(OWNER_ACTOR), &epoch(), &[1; 32]).expect("small")
}

/// A chain of the owner's actor.
fn owner(len: usize) -> Vec<Changeset> {
    let mut made = vec![first_changeset()];
    while made.len() < len {
        made.push(after(&made[made.len() - 1], &[], 0));
    }
    made
}

/// A first changeset of the guest's actor with these deps.
fn guest(deps: &[ChangesetId]) -> Changeset {
    let (skeleton, links) = (Skeleton::default().encode(deps.len()), chain(&guest_links()));
    let draft = Draft { deps, chain: Some(&links), ..draft(0, None, &skeleton, None) };
    draft.seal(&key(GUEST_ACTOR), &epoch(), &[1; 32]).expect("small")
}

fn offer_all<'a>(log: &mut Log, changesets: impl IntoIterator<Item = &'a Changeset>) {
    for changeset in changesets {
        log.offer(changeset.signed().clone(), 0);
    }
}

fn drain(log: &mut Log) -> Vec<ChangesetId> {
    let mut ids = Vec::new();
    while let Some(ready) = log.next_ready() {
        ids.push(ready.changeset.id());
        let ix = log.add(ready);
        log.decide(ix, Fate::Integrated);
    }
    log.dbg_check();
    ids
}

fn with_signature(signed: &SignedChangeset, signature: &[u8; 64]) -> SignedChangeset {
    let mut out = Writer::new();
    out.u8(2 + u8::from(signed.content().is_some())).bytes(signed.header().as_bytes()).raw(signature);
    out.raw(signed.skeleton().expect("it has one")).raw(signed.content().unwrap_or_default());
    SignedChangeset::decode(out.as_slice()).expect("it decodes")
}

fn badly_signed(changeset: &Changeset) -> SignedChangeset {
    with_signature(changeset.signed(), &[7; 64])
}

/// Another valid signature of the owner's actor on the same header: with another nonce than the library's.
fn signed_again(changeset: &Changeset) -> SignedChangeset {
    let seed = Sha512::digest([OWNER_ACTOR; 32]);
    let secret = Scalar::from_bytes_mod_order(clamp_integer(seed[..32].try_into().expect("32 bytes")));
    let nonce = Scalar::from(12_345u64);
    let r = (B * nonce).compress().to_bytes();
    let message = [*b"stemma/1cs-sig\0\0", [0; 16]].concat();
    let sha = Sha512::new().chain_update(r).chain_update(key(OWNER_ACTOR).public());
    let sha = sha.chain_update(&message[..16]).chain_update(changeset.id().0);
    let s = nonce + Scalar::from_bytes_mod_order_wide(&sha.finalize().into()) * secret;
    with_signature(changeset.signed(), &[r, s.to_bytes()].concat().try_into().expect("64 bytes"))
}

#[test]
fn item_16_two_valid_signatures_make_one_changeset() {
    let made = owner(2);
    let again = signed_again(&made[1]);
    assert_ne!(again.signature(), made[1].signed().signature());
    assert!(again.clone().verify().is_ok());
    for order in [[made[1].signed().clone(), again.clone()], [again, made[1].signed().clone()]] {
        let mut log = Log::new(genesis());
        log.offer(made[0].signed().clone(), 0);
        assert_eq!(order.map(|row| log.offer(row, 0)), [Offer::Accepted, Offer::Known]);
        assert_eq!(drain(&mut log).len(), 2);
        assert!(log.forks().is_empty());
    }
}

#[test]
fn what_waits_comes_when_its_parents_are_there_in_any_order() {
    let made = owner(4);
    let last = guest(&[made[3].id()]);
    let mut log = Log::new(genesis());
    for changeset in [&last, &made[3], &made[1], &made[2]] {
        assert_eq!(log.offer(changeset.signed().clone(), 0), Offer::Accepted);
        assert_eq!(drain(&mut log), []);
    }
    log.offer(made[0].signed().clone(), 0);
    let ids: Vec<ChangesetId> = made.iter().chain([&last]).map(Changeset::id).collect();
    assert_eq!(drain(&mut log), ids);
    assert_eq!(log.waiting().count(), 0);
}

/// 100,000 changesets on one that never comes: a bounded number is kept, and the rest of the space goes on.
#[test]
fn item_35_memory_of_what_waits_is_bounded() {
    let mut log = Log::new(genesis());
    let missing = ChangesetId([0xee; 32]);
    let (mut kept, mut crowded) = (0, 0);
    let first = first_changeset();
    log.offer(first.signed().clone(), 0);
    drain(&mut log);
    for n in 0..100_000 {
        match log.offer_authentic(after(&first, &[missing], n), 0) {
            Offer::Accepted => kept += 1,
            Offer::Crowded => crowded += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((kept, crowded), (1_000, 99_000));
    assert_eq!(log.outside().count(), 1_000);
    let next = after(&first, &[], 0);
    log.offer(next.signed().clone(), 0);
    log.offer(guest(&[next.id()]).signed().clone(), 0);
    assert_eq!(drain(&mut log).len(), 2, "others, and the same actor, go on");
}

#[test]
fn a_queue_of_any_length_is_not_crowded() {
    let mut log = Log::new(genesis());
    let made = owner(1_500);
    let offers = made.iter().map(|changeset| log.offer(changeset.signed().clone(), 0));
    assert!(offers.into_iter().all(|offer| offer == Offer::Accepted));
    assert_eq!(drain(&mut log).len(), 1_500);
}

#[test]
fn what_is_held_keeps_its_descendants_out_until_it_is_released() {
    let mut log = Log::new(genesis());
    let made = owner(3);
    offer_all(&mut log, &made);
    let ready = log.next_ready().expect("the first");
    assert!(log.hold(ready));
    assert_eq!(drain(&mut log), []);
    assert_eq!(log.outside().count(), 3);
    log.release(made[0].id());
    assert_eq!(drain(&mut log).len(), 3);
}

#[test]
fn a_fork_leaves_one_piece_of_evidence_a_branch() {
    let made = owner(1);
    let branch = |n| {
        let second = after(&made[0], &[], n);
        let third = after(&second, &[], n);
        [second, third]
    };
    let branches = [branch(1), branch(2), branch(3)];
    let mut log = Log::new(genesis());
    offer_all(&mut log, made.iter().chain(branches.iter().flatten()));
    assert_eq!(drain(&mut log).len(), 7);
    let fork = |second: &Changeset| {
        let first = branches[0][0].id();
        Fork { actor: made[0].header().actor(), seq: 1, first, second: second.id() }
    };
    assert_eq!(log.forks(), [fork(&branches[1][0]), fork(&branches[2][0])]);
}

#[test]
fn a_link_that_does_not_hold_is_refused() {
    let made = owner(3);
    let skeleton = Skeleton::default().encode(0);
    let seal = |seq, prev, signer| {
        draft(seq, Some(prev), &skeleton, None).seal(&key(signer), &epoch(), &[1; 32]).expect("small")
    };
    let mut log = Log::new(genesis());
    offer_all(&mut log, &made);
    // Too early: the link is looked at when the parents are there.
    let early = seal(2, made[0].id(), OWNER_ACTOR);
    assert_eq!(log.offer(early.signed().clone(), 0), Offer::Accepted);
    assert_eq!(drain(&mut log).len(), 3);
    assert!(!log.knows(&early.id()));
    for (seq, prev, signer) in [(4, 2, OWNER_ACTOR), (2, 2, OWNER_ACTOR), (3, 2, GUEST_ACTOR)] {
        let offer = log.offer(seal(seq, made[prev].id(), signer).signed().clone(), 0);
        assert_eq!(offer, Offer::Refused(Refusal::Link), "seq {seq}");
    }
    log.dbg_check();
}

/// Only the last signature of a chain is looked at: the others may be anything.
#[test]
fn a_start_checks_one_signature_a_chain() {
    let made = owner(50);
    let other = guest(&[made[9].id()]);
    let mut log = Log::new(genesis());
    log.offer_stored(other.signed().clone(), 7);
    for changeset in made[..49].iter().rev() {
        log.offer_stored(badly_signed(changeset), 7);
    }
    log.offer_stored(made[49].signed().clone(), 7);
    assert_eq!(log.prove_stored(), []);
    assert_eq!(drain(&mut log).len(), 51);
}

#[test]
fn a_damaged_end_of_a_chain_falls_back_to_the_one_before() {
    let made = owner(5);
    let mut log = Log::new(genesis());
    made[..4].iter().for_each(|changeset| log.offer_stored(changeset.signed().clone(), 0));
    log.offer_stored(badly_signed(&made[4]), 0);
    assert_eq!(log.prove_stored(), [made[4].id()]);
    assert_eq!(drain(&mut log).len(), 4);
}

#[test]
fn any_branch_vouches_for_what_is_before_the_fork() {
    let made = owner(2);
    let (bad, good) = (after(&made[1], &[], 1), after(&made[1], &[], 2));
    let rows = [badly_signed(&made[0]), badly_signed(&made[1]), badly_signed(&bad), good.signed().clone()];
    for turned in 0..rows.len() {
        let mut log = Log::new(genesis());
        let mut rows = rows.clone();
        rows.rotate_left(turned);
        rows.into_iter().for_each(|row| log.offer_stored(row, 0));
        assert_eq!(log.prove_stored(), [bad.id()]);
        assert_eq!(drain(&mut log).len(), 3);
    }
}

#[test]
fn copies_complete_each_other_and_a_bad_signature_does_not_spoil_a_good_one() {
    let made = owner(1);
    let signed = made[0].signed();
    let mut bare = signed.clone();
    bare.drop_content();
    for rows in [
        [bare.clone(), badly_signed(&made[0]), signed.clone()],
        [badly_signed(&made[0]), bare.clone(), signed.clone()],
    ] {
        let mut log = Log::new(genesis());
        rows.into_iter().for_each(|row| log.offer_stored(row, 0));
        assert_eq!(log.prove_stored(), []);
        assert_eq!(drain(&mut log).len(), 1);
        let known = log.find(&made[0].id()).expect("it is there").signed();
        assert_eq!((known.has_content(), known.signature()), (true, signed.signature()));
    }
    let mut log = Log::new(genesis());
    log.offer(bare, 0);
    assert_eq!(log.offer(badly_signed(&made[0]), 0), Offer::Completed);
    assert_eq!(log.offer(signed.clone(), 0), Offer::Known);
    assert_eq!(log.find(&made[0].id()).expect("it is there").signed().signature(), signed.signature());
}

#[test]
fn a_bad_signature_is_not_yet_and_not_never() {
    let made = owner(4);
    let mut log = Log::new(genesis());
    for changeset in [&made[1], &made[0]] {
        assert_eq!(log.offer(badly_signed(changeset), 0), Offer::Refused(Refusal::Signature));
    }
    assert_eq!(log.offer(made[2].signed().clone(), 0), Offer::Accepted);
    let rows = log.take_proven();
    let proven: Vec<ChangesetId> =
        rows.iter().map(|row| SignedChangeset::decode(row).expect("it decodes").id()).collect();
    assert_eq!(proven, [made[1].id(), made[0].id()], "they were not stored yet");
    assert_eq!(drain(&mut log).len(), 3);
    // A stranger's changeset that names it as its predecessor proves nothing, and takes nothing away.
    log.offer(badly_signed(&made[3]), 0);
    let skeleton = Skeleton::default().encode(0);
    let stranger = draft(4, Some(made[3].id()), &skeleton, None);
    let stranger = stranger.seal(&key(GUEST_ACTOR), &epoch(), &[1; 32]).expect("small");
    log.offer(stranger.signed().clone(), 0);
    assert!(!log.knows(&made[3].id()));
    log.offer(after(&made[3], &[], 0).signed().clone(), 0);
    assert_eq!(drain(&mut log).len(), 2);
}

#[test]
fn the_classes_of_the_format_are_no_matter_to_the_log() {
    let mut log = Log::new(genesis());
    let made = owner(1);
    log.offer(made[0].signed().clone(), 0);
    let skeleton = Skeleton::default().encode(0);
    let policy = Draft { class: Class::Policy, ..draft(1, Some(made[0].id()), &skeleton, None) };
    let policy = policy.seal(&key(OWNER_ACTOR), &epoch(), &[1; 32]).expect("small");
    log.offer(policy.signed().clone(), 0);
    assert_eq!(drain(&mut log), [made[0].id(), policy.id()]);
}

#[test]
fn what_was_put_aside_and_came_again_is_there_once() {
    let made = owner(3);
    let mut log = Log::new(genesis());
    assert_eq!(log.offer(badly_signed(&made[1]), 0), Offer::Refused(Refusal::Signature));
    assert_eq!(log.offer(badly_signed(&made[1]), 0), Offer::Refused(Refusal::Signature));
    offer_all(&mut log, &made);
    assert_eq!(log.take_proven(), [] as [Vec<u8>; 0]);
    assert_eq!(drain(&mut log), made.iter().map(Changeset::id).collect::<Vec<_>>());
    assert_eq!(log.forks(), []);
}
