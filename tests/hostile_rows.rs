//! Rows that a hostile member forges or withholds, offered to whole replicas: what does not decode or is not signed is
//! refused, the rest applies, and all agree. The unit tests of codec, header and signatures have the finer cases.

#[path = "common/attacker.rs"]
mod attacker;
mod common;

use attacker::{DEP, Lane, World, encoded, id_of, read, resigned, row};
use common::{Node, assert_same, sync};
use stemma::causal::ChangesetId;
use stemma::codec::{TlvWriter, Writer};
use stemma::crypto::Tag;
use stemma::event::{Changeset, Fate, ObjectKind, Role, Value};
use stemma::replica::HoldReason;
use stemma::store::TailRecord;

/// Where seq stands in a header.
const SEQ: usize = 68;

/// A lane with its first changeset, and a second one that names two deps.
fn two(world: &World) -> (Lane, Changeset, Changeset) {
    let mut lane = world.attacker.lane(1);
    let other = world.attacker.next(&mut world.attacker.lane(9), &[], &world.attacker.set("o", "1", 5));
    let first = world.attacker.next(&mut lane, &[], &world.attacker.set("first", "1", 5));
    let mut deps = [world.first, other.id()];
    deps.sort();
    let mut ahead = lane.clone();
    let second = world.attacker.next(&mut ahead, &deps, &world.attacker.set("second", "1", 6));
    (lane, first, second)
}

/// Changes the bytes of a header.
type Alter = Box<dyn Fn(&mut Vec<u8>)>;

/// Gives signed rows with altered headers; each must be refused, and the honest rest goes on.
fn assert_refused(alter: Vec<Alter>) {
    let mut world = World::new();
    let (lane, first, second) = two(&world);
    world.attacker.give(&mut world.a, &[encoded(&first)]);
    let mut rows = vec![encoded(&first)];
    for (n, alter) in alter.iter().enumerate() {
        let bad = resigned(&mut lane.clone(), &second, |header| alter(header));
        let report = world.attacker.give(&mut world.a, std::slice::from_ref(&bad));
        assert_eq!((report.added, report.refused), (0, 1), "case {n}");
        rows.push(bad);
    }
    let mut world = world.agree(&rows);
    assert_eq!(read(&mut world.a, "first"), Some(Value::from("1")));
    assert_eq!(read(&mut world.a, "second"), None);
}

#[test]
fn item_1_a_header_cut_at_any_byte_is_refused() {
    let len = two(&World::new()).2.header().as_bytes().len();
    assert_refused(
        (0..len).map(|cut| Box::new(move |header: &mut Vec<u8>| header.truncate(cut)) as _).collect(),
    );
}

#[test]
fn items_2_to_4_trailing_bytes_padded_numbers_and_huge_lengths_are_refused() {
    let huge = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
    let splice = |at: usize, bytes: &'static [u8]| {
        Box::new(move |header: &mut Vec<u8>| drop(header.splice(at..=at, bytes.iter().copied()))) as _
    };
    assert_refused(vec![
        Box::new(|header| header.push(0)),
        splice(SEQ, &[0x81, 0x00]),
        splice(SEQ, &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]),
        splice(DEP - 1, &[0x82, 0x00]),
        Box::new(move |header| drop(header.splice(DEP - 1..DEP, huge))),
        // The length of the skeleton, behind two deps and the kid.
        Box::new(move |header| drop(header.splice(DEP + 80..DEP + 81, huge))),
    ]);
}

#[test]
fn items_5_and_8_deps_out_of_order_twice_or_too_many_are_refused() {
    assert_refused(vec![
        Box::new(|header| header[DEP..DEP + 64].rotate_left(32)),
        Box::new(|header| header.copy_within(DEP..DEP + 32, DEP + 32)),
        Box::new(|header| {
            header[DEP - 1] = 33;
            let deps: Vec<u8> = (0..33).flat_map(|n| [n; 32]).collect();
            header.splice(DEP..DEP + 64, deps);
        }),
    ]);
}

#[test]
fn item_10_an_unknown_entry_that_is_not_critical_stays_to_the_byte() {
    let world = World::new();
    let (mut lane, first, second) = two(&world);
    let strange = resigned(&mut lane, &second, |header| {
        let (mut ext, mut out) = (TlvWriter::new(), Writer::new());
        ext.entry(18, b"of a later version");
        ext.finish(&mut out);
        header.pop();
        header.extend(out.into_bytes());
    });
    let other = world.attacker.next(&mut world.attacker.lane(9), &[], &world.attacker.set("o", "1", 5));
    let mut world = world.agree(&[encoded(&other), encoded(&first), strange.clone()]);
    assert_eq!(world.fate(id_of(&strange)), Some(Fate::Integrated));
    assert_eq!(read(&mut world.a, "second"), Some(Value::from("1")));
    let export = world.b.replica.export_space();
    assert!(export.windows(strange.len()).any(|window| window == strange));
}

