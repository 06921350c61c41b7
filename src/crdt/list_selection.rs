//! A list as any set of ops makes it, as `selection` has it for texts: a moved element is where the moves of the set say.

use super::Recency;
use super::bits::Bits;
use super::deltas::Deltas;
use super::list::List;
use super::selection::showing;
use crate::causal::OpIx;
use crate::event::Value;

impl<const LEAF: usize, const BLOCK: usize> List<LEAF, BLOCK> {
    /// The list that the selected ops make.
    pub fn read_at(&self, history: &impl Recency, selected: impl Fn(OpIx) -> bool) -> Vec<&Value> {
        let shows = self.showing(history, selected);
        let mut out = Vec::new();
        for run in self.list.iter().filter(|run| run.first < self.log.units()) {
            let (end, mut unit) = (run.end().min(self.log.units()), run.first);
            while unit < end {
                let (is_shown, next) = shows.stretch(unit..end);
                if is_shown {
                    out.extend((unit..next).filter_map(|unit| self.cells.value(unit)));
                }
                unit = next;
            }
        }
        out
    }

    /// A list of its own that reads as the selected ops make it. It is there to be read: it knows no ops, and none can be
    /// applied or switched. O(ops + pieces), and a copy of the values.
    #[must_use]
    pub fn at(&self, history: &impl Recency, selected: impl Fn(OpIx) -> bool) -> Self {
        let units = self.log.units();
        let list = self.list.at(&self.showing(history, selected), units);
        Self { cells: self.cells.first(units), list, log: self.log.without_ops(), ..Self::default() }
    }

    /// What turns the list that the ops `from` make into the one that `to` make.
    pub fn diff(
        &self,
        history: &impl Recency,
        from: impl Fn(OpIx) -> bool,
        to: impl Fn(OpIx) -> bool,
    ) -> Deltas<Vec<Value>> {
        let (from, to) = (self.showing(history, from), self.showing(history, to));
        Deltas::between(&self.list, self.log.units(), (&from, &to), |out: &mut Vec<Value>, units| {
            self.cells.copy(out, units);
        })
    }

    /// One bit per unit: whether an element shows there.
    fn showing(&self, history: &impl Recency, selected: impl Fn(OpIx) -> bool) -> Bits {
        let mut bits = showing(&self.log, &selected);
        for (element, place) in self.moves.places_at(history, self.log.units(), selected) {
            if place != element {
                bits.set(place..place + 1, bits.get(element));
                bits.set(element..element + 1, false);
            }
        }
        bits
    }
}
