//! Deliveries are taken in by their runs: against a log that is offered the same rows one by one, with what came spoilt, twice, forked
//! or out of order; and how many signatures are checked for it.

mod fixture;
#[path = "reference/rng.rs"]
mod rng;

use fixture::{OWNER, OWNER_DEVICE, ROOT, chain, device, draft, epoch, genesis, grant, key};
use rng::{Rng, fuzz};
use stemma::causal::ChangesetId;
use stemma::codec::Writer;
use stemma::crypto::{Tag, hash};
use stemma::event::{CertificateKind, Draft, Fate, Log, Offer, Refusal, Role, SignedChangeset, Skeleton};
use stemma::steps;

/// A branch of the chain of an actor of the owner's.
#[derive(Clone)]
struct Lane {
    actor: u8,
    seq: u32,
    prev: Option<ChangesetId>,
}

impl Lane {
    fn new(actor: u8) -> Self {
        Self { actor, seq: 0, prev: None }
    }

    /// The next row of the lane. `salt` makes another one of it.
    fn next(&mut self, deps: &[ChangesetId], salt: u64) -> SignedChangeset {
        let links = chain(&[
            (ROOT, OWNER, grant(Role::Owner)),
            (OWNER, OWNER_DEVICE, device(OWNER_DEVICE)),
            (OWNER_DEVICE, self.actor, CertificateKind::Actor),
        ]);
        let skeleton = Skeleton { undo_group: salt, ..Skeleton::default() }.encode(deps.len());
        let chain = (self.seq == 0).then_some(&links);
        let draft = Draft { deps, chain, ..draft(self.seq, self.prev, &skeleton, Some(&[0; 40])) };
        let made = draft.seal(&key(self.actor), &epoch(), &[1; 32]).expect("small");
        (self.seq, self.prev) = (self.seq + 1, Some(made.id()));
        made.signed().clone()
    }

    /// The next row of the lane, in a suite that only a later version can check.
    fn next_unsupported(&mut self) -> SignedChangeset {
        let made = self.clone().next(&[], 0);
        let mut header = made.header().as_bytes().to_vec();
        header[1] = 9;
        let id = ChangesetId(hash(Tag::CHANGESET_ID, &[&header]).0);
        (self.seq, self.prev) = (self.seq + 1, Some(id));
        let signature = key(self.actor).sign(Tag::CHANGESET_SIGNATURE, &[&id.0]).0;
        row(&header, &signature, made.skeleton(), made.content())
    }
}

fn row(
    header: &[u8],
    signature: &[u8; 64],
    skeleton: Option<&[u8]>,
    content: Option<&[u8]>,
) -> SignedChangeset {
    let mut out = Writer::new();
    out.u8(2 * u8::from(skeleton.is_some()) + u8::from(content.is_some())).bytes(header).raw(signature);
    out.raw(skeleton.unwrap_or_default()).raw(content.unwrap_or_default());
    SignedChangeset::decode(out.as_slice()).expect("it decodes")
}

fn spoilt(signed: &SignedChangeset) -> SignedChangeset {
    let mut signature = signed.signature().0;
    signature[40] ^= 4;
    row(signed.header().as_bytes(), &signature, signed.skeleton(), signed.content())
}

/// What is ready joins the graph.
fn drain(log: &mut Log) {
    while let Some(ready) = log.next_ready() {
        let ix = log.add(ready);
        log.decide(ix, Fate::Integrated);
    }
    log.dbg_check();
}

/// How many signatures are checked for it.
fn counted<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = steps::taken();
    let result = work();
    (result, steps::taken() - before)
}

/// What a log holds of a row: whether, with which signature, and whether that is spoilt.
fn held(log: &Log, id: &ChangesetId) -> (bool, Option<[u8; 64]>, bool) {
    let signature = log.find(id).map(|changeset| changeset.signed().signature().0);
    (log.knows(id), signature, log.is_spoilt(id))
}

