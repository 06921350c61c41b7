//! What a hostile member, deliverer or clock can do to replicas: every case ends in a named fate, everything else still
//! applies, and all replicas agree whatever came first.

mod common;
#[path = "common/attacker.rs"]
mod attacker;

use attacker::{Attacker, Lane, badly_signed, encoded, resigned, row};
use common::{Node, assert_same, sync};
use stemma::causal::{ChangesetId, Hlc};
use stemma::codec::{TlvWriter, Writer};
use stemma::crypto::{EpochSecret, SigningKey};
use stemma::event::{
    Certificate, CertificateKind, ChangesetAt, ChangesetRef, Class, Content, Draft, Fate, NameAt, NameEntry, ObjectAt,
    ObjectKind, Op, Role, SignedChangeset, Skeleton, Sort, Span, UnitAt, Value,
};
use stemma::replica::{HistoryFilter, HoldReason};

/// Two honest replicas and an attacker in one space, with the text `notes` and the map `facts` in it.
struct World {
    a: Node,
    b: Node,
    attacker: Attacker,
    /// The changeset that is there from the start: `hello` in `notes`.
    first: ChangesetId,
}

impl World {
    fn new() -> Self {
        Self::with_role(Role::Writer)
    }

    fn with_role(role: Role) -> Self {
        let mut a = Node::create(1);
        let mut b = Node::join(2, &a.invite(Role::Writer));
        let attacker = Attacker::join(&a.invite(role));
        let notes = a.replica.object("notes", ObjectKind::Text).expect("a text");
        a.with(|replica, env| replica.text_insert(notes, 0, "hello", env)).expect("in range");
        let first = a.with(|replica, env| replica.flush(env)).expect("a write");
        sync(&mut a, &mut b);
        Self { a, b, attacker, first }
    }

    /// One replica gets the rows in this order, the other one reversed. Then both write, meet, and agree; so do their
    /// reopened selves and whoever comes later.
    fn agree(mut self, rows: &[Vec<u8>]) -> Self {
        let reversed: Vec<Vec<u8>> = rows.iter().rev().cloned().collect();
        self.attacker.give(&mut self.a, rows);
        self.attacker.give(&mut self.b, &reversed);
        self.attacker.give(&mut self.a, &reversed);
        self.attacker.give(&mut self.b, rows);
        write(&mut self.a, "from a");
        write(&mut self.b, "from b");
        sync(&mut self.a, &mut self.b);
        assert_same(&self.a, &self.b);
        assert_eq!(read(&mut self.a, "from a"), Some(Value::from("here")));
        assert_eq!(read(&mut self.a, "from b"), Some(Value::from("here")));
        for node in [&self.a, &self.b] {
            node.replica.dbg_check();
        }
        let mut newcomer = Node::join(3, &self.a.invite(Role::Writer));
        let export = self.b.replica.export_space();
        newcomer.with(|replica, env| replica.import_space(&export, env)).expect("an export");
        newcomer.settle();
        assert_same(&newcomer, &self.a);
        let again = self.a.reopen();
        assert_same(&again, &self.b);
        assert_eq!(again.replica.stats().inert, self.b.replica.stats().inert);
        Self { a: again, ..self }
    }

    fn fate(&self, id: ChangesetId) -> Option<Fate> {
        let history = self.a.replica.history(&HistoryFilter { limit: usize::MAX, ..HistoryFilter::default() });
        history.into_iter().find(|summary| summary.id == id).map(|summary| summary.fate)
    }

    /// The reason a changeset waits for; none if it does not wait.
    fn held(&self, id: ChangesetId) -> Option<Option<HoldReason>> {
        let pending = self.a.replica.pending();
        pending.into_iter().find(|(waiting, _)| *waiting == id).map(|(_, reason)| reason)
    }
}

fn write(node: &mut Node, key: &str) {
    let facts = node.replica.object("facts", ObjectKind::Map).expect("a map");
    node.with(|replica, env| replica.map_set(facts, key, Value::from("here"), env)).expect("a writer");
    node.with(|replica, env| replica.flush(env));
}

fn read(node: &mut Node, key: &str) -> Option<Value> {
    let facts = node.replica.object("facts", ObjectKind::Map).expect("a map");
    node.replica.map_get(facts, key).cloned()
}

