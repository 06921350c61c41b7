//! The façade through its public API: editing, reopening, syncing over ports, joining, failing stores.

mod common;

use common::{Node, assert_same, sync};
use stemma::event::{ObjectKind, Role, Value};
use stemma::replica::{EditFault, IdentityError, Obstacle, Replica, Settings, Tier, Trouble};
use stemma::store::StoreName;

fn text(node: &mut Node, name: &str) -> stemma::doc::ObjectIx {
    node.replica.object(name, ObjectKind::Text).expect("a text")
}

fn map(node: &mut Node, name: &str) -> stemma::doc::ObjectIx {
    node.replica.object(name, ObjectKind::Map).expect("a map")
}

fn type_at(node: &mut Node, name: &str, position: u32, string: &str) {
    let object = text(node, name);
    node.with(|replica, env| replica.text_insert(object, position, string, env)).expect("in range");
}

fn read(node: &mut Node, name: &str) -> String {
    let object = text(node, name);
    node.replica.text(object).expect("a text").to_string()
}

#[test]
fn a_store_whose_keys_have_no_epoch_is_damaged() {
    let node = Node::create(1);
    let [meta, mut keys, actors] =
        [StoreName::Meta, StoreName::Keys, StoreName::Actors].map(|store| node.disk.records(store));
    keys.get_mut("epochs").expect("a space has one")[0] = 0;
    let opened = Replica::open(&meta, &keys, &actors, Settings::default());
    assert!(matches!(opened.map(|_| ()), Err(IdentityError::Damaged(_))));
    keys.remove("epochs");
    let opened = Replica::open(&meta, &keys, &actors, Settings::default());
    assert!(matches!(opened.map(|_| ()), Err(IdentityError::Missing("epochs"))));
}

#[test]
fn two_replicas_edit_apart_and_come_together() {
    let mut a = Node::create(1);
    let token = a.invite(Role::Writer);
    let mut b = Node::join(2, &token);
    type_at(&mut a, "notes", 0, "hello");
    a.with(|replica, env| replica.flush(env));
    sync(&mut a, &mut b);
    assert_eq!(read(&mut b, "notes"), "hello");
    type_at(&mut a, "notes", 5, " world");
    type_at(&mut b, "notes", 0, "oh, ");
    let object = map(&mut b, "facts");
    b.with(|replica, env| replica.map_set(object, "sky", Value::String("blue".into()), env))
        .expect("a writer");
    for node in [&mut a, &mut b] {
        node.with(|replica, env| replica.flush(env));
    }
    sync(&mut a, &mut b);
    assert_eq!(read(&mut a, "notes"), "oh, hello world");
    let object = map(&mut a, "facts");
    assert_eq!(a.replica.map_get(object, "sky"), Some(&Value::String("blue".into())));
    assert_same(&a, &b);
    let a = a.reopen();
    assert_same(&a, &b);
}

#[test]
fn a_reader_reads_and_cannot_write() {
    let mut a = Node::create(1);
    let token = a.invite(Role::Reader);
    let mut reader = Node::join(2, &token);
    type_at(&mut a, "notes", 0, "hello");
    a.with(|replica, env| replica.flush(env));
    sync(&mut a, &mut reader);
    assert_eq!(read(&mut reader, "notes"), "hello");
    let object = text(&mut reader, "notes");
    let refused = reader.with(|replica, env| replica.text_insert(object, 0, "x", env));
    assert_eq!(refused, Err(EditFault::Access));
}

#[test]
fn a_transaction_that_is_given_up_leaves_nothing() {
    let mut a = Node::create(1);
    type_at(&mut a, "notes", 0, "hello");
    a.with(|replica, env| replica.flush(env));
    let before = (a.replica.heads(), a.replica.state_hash());
    let (notes, facts) = (text(&mut a, "notes"), map(&mut a, "facts"));
    a.with(|replica, env| {
        replica.begin_transact(None, None, None, env).expect("small");
        replica.text_insert(notes, 5, " world", env).expect("in range");
        replica.text_delete(notes, 0, 3, env).expect("in range");
        replica.map_set(facts, "sky", Value::Bool(true), env).expect("a writer");
        replica.abort_transact(env);
    });
    assert_eq!((a.replica.heads(), a.replica.state_hash()), before);
    assert_eq!(read(&mut a, "notes"), "hello");
}

#[test]
fn a_large_transaction_becomes_several_changesets_and_reads_the_same_elsewhere() {
    let mut a = Node::create(1);
    let token = a.invite(Role::Writer);
    let mut b = Node::join(2, &token);
    let (notes, facts) = (text(&mut a, "notes"), map(&mut a, "facts"));
    let long: String = (0..120_000).map(|n| char::from(b'a' + (n % 26) as u8)).collect();
    a.with(|replica, env| {
        replica.begin_transact(Some("import".into()), None, None, env).expect("small");
        for round in 0..6 {
            replica.text_insert(notes, round * 7, &long, env).expect("in range");
        }
        for n in 0..3_000 {
            replica
                .map_set(facts, &format!("key {n}"), Value::String(format!("value {n}")), env)
                .expect("a writer");
        }
        replica.end_transact(env)
    });
    assert!(a.replica.stats().changesets > 3, "{:?}", a.replica.stats());
    let whole = read(&mut a, "notes");
    sync(&mut a, &mut b);
    assert_eq!(read(&mut b, "notes"), whole);
    assert_same(&a, &b);
    assert_same(&a.reopen(), &b);
}

