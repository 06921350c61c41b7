//! Authors who write whatever they like about a list: no replica panics, all refuse the same changesets, and the rest is
//! one list, whatever is switched off meanwhile.

#[path = "reference/dag.rs"]
mod dag;
#[path = "reference/hostile.rs"]
mod hostile;
#[path = "reference/list.rs"]
mod list;
#[path = "reference/text.rs"]
mod reference;
#[path = "reference/rng.rs"]
mod rng;

use dag::{Changeset, Dag, Numbers, Op, Seen};
use hostile::{hostile_graph, to_local};
use reference as units;
use rng::{Rng, fuzz};
use std::collections::HashSet;
use stemma::Value;
use stemma::causal::{ChangesetIx, OpIx};
use stemma::crdt::{Invalid, List, UnitOp, UnitRef, UnitSpan};

struct Replica<const LEAF: usize, const BLOCK: usize> {
    list: List<LEAF, BLOCK>,
    numbers: Numbers,
    valid: HashSet<usize>,
    off: HashSet<(usize, usize)>,
}

fn values(units: impl Iterator<Item = u16>) -> Vec<Value> {
    units.map(|unit| Value::from(i32::from(unit))).collect()
}

impl<const LEAF: usize, const BLOCK: usize> Replica<LEAF, BLOCK> {
    fn receive(&mut self, dag: &Dag, id: usize, rng: &mut Rng) {
        let Changeset { ops, content, .. } = &dag.changesets[id];
        let (ix, numbers) = self.numbers.receive(id, ops.len());
        // A reference to what was not received is outside the causal past, so the border would refuse it.
        let Some(ops) = ops.iter().map(|op| to_local(&self.numbers, op)).collect::<Option<Vec<_>>>() else {
            return;
        };
        let seen = Seen(dag, &self.numbers);
        if self.list.check(&seen, ix, &ops).is_err() {
            return;
        }
        self.valid.insert(id);
        let ops: Vec<(OpIx, UnitOp)> = numbers.into_iter().zip(ops).collect();
        let late = rng.chance(20) && !content.is_empty();
        let content = values(content.encode_utf16());
        let active = |op| !self.off.contains(&seen.1.op(op));
        self.list.apply(&seen, ix, &ops, (!late).then(|| content.clone()), active);
        if late {
            assert!(self.list.fill(ix, content));
        }
        self.list.dbg_check(&seen);
    }

    /// Switches an op of any changeset, received or not, valid or not.
    fn toggle(&mut self, dag: &Dag, rng: &mut Rng) {
        let id = rng.below(dag.changesets.len());
        let op = (id, rng.below(dag.changesets[id].ops.len()));
        let on = self.off.remove(&op) || !self.off.insert(op);
        let seen = Seen(dag, &self.numbers);
        if let Some(op) = self.numbers.op_ix(op) {
            self.list.set_active(&seen, op, on);
            self.list.settle(&seen);
        }
    }

    fn visible(&self) -> Vec<Value> {
        self.list.iter().cloned().collect()
    }
}

fn round<const LEAF: usize, const BLOCK: usize>(seed: u64) -> (usize, usize) {
    let mut rng = Rng::new(seed);
    let size = 10 + rng.below(40);
    let (dag, model, valid) = hostile_graph(&mut rng, size, true);
    for _ in 0..4 {
        let mut replica: Replica<LEAF, BLOCK> = Replica {
            list: List::default(),
            numbers: Numbers::default(),
            valid: HashSet::new(),
            off: HashSet::new(),
        };
        while let Some(id) = replica.numbers.next(&dag, size, &mut rng) {
            if rng.chance(50) {
                replica.toggle(&dag, &mut rng);
            }
            replica.receive(&dag, id, &mut rng);
        }
        assert_eq!(replica.valid, valid);
        let expected = list::values(&model, &dag, |op| !replica.off.contains(&op), |_| true);
        assert_eq!(replica.visible(), values(expected.into_iter()));
        // Every insert and move on and every delete off: everything shows.
        let seen = Seen(&dag, &replica.numbers);
        for op in (0..replica.numbers.ops.len() as u32).map(OpIx) {
            let (id, index) = replica.numbers.op(op);
            let on = !matches!(dag.changesets[id].ops[index], Op::Delete { .. });
            replica.list.set_active(&seen, op, on);
        }
        replica.list.settle(&seen);
        let is_on = |op: (usize, usize)| !matches!(dag.changesets[op.0].ops[op.1], Op::Delete { .. });
        assert_eq!(replica.visible(), values(list::values(&model, &dag, is_on, |_| true).into_iter()));
        replica.list.dbg_check(&seen);
    }
    (valid.len(), size)
}

