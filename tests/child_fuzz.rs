//! Random lives of objects under keys: replicas make, edit, replace and delete children of all kinds in one another, in fields
//! too, take that back, restart, and hear of each other in any order. After each step all that anybody can read is
//! compared with the naive model of `reference/objects.rs`, and what an application keeps that only listens with what is there.

mod common;
#[path = "common/plain.rs"]
mod plain;
#[path = "reference/objects.rs"]
mod reference;
#[path = "reference/rng.rs"]
mod rng;

use common::{Node, assert_same};
use plain::{plain, shown};
use reference::{Changeset, Model, Op, OpId, View};
use rng::{Rng, fuzz};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use stemma::causal::{ChangesetId, Hlc, NameId};
use stemma::crdt::{List, Slot};
use stemma::doc::{ObjectIx, PatchBody};
use stemma::event::{ObjectKind, Options, Role, Value};
use stemma::replica::{HistoryFilter, Shown};

const KEYS: [&str; 2] = ["a", "b"];
const FIELDS: [(&str, ObjectKind); 3] =
    [("map", ObjectKind::Map), ("sum", ObjectKind::Counter), ("text", ObjectKind::Text)];
const KINDS: [ObjectKind; 6] = [
    ObjectKind::Map,
    ObjectKind::Map,
    ObjectKind::Text,
    ObjectKind::Counter,
    ObjectKind::Set,
    ObjectKind::List,
];
const ITEMS: [&str; 2] = ["x", "y"];
/// Objects in one another.
const LEVELS: usize = 4;

fn root_options() -> Options {
    let fields = FIELDS.iter().map(|(key, kind)| ((*key).to_owned(), *kind)).collect();
    Options { fields, ..Options::default() }
}

/// An object of the world: a key of an earlier one, or the map that everything is in.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Of {
    map: usize,
    key: &'static str,
    kind: ObjectKind,
}

#[derive(Default)]
struct World {
    model: Model,
    ids: HashMap<ChangesetId, usize>,
    /// The first is the root.
    objects: Vec<Option<Of>>,
    letters: u32,
}

struct Life {
    node: Option<Node>,
    done: Vec<usize>,
    undone: Vec<(usize, usize)>,
    /// What an application shows that reads a key again when it hears of it.
    kept: BTreeMap<(ObjectIx, &'static str), Option<Value>>,
}

fn key_place(key: &str) -> u32 {
    KEYS.iter().position(|one| *one == key).expect("one of the keys") as u32
}

impl World {
    fn kind(&self, object: usize) -> ObjectKind {
        self.objects[object].map_or(ObjectKind::Map, |of| of.kind)
    }

    fn level(&self, object: usize) -> usize {
        self.objects[object].map_or(0, |of| 1 + self.level(of.map))
    }

    fn child(&mut self, of: Of) -> usize {
        let known = self.objects.iter().position(|object| *object == Some(of));
        known.unwrap_or_else(|| {
            self.objects.push(Some(of));
            self.objects.len() - 1
        })
    }

    fn is_field(&self, of: Of) -> bool {
        of.map == 0 && FIELDS.contains(&(of.key, of.kind))
    }

    /// The writes that nothing else counting knew, of each place.
    fn maximal(&self, view: &View) -> BTreeMap<reference::Place, Vec<&Op>> {
        let winners = self.model.winners(&self.model.counting(view));
        let ops = |ids: Vec<OpId>| ids.into_iter().map(|id| self.model.op(id)).collect();
        winners.into_iter().map(|(place, ids)| (place, ops(ids))).collect()
    }

    /// What deleting the content of an object comes to, with all below it.
    fn clear(&mut self, object: usize, view: &View, ops: &mut Vec<Op>) {
        let written: Vec<(u32, Vec<String>)> = self
            .maximal(view)
            .into_iter()
            .filter(|((of, _), writes)| *of == object && writes.iter().any(|op| matches!(op, Op::Put(..))))
            .map(|((_, place), writes)| (place, writes.into_iter().filter_map(put).collect()))
            .collect();
        let sums = self.model.sums(&self.model.counting(view));
        ops.extend(sums.keys().filter(|(of, _)| *of == object).map(|place| Op::Reset(*place)));
        for (place, writes) in written {
            if self.kind(object) == ObjectKind::Map {
                self.clear_written(object, KEYS[place as usize], &writes, view, ops);
            }
            ops.push(Op::Take((object, place)));
        }
    }

