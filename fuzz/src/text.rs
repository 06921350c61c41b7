//! Text ops by any author, marks among them: no panic, the same ones refused by all, one text that shows the same, and that
//! of the naive model.

use crate::Input;
use crate::dag::{Changeset, Dag, Numbers, Op, Seen, UnitId};
use crate::reference::Model;
use crate::rng::Rng;
use std::collections::{BTreeMap, HashSet};
use stemma::crdt::{Text, UnitOp};
use stemma::event::Value;

/// A graph of at most 24 changesets, received in three orders.
pub fn text(data: &[u8]) {
    let mut input = Input(data);
    let seed = input.short() as u64;
    let (mut dag, mut model, mut valid) = (Dag::default(), Model::default(), HashSet::new());
    while !input.is_empty() && dag.changesets.len() < 24 {
        let id = dag.changesets.len();
        let mut parents: Vec<usize> =
            (0..input.below(3)).filter_map(|_| id.checked_sub(1 + input.below(8))).collect();
        parents.sort_unstable();
        parents.dedup();
        dag.push(parents, (input.below(4) as u64, input.below(4) as u32, id as u64), vec![], String::new());
        let (mut trial, mut offset, mut possible) = (model.clone(), 0, true);
        let (mut ops, mut deleted) = (Vec::new(), HashSet::new());
        for index in 0..1 + input.below(3) {
            let op = op(&mut input, &dag, &trial, id);
            possible = possible && trial.is_possible(&op, |other| dag.contains(id, other));
            if let Op::Delete { spans } = &op {
                let mut units = spans.iter().flat_map(|&(id, offset, len)| {
                    (0..len.min(9)).map(move |at| (id, u64::from(offset) + u64::from(at)))
                });
                possible = units.all(|unit| deleted.insert(unit)) && possible;
            }
            if possible {
                let values = [u16::from(b'a') + id as u16; 4];
                offset += trial.add_op(&dag, (id, index), &op, offset, &values);
            }
            ops.push(op);
        }
        dag.changesets[id].ops = ops;
        dag.changesets[id].content = char::from(b'a' + id as u8).to_string().repeat(offset as usize);
        if possible {
            model = trial;
            valid.insert(id);
        }
    }
    let shown = model.shown(&dag, |_| true, |_| true, |a, b| dag.newer(a, b));
    let expected: Vec<(u16, Shown)> = model.text(|_| true, |_| true).into_iter().zip(shown).collect();
    for order in 0..2 {
        receive::<4, 4>(&dag, &valid, &expected, seed + order);
    }
    receive::<32, 64>(&dag, &valid, &expected, seed);
}

/// Neighbours in what the author has seen, or anything at all.
fn op(input: &mut Input<'_>, dag: &Dag, model: &Model, id: usize) -> Op {
    let known: Vec<UnitId> = model.order.iter().map(|&unit| model.units[unit].id).collect();
    let known: Vec<UnitId> = known.into_iter().filter(|unit| dag.contains(id, unit.0)).collect();
    let any = |input: &mut Input<'_>| match input.byte() {
        255 => (input.below(id + 1), u32::MAX - u32::from(input.byte())),
        128.. => (input.below(id + 1), u32::from(input.byte() % 8)),
        at if known.is_empty() => (id, u32::from(at)),
        at => known[usize::from(at) % known.len()],
    };
    let kind = input.byte();
    if kind < 64 {
        let spans = (0..input.below(4)).map(|_| {
            let (id, offset) = any(input);
            (
                id,
                offset,
                match input.byte() {
                    255 => u32::MAX,
                    len => u32::from(len % 4),
                },
            )
        });
        return Op::Delete { spans: spans.collect() };
    }
    let at = input.below(known.len() + 1);
    let (mut left, mut right) = (at.checked_sub(1).map(|at| known[at]), known.get(at).copied());
    match kind {
        64..70 => left = Some(any(input)),
        70..76 => right = Some(any(input)),
        76..80 => (left, right) = (right, left),
        80..84 => left = None,
        84..88 => right = None,
        88..112 => {
            let (left, right) = (left.filter(|_| kind < 108), right.filter(|_| kind < 108));
            let other = if kind.is_multiple_of(3) { right } else { Some(any(input)) };
            let (start, end) = ((left, kind.is_multiple_of(2)), (other, input.byte().is_multiple_of(2)));
            return Op::Mark { start, end, key: kind % 5 / 3, value: input.byte() % 3 };
        }
        _ => {}
    }
    Op::Insert { left, right, len: u32::from(input.byte() % 5) }
}

fn receive<const LEAF: usize, const BLOCK: usize>(
    dag: &Dag,
    valid: &HashSet<usize>,
    expected: &[(u16, Shown)],
    seed: u64,
) {
    let mut rng = Rng::new(seed);
    let (mut text, mut numbers) = (Text::<LEAF, BLOCK>::default(), Numbers::default());
    let mut accepted = HashSet::new();
    while let Some(id) = numbers.next(dag, dag.changesets.len(), &mut rng) {
        let Changeset { ops, content, .. } = &dag.changesets[id];
        let (ix, op_ixs) = numbers.receive(id, ops.len());
        // What is not here is outside the causal past: the border refuses it.
        if !ops.iter().all(|op| op.names_only(|id| numbers.has(id))) {
            continue;
        }
        let values: Vec<Option<Value>> = ops.iter().map(value_of).collect();
        let ops: Vec<UnitOp> = ops.iter().map(|op| numbers.to_local(op)).collect();
        let seen = Seen(dag, &numbers);
        if text.check(&seen, ix, &ops).is_ok() {
            accepted.insert(id);
            let ops: Vec<_> = op_ixs.into_iter().zip(ops).collect();
            text.apply(&seen, ix, &ops, Some(content), |_| true);
            for ((op, _), value) in ops.iter().zip(values) {
                assert!(value.is_none_or(|value| text.fill_mark(*op, &value)));
            }
            text.settle(&seen);
        }
    }
    let seen = Seen(dag, &numbers);
    text.dbg_check();
    text.dbg_check_marks(&seen);
    assert_eq!(accepted, *valid);
    assert_eq!(read(&text), expected);
    // Off and on again, each op.
    for op in 0..numbers.ops.len() as u32 {
        text.set_active(stemma::causal::OpIx(op), false);
    }
    text.settle(&seen);
    assert!(text.is_empty() && text.runs().is_empty());
    for op in (0..numbers.ops.len() as u32).rev() {
        text.set_active(stemma::causal::OpIx(op), true);
    }
    text.settle(&seen);
    text.dbg_check();
    assert_eq!(read(&text), expected);
}

/// What a unit shows: by key.
type Shown = BTreeMap<u8, u8>;

fn read<const LEAF: usize, const BLOCK: usize>(text: &Text<LEAF, BLOCK>) -> Vec<(u16, Shown)> {
    let shown = text.runs().into_iter().flat_map(|run| {
        let number = |value: &Value| match value {
            Value::Number(number) => number.get() as u8,
            _ => 0,
        };
        let marks: Shown = run.marks.iter().map(|(key, value)| (key.0[0], number(value))).collect();
        std::iter::repeat_n(marks, run.len as usize)
    });
    text.visible_units().iter().zip(shown).collect()
}

/// What the content says of an op, if it is a mark.
fn value_of(op: &Op) -> Option<Value> {
    let Op::Mark { value, .. } = op else { return None };
    Some(if *value == 0 { Value::Null } else { Value::from(i32::from(*value)) })
}
