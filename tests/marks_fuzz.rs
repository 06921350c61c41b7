//! Random histories of marked texts: replicas that type, mark, merge, give up transactions, switch ops and get content late,
//! against the naive model of `reference/text.rs`.

#[path = "reference/dag.rs"]
mod dag;
#[path = "reference/text.rs"]
mod reference;
#[path = "reference/rng.rs"]
mod rng;

use dag::{Dag, Numbers, Op, Seen};
use reference::Model;
use rng::{Rng, fuzz};
use std::collections::{BTreeMap, HashSet};
use stemma::causal::{ChangesetIx, NameId};
use stemma::codec::{Reader, Saved, Writer};
use stemma::crdt::{Delta, Deltas, MarkDelta, Run, Text, UnitOp};
use stemma::event::{Expand, Number, Value};

/// What a unit shows: by key.
type Shown = BTreeMap<u8, u8>;

#[derive(Default)]
struct World {
    dag: Dag,
    model: Model,
}

#[derive(Clone)]
struct Replica<const LEAF: usize, const BLOCK: usize> {
    text: Text<LEAF, BLOCK>,
    numbers: Numbers,
    heads: Vec<usize>,
    off: HashSet<(usize, usize)>,
    absent: HashSet<usize>,
    /// Kept up by deltas only.
    mirror: Vec<(u16, Shown)>,
}

fn value(number: u8) -> Value {
    if number == 0 { Value::Null } else { Value::Number(Number::new(number.into()).expect("finite")) }
}

fn number(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Number(number) => number.get() as u8,
        _ => panic!("all values are numbers"),
    }
}

fn name(key: u8) -> NameId {
    NameId([key; 16])
}

fn shown(runs: &[Run<'_>]) -> Vec<Shown> {
    assert!(runs.windows(2).all(|pair| pair[0].marks != pair[1].marks), "neighbours differ");
    let of = |run: &Run<'_>| {
        let marks: Shown = run.marks.iter().map(|(key, value)| (key.0[0], number(value))).collect();
        std::iter::repeat_n(marks, run.len as usize)
    };
    runs.iter().flat_map(of).collect()
}

fn read<const LEAF: usize, const BLOCK: usize>(text: &Text<LEAF, BLOCK>) -> Vec<(u16, Shown)> {
    let units: Vec<u16> = text.visible_units().iter().collect();
    let shown = shown(&text.runs());
    assert_eq!(units.len(), shown.len());
    units.into_iter().zip(shown).collect()
}

impl<const LEAF: usize, const BLOCK: usize> Replica<LEAF, BLOCK> {
    fn new() -> Self {
        let mut text = Text::default();
        text.record_deltas(true);
        let (numbers, heads) = Default::default();
        Self { text, numbers, heads, off: HashSet::new(), absent: HashSet::new(), mirror: Vec::new() }
    }

    fn read(&self) -> Vec<(u16, Shown)> {
        read(&self.text)
    }

    /// Goes on from a snapshot; a damaged one is refused, or reads as something.
    fn restart(&mut self, rng: &mut Rng) {
        self.listen();
        let (before, mut saved) = (self.read(), Writer::new());
        self.text.save(&mut saved);
        let mut reader = Reader::new(saved.as_slice());
        self.text = Text::load(&mut reader).expect("what was saved loads");
        reader.finish("text").expect("nothing is left over");
        self.text.record_deltas(true);
        assert_eq!(self.read(), before);
        let mut damaged = saved.into_bytes();
        for _ in 0..1 + rng.below(3) {
            let at = rng.below(damaged.len());
            damaged[at] = rng.below(256) as u8;
        }
        if let Ok(text) = Text::<LEAF, BLOCK>::load(&mut Reader::new(&damaged)) {
            let _ = (text.runs().len(), text.to_string());
        }
    }

