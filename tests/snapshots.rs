//! Snapshots of replicas: what they bring back, what is missing until the bytes are supplied, and what becomes of one that
//! cannot be used.

mod common;

use common::{Node, assert_same, sync};
use stemma::codec::{Reader, Writer};
use stemma::event::{ObjectKind, Options, Role, Value};
use stemma::replica::{Obstacle, Restored, Shown, Tier, Trouble};

/// A space with something of each kind, some of it undone, and a member that waits for a parent.
fn lived(seed: u64) -> (Node, Node) {
    let mut owner = Node::create(seed);
    let token = owner.invite(Role::Writer);
    let mut other = Node::join(seed + 1, &token);
    for (node, name) in [(&mut owner, "a"), (&mut other, "b")] {
        node.with(|replica, env| {
            let text = replica.object("text", ObjectKind::Text).expect("a text");
            replica.text_insert(text, 0, "a text with \u{1f600} in it", env).expect("inside");
            replica.text_delete(text, 2, 5, env).expect("inside");
            replica.flush(env);
            let map = replica.object("map", ObjectKind::Map).expect("a map");
            replica.map_set(map, name, Value::from("value"), env).expect("a writer");
            replica.map_set(map, "both", Value::from(name), env).expect("a writer");
            replica.flush(env);
            let counter = replica.object("counter", ObjectKind::Counter).expect("a counter");
            replica.counter_add(counter, 7, env).expect("a writer");
            let set = replica.object("set", ObjectKind::Set).expect("a set");
            replica.set_add(set, &Value::from(name), None, env).expect("a writer");
            let list = replica.object("list", ObjectKind::List).expect("a list");
            replica.list_insert(list, 0, vec![Value::from(name), Value::Null], env).expect("inside");
            replica.list_move(list, 1, 0, env).expect("inside");
            let cart = replica.object("cart", ObjectKind::Cart).expect("a cart");
            replica.cart_add(cart, &Value::from(name), 3, env).expect("a writer");
            replica.flush(env);
        });
    }
    sync(&mut owner, &mut other);
    owner.now_ms += 5_000;
    assert!(owner.with(|replica, env| replica.undo(&[], env)));
    (owner, other)
}

fn hashes(node: &Node) -> [String; 2] {
    [format!("{:?}", node.replica.state_hash()), format!("{:?}", node.replica.view_digest())]
}

#[test]
fn a_snapshot_brings_everything_back_without_its_history() {
    let (mut owner, mut other) = lived(1);
    assert!(owner.snapshot());
    let (before, heads, stats) = (hashes(&owner), owner.replica.heads(), owner.replica.stats());
    let rows = owner.disk.tail.len();
    let mut owner = owner.reopen_without_bytes(true);
    assert!(!owner.replica.is_whole());
    assert_eq!((hashes(&owner), owner.replica.heads()), (before, heads));
    assert_eq!(format!("{:?}", owner.replica.stats()), format!("{stats:?}"));
    assert_eq!(owner.disk.tail.len(), rows, "the same actor goes on");
    assert!(owner.changes.is_empty());
    // Undo and redo know what was done before.
    assert!(owner.with(|replica, env| replica.redo(&[], env)));
    assert!(owner.with(|replica, env| replica.undo(&[], env)));
    owner.replica.dbg_check();
    owner.supply();
    sync(&mut owner, &mut other);
    assert_same(&owner, &other);
    // Without it the state is the same.
    owner.disk.snapshot.clear();
    let owner = owner.reopen();
    assert!(owner.replica.is_whole());
    assert_same(&owner, &other);
}

#[test]
fn children_are_found_under_their_maps() {
    let mut owner = Node::create(20);
    let none = Options::default();
    let map = owner.replica.object("map", ObjectKind::Map).expect("a map");
    let child = owner.replica.map_child(map, "child", ObjectKind::Text, &none).expect("a text");
    owner.with(|replica, env| replica.text_insert(child, 0, "below", env)).expect("inside");
    owner.with(|replica, env| replica.flush(env));
    assert!(owner.snapshot());
    let mut owner = owner.reopen_without_bytes(true);
    let other = owner.replica.object("other", ObjectKind::Map).expect("a map");
    let map = owner.replica.object("map", ObjectKind::Map).expect("a map");
    assert!(owner.replica.can_undo(&[map]) && !owner.replica.can_undo(&[other]));
    let Some(Shown::Child(child)) = owner.replica.map_shown(map, "child") else { panic!("a child") };
    assert_eq!(owner.replica.text(child).map(ToString::to_string).as_deref(), Some("below"));
    assert!(owner.with(|replica, env| replica.undo(&[map], env)));
    assert!(!owner.replica.map_has(map, "child"));
}

