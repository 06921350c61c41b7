//! Counts steps in debug builds, so that tests can say how work grows without a clock. A release counts nothing.

use std::cell::Cell;

thread_local! {
    static TAKEN: Cell<u64> = const { Cell::new(0) };
}

/// Notes steps where a loop or a move takes them.
#[inline(always)]
pub(crate) fn count(steps: usize) {
    if cfg!(debug_assertions) {
        TAKEN.set(TAKEN.get() + steps as u64);
    }
}

/// How many steps this thread took until now.
#[doc(hidden)]
pub fn taken() -> u64 {
    TAKEN.get()
}
