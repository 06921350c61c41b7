//! Authors who write whatever they like: no replica panics, all refuse the same changesets, and the rest is one text,
//! whatever is switched off meanwhile.

#[path = "reference/dag.rs"]
mod dag;
#[path = "reference/hostile.rs"]
mod hostile;
#[path = "reference/text.rs"]
mod reference;
#[path = "reference/rng.rs"]
mod rng;

use dag::{Changeset, Dag, Numbers, Op, Seen};
use hostile::{hostile_graph, to_local, value_of};
use rng::{Rng, fuzz};
use std::collections::{BTreeMap, HashSet};
use stemma::causal::{ChangesetIx, NameId, OpIx};
use stemma::crdt::{Anchor, Bias, CHANGESET_UNITS_MAX, Invalid, Text, UnitOp, UnitRef, UnitSpan};
use stemma::event::Value;

struct Replica<const LEAF: usize, const BLOCK: usize> {
    text: Text<LEAF, BLOCK>,
    numbers: Numbers,
    valid: HashSet<usize>,
    off: HashSet<(usize, usize)>,
}

impl<const LEAF: usize, const BLOCK: usize> Replica<LEAF, BLOCK> {
    fn receive(&mut self, dag: &Dag, id: usize, rng: &mut Rng) {
        let Changeset { ops, content, .. } = &dag.changesets[id];
        let (ix, numbers) = self.numbers.receive(id, ops.len());
        // A reference to what was not received is outside the causal past, so the border would refuse it.
        let values: Vec<Option<Value>> = ops.iter().map(value_of).collect();
        let Some(ops) = ops.iter().map(|op| to_local(&self.numbers, op)).collect::<Option<Vec<_>>>() else {
            return;
        };
        let seen = Seen(dag, &self.numbers);
        if self.text.check(&seen, ix, &ops).is_err() {
            return;
        }
        self.valid.insert(id);
        let ops: Vec<(OpIx, UnitOp)> = numbers.into_iter().zip(ops).collect();
        let late = rng.chance(20) && !content.is_empty();
        let active = |op| !self.off.contains(&seen.1.op(op));
        self.text.apply(&seen, ix, &ops, (!late).then_some(content), active);
        for ((op, _), value) in ops.iter().zip(&values) {
            assert!(value.as_ref().is_none_or(|value| self.text.fill_mark(*op, value)));
        }
        self.text.settle(&seen);
        if late {
            assert!(self.text.fill(ix, content));
        }
        self.text.dbg_check();
    }

    /// Switches an op of any changeset, received or not, valid or not.
    fn toggle(&mut self, dag: &Dag, rng: &mut Rng) {
        let id = rng.below(dag.changesets.len());
        let op = (id, rng.below(dag.changesets[id].ops.len()));
        let on = self.off.remove(&op) || !self.off.insert(op);
        if let Some(op) = self.numbers.op_ix(op) {
            self.text.set_active(op, on);
            self.text.settle(&Seen(dag, &self.numbers));
        }
    }

    /// What each visible unit shows.
    fn shown(&self) -> Vec<BTreeMap<u8, u8>> {
        let mut units = Vec::new();
        for run in self.text.runs() {
            let shown = run.marks.iter().map(|(key, value)| {
                let Value::Number(number) = value else { panic!("all values are numbers") };
                (key.0[0], number.get() as u8)
            });
            units.extend(std::iter::repeat_n(shown.collect(), run.len as usize));
        }
        units
    }

    fn units(&self) -> Vec<u16> {
        self.text.visible_units().iter().collect()
    }
}

