//! Random histories of whole replicas, seen at random moments: a view shows what a replica shows that was given those
//! changesets and no others; what is said to differ between two views turns the one into the other; and what is restored
//! reads as the view, until it is undone.

mod common;
#[path = "common/plain.rs"]
mod plain;
#[path = "reference/rng.rs"]
mod rng;

use common::{Node, sync};
use plain::plain;
use rng::{Rng, fuzz};
use std::collections::{BTreeMap, BTreeSet};
use stemma::causal::ChangesetId;
use stemma::codec::{Reader, Writer};
use stemma::crdt::Slot;
use stemma::doc::{ObjectIx, PatchBody};
use stemma::event::{Number, ObjectKind, Options, Role, SignedChangeset, Value};
use stemma::replica::{
    ChangesetSummary, EditFault, HistoryFilter, Replica, RestoreFault, Target, ViewFault, ViewFilter, ViewIx,
    When,
};

const KEYS: [&str; 4] = ["a", "b", "start", "end"];
const BRANCHES: [&str; 2] = ["x", "y"];
const GROWS: usize = 3;
const TREE: usize = 7;
const LIST: usize = 8;

/// The objects of every history.
fn objects() -> Vec<(ObjectKind, Options)> {
    let variant = || Options { variant: true, ..Options::default() };
    let groups = vec![vec!["end".to_owned(), "start".to_owned()]];
    let fields = vec![("a".to_owned(), ObjectKind::Counter), ("b".to_owned(), ObjectKind::Text)];
    vec![
        (ObjectKind::Text, Options::default()),
        (ObjectKind::Map, Options { groups, ..Options::default() }),
        (ObjectKind::Counter, Options::default()),
        (ObjectKind::Counter, variant()),
        (ObjectKind::Set, Options::default()),
        (ObjectKind::Set, variant()),
        (ObjectKind::Cart, Options::default()),
        (ObjectKind::Map, Options { fields, ..Options::default() }),
        (ObjectKind::List, Options::default()),
    ]
}

fn numbers(replica: &mut Replica) -> Vec<ObjectIx> {
    let object = |(at, (kind, options)): (usize, (ObjectKind, Options))| {
        replica.object_with(&format!("object {at}"), kind, &options).expect("a kind that is folded")
    };
    objects().into_iter().enumerate().map(object).collect()
}

type Unit = (u16, BTreeMap<String, Value>);

/// What an application shows of one object.
#[derive(Clone, Debug, PartialEq)]
enum Shown {
    /// By unit, with its marks.
    Text(Vec<Unit>),
    /// By key, element or item: what it reads as, and its rivals.
    Values(BTreeMap<String, (Option<Value>, Vec<Value>)>),
    Sum(i128),
    Elements(Vec<Value>),
}

fn shown(replica: &mut Replica, at: usize, object: ObjectIx, kind: ObjectKind) -> Shown {
    let name = |value: &Value| format!("{value:?}");
    match kind {
        ObjectKind::Map if at == TREE => {
            let Value::Object(entries) = plain(replica, object) else { panic!("a map") };
            Shown::Values(entries.into_iter().map(|(key, value)| (key, (Some(value), Vec::new()))).collect())
        }
        ObjectKind::Text => {
            let text = replica.text(object).expect("a text");
            let (units, len) = (text.to_string(), text.len() as usize);
            let marks = replica.text_runs(object).into_iter().flat_map(|(len, marks)| {
                let marks = marks.into_iter().map(|(key, value)| (key.to_string(), value.clone()));
                std::iter::repeat_n(marks.collect::<BTreeMap<_, _>>(), len as usize)
            });
            let units: Vec<Unit> = units.encode_utf16().zip(marks).collect();
            assert_eq!(len, units.len());
            Shown::Text(units)
        }
        ObjectKind::Counter => Shown::Sum(replica.counter_value(object)),
        ObjectKind::List => Shown::Elements(replica.list(object).expect("a list").iter().cloned().collect()),
        ObjectKind::Map => {
            let keys = replica.map_keys(object);
            let read = |key: &str| {
                let rivals: Vec<Value> = replica.map_conflicts(object, key).into_iter().cloned().collect();
                assert_eq!(keys.iter().any(|at| &**at == key), replica.map_get(object, key).is_some());
                (key.to_owned(), (replica.map_get(object, key).cloned(), rivals))
            };
            let read = KEYS.into_iter().map(read);
            Shown::Values(read.filter(|(_, (now, rivals))| now.is_some() || !rivals.is_empty()).collect())
        }
        ObjectKind::Set => {
            let elements = replica.set_elements(object).into_iter();
            Shown::Values(elements.map(|(at, value)| (name(at), (value.cloned(), Vec::new()))).collect())
        }
        _ => {
            let items = replica.cart_entries(object).into_iter();
            let quantity = |of: i128| Some(Value::String(of.to_string()));
            Shown::Values(items.map(|(at, of)| (name(at), (quantity(of), Vec::new()))).collect())
        }
    }
}

