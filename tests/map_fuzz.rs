//! Random histories of replicas that write, merge, roll back and switch writes off and on, against the naive model of
//! `reference/map.rs`. Stamps are random and follow no clock: a winner must not depend on honest ones.

#[path = "reference/dag.rs"]
mod dag;
#[path = "reference/map.rs"]
mod reference;
#[path = "reference/rng.rs"]
mod rng;

use dag::{Dag, Numbers, Seen};
use reference::{Model, Write, WriteId};
use rng::{Rng, fuzz};
use std::cmp::Ordering;
use std::collections::HashSet;
use stemma::causal::{ChangesetIx, Hlc, NameId, OpIx};
use stemma::crdt::{History, KeyIx, Map, Recency, Slot, Winner};

const KEYS: u8 = 4;

/// What happened everywhere, and what it should mean.
#[derive(Default)]
struct World {
    dag: Dag,
    model: Model,
}

/// One replica.
#[derive(Clone, Default)]
struct Replica {
    map: Map,
    numbers: Numbers,
    heads: Vec<usize>,
    /// Writes switched off, received or not.
    off: HashSet<WriteId>,
    /// The batch that is open.
    open: Vec<(KeyIx, Write)>,
}

/// The graph as one replica sees it, with its open batch.
struct Past<'a> {
    world: &'a World,
    numbers: &'a Numbers,
}

impl History for Past<'_> {
    fn contains(&self, of: ChangesetIx, past: ChangesetIx) -> bool {
        match (of, past) {
            (ChangesetIx::OPEN, _) => true,
            (_, ChangesetIx::OPEN) => false,
            _ => Seen(&self.world.dag, self.numbers).contains(of, past),
        }
    }

    fn order(&self, a: ChangesetIx, b: ChangesetIx) -> Ordering {
        Seen(&self.world.dag, self.numbers).order(a, b)
    }

    fn changeset_of(&self, op: OpIx) -> ChangesetIx {
        if (op.0 as usize) < self.numbers.ops.len() {
            self.numbers.changeset(self.numbers.op(op).0)
        } else {
            ChangesetIx::OPEN
        }
    }
}

impl Recency for Past<'_> {
    fn newer(&self, a: OpIx, b: OpIx) -> Ordering {
        let key = |op: OpIx| {
            let known = ((op.0 as usize) < self.numbers.ops.len()).then(|| self.numbers.op(op));
            let Some((id, index)) = known else { return (true, Hlc::default(), 0, op.0 as usize) };
            (false, self.world.model.stamps[id], self.world.dag.changesets[id].key.2, index)
        };
        key(a).cmp(&key(b))
    }
}

/// Odd ones are groups.
fn slot(key: u8) -> Slot {
    if key % 2 == 1 { Slot::Group(key.into()) } else { Slot::Key(NameId([key; 16])) }
}

impl Replica {
    fn write(&mut self, world: &World, rng: &mut Rng) {
        let write = Write { key: rng.below(KEYS.into()) as u8, deletes: rng.chance(25) };
        let op = OpIx((self.numbers.ops.len() + self.open.len()) as u32);
        let past = Past { world, numbers: &self.numbers };
        let key = self.map.apply(&past, slot(write.key), op, write.deletes, true);
        assert_eq!(self.map.slot(key), slot(write.key));
        self.open.push((key, write));
    }

    /// A transaction that throws.
    fn undone_writes(&mut self, world: &World, rng: &mut Rng) {
        let kept = self.open.len();
        let before = self.shown();
        for _ in 0..rng.below(5) {
            self.write(world, rng);
        }
        self.roll_back(world, kept);
        assert_eq!(self.shown(), before);
    }

    fn roll_back(&mut self, world: &World, kept: usize) {
        while self.open.len() > kept {
            let (key, _) = self.open.pop().expect("more than none");
            self.map.retract(key);
        }
        self.map.settle(&Past { world, numbers: &self.numbers });
    }