fn is_partial(log: &Log, id: &ChangesetId) -> bool {
    log.find(id).is_some_and(|changeset| changeset.signed().is_partial())
}

/// A history of several actors who fork, and what of it a relay makes: spoilt, doubled, without a part, forged, in another order.
fn told(rng: &mut Rng) -> Vec<SignedChangeset> {
    let mut lanes: Vec<Lane> = (20..22 + rng.below(3) as u8).map(Lane::new).collect();
    let mut honest: Vec<SignedChangeset> = Vec::new();
    for n in 0..10 + rng.below(30) {
        let lane = rng.below(lanes.len());
        if rng.chance(8) && lanes.len() < 8 {
            lanes.push(lanes[lane].clone());
        }
        let dep = honest.last().map(SignedChangeset::id).filter(|dep| Some(*dep) != lanes[lane].prev);
        let deps: Vec<ChangesetId> = dep.filter(|_| rng.chance(20)).into_iter().collect();
        honest.push(match rng.chance(3) {
            true => lanes[lane].next_unsupported(),
            false => lanes[lane].next(&deps, n as u64),
        });
    }
    let (spoils, order) = (*rng.pick(&[0, 10, 40, 95]), rng.below(3));
    let mut told = Vec::new();
    for signed in &honest {
        let mut copy = if rng.chance(spoils) { spoilt(signed) } else { signed.clone() };
        if rng.chance(5) {
            copy.drop_content();
        }
        told.push(copy);
        if rng.chance(10) {
            told.push(if rng.chance(50) { spoilt(signed) } else { signed.clone() });
        }
        if rng.chance(4) {
            // One that its actor never signed, in the place of the next.
            let mut lane = Lane { actor: 20, seq: signed.header().seq() + 1, prev: Some(signed.id()) };
            told.push(spoilt(&lane.next(&[], 999)));
        }
    }
    match order {
        0 => {}
        1 => told.reverse(),
        _ => (0..told.len()).for_each(|at| {
            let with = (at + rng.below(6)).min(told.len() - 1);
            told.swap(at, with);
        }),
    }
    told
}

#[test]
fn a_delivery_leaves_what_its_rows_leave_one_by_one() {
    fuzz(400, |seed| {
        let mut rng = Rng::new(seed);
        let told = told(&mut rng);
        let ids: Vec<ChangesetId> = told.iter().map(SignedChangeset::id).collect();
        let [mut by_runs, mut singly] = [(); 2].map(|()| Log::new(genesis()));
        let (mut rest, mut checks) = (&told[..], [0, 0]);
        while !rest.is_empty() {
            let (delivery, behind) = rest.split_at((1 + rng.below(12)).min(rest.len()));
            rest = behind;
            let (offers, taken) = counted(|| by_runs.offer_all(delivery.to_vec(), 5));
            assert_eq!(offers.len(), delivery.len());
            checks[0] += taken;
            for signed in delivery {
                checks[1] += counted(|| singly.offer(signed.clone(), 5)).1;
            }
            by_runs.take_proven();
            singly.take_proven();
            if rng.chance(60) {
                drain(&mut by_runs);
                drain(&mut singly);
            }
            let known = |log: &Log| ids.iter().map(|id| log.knows(id)).collect::<Vec<_>>();
            assert_eq!(known(&by_runs), known(&singly));
        }
        drain(&mut by_runs);
        drain(&mut singly);
        let look = |log: &mut Log| ids.iter().filter(|id| log.check(id)).count();
        let (_, late) = counted(|| look(&mut by_runs));
        look(&mut singly);
        for id in &ids {
            assert_eq!(held(&by_runs, id), held(&singly, id), "{id}");
            // One by one nothing is taken of a copy that is refused.
            assert!(is_partial(&by_runs, id) <= is_partial(&singly, id), "{id}");
        }
        assert_eq!(by_runs.graph().len(), singly.graph().len());
        let tips = |log: &Log| {
            let mut tips: Vec<ChangesetId> = log.graph().tips().map(|tip| tip.id).collect();
            tips.sort();
            tips
        };
        assert_eq!(tips(&by_runs), tips(&singly));
        assert_eq!(by_runs.forks().len(), singly.forks().len());
        assert!(checks[0] <= checks[1] + told.len() as u64, "{checks:?}, and {late} later");
    });
}