#[test]
fn a_write_that_cannot_be_stored_is_signed_anew_and_still_goes_out() {
    let mut a = Node::create(1);
    let token = a.invite(Role::Writer);
    let mut b = Node::join(2, &token);
    type_at(&mut a, "notes", 0, "kept ");
    a.with(|replica, env| replica.flush(env));
    let first_actor = a.replica.actor();
    a.disk.broken = Some("E_STORAGE_QUOTA");
    type_at(&mut a, "notes", 5, "and more");
    let write = a.with(|replica, env| replica.flush(env)).expect("a write");
    assert!(a.troubles.contains(&Trouble::Storage("E_STORAGE_QUOTA".into())));
    assert_ne!(a.replica.actor(), first_actor);
    assert_eq!(read(&mut a, "notes"), "kept and more");
    assert!(!a.replica.is_saved(write, Tier::Local));
    let full = Some(Obstacle::Storage("E_STORAGE_QUOTA".into()));
    assert_eq!(a.replica.obstacle(write, Tier::Local), full);
    assert_eq!(a.replica.obstacle(write, Tier::Relay), None);
    type_at(&mut a, "notes", 13, "!");
    a.with(|replica, env| replica.flush(env));
    sync(&mut a, &mut b);
    assert_eq!(read(&mut b, "notes"), "kept and more!");
    assert_same(&a, &b);
    a.disk.broken = None;
    let mut again = a.reopen();
    assert_eq!(read(&mut again, "notes"), "kept ");
    sync(&mut again, &mut b);
    assert_eq!(read(&mut again, "notes"), "kept and more!");
    assert_same(&again, &b);
}

/// Clear names travel in the content: they count too when a batch is cut into changesets.
#[test]
fn long_names_are_cut_into_as_many_changesets_as_they_need() {
    let mut a = Node::create(1);
    let facts = map(&mut a, &"m".repeat(4_096));
    let key = |n: usize| format!("{n:04}").repeat(1_024);
    for n in 0..200 {
        a.with(|replica, env| replica.map_set(facts, &key(n), Value::Bool(true), env)).expect("a writer");
    }
    a.with(|replica, env| replica.flush(env));
    assert!(a.replica.stats().changesets > 3, "{:?}", a.replica.stats());
    let a = a.reopen();
    assert_eq!(a.replica.stats().ops, 200);
    assert_eq!((a.replica.stats().inert, a.replica.stats().pending), (0, 0));
}

/// The largest value goes through with the longest of everything beside it.
#[test]
fn the_largest_value_fits_into_a_changeset_with_all_that_may_be_beside_it() {
    let mut a = Node::create(1);
    let token = a.invite(Role::Writer);
    let mut b = Node::join(2, &token);
    let facts = map(&mut b, &"m".repeat(4_096));
    let (mut fits, mut too_large) = (0, 1 << 20);
    while fits + 1 < too_large {
        let len = (fits + too_large) / 2;
        let value = Value::String("v".repeat(len));
        let set = b.with(|replica, env| {
            replica
                .begin_transact(Some("w".repeat(8_000)), None, Some("c".repeat(4_096)), env)
                .expect("a message within its limit");
            let set = replica.map_set(facts, &"k".repeat(4_096), value, env);
            replica.abort_transact(env);
            set
        });
        match set {
            Ok(()) => fits = len,
            Err(fault) => {
                assert_eq!(fault, EditFault::TooLarge);
                too_large = len;
            }
        }
    }
    assert!(fits > 200_000, "{fits}");
    let value = Value::String("v".repeat(fits));
    b.with(|replica, env| {
        replica
            .begin_transact(Some("w".repeat(8_000)), None, Some("c".repeat(4_096)), env)
            .expect("a message within its limit");
        replica.map_set(facts, &"k".repeat(4_096), value.clone(), env).expect("a writer");
        replica.end_transact(env).expect("sealed");
    });
    sync(&mut b, &mut a);
    let facts = map(&mut a, &"m".repeat(4_096));
    assert_eq!(a.replica.map_get(facts, &"k".repeat(4_096)), Some(&value));
}