fn all_shown(replica: &mut Replica, objects: &[ObjectIx]) -> Vec<Shown> {
    let kinds = self::objects().into_iter().map(|(kind, _)| kind).enumerate();
    objects.iter().zip(kinds).map(|(object, (at, kind))| shown(replica, at, *object, kind)).collect()
}

/// Without the rivals, which restoring does not bring back.
fn without_rivals(shown: Vec<Shown>) -> Vec<Shown> {
    let plain = |values: BTreeMap<String, (Option<Value>, Vec<Value>)>| {
        values.into_iter().map(|(key, (now, _))| (key, (now, Vec::new()))).collect::<BTreeMap<_, _>>()
    };
    let each = shown.into_iter().map(|one| match one {
        Shown::Values(values) => {
            let mut values = plain(values);
            // A key whose winner deletes it has rivals alone; elements of a set can be without a value.
            values.retain(|key, (now, _)| now.is_some() || !KEYS.contains(&key.as_str()));
            Shown::Values(values)
        }
        other => other,
    });
    each.collect()
}

/// Edits something under a key of the tree, or of a map in it.
fn edit_tree(node: &mut Node, tree: ObjectIx, rng: &mut Rng) {
    let mut map = tree;
    let child = |node: &mut Node, map: ObjectIx, key: &str, kind: ObjectKind| {
        node.replica.map_child(map, key, kind, &Options::default()).expect("it may be there")
    };
    for _ in 0..rng.below(3) {
        map = child(node, map, BRANCHES[rng.below(2)], ObjectKind::Map);
    }
    let is_root = map == tree;
    let branch = *rng.pick(&BRANCHES);
    let (counter, text) = if is_root { ("a", "b") } else { (branch, branch) };
    let what = rng.below(6);
    let number = Value::Number(Number::new(rng.below(100) as f64).expect("finite"));
    match what {
        0 => {
            let counter = child(node, map, counter, ObjectKind::Counter);
            node.with(|replica, env| replica.counter_add(counter, 3, env)).expect("a writer");
        }
        1 | 2 => {
            let text = child(node, map, text, ObjectKind::Text);
            let at = rng.below(node.replica.text(text).expect("a text").len() as usize + 1);
            node.with(|replica, env| replica.text_insert(text, at as u32, "leaf", env)).expect("in range");
        }
        3 => {
            let set = child(node, map, branch, ObjectKind::Set);
            node.with(|replica, env| replica.set_add(set, &number, None, env)).expect("a writer");
        }
        4 => drop(node.with(|replica, env| replica.map_delete(map, branch, env)).expect("a writer")),
        _ => node.with(|replica, env| replica.map_set(map, branch, number, env)).expect("a writer"),
    }
}

