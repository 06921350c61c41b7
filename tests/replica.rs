//! The façade through its public API: editing, reopening, syncing over ports, joining, failing stores.

mod common;

use common::{Node, assert_same, sync};
use stemma::event::{ObjectKind, Role, Value};
use stemma::replica::{EditFault, Tier, Trouble};

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

#[test]
fn an_actor_that_goes_on_knows_its_last_write() {
    let mut a = Node::create(1);
    type_at(&mut a, "notes", 0, "hello");
    let write = a.with(|replica, env| replica.flush(env));
    assert!(write.is_some());
    assert_eq!(a.reopen().replica.last_write(), write);
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
