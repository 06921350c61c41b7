//! Members say at random what happened to some objects, take it back, exclude it and ban each other, with clocks that are
//! days apart, while they sync, close and open again. At every moment every object has the events that the naive model says,
//! in its order, whoever follows it by what changed has the same, and so has a view.

mod common;
#[path = "reference/events.rs"]
mod events;
#[path = "reference/policy.rs"]
mod policy;
#[path = "reference/rng.rs"]
mod rng;

use common::{Node, assert_same, sync};
use events::{Model, Op, OpId, World};
use rng::{Rng, fuzz};
use std::collections::BTreeMap;
use stemma::causal::ChangesetId;
use stemma::crdt::Event;
use stemma::event::{BanScope, BanSubject, Op as Word, Role, Target, Value, Verdict};
use stemma::replica::{ChangesetSummary, HistoryFilter, ViewFilter, ViewIx, When};

const TYPES: [&str; 3] = ["Photo", "Album", "Name"];
const IDS: [&str; 5] = ["a", "b", "c", "d", "never made"];

/// Somebody who reads objects by what changed in them, as the edge for JavaScript does.
#[derive(Default)]
struct Follower {
    refolds: u64,
    seen: BTreeMap<u32, Vec<Event>>,
}

impl Follower {
    fn follow(&mut self, node: &mut Node) {
        let (refolds, _, changed) = node.replica.event_changes();
        if refolds != self.refolds {
            *self = Self { refolds, ..Self::default() };
        }
        for (subject, stable) in changed {
            self.seen.entry(subject).or_default().truncate(stable as usize);
        }
    }

    fn read(&mut self, node: &mut Node, subject: u32) -> Vec<Event> {
        let seen = self.seen.entry(subject).or_default();
        seen.extend(node.replica.take_events(subject, seen.len() as u32));
        seen.clone()
    }
}

struct Person {
    node: Node,
    follower: Follower,
    /// The changeset that was said last in its tab, and what took it back.
    last: Option<(ChangesetId, u32, Option<ChangesetId>)>,
}

fn history(node: &Node) -> Vec<ChangesetSummary> {
    node.replica.history(&HistoryFilter { limit: usize::MAX, ..HistoryFilter::default() })
}

fn ids_of(node: &Node, events: &[Event]) -> Vec<OpId> {
    let id = |event: &Event| {
        let entry = node.replica.event_entry(*event).expect("what shows has a value");
        (entry.changeset.expect("everything is sealed"), entry.index)
    };
    events.iter().map(id).collect()
}

fn is_hidden(node: &Node, history: &[ChangesetSummary]) -> impl Fn(OpId) -> bool + use<> {
    let words = node.replica.entries();
    let model = policy::Model::new(node.replica.member(), history, &words);
    let hidden: std::collections::BTreeSet<OpId> = history
        .iter()
        .flat_map(|one| (0..one.ops).map(|index| (one.id, index)))
        .filter(|(id, index)| model.is_hidden(*id, *index))
        .collect();
    move |op| hidden.contains(&op)
}

/// Says some things in one transaction; now and then it is given up after it was read.
fn say(person: &mut Person, world: &mut World, rng: &mut Rng) {
    let Person { node, follower, last } = person;
    let command = rng.chance(40).then(|| (*rng.pick(&["one", "two"])).to_owned());
    node.with(|replica, env| replica.begin_transact(None, None, command.clone(), env)).expect("it is short");
    let mut said = Vec::new();
    for _ in 0..1 + rng.below(3) {
        let (of_type, data) = (*rng.pick(&TYPES), Value::from("data"));
        if rng.chance(30) {
            let id = IDS[rng.below(4)];
            node.with(|replica, env| replica.event_create(of_type, id, data, env)).expect("a writer");
            said.push(Op::Event { creates: true, of_type: of_type.into(), concerns: vec![id.into()] });
        } else {
            let concerns: Vec<&str> = (0..1 + rng.below(3)).map(|_| *rng.pick(&IDS)).collect();
            node.with(|replica, env| replica.event_emit(of_type, &concerns, data, env)).expect("a writer");
            let concerns = concerns.into_iter().map(String::from).collect();
            said.push(Op::Event { creates: false, of_type: of_type.into(), concerns });
        }
        if rng.chance(30) {
            follower.follow(node);
            for id in IDS {
                if let Some(subject) = node.replica.event_subject(id) {
                    let open = follower.read(node, subject);
                    assert_eq!(Ok(open), node.replica.events_of(subject, None), "also in a transaction");
                }
            }
        }
    }
    if rng.chance(15) {
        node.with(|replica, env| replica.abort_transact(env));
        return;
    }
    let id = node.with(|replica, env| replica.end_transact(env)).expect("something was said");
    *last = Some((id, said.len() as u32, None));
    let member = node.replica.member();
    world.commands.extend(command.map(|command| (id, (member, command))));
    world.ops.extend((0..).zip(said).map(|(index, op)| ((id, index), op)));
}