fn edit(node: &mut Node, rng: &mut Rng) {
    let objects = numbers(&mut node.replica);
    if rng.chance(30) {
        return edit_tree(node, objects[TREE], rng);
    }
    let at = if rng.chance(4) { GROWS } else { [0, 0, 1, 1, 2, 4, 5, 6, LIST, LIST][rng.below(10)] };
    let (object, key) = (objects[at], *rng.pick(&KEYS));
    let value = Value::Number(Number::new(rng.below(100) as f64).expect("finite"));
    let (element, amount) = (Value::from(key), rng.below(20) as i64 - 8);
    let (takes, marks) = (rng.chance(30), rng.chance(30));
    let len = node.replica.text(objects[0]).expect("a text").len() as usize;
    let place = rng.below(len + 1);
    let typed: String = (0..1 + rng.below(5)).map(|_| *rng.pick(&['x', 'y', 'é', '😀'])).collect();
    let deleted = rng.below(6).min(len - place);
    let elements = node.replica.list(objects[LIST]).expect("a list").len();
    let (from, to) = (rng.below(elements as usize + 1) as u32, rng.below(elements as usize + 1) as u32);
    node.with(|replica, env| match (at, takes) {
        (LIST, true) if from < elements => replica.list_delete(object, from, 1, env),
        (LIST, false) if from.max(to) < elements && amount > 2 => replica.list_move(object, from, to, env),
        (LIST, _) => replica.list_insert(object, from, vec![value.clone(), value], env),
        (0, _) if marks && deleted > 0 => {
            let mark = (if takes { "bold" } else { "link" }, if amount > 8 { Value::Null } else { value });
            replica.text_mark(object, place as u32..(place + deleted) as u32, mark, None, env)
        }
        (0, true) => replica.text_delete(object, place as u32, deleted as u32, env),
        (0, false) => replica.text_insert(object, place as u32, &typed, env),
        (1, true) => replica.map_delete(object, key, env).map(|_| ()),
        (1, false) => replica.map_set(object, key, value, env),
        (2, _) => replica.counter_add(object, amount, env),
        (GROWS, _) => replica.counter_add(object, amount.abs(), env),
        (4 | 5, true) => replica.set_delete(object, &element, env).map(|_| ()),
        (4 | 5, false) => replica.set_add(object, &element, (amount > 3).then_some(value), env),
        (_, true) => replica.cart_remove(object, &element, env).map(|_| ()),
        (_, false) => replica.cart_add(object, &element, amount | 1, env),
    })
    .expect("a writer, in range");
}

fn history(replica: &Replica) -> Vec<ChangesetSummary> {
    replica.history(&HistoryFilter { limit: usize::MAX, ..HistoryFilter::default() })
}

/// A moment, and the changesets that it means.
fn moment(replica: &Replica, rng: &mut Rng) -> (When, BTreeSet<ChangesetId>) {
    let all = history(replica);
    let of = |chosen: &dyn Fn(&ChangesetSummary) -> bool| {
        all.iter().filter(|one| chosen(one)).map(|one| one.id).collect::<BTreeSet<_>>()
    };
    let some = &all[rng.below(all.len())];
    match rng.below(4) {
        0 => (When::Claimed(some.time_ms), of(&|one| one.time_ms <= some.time_ms)),
        1 => (When::Received(some.received_ms), of(&|one| one.received_ms <= some.received_ms)),
        2 => (When::Now, of(&|_| true)),
        _ => {
            let mut past = BTreeSet::from([some.id]);
            for one in all.iter().rev().filter(|one| one.number <= some.number) {
                if past.contains(&one.id) {
                    past.extend(one.prev.iter().chain(&one.deps));
                }
            }
            (When::Past(some.id), past)
        }
    }
}

/// The rows of an export that belong to these changesets.
fn rows_of(export: &[u8], chosen: &BTreeSet<ChangesetId>) -> Vec<u8> {
    let mut reader = Reader::new(export);
    let head: [u8; 9] = reader.array("head").expect("an export");
    let genesis = reader.bytes("genesis", 1 << 20).expect("an export");
    let count = reader.varint("rows", u64::MAX).expect("an export");
    let rows: Vec<&[u8]> = (0..count).map(|_| reader.bytes("row", 1 << 20).expect("a row")).collect();
    let id = |row: &[u8]| SignedChangeset::decode(row).expect("a row of an export").id();
    let some: Vec<&[u8]> = rows.into_iter().filter(|row| chosen.contains(&id(row))).collect();
    let mut writer = Writer::new();
    writer.raw(&head).bytes(genesis).varint(some.len() as u64);
    for row in some {
        writer.bytes(row);
    }
    writer.into_bytes()
}

