//! How the work on events grows, by counted steps at n and at 2n: see tests/growth.rs.

use std::cell::Cell;
use std::cmp::Ordering;
use stemma::causal::{ChangesetIx, MemberId, NameId, OpIx};
use stemma::crdt::{Emission, Events, History, Sequence};
use stemma::steps;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

/// Changesets of one op each, in the order of a key.
struct Past<K>(K);

impl<K> History for Past<K> {
    fn contains(&self, of: ChangesetIx, past: ChangesetIx) -> bool {
        of >= past
    }

    fn order(&self, a: ChangesetIx, b: ChangesetIx) -> Ordering {
        a.cmp(&b)
    }

    fn changeset_of(&self, op: OpIx) -> ChangesetIx {
        ChangesetIx(op.0)
    }
}

impl<K: Fn(u32) -> u32> Sequence for Past<K> {
    fn earlier(&self, a: OpIx, b: OpIx) -> Ordering {
        ASKED.set(ASKED.get() + 1);
        (self.0)(a.0).cmp(&(self.0)(b.0))
    }
}

fn about_one(creates: bool) -> Emission {
    Emission { of_type: NameId([1; 16]), creates, concerns: [NameId([2; 16])].into(), command: None }
}

fn add(events: &mut Events, past: &impl Sequence, op: usize) {
    events.add(past, OpIx(op as u32), &about_one(op == 0), true, true);
}

/// An object of n events.
fn object(past: &impl Sequence, n: usize) -> Events {
    let mut events = Events::default();
    (0..n).for_each(|op| add(&mut events, past, op));
    events.take(0, 0);
    events.changed();
    events
}

fn steps_of(work: impl FnOnce()) -> u64 {
    let count = || steps::taken() + ASKED.get();
    let before = count();
    work();
    count() - before
}

/// Asserts that steps at 2n are at most so many times those at n.
fn grows(times: f64, n: usize, run: impl Fn(usize) -> u64) {
    let [at_n, at_2n] = [n, 2 * n].map(|n| run(n) as f64);
    assert!(at_n > 0.0, "nothing was counted");
    assert!(at_2n / at_n <= 1.2 * times, "{at_n} steps at {n}, {at_2n} at twice that");
}

#[test]
fn a_last_event_is_added_in_constant_steps() {
    let past = Past(|op| op);
    grows(1.0, 1_000, |n| {
        let mut events = object(&past, n);
        steps_of(|| (n..n + 100).for_each(|op| add(&mut events, &past, op)))
    });
}

#[test]
fn a_late_event_finds_its_place_in_logarithmic_steps() {
    grows(1.1, 1_000, |n| {
        // The hundred last ones belong among the others.
        let past = Past(move |op| if op as usize >= n { 2 * (op - n as u32) + 1 } else { 2 * op });
        let mut events = object(&past, n);
        steps_of(|| (n..n + 100).for_each(|op| add(&mut events, &past, op)))
    });
}

/// Of one command, and a retry of all.
#[test]
fn switching_n_events_of_a_command_off_and_on_is_linear() {
    let past = Past(|op| op);
    grows(2.0, 1_000, |n| {
        let mut events = Events::default();
        let said = |head| Emission {
            command: Some((MemberId([3; 32]), NameId([4; 16]), OpIx(head))),
            ..about_one(false)
        };
        steps_of(|| {
            (0..n as u32).for_each(|op| events.add(&past, OpIx(op), &said(0), true, true));
            (n as u32..2 * n as u32).for_each(|op| events.add(&past, OpIx(op), &said(n as u32), true, true));
            for on in [false, true] {
                (0..n as u32).for_each(|op| events.set_active(&past, OpIx(op), on));
                events.settle(&past);
                let first = if on { 0 } else { n as u32 };
                assert_eq!(events.take(0, 0).first().map(|event| event.op), Some(OpIx(first)));
                assert_eq!(events.take(0, 0).len(), n);
            }
        })
    });
}

#[test]
fn a_ban_of_n_events_of_one_object_is_linear() {
    let past = Past(|op| op);
    grows(2.0, 1_000, |n| {
        let mut events = object(&past, n);
        steps_of(|| {
            (1..n).for_each(|op| events.set_active(&past, OpIx(op as u32), false));
            events.settle(&past);
            assert_eq!(events.changed(), (false, vec![(0, 1)]));
        })
    });
}
