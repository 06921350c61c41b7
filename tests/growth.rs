//! How work grows, by counted steps at n and at 2n. A row says what is done with n things and how its steps may grow;
//! no clock is asked, so a slow machine proves nothing and hides nothing.

#[path = "growth/ledgers.rs"]
mod ledgers;
#[path = "growth/marks.rs"]
mod marks;
#[path = "reference/rng.rs"]
mod rng;

use rng::Rng;
use std::cell::Cell;
use std::cmp::Ordering;
use stemma::Value;
use stemma::causal::{ActorId, CausalGraph, ChangesetId, ChangesetIx, NameId, OpIx};
use stemma::crdt::{History, List, Map, Recency, Slot, Tally, Text, Totals, UnitOp, UnitRef, UnitSpan};
use stemma::steps;

/// How much more than the shape steps at 2n may be: constants that still weigh at n, nodes that are fuller or emptier.
const SLACK: f64 = 1.2;

/// All ops in one changeset.
struct OneChangeset<H>(H);

impl<H: History> History for OneChangeset<H> {
    fn contains(&self, of: ChangesetIx, past: ChangesetIx) -> bool {
        self.0.contains(of, past)
    }

    fn order(&self, a: ChangesetIx, b: ChangesetIx) -> Ordering {
        self.0.order(a, b)
    }

    fn changeset_of(&self, _: OpIx) -> ChangesetIx {
        ChangesetIx(0)
    }
}

/// Asserts that the steps of `run` grow from n to 2n at most as `shape` does.
fn grows(shape: impl Fn(f64) -> f64, n: usize, run: impl Fn(usize) -> u64) {
    let [at_n, at_2n] = [n, 2 * n].map(|n| (run(n) as f64, shape(n as f64)));
    assert!(at_n.0 > 0.0, "nothing was counted");
    let (steps, allowed) = (at_2n.0 / at_n.0, at_2n.1 / at_n.1);
    println!("{:.0} steps at {n}, {:.0} at twice that: x {steps:.2}, shape x {allowed:.2}", at_n.0, at_2n.0);
    assert!(steps <= SLACK * allowed, "steps grow by {steps:.2}, the shape by {allowed:.2}");
}

fn constant(_: f64) -> f64 {
    1.0
}

fn log(n: f64) -> f64 {
    n.log2()
}

fn linear(n: f64) -> f64 {
    n
}

fn n_log_n(n: f64) -> f64 {
    n * n.log2()
}

/// The steps that `work` takes, questions to a history included.
fn steps_of(work: impl FnOnce()) -> u64 {
    let count = || steps::taken() + ASKED.get();
    let before = count();
    work();
    count() - before
}

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

/// A graph as simple as the row needs: `knows` says who knows whom, changesets sort by `key`, each has one op.
struct Past<F, K> {
    knows: F,
    key: K,
    /// The last one that anybody knows, if that is the same for all.
    newest: Option<ChangesetIx>,
}

impl<F: Fn(u32, u32) -> bool, K: Fn(u32) -> u32> History for Past<F, K> {
    fn contains(&self, of: ChangesetIx, past: ChangesetIx) -> bool {
        ASKED.set(ASKED.get() + 1);
        of == past || of == ChangesetIx::OPEN || (self.knows)(of.0, past.0)
    }

    fn newest_known(&self, of: ChangesetIx) -> Option<ChangesetIx> {
        Some(self.newest.unwrap_or(of))
    }

    fn order(&self, a: ChangesetIx, b: ChangesetIx) -> Ordering {
        ASKED.set(ASKED.get() + 1);
        (self.key)(a.0).cmp(&(self.key)(b.0))
    }

    fn changeset_of(&self, op: OpIx) -> ChangesetIx {
        ChangesetIx(op.0)
    }
}

impl<F: Fn(u32, u32) -> bool, K: Fn(u32) -> u32> Recency for Past<F, K> {
    fn newer(&self, a: OpIx, b: OpIx) -> Ordering {
        ASKED.set(ASKED.get() + 1);
        a.cmp(&b)
    }
}

