//! What a hostile member can put into a changeset that it signs rightly: wrong keys, swapped segments, ops and names that
//! are not what they should be. Every case ends in a named fate, the same for all.

#[path = "common/attacker.rs"]
mod attacker;
mod common;

use attacker::{CLASS, DEP, FLAGS, Lane, SUITE, World, encoded, id_of, notes, read, resigned, row};
use stemma::causal::ChangesetId;
use stemma::codec::{TlvWriter, Writer};
use stemma::crypto::EpochSecret;
use stemma::event::{
    ChangesetAt, ChangesetRef, Class, Content, Draft, Fate, NameEntry, ObjectAt, ObjectKind, Op, Role, Sort,
    Span, UnitAt, Value,
};
use stemma::replica::HoldReason;

#[test]
fn item_41_segments_under_another_key_are_inert_and_an_unknown_key_is_waited_for() {
    let world = World::new();
    let (mut wrong, mut unknown) = (world.attacker.lane(1), world.attacker.lane(2));
    let body = world.attacker.set("k", "1", 5);
    let (skeleton, content) = (body.0.encode(0), body.1.encode());
    let epoch = EpochSecret::new([0x5a; 32]).derive(&world.attacker.invite.genesis().id().0);
    let sealed = |lane: &Lane| {
        Draft {
            space: world.attacker.invite.genesis().id(),
            class: Class::Data,
            seq: 0,
            prev: None,
            deps: &[],
            chain: Some(&lane.chain),
            redacts: &[],
            ops_root: None,
            skeleton: &skeleton,
            content: Some(&content),
        }
        .seal(&lane.key, &epoch, &[9; 32])
        .expect("small")
    };
    let stranger = sealed(&unknown);
    unknown.seq = 1;
    unknown.prev = Some(stranger.id());
    let after = world.attacker.next(&mut unknown, &[], &body);
    let kid = world.attacker.invite.keys().current().expect("an epoch").kid();
    let claimed = resigned(&mut wrong, &sealed(&world.attacker.lane(1)), |header| {
        header[DEP..DEP + 16].copy_from_slice(&kid.0);
    });
    let mut world = world.agree(&[claimed.clone(), encoded(&stranger), encoded(&after)]);
    assert_eq!(world.fate(id_of(&claimed)), Some(Fate::Inert));
    assert_eq!(world.held(stranger.id()), Some(Some(HoldReason::Key)));
    assert_eq!(world.held(after.id()), Some(None), "with all that follows");
    assert_eq!(read(&mut world.a, "k"), None);
}

#[test]
fn items_46_and_47_segments_of_another_changeset_and_altered_fields_do_not_open() {
    let world = World::new();
    let body = world.attacker.set("k", "1", 5);
    let mut other = world.attacker.lane(9);
    let foreign = world.attacker.next(&mut other, &[], &world.attacker.set("k", "2", 6));
    // Its own header, with the segments of another changeset.
    let swap = |n: u8, skeleton: bool| {
        let mut lane = world.attacker.lane(n);
        let own = world.attacker.next(&mut lane, &[], &body);
        let header = own.header();
        let (from, to) = if skeleton {
            (header.skeleton(), foreign.header().skeleton())
        } else {
            (header.content().expect("has one"), foreign.header().content().expect("has one"))
        };
        assert_eq!(from.len, to.len, "bodies of one size");
        let mut bytes = header.as_bytes().to_vec();
        let at = bytes.windows(32).position(|window| window == from.hash.0).expect("the hash stands there");
        bytes[at..at + 32].copy_from_slice(&to.hash.0);
        let id = stemma::crypto::hash(stemma::crypto::Tag::CHANGESET_ID, &[&bytes]);
        let signature = lane.key.sign(stemma::crypto::Tag::CHANGESET_SIGNATURE, &[&id.0]).0;
        let (own, foreign) = (own.signed(), foreign.signed());
        match skeleton {
            true => row(&bytes, &signature, foreign.skeleton(), own.content()),
            false => row(&bytes, &signature, own.skeleton(), foreign.content()),
        }
    };
    let (skeleton, content) = (swap(1, true), swap(2, false));
    let mut lane = world.attacker.lane(3);
    let first = world.attacker.next(&mut lane, &[], &world.attacker.set("x", "1", 5));
    let honest = world.attacker.next(&mut lane, &[world.first], &body);
    let altered =
        resigned(&mut lane, &honest, |header| header[DEP..DEP + 32].copy_from_slice(&foreign.id().0));
    let rows = [encoded(&foreign), skeleton.clone(), content.clone(), encoded(&first), altered.clone()];
    let mut world = world.agree(&rows);
    assert_eq!(world.fate(id_of(&skeleton)), Some(Fate::Inert));
    assert_eq!(world.fate(id_of(&altered)), Some(Fate::Inert));
    assert_eq!(world.fate(id_of(&content)), Some(Fate::Integrated), "content decides nothing");
    assert_eq!(read(&mut world.a, "x"), Some(Value::from("1")));
}