    /// The same for the children that the writes of a key name.
    fn clear_written(
        &mut self,
        map: usize,
        key: &'static str,
        writes: &[String],
        view: &View,
        ops: &mut Vec<Op>,
    ) {
        let kinds: BTreeSet<ObjectKind> =
            KINDS.into_iter().filter(|kind| writes.contains(&child_text(*kind))).collect();
        for kind in kinds {
            let child = self.child(Of { map, key, kind });
            self.clear(child, view, ops);
        }
    }
}

fn put(op: &Op) -> Option<String> {
    if let Op::Put(_, what) = op { Some(what.clone()) } else { None }
}

/// The elements of a list, which are numbers here.
fn numbers(list: &List) -> Vec<u32> {
    let number = |value: &Value| match value {
        Value::Number(number) => number.get() as u32,
        other => panic!("nobody inserts {other:?}"),
    };
    list.iter().map(number).collect()
}

fn child_text(kind: ObjectKind) -> String {
    format!("a child: {kind:?}")
}

impl Life {
    fn new(node: Node) -> Self {
        Self { node: Some(node), done: Vec::new(), undone: Vec::new(), kept: BTreeMap::new() }
    }

    fn node(&mut self) -> &mut Node {
        self.node.as_mut().expect("a life always has a node")
    }

    fn handle(&mut self, world: &World, object: usize) -> ObjectIx {
        let Some(of) = world.objects[object] else {
            let root = self.node().replica.object_with("root", ObjectKind::Map, &root_options());
            return root.expect("a map");
        };
        let map = self.handle(world, of.map);
        let child = self.node().replica.map_child(map, of.key, of.kind, &Options::default());
        child.expect("a kind that is folded")
    }

    fn view(&mut self, world: &World) -> View {
        let all = HistoryFilter { limit: usize::MAX, ..HistoryFilter::default() };
        let known = self.node().replica.history(&all).iter().map(|one| world.ids[&one.id]).collect();
        View { known, ..View::default() }
    }

    /// Makes the keys above an object show it, as the model has it.
    fn show(&mut self, world: &mut World, object: usize, view: &View, ops: &mut Vec<Op>) {
        let mut at = object;
        while let Some(of) = world.objects[at] {
            let map = self.handle(world, of.map);
            let shows = match self.node().replica.map_shown(map, of.key) {
                Some(Shown::Child(child)) => Some(child),
                _ => None,
            };
            let shows = shows.is_some_and(|child| self.node().replica.kind_of(child) == of.kind);
            if !world.is_field(of) && !shows {
                let place = (of.map, key_place(of.key));
                let writes: Vec<String> =
                    world.maximal(view).remove(&place).into_iter().flatten().filter_map(put).collect();
                let others: Vec<String> =
                    writes.into_iter().filter(|text| *text != child_text(of.kind)).collect();
                world.clear_written(of.map, of.key, &others, view, ops);
                ops.push(Op::Put(place, child_text(of.kind)));
            }
            at = of.map;
        }
    }