fn open(node: &mut Node, filter: &ViewFilter) -> (ViewIx, Vec<ObjectIx>) {
    let objects = numbers(&mut node.replica);
    let view = node.with(|replica, env| replica.view(filter, env)).expect("what it names is here");
    let copy = |object: &ObjectIx| node.replica.object_in(view, *object).expect("the view is open");
    (view, objects.iter().map(copy).collect())
}

/// A replica that has these changesets alone shows the same.
fn check_replay(node: &mut Node, token: &str, rng: &mut Rng) {
    node.with(|replica, env| replica.flush(env));
    let (when, chosen) = moment(&node.replica, rng);
    let (view, copies) = open(node, &ViewFilter { when, ..ViewFilter::default() });
    let mut other = Node::join(rng.next(), token);
    let rows = rows_of(&node.replica.export_space(), &chosen);
    other.with(|replica, env| replica.import_space(&rows, env)).expect("an export");
    other.settle();
    let objects = numbers(&mut other.replica);
    assert_eq!(all_shown(&mut node.replica, &copies), all_shown(&mut other.replica, &objects));
    assert_eq!(node.replica.view_heads(view), Ok(other.replica.heads()));
    assert_eq!(node.replica.view_names(view), Ok(other.replica.names()));
    assert_eq!(node.replica.view_state_hash(view), Ok(other.replica.state_hash()));
    assert_eq!(node.replica.digest_of_view(view), Ok(other.replica.view_digest()));
    for key in KEYS {
        let writes = |replica: &Replica, object: ObjectIx| {
            let mut writes: Vec<_> = replica.map_history(object, key);
            writes.sort_by_key(|write| (write.time_ms, write.changeset));
            format!("{writes:?}")
        };
        assert_eq!(writes(&node.replica, copies[1]), writes(&other.replica, objects[1]));
    }
    assert_eq!(node.replica.text_authors(copies[0]), other.replica.text_authors(objects[0]));
    let refused = node.with(|replica, env| replica.text_insert(copies[0], 0, "x", env));
    assert_eq!(refused, Err(EditFault::ReadOnly));
    node.replica.close_view(view);
    assert!(copies.iter().all(|copy| !node.replica.has_object(*copy)));
    assert_eq!(node.replica.view_heads(view), Err(ViewFault::Closed));
}

/// A moment, without some ops of it and with others.
fn what_if(node: &Node, rng: &mut Rng) -> ViewFilter {
    let (when, _) = moment(&node.replica, rng);
    let all = history(&node.replica);
    let mut some = || -> Vec<Target> {
        let chosen: Vec<&ChangesetSummary> = all.iter().filter(|_| rng.chance(10)).collect();
        let target = |one: &ChangesetSummary| Target {
            changeset: one.id,
            index: (one.ops > 0 && rng.chance(50)).then(|| rng.below(one.ops as usize) as u32),
        };
        chosen.into_iter().map(target).collect()
    };
    let (exclude, include) = (some(), some());
    ViewFilter { when, exclude, include, ..ViewFilter::default() }
}

