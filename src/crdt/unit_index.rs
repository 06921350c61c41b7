//! Which leaf holds a unit. Built when a unit is first asked for by its number, so that plain typing never pays for it;
//! kept up from then on.

use std::cell::OnceCell;
use std::ops::Range;

#[derive(Clone, Debug, Default)]
pub(super) struct UnitIndex(OnceCell<Vec<u32>>);

impl UnitIndex {
    /// The leaf of a unit; `build` makes the whole index.
    pub fn leaf_of(&self, unit: u32, build: impl FnOnce() -> Vec<u32>) -> u32 {
        self.0.get_or_init(build)[unit as usize]
    }

    /// Notes that units are in a leaf now.
    pub fn assign(&mut self, units: Range<u32>, leaf: u32) {
        let Some(leaf_of) = self.0.get_mut() else { return };
        let (start, end) = (units.start as usize, units.end as usize);
        if start == leaf_of.len() {
            leaf_of.resize(end, leaf);
        } else {
            leaf_of[start..end].fill(leaf);
        }
    }

    pub fn truncate(&mut self, units: u32) {
        if let Some(leaf_of) = self.0.get_mut() {
            leaf_of.truncate(units as usize);
        }
    }

    /// The whole index, if it was needed yet.
    pub fn built(&self) -> Option<&[u32]> {
        self.0.get().map(Vec::as_slice)
    }
}