/// Rows of `lanes` actors, one after another, each fourth with a dep on the one before.
fn woven(rows: usize, lanes: u8) -> Vec<SignedChangeset> {
    let mut lanes: Vec<Lane> = (20..20 + lanes).map(Lane::new).collect();
    let mut made: Vec<SignedChangeset> = Vec::new();
    for n in 0..rows {
        let lane = n % lanes.len();
        let last = made.last().map(SignedChangeset::id).filter(|last| Some(*last) != lanes[lane].prev);
        let deps: Vec<ChangesetId> = last.filter(|_| n % 4 == 3).into_iter().collect();
        made.push(lanes[lane].next(&deps, 0));
    }
    made
}

#[test]
fn one_signature_is_checked_for_each_lane_of_a_delivery() {
    for (rows, lanes) in [(128, 1), (128, 2), (128, 16), (7, 7), (1, 1)] {
        let made = woven(rows, lanes);
        let mut log = Log::new(genesis());
        let (offers, checks) = counted(|| log.offer_all(made.clone(), 0));
        assert_eq!((offers, checks), (vec![Offer::Accepted; rows], u64::from(lanes)), "{rows} rows");
        drain(&mut log);
        // The same again proves nothing and costs nothing.
        let (offers, checks) = counted(|| log.offer_all(made.clone(), 0));
        assert_eq!((offers, checks), (vec![Offer::Known; rows], 0));
        let mut look = || counted(|| made.iter().filter(|signed| log.check(&signed.id())).count());
        assert_eq!(look(), (rows, rows as u64 - u64::from(lanes)), "the others are looked at once");
        assert_eq!(look(), (rows, 0));
    }
}

#[test]
fn a_run_over_several_deliveries_costs_a_signature_each_of_them() {
    let made = woven(1_000, 1);
    let mut log = Log::new(genesis());
    let deliver = |log: &mut Log| made.chunks(128).for_each(|slice| drop(log.offer_all(slice.to_vec(), 0)));
    assert_eq!(counted(|| deliver(&mut log)).1, 8);
    drain(&mut log);
    assert_eq!(log.graph().len(), 1_000);
}

#[test]
fn behind_a_spoilt_end_what_is_good_lands_and_the_rest_is_refused_until_it_is_proven() {
    let made = woven(20, 1);
    let mut delivered = made.clone();
    delivered[17..].iter_mut().for_each(|signed| *signed = spoilt(signed));
    let mut log = Log::new(genesis());
    let (offers, checks) = counted(|| log.offer_all(delivered, 0));
    assert_eq!(checks, 4, "three that are not valid, and the last good one");
    assert!(offers[..17].iter().all(|offer| *offer == Offer::Accepted));
    assert_eq!(offers[17..], [Offer::Refused(Refusal::Signature); 3]);
    drain(&mut log);
    assert_eq!((log.graph().len(), log.take_spoilt().len()), (17, 0));
    // They were put aside: whatever its author signs next proves them.
    let mut lane = Lane { actor: 20, seq: 20, prev: Some(made[19].id()) };
    assert_eq!(log.offer_all(vec![lane.next(&[], 0)], 0), [Offer::Accepted]);
    drain(&mut log);
    assert_eq!((log.graph().len(), log.take_spoilt().len(), log.take_proven().len()), (21, 3, 3));
}