#[test]
fn item_50_one_undecodable_op_amid_a_thousand_makes_that_changeset_inert() {
    let world = World::new();
    let mut lane = world.attacker.lane(1);
    let (mut skeleton, mut content) = world.attacker.set("k", "1", 5);
    skeleton.ops = vec![skeleton.ops[0].clone(); 1_000];
    content.values = vec![Value::from("1"); 1_000];
    let mut bytes = skeleton.encode(0);
    let op = bytes.len() - 1 - 3 * 500;
    assert_eq!(bytes[op], 1, "a map set");
    bytes[op + 1] = 7;
    let broken = world.attacker.seal(&lane, &[], &bytes, Some(&content.encode()));
    (lane.seq, lane.prev) = (1, Some(broken.id()));
    let next = world.attacker.next(&mut lane, &[], &world.attacker.set("after", "1", 6));
    let mut world = world.agree(&[encoded(&broken), encoded(&next)]);
    assert_eq!(world.fate(broken.id()), Some(Fate::Inert));
    assert_eq!(read(&mut world.a, "k"), None);
    assert_eq!(read(&mut world.a, "after"), Some(Value::from("1")));
}

#[test]
fn item_51_broken_or_absent_content_leaves_the_ops_and_the_same_state_for_all() {
    let world = World::new();
    let (set, _) = world.attacker.set("k", "1", 5);
    let op = Op::TextInsert { object: ObjectAt(0), left: None, right: None, len: 5 };
    let (text, _) = world.attacker.text(vec![op], "");
    let short = Content { text: "abcd".to_owned(), ..Content::default() }.encode();
    let garbage: &[u8] = &[0xff; 40];
    let contents = [None, Some(garbage), Some(short.as_slice())];
    let mut rows = Vec::new();
    for (n, content) in contents.into_iter().enumerate() {
        for (m, skeleton) in [&set, &text].into_iter().enumerate() {
            let lane = world.attacker.lane((2 * n + m) as u8 + 1);
            rows.push(encoded(&world.attacker.seal(&lane, &[], &skeleton.encode(0), content)));
        }
    }
    let mut world = world.agree(&rows);
    for row in &rows {
        assert_eq!(world.fate(id_of(row)), Some(Fate::Integrated));
    }
    assert_eq!((notes(&mut world.a), read(&mut world.a, "k")), ("hello".to_owned(), None));
}