/// Takes back what was said last, or brings it back, if that counts.
fn undo(person: &mut Person, world: &mut World) {
    let history = history(&person.node);
    let hidden = is_hidden(&person.node, &history);
    let Some((id, ops, revoke)) = person.last else { return };
    let counts = |model: &Model<'_>| (0..ops).any(|index| model.counts((id, index)));
    let node = &mut person.node;
    let (done, targets) = match revoke {
        None if counts(&Model::new(world, &history, |_| true, &hidden)) => {
            (node.with(|replica, env| replica.undo(&[], env)), (0..ops).map(|index| (id, index)).collect())
        }
        Some(revoke) if Model::new(world, &history, |_| true, &hidden).counts((revoke, 0)) => {
            (node.with(|replica, env| replica.redo(&[], env)), vec![(revoke, 0)])
        }
        _ => return,
    };
    assert!(done, "there is something to take back");
    let by = node.replica.last_write().expect("it was signed");
    world.ops.insert((by, 0), Op::Revoke(targets));
    person.last = revoke.is_none().then_some((id, ops, Some(by)));
}

fn judge(person: &mut Person, world: &mut World, rng: &mut Rng) {
    let node = &mut person.node;
    let all = history(node);
    if all.is_empty() {
        return;
    }
    let one = rng.pick(&all);
    let target = match one.ops > 0 && rng.chance(50) {
        true => Target::Op(one.id, rng.below(one.ops as usize) as u32),
        false => Target::Changeset(one.id),
    };
    let verdict = *rng.pick(&[Verdict::Exclude, Verdict::Include, Verdict::None]);
    let is_me = one.member == node.replica.member();
    let word = match rng.below(3) {
        0 if !is_me => {
            let scope = *rng.pick(&[BanScope::All, BanScope::FromHere, BanScope::Lifted, BanScope::Lifted]);
            Word::PolicyBan { subject: BanSubject::Member(one.member), scope }
        }
        _ => Word::PolicyExclude { verdict, targets: vec![target] },
    };
    let publish = rng.chance(50);
    let said = node.with(|replica, env| replica.say(vec![word], None, publish, env)).expect("not of oneself");
    if !publish {
        world.private.extend(said);
    }
}

fn check(person: &mut Person, world: &World, rng: &mut Rng) {
    let node = &mut person.node;
    node.with(|replica, env| replica.flush(env));
    node.replica.dbg_check();
    let history = history(node);
    let model = Model::new(world, &history, |_| true, is_hidden(node, &history));
    for one in &history {
        assert_eq!(one.repeats, model.repeats(one.id), "a retry is told from what it repeats");
    }
    person.follower.follow(node);
    for id in IDS {
        let expected = model.events(id);
        let Some(subject) = node.replica.event_subject(id) else {
            assert!(expected.is_empty());
            continue;
        };
        let events = node.replica.events_of(subject, None).expect("now is always");
        assert_eq!(ids_of(node, &events), expected, "events of {id}");
        let maker = node.replica.event_maker(subject, None).expect("now is always");
        assert_eq!(
            ids_of(node, &maker.into_iter().collect::<Vec<_>>()).first(),
            model.maker(id).map(|one| one.0).as_ref()
        );
        if rng.chance(70) {
            assert_eq!(person.follower.read(node, subject), events, "by what changed of {id}");
        }
    }
    of_types(node, &model, None);
    if !history.is_empty() && rng.chance(30) {
        check_view(node, world, &history, rng);
    }
}

fn of_types(node: &Node, model: &Model<'_>, view: Option<ViewIx>) {
    for of_type in TYPES {
        let objects = node.replica.event_objects(of_type, view).expect("it is open");
        let name = |subject: u32| node.replica.event_subject_name(subject).expect("a name").to_string();
        let names: Vec<String> = objects.into_iter().map(name).collect();
        assert_eq!(names, model.of_type(of_type), "objects of {of_type}");
    }
}

fn check_view(node: &mut Node, world: &World, history: &[ChangesetSummary], rng: &mut Rng) {
    let at = rng.pick(history).time_ms;
    let filter = ViewFilter { when: When::Claimed(at), ..ViewFilter::default() };
    let view = node.with(|replica, env| replica.view(&filter, env)).expect("a time");
    // What only others read claims no time here.
    let model = Model::new(world, history, |one| one.time_ms <= at, is_hidden(node, history));
    for id in IDS {
        if let Some(subject) = node.replica.event_subject(id) {
            let events = node.replica.events_of(subject, Some(view)).expect("it is open");
            assert_eq!(ids_of(node, &events), model.events(id), "events of {id} at {at}");
        }
    }
    of_types(node, &model, Some(view));
    node.replica.close_view(view);
    let now = node.with(|replica, env| replica.view(&ViewFilter::default(), env)).expect("now");
    assert_eq!(node.replica.view_state_hash(now), Ok(node.replica.state_hash()));
    node.replica.close_view(now);
}

/// Whoever hears of everything in another order has the same events.
fn again(node: &mut Node, seed: u64) {
    let twin = node.twin(seed);
    assert_same(&twin, node);
    for id in IDS {
        let events = |node: &Node| {
            let subject = node.replica.event_subject(id)?;
            Some(ids_of(node, &node.replica.events_of(subject, None).expect("now is always")))
        };
        assert_eq!(events(&twin), events(node));
    }
}

