//! Random histories of all objects, through the local editing path and through
//! arrivals in any order, with ops switched off and on and revokes of revokes, against the naive model of
//! `reference/objects.rs`, and of `reference/text.rs` for a marked text and a list. Stamps follow no clock.

#[path = "reference/dag.rs"]
mod dag;
#[path = "reference/ledger.rs"]
mod ledger;
#[path = "fold_fuzz/ledgers.rs"]
mod ledgers;
#[path = "reference/list.rs"]
mod list;
#[path = "fold_fuzz/lists.rs"]
mod lists;
#[path = "fold_fuzz/model.rs"]
mod model;
#[path = "reference/objects.rs"]
mod reference;
#[path = "reference/rng.rs"]
mod rng;
#[path = "fold_fuzz/texts.rs"]
mod texts;
#[path = "reference/text.rs"]
mod units;
#[path = "fold_fuzz/views.rs"]
mod views;

use model::to_model;
use reference::{Model, OpId, Place, View};
use rng::{Rng, fuzz};
use std::collections::{BTreeMap, BTreeSet};
use stemma::causal::{ActorId, CausalGraph, ChangesetId, ChangesetIx, Hlc, NameId, ObjectId, OpIx};
use stemma::codec::{Reader, Saved, Writer};
use stemma::crdt::{Part, Slot, Winner};
use stemma::doc::{Body, Edit, Fold, Names, ObjectIx, PatchBody, Written, resolve};
use stemma::event::{Content, Number, ObjectKind, Skeleton, Value};
use texts::{Texts, Unit};

const KINDS: [ObjectKind; 7] = [
    ObjectKind::Map,
    ObjectKind::Set,
    ObjectKind::Counter,
    ObjectKind::Cart,
    ObjectKind::List,
    ObjectKind::Text,
    ObjectKind::Ledger,
];
const MAP: usize = 0;
const SET: usize = 1;
const COUNTER: usize = 2;
const CART: usize = 3;
const LIST: usize = 4;
const TEXT: usize = 5;
const LEDGER: usize = 6;
/// Places of a map from here on are groups.
const GROUPS: u32 = 100;

/// A changeset as it travels.
struct Sent {
    id: ChangesetId,
    actor: ActorId,
    prev: Option<usize>,
    deps: Vec<usize>,
    member: usize,
    skeleton: Skeleton,
    content: Content,
}

#[derive(Default)]
struct World {
    sent: Vec<Sent>,
    model: Model,
    lists: lists::Lists,
    texts: Texts,
    ledger: ledger::Ledger,
}

struct Replica {
    fold: Fold,
    graph: CausalGraph,
    member: usize,
    actor: ActorId,
    tip: Option<ChangesetIx>,
    /// The number in the world of each changeset that is here.
    received: Vec<usize>,
    view: View,
    /// Changesets whose content has not come yet, with what their tables name.
    late: Vec<(usize, ChangesetIx, Vec<ChangesetIx>)>,
    objects: [ObjectIx; 7],
    /// What the open batch is for.
    command: Option<u8>,
    /// What an application that listens shows.
    slots: BTreeMap<Place, Vec<Winner>>,
    items: BTreeMap<Place, i128>,
    sums: (i128, i128),
    elements: Vec<Value>,
    text: Vec<Unit>,
    parts: BTreeMap<Part, ledgers::Shown>,
}

fn object_id(object: usize) -> ObjectId {
    ObjectId([object as u8 + 1; 16])
}

fn name(place: u32) -> NameId {
    NameId([place as u8; 16])
}

fn slot(place: u32) -> Slot {
    if place >= GROUPS { Slot::Group(place - GROUPS) } else { Slot::Key(name(place)) }
}

fn place_of(slot: Slot) -> u32 {
    match slot {
        Slot::Key(NameId(bytes)) => bytes[0].into(),
        Slot::Group(group) => GROUPS + group,
    }
}