/// Seals what is open as one changeset with as many op numbers as it has ops.
fn seal(text: &mut Text, number: &mut u32) {
    let ops = text.pending_len() as u32;
    text.seal(ChangesetIx(*number), &(*number..*number + ops).map(OpIx).collect::<Vec<_>>());
    *number += ops;
}

/// A text in about `n` pieces, each of one unit, sealed.
fn scattered(n: usize) -> (Text, u32) {
    let (mut text, mut rng, mut number) = (Text::new(), Rng::new(n as u64), 0);
    for at in 0..n {
        text.insert(rng.below(at + 1) as u32, "x").expect("it is inside");
        if at % 100 == 99 {
            seal(&mut text, &mut number);
        }
    }
    seal(&mut text, &mut number);
    (text, number)
}

#[test]
fn text_append_is_constant() {
    grows(linear, 20_000, |n| {
        let (mut text, mut number) = (Text::new(), 0);
        steps_of(|| {
            for at in 0..n {
                text.insert(at as u32, "x").expect("it is inside");
                if at % 50 == 49 {
                    seal(&mut text, &mut number);
                }
            }
        })
    });
}

#[test]
fn text_insert_is_logarithmic() {
    grows(log, 60_000, |n| {
        let (mut text, _) = scattered(n);
        let mut rng = Rng::new(1);
        steps_of(|| {
            for at in n..n + 5_000 {
                text.insert(rng.below(at) as u32, "x").expect("it is inside");
            }
        })
    });
}

#[test]
fn text_delete_is_logarithmic() {
    grows(log, 60_000, |n| {
        let (mut text, _) = scattered(n);
        let mut rng = Rng::new(1);
        steps_of(|| {
            for at in (n - 5_000..n).rev() {
                text.delete(rng.below(at) as u32, 1).expect("it is inside");
            }
        })
    });
}

#[test]
fn a_place_in_a_text_is_found_in_logarithmic_steps() {
    grows(log, 60_000, |n| {
        let (text, _) = scattered(n);
        let mut rng = Rng::new(1);
        steps_of(|| {
            for _ in 0..5_000 {
                let anchor = text.anchor_at(rng.below(n) as u32, stemma::crdt::Bias::After);
                text.position(anchor.expect("it is inside")).expect("it is known");
            }
        })
    });
}

/// A paragraph that others have typed into at `runs` places, in a text of `others` more pieces: off and on again.
fn toggle(runs: usize, others: usize) -> u64 {
    let (mut text, mut number) = scattered(others);
    text.insert(0, &"y".repeat(runs)).expect("it is inside");
    let paragraph = OpIx(number);
    seal(&mut text, &mut number);
    for at in (1..runs).rev() {
        text.insert(at as u32, "-").expect("it is inside");
        seal(&mut text, &mut number);
    }
    let len = text.len();
    text.position(text.anchor_at(1, stemma::crdt::Bias::After).expect("it is inside")).expect("it is known");
    let steps = steps_of(|| {
        text.set_active(paragraph, false);
        text.set_active(paragraph, true);
    });
    assert_eq!(text.len(), len);
    steps
}

#[test]
fn a_toggle_costs_its_runs() {
    grows(linear, 5_000, |n| toggle(n, 1_000));
}

#[test]
fn a_toggle_costs_nothing_for_the_rest_of_the_text() {
    grows(constant, 20_000, |n| toggle(100, n));
}

