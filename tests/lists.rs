//! Lists through whole replicas: what becomes of moves, deletes and undo when people come together again.

#[path = "common/attacker.rs"]
mod attacker;
mod common;

use attacker::{World, encoded, id_of};
use common::{Node, assert_same, sync};
use stemma::codec::{Writer, limits};
use stemma::doc::{ObjectIx, PatchBody};
use stemma::event::{
    ChangesetAt, ChangesetRef, Content, Fate, ObjectAt, ObjectKind, Op, Options, Role, Skeleton, Span,
    UnitAt, Value, digest,
};
use stemma::replica::EditFault;

fn list(node: &mut Node) -> ObjectIx {
    node.replica.object("tasks", ObjectKind::List).expect("a list")
}

fn push(node: &mut Node, elements: &str) {
    let list = list(node);
    let end = node.replica.list(list).expect("a list").len();
    let values = elements.chars().map(|one| Value::String(one.to_string())).collect();
    node.with(|replica, env| replica.list_insert(list, end, values, env)).expect("in range");
}

fn relocate(node: &mut Node, from: u32, to: u32) {
    let list = list(node);
    node.with(|replica, env| replica.list_move(list, from, to, env)).expect("in range");
}

fn delete(node: &mut Node, index: u32) {
    let list = list(node);
    node.with(|replica, env| replica.list_delete(list, index, 1, env)).expect("in range");
}

fn read(node: &mut Node) -> String {
    let list = list(node);
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => format!("{other:?}"),
    };
    node.replica.list(list).expect("a list").iter().map(text).collect()
}

/// What is open is sealed, and both get what the other has.
fn meet(a: &mut Node, b: &mut Node) {
    a.with(|replica, env| replica.flush(env));
    b.with(|replica, env| replica.flush(env));
    sync(a, b);
}

/// Two people who share "abcd".
fn two() -> (Node, Node) {
    let mut a = Node::create(1);
    let token = a.invite(Role::Writer);
    let mut b = Node::join(2, &token);
    push(&mut a, "abcd");
    meet(&mut a, &mut b);
    assert_eq!(read(&mut b), "abcd");
    // What comes now is another step of undo.
    (a.now_ms, b.now_ms) = (a.now_ms + 10_000, b.now_ms + 10_000);
    (a, b)
}

#[test]
fn an_element_that_two_move_is_in_one_place() {
    let (mut a, mut b) = two();
    relocate(&mut a, 0, 3);
    b.now_ms = a.now_ms + 10;
    relocate(&mut b, 0, 1);
    meet(&mut a, &mut b);
    assert_same(&a, &b);
    assert_eq!((read(&mut a), read(&mut b)), ("bacd".to_owned(), "bacd".to_owned()));
    // Without the newer one the other counts.
    assert!(b.with(|replica, env| replica.undo(&[], env)));
    meet(&mut a, &mut b);
    assert_eq!((read(&mut a), read(&mut b)), ("bcda".to_owned(), "bcda".to_owned()));
    assert!(a.with(|replica, env| replica.undo(&[], env)));
    meet(&mut a, &mut b);
    assert_eq!((read(&mut a), read(&mut b)), ("abcd".to_owned(), "abcd".to_owned()));
    assert!(a.with(|replica, env| replica.redo(&[], env)));
    meet(&mut a, &mut b);
    assert_same(&a, &b);
    assert_same(&a.reopen(), &b.reopen());
}

#[test]
fn what_is_deleted_stays_so_when_somebody_moves_it_and_comes_back_where_it_was_moved_to() {
    let (mut a, mut b) = two();
    delete(&mut a, 1);
    relocate(&mut b, 1, 3);
    meet(&mut a, &mut b);
    assert_same(&a, &b);
    assert_eq!(read(&mut a), "acd");
    assert!(a.with(|replica, env| replica.undo(&[], env)));
    meet(&mut a, &mut b);
    assert_eq!((read(&mut a), read(&mut b)), ("acdb".to_owned(), "acdb".to_owned()));
}

#[test]
fn what_is_inserted_next_to_a_moved_element_stays_where_it_was_put() {
    let (mut a, mut b) = two();
    relocate(&mut a, 0, 3);
    let list = list(&mut b);
    b.with(|replica, env| replica.list_insert(list, 1, vec![Value::from("x")], env)).expect("in range");
    meet(&mut a, &mut b);
    assert_same(&a, &b);
    assert_eq!(read(&mut a), "xbcda");
}

#[test]
fn changes_tell_what_goes_and_what_comes() {
    let (mut a, _) = two();
    a.changes.clear();
    relocate(&mut a, 0, 2);
    a.settle();
    let Some(PatchBody::List { splices, inserted }) = a.changes.first().map(|change| &change.body) else {
        panic!("one change")
    };
    assert_eq!(
        (splices.as_slice(), inserted.as_slice()),
        (&[[0, 1, 0], [2, 0, 1]][..], &[Value::from("a")][..])
    );
}