/// Every character is of another changeset, none of them in the chain of a head: each has to be named by its id.
#[test]
fn a_text_of_thousands_of_changesets_can_be_deleted_at_once() {
    let mut a = Node::create(1);
    let tokens = [a.invite(Role::Writer), a.invite(Role::Writer)];
    let [mut b, mut c] = [2, 3].map(|seed| Node::join(seed, &tokens[seed as usize - 2]));
    for n in 0..7_000 {
        type_at(&mut a, "notes", n, "x");
        a.with(|replica, env| replica.flush(env));
    }
    let export = a.replica.export_space();
    for node in [&mut b, &mut c] {
        node.with(|replica, env| replica.import_space(&export, env)).expect("an export");
        node.settle();
    }
    type_at(&mut b, "notes", 0, "y");
    b.with(|replica, env| replica.flush(env));
    sync(&mut b, &mut c);
    let notes = text(&mut c, "notes");
    c.with(|replica, env| replica.text_delete(notes, 0, 7_001, env)).expect("in range");
    c.with(|replica, env| replica.flush(env));
    sync(&mut c, &mut a);
    assert_eq!((read(&mut a, "notes"), a.replica.stats().inert), (String::new(), 0));
    assert_same(&a, &c);
}

/// Rows of others that could not be stored go along with the next commit: their relay does not send them again.
#[test]
fn arrivals_that_could_not_be_stored_are_stored_with_what_comes_next() {
    let mut a = Node::create(1);
    let token = a.invite(Role::Writer);
    let mut b = Node::join(2, &token);
    type_at(&mut a, "notes", 0, "hello");
    a.with(|replica, env| replica.flush(env));
    b.disk.broken = Some("E_STORAGE_QUOTA");
    sync(&mut a, &mut b);
    assert!(b.troubles.contains(&Trouble::Storage("E_STORAGE_QUOTA".into())));
    b.disk.broken = None;
    type_at(&mut b, "notes", 5, " world");
    let write = b.with(|replica, env| replica.flush(env)).expect("a write");
    assert!(b.replica.is_saved(write, Tier::Local));
    let mut b = b.reopen();
    assert_eq!((read(&mut b, "notes"), b.replica.stats().pending), ("hello world".to_owned(), 0));
}

/// A commit fails while a transaction is open: its edits stay as they are, and giving it up still takes them back.
#[test]
fn a_commit_that_fails_during_a_transaction_waits_for_its_end() {
    let mut a = Node::create(1);
    let token = a.invite(Role::Writer);
    let mut b = Node::join(2, &token);
    a.slow_disk = true;
    type_at(&mut a, "notes", 0, "kept");
    a.with(|replica, env| replica.flush(env));
    let notes = text(&mut a, "notes");
    a.with(|replica, env| replica.begin_transact(None, None, None, env)).expect("small");
    a.with(|replica, env| replica.text_insert(notes, 0, "given up ", env)).expect("in range");
    a.disk.broken = Some("E_STORAGE_QUOTA");
    a.write_commits(usize::MAX);
    assert_eq!(read(&mut a, "notes"), "given up kept");
    a.with(|replica, env| replica.abort_transact(env));
    assert_eq!(read(&mut a, "notes"), "kept");
    sync(&mut a, &mut b);
    assert_eq!(read(&mut b, "notes"), "kept");
    assert_same(&a, &b);
}

/// What is not durable here is not given to anybody: this device may forget that it signed it.
#[test]
fn an_export_leaves_out_what_is_not_stored_yet() {
    let mut a = Node::create(1);
    let token = a.invite(Role::Writer);
    let mut b = Node::join(2, &token);
    a.slow_disk = true;
    type_at(&mut a, "notes", 0, "hello");
    a.with(|replica, env| replica.flush(env));
    let export = a.replica.export_space();
    let report = b.with(|replica, env| replica.import_space(&export, env)).expect("an export");
    assert_eq!(report.added, 0);
    a.write_commits(usize::MAX);
    let export = a.replica.export_space();
    let report = b.with(|replica, env| replica.import_space(&export, env)).expect("an export");
    assert_eq!(report.added, 1);
}

#[test]
fn an_actor_that_goes_on_knows_its_last_write() {
    let mut a = Node::create(1);
    type_at(&mut a, "notes", 0, "hello");
    let write = a.with(|replica, env| replica.flush(env));
    assert!(write.is_some());
    assert_eq!(a.reopen().replica.last_write(), write);
}

/// Tabs come and go without their actors being continued: no more than so many keys are kept, and all can write.
#[test]
fn a_device_keeps_the_keys_of_64_actors() {
    let mut a = Node::create(1);
    for n in 0..70 {
        type_at(&mut a, "notes", n, "x");
        let write = a.with(|replica, env| replica.flush(env)).expect("a write");
        assert!(a.replica.is_saved(write, Tier::Local));
        a = a.reopen_keeping_actor(false);
    }
    let kept = a.disk.keyed.keys().filter(|(_, key)| key.starts_with("actor/")).count();
    assert_eq!((kept, read(&mut a, "notes").len()), (64, 70));
    let mut a = a.reopen();
    type_at(&mut a, "notes", 0, "y");
    a.with(|replica, env| replica.flush(env));
    assert_eq!(read(&mut a.reopen(), "notes").len(), 71);
}

#[test]
fn a_port_is_silent_until_it_is_open() {
    let mut a = Node::create(1);
    let session = a.replica.attach();
    a.with(|replica, env| replica.tick(env));
    assert!(a.sent.is_empty());
    a.with(|replica, env| replica.opened(session, env));
    assert!(a.sent.iter().all(|(to, _)| *to == session) && !a.sent.is_empty());
}
