//! What a hostile deliverer, chain or clock can do to replicas: every case ends in a named fate, everything else still
//! applies, and all replicas agree whatever came first.

#[path = "common/attacker.rs"]
mod attacker;
mod common;

use attacker::{Attacker, DEP, Lane, World, badly_signed, encoded, id_of, notes, read, resigned, row, write};
use common::{Node, assert_same, sync};
use stemma::causal::Hlc;
use stemma::crypto::SigningKey;
use stemma::event::{
    Certificate, CertificateKind, Changeset, Class, Draft, Fate, ObjectAt, ObjectKind, Op, Role, Value,
};
use stemma::replica::{HistoryFilter, HoldReason};

#[test]
fn item_6_a_dep_that_is_an_ancestor_has_no_effect() {
    let world = World::new();
    let mut lane = world.attacker.lane(1);
    let first = world.attacker.next(&mut lane, &[], &world.attacker.set("k", "1", 5));
    let second = world.attacker.next(&mut lane, &[], &world.attacker.set("k", "2", 6));
    let third = world.attacker.next(&mut lane, &[first.id()], &world.attacker.set("k", "3", 7));
    let mut world = world.agree(&[&first, &second, &third].map(encoded));
    assert_eq!(read(&mut world.a, "k"), Some(Value::from("3")));
    assert_eq!((world.a.replica.stats().inert, world.a.replica.stats().pending), (0, 0));
}

#[test]
fn item_7_a_dep_that_should_be_the_changeset_itself_is_another_one_and_waits() {
    let world = World::new();
    let mut lane = world.attacker.lane(1);
    let body = world.attacker.set("k", "1", 5);
    let first = world.attacker.next(&mut lane, &[], &body);
    let second = world.attacker.next(&mut lane, &[world.first], &body);
    let own = second.id();
    let cycle = resigned(&mut lane, &second, |header| header[DEP..DEP + 32].copy_from_slice(&own.0));
    let world = world.agree(&[encoded(&first), cycle.clone()]);
    assert_eq!(world.fate(first.id()), Some(Fate::Integrated));
    assert_eq!(world.held(id_of(&cycle)), Some(None));
}

#[test]
fn item_11_no_flipped_bit_of_any_row_changes_anything_or_keeps_the_good_row_out() {
    let world = World::new();
    let mut lane = world.attacker.lane(1);
    let rows: Vec<Vec<u8>> = ["1", "2"]
        .map(|value| encoded(&world.attacker.next(&mut lane, &[], &world.attacker.set("k", value, 5))))
        .to_vec();
    let World { mut a, mut b, attacker, .. } = world;
    attacker.give(&mut b, &rows);
    for row in rows.iter().rev() {
        for bit in 0..row.len() * 8 {
            let mut flipped = row.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            attacker.give(&mut a, &[flipped]);
        }
    }
    write(&mut a, "alive");
    attacker.give(&mut a, &rows);
    sync(&mut a, &mut b);
    a.replica.dbg_check();
    assert_same(&a, &b);
    assert_eq!(read(&mut a, "k"), Some(Value::from("2")));
    let again = a.reopen();
    assert_same(&again, &b);
}

/// A row that came without a segment is completed by a better copy, from whomever.
#[test]
fn what_was_withheld_or_damaged_is_taken_from_another_copy() {
    let mut world = World::new();
    let mut lane = world.attacker.lane(1);
    let whole = world.attacker.next(&mut lane, &[], &world.attacker.set("k", "1", 5));
    let next = world.attacker.next(
        &mut lane,
        &[],
        &world
            .attacker
            .text(vec![Op::TextInsert { object: ObjectAt(0), left: None, right: None, len: 3 }], "abc"),
    );
    let part = |changeset: &Changeset, skeleton: bool, content: bool| {
        let signed = changeset.signed();
        let (skeleton, content) =
            (signed.skeleton().filter(|_| skeleton), signed.content().filter(|_| content));
        row(signed.header().as_bytes(), &signed.signature().0, skeleton, content)
    };
    world.attacker.give(&mut world.a, &[part(&next, true, false), part(&whole, false, true)]);
    assert_eq!(world.held(whole.id()), Some(Some(HoldReason::Skeleton)));
    world.attacker.give(&mut world.a, &[part(&whole, true, false)]);
    assert_eq!(read(&mut world.a, "k"), Some(Value::from("1")));
    assert_eq!(notes(&mut world.a), "hello");
    let partial = world.a.replica.view_digest();
    world.attacker.give(&mut world.a, &[part(&next, false, true)]);
    assert_ne!(world.a.replica.view_digest(), partial, "a partial state says so");
    assert_eq!(notes(&mut world.a).len(), 8);
    world.attacker.give(&mut world.b, &[encoded(&whole), encoded(&next)]);
    assert_same(&world.a, &world.b);
    let again = world.a.reopen();
    assert_same(&again, &world.b);
}