    fn seal(&mut self, world: &mut World, rng: &mut Rng) {
        if self.open.is_empty() {
            return;
        }
        let id = world.dag.changesets.len();
        let stamp = Hlc { ms: rng.below(4) as u64, counter: rng.below(2) as u16 };
        // Ids are random, and none is there twice.
        let hash = (rng.next() & !0xffff) | id as u64;
        world.dag.push(std::mem::replace(&mut self.heads, vec![id]), (0, 0, hash), Vec::new(), String::new());
        world.model.add(stamp, self.open.drain(..).map(|(_, write)| write).collect());
        self.off.retain(|write| write.0 != id);
        self.numbers.receive(id, world.model.writes[id].len());
    }

    fn receive(&mut self, world: &World, id: usize) {
        assert!(self.open.is_empty());
        let writes = &world.model.writes[id];
        let (_, ops) = self.numbers.receive(id, writes.len());
        let past = Past { world, numbers: &self.numbers };
        for (index, (op, write)) in ops.into_iter().zip(writes).enumerate() {
            let on = !self.off.contains(&(id, index));
            self.map.apply(&past, slot(write.key), op, write.deletes, on);
        }
        self.heads.retain(|&head| !world.dag.contains(id, head));
        self.heads.push(id);
    }

    fn toggle(&mut self, world: &World, rng: &mut Rng) {
        for _ in 0..rng.below(5) {
            let all: Vec<WriteId> = world.model.all().map(|(id, _)| id).collect();
            if !all.is_empty() {
                self.switch(world, *rng.pick(&all), rng.chance(50));
            }
        }
        self.map.settle(&Past { world, numbers: &self.numbers });
    }

    fn switch(&mut self, world: &World, write: WriteId, on: bool) {
        let changed = if on { self.off.remove(&write) } else { self.off.insert(write) };
        let Some(op) = self.numbers.op_ix(write) else { return };
        // Keys are numbered in the order in which this replica met them.
        let named = slot(world.model.writes[write.0][write.1].key);
        let at = self.map.iter().position(|(slot, _)| slot == named).expect("it was received");
        let answer = self.map.set_active(&Past { world, numbers: &self.numbers }, KeyIx(at as u32), op, on);
        assert!(changed || !answer, "toggling a write to what it is does nothing");
    }

    fn shown(&self) -> Vec<Vec<Winner>> {
        (0..KEYS)
            .map(|key| self.map.get(&slot(key)).map_or(Vec::new(), |key| key.winners().to_vec()))
            .collect()
    }

    fn check(&self, world: &World) {
        let past = Past { world, numbers: &self.numbers };
        self.map.dbg_check(&past);
        let counts = |write: WriteId| self.numbers.has(write.0) && !self.off.contains(&write);
        for (key, shown) in (0..KEYS).zip(self.shown()) {
            let open = self.open.iter().rposition(|(_, write)| write.key == key);
            let expected = match open {
                Some(at) => {
                    let op = OpIx((self.numbers.ops.len() + at) as u32);
                    vec![Winner { op, deletes: self.open[at].1.deletes }]
                }
                None => self.local(world, &world.model.winners(&world.dag, key, counts)),
            };
            assert_eq!(shown, expected, "key {key}");
        }
    }

    /// The key at some of the writes, whether they are on or off.
    fn check_reads(&self, world: &World, rng: &mut Rng) {
        let selected: HashSet<WriteId> =
            self.numbers.ops.iter().filter(|_| rng.chance(60)).copied().collect();
        let past = Past { world, numbers: &self.numbers };
        for key in 0..KEYS {
            let Some(register) = self.map.get(&slot(key)) else { continue };
            let sealed = |op: OpIx| (op.0 as usize) < self.numbers.ops.len();
            let read = register.winners_at(&past, |op| sealed(op) && selected.contains(&self.numbers.op(op)));
            let expected = world.model.winners(&world.dag, key, |write| selected.contains(&write));
            assert_eq!(read, self.local(world, &expected));
            let listed = register.writes().filter(|(op, ..)| sealed(*op));
            let listed: Vec<_> = listed.map(|(op, deletes, on)| (self.numbers.op(op), deletes, on)).collect();
            let all = self.numbers.ops.iter().map(|write| (*write, world.model.writes[write.0][write.1]));
            let all = all.filter(|(_, write)| write.key == key);
            let all: Vec<_> = all.map(|(id, write)| (id, write.deletes, !self.off.contains(&id))).collect();
            assert_eq!(listed, all);
        }
    }

