//! One object's state as bytes: importing is a merge, in any order, any grouping, any number of times.

mod common;

use common::{Node, assert_same, sync};
use stemma::doc::ObjectIx;
use stemma::event::{ObjectKind, Role, Value};
use stemma::replica::ImportError;

fn object(node: &mut Node, kind: ObjectKind) -> ObjectIx {
    node.replica.object(&format!("{kind:?}"), kind).expect("a kind that is folded")
}

fn edit(node: &mut Node, who: &str) {
    let (text, map) = (object(node, ObjectKind::Text), object(node, ObjectKind::Map));
    let counter = object(node, ObjectKind::Counter);
    node.with(|replica, env| {
        replica.text_insert(text, 0, who, env).expect("inside");
        replica.flush(env);
        replica.map_set(map, who, Value::from(who), env).expect("a writer");
        replica.map_set(map, "both", Value::from(who), env).expect("a writer");
        replica.flush(env);
        replica.counter_add(counter, 5, env).expect("a writer");
        replica.flush(env);
        replica.text_delete(text, 0, 1, env).expect("inside");
        replica.flush(env);
    });
}

fn shown(node: &mut Node) -> String {
    let (text, map) = (object(node, ObjectKind::Text), object(node, ObjectKind::Map));
    let counter = object(node, ObjectKind::Counter);
    let replica = &node.replica;
    let keys: Vec<String> = replica
        .map_keys(map)
        .iter()
        .map(|key| format!("{key}: {:?} {:?}", replica.map_get(map, key), replica.map_conflicts(map, key)))
        .collect();
    format!("{:?} {keys:?} {}", replica.text(text).map(ToString::to_string), replica.counter_value(counter))
}

/// Three members who wrote apart from each other after a common start.
fn apart() -> (Vec<Node>, String) {
    let mut owner = Node::create(1);
    let token = owner.invite(Role::Writer);
    edit(&mut owner, "start");
    let mut nodes = vec![owner];
    for (seed, name) in [(2, "one"), (3, "two")] {
        let mut node = Node::join(seed, &token);
        sync(&mut nodes[0], &mut node);
        edit(&mut node, name);
        nodes.push(node);
    }
    edit(&mut nodes[0], "three");
    (nodes, token)
}

fn import(node: &mut Node, bytes: &[u8]) {
    let report = node.with(|replica, env| replica.import_space(bytes, env)).expect("an export of this space");
    assert_eq!(report.refused, 0);
    node.settle();
}

#[test]
fn merging_is_commutative_associative_and_idempotent() {
    for kind in [ObjectKind::Text, ObjectKind::Map, ObjectKind::Counter] {
        let (mut nodes, token) = apart();
        let exports: Vec<Vec<u8>> = nodes
            .iter_mut()
            .map(|node| {
                let object = object(node, kind);
                node.replica.export_object(object)
            })
            .collect();
        let merged = |seed: u64, order: &[usize]| {
            let mut node = Node::join(seed, &token);
            order.iter().for_each(|at| import(&mut node, &exports[*at]));
            node
        };
        let mut first = merged(10, &[0, 1, 2]);
        let expected = shown(&mut first);
        for (seed, order) in [[2, 1, 0], [1, 0, 2], [1, 2, 0]].iter().enumerate() {
            let mut other = merged(11 + seed as u64, order);
            assert_eq!(shown(&mut other), expected);
            assert_same(&first, &other);
            // Once more changes nothing.
            let changes = other.changes.len();
            order.iter().for_each(|at| import(&mut other, &exports[*at]));
            assert_eq!((shown(&mut other), other.changes.len()), (expected.clone(), changes));
        }
        // What two of them made is merged with the third.
        let mut two = merged(20, &[2, 1]);
        let both = object(&mut two, kind);
        let both = two.replica.export_object(both);
        let mut grouped = Node::join(21, &token);
        import(&mut grouped, &both);
        import(&mut grouped, &exports[0]);
        assert_same(&first, &grouped);
    }
}

#[test]
fn an_export_shows_its_object_and_no_other() {
    let (mut nodes, token) = apart();
    let text = object(&mut nodes[0], ObjectKind::Text);
    let export = nodes[0].replica.export_object(text);
    let mut newcomer = Node::join(30, &token);
    import(&mut newcomer, &export);
    let (text, map) = (object(&mut newcomer, ObjectKind::Text), object(&mut newcomer, ObjectKind::Map));
    let replica = &newcomer.replica;
    assert!(replica.text(text).is_some_and(|text| !text.is_empty()));
    assert!(replica.map_keys(map).is_empty(), "the values of the map are not in it");
    assert!(export.len() < nodes[0].replica.export_space().len());
    // What was left out comes with everything else.
    let all = nodes[0].replica.export_space();
    import(&mut newcomer, &all);
    assert_same(&nodes[0], &newcomer);
    let expected = shown(&mut nodes[0]);
    assert_eq!(shown(&mut newcomer), expected);
}

#[test]
fn an_object_without_changes_has_an_empty_export() {
    let (mut nodes, token) = apart();
    let cart = object(&mut nodes[0], ObjectKind::Cart);
    let export = nodes[0].replica.export_object(cart);
    let mut newcomer = Node::join(40, &token);
    import(&mut newcomer, &export);
    assert_eq!(newcomer.replica.stats().changesets, 0);
}

#[test]
fn an_export_of_another_space_is_refused() {
    let (mut nodes, _) = apart();
    let text = object(&mut nodes[0], ObjectKind::Text);
    let export = nodes[0].replica.export_object(text);
    let mut stranger = Node::create(50);
    let refused = stranger.with(|replica, env| replica.import_space(&export, env));
    assert_eq!(refused, Err(ImportError::Space));
    assert_eq!(stranger.replica.stats().changesets, 0);
}
