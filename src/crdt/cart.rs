//! A cart: items with quantities. Adds of an item sum up; removing it cancels the adds that the remover knew, so one that
//! is concurrent survives.

use super::{History, KeyIx, Tally};
use crate::causal::{NameId, OpIx};
use crate::codec::{DecodeError, Reader, Saved, Writer, saved};
use foldhash::HashMap;

/// The items and what was done to their quantities.
#[derive(Clone, Debug, Default)]
pub struct Cart {
    index: HashMap<NameId, KeyIx>,
    items: Vec<(NameId, Tally)>,
    unsettled: Vec<KeyIx>,
}

impl Cart {
    /// Adds to an item's quantity. O(1).
    pub fn add(&mut self, item: NameId, op: OpIx, quantity: i64, active: bool) -> KeyIx {
        let at = self.item(item);
        self.items[at.0 as usize].1.add(op, quantity, active);
        at
    }

    /// Removes an item.
    pub fn remove(&mut self, history: &impl History, item: NameId, op: OpIx, active: bool) -> KeyIx {
        let at = self.item(item);
        self.items[at.0 as usize].1.reset(history, op, active);
        at
    }

    /// Adds to the last op of an item, which is an add of the open batch.
    pub fn amend(&mut self, item: KeyIx, quantity: i64) {
        self.items[item.0 as usize].1.amend(quantity);
    }

    /// Takes back the last op of an item, made in the open batch. Call [`Cart::settle`] before reading.
    pub fn retract(&mut self, item: KeyIx, op: OpIx) {
        self.items[item.0 as usize].1.retract(op);
        self.unsettled.push(item);
    }

    /// Switches an op off or on. Call [`Cart::settle`] before reading.
    pub fn set_active(&mut self, item: KeyIx, op: OpIx, on: bool) {
        self.items[item.0 as usize].1.set_active(op, on);
        self.unsettled.push(item);
    }

    /// Sums the items anew that need it.
    pub fn settle(&mut self, history: &impl History) {
        for item in std::mem::take(&mut self.unsettled) {
            self.items[item.0 as usize].1.settle(history);
        }
    }

    /// What is known of an item.
    pub fn get(&self, item: &NameId) -> Option<&Tally> {
        self.index.get(item).map(|at| &self.items[at.0 as usize].1)
    }

    /// A cart of its own that holds the selected ops. O(ops).
    #[must_use]
    pub fn at(&self, history: &impl History, selected: impl Fn(OpIx) -> bool) -> Self {
        let items = self.items.iter().map(|(name, tally)| (*name, tally.at(history, &selected)));
        Self { index: self.index.clone(), items: items.collect(), unsettled: Vec::new() }
    }

    /// What is known of an item, by its local number.
    pub fn tally(&self, item: KeyIx) -> &Tally {
        &self.items[item.0 as usize].1
    }

    /// The name of an item.
    pub fn name(&self, item: KeyIx) -> NameId {
        self.items[item.0 as usize].0
    }

    /// All items that were ever named, in the order in which this replica met them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (NameId, &Tally)> + '_ {
        self.items.iter().map(|(name, tally)| (*name, tally))
    }

    /// Recomputes the invariants the slow way.
    #[doc(hidden)]
    pub fn dbg_check(&self, history: &impl History) {
        assert_eq!(self.index.len(), self.items.len());
        self.items.iter().for_each(|(_, tally)| tally.dbg_check(history));
    }

    fn item(&mut self, item: NameId) -> KeyIx {
        *self.index.entry(item).or_insert_with(|| {
            self.items.push((item, Tally::default()));
            KeyIx(self.items.len() as u32 - 1)
        })
    }
}

impl Saved for Cart {
    fn save(&self, out: &mut Writer) {
        debug_assert!(self.unsettled.is_empty(), "toggles are settled before saving");
        self.items.save(out);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let items = Vec::<(NameId, Tally)>::load(from)?;
        let index: HashMap<NameId, KeyIx> =
            items.iter().zip(0..).map(|((name, _), at)| (*name, KeyIx(at))).collect();
        saved::check(index.len() == items.len(), from, "cart", "an item is there once")?;
        Ok(Self { index, items, unsettled: Vec::new() })
    }
}
