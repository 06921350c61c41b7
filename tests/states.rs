//! Whole spaces and what they come to: `vectors/states.json`, which `tests/node/states.test.ts` reads with the WebAssembly
//! build. `STEMMA_WRITE_VECTORS=1 cargo test --test states` writes the file anew from fixed seeds.

mod common;

use common::{Node, assert_same, sync};
use serde_json::{Value as Json, json};
use stemma::codec::BigInt;
use stemma::crdt::AccountId;
use stemma::event::{ObjectKind, Options, Role, Value};
use stemma::replica::{Replica, Target};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/states.json");

/// One object of each kind, and objects under keys.
fn write(node: &mut Node, who: &str) {
    let none = Options::default();
    let coupled = Options { groups: vec![vec!["end".into(), "start".into()]], ..Options::default() };
    let fields = Options { fields: vec![("title".into(), ObjectKind::Text)], ..Options::default() };
    let lww = Options { variant: true, ..Options::default() };
    let mut object = |name: &str, kind, options: &Options| {
        node.replica.object_with(name, kind, options).expect("a kind that is folded")
    };
    let (text, map) = (object("text", ObjectKind::Text, &none), object("map", ObjectKind::Map, &none));
    let (times, record) =
        (object("times", ObjectKind::Map, &coupled), object("record", ObjectKind::Map, &fields));
    let (counter, cart) =
        (object("counter", ObjectKind::Counter, &none), object("cart", ObjectKind::Cart, &none));
    let (set, last) = (object("set", ObjectKind::Set, &none), object("last", ObjectKind::Set, &lww));
    let list = object("list", ObjectKind::List, &none);
    let title = node.replica.map_child(record, "title", ObjectKind::Text, &none).expect("a field");
    let child = node.replica.map_child(map, "child", ObjectKind::Counter, &none).expect("a child");
    node.with(|replica, env| {
        replica.text_insert(text, 0, &format!("{who} writes \u{1f600} and more. "), env).expect("inside");
        replica.text_delete(text, 1, 2, env).expect("inside");
        replica.text_mark(text, 3..9, ("bold", Value::from(who)), None, env).expect("inside");
        replica.text_mark(text, 5..7, ("bold", Value::Null), None, env).expect("inside");
        replica.map_set(map, who, Value::from(who), env).expect("a writer");
        replica.map_set(map, "both", Value::from(who), env).expect("a writer");
        replica.flush(env);
        replica.map_set(times, "start", Value::from(8), env).expect("a writer");
        replica.map_set(times, "end", Value::from(9), env).expect("a writer");
        replica.text_insert(title, 0, who, env).expect("inside");
        replica.counter_add(child, 1, env).expect("a writer");
        replica.counter_add(counter, 7, env).expect("a writer");
        replica.counter_add(counter, -3, env).expect("a writer");
        replica.flush(env);
        for set in [set, last] {
            replica.set_add(set, &Value::from(who), None, env).expect("a writer");
            replica.set_add(set, &Value::from("both"), Some(Value::from(who)), env).expect("a writer");
        }
        replica.cart_add(cart, &Value::from("apple"), 2, env).expect("a writer");
        replica.cart_add(cart, &Value::from(who), 1, env).expect("a writer");
        let values = [who, "middle", "last"].map(Value::from).to_vec();
        replica.list_insert(list, 0, values, env).expect("inside");
        replica.list_move(list, 2, 0, env).expect("inside");
        replica.list_delete(list, 2, 1, env).expect("inside");
        replica.flush(env);
    });
    node.now_ms += 10_000;
}

/// Accounts, payments and an asset of one member.
fn pay(node: &mut Node) {
    let ledger = node.replica.object("house", ObjectKind::Ledger).expect("a ledger");
    let me = AccountId::Member(node.replica.member());
    node.with(|replica, env| {
        replica.ledger_open(ledger, "food", env).expect("it is free");
        replica.ledger_open(ledger, "rent", env).expect("it is free");
        let [food, rent] = ["food", "rent"].map(|name| replica.account_named(name));
        for (ends, amount) in [((me, food), 1_250), ((food, rent), 300), ((me, rent), 99)] {
            let memo = Some(Value::from("May"));
            replica.ledger_transfer(ledger, ends, &BigInt::from(amount), memo, env).expect("it can be paid");
        }
        let changeset = replica.flush(env).expect("a write");
        let entry = |index| Target { changeset, index: Some(index) };
        replica.ledger_reverse(ledger, entry(3), None, env).expect("it was paid");
        replica.ledger_dispute(ledger, entry(4), Value::from("too much"), env).expect("an entry");
        replica.ledger_assign(ledger, "boat", rent, env).expect("it is new");
        replica.flush(env);
    });
}