#[test]
fn objects_have_the_events_that_the_model_says() {
    fuzz(30, |seed| {
        let mut rng = Rng::new(seed);
        let mut world = World::default();
        let mut first = Node::create(seed * 10);
        let token = first.invite(Role::Writer);
        let mut nodes = vec![first];
        nodes.extend((1..3).map(|n| Node::join(seed * 10 + n, &token)));
        // One clock is three days ahead: stamps follow it for one day at most.
        if rng.chance(50) {
            nodes[1].now_ms += 3 * 86_400_000;
        }
        // Another device of the first member, which tries again what that one did.
        let mut device = Node::create(seed * 10 + 9);
        device.disk = nodes[0].disk.clone();
        let actor = nodes[0].replica.actor().expect("it signs").to_string();
        device.disk.keyed.retain(|(_, name), _| !name.ends_with(&actor));
        nodes.push(device.reopen_keeping_actor(false));
        let person = |node| Person { node, follower: Follower::default(), last: None };
        let mut people: Vec<Person> = nodes.into_iter().map(person).collect();
        for _ in 0..50 {
            let at = rng.below(people.len());
            people.iter_mut().for_each(|person| person.node.now_ms += rng.below(3) as u64);
            match rng.below(100) {
                0..50 => say(&mut people[at], &mut world, &mut rng),
                50..60 => undo(&mut people[at], &mut world),
                60..70 => judge(&mut people[at], &mut world, &mut rng),
                70..90 => {
                    let other = (at + 1 + rng.below(3)) % 4;
                    let [a, b] = people.get_disjoint_mut([at, other]).expect("two");
                    sync(&mut a.node, &mut b.node);
                }
                _ => {
                    let mut person = people.remove(at);
                    person.node.with(|replica, env| replica.flush(env));
                    if rng.chance(60) {
                        person.node.snapshot();
                    }
                    let actor = person.node.replica.actor();
                    person.node = person.node.reopen_keeping_actor(rng.chance(70));
                    person.follower = Follower::default();
                    person.last = person.last.filter(|_| person.node.replica.actor() == actor);
                    people.insert(at, person);
                }
            }
            check(&mut people[at], &world, &mut rng);
        }
        for _ in 0..2 {
            for (a, b) in [(0, 1), (1, 2), (2, 3), (0, 2), (0, 3)] {
                let [a, b] = people.get_disjoint_mut([a, b]).expect("two");
                sync(&mut a.node, &mut b.node);
            }
        }
        for person in &mut people {
            check(person, &world, &mut rng);
            again(&mut person.node, seed * 10 + 5);
        }
    });
}

#[test]
fn a_value_that_comes_later_brings_its_event() {
    let mut owner = Node::create(1);
    let token = owner.invite(Role::Writer);
    let mut other = Node::join(2, &token);
    owner.with(|replica, env| {
        replica.event_create("Photo", "1", Value::Null, env).expect("a writer");
        replica.flush(env);
        replica.event_emit("Name", &["1"], Value::from("hut"), env).expect("a writer");
        replica.flush(env);
    });
    let full = owner.replica.export_space();
    let bare = without_contents(&full);
    other.with(|replica, env| replica.import_space(&bare, env)).expect("an export");
    let subject = other.replica.event_subject("1");
    let subject = subject.expect("its making has a skeleton");
    assert_eq!(
        other.replica.event_maker(subject, None),
        Ok(None),
        "nothing is given to a reducer without its value"
    );
    assert_ne!(other.replica.view_digest(), owner.replica.view_digest());
    let mut follower = Follower::default();
    follower.follow(&mut other);
    other.with(|replica, env| replica.import_space(&full, env)).expect("an export");
    follower.follow(&mut other);
    let events = follower.read(&mut other, subject);
    assert_eq!(events.len(), 2);
    let data: Vec<&Value> =
        events.iter().map(|event| other.replica.event_entry(*event).expect("it is here").data).collect();
    assert_eq!(data, [&Value::Null, &Value::from("hut")]);
    assert_eq!(other.replica.state_hash(), owner.replica.state_hash());
    other.replica.dbg_check();
}

/// An export without any content.
fn without_contents(export: &[u8]) -> Vec<u8> {
    use stemma::codec::{Reader, Writer};
    use stemma::event::SignedChangeset;
    let mut reader = Reader::new(export);
    let head: [u8; 9] = reader.array("head").expect("an export");
    let genesis = reader.bytes("genesis", 1 << 20).expect("an export");
    let count = reader.varint("rows", u64::MAX).expect("an export");
    let mut writer = Writer::new();
    writer.raw(&head).bytes(genesis).varint(count);
    for _ in 0..count {
        let mut row = SignedChangeset::decode(reader.bytes("row", 1 << 20).expect("a row")).expect("a row");
        row.drop_content();
        writer.bytes(&row.encode());
    }
    writer.into_bytes()
}