fn round<const LEAF: usize, const BLOCK: usize>(seed: u64) -> (usize, usize) {
    let mut rng = Rng::new(seed);
    let size = 10 + rng.below(40);
    let (dag, model, valid) = hostile_graph(&mut rng, size, false);
    for _ in 0..4 {
        let mut replica: Replica<LEAF, BLOCK> = Replica {
            text: Text::default(),
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
        assert_eq!(replica.units(), model.text(|op| !replica.off.contains(&op), |_| true));
        assert_eq!(
            replica.shown(),
            model.shown(&dag, |op| !replica.off.contains(&op), |_| true, |a, b| dag.newer(a, b))
        );
        replica.text.dbg_check_marks(&Seen(&dag, &replica.numbers));
        // Every insert on and every delete off: the order of all units.
        for op in (0..replica.numbers.ops.len() as u32).map(OpIx) {
            let (id, index) = replica.numbers.op(op);
            replica.text.set_active(op, matches!(dag.changesets[id].ops[index], Op::Insert { .. }));
        }
        let all: Vec<u16> = model.order.iter().map(|&unit| model.units[unit].value).collect();
        assert_eq!(replica.units(), all);
        replica.text.dbg_check();
    }
    (valid.len(), size)
}

#[test]
fn hostile_graphs_converge() {
    let counts = std::cell::Cell::new((0, 0));
    fuzz(300, |seed| {
        let one = if seed % 2 == 0 { round::<4, 4>(seed) } else { round::<32, 64>(seed) };
        counts.set((counts.get().0 + one.0, counts.get().1 + one.1));
    });
    // Neither all sense nor all nonsense.
    let (valid, all) = counts.get();
    if std::env::var_os("SEED").is_none() {
        assert!(valid * 4 > all && valid * 10 < all * 9, "{valid} of {all}");
    }
}

/// Two changesets "ab" and "xy", concurrent, and a third one by someone who saw only the first.
fn two_changesets() -> (Dag, Numbers, Text) {
    let (mut dag, mut numbers, mut text) = (Dag::default(), Numbers::default(), Text::new());
    let insert = |left, right| vec![Op::Insert { left, right, len: 2 }];
    dag.push(vec![], (1, 0, 0), insert(None, None), "ab".into());
    dag.push(vec![], (2, 0, 0), insert(None, None), "xy".into());
    dag.push(vec![0], (3, 0, 0), vec![], String::new());
    for id in 0..3 {
        let (ix, ops) = numbers.receive(id, dag.changesets[id].ops.len());
        let ops: Vec<_> =
            ops.into_iter().zip(dag.changesets[id].ops.iter().map(|op| numbers.to_local(op))).collect();
        text.apply(&Seen(&dag, &numbers), ix, &ops, Some(&dag.changesets[id].content), |_| true);
    }
    (dag, numbers, text)
}

#[test]
fn each_rule_has_its_refusal() {
    let (dag, numbers, text) = two_changesets();
    let unit = |changeset, offset| Some(UnitRef { changeset: ChangesetIx(changeset), offset });
    let insert = |left, right, len| UnitOp::Insert { left, right, len };
    let delete = |spans: &[(u32, u32, u32)]| {
        let span = |&(changeset, offset, len)| UnitSpan { changeset: ChangesetIx(changeset), offset, len };
        UnitOp::Delete { spans: spans.iter().map(span).collect() }
    };
    let check = |ops: &[UnitOp]| text.check(&Seen(&dag, &numbers), ChangesetIx(2), ops);
    let long = CHANGESET_UNITS_MAX;

    assert_eq!(
        check(&[insert(unit(0, 1), None, 1), insert(unit(2, 0), None, 1), delete(&[(2, 0, 2), (0, 0, 1)])]),
        Ok(())
    );
    assert_eq!(
        check(&[
            insert(None, unit(0, 0), 3),
            insert(unit(2, 1), unit(2, 2), 1),
            insert(unit(2, 3), unit(2, 2), 1)
        ]),
        Ok(())
    );
    assert_eq!(check(&[insert(None, unit(0, 0), long)]), Ok(()));
    assert_eq!(check(&[insert(None, unit(0, 0), long), insert(None, unit(2, 0), 1)]), Err(Invalid::TooLong));
    assert_eq!(
        check(&[insert(None, unit(0, 0), u32::MAX), insert(None, unit(2, 0), 1)]),
        Err(Invalid::TooLong)
    );
    assert_eq!(check(&[insert(None, unit(0, 0), 0)]), Err(Invalid::Empty));
    assert_eq!(check(&[delete(&[])]), Err(Invalid::Empty));
    assert_eq!(check(&[delete(&[(0, 0, 0)])]), Err(Invalid::Empty));
    // The second changeset's units exist here, but their author was not seen.
    assert_eq!(check(&[insert(None, unit(1, 0), 1)]), Err(Invalid::NotInPast));
    assert_eq!(check(&[delete(&[(1, 0, 1)])]), Err(Invalid::NotInPast));
    assert_eq!(check(&[delete(&[(ChangesetIx::OPEN.0, 0, 1)])]), Err(Invalid::NotInPast));
    assert_eq!(check(&[insert(unit(0, 2), None, 1)]), Err(Invalid::UnknownUnit { offset: 2 }));
    assert_eq!(check(&[delete(&[(0, 1, 2)])]), Err(Invalid::UnknownUnit { offset: 1 }));
    assert_eq!(check(&[delete(&[(0, 1, u32::MAX)])]), Err(Invalid::UnknownUnit { offset: 1 }));
    // Own units, before they are there.
    assert_eq!(check(&[insert(unit(2, 0), None, 1)]), Err(Invalid::UnknownUnit { offset: 0 }));
    assert_eq!(
        check(&[delete(&[(2, 0, 1)]), insert(None, unit(0, 0), 1)]),
        Err(Invalid::UnknownUnit { offset: 0 })
    );
    // Swapped, the same twice, too far apart, in a gap that an own unit has closed.
    assert_eq!(check(&[insert(unit(0, 1), unit(0, 0), 1)]), Err(Invalid::NotAdjacent));
    assert_eq!(check(&[insert(unit(0, 0), unit(0, 0), 1)]), Err(Invalid::NotAdjacent));
    assert_eq!(check(&[insert(None, None, 1)]), Err(Invalid::NotAdjacent));
    assert_eq!(
        check(&[insert(unit(0, 0), unit(0, 1), 1), insert(unit(0, 0), unit(0, 1), 1)]),
        Err(Invalid::NotAdjacent)
    );
    assert_eq!(check(&[delete(&[(0, 0, 2), (0, 1, 1)])]), Err(Invalid::DeletedTwice));
    assert_eq!(check(&[delete(&[(0, 0, 1)]), delete(&[(0, 0, 1)])]), Err(Invalid::DeletedTwice));
    // Marks: of what the author knew, forwards, around something.
    let end = |changeset, offset, bias| {
        let unit = UnitRef { changeset: ChangesetIx(changeset), offset };
        Anchor::Unit { unit, bias }
    };
    let (before, after) = (|a, b| end(a, b, Bias::Before), |a, b| end(a, b, Bias::After));
    let mark = |start, end| UnitOp::Mark { start, end, key: NameId([1; 16]) };
    assert_eq!(check(&[mark(Anchor::Start, Anchor::End), mark(before(0, 0), after(0, 0))]), Ok(()));
    assert_eq!(check(&[mark(Anchor::Start, before(0, 1)), mark(after(0, 0), Anchor::End)]), Ok(()));
    assert_eq!(check(&[mark(Anchor::Start, before(0, 0))]), Err(Invalid::Empty));
    assert_eq!(check(&[mark(after(0, 1), Anchor::End)]), Err(Invalid::Empty));
    assert_eq!(check(&[mark(after(0, 0), before(0, 1))]), Err(Invalid::Empty));
    assert_eq!(check(&[mark(before(0, 0), before(0, 0))]), Err(Invalid::Empty));
    assert_eq!(check(&[mark(after(0, 0), before(0, 0))]), Err(Invalid::Backwards));
    assert_eq!(check(&[mark(Anchor::End, Anchor::Start)]), Err(Invalid::Backwards));
    assert_eq!(check(&[mark(before(0, 1), before(0, 0))]), Err(Invalid::Backwards));
    assert_eq!(check(&[mark(before(1, 0), Anchor::End)]), Err(Invalid::NotInPast));
    assert_eq!(check(&[mark(before(0, 0), after(0, 2))]), Err(Invalid::UnknownUnit { offset: 2 }));
    assert_eq!(check(&[mark(before(2, 0), Anchor::End)]), Err(Invalid::UnknownUnit { offset: 0 }));
    // Own units lie where they were put: "xaby", then "xaqpby".
    let own = [insert(None, unit(0, 0), 1), insert(unit(0, 1), None, 1)];
    let check_own = |more: &[UnitOp]| check(&[&own[..], more].concat());
    assert_eq!(check_own(&[mark(before(2, 0), after(2, 1)), mark(before(0, 0), before(2, 1))]), Ok(()));
    assert_eq!(check_own(&[mark(after(2, 0), before(0, 0))]), Err(Invalid::Empty));
    assert_eq!(check_own(&[mark(after(0, 1), before(2, 1))]), Err(Invalid::Empty));
    assert_eq!(check_own(&[mark(after(2, 1), Anchor::End)]), Err(Invalid::Empty));
    assert_eq!(check_own(&[mark(before(2, 1), after(2, 0))]), Err(Invalid::Backwards));
    assert_eq!(check_own(&[mark(before(2, 1), after(0, 1))]), Err(Invalid::Backwards));
    let inner = [insert(unit(0, 0), unit(0, 1), 1), insert(unit(0, 0), unit(2, 2), 1)];
    assert_eq!(check_own(&[&inner[..], &[mark(before(2, 3), after(2, 2))]].concat()), Ok(()));
    assert_eq!(
        check_own(&[&inner[..], &[mark(before(2, 2), after(2, 3))]].concat()),
        Err(Invalid::Backwards)
    );
    assert_eq!(check_own(&[&inner[..], &[mark(after(2, 3), before(2, 2))]].concat()), Err(Invalid::Empty));
    // A mark of nothing, even if something comes between later.
    assert_eq!(
        check(&[mark(after(0, 0), before(0, 1)), insert(unit(0, 0), unit(0, 1), 1)]),
        Err(Invalid::Empty)
    );
}

/// Lengths that cut a pair make two half characters, and no more harm than that.
#[test]
fn half_pairs_are_kept_apart_and_render_as_replacements() {
    let (mut dag, mut numbers, mut text) = two_changesets();
    let ops = vec![
        Op::Insert { left: Some((0, 1)), right: None, len: 1 },
        Op::Insert { left: Some((0, 0)), right: Some((0, 1)), len: 1 },
    ];
    let id = dag.push(vec![0], (4, 0, 0), ops, "😀".into());
    let (ix, ops) = numbers.receive(id, 2);
    let ops: Vec<_> =
        ops.into_iter().zip(dag.changesets[id].ops.iter().map(|op| numbers.to_local(op))).collect();
    let seen = Seen(&dag, &numbers);
    text.check(&seen, ix, &ops.iter().map(|(_, op)| op.clone()).collect::<Vec<_>>())
        .expect("half pairs are no error");
    text.apply(&seen, ix, &ops, Some("😀"), |_| true);
    assert_eq!(text.to_string(), "a\u{FFFD}b\u{FFFD}xy");
    text.delete(2, 1).expect("it is inside");
    assert_eq!(text.to_string(), "a\u{FFFD}\u{FFFD}xy");
    assert_eq!(text.slice(1..2).as_deref(), Ok("\u{FFFD}"));
    text.dbg_check();
}
