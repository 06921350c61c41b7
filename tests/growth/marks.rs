//! How work on marked texts grows.

use crate::rng::Rng;
use crate::{chain, grows, log, n_log_n, seal, steps_of};
use stemma::Value;
use stemma::causal::{ChangesetIx, NameId, OpIx};
use stemma::crdt::{Anchor, Bias, Text, UnitOp, UnitRef};
use stemma::event::Expand;

/// A text with n marks here and there, sealed: ops number 1 and up.
fn marked(n: usize) -> Text {
    let (mut text, mut number) = (Text::new(), 0);
    text.insert(0, &"four".repeat(n)).expect("it is inside");
    seal(&mut text, &mut number);
    let mut rng = Rng::new(n as u64);
    for _ in 0..n {
        let at = 4 * rng.below(n) as u32;
        let (key, grows) = (NameId([rng.below(3) as u8; 16]), Expand { before: false, after: true });
        text.mark_range(at..at + 2 + rng.below(20).min(2) as u32, key, (at as i32).into(), grows)
            .expect("it is inside");
        text.settle(&chain());
        seal(&mut text, &mut number);
    }
    text
}

#[test]
fn a_toggle_of_a_mark_costs_the_spans_it_touches() {
    grows(log, 8_000, |n| {
        let (mut text, past) = (marked(n), chain());
        let mut rng = Rng::new(2);
        let toggles: Vec<u32> = (0..1_000).map(|_| 1 + rng.below(n) as u32).collect();
        steps_of(|| {
            for on in [false, true] {
                for op in &toggles {
                    text.set_active(OpIx(*op), on);
                    text.settle(&past);
                }
            }
        })
    });
}

#[test]
fn typing_among_marks_is_logarithmic() {
    grows(log, 8_000, |n| {
        let mut text = marked(n);
        text.record_deltas(true);
        let mut rng = Rng::new(3);
        steps_of(|| {
            for _ in 0..2_000 {
                text.insert(rng.below(4 * n) as u32, "x").expect("it is inside");
            }
        })
    });
}

#[test]
fn marks_upon_marks_are_n_log_n() {
    grows(n_log_n, 4_000, |n| {
        let (mut text, mut number) = (Text::new(), 0);
        text.insert(0, &"ab".repeat(n)).expect("it is inside");
        seal(&mut text, &mut number);
        let unit = |offset| UnitRef { changeset: ChangesetIx(0), offset };
        let end = |offset, bias| Anchor::Unit { unit: unit(offset), bias };
        let mark = |at: u32| UnitOp::Mark {
            start: end(at, Bias::Before),
            end: end(2 * n as u32 - 1 - at, Bias::After),
            key: NameId([1; 16]),
        };
        let ops: Vec<(OpIx, UnitOp)> = (0..n as u32).map(|at| (OpIx(1 + at), mark(at))).collect();
        let checked: Vec<UnitOp> = ops.iter().map(|(_, op)| op.clone()).collect();
        let past = chain();
        let steps = steps_of(|| {
            text.check(&past, ChangesetIx(1), &checked).expect("they are honest");
            text.apply(&past, ChangesetIx(1), &ops, None, |_| true);
            for (op, _) in &ops {
                text.fill_mark(*op, &Value::Null);
            }
            text.settle(&past);
        });
        text.dbg_check_marks(&past);
        steps
    });
}
