//! Random histories of replicas that edit, merge, switch ops off and on, and lose and get content, against the naive
//! model of `reference/text.rs`.

#[path = "reference/dag.rs"]
mod dag;
#[path = "reference/text.rs"]
mod reference;
#[path = "reference/rng.rs"]
mod rng;

use dag::{Dag, Numbers, Op, Seen};
use reference::Model;
use rng::{Rng, fuzz};
use std::collections::HashSet;
use stemma::causal::ChangesetIx;
use stemma::codec::{Reader, Saved, Writer};
use stemma::crdt::{Anchor, Bias, Delta, Deltas, Text, UnitOp};

/// What happened everywhere, and what it should mean.
#[derive(Default)]
struct World {
    dag: Dag,
    model: Model,
    wide: bool,
}

/// One replica.
#[derive(Clone)]
struct Replica<const LEAF: usize, const BLOCK: usize> {
    text: Text<LEAF, BLOCK>,
    numbers: Numbers,
    heads: Vec<usize>,
    /// Ops switched off, received or not.
    off: HashSet<(usize, usize)>,
    /// Changesets whose content is missing here.
    absent: HashSet<usize>,
    /// A mirror of the text, kept up by deltas only.
    mirror: Vec<u16>,
}

impl<const LEAF: usize, const BLOCK: usize> Replica<LEAF, BLOCK> {
    fn new() -> Self {
        let mut text = Text::default();
        text.record_deltas(true);
        let (numbers, heads) = Default::default();
        Self { text, numbers, heads, off: HashSet::new(), absent: HashSet::new(), mirror: Vec::new() }
    }

    /// Goes on from a snapshot.
    fn restart(&mut self) {
        let mut saved = Writer::new();
        self.text.save(&mut saved);
        let mut reader = Reader::new(saved.as_slice());
        self.text = Text::load(&mut reader).expect("what was saved loads");
        reader.finish("text").expect("nothing is left over");
        self.text.record_deltas(true);
        let mut again = Writer::new();
        self.text.save(&mut again);
        let mut reader = Reader::new(again.as_slice());
        Text::<LEAF, BLOCK>::load(&mut reader).expect("what was saved loads").dbg_check();
    }

    fn visible(&self) -> Vec<u16> {
        self.text.visible_units().iter().collect()
    }

    /// Edits, checks each step against a plain vector, and seals into the graph.
    fn edit(&mut self, world: &mut World, author: usize, rng: &mut Rng) {
        for _ in 0..1 + rng.below(4) {
            match rng.below(10) {
                0 => self.undone_edits(world, rng),
                1 => self.toggle(world, rng),
                _ => self.edit_once(world, rng),
            }
            self.text.dbg_check();
        }
        if self.text.is_sealed() {
            return;
        }
        let ops = self.text.pending_ops();
        self.text
            .check(&Seen(&world.dag, &self.numbers), ChangesetIx::OPEN, &ops)
            .expect("own ops are valid");
        // Sometimes one batch becomes several changesets.
        while !self.text.is_sealed() {
            let ops = self.text.pending_ops();
            let count = if rng.chance(80) { ops.len() } else { 1 + rng.below(ops.len()) };
            let content = self.text.pending_text(count);
            let id = world.dag.changesets.len();
            let ops: Vec<Op> = ops[..count].iter().map(|op| self.numbers.to_global(op, id)).collect();
            let seq = self.numbers.received.len() as u32;
            world.dag.push(self.heads.clone(), (author as u64 * 7 % 5, seq, author as u64), ops, content);
            world.model.add(&world.dag, id);
            self.heads = vec![id];
            self.off.retain(|op| op.0 != id);
            let (changeset, ops) = self.numbers.receive(id, count);
            self.text.seal(changeset, &ops);
            self.text.dbg_check();
        }
    }

    fn edit_once(&mut self, world: &World, rng: &mut Rng) {
        let mut expected = self.visible();
        let cuts = |text: &[u16], at: usize| {
            at > 0
                && at < text.len()
                && (0xD800..0xDC00).contains(&text[at - 1])
                && (0xDC00..0xE000).contains(&text[at])
        };
        if expected.is_empty() || rng.chance(60) {
            let at = if rng.chance(30) { 0 } else { rng.below(expected.len() + 1) };
            let letters = if world.wide { "abcdefgh é😀" } else { "abcdefgh " };
            let letters: Vec<char> = letters.chars().collect();
            let s: String = (0..1 + rng.below(4)).map(|_| *rng.pick(&letters)).collect();
            self.text.insert(at as u32, &s).expect("it is inside");
            let at = at - usize::from(cuts(&expected, at));
            expected.splice(at..at, s.encode_utf16());
        } else {
            let at = rng.below(expected.len());
            let len = (1 + rng.below(4)).min(expected.len() - at);
            self.text.delete(at as u32, len as u32).expect("it is inside");
            let end = at + len + usize::from(cuts(&expected, at + len));
            expected.drain(at - usize::from(cuts(&expected, at))..end);
        }
        assert_eq!(self.visible(), expected);
    }