fn notes(node: &mut Node) -> String {
    let notes = node.replica.object("notes", ObjectKind::Text).expect("a text");
    node.replica.text(notes).expect("a text").to_string()
}

fn id_of(row: &[u8]) -> ChangesetId {
    SignedChangeset::decode(row).expect("it decodes").id()
}

/// Where fields of a header with a one-byte seq stand.
const SUITE: usize = 1;
const CLASS: usize = 2;
const FLAGS: usize = 3;
const DEP: usize = 102;

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
    let next = world.attacker.next(&mut lane, &[], &world.attacker.text(
        vec![Op::TextInsert { object: ObjectAt(0), left: None, right: None, len: 3 }], "abc"));
    let part = |changeset: &stemma::event::Changeset, skeleton: bool, content: bool| {
        let signed = changeset.signed();
        let (skeleton, content) = (signed.skeleton().filter(|_| skeleton), signed.content().filter(|_| content));
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

#[test]
fn item_41_segments_under_another_key_are_inert_and_an_unknown_key_is_waited_for() {
    let world = World::new();
    let (mut wrong, mut unknown) = (world.attacker.lane(1), world.attacker.lane(2));
    let body = world.attacker.set("k", "1", 5);
    let (skeleton, content) = (body.0.encode(0), body.1.encode());
    let epoch = EpochSecret::new([0x5a; 32]).derive(&world.attacker.invite.genesis().id().0);
    let sealed = |lane: &Lane| Draft {
        space: world.attacker.invite.genesis().id(),
        class: Class::Data,
        seq: 0,
        prev: None,
        deps: &[],
        chain: Some(&lane.chain),
        redacts: &[],
        skeleton: &skeleton,
        content: Some(&content),
    }
    .seal(&lane.key, &epoch, &[9; 32])
    .expect("small");
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
        |header| header[CLASS] = Class::Policy as u8,
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
    // Ops: one without a meaning yet, and one whose data type is not folded here.
    let counter = Skeleton {
        objects: vec![(world.attacker.object(ObjectKind::Counter, "n"), ObjectKind::Counter)],
        ops: vec![Op::CounterAdd { object: ObjectAt(0), amount: 1 }],
        ..Skeleton::default()
    };
    let mut strange_op = body.0.encode(0);
    let at = strange_op.len() - 4;
    strange_op[at] = 0x07;
    for (n, skeleton) in [(11, counter.encode(0)), (12, strange_op)] {
        let mut lane = world.attacker.lane(n);
        let strange = world.attacker.seal(&lane, &[], &skeleton, None);
        (lane.seq, lane.prev) = (1, Some(strange.id()));
        let after = world.attacker.next(&mut lane, &[], &body);
        unknown.push((strange.id(), after.id()));
        rows.extend([encoded(&strange), encoded(&after)]);
    }
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
    let rows = ["1", "2"].map(|value| {
        encoded(&world.attacker.next(&mut lane, &[], &world.attacker.set("k", value, 5)))
    });
    let mut world = world.agree(&rows);
    assert_eq!(read(&mut world.a, "k"), None);
    assert_eq!(rows.map(|row| world.fate(id_of(&row))), [Some(Fate::Inert), Some(Fate::Inert)]);
}

#[test]
fn an_actor_without_a_valid_chain_is_refused() {
    let mut world = World::new();
    let attacker = &world.attacker;
    let space = attacker.invite.genesis().id();
    // Certified by itself; certified by a device of nobody; the chain of another actor.
    let (mut own, mut stranger, mut other) = (attacker.lane(1), attacker.lane(2), attacker.lane(3));
    let certificate =
        |issuer: &SigningKey, lane: &Lane| Certificate::issue(issuer, space, lane.key.public(), CertificateKind::Actor);
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
        skeleton: &skeleton,
        content: Some(&content),
    };
    let epoch = attacker.invite.keys().current().expect("an epoch");
    assert!(draft.seal(&other.key, epoch, &[9; 32]).is_err(), "not even the header decodes");
    assert_eq!(read(&mut world.a, "k"), None);
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
    assert_eq!(read(&mut world.a, "secret"), Some(Value::from("1")), "whoever knows the name finds the value");
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