#[test]
fn item_52_an_object_of_another_kind_is_another_object_whoever_comes_first() {
    let world = World::new();
    // The map claims the identity of a text that exists, and of one that an honest member makes later.
    let mut rows = Vec::new();
    for (n, name) in [(1, "notes"), (2, "later")] {
        let (mut skeleton, content) = world.attacker.set("k", "1", 5);
        skeleton.objects = vec![(world.attacker.object(ObjectKind::Text, name), ObjectKind::Map)];
        rows.push(encoded(&world.attacker.next(&mut world.attacker.lane(n), &[], &(skeleton, content))));
    }
    // An op that does not fit the kind its own table states.
    let (mut unfit, content) = world.attacker.set("k", "1", 5);
    unfit.objects[0].1 = ObjectKind::Text;
    let unfit = world.attacker.next(&mut world.attacker.lane(3), &[], &(unfit, content));
    rows.push(encoded(&unfit));
    // Only one replica knows of the claim before the text is there.
    let mut world = world;
    world.attacker.give(&mut world.a, &rows);
    let later = world.b.replica.object("later", ObjectKind::Text).expect("a text");
    world.b.with(|replica, env| replica.text_insert(later, 0, "mine", env)).expect("in range");
    world.b.with(|replica, env| replica.flush(env));
    let mut world = world.agree(&rows);
    assert_eq!(world.fate(unfit.id()), Some(Fate::Inert));
    let later = world.a.replica.object("later", ObjectKind::Text).expect("still a text");
    assert_eq!(world.a.replica.text(later).expect("a text").to_string(), "mine");
    assert_eq!(notes(&mut world.a), "hello");
}

#[test]
fn what_this_version_does_not_know_waits_with_its_descendants_and_the_rest_goes_on() {
    let world = World::new();
    let body = world.attacker.set("k", "1", 5);
    let mut rows = Vec::new();
    let mut unknown = Vec::new();
    let alter: [fn(&mut Vec<u8>); 5] = [
        |header| header[SUITE] = 2,
        |header| header[CLASS] = 9,
        |header| header[CLASS] = Class::Snapshot as u8,
        |header| header[FLAGS] = 1,
        |header| {
            // A critical entry of the extension.
            let (mut ext, mut out) = (TlvWriter::new(), Writer::new());
            ext.entry(19, b"new");
            ext.finish(&mut out);
            header.pop();
            header.extend(out.into_bytes());
        },
    ];
    for (n, alter) in alter.into_iter().enumerate() {
        let mut lane = world.attacker.lane(n as u8 + 1);
        let key = format!("before {n}");
        rows.push(encoded(&world.attacker.next(&mut lane, &[], &world.attacker.set(&key, "1", 5))));
        let strange = world.attacker.next(&mut lane, &[], &body);
        let strange = resigned(&mut lane, &strange, alter);
        let after = encoded(&world.attacker.next(&mut lane, &[], &body));
        unknown.push((id_of(&strange), id_of(&after)));
        rows.extend([strange, after]);
    }
    // An op without a meaning yet.
    let mut strange_op = body.0.encode(0);
    let at = strange_op.len() - 4;
    strange_op[at] = 0x07;
    let mut lane = world.attacker.lane(11);
    let strange = world.attacker.seal(&lane, &[], &strange_op, None);
    (lane.seq, lane.prev) = (1, Some(strange.id()));
    let after = world.attacker.next(&mut lane, &[], &body);
    unknown.push((strange.id(), after.id()));
    rows.extend([encoded(&strange), encoded(&after)]);
    let mut world = world.agree(&rows);
    for (strange, after) in unknown {
        assert_eq!(world.held(strange), Some(Some(HoldReason::Unsupported)));
        assert_eq!(world.held(after), Some(None));
    }
    assert_eq!(read(&mut world.a, "k"), None);
    for n in 0..5 {
        assert_eq!(read(&mut world.a, &format!("before {n}")), Some(Value::from("1")));
    }
}

/// Behind a known ref, a skippable op does nothing and takes nothing.
#[test]
fn a_skippable_op_is_skipped() {
    let world = World::new();
    let mut lane = world.attacker.lane(1);
    let (skeleton, content) = world.attacker.set("k", "1", 5);
    let mut bytes = skeleton.encode(0);
    let at = bytes.len() - 5;
    assert_eq!(bytes[at..at + 2], [1, 1], "one op, a map set");
    bytes[at] = 2;
    bytes.splice(at + 1..at + 1, [0x81, 0x01, 2, 7, 7]);
    // 0x81 is an op kind, a byte, and not a varint; then the length and the payload.
    bytes.splice(at + 2..at + 3, []);
    let changeset = world.attacker.seal(&lane, &[], &bytes, Some(&content.encode()));
    lane.seq = 1;
    let mut world = world.agree(&[encoded(&changeset)]);
    assert_eq!(world.fate(changeset.id()), Some(Fate::Integrated));
    assert_eq!(read(&mut world.a, "k"), Some(Value::from("1")));
}

