//! Random histories of replicas that edit a list, move elements, merge, switch ops off and on, and lose and get content,
//! against the naive model of `reference/list.rs`.

#[path = "reference/dag.rs"]
mod dag;
#[path = "reference/list.rs"]
mod reference;
#[path = "reference/rng.rs"]
mod rng;
#[path = "reference/text.rs"]
mod units;

use dag::{Dag, Numbers, Op, Seen};
use rng::{Rng, fuzz};
use std::collections::HashSet;
use stemma::Value;
use stemma::causal::{ChangesetIx, OpIx};
use stemma::codec::{Reader, Saved, Writer};
use stemma::crdt::{Delta, Deltas, List, UnitOp};
use units::Model;

/// What happened everywhere, and what it should mean.
#[derive(Default)]
struct World {
    dag: Dag,
    model: Model,
}

/// One replica.
#[derive(Clone)]
struct Replica<const LEAF: usize, const BLOCK: usize> {
    list: List<LEAF, BLOCK>,
    numbers: Numbers,
    heads: Vec<usize>,
    /// Ops switched off, received or not.
    off: HashSet<(usize, usize)>,
    /// Changesets whose content is missing here.
    absent: HashSet<usize>,
    /// A mirror of the list, kept up by deltas only.
    mirror: Vec<Value>,
}

/// A character stands for a value.
fn value(unit: u16) -> Value {
    Value::from(i32::from(unit))
}

fn values(content: &str) -> Vec<Value> {
    content.encode_utf16().map(value).collect()
}

fn content<'a>(values: impl Iterator<Item = &'a Value>) -> String {
    let unit = |value: &Value| match value {
        Value::Number(number) => number.get() as u16,
        other => panic!("no value of these tests: {other:?}"),
    };
    String::from_utf16(&values.map(unit).collect::<Vec<_>>()).expect("there are no pairs")
}

impl<const LEAF: usize, const BLOCK: usize> Replica<LEAF, BLOCK> {
    fn new() -> Self {
        let mut list = List::default();
        list.record_deltas(true);
        let (numbers, heads) = Default::default();
        Self { list, numbers, heads, off: HashSet::new(), absent: HashSet::new(), mirror: Vec::new() }
    }

    /// Goes on from a snapshot.
    fn restart(&mut self) {
        let mut saved = Writer::new();
        self.list.save(&mut saved);
        let mut reader = Reader::new(saved.as_slice());
        self.list = List::load(&mut reader).expect("what was saved loads");
        reader.finish("list").expect("nothing is left over");
        self.list.record_deltas(true);
        // What is altered is refused, or at least read without a panic.
        for at in (0..saved.len()).step_by(7) {
            let mut altered = saved.as_slice().to_vec();
            altered[at] ^= 1 << (at % 8);
            let _ = List::<LEAF, BLOCK>::load(&mut Reader::new(&altered));
        }
    }

    fn visible(&self) -> Vec<Value> {
        self.list.iter().cloned().collect()
    }

    /// Edits, checks each step against a plain vector, and seals into the graph.
    fn edit(&mut self, world: &mut World, author: usize, rng: &mut Rng) {
        for _ in 0..1 + rng.below(4) {
            match rng.below(10) {
                0 => self.undone_edits(world, rng),
                1 => self.toggle(world, rng),
                _ => self.edit_once(world, rng),
            }
            self.list.dbg_check(&Seen(&world.dag, &self.numbers));
        }
        if self.list.is_sealed() {
            return;
        }
        let ops = self.list.pending_ops();
        self.list
            .check(&Seen(&world.dag, &self.numbers), ChangesetIx::OPEN, &ops)
            .expect("own ops are valid");
        // Sometimes one batch becomes several changesets.
        while !self.list.is_sealed() {
            let ops = self.list.pending_ops();
            let count = if rng.chance(80) { ops.len() } else { 1 + rng.below(ops.len()) };
            let content = content(self.list.pending_values(count));
            let id = world.dag.changesets.len();
            let ops: Vec<Op> = ops[..count].iter().map(|op| self.numbers.to_global(op, id)).collect();
            let seq = self.numbers.received.len() as u32;
            world.dag.push(self.heads.clone(), (author as u64 * 7 % 5, seq, author as u64), ops, content);
            world.model.add(&world.dag, id);
            self.heads = vec![id];
            self.off.retain(|op| op.0 != id);
            let (changeset, ops) = self.numbers.receive(id, count);
            self.list.seal(changeset, &ops);
            self.list.dbg_check(&Seen(&world.dag, &self.numbers));
        }
    }