#[test]
fn item_18_a_changeset_of_another_space_is_refused() {
    let mut world = World::new();
    let other = World::new();
    let mut elsewhere = Node::create(77);
    let stranger = Attacker::join(&elsewhere.invite(Role::Writer));
    let foreign = encoded(&stranger.next(&mut stranger.lane(1), &[], &stranger.set("k", "1", 5)));
    let report = world.attacker.give(&mut world.a, &[foreign]);
    assert_eq!((report.added, report.refused), (0, 1));
    assert_same(&world.a, &other.a);
}

#[test]
fn item_20_a_bad_signature_is_forgiven_when_a_valid_descendant_comes() {
    let world = World::new();
    let mut lane = world.attacker.lane(1);
    let made: Vec<_> = ["1", "2", "3"]
        .map(|value| world.attacker.next(&mut lane, &[], &world.attacker.set("k", value, 5)))
        .to_vec();
    let rows = [badly_signed(made[0].signed()), badly_signed(made[1].signed()), encoded(&made[2])];
    let mut world = world.agree(&rows);
    assert_eq!(read(&mut world.a, "k"), Some(Value::from("3")));
    assert_eq!(world.a.replica.stats().pending, 0);
}

#[test]
fn item_21_a_long_chain_delivered_backwards_applies_in_the_end() {
    let World { mut a, attacker, .. } = World::new();
    let mut lane = attacker.lane(1);
    let mut rows: Vec<Vec<u8>> = (0..1_200)
        .map(|n| encoded(&attacker.next(&mut lane, &[], &attacker.set("k", &n.to_string(), 5))))
        .collect();
    rows.reverse();
    attacker.give(&mut a, &rows[..100]);
    attacker.give(&mut a, &rows[100..]);
    // More waited than a replica keeps in memory: the rest is on the disk, and found at the next opening.
    let mut a = a.reopen();
    assert_eq!(read(&mut a, "k"), Some(Value::from("1199")));
    assert_eq!(a.replica.stats().pending, 0);
}

#[test]
fn a_long_chain_in_order_needs_no_second_opening() {
    let World { mut a, attacker, .. } = World::new();
    let mut lane = attacker.lane(1);
    let rows: Vec<Vec<u8>> = (0..1_500)
        .map(|n| encoded(&attacker.next(&mut lane, &[], &attacker.set("k", &n.to_string(), 5))))
        .collect();
    // In one go, and while a batch is open.
    let notes = a.replica.object("notes", ObjectKind::Text).expect("a text");
    a.with(|replica, env| replica.text_insert(notes, 0, "x", env)).expect("in range");
    attacker.give(&mut a, &rows);
    assert_eq!(read(&mut a, "k"), None, "arrivals wait for the seal");
    a.with(|replica, env| replica.flush(env));
    a.settle();
    assert_eq!(read(&mut a, "k"), Some(Value::from("1499")));
    let mut a = a.reopen();
    assert_eq!((read(&mut a, "k"), a.replica.stats().pending), (Some(Value::from("1499")), 0));
}

#[test]
fn item_22_a_gap_in_seq_is_refused() {
    let mut world = World::new();
    let mut lane = world.attacker.lane(1);
    let first = world.attacker.next(&mut lane, &[], &world.attacker.set("k", "1", 5));
    lane.seq += 1;
    let gap = world.attacker.next(&mut lane, &[], &world.attacker.set("k", "2", 6));
    let report = world.attacker.give(&mut world.a, &[encoded(&first)]);
    assert_eq!(report.refused, 0);
    let report = world.attacker.give(&mut world.a, &[encoded(&gap)]);
    assert_eq!(report.refused, 1);
    let mut world = world.agree(&[encoded(&gap), encoded(&first)]);
    assert_eq!(read(&mut world.a, "k"), Some(Value::from("1")));
}

#[test]
fn item_23_both_branches_of_a_fork_stay_and_are_kept_as_evidence() {
    let world = World::new();
    let mut lane = world.attacker.lane(1);
    let root = world.attacker.next(&mut lane, &[], &world.attacker.set("k", "0", 5));
    let mut rows = vec![encoded(&root)];
    for branch in ["left", "right"] {
        let mut lane = lane.clone();
        for at in ["1", "2"] {
            let body = world.attacker.set(branch, at, 6);
            rows.push(encoded(&world.attacker.next(&mut lane, &[], &body)));
        }
    }
    let mut world = world.agree(&rows);
    for branch in ["left", "right"] {
        assert_eq!(read(&mut world.a, branch), Some(Value::from("2")));
    }
    let stats = world.a.replica.stats();
    assert_eq!((stats.forks, stats.inert, stats.pending), (1, 0, 0));
}

