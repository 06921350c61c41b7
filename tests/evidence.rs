//! Evidence about changesets through the public API of a replica: what is found, told and shown, whom it hides and from where on, how it is settled, and that nobody is
//! framed.

#[path = "common/attacker.rs"]
mod attacker;
mod common;
#[path = "reference/rng.rs"]
mod rng;

use attacker::{Lane, World, badly_signed, encoded, read, write};
use common::{Node, assert_same, sync};
use stemma::audit::{Accused, Evidence, EvidenceId, SignedRun};
use stemma::causal::ActorId;
use stemma::event::{
    Accepted, AuditKind, BanScope, BanSubject, Changeset, Class, ControlKind, Fate, Op, Role,
    SignedChangeset, Target, Verdict,
};
use stemma::replica::{ResolveFault, Rung};

/// Longer than anybody waits with evidence.
const LONG_MS: u64 = 6_000;

fn pass(node: &mut Node, ms: u64) {
    node.now_ms += ms;
    node.settle();
}

/// A lane with one changeset, `before`, and two after it, `left` and `right`.
fn forked(world: &World, n: u8) -> (Lane, [Changeset; 3]) {
    let mut lane = world.attacker.lane(n);
    let before = world.attacker.next(&mut lane, &[world.first], &world.attacker.set("before", "x", 10));
    let mut other = lane.clone();
    let left = world.attacker.next(&mut lane, &[], &world.attacker.set("left", "x", 11));
    let right = world.attacker.next(&mut other, &[], &world.attacker.set("right", "x", 12));
    (lane, [before, left, right])
}

/// Two replicas that have the fork, one of which told of it; both heard.
fn proven() -> (World, Lane, [Changeset; 3]) {
    let world = World::new();
    let (lane, rows) = forked(&world, 1);
    let mut world = world.agree(&rows.each_ref().map(encoded));
    pass(&mut world.a, LONG_MS);
    sync(&mut world.a, &mut world.b);
    world.b.now_ms = world.a.now_ms;
    (world, lane, rows)
}

fn actor(lane: &Lane) -> ActorId {
    ActorId(lane.key.public())
}

fn evidence_of(node: &Node) -> Vec<EvidenceId> {
    node.replica.evidence().map(|one| one.case.id).collect()
}

fn shows(node: &mut Node, keys: &[&str]) -> Vec<bool> {
    keys.iter().map(|key| read(node, key).is_some()).collect()
}

fn say(node: &mut Node, op: Op) {
    node.with(|replica, env| replica.say(vec![op], None, true, env)).expect("it can be said");
}

const ALL: [&str; 3] = ["before", "left", "right"];

#[test]
fn a_fork_is_told_once_and_hides_for_everybody_what_came_after_it() {
    let world = World::new();
    let (lane, rows) = forked(&world, 1);
    let mut world = world.agree(&rows.each_ref().map(encoded));
    assert_eq!(shows(&mut world.a, &ALL), [true; 3], "a fork voids nothing");
    assert_eq!(world.a.replica.reputation(actor(&lane), world.a.now_ms).rung, Rung::Ok);
    pass(&mut world.a, LONG_MS);
    pass(&mut world.b, LONG_MS);
    sync(&mut world.a, &mut world.b);
    assert_same(&world.a, &world.b);
    for node in [&mut world.a, &mut world.b] {
        assert_eq!(shows(node, &ALL), [true, false, false]);
        let found: Vec<_> = node.replica.evidence().collect();
        assert_eq!(found.len(), 1, "one contradiction, whoever tells of it");
        assert_eq!(found[0].case.accused, Accused::Actor(actor(&lane)));
        assert_eq!((found[0].member, found[0].settled), (Some(world.attacker.member()), None));
        assert!(found[0].is_proven && node.replica.is_byzantine(actor(&lane)));
        let held = node.replica.reputation(actor(&lane), node.now_ms);
        assert_eq!((held.rung, held.score), (Rung::Quarantined, 0));
    }
    let mut newcomer = Node::join(3, &world.a.invite(Role::Writer));
    sync(&mut world.a, &mut newcomer);
    assert_eq!(newcomer.replica.view_digest(), world.a.replica.view_digest());
    let again = world.b.reopen();
    assert_eq!(again.replica.view_digest(), newcomer.replica.view_digest());
}