    /// A transaction that throws.
    fn undone_edits(&mut self, world: &World, rng: &mut Rng) {
        let before = (self.visible(), self.text.pending_ops());
        let mark = self.text.mark();
        for _ in 0..rng.below(6) {
            self.edit_once(world, rng);
        }
        self.text.rollback(mark);
        assert_eq!((self.visible(), self.text.pending_ops()), before);
    }

    fn receive(&mut self, world: &World, id: usize, rng: &mut Rng) {
        let changeset = &world.dag.changesets[id];
        let (ix, numbers) = self.numbers.receive(id, changeset.ops.len());
        let ops: Vec<UnitOp> = changeset.ops.iter().map(|op| self.numbers.to_local(op)).collect();
        let seen = Seen(&world.dag, &self.numbers);
        self.text.check(&seen, ix, &ops).expect("an honest changeset is valid");
        let unfit = format!("{}?", changeset.content);
        let content = match rng.below(20) {
            0 => None,
            1 => Some(unfit.as_str()),
            _ => Some(changeset.content.as_str()),
        };
        let ops: Vec<_> = numbers.into_iter().zip(ops).collect();
        let active = |op| !self.off.contains(&seen.1.op(op));
        self.text.apply(&seen, ix, &ops, content, active);
        if content != Some(&changeset.content) && !changeset.content.is_empty() {
            self.absent.insert(id);
        }
        self.heads.retain(|&head| !world.dag.contains(id, head));
        self.heads.push(id);
    }

    fn toggle(&mut self, world: &World, rng: &mut Rng) {
        if world.dag.changesets.is_empty() {
            return;
        }
        let id = rng.below(world.dag.changesets.len());
        let op = (id, rng.below(world.dag.changesets[id].ops.len()));
        let on = rng.chance(50);
        self.set(op, on);
    }

    fn set(&mut self, op: (usize, usize), on: bool) {
        if on {
            self.off.remove(&op)
        } else {
            !self.off.insert(op)
        };
        if let Some(op) = self.numbers.op_ix(op) {
            self.text.set_active(op, on);
        }
    }

    /// Loses or gets content.
    fn switch_content(&mut self, world: &World, rng: &mut Rng) {
        if self.numbers.received.is_empty() {
            return;
        }
        let id = *rng.pick(&self.numbers.received);
        let content = &world.dag.changesets[id].content;
        let ix = self.numbers.changeset(id);
        if content.is_empty() {
            assert!(!self.text.wipe(ix) && !self.text.fill(ix, ""));
        } else if self.absent.remove(&id) {
            assert!(!self.text.wipe(ix) && !self.text.fill(ix, &format!("{content}!")));
            assert!(self.text.fill(ix, content));
        } else {
            assert!(!self.text.fill(ix, content) && self.text.wipe(ix));
            self.absent.insert(id);
        }
    }

    fn counts(&self, op: (usize, usize)) -> bool {
        self.numbers.has(op.0) && !self.off.contains(&op)
    }

    fn check(&mut self, world: &World) {
        self.text.dbg_check();
        let present = |id| !self.absent.contains(&id);
        let expected = world.model.text(|op| self.counts(op), present);
        assert_eq!(self.visible(), expected);
        assert_eq!(self.text.len() as usize, expected.len());
        let deltas = self.text.drain_deltas();
        apply(&mut self.mirror, &deltas);
        assert_eq!(self.mirror, expected);
    }

    /// Everything that can be read.
    fn check_reads(&self, world: &World, rng: &mut Rng) {
        let present = |id| !self.absent.contains(&id);
        let shows = world.model.shows(|op| self.counts(op), present);
        self.check_text(&self.text, &shows, world, rng);
        let select = |rng: &mut Rng| -> HashSet<_> {
            self.numbers.ops.iter().filter(|_| rng.chance(60)).copied().collect()
        };
        let (a, b) = (select(rng), select(rng));
        let (text_a, text_b) = (
            world.model.text(|op| a.contains(&op), present),
            world.model.text(|op| b.contains(&op), present),
        );
        assert_eq!(
            self.text.read_at(|op| a.contains(&self.numbers.op(op))),
            String::from_utf16_lossy(&text_a)
        );
        let seen = Seen(&world.dag, &self.numbers);
        let diff = self.text.diff(
            &seen,
            |op| a.contains(&self.numbers.op(op)),
            |op| b.contains(&self.numbers.op(op)),
        );
        let mut turned = text_a;
        apply(&mut turned, &diff);
        assert_eq!(turned, text_b);
        let copy = self.text.at(&seen, |op| a.contains(&self.numbers.op(op)));
        self.check_text(&copy, &world.model.shows(|op| a.contains(&op), present), world, rng);
    }