#[test]
fn what_a_reader_writes_is_inert_for_all() {
    let world = World::with_role(Role::Reader);
    let mut lane = world.attacker.lane(1);
    let rows = ["1", "2"]
        .map(|value| encoded(&world.attacker.next(&mut lane, &[], &world.attacker.set("k", value, 5))));
    let mut world = world.agree(&rows);
    assert_eq!(read(&mut world.a, "k"), None);
    assert_eq!(rows.map(|row| world.fate(id_of(&row))), [Some(Fate::Inert), Some(Fate::Inert)]);
}

#[test]
fn clear_names_that_do_not_match_are_ignored() {
    let world = World::new();
    let mut lane = world.attacker.lane(1);
    let (skeleton, mut content) = world.attacker.set("secret", "1", 5);
    content.names = vec![
        NameEntry::Name { sort: Sort::MapKey as u8, clear: b"innocent".to_vec() },
        NameEntry::Object { kind: 1, options: vec![0], name: "other".to_owned() },
    ];
    let changeset = world.attacker.next(&mut lane, &[], &(skeleton, content));
    let mut world = world.agree(&[encoded(&changeset)]);
    assert_eq!(read(&mut world.a, "innocent"), None);
    let facts = world.a.replica.object("facts", ObjectKind::Map).expect("a map");
    let keys: Vec<String> = world.a.replica.map_keys(facts).iter().map(ToString::to_string).collect();
    assert_eq!(keys, ["from a", "from b"]);
    assert_eq!(
        read(&mut world.a, "secret"),
        Some(Value::from("1")),
        "whoever knows the name finds the value"
    );
}

#[test]
fn hostile_anchors_inside_signed_changesets_are_inert_for_all() {
    let world = World::new();
    let first = world.first;
    let at = |changeset, offset| UnitAt { changeset: ChangesetAt(changeset), offset };
    let insert = |left, right| Op::TextInsert { object: ObjectAt(0), left, right, len: 1 };
    let delete = |changeset, offset, len| Op::TextDelete {
        object: ObjectAt(0),
        spans: vec![Span { first: at(changeset, offset), len }],
    };
    let dep = ChangesetRef::BeforeDep { dep: 0, steps: 0 };
    let hostile = [
        (dep, insert(Some(at(1, 0)), Some(at(1, 3)))),
        (dep, insert(None, None)),
        (dep, insert(Some(at(1, 4)), Some(at(1, 0)))),
        (dep, insert(Some(at(1, 5)), None)),
        (dep, insert(Some(at(0, 0)), None)),
        (dep, delete(1, 3, 3)),
        (dep, delete(0, 0, 1)),
        (ChangesetRef::BeforeDep { dep: 0, steps: 7 }, delete(1, 0, 1)),
        (ChangesetRef::BeforePrev(0), delete(1, 0, 1)),
        (ChangesetRef::Id(ChangesetId([7; 32])), delete(1, 0, 1)),
    ];
    let mut rows = Vec::new();
    for (n, (changeset, op)) in hostile.into_iter().enumerate() {
        let text = if matches!(op, Op::TextInsert { .. }) { "!" } else { "" };
        let (mut skeleton, content) = world.attacker.text(vec![op], text);
        skeleton.refs = vec![changeset];
        let mut lane = world.attacker.lane(n as u8 + 1);
        rows.push(encoded(&world.attacker.next(&mut lane, &[first], &(skeleton, content))));
    }
    // The same without the dep: the changeset exists but is not in the past.
    let (mut skeleton, content) = world.attacker.text(vec![delete(1, 0, 1)], "");
    skeleton.refs = vec![ChangesetRef::Id(first)];
    rows.push(encoded(&world.attacker.next(&mut world.attacker.lane(40), &[], &(skeleton, content))));
    let mut world = world.agree(&rows);
    for row in &rows {
        assert_eq!(world.fate(id_of(row)), Some(Fate::Inert));
    }
    assert_eq!(notes(&mut world.a), "hello");
}