impl Replica {
    fn new(number: usize) -> Self {
        let mut fold = Fold::default();
        let object =
            |object: usize| fold.object(object_id(object), KINDS[object]).expect("a kind that is folded");
        Self {
            objects: [0, 1, 2, 3, 4, 5, 6].map(object),
            command: None,
            fold,
            graph: CausalGraph::default(),
            // Two replicas of each member: undo reaches what the other one wrote.
            member: number / 2,
            actor: ActorId([number as u8 + 1; 32]),
            tip: None,
            received: Vec::new(),
            view: View::default(),
            late: Vec::new(),
            slots: BTreeMap::new(),
            items: BTreeMap::new(),
            sums: (0, 0),
            elements: Vec::new(),
            text: Vec::new(),
            parts: BTreeMap::new(),
        }
    }

    fn edit(&mut self, rng: &mut Rng) {
        match rng.below(12) {
            0 | 1 => return self.edit_text(rng),
            10.. => return self.edit_ledger(rng),
            2..4 => return self.edit_list(rng),
            _ => {}
        }
        let number = |rng: &mut Rng| Value::Number(Number::new(rng.below(1_000) as f64).expect("finite"));
        let value = number(rng);
        let amount = rng.below(40) as i64 - 20;
        let place = rng.below(3) as u32;
        let (object, edit) = match rng.below(9) {
            0 => (MAP, Edit::Put(slot(place), Written::Value(value))),
            1 => (MAP, Edit::Take(slot(place))),
            2 => (MAP, Edit::Put(slot(place), Written::Child(ObjectKind::Text, [0].into()))),
            3 => {
                let tuple = (0..2).map(|_| rng.chance(70).then(|| number(rng))).collect();
                (MAP, Edit::Put(slot(GROUPS + place % 2), Written::Tuple(tuple)))
            }
            4 => {
                let written = if rng.chance(50) { Written::Bare } else { Written::Value(value) };
                (SET, Edit::Put(slot(place), written))
            }
            5 => (SET, Edit::Take(slot(place))),
            6 if rng.chance(20) => (COUNTER, Edit::Reset),
            6 => (COUNTER, Edit::Add(amount)),
            7 => (CART, Edit::AddTo(name(place), amount)),
            _ => (CART, Edit::Remove(name(place))),
        };
        self.fold.edit(&self.graph, self.objects[object], edit);
    }

    /// Takes some of the member's own ops back, or takes that back.
    fn revoke(&mut self, world: &World, rng: &mut Rng) {
        let own = |ix: &u32| world.sent[self.received[*ix as usize]].member == self.member;
        let own: Vec<u32> = (0..self.received.len() as u32).filter(own).collect();
        let mut targets = Vec::new();
        for _ in 0..1 + rng.below(3) {
            if own.is_empty() {
                return;
            }
            let ops = self.fold.timeline().ops_of(ChangesetIx(*rng.pick(&own)));
            if !ops.is_empty() {
                let first = ops.start + rng.below(ops.len()) as u32;
                targets.push(first..first + 1 + rng.below((ops.end - first) as usize) as u32);
            }
        }
        if !targets.is_empty() {
            self.fold.revoke(&self.graph, targets.into());
        }
    }

    /// A transaction that throws leaves no trace.
    fn give_up(&mut self, world: &World, rng: &mut Rng) {
        let mark = self.fold.mark();
        self.listen();
        let (before, sums) = (self.slots.clone(), (self.sums, self.items.clone(), self.elements.clone()));
        let (text, parts) = (self.text.clone(), self.parts.clone());
        for _ in 0..1 + rng.below(6) {
            self.edit(rng);
            if rng.chance(20) {
                self.revoke(world, rng);
            }
        }
        self.fold.rollback(&self.graph, &mark);
        self.listen();
        let shown = |slots: &BTreeMap<Place, Vec<Winner>>| {
            slots
                .iter()
                .filter(|(_, winners)| !winners.is_empty())
                .map(|(at, to)| (*at, to.clone()))
                .collect::<Vec<_>>()
        };
        assert_eq!(shown(&self.slots), shown(&before));
        assert_eq!(self.sums, sums.0);
        assert_eq!(self.items, sums.1);
        assert_eq!(self.elements, sums.2);
        assert_eq!(self.text, text);
        assert_eq!(self.parts, parts);
    }