#[test]
fn states_are_compared_without_waking_what_is_in_them() {
    let (mut owner, mut other) = lived(30);
    let before = hashes(&owner);
    assert!(owner.snapshot());
    let mut owner = owner.reopen_without_bytes(true);
    let objects = owner.replica.dbg_asleep();
    assert!(objects > 1);
    assert_eq!(hashes(&owner), before);
    let names = owner.replica.names();
    assert!(names.iter().any(|(name, _)| &**name == "text"));
    assert_eq!(owner.replica.dbg_asleep(), objects);
    // What arrives wakes what it is about, and no more.
    other.with(|replica, env| {
        let text = replica.object("text", ObjectKind::Text).expect("a text");
        replica.text_insert(text, 0, "another beginning, ", env).expect("inside");
        replica.flush(env);
    });
    owner.supply();
    sync(&mut owner, &mut other);
    assert_same(&owner, &other);
    assert_eq!(owner.replica.dbg_asleep(), objects - 1);
    // A snapshot of what sleeps has the hashes too.
    assert!(owner.snapshot());
    let owner = owner.reopen_without_bytes(true);
    assert_same(&owner, &other);
    assert_eq!(owner.replica.dbg_asleep(), objects);
    owner.replica.dbg_check();
}

#[test]
fn rows_behind_a_snapshot_are_folded_onto_it() {
    let (mut owner, mut other) = lived(2);
    assert!(owner.snapshot());
    other.with(|replica, env| {
        let text = replica.object("text", ObjectKind::Text).expect("a text");
        replica.text_insert(text, 3, "more ", env).expect("inside");
        replica.flush(env);
    });
    sync(&mut owner, &mut other);
    let before = hashes(&owner);
    let mut owner = owner.reopen_without_bytes(false);
    assert_eq!(hashes(&owner), before);
    assert_eq!(owner.replica.stats().inert, 0);
    owner.supply();
    sync(&mut owner, &mut other);
    assert_same(&owner, &other);
}

#[test]
fn what_waits_for_its_parents_waits_behind_a_snapshot_too() {
    let (mut owner, mut other) = lived(3);
    sync(&mut owner, &mut other);
    for text in ["one", "two"] {
        other.with(|replica, env| {
            let map = replica.object("map", ObjectKind::Map).expect("a map");
            replica.map_set(map, text, Value::Null, env).expect("a writer");
            replica.flush(env);
        });
    }
    // The last row without the one before it.
    let export = other.replica.export_space();
    let mut reader = Reader::new(&export);
    let head = reader.array::<9>("magic").expect("an export").to_vec();
    let genesis = reader.bytes("genesis", 1_000).expect("an export").to_vec();
    let count = reader.varint("rows", 1_000).expect("an export");
    let rows: Vec<&[u8]> = (0..count).map(|_| reader.bytes("row", 100_000).expect("a row")).collect();
    let mut last = Writer::new();
    last.raw(&head).bytes(&genesis).varint(1).bytes(rows.last().expect("rows"));
    let report = owner.with(|replica, env| replica.import_space(last.as_slice(), env)).expect("an export");
    assert_eq!(report.added, 1);
    assert_eq!(owner.replica.pending().len(), 1);
    assert!(owner.snapshot());
    let mut owner = owner.reopen();
    assert_eq!(owner.replica.pending().len(), 1);
    sync(&mut owner, &mut other);
    assert_eq!(owner.replica.pending().len(), 0);
    assert_same(&owner, &other);
}

#[test]
fn nothing_is_taken_while_something_is_on_its_way() {
    let (mut owner, _) = lived(4);
    owner.slow_disk = true;
    owner.with(|replica, env| {
        let map = replica.object("map", ObjectKind::Map).expect("a map");
        replica.map_set(map, "x", Value::Null, env).expect("a writer");
    });
    assert!(!owner.snapshot(), "a batch is open");
    owner.with(|replica, env| replica.flush(env));
    assert!(!owner.snapshot(), "a commit is not answered");
    owner.write_commits(1);
    assert!(owner.snapshot());
}

#[test]
fn a_damaged_snapshot_is_dropped_and_told() {
    let (mut owner, _) = lived(5);
    assert!(owner.snapshot());
    let (before, whole) = (hashes(&owner), owner.disk.clone());
    let keys: Vec<String> = whole.snapshot.keys().cloned().collect();
    for key in keys {
        for missing in [false, true] {
            owner.disk = whole.clone();
            match missing {
                true => drop(owner.disk.snapshot.remove(&key)),
                false => {
                    *owner.disk.snapshot.get_mut(&key).expect("a record").last_mut().expect("bytes") ^= 1
                }
            }
            owner = owner.reopen();
            assert_eq!(hashes(&owner), before);
            let told = owner.troubles.contains(&Trouble::Snapshot("E_STORAGE_DAMAGED"));
            assert_eq!(told, !(missing && key == "head"));
        }
    }
}

