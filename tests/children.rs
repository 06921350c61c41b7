//! Objects under keys of maps: who makes them, what shows, what deleting one leaves, who is told.

mod common;
#[path = "common/plain.rs"]
mod plain;

use common::{Node, assert_same, sync};
use plain::{plain, rivals};
use std::collections::BTreeSet;
use stemma::crdt::Slot;
use stemma::doc::{ObjectIx, PatchBody};
use stemma::event::{ObjectKind, Options, Role, Value};
use stemma::replica::{DEPTH_MAX, EditFault, HistoryFilter, ViewFilter, When};

fn pair() -> (Node, Node) {
    let mut a = Node::create(1);
    let b = Node::join(2, &a.invite(Role::Writer));
    (a, b)
}

fn map(node: &mut Node) -> ObjectIx {
    node.replica.object("m", ObjectKind::Map).expect("a map")
}

/// A map whose fields are objects.
fn record(node: &mut Node) -> ObjectIx {
    let field = |key: &str, kind| (key.to_owned(), kind);
    let fields = vec![
        field("body", ObjectKind::Text),
        field("meta", ObjectKind::Map),
        field("tags", ObjectKind::Set),
        field("votes", ObjectKind::Counter),
    ];
    let options = Options { fields, ..Options::default() };
    node.replica.object_with("r", ObjectKind::Map, &options).expect("a map")
}

fn child(node: &mut Node, of: ObjectIx, key: &str, kind: ObjectKind) -> ObjectIx {
    node.replica.map_child(of, key, kind, &Options::default()).expect("a kind that is folded")
}

fn set(node: &mut Node, of: ObjectIx, key: &str, value: &str) {
    node.with(|replica, env| replica.map_set(of, key, value.into(), env)).expect("a writer");
}

fn delete(node: &mut Node, of: ObjectIx, key: &str) -> bool {
    node.with(|replica, env| replica.map_delete(of, key, env)).expect("a writer")
}

fn append(node: &mut Node, text: ObjectIx, string: &str) {
    let end = node.replica.text(text).expect("a text").len();
    node.with(|replica, env| replica.text_insert(text, end, string, env)).expect("in range");
}

fn add(node: &mut Node, counter: ObjectIx, amount: i64) {
    node.with(|replica, env| replica.counter_add(counter, amount, env)).expect("a writer");
}

/// Both seal and meet, and show the same in this object.
fn meet(a: &mut Node, b: &mut Node, of: impl Fn(&mut Node) -> ObjectIx) -> String {
    for node in [&mut *a, &mut *b] {
        node.with(|replica, env| replica.flush(env));
        node.now_ms += 2_000;
    }
    sync(a, b);
    assert_same(a, b);
    let (of_a, of_b) = (of(a), of(b));
    let (in_a, in_b) = (json(a, of_a), json(b, of_b));
    assert_eq!(in_a, in_b);
    in_a
}

fn json(node: &mut Node, object: ObjectIx) -> String {
    node.replica.dbg_check();
    written(&plain(&mut node.replica, object))
}