fn apply(node: &Node, objects: &[ObjectIx], body: &PatchBody, now: &Shown, target: &Shown) -> Shown {
    let name = |slot: &Slot| match slot {
        Slot::Key(name) => match node.replica.key_name(name) {
            Some(key) => vec![key.to_string()],
            None => vec![format!("{:?}", node.replica.value_name(name).expect("a name"))],
        },
        Slot::Group(_) => {
            let groups = &node.replica.options_of(objects[1]).expect("a name").groups;
            groups[0].clone()
        }
    };
    let read_again = |slots: Vec<Slot>| {
        let (Shown::Values(now), Shown::Values(target)) = (now, target) else { panic!("it has keys") };
        let mut now = now.clone();
        for key in slots.iter().flat_map(name) {
            match target.get(&key) {
                Some(value) => drop(now.insert(key, value.clone())),
                None => drop(now.remove(&key)),
            }
        }
        Shown::Values(now)
    };
    match (body, now) {
        (PatchBody::Text { splices, inserted, marks }, Shown::Text(now)) => {
            let (mut now, mut units) = (now.clone(), inserted.encode_utf16());
            let mut marks = marks.iter().peekable();
            for count in 0..=splices.len() {
                while let Some(mark) = marks.next_if(|mark| mark.after as usize == count) {
                    let key = node.replica.mark_name(&mark.key).expect("a name").to_string();
                    for (_, of_unit) in &mut now[mark.pos as usize..(mark.pos + mark.len) as usize] {
                        of_unit.remove(&key);
                        of_unit.extend(mark.value.clone().map(|value| (key.clone(), value)));
                    }
                }
                let Some([at, removed, len]) = splices.get(count) else { continue };
                let (start, end) = (*at as usize, (at + removed) as usize);
                let new = units.by_ref().take(*len as usize).map(|unit| (unit, BTreeMap::new()));
                now.splice(start..end, new.collect::<Vec<_>>());
            }
            assert!(units.next().is_none() && marks.next().is_none());
            Shown::Text(now)
        }
        (PatchBody::List { splices, inserted }, Shown::Elements(now)) => {
            let (mut now, mut elements) = (now.clone(), inserted.iter().cloned());
            for [at, removed, len] in splices {
                let (start, end) = (*at as usize, (at + removed) as usize);
                now.splice(start..end, elements.by_ref().take(*len as usize));
            }
            assert_eq!(elements.next(), None);
            Shown::Elements(now)
        }
        (PatchBody::Counter { added, taken }, Shown::Sum(sum)) => Shown::Sum(sum + added - taken),
        (PatchBody::Slots(slots), _) => read_again(slots.clone()),
        (PatchBody::Items(items), _) => read_again(items.iter().copied().map(Slot::Key).collect()),
        other => panic!("{other:?}"),
    }
}

/// What differs between two views turns the one into the other.
fn check_diff(node: &mut Node, rng: &mut Rng) {
    let (from, to) = (what_if(node, rng), what_if(node, rng));
    let ((from, from_copies), (to, to_copies)) = (open(node, &from), open(node, &to));
    let objects = numbers(&mut node.replica);
    let (mut now, target) =
        (all_shown(&mut node.replica, &from_copies), all_shown(&mut node.replica, &to_copies));
    for patch in node.replica.view_diff(from, to).expect("both are open") {
        // What is below the tree shows in its keys, which are named too.
        let Some(at) = objects.iter().position(|object| *object == patch.object) else { continue };
        now[at] = apply(node, &objects, &patch.body, &now[at], &target[at]);
    }
    assert_eq!(now, target);
    node.replica.close_view(from);
    node.replica.close_view(to);
}