    /// One edit, and what the model says it is. The keys above are looked at before the edit is made.
    fn edit(&mut self, world: &mut World, view: &View, rng: &mut Rng) -> Vec<Op> {
        let object = self.pick(world, rng);
        let ix = self.handle(world, object);
        let (number, takes) = (rng.below(1_000_000) as i32, rng.chance(35));
        let at = rng.below(2);
        let (mut ops, mut shown_ops) = (Vec::new(), Vec::new());
        self.show(world, object, view, &mut shown_ops);
        let item = Value::from(ITEMS[at]);
        match world.kind(object) {
            ObjectKind::Map => {
                let (key, place) = (KEYS[at], (object, at as u32));
                let writes: Vec<String> =
                    world.maximal(view).remove(&place).into_iter().flatten().filter_map(put).collect();
                let there = self.node().replica.map_has(ix, key);
                if !takes || there {
                    world.clear_written(object, key, &writes, view, &mut ops);
                }
                if takes {
                    let deleted = self.node().with(|replica, env| replica.map_delete(ix, key, env));
                    assert_eq!(deleted, Ok(there));
                    ops.extend(there.then_some(Op::Take(place)));
                } else {
                    let set = self.node().with(|replica, env| replica.map_set(ix, key, number.into(), env));
                    set.expect("a writer");
                    ops.push(Op::Put(place, format!("{:?}", Value::from(number))));
                }
            }
            ObjectKind::Text => {
                let now = self.node().replica.text(ix).expect("a text").to_string();
                let len = now.chars().count();
                if takes && len > 0 {
                    let at = rng.below(len);
                    let letter = now.chars().nth(at).expect("in range");
                    let deleted = self.node().with(|replica, env| replica.text_delete(ix, at as u32, 1, env));
                    deleted.expect("in range");
                    ops.push(Op::Take((object, letter as u32)));
                } else {
                    world.letters += 1;
                    let letter = char::from_u32(0x4e00 + world.letters).expect("a letter");
                    let at = rng.below(len + 1) as u32;
                    let string = letter.to_string();
                    let inserted = self.node().with(|replica, env| replica.text_insert(ix, at, &string, env));
                    inserted.expect("in range");
                    ops.push(Op::Put((object, letter as u32), string));
                }
            }
            ObjectKind::Counter => {
                let amount = 1 + i64::from(number % 20) - if takes { 21 } else { 0 };
                self.node().with(|replica, env| replica.counter_add(ix, amount, env)).expect("a writer");
                ops.push(Op::Add((object, 0), amount));
            }
            ObjectKind::List => {
                let now = numbers(self.node().replica.list(ix).expect("a list"));
                if takes && !now.is_empty() {
                    let at = rng.below(now.len());
                    let deleted = self.node().with(|replica, env| replica.list_delete(ix, at as u32, 1, env));
                    deleted.expect("in range");
                    ops.push(Op::Take((object, now[at])));
                } else {
                    world.letters += 1;
                    let (at, value) = (rng.below(now.len() + 1) as u32, Value::from(world.letters as i32));
                    let inserted =
                        self.node().with(|replica, env| replica.list_insert(ix, at, vec![value], env));
                    inserted.expect("in range");
                    ops.push(Op::Put((object, world.letters), String::new()));
                }
            }
            _ if takes => {
                let there = self.node().with(|replica, env| replica.set_delete(ix, &item, env));
                if there.expect("a writer") {
                    ops.push(Op::Take((object, at as u32)));
                }
            }
            _ => {
                self.node().with(|replica, env| replica.set_add(ix, &item, None, env)).expect("a writer");
                ops.push(Op::Put((object, at as u32), String::new()));
            }
        }
        if !ops.is_empty() {
            ops.append(&mut shown_ops);
        }
        ops
    }

    /// Clears a field.
    fn delete_field(&mut self, world: &mut World, view: &View, rng: &mut Rng) -> Vec<Op> {
        let (key, kind) = *rng.pick(&FIELDS);
        let (root, field) = (self.handle(world, 0), world.child(Of { map: 0, key, kind }));
        let mut ops = Vec::new();
        world.clear(field, view, &mut ops);
        let deleted = self.node().with(|replica, env| replica.map_delete(root, key, env));
        assert_eq!(deleted, Ok(!ops.is_empty()));
        ops
    }

    /// An object: one that is there, or a new child of one.
    fn pick(&mut self, world: &mut World, rng: &mut Rng) -> usize {
        let object = rng.below(world.objects.len());
        if world.kind(object) != ObjectKind::Map || world.level(object) == LEVELS || rng.chance(50) {
            return object;
        }
        if object == 0 && rng.chance(40) {
            let (key, kind) = *rng.pick(&FIELDS);
            return world.child(Of { map: 0, key, kind });
        }
        world.child(Of { map: object, key: KEYS[rng.below(2)], kind: *rng.pick(&KINDS) })
    }

    /// A transaction of a few edits.
    fn transact(&mut self, world: &mut World, rng: &mut Rng) {
        let node = self.node();
        node.now_ms += rng.below(3) as u64;
        node.with(|replica, env| replica.begin_transact(None, None, None, env)).expect("nothing large");
        let (mut view, number) = (self.view(world), world.model.changesets.len());
        self.begin(world, &view);
        view.known.insert(number);
        for _ in 0..1 + rng.below(4) {
            let ops = match rng.chance(8) {
                true => self.delete_field(world, &view, rng),
                false => self.edit(world, &view, rng),
            };
            world.model.changesets[number].ops.extend(ops);
        }
        if rng.chance(15) {
            world.model.changesets.pop();
            return self.node().with(|replica, env| replica.abort_transact(env));
        }
        let id = self.node().with(|replica, env| replica.end_transact(env));
        assert_eq!(
            id.is_some(),
            !world.model.changesets[number].ops.is_empty(),
            "what is written is written"
        );
        match id {
            None => drop(world.model.changesets.pop()),
            Some(id) => {
                world.ids.insert(id, number);
                self.done.push(number);
                self.undone.clear();
            }
        }
    }