#[test]
fn item_31_a_stamp_below_that_of_a_dep_and_a_cycle_of_stamps() {
    let world = World::new();
    // a < b by causality and b < c < a by stamps, c beside them.
    let (mut one, mut two) = (world.attacker.lane(1), world.attacker.lane(2));
    let a = world.attacker.next(&mut one, &[], &world.attacker.set("k", "a", 30));
    let b = world.attacker.next(&mut one, &[], &world.attacker.set("k", "b", 10));
    let c = world.attacker.next(&mut two, &[], &world.attacker.set("k", "c", 20));
    let mut world = world.agree(&[&a, &b, &c].map(encoded));
    assert_eq!(read(&mut world.a, "k"), Some(Value::from("c")));
    let facts = world.a.replica.object("facts", ObjectKind::Map).expect("a map");
    let conflicts: Vec<Value> = world.a.replica.map_conflicts(facts, "k").into_iter().cloned().collect();
    assert_eq!(conflicts, [Value::from("c"), Value::from("b")]);
}

#[test]
fn items_32_to_34_far_stamps_and_jumping_clocks_keep_nobody_from_writing() {
    let world = World::new();
    let day = 24 * 60 * 60 * 1000;
    let rows = [(1, (1 << 48) - 1), (2, 1_000_000 + day), (3, 0)].map(|(n, ms)| {
        encoded(&world.attacker.next(&mut world.attacker.lane(n), &[], &world.attacker.set("k", "far", ms)))
    });
    let mut world = world.agree(&rows);
    for now_ms in [1_000_000, 5, 1_000_000 + 365 * day, 7, 1_000_000] {
        world.a.now_ms = now_ms;
        for node in [&mut world.a, &mut world.b] {
            let facts = node.replica.object("facts", ObjectKind::Map).expect("a map");
            let value = Value::from(now_ms.to_string().as_str());
            node.with(|replica, env| replica.map_set(facts, "k", value.clone(), env)).expect("a writer");
            node.with(|replica, env| replica.flush(env));
            assert_eq!(read(node, "k"), Some(value), "whoever saw the others overwrites them");
        }
        sync(&mut world.a, &mut world.b);
        assert_same(&world.a, &world.b);
    }
}

/// Stamps of inert changesets are followed by nobody's clock.
#[test]
fn an_inert_changeset_moves_no_clock() {
    let world = World::with_role(Role::Reader);
    let mut lane = world.attacker.lane(1);
    let far = encoded(&world.attacker.next(&mut lane, &[], &world.attacker.set("k", "1", (1 << 48) - 1)));
    let mut world = world.agree(&[far]);
    write(&mut world.a, "time");
    let last = world.a.replica.last_write().expect("a write");
    let history = world.a.replica.history(&HistoryFilter { limit: usize::MAX, ..HistoryFilter::default() });
    let stamp = history.iter().find(|summary| summary.id == last).expect("in history").time_ms;
    assert!(stamp < Hlc { ms: 2_000_000, counter: 0 }.ms, "{stamp}");
}

#[test]
fn an_actor_without_a_valid_chain_is_refused() {
    let mut world = World::new();
    let attacker = &world.attacker;
    let space = attacker.invite.genesis().id();
    // Certified by itself; certified by a device of nobody; the chain of another actor.
    let (mut own, mut stranger, mut other) = (attacker.lane(1), attacker.lane(2), attacker.lane(3));
    let certificate = |issuer: &SigningKey, lane: &Lane| {
        Certificate::issue(issuer, space, lane.key.public(), CertificateKind::Actor)
    };
    own.chain = attacker.chain.extended(certificate(&own.key, &own));
    let nobody = SigningKey::from_seed(&[0x66; 32]);
    stranger.chain = attacker.chain.extended(certificate(&nobody, &stranger));
    other.chain = attacker.lane(4).chain;
    let mut rows = Vec::new();
    for lane in [&mut own, &mut stranger] {
        rows.push(encoded(&attacker.next(lane, &[], &attacker.set("k", "1", 5))));
    }
    let report = attacker.give(&mut world.a, &rows);
    assert_eq!((report.added, report.refused), (0, 2));
    let body = attacker.set("k", "1", 5);
    let (skeleton, content) = (body.0.encode(0), body.1.encode());
    let draft = Draft {
        space,
        class: Class::Data,
        seq: 0,
        prev: None,
        deps: &[],
        chain: Some(&other.chain),
        redacts: &[],
        ops_root: None,
        skeleton: &skeleton,
        content: Some(&content),
    };
    let epoch = attacker.invite.keys().current().expect("an epoch");
    assert!(draft.seal(&other.key, epoch, &[9; 32]).is_err(), "not even the header decodes");
    assert_eq!(read(&mut world.a, "k"), None);
}
