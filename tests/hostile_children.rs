//! What a hostile member can put under keys: kinds and options that nobody knows, objects below any number of keys, and names
//! that are not what they claim. And contents that come late.

#[path = "common/attacker.rs"]
mod attacker;
mod common;
#[path = "common/plain.rs"]
mod plain;

use attacker::{World, encoded, row};
use common::Node;
use plain::{plain, shown};
use stemma::causal::{Hlc, NameId, ObjectId};
use stemma::doc::ObjectIx;
use stemma::event::{
    Content, Fate, NO_OPTIONS, NameAt, NameEntry, ObjectAt, ObjectKind, Op, Options, Skeleton, Sort, Value,
    child_id,
};
use stemma::replica::{DEPTH_MAX, HoldReason};

fn facts(node: &mut Node) -> ObjectIx {
    node.replica.object("facts", ObjectKind::Map).expect("a map")
}

/// Puts objects under keys of the map `facts`.
fn puts(world: &World, children: &[(&str, ObjectKind, &[u8])]) -> (Skeleton, Content) {
    let (mut skeleton, mut content) = world.attacker.set("k", "1", 5);
    (skeleton.names, skeleton.ops, content.values) = (Vec::new(), Vec::new(), Vec::new());
    for (at, (key, kind, options)) in children.iter().enumerate() {
        skeleton.names.push(world.attacker.key(key));
        let (object, key_at) = (ObjectAt(0), NameAt(at as u32));
        skeleton.ops.push(Op::MapChild { object, key: key_at, kind: *kind, options: options.to_vec() });
        content.names.push(NameEntry::Name { sort: Sort::MapKey as u8, clear: key.as_bytes().to_vec() });
    }
    (skeleton, content)
}

#[test]
fn a_kind_that_nobody_knows_is_waited_for() {
    let world = World::new();
    let (skeleton, content) = puts(&world, &[("k", ObjectKind::Text, NO_OPTIONS)]);
    let mut bytes = skeleton.encode(0);
    let op = bytes.windows(3).rposition(|window| window == [2, 1, 0]).expect("kind, length and options");
    bytes[op] = 99;
    let lane = world.attacker.lane(1);
    let unknown = world.attacker.seal(&lane, &[], &bytes, Some(&content.encode()));
    let world = world.agree(&[encoded(&unknown)]);
    assert_eq!(world.held(unknown.id()), Some(Some(HoldReason::Unsupported)));
}

#[test]
fn what_cannot_be_read_is_not_there_and_can_be_written_over() {
    let world = World::new();
    let grows = Options { variant: true, ..Options::default() }.encode();
    let children: [(&str, ObjectKind, &[u8]); 7] = [
        ("later", ObjectKind::Text, &[3, 2, 1, 0]),
        ("broken", ObjectKind::Text, &[9, 9]),
        ("none", ObjectKind::Map, &[]),
        ("text that grows", ObjectKind::Text, &grows),
        ("ledger", ObjectKind::Ledger, NO_OPTIONS),
        ("counter", ObjectKind::Counter, &grows),
        ("map", ObjectKind::Map, NO_OPTIONS),
    ];
    let mut lane = world.attacker.lane(1);
    let changeset = world.attacker.next(&mut lane, &[], &puts(&world, &children));
    let mut world = world.agree(&[encoded(&changeset)]);
    assert_eq!(world.fate(changeset.id()), Some(Fate::Integrated));
    let m = facts(&mut world.a);
    let keys: Vec<String> = world.a.replica.map_keys(m).iter().map(ToString::to_string).collect();
    assert_eq!(keys, ["counter", "from a", "from b", "map"]);
    for (key, ..) in &children[..5] {
        assert!(!world.a.replica.map_has(m, key) && shown(&mut world.a.replica, m, key).is_none());
        assert!(world.a.replica.map_rivals(m, key).is_empty());
        let deleted = world.a.with(|replica, env| replica.map_delete(m, key, env));
        assert_eq!(deleted, Ok(false));
        let written = world.a.with(|replica, env| replica.map_set(m, key, Value::Null, env));
        assert_eq!(written, Ok(()));
        assert_eq!(shown(&mut world.a.replica, m, key), Some(Value::Null));
    }
}