fn written(value: &Value) -> String {
    match value {
        Value::Object(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(key, value)| format!("{key}:{}", written(value))).collect();
            format!("{{{}}}", entries.join(" "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(" ")),
        Value::String(string) => string.clone(),
        Value::Number(number) => number.get().to_string(),
        other => format!("{other:?}"),
    }
}

#[test]
fn asking_writes_nothing_and_the_first_edit_makes_the_key_show_it() {
    let (mut a, mut b) = pair();
    let m = map(&mut a);
    let text = child(&mut a, m, "t", ObjectKind::Text);
    assert!(!a.replica.has_edits() && !a.replica.map_has(m, "t"));
    append(&mut a, text, "hi");
    assert_eq!(json(&mut a, m), "{t:hi}");
    a.with(|replica, env| replica.flush(env));
    let ops = |node: &Node| node.replica.stats().ops;
    assert_eq!(ops(&a), 2);
    append(&mut a, text, "!");
    assert_eq!(meet(&mut a, &mut b, map), "{t:hi!}");
    assert_eq!(ops(&a), 3, "the key is written once");
    assert_eq!(a.replica.names().len(), 1, "children are no names of the space");
}

#[test]
fn who_makes_a_child_at_the_same_time_makes_the_same_one() {
    let (mut a, mut b) = pair();
    for (node, string) in [(&mut a, "one "), (&mut b, "two ")] {
        let m = map(node);
        let text = child(node, m, "t", ObjectKind::Text);
        append(node, text, string);
        let deep = child(node, m, "d", ObjectKind::Map);
        let deeper = child(node, deep, "d", ObjectKind::Map);
        let votes = child(node, deeper, "votes", ObjectKind::Counter);
        add(node, votes, 2);
        set(node, deeper, string, string);
    }
    let both = meet(&mut a, &mut b, map);
    assert!(
        ["one two ", "two one "]
            .iter()
            .any(|text| { both == format!("{{d:{{d:{{one :one  two :two  votes:4}}}} t:{text}}}") }),
        "{both}"
    );
    let m = map(&mut a);
    assert_eq!(rivals(&mut a.replica, m, "t").len(), 2, "two writes, of one object");
}

#[test]
fn of_unlike_kinds_one_shows_and_the_other_is_a_conflict() {
    let (mut a, mut b) = pair();
    let m = map(&mut a);
    let text = child(&mut a, m, "k", ObjectKind::Text);
    append(&mut a, text, "text");
    let m = map(&mut b);
    let counter = child(&mut b, m, "k", ObjectKind::Counter);
    add(&mut b, counter, 7);
    let both = meet(&mut a, &mut b, map);
    assert!(["{k:text}", "{k:7}"].contains(&both.as_str()));
    let m = map(&mut a);
    let found: BTreeSet<String> = rivals(&mut a.replica, m, "k").iter().map(written).collect();
    assert_eq!(found, ["7", "text"].map(str::to_owned).into());
    // What loses goes with what wins, so whichever is made again is empty.
    assert!(delete(&mut a, m, "k"));
    assert_eq!(meet(&mut a, &mut b, map), "{}");
    let counter = child(&mut a, m, "k", ObjectKind::Counter);
    assert_eq!(a.replica.counter_value(counter), 0);
    append(&mut a, text, "new");
    assert_eq!(meet(&mut a, &mut b, map), "{k:new}");
    // The other kind takes its place.
    let counter = child(&mut a, m, "k", ObjectKind::Counter);
    add(&mut a, counter, 1);
    assert_eq!(meet(&mut a, &mut b, map), "{k:1}");
    assert_eq!(a.replica.text(text).expect("a text").len(), 0);
}

/// A map with a child of every kind in another child, and a value.
fn filled(node: &mut Node) -> ObjectIx {
    let m = map(node);
    let k = child(node, m, "k", ObjectKind::Map);
    let [text, counter, set_of, cart] = [
        ("t", ObjectKind::Text),
        ("c", ObjectKind::Counter),
        ("s", ObjectKind::Set),
        ("b", ObjectKind::Cart),
    ]
    .map(|(key, kind)| child(node, k, key, kind));
    append(node, text, "text");
    add(node, counter, 3);
    add(node, counter, -1);
    node.with(|replica, env| replica.set_add(set_of, &"x".into(), None, env)).expect("a writer");
    node.with(|replica, env| replica.cart_add(cart, &"y".into(), 2, env)).expect("a writer");
    let list = child(node, k, "l", ObjectKind::List);
    node.with(|replica, env| replica.list_insert(list, 0, vec!["z".into()], env)).expect("in range");
    set(node, k, "v", "1");
    let options = Options { groups: vec![vec!["from".into(), "to".into()]], ..Options::default() };
    let trip = node.replica.map_child(k, "trip", ObjectKind::Map, &options).expect("a map");
    set(node, trip, "to", "2");
    m
}

const FILLED: &str = "{k:{b:[[y 2]] c:2 l:[z] s:[x] t:text trip:{to:2} v:1}}";

#[test]
fn deleting_a_child_leaves_it_empty_and_undo_brings_all_of_it_back() {
    let (mut a, mut b) = pair();
    let m = filled(&mut a);
    assert_eq!(meet(&mut a, &mut b, map), FILLED);
    for over in [false, true] {
        let before = a.replica.state_hash();
        match over {
            false => assert!(delete(&mut a, m, "k")),
            true => set(&mut a, m, "k", "other"),
        }
        assert_eq!(json(&mut a, m), if over { "{k:other}" } else { "{}" });
        let k = child(&mut a, m, "k", ObjectKind::Map);
        assert_eq!(json(&mut a, k), "{}");
        meet(&mut a, &mut b, map);
        let there = map(&mut b);
        let left = child(&mut b, there, "k", ObjectKind::Map);
        for (key, kind) in [("t", ObjectKind::Text), ("c", ObjectKind::Counter), ("s", ObjectKind::Set)] {
            let emptied = child(&mut b, left, key, kind);
            assert!(["", "0", "[]"].contains(&json(&mut b, emptied).as_str()));
        }
        assert!(a.with(|replica, env| replica.undo(&[], env)));
        assert_eq!(meet(&mut a, &mut b, map), FILLED);
        assert_eq!(a.replica.state_hash(), before);
    }
    assert!(!delete(&mut a, m, "other"));
}

#[test]
fn what_others_do_meanwhile_survives_the_deletion() {
    let (mut a, mut b) = pair();
    filled(&mut a);
    meet(&mut a, &mut b, map);
    let m = map(&mut a);
    delete(&mut a, m, "k");
    let m = map(&mut b);
    let k = child(&mut b, m, "k", ObjectKind::Map);
    let (text, counter) =
        (child(&mut b, k, "t", ObjectKind::Text), child(&mut b, k, "c", ObjectKind::Counter));
    append(&mut b, text, " more");
    add(&mut b, counter, 10);
    assert_eq!(meet(&mut a, &mut b, map), "{}", "the key did not hear of it");
    // An edit below makes it show again, with what had survived.
    set(&mut b, k, "again", "yes");
    assert_eq!(meet(&mut a, &mut b, map), "{k:{again:yes}}");
    add(&mut b, counter, 1);
    append(&mut b, text, "!");
    assert_eq!(meet(&mut a, &mut b, map), "{k:{again:yes c:11 t: more!}}");
}

#[test]
fn an_edit_far_below_shows_all_the_way_up() {
    let (mut a, mut b) = pair();
    filled(&mut a);
    meet(&mut a, &mut b, map);
    let m = map(&mut a);
    let k = child(&mut a, m, "k", ObjectKind::Map);
    let text = child(&mut a, k, "t", ObjectKind::Text);
    delete(&mut a, m, "k");
    append(&mut a, text, "back");
    assert_eq!(meet(&mut a, &mut b, map), "{k:{t:back}}");
}

#[test]
fn fields_are_always_there_and_hold_no_values() {
    let (mut a, mut b) = pair();
    let r = record(&mut a);
    let empty = "{body: meta:{} tags:[] votes:0}";
    assert_eq!(json(&mut a, r), empty);
    assert!(a.replica.names().is_empty(), "there is no content");
    let body = child(&mut a, r, "body", ObjectKind::Text);
    append(&mut a, body, "text");
    a.with(|replica, env| replica.flush(env));
    assert_eq!(a.replica.stats().ops, 1, "no key is written");
    assert_eq!(a.replica.names().len(), 1);
    set(&mut a, r, "plain", "value");
    let refused = a.with(|replica, env| replica.map_set(r, "body", "x".into(), env));
    assert_eq!(refused, Err(EditFault::Field));
    let none = Options::default();
    assert_eq!(a.replica.map_child(r, "body", ObjectKind::Map, &none), Err(EditFault::OtherKind));
    let grows = Options { variant: true, ..Options::default() };
    assert_eq!(a.replica.map_child(r, "votes", ObjectKind::Counter, &grows), Err(EditFault::OtherOptions));
    let all = meet(&mut a, &mut b, record);
    assert_eq!(all, "{body:text meta:{} plain:value tags:[] votes:0}");
    assert!(delete(&mut a, r, "body") && !delete(&mut a, r, "body") && !delete(&mut a, r, "votes"));
    assert_eq!(meet(&mut a, &mut b, record), "{body: meta:{} plain:value tags:[] votes:0}");
    assert!(a.with(|replica, env| replica.undo(&[body], env)));
    assert_eq!(meet(&mut a, &mut b, record), all);
    // Whoever opens the space hears what the record is.
    let mut again = b.reopen();
    let of = again.replica.names()[0].clone();
    assert_eq!((&*of.0, of.1), ("r", ObjectKind::Map));
    let r = record(&mut again);
    assert_eq!(json(&mut again, r), all);
}

#[test]
fn coupled_keys_and_deep_places_hold_no_objects() {
    let mut a = Node::create(1);
    let options = Options { groups: vec![vec!["from".into()]], ..Options::default() };
    let trip = a.replica.object_with("trip", ObjectKind::Map, &options).expect("a map");
    let none = Options::default();
    assert_eq!(a.replica.map_child(trip, "from", ObjectKind::Text, &none), Err(EditFault::Coupled));
    assert_eq!(a.replica.map_child(trip, "x", ObjectKind::Ledger, &none), Err(EditFault::Unsupported));
    let long = "k".repeat(5_000);
    assert_eq!(a.replica.map_child(trip, &long, ObjectKind::Text, &none), Err(EditFault::TooLarge));
    assert_eq!(a.replica.map_child(trip, "x", ObjectKind::Text, &options), Err(EditFault::Options));
    let mut deep = map(&mut a);
    for _ in 0..DEPTH_MAX {
        deep = child(&mut a, deep, "k", ObjectKind::Map);
    }
    set(&mut a, deep, "v", "deep");
    assert_eq!(a.replica.map_child(deep, "k", ObjectKind::Text, &none), Err(EditFault::Depth));
    let m = map(&mut a);
    assert!(json(&mut a, m).ends_with(&format!("v:deep{}", "}".repeat(DEPTH_MAX + 1))));
    a.with(|replica, env| replica.flush(env));
    let mut again = a.reopen();
    let m = map(&mut again);
    assert!(json(&mut again, m).contains("v:deep"));
    assert!(delete(&mut again, m, "k"));
    assert_eq!(json(&mut again, m), "{}");
    assert!(again.with(|replica, env| replica.undo(&[m], env)), "the actor goes on");
    assert!(json(&mut again, m).contains("v:deep"));
}

#[test]
fn maps_above_hear_of_what_changes_below() {
    let (mut a, mut b) = pair();
    filled(&mut a);
    meet(&mut a, &mut b, map);
    let heard = |node: &mut Node| {
        let told: Vec<(ObjectIx, Vec<String>)> = std::mem::take(&mut node.changes)
            .into_iter()
            .map(|change| {
                let PatchBody::Slots(slots) = change.body else { return (change.object, Vec::new()) };
                let keys = slots.iter().map(|slot| match slot {
                    Slot::Key(name) => {
                        node.replica.key_name(name).map_or_else(String::new, ToString::to_string)
                    }
                    Slot::Group(group) => format!("group {group}"),
                });
                (change.object, keys.collect())
            })
            .collect();
        told
    };
    for local in [true, false] {
        let (m, k) = (map(&mut b), map(&mut a));
        let on_a = child(&mut a, k, "k", ObjectKind::Map);
        let (k, text) = (child(&mut b, m, "k", ObjectKind::Map), child(&mut a, on_a, "t", ObjectKind::Text));
        let (a_m, here) = (map(&mut a), child(&mut b, k, "t", ObjectKind::Text));
        heard(&mut a);
        heard(&mut b);
        append(&mut a, text, "x");
        let (node, text, k, m) = match local {
            true => (&mut a, text, on_a, a_m),
            false => {
                meet(&mut a, &mut b, map);
                (&mut b, here, k, m)
            }
        };
        node.with(|_, _| {});
        let mut told = heard(node);
        told.sort();
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        let mut expected = vec![(text, keys(&[])), (k, keys(&["t"])), (m, keys(&["k"]))];
        expected.sort();
        assert_eq!(told, expected);
    }
    // What does not show is no news above.
    let m = map(&mut a);
    let k = child(&mut a, m, "k", ObjectKind::Map);
    let text = child(&mut a, k, "t", ObjectKind::Text);
    let m = map(&mut b);
    delete(&mut b, m, "k");
    append(&mut a, text, "unseen");
    meet(&mut a, &mut b, map);
    heard(&mut b);
    assert!(a.with(|replica, env| replica.undo(&[], env)));
    meet(&mut a, &mut b, map);
    let told = heard(&mut b);
    assert_eq!(told.len(), 1, "the text alone");
}

#[test]
fn history_and_the_scope_of_undo_take_in_what_is_below() {
    let (mut a, mut b) = pair();
    let m = filled(&mut a);
    a.with(|replica, env| replica.flush(env));
    a.now_ms += 5_000;
    let k = child(&mut a, m, "k", ObjectKind::Map);
    let (text, counter) =
        (child(&mut a, k, "t", ObjectKind::Text), child(&mut a, k, "c", ObjectKind::Counter));
    append(&mut a, text, "!");
    a.with(|replica, env| replica.flush(env));
    let count = |node: &Node, object: Option<ObjectIx>, key: Option<&str>| {
        let filter =
            HistoryFilter { object, key: key.map(str::to_owned), limit: 9, ..HistoryFilter::default() };
        node.replica.history(&filter).len()
    };
    assert_eq!(count(&a, Some(m), None), 2);
    assert_eq!(count(&a, Some(m), Some("k")), 2);
    assert_eq!(count(&a, Some(k), Some("t")), 2);
    assert_eq!(count(&a, Some(k), Some("c")), 1);
    assert_eq!(count(&a, None, Some("t")), 2);
    assert_eq!(count(&a, Some(counter), None), 1);
    let writes = a.replica.map_history(m, "k");
    assert_eq!(writes.iter().map(|write| write.child).collect::<Vec<_>>(), [Some(ObjectKind::Map)]);
    a.now_ms += 5_000;
    delete(&mut a, m, "k");
    assert!(a.replica.can_undo(&[counter]));
    // With the counter come back the keys that lead to it, and nothing else.
    assert!(a.with(|replica, env| replica.undo(&[counter], env)));
    assert_eq!(meet(&mut a, &mut b, map), "{k:{c:2}}");
    assert!(a.with(|replica, env| replica.undo(&[m], env)));
    assert_eq!(meet(&mut a, &mut b, map), FILLED.replace("t:text", "t:text!"));
    assert!(a.replica.can_redo(&[counter]) && a.with(|replica, env| replica.redo(&[text], env)));
    assert_eq!(meet(&mut a, &mut b, map), "{k:{c:2}}");
}

#[test]
fn an_abandoned_transaction_leaves_no_child() {
    let (mut a, mut b) = pair();
    let m = filled(&mut a);
    meet(&mut a, &mut b, map);
    let before = a.replica.state_hash();
    a.with(|replica, env| replica.begin_transact(None, None, None, env)).expect("nothing large");
    delete(&mut a, m, "k");
    let mark = a.replica.mark();
    let text = child(&mut a, m, "k", ObjectKind::Text);
    append(&mut a, text, "new");
    let more = child(&mut a, m, "more", ObjectKind::Counter);
    add(&mut a, more, 1);
    assert_eq!(json(&mut a, m), "{k:new more:1}");
    a.with(|replica, _| replica.rollback(&mark));
    assert_eq!(json(&mut a, m), "{}");
    a.with(|replica, env| replica.abort_transact(env));
    assert_eq!(json(&mut a, m), FILLED);
    assert_eq!(a.replica.state_hash(), before);
}

#[test]
fn a_child_too_large_for_one_changeset_goes_as_one_step() {
    let (mut a, mut b) = pair();
    let m = map(&mut a);
    let k = child(&mut a, m, "k", ObjectKind::Map);
    for n in 0..6_000 {
        set(&mut a, k, &format!("key {n} {}", "-".repeat(20)), "value");
    }
    a.with(|replica, env| replica.flush(env));
    let before = a.replica.stats().changesets;
    assert!(before > 1, "what was written is several changesets");
    a.now_ms += 5_000;
    delete(&mut a, m, "k");
    assert_eq!(meet(&mut a, &mut b, map), "{}");
    assert!(a.replica.stats().changesets > before + 1);
    assert!(a.with(|replica, env| replica.undo(&[], env)));
    assert_eq!(a.replica.map_keys(k).len(), 6_000);
    meet(&mut a, &mut b, map);
}

#[test]
fn views_show_children_as_they_were_and_restoring_brings_them_back() {
    let (mut a, mut b) = pair();
    let m = filled(&mut a);
    let r = record(&mut a);
    let body = child(&mut a, r, "body", ObjectKind::Text);
    append(&mut a, body, "draft");
    let then = a.with(|replica, env| replica.flush(env)).expect("a write");
    let hash = a.replica.state_hash();
    append(&mut a, body, " and more");
    delete(&mut a, m, "k");
    set(&mut a, m, "k", "a value");
    a.with(|replica, env| replica.flush(env));
    let filter = ViewFilter { when: When::Past(then), ..ViewFilter::default() };
    let view = a.with(|replica, env| replica.view(&filter, env)).expect("it is here");
    let seen = |node: &mut Node, object: ObjectIx| node.replica.object_in(view, object).expect("a view");
    let (m_then, r_then) = (seen(&mut a, m), seen(&mut a, r));
    assert_eq!(json(&mut a, m_then), FILLED);
    assert_eq!(json(&mut a, r_then), "{body:draft meta:{} tags:[] votes:0}");
    let k_then = child(&mut a, m_then, "k", ObjectKind::Map);
    let k = child(&mut a, m, "k", ObjectKind::Map);
    assert_eq!(k_then, seen(&mut a, k), "one number for one object");
    assert_eq!(a.replica.view_names(view).expect("a view").len(), 2);
    let refused = a.with(|replica, env| replica.map_set(k_then, "x", "y".into(), env));
    assert_eq!(refused, Err(EditFault::ReadOnly));
    let text = child(&mut a, k, "t", ObjectKind::Text);
    for (object, key, expected) in [
        (None, None, FILLED),
        (Some(m), None, FILLED),
        (Some(m), Some("k"), FILLED),
        (Some(k), None, FILLED),
        (Some(k), Some("t"), "{k:{t:text}}"),
        (Some(text), None, "{k:{t:text}}"),
    ] {
        a.with(|replica, env| replica.begin_transact(None, None, None, env)).expect("nothing large");
        a.with(|replica, env| replica.restore(view, object, key, env)).expect("it can be");
        a.with(|replica, env| replica.end_transact(env)).expect("a write");
        assert_eq!(meet(&mut a, &mut b, map), expected, "{object:?} {key:?}");
        assert_eq!(a.replica.state_hash() == hash, object.is_none());
        assert!(a.with(|replica, env| replica.undo(&[], env)));
        assert_eq!(json(&mut a, m), "{k:a value}");
    }
}

#[test]
fn a_text_that_is_made_again_begins_without_marks() {
    let mut a = Node::create(1);
    let m = map(&mut a);
    let text = child(&mut a, m, "t", ObjectKind::Text);
    let marked = a.with(|replica, env| replica.text_mark(text, 0..0, ("bold", Value::Bool(true)), None, env));
    assert!(marked == Err(EditFault::Empty) && !a.replica.map_has(m, "t"), "nothing was marked");
    append(&mut a, text, "bold");
    a.with(|replica, env| replica.text_mark(text, 0..4, ("bold", Value::Bool(true)), None, env))
        .expect("in range");
    delete(&mut a, m, "t");
    append(&mut a, text, "plain");
    let runs = a.replica.text_runs(text);
    assert_eq!(runs, [(5, Vec::new())]);
    assert_eq!(json(&mut a, m), "{t:plain}");
}