    fn edit(&mut self, world: &mut World, author: usize, rng: &mut Rng) {
        for _ in 0..1 + rng.below(5) {
            match rng.below(10) {
                0 => self.undone_edits(world, rng),
                1 => self.toggle(world, rng),
                _ => self.edit_once(world, rng),
            }
        }
        self.text.dbg_check();
        self.text.dbg_check_marks(&Seen(&world.dag, &self.numbers));
        if self.text.is_sealed() {
            return;
        }
        let ops = self.text.pending_ops();
        let seen = Seen(&world.dag, &self.numbers);
        self.text.check(&seen, ChangesetIx::OPEN, &ops).expect("own ops are valid");
        while !self.text.is_sealed() {
            let ops = self.text.pending_ops();
            let count = if rng.chance(70) { ops.len() } else { 1 + rng.below(ops.len()) };
            let (content, values) = (self.text.pending_text(count), self.text.pending_values(count));
            let id = world.dag.changesets.len();
            let mut values = values.iter();
            let ops = ops[..count].iter().map(|op| {
                let mut op = self.numbers.to_global(op, id);
                if let Op::Mark { value, .. } = &mut op {
                    *value = number(values.next().expect("each mark has a value"));
                }
                op
            });
            let ops = ops.collect();
            assert!(values.next().is_none());
            let seq = self.numbers.received.len() as u32;
            world.dag.push(self.heads.clone(), (author as u64 * 7 % 5, seq, author as u64), ops, content);
            world.model.add(&world.dag, id);
            self.heads = vec![id];
            self.off.retain(|op| op.0 != id);
            let (changeset, ops) = self.numbers.receive(id, count);
            self.text.seal(changeset, &ops);
        }
        self.text.dbg_check_marks(&Seen(&world.dag, &self.numbers));
    }

    fn edit_once(&mut self, world: &World, rng: &mut Rng) {
        let mut expected = self.read();
        let at = rng.below(expected.len() + 1);
        let seen = Seen(&world.dag, &self.numbers);
        match rng.below(10) {
            _ if expected.is_empty() => self.text.insert(0, "start").expect("it is inside"),
            0..3 => {
                let len = 1 + rng.below(3);
                self.text.insert(at as u32, &"xyz"[..len]).expect("it is inside");
                let read = self.read();
                // All that was typed shows one thing, all else what it did.
                assert!(read[at..at + len].iter().all(|unit| unit.1 == read[at].1));
                expected.splice(at..at, read[at..at + len].iter().cloned());
                assert_eq!(read, expected);
            }
            3 => {
                let marks: Shown =
                    (0..rng.below(3)).map(|_| (rng.below(3) as u8, rng.below(3) as u8)).collect();
                let given: Vec<_> = marks.iter().map(|(key, number)| (name(*key), value(*number))).collect();
                self.text.insert_marked(&seen, at as u32, "m", &given).expect("it is inside");
                let set = marks.into_iter().filter(|(_, number)| *number != 0).collect();
                expected.insert(at, (u16::from(b'm'), set));
            }
            4..6 => {
                let at = rng.below(expected.len());
                let len = (1 + rng.below(4)).min(expected.len() - at);
                self.text.delete(at as u32, len as u32).expect("it is inside");
                expected.drain(at..at + len);
            }
            _ => {
                let start = rng.below(expected.len());
                let end = start + 1 + rng.below(expected.len() - start);
                let (key, given) = (rng.below(3) as u8, rng.below(3) as u8);
                let expand = Expand { before: rng.chance(30), after: rng.chance(60) };
                let range = start as u32..end as u32;
                self.text.mark_range(range, name(key), value(given), expand).expect("it is inside");
                self.text.settle(&seen);
                for (_, marks) in &mut expected[start..end] {
                    marks.remove(&key);
                    if given != 0 {
                        marks.insert(key, given);
                    }
                }
            }
        }
        if !expected.is_empty() {
            assert_eq!(self.read(), expected);
        }
    }

    /// A transaction that throws.
    fn undone_edits(&mut self, world: &World, rng: &mut Rng) {
        let before =
            (self.read(), self.text.pending_ops(), self.text.pending_values(self.text.pending_len()));
        let mark = self.text.mark();
        for _ in 0..rng.below(6) {
            self.edit_once(world, rng);
            if rng.chance(10) {
                self.listen();
            }
        }
        self.text.rollback_marks(&Seen(&world.dag, &self.numbers), &mark);
        self.text.rollback(mark);
        let after = (self.read(), self.text.pending_ops(), self.text.pending_values(self.text.pending_len()));
        assert_eq!(after, before);
    }

