//! The naive model of a text, and of where the units of a list are: one node per unit in a tree, by the definition of FugueMax; a delete is a list of
//! units; the text is the tree's traversal, filtered. Written from the definition, not from the implementation.
#![allow(dead_code)]

use super::dag::{Dag, End, Op, UnitId};
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

#[derive(Clone, Default)]
pub struct Model {
    pub units: Vec<Unit>,
    /// All units, in the order of the text.
    pub order: Vec<usize>,
    /// What each delete, (changeset, op), hits.
    pub deletes: Vec<((usize, usize), Vec<usize>)>,
    pub marks: Vec<Mark>,
    /// What each move moves.
    pub moves: HashMap<(usize, usize), usize>,
    find: HashMap<UnitId, usize>,
    /// Children of the root, which is the parent of what was inserted at the start.
    root: Children,
}

#[derive(Clone)]
pub struct Mark {
    /// (changeset, op).
    pub op: (usize, usize),
    pub start: End,
    pub end: End,
    pub key: u8,
    pub value: u8,
}

#[derive(Clone)]
pub struct Unit {
    pub id: UnitId,
    /// The insert: (changeset, op).
    pub op: (usize, usize),
    pub value: u16,
    parent: Option<usize>,
    right_neighbour: Option<usize>,
    children: Children,
}

#[derive(Clone, Default)]
struct Children {
    left: Vec<usize>,
    right: Vec<usize>,
}

impl Model {
    /// Adds the ops of a changeset of the graph; its causal past is there.
    pub fn add(&mut self, dag: &Dag, id: usize) {
        let values: Vec<u16> = dag.changesets[id].content.encode_utf16().collect();
        let (mut offset, mut taken) = (0, 0);
        for (index, op) in dag.changesets[id].ops.iter().enumerate() {
            let values = values.get(taken as usize..).unwrap_or(&[]);
            let units = self.add_op(dag, (id, index), op, offset, values);
            offset += units;
            taken += if let Op::Insert { .. } = op { units } else { 0 };
        }
    }

    /// Adds one op, whose units begin at `offset` in the changeset. Returns how many it makes.
    pub fn add_op(&mut self, dag: &Dag, name: (usize, usize), op: &Op, offset: u32, values: &[u16]) -> u32 {
        match op {
            Op::Insert { left, right, len } => {
                let (mut left, right) =
                    (left.map(|unit| self.find[&unit]), right.map(|unit| self.find[&unit]));
                for at in 0..*len {
                    let value = values.get(at as usize).copied().unwrap_or(0);
                    left = Some(self.add_unit(dag, (name.0, offset + at), name, value, left, right));
                }
                *len
            }
            Op::Delete { spans } => {
                let units = spans
                    .iter()
                    .flat_map(|&(id, offset, len)| (offset..offset + len).map(move |at| (id, at)));
                let units = units.map(|unit| self.find[&unit]).collect();
                self.deletes.push((name, units));
                0
            }
            &Op::Mark { start, end, key, value } => {
                self.marks.push(Mark { op: name, start, end, key, value });
                0
            }
            Op::Move { element, left, right } => {
                let moved = self.find[element];
                let (left, right) = (left.map(|unit| self.find[&unit]), right.map(|unit| self.find[&unit]));
                self.add_unit(dag, (name.0, offset), name, 0, left, right);
                self.moves.insert(name, moved);
                1
            }
        }
    }

    fn add_unit(
        &mut self,
        dag: &Dag,
        id: UnitId,
        op: (usize, usize),
        value: u16,
        left: Option<usize>,
        right: Option<usize>,
    ) -> usize {
        let new = self.units.len();
        let below_left = right.is_some_and(|right| self.descends(right, left));
        let parent = if below_left { right } else { left };
        self.units.push(Unit {
            id,
            op,
            value,
            parent,
            right_neighbour: right,
            children: Children::default(),
        });
        self.find.insert(id, new);
        let mut siblings = self.children(parent, below_left).clone();
        let rank = |unit: usize| {
            let right = self.units[unit].right_neighbour;
            right.map_or(usize::MAX, |right| {
                self.order.iter().position(|&other| other == right).expect("it is older")
            })
        };
        let by_author = |a: usize, b: usize| {
            let (a, b) = (self.units[a].id, self.units[b].id);
            dag.order(a.0, b.0).then(a.1.cmp(&b.1))
        };
        let compare = |a: usize, b: usize| {
            let by_right = if below_left { Ordering::Equal } else { rank(b).cmp(&rank(a)) };
            by_right.then_with(|| by_author(a, b))
        };
        let at = siblings
            .iter()
            .position(|&other| compare(new, other) == Ordering::Less)
            .unwrap_or(siblings.len());
        siblings.insert(at, new);
        *self.children(parent, below_left) = siblings;
        self.order.clear();
        let mut order = Vec::new();
        self.traverse(&self.root, None, &mut order);
        self.order = order;
        new
    }

    fn children(&mut self, of: Option<usize>, left: bool) -> &mut Vec<usize> {
        let children = match of {
            Some(unit) => &mut self.units[unit].children,
            None => &mut self.root,
        };
        if left { &mut children.left } else { &mut children.right }
    }

    fn descends(&self, unit: usize, from: Option<usize>) -> bool {
        let mut above = Some(unit);
        while above.is_some() && above != from {
            above = self.units[above.expect("just tested")].parent;
        }
        above == from
    }