#[test]
fn one_spoilt_in_the_middle_is_found_when_it_is_looked_at_and_a_good_copy_mends_it() {
    let made = woven(20, 1);
    let mut delivered = made.clone();
    delivered[9] = spoilt(&made[9]);
    let mut log = Log::new(genesis());
    assert_eq!(log.offer_all(delivered, 0), [Offer::Accepted; 20]);
    drain(&mut log);
    assert_eq!(log.take_spoilt(), []);
    assert!(!log.check(&made[9].id()) && !log.check(&made[9].id()) && log.check(&made[8].id()));
    let header = made[9].header();
    assert_eq!(log.take_spoilt(), [(made[9].id(), header.actor(), 9)], "it is told once");
    assert!(log.is_lacking(&made[9].id()));
    assert_eq!(log.offer_all(vec![spoilt(&made[9])], 0), [Offer::Known]);
    assert_eq!(log.offer_all(vec![made[9].clone()], 0), [Offer::Resigned]);
    assert!(log.check(&made[9].id()) && !log.is_lacking(&made[9].id()));
}

/// Neither branch is taken for the other's: each end vouches for its own, and both for what is before.
#[test]
fn the_branches_of_a_fork_stand_for_themselves() {
    let mut trunk = Lane::new(20);
    let shared: Vec<SignedChangeset> = (0..4).map(|_| trunk.next(&[], 0)).collect();
    let branch = |salt| {
        let mut lane = trunk.clone();
        (0..4).map(|_| lane.next(&[], salt)).collect::<Vec<_>>()
    };
    let (left, right) = (branch(1), branch(2));
    let spoil = |rows: &[SignedChangeset]| rows.iter().map(spoilt).collect::<Vec<_>>();
    // The right branch is worth nothing, and all that is shared has a bad signature.
    let delivered = [spoil(&shared), left.clone(), spoil(&right)].concat();
    let mut log = Log::new(genesis());
    let (offers, checks) = counted(|| log.offer_all(delivered, 0));
    let expected = [[Offer::Accepted; 8].as_slice(), &[Offer::Refused(Refusal::Signature); 4]].concat();
    assert_eq!((offers, checks), (expected, 5));
    drain(&mut log);
    assert_eq!((log.graph().len(), log.forks().len()), (8, 0), "what nobody signed is no evidence");
    assert_eq!(log.offer_all(right.clone(), 0), [Offer::Accepted; 4]);
    drain(&mut log);
    assert_eq!((log.graph().len(), log.forks().len()), (12, 1));
}

/// A row of another actor, or with another number, vouches for nothing although it names it.
#[test]
fn who_names_a_row_without_being_its_successor_does_not_vouch_for_it() {
    let made = woven(3, 1);
    let named = spoilt(&made[2]);
    for mut lane in [
        Lane { actor: 21, seq: 3, prev: Some(named.id()) },
        Lane { actor: 20, seq: 4, prev: Some(named.id()) },
    ] {
        let mut log = Log::new(genesis());
        let delivered = vec![made[0].clone(), made[1].clone(), named.clone(), lane.next(&[], 0)];
        let offers = log.offer_all(delivered, 0);
        assert_eq!(offers[2], Offer::Refused(Refusal::Signature));
        drain(&mut log);
        assert_eq!(log.graph().len(), 2);
    }
}

#[test]
fn what_was_stored_is_looked_at_like_what_came_in_a_run() {
    let made = woven(10, 1);
    let mut log = Log::new(genesis());
    made[..9].iter().for_each(|signed| log.offer_stored(spoilt(signed), 0));
    log.offer_stored(made[9].clone(), 0);
    assert_eq!(counted(|| log.prove_stored()), (Vec::new(), 1));
    drain(&mut log);
    let valid: Vec<bool> = made.iter().map(|signed| log.check(&signed.id())).collect();
    assert_eq!(valid, [[false; 9].as_slice(), &[true]].concat());
    assert_eq!(log.take_spoilt().len(), 9);
}