#[test]
fn hostile_graphs_converge() {
    let counts = std::cell::Cell::new((0, 0));
    fuzz(250, |seed| {
        let one = if seed % 2 == 0 { round::<4, 4>(seed) } else { round::<32, 64>(seed) };
        counts.set((counts.get().0 + one.0, counts.get().1 + one.1));
    });
    // Neither all sense nor all nonsense.
    let (valid, all) = counts.get();
    if std::env::var_os("SEED").is_none() {
        assert!(valid * 5 > all && valid * 10 < all * 9, "{valid} of {all}");
    }
}

/// What a list holds of changesets in a row, with numbers to go on with.
struct Told {
    dag: Dag,
    numbers: Numbers,
    list: List,
}

impl Told {
    fn new() -> Self {
        Self { dag: Dag::default(), numbers: Numbers::default(), list: List::new() }
    }

    fn tell(&mut self, parents: &[usize], ops: Vec<Op>, content: &str) -> usize {
        let id = self.dag.changesets.len();
        self.dag.push(parents.to_vec(), (id as u64, 0, 0), ops.clone(), content.to_owned());
        let (ix, numbers) = self.numbers.receive(id, ops.len());
        let seen = Seen(&self.dag, &self.numbers);
        let ops: Vec<UnitOp> = ops.iter().map(|op| self.numbers.to_local(op)).collect();
        self.list.check(&seen, ix, &ops).expect("it can be meant");
        let ops: Vec<_> = numbers.into_iter().zip(ops).collect();
        self.list.apply(&seen, ix, &ops, Some(values(content.encode_utf16())), |_| true);
        self.list.dbg_check(&seen);
        id
    }

    fn switch(&mut self, id: usize, on: bool) {
        let op = self.numbers.op_ix((id, 0)).expect("it has an op");
        let seen = Seen(&self.dag, &self.numbers);
        self.list.set_active(&seen, op, on);
        self.list.settle(&seen);
        self.list.dbg_check(&seen);
    }

    fn text(&self) -> String {
        let character = |value: &Value| match value {
            Value::Number(number) => char::from(number.get() as u8),
            _ => '?',
        };
        self.list.iter().map(character).collect()
    }
}

/// "abc", and moves of the first element to the end and back.
fn moved() -> Told {
    let mut told = Told::new();
    told.tell(&[], vec![Op::Insert { left: None, right: None, len: 3 }], "abc");
    told.tell(&[0], vec![Op::Move { element: (0, 0), left: Some((0, 2)), right: None }], "");
    told
}

#[test]
fn a_move_of_a_slot_moves_its_element() {
    let mut told = moved();
    assert_eq!(told.text(), "bca");
    // By the slot, to between b and c; by the element, which stands in the first place still, back to the start.
    told.tell(&[1], vec![Op::Move { element: (1, 0), left: Some((0, 1)), right: Some((0, 2)) }], "");
    assert_eq!(told.text(), "bac");
    told.tell(&[2], vec![Op::Move { element: (2, 0), left: None, right: Some((0, 0)) }], "");
    assert_eq!(told.text(), "abc");
    for (off, shown) in [(3, "bac"), (2, "bca"), (1, "abc")] {
        told.switch(off, false);
        assert_eq!(told.text(), shown);
    }
    told.switch(2, true);
    assert_eq!(told.text(), "bac");
}