    fn edit_once(&mut self, world: &World, rng: &mut Rng) {
        let mut expected = self.visible();
        let what = rng.below(100);
        if expected.is_empty() || what < 45 {
            let at = if rng.chance(30) { 0 } else { rng.below(expected.len() + 1) };
            let new: Vec<Value> = (0..1 + rng.below(4)).map(|_| value(rng.below(500) as u16)).collect();
            self.list.insert(at as u32, new.clone()).expect("it is inside");
            expected.splice(at..at, new);
        } else if what < 80 {
            let (from, to) = (rng.below(expected.len()), rng.below(expected.len()));
            let op = OpIx((self.numbers.ops.len() + self.list.pending_len()) as u32);
            let seen = Seen(&world.dag, &self.numbers);
            let moved = self.list.relocate(&seen, op, from as u32, to as u32).expect("it is inside");
            assert_eq!(moved, from != to);
            let value = expected.remove(from);
            expected.insert(to, value);
        } else {
            let at = rng.below(expected.len());
            let len = (1 + rng.below(4)).min(expected.len() - at);
            self.list.delete(at as u32, len as u32).expect("it is inside");
            expected.drain(at..at + len);
        }
        assert_eq!(self.visible(), expected);
    }

    /// A transaction that throws.
    fn undone_edits(&mut self, world: &World, rng: &mut Rng) {
        let before = (self.visible(), self.list.pending_ops());
        let mark = self.list.mark();
        for _ in 0..rng.below(8) {
            self.edit_once(world, rng);
        }
        self.list.rollback(&Seen(&world.dag, &self.numbers), mark);
        assert_eq!((self.visible(), self.list.pending_ops()), before);
    }

    fn receive(&mut self, world: &World, id: usize, rng: &mut Rng) {
        let changeset = &world.dag.changesets[id];
        let (ix, numbers) = self.numbers.receive(id, changeset.ops.len());
        let ops: Vec<UnitOp> = changeset.ops.iter().map(|op| self.numbers.to_local(op)).collect();
        let seen = Seen(&world.dag, &self.numbers);
        self.list.check(&seen, ix, &ops).expect("an honest changeset is valid");
        let unfit = format!("{}?", changeset.content);
        let content = match rng.below(20) {
            0 => None,
            1 => Some(values(&unfit)),
            _ => Some(values(&changeset.content)),
        };
        let fits = content.as_ref().is_some_and(|content| *content == values(&changeset.content));
        let ops: Vec<_> = numbers.into_iter().zip(ops).collect();
        let active = |op| !self.off.contains(&seen.1.op(op));
        self.list.apply(&seen, ix, &ops, content, active);
        if !fits && !changeset.content.is_empty() {
            self.absent.insert(id);
        }
        self.heads.retain(|&head| !world.dag.contains(id, head));
        self.heads.push(id);
    }

    /// Switches ops, and settles once.
    fn toggle(&mut self, world: &World, rng: &mut Rng) {
        if world.dag.changesets.is_empty() {
            return;
        }
        for _ in 0..1 + rng.below(4) {
            let id = rng.below(world.dag.changesets.len());
            let op = (id, rng.below(world.dag.changesets[id].ops.len()));
            let on = rng.chance(50);
            self.set(world, op, on);
        }
        self.list.settle(&Seen(&world.dag, &self.numbers));
    }