/// What is restored reads as the view, a second time nothing is left to do, and undo brings the present back.
fn check_restore(node: &mut Node, rng: &mut Rng) {
    let filter = what_if(node, rng);
    let (view, copies) = open(node, &filter);
    let objects = numbers(&mut node.replica);
    let before = (node.replica.state_hash(), all_shown(&mut node.replica, &objects));
    let target = without_rivals(all_shown(&mut node.replica, &copies));
    let one = rng.chance(50).then(|| rng.below(objects.len()));
    let key = match one {
        Some(1) if rng.chance(70) => Some(*rng.pick(&KEYS)),
        Some(TREE) if rng.chance(70) => Some(*rng.pick(&["a", "b", "x", "y"])),
        _ => None,
    };
    let restore = |node: &mut Node| {
        let count = node.replica.stats().changesets;
        node.with(|replica, env| replica.begin_transact(None, None, None, env)).expect("small");
        let object = one.map(|at| objects[at]);
        let done = node.with(|replica, env| replica.restore(view, object, key, env));
        node.with(|replica, env| match done {
            Ok(()) => drop(replica.end_transact(env)),
            Err(_) => replica.abort_transact(env),
        });
        node.replica.dbg_check();
        (done, node.replica.stats().changesets > count)
    };
    let (done, wrote) = restore(node);
    let grew = before.1[GROWS] != target[GROWS] && one.is_none_or(|at| at == GROWS);
    let shrinks = grew && format!("{:?}", before.1[GROWS]).len() >= format!("{:?}", target[GROWS]).len();
    match done {
        Err(RestoreFault::Edit(object, EditFault::Amount)) => {
            assert!(object == objects[GROWS] && shrinks && !wrote);
            assert_eq!((node.replica.state_hash(), all_shown(&mut node.replica, &objects)), before);
        }
        other => {
            assert_eq!(other, Ok(()));
            let now = without_rivals(all_shown(&mut node.replica, &objects));
            let was = without_rivals(before.1.clone());
            for at in 0..objects.len() {
                let is_restored = one.is_none_or(|one| one == at);
                match (key, &now[at], &target[at], &was[at]) {
                    (Some(key), Shown::Values(now), Shown::Values(target), Shown::Values(was))
                        if is_restored =>
                    {
                        assert_eq!(now.get(key), target.get(key));
                        let rest =
                            |values: &BTreeMap<_, _>| values.iter().filter(|(at, _)| *at != key).count();
                        assert_eq!(rest(now), rest(was));
                    }
                    (_, now, target, _) if is_restored => assert_eq!(now, target),
                    (_, now, _, was) => assert_eq!(now, was),
                }
            }
            assert_eq!(restore(node), (Ok(()), false), "nothing is left to do");
            if wrote {
                assert!(node.with(|replica, env| replica.undo(&[], env)));
            }
            assert_eq!((node.replica.state_hash(), all_shown(&mut node.replica, &objects)), before);
        }
    }
    node.replica.close_view(view);
}

fn round(seed: u64, steps: usize) {
    let mut rng = Rng::new(seed);
    let mut owner = Node::create(seed);
    let token = owner.invite(Role::Writer);
    let mut nodes = vec![owner, Node::join(seed + 1, &token), Node::join(seed + 2, &token)];
    for node in &mut nodes {
        let first = numbers(&mut node.replica)[0];
        node.with(|replica, env| replica.text_insert(first, 0, "begin", env)).expect("a writer");
    }
    for _ in 0..steps {
        let at = rng.below(nodes.len());
        let node = &mut nodes[at];
        node.now_ms += rng.below(400) as u64;
        match rng.below(20) {
            0..8 => (0..1 + rng.below(4)).for_each(|_| edit(node, &mut rng)),
            8..10 => drop(node.with(|replica, env| replica.flush(env))),
            10 => drop(node.with(|replica, env| replica.undo(&[], env))),
            11 => drop(node.with(|replica, env| replica.redo(&[], env))),
            12..15 => {
                let other = (at + 1 + rng.below(nodes.len() - 1)) % nodes.len();
                let [a, b] = nodes.get_disjoint_mut([at, other]).expect("two different ones");
                sync(a, b);
            }
            _ => {
                node.with(|replica, env| replica.flush(env));
                match rng.below(3) {
                    0 => check_replay(node, &token, &mut rng),
                    1 => check_diff(node, &mut rng),
                    _ => check_restore(node, &mut rng),
                }
            }
        }
    }
    for node in &mut nodes {
        node.with(|replica, env| replica.flush(env));
        let (view, _) = open(node, &ViewFilter::default());
        assert_eq!(node.replica.view_state_hash(view), Ok(node.replica.state_hash()));
        assert_eq!(node.replica.digest_of_view(view), Ok(node.replica.view_digest()));
        assert_eq!(node.replica.view_names(view), Ok(node.replica.names()));
    }
}

#[test]
fn short_histories() {
    fuzz(150, |seed| round(seed, 60));
}

#[test]
fn long_histories() {
    fuzz(4, |seed| round(seed.wrapping_add(1 << 32), 300));
}