    fn begin(&mut self, world: &mut World, view: &View) {
        let (stamp, id) = (Hlc::default(), [0; 32]);
        world.model.changesets.push(Changeset { past: view.known.clone(), stamp, id, ops: Vec::new() });
    }

    fn undo(&mut self, world: &mut World, redo: bool) {
        let view = self.view(world);
        let number = world.model.changesets.len();
        let target = match redo {
            false => self.done.pop(),
            true => self.undone.pop().map(|(done, revoke)| {
                self.done.push(done);
                revoke
            }),
        };
        let worked = self.node().with(|replica, env| match redo {
            false => replica.undo(&[], env),
            true => replica.redo(&[], env),
        });
        assert_eq!(worked, target.is_some());
        let Some(target) = target else { return };
        if !redo {
            self.undone.push((target, number));
        }
        self.begin(world, &view);
        let ops = world.model.changesets[target].ops.len();
        world.model.changesets[number].ops = vec![Op::Revoke((0..ops).map(|op| (target, op)).collect())];
        let id = self.node().replica.last_write().expect("it was written");
        world.ids.insert(id, number);
    }

    fn hear(&mut self, export: &[u8]) {
        let node = self.node();
        node.with(|replica, env| replica.import_space(export, env)).expect("an export");
        node.settle();
    }

    /// Everything that can be read against the model, and what was kept against what is there.
    fn check(&mut self, world: &World) {
        let view = self.view(world);
        let maximal = world.maximal(&view);
        let sums = world.model.sums(&world.model.counting(&view));
        self.node().replica.dbg_check();
        for object in 0..world.objects.len() {
            let ix = self.handle(world, object);
            let replica = &mut self.node().replica;
            let there = |place: u32| {
                let writes = maximal.get(&(object, place)).map_or(&[][..], Vec::as_slice);
                writes.iter().any(|op| matches!(op, Op::Put(..)))
            };
            match world.kind(object) {
                ObjectKind::Counter => {
                    let (added, taken) = sums.get(&(object, 0)).copied().unwrap_or_default();
                    assert_eq!(replica.counter_value(ix), added - taken);
                }
                ObjectKind::Text => {
                    let letters: BTreeSet<u32> =
                        replica.text(ix).expect("a text").to_string().chars().map(u32::from).collect();
                    let places = maximal.keys().filter(|(of, _)| *of == object).map(|(_, place)| *place);
                    assert_eq!(letters, places.filter(|place| there(*place)).collect());
                }
                ObjectKind::List => {
                    let elements: BTreeSet<u32> =
                        numbers(replica.list(ix).expect("a list")).into_iter().collect();
                    let places = maximal.keys().filter(|(of, _)| *of == object).map(|(_, place)| *place);
                    assert_eq!(elements, places.filter(|place| there(*place)).collect());
                }
                ObjectKind::Map => check_keys(replica, world, (object, ix), &maximal),
                _ => {
                    for (at, item) in ITEMS.iter().enumerate() {
                        assert_eq!(replica.set_has(ix, &Value::from(*item)), there(at as u32));
                    }
                }
            }
        }
        self.listen(world);
    }