    fn set(&mut self, world: &World, op: (usize, usize), on: bool) {
        if on {
            self.off.remove(&op)
        } else {
            !self.off.insert(op)
        };
        if let Some(op) = self.numbers.op_ix(op) {
            self.list.set_active(&Seen(&world.dag, &self.numbers), op, on);
        }
    }

    /// Loses or gets content.
    fn switch_content(&mut self, world: &World, rng: &mut Rng) {
        if self.numbers.received.is_empty() {
            return;
        }
        let id = *rng.pick(&self.numbers.received);
        let content = values(&world.dag.changesets[id].content);
        let unfit = || content.iter().cloned().chain([Value::Null]).collect::<Vec<_>>();
        let ix = self.numbers.changeset(id);
        if content.is_empty() {
            assert!(!self.list.wipe(ix) && !self.list.fill(ix, Vec::new()));
        } else if self.absent.remove(&id) {
            assert!(!self.list.wipe(ix) && !self.list.fill(ix, unfit()));
            assert!(self.list.fill(ix, content));
        } else {
            assert!(!self.list.fill(ix, content) && self.list.wipe(ix));
            self.absent.insert(id);
        }
    }

    fn counts(&self, op: (usize, usize)) -> bool {
        self.numbers.has(op.0) && !self.off.contains(&op)
    }

    fn check(&mut self, world: &World) {
        self.list.dbg_check(&Seen(&world.dag, &self.numbers));
        let present = |id| !self.absent.contains(&id);
        let expected = reference::values(&world.model, &world.dag, |op| self.counts(op), present);
        let expected: Vec<Value> = expected.into_iter().map(value).collect();
        assert_eq!(self.visible(), expected);
        assert_eq!(self.list.len() as usize, expected.len());
        let deltas = self.list.drain_deltas();
        apply(&mut self.mirror, &deltas);
        assert_eq!(self.mirror, expected);
    }

    /// Everything that can be read.
    fn check_reads(&self, world: &World, rng: &mut Rng) {
        let present = |id| !self.absent.contains(&id);
        let list = self.visible();
        for at in 0..list.len() + 2 {
            assert_eq!(self.list.get(at as u32), list.get(at));
        }
        let (start, end) = (rng.below(list.len() + 1), rng.below(list.len() + 1));
        let (start, end) = (start.min(end), start.max(end));
        let slice = self.list.slice(start as u32..end as u32).expect("it is inside");
        assert_eq!(slice, list[start..end].iter().collect::<Vec<_>>());

        let seen = Seen(&world.dag, &self.numbers);
        let select = |rng: &mut Rng| -> HashSet<_> {
            self.numbers.ops.iter().filter(|_| rng.chance(60)).copied().collect()
        };
        let (a, b) = (select(rng), select(rng));
        let naive = |ops: &HashSet<_>| -> Vec<Value> {
            let values = reference::values(&world.model, &world.dag, |op| ops.contains(&op), present);
            values.into_iter().map(value).collect()
        };
        let (list_a, list_b) = (naive(&a), naive(&b));
        let read = self.list.read_at(&seen, |op| a.contains(&self.numbers.op(op)));
        assert_eq!(read, list_a.iter().collect::<Vec<_>>());
        let copy = self.list.at(&seen, |op| a.contains(&self.numbers.op(op)));
        assert_eq!(copy.iter().cloned().collect::<Vec<_>>(), list_a);
        assert_eq!(copy.len() as usize, list_a.len());
        let diff = self.list.diff(
            &seen,
            |op| a.contains(&self.numbers.op(op)),
            |op| b.contains(&self.numbers.op(op)),
        );
        let mut turned = list_a;
        apply(&mut turned, &diff);
        assert_eq!(turned, list_b);
    }
}