    fn seal(&mut self, world: &mut World, rng: &mut Rng) {
        let begun = world.sent.len();
        while self.fold.has_batch() {
            let mut deps: Vec<ChangesetIx> =
                self.graph.heads().filter(|head| Some(*head) != self.tip).collect();
            deps.sort_by_key(|dep| self.graph.id(*dep));
            let ops_max = 1 + rng.below(8);
            let draft = self.fold.draft(&self.graph, &Names::default(), self.tip, &deps, ops_max, usize::MAX);
            let draft = draft.expect("there is a batch");
            self.fold.check_draft(&self.graph, &draft).expect("honest edits pass");
            let number = world.sent.len();
            let mut id = [0; 32];
            id[..8].copy_from_slice(&rng.next().to_le_bytes());
            id[8..16].copy_from_slice(&number.to_le_bytes());
            let stamp = Hlc { ms: rng.below(6) as u64, counter: rng.below(2) as u16 };
            let prev = self.tip;
            let ix = self.graph.add(ChangesetId(id), self.actor, prev, &deps);
            self.fold.sealed(ix, (stamp, 0), &draft);
            let mut skeleton = draft.skeleton.clone();
            skeleton.hlc = stamp;
            skeleton.command = self.command.map(|command| NameId([command; 16]));
            if skeleton.command.is_some() && number > begun {
                skeleton.go_on((number - begun) as u32);
            }
            let parents: Vec<usize> =
                prev.iter().chain(&deps).map(|ix| self.received[ix.0 as usize]).collect();
            let mut past: BTreeSet<usize> = parents.iter().copied().collect();
            for parent in parents.iter().copied() {
                past.extend(&world.model.changesets[parent].past);
            }
            let refs = resolve(&self.graph, prev, &deps, &skeleton.refs).expect("refs are in the past");
            let refs: Vec<usize> = refs.iter().map(|ix| self.received[ix.0 as usize]).collect();
            let first = self.fold.timeline().ops_of(ix).start;
            let written =
                |op: u32| self.fold.written(OpIx(op)).map_or_else(String::new, |what| format!("{what:?}"));
            let ops = skeleton.ops.iter().zip(first..);
            let ops = ops.map(|(op, number)| to_model(op, written(number), &skeleton, &refs)).collect();
            for (op, index) in skeleton.ops.iter().zip(0..) {
                let signed = ledgers::to_model(op, &skeleton, &refs, (self.member, number, begun));
                world.ledger.signed.extend(signed.map(|signed| ((number, index), signed)));
            }
            let key = (self.actor.0[0], self.graph.seq(ix), stamp, ChangesetId(id));
            world.lists.add(parents.clone(), key, (&skeleton, &draft.content), &refs);
            world.model.changesets.push(reference::Changeset { past, stamp, id, ops });
            let author = (u64::from(self.actor.0[0]), self.graph.seq(ix), 0);
            world.texts.add(parents, author, &skeleton, &draft.content, &refs);
            world.sent.push(Sent {
                id: ChangesetId(id),
                actor: self.actor,
                prev: prev.map(|ix| self.received[ix.0 as usize]),
                deps: deps.iter().map(|ix| self.received[ix.0 as usize]).collect(),
                member: self.member,
                skeleton,
                content: draft.content.clone(),
            });
            self.view.known.insert(number);
            self.view.hidden.retain(|op| op.0 != number);
            self.received.push(number);
            self.tip = Some(ix);
        }
        self.command = rng.chance(30).then(|| rng.below(2) as u8);
    }

    /// Goes on from a snapshot. What was told before is not told again.
    fn restart(&mut self, rng: &mut Rng) {
        let mut before = None;
        // The first time joins runs of units that lay in different leaves.
        for _ in 0..2 {
            let mut saved = Writer::new();
            self.fold.save(&mut saved);
            let mut reader = Reader::new(saved.as_slice());
            self.fold = Fold::load(&mut reader).expect("what was saved loads");
            reader.finish("fold").expect("nothing is left over");
            before = Some(saved);
        }
        let mut again = Writer::new();
        self.fold.save(&mut again);
        assert_eq!(Some(again.as_slice()), before.as_ref().map(Writer::as_slice));
        assert!(self.fold.take_patches().is_empty());
        // Whatever else is taken for saved state: no panic.
        let mut altered = again.into_bytes();
        let at = rng.below(altered.len());
        altered[at] = *rng.pick(&[0, 1, 0x7f, 0x80, 0xff]);
        drop(Fold::load(&mut Reader::new(&altered)));
        assert!(Fold::load(&mut Reader::new(&altered[..at])).is_err());
    }

