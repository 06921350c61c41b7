//! A map: every key a register. Which keys read as present follows from their winners; the values stay with the owner.

use super::{Recency, Register};
use crate::causal::{NameId, OpIx};
use std::collections::HashMap;

/// Local number of a key within its map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyIx(pub u32);

/// The keys of a map and the writes to them.
#[derive(Clone, Debug, Default)]
pub struct Map {
    index: HashMap<NameId, KeyIx>,
    keys: Vec<(NameId, Register)>,
    unsettled: Vec<KeyIx>,
}

impl Map {
    /// Adds a write to a key. O(1) and the key's winners.
    pub fn apply(
        &mut self,
        history: &impl Recency,
        name: NameId,
        op: OpIx,
        deletes: bool,
        active: bool,
    ) -> KeyIx {
        let key = *self.index.entry(name).or_insert_with(|| {
            self.keys.push((name, Register::default()));
            KeyIx(self.keys.len() as u32 - 1)
        });
        self.keys[key.0 as usize].1.apply(history, op, deletes, active);
        key
    }

    /// Takes back the last write to a key, made in the open batch.
    pub fn retract(&mut self, history: &impl Recency, key: KeyIx) {
        self.keys[key.0 as usize].1.retract(history);
    }

    /// Switches a write off or on; says whether the key may read differently. Call [`Map::settle`] before reading.
    pub fn set_active(&mut self, history: &impl Recency, key: KeyIx, op: OpIx, on: bool) -> bool {
        let changed = self.keys[key.0 as usize].1.set_active(history, op, on);
        if changed {
            self.unsettled.push(key);
        }
        changed
    }

    /// Finds the winners of the keys that were toggled. O(their writes).
    pub fn settle(&mut self, history: &impl Recency) {
        for key in std::mem::take(&mut self.unsettled) {
            self.keys[key.0 as usize].1.settle(history);
        }
    }

    /// The register of a key that was ever written.
    pub fn get(&self, name: &NameId) -> Option<&Register> {
        self.index.get(name).map(|key| &self.keys[key.0 as usize].1)
    }

    /// The name of a key.
    pub fn name(&self, key: KeyIx) -> NameId {
        self.keys[key.0 as usize].0
    }

    /// All keys that were ever written, in the order in which this replica met them.
    pub fn iter(&self) -> impl Iterator<Item = (NameId, &Register)> + '_ {
        self.keys.iter().map(|(name, register)| (*name, register))
    }

    /// Recomputes the invariants the slow way.
    #[doc(hidden)]
    pub fn dbg_check(&self, history: &impl Recency) {
        assert_eq!(self.index.len(), self.keys.len());
        self.keys.iter().for_each(|(_, register)| register.dbg_check(history));
    }
}