fn apply(mirror: &mut Vec<Value>, deltas: &Deltas<Vec<Value>>) {
    let mut content = deltas.content.iter().cloned();
    for &Delta { pos, removed, inserted, .. } in &deltas.changes {
        let (start, end) = (pos as usize, (pos + removed) as usize);
        mirror.splice(start..end, content.by_ref().take(inserted as usize));
    }
    assert_eq!(content.next(), None);
}

fn round<const LEAF: usize, const BLOCK: usize>(seed: u64, steps: usize) {
    let mut rng = Rng::new(seed);
    let mut world = World::default();
    let mut replicas: Vec<Replica<LEAF, BLOCK>> = (0..2 + rng.below(5)).map(|_| Replica::new()).collect();
    for _ in 0..steps {
        let author = rng.below(replicas.len());
        let replica = &mut replicas[author];
        match rng.below(100) {
            0..45 => replica.edit(&mut world, author, &mut rng),
            45..80 => {
                // A few changesets, or all there are.
                let mut left = if rng.chance(50) { usize::MAX } else { 1 + rng.below(3) };
                while left > 0 {
                    let Some(id) = replica.numbers.next(&world.dag, world.dag.changesets.len(), &mut rng)
                    else {
                        break;
                    };
                    replica.receive(&world, id, &mut rng);
                    left -= 1;
                }
            }
            80..95 => replica.toggle(&world, &mut rng),
            _ => replica.switch_content(&world, &mut rng),
        }
        replica.check(&world);
        if rng.chance(20) {
            replica.check_reads(&world, &mut rng);
        }
        if rng.chance(10) {
            replica.restart();
            replica.check(&world);
        }
    }
    // Everybody gets everything, then believes the same.
    let off = replicas[0].off.clone();
    replicas.push(Replica::new());
    for replica in &mut replicas {
        while let Some(id) = replica.numbers.next(&world.dag, world.dag.changesets.len(), &mut rng) {
            replica.receive(&world, id, &mut rng);
            if rng.chance(20) {
                replica.toggle(&world, &mut rng);
                replica.check(&world);
            }
        }
        for id in 0..world.dag.changesets.len() {
            for op in 0..world.dag.changesets[id].ops.len() {
                replica.set(&world, (id, op), !off.contains(&(id, op)));
            }
            if replica.absent.remove(&id) {
                let content = values(&world.dag.changesets[id].content);
                assert!(replica.list.fill(replica.numbers.changeset(id), content));
            }
        }
        replica.list.settle(&Seen(&world.dag, &replica.numbers));
        replica.check(&world);
        replica.check_reads(&world, &mut rng);
    }
    assert!(replicas.windows(2).all(|pair| pair[0].visible() == pair[1].visible()));
    // With every element shown, with and without the moves, the reads check the order of all units.
    let last = replicas.last_mut().expect("there is one");
    for moves in [true, false] {
        for id in 0..world.dag.changesets.len() {
            for (at, op) in world.dag.changesets[id].ops.iter().enumerate() {
                let on = match op {
                    Op::Insert { .. } => true,
                    Op::Delete { .. } => false,
                    Op::Move { .. } => moves,
                    Op::Mark { .. } => unreachable!("lists have no marks"),
                };
                last.set(&world, (id, at), on);
            }
        }
        last.list.settle(&Seen(&world.dag, &last.numbers));
        last.check(&world);
        assert_eq!(last.list.len() as usize, world.model.units.len() - world.model.moves.len());
        last.check_reads(&world, &mut rng);
    }
}

#[test]
fn small_nodes() {
    fuzz(200, |seed| round::<4, 4>(seed, 60));
}

#[test]
fn full_nodes() {
    fuzz(100, |seed| round::<32, 64>(seed, 60));
}

#[test]
fn long_histories() {
    fuzz(5, |seed| round::<4, 4>(seed.wrapping_add(1 << 32), 250));
}