/// Hostile inputs 23 and 25: both orders, and the second branch a year later.
#[test]
fn whichever_branch_came_first_and_however_late_the_other_one_what_follows_is_the_same() {
    let mut seen = Vec::new();
    for order in [[0, 1, 2], [0, 2, 1]] {
        let mut world = World::new();
        let (lane, rows) = forked(&world, 1);
        let rows = order.map(|at| encoded(&rows[at]));
        world.attacker.give(&mut world.a, &rows[..2]);
        pass(&mut world.a, 365 * 24 * 3_600_000);
        assert!(!world.a.replica.is_byzantine(actor(&lane)));
        world.attacker.give(&mut world.a, &rows[2..]);
        pass(&mut world.a, LONG_MS);
        assert_eq!(shows(&mut world.a, &ALL), [true, false, false]);
        seen.push(evidence_of(&world.a));
    }
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn a_word_of_ones_own_comes_before_what_is_proven() {
    let (mut world, lane, rows) = proven();
    let hash = world.a.replica.state_hash();
    let of =
        |verdict, at: &Changeset| Op::PolicyExclude { verdict, targets: vec![Target::Changeset(at.id())] };
    say(&mut world.a, of(Verdict::Include, &rows[1]));
    assert_eq!(shows(&mut world.a, &ALL), [true, true, false]);
    say(&mut world.a, of(Verdict::None, &rows[1]));
    assert_eq!(world.a.replica.state_hash(), hash);
    let lifted = Op::PolicyBan { subject: BanSubject::Actor(actor(&lane)), scope: BanScope::Lifted };
    say(&mut world.a, lifted);
    assert_eq!(shows(&mut world.a, &ALL), [true; 3], "whoever lifts a ban speaks for whom it is about");
    assert_eq!(shows(&mut world.b, &ALL), [true, false, false], "and for oneself alone");
    say(
        &mut world.b,
        Op::PolicyAccept { accepted: true, subject: Accepted::Member(world.attacker.member()) },
    );
    assert_eq!(shows(&mut world.b, &ALL), [true; 3]);
    say(
        &mut world.b,
        Op::PolicyBan { subject: BanSubject::Member(world.attacker.member()), scope: BanScope::All },
    );
    assert_eq!(shows(&mut world.b, &ALL), [false; 3]);
    assert_eq!(world.b.replica.reputation(actor(&lane), 0).rung, Rung::Banned);
}

/// Hostile input 26: only who names this very evidence, and may, settles it.
#[test]
fn a_resolution_shows_everything_again_for_everybody_if_it_names_this_evidence() {
    let world = World::new();
    let (lane, rows) = forked(&world, 1);
    let mut world = world.agree(&rows.each_ref().map(encoded));
    let shown = world.a.replica.state_hash();
    pass(&mut world.a, LONG_MS);
    sync(&mut world.a, &mut world.b);
    let id = evidence_of(&world.a)[0];
    assert_ne!(world.a.replica.state_hash(), shown);
    let unknown = world.a.with(|replica, env| replica.resolve_evidence(EvidenceId([7; 32]), env));
    assert_eq!(unknown, Err(ResolveFault::Unknown));
    let stranger = world.b.with(|replica, env| replica.resolve_evidence(id, env));
    assert_eq!(stranger, Err(ResolveFault::Role), "it is neither theirs nor do they administer");
    // Signed all the same: by a stranger, for something else, by the accused with the accused key.
    let resolve = |id: [u8; 32]| {
        let payload = [&[1][..], &id].concat();
        vec![Op::Control { kind: ControlKind::Resolve, payload }]
    };
    let mut own = lane.clone();
    let mut elsewhere = world.attacker.lane(9);
    let vain = [
        world.attacker.say(Class::Control, &mut own, &[], resolve(id.0)),
        world.attacker.say(Class::Control, &mut elsewhere, &[world.first], resolve([7; 32])),
    ];
    world.attacker.give(&mut world.a, &vain.each_ref().map(encoded));
    assert_eq!(world.fate(vain[0].id()), Some(Fate::Integrated));
    assert!(world.a.replica.is_byzantine(actor(&lane)));
    assert_eq!(shows(&mut world.a, &ALL), [true, false, false]);
    let told = [world.a.evidence_told, world.b.evidence_told];
    assert!(told[0] > 0 && told[1] > 0, "that there is evidence");
    let settled = world.a.with(|replica, env| replica.resolve_evidence(id, env)).expect("the owner may");
    assert_eq!(world.a.replica.state_hash(), shown, "bit for bit");
    sync(&mut world.a, &mut world.b);
    assert_eq!(
        [world.a.evidence_told, world.b.evidence_told],
        [told[0] + 1, told[1] + 1],
        "that it is settled"
    );
    assert_same(&world.a, &world.b);
    assert!(!world.b.replica.is_byzantine(actor(&lane)));
    assert_eq!(world.b.replica.evidence().next().expect("it stays").settled, Some(settled));
}

#[test]
fn another_actor_of_the_same_member_settles_it_too() {
    let (mut world, lane, _) = proven();
    let id = evidence_of(&world.a)[0];
    let mut other = world.attacker.lane(9);
    let payload = [&[1][..], &id.0].concat();
    let op = Op::Control { kind: ControlKind::Resolve, payload };
    let said = world.attacker.say(Class::Control, &mut other, &[world.first], vec![op]);
    world.attacker.give(&mut world.a, &[encoded(&said)]);
    assert!(!world.a.replica.is_byzantine(actor(&lane)));
    assert_eq!(shows(&mut world.a, &ALL), [true; 3]);
}

/// Hostile input 27, with lanes: a third branch is another contradiction.
#[test]
fn a_third_branch_is_evidence_of_its_own_which_has_to_be_settled_too() {
    let (mut world, lane, rows) = proven();
    let first = evidence_of(&world.a)[0];
    world.a.with(|replica, env| replica.resolve_evidence(first, env)).expect("the owner may");
    let mut third = Lane { seq: 1, prev: Some(rows[0].id()), ..lane.clone() };
    let row = world.attacker.next(&mut third, &[], &world.attacker.set("third", "x", 13));
    world.attacker.give(&mut world.a, &[encoded(&row)]);
    pass(&mut world.a, LONG_MS);
    assert_eq!(evidence_of(&world.a).len(), 2);
    assert_eq!(shows(&mut world.a, &ALL), [true, false, false]);
}

/// A member who forks as often as it likes makes others write once.
#[test]
fn a_hundred_branches_in_one_place_are_told_of_once_until_that_is_settled() {
    let mut world = World::new();
    let (lane, rows) = forked(&world, 1);
    let branch = |n: u32| {
        let mut lane = Lane { seq: 1, prev: Some(rows[0].id()), ..lane.clone() };
        encoded(&world.attacker.next(&mut lane, &[], &world.attacker.set(&format!("k{n}"), "x", 20)))
    };
    let all: Vec<Vec<u8>> = [encoded(&rows[0])].into_iter().chain((0..100).map(branch)).collect();
    world.attacker.give(&mut world.a, &all);
    for _ in 0..20 {
        pass(&mut world.a, LONG_MS);
    }
    assert_eq!(evidence_of(&world.a).len(), 1);
    assert_eq!(shows(&mut world.a, &["before", "k0", "k99"]), [true, false, false]);
}

/// Hostile input 28.
#[test]
fn the_same_contradiction_has_one_id_in_whatever_order_and_with_whatever_signature() {
    let world = World::new();
    let (_, [_, left, right]) = forked(&world, 1);
    let (one, other) =
        (Evidence::fork(left.signed(), right.signed()), Evidence::fork(right.signed(), left.signed()));
    assert_eq!(one, other);
    let space = world.a.replica.space();
    assert_eq!(Evidence::decode(&one.encode()).expect("it decodes").id(&space), one.id(&space));
}

/// Hostile input 22: the number does not follow, or `prev` is somebody else's.
#[test]
fn a_gap_is_shown_by_the_header_and_the_one_that_it_names() {
    let mut world = World::new();
    let mut lane = world.attacker.lane(1);
    let first = world.attacker.next(&mut lane, &[world.first], &world.attacker.set("before", "x", 10));
    let skipped = Lane { seq: 5, ..lane.clone() };
    let (skeleton, content) = world.attacker.set("gap", "x", 11);
    let gap = world.attacker.seal(&skipped, &[], &skeleton.encode(0), Some(&content.encode()));
    world.attacker.give(&mut world.a, &[encoded(&first), encoded(&gap)]);
    assert_eq!(world.fate(gap.id()), None, "it does not exist");
    pass(&mut world.a, LONG_MS);
    let found: Vec<_> = world.a.replica.evidence().collect();
    assert_eq!((found.len(), found[0].case.evidence.kind()), (1, "gap"));
    assert_eq!(found[0].case.evidence.doubts(), Some((actor(&lane), 5)));
    assert_eq!(shows(&mut world.a, &["before"]), [true]);
    sync(&mut world.a, &mut world.b);
    assert!(world.b.replica.is_byzantine(actor(&lane)), "who never saw it is shown it");
    assert_same(&world.a, &world.b);
}

#[test]
fn a_skeleton_that_no_member_can_read_is_shown_with_its_bytes() {
    let world = World::new();
    let mut lane = world.attacker.lane(1);
    let before = world.attacker.next(&mut lane, &[world.first], &world.attacker.set("before", "x", 10));
    let bad = world.attacker.seal(&lane, &[], b"no skeleton", None);
    (lane.seq, lane.prev) = (lane.seq + 1, Some(bad.id()));
    let after = world.attacker.next(&mut lane, &[], &world.attacker.set("after", "x", 12));
    let mut world = world.agree(&[&before, &bad, &after].map(encoded));
    assert_eq!(shows(&mut world.a, &["before", "after"]), [true, true]);
    pass(&mut world.b, LONG_MS);
    sync(&mut world.a, &mut world.b);
    assert_eq!(world.a.replica.evidence().next().expect("it was told").case.evidence.kind(), "bad-body");
    assert_eq!(shows(&mut world.a, &["before", "after"]), [true, false]);
    assert_same(&world.a, &world.b);
}

#[test]
fn what_has_no_effect_for_another_reason_is_nobodys_evidence() {
    let world = World::new();
    let mut lane = world.attacker.lane(1);
    let op = Op::Audit { kind: AuditKind::Attest, payload: vec![1, 2, 3] };
    let inert = world.attacker.say(Class::Audit, &mut lane, &[world.first], vec![op]);
    let mut world = world.agree(&[encoded(&inert)]);
    assert_eq!(world.fate(inert.id()), Some(Fate::Inert));
    pass(&mut world.b, LONG_MS);
    assert!(evidence_of(&world.b).is_empty());
    let held = world.b.replica.reputation(actor(&lane), world.b.now_ms);
    assert_eq!((held.rung, held.score), (Rung::Ok, 48), "it costs some of what this device thinks of it");
}

/// Hostile input 92: what is forged in somebody's name is held against who delivers it.
#[test]
fn junk_in_the_name_of_a_member_leaves_that_member_alone() {
    let mut world = World::new();
    let (lane, rows) = forked(&world, 1);
    let alice = actor(&lane);
    world.attacker.give(&mut world.a, &[encoded(&rows[0])]);
    let before = world.a.replica.reputation(alice, world.a.now_ms);
    let junk: Vec<Vec<u8>> = rows[1..].iter().map(|row| badly_signed(row.signed())).collect();
    for _ in 0..50 {
        world.attacker.give(&mut world.a, &junk);
    }
    pass(&mut world.a, LONG_MS);
    assert_eq!(world.a.replica.reputation(alice, world.a.now_ms), before);
    assert!(evidence_of(&world.a).is_empty() && !world.a.replica.is_byzantine(alice));
}

/// Evidence that shows nothing is against the rules, and hurts whoever it names in nothing.
#[test]
fn evidence_that_shows_nothing_is_inert() {
    let world = World::new();
    let (lane, [before, left, right]) = forked(&world, 1);
    let (_, [elsewhere, ..]) = forked(&world, 2);
    let good = Evidence::fork(left.signed(), right.signed()).encode();
    let spoilt = |changeset: &Changeset| {
        SignedChangeset::decode(&badly_signed(changeset.signed())).expect("it decodes")
    };
    // The greater id first: another encoding of the same claim.
    let swapped = {
        let middle = 2 + (good.len() - 2) / 2;
        [&good[..2], &good[middle..], &good[2..middle]].concat()
    };
    let bad: Vec<Vec<u8>> = vec![
        Evidence::fork(&spoilt(&left), right.signed()).encode(),
        Evidence::fork(left.signed(), left.signed()).encode(),
        Evidence::fork(before.signed(), left.signed()).encode(),
        Evidence::fork(left.signed(), elsewhere.signed()).encode(),
        Evidence::Gap(SignedRun::of(left.signed()), Box::new(before.header().clone())).encode(),
        Evidence::Gap(SignedRun::of(left.signed()), Box::new(right.header().clone())).encode(),
        Evidence::Body(SignedRun::of(left.signed()), left.signed().skeleton().expect("here").to_vec())
            .encode(),
        Evidence::Body(SignedRun::of(left.signed()), vec![0; 64]).encode(),
        swapped,
        good[..good.len() - 1].to_vec(),
        [&good[..], &[0]].concat(),
        vec![1],
    ];
    let mut liar = world.attacker.lane(7);
    let mut rows = vec![encoded(&before), encoded(&left)];
    let mut said = Vec::new();
    for payload in bad {
        let op = Op::Audit { kind: AuditKind::Evidence, payload };
        let one = world.attacker.say(Class::Audit, &mut liar, &[world.first], vec![op]);
        rows.push(encoded(&one));
        said.push(one.id());
    }
    let later = Op::Audit { kind: AuditKind::Evidence, payload: vec![2, 1] };
    let mut ahead = world.attacker.lane(8);
    let unknown = world.attacker.say(Class::Audit, &mut ahead, &[world.first], vec![later]);
    rows.push(encoded(&unknown));
    let mut world = world.agree(&rows);
    for (at, id) in said.iter().enumerate() {
        assert_eq!(world.fate(*id), Some(Fate::Inert), "number {at}");
    }
    assert!(world.held(unknown.id()).is_some(), "a later version may know it");
    assert!(evidence_of(&world.a).is_empty() && !world.a.replica.is_byzantine(actor(&lane)));
    assert_eq!(shows(&mut world.a, &["before", "left"]), [true, true]);
}

/// A profile that was copied, or a disk that was restored: most forks are that.
#[test]
fn a_device_owns_up_to_its_own_fork_and_nothing_stays_hidden() {
    let mut owner = Node::create(1);
    let mut writer = Node::join(2, &owner.invite(Role::Writer));
    write(&mut writer, "before");
    sync(&mut owner, &mut writer);
    let mut copy = Node::create(77);
    copy.disk = writer.disk.clone();
    let mut copy = copy.reopen();
    copy.now_ms = writer.now_ms;
    let forked = writer.replica.actor().expect("an actor");
    assert_eq!(copy.replica.actor(), Some(forked));
    write(&mut writer, "here");
    write(&mut copy, "there");
    sync(&mut owner, &mut writer);
    sync(&mut owner, &mut copy);
    sync(&mut owner, &mut writer);
    assert_ne!(writer.replica.actor(), Some(forked), "it signs with another key at once");
    pass(&mut writer, 1_000);
    sync(&mut owner, &mut writer);
    assert_eq!(owner.replica.evidence().count(), 1, "it was told");
    assert!(!owner.replica.is_byzantine(forked), "and settled in one go");
    assert_eq!(shows(&mut owner, &["before", "here", "there"]), [true; 3]);
    pass(&mut copy, LONG_MS);
    pass(&mut owner, LONG_MS);
    sync(&mut owner, &mut copy);
    sync(&mut owner, &mut writer);
    assert_same(&owner, &writer);
    assert_eq!(owner.replica.evidence().count(), 1);
}

/// Hostile input 24: a fork across a snapshot of the state.
#[test]
fn what_is_in_doubt_is_in_doubt_after_a_start_from_a_snapshot() {
    let (mut world, lane, _) = proven();
    let digest = world.a.replica.view_digest();
    assert!(world.a.snapshot());
    let mut a = world.a.reopen();
    assert_eq!(a.replica.view_digest(), digest);
    assert!(a.replica.is_byzantine(actor(&lane)));
    assert_eq!(shows(&mut a, &ALL), [true, false, false]);
    let id = evidence_of(&a)[0];
    a.with(|replica, env| replica.resolve_evidence(id, env)).expect("the owner may");
    assert!(a.snapshot());
    let mut a = a.reopen();
    assert_eq!(shows(&mut a, &ALL), [true; 3]);
    let _ = lane;
}

/// The second branch came while the first was in a snapshot without its bytes.
#[test]
fn a_branch_that_comes_after_a_snapshot_is_found_once_the_bytes_are_there() {
    let mut world = World::new();
    let (lane, rows) = forked(&world, 1);
    world.attacker.give(&mut world.a, &[encoded(&rows[0]), encoded(&rows[1])]);
    assert!(world.a.snapshot());
    let mut a = world.a.reopen_without_bytes(true);
    world.attacker.give(&mut a, &[encoded(&rows[2])]);
    pass(&mut a, LONG_MS);
    assert!(!a.replica.is_byzantine(actor(&lane)));
    a.supply();
    pass(&mut a, 0);
    pass(&mut a, LONG_MS);
    assert!(a.replica.is_byzantine(actor(&lane)));
}

#[test]
fn runs_of_headers_stand_on_the_signature_of_the_last() {
    let world = World::new();
    let (lane, [_, left, right]) = forked(&world, 1);
    let mut lane = lane;
    let after = world.attacker.next(&mut lane, &[], &world.attacker.set("after", "x", 13));
    let genesis = world.attacker.invite.genesis();
    let keys = world.attacker.invite.keys();
    // A row whose own signature was lost, shown with the one after it.
    let mut payload = vec![1, 1];
    let mut sides = [
        (left.id(), vec![left.header().as_bytes(), after.header().as_bytes()], after.signed().signature().0),
        (right.id(), vec![right.header().as_bytes()], right.signed().signature().0),
    ];
    sides.sort_by_key(|(id, ..)| *id);
    for (_, headers, signature) in &sides {
        payload.push(headers.len() as u8);
        for header in headers {
            let mut out = stemma::codec::Writer::new();
            out.bytes(header);
            payload.extend(out.into_bytes());
        }
        payload.extend(signature);
    }
    let evidence = Evidence::decode(&payload).expect("it decodes");
    assert_eq!(evidence.check(genesis, keys), Ok(Accused::Actor(actor(&lane))));
    let direct = Evidence::fork(left.signed(), right.signed());
    let space = world.a.replica.space();
    assert_eq!(evidence.id(&space), direct.id(&space), "the same claim");
}