#[test]
fn a_delete_by_a_slot_hides_the_element_wherever_it_is() {
    let mut told = moved();
    let delete = told.tell(&[1], vec![Op::Delete { spans: vec![(1, 0, 1)] }], "");
    // Someone who saw no delete moves it meanwhile.
    told.tell(&[1], vec![Op::Move { element: (0, 0), left: Some((0, 1)), right: Some((0, 2)) }], "");
    assert_eq!(told.text(), "bc");
    told.switch(1, false);
    assert_eq!(told.text(), "bc");
    told.switch(delete, false);
    assert_eq!(told.text(), "bac");
}

#[test]
fn the_newest_of_concurrent_moves_wins_and_no_element_is_doubled() {
    let mut told = moved();
    told.tell(&[0], vec![Op::Move { element: (0, 0), left: Some((0, 1)), right: Some((0, 2)) }], "");
    let first_wins = told.dag.newer((1, 0), (2, 0)).is_gt();
    assert_eq!(told.text(), if first_wins { "bca" } else { "bac" });
    told.switch(if first_wins { 1 } else { 2 }, false);
    assert_eq!(told.text(), if first_wins { "bac" } else { "bca" });
    // One who saw both decides.
    told.tell(&[1, 2], vec![Op::Move { element: (0, 0), left: None, right: Some((0, 0)) }], "");
    told.switch(if first_wins { 1 } else { 2 }, true);
    assert_eq!(told.text(), "abc");
}

#[test]
fn a_deleted_element_can_be_named_as_often_as_it_has_units() {
    let mut told = moved();
    let delete = told.tell(&[1], vec![Op::Delete { spans: vec![(0, 0, 1), (1, 0, 1)] }], "");
    assert_eq!(told.text(), "bc");
    told.switch(delete, false);
    assert_eq!(told.text(), "bca");
}

#[test]
fn each_rule_has_its_refusal() {
    let mut told = moved();
    told.tell(&[0], vec![Op::Insert { left: Some((0, 2)), right: None, len: 1 }], "x");
    told.dag.push(vec![1], (9, 0, 0), Vec::new(), String::new());
    told.numbers.receive(3, 0);
    let unit = |changeset, offset| UnitRef { changeset: ChangesetIx(changeset), offset };
    let relocate = |element, left, right| UnitOp::Move { element, left, right };
    let seen = Seen(&told.dag, &told.numbers);
    let check = |ops: &[UnitOp]| told.list.check(&seen, ChangesetIx(3), ops);
    let end = || relocate(unit(0, 1), Some(unit(1, 0)), None);
    assert_eq!(check(&[end()]), Ok(()));
    // A move makes a unit of its changeset, which others of it may stand next to.
    let insert = UnitOp::Insert { left: Some(unit(3, 0)), right: None, len: 2 };
    assert_eq!(check(&[end(), insert, relocate(unit(3, 0), Some(unit(3, 2)), None)]), Ok(()));
    assert_eq!(
        check(&[end(), relocate(unit(3, 1), None, Some(unit(0, 0)))]),
        Err(Invalid::UnknownUnit { offset: 1 })
    );
    // An element that the author cannot have seen, none at all, a place that is none.
    assert_eq!(check(&[relocate(unit(2, 0), None, Some(unit(0, 0)))]), Err(Invalid::NotInPast));
    assert_eq!(
        check(&[relocate(unit(0, 3), None, Some(unit(0, 0)))]),
        Err(Invalid::UnknownUnit { offset: 3 })
    );
    assert_eq!(check(&[relocate(unit(0, 0), Some(unit(0, 2)), None)]), Err(Invalid::NotAdjacent));
    let twice = |offset| UnitSpan { changeset: ChangesetIx(0), offset, len: 1 };
    assert_eq!(check(&[UnitOp::Delete { spans: vec![twice(1), twice(1)] }]), Err(Invalid::DeletedTwice));
}