/// Two people edit the same text at random places, n changesets each; one gets the other's.
#[test]
fn a_merge_is_n_log_n() {
    grows(n_log_n, 10_000, |n| {
        let base = 1_000;
        let edited = |seed: u64| {
            let (mut text, mut changesets) = (Text::new(), Vec::new());
            text.insert(0, &"x".repeat(base)).expect("it is inside");
            text.seal(ChangesetIx(0), &[OpIx(0)]);
            let mut rng = Rng::new(seed);
            for number in 1..=n as u32 {
                if rng.chance(30) {
                    text.delete(rng.below(text.len() as usize) as u32, 1).expect("it is inside");
                } else {
                    text.insert(rng.below(text.len() as usize + 1) as u32, "abc").expect("it is inside");
                }
                changesets.push((text.pending_ops(), text.pending_text(1)));
                text.seal(ChangesetIx(number), &[OpIx(number)]);
            }
            (text, changesets)
        };
        let ((mut text, _), (_, others)) = (edited(1), edited(2));
        let mine = n as u32;
        let theirs = |number: u32| if number == 0 { 0 } else { number + mine };
        // What mine is of changesets 1 to n, theirs of those behind.
        let past = Past {
            knows: |of: u32, past: u32| past < of && (past == 0 || (of <= mine) == (past <= mine)),
            key: |changeset: u32| changeset,
            newest: None,
        };
        steps_of(|| {
            for (at, (ops, content)) in others.iter().enumerate() {
                let number = theirs(at as u32 + 1);
                let ops: Vec<UnitOp> = ops.iter().map(|op| renumber(op, theirs)).collect();
                text.check(&past, ChangesetIx(number), &ops).expect("they are honest");
                let ops: Vec<_> = ops.into_iter().map(|op| (OpIx(number), op)).collect();
                text.apply(&past, ChangesetIx(number), &ops, Some(content), |_| true);
            }
        })
    });
}

fn renumber(op: &UnitOp, number: impl Fn(u32) -> u32) -> UnitOp {
    let changeset = |ix: ChangesetIx| ChangesetIx(number(ix.0));
    let unit = |unit: UnitRef| UnitRef { changeset: changeset(unit.changeset), ..unit };
    match op {
        UnitOp::Insert { left, right, len } => {
            UnitOp::Insert { left: left.map(unit), right: right.map(unit), len: *len }
        }
        UnitOp::Delete { spans } => {
            let span = |span: &UnitSpan| UnitSpan { changeset: changeset(span.changeset), ..*span };
            UnitOp::Delete { spans: spans.iter().map(span).collect() }
        }
        UnitOp::Move { element, left, right } => {
            UnitOp::Move { element: unit(*element), left: left.map(unit), right: right.map(unit) }
        }
        UnitOp::Mark { .. } => unreachable!("nobody marks"),
    }
}

/// n people, who know only "()" and not each other, type between the two.
fn crowd(n: usize, key: impl Fn(u32) -> u32) -> u64 {
    let mut text = Text::new();
    text.insert(0, "()").expect("it is inside");
    text.seal(ChangesetIx(0), &[OpIx(0)]);
    let past = Past { knows: |_: u32, past: u32| past == 0, key, newest: Some(ChangesetIx(0)) };
    let unit = |offset| Some(UnitRef { changeset: ChangesetIx(0), offset });
    let insert = UnitOp::Insert { left: unit(0), right: unit(1), len: 1 };
    let steps = steps_of(|| {
        for number in 1..=n as u32 {
            let changeset = ChangesetIx(number);
            text.check(&past, changeset, std::slice::from_ref(&insert)).expect("it is honest");
            text.apply(&past, changeset, &[(OpIx(number), insert.clone())], Some("x"), |_| true);
        }
    });
    assert_eq!(text.len() as usize, n + 2);
    steps
}

#[test]
fn a_crowd_in_one_gap_is_n_log_n_in_any_order_of_arrival() {
    grows(n_log_n, 50_000, |n| crowd(n, |number| number.wrapping_mul(0x9E37_79B9)));
    grows(n_log_n, 50_000, |n| crowd(n, |number| number));
    grows(n_log_n, 50_000, |n| crowd(n, |number| u32::MAX - number));
}

/// Seals what is open as one changeset with as many op numbers as it has ops.
fn seal_list(list: &mut List, number: &mut u32) {
    let ops = list.pending_len() as u32;
    list.seal(ChangesetIx(*number), &(*number..*number + ops).map(OpIx).collect::<Vec<_>>());
    *number += ops;
}

/// A list of `n` elements that came one by one at random places, sealed.
fn random_list(n: usize) -> (List, u32) {
    let (mut list, mut rng, mut number) = (List::new(), Rng::new(n as u64), 0);
    for at in 0..n {
        list.insert(rng.below(at + 1) as u32, vec![Value::from(1)]).expect("it is inside");
        if at % 100 == 99 {
            seal_list(&mut list, &mut number);
        }
    }
    seal_list(&mut list, &mut number);
    (list, number)
}