    fn listen(&mut self, world: &World) {
        let (root, names) = (self.handle(world, 0), KEYS.iter().chain(FIELDS.iter().map(|(key, _)| key)));
        let field = self.node().replica.map_child(root, "map", ObjectKind::Map, &Options::default());
        let field = field.expect("a map");
        let keyed: Vec<(ObjectIx, &'static str)> =
            names.map(|key| (root, *key)).chain(KEYS.map(|key| (field, key))).collect();
        let mut stale: BTreeSet<(ObjectIx, NameId)> = BTreeSet::new();
        for change in std::mem::take(&mut self.node().changes) {
            if let PatchBody::Slots(slots) = change.body {
                stale.extend(slots.into_iter().filter_map(|slot| match slot {
                    Slot::Key(name) => Some((change.object, name)),
                    Slot::Group(_) => None,
                }));
            }
        }
        let stale: BTreeSet<(ObjectIx, String)> = stale
            .into_iter()
            .filter_map(|(map, name)| Some((map, self.node().replica.key_name(&name)?.to_string())))
            .collect();
        for (map, key) in keyed {
            let now = shown(&mut self.node().replica, map, key);
            if stale.contains(&(map, key.to_owned())) {
                self.kept.insert((map, key), now);
            } else {
                assert_eq!(*self.kept.entry((map, key)).or_insert_with(|| now.clone()), now, "{key}");
            }
        }
    }

    fn reopen(&mut self) {
        let node = self.node.take().expect("a life always has a node");
        self.node = Some(node.reopen());
        self.kept.clear();
    }
}

/// The keys of a map: of the maximal writes one shows, and all are there to be seen.
fn check_keys(
    replica: &mut stemma::replica::Replica,
    world: &World,
    (object, ix): (usize, ObjectIx),
    maximal: &BTreeMap<reference::Place, Vec<&Op>>,
) {
    for (at, key) in KEYS.iter().enumerate() {
        let writes = maximal.get(&(object, at as u32)).map_or(&[][..], Vec::as_slice);
        let mut puts: Vec<String> = writes.iter().filter_map(|op| put(op)).collect();
        let text = |shown: Shown<'_>| match shown {
            Shown::Value(value) => Ok(format!("{value:?}")),
            Shown::Child(child) => Err(child),
        };
        let mut seen: Vec<Result<String, ObjectIx>> =
            replica.map_shown(ix, key).map(text).into_iter().collect();
        assert!(!seen.is_empty() || puts.len() < writes.len() || writes.is_empty(), "a deletion won");
        seen.extend(replica.map_rivals(ix, key).into_iter().map(text));
        let mut seen: Vec<String> = seen
            .into_iter()
            .map(|one| {
                one.unwrap_or_else(|child| {
                    let kind = replica.kind_of(child);
                    let of = Some(Of { map: object, key, kind });
                    assert!(world.objects.contains(&of), "a child that somebody made");
                    assert_eq!(replica.map_child(ix, key, kind, &Options::default()), Ok(child));
                    child_text(kind)
                })
            })
            .collect();
        if seen.len() > puts.len() {
            let winner = seen.remove(0);
            assert_eq!(seen.first(), Some(&winner), "what shows comes first");
        }
        seen.sort();
        puts.sort();
        assert_eq!(seen, puts);
    }
}

fn round(seed: u64, steps: usize) {
    let mut rng = Rng::new(seed);
    let mut world = World { objects: vec![None], ..World::default() };
    let mut owner = Node::create(seed);
    let tokens: Vec<String> = (0..1 + rng.below(3)).map(|_| owner.invite(Role::Writer)).collect();
    let mut lives = vec![Life::new(owner)];
    lives.extend(tokens.iter().zip(1..).map(|(token, n)| Life::new(Node::join(seed + n * 1_000_003, token))));
    for _ in 0..steps {
        let at = rng.below(lives.len());
        match rng.below(100) {
            0..60 => lives[at].transact(&mut world, &mut rng),
            60..72 => lives[at].undo(&mut world, false),
            72..78 => lives[at].undo(&mut world, true),
            78..82 => lives[at].reopen(),
            _ => {
                let other = rng.below(lives.len());
                let export = lives[other].node().replica.export_space();
                lives[at].hear(&export);
            }
        }
        lives[at].check(&world);
    }
    let exports: Vec<Vec<u8>> = lives.iter_mut().map(|life| life.node().replica.export_space()).collect();
    let mut seen = Vec::new();
    for life in &mut lives {
        exports.iter().for_each(|export| life.hear(export));
        life.check(&world);
        let root = life.handle(&world, 0);
        seen.push(plain(&mut life.node().replica, root));
    }
    for at in 1..lives.len() {
        assert_same(lives[0].node.as_ref().expect("a node"), lives[at].node.as_ref().expect("a node"));
        assert_eq!(seen[0], seen[at]);
    }
}

#[test]
fn short_lives() {
    fuzz(150, |seed| round(seed, 40));
}

#[test]
fn long_lives() {
    fuzz(5, |seed| round(seed + 1_000_000, 200));
}
