//! The naive model of a list, over the model of where its units are: an element shows in the place of the newest move that
//! counts and that no other one knew, else where it was inserted.
#![allow(dead_code)]

use super::dag::Dag;
use super::units::Model;

/// Per unit, in order: whether its element shows there when these ops count and the content of these changesets is there.
pub fn shows(
    model: &Model,
    dag: &Dag,
    counts: impl Fn((usize, usize)) -> bool,
    present: impl Fn(usize) -> bool,
) -> Vec<(usize, bool)> {
    let mut dead = vec![false; model.units.len()];
    for (_, units) in model.deletes.iter().filter(|(op, _)| counts(*op)) {
        units.iter().for_each(|&unit| dead[element(model, unit)] = true);
    }
    let shows = |&unit: &usize| {
        let element = element(model, unit);
        let inserted = &model.units[element];
        let there = counts(inserted.op) && present(inserted.id.0) && !dead[element];
        (unit, there && place(model, dag, element, &counts) == unit)
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
    shown.map(|(unit, _)| model.units[element(model, unit)].value).collect()
}

/// The unit that the insert made.
pub fn element(model: &Model, mut unit: usize) -> usize {
    while let Some(&moved) = model.moves.get(&model.units[unit].op) {
        unit = moved;
    }
    unit
}

/// The unit in which an element shows.
fn place(model: &Model, dag: &Dag, of: usize, counts: &impl Fn((usize, usize)) -> bool) -> usize {
    let moves = (0..model.units.len()).filter(|&unit| unit != of && element(model, unit) == of);
    let moves: Vec<usize> = moves.filter(|&unit| counts(model.units[unit].op)).collect();
    let knew = |later: (usize, usize), earlier: (usize, usize)| match later.0 == earlier.0 {
        true => later.1 > earlier.1,
        false => dag.contains(later.0, earlier.0),
    };
    let op = |unit: &usize| model.units[*unit].op;
    let maximal = moves.iter().filter(|a| !moves.iter().any(|b| knew(op(b), op(a))));
    maximal.max_by(|a, b| dag.newer(op(a), op(b))).copied().unwrap_or(of)
}
