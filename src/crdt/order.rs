//! FugueMax: where in a gap of concurrent inserts a new one goes, the same on every replica in every order of arrival.
//!
//! Relies on adjacency (checked before): all units between `left` and `right` are concurrent with the new one.
//! A unit hangs below its left neighbour, or below its right one if that hangs below the left one already. Siblings
//! stand by the position of their right neighbour, last first, then by author. Those that have both neighbours in
//! common stand together, and where they are many the walk begins behind the one that goes right before.

use super::piece::NONE;
use super::piece_list::{Loc, PieceList};
use std::cmp::Ordering;

/// The gap for the newest run, between `left` and `right`. `goes_before` tells whether its author sorts before that of a unit.
pub(super) fn gap<const LEAF: usize, const BLOCK: usize>(
    list: &mut PieceList<LEAF, BLOCK>,
    left: u32,
    right: u32,
    goes_before: impl Fn(u32) -> bool,
) -> Loc {
    let start = list.gap_after(left);
    if list.unit_after(start) == right {
        return start;
    }
    let known = list.crowd(left, right, |crowd| crowd.before(&goes_before)).flatten();
    let start = known.map_or(start, |unit| list.gap_after_run(unit));
    list.join_crowd(left, right, &goes_before);
    let (mut here, mut best, mut tentative) = (start, start, false);
    while let Some((at, run)) = list.run_at(here).filter(|(_, run)| run.first != right) {
        match compare(list, run.left, left, Ordering::Less) {
            Ordering::Less => break,
            Ordering::Equal if run.right == right => {
                if goes_before(run.first) {
                    break;
                }
                tentative = false;
            }
            // It closed earlier on the right: we go before it, unless a later sibling says otherwise.
            Ordering::Equal => {
                tentative = compare(list, run.right, right, Ordering::Greater) == Ordering::Less
            }
            // It hangs below something already passed.
            Ordering::Greater => {}
        }
        // A whole run: `right` is not inside, or the concurrent unit before it would be in the new one's past with it.
        here = Loc { offset: at.offset + run.len, ..at };
        if !tentative {
            best = here;
        }
    }
    best
}

/// Compares two units by place in the list; `none` tells how an edge compares with any unit.
fn compare<const LEAF: usize, const BLOCK: usize>(
    list: &PieceList<LEAF, BLOCK>,
    a: u32,
    b: u32,
    none: Ordering,
) -> Ordering {
    match (a, b) {
        _ if a == b => Ordering::Equal,
        (NONE, _) => none,
        (_, NONE) => none.reverse(),
        _ => list.compare(a, b),
    }
}
