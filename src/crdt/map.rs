//! A map: every key a register. Sets are maps too, with an element for a key. Which keys read as present follows from
//! their winners; the values stay with the owner.

use super::{Recency, Register};
use crate::causal::{NameId, OpIx};
use crate::codec::{DecodeError, Reader, Saved, Writer, saved};
use foldhash::HashMap;

/// Local number of a slot within its map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyIx(pub u32);

/// What one register stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// A key of a map, an element of a set.
    Key(NameId),
    /// A group of keys that are written together.
    Group(u32),
}

/// The slots of a map and the writes to them.
#[derive(Clone, Debug, Default)]
pub struct Map {
    index: HashMap<Slot, KeyIx>,
    slots: Vec<(Slot, Register)>,
    unsettled: Vec<KeyIx>,
}

impl Map {
    /// Adds a write to a slot. O(1) and the slot's winners.
    pub fn apply(
        &mut self,
        history: &impl Recency,
        slot: Slot,
        op: OpIx,
        deletes: bool,
        active: bool,
    ) -> KeyIx {
        let key = *self.index.entry(slot).or_insert_with(|| {
            self.slots.push((slot, Register::default()));
            KeyIx(self.slots.len() as u32 - 1)
        });
        self.slots[key.0 as usize].1.apply(history, op, deletes, active);
        key
    }

    /// Takes back the last write to a slot, made in the open batch. Call [`Map::settle`] before reading.
    pub fn retract(&mut self, key: KeyIx) {
        self.slots[key.0 as usize].1.retract();
        self.unsettled.push(key);
    }

    /// Switches a write off or on; says whether the slot may read differently. Call [`Map::settle`] before reading.
    pub fn set_active(&mut self, history: &impl Recency, key: KeyIx, op: OpIx, on: bool) -> bool {
        let changed = self.slots[key.0 as usize].1.set_active(history, op, on);
        if changed {
            self.unsettled.push(key);
        }
        changed
    }

    /// Finds the winners of the slots that were toggled. O(their writes).
    pub fn settle(&mut self, history: &impl Recency) {
        for key in std::mem::take(&mut self.unsettled) {
            self.slots[key.0 as usize].1.settle(history);
        }
    }

    /// The register of a slot that was ever written.
    pub fn get(&self, slot: &Slot) -> Option<&Register> {
        self.index.get(slot).map(|key| &self.slots[key.0 as usize].1)
    }

    /// A map of its own that holds the writes of a selection, of which some are active. O(writes).
    #[must_use]
    pub fn at(
        &self,
        history: &impl Recency,
        selected: impl Fn(OpIx) -> bool,
        active: impl Fn(OpIx) -> bool,
    ) -> Self {
        let at = |register: &Register| register.at(history, &selected, &active);
        let slots = self.slots.iter().map(|(slot, register)| (*slot, at(register)));
        let slots: Vec<_> = slots.filter(|(_, register)| register.writes().len() > 0).collect();
        let index = slots.iter().zip(0..).map(|((slot, _), at)| (*slot, KeyIx(at))).collect();
        Self { index, slots, unsettled: Vec::new() }
    }

    /// The register of a local number.
    pub fn register(&self, key: KeyIx) -> &Register {
        &self.slots[key.0 as usize].1
    }

    /// What a local number stands for.
    pub fn slot(&self, key: KeyIx) -> Slot {
        self.slots[key.0 as usize].0
    }

    /// All slots that were ever written, in the order in which this replica met them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Slot, &Register)> + '_ {
        self.slots.iter().map(|(slot, register)| (*slot, register))
    }

    /// Recomputes the invariants the slow way.
    #[doc(hidden)]
    pub fn dbg_check(&self, history: &impl Recency) {
        assert_eq!(self.index.len(), self.slots.len());
        self.slots.iter().for_each(|(_, register)| register.dbg_check(history));
    }
}

impl Saved for Slot {
    fn save(&self, out: &mut Writer) {
        match self {
            Self::Key(name) => name.save(out.u8(0)),
            Self::Group(group) => group.save(out.u8(1)),
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(if bool::load(from)? { Self::Group(u32::load(from)?) } else { Self::Key(NameId::load(from)?) })
    }
}

impl Saved for Map {
    fn save(&self, out: &mut Writer) {
        debug_assert!(self.unsettled.is_empty(), "toggles are settled before saving");
        self.slots.save(out);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let slots = Vec::<(Slot, Register)>::load(from)?;
        let index: HashMap<Slot, KeyIx> =
            slots.iter().zip(0..).map(|((slot, _), at)| (*slot, KeyIx(at))).collect();
        saved::check(index.len() == slots.len(), from, "map", "a slot is there once")?;
        Ok(Self { index, slots, unsettled: Vec::new() })
    }
}