#[test]
fn items_12_13_and_17_signatures_that_others_might_take_are_refused() {
    // The order of the group, little-endian: S and S + L are the same scalar to a lax verifier.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut world = World::new();
    let (lane, first, _) = two(&world);
    let honest = first.signed().signature().0;
    let mut plus_order = honest;
    let mut carry = 0;
    for (byte, order) in plus_order[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    // R is the neutral element.
    let mut small_order = honest;
    small_order[..32].fill(0);
    small_order[0] = 1;
    let id = first.id();
    let of_a_login = lane.key.sign(Tag::LOGIN, &[&id.0]).0;
    let of_a_certificate = lane.key.sign(Tag::CERTIFICATE_SIGNATURE, &[&id.0]).0;
    let forged = [plus_order, small_order, of_a_login, of_a_certificate].map(|signature| {
        row(first.header().as_bytes(), &signature, first.signed().skeleton(), first.signed().content())
    });
    for forged in &forged {
        world.attacker.give(&mut world.a, std::slice::from_ref(forged));
        assert_eq!(read(&mut world.a, "first"), None);
    }
    let mut world = world.agree(&forged);
    assert_eq!((read(&mut world.a, "first"), world.fate(id)), (None, None));
    world.attacker.give(&mut world.a, &[encoded(&first)]);
    assert_eq!(read(&mut world.a, "first"), Some(Value::from("1")), "the good copy is not kept out");
}

#[test]
fn items_25_and_28_a_branch_a_year_later_and_the_same_one_again_are_one_fork() {
    let world = World::new();
    let mut lane = world.attacker.lane(1);
    let root = world.attacker.next(&mut lane, &[], &world.attacker.set("root", "1", 5));
    let mut twin = lane.clone();
    let left = world.attacker.next(&mut lane, &[], &world.attacker.set("left", "1", 6));
    let right = world.attacker.next(&mut twin, &[], &world.attacker.set("right", "1", 6));
    let mut world = world;
    world.attacker.give(&mut world.a, &[encoded(&root), encoded(&left)]);
    world.attacker.give(&mut world.b, &[encoded(&right), encoded(&root)]);
    for node in [&mut world.a, &mut world.b] {
        node.now_ms += 365 * 24 * 3_600_000;
        assert_eq!(node.replica.stats().forks, 0);
    }
    let mut world = world.agree(&[encoded(&left), encoded(&right), encoded(&left), encoded(&root)]);
    for branch in ["left", "right"] {
        assert_eq!(read(&mut world.a, branch), Some(Value::from("1")));
    }
    assert_eq!((world.a.replica.stats().forks, world.b.replica.stats().forks), (1, 1));
}

#[test]
fn item_30_counts_that_lie_about_the_body_make_it_inert() {
    let world = World::new();
    let body = world.attacker.set("k", "1", 5).0.encode(0);
    let at = body.len() - 5;
    assert_eq!(body[at..at + 2], [1, 1], "one op, a map set");
    let mut rows = Vec::new();
    for (n, count) in [0, 2, 127].into_iter().enumerate() {
        let mut lying = body.clone();
        lying[at] = count;
        let lane = world.attacker.lane(n as u8 + 1);
        rows.push(encoded(&world.attacker.seal(&lane, &[], &lying, None)));
    }
    let mut world = world.agree(&rows);
    let fates: Vec<_> = rows.iter().map(|row| (world.fate(id_of(row)), world.held(id_of(row)))).collect();
    let inert = (Some(Fate::Inert), None);
    // One op more begins with a byte that a later version may know.
    let waits = (None, Some(Some(HoldReason::Unsupported)));
    assert_eq!(fates, [inert, waits, inert]);
    assert_eq!(read(&mut world.a, "k"), None);
}

#[test]
fn item_36_what_waits_for_a_dep_that_never_comes_holds_up_nobody_and_is_not_cited() {
    let world = World::new();
    let (mut lane, first, _) = two(&world);
    let missing = world.attacker.next(&mut world.attacker.lane(7), &[], &world.attacker.set("late", "1", 5));
    let waiting = world.attacker.next(&mut lane, &[missing.id()], &world.attacker.set("waits", "1", 6));
    let mut world = world.agree(&[encoded(&waiting), encoded(&first)]);
    assert_eq!(world.held(waiting.id()), Some(None));
    assert_eq!(read(&mut world.a, "first"), Some(Value::from("1")));
    let heads: Vec<ChangesetId> = world.a.replica.heads();
    assert!(!heads.contains(&waiting.id()));
    attacker::write(&mut world.a, "meanwhile");
    // Fetched again in the end: it applies, at both.
    world.attacker.give(&mut world.a, &[encoded(&missing)]);
    sync(&mut world.a, &mut world.b);
    assert_same(&world.a, &world.b);
    assert_eq!(read(&mut world.b, "waits"), Some(Value::from("1")));
}

#[test]
fn item_44_randomness_that_repeats_gives_no_two_segments_one_salt() {
    let mut node = Node::create(1);
    let facts = node.replica.object("facts", ObjectKind::Map).expect("a map");
    let mut stuck = |bytes: &mut [u8]| bytes.fill(7);
    for value in ["1", "2", "1", "1"] {
        let mut env = stemma::replica::Env { now_ms: 1_000_000, random: &mut stuck };
        node.replica.map_set(facts, "k", Value::from(value), &mut env).expect("a writer");
        node.replica.flush(&mut env);
    }
    node.with(|_, _| ());
    let rows: Vec<_> = node
        .disk
        .tail
        .iter()
        .flat_map(|record| TailRecord::decode(record).expect("a record").0.rows)
        .collect();
    let segments = rows.iter().flat_map(|row| [row.skeleton(), row.content()]).flatten();
    let mut salts: Vec<&[u8]> = segments.map(|segment| &segment[..16]).collect();
    assert_eq!(salts.len(), 8);
    salts.sort();
    salts.dedup();
    assert_eq!(salts.len(), 8, "salts are hedged with what is sealed");
    let mut reader = Node::join(2, &node.invite(Role::Reader));
    sync(&mut node, &mut reader);
    assert_same(&node, &reader);
}

/// One tab was given rows without segments, then whole; another reads from the store they share what became of that.
#[test]
fn what_another_tab_completed_is_complete_here() {
    let mut world = World::new();
    let mut lane = world.attacker.lane(1);
    let made = [("a", "1"), ("b", "2")]
        .map(|(key, value)| world.attacker.next(&mut lane, &[], &world.attacker.set(key, value, 5)));
    let part = |changeset: &Changeset, skeleton: bool, content: bool| {
        let signed = changeset.signed();
        let (of, header) = (signed.signature().0, signed.header().as_bytes());
        row(header, &of, signed.skeleton().filter(|_| skeleton), signed.content().filter(|_| content))
    };
    let partial = [part(&made[0], true, false), part(&made[1], false, true)];
    let whole = made.each_ref().map(encoded);
    let a = &mut world.a;
    let mut read_on = |rows: &[Vec<u8>]| {
        a.replica.load_tail(&TailRecord::encode(7, rows));
        while a.with(|replica, env| replica.finish_load(env)) {}
        a.settle();
        a.replica.dbg_check();
        ["a", "b"].map(|key| read(a, key))
    };
    assert_eq!(read_on(&partial), [None, None]);
    assert_eq!(read_on(&whole), [Some(Value::from("1")), Some(Value::from("2"))]);
    assert_eq!(read_on(&partial), [Some(Value::from("1")), Some(Value::from("2"))]);
    assert_eq!(world.a.replica.pending(), []);
}

#[test]
fn item_90_a_flood_of_valid_rows_is_taken_in_slices_and_ones_own_work_goes_between() {
    const FLOOD: u32 = 3_000;
    const SLICE: u32 = 256;
    let mut ann = Node::create(1);
    let mut mallory = Node::join(2, &ann.invite(Role::Writer));
    for n in 0..FLOOD {
        attacker::write(&mut mallory, &format!("flood {}", n % 50));
    }
    let (at_ann, at_mallory) = (ann.replica.attach(), mallory.replica.attach());
    ann.with(|replica, env| replica.opened(at_ann, env));
    mallory.with(|replica, env| replica.opened(at_mallory, env));
    let (mut calls, mut written) = (0, 0);
    loop {
        let (from_ann, from_mallory) = (std::mem::take(&mut ann.sent), std::mem::take(&mut mallory.sent));
        if from_ann.is_empty() && from_mallory.is_empty() {
            break;
        }
        from_ann.iter().for_each(|(_, frame)| {
            mallory.with(|replica, env| replica.received(at_mallory, frame, env));
        });
        mallory.settle();
        let mut slice = |ann: &mut Node, work: &dyn Fn(&mut Node)| {
            let before = ann.replica.stats().changesets;
            work(ann);
            assert!(ann.replica.stats().changesets - before <= SLICE, "one call takes a slice at most");
            calls += 1;
        };
        for (_, frame) in from_mallory {
            slice(&mut ann, &|ann| ann.with(|replica, env| replica.received(at_ann, &frame, env)));
            while ann.replica.has_ready() {
                // Somebody is typing meanwhile: it shows at once.
                attacker::write(&mut ann, &format!("own {written}"));
                assert!(read(&mut ann, &format!("own {written}")).is_some());
                written += 1;
                slice(&mut ann, &|ann| {
                    ann.with(|replica, env| replica.integrate_more(env));
                });
            }
        }
        ann.settle();
    }
    assert!(calls >= FLOOD / SLICE && written > 0, "{calls} calls, {written} edits");
    assert_eq!(ann.replica.stats().changesets, FLOOD + written);
    mallory.settle();
    assert_same(&ann, &mallory);
}