/// Objects that events define: one that both make, one that is spoken of alone, and something taken back.
fn happen(node: &mut Node, who: &str) {
    node.with(|replica, env| {
        let said = |text: &str| Value::Array(vec![Value::from(1), Value::from(text)]);
        replica.event_create("Photo", who, Value::Null, env).expect("a writer");
        replica.event_create(who, "both", said("made"), env).expect("a writer");
        replica.event_emit("Name", &["both", who, "nobody's"], said(who), env).expect("a writer");
        replica.flush(env);
        replica.event_emit("Name", &["both"], said("again"), env).expect("a writer");
        replica.flush(env);
    });
    node.now_ms += 10_000;
}

/// A name, what it shows, and the space.
fn cases() -> Vec<(&'static str, &'static str, Node)> {
    let mut alone = Node::create(1);
    write(&mut alone, "one");
    let mut undone = Node::create(2);
    write(&mut undone, "one");
    write(&mut undone, "two");
    assert!(undone.with(|replica, env| replica.undo(&[], env)));
    let apart = |seed: u64| {
        let mut owner = Node::create(seed);
        let token = owner.invite(Role::Writer);
        let mut other = Node::join(seed + 1, &token);
        write(&mut owner, "one");
        write(&mut other, "two");
        (owner, other)
    };
    let (mut merged, mut other) = apart(3);
    sync(&mut merged, &mut other);
    let (mut emptied, mut second) = apart(5);
    sync(&mut emptied, &mut second);
    let map = emptied.replica.object("map", ObjectKind::Map).expect("a map");
    let cart = emptied.replica.object("cart", ObjectKind::Cart).expect("a cart");
    emptied.with(|replica, env| {
        replica.map_delete(map, "child", env).expect("a writer");
        replica.map_delete(map, "both", env).expect("a writer");
        replica.cart_remove(cart, &Value::from("apple"), env).expect("a writer");
        replica.flush(env);
    });
    write(&mut second, "three");
    sync(&mut emptied, &mut second);
    let mut events = Node::create(7);
    let token = events.invite(Role::Writer);
    let mut third = Node::join(8, &token);
    third.now_ms += 500;
    happen(&mut events, "one");
    happen(&mut third, "two");
    happen(&mut events, "three");
    assert!(third.with(|replica, env| replica.undo(&[], env)));
    sync(&mut events, &mut third);
    let mut paid = Node::create(8);
    pay(&mut paid);
    vec![
        ("alone", "one writer, something of each kind", alone),
        ("undone", "a part taken back by a revoke", undone),
        ("merged", "two who wrote apart", merged),
        ("emptied", "deletes beside concurrent writes", emptied),
        ("events", "objects that events define, said apart, a part taken back", events),
        ("paid", "a ledger with payments, one given back and one disputed, and an asset", paid),
    ]
}

fn outcome(replica: &Replica) -> Json {
    let heads: Vec<String> = replica.heads().iter().map(ToString::to_string).collect();
    json!({
        "heads": heads,
        "state_hash": replica.state_hash().to_string(),
        "view_digest": replica.view_digest().to_string(),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal digits");
    (0..hex.len()).step_by(2).map(digits).collect()
}

#[test]
fn spaces_come_to_what_the_file_says() {
    if std::env::var_os("STEMMA_WRITE_VECTORS").is_some() {
        let cases = cases().into_iter().map(|(name, what, mut node)| {
            let input = json!({ "invite": node.invite(Role::Writer), "export": hex(&node.replica.export_space()) });
            json!({ "name": name, "what": what, "input": input, "expect": "ok", "result": outcome(&node.replica) })
        });
        let cases: Vec<Json> = cases.collect();
        let text = serde_json::to_string_pretty(&cases).expect("values are written");
        std::fs::write(FILE, text + "\n").expect("the file is written");
    }
    let file = std::fs::read_to_string(FILE).expect("the file is read");
    let stored: Vec<Json> = serde_json::from_str(&file).expect("the file is JSON");
    assert_eq!(stored.len(), cases().len());
    for (case, (name, _, made)) in stored.iter().zip(cases()) {
        assert_eq!(case["name"], name);
        let text = |field: &Json| field.as_str().expect("a string").to_owned();
        let mut node = Node::join(99, &text(&case["input"]["invite"]));
        let export = bytes(&text(&case["input"]["export"]));
        let report = node.with(|replica, env| replica.import_space(&export, env)).expect("an export");
        assert_eq!(report.refused, 0);
        node.settle();
        assert_eq!(outcome(&node.replica), case["result"], "{name}");
        // What is made today is what was made when the file was written.
        assert_same(&node, &made);
        // And so it is after a restart, with and without a snapshot.
        assert!(node.snapshot());
        let mut node = node.reopen();
        assert_eq!(outcome(&node.replica), case["result"], "{name}, from a snapshot");
        node.disk.snapshot.clear();
        let node = node.reopen();
        assert_eq!(outcome(&node.replica), case["result"], "{name}, from the rows");
    }
}