    fn next(&self, world: &World, rng: &mut Rng) -> Option<usize> {
        let known = |number: &usize| self.view.known.contains(number);
        let ready: Vec<usize> = (0..world.sent.len())
            .filter(|number| !known(number))
            .filter(|number| world.sent[*number].prev.iter().chain(&world.sent[*number].deps).all(known))
            .collect();
        if ready.is_empty() { None } else { Some(*rng.pick(&ready)) }
    }

    fn receive(&mut self, world: &World, number: usize, rng: &mut Rng) {
        let sent = &world.sent[number];
        let local = |number: &usize| self.graph.get(&world.sent[*number].id).expect("parents are here");
        let (prev, deps) = (sent.prev.as_ref().map(local), sent.deps.iter().map(local).collect::<Vec<_>>());
        let ix = self.graph.add(sent.id, sent.actor, prev, &deps);
        self.received.push(number);
        self.view.known.insert(number);
        let refs = resolve(&self.graph, prev, &deps, &sent.skeleton.refs).expect("refs are in the past");
        let own = |target: ChangesetIx| world.sent[self.received[target.0 as usize]].member == sent.member;
        let author = ledgers::member_id(sent.member);
        let checked = self.fold.check(&self.graph, ix, &sent.skeleton, &refs, (author, own));
        let checked = checked.expect("nothing honest is inert");
        let late = rng.chance(20);
        let content = (!late).then_some((&sent.skeleton, &sent.content));
        let first = self.fold.timeline().next_op();
        let hidden = &self.view.hidden;
        let active = |op: OpIx| !hidden.contains(&(number, (op.0 - first) as usize));
        self.fold.integrate(&self.graph, ix, (sent.skeleton.hlc, 0), Some(checked), content, active);
        if late {
            self.late.push((number, ix, refs));
        }
        while !self.late.is_empty() && rng.chance(60) {
            self.fill_one(world);
        }
    }

    /// A content comes that was late.
    fn fill_one(&mut self, world: &World) {
        let Some((number, ix, refs)) = self.late.pop() else { return };
        let sent = &world.sent[number];
        self.fold.fill(&self.graph, ix, &sent.skeleton, &sent.content, &refs);
    }

    /// Whether the value that an op wrote is missing.
    fn is_absent(&self, op: OpId, written: &str) -> bool {
        let is_late = self.late.iter().any(|(number, ..)| *number == op.0);
        is_late && (written.starts_with("Value") || written.starts_with("Tuple"))
    }

    fn toggle(&mut self, world: &World, rng: &mut Rng) {
        let mut toggles = Vec::new();
        for _ in 0..rng.below(6) {
            if world.sent.is_empty() {
                return;
            }
            // Also ops that have not arrived.
            let number = rng.below(world.sent.len());
            let op: OpId = (number, rng.below(world.model.changesets[number].ops.len()));
            let on = rng.chance(50);
            let _ = if on { self.view.hidden.remove(&op) } else { self.view.hidden.insert(op) };
            toggles.extend(self.local(op).map(|local| (local, on)));
        }
        self.fold.set_active(&self.graph, toggles);
    }

    fn local(&self, (number, index): OpId) -> Option<OpIx> {
        let at = self.received.iter().position(|known| *known == number)?;
        Some(OpIx(self.fold.timeline().ops_of(ChangesetIx(at as u32)).start + index as u32))
    }

    fn global(&self, op: OpIx) -> OpId {
        let changeset = self.fold.timeline().changeset_of(op);
        let index = op.0 - self.fold.timeline().ops_of(changeset).start;
        (self.received[changeset.0 as usize], index as usize)
    }