    fn receive(&mut self, world: &World, id: usize, rng: &mut Rng) {
        let changeset = &world.dag.changesets[id];
        let (ix, numbers) = self.numbers.receive(id, changeset.ops.len());
        let ops: Vec<UnitOp> = changeset.ops.iter().map(|op| self.numbers.to_local(op)).collect();
        let seen = Seen(&world.dag, &self.numbers);
        self.text.check(&seen, ix, &ops).expect("an honest changeset is valid");
        let late = rng.chance(15);
        let ops: Vec<_> = numbers.into_iter().zip(ops).collect();
        let active = |op| !self.off.contains(&seen.1.op(op));
        self.text.apply(&seen, ix, &ops, (!late).then_some(&*changeset.content), active);
        if late {
            self.absent.insert(id);
        } else {
            self.fill_marks(world, id);
        }
        self.text.settle(&Seen(&world.dag, &self.numbers));
        self.heads.retain(|&head| !world.dag.contains(id, head));
        self.heads.push(id);
    }

    fn fill_marks(&mut self, world: &World, id: usize) {
        for (index, op) in world.dag.changesets[id].ops.iter().enumerate() {
            if let Op::Mark { value: number, .. } = op {
                let op = self.numbers.op_ix((id, index)).expect("it was received");
                assert!(self.text.fill_mark(op, &value(*number)) && !self.text.fill_mark(op, &value(9)));
            }
        }
    }

    /// The content comes.
    fn fill(&mut self, world: &World, id: usize) {
        if self.absent.remove(&id) {
            let content = &world.dag.changesets[id].content;
            assert_eq!(self.text.fill(self.numbers.changeset(id), content), !content.is_empty());
            self.fill_marks(world, id);
            self.text.settle(&Seen(&world.dag, &self.numbers));
        }
    }

    fn toggle(&mut self, world: &World, rng: &mut Rng) {
        for _ in 0..rng.below(5) {
            if let Some(id) = world.dag.changesets.len().checked_sub(1) {
                let id = rng.below(id + 1);
                self.set((id, rng.below(world.dag.changesets[id].ops.len())), rng.chance(50));
            }
        }
        self.text.settle(&Seen(&world.dag, &self.numbers));
    }

    fn set(&mut self, op: (usize, usize), on: bool) {
        let _ = if on { self.off.remove(&op) } else { self.off.insert(op) };
        if let Some(op) = self.numbers.op_ix(op) {
            self.text.set_active(op, on);
        }
    }

    /// The text as any ops make it, and what differs between two such texts.
    fn check_selections(&self, world: &World, rng: &mut Rng) {
        let seen = Seen(&world.dag, &self.numbers);
        let present = |id| !self.absent.contains(&id);
        let select = |rng: &mut Rng| -> HashSet<(usize, usize)> {
            self.numbers.ops.iter().filter(|_| rng.chance(60)).copied().collect()
        };
        let (a, b) = (select(rng), select(rng));
        let [then, now] = [&a, &b].map(|ops| {
            let units = world.model.text(|op| ops.contains(&op), present);
            let shown =
                world.model.shown(&world.dag, |op| ops.contains(&op), present, |a, b| world.dag.newer(a, b));
            let expected: Vec<(u16, Shown)> = units.into_iter().zip(shown).collect();
            let copy = self.text.at(&seen, |op| ops.contains(&self.numbers.op(op)));
            assert_eq!(read(&copy), expected);
            expected
        });
        let (of_a, of_b) = (|op| a.contains(&self.numbers.op(op)), |op| b.contains(&self.numbers.op(op)));
        let mut turned = then;
        apply(&mut turned, &self.text.diff(&seen, of_a, of_b));
        assert_eq!(turned, now);
    }

    fn listen(&mut self) {
        let deltas = self.text.drain_deltas();
        apply(&mut self.mirror, &deltas);
    }