    fn traverse(&self, children: &Children, unit: Option<usize>, order: &mut Vec<usize>) {
        children
            .left
            .iter()
            .for_each(|&child| self.traverse(&self.units[child].children, Some(child), order));
        order.extend(unit);
        children
            .right
            .iter()
            .for_each(|&child| self.traverse(&self.units[child].children, Some(child), order));
    }

    /// Per unit, in order: whether it shows when these ops count and the content of these changesets is there.
    pub fn shows(
        &self,
        counts: impl Fn((usize, usize)) -> bool,
        present: impl Fn(usize) -> bool,
    ) -> Vec<(usize, bool)> {
        let mut dead = vec![false; self.units.len()];
        for (_, units) in self.deletes.iter().filter(|(op, _)| counts(*op)) {
            units.iter().for_each(|&unit| dead[unit] = true);
        }
        let shows = |&unit: &usize| {
            let Unit { id, op, .. } = self.units[unit];
            (unit, counts(op) && present(id.0) && !dead[unit])
        };
        self.order.iter().map(shows).collect()
    }

    pub fn text(&self, counts: impl Fn((usize, usize)) -> bool, present: impl Fn(usize) -> bool) -> Vec<u16> {
        let shown = self.shows(counts, present).into_iter().filter(|&(_, shows)| shows);
        shown.map(|(unit, _)| self.units[unit].value).collect()
    }

    /// Whether an op could have been made by someone who had seen these changesets and the own units that are there.
    pub fn is_possible(&self, op: &Op, seen: impl Fn(usize) -> bool) -> bool {
        let known = |unit: &UnitId| seen(unit.0) && self.find.contains_key(unit);
        match op {
            Op::Move { element, left, right } => {
                let slot = Op::Insert { left: *left, right: *right, len: 1 };
                known(element) && self.is_possible(&slot, seen)
            }
            Op::Insert { left, right, len } => {
                let list: Vec<UnitId> =
                    self.order.iter().map(|&unit| self.units[unit].id).filter(known).collect();
                let at = match left {
                    None => Some(0),
                    Some(left) => list.iter().position(|unit| unit == left).map(|at| at + 1),
                };
                *len > 0 && at.is_some_and(|at| list.get(at) == right.as_ref())
            }
            Op::Delete { spans } => {
                let exists = |&(id, offset, len): &(usize, u32, u32)| {
                    len > 0
                        && len < 1000
                        && offset < u32::MAX - 1000
                        && (offset..offset + len).all(|at| known(&(id, at)))
                };
                !spans.is_empty() && spans.iter().all(exists)
            }
            Op::Mark { start, end, .. } => {
                let list: Vec<UnitId> =
                    self.order.iter().map(|&unit| self.units[unit].id).filter(known).collect();
                let place = |end: &End| place(end, |unit| list.iter().position(|other| other == unit));
                let (start, end) = (place(start), place(end));
                let covers = |at: usize| start <= Some(2 * at) && Some(2 * at + 1) <= end;
                start.is_some() && end.is_some() && (0..list.len()).any(covers)
            }
        }
    }

    /// What each of the visible units shows: by key, of the marks that cover it and count, those that no other one of them
    /// has in its past, of these the newest; nothing if that one clears. `counts` is asked of marks without a value too.
    pub fn shown(
        &self,
        dag: &Dag,
        counts: impl Fn((usize, usize)) -> bool,
        present: impl Fn(usize) -> bool,
        newer: impl Fn((usize, usize), (usize, usize)) -> Ordering,
    ) -> Vec<BTreeMap<u8, u8>> {
        let position: HashMap<UnitId, usize> =
            self.order.iter().enumerate().map(|(at, &unit)| (self.units[unit].id, at)).collect();
        let marks: Vec<(usize, usize, &Mark)> = self
            .marks
            .iter()
            .filter(|mark| counts(mark.op) && present(mark.op.0))
            .map(|mark| {
                let place = |end: &End| place(end, |unit| position.get(unit).copied());
                (place(&mark.start).expect("it was checked"), place(&mark.end).expect("it was checked"), mark)
            })
            .collect();
        let over = |a: (usize, usize), b: (usize, usize)| {
            if a.0 == b.0 { a.1 > b.1 } else { dag.contains(a.0, b.0) }
        };
        let at = |(at, (_, shows)): (usize, (usize, bool))| {
            let mut of_key: BTreeMap<u8, Vec<&Mark>> = BTreeMap::new();
            for (_, _, mark) in marks.iter().filter(|(start, end, _)| *start <= 2 * at && 2 * at < *end) {
                of_key.entry(mark.key).or_default().push(mark);
            }
            let winner = |(key, marks): (u8, Vec<&Mark>)| {
                let mut maximal = marks.clone();
                maximal.retain(|mark| !marks.iter().any(|other| over(other.op, mark.op)));
                maximal.sort_by(|a, b| newer(b.op, a.op));
                (maximal[0].value != 0).then_some((key, maximal[0].value))
            };
            shows.then(|| of_key.into_iter().filter_map(winner).collect())
        };
        self.shows(&counts, &present).into_iter().enumerate().filter_map(at).collect()
    }
}

/// A place in a list whose units are at even numbers, counted by two from 0.
fn place(end: &End, position: impl Fn(&UnitId) -> Option<usize>) -> Option<usize> {
    match end {
        (Some(unit), after) => Some(2 * position(unit)? + usize::from(*after)),
        (None, true) => Some(0),
        (None, false) => Some(usize::MAX),
    }
}