    fn winners(&self, object: usize, slot: Slot) -> Vec<Winner> {
        let (Body::Map(map) | Body::Set(map)) = &self.fold.get(self.objects[object]).body else {
            panic!("a map")
        };
        map.get(&slot).map_or_else(Vec::new, |register| register.winners().to_vec())
    }

    /// Takes what changed, as an application does.
    fn listen(&mut self) {
        for patch in self.fold.take_patches() {
            let object = self.objects.iter().position(|ix| *ix == patch.object).expect("a known object");
            match patch.body {
                PatchBody::Slots(slots) => {
                    for slot in slots {
                        self.slots.insert((object, place_of(slot)), self.winners(object, slot));
                    }
                }
                PatchBody::Counter { added, taken } => {
                    self.sums = (self.sums.0 + added, self.sums.1 + taken);
                }
                PatchBody::Items(items) => {
                    for item in items {
                        let quantity = self.quantity(item);
                        self.items.insert((object, place_of(Slot::Key(item))), quantity);
                    }
                    self.items.retain(|_, quantity| *quantity != 0);
                }
                PatchBody::List { splices, inserted } => {
                    lists::apply(&mut self.elements, &splices, inserted);
                }
                PatchBody::Text { splices, inserted, marks } => {
                    texts::apply(&mut self.text, &splices, &inserted, &marks);
                }
                PatchBody::Parts(parts) => {
                    for part in parts {
                        self.parts.insert(part, self.part_of(patch.object, &part));
                    }
                    self.parts.retain(|_, shown| ledgers::is_shown(shown));
                }
            }
        }
    }

    fn quantity(&self, item: NameId) -> i128 {
        let Body::Cart(cart) = &self.fold.get(self.objects[CART]).body else { panic!("a cart") };
        cart.get(&item).map_or(0, |tally| tally.totals().sum())
    }

    /// Everything against the model, and against what was told.
    fn check(&mut self, world: &World) {
        self.fold.dbg_check(&self.graph);
        self.listen();
        let counting = world.model.counting(&self.view);
        let inactive: BTreeSet<OpId> = self.fold.inactive().iter().map(|op| self.global(OpIx(op))).collect();
        let all: BTreeSet<OpId> = world.model.ops(&self.view).collect();
        assert_eq!(inactive, &all - &counting);
        let winners = world.model.winners(&counting);
        for object in [MAP, SET] {
            let (Body::Map(map) | Body::Set(map)) = &self.fold.get(self.objects[object]).body else {
                panic!("a map")
            };
            for (slot, register) in map.iter() {
                let place = (object, place_of(slot));
                let shown: Vec<OpId> =
                    register.winners().iter().map(|winner| self.global(winner.op)).collect();
                assert_eq!(&shown, winners.get(&place).unwrap_or(&Vec::new()), "{place:?}");
                assert_eq!(register.winners(), self.slots.get(&place).map_or(&[][..], Vec::as_slice));
                for winner in register.winners() {
                    match world.model.op(self.global(winner.op)) {
                        reference::Op::Put(_, text) => {
                            let written = self.fold.written(winner.op).map(|what| format!("{what:?}"));
                            let is_absent = self.is_absent(self.global(winner.op), text);
                            assert_eq!(written.as_ref(), (!is_absent).then_some(text));
                        }
                        _ => assert!(winner.deletes),
                    }
                }
            }
        }
        let sums = world.model.sums(&counting);
        let Body::Counter(tally) = &self.fold.get(self.objects[COUNTER]).body else { panic!("a counter") };
        let totals = (tally.totals().added, tally.totals().taken);
        assert_eq!(totals, sums.get(&(COUNTER, 0)).copied().unwrap_or_default());
        assert_eq!(totals, self.sums);
        let items = sums.iter().filter(|((object, _), _)| *object == CART);
        let items: BTreeMap<Place, i128> =
            items.map(|(place, sum)| (*place, sum.0 - sum.1)).filter(|(_, sum)| *sum != 0).collect();
        assert_eq!(items, self.items);
        let elements = world.list(&counting, |number| self.is_present(number));
        assert_eq!(self.list_of(self.objects[LIST]), elements);
        assert_eq!(self.elements, elements);
        let text = world.text(&counting, |number| self.is_present(number));
        assert_eq!(self.read_text(self.objects[TEXT]), text);
        assert_eq!(self.text, text);
        self.check_ledger(world, self.objects[LEDGER], &counting);
        assert_eq!(self.parts, self.parts_of(self.objects[LEDGER]));
    }