#[test]
fn a_transaction_that_is_given_up_leaves_no_trace() {
    let (mut a, mut b) = two();
    relocate(&mut a, 3, 0);
    a.with(|replica, env| replica.flush(env));
    let before = (a.replica.state_hash(), read(&mut a));
    a.with(|replica, env| replica.begin_transact(None, None, None, env)).expect("small");
    push(&mut a, "xyz");
    relocate(&mut a, 0, 5);
    delete(&mut a, 2);
    let mark = a.replica.mark();
    relocate(&mut a, 4, 1);
    relocate(&mut a, 1, 2);
    let inner = read(&mut a);
    a.replica.rollback(&mark);
    assert_ne!(read(&mut a), inner);
    a.with(|replica, env| replica.abort_transact(env));
    a.replica.dbg_check();
    assert_eq!((a.replica.state_hash(), read(&mut a)), before);
    meet(&mut a, &mut b);
    assert_same(&a, &b);
}

#[test]
fn pushes_are_one_op_and_large_values_are_cut_into_several_changesets() {
    let (mut a, mut b) = two();
    let (ops, changesets) = (a.replica.stats().ops, a.replica.stats().changesets);
    let list = list(&mut a);
    a.with(|replica, env| replica.begin_transact(None, None, None, env)).expect("small");
    for at in 0..1_000 {
        a.with(|replica, env| replica.list_insert(list, 4 + at, vec![Value::from(7)], env))
            .expect("in range");
    }
    a.with(|replica, env| replica.end_transact(env)).expect("sealed");
    assert_eq!((a.replica.stats().ops, a.replica.stats().changesets), (ops + 1, changesets + 1));
    a.with(|replica, env| replica.begin_transact(None, None, None, env)).expect("small");
    let large: Vec<Value> = (0..40).map(|at| Value::Bytes(vec![at; 30_000])).collect();
    a.with(|replica, env| replica.list_insert(list, 0, large.clone(), env)).expect("in range");
    // Of an element that goes out with the first part, in the last one.
    relocate(&mut a, 0, 39);
    a.with(|replica, env| replica.end_transact(env)).expect("sealed");
    assert!(a.replica.stats().changesets >= changesets + 1 + 1_200_000 / limits::CHANGESET_BYTES_MAX as u32);
    meet(&mut a, &mut b);
    assert_same(&a, &b);
    let here = self::list(&mut b);
    let shown: Vec<&Value> = b.replica.list(here).expect("a list").slice(0..40).expect("in range");
    assert_eq!(shown, large[1..].iter().chain(&large[..1]).collect::<Vec<_>>());
    // It is one step of undo.
    assert!(a.with(|replica, env| replica.undo(&[], env)));
    assert_eq!(a.replica.list(list).expect("a list").len(), 1_004);
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let (mut a, _) = two();
    let before = a.replica.state_hash();
    let list = list(&mut a);
    let text = a.replica.object("a text", ObjectKind::Text).expect("a text");
    let one = || vec![Value::from(1)];
    let large = vec![Value::from(1), Value::Bytes(vec![0; limits::CHANGESET_BYTES_MAX])];
    a.with(|replica, env| {
        assert_eq!(replica.list_insert(list, 5, one(), env), Err(EditFault::Range));
        assert_eq!(replica.list_delete(list, 3, 2, env), Err(EditFault::Range));
        assert_eq!(replica.list_delete(list, u32::MAX, u32::MAX, env), Err(EditFault::Range));
        assert_eq!(replica.list_move(list, 0, 4, env), Err(EditFault::Range));
        assert_eq!(replica.list_move(list, 4, 0, env), Err(EditFault::Range));
        assert_eq!(replica.list_insert(list, 0, large, env), Err(EditFault::TooLarge));
        assert_eq!(replica.list_insert(text, 0, one(), env), Err(EditFault::Kind));
        assert_eq!(replica.list_move(text, 0, 0, env), Err(EditFault::Kind));
        // What changes nothing is no op.
        assert_eq!(replica.list_insert(list, 2, Vec::new(), env), Ok(()));
        assert_eq!(replica.list_delete(list, 4, 0, env), Ok(()));
        assert_eq!(replica.list_move(list, 2, 2, env), Ok(()));
        assert!(!replica.has_edits());
    });
    assert_eq!(a.replica.state_hash(), before);
    let mut reader = Node::join(9, &a.invite(Role::Reader));
    let list = self::list(&mut reader);
    reader.with(|replica, env| {
        assert_eq!(replica.list_insert(list, 0, one(), env), Err(EditFault::Access));
        assert_eq!(replica.list_delete(list, 0, 0, env), Err(EditFault::Access));
        assert_eq!(replica.list_move(list, 0, 0, env), Err(EditFault::Access));
    });
}