    fn check(&mut self, world: &World) {
        self.text.dbg_check();
        self.text.dbg_check_marks(&Seen(&world.dag, &self.numbers));
        let present = |id| !self.absent.contains(&id);
        let counts = |op: (usize, usize)| self.numbers.has(op.0) && !self.off.contains(&op);
        let units = world.model.text(counts, present);
        let shown = world.model.shown(&world.dag, counts, present, |a, b| world.dag.newer(a, b));
        let expected: Vec<(u16, Shown)> = units.into_iter().zip(shown).collect();
        assert_eq!(self.read(), expected);
        self.listen();
        assert_eq!(self.mirror, expected);
    }
}

fn apply(mirror: &mut Vec<(u16, Shown)>, deltas: &Deltas) {
    let (mut units, mut marks) = (deltas.content.iter(), deltas.marks.iter().peekable());
    for at in 0..=deltas.changes.len() {
        while let Some(MarkDelta { pos, len, key, value, .. }) =
            marks.next_if(|mark| mark.after as usize == at)
        {
            for (_, marks) in &mut mirror[*pos as usize..(pos + len) as usize] {
                marks.remove(&key.0[0]);
                marks.extend(value.as_ref().map(|value| (key.0[0], number(value))));
            }
        }
        let Some(&Delta { pos, removed, inserted, .. }) = deltas.changes.get(at) else { break };
        let (start, end) = (pos as usize, (pos + removed) as usize);
        let plain = units.by_ref().take(inserted as usize).map(|unit| (unit, Shown::new()));
        mirror.splice(start..end, plain);
    }
    assert!(units.next().is_none() && marks.next().is_none());
}

fn round<const LEAF: usize, const BLOCK: usize>(seed: u64, steps: usize) {
    let mut rng = Rng::new(seed);
    let mut world = World::default();
    let mut replicas: Vec<Replica<LEAF, BLOCK>> = (0..2 + rng.below(3)).map(|_| Replica::new()).collect();
    for _ in 0..steps {
        let author = rng.below(replicas.len());
        let replica = &mut replicas[author];
        match rng.below(100) {
            0..45 => replica.edit(&mut world, author, &mut rng),
            45..80 => {
                let mut left = if rng.chance(50) { usize::MAX } else { 1 + rng.below(3) };
                while left > 0 {
                    let end = world.dag.changesets.len();
                    let Some(id) = replica.numbers.next(&world.dag, end, &mut rng) else { break };
                    replica.receive(&world, id, &mut rng);
                    left -= 1;
                }
            }
            80..92 => replica.toggle(&world, &mut rng),
            _ => {
                let absent: Vec<usize> = replica.absent.iter().copied().collect();
                absent.into_iter().for_each(|id| replica.fill(&world, id));
            }
        }
        replica.check(&world);
        if rng.chance(10) {
            replica.check_selections(&world, &mut rng);
            replica.restart(&mut rng);
            replica.check(&world);
        }
    }
    let off = replicas[0].off.clone();
    replicas.push(Replica::new());
    for replica in &mut replicas {
        while let Some(id) = replica.numbers.next(&world.dag, world.dag.changesets.len(), &mut rng) {
            replica.receive(&world, id, &mut rng);
        }
        for id in 0..world.dag.changesets.len() {
            for op in 0..world.dag.changesets[id].ops.len() {
                replica.set((id, op), !off.contains(&(id, op)));
            }
            replica.fill(&world, id);
        }
        replica.text.settle(&Seen(&world.dag, &replica.numbers));
        replica.check(&world);
    }
    assert!(replicas.windows(2).all(|pair| pair[0].read() == pair[1].read()));
}

#[test]
fn small_nodes() {
    fuzz(300, |seed| round::<4, 4>(seed, 40));
}

#[test]
fn full_nodes() {
    fuzz(150, |seed| round::<32, 64>(seed, 40));
}

#[test]
fn long_histories() {
    fuzz(6, |seed| round::<4, 4>(seed.wrapping_add(1 << 32), 250));
}