#[test]
fn a_snapshot_of_a_newer_version_is_kept_and_not_replaced() {
    let (mut owner, _) = lived(6);
    assert!(owner.snapshot());
    let before = hashes(&owner);
    owner.disk.snapshot.get_mut("head").expect("a head")[0] += 1;
    assert_eq!(owner.replica.take_up(&owner.disk.snapshot), Restored::Newer);
    let owner = owner.reopen();
    assert_eq!(hashes(&owner), before);
    assert_eq!(owner.troubles, [Trouble::Snapshot("E_STORAGE_NEWER")]);
    assert!(!owner.replica.snapshot_due());
}

#[test]
fn a_disk_that_fails_before_the_bytes_are_here_loses_nothing() {
    let (mut owner, mut other) = lived(7);
    assert!(owner.snapshot());
    let mut owner = owner.reopen_without_bytes(true);
    owner.disk.broken = Some("E_STORAGE_QUOTA");
    owner.with(|replica, env| {
        let map = replica.object("map", ObjectKind::Map).expect("a map");
        replica.map_set(map, "kept", Value::Bool(true), env).expect("a writer");
        replica.flush(env);
    });
    assert!(owner.troubles.is_empty());
    owner.supply();
    assert_eq!(owner.troubles, [Trouble::Storage("E_STORAGE_QUOTA".to_owned())]);
    sync(&mut owner, &mut other);
    assert_same(&owner, &other);
    let map = other.replica.object("map", ObjectKind::Map).expect("a map");
    assert_eq!(other.replica.map_get(map, "kept"), Some(&Value::Bool(true)));
}

#[test]
fn peers_are_answered_once_the_bytes_are_here() {
    let (mut owner, other) = lived(8);
    let token = owner.invite(Role::Reader);
    assert!(owner.snapshot());
    let mut owner = owner.reopen_without_bytes(true);
    let mut newcomer = Node::join(99, &token);
    sync(&mut owner, &mut newcomer);
    assert_eq!(newcomer.replica.stats().changesets, 0);
    owner.supply();
    sync(&mut owner, &mut newcomer);
    assert_same(&owner, &newcomer);
    assert!(newcomer.replica.stats().changesets > other.replica.stats().changesets);
}

#[test]
fn rows_that_a_snapshot_stands_for_and_the_store_lost_are_told() {
    let (mut owner, _) = lived(9);
    assert!(owner.snapshot());
    let mut owner = owner.reopen_without_bytes(true);
    owner.disk.broken = Some("E_STORAGE_LOST");
    let last = owner.with(|replica, env| {
        let map = replica.object("map", ObjectKind::Map).expect("a map");
        replica.map_set(map, "x", Value::Null, env).expect("a writer");
        replica.flush(env)
    });
    let last = last.expect("a write");
    assert_eq!(owner.replica.obstacle(last, Tier::Local), None, "it may still be stored anew");
    let rows = owner.disk.tail.clone();
    rows[1..].iter().for_each(|record| owner.replica.supply(record));
    assert!(!owner.with(|replica, env| replica.supplied(env)));
    let lost = "E_STORAGE_LOST".to_owned();
    assert_eq!(owner.troubles, [Trouble::Snapshot("E_STORAGE_LOST"), Trouble::Storage(lost.clone())]);
    // Nobody waits for ever, also not for what is written later.
    let later = owner.with(|replica, env| {
        let map = replica.object("map", ObjectKind::Map).expect("a map");
        replica.map_set(map, "y", Value::Null, env).expect("a writer");
        replica.flush(env)
    });
    let lost_too = owner.replica.obstacle(later.expect("a write"), Tier::Local);
    assert_eq!(lost_too, Some(Obstacle::Storage(lost.clone())));
    assert_eq!(owner.replica.obstacle(last, Tier::Local), Some(Obstacle::Storage(lost)));
}

#[test]
fn own_writes_behind_a_snapshot_are_saved_and_pushed() {
    let (mut owner, _) = lived(10);
    assert!(owner.snapshot());
    let mut owner = owner.reopen_without_bytes(true);
    let last = owner.with(|replica, env| replica.flush(env)).expect("it wrote before");
    assert!(owner.replica.is_saved(last, Tier::Local));
    let pending = owner.replica.sync_state().pending;
    owner.with(|replica, env| replica.connect("wss://relay.example", env));
    assert!(owner.dialed.is_empty(), "a relay may ask for what is not here yet");
    owner.supply();
    assert_eq!(owner.dialed.len(), 1);
    assert_eq!(owner.replica.sync_state().pending, pending);
}