#[test]
fn below_any_number_of_keys_nothing_overflows_and_so_many_are_read() {
    const LEVELS: usize = 4_000;
    let world = World::new();
    let keys = world.attacker.invite.keys().names();
    let key = world.attacker.key("k");
    let mut objects: Vec<ObjectId> = vec![world.attacker.object(ObjectKind::Map, "facts")];
    let mut lane = world.attacker.lane(1);
    let mut rows = Vec::new();
    for _ in 0..LEVELS / 500 {
        let first = objects.len() - 1;
        for _ in 0..500 {
            let parent = *objects.last().expect("one at least");
            objects.push(child_id(keys, parent, key, ObjectKind::Map, NO_OPTIONS));
        }
        let part = &objects[first..];
        let put = |at: usize| Op::MapChild {
            object: ObjectAt(at as u32),
            key: NameAt(0),
            kind: ObjectKind::Map,
            options: NO_OPTIONS.to_vec(),
        };
        let last = Op::MapSet { object: ObjectAt(part.len() as u32 - 1), key: NameAt(1) };
        let skeleton = Skeleton {
            hlc: Hlc { ms: 5, counter: 0 },
            objects: part.iter().map(|id| (*id, ObjectKind::Map)).collect(),
            names: vec![key, world.attacker.key("v")],
            ops: (0..part.len() - 1).map(put).chain([last]).collect(),
            ..Skeleton::default()
        };
        let kind = ObjectKind::Map as u8;
        // The deepest one is named first.
        let mut names: Vec<NameEntry> = part[..part.len() - 1]
            .iter()
            .map(|parent| NameEntry::Child { parent: *parent, key, kind, options: NO_OPTIONS.to_vec() })
            .rev()
            .collect();
        names.push(NameEntry::Object { kind, options: NO_OPTIONS.to_vec(), name: "facts".to_owned() });
        for clear in ["k", "v"] {
            names.push(NameEntry::Name { sort: Sort::MapKey as u8, clear: clear.as_bytes().to_vec() });
        }
        let content = Content { names, values: vec![Value::from("deep")], ..Content::default() };
        rows.push(encoded(&world.attacker.next(&mut lane, &[], &(skeleton, content))));
    }
    let mut world = world.agree(&rows);
    let m = facts(&mut world.a);
    let mut read = plain(&mut world.a.replica, m);
    let mut depth = 0;
    while let Value::Object(mut entries) = read {
        depth += 1;
        let Some(inner) = entries.remove("k") else { break };
        read = inner;
    }
    assert_eq!(depth, DEPTH_MAX + 1, "the map itself, and one for each key");
    // Deleting takes what can be seen; whoever makes it again finds that empty.
    world.a.with(|replica, env| replica.map_delete(m, "k", env)).expect("a writer");
    let again = world.a.replica.map_child(m, "k", ObjectKind::Map, &Options::default()).expect("a map");
    assert!(world.a.replica.map_keys(again).is_empty());
    assert!(world.a.with(|replica, env| replica.undo(&[again], env)));
    assert!(world.a.replica.map_has(m, "k"));
    world.a.replica.dbg_check();
}

#[test]
fn names_that_are_not_what_they_claim_lead_nowhere() {
    let world = World::new();
    let keys = world.attacker.invite.keys().names();
    let (notes, key) = (world.attacker.object(ObjectKind::Text, "notes"), world.attacker.key("k"));
    // An object under a key of a text, one whose map is not in the tables, and entries for other ids than those there.
    let below_text = child_id(keys, notes, key, ObjectKind::Counter, NO_OPTIONS);
    let elsewhere = child_id(keys, ObjectId([7; 16]), key, ObjectKind::Counter, NO_OPTIONS);
    let other = child_id(keys, notes, NameId([8; 16]), ObjectKind::Counter, NO_OPTIONS);
    let skeleton = Skeleton {
        hlc: Hlc { ms: 5, counter: 0 },
        objects: [below_text, elsewhere, other].map(|id| (id, ObjectKind::Counter)).into(),
        names: vec![key],
        ops: (0..3).map(|at| Op::CounterAdd { object: ObjectAt(at), amount: 1 }).collect(),
        ..Skeleton::default()
    };
    let entry = |parent: ObjectId, key: NameId| NameEntry::Child {
        parent,
        key,
        kind: ObjectKind::Counter as u8,
        options: NO_OPTIONS.to_vec(),
    };
    let names = vec![entry(notes, key), entry(ObjectId([7; 16]), key), entry(notes, NameId([9; 16]))];
    let mut lane = world.attacker.lane(1);
    let content = Content { names, ..Content::default() };
    let changeset = world.attacker.next(&mut lane, &[], &(skeleton, content));
    let world = world.agree(&[encoded(&changeset)]);
    assert_eq!(world.fate(changeset.id()), Some(Fate::Integrated));
    for object in (0..world.a.replica.object_count()).map(ObjectIx) {
        assert_eq!(world.a.replica.place_of(object), None);
    }
}

