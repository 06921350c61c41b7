//! Many runs that were inserted between the same two neighbours: in list order, so that one more finds its place by
//! bisection instead of passing all others, and by arrival, so that those an author may know are few.
//!
//! A cache over the list, made when a gap was found crowded and kept up from then on. Such runs stand together, with
//! nothing between them but what hangs below them.

use crate::steps;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Crowd {
    /// First units in list order, in pieces of at most `CHUNK`, none of them empty.
    chunks: Vec<Vec<u32>>,
    /// The same units, rising.
    arrived: Vec<u32>,
}

/// A crowd of n costs n / CHUNK + CHUNK moves to insert into: little up to a million.
const CHUNK: usize = 512;

impl Crowd {
    /// From first units in list order.
    pub fn new(units: &[u32]) -> Self {
        let mut arrived = units.to_vec();
        arrived.sort_unstable();
        Self { chunks: units.chunks(CHUNK / 2).map(<[u32]>::to_vec).collect(), arrived }
    }

    /// The unit behind which a new one goes, if it does not go before all.
    pub fn before(&self, goes_before: &impl Fn(u32) -> bool) -> Option<u32> {
        let (chunk, at) = self.place(goes_before);
        at.checked_sub(1).map(|at| self.chunks[chunk][at])
    }

    /// Adds the newest unit.
    pub fn insert(&mut self, unit: u32, goes_before: &impl Fn(u32) -> bool) {
        debug_assert!(self.arrived.last().is_none_or(|&last| last < unit));
        self.arrived.push(unit);
        let (at, slot) = self.place(goes_before);
        let chunk = &mut self.chunks[at];
        steps::count(chunk.len() - slot);
        chunk.insert(slot, unit);
        if chunk.len() == CHUNK {
            let upper = chunk.split_off(CHUNK / 2);
            steps::count(self.chunks.len() - at);
            self.chunks.insert(at + 1, upper);
        }
    }

    fn place(&self, goes_before: &impl Fn(u32) -> bool) -> (usize, usize) {
        let is_left = |unit: u32| {
            steps::count(1);
            !goes_before(unit)
        };
        let chunk = self.chunks.partition_point(|chunk| is_left(chunk[0])).saturating_sub(1);
        (chunk, self.chunks[chunk].partition_point(|&unit| is_left(unit)))
    }

    /// The unit that stands last in the list.
    pub fn last(&self) -> u32 {
        *self.chunks.last().and_then(|chunk| chunk.last()).expect("a crowd is never empty")
    }

    /// All units, oldest first.
    pub fn arrived(&self) -> impl Iterator<Item = u32> + '_ {
        self.arrived.iter().copied()
    }

    pub fn dbg_check(&self, units: &[u32]) {
        assert_eq!(self.chunks.concat(), units);
        assert!(self.arrived.is_sorted() && self.arrived.len() == units.len());
        assert!(self.chunks.iter().all(|chunk| !chunk.is_empty() && chunk.len() < CHUNK));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_keeps_the_order_it_is_told() {
        // Unit n sorts by its number with the bits turned around.
        let key = |unit: u32| unit.reverse_bits();
        let mut expected: Vec<u32> = (0..100).collect();
        expected.sort_by_key(|&unit| key(unit));
        let mut crowd = Crowd::new(&expected);
        for unit in 100..20_000 {
            let goes_before = |other: u32| key(unit) < key(other);
            let at = expected.partition_point(|&other| key(other) < key(unit));
            assert_eq!(crowd.before(&goes_before), at.checked_sub(1).map(|at| expected[at]));
            crowd.insert(unit, &goes_before);
            expected.insert(at, unit);
        }
        crowd.dbg_check(&expected);
        assert_eq!(Some(&crowd.last()), expected.last());
    }
}