#[test]
fn list_push_is_constant() {
    grows(linear, 20_000, |n| {
        let (mut list, mut number) = (List::new(), 0);
        steps_of(|| {
            for at in 0..n {
                list.insert(at as u32, vec![Value::from(1)]).expect("it is inside");
                if at % 50 == 49 {
                    seal_list(&mut list, &mut number);
                }
            }
        })
    });
}

#[test]
fn list_insert_and_delete_are_logarithmic() {
    grows(log, 60_000, |n| {
        let (mut list, _) = random_list(n);
        let mut rng = Rng::new(1);
        steps_of(|| {
            for at in n..n + 5_000 {
                list.insert(rng.below(at) as u32, vec![Value::from(2)]).expect("it is inside");
            }
            for at in (n..n + 5_000).rev() {
                list.delete(rng.below(at) as u32, 1).expect("it is inside");
            }
        })
    });
}

/// Of elements that were moved before, too.
#[test]
fn list_move_is_logarithmic() {
    grows(log, 30_000, |n| {
        let (mut list, mut number) = random_list(n);
        let (past, mut rng) = (chain(), Rng::new(1));
        let mut relocate = |number: &mut u32| {
            list.relocate(&past, OpIx(*number), rng.below(n) as u32, rng.below(n) as u32)
                .expect("it is inside");
            seal_list(&mut list, number);
        };
        (0..1_000).for_each(|_| relocate(&mut number));
        steps_of(|| (0..2_000).for_each(|_| relocate(&mut number)))
    });
}

/// `runs` elements that are not next to each other, of a list of `n`: their delete, and moves of them, off and on again.
fn toggle_list(runs: usize, n: usize) -> u64 {
    let (mut list, mut number) = random_list(n);
    let past = chain();
    let mut ops = Vec::new();
    for at in 0..runs as u32 {
        ops.push(OpIx(number));
        list.relocate(&past, OpIx(number), at * 2, at * 2 + 1).expect("it is inside");
        seal_list(&mut list, &mut number);
    }
    ops.push(OpIx(number));
    list.delete(0, 2 * runs as u32).expect("it is inside");
    seal_list(&mut list, &mut number);
    let len = list.len();
    steps_of(|| {
        for on in [false, true] {
            ops.iter().for_each(|op| list.set_active(&past, *op, on));
            list.settle(&past);
        }
        assert_eq!(list.len(), len);
    })
}

#[test]
fn a_toggle_of_a_list_costs_its_runs() {
    grows(linear, 4_000, |runs| toggle_list(runs, 20_000));
    grows(log, 20_000, |n| toggle_list(100, n));
}

/// One element that n changesets in a row moved: all off and on again.
#[test]
fn a_ban_of_n_moves_of_one_element_is_linear() {
    grows(linear, 5_000, |n| {
        let (mut list, mut number) = random_list(10);
        let (past, first) = (chain(), number);
        for at in 0..n as u32 {
            list.relocate(&past, OpIx(number), at % 10, (at + 1) % 10).expect("it is inside");
            seal_list(&mut list, &mut number);
        }
        steps_of(|| {
            for on in [false, true] {
                (first..number).for_each(|op| list.set_active(&past, OpIx(op), on));
                list.settle(&past);
            }
        })
    });
}

/// One member wrote a key n times, another once in between: switching all of the first off and on again.
#[test]
fn a_ban_of_n_writes_on_one_key_is_linear() {
    grows(linear, 5_000, |n| {
        let mut map = Map::default();
        let foreign = n as u32 / 2;
        let past = Past {
            knows: |of: u32, past: u32| past < of && past != foreign,
            key: |changeset: u32| changeset,
            newest: None,
        };
        let name = Slot::Key(NameId([1; 16]));
        let mut write = |op: u32| map.apply(&past, name, OpIx(op), false, true);
        let key = write(0);
        (1..n as u32).for_each(|op| assert_eq!(write(op), key));
        let steps = steps_of(|| {
            for on in [false, true] {
                for op in (0..n as u32).filter(|&op| op != foreign) {
                    map.set_active(&past, key, OpIx(op), on);
                }
                map.settle(&past);
                let winners = map.get(&name).expect("it was written").winners().len();
                assert_eq!(winners, if on { 2 } else { 1 });
            }
        });
        map.dbg_check(&past);
        steps
    });
}