    fn local(&self, world: &World, writes: &[WriteId]) -> Vec<Winner> {
        let winner = |&(id, index): &WriteId| Winner {
            op: self.numbers.op_ix((id, index)).expect("it was received"),
            deletes: world.model.writes[id][index].deletes,
        };
        writes.iter().map(winner).collect()
    }
}

fn round(seed: u64, steps: usize) {
    let mut rng = Rng::new(seed);
    let mut world = World::default();
    let mut replicas = vec![Replica::default(); 2 + rng.below(5)];
    for _ in 0..steps {
        let at = rng.below(replicas.len());
        let replica = &mut replicas[at];
        match rng.below(100) {
            0..35 => (0..1 + rng.below(4)).for_each(|_| replica.write(&world, &mut rng)),
            35..45 => replica.undone_writes(&world, &mut rng),
            45..60 => replica.seal(&mut world, &mut rng),
            60..80 => {
                if rng.chance(20) {
                    replica.roll_back(&world, 0);
                }
                replica.seal(&mut world, &mut rng);
                for _ in 0..1 + rng.below(8) {
                    let Some(id) = replica.numbers.next(&world.dag, world.dag.changesets.len(), &mut rng)
                    else {
                        break;
                    };
                    replica.receive(&world, id);
                    replica.check(&world);
                }
            }
            _ => replica.toggle(&world, &mut rng),
        }
        replica.check(&world);
        if rng.chance(20) {
            replica.check_reads(&world, &mut rng);
        }
    }
    // Everybody gets everything, then believes the same.
    let off = replicas[0].off.clone();
    replicas.iter_mut().for_each(|replica| replica.seal(&mut world, &mut rng));
    replicas.push(Replica::default());
    for replica in &mut replicas {
        while let Some(id) = replica.numbers.next(&world.dag, world.dag.changesets.len(), &mut rng) {
            replica.receive(&world, id);
            if rng.chance(20) {
                replica.toggle(&world, &mut rng);
            }
        }
        for (write, _) in world.model.all() {
            replica.switch(&world, write, !off.contains(&write));
        }
        replica.map.settle(&Past { world: &world, numbers: &replica.numbers });
        replica.check(&world);
        replica.check_reads(&world, &mut rng);
    }
}

#[test]
fn short_histories() {
    fuzz(3_000, |seed| round(seed, 60));
}

#[test]
fn long_histories() {
    fuzz(10, |seed| round(seed.wrapping_add(1 << 32), 400));
}

/// a < b < c by causality and stamps that say the opposite, with a third one beside: pairwise rules would be cyclic.
#[test]
fn stamps_against_causality_make_no_cycle() {
    let mut world = World::default();
    let stamps = [30, 10, 20];
    for (id, parents) in [vec![], vec![0], vec![]].into_iter().enumerate() {
        world.dag.push(parents, (0, 0, id as u64), Vec::new(), String::new());
        let stamp = Hlc { ms: stamps[id], counter: 0 };
        world.model.add(stamp, vec![Write { key: 0, deletes: false }]);
    }
    for order in [[0, 1, 2], [0, 2, 1], [2, 0, 1]] {
        let mut replica = Replica::default();
        for id in order {
            replica.receive(&world, id);
            replica.check(&world);
        }
        // a is overwritten by b although its stamp is the greatest; of b and c the newer one wins.
        let winners = replica.map.get(&slot(0)).expect("written").winners();
        let winners: Vec<usize> = winners.iter().map(|winner| replica.numbers.op(winner.op).0).collect();
        assert_eq!(winners, [2, 1]);
    }
}