#[test]
fn a_list_under_a_key_is_emptied_with_it_and_keeps_what_others_add() {
    let (mut a, mut b) = two();
    let plain = Options::default();
    let child = |node: &mut Node| {
        let map = node.replica.object("trip", ObjectKind::Map).expect("a map");
        let list = node.replica.map_child(map, "stops", ObjectKind::List, &plain).expect("not deep");
        (map, list)
    };
    let insert = |node: &mut Node, list, values: &[&str]| {
        let values = values.iter().map(|one| Value::from(*one)).collect();
        node.with(|replica, env| replica.list_insert(list, 0, values, env)).expect("in range");
    };
    let (map, list) = child(&mut a);
    insert(&mut a, list, &["x", "y"]);
    assert!(a.replica.map_has(map, "stops"), "its first edit makes the key show it");
    meet(&mut a, &mut b);
    a.with(|replica, env| replica.map_delete(map, "stops", env)).expect("a writer");
    assert_eq!(a.replica.list(list).expect("a list").len(), 0);
    let (_, theirs) = child(&mut b);
    b.with(|replica, env| replica.list_move(theirs, 0, 1, env)).expect("in range");
    insert(&mut b, theirs, &["z"]);
    meet(&mut a, &mut b);
    assert_same(&a, &b);
    assert!(a.replica.list(list).expect("a list").iter().eq([&Value::from("z")]));
}

/// docs/format.md §8.
#[test]
fn the_state_hash_is_of_the_elements_in_order() {
    let elements = [Value::from(1), Value::Null, Value::from("x")];
    let mut preimage = Writer::new();
    preimage.raw(b"stemma/1state-li").varint(3);
    elements.iter().for_each(|value| value.encode(&mut preimage));
    use sha2::{Digest as _, Sha256};
    let expected: [u8; 32] = Sha256::digest(preimage.as_slice()).into();
    assert_eq!(digest::list_hash(elements.iter()).0, expected);
}

/// What a hostile member says of a list of its own: the second changeset comes after the first.
fn fates(ops: Vec<Op>) -> (Fate, String) {
    let world = World::new();
    let mut lane = world.attacker.lane(1);
    let objects = vec![(world.attacker.object(ObjectKind::List, "tasks"), ObjectKind::List)];
    let body = |ops: Vec<Op>, refs: Vec<ChangesetRef>, values: Vec<Value>| {
        let skeleton = Skeleton { objects: objects.clone(), refs, ops, ..Skeleton::default() };
        (skeleton, Content { values, ..Content::default() })
    };
    let insert = Op::ListInsert { object: ObjectAt(0), left: None, right: None, count: 3 };
    let values = ["a", "b", "c"].map(Value::from).to_vec();
    let first = world.attacker.next(&mut lane, &[], &body(vec![insert], Vec::new(), values));
    let refs = vec![ChangesetRef::BeforePrev(0)];
    let second = world.attacker.next(&mut lane, &[], &body(ops, refs, Vec::new()));
    let rows = [encoded(&first), encoded(&second)];
    let mut world = world.agree(&rows);
    assert_eq!(world.fate(id_of(&rows[0])), Some(Fate::Integrated));
    (world.fate(second.id()).expect("it is here"), read(&mut world.a))
}

fn unit(changeset: u32, offset: u32) -> UnitAt {
    UnitAt { changeset: ChangesetAt(changeset), offset }
}

#[test]
fn moves_and_deletes_that_no_list_can_say_are_inert() {
    let list = ObjectAt(0);
    let relocate = |element, left, right| Op::ListMove { object: list, element, left, right };
    let delete = |first, len| Op::ListDelete { object: list, spans: vec![Span { first, len }] };
    let to_end = |element| relocate(element, Some(unit(1, 2)), None);
    let inert = |ops| assert_eq!(fates(ops), (Fate::Inert, "abc".to_owned()));
    assert_eq!(fates(vec![to_end(unit(1, 0))]), (Fate::Integrated, "bca".to_owned()));
    inert(vec![to_end(unit(1, 3))]);
    inert(vec![to_end(unit(0, 0))]);
    inert(vec![relocate(unit(1, 0), Some(unit(1, 0)), None)]);
    inert(vec![relocate(unit(1, 0), None, None)]);
    inert(vec![delete(unit(1, 2), 2)]);
    // A move makes a unit that can be deleted, moved and stood next to; what it moves is the element.
    let again = relocate(unit(0, 0), None, Some(unit(1, 0)));
    assert_eq!(fates(vec![to_end(unit(1, 1)), again.clone()]), (Fate::Integrated, "bac".to_owned()));
    assert_eq!(
        fates(vec![to_end(unit(1, 1)), again, delete(unit(0, 0), 1)]),
        (Fate::Integrated, "ac".to_owned())
    );
    inert(vec![delete(unit(1, 1), 1), delete(unit(1, 0), 2)]);
    inert(vec![Op::TextDelete { object: list, spans: vec![Span { first: unit(1, 0), len: 1 }] }]);
}
