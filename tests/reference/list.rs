//! The naive model of a list, over the model of where its units are: an element shows in the place of the newest move that
//! counts and that no other one knew, else where it was inserted.
#![allow(dead_code)]

use super::dag::Dag;
use super::units::Model;
use std::collections::HashMap;

/// Per unit, in order: its element, and whether that shows there when these ops count and the content of these changesets
/// is there.
pub fn shows(
    model: &Model,
    dag: &Dag,
    counts: impl Fn((usize, usize)) -> bool,
    present: impl Fn(usize) -> bool,
) -> Vec<(usize, bool)> {
    // A move names a unit that was there before.
    let mut elements: Vec<usize> = Vec::new();
    let mut moves: HashMap<usize, Vec<usize>> = HashMap::new();
    for (at, unit) in model.units.iter().enumerate() {
        elements.push(model.moves.get(&unit.op).map_or(at, |moved| elements[*moved]));
        if elements[at] != at && counts(unit.op) {
            moves.entry(elements[at]).or_default().push(at);
        }
    }
    let places = moves.iter().map(|(element, moves)| (*element, newest(model, dag, moves)));
    let places: HashMap<usize, usize> = places.collect();
    let mut dead = vec![false; model.units.len()];
    for (_, units) in model.deletes.iter().filter(|(op, _)| counts(*op)) {
        units.iter().for_each(|&unit| dead[elements[unit]] = true);
    }
    let shows = |&unit: &usize| {
        let element = elements[unit];
        let inserted = &model.units[element];
        let there = counts(inserted.op) && present(inserted.id.0) && !dead[element];
        (element, there && *places.get(&element).unwrap_or(&element) == unit)
    };
    model.order.iter().map(shows).collect()
}

/// The values that show.
pub fn values(
    model: &Model,
    dag: &Dag,
    counts: impl Fn((usize, usize)) -> bool,
    present: impl Fn(usize) -> bool,
) -> Vec<u16> {
    let shown = shows(model, dag, counts, present).into_iter().filter(|&(_, shows)| shows);
    shown.map(|(element, _)| model.units[element].value).collect()
}

/// The unit of the move that wins.
fn newest(model: &Model, dag: &Dag, moves: &[usize]) -> usize {
    let knew = |later: (usize, usize), earlier: (usize, usize)| match later.0 == earlier.0 {
        true => later.1 > earlier.1,
        false => dag.contains(later.0, earlier.0),
    };
    let op = |unit: &usize| model.units[*unit].op;
    let maximal = moves.iter().filter(|a| !moves.iter().any(|b| knew(op(b), op(a))));
    *maximal.max_by(|a, b| dag.newer(op(a), op(b))).expect("not all of them are known to others")
}