#[test]
fn a_value_on_the_key_of_a_field_does_not_show() {
    let world = World::new();
    let fields = vec![("k".to_owned(), ObjectKind::Counter)];
    let options = Options { fields, ..Options::default() };
    let id = stemma::event::object_id(
        world.attacker.invite.keys().names(),
        ObjectKind::Map,
        &options.encode(),
        "facts",
    );
    let (mut skeleton, mut content) = world.attacker.set("k", "value", 5);
    skeleton.objects = vec![(id, ObjectKind::Map)];
    content.names[0] = NameEntry::Object { kind: 1, options: options.encode(), name: "facts".to_owned() };
    let mut lane = world.attacker.lane(1);
    let changeset = world.attacker.next(&mut lane, &[], &(skeleton, content));
    let mut node = world.b;
    world.attacker.give(&mut node, &[encoded(&changeset)]);
    let r = node.replica.object_with("facts", ObjectKind::Map, &options).expect("a map");
    assert_eq!(node.replica.map_get(r, "k"), None);
    assert_eq!(shown(&mut node.replica, r, "k"), Some(Value::from(0)));
    assert_eq!(node.replica.map_keys(r).len(), 1);
    assert_eq!(node.replica.map_rivals(r, "k").len(), 1);
}

#[test]
fn a_content_that_comes_late_fills_what_handles_already_show() {
    let mut world = World::new();
    let m = facts(&mut world.b);
    let k = world.b.replica.map_child(m, "k", ObjectKind::Map, &Options::default()).expect("a map");
    let text = world.b.replica.map_child(k, "t", ObjectKind::Text, &Options::default()).expect("a text");
    let votes = world.b.replica.map_child(k, "n", ObjectKind::Counter, &Options::default()).expect("one");
    world.b.with(|replica, env| replica.text_insert(text, 0, "hello", env)).expect("in range");
    world.b.with(|replica, env| replica.counter_add(votes, 3, env)).expect("a writer");
    world.b.with(|replica, env| replica.flush(env));
    let whole: Vec<Vec<u8>> = world
        .b
        .disk
        .tail
        .iter()
        .flat_map(|record| stemma::store::TailRecord::decode(record).expect("it decodes").0.rows)
        .map(|signed| signed.encode())
        .collect();
    let bare: Vec<Vec<u8>> = whole
        .iter()
        .map(|bytes| {
            let signed = stemma::event::SignedChangeset::decode(bytes).expect("it decodes");
            row(signed.header().as_bytes(), &signed.signature().0, signed.skeleton(), None)
        })
        .collect();
    let attacker = world.attacker;
    let a = &mut world.a;
    attacker.give(a, &bare);
    let m = facts(a);
    assert!(a.replica.map_keys(m).is_empty(), "no name is known yet");
    // Whoever knows the names finds what is there, and its structure.
    let k = a.replica.map_child(m, "k", ObjectKind::Map, &Options::default()).expect("a map");
    let text = a.replica.map_child(k, "t", ObjectKind::Text, &Options::default()).expect("a text");
    assert!(a.replica.map_has(m, "k") && a.replica.map_has(k, "t"));
    assert_eq!(a.replica.text(text).expect("a text").to_string(), "");
    assert_eq!(shown(&mut a.replica, k, "n"), Some(Value::from(3)));
    a.changes.clear();
    attacker.give(a, &whole);
    assert_eq!(a.replica.text(text).expect("a text").to_string(), "hello");
    let told: Vec<ObjectIx> = a.changes.iter().map(|change| change.object).collect();
    assert!([text, k, m].iter().all(|object| told.contains(object)), "those above hear of it");
    assert_eq!(a.replica.state_hash(), world.b.replica.state_hash());
}
