//! How the work on blocks grows, by counted steps at n and at 2n: see tests/growth.rs.

#[path = "common/chain.rs"]
mod chain;

use chain::Made;
use stemma::steps;

fn steps_of(work: impl FnOnce()) -> u64 {
    let before = steps::taken();
    work();
    steps::taken() - before
}

/// Asserts that steps at 2n are at most so many times those at n.
fn grows(times: f64, n: usize, run: impl Fn(usize) -> u64) {
    let [at_n, at_2n] = [n, 2 * n].map(|n| run(n) as f64);
    assert!(at_n > 0.0, "nothing was counted");
    assert!(at_2n / at_n <= 1.2 * times, "{at_n} steps at {n}, {at_2n} at twice that");
}

/// With so much written that is in no block yet.
fn waiting(changesets: usize) -> Made {
    let mut made = Made::new();
    made.block_of(1);
    made.write_more(changesets);
    made.attest();
    made
}

#[test]
fn creating_a_block_is_linear_in_what_it_holds() {
    grows(2.0, 500, |n| {
        let mut made = waiting(n);
        steps_of(|| assert!(made.draft().is_some()))
    });
}

#[test]
fn validating_a_block_is_linear_in_what_it_holds() {
    grows(2.0, 500, |n| {
        let mut made = waiting(n);
        let header = made.draft().expect("something was written");
        steps_of(|| made.propose(&header))
    });
}

/// However much is in blocks before.
#[test]
fn creating_and_validating_a_block_do_not_grow_with_the_chain() {
    grows(1.1, 60, |n| {
        let mut made = Made::new();
        (0..n).for_each(|_| made.block_of(5));
        made.write_more(20);
        made.attest();
        steps_of(|| {
            let header = made.draft().expect("something was written");
            made.propose(&header);
            made.decide(&header);
            assert_eq!(made.blocks(), n + 1);
        })
    });
}

#[test]
fn verifying_a_chain_is_linear() {
    grows(2.0, 60, |n| {
        let mut made = Made::new();
        (0..n).for_each(|_| made.block_of(5));
        steps_of(|| assert_eq!(made.chain.verify(&made.graph), None))
    });
}
