//! Whether marks could have been made by an honest replica: their ends name what the author knew, the first end comes
//! first, and a unit of the author's list lies between.
//!
//! The order of two places never changes, so it is looked at once all inserts of the changeset are laid over the list.

use super::adjacency::{Checker, Spot};
use super::piece_list::Loc;
use super::unit_op::Invalid;
use super::{Anchor, Bias, History};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// An end of a mark: behind a spot or before it. The edge of the list is the start for what is behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    spot: Spot,
    after: bool,
}

/// Where the changeset's own units are: by the first unit of a stretch, the unit of the past that it comes behind, and
/// how many stretches lie between.
type Own = BTreeMap<u32, (Spot, u32)>;

impl<H: History, const LEAF: usize, const BLOCK: usize> Checker<'_, H, LEAF, BLOCK> {
    /// Checks the ends of a mark, and remembers them.
    pub fn mark(&mut self, start: Anchor, end: Anchor) -> Result<(), Invalid> {
        let (from, to) = (self.end_of(start)?, self.end_of(end)?);
        if from == to || from.after && !to.after && self.is_next(from.spot, to.spot) {
            return Err(Invalid::Empty);
        }
        self.marks.push((from, to));
        Ok(())
    }

    /// Whether all marks begin before they end.
    pub fn marks_in_order(&self) -> Result<(), Invalid> {
        if self.marks.is_empty() {
            return Ok(());
        }
        let own = self.own_stretches();
        let forwards = |(from, to): &(End, End)| self.order(&own, *from, *to).is_lt();
        if self.marks.iter().all(forwards) { Ok(()) } else { Err(Invalid::Backwards) }
    }

    fn end_of(&self, anchor: Anchor) -> Result<End, Invalid> {
        Ok(match anchor {
            Anchor::Start => End { spot: Spot::Edge, after: true },
            Anchor::End => End { spot: Spot::Edge, after: false },
            Anchor::Unit { unit, bias } => End { spot: self.spot(unit, 1)?, after: bias == Bias::After },
        })
    }

    /// Whether the author's list has nothing between two places.
    fn is_next(&mut self, left: Spot, right: Spot) -> bool {
        if let Some(&next) = self.next.get(&left) {
            return next == right;
        }
        match (left, right) {
            (Spot::Own(offset), _) => right == Spot::Own(offset + 1),
            (_, Spot::Own(_)) => false,
            _ => self.next_known(left.unit()) == right.unit(),
        }
    }

    /// The unit that follows one in the past alone. Each stretch that the author did not know is passed once.
    fn next_known(&mut self, left: u32) -> u32 {
        if let Some(&known) = self.known.get(&left) {
            return known;
        }
        let mut gap = self.list.gap_after(left);
        while let Some((at, run)) = self.list.run_at(gap) {
            if run.first < self.log.units() && self.knows(self.log.changeset_of(run.first)) {
                break;
            }
            gap = Loc { offset: at.offset + run.len, ..at };
        }
        let known = self.list.unit_after(gap);
        self.known.insert(left, known);
        known
    }

    fn own_stretches(&self) -> Own {
        let mut own = Own::new();
        let bases = self.next.iter().filter(|(left, _)| !matches!(left, Spot::Own(_)));
        for (&base, &first) in bases {
            let (mut here, mut rank) = (first, 0);
            while let Spot::Own(unit) = here {
                own.insert(unit, (base, rank));
                rank += 1;
                // What follows the last unit of a stretch is always noted.
                let next = self.next.range(Spot::Own(unit)..).next();
                here = next.map_or(Spot::Edge, |(_, &next)| next);
            }
        }
        own
    }

    fn order(&self, own: &Own, a: End, b: End) -> Ordering {
        let place = |unit: u32| {
            let (_, &(base, rank)) = own.range(..=unit).next_back().expect("all own units are in a stretch");
            (base, rank)
        };
        // The start comes before all units.
        let bases = |a: Spot, b: Spot| match (a, b) {
            (Spot::Past(a), Spot::Past(b)) => self.list.compare(a, b),
            (Spot::Past(_), _) => Ordering::Greater,
            (_, Spot::Past(_)) => Ordering::Less,
            _ => Ordering::Equal,
        };
        match (a.spot, b.spot) {
            (Spot::Edge, Spot::Edge) => b.after.cmp(&a.after),
            (Spot::Edge, _) => {
                if a.after {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
            (_, Spot::Edge) => {
                if b.after {
                    Ordering::Greater
                } else {
                    Ordering::Less
                }
            }
            _ if a.spot == b.spot => a.after.cmp(&b.after),
            (Spot::Past(_), Spot::Past(_)) => bases(a.spot, b.spot),
            // What is behind a unit of the past is behind it.
            (Spot::Own(unit), Spot::Past(_)) => bases(place(unit).0, b.spot).then(Ordering::Greater),
            (Spot::Past(_), Spot::Own(unit)) => bases(a.spot, place(unit).0).then(Ordering::Less),
            (Spot::Own(a), Spot::Own(b)) => {
                let (of_a, of_b) = (place(a), place(b));
                bases(of_a.0, of_b.0).then((of_a.1, a).cmp(&(of_b.1, b)))
            }
        }
    }
}