    /// A counter as any selection of ops makes it.
    fn check_reads(&self, world: &World, rng: &mut Rng) {
        let all: Vec<OpId> = world.model.ops(&self.view).collect();
        let selected: BTreeSet<OpId> = all.into_iter().filter(|_| rng.chance(60)).collect();
        let counts = |op: OpIx| selected.contains(&self.global(op));
        let past = self.fold.past(&self.graph);
        let sums = world.model.sums(&selected);
        let Body::Counter(tally) = &self.fold.get(self.objects[COUNTER]).body else { panic!("a counter") };
        let totals = tally.totals_at(&past, counts);
        assert_eq!((totals.added, totals.taken), sums.get(&(COUNTER, 0)).copied().unwrap_or_default());
        let winners = world.model.winners(&selected);
        let Body::Set(set) = &self.fold.get(self.objects[SET]).body else { panic!("a set") };
        for (slot, register) in set.iter() {
            let shown = register.winners_at(&past, counts);
            let shown: Vec<OpId> = shown.iter().map(|winner| self.global(winner.op)).collect();
            assert_eq!(&shown, winners.get(&(SET, place_of(slot))).unwrap_or(&Vec::new()));
        }
    }
}

fn round(seed: u64, steps: usize) {
    let mut rng = Rng::new(seed);
    let mut world = World::default();
    let mut replicas: Vec<Replica> = (0..2 + rng.below(7)).map(Replica::new).collect();
    for _ in 0..steps {
        let at = rng.below(replicas.len());
        let replica = &mut replicas[at];
        match rng.below(100) {
            0..45 => (0..1 + rng.below(5)).for_each(|_| replica.edit(&mut rng)),
            45..55 => replica.revoke(&world, &mut rng),
            55..62 => replica.give_up(&world, &mut rng),
            62..85 => {
                replica.seal(&mut world, &mut rng);
                for _ in 0..1 + rng.below(8) {
                    let Some(number) = replica.next(&world, &mut rng) else { break };
                    replica.receive(&world, number, &mut rng);
                }
            }
            _ => replica.toggle(&world, &mut rng),
        }
        if rng.chance(50) {
            replica.seal(&mut world, &mut rng);
            replica.check(&world);
            replica.check_reads(&world, &mut rng);
            if rng.chance(40) {
                replica.check_views(&world, &mut rng);
            }
            if rng.chance(30) {
                replica.restart(&mut rng);
                replica.check(&world);
            }
        }
    }
    for replica in &mut replicas {
        replica.seal(&mut world, &mut rng);
    }
    // A newcomer and everybody else get everything, and believe the same in the end.
    let hidden = replicas[0].view.hidden.clone();
    replicas.push(Replica::new(replicas.len()));
    for replica in &mut replicas {
        while let Some(number) = replica.next(&world, &mut rng) {
            replica.receive(&world, number, &mut rng);
        }
        let toggles = world
            .model
            .ops(&replica.view)
            .map(|op| (replica.local(op).expect("it is here"), !hidden.contains(&op)));
        let toggles: Vec<(OpIx, bool)> = toggles.collect();
        replica.fold.set_active(&replica.graph, toggles);
        replica.view.hidden.clone_from(&hidden);
        replica.check(&world);
        replica.check_views(&world, &mut rng);
        while !replica.late.is_empty() {
            replica.fill_one(&world);
        }
        replica.check(&world);
    }
    let first = replicas.remove(0);
    for replica in &replicas {
        assert_eq!(replica.sums, first.sums);
        assert_eq!(replica.items, first.items);
        assert_eq!(replica.elements, first.elements);
        assert_eq!(replica.text, first.text);
        assert_eq!(replica.parts, first.parts);
    }
}

#[test]
fn short_histories() {
    fuzz(600, |seed| round(seed, 60));
}

#[test]
fn long_histories() {
    fuzz(20, |seed| round(seed + 1_000_000, 500));
}
