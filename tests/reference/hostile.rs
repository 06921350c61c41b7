//! Changesets by authors who write whatever they like about a text, with marks, or a list.
#![allow(dead_code)]

use super::dag::{Dag, End, Numbers, Op, UnitId};
use super::reference::{Model, Unit};
use super::rng::Rng;
use std::collections::HashSet;
use stemma::crdt::UnitOp;
use stemma::event::{Number, Value};

/// Units of ASCII, or of characters of which some have two, as many as a changeset here can insert.
fn letters(rng: &mut Rng, wide: bool) -> Vec<u16> {
    let alphabet: Vec<char> = if wide { "aé中😀😀" } else { "abcdefghij" }.chars().collect();
    (0..CHANGESET_MAX).flat_map(|_| rng.pick(&alphabet).encode_utf16(&mut [0; 2]).to_vec()).collect()
}

/// The most ops of a changeset, times the most units of one.
const CHANGESET_MAX: usize = 3 * 4;

/// Changesets with random parents, forks of one chain included, and ops of which perhaps half mean something, with moves
/// of elements, or else with marks. Returns the model of those that do.
pub fn hostile_graph(rng: &mut Rng, size: usize, moves: bool) -> (Dag, Model, HashSet<usize>) {
    let (mut dag, mut model, mut valid) = (Dag::default(), Model::default(), HashSet::new());
    let wide = !moves && rng.chance(50);
    for id in 0..size {
        let mut parents: Vec<usize> =
            (0..1 + rng.below(3)).map(|_| id.saturating_sub(1 + rng.below(8))).collect();
        parents.sort_unstable();
        parents.dedup();
        parents.retain(|&parent| parent < id);
        let key = (rng.below(3) as u64, rng.below(4) as u32, rng.next());
        dag.push(parents, key, Vec::new(), String::new());
        let mut ops = Vec::new();
        let (mut trial, mut offset, mut possible) = (model.clone(), 0, true);
        let (mut deleted, letters) = (HashSet::new(), letters(rng, wide));
        for index in 0..1 + rng.below(3) {
            let op = random_op(rng, &dag, &trial, id, moves);
            let seen = |other| dag.contains(id, other);
            possible = possible && trial.is_possible(&op, seen);
            if let Op::Delete { spans } = &op {
                let units = |&(id, offset, len): &(usize, u32, u32)| {
                    (0..len.min(10)).map(move |at| (id, u64::from(offset) + u64::from(at)))
                };
                possible = spans.iter().flat_map(units).all(|unit| deleted.insert(unit)) && possible;
            }
            if possible {
                offset += trial.add_op(&dag, (id, index), &op, offset, &letters[offset as usize..]);
            }
            ops.push(op);
        }
        // The ops of a changeset may cut a pair between them, its content as a whole cannot.
        let last = trial.units.last_mut().filter(|unit| unit.id.0 == id);
        if let Some(last) = last.filter(|last| (0xD800..0xDC00).contains(&last.value)) {
            last.value = u16::from(b'z');
        }
        let is_content = |unit: &&Unit| unit.id.0 == id && !trial.moves.contains_key(&unit.op);
        let content: Vec<u16> = trial.units.iter().filter(is_content).map(|unit| unit.value).collect();
        dag.changesets[id].ops = ops;
        dag.changesets[id].content = String::from_utf16(&content).expect("no pair is cut at its end");
        if possible {
            model = trial;
            valid.insert(id);
        }
    }
    (dag, model, valid)
}

/// Mostly neighbours in what the author has seen, sometimes anything.
fn random_op(rng: &mut Rng, dag: &Dag, model: &Model, id: usize, moves: bool) -> Op {
    let all: Vec<UnitId> = model.order.iter().map(|&unit| model.units[unit].id).collect();
    let seen: Vec<UnitId> = all.iter().copied().filter(|unit| dag.contains(id, unit.0)).collect();
    let any = |rng: &mut Rng| match rng.below(8) {
        0 => None,
        1 => Some((rng.below(id + 1), rng.below(6) as u32)),
        2 => Some((rng.below(id + 1), u32::MAX - rng.below(2) as u32)),
        3 if !all.is_empty() => Some(*rng.pick(&all)),
        _ if !seen.is_empty() => Some(*rng.pick(&seen)),
        _ => None,
    };
    if rng.chance(25) {
        let spans = (0..rng.below(20).min(2) + usize::from(rng.chance(95))).map(|_| {
            let (id, offset) = any(rng).unwrap_or((id, 0));
            let len = if rng.chance(2) { u32::MAX - 3 } else { rng.below(20).min(1) as u32 };
            (id, offset, len)
        });
        return Op::Delete { spans: spans.collect() };
    }
    if !moves && rng.chance(25) {
        let end = |rng: &mut Rng| (any(rng), rng.chance(50));
        let (mut start, mut end) = (end(rng), end(rng));
        let place = |end: &End| end.0.and_then(|unit| seen.iter().position(|other| *other == unit));
        if rng.chance(80) && place(&start) > place(&end) {
            (start, end) = (end, start);
        }
        return Op::Mark { start, end, key: rng.below(2) as u8, value: rng.below(3) as u8 };
    }
    let len = if rng.chance(3) { 0 } else { 1 + rng.below(4) as u32 };
    let at = rng.below(seen.len() + 1);
    let (mut left, mut right) = (at.checked_sub(1).map(|at| seen[at]), seen.get(at).copied());
    match rng.below(40) {
        0 => (left, right) = (right, left),
        1 => left = any(rng),
        2 => right = any(rng),
        3 => right = left,
        4 => right = seen.get(at + 1).copied(),
        _ => {}
    }
    match moves && rng.chance(40) {
        true => Op::Move { element: any(rng).unwrap_or((id, 0)), left, right },
        false => Op::Insert { left, right, len },
    }
}

/// An op in local terms; what the replica has not received is named by a number it does not know.
pub fn to_local(numbers: &Numbers, op: &Op) -> Option<UnitOp> {
    let known = |id: usize| numbers.has(id);
    op.names_only(known).then(|| numbers.to_local(op))
}

/// What the content says of an op, if it is a mark.
pub fn value_of(op: &Op) -> Option<Value> {
    let Op::Mark { value, .. } = op else { return None };
    Some(if *value == 0 { Value::Null } else { Value::Number(Number::new((*value).into()).expect("finite")) })
}
