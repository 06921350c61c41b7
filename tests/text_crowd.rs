//! Crowds: many who type into the same few gaps, most of them knowing little of each other, some building on others,
//! some claiming neighbours that they know to be none. Against the naive model of `reference/text.rs`, at sizes of node
//! at which a crowd is soon indexed.

#[path = "reference/dag.rs"]
mod dag;
#[path = "reference/text.rs"]
mod reference;
#[path = "reference/rng.rs"]
mod rng;

use dag::{Dag, Numbers, Op, Seen, UnitId};
use reference::Model;
use rng::{Rng, fuzz};
use std::cell::Cell;
use std::collections::HashSet;
use stemma::causal::OpIx;
use stemma::crdt::{Text, UnitOp};

struct World {
    dag: Dag,
    model: Model,
    valid: HashSet<usize>,
}

/// A base, then changesets of one insert each, by authors who know the base and perhaps a little more.
fn crowded(rng: &mut Rng, size: usize) -> World {
    let mut world = World { dag: Dag::default(), model: Model::default(), valid: HashSet::new() };
    add(&mut world, rng, vec![], Op::Insert { left: None, right: None, len: 3 });
    for id in 1..size {
        let mut parents = vec![if rng.chance(70) { 0 } else { rng.below(id) }];
        if rng.chance(15) {
            parents.push(rng.below(id));
        }
        parents.sort_unstable();
        parents.dedup();
        let mut probe = world.dag.clone();
        probe.push(parents.clone(), (0, 0, 0), vec![], String::new());
        let seen: Vec<UnitId> = world.model.order.iter().map(|&unit| world.model.units[unit].id).collect();
        let seen: Vec<UnitId> = seen.into_iter().filter(|unit| probe.contains(id, unit.0)).collect();
        // Mostly the first gap of the base; else anywhere.
        let base = seen.iter().position(|&unit| unit == (0, 0)).expect("all know the base");
        let at = if rng.chance(60) { base + 1 } else { rng.below(seen.len() + 1) };
        let mut op = Op::Insert {
            left: at.checked_sub(1).map(|at| seen[at]),
            right: seen.get(at).copied(),
            len: 1 + rng.below(3) as u32,
        };
        if rng.chance(10) {
            op = Op::Insert { left: Some((0, 0)), right: Some((0, 1)), len: 1 };
        }
        add(&mut world, rng, parents, op);
    }
    world
}

fn add(world: &mut World, rng: &mut Rng, parents: Vec<usize>, op: Op) {
    let Op::Insert { len, .. } = op else { unreachable!("all are inserts") };
    let id = world.dag.changesets.len();
    let letter = char::from(b'a' + (id % 26) as u8).to_string();
    // Few authors, so that the number in the chain and the hash decide too.
    let key = (rng.below(12) as u64, rng.below(3) as u32, rng.next());
    world.dag.push(parents, key, vec![op.clone()], letter.repeat(len as usize));
    if world.model.is_possible(&op, |past| past != id && world.dag.contains(id, past)) {
        world.valid.insert(id);
        world.model.add(&world.dag, id);
    }
}

fn round<const LEAF: usize, const BLOCK: usize>(seed: u64, size: usize) -> usize {
    let mut rng = Rng::new(seed);
    let world = crowded(&mut rng, size);
    let mut crowds = 0;
    for _ in 0..3 {
        let (mut text, mut numbers) = (Text::<LEAF, BLOCK>::default(), Numbers::default());
        let (mut off, mut valid) = (HashSet::new(), HashSet::new());
        while let Some(id) = numbers.next(&world.dag, size, &mut rng) {
            let (ix, ops) = numbers.receive(id, 1);
            let Op::Insert { left, right, .. } = &world.dag.changesets[id].ops[0] else { continue };
            // What its author did not know may not be here: the border refuses that.
            if [left, right].into_iter().flatten().any(|unit| !numbers.has(unit.0)) {
                continue;
            }
            let op: UnitOp = numbers.to_local(&world.dag.changesets[id].ops[0]);
            let seen = Seen(&world.dag, &numbers);
            if text.check(&seen, ix, std::slice::from_ref(&op)).is_err() {
                continue;
            }
            valid.insert(id);
            if rng.chance(20) {
                off.insert((id, 0));
            }
            let active = !off.contains(&(id, 0));
            text.apply(&seen, ix, &[(ops[0], op)], Some(&world.dag.changesets[id].content), |_| active);
            if rng.chance(20) {
                let op = rng.below(numbers.ops.len());
                let on = off.remove(&numbers.ops[op]) || !off.insert(numbers.ops[op]);
                text.set_active(OpIx(op as u32), on);
            }
            text.dbg_check();
        }
        assert_eq!(valid, world.valid);
        let expected = world.model.text(|op| !off.contains(&op), |_| true);
        assert_eq!(text.visible_units().iter().collect::<Vec<_>>(), expected);
        (0..numbers.ops.len()).for_each(|op| text.set_active(OpIx(op as u32), true));
        assert_eq!(text.visible_units().iter().collect::<Vec<_>>(), world.model.text(|_| true, |_| true));
        crowds += text.dbg_crowds();
    }
    crowds
}

/// Runs the rounds, and demands that what they are about happened.
fn crowds_converge<const LEAF: usize, const BLOCK: usize>(rounds: u64, size: usize) {
    let crowds = Cell::new(0);
    fuzz(rounds, |seed| crowds.set(crowds.get() + round::<LEAF, BLOCK>(seed, size)));
    assert!(crowds.get() > 0 || std::env::var_os("SEED").is_some(), "no gap was indexed");
}

#[test]
fn small_crowds_converge() {
    crowds_converge::<4, 4>(300, 40);
}

#[test]
fn crowds_in_full_nodes_converge() {
    crowds_converge::<32, 64>(4, 250);
}