#[test]
fn reading_at_half_of_the_history_is_linear_and_never_replays_it() {
    grows(linear, 20_000, |n| {
        let (text, ops) = scattered(n);
        steps_of(|| {
            let half = text.at(&chain(), |op: OpIx| op.0 < ops / 2);
            assert_eq!(half.len() as usize, text.read_at(|op| op.0 < ops / 2).len());
        })
    });
    grows(linear, 20_000, |n| {
        let (mut map, mut tally, past) = (Map::default(), Tally::default(), chain());
        let name = Slot::Key(NameId([1; 16]));
        for op in (0..2 * n as u32).step_by(2) {
            map.apply(&past, name, OpIx(op), false, true);
            tally.add(OpIx(op + 1), 1, true);
        }
        let half = |op: OpIx| op.0 < n as u32;
        steps_of(|| {
            let winners = map.at(&past, half, half).get(&name).expect("it was written").winners().to_vec();
            assert_eq!(winners.len(), 1);
            assert_eq!(tally.at(&past, half).totals().added, n as i128 / 2);
        })
    });
}

/// Each knows all before it.
fn chain() -> Past<impl Fn(u32, u32) -> bool, impl Fn(u32) -> u32> {
    Past { knows: |of: u32, past: u32| past < of, key: |changeset: u32| changeset, newest: None }
}

#[test]
fn an_increment_is_constant_and_so_is_reading_the_sum() {
    grows(constant, 10_000, |n| {
        let mut tally = Tally::default();
        (0..n as u32).for_each(|op| tally.add(OpIx(op), 1, true));
        steps_of(|| {
            (0..100).for_each(|op| tally.add(OpIx(n as u32 + op), 1, true));
            assert_eq!(tally.totals().sum(), n as i128 + 100);
            (0..100).for_each(|op| tally.set_active(OpIx(op), false));
            assert_eq!(tally.totals().sum(), n as i128);
        })
    });
}

/// Also the resets of one changeset, which somebody could write by the thousand.
#[test]
fn adds_and_resets_in_turn_are_linear() {
    grows(linear, 5_000, |n| {
        let mut tally = Tally::default();
        let past = Past { knows: |_, _| false, key: |changeset: u32| changeset, newest: None };
        let past = OneChangeset(past);
        let steps = steps_of(|| {
            for op in (0..2 * n as u32).step_by(2) {
                tally.add(OpIx(op), 1, true);
                tally.reset(&past, OpIx(op + 1), true);
            }
            tally.set_active(OpIx(1), false);
            tally.settle(&past);
        });
        assert_eq!(tally.totals(), Totals::default());
        tally.dbg_check(&past);
        steps
    });
}

#[test]
fn adding_to_a_set_and_removing_are_constant() {
    grows(constant, 10_000, |n| {
        let (mut set, past) = (Map::default(), chain());
        let element = |number: u32| {
            let mut name = [0; 16];
            name[..4].copy_from_slice(&number.to_le_bytes());
            Slot::Key(NameId(name))
        };
        let mut write = |op: u32| {
            set.apply(&past, element(op / 2), OpIx(op), op % 2 == 1, true);
        };
        (0..n as u32).for_each(&mut write);
        steps_of(|| (n as u32..n as u32 + 200).for_each(write))
    });
}

/// Eight actors who merge what three others did before each changeset.
#[test]
fn version_vectors_take_memory_by_changesets() {
    grows(linear, 5_000, |n| {
        let mut graph = CausalGraph::default();
        let (mut tips, mut rng) = ([None; 8], Rng::new(3));
        for at in 0..n {
            let actor = rng.below(8);
            let deps: Vec<ChangesetIx> = (1..4).filter_map(|step| tips[(actor + step) % 8]).collect();
            let mut id = [0; 32];
            id[..8].copy_from_slice(&(at as u64).to_be_bytes());
            tips[actor] = Some(graph.add(ChangesetId(id), ActorId([actor as u8; 32]), tips[actor], &deps));
        }
        graph.dbg_numbers() as u64
    });
}