    /// Everything that can be read of a text in which these units show.
    fn check_text(&self, text: &Text<LEAF, BLOCK>, shows: &[(usize, bool)], world: &World, rng: &mut Rng) {
        let shown = shows.iter().filter(|(_, shown)| *shown);
        let expected: Vec<u16> = shown.map(|(unit, _)| world.model.units[*unit].value).collect();
        assert_eq!(text.visible_units().iter().collect::<Vec<_>>(), expected);
        assert_eq!(text.len() as usize, expected.len());
        let (mut pos, mut authors) = (0, Vec::<(u32, ChangesetIx)>::new());
        for &(unit, shown) in shows {
            let id = world.model.units[unit].id;
            if !self.numbers.has(id.0) {
                continue;
            }
            let unit = self.numbers.unit(id);
            assert_eq!(text.position(Anchor::Unit { unit, bias: Bias::Before }), Some(pos));
            if shown {
                assert_eq!(text.anchor_at(pos, Bias::Before), Ok(Anchor::Unit { unit, bias: Bias::Before }));
                assert_eq!(
                    text.anchor_at(pos + 1, Bias::After),
                    Ok(Anchor::Unit { unit, bias: Bias::After })
                );
                match authors.last_mut() {
                    Some((len, changeset)) if *changeset == unit.changeset => *len += 1,
                    _ => authors.push((1, unit.changeset)),
                }
                pos += 1;
            }
            assert_eq!(text.position(Anchor::Unit { unit, bias: Bias::After }), Some(pos));
        }
        assert_eq!(text.authorship(), authors);
        let units: Vec<u16> = text.visible_units().iter().collect();
        let (start, end) = (rng.below(units.len() + 1), rng.below(units.len() + 1));
        let (start, end) = (start.min(end), start.max(end));
        assert_eq!(text.slice(start as u32..end as u32), Ok(String::from_utf16_lossy(&units[start..end])));
    }
}

fn apply(mirror: &mut Vec<u16>, deltas: &Deltas) {
    let mut units = deltas.content.iter();
    for &Delta { pos, removed, inserted, .. } in &deltas.changes {
        let (start, end) = (pos as usize, (pos + removed) as usize);
        mirror.splice(start..end, units.by_ref().take(inserted as usize));
    }
    assert_eq!(units.next(), None);
}

fn round<const LEAF: usize, const BLOCK: usize>(seed: u64, steps: usize) {
    let mut rng = Rng::new(seed);
    let mut world = World { wide: rng.chance(50), ..World::default() };
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
                replica.set((id, op), !off.contains(&(id, op)));
            }
            if replica.absent.remove(&id) {
                assert!(replica.text.fill(replica.numbers.changeset(id), &world.dag.changesets[id].content));
            }
        }
        replica.check(&world);
        replica.check_reads(&world, &mut rng);
    }
    assert!(replicas.windows(2).all(|pair| pair[0].visible() == pair[1].visible()));
    // With every unit shown, the reads check the order of all of them.
    let last = replicas.last_mut().expect("there is one");
    for id in 0..world.dag.changesets.len() {
        for (at, op) in world.dag.changesets[id].ops.iter().enumerate() {
            last.set((id, at), matches!(op, Op::Insert { .. }));
        }
    }
    last.check(&world);
    assert_eq!(last.text.len() as usize, world.model.units.len());
    last.check_reads(&world, &mut rng);
}

#[test]
fn small_nodes() {
    fuzz(250, |seed| round::<4, 4>(seed, 60));
}

#[test]
fn full_nodes() {
    fuzz(150, |seed| round::<32, 64>(seed, 60));
}

#[test]
fn long_histories() {
    fuzz(8, |seed| round::<4, 4>(seed.wrapping_add(1 << 32), 300));
}

/// One author without a graph: the local path alone, far deeper than the others.
#[test]
fn local_edits() {
    fuzz(20, |seed| {
        let mut rng = Rng::new(seed);
        let mut text = Text::<4, 4>::default();
        text.record_deltas(true);
        let (mut expected, mut mirror, mut ops, mut changesets) = (Vec::<u16>::new(), Vec::new(), 0, 0);
        for step in 0..2000 {
            let at = rng.below(expected.len() + 1);
            if rng.chance(if expected.len() > 300 { 30 } else { 65 }) {
                let letter = char::from(b'a' + (step % 26) as u8);
                text.insert(at as u32, letter.encode_utf8(&mut [0; 4])).expect("it is inside");
                expected.insert(at, letter as u16);
            } else {
                let len = rng.below(5).min(expected.len() - at);
                text.delete(at as u32, len as u32).expect("it is inside");
                expected.drain(at..at + len);
            }
            if rng.chance(5) {
                let mark = text.mark();
                let before = text.pending_ops();
                for _ in 0..rng.below(40) {
                    text.insert(rng.below(text.len() as usize + 1) as u32, "xyz").expect("it is inside");
                    text.delete(rng.below(text.len() as usize) as u32, 1).expect("it is inside");
                }
                text.rollback(mark);
                assert_eq!(text.pending_ops(), before);
            }
            if rng.chance(5) {
                let count = text.pending_ops().len() as u32;
                text.seal(
                    ChangesetIx(changesets),
                    &(ops..ops + count).map(stemma::causal::OpIx).collect::<Vec<_>>(),
                );
                (ops, changesets) = (ops + count, changesets + 1);
            }
            if step % 10 == 0 {
                text.dbg_check();
                assert_eq!(text.visible_units().iter().collect::<Vec<_>>(), expected);
                apply(&mut mirror, &text.drain_deltas());
                assert_eq!(mirror, expected);
            }
        }
    });
}
